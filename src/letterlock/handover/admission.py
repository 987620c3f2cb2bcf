"""May a received release be read, for this purpose, now, and without whom?

Everything that speaks against it is an error, and nothing is read then: the grant is for another
purpose or inbox, or has expired; the files are not what was sealed; the head of the drop list is
missing, old, of another release, or behind what was seen before; the release was recalled.
Rules and their reasons: docs/reading.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from letterlock.domain import PURPOSES, Time, text_of
from letterlock.errors import (
    GateClosed,
    InputError,
    RecordError,
    StaleDrops,
    UsageError,
    VerificationError,
)
from letterlock.handover import feed as feeds
from letterlock.handover import logged, reads, received
from letterlock.handover.feed import DropList, Head
from letterlock.handover.received import SECOND, Authority, Copy, Hashes, Identity
from letterlock.record import note
from letterlock.record.memberset import NAME_SIZE

Clock = Callable[[], Time]
"""Tells the time, in µs since 1970-01-01 UTC."""
Mask = npt.NDArray[np.bool_]

_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class Drops:
    """The list that applies: everybody on it is dropped. Number 0 is that of no list."""

    number: int = 0
    digest: str = ""
    pseudonyms: bytes = b""


class Admission:
    """What is asked before a release is read, and again while it is. It can be pickled."""

    def __init__(self, folder: Path, purpose: str, feed: Path | None, clock: Clock) -> None:
        """Begin with nothing known. Raises UsageError for a purpose that is none."""
        if purpose not in PURPOSES:
            raise UsageError(
                f"{purpose!r} is no purpose; name the one that you read for: {', '.join(PURPOSES)}"
            )
        self.folder, self.purpose, self.now = folder, purpose, clock
        self.hashes: Hashes = {}
        self._feed = folder / received.FEED if feed is None else feed
        self._authority: tuple[tuple[Identity, ...], Authority] | None = None
        self._drops = Drops()
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
        found = self._authority[1]
        if found.purpose != self.purpose:
            raise GateClosed(
                f"release {found.release} was handed over for {found.purpose}, and for nothing "
                f"else: it is not read for {self.purpose}"
            )
        if found.expires <= now:
            raise GateClosed(
                f"the grant of release {found.release} expired on {text_of(found.expires)}: "
                "ask for a new delivery"
            )
        return found

    def hold(self) -> Copy:
        """Open the newest version of the files; the caller closes it. Raises VerificationError."""
        granted = self.authority()
        return received.hold(
            self.folder, self.hashes, lambda record, digest: self._version(granted, record, digest)
        )

    # ── which version the files are ─────────────────────────────────────────────────────────

    def _version(self, granted: Authority, record: dict[str, Any], digest: str) -> int:
        """Return the drop list that a copy has applied, by its manifest."""
        if digest == granted.manifest:
            return granted.version
        later = record.get("supersedes")
        if record["release"] != granted.release or later is None:
            raise VerificationError(f"the manifest is not that of release {granted.release}")
        number: int = later["version"]
        members = tuple(record["member_set"][key] for key in ("opened", "opening", "key"))
        if number <= granted.version or members != granted.members:
            raise VerificationError("the manifest is of no version after the one that was granted")
        if not granted.version and later["manifest"] != granted.manifest:
            raise VerificationError("the manifest supersedes another release")
        try:
            drops = self._list(granted, number, later["list"])
            self._check_left(granted, drops, record)
        except (InputError, RecordError, StaleDrops) as error:
            raise VerificationError(
                f"that drop list {number} was applied is not shown: {error}"
            ) from error
        return number

    def _check_left(self, granted: Authority, drops: DropList, record: dict[str, Any]) -> None:
        """Check that a version is what its list leaves, where the log's word on that is here."""
        event = self._published(granted, drops)
        if event is None:
            return
        made = record["member_set"]
        left = (record["members"], made["depth"], made["root"], record["counts"]["released"])
        if left != tuple(event[key] for key in ("members", "depth", "root", "rows")):
            raise VerificationError("these people and rows are not those that it leaves")

    # ── who is dropped ──────────────────────────────────────────────────────────────────────

    def drops(self, copy: Copy) -> Drops:
        """Return the newest list, which applies to `copy` now.

        Raises StaleDrops if that is not known, GateClosed if the release was recalled, or if
        `authority` does not allow to read any more.
        """
        granted = self.authority()
        heads = [self._head(granted, self._feed)]
        own = self.folder / received.FEED
        if own != self._feed and (own / feeds.HEAD).exists():
            heads.append(self._head(granted, own))
        head, *others = heads
        if any(each.recalled for each in heads):
            raise GateClosed(
                f"release {granted.release} was recalled: it is read no more; destroy it, and "
                "countersign that"
            )
        _check_fresh(head, self.now() // SECOND)
        seen = max(self._seen, copy.version, *(each.number for each in others))
        if head.number < seen:
            raise StaleDrops(
                f"the head of the drop list names list {head.number}, and list {seen} was seen "
                "before: somebody shows an older feed"
            )
        self._seen = head.number
        if head.digest != self._drops.digest:
            self._drops = self._listed(granted, head)
        return self._drops

    def _head(self, granted: Authority, feed: Path) -> Head:
        """Return a head that is of this release and signed by its log."""
        data = _feed_file(feed / feeds.HEAD, note.MAX_SIZE)
        try:
            head = feeds.check_head(data, granted.policy)
        except (InputError, RecordError) as error:
            raise StaleDrops(f"{feed / feeds.HEAD}: no head of a drop list: {error}") from error
        if (head.origin, head.release) != (granted.origin, granted.release):
            raise StaleDrops(
                f"{feed / feeds.HEAD}: of release {head.release} in the log {head.origin}, not of "
                f"{granted.release} in {granted.origin}"
            )
        return head

    def _listed(self, granted: Authority, head: Head) -> Drops:
        if not head.number:
            return Drops()
        try:
            found = self._list(granted, head.number, head.digest)
            self._published(granted, found)
        except (InputError, RecordError) as error:
            raise StaleDrops(f"drop list {head.number}: {error}") from error
        return Drops(head.number, head.digest, found.pseudonyms)

    def _list(self, granted: Authority, number: int, digest: str) -> DropList:
        """Return a list, by its number and hash. Raises StaleDrops, InputError."""
        for feed in dict.fromkeys((self._feed, self.folder / received.FEED)):
            path = feed / feeds.list_name(number)
            if path.exists():
                break
        found = feeds.parse_list(_feed_file(path, feeds.MAX_LIST))
        said = (found.origin, found.release, found.number)
        if said != (granted.origin, granted.release, number) or found.digest != digest:
            raise StaleDrops(f"{path}: not the list that is named by its hash")
        return found

    def _published(self, granted: Authority, drops: DropList) -> Any | None:  # noqa: ANN401 - JSON
        """Return what the log says of a list; None if nobody but the log has to vouch for it."""
        paths = [
            feed / feeds.proof_name(drops.number)
            for feed in (self._feed, self.folder / received.FEED)
        ]
        path = next((path for path in paths if path.exists()), None)
        if path is None:
            if granted.policy.quorum is not None:
                raise StaleDrops(
                    f"{paths[0]}: missing, and the log policy asks for witnesses of each list"
                )
            return None
        shown = logged.parse(_feed_file(path, feeds.MAX_LIST), path.name)
        return feeds.published(shown, drops, granted.policy, self.now() // SECOND).body

    def dropped(self, copy: Copy, drops: Drops) -> Mask | None:
        """Return who of members.parquet is dropped, (members,); None if nobody of the list is left.

        Raises VerificationError if the table cannot be read.
        """
        if not drops.pseudonyms:
            return None
        key = (copy.members.sha256, drops.digest)
        if self._dropped is None or self._dropped[0] != key:
            self._dropped = key, _dropped(copy, drops)
        return self._dropped[1]


def _dropped(copy: Copy, drops: Drops) -> Mask | None:
    count = len(drops.pseudonyms) // NAME_SIZE
    kind = pa.binary(NAME_SIZE)
    names = pa.Array.from_buffers(kind, count, [None, pa.py_buffer(drops.pseudonyms)])
    try:
        column = pq.ParquetFile(copy.members.file).read().column("pseudonym")
        found = pc.is_in(column, value_set=names, skip_nulls=True)
    except (OSError, LookupError, ValueError, pa.ArrowException) as error:
        raise VerificationError(f"{copy.members.path}: cannot be read: {error}") from error
    mask: Mask = found.to_numpy().astype(np.bool_)
    return mask if mask.any() else None


def _check_fresh(head: Head, now: int) -> None:
    if not head.fresh(now):
        age = head.age(now)
        when = f"{age // _HOUR} hours old" if age > 0 else "from a time to come"
        raise StaleDrops(
            f"the head of the drop list is {when}, at most {feeds.MAX_AGE // _HOUR} are read: "
            "fetch the newest, or look at this machine's clock"
        )


def _feed_file(path: Path, limit: int) -> bytes:
    """Read a file of a feed. Raises StaleDrops if it is missing, or longer than any can be."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise StaleDrops(f"{path}: {error.strerror}: who must be dropped is not known") from error
    if len(data) > limit:
        raise StaleDrops(f"{path}: more than the {limit} bytes of such a file")
    return data
