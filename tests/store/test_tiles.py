"""The log's two folders: what is there is there for good, for one writer, whatever ends it."""

from __future__ import annotations

import copy
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import letterlock
from letterlock.errors import LogError
from letterlock.record import merkle
from letterlock.record.merkle import leaf_hash
from letterlock.record.tlog import Reader, entries_path, fsck, tile_path
from letterlock.store.tiles import FolderTiles, LogFolders
from logs import ENTRIES, MemoryStore, log_in, opened
from oracle import tlog as twin

CHILD = Path(__file__).with_name("log_child.py")
PATHS = [str(Path(letterlock.__file__).parents[1]), str(CHILD.parents[1])]
NAME = f"600-{'0' * 64}"
TREE = merkle.Tree(map(leaf_hash, ENTRIES))


def child(*words):
    """Return how to start a process of log_child.py."""
    return {
        "args": [sys.executable, CHILD, *map(str, words)],
        "env": os.environ | {"PYTHONPATH": os.pathsep.join(PATHS), "PYTHONDONTWRITEBYTECODE": "1"},
    }


def tiles(folder):
    """Open the folders for writing."""
    return FolderTiles(folder / "log", folder / "sequencer")


def filled(folder, size=600):
    """Make a log of so many entries, in portions of 300, and return its folders to look at."""
    with tiles(folder) as store:
        log = log_in(store)
        for end in [*range(300, size, 300), size]:
            log.integrate(0, ENTRIES[:end])
            log.publish(log.committed)
    return LogFolders(folder / "log", folder / "sequencer")


def files_in(folder):
    """Return every file under a folder, by its path."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


# ── the same as in memory ───────────────────────────────────────────────────────────────────


def test_the_folders_hold_what_a_store_in_memory_holds(tmp_path):
    """The same public files after each step; nothing is left aside."""
    memory = MemoryStore()
    with tiles(tmp_path) as store:
        for end in (1, 300, 512, 600, 1200):
            for each in (memory, store):
                log = log_in(each)
                log.integrate(0, ENTRIES[:end])
                if end != 512:
                    log.publish(log.committed)
            assert files_in(tmp_path / "log") == memory.public
            assert sorted(store.paths()) == sorted(memory.paths())
            assert store.committed() == memory.committed()
            assert store.staged() == []
    assert set(files_in(tmp_path / "sequencer")) == {"checkpoint", "lock"}
    assert twin.files(ENTRIES[:1200]).items() <= memory.public.items()


def test_what_is_staged_is_read_back(tmp_path):
    """Any bytes, under the paths that they are for."""
    files = {tile_path(0, 1): b"\n 7\n", entries_path(0, 3): b"", tile_path(1, 2): bytes(99)}
    with tiles(tmp_path) as store:
        store.stage(NAME, files)
        assert store.staged() == [NAME]
        assert store.read_staged(NAME) == files
        store.unstage(NAME)
        store.unstage(NAME)
        assert store.staged() == []
        with pytest.raises(LogError, match="not what was staged"):
            store.read_staged(NAME)


def test_what_is_staged_and_damaged_is_not_used(tmp_path):
    """A bit of it changed, a byte short, or nothing in it."""
    with tiles(tmp_path) as store:
        store.stage(NAME, {tile_path(0, 0): bytes(64)})
        path = tmp_path / "sequencer" / "staging" / NAME
        whole = path.read_bytes()
        for damaged in (whole[:-1], b"", whole[:20] + b"\1" + whole[21:], whole[1:]):
            path.write_bytes(damaged)
            with pytest.raises(LogError, match="not what was staged"):
                store.read_staged(NAME)


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "../sequencer/checkpoint",
        "tile/../../sequencer/checkpoint",
        "/etc/passwd",
        "tile/0/000/../../../../sequencer/lock",
        "tile/0/..",
        "tile//000",
        "tile/0/000\n",
        "tile/0/000\0",
        "checkpoint/",
        "checkpoints/01",
        "checkpoints/-1",
        "blobs/",
        "blobs/../checkpoint",
        "lock",
        "policy",
    ],
)
def test_no_path_leads_out_of_the_folder(tmp_path, path):
    """Nor to a file of it that is not the log's: neither to read nor to write."""
    with tiles(tmp_path) as store:
        before = files_in(tmp_path)
        for attempt in (
            lambda: store.read(path),
            lambda: store.write({path: b""}),
            lambda: store.stage(NAME, {path: b""}),
            lambda: store.stage(path, {}),
            lambda: store.unstage(path),
            lambda: store.read_staged(path),
            lambda: store.drop_partials([path]),
        ):
            with pytest.raises(LogError, match="is no path of a log"):
                attempt()
        assert files_in(tmp_path) == before


