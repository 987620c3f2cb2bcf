"""A policy's folder on disk: the files of it that belong to the policy, and no others."""

from __future__ import annotations

from pathlib import Path

from letterlock.errors import InputError
from letterlock.policy.document import belongs


def policy_files(folder: Path) -> dict[str, bytes]:
    """Read the files of the policy in `folder`, by name.

    Raises InputError if it is no folder, or a file cannot be read.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise InputError(f"{folder} {what}: name the folder of the policy, with its policy.toml")
    found = {}
    try:
        for path in sorted(folder.iterdir()):
            if belongs(path.name):
                found[path.name] = path.read_bytes()
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error
    return found


def write_new(path: Path, text: str) -> None:
    """Write a text that is not there yet. Raises InputError if it is, or cannot be written."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
