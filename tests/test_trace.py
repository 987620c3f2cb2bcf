"""The member's answer: held against plain loops, as text and JSON, and as one signed file."""

from __future__ import annotations

import io
import json
import shutil
import sys
import zipfile
from collections import Counter
from contextlib import closing

import pyarrow.parquet as pq
import pytest

from letterlock.cli import main
from letterlock.domain import DAY
from letterlock.errors import (
    InputError,
    LetterlockError,
    ProofError,
    SignatureError,
)
from letterlock.gate import Gate
from letterlock.gate.offline import check_evidence
from letterlock.gate.trace import TRACE
from letterlock.gate.workspace import POLICY
from letterlock.ledger import Draft
from letterlock.record import note as notes
from letterlock.release import manifest
from letterlock.reports import dossier
from letterlock.reports.trace import lines
from workspaces import (
    GERMAN,
    MEMBERS,
    NO,
    NOW,
    PURPOSE,
    RECIPIENT,
    SILENT,
    STRANGER,
    YES,
    columns,
    messages,
    refusal,
    rows_of,
    workspace,
)
from workspaces import (
    write as table_of,
)

LEAVER = YES[1]
ROLES = ("author", "recipient", "quoted")


def deliver(gate, release):
    """Record a hand-over of a release's newest version; returns its grant."""
    found = gate.lineage().releases[release]
    grant = f"{len(found.deliveries) + 1:032x}"
    gate.record_linked(
        Draft("release.delivered", {
            "release": release, "recipient": found.recipient, "purpose": found.purpose,
            "version": found.current.number, "manifest": found.current.manifest, "grant": grant,
            "key": "age1", "terms": "", "feed": "", "expires": NOW + 999 * DAY,
        })
    )  # fmt: skip
    return grant


def trained(gate, model, *sources):
    """Record a model."""
    gate.record_linked(
        Draft("model.trained", {
            "model": model, "name": f"model {model[0]}", "owner": RECIPIENT,
            "sources": list(sources), "files": 1, "bytes": 10, "note": "",
        })
    )  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Hand one release over, train on it, let somebody withdraw, supersede it; build another."""
    folder = tmp_path_factory.mktemp("trace") / "w"
    with closing(workspace(folder)) as gate:
        release = gate.build(PURPOSE, RECIPIENT).release
        deliver(gate, release)
        trained(gate, "a" * 64, {"release": release, "version": 0})
        trained(gate, "b" * 64, {"model": "a" * 64, "how": "fine-tune"})
        gate.publish_drops()
    shutil.copytree(folder, folder.with_name("before"))
    shutil.copy(folder.with_suffix(".parquet"), folder.with_name("before.parquet"))
    with closing(Gate(folder, now=NOW + DAY)) as gate:
        gate.trace(LEAVER)  # asked while her rows were there
        gate.load_choices(rows_of([refusal(LEAVER)]))
        gate.publish_drops()
        gate.supersede(release)
        deliver(gate, release)
        gate.publish_drops()
        gate.build(PURPOSE, RECIPIENT)
        gate.publish_log()
    return folder


@pytest.fixture
def gate(made, tmp_path):
    """Yield a copy of it, ten days later."""
    folder = shutil.copytree(made, tmp_path / "w")
    with closing(Gate(folder, now=NOW + 10 * DAY)) as gate:
        yield gate


def run(capsys, *words):
    """Run the program in this process; return its exit code and what it printed."""
    before, sys.argv = sys.argv, ["letterlock", *map(str, words)]
    try:
        with pytest.raises(SystemExit) as stopped:
            main()
    finally:
        sys.argv = before
    printed = capsys.readouterr()
    return stopped.value.code, printed.out + printed.err


# ── held against plain loops ──────────────────────────────────────────────────────────────────


def slow(gate, release, without=""):
    """Count, from what was withheld, everybody's rows of a release by class and role.

    Of a version that somebody was dropped from, the rows that do not name her.
    """
    path = gate.folder / "releases" / release.id / manifest.PRIVATE / manifest.WITHHELD
    stayed = set(pq.read_table(path).column("item").to_pylist())
    found = Counter()
    for row in messages():
        if row["id"] not in stayed:
            quoted = {quote["id"] for quote in row["quoted"]}
            if without in {row["sender"], *row["receivers"], *quoted}:
                continue
            for role, names in zip(
                ROLES, ({row["sender"]}, set(row["receivers"]), quoted), strict=True
            ):
                found.update((name, row["kind"], role) for name in names)
    return found


def rows_of_version(found, number):
    """Return what a trace says of somebody's rows in one version of a release."""
    return found.record()["versions"][number]["rows"]


