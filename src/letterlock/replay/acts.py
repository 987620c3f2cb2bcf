"""The acts of the replay: each is a function with one result, which screen, report and JSON print.

Act one is the day before 18 September 2024, twice. As the complaint alleges the programme: on
unless switched off, some regions left out, written as a plain export. And through the gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from letterlock.domain import ANY, Level, Reason, Role, Time, text_of
from letterlock.gate import Gate, Outcome
from letterlock.policy.decide import Answer, Decision
from letterlock.policy.document import Document
from letterlock.release import manifest
from letterlock.release.build import Progress
from letterlock.release.verify import verify
from letterlock.replay.world import MAPPING, MAPPING_NAME, Network, Step, World
from letterlock.reports.class_query import SENT_OR_RECEIVED, ClassQuery
from letterlock.reports.exposure import ARITHMETIC
from letterlock.sources.mapping import read_mapping

NOT_KNOWN: Final = "Not known"

_TRIED: Final = 50
"""Among how many messages the one to explain is looked for."""
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Alleged:
    """The programme as the complaint alleges it, acted out on made-up people.

    `people`: Premium members who sent or received a message of the class that is in the export.
    `wrong`: rows of it that the gate would have kept back. `bystanders`: people of the excluded
    regions in it all the same, because a plain export looks at the author alone.
    """

    exported: int
    by_class: Mapping[str, int]
    people: int
    sent: int
    received: int
    dollars_each: int
    wrong: int
    bystanders: int

    @property
    def dollars(self) -> int:
        """Return people × dollars: arithmetic of an allegation."""
        return self.people * self.dollars_each


@dataclass(frozen=True)
class Gated:
    """What the gate let go on the same day; `people` counts the class as in `Alleged`."""

    release: str
    outcome: Outcome
    by_class: Mapping[str, int]
    members: int
    people: int


@dataclass(frozen=True)
class Yield:
    """One region: its items (by their author) and its people, and what of them went."""

    region: str
    excluded: bool
    items: int
    exported: int
    released: int
    people: int
    present: int


@dataclass(frozen=True)
class Asked:
    """Something that a source asks of a person; `decides`: it is why the message stays."""

    source: str
    clause: str
    needs: str
    decides: bool


@dataclass(frozen=True)
class Side:
    """One person's side of the message explained."""

    role: str
    subject: str
    reason: str | None
    asked: tuple[Asked, ...]
    said: str


@dataclass(frozen=True)
class Blocked:
    """A message which its author allowed and its recipient's contract blocks."""

    item: str
    text: str
    made: Time
    reason: str
    role: str
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class ActOne:
    """Everything the first act found. `others`: what the gate would let go to other recipients."""

    asked: Time
    setting: str
    what_for: str
    regions_excluded: tuple[str, ...]
    items: Mapping[str, int]
    alleged: Alleged
    gated: Gated
    others: tuple[Outcome, ...]
    yields: tuple[Yield, ...]
    blocked: Blocked | None

    @property
    def total(self) -> int:
        """Return how many items there are."""
        return sum(self.items.values())

    def commands(self, out: Path) -> list[list[str]]:
        """Return what to try next, as command lines that run where `out` is the demo's folder."""
        outcome, place = self.gated.outcome, ["-w", str(out / "workspace")]
        asked = ["-p", outcome.purpose, "-r", outcome.recipient.id]
        others = [["-p", outcome.purpose, "-r", other.recipient.id] for other in self.others[:1]]
        mapping = ["--mapping", str(out / MAPPING_NAME)]
        found = [
            ["verify", str(out / "workspace" / "releases" / self.gated.release)],
            *([["explain", self.blocked.item, *asked, *place]] if self.blocked else []),
            *(["plan", *other, *place] for other in others),
            ["check", str(out / "baseline"), *mapping, *asked, *place],
        ]
        return [["letterlock", *words] for words in found]

    def record(self) -> dict[str, Any]:
        """Return the act as JSON."""
        alleged, gated, blocked = self.alleged, self.gated, self.blocked
        return {
            "asked": text_of(self.asked),
            "setting": self.setting,
            "items": dict(self.items),
            "alleged": {
                "note": ARITHMETIC,
                "regions_excluded": list(self.regions_excluded),
                **vars(alleged),
                "by_class": dict(alleged.by_class),
                "dollars": alleged.dollars,
            },
            "gate": {
                "release": gated.release,
                **_outcome(gated.outcome),
                "by_class": dict(gated.by_class),
                "members": gated.members,
                "people": gated.people,
            },
            "others": [_outcome(other) for other in self.others],
            "yields": [vars(each) for each in self.yields],
            "explained": None
            if blocked is None
            else {
                **vars(blocked),
                "made": text_of(blocked.made),
                "sides": [
                    {**vars(side), "asked": [vars(a) for a in side.asked]} for side in blocked.sides
                ],
            },
        }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "purpose": outcome.purpose,
        "recipient": outcome.recipient.id,
        "recipient_class": outcome.recipient.recipient_class.value,
        "released": outcome.released,
        "withheld": {r.name.lower(): n for r, n in sorted(outcome.withheld.items())},
    }


