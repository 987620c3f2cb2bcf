"""A package: a release as it is handed over, in one tar file (ustar) that is written in one way.

In this order: `evidence.json`, `terms`, `outgoing/manifest.json`, `sidecars/…` if there are any,
and each file of the manifest in its order; regular files only, mode 644, time 0, nobody's. Reading
compares every header with the one that would be written, so no link, no odd path and no other size
than the manifest's gets by. The tar file is encrypted as a stream. Spec: docs/spec/handover.md §3.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

from letterlock.domain import sha256
from letterlock.errors import ReleaseError, VerificationError
from letterlock.evidence import bundle, entries
from letterlock.handover import age
from letterlock.release import manifest
from letterlock.release.manifest import MEMBERS, NAME, OUTGOING

EVIDENCE: Final = "evidence.json"
TERMS: Final = "terms"
SIDECARS: Final = "sidecars"
MAX_TERMS: Final = 2**20
"""Bytes of the terms."""
MAX_SIDECARS: Final = 16

_BLOCK: Final = tarfile.BLOCKSIZE
_END: Final = bytes(2 * _BLOCK)
_CHUNK: Final = 1 << 18
_USTAR_SIZE: Final = 8**11
"""Bytes from which on a size does not fit eleven octal digits, and is written as GNU tar does."""
_SIDECAR: Final = re.compile(SIDECARS + r"/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILE: Final = re.compile(r"data/[A-Za-z0-9_-]+/shard-[0-9]{5}\.parquet")
_MANIFEST: Final = f"{OUTGOING}/{NAME}"


def _header(path: str, size: int) -> bytes:
    """Return the block before a file. Raises ValueError for a path that is too long."""
    entry = tarfile.TarInfo(path)
    entry.size = size
    large = size >= _USTAR_SIZE
    block = entry.tobuf(tarfile.GNU_FORMAT if large else tarfile.USTAR_FORMAT)
    if len(block) != _BLOCK:
        raise ValueError("path is too long")
    return block


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


# ── writing ─────────────────────────────────────────────────────────────────────────────────


def write(target: BinaryIO, release: Path, evidence: bytes, terms: bytes, identity: str) -> None:
    """Write the package of the release in a folder, encrypted to the public half of `identity`.

    Raises VerificationError for a file that is not what the manifest says, ReleaseError for a path
    that does not fit, OSError. What is in `target` then is to be thrown away.
    """
    try:
        chunks = age.Stream(_chunks(release, evidence, terms))
        age.encrypt(chunks, target, age.public_of(identity))
    except ValueError as error:
        raise ReleaseError(f"{release}: no package can be made of it: {error}") from error


def _chunks(release: Path, evidence: bytes, terms: bytes) -> Iterator[bytes]:
    listed = manifest.content(release)
    for path, data in ((EVIDENCE, evidence), (TERMS, terms), (_MANIFEST, listed)):
        yield _header(path, len(data)) + data + _padding(len(data))
    for sidecar in _sidecars(release):
        data = sidecar.read_bytes()
        path = f"{SIDECARS}/{sidecar.name}"
        yield _header(path, len(data)) + data + _padding(len(data))
    for entry in manifest.parse(listed)["files"]:
        yield _header(f"{OUTGOING}/{entry['path']}", entry["bytes"])
        yield from _contents(release / OUTGOING / entry["path"], entry)
        yield _padding(entry["bytes"])
    yield _END


def _sidecars(release: Path) -> list[Path]:
    """Return what lies beside a release; what a killed writer left half-written stays here."""
    folder = release / SIDECARS
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [path for path in inside if _SIDECAR.fullmatch(f"{SIDECARS}/{path.name}")]
    if len(found) > MAX_SIDECARS:
        raise ReleaseError(f"{folder}: a package has room for {MAX_SIDECARS} sidecars")
    return found


def _contents(path: Path, entry: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield what is in a file, which has to be what the manifest says."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
            if size > entry["bytes"]:
                break
            yield chunk
    if (size, digest.hexdigest()) != (entry["bytes"], entry["sha256"]):
        raise VerificationError(f"{path}: not the file that was sealed (its SHA-256 differs)")


# ── reading ─────────────────────────────────────────────────────────────────────────────────

_Wanted: TypeAlias = Generator[int, bytes, None]
"""Asks for a number of bytes at a time, and is sent them."""


class Unpacker:
    """A target of decryption that writes the files of a package into an empty folder.

    Nothing is written but what the manifest lists, and the manifest is the one that was granted.
    `write` and `finish` raise VerificationError for anything else, and OSError.
    """

    def __init__(self, folder: Path, granted: str) -> None:
        """Take the package of the release whose manifest has the SHA-256 `granted`."""
        self._folder, self._granted = folder, granted
        self._kept = bytearray()
        self._reading: _Wanted = self._read()
        self._wanted = next(self._reading)
        self._done = False

    def write(self, data: bytes, /) -> int:
        """Take more of the tar file."""
        self._kept += data
        at = 0
        while not self._done and len(self._kept) - at >= self._wanted:
            part = bytes(self._kept[at : at + self._wanted])
            at += self._wanted
            try:
                self._wanted = self._reading.send(part)
            except StopIteration:
                self._done = True
        del self._kept[:at]
        if self._done and self._kept:
            raise VerificationError("package: something comes after its end")
        return len(data)

    def flush(self) -> None:
        """Do nothing more: each file is synchronized when it is whole."""

    def finish(self) -> None:
        """Check that the package was whole."""
        if not self._done:
            raise VerificationError("package: it is cut off")

    def _read(self) -> _Wanted:
        yield from self._small(EVIDENCE, bundle.MAX_SIZE)
        yield from self._small(TERMS, MAX_TERMS)
        yield from self._small(_MANIFEST, entries.MAX_BLOB)
        data = (self._folder / _MANIFEST).read_bytes()
        if sha256(data) != self._granted:
            raise VerificationError("package: its manifest is not the one that was granted")
        files = manifest.parse(data)["files"]
        block = yield from self._sidecars()
        for entry in files:
            path = entry["path"]
            if path != MEMBERS and not _FILE.fullmatch(path):
                raise VerificationError(f"package: {path!r} is no place for a file of a release")
            self._check(block, f"{OUTGOING}/{path}", entry["bytes"])
            yield from self._file(f"{OUTGOING}/{path}", entry["bytes"])
            block = yield _BLOCK
        if block + (yield _BLOCK) != _END:
            raise VerificationError("package: it does not end after the manifest's last file")

    def _sidecars(self) -> Generator[int, bytes, bytes]:
        """Read what lies beside the release; returns the block after it."""
        for _ in range(MAX_SIDECARS + 1):
            block = yield _BLOCK
            path, size = _named(block)
            if not _SIDECAR.fullmatch(path):
                return block
            if size > entries.MAX_BLOB or (self._folder / path).exists():
                raise VerificationError(f"package: {path} is too long, or there twice")
            self._check(block, path, size)
            yield from self._file(path, size)
        raise VerificationError(f"package: more than {MAX_SIDECARS} sidecars")

    def _small(self, path: str, limit: int) -> _Wanted:
        block = yield _BLOCK
        size = _named(block)[1]
        self._check(block, path, size)
        if size > limit:
            raise VerificationError(f"package: {path} has more than {limit} bytes")
        yield from self._file(path, size)

    def _check(self, block: bytes, path: str, size: int) -> None:
        try:
            expected = _header(path, size)
        except ValueError as error:
            raise VerificationError(f"package: {path!r}: {error}") from error
        if block != expected:
            raise VerificationError(
                f"package: where {path} of {size} bytes must be is no such file"
            )

    def _file(self, path: str, size: int) -> _Wanted:
        place = self._folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            left = size
            while left:
                part = yield min(left, _CHUNK)
                file.write(part)
                left -= len(part)
            file.flush()
            os.fsync(file.fileno())
        if (padding := _padding(size)) and (yield len(padding)) != padding:
            raise VerificationError(f"package: what comes after {path} is not empty")


def _named(block: bytes) -> tuple[str, int]:
    """Return what path and size a header claims, ("", 0) for none; nothing of it is checked."""
    try:
        entry = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, ValueError):
        return "", 0
    return entry.name, max(entry.size, 0)
