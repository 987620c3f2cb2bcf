"""CPU-seconds, wall seconds and peak memory, each of its own process. Shared by the benchmarks.

The machine is shared and noisy, so CPU-seconds (user and system, threads and children included) are
the figure that counts, and ratios are taken between stages of one run. A stage is a function of the
script that runs in a process of its own: its peak memory is its own too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

Stage = Callable[..., dict[str, Any]]


def cpu() -> float:
    """Return the CPU-seconds this process, its threads and its ended children have taken."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(r.ru_utime + r.ru_stime for r in map(resource.getrusage, kinds))


def peak() -> float:
    """Return the largest memory this process has held since `forget_peak`, in MB.

    (VmHWM, as ru_maxrss of a new process starts at what its parent held.)
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    raise OSError("no VmHWM: this needs Linux")


def forget_peak() -> None:
    """Count the largest memory anew from here."""
    Path("/proc/self/clear_refs").write_text("5")


@contextmanager
def meter(into: dict[str, Any], name: str = "") -> Iterator[None]:
    """Note what the block takes, in `into`."""
    before, began = cpu(), time.perf_counter()
    yield
    prefix = f"{name}_" if name else ""
    into[f"{prefix}cpu"] = round(cpu() - before, 3)
    into[f"{prefix}wall"] = round(time.perf_counter() - began, 3)


def options(doc: str | None, **sizes: int) -> argparse.ArgumentParser:
    """Return a parser with what every benchmark takes: sizes, --work and --out."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    for name, size in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=size, help=f"default: {size:,}")
    work = Path(tempfile.gettempdir()) / "letterlock-bench"
    parser.add_argument("--work", type=Path, default=work, help=f"generated data; default: {work}")
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    return parser


def in_own_process(stage: str, **arguments: Any) -> dict[str, Any]:
    """Run a stage of the calling script in a process of its own; returns what it found.

    `total_cpu` and `peak_mb` are the whole process's, start and imports included.
    """
    told = json.dumps(arguments, default=str)
    command = [sys.executable, sys.argv[0], "--stage", stage, told]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{stage}: exit {done.returncode}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    shown = " ".join(f"{k}={v}" for k, v in found.items() if isinstance(v, int | float))
    print(f"  {stage:28} {shown}", flush=True)
    return found


def run(main: Callable[[], None], stages: dict[str, Stage]) -> None:
    """Run a script: a single stage if asked for, `main` otherwise."""
    if sys.argv[1:2] != ["--stage"]:
        main()
        return
    arguments = json.loads(sys.argv[3])
    paths = {"workspace", "table", "out", "folder", "index"}
    found = stages[sys.argv[2]](**{k: Path(v) if k in paths else v for k, v in arguments.items()})
    print(
        json.dumps(
            found | {"total_cpu": round(cpu(), 3), "peak_mb": max(found.get("peak_mb", 0), peak())}
        )
    )


def median_of(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the round whose CPU is the median."""
    return sorted(rounds, key=lambda r: r["cpu"])[len(rounds) // 2]


def report(arguments: argparse.Namespace, found: dict[str, Any]) -> None:
    """Add the conditions, and write the figures if asked to."""
    packages = ("numpy", "pyarrow", "sqlalchemy", "adbc-driver-sqlite", "duckdb", "cedarpy")
    conditions = {
        "command": " ".join(["python", *sys.argv]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "load": [round(n, 2) for n in os.getloadavg()],
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
    }
    if arguments.out:
        text = json.dumps({"conditions": conditions, **found}, indent=1, default=str)
        arguments.out.write_text(text + "\n")
        print(f"figures: {arguments.out}")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
