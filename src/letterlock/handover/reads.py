"""The files that grow beside a release: a line for each read of it, and each model made of it.

A line is canonical JSON. It is on disk before `append` returns, so what has to be recorded first is
recorded or does not happen. Several processes may append to one file; a line that a crash cut off
stays as it is, and says nothing: what it was to record did not happen.
Spec: docs/reading.md#what-is-recorded.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from letterlock.domain import Time, canonical
from letterlock.errors import InputError, WorkspaceError
from letterlock.evidence import strict

READS: Final = "reads.jsonl"
MODELS: Final = "models.jsonl"

LONGEST: Final = 1 << 16
"""Bytes of a line."""

State = Literal["opened", "reading", "done", "stopped"]
STATES: Final = ("opened", "reading", "done", "stopped")

_RUN: Final = re.compile("[0-9a-f]{16}")
_SHAPE: Final[strict.Shape] = {
    "at": int, "run": str, "part": str, "epoch": int, "purpose": str, "version": int,
    "list": int, "state": str, "batches": int, "rows": int,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Read:
    """A read that was let through.

    `at`: when, in µs since 1970. `run`: 16 hexadecimal digits, of the process that opened the
    release, or of its training. `part`: which of how many workers, "0/1" for one alone. `epoch`
    from 1; 0 when it was opened. `version`: the drop list that the copy has applied; `list`: the
    one that was applied to what was read. `batches`, `rows`: handed out in this epoch until now;
    after a line in state "reading" more may follow, until the next check.
    """

    at: Time
    run: str
    part: str
    epoch: int
    purpose: str
    version: int
    list: int
    state: State
    batches: int = 0
    rows: int = 0


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Add a line durably. Raises WorkspaceError, and then the file is as it was."""
    try:
        opened = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            _append(opened, canonical(dict(record)) + b"\n")
        finally:
            os.close(opened)
        _sync(path.parent)
    except OSError as error:
        raise WorkspaceError(f"{path}: nothing can be recorded there: {error.strerror}") from error


def _append(opened: int, line: bytes) -> None:
    size = os.fstat(opened).st_size
    if size and os.pread(opened, 1, size - 1) != b"\n":
        line = b"\n" + line  # a crash cut the last line off: it stays, by itself
    try:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(opened, rest) :]
        os.fsync(opened)
    except OSError:
        os.ftruncate(opened, size)
        raise


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def lines(path: Path) -> Iterator[Any]:
    """Yield the whole lines of a file as JSON values, none if there is no file.

    Raises WorkspaceError if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST):
                try:
                    yield strict.parse(line.removesuffix(b"\n"), path.name, limit=LONGEST)
                except InputError:  # cut off by a crash
                    continue
    except FileNotFoundError:
        return
    except OSError as error:
        raise WorkspaceError(f"{path}: cannot be read: {error.strerror}") from error


def record(folder: Path, read: Read) -> None:
    """Record a read in the folder of its release. Raises WorkspaceError: then nothing is read."""
    append(folder / READS, asdict(read))


def reads(folder: Path) -> Iterator[Read]:
    """Yield what was read of a release, in the order it was recorded.

    Raises InputError for a line that is none of ours, WorkspaceError if there is no reading it.
    """
    for value in lines(folder / READS):
        said = strict.shaped(value, _SHAPE, READS)
        if said["state"] not in STATES or not _RUN.fullmatch(said["run"]):
            raise InputError(f"{READS}: a line of an unknown state or run")
        yield Read(**said)
