"""Exposure: the class query against its slow twin, on releases, and on the replayed case."""

from __future__ import annotations

import json
import random
import re
import shlex
import shutil
import sys
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from letterlock.cli import main
from letterlock.domain import ANY, BEGINNING, DAY, END, text_of
from letterlock.errors import LetterlockError, UsageError, WorkspaceError
from letterlock.gate import Gate
from letterlock.ledger import fold
from letterlock.release import manifest
from letterlock.replay.acts import class_of
from letterlock.replay.world import MAPPING_NAME
from letterlock.reports.class_query import EVERY_WAY, SENT_OR_RECEIVED, ClassQuery, Way
from letterlock.reports.exposure import ARITHMETIC, ITEMS, MANIFEST, SUBJECTS, write
from letterlock.sources.mapping import read_mapping
from letterlock.sources.records import Row
from oracle import class_query as twin
from workspaces import (
    GERMAN,
    MAPPING,
    MEMBERS,
    NOW,
    PURPOSE,
    RECIPIENT,
    YES,
    Drawer,
    columns,
    live,
    messages,
    reading,
    renamed,
    travelling,
    workspace,
)
from workspaces import (
    SUBJECTS as PEOPLE,
)
from workspaces import (
    write as table_of,
)
from worlds import CONTRACTS, PATTERNS, PLACES, Maker, day

CASE = Path(__file__).resolve().parents[1] / "examples" / "case-2024"
FAST, SLOW = range(200, 208), range(208, 300)


def run(capsys, *words):
    """Run the program in this process; return its exit code and what it printed."""
    before, sys.argv = sys.argv, ["letterlock", *map(str, words)]
    try:
        with pytest.raises(SystemExit) as stopped:
            main()
    finally:
        sys.argv = before
    return stopped.value.code, capsys.readouterr().out


# ── the slow twin ─────────────────────────────────────────────────────────────────────────────


def drawn(rng):
    """Draw a query, of anything or of something."""
    start, end = sorted(day(rng.choice(range(-60, 115, 5))) for _ in range(2))
    made_from, made_before = rng.choice([(BEGINNING, END), (start, end + 1), (BEGINNING, end)])
    return ClassQuery(
        rng.choice([ANY, *PATTERNS]),
        rng.choice([(ANY,), (CONTRACTS[0],), tuple(CONTRACTS)]),
        rng.choice([(ANY,), ("US",), ("GB",), ("US-CA", "DE"), tuple(PLACES[1:])]),
        made_from,
        made_before,
        rng.choice([SENT_OR_RECEIVED, EVERY_WAY, (Way.SENT,), (Way.QUOTED,)]),
    )


def compare(seed, folder):
    """Compare query and loop on one world and table; returns the matches that there were."""
    rng, drawer = random.Random(seed), Drawer(seed)
    world = travelling(rng, renamed(Maker(seed, people=PEOPLE, items=0).make(), drawer))
    gate = live(folder / "w", world)
    table = drawer.draw()
    try:
        mapping = columns(table.mapping)
        gate.add_table("t", table.write(folder / "t"), mapping)
    except LetterlockError:
        gate.close()
        return []
    (source,), query = gate.sources(), drawn(rng)
    matching = gate.matching(query)
    hits, ids = matching.hits(source), gate.store.subject_ids()
    found = defaultdict(set)
    for n in range(len(hits)):
        number = int(hits.subject[n])
        name = ids[number] if number < len(ids) else None
        way, match = Way(hits.way[n]).name.lower(), int(hits.match[n])
        found[int(hits.row[n])].add((name, way, match))
    events = list(gate.store.every_event(upto=gate.store.head().index))
    state = fold(events, gate.now())
    erased = {event.subject for event in events if event.body is None}
    items = reading(source.table.path, mapping)
    expected = {n: twin.hits(query, item, state, erased) for n, item in enumerate(items)}
    assert dict(found) == {n: hit for n, hit in expected.items() if hit}, query
    members = {name for name, each in state.subjects.items() if each.member} | erased
    sure = {(n, name, way) for n, hit in expected.items() for name, way, m in hit if m == twin.YES}
    count = matching.count(hits)
    assert count.items == len({n for n, *_ in sure})
    assert count.people == len({name for _, name, _ in sure} & members)
    assert count.sent == len({name for _, name, way in sure if way == "sent"} & members)
    assert count.unclear == sum(bool(hit) for hit in expected.values()) - count.items
    gate.close()
    return [match for hit in expected.values() for _, _, match in hit]


