"""People: who they are, what is known of them, and what they choose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from letterlock.domain import Act, Rulebook, Time, text_of
from letterlock.errors import InputError
from letterlock.gate.workspace import Workspace
from letterlock.ledger import Draft, mark_of, read_shape
from letterlock.sources import choices, people
from letterlock.sources.records import Refused, Row

FEW: Final = 500
"""Up to so many people are asked for by name; for more, everyone's columns are read."""


@dataclass
class Loaded:
    """What came of a file of records."""

    recorded: int = 0
    already: int = 0
    refused: list[Refused] = field(default_factory=list)
    widened: list[Refused] = field(default_factory=list)


@dataclass
class _Recorded:
    """What the ledger holds of some subjects."""

    known: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    refused_at: dict[str, Time] = field(default_factory=dict)
    told: dict[str, set[str]] = field(default_factory=dict)
    marks: set[int] = field(default_factory=set)


class People(Workspace):
    """The verbs about people."""

    def register_subjects(self, rows: Iterable[Row]) -> Loaded:
        """Register members from rows; whoever is registered already and unchanged is left alone."""
        loaded = Loaded()
        drafts = people.registrations(rows, self.rules(), loaded.refused)
        with self._writing():
            return self._load(drafts, loaded, "subject.registered")

    def register_facts(self, rows: Iterable[Row]) -> Loaded:
        """Record facts from rows."""
        loaded = Loaded()
        with self._writing():
            return self._load(people.facts(rows, loaded.refused), loaded, "subject.fact")

    def load_choices(self, rows: Iterable[Row]) -> Loaded:
        """Record choices from rows, in the order of their acts; the same act is recorded once."""
        now, rules = self.now(), self.rules()
        reading = choices.read(rows, rules, now)
        loaded = Loaded(refused=reading.refused, widened=reading.widened)

        with self._writing():
            before = self._recorded_choices({said.subject for said in reading.said}, rules)
            fresh = []
            for said in reading.said:
                mark = mark_of(said.body)
                if mark in before.marks:
                    loaded.already += 1
                else:
                    before.marks.add(mark)
                    fresh.append(said)
            reading.said = fresh
            describing = {
                name: {v.version for v in rules.policies if name in v.settings}
                for name in rules.introduced
            }

            def told(subject: str, setting: str) -> bool:
                return not describing[setting].isdisjoint(before.told.get(subject, ()))

            drafts = choices.drafts(reading, before.members, before.known, before.refused_at, told)
            self._load(drafts, loaded, "choice.made")
        loaded.refused.sort()
        return loaded

    def choose(  # noqa: PLR0913 - one choice, as its subject makes it
        self,
        subject: str,
        act: str,
        *,
        purpose: str,
        data_class: str,
        recipient: str,
        channel: str,
        text: str = "",
        earlier: bool = False,
        explicit: bool = False,
        categories: Sequence[str] = (),
    ) -> None:
        """Record one choice, made now. Raises InputError if it cannot be."""
        values: dict[str, Any] = {
            "subject": subject, "act": act, "purpose": purpose, "data_class": data_class,
            "recipient": recipient, "channel": channel, "time": text_of(self.now()),
        }  # fmt: skip
        if act == Act.GRANT:
            values |= {"text": text, "earlier": earlier, "explicit": explicit}
            values |= {"categories": list(categories)}
        loaded = self.load_choices([Row(1, values)])
        for problem in (*loaded.refused, *loaded.widened):
            raise InputError(problem.why)

    def _load(self, drafts: Iterator[Draft], loaded: Loaded, kind: str) -> Loaded:
        """Record drafts; counts those of the kind that each row stands for."""
        counted = 0

        def counting() -> Iterator[Draft]:
            nonlocal counted
            for draft in drafts:
                counted += draft.kind == kind
                yield draft

        self.store.append(counting(), now=self.now())
        loaded.recorded = counted
        return loaded

    def _recorded_choices(self, subjects: set[str], rules: Rulebook) -> _Recorded:
        """Return what the ledger holds of these subjects that decides what may be added."""
        head = self.store.head()
        found = _Recorded()
        numbers = {name: n for n, name in enumerate(self.store.subject_ids())}
        wanted = {numbers[s]: s for s in subjects if s in numbers}
        if not wanted:
            return found

        few = len(wanted) <= FEW
        where = f"subject IN ({','.join(map(str, wanted))})" if few else ""

        def theirs(table: str, *names: str) -> Iterator[tuple[int, ...]]:
            columns = ("subject", *names)
            read = self.store.columns(table, columns, as_of=head.time, upto=head.index, where=where)
            read = read.filter(pc.is_in(read.column("subject"), value_set=pa.array(wanted)))
            return zip(*(read.column(name).to_pylist() for name in columns), strict=True)

        for number, member in theirs("person", "member"):
            found.known.add(wanted[number])
            (found.members.add if member else found.members.discard)(wanted[number])
        symbols = self.store.symbols()
        versions = {symbols[v.version]: v for v in rules.policies if v.version in symbols}
        for number, symbol_of_version, index in theirs("notice", "version", "idx"):
            version = versions.get(symbol_of_version)
            if version is not None and index > version.index:
                found.told.setdefault(wanted[number], set()).add(version.version)
        refusals = {
            number
            for symbol, number in symbols.items()
            if (shape := read_shape(symbol)) is not None and shape.act is not Act.GRANT
        }
        for number, line, acted, mark in theirs("line", "shape", "acted", "mark"):
            found.marks.add(mark)
            if line in refusals:
                name = wanted[number]
                found.refused_at[name] = max(acted, found.refused_at.get(name, acted))
        return found
