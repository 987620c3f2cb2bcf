"""The reading gate: a received release, read only while that is allowed, without whom it drops.

`open_release` checks the grant, the files and the drop list before anything is read, and the reader
checks again at each pass, every CHECK_BATCHES batches or CHECK_EVERY, and once the head is too old.
Rows that name somebody on the list are left out. Each pass is recorded first. What is checked:
docs/reading.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import Time, counted
from letterlock.errors import GateClosed, LetterlockError, UsageError, VerificationError, reason
from letterlock.handover import reads
from letterlock.handover.admission import Admission, Clock, Mask
from letterlock.handover.feed import Head
from letterlock.handover.reads import Read, State
from letterlock.handover.received import SECOND, Copy, Held
from letterlock.lineage.duties import MINUTE
from letterlock.release.manifest import PARTY_COLUMNS

if TYPE_CHECKING:
    import datasets
    import torch.utils.data

CHECK_BATCHES: Final = 256
"""Batches that are read before it is checked again whether reading is allowed."""
CHECK_EVERY: Final[Time] = 15 * MINUTE
"""Time after which the next batch is read only after another check, in µs."""
BATCH_ROWS: Final = 8192
ROWS_AHEAD: Final = 64
"""Rows that are decoded at once where single rows are asked for."""

_OWN: Final = ("data_class", "created_at", *PARTY_COLUMNS)
_PAYLOAD: Final = "payload."

OnDrop = Literal["drop", "stop"]
ON_DROP: Final = ("drop", "stop")


def open_release(
    path: str | Path,
    *,
    purpose: str,
    feed: str | Path | None = None,
    now: Clock | None = None,
    on_drop: OnDrop = "drop",
) -> ReleaseReader:
    """Open a received release to read it for one purpose.

    Args:
        path: received/<release> in the recipient's inbox.
        purpose: the one it was handed over for, in full: a pattern is none.
        feed: where its newest drop list is: a folder, or a URL; the copy's own folder by default.
        now: a clock, µs since 1970, for a simulated inbox; this machine's by default.
        on_drop: leave rows out that name somebody on the list, or "stop" with GateClosed while the
            copy holds any: letterlock apply-drops takes them out.

    Raises UsageError; GateClosed if it may not be read for that, or not any more; StaleDrops if who
    must be dropped is not known; VerificationError, SignatureError, ProofError or InputError for
    files that are not what was sealed; WorkspaceError if the reading cannot be recorded.
    """
    return ReleaseReader(path, purpose=purpose, feed=feed, now=now, on_drop=on_drop)


class ReleaseReader:
    """A release that may be read as of the last check. It can be sent to other processes."""

    def __init__(  # noqa: PLR0913 - those of open_release, and the run that opens it
        self,
        path: str | Path,
        *,
        purpose: str,
        feed: str | Path | None = None,
        now: Clock | None = None,
        on_drop: OnDrop = "drop",
        run: str | None = None,
    ) -> None:
        """Open a release as `open_release` does; `run` is the id of a training (training.py)."""
        if on_drop not in ON_DROP:
            raise UsageError(f"on_drop is one of {', '.join(ON_DROP)}, not {on_drop!r}")
        self.folder, self.run = Path(path).absolute(), run or secrets.token_hex(8)
        elsewhere = str(feed.absolute()) if isinstance(feed, Path) else feed
        self.on_drop = on_drop
        self.admission = Admission(self.folder, purpose, elsewhere, now)
        self.release = self.admission.authority().grant.release
        self.passes = 0
        with _Pass(self, None) as opening:
            self._fields = _fields(opening.copy)
            self._shards = tuple(opening.copy.shards)
            opening.check("opened")

    def check(self) -> None:
        """Check again, now. Raises what `open_release` does."""
        with _Pass(self, None) as each:
            each.check("opened")

    @property
    def shards(self) -> tuple[str, ...]:
        """Return the names of the files of rows: a pass may read some of them only."""
        return self._shards

    def schema(self, columns: Sequence[str] | None = None) -> pa.Schema:
        """Return the schema of what is read. Raises UsageError for a column that is not there."""
        return self._selection(columns).schema

    def batches(
        self,
        columns: Sequence[str] | None = None,
        *,
        batch_size: int = BATCH_ROWS,
        shards: Sequence[str] | None = None,
        part: str = "0/1",
    ) -> Iterator[pa.RecordBatch]:
        """Read the release once, in batches of at most `batch_size` rows.

        Args:
            columns: names of payload columns (all by default), or of what each row has besides:
                data_class, created_at, and the people's columns, rows of members.parquet.
            batch_size: rows that are decoded at once; a batch has fewer where some are dropped.
            shards: the files to read, of `shards`, for one of several workers.
            part: what the record of reads calls this worker.

        Raises what `open_release` does: before the first batch, or before any later one.
        """
        if batch_size < 1:
            raise UsageError(f"a batch has at least one row, not {batch_size}")
        selection = self._selection(columns)
        mine = self._shards if shards is None else tuple(shards)
        if unknown := set(mine).difference(self._shards):
            raise UsageError(f"{min(unknown)}: the release has no such file of rows")
        return self._read(selection, batch_size, mine, part)

    def reader(
        self, columns: Sequence[str] | None = None, *, batch_size: int = BATCH_ROWS
    ) -> pa.RecordBatchReader:
        """Read the release once, as Arrow's own kind of stream. Raises as `batches`."""
        selection = self._selection(columns)
        return pa.RecordBatchReader.from_batches(
            selection.schema, self.batches(columns, batch_size=batch_size)
        )

    def torch(
        self, columns: Sequence[str] | None = None, *, rows_ahead: int = ROWS_AHEAD
    ) -> torch.utils.data.IterableDataset[dict[str, Any]]:
        """Return a PyTorch dataset whose examples are rows; workers share the files out.

        Raises UsageError if PyTorch is not installed.
        """
        try:
            from letterlock.handover.torch_rows import Rows  # noqa: PLC0415 - heavy, and optional
        except ImportError as error:
            raise UsageError("PyTorch is not installed here: pip install torch") from error
        return Rows(self, columns, rows_ahead)

    def datasets(
        self, columns: Sequence[str] | None = None, *, rows_ahead: int = ROWS_AHEAD
    ) -> datasets.IterableDataset:
        """Return a Hugging Face dataset, streamed; its shards are the files of rows.

        Raises UsageError if `datasets` is not installed.
        """
        try:
            from letterlock.handover.hf_rows import streamed  # noqa: PLC0415 - heavy, and optional
        except ImportError as error:
            raise UsageError("datasets is not installed here: pip install datasets") from error
        return streamed(self, columns, rows_ahead)

    def _selection(self, columns: Sequence[str] | None) -> _Selection:
        if isinstance(columns, str):
            raise UsageError(f"columns is a list of names: [{columns!r}]")
        return _select(self._fields, columns)

    def _read(
        self, selection: _Selection, batch_size: int, shards: tuple[str, ...], part: str
    ) -> Iterator[pa.RecordBatch]:
        with _Pass(self, shards, part) as each:
            each.check("reading")
            yield from each.batches(selection, batch_size)
            each.record("done")


