"""Supersede a release: the same without every row that names somebody who has to be dropped.

Version n of a release is version 0 without the rows that name a pseudonym of drop list n. Lists are
cumulative, and each row group is filtered by itself, so every way from one version to a later one
gives the same bytes. Shards that name nobody of the list stay as they are: who is where is read
from the party columns alone, and members.parquet keeps its rows and their order for ever, with no
pseudonym where nobody is left. In memory: one row group, and two bytes per member.
Spec: docs/spec/drops.md §2. The platform and its recipients run this same code.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import canonical, sha256
from letterlock.errors import InputError, ReleaseError, VerificationError
from letterlock.record.memberset import NAME_SIZE, MemberSet
from letterlock.release import manifest
from letterlock.release.build import FileWriter
from letterlock.release.manifest import MEMBERS, OUTGOING, PARTY_COLUMNS, PRIVATE, FileEntry

Bools = npt.NDArray[np.bool_]
_T = TypeVar("_T")

SCHEMA: Final = pa.schema({"pseudonym": pa.binary(NAME_SIZE)})
_BATCH: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Names:
    """The rows of members.parquet: `names` of those `there`, end to end and ascending."""

    names: bytes
    there: Bools  # (rows,)

    def rows_of(self, pseudonyms: Collection[bytes]) -> Bools:
        """Return which rows hold one of `pseudonyms`: (rows,). Others are of nobody here."""
        size = NAME_SIZE
        wanted = np.frombuffer(b"".join(sorted(pseudonyms)), f"V{size}")
        mine = np.frombuffer(self.names, f"V{size}")
        found = np.zeros(len(self.there), np.bool_)
        found[np.flatnonzero(self.there)[np.isin(mine, wanted)]] = True
        return found

    def of(self, rows: Bools) -> bytes:
        """Return the names in some of the rows, end to end."""
        mine = np.frombuffer(self.names, f"V{NAME_SIZE}")
        return mine[rows[self.there]].tobytes()


@dataclass(frozen=True, slots=True)
class Left:
    """What a drop list leaves of a release; `touched` are the shards that name somebody on it."""

    members: int
    depth: int
    root: str
    rows: int
    touched: frozenset[str]
    there: Bools


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A release's new version: its manifest, and the bytes of the files that were written anew."""

    manifest: bytes
    left: Left
    written: int

    @property
    def record(self) -> dict[str, Any]:
        """Return what the manifest says."""
        found: dict[str, Any] = manifest.parse(self.manifest)
        return found


def left_after(folder: Path, drop: Collection[bytes]) -> Left:
    """Say what dropping everybody in `drop` would leave, from the party columns alone.

    Raises VerificationError if a file is not what the manifest says.
    """
    record = manifest.read(folder)
    return _readable(folder, lambda: _left_after(folder / OUTGOING, record, drop))


def _left_after(outgoing: Path, record: Mapping[str, Any], drop: Collection[bytes]) -> Left:
    names = read_names(outgoing / MEMBERS)
    gone, used = names.rows_of(drop), np.zeros(len(names.there), np.bool_)
    rows, touched = 0, set()
    for entry in _shards(record):
        path, found = entry["path"], 0
        with pq.ParquetFile(outgoing / path) as file:
            for group in range(file.num_row_groups):
                parties = file.read_row_group(group, columns=[*PARTY_COLUMNS])
                stays = _stays(parties, gone, used)
                found += int(stays.sum())
                if not stays.all():
                    touched.add(path)
            before = file.metadata.num_rows
        if before != entry["rows"]:
            raise VerificationError(f"{path}: {before} rows, the manifest says {entry['rows']}")
        rows += found
    if (used & (gone | ~names.there)).any():
        raise VerificationError("a row names somebody who is not there")
    return _left(names, used, rows, frozenset(touched))


def _left(names: Names, used: Bools, rows: int, touched: frozenset[str]) -> Left:
    members = MemberSet(names.of(used))
    return Left(members.count, members.depth, members.root.hex(), rows, touched, used)