def told(gate, release, number):
    """Return what the traces of everybody say of a version, as `slow` counts."""
    return Counter({
        (name, row["data_class"], row["role"]): row["rows"]
        for name in (*MEMBERS, STRANGER)
        for each in gate.trace(name).releases if each.release.id == release.id
        for row in rows_of_version(each, number)
    })  # fmt: skip


def test_every_version_is_counted_as_a_loop_counts_it(gate):
    """Of the version that was superseded too, by the index, though nobody asked while it was here.

    So it is of all versions when the rows are destroyed: what names people is kept, and the table
    may be another by then. Each is still proved to be, or not to be, in the release.
    """
    old = next(iter(gate.lineage().releases.values()))
    shutil.rmtree(gate.folder / TRACE)
    zero, one = slow(gate, old), slow(gate, old, without=LEAVER)
    assert sum(zero.values()) > sum(one.values()) > 0
    assert (told(gate, old, 0), told(gate, old, 1)) == (zero, one)
    for name in (LEAVER, YES[0]):
        proof = gate.member_proof(name, old.id)
        before = gate.trace(name).record()
        shutil.rmtree(gate.folder / TRACE)
        shutil.move(gate.folder / "releases" / old.id / manifest.OUTGOING / "data", gate.folder)
        assert gate.trace(name).record() == before
        assert gate.member_proof(name, old.id) == proof
        shutil.move(gate.folder / "data", gate.folder / "releases" / old.id / manifest.OUTGOING)
    shutil.rmtree(gate.folder / TRACE)
    shutil.rmtree(gate.folder / "releases" / old.id / manifest.OUTGOING / "data")
    gate.add_table("mail", table_of(gate.folder / "new.parquet", messages(10)), columns())
    assert (told(gate, old, 0), told(gate, old, 1)) == (zero, one)


def test_everybodys_rows_are_counted_as_a_loop_counts_them(gate):
    """Of everybody, in the release that is as it was sealed: each class and role, and no more."""
    newest = list(gate.lineage().releases.values())[-1]
    expected, seen = slow(gate, newest), 0
    for name in (*MEMBERS, STRANGER):
        mine = [each for each in gate.trace(name).releases if each.release.id == newest.id]
        rows = {
            (name, row["data_class"], row["role"]): row["rows"]
            for each in mine
            for row in rows_of_version(each, 0)
        }
        assert rows == {key: n for key, n in expected.items() if key[0] == name}
        seen += len(rows)
    assert seen == len(expected) > 0


def test_who_left_is_in_the_old_version_alone(gate):
    """Two releases, one superseded: she is in its first version, on its list, and in no other."""
    found = gate.trace(LEAVER)
    assert found.asked == 2
    (mine,) = found.releases
    assert [version.number for version in mine.release.versions] == [0, 1]
    assert [version.number for version in mine.versions] == [0]
    assert not mine.here
    assert mine.listed == 1
    assert [each.version for each in mine.deliveries] == [0]
    assert [each.model.digest[0] for each in mine.models] == ["a", "b"]
    assert mine.models[1].of == "a" * 64
    duties = {(owed.duty.duty, owed.state) for owed in mine.owed}
    assert {("drop", "met"), ("supersede", "met"), ("apply", "overdue")} <= duties
    assert {owed.duty.model for owed in mine.owed if owed.duty.duty == "forget"} == {
        "a" * 64, "b" * 64,
    }  # fmt: skip
    assert mine.held[0]
    assert rows_of_version(mine, 1) == []


