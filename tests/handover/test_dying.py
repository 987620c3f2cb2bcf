"""Killed at any change of the disk, a hand-over is done by doing it again, and nothing twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import companies
import workspaces as w
from companies import Companies
from letterlock.inbox import Inbox

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Companies:
    """Found two companies with an approved release of few rows."""
    both = companies.found(tmp_path_factory.mktemp("dying"), rows=12)
    both.register()
    both.approve()
    return both


def ready(both: Companies, act: str, folder: Path) -> Companies:
    """Copy the companies and go on until `act` is next."""
    for path in (both.platform, both.inbox):
        shutil.copytree(path, folder / path.name)
    both = replace(both, platform=folder / both.platform.name, inbox=folder / both.inbox.name)
    if act != "deliver":
        gate = both.gate()
        made = gate.deliver(both.release, both.post)
        gate.close()
    if act == "acknowledge":
        inbox = Inbox(both.inbox, now=w.NOW)
        inbox.receive(made.package, made.letter, both.policy.read_bytes())
        (both.inbox / "inventory").write_bytes(inbox.inventory(both.release))
    return both


def kills(both: Companies, act: str, *, first: int, step: int) -> int:
    """Run `dying.py`; returns how often it killed."""
    done = subprocess.run(
        [sys.executable, HERE / "dying.py", both.platform.parent, both.release, act,
         str(first), str(step)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_somebody_is_killed_now_and_then(founded: Companies, tmp_path: Path):
    """A few places of one act."""
    assert kills(ready(founded, "receive", tmp_path), "receive", first=2, step=23) > 0


@pytest.mark.slow
@pytest.mark.parametrize("act", ["deliver", "receive", "acknowledge"])
def test_somebody_is_killed_anywhere(founded: Companies, tmp_path: Path, act: str):
    """Every single change of the disk."""
    assert kills(ready(founded, act, tmp_path), act, first=1, step=1) > 1