def test_a_blob_is_a_file_of_the_log(tmp_path):
    """Under its hash."""
    path = f"blobs/{'0123456789abcdef' * 4}"
    with tiles(tmp_path) as store:
        store.write({path: b"large"})
        assert store.read(path) == b"large"


# ── refusals ────────────────────────────────────────────────────────────────────────────────


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path):
    """In the same process, or in another one; when the first one ends, the next may write."""
    with tiles(tmp_path), pytest.raises(LogError, match=f"process {os.getpid()} is writing"):
        tiles(tmp_path)
    with subprocess.Popen(
        **child("hold", tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LogError, match=f"process {other.pid} is writing"):
            tiles(tmp_path)
        LogFolders(tmp_path / "log", tmp_path / "sequencer").read("checkpoint")
        other.kill()
    tiles(tmp_path).close()


def test_a_checkpoint_that_somebody_else_committed_is_not_replaced(tmp_path):
    """Compare, then swap."""
    with tiles(tmp_path) as store:
        store.commit(None, b"one")
        for old in (None, b"another"):
            with pytest.raises(LogError, match="changed by somebody else"):
                store.commit(old, b"two")
        assert store.committed() == b"one"
        store.commit(b"one", b"two")
        assert store.committed() == b"two"


def test_a_file_that_is_there_is_never_changed(tmp_path):
    """Of several files, none is written if one is there with other content."""
    with tiles(tmp_path) as store:
        store.write({tile_path(0, 0): b"one"})
        store.write({tile_path(0, 0): b"one"})
        with pytest.raises(LogError, match="is there already"):
            store.write({tile_path(0, 1): b"two", tile_path(0, 0): b"two"})
        assert files_in(tmp_path / "log") == {tile_path(0, 0): b"one"}


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    """The disk that is full is /dev/full; of the files written with it, none is there."""
    filled(tmp_path, 300)
    before = files_in(tmp_path / "log")
    with tiles(tmp_path) as store:
        log = log_in(store)
        tile = tmp_path / "log" / tile_path(0, 2, 88)
        tile.parent.mkdir()
        tile.with_name(".88.new").symlink_to("/dev/full")
        with pytest.raises(LogError, match="No space left on device"):
            log.integrate(300, ENTRIES[300:600])
        assert files_in(tmp_path / "log") == before
        assert not list(tile.parent.iterdir())
        assert log.integrate(300, ENTRIES[300:600]).size == 600  # there is space again
        log.publish(log.committed)
        fsck(store.read, log.checkpoint, paths=store.paths())


def test_what_is_no_folder_or_cannot_be_read_is_a_log_error(tmp_path):
    """Not an error of the operating system."""
    (tmp_path / "log").write_bytes(b"")
    with pytest.raises(LogError, match="log"):
        tiles(tmp_path)
    (tmp_path / "log").unlink()
    with tiles(tmp_path) as store:
        (tmp_path / "log" / "checkpoint").mkdir()
        with pytest.raises(LogError, match="checkpoint: Is a directory"):
            store.read("checkpoint")
        (tmp_path / "log" / "tile").write_bytes(b"")
        assert store.read(tile_path(0, 0)) is None
        with pytest.raises(LogError, match="tile"):
            store.write({tile_path(0, 0): b""})
    looked_at = LogFolders(tmp_path / "nowhere", tmp_path / "nowhere")
    assert (looked_at.read("checkpoint"), looked_at.committed()) == (None, None)
    assert (looked_at.staged(), list(looked_at.paths())) == ([], [])


def test_what_a_crash_left_half_written_is_not_taken_for_a_file(tmp_path):
    """Neither listed nor staged, and of the staging it is removed."""
    files = filled(tmp_path, 300)
    left = tmp_path / "sequencer" / "staging" / f".{NAME}.new"
    left.write_bytes(b"half")
    (tmp_path / "log" / "tile" / "0" / ".000.new").write_bytes(b"half")
    assert files.staged() == []
    fsck(files.read, opened(files.read("checkpoint")), paths=files.paths())
    tiles(tmp_path).close()
    assert not left.exists()


# ── edited by hand ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "path",
    [
        tile_path(0, 0),
        tile_path(0, 2, 88),
        tile_path(1, 0, 2),
        entries_path(1),
        entries_path(2, 88),
    ],
)
@pytest.mark.parametrize("edit", ["changed", "missing", "cut", "longer"])
def test_a_check_names_a_file_that_was_edited(tmp_path, path, edit):
    """Whichever it is, and whatever was done to it."""
    files = filled(tmp_path)
    newest = opened(files.read("checkpoint"))
    fsck(files.read, newest, paths=files.paths())
    place = tmp_path / "log" / path
    data = place.read_bytes()
    if edit == "missing":
        place.unlink()
    else:
        changed = (
            data[:70] + bytes([data[70] ^ 1]) + data[71:] if len(data) > 70 else b"\1" + data[1:]
        )
        place.write_bytes({"changed": changed, "cut": data[:-1], "longer": data + b"\0"}[edit])
    with pytest.raises(LogError, match=re.escape(path)):
        fsck(files.read, newest, paths=files.paths())


