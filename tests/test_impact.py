"""What a version would change, said before it is published, and what it then does change."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from letterlock.cli import app
from letterlock.domain import DAY, text_of
from letterlock.errors import LetterlockError
from letterlock.gate import Gate
from letterlock.ledger import Draft
from workspaces import (
    MEMBERS,
    NOW,
    POLICY,
    PURPOSE,
    RECIPIENT,
    folder_of,
    publish,
    traces,
    workspace,
    written,
)

SECOND = POLICY.replace(b'version = "1"', b'version = "2"')
VERSIONS = {
    "the same again": SECOND,
    "a prohibition": SECOND.replace(b'level = "grant"', b'level = "never"'),
    "an explicit yes": SECOND.replace(b'level = "grant"', b'level = "explicit_grant"'),
    "another region": SECOND.replace(b'jurisdictions = ["DE"]', b'jurisdictions = ["US"]'),
    "other words": SECOND.replace(b"train models that generate", b"train models that write"),
    "a new recipient": SECOND.replace(
        b"[data_classes",
        b'[recipients.more]\nname = "More Ltd."\nclass = "affiliate"\n[data_classes',
        1,
    ),
}


@pytest.fixture
def gate(tmp_path):
    """Give a workspace with people and a table."""
    gate = workspace(tmp_path / "w")
    yield gate
    gate.close()


@pytest.mark.parametrize("name", VERSIONS)
def test_what_is_said_of_a_version_is_what_it_does(name, gate):
    """At once, and in force for everyone: the counts are those of the version once published."""
    before = gate.plan(PURPOSE, RECIPIENT)
    said = gate.impact(folder_of(VERSIONS[name]), "policy", PURPOSE, RECIPIENT)
    assert said.before == before.released > 0
    publish(gate, VERSIONS[name])
    published = gate.store.head().time
    at_once = gate.plan(PURPOSE, RECIPIENT)
    assert said.at_once.allowed.items - said.at_once.denied.items == (
        at_once.released - before.released
    )
    told = [Draft("notice.delivered", {"subject": m, "version": "2"}) for m in MEMBERS]
    gate.record(told)
    later = Gate(gate.folder, now=published + 3 * DAY)
    in_force = later.plan(PURPOSE, RECIPIENT)
    later.close()
    assert said.in_force.allowed.items - said.in_force.denied.items == (
        in_force.released - before.released
    )


def test_nothing_is_recorded(gate):
    """Asking leaves no trace, and what cannot be used is an error."""
    before = traces(gate.folder)
    gate.impact(folder_of(VERSIONS["a prohibition"]), "policy", PURPOSE, RECIPIENT)
    for files in ({}, {"policy.toml": b"version ="}, folder_of(POLICY)):
        with pytest.raises(LetterlockError):
            gate.impact(files, "policy", PURPOSE, RECIPIENT)
    with pytest.raises(LetterlockError, match="unknown recipient"):
        gate.impact(folder_of(SECOND), "policy", PURPOSE, "nobody")
    assert traces(gate.folder) == before


def test_the_command_prints_both_states(gate, tmp_path):
    """For people and for programs, the same numbers."""
    folder = written(tmp_path / "policy", VERSIONS["a prohibition"])
    asked = ["policy", "impact", str(folder), "-p", PURPOSE, "-r", RECIPIENT]
    asked += ["-w", str(gate.folder), "--now", text_of(NOW)]
    shown, record = (CliRunner().invoke(app, [*asked, *more]) for more in ([], ["--json"]))
    assert (shown.exit_code, record.exit_code) == (0, 0)
    found = json.loads(record.stdout)
    assert found["at_once"]["newly_denied"]["items"] == found["allowed_now"] > 0
    assert f"{found['allowed_now']:,} items may go now" in shown.stdout
    assert "prohibited_now" in shown.stdout
