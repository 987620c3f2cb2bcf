"""Scenarios: what each requirement comes to, asked of `decide`, of a build and of the command.

A scenario is a YAML file under tests/scenarios, named after the requirement it shows. Its steps are
acted out through the gate, each at its date; then every item is asked about in three ways, and the
three answers must be the one that is written down.

    requirement: R23                       # or several
    says: what it shows, in a sentence
    policy: {"old": "new"}                 # replacements in the base policy, none if left out
    steps:
      - {at: 2024-01-10, says yes: [ann, bob]}  # one verb a step; verbs: STEPS below
      - {at: 2024-02-01, hold: {…}, refused: "why, as a pattern"}
    items: {i1: {from: ann, to: [bob], at: 2024-03-01}}
    ask: {purpose: train.generative, recipient: maker, at: 2024-06-01}
    expect: {i1: allow}                    # or a reason, or reason/role
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from letterlock import approval
from letterlock.cli import app
from letterlock.domain import EPOCH, Time, text_of, time_of
from letterlock.errors import LetterlockError, PolicyError
from letterlock.gate import Gate
from letterlock.gate.policies import publishable
from letterlock.ledger import Draft
from letterlock.policy.document import check
from letterlock.release import manifest
from letterlock.release.verify import verify
from workspaces import (
    KEYS,
    MAPPING,
    POLICY,
    PURPOSE,
    RECIPIENT,
    approved,
    columns,
    folder_of,
    grant,
    member,
    publish,
    refusal,
    rows_of,
    write,
    yes,
)

FOLDER = Path(__file__).parent / "scenarios"
SETTING = "genai"
RUNNER = CliRunner()


def scenarios() -> list[Path]:
    """Return the scenarios' files, in the order of their requirements."""
    return sorted(FOLDER.glob("*.yaml"), key=lambda p: (int(p.stem[1:3]), p.stem))


def when(value: date | datetime) -> Time:
    """Read a date as YAML has it; times are UTC."""
    if isinstance(value, datetime) and value.tzinfo:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return time_of(value.isoformat())


def plain(value: Any) -> Any:
    """Return dates as times, wherever they are."""
    if isinstance(value, date):
        return when(value)
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


# ── steps ─────────────────────────────────────────────────────────────────────────────────────


def _policy(gate: Gate, replaced: Mapping[str, str] | None) -> None:
    publish(gate, _replaced(replaced))


def _replaced(replaced: Mapping[str, str] | None) -> bytes:
    text = POLICY.decode()
    for old, new in (replaced or {}).items():
        assert old in text, f"the base policy has no {old!r}"
        text = text.replace(old, new)
    return text.encode()


def _members(gate: Gate, people: Mapping[str, Mapping[str, Any]]) -> None:
    rows = [member(name, **(more or {})) for name, more in people.items()]
    _whole(gate.register_subjects(rows_of(rows)))


def _facts(gate: Gate, facts: list[dict[str, Any]]) -> None:
    rows = [{k: _text(v) for k, v in fact.items()} for fact in facts]
    _whole(gate.register_facts(rows_of(rows)))


def _yes(gate: Gate, people: list[str]) -> None:
    text = gate.text_hash(SETTING, "en")
    at = {"time": text_of(gate.now())}
    _whole(gate.load_choices(rows_of([row | at for name in people for row in yes(name, text)])))


def _grant(gate: Gate, rows: list[dict[str, Any]]) -> None:
    text, at = gate.text_hash(SETTING, "en"), {"time": text_of(gate.now())}
    said = [grant(**{"text": text} | {k: _text(v) for k, v in row.items()}) for row in rows]
    _whole(gate.load_choices(rows_of([at | row | at for row in said])))


def _no(gate: Gate, rows: list[dict[str, Any]]) -> None:
    at = {"time": text_of(gate.now())}
    said = [refusal(**{k: _text(v) for k, v in row.items()}) | at for row in rows]
    _whole(gate.load_choices(rows_of(said)))


def _choices(gate: Gate, rows: list[dict[str, Any]]) -> None:
    _whole(gate.load_choices(rows_of([{k: _text(v) for k, v in row.items()} for row in rows])))