def test_a_check_names_a_file_too_many_and_a_checkpoint_of_another_log(tmp_path):
    """A checkpoint that was edited is signed by nobody; one of another log leads elsewhere."""
    files = filled(tmp_path)
    newest = opened(files.read("checkpoint"))
    more = tmp_path / "log" / "tile" / "0" / "003"
    more.write_bytes(bytes(8192))
    with pytest.raises(LogError, match="tile/0/003: beyond the 600 entries"):
        fsck(files.read, newest, paths=files.paths())
    more.unlink()
    other = MemoryStore()
    log_in(other).integrate(0, [b"x"] * 600)
    with pytest.raises(LogError, match="checkpoint: the tiles lead to"):
        fsck(files.read, opened(other.committed()), paths=files.paths())


# ── power cuts ──────────────────────────────────────────────────────────────────────────────


class Traced(FolderTiles):
    """Folders that note what would be on the disk if the power went at each moment.

    What was renamed or removed, and every folder that was made, is certain only when the folder
    that it stands in was synchronized; before, it may be there or not.
    """

    def __init__(self, public, private):
        """Note from the beginning."""
        self.certain, self.pending, self.content, self.moments = {}, [], {}, []
        self.acknowledged = 0
        super().__init__(public, private)

    def _note(self):
        moment = (dict(self.certain), list(self.pending), self.acknowledged)
        self.moments.append(copy.copy(moment))

    def _fill(self, files):
        super()._fill(files)
        self.content |= {path: b"".join(parts) for path, parts in files}

    def _rename(self, new, path):
        super()._rename(new, path)
        self.pending.append((path, self.content.pop(new)))
        self._note()

    def _remove(self, path):
        super()._remove(path)
        self.pending.append((path, None))
        self._note()

    def _synchronize(self, folder):
        super()._synchronize(folder)
        for path, data in [each for each in self.pending if each[0].parent == folder]:
            self.certain[path] = data
        self.pending = [each for each in self.pending if each[0].parent != folder]
        self.folders = getattr(self, "folders", set()) | {p for p in folder.iterdir() if p.is_dir()}
        self._note()


