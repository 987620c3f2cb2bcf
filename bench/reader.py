"""What it costs to read a release through the gate, as a multiple of PyArrow on the same files.

    python bench/reader.py --rows 3000000 --members 1000000 --rounds 3 --out reader.json

A received release is generated: `--shards` files, four people a row, a body of 200 to 1,000 bytes.
Stages, each in a process of its own, `--rounds` times in turn (ratios are taken within a round):

pyarrow      ParquetFile.iter_batches over the files, the payload column only (the baseline)
empty        ReleaseReader.batches, nobody dropped
dropped      the same, `--dropped` members on the drop list
again        a second pass of that reader
pyarrow_rows the baseline for rows: the same batches, each as Python dicts
torch        ReleaseReader.torch with that list; datasets: ReleaseReader.datasets (for information)

`open_cpu` is what opening costs before the first pass, once: the hash of every file, all proofs.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import in_own_process, median_of, meter, options, report, run
from world import prose

RELEASE, RECIPIENT, PURPOSE, ORIGIN = (
    "0123456789abcdef",
    "tern",
    "train.generative",
    "bench.example",
)
BATCH = 8192
FILES = ("empty", "dropped")


# ── a release ───────────────────────────────────────────────────────────────────────────────


def generate(folder: Path, rows: int, members: int, shards: int, dropped: int) -> None:
    """Write inboxes with a release in them: one whose drop list is empty, one with `dropped`."""
    from letterlock.domain import sha256  # noqa: PLC0415

    rng = np.random.default_rng(20250201)
    names = np.sort(np.frombuffer(rng.bytes(32 * members), "S32"))
    copy = folder / "empty" / "received" / RELEASE
    out = copy / "outgoing"
    (out / "data" / "mail").mkdir(parents=True)
    column = pa.Array.from_buffers(pa.binary(32), members, [None, pa.py_buffer(names.tobytes())])
    pq.write_table(pa.table({"pseudonym": column}), out / "members.parquet", compression="zstd")
    pool = prose(rng, 64 << 20)
    for n in range(shards):
        table = _rows(rng, rows // shards, members, pool)
        path = out / "data" / "mail" / f"shard-{n:05}.parquet"
        pq.write_table(
            table, path, compression="zstd", compression_level=3, use_dictionary=["data_class"]
        )
    files = [
        {
            "path": path.relative_to(out).as_posix(), "rows": pq.read_metadata(path).num_rows,
            "bytes": path.stat().st_size, "sha256": sha256(path.read_bytes()),
        }
        for path in sorted(out.rglob("*.parquet"))
    ]  # fmt: skip
    _attest(copy, files, rows, members, shards)
    (folder / "empty" / "inbox.toml").write_text(f'format = 1\nrecipient = "{RECIPIENT}"\n')
    shutil.copytree(folder / "empty", folder / "dropped", copy_function=_link)
    gone = names[np.sort(rng.choice(members, dropped, replace=False))]
    for name, drops in (("empty", b""), ("dropped", gone.tobytes())):
        _feed(folder / name / "received" / RELEASE / "feed", drops)


def _link(old: str, new: str) -> None:
    Path(new).hardlink_to(old)


def _rows(rng: np.random.Generator, count: int, members: int, pool: np.ndarray) -> pa.Table:
    bounds = np.concatenate([[0], np.cumsum(rng.integers(200, 1001, count))])
    at = int(rng.integers(0, len(pool) - bounds[-1]))
    body = pa.StringArray.from_buffers(
        count, pa.py_buffer(bounds.astype(np.int32)), pa.py_buffer(pool[at : at + bounds[-1]])
    )
    people = {}
    for name, most in (("authors", 1), ("recipients", 5), ("members", 0), ("quoted", 0)):
        lengths = rng.integers(1, most + 1, count) if most else np.zeros(count, np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        who = rng.integers(0, members, offsets[-1]).astype(np.uint32)
        people[name] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(who))
    kind = rng.integers(0, 2, count)
    return pa.table(
        {
            "data_class": pa.array(np.array(["message.direct", "message.group"])[kind]),
            "created_at": pa.array(np.sort(rng.integers(1.6e15, 1.7e15, count))).cast(
                pa.timestamp("us", tz="UTC")
            ),
            **people,
            "payload.body": body,
        }
    )


def _attest(copy: Path, files: list[dict[str, Any]], rows: int, members: int, shards: int) -> None:
    """Write manifest, grant and evidence, with a log of four entries that holds them."""
    from letterlock.domain import END, canonical, sha256  # noqa: PLC0415
    from letterlock.evidence.bundle import Logged, Release, encode  # noqa: PLC0415
    from letterlock.handover import logged  # noqa: PLC0415
    from letterlock.ledger import Event  # noqa: PLC0415
    from letterlock.record import checkpoint, memberset, merkle, prooffile, quorum  # noqa: PLC0415

    opened = {
        "purpose": PURPOSE, "recipient": RECIPIENT, "as_of": 0, "upto": 0, "sources": [],
        "shards": shards, "release": RELEASE,
    }  # fmt: skip
    events = [Event(0, 1, "key.introduced", {"use": "vrf", "key": "00" * 32})]
    events.append(Event(1, 2, "release.opened", opened))
    depth, root = memberset.depth_of(members), "00" * 32
    manifest = {
        "format": "letterlock/release/v1", "release": RELEASE, "simulated": True,
        "purpose": PURPOSE, "recipient": {"id": RECIPIENT, "name": "Tern", "class": "third_party"},
        "as_of": "2025-01-01T00:00:00Z", "policy": [],
        "counts": {"items": rows, "released": rows, "withheld": 0, "by_reason": {}, "by_class": {}},
        "members": members,
        "member_set": {
            "opened": 1, "opening": merkle.leaf_hash(events[1].canonical()).hex(), "key": 0,
            "depth": depth, "root": root,
        },
        "shards": shards, "files": files, "private": [],
    }  # fmt: skip
    data = canonical(manifest) + b"\n"
    (copy / "outgoing" / "manifest.json").write_bytes(data)
    sealed = {
        "release": RELEASE, "manifest": sha256(data), "checked": 1, "opened": 1, "key": 0,
        "members": members, "depth": depth, "root": root,
    }  # fmt: skip
    events.append(Event(2, 3, "release.sealed", sealed))
    grant = {
        "release": RELEASE, "recipient": RECIPIENT, "purpose": PURPOSE, "version": 0,
        "manifest": sha256(data), "grant": "ab" * 16, "key": "age1", "terms": "", "feed": "",
        "expires": END,
    }  # fmt: skip
    events.append(Event(3, 4, "release.delivered", grant))
    tree = merkle.Tree(merkle.leaf_hash(event.canonical()) for event in events)
    note = checkpoint.sign(
        checkpoint.Checkpoint(ORIGIN, tree.size, tree.root), [_signer()], 0
    ).encode()
    shown = [
        Logged(
            n, event.canonical(),
            prooffile.ProofFile(n, tuple(tree.inclusion(n)), note).encode(),
        )
        for n, event in enumerate(events)
    ]  # fmt: skip
    (copy / "grant.json").write_bytes(logged.encode(shown[3]))
    (copy / "evidence.json").write_bytes(encode(Release(RELEASE, *shown[:3])))
    key = quorum.LogKey(_signer().verifier)
    (copy / "log.policy").write_bytes(quorum.Policy((key,)).encode())


def _signer() -> Any:
    from letterlock.record.note import Kind, SecretSigner  # noqa: PLC0415

    return SecretSigner(ORIGIN, Kind.ED25519, bytes(range(32)))


def _feed(folder: Path, names: bytes) -> None:
    """Write a feed whose head is of now."""
    from letterlock.handover import feed  # noqa: PLC0415

    folder.mkdir(exist_ok=True)
    number, digest = 0, ""
    if names:
        drops = feed.DropList(ORIGIN, RELEASE, 1, names)
        (folder / feed.list_name(1)).write_bytes(drops.encode())
        number, digest = 1, drops.digest
    head = feed.Head(ORIGIN, RELEASE, number, digest, int(time.time()), 4)
    (folder / feed.HEAD).write_bytes(feed.sign_head(head, [_signer()]))


# ── stages ──────────────────────────────────────────────────────────────────────────────────


def _counted(batches: Iterable[pa.RecordBatch]) -> dict[str, int]:
    rows = size = 0
    for batch in batches:
        rows += batch.num_rows
        size += batch.nbytes
    return {"rows": rows, "mb": size // 1_000_000}


def _plain(folder: Path) -> Iterable[pa.RecordBatch]:
    for path in sorted((folder / "empty" / "received" / RELEASE).rglob("shard-*.parquet")):
        yield from pq.ParquetFile(path).iter_batches(BATCH, columns=["payload.body"])


def pyarrow(folder: Path) -> dict[str, Any]:
    """Read with PyArrow alone."""
    found: dict[str, Any] = {}
    with meter(found):
        counted = _counted(_plain(folder))
    return found | counted


def pyarrow_rows(folder: Path) -> dict[str, Any]:
    """Read rows with PyArrow alone."""
    found: dict[str, Any] = {}
    with meter(found):
        rows = sum(1 for batch in _plain(folder) for _ in batch.to_pylist())
    return found | {"rows": rows}


def _opened(folder: Path, found: dict[str, Any]) -> Any:
    import letterlock  # noqa: PLC0415

    letterlock.open_release  # noqa: B018 - imported before it is measured
    with meter(found, "open"):
        return letterlock.open_release(folder / "received" / RELEASE, purpose=PURPOSE)


def gate(folder: Path, which: str) -> dict[str, Any]:
    """Read through the gate, twice."""
    found: dict[str, Any] = {}
    reader = _opened(folder / which, found)
    with meter(found):
        counted = _counted(reader.batches())
    with meter(found, "again"):
        assert _counted(reader.batches()) == counted
    return found | counted


def torch(folder: Path) -> dict[str, Any]:
    """Read rows as PyTorch does, in this process."""
    found: dict[str, Any] = {}
    reader = _opened(folder / "dropped", found)
    rows = reader.torch()
    with meter(found):
        count = sum(1 for _ in rows)
    return found | {"rows": count}


def datasets(folder: Path) -> dict[str, Any]:
    """Read rows as Hugging Face datasets do."""
    found: dict[str, Any] = {}
    reader = _opened(folder / "dropped", found)
    rows = reader.datasets()
    with meter(found):
        count = sum(1 for _ in rows)
    return found | {"rows": count}


def main() -> None:
    parser = options(__doc__, rows=3_000_000, members=1_000_000, shards=64, dropped=1000, rounds=3)
    a = parser.parse_args()
    folder = a.work / f"reader-{a.rows}-{a.members}-{a.shards}-{a.dropped}"
    if not (folder / "done").exists():
        shutil.rmtree(folder, ignore_errors=True)
        generate(folder, a.rows, a.members, a.shards, a.dropped)
        (folder / "done").write_text("")
    for name in FILES:  # a head is fresh for a day only
        inbox = folder / name / "received" / RELEASE / "feed"
        told = inbox / "1.json"
        names = "".join(json.loads(told.read_text())["pseudonyms"]) if told.exists() else ""
        _feed(inbox, bytes.fromhex(names))
    rounds: dict[str, list[dict[str, Any]]] = {}
    order = ["pyarrow", *FILES, "pyarrow_rows", "torch", "datasets"]
    for _ in range(a.rounds):
        order.reverse()  # whoever comes first warms files and clock for the rest
        for stage in order:
            told = {"which": stage} if stage in FILES else {}
            name = "gate" if stage in FILES else stage
            rounds.setdefault(stage, []).append(in_own_process(name, folder=folder, **told))
    ratios: dict[str, list[float]] = {}
    for name, base, key in (
        ("empty", "pyarrow", ""), ("empty", "pyarrow", "again_"), ("dropped", "pyarrow", ""),
        ("dropped", "pyarrow", "again_"), ("torch", "pyarrow_rows", ""),
        ("datasets", "pyarrow_rows", ""),
    ):  # fmt: skip
        for unit in ("cpu", "wall"):
            pairs = zip(rounds[name], rounds[base], strict=True)
            each = [round(mine[key + unit] / theirs[unit], 3) for mine, theirs in pairs]
            ratios[f"{key}{name} / {base}, {unit}"] = each
    for name, each in ratios.items():
        print(f"{name}: {each}")
    report(
        a,
        {
            "ratios": ratios,
            "median": {k: median_of(v) for k, v in rounds.items()},
            "rounds": rounds,
        },
    )


if __name__ == "__main__":
    stages = (pyarrow, pyarrow_rows, gate, torch, datasets)
    run(main, {stage.__name__: stage for stage in stages})
