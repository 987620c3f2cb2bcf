"""The ledger in a PostgreSQL database: through psycopg, and in columns through ADBC.

What the tables hold is in `sql.py`. Recording takes an advisory lock of the database for the
length of its transaction, so one writer at a time appends, from whichever machine.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, Final

import psycopg
import pyarrow as pa
import sqlalchemy as sa
from adbc_driver_manager import Error as AdbcError
from adbc_driver_postgresql import dbapi as adbc
from psycopg.conninfo import conninfo_to_dict

from letterlock.errors import LedgerError, WorkspaceError
from letterlock.ledger import TABLES
from letterlock.store import migrate
from letterlock.store.sql import UNKNOWN, UNKNOWN_INDEX, Name, SqlStore

BATCH: Final = 20_000

_SCHEME: Final = "postgresql://"
_SECRETS: Final = frozenset({"password", "sslpassword"})
# Cursors are read to their end; a machine that is gone loses its locks in two minutes.
_SESSION: Final = (
    "SET synchronous_commit = on",
    "SET cursor_tuple_fraction = 1",
    "SET tcp_keepalives_idle = 60",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 6",
)
# As long as for SQLite.
_WAIT: Final = "SET LOCAL lock_timeout = '30s'"
# Advisory locks are the whole database's, which may hold several ledgers, each in its schema.
_KEY: Final = "hashtextextended(concat('letterlock/{}/', to_regclass('event')::oid), 0)"
_LOCK: Final = f"SELECT pg_advisory_xact_lock({_KEY.format('append')})"
_ALONE: Final = f"SELECT pg_advisory_lock({_KEY.format('record')})"
_RELEASE: Final = f"SELECT pg_advisory_unlock({_KEY.format('record')})"


class PostgresStore(SqlStore):
    """An EventStore in a database; one writer at a time on all machines, any number of readers."""

    remains = (
        "PostgreSQL's files",
        (
            "pages of tables, the write-ahead log, its archive, replicas and base backups may hold "
            "what was erased: run VACUUM FULL event, then CHECKPOINT and pg_switch_wal(), and "
            "delete archived segments and backups of before; docs/ledger-postgresql.md"
        ),
    )
    failures = (sa.exc.StatementError, psycopg.Error, AdbcError)

    def __init__(self, url: str, *, create: bool = False) -> None:
        """Open (or create) the ledger that a libpq URL names.

        Raises WorkspaceError if that cannot be: no ledger is there, or where one is to be made, an
        event is.
        LedgerError if the server cannot be asked, or promises too little.
        """
        check_url(url)
        self._lock = threading.RLock()
        self._holder: tuple[sa.Connection, object] | None = None
        self._busy = False
        self._columns: adbc.Connection | None = None
        engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=lambda: psycopg.connect(url),
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,  # the server may have started anew
            max_overflow=-1,  # each reading that is under way has one
        )
        sa.event.listen(engine, "connect", _configure)
        super().__init__(engine, url, batch=BATCH)
        try:
            with self._failing_closed(), engine.begin() as connection:
                self._prepare(connection, create=create)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self._close_columns()
        super().close()

    def _prepare(self, connection: sa.Connection, *, create: bool) -> None:
        """Bring the schema up to date. Raises UnknownVersion for one that is not known."""
        if connection.exec_driver_sql("SHOW fsync").scalar_one() != "on":
            raise LedgerError(
                f"{self._name} runs with fsync off: what it says is recorded may be lost, a "
                "refusal too. Set fsync = on"
            )
        found = migrate.revision(connection)
        if not create and found is None:
            raise WorkspaceError(f"no ledger in {self._name}: run `letterlock init` first")
        if found == migrate.HEAD and not create and _is_indexed(connection):
            return
        connection.exec_driver_sql(_WAIT)
        connection.exec_driver_sql(_LOCK)
        found = migrate.revision(connection)  # as others left it meanwhile
        if create and found is not None and _is_used(connection):
            raise WorkspaceError(
                f"{self._name} holds a ledger already: open it by the workspace it belongs to, or "
                "name another database"
            )
        if found != migrate.HEAD:
            migrate.upgrade(connection, baseline=False)
        _renew_index(connection)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody on another machine record meanwhile, who asks for the same.

        What this process records in the block goes through the connection that holds the lock: if
        that breaks, nothing is recorded.
        """
        with self._failing_closed(), self._engine.connect() as connection:
            try:
                connection.exec_driver_sql(_ALONE)
                connection.commit()
            except BaseException:  # an interrupt may come when it is held already
                connection.invalidate()
                raise
            self._holder = (connection, connection.connection.dbapi_connection)
            try:
                yield
            finally:
                self._holder = None
                self._release(connection)

    def _release(self, connection: sa.Connection) -> None:
        if connection.invalidated:
            return
        try:
            connection.exec_driver_sql(_RELEASE)
            connection.commit()
        except self.failures:
            connection.invalidate()  # its end releases it too
        except BaseException:
            connection.invalidate()
            raise

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        with self._failing_closed(), self._lock, self._opened() as connection:
            yield connection

    @contextmanager
    def _opened(self) -> Iterator[sa.Connection]:
        """Give a connection, and close it if an interrupt may have left it within a statement."""
        with self._engine.connect() as connection:
            try:
                yield connection
            except Exception:
                raise
            except BaseException:
                connection.invalidate()
                raise

    @contextmanager
    def _recording(self) -> Iterator[sa.Connection]:
        with self._failing_closed(), self._lock, self._writer() as connection:
            if self._busy:  # one transaction would commit the other's half
                raise LedgerError("nothing can be recorded while drafts are being recorded")
            self._busy = True
            try:
                connection.exec_driver_sql(_WAIT)
                connection.exec_driver_sql(_LOCK)
                yield connection
            except BaseException:
                self._forget_names()
                with suppress(*self.failures):
                    connection.rollback()
                raise
            finally:
                self._busy = False
            self._commit(connection)

    def _commit(self, connection: sa.Connection) -> None:
        try:
            connection.commit()
        except BaseException as error:
            self._forget_names()
            if isinstance(error, self.failures):
                raise LedgerError(
                    f"{self._name} did not answer whether it recorded: look before you repeat it"
                ) from error
            raise

    @contextmanager
    def _writer(self) -> Iterator[sa.Connection]:
        """Return the connection to record on: that of `alone`, if it still holds its lock."""
        if self._holder is None:
            with self._opened() as connection:
                yield connection
            return
        connection, held = self._holder
        if connection.invalidated or connection.connection.dbapi_connection is not held:
            raise LedgerError(
                f"the connection to {self._name} broke, so others may have recorded meanwhile: "
                "nothing was recorded, repeat it"
            )
        yield connection

    def _write(
        self, connection: sa.Connection, table: sa.Table, rows: list[tuple[Any, ...]]
    ) -> None:
        columns = ", ".join(table.columns.keys())
        types = [_type_of(column) for column in table.columns]
        names = [n for n, column in enumerate(table.columns) if isinstance(column.type, Name)]
        if names:
            rows = [_encoded(row, names) for row in rows]
        statement = f"COPY {table.name} ({columns}) FROM STDIN (FORMAT binary)"
        with _raw(connection).cursor() as cursor, cursor.copy(statement.encode()) as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)

    def _fetch(self, query: str) -> pa.Table:
        with self._failing_closed(), self._lock:
            try:
                return self._read(query)
            except AdbcError:  # the server may have started anew
                self._close_columns()
                return self._read(query)

    def _read(self, query: str) -> pa.Table:
        if self._columns is None:  # kept: to begin with, ADBC reads every type that there is
            self._columns = adbc.connect(self._name, autocommit=True)
        with closing(self._columns.cursor()) as cursor:
            cursor.execute(query)
            return cursor.fetch_arrow_table()

    def _close_columns(self) -> None:
        if self._columns is not None:
            self._columns.close()
            self._columns = None

    def _overwritten(self) -> bool:
        """Free the space of what was erased. Never gone for sure: see `remains`."""
        with suppress(LedgerError), self._failing_closed(), self._engine.connect() as connection:
            free = connection.execution_options(isolation_level="AUTOCOMMIT")
            free.exec_driver_sql(f"VACUUM event, {', '.join(TABLES)}")
        return False


