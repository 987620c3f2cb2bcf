"""The second act: every figure recounted in plain loops, and what was tried is refused."""

import json
import tomllib
from collections import Counter
from datetime import UTC, date, datetime, time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from letterlock.cli import replay as screen
from letterlock.domain import Item, Party, Request, Role, micros
from letterlock.gate import Gate
from letterlock.policy.decide import decide
from letterlock.replay import replay
from letterlock.replay.days import _tried
from letterlock.replay.world import read
from letterlock.sources.folder import policy_files

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = (
    "case-2024",
    "posts-2024",
    pytest.param("driving-2024", marks=pytest.mark.slow),
)
WITH_CONTRACT = ["case-2024"]
COLUMNS, LINES = 100, 50


class Played:
    """A replay of an example, its world as a plain tree, and its tables as plain rows."""

    def __init__(self, name, result):
        """Read what `result` left behind."""
        self.example, self.result = ROOT / "examples" / name, result
        self.world = tomllib.loads((self.example / "world.toml").read_text())
        rows = {p.stem: pq.read_table(p).to_pylist() for p in (result.out / "world").iterdir()}
        self.members = {row["member"]: row for row in rows["members"]}
        self.items, self.choices = rows["items"], rows["choices"]
        self.region_of = {
            place: region["name"] for region in self.world["regions"] for place in region["places"]
        }

    def region(self, member):
        """Return where a member lives, by the region's name; None where that is not known."""
        return self.region_of.get(self.members[member]["jurisdiction"])

    def exported(self, step):
        """Return the rows of the plain export of a day: by their author alone."""
        found = []
        at = moment(step["at"])
        off = {
            c["subject"]
            for c in self.choices
            if c["act"] in {"object", "withdraw"} and c["time"] <= at
        }
        for item in self.items:
            if not step.get("on", True) or item["created_at"] > at:
                continue
            if item["author"] in off or self.region(item["author"]) in step.get("left_out", []):
                continue
            if step.get("covers") and item["data_class"] not in step["covers"]:
                continue
            found.append(item)
        return found

    def of_class(self, items):
        """Return the people of the complaint's class in these items."""
        question, found = self.world["question"], set()
        for item in items:
            made = item["created_at"]
            if item["data_class"] != question["messages"]:
                continue
            if "since" in question and made < moment(question["since"]):
                continue
            if "before" in question and made >= moment(question["before"]):
                continue
            found |= {name for name in people_in(item) if self.counts(name, made)}
        return found

    def counts(self, name, made):
        """Say whether somebody is counted: a member of the regions, with the contract, then."""
        question = self.world["question"]
        if name not in self.members:
            return False
        if "regions" in question and self.region(name) not in question["regions"]:
            return False
        if "contract" not in question:
            return True
        start, end = (self.members[name][f"premium_{end}"] for end in ("from", "to"))
        return start is not None and start <= made and (end is None or made < end)


def moment(value):
    """Read a time of world.toml."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    assert isinstance(value, date)
    return datetime.combine(value, time(), UTC)


def people_in(item):
    """Return everybody in an item, in whatever role."""
    return {item["author"], *item["recipients"], *item["members"]}


def as_item(row):
    """Read a row as what `decide` is asked about."""
    parties = [Party(row["author"], Role.AUTHOR)]
    parties += [Party(name, Role.RECIPIENT) for name in row["recipients"]]
    parties += [Party(name, Role.MEMBER) for name in row["members"]]
    made = micros(row["created_at"].astimezone(UTC))
    categories = frozenset(row["sensitive"])
    return Item(row["item"], row["data_class"], made, tuple(parties), categories)


@pytest.fixture(scope="module", params=EXAMPLES)
def played(request, case, posts, tmp_path_factory):
    """Replay each example once."""
    results = {"case-2024": case, "posts-2024": posts}
    if (result := results.get(request.param)) is None:
        driving = ROOT / "examples" / request.param
        result = replay(driving, tmp_path_factory.mktemp("driving") / "demo", members=600)
    return Played(request.param, result)


def test_every_export_is_recounted(played):
    """Items, people and the class of each day, by a plain loop over the rows."""
    for step, day in zip(played.world["days"], played.result.days, strict=True):
        rows = played.exported(step)
        inside = {name for row in rows for name in people_in(row)} & set(played.members)
        expected = (len(rows), len(inside), len(played.of_class(rows)))
        assert (day.exported, day.disclosed, day.people) == expected, day.title
    assert any(day.people for day in played.result.days)


@pytest.mark.slow
def test_every_answer_of_the_gate_is_recounted(played):
    """Each day's counts for each recipient, by `decide`, item by item."""
    question = played.world["question"]
    recipients = [question["recipient"], *reversed(question["others"])]
    last = played.result.days[-1].at
    gate = Gate(played.result.out / "workspace-later", now=last)
    strangers = {n for row in played.items for n in people_in(row)} - set(played.members)
    everybody = sorted({*played.members, *strangers})
    for step, day in zip(played.world["days"], played.result.days, strict=True):
        at = moment(step["at"])
        state = gate.state(everybody, micros(at))
        there = [row for row in played.items if row["created_at"] <= at]
        for recipient, passed in zip(recipients, day.passed, strict=True):
            request, stayed, went = Request(question["purpose"], recipient), Counter(), []
            for row in there:
                reason = decide(request, as_item(row), state).reason
                if reason is None:
                    went.append(row)
                else:
                    stayed[reason] += 1
            people = {name for row in went for name in people_in(row)} & set(played.members)
            outside = passed.kind != "controller"
            assert passed.released == len(went), (day.title, recipient)
            assert dict(passed.withheld) == dict(stayed), (day.title, recipient)
            assert passed.people == len(people)
            assert passed.of_class == (len(played.of_class(went)) if outside else 0)
    gate.close()
    assert sum(passed.released for day in played.result.days for passed in day.passed) > 0