def compare_all(seeds, tmp_path):
    """Compare many worlds; what is of the class, and what may be, are both there."""
    seen = []
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        seen += compare(seed, folder)
    assert {twin.MAYBE, twin.YES} <= set(seen)


def test_the_query_agrees_with_a_loop_over_items(tmp_path):
    """On random worlds, tables and queries, everybody in every item gets the loop's answer."""
    compare_all(FAST, tmp_path)


@pytest.mark.slow
def test_so_it_does_on_many_worlds(tmp_path):
    """The same on many more."""
    compare_all(SLOW, tmp_path)


# ── what went ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build two releases of one table, a day apart."""
    folder = tmp_path_factory.mktemp("exposure") / "w"
    gate = workspace(folder)
    gate.build(PURPOSE, RECIPIENT)
    gate.close()
    gate = Gate(folder, now=NOW + 86_400_000_000)
    gate.build(PURPOSE, RECIPIENT)
    yield gate
    gate.close()


def released(gate, release):
    """Return the messages that went, by the ids of those that stayed."""
    path = gate.folder / "releases" / release / manifest.PRIVATE / manifest.WITHHELD
    stayed = set(pq.read_table(path).column("item").to_pylist())
    return [row for row in messages() if row["id"] not in stayed]


def test_a_release_is_counted_as_its_rows_are(built):
    """Items and people of a class in each release are those of a loop over what was released."""
    query = ClassQuery("message.*", jurisdictions=("US",))
    found = built.find_class(query)
    assert len(found.releases) == 2
    assert not found.untold
    for release in found.releases:
        rows = [r for r in released(built, release) if r["kind"].startswith("message.")]
        people = {name for r in rows for name in (r["sender"], *r["receivers"])}
        assert found.count_of(release).items == len(rows) > 0
        assert found.count_of(release).people == len(people & set(MEMBERS))
    assert found.count_of("0" * 16).items == 0


def test_an_item_in_two_releases_counts_once(built):
    """The recipient's total is of items, not of copies; the day and class lines add up to it."""
    found = built.exposure(ClassQuery("message.*"), per_head=1000)
    (exposed,) = found.exposed
    assert [count.items for _, _, count in exposed.disclosed] == [exposed.count.items] * 2
    assert sum(line.items for line in exposed.lines) == exposed.count.items
    assert {line.data_class for line in exposed.lines} == {"message.direct", "message.group"}
    assert found.amount == 1000 * exposed.count.people > 0
    assert found.record()["arithmetic"]["note"] == ARITHMETIC


def test_a_query_is_narrowed_by_date_and_recipient(built):
    """What was sealed later, or went to another, does not count; an unknown name is refused."""
    first = built.lineage().releases[built.find_class(ClassQuery()).releases[1]].versions[0].time
    assert len(built.find_class(ClassQuery(disclosed_before=first)).within) == 1
    assert not built.find_class(ClassQuery(recipients=("own",))).within
    assert len(built.find_class(ClassQuery(recipients=("third_party",))).within) == 2
    with pytest.raises(UsageError, match="nobody is registered as recipient 'nobody'"):
        built.find_class(ClassQuery(recipients=("nobody",)))


def test_nobody_is_found_where_the_region_never_went(built):
    """The gate let nothing of that region go, so nothing of it is in a release."""
    found = built.exposure(ClassQuery(jurisdictions=("DE",)), per_head=1000)
    assert (found.count.items, found.count.people, found.amount) == (0, 0, 0)
    table = built.folder.with_suffix(".parquet")
    there = built.exposure_of(table, columns(MAPPING), ClassQuery(jurisdictions=("DE",)))
    assert there.count.people == 1
    assert set(there.rows.filter(there.rows.column("certain")).column("subject").to_pylist()) == {
        GERMAN
    }


def test_an_order_is_read_as_a_query(built):
    """An order's open ends stand for anything, and it reaches whoever is quoted too."""
    body = {
        "data_class": "message.*", "jurisdictions": [], "contracts": [], "recipients": [],
        "from": None, "to": NOW, "disclosed_before": None,
    }  # fmt: skip
    query = ClassQuery.of(body)
    assert query == ClassQuery("message.*", made_before=NOW, ways=EVERY_WAY)
    assert query.record()["made_before"] == text_of(NOW)
    assert len(built.find_class(query).releases) == 2