def rewrite(
    old: Path, new: Path, drop: Collection[bytes], *, version: int, listed: str
) -> Rewritten:
    """Write the version after drop list `version` (SHA-256 `listed`) into the empty folder `new`.

    `old` is any earlier version; `new` gets its `outgoing` alone. Untouched files are linked, or
    copied where the disk cannot link. Raises VerificationError if `old` is not what its manifest
    says, ReleaseError if what came of it does not add up, OSError if the disk refuses.
    """
    record = manifest.read(old)
    if version <= manifest.version_of(record):
        raise ReleaseError(f"{old}: version {manifest.version_of(record)} of it is there already")
    left = left_after(old, drop)
    (new / OUTGOING).mkdir(parents=True)
    return _readable(old, lambda: _rewrite(old, new, record, left, drop, version, listed))


def _rewrite(  # noqa: PLR0913, PLR0917 - as rewrite
    old: Path,
    new: Path,
    record: dict[str, Any],
    left: Left,
    drop: Collection[bytes],
    version: int,
    listed: str,
) -> Rewritten:
    source, target = old / OUTGOING, new / OUTGOING
    names = read_names(source / MEMBERS)
    gone, used = names.rows_of(drop), np.zeros(len(names.there), np.bool_)
    entries, classes, written = [], Counter(record["counts"]["by_class"]), 0
    for entry in _shards(record):
        path = entry["path"]
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        if path not in left.touched:
            keep(source / path, target / path)
            entries.append(FileEntry(path, entry["rows"], entry["bytes"], entry["sha256"]))
            continue
        found = _filter(source, target, path, gone, used, classes)
        entries.append(found)
        written += found.size
    _check(left, entries, names, gone, used)
    table = write_members(target, names, left.there)
    for folder in sorted({(target / entry.path).parent for entry in entries}):
        _sync(folder)
    data = _manifest(old, record, left, [table, *entries], +classes, version, listed, drop)
    _write(target / manifest.NAME, data)
    return Rewritten(data, left, written + table.size)


def _check(
    left: Left, entries: Sequence[FileEntry], names: Names, gone: Bools, used: Bools
) -> None:
    """Check that nobody who was dropped is in what was written, and that the rows add up."""
    if (used & (gone | ~names.there | ~left.there)).any():
        raise ReleaseError("somebody who was dropped is left: nothing was superseded")
    if sum(entry.rows for entry in entries) != left.rows:
        raise ReleaseError("rows before and rows dropped do not add up: nothing was superseded")


def _filter(  # noqa: PLR0913, PLR0917 - a file, from where, whereto, without whom, and the counts
    source: Path,
    target: Path,
    path: str,
    gone: Bools,
    used: Bools,
    classes: Counter[str],
) -> FileEntry:
    """Write one shard without the rows that name anybody `gone`, row group by row group."""
    with (
        pq.ParquetFile(source / path) as file,
        FileWriter(target / path, path, file.schema_arrow) as writer,
    ):
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            stays = _stays(table, gone, used)
            dropped = table.column("data_class").filter(pa.array(~stays))
            for each in dropped.value_counts().to_pylist():
                classes[each["values"]] -= each["counts"]
            if stays.any():
                # In one chunk: where chunks end would else show in the pages of the file.
                writer.write(table.filter(pa.array(stays)).combine_chunks())
    return writer.entry


def _stays(table: pa.Table, gone: Bools, used: Bools) -> Bools:
    """Say which rows name nobody `gone`: (rows,); marks in `used` whom those rows name."""
    stays = np.ones(table.num_rows, np.bool_)
    people = []
    for name in PARTY_COLUMNS:
        lists = table.column(name).combine_chunks()
        if not pa.types.is_list(lists.type) or lists.type.value_type != pa.uint32():
            raise VerificationError(f"{name} is {lists.type}, not lists of rows")
        index, lengths = lists.flatten(), np.diff(lists.offsets.to_numpy())
        if lists.null_count or index.null_count:
            raise VerificationError("a row names somebody by no number")
        numbers = index.to_numpy()
        if len(numbers) and int(numbers.max()) >= len(gone):
            raise VerificationError(f"a row names somebody not in {MEMBERS}")
        people.append((numbers, lengths))
        hits = gone[numbers]
        if hits.any():
            stays[np.repeat(np.arange(table.num_rows), lengths)[hits]] = False
    all_stay = bool(stays.all())
    for numbers, lengths in people:
        used[numbers if all_stay else numbers[np.repeat(stays, lengths)]] = True
    return stays


