"""Build a release: a first pass finds verdicts and members, a second writes rows.

Streaming over row groups, in order, in bounded memory: one byte per item stays, and up to
BUFFER bytes per shard. The same opening, ledger and tables give the same bytes, whatever the number
of threads: rows keep their order, and a shard is written when its buffer is full, never when a
thread is free. Spec: docs/spec/manifest.md.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import Reason, Role
from letterlock.ledger import EventStore
from letterlock.record import memberset
from letterlock.record.memberset import MemberSet
from letterlock.release import manifest
from letterlock.release.kernel import (
    ALLOW,
    ROLE_SHIFT,
    SUBJECT_MASK,
    Items,
    Kernel,
    reason_and_role,
)
from letterlock.release.manifest import FileEntry, Logged, Opening
from letterlock.release.plan import Kind, Plan

Bytes = npt.NDArray[np.uint8]
Keys = npt.NDArray[np.uint64]

SHARDS: Final = 16
BUFFER: Final = 24 << 20
"""Bytes of rows that a shard collects before it writes a row group."""
WITHHELD_ROWS: Final = 1 << 17
"""Rows in a row group of the withheld table."""
COMPRESSION: Final = {"compression": "zstd", "compression_level": 3}

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Naming:
    """What the pseudonyms of one release are made of.

    `scope`: T of docs/spec/memberset.md §3. `tokens`: subject numbers and their account ids, as
    many, to their tokens, end to end.
    """

    logged: Logged
    scope: bytes
    tokens: Callable[[npt.NDArray[np.int64], Sequence[str]], bytes]


class Source(Protocol):
    """A registered table as the build reads it: row group by row group, in order."""

    @property
    def name(self) -> str:
        """Return the source's name."""

    @property
    def kinds(self) -> Sequence[Kind]:
        """Return the kinds of items, numbered as in `items`."""

    @property
    def epochs(self) -> npt.NDArray[np.int64]:
        """Return times that cut the items into about equal numbers."""

    @property
    def rows(self) -> int:
        """Return the number of items."""

    @property
    def groups(self) -> int:
        """Return the number of row groups."""

    def items(self, group: int) -> Items:
        """Return the items of one row group."""

    def keys(self, group: int) -> Keys:
        """Return the shard key of each row of one row group."""

    def payload(self, group: int) -> Iterator[pa.Table]:
        """Yield the id (first) and the payload columns of one row group, some rows at a time."""

    def check_unchanged(self) -> None:
        """Raise InputError if the table is no longer the one that was indexed."""


@dataclass(frozen=True)
class Verdicts:
    """The codes of every item: per source, per row group."""

    codes: Sequence[Sequence[Bytes]]

    def counts(self) -> npt.NDArray[np.int64]:
        """Return how many items have each code, (256,)."""
        total = np.zeros(256, np.int64)
        for code in (group for source in self.codes for group in source):
            total += np.bincount(code, minlength=256)
        return total

    def narrower_than(self, before: Verdicts) -> int:
        """Count the items that were allowed `before` and no longer are."""
        pairs = zip(self.codes, before.codes, strict=True)
        return sum(
            int(((now != ALLOW) & (then == ALLOW)).sum())
            for mine, theirs in pairs
            for now, then in zip(mine, theirs, strict=True)
        )


def judge(plan: Plan, sources: Sequence[Source], progress: Progress) -> Verdicts:
    """Judge every item of every source: the first pass, over id columns only."""
    codes = []
    total, done = sum(source.rows for source in sources), 0
    for source in sources:
        kernel = Kernel.ready(plan, source.kinds, source.epochs)
        found = []
        for group in range(source.groups):
            found.append(kernel.verdicts(source.items(group)))
            done += len(found[-1])
            progress("judging", done, total)
        codes.append(found)
    return Verdicts(codes)


def by_reason(counts: npt.NDArray[np.int64]) -> dict[Reason, int]:
    """Sum codes (256,) into withheld items by reason."""
    found: dict[Reason, int] = {}
    for code in np.flatnonzero(counts).tolist():
        reason, _ = reason_and_role(code)
        if reason is not None:
            found[reason] = found.get(reason, 0) + int(counts[code])
    return found