def test_who_stayed_is_in_both(gate):
    """Somebody else is in every version and release, owed nothing, and in the models too."""
    found = gate.trace(YES[0])
    old, new = found.releases
    assert [version.number for version in old.versions] == [0, 1]
    assert [version.number for version in new.versions] == [0]
    assert (old.listed, old.owed) == (0, ())
    assert len(old.deliveries) == 2
    assert len(old.models) == 2
    assert new.models == ()


def test_rows_that_are_gone_are_not_guessed(gate):
    """Where nobody asked and the index is gone, her rows cannot be told; that she was in it can."""
    shutil.rmtree(gate.folder / TRACE)
    shutil.rmtree(gate.folder / "index" / "mail")
    (mine,) = gate.trace(LEAVER).releases
    assert mine.held == {0: None}
    assert rows_of_version(mine, 0) is None
    assert [version.number for version in mine.versions] == [0]
    assert "cannot be told any more" in "\n".join(lines(gate.trace(LEAVER).record()))


@pytest.mark.parametrize("name", [NO, SILENT, GERMAN, "nobody-we-know"])
def test_a_person_without_anything(gate, name):
    """Who is in no release is told so, known here or not."""
    found = gate.trace(name)
    assert found.releases == ()
    assert not found.untold
    text = "\n".join(lines(found.record()))
    assert "in 0 of 2 releases" in text
    assert ("nothing is recorded" in text) == (name == "nobody-we-know")


def test_an_erased_person_is_still_found(gate):
    """Her events are gone, her rows are not: the answer says both."""
    gate.erase(YES[0])
    found = gate.trace(YES[0])
    assert found.erased > 0
    assert found.choices == ()
    assert len(found.releases) == 2


@pytest.mark.parametrize("name", ["", " ", "\x1b[2J", "\u202enna", "a\0b", "é" * 20_000, "../w"])
def test_hostile_names_are_nobody(gate, name):
    """Whatever the name: an answer, in which no character steers a terminal."""
    text = "\n".join(lines(gate.trace(name).record()))
    assert "in 0 of 2 releases" in text
    assert all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize("name", ["\ud800", "é" * 40_000])
def test_what_is_no_account_id_is_refused(gate, name):
    """Half a character, and more than an id may hold."""
    with pytest.raises(InputError, match="Unicode"):
        gate.trace(name)


# ── the files it looks up ─────────────────────────────────────────────────────────────────────


def test_a_lookup_file_that_is_torn_is_made_anew(gate):
    """Cut, empty, of another version: each is made again, and the answer is the same."""
    before = gate.trace(YES[0]).record()
    for path in sorted((gate.folder / TRACE).iterdir()):
        data = path.read_bytes()
        for bad in (b"", data[:40], data[:-1], data + b"x", bytes(len(data))):
            path.write_bytes(bad)
            assert gate.trace(YES[0]).record() == before
        path.unlink()
    assert gate.trace(YES[0]).record() == before


def test_a_table_of_members_that_was_changed_is_not_believed(gate):
    """Nothing is said of a release whose table of members is another."""
    shutil.rmtree(gate.folder / TRACE)
    first, second = gate.lineage().releases
    path = gate.folder / "releases" / second / manifest.OUTGOING / manifest.MEMBERS
    path.write_bytes(path.read_bytes()[:-1])
    found = gate.trace(YES[0])
    assert [each.release.id for each in found.releases] == [first]
    assert "not the table that was sealed" in found.untold[second]
    assert f"release {second} cannot be told" in "\n".join(lines(found.record()))


# ── text, JSON and the signed file ────────────────────────────────────────────────────────────


def test_text_and_json_agree(gate, capsys):
    """Every release, version, delivery, model, list and duty of the JSON is in the text."""
    code, out = run(capsys, "trace", LEAVER, "-w", gate.folder, "--json")
    assert code == 0
    record = json.loads(out)
    code, text = run(capsys, "trace", LEAVER, "-w", gate.folder)
    assert code == 0
    assert text.splitlines() == list(lines(record))
    for each in record["releases"]:
        words = [each["release"], each["pseudonym"], each["recipient"], each["purpose"]]
        words += [d["grant"] for d in each["deliveries"]]
        words += [m["model"][:12] for m in each["models"]]
        words += [f"{o['obligation']} {o['state']}" for o in each["obligations"]]
        words += [
            f"{row['data_class']}: {row['rows']}" for of in each["versions"] for row in of["rows"]
        ]
        assert all(word in text for word in words)
    assert len(record["releases"][0]["obligations"]) >= 4


@pytest.fixture
def archive(gate, tmp_path):
    """Yield somebody's signed file, and the policy to check it by."""
    path = tmp_path / "hers.zip"
    path.write_bytes(gate.trace_bundle(gate.trace(LEAVER)))
    return path, gate.folder / POLICY


def test_the_signed_file_holds_and_says_what_it_shows(gate, archive, capsys):
    """A stranger checks it by the policy alone; each file in it holds by itself, too."""
    path, policy = archive
    code, out = run(capsys, "verify", path, "--policy", policy)
    assert code == 0, out
    assert "signed this answer to account bob" in " ".join(out.split())
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
        assert json.loads(file.read("trace.json")) == gate.trace(LEAVER).record()
        singles = []
        for name in names:
            if name.startswith(("member-", "receipt-")):
                singles.append(path.parent / name)
                singles[-1].write_bytes(file.read(name))
    assert sum(name.startswith("member-") for name in names) == 2
    assert sum(name.startswith("event-") for name in names) >= 4
    assert len(check_evidence(singles, policy)) == len(singles) >= 3


def changed(path, change):
    """Write an archive whose files are changed, as its author would write it."""
    with zipfile.ZipFile(path) as file:
        found = {name: file.read(name) for name in file.namelist()}
    change(found)
    path.write_bytes(dossier.pack(found))


def resign(gate, found, **change):
    """Make the index of changed files anew, as the platform could."""
    text = notes.parse(found[dossier.INDEX]).text
    label, origin, said, _ = text.split("\n")
    value = json.loads(said)
    files = [{"name": name, "bytes": len(data), "sha256": dossier.sha256(data)}
             for name, data in sorted(found.items()) if name != dossier.INDEX]  # fmt: skip
    value["files"] = files
    value |= change
    body = dossier.canonical(value).decode()
    signers = gate.plain_signers()
    found[dossier.INDEX] = notes.sign(f"{label}\n{origin}\n{body}\n", signers).encode()


def test_a_changed_file_is_refused(archive):
    """A byte of any file in it, one left out, one more, another order, a comment."""
    path, policy = archive
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        names = file.namelist()
    for name in names:
        changed(path, lambda found, name=name: found.update({name: found[name] + b" "}))
        with pytest.raises(LetterlockError):
            check_evidence([path], policy)
        path.write_bytes(whole)
        changed(path, lambda found, name=name: found.pop(name))
        with pytest.raises(LetterlockError):
            check_evidence([path], policy)
        path.write_bytes(whole)
    changed(path, lambda found: found.update({"member-00.json": b"{}"}))
    with pytest.raises(InputError, match="does not hold the files"):
        check_evidence([path], policy)
    for bad in (whole + b"x", whole[:-1], whole[:60]):
        path.write_bytes(bad)
        with pytest.raises(InputError):
            check_evidence([path], policy)


