"""A later version of a release: version 0 without the rows of whom a drop list names."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from letterlock.domain import canonical, sha256
from letterlock.errors import ReleaseError, VerificationError
from letterlock.record.memberset import NAME_SIZE, MemberSet
from letterlock.release import build, manifest
from letterlock.release.supersede import Rewritten, keep_private, left_after, rewrite
from letterlock.release.verify import pseudonyms, verify
from oracle import supersede as oracle
from workspaces import PURPOSE, RECIPIENT, YES, messages, workspace

LISTED = "ab" * 32


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Give the folder of a release of several row groups and shards, as it was sealed."""
    folder = tmp_path_factory.mktemp("supersede")
    with pytest.MonkeyPatch.context() as patch, closing(workspace(folder / "w")) as gate:
        patch.setattr(build, "BUFFER", 1 << 12)
        return gate.build(PURPOSE, RECIPIENT).folder


def names_in(folder: Path) -> list[bytes]:
    """Return the pseudonyms of a release."""
    data = pseudonyms(folder)
    return [data[n : n + NAME_SIZE] for n in range(0, len(data), NAME_SIZE)]


def superseded(old: Path, new: Path, drop, version: int = 1) -> Rewritten:
    """Write a version, and what is private of it."""
    new.mkdir()
    found = rewrite(old, new, drop, version=version, listed=LISTED)
    keep_private(old, new)
    return found


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file of a release that goes out."""
    outgoing = folder / "outgoing"
    return {
        p.relative_to(outgoing).as_posix(): p.read_bytes()
        for p in outgoing.rglob("*")
        if p.is_file()
    }


def test_a_version_is_the_first_without_the_rows_of_whom_the_list_names(first, tmp_path):
    """A plain filter gives the same rows in the same places, for every person and some pairs."""
    names = names_in(first)
    drops = [{name} for name in names] + [set(pair) for pair in pairwise(names)] + [set(names)]
    for n, drop in enumerate(drops):
        new = tmp_path / str(n)
        found = superseded(first, new, drop)
        assert oracle.rows(new, ()) == oracle.rows(first, drop)
        assert names_in(new) == oracle.people(first, drop)
        checked = verify(new)
        assert checked.rows == found.left.rows == sum(map(len, oracle.rows(first, drop).values()))
        left = MemberSet(pseudonyms(new))
        assert (found.left.members, found.left.depth) == (left.count, left.depth)
        assert found.left.root == left.root.hex()
        assert left_after(first, drop).root == found.left.root


def test_the_manifest_says_what_was_superseded(first, tmp_path):
    """All else stays as it was said of version 0, and the counts add up to the same items."""
    new, drop = tmp_path / "new", names_in(first)[:2]
    found = superseded(first, new, drop)
    before, after = manifest.read(first), manifest.read(new)
    assert found.manifest == manifest.content(new)
    assert after["supersedes"] == {
        "version": 1, "manifest": sha256(manifest.content(first)), "list": LISTED, "dropped": 2,
        "rows": before["counts"]["released"] - after["counts"]["released"],
    }  # fmt: skip
    changed = {"counts", "members", "member_set", "files", "supersedes"}
    assert {k for k in after if after[k] != before.get(k)} == changed
    assert sum(after["counts"]["by_class"].values()) == after["counts"]["released"]
    assert after["counts"]["by_reason"] == before["counts"]["by_reason"]


def test_the_way_to_a_version_does_not_matter(first, tmp_path):
    """From 0 to 3 at once, or by way of 1 and 2: the same bytes, and who was in each is kept."""
    rng = random.Random("way")
    names = names_in(first)
    rng.shuffle(names)
    lists = [names[:1], names[:2], names[:4]]
    old = first
    for version, drop in enumerate(lists, 1):
        superseded(old, tmp_path / f"v{version}", drop, version)
        old = tmp_path / f"v{version}"
    superseded(first, tmp_path / "at once", lists[-1], 3)
    assert bytes_of(old) == bytes_of(tmp_path / "at once")
    kept = sorted(p.name for p in (old / "private").iterdir())
    former = [f"members-{version}.parquet" for version in range(3)]
    assert kept == [*former, "withheld.parquet"]
    assert (old / "private" / "members-0.parquet").read_bytes() == (
        first / "outgoing" / "members.parquet"
    ).read_bytes()


def test_what_names_nobody_of_the_list_is_not_written_again(tmp_path):
    """Shards that the list does not touch are the same files; the others are not."""
    rows = [row | {"receivers": [YES[1]], "sender": YES[0], "quoted": []} for row in messages(80)]
    rows[7] |= {"sender": YES[2]}
    with closing(workspace(tmp_path / "w", rows)) as gate:
        first = gate.build(PURPOSE, RECIPIENT).folder
    table = pq.ParquetFile(first / "outgoing" / "members.parquet").read().column(0).to_pylist()
    used = {
        n: sum(n in row["authors"] for s in (first / "outgoing" / "data").rglob("*.parquet")
               for row in pq.ParquetFile(s).read().to_pylist())
        for n in range(3)
    }  # fmt: skip
    (rare,) = (n for n, count in used.items() if count == 1)
    found = superseded(first, tmp_path / "new", [table[rare]])
    assert len(found.left.touched) == 1
    for entry in manifest.read(first)["files"]:
        path = entry["path"]
        same = (first / "outgoing" / path).samefile(tmp_path / "new" / "outgoing" / path)
        assert same == (path not in found.left.touched | {"members.parquet"})
    assert found.left.rows == manifest.read(first)["counts"]["released"] - 1


def test_where_the_disk_cannot_link_files_are_copied(first, tmp_path, monkeypatch):
    """The same bytes come of it."""
    drop = names_in(first)[:1]
    superseded(first, tmp_path / "linked", drop)

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    superseded(first, tmp_path / "copied", drop)
    assert bytes_of(tmp_path / "linked") == bytes_of(tmp_path / "copied")
    assert not (first / "outgoing/members.parquet").samefile(
        tmp_path / "copied/private/members-0.parquet"
    )


def test_dropping_everybody_leaves_a_release_without_rows(first, tmp_path):
    """Each shard stays as an empty file, and the whole verifies."""
    found = superseded(first, tmp_path / "new", names_in(first))
    assert (found.left.members, found.left.rows, found.left.depth) == (0, 0, 0)
    assert verify(tmp_path / "new").rows == 0


def test_a_version_that_is_there_already_is_refused(first, tmp_path):
    """Going back to an older version, or to the same, writes nothing."""
    superseded(first, tmp_path / "v2", names_in(first)[:1], 2)
    for version in (0, 1, 2):
        with pytest.raises(ReleaseError, match="is there already"):
            rewrite(tmp_path / "v2", tmp_path / "x", [], version=version, listed=LISTED)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0}, {"rows": 0}, {"rows": 10**6}, {"dropped": 0}, {"manifest": "x"},
        {"list": ""}, {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_later_version_says_what_it_left_out(change, first, tmp_path):
    """A manifest whose `supersedes` does not hold is refused."""
    superseded(first, tmp_path / "new", names_in(first)[:1])
    path = tmp_path / "new" / "outgoing" / "manifest.json"
    record = json.loads(path.read_bytes())
    record["supersedes"] |= change
    path.write_bytes(canonical(record) + b"\n")
    with pytest.raises(VerificationError):
        verify(tmp_path / "new")


def test_a_dropped_name_in_a_row_is_noticed(first, tmp_path):
    """Somebody whom a row names and who has no pseudonym is found; in version 0 all have one."""
    superseded(first, tmp_path / "new", names_in(first)[:1])
    new = shutil.copytree(tmp_path / "new", tmp_path / "other")
    path = new / "outgoing" / "members.parquet"
    cells = pq.ParquetFile(path).read().column(0).to_pylist()
    cells[-1] = None
    path.unlink()
    pq.write_table(pa.table({"pseudonym": pa.array(cells, pa.binary(NAME_SIZE))}), path)
    data = path.read_bytes()
    record = manifest.read(new)
    left = MemberSet(b"".join(cell for cell in cells if cell))
    record["files"][0] |= {"sha256": sha256(data), "bytes": len(data)}
    record["members"] = left.count
    record["member_set"] |= {"depth": left.depth, "root": left.root.hex()}
    (new / "outgoing" / "manifest.json").write_bytes(canonical(record) + b"\n")
    with pytest.raises(VerificationError, match="names somebody"):
        verify(new)
    del record["supersedes"]
    record["counts"]["items"] = record["counts"]["released"] + record["counts"]["withheld"]
    (new / "outgoing" / "manifest.json").write_bytes(canonical(record) + b"\n")
    with pytest.raises(VerificationError, match="not pseudonyms"):
        verify(new)


def drawn(folder: Path, rng: random.Random, people: int = 30) -> list[bytes]:
    """Write a release whose payload is of many types, in chunks; returns its pseudonyms."""
    outgoing, rows = folder / "outgoing", 1500
    (outgoing / "data" / "m").mkdir(parents=True)
    names = sorted(rng.randbytes(NAME_SIZE) for _ in range(people))
    files, classes = [], Counter[str]()
    for shard in range(3):
        path, writer = f"data/m/shard-{shard:05}.parquet", None
        for _ in range(4):
            said = [rng.choice("ab") for _ in range(rows)]
            classes.update(said)
            who = [[rng.randrange(people)] for _ in range(rows)]
            lists = pa.list_(pa.uint32())
            table = pa.table({
                "data_class": pa.array(said),
                **{c: pa.array(who if c == "authors" else [[]] * rows, lists)
                   for c in manifest.PARTY_COLUMNS},
                "payload.d": pa.array(rng.choices(["x", "y", None], k=rows)).dictionary_encode(),
                "payload.l": pa.array([["p"] * rng.randrange(3) for _ in range(rows)]),
                "payload.s": pa.array([{"k": 1} if n % 3 else None for n in range(rows)]),
                "payload.b": pa.array(["w" * rng.randrange(300) for _ in said], pa.large_string()),
                "payload.n": pa.nulls(rows),
            })  # fmt: skip
            writer = writer or build.FileWriter(outgoing / path, path, table.schema)
            writer.write(pa.concat_tables([table.slice(0, 77), table.slice(77)]))
        assert writer is not None
        writer.close()
        files.append(writer.entry.record())
    column = pa.table({"pseudonym": pa.array(names, pa.binary(NAME_SIZE))})
    with build.FileWriter(
        outgoing / "members.parquet", "members.parquet", column.schema
    ) as members:
        members.write(column)
    found, total = MemberSet(b"".join(names)), 3 * 4 * rows
    record = {
        "format": manifest.FORMAT, "release": "0" * 16, "simulated": True, "purpose": PURPOSE,
        "recipient": {"id": "own", "name": "Own", "class": "controller"}, "as_of": "2024-01-01",
        "policy": [], "counts": {
            "items": total, "released": total, "withheld": 0, "by_reason": {},
            "by_class": dict(classes),
        },
        "members": people, "member_set": {
            "opened": 2, "opening": LISTED, "key": 1, "depth": found.depth,
            "root": found.root.hex(),
        },
        "shards": 3, "files": [members.entry.record(), *files], "private": [],
    }  # fmt: skip
    (outgoing / "manifest.json").write_bytes(canonical(record) + b"\n")
    return names


def test_neither_does_it_for_payload_of_any_type(tmp_path):
    """Dictionaries, lists, structs, long texts and nulls, in several chunks: the same bytes."""
    names = drawn(tmp_path / "v0", random.Random("types"))
    verify(tmp_path / "v0")
    old = tmp_path / "v0"
    for version, count in enumerate((1, 5, 20), 1):
        new = tmp_path / f"v{version}"
        new.mkdir()
        rewrite(old, new, names[:count], version=version, listed=LISTED)
        old = new
    (tmp_path / "at once").mkdir()
    rewrite(tmp_path / "v0", tmp_path / "at once", names[:20], version=3, listed=LISTED)
    assert bytes_of(old) == bytes_of(tmp_path / "at once")
    assert verify(old).members == 10
    assert oracle.rows(old, ()) == oracle.rows(tmp_path / "v0", names[:20])
