"""From an event to a published entry: recorded durably, integrated, signed, published.

    python bench/record.py --events 1000000 --single 500 --out record.json

batches  choices appended to the ledger in transactions of 5,000 events, then integrated: the whole
         way, and its two parts apart
single   one choice per transaction, integrated and published after each (no witness is asked)
proofs   of the log of `batches`: proof files, and receipts with theirs, made and checked
"""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any

from measure import forget_peak, in_own_process, meter, options, peak, report, run

TRANSACTION = 5_000


def _workspace(folder: Path, members: int) -> Any:
    from letterlock.domain import time_of  # noqa: PLC0415
    from letterlock.gate import Gate  # noqa: PLC0415
    from letterlock.ledger import Draft  # noqa: PLC0415

    shutil.rmtree(folder, ignore_errors=True)
    gate = Gate.create(folder, simulated=True, now=time_of("2026-01-01"))
    gate.record(
        Draft("subject.registered", {"subject": f"member-{n}", "member": True})
        for n in range(members)
    )
    return gate


def _choice(subject: int) -> Any:
    from letterlock.ledger import Draft  # noqa: PLC0415

    line = {"purpose": "improve.product", "data_class": "*", "recipient": "northmail"}
    body = {"subject": f"member-{subject}", "act": "withdraw", "lines": [line]}
    return Draft("choice.made", body)


def batches(folder: Path, events: int, members: int) -> dict[str, Any]:
    """Append and integrate many events."""
    gate = _workspace(folder, members)
    gate.publish_log()
    draw = random.Random(1)
    drafts = [_choice(draw.randrange(members)) for _ in range(events)]
    found: dict[str, Any] = {"events": events}
    forget_peak()
    with meter(found):
        with meter(found, "ledger"):
            for first in range(0, events, TRANSACTION):
                gate.record(drafts[first : first + TRANSACTION])
        with meter(found, "log"):
            gate.publish_log()
    assert gate.public_log().size == gate.store.head().index + 1
    return found | {
        "per_cpu_s": round(events / found["cpu"]),
        "ledger_per_cpu_s": round(events / found["ledger_cpu"]),
        "log_per_cpu_s": round(events / found["log_cpu"]),
        "peak_mb": peak(),
    }


def single(folder: Path, count: int) -> dict[str, Any]:
    """Append, integrate and publish one event at a time."""
    gate = _workspace(folder, 10)
    gate.publish_log()
    found: dict[str, Any] = {}
    with meter(found):
        for n in range(count):
            gate.record([_choice(n % 10)])
            gate.publish_log()
    return found | {
        "ms_cpu": round(1000 * found["cpu"] / count, 2),
        "ms_wall": round(1000 * found["wall"] / count, 2),
    }


def proofs(folder: Path, count: int) -> dict[str, Any]:
    """Make proof files, and receipts with theirs, and check these."""
    from letterlock.evidence import bundle, verify  # noqa: PLC0415
    from letterlock.gate import Gate  # noqa: PLC0415

    gate = Gate(folder)
    draw = random.Random(2)
    size = gate.public_log().size
    proved, made, checked, length = [], [], [], 0
    policy = gate.trust()
    for _ in range(count):
        index = draw.randrange(size - 1000, size)
        began = time.process_time()
        gate.prove_entry(index)
        proved.append(time.process_time() - began)
        began = time.process_time()
        evidence = gate.receipt_of(index)
        made.append(time.process_time() - began)
        began = time.process_time()
        verify.verify(bundle.parse(evidence), policy)
        checked.append(time.process_time() - began)
        length = max(length, len(evidence))
    return {
        "cpu": round(sum(proved) + sum(made) + sum(checked), 3),
        "proved_ms_median": round(1000 * sorted(proved)[count // 2], 2),
        "proved_ms_max": round(1000 * max(proved), 2),
        "made_ms_median": round(1000 * sorted(made)[count // 2], 2),
        "checked_ms_median": round(1000 * sorted(checked)[count // 2], 2),
        "bytes_max": length,
    }


def main() -> None:
    parser = options(__doc__, events=1_000_000, members=100_000, single=200, proofs=100)
    arguments = parser.parse_args()
    folder = arguments.work / "record"
    size = {"events": arguments.events, "members": arguments.members}
    found = {
        "batches": in_own_process("batches", folder=folder / "batches", **size),
        "proofs": in_own_process("proofs", folder=folder / "batches", count=arguments.proofs),
        "single": in_own_process("single", folder=folder / "single", count=arguments.single),
    }
    shutil.rmtree(folder)
    report(arguments, found)


if __name__ == "__main__":
    run(main, {stage.__name__: stage for stage in (batches, single, proofs)})
