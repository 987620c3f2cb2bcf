"""What verdicts cost, as a multiple of scanning the id columns they are made from.

    python bench/verdicts.py --rows 10000000 --members 1000000 --rounds 3 --out verdicts.json

Stages, each in a process of its own, `--rounds` times in turn (ratios are taken within a round):

scan        the index's created_at, kind and parties, read row group by row group (the baseline)
table scan  the platform table's own id columns: created_at, data class, sender, recipients
verdicts    release.build.judge: the kernel made ready from the plan, and run over every item
sql         one hand-written SQL that unnests, joins and groups (its fold not counted)
cedar       cedarpy, is_authorized_batch, a request per party on the first messages; SCALED UP

The plan is made beforehand (bench/plan.py measures it). All of them must allow the same messages.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from measure import forget_peak, in_own_process, median_of, meter, options, peak, report, run
from world import AS_OF, PURPOSE, RECIPIENT, ledger, messages, registered


def plan(workspace: Path, source: str, out: Path) -> dict[str, Any]:
    """Make the plan and keep it."""
    from letterlock.gate import Gate  # noqa: PLC0415
    from letterlock.release.plan import make_plan  # noqa: PLC0415

    gate = Gate(workspace)
    rules = gate.rules(AS_OF)
    (opened,) = gate.sources([source])
    made = make_plan(
        gate.store, rules, PURPOSE, rules.recipients[RECIPIENT], opened.kinds,
        upto=gate.store.head().index,
    )  # fmt: skip
    out.write_bytes(pickle.dumps(made))
    return {}


def _source(workspace: Path, source: str) -> Any:
    from letterlock.sources.index import Source  # noqa: PLC0415

    return Source(source, workspace / "index" / source)


def scan(index: Path) -> dict[str, Any]:
    """Read the index's columns."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    found: dict[str, Any] = {}
    file = pq.ParquetFile(index / "parties.parquet", pre_buffer=False)
    parties = 0
    with meter(found):
        for group in range(file.num_row_groups):
            read = file.read_row_group(
                group, columns=["created_at", "kind", "parties"], use_threads=False
            )
            parties += len(read.column("parties").chunk(0).values)
    return found | {"parties": parties}


def table_scan(table: Path) -> dict[str, Any]:
    """Read the platform table's id columns."""
    import pyarrow.parquet as pq  # noqa: PLC0415

    found: dict[str, Any] = {}
    file = pq.ParquetFile(table, pre_buffer=False)
    with meter(found):
        for group in range(file.num_row_groups):
            file.read_row_group(
                group,
                columns=["created_at", "data_class", "sender", "recipients"],
                use_threads=False,
            )
    return found


def verdicts(workspace: Path, source: str, out: Path) -> dict[str, Any]:
    """Judge every item."""
    from letterlock.release.build import by_reason, judge  # noqa: PLC0415
    from letterlock.release.kernel import ALLOW, MIXED, Kernel  # noqa: PLC0415

    made = pickle.loads(out.read_bytes())  # noqa: S301 - our own, a moment old
    opened = _source(workspace, source)
    found: dict[str, Any] = {}
    forget_peak()
    with meter(found):
        judged = judge(made, [opened], lambda *_: None)
    at_most = peak()
    with meter(found, "ready"):
        kernel = Kernel.ready(made, opened.kinds, opened.epochs)
    counts = judged.counts()
    return found | {
        "peak_mb": at_most,
        "allowed": int(counts[ALLOW]),
        "allowed_share": round(counts[ALLOW] / counts.sum(), 4),
        "mixed_share": round(float((kernel.grid == MIXED).mean()), 4),
        "withheld": {r.name.lower(): n for r, n in sorted(by_reason(counts).items())},
    }


def sql(folder: Path, table: Path) -> dict[str, Any]:
    """Judge every item with the hand-written SQL."""
    from sql import VERDICT, connect, fold  # noqa: PLC0415

    found: dict[str, Any] = {}
    con = connect()
    with meter(found, "fold"):
        fold(con, folder)
    with meter(found):
        query = f"SELECT count(*) FILTER (ok), count(*) FROM ({VERDICT.format(table=table)})"
        allowed, items = con.execute(query).fetchall()[0]
    return found | {"allowed": allowed, "items": items}


POLICY = """
permit(principal, action == Action::"train", resource)
when { resource.since <= context.made };
"""