def _notice(gate: Gate, said: Mapping[str, Any]) -> None:
    gate.record(
        Draft("notice.delivered", {"subject": name, "version": str(said["version"])})
        for name in said["to"]
    )


def _event(gate: Gate, body: dict[str, Any]) -> None:
    body = plain(body)
    gate.record([Draft(body.pop("kind"), body)])


def _approved(gate: Gate, body: dict[str, Any]) -> None:
    body, signers = plain(body), plain(body).get("by", list(KEYS))
    kind = body.pop("kind")
    body.pop("by", None)
    signatures = [s for s in approved(kind, **body) if s.operator in signers]
    gate.record_approved(kind, body, signatures)


def _publish_alone(gate: Gate, replaced: Mapping[str, str] | None) -> None:
    del replaced
    gate.publish(folder_of(), "policy", [])


def _contradicting(_gate: Gate, replaced: Mapping[str, str]) -> None:
    """Publish the base policy, of the next version, with words changed in its FAQ."""
    files = folder_of(POLICY.replace(b'version = "1"', b'version = "2"'))
    faq = files["faq.md"].decode()
    for old, new in replaced.items():
        assert old in faq, f"the FAQ has no {old!r}"
        faq = faq.replace(old, new)
    publishable(files | {"faq.md": faq.encode()}, "policy")


def _register_operator(gate: Gate, name: str) -> None:
    gate.register_operator(name, name, approval.public_key(name.encode().ljust(32, b"\0")))


STEPS: dict[str, Callable[[Gate, Any], None]] = {
    "publish": _policy,
    "publish alone": _publish_alone,
    "contradicting": _contradicting,
    "introduce": lambda gate, setting: gate.introduce(setting),
    "members": _members,
    "facts": _facts,
    "says yes": _yes,
    "grant": _grant,
    "says no": _no,
    "choices": _choices,
    "notice": _notice,
    "event": _event,
    "approved": _approved,
    "operator": _register_operator,
    "gpc": lambda gate, said: gate.gpc(said["subject"], said["browser"]),
}


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _whole(loaded: Any) -> None:
    """Raise what was refused: a scenario says so where it is meant."""
    for problem in (*loaded.refused, *loaded.widened):
        raise LetterlockError(str(problem))


def _findings(verb: str, replaced: Any) -> str:
    """Return everything that is wrong with a policy, of which an error names the first."""
    if verb != "publish":
        return ""
    try:
        files = folder_of(_replaced(replaced))
    except PolicyError:  # of no use at all, which the error says
        return ""
    return "\n".join(map(str, check(files, "policy")[1]))


def act_out(scenario: dict[str, Any], folder: Path) -> None:
    """Act out the steps, each through a gate of its date."""
    steps = [*BASE, *scenario.get("steps", [])] if scenario.get("base", True) else scenario["steps"]
    dated = [(when(step["at"]), n, step) for n, step in enumerate(steps)]
    Gate.create(folder, simulated=True, now=min(at for at, _, _ in dated)).close()
    for at, _, step in sorted(dated, key=lambda entry: entry[:2]):
        (verb,) = set(step) - {"at", "refused"}
        gate = Gate(folder, now=at)
        before = gate.store.head()
        try:
            if "refused" in step:
                with pytest.raises(LetterlockError) as refused:
                    STEPS[verb](gate, step[verb])
                said = f"{refused.value}\n{_findings(verb, step[verb])}"
                assert re.search(step["refused"], said), said
                left = list(gate.store.every_event(upto=gate.store.head().index))[
                    before.index + 1 :
                ]
                assert {e.kind for e in left} <= {"consent.claimed"}  # evidence, never a grant
            else:
                STEPS[verb](gate, step[verb])
        finally:
            gate.close()


BASE: list[dict[str, Any]] = [
    {"at": date(2024, 1, 1), "publish": {}},
    {"at": date(2024, 1, 5), "members": {"ann": {}, "bob": {}, "cem": {}}},
    {"at": date(2024, 1, 6), "introduce": SETTING},
]
"""A policy, three members with its notice in their sign-up, and its setting."""