def test_a_compressed_archive_is_refused(archive):
    """Nothing is unpacked that is larger than what was handed over."""
    path, policy = archive
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("index", b"0" * 10_000_000)
    path.write_bytes(bomb.getvalue())
    with pytest.raises(InputError, match="compressed"):
        check_evidence([path], policy)


def test_another_keys_signature_is_refused(archive, tmp_path):
    """A policy of another log does not accept it."""
    path, _ = archive
    other = Gate.create(tmp_path / "other", simulated=True)
    other.close()
    with pytest.raises(SignatureError):
        check_evidence([path], tmp_path / "other" / POLICY)


def test_a_platform_that_signs_what_is_not_so_is_caught(gate, archive):
    """Its key signs an answer that leaves a release out, or is of another account: refused."""
    path, policy = archive
    whole = path.read_bytes()

    def without_her(found):
        record = json.loads(found["trace.json"])
        record["releases"][0]["versions"][-1]["names_her"] = True
        found.update(dossier.answer(record))
        resign(gate, found)

    def of_another(found):
        record = json.loads(found["trace.json"]) | {"subject": "ann"}
        found.update(dossier.answer(record))
        resign(gate, found, account="ann")

    def another_text(found):
        found["trace.txt"] = b"all is well\n"
        resign(gate, found)

    for change, why in (
        (without_her, "says otherwise of release"),
        (of_another, "not about this account"),
        (another_text, "does not say what"),
    ):
        changed(path, change)
        with pytest.raises(ProofError, match=why):
            check_evidence([path], policy)
        path.write_bytes(whole)


def test_nothing_is_bundled_before_anything_is_published(tmp_path):
    """Without a published log there is nothing to prove it by."""
    with (
        closing(workspace(tmp_path / "w")) as gate,
        pytest.raises(LetterlockError, match="publish"),
    ):
        gate.trace_bundle(gate.trace(YES[0]))


# ── what an erasure says of it ────────────────────────────────────────────────────────────────


def test_an_erasure_says_what_the_trace_says(gate):
    """Each release, copy and model of her trace is a place in the report; nothing is complete."""
    (mine,) = gate.trace(LEAVER).releases
    done = gate.erase(LEAVER)
    said = {place.where: place.outcome for place in done.places}
    assert not done.complete
    assert said[f"release {mine.release.id} here"] == "erased"
    copies = [p for p in done.places if p.where == f"release {mine.release.id} at {RECIPIENT}"]
    assert [place.outcome for place in copies] == ["left", "erased"]
    assert "list 1 names her" in copies[0].what
    assert "version 1, without her" in copies[1].what
    for learned in mine.models:
        assert said[f"model {learned.model.digest[:12]} at {RECIPIENT}"] == "left"


def test_who_stayed_is_left_in_both_releases(gate):
    """No list names her, so nothing that left is erased by erasing here."""
    found = gate.trace(YES[0])
    done = gate.erase(YES[0])
    outcomes = {p.outcome for p in done.places if p.where.startswith(("release", "model"))}
    assert outcomes == {"left"}
    for each in found.releases:
        assert any(p.where == f"release {each.release.id} here" for p in done.places)


def test_who_is_in_no_release_has_none_in_the_report(gate):
    """Nothing is said of releases; what this program cannot reach is listed all the same."""
    done = gate.erase(NO)
    assert not [p for p in done.places if p.where.startswith(("release", "model"))]
    assert not done.complete


def test_a_release_of_which_it_cannot_be_told_is_left(gate):
    """What could not be looked at is never complete."""
    shutil.rmtree(gate.folder / TRACE)
    _, second = gate.lineage().releases
    shutil.rmtree(gate.folder / "releases" / second)
    (place,) = [p for p in gate.erase(YES[0]).places if p.where == f"release {second}"]
    assert place.outcome == "left"
    assert "cannot be told" in place.what
