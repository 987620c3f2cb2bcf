"""Check a release against its manifest, from its files alone. Spec: docs/spec/manifest.md."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.errors import VerificationError
from letterlock.release import manifest
from letterlock.release.manifest import MEMBERS, NAME, OUTGOING, PARTY_COLUMNS, PRIVATE, WITHHELD

_CHUNK = 1 << 20


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
    counts = record["counts"]
    try:
        _check_counts(counts)
        rows = _check_files(folder / OUTGOING, record)
        if rows != counts["released"]:
            raise VerificationError(
                f"{rows} rows are there, the manifest says {counts['released']}"
            )
        private = folder / PRIVATE
        if private.is_dir():
            _check_withheld(private, record)
    except (KeyError, TypeError, ValueError) as error:
        raise VerificationError(f"{folder}: the manifest is malformed: {error!r}") from error
    except (OSError, pa.ArrowException) as error:
        raise VerificationError(f"{folder}: a file cannot be read: {error}") from error
    return Verified(
        record["release"], len(record["files"]), rows, record["members"], private.is_dir(), record
    )


def _check_counts(counts: dict[str, Any]) -> None:
    if counts["released"] + counts["withheld"] != counts["items"]:
        raise VerificationError("released and withheld do not add up to the items")
    if sum(counts["by_reason"].values()) != counts["withheld"]:
        raise VerificationError("the reasons do not add up to what was withheld")


def _check_files(outgoing: Path, record: dict[str, Any]) -> int:
    """Check hashes, sizes and indexes; return the number of released rows."""
    listed = {entry["path"]: entry for entry in record["files"]}
    there = {
        p.relative_to(outgoing).as_posix()
        for p in outgoing.rglob("*")
        if p.is_file() or p.is_symlink()
    }
    if extra := sorted(there - {*listed, NAME}):
        raise VerificationError(f"{extra[0]} is there but not in the manifest")
    if len(listed) != len(record["files"]) or MEMBERS not in listed:
        raise VerificationError("the manifest lists a file twice, or no members.parquet")
    for path, entry in listed.items():
        _check_hash(outgoing, path, entry)
    members = _check_members(outgoing / MEMBERS, record["members"])
    used = np.zeros(members, np.bool_)
    rows = 0
    for path, entry in listed.items():
        if path != MEMBERS:
            found = _check_shard(outgoing / path, path, used)
            if found != entry["rows"]:
                raise VerificationError(f"{path}: {found} rows, the manifest says {entry['rows']}")
            rows += found
    if not used.all():
        raise VerificationError(f"{int((~used).sum())} members are in no released row")
    return rows


def _check_hash(folder: Path, path: str, entry: dict[str, Any]) -> None:
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


def _check_members(path: Path, expected: int) -> int:
    column = pq.read_table(path, columns=["pseudonym"]).column(0).to_pylist()
    if len(column) != expected or any(p is None or len(p) != 32 for p in column):  # noqa: PLR2004
        raise VerificationError(f"{MEMBERS}: not {expected} pseudonyms of 32 bytes")
    if any(a >= b for a, b in pairwise(column)):
        raise VerificationError(f"{MEMBERS}: not in strictly ascending order")
    return len(column)


def _check_shard(path: Path, name: str, used: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    """Check that every party of every row is a row of members.parquet; mark whom it names."""
    file = pq.ParquetFile(path)
    rows = 0
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=list(PARTY_COLUMNS))
        people = np.zeros(table.num_rows, np.int64)
        for column in PARTY_COLUMNS:
            lists = table.column(column).combine_chunks()
            index = lists.flatten().to_numpy()
            if lists.null_count or (len(index) and index.max() >= len(used)):
                raise VerificationError(f"{name}: a row names somebody not in {MEMBERS}")
            used[index] = True
            people += np.diff(lists.offsets.to_numpy())
        if not people.all():
            raise VerificationError(f"{name}: a row names nobody")
        rows += table.num_rows
    return rows


def _check_withheld(private: Path, record: dict[str, Any]) -> None:
    (entry,) = record["private"]
    _check_hash(private, WITHHELD, entry)
    column = pq.read_table(private / WITHHELD, columns=["reason"]).column(0)
    found = Counter(column.cast(pa.string()).to_pylist())
    if dict(found) != record["counts"]["by_reason"]:
        raise VerificationError(f"{WITHHELD}: its reasons are not those of the manifest")
