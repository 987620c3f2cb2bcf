"""Drop lists by the command line: two companies, each in processes of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import companies
from companies import NOW, run
from letterlock.domain import DAY, text_of
from workspaces import NOW as AT
from workspaces import withdraw

LATE = text_of(AT + 9 * DAY)


@pytest.mark.slow
def test_a_no_reaches_the_recipient(tmp_path: Path):
    """Published, applied, countersigned, superseded: and no duty is left; late, the gate closes."""
    both = companies.found(tmp_path)
    both.register()
    both.approve()
    both.receive(*both.deliver())
    both.acknowledge(both.countersign())
    here, there = ("-w", both.platform, "--now", NOW), ("-i", both.inbox, "--now", NOW)
    assert "nobody to drop" in run("drops", "publish", *here)
    withdraw(both.platform, "ann")
    assert "drop list 1" in run("drops", "publish", *here)
    (listed,) = json.loads(run("drops", "list", "--json", *here))["releases"]
    assert (listed["number"], listed["dropped"], listed["superseded_to"]) == (1, 1, 0)
    late = ("-w", both.platform, "--now", LATE)
    assert "is overdue" in run("build", "-p", "train.generative", "-r", "maker", *late, code=3)

    feed = both.platform / "log" / "drops" / both.release
    lost = run("apply-drops", both.release, "--feed", tmp_path, *there, code=3)
    assert "has no head" in lost
    old = run("apply-drops", both.release, "--feed", feed, "-i", both.inbox, "--now", LATE, code=3)
    assert "not of the last 24 hours" in old
    out = tmp_path / "second"
    said = run("apply-drops", both.release, "--feed", feed, "--out", out, *there)
    assert f"applied drop list 1 of release {both.release}" in said
    both.acknowledge(out)
    assert "version 1" in run("supersede", both.release, *here)
    assert "nobody more" in run("supersede", both.release, *here, code=2)
    gate = both.gate()
    assert not list(gate.lineage().open())
    gate.close()
    sent = both.platform / "releases" / both.release / "outgoing"
    for path in sent.rglob("*.*"):
        same = both.received / "outgoing" / path.relative_to(sent)
        assert path.read_bytes() == same.read_bytes()
