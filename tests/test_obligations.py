"""What is owed after a hand-over, as its people see it: by the command line, to the end."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

import companies
from commands import said, signed, told
from companies import Companies
from letterlock.domain import DAY, text_of
from letterlock.errors import GateClosed, InputError
from letterlock.gate import Gate
from letterlock.handover import reads
from letterlock.handover.reads import Read
from letterlock.inbox.models import unaccounted
from letterlock.ledger import Draft
from letterlock.lineage.certificate import Certificate, Place
from letterlock.lineage.digest import digest_of
from workspaces import NO, NOW, PURPOSE, RECIPIENT, YES, at, refusal, rows_of, withdraw

SOON, LATE = text_of(NOW + DAY), text_of(NOW + 100 * DAY)


@pytest.fixture(scope="module")
def handed(tmp_path_factory) -> Companies:
    """Hand a release over, and let its recipient tell of two models, one made of the other."""
    folder = tmp_path_factory.mktemp("handed")
    both = companies.found(folder)
    both.register()
    both.approve()
    gate = both.gate()
    made = gate.deliver(both.release, both.post)
    gate.close()
    said("receive", made.package, made.letter, "--policy", both.policy, "-i", both.inbox,
         "--now", companies.NOW)  # fmt: skip
    first = weights(folder / "base", b"first")
    second = weights(folder / "chat", b"second")
    at = ("-i", both.inbox, "--now", companies.NOW)
    said("model", "register", folder / "base", "--name", "base", "--from", both.release, *at)
    said("model", "register", folder / "chat", "--name", "chat", "--from-model",
         f"{first:.10}:fine-tune", *at)  # fmt: skip
    assert second in said("model", "list", "-i", both.inbox)
    acknowledged(both, "first", companies.NOW)
    return both


@pytest.fixture
def both(handed, tmp_path) -> Companies:
    """Return a copy of both companies."""
    shutil.copytree(handed.platform.parent, tmp_path / "copy")
    return Companies(tmp_path / "copy" / "platform", tmp_path / "copy" / "tern", handed.release)


def weights(folder: Path, data: bytes) -> str:
    """Write a model; returns its digest."""
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(data)
    return digest_of(folder).digest


def acknowledged(both: Companies, name: str, now: str, *options: object) -> None:
    """Countersign an inventory at the recipient, and acknowledge it at the platform."""
    out = both.inbox.parent / name
    said("inventory", both.release, "-i", both.inbox, "--out", out, "--now", now, *options)
    said("acknowledge", out, "-w", both.platform, "--now", now)


def certificate(folder: Path, model: str, owner: str = RECIPIENT, **change: str) -> Path:
    """Write a certificate of destruction."""
    place = Place("cluster", change.get("outcome", "erased"), "all nodes")
    found = Certificate(
        model, owner, "A. Keeper", "overwritten", int(change.get("time", NOW)), (place,),
        change.get("backups", "erased"),
    )  # fmt: skip
    path = folder / "certificate.json"
    path.write_bytes(found.encode())
    return path


def owed(both: Companies, now: str, *options: str, code: int = 0) -> dict[str, list[dict]]:
    """Return what is owed, by duty."""
    found: dict[str, list[dict]] = {}
    listed = told("obligations", *options, "-w", both.platform, "--now", now, code=code)
    for each in listed["obligations"]:
        found.setdefault(each["duty"], []).append(each)
    return found


def test_a_withdrawal_is_owed_by_everybody_and_ends_in_evidence(both, tmp_path):
    """List, version, countersigned copy, two certificates: each closes its own duty, late or not.

    What is overdue closes the gate for this purpose and recipient, and says so.
    """
    assert "nothing is owed" in said("obligations", "-w", both.platform)
    withdraw(both.platform, YES[0])
    said("drops", "publish", "-w", both.platform, "--now", SOON)
    found = owed(both, SOON)
    assert {duty: len(each) for duty, each in found.items()} == {
        "drop": 1, "supersede": 1, "apply": 1, "forget": 2,
    }  # fmt: skip
    assert [each["state"] for each in found["drop"]] == ["met"]
    assert {each["cause"] for each in found["forget"]} == {"withdrawal"}
    assert set(owed(both, SOON, "--open")) == {"supersede", "apply", "forget"}

    apply, models = found["apply"][0], [each["model"] for each in found["forget"]]
    explained = said("obligations", "explain", apply["obligation"], "-w", both.platform)
    for part in ("owed by    maker", "withdrawal", "withdrawn 1", "since", apply["due"]):
        assert part in explained
    assert f"letterlock apply-drops {both.release}" in explained

    assert "overdue" in said("obligations", "-w", both.platform, "--now", LATE, code=3)
    closed = said("build", "-p", PURPOSE, "-r", RECIPIENT, "-w", both.platform, "--now", LATE,
                  code=3)  # fmt: skip
    assert "the gate is closed for train.generative to maker" in closed
    assert "is overdue since" in closed

    said("supersede", both.release, "-w", both.platform, "--now", SOON)
    assert owed(both, SOON)["supersede"][0]["state"] == "met"
    feed = both.platform / "log" / "drops" / both.release
    said("apply-drops", both.release, "-i", both.inbox, "--feed", feed, "--now", SOON)
    acknowledged(both, "second", SOON)
    assert owed(both, SOON)["apply"][0]["state"] == "met"

    for model in models:
        path = certificate(tmp_path, model, backups="unsupported")
        said("model", "destroy", model, "--certificate", path, "-i", both.inbox, code=3)
    acknowledged(both, "partly", SOON)
    assert {each["state"] for each in owed(both, SOON)["forget"]} == {"open"}
    assert "destroyed in part" in said("model", "list", "-w", both.platform)
    for model in models:
        path = certificate(tmp_path, model)
        said("model", "destroy", model, "--certificate", path, "-i", both.inbox)
        refused = said("model", "destroy", model, "--certificate", path, "-w", both.platform,
                       code=2)  # fmt: skip
        assert "maker countersigns" in refused
    acknowledged(both, "wholly", SOON)
    assert owed(both, SOON, "--open") == {}
    blob = both.platform / "log" / "blobs"
    assert any(path.read_bytes() == certificate(tmp_path, models[0]).read_bytes()
               for path in blob.iterdir())  # fmt: skip
    said("obligations", "-w", both.platform, "--now", LATE)


def test_an_erasure_is_owed_until_two_operators_certify_all_of_it(both, tmp_path):
    """The duty does not say whose; the report says what each recipient holds, until it is gone."""
    erased = told("erase", YES[1], "-w", both.platform, "--now", SOON, code=3)
    places = {each["where"]: each for each in erased["places"]}
    at_recipient = f"release {both.release} at {RECIPIENT}"
    assert places[at_recipient]["what"].startswith("open")
    assert places[f"release {both.release} here"]["outcome"] == "left"
    name = erased["obligation"]
    explained = told("obligations", "explain", name, "-w", both.platform)
    assert (explained["duty"], explained["cause"]) == ("erase", "erasure")
    assert YES[1] not in json.dumps(explained)

    said("drops", "publish", "-w", both.platform, "--now", SOON)
    again = told("erase", YES[1], "-w", both.platform, "--now", SOON, code=3)
    places = {each["where"]: each for each in again["places"]}
    assert places[at_recipient]["what"].startswith("dropped")
    assert again["obligation"] is None
    feed = both.platform / "log" / "drops" / both.release
    said("apply-drops", both.release, "-i", both.inbox, "--feed", feed, "--now", SOON)
    acknowledged(both, "applied", SOON)
    again = told("erase", YES[1], "-w", both.platform, "--now", SOON, code=3)
    places = {each["where"]: each for each in again["places"]}
    assert places[at_recipient]["what"].startswith("applied")

    index = int(name.removeprefix("O-"))
    for outcome, code in (("left", 3), ("key destroyed", 0)):
        listed = [
            {"where": "item store", "outcome": "erased", "what": "rows deleted"},
            {"where": "backups", "outcome": outcome, "what": "the newest weekly one"},
        ]
        path = tmp_path / "places.json"
        path.write_text(json.dumps(listed))
        certify = ("obligations", "certify", name, "--places", path, "-w", both.platform,
                   "--now", SOON)  # fmt: skip
        assert "letterlock approve erasure.certified" in said(*certify, code=1)
        body = {"obligation": index, "places": listed, "complete": outcome != "left"}
        said(*certify, *signed(tmp_path, "erasure.certified", body), code=code)
        state = told("obligations", "explain", name, "-w", both.platform)["state"]
        assert state == ("open" if code else "met")


def test_a_person_in_no_release_leaves_no_place_in_one(both):
    """What is said of a release is said of people who are in it."""
    erased = told("erase", NO, "-w", both.platform, "--now", SOON, code=3)
    assert not [each for each in erased["places"] if each["where"].startswith("release")]


def test_an_order_deletes_the_models_of_a_class_and_what_came_of_them(both, tmp_path):
    """Shown first, signed by two, and open until the recipient has countersigned every end."""
    text = tmp_path / "order.txt"
    text.write_text("Delete every model trained on direct messages.\n")
    asked = ("disgorge", "--order", "25-cv-1", "--text", text, "--class", "message.direct",
             "--region", "US", "-r", RECIPIENT, "-w", both.platform, "--now", SOON)  # fmt: skip
    shown = told(*asked, "--dry-run")
    assert [each["release"] for each in shown["releases"]] == [both.release]
    assert shown["releases"][0]["items"] > 0
    assert [each["name"] for each in shown["destroy"]["models"]] == ["base", "chat"]
    assert [each["recipient"] for each in shown["destroy"]["copies"]] == [RECIPIENT]
    assert shown["notify"] == [RECIPIENT]
    assert shown["obligations"] == [] == owed(both, SOON).get("destroy", [])
    early = ("--disclosed-before", "2000-01-01", "--dry-run")
    assert "reaches nothing" in said(*asked, *early)

    query = {
        "data_class": "message.direct", "jurisdictions": ["US"], "contracts": [],
        "recipients": [RECIPIENT], "from": None, "to": None, "disclosed_before": None,
    }  # fmt: skip
    body = {"order": "25-cv-1", "text": text.read_text().strip(), "query": query}
    assert "letterlock approve order.received" in said(*asked, code=1)
    entered = said(*asked, *signed(tmp_path, "order.received", body))
    assert "to be destroyed:" in entered
    assert "maker, destroy, due" in entered
    found = owed(both, SOON)
    assert {each["order"] for each in found["destroy"] + found["erase"]} == {"25-cv-1"}
    assert len(found["destroy"]) == 3
    refused = said(*asked, *signed(tmp_path, "order.received", body), code=2)
    assert "recorded already" in refused

    for each in found["destroy"]:
        if each["model"]:
            path = certificate(tmp_path, each["model"])
            said("model", "destroy", each["model"], "--certificate", path, "-i", both.inbox)
    assert {each["state"] for each in owed(both, SOON)["destroy"]} == {"open"}
    acknowledged(both, "gone", SOON, "--destroyed")
    assert {each["state"] for each in owed(both, SOON)["destroy"]} == {"met"}
    assert "destroyed" in said("lineage", both.release, "-w", both.platform)


def test_a_model_that_is_told_late_is_owed_at_once(both, tmp_path):
    """Registered at the platform, of an older version than the newest list: its clock runs."""
    withdraw(both.platform, YES[0])
    said("drops", "publish", "-w", both.platform, "--now", SOON)
    weights(tmp_path / "late", b"late")
    register = ("model", "register", tmp_path / "late", "--name", "late", "-w", both.platform)
    made = told(*register, "--from", f"{both.release}@0", "--now", LATE)
    assert len(made["owed"]) == 1
    explained = told("obligations", "explain", made["owed"][0], "-w", both.platform)
    assert (explained["duty"], explained["cause"]) == ("forget", "withdrawal")
    said("obligations", "-w", both.platform, "--now", LATE, code=3)
    assert "registered already" in said(*register, "--from", both.release, code=2)


def test_what_a_model_came_of_has_to_be_known(both, tmp_path):
    """A misspelt release, model, way, version or owner registers nothing."""
    weights(tmp_path / "m", b"m")
    register = ("model", "register", tmp_path / "m", "--name", "m", "-w", both.platform)
    for options, why in (
        ((), "say what it came of"),
        (("--from", "0" * 16), "was sealed here"),
        (("--from", f"{both.release}@7"), "has no version '7'"),
        (("--from-model", "zz:fine-tune"), "no model of digest"),
        (("--from-model", "zz"), "write DIGEST:HOW"),
        (("--from", both.release, "--owner", "nobody"), "nobody is registered"),
    ):
        assert why in said(*register, *options, code=2)
    register = ("model", "register", tmp_path / "m", "--name", "m", "-i", both.inbox)
    assert "has received no release" in said(*register, "--from", "0" * 16, code=2)
    assert "say what it came of" in said(*register, code=2)
    assert len(told("model", "list", "-w", both.platform)["models"]) == 2


def test_the_lineage_is_told_drawn_and_written(both, tmp_path):
    """As a tree, as JSON, as a drawing that says in words what it shows, as run events."""
    tree = said("lineage", "-w", both.platform)
    assert f"release {both.release}: version 0" in tree
    assert "└─ copy at maker: version 0, countersigned" in tree
    assert "fine-tune: model chat: in use" in tree
    said("lineage", RECIPIENT, "--svg", tmp_path / "l.svg", "-w", both.platform)
    drawn = (tmp_path / "l.svg").read_text()
    for part in ("<title id=", "<desc id=", "fine-tune of base", "2 models"):
        assert part in drawn
    said("lineage", "--openlineage", tmp_path / "l.jsonl", "-w", both.platform)
    assert len((tmp_path / "l.jsonl").read_text().splitlines()) > 2
    assert "has a lineage here" in said("lineage", "nothing", "-w", both.platform, code=2)
    assert len(told("lineage", "-w", both.platform)["nodes"]) == 4


def test_places_that_cannot_be_read_certify_nothing(both, tmp_path):
    """No list, an unknown outcome, a duty of another kind, no such duty."""
    name = told("erase", YES[1], "-w", both.platform, "--now", SOON, code=3)["obligation"]
    index, path = int(name.removeprefix("O-")), tmp_path / "places.json"
    certify = ("obligations", "certify", name, "--places", path, "-w", both.platform)
    path.write_text('{"where": "x"}')
    assert "a list of places" in said(*certify, code=1)
    listed = [{"where": "x", "outcome": "gone", "what": ""}]
    path.write_text(json.dumps(listed))
    body = {"obligation": index, "places": listed, "complete": False}
    refused = said(*certify, *signed(tmp_path, "erasure.certified", body), code=1)
    assert "an outcome is one of" in refused
    for where in ("", " "):
        path.write_text(json.dumps([{"where": where, "outcome": "erased", "what": ""}]))
        assert "a place has a name" in said(*certify, code=1)
    assert "no obligation" in said("obligations", "explain", "O-x", "-w", both.platform, code=2)
    gate = Gate(both.platform, now=NOW + DAY)
    assert not gate.lineage().certified
    gate.close()


def test_the_graph_that_is_kept_is_the_graph_of_the_ledger(both):
    """After one's own events, somebody else's, and an event that is refused halfway."""
    one, other = (Gate(both.platform, now=NOW + DAY) for _ in range(2))
    with closing(one), closing(other):
        recalled = Draft("release.recalled", {"release": both.release, "order": "a mistake"})
        with pytest.raises(InputError, match="recalled already"):
            one.record_linked(recalled, recalled)
        assert one.lineage() == other.lineage()
        assert one.lineage().releases[both.release].recalled is None
        assert not one.obligations()
        other.record_linked(recalled)
        assert one.lineage() == other.lineage() == one.lineage(upto=one.store.head().index)
        assert one.lineage().releases[both.release].recalled is not None
        assert one.lineage(upto=one.store.head().index - 1).releases[both.release].recalled is None


def test_reads_that_no_model_accounts_for_are_named(both, tmp_path):
    """Until somebody says which model they went into; another one's run does not count."""
    for run in ("a" * 16, "b" * 16):
        reads.record(both.received, Read(NOW, run, "0/1", 1, PURPOSE, 0, 0, "done", 1, 10))
    assert unaccounted(both.received) == ["a" * 16, "b" * 16]
    weights(tmp_path / "m", b"m")
    said("model", "register", tmp_path / "m", "--name", "m", "--from", both.release,
         "--run", "b" * 16, "-i", both.inbox, "--now", SOON)  # fmt: skip
    assert unaccounted(both.received) == ["a" * 16]


