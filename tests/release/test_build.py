"""What a build writes: exactly what everyone in it allowed, the same bytes each time, and no ids.

The plain reading of a table and `decide` say what should be in a release; hashes are computed again
here from the specification (docs/spec/manifest.md).
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from letterlock.domain import Item, Request, Role, canonical, sha256, text_of
from letterlock.errors import InputError, ReleaseError, UsageError, WorkspaceError
from letterlock.gate import releases as releasing
from letterlock.policy.decide import Decision, decide
from letterlock.release import build as building
from letterlock.release.manifest import PARTY_COLUMNS
from letterlock.release.verify import verify
from letterlock.sources.index import item_keys
from oracle import memberset as sets
from oracle import vrf
from workspaces import (
    MAPPING,
    NO,
    NOW,
    PURPOSE,
    RECIPIENT,
    SCHEMA,
    SUBJECTS,
    YES,
    Drawer,
    columns,
    copy,
    folder_of,
    live,
    messages,
    people,
    reading,
    renamed,
    withdraw,
    workspace,
    write,
)
from worlds import Maker, requests

SHARDS = 16
ASKED = Request(PURPOSE, RECIPIENT)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Give a workspace with a source, and a release built from it."""
    gate = workspace(tmp_path_factory.mktemp("build") / "w")
    built = gate.build(PURPOSE, RECIPIENT)
    yield gate, built
    gate.close()


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file of a release."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def shards(folder: Path, source: str = "mail") -> list[pa.Table]:
    """Return the shards of a source."""
    paths = sorted((folder / "outgoing" / "data" / source).iterdir())
    return [pq.ParquetFile(p).read() for p in paths]


def released(folder: Path, source: str = "mail") -> list[dict[str, Any]]:
    """Return every released row of a source."""
    return [row for shard in shards(folder, source) for row in shard.to_pylist()]


def members(folder: Path) -> list[bytes]:
    """Return the pseudonyms of a release."""
    found: list[bytes] = (
        pq.ParquetFile(folder / "outgoing" / "members.parquet").read()[0].to_pylist()
    )
    return found


def withheld(folder: Path) -> list[tuple[Any, ...]]:
    """Return the rows of the private table."""
    table = pq.ParquetFile(folder / "private" / "withheld.parquet").read()
    assert table.column_names == ["source", "item", "reason", "role"]
    return [tuple(row.values()) for row in table.to_pylist()]


def decided(gate, items: list[Item], request: Request = ASKED, as_of=None) -> list[Decision]:
    """Return what `decide` says of each item."""
    asked = sorted({p.subject for i in items for p in i.parties if p.subject is not None})
    state = gate.state(asked, as_of)
    return [decide(request, item, state) for item in items]


def pseudonym(gate, built, account: str) -> bytes:
    """Compute a pseudonym again, as the specification says (docs/spec/memberset.md §2 and §3)."""
    origin, (_, secret) = gate.origin.encode(), gate.vrf_key()
    opened = next(
        e
        for e in gate.store.every_event(upto=gate.store.head().index)
        if e.kind == "release.opened" and e.body["release"] == built.release
    )
    leaf = hashlib.sha256(b"\0" + opened.canonical()).digest()
    place = len(origin).to_bytes(2, "big") + origin + opened.index.to_bytes(8, "big")
    scope = hashlib.sha256(b"letterlock/pseudonym/v1\0" + place + leaf).digest()
    return hashlib.sha256(scope + token(secret, origin, account.encode())).digest()


@functools.cache
def token(secret: bytes, origin: bytes, account: bytes) -> bytes:
    """Compute an account's token by the slow twin, which has no shortcut."""
    lengths = [len(text).to_bytes(2, "big") for text in (origin, account)]
    alpha = b"letterlock/member/v1\0" + lengths[0] + origin + lengths[1] + account
    point = vrf.encode_to_curve(vrf.public_key(secret), alpha)
    return vrf.output(vrf.times(vrf.scalar(secret), point))[:32]


