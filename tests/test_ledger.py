"""The ledger: what is recorded stays, twice over, and what cannot be read refuses."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import letterlock
from columnar import record
from letterlock import approval
from letterlock.domain import (
    BEGINNING,
    DAY,
    END,
    Amendment,
    Clause,
    Fact,
    FactKind,
    Hold,
    Item,
    Level,
    Line,
    Notice,
    Objection,
    Operator,
    Party,
    Reason,
    Recipient,
    RecipientClass,
    Request,
    Role,
    Setting,
    Signature,
    Span,
    State,
    Subject,
    Time,
    Withdrawal,
)
from letterlock.errors import (
    HeadMoved,
    InputError,
    LedgerError,
    LetterlockError,
    UnknownVersion,
    WorkspaceError,
)
from letterlock.ledger import (
    KINDS,
    PERSONAL,
    SALT_SIZE,
    TABLES,
    Draft,
    Event,
    Head,
    clause_body,
    commitment,
    fold,
    fold_rules,
    read_clause,
    read_shape,
    rows_of,
    span_body,
)
from letterlock.lineage import events as lineage_events
from letterlock.policy.decide import decide
from letterlock.store import sqlite
from letterlock.store.sqlite import SqliteStore
from worlds import Maker, day

NOW = day(0)
EVIDENCE = {
    "time": day(-1), "channel": "web", "setting": "s", "language": "en", "browser": "b",
    "text": "a" * 64,
}  # fmt: skip
LINE = {"purpose": "infer", "data_class": "message.*", "recipient": "us"}
CLAUSE = {"id": "c", "level": "grant"}
SETTING = {"title": "t", "purposes": ["infer"], "data_classes": ["*"], "recipients": ["us"]}
SIGNATURES = [{"operator": "ash", "signature": "ab" * 64}]
RELEASE, HASH = "0" * 16, "0" * 64
KEYS = [approval.public_key(bytes([n]) * 32) for n in range(1, 5)]
"""The public keys of four operators."""

# A body of each kind that is well formed; `hold.lifted` and `setting.introduced` need BEFORE.
BODIES: Mapping[str, Mapping[str, Any]] = {
    "subject.registered": {
        "subject": "a", "member": True, "noticed": ["v1"],
        "facts": [{"kind": "birth_year", "value": 1980, "from": 0, "to": 9}],
    },
    "subject.fact": {"subject": "a", "kind": "jurisdiction", "value": "US", "from": 0, "to": 9},
    "notice.delivered": {"subject": "a", "version": "v1", "evidence": {"by": "mail"}},
    "version.objected": {"subject": "a", "version": "v1"},
    "version.objection_withdrawn": {"subject": "a", "version": "v1"},
    "contract.amended": {
        "subject": "a", "contract": "premium", "evidence": EVIDENCE,
        "lines": [{**LINE, "from": 0, "to": 9}],
    },
    "choice.made": {
        "subject": "a", "act": "grant", "evidence": EVIDENCE,
        "lines": [
            {**LINE, "from": 0, "to": 9, "earlier": True, "explicit": True,
             "categories": ["pay"], "expires": 9},
        ],
    },
    "consent.claimed": {"subject": "a", "claim": {"act": "grant", "lines": [LINE]}},
    "policy.published": {
        "version": "v1", "effective_at": NOW, "window": 0, "clauses": [CLAUSE],
        "data_classes": ["message.group"], "texts": {"s": {"en": "a" * 64}},
        "settings": {"s": SETTING}, "sensitive": {"message.group": ["pay", "health"]},
        "withdrawal": {"reaches": ["releases", "models"], "days": 30},
        "documents": {"policy.toml": "…"}, "signatures": SIGNATURES,
    },
    "contract.published": {"contract": "premium", "clauses": [CLAUSE]},
    "region.published": {"ages": {"US": 18}, "clauses": [CLAUSE]},
    "hold.set": {"hold": "h", "clauses": [CLAUSE], "lock": False, "order": "the regulator's"},
    "hold.lifted": {"hold": "stands", "signatures": SIGNATURES},
    "recipient.registered": {
        "recipient": "us", "name": "Us", "class": "controller", "signatures": SIGNATURES,
    },
    "setting.introduced": {"setting": "old", "version": "v0"},
    "operator.registered": {
        "operator": "ash", "name": "Ash", "key": KEYS[0], "signatures": SIGNATURES,
    },
    "declaration.made": {
        "requirement": "R48", "text": "Nobody else reads it.", "signatures": SIGNATURES,
    },
    "release.opened": {"anything": [1, None]},
    "release.sealed": {"anything": [1, None]},
    "key.introduced": {"anything": [1, None]},
    "key.destroyed": {"anything": [1, None]},
    "grants.sealed": {"anything": [1, None]},
    "statement.published": {"anything": [1, None]},
    # What left the gate: recorded as it is here, and read strictly by lineage/events.
    "recipient.keyed": {
        "recipient": "us", "encryption": "age1…", "signing": "us+…", "signatures": SIGNATURES,
    },
    "release.approved": {
        "release": RELEASE, "recipient": "us", "version": 0, "manifest": HASH, "terms": "",
        "signatures": SIGNATURES,
    },
    "release.delivered": {
        "release": RELEASE, "recipient": "us", "purpose": "infer", "version": 0, "manifest": HASH,
        "grant": "0" * 32, "key": "age1…", "terms": "", "feed": "", "expires": NOW,
    },
    "release.acknowledged": {
        "grant": "0" * 32, "release": RELEASE, "recipient": "us", "note": "…",
    },
    "release.superseded": {
        "release": RELEASE, "version": 1, "manifest": HASH, "opened": 1, "key": 0, "checked": 2,
        "members": 1, "depth": 0, "root": HASH, "rows": 1,
    },
    "release.recalled": {"release": RELEASE, "order": "the court's"},
    "drops.published": {
        "release": RELEASE, "version": 1, "list": HASH, "dropped": 1, "upto": 2,
        "members": 1, "depth": 0, "root": HASH, "rows": 1,
    },
    "model.trained": {
        "model": HASH, "name": "m", "owner": "us", "files": 1, "bytes": 1, "note": "",
        "sources": [{"release": RELEASE, "version": 0}, {"model": HASH, "how": "merge"}],
    },
    "model.destroyed": {
        "model": HASH, "owner": "us", "certificate": HASH, "complete": True, "note": "",
    },
    "obligation.due": {
        "duty": "drop", "cause": "withdrawal", "reasons": {"withdrawn": 1}, "release": RELEASE,
        "recipient": "", "model": "", "version": 1, "since": NOW, "due": NOW, "owner": "us",
        "order": "",
    },
    "obligation.met": {"obligation": 0, "evidence": 1},
    "order.received": {
        "order": "1 K 1/24", "text": "…", "signatures": SIGNATURES,
        "query": {
            "data_class": "message.*", "jurisdictions": ["US"], "contracts": [],
            "recipients": ["us"], "from": None, "to": None, "disclosed_before": NOW,
        },
    },
    "erasure.certified": {
        "obligation": 0, "complete": True, "signatures": SIGNATURES,
        "places": [{"where": "ledger", "outcome": "erased", "what": "2 events"}],
    },
    "event.erased": {"index": 0},
}  # fmt: skip

STANDS = Draft("hold.set", {"hold": "stands", "clauses": []})
V0 = {
    "version": "v0", "effective_at": NOW, "window": 0, "clauses": [], "data_classes": [],
    "settings": {"old": SETTING},
}  # fmt: skip
V1 = {**V0, "version": "v1", "settings": {}}
BEFORE = (STANDS, Draft("policy.published", V0))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Yield an empty ledger."""
    found = SqliteStore(tmp_path / "ledger.sqlite", create=True)
    yield found
    found.close()


