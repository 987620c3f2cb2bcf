"""A class of people and items, as a complaint, an order or an exposure defines it (R44, R45).

An item is of the class if somebody in it is: who had the contract when it was made, and lived in a
place of the class then or lives there now. One query for all who count: the replay's first acts,
`exposure` and `disgorge`. What is not known (a class, a date, a place, an erased person) neither
counts nor is passed over: it is counted apart. Spec: docs/exposure.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from letterlock.domain import ANY, BEGINNING, END, FactKind, Time, text_of
from letterlock.ledger import EventStore
from letterlock.release.affected import Released, Table
from letterlock.release.facts import Match, Steps, in_contracts, in_places, of_class
from letterlock.release.kernel import ROLE_SHIFT, SUBJECT_MASK, Items
from letterlock.release.plan import Kind
from letterlock.release.purge import Source

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


class Way(IntEnum):
    """How somebody takes part: an author sent an item, its recipients and members received it."""

    SENT = 0
    RECEIVED = 1
    QUOTED = 2


_WAYS: Final = np.array([Way.SENT, Way.RECEIVED, Way.RECEIVED, Way.QUOTED], np.uint8)
"""By role."""
SENT_OR_RECEIVED: Final = (Way.SENT, Way.RECEIVED)
EVERY_WAY: Final = tuple(Way)


@dataclass(frozen=True)
class ClassQuery:
    """Which items, of whom, and disclosed to whom; what is left out stands for anything.

    `data_class` is a name or `x.*`; `recipients` are ids or kinds of recipients; `made_before` and
    `disclosed_before` are times which themselves are no longer in it.
    """

    data_class: str = ANY
    contracts: tuple[str, ...] = (ANY,)
    jurisdictions: tuple[str, ...] = (ANY,)
    made_from: Time = BEGINNING
    made_before: Time = END
    ways: tuple[Way, ...] = SENT_OR_RECEIVED
    recipients: tuple[str, ...] = (ANY,)
    disclosed_before: Time = END

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read the query of an `order.received`: it reaches whoever is in an item, quoted too."""
        return cls(
            body["data_class"] or ANY,
            tuple(body["contracts"]) or (ANY,),
            tuple(body["jurisdictions"]) or (ANY,),
            BEGINNING if body["from"] is None else body["from"],
            END if body["to"] is None else body["to"],
            EVERY_WAY,
            tuple(body["recipients"]) or (ANY,),
            END if body["disclosed_before"] is None else body["disclosed_before"],
        )

    def names(self, recipient: str, kind: str) -> bool:
        """Say whether the query speaks of a recipient of this id and kind."""
        return bool({ANY, recipient, kind} & set(self.recipients))

    def record(self) -> dict[str, Any]:
        """Return the query as JSON."""
        return {
            "data_class": self.data_class,
            "contracts": list(self.contracts),
            "jurisdictions": list(self.jurisdictions),
            "made_from": None if self.made_from == BEGINNING else text_of(self.made_from),
            "made_before": None if self.made_before == END else text_of(self.made_before),
            "ways": [way.name.lower() for way in self.ways],
            "recipients": list(self.recipients),
            "disclosed_before": (
                None if self.disclosed_before == END else text_of(self.disclosed_before)
            ),
        }


@dataclass(frozen=True)
class Hits:
    """Who of the class is, or may be, in which item of one source; (n,) each, in order of rows.

    `row` counts from 0 over the source's row groups, `made` is END where no date is known.
    """

    row: Ints
    subject: Ints
    way: Bytes
    match: Bytes
    kind: Ints
    made: Ints

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.row)

    def where(self, chosen: Bools) -> Hits:
        """Return those that are chosen, (n,)."""
        return Hits(*(column[chosen] for column in vars(self).values()))

    @staticmethod
    def join(parts: Sequence[Hits]) -> Hits:
        """Return all hits of one source."""
        if not parts:
            none, nothing = np.zeros(0, np.int64), np.zeros(0, np.uint8)
            return Hits(none, none, nothing, nothing, none, none)
        columns: Any = zip(*(vars(part).values() for part in parts), strict=True)
        return Hits(*(np.concatenate(each) for each in columns))


