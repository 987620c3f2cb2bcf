"""What the tests of the log's folders run as processes of their own: `python log_child.py WHAT …`.

write FOLDER COUNT    integrate and publish, in portions
read FOLDER COUNT     read and verify until COUNT entries are public
crash FOLDER N HOW    end at once, before or after the Nth change of the disk, or half-way through
hold FOLDER           lock the log, say so, and wait for the end of standard input
"""

from __future__ import annotations

import os
import random
import sys
import time
from pathlib import Path

from letterlock.record import merkle
from letterlock.record.tlog import Reader, fsck
from letterlock.store.tiles import FolderTiles, LogFolders
from logs import ENTRIES, log_in, opened


def write(folder, count):
    """Add entries in portions of any size, each public before the next."""
    draw = random.Random(count)
    with FolderTiles(folder / "log", folder / "sequencer") as store:
        log = log_in(store)
        while log.size < count:
            end = min(log.size + draw.choice([1, 2, 7, 100, 300]), count)
            log.integrate(max(log.size - 5, 0), ENTRIES[max(log.size - 5, 0) : end])
            log.publish(log.committed)


def read(folder, count):
    """Verify entries, proofs, and that each checkpoint continues the one before."""
    files, draw = LogFolders(folder / "log", folder / "sequencer"), random.Random(os.getpid())
    seen, rounds = None, 0
    while seen is None or seen.size < count:
        note = files.read("checkpoint")
        if note is None:
            time.sleep(0.01)
            continue
        newest = opened(note)
        reader = Reader(files.read, newest)
        if seen is not None:
            proof = reader.consistency(seen.size)
            merkle.verify_consistency(seen.root, seen.size, newest.root, newest.size, proof)
        for index in draw.sample(range(newest.size), min(newest.size, 10)):
            proof = reader.inclusion(index)
            leaf = merkle.leaf_hash(ENTRIES[index])
            merkle.verify_inclusion(newest.root, leaf, index, newest.size, proof)
            assert reader.entry(index) == ENTRIES[index]
        if rounds % 8 == 0:
            fsck(files.read, newest)
            assert list(reader.entries(0, newest.size)) == ENTRIES[: newest.size]
        seen, rounds = newest, rounds + 1
    print(rounds)  # noqa: T201


class Crashing(FolderTiles):
    """Folders whose process ends at one change of the disk."""

    left, how = 0, ""

    def _at(self, change, half=None):
        self.left -= 1
        if self.left == 0 and self.how == "before":
            os._exit(9)
        if self.left == 0 and self.how == "half" and half is not None:
            half()
            os._exit(9)
        change()
        if self.left == 0:
            os._exit(9)

    def _fill(self, files):
        def half():
            for path, parts in files:
                data = b"".join(parts)
                path.write_bytes(data[: len(data) // 2])

        self._at(lambda: super(Crashing, self)._fill(files), half)

    def _rename(self, new, path):
        self._at(lambda: super(Crashing, self)._rename(new, path))

    def _remove(self, path):
        self._at(lambda: super(Crashing, self)._remove(path))

    def _synchronize(self, folder):
        self._at(lambda: super(Crashing, self)._synchronize(folder))


def crash(folder, count, how):
    """Add 300 entries, then 300 more, each published; what was acknowledged is told."""
    with Crashing(folder / "log", folder / "sequencer") as store:
        store.left, store.how = count, how
        log = log_in(store)
        for end in (300, 600):
            log.integrate(0, ENTRIES[:end])
            (folder / "acknowledged").write_text(str(end))
            log.publish(log.committed)
            (folder / "published").write_text(str(end))


def hold(folder):
    """Hold the lock."""
    with FolderTiles(folder / "log", folder / "sequencer"):
        print("held", flush=True)  # noqa: T201
        sys.stdin.read()


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    {"write": write, "read": read, "crash": crash, "hold": hold}[what](
        Path(where), *(int(each) if each.isdigit() else each for each in rest)
    )
