"""The log's files in two folders: one that anybody may read, one that only its writer needs.

Public: `checkpoint`, `checkpoints/<size>`, `tile/…`, `blobs/<sha256>`; any web server can hand them
out. Private: the committed checkpoint, what is staged, and a lock. A file is written beside its
place and synchronized, renamed, and its folder synchronized: it is there whole and stays, or not.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final, Self

from letterlock.errors import LogError
from letterlock.store import files as whole

_PUBLIC: Final = re.compile(
    r"checkpoint|checkpoints/(0|[1-9][0-9]*)|blobs/[0-9a-f]{64}"
    r"|tile/(entries|[0-9]{1,2})/(x[0-9]{3}/)*[0-9]{3}(\.p/[1-9][0-9]{0,2})?"
)
_STAGED: Final = re.compile("[0-9]+-[0-9a-f]{64}")
_AT_ONCE: Final = 128  # files open at a time: enough to share the disk's journal, few to hold open
_NEW: Final = ".new"
_DIGEST: Final = 32


class LogFolders:
    """A log's two folders, to look at only."""

    def __init__(self, public: Path, private: Path) -> None:
        """Name the folders; they need not exist."""
        self.public, self.private = public, private
        self._staging = private / "staging"
        self._committed = private / "checkpoint"

    def read(self, path: str) -> bytes | None:
        """Return what is in a public file, None if it is not there. Raises LogError."""
        return _read(self.public / _checked(path))

    def paths(self) -> Iterator[str]:
        """Yield the path of every file under tile/, in order."""
        for folder, folders, files in os.walk(self.public / "tile"):
            folders.sort()
            for name in sorted(files):
                if not (name.startswith(".") and name.endswith(_NEW)):
                    yield (Path(folder) / name).relative_to(self.public).as_posix()

    def published(self) -> list[int]:
        """Return the sizes of which a checkpoint was ever published, ascending. Raises LogError."""
        folder = self.public / "checkpoints"
        with _reported(folder):
            names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return sorted(int(name) for name in names if _PUBLIC.fullmatch(f"checkpoints/{name}"))

    def committed(self) -> bytes | None:
        """Return the last committed checkpoint, None before the first. Raises LogError."""
        return _read(self._committed)

    def staged(self) -> list[str]:
        """Return the names of what is kept aside. Raises LogError."""
        with _reported(self._staging):
            if not self._staging.is_dir():
                return []
            names = (path.name for path in self._staging.iterdir())
            return sorted(name for name in names if _STAGED.fullmatch(name))

    def read_staged(self, name: str) -> Mapping[str, bytes]:
        """Return files that were kept aside. Raises LogError if they are damaged."""
        path = self._staging / _checked(name, _STAGED)
        kept = _read(path)
        if kept is None or hashlib.sha256(kept[:-_DIGEST]).digest() != kept[-_DIGEST:]:
            raise LogError(f"{path} is not what was staged")
        found: dict[str, bytes] = {}
        at, end = 0, len(kept) - _DIGEST
        while at < end:
            line = kept.index(b"\n", at)
            where, _, size = kept[at:line].decode().partition(" ")
            at = line + 1 + int(size)
            found[where] = kept[line + 1 : at]
        return found