def test_an_inbox_notes_nothing_that_does_not_fit(both, tmp_path):
    """A certificate of another model, one that is no JSON, a folder that is no inbox."""
    first, second = (each["model"] for each in told("model", "list", "-i", both.inbox)["models"])
    destroy = ("model", "destroy", first, "-i", both.inbox, "--certificate")
    assert "it is about model" in said(*destroy, certificate(tmp_path, second), code=1)
    other = certificate(tmp_path, first, owner="own")
    assert "of own" in said(*destroy, other, code=1)
    other.write_text("gone")
    assert "not JSON" in said(*destroy, other, code=1)
    assert not (both.received / "destroyed.jsonl").exists()
    assert "is no inbox" in said("model", "list", "-i", tmp_path, code=1)


def test_a_model_of_a_past_copy_can_still_be_destroyed(both, tmp_path):
    """Its release was destroyed and received anew: the model is there, until it is certified."""
    first = told("model", "list", "-i", both.inbox)["models"][0]["model"]
    acknowledged(both, "gone", companies.NOW, "--destroyed")
    gate = both.gate()
    made = gate.deliver(both.release, both.post)
    gate.close()
    said("receive", made.package, made.letter, "--policy", both.policy, "-i", both.inbox,
         "--now", companies.NOW)  # fmt: skip
    path = certificate(tmp_path, first)
    said("model", "destroy", first, "--certificate", path, "-i", both.inbox, "--now", SOON)
    acknowledged(both, "anew", SOON)
    states = {m["model"]: m["state"] for m in told("model", "list", "-w", both.platform)["models"]}
    assert states[first] == "destroyed"