def build(  # noqa: PLR0913, PLR0917 - what to write, of what, where, and how
    opening: Opening,
    plan: Plan,
    verdicts: Verdicts,
    sources: Sequence[Source],
    store: EventStore,
    naming: Naming,
    folder: Path,
    *,
    threads: int,
    progress: Progress,
) -> bytes:
    """Write the release into the empty `folder`; returns its manifest's bytes.

    Raises OSError if the disk refuses, InputError if a table cannot be read any more.
    """
    outgoing, private = folder / manifest.OUTGOING, folder / manifest.PRIVATE
    outgoing.mkdir(parents=True)
    private.mkdir()
    ids = store.subject_ids()
    present = present_in(sources, verdicts, len(ids))
    rank, members, entry = _members(ids, present, naming, outgoing)
    files, classes = [entry], Counter[str]()
    # Whatever happens, the threads come to an end before the files that they write are closed.
    with ExitStack() as stack, _workers(threads) as pool:
        withheld = stack.enter_context(_Withheld(private / manifest.WITHHELD))
        total, done = sum(source.rows for source in sources), 0
        for source, codes in zip(sources, verdicts.codes, strict=True):
            shards = _Shards(outgoing, source.name, opening.shards, pool, stack)
            for rows, items, keys, code in _ahead(_parts(source, codes), pool):
                withheld.write(source.name, rows.column(0), code)
                released = np.flatnonzero(code == ALLOW)
                classes.update(_classes(source, items, released))
                key_of = keys[released] % np.uint64(opening.shards)
                order = np.argsort(key_of, kind="stable")
                chosen = released[order]
                shards.add(_released(rows, source, items, chosen, rank), key_of[order])
                done += len(code)
                progress("writing", done, total)
            files += shards.close()
    counts = verdicts.counts()
    data = manifest.write(
        opening,
        plan.rules,
        items=int(counts.sum()),
        withheld=by_reason(counts),
        classes=classes,
        logged=naming.logged,
        members=members,
        files=files,
        private=[withheld.entry],
    )
    with (outgoing / manifest.NAME).open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return data