def day_of(t: Time) -> str:
    """Write the day of a time, as in 17 Sep 2024."""
    year, month, day = str(np.datetime64(t, "us").astype("datetime64[D]")).split("-")
    return f"{int(day)} {_MONTHS[3 * int(month) - 3 : 3 * int(month)]} {year}"


def act_one(  # noqa: PLR0913, PLR0917 - the world, where it was acted out, and where to write
    world: World, network: Network, document: Document, gate: Gate, out: Path, progress: Progress
) -> ActOne:
    """Act out the day asked about, as alleged and through the gate; `out` is the demo's folder."""
    question, items = world.question, network.items
    others = [gate.plan(question.purpose, r, progress=progress) for r in question.others]
    columns = Columns(world, network)

    exported = columns.exported()
    baseline = out / "baseline"
    baseline.mkdir()
    pq.write_table(
        items.filter(pa.array(exported)), baseline / "part-0.parquet", compression="zstd"
    )
    mapping = read_mapping(MAPPING.encode(), MAPPING_NAME)
    checked = gate.check(baseline, mapping, question.purpose, question.recipient)
    of_class = OfClass(world, gate)
    sent, received = of_class.inside(exported)

    built = gate.build(question.purpose, question.recipient, progress=progress)
    verify(built.folder)
    withheld = pq.read_table(built.folder / manifest.PRIVATE / manifest.WITHHELD)
    released = ~np.asarray(pc.is_in(items.column("item"), value_set=withheld.column("item")))
    return ActOne(
        asked=world.dates.asked,
        setting=document.settings[question.setting].title,
        what_for=document.purposes[question.purpose]["en"],
        regions_excluded=tuple(region.name for region in world.regions if region.excluded),
        items=columns.by_class(np.ones(items.num_rows, np.bool_)),
        alleged=Alleged(
            exported=int(exported.sum()),
            by_class=columns.by_class(exported),
            people=len(sent | received),
            sent=len(sent),
            received=len(received),
            dollars_each=question.dollars,
            wrong=len(checked.denied),
            bystanders=int((columns.inside(exported) & columns.excluded).sum()),
        ),
        gated=Gated(
            release=built.release,
            outcome=gate.outcome_of(built),
            by_class=columns.by_class(released),
            members=int(built.record["members"]),
            people=len(set().union(*of_class.inside(released))),
        ),
        others=tuple(others),
        yields=tuple(columns.yields(exported, released)),
        blocked=_blocked(world, network, gate, withheld),
    )


def class_of(world: World) -> ClassQuery:
    """Return the complaint's class, as `exposure` and `disgorge` ask for one."""
    asked = world.question
    places = [p for region in world.regions if region.name in asked.regions for p in region.places]
    return ClassQuery(
        asked.messages,
        (asked.contract or ANY,),
        tuple(places) or (ANY,),
        asked.since,
        asked.before,
    )


class OfClass:
    """The complaint's class among the network's items, found by the query that `exposure` asks."""

    def __init__(self, world: World, gate: Gate) -> None:
        """Find it in the one table of the network, as registered; its rows are the items'."""
        (source,) = gate.sources()
        self._matching = gate.matching(class_of(world))
        self._hits = self._matching.hits(source)
        self._ids = gate.store.subject_ids()

    def inside(self, chosen: Bools) -> tuple[set[str], set[str]]:
        """Return who of the class sent, and who received, an item that is chosen, (items,)."""
        hits = self._hits.where(chosen[self._hits.row])
        sent, received = (
            {self._ids[n] for n in self._matching.people(hits, way).tolist()}
            for way in SENT_OR_RECEIVED
        )
        return sent, received