def test_models_are_answered_for_after_their_copy_is_gone(both, tmp_path):
    """A recall: the copy is destroyed at once, its models later; both inventories are heard."""
    gate = both.gate()
    gate.recall(both.release, "a mistake")
    gate.close()
    acknowledged(both, "gone", SOON, "--destroyed")
    for each in told("model", "list", "-i", both.inbox)["models"]:
        path = certificate(tmp_path, each["model"])
        said("model", "destroy", each["model"], "--certificate", path, "-i", both.inbox)
    acknowledged(both, "models", SOON)
    assert set(owed(both, SOON, "--open")) == {"erase"}


def test_a_clock_that_is_set_back_opens_no_gate(both):
    """What the log has seen of time counts: what is overdue stays so, and duties are recorded."""
    withdraw(both.platform, YES[0])
    said("drops", "publish", "-w", both.platform, "--now", SOON)
    at(both.platform, NOW + 100 * DAY, lambda gate: gate.load_choices(rows_of([refusal(YES[1])])))
    with closing(Gate(both.platform, now=NOW + 2 * DAY)) as back:
        with pytest.raises(GateClosed, match="is overdue"):
            back.check_open(PURPOSE, RECIPIENT)
        assert {each.state for each in back.obligations()} == {"met", "overdue"}
        assert back.sweep()


