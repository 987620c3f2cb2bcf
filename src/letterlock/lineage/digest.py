"""The digest of a model: what all its files are, under their names, in one hash.

SHA-256 over the canonical JSON of [path, bytes, sha256] of each regular file of a folder, sorted by
path; a path is relative, its parts joined by "/". Weights as safetensors are files like any other.
Spec: docs/spec/lineage.md.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from letterlock.domain import canonical, sha256
from letterlock.errors import InputError


@dataclass(frozen=True, slots=True)
class Weights:
    """A model as files: its digest (64 hexadecimal digits), and how many files and bytes it has."""

    digest: str
    files: int
    size: int


def digest_of(folder: Path) -> Weights:
    """Return the digest of the model in `folder`.

    Raises InputError if it holds no file, a link or anything but files and folders, a name that is
    no text, or a file that changes or cannot be read meanwhile: of such a model nothing is known.
    """
    try:
        entries = sorted(_entry(folder, path) for path in _files(folder))
    except OSError as error:
        raise InputError(f"{error.filename or folder}: {error.strerror}") from error
    if not entries:
        raise InputError(f"{folder}: no model here: there is no file in it")
    listed = [list(entry) for entry in entries]
    return Weights(sha256(canonical(listed)), len(entries), sum(size for _, size, _ in entries))


def _files(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder; whatever else is there is refused."""
    with os.scandir(folder) as inside:
        for entry in inside:
            path = Path(entry.path)
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _files(path)
            elif stat.S_ISREG(mode):
                yield path
            else:
                raise InputError(f"{path}: a model is files; this is a link, or none of them")


def _entry(folder: Path, path: Path) -> tuple[str, int, str]:
    name = path.relative_to(folder).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{name!a}: a name of a model's file is text") from error
    with path.open("rb") as file:
        before = _state(file)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        if _state(file) != before:
            raise InputError(f"{path}: it is written to meanwhile")
    return name, before[0], digest


def _state(file: BinaryIO) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns
