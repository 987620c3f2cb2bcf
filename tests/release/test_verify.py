"""Verification: whatever was done to a release is noticed, by VerificationError and nothing else.

What the manifest alone says (purpose, recipient, policy, …) the files cannot contradict: `FREE`.
"""

from __future__ import annotations

import copy as deep
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from letterlock.domain import canonical, sha256
from letterlock.errors import VerificationError
from letterlock.record.memberset import MemberSet
from letterlock.release.verify import pseudonyms, verify
from workspaces import PURPOSE, RECIPIENT, workspace

FREE = ("release", "simulated", "purpose", "recipient", "as_of", "policy")
MANIFEST, MEMBERS = "outgoing/manifest.json", "outgoing/members.parquet"
WITHHELD = "private/withheld.parquet"
PLACES = ("opened", "opening", "key")
"""Where the log has opening and key: the files cannot contradict it, unless the key comes later."""


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """Give the folder of a release."""
    gate = workspace(tmp_path_factory.mktemp("verify") / "w")
    folder = gate.build(PURPOSE, RECIPIENT).folder
    gate.close()
    return folder


@pytest.fixture
def release(sealed, tmp_path):
    """Give a copy of it to tamper with."""
    return Path(shutil.copytree(sealed, tmp_path / "release"))


def refused(release: Path, match: str | None = None) -> None:
    """Assert that a release does not verify, for a reason that can be read."""
    with pytest.raises(VerificationError, match=match) as caught:
        verify(release)
    assert str(caught.value)
    assert type(caught.value) is VerificationError


def record_of(release: Path) -> dict[str, Any]:
    """Return a release's manifest."""
    found: dict[str, Any] = json.loads((release / MANIFEST).read_bytes())
    return found


def write(release: Path, record: Any) -> None:
    """Write a manifest as canonical JSON."""
    (release / MANIFEST).write_bytes(canonical(record) + b"\n")


def reseal(release: Path) -> None:
    """Give every file its right hash, size and rows in the manifest: tampering by the sender."""
    record = record_of(release)
    for folder, entries in (("outgoing", record["files"]), ("private", record["private"])):
        for entry in entries:
            data = (release / folder / entry["path"]).read_bytes()
            entry |= {"bytes": len(data), "sha256": sha256(data)}
            try:
                entry["rows"] = pq.read_metadata(release / folder / entry["path"]).num_rows
            except (OSError, pa.ArrowException):
                continue
    write(release, record)


def shard_paths(release: Path) -> list[Path]:
    """Return the shards, those of most rows first."""
    paths = sorted((release / "outgoing" / "data" / "mail").iterdir())
    return sorted(paths, key=lambda p: -pq.read_metadata(p).num_rows)


def files(release: Path) -> list[Path]:
    """Return every file of a release but its manifest."""
    return [p for p in sorted(release.rglob("*")) if p.is_file() and p.name != "manifest.json"]


# ── as it was sealed ──────────────────────────────────────────────────────────────────────────


def test_a_release_verifies_as_it_was_sealed(release):
    """An untouched release verifies, wherever it lies."""
    found = verify(release)
    counts = record_of(release)["counts"]
    assert (found.files, found.rows, found.members) == (17, counts["released"], 6)
    assert found.withheld_checked
    assert found.record == record_of(release)


def test_a_recipient_verifies_what_reached_them(release):
    """What goes out verifies without the private part."""
    shutil.rmtree(release / "private")
    assert not verify(release).withheld_checked


@pytest.mark.parametrize("make", [Path, Path.mkdir, Path.touch])
def test_no_release_is_no_release(make, tmp_path):
    """A folder that is missing, empty or a file is not a release."""
    make(tmp_path / "r")
    refused(tmp_path / "r", "no release here|not a manifest")


# ── files ─────────────────────────────────────────────────────────────────────────────────────


def test_a_flipped_bit_in_any_file_is_noticed(release):
    """At the first, the last and many other offsets of every file, one bit makes a difference."""
    rng = random.Random(1)
    for path in files(release):
        data = path.read_bytes()
        for offset in {0, len(data) - 1, *(rng.randrange(len(data)) for _ in range(5))}:
            broken = bytearray(data)
            broken[offset] ^= 1 << rng.randrange(8)
            path.write_bytes(broken)
            refused(release, "not the file that was sealed")
        path.write_bytes(data)
    verify(release)


