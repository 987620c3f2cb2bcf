"""What the tests of the log share: a signer, a store in memory every write of which can fail."""

from __future__ import annotations

from letterlock.errors import LogError
from letterlock.record import checkpoint as checkpoints
from letterlock.record import note as notes
from letterlock.record.note import Kind, SecretSigner
from letterlock.record.tlog import Log

ORIGIN = "letterlock.example/log"
SIGNER = SecretSigner(ORIGIN, Kind.ED25519, bytes(range(32)))
ENTRIES = [b"entry %d" % i * (i % 3) for i in range(4000)]
"""As a ledger would give them: entry i is always the same. Every third is empty."""

FAULTS = ("stage", "commit", "entries", "hashes", "unstage", "publish", "copy", "drop")
"""Every kind of write."""
OUTCOMES = ("lost", "kept")
"""Failed, and was not done; failed, but was done."""


class Failed(LogError):
    """A write that was made to fail."""


def sign(checkpoint):
    """Sign a checkpoint as the log."""
    return checkpoints.sign(checkpoint, [SIGNER], 0).encode()


def opened(note):
    """Return the checkpoint of a note that the log signed."""
    return checkpoints.opened(notes.parse(note), [SIGNER.verifier])[0]


def log_in(store, sign=sign):
    """Open the log in a store."""
    return Log(store, ORIGIN, sign, opened)


class MemoryStore:
    """A TileStore in memory. `fails` maps kinds of writes to what becomes of the next such one."""

    def __init__(self):
        """Hold nothing."""
        self.public = {}
        self.kept_aside = {}
        self.checkpoint = None
        self.fails = {}
        self.every_commit = []

    def _do(self, kind, change):
        outcome = self.fails.pop(kind, None)
        if outcome == "lost":
            raise Failed(kind)
        change()
        if outcome == "kept":
            raise Failed(kind)

    def read(self, path):
        """Return a public file."""
        return self.public.get(path)

    def paths(self):
        """List what stands under tile/."""
        return [path for path in self.public if path.startswith("tile/")]

    def committed(self):
        """Return the committed checkpoint."""
        return self.checkpoint

    def commit(self, old, new):
        """Compare and swap."""
        assert old == self.checkpoint, "there is one writer"

        def change():
            self.checkpoint = new
            self.every_commit.append(new)

        self._do("commit", change)

    def stage(self, name, files):
        """Keep files aside."""
        self._do("stage", lambda: self.kept_aside.update({name: dict(files)}))

    def staged(self):
        """List what is kept aside."""
        return list(self.kept_aside)

    def read_staged(self, name):
        """Return what was kept aside."""
        return self.kept_aside[name]

    def unstage(self, name):
        """Forget it."""
        self._do("unstage", lambda: self.kept_aside.pop(name, None))

    def write(self, files):
        """Write one file after the other; each of them can fail, the others stay."""
        for path, data in files.items():
            assert self.public.get(path, data) == data, "no file is ever changed"
            kind = "entries" if path.startswith("tile/entries/") else "hashes"
            self._do(kind, lambda path=path, data=data: self.public.update({path: data}))

    def publish(self, checkpoint, size):
        """Write the copy, then the checkpoint."""
        self._do("copy", lambda: self.public.update({f"checkpoints/{size}": checkpoint}))
        self._do("publish", lambda: self.public.update({"checkpoint": checkpoint}))

    def drop_partials(self, paths):
        """Remove partial files."""
        for full in paths:
            for path in [each for each in self.public if each.startswith(f"{full}.p/")]:
                self._do("drop", lambda path=path: self.public.pop(path))