# ── asking ────────────────────────────────────────────────────────────────────────────────────


def table(scenario: dict[str, Any], path: Path) -> Path:
    """Write the scenario's items as a platform's table."""
    rows = [
        {
            "id": name, "created_at": _moment(item["at"]), "sender": item.get("from"),
            "receivers": item.get("to", []), "kind": item.get("class", "message.direct"),
            "quoted": item.get("quotes", []), "subject": "s", "body": "b",
        }
        for name, item in scenario["items"].items()
    ]  # fmt: skip
    return write(path, rows)


def _moment(value: date) -> datetime:
    return EPOCH + timedelta(microseconds=when(value))


def of_decide(gate: Gate, ask: dict[str, str], items: list[str]) -> dict[str, str]:
    """Ask `decide` about each item."""
    found = {}
    for item in items:
        ((_, _, decision),) = gate.explain(item, ask["purpose"], ask["recipient"])
        role = "" if decision.role is None else f"/{decision.role.name.lower()}"
        reason = decision.reason
        found[item] = "allow" if reason is None else f"{reason.name.lower()}{role}"
    return found


def of_build(gate: Gate, ask: dict[str, str], items: list[str]) -> dict[str, str]:
    """Ask a release: what is in it, and why the rest is not."""
    built = gate.build(ask["purpose"], ask["recipient"])
    verify(built.folder)
    rows = pq.read_table(built.folder / manifest.PRIVATE / manifest.WITHHELD).to_pylist()
    stayed = {r["item"]: r["reason"] + (f"/{r['role']}" if r["role"] else "") for r in rows}
    assert built.record["counts"]["released"] == len(items) - len(stayed)
    return {item: stayed.get(item, "allow") for item in items}


def of_command(folder: Path, at: Time, ask: dict[str, str], items: list[str]) -> dict[str, str]:
    """Ask the command line: its answer, and its exit code."""
    found = {}
    for item in items:
        asked = ["explain", item, "-p", ask["purpose"], "-r", ask["recipient"], "-w", str(folder)]
        done = RUNNER.invoke(app, [*asked, "--now", text_of(at), "--json"])
        (said,) = json.loads(done.stdout)["items"]
        assert done.exit_code == (0 if said["allowed"] else 3)
        role = f"/{said['role']}" if said["role"] else ""
        found[item] = "allow" if said["allowed"] else f"{said['reason']}{role}"
    return found


@pytest.mark.parametrize("path", scenarios(), ids=lambda p: p.stem)
def test_a_requirement_holds(path, tmp_path):
    """A requirement's scenario goes as written, and three ways of asking give one answer."""
    scenario = yaml.safe_load(path.read_text())
    folder = tmp_path / "w"
    act_out(scenario, folder)
    if "items" not in scenario:
        assert any("refused" in step for step in scenario["steps"])
        return
    ask = {"purpose": PURPOSE, "recipient": RECIPIENT, "at": date(2024, 6, 1)}
    ask |= scenario.get("ask", {})
    at, items = when(ask["at"]), list(scenario["items"])
    gate = Gate(folder, now=at)
    gate.add_table("mail", table(scenario, tmp_path / "t.parquet"), columns(MAPPING))
    found = of_decide(gate, ask, items)
    expected = {item: str(answer) for item, answer in scenario["expect"].items()}
    bare = {item: a if "/" in expected[item] else a.partition("/")[0] for item, a in found.items()}
    assert bare == expected
    assert of_build(gate, ask, items) == found
    gate.close()
    assert of_command(folder, at, ask, items) == found


def test_every_requirement_of_policies_and_settings_has_a_scenario():
    """R1–R25, R31, R34, R35 and R45–R48 are shown; none of the files shows nothing."""
    shown = {
        r for p in scenarios() for r in yaml.safe_load(p.read_text())["requirement"].split(", ")
    }
    asked = {f"R{n}" for n in (*range(1, 26), 31, 34, 35, *range(45, 49))}
    assert not asked - shown