class FolderTiles(LogFolders):
    """A TileStore in two folders, for the log's one writer: it holds their lock until `close`."""

    def __init__(self, public: Path, private: Path) -> None:
        """Make the folders if need be and lock them. Raises LogError, also if somebody else has."""
        super().__init__(public, private)
        self._known: set[Path] = set()
        with _reported(private):
            public.mkdir(parents=True, exist_ok=True)
            private.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = (private / "lock").open("a+")
        try:
            self._take(private)
            with _reported(private):  # what a crash left half-written was never staged
                for left in self._staging.glob(f".*{_NEW}"):
                    left.unlink()
        except BaseException:
            self._lock.close()
            raise

    def _take(self, private: Path) -> None:
        with _reported(private):
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                self._lock.seek(0)
                who = self._lock.read().strip() or "?"
                raise LogError(f"{private}: process {who} is writing this log") from error
            self._lock.truncate(0)
            self._lock.write(f"{os.getpid()}\n")
            self._lock.flush()

    def close(self) -> None:
        """Let others write."""
        self._lock.close()

    def __enter__(self) -> Self:
        """Close after use."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    # ── what a TileStore does (record.tlog) ─────────────────────────────────────────────────

    def commit(self, old: bytes | None, new: bytes) -> None:
        """Replace the committed checkpoint if it is still `old`. Raises LogError."""
        if self.committed() != old:
            raise LogError(f"{self._committed} was changed by somebody else: nothing was committed")
        self._put({self._committed: [new]})

    def stage(self, name: str, files: Mapping[str, bytes]) -> None:
        """Keep files aside, as one. Raises LogError."""
        parts: list[bytes] = []
        for path, data in files.items():
            parts += f"{_checked(path)} {len(data)}\n".encode(), data
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        self._put({self._staging / _checked(name, _STAGED): [*parts, digest.digest()]})

    def unstage(self, name: str) -> None:
        """Forget files that were kept aside. Raises LogError."""
        with _reported(self._staging):
            self._remove(self._staging / _checked(name, _STAGED))
            self._synchronize(self._staging)

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write public files; one that is there with other content is not changed: LogError."""
        found = {self.public / _checked(path): [data] for path, data in files.items()}
        for path, (data,) in found.items():
            if (there := _read(path)) is not None and there != data:
                raise LogError(f"{path} is there already, and is not what belongs there")
        self._put(found)

    def publish(self, checkpoint: bytes, size: int) -> None:
        """Make this the public checkpoint, and `checkpoints/<size>` a copy of it. LogError."""
        self._put({self.public / "checkpoints" / str(size): [checkpoint]})
        self._put({self.public / "checkpoint": [checkpoint]})

    def drop_partials(self, paths: Iterable[str]) -> None:
        """Remove the partial files of these full ones, where there are any. Raises LogError."""
        for full in paths:
            folder = self.public / f"{_checked(full)}.p"
            with _reported(folder), suppress(FileNotFoundError):
                for path in list(folder.iterdir()):
                    self._remove(path)
                folder.rmdir()
                self._known.discard(folder)

    # ── every way in which a disk is changed ────────────────────────────────────────────────

    def _put(self, files: Mapping[Path, Sequence[bytes]]) -> None:
        """Write files, each given in parts, for good: each whole or, if this raises, not at all.

        A group is written, then synchronized, then renamed: so the disk is waited for once.
        """
        folders: set[Path] = set()
        each = iter(files.items())
        while group := list(islice(each, _AT_ONCE)):
            places = [(path.with_name(f".{path.name}{_NEW}"), path) for path, _ in group]
            with _reported(group[0][0].parent):
                try:
                    for folder in {path.parent for path, _ in group} - folders:
                        self._make(folder)
                        folders.add(folder)
                    self._fill([(new, group[n][1]) for n, (new, _) in enumerate(places)])
                    for new, path in places:
                        self._rename(new, path)
                except BaseException:
                    for new, _ in places:
                        with suppress(OSError):
                            new.unlink()
                    raise
        for folder in folders:
            with _reported(folder):
                self._synchronize(folder)

    def _fill(self, files: Sequence[tuple[Path, Sequence[bytes]]]) -> None:
        with ExitStack() as opened:
            found = [opened.enter_context(path.open("wb")) for path, _ in files]
            for file, (_, parts) in zip(found, files, strict=True):
                file.writelines(parts)
                file.flush()
            for file in found:
                os.fsync(file.fileno())

    def _rename(self, new: Path, path: Path) -> None:
        new.rename(path)

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def _make(self, folder: Path) -> None:
        """Make a folder for good: one that a crash left may not have been synchronized yet."""
        if folder in self._known:
            return
        if folder not in {self.public, self.private}:
            self._make(folder.parent)
            folder.mkdir(exist_ok=True)
        self._synchronize(folder.parent)
        self._known.add(folder)

    def _synchronize(self, folder: Path) -> None:
        whole.sync(folder)


def _checked(path: str, form: re.Pattern[str] = _PUBLIC) -> str:
    """Return a path that cannot lead anywhere else. Raises LogError."""
    if not form.fullmatch(path):
        raise LogError(f"{path!r} is no path of a log")
    return path


def _read(path: Path) -> bytes | None:
    with _reported(path):
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Make a LogError of what the disk reports."""
    try:
        yield
    except OSError as error:
        raise LogError(f"{error.filename or path}: {error.strerror or error}") from error
