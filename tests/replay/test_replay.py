"""The replay: the same twice, recounted in plain loops, and told as alleged."""

import base64
import hashlib
import json
import re
import shlex
import shutil
import sys
import tomllib
from collections import Counter
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from letterlock.cli import main
from letterlock.cli import replay as screen
from letterlock.domain import Item, Party, Request, Role, micros
from letterlock.errors import InputError, UsageError
from letterlock.gate import Gate
from letterlock.policy.decide import decide
from letterlock.policy.document import check as check_document
from letterlock.release import manifest
from letterlock.replay import MARK, replay, report
from letterlock.replay.world import FEWEST, read
from letterlock.sources.folder import policy_files

ROOT = Path(__file__).resolve().parents[2]
CASE = ROOT / "examples" / "case-2024"
POSTS = CASE.parent / "posts-2024"
SAMPLE = 12
COLUMNS, LINES = 100, 50
SEVEN = [
    *("Canada", "European Union", "EEA outside the EU", "United Kingdom"),
    *("Switzerland", "Hong Kong", "Mainland China"),
]

# A sentence about messages that went somewhere has to say that it is alleged, denied or made up.
WENT = re.compile(
    r"\b(used|trained|disclosed|shared|sold|leaked|gave|given|handed)\b", re.IGNORECASE
)
MESSAGES = re.compile(r"\b(messages?|inmails?)\b", re.IGNORECASE)
TOLD_RIGHT = re.compile(
    r"alleg|complain|no evidence|\bwould\b|\bnot\b|never|made.up|synthetic"
    r"|only with|only if|everyone",
    re.IGNORECASE,
)


@pytest.fixture
def demo(case):
    """Look at the case."""
    return case


@pytest.fixture(scope="module")
def world():
    """Return world.toml as a plain tree."""
    return tomllib.loads((CASE / "world.toml").read_text())


def rows(demo, name):
    """Return a table of a demo as plain rows."""
    return pq.read_table(demo.out / name).to_pylist()


def page(demo):
    """Return a demo's report."""
    return demo.report.read_text(encoding="utf-8")


def run(capsys, *words):
    """Run the program in this process; return its exit code and what it printed."""
    before, sys.argv = sys.argv, ["letterlock", *map(str, words)]
    try:
        with pytest.raises(SystemExit) as stopped:
            main()
    finally:
        sys.argv = before
    return stopped.value.code, capsys.readouterr().out


# ── the same twice ──────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_two_runs_give_the_same_numbers_and_the_same_report(demo, tmp_path):
    """The same world gives the same record, tables and report, wherever it is acted out."""
    one, two = demo, replay(CASE, tmp_path / "demo", members=demo.world.members)
    assert one.act_one.record() == two.act_one.record()
    assert page(one) == page(two)
    for name in ("members", "choices", "items"):
        table = Path("world") / f"{name}.parquet"
        assert (one.out / table).read_bytes() == (two.out / table).read_bytes()
    assert list(screen.lines(one))[:30] == list(screen.lines(two))[:30]


@pytest.mark.slow
def test_another_seed_gives_another_world(tmp_path, demo):
    """The seed counts: nothing is written down that pretends to be drawn."""
    example = tmp_path / "example"
    shutil.copytree(CASE, example)
    text = (CASE / "world.toml").read_text()
    (example / "world.toml").write_text(text.replace("seed = 20240918", "seed = 1"))
    other = replay(example, tmp_path / "demo", members=FEWEST)
    assert other.act_one.record() != demo.act_one.record()


# ── recounted ───────────────────────────────────────────────────────────────────────────────


