"""How many people, notices and choices there are, by where somebody is said to live. No ids.

Read from the decision columns, for everybody at once. Somebody counts as living where the facts
recorded of them say at that moment; of whom nothing is known, that is said apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from letterlock.domain import Act, FactKind, Rulebook, Span
from letterlock.ledger import EventStore, read_shape
from letterlock.release.facts import Match, Steps, in_places
from letterlock.release.reach import Reach

Ints = npt.NDArray[np.int64]

NOWHERE: Final = "not known"


@dataclass(frozen=True)
class Count:
    """Something that was recorded: how often, and of how many people.

    `here` are those who lived in the region then, `maybe` those of whom it is not known.
    """

    here: int
    people: int
    maybe: int


def people_by_place(store: EventStore, rules: Rulebook, upto: int) -> dict[str, tuple[int, int]]:
    """Count members and others by where they live as of `rules.as_of`; two places are joined."""
    reach, ids = Reach(store, rules, upto), len(store.subject_ids())
    steps = Steps(store, FactKind.JURISDICTION, rules.as_of, upto, ids)
    read = {
        name: store.columns(name, ("subject",), as_of=rules.as_of, upto=upto).column(0).to_numpy()
        for name in ("person", "erased")
    }
    recorded = np.setdiff1d(read["person"], read["erased"])
    lives = steps.at(recorded, np.full(len(recorded), rules.as_of))
    found: dict[str, tuple[int, int]] = {}
    for number in np.unique(lives).tolist():
        here = recorded[lives == number]
        members = int(np.count_nonzero(reach.members[here]))
        name = " or ".join(sorted(each or NOWHERE for each in steps.sets[number]))
        found[name] = (members, len(here) - members)
    return found


class Region:
    """What was recorded in a span of time of the people of a region."""

    def __init__(
        self, store: EventStore, places: Sequence[str], span: Span, rules: Rulebook, upto: int
    ) -> None:
        """Read who lived where; `places` as ISO 3166 writes them."""
        self._store, self._span, self._rules, self._upto = store, span, rules, upto
        size = len(store.subject_ids())
        self._steps = Steps(store, FactKind.JURISDICTION, rules.as_of, upto, size)
        self._lives = np.array([in_places(places, each) for each in self._steps.sets], np.int64)
        self._names = {number: name for name, number in store.symbols().items()}

    def notices(self) -> dict[str, Count]:
        """Count the notices delivered, by the version that they were of."""
        read = self._read("notice", "version")
        return {self._names[v]: c for v, c in self._counted(*read).items()}

    def objections(self) -> dict[str, Count]:
        """Count the objections to versions, by the version; taking one back is none."""
        read = self._read("objection", "version", where="taken_back = 0")
        return {self._names[v]: c for v, c in self._counted(*read).items()}

    def choices(self) -> dict[tuple[str, str], Count]:
        """Count the lines of choices, by act and purpose: a choice has one line or more."""
        subject, time, shape = self._read("line", "shape")
        said = {n: read_shape(self._names[n]) for n in np.unique(shape).tolist()}
        kinds = sorted({(s.act, s.purpose) for s in said.values() if s is not None})
        order = {kind: n for n, kind in enumerate(kinds)}
        of = {n: order[s.act, s.purpose] for n, s in said.items() if s is not None}
        kind = np.array([of.get(n, -1) for n in shape.tolist()], np.int64)
        known = kind >= 0
        counted = self._counted(subject[known], time[known], kind[known])
        return {(Act(kinds[n][0]).value, kinds[n][1]): c for n, c in counted.items()}

    def _read(self, table: str, key: str, where: str = "") -> tuple[Ints, Ints, Ints]:
        inside = f"time >= {self._span.start} AND time < {self._span.end}"
        read = self._store.columns(
            table, ("subject", "time", key), as_of=self._rules.as_of, upto=self._upto,
            where=f"{inside} AND {where}" if where else inside,
        )  # fmt: skip
        subject, time, value = (read.column(name).to_numpy() for name in read.column_names)
        return subject, time, value

    def _counted(self, subject: Ints, time: Ints, key: Ints) -> Mapping[int, Count]:
        match = self._lives[self._steps.at(subject, time)] if len(subject) else subject
        found = {}
        for value in np.unique(key).tolist():
            mine = key == value
            here = mine & (match == Match.YES)
            people = len(np.unique(subject[here]))
            maybe = int(np.count_nonzero(mine & (match == Match.MAYBE)))
            if people or maybe:  # what only people elsewhere did is not told
                found[value] = Count(int(np.count_nonzero(here)), people, maybe)
        return found
