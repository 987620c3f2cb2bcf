"""How long a request's plan takes: the ledger, folded into interval tables.

    python bench/plan.py --members 1000000 --rounds 3 --out plan.json

Cold: a fresh process opens the SQLite ledger, reads its columns and folds them; `total_cpu` is that
process's, start and imports included. Beside it the fold of the hand-written SQL (bench/sql.py),
which does less, over Parquet exports.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measure import forget_peak, in_own_process, median_of, meter, options, peak, report, run
from world import AS_OF, CLASSES, PURPOSE, RECIPIENT, ledger


def plan(workspace: Path) -> dict[str, Any]:
    """Fold the ledger for one request."""
    from letterlock.gate import Gate  # noqa: PLC0415 - counted
    from letterlock.release.plan import Kind, make_plan  # noqa: PLC0415

    found: dict[str, Any] = {}
    with meter(found):
        gate = Gate(workspace)
        rules = gate.rules(AS_OF)
        kinds = [Kind(c, frozenset()) for c in CLASSES]
        made = make_plan(
            gate.store, rules, PURPOSE, rules.recipients[RECIPIENT], kinds,
            upto=gate.store.head().index,
        )  # fmt: skip
    rows = sum(len(table.start) for table in made.tables.values())
    return found | {"intervals": rows, "per_person_and_class": round(rows / made.size / 2, 3)}


def read(workspace: Path) -> dict[str, Any]:
    """Read the columns that the plan reads, and nothing else."""
    from letterlock.gate import Gate  # noqa: PLC0415
    from letterlock.release import plan as planning  # noqa: PLC0415

    found: dict[str, Any] = {}
    gate = Gate(workspace)
    rules = gate.rules(AS_OF)
    forget_peak()
    with meter(found):
        columns = planning.read_columns(
            gate.store,
            [(PURPOSE, rules.recipients[RECIPIENT])],
            as_of=AS_OF,
            upto=gate.store.head().index,
        )
    tables = (columns.facts, columns.notices, columns.lines)
    return found | {"rows": sum(len(t.member) for t in tables), "peak_mb": peak()}


def sql(folder: Path) -> dict[str, Any]:
    """Fold the exports with the hand-written SQL."""
    from sql import connect, fold  # noqa: PLC0415

    found: dict[str, Any] = {}
    con = connect()
    with meter(found):
        fold(con, folder)
    (count,) = con.execute("SELECT count(*) FROM permit").fetchall()[0]
    return found | {"permits": count}


def main() -> None:
    parser = options(__doc__, members=20_000, rounds=3)
    parser.add_argument("--changed", type=int, default=5, help="percent; default: 5")
    arguments = parser.parse_args()
    workspace = ledger(arguments.work, arguments.members, arguments.changed)
    stages: dict[str, list[dict[str, Any]]] = {"plan": [], "read": [], "sql": []}
    for _ in range(arguments.rounds):
        for name, rounds in stages.items():
            where = {"folder": workspace} if name == "sql" else {"workspace": workspace}
            rounds.append(in_own_process(name, **where))
    found = {name: median_of(rounds) for name, rounds in stages.items()}
    print(f"plan, cold: {found['plan']['total_cpu']} CPU-s (bar at 1M members: 25)")
    report(arguments, {"ledger": workspace.name, "median": found, "rounds": stages})


if __name__ == "__main__":
    run(main, {"plan": plan, "read": read, "sql": sql})
