"""What only PostgreSQL has: addresses, other machines, sessions that break, servers that crash."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
import sqlalchemy as sa

from letterlock.errors import LedgerError, UnknownVersion, WorkspaceError
from letterlock.ledger import Draft, Head
from letterlock.store import migrate
from letterlock.store import postgres as module
from letterlock.store.postgres import PostgresStore, check_url
from postgres import Server, served
from store.check_store import NOW, check_whole, everything, go, register, started
from store.test_store import PostgresPlace


@pytest.fixture
def url(server: Server) -> str:
    """Return the address of a new schema."""
    return server.schema()


@pytest.fixture
def store(url: str) -> Iterator[PostgresStore]:
    """Yield an empty ledger."""
    with closing(PostgresStore(url, create=True)) as found:
        yield found


def behind(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Run SQL on a ledger's database, behind its back; returns what the last statement gives."""
    with psycopg.connect(url, autocommit=True) as connection:
        for sql in statements:
            done = connection.execute(sql.encode())
        return done.fetchall() if done.description else []


def break_sessions(url: str) -> None:
    """End every other session of a database, as a network that fails does."""
    behind(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip


# ── addresses ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    ["", "ledger.db", "postgresql://", "postgresql://h", "postgres://u@h/d", "sqlite:///d",
     "POSTGRESQL://u@h/d", "postgresql+psycopg://u@h/d", "postgresql://u@h/d?sslmood=verify-full",
     "postgresql://u@h:port/d", "postgresql://u@h/d\n", "postgresql://u@h/%zz", "dbname=d"],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str):
    """An address is a libpq URL that names a database, and nothing else."""
    try:
        check_url(url)
    except WorkspaceError as error:
        assert "postgresql://USER@HOST/DATABASE" in str(error)  # noqa: PT017 - raised or not
    else:
        # libpq takes a port that is none, and says so when it connects.
        assert url == "postgresql://u@h:port/d"


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hunter2@h/d", "postgresql://h/d?password=hunter2",
     "postgresql://u@h/d?sslpassword=hunter2", "postgresql://u:hunter2@h", "mysql://u:hunter2@h/d"],
)  # fmt: skip
def test_a_password_does_not_belong_into_an_address(url: str):
    """It is refused, and not repeated in the error."""
    with pytest.raises(WorkspaceError) as caught:
        PostgresStore(url)
    assert "hunter2" not in str(caught.value)


def test_a_password_is_never_printed(server: Server, monkeypatch: pytest.MonkeyPatch):
    """Taken from the environment, it is in no error, whatever goes wrong with the connection."""
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    for wrong in ("nowhere", "ledger\\"):
        with pytest.raises(LedgerError) as caught:
            PostgresStore(server.url(wrong))
        assert "hunter2" not in str(caught.value)


def test_a_schema_of_its_own_holds_a_ledger_of_its_own(server: Server):
    """Two ledgers of one database do not know each other, nor wait for each other."""
    urls = [server.schema(), server.schema()]
    with (
        closing(PostgresStore(urls[0], create=True)) as one,
        closing(PostgresStore(urls[1], create=True)) as two,
    ):
        with one.alone():
            one.append([register(0)], now=NOW)
            with two.alone():
                assert two.append([register(1), register(2)], now=NOW) == Head(1, NOW)
        assert one.head() == Head(0, NOW)
        assert [e.subject for e in everything(two)] == ["p1", "p2"]


# ── making ──────────────────────────────────────────────────────────────────────────────────


def test_a_ledger_is_made_once(url: str, store: PostgresStore):
    """One that was made and holds nothing yet is taken; one that holds an event never is."""
    PostgresStore(url, create=True).close()
    store.append([register(0)], now=NOW)
    with pytest.raises(WorkspaceError, match="holds a ledger already"):
        PostgresStore(url, create=True)
    assert store.head() == Head(0, NOW)


