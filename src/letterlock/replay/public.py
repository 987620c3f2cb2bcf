"""Act three of the replay: what the case lacked, a denial and a proof that anybody can check.

In a copy of the first act's workspace the network publishes its log, which two witnesses cosign.
It signs a statement about the class that the complaint names, and tries to sign one that is not
true. A member of that class takes home the receipt of her no, and the proof that she is not in the
release. Everything is checked as a stranger would: files and a policy, without the workspace.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from letterlock.domain import Time, text_of
from letterlock.errors import InputError, ProofError
from letterlock.evidence import bundle
from letterlock.evidence.bundle import Member
from letterlock.evidence.finding import Finding
from letterlock.gate import Gate
from letterlock.gate.log import Consistency
from letterlock.gate.offline import check_evidence
from letterlock.record import checkpoint as checkpoints
from letterlock.record import quorum
from letterlock.record import witness as witnesses
from letterlock.record.note import Kind, Note, SecretSigner
from letterlock.record.quorum import Group, Policy
from letterlock.record.witness import Request, Witness
from letterlock.release.build import Progress
from letterlock.replay.acts import Columns, OfClass
from letterlock.replay.world import Network, Record, World
from letterlock.store.witnesses import FolderState, Gathered

WORKSPACE: Final = "workspace-public"
PROOFS: Final = "proofs"
WITNESSES: Final = "witnesses"
POLICY: Final = "log.policy"
STATEMENT: Final = "statement.json"
RECEIPT: Final = "receipt.json"
ABSENCE: Final = "not-in-the-release.json"

_ALL: Final = b"both"
_SECOND: Final = 1_000_000
_HASH: Final = re.compile("[0-9a-f]{64}")
_KINDS: Final = {Kind.COSIGNATURE: "ed25519", Kind.MLDSA44: "mldsa44"}


@dataclass(frozen=True)
class ActThree:
    """What was published, signed, refused and proved; `findings` in the order of `files`."""

    at: Time
    data_class: str
    entries: int
    witnesses: tuple[str, ...]
    other: str
    refused: str
    member: str | None
    messages: int
    release: str
    files: tuple[str, ...]
    findings: tuple[Finding, ...]

    def told(self, finding: Finding) -> list[str]:
        """Return what is shown but for hashes: keys are drawn anew in each run, the rest is not."""
        return [each for each in finding.proved if not _HASH.search(each)]

    def commands(self, out: Path) -> list[list[str]]:
        """Return how a stranger checks it, as command lines; `out` is the demo's folder."""
        proofs = out / PROOFS
        policy, log = ["--policy", str(proofs / POLICY)], str(out / WORKSPACE / "log")
        statement, *hers = (str(proofs / name) for name in self.files)
        found = [["letterlock", "verify", statement, *policy, "--log", log]]
        return found + ([["letterlock", "verify", *hers, *policy]] if hers else [])

    def record(self) -> dict[str, Any]:
        """Return the act as JSON."""
        return {
            "at": text_of(self.at),
            "class": self.data_class,
            "entries": self.entries,
            "witnesses": list(self.witnesses),
            "refused": {"class": self.other, "why": self.refused},
            "member": {"account": self.member, "messages": self.messages},
            "release": self.release,
            "files": list(self.files),
            "proved": [list(finding.proved) for finding in self.findings],
        }


def act_three(
    world: World, network: Network, release: str, out: Path, progress: Progress
) -> ActThree:
    """Act it out in a copy of the workspace in `out`. Raises InputError for a world without it."""
    asked = world.record
    if asked is None:
        raise InputError("this world has no [record]")
    workspace = shutil.copytree(out / "workspace", out / WORKSPACE)
    proofs = out / PROOFS
    proofs.mkdir()
    gate = Gate(workspace, now=asked.at)
    try:
        seen = Seen(out / WITNESSES, world, gate, lambda: asked.at)
        (workspace / POLICY).write_bytes(seen.policy(gate.trust()))
        (proofs / POLICY).write_bytes((workspace / POLICY).read_bytes())
        gate.publish_log(progress, ask=seen.ask)
        refused = ""
        try:
            _stated(gate, asked, asked.other)
        except ProofError as error:
            refused = str(error)
        (proofs / STATEMENT).write_bytes(_stated(gate, asked, world.question.messages))
        gate.publish_log(progress, ask=seen.ask)
        columns, files = Columns(world, network), [STATEMENT]
        member = _member(columns, network, gate, release)
        if member is not None:  # a small world may have nobody
            (proofs / RECEIPT).write_bytes(gate.receipt_of(gate.choice_of(member)))
            (proofs / ABSENCE).write_bytes(gate.member_proof(member, release))
            files += [RECEIPT, ABSENCE]
        messages = 0 if member is None else _messages(columns, member)
        entries = gate.public_log().size
    finally:
        gate.close()
    findings = check_evidence(
        [proofs / name for name in files], proofs / POLICY, log=workspace / "log"
    )
    return ActThree(
        asked.at, world.question.messages, entries, tuple(asked.witnesses), asked.other, refused,
        member, messages, release, tuple(files), tuple(findings),
    )  # fmt: skip


