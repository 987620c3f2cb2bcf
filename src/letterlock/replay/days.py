"""Act two of the replay: the time line, day by day, twice.

As the programme was reported that day, written as a plain export; and through the gate, where the
network tries what was reported, publishes in the right order, and sets a hold when it is told to.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from letterlock.domain import BEGINNING, END, Reason, RecipientClass, Time, text_of
from letterlock.errors import LetterlockError
from letterlock.gate import Gate
from letterlock.gate.releases import outcome_of
from letterlock.ledger import Draft
from letterlock.policy.document import check as check_policy
from letterlock.policy.toml import Finding
from letterlock.release.build import Progress
from letterlock.release.kernel import ALLOW
from letterlock.replay.acts import Columns, OfClass
from letterlock.replay.world import Network, Step, World, publish
from letterlock.reports.exposure import ARITHMETIC


@dataclass(frozen=True)
class Try:
    """Something put forward in the order reported, and what stopped it."""

    what: str
    requirement: str
    refusal: str


@dataclass(frozen=True)
class Passed:
    """What the gate would let go to one recipient on a day.

    `of_class`: people of the complaint's class in it; of a recipient outside the company only.
    """

    recipient: str
    kind: str
    released: int
    people: int
    of_class: int
    withheld: Mapping[Reason, int]


@dataclass(frozen=True)
class Day:
    """A day, twice. `people`: of the complaint's class, in what would have been disclosed."""

    at: Time
    title: str
    exported: int
    disclosed: int
    people: int
    passed: tuple[Passed, ...]
    tries: tuple[Try, ...] = ()
    findings: tuple[Finding, ...] = ()

    def broken(self) -> dict[str, str]:
        """Return each requirement that what was tried breaks, and where it does so first."""
        found: dict[str, str] = {}
        for finding in self.findings:
            place = f"{finding.file.rsplit('/', 1)[-1]}:{finding.line}"
            for requirement in filter(None, finding.requirement.split(", ")):
                found.setdefault(requirement, place)
        return dict(sorted(found.items(), key=lambda pair: int(pair[0][1:])))

    def record(self) -> dict[str, Any]:
        """Return the day as JSON."""
        return {
            "at": text_of(self.at),
            "title": self.title,
            "alleged": {
                "note": ARITHMETIC,
                "items": self.exported,
                "people": self.disclosed,
                "class": self.people,
            },
            "gate": [
                {
                    "recipient": p.recipient,
                    "recipient_class": p.kind,
                    "released": p.released,
                    "people": p.people,
                    "class": p.of_class,
                    "withheld": {r.name.lower(): n for r, n in sorted(p.withheld.items()) if n},
                }
                for p in self.passed
            ],
            "tried": [vars(each) for each in self.tries],
            "findings": [
                {name: getattr(f, name) for name in ("file", "line", "requirement", "message")}
                for f in self.findings
            ],
        }


def day_by_day(  # noqa: PLR0913, PLR0917 - the world, what was drawn of it, and where it stands
    world: World,
    network: Network,
    example: Path,
    folders: Mapping[str, Mapping[str, bytes]],
    workspace: Path,
    progress: Progress,
) -> tuple[Day, ...]:
    """Act out every day of the world in the workspace, in order.

    `folders` holds the files of each policy that a day names.
    """
    columns, found = Columns(world, network), []
    for done, step in enumerate(world.days, 1):
        gate = Gate(workspace, now=step.at)
        try:
            found.append(_day(world, network, columns, step, example, folders, gate))
        finally:
            gate.close()
        progress("day by day", done, len(world.days))
    return tuple(found)


def _day(  # noqa: PLR0913, PLR0917 - a day, and all that it takes
    world: World,
    network: Network,
    columns: Columns,
    step: Step,
    example: Path,
    folders: Mapping[str, Mapping[str, bytes]],
    gate: Gate,
) -> Day:
    tries: list[Try] = []
    findings: list[Finding] = []
    if step.tries:
        place, files = str(example / step.tries), folders[step.tries]
        findings = check_policy(files, place)[1]
        tries = _tried(gate, world, files, place)
    if step.publishes:
        version = publish(gate, world, folders[step.publishes], str(example / step.publishes))
        gate.record(
            Draft("notice.delivered", {"subject": member, "version": version})
            for member in network.members.column("member").to_pylist()
        )
    if step.hold:
        gate.record([Draft("hold.set", _hold(world, step))])
    exported = columns.exported_on(step)
    of_class = OfClass(world, gate)
    sent, received = of_class.inside(exported)
    return Day(
        step.at, step.title, int(exported.sum()), int(columns.inside(exported).sum()),
        len(sent | received),
        tuple(_passed(gate, world, r, columns, of_class, step.at) for r in _all(world)),
        tuple(tries), tuple(findings),
    )  # fmt: skip


def _all(world: World) -> tuple[str, ...]:
    return (world.question.recipient, *world.question.others[::-1])


def _passed(  # noqa: PLR0913, PLR0917 - a recipient, and what is asked of it
    gate: Gate, world: World, recipient: str, columns: Columns, of_class: OfClass, at: Time
) -> Passed:
    as_of = min(at, gate.now())
    judged = gate.judged(world.question.purpose, recipient, as_of)
    outcome, kind = outcome_of(*judged), judged[0].recipient.recipient_class
    goes = np.concatenate(judged[2].codes[0]) == ALLOW
    outside = kind is not RecipientClass.CONTROLLER
    sent, received = of_class.inside(goes & outside)
    to_come = int((columns.created_at > as_of).sum())
    withheld = dict(outcome.withheld)
    withheld[Reason.UNEVALUABLE] = withheld.get(Reason.UNEVALUABLE, 0) - to_come
    return Passed(
        outcome.recipient.name, kind.value, outcome.released, outcome.people,
        len(sent | received), {r: n for r, n in withheld.items() if n},
    )  # fmt: skip


def _hold(world: World, step: Step) -> dict[str, Any]:
    (region,) = [r for r in world.regions if r.name == step.hold]
    clause: dict[str, Any] = {
        "id": "suspended", "level": "never",
        "purposes": [world.question.purpose], "jurisdictions": sorted(region.places),
    }  # fmt: skip
    clause |= {"from": step.made_from} if step.made_from > BEGINNING else {}
    clause |= {"to": step.made_before} if step.made_before < END else {}
    body = {"hold": f"suspended-{min(region.places).lower()}", "clauses": [clause]}
    return body | ({"lock": True} if step.lock else {})


def _tried(gate: Gate, world: World, files: Mapping[str, bytes], place: str) -> list[Try]:
    """Put a policy forward in the order reported, and say what stopped each step."""
    found = []
    for what, requirement, act in (
        (
            "introduce the setting before any policy describes it",
            "R1",
            lambda: _introduce(gate, world, files),
        ),
        ("publish the policy as it stands", "", lambda: publish(gate, world, files, place)),
    ):
        try:
            act()
        except LetterlockError as error:
            found.append(Try(what, requirement, str(error)))
        else:  # the replay's whole point is that it cannot
            found.append(Try(what, requirement, "nothing stopped it"))
    return found


def _introduce(gate: Gate, world: World, files: Mapping[str, bytes]) -> None:
    version = tomllib.loads(files["policy.toml"].decode())["version"]
    body = {"setting": world.question.setting, "version": version}
    gate.record([Draft("setting.introduced", body)])
