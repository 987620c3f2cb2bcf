"""The case of 2024, replayed on a synthetic network: a world, its acts, and a report of them.

A demo's folder holds world/ (who and what was drawn), workspace/ (a simulated one, as it stood on
the first act's day), workspace-later/ (the same after the second act), workspace-public/, proofs/
and witnesses/ (the third act's), workspace-handed/, inboxes/, packages/, models/ and
witnesses-handed/ (the fourth's), baseline/ (the plain export), mapping.toml and report.html. What
it shows and does not show: docs/case.md.
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from letterlock.errors import InputError, UsageError, WorkspaceError
from letterlock.gate.policies import publishable
from letterlock.release.build import Progress
from letterlock.replay import handed, public, report
from letterlock.replay.acts import ActOne, act_one
from letterlock.replay.days import Day, day_by_day
from letterlock.replay.handed import ActFour, act_four
from letterlock.replay.public import ActThree, act_three
from letterlock.replay.world import MAPPING_NAME, Step, World, act_out, draw, read
from letterlock.sources.folder import policy_files

MARK: Final = ".letterlock-demo"
REPORT: Final = "report.html"
LATER: Final = "workspace-later"
OURS: Final = frozenset(
    {
        *(MARK, REPORT, MAPPING_NAME, "world", "workspace", "baseline", LATER),
        *(public.WORKSPACE, public.PROOFS, public.WITNESSES),
        *handed.OURS,
    }
)


@dataclass(frozen=True)
class Result:
    """A replay: the world, the acts, and where they were acted out."""

    out: Path
    world: World
    act_one: ActOne
    days: tuple[Day, ...]
    act_three: ActThree | None = None
    act_four: ActFour | None = None

    @property
    def report(self) -> Path:
        """Return the report's file."""
        return self.out / REPORT

    def record(self) -> dict[str, Any]:
        """Return the replay as JSON."""
        world = self.world
        return {
            "network": world.name,
            "synthetic": True,
            "seed": world.seed,
            "members": world.members,
            "report": str(self.report),
            "acts": [self.act_one.record()],
            "days": [day.record() for day in self.days],
            "record": None if self.act_three is None else self.act_three.record(),
            "handover": None if self.act_four is None else self.act_four.record(),
            "heads_without_a_figure": list(world.question.heads),
            "next": [shlex.join(words) for words in self.act_one.commands(self.out)],
        }


def replay(
    example: Path,
    out: Path,
    progress: Progress = lambda _what, _done, _total: None,
    *,
    members: int | None = None,
) -> Result:
    """Act out the case in `example` (a policy's folder, world.toml) in the new folder `out`.

    `members`: how many instead of the world's own number. The same world gives the same report.
    Raises UsageError if `out` holds anything but an earlier demo, or charts cannot be drawn.
    """
    report.require()
    world = read(_bytes(example / "world.toml"), str(example / "world.toml"), members=members)
    files = policy_files(example)
    folders = {name: policy_files(example / name) for d in world.days for name in _named(d)}
    document = publishable(files, str(example))
    _make_room(out)
    network = draw(world, document)
    gate = act_out(world, network, files, str(example), out, progress)
    try:
        act = act_one(world, network, document, gate, out, progress)
    finally:
        gate.close()
    checked = None
    if world.record is not None:
        checked = act_three(world, network, act.gated.release, out, progress)
    back = None
    if world.handover is not None:
        back = act_four(world, network, act.gated.release, out, progress)
    days: tuple[Day, ...] = ()
    if world.days:  # in a copy: the commands on the first screen ask as of the first act's day
        later = shutil.copytree(out / "workspace", out / LATER, ignore=_releases)
        days = day_by_day(world, network, example, folders, later, progress)
    result = Result(out, world, act, days, checked, back)
    result.report.write_text(report.page(world, act, days, checked, back), encoding="utf-8")
    return result


def _releases(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "releases"]


def _named(step: Step) -> list[str]:
    return [name for name in (step.tries, step.publishes) if name]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _make_room(out: Path) -> None:
    """Make the folder, or clear away the demo in it; nothing else is ever overwritten."""
    try:
        there = {path.name for path in out.iterdir()} if out.is_dir() else set()
        if (out.exists() and not out.is_dir()) or (there and (MARK not in there or there - OURS)):
            raise UsageError(
                f"{out} is there already and holds more than a demo: name a new folder, "
                "or one that an earlier replay made"
            )
        for name in sorted(there - {MARK}):
            path = out / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        out.mkdir(parents=True, exist_ok=True)
        (out / MARK).write_text("made by letterlock replay, which may overwrite it\n")
    except OSError as error:
        raise WorkspaceError(f"no demo could be made in {out}: {error}") from error
