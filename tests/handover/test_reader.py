"""The reading gate: what is read is what was sealed, allowed, and without whom it has to drop."""

from __future__ import annotations

import itertools
import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import letterlock
from letterlock.errors import (
    GateClosed,
    LetterlockError,
    ProofError,
    StaleDrops,
    UsageError,
    VerificationError,
    WorkspaceError,
)
from letterlock.handover import reader as reading
from letterlock.handover.feed import DropList
from letterlock.handover.reads import reads
from letterlock.inbox import Inbox
from letterlock.inbox.drops import apply_drops
from letterlock.inbox.swap import NEW
from letterlock.inbox.swap import swap as into_place
from letterlock.release.manifest import PARTY_COLUMNS
from letterlock.release.supersede import rewrite
from receiving import DAY, Platform, copied, delivered, left, names_of, platform
from witnessing import witness_keys
from workspaces import NOW, PURPOSE, RECIPIENT, YES, refusal
from workspaces import rows_of as choices

PAYLOAD = ("subject", "body")
MINUTE = 60_000_000


made, copy = delivered, copied


class Clock:
    """A clock that a test sets."""

    def __init__(self, now=NOW):
        """Begin at a time."""
        self.now = now

    def __call__(self):
        """Tell it."""
        return self.now


@pytest.fixture
def platform_of_its_own(tmp_path):
    """Make a platform whose log is this test's alone."""
    found = platform(tmp_path / "w")
    yield found
    found.close()


def opened(copy: Path, **how: Any) -> Any:
    """Open a copy at the time of the tests."""
    return letterlock.open_release(copy, purpose=PURPOSE, **{"now": Clock()} | how)


def payload(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the payload of rows, as the reader names its columns."""
    return [{name: row[f"payload.{name}"] for name in PAYLOAD} for row in rows]


def read(reader: Any, **how: Any) -> list[dict[str, Any]]:
    """Return every row that a reader gives."""
    return [row for batch in reader.batches(**how) for row in batch.to_pylist()]


def listed(made: Platform, copy: Path, number: int, names: list[bytes]) -> DropList:
    """Put a list, which the log has not recorded, into the feed of a copy; its head says so."""
    drops = DropList(made.gate.origin, made.release, number, b"".join(sorted(names)))
    (copy / "feed" / f"{number}.json").write_bytes(drops.encode())
    made.head(copy, drops)
    return drops


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort rows: workers give them in another order."""
    return sorted(rows, key=lambda row: (row["subject"], row["body"]))


# ── what is read ────────────────────────────────────────────────────────────────────────────


def test_everything_is_read_while_nobody_is_dropped(copy):
    """In the order of the files, payload columns by their names."""
    assert read(opened(copy)) == payload(left(copy, []))


def test_each_choice_of_columns_and_sizes_reads_the_same_rows(copy):
    """A batch is never larger than asked for, and the release's own columns are there."""
    rows = left(copy, [])
    for size in (1, 3, 1000):
        batches = list(opened(copy).batches(["body"], batch_size=size))
        assert max(batch.num_rows for batch in batches) <= size
        assert [row["body"] for b in batches for row in b.to_pylist()] == [
            row["payload.body"] for row in rows
        ]
    own = ["data_class", "authors", "quoted", "subject"]
    table = opened(copy).reader(own).read_all()
    expected = [{n: row[f"payload.{n}" if n == "subject" else n] for n in own} for row in rows]
    assert table.to_pylist() == expected


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"columns": ["nothing"]}, "there is: subject, body, data_class"),
        ({"columns": "body"}, "list of names"),
        ({"columns": []}, "at least one"),
        ({"columns": ["body", "body"]}, "each once"),
        ({"batch_size": 0}, "at least one row"),
        ({"shards": ["data/mail/shard-99999.parquet"]}, "no such file"),
    ],
)
def test_an_impossible_question_is_refused_at_once(copy, how, why):
    """Before anything is read, by what would be right."""
    reader = opened(copy)
    with pytest.raises(UsageError, match=why):
        reader.batches(**how)


def test_sources_with_other_columns_are_one_stream():
    """What one source has not is null; a column of two types has to be left out."""
    fields = {
        "mail": pa.schema({"authors": pa.list_(pa.uint32()), "payload.body": pa.string()}),
        "posts": pa.schema({"payload.body": pa.string(), "payload.likes": pa.int64()}),
    }
    found = reading._select(fields, None)  # noqa: SLF001 - no small release has two sources
    assert found.schema == pa.schema({"body": pa.string(), "likes": pa.int64()})
    assert found.of == {"mail": ("payload.body", None), "posts": ("payload.body", "payload.likes")}
    batch = pa.record_batch({"payload.body": ["x"]})
    assert found.made(batch, found.of["mail"]).to_pylist() == [{"body": "x", "likes": None}]
    fields["mail"] = fields["mail"].append(pa.field("payload.likes", pa.string()))
    with pytest.raises(UsageError, match="several types"):
        reading._select(fields, None)  # noqa: SLF001 - the same
    assert reading._select(fields, ["body"]).schema.names == ["body"]  # noqa: SLF001 - the same


# ── who is dropped ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(6))
def test_rows_of_whoever_is_dropped_are_left_out(made, copy, seed):
    """Whatever role they have in a row, quoted included: a slow reading leaves the same rows."""
    rng = random.Random(seed)
    names = rng.sample(names_of(copy), rng.randint(1, 3))
    listed(made, copy, 1, [*names, rng.randbytes(32)])
    expected = payload(left(copy, names))
    assert len(expected) < len(left(copy, []))
    assert read(opened(copy)) == expected
    assert read(opened(copy), batch_size=2) == expected


def test_a_list_of_strangers_drops_nothing(made, copy):
    """Somebody may be on a list whose rows are in this copy no more."""
    listed(made, copy, 1, [bytes(32)])
    assert read(opened(copy, on_drop="stop")) == payload(left(copy, []))


def test_when_everybody_is_dropped_nothing_is_left(made, copy):
    """No empty batch is handed out either."""
    listed(made, copy, 1, names_of(copy))
    assert list(opened(copy).batches()) == []