def recount(demo, world):
    """Count the programme as alleged again: one loop, one condition after the other."""
    left_out = {p for r in world["regions"] if r.get("excluded") for p in r["places"]}
    members = {m["member"]: m for m in rows(demo, "world/members.parquet")}
    off = {
        c["subject"]
        for c in rows(demo, "world/choices.parquet")
        if c["act"] in {"object", "withdraw"}
    }

    def premium(name, at):
        start, end = members[name]["premium_from"], members[name]["premium_to"]
        return start is not None and start <= at and (end is None or at < end)

    exported, sent, received = [], set(), set()
    for item in rows(demo, "world/items.parquet"):
        if item["author"] in off or members[item["author"]]["jurisdiction"] in left_out:
            continue
        exported.append(item["item"])
        if item["data_class"] != "message.direct.inmail":
            continue
        at = item["created_at"]
        sent |= {item["author"]} if premium(item["author"], at) else set()
        received |= {name for name in item["recipients"] if premium(name, at)}
    return exported, sent, received


def test_the_class_of_the_complaint_is_recounted(demo, world):
    """Premium members who sent or received InMail in the export, times $1,000."""
    exported, sent, received = recount(demo, world)
    alleged = demo.act_one.alleged
    assert [row["item"] for row in rows(demo, "baseline/part-0.parquet")] == exported
    assert (alleged.exported, alleged.people) == (len(exported), len(sent | received))
    assert (alleged.sent, alleged.received) == (len(sent), len(received))
    assert alleged.dollars == 1000 * len(sent | received)
    assert alleged.people > 0


def test_released_and_withheld_add_up(demo):
    """Every item has one answer, in every count that is shown."""
    act = demo.act_one
    outcome = act.gated.outcome
    assert outcome.released + sum(outcome.withheld.values()) == outcome.items == act.total
    assert sum(act.gated.by_class.values()) == outcome.released
    assert sum(act.alleged.by_class.values()) == act.alleged.exported
    for whole, column in ((act.total, "items"), (act.alleged.exported, "exported")):
        assert sum(getattr(y, column) for y in act.yields) == whole
    assert sum(y.released for y in act.yields) == outcome.released
    assert sum(y.present for y in act.yields) == act.gated.members
    assert sum(y.people for y in act.yields) == demo.world.members
    assert all(other.items == act.total for other in act.others)


def test_a_meaningful_share_is_released(demo):
    """A gate that lets nothing go shows nothing."""
    outcome = demo.act_one.gated.outcome
    assert 0.03 < outcome.released / outcome.items < 0.15
    assert demo.act_one.gated.by_class["message.direct.inmail"] == 0


def test_the_export_holds_whatever_the_gate_released(demo):
    """The rows of the export that may stay in it are those that the gate let go."""
    alleged, outcome = demo.act_one.alleged, demo.act_one.gated.outcome
    assert alleged.exported - alleged.wrong == outcome.released


