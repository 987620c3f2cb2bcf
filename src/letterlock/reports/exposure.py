"""Exposure: how many items and members of a class went to whom, by class and day (R44).

The counts name nobody; who it is stands in a private list, made for telling them. An amount per
head is the asker's: it is multiplied here and marked as what it is. Spec: docs/exposure.md.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from letterlock.domain import DAY, END, Time, sha256, text_of
from letterlock.errors import WorkspaceError
from letterlock.release.affected import Table
from letterlock.release.facts import Match
from letterlock.release.plan import Kind
from letterlock.release.purge import Source
from letterlock.reports.class_query import (
    ClassQuery,
    Count,
    Hits,
    Ints,
    Matching,
    Way,
    ids_of,
)

ARITHMETIC: Final = "arithmetic of an allegation"
"""What every figure made from a complaint is marked with."""
FORMAT: Final = "letterlock/exposure/v1"
ITEMS: Final = "items.parquet"
SUBJECTS: Final = "subjects.parquet"
MANIFEST: Final = "manifest.json"

_UNDATED: Final = np.iinfo(np.int32).max
_WAYS: Final = [way.name.lower() for way in Way]


class Indexed(Source, Table, Protocol):
    """A registered table by its index, which tells it from another by the same name."""

    @property
    def fingerprint(self) -> str:
        """Return a digest of the table."""


@dataclass(frozen=True)
class Disclosure:
    """Hits of each source in one release, or in one table that is said to have gone.

    A source's name may be that of another table in another release: registered anew, it has more
    rows, and the same items in other places.
    """

    where: str
    recipient: str
    at: Time | None
    hits: Mapping[str, Hits]
    sources: Mapping[str, Indexed]


@dataclass(frozen=True)
class Line:
    """Items of one data class made on one day (empty: not known), and the members in them."""

    data_class: str
    day: str
    items: int
    people: int


@dataclass(frozen=True)
class Exposed:
    """What of the class went to one recipient; an item in two releases counts once."""

    recipient: str
    count: Count
    lines: tuple[Line, ...]
    disclosed: tuple[tuple[str, Time | None, Count], ...]

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "recipient": self.recipient,
            **self.count.record(),
            "disclosed": [
                {"in": where, "at": None if at is None else text_of(at), **count.record()}
                for where, at, count in self.disclosed
            ],
            "by_class_and_day": [vars(line) for line in self.lines],
        }


@dataclass(frozen=True)
class Exposure:
    """The whole answer. `rows` says who is in which item: private, and in no count."""

    query: ClassQuery
    as_of: Time
    exposed: tuple[Exposed, ...]
    count: Count
    per_head: int | None
    untold: Mapping[str, str]
    rows: pa.Table = field(repr=False)

    @property
    def amount(self) -> int | None:
        """Return members × the amount per head: arithmetic, and nothing that is owed."""
        return None if self.per_head is None else self.count.people * self.per_head

    def record(self) -> dict[str, Any]:
        """Return the counts as JSON; nobody is named."""
        amount = {"note": ARITHMETIC, "per_head": self.per_head, "amount": self.amount}
        return {
            "class": self.query.record(),
            "as_of": text_of(self.as_of),
            **self.count.record(),
            "recipients": [each.record() for each in self.exposed],
            "untold": dict(self.untold),
            "arithmetic": amount if self.per_head is not None else None,
        }


def expose(  # noqa: PLR0913 - what is asked, of what, and what is said of it
    matching: Matching,
    disclosures: Sequence[Disclosure],
    names: Sequence[str],
    *,
    as_of: Time,
    per_head: int | None,
    untold: Mapping[str, str],
) -> Exposure:
    """Count what was disclosed, per recipient; `names` are everybody's ids by number."""
    by_recipient: dict[str, list[Disclosure]] = {}
    for each in disclosures:
        by_recipient.setdefault(each.recipient, []).append(each)
    exposed = []
    for recipient, mine in sorted(by_recipient.items()):
        hits = _union(mine)
        told = [(each.where, each.at, total(matching, each.hits.values())) for each in mine]
        count = total(matching, [each for each, _ in hits])
        exposed.append(Exposed(recipient, count, tuple(_lines(matching, hits)), tuple(told)))
    overall = total(matching, [each for each, _ in _union(disclosures)])
    rows = pa.concat_tables([_SCHEMA.empty_table(), *(_rows(each, names) for each in disclosures)])
    return Exposure(matching.query, as_of, tuple(exposed), overall, per_head, dict(untold), rows)


def total(matching: Matching, of_sources: Any) -> Count:  # noqa: ANN401 - any iterable of Hits
    """Count items and members over several sources: items of each, people once."""
    joined, first = [], 0
    for hits in of_sources:
        joined.append(Hits(hits.row + first, *list(vars(hits).values())[1:]))
        first += int(hits.row.max(initial=-1)) + 1
    return matching.count(Hits.join(joined))


def _union(disclosures: Sequence[Disclosure]) -> list[tuple[Hits, Sequence[Kind]]]:
    """Return the hits of each source in any of these, and the kinds of its items.

    Rows of one table are the same row in all of them; of several by one name, those of one id.
    """
    found: dict[str, dict[str, tuple[Indexed, list[Hits]]]] = {}
    for each in disclosures:
        for name, hits in each.hits.items():
            source = each.sources[name]
            tables = found.setdefault(name, {})
            tables.setdefault(source.fingerprint, (source, []))[1].append(hits)
    return [
        _by_item([(source, Hits.join(parts)) for source, parts in tables.values()])
        for tables in found.values()
    ]


