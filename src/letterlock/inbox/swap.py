"""Swapping a copy for its next version, and what is done about a swap that was cut off.

A swap is two renames; until it is over, both versions lie beside the release. Nothing is
countersigned, nor called destroyed, while the one that goes is still there: whoever opens an inbox
to work in it calls `recover` for each of its releases first.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from letterlock.handover import package
from letterlock.release import manifest
from letterlock.store import files

NEW: Final = ".new"
OLD: Final = ".old"
"""Beside a copy, while it is swapped: the version that comes, and the one that goes."""


def swap(folder: Path) -> None:
    """Put the new version in its place; whoever has the old one's files open keeps them.

    The sidecars go first: they describe the version that goes. Raises OSError.
    """
    place, new, old = folder / manifest.OUTGOING, folder / NEW, folder / OLD
    if (folder / package.SIDECARS).exists():
        shutil.rmtree(folder / package.SIDECARS)
    place.rename(old)
    (new / manifest.OUTGOING).rename(place)
    files.sync(folder)
    new.rmdir()
    shutil.rmtree(old)


def recover(folder: Path) -> None:
    """Finish, or take back, what was cut off while a list was applied. Raises OSError."""
    place, new, old = folder / manifest.OUTGOING, folder / NEW, folder / OLD
    if not place.exists() and old.exists():
        old.rename(place)  # the new version is made again
        files.sync(folder)
    for left in (new, old):
        if left.exists():
            shutil.rmtree(left)