@pytest.mark.slow
def test_a_flipped_bit_at_any_offset_is_noticed(release):
    """The same at every offset of the members, the withheld rows and one shard."""
    for path in (release / MEMBERS, release / WITHHELD, shard_paths(release)[0]):
        data = bytearray(path.read_bytes())
        for offset in range(len(data)):
            data[offset] ^= 0x10
            path.write_bytes(data)
            refused(release)
            data[offset] ^= 0x10
        path.write_bytes(data)


@pytest.mark.parametrize("change", [lambda d: d[:-1], lambda d: d + b"\0", lambda d: d[:0]])
def test_a_file_cut_or_grown_is_noticed(change, release):
    """A byte less, a byte more, or none at all."""
    for path in files(release):
        data = path.read_bytes()
        path.write_bytes(change(data))
        refused(release, "not the file that was sealed")
        path.write_bytes(data)


def test_a_missing_file_is_noticed(release):
    """Each file has to be there, under its own name."""
    for path in files(release):
        path.rename(path.with_name("elsewhere.bin"))
        refused(release, "missing|is there but not in the manifest")
        path.with_name("elsewhere.bin").rename(path.with_name(".hidden"))
        refused(release, "missing|is there but not in the manifest")
        path.with_name(".hidden").rename(path)
    (release / MANIFEST).unlink()
    refused(release, "no release here")


@pytest.mark.parametrize(
    "name", ["x", ".x", "data/x.parquet", "data/mail/x", "data/new/x", "manifest.json~"]
)
def test_a_file_more_is_noticed(name, release):
    """Whatever is added to what goes out is named."""
    path = release / "outgoing" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    refused(release, "is there but not in the manifest")


def test_a_pipe_is_noticed(release):
    """What is neither file nor folder has no place in a release."""
    os.mkfifo(release / "outgoing" / "pipe")
    refused(release, "pipe is there but not in the manifest")


@pytest.mark.parametrize(
    "name", [MANIFEST, MEMBERS, WITHHELD, "outgoing/data", "outgoing/data/mail", "outgoing"]
)
def test_a_link_is_noticed(name, release, tmp_path):
    """A link is refused even where what it leads to is the right thing."""
    path = release / name
    elsewhere = tmp_path / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    refused(release, "link|missing")


def test_a_link_to_nowhere_is_noticed(release):
    """A dangling link is refused too."""
    (release / "outgoing" / "x").symlink_to(release / "nowhere")
    refused(release, "is a link")


def test_swapped_shards_are_noticed(release):
    """Two shards in each other's place are not what was sealed."""
    first, second = shard_paths(release)[:2]
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    refused(release, "not the file that was sealed")


# ── files and hashes ──────────────────────────────────────────────────────────────────────────


def table_of(path: Path) -> pa.Table:
    """Read one file."""
    return pq.ParquetFile(path).read()


def altered_members(change: Callable[[list[bytes]], list[Any]], kind: Any = None) -> Any:
    """Return a way to rewrite the member table."""

    def tamper(release: Path) -> None:
        names = change(table_of(release / MEMBERS)["pseudonym"].to_pylist())
        column = pa.array(names, kind or pa.binary(32))
        pq.write_table(pa.table({"pseudonym": column}), release / MEMBERS)

    return tamper


def altered_shard(name: str, change: Callable[[list[Any]], list[Any]], kind: Any = None) -> Any:
    """Return a way to rewrite one column of the largest shard."""

    def tamper(release: Path) -> None:
        path = shard_paths(release)[0]
        table = table_of(path)
        column = pa.array(change(table[name].to_pylist()), kind or pa.list_(pa.uint32()))
        pq.write_table(table.set_column(table.column_names.index(name), name, column), path)

    return tamper


def no_people(release: Path) -> None:
    """Take everybody out of one row."""
    path = shard_paths(release)[0]
    table = table_of(path)
    for name in ("authors", "recipients", "members", "quoted"):
        lists = [[], *table[name].to_pylist()[1:]]
        column = pa.array(lists, pa.list_(pa.uint32()))
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, path)


def dropped(name: str) -> Any:
    """Return a way to leave out one column of the largest shard."""

    def tamper(release: Path) -> None:
        path = shard_paths(release)[0]
        pq.write_table(table_of(path).drop([name]), path)

    return tamper


def bytes_instead(data: bytes) -> Any:
    """Return a way to put other bytes in the place of the largest shard."""
    return lambda release: shard_paths(release)[0].write_bytes(data)


def moved_to(name: str) -> Any:
    """Return a way to put a shard where none belongs."""

    def tamper(release: Path) -> None:
        path = shard_paths(release)[0]
        to = release / "outgoing" / name
        to.parent.mkdir(parents=True, exist_ok=True)
        record = record_of(release)
        for entry in record["files"]:
            if entry["path"].endswith(path.name):
                entry["path"] = name
        path.rename(to)
        write(release, record)

    return tamper


def member_more(release: Path) -> None:
    """Add to the table somebody who is in no row, and to the count."""
    altered_members(lambda names: sorted([*names, b"\xff" * 32]))(release)
    found = MemberSet(b"".join(table_of(release / MEMBERS)["pseudonym"].to_pylist()))
    record = record_of(release)
    record["members"] += 1
    record["member_set"] |= {"depth": found.depth, "root": found.root.hex()}
    write(release, record)


def row_less(release: Path) -> None:
    """Leave out the last row of the largest shard."""
    path = shard_paths(release)[0]
    pq.write_table(table_of(path).slice(1), path)


def withheld_less(release: Path) -> None:
    """Leave out one withheld row."""
    pq.write_table(table_of(release / WITHHELD).slice(1), release / WITHHELD)


def withheld_otherwise(release: Path) -> None:
    """Give one withheld row another reason."""
    table = table_of(release / WITHHELD)
    reasons = ["hold", *table["reason"].to_pylist()[1:]]
    pq.write_table(table.set_column(2, "reason", pa.array(reasons)), release / WITHHELD)


RESEALED = {
    "members in another order": (altered_members(lambda n: n[::-1]), "ascending"),
    "two members swapped": (altered_members(lambda n: [n[1], n[0], *n[2:]]), "ascending"),
    "a member twice": (altered_members(lambda n: [n[0], n[0], *n[2:]]), "ascending"),
    "a member less": (altered_members(lambda n: n[:-1]), "not in members|members are there"),
    "a member that is nobody": (altered_members(lambda n: [None, *n[1:]]), "not (. )?pseudonyms"),
    "a member more": (member_more, "1 members are in no released row"),
    "members that are texts": (
        altered_members(lambda n: [x.hex() for x in n], pa.string()), "not (. )?pseudonyms"
    ),
    "members of any length": (altered_members(lambda n: n, pa.binary()), "not (. )?pseudonyms"),
    "members that are numbers": (
        altered_members(lambda n: list(range(len(n))), pa.int64()), "not (. )?pseudonyms"
    ),
    "members in another column": (
        lambda r: pq.write_table(
            table_of(r / MEMBERS).rename_columns(["account"]), r / MEMBERS
        ), "not (. )?pseudonyms"
    ),
    "a column more beside the members": (
        lambda r: pq.write_table(
            table_of(r / MEMBERS).append_column("account", pa.array(["x"] * 6)), r / MEMBERS
        ), "not (. )?pseudonyms"
    ),
    "no members": (
        lambda r: pq.write_table(pa.table({}), r / MEMBERS), "not (. )?pseudonyms"
    ),
    "a row that names nobody": (no_people, "names nobody"),
    "a row that names somebody else": (
        altered_shard("authors", lambda v: [[6], *v[1:]]), "not in members.parquet"
    ),
    "a row that names somebody far beyond": (
        altered_shard("quoted", lambda v: [[2**32 - 1], *v[1:]]), "not in members.parquet"
    ),
    "a list that is absent": (altered_shard("authors", lambda v: [None, *v[1:]]), "not in members"),
    "a list with nobody in it": (
        altered_shard("recipients", lambda v: [[None], *v[1:]]), "not in members"
    ),
    "negative indexes": (
        altered_shard("authors", lambda v: [[-1], *v[1:]], pa.list_(pa.int64())), "not lists of"
    ),
    "indexes with fractions": (
        altered_shard("authors", lambda v: v, pa.list_(pa.float64())), "not lists of rows"
    ),
    "indexes in no list": (
        altered_shard("authors", lambda v: [0] * len(v), pa.uint32()), "not lists of rows"
    ),
    "indexes that are texts": (
        altered_shard("members", lambda v: [["0"]] * len(v), pa.list_(pa.string())),
        "not lists of rows"
    ),
    "a row of another class": (
        altered_shard("data_class", lambda v: ["other", *v[1:]], pa.string()), "data classes"
    ),
    "a row of no class": (
        altered_shard("data_class", lambda v: [None, *v[1:]], pa.string()), "data classes"
    ),
    "classes that are numbers": (
        altered_shard("data_class", lambda v: [1] * len(v), pa.int64()), "data classes"
    ),
    "classes that are lists": (
        altered_shard("data_class", lambda v: [[x] for x in v], pa.list_(pa.string())),
        "cannot be read|data classes"
    ),
    "no classes": (dropped("data_class"), "cannot be read"),
    "a column less": (dropped("quoted"), "cannot be read"),
    "a shard that is no Parquet": (bytes_instead(b"no"), "cannot be read"),
    "a shard that is empty": (bytes_instead(b""), "cannot be read"),
    "a row less": (row_less, "rows are there, the manifest says"),
    "a shard beyond the last": (moved_to("data/mail/shard-00016.parquet"), "no place for"),
    "a shard of another name": (moved_to("data/mail/part-0.parquet"), "no place for"),
    "a shard of no source": (moved_to("shard-00001.parquet"), "no place for"),
    "a withheld row less": (withheld_less, "its reasons are not those"),
    "a withheld row with another reason": (withheld_otherwise, "its reasons are not those"),
}  # fmt: skip


@pytest.mark.parametrize("name", RESEALED)
def test_what_the_sender_changed_and_sealed_again_is_noticed(name, release):
    """Hashes alone do not make a release: what the files say has to fit together too."""
    tamper, why = RESEALED[name]
    tamper(release)
    reseal(release)
    refused(release, why)


def test_the_names_of_a_release_are_read_strictly(release):
    """They come out end to end; what is no table of pseudonyms is refused."""
    names = table_of(release / MEMBERS)["pseudonym"].to_pylist()
    assert pseudonyms(release) == b"".join(names)
    for change in (
        altered_members(lambda n: [None, *n[1:]]),
        altered_members(lambda n: [x.hex() for x in n], pa.string()),
        lambda r: pq.write_table(pa.table({}), r / MEMBERS),
        lambda r: (r / MEMBERS).write_bytes(b"no"),
        lambda r: (r / MEMBERS).unlink(),
    ):
        change(release)
        with pytest.raises(VerificationError):
            pseudonyms(release)
        pq.write_table(pa.table({"pseudonym": pa.array(names, pa.binary(32))}), release / MEMBERS)


def test_sealing_again_alone_changes_nothing(release):
    """The tampering of these tests leaves an honest release as it is."""
    before = (release / MANIFEST).read_bytes()
    reseal(release)
    assert (release / MANIFEST).read_bytes() == before
    verify(release)


@pytest.mark.parametrize("seed", range(40))
def test_garbage_sealed_again_raises_nothing_else(seed, release):
    """Damaged Parquet with the right hash is refused, or harmless; nothing else is raised."""
    rng = random.Random(seed)
    path = rng.choice([release / MEMBERS, release / WITHHELD, shard_paths(release)[0]])
    data = bytearray(path.read_bytes())
    footer = int.from_bytes(data[-8:-4], "little") + 8
    for _ in range(rng.randint(1, 3)):
        within = footer if rng.random() < 0.5 else len(data)
        data[len(data) - 1 - rng.randrange(within)] = rng.randrange(256)
    path.write_bytes(data)
    reseal(release)
    try:
        verify(release)
    except VerificationError:
        return
    assert path.name != "members.parquet" or len(table_of(path)) == 6


# ── the manifest ──────────────────────────────────────────────────────────────────────────────