def test_what_cannot_be_told_is_said(built, tmp_path):
    """Where the list of what stayed is another, or the table changed, no figure is made up."""
    built.store.head()
    folder = tmp_path / "w"
    shutil.copytree(built.folder, folder)
    copied = Gate(folder, now=NOW + 86_400_000_000)
    one, two = copied.find_class(ClassQuery()).releases
    path = folder / "releases" / one / manifest.PRIVATE / manifest.WITHHELD
    path.write_bytes(path.read_bytes() + b" ")
    shutil.rmtree(folder / "releases" / two)
    found = copied.find_class(ClassQuery())
    assert not found.releases
    assert "SHA-256 differs" in found.untold[one]
    assert "missing" in found.untold[two]
    copied.close()


@pytest.fixture
def later(built, tmp_path):
    """Yield a copy of the workspace, two days after the second release."""
    folder = shutil.copytree(built.folder, tmp_path / "w")
    with closing(Gate(folder, now=NOW + 3 * DAY)) as gate:
        yield gate


@pytest.mark.parametrize("gone", [(), MEMBERS])
def test_an_order_reaches_what_may_be_of_the_class(later, gone):
    """A loop over what went says the same: whoever was erased makes no order smaller."""
    for name in gone:
        later.erase(name)
    (source,) = later.sources()
    items = {item.id: item for item in reading(source.table.path, columns())}
    events = list(later.store.every_event(upto=later.store.head().index))
    state = fold(events, later.now())
    erased = {event.subject for event in events if event.body is None}
    assert erased >= set(gone)
    counts = []
    for query in (
        ClassQuery("message.*", jurisdictions=("US",), ways=EVERY_WAY),
        ClassQuery("message.*", contracts=("premium",), ways=EVERY_WAY),
        ClassQuery("message.*", jurisdictions=("FR",), ways=EVERY_WAY),
        ClassQuery("telemetry.driving", ways=EVERY_WAY),
        ClassQuery("post.public", made_before=BEGINNING + 1, ways=EVERY_WAY),
    ):
        found = later.find_class(query)
        assert set(found.releases) == {
            name
            for name in found.within
            if twin.reaches(
                query, (items[row["id"]] for row in released(later, name)), state, erased
            )
        }
        counts += [found.count_of(name) for name in found.releases]
    assert [each.items for each in counts if each.unclear] == ([0] * 6 if gone else [])


def test_an_order_says_how_many_items_surely_and_how_many_may_be(later, tmp_path, capsys):
    """In text and JSON: reached, with what is owed, although nothing is known of whose they are."""
    for name in MEMBERS:
        later.erase(name)
    (tmp_path / "order").write_text("Delete it.")
    words = ["disgorge", "--order", "1", "--text", tmp_path / "order", "--class", "message.*"]
    words += ["--region", "US", "-w", later.folder, "--dry-run"]
    code, text = run(capsys, *words)
    assert code == 0
    assert "0 items of the class, 0 people; 50 items may" in text
    assert "may be of the class, and count as reached" in text
    found = json.loads(run(capsys, *words, "--json")[1])
    assert len(found["releases"]) == 2
    for each in found["releases"]:
        assert (each["items"], each["people"], each["untold"]) == (0, 0, None)
        assert each["items_that_may_be"] > 0
        assert each["people_who_may_be"] == len(YES)


def test_an_order_says_which_hold_stops_the_class_from_now_on(later, tmp_path, capsys):
    """An order reaches what was released; the command that it prints stops the next build."""
    (tmp_path / "order").write_text("Delete it.")
    words = ["--order", "A v. B", "--text", tmp_path / "order", "--class", "post.*"]
    words += ["--region", "US", "-r", RECIPIENT, "--from", "2024-01-02", "-w", later.folder]
    code, text = run(capsys, "disgorge", *words, "--dry-run")
    assert code == 0
    (line,) = [line for line in text.splitlines() if "letterlock hold set" in line]
    assert line == (
        "  letterlock hold set 'A v. B' --data-class 'post.*' --region US --recipient maker "
        "--from 2024-01-02 --order 'A v. B'"
    )
    code, out = run(capsys, "disgorge", *words, "--dry-run", "--json")
    assert json.loads(out)["hold"] == line.strip()
    code, _ = run(capsys, *shlex.split(line)[1:], "-w", later.folder)
    assert code == 0
    third = later.build(PURPOSE, RECIPIENT).release
    assert third not in later.find_class(ClassQuery("post.*", jurisdictions=("US",))).releases


# ── a table registered anew ───────────────────────────────────────────────────────────────────


def grown(gate, path, *, rows=150):
    """Register a table anew that has other rows first, and all the items of before."""
    more = [{**row, "id": f"more-{row['id']}"} for row in messages(rows)]
    gate.add_table("mail", table_of(path, [*more, *messages()]), columns())


