"""What a release costs, as a multiple of DuckDB's COPY of the same table.

    python bench/build.py --rows 10000000 --members 1000000 --rounds 1 --out build.json

Stages, each in a process of its own, `--rounds` times in turn (ratios are taken within a round):

copy all     DuckDB: COPY every row, zstd level 3, two threads (the baseline)
copy filter  the same with a trivial filter that lets as many rows through as the release holds
build        Gate.build: fold, verdicts, sixteen shards, withheld table, a digest of every file,
             pseudonyms, manifest, seal; its CPU is split at the stages it reports
sql          the hand-written SQL (bench/sql.py): fold, verdict and COPY of what is allowed;
             no reasons, withheld table, pseudonyms, digests or manifest

Then the release is verified, and its rows are counted against the SQL's. `--only-build` leaves
everything else out (for the memory of a larger table).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from measure import (
    cpu,
    forget_peak,
    in_own_process,
    median_of,
    meter,
    options,
    peak,
    report,
    run,
)
from world import PURPOSE, RECIPIENT, ledger, messages, registered


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.stat().st_size for f in files if f.is_file()) // 1_000_000


def copy_all(table: Path, out: Path) -> dict[str, Any]:
    """Copy every row."""
    return _copy(table, out, "true")


def copy_filter(table: Path, out: Path, share: float) -> dict[str, Any]:
    """Copy as many rows as the release holds."""
    return _copy(table, out, f"id % 10000 < {round(share * 10000)}")


def _copy(table: Path, out: Path, where: str) -> dict[str, Any]:
    from sql import connect, copy  # noqa: PLC0415

    found: dict[str, Any] = {}
    con = connect()
    with meter(found):
        copy(con, f"SELECT * FROM read_parquet('{table}') WHERE {where}", out)
    rows = con.execute(f"SELECT count(*) FROM read_parquet('{out}')").fetchall()[0][0]
    return found | {"rows": rows, "out_mb": _size(out)}


def sql(folder: Path, table: Path, out: Path) -> dict[str, Any]:
    """Fold, judge and copy with the hand-written SQL."""
    from sql import VERDICT, connect, copy, fold  # noqa: PLC0415

    found: dict[str, Any] = {}
    con = connect()
    with meter(found):
        fold(con, folder)
        allowed = f"SELECT id FROM ({VERDICT.format(table=table)}) WHERE ok"
        copy(con, f"SELECT * FROM read_parquet('{table}') SEMI JOIN ({allowed}) USING (id)", out)
    rows = con.execute(f"SELECT count(*) FROM read_parquet('{out}')").fetchall()[0][0]
    return found | {"rows": rows, "out_mb": _size(out)}


def build(workspace: Path, source: str, threads: int) -> dict[str, Any]:
    """Build a release, and note when its stages begin."""
    from letterlock.gate import Gate  # noqa: PLC0415

    marks: dict[str, tuple[float, float]] = {}
    peaks: dict[str, float] = {}
    now = ""

    def progress(what: str, done: int, total: int) -> None:
        nonlocal now
        if done == total:  # a stage ends: what follows belongs to the next
            marks[what], peaks[what] = (cpu(), 0.0), peak()
            forget_peak()

    found: dict[str, Any] = {}
    gate = Gate(workspace)
    forget_peak()
    began = cpu()
    with meter(found):
        built = gate.build(PURPOSE, RECIPIENT, names=[source], threads=threads, progress=progress)
    peaks["sealing"] = peak()
    ends = [began, marks["folding"][0], marks["judging"][0], began + found["cpu"]]
    for name, first, last in zip(("fold", "judge", "write"), ends[:-1], ends[1:], strict=True):
        found[f"{name}_cpu"] = round(last - first, 2)
    counts = built.record["counts"]
    return found | {
        "peak_mb": max(peaks.values()),
        "peaks_mb": peaks,
        "rows": counts["released"],
        "items": counts["items"],
        "members": built.record["members"],
        "out_mb": _size(built.folder),
        "release": str(built.folder),
    }


def verify(folder: Path) -> dict[str, Any]:
    """Verify the release."""
    from letterlock.release.verify import verify as check  # noqa: PLC0415

    found: dict[str, Any] = {}
    with meter(found):
        verified = check(folder)
    return found | {"rows": verified.rows}


def main() -> None:
    parser = options(__doc__, rows=200_000, members=20_000, rounds=1, threads=2)
    parser.add_argument("--changed", type=int, default=5, help="percent; default: 5")
    parser.add_argument("--only-build", action="store_true", help="no comparison, just the build")
    arguments = parser.parse_args()
    workspace = ledger(arguments.work, arguments.members, arguments.changed)
    table = messages(arguments.work, arguments.rows, arguments.members)
    source = registered(workspace, table, arguments.rows)
    out = arguments.work / "copy.parquet"
    told = {"workspace": workspace, "source": source, "threads": arguments.threads}
    rounds: dict[str, list[dict[str, Any]]] = {}

    def stage(name: str, **told: Any) -> dict[str, Any]:
        found = in_own_process(name, **told)
        rounds.setdefault(name, []).append(found)
        out.unlink(missing_ok=True)
        return found

    for n in range(arguments.rounds):
        built = stage("build", **told)
        if n + 1 == arguments.rounds:
            stage("verify", folder=built["release"])
        shutil.rmtree(built["release"])
        if arguments.only_build:
            continue
        stage("copy_all", table=table, out=out)
        stage("copy_filter", table=table, out=out, share=built["rows"] / built["items"])
        other = stage("sql", folder=workspace, table=table, out=out)
        assert other["rows"] == built["rows"], "the SQL releases other messages"
    ratios: dict[str, list[float]] = {}
    if not arguments.only_build:
        for name in ("copy_all", "copy_filter", "sql"):
            pairs = list(zip(rounds["build"], rounds[name], strict=True))
            ratios[name] = [round(b["cpu"] / c["cpu"], 3) for b, c in pairs]
            ratios[f"without fold / {name}"] = [
                round((b["cpu"] - b["fold_cpu"]) / c["cpu"], 3) for b, c in pairs
            ]
            ratios[f"wall / {name}"] = [round(b["wall"] / c["wall"], 3) for b, c in pairs]
    for name, each in ratios.items():
        print(f"build / {name}: {each}")
    found = {name: median_of(each) for name, each in rounds.items()}
    report(arguments, {"ratios": ratios, "median": found, "rounds": rounds})


if __name__ == "__main__":
    names = (copy_all, copy_filter, sql, build, verify)
    run(main, {stage.__name__: stage for stage in names})