@dataclass(frozen=True)
class Count:
    """How many items and members are of the class.

    `unclear` items may be, and `maybe` people: something about them is not known. `others` are
    people of the class who are no members.
    """

    items: int
    people: int
    sent: int
    received: int
    unclear: int = 0
    maybe: int = 0
    others: int = 0

    def record(self) -> dict[str, int]:
        """Return the counts as JSON."""
        return dict(vars(self))


class Matching:
    """One query held against everybody, as recorded by `as_of`."""

    def __init__(self, store: EventStore, query: ClassQuery, *, as_of: Time, upto: int) -> None:
        """Fold where everybody was, which contract they had, and who is a member."""
        self.query, size = query, len(store.subject_ids())
        self._size, self._as_of = size, as_of
        self._places = Steps(store, FactKind.JURISDICTION, as_of, upto, size)
        self._contracts = Steps(store, FactKind.CONTRACT, as_of, upto, size)
        self._in_places = _say(self._places, lambda s: in_places(query.jurisdictions, s))
        self._of_contracts = _say(self._contracts, lambda s: in_contracts(query.contracts, s))
        self.members, self._erased = _members(store, as_of, upto, size)
        everyone = np.arange(size + 1)
        now = np.full(size + 1, as_of)
        span = (query.made_from, query.made_before)
        self._place_now = self._in_places[self._places.at(everyone, now)]
        self._place_ever = self._places.ever(self._in_places, span)
        self._contract_ever = self._contracts.ever(self._of_contracts, span)

    def hits(self, source: Source) -> Hits:
        """Return who of the class is in which item of a source, reading a row group at a time."""
        parts, first = [], 0
        for group in range(source.groups):
            items = source.items(group)
            parts.append(self.of(source.kinds, items, first))
            first += len(items.created_at)
        return Hits.join(parts)

    def of(self, kinds: Sequence[Kind], items: Items, first: int = 0) -> Hits:
        """Return who of the class is in which of a batch of items, which begins at row `first`."""
        rows = np.arange(len(items.created_at))
        row = np.repeat(rows, np.diff(items.offsets))
        way = _WAYS[items.parties >> ROLE_SHIFT]
        kind, made = items.kind[row], items.created_at[row]
        found = [self._hits(kinds, row + first, items.parties, way, kind, made)]
        if items.quotes is not None and items.quote_offsets is not None:
            row = np.repeat(rows, np.diff(items.quote_offsets))
            way = np.full(len(row), Way.QUOTED, np.uint8)
            at: Any = items.quote_at
            kind_of: Any = items.quote_kind
            found.append(self._hits(kinds, row + first, items.quotes, way, kind_of, at))
        return Hits.join(found)

    def _hits(  # noqa: PLR0913, PLR0917 - the columns of one list of parties
        self,
        kinds: Sequence[Kind],
        row: Ints,
        parties: npt.NDArray[np.uint32],
        way: Bytes,
        kind: npt.NDArray[np.uint16],
        made: Ints,
    ) -> Hits:
        subject = np.minimum(parties & SUBJECT_MASK, self._size).astype(np.int64)
        kind_of = np.minimum(kind, len(kinds)).astype(np.int64)
        match = self._match(kinds, subject, kind_of, made)
        found = Hits(row, subject, way, match, kind_of, made)
        return found.where((match > Match.NO) & np.isin(way, self.query.ways))

    def _match(self, kinds: Sequence[Kind], subject: Ints, kind: Ints, made: Ints) -> Bytes:
        query, undated = self.query, made == END
        classes = [of_class((query.data_class,), each.data_class) for each in kinds]
        of_kind = np.array([*classes, of_class((query.data_class,), None)], np.uint8)[kind]
        always = (query.made_from, query.made_before) == (BEGINNING, END)
        inside = (made >= query.made_from) & (made < query.made_before)
        period = np.where(
            undated,
            Match.YES if always else Match.MAYBE,
            np.where(inside, Match.YES, Match.NO),
        )
        then = np.where(undated, BEGINNING, made)
        place = self._in_places[self._places.at(subject, then)]
        contract = self._of_contracts[self._contracts.at(subject, then)]
        if ANY not in query.jurisdictions:
            place = np.where(undated, np.minimum(self._place_ever[subject], Match.MAYBE), place)
        if ANY not in query.contracts:
            ever = np.minimum(self._contract_ever[subject], Match.MAYBE)
            contract = np.where(undated, ever, contract)
            contract = np.where(self._erased[subject], Match.MAYBE, contract)
        place = np.maximum(place, self._place_now[subject])
        found: Bytes = np.minimum(np.minimum(of_kind, period), np.minimum(place, contract))
        return found.astype(np.uint8)

    def count(self, hits: Hits) -> Count:
        """Count items and people; each once, whatever they are in."""
        sure = hits.where(hits.match == Match.YES)
        items = len(np.unique(sure.row))
        people = self.named(sure.subject)
        maybe = self.named(hits.subject)
        sent, received = (self.named(sure.subject[sure.way == w]) for w in SENT_OR_RECEIVED)
        named = np.unique(sure.subject[sure.subject < self._size])
        return Count(
            items, len(people), len(sent), len(received),
            unclear=len(np.unique(hits.row)) - items,
            maybe=len(np.setdiff1d(maybe, people)),
            others=len(named) - len(people),
        )  # fmt: skip

    def people(self, hits: Hits, *ways: Way) -> Ints:
        """Return the numbers of the members who are of the class, ascending: in `ways`, or any."""
        sure = hits.match == Match.YES
        if ways:
            sure &= np.isin(hits.way, ways)
        return self.named(hits.subject[sure])

    def named(self, subject: Ints) -> Ints:
        """Return which of some subjects are members, or were until they were erased; each once."""
        found: Ints = np.unique(subject)
        known = found < self._size
        return found[known & (self.members | self._erased)[found]]


