"""What every store of events has to do: one suite, run against each for real.

A subclass of `StoreChecks` gives a `place`, where a ledger is to be; see test_store.py.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from letterlock.domain import BEGINNING, DAY, END, Clause, Level
from letterlock.errors import (
    HeadMoved,
    InputError,
    LedgerError,
    LetterlockError,
    UnknownVersion,
    WorkspaceError,
)
from letterlock.ledger import (
    TABLES,
    Draft,
    Event,
    Head,
    clause_body,
    commitment,
    fold,
    fold_rules,
    rows_of,
)
from letterlock.store import migrate
from letterlock.store.sql import SqlStore
from store import ledger_child
from worlds import Maker, World, day

NOW = day(0)
CHILD = Path(ledger_child.__file__)
ODD = (
    "a\0b",
    "\0",
    "ﬁ",
    "fi",
    "é",
    "e\u0301",
    "\U0001f4a3",
    " a",
    "a ",
    "A",
    "a",
    "\\x61",
    "x" * 9999,
)
"""Names that a database may take for one another, or for none."""


class Place(ABC):
    """Where a ledger is or is to be."""

    name: str
    """What another process opens."""

    @abstractmethod
    def create(self, *, batch: int | None = None) -> SqlStore:
        """Make the ledger."""

    @abstractmethod
    def open(self) -> SqlStore:
        """Open the ledger."""

    @abstractmethod
    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run SQL behind the store's back; `?` stands for a value."""

    @abstractmethod
    def check_sound(self) -> None:
        """Let the database check its own files."""


def everything(store: SqlStore) -> list[Event]:
    """Return every event."""
    return list(store.every_event(upto=store.head().index))


def register(n: int) -> Draft:
    """Return the registration of the n-th member."""
    return Draft("subject.registered", {"subject": f"p{n}", "member": True})


def hold(name: str) -> Draft:
    """Return an event about everyone."""
    return Draft("hold.set", {"hold": name, "clauses": []})


def record(world: World, store: SqlStore) -> None:
    """Record a world's events at their times."""
    drafts = list(world.drafts)
    while drafts:
        now = drafts[0][0]
        same = [draft for at, draft in drafts if at == now]
        store.append(same, now=now)
        drafts = drafts[len(same) :]


def columns_of(store: SqlStore, as_of: int = END) -> dict[str, list[tuple[int, ...]]]:
    """Return every decision column."""
    upto = store.head().index
    found = {}
    for table, names in TABLES.items():
        read = store.columns(table, ("idx", "time", "subject", *names), as_of=as_of, upto=upto)
        found[table] = list(zip(*(column.to_pylist() for column in read.columns), strict=True))
    return found


def expected_columns(store: SqlStore) -> dict[str, list[tuple[int, ...]]]:
    """Return what the columns have to be, from the events' own bytes; none may be erased."""
    numbers = {name: n for n, name in enumerate(store.subject_ids())}
    symbols = store.symbols()
    found: dict[str, list[tuple[int, ...]]] = {table: [] for table in TABLES}
    for event in everything(store):
        for table, values in rows_of(event):
            plain = (symbols[v] if isinstance(v, str) else v for v in values)
            found[table].append((event.index, event.time, numbers[event.subject], *plain))
    return found


def check_whole(place: Place) -> list[Event]:
    """Check that a ledger is sound, that columns and events agree, and that it goes on."""
    place.check_sound()
    with closing(place.open()) as store:
        events = everything(store)
        assert [e.index for e in events] == list(range(len(events)))
        assert store.head().index == len(events) - 1
        for event, salt, sealed in store.openings(upto=store.head().index):
            assert sealed == commitment(salt, event.canonical())
        assert columns_of(store) == expected_columns(store)
        assert set(store.subject_ids()) >= {e.subject for e in events if e.subject is not None}
        assert len(set(store.subject_ids())) == len(store.subject_ids())
        now = max(NOW, store.head().time)
        assert store.append([register(0)], now=now).index == len(events)
    return events


