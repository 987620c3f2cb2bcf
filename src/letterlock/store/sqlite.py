"""The ledger in one SQLite file (WAL, synchronous=FULL), through SQLAlchemy Core.

Events stand in `event`; what each says of a person stands beside it in narrow integer tables, one
per kind of fact, written in the same transaction. The plan reads those in columns (ADBC).
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa
from adbc_driver_manager import Error as AdbcError
from adbc_driver_sqlite import dbapi as adbc

from letterlock.domain import BEGINNING, Time, text_of
from letterlock.errors import HeadMoved, InputError, LedgerError, UnknownVersion, WorkspaceError
from letterlock.ledger import (
    KINDS,
    PERSONAL,
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

SCHEMA: Final = 1
BATCH: Final = 20_000

_meta = sa.MetaData()
_event = sa.Table(
    "event",
    _meta,
    sa.Column("idx", sa.Integer, primary_key=True),
    sa.Column("time", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("v", sa.Integer, nullable=False),
    sa.Column("subject", sa.Integer, index=True),
    sa.Column("canonical", sa.LargeBinary),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("commitment", sa.LargeBinary, nullable=False),
)
# The columns say nothing of an event's version; this index is empty unless one is not known.
_UNKNOWN: Final = f"v <> {VERSION} OR kind NOT IN ({', '.join(map(repr, sorted(KINDS)))})"
_unknown_index = sa.Index("event_unknown", _event.c.idx, sqlite_where=sa.text(_UNKNOWN))
_symbol = sa.Table(
    "symbol",
    _meta,
    sa.Column("num", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False, unique=True),
)
_subject = sa.Table(
    "subject",
    _meta,
    sa.Column("num", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False, unique=True),
)
_decision = {
    name: sa.Table(
        name,
        _meta,
        *(sa.Column(c, sa.Integer, nullable=False) for c in ("idx", "time", "subject", *columns)),
    )
    for name, columns in TABLES.items()
}


class SqliteStore:
    """An EventStore in the file `path`; one writer at a time, any number of readers."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open (or create) the ledger. Raises WorkspaceError if that cannot be."""
        if not create and not path.is_file():
            raise WorkspaceError(f"no ledger at {path}: run `letterlock init` first")
        if create and not path.exists():  # SQLite's own would be for everybody to read, salts too
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self._path = path
        self._access = _access_to(path)
        self._engine = sa.create_engine(
            f"sqlite:///{path}", isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        sa.event.listen(self._engine, "connect", _configure)
        self._subjects = _Names(_subject)
        self._symbols = _Names(_symbol)
        with self._connected() as connection:
            if create:
                _meta.create_all(connection)
                connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA}")
            found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if found == SCHEMA:
                _renew_index(connection)
        if found != SCHEMA:
            raise UnknownVersion(f"{path} has ledger schema {found}, this program knows {SCHEMA}")

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def head(self) -> Head:
        """Return the last recorded event's place."""
        with self._connected() as connection:
            return _head(connection)

    def append(self, drafts: Iterable[Draft], *, now: Time, expect: int | None = None) -> Head:
        """Record `drafts` in one transaction, all or none; a generator is taken in batches.

        Raises HeadMoved if `expect` is not the head's index; LedgerError if `now` lies before the
        head; InputError if a draft is malformed or its rule refuses it.
        """
        with self._connected() as connection, self._transaction(connection):
            head = _head(connection)
            if expect is not None and head.index != expect:
                raise HeadMoved(f"the ledger moved from event {expect} to {head.index}")
            time = _recorded_time(connection, head, now)
            index, iterator = head.index, iter(drafts)
            while batch := list(islice(iterator, BATCH)):
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
        events: list[dict[str, Any]] = []
        said: dict[str, list[tuple[Any, ...]]] = {}
        for n, (event, content) in enumerate(read):
            number = None if event.subject is None else next(numbers)
            if number is None:
                fold_rules(self._common(connection, event.index - 1), time, admit=event)
            for table, values in rows_of(event):
                said.setdefault(table, []).append((event.index, time, number, *values))
            salt = salts[SALT_SIZE * n : SALT_SIZE * (n + 1)]
            events.append(
                {
                    "idx": event.index,
                    "time": time,
                    "kind": event.kind,
                    "v": VERSION,
                    "subject": number,
                    "canonical": content,
                    "salt": salt,
                    "commitment": commitment(salt, content),
                }
            )
            if number is None:  # later drafts of this batch must see it
                connection.execute(_event.insert(), events)
                events.clear()
        if events:
            connection.execute(_event.insert(), events)
        for table, rows in said.items():
            self._insert_rows(connection, table, rows)

    def _insert_rows(
        self, connection: sa.Connection, table: str, rows: list[tuple[Any, ...]]
    ) -> None:
        texts = sorted({value for row in rows for value in row if isinstance(value, str)})
        found = dict(zip(texts, self._symbols.numbers(connection, texts), strict=True))
        plain = [tuple(found[v] if isinstance(v, str) else v for v in row) for row in rows]
        columns = _decision[table].columns.keys()
        marks = ",".join("?" * len(columns))
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", plain)  # noqa: S608

    def erase(self, *indexes: int, now: Time) -> bool:
        """Destroy the content and salt of personal events, all or none; commitments stay.

        Returns whether what was overwritten is gone from the write-ahead log as well: a process
        that is reading the ledger meanwhile may keep it there.
        Raises LedgerError if there is no such event or it is about everyone.
        """
        with self._connected() as connection:
            with self._transaction(connection):
                for index in indexes:
                    self._erase(connection, index, now)
            (busy, *_) = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not busy

    def _erase(self, connection: sa.Connection, index: int, now: Time) -> None:
        row = connection.execute(
            sa.select(_event.c.kind, _event.c.subject).where(_event.c.idx == index)
        ).one_or_none()
        if row is None or row.subject is None:
            raise LedgerError(f"event {index} is not about a person: nothing was erased")
        head = _head(connection)
        time = _recorded_time(connection, head, now)
        for table in _decision.values():
            connection.execute(table.delete().where(table.c.idx == index))
        connection.execute(
            _event.update().where(_event.c.idx == index).values(canonical=None, salt=None)
        )
        gone = {"idx": index, "time": BEGINNING, "subject": row.subject}
        connection.execute(_decision["erased"].insert(), gone)
        self._insert(connection, [Draft("event.erased", {"index": index})], head.index + 1, time)

    def events(self, *, upto: int, subjects: Sequence[str] = ()) -> Iterator[Event]:
        """Yield the events about everyone, and those about `subjects`, up to index `upto`."""
        with self._connected() as connection:
            asked = sa.select(_subject.c.num).where(_subject.c.text.in_(list(subjects)))
            about = sa.or_(_event.c.subject.is_(None), _event.c.subject.in_(asked))
            yield from _events(connection, sa.and_(about, _event.c.idx <= upto))

    def every_event(self, *, upto: int) -> Iterator[Event]:
        """Yield every event up to index `upto`, in recorded order."""
        with self._connected() as connection:
            yield from _events(connection, _event.c.idx <= upto)

    def openings(
        self, *, upto: int, only: Sequence[int] | None = None
    ) -> Iterator[tuple[Event, bytes, bytes]]:
        """Yield each event (of `only` these) that was not erased, with its salt and commitment."""
        with self._connected() as connection:
            where = sa.and_(_event.c.idx <= upto, _event.c.salt.is_not(None))
            if only is not None:
                where = sa.and_(where, _event.c.idx.in_(list(only)))
            query = sa.select(_event.c.idx, _event.c.salt, _event.c.commitment).where(where)
            seals = {row.idx: (row.salt, row.commitment) for row in connection.execute(query)}
            for event in _events(connection, where):
                yield event, *seals[event.index]

    def entries(self, first: int, *, upto: int) -> Iterator[tuple[int, bytes | None, bytes]]:
        """Yield (index, canonical bytes, commitment) of the events from `first` up to `upto`.

        The bytes of an event about a person are left out: they are nobody else's to see.
        """
        columns = (
            _event.c.idx,
            sa.case((_event.c.subject.is_(None), _event.c.canonical)),
            _event.c.commitment,
        )
        for start in range(first, upto + 1, BATCH):
            here = _event.c.idx.between(start, min(start + BATCH - 1, upto))
            with self._connected() as connection:
                rows = connection.execute(sa.select(*columns).where(here).order_by(_event.c.idx))
                found = [_entry(*row) for row in rows]
            yield from found

    def _common(self, connection: sa.Connection, upto: int) -> Iterator[Event]:
        return _events(connection, sa.and_(_event.c.subject.is_(None), _event.c.idx <= upto))

    def columns(
        self, table: str, names: Sequence[str], *, as_of: Time, upto: int, where: str = ""
    ) -> pa.Table:
        """Return decision columns of `table` recorded by `as_of`, in recorded order; all int64.

        `where` is SQL over the columns of TABLES. Raises UnknownVersion if an event is not known.
        """
        condition = f"time <= {as_of} AND idx <= {upto}" + (f" AND {where}" if where else "")
        query = f"SELECT {', '.join(names)} FROM {table} WHERE {condition} ORDER BY rowid"  # noqa: S608
        self._check_known(upto)
        with (
            self._failing_closed(),
            self._access.alone(),
            closing(adbc.connect(str(self._path))) as connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "65536"})
            cursor.execute(query)
            found = cursor.fetch_arrow_table()
        return found.cast(pa.schema([(name, pa.int64()) for name in names]))

    def _check_known(self, upto: int) -> None:
        """Raise UnknownVersion if the columns stand for an event that is not known."""
        with self._connected() as connection:
            strange = sa.and_(sa.text(f"({_UNKNOWN})"), _event.c.idx <= upto)
            for event in _events(connection, strange):
                check_version(event)

    def symbols(self) -> Mapping[str, int]:
        """Return the number of every interned symbol."""
        with self._connected() as connection:
            return dict(self._symbols.all(connection))

    def numbers(self, subjects: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the dense number of each subject id, interning what is new."""
        with self._connected() as connection, self._transaction(connection):
            found = self._subjects.numbers(connection, subjects)
        return np.array(found, dtype=np.int64)

    def subject_ids(self) -> list[str]:
        """Return every interned subject id; its position is its number."""
        with self._connected() as connection:
            return list(self._subjects.all(connection))

    @contextmanager
    def _transaction(self, connection: sa.Connection) -> Iterator[None]:
        """Do all of the block or nothing, an interrupt between any two steps included."""
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            # What was interned meanwhile is rolled back with the rest: forget it too.
            self._subjects, self._symbols = _Names(_subject), _Names(_symbol)
            if connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
                connection.exec_driver_sql("ROLLBACK")
            raise

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        with self._failing_closed(), self._access.shared(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _failing_closed(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.DatabaseError, AdbcError) as error:
            reason = getattr(error, "orig", None) or error
            raise LedgerError(f"the ledger {self._path} cannot be used: {reason}") from error


def _renew_index(connection: sa.Connection) -> None:
    """Make the index of unknown events anew if an older program, which knew less, made it."""
    if _is_indexed(connection):
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    if not _is_indexed(connection):  # nobody else did meanwhile
        connection.exec_driver_sql("DROP INDEX IF EXISTS event_unknown")
        connection.execute(sa.schema.CreateIndex(_unknown_index))
    connection.exec_driver_sql("COMMIT")


def _is_indexed(connection: sa.Connection) -> bool:
    read = sa.text("SELECT sql FROM sqlite_master WHERE name = 'event_unknown'")
    made = connection.execute(read).scalar_one_or_none()
    return made is not None and made.endswith(f"WHERE {_UNKNOWN}")


class _Access:
    """Keeps the two SQLite libraries of this process apart on one file.

    ADBC brings a library of its own. POSIX locks belong to the process, so a file that one library
    closes loses the locks of the other (https://www.sqlite.org/howtocorrupt.html §2.2): the two
    must never have it open at once.
    """

    def __init__(self) -> None:
        self._lock, self._open = threading.RLock(), 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the file for the standard library's connections, one thread at a time."""
        with self._lock:
            self._open += 1
            try:
                yield
            finally:
                self._open -= 1

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the file for ADBC. Raises LedgerError if a connection of this thread is open."""
        with self._lock:
            if self._open:
                raise LedgerError("columns cannot be read while events are being read or recorded")
            yield


_accesses: Final[dict[Path, _Access]] = {}


def _access_to(path: Path) -> _Access:
    return _accesses.setdefault(path.resolve(), _Access())


class _Names:
    """A table of interned texts, numbered densely from 0; kept in memory once read."""

    def __init__(self, table: sa.Table) -> None:
        self._table = table
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
                sql = f"INSERT INTO {self._table.name} VALUES (?, ?)"  # noqa: S608
                connection.exec_driver_sql(sql, rows)
                known.update((text, number) for number, text in rows)
        return [known[text] for text in texts]

    def _read(self, connection: sa.Connection) -> None:
        """Take in what other processes added since."""
        query = sa.select(self._table.c.text).where(self._table.c.num >= len(self._numbers))
        for (text,) in connection.execute(query.order_by(self._table.c.num)):
            self._numbers[text] = len(self._numbers)


def _configure(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own type
    """Make commits durable before they are acknowledged, and overwrite what is deleted."""
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "busy_timeout=30000",
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


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


def _head(connection: sa.Connection) -> Head:
    query = sa.select(_event.c.idx, _event.c.time).order_by(_event.c.idx.desc()).limit(1)
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
    opened = connection.execute(
        sa.select(_event.c.idx).where(_event.c.idx == head.index, _event.c.kind == "release.opened")
    ).one_or_none()
    return max(now, head.time + 1) if opened else now


def _events(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Iterator[Event]:
    """Yield events in recorded order, each checked against its own canonical bytes."""
    query = (
        sa.select(
            _event.c.idx, _event.c.time, _event.c.kind, _event.c.v,
            _event.c.canonical, _subject.c.text,
        )
        .select_from(_event.outerjoin(_subject, _event.c.subject == _subject.c.num))
        .where(where)
        .order_by(_event.c.idx)
        .execution_options(yield_per=BATCH)
    )  # fmt: skip
    for idx, time, kind, v, content, subject in connection.execute(query):
        if content is None:
            yield Event(idx, time, kind, None, subject, v)
            continue
        event = Event(idx, time, kind, _body(content, idx), subject, v)
        check_version(event)
        about = (event.body or {}).get("subject") if kind in PERSONAL else None
        if event.canonical() != content or about != subject:
            raise LedgerError(f"event {idx} was altered: its columns and its bytes disagree")
        yield event


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
