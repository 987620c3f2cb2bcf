"""What the log takes: roots, integration, proofs; beside the plain hashes, and beside pymerkle.

The root over N entries, leaves included, against a loop of nothing but hashlib's calls; N entries
into two folders, with the memory that takes; proofs from those files, each from a reader that has
read nothing and from one that has; and pymerkle's tree in memory. Both sides check one another.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from measure import forget_peak, in_own_process, meter, options, report, run

from letterlock.record import checkpoint as checkpoints
from letterlock.record import merkle
from letterlock.record import note as notes
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.note import Kind, SecretSigner
from letterlock.record.tlog import Log, Reader, fsck
from letterlock.store.tiles import FolderTiles, LogFolders

ORIGIN = "letterlock.example/bench"
SIGNERS = [
    SecretSigner(ORIGIN, Kind.ED25519, bytes([1]) * 32),
    SecretSigner(ORIGIN, Kind.MLDSA44, bytes([2]) * 32),
]


def entry_of(number: int) -> bytes:
    """Return an entry as an event about a person has it: 83 bytes."""
    return b'{"commitment":"%064x"}' % (number * 0x9E3779B97F4A7C15 + 1)


def entries_of(count: int) -> Iterator[bytes]:
    return map(entry_of, range(count))


def sign(checkpoint: Checkpoint) -> bytes:
    return checkpoints.sign(checkpoint, SIGNERS, 1_700_000_000).encode()


def opened(note: bytes) -> Checkpoint:
    return checkpoints.opened(notes.parse(note), [each.verifier for each in SIGNERS])[0]


# ── stages ──────────────────────────────────────────────────────────────────────────────────


def root(count: int) -> dict[str, Any]:
    """Compute one root in two ways, in turns, over entries that are made before."""
    found: dict[str, Any] = {"entries": count, "plain_cpu": 0.0, "root_cpu": 0.0}
    tops: dict[str, list[bytes]] = {"plain": [], "root": []}
    ways = [("plain", _plainly), ("root", lambda e: merkle.root_of(map(merkle.leaf_hash, e)))]
    numbers = iter(range(count))
    while entries := [entry_of(number) for number in islice(numbers, 1 << 16)]:
        ways.reverse()  # who comes second finds the entries in the cache
        for name, way in ways:
            spent: dict[str, Any] = {}
            with meter(spent):
                tops[name].append(way(entries))
            found[f"{name}_cpu"] += spent["cpu"]
    assert merkle.root_of(tops["plain"]) == merkle.root_of(tops["root"])
    found |= {name: round(found[name], 3) for name in ("plain_cpu", "root_cpu")}
    ratio = found["root_cpu"] / found["plain_cpu"]
    return found | {"times_plain": round(ratio, 3), "per_cpu_s": round(count / found["root_cpu"])}


def _plainly(entries: list[bytes]) -> bytes:
    sha256 = hashlib.sha256
    level = [sha256(b"\0" + entry).digest() for entry in entries]
    while len(level) > 1:
        pairs = [
            sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)
        ]
        level = pairs + level[len(level) & ~1 :]
    return level[0]


def integrate(folder: Path, count: int) -> dict[str, Any]:
    """Fill a log in two folders, and publish it. Making the entries is counted apart."""
    shutil.rmtree(folder, ignore_errors=True)
    found: dict[str, Any] = {"entries": count}
    with meter(found, "making"):
        for _ in entries_of(count):
            pass
    forget_peak()
    with meter(found, "all"), FolderTiles(folder / "log", folder / "sequencer") as store:
        log = Log(store, ORIGIN, sign, opened)
        log.integrate(0, entries_of(count))
        log.publish(log.committed or b"")
    found["cpu"] = round(found["all_cpu"] - found["making_cpu"], 3)
    found["per_cpu_s"] = round(count / found["cpu"])
    found["per_wall_s"] = round(count / found["all_wall"])
    return found


def again(folder: Path, count: int) -> dict[str, Any]:
    """Hand the same entries over again: all are compared, none is added."""
    found: dict[str, Any] = {"entries": count}
    with FolderTiles(folder / "log", folder / "sequencer") as store:
        log = Log(store, ORIGIN, sign, opened)
        with meter(found):
            log.integrate(0, entries_of(count))
    assert log.size == count
    return found | {"per_cpu_s": round(count / found["cpu"])}


def single(folder: Path, count: int) -> dict[str, Any]:
    """Add entries one by one, each committed, written and published before the next."""
    shutil.rmtree(folder, ignore_errors=True)
    found: dict[str, Any] = {"entries": count}
    with FolderTiles(folder / "log", folder / "sequencer") as store:
        log = Log(store, ORIGIN, sign, opened)
        with meter(found):
            for number, entry in enumerate(entries_of(count)):
                log.integrate(number, [entry])
                log.publish(log.committed or b"")
    return found | {
        "per_cpu_s": round(count / found["cpu"]),
        "ms_wall": 1e3 * found["wall"] / count,
    }


def check(folder: Path, count: int) -> dict[str, Any]:
    """Check every file of the log."""
    found: dict[str, Any] = {"entries": count}
    files = LogFolders(folder / "log", folder / "sequencer")
    with meter(found):
        fsck(files.read, opened(files.read("checkpoint") or b""), paths=files.paths())
    return found | {"per_cpu_s": round(count / found["cpu"])}


def proofs(folder: Path, count: int, rounds: int) -> dict[str, Any]:
    """Make proofs of entries and sizes drawn at random, and check each."""
    files = LogFolders(folder / "log", folder / "sequencer")
    newest = opened(files.read("checkpoint") or b"")
    found: dict[str, Any] = {"entries": count, "proofs": rounds}
    draw = random.Random(4)
    places = [draw.randrange(count) for _ in range(rounds)]
    warm = Reader(files.read, newest)
    for place in places:
        warm.inclusion(place)
    took: dict[str, list[float]] = {}

    def timed(name: str, prove: Callable[[int], list[bytes]], place: int) -> list[bytes]:
        began, spent = time.perf_counter(), time.process_time()
        proof = prove(place)
        took.setdefault(f"{name}_cpu", []).append(time.process_time() - spent)
        took.setdefault(f"{name}_wall", []).append(time.perf_counter() - began)
        return proof

    for place in places:
        leaf, old = merkle.leaf_hash(entry_of(place)), merkle.root(place, warm.node)
        for name in ("cold", "warm"):
            reader = warm if name == "warm" else Reader(files.read, newest)
            proof = timed(f"{name}_inclusion", reader.inclusion, place)
            merkle.verify_inclusion(newest.root, leaf, place, count, proof)
            reader = warm if name == "warm" else Reader(files.read, newest)
            proof = timed(f"{name}_consistency", reader.consistency, place)
            merkle.verify_consistency(old, place, newest.root, count, proof)
    for name, each in took.items():
        ordered = sorted(each)
        for label, at in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            milliseconds = 1e3 * ordered[min(int(at * len(ordered)), len(ordered) - 1)]
            found[f"{name}_{label}_ms"] = round(milliseconds, 3)
    return found


def pymerkle(count: int, rounds: int) -> dict[str, Any]:
    """Append to pymerkle's tree in memory, and make proofs of it."""
    from pymerkle import InmemoryTree  # noqa: PLC0415

    found: dict[str, Any] = {"entries": count, "proofs": rounds}
    tree = InmemoryTree(algorithm="sha256")
    forget_peak()
    with meter(found):
        for entry in entries_of(count):
            tree.append_entry(entry)
    assert tree.get_root() == merkle.root_of(map(merkle.leaf_hash, entries_of(count)))
    draw = random.Random(4)
    took: dict[str, list[float]] = {"inclusion": [], "consistency": []}
    for place in (draw.randrange(1, count) for _ in range(rounds)):
        for name, prove in (
            ("inclusion", tree.prove_inclusion),
            ("consistency", tree.prove_consistency),
        ):
            began = time.perf_counter()
            prove(place, count)
            took[name].append(time.perf_counter() - began)
    for name, each in took.items():
        ordered = sorted(each)
        found[f"{name}_p50_ms"] = round(1e3 * ordered[len(ordered) // 2], 3)
        found[f"{name}_max_ms"] = round(1e3 * ordered[-1], 3)
    return found | {"per_cpu_s": round(count / found["cpu"])}


def main() -> None:
    parser = options(__doc__, entries=10_000_000, proofs=1000, single=200, other=200_000)
    arguments = parser.parse_args()
    count, rounds = arguments.entries, arguments.proofs
    folder = arguments.work / f"log-{count}"
    alone = arguments.work / "log-single"
    found = {
        "root": in_own_process("root", count=count),
        "integrate": in_own_process("integrate", folder=folder, count=count),
        "again": in_own_process("again", folder=folder, count=count),
        "check": in_own_process("check", folder=folder, count=count),
        "proofs": in_own_process("proofs", folder=folder, count=count, rounds=rounds),
        "single": in_own_process("single", folder=alone, count=arguments.single),
        "pymerkle": in_own_process("pymerkle", count=arguments.other, rounds=min(rounds, 100)),
    }
    shutil.rmtree(folder)
    shutil.rmtree(alone)
    report(arguments, found)


if __name__ == "__main__":
    run(main, {s.__name__: s for s in (root, integrate, again, check, proofs, single, pymerkle)})
