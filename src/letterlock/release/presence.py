"""Who is named in a release's rows, by class and role: read from its id columns, once per version.

That the files are those that were sealed is verify's to check; here only the table of members is.
Where a version's rows are gone, the index that it was made by still has one person's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.errors import VerificationError
from letterlock.record.memberset import NAME_SIZE
from letterlock.release.affected import Released, Table
from letterlock.release.kernel import ROLE_SHIFT, SUBJECT_MASK
from letterlock.release.manifest import MEMBERS, OUTGOING, PARTY_COLUMNS, PRIVATE
from letterlock.release.verify import check_hash

Ints = npt.NDArray[np.int64]

_ROLES: Final = len(PARTY_COLUMNS)


def names_in(folder: Path, record: Mapping[str, Any]) -> bytes:
    """Return the pseudonyms of the version with manifest `record`, ascending, end to end.

    Whoever was dropped has none. Of an earlier version the table is kept among the private files.
    Raises VerificationError if no file is the one that was sealed.
    """
    (entry,) = (each for each in record["files"] if each["path"] == MEMBERS)
    tables = [folder / OUTGOING / MEMBERS, *sorted((folder / PRIVATE).glob("members-*.parquet"))]
    for path in tables:
        try:
            check_hash(path.parent, path.name, entry)
            column = pq.read_table(path, columns=["pseudonym"]).column("pseudonym").drop_null()
            return b"".join(_bytes_of(chunk) for chunk in column.chunks)
        except (OSError, VerificationError, pa.ArrowException):
            continue
    raise VerificationError(f"{folder / OUTGOING / MEMBERS}: not the table that was sealed")


def _bytes_of(names: pa.Array) -> bytes:
    first, data = names.offset * NAME_SIZE, names.buffers()[1]
    return b"" if data is None else data[first : first + len(names) * NAME_SIZE].to_pybytes()


def scan(
    folder: Path, record: Mapping[str, Any], members: int
) -> tuple[Sequence[str], Ints, Ints, Ints]:
    """Count in how many rows each member is named: classes, members, 4·class + role, rows.

    The last three are (entries,), ascending by member. Only id columns and classes are read.
    Raises VerificationError if a file cannot be read.
    """
    classes: dict[str, int] = {}
    keys, counts = [], []
    for entry in record["files"]:
        if entry["path"] == MEMBERS:
            continue
        try:
            with pq.ParquetFile(folder / OUTGOING / entry["path"]) as file:
                for group in range(file.num_row_groups):
                    table = file.read_row_group(group, columns=["data_class", *PARTY_COLUMNS])
                    key, count = _of_group(table, classes, members)
                    keys.append(key)
                    counts.append(count)
        except (OSError, ValueError, LookupError, pa.ArrowException) as error:
            raise VerificationError(f"{entry['path']}: cannot be read: {error}") from error
    empty = np.zeros(0, np.int64)
    key, place = np.unique(np.concatenate([empty, *keys]), return_inverse=True)
    rows = np.zeros(len(key), np.int64)
    np.add.at(rows, place, np.concatenate([empty, *counts]))
    return list(classes), key >> _BITS, key & ((1 << _BITS) - 1), rows


@dataclass(frozen=True, slots=True)
class Row:
    """A row that names somebody: its class, her roles in it, and the numbers of all in it."""

    data_class: str
    roles: frozenset[int]
    people: frozenset[int]


def rows_naming(source: Table, went: Released, subject: int) -> Iterator[Row]:
    """Yield the rows of a table that went with a release and name a subject, by the index alone.

    Raises InputError if the index cannot be read, VerificationError as `went` does.
    """
    for group in range(source.groups):
        items = source.items(group)
        row = np.repeat(np.arange(len(items.kind)), np.diff(items.offsets))
        party = items.parties
        if items.quotes is not None and items.quote_offsets is not None:
            quoting = np.repeat(np.arange(len(items.kind)), np.diff(items.quote_offsets))
            row, party = np.concatenate([row, quoting]), np.concatenate([party, items.quotes])
        hers = np.zeros(len(items.kind), np.bool_)
        hers[row[party & SUBJECT_MASK == subject]] = True
        hers &= went(source, group)
        row, party = row[hers[row]], party[hers[row]]
        order = np.argsort(row, kind="stable")
        numbers, first = np.unique(row[order], return_index=True)
        for number, parties in zip(numbers, np.split(party[order], first[1:]), strict=False):
            who = parties & SUBJECT_MASK
            yield Row(
                source.kinds[items.kind[number]].data_class or "",
                frozenset((parties[who == subject] >> ROLE_SHIFT).tolist()),
                frozenset(who.tolist()),
            )


_BITS: Final = 24
"""Of a key, the lower ones: 4·class + role; the member stands above."""


def _of_group(table: pa.Table, classes: dict[str, int], members: int) -> tuple[Ints, Ints]:
    encoded = table.column("data_class").combine_chunks().dictionary_encode()
    numbers = [classes.setdefault(str(c), len(classes)) for c in encoded.dictionary.to_pylist()]
    of_row = np.array([*numbers, 0], np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
    keys = []
    for role, column in enumerate(PARTY_COLUMNS):
        lists = table.column(column).combine_chunks()
        row = np.repeat(np.arange(table.num_rows), np.diff(lists.offsets.to_numpy()))
        member = lists.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
        if len(member) and member.max() >= members:
            raise VerificationError(f"a row names somebody not in {MEMBERS}")
        once = np.unique(row * members + member)  # a row may name somebody twice
        row, member = once // max(members, 1), once % max(members, 1)
        keys.append(member << _BITS | of_row[row] * _ROLES + role)
    key, count = np.unique(np.concatenate(keys), return_counts=True)
    return key, count
