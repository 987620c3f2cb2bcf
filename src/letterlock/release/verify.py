"""Check a release against its manifest, from its files alone. Spec: docs/spec/manifest.md."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import Reason
from letterlock.errors import InputError, VerificationError
from letterlock.record.memberset import NAME_SIZE, MemberSet
from letterlock.release import manifest
from letterlock.release.manifest import MEMBERS, NAME, OUTGOING, PARTY_COLUMNS, PRIVATE, WITHHELD
from letterlock.release.supersede import Names, read_names

_CHUNK = 1 << 20
_SHARD = re.compile(r"data/([A-Za-z0-9_-]+)/shard-([0-9]{5})\.parquet")
_HASH = re.compile("[0-9a-f]{64}")
_BATCH = 1 << 14
_READ = ("data_class", *PARTY_COLUMNS)
_BYTES = (1 << 26, 1024)
"""What a column of a row group may claim to unpack to: this many bytes, or times the file's."""
_VALUES = (1 << 24, 256)
"""The same of its values, which run-length encoding makes from nothing."""


@dataclass(frozen=True)
class Verified:
    """What was found true of a release."""

    release: str
    files: int
    rows: int
    members: int
    withheld_checked: bool
    record: dict[str, Any]


def verify(folder: Path) -> Verified:
    """Check every hash, count and index of the release in `folder`.

    Raises VerificationError at the first thing that is not what the manifest says.
    """
    record = manifest.read(folder)
    counts, private = record["counts"], folder / PRIVATE
    _check_counts(counts, _check_supersedes(record))
    try:
        rows = _check_files(folder / OUTGOING, record)
        if rows != counts["released"]:
            raise VerificationError(
                f"{rows} rows are there, the manifest says {counts['released']}"
            )
        if private.is_dir():
            _check_withheld(private, record)
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        raise VerificationError(f"{folder}: a file cannot be read: {error}") from error
    return Verified(
        record["release"], len(record["files"]), rows, record["members"], private.is_dir(), record
    )


def _check_supersedes(record: dict[str, Any]) -> int:
    """Check what a later version says of the first; return how many rows it dropped."""
    if "supersedes" not in record:
        return 0
    said = record["supersedes"]
    rows: int = said["rows"]
    if not (_HASH.fullmatch(said["manifest"]) and _HASH.fullmatch(said["list"])):
        raise VerificationError("it supersedes what is no manifest, or after what is no list")
    if not said["version"] or not said["dropped"] or not rows:
        raise VerificationError("a later version has a number, and drops somebody and their rows")
    return rows


def _check_counts(counts: dict[str, Any], dropped: int) -> None:
    reasons = {reason.name.lower() for reason in Reason}
    if any(k not in reasons or type(n) is not int or n < 1 for k, n in counts["by_reason"].items()):
        raise VerificationError("there is a reason that is none, or that withheld nothing")
    if any(type(n) is not int or n < 1 for n in counts["by_class"].values()):
        raise VerificationError("there is a data class of which nothing was released")
    if counts["released"] + counts["withheld"] + dropped != counts["items"]:
        raise VerificationError("released and withheld do not add up to the items")
    if sum(counts["by_reason"].values()) != counts["withheld"]:
        raise VerificationError("the reasons do not add up to what was withheld")


def _check_files(outgoing: Path, record: dict[str, Any]) -> int:
    """Check hashes, sizes and indexes; return the number of released rows."""
    listed = {entry["path"]: entry for entry in record["files"]}
    inside = [outgoing, *outgoing.rglob("*")]
    if links := [path for path in inside if path.is_symlink()]:
        raise VerificationError(f"{links[0]} is a link")
    there = {p.relative_to(outgoing).as_posix() for p in inside if not p.is_dir()}
    if extra := sorted(there - {*listed, NAME}):
        raise VerificationError(f"{extra[0]} is there but not in the manifest")
    if len(listed) != len(record["files"]) or MEMBERS not in listed:
        raise VerificationError("the manifest lists a file twice, or no members.parquet")
    for path, entry in listed.items():
        check_hash(outgoing, path, entry)
    named = _check_members(outgoing / MEMBERS, listed[MEMBERS]["rows"], record)
    _check_places(set(listed) - {MEMBERS}, record["shards"])
    used, classes = np.zeros(len(named), np.bool_), Counter[str]()
    rows = 0
    for path, entry in listed.items():
        if path != MEMBERS:
            found = _check_shard(outgoing / path, entry, used, classes)
            if found != entry["rows"]:
                raise VerificationError(f"{path}: {found} rows, the manifest says {entry['rows']}")
            rows += found
    _check_used(named, used)
    if rows == record["counts"]["released"] and dict(classes) != record["counts"]["by_class"]:
        raise VerificationError("the rows are not of the data classes that the manifest counts")
    return rows


def _check_used(named: npt.NDArray[np.bool_], used: npt.NDArray[np.bool_]) -> None:
    if (used & ~named).any():
        raise VerificationError("a row names somebody who was dropped")
    if (named & ~used).any():
        raise VerificationError(f"{int((named & ~used).sum())} members are in no released row")


def check_hash(folder: Path, path: str, entry: dict[str, Any]) -> None:
    """Check that a file is the one that a manifest's `entry` names. Raises VerificationError."""
    plain = PurePosixPath(path)
    if plain.is_absolute() or ".." in plain.parts:
        raise VerificationError(f"{path}: leads out of the release")
    file = folder / path
    if file.is_symlink() or not file.is_file():
        raise VerificationError(f"{path}: missing")
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != entry["sha256"] or file.stat().st_size != entry["bytes"]:
        raise VerificationError(f"{path}: not the file that was sealed (its SHA-256 differs)")