def test_rows_are_judged_again_one_by_one(demo, world):
    """`decide` gives each sampled row of the table the answer that the release gave it."""
    folder = demo.out / "workspace" / "releases" / demo.act_one.gated.release
    stayed = {
        row["item"]: (row["reason"], row["role"])
        for row in pq.read_table(folder / manifest.PRIVATE / manifest.WITHHELD).to_pylist()
    }
    items = rows(demo, "world/items.parquet")
    released = [item for item in items if item["item"] not in stayed]
    by_reason = {}
    for item in items:
        if item["item"] in stayed:
            by_reason.setdefault(stayed[item["item"]], []).append(item)
    sample = released[:: len(released) // 60 or 1]
    sample += [item for found in by_reason.values() for item in found[:SAMPLE]]
    gate = Gate(demo.out / "workspace")
    asked = micros(world["dates"]["asked"])
    request = Request(world["question"]["purpose"], world["question"]["recipient"])
    counted = Counter()
    for row in sample:
        parties = [Party(row["author"], Role.AUTHOR)]
        parties += [Party(name, Role.RECIPIENT) for name in row["recipients"]]
        parties += [Party(name, Role.MEMBER) for name in row["members"]]
        item = Item(
            row["item"],
            row["data_class"],
            micros(row["created_at"].astimezone(UTC)),
            tuple(parties),
            frozenset(row["sensitive"]),
        )
        found = decide(request, item, gate.state([p.subject for p in parties], asked))
        answer = (
            None if found.reason is None else (found.reason.name.lower(), found.role.name.lower())
        )
        assert answer == stayed.get(row["item"]), row["item"]
        counted[answer and answer[0]] += 1
    gate.close()
    assert counted[None] >= 50
    assert len(counted) >= 10


def test_the_explained_inmail_is_blocked_by_its_recipients_contract(demo):
    """Its author permits, its Premium recipient said yes too, and the contract decides."""
    blocked = demo.act_one.blocked
    author, recipient = blocked.sides
    assert (blocked.reason, blocked.role) == ("contract", "recipient")
    assert (author.role, author.reason) == ("author", None)
    assert (recipient.role, recipient.reason) == ("recipient", "contract")
    assert "yes" in author.said
    assert "yes" in recipient.said
    deciding = {(a.source.split(",")[0], a.clause, a.needs) for a in recipient.asked if a.decides}
    assert deciding == {("contract premium", "confidential", "forbids")}


# ── the example ─────────────────────────────────────────────────────────────────────────────


def test_the_policy_is_good(capsys):
    """`letterlock policy check` finds nothing in it."""
    assert run(capsys, "policy", "check", CASE)[0] == 0
    assert run(capsys, "policy", "check", CASE / "later")[0] == 0
    assert run(capsys, "policy", "check", CASE / "alleged")[0] == 3


def test_the_regions_are_those_of_the_case(world):
    """Seven regions are excluded, each with all its places, and no place of the others."""
    policy, _ = check_document(policy_files(CASE), "policy.toml")
    clause = next(c for c in policy.region_clauses if c.id == "no-training-where-excluded")
    excluded = [r for r in world["regions"] if r.get("excluded")]
    assert [r["name"] for r in excluded] == SEVEN
    for region in world["regions"]:
        assert set(region["places"]) <= set(policy.ages)
        inside = set(region["places"]) & set(clause.jurisdictions)
        assert inside == (set(region["places"]) if region.get("excluded") else set())
    others = [r["name"] for r in world["regions"] if not r.get("excluded")]
    assert others[0] == "United States"
    assert len(others) == 5


def test_the_setting_has_its_name(demo):
    """The setting is called what the reports call it."""
    assert demo.act_one.setting == "Data for Generative AI Improvement"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed = 20240918", "seed = true"),
        ("seed = 20240918", "sed = 1"),
        ("members = 20000", "members = 3"),
        ("yes = 0.34", "yes = 1.2"),
        ("yes = 0.34", "yes = 0.95"),
        ("posts = 2.5", "posts = -1"),
        ("posts = 2.5", "posts = nan"),
        ("policy = 2024-01-08", "policy = 2024-01-01"),
        ("policy = 2024-01-08", "policy = 8"),
        ("notices = [2024-01-10, 2024-01-17, 2024-01-24, 2024-01-31]", "notices = [2024-08-05]"),
        ("IN = 0.12", "IN = 0"),
        ("IN = 0.12", 'IN = "some"'),
        ('kind = "allegation"', 'kind = "rumour"'),
        ("[choices]", "choices = 1\n[choises]"),
        ("[choices]", "[choices"),
        ('drawn = "group"', 'drawn = "crowd"'),
        ('id = "message.direct.inmail"', 'id = "message.other"'),
        ('id = "message.group"', 'id = "profile"'),
        ('categories = ["employment", "pay", ', 'categories = ["weather", '),
        ('hold = "United Kingdom"', 'hold = "Atlantis"'),
    ],
)
def test_a_world_that_cannot_be_is_refused(old, new):
    """Whatever cannot be read as meant is an input error that names the file."""
    text = (CASE / "world.toml").read_text()
    assert old in text
    with pytest.raises(InputError, match=r"world\.toml"):
        read(text.replace(old, new, 1).encode(), "world.toml")


