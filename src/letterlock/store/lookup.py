"""Who is in a release and with what, in flat files: a person is found in them in microseconds.

Two files for each sealed version, in the workspace's trace/: its pseudonyms in order, and for each
row of its table of members how many of its rows name that member, by class and role. Both follow
from the release's own files and are made when first asked for; each begins with the hash of the
manifest that was sealed, so what is of another version, torn or cut is made anew. They are a cache,
and as private as what a workspace holds. Format: docs/trace.md.
"""

from __future__ import annotations

import json
import mmap
import struct
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from letterlock.store import files

NAME_SIZE: Final = 32
_NAMES: Final = b"letterlock/lookup/names/v1"
_CLASSES: Final = b"letterlock/lookup/classes/v1"
_HEADER: Final = struct.Struct("<32s32s32sQQQ")
"""Label, the manifest's hash, the scope of the pseudonyms, and three counts."""
_ROLES: Final = 4


@dataclass(frozen=True, slots=True)
class Held:
    """How many rows of one class name a member in one role (as of domain.Role)."""

    data_class: str
    role: int
    rows: int


def _open(path: Path, label: bytes, manifest: str) -> tuple[mmap.mmap, bytes, list[int]] | None:
    """Map a file of this manifest; None if there is none, or it is not one."""
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # absent, or empty
        return None
    if len(data) >= _HEADER.size:
        said, digest, scope, *counts = _HEADER.unpack_from(data)
        if said.rstrip(b"\0") == label and digest.hex() == manifest:
            return data, scope, counts
    data.close()
    return None


# ── names ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class NameFile:
    """The pseudonyms of one version, ascending, and T of what they were made with."""

    scope: bytes
    count: int
    _data: mmap.mmap

    def find(self, name: bytes) -> int | None:
        """Return the place of a name among them, None if it is not there."""
        place = bisect_left(range(self.count), name, key=self._at)
        return place if place < self.count and self._at(place) == name else None

    def _at(self, place: int) -> bytes:
        first = _HEADER.size + NAME_SIZE * place
        return self._data[first : first + NAME_SIZE]

    def close(self) -> None:
        """Let go of the file."""
        self._data.close()


def open_names(path: Path, manifest: str) -> NameFile | None:
    """Open the pseudonyms of the version with this manifest; None if they are to be made."""
    found = _open(path, _NAMES, manifest)
    if found is None:
        return None
    data, scope, (count, *_) = found
    if len(data) != _HEADER.size + NAME_SIZE * count:
        data.close()
        return None
    return NameFile(scope, count, data)


def write_names(path: Path, manifest: str, scope: bytes, names: bytes) -> None:
    """Keep pseudonyms, ascending and end to end. Raises OSError."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    count = len(names) // NAME_SIZE
    files.write(path, _header(_NAMES, manifest, scope, count) + names, mode=0o600)


def _header(label: bytes, manifest: str, scope: bytes, *counts: int) -> bytes:
    three = [*counts, 0, 0][:3]
    return _HEADER.pack(label, bytes.fromhex(manifest), scope, *three)


# ── classes ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Rows:
    """Who is in how many rows: member m has entries offsets[m]:offsets[m+1].

    An entry is 4·class + role, and how many rows of that class name the member in that role.
    """

    classes: tuple[str, ...]
    offsets: npt.NDArray[np.uint32]  # (members + 1,)
    kind: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.uint32]


def held(path: Path, manifest: str, member: int) -> list[Held] | None:
    """Return what the version with this manifest holds of a member; None: it is to be made."""
    found = _open(path, _CLASSES, manifest)
    if found is None:
        return None
    data, _, (members, entries, size) = found
    try:
        start = _HEADER.size + size
        if len(data) != start + 4 * (members + 1 + 2 * entries) or member >= members:
            return None
        classes: list[str] = json.loads(data[_HEADER.size : start])
        first, last = np.frombuffer(data[start + 4 * member : start + 4 * member + 8], "<u4")
        kinds = start + 4 * (members + 1)
        rows = kinds + 4 * entries
        return [
            Held(classes[int(kind) // _ROLES], int(kind) % _ROLES, int(count))
            for kind, count in zip(
                np.frombuffer(data[kinds + 4 * first : kinds + 4 * last], "<u4"),
                np.frombuffer(data[rows + 4 * first : rows + 4 * last], "<u4"),
                strict=True,
            )
        ]
    finally:
        data.close()


def write_rows(path: Path, manifest: str, found: Rows) -> None:
    """Keep who is in how many rows. Raises OSError."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    classes = json.dumps(found.classes).encode()
    counts = (len(found.offsets) - 1, len(found.kind), len(classes))
    parts = [found.offsets.astype("<u4"), found.kind.astype("<u4"), found.rows.astype("<u4")]
    data = _header(_CLASSES, manifest, bytes(32), *counts) + classes
    files.write(path, data + b"".join(part.tobytes() for part in parts), mode=0o600)