def test_what_went_is_told_by_the_index_it_was_made_by(later, tmp_path):
    """Another table has the name by now: the counts stay, and an order for another class ends."""
    query = ClassQuery("post.public")
    before = later.exposure(query).record()
    assert before["items"] > 0
    grown(later, tmp_path / "new.parquet")
    after = later.exposure(query)
    assert after.record() == before
    names = after.rows.column("item").to_pylist()
    assert names
    assert all(name.startswith("item-") for name in names)
    found = later.find_class(ClassQuery("telemetry.driving", ways=EVERY_WAY))
    assert (found.releases, found.untold) == ((), {})


def test_an_item_in_two_tables_of_one_name_counts_once(later, tmp_path):
    """A release of the table as it grew holds the items of before, and more: told apart by id."""
    query = ClassQuery("post.public")
    before = later.exposure(query)
    grown(later, tmp_path / "new.parquet")
    third = later.build(PURPOSE, RECIPIENT).release
    found = later.exposure(query)
    (exposed,) = found.exposed
    certain = found.rows.filter(found.rows["certain"])
    assert exposed.count.items == found.count.items == len(set(certain["item"].to_pylist()))
    assert found.count.items == later.find_class(query).count_of(third).items
    assert found.count.items > before.count.items
    assert sum(line.items for line in exposed.lines) == exposed.count.items
    assert {line.data_class for line in exposed.lines} == {"post.public"}


def test_where_the_table_is_gone_its_items_go_by_their_keys(later, tmp_path):
    """The counts need the index alone; the private list then has keys for the ids."""
    query = ClassQuery("post.public")
    before = later.exposure(query)
    path = tmp_path / "mine.parquet"
    shutil.copy(later.sources()[0].table.path, path)
    source = later.folder / "index" / "mail" / "source.json"
    record = json.loads(source.read_bytes())
    source.write_text(json.dumps(record | {"path": str(path)}))
    table_of(path, messages(10))
    after = later.exposure(query)
    assert after.record() == before.record()
    keys = set(after.rows.column("item").to_pylist())
    assert len(keys) == len(set(before.rows.column("item").to_pylist()))
    assert all(re.fullmatch("#[0-9a-f]{16}", key) for key in keys)


def test_a_release_whose_index_is_gone_is_not_said_not_to_exist(later, tmp_path, capsys):
    """It may hold such items: an order reaches it, and says so; the exposure names it."""
    shutil.rmtree(later.folder / "index" / "mail")
    found = later.find_class(ClassQuery("post.public"))
    assert not found.releases
    assert len(found.untold) == 2
    assert all("the index of source mail is gone" in why for why in found.untold.values())
    words = ["--class", "post.public", "-w", later.folder]
    code, text = run(capsys, "exposure", *words)
    assert code == 0
    assert "no release was sealed" not in text
    assert text.count("cannot be told") >= 2
    (tmp_path / "order").write_text("Delete it.")
    words += ["--order", "1", "--text", tmp_path / "order", "--dry-run"]
    code, text = run(capsys, "disgorge", *words)
    assert code == 0
    assert text.count("may hold such items, and counts as reached: ") == 2


# ── whom to tell ──────────────────────────────────────────────────────────────────────────────