def _say(steps: Steps, says: Any) -> Bytes:  # noqa: ANN401 - of one set of values, a Match
    return np.array([says(values) for values in steps.sets], np.uint8)


def _members(store: EventStore, as_of: Time, upto: int, size: int) -> tuple[Bools, Bools]:
    """Return who is a member, and of whom an event was erased; one more for whoever is unknown."""

    def read(table: str, *names: str) -> list[Ints]:
        found = store.columns(table, names, as_of=as_of, upto=upto)
        return [found.column(name).to_numpy() for name in names]

    members, erased = np.zeros(size + 1, np.bool_), np.zeros(size + 1, np.bool_)
    subject, member = read("person", "subject", "member")
    members[subject] = member.astype(np.bool_)  # recorded order: the last one wins
    (gone,) = read("erased", "subject")
    erased[gone] = True
    members[gone] = False
    return members, erased


# ── which of them a release holds ───────────────────────────────────────────────────────────


def ids_of(source: Source, rows: Ints) -> pa.ChunkedArray:
    """Return the ids of some rows of a source, as texts; `rows` ascending, (n,)."""
    first, found = 0, []
    for group in range(source.groups):
        last = first + len(source.items(group).created_at)
        here = rows[(rows >= first) & (rows < last)] - first
        if len(here):
            found += source.ids(group).take(pa.array(here)).cast(pa.string()).chunks
        first = last
    return pa.chunked_array(found, pa.string())


def released(source: Table, hits: Hits, went: Released) -> Hits:
    """Return the hits in items that went with a release; raises as `went` does."""
    rows = [went(source, group) for group in range(source.groups)]
    return hits.where(np.concatenate([np.zeros(0, np.bool_), *rows])[hits.row])
