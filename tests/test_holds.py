"""Holds through the gate: a stop acts at once, on running builds too; what it reaches is listed.

The facts are those of the case and its parallels: a regulator in the United Kingdom whose stop was
confirmed on 20 September 2024, and an undertaking to erase what people in the European Union posted
from 7 May to 1 August 2024.
"""

from __future__ import annotations

import json
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from letterlock.cli import app
from letterlock.domain import DAY, Reason, sha256, text_of, time_of
from letterlock.errors import (
    ApprovalError,
    LedgerError,
    PolicyError,
    ReleaseError,
    UsageError,
    WorkspaceError,
)
from letterlock.gate import Gate
from letterlock.gate.policies import publishable
from letterlock.ledger import Draft, commitment
from letterlock.release import purge
from letterlock.sources.table import Table
from test_gate import events, finish, standing, start
from workspaces import (
    MINOR,
    POLICY,
    PURPOSE,
    RECIPIENT,
    approved,
    at,
    columns,
    folder_of,
    grant,
    introduce,
    member,
    publish,
    releases,
    rows_of,
    text_of_setting,
    write,
    yes,
)

MADE = time_of("2024-01-01")
JOINED = time_of("2024-01-05")
CHOSE = time_of("2024-01-10")
NOW = time_of("2024-09-20T09:00")
TABLE = b"jurisdictions = { US = 0, DE = 0 }"
PLACES = POLICY.replace(TABLE, b"jurisdictions = { US = 0, DE = 0, GB = 0, IE = 0, KR = 19 }")
HOMES = {"ann": "US", "bob": "US", "gail": "GB", "glen": "GB", "ines": "IE", "kim": "KR"}
ASKED = ["--purpose", PURPOSE, "--recipient", RECIPIENT]

POSTS = [
    # id, made, by whom, to whom, class
    ("us-1", "2024-02-01", "ann", ["bob"], "message.direct"),
    ("gb-1", "2024-03-01", "gail", [], "post.public"),
    ("gb-2", "2024-06-01", "ann", ["gail"], "message.direct"),
    ("gb-3", "2024-07-31", "glen", [], "post.public"),
    ("gb-4", "2024-08-01", "glen", [], "post.public"),
    ("ie-1", "2024-05-06", "ines", [], "post.public"),
    ("ie-2", "2024-05-07", "ines", [], "post.public"),
    ("ie-3", "2024-07-31", "ines", [], "post.public"),
    ("ie-4", "2024-08-01", "ines", [], "post.public"),
    ("ie-5", "2024-06-01", "bob", ["ann", "ines"], "message.direct"),
    ("us-2", "2024-06-01", "bob", [], "post.public"),
    ("who-1", "2024-06-01", "stranger", [], "post.public"),
]


def item(name: str, made: str, author: str, receivers: list[str], kind: str) -> dict[str, Any]:
    """Return a row of a table."""
    return {
        "id": name, "created_at": datetime.fromisoformat(made + "T00:00:00+00:00"),
        "sender": author, "receivers": receivers, "kind": kind, "quoted": [],
        "subject": "", "body": "words",
    }  # fmt: skip


def make(folder: Path, policy: bytes = PLACES, rows: Any = POSTS) -> Gate:
    """Make a workspace of people in several places, all of whom said yes to everything."""
    Gate.create(folder, simulated=True, now=MADE).close()
    at(folder, MADE, lambda gate: publish(gate, policy))
    people = [member(name, jurisdiction=place) for name, place in HOMES.items()]
    at(folder, JOINED, lambda gate: gate.register_subjects(rows_of(people)))
    at(folder, JOINED, introduce)
    text = at(folder, JOINED, text_of_setting)
    said = [row for name in HOMES for row in yes(name, text)]
    said = [row | {"time": text_of(CHOSE)} for row in said]
    at(folder, CHOSE, lambda gate: gate.load_choices(rows_of(said)))
    gate = Gate(folder, now=NOW)
    table = write(folder.with_suffix(".parquet"), [item(*row) for row in rows], group=5)
    gate.add_table("mail", table, columns())
    return gate


@pytest.fixture
def gate(tmp_path):
    """Give a workspace in which everything of people we know may go."""
    gate = make(tmp_path / "w")
    yield gate
    gate.close()


def held(gate: Gate) -> int:
    """Return how many items stay for a hold."""
    return gate.plan(PURPOSE, RECIPIENT).withheld.get(Reason.HOLD, 0)


def why(gate: Gate, name: str) -> Reason | None:
    """Return why an item stays; the command's answer is the plan's."""
    [(_, _, decision)] = gate.explain(name, PURPOSE, RECIPIENT)
    return decision.reason