# ── one pass ────────────────────────────────────────────────────────────────────────────────


class _Pass:
    """One pass over one version of the files: who is dropped, and what was handed out so far.

    The files stay open, so a copy that is swapped meanwhile is not mixed in.
    """

    def __init__(
        self, reader: ReleaseReader, shards: tuple[str, ...] | None, part: str = "0/1"
    ) -> None:
        """Begin one over some shards; None: over all, only to check them."""
        self._reader, self._admission = reader, reader.admission
        self._shards, self._part, self._number = shards, part, 0
        if shards is not None:
            reader.passes += 1
            self._number = reader.passes
        self._head: Head | None = None
        self._dropped: Mask | None = None
        self._batches = self._rows = self._left = 0
        self._checked: Time = 0
        self._state: State | None = None

    def __enter__(self) -> Self:
        self.copy: Copy = self._admission.hold(self._shards)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.copy.close()
        if kind is not None and self._state == "reading":
            with suppress(LetterlockError):  # what ended the pass is what has to be told
                self.record("stopped")

    def check(self, state: State) -> None:
        """Check that reading is allowed now, and record that it goes on."""
        self.copy.check(self._admission.hashes)
        current = self._admission.drops(self.copy)
        self._head = current.head
        self._dropped = self._admission.dropped(self.copy, current)
        if self._dropped is not None and self._reader.on_drop == "stop":
            who = counted(int(self._dropped.sum()), "people")
            raise GateClosed(
                f"drop list {current.head.number} names {who} in this copy of release "
                f"{self._reader.release}: letterlock apply-drops"
            )
        self.record(state)
        self._left, self._checked = CHECK_BATCHES, self._admission.now()

    def record(self, state: State) -> None:
        """Record what was handed out so far. Raises WorkspaceError."""
        number = self._head.number if self._head else 0
        reads.record(
            self._reader.folder,
            Read(
                self._admission.now(), self._reader.run, self._part, self._number,
                self._admission.purpose, self.copy.version, number, state,
                self._batches, self._rows,
            ),
        )  # fmt: skip
        self._state = state

    def batches(self, selection: _Selection, batch_size: int) -> Iterator[pa.RecordBatch]:
        """Yield what may be read."""
        for name in self._shards or ():
            held = self.copy.shards.get(name)
            if held is None:
                raise VerificationError(f"{name}: not in this version of the release")
            names = selection.of[held.source]
            for batch in self._allowed(held, [n for n in names if n is not None], batch_size):
                if batch.num_rows:
                    self._batches += 1
                    self._rows += batch.num_rows
                    yield selection.made(batch, names)

    def _allowed(self, held: Held, names: list[str], batch_size: int) -> Iterator[pa.RecordBatch]:
        """Yield the batches of a file, checked as often as is due, without who is dropped."""
        decoded = max(batch_size, BATCH_ROWS)
        try:
            file = pq.ParquetFile(held.file)
            for group in range(file.num_row_groups):
                people, first = _People(file, group), 0
                for rows in file.iter_batches(decoded, row_groups=[group], columns=names):
                    held.check(self._admission.hashes)
                    for at in range(0, rows.num_rows, batch_size):
                        if self._due():
                            self.check("reading")
                        self._left -= 1
                        batch = rows.slice(at, batch_size)
                        keep = people.kept(self._dropped, first + at, batch.num_rows)
                        yield batch if keep is None else batch.filter(pa.array(keep))
                    first += rows.num_rows
        except (OSError, ValueError, LookupError, pa.ArrowException) as error:
            raise VerificationError(f"{held.path}: cannot be read: {reason(error)}") from error

    def _due(self) -> bool:
        """Say whether to check anew, as it is before a row goes out by a head that is too old."""
        now = self._admission.now()
        old = self._head is None or not self._head.fresh(now // SECOND)
        return old or not self._left or not 0 <= now - self._checked < CHECK_EVERY


class _People:
    """Who is in the rows of one row group: read once somebody is dropped, and not before."""

    def __init__(self, file: pq.ParquetFile, group: int) -> None:
        self._file, self._group = file, group
        self._dropped: Mask | None = None
        self._keep: Mask | None = None

    def kept(self, dropped: Mask | None, first: int, count: int) -> Mask | None:
        """Return which of `count` rows name nobody who is dropped, (count,); None: all of them."""
        if dropped is None:
            return None
        if self._keep is None or dropped is not self._dropped:
            self._dropped, self._keep = dropped, _kept(self._read(), dropped)
        keep: Mask = self._keep[first : first + count]
        return None if keep.all() else keep

    def _read(self) -> pa.Table:
        return self._file.read_row_group(self._group, columns=[*PARTY_COLUMNS])


def _kept(rows: pa.Table, dropped: Mask) -> Mask:
    """Return which rows name nobody who is dropped: (rows,)."""
    keep = np.ones(rows.num_rows, np.bool_)
    for name in PARTY_COLUMNS:
        before = 0
        for column in rows.column(name).chunks:
            offsets, people = column.offsets.to_numpy(), column.values.to_numpy()
            first = offsets[0]
            hits = np.flatnonzero(dropped[people[first : offsets[-1]]])
            keep[before + np.searchsorted(offsets, hits + first, side="right") - 1] = False
            before += len(column)
    return keep


# ── columns ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Selection:
    """What is read: the schema that is handed out, and per source the columns of its files.

    A source that has not what others have (None) gives nulls.
    """

    schema: pa.Schema
    of: dict[str, tuple[str | None, ...]]

    def made(self, batch: pa.RecordBatch, names: tuple[str | None, ...]) -> pa.RecordBatch:
        """Return the columns of a batch of a source as they are handed out."""
        columns = [
            pa.nulls(batch.num_rows, field.type) if name is None else batch.column(name)
            for name, field in zip(names, self.schema, strict=True)
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


_Fields = dict[str, pa.Schema]
"""The schema of each source's files."""


def _fields(copy: Copy) -> _Fields:
    found: _Fields = {}
    for held in copy.shards.values():
        if held.source not in found:
            try:
                found[held.source] = pq.ParquetFile(held.file).schema_arrow
            except (OSError, ValueError, pa.ArrowException) as error:
                raise VerificationError(f"{held.path}: cannot be read: {reason(error)}") from error
    return found


def _select(fields: _Fields, columns: Sequence[str] | None) -> _Selection:
    """Find columns by their names; a payload column comes before one of the release's own."""
    per_source = {source: _named(schema) for source, schema in fields.items()}
    payload = [n for named in per_source.values() for n in named if named[n].startswith(_PAYLOAD)]
    wanted = list(dict.fromkeys(payload)) if columns is None else list(columns)
    if not wanted or len(set(wanted)) < len(wanted):
        raise UsageError("name at least one column to read, each once")
    picked = []
    for name in wanted:
        kinds = {fields[s].field(n[name]).type for s, n in per_source.items() if name in n}
        if not kinds:
            known = ", ".join(dict.fromkeys([*payload, *_OWN]))
            raise UsageError(f"no column {name!r} is in the release; there is: {known}")
        if len(kinds) > 1:
            raise UsageError(
                f"column {name!r} has several types ({', '.join(map(str, kinds))}): "
                "name the columns to read, without it"
            )
        picked.append(pa.field(name, kinds.pop()))
    of = {s: tuple(named.get(name) for name in wanted) for s, named in per_source.items()}
    return _Selection(pa.schema(picked), of)


def _named(schema: pa.Schema) -> dict[str, str]:
    """Return the columns of a file by the names that they are asked for by."""
    payload = {n.removeprefix(_PAYLOAD): n for n in schema.names if n.startswith(_PAYLOAD)}
    return payload | {name: name for name in _OWN if name in schema.names and name not in payload}