@contextmanager
def _workers(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool whose threads are all there before any of them has work.

    A thread that is started while an interrupt arrives may not be entered in the pool, which then
    does not wait for it: it would write to files that are closed already.
    """
    with ThreadPoolExecutor(threads) as pool:
        here = threading.Barrier(threads + 1)
        try:
            for _ in range(threads):
                pool.submit(here.wait)
            here.wait()
        finally:
            here.abort()
        yield pool


_Part = tuple[pa.Table, Items, Keys, Bytes]


def _parts(source: Source, codes: Sequence[Bytes]) -> Iterator[_Part]:
    """Yield (id and payload, items, shard keys, codes) of some rows after the other."""
    for group, code in enumerate(codes):
        items, keys, first = source.items(group), source.keys(group), 0
        for rows in source.payload(group):
            last = first + rows.num_rows
            yield rows, items.part(first, last), keys[first:last], code[first:last]
            first = last


def _ahead(parts: Iterator[_Part], pool: ThreadPoolExecutor) -> Iterator[_Part]:
    """Yield `parts`, while a thread reads the next."""
    ahead = pool.submit(next, parts, None)
    while (part := ahead.result()) is not None:
        ahead = pool.submit(next, parts, None)
        yield part


def present_in(sources: Sequence[Source], verdicts: Verdicts, size: int) -> npt.NDArray[np.bool_]:
    """Return who is in a released item."""
    present = np.zeros(size, np.bool_)
    for source, codes in zip(sources, verdicts.codes, strict=True):
        for group, code in enumerate(codes):
            items = source.items(group)
            allowed = code == ALLOW
            for offsets, people in (
                (items.offsets, items.parties),
                (items.quote_offsets, items.quotes),
            ):
                if offsets is not None and people is not None:
                    mine = people[np.repeat(allowed, np.diff(offsets))]
                    present[mine & SUBJECT_MASK] = True
    return present


def _members(
    ids: Sequence[str], present: npt.NDArray[np.bool_], naming: Naming, folder: Path
) -> tuple[npt.NDArray[np.uint32], MemberSet, FileEntry]:
    """Write members.parquet, sorted; return each subject's row in it, and the set."""
    numbers = np.flatnonzero(present)
    tokens = naming.tokens(numbers, [ids[n] for n in numbers.tolist()])
    names = memberset.pseudonyms(naming.scope, tokens)
    order = memberset.order(names)
    rank = np.zeros(len(ids), np.uint32)
    rank[numbers[order]] = np.arange(len(numbers), dtype=np.uint32)
    names = np.frombuffer(names, f"V{memberset.NAME_SIZE}")[order].tobytes()
    members = MemberSet(names)
    column = pa.Array.from_buffers(
        pa.binary(memberset.NAME_SIZE), members.count, [None, pa.py_buffer(names)]
    )
    table = pa.table({"pseudonym": column})
    with FileWriter(folder / manifest.MEMBERS, manifest.MEMBERS, table.schema) as writer:
        writer.write(table)
    return rank, members, writer.entry


def _classes(source: Source, items: Items, released: npt.NDArray[np.int64]) -> dict[str, int]:
    """Count released rows by data class."""
    counts = np.bincount(items.kind[released], minlength=len(source.kinds)).tolist()
    found = Counter[str]()
    for kind, count in zip(source.kinds, counts, strict=True):
        found[kind.data_class or ""] += count
    return found


def _released(
    rows: pa.Table,
    source: Source,
    items: Items,
    chosen: npt.NDArray[np.int64],
    rank: npt.NDArray[np.uint32],
) -> pa.Table:
    """Return the chosen rows in their order, account ids replaced by rows of members.parquet."""
    kinds = [kind.data_class or "" for kind in source.kinds]
    classes = pa.DictionaryArray.from_arrays(
        pa.array(items.kind[chosen].astype(np.int32)), pa.array(kinds, pa.string())
    )
    columns = {
        "data_class": classes.cast(pa.string()),
        "created_at": pa.array(items.created_at[chosen]).cast(pa.timestamp("us", tz="UTC")),
    }
    for role, name in zip(Role, manifest.PARTY_COLUMNS, strict=True):
        columns[name] = _of_role(items, role, chosen, rank)
    payload = rows.select(rows.column_names[1:]).take(pa.array(chosen))
    for name in payload.column_names:
        columns[f"payload.{name}"] = payload.column(name)
    return pa.table(columns)


def _of_role(
    items: Items, role: Role, chosen: npt.NDArray[np.int64], rank: npt.NDArray[np.uint32]
) -> pa.ListArray:
    """Return the people of one role in each chosen row, as often as it names them, as ranks."""
    offsets, people = items.offsets, items.parties
    if role is Role.QUOTED:
        if items.quotes is None or items.quote_offsets is None:
            none = np.zeros(len(chosen) + 1, np.int32)
            return pa.ListArray.from_arrays(pa.array(none), pa.array([], pa.uint32()))
        offsets, people = items.quote_offsets, items.quotes
    mine = people >> ROLE_SHIFT == role
    before = np.concatenate([[0], np.cumsum(mine)])
    starts, lengths = before[offsets[:-1]], np.diff(before[offsets])
    subject = people[mine] & SUBJECT_MASK
    lengths, starts = lengths[chosen], starts[chosen]
    new = np.zeros(len(chosen) + 1, np.int32)
    np.cumsum(lengths, out=new[1:])
    at = np.arange(new[-1]) - np.repeat(new[:-1], lengths) + np.repeat(starts, lengths)
    # Only now: whom nobody could resolve has no rank, and is in no released row.
    return pa.ListArray.from_arrays(pa.array(new), pa.array(rank[subject[at]]))


class _HashedFile:
    """A binary file that hashes what is written through it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self._hash = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        view = memoryview(data).cast("B")
        self._file.write(view)
        self._hash.update(view)
        self.size += len(view)
        return len(view)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Close, once what was written is on disk."""
        if not self.closed:
            self.closed = True
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
            finally:
                self._file.close()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class FileWriter:
    """A Parquet file whose rows, bytes and hash are known once it is closed."""

    def __init__(self, path: Path, name: str, schema: pa.Schema) -> None:
        """Make the file at `path`, which the manifest knows as `name`."""
        self._file = _HashedFile(path)
        self._name, self._rows = name, 0
        text = [f.name for f in schema if pa.types.is_string(f.type) and f.name == "data_class"]
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"), schema, use_dictionary=text, **COMPRESSION
        )

    def write(self, table: pa.Table) -> None:
        """Write `table` as one row group."""
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._rows += table.num_rows

    @property
    def entry(self) -> FileEntry:
        """Return what the manifest says of the file."""
        return FileEntry(self._name, self._rows, self._file.size, self._file.hexdigest())

    def close(self) -> None:
        """Write the footer and close, once."""
        if not self._file.closed:
            try:
                self._writer.close()
            finally:
                self._file.close()

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