def test_two_who_make_it_at_once_make_one(url: str):
    """Nobody fails, and there is one revision."""
    failed: list[BaseException] = []

    def make() -> None:
        try:
            PostgresStore(url, create=True).close()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert behind(url, "SELECT version_num FROM alembic_version") == [(migrate.HEAD,)]


@pytest.mark.parametrize(
    "how", ["DROP INDEX event_unknown", "COMMENT ON INDEX event_unknown IS ''"]
)
def test_the_index_of_an_older_program_is_made_anew(how: str, url: str, store: PostgresStore):
    """Opening is enough, and the index serves the question whether an event is unknown."""
    store.append([register(n) for n in range(2)], now=NOW)
    behind(url, how)
    with closing(PostgresStore(url)) as again:
        assert again.columns("person", ("member",), as_of=NOW, upto=9).num_rows == 2
        (told,) = behind(url, "SELECT obj_description('event_unknown'::regclass)")[0]
        asked = f"EXPLAIN SELECT idx FROM event WHERE {told}"  # noqa: S608 - our own condition
        plan = behind(url, "SET enable_seqscan = off", asked)
        assert "event_unknown" in str(plan)
        behind(url, "UPDATE event SET kind = 'unheard' WHERE idx = 1")
        with pytest.raises(UnknownVersion, match="upgrade"):
            again.columns("person", ("member",), as_of=NOW, upto=9)


@pytest.mark.slow
def test_a_server_that_promises_nothing_is_refused():
    """With fsync off, what is acknowledged may be lost: no refusal is trusted to it."""
    with served("fsync=off") as server, pytest.raises(LedgerError, match="fsync = on"):
        PostgresStore(server.database(), create=True)


def test_commits_are_durable_whatever_the_server_is_set_to(server: Server):
    """A session does not acknowledge before its commit is on the disk."""
    url = server.database()
    name = url.split("?", maxsplit=1)[0].rpartition("/")[2]
    behind(server.url("postgres"), f"ALTER DATABASE {name} SET synchronous_commit = off")
    isolation = f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"
    behind(server.url("postgres"), isolation)
    assert behind(url, "SHOW synchronous_commit") == [("off",)]
    found: list[tuple[object, ...]] = []

    def spy(connection: psycopg.Connection[object], _record: object, _proxy: object) -> None:
        for setting in ("synchronous_commit", "transaction_isolation"):
            found.append(connection.execute(f"SHOW {setting}".encode()).fetchone() or ())  # noqa: PERF401
        connection.rollback()

    sa.event.listen(sa.pool.Pool, "checkout", spy)
    try:
        with closing(PostgresStore(url, create=True)) as store:
            store.append([register(0)], now=NOW)
    finally:
        sa.event.remove(sa.pool.Pool, "checkout", spy)
    assert set(found) >= {("on",)}
    assert ("off",) not in found
    assert found[-1] == ("read committed",)


# ── erasing ─────────────────────────────────────────────────────────────────────────────────


def test_an_erasure_says_that_files_may_keep_it(url: str, store: PostgresStore):
    """It is never called gone, though the rows it replaced are freed at once."""
    store.append([register(n) for n in range(3)], now=NOW)
    assert not store.erase(1, now=NOW)
    assert "VACUUM FULL" in store.remains[1]
    freed = "SELECT vacuum_count FROM pg_stat_user_tables WHERE relid = 'event'::regclass"
    assert behind(url, freed) == [(1,)]


# ── other machines, and sessions that break ─────────────────────────────────────────────────


def test_who_is_alone_makes_others_wait(url: str, store: PostgresStore):
    """What one machine reads before it records, no other one changes meanwhile."""
    seen: list[int] = []
    inside, waiting = threading.Event(), threading.Event()

    def other() -> None:
        with closing(PostgresStore(url)) as mine:
            inside.wait(10)
            waiting.set()
            with mine.alone():
                seen.append(mine.head().index)

    thread = threading.Thread(target=other)
    thread.start()
    with store.alone():
        inside.set()
        waiting.wait(10)
        store.append([register(0)], now=NOW)
        assert not seen
        store.append([register(1)], now=NOW)
    thread.join(10)
    assert seen == [1]


