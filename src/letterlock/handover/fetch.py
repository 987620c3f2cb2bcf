"""Where a feed of drop lists is, and what it says now: fetched in bounds, and checked as a whole.

Nothing is believed before the head is: signed by the log, of this release, fresh, and not behind
what was seen before. Spec: docs/spec/drops.md §4. The files themselves: `feed`.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from letterlock.domain import Time, sha256, text_of
from letterlock.errors import InputError, LetterlockError, StaleDrops
from letterlock.evidence.bundle import MAX_SIZE
from letterlock.handover import feed, logged
from letterlock.handover.feed import HEAD, DropList, Head
from letterlock.lineage.events import Body
from letterlock.record import note as notes
from letterlock.record.memberset import NAME_SIZE
from letterlock.record.quorum import Policy

PATIENCE: Final = 30.0
"""Seconds in which a file has to have come over HTTP, in all."""

Read: TypeAlias = Callable[[str, int], "bytes | None"]
"""Name of a file of a feed, and the most bytes to read → its content; None if it is not there."""

_SECOND: Final = 1_000_000
_NAME: Final = re.compile(r"head|[1-9][0-9]{0,18}\.(json|proof)")
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Current:
    """What a feed says now: its head, the newest list (None before the first), and the files.

    `published` is the body of the log's drops.published of that list, if it is proved.
    """

    head: Head
    drops: DropList | None
    files: dict[str, bytes]
    published: Body | None = None

    @property
    def dropped(self) -> frozenset[bytes]:
        """Return the pseudonyms that have to be dropped."""
        names = self.drops.pseudonyms if self.drops else b""
        return frozenset(names[n : n + NAME_SIZE] for n in range(0, len(names), NAME_SIZE))


def current(  # noqa: PLR0913 - a feed, who is to be believed, and what is known already
    read: Read,
    policy: Policy,
    *,
    origin: str,
    release: str,
    seen: int = 0,
    known: Current | None = None,
    now: Time,
) -> Current:
    """Return what has to be dropped from a release now (µs), as a feed says it.

    `policy` says whose signatures count; if it asks for witnesses, the list has to be proved to be
    in the log that they saw. `seen` is the highest number of a list that was seen before; a list
    that is `known` by such a call with this policy is not read again.
    Raises StaleDrops, which says why who must be dropped is not known; no other error of ours.
    """
    try:
        return _current(read, policy, origin, release, seen, known, now)
    except StaleDrops:
        raise
    except LetterlockError as error:
        raise StaleDrops(f"release {release}: its drop list does not hold: {error}") from error


def _current(  # noqa: PLR0913, PLR0917 - as current
    read: Read,
    policy: Policy,
    origin: str,
    release: str,
    seen: int,
    known: Current | None,
    now: Time,
) -> Current:
    data = _there(read, HEAD, notes.MAX_SIZE, release)
    head = feed.check_head(data, policy)
    _check_head(head, origin, release, seen, now)
    files = {HEAD: data}
    if not head.number:
        return Current(head, None, files)
    if known is not None and (known.head.number, known.head.digest) == (head.number, head.digest):
        return replace(known, head=head, files=known.files | files)
    name, proof_name = feed.list_name(head.number), feed.proof_name(head.number)
    files[name] = _there(read, name, feed.MAX_LIST, release)
    if sha256(files[name]) != head.digest:
        raise StaleDrops(f"release {release}: {name} is not the list that the head names")
    drops = feed.parse_list(files[name])
    if (drops.origin, drops.release, drops.number) != (origin, release, head.number):
        raise StaleDrops(f"release {release}: {name} is a list of another log, release or number")
    if known is not None and known.drops is not None:
        drops.check_keeps(known.drops)
    proof = read(proof_name, MAX_SIZE)
    if proof is None:
        if policy.quorum is not None:
            raise StaleDrops(
                f"release {release}: {proof_name} is missing, and the policy asks for witnesses"
            )
        return Current(head, drops, files)
    files[proof_name] = proof
    seconds = max(now // _SECOND, int(time.time()))  # witnesses keep real time
    event = feed.published(logged.parse(proof, proof_name), drops, policy, seconds)
    return Current(head, drops, files, event.body)


def _there(read: Read, name: str, limit: int, release: str) -> bytes:
    found = read(name, limit)
    if found is None:
        raise StaleDrops(
            f"release {release}: its feed has no {name}: who must be dropped is not known"
        )
    return found


def _check_head(head: Head, origin: str, release: str, seen: int, now: Time) -> None:
    """Refuse a head that is of something else, behind what was seen, old, or of the future."""
    if head.origin != origin:
        raise StaleDrops(f"release {release}: the head is of another log, {head.origin!r}")
    if head.release != release:
        raise StaleDrops(f"the head is of release {head.release}, not of {release}")
    if head.number < seen:
        raise StaleDrops(
            f"release {release}: the head names list {head.number}, and list {seen} was seen "
            "before: it was rolled back"
        )
    if not head.fresh(now // _SECOND):
        raise StaleDrops(
            f"release {release}: the head is of {text_of(head.as_of * _SECOND)}, not of the last "
            f"{feed.MAX_AGE // 3600} hours: fetch a newer one"
        )


# ── where a feed is ─────────────────────────────────────────────────────────────────────────


def reader_of(address: str) -> Read:
    """Return what reads a feed: of the folder, or the http(s) URL, in which its `head` lies.

    It bounds what it reads in bytes and time, and raises StaleDrops. Raises InputError if the
    address is none.
    """
    if not re.match("[A-Za-z]+://", address):
        return lambda name, limit: _from_folder(Path(address), name, limit)
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    web = host and re.fullmatch("[!-~]+", address) and parts.scheme in {"http", "https"}
    if not web or parts.query or parts.fragment or parts.username or parts.password:
        raise InputError(f"{address[:200]!r} is no address of drop lists: http(s)://HOST/PATH")
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    path = parts.path.rstrip("/")
    return lambda name, limit: _from_web(kind(host, port, timeout=PATIENCE), path, name, limit)


def _from_folder(folder: Path, name: str, limit: int) -> bytes | None:
    path = folder / _checked(name)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise StaleDrops(f"{path} is no file")
        with path.open("rb") as file:
            return _bounded(file.read(limit + 1), limit, str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StaleDrops(f"{path}: cannot be read: {error.strerror}") from error


def _from_web(
    connection: http.client.HTTPConnection, path: str, name: str, limit: int
) -> bytes | None:
    end, what = time.monotonic() + PATIENCE, f"{connection.host}{path}/{_checked(name)}"
    # A time-out of a socket starts anew with every byte, also of a header: cutting it bounds all.
    cut = threading.Timer(0, _shut, [connection])
    cut.daemon = True
    try:
        with contextlib.closing(connection):
            connection.connect()
            cut.interval = max(end - time.monotonic(), 0)
            cut.start()
            connection.request("GET", f"{path}/{name}", headers={"Accept-Encoding": "identity"})
            response = connection.getresponse()
            if response.status == http.client.NOT_FOUND:
                return None
            if response.status != http.client.OK:
                raise StaleDrops(f"{what}: the answer is {response.status}")
            found = bytearray()
            while len(found) <= limit and (chunk := response.read1(_CHUNK)):
                found += chunk
            if time.monotonic() >= end:  # what came may be a part
                raise StaleDrops(f"{what}: it did not come within {PATIENCE:g} seconds")
            return _bounded(bytes(found), limit, what)
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = f" within {PATIENCE:g} seconds" if time.monotonic() >= end else ""
        raise StaleDrops(f"{what}: cannot be fetched{late}: {error}") from error
    finally:
        cut.cancel()


def _shut(connection: http.client.HTTPConnection) -> None:
    """End a conversation from another thread: whoever waits for a byte gets none."""
    with contextlib.suppress(OSError, AttributeError):  # over already
        connection.sock.shutdown(socket.SHUT_RDWR)


def _bounded(data: bytes, limit: int, what: str) -> bytes:
    if len(data) > limit:
        raise StaleDrops(f"{what}: more than {limit} bytes")
    return data


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(f"{name[:60]!r} is no file of a feed")
    return name
