"""The public log of a workspace: the ledger integrated, signed, seen by witnesses, published.

Entry i of the log is event i of the ledger (ADR 0016). `log/` is public and holds static files;
`sequencer/` beside it is not. Whom the log asks to witness stands in `log.policy`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from letterlock.domain import Time
from letterlock.errors import LogError, UsageError
from letterlock.evidence import bundle
from letterlock.evidence.bundle import History, Logged
from letterlock.evidence.entries import Written, entries_of
from letterlock.gate.keys import Keys
from letterlock.gate.workspace import silent
from letterlock.record import checkpoint, note, quorum
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.merkle import Hash
from letterlock.record.prooffile import ProofFile
from letterlock.record.quorum import Policy, Trusted
from letterlock.record.tlog import Log, Reader, fsck
from letterlock.release.build import Progress
from letterlock.store.tiles import FolderTiles, reading
from letterlock.store.witnesses import Asked, HttpWitness, gather

SECOND: Final = 1_000_000
"""Microseconds."""
_BATCH: Final = 1 << 16
"""Entries that are read from the ledger at a time."""


@dataclass(frozen=True)
class Status:
    """How far the log is, in entries; `published`: what everybody can read, None: nothing yet."""

    origin: str
    recorded: int
    integrated: int
    published: Trusted | None


class PublicLog(Keys):
    """The verbs about the log."""

    # ── writing ─────────────────────────────────────────────────────────────────────────────

    def publish_log(
        self, progress: Progress = silent, *, witnesses: Sequence[Asked] | None = None
    ) -> Trusted:
        """Integrate what was recorded since, have it witnessed, and publish the checkpoint.

        `witnesses`: asked instead of those whose addresses log.policy names. Nothing is published
        that the policy's quorum did not see: what was integrated stays, and is tried again with
        the next call. Raises LogError, SignatureError.
        """
        with self._sequencer() as log:
            head = self.store.head().index
            while log.size <= head:
                first, last = log.size, min(log.size + _BATCH - 1, head)
                self._integrate(log, first, last)
                progress("integrating", last + 1, head + 1)
            policy, now = self.trust(), self._seconds()
            asked = witnesses
            if asked is None:
                asked = [HttpWitness(w.url) for w in policy.witnesses if w.url is not None]
            signed = gather(log.committed, policy, asked, log.consistency, now=now)
            trusted = policy.check(signed, now=now)
            log.publish(signed)
            return trusted