@pytest.mark.slow
def test_a_folder_that_is_no_demo_is_never_overwritten(tmp_path):
    """Only a new or empty folder, or an earlier demo with nothing added, is written to."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "report.html").write_text("mine")
    with pytest.raises(UsageError, match="more than a demo"):
        replay(POSTS, mine, members=FEWEST)
    assert (mine / "report.html").read_text() == "mine"
    with pytest.raises(UsageError, match="more than a demo"):
        replay(POSTS, mine / "report.html", members=FEWEST)
    again = tmp_path / "demo"
    first = replay(POSTS, again, members=FEWEST)
    (again / "workspace" / "leftover").write_text("")
    second = replay(POSTS, again, members=FEWEST)
    assert first.act_one.record() == second.act_one.record()
    assert not (again / "workspace" / "leftover").exists()
    assert (again / MARK).exists()
    (again / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="more than a demo"):
        replay(POSTS, again, members=FEWEST)
    assert page(second)


def test_without_the_extra_nothing_is_begun(tmp_path, monkeypatch):
    """Where charts cannot be drawn, the replay says what to install, before it writes anything."""
    monkeypatch.setattr(report, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=re.escape("letterlock[report]")):
        replay(CASE, tmp_path / "demo", members=FEWEST)
    assert not (tmp_path / "demo").exists()


# ── the screen ──────────────────────────────────────────────────────────────────────────────


def test_the_screen_fits(demo):
    """One screen: at most 50 lines of 100 columns, but for the folder's own name."""
    short = type(demo)(Path("demo"), demo.world, demo.act_one, demo.days)
    lines = list(screen.lines(short))
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    assert any("arithmetic of an allegation" in line and "$" in line for line in lines)


@pytest.mark.slow
def test_the_command_prints_what_the_library_found(capsys, tmp_path, demo):
    """`letterlock replay` prints the screen, or the record as JSON."""
    asked = ["replay", CASE, "--out", tmp_path / "demo", "--members", demo.world.members]
    code, printed = run(capsys, *asked)
    assert code == 0
    assert printed.splitlines()[:30] == list(screen.lines(demo))[:30]
    code, printed = run(capsys, *asked, "--json")
    assert code == 0
    assert json.loads(printed)["acts"] == [demo.act_one.record()]


def test_the_command_says_what_is_wrong(capsys, tmp_path):
    """1 for an example that cannot be read, 2 for a slip in the command line."""
    assert run(capsys, "replay", tmp_path, "--out", tmp_path / "new")[0] == 1
    (tmp_path / "mine").write_text("mine")
    assert run(capsys, "replay", CASE, "--out", tmp_path)[0] == 2
    assert run(capsys, "replay", CASE, "--out", tmp_path / "new", "--members", 3)[0] == 2


def test_what_to_try_next_runs_as_printed(capsys, demo):
    """Every command on the screen runs, and answers as the screen says."""
    text = "\n".join(screen.lines(demo)).replace("\\\n", " ")
    commands = [
        shlex.split(line) for line in text.splitlines() if line.startswith("   letterlock ")
    ]
    answers = {words[1]: run(capsys, *words[1:]) for words in commands}
    assert {name: code for name, (code, _) in answers.items()} == {
        "verify": 0,
        "explain": 3,
        "plan": 0,
        "check": 3,
    }
    assert f"rows: {demo.act_one.gated.outcome.released:,};" in answers["verify"][1]
    assert "by its recipient" in answers["explain"][1]
    assert f"{demo.act_one.others[0].released:,}" in answers["plan"][1]
    assert f"{demo.act_one.alleged.exported:,}" in answers["check"][1]


# ── the report ──────────────────────────────────────────────────────────────────────────────