def shard_of(item: str | int) -> int:
    """Return the shard of an item, as the specification says, in plain Python."""
    if isinstance(item, str):
        digest = hashlib.blake2b(item.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little") % SHARDS
    mask = (1 << 64) - 1
    key = (item + 0x9E3779B97F4A7C15) & mask
    key = ((key ^ key >> 30) * 0xBF58476D1CE4E5B9) & mask
    key = ((key ^ key >> 27) * 0x94D049BB133111EB) & mask
    return (key ^ key >> 31) % SHARDS


def plain(table: pa.Table) -> pa.Table:
    """Return a table with its times as numbers: not every time has a date in Python."""
    for n, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(n, field.name, table.column(n).cast(pa.int64()))
    return table


def assert_released(gate, built, table: Path, mapping: str, *, source: str = "mail") -> int:
    """Assert that a release holds exactly what `decide` allows, in its place; counts that."""
    request = Request(built.record["purpose"], built.record["recipient"]["id"])
    names = columns(mapping)
    items = reading(table, names)
    decisions = decided(gate, items, request)
    parts = [pq.read_table(p, partitioning=None) for p in sorted(_files(table))]
    payload = [row for part in parts for row in plain(part.select(names.payload)).to_pylist()]
    ids = [value for part in parts for value in part[names.id].to_pylist()]
    table_of = members(built.folder)
    expected: list[list[dict[str, Any]]] = [[] for _ in range(SHARDS)]
    for n, (item, decision) in enumerate(zip(items, decisions, strict=True)):
        if not decision.allowed:
            continue
        row: dict[str, Any] = {"data_class": item.data_class, "created_at": item.created_at}
        for role, column in zip(Role, PARTY_COLUMNS, strict=True):
            row[column] = [
                pseudonym(gate, built, p.subject) for p in item.parties if p.role is role
            ]
        row |= {f"payload.{name}": value for name, value in payload[n].items()}
        expected[shard_of(ids[n])].append(row)
    found = [
        [
            {k: [table_of[i] for i in v] if k in PARTY_COLUMNS else v for k, v in row.items()}
            for row in plain(shard).to_pylist()
        ]
        for shard in shards(built.folder, source)
    ]
    assert found == (expected if found else [])
    stays = [
        (source, None if i is None else str(i), d.reason.name.lower(),
         None if d.role is None else d.role.name.lower())
        for i, d in zip(ids, decisions, strict=True) if d.reason is not None
    ]  # fmt: skip
    assert [row for row in withheld(built.folder) if row[0] == source] == stays
    return sum(map(len, expected))


def _files(table: Path) -> list[Path]:
    return list(table.glob("*.parquet")) if table.is_dir() else [table]


# ── what goes ─────────────────────────────────────────────────────────────────────────────────


def test_what_goes_is_exactly_what_everyone_allowed(made):
    """Released rows are those that `decide` allows, whole and in place; the others are withheld."""
    gate, built = made
    allowed = assert_released(gate, built, gate.folder.with_suffix(".parquet"), MAPPING)
    assert built.record["counts"]["released"] == allowed > 50
    assert built.record["counts"]["items"] == 120


def test_members_are_the_people_of_released_rows(made):
    """The member table holds each person of a released row once, ascending, and no other."""
    gate, built = made
    items = reading(gate.folder.with_suffix(".parquet"), columns())
    decisions = decided(gate, items)
    there = {
        p.subject for i, d in zip(items, decisions, strict=True) if d.allowed for p in i.parties
    }
    assert there == set(YES)
    assert members(built.folder) == sorted(pseudonym(gate, built, name) for name in there)
    assert built.record["members"] == len(YES)


def test_counts_add_up(made):
    """Items, released, withheld and reasons are those of the withheld table and of the plan."""
    gate, built = made
    counts = built.record["counts"]
    stayed = Counter(reason for _, _, reason, _ in withheld(built.folder))
    assert counts["by_reason"] == dict(stayed)
    assert counts["items"] == counts["released"] + counts["withheld"]
    assert counts["withheld"] == stayed.total()
    outcome = gate.plan(PURPOSE, RECIPIENT)
    assert (outcome.items, outcome.released) == (counts["items"], counts["released"])
    assert {r.name.lower(): n for r, n in outcome.withheld.items()} == counts["by_reason"]
    assert gate.outcome_of(built).withheld == outcome.withheld
    classes = Counter(row["data_class"] for row in released(built.folder))
    assert counts["by_class"] == dict(classes)
    assert classes.total() == counts["released"]


def test_the_manifest_says_what_was_asked(made):
    """Purpose, recipient, time, policy and files stand in the manifest as they are."""
    gate, built = made
    record = built.record
    assert record["recipient"] == {
        "id": RECIPIENT, "name": "Tern Models GmbH", "class": "third_party",
    }  # fmt: skip
    assert (record["purpose"], record["as_of"], record["simulated"]) == (
        PURPOSE,
        text_of(NOW),
        True,
    )
    texts = {name: text.decode() for name, text in folder_of().items()}
    assert record["policy"] == [{"version": "1", "sha256": sha256(canonical(texts))}]
    files = bytes_of(built.folder / "outgoing")
    del files["manifest.json"]
    assert {f["path"]: (f["sha256"], f["bytes"]) for f in record["files"]} == {
        name: (sha256(data), len(data)) for name, data in files.items()
    }
    rows = {f["path"]: f["rows"] for f in record["files"]}
    for name in files:
        assert rows[name] == pq.ParquetFile(built.folder / "outgoing" / name).metadata.num_rows
    assert len(files) == SHARDS + 1
    assert verify(built.folder).rows == record["counts"]["released"]
    assert gate.folder / "releases" / built.release == built.folder


def test_the_ledger_says_what_was_opened_and_sealed(made):
    """Opening and seal stand in the ledger; the seal names the manifest's hash."""
    gate, built = made
    events = {e.kind: e for e in gate.store.every_event(upto=gate.store.head().index)}
    opened, sealed = events["release.opened"], events["release.sealed"]
    assert opened.body["release"] == sealed.body["release"] == built.release
    assert sealed.body["manifest"] == sha256(bytes_of(built.folder)["outgoing/manifest.json"])
    assert opened.index < sealed.index
    assert sealed.body["checked"] == sealed.index - 1


def test_the_member_set_is_sealed(made):
    """Seal and manifest say where opening and key are logged, and the root over all names."""
    gate, built = made
    events = list(gate.store.every_event(upto=gate.store.head().index))
    opened, sealed = (
        next(e for e in events if e.kind == kind) for kind in ("release.opened", "release.sealed")
    )
    (key,) = gate.introduced("vrf")
    names = members(built.folder)
    depth = sets.depth(names)
    root = sets.root(sets.buckets(names, depth)).hex()
    said = {"opened": opened.index, "key": key.index, "depth": depth, "root": root}
    leaf = hashlib.sha256(b"\0" + opened.canonical()).hexdigest()
    assert built.record["member_set"] == said | {"opening": leaf}
    assert sealed.body == said | {
        "release": built.release,
        "manifest": sha256(bytes_of(built.folder)["outgoing/manifest.json"]),
        "members": len(names),
        "checked": sealed.index - 1,
    }
    assert key.index < opened.index < sealed.index


def leaves(value: Any) -> list[Any]:
    """Return every value that is nowhere a container."""
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


def test_no_account_and_no_item_id_goes_out(tmp_path):
    """Neither in columns nor in names, footers or statistics is there an account or item id."""
    gate = people(tmp_path / "w")
    rows = [
        {**row, "sender": NO if n == 7 else YES[n % 6], "receivers": [YES[(n + 1) % 6]]}
        for n, row in enumerate(messages())
    ]
    gate.add_table("mail", write(tmp_path / "t.parquet", rows), columns())
    built = gate.build(PURPOSE, RECIPIENT)
    assert built.record["counts"]["released"] > 100
    secret = {*YES, NO, *(row["id"] for row in rows)}
    outgoing = built.folder / "outgoing"
    for name, data in bytes_of(outgoing).items():
        assert b"item-" not in data, name
        if name.endswith(".parquet"):
            table = pq.ParquetFile(outgoing / name).read()
            values = leaves(table.to_pylist())
            assert not secret & {v for v in values if isinstance(v, str)}
            assert not any(s in v for s in secret for v in values if isinstance(v, str))
            assert not any(s.encode() in v for s in secret for v in values if isinstance(v, bytes))
            assert not any(s in str(table.schema) for s in secret)
            assert table.schema.metadata is None
        else:
            assert not secret & set(leaves(json.loads(data)))
    assert {row[1] for row in withheld(built.folder)} < secret
    gate.close()


def test_two_releases_share_no_pseudonym(made, tmp_path):
    """The same people have other pseudonyms in each release, even in one of the same request."""
    gate = copy(made[0], tmp_path / "w")
    first, second = (gate.build(PURPOSE, RECIPIENT) for _ in range(2))
    tables = [members(b.folder) for b in (made[1], first, second)]
    assert [len(t) for t in tables] == [len(YES)] * 3
    assert len({name for t in tables for name in t}) == 3 * len(YES)
    assert len({made[1].release, first.release, second.release}) == 3
    gate.close()


def test_another_key_gives_other_pseudonyms(tmp_path):
    """Two workspaces with all the same in them, but their keys, share no pseudonym."""
    tables = []
    for name in "ab":
        gate = workspace(tmp_path / name)
        tables.append(set(members(gate.build(PURPOSE, RECIPIENT).folder)))
        gate.close()
    assert not tables[0] & tables[1]


@pytest.mark.parametrize("size", [0, 16, 64])
def test_a_spoiled_key_builds_nothing(size, made, tmp_path):
    """Without the whole key nothing is built: a shorter one would hide nobody."""
    gate = copy(made[0], tmp_path / "w")
    (introduced,) = gate.introduced("vrf")
    key = gate.keys.path("vrf", introduced.keys[0])
    key.write_bytes(key.read_bytes()[:size])
    before = sorted(p.name for p in (gate.folder / "releases").iterdir())
    with pytest.raises(Exception, match="was altered"):
        gate.build(PURPOSE, RECIPIENT)
    key.unlink()
    with pytest.raises(WorkspaceError, match="No such file"):
        gate.build(PURPOSE, RECIPIENT)
    assert sorted(p.name for p in (gate.folder / "releases").iterdir()) == before
    gate.close()


def test_tokens_are_computed_once(made, tmp_path):
    """The first release computes the tokens of whom it names; the next one finds them."""
    gate = copy(made[0], tmp_path / "w")
    (introduced,) = gate.introduced("vrf")
    path = gate.keys.path("vrf", introduced.keys[0]).with_suffix(".tokens")
    assert path.stat().st_mode & 0o777 == 0o600
    told: list[tuple[str, int, int]] = []
    for kept, expected in ((True, 0), (False, len(YES))):
        if not kept:
            path.unlink()
        told.clear()
        built = gate.build(PURPOSE, RECIPIENT, progress=lambda *each: told.append(each))
        assert [done for what, done, _ in told if what == "naming"] == [expected] * (expected > 0)
        assert members(built.folder) == sorted(pseudonym(gate, built, name) for name in YES)
    gate.close()


def test_an_opening_too_long_for_the_log_is_refused(made, tmp_path, monkeypatch):
    """An opening has to fit into a log entry: if it does not, nothing is recorded or built."""
    gate = copy(made[0], tmp_path / "w")
    before = (gate.store.head(), sorted((gate.folder / "releases").iterdir()))
    monkeypatch.setattr(releasing, "MAX_ENTRY", 200)
    with pytest.raises(ReleaseError, match="too many for one release"):
        gate.build(PURPOSE, RECIPIENT)
    assert (gate.store.head(), sorted((gate.folder / "releases").iterdir())) == before
    gate.close()


# ── the same each time ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("buffer", [0, 1_000, building.BUFFER])
def test_the_same_opening_gives_the_same_bytes(buffer, made, tmp_path, monkeypatch):
    """Copies of one workspace give the same files, byte for byte, with any number of threads."""
    monkeypatch.setattr(building, "BUFFER", buffer)
    found = []
    for n, threads in enumerate((1, 2, 5, 2)):
        gate = copy(made[0], tmp_path / str(n))
        built = gate.build(PURPOSE, RECIPIENT, threads=threads)
        found.append((built.release, bytes_of(built.folder)))
        gate.close()
    assert all(other == found[0] for other in found[1:])
    groups = [
        pq.ParquetFile(p).num_row_groups for p in (built.folder / "outgoing").rglob("s*.parquet")
    ]
    assert max(groups) == {0: 3, 1_000: 2}.get(buffer, 1)


@pytest.mark.slow
def test_a_large_table_gives_the_same_bytes(tmp_path, monkeypatch):
    """The same over 60,000 rows in many row groups, written in many row groups by many threads."""
    monkeypatch.setattr(building, "BUFFER", 100_000)
    rows = [
        {**row, "id": f"{n}-{row['id']}", "body": row["body"] * (n % 7)}
        for n in range(500) for row in messages(120)
    ]  # fmt: skip
    gate = workspace(tmp_path / "w", rows, group=1_000)
    found = []
    for n, threads in enumerate((1, 2, 5, 16)):
        other = copy(gate, tmp_path / str(n))
        built = other.build(PURPOSE, RECIPIENT, threads=threads)
        found.append(bytes_of(built.folder))
        assert verify(built.folder).rows == built.record["counts"]["released"] > 30_000
        other.close()
    assert all(other == found[0] for other in found[1:])


def test_a_row_keeps_its_shard(made, tmp_path):
    """Rows added to a table, or people leaving a release, move no other row to another shard."""

    def places(folder: Path) -> dict[str, int]:
        return {
            row["payload.subject"]: n for n, shard in enumerate(shards(folder))
            for row in shard.to_pylist()
        }  # fmt: skip

    gate = people(tmp_path / "w")
    few = messages(60)
    gate.add_table("mail", write(tmp_path / "t.parquet", few[::-1]), columns())
    before = places(gate.build(PURPOSE, RECIPIENT).folder)
    gate.add_table("mail", write(tmp_path / "t.parquet", messages(300), group=7), columns())
    after = places(gate.build(PURPOSE, RECIPIENT).folder)
    assert before.items() <= after.items()
    assert before.items() <= places(made[1].folder).items()
    withdraw(gate.folder, YES[0])
    narrow = places(gate.build(PURPOSE, RECIPIENT).folder)
    assert narrow.items() < after.items()
    assert len(set(after.values())) == SHARDS
    gate.close()


@pytest.mark.parametrize("kind", [pa.int64(), pa.int32(), pa.uint64(), pa.string(), "dictionary"])
def test_ids_of_any_type_have_their_shard(kind, tmp_path):
    """Integers are mixed and texts hashed, as the specification says; each id has its place."""
    numbers = [0, 1, 2, 7, 2**31 - 1] + ([-1, -5] if kind in {pa.int64(), pa.int32()} else [])
    texts = kind in {pa.string(), "dictionary"}
    ids = pa.array([f"é{n}" for n in numbers] if texts else numbers, pa.string() if texts else kind)
    ids = ids.dictionary_encode() if kind == "dictionary" else ids
    expected = [
        shard_of(value % 2**64 if isinstance(value, int) else value) for value in ids.to_pylist()
    ]
    keys, named = item_keys(pa.chunked_array([ids]))
    assert (keys % SHARDS).tolist() == expected
    assert named.all()
    rows = [
        {**row, "sender": YES[0], "receivers": [YES[1]], "quoted": []} for row in messages(len(ids))
    ]
    table = pa.Table.from_pylist(rows, SCHEMA).set_column(0, "id", ids)
    gate = workspace(tmp_path / "w", table, group=3)
    built = gate.build(PURPOSE, RECIPIENT)
    found = {
        row["payload.subject"]: n for n, shard in enumerate(shards(built.folder))
        for row in shard.to_pylist()
    }  # fmt: skip
    assert found == {f"about {n}": place for n, place in enumerate(expected)}
    gate.close()


# ── odd releases ──────────────────────────────────────────────────────────────────────────────


def test_a_release_may_be_empty(made, tmp_path):
    """Where nobody said yes to anything, nothing goes, everything is withheld, and it verifies."""
    gate = copy(made[0], tmp_path / "w")
    built = gate.build("infer", "own")
    counts = built.record["counts"]
    assert (counts["items"], counts["released"], counts["withheld"]) == (120, 0, 120)
    assert members(built.folder) == []
    assert released(built.folder) == []
    assert len(withheld(built.folder)) == 120
    assert verify(built.folder).members == 0
    assert all(
        shard.column_names[:2] == ["data_class", "created_at"] for shard in shards(built.folder)
    )
    gate.close()


@pytest.mark.parametrize("groups", [0, 1])
def test_a_table_without_rows_makes_a_release_without_rows(groups, tmp_path):
    """A source of no rows, with or without a row group, can be released, and verified."""
    gate = people(tmp_path / "w")
    path = tmp_path / "t.parquet"
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for _ in range(groups):
            writer.write_table(SCHEMA.empty_table())
    gate.add_table("mail", path, columns())
    built = gate.build(PURPOSE, RECIPIENT)
    assert built.record["counts"] == {
        "by_class": {}, "by_reason": {}, "items": 0, "released": 0, "withheld": 0,
    }  # fmt: skip
    assert verify(built.folder).rows == 0
    assert withheld(built.folder) == []
    gate.close()


def test_somebody_unresolved_beside_a_released_row_does_no_harm(tmp_path):
    """Rows that go and rows whose people nobody can resolve may share a row group."""
    rows = messages(40)
    for n in range(0, 40, 3):
        rows[n] |= {"receivers": None} if n % 2 else {"sender": None}
    gate = workspace(tmp_path / "w", rows)
    built = gate.build(PURPOSE, RECIPIENT)
    assert assert_released(gate, built, tmp_path / "w.parquet", MAPPING) > 5
    assert built.record["counts"]["by_reason"]["unknown_party"] >= 14
    gate.close()


def test_several_sources_go_together(tmp_path):
    """Each source has its own shards and rows; people in both are one member each."""
    gate = people(tmp_path / "w")
    other = [{**row, "id": f"x{n}", "subject": f"other {n}"} for n, row in enumerate(messages(90))]
    tables = {
        "mail": write(tmp_path / "a.parquet", messages()),
        "posts": write(tmp_path / "b.parquet", other),
    }
    for name, path in tables.items():
        gate.add_table(name, path, columns())
    built = gate.build(PURPOSE, RECIPIENT)
    counts = [
        assert_released(gate, built, path, MAPPING, source=name) for name, path in tables.items()
    ]
    assert sum(counts) == built.record["counts"]["released"] == verify(built.folder).rows
    assert built.record["members"] == len(YES)
    one = gate.build(PURPOSE, RECIPIENT, names=["posts"])
    assert one.record["counts"]["released"] == counts[1]
    assert sorted(p.name for p in (one.folder / "outgoing" / "data").iterdir()) == ["posts"]
    both = gate.build(PURPOSE, RECIPIENT, names=["posts", "mail", "posts"])
    assert both.record["counts"] == built.record["counts"]
    assert gate.plan(PURPOSE, RECIPIENT, names=["mail", "mail"]).items == 120
    with pytest.raises(UsageError, match="no source 'news'; registered: mail, posts"):
        gate.build(PURPOSE, RECIPIENT, names=["news"])
    gate.close()


def test_a_folder_of_files_goes_as_one(tmp_path):
    """Files with other row groups and other dictionaries of one table are released together."""
    gate = people(tmp_path / "w")
    table = pa.Table.from_pylist(messages(90), SCHEMA)
    coded = table.column("body").combine_chunks().dictionary_encode()
    table = table.set_column(table.column_names.index("body"), "body", coded)
    for n, first in enumerate((0, 25, 60)):
        part = table.slice(first, (25, 35, 30)[n])
        part = part.set_column(7, "body", part.column("body").cast(pa.string()).dictionary_encode())
        write(tmp_path / "t" / f"part-{n}.parquet", part, group=10 + n)
    gate.add_table("mail", tmp_path / "t", columns())
    built = gate.build(PURPOSE, RECIPIENT)
    assert assert_released(gate, built, tmp_path / "t", MAPPING) > 30
    gate.close()


PAYLOAD = {
    "whole numbers": pa.array([1, None, 3, 2**40]),
    "fractions": pa.array([1.5, None, float("inf"), -0.0]),
    "truths": pa.array([True, None, False, True]),
    "bytes": pa.array([b"\x00\xff", None, b"", b"x"]),
    "lists": pa.array([["a", None], None, [], ["b"]]),
    "structures": pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}, {"a": 2, "b": []}]),
    "moments": pa.array([1, None, 3, 4], pa.timestamp("ms", "Asia/Tokyo")),
    "decimals": pa.array([Decimal("1.10"), None, Decimal("-2.00"), Decimal("3.33")]),
    "nothing": pa.nulls(4),
    "large text": pa.array(["a", None, "", "é"], pa.large_string()),
    "dictionaries": pa.array(["a", None, "a", "b"]).dictionary_encode(),
    "maps": pa.array([[("a", 1)], None, [], [("b", None)]], pa.map_(pa.string(), pa.int64())),
}