def numbers(record: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the place of every number in a manifest."""
    if isinstance(record, dict | list):
        places = record.items() if isinstance(record, dict) else enumerate(record)
        return [found for key, value in places for found in numbers(value, (*at, key))]
    return [at] if type(record) is int else []


def put(record: Any, at: tuple[Any, ...], value: Any) -> Any:
    """Return a manifest with another value at one place."""
    found = deep.deepcopy(record)
    inner = found
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return found


def test_every_number_counts(release):
    """One more or less in any count, size or number of rows is noticed."""
    record = record_of(release)
    places = numbers(record)
    assert len(places) > 40
    for at in places:
        inner = record
        for key in at:
            inner = inner[key]
        for other in (inner + 1, inner - 1):
            if at[-1] in PLACES and other >= 0:
                continue
            write(release, put(record, at, other))
            refused(release)


ODD = [-1, 2**53 - 1, -(2**53) + 1, True, False, None, "", "5", [], {}, [5], {"a": 5}]


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_what_is_no_count_is_noticed(value, release):
    """Negative and huge numbers, truths, texts and containers are no counts."""
    record = record_of(release)
    places = [at for at in numbers(record) if at[0] not in {"files", "private"}]
    places = [at for at in places if at[-1] != "opened" or value != 2**53 - 1]
    places += [("files", 0, "rows"), ("files", 3, "bytes"), ("private", 0, "rows")]
    for at in places:
        write(release, put(record, at, value))
        refused(release)


def test_numbers_beyond_json_are_noticed(release):
    """A number that JSON cannot carry exactly, or one with a fraction, makes no manifest."""
    data = (release / MANIFEST).read_bytes()
    for text in (b"9" * 30, b"1" * 5000, b"6.0", b"6e0", b"NaN", b"-0", b"Infinity", b"06"):
        (release / MANIFEST).write_bytes(data.replace(b'"members":6', b'"members":' + text))
        refused(release)


@pytest.mark.parametrize("value", [*ODD, 7_777], ids=repr)
def test_what_is_of_another_type_is_noticed(value, release):
    """Each key of a manifest, down to those of a file, holds what it should."""
    record = record_of(release)
    places: list[tuple[Any, ...]] = [(key,) for key in record]
    places += [
        (key, inner) for key in ("recipient", "counts", "member_set") for inner in record[key]
    ]
    places += [("files", 1, key) for key in record["files"][1]]
    places += [("policy", 0, key) for key in record["policy"][0]]
    places += [("files", 1), ("private", 0), ("policy", 0)]
    for at in places:
        free = at[0] in FREE and isinstance(value, str | bool)
        same = free or (at == ("policy",) and value == [])
        same |= at == ("member_set", "opened") and repr(value) in {repr(2**53 - 1), "7777"}
        if not same:
            write(release, put(record, at, value))
            refused(release)


def test_a_key_more_or_less_is_noticed(release):
    """A manifest has its keys and no others, at every level."""
    record = record_of(release)
    for at in (
        (),
        ("recipient",),
        ("counts",),
        ("member_set",),
        ("files", 0),
        ("private", 0),
        ("policy", 0),
    ):
        inner = record
        for key in at:
            inner = inner[key]
        changed = [{**inner, "more": 1}]
        changed += [{k: v for k, v in inner.items() if k != key} for key in inner]
        for other in changed:
            write(release, put(record, at, other) if at else other)
            refused(release, "not a canonical manifest")


@pytest.mark.parametrize(
    "change",
    [
        lambda said: {"key": said["opened"]},
        lambda said: {"key": said["opened"] + 1},
        lambda said: {"opened": said["key"]},
        lambda said: {"opening": said["opening"].upper()},
        lambda said: {"opening": said["opening"][:-1]},
        lambda said: {"root": said["opening"]},
        lambda said: {"root": said["root"].upper()},
        lambda said: {"depth": said["depth"] + 1},
    ],
)
def test_a_member_set_that_is_none_is_noticed(change, release):
    """The key comes before the opening, hashes are hashes, and root and depth are the table's."""
    record = record_of(release)
    said = record["member_set"]
    write(release, put(record, ("member_set",), {**said, **change(said)}))
    refused(release, "no opening|another depth or root")


@pytest.mark.parametrize("private", [True, False])
def test_classes_that_are_counted_otherwise_are_noticed(private, release):
    """The rows are of the classes that the manifest says, as many of each."""
    if not private:
        shutil.rmtree(release / "private")
    record = record_of(release)
    counts = record["counts"]["by_class"]
    first, second = sorted(counts)[:2]
    for odd in (
        {**counts, first: counts[second], second: counts[first]},
        {**counts, first: counts[first] + 1, second: counts[second] - 1},
        {**counts, "other": 1},
        {**counts, "other": 0},
        {first: counts[first]},
        {"other" if name == first else name: n for name, n in counts.items()},
        {},
    ):
        assert odd != counts
        write(release, put(record, ("counts", "by_class"), odd))
        refused(release, "data class")


@pytest.mark.parametrize("reason", ["none", "", "Minor", "allow", "MINOR", "no_grant "])
def test_a_reason_that_is_none_is_noticed(reason, release):
    """Reasons are those of the specification."""
    record = record_of(release)
    counts = record["counts"]["by_reason"]
    write(release, put(record, ("counts", "by_reason"), {**counts, reason: counts.pop("minor")}))
    refused(release)


def test_counts_that_add_up_otherwise_are_noticed(release):
    """Counts that add up, but with a negative one among them, are no counts, also without the
    private part.
    """  # noqa: D205 - one sentence
    shutil.rmtree(release / "private")
    record = record_of(release)
    counts = record["counts"]["by_reason"]
    odd = {**counts, "minor": counts["minor"] + 100, "region": counts["region"] - 100}
    write(release, put(record, ("counts", "by_reason"), odd))
    refused(release, "a reason that is none")
    odd = {**counts, "hold": 0}
    write(release, put(record, ("counts", "by_reason"), odd))
    refused(release, "a reason that is none")


PATHS = [
    "../outgoing/members.parquet", "/etc/passwd", "data/../members.parquet", "./members.parquet",
    "data//mail/shard-00001.parquet", "", ".", "..", "data", "a\0b", "x" * 5000, "~/x", "\\\\x",
    "data/mail/../../../private/withheld.parquet", "members.parquet", "data/mail/shard-00001",
    "data/mail/shard-00001.parquet/", "data/mail/shard-00001.parquet/x", "manifest.json",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda p: repr(p)[:30])
def test_a_path_that_leads_elsewhere_is_noticed(path, release):
    """No path in a manifest can lead out of the release, nor to the same file in another way."""
    record = record_of(release)
    for n in (0, 1, len(record["files"]) - 1):
        if record["files"][n]["path"] != path:
            write(release, put(record, ("files", n, "path"), path))
            refused(release)
    write(release, put(record, ("private", 0, "path"), path))
    refused(release)


def test_a_file_listed_twice_is_noticed(release):
    """A second entry for one file would count its rows twice."""
    record = record_of(release)
    write(release, {**record, "files": [*record["files"], record["files"][1]]})
    refused(release, "lists a file twice")
    write(release, {**record, "files": record["files"][1:]})
    refused(release, "members.parquet is there but not in the manifest")
    write(release, {**record, "private": []})
    refused(release)
    write(release, {**record, "private": record["private"] * 2})
    refused(release)


def rewritten(data: bytes) -> dict[str, bytes]:
    """Return a manifest written in other ways, none of which is its canonical one."""
    record = json.loads(data)
    text = data.decode()
    return {
        "spaces": json.dumps(record, sort_keys=True).encode() + b"\n",
        "indents": json.dumps(record, sort_keys=True, indent=1).encode() + b"\n",
        "another order": json.dumps(dict(reversed(record.items())), separators=(",", ":")).encode(),
        "no end of line": data[:-1],
        "two ends of line": data + b"\n",
        "a return before the end": data[:-1] + b"\r\n",
        "a byte order mark": b"\xef\xbb\xbf" + data,
        "UTF-16": text.encode("utf-16"),
        "UTF-32": text.encode("utf-32"),
        "a key twice": data.replace(b'"members":6', b'"members":6,"members":6'),
        "an escape": data.replace(b'"members"', b'"\\u006dembers"'),
        "half a surrogate pair": data.replace(b'"Tern', b'"\\ud800Tern'),
        "a surrogate in bytes": data.replace(b'"Tern', b'"\xed\xa0\x80Tern'),
        "no UTF-8": data.replace(b'"Tern', b'"\xffTern'),
        "another format": data.replace(b"release/v1", b"release/v2"),
        "something after it": data + data,
        "a comment": b"// x\n" + data,
        "nothing": b"",
        "null": b"null\n",
        "a number": b"5\n",
        "a list": b"[]\n",
        "an empty object": b"{}\n",
        "a text": b'"format"\n',
        "a deep list": b"[" * 200_000 + b"]" * 200_000,
        "a deep object": b'{"a":' * 900 + b"1" + b"}" * 900 + b"\n",
        "a deep purpose": data.replace(b'"train.generative"', b"[" * 600 + b"]" * 600),
        "no end": b"{",
        "zeros": b"\0" * 1000,
    }


@pytest.mark.parametrize("name", rewritten(b'{"a":1}\n'))
def test_a_manifest_written_otherwise_is_noticed(name, release):
    """There is one way to write a manifest: what is not written so is none."""
    (release / MANIFEST).write_bytes(rewritten((release / MANIFEST).read_bytes())[name])
    refused(release, "not a manifest|not a canonical manifest")


def garbled(data: bytes, rng: random.Random) -> bytes:
    """Change bytes of a manifest: at random, or digits to digits and letters to letters."""
    broken = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(broken))
        how = rng.randrange(5)
        if how == 0:
            broken[at] = rng.randrange(256)
        elif how == 1:
            broken[at] ^= 1 << rng.randrange(8)
        elif how == 2:
            del broken[at : at + rng.randint(1, 9)]
        elif how == 3:
            broken[at:at] = broken[at : at + rng.randint(1, 9)]
        else:
            digits = [n for n, c in enumerate(broken) if chr(c).isdigit()]
            broken[rng.choice(digits)] = rng.choice(b"0123456789")
    return bytes(broken)


