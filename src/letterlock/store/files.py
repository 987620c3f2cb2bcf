"""Files that are written whole and for good, or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PART: Final = ".part"
"""What a file's name ends in, after a dot before it, until it is whole."""


def write(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write a file durably, in place of one that may be there. Raises OSError.

    It is written beside its place, synchronized, renamed, and its folder synchronized.
    """
    part = path.with_name(f".{path.name}{PART}")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make durable which files are in a folder. Raises OSError."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