class Columns:
    """The network in arrays: who wrote what, where they live, who switched it off."""

    def __init__(self, world: World, network: Network) -> None:
        """Lay the network out."""
        self.world, self.items = world, network.items
        members, acts = network.members, network.choices
        self.member = members.column("member").combine_chunks()
        self.region = members.column("region").fill_null(NOT_KNOWN).to_numpy()
        self.excluded = np.isin(self.region, [r.name for r in world.regions if r.excluded])
        self.author = self._numbers(self.items.column("author"))
        refused = acts.filter(pc.is_in(acts.column("act"), pa.array(["object", "withdraw"])))
        never = np.iinfo(np.int64).max
        self.switched_off = np.full(len(self.member), never, np.int64)
        who = self._numbers(refused.column("subject"))
        np.minimum.at(self.switched_off, who, _times(refused, "time"))
        self.created_at = _times(self.items, "created_at")

    def _numbers(self, ids: pa.ChunkedArray) -> Ints:
        """Return each id's place among the members; -1 for whoever is none."""
        found = pc.fill_null(pc.index_in(ids, value_set=self.member), -1)
        return np.asarray(found, np.int64)

    def exported(self) -> Bools:
        """Return what a plain export of the programme holds: judged by the author alone."""
        off = self.switched_off < np.iinfo(np.int64).max
        return np.asarray(~(off | self.excluded)[self.author])

    def exported_on(self, step: Step) -> Bools:
        """Return what it would hold on a day, with what was reported of that day."""
        left_out = np.isin(self.region, step.left_out)
        of_author = ~(left_out | (self.switched_off <= step.at))
        classes = self.items.column("data_class").to_numpy()
        covered = np.isin(classes, step.covers or [each.id for each in self.world.classes])
        return np.asarray(of_author[self.author] & covered & (self.created_at <= step.at) & step.on)

    def by_class(self, chosen: Bools) -> dict[str, int]:
        """Count the chosen items of each data class."""
        classes = self.items.column("data_class").to_numpy()[chosen]
        return {each.id: int((classes == each.id).sum()) for each in self.world.classes}

    def inside(self, chosen: Bools) -> Bools:
        """Return who is in the chosen items, in whatever role, (members,)."""
        rows = self.items.filter(pa.array(chosen))
        found = np.zeros(len(self.member) + 1, np.bool_)  # the last: whoever is no member
        found[self.author[chosen]] = True
        for name in ("recipients", "members"):
            found[self._numbers(rows.column(name).combine_chunks().flatten())] = True
        return found[:-1]

    def yields(self, exported: Bools, released: Bools) -> Iterator[Yield]:
        """Count each region's items and people, and what of them went."""
        region, present = self.region[self.author], self.inside(released)
        listed = [(each.name, each.excluded) for each in self.world.regions]
        for name, excluded in (*listed, (NOT_KNOWN, True)):
            mine, people = region == name, self.region == name
            yield Yield(
                name,
                excluded,
                items=int(mine.sum()),
                exported=int((mine & exported).sum()),
                released=int((mine & released).sum()),
                people=int(people.sum()),
                present=int((people & present).sum()),
            )


def _times(table: pa.Table, column: str) -> Ints:
    """Return times as microseconds; the largest number for never."""
    never = np.iinfo(np.int64).max
    return np.asarray(pc.fill_null(table.column(column).cast(pa.int64()), never), np.int64)


def _blocked(world: World, network: Network, gate: Gate, withheld: pa.Table) -> Blocked | None:
    """Return the first message which its author allowed and its recipient's contract blocks.

    Those whose recipient said yes too come first: there the contract alone decides.
    """
    question, choices, items = world.question, network.choices, network.items
    for column, value in (("reason", Reason.CONTRACT), ("role", Role.RECIPIENT)):
        names = withheld.column(column).cast(pa.string())
        withheld = withheld.filter(pc.equal(names, value.name.lower()))
    for column, name in (
        ("act", "grant"),
        ("data_class", question.messages),
        ("recipient", question.recipient),
    ):
        choices = choices.filter(pc.equal(choices.column(column), name))
    yes = choices.column("subject")
    items = items.filter(pc.equal(items.column("data_class"), question.messages))
    items = items.filter(pc.is_in(items.column("item"), value_set=withheld.column("item")))
    items = items.filter(pc.is_in(items.column("author"), value_set=yes))
    both = pc.is_in(pc.list_element(items.column("recipients"), 0), value_set=yes)
    likely = [*items.filter(both).to_pylist(), *items.filter(pc.invert(both)).to_pylist()]
    second = None
    for row in likely[:_TRIED]:
        _, item, decision = gate.explain(row["item"], question.purpose, question.recipient)[0]
        if any((a.reason is None) != (a.party.role is Role.AUTHOR) for a in decision.answers):
            continue
        found = Blocked(
            item.id, row["text"], item.created_at or 0, *_decided(decision),
            tuple(_side(answer) for answer in decision.answers),
        )  # fmt: skip
        if all(answer.grants for answer in decision.answers):
            return found
        second = second or found
    return second


def _decided(decision: Decision) -> tuple[str, str]:
    reason, role = decision.reason, decision.role
    return (
        "" if reason is None else reason.name.lower(),
        "" if role is None else role.name.lower(),
    )


def _side(answer: Answer) -> Side:
    asked = [
        Asked(
            r.source, r.clause, _needs(r.level), r.reason is not None and r.reason == answer.reason
        )
        for r in answer.requirements
    ]
    said = "nothing that permits this"
    for line in answer.grants[:1]:
        kind = "an explicit yes" if line.explicit else "yes"
        earlier = ", for what was there already" if line.earlier else ""
        said = f"{kind}, recorded {day_of(line.recorded_at)}{earlier}"
    return Side(
        answer.party.role.name.lower(),
        answer.party.subject or "somebody unknown",
        None if answer.reason is None else answer.reason.name.lower(),
        tuple(dict.fromkeys(asked)),
        said,
    )


def _needs(level: Level | None) -> str:
    if level is None:
        return "cannot be read"
    return "forbids" if level is Level.NEVER else f"needs {level.name.lower().replace('_', ' ')}"