def check_url(url: str) -> None:
    """Refuse what is no libpq URL of a database, or holds a password. Raises WorkspaceError.

    The text of the error never holds the URL: there may be a password in it.
    """
    try:
        found = conninfo_to_dict(url) if url.startswith(_SCHEME) and url.isprintable() else {}
    except (psycopg.Error, ValueError):
        found = {}
    if not found.get("dbname"):
        raise WorkspaceError(
            "the ledger's address is none: write postgresql://USER@HOST/DATABASE, or leave it out "
            "for a file in the workspace"
        )
    if secrets := ", ".join(sorted(_SECRETS & found.keys())):
        raise WorkspaceError(
            f"the ledger's address holds a {secrets}: put it into ~/.pgpass, where only you can "
            "read it (https://www.postgresql.org/docs/current/libpq-pgpass.html)"
        )


def _configure(connection: psycopg.Connection[Any], _record: object) -> None:
    """Make commits durable before they are acknowledged, and find out who is gone."""
    for setting in _SESSION:
        connection.execute(setting)
    connection.commit()


def _is_used(connection: sa.Connection) -> bool:
    return bool(connection.exec_driver_sql("SELECT EXISTS (SELECT FROM event)").scalar_one())


def _renew_index(connection: sa.Connection) -> None:
    """Make the index of unknown events anew if an older program, which knew less, made it."""
    if _is_indexed(connection):
        return
    told = UNKNOWN.replace("'", "''")
    connection.exec_driver_sql(f"DROP INDEX IF EXISTS {UNKNOWN_INDEX}")
    connection.exec_driver_sql(f"CREATE INDEX {UNKNOWN_INDEX} ON event (idx) WHERE {UNKNOWN}")
    connection.exec_driver_sql(f"COMMENT ON INDEX {UNKNOWN_INDEX} IS '{told}'")


def _is_indexed(connection: sa.Connection) -> bool:
    """Whether the index is ours: PostgreSQL words its condition anew, so a comment keeps it."""
    read = f"SELECT obj_description(to_regclass('{UNKNOWN_INDEX}'), 'pg_class')"
    return bool(connection.exec_driver_sql(read).scalar_one() == UNKNOWN)


def _raw(connection: sa.Connection) -> psycopg.Connection[Any]:
    """Return psycopg's own connection, once its transaction has begun."""
    if not connection.in_transaction():
        connection.begin()
    found: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    return found


def _type_of(column: sa.Column[Any]) -> str:
    if isinstance(column.type, sa.LargeBinary | Name):
        return "bytea"
    return "text" if isinstance(column.type, sa.Text) else "int8"


def _encoded(row: tuple[Any, ...], names: Sequence[int]) -> tuple[Any, ...]:
    return tuple(value.encode() if n in names else value for n, value in enumerate(row))