def cedar(folder: Path, table: Path, sample: int, rows: int) -> dict[str, Any]:
    """Ask a policy engine about every party of the first messages; scale up to all.

    Its best case: who permits what since when is folded beforehand (not counted), policies and
    people are parsed once per batch of 1,000 messages.
    """
    import json  # noqa: PLC0415

    import pyarrow.parquet as pq  # noqa: PLC0415
    from cedarpy import Decision, Entities, PolicySet, is_authorized_batch  # noqa: PLC0415
    from sql import connect, fold  # noqa: PLC0415

    con = connect()
    fold(con, folder)
    read = con.execute("SELECT class, subject, since FROM permit").fetchall()
    since = {(kind, subject): at for kind, subject, at in read}
    names = ["created_at", "data_class", "sender", "recipients"]
    head = pq.ParquetFile(table).read_row_group(0, columns=names).slice(0, sample)
    columns = (
        head.column("created_at").cast("int64").to_pylist(),
        *(head.column(name).to_pylist() for name in names[1:]),
    )
    never = 2**62
    found: dict[str, Any] = {}
    allowed = requests = 0
    with meter(found):
        policies = PolicySet.from_str(POLICY)
        listed = list(zip(*columns, strict=True))
        for first in range(0, len(listed), 1000):
            asked, of, people = [], [], {}
            for n, (made, kind, sender, recipients) in enumerate(listed[first : first + 1000]):
                for party in (sender, *recipients):
                    name = f"{kind}/{party}"
                    people[name] = since.get((kind, party), never)
                    asked.append(
                        {
                            "principal": {"type": "Company", "id": RECIPIENT},
                            "action": {"type": "Action", "id": "train"},
                            "resource": {"type": "Person", "id": name},
                            "context": {"made": made},
                        }
                    )
                    of.append(n)
            entities = Entities.from_json_str(
                json.dumps(
                    [
                        {
                            "uid": {"type": "Person", "id": name},
                            "attrs": {"since": at},
                            "parents": [],
                        }
                        for name, at in people.items()
                    ]
                )
            )
            yes = np.ones(min(1000, len(listed) - first), np.bool_)
            for n, answer in zip(of, is_authorized_batch(asked, policies, entities), strict=True):
                yes[n] &= answer.decision == Decision.Allow
            allowed += int(yes.sum())
            requests += len(asked)
    scale = rows / len(listed)
    return found | {
        "sample": len(listed),
        "requests": requests,
        "sample_allowed": allowed,
        "scaled_cpu": round(found["cpu"] * scale, 1),
    }


def sample_allowed(workspace: Path, source: str, out: Path, sample: int) -> dict[str, Any]:
    """Count what the kernel allows of the first messages."""
    from letterlock.release.kernel import ALLOW, Kernel  # noqa: PLC0415

    made = pickle.loads(out.read_bytes())  # noqa: S301
    opened = _source(workspace, source)
    code = Kernel.ready(made, opened.kinds, opened.epochs).verdicts(opened.items(0))
    return {"allowed": int((code[:sample] == ALLOW).sum())}


def main() -> None:
    parser = options(__doc__, rows=200_000, members=20_000, rounds=3, sample=20_000)
    parser.add_argument("--changed", type=int, default=5, help="percent; default: 5")
    arguments = parser.parse_args()
    rows, sample = arguments.rows, min(arguments.sample, arguments.rows, 122_880)
    workspace = ledger(arguments.work, arguments.members, arguments.changed)
    table = messages(arguments.work, rows, arguments.members)
    source = registered(workspace, table, rows)
    out = arguments.work / f"plan-{workspace.name}.pickle"
    in_own_process("plan", workspace=workspace, source=source, out=out)
    stages: dict[str, tuple[str, dict[str, Any]]] = {
        "scan": ("scan", {"index": workspace / "index" / source}),
        "table scan": ("table_scan", {"table": table}),
        "verdicts": ("verdicts", {"workspace": workspace, "source": source, "out": out}),
    }
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in stages}
    for _ in range(arguments.rounds):
        for name, (stage, told) in stages.items():
            rounds[name].append(in_own_process(stage, **told))
    once = {
        "sql": in_own_process("sql", folder=workspace, table=table),
        "cedar": in_own_process("cedar", folder=workspace, table=table, sample=sample, rows=rows),
    }
    allowed = {found["allowed"] for found in (*rounds["verdicts"], once["sql"])}
    assert len(allowed) == 1, f"the SQL allows other messages: {allowed}"
    told = {"workspace": workspace, "source": source, "out": out, "sample": sample}
    mine = in_own_process("sample_allowed", **told)["allowed"]
    assert mine == once["cedar"]["sample_allowed"], "cedar allows other messages"
    ratios = {
        name: sorted(
            round(v["cpu"] / s["cpu"], 3)
            for v, s in zip(rounds["verdicts"], rounds[name], strict=True)
        )
        for name in ("scan", "table scan")
    }
    found = {name: median_of(each) for name, each in rounds.items()} | once
    for name, each in ratios.items():
        print(f"verdicts / {name}: {each} (bar at 10M against scan: 2.5)")
    report(arguments, {"ratios": ratios, "median": found, "rounds": rounds})


if __name__ == "__main__":
    names = (plan, scan, table_scan, verdicts, sql, cedar, sample_allowed)
    run(main, {stage.__name__: stage for stage in names})
