"""A release as its recipient holds it: the grant, what the log says, and the files, held open.

    received/<release>/grant.json      the grant: release.delivered, with its proof
                       evidence.json   what the log says of the release: opening and seal
                       log.policy      whose signatures are relied on
                       outgoing/       the release
                       feed/           the newest head and list that were seen
                       recalled        there once a head that recalls it was seen: that head
                       destroyed       there once the release was destroyed

`authority` reads the first three and checks that they hold together; `hold` opens one version of
the files and checks that they are those of its manifest. The files may be swapped for a newer
version meanwhile: what is held stays what it was.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import tomllib
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa

from letterlock.domain import Time, canonical, sha256
from letterlock.errors import InputError, ProofError, UsageError, VerificationError
from letterlock.evidence import bundle
from letterlock.evidence.bundle import Release
from letterlock.evidence.checked import Checked
from letterlock.evidence.members import sealed_release
from letterlock.handover import grant as grants
from letterlock.handover import logged, reads
from letterlock.handover.grant import Grant
from letterlock.record import quorum
from letterlock.record.quorum import Policy
from letterlock.release import manifest

INBOX: Final = "inbox.toml"
GRANT: Final = "grant.json"
EVIDENCE: Final = "evidence.json"
POLICY: Final = "log.policy"
FEED: Final = "feed"
RECALLED: Final = "recalled"
DESTROYED: Final = "destroyed"

SECOND: Final = 1_000_000
"""Microseconds."""
_CHUNK: Final = 1 << 20
_SHARD: Final = re.compile(r"data/([A-Za-z0-9_-]+)/shard-[0-9]{5}\.parquet")
_TRIES: Final = 5
_PAUSE: Final = 0.05
"""Seconds between tries to open a copy that is being swapped."""
_SETTLED: Final = 2_000_000_000
"""Nanoseconds after which a change shows in a file's times, however coarse their clock."""


class Identity(NamedTuple):
    """What tells a file's state: whoever writes to it changes one of these."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


def identity(found: os.stat_result) -> Identity:
    """Return the state of a file."""
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


# ── what the log says ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Authority:
    """By what right a copy is here: its grant, as `policy` accepts it, and what was sealed.

    `members`: the `opened`, `opening` and `key` that every version's member set goes back to.
    """

    policy: Policy
    grant: Grant
    members: tuple[int, str, int]


def seconds_of(now: Time) -> int:
    """Return a time in seconds, or the real one if it is later: witnesses keep real time."""
    return max(now // SECOND, int(time.time()))


def authority(folder: Path, now: Time) -> Authority:
    """Check grant and evidence of a received release against its log policy.

    Raises UsageError if `folder` is no received release, InputError for what cannot be read,
    SignatureError or ProofError for what does not hold.
    """
    recipient, policy = recipient_of(folder), quorum.parse(_read(folder / POLICY))
    seconds = seconds_of(now)
    granted = grants.check(logged.parse(_read(folder / GRANT), GRANT), policy, seconds)
    evidence = bundle.parse(_read(folder / EVIDENCE))
    if not isinstance(evidence, Release):
        raise InputError(f"{folder / EVIDENCE}: not the evidence of a release")
    checked = Checked(policy, seconds)
    checked.key(evidence.key)
    found = sealed_release(checked, evidence)
    opened, seal = found.opened.body, found.sealed.body
    if checked.origin != granted.origin or granted.release != opened["release"]:
        raise ProofError("the grant is for another release than the evidence is of")
    if (granted.purpose, granted.recipient) != (opened["purpose"], opened["recipient"]):
        raise ProofError("the grant is for another purpose or recipient than the release")
    if granted.manifest != seal["manifest"]:
        raise ProofError("the grant is for another version than was sealed")
    if granted.recipient != recipient:
        raise ProofError(
            f"the grant is for {granted.recipient!r}, and this inbox is that of {recipient!r}"
        )
    place = found.opened.index, found.leaf.hex(), evidence.key.index
    return Authority(policy, granted, place)


def authority_state(folder: Path) -> tuple[Identity, ...]:
    """Return the state of the files that `authority` reads: while it is the same, so is the answer.

    Raises InputError if one of them is gone.
    """
    paths = (folder / GRANT, folder / EVIDENCE, folder / POLICY, _inbox(folder))
    try:
        return tuple(identity(path.stat()) for path in paths)
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error


def recipient_of(folder: Path) -> str:
    """Return whose inbox a received release lies in. Raises UsageError, InputError."""
    recipient: str = _config(folder)["recipient"]
    return recipient


def is_simulated(folder: Path) -> bool:
    """Say whether the inbox keeps another time than the real one. Raises as `recipient_of`."""
    return _config(folder).get("simulated") is True


def _config(folder: Path) -> dict[str, Any]:
    path = _inbox(folder)
    if not path.is_file() or not (folder / GRANT).exists():
        raise UsageError(
            f"{folder}: no received release: name the folder received/<release> of an inbox"
        )
    try:
        said = tomllib.loads(_read(path).decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    recipient = said.get("recipient")
    if said.get("format") != 1 or not isinstance(recipient, str) or not recipient:
        raise InputError(f"{path}: not an inbox of format 1 with a recipient")
    return said


def remember_recall(folder: Path, head: bytes) -> None:
    """Keep, durably and for good, the head that recalls a release. Raises WorkspaceError.

    That it is there is what counts: no older head, from wherever, opens the release again.
    """
    if not (folder / RECALLED).exists():
        reads.append(folder / RECALLED, {"head": head.decode()})


def _inbox(folder: Path) -> Path:
    return folder.resolve().parent.parent / INBOX


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(bundle.MAX_SIZE + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if len(data) > bundle.MAX_SIZE:
        raise InputError(f"{path}: more than {bundle.MAX_SIZE} bytes")
    return data


# ── the files ───────────────────────────────────────────────────────────────────────────────


Hashes = dict[str, tuple[Identity, str]]
"""Of files by path: the state that they had when they had this SHA-256."""


@dataclass(slots=True)
class Held:
    """A file of a release, open; `state` is what it was in when its hash was the manifest's."""

    path: str
    sha256: str
    file: pa.OSFile
    state: Identity

    @property
    def source(self) -> str:
        """Return the source of a shard."""
        return self.path.split("/")[1]

    def check(self, hashes: Hashes) -> None:
        """Check that it is what was sealed, by its hash if it changed. Raises VerificationError."""
        found = _state(self.file)
        if found != self.state:
            check_hash(self.file, self.path, self.sha256, hashes)
            self.state = found


