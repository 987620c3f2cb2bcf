"""Rates of the ledger: appending, reading columns, folding.

    python bench/ledger.py --members 20000 --single 500 --out ledger.json

append  members register and make eight choices each, in transactions of 5,000 events
single  one choice per transaction, durable (WAL, synchronous=FULL) before the call returns
read    the columns of every choice line, through ADBC
fold    the state of everybody, event by event into objects (ledger.fold: the slow twin)
plan    the same events folded in columns for one request (release.plan.make_plan)
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from measure import in_own_process, median_of, meter, options, report, run
from world import AS_OF, CLASSES, PURPOSE, RECIPIENT, ledger


def append(folder: Path, members: int) -> dict[str, Any]:
    """Write a ledger anew."""
    import json  # noqa: PLC0415

    shutil.rmtree(folder, ignore_errors=True)
    found: dict[str, Any] = {}
    with meter(found):
        made = ledger(folder, members, 5)
    done = json.loads((made / "done.json").read_text())
    return found | {
        "events": done["events"],
        "per_cpu_s": round(done["events"] / found["cpu"]),
        "per_s": round(done["events"] / found["wall"]),
        "bytes_per_event": round(done["bytes"] / done["events"]),
    }


def single(workspace: Path, count: int) -> dict[str, Any]:
    """Append one event at a time."""
    from letterlock.gate import Gate  # noqa: PLC0415
    from letterlock.ledger import Draft  # noqa: PLC0415

    gate = Gate(workspace)
    subject = gate.store.subject_ids()[0]
    line = {"purpose": "improve.product", "data_class": "*", "recipient": "northmail"}
    body = {"subject": subject, "act": "withdraw", "lines": [line]}
    found: dict[str, Any] = {}
    with meter(found):
        for n in range(count):
            gate.store.append([Draft("choice.made", body)], now=AS_OF + 1 + n)
    return found | {
        "ms_cpu": round(1000 * found["cpu"] / count, 3),
        "ms_wall": round(1000 * found["wall"] / count, 3),
    }


def read(workspace: Path) -> dict[str, Any]:
    """Read every choice line's columns."""
    from letterlock.gate import Gate  # noqa: PLC0415

    gate = Gate(workspace)
    head = gate.store.head()
    names = ("subject", "idx", "shape", "start", "stop", "expires")
    found: dict[str, Any] = {}
    with meter(found):
        rows = gate.store.columns("line", names, as_of=head.time, upto=head.index).num_rows
    return found | {"rows": rows, "per_cpu_s": round(rows / found["cpu"])}


def fold(workspace: Path) -> dict[str, Any]:
    """Fold every event into objects."""
    from letterlock.gate import Gate  # noqa: PLC0415
    from letterlock.ledger import fold as fold_events  # noqa: PLC0415

    gate = Gate(workspace)
    head = gate.store.head()
    found: dict[str, Any] = {}
    with meter(found):
        state = fold_events(gate.store.every_event(upto=head.index), head.time)
    return found | {
        "events": head.index + 1,
        "subjects": len(state.subjects),
        "per_cpu_s": round((head.index + 1) / found["cpu"]),
    }


def plan(workspace: Path) -> dict[str, Any]:
    """Fold the same events in columns."""
    from letterlock.gate import Gate  # noqa: PLC0415
    from letterlock.release.plan import Kind, make_plan  # noqa: PLC0415

    gate = Gate(workspace)
    head = gate.store.head()
    found: dict[str, Any] = {}
    with meter(found):
        rules = gate.rules()
        kinds = [Kind(c, frozenset()) for c in CLASSES]
        recipient = rules.recipients[RECIPIENT]
        make_plan(gate.store, rules, PURPOSE, recipient, kinds, upto=head.index)
    return found | {"events": head.index + 1, "per_cpu_s": round((head.index + 1) / found["cpu"])}


def main() -> None:
    parser = options(__doc__, members=20_000, single=500, rounds=3)
    arguments = parser.parse_args()
    folder = arguments.work / "rates"
    rounds: dict[str, list[dict[str, Any]]] = {
        "append": [in_own_process("append", folder=folder, members=arguments.members)]
    }
    workspace = folder / f"ledger-{arguments.members}-5"
    for _ in range(arguments.rounds):
        for name in ("read", "fold", "plan"):
            rounds.setdefault(name, []).append(in_own_process(name, workspace=workspace))
    rounds["single"] = [in_own_process("single", workspace=workspace, count=arguments.single)]
    shutil.rmtree(folder)
    found = {name: median_of(each) for name, each in rounds.items()}
    report(arguments, {"median": found, "rounds": rounds})


if __name__ == "__main__":
    run(main, {stage.__name__: stage for stage in (append, single, read, fold, plan)})