def query(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Run SQL on a ledger's file, behind its back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(sql, values).fetchall()


def everything(store: SqliteStore) -> list[Event]:
    """Return every event."""
    return list(store.every_event(upto=store.head().index))


def register(n: int) -> Draft:
    """Return the registration of the n-th member."""
    return Draft("subject.registered", {"subject": f"p{n}", "member": True})


# ── the two folds ───────────────────────────────────────────────────────────────────────────


def rows(store: SqliteStore, table: str, as_of: Time) -> list[dict[str, Any]]:
    """Return the rows of a decision table, symbols and subjects by name."""
    names = {number: name for name, number in store.symbols().items()}
    ids = store.subject_ids()
    columns = ("idx", "time", "subject", *TABLES[table])
    found = store.columns(table, columns, as_of=as_of, upto=store.head().index).to_pylist()
    for row in found:
        row["subject"] = ids[row["subject"]]
        for key in SYMBOLS & row.keys():
            row[key] = names[row[key]]
        if row.get("kind") in {"jurisdiction", "contract"} and row["value"] >= 0:
            row["value"] = names[row["value"]]
    return found


SYMBOLS = {"kind", "version", "contract", "purpose", "pattern", "recipient", "shape"}


def rebuilt(store: SqliteStore, as_of: Time) -> dict[str, Subject]:
    """Rebuild every subject from the decision columns alone."""
    found: dict[str, Subject] = {}

    def subject_of(row: Mapping[str, Any]) -> Subject:
        return found.get(row["subject"], Subject(row["subject"], member=False))

    def add(row: Mapping[str, Any], key: str, value: object) -> None:
        subject = subject_of(row)
        changes: dict[str, Any] = {key: (*getattr(subject, key), value)}
        found[subject.id] = replace(subject, **changes)

    for row in rows(store, "person", as_of):
        found[row["subject"]] = replace(subject_of(row), member=row["member"] == 1)
    for row in rows(store, "fact", as_of):
        value, span = None if row["value"] == -1 else row["value"], Span(row["start"], row["stop"])
        fact = Fact(FactKind(row["kind"]), value, span, row["time"], (row["idx"], row["n"]))
        add(row, "facts", fact)
    for row in rows(store, "notice", as_of):
        told = Notice(row["version"], row["time"], at_registration=row["at_registration"] == 1)
        add(row, "notices", told)
    for row in rows(store, "objection", as_of):
        found[row["subject"]] = replace(
            subject_of(row), objections=objections_after(subject_of(row).objections, row)
        )
    for row in rows(store, "amendment", as_of):
        scope = (row[key] for key in ("contract", "purpose", "pattern", "recipient"))
        add(row, "amendments", Amendment(*scope, Span(row["start"], row["stop"])))
    for row in rows(store, "line", as_of):
        add(row, "lines", line_of(row))
    for row in rows(store, "erased", as_of):
        found.pop(row["subject"], None)
    return found


def objections_after(
    before: tuple[Objection, ...], row: Mapping[str, Any]
) -> tuple[Objection, ...]:
    """Return the objections once a row has made one, or taken those to its version back."""
    version, time = row["version"], row["time"]
    if not row["taken_back"]:
        return (*before, Objection(version, Span(time, END)))
    return tuple(
        Objection(version, Span(o.span.start, min(o.span.end, time))) if o.version == version else o
        for o in before
    )


def line_of(row: Mapping[str, Any]) -> Line:
    """Return a choice's line from its columns."""
    shape = read_shape(row["shape"])
    assert shape is not None
    return Line(
        shape.act, shape.purpose, shape.pattern, shape.recipient,
        Span(row["start"], row["stop"]), row["time"], row["idx"], shape.earlier,
        shape.explicit, shape.categories, row["expires"], shape.text,
    )  # fmt: skip


def reaching(subject: Subject) -> Subject:
    """Return a subject whose lines have the span that they reach, as the columns keep it."""
    return replace(subject, lines=tuple(replace(n, span=n.reach()) for n in subject.lines))


def with_erasures(seed: int, store: SqliteStore) -> SqliteStore:
    """Erase an event of some person in every other world."""
    head = store.head()
    personal = [e.index for e in everything(store) if e.kind in PERSONAL]
    if seed % 2:
        store.erase(random.Random(seed).choice(personal), now=head.time)
    return store


@pytest.mark.parametrize("seed", range(12))
def test_the_columns_add_up_to_the_same_state(seed: int, tmp_path: Path):
    """Rebuilt from columns, every person is who the fold over events says, at T and before it."""
    world = Maker(seed, people=12).make()
    with closing(with_erasures(seed, record(world, tmp_path / "ledger.sqlite"))) as store:
        for as_of in (world.as_of, day(30), day(0), BEGINNING):
            folded = fold(everything(store), as_of).subjects
            assert {n: reaching(s) for n, s in folded.items()} == rebuilt(store, as_of)


@pytest.mark.parametrize("seed", range(6))
def test_the_columns_say_what_the_canonical_bytes_say(seed: int, tmp_path: Path):
    """For each event, SQLite holds exactly the rows that its stored bytes give."""
    path = tmp_path / "ledger.sqlite"
    world = Maker(seed, people=12).make()
    with closing(with_erasures(seed, record(world, path))) as store:
        ids = store.subject_ids()
        symbols = store.symbols()
        expected: dict[str, list[tuple[int, ...]]] = {table: [] for table in TABLES}
        for idx, time, kind, number, content in query(
            path, "SELECT idx, time, kind, subject, canonical FROM event ORDER BY idx"
        ):
            if content is None:
                expected["erased"].append((idx, BEGINNING, number))
                continue
            told = json.loads(content)
            assert (told["index"], told["time"], told["kind"]) == (idx, time, kind)
            subject = None if number is None else ids[number]
            for table, values in rows_of(Event(idx, time, kind, told["body"], subject)):
                plain = (symbols[v] if isinstance(v, str) else v for v in values)
                expected[table].append((idx, time, number, *plain))
        for table, rows in expected.items():
            assert query(path, f"SELECT * FROM {table} ORDER BY rowid") == rows  # noqa: S608
        assert sum(map(len, expected.values())) > 100


def test_an_erased_event_denies_and_leaves_its_commitment(tmp_path: Path):
    """Content, salt and columns are gone, place and commitment stay, and the person denies."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteStore(path, create=True)) as store:
        drafts = [
            Draft("recipient.registered", BODIES["recipient.registered"]),
            Draft("region.published", {"ages": {"US": 18}, "clauses": []}),
            Draft("policy.published", {**BODIES["policy.published"], "sensitive": {}, "clauses": [
                {"id": "all", "level": "nothing"}]}),
        ]  # fmt: skip
        for name in ("a", "b"):
            facts = [{"kind": "jurisdiction", "value": "US"}, {"kind": "birth_year", "value": 1980}]
            body = {"subject": name, "member": True, "facts": facts, "noticed": ["v1"]}
            drafts.append(Draft("subject.registered", body))
        drafts.append(Draft("subject.fact", {"subject": "a", "kind": "contract"}))
        store.append(drafts, now=NOW)
        before = query(path, "SELECT idx, time, kind, v, subject, commitment FROM event")
        items = [Item("i", "message.group", NOW, (Party(n, Role.AUTHOR),)) for n in ("a", "b")]

        def answers() -> list[Reason | None]:
            state = fold(everything(store), NOW + DAY)
            return [decide(Request("infer", "us"), item, state).reason for item in items]

        assert answers() == [None, None]
        store.erase(5, now=NOW)
        assert answers() == [Reason.UNKNOWN_PARTY, None]
        assert rebuilt(store, NOW).keys() == {"b"}
        after = query(path, "SELECT idx, time, kind, v, subject, commitment FROM event")
        assert after[:6] == before
        assert query(path, "SELECT canonical, salt FROM event WHERE idx = 5") == [(None, None)]
        assert everything(store)[5].body is None
        assert [e.kind for e in everything(store)[6:]] == ["event.erased"]
        assert [e.index for e, _, _ in store.openings(upto=99)] == [0, 1, 2, 3, 4, 6]
        assert rows_of(everything(store)[5]) == []


def test_what_was_erased_is_in_no_file(tmp_path: Path):
    """Destroyed means destroyed: no page, free page or log of the ledger still holds the bytes."""
    secret = "erase me " * 2000
    body = {"subject": "a", "act": "object", "lines": [{}]}
    evidence = {"time": 0, "channel": secret}
    with closing(SqliteStore(tmp_path / "ledger.sqlite", create=True)) as store:
        store.append([Draft("choice.made", {**body, "evidence": evidence}), register(0)], now=NOW)
        ((salt,),) = query(tmp_path / "ledger.sqlite", "SELECT salt FROM event WHERE idx = 0")
    with closing(SqliteStore(tmp_path / "ledger.sqlite")) as store:
        store.erase(0, now=NOW)
        for file in tmp_path.iterdir():
            assert b"erase me erase me" not in file.read_bytes(), file.name
            assert salt not in file.read_bytes(), file.name


@pytest.mark.parametrize("index", [0, 2, 99, -1])
def test_only_what_is_about_a_person_can_be_erased(index: int, store: SqliteStore):
    """What holds for everyone stays; so does what was never recorded."""
    store.append([STANDS, register(1), STANDS_TOO], now=NOW)
    with pytest.raises(LedgerError, match="not about a person"):
        store.erase(index, now=NOW)
    assert store.head() == Head(2, NOW)


STANDS_TOO = Draft("hold.set", {"hold": "stands too", "clauses": []})


# ── commitments and alterations ─────────────────────────────────────────────────────────────


def test_every_commitment_opens(tmp_path: Path):
    """Each event's commitment is that of its salt and canonical bytes; no salt is used twice."""
    with closing(record(Maker(3).make(), tmp_path / "ledger.sqlite")) as store:
        found = list(store.openings(upto=store.head().index))
        for event, salt, sealed in found:
            content = event.canonical()
            assert sealed == commitment(salt, content)
            assert len(sealed) == 32
            for bit in (0, len(salt) * 8 - 1):
                assert commitment(flipped(salt, bit), content) != sealed
            for bit in (0, len(content) * 8 - 1):
                assert commitment(salt, flipped(content, bit)) != sealed
        assert len({salt for _, salt, _ in found}) == len(found) == store.head().index + 1
        assert {len(salt) for _, salt, _ in found} == {SALT_SIZE}
        assert [e.index for e, _, _ in store.openings(upto=3)] == [0, 1, 2, 3]


def flipped(data: bytes, bit: int) -> bytes:
    """Flip one bit."""
    found = bytearray(data)
    found[bit // 8] ^= 1 << bit % 8
    return bytes(found)


def test_a_commitment_is_the_hash_that_the_specification_says():
    """SHA-256 over the label, the salt and the canonical event, computed by hand."""
    event = Event(7, 5, "notice.delivered", {"subject": "a", "version": "v1"}, "a")
    text = (
        '{"body":{"subject":"a","version":"v1"},"index":7,"kind":"notice.delivered","time":5,"v":1}'
    )
    assert event.canonical() == text.encode()
    label = b"letterlock/commitment/v1\x00"
    expected = hashlib.sha256(label + b"s" * 32 + text.encode()).digest()
    assert commitment(b"s" * 32, event.canonical()) == expected


@pytest.mark.parametrize(
    "change",
    [
        "time = time + 1",
        "kind = 'version.objected'",
        "v = 2",
        "kind = 'unheard'",
        "canonical = CAST(canonical || ' ' AS BLOB)",
        "canonical = CAST(canonical AS TEXT)",
        "canonical = x'ff'",
        "canonical = CAST('[]' AS BLOB)",
        "canonical = CAST('{}' AS BLOB)",
        "canonical = CAST('null' AS BLOB)",
        "canonical = CAST('{\"body\":[]}' AS BLOB)",
        "canonical = CAST(replace(canonical, '\"p1\"', '\"p2\"') AS BLOB)",
        "idx = 77",
        "subject = 0",
        "subject = 99",
        "subject = NULL",
    ],
)
def test_an_altered_event_is_noticed(change: str, tmp_path: Path):
    """Whoever changes a column or the bytes of a recorded event behind our back stops the fold."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteStore(path, create=True)) as store:
        store.append([register(0), register(1)], now=NOW)
        query(path, f"UPDATE event SET {change} WHERE idx = 1")  # noqa: S608
        with pytest.raises(LetterlockError):
            fold(store.every_event(upto=99), END)


def test_a_rewritten_event_no_longer_opens(tmp_path: Path):
    """Bytes that were rewritten consistently are read, but their commitment tells."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteStore(path, create=True)) as store:
        store.append([register(0)], now=NOW)
        query(
            path, "UPDATE event SET canonical = CAST(replace(canonical, 'true', 'false') AS BLOB)"
        )
        ((event, salt, sealed),) = store.openings(upto=0)
        assert event.body == {"subject": "p0", "member": False}
        assert commitment(salt, event.canonical()) != sealed


def test_every_bit_of_an_event_counts(tmp_path: Path):
    """Flip any bit of the stored bytes: they are not read, or their commitment does not open."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteStore(path, create=True)) as store:
        store.append([register(0)], now=NOW)
        ((content, sealed, salt),) = query(path, "SELECT canonical, commitment, salt FROM event")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for bit in range(len(content) * 8):
                changed = flipped(content, bit)
                connection.execute("UPDATE event SET canonical = ?", [changed])
                with suppress(LedgerError):
                    (event,) = everything(store)
                    assert event.canonical() == changed
                    assert commitment(salt, changed) != sealed


# ── versions ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("change", ["v = 2", "v = 0", "kind = 'choice.paused'", "kind = ''"])
def test_an_event_of_another_time_refuses(change: str, tmp_path: Path):
    """An unknown version or kind, of a person or of everyone, is not skipped: reading refuses."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteStore(path, create=True)) as store:
        store.append([STANDS, register(0)], now=NOW)
        for index in (0, 1):
            query(path, f"UPDATE event SET {change} WHERE idx = ?", index)  # noqa: S608
            with pytest.raises(UnknownVersion, match="upgrade"):
                list(store.every_event(upto=9))
            with pytest.raises(UnknownVersion):
                list(store.events(upto=9, subjects=["p0"]))
            query(path, "UPDATE event SET v = 1, kind = ? WHERE idx = ?",
                  ["hold.set", "subject.registered"][index], index)  # fmt: skip
        assert len(everything(store)) == 2


@pytest.mark.parametrize(
    "event", [Event(0, 0, "unheard", {}), Event(0, 0, "hold.set", {"hold": "h"}, v=2)]
)
def test_the_folds_refuse_what_they_do_not_know(event: Event):
    """Not only the store looks: fold and fold_rules refuse an unknown version or kind."""
    with pytest.raises(UnknownVersion):
        fold([event], END)
    with pytest.raises(UnknownVersion):
        fold_rules([event], END)
    with pytest.raises(UnknownVersion):
        fold_rules([], END, admit=event)


def test_an_unknown_kind_is_not_recorded(store: SqliteStore):
    """A draft of an unknown kind is refused, and nothing of its batch is kept."""
    with pytest.raises(UnknownVersion):
        store.append([register(0), Draft("unheard", {})], now=NOW)
    assert store.head() == Head(-1, BEGINNING)
    assert store.subject_ids() == []


def test_a_ledger_of_another_schema_is_refused(tmp_path: Path):
    """A file that a newer program wrote is not opened."""
    path = tmp_path / "ledger.sqlite"
    SqliteStore(path, create=True).close()
    query(path, "PRAGMA user_version=2")
    with pytest.raises(UnknownVersion, match="schema 2"):
        SqliteStore(path)


def test_what_is_no_ledger_is_refused(tmp_path: Path):
    """A missing file says what to run; another file's bytes are left alone."""
    with pytest.raises(WorkspaceError, match="letterlock init"):
        SqliteStore(tmp_path / "missing")
    other = tmp_path / "other"
    other.write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError, match="cannot be used"):
        SqliteStore(other)
    assert other.read_bytes() == b"not a database" * 100


# ── ledgers of older programs ───────────────────────────────────────────────────────────────

OLDER = {
    "none": "DROP INDEX event_unknown",
    "fewer kinds": (
        "DROP INDEX event_unknown; CREATE INDEX event_unknown ON event (idx) "
        "WHERE v <> 1 OR kind NOT IN ('subject.registered', 'unheard')"
    ),
    "no condition": "DROP INDEX event_unknown; CREATE INDEX event_unknown ON event (idx)",
}
INDEX = "SELECT sql FROM sqlite_master WHERE name = 'event_unknown'"


def older(path: Path, how: str) -> str:
    """Make a ledger with the index that an older program made; returns what ours makes of it."""
    with closing(SqliteStore(path, create=True)) as store:
        store.append([register(0), register(1)], now=NOW)
    ((ours,),) = query(path, INDEX)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLDER[how])
    assert query(path, INDEX) != [(ours,)]
    return str(ours)