def assert_free(found: dict[str, Any], honest: dict[str, Any]) -> None:
    """Assert that two manifests differ at most in what the files cannot contradict."""
    assert {key for key in honest if found[key] != honest[key]} <= {*FREE, "member_set"}
    mine, theirs = found["member_set"], honest["member_set"]
    assert {key for key in theirs if mine[key] != theirs[key]} <= set(PLACES)


def fuzz(release: Path, seeds: range) -> int:
    """Garble a manifest; returns how often it was refused. What is accepted says the same."""
    data = (release / MANIFEST).read_bytes()
    honest = json.loads(data)
    count = 0
    for seed in seeds:
        (release / MANIFEST).write_bytes(garbled(data, random.Random(seed)))
        try:
            found = verify(release).record
        except VerificationError:
            count += 1
            continue
        assert_free(found, honest)
    (release / MANIFEST).write_bytes(data)
    return count


def test_a_garbled_manifest_is_refused_or_says_the_same(release):
    """Whatever happens to its bytes, what verifies has the counts, files and members it had."""
    assert fuzz(release, range(250)) > 200


@pytest.mark.slow
def test_many_garbled_manifests_are_refused_or_say_the_same(release):
    """The same, many more times."""
    assert fuzz(release, range(10_000, 18_000)) > 6_000