def _shards(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (entry for entry in record["files"] if entry["path"] != MEMBERS)


# ── members ─────────────────────────────────────────────────────────────────────────────────


def read_names(path: Path) -> Names:
    """Read members.parquet of any version, some rows at a time. Raises VerificationError."""
    parts, there, size = [], [], 0
    with pq.ParquetFile(path) as file:
        rows = file.metadata.num_rows
        if file.schema_arrow != SCHEMA or rows > 1 << 32:
            raise VerificationError(f"{path.name}: not pseudonyms of {NAME_SIZE} bytes")
        room = 2 * path.stat().st_size
        for batch in file.iter_batches(_BATCH):
            column = batch.column(0)
            there.append(column.is_valid().to_numpy(zero_copy_only=False))
            names = column.drop_null()
            size += NAME_SIZE * len(names)
            if size > room:
                raise VerificationError(
                    f"{path.name}: pseudonyms do not compress, so it cannot hold so many"
                )
            parts.append(_bytes_of(names))
    empty = np.zeros(0, np.bool_)
    return Names(b"".join(parts), np.concatenate([empty, *there]))


def _bytes_of(names: pa.Array) -> bytes:
    """Return what an array of pseudonyms without nulls holds, end to end."""
    first = names.offset * NAME_SIZE
    data = names.buffers()[1]
    return data[first : first + NAME_SIZE * len(names)].to_pybytes() if data else b""


def write_members(outgoing: Path, names: Names, there: Bools) -> FileEntry:
    """Write members.parquet with the rows of `names`, and a pseudonym only where one is `there`."""
    cells = np.zeros((len(there), NAME_SIZE), np.uint8)
    mine = np.frombuffer(names.of(there), np.uint8).reshape(-1, NAME_SIZE)
    cells[there] = mine
    valid = np.packbits(there, bitorder="little").tobytes()
    column = pa.Array.from_buffers(
        SCHEMA.field(0).type, len(there), [pa.py_buffer(valid), pa.py_buffer(cells.tobytes())]
    )
    with FileWriter(outgoing / MEMBERS, MEMBERS, SCHEMA) as writer:
        writer.write(pa.Table.from_arrays([column], schema=SCHEMA))
    return writer.entry


# ── manifest and files ──────────────────────────────────────────────────────────────────────


def _manifest(  # noqa: PLR0913, PLR0917 - what changes between two versions
    old: Path,
    record: dict[str, Any],
    left: Left,
    files: Sequence[FileEntry],
    classes: Mapping[str, int],
    version: int,
    listed: str,
    drop: Collection[bytes],
) -> bytes:
    counts = record["counts"]
    before = record.get("supersedes")
    first = before["manifest"] if before else sha256(manifest.content(old))
    found = {
        **record,
        "counts": {
            **counts, "released": left.rows, "by_class": {k: n for k, n in classes.items() if n},
        },
        "members": left.members,
        "member_set": {**record["member_set"], "depth": left.depth, "root": left.root},
        "files": [entry.record() for entry in files],
        "supersedes": {
            "version": version,
            "manifest": first,
            "list": listed,
            "dropped": len(drop),
            "rows": counts["items"] - counts["withheld"] - left.rows,
        },
    }  # fmt: skip
    return canonical(found) + b"\n"


def keep(source: Path, target: Path) -> None:
    """Let `target` be the file `source`: by a link, or a copy where the disk cannot link."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())


def keep_private(old: Path, new: Path) -> None:
    """Take over what stays private, and the members of the version that is superseded.

    As private/members-<version>.parquet they show later who was in that version.
    """
    record = manifest.read(old)
    (new / PRIVATE).mkdir()
    for path in sorted((old / PRIVATE).iterdir()):
        keep(path, new / PRIVATE / path.name)
    keep(old / OUTGOING / MEMBERS, new / PRIVATE / manifest.members_of(manifest.version_of(record)))
    _sync(new / PRIVATE)


def _readable(folder: Path, read: Callable[[], _T]) -> _T:
    """Do what reads a release's files; of what they hold only VerificationError is raised."""
    try:
        return read()
    except (
        FileNotFoundError, ValueError, LookupError, TypeError, InputError, pa.ArrowException,
    ) as error:  # fmt: skip
        raise VerificationError(f"{folder}: a file cannot be read: {error}") from error


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make durable which files are in a folder."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