@pytest.mark.parametrize("name", PAYLOAD)
def test_payload_goes_as_it_is(name, tmp_path):
    """A payload column of any type arrives as it was, value by value."""
    rows = [{**row, "sender": YES[0], "receivers": [YES[1]], "quoted": []} for row in messages(4)]
    table = pa.Table.from_pylist(rows, SCHEMA).append_column("extra", PAYLOAD[name])
    mapping = MAPPING.replace('"body"]', '"extra"]')
    gate = workspace(tmp_path / "w", table, mapping=mapping, group=3)
    built = gate.build(PURPOSE, RECIPIENT)
    found = {row["payload.subject"]: row["payload.extra"] for row in released(built.folder)}
    assert [found[f"about {n}"] for n in range(4)] == PAYLOAD[name].to_pylist()
    kinds = {shard.schema.field("payload.extra").type for shard in shards(built.folder)}
    written = pq.read_schema(tmp_path / "w.parquet").field("extra").type
    assert {str(kind).replace(" ('payload.extra')", "") for kind in kinds} == {
        str(written).replace(" ('extra')", "")
    }
    assert verify(built.folder).rows == 4
    gate.close()


def test_a_release_may_have_no_payload(tmp_path):
    """A mapping without payload releases who, what and when, and no words."""
    gate = workspace(tmp_path / "w", mapping=MAPPING.replace('payload = ["subject", "body"]\n', ""))
    built = gate.build(PURPOSE, RECIPIENT)
    assert {tuple(shard.column_names) for shard in shards(built.folder)} == {
        ("data_class", "created_at", *PARTY_COLUMNS)
    }
    assert verify(built.folder).rows > 50
    gate.close()