def listed(folder: Path, name: str = purge.MATCHED) -> dict[str, str | None]:
    """Return the items of a purge list and who matched."""
    table = pq.read_table(folder / name)
    return dict(zip(table["item"].to_pylist(), table["role"].to_pylist(), strict=True))


def run(gate: Gate, *words: str, code: int = 0) -> str:
    """Run a command in the workspace; returns what it prints."""
    where = ["--workspace", str(gate.folder), "--now", text_of(gate.now())]
    done = CliRunner().invoke(app, ["hold", *words, *where], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return done.output


# ── a stop acts at once ───────────────────────────────────────────────────────────────────────


def test_r45_a_regional_stop_acts_at_once(gate):
    """The ICO's stop: whatever names somebody in the United Kingdom stays from that moment on."""
    assert gate.plan(PURPOSE, RECIPIENT).released == len(POSTS) - 1
    gate.set_hold("ico", regions=["UK"], purposes=["train.*"], order="ICO, 20 Sep 2024")
    assert held(gate) == 4
    assert {name for name, *_ in POSTS if why(gate, name) is Reason.HOLD} == {
        "gb-1", "gb-2", "gb-3", "gb-4",
    }  # fmt: skip
    assert gate.plan("infer", RECIPIENT).withheld.get(Reason.HOLD, 0) == 0
    built = gate.build(PURPOSE, RECIPIENT)
    assert built.record["counts"]["by_reason"]["hold"] == 4


@pytest.mark.parametrize(
    ("scope", "stopped"),
    [
        ({}, {name for name, *_ in POSTS} - {"who-1"}),
        ({"regions": ["EU"]}, {"ie-1", "ie-2", "ie-3", "ie-4", "ie-5"}),
        ({"regions": ["EEA", "GB"], "data_classes": ["message.*"]}, {"gb-2", "ie-5"}),
        ({"regions": ["US"], "start": time_of("2024-06-01")}, {"gb-2", "ie-5", "us-2"}),
        ({"recipients": ["third_party"], "end": time_of("2024-02-02")}, {"us-1"}),
        ({"recipients": ["own"]}, set()),
        ({"purposes": ["infer"]}, set()),
        (
            {
                "regions": ["IE"], "data_classes": ["post.public"],
                "start": time_of("2024-05-07"), "end": time_of("2024-08-01"),
            },
            {"ie-2", "ie-3"},
        ),
    ],
)  # fmt: skip
def test_a_stop_reaches_its_scope_and_nothing_else(scope, stopped, gate):
    """What is left out stands for anything; what is named narrows."""
    gate.set_hold("h", **scope)
    assert {name for name, *_ in POSTS if why(gate, name) is Reason.HOLD} == stopped
    assert held(gate) == len(stopped)


@pytest.mark.parametrize("moment", [pytest.param("judging 1", marks=pytest.mark.slow), "writing 1"])
def test_r45_a_stop_reaches_a_build_that_is_running(moment, gate):
    """Set by another process while a build stands still, it has acted when the build is sealed."""
    gate.close()
    build = standing(gate.folder, moment)
    command = ["hold", "set", "ico", "--region", "GB", "--now", text_of(NOW)]
    code, out, err = finish(start(gate.folder, *command))
    assert code == 0, err
    assert out.startswith("hold ico stands since 2024-09-20T09:00")
    build.send_signal(signal.SIGCONT)
    code, out, err = finish(build)
    assert code == 0, err
    [folder] = releases(gate.folder)
    counts = json.loads((folder / "outgoing" / "manifest.json").read_text())["counts"]
    assert folder.name == out.strip()
    assert counts["by_reason"]["hold"] == 4
    again = Gate(gate.folder, now=NOW)
    [sealed] = events(again, "release.sealed")
    [stop] = events(again, "hold.set")
    assert sealed.index > stop.index
    again.close()


def test_r45_no_moment_is_left_between_the_last_look_and_the_seal(gate):
    """Set after the head was read for sealing, a hold moves the head: the build looks again."""
    plain, late, attempts = gate.store, [], []

    class Store:
        def __getattr__(self, name):
            return getattr(plain, name)

        def head(self):
            found = plain.head()
            if late:
                late.pop()
                at(gate.folder, NOW, lambda other: other.set_hold("ico", regions=["GB"]))
            return found

    def progress(what: str, done: int, total: int) -> None:
        if what == "writing" and done == total:
            attempts.append(what)
            late.extend(attempts if len(attempts) == 1 else ())

    gate.store = Store()
    built = gate.build(PURPOSE, RECIPIENT, progress=progress)
    gate.store = plain
    assert built.record["counts"]["by_reason"]["hold"] == 4
    assert [e.kind for e in events(gate, "release.opened") + events(gate, "release.sealed")] == [
        "release.opened", "release.opened", "release.sealed",
    ]  # fmt: skip


def test_a_stop_that_reaches_nothing_of_a_running_build_lets_it_end(gate):
    """A build is judged again against a hold, and sealed if nothing in it is stopped."""
    gate.close()
    build = standing(gate.folder, "writing 1")
    finish(start(gate.folder, "hold", "set", "h", "--recipient", "own", "--now", text_of(NOW)))
    build.send_signal(signal.SIGCONT)
    assert finish(build)[0] == 0
    again = Gate(gate.folder, now=NOW)
    assert len(events(again, "release.opened")) == 1
    again.close()


def test_a_build_as_of_yesterday_gets_around_no_hold(gate):
    """What was asked as of before the stop is judged against it before it is sealed."""
    gate.set_hold("ico", regions=["GB"])
    assert gate.plan(PURPOSE, RECIPIENT, as_of=NOW - DAY).released == len(POSTS) - 1
    with pytest.raises(ReleaseError, match="nothing was sealed"):
        gate.build(PURPOSE, RECIPIENT, as_of=NOW - DAY)
    assert not releases(gate.folder)


# ── lifting ───────────────────────────────────────────────────────────────────────────────────


def test_a_hold_is_lifted_by_two_operators(gate):
    """One signature, or none, or two of another hold, lift nothing."""
    gate.set_hold("ico", regions=["GB"])
    gate.set_hold("other", regions=["IE"])
    both = approved("hold.lifted", hold="ico")
    for signatures in ([], both[:1], both[:1] * 2, approved("hold.lifted", hold="other")):
        with pytest.raises(ApprovalError):
            gate.lift_hold("ico", signatures)
    assert held(gate) == 9
    gate.lift_hold("ico", both)
    assert held(gate) == 5
    assert [h.lifted_by for h in gate.holds()] == [("ash", "birch"), ()]
    with pytest.raises(UsageError, match="was lifted on 2024-09-20"):
        gate.lift_hold("ico", both)


def test_r45_a_lock_is_never_lifted(gate, tmp_path):
    """Two signatures do not lift a lock: exit 1, with the sentence."""
    gate.set_hold("bound", regions=["IE"], lock=True)
    with pytest.raises(LedgerError, match="hold bound is locked: it can never be lifted"):
        gate.lift_hold("bound", approved("hold.lifted", hold="bound"))
    paths = []
    for signature in approved("hold.lifted", hold="bound"):
        paths.append(tmp_path / f"{signature.operator}.json")
        said = {"operator": signature.operator, "signature": signature.signature}
        paths[-1].write_text(json.dumps(said))
    signed = [word for path in paths for word in ("--signature", str(path))]
    code, _, err = finish(start(gate.folder, "hold", "lift", "bound", *signed))
    assert (code, err) == (1, "error: hold bound is locked: it can never be lifted\n")
    assert held(gate) == 5


def test_old_signatures_lift_no_new_hold(gate):
    """A name is used once: who signed the end of one hold did not sign the end of another."""
    gate.set_hold("ico", regions=["GB"])
    gate.lift_hold("ico", approved("hold.lifted", hold="ico"))
    with pytest.raises(UsageError, match="a name of its own"):
        gate.set_hold("ico", regions=["GB"])


# ── what is refused ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ({"regions": ["UKK"]}, "unknown region 'UKK'.* EEA, EU, UK; known here: DE, GB, IE, KR"),
        ({"regions": ["gb"]}, "unknown region 'gb'"),
        ({"regions": ["GB", "FR"]}, "nobody is known to live in FR.* there is: DE, GB, IE, KR, US"),
        ({"purposes": ["train.generativ"]}, "unknown purpose 'train.generativ'; there is: train."),
        ({"data_classes": ["mesage.*"]}, "there is: message.direct, message.group, post.public"),
        ({"recipients": ["makr"]}, "there is: maker, own, controller, affiliate, third_party"),
        ({"start": NOW, "end": NOW}, "is no period"),
        ({"start": NOW, "end": NOW - 1}, "is no period"),
    ],
)  # fmt: skip
def test_a_hold_that_would_stop_nothing_is_refused(scope, said, gate):
    """A misspelt word or an empty period is a usage error that says what there is."""
    with pytest.raises(UsageError, match=said):
        gate.set_hold("h", **scope)
    assert not gate.holds()


