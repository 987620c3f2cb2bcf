"""Entries of one evidence file, each proved to be in the log, all by one checkpoint.

Spec: docs/spec/evidence.md §3, LOGGED and key.
"""

from __future__ import annotations

from collections.abc import Mapping

from letterlock.errors import ProofError
from letterlock.evidence import entries, strict
from letterlock.evidence.bundle import Logged
from letterlock.evidence.entries import Public
from letterlock.evidence.finding import compare
from letterlock.record import merkle, prooffile, vrf
from letterlock.record.note import Kind, Verifier
from letterlock.record.quorum import Policy, Trusted


class Checked:
    """What of one file was checked so far: all its proofs have to lead to one checkpoint."""

    def __init__(self, policy: Policy, now: int | None) -> None:
        """Begin with nothing checked; `now` in seconds."""
        self.policy, self.now = policy, now
        self.trusted: list[Trusted] = []

    @property
    def origin(self) -> str:
        """The log that the proofs are of; there has to be one already."""
        return self.trusted[0].checkpoint.origin

    def entry(self, logged: Logged, what: str) -> None:
        """Check that an entry is in the log, at the index that is given for it."""
        proof = prooffile.parse(logged.proof)
        if proof.index != logged.index:
            raise ProofError(f"{what}: the proof is of entry {proof.index}, not of {logged.index}")
        leaf = merkle.leaf_hash(logged.entry)
        self.trusted.append(proof.check(leaf, self.policy, now=self.now))
        first, last = self.trusted[0].checkpoint, self.trusted[-1].checkpoint
        if first.origin != last.origin:
            raise ProofError(f"{what}: this entry is of another log, {last.origin}")
        compare((first, last))
        if first != last:
            raise ProofError(f"{what}: its proof leads to another checkpoint than the others")

    def event(self, logged: Logged, kind: str, shape: strict.Shape, *also: str) -> Public:
        """Check that an entry is in the log, and is an event of `kind` whose body has `shape`."""
        return self.one_of(logged, {kind: shape}, *also)

    def one_of(self, logged: Logged, shapes: Mapping[str, strict.Shape], *also: str) -> Public:
        """Check that an entry is in the log, and is an event of a kind, with the shape of that."""
        kinds = " or ".join(shapes)
        self.entry(logged, kinds)
        found = entries.read(logged.entry)
        if not isinstance(found, Public) or found.kind not in shapes:
            raise ProofError(f"entry {logged.index} is no {kinds}")
        if found.index != logged.index:
            raise ProofError(f"entry {logged.index} says that it is entry {found.index}")
        more = {key: bool for key in also if key in found.body}
        shape = {**shapes[found.kind], **more}
        strict.shaped(found.body, shape, f"{found.kind}, entry {logged.index}")
        return found

    def key(self, logged: Logged) -> bytes:
        """Return the public key of pseudonyms that an entry introduces."""
        body = self.event(logged, "key.introduced", {"use": str, "key": str}, "lost").body
        if body["use"] != "vrf":
            raise ProofError(f"entry {logged.index} introduces a key for {body['use']}")
        return strict.from_hex(body["key"], vrf.SECRET_SIZE, "key.introduced: key")

    def log_keys(self) -> list[Verifier]:
        """Return the log's keys that may sign a text which is no checkpoint."""
        keys = [each.verifier for each in self.policy.logs]
        return [key for key in keys if key.kind is Kind.ED25519]