class _Shards:
    """The shards of one source: rows are collected, and written a row group at a time."""

    def __init__(
        self, folder: Path, source: str, count: int, pool: ThreadPoolExecutor, stack: ExitStack
    ) -> None:
        self._folder, self._source, self._pool, self._stack = folder, source, pool, stack
        self._waiting: list[list[pa.Table]] = [[] for _ in range(count)]
        self._bytes = [0] * count
        self._writers: list[FileWriter | None] = [None] * count
        (folder / "data" / source).mkdir(parents=True)

    def add(self, table: pa.Table, shard: Keys) -> None:
        """Take in rows sorted by `shard`, one each."""
        bounds = np.searchsorted(shard, np.arange(len(self._waiting) + 1, dtype=np.uint64))
        for n, (first, last) in enumerate(pairwise(bounds.tolist())):
            rows = table.slice(first, last - first)
            if rows.num_rows or not self._waiting[n]:
                self._waiting[n].append(rows)
                self._bytes[n] += rows.nbytes
        self._flush(BUFFER)

    def close(self) -> Iterator[FileEntry]:
        """Write what is left, and yield what the manifest says of each shard."""
        self._flush(0)
        for writer in self._writers:
            if writer is not None:
                writer.close()
                yield writer.entry

    def _flush(self, limit: int) -> None:
        """Write every shard that has collected `limit` bytes; each by one thread at a time."""
        full = [n for n, size in enumerate(self._bytes) if size >= limit and self._waiting[n]]
        for _ in self._pool.map(self._write, full):
            pass

    def _write(self, n: int) -> None:
        table = pa.concat_tables(self._waiting[n])
        writer = self._writers[n]
        if writer is None:
            name = f"data/{self._source}/shard-{n:05}.parquet"
            writer = self._writers[n] = FileWriter(self._folder / name, name, table.schema)
            self._stack.push(writer)
        if table.num_rows:
            writer.write(table)
        self._waiting[n], self._bytes[n] = [], 0


class _Withheld:
    """The private table of what stayed: source, id, reason, role."""

    _SCHEMA: Final = pa.schema(
        [
            ("source", pa.dictionary(pa.int8(), pa.string())),
            ("item", pa.string()),
            ("reason", pa.dictionary(pa.int8(), pa.string())),
            ("role", pa.dictionary(pa.int8(), pa.string())),
        ]
    )

    def __init__(self, path: Path) -> None:
        self._file = FileWriter(path, manifest.WITHHELD, self._SCHEMA)
        self._waiting: list[pa.Table] = []
        self._rows = 0
        answers = [reason_and_role(code) for code in range(ALLOW + 2)]
        reasons = [reason for reason, _ in answers]
        roles = [role for _, role in answers]
        self._reason = np.array([0 if r is None else r for r in reasons], np.int8)
        self._role = np.array([-1 if r is None else r for r in roles], np.int8)

    def write(self, source: str, ids: pa.ChunkedArray, code: Bytes) -> None:
        """Add the rows that are not allowed."""
        stayed = np.flatnonzero(code != ALLOW)
        if not len(stayed):
            return
        columns = [
            _named(np.zeros(len(stayed), np.int8), [source]),
            ids.take(pa.array(stayed)).cast(pa.string()).combine_chunks(),
            _named(self._reason[code[stayed]], [r.name.lower() for r in Reason]),
            _named(self._role[code[stayed]], [r.name.lower() for r in Role]),
        ]
        self._waiting.append(pa.Table.from_arrays(columns, schema=self._SCHEMA))
        self._rows += len(stayed)
        if self._rows >= WITHHELD_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._file.write(pa.concat_tables(self._waiting).unify_dictionaries())
        self._waiting, self._rows = [], 0

    @property
    def entry(self) -> FileEntry:
        """Return what the manifest says of the table, closed."""
        self._file.close()
        return self._file.entry

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        if failure is None:
            self._flush()
        self._file.close()


def _named(index: npt.NDArray[np.int8], names: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(index, mask=index < 0), pa.array(names))
