"""A release without some people, by a plain filter in Python: the slow twin of supersede.py."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

PARTIES = ("authors", "recipients", "members", "quoted")


def rows(folder: Path, drop: Collection[bytes]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each shard that name nobody of `drop`, people by their pseudonyms."""
    outgoing, found = folder / "outgoing", {}
    names = pq.ParquetFile(outgoing / "members.parquet").read().column(0).to_pylist()
    for path in sorted((outgoing / "data").rglob("*.parquet")):
        kept = []
        for row in pq.ParquetFile(path).read().to_pylist():
            people = {names[n] for column in PARTIES for n in row[column]}
            if not people & set(drop):
                kept.append(row | {c: [names[n] for n in row[c]] for c in PARTIES})
        found[path.relative_to(outgoing).as_posix()] = kept
    return found


def people(folder: Path, drop: Collection[bytes]) -> list[bytes]:
    """Return the pseudonyms that are left in some row, ascending."""
    left = [row for shard in rows(folder, drop).values() for row in shard]
    return sorted({name for row in left for column in PARTIES for name in row[column]})