def test_the_day_that_act_one_asks_about_says_the_same(played):
    """On that day, both acts count the same export and the same release."""
    act = played.result.act_one
    (day,) = [day for day in played.result.days if day.at == act.asked]
    assert (day.exported, day.people) == (act.alleged.exported, act.alleged.people)
    assert day.passed[0].released == act.gated.outcome.released
    assert dict(day.passed[0].withheld) == act.gated.outcome.withheld


@pytest.mark.parametrize("played", WITH_CONTRACT, indirect=True, scope="module")
def test_nobody_of_the_class_goes_where_the_contract_forbids_it(played):
    """Where the case had a contract, nobody of its class is in what would go outside."""
    assert "contract" in played.world["question"]
    assert {passed.of_class for day in played.result.days for passed in day.passed} == {0}


def test_what_was_tried_is_refused_and_leaves_no_event(played):
    """The order reported fails at its first step and at its second; the record stays as it is."""
    name, folder = "alleged", played.example / "alleged"
    files = policy_files(folder)
    version = tomllib.loads(files["policy.toml"].decode())["version"]
    tried = [each for day in played.result.days for each in day.tries]
    assert len(tried) == 2
    assert f"no published version {version} describes a setting" in tried[0].refusal
    assert f"{name}/" in tried[1].refusal
    gate = Gate(played.result.out / "workspace-later")
    head = gate.store.head()
    world = read((played.example / "world.toml").read_bytes(), "world.toml")
    again = _tried(gate, world, files, str(folder))
    assert [each.refusal for each in again] == [each.refusal for each in tried]
    assert gate.store.head() == head
    assert version not in {each.version for each in gate.rules().policies}
    gate.close()


def test_findings_name_what_is_broken(played):
    """A policy in the order reported breaks at least these, each with its place."""
    (day,) = [day for day in played.result.days if day.tries]
    assert {"R2", "R3", "R10", "R11", "R12", "R22", "R28", "R33"} <= set(day.broken())
    assert all(finding.line > 0 for finding in day.findings)
    assert list(day.broken()) == sorted(day.broken(), key=lambda r: int(r[1:]))


def test_a_hold_acts_at_once(played):
    """From its day on, nothing goes that anybody of the region is in, of the span that it names."""
    question = played.world["question"]
    gate = Gate(played.result.out / "workspace-later")
    for step in played.world["days"]:
        if "hold" not in step:
            continue
        at = moment(step["at"])
        state = gate.state(sorted(played.members), micros(at))
        request, held = Request(question["purpose"], question["recipient"]), 0
        for row in played.items:
            regions = {played.region(name) for name in people_in(row) & set(played.members)}
            made = row["created_at"]
            inside = "made_from" not in step or (
                moment(step["made_from"]) <= made < moment(step["made_before"])
            )
            if step["hold"] in regions and inside and made <= at:
                assert decide(request, as_item(row), state).reason is not None
                held += 1
        assert held > 0
        hold = state.rules.holds[-1]
        assert hold.lock is step.get("lock", False)
    gate.close()


def test_the_screens_fit(played):
    """Two screens, each at most 50 lines of 100 columns; what is too long is folded."""
    short = type(played.result)(
        Path("demo"), played.result.world, played.result.act_one, played.result.days
    )
    for lines in (list(screen.lines(short)), list(screen.day_lines(short))):
        assert 5 < len(lines) <= LINES
        assert max(map(len, lines)) <= COLUMNS, max(lines, key=len)
        assert not any("…" in line and not line.endswith("items to …") for line in lines)


def test_a_case_without_dollars_has_no_line_of_them(played):
    """Neither screen nor report multiply where nobody asked for a sum."""
    dollars = "dollars" in played.world["question"]
    lines = "\n".join((*screen.lines(played.result), *screen.day_lines(played.result)))
    assert ("$" in lines) is dollars
    assert ("$" in played.result.report.read_text(encoding="utf-8")) is dollars


def test_the_record_is_the_days(played):
    """The record holds every day, as JSON that can be read again."""
    record = json.loads(json.dumps(played.result.record()))
    assert len(record["days"]) == len(played.world["days"])
    for day, found in zip(record["days"], played.result.days, strict=True):
        assert day["alleged"]["items"] == found.exported
        assert day["alleged"]["class"] == found.people
        assert [gate["released"] for gate in day["gate"]] == [p.released for p in found.passed]
        assert len(day["tried"]) == len(found.tries)
        assert len(day["findings"]) == len(found.findings)