def test_the_private_list_says_whom_to_tell(built, tmp_path):
    """Its people and items are those counted; the record names nobody."""
    found = built.exposure(ClassQuery("message.*", jurisdictions=("US",)))
    write(found, tmp_path / "out")
    record = json.loads((tmp_path / "out" / MANIFEST).read_bytes())
    people = pq.read_table(tmp_path / "out" / SUBJECTS).to_pylist()
    rows = pq.read_table(tmp_path / "out" / ITEMS).to_pylist()
    sure = {each["subject"] for each in people if each["certain"]}
    assert len(sure & set(MEMBERS)) == found.count.people == record["people"]
    assert len({row["item"] for row in rows if row["certain"]}) == found.count.items
    assert not any(name in json.dumps(record) for name in MEMBERS)
    assert record["files"][SUBJECTS]["rows"] == len(people)
    with pytest.raises(WorkspaceError, match="is not empty"):
        write(found, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# ── the replayed case ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def demo(case):
    """Look at the case."""
    return case


def test_the_replayed_case_gives_the_figures_of_its_report(demo, capsys):
    """For the export as alleged, and for what passed the gate: the same as the replay's."""
    workspace, question = demo.out / "workspace", demo.world.question
    words = [
        "exposure", "--class", question.messages, "--contract", question.contract,
        "--before", "2024-09-18", "--recipient", question.recipient,
        "--per-head", question.dollars, "-w", workspace, "--json",
    ]  # fmt: skip
    table = ["--table", demo.out / "baseline", "--mapping", demo.out / MAPPING_NAME]
    code, out = run(capsys, *words, *table)
    alleged, found = demo.act_one.alleged, json.loads(out)
    assert code == 0
    assert alleged.people > 0
    assert (found["people"], found["sent"], found["received"]) == (
        alleged.people, alleged.sent, alleged.received
    )  # fmt: skip
    assert found["arithmetic"] == {
        "note": ARITHMETIC, "per_head": question.dollars, "amount": alleged.dollars
    }  # fmt: skip
    code, out = run(capsys, *words)
    found = json.loads(out)
    assert code == 0
    assert found["people"] == demo.act_one.gated.people
    assert [each["in"] for each in found["recipients"][0]["disclosed"]] == [
        f"release {demo.act_one.gated.release}"
    ]


def test_the_text_says_what_the_json_says(demo, capsys):
    """The same figures on the screen, and the amount marked as what it is."""
    words = ["exposure", "-w", demo.out / "workspace", "--class", "post.*", "--per-head", "7"]
    _, text = run(capsys, *words)
    _, out = run(capsys, *words, "--json")
    found = json.loads(out)
    assert f"{found['items']:,} items, {found['people']:,} members" in text
    amount = f"{found['people']:,} × 7 = {7 * found['people']:,}"
    assert f"{ARITHMETIC}: {amount}" in text
    code, _ = run(capsys, *words, "--table", demo.out / "baseline")
    assert code == 2


@pytest.mark.parametrize("words", [
    ("exposure",), ("disgorge", "--order", "1", "--text", __file__, "--dry-run"),
])  # fmt: skip
def test_a_place_that_nobody_lives_in_is_a_slip(demo, capsys, words):
    """An order for a misspelt place must not be answered with: nothing was reached."""
    code, _ = run(capsys, *words, "-w", demo.out / "workspace", "--region", "Texas")
    assert code == 2


def test_replay_and_exposure_ask_one_query(demo):
    """The complaint's class is written down once; a plain loop over the tables says the same."""
    query = class_of(demo.world)
    assert (query.data_class, query.contracts) == ("message.direct.inmail", ("premium",))
    gate = Gate(demo.out / "workspace")
    mapping = read_mapping((demo.out / MAPPING_NAME).read_bytes(), MAPPING_NAME)
    found = gate.exposure_of(demo.out / "baseline", mapping, query)
    members = {
        m["member"]: m for m in pq.read_table(demo.out / "world" / "members.parquet").to_pylist()
    }
    people = set()
    for row in pq.read_table(demo.out / "baseline" / "part-0.parquet").to_pylist():
        if row["data_class"] == "message.direct.inmail":
            for name in (row["author"], *row["recipients"]):
                start, end = (members[name][f"premium_{each}"] for each in ("from", "to"))
                if start and start <= row["created_at"] and (not end or row["created_at"] < end):
                    people.add(name)
    sure = found.rows.filter(found.rows.column("certain"))
    assert set(sure.column("subject").to_pylist()) == people
    assert found.count.people == len(people)
    gate.close()


def test_a_table_does_not_count_rows_twice(tmp_path):
    """A person who sent and received is one; an item with two of the class is one."""
    gate = workspace(tmp_path / "w")
    found = gate.exposure_of(
        tmp_path / "w.parquet", columns(MAPPING), ClassQuery(jurisdictions=("US",))
    )
    assert found.count.people < found.count.sent + found.count.received
    assert found.count.items <= len(messages())
    assert found.count.items == len(np.unique(found.rows.filter(found.rows["certain"])["item"]))
    gate.close()


def test_a_name_that_nothing_here_ever_had_is_refused(tmp_path):
    """A slip in a class or a contract is said to be one; what somebody ever had is known."""
    gate = workspace(tmp_path / "w")
    one = gate.store.subject_ids()[0]
    fact = {"subject": one, "kind": "contract", "value": "without terms", "from": "2020-01-01"}
    assert not gate.register_facts([Row(1, fact)]).refused
    gate.check_class(ClassQuery("message.*", ("without terms",)))
    with pytest.raises(UsageError, match=r"unknown contract 'with terms'; .*without terms"):
        gate.check_class(ClassQuery(contracts=("without terms", "with terms")))
    with pytest.raises(UsageError, match=r"unknown data class 'mesage\.\*'; there is: "):
        gate.check_class(ClassQuery("mesage.*"))
    gate.close()
