"""A platform's Parquet where it lies: a file or a folder of them, checked against its mapping."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import canonical
from letterlock.errors import InputError
from letterlock.sources.mapping import Mapping

BATCH: Final = 1 << 14
"""Rows of a table that a build holds in plain at a time: they stay in cache."""


class _Group(NamedTuple):
    """One row group of one file."""

    file: pq.ParquetFile
    number: int
    rows: int


class Table:
    """A Parquet file, or a folder of them, with its mapping."""

    def __init__(self, path: Path, mapping: Mapping) -> None:
        """Open it and check the columns. Raises InputError if it cannot be read as mapped."""
        self.path, self.mapping = path, mapping
        paths = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not paths:
            raise InputError(f"{path}: no .parquet file in it")
        self._files = [(p, _open(p)) for p in paths]
        for p, file in self._files:
            _check_columns(p, file.schema_arrow, mapping)
            _check_payload(p, file.schema_arrow, self._files[0][1].schema_arrow, mapping)
        self.groups = [
            _Group(file, n, file.metadata.row_group(n).num_rows)
            for _, file in self._files
            for n in range(file.num_row_groups)
        ]
        self.rows = sum(group.rows for group in self.groups)

    def fingerprint(self) -> str:
        """Return a digest over each file's name, size and footer."""
        found = [
            [p.name, p.stat().st_size, hashlib.sha256(_footer(p)).hexdigest()]
            for p, _ in self._files
        ]
        return hashlib.sha256(canonical(found)).hexdigest()

    def read(self, group: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of one row group. Raises InputError if its bytes cannot be decoded."""
        file, number, rows = self.groups[group]
        try:
            found = file.read_row_group(number, columns=list(columns), use_threads=False)
            found.validate(full=True)  # Parquet does not see to it that texts are UTF-8
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.path}: row group {number} cannot be read: {error}") from error
        if found.num_rows != rows:
            raise InputError(f"{self.path}: row group {number} is shorter than it says")
        return found

    def batches(self, group: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read columns of one row group, BATCH rows at a time. Raises InputError as `read`."""
        file, number, rows = self.groups[group]
        found = 0
        try:
            for batch in file.iter_batches(
                BATCH, row_groups=[number], columns=list(columns), use_threads=False
            ):
                batch.validate(full=True)
                found += len(batch)
                yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.path}: row group {number} cannot be read: {error}") from error
        if found != rows:
            raise InputError(f"{self.path}: row group {number} is shorter than it says")


def _open(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (pa.ArrowException, OSError, ValueError) as error:  # a column's name may be no text
        raise InputError(f"{path}: not a readable Parquet file: {error}") from error


def _footer(path: Path) -> bytes:
    """Return the bytes of a Parquet footer: the last four say PAR1, the four before its length."""
    with path.open("rb") as file:
        file.seek(-8, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, 2)
        return file.read(length)


def _check_columns(path: Path, schema: pa.Schema, mapping: Mapping) -> None:
    for column, what in mapping.columns():
        if schema.names.count(column) != 1:
            raise InputError(f"{path}: no column {column!r} for {what}; it has {schema.names}")
        kind = schema.field(column).type
        fits = {
            "id": _is_id,
            "created_at": _is_time,
            "author": _is_ids,
            "recipients": _is_ids,
            "members": _is_ids,
            "data_class_column": _is_text,
            "sensitive_column": lambda t: _is_text(t) or (is_list(t) and _is_text(t.value_type)),
            "quote_source": _is_text if mapping.quotes == "text" else _is_quotes,
            "thread": _is_id,
            "name": _is_text,
        }.get(what)
        if fits is not None and not fits(kind):
            raise InputError(f"{path}: column {column!r} is {kind}, which cannot be {what}")


def _check_payload(path: Path, schema: pa.Schema, first: pa.Schema, mapping: Mapping) -> None:
    """Raise InputError if a payload column is of another type than in the first file."""
    for column in mapping.payload:
        kind, expected = schema.field(column).type, first.field(column).type
        if kind != expected:
            raise InputError(f"{path}: column {column!r} is {kind}, in another file {expected}")


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or kind == pa.int64())


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner))


def _is_id(kind: pa.DataType) -> bool:
    return _is_text(kind) or bool(pa.types.is_integer(kind))


def is_list(kind: pa.DataType) -> bool:
    """Say whether a column of this type holds lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_ids(kind: pa.DataType) -> bool:
    return _is_id(kind) or (is_list(kind) and _is_id(kind.value_type))


def _is_quotes(kind: pa.DataType) -> bool:
    if not is_list(kind):
        return False
    inner = kind.value_type
    if not pa.types.is_struct(inner):
        return _is_id(inner)
    fits = {"id": _is_id, "data_class": _is_text, "created_at": _is_time}
    return {f.name for f in inner} == set(fits) and all(fits[f.name](f.type) for f in inner)