def test_a_certificate_of_what_is_yet_to_be_done_shows_nothing(both, tmp_path):
    """Its recipient signed it, dated next year: refused, and the model is there."""
    first = told("model", "list", "-i", both.inbox)["models"][0]["model"]
    for time in (0, NOW - DAY, NOW + 365 * DAY):
        path = certificate(tmp_path, first, time=str(time))
        refused = said("model", "destroy", first, "--certificate", path, "-i", both.inbox,
                       "--now", SOON, code=1)  # fmt: skip
        assert "it says what was done, not what will be" in refused
    at_its_clock = text_of(NOW + 366 * DAY)
    said("model", "destroy", first, "--certificate", path, "-i", both.inbox, "--now", at_its_clock)
    out = tmp_path / "inventory"
    said("inventory", both.release, "-i", both.inbox, "--out", out, "--now", SOON)
    assert "not what will be" in said(
        "acknowledge", out, "-w", both.platform, "--now", SOON, code=1
    )
    states = {m["model"]: m["state"] for m in told("model", "list", "-w", both.platform)["models"]}
    assert states[first] != "destroyed"


def test_a_no_that_lies_unjudged_raises_the_alarm(both):
    """No sweep ran: every listing says so at once, and ends with exit 3 after fifteen minutes."""
    said("choose", YES[0], "withdraw", "-w", both.platform, "--now", SOON)
    minute = text_of(NOW + DAY + 60_000_000)
    waiting = f"not judged since {SOON}: run letterlock drops publish"
    platform = ("-w", both.platform, "--now")
    for words in (("obligations",), ("obligations", "--open"), ("drops", "list")):
        assert waiting in said(*words, *platform, SOON, code=0)
    assert "nothing is overdue" not in said("obligations", "--overdue", *platform, minute)
    assert waiting in said("obligations", "--overdue", *platform, LATE, code=3)
    listed = told("obligations", *platform, LATE, code=3)
    assert listed["unjudged"]["releases"] == [both.release]
    assert listed["unjudged"]["overdue"]
    assert "not judged yet: 1 event" in said("trace", YES[0], *platform, LATE)
    assert "not judged yet" not in said("trace", YES[1], *platform, LATE)
    assert "not judged yet" in said("report", "ropa", *platform, LATE)
    period = ("--from", "2024-05-01", "--to", "2024-12-01")
    assert told("report", "regulator", "US", *period, *platform, LATE)["unjudged"]["events"] == 1
    said("drops", "publish", *platform, LATE)
    assert told("obligations", *platform, LATE, code=3)["unjudged"] is None
    assert "met late by event" in said("obligations", *platform, LATE, code=3)
    (drop,) = owed(both, LATE, code=3)["drop"]
    assert "late: recorded" in said("obligations", "explain", drop["obligation"], *platform, LATE)