class Hasty(FolderTiles):
    """Folders that wait for no disk: what recovers from a power cut need not survive the next."""

    def _fill(self, files):
        for path, parts in files:
            path.write_bytes(b"".join(parts))

    def _synchronize(self, folder):
        pass


DRAW = random.Random(1)


@pytest.mark.parametrize(
    "survives",
    [
        pytest.param(lambda _: False, id="none"),
        pytest.param(lambda _: True, id="all", marks=pytest.mark.slow),
        pytest.param(lambda _: DRAW.random() < 0.5, id="some", marks=pytest.mark.slow),
    ],
)
def test_after_a_power_cut_the_log_goes_on_from_what_is_certain(tmp_path, survives):
    """At every moment, with none, all, or any of what was not certain yet."""
    with Traced(tmp_path / "log", tmp_path / "sequencer") as store:
        log = log_in(store)
        for end in (3, 258, 300):
            log.integrate(0, ENTRIES[:end])
            store.acknowledged = end
            log.publish(log.committed)
        moments, folders = store.moments, store.folders
    assert len(moments) > 60
    made = {path.parent for certain, *_ in moments for path in certain}
    assert (
        made - {tmp_path / "log", tmp_path / "sequencer"} <= folders
    )  # each in a synchronized one
    for number, (certain, pending, acknowledged) in enumerate(moments):
        again = tmp_path / "again"
        for path, data in (certain | dict(filter(survives, pending))).items():
            if data is not None:
                place = again / path.relative_to(tmp_path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
        check_recovery(again, acknowledged, number)
        shutil.rmtree(again, ignore_errors=True)


def check_recovery(folder, acknowledged, what):
    """Open a log that was interrupted: nothing acknowledged is lost, and it goes on."""
    with Hasty(folder / "log", folder / "sequencer") as store:
        log = log_in(store)
        assert log.size >= acknowledged, what
        assert log.root == merkle.root(log.size, TREE.node)
        public = store.read("checkpoint")
        if public is not None:
            reader = Reader(store.read, opened(public))
            assert list(reader.entries(0, reader.size)) == ENTRIES[: reader.size]
        fsck(store.read, log.checkpoint, paths=store.paths())
        assert log.integrate(0, ENTRIES[:620]).root == merkle.root(620, TREE.node)
        log.publish(log.committed)
        assert store.staged() == []
        fsck(store.read, log.checkpoint, paths=store.paths())


@pytest.mark.slow
@pytest.mark.parametrize("how", ["before", "half", "after"])
def test_a_process_may_end_at_any_change_of_the_disk(tmp_path, how):
    """Killed before each write, half-way through it, and after it."""
    for number in range(1, 200):
        folder = tmp_path / str(number)
        folder.mkdir()
        ended = subprocess.run(**child("crash", folder, number, how), check=False).returncode
        told = {
            name: int((folder / name).read_text()) if (folder / name).exists() else 0
            for name in ("acknowledged", "published")
        }
        public = LogFolders(folder / "log", folder / "sequencer").read("checkpoint")
        assert (opened(public).size if public else 0) >= told["published"]
        check_recovery(folder, told["acknowledged"], number)
        shutil.rmtree(folder)
        if ended == 0:
            break
        assert ended == 9
    assert number > 40


@pytest.mark.slow
def test_readers_verify_everything_while_a_writer_goes_on(tmp_path):
    """One writer, four readers, each verifying what it reads against the newest checkpoint."""
    writer = subprocess.Popen(**child("write", tmp_path, len(ENTRIES)))
    readers = [
        subprocess.Popen(**child("read", tmp_path, len(ENTRIES)), stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    assert writer.wait(timeout=300) == 0
    for reader in readers:
        out, _ = reader.communicate(timeout=300)
        assert reader.returncode == 0
        assert int(out) > 3
    files = LogFolders(tmp_path / "log", tmp_path / "sequencer")
    fsck(files.read, opened(files.read("checkpoint")), paths=files.paths())
