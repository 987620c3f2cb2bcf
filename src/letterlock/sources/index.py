"""The index of a registered table: who is in which row, and nothing of what they wrote.

It holds, per row and in the table's own order: when, what kind, which people (as numbers), and a
key that places the row in a shard. It is aligned with the table's row groups, so that the two are
read side by side. Messages stay where they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from letterlock.domain import BEGINNING, END, Item, Party, Role, canonical
from letterlock.errors import InputError
from letterlock.release.kernel import (
    EPOCHS,
    NO_KIND,
    ROLE_SHIFT,
    SUBJECT_MASK,
    UNRESOLVED,
    Items,
)
from letterlock.release.plan import Kind
from letterlock.sources.mapping import Mapping, mapping_of
from letterlock.sources.quotes import names_in_thread, quoted_authors, resolve
from letterlock.sources.table import Table, is_list

FORMAT: Final = "letterlock/index/v1"
SAMPLE: Final = 100_000

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]
Names = dict[str, dict[str, frozenset[str]]]
"""Per thread: the addresses that each display name has in it."""


class Interning(Protocol):
    """What the index needs of a ledger: numbers for account ids."""

    def numbers(self, subjects: Sequence[str]) -> Ints:
        """Return the dense number of each subject id, interning what is new."""


class _Kinds:
    """Numbers for the kinds of items that occur."""

    def __init__(self) -> None:
        self.numbers: dict[Kind, int] = {}

    def number(self, kind: Kind) -> int:
        number = self.numbers.setdefault(kind, len(self.numbers))
        if number >= NO_KIND:
            raise InputError("more than 65,535 kinds of items: too many categories are combined")
        return number


def write_index(
    table: Table,
    folder: Path,
    ledger: Interning,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Index `table` into `folder`, which must be empty. Raises InputError for unreadable data.

    A row without an id, or whose id another row has too, cannot be told apart: it is marked, and
    never judged.
    """
    mapping, kinds = table.mapping, _Kinds()
    keys = [item_keys(table.read(g, [mapping.id]).column(0)) for g in range(len(table.groups))]
    repeated = _repeated([key[named] for key, named in keys])
    threads = _threads(table) if mapping.quotes == "text" else {}
    schema = _schema(quotes=mapping.quotes != "none")
    wanted = list(dict.fromkeys(c for c, what in mapping.columns() if what != "payload"))
    sample: list[Ints] = []
    step = max(1, table.rows // SAMPLE)
    done = 0
    with pq.ParquetWriter(
        folder / "parties.parquet",
        schema,
        compression="zstd",
        use_dictionary=["kind"],
        write_page_checksum=True,
    ) as writer:
        for group, (key, named) in enumerate(keys):
            rows = table.read(group, wanted)
            broken = ~named | np.isin(key, repeated)
            found = _index(rows, mapping, kinds, ledger, threads, broken)
            created_at = found["created_at"]
            sample.append(created_at[::step])
            arrays = [
                pa.array(key) if f.name == "key" else pa.array(found[f.name], f.type)
                for f in schema
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=2**31)
            done += len(key)
            if progress is not None:
                progress(done, table.rows)
    times = np.concatenate(sample) if sample else np.array([], np.int64)
    times = np.sort(times[(times > BEGINNING) & (times < END)])
    cuts = times[[len(times) * n // EPOCHS for n in range(EPOCHS)]] if len(times) else times
    record = {
        "format": FORMAT,
        "path": _place(table.path.resolve(), folder.resolve()),
        "fingerprint": table.fingerprint(),
        "mapping": mapping.record(),
        "rows": table.rows,
        "kinds": [
            [k.data_class, None if k.categories is None else sorted(k.categories), k.undated]
            for k in kinds.numbers
        ],
        "epochs": np.unique(cuts).tolist(),
    }
    (folder / "source.json").write_bytes(canonical(record) + b"\n")


def _place(path: Path, folder: Path) -> str:
    """Return where a table lies: what lies in the index itself moves with it."""
    return path.name if path.parent == folder else str(path)


def _schema(*, quotes: bool) -> pa.Schema:
    fields = [
        ("key", pa.uint64()),
        ("created_at", pa.int64()),
        ("kind", pa.uint16()),
        ("parties", pa.list_(pa.uint32())),
    ]
    if quotes:
        fields += [
            ("quotes", pa.list_(pa.uint32())),
            ("quote_kind", pa.list_(pa.uint16())),
            ("quote_at", pa.list_(pa.int64())),
        ]
    return pa.schema(fields)


def item_keys(ids: pa.ChunkedArray) -> tuple[Keys, Bools]:
    """Return a 64-bit key per id, and whether there is one; a key places a row in its shard.

    Integers are mixed (splitmix64, Steele et al. 2014), texts hashed (BLAKE2b).
    """
    named = pc.is_valid(ids).to_numpy()
    if pa.types.is_integer(ids.type):
        key = pc.fill_null(ids, 0).to_numpy().astype(np.uint64)
        key += np.uint64(0x9E3779B97F4A7C15)
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return key ^ (key >> np.uint64(31)), named
    texts = ids.to_pylist()
    digests = b"".join(
        hashlib.blake2b((t or "").encode(errors="surrogatepass"), digest_size=8).digest()
        for t in texts
    )
    return np.frombuffer(digests, "<u8").astype(np.uint64), named & np.array(
        [bool(t) for t in texts], np.bool_
    )


def _repeated(keys: Sequence[Keys]) -> Keys:
    ordered = np.sort(np.concatenate([*keys, np.array([], np.uint64)]))
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def _threads(table: Table) -> Names:
    """Return, per thread, which address each display name has."""
    mapping = table.mapping
    if not (mapping.thread and mapping.name):
        return {}
    pairs: dict[str, set[tuple[str, str]]] = {}
    wanted = [mapping.thread, mapping.name, mapping.author[0]]
    for group in range(len(table.groups)):
        rows = table.read(group, wanted)
        columns = (rows.column(name).to_pylist() for name in wanted)
        for thread, name, author in zip(*columns, strict=True):
            if thread is not None and name and isinstance(author, str):
                pairs.setdefault(str(thread), set()).add((name, author))
    return {thread: names_in_thread(found) for thread, found in pairs.items()}


def _index(  # noqa: PLR0913, PLR0917 - one batch of rows, and what numbers it
    rows: pa.Table,
    mapping: Mapping,
    kinds: _Kinds,
    ledger: Interning,
    threads: Names,
    broken: Bools,
) -> dict[str, Any]:
    """Return the index columns of a batch of rows; `broken` ones are marked as of no kind."""
    people = [(c, Role.AUTHOR) for c in mapping.author]
    people += [(c, Role.RECIPIENT) for c in mapping.recipients]
    people += [(c, Role.MEMBER) for c in mapping.members]
    numbered = [(*_people(rows.column(c), ledger), role) for c, role in people]
    classes, number_of_class = _classes(rows, mapping)
    if any(c.startswith("message.") or c == "message" for c in classes if c):
        numbered.append(_nobody(numbered, classes, number_of_class, rows.num_rows))
    row = np.concatenate([r for r, _, _ in numbered])
    packed = np.concatenate([s | (int(role) << ROLE_SHIFT) for _, s, role in numbered])
    order = np.argsort(row, kind="stable")
    found: dict[str, Any] = {
        "created_at": _created_at(rows.column(mapping.created_at)),
        "parties": _lists(packed[order].astype(np.uint32), row, rows.num_rows),
    }
    categories, number_of_set = _categories(rows, mapping)
    table = np.full((len(classes), len(categories)), NO_KIND, np.uint16)
    pairs = number_of_class * len(categories) + number_of_set
    for pair in np.unique(pairs[~broken]).tolist():
        data_class = classes[pair // len(categories)]
        if data_class is not None:
            kind = Kind(data_class, categories[pair % len(categories)])
            table.reshape(-1)[pair] = kinds.number(kind)
    kind = table.reshape(-1)[pairs]
    found["kind"] = np.where(broken, NO_KIND, kind).astype(np.uint16)
    if mapping.quotes != "none":
        sets = [categories[n] for n in number_of_set.tolist()]
        found |= _quotes(rows, mapping, kinds, ledger, threads, sets)
    return found


def _people(column: pa.ChunkedArray, ledger: Interning) -> tuple[Ints, Ints]:
    """Return (row, subject number) of everyone in a column; UNRESOLVED for whom nobody can name."""
    array = column.combine_chunks()
    if is_list(array.type):
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy()
        row, ids = np.repeat(np.arange(len(array)), lengths), array.flatten()
        absent = np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
    else:
        row, ids, absent = np.arange(len(array)), array, np.array([], np.int64)
    subject = _numbers(ids, ledger)
    # A list that is not there names somebody unknown; an empty one names nobody.
    row = np.concatenate([row, absent])
    return row, np.concatenate([subject, np.full(len(absent), UNRESOLVED)])


def _numbers(ids: pa.Array, ledger: Interning) -> Ints:
    encoded = ids if pa.types.is_dictionary(ids.type) else ids.dictionary_encode()
    names = [_account(value) for value in encoded.dictionary.to_pylist()]
    known = [name for name in names if name]
    numbers = iter(ledger.numbers(known).tolist())
    table = np.array([next(numbers) if name else UNRESOLVED for name in names] + [UNRESOLVED])
    places = pc.fill_null(encoded.indices.cast(pa.int64()), len(names)).to_numpy()
    found: Ints = table[places]
    return found


def _account(value: object) -> str:
    """Return an account id as text; empty for what cannot be one (null, blank, negative)."""
    if isinstance(value, int):
        return str(value) if value >= 0 else ""
    return value.strip() if isinstance(value, str) else ""


def _nobody(
    numbered: list[tuple[Ints, Ints, Role]],
    classes: list[str | None],
    number_of_class: Ints,
    rows: int,
) -> tuple[Ints, Ints, Role]:
    """A message went to somebody: one that names no recipient has one whom nobody can name."""
    addressed = np.zeros(rows, np.bool_)
    for row, _, role in numbered:
        if role is not Role.AUTHOR:
            addressed[row] = True
    is_message = np.array([c is not None and c.split(".")[0] == "message" for c in classes])
    row = np.flatnonzero(is_message[number_of_class] & ~addressed)
    return row, np.full(len(row), UNRESOLVED), Role.RECIPIENT


def _lists(values: npt.NDArray[Any], row: Ints, rows: int) -> pa.ListArray:
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(np.bincount(row, minlength=rows), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


_UNITS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""The nanoseconds in a tick of each unit."""


def _created_at(column: pa.ChunkedArray) -> Ints:
    """Return microseconds; END for a date that is missing or cannot be written as such."""
    array = column.combine_chunks()
    tick = _UNITS[array.type.unit if pa.types.is_timestamp(array.type) else "us"]
    found: Ints = pc.fill_null(array.cast(pa.int64()), np.iinfo(np.int64).max).to_numpy()
    if tick < _UNITS["us"]:
        found = found // _UNITS["us"]
    else:
        beyond = END * 1000 // tick + 1
        found = np.clip(found, -beyond, beyond) * (tick // 1000)
    return np.where((found > BEGINNING) & (found < END), found, END)


def _classes(rows: pa.Table, mapping: Mapping) -> tuple[list[str | None], Ints]:
    if mapping.data_class:
        return [mapping.data_class], np.zeros(rows.num_rows, np.int64)
    encoded = rows.column(mapping.data_class_column).combine_chunks()
    encoded = encoded if pa.types.is_dictionary(encoded.type) else encoded.dictionary_encode()
    names = [*encoded.dictionary.to_pylist(), None]
    places = pc.fill_null(encoded.indices.cast(pa.int64()), len(names) - 1)
    return [name or None for name in names], places.to_numpy()


def _categories(rows: pa.Table, mapping: Mapping) -> tuple[list[frozenset[str] | None], Ints]:
    """Return the distinct sets of sensitive categories, and which each row has; null: unknown."""
    if mapping.sensitive != "column":
        declared = frozenset[str]() if mapping.sensitive == "none" else None
        return [declared], np.zeros(rows.num_rows, np.int64)
    sets: dict[frozenset[str] | None, int] = {}
    number = []
    for value in rows.column(mapping.sensitive_column).to_pylist():
        listed = [value] if isinstance(value, str) else value
        known = listed is not None and all(listed)
        found = frozenset(listed) if known else None
        number.append(sets.setdefault(found, len(sets)))
    return list(sets) or [frozenset()], np.array(number, np.int64)


def _quotes(  # noqa: PLR0913, PLR0917 - as _index
    rows: pa.Table,
    mapping: Mapping,
    kinds: _Kinds,
    ledger: Interning,
    threads: Names,
    sets: list[frozenset[str] | None],
) -> dict[str, Any]:
    """Return who is quoted in each row, of what class and when, as far as that is known."""
    column, tick = _plain(rows.column(mapping.quote_source))
    names = rows.column(mapping.thread).to_pylist() if mapping.thread else [None] * len(column)
    row, accounts, kind, at = [], [], [], []
    for n, value in enumerate(column):
        quotes: list[Any] = value if isinstance(value, list) else [None] * (value is None)
        if mapping.quotes == "text":
            known = threads.get(str(names[n]), {})
            quotes = [resolve(q, known) for q in quoted_authors(value or "")]
        for account, data_class, created_at in dict.fromkeys(_freeze(q, tick) for q in quotes):
            row.append(n)
            accounts.append(_account(account))
            known_as = data_class or mapping.quote_class or None
            kind.append(kinds.number(Kind(known_as, sets[n], undated=created_at is None)))
            at.append(END if created_at is None else created_at)
    resolved = iter(ledger.numbers([a for a in accounts if a]).tolist())
    subject = [next(resolved) if a else UNRESOLVED for a in accounts]
    places = np.array(row, np.int64)
    packed = np.array(subject, np.int64) | (int(Role.QUOTED) << ROLE_SHIFT)
    return {
        "quotes": _lists(packed.astype(np.uint32), places, rows.num_rows),
        "quote_kind": _lists(np.array(kind, np.uint16), places, rows.num_rows),
        "quote_at": _lists(np.array(at, np.int64), places, rows.num_rows),
    }


def _plain(column: pa.ChunkedArray) -> tuple[list[Any], int]:
    """Return Python values, and how long a tick of the times in them is: not all fit a datetime."""
    inner = column.type.value_type if is_list(column.type) else column.type
    if not pa.types.is_struct(inner):
        return column.to_pylist(), 0
    fields = {f.name: f.type for f in inner}
    at = fields["created_at"]
    plain = pa.struct(fields | {"created_at": pa.int64()})
    large = pa.types.is_large_list(column.type)
    found: list[Any] = column.cast((pa.large_list if large else pa.list_)(plain)).to_pylist()
    return found, _UNITS[at.unit if pa.types.is_timestamp(at) else "us"]


def _freeze(quote: object, tick: int) -> tuple[Any, str | None, int | None]:
    """Return (account, data class, time) of a quote; a bare account says no class and no time."""
    if not isinstance(quote, dict):
        return quote, None, None
    at = quote["created_at"]
    at = END if at is None else at * tick // 1000
    return quote["id"], quote["data_class"], at if BEGINNING < at < END else None


class Indexed:
    """What the index alone says of a table, which itself may be gone or changed by now."""

    def __init__(self, name: str, folder: Path) -> None:
        """Open the index in `folder`. Raises InputError if it is unreadable."""
        self.name, self.folder = name, folder
        try:
            record = json.loads((folder / "source.json").read_bytes())
            self._index = pq.ParquetFile(
                folder / "parties.parquet", pre_buffer=False, page_checksum_verification=True
            )
            self.path, self.mapping = folder / record["path"], mapping_of(record["mapping"])
            self.fingerprint: str = record["fingerprint"]
            self.kinds = [
                Kind(c, None if s is None else frozenset(s), undated)
                for c, s, undated in record["kinds"]
            ]
            self.epochs: Ints = np.array(record["epochs"], np.int64)
            self.rows: int = record["rows"]
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise InputError(f"source {name}: its index cannot be read: {error}") from error

    @property
    def groups(self) -> int:
        """Return the number of row groups."""
        found: int = self._index.num_row_groups
        return found

    def items(self, group: int) -> Items:
        """Return the items of one row group."""
        names = [name for name in self._index.schema_arrow.names if name != "key"]
        found = self._read(group, names)
        column = {name: found.column(name).combine_chunks() for name in names}
        created_at, kind = column["created_at"].to_numpy(), column["kind"].to_numpy()
        lists = column["parties"].offsets.to_numpy(), column["parties"].values.to_numpy()
        if "quotes" not in column:
            return Items(created_at, kind, *lists)
        quotes = (column[name].values.to_numpy() for name in ("quotes", "quote_kind", "quote_at"))
        return Items(created_at, kind, *lists, column["quotes"].offsets.to_numpy(), *quotes)

    def keys(self, group: int) -> Keys:
        """Return the shard key of each row of one row group."""
        found: Keys = self._read(group, ["key"]).column(0).to_numpy()
        return found

    def ids(self, group: int) -> pa.ChunkedArray:
        """Return what stands for the ids of one row group, which the table alone has: their keys.

        Each is "#" and 16 hexadecimal digits.
        """
        return pa.chunked_array([[f"#{key:016x}" for key in self.keys(group).tolist()]])

    def _read(self, group: int, columns: Sequence[str]) -> pa.Table:
        try:
            return self._index.read_row_group(group, columns=list(columns), use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"source {self.name}: its index cannot be read: {error}") from error


class Source(Indexed):
    """A registered table and its index, read side by side."""

    def __init__(self, name: str, folder: Path) -> None:
        """Open both. Raises InputError if either is unreadable or the table changed since."""
        super().__init__(name, folder)
        self.table = Table(self.path, self.mapping)
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Raise InputError if the table is no longer the one that was indexed."""
        if self.table.fingerprint() != self.fingerprint or self.table.rows != self.rows:
            raise InputError(
                f"source {self.name}: {self.table.path} changed since it was registered; "
                f"register it again: letterlock source add {self.name} {self.table.path}"
            )

    @property
    def groups(self) -> int:
        """Return the number of row groups."""
        return len(self.table.groups)

    def payload(self, group: int) -> Iterator[pa.Table]:
        """Yield the id and the payload columns of one row group, some rows at a time."""
        return self.table.batches(group, [self.mapping.id, *self.mapping.payload])

    def ids(self, group: int) -> pa.ChunkedArray:
        """Return the ids of one row group."""
        return self.table.read(group, [self.mapping.id]).column(0)

    def find(self, item: str, ids: Sequence[str]) -> Iterator[Item]:
        """Yield each row whose id is `item`, as an item; `ids` names the subjects by number."""
        item = item.encode(errors="replace").decode()  # a command line may hold what is no text
        for group in range(self.groups):
            column = self.table.read(group, [self.mapping.id]).column(0).cast(pa.string())
            for row in np.flatnonzero(
                pc.fill_null(pc.equal(column, item), fill_value=False)
            ).tolist():
                yield _item(item, self.items(group), row, self.kinds, ids)


def _item(item: str, items: Items, row: int, kinds: Sequence[Kind], ids: Sequence[str]) -> Item:
    """Return one row of a batch as an object, for `decide`."""

    def subject(packed: int) -> str | None:
        number = packed & SUBJECT_MASK
        return ids[number] if number < len(ids) else None

    parties = [
        Party(subject(p), Role(p >> ROLE_SHIFT))
        for p in items.parties[items.offsets[row] : items.offsets[row + 1]].tolist()
    ]
    if items.quotes is not None and items.quote_offsets is not None:
        for n in range(items.quote_offsets[row], items.quote_offsets[row + 1]):
            kind = kinds[items.quote_kind[n]]  # type: ignore[index]
            at = int(items.quote_at[n])  # type: ignore[index]
            parties.append(
                Party(
                    subject(int(items.quotes[n])),
                    Role.QUOTED,
                    kind.data_class,
                    None if at == END else at,
                )
            )
    created_at = int(items.created_at[row])
    number = int(items.kind[row])
    data_class, categories, _ = kinds[number] if number < len(kinds) else Kind(None, None)
    return Item(
        item, data_class, None if created_at == END else created_at, tuple(parties), categories
    )
