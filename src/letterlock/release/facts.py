"""What was known of everybody over time: where they lived, and which contract they had.

As policy.decide.facts_at says it of one person, folded here for all of them at once; and whether a
clause's words match that. Of what is not known, they may. Read by `purge` and by reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from letterlock.domain import ANY, BEGINNING, END, FactKind, Time, covers
from letterlock.ledger import EventStore
from letterlock.policy.clauses import covers_place

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


class Match(IntEnum):
    """Whether a clause matches; of what is not known, it may."""

    NO = 0
    MAYBE = 1
    YES = 2


class Steps:
    """What is known of everybody over time: subject s holds rows offsets[s]:offsets[s+1].

    Each row holds from `start` on, and `number` says which of `sets` counts then. One more subject
    stands at the end, of whom nothing is known.
    """

    def __init__(
        self, store: EventStore, kind: FactKind, as_of: Time, upto: int, size: int
    ) -> None:
        """Fold the facts of one kind, recorded by `as_of`, as policy.decide.facts_at does."""
        symbols = store.symbols()
        names = list(symbols)
        self.sets: list[frozenset[str | None]] = [frozenset({None})]
        self._numbers = {self.sets[0]: 0}

        def read(table: str, *columns: str) -> Iterator[Ints]:
            found = store.columns(table, ("subject", *columns), as_of=as_of, upto=upto)
            return (found.column(name).to_numpy() for name in ("subject", *columns))

        subject, kinds, value, start, stop, time = read(
            "fact", "kind", "value", "start", "stop", "time"
        )
        (erased,) = read("erased")
        mine = np.flatnonzero((kinds == symbols.get(kind, -1)) & ~np.isin(subject, erased))
        mine = mine[np.argsort(subject[mine], kind="stable")]
        subject, value, start, stop, time = (a[mine] for a in (subject, value, start, stop, time))
        texts = [None if v < 0 else names[v] for v in np.unique(value).tolist()]
        known = [self._number(frozenset({text})) for text in texts]
        of_value = np.array([*known, 0])[np.searchsorted(np.unique(value), value)]

        lone = np.bincount(subject, minlength=size)[subject] == 1
        everyone = np.arange(size + 1)
        late = everyone[~np.isin(everyone, subject[lone & (start == BEGINNING)])]
        closed = lone & (stop < END)
        rows = [
            (late, np.full(len(late), BEGINNING), np.zeros(len(late), np.int64)),
            (subject[lone], start[lone], of_value[lone]),
            (subject[closed], stop[closed], np.zeros(int(closed.sum()), np.int64)),
        ]
        many = np.flatnonzero(~lone)
        bounds = np.flatnonzero(np.diff(subject[many], prepend=-1))
        for part in np.split(many, bounds[1:]) if len(many) else ():
            facts = [
                (names[v] if v >= 0 else None, a, b, t)
                for v, a, b, t in zip(
                    *(x[part].tolist() for x in (value, start, stop, time)), strict=True
                )
            ]
            cuts, counting = zip(*_counting(facts), strict=True)
            numbers = np.array([self._number(values) for values in counting])
            rows.append((np.full(len(cuts), subject[part[0]]), np.array(cuts), numbers))
        self._lay_out(rows, size)

    def _lay_out(self, rows: Sequence[tuple[Ints, Ints, Ints]], size: int) -> None:
        subject, start, number = (np.concatenate(column) for column in zip(*rows, strict=True))
        # Later rows come after earlier ones of the same moment, and displace them.
        order = np.lexsort((np.arange(len(subject)), start, subject))
        subject, start, number = subject[order], start[order], number[order]
        last = np.ones(len(subject), np.bool_)
        last[:-1] = (subject[1:] != subject[:-1]) | (start[1:] != start[:-1])
        self.subject, self.start, self.number = subject[last], start[last], number[last]
        self.offsets: Ints = np.searchsorted(self.subject, np.arange(size + 2))

    def _number(self, values: frozenset[str | None]) -> int:
        number = self._numbers.setdefault(values, len(self.sets))
        if number == len(self.sets):
            self.sets.append(values)
        return number

    def at(self, subject: Ints, t: Ints) -> Ints:
        """Return the number of what counts of each subject at each time, by bisection."""
        low, high = self.offsets[subject], self.offsets[subject + 1]
        while (low + 1 < high).any():
            middle = (low + high) >> 1
            later = self.start[np.minimum(middle, len(self.start) - 1)] > t
            open_ = low + 1 < high
            high = np.where(open_ & later, middle, high)
            low = np.where(open_ & ~later, middle, low)
        found: Ints = self.number[low]
        return found

    def ever(self, match: Bytes, span: tuple[Time, Time]) -> Bytes:
        """Return the most that `match` (of each set) says of each subject within a span."""
        end = np.append(self.start[1:], END)
        end[self.offsets[1:] - 1] = END
        inside = (self.start < span[1]) & (end > span[0])
        found = np.where(inside, match[self.number], Match.NO)
        most: Bytes = np.maximum.reduceat(found, self.offsets[:-1]).astype(np.uint8)
        return most


_Fact = tuple[str | None, Time, Time, Time]
"""Value, start, stop, and when it was recorded."""


def _counting(facts: Sequence[_Fact]) -> Iterator[tuple[Time, frozenset[str | None]]]:
    """Yield from when on which values count; `facts` of one person in recorded order."""
    for t in sorted({BEGINNING} | {t for _, *times in facts for t in times}):
        valid = [n for n, (_, start, stop, _) in enumerate(facts) if start <= t < stop]
        latest = max((n for n in valid if facts[n][3] <= t), default=-1)
        yield t, frozenset(facts[n][0] for n in valid if n >= latest) or frozenset({None})


def of_class(patterns: Sequence[str], data_class: str | None) -> Match:
    """Say whether a data class is one of `patterns`; one that is not known may be."""
    if data_class is None:
        return Match.YES if ANY in patterns else Match.MAYBE
    return Match.YES if any(covers(p, data_class) for p in patterns) else Match.NO


def in_places(patterns: Sequence[str], places: Iterable[str | None]) -> Match:
    """Say whether one of `places`, where somebody may be, is one of `patterns`."""
    found = list(places)
    if any(covers_place(pattern, place) for pattern in patterns for place in found):
        return Match.YES
    return Match.MAYBE if None in found else Match.NO


def in_contracts(said: Sequence[str], contracts: Iterable[str | None]) -> Match:
    """Say whether one of `contracts` is one of `said`; None is no contract, never an unknown."""
    return Match.YES if any(c in (ANY, one) for c in said for one in contracts) else Match.NO
