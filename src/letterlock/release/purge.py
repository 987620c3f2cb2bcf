"""The list of what a hold reaches: what a platform is to erase after a regulator's order (R45).

Of every item it says whether the hold's clauses match for somebody in it (whatever the purpose and
recipient: these say what was stopped, not whose data it is), by class, by the time it was made, and
by where each person was then or is now. What is not known neither matches nor is passed over: an
item that may match is listed apart. Nothing is erased here. Spec: docs/holds.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import (
    ALWAYS,
    BEGINNING,
    END,
    Clause,
    FactKind,
    Role,
    Time,
    canonical,
)
from letterlock.ledger import EventStore
from letterlock.release.build import Progress, Verdicts
from letterlock.release.facts import Match, Steps, in_contracts, in_places, of_class
from letterlock.release.kernel import ALLOW, ROLE_SHIFT, SUBJECT_MASK, Items
from letterlock.release.manifest import FileEntry
from letterlock.release.plan import Kind

FORMAT: Final = "letterlock/purge/v1"
NAME: Final = "manifest.json"
MATCHED: Final = "purge.parquet"
UNCLEAR: Final = "unclear.parquet"
NOTE: Final = (
    "Nothing was erased. purge.parquet lists what the hold reaches, for the platform to erase "
    "where it lies; unclear.parquet what it may reach: a class, a time or a place is not known."
)

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


# An item's code is the smallest of its parties': 4·(YES − match) + role; one above them all for an
# item that may match and names nobody.
NOBODY: Final = 4 * Match.YES
CLEAR: Final = NOBODY + 1


class Source(Protocol):
    """A registered table as this list reads it: row group by row group."""

    @property
    def name(self) -> str:
        """Return the source's name."""

    @property
    def kinds(self) -> Sequence[Kind]:
        """Return the kinds of items, numbered as in `items`."""

    @property
    def rows(self) -> int:
        """Return the number of items."""

    @property
    def groups(self) -> int:
        """Return the number of row groups."""

    def items(self, group: int) -> Items:
        """Return the items of one row group."""

    def ids(self, group: int) -> pa.ChunkedArray:
        """Return the ids of one row group."""


# ── what matches ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Reach:
    """One clause against everybody: what it says of each set of places and of contracts."""

    clause: Clause
    place: Bytes
    place_now: Bytes
    place_ever: Bytes
    contract: Bytes
    contract_now: Bytes
    contract_ever: Bytes


class Reach:
    """What the clauses of a hold match, as of T."""

    def __init__(
        self, store: EventStore, clauses: Iterable[Clause], *, as_of: Time, upto: int
    ) -> None:
        """Fold where everybody was and is, as recorded by `as_of`."""
        self._size = len(store.subject_ids())
        self._places = Steps(store, FactKind.JURISDICTION, as_of, upto, self._size)
        self._contracts = Steps(store, FactKind.CONTRACT, as_of, upto, self._size)
        self._as_of = as_of
        self._of = {id(clause): self._reach(clause) for clause in clauses}

    def _reach(self, clause: Clause) -> _Reach:
        span = (clause.span.start, clause.span.end)
        everyone = np.arange(self._size + 1)
        now = np.full(self._size + 1, self._as_of)
        found: list[Bytes] = []
        for steps, says, words in (
            (self._places, in_places, clause.jurisdictions),
            (self._contracts, in_contracts, clause.contracts),
        ):
            match = np.array([says(words, values) for values in steps.sets], np.uint8)
            found += [match, match[steps.at(everyone, now)], steps.ever(match, span)]
        return _Reach(clause, *found)

    def codes(self, kinds: Sequence[Kind], items: Items, clauses: Iterable[Clause]) -> Bytes:
        """Return each item's code: who is the first in it for whom one of `clauses` matches."""
        of = [self._of[id(clause)] for clause in clauses]
        classes = [kind.data_class for kind in kinds] + [None]
        count = len(items.created_at)
        kind = np.minimum(items.kind, len(kinds)).astype(np.int64)
        lengths = np.diff(items.offsets)
        item = np.repeat(np.arange(count), lengths)
        code = np.full(count, CLEAR, np.uint8)
        match = self._matches(of, classes, items.parties, kind[item], items.created_at[item])
        np.minimum.at(code, item, _code(match, items.parties >> ROLE_SHIFT))
        if items.quotes is not None and items.quote_offsets is not None:
            quoted = np.diff(items.quote_offsets)
            item, lengths = np.repeat(np.arange(count), quoted), lengths + quoted
            of_kind: Any = items.quote_kind
            at: Any = items.quote_at
            of_kind = np.minimum(of_kind, len(kinds)).astype(np.int64)
            match = self._matches(of, classes, items.quotes, of_kind, at)
            np.minimum.at(code, item, _code(match, np.full(len(item), Role.QUOTED)))
        nobody = np.flatnonzero(lengths == 0)
        unknown = np.full(len(nobody), self._size, np.uint32)
        match = self._matches(of, classes, unknown, kind[nobody], items.created_at[nobody])
        code[nobody] = np.where(match > Match.NO, NOBODY, CLEAR)
        return code

    def _matches(
        self,
        of: Sequence[_Reach],
        classes: Sequence[str | None],
        parties: npt.NDArray[np.uint32],
        kind: Ints,
        at: Ints,
    ) -> Bytes:
        """Return whether one of the clauses matches, party by party."""
        subject = np.minimum(parties & SUBJECT_MASK, self._size).astype(np.int64)
        undated = at == END
        then = np.where(undated, BEGINNING, at)
        place, contract = self._places.at(subject, then), self._contracts.at(subject, then)
        most = np.zeros(len(subject), np.uint8)
        for each in of:
            span = each.clause.span
            known = [of_class(each.clause.data_classes, c) for c in classes]
            matches = np.array(known, np.uint8)[kind]
            inside = np.where((then >= span.start) & (then < span.end), Match.YES, Match.NO)
            period = np.where(undated, Match.YES if span == ALWAYS else Match.MAYBE, inside)
            was = np.minimum(each.place[place], each.contract[contract])
            ever = np.minimum(each.place_ever[subject], each.contract_ever[subject])
            was = np.where(undated, np.minimum(ever, Match.MAYBE), was)
            is_now = np.minimum(each.place_now[subject], each.contract_now[subject])
            found = np.minimum(np.minimum(matches, period), np.maximum(was, is_now))
            most = np.maximum(most, found).astype(np.uint8)
        return most


