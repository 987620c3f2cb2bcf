"""A member's answer: how long `letterlock trace` takes among many releases.

    python bench/trace.py --releases 1000 --members 100000 --out trace.json

A made-up workspace: each release is sealed with its own pseudonyms, random ones but for those of
`--asked` accounts, each of whom is in every second release; every fifth was delivered, and from
every tenth a model learned. The rows of all are the same (they hold no names), and the roots are
made up: nothing here makes or checks a proof. Stages, each in a process of its own:

make   the workspace
cold   the first answer: every lookup file is made for it
warm   answers of one process that asks for everybody, three times over: p50 and p95
fresh  the same with the workspace opened for each answer, as a command does
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import cpu, in_own_process, meter, options, report, run

from letterlock.domain import canonical, sha256, text_of, time_of
from letterlock.evidence.entries import entries_of
from letterlock.gate import Gate
from letterlock.gate.trace import TRACE
from letterlock.ledger import Draft
from letterlock.record import memberset, merkle
from letterlock.release import manifest

START = time_of("2024-01-01")
PURPOSE, RECIPIENT = "train.generative", "tern"
SHARD = "data/mail-00.parquet"


def account(number: int) -> str:
    return f"acct-{number:04}"


def make(workspace: Path, releases: int, members: int, asked: int) -> dict[str, Any]:
    """Make the workspace."""
    shutil.rmtree(workspace, ignore_errors=True)
    found: dict[str, Any] = {}
    with meter(found):
        Gate.create(workspace, simulated=True, now=START).close()
        shard = workspace / "rows.parquet"
        pq.write_table(rows(members), shard, compression="zstd")
        with closing(Gate(workspace, now=START)) as gate:
            key, _ = gate.vrf_key()
            tokens = [
                gate.vrf_secret(key).token(memberset.alpha(gate.origin, account(n)))
                for n in range(asked)
            ]
            for number in range(releases):
                release(gate, key, tokens, members, number, shard)
    size = sum(p.stat().st_size for p in (workspace / "releases").rglob("*.parquet"))
    return found | {"bytes": size}


def rows(members: int) -> pa.Table:
    """Return rows in which everybody writes once, and receives once."""
    who = pa.array(np.arange(members, dtype=np.uint32))
    one = pa.array(np.arange(members + 1, dtype=np.int32))
    none = pa.array(np.zeros(members + 1, np.int32))
    other = pa.array(((np.arange(members) + 1) % members).astype(np.uint32))
    nobody = pa.ListArray.from_arrays(none, pa.array([], pa.uint32()))
    classes = np.where(np.arange(members) % 3 == 0, "post.public", "message.direct")
    return pa.table(
        {
            "data_class": pa.array(classes.tolist(), pa.string()),
            "authors": pa.ListArray.from_arrays(one, who),
            "recipients": pa.ListArray.from_arrays(one, other),
            "members": nobody,
            "quoted": nobody,
        }
    )


def release(  # noqa: PLR0913, PLR0917 - one release, and all that it is made of
    gate: Gate, key: int, tokens: list[bytes], members: int, number: int, shard: Path
) -> None:
    """Seal one release, as the ledger and its folder would show it."""
    name, rng = f"{number:016x}", np.random.default_rng(number)
    head = gate.store.head()
    opened = head.index + 1
    body = {
        "purpose": PURPOSE, "recipient": RECIPIENT, "as_of": START, "upto": head.index,
        "sources": [], "shards": 1, "release": name,
    }  # fmt: skip
    gate.record_linked(Draft("release.opened", body))
    (entry,) = entries_of(gate.store.entries(opened, upto=opened))
    leaf = merkle.leaf_hash(entry.entry)
    scope = memberset.scope(gate.origin, opened, leaf)
    mine = [memberset.pseudonym(scope, t) for n, t in enumerate(tokens) if (n + number) % 2]
    names = b"".join(mine) + rng.bytes(32 * (members - len(mine)))
    names = np.frombuffer(names, "V32")[memberset.order(names)].tobytes()
    outgoing = gate.folder / "releases" / name / manifest.OUTGOING
    (outgoing / "data").mkdir(parents=True)
    column = pa.Array.from_buffers(pa.binary(32), members, [None, pa.py_buffer(names)])
    pq.write_table(
        pa.table({"pseudonym": column}), outgoing / manifest.MEMBERS,
        compression="none", use_dictionary=False,
    )  # fmt: skip
    os.link(shard, outgoing / SHARD)
    depth, root = memberset.depth_of(members), bytes(32).hex()
    data = (outgoing / manifest.MEMBERS).read_bytes()
    record = {
        "format": manifest.FORMAT, "release": name, "simulated": True, "purpose": PURPOSE,
        "recipient": {"id": RECIPIENT, "name": "Tern", "class": "third_party"},
        "as_of": text_of(START), "policy": [],
        "counts": {
            "items": members, "released": members, "withheld": 0, "by_reason": {}, "by_class": {},
        },
        "members": members,
        "member_set": {
            "opened": opened, "opening": leaf.hex(), "key": key, "depth": depth, "root": root,
        },
        "shards": 1,
        "files": [
            {"path": manifest.MEMBERS, "rows": members, "bytes": len(data), "sha256": sha256(data)},
            {"path": SHARD, "rows": members, "bytes": shard.stat().st_size, "sha256": "0" * 64},
        ],
        "private": [],
    }  # fmt: skip
    said = canonical(record) + b"\n"
    (outgoing / manifest.NAME).write_bytes(said)
    seal = {
        "release": name, "manifest": sha256(said), "checked": opened, "opened": opened,
        "key": key, "members": members, "depth": depth, "root": root,
    }  # fmt: skip
    drafts = [Draft("release.sealed", seal)]
    if number % 5 == 0:
        drafts.append(Draft("release.delivered", {
            "release": name, "recipient": RECIPIENT, "purpose": PURPOSE, "version": 0,
            "manifest": sha256(said), "grant": f"{number:032x}", "key": "age1", "terms": "",
            "feed": "", "expires": START + 10**15,
        }))  # fmt: skip
    if number % 10 == 0:
        drafts.append(Draft("model.trained", {
            "model": sha256(name.encode()), "name": f"model {number}", "owner": RECIPIENT,
            "sources": [{"release": name, "version": 0}], "files": 1, "bytes": 1, "note": "",
        }))  # fmt: skip
    gate.record_linked(*drafts)


def cold(workspace: Path) -> dict[str, Any]:
    """Answer once, with no lookup file there."""
    shutil.rmtree(workspace / TRACE, ignore_errors=True)
    found: dict[str, Any] = {}
    with closing(Gate(workspace, now=START)) as gate, meter(found):
        answer = gate.trace(account(0))
    size = sum(p.stat().st_size for p in (workspace / TRACE).iterdir())
    return found | {"in": len(answer.releases), "untold": len(answer.untold), "lookup_bytes": size}


def everybody(workspace: Path, asked: int) -> dict[str, Any]:
    """Answer everybody once, so that the files are there for all; not measured."""
    with closing(Gate(workspace, now=START)) as gate:
        return {"in": sum(len(gate.trace(account(n)).releases) for n in range(asked))}


def warm(workspace: Path, asked: int) -> dict[str, Any]:
    """Answer everybody three times, the workspace being open."""
    with closing(Gate(workspace, now=START)) as gate:
        gate.trace(account(0))
        return spread(lambda n: gate.trace(account(n)), [*range(asked)] * 3)


def fresh(workspace: Path, asked: int) -> dict[str, Any]:
    """Answer everybody once, each time in a workspace opened anew."""

    def ask(n: int) -> None:
        with closing(Gate(workspace, now=START)) as gate:
            gate.trace(account(n))

    return spread(ask, [*range(asked)])


def spread(ask: Any, numbers: list[int]) -> dict[str, Any]:
    """Return median and 95th percentile of each answer, in milliseconds of wall and CPU."""
    walls, cpus = [], []
    for n in numbers:
        before, began = cpu(), time.perf_counter()
        ask(n)
        walls.append(1000 * (time.perf_counter() - began))
        cpus.append(1000 * (cpu() - before))
    return {
        "answers": len(numbers),
        **{f"{kind}_p{p}_ms": round(float(np.percentile(taken, p)), 1)
           for kind, taken in (("wall", walls), ("cpu", cpus)) for p in (50, 95)},
    }  # fmt: skip


def main() -> None:
    arguments = options(__doc__, releases=1_000, members=100_000, asked=10).parse_args()
    workspace = arguments.work / f"trace-{arguments.releases}-{arguments.members}"
    sizes = {"releases": arguments.releases, "members": arguments.members}
    found: dict[str, Any] = {**sizes, "asked": arguments.asked}
    arguments.work.mkdir(parents=True, exist_ok=True)
    found["make"] = in_own_process("make", workspace=workspace, asked=arguments.asked, **sizes)
    found["cold"] = in_own_process("cold", workspace=workspace)
    for stage in ("everybody", "warm", "fresh"):
        found[stage] = in_own_process(stage, workspace=workspace, asked=arguments.asked)
    report(arguments, found)
    shutil.rmtree(workspace)


if __name__ == "__main__":
    stages = {f.__name__: f for f in (make, cold, everybody, warm, fresh)}
    run(main, stages)
