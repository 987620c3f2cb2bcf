"""Rows of a Parquet or JSONL file, one by one, each with its number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import BEGINNING, END, Time, time_of
from letterlock.errors import InputError


class Refused(NamedTuple):
    """A row that was not recorded, or not as written, and why."""

    row: int
    subject: str
    why: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"row {self.row} ({self.subject or 'nobody named'}): {self.why}"


class Row:
    """One row: asks for values by name, and knows what was not asked for."""

    def __init__(self, number: int, values: dict[str, Any]) -> None:
        """Hold the row's values; a null is as good as absent."""
        self.number = number
        self._left = {k: v for k, v in values.items() if v is not None}

    def subject(self) -> str:
        """Return the account id as text. Raises InputError if it cannot be one."""
        value = self._left.pop("subject", "")
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return str(value)
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"subject cannot be {value!r}")
        return value.strip()

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; without a default it has to be there."""
        value = self._left.pop(name, default)
        if not isinstance(value, str) or not value:
            raise InputError(f"{name} is missing" if value is default else f"{name} is {value!r}")
        return value

    def optional(self, name: str, kind: type) -> Any:  # noqa: ANN401 - of `kind`, or None
        """Return a value of `kind`, or None if it is absent."""
        value = self._left.pop(name, None)
        wants_bool = kind in {bool, object}
        if value is not None and (
            not isinstance(value, kind) or (isinstance(value, bool) and not wants_bool)
        ):
            raise InputError(f"{name} cannot be {value!r}")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of texts, empty if absent."""
        value = self._left.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise InputError(f"{name} must list texts, not {value!r}")
        return value

    def time(self, name: str) -> Time | None:
        """Return a time: ISO 8601 text, a date or a timestamp; None if absent."""
        value = self._left.pop(name, None)
        if isinstance(value, datetime | date):
            value = value.isoformat()
        if value is not None and not isinstance(value, str):
            raise InputError(f"{name} is no date: {value!r}")
        return None if value is None else time_of(value)

    def span(self) -> dict[str, Time]:
        """Return `from` and `to` as a body has them; 9999-12-31 and the like: open."""
        found = {name: self.time(name) for name in ("from", "to")}
        return {name: min(max(t, BEGINNING), END) for name, t in found.items() if t is not None}

    def left(self) -> dict[str, Any]:
        """Return what was not asked for yet, as it was given."""
        return dict(self._left)

    def done(self) -> None:
        """Raise InputError if something was not asked for."""
        if self._left:
            raise InputError(f"unknown {', '.join(sorted(self._left))}")


def rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a .parquet or .jsonl file, numbered from 1. Raises InputError."""
    if path.suffix == ".parquet":
        yield from _parquet(path)
    elif path.suffix in {".jsonl", ".ndjson"}:
        yield from _jsonl(path)
    else:
        raise InputError(f"{path}: write it as .parquet or .jsonl")


def _parquet(path: Path) -> Iterator[Row]:
    number = 0
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise InputError(f"{path}: two columns have the same name: {names}")
        for batch in file.iter_batches():
            columns = [_dates_as_text(column) for column in batch.columns]
            for values in pa.RecordBatch.from_arrays(columns, names).to_pylist():
                number += 1
                yield Row(number, values)
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        raise InputError(f"{path}: not a readable Parquet file: {error}") from error


def _dates_as_text(column: pa.Array) -> pa.Array:
    """Write dates and timestamps as text, in UTC: not each of them fits Python's own."""
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    return column.cast(pa.string()) if pa.types.is_temporal(column.type) else column


def _jsonl(path: Path) -> Iterator[Row]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield Row(number, _object(line, f"{path}:{number}"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _object(line: bytes, place: str) -> dict[str, Any]:
    try:
        text = line.decode("utf-8-sig")
        value = json.loads(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        raise InputError(f"{place}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{place}: not an object")
    return value