def test_a_flipped_bit_in_the_manifest_is_noticed_or_free(release):
    """Each byte of a manifest, flipped, is noticed, unless it lies in what only it says."""
    data = (release / MANIFEST).read_bytes()
    honest = json.loads(data)
    for offset in range(0, len(data), 7):
        broken = bytearray(data)
        broken[offset] ^= 1
        (release / MANIFEST).write_bytes(broken)
        try:
            found = verify(release).record
        except VerificationError:
            continue
        assert_free(found, honest)


def test_a_large_index_does_not_wrap(release):
    """An index of 2**32 - 1 is not the last member counted from behind."""
    assert np.array([2**32 - 1], np.uint32).max() >= 6
    altered_shard("authors", lambda v: [[2**32 - 1] for _ in v])(release)
    reseal(release)
    refused(release, "not in members.parquet")


def test_a_small_file_of_many_members_is_not_unpacked(release):
    """Two million rows of zeros in a few kilobytes: pseudonyms are hashes, so it is none."""
    rows = pa.py_buffer(bytes(32 << 21))
    names = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), 1 << 21, [None, rows])
    pq.write_table(pa.table({"pseudonym": names}), release / MEMBERS, compression="zstd")
    before = pa.total_allocated_bytes()
    with pytest.raises(VerificationError, match="cannot hold so many"):
        pseudonyms(release)
    assert pa.total_allocated_bytes() == before