def test_a_stop_of_everything_needs_nothing_known(tmp_path):
    """Before anything is published or registered, all can be stopped."""
    Gate.create(tmp_path / "w", simulated=True, now=MADE).close()
    gate = Gate(tmp_path / "w", now=MADE)
    everything = {"purposes": ["*"], "data_classes": ["*"], "recipients": ["*"], "regions": ["*"]}
    assert gate.set_hold("a", **everything).clauses == gate.set_hold("b").clauses
    gate.close()


def test_a_place_that_somebody_lived_in_is_known(gate):
    """Where people are counts, whatever the regional table lists."""
    fact = {"subject": "ann", "kind": "jurisdiction", "value": "FR-75", "to": "2020-01-01"}
    gate.register_facts(rows_of([fact]))
    assert gate.set_hold("h", regions=["FR"]).clauses[0].jurisdictions == ("FR",)


def test_an_unknown_or_nameless_hold_is_a_usage_error(gate, tmp_path):
    """It says what there is; nothing is written."""
    with pytest.raises(UsageError, match="no hold 'h'; there is: none yet"):
        gate.lift_hold("h", [])
    with pytest.raises(UsageError, match="needs a name"):
        gate.set_hold(" ")
    gate.set_hold("ico")
    for verb in (gate.purge, gate.export_hold):
        with pytest.raises(UsageError, match="there is: ico"):
            verb("h", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ── the purge list ────────────────────────────────────────────────────────────────────────────

UNDERTAKING = {
    "regions": ["EU"], "data_classes": ["post.public"], "lock": True,
    "start": time_of("2024-05-07"), "end": time_of("2024-08-01"),
}  # fmt: skip


def test_r45_a_time_window_is_listed_for_erasure(gate, tmp_path):
    """Posts of people in the EU of 7 May to 1 August 2024: listed, and nothing erased."""
    table = tmp_path / "w.parquet"
    before = sha256(table.read_bytes())
    gate.set_hold("undertaking", **UNDERTAKING)
    record = gate.purge("undertaking", tmp_path / "out")
    assert listed(tmp_path / "out") == {"ie-2": "author", "ie-3": "author"}
    assert listed(tmp_path / "out", purge.UNCLEAR) == {"who-1": "author"}
    assert record["counts"] == {"items": len(POSTS), "matched": 2, "unclear": 1}
    assert record == json.loads((tmp_path / "out" / purge.NAME).read_text())
    for file in record["files"]:
        assert sha256((tmp_path / "out" / file["path"]).read_bytes()) == file["sha256"]
    assert "Nothing was erased" in record["note"]
    assert sha256(table.read_bytes()) == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_whoever_was_or_is_there_is_listed(gate, tmp_path):
    """Somebody who moved away is listed for then, somebody who moved in for all the period."""
    moved = [
        {"subject": "ines", "kind": "jurisdiction", "value": "US", "from": "2024-07-01"},
        {"subject": "bob", "kind": "jurisdiction", "value": "IE", "from": "2024-09-01"},
    ]
    gate.register_facts(rows_of(moved))
    gate.set_hold("undertaking", **UNDERTAKING)
    gate.purge("undertaking", tmp_path / "out")
    # ines's later facts displace earlier ones only from their recording on: both still count.
    assert set(listed(tmp_path / "out")) == {"ie-2", "ie-3", "us-2"}


def test_who_matched_is_the_first_role(gate, tmp_path):
    """The list says whose presence decides: author before recipient."""
    gate.set_hold("h", regions=["IE"], data_classes=["message.*"])
    gate.purge("h", tmp_path / "out")
    assert listed(tmp_path / "out") == {"ie-5": "recipient"}


def test_what_names_nobody_may_be_of_it(tmp_path):
    """Nobody is in it for whom the hold could match, so it is listed apart, without a role."""
    rows = [item(f"n{n}", "2024-06-01", "ann", [], "post.public") for n in range(2)]
    rows[1]["created_at"] = datetime.fromisoformat("2023-06-01T00:00:00+00:00")
    gate = make(tmp_path / "w")
    authors = MAPPED_ANEW.replace('"sender"', '"receivers"').replace("message.group", "post.public")
    gate.add_table("mail", write(tmp_path / "n.parquet", rows), columns(authors))
    gate.set_hold("undertaking", **UNDERTAKING)
    gate.purge("undertaking", tmp_path / "out")
    assert not listed(tmp_path / "out")
    assert listed(tmp_path / "out", purge.UNCLEAR) == {"n0": None}
    gate.close()


def test_a_quote_without_a_date_may_be_of_any_time_at_which_its_author_was_there(tmp_path):
    """Whoever lived there from 2010 to 2012 may be quoted from then, and from no other time."""
    quote = {"id": "ann", "data_class": "message.direct", "created_at": None}
    row = item("q", "2024-06-01", "bob", ["bob"], "message.direct") | {"quoted": [quote]}
    gate = make(tmp_path / "w")
    gate.add_table("mail", write(tmp_path / "q.parquet", [row]), columns())
    fact = {"subject": "ann", "kind": "jurisdiction", "value": "GB"}
    gate.register_facts(rows_of([fact | {"from": "2010-01-01", "to": "2012-01-01"}]))
    then, later = time_of("2011-01-01"), time_of("2024-01-01")
    gate.set_hold("then", regions=["GB"], end=then)
    gate.set_hold("later", regions=["GB"], start=later)
    gate.set_hold("ever", regions=["GB"])
    gate.set_hold("at home", regions=["US"], data_classes=["message.direct"])
    for name, counts in (("then", (0, 1)), ("later", (0, 0)), ("ever", (0, 1))):
        record = gate.purge(name, tmp_path / name)["counts"]
        assert (record["matched"], record["unclear"]) == counts, name
    assert gate.purge("at home", tmp_path / "home")["counts"]["matched"] == 1
    gate.close()


def test_an_erased_person_may_have_been_anywhere(gate, tmp_path):
    """Whose events were erased is nobody we know: what names her may be of it."""
    [event] = [e for e in events(gate, "subject.registered") if e.subject == "ines"]
    gate.store.erase(event.index, now=gate.now())
    gate.set_hold("undertaking", **UNDERTAKING)
    gate.purge("undertaking", tmp_path / "out")
    assert not listed(tmp_path / "out")
    assert set(listed(tmp_path / "out", purge.UNCLEAR)) == {"ie-2", "ie-3", "who-1"}


def test_items_that_name_nobody_or_cannot_be_read_may_be_of_it(tmp_path):
    """No id, no date, no class, nobody: each may be of it, unless what is known says no."""
    odd = [item(f"n{n}", "2024-06-01", "ines", [], "post.public") for n in range(6)]
    odd[0]["sender"] = None
    odd[1]["created_at"] = None
    odd[2]["kind"] = None
    odd[3]["id"] = None
    odd[4] |= {"created_at": None, "kind": "message.group"}
    odd[5] |= {"sender": "bob", "kind": None, "receivers": ["ann"]}
    gate = make(tmp_path / "w")
    table = write(tmp_path / "odd.parquet", odd, group=2)
    gate.add_table("odd", table, columns())
    gate.set_hold("undertaking", **UNDERTAKING)
    record = gate.purge("undertaking", tmp_path / "out")
    unclear = set(listed(tmp_path / "out", purge.UNCLEAR))
    assert unclear == {"n0", "n1", "n2", None, "who-1"}
    assert record["sources"]["odd"] == {"items": 6, "matched": 0, "unclear": 4, "by_role": {}}
    gate.close()


def test_releases_say_how_many_of_their_rows_are_of_it(gate, tmp_path):
    """A release is judged again as of its own T: who said no since was in it all the same."""
    built = gate.build(PURPOSE, RECIPIENT)
    other = gate.build("infer", RECIPIENT)
    gate.load_choices(rows_of([{"subject": "ines", "act": "withdraw", "time": text_of(NOW)}]))
    gate.set_hold("h", regions=["EU", "GB"], purposes=[PURPOSE])
    late = gate.build(PURPOSE, RECIPIENT)
    record = gate.purge("h", tmp_path / "out")
    said = [(r["release"], r["rows"], r["matched"], r["unclear"]) for r in record["releases"]]
    assert said == [(built.release, 11, 9, 0), (late.release, 2, 0, 0)]
    assert other.release not in str(record)


@pytest.mark.parametrize("change", ["rows", "mapping", "erased", "gone"])
def test_what_a_release_held_is_never_guessed(change, gate, tmp_path):
    """Of a source that is another one by now, or people who were erased, it cannot be told."""
    built = gate.build(PURPOSE, RECIPIENT)
    table, mapping = tmp_path / "w.parquet", columns()
    if change == "rows":
        write(table, [item(*row) for row in POSTS[:-1]])
        gate.add_table("mail", table, mapping)
    elif change == "mapping":
        gate.add_table("mail", table, columns(MAPPED_ANEW))
    else:
        [event] = [e for e in events(gate, "subject.registered") if e.subject == "ann"]
        gate.store.erase(event.index, now=gate.now())
    if change == "gone":
        (built.folder / "outgoing" / "manifest.json").unlink()
    gate.set_hold("h", regions=["GB"])
    record = gate.purge("h", tmp_path / "out")
    [told] = record["releases"]
    assert told["rows"] is told["matched"] is None
    assert told["why"].startswith("cannot be told: ")
    assert "cannot be told" in run(gate, "purge", "h", "--out", str(tmp_path / "again"))


MAPPED_ANEW = """\
[columns]
id = "id"
created_at = "created_at"
author = "sender"
payload = ["subject"]

[data_class]
value = "message.group"

[sensitive]
none = true

[quotes]
none = true
"""


def test_a_release_whose_manifest_is_gone_is_judged_again(gate, tmp_path):
    """Where nothing was erased since, its rows follow from the ledger and the source alone."""
    built = gate.build(PURPOSE, RECIPIENT)
    (built.folder / "outgoing" / "manifest.json").unlink()
    gate.set_hold("h", regions=["GB"])
    [told] = gate.purge("h", tmp_path / "out")["releases"]
    assert (told["rows"], told["matched"]) == (11, 4)


def test_a_list_takes_a_new_folder_and_leaves_none_half_done(gate, tmp_path, monkeypatch):
    """What is there stays as it is; a disk that refuses leaves nothing."""
    gate.set_hold("h")
    (tmp_path / "there").mkdir()
    for verb in (gate.purge, gate.export_hold):
        with pytest.raises(UsageError, match="is there already"):
            verb("h", tmp_path / "there")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(purge, "write_lists", full)
    with pytest.raises(WorkspaceError, match="no list was made"):
        gate.purge("h", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_only_ids_are_read(gate, tmp_path, monkeypatch):
    """The list is made from the index and the ids: no message is opened."""
    read: list[str] = []
    plain = Table.read

    def noting(self, group, wanted):
        read.extend(wanted)
        return plain(self, group, wanted)

    monkeypatch.setattr(Table, "read", noting)
    gate.set_hold("h", regions=["GB"])
    gate.purge("h", tmp_path / "out")
    assert set(read) == {"id"}


# ── for the regulator ─────────────────────────────────────────────────────────────────────────


def test_r45_a_regulator_is_shown_what_was_stopped(gate, tmp_path):
    """The export holds the order, its events, releases before and after, and what goes today."""
    before = gate.build(PURPOSE, RECIPIENT)
    gate.set_hold("ico", regions=["GB"], purposes=["train.*"], recipients=["maker"], order="ICO")
    after = gate.build(PURPOSE, RECIPIENT)
    gate.lift_hold("ico", approved("hold.lifted", hold="ico"))
    record = gate.export_hold("ico", tmp_path / "ico.json")
    assert record == json.loads((tmp_path / "ico.json").read_text())
    assert (record["hold"]["order"], record["hold"]["lifted_by"]) == ("ICO", ["ash", "birch"])
    sealed = [(r["release"], r["sealed"], r["counts"]["by_reason"]) for r in record["releases"]]
    assert sealed == [
        (before.release, "before", {"unknown_party": 1}),
        (after.release, "after", {"hold": 4, "unknown_party": 1}),
    ]
    kinds = [event["kind"] for event in record["events"]]
    assert kinds == ["region.published", "hold.set", "hold.lifted"]
    for event in record["events"]:
        salt, said = bytes.fromhex(event["salt"]), bytes.fromhex(event["canonical"])
        assert commitment(salt, said).hex() == event["commitment"]
        assert json.loads(said)["index"] == event["index"]
    [table] = record["regional_tables"]
    assert (table["ages"], table["clauses"]) == ({"GB": 0}, [])
    assert {(t["purpose"], t["recipient"]) for t in record["today"]} == {
        (purpose, "maker") for purpose in ("train.generative", "train.ranking", "train.safety")
    }


def test_while_it_stands_nothing_of_it_goes(gate, tmp_path):
    """A stop of everything: today's plan releases nothing, and the hold is why."""
    gate.set_hold("all")
    record = gate.export_hold("all", tmp_path / "all.json")
    assert len(record["today"]) == 12
    assert all(t["released"] == 0 and t["withheld"]["hold"] == 11 for t in record["today"])


def test_what_the_hold_reaches_does_not_go(gate, tmp_path):
    """Counted apart from the reasons: of what would go nothing is of it, until it is lifted."""
    gate.set_hold("ico", regions=["GB"], purposes=[PURPOSE], recipients=[RECIPIENT])
    [today] = gate.export_hold("ico", tmp_path / "a.json")["today"]
    assert (today["released"], today["reached"]) == (7, 0)
    gate.lift_hold("ico", approved("hold.lifted", hold="ico"))
    [today] = gate.export_hold("ico", tmp_path / "b.json")["today"]
    assert (today["released"], today["reached"]) == (11, 4)


def test_an_export_names_nobody(gate, tmp_path):
    """No account and no item stands in it, in bytes or in words."""
    gate.build(PURPOSE, RECIPIENT)
    gate.set_hold("ico", regions=["GB"])
    gate.export_hold("ico", tmp_path / "ico.json")
    text = (tmp_path / "ico.json").read_text()
    said = text + " ".join(
        bytes.fromhex(event["canonical"]).decode() for event in json.loads(text)["events"]
    )
    for name in (*HOMES, "stranger", *(name for name, *_ in POSTS)):
        assert f'"{name}"' not in said


def test_a_workspace_without_items_can_be_exported(tmp_path):
    """A stop may come before there is anything to stop."""
    folder = tmp_path / "w"
    Gate.create(folder, simulated=True, now=MADE).close()
    gate = Gate(folder, now=MADE)
    publish(gate, PLACES)
    gate.set_hold("ico", regions=["GB"])
    assert gate.export_hold("ico", tmp_path / "ico.json")["today"] == []
    gate.close()


# ── the command line ──────────────────────────────────────────────────────────────────────────


def test_the_day_a_regulator_calls(gate, tmp_path):
    """Set, list, purge and export, as commands: what each says."""
    said = run(
        gate, "set", "ico", "--region", "UK", "--purpose", "train.*", "--recipient", "third_party",
        "--data-class", "message.*", "--from", "2024-02-01", "--to", "2024-09-01",
        "--order", "ICO, 20 Sep 2024",
    )  # fmt: skip
    assert said == (
        "hold ico stands since 2024-09-20T09:00:00Z\n"
        "  by order of ICO, 20 Sep 2024\n"
        "  stops train.*, for third_party: message.* of people in the United Kingdom, made since "
        "2024-02-01 and before 2024-09-01\n"
        "  from now on nothing of this is released, by running builds neither\n"
    )
    assert run(gate, "list").splitlines() == said.splitlines()[:3]
    [held] = json.loads(run(gate, "list", "--json"))["holds"]
    assert (held["hold"], held["stands"], held["lock"]) == ("ico", True, False)
    out = run(gate, "purge", "ico", "--out", str(tmp_path / "list"))
    assert out.startswith("1 of 12 items are to be erased: ")
    assert "nothing was erased" in out
    out = run(gate, "export", "ico", "--out", str(tmp_path / "ico.json"))
    assert "sha256 " + sha256((tmp_path / "ico.json").read_bytes()) in out
    assert "10 of 12 items may go, 0 of them of the hold; 1 stay for it" in out
    assert json.loads(run(gate, "export", "ico", "--json", "--out", str(tmp_path / "b.json")))
    assert json.loads(run(gate, "purge", "ico", "--json", "--out", str(tmp_path / "b")))


def test_commands_that_are_off(gate):
    """An empty list says so; a misspelt region ends with 2, a bad date with 1."""
    assert run(gate, "list") == "no hold was ever set\n"
    for words, ends in ((["--region", "GBR"], 2), (["--from", "yesterday"], 1)):
        code, _, err = finish(start(gate.folder, "hold", "set", "h", *words))
        assert code == ends, err
    assert json.loads(run(gate, "set", "everything", "--lock", "--json"))["lock"] is True
    assert "locked since" in run(gate, "list")
    assert "stops any purpose, for anybody: anything of people anywhere, made at any time" in run(
        gate, "list"
    )


# ── the regional table over time ──────────────────────────────────────────────────────────────

EXCLUDED = b'jurisdictions = ["DE"]'


def later(version: str, excluded: str) -> bytes:
    """Return the policy's next version, with another list of excluded places."""
    policy = PLACES.replace(b'version = "1"', f'version = "{version}"'.encode())
    return policy.replace(EXCLUDED, f"jurisdictions = {excluded}".encode())


def test_r20_a_place_added_to_the_excluded_list_acts_at_once(gate):
    """The table of a new version counts from its publication, long before the version does."""
    assert why(gate, "gb-1") is None
    publish(gate, later("2", '["DE", "GB"]'))
    assert {name for name, *_ in POSTS if why(gate, name) is Reason.REGION} == {
        "gb-1", "gb-2", "gb-3", "gb-4",
    }  # fmt: skip
    assert gate.plan(PURPOSE, RECIPIENT).withheld[Reason.REGION] == 4
    assert gate.build(PURPOSE, RECIPIENT).record["counts"]["by_reason"]["region"] == 4


def test_r20_on_a_running_build_too(gate):
    """A place that is excluded while a build runs is not in it."""
    gate.close()
    build = standing(gate.folder, "writing 1")
    at(gate.folder, NOW, lambda gate: publish(gate, later("2", '["DE", "GB"]')))
    build.send_signal(signal.SIGCONT)
    assert finish(build)[0] == 0
    [folder] = releases(gate.folder)
    counts = json.loads((folder / "outgoing" / "manifest.json").read_text())["counts"]
    assert counts["by_reason"]["region"] == 4


def test_r21_an_exclusion_withdrawn_later_keeps_older_data_excluded(tmp_path):
    """What was made while a place was excluded stays for ever; what is made later may go."""
    folder = tmp_path / "w"
    before = PLACES.replace(EXCLUDED, b'jurisdictions = ["DE", "GB"]')
    gate = make(folder, before)
    assert why(gate, "gb-1") is Reason.REGION
    gate.close()
    at(folder, NOW, lambda gate: publish(gate, later("2", '["DE"]')))
    told = [Draft("notice.delivered", {"subject": name, "version": "2"}) for name in HOMES]
    at(folder, NOW, lambda gate: gate.record(told))
    gate = Gate(folder, now=NOW + 30 * DAY)
    fresh = item("gb-9", "2024-10-10", "glen", [], "post.public")
    table = write(tmp_path / "fresh.parquet", [fresh], group=5)
    gate.add_table("fresh", table, columns())
    assert why(gate, "gb-1") is why(gate, "gb-4") is Reason.REGION
    assert why(gate, "gb-9") is not Reason.REGION
    assert gate.plan(PURPOSE, RECIPIENT).withheld[Reason.REGION] == 4
    gate.close()


@pytest.mark.parametrize(
    ("place", "since", "stays"),
    [
        ("DE", "2024-09-01", {"us-1", "gb-2"}),  # now: whatever was made when
        ("DE", "2024-02-01", {"us-1", "gb-2"}),
        ("", "2024-09-01", {"us-1", "gb-2"}),  # not known
        ("DE", "2030-01-01", set()),
    ],
)
def test_r19_the_strictest_place_of_all_parties_counts(place, since, stays, gate):
    """Where somebody is now counts for the past, and an unknown place is excluded."""
    fact = {"subject": "ann", "kind": "jurisdiction", "from": since}
    gate.register_facts(rows_of([fact | ({"value": place} if place else {})]))
    names = ["us-1", "gb-2", "us-2", "ie-2"]
    assert {name for name in names if why(gate, name) is Reason.REGION} == stays


def test_r19_where_somebody_was_then_counts_too(tmp_path):
    """Whoever lived in an excluded place and moved away: what was made then stays."""
    gate = make(tmp_path / "w", later("1", '["DE", "GB"]'))
    fact = {"subject": "gail", "kind": "jurisdiction", "value": "US", "from": "2024-05-01"}
    gate.register_facts(rows_of([fact]))
    assert why(gate, "gb-1") is Reason.REGION  # made in March
    gate.close()


def test_r22_a_weaker_law_does_not_lower_the_floor(tmp_path):
    """A place whose table asks for nothing: no policy says so, and training still needs a yes."""
    lax = {"id": "lax", "level": "nothing", "jurisdictions": ["US"]}
    told = b'\n[[regions.clauses]]\nid = "lax"\nlevel = "nothing"\njurisdictions = ["US"]\n'
    with pytest.raises(PolicyError, match="R22"):
        publishable(folder_of(PLACES + told), "policy")
    gate = make(tmp_path / "w")
    ages = {"US": 0, "DE": 0, "GB": 0, "IE": 0, "KR": 19}
    gate.record([Draft("region.published", {"ages": ages, "clauses": [lax]})])
    gate.register_subjects(rows_of([member("sam", jurisdiction="US")]))
    quiet = [item("quiet", "2024-06-01", "sam", [], "post.public")]
    gate.add_table("quiet", write(tmp_path / "quiet.parquet", quiet, group=5), columns())
    assert why(gate, "us-2") is None
    assert why(gate, "quiet") in {Reason.NO_GRANT, Reason.NOT_FORESEEN_THEN}
    gate.close()


@pytest.mark.parametrize(("place", "stays"), [("US", False), ("KR", True)])
def test_a_minor_is_one_where_she_lives(place, stays, tmp_path):
    """Where the regional table sets a higher age, it counts, at the time of the data."""
    gate = make(tmp_path / "w")
    young = member(MINOR, jurisdiction=place, birth_year=2005)
    gate.register_subjects(rows_of([young]))
    text = text_of_setting(gate)
    gate.load_choices(rows_of([grant(MINOR, text, data_class="post.public", time=text_of(NOW),
                                     earlier=earlier) for earlier in (False, True)]))  # fmt: skip
    posts = [item("young", "2024-06-01", MINOR, [], "post.public")]
    gate.add_table("young", write(tmp_path / "young.parquet", posts, group=5), columns())
    assert (why(gate, "young") is Reason.MINOR) is stays
    gate.close()