def test_nothing_is_certified_as_gone_while_it_lies_here(both, tmp_path):
    """The gate looks into its own folder; without the rows it keeps who was in them, for proofs."""
    with closing(both.gate()) as gate:
        gate.recall(both.release, "a mistake")
    (duty,) = owed(both, SOON)["erase"]
    places = [{"where": "releases/", "outcome": "erased", "what": "every row"}]
    path = tmp_path / "places.json"
    path.write_text(json.dumps(places))
    certify = ("obligations", "certify", duty["obligation"], "--places", path, "-w", both.platform,
               "--now", SOON)  # fmt: skip
    index = int(duty["obligation"].removeprefix("O-"))
    body = {"obligation": index, "places": places, "complete": True}
    signatures = signed(tmp_path, "erasure.certified", body)
    rows = both.platform / "releases" / both.release / "outgoing" / "data"
    assert "remove that folder first" in said(*certify, *signatures, code=2)
    assert owed(both, SOON)["erase"][0]["state"] == "open"
    shutil.rmtree(rows)
    met = said(*certify, *signatures)
    assert "nothing is left in releases/" in met
    assert "keeps who was in it" in met
    said("prove", "member", YES[0], both.release, "--out", tmp_path / "proof", "-w", both.platform)


def test_a_model_of_the_platform_is_not_destroyed_before_it_is_there(both, tmp_path):
    """Its files were there when it was registered; a certificate of 1970 is of something else."""
    model = weights(tmp_path / "ours", b"ours")
    said("model", "register", tmp_path / "ours", "--name", "ours", "--from", both.release,
         "--owner", "own", "-w", both.platform, "--now", SOON)  # fmt: skip
    destroy = ("model", "destroy", model, "-w", both.platform, "--now", LATE, "--certificate")
    for time in (0, NOW):
        path = certificate(tmp_path, model, owner="own", time=str(time))
        assert "its files were there then" in said(*destroy, path, code=1)
    said(*destroy, certificate(tmp_path, model, owner="own", time=str(NOW + 2 * DAY)))