@dataclass(slots=True)
class Copy:
    """One version of a release, its files open until `close`.

    `version`: the drop list that it has applied. `record`: its manifest; `digest`: that one's hash.
    """

    version: int
    digest: str
    record: dict[str, Any]
    members: Held
    shards: dict[str, Held]
    _open: ExitStack = field(repr=False)

    def check(self, hashes: Hashes) -> None:
        """Check that no file was written to since it was opened. Raises VerificationError."""
        for held in (self.members, *self.shards.values()):
            held.check(hashes)

    def close(self) -> None:
        """Close the files."""
        self._open.close()


Accept = Callable[[dict[str, Any], str], int]
"""Returns the version that a manifest, with this hash, is of; raises if it is none."""


def hold(
    folder: Path, hashes: Hashes, accept: Accept, shards: Collection[str] | None = None
) -> Copy:
    """Open the files of a received release, and check that they are those of its manifest.

    Only `shards`, if not all are asked for. What has to be hashed is remembered in `hashes`. A copy
    that is swapped for another at this moment is looked for again. Raises VerificationError, and
    what `accept` raises.
    """
    for left in reversed(range(_TRIES)):
        seen = b""
        try:
            seen = manifest.content(folder)
            return _hold(folder, seen, hashes, accept, shards)
        except VerificationError:
            if not left or (seen and _content(folder) == seen):
                raise
        time.sleep(_PAUSE)
    raise AssertionError  # pragma: no cover - the last try returns or raises


def _content(folder: Path) -> bytes:
    try:
        return manifest.content(folder)
    except VerificationError:
        return b""


def _hold(
    folder: Path, data: bytes, hashes: Hashes, accept: Accept, shards: Collection[str] | None
) -> Copy:
    record = manifest.parse(data)
    digest = sha256(canonical(record) + b"\n")
    version = accept(record, digest)
    with ExitStack() as stack:
        held: dict[str, Held] = {}
        for entry in record["files"]:
            path, name = folder / manifest.OUTGOING / entry["path"], entry["path"]
            if name != manifest.MEMBERS and not _SHARD.fullmatch(name):
                raise VerificationError(f"{name!r}: no file of a release has such a name")
            if shards is not None and name not in {manifest.MEMBERS, *shards}:
                continue
            try:
                file = stack.enter_context(pa.OSFile(str(path)))
            except OSError as error:
                raise VerificationError(f"{path}: {error.strerror}") from error
            state = _state(file)
            check_hash(file, name, entry["sha256"], hashes)
            held[name] = Held(name, entry["sha256"], file, state)
        members = held.pop(manifest.MEMBERS, None)
        if members is None:
            raise VerificationError(f"{folder}: its manifest lists no {manifest.MEMBERS}")
        return Copy(version, digest, record, members, held, stack.pop_all())
    raise AssertionError  # pragma: no cover - an ExitStack may swallow, as types go; it does not


def check_hash(file: pa.OSFile, path: str, expected: str, hashes: Hashes) -> None:
    """Check an open file's hash, or that it has not changed since it was. VerificationError."""
    state = _state(file)
    known = hashes.get(path)
    if known is None or known[0] != state:
        found = _hash(file)
        if _state(file) != state:
            raise VerificationError(f"{path}: it is written to while it is read")
        known = state, found
        # Of a file that changed just now, another change might not show in its times.
        if time.time_ns() - max(state.modified, state.changed) > _SETTLED:
            hashes[path] = known
    if known[1] != expected:
        raise VerificationError(f"{path}: not the file that was sealed (its SHA-256 differs)")


def _state(file: pa.OSFile) -> Identity:
    return identity(os.fstat(file.fileno()))


def _hash(file: pa.OSFile) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
