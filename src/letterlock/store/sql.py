"""The ledger in a relational database, through SQLAlchemy Core: what all databases share.

Events stand in `event`; what each says of a person stands beside it in narrow integer tables, one
per kind of fact, written in the same transaction. The plan reads those in columns. How a database
is reached, locked and made durable stands in `sqlite.py` and `postgres.py`.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from letterlock.domain import BEGINNING, Time, text_of
from letterlock.errors import HeadMoved, InputError, LedgerError
from letterlock.ledger import (
    KINDS,
    PERSONAL,
    RULES,
    SALT_SIZE,
    TABLES,
    VERSION,
    Draft,
    Event,
    Head,
    check_version,
    commitment,
    fold_rules,
    rows_of,
)


class Name(sa.TypeDecorator[str]):
    """A text that others chose, kept as its UTF-8 bytes where a database's texts cannot hold all.

    PostgreSQL's texts have no U+0000 and are compared by a collation.
    """

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the database's own type."""
        kind = sa.LargeBinary if dialect.name == "postgresql" else sa.Text
        return dialect.type_descriptor(kind())

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> Any:  # noqa: ANN401 - either type
        """Write a name."""
        return value.encode() if value is not None and dialect.name == "postgresql" else value

    def process_result_value(self, value: Any, _dialect: sa.Dialect) -> str | None:  # noqa: ANN401 - either type
        """Read a name."""
        try:
            return bytes(value).decode() if isinstance(value, bytes | memoryview) else value
        except UnicodeDecodeError as error:
            raise LedgerError("a name in the ledger was altered: its bytes are no text") from error


