"""A workspace whose ledger is in PostgreSQL: every verb, several machines, backup and restore."""

from __future__ import annotations

import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from letterlock.errors import LedgerError, WorkspaceError
from letterlock.gate import Gate
from letterlock.gate.workspace import config_text
from letterlock.ledger import Draft
from postgres import Server, tool
from workspaces import (
    NOW,
    PURPOSE,
    RECIPIENT,
    YES,
    columns,
    messages,
    people,
    refusal,
    rows_of,
    traces,
    write,
)

COMMAND = str(Path(sys.executable).with_name("letterlock"))


@pytest.fixture
def url(server: Server) -> str:
    """Return the address of a new database."""
    return server.database()


@pytest.fixture
def gate(tmp_path: Path, url: str) -> Iterator[Gate]:
    """Yield a workspace that records in it."""
    with closing(Gate.create(tmp_path / "w", simulated=True, now=NOW, ledger=url)) as found:
        yield found


def hold(gate: Gate, name: str) -> None:
    """Record something."""
    gate.record([Draft("hold.set", {"hold": name, "clauses": []})])


def started(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


# ── made and opened ─────────────────────────────────────────────────────────────────────────


def test_init_makes_it_and_every_command_finds_it(tmp_path: Path, url: str):
    """The address stands in letterlock.toml, and no ledger.db is made."""
    folder = tmp_path / "w"
    done = started([COMMAND, "init", str(folder), "--simulated", "--ledger", url])
    assert (done.returncode, done.stderr) == (0, "")
    assert tomllib.loads((folder / "letterlock.toml").read_text())["ledger"] == url
    assert not list(folder.glob("ledger.db*"))
    listed = started([COMMAND, "key", "list", "-w", str(folder)])
    assert listed.returncode == 0
    with closing(Gate(folder)) as found:
        assert [each.use for each in found.introduced()] == ["log", "vrf"]


def test_where_no_ledger_can_be_nothing_is_made(tmp_path: Path, gate: Gate, server: Server):
    """An address that is none, a database that is not there, one that is used: one error each."""
    used = tomllib.loads((gate.folder / "letterlock.toml").read_text())["ledger"]
    for wrong in ("ledger.db", "postgresql://u:hunter2@h/d", server.url("nowhere"), used):
        with pytest.raises((WorkspaceError, LedgerError)) as caught:
            Gate.create(tmp_path / "x", simulated=True, ledger=wrong)
        assert "hunter2" not in str(caught.value)
        assert not list((tmp_path / "x").rglob("*"))


@pytest.mark.parametrize(
    ("said", "told"),
    [("5", "of a format"), ("['postgresql://u@h/d']", "of a format"), ("''", "address is none"),
     ("'ledger.db'", "address is none"), ("'postgresql://u:hunter2@h/d'", "holds a password")],
)  # fmt: skip
def test_the_setting_is_read_strictly(said: str, told: str, gate: Gate):
    """What is no address opens nothing, and a password is not repeated."""
    config = gate.folder / "letterlock.toml"
    lines = [n for n in config.read_text().splitlines() if not n.startswith("ledger")]
    config.write_text("\n".join([*lines, f"ledger = {said}", ""]))
    with pytest.raises(WorkspaceError, match=told) as caught:
        Gate(gate.folder)
    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_gone_is_said(gate: Gate):
    """A workspace whose database has no ledger any more says so, and makes none."""
    with psycopg.connect(gate.store._name, autocommit=True) as connection:  # noqa: SLF001 - as above
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    with pytest.raises(WorkspaceError, match="no ledger in postgresql"):
        Gate(gate.folder)


# ── the verbs ───────────────────────────────────────────────────────────────────────────────


def test_a_release_from_either_database_lets_the_same_rows_go(tmp_path: Path, url: str):
    """People, choices, a table, a build: what is released and withheld, and why, is the same."""
    table = write(tmp_path / "mail.parquet", messages())
    counts = []
    for name, ledger in (("file", None), ("database", url)):
        with closing(people(tmp_path / name, ledger=ledger)) as gate:
            gate.add_table("mail", table, columns())
            built = gate.build(PURPOSE, RECIPIENT)
            counts.append(built.record["counts"])
            assert gate.publish_log().trusted.checkpoint.size == gate.store.head().index + 1
    assert counts[0] == counts[1]


def test_an_erasure_tells_what_postgresql_keeps(tmp_path: Path, url: str):
    """It is never complete there, and what is to be done is said."""
    with closing(people(tmp_path / "w", ledger=url)) as gate:
        found = gate.erase(YES[0])
        (kept,) = [place for place in found.places if place.where == "PostgreSQL's files"]
        assert kept.outcome == "left"
        assert "VACUUM FULL" in kept.what
        assert not found.complete
        assert not list(gate.store.openings(upto=10**6, only=found.events))


# ── several machines ────────────────────────────────────────────────────────────────────────


def test_two_machines_do_not_interleave(gate: Gate, tmp_path: Path, url: str):
    """Who reads the rules and then records is alone, though each folder has a lock of its own."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "keys").mkdir()
    config = config_text(gate.origin, (), simulated=True, ledger=url)
    (other / "letterlock.toml").write_bytes(config)
    seen = []

    def elsewhere() -> None:
        with closing(Gate(other, now=NOW)) as machine, machine._writing():  # noqa: SLF001 - the lock
            seen.append([h.id for h in machine.rules().holds])

    with gate._writing():  # noqa: SLF001 - as above
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(0.3)
        assert not seen
        for name in ("a", "b"):
            hold_within(gate, name)
    thread.join(30)
    assert seen == [["a", "b"]]


def hold_within(gate: Gate, name: str) -> None:
    """Record something while recording."""
    gate.store.append([Draft("hold.set", {"hold": name, "clauses": []})], now=gate.now())


# ── backup and restore ──────────────────────────────────────────────────────────────────────


def dump(url: str, to: Path) -> None:
    """Back the ledger up as docs/ledger-postgresql.md says."""
    done = started([str(tool("pg_dump")), "--format=custom", f"--file={to}", url])
    assert (done.returncode, done.stderr) == (0, "")


def restore(url: str, backup: Path) -> None:
    """Restore the ledger as docs/ledger-postgresql.md says."""
    command = [str(tool("pg_restore")), "--clean", "--if-exists", "--single-transaction"]
    done = started([*command, f"--dbname={url}", str(backup)])
    assert (done.returncode, done.stderr) == (0, "")


def test_the_restore_drill(gate: Gate, url: str, tmp_path: Path):
    """Back up, go on, publish: the older backup is refused, and the newer one works."""
    old, new = tmp_path / "old.dump", tmp_path / "new.dump"
    hold(gate, "a")
    dump(url, old)
    hold(gate, "b")
    gate.publish_log()
    hold(gate, "c")
    dump(url, new)
    before = list(gate.store.openings(upto=99))
    gate.close()
    restore(url, old)
    with pytest.raises(WorkspaceError, match=r"older than its log.*Restore the newest backup"):
        Gate(gate.folder, now=NOW)
    restore(url, new)
    with closing(Gate(gate.folder, now=NOW)) as found:
        assert list(found.store.openings(upto=99)) == before
        hold(found, "d")
        found.publish_log()
        assert found.store.head().index == len(before)


def test_a_restored_ledger_goes_on(tmp_path: Path, server: Server, url: str):
    """In another database, too: columns, names and their order are as before, and so are errors."""
    people(tmp_path / "w", ledger=url).close()
    dump(url, tmp_path / "backup.dump")
    elsewhere = server.database()
    restore(elsewhere, tmp_path / "backup.dump")
    config = tmp_path / "w" / "letterlock.toml"
    config.write_text(config.read_text().replace(url, elsewhere))
    with closing(Gate(tmp_path / "w", now=NOW)) as gate:
        names = gate.store.subject_ids()
        gate.load_choices(rows_of([refusal(YES[0])]))
        assert gate.store.subject_ids() == names
        upto = gate.store.head().index
        lines = gate.store.columns("line", ("idx",), as_of=NOW, upto=upto).column("idx").to_pylist()
        assert lines == sorted(lines)
        assert lines[-1] == upto


def test_a_backup_that_is_cut_short_restores_nothing(gate: Gate, url: str, tmp_path: Path):
    """All of a backup comes back or nothing: what was there before still is."""
    backup = tmp_path / "backup.dump"
    hold(gate, "a")
    dump(url, backup)
    hold(gate, "b")
    before = gate.store.head()
    backup.write_bytes(backup.read_bytes()[:-2000])
    command = [str(tool("pg_restore")), "--clean", "--if-exists", "--single-transaction"]
    assert started([*command, f"--dbname={url}", str(backup)]).returncode != 0
    assert gate.store.head() == before
    assert traces(gate.folder)[0] == before.index
