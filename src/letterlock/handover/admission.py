"""May a received release be read, for this purpose, now, and without whom?

Everything that speaks against it is an error, and nothing is read then: the grant is for another
purpose or inbox; the release was recalled or destroyed; the files are not what was sealed; the head
of the drop list is missing, old, of another release, or behind what was seen before.
Rules and their reasons: docs/reading.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from letterlock.domain import PURPOSES, Time, sha256
from letterlock.errors import (
    GateClosed,
    InputError,
    RecordError,
    StaleDrops,
    UsageError,
    VerificationError,
    WorkspaceError,
    reason,
)
from letterlock.evidence.bundle import MAX_SIZE
from letterlock.handover import feed as feeds
from letterlock.handover import fetch, logged, reads, received
from letterlock.handover.feed import DropList, Head
from letterlock.handover.fetch import Current
from letterlock.handover.grant import Grant
from letterlock.handover.received import Authority, Copy, Hashes, Identity
from letterlock.record import note
from letterlock.record.memberset import NAME_SIZE
from letterlock.record.quorum import Policy

Clock = Callable[[], Time]
"""Tells the time, in µs since 1970-01-01 UTC."""
Mask = npt.NDArray[np.bool_]


class Admission:
    """What is asked before a release is read, and again while it is. It can be pickled."""

    def __init__(self, folder: Path, purpose: str, feed: str | None, clock: Clock | None) -> None:
        """Begin with nothing known; `feed` is an address, the copy's own folder by default.

        Raises UsageError for a purpose or a folder that is none, and for a `clock` (default: this
        machine's) where the inbox keeps real time: a head would stay young by it for ever.
        """
        if purpose not in PURPOSES:
            raise UsageError(
                f"{purpose!r} is no purpose; name the one that you read for: {', '.join(PURPOSES)}"
            )
        if clock is not None and not received.is_simulated(folder):
            raise UsageError("this inbox keeps real time: now is for simulated ones")
        self.folder, self.purpose, self.now = folder, purpose, clock or real_time
        self.hashes: Hashes = {}
        self._own = str(folder / received.FEED)
        self._feed = feed or self._own
        self._authority: tuple[tuple[Identity, ...], Authority] | None = None
        self._current: Current | None = None
        self._dropped: tuple[tuple[str, str], Mask | None] | None = None
        self._seen = max((read.list for read in reads.reads(folder)), default=0)

    def authority(self) -> Authority:
        """Return what allows to read for this purpose now.

        Raises GateClosed if the grant does not; InputError, SignatureError or ProofError if the
        files that show it do not hold.
        """
        state, now = received.authority_state(self.folder), self.now()
        if self._authority is None or self._authority[0] != state:
            self._authority = state, received.authority(self.folder, now)
            self._current = None  # the policy may ask for more than before
        found = self._authority[1]
        granted = found.grant
        if granted.purpose != self.purpose:
            raise GateClosed(
                f"release {granted.release} was handed over for {granted.purpose}, and for "
                f"nothing else: it is not read for {self.purpose}"
            )
        if (self.folder / received.DESTROYED).exists():
            raise GateClosed(f"release {granted.release} was destroyed here")
        if (self.folder / received.RECALLED).exists():
            raise _recalled(granted.release)
        return found

    def hold(self, shards: Collection[str] | None = None) -> Copy:
        """Open the newest version of the files, or of some shards; the caller closes it.

        Raises VerificationError.
        """
        found = self.authority()

        def accept(record: dict[str, Any], digest: str) -> int:
            return self._version(found, record, digest)

        return received.hold(self.folder, self.hashes, accept, shards)

    # ── which version the files are ─────────────────────────────────────────────────────────

    def _version(self, found: Authority, record: dict[str, Any], digest: str) -> int:
        """Return the drop list that a copy has applied, by its manifest."""
        granted = found.grant
        if digest == granted.manifest:
            return granted.version
        later = record.get("supersedes")
        if record["release"] != granted.release or later is None:
            raise VerificationError(f"the manifest is not that of release {granted.release}")
        number: int = later["version"]
        members = tuple(record["member_set"][key] for key in ("opened", "opening", "key"))
        if number <= granted.version or members != found.members:
            raise VerificationError("the manifest is of no version after the one that was granted")
        if not granted.version and later["manifest"] != granted.manifest:
            raise VerificationError("the manifest supersedes another release")
        try:
            drops = self._list(granted, number, later["list"])
            self._check_left(found.policy, drops, record)
        except (InputError, RecordError, StaleDrops) as error:
            raise VerificationError(
                f"that drop list {number} was applied is not shown: {error}"
            ) from error
        return number

    def _check_left(self, policy: Policy, drops: DropList, record: dict[str, Any]) -> None:
        """Check that a version is what its list leaves, where the log's word on that is here."""
        name = feeds.proof_name(drops.number)
        proof = self._file(name, MAX_SIZE)
        if proof is None:
            if policy.quorum is not None:
                raise StaleDrops(f"{name} is missing, and the policy asks for witnesses")
            return
        seconds = received.seconds_of(self.now())
        event = feeds.published(logged.parse(proof, name), drops, policy, seconds).body
        made = record["member_set"]
        left = (record["members"], made["depth"], made["root"], record["counts"]["released"])
        if left != tuple(event[key] for key in ("members", "depth", "root", "rows")):
            raise VerificationError("these people and rows are not those that it leaves")

    def _list(self, granted: Grant, number: int, digest: str) -> DropList:
        """Return a list, by its number and hash. Raises StaleDrops, InputError."""
        name = feeds.list_name(number)
        data = self._file(name, feeds.MAX_LIST)
        if data is None or sha256(data) != digest:
            raise StaleDrops(f"{name} is missing, or another list")
        found = feeds.parse_list(data)
        if (found.origin, found.release, found.number) != (granted.origin, granted.release, number):
            raise StaleDrops(f"{name} is a list of another log, release or number")
        return found

    def _file(self, name: str, limit: int) -> bytes | None:
        """Return a file of the feed, where the copy's own has it not. Raises StaleDrops."""
        addresses = dict.fromkeys((self._own, self._feed))
        found = (fetch.reader_of(address)(name, limit) for address in addresses)
        return next((data for data in found if data is not None), None)

    # ── who is dropped ──────────────────────────────────────────────────────────────────────

    def drops(self, copy: Copy) -> Current:
        """Return the newest list, which applies to `copy` now.

        Raises StaleDrops if that is not known, GateClosed if the release was recalled, or if
        `authority` does not allow to read any more.
        """
        authority = self.authority()
        granted = authority.grant
        own = self._own_head(authority)
        found = fetch.current(
            fetch.reader_of(self._feed),
            authority.policy,
            origin=granted.origin,
            release=granted.release,
            seen=max(self._seen, copy.version, own.number if own else 0),
            known=self._current,
            now=self.now(),
        )
        if found.head.recalled or (own and own.recalled):
            if found.head.recalled:
                # Where it cannot be kept, on a full disk, no read can be recorded either.
                with suppress(WorkspaceError):
                    received.remember_recall(self.folder, found.files[feeds.HEAD])
            raise _recalled(granted.release)
        self._current, self._seen = found, found.head.number
        return found

    def _own_head(self, authority: Authority) -> Head | None:
        """Return the head that the copy's own feed holds beside the one that is asked for.

        However old it is: what it says was seen. Raises StaleDrops.
        """
        if self._own == self._feed:
            return None
        data = fetch.reader_of(self._own)(feeds.HEAD, note.MAX_SIZE)
        if data is None:
            return None
        try:
            head = feeds.check_head(data, authority.policy)
        except (InputError, RecordError) as error:
            raise StaleDrops(f"{self._own}: its head does not hold: {error}") from error
        granted = authority.grant
        return head if (head.origin, head.release) == (granted.origin, granted.release) else None

    def dropped(self, copy: Copy, current: Current) -> Mask | None:
        """Return who of members.parquet is dropped, (members,); None if nobody of the list is left.

        Raises VerificationError if the table cannot be read.
        """
        if current.drops is None:
            return None
        key = (copy.members.sha256, current.head.digest)
        if self._dropped is None or self._dropped[0] != key:
            self._dropped = key, _dropped(copy, current.drops)
        return self._dropped[1]


def real_time() -> Time:
    """Return the time by this machine's clock."""
    return time.time_ns() // 1000


def _recalled(release: str) -> GateClosed:
    return GateClosed(
        f"release {release} was recalled: it is read no more; destroy it, and countersign that"
    )


def _dropped(copy: Copy, drops: DropList) -> Mask | None:
    kind = pa.binary(NAME_SIZE)
    names = pa.Array.from_buffers(kind, drops.count, [None, pa.py_buffer(drops.pseudonyms)])
    try:
        column = pq.ParquetFile(copy.members.file).read().column("pseudonym")
        found = pc.is_in(column, value_set=names, skip_nulls=True)
    except (OSError, LookupError, ValueError, pa.ArrowException) as error:
        raise VerificationError(f"{copy.members.path}: cannot be read: {reason(error)}") from error
    mask: Mask = found.to_numpy().astype(np.bool_)
    return mask if mask.any() else None