def test_who_was_cut_off_records_nothing(url: str, store: PostgresStore):
    """If the session that keeps others away breaks, what was decided under it is not recorded."""
    store.append([register(0)], now=NOW)

    def cut_off() -> None:
        with store.alone():
            store.head()
            break_sessions(url)
            store.append([register(1)], now=NOW)

    with pytest.raises(LedgerError):
        cut_off()
    assert store.head() == Head(0, NOW)
    with store.alone():
        assert store.append([register(2)], now=NOW) == Head(1, NOW)


def test_who_was_cut_off_twice_records_nothing_either(url: str, store: PostgresStore):
    """A session that a driver would make anew holds no lock: it is not used."""

    def cut_off() -> None:
        with store.alone():
            break_sessions(url)
            with pytest.raises(LedgerError):
                store.append([register(1)], now=NOW)
            with pytest.raises(LedgerError, match="broke"):
                store.append([register(1)], now=NOW)
            assert store.head() == Head(-1, store.head().time)

    cut_off()
    assert store.append([register(2)], now=NOW) == Head(0, NOW)


def test_nobody_waits_for_ever(url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch):
    """A writer that is kept waiting ends with an error that says so."""
    monkeypatch.setattr(module, "_WAIT", "SET LOCAL lock_timeout = '50ms'")

    def drafts() -> Iterator[Draft]:
        yield register(0)
        with closing(PostgresStore(url)) as other, pytest.raises(LedgerError, match="lock timeout"):
            other.append([register(1)], now=NOW)
        yield register(2)

    assert store.append(drafts(), now=NOW) == Head(1, NOW)


def test_what_was_not_acknowledged_is_said_to_be_unknown(url: str, store: PostgresStore):
    """A session that breaks at the commit: whether it was recorded is to be looked at."""

    def breaking(_connection: sa.Connection) -> None:
        break_sessions(url)

    engine = store._engine  # noqa: SLF001 - the commit itself
    sa.event.listen(engine, "commit", breaking, once=True)
    with pytest.raises(LedgerError, match="did not answer whether it recorded"):
        store.append([register(0)], now=NOW)
    assert store.head().index == -1
    assert store.numbers(["p7"]).tolist() == [0]
    assert store.append([register(0)], now=NOW) == Head(0, NOW)


@pytest.mark.slow
def test_a_server_that_was_restarted_is_reached_again(server: Server):
    """A session of before the restart is not used, and what was recorded is there."""
    with closing(PostgresStore(server.schema(), create=True)) as store:
        store.append([register(0)], now=NOW)
        assert store.columns("person", ("idx",), as_of=NOW, upto=9).num_rows == 1
        server.stop(signal.SIGQUIT)
        with pytest.raises(LedgerError, match="cannot be used"):
            store.head()
        server.start()
        assert store.append([register(1)], now=NOW) == Head(1, NOW)
        assert store.columns("person", ("idx",), as_of=NOW, upto=9).num_rows == 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_crashed_server_recovers_what_it_acknowledged(seed: int, server: Server):
    """The server ends without a goodbye under a writer: whole batches, none that was told lost."""
    place = PostgresPlace(server.schema())
    place.create().close()
    size = (1, 50, 400, 7)[seed]
    with started(place, "append", "one", 10**6, size) as process:
        go(process)
        told = [int(process.stdout.readline()) for _ in range(1 + seed)]
        server.stop(signal.SIGQUIT)
        told += [int(line) for line in process.stdout.read().split()]
        assert process.wait(60) != 0
    server.start()
    with closing(place):
        events = check_whole(place)
    assert len(events) % size == 0
    assert told[-1] < len(events) <= told[-1] + 1 + 2 * size
