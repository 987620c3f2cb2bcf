"""The ledger in one SQLite file (WAL, synchronous=FULL).

What the tables hold is in `sql.py`. Columns are read through ADBC.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa
from adbc_driver_manager import Error as AdbcError

from letterlock.errors import LedgerError, UnknownVersion, WorkspaceError
from letterlock.store import migrate
from letterlock.store.sql import UNKNOWN, UNKNOWN_INDEX, SqlStore

_PATIENCE: Final = "busy_timeout=30000"
"""Milliseconds to wait for a process that has the file to itself: the last one to close it, say."""

SCHEMA: Final = 1
"""PRAGMA user_version: what programs from before there were revisions look at."""
BATCH: Final = 20_000


class SqliteStore(SqlStore):
    """An EventStore in the file `path`; one writer at a time, any number of readers."""

    remains = (
        "write-ahead log",
        (
            "another process was reading the ledger, so ledger.db-wal may hold what was erased: "
            "erase again when it has ended"
        ),
    )
    failures = (sa.exc.DatabaseError, AdbcError)

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Open (or create) the ledger. Raises WorkspaceError if that cannot be."""
        if not create and not path.is_file():
            raise WorkspaceError(f"no ledger at {path}: run `letterlock init` first")
        if create and not path.exists():  # SQLite's own would be for everybody to read, salts too
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self._path = path
        self._access = _access_to(path)
        engine = sa.create_engine(
            f"sqlite:///{path}", isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        sa.event.listen(engine, "connect", _configure)
        sa.event.listen(engine, "handle_error", _still_connected)
        super().__init__(engine, str(path), batch=BATCH)
        with self._connected() as connection:
            self._prepare(connection, create=create)

    def _prepare(self, connection: sa.Connection, *, create: bool) -> None:
        """Bring the schema up to date. Raises UnknownVersion for one that is not known."""
        found = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        if not (1 <= found <= SCHEMA or (create and found == 0)):
            raise UnknownVersion(
                f"{self._path} has ledger schema {found}, this program knows {SCHEMA}"
            )
        if migrate.revision(connection) != migrate.HEAD:
            with self._transaction(connection):
                if migrate.revision(connection) != migrate.HEAD:  # nobody else did meanwhile
                    migrate.upgrade(connection, baseline=found > 0)
                    connection.exec_driver_sql(f"PRAGMA user_version={SCHEMA}")
        _renew_index(connection)

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        with self._failing_closed(), self._access.shared(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _recording(self) -> Iterator[sa.Connection]:
        with self._connected() as connection, self._transaction(connection):
            yield connection

    @contextmanager
    def _transaction(self, connection: sa.Connection) -> Iterator[None]:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            self._forget_names()
            if _is_open(connection):  # what SQLite ended by itself (disk full) is rolled back
                connection.exec_driver_sql("ROLLBACK")
            raise

    def _write(
        self, connection: sa.Connection, table: sa.Table, rows: list[tuple[Any, ...]]
    ) -> None:
        marks = ",".join("?" * len(table.columns))
        connection.exec_driver_sql(f"INSERT INTO {table.name} VALUES ({marks})", rows)  # noqa: S608

    def _fetch(self, query: str) -> pa.Table:
        # Only here: it brings pandas along where that is installed, and each command would pay.
        from adbc_driver_sqlite import dbapi as adbc  # noqa: PLC0415

        with (
            self._failing_closed(),
            self._access.alone(),
            closing(adbc.connect(str(self._path))) as connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute(f"PRAGMA {_PATIENCE}")  # this library waits for nobody by itself
            cursor.fetchall()
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "65536"})
            cursor.execute(query)
            return cursor.fetch_arrow_table()

    def _overwritten(self) -> bool:
        """Empty the write-ahead log: a process that is reading the ledger may keep that from it."""
        with self._connected() as connection:
            (busy, *_) = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not busy


def _is_open(connection: sa.Connection) -> bool:
    return bool(connection.connection.dbapi_connection.in_transaction)  # type: ignore[union-attr]


def _still_connected(error: sa.ExceptionContext) -> None:
    """Keep the connection after an interrupt, to roll its transaction back.

    SQLAlchemy would close it. But SQLite ends a closed connection only with its last statement, and
    the traceback of the interrupt holds one: the ledger would stay locked for as long.
    """
    error.is_disconnect = False


def _renew_index(connection: sa.Connection) -> None:
    """Make the index of unknown events anew if an older program, which knew less, made it."""
    if _is_indexed(connection):
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    if not _is_indexed(connection):  # nobody else did meanwhile
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {UNKNOWN_INDEX}")
        connection.exec_driver_sql(f"CREATE INDEX {UNKNOWN_INDEX} ON event (idx) WHERE {UNKNOWN}")
    connection.exec_driver_sql("COMMIT")


def _is_indexed(connection: sa.Connection) -> bool:
    read = sa.text(f"SELECT sql FROM sqlite_master WHERE name = '{UNKNOWN_INDEX}'")  # noqa: S608
    made = connection.execute(read).scalar_one_or_none()
    return made is not None and made.endswith(f"WHERE {UNKNOWN}")


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


def _configure(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own type
    """Make commits durable before they are acknowledged, and overwrite what is deleted."""
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        _PATIENCE,
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