Whole: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""A 64-bit integer."""

_meta = sa.MetaData()
event_table: Final = sa.Table(
    "event",
    _meta,
    sa.Column("idx", Whole, primary_key=True, autoincrement=False),
    sa.Column("time", Whole, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("v", Whole, nullable=False),
    sa.Column("subject", Whole, index=True),
    sa.Column("canonical", sa.LargeBinary),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("commitment", sa.LargeBinary, nullable=False),
)
# The columns say nothing of an event's version; this index is empty unless one is not known.
UNKNOWN: Final = f"v <> {VERSION} OR kind NOT IN ({', '.join(map(repr, sorted(KINDS)))})"
UNKNOWN_INDEX: Final = "event_unknown"
# Erasures and other records may be many, and nothing is folded from them.
_RULES: Final = sa.and_(
    event_table.c.subject.is_(None),
    sa.or_(event_table.c.kind.in_(sorted(RULES)), sa.text(f"({UNKNOWN})")),
)
symbol_table: Final = sa.Table(
    "symbol",
    _meta,
    sa.Column("num", Whole, primary_key=True, autoincrement=False),
    sa.Column("text", Name, nullable=False, unique=True),
)
subject_table: Final = sa.Table(
    "subject",
    _meta,
    sa.Column("num", Whole, primary_key=True, autoincrement=False),
    sa.Column("text", Name, nullable=False, unique=True),
)
decision_tables: Final = {
    name: sa.Table(
        name,
        _meta,
        *(sa.Column(c, Whole, nullable=False) for c in ("idx", "time")),
        sa.Column("subject", Whole, nullable=False, index=True),
        *(sa.Column(c, Whole, nullable=False) for c in columns),
    )
    for name, columns in TABLES.items()
}


class SqlStore(ABC):
    """An EventStore in a relational database; one writer at a time, any number of readers."""

    remains: ClassVar[tuple[str, str]]
    """Where what was erased may still be if `erase` says no: a word, and what is to be done."""
    failures: ClassVar[tuple[type[Exception], ...]]
    """What the database's drivers raise."""

    def __init__(self, engine: sa.Engine, name: str, *, batch: int) -> None:
        """Keep events through `engine`, `batch` at a time; `name` says in errors which ledger."""
        self._engine, self._name, self._batch = engine, name, batch
        self._forget_names()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    # ── what differs between databases ──────────────────────────────────────────────────────

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody on another machine record meanwhile."""
        yield

    @abstractmethod
    def _connected(self) -> AbstractContextManager[sa.Connection]:
        """Return a connection to read on."""

    @abstractmethod
    def _recording(self) -> AbstractContextManager[sa.Connection]:
        """Do all of the block or nothing, an interrupt included; nobody else records meanwhile."""

    @abstractmethod
    def _write(
        self, connection: sa.Connection, table: sa.Table, rows: list[tuple[Any, ...]]
    ) -> None:
        """Insert rows, each with every column of `table`, in this order."""

    @abstractmethod
    def _fetch(self, query: str) -> pa.Table:
        """Read a query's columns of integers."""

    @abstractmethod
    def _overwritten(self) -> bool:
        """Let what was erased be overwritten; returns whether it is gone from every file."""

    # ── what does not ───────────────────────────────────────────────────────────────────────

    def head(self) -> Head:
        """Return the last recorded event's place."""
        with self._connected() as connection:
            return _head(connection)

    def append(self, drafts: Iterable[Draft], *, now: Time, expect: int | None = None) -> Head:
        """Record `drafts` in one transaction, all or none; a generator is taken in batches.

        Raises HeadMoved if `expect` is not the head's index; LedgerError if `now` lies before the
        head; InputError if a draft is malformed or its rule refuses it.
        """
        with self._recording() as connection:
            head = _head(connection)
            if expect is not None and head.index != expect:
                raise HeadMoved(f"the ledger moved from event {expect} to {head.index}")
            time = _recorded_time(connection, head, now)
            index, iterator = head.index, iter(drafts)
            while batch := list(islice(iterator, self._batch)):
                self._insert(connection, batch, index + 1, time)
                index += len(batch)
        return Head(index, time if index > head.index else head.time)

    def _insert(
        self, connection: sa.Connection, drafts: list[Draft], first: int, time: Time
    ) -> None:
        read = [_read(draft, first + n, time) for n, draft in enumerate(drafts)]
        subjects = [event.subject for event, _ in read if event.subject is not None]
        numbers = iter(self._subjects.numbers(connection, subjects))
        salts = os.urandom(SALT_SIZE * len(drafts))
        events: list[tuple[Any, ...]] = []
        said: dict[str, list[tuple[Any, ...]]] = {}
        for n, (event, content) in enumerate(read):
            number = None if event.subject is None else next(numbers)
            if number is None:
                fold_rules(self._rules(connection, event.index - 1), time, admit=event)
            for table, values in rows_of(event):
                said.setdefault(table, []).append((event.index, time, number, *values))
            salt = salts[SALT_SIZE * n : SALT_SIZE * (n + 1)]
            sealed = commitment(salt, content)
            events.append((event.index, time, event.kind, VERSION, number, content, salt, sealed))
            if number is None:  # later drafts of this batch must see it
                self._write(connection, event_table, events)
                events = []
        if events:
            self._write(connection, event_table, events)
        for table, rows in said.items():
            self._insert_rows(connection, table, rows)

    def _insert_rows(
        self, connection: sa.Connection, table: str, rows: list[tuple[Any, ...]]
    ) -> None:
        texts = sorted({value for row in rows for value in row if isinstance(value, str)})
        found = dict(zip(texts, self._symbols.numbers(connection, texts), strict=True))
        plain = [tuple(found[v] if isinstance(v, str) else v for v in row) for row in rows]
        self._write(connection, decision_tables[table], plain)

    def erase(self, *indexes: int, now: Time) -> bool:
        """Destroy the content and salt of personal events, all or none; commitments stay.

        Returns whether what was overwritten is gone from the database's own files as well; where
        it may be otherwise, and what is to be done, `remains` says.
        Raises LedgerError if there is no such event or it is about everyone.
        """
        with self._recording() as connection:
            for index in indexes:
                self._erase(connection, index, now)
        return self._overwritten()

    def _erase(self, connection: sa.Connection, index: int, now: Time) -> None:
        row = connection.execute(
            sa.select(event_table.c.kind, event_table.c.subject).where(event_table.c.idx == index)
        ).one_or_none()
        if row is None or row.subject is None:
            raise LedgerError(f"event {index} is not about a person: nothing was erased")
        head = _head(connection)
        time = _recorded_time(connection, head, now)
        for table in decision_tables.values():
            theirs = sa.and_(table.c.subject == row.subject, table.c.idx == index)
            connection.execute(table.delete().where(theirs))
        connection.execute(
            event_table.update().where(event_table.c.idx == index).values(canonical=None, salt=None)
        )
        gone = (index, BEGINNING, row.subject)
        self._write(connection, decision_tables["erased"], [gone])
        self._insert(connection, [Draft("event.erased", {"index": index})], head.index + 1, time)

    def events(
        self, *, upto: int, subjects: Sequence[str] = (), rules: bool = False
    ) -> Iterator[Event]:
        """Yield the events about everyone, and those about `subjects`, up to index `upto`.

        `rules`: of those about everyone, only what a rulebook is folded from (and what is not
        known: reading that refuses).
        """
        "".join(subjects).encode()  # what no database can hold is nobody's name: UnicodeEncodeError
        with self._connected() as connection:
            everyone = _RULES if rules else event_table.c.subject.is_(None)
            about = sa.or_(everyone, event_table.c.subject.in_(_asked(connection, subjects)))
            yield from self._events(connection, sa.and_(about, event_table.c.idx <= upto))

    def every_event(self, *, upto: int, after: int = -1) -> Iterator[Event]:
        """Yield every event from behind index `after` up to index `upto`, in recorded order."""
        with self._connected() as connection:
            yield from self._events(connection, event_table.c.idx.between(after + 1, upto))

    def openings(
        self, *, upto: int, only: Sequence[int] | None = None
    ) -> Iterator[tuple[Event, bytes, bytes]]:
        """Yield each event (of `only` these) that was not erased, with its salt and commitment."""
        with self._connected() as connection:
            where = sa.and_(event_table.c.idx <= upto, event_table.c.salt.is_not(None))
            if only is not None:
                where = sa.and_(where, event_table.c.idx.in_(list(only)))
            columns = (event_table.c.idx, event_table.c.salt, event_table.c.commitment)
            query = sa.select(*columns).where(where)
            seals = {row.idx: (row.salt, row.commitment) for row in connection.execute(query)}
            for event in self._events(connection, where):
                yield event, *seals[event.index]

    def entries(self, first: int, *, upto: int) -> Iterator[tuple[int, bytes | None, bytes]]:
        """Yield (index, canonical bytes, commitment) of the events from `first` up to `upto`.

        The bytes of an event about a person are left out: they are nobody else's to see.
        """
        columns = (
            event_table.c.idx,
            sa.case((event_table.c.subject.is_(None), event_table.c.canonical)),
            event_table.c.commitment,
        )
        for start in range(first, upto + 1, self._batch):
            here = event_table.c.idx.between(start, min(start + self._batch - 1, upto))
            query = sa.select(*columns).where(here).order_by(event_table.c.idx)
            with self._connected() as connection:
                found = [_entry(*row) for row in connection.execute(query)]
            yield from found

    def _rules(self, connection: sa.Connection, upto: int) -> Iterator[Event]:
        return self._events(connection, sa.and_(_RULES, event_table.c.idx <= upto))

    def _events(self, connection: sa.Connection, where: sa.ColumnElement[bool]) -> Iterator[Event]:
        """Yield events in recorded order, each checked against its own canonical bytes."""
        query = (
            sa.select(
                event_table.c.idx, event_table.c.time, event_table.c.kind, event_table.c.v,
                event_table.c.canonical, subject_table.c.text,
            )
            .select_from(
                event_table.outerjoin(subject_table, event_table.c.subject == subject_table.c.num)
            )
            .where(where)
            .order_by(event_table.c.idx)
            .execution_options(yield_per=self._batch)
        )  # fmt: skip
        with connection.execute(query) as rows:
            yield from map(_event, rows)

    def columns(
        self, table: str, names: Sequence[str], *, as_of: Time, upto: int, where: str = ""
    ) -> pa.Table:
        """Return decision columns of `table` recorded by `as_of`, in recorded order; all int64.

        `where` is SQL over the columns of TABLES. Raises UnknownVersion if an event is not known.
        """
        condition = f"time <= {as_of} AND idx <= {upto}" + (f" AND {where}" if where else "")
        query = f"SELECT {', '.join(names)} FROM {table} WHERE {condition} ORDER BY rowid"  # noqa: S608
        self._check_known(upto)
        found = self._fetch(query)
        return found.cast(pa.schema([(name, pa.int64()) for name in names]))

    def _check_known(self, upto: int) -> None:
        """Raise UnknownVersion if the columns stand for an event that is not known."""
        with self._connected() as connection:
            strange = sa.and_(sa.text(f"({UNKNOWN})"), event_table.c.idx <= upto)
            for event in self._events(connection, strange):
                check_version(event)

    def symbols(self) -> Mapping[str, int]:
        """Return the number of every interned symbol."""
        with self._connected() as connection:
            return dict(self._symbols.all(connection))

    def numbers(self, subjects: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the dense number of each subject id, interning what is new."""
        with self._recording() as connection:
            found = self._subjects.numbers(connection, subjects)
        return np.array(found, dtype=np.int64)

    def known(self, subjects: Iterable[str]) -> dict[str, int]:
        """Return the number of each of these subject ids that has one."""
        with self._connected() as connection:
            names = self._subjects.all(connection)
            return {name: names[name] for name in subjects if name in names}

    def subject_ids(self) -> list[str]:
        """Return every interned subject id; its position is its number."""
        with self._connected() as connection:
            return list(self._subjects.all(connection))

    def _forget_names(self) -> None:
        """Read interned names anew: what was interned is rolled back with the rest."""
        self._subjects = _Names(subject_table, self._write)
        self._symbols = _Names(symbol_table, self._write)

    @contextmanager
    def _failing_closed(self) -> Iterator[None]:
        try:
            yield
        except self.failures as error:
            reason = getattr(error, "orig", None) or error
            if isinstance(reason, UnicodeError):  # a name that nothing can be stored under
                raise reason from None
            reason = getattr(getattr(reason, "diag", None), "message_primary", None) or reason
            raise LedgerError(f"the ledger {self._name} cannot be used: {reason}") from error


class _Names:
    """A table of interned texts, numbered densely from 0; kept in memory once read."""

    def __init__(
        self,
        table: sa.Table,
        write: Callable[[sa.Connection, sa.Table, list[tuple[Any, ...]]], None],
    ) -> None:
        self._table, self._write = table, write
        self._numbers: dict[str, int] = {}

    def all(self, connection: sa.Connection) -> dict[str, int]:
        """Return every name's number, in order of numbers."""
        self._read(connection)
        return self._numbers

    def numbers(self, connection: sa.Connection, texts: Sequence[str]) -> list[int]:
        """Return the number of each text, adding what is new."""
        known = self._numbers
        if any(text not in known for text in texts):
            self._read(connection)
            new = list(dict.fromkeys(text for text in texts if text not in known))
            first = len(known)
            if new:
                rows = [(first + n, text) for n, text in enumerate(new)]
                self._write(connection, self._table, rows)
                known.update((text, number) for number, text in rows)
        return [known[text] for text in texts]

    def _read(self, connection: sa.Connection) -> None:
        """Take in what other processes added since."""
        query = sa.select(self._table.c.text).where(self._table.c.num >= len(self._numbers))
        for (text,) in connection.execute(query.order_by(self._table.c.num)):
            self._numbers[text] = len(self._numbers)


def _read(draft: Draft, index: int, time: Time) -> tuple[Event, bytes]:
    """Return the event that a draft becomes, and its bytes. Raises InputError, UnknownVersion."""
    if not isinstance(draft.body, Mapping):
        raise InputError(f"{draft.kind}: the body is not an object")
    subject = draft.body.get("subject") if draft.kind in PERSONAL else None
    if draft.kind in PERSONAL and not isinstance(subject, str):
        raise InputError(f"{draft.kind}: its subject must be a text")
    event = Event(index, time, draft.kind, draft.body, subject)
    check_version(event)
    return event, event.canonical()


def _asked(connection: sa.Connection, subjects: Sequence[str]) -> list[int]:
    """Return the numbers of those who have one; asked apart, so that an index serves both."""
    if not subjects:
        return []
    named = subject_table.c.text.in_(list(subjects))
    return list(connection.execute(sa.select(subject_table.c.num).where(named)).scalars())


def _head(connection: sa.Connection) -> Head:
    columns = event_table.c.idx, event_table.c.time
    query = sa.select(*columns).order_by(event_table.c.idx.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return Head(-1, BEGINNING) if row is None else Head(row.idx, row.time)


def _recorded_time(connection: sa.Connection, head: Head, now: Time) -> Time:
    """Return the time to record at: never before the head, and after any T a release was asked at.

    Nothing recorded later may change an answer for T (docs/spec/decision.md §1).
    """
    if now < head.time:
        raise LedgerError(
            f"the clock says {text_of(now)}, before the last event ({text_of(head.time)}): "
            "set the clock right; the ledger never goes back"
        )
    last = sa.and_(event_table.c.idx == head.index, event_table.c.kind == "release.opened")
    opened = connection.execute(sa.select(event_table.c.idx).where(last)).one_or_none()
    return max(now, head.time + 1) if opened else now


def _event(row: sa.Row[Any, Any, Any, Any, Any, Any]) -> Event:
    """Read an event, checked against its own canonical bytes. Raises LedgerError."""
    idx, time, kind, v, content, subject = row
    if content is None:
        return Event(idx, time, kind, None, subject, v)
    event = Event(idx, time, kind, _body(content, idx), subject, v)
    check_version(event)
    about = (event.body or {}).get("subject") if kind in PERSONAL else None
    if event.canonical() != content or about != subject:
        raise LedgerError(f"event {idx} was altered: its columns and its bytes disagree")
    return event


def _entry(idx: int, content: object, commitment: object) -> tuple[int, bytes | None, bytes]:
    if not isinstance(content, bytes | None) or not isinstance(commitment, bytes):
        raise LedgerError(f"event {idx} was altered: its bytes are none")
    return idx, content, commitment


def _body(content: object, index: int) -> Mapping[str, Any]:
    try:
        body = json.loads(content)["body"] if isinstance(content, bytes) else None
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"event {index} was altered: its bytes are not an event") from error
    if not isinstance(body, Mapping):
        raise LedgerError(f"event {index} was altered: its body is no object")
    return body