def _check_places(paths: set[str], shards: int) -> None:
    found = Counter[str]()
    for path in paths:
        place = _SHARD.fullmatch(path)
        if place is None or int(place[2]) >= shards:
            raise VerificationError(f"{path}: no place for one of {shards} shards")
        found[place[1]] += 1
    if any(count != shards for count in found.values()):
        raise VerificationError(f"{min(found, key=found.__getitem__)}: not all of {shards} shards")


def pseudonyms(folder: Path) -> bytes:
    """Return the pseudonyms of members.parquet, end to end, unchecked. Raises VerificationError.

    In a later version some rows have none; in the first each has one.
    """
    path = folder / OUTGOING / MEMBERS
    names = _names(path)
    if not names.there.all() and not manifest.version_of(manifest.read(folder)):
        raise VerificationError(f"{path}: not pseudonyms of {NAME_SIZE} bytes")
    return names.names


def pseudonyms_in(path: Path) -> bytes:
    """Return the pseudonyms in a members.parquet of any version. Raises VerificationError."""
    return _names(path).names


def _names(path: Path) -> Names:
    try:
        return read_names(path)
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        raise VerificationError(f"{path}: cannot be read: {error}") from error


def _check_members(path: Path, expected: int, record: dict[str, Any]) -> npt.NDArray[np.bool_]:
    """Check the table, and that depth and root follow from it; return which rows name somebody."""
    names = read_names(path)
    if len(names.there) != expected:
        raise VerificationError(f"{MEMBERS}: not {expected} pseudonyms of {NAME_SIZE} bytes")
    if "supersedes" not in record and not names.there.all():
        raise VerificationError(f"{MEMBERS}: not pseudonyms of {NAME_SIZE} bytes")
    try:
        found = MemberSet(names.names)
    except InputError as error:
        raise VerificationError(f"{MEMBERS}: {error}") from error
    if found.count != record["members"]:
        raise VerificationError(f"{found.count} members are there, not {record['members']}")
    said = record["member_set"]
    if not _HASH.fullmatch(said["opening"]) or said["key"] >= said["opened"]:
        raise VerificationError("the manifest names no opening, or a key that came after it")
    if (found.depth, found.root.hex()) != (said["depth"], said["root"]):
        raise VerificationError(f"{MEMBERS}: leads to another depth or root than the manifest says")
    return names.there


def _check_shard(
    path: Path, entry: Mapping[str, Any], used: npt.NDArray[np.bool_], classes: Counter[str]
) -> int:
    """Check that every party of every row is a row of members.parquet.

    Marks whom it names, and counts its rows by data class.
    """
    name, rows = entry["path"], 0
    with pq.ParquetFile(path) as file:
        _check_claims(file.metadata, entry)
        if file.schema_arrow.field("data_class").type != pa.string():
            raise VerificationError(f"{name}: the data classes are no texts")
    # As a dictionary: one long text must not be unpacked for every row that it stands in.
    with pq.ParquetFile(path, read_dictionary=["data_class"]) as file:
        for batch in file.iter_batches(_BATCH, columns=list(_READ)):
            for each in batch.column("data_class").value_counts().to_pylist():
                classes[each["values"]] += each["counts"]
            _check_parties(batch, name, used)
            rows += batch.num_rows
    return rows


def _check_claims(said: pq.FileMetaData, entry: Mapping[str, Any]) -> None:
    """Refuse a file of a few bytes that claims to unpack to very many."""
    name, size = entry["path"], entry["bytes"]
    if said.num_rows != entry["rows"]:
        raise VerificationError(f"{name}: {said.num_rows} rows, the manifest says {entry['rows']}")
    for n in range(said.num_row_groups):
        group = said.row_group(n)
        for column in (group.column(place) for place in range(group.num_columns)):
            if column.path_in_schema.split(".")[0] not in _READ:
                continue
            claims = (column.total_uncompressed_size, _BYTES), (column.num_values, _VALUES)
            if any(claim > max(floor, times * size) for claim, (floor, times) in claims):
                raise VerificationError(f"{name}: unpacks to far more than its {size} bytes hold")


def _check_parties(batch: pa.RecordBatch, name: str, used: npt.NDArray[np.bool_]) -> None:
    """Check whom each row of a batch names, and mark them."""
    people = np.zeros(batch.num_rows, np.int64)
    for column in PARTY_COLUMNS:
        lists = batch.column(column)
        if not pa.types.is_list(lists.type) or lists.type.value_type != pa.uint32():
            raise VerificationError(f"{name}: {column} is {lists.type}, not lists of rows")
        index = lists.flatten()
        nobody = lists.null_count + index.null_count
        index = index.to_numpy(zero_copy_only=False)
        if nobody or (len(index) and index.max() >= len(used)):
            raise VerificationError(f"{name}: a row names somebody not in {MEMBERS}")
        used[index] = True
        people += np.diff(lists.offsets.to_numpy())
    if not people.all():
        raise VerificationError(f"{name}: a row names nobody")


def _check_withheld(private: Path, record: dict[str, Any]) -> None:
    (entry,) = record["private"]
    check_hash(private, WITHHELD, entry)
    column = pq.ParquetFile(private / WITHHELD).read(columns=["reason"]).column("reason")
    if (entry["path"], entry["rows"]) != (WITHHELD, len(column)):
        raise VerificationError(f"{WITHHELD}: not the manifest's {entry['rows']} rows")
    found = Counter(column.cast(pa.string()).to_pylist())
    if dict(found) != record["counts"]["by_reason"]:
        raise VerificationError(f"{WITHHELD}: its reasons are not those of the manifest")