@contextmanager
def started(place: Place, verb: str, name: str, count: int, size: int) -> Iterator[Any]:
    """Start another process on a ledger; it waits until `go`."""
    command = [sys.executable, str(CHILD), place.name, verb, name, str(count), str(size)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def go(*processes: subprocess.Popen[str]) -> None:
    """Wait until all processes are ready, then let them go at once."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def finished(processes: Sequence[subprocess.Popen[str]]) -> list[list[str]]:
    """Wait for processes, all of which end well; returns the lines of each."""
    found = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return found


class StoreChecks:
    """The suite."""

    @pytest.fixture
    def store(self, place: Place) -> Iterator[SqlStore]:
        """Yield an empty ledger."""
        with closing(place.create()) as found:
            yield found

    # ── recording ───────────────────────────────────────────────────────────────────────────

    def test_what_is_recorded_is_read_back(self, place: Place, store: SqlStore):
        """Index, time, kind, subject and body are as they were, also for who opens it anew."""
        assert store.head() == Head(-1, BEGINNING)
        assert store.append([], now=NOW) == Head(-1, BEGINNING)
        clause = clause_body(Clause("c", Level.NEVER))
        drafts = [
            Draft("hold.set", {"hold": "h", "clauses": [clause], "order": "\0é"}),
            Draft("subject.registered", {"subject": "\0ann", "member": True, "noticed": ["v1"]}),
        ]
        assert store.append(drafts, now=NOW) == Head(1, NOW)
        with closing(place.open()) as other:
            assert other.head() == Head(1, NOW)
            for each in (store, other):
                events = everything(each)
                assert [(e.kind, e.body) for e in events] == [(d.kind, d.body) for d in drafts]
                assert [e.subject for e in events] == [None, "\0ann"]
                assert [e.time for e in events] == [NOW, NOW]

    def test_every_time_and_number_fits(self, store: SqlStore):
        """The beginning and the end of time, and a mark of 64 bits with its sign, are kept."""
        lines = [{"from": BEGINNING, "to": END}]
        body = {"subject": "a", "act": "object", "lines": lines}
        store.append([Draft("choice.made", {**body, "lines": [{"from": n}]}) for n in range(40)],
                     now=BEGINNING)  # fmt: skip
        store.append([Draft("choice.made", body)], now=END)
        assert columns_of(store) == expected_columns(store)
        marks = [row[-1] for row in columns_of(store)["line"]]
        assert min(marks) < -(2**62) < 2**62 < max(marks)

    def test_recorded_time_never_goes_back(self, store: SqlStore):
        """A clock before the head records nothing; what follows an opening is later than it."""
        store.append([register(0)], now=NOW)
        for refused in (lambda: store.append([register(1)], now=NOW - 1),
                        lambda: store.erase(0, now=NOW - 1)):  # fmt: skip
            with pytest.raises(LedgerError, match="never goes back"):
                refused()
        assert store.append([Draft("release.opened", {})], now=NOW) == Head(1, NOW)
        assert store.append([register(2)], now=NOW) == Head(2, NOW + 1)

    def test_compare_and_set(self, store: SqlStore):
        """With a head that moved nothing is recorded, with the right one it is."""
        store.append([register(0)], now=NOW, expect=-1)
        for expected in (-1, 1, 5):
            with pytest.raises(HeadMoved, match="moved"):
                store.append([register(1)], now=NOW, expect=expected)
        assert store.append([register(1)], now=NOW, expect=0) == Head(1, NOW)

    @pytest.mark.parametrize("batch", [1, 2, 3, 1000])
    def test_a_batch_is_recorded_as_a_whole_or_not_at_all(self, batch: int, place: Place):
        """Whatever goes wrong, and in whichever insert, no event, symbol or subject is left."""
        good = [register(0), hold("h"),
                Draft("version.objected", {"subject": "new", "version": "v7"})]  # fmt: skip

        def failing() -> Iterator[Draft]:
            yield from good
            raise KeyboardInterrupt

        bad = Draft("subject.fact", {"subject": "new", "kind": "shoe_size"})
        with closing(place.create(batch=batch)) as store:
            with pytest.raises(InputError, match="shoe_size"):
                store.append([*good, bad], now=NOW)
            with pytest.raises(KeyboardInterrupt):
                store.append(failing(), now=NOW)
            assert store.head() == Head(-1, BEGINNING)
            for table in ("event", "symbol", "subject", *TABLES):
                assert place.query(f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608
            # What was interned and rolled back is interned anew, under the same numbers.
            store.append(reversed(good), now=NOW)
            assert store.subject_ids() == ["new", "p0"]
            assert dict(store.symbols()) == {"v7": 0}
            assert columns_of(store) == expected_columns(store)

    def test_rules_of_one_batch_see_each_other(self, store: SqlStore):
        """What one event of a batch sets, the next may lift; a second one of it is refused."""
        with pytest.raises(InputError, match="stands already"):
            store.append([hold("h"), register(0), hold("h")], now=NOW)
        store.append([hold("h"), Draft("hold.lifted", {"hold": "h"})], now=NOW)
        assert fold_rules(everything(store), NOW).holds == ()

    # ── names ───────────────────────────────────────────────────────────────────────────────

    def test_no_two_names_are_one(self, place: Place, store: SqlStore):
        """Every text is a name of its own, whatever a database thinks of it, with one number."""
        assert store.numbers(ODD).tolist() == list(range(len(ODD)))
        store.append([Draft("version.objected", {"subject": name, "version": name})
                      for name in reversed(ODD)], now=NOW)  # fmt: skip
        with closing(place.open()) as other:
            assert other.subject_ids() == list(ODD)
            assert other.numbers(["new", *ODD, "new"]).tolist() == [
                len(ODD), *range(len(ODD)), len(ODD),
            ]  # fmt: skip
            assert sorted(other.symbols()) == sorted(ODD)
            for name in ODD:
                assert [e.subject for e in other.events(upto=99, subjects=[name])] == [name]
        assert store.numbers(["new"]).tolist() == [len(ODD)]

    def test_a_name_that_cannot_be_stored_leaves_nothing(self, store: SqlStore):
        """Lone surrogates are nobody's name, and the others keep their numbers."""
        store.numbers(["a"])
        with pytest.raises((LetterlockError, UnicodeEncodeError)):
            store.numbers(["b", "\ud800"])
        with pytest.raises(UnicodeEncodeError):
            list(store.events(upto=9, subjects=["\ud800"]))
        with pytest.raises(LetterlockError):
            store.append(
                [Draft("version.objected", {"subject": "\ud800", "version": "v"})], now=NOW
            )
        assert store.numbers(["c", "a"]).tolist() == [1, 0]
        assert store.subject_ids() == ["a", "c"]

    # ── reading ─────────────────────────────────────────────────────────────────────────────

    def test_events_of_some_people_come_with_those_of_everyone(self, store: SqlStore):
        """Asked for some people, the ledger leaves out the others and nothing else."""
        store.append([register(0), hold("h"), register(1), register(2), register(0)], now=NOW)
        assert [e.index for e in store.events(upto=9)] == [1]
        assert [e.index for e in store.events(upto=9, subjects=["p0", "nobody"])] == [0, 1, 4]
        assert [e.index for e in store.events(upto=2, subjects=["p0", "p1"])] == [0, 1, 2]

    def test_rules_come_without_what_decides_nothing(self, place: Place, store: SqlStore):
        """Asked for rules, the ledger leaves out records, but not what is of another time."""
        drafts = [register(0), hold("h"), Draft("release.opened", {}), register(1), hold("i")]
        store.append(drafts, now=NOW)
        store.erase(3, now=NOW + DAY)
        found = list(store.events(upto=9, subjects=["p0"], rules=True))
        assert [e.index for e in found] == [0, 1, 4]
        assert fold_rules(found, END) == fold_rules(everything(store), END)
        for change in ("v = 2", "kind = 'unheard'"):
            place.query(f"UPDATE event SET {change} WHERE idx = 2")  # noqa: S608
            for act in (
                lambda: list(store.events(upto=9, rules=True)),
                lambda: store.append([hold("j")], now=NOW + 2 * DAY),
            ):
                with pytest.raises(UnknownVersion):
                    act()
            place.query("UPDATE event SET v = 1, kind = 'release.opened' WHERE idx = 2")

    def test_entries_leave_out_what_is_about_a_person(self, store: SqlStore):
        """A place, its commitment, and the bytes of what is about everyone."""
        store.append([register(0), hold("h"), register(1)], now=NOW)
        events = everything(store)
        found = list(store.entries(0, upto=2))
        assert [content for _, content, _ in found] == [None, events[1].canonical(), None]
        seals = {e.index: sealed for e, _, sealed in store.openings(upto=2)}
        assert {index: sealed for index, _, sealed in found} == seals
        assert [index for index, _, _ in store.entries(2, upto=9)] == [2]
        assert [e.index for e, _, _ in store.openings(upto=2, only=[0, 2, 7])] == [0, 2]

    def test_columns_say_what_the_bytes_say(self, store: SqlStore):
        """Of a random world, as of each T, in recorded order; a condition and a bound hold."""
        world = Maker(5, people=12).make()
        record(world, store)
        whole = expected_columns(store)
        assert sum(map(len, whole.values())) > 100
        for as_of in (world.as_of, day(30), day(0), BEGINNING):
            then = {t: [row for row in rows if row[1] <= as_of] for t, rows in whole.items()}
            assert columns_of(store, as_of) == then
        half = store.head().index // 2
        found = store.columns("fact", ("idx",), as_of=END, upto=half, where="value > 0")
        wanted = [row[0] for row in whole["fact"] if row[0] <= half and row[5] > 0]
        assert found.column("idx").to_pylist() == wanted
        with pytest.raises(LedgerError):
            store.columns("fact", ("nothing",), as_of=END, upto=9)

    def test_a_reader_sees_one_moment(self, place: Place, store: SqlStore):
        """What is recorded while events are being read is not among them, and is not kept back."""
        store.append([register(n) for n in range(50)], now=NOW)
        with closing(place.open()) as other, closing(store.every_event(upto=END)) as reading:
            first = next(reading)
            assert other.append([register(50)], now=NOW) == Head(50, NOW)
            assert [first.index, *(e.index for e in reading)] == list(range(50))
        assert store.head() == Head(50, NOW)

    # ── what is altered, unknown or no ledger ───────────────────────────────────────────────

    @pytest.mark.parametrize(
        "change",
        ["time = time + 1", "kind = 'version.objected'", "v = 2", "kind = 'unheard'", "idx = 77",
         "subject = 0", "subject = 99", "subject = NULL"],
    )  # fmt: skip
    def test_an_altered_column_is_noticed(self, change: str, place: Place, store: SqlStore):
        """Whoever changes a column of a recorded event behind our back stops the fold."""
        store.append([register(0), register(1)], now=NOW)
        place.query(f"UPDATE event SET {change} WHERE idx = 1")  # noqa: S608
        with pytest.raises(LetterlockError):
            fold(store.every_event(upto=99), END)

    def test_every_changed_byte_is_noticed(self, place: Place, store: SqlStore):
        """Flip a bit of any stored byte: it is not read, or its commitment does not open."""
        store.append([register(0)], now=NOW)
        ((content, salt, sealed),) = place.query("SELECT canonical, salt, commitment FROM event")
        for column, value in (("canonical", content), ("salt", salt), ("commitment", sealed)):
            for n in range(len(value)):
                changed = bytes([*value[:n], value[n] ^ 1 << n % 8, *value[n + 1 :]])
                place.query(f"UPDATE event SET {column} = ?", changed)  # noqa: S608
                try:
                    ((event, with_salt, told),) = store.openings(upto=0)
                except LedgerError:
                    continue
                assert commitment(with_salt, event.canonical()) != told
            place.query(f"UPDATE event SET {column} = ?", value)  # noqa: S608
        assert len(everything(store)) == 1

    def test_an_altered_name_is_noticed(self, place: Place, store: SqlStore):
        """An event whose subject is called otherwise than its bytes say is not read."""
        store.append([register(0)], now=NOW)
        store.append([Draft("version.objected", {"subject": "p0", "version": "p1"})], now=NOW)
        place.query("UPDATE subject SET text = (SELECT text FROM symbol)")
        with pytest.raises(LedgerError, match="was altered"):
            everything(store)

    @pytest.mark.parametrize("change", ["v = 2", "v = 0", "kind = 'choice.paused'", "kind = ''"])
    def test_an_event_of_another_time_refuses(self, change: str, place: Place, store: SqlStore):
        """An unknown version or kind is not skipped, neither by the events nor by the columns."""
        store.append([hold("h"), register(0)], now=NOW)
        for index in (0, 1):
            place.query(f"UPDATE event SET {change} WHERE idx = {index}")  # noqa: S608
            for read in (
                lambda: list(store.every_event(upto=9)),
                lambda: list(store.events(upto=9, subjects=["p0"])),
                lambda: store.columns("person", ("member",), as_of=END, upto=9),
            ):
                with pytest.raises(UnknownVersion, match="upgrade"):
                    read()
            kind = ["hold.set", "subject.registered"][index]
            place.query(f"UPDATE event SET v = 1, kind = '{kind}' WHERE idx = {index}")  # noqa: S608
        assert len(everything(store)) == 2
        with pytest.raises(UnknownVersion):
            store.append([register(0), Draft("unheard", {})], now=NOW)
        assert store.head() == Head(1, NOW)

    def test_a_ledger_of_a_later_revision_is_refused(self, place: Place, store: SqlStore):
        """What a newer program made of the schema, or a half-told one, is not opened."""
        store.append([register(0)], now=NOW)
        for change in ("UPDATE alembic_version SET version_num = 'later'",
                       "DELETE FROM alembic_version"):  # fmt: skip
            place.query(change)
            with pytest.raises(UnknownVersion, match="revision"):
                place.open()
        place.query("INSERT INTO alembic_version VALUES (?)", migrate.HEAD)
        with closing(place.open()) as again:
            assert again.head() == Head(0, NOW)

    def test_where_no_ledger_is_that_is_said(self, place: Place):
        """It is not made by opening it."""
        for _ in range(2):
            with pytest.raises(WorkspaceError, match="letterlock init"):
                place.open()

    # ── erasing ─────────────────────────────────────────────────────────────────────────────

    def test_what_is_erased_leaves_its_place_and_commitment(self, place: Place, store: SqlStore):
        """Content, salt and columns are gone, the rest stays, and the person is not known."""
        store.append([register(0), hold("h"), register(1), register(0)], now=NOW)
        kept = "SELECT idx, time, kind, v, subject, commitment FROM event ORDER BY idx"
        before = place.query(kept)
        store.erase(0, 3, now=NOW + DAY)
        assert place.query(kept)[:4] == before
        where = "canonical IS NULL AND salt IS NULL"
        assert place.query(f"SELECT idx FROM event WHERE {where} ORDER BY idx") == [(0,), (3,)]  # noqa: S608
        assert [e.body is None for e in everything(store)[:4]] == [True, False, False, True]
        assert [e.kind for e in everything(store)[4:]] == ["event.erased"] * 2
        assert [row[0] for row in columns_of(store)["person"]] == [2]
        assert columns_of(store)["erased"] == [(0, BEGINNING, 0), (3, BEGINNING, 0)]
        assert [e.index for e, _, _ in store.openings(upto=99)] == [1, 2, 4, 5]
        assert fold(everything(store), END).subjects.keys() == {"p1"}

    @pytest.mark.parametrize("index", [1, 99, -1])
    def test_only_what_is_about_a_person_can_be_erased(self, index: int, store: SqlStore):
        """What holds for everyone stays, and so does what was to be erased with it."""
        store.append([register(0), hold("h")], now=NOW)
        with pytest.raises(LedgerError, match="not about a person"):
            store.erase(0, index, now=NOW)
        assert store.head() == Head(1, NOW)
        assert all(e.body is not None for e in everything(store))
        assert store.erase(0, now=NOW) in {True, False}

    # ── others at work ──────────────────────────────────────────────────────────────────────

    def test_threads_lose_nothing(self, store: SqlStore):
        """Threads of one process record, number and read at once: all is there, once."""
        failed: list[BaseException] = []

        def work(name: str) -> None:
            try:
                for n in range(10):
                    store.append(ledger_child.drafts(name, n, 4), now=0)
                    store.numbers([f"{name} {n}", f"both {n}"])
                    list(store.events(upto=store.head().index, subjects=[f"shared-{n}"]))
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
                failed.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        assert store.head().index == 2 * 10 * 4 - 1
        assert len(store.subject_ids()) == len(set(store.subject_ids())) == 10 + 40 + 20 + 10
        assert columns_of(store) == expected_columns(store)

    @pytest.mark.slow
    @pytest.mark.usefixtures("store")
    def test_processes_at_once_lose_nothing(self, place: Place):
        """Writers take turns: every event of each is there, and no number means two things."""
        with ExitStack() as stack:
            names = ("one", "two", "three")
            running = [stack.enter_context(started(place, "append", n, 10, 7)) for n in names]
            numbering = stack.enter_context(started(place, "intern", "four", 30, 5))
            go(*running, numbering)
            finished([*running, numbering])
        events = check_whole(place)
        assert len(events) == 3 * 10 * 7
        for name in names:
            assert len([e for e in events if (e.subject or "").startswith(f"{name}-")]) == 10 * 3

    @pytest.mark.slow
    @pytest.mark.usefixtures("store")
    def test_of_writers_that_expect_the_same_one_wins(self, place: Place):
        """Compare-and-set across processes: each batch stands where its writer thought it would."""
        with ExitStack() as stack:
            names = ("one", "two", "three")
            running = [stack.enter_context(started(place, "compare", n, 10, 3)) for n in names]
            go(*running)
            finished(running)
        events = check_whole(place)
        assert len(events) == 3 * 10 * 3
        for event in events:
            assert event.body is not None
            assert event.body["version"] == f"after {event.index - event.index % 3 - 1}"

    # ── ends ────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize(
        "seed", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 12))]
    )
    def test_a_killed_writer_leaves_whole_transactions(
        self, seed: int, place: Place, store: SqlStore
    ):
        """SIGKILL anywhere: what was acknowledged is there, and of the rest whole batches only."""
        size = (1, 30, 700)[seed % 3]
        with started(place, "append", "one", 10**6, size) as process:
            go(process)
            process.stdout.readline()
            time.sleep(random.Random(seed).random() * 0.2)
            process.send_signal(signal.SIGKILL)
            acknowledged = [int(line) for line in process.stdout.read().split()]
            assert process.wait() == -signal.SIGKILL
        store.close()
        events = check_whole(place)
        assert len(events) % size == 0
        assert len(events) > max(acknowledged, default=size - 1)
        assert len(events) <= max(acknowledged, default=size - 1) + 1 + 2 * size

    @pytest.mark.usefixtures("store")
    @pytest.mark.parametrize(
        "seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (0, 2, 3, 4))]
    )
    def test_an_interrupted_writer_can_go_on(self, seed: int, place: Place):
        """SIGINT anywhere: whole batches only, and the same store records what comes next."""
        size = (2, 30, 700)[seed % 3]
        with started(place, "interrupted", "one", 10**6, size) as process:
            go(process)
            process.stdout.readline()
            time.sleep(random.Random(seed).random() * 0.1)
            process.send_signal(signal.SIGINT)
            ((*lines, told, last),) = finished([process])
        assert told == "interrupted"
        events = check_whole(place)
        assert len(events) == int(last) + 1
        assert len(events) % size == 0
        again = [e for e in events if (e.subject or "").startswith("one again")]
        assert [e.index for e in again] == list(range(len(events) - size + 1, len(events), 2))
        assert all(int(line) < len(events) - size for line in lines)
