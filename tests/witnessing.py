"""Logs and witnesses for tests: small real ones, and servers on ports that are free."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.applications import Starlette

from letterlock.record import checkpoint as checkpoints
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.merkle import Tree, leaf_hash
from letterlock.record.note import Kind, Note, SecretSigner, Verifier
from letterlock.record.quorum import Group, LogKey, Policy, Witness
from letterlock.record.witness import Request, by_origin
from letterlock.record.witness import Witness as Protocol
from letterlock.web import serving

T = TypeVar("T")
ORIGIN = "log.example/a"
LOG = tuple(SecretSigner(ORIGIN, kind, b"l" * 32) for kind in (Kind.ED25519, Kind.MLDSA44))
NOW = 1_800_000_000


def witness_keys(name: str) -> tuple[SecretSigner, SecretSigner]:
    """Return the two keys of a witness: Ed25519, ML-DSA-44."""
    seed = name.encode().ljust(32, b".")
    return SecretSigner(name, Kind.COSIGNATURE, seed), SecretSigner(name, Kind.MLDSA44, seed)


def witness_of(name: str = "w.example/1", *, signers: tuple[SecretSigner, ...] = LOG) -> Protocol:
    """Return a witness that knows the log with these keys."""
    return Protocol(witness_keys(name), by_origin(each.verifier for each in signers))


@dataclass
class Log:
    """A log, whole in memory; `branch` tells the entries of one fork from those of another."""

    branch: bytes = b""
    common: int = 0
    signers: tuple[SecretSigner, ...] = LOG
    _trees: dict[int, Tree] = field(default_factory=dict)
    _notes: dict[tuple[int, tuple[str, ...]], Note] = field(default_factory=dict)

    def tree(self, size: int) -> Tree:
        """Return the tree of the first `size` entries; up to `common` all branches share them."""
        if size not in self._trees:
            leaves = (
                leaf_hash((b"" if i < self.common else self.branch) + b"entry %d" % i)
                for i in range(size)
            )
            self._trees[size] = Tree(leaves)
        return self._trees[size]

    def note(self, size: int, *, extensions: tuple[str, ...] = ()) -> Note:
        """Return the signed checkpoint of one size; with extension lines, by Ed25519 alone."""
        if (size, extensions) not in self._notes:
            checkpoint = Checkpoint(ORIGIN, size, self.tree(size).root, extensions)
            signers = self.signers[:1] if extensions else self.signers
            self._notes[size, extensions] = checkpoints.sign(checkpoint, signers, NOW)
        return self._notes[size, extensions]

    def consistency(self, old: int, size: int) -> list[bytes]:
        """Return the proof between two sizes."""
        return self.tree(size).consistency(old)

    def request(self, old: int, size: int) -> bytes:
        """Return the request to cosign `size` entries after `old`."""
        return Request(old, tuple(self.consistency(old, size)), self.note(size)).encode()


class Memory:
    """A WitnessState in memory, which remembers everything that ever stood in it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.notes: list[bytes] = []
        self.forks: list[tuple[bytes, bytes]] = []
        self._lock = threading.Lock()

    def read(self, _origin: str) -> bytes | None:
        """Return the newest note."""
        return self.notes[-1] if self.notes else None

    def compare_and_set(self, origin: str, old: bytes | None, new: bytes) -> bool:
        """Put `new` in the place of `old`."""
        with self._lock:
            if self.read(origin) != old:
                return False
            self.notes.append(new)
            return True

    def keep(self, _origin: str, cosigned: bytes, refused: bytes) -> None:
        """Keep a fork."""
        self.forks.append((cosigned, refused))


def policy_of(urls: dict[str, str], *, needed: int, kinds: tuple[int, ...] = (0, 1)) -> Policy:
    """Return the policy of the log, with witnesses by name: `needed` of them have to have seen it.

    A witness is a group of its keys, of which any will do.
    """
    witnesses, groups = [], []
    for name, url in urls.items():
        keys = [witness_keys(name)[which].verifier for which in kinds]
        own = [Witness(f"{name}:{key.kind:02}".encode(), key, url) for key in keys]
        witnesses += own
        groups.append(Group(name.encode(), 1, tuple(each.name for each in own)))
    quorum = Group(b"quorum", needed, tuple(each.name for each in groups))
    logs = tuple(LogKey(each.verifier) for each in LOG)
    return Policy(logs, tuple(witnesses), (*groups, quorum), b"quorum")


def who(note: Note, keys: list[Verifier]) -> set[tuple[str, int]]:
    """Return the names and kinds of those who signed a note, after checking it."""
    return {(s.verifier.name, s.verifier.kind) for s in checkpoints.opened(note, keys)[1]}


@contextmanager
def running(app: Starlette) -> Iterator[str]:
    """Serve an app on a free port, in a thread; yields its URL."""
    taken = serving.listen("127.0.0.1", 0)
    server = serving.server_of(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
    thread.start()
    try:
        yield serving.url_of(taken)
    finally:
        server.should_exit = True
        thread.join()
        taken.close()


def together(tasks: list[Callable[[], T]]) -> list[T]:
    """Run tasks at once, each in a thread, starting together; returns what each returned."""
    gate, found = threading.Barrier(len(tasks)), {}

    def run(at: int) -> None:
        gate.wait()
        found[at] = tasks[at]()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(tasks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[at] for at in range(len(tasks))]