@pytest.mark.parametrize("how", OLDER)
def test_the_index_of_an_older_program_is_made_anew(how: str, tmp_path: Path):
    """Opening is enough; then a plan's columns refuse what this program does not know, as ever."""
    path = tmp_path / "ledger.sqlite"
    ours = older(path, how)
    condition = ours[ours.index("WHERE") :]
    with closing(SqliteStore(path)) as store:
        assert query(path, INDEX) == [(ours,)]
        assert store.columns("person", ("member",), as_of=END, upto=9).num_rows == 2
        explained = query(path, f"EXPLAIN QUERY PLAN SELECT idx FROM event {condition}")  # noqa: S608
        assert "event_unknown" in explained[0][-1]
    query(path, "UPDATE event SET kind = 'unheard' WHERE idx = 1")
    with closing(SqliteStore(path)) as store, pytest.raises(UnknownVersion, match="upgrade"):
        store.columns("person", ("member",), as_of=END, upto=9)


def test_an_index_that_is_ours_is_left_alone(tmp_path: Path):
    """A ledger that this program made is not written to when it is opened."""
    path = tmp_path / "ledger.sqlite"
    SqliteStore(path, create=True).close()
    before = query(path, "PRAGMA schema_version")
    SqliteStore(path).close()
    assert query(path, "PRAGMA schema_version") == before