def _stated(gate: Gate, asked: Record, data_class: str) -> bytes:
    return gate.make_statement(
        data_class, asked.since, asked.before, purposes=asked.purposes, recipients=()
    )


def _member(columns: Columns, network: Network, gate: Gate, release: str) -> str | None:
    """Return somebody who refused and is not in a release, of the complaint's class if possible."""
    acts = network.choices.column("act").to_numpy()
    refused = pa.array(np.isin(acts, ["object", "withdraw"]))
    refusing = network.choices.filter(refused).column("subject").unique().to_pylist()
    of_class = set().union(*OfClass(columns.world, gate).inside(columns.exported()))
    for name in sorted(refusing, key=lambda name: (name not in of_class, name)):
        found = bundle.parse(gate.member_proof(name, release))
        if isinstance(found, Member) and not found.present:
            return str(name)
    return None


def _messages(columns: Columns, name: str) -> int:
    """Count the messages of the complaint's class in the plain export that are to or from her."""
    exported = columns.exported()
    classes = columns.items.column("data_class").to_numpy()
    of_class = exported & (classes == columns.world.question.messages)
    rows = columns.items.filter(pa.array(of_class))
    hers = np.asarray(pc.equal(rows.column("author"), name).fill_null(False))  # noqa: FBT003
    for each in ("recipients", "members"):
        hers |= [name in (people or ()) for people in rows.column(each).to_pylist()]
    return int(hers.sum())


class Seen:
    """Witnesses with folders of their own, asked here without a network; `now` is their clock."""

    def __init__(self, folder: Path, world: World, gate: Gate, now: Callable[[], Time]) -> None:
        """Make the witnesses that the world's third act names, for the log of `gate`."""
        logs = witnesses.by_origin(gate.log_verifiers())
        self._now = now
        self._asked = world.record.witnesses if world.record else ()
        self._all = []
        for name in self._asked:
            seed = sha256(f"{world.seed} witness {name}".encode()).digest()
            signers = [SecretSigner(name, kind, seed) for kind in _KINDS]
            self._all.append((Witness(signers, logs), FolderState(folder / name.split(".")[0])))

    def policy(self, before: Policy) -> bytes:
        """Return the log's policy with these witnesses: both, by either of their keys."""
        lines, groups = [], []
        for name, (each, _) in zip(self._asked, self._all, strict=True):
            own = [
                quorum.Witness(f"{name}/{_KINDS[s.verifier.kind]}".encode(), s.verifier)
                for s in each.signers
            ]
            lines += own
            groups.append(Group(name.encode(), 1, tuple(w.name for w in own)))
        both = Group(_ALL, len(groups), tuple(group.name for group in groups))
        return Policy(before.logs, tuple(lines), (*groups, both), _ALL).encode()

    def ask(
        self, note: Note, policy: Policy, consistency: Consistency, *, old: int, now: int
    ) -> Gathered:
        """Ask them all, as store.witnesses.gather does."""
        del now
        size = checkpoints.parse(note.text).size
        bare = witnesses.only_by(note, [each.verifier for each in policy.logs])
        request = Request(old, tuple(consistency(old, size)), bare).encode()
        for each, state in self._all:
            lines = witnesses.read_response(
                each.answer(request, state, lambda: self._now() // _SECOND)
            )
            if isinstance(lines, int):
                raise InputError(f"a witness is at {lines} entries, not at {old}")
            note = note.signed_by(lines)
        return Gathered(note, {})
