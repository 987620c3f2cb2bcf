"""The schema is made by its revisions, on both databases alike, and none is guessed at."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import letterlock
from letterlock.errors import LedgerError, UnknownVersion
from letterlock.ledger import Head
from letterlock.store import migrate, sql
from letterlock.store.postgres import PostgresStore
from letterlock.store.sql import SqlStore
from letterlock.store.sqlite import SqliteStore
from postgres import Server
from store.check_store import NOW, columns_of, everything, expected_columns, register

ROOT = Path(__file__).resolve().parents[2]
FIRST = (Path(__file__).parent / "schema-1.sql").read_text()
"""The schema that programs made from before there were revisions."""


def before_revisions(path: Path) -> Path:
    """Make a ledger as those programs made it, with an event."""
    with closing(SqliteStore(path, create=True)) as store:
        store.append([register(0)], now=NOW)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE alembic_version")
        for table in sql.decision_tables:
            connection.execute(f"DROP INDEX ix_{table}_subject")
    return path


@contextmanager
def raw(store: SqlStore) -> Iterator[sa.Connection]:
    """Yield a connection of a store."""
    with store._connected() as connection:  # noqa: SLF001 - what the schema is
        yield connection


def schema_of(path: Path) -> list[str]:
    """Return what a file's schema is, word by word, but for the revision's table."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return sorted(" ".join(sql.split()) for (sql,) in rows if "alembic_version" not in sql)


def test_the_first_revision_is_the_schema_of_before(tmp_path: Path):
    """Word by word; left out is what came later, and the index that depends on the kinds."""
    path = tmp_path / "ledger.sqlite"
    SqliteStore(path, create=True).close()
    with closing(sqlite3.connect(tmp_path / "old.sqlite")) as connection:
        connection.executescript(FIRST)
    later = ("event_unknown", *(f"ix_{table}_subject" for table in sql.decision_tables))
    made = [text for text in schema_of(path) if not any(name in text for name in later)]
    assert made == schema_of(tmp_path / "old.sqlite")


def test_a_ledger_of_before_is_brought_up_to_date(tmp_path: Path):
    """It opens as ever, holds what it held, and has the last revision; another opening is none."""
    path = before_revisions(tmp_path / "ledger.sqlite")
    before = path.read_bytes()
    for _ in range(2):
        with closing(SqliteStore(path)) as store:
            assert [e.subject for e in everything(store)] == ["p0"]
            assert columns_of(store) == expected_columns(store)
            with raw(store) as connection:
                assert migrate.revision(connection) == migrate.HEAD
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchall() == [(1,)]
        changed = connection.execute("PRAGMA schema_version").fetchall()
    SqliteStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA schema_version").fetchall() == changed
    assert path.read_bytes() != before