@pytest.mark.parametrize("how", OLDER)
def test_what_cannot_be_written_is_refused_in_words_or_read(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Where nothing can be written, our own ledger is read; an older one ends in one error."""
    path = tmp_path / "ledger.sqlite"
    older(path, how)
    configure = sqlite._configure  # noqa: SLF001 - a disk that cannot be written to

    def read_only(connection: Any, record: object) -> None:
        configure(connection, record)
        connection.execute("PRAGMA query_only=ON")

    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "_configure", read_only)
        with pytest.raises(LedgerError, match=r"cannot be used: .*readonly"):
            SqliteStore(path)
    SqliteStore(path).close()
    monkeypatch.setattr(sqlite, "_configure", read_only)
    with closing(SqliteStore(path)) as store:
        assert len(everything(store)) == 2


def test_what_another_process_made_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whoever waited for somebody else to make the index does not make it again."""
    path = tmp_path / "ledger.sqlite"
    SqliteStore(path, create=True).close()
    before = query(path, "PRAGMA schema_version")
    looks = iter([False, True])
    monkeypatch.setattr(sqlite, "_is_indexed", lambda _connection: next(looks))
    SqliteStore(path).close()
    assert query(path, "PRAGMA schema_version") == before
    assert not list(looks)


def test_an_erased_event_of_another_time_refuses_too(tmp_path: Path):
    """Its bytes are gone, its kind is not: the columns are not read past it."""
    path = tmp_path / "ledger.sqlite"
    with closing(SqliteStore(path, create=True)) as store:
        store.append([register(0)], now=NOW)
        store.erase(0, now=NOW)
        query(path, "UPDATE event SET kind = 'unheard' WHERE idx = 0")
        with pytest.raises(UnknownVersion, match="upgrade"):
            store.columns("person", ("member",), as_of=END, upto=9)


OPENER = """
import sys
from pathlib import Path
from letterlock.store.sqlite import SqliteStore

print("ready", flush=True)
sys.stdin.readline()
store = SqliteStore(Path(sys.argv[1]))
print(store.head().index, flush=True)
"""


@pytest.mark.parametrize("how", OLDER)
def test_two_processes_may_open_an_older_ledger_at_once(how: str, tmp_path: Path):
    """Each waits for the other, neither fails, and the index is ours."""
    path = tmp_path / "ledger.sqlite"
    ours = older(path, how)
    with started(OPENER, path) as one, started(OPENER, path) as two:
        go(one, two)
        assert [p.communicate()[0].split() for p in (one, two)] == [["1"], ["1"]]
        assert [p.returncode for p in (one, two)] == [0, 0]
    assert query(path, INDEX) == [(ours,)]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


# ── recording ───────────────────────────────────────────────────────────────────────────────


def test_recorded_time_never_goes_back(store: SqliteStore):
    """A clock before the last event records nothing; the same moment is no step back."""
    assert store.head() == Head(-1, BEGINNING)
    assert store.append([register(0)], now=NOW) == Head(0, NOW)
    assert store.append([register(1)], now=NOW) == Head(1, NOW)
    with pytest.raises(LedgerError, match="never goes back"):
        store.append([register(2)], now=NOW - 1)
    with pytest.raises(LedgerError, match="never goes back"):
        store.erase(0, now=NOW - 1)
    assert store.head() == Head(1, NOW)
    assert store.append([], now=NOW + 5) == Head(1, NOW)
    assert everything(store)[0].body is not None


def test_what_follows_the_opening_of_a_release_is_later(store: SqliteStore):
    """Nothing recorded after a release was asked for may have been recorded by its T."""
    store.append([register(0), Draft("release.opened", {"as_of": NOW})], now=NOW)
    state = fold(everything(store), NOW)
    assert store.append([register(1)], now=NOW) == Head(2, NOW + 1)
    assert store.append([register(2)], now=NOW + 1) == Head(3, NOW + 1)
    assert fold(everything(store), NOW) == state
    store.append([Draft("release.opened", {})], now=NOW + 9)
    store.erase(0, now=NOW + 9)
    assert store.head() == Head(5, NOW + 10)


def test_somebody_else_who_recorded_meanwhile_is_noticed(store: SqliteStore):
    """Compare-and-set: with a head that moved nothing is recorded, with the right one it is."""
    store.append([register(0)], now=NOW, expect=-1)
    for expected in (-1, 1, 5):
        with pytest.raises(HeadMoved, match="moved"):
            store.append([register(1)], now=NOW, expect=expected)
    assert store.append([register(1)], now=NOW, expect=0) == Head(1, NOW)


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
def test_a_batch_is_recorded_as_a_whole_or_not_at_all(
    batch: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Whatever goes wrong, and in whichever insert, no event, symbol or subject is left of it."""
    monkeypatch.setattr(sqlite, "BATCH", batch)
    path = tmp_path / "ledger.sqlite"

    def failing() -> Iterator[Draft]:
        yield from good
        raise KeyboardInterrupt

    good = [register(0), STANDS, Draft("version.objected", {"subject": "new", "version": "v7"})]
    bad = Draft("subject.fact", {"subject": "new", "kind": "shoe_size"})
    with closing(SqliteStore(path, create=True)) as store:
        with pytest.raises(InputError, match="shoe_size"):
            store.append([*good, bad], now=NOW)
        with pytest.raises(KeyboardInterrupt):
            store.append(failing(), now=NOW)
        assert store.head() == Head(-1, BEGINNING)
        assert dump(path) == {table: [] for table in TABLE_NAMES}
        # What was interned and rolled back is interned anew, under the same numbers.
        store.append(reversed(good), now=NOW)
        assert store.subject_ids() == ["new", "p0"]
        assert dict(store.symbols()) == {"v7": 0}
        assert fold(everything(store), NOW).subjects.keys() == {"new", "p0"}
        assert rebuilt(store, NOW).keys() == {"new", "p0"}


TABLE_NAMES = ("event", "symbol", "subject", *TABLES)


def dump(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that a ledger holds."""
    return {t: query(path, f"SELECT * FROM {t} ORDER BY rowid") for t in TABLE_NAMES}  # noqa: S608


def test_rules_of_one_batch_see_each_other(store: SqliteStore):
    """A second version of the same name is refused also within one append."""
    policy = Draft("policy.published", BODIES["policy.published"])
    with pytest.raises(InputError, match="already published"):
        store.append([policy, register(0), policy], now=NOW)
    assert store.append([STANDS, Draft("hold.lifted", {"hold": "stands"})], now=NOW).index == 1
    assert fold_rules(everything(store), NOW).holds == ()


def test_events_of_some_people_come_with_those_of_everyone(store: SqliteStore):
    """Asked for some people, the ledger leaves out the others and nothing else."""
    store.append([register(0), STANDS, register(1), register(2), register(0)], now=NOW)
    assert [e.index for e in store.events(upto=9)] == [1]
    assert [e.index for e in store.events(upto=9, subjects=["p0", "nobody"])] == [0, 1, 4]
    assert [e.index for e in store.events(upto=2, subjects=["p0", "p1"])] == [0, 1, 2]
    assert [e.subject for e in store.events(upto=9, subjects=["p2"])] == [None, "p2"]


def test_subjects_are_numbered_once(store: SqliteStore):
    """A subject keeps its number, whoever asks first, in this process or another."""
    assert store.numbers(["b", "a", "b"]).tolist() == [0, 1, 0]
    store.append([Draft("version.objected", {"subject": "c", "version": "b"})], now=NOW)
    assert store.numbers(["c", "a"]).tolist() == [2, 1]
    assert store.numbers([]).tolist() == []
    assert store.subject_ids() == ["b", "a", "c"]


def test_numbers_are_all_or_none_too(store: SqliteStore):
    """A name that cannot be stored leaves nothing behind, and the others keep their numbers."""
    store.numbers(["a"])
    with pytest.raises((LetterlockError, UnicodeEncodeError)):
        store.numbers(["b", "\ud800"])
    assert store.numbers(["c", "a"]).tolist() == [1, 0]
    assert store.subject_ids() == ["a", "c"]


def test_commits_are_durable(tmp_path: Path):
    """Each connection that the store opens uses WAL and synchronous=FULL, and waits for others."""
    found: list[list[Any]] = []

    def spy(connection: Any, _record: object, _proxy: object) -> None:
        pragmas = ("journal_mode", "synchronous", "busy_timeout", "secure_delete")
        found.append([connection.execute(f"PRAGMA {p}").fetchone()[0] for p in pragmas])

    sa.event.listen(sa.pool.Pool, "checkout", spy)
    try:
        with closing(SqliteStore(tmp_path / "ledger.sqlite", create=True)) as store:
            store.append([register(0)], now=NOW)
    finally:
        sa.event.remove(sa.pool.Pool, "checkout", spy)
    assert found
    assert all(pragmas == ["wal", 2, 30000, 1] for pragmas in found)


def test_columns_and_connections_keep_apart(tmp_path: Path):
    """Columns are not read while this process has the ledger open, for its locks would be lost."""
    with closing(SqliteStore(tmp_path / "ledger.sqlite", create=True)) as store:
        store.append([register(0)], now=NOW)
        reading = store.every_event(upto=0)
        next(reading)
        with pytest.raises(LedgerError, match="while events are being read"):
            store.columns("person", ("member",), as_of=NOW, upto=0)
        reading.close()
        assert store.columns("person", ("member",), as_of=NOW, upto=0).num_rows == 1


# ── other processes ─────────────────────────────────────────────────────────────────────────

APPENDER = """
import sys
from pathlib import Path
from letterlock.ledger import Draft
from letterlock.store.sqlite import SqliteStore

path, name, batches, size = sys.argv[1:]
store = SqliteStore(Path(path))
print("ready", flush=True)
sys.stdin.readline()
for batch in range(int(batches)):
    drafts = []
    for n in range(int(size)):
        who = f"{name}-{batch}-{n}" if n % 2 else f"shared-{batch}"
        body = {"subject": who, "version": f"v{batch}"}
        drafts.append(Draft("version.objected" if n % 2 else "notice.delivered", body))
    store.append(drafts, now=0)
    print(batch, flush=True)
"""


@contextmanager
def started(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start a process that runs a program."""
    source = Path(letterlock.__file__).parents[1]
    whole = f"import sys; sys.path.insert(0, {str(source)!r})\n{program}"
    with subprocess.Popen(
        [sys.executable, "-c", whole, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
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


def check_whole(path: Path) -> list[Event]:
    """Check that a ledger is sound, that columns and events agree, and that it goes on."""
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    with closing(SqliteStore(path)) as store:
        events = everything(store)
        assert [e.index for e in events] == list(range(len(events)))
        for event, salt, sealed in store.openings(upto=store.head().index):
            assert sealed == commitment(salt, event.canonical())
        assert rebuilt(store, END) == fold(events, END).subjects
        assert sorted(store.subject_ids()) == sorted({e.subject or "" for e in events})
        assert store.append([register(0)], now=NOW).index == len(events)
    return events


def test_two_processes_at_once_lose_nothing(tmp_path: Path):
    """Two writers take turns: every event of both is there, and no number means two things."""
    path = tmp_path / "ledger.sqlite"
    SqliteStore(path, create=True).close()
    with started(APPENDER, path, "one", 15, 7) as one, started(APPENDER, path, "two", 15, 7) as two:
        go(one, two)
        assert [p.communicate()[0].split()[-1] for p in (one, two)] == ["14", "14"]
        assert [p.returncode for p in (one, two)] == [0, 0]
    events = check_whole(path)
    assert len(events) == 2 * 15 * 7
    for name in ("one", "two"):
        mine = [e for e in events if e.subject and e.subject.startswith(name)]
        assert len(mine) == 15 * 3


@pytest.mark.parametrize("acknowledged", [0, 1, 3])
def test_a_killed_writer_leaves_whole_transactions(acknowledged: int, tmp_path: Path):
    """SIGKILL in mid-append: what was acknowledged is there, and of the rest whole batches only."""
    path, size = tmp_path / "ledger.sqlite", 1500
    SqliteStore(path, create=True).close()
    with started(APPENDER, path, "one", 1000, size) as process:
        go(process)
        assert process.stdout is not None
        for _ in range(acknowledged):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    events = check_whole(path)
    assert len(events) % size == 0
    assert len(events) >= acknowledged * size


# ── malformed bodies ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """Yield a ledger that holds what some kinds need before, and inserts each event at once."""
    monkeypatch.setattr(sqlite, "BATCH", 1)
    with closing(SqliteStore(tmp_path / "ledger.sqlite", create=True)) as found:
        found.append(BEFORE, now=NOW)
        yield found


class TakenBackError(Exception):
    """Nothing was wrong with a draft."""


def would_record(store: SqliteStore, kind: str, body: Any) -> bool:
    """Record a body that may be malformed and take it back; only our own errors may escape."""

    def drafts() -> Iterator[Draft]:
        yield Draft(kind, body)
        raise TakenBackError

    try:
        store.append(drafts(), now=max(NOW, store.head().time))
    except LetterlockError:
        return False
    except TakenBackError:
        pass
    # What would be recorded can be read, and says the same.
    before = [Event(n, NOW, draft.kind, draft.body) for n, draft in enumerate(BEFORE)]
    event = Event(len(before), NOW, kind, body, body["subject"] if kind in PERSONAL else None)
    assert json.loads(event.canonical())["body"] == body
    state = fold([*before, event], NOW)
    decide_something(state)
    return True


def decide_something(state: State) -> None:
    """Ask about everybody in a state: whatever was recorded, there is an answer."""
    for recipient, name in product(state.rules.recipients, (*state.subjects, None)):
        for data_class in state.rules.data_classes:
            item = Item("i", data_class, NOW, (Party(name, Role.QUOTED), Party(name, Role.AUTHOR)))
            decide(Request("infer", recipient), item, state)


def test_every_kind_can_be_recorded(trial: SqliteStore):
    """Each kind there is has a body here that is recorded, and read back as it was."""
    assert BODIES.keys() == KINDS
    for kind, body in BODIES.items():
        assert would_record(trial, kind, body)
        trial.append([Draft(kind, body)], now=max(NOW, trial.head().time))
        event = everything(trial)[-1]
        assert (event.kind, event.body) == (kind, body)
        subject = body.get("subject") if kind in PERSONAL else None
        assert event.subject == subject


def at(body: Any, path: Sequence[str | int]) -> Any:
    """Return the value at a path."""
    for key in path:
        body = body[key]
    return body


def changed(body: Any, path: Sequence[str | int], value: object) -> Any:
    """Return a body with another value at the end of a path; `...` takes the key away."""
    if not path:
        return value
    key, *rest = path
    copy = list(body) if isinstance(body, list) else dict(body)
    if not rest and value is ...:
        del copy[key]  # type: ignore[arg-type]
    else:
        copy[key] = changed(copy[key], rest, value)  # type: ignore[call-overload,index]
    return copy


def paths(body: Any) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value in a body."""
    if isinstance(body, dict | list):
        for key in body if isinstance(body, dict) else range(len(body)):
            yield (key,)
            yield from ((key, *rest) for rest in paths(body[key]))


KEPT = {
    "event.erased", "key.introduced", "key.destroyed", "grants.sealed", "statement.published",
    *lineage_events.KINDS,
}  # fmt: skip
READ = sorted(KINDS - KEPT)
OPTIONAL = {
    "facts", "noticed", "from", "to", "value", "setting", "language", "earlier", "explicit",
    "categories", "expires", "texts", "settings", "lock", "by", "browser", "sensitive",
    "withdrawal", "documents", "signatures", "order",
}  # fmt: skip
ALSO_OPTIONAL = {
    ("notice.delivered", ("evidence",)),
    ("contract.amended", ("evidence", "text")),
}
MAPS = {("texts",), ("texts", "s"), ("settings",), ("ages",), ("sensitive",), ("documents",)}
"""Objects whose keys are names, not words of ours."""


@pytest.mark.parametrize("kind", READ)
def test_a_missing_or_unknown_key_is_refused(kind: str, trial: SqliteStore):
    """Each key that is not optional is needed, wherever it stands, and no other key is taken."""
    body = BODIES[kind]
    # The evidence of a notice is the notifier's own, and a claim is as it was made.
    free = kind in {"notice.delivered", "consent.claimed"}
    refused = 0
    for path in paths(body):
        if kind == "consent.claimed" and len(path) > 1:
            continue
        needed = path[:-1] not in MAPS and path[-1] not in OPTIONAL and isinstance(path[-1], str)
        if needed and (kind, path) not in ALSO_OPTIONAL:
            assert not would_record(trial, kind, changed(body, path, ...)), path
            refused += 1
    for path in [(), *paths(body)]:
        there = at(body, path)
        if isinstance(there, dict) and path not in MAPS and not (free and path):
            assert not would_record(trial, kind, changed(body, path, {**there, "unheard": 1})), path
            refused += 1
    assert refused >= 2


WRONG = (
    None, True, 0, -1, 1.5, END + 1, "", "unheard", "*", "\ud800", [], [None], ["\ud800"], [[]],
    [{}], {}, {"": 0}, {"a": None}, {"a": {"b": []}},
)  # fmt: skip


@pytest.mark.parametrize(
    "values", [pytest.param(WRONG[::3], id="some"), pytest.param(WRONG, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_wrong_value_is_refused_or_recorded_as_it_is(
    kind: str, values: tuple[Any, ...], trial: SqliteStore
):
    """Whatever stands in whichever place, nothing but our own errors escapes."""
    refused = 0
    for path in paths(BODIES[kind]):
        for value in values:
            refused += not would_record(trial, kind, changed(BODIES[kind], path, value))
    assert refused >= 1


GRANT, REFUSAL = BODIES["choice.made"], {"subject": "a", "act": "object", "lines": [{}]}
POLICY, OPERATOR = BODIES["policy.published"], BODIES["operator.registered"]
FACT = BODIES["subject.fact"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("choice.made", {**GRANT, "lines": []}),
        ("choice.made", {**GRANT, "act": "permit"}),
        ("choice.made", {**GRANT, "evidence": {"time": 0, "channel": "web"}}),
        ("choice.made", {**GRANT, "lines": [{**LINE, "purpose": "*"}]}),
        ("choice.made", {**GRANT, "lines": [{**LINE, "recipient": "*"}]}),
        ("choice.made", {**GRANT, "lines": [{**LINE, "from": 5, "to": 4}]}),
        ("choice.made", {**GRANT, "lines": [{**LINE, "from": BEGINNING - 1}]}),
        ("choice.made", {**GRANT, "lines": [{**LINE, "to": END + 1}]}),
        ("choice.made", {**GRANT, "lines": [{**LINE, "categories": [""]}]}),
        ("choice.made", {**REFUSAL, "lines": [{"expires": 5}]}),
        ("choice.made", {**REFUSAL, "lines": [{"explicit": True}]}),
        ("choice.made", {**REFUSAL, "lines": [{"earlier": True}]}),
        ("choice.made", {**REFUSAL, "lines": [{"categories": ["pay"]}]}),
        ("choice.made", {**REFUSAL, "evidence": None}),
        ("choice.made", {**REFUSAL, "evidence": {"channel": "web"}}),
        ("notice.delivered", {"subject": "a", "version": "v1", "evidence": "by mail"}),
        ("subject.registered", {"subject": "a", "member": 1}),
        ("subject.registered", {"subject": "a", "member": None}),
        ("subject.registered", {"subject": 5, "member": True}),
        ("subject.registered", {"subject": None, "member": True}),
        ("subject.registered", {"subject": "", "member": True}),
        ("subject.registered", {"subject": "\ud800", "member": True}),
        ("subject.registered", {"member": True}),
        ("subject.fact", {**FACT, "value": ""}),
        ("subject.fact", {**FACT, "value": 5}),
        ("subject.fact", {**FACT, "kind": "shoe_size"}),
        ("subject.fact", {**FACT, "kind": "birth_year", "value": 1799}),
        ("subject.fact", {**FACT, "kind": "birth_year", "value": 10_000}),
        ("subject.fact", {**FACT, "kind": "birth_year", "value": "1980"}),
        ("subject.fact", {**FACT, "kind": "birth_year", "value": True}),
        ("policy.published", {**POLICY, "effective_at": NOW - 1}),
        ("policy.published", {**POLICY, "window": -1}),
        ("policy.published", {**POLICY, "clauses": [{**CLAUSE, "level": "maybe"}]}),
        ("policy.published", {**POLICY, "clauses": [{**CLAUSE, "level": "unreadable"}]}),
        ("policy.published", {**POLICY, "clauses": [{**CLAUSE, "from": 5, "to": 4}]}),
        ("policy.published", {**POLICY, "clauses": [{**CLAUSE, "unheard": 1}]}),
        ("policy.published", {**POLICY, "clauses": ["all"]}),
        ("policy.published", {**POLICY, "texts": {"s": "hash"}}),
        ("policy.published", {**POLICY, "texts": {"s": {"en": ["hash"]}}}),
        ("policy.published", {**POLICY, "texts": {"s": {"en": None}}}),
        ("policy.published", {**POLICY, "settings": {"s": None}}),
        ("policy.published", {**POLICY, "sensitive": ["pay"]}),
        ("policy.published", {**POLICY, "sensitive": {"message.group": "pay"}}),
        ("policy.published", {**POLICY, "sensitive": {"message.group": [""]}}),
        ("policy.published", {**POLICY, "withdrawal": {"reaches": ["models"]}}),
        ("policy.published", {**POLICY, "withdrawal": {"reaches": ["models"], "days": "30"}}),
        ("policy.published", {**POLICY, "withdrawal": {"reaches": "models", "days": 30}}),
        ("policy.published", {**POLICY, "documents": {"policy.toml": None}}),
        ("policy.published", {**POLICY, "documents": "…"}),
        ("policy.published", {**POLICY, "document": "…"}),
        ("policy.published", {**POLICY, "signatures": [["ash", "ab" * 64]]}),
        ("policy.published", {**POLICY, "signatures": [{"operator": "ash"}]}),
        ("policy.published", {**POLICY, "signatures": [{**SIGNATURES[0], "time": 0}]}),
        ("consent.claimed", {"subject": "a"}),
        ("consent.claimed", {"subject": "a", "claim": "yes"}),
        ("consent.claimed", {"subject": "a", "claim": {"share": 0.5}}),
        ("choice.made", {**GRANT, "evidence": {**EVIDENCE, "browser": ""}}),
        ("setting.introduced", {"setting": "old", "version": "v1"}),
        ("setting.introduced", {"setting": "s", "version": "v0"}),
        ("setting.introduced", {"setting": "old"}),
        ("operator.registered", {**OPERATOR, "key": KEYS[0][:-2]}),
        ("operator.registered", {**OPERATOR, "key": KEYS[0].upper()}),
        ("operator.registered", {**OPERATOR, "key": "00" * 32}),
        ("operator.registered", {**OPERATOR, "operator": "Ash"}),
        ("operator.registered", {**OPERATOR, "operator": "\N{CYRILLIC SMALL LETTER A}sh"}),
        ("operator.registered", {**OPERATOR, "operator": "../ash"}),
        ("operator.registered", {**OPERATOR, "operator": "a" * 65}),
        ("operator.registered", {**OPERATOR, "name": ""}),
        ("declaration.made", {"requirement": "R48", "text": ""}),
        ("hold.set", {"hold": "h", "clauses": [], "order": 5}),
        ("hold.set", {"hold": "h", "clauses": [], "lock": 1}),
        ("region.published", {"ages": {"US": "18"}, "clauses": []}),
        ("region.published", {"ages": {"US": True}, "clauses": []}),
        ("hold.set", {"hold": "stands", "clauses": []}),
        ("hold.set", {"hold": "h", "clauses": [{**CLAUSE, "jurisdictions": [1]}]}),
        ("hold.lifted", {"hold": "never set"}),
        ("recipient.registered", {"recipient": "*", "name": "x", "class": "affiliate"}),
        ("recipient.registered", {"recipient": "affiliate", "name": "x", "class": "affiliate"}),
        ("recipient.registered", {"recipient": "us", "name": "x", "class": "subsidiary"}),
        ("release.opened", {"share": 0.5}),
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused(kind: str, body: Any, trial: SqliteStore):
    """Each of these raises InputError, and nothing of it or beside it is recorded."""
    before = trial.head()
    with pytest.raises(InputError):
        trial.append([register(5), Draft(kind, body)], now=NOW)
    assert trial.head() == before
    assert trial.subject_ids() == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("choice.made", REFUSAL),
        ("choice.made", {**REFUSAL, "evidence": {"time": 0, "channel": "gpc"}}),
        ("choice.made", {**REFUSAL, "lines": [{"from": 5}, {"data_class": "message.*"}]}),
        ("notice.delivered", {"subject": "a", "version": "v1"}),
        ("notice.delivered", {"subject": "a", "version": "v1", "evidence": None}),
        ("subject.fact", {"subject": "a", "kind": "contract"}),
        ("subject.fact", {"subject": "a", "kind": "birth_year", "value": None}),
        ("contract.amended", {**BODIES["contract.amended"], "lines": []}),
        ("policy.published", {**POLICY, "clauses": [], "data_classes": []}),
        ("policy.published", {**POLICY, "withdrawal": None}),
        ("policy.published", V1),
        ("consent.claimed", {"subject": "a", "claim": {}}),
        ("hold.set", {"hold": "h", "clauses": []}),
        ("operator.registered", {**OPERATOR, "operator": "ash.2@north-mail_x"}),
    ],
)
def test_what_may_be_left_out_may_be_left_out(
    kind: str, body: Mapping[str, Any], trial: SqliteStore
):
    """A refusal needs no evidence and no scope, a fact no value, a notice no evidence."""
    assert would_record(trial, kind, body)


def test_a_registered_thing_stands(trial: SqliteStore):
    """A recipient, a version and a hold are registered once; a lock is never lifted."""
    once = [
        "recipient.registered", "policy.published", "hold.set", "setting.introduced",
        "operator.registered", "declaration.made",
    ]  # fmt: skip
    trial.append([Draft(kind, BODIES[kind]) for kind in once], now=NOW)
    for kind in once:
        with pytest.raises(InputError):
            trial.append([Draft(kind, BODIES[kind])], now=NOW)
    lock = Draft("hold.set", {"hold": "locked", "clauses": [], "lock": True})
    trial.append([lock, Draft("hold.lifted", {"hold": "h"})], now=NOW)
    with pytest.raises(InputError, match="never be lifted"):
        trial.append([Draft("hold.lifted", {"hold": "locked"})], now=NOW)
    rules = fold_rules(everything(trial), NOW)
    assert [h.id for h in rules.holds] == ["stands", "locked"]
    assert [h.lock for h in rules.holds] == [False, True]


def test_a_lifted_hold_is_not_set_again(trial: SqliteStore):
    """What two operators signed to lift a hold lifts no other one: its id is used up."""
    trial.append([Draft("hold.lifted", {"hold": "stands"})], now=NOW)
    with pytest.raises(InputError, match="choose a new name"):
        trial.append([STANDS], now=NOW + DAY)
    trial.append([STANDS_TOO], now=NOW + DAY)
    (hold,) = fold_rules(everything(trial), END).holds
    assert (hold.id, hold.set_at) == ("stands too", NOW + DAY)


def operator(name: str, person: str, key: str) -> Draft:
    """Return the registration of an operator."""
    return Draft("operator.registered", {"operator": name, "name": person, "key": key})


def test_an_operator_is_one_person_with_one_key(store: SqliteStore):
    """Neither id nor key nor name stands twice, however the name is written."""
    store.append([operator("ash", "Ash Reed", KEYS[0])], now=NOW)
    for again, why in (
        (operator("ash", "Birch", KEYS[1]), "registered already"),
        (operator("birch", "Birch", KEYS[0]), "one key, one person"),
        (operator("birch", "ASH  reed", KEYS[1]), "the name of another"),
        (operator("birch", "\uff21sh\u00a0Reed", KEYS[1]), "the name of another"),
    ):
        with pytest.raises(InputError, match=why):
            store.append([again], now=NOW)
    store.append([operator("birch", "Ash Reed the younger", KEYS[1])], now=NOW)
    found = fold_rules(everything(store), NOW).operators
    assert found == {
        "ash": Operator("ash", "Ash Reed", KEYS[0]),
        "birch": Operator("birch", "Ash Reed the younger", KEYS[1]),
    }


def test_a_setting_is_introduced_once_by_a_version_that_describes_it(trial: SqliteStore):
    """It takes a published version that lists the setting, whichever; then it stands."""
    again = {"version": "v2", "settings": {"old": SETTING}}
    trial.append([Draft("policy.published", {**POLICY, **again})], now=NOW)
    for setting, version in (("old", "v9"), ("new", "v2"), ("s", "v2")):
        body = {"setting": setting, "version": version}
        with pytest.raises(InputError, match="describes"):
            trial.append([Draft("setting.introduced", body)], now=NOW)
    trial.append([Draft("setting.introduced", {"setting": "old", "version": "v2"})], now=NOW)
    for version in ("v0", "v2"):
        body = {"setting": "old", "version": version}
        with pytest.raises(InputError, match="introduced already"):
            trial.append([Draft("setting.introduced", body)], now=NOW)
    assert fold_rules(everything(trial), NOW).introduced == {"old": 3}
    assert fold_rules(everything(trial), NOW - 1).introduced == {}


def test_what_was_sensitive_once_stays_so(store: SqliteStore):
    """The categories of a class are those of every version published by T, and only of those."""
    said: list[dict[str, list[str]]] = [
        {"message.group": ["pay"]}, {"message.group": ["health"], "post.public": ["pay"]}, {}
    ]  # fmt: skip
    for n, sensitive in enumerate(said):
        body = {**V0, "version": f"v{n}", "effective_at": END - 1, "sensitive": sensitive}
        store.append([Draft("policy.published", body)], now=NOW + n)
    pay, both = frozenset({"pay"}), frozenset({"pay", "health"})
    expected = [
        {"message.group": pay},
        {"message.group": both, "post.public": pay},
        {"message.group": both, "post.public": pay},
    ]
    for n, found in enumerate(expected):
        rules = fold_rules(everything(store), NOW + n)
        assert rules.sensitive == found
        assert rules.policies[-1].sensitive == {k: frozenset(v) for k, v in said[n].items()}


def test_a_claimed_consent_decides_nothing(tmp_path: Path):
    """It has no decision column, and makes nobody known; erased, it denies like any other."""
    with closing(SqliteStore(tmp_path / "ledger.sqlite", create=True)) as store:
        claim = Draft("consent.claimed", {"subject": "p0", "claim": {"lines": [LINE]}})
        store.append([claim, register(0), claim, register(1)], now=NOW)
        events = everything(store)
        assert [rows_of(event) for event in events] == [[], [("person", (1,))]] * 2
        before = fold(events, NOW).subjects
        assert before == rebuilt(store, NOW)
        assert before["p0"] == Subject("p0", member=True)
        assert fold(events[:1], NOW).subjects == {}
        store.erase(2, now=NOW)
        assert fold(everything(store), NOW).subjects.keys() == {"p1"} == rebuilt(store, NOW).keys()
        assert query(tmp_path / "ledger.sqlite", "SELECT idx, subject FROM erased") == [(2, 0)]
        assert everything(store)[2].body is None


WORDS = sorted({str(key) for body in BODIES.values() for p in paths(body) for key in p} | {"x"})
SMALL = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
    | st.sampled_from(["grant", "withdraw", "birth_year", "v1", "stands", "controller", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=2), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(KINDS)), st.data())
def test_random_json_raises_nothing_but_our_errors(
    trial: SqliteStore, kind: str, data: st.DataObject
):
    """A body drawn from nowhere, or a good one with some places overwritten, never crashes."""
    body: Any = dict(BODIES[kind])
    if data.draw(st.booleans()):
        for path in data.draw(
            st.lists(st.sampled_from(list(paths(body))), max_size=3, unique=True)
        ):
            with suppress(KeyError, IndexError, TypeError, ValueError):
                body = changed(body, path, data.draw(SMALL))
    else:
        body = data.draw(st.dictionaries(st.sampled_from(WORDS), SMALL, max_size=6))
    would_record(trial, kind, body)


@pytest.mark.parametrize("body", [None, [], ["subject"], "text", 5])
def test_a_body_that_is_no_object_is_refused(body: Any, trial: SqliteStore):
    """A draft whose body is another JSON value is malformed like any other."""
    for kind in sorted(KINDS):
        assert not would_record(trial, kind, body)


def test_a_body_nested_beyond_measure_is_refused(trial: SqliteStore):
    """Deep JSON in any place is refused in words, not by the interpreter's stack."""
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    for kind in sorted(KINDS):
        for path in paths(BODIES[kind]):
            assert not would_record(trial, kind, changed(BODIES[kind], path, deep))


# ── reading back ────────────────────────────────────────────────────────────────────────────


def test_a_later_writers_clause_denies_and_does_not_stop_the_fold():
    """A recorded clause that this program cannot read is kept, as one that makes unevaluable."""
    body = {**POLICY, "clauses": [CLAUSE, {**CLAUSE, "audience": "adults"}, "?"]}
    event = Event(0, NOW, "policy.published", body)
    (policy,) = fold_rules([event], NOW).policies
    assert [c.level for c in policy.clauses] == [Level.GRANT, None, None]
    with pytest.raises(InputError):
        fold_rules([], NOW, admit=event)


def test_a_later_writers_key_beside_the_clauses_is_passed_over():
    """Recorded events of everyone are read leniently, unlike what is yet to be recorded."""
    event = Event(0, NOW, "hold.set", {"hold": "h", "clauses": [], "ticket": 5})
    assert [h.id for h in fold_rules([event], NOW).holds] == ["h"]
    with pytest.raises(InputError, match="ticket"):
        fold_rules([], NOW, admit=event)


def test_a_personal_event_is_filed_under_whom_it_is_about():
    """An event in another's file is refused by the fold: nobody speaks for somebody else."""
    event = Event(0, NOW, "subject.registered", BODIES["subject.registered"], "somebody else")
    with pytest.raises(InputError, match="filed under"):
        fold([event], NOW)


def test_the_rulebook_is_what_was_published(store: SqliteStore):
    """Every word of a policy, contract, table, hold and recipient arrives in its place."""
    signatures = (Signature("ash", "ab" * 64),)
    order = ["recipient.registered", "region.published", "contract.published", "policy.published"]
    drafts = [Draft(kind, BODIES[kind]) for kind in order]
    drafts += [Draft("contract.published", {"contract": "premium", "clauses": []}), STANDS]
    store.append(drafts, now=NOW)
    rules = fold_rules(everything(store), NOW)
    clause = Clause("c", Level.GRANT)
    (policy,) = rules.policies
    assert (policy.version, policy.index, policy.published_at) == ("v1", 3, NOW)
    assert (policy.effective_at, policy.window, policy.clauses) == (NOW, 0, (clause,))
    assert policy.texts == {("s", "en"): "a" * 64}
    assert policy.settings == {"s": Setting("s", "t", ("infer",), ("*",), ("us",))}
    assert policy.sensitive == {"message.group": frozenset({"pay", "health"})}
    assert policy.withdrawal == Withdrawal(("releases", "models"), 30)
    assert (policy.documents, policy.signatures) == ({"policy.toml": "…"}, signatures)
    assert rules.data_classes == {"message.group": 3}
    assert [t.clauses for t in rules.contracts["premium"]] == [(clause,), ()]
    assert [(t.ages, t.clauses) for t in rules.regions] == [({"US": 18}, (clause,))]
    assert rules.holds == (Hold("stands", (), lock=False, set_at=NOW),)
    assert rules.recipients == {"us": Recipient("us", "Us", RecipientClass.CONTROLLER)}
    assert fold_rules(everything(store), NOW - 1).policies == ()


SPANS = st.tuples(st.integers(BEGINNING, END), st.integers(BEGINNING, END)).map(
    lambda pair: Span(*sorted(pair))
)
NAMES = st.lists(st.text("abc.*", min_size=1), min_size=1, max_size=3).map(tuple)


CLAUSES = st.builds(
    Clause,
    st.text("ab", min_size=1),
    st.sampled_from(Level),
    NAMES,
    NAMES,
    NAMES,
    NAMES,
    NAMES,
    SPANS,
)


@given(CLAUSES)
def test_a_clause_survives_being_written(clause: Clause):
    """Written as JSON and read strictly, a clause is the same clause."""
    assert read_clause(json.loads(json.dumps(clause_body(clause)))) == clause


def test_a_clause_that_could_not_be_read_is_not_written():
    """Nobody passes an unreadable clause on; open spans are left out."""
    with pytest.raises(InputError, match="no level"):
        clause_body(Clause("c", None))
    assert clause_body(Clause("c", Level.NEVER)) == {"id": "c", "level": "never"}
    assert span_body(Span(5, 6)) == {"from": 5, "to": 6}


@pytest.mark.parametrize(
    "symbol", ["", "v1", "[", '["', '["grant"]', '["a",1]', '["permit"' + ",1" * 7 + "]"]
)
def test_a_symbol_that_is_no_shape_is_none(symbol: str):
    """Symbols of other tables are told from shapes of lines."""
    assert read_shape(symbol) is None


# ── the accumulated digest ──────────────────────────────────────────────────────────────────

# Changed when consent.claimed came among the kinds that are drawn, evidence got a browser, and a
# policy its documents and signatures: other events, and marks of other bodies, not other columns.
DIGEST = "f1e34a0e16d35eaaac53c9722fc5de6d9b82e24dfccf4f3128f202e4bb608569"
DIGEST_OF_COLUMNS = "5e0f39f3b0ef73481593779a7505b1fd402e1d5f7c94867bca3e6a06c2262d33"


def seeded_drafts(count: int) -> Iterator[list[Draft]]:
    """Yield batches of drafts of every kind; only `random()` is used, which never changes."""
    rng = random.Random(20_000)

    def pick(things: Sequence[Any]) -> Any:
        return things[int(rng.random() * len(things))]

    def line(act: str) -> dict[str, Any]:
        found: dict[str, Any] = {
            "purpose": pick(["infer", "train.generative"]), "recipient": pick(["us", "them"]),
            "data_class": pick(["*", "message.*", "post.public"]),
        }  # fmt: skip
        if act == "grant" and rng.random() < 0.5:
            found |= {"earlier": True, "explicit": True, "categories": ["pay", "häuslich"]}
        if rng.random() < 0.3:
            found |= {"from": int(rng.random() * NOW)}
        return found

    def body(kind: str, n: int) -> dict[str, Any]:
        who = {"subject": f"p{int(rng.random() * count / 8)}"}
        if kind == "choice.made":
            act = pick(["grant", "withdraw", "object"])
            lines = [line(act) for _ in range(pick([1, 1, 2]))]
            return {**who, "act": act, "lines": lines, "evidence": EVIDENCE}
        if kind == "subject.fact":
            value: dict[str, Any] = pick([
                {"kind": "jurisdiction", "value": "DE"}, {"kind": "birth_year", "value": 1980},
                {"kind": "contract"},
            ])  # fmt: skip
            return {**who, **value}
        named = {"policy.published": "version", "hold.set": "hold"}
        if kind in named:
            effective = {"effective_at": END - 1} if kind == "policy.published" else {}
            return {**BODIES[kind], **effective, named[kind]: f"{kind} {n}"}
        return {**BODIES[kind], **(who if kind in PERSONAL else {})}

    kinds = sorted(PERSONAL) * 40 + ["policy.published", "hold.set", "region.published"]
    n = 0
    while n < count:
        size = min(1 + int(rng.random() * 400), count - n)
        chosen = [pick(kinds) for _ in range(size)]
        yield [Draft(kind, body(kind, n + i)) for i, kind in enumerate(chosen)]
        n += size


@pytest.mark.slow
def test_twenty_thousand_events_add_up_to_one_digest(store: SqliteStore):
    """A seeded run gives, on every machine, the same canonical bytes and the same columns."""
    for n, drafts in enumerate(seeded_drafts(20_000)):
        store.append(drafts, now=NOW + n * DAY)
    upto = store.head().index
    content = hashlib.sha256()
    for event in store.every_event(upto=upto):
        content.update(event.canonical())
    columns = hashlib.sha256()
    for table, names in TABLES.items():
        every = ("idx", "time", "subject", *names)
        found = store.columns(table, every, as_of=END, upto=upto)
        for name in every:
            columns.update(found.column(name).to_numpy().astype("<i8").tobytes())
    assert upto == 19_999
    assert content.hexdigest() == DIGEST
    assert columns.hexdigest() == DIGEST_OF_COLUMNS
    assert rebuilt(store, END) == {
        n: reaching(s) for n, s in fold(store.every_event(upto=upto), END).subjects.items()
    }
