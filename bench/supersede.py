"""What it costs to supersede a release after 1, 100, 10,000 people withdrew.

    python bench/supersede.py --rows 10000000 --out supersede.json

The release is written by the build's own writer from drawn columns: each row has an author, a
recipient and a text of five drawn phrases. One in eight rows is between two people whose rows all
lie in one shard, so that people can be chosen who touch so many shards and no more.

make    write the release (not measured)
scan    say what is left after nobody is dropped: the party columns alone, of all shards
people  drop so many people, drawn from those whose rows lie in any shard
shards  drop one person in each of so many shards

One process and one thread each. `cpu_per_gb`: CPU-seconds per GB (10^9 bytes of files) rewritten,
scan included; `cpu_over_scan`: the same without the scan.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from measure import forget_peak, in_own_process, meter, options, peak, report, run

from letterlock.domain import canonical
from letterlock.record.memberset import MemberSet
from letterlock.release import manifest
from letterlock.release.build import BUFFER, FileWriter
from letterlock.release.supersede import left_after, read_names, rewrite

LISTED = "ab" * 32
PHRASES, WORDS = 1 << 14, 5
BATCH = 1 << 16
LOCAL = 8
"""One row in so many is between two people of its shard alone."""


def make(folder: Path, rows: int, members: int, shards: int) -> dict[str, Any]:
    """Write a release of drawn columns."""
    rng = np.random.default_rng(5)
    outgoing = folder / manifest.OUTGOING
    (outgoing / "data" / "mail").mkdir(parents=True)
    names = np.sort(np.frombuffer(rng.bytes(32 * members), "S32"))
    local = members // LOCAL // shards
    phrases = pa.array([rng.bytes(20).hex() for _ in range(PHRASES)])
    used, files = np.zeros(members, np.bool_), []
    order = rng.permutation(members)  # the first `local * shards` are at home in one shard each
    far = order[local * shards :]
    for n in range(shards):
        home, path = order[n * local : (n + 1) * local], f"data/mail/shard-{n:05}.parquet"
        writer, waiting, size = None, [], 0
        for first in range(0, rows // shards, BATCH):
            count = min(BATCH, rows // shards - first)
            table = drawn(rng, count, home, far, phrases, used)
            waiting.append(table)
            size += table.nbytes
            writer = writer or FileWriter(outgoing / path, path, table.schema)
            if size >= BUFFER or first + count == rows // shards:
                writer.write(pa.concat_tables(waiting))
                waiting, size = [], 0
        assert writer is not None
        writer.close()
        files.append(writer.entry)
    # Whoever was drawn for no row is no member: their places in the rows are counted anew.
    rank = np.cumsum(used) - 1
    if not used.all():
        raise SystemExit(f"{int((~used).sum())} of {len(rank)} people are in no row: draw fewer")
    data = names.tobytes()
    found = MemberSet(data)
    column = pa.Array.from_buffers(pa.binary(32), members, [None, pa.py_buffer(data)])
    with FileWriter(outgoing / manifest.MEMBERS, manifest.MEMBERS, pa.schema(
        {"pseudonym": pa.binary(32)}
    )) as writer:  # fmt: skip
        writer.write(pa.table({"pseudonym": column}))
    released = rows // shards * shards
    record = {
        "format": manifest.FORMAT, "release": "0" * 16, "simulated": True, "purpose": "evaluate",
        "recipient": {"id": "own", "name": "Own", "class": "controller"}, "as_of": "2026-01-01",
        "policy": [], "counts": {
            "items": released, "released": released, "withheld": 0, "by_reason": {},
            "by_class": {"message.direct": released},
        },
        "members": found.count, "member_set": {
            "opened": 2, "opening": LISTED, "key": 1, "depth": found.depth,
            "root": found.root.hex(),
        },
        "shards": shards, "files": [e.record() for e in (writer.entry, *files)], "private": [],
    }  # fmt: skip
    (outgoing / manifest.NAME).write_bytes(canonical(record) + b"\n")
    return {"bytes": sum(entry.size for entry in files), "rows": released}


def drawn(  # noqa: PLR0913, PLR0917 - what is drawn from what
    rng: Any, count: int, home: Any, far: Any, phrases: pa.Array, used: Any
) -> pa.Table:
    """Draw some rows; marks in `used` who is in them."""
    people = far[rng.integers(0, len(far), (count, 2))]
    near = rng.integers(0, LOCAL, count) == 0
    people[near] = home[rng.integers(0, len(home), (int(near.sum()), 2))]
    used[people] = True
    one, none = np.arange(count + 1, dtype=np.int32), np.zeros(count + 1, np.int32)
    lists = [pa.ListArray.from_arrays(one, people[:, n].astype(np.uint32)) for n in range(2)] + [
        pa.ListArray.from_arrays(none, pa.array([], pa.uint32()))
    ] * 2
    texts = [phrases.take(pa.array(rng.integers(0, PHRASES, count))) for _ in range(WORDS)]
    at = 1_700_000_000_000_000 + rng.integers(0, 10**14, count)
    columns = {
        "data_class": pa.array(["message.direct"] * count),
        "created_at": pa.array(at).cast(pa.timestamp("us", tz="UTC")),
    }
    columns |= dict(zip(manifest.PARTY_COLUMNS, lists, strict=True))
    return pa.table({**columns, "payload.body": pc.binary_join_element_wise(*texts, " ")})


def scan(folder: Path) -> dict[str, Any]:
    """Read who is in which row, of every shard."""
    found: dict[str, Any] = {}
    with meter(found):
        left = left_after(folder, ())
    return found | {"rows_left": left.rows}


def drop(folder: Path, out: Path, people: int, shards: int, members: int) -> dict[str, Any]:
    """Drop `people` of all, or (0) one person at home in each of the first `shards`."""
    rng = np.random.default_rng(people + shards)
    table = read_names(folder / manifest.OUTGOING / manifest.MEMBERS)
    names = [table.names[n : n + 32] for n in range(0, len(table.names), 32)]
    order, local = _order(members), members // LOCAL // _shards(folder)
    far = order[local * _shards(folder) :]
    chosen = order[np.arange(shards) * local] if shards else rng.permutation(far)[:people]
    dropped = {names[n] for n in chosen.tolist()}
    out.mkdir()
    found: dict[str, Any] = {}
    forget_peak()
    with meter(found):
        made = rewrite(folder, out, dropped, version=1, listed=LISTED)
    record = made.record
    shutil.rmtree(out)
    return found | {
        "people": len(dropped), "touched": len(made.left.touched), "written": made.written,
        "rows_dropped": record["supersedes"]["rows"], "peak_mb": peak(),
        "cpu_per_gb": round(found["cpu"] / (made.written / 1e9), 1),
    }  # fmt: skip


def _order(members: int) -> Any:
    """Draw the order of `make` again."""
    rng = np.random.default_rng(5)
    rng.bytes(32 * members)
    for _ in range(PHRASES):
        rng.bytes(20)
    return rng.permutation(members)


def _shards(folder: Path) -> int:
    found: int = manifest.read(folder)["shards"]
    return found


def main() -> None:
    arguments = options(__doc__, rows=10_000_000, members=1_000_000, shards=256).parse_args()
    folder = arguments.work / f"supersede-{arguments.rows}-{arguments.shards}"
    out = arguments.work / "superseded"
    shutil.rmtree(out, ignore_errors=True)
    if not (folder / manifest.OUTGOING / manifest.NAME).exists():
        shutil.rmtree(folder, ignore_errors=True)
        sizes = {"rows": arguments.rows, "members": arguments.members, "shards": arguments.shards}
        in_own_process("make", folder=folder, **sizes)
    found: dict[str, Any] = {"scan": in_own_process("scan", folder=folder)}
    alone = found["scan"]["cpu"]
    cases = [(people, 0) for people in (1, 100, 10_000) if people <= arguments.members // 10]
    cases += [(0, n) for n in (1, 4, 16, 64, 256) if n <= arguments.shards]
    found["drops"] = []
    for people, shards in cases:
        asked = {"people": people, "shards": shards, "members": arguments.members}
        each = in_own_process("drop", folder=folder, out=out, **asked)
        over = each["cpu"] - alone
        each["cpu_over_scan"] = round(over / (each["written"] / 1e9), 1)
        found["drops"].append(each)
        print(f"    over the scan: {each['cpu_over_scan']} CPU-s per GB", flush=True)
    report(arguments, found)


if __name__ == "__main__":
    run(main, {"make": make, "scan": scan, "drop": drop})