def _by_item(tables: Sequence[tuple[Indexed, Hits]]) -> tuple[Hits, Sequence[Kind]]:
    """Join hits of several tables: a row is numbered by the item's key, a kind among all kinds."""
    if len(tables) == 1:
        ((source, hits),) = tables
        return hits, source.kinds
    keys = [np.concatenate([s.keys(n) for n in range(s.groups)]) for s, _ in tables]
    items, kinds = np.unique(np.concatenate(keys)), [k for s, _ in tables for k in s.kinds]
    joined, first = [], 0
    for (source, hits), key in zip(tables, keys, strict=True):
        known = hits.kind < len(source.kinds)
        kind = np.where(known, hits.kind + first, len(kinds))
        row = np.searchsorted(items, key[hits.row])
        joined.append(replace(hits, row=row, kind=kind))
        first += len(source.kinds)
    return Hits.join(joined), kinds


def _lines(matching: Matching, of_sources: Sequence[tuple[Hits, Sequence[Kind]]]) -> list[Line]:
    """Count items and members by class and day."""
    names: dict[str, int] = {}
    columns: list[tuple[Ints, Ints, Ints, Ints]] = []
    first = 0
    for hits, kinds in of_sources:
        sure = hits.where(hits.match == Match.YES)
        said = [names.setdefault(k.data_class or "", len(names)) for k in kinds]
        classes = np.array([*said, names.setdefault("", len(names))], np.int64)[sure.kind]
        day = np.where(sure.made == END, _UNDATED, sure.made // DAY)
        columns.append((classes, day, sure.row + first, sure.subject))
        first += int(sure.row.max(initial=-1)) + 1
    if not columns:
        return []
    of_class, day, row, subject = (np.concatenate(each) for each in zip(*columns, strict=True))
    cells, cell = np.unique(np.stack([of_class, day], 1), axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    known = np.isin(subject, matching.named(subject))
    items = _distinct(cell, row, len(cells))
    people = _distinct(cell[known], subject[known], len(cells))
    listed = list(names)
    return sorted(
        (
            Line(listed[c], "" if d == _UNDATED else text_of(d * DAY), items[n], people[n])
            for n, (c, d) in enumerate(cells.tolist())
        ),
        key=lambda line: (line.data_class, line.day),
    )


def _distinct(cell: Ints, value: Ints, cells: int) -> list[int]:
    """Count the distinct values in each cell."""
    pairs = np.unique(np.stack([cell, value], 1), axis=0)
    counts: list[int] = np.bincount(pairs[:, 0], minlength=cells).tolist()
    return counts


# ── the private list ────────────────────────────────────────────────────────────────────────

_SCHEMA: Final = pa.schema(
    [
        ("recipient", pa.string()),
        ("in", pa.string()),
        ("source", pa.string()),
        ("item", pa.string()),
        ("subject", pa.string()),
        ("way", pa.string()),
        ("data_class", pa.string()),
        ("made", pa.timestamp("us", tz="UTC")),
        ("certain", pa.bool_()),
    ]
)


def _rows(each: Disclosure, names: Sequence[str]) -> pa.Table:
    ids = pa.array([*names, None], pa.string())
    parts = [_SCHEMA.empty_table()]
    for name, hits in each.hits.items():
        source, count = each.sources[name], len(hits)
        rows, place = np.unique(hits.row, return_inverse=True)
        classes = pa.array([*(kind.data_class for kind in source.kinds), None], pa.string())
        columns = [
            pa.array([each.recipient] * count, pa.string()),
            pa.array([each.where] * count, pa.string()),
            pa.array([name] * count, pa.string()),
            ids_of(source, rows).take(pa.array(place)),
            ids.take(pa.array(np.minimum(hits.subject, len(names)))),
            pa.array(_WAYS).take(pa.array(hits.way)),
            classes.take(pa.array(hits.kind)),
            pa.array(hits.made, mask=hits.made == END).cast(pa.timestamp("us", tz="UTC")),
            pa.array(hits.match == Match.YES),
        ]
        parts.append(pa.Table.from_arrays(columns, schema=_SCHEMA))
    return pa.concat_tables(parts)


def write(found: Exposure, folder: Path) -> None:
    """Write whom to tell, and of what, into a new folder: private, as the notices to send are.

    Raises WorkspaceError if it is not empty, or the disk refuses.
    """
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise WorkspaceError(f"{folder} is not empty: write to a folder of its own")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
            new = Path(made) / "new"
            new.mkdir(mode=0o700)
            _write(found, new)
            new.rename(folder)  # all of it or nothing
    except OSError as error:
        raise WorkspaceError(f"no list was written to {folder}: {error}") from error


def _write(found: Exposure, folder: Path) -> None:
    order = [(name, "ascending") for name in ("recipient", "in", "source", "item", "subject")]
    rows = found.rows.sort_by(order)
    named = rows.filter(pc.is_valid(rows.column("subject")))
    items = pc.binary_join_element_wise(named.column("source"), named.column("item"), "\0")
    by_person = named.append_column("which", items).group_by("subject")
    people = by_person.aggregate(
        [
            ("which", "count_distinct"),
            ("recipient", "distinct"),
            ("way", "distinct"),
            ("made", "min"),
            ("made", "max"),
            ("certain", "any"),
        ]
    ).rename_columns(["subject", "items", "recipients", "ways", "first", "last", "certain"])
    listed = {}
    for name, table in ((ITEMS, rows), (SUBJECTS, people.sort_by("subject"))):
        pq.write_table(table, folder / name, compression="zstd")
        digest = sha256((folder / name).read_bytes())
        listed[name] = {"rows": table.num_rows, "sha256": digest}
    record = {"format": FORMAT, **found.record(), "files": listed}
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_bytes(text.encode())
