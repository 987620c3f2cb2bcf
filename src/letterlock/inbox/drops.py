"""Applying a drop list: a recipient's copy without whom the list names, countersigned anew.

The feed is fetched, checked as a whole, and kept beside the copy; then the copy is rewritten by the
same code as the platform's own, so that both are the same bytes, and swapped in by renames. It may
be cut off at any moment: the copy is then the old one or the new one, and the next call goes on.
A recipient learns pseudonyms of its own copy, and no identity. Spec: docs/spec/drops.md §5.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from letterlock.domain import sha256
from letterlock.errors import (
    GateClosed,
    InputError,
    LetterlockError,
    ReleaseError,
    StaleDrops,
    UsageError,
)
from letterlock.errors import VerificationError as Mismatch
from letterlock.handover import feed, fetch
from letterlock.handover.feed import Head
from letterlock.handover.fetch import Current
from letterlock.handover.received import DESTROYED, FEED, POLICY, RECALLED, remember_recall
from letterlock.inbox.folder import Inbox, read
from letterlock.inbox.swap import NEW, swap
from letterlock.record import note as notes
from letterlock.record import quorum
from letterlock.record.quorum import Policy
from letterlock.release import manifest
from letterlock.release.supersede import Left, rewrite
from letterlock.release.verify import verify
from letterlock.store import files


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a copy: its version before and now, and the inventory, countersigned."""

    release: str
    before: int
    version: int
    people: int
    rows: int
    inventory: bytes


def apply_drops(
    inbox: Inbox, release: str, address: str = "", *, policy: bytes | None = None
) -> Applied:
    """Bring a received release to its newest drop list, and countersign what is left of it.

    `address`: the folder or http(s) URL where the feed's head lies (default: the grant's).
    `policy`: whose signatures are relied on (default: the policy that it was received by).
    Raises StaleDrops if who must be dropped is not known, GateClosed if the release was recalled,
    VerificationError if the copy or what came of it does not hold.
    """
    with inbox.locked():
        folder, granted = inbox.path(release), inbox.grant_of(release)
        if (folder / DESTROYED).exists():
            raise UsageError(f"release {release} was destroyed here: there is nothing to drop from")
        if not (address or granted.feed):
            raise UsageError("the grant names no drop lists: say where they are with --feed")
        trusted = quorum.parse(read(folder / POLICY) if policy is None else policy)
        try:
            before = manifest.version_of(manifest.read(folder))
            own = _own_head(folder, trusted)
            found = fetch.current(
                fetch.reader_of(address or granted.feed), trusted, origin=granted.origin,
                release=release, seen=max(before, own.number if own else 0),
                now=inbox.now(granted.time),
            )  # fmt: skip
            _check_keeps(folder, own, found)
            recalled = (folder / RECALLED).exists() or (own is not None and own.recalled)
            if not recalled:  # that is final: nobody takes it back
                _keep(folder / FEED, found)
            if found.head.recalled:
                remember_recall(folder, found.files[feed.HEAD])
            if recalled or found.head.recalled:
                raise GateClosed(
                    f"release {release} was recalled: destroy the copy and countersign that, "
                    f"letterlock inventory {release} --destroyed"
                )
            if found.head.number > before:
                _rewrite(folder, found)
        except OSError as error:
            raise ReleaseError(f"{folder}: the list was not applied: {error}") from error
        record = manifest.read(folder)
        said = (manifest.version_of(record), record["members"], record["counts"]["released"])
        return Applied(release, before, *said, inbox.countersign(release))


def _rewrite(folder: Path, found: Current) -> None:
    """Put the version that a list leaves in the place of the copy."""
    verify(folder)
    work = folder / NEW
    work.mkdir()
    try:
        made = rewrite(
            folder, work, found.dropped, version=found.head.number, listed=found.head.digest
        )
        if found.published is not None:
            _check_left(made.left, found.published)
        verify(work)
        files.sync(work)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    swap(folder)


def _check_left(left: Left, published: Mapping[str, Any]) -> None:
    """Check that what is left here is what the log says has to be left."""
    for key in ("members", "depth", "root", "rows"):
        if getattr(left, key) != published[key]:
            raise Mismatch(
                f"drop list {published['version']} would leave other {key} here than it must by "
                "the log: this is not the copy that was handed over"
            )


def _own_head(folder: Path, policy: Policy) -> Head | None:
    """Return the newest head that was seen here, however old it is; None before the first."""
    with suppress(LetterlockError, OSError), (folder / FEED / feed.HEAD).open("rb") as file:
        head = feed.check_head(file.read(notes.MAX_SIZE), policy)
        return head if head.release == folder.name else None
    return None


def _check_keeps(folder: Path, own: Head | None, found: Current) -> None:
    """Check that nobody is off the list who was on the one that was seen. Raises StaleDrops."""
    if own is None or not own.number or found.drops is None:
        return
    try:
        data = fetch.reader_of(str(folder / FEED))(feed.list_name(own.number), feed.MAX_LIST)
        if data is not None and sha256(data) == own.digest:
            found.drops.check_keeps(feed.parse_list(data))
    except InputError as error:
        raise StaleDrops(f"release {found.head.release}: {error}") from error


def _keep(folder: Path, found: Current) -> None:
    """Keep what was fetched, the head last: so the feed is never ahead of its lists."""
    folder.mkdir(exist_ok=True)
    for name in sorted(found.files, key=lambda name: name == feed.HEAD):
        files.write(folder / name, found.files[name])
