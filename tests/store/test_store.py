"""The conformance suite on SQLite and on PostgreSQL; what one records, replayed into the other."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cached_property
from itertools import count, groupby
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
import pytest

from letterlock.domain import END
from letterlock.ledger import Draft, commitment, fold
from letterlock.store import postgres, sqlite
from letterlock.store.postgres import PostgresStore
from letterlock.store.sql import SqlStore
from letterlock.store.sqlite import SqliteStore
from postgres import Server
from store.check_store import Place, StoreChecks, columns_of, everything, record
from worlds import Maker


class SqlitePlace(Place):
    """A file."""

    def __init__(self, path: Path) -> None:
        """Say which."""
        self.path, self.name = path, str(path)

    def create(self, *, batch: int | None = None) -> SqlStore:
        """Make the ledger."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sqlite, "BATCH", batch or sqlite.BATCH)
            return SqliteStore(self.path, create=True)

    def open(self) -> SqlStore:
        """Open the ledger."""
        return SqliteStore(self.path)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run SQL."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            return connection.execute(sql, values).fetchall()

    def check_sound(self) -> None:
        """Let SQLite check its file."""
        assert self.query("PRAGMA integrity_check") == [("ok",)]


class PostgresPlace(Place):
    """A database."""

    def __init__(self, url: str) -> None:
        """Say which."""
        self.name = url

    @cached_property
    def _behind(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.name, autocommit=True)

    def close(self) -> None:
        """Close the connection that queries use."""
        self._behind.close()

    def create(self, *, batch: int | None = None) -> SqlStore:
        """Make the ledger."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(postgres, "BATCH", batch or postgres.BATCH)
            return PostgresStore(self.name, create=True)

    def open(self) -> SqlStore:
        """Open the ledger."""
        return PostgresStore(self.name)

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run SQL."""
        done = self._behind.execute(sql.replace("?", "%s").encode(), values or None)
        return done.fetchall() if done.description else []

    def check_sound(self) -> None:
        """Let PostgreSQL read every page and index of the ledger."""
        self.query("CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA public")
        found = self.query(
            "SELECT public.bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am a "
            "ON a.oid = relam WHERE relkind = 'i' AND amname = 'btree' "
            "AND relnamespace = current_schema()::regnamespace"
        )
        assert len(found) > 8


class TestSqlite(StoreChecks):
    """SQLite."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        """Return where a ledger is to be."""
        return SqlitePlace(tmp_path / "ledger.sqlite")


class TestPostgres(StoreChecks):
    """PostgreSQL."""

    @pytest.fixture
    def place(self, server: Server) -> Iterator[Place]:
        """Yield where a ledger is to be."""
        with closing(PostgresPlace(server.schema())) as found:
            yield found


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("to_postgres", [True, False])
def test_what_one_records_the_other_records_alike(
    seed: int, to_postgres: bool, tmp_path: Path, server: Server
):
    """Every event of a world, read from one and replayed into the other, gives the same ledger."""
    world = Maker(seed, people=12).make()
    file, url = tmp_path / "ledger.sqlite", server.schema()
    with (
        closing(SqliteStore(file, create=True)) as here,
        closing(PostgresStore(url, create=True)) as there,
    ):
        one, other = (here, there) if to_postgres else (there, here)
        record(world, one)
        replay(one, other)
        assert everything(one) == everything(other)
        assert columns_of(one) == columns_of(other)
        assert (one.symbols(), one.subject_ids()) == (other.symbols(), other.subject_ids())
        for as_of in (world.as_of, END):
            assert fold(everything(one), as_of) == fold(everything(other), as_of)
        upto = one.head().index
        salts = set()
        for store in (one, other):
            for event, salt, sealed in store.openings(upto=upto):
                assert sealed == commitment(salt, event.canonical())
                salts.add(salt)
        assert len(salts) == 2 * (upto + 1)
        public = [[content for _, content, _ in s.entries(0, upto=upto)] for s in (one, other)]
        assert public[0] == public[1]
        for store in (one, other):
            store.erase(upto // 2, upto // 3, now=END)
        assert columns_of(one) == columns_of(other)
        assert everything(one) == everything(other)


def replay(one: SqlStore, other: SqlStore) -> None:
    """Record the events of one ledger in another, at their times."""
    for time, events in groupby(everything(one), key=lambda event: event.time):
        other.append([Draft(e.kind, e.body or {}) for e in events], now=time)


_HOLDER = """
import sqlite3, sys, time
held = sqlite3.connect(sys.argv[1], isolation_level=None)
for each in ("PRAGMA locking_mode=EXCLUSIVE", "BEGIN IMMEDIATE"):
    held.execute(each)
print("held", flush=True)
time.sleep(0.5)
"""


def test_columns_wait_for_a_process_that_has_the_file_to_itself(tmp_path):
    """As the last one does that closes it: who reads columns then is not refused, but waits."""
    with closing(SqlitePlace(tmp_path / "ledger.db").create()) as store:
        holder = [sys.executable, "-c", _HOLDER, str(tmp_path / "ledger.db")]
        with subprocess.Popen(holder, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"held\n"
            # Below `columns`, whose other reads would wait in its place.
            assert store._fetch("SELECT subject FROM person").num_rows == 0  # noqa: SLF001 - see above


def test_an_interrupt_at_the_end_of_any_statement_leaves_the_ledger_free(tmp_path):
    """Where Python delivers one that came during it; the same ledger records what comes next."""
    cut = 0
    with closing(SqliteStore(tmp_path / "ledger.db", create=True)) as store:
        for n in count():
            before = store.head().index
            drafts = [
                Draft("notice.delivered", {"subject": f"{n} {m}", "version": "v"}) for m in "ab"
            ]
            interrupted: KeyboardInterrupt | None = None
            sys.setprofile(interrupting_at(n))
            try:
                store.append(drafts, now=0)
            except KeyboardInterrupt as error:
                interrupted = error  # its traceback holds the statement, as with who prints it
            finally:
                sys.setprofile(None)
            if interrupted is None:
                break
            cut += 1
            found = store.head().index
            assert found in (before, before + 2)
            assert store.append(drafts, now=0).index == found + 2
        assert len(everything(store)) == store.head().index + 1
    assert cut > 5


def interrupting_at(n: int) -> Callable[[FrameType, str, Any], None]:
    """Return a profiler that interrupts when the n-th call of SQLite within a statement returns."""
    returned = count()

    def at(_frame: FrameType, what: str, called: Any) -> None:
        ours = isinstance(getattr(called, "__self__", None), sqlite3.Cursor)
        if what == "c_return" and ours and next(returned) == n:
            sys.setprofile(None)
            raise KeyboardInterrupt

    return at
