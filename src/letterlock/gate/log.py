"""The public log of a workspace: the ledger integrated, signed, seen by witnesses, published.

Entry i of the log is event i of the ledger (docs/adr/0016). `log/` holds static files that anybody
may serve; `sequencer/` beside it is the writer's own. Who is asked to witness stands in log.policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

from letterlock.domain import sha256
from letterlock.errors import InputError, LogError, SignatureError
from letterlock.evidence import verify
from letterlock.evidence.bundle import MAX_SIZE, History, Logged, encode
from letterlock.evidence.entries import entries_of
from letterlock.gate.keys import Keys
from letterlock.gate.workspace import silent, wall_clock
from letterlock.record import checkpoint as checkpoints
from letterlock.record import merkle, quorum, tlog
from letterlock.record import note as notes
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.merkle import Hash
from letterlock.record.note import Kind, Note, Signer
from letterlock.record.prooffile import ProofFile
from letterlock.record.quorum import Policy, Trusted
from letterlock.record.tlog import CHECKPOINT, Log, Reader
from letterlock.release.build import Progress
from letterlock.store.tiles import FolderTiles, LogFolders
from letterlock.store.witnesses import Gathered, gather

_SECOND: Final = 1_000_000
_BATCH: Final = 1 << 16  # entries read from the ledger at a time
_ROOM: Final = MAX_SIZE // 2  # bytes for the checkpoints of a history
_PROOF: Final = 64 * 48  # and for the proof between two of them, at most

SEALS: Final = frozenset({"release.sealed", "release.superseded"})
"""What says that a release, or a later version of one, is what its manifest says."""

Consistency: TypeAlias = Callable[[int, int], Sequence[Hash]]
"""Sizes of an older and a newer tree → the proof that one is the beginning of the other."""

Ask: TypeAlias = Callable[..., Gathered]
"""Asks witnesses, as `store.witnesses.gather` does."""


@dataclass(frozen=True)
class Status:
    """How far the log is, in entries; `published` is what everybody can read, None: nothing.

    `trusted` is the same by log.policy; None if that does not accept it, and `why` it does not.
    """

    origin: str
    recorded: int
    integrated: int
    published: Checkpoint | None
    trusted: Trusted | None = None
    why: str = ""

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        shown, seen = self.published, self.trusted
        return {
            "origin": self.origin,
            "recorded": self.recorded,
            "integrated": self.integrated,
            "published": shown.size if shown else 0,
            "root": shown.root.hex() if shown else None,
            "accepted": seen is not None,
            "witnesses": [name for name, _ in seen.witnesses] if seen else [],
        }


@dataclass(frozen=True)
class Published:
    """A checkpoint that is public now; `missed` says by address why a witness is not on it."""

    trusted: Trusted
    missed: Mapping[str, str]


class PublicLog(Keys):
    """The verbs about the log."""

    # ── writing ─────────────────────────────────────────────────────────────────────────────

    def publish_log(self, progress: Progress = silent, *, ask: Ask = gather) -> Published:
        """Integrate what was recorded since, have it witnessed, and publish the checkpoint.

        Nothing is published that the quorum of log.policy did not see; what was integrated stays,
        and the next call goes on from there. Raises LogError, SignatureError.
        """
        with FolderTiles(self.log_files.public, self.log_files.private) as tiles:
            log = Log(tiles, self.origin, self._sign, self._opened)
            self._integrate(log, tiles, progress)
            policy, public = self.trust(), self.published()
            # Witnesses keep real time, whatever the clock of a simulated workspace says.
            now = max(self._seconds(), wall_clock() // _SECOND)
            gathered = ask(
                self._seen_so_far(notes.parse(log.committed or b""), policy), policy,
                log.consistency, old=public.size if public else 0, now=now,
            )  # fmt: skip
            note = gathered.note.encode()
            trusted = _accepted(policy, note, now, gathered.missed)
            log.publish(note)
        return Published(trusted, gathered.missed)

    def _seen_so_far(self, committed: Note, policy: Policy) -> Note:
        """Return the committed note; if it is public already, with whoever has cosigned it."""
        with suppress(LogError, InputError, SignatureError):
            public = notes.parse(self._note())
            if public.text == committed.text:
                keys = [log.verifier for log in policy.logs]
                checkpoints.opened(public, keys + [each.verifier for each in policy.witnesses])
                return public
        return committed

    def _integrate(self, log: Log, tiles: FolderTiles, progress: Progress) -> None:
        end = self.store.head().index + 1
        self._check_begun_anew(log.size)
        while log.size < end:
            first = log.size
            rows = self.store.entries(first, upto=min(first + _BATCH, end) - 1)
            written = list(entries_of(rows))
            blobs = [each.blob for each in written if each.blob is not None]
            tiles.write({f"blobs/{sha256(blob)}": blob for blob in blobs})
            log.integrate(first, [each.entry for each in written])
            progress("integrating", log.size, end)

    def _check_begun_anew(self, size: int) -> None:
        """Refuse to sign anew, with sequencer/ lost or older, what is not what is public."""
        public = self.published()
        if public is None or public.size <= size:
            return
        rows = entries_of(self.store.entries(0, upto=public.size - 1))
        if merkle.root_of(merkle.leaf_hash(each.entry) for each in rows) != public.root:
            raise LogError(
                f"the ledger's first {public.size} events are not the entries that are public, "
                "and sequencer/ is older or lost: nothing was signed. Restore ledger.db "
                "(docs/keys.md, Backup and restore)"
            )

    def _sign(self, checkpoint: Checkpoint) -> bytes:
        return checkpoints.sign(checkpoint, self.log_signers(), self._seconds()).encode()

    def plain_signers(self) -> list[Signer]:
        """Return who signs, as the log, what is no checkpoint."""
        return [each for each in self.log_signers() if each.verifier.kind is Kind.ED25519]

    def _opened(self, note: bytes) -> Checkpoint:
        return checkpoints.opened(notes.parse(note), self.log_verifiers())[0]

    def _seconds(self) -> int:
        return max(self.now() // _SECOND, 0)

    # ── reading ─────────────────────────────────────────────────────────────────────────────

    def trust(self) -> Policy:
        """Return log.policy. Raises InputError if it cannot be read."""
        return quorum.parse(self.renew_policy())

    def log_status(self) -> Status:
        """Say how far the log is."""
        folders = self.log_files
        committed, note = folders.committed(), folders.read(CHECKPOINT)
        recorded = self.store.head().index + 1
        integrated = 0 if committed is None else self._opened(committed).size
        if note is None:
            return Status(self.origin, recorded, integrated, None)
        public = self._opened(note)
        try:
            trusted = self.trust().check(note)
        except SignatureError as error:
            return Status(self.origin, recorded, integrated, public, why=str(error))
        return Status(self.origin, recorded, integrated, public, trusted)

    def check_log(self, progress: Progress = silent) -> Checkpoint:
        """Check every file of the log, and each entry against the ledger's event.

        What is signed may be ahead of what is published: both are checked. Returns what is
        published. Raises LogError, which names the first bad file and byte, or the event;
        SignatureError for a checkpoint that the log did not sign.
        """
        folders, public = self.log_files, self.public_log()
        signed = self._opened(folders.committed() or self._note())

        def told(done: int) -> None:
            progress("checking files", done, signed.size)

        if tlog.staged_name(signed) in folders.staged():
            tlog.fsck(folders.read, public.checkpoint, told)
            raise LogError(
                "what is published holds, but going on with it was interrupted: letterlock log "
                "checkpoint finishes it"
            )
        tlog.fsck(folders.read, signed, told, folders.paths())
        public.entry(public.size - 1)  # by files of its own, if more is signed
        reader = Reader(folders.read, signed)
        self._check_checkpoints(folders, reader)
        self._check_events(reader, progress)
        return public.checkpoint

    def _check_checkpoints(self, folders: LogFolders, reader: Reader) -> None:
        """Check that each checkpoint ever published is of this one log."""
        verifiers = self.log_verifiers()
        for size in (None, *folders.published()):
            path = CHECKPOINT if size is None else f"checkpoints/{size}"
            found = checkpoints.opened(notes.parse(folders.read(path) or b""), verifiers)[0]
            if size not in {None, found.size} or found.size > reader.size:
                raise LogError(f"{path}: a checkpoint of {found.size} entries")
            if found.root != merkle.root(found.size, reader.node):
                raise LogError(f"{path}: the log's first {found.size} entries have another root")

    def _check_events(self, reader: Reader, progress: Progress) -> None:
        """Check the entries, and what stands beside the log, against the ledger."""
        size = reader.size
        written = entries_of(self.store.entries(0, upto=size - 1))
        both = zip(reader.entries(0, size), written, strict=True)
        for index, (entry, event) in enumerate(both):
            if entry != event.entry:
                raise LogError(f"entry {index} of the log is not event {index} of the ledger")
            if event.blob is not None:
                self._check_blob(sha256(event.blob), f"event {index}")
            if index % _BATCH == 0:
                progress("checking events", index, size)
        for each in self.store.events(upto=size - 1):
            if each.kind in SEALS and each.body is not None:
                self._check_blob(each.body["manifest"], f"what event {each.index} seals")

    def _check_blob(self, digest: str, what: str) -> None:
        found = self.blob(digest)
        if found is None:
            raise LogError(f"blobs/{digest}: missing, it is {what}")
        if sha256(found) != digest:
            raise LogError(f"blobs/{digest}: another text than {what}")

    def public_log(self) -> Reader:
        """Return a reader of what is published. Raises LogError if nothing is."""
        return self._reader(self._note())

    def _reader(self, note: bytes) -> Reader:
        return Reader(self.log_files.read, self._opened(note))

    def blob(self, digest: str) -> bytes | None:
        """Return what stands beside the log under a SHA-256, None if nothing does."""
        return self.log_files.read(f"blobs/{digest}")

    def _note(self) -> bytes:
        found = self.log_files.read(CHECKPOINT)
        if found is None:
            raise LogError("nothing is published yet: letterlock log checkpoint")
        return found

    # ── proofs ──────────────────────────────────────────────────────────────────────────────

    def prove_entry(self, index: int) -> bytes:
        """Return the proof file of an entry (C2SP tlog-proof). Raises LogError, ProofError."""
        note = self._note()
        return _proof_file(self._reader(note), note, index)

    def logged(self, *indexes: int) -> list[Logged]:
        """Return entries with their proofs, all under one checkpoint. Raises LogError."""
        note = self._note()
        reader = self._reader(note)
        proofs = [_proof_file(reader, note, n) for n in indexes]
        return [Logged(n, reader.entry(n), p) for n, p in zip(indexes, proofs, strict=True)]

    def prove_history(self) -> bytes:
        """Return evidence that each published checkpoint continues the one before it.

        Of those that log.policy accepts (others were published when it asked for less), the newest
        for which an evidence file has room. Raises LogError, SignatureError, ProofError.
        """
        folders, reader, policy = self.log_files, self.public_log(), self.trust()
        found: dict[int, bytes] = {}
        room = _ROOM
        for size in reversed(folders.published()):
            note = folders.read(f"checkpoints/{size}") or b""
            room -= len(note) + _PROOF
            if found and room < 0:
                break
            with suppress(SignatureError):
                found = {policy.check(note).checkpoint.size: note} | found
        if not found:
            policy.check(self._note())  # says why not
        proofs = [
            tuple(merkle.consistency_proof(old, new, reader.node)) for old, new in pairwise(found)
        ]
        history = History(tuple(found.values()), tuple(proofs))
        verify.verify(history, policy)
        return encode(history)


def _accepted(policy: Policy, note: bytes, now: int, missed: Mapping[str, str]) -> Trusted:
    try:
        return policy.check(note, now=now)
    except SignatureError as error:
        why = "".join(f"; {address}: {reason}" for address, reason in missed.items())
        raise SignatureError(f"nothing was published: {error}{why}") from error


def _proof_file(reader: Reader, note: bytes, index: int) -> bytes:
    if index >= reader.size:
        raise LogError(
            f"event {index} is not published yet, the log has {reader.size} entries: "
            "letterlock log checkpoint"
        )
    return ProofFile(index, tuple(reader.inclusion(index)), note).encode()
