"""What the impact of a new version costs: three plans, and every item judged under each.

    python bench/impact.py --members 1000000 --rows 10000000 --rounds 1 --out impact.json

Two versions, neither recorded: one that asks for an explicit yes in groups and forbids one country
(it narrows, at once), and one that says nothing new. Cold: a process of its own opens the ledger,
reads its columns, folds them under the three states and judges every item; `total_cpu` is that
process's, start and imports included.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from measure import cpu, in_own_process, median_of, meter, options, report, run
from world import AS_OF, PURPOSE, RECIPIENT, ledger, messages, registered

CHANGES = {
    "narrower": (
        {"id": "groups", "level": "explicit_grant", "data_classes": ["message.group"]},
        {"id": "not here", "level": "never", "jurisdictions": ["BR"], "purposes": ["train.*"]},
    ),
    "the same": (),
}


def impact(workspace: Path, source: str, change: str) -> dict[str, Any]:
    """Count what one version would change."""
    from letterlock.domain import DAY  # noqa: PLC0415 - counted
    from letterlock.gate import Gate  # noqa: PLC0415
    from letterlock.ledger import read_clause  # noqa: PLC0415
    from letterlock.release import impact as measured  # noqa: PLC0415
    from letterlock.release.plan import read_columns  # noqa: PLC0415
    from letterlock.sources.index import Source  # noqa: PLC0415

    found: dict[str, Any] = {}
    with meter(found):
        with meter(found, "open"):
            gate = Gate(workspace)
            before, head = gate.rules(AS_OF), gate.store.head()
            recipient = before.recipients[RECIPIENT]
            opened = Source(source, workspace / "index" / source)
        last = before.policies[-1]
        clauses = tuple(read_clause(body) for body in CHANGES[change])
        version = replace(
            last, version="proposed", index=head.index + 1, published_at=AS_OF,
            effective_at=AS_OF + 30 * DAY, clauses=last.clauses + clauses,
        )  # fmt: skip
        after = replace(before, policies=(*before.policies, version))
        with meter(found, "read"):
            columns = read_columns(gate.store, [(PURPOSE, recipient)], as_of=AS_OF, upto=head.index)
        ended = {}

        def progress(stage: str, _done: int, _total: int) -> None:
            ended[stage] = cpu()

        at = cpu()
        counted = measured.impact(
            columns, [opened], PURPOSE, recipient, before=before, after=after, progress=progress
        )
        found["plans_cpu"] = round(ended["folding"] - at, 3)
        found["verdicts_cpu"] = round(cpu() - ended["folding"], 3)
    return found | {"impact": counted.record()}


def main() -> None:
    parser = options(__doc__, rows=200_000, members=20_000, rounds=1)
    parser.add_argument("--changed", type=int, default=5, help="percent; default: 5")
    arguments = parser.parse_args()
    workspace = ledger(arguments.work, arguments.members, arguments.changed)
    table = messages(arguments.work, arguments.rows, arguments.members)
    source = registered(workspace, table, arguments.rows)
    rounds: dict[str, list[dict[str, Any]]] = {change: [] for change in CHANGES}
    for _ in range(arguments.rounds):
        for change, each in rounds.items():
            each.append(in_own_process("impact", workspace=workspace, source=source, change=change))
    found = {change: median_of(each) for change, each in rounds.items()}
    for change, each in found.items():
        print(f"{change}: {each['total_cpu']} CPU-s (bar at 10M items, 1M members: 30)")
        print(f"  {each['impact']}")
    report(arguments, {"median": found, "rounds": rounds})


if __name__ == "__main__":
    run(main, {"impact": impact})
