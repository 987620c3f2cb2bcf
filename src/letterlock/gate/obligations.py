"""Obligations: what is owed, since when and until when, and closing it with evidence only (R36)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from letterlock import approval
from letterlock.domain import PolicyVersion, Signature, Time, text_of
from letterlock.errors import GateClosed, UsageError
from letterlock.gate.workspace import Workspace, signed_by
from letterlock.ledger import Draft
from letterlock.lineage import certificate, duties
from letterlock.lineage.events import CERTIFIED
from letterlock.lineage.graph import Duty, Lineage
from letterlock.release import manifest

State: TypeAlias = Literal["open", "overdue", "met"]

WHAT: Final = {
    "drop": "publish drop list {version} of release {release}",
    "supersede": "supersede release {release} by version {version}",
    "apply": "apply drop list {version} to the copy of release {release}",
    "forget": "destroy model {model:.12}, or train it anew without what was dropped",
    "erase": "erase what was to be erased",
    "destroy": "destroy the copy of release {release}",
}
_OF_MODEL: Final = "destroy model {model:.12}"
_OF_RECALLED: Final = "destroy the platform's own copy of release {release}"

CLOSED_BY: Final = {
    "drop": "a published head that bears a list of that number or a later one",
    "supersede": "a sealed version of that number or a later one",
    "apply": "an inventory that {owner} countersigned, of what the list leaves",
    "forget": "a complete certificate of the model's destruction",
    "erase": "a certificate by two operators that nothing is left anywhere",
    "destroy": "an inventory that {owner} countersigned, which says that the copy is gone",
}

COMMANDS: Final = {
    "drop": "letterlock drops publish",
    "supersede": "letterlock supersede {release}",
    "apply": "at {owner}: letterlock apply-drops {release}, letterlock inventory {release}; here: "
    "letterlock acknowledge INVENTORY",
    "forget": "letterlock model destroy {model} --certificate FILE (a recipient: in its inbox, "
    "then letterlock acknowledge INVENTORY here)",
    "erase": "letterlock obligations certify {id} --places FILE",
    "destroy": "at {owner}: letterlock inventory {release} --destroyed; here: "
    "letterlock acknowledge INVENTORY",
}


_NO_HEADS: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Owed:
    """A duty and how it stands: what is to be done, what alone closes it, and how that is told.

    `evidence` is the event that shows it as done, `met` when that was recorded.
    """

    duty: Duty
    state: State
    evidence: int | None
    met: Time | None
    what: str
    closed_by: str
    command: str

    @property
    def late(self) -> bool:
        """Whether it was met, and after it was due."""
        return self.met is not None and self.met > self.duty.due

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        duty = self.duty
        kept = (
            "duty", "cause", "release", "recipient", "grant", "model", "version", "owner", "order",
        )  # fmt: skip
        return {
            "obligation": duty.id,
            "state": self.state,
            **{key: getattr(duty, key) for key in kept},
            "reasons": dict(duty.reasons),
            "since": text_of(duty.since),
            "due": text_of(duty.due),
            "evidence": self.evidence,
            "met": None if self.met is None else text_of(self.met),
            "late": self.late,
            "what": self.what,
            "closed_by": self.closed_by,
            "command": self.command,
        }


class Obligations(Workspace):
    """The verbs about what is owed."""

    def obligations(self, states: Iterable[State] = ()) -> list[Owed]:
        """Return what is owed, of these states (none named: all), first what is due first."""
        lineage, now, asked = self.lineage(), self._as_of(None), set(states)
        found = [_owed(lineage, duty, now) for duty in lineage.duties.values()]
        found = [each for each in found if not asked or each.state in asked]
        return sorted(found, key=lambda each: (each.duty.due, each.duty.index))

    def obligation(self, name: str) -> Owed:
        """Return one duty, by what it is called ("O-12"). Raises UsageError if there is none."""
        lineage, said = self.lineage(), name.removeprefix("O-")
        duty = lineage.duties.get(int(said)) if said.isdecimal() and said.isascii() else None
        if duty is None:
            raise UsageError(f"no obligation {name!r}: see `letterlock obligations`")
        return _owed(lineage, duty, self._as_of(None))

    def settle(self, heads: Mapping[str, int] = _NO_HEADS) -> list[Duty]:
        """Record as met every duty whose evidence is recorded; returns them. Nothing else does.

        A drop list is published once everybody can read a head that bears it: `heads` says, by
        release, which number the head has that was written just now. Before all that, what is owed
        for a copy or model that nobody knew of when its cause came.
        """
        with self._writing():
            if duties.missing(self.lineage(), ()):
                self._append_linked(duties.missing(self.lineage(), self._policies()))
            lineage = self.lineage()
            shown = (
                (duty, duties.evidence(lineage, duty))
                for duty in lineage.open()
                if duty.duty != "drop" or duty.version <= heads.get(duty.release, 0)
            )
            met = [(duty, next(evidence, None)) for duty, evidence in shown]
            done = [(duty, event) for duty, event in met if event is not None]
            if done:
                self._append_linked([_met(duty, event) for duty, event in done])
            return [duty for duty, _ in done]

    def check_open(self, purpose: str, recipient: str) -> None:
        """Raise GateClosed if something is overdue that closes the gate for this request."""
        late = duties.closing(self.lineage(), self._as_of(None), purpose, recipient)
        if not late:
            return
        first = _owed(self.lineage(), late[0], self._as_of(None))
        others = len(late) - 1
        more = f"; {others} more {'is' if others == 1 else 'are'} overdue" if others else ""
        raise GateClosed(
            f"the gate is closed for {purpose} to {recipient}: {first.duty.id} is overdue since "
            f"{text_of(first.duty.due)} ({first.duty.owner}: {first.what}){more}. It is closed by "
            f"{first.closed_by}: {first.command}"
        )

    def certify(
        self, name: str, places: Iterable[dict[str, str]], signatures: Iterable[Signature]
    ) -> bool:
        """Record what became of each place that an erasure had to reach, as two operators signed.

        Returns whether that closes the duty: only if nothing is left anywhere. Raises UsageError,
        also while rows of the release lie here; InputError for places that cannot be read,
        ApprovalError.
        """
        found = self.obligation(name)
        if found.duty.duty != "erase":
            raise UsageError(f"{name} is closed by {found.closed_by}: nothing is certified of it")
        if found.state == "met":
            raise UsageError(f"{name} was met by event {found.evidence}")
        body, signatures = certificate_body(found.duty.index, places), list(signatures)
        if body["complete"]:
            self._check_rows_gone(found.duty.release)
        self._check_approved(CERTIFIED, body, signatures)
        self.record_linked(Draft(CERTIFIED, {**body, "signatures": signed_by(signatures)}))
        return any(duty.index == found.duty.index for duty in self.settle())

    def _check_rows_gone(self, release: str) -> None:
        """Raise UsageError while the gate's own folder has rows of a release ("" for none).

        Who is in it, the manifest, and `private/` are no rows: proofs and `trace` need them.
        """
        if not release:
            return
        folder = self.folder / "releases"
        for version in folder.glob(f"*{release}*"):  # one that was interrupted is there twice
            rows = version / manifest.OUTGOING / manifest.DATA
            if any(path.is_file() for path in rows.rglob("*")):
                raise UsageError(
                    f"rows of release {release} are in {rows}: remove that folder first, and only "
                    "it (docs/obligations.md, A recall)"
                )

    def _check_approved(
        self, kind: str, body: dict[str, Any], signatures: Iterable[Signature]
    ) -> None:
        """Raise ApprovalError unless two operators signed an event."""
        approval.check(approval.message(kind, body), signatures, self.rules().operators)

    def _policies(self) -> list[PolicyVersion]:
        """Return the versions of the policy that are in force: the smallest number of days counts.

        All that took effect are: of items that were made under an older one it still holds.
        """
        rules = self.rules()
        return [each for each in rules.policies if each.effective_at <= rules.as_of]


def certificate_body(obligation: int, places: Iterable[dict[str, str]]) -> dict[str, Any]:
    """Return what two operators sign of an erasure; complete if nothing is left in any place.

    Raises InputError for places that cannot be read.
    """
    listed = list(places)
    done = certificate.is_done(certificate.place(each, "places").outcome for each in listed)
    return {"obligation": obligation, "places": listed, "complete": done}


def left_in(places: Iterable[dict[str, str]]) -> list[str]:
    """Return the places in which something is left."""
    return [each["where"] for each in places if not certificate.is_done([each["outcome"]])]


def _met(duty: Duty, event: int) -> Draft:
    return Draft("obligation.met", {"obligation": duty.index, "evidence": event})


def _owed(lineage: Lineage, duty: Duty, now: Time) -> Owed:
    evidence = lineage.met.get(duty.index)
    late: State = "overdue" if duty.due < now else "open"
    known = {key: getattr(duty, key) for key in ("id", "release", "model", "version", "owner")}
    what, closed_by, command = (
        table[duty.duty] for table in (WHAT, CLOSED_BY, COMMANDS)
    )  # fmt: skip
    if duty.duty == "destroy" and duty.model:
        what, closed_by, command = _OF_MODEL, CLOSED_BY["forget"], COMMANDS["forget"]
    elif duty.duty == "erase" and duty.release:
        what = _OF_RECALLED
    said = (text.format(**known) for text in (what, closed_by, command))
    met = lineage.met_at.get(duty.index)
    return Owed(duty, late if evidence is None else "met", evidence, met, *said)