def test_nobody_who_said_no_is_in_it(made):
    """The pseudonym of somebody who refused is not among the members, nor their words in a row."""
    gate, built = made
    assert pseudonym(gate, built, NO) not in members(built.folder)
    theirs = {
        f"about {n}" for n, row in enumerate(messages()) if NO in (row["sender"], *row["receivers"])
    }
    assert theirs
    assert not theirs & {row["payload.subject"] for row in released(built.folder)}


@pytest.mark.parametrize("change", ["cut", "gone", "other"])
def test_a_table_that_changes_under_a_build_is_not_released(change, made, tmp_path):
    """A table that is cut, lost or replaced while it is read gives an error, and no release."""
    gate = people(tmp_path / "w")
    path = write(tmp_path / "t.parquet", messages())
    gate.add_table("mail", path, columns())
    seen = []

    def spoil(what: str, done: int, total: int) -> None:
        del done, total
        if what == "writing" and not seen:
            seen.append(what)
            if change == "cut":
                with path.open("r+b") as file:
                    file.truncate(500)
            elif change == "gone":
                path.unlink()
            else:
                path.unlink()
                write(path, messages(121))

    with pytest.raises((InputError, ReleaseError)):
        gate.build(PURPOSE, RECIPIENT, progress=spoil)
    assert [p.name for p in (gate.folder / "releases").iterdir()] == [".lock"]
    write(path, messages())
    assert gate.build(PURPOSE, RECIPIENT).record["counts"] == made[1].record["counts"]
    gate.close()