class Page(HTMLParser):
    """Reads a page strictly: every element is closed in its order."""

    VOID = ("meta", "br")

    def __init__(self, text):
        """Read `text` to its end."""
        super().__init__()
        self.open, self.seen, self.attributes = [], Counter(), []
        self.ids, self.sections, self.words = Counter(), [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        """Count an element and what it says of itself."""
        self.seen[tag] += 1
        self.attributes += [(tag, *pair) for pair in attrs]
        self.ids.update(value for name, value in attrs if name == "id")
        if tag == "section":
            self.sections.append(Counter())
        for section in self.sections[-1:]:
            section[tag] += 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """Count an element that is closed at once."""
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        """Close the element that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keep what a reader reads; a chart's words stand in its table."""
        if self.open and self.open[-1] not in {"style", "text"}:
            self.words.append(data)


def test_every_chart_has_its_table(demo):
    """Each section with a chart holds a table, with a caption and a scope for each heading."""
    found = Page(page(demo))
    charts = [section for section in found.sections if section["svg"]]
    assert len(charts) == 5
    for section in charts:
        assert section["svg"] == section["figure"] == section["figcaption"] == 1
        assert section["table"] >= 1
        assert section["text"] > 5, "an empty chart"
    assert found.seen["caption"] == found.seen["table"]
    assert found.seen["th"] == sum(
        1 for tag, name, _ in found.attributes if (tag, name) == ("th", "scope")
    )
    assert ("html", "lang", "en") in found.attributes
    assert ("a", "href", "#main") in found.attributes
    assert set(found.ids.values()) == {1}
    named = {v for _, name, v in found.attributes if name == "aria-labelledby"}
    assert named <= set(found.ids)


def test_the_report_loads_nothing(demo):
    """No script, no style but its own, no address; its policy forbids all that as well."""
    text = page(demo)
    found = Page(text)
    hashless = re.sub(r"'sha256-[^']*'", "", text)  # base64 may hold two slashes
    assert not re.search(r"https?:|//|url\((?!#)|@import|<script|<link|<img|<image", hashless)
    assert not {name for _, name, _ in found.attributes} & {"src", "style", "onclick", "srcset"}
    assert {v for _, name, v in found.attributes if "href" in name} == {"#main"}
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(v for _, name, v in found.attributes if name == "content" and "src" in v)
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


def test_the_report_shows_the_numbers(demo):
    """What the page says is what the act found."""
    text = " ".join(" ".join(Page(page(demo)).words).split())
    act = demo.act_one
    for number in (act.alleged.exported, act.alleged.people, act.gated.outcome.released):
        assert f"{number:,}" in text
    assert f"${act.alleged.dollars:,}" in text
    assert "arithmetic of an allegation" in text
    for moment in demo.world.timeline:
        assert moment.when in text
        assert moment.title in text


# ── the wording ─────────────────────────────────────────────────────────────────────────────


def sentences(text):
    """Split a text into sentences, table cells and lines of a list."""
    return re.split(r"(?<=[.!?”])\s+|\s*\|\s*|\n\s*\n|\n\s*[-*] ", text)


def test_nothing_says_that_it_happened(demo):
    """Whatever the replay prints or ships tells what was alleged as alleged."""
    found = Page(page(demo))
    told = {
        "report": "\n\n".join(found.words),
        "screen": "\n\n".join((*screen.lines(demo), *screen.day_lines(demo))),
        "record": "\n\n".join(re.findall(r'"([^"]*)"', json.dumps(demo.record()))),
    }
    shipped = [path for path in (ROOT / "examples").rglob("*") if path.is_file()]
    for path in (*shipped, ROOT / "docs" / "case.md"):
        told[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
    wrong = [
        f"{name}: {sentence}"
        for name, text in told.items()
        for sentence in sentences(text)
        if WENT.search(sentence) and MESSAGES.search(sentence) and not TOLD_RIGHT.search(sentence)
    ]
    assert not wrong, "\n".join(wrong)
    assert "withdrawn" in told["screen"]
    assert "We never did that" in told["report"]


@pytest.mark.parametrize("name", ["case-2024", "posts-2024", "driving-2024"])
def test_the_time_line_is_dated_as_the_case_is(name):
    """Each fact's date is that of docs/case.md, and only the filed complaint is an allegation."""
    world = tomllib.loads((ROOT / "examples" / name / "world.toml").read_text())
    case = (ROOT / "docs" / "case.md").read_text(encoding="utf-8")
    kinds = Counter(m["kind"] for m in world["timeline"])
    assert kinds["allegation"] == (name == "case-2024")
    assert kinds["fact"] > 0
    for moment in world["timeline"]:
        if moment["kind"] != "fiction":
            assert moment["when"] in case, moment["when"]
    order = [datetime.combine(m["from"], datetime.min.time()) for m in world["timeline"]]
    assert order == sorted(order)