@pytest.mark.slow
def test_two_who_open_it_at_once_stamp_it_once(tmp_path: Path):
    """Each waits for the other, and neither fails."""
    path = before_revisions(tmp_path / "ledger.sqlite")
    program = (
        "import sys; from pathlib import Path; from letterlock.store.sqlite import SqliteStore; "
        "print(SqliteStore(Path(sys.argv[1])).head().index)"
    )
    command = [sys.executable, "-c", program, str(path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate()[0] for process in running] == ["0\n"] * 3
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchall() == [(migrate.HEAD,)]


def test_an_interrupted_upgrade_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whatever stops it, the ledger is as it was, and the next opening brings it up to date."""
    path = before_revisions(tmp_path / "ledger.sqlite")
    upgrade = migrate.upgrade

    def interrupted(connection: sa.Connection, *, baseline: bool) -> None:
        upgrade(connection, baseline=baseline)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(migrate, "upgrade", interrupted)
        with pytest.raises(KeyboardInterrupt):
            SqliteStore(path)
    with closing(sqlite3.connect(path)) as connection:
        named = "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
        assert connection.execute(named).fetchall() == [(0,)]
    with closing(SqliteStore(path)) as store:
        assert store.head() == Head(0, NOW)


def test_another_file_is_not_made_a_ledger_by_opening_it(tmp_path: Path):
    """A database of something else, or an empty one, is refused and left as it was."""
    path = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE event (a)")
    before = schema_of(path)
    with pytest.raises(UnknownVersion, match="schema 0"):
        SqliteStore(path)
    with pytest.raises(LedgerError, match="already exists"):
        SqliteStore(path, create=True)
    assert schema_of(path) == before


def test_the_tables_are_those_that_the_code_names(tmp_path: Path, server: Server):
    """What the revisions make and what the code reads do not differ, on either database."""
    made = (
        SqliteStore(tmp_path / "ledger.sqlite", create=True),
        PostgresStore(server.schema(), create=True),
    )
    for store in made:
        with closing(store), raw(store) as connection:
            context = MigrationContext.configure(connection)
            found = compare_metadata(context, sql.event_table.metadata)
            differences = {_told(d) for d in found if not isinstance(d, list)}
            assert differences <= EXPECTED, differences
            assert not [d for d in found if isinstance(d, list)]


def _told(difference: tuple[object, ...]) -> tuple[str, str]:
    return str(difference[0]), str(getattr(difference[-1], "name", difference[-1]))


# What a store keeps beside the tables: an index that it renews itself, and on PostgreSQL a row's
# place, an index by event, and names that are unique by their hash.
EXPECTED = {
    ("remove_index", "event_unknown"),
    ("remove_table", "alembic_version"),
    ("remove_column", "rowid"),
    *(("remove_index", f"ix_{table}_idx") for table in sql.decision_tables),
    *(("remove_index", f"{table}_text_once") for table in ("symbol", "subject")),
    ("add_constraint", "None"),
}


LATER = """
from alembic import op
import sqlalchemy as sa

revision = "9999"
down_revision = "0002"


def upgrade():
    op.create_table("later", sa.Column("a", sa.Integer))
    op.execute("INSERT INTO later SELECT count(*) FROM event")
    {more}
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SqlStore]:
    """Return how a ledger with one event is opened, on either database."""
    if request.param == "sqlite":
        make = partial(SqliteStore, tmp_path / "ledger.sqlite")
    else:
        make = partial(PostgresStore, request.getfixturevalue("server").schema())
    with closing(make(create=True)) as store:
        store.append([register(0)], now=NOW)
    return make


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return how this program becomes one that knows one revision more, which does `more`."""

    def learn(more: str) -> None:
        folder = tmp_path / "100% migrations"
        shutil.copytree(Path(migrate.__file__).parent / "migrations", folder, dirs_exist_ok=True)
        (folder / "versions" / "r9999_later.py").write_text(LATER.format(more=more))
        monkeypatch.setattr(migrate, "_ENVIRONMENT", folder)
        monkeypatch.setattr(migrate, "REVISIONS", (*migrate.REVISIONS, "9999"))
        monkeypatch.setattr(migrate, "HEAD", "9999")

    return learn


def test_a_later_revision_is_reached_by_opening(
    reopen: Callable[[], SqlStore], later: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
):
    """It is applied once, keeps what is recorded, and this program refuses it from then on."""
    later("")
    for _ in range(2):
        with closing(reopen()) as store, raw(store) as connection:
            assert migrate.revision(connection) == "9999"
            assert connection.execute(sa.text("SELECT a FROM later")).all() == [(1,)]
    with closing(reopen()) as store:
        assert store.append([register(1)], now=NOW) == Head(1, NOW)
    monkeypatch.undo()
    with pytest.raises(UnknownVersion, match="upgrade Letterlock"):
        reopen()


def test_a_revision_that_fails_leaves_what_was(
    reopen: Callable[[], SqlStore], later: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
):
    """All of it or nothing: the ledger is still of the revision it had."""
    later("op.execute('INSERT INTO nowhere VALUES (1)')")
    with pytest.raises(LedgerError, match="nowhere"):
        reopen()
    monkeypatch.undo()
    with closing(reopen()) as store, raw(store) as connection:
        assert migrate.revision(connection) == migrate.HEAD
        assert not sa.inspect(connection).has_table("later")
        assert store.head() == Head(0, NOW)


def test_every_revision_is_known():
    """The program's list is the folder's, in its order, and one leads to the next."""
    config = Config()
    folder = Path(migrate.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    found = ScriptDirectory.from_config(config)
    assert [r.revision for r in found.walk_revisions()][::-1] == list(migrate.REVISIONS)
    assert found.get_heads() == [migrate.HEAD]


@pytest.mark.slow
def test_the_wheel_holds_the_revisions(tmp_path: Path):
    """What is installed can make a ledger."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    source = Path(letterlock.__file__).parent
    wanted = (source / "store" / "migrations").rglob("*.py")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"letterlock/{path.relative_to(source).as_posix()}" for path in wanted} <= names