# ── random worlds ─────────────────────────────────────────────────────────────────────────────


def build_world(seed: int, folder: Path) -> tuple[int, int]:
    """Build from a random world and table, and compare with `decide`; counts what goes."""
    drawer = Drawer(seed)
    world = renamed(Maker(seed, people=SUBJECTS, items=0).make(), drawer)
    gate = live(folder / "w", world)
    drawn = drawer.draw()
    table = drawn.write(folder / "t")
    gate.add_table("mail", table, columns(drawn.mapping))
    goes = items = 0
    for request in drawer.rng.sample(requests(), 2):
        built = gate.build(request.purpose, request.recipient, threads=3)
        assert verify(built.folder).rows == built.record["counts"]["released"]
        goes += assert_released(gate, built, table, drawn.mapping)
        items += built.record["counts"]["items"]
    gate.close()
    return items, goes


@pytest.mark.parametrize("seed", range(2000, 2004))
def test_releases_of_random_worlds_are_what_decide_allows(seed, tmp_path):
    """Whatever the world and the table, a release holds exactly what `decide` allows."""
    build_world(seed, tmp_path)


@pytest.mark.slow
def test_releases_of_many_random_worlds_are_what_decide_allows(tmp_path):
    """The same for many more worlds, in a good share of which something goes."""
    found = []
    for seed in range(2100, 2180):
        folder = tmp_path / str(seed)
        folder.mkdir()
        found.append(build_world(seed, folder))
    assert sum(goes > 0 for _, goes in found) > 20