def test_drawn_batches_are_filtered_as_a_slow_reading_does():
    """Slices of lists, empty lists and repeated people included."""
    rng = np.random.default_rng(5)
    kind = pa.list_(pa.uint32())
    for _ in range(200):
        size, count = int(rng.integers(1, 30)), int(rng.integers(1, 12))
        rows = {
            name: [rng.integers(0, count, rng.integers(0, 4)).tolist() for _ in range(size)]
            for name in PARTY_COLUMNS
        }
        whole = pa.record_batch({name: pa.array(said, kind) for name, said in rows.items()})
        dropped = rng.random(count) < rng.choice([0.05, 0.5])
        first = int(rng.integers(0, size))
        batch = whole.slice(first, int(rng.integers(0, size)))
        expected = [
            row
            for row in batch.to_pylist()
            if not any(dropped[n] for name in PARTY_COLUMNS for n in row[name])
        ]
        table = pa.Table.from_batches([batch.slice(0, size // 2), batch.slice(size // 2)])
        keep = reading._kept(table, dropped)  # noqa: SLF001 - more than releases can be made of
        assert table.filter(pa.array(keep)).to_pylist() == expected


def test_stop_refuses_while_anybody_on_the_list_is_there(made, copy):
    """Instead of leaving rows out."""
    listed(made, copy, 1, names_of(copy)[:2])
    with pytest.raises(GateClosed, match="names 2 people in this copy"):
        opened(copy, on_drop="stop")
    with pytest.raises(UsageError, match="drop, stop"):
        opened(copy, on_drop="skip")


# ── what speaks against reading ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("purpose", "error"),
    [
        ("train.ranking", GateClosed), ("infer", GateClosed), ("train.*", UsageError),
        ("*", UsageError), ("train", UsageError), ("", UsageError),
    ],
)  # fmt: skip
def test_another_purpose_is_refused_and_a_pattern_is_none(copy, purpose, error):
    """A release is read for the one purpose that its grant names."""
    with pytest.raises(error):
        letterlock.open_release(copy, purpose=purpose, now=Clock())
    assert not (copy / "reads.jsonl").exists()


def test_a_copy_taken_in_is_read_after_its_grant_ran_out(platform_of_its_own, tmp_path):
    """A grant says until when a package may be taken in; what was, is read while its head holds."""
    found = platform_of_its_own
    copy = found.deliver(tmp_path / "inbox", days=1)
    later = Inbox(tmp_path / "inbox", now=NOW).grant_of(found.release).expires + DAY
    found.head(copy, at=later)
    assert read(opened(copy, now=Clock(later)))


def test_another_inbox_is_refused(copy):
    """A copy that was carried elsewhere is nobody's to read there."""
    config = copy.parents[1] / "inbox.toml"
    config.write_text(config.read_text().replace(RECIPIENT, "own"))
    with pytest.raises(ProofError, match="this inbox is that of 'own'"):
        opened(copy)


def test_what_is_no_received_release_is_refused(copy, tmp_path):
    """The outgoing folder alone has no grant, a folder without an inbox no recipient."""
    for path in (copy / "outgoing", copy.parent, tmp_path / "nothing"):
        with pytest.raises(UsageError, match="no received release"):
            opened(path)


HEADS = {
    "missing": "no head: who must be dropped is not known",
    "unreadable": "does not hold",
    "of a stranger": "does not hold: a signature",
    "old": "last 24 hours",
    "to come": "last 24 hours",
    "of another release": "of release ffff",
    "empty": "does not hold",
    "without its list": "no 1.json: who must be dropped is not known",
    "with another list": "not the list",
}


def spoil_head(made: Platform, copy: Path, what: str) -> None:
    """Do something to the feed that leaves unknown who must be dropped."""
    head = copy / "feed" / "head"
    match what:
        case "missing":
            head.unlink()
        case "unreadable":
            head.write_bytes(head.read_bytes()[:-9])
        case "of a stranger":
            head.write_bytes(head.read_bytes().replace(b"\nlive\n", b"\nrecalled\n"))
        case "old":
            made.head(copy, at=NOW - 25 * DAY // 24)
        case "to come":
            made.head(copy, at=NOW + DAY)
        case "of another release":
            made.head(copy, release="f" * 16)
        case "empty":
            head.write_bytes(b"")
        case "without its list":
            made.head(copy, DropList(made.gate.origin, made.release, 1, bytes(32)))
        case _:
            listed(made, copy, 1, names_of(copy)[:1])
            other = DropList(made.gate.origin, made.release, 1, bytes(32))
            (copy / "feed" / "1.json").write_bytes(other.encode())


@pytest.mark.parametrize("what", HEADS)
def test_without_a_fresh_head_nothing_is_read(made, copy, what):
    """Before opening, and before the next pass of who has opened: StaleDrops, which says why."""
    reader = opened(copy)
    spoil_head(made, copy, what)
    for act in (lambda: opened(copy), lambda: next(reader.batches()), reader.check):
        with pytest.raises(StaleDrops, match=HEADS[what]):
            act()


def test_an_older_feed_is_refused_by_who_saw_a_newer(made, copy, tmp_path):
    """In one process, in a later one by the record of reads, and by the copy's own feed."""
    listed(made, copy, 1, names_of(copy)[:1])
    shutil.copytree(copy / "feed", tmp_path / "older")
    listed(made, copy, 2, names_of(copy)[:2])
    with pytest.raises(StaleDrops, match="list 2 was seen"):
        opened(copy, feed=tmp_path / "older")
    reader = opened(copy)
    shutil.rmtree(copy / "feed")
    shutil.copytree(tmp_path / "older", copy / "feed")
    with pytest.raises(StaleDrops, match="list 2 was seen"):
        read(reader)
    with pytest.raises(StaleDrops, match="list 2 was seen"):
        opened(copy)


def test_a_recalled_release_is_read_no_more(made, copy):
    """Whoever reads it stops at the next check."""
    reader = opened(copy)
    made.head(copy, recalled=True)
    with pytest.raises(GateClosed, match="recalled"):
        read(reader)
    with pytest.raises(GateClosed, match="recalled"):
        opened(copy)


def test_a_recall_that_was_seen_is_not_undone_by_an_older_head(made, copy, tmp_path):
    """Of a feed elsewhere, in a new reader, and in one that was opened before it was seen."""
    older, newer = (shutil.copytree(copy, tmp_path / name) for name in ("older", "newer"))
    made.head(newer, recalled=True)
    before = opened(copy, feed=older / "feed")
    with pytest.raises(GateClosed, match="recalled"):
        opened(copy, feed=newer / "feed")
    for feed in (older / "feed", None):
        with pytest.raises(GateClosed, match="recalled"):
            opened(copy, feed=feed)
    with pytest.raises(GateClosed, match="recalled"):
        read(before)
    with pytest.raises(GateClosed, match="recalled"):
        apply_drops(Inbox(copy.parents[1], now=NOW), made.release, str(older / "feed"))


def test_a_recall_that_applying_saw_is_known_to_who_reads(made, copy, tmp_path):
    """Though the copy's own feed is put back to what it was."""
    older, newer = (shutil.copytree(copy, tmp_path / name) for name in ("older", "newer"))
    made.head(newer, recalled=True)
    with pytest.raises(GateClosed, match="recalled"):
        apply_drops(Inbox(copy.parents[1], now=NOW), made.release, str(newer / "feed"))
    shutil.copytree(older / "feed", copy / "feed", dirs_exist_ok=True)
    with pytest.raises(GateClosed, match="recalled"):
        opened(copy)


def test_a_real_inbox_is_read_by_no_other_clock(copy, tmp_path):
    """By one that stands still, a head would be fresh for ever; a training's is no other case."""
    config = copy.parents[1] / "inbox.toml"
    config.write_text(config.read_text().replace("simulated = true", "simulated = false"))
    with pytest.raises(UsageError, match="keeps real time"):
        opened(copy)
    training = letterlock.training(tmp_path, name="x", owner=RECIPIENT, now=Clock())
    with pytest.raises(UsageError, match="keeps real time"), training as run:
        run.open_release(copy, purpose=PURPOSE)
    with pytest.raises(StaleDrops, match="last 24 hours"):
        opened(copy, now=None)


def test_a_feed_elsewhere_is_read_there(made, copy, tmp_path):
    """The copy's own may be gone or old then, but not ahead."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(copy, elsewhere)
    names = names_of(copy)[:1]
    listed(made, elsewhere, 1, names)
    made.head(copy, at=NOW - 30 * DAY)
    assert read(opened(copy, feed=elsewhere / "feed")) == payload(left(copy, names))
    made.head(copy, recalled=True)
    with pytest.raises(GateClosed, match="recalled"):
        opened(copy, feed=elsewhere / "feed")


def test_a_policy_with_witnesses_asks_for_the_proof_of_a_list(made, copy):
    """The log's word alone is then not enough; nor is it for grant and seal."""
    listed(made, copy, 1, names_of(copy)[:1])
    witness, _ = witness_keys("w")
    policy = (copy / "log.policy").read_bytes().replace(b"quorum none\n", b"")
    told = f"witness w {witness.verifier.vkey}\nquorum w\n".encode()
    (copy / "log.policy").write_bytes(policy + told)
    with pytest.raises(LetterlockError, match="quorum"):
        opened(copy)


def test_the_proof_of_a_list_has_to_hold(platform_of_its_own, tmp_path):
    """A proof of another list, or half of one, is worse than none."""
    found = platform_of_its_own
    copy = found.deliver(tmp_path / "inbox")
    names = names_of(copy)
    found.drop(copy, 1, names[:1])
    proof = copy / "feed" / "1.proof"
    assert read(opened(copy)) == payload(left(copy, names[:1]))
    found.drop(copy, 2, names[:2])
    whole = (copy / "feed" / "2.proof").read_bytes()
    for wrong in (proof.read_bytes(), whole[:-1], b"", (copy / "grant.json").read_bytes()):
        (copy / "feed" / "2.proof").write_bytes(wrong)
        with pytest.raises(StaleDrops, match="list"):
            opened(copy)
    (copy / "feed" / "2.proof").write_bytes(whole)
    assert read(opened(copy)) == payload(left(copy, names[:2]))


@pytest.mark.parametrize("which", ["manifest.json", "members.parquet", "shard"])
@pytest.mark.parametrize("how", ["changed", "gone", "kept in its times"])
def test_files_that_are_not_what_was_sealed_are_not_read(copy, which, how):
    """Whatever became of them, and also for who has opened the release before."""
    reader = opened(copy)
    outgoing = copy / "outgoing"
    path = next(outgoing.rglob("*.parquet")) if which == "shard" else outgoing / which
    if which == "shard":
        path = outgoing / reader.shards[3]
    if how == "gone":
        path.unlink()
    else:
        before = path.stat()
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        if how != "changed":
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    for act in (lambda: read(reader), lambda: opened(copy)):
        with pytest.raises(VerificationError):
            act()


def test_a_manifest_that_was_not_granted_is_refused(copy):
    """However well its files fit it."""
    path = copy / "outgoing" / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"simulated":true', b'"simulated":false'))
    with pytest.raises(VerificationError, match="manifest"):
        opened(copy)


@pytest.mark.parametrize("name", ["grant.json", "evidence.json", "log.policy", "../../inbox.toml"])
def test_hostile_files_end_in_one_of_our_errors(copy, name):
    """A byte changed, cut off or put in: it is refused, or means the same."""
    rng = random.Random(name)
    path = copy / name
    data, whole = path.read_bytes(), payload(left(copy, []))
    for _ in range(60):
        damaged = bytearray(data)
        place = rng.randrange(len(damaged))
        match rng.randrange(3):
            case 0:
                damaged[place] ^= 1 << rng.randrange(8)
            case 1:
                del damaged[place : place + rng.randint(1, 9)]
            case _:
                damaged[place:place] = rng.randbytes(rng.randint(1, 3))
        path.write_bytes(damaged)
        try:
            reader = opened(copy)
        except LetterlockError:
            continue
        assert read(reader) == whole


# ── while it is read ────────────────────────────────────────────────────────────────────────


def some(batches: Any, count: int) -> list[dict[str, Any]]:
    """Return the rows of the next batches."""
    return [row for batch in itertools.islice(batches, count) for row in batch.to_pylist()]


@pytest.mark.parametrize("before", [0, 1])
def test_a_list_that_grows_applies_from_the_next_check(made, copy, monkeypatch, before):
    """Every so many batches, be it the first list or a later one."""
    monkeypatch.setattr(reading, "CHECK_BATCHES", 4)
    names = names_of(copy)
    if before:
        listed(made, copy, 1, names[:1])
    first, then = payload(left(copy, names[:before])), payload(left(copy, names[:4]))
    batches = opened(copy).batches(batch_size=1)
    seen = some(batches, 2)
    listed(made, copy, 2, names[:4])
    rest = some(batches, 1000)
    assert seen == first[:2]
    late = [row for row in rest if row not in then]
    assert len(late) < 4  # a check may have come just before the list
    assert [row for row in rest if row in then] == [row for row in then if row not in seen]


def test_time_alone_asks_for_another_check(made, copy):
    """After a quarter of an hour, and after a clock that was set back."""
    for step in (15 * MINUTE, -1):
        made.head(copy)
        clock = Clock()
        batches = opened(copy, now=clock).batches(batch_size=1)
        assert len(some(batches, 3)) == 3
        (copy / "feed" / "head").unlink()
        assert len(some(batches, 1)) == 1
        clock.now += step
        with pytest.raises(StaleDrops):
            next(batches)
        assert list(batches) == []


def test_a_head_that_grows_old_ends_the_reading(copy):
    """Nothing more is handed out, and the record says how far it came."""
    clock = Clock()
    batches = opened(copy, now=clock).batches(batch_size=10)
    count = next(batches).num_rows
    clock.now += DAY + MINUTE
    with pytest.raises(StaleDrops, match="last 24 hours"):
        next(batches)
    last = [*reads(copy)][-1]
    assert (last.state, last.batches, last.rows) == ("stopped", 1, count)


def test_a_pass_ends_when_its_head_is_24_hours_old(made, copy):
    """Not up to a quarter of an hour later; with a newer head there by then, it goes on."""
    for renewed in (False, True):
        made.head(copy)
        clock = Clock(NOW + DAY - MINUTE)
        batches = opened(copy, now=clock).batches(batch_size=1)
        assert len(some(batches, 2)) == 2
        if renewed:
            made.head(copy, at=NOW + MINUTE)
        clock.now += 2 * MINUTE
        if renewed:
            assert len(some(batches, 1)) == 1
            continue
        with pytest.raises(StaleDrops, match="last 24 hours"):
            next(batches)


def test_a_file_that_is_written_to_while_it_is_read_ends_the_reading(copy, monkeypatch):
    """Before anything is decoded from it, not at the next check only."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 1)
    reader = opened(copy)
    batches = reader.batches(batch_size=1)
    next(batches)
    path = copy / "outgoing" / reader.shards[0]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(VerificationError, match="SHA-256"):
        next(batches)


def test_a_file_that_was_only_touched_is_hashed_and_read(copy):
    """Other times, the same bytes."""
    reader = opened(copy)
    batches = reader.batches(batch_size=1)
    first = some(batches, 1)
    for name in reader.shards:
        os.utime(copy / "outgoing" / name, (1, 1))
    assert first + some(batches, 1000) == payload(left(copy, []))


# ── a copy that is superseded ───────────────────────────────────────────────────────────────


def rewritten(copy: Path, drops: DropList, names: list[bytes]) -> Path:
    """Write the version after a list, without `names`, beside the copy."""
    new = copy.parent / f".version-{drops.number}"
    rewrite(copy, new, set(names), version=drops.number, listed=drops.digest)
    return new


def swap(copy: Path, new: Path) -> None:
    """Put a version in the place of the one that is there, as applying a list does."""
    new.rename(copy / NEW)
    into_place(copy)


def test_a_version_that_applied_a_list_is_read_as_that_version(platform_of_its_own, tmp_path):
    """What the log says that the list leaves is there, and a later list applies on top of it."""
    found = platform_of_its_own
    copy = found.deliver(tmp_path / "inbox")
    names, whole = names_of(copy), copy.parent / "whole"
    shutil.copytree(copy, whole)
    drops = found.drop(copy, 1, names[:2])
    swap(copy, rewritten(copy, drops, names[:2]))
    expected = payload(left(whole, names[:2]))
    assert read(opened(copy, on_drop="stop")) == expected
    assert {r.version for r in reads(copy)} == {1}
    found.drop(copy, 2, names[:3])
    assert read(opened(copy)) == payload(left(whole, names[:3]))
    found.head(copy)
    with pytest.raises(StaleDrops, match="list 2 was seen"):
        opened(copy)


@pytest.mark.parametrize("what", ["others dropped", "no list", "another list", "of a stranger"])
def test_a_version_that_the_log_does_not_bear_out_is_refused(platform_of_its_own, tmp_path, what):
    """Its manifest alone proves nothing: the recipient wrote it."""
    found = platform_of_its_own
    copy = found.deliver(tmp_path / "inbox")
    names = names_of(copy)
    drops = found.drop(copy, 1, names[:2])
    gone = names[:1] if what == "others dropped" else names[:2]
    swap(copy, rewritten(copy, drops, gone))
    if what == "no list":
        for file in ("1.json", "1.proof"):
            (copy / "feed" / file).unlink()
    elif what == "another list":
        listed(found, copy, 1, names[:3])
    elif what == "of a stranger":
        path = copy / "outgoing" / "manifest.json"
        path.write_bytes(path.read_bytes().replace(b'"opened":', b'"opened":1'))
    with pytest.raises((VerificationError, StaleDrops)):
        opened(copy)


def test_a_copy_that_is_swapped_while_it_is_read_is_read_to_its_end(
    platform_of_its_own, tmp_path, monkeypatch
):
    """The old version whole, its files gone meanwhile; the next pass reads the new one."""
    monkeypatch.setattr(reading, "BATCH_ROWS", 1)
    found = platform_of_its_own
    copy = found.deliver(tmp_path / "inbox")
    found.head(copy)
    names, whole = names_of(copy), payload(left(copy, []))
    expected = payload(left(copy, names[:2]))
    reader = opened(copy)
    batches = reader.batches(batch_size=1)
    first = some(batches, 3)
    drops = found.drop(copy, 1, names[:2])
    swap(copy, rewritten(copy, drops, names[:2]))
    assert first + some(batches, 1000) == whole
    assert read(reader) == expected
    states = [(r.version, r.list) for r in reads(copy) if r.state == "done"]
    assert states == [(0, 0), (1, 1)]


def test_versions_that_are_swapped_all_the_time_are_never_mixed(platform_of_its_own, tmp_path):
    """Each pass gives exactly what one of the lists leaves, and never less than an earlier one."""
    found = platform_of_its_own
    copy = found.deliver(tmp_path / "inbox")
    gone: list[list[bytes]] = [[]]
    for name in names_of(copy):
        if len(left(copy, [*gone[-1], name])) < len(left(copy, gone[-1])):
            gone.append([*gone[-1], name])
    gone, count = gone[1:4], 3
    lists = [found.drop(copy, n + 1, each) for n, each in enumerate(gone)]
    heads = [copy.parent / f".head-{n}" for n in range(count)]
    for drops, path in zip(lists, heads, strict=True):
        found.head(copy, drops)
        (copy / "feed" / "head").rename(path)
    found.head(copy)
    allowed = [payload(left(copy, [])), *(payload(left(copy, each)) for each in gone)]
    steps = zip(lists, gone, strict=True)
    news = [rewritten(copy, drops, each) for drops, each in steps]
    reader, seen = opened(copy), [0]

    def publish() -> None:
        for head, new in zip(heads, news, strict=True):
            time.sleep(0.05)
            head.rename(copy / "feed" / "head")
            time.sleep(0.05)
            swap(copy, new)

    publishing = threading.Thread(target=publish)
    publishing.start()
    while publishing.is_alive() or seen[-1] < count:
        which = allowed.index(read(reader, batch_size=3))
        assert which >= seen[-1]
        seen.append(which)
    publishing.join()
    assert seen[-1] == count


# ── the record ──────────────────────────────────────────────────────────────────────────────


def test_each_read_is_recorded(made, copy, monkeypatch):
    """When, which version and list, for what, how much, by which run, and that it ended."""
    monkeypatch.setattr(reading, "CHECK_BATCHES", 20)
    drops = listed(made, copy, 3, names_of(copy)[:1])
    reader = opened(copy)
    rows = len(read(reader, batch_size=1))
    assert rows > 20
    read(reader)
    found = [*reads(copy)]
    assert {(r.at, r.run, r.purpose, r.version, r.list) for r in found} == {
        (NOW, reader.run, PURPOSE, 0, drops.number)
    }
    ends = [r for r in found if r.state == "done"]
    assert [(r.epoch, r.rows) for r in ends] == [(1, rows), (2, rows)]
    assert [r.state for r in found][:3] == ["opened", "reading", "reading"]
    assert found[1].rows == 0
    assert 0 < found[2].rows <= 20


def test_a_reading_that_is_given_up_says_so(copy):
    """Who takes a batch and leaves has read it."""
    batches = opened(copy).batches(batch_size=3)
    next(batches)
    batches.close()
    last = [*reads(copy)][-1]
    assert (last.state, last.batches) == ("stopped", 1)


def test_what_cannot_be_recorded_is_not_read(copy):
    """Neither opened nor read on."""
    reader = opened(copy)
    (copy / "reads.jsonl").unlink()
    (copy / "reads.jsonl").mkdir()
    with pytest.raises(WorkspaceError, match="recorded"):
        next(reader.batches())
    with pytest.raises(WorkspaceError):
        opened(copy)


def test_a_line_cut_off_by_a_crash_is_left_alone(copy):
    """What it was to record did not happen; the next line stands by itself."""
    reader = opened(copy)
    with (copy / "reads.jsonl").open("ab") as file:
        file.write(b'{"at":17')
    read(reader)
    assert [r.state for r in reads(copy)] == ["opened", "reading", "done"]
    assert (copy / "reads.jsonl").read_bytes().count(b'{"at":17\n') == 1


def test_a_record_of_reads_that_is_none_of_ours_is_refused(copy):
    """It says which lists were seen, so it has to be readable."""
    for line in (b'{"at":1}\n', b"[]\n", b'{"run":"x"}\n'):
        (copy / "reads.jsonl").write_bytes(line)
        with pytest.raises(LetterlockError, match=r"reads\.jsonl"):
            opened(copy)


# ── from end to end ─────────────────────────────────────────────────────────────────────────


def test_a_withdrawal_reaches_who_reads(platform_of_its_own, tmp_path):
    """Somebody says no; the published list drops her rows; applying it, while it is read, too."""
    found, inbox = platform_of_its_own, tmp_path / "inbox"
    copy = found.deliver(inbox)
    gate = found.gate
    gate.publish_drops()
    feed = gate.folder / "log" / "drops" / found.release
    reader = opened(copy, feed=feed)
    before = read(reader)
    gate.load_choices(choices([refusal(YES[0])]))
    gate.publish_drops()
    after = read(reader)
    assert 0 < len(after) < len(before)
    assert [row for row in before if row in after] == after
    reading_on = reader.batches(batch_size=1)
    first = some(reading_on, 2)
    applied = apply_drops(Inbox(inbox, now=NOW), found.release, str(feed))
    assert (applied.before, applied.version, applied.rows) == (0, 1, len(after))
    assert first + some(reading_on, 1000) == after
    assert read(opened(copy, on_drop="stop")) == after
    (copy / "destroyed").write_text("")
    with pytest.raises(GateClosed, match="destroyed"):
        read(reader)


# ── other processes ─────────────────────────────────────────────────────────────────────────


def test_a_reader_can_be_sent_to_another_process(copy):
    """It hashes nothing again there, and checks all the same."""
    reader = opened(copy)
    sent = pickle.loads(pickle.dumps(reader))  # noqa: S301 - our own
    assert read(sent) == payload(left(copy, []))
    (copy / "feed" / "head").unlink()
    with pytest.raises(StaleDrops):
        read(sent)


MANY = "ignore:This DataLoader will create:UserWarning"
"""It says so where a machine has fewer cores than workers."""


@pytest.mark.filterwarnings(MANY)
@pytest.mark.parametrize("workers", [0, 2, 3])
def test_torch_workers_give_each_row_once(made, copy, workers):
    """However many there are; each records its part."""
    loading = pytest.importorskip("torch.utils.data")
    names = names_of(copy)[:1]
    listed(made, copy, 1, names)
    reader = opened(copy)
    loader = loading.DataLoader(reader.torch(), batch_size=None, num_workers=workers)
    assert in_order(list(loader)) == in_order(payload(left(copy, names)))
    ends = {r.part: r.rows for r in reads(copy) if r.state == "done"}
    assert set(ends) == {f"{n}/{workers or 1}" for n in range(workers or 1)}
    assert sum(ends.values()) == len(left(copy, names))


def test_torch_workers_check_by_themselves(copy):
    """One that finds no fresh head ends the loading."""
    loading = pytest.importorskip("torch.utils.data")
    loader = loading.DataLoader(opened(copy).torch(), batch_size=None, num_workers=2)
    (copy / "feed" / "head").unlink()
    with pytest.raises(StaleDrops, match="not known"):
        list(loader)


@pytest.mark.slow
@pytest.mark.filterwarnings(MANY)
def test_more_torch_workers_than_files_leave_the_rest_idle(copy):
    """Sixteen files, seventeen workers: every row once."""
    loading = pytest.importorskip("torch.utils.data")
    loader = loading.DataLoader(opened(copy).torch(["body"]), batch_size=None, num_workers=17)
    assert sum(1 for _ in loader) == len(left(copy, []))


@pytest.mark.slow
def test_datasets_streams_the_same_rows_at_each_pass(made, copy):
    """And checks at each: a list that came between applies to the second."""
    pytest.importorskip("datasets")
    stream = opened(copy).datasets()
    assert stream.num_shards == 16
    assert list(stream) == payload(left(copy, []))
    names = names_of(copy)[:2]
    listed(made, copy, 1, names)
    assert list(stream) == payload(left(copy, names))


def test_a_missing_library_is_said(copy, monkeypatch):
    """Neither is needed by who does not ask for it."""
    for name in (
        "torch.utils.data",
        "datasets",
        *(f"letterlock.handover.{m}_rows" for m in ("torch", "hf")),
    ):
        monkeypatch.setitem(sys.modules, name, None)
    reader = opened(copy)
    with pytest.raises(UsageError, match="pip install torch"):
        reader.torch()
    with pytest.raises(UsageError, match="pip install datasets"):
        reader.datasets()


def test_the_package_itself_loads_nothing_heavy():
    """A command that reads no release starts as fast as ever."""
    code = (
        "import sys, letterlock; print(sorted({'pyarrow', 'torch', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert letterlock.__all__ == ["open_release", "training"]
    with pytest.raises(AttributeError):
        getattr(letterlock, "nothing")  # noqa: B009 - looked up, not there