def _code(match: Bytes, role: npt.NDArray[Any]) -> Bytes:
    found: Bytes = np.where(match > Match.NO, 4 * (Match.YES - match) + role, CLEAR)
    return found.astype(np.uint8)


# ── the list ────────────────────────────────────────────────────────────────────────────────


@dataclass
class Listed:
    """How many items a hold reaches; `by_role` counts the first person in each for whom it does."""

    items: int = 0
    matched: int = 0
    unclear: int = 0
    by_role: dict[str, int] = field(default_factory=dict)

    def add(self, code: Bytes) -> None:
        """Count a batch."""
        self.items += len(code)
        self.matched += int((code < 4).sum())  # noqa: PLR2004 - one code a role
        self.unclear += int(((code >= 4) & (code < CLEAR)).sum())  # noqa: PLR2004
        for role in Role:
            if count := int((code == role).sum()):
                name = role.name.lower()
                self.by_role[name] = self.by_role.get(name, 0) + count

    def record(self) -> dict[str, Any]:
        """Return the counts as JSON."""
        return {
            "items": self.items, "matched": self.matched, "unclear": self.unclear,
            "by_role": {role: self.by_role[role] for role in sorted(self.by_role)},
        }  # fmt: skip


_SCHEMA: Final = pa.schema(
    [
        ("source", pa.dictionary(pa.int8(), pa.string())),
        ("item", pa.string()),
        ("role", pa.dictionary(pa.int8(), pa.string())),
    ]
)


def write_lists(
    reach: Reach,
    clauses: Sequence[Clause],
    sources: Sequence[Source],
    folder: Path,
    progress: Progress,
) -> tuple[dict[str, Listed], list[FileEntry]]:
    """List what `clauses` reach in every source, streaming; returns counts and files.

    Raises OSError if the disk refuses, InputError if a table cannot be read any more.
    """
    counts: dict[str, Listed] = {}
    total, done = sum(source.rows for source in sources), 0
    with (
        pq.ParquetWriter(folder / MATCHED, _SCHEMA, compression="zstd") as matched,
        pq.ParquetWriter(folder / UNCLEAR, _SCHEMA, compression="zstd") as unclear,
    ):
        for source in sources:
            listed = counts[source.name] = Listed()
            for group in range(source.groups):
                code = reach.codes(source.kinds, source.items(group), clauses)
                listed.add(code)
                if (code < CLEAR).any():
                    ids = source.ids(group)
                    sure = code < 4  # noqa: PLR2004
                    _write(matched, source.name, ids, code, np.flatnonzero(sure))
                    _write(unclear, source.name, ids, code, np.flatnonzero(~sure & (code < CLEAR)))
                done += len(code)
                progress("listing", done, total)
    files = [(MATCHED, "matched"), (UNCLEAR, "unclear")]
    return counts, [
        _entry(folder / name, sum(getattr(listed, what) for listed in counts.values()))
        for name, what in files
    ]


def _write(
    writer: pq.ParquetWriter, source: str, ids: pa.ChunkedArray, code: Bytes, chosen: Ints
) -> None:
    if not len(chosen):
        return
    role = np.where(code[chosen] < NOBODY, code[chosen] & 3, 0).astype(np.int8)
    roles = pa.array(role, mask=code[chosen] >= NOBODY)
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(chosen), np.int8)), [source]),
        ids.take(pa.array(chosen)).cast(pa.string()).combine_chunks(),
        pa.DictionaryArray.from_arrays(roles, [r.name.lower() for r in Role]),
    ]
    table = pa.Table.from_arrays(columns, schema=_SCHEMA)
    writer.write_table(table, row_group_size=len(chosen))


def _entry(path: Path, rows: int) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(path.name, rows, path.stat().st_size, digest)


def affected(
    reach: Reach, clauses: Sequence[Clause], sources: Sequence[Source], verdicts: Verdicts
) -> Listed:
    """Count which released rows `clauses` reach; `verdicts` are those of the release's own T."""
    found = Listed()
    for source, codes in zip(sources, verdicts.codes, strict=True):
        for group, verdict in enumerate(codes):
            code = reach.codes(source.kinds, source.items(group), clauses)
            found.add(code[verdict == ALLOW])
    return found


def manifest(
    head: Mapping[str, Any],
    counts: Mapping[str, Listed],
    releases: Sequence[Mapping[str, Any]],
    files: Sequence[FileEntry],
) -> bytes:
    """Return the bytes of the list's manifest: canonical JSON."""

    def total(what: Callable[[Listed], int]) -> int:
        return sum(what(listed) for listed in counts.values())

    record = {
        "format": FORMAT,
        **head,
        "note": NOTE,
        "counts": {
            "items": total(lambda listed: listed.items),
            "matched": total(lambda listed: listed.matched),
            "unclear": total(lambda listed: listed.unclear),
        },
        "sources": {name: listed.record() for name, listed in counts.items()},
        "releases": list(releases),
        "files": [file.record() for file in files],
    }
    return canonical(record) + b"\n"
