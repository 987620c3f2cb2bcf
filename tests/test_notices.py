"""Notices and settings over time: nothing is asked, and nothing takes effect, before it was said.

A setting is introduced after its policy and notice (R1); a version takes effect for each member
after her own notice and window (R11); an objector stays on the version before (R13).
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columnar import record
from letterlock.cli import main
from letterlock.domain import DAY, PolicyVersion, Reason, Signature, sha256, text_of, time_of
from letterlock.errors import InputError, LedgerError, PolicyError, UsageError, WorkspaceError
from letterlock.gate import Gate
from letterlock.gate.policies import document_of
from letterlock.ledger import Draft, fold
from letterlock.policy.decide import versions_at
from letterlock.policy.document import read as read_document
from letterlock.policy.notice import texts, without_marks
from letterlock.policy.texts import text_hash
from letterlock.release.reach import Reach
from workspaces import (
    CHOSE,
    JOINED,
    KEYS,
    NOW,
    POLICY,
    PUBLISHED,
    YES,
    approval,
    at,
    copy,
    folder_of,
    grant,
    live,
    member,
    members,
    people,
    publish,
    refusal,
    rows_of,
    text_of_setting,
    workspace,
    written,
)
from worlds import Maker

SECOND = time_of("2024-03-01")
SENT = SECOND + DAY
LATER = NOW + DAY

STRICT = (
    POLICY.replace(b'level = "grant"', b'level = "grant"\npurposes = ["train.*"]')
    + b'\n[[clauses]]\nid = "inference"\nlevel = "never"\npurposes = ["infer"]\n'
)
"""Version 1: nothing is used to answer questions."""
LOOSE = STRICT.replace(b'version = "1"', b'version = "2"').replace(
    b'id = "inference"\nlevel = "never"', b'id = "inference"\nlevel = "notice"'
)
"""Version 2: that takes a notice, no more."""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Give a workspace of two versions: everybody was shown the first when signing up."""
    folder = tmp_path_factory.mktemp("notices") / "w"
    people(folder, policy=STRICT).close()
    at(folder, SECOND, lambda gate: publish(gate, LOOSE))
    return folder


@pytest.fixture
def gate(start, tmp_path):
    """Give a copy of it, later."""
    gate = copy(Gate(start), tmp_path / "w")
    yield gate
    gate.close()


def delivery(subject, text, **more):
    """Return a row that says that a notice of version 2 was delivered."""
    return {
        "subject": subject, "version": "2", "time": text_of(SENT), "channel": "email",
        "message_id": f"<{subject}>", "text": text,
    } | more  # fmt: skip


def text_of_notice(gate, version="2"):
    """Return the hash of the notice's English text."""
    known = next(v for v in gate.rules().policies if v.version == version)
    return text_hash(texts(document_of(known), known)["en"])


def deliver(gate, *subjects):
    """Record that these people got the notice of version 2."""
    text = text_of_notice(gate)
    loaded = gate.import_notices(rows_of([delivery(s, text) for s in subjects]))
    assert (loaded.recorded, loaded.refused) == (len(subjects), [])


# ── exporting ─────────────────────────────────────────────────────────────────────────────────


def exported(folder):
    """Return every file of an export, by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_export_lists_whoever_is_yet_to_be_told(gate, tmp_path):
    """Everybody but those with a recorded notice of that very version, each once, in order."""
    deliver(gate, "bob", "ann")
    gate.register_subjects(rows_of([{"subject": "guest", "member": False}]))
    found = gate.export_notices("2", tmp_path / "out")
    listed = pq.read_table(tmp_path / "out" / "subjects.parquet").column("subject").to_pylist()
    everybody = {row["subject"] for row in members()}
    assert listed == sorted(everybody - {"ann", "bob"})
    assert found.members == len(listed)
    assert gate.export_notices("1", tmp_path / "first").members == 0


def test_an_export_has_the_whole_text_and_its_hash(gate, tmp_path):
    """The text says version, dates, window, how to object, and every setting word for word."""
    found = gate.export_notices("2", tmp_path / "out")
    record = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    text = (tmp_path / "out" / "notice.en.txt").read_bytes()
    assert record["texts"] == {"en": {"file": "notice.en.txt", "sha256": sha256(text)}}
    assert found.texts == {"en": sha256(text)}
    said = text.decode()
    for words in ("Version 2 of", "2024-03-01", "2024-03-02", "1 day after", "How to object"):
        assert words in said
    assert gate.text("genai", "en").strip() in said
    assert "Northmail Inc." in said
    subjects = (tmp_path / "out" / "subjects.parquet").read_bytes()
    assert record["subjects"]["sha256"] == sha256(subjects)
    assert (record["version"], record["window_days"]) == ("2", 1)


def test_the_same_ledger_gives_the_same_files(gate, tmp_path):
    """Exports at two times are equal byte by byte."""
    gate.export_notices("2", tmp_path / "one")
    later = Gate(gate.folder, now=LATER)
    (tmp_path / "two").mkdir()
    later.export_notices("2", tmp_path / "two")
    later.close()
    assert exported(tmp_path / "one") == exported(tmp_path / "two")


def test_an_export_overwrites_nothing(gate, tmp_path):
    """A folder with anything in it, or a file, is left as it is; nothing else remains."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for place in ("out", "file"):
        with pytest.raises(WorkspaceError, match="is not empty"):
            gate.export_notices("2", tmp_path / place)
    assert sorted(p.name for p in tmp_path.iterdir() if p.name[0] == ".") == []
    assert exported(tmp_path / "out") == {"mine": b"mine"}
    with pytest.raises(UsageError, match="no version '3' is published; there is: 1, 2"):
        gate.export_notices("3", tmp_path / "new")
    with pytest.raises(WorkspaceError, match="no notices were written"):
        gate.export_notices("2", tmp_path / "file" / "new")


def test_a_version_without_its_document_has_no_notice(gate, tmp_path):
    """What cannot be rendered is not sent, and so cannot have been delivered."""
    now = gate.now()
    body = {
        "version": "raw", "effective_at": now + DAY, "window": DAY, "clauses": [],
        "data_classes": ["post.public"],
    }  # fmt: skip
    gate.record([Draft("policy.published", body)])
    with pytest.raises(UsageError, match=r"without its policy\.toml"):
        gate.export_notices("raw", tmp_path / "out")
    row = delivery("ann", "a" * 64, version="raw", time=text_of(now))
    (refused,) = gate.import_notices(rows_of([row])).refused
    assert "is none of those to send" in refused.why


# ── the text ──────────────────────────────────────────────────────────────────────────────────

GERMAN = (
    POLICY.replace(b'\nen = "messages that', b'\nde = "Nachrichten"\nen = "messages that')
    .replace(b'\nen = "messages in', b'\nde = "Gruppen"\nen = "messages in')
    .replace(b'\nen = "your', '\nde = "Beiträge"\nen = "your'.encode())
    .replace(b'\nen = "train', b'\nde = "Modelle trainieren"\nen = "train')
    .replace(b'\nen = "answer', b'\nde = "Fragen beantworten"\nen = "answer')
)


def version_for(data, **documents):
    """Return a document and the version that it would be published as."""
    document = read_document({"policy.toml": data}, "policy")
    hashes = {
        (name, each): text_hash(document.text(name, each))
        for name in document.settings
        for each in document.languages or ()
    }
    version = PolicyVersion(
        document.version, 0, PUBLISHED, PUBLISHED + DAY, document.window, (), (),
        document.settings, hashes, documents=documents,
    )  # fmt: skip
    return document, version


def test_the_authors_words_come_first_in_each_language():
    """notice.md is English where there is English; what has no prose is the rendered part alone."""
    marked = "# New\n\nA yes first. <!-- states a-yes-first: grant -->\n"
    document, version = version_for(GERMAN, **{"notice.md": marked})
    found = texts(document, version)
    assert set(found) == {"de", "en"}
    assert found["en"].startswith("# New\n\nA yes first.\n\n---\n\nVersion 1 of the policy")
    assert found["de"].startswith("Version 1 der Richtlinie")
    assert document.text("genai", "de").strip() in found["de"]
    _, version = version_for(GERMAN, **{"notice.md": marked, "notice.de.md": "Neu\r\n"})
    assert texts(document, version)["de"].startswith("Neu\n\n---\n\nVersion 1 der")


def test_without_english_the_first_language_has_no_suffix():
    """A policy in German alone has its notice in notice.md."""
    lines = [line for line in GERMAN.splitlines() if not line.startswith(b"en = ")]
    document, version = version_for(b"\n".join(lines), **{"notice.md": "Neu"})
    assert list(texts(document, version)) == ["de"]
    assert texts(document, version)["de"].startswith("Neu\n\n---")


def test_marks_are_taken_out_wherever_they_stand():
    """At the end of a paragraph, on the line below, several of them, over several lines."""
    marked = (
        "One. <!-- informational -->\n<!-- states a: grant -->\n\n- Two\n  <!--\nb -->\n- Three"
    )
    assert without_marks(marked) == "One.\n\n- Two\n- Three"
    assert without_marks("") == ""


def test_a_policy_that_asks_nothing_says_so():
    """Without settings and words there is still a version, a window, and a way to object."""
    text = b'version = "0"\nlead_days = 1\nwindow_days = 2\n[regions]\njurisdictions = { US = 0 }\n'
    (found,) = texts(*version_for(text)).values()
    assert "Nothing is asked" in found
    assert "2 days" in found
    assert "Tell the sender" in found


def test_a_text_that_was_not_published_is_never_sent():
    """Words that would differ from the published ones are no notice."""
    document, version = version_for(POLICY)
    with pytest.raises(PolicyError, match="not the one that was published"):
        texts(document, replace(version, texts={("genai", "en"): "0" * 64}))


# ── importing ─────────────────────────────────────────────────────────────────────────────────


def test_a_delivery_is_recorded_once(gate):
    """Twice in a file, or imported again, it is the same notice."""
    text = text_of_notice(gate)
    rows = [delivery(s, text) for s in ("ann", "bob", "ann")]
    first = gate.import_notices(rows_of(rows))
    assert (first.recorded, first.already, first.refused) == (2, 1, [])
    head = gate.store.head()
    again = gate.import_notices(rows_of(rows))
    assert (again.recorded, again.already) == (0, 3)
    assert gate.store.head() == head
    assert gate.import_notices([]).recorded == 0
    events = gate.store.events(upto=head.index, subjects=["ann"])
    (evidence,) = (e.body["evidence"] for e in events if e.kind == "notice.delivered")
    assert evidence == {
        "time": SENT, "channel": "email", "message_id": "<ann>", "text": text, "language": "en",
    }  # fmt: skip


def test_a_delivery_to_nobody_we_know_is_refused(gate):
    """Strangers, known non-members and people of whom something was erased have no notice."""
    gate.register_subjects(rows_of([{"subject": "guest", "member": False}]))
    events = list(gate.store.events(upto=gate.store.head().index, subjects=["cem"]))
    said = [event.index for event in events if event.kind == "choice.made"]
    gate.store.erase(said[0], now=gate.now())
    text = text_of_notice(gate)
    names = ("ann", "nobody", "guest", "cem", "bob")
    loaded = gate.import_notices(rows_of([delivery(s, text) for s in names]))
    assert loaded.recorded == 2
    assert [(r.row, r.subject) for r in loaded.refused] == [(2, "nobody"), (3, "guest"), (4, "cem")]
    assert {r.why for r in loaded.refused} == {"is not a registered member"}


def test_the_text_of_another_version_is_refused(gate):
    """A notice of the first version does not deliver the second."""
    (refused,) = gate.import_notices(rows_of([delivery("ann", text_of_notice(gate, "1"))])).refused
    assert "is none of those to send for version 2" in refused.why


def test_a_late_import_backdates_nothing(gate):
    """Whatever the evidence says, the window runs from the time at which it is recorded."""
    deliver(gate, "ann")
    state = gate.state(["ann"])
    notice = state.subjects["ann"].notices[-1]
    assert (notice.version, notice.recorded_at, notice.at_registration) == ("2", NOW, False)
    by_version = {v.version: v for v in state.rules.policies}
    for t, version in ((NOW + DAY - 1, "1"), (NOW + DAY, "2")):
        assert versions_at(state.subjects["ann"], state.rules, t)[1] is by_version[version]


# ── objecting ─────────────────────────────────────────────────────────────────────────────────


def test_an_objector_stays_on_the_version_before(tmp_path):
    """R13: what only the second version allows goes of everybody but the objector, in a build too.

    Once she takes the objection back, her items of that time go as well.
    """
    posts = [
        {
            "id": f"post-{name}-{n}", "created_at": time_of(when), "sender": name, "receivers": [],
            "kind": "post.public", "quoted": [], "subject": "s", "body": "words",
        }
        for name in YES[:4]
        for n, when in enumerate(("2024-02-01", "2024-05-01"))
    ]  # fmt: skip
    gate = workspace(tmp_path / "w", posts, policy=STRICT)
    folder = gate.folder
    gate.close()

    def asked(now):
        return at(folder, now, lambda gate: gate.plan("infer", "own"))

    at(folder, SECOND, lambda gate: publish(gate, LOOSE))
    at(folder, SENT, lambda gate: deliver(gate, *YES[:3]))  # the fourth is never told
    assert at(folder, SENT, lambda gate: gate.object_to("bob", "2", channel="letter"))
    found = asked(NOW)
    assert found.released == 2
    # Before the second version nobody's may go; after it, the objector's and the untold one's stay.
    assert found.withheld[Reason.PROHIBITED_THEN] == 4 + 2
    built = at(folder, NOW, lambda gate: gate.build("infer", "own"))
    assert built.record["counts"]["released"] == 2

    assert at(folder, NOW + DAY, lambda gate: gate.take_objection_back("bob", "2"))
    posts = pq.read_table(tmp_path / "w.parquet").to_pylist()
    assert asked(NOW + DAY).released == 2  # what was made while the objection stood stays
    state = at(folder, NOW + DAY, lambda gate: gate.state(["bob"]))
    assert versions_at(state.subjects["bob"], state.rules, NOW + DAY)[1].version == "2"
    assert versions_at(state.subjects["bob"], state.rules, NOW)[1].version == "1"


def test_objecting_twice_is_once(gate):
    """The second time nothing is recorded; the same holds for taking it back."""
    assert gate.object_to("ann", "2")
    head = gate.store.head()
    assert not gate.object_to("ann", "2")
    assert not gate.take_objection_back("ann", "1")
    assert gate.store.head() == head
    assert gate.take_objection_back("ann", "2", channel="letter")
    assert not gate.take_objection_back("ann", "2")
    assert gate.object_to("ann", "2")
    assert gate.store.head().index == head.index + 2


def test_an_objection_names_somebody_and_something(gate):
    """An unknown person or version is an error, and nothing is recorded."""
    head = gate.store.head()
    for act in (gate.object_to, gate.take_objection_back):
        with pytest.raises(UsageError, match="no version 'x' is published"):
            act("ann", "x")
        with pytest.raises(InputError, match="nobody is registered as 'nobody'"):
            act("nobody", "2")
    assert gate.store.head() == head


# ── settings ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def fresh(tmp_path):
    """Give the folder of a workspace with nothing in it."""
    Gate.create(tmp_path / "w", simulated=True, now=PUBLISHED).close()
    return tmp_path / "w"


def introduce(gate):
    """Introduce the setting."""
    return gate.introduce("genai")


def test_a_setting_is_introduced_after_its_policy_and_its_notice(fresh):
    """R1: refused before the policy, before a delivered notice, and a second time."""
    with pytest.raises(UsageError, match="no published version describes a setting 'genai'"):
        at(fresh, PUBLISHED, introduce)
    at(fresh, PUBLISHED, publish)
    with pytest.raises(LedgerError, match="no notice of version 1, which describes it"):
        at(fresh, PUBLISHED, introduce)
    strangers = [member("ann", noticed=[])]
    at(fresh, JOINED, lambda gate: gate.register_subjects(rows_of(strangers)))
    with pytest.raises(LedgerError, match="no notice of version 1"):
        at(fresh, JOINED, introduce)
    (before,) = at(fresh, JOINED, lambda gate: gate.settings())
    assert (before.first, before.version, before.at, before.listed) == ("1", "", None, True)

    row = delivery("ann", at(fresh, JOINED, lambda gate: text_of_notice(gate, "1")), version="1")
    row["time"] = text_of(JOINED)
    loaded = at(fresh, JOINED, lambda gate: gate.import_notices(rows_of([row])))
    assert loaded.recorded == 1
    assert at(fresh, CHOSE, introduce) == "1"
    with pytest.raises(LedgerError, match="introduced already"):
        at(fresh, CHOSE, introduce)
    (after,) = at(fresh, CHOSE, lambda gate: gate.settings())
    assert (after.setting.id, after.version, after.at) == ("genai", "1", CHOSE)

    kinds = at(fresh, CHOSE, lambda g: [e.kind for e in g.store.every_event(upto=99)])
    order = [kinds.index(k) for k in ("policy.published", "notice.delivered", "setting.introduced")]
    assert order == sorted(order)


def test_a_notice_from_before_the_publication_describes_nothing(fresh):
    """What was delivered before there was a version is no notice of it, even with its name.

    Nor does a notice to somebody who is no member introduce anything.
    """
    at(fresh, PUBLISHED, lambda gate: gate.register_subjects(rows_of([member("ann", noticed=[])])))
    early = [Draft("notice.delivered", {"subject": "ann", "version": "1"})]
    at(fresh, PUBLISHED, lambda gate: gate.record(early))
    at(fresh, PUBLISHED, publish)
    stranger = [Draft("notice.delivered", {"subject": "who", "version": "1"})]
    at(fresh, PUBLISHED, lambda gate: gate.record(stranger))
    with pytest.raises(LedgerError, match="no notice of version 1"):
        at(fresh, PUBLISHED, introduce)


def test_a_setting_is_introduced_with_the_version_that_was_noticed(fresh):
    """By default the first noticed one; a version asked for has to describe it and be noticed."""
    other = POLICY.replace(b'version = "1"', b'version = "2"').replace(b"genai", b"other")
    at(fresh, PUBLISHED, publish)
    at(fresh, PUBLISHED, lambda gate: publish(gate, other))
    third = POLICY.replace(b'version = "1"', b'version = "3"')
    at(fresh, PUBLISHED, lambda gate: publish(gate, third))
    rows = rows_of([member("ann", noticed=["3"])])
    at(fresh, JOINED, lambda gate: gate.register_subjects(rows))
    with pytest.raises(LedgerError, match="no notice of version 1"):
        at(fresh, JOINED, lambda gate: gate.introduce("genai", "1"))
    with pytest.raises(UsageError, match="version 2 does not describe setting genai"):
        at(fresh, JOINED, lambda gate: gate.introduce("genai", "2"))
    with pytest.raises(UsageError, match="no version '9'"):
        at(fresh, JOINED, lambda gate: gate.introduce("genai", "9"))
    with pytest.raises(LedgerError, match="no notice of version 2"):
        at(fresh, JOINED, lambda gate: gate.introduce("other"))
    assert at(fresh, JOINED, introduce) == "3"
    listed = at(fresh, JOINED, lambda gate: gate.settings())
    assert [(s.setting.id, s.first, s.version, s.listed) for s in listed] == [
        ("genai", "1", "3", True), ("other", "2", "", False),
    ]  # fmt: skip


def test_nobody_grants_through_a_setting_that_is_not_introduced(fresh):
    """R1: the grant is refused with what is missing; a refusal needs no setting and counts."""
    at(fresh, PUBLISHED, publish)
    at(fresh, JOINED, lambda gate: gate.register_subjects(rows_of([member("ann")])))

    def choose(gate):
        rows = [grant("ann", text_of_setting(gate)), refusal("ann")]
        return gate.load_choices(rows_of(rows))

    loaded = at(fresh, CHOSE, choose)
    assert loaded.recorded == 1
    (refused,) = loaded.refused
    assert refused.why.startswith("setting genai is not introduced yet: ")


@pytest.mark.parametrize("few", [500, 0], ids=["by name", "in columns"])
def test_nobody_grants_without_her_own_notice(fresh, few, monkeypatch):
    """R1: a notice to others is not enough, and one of a version without the setting is none."""
    monkeypatch.setattr("letterlock.gate.people.FEW", few)
    without = POLICY.replace(b'version = "1"', b'version = "0"').replace(b"genai", b"other")
    at(fresh, PUBLISHED, lambda gate: publish(gate, without))
    at(fresh, PUBLISHED, publish)
    told = {"ann": ["1"], "bob": [], "cem": ["0"]}
    rows = rows_of([member(name, noticed=versions) for name, versions in told.items()])
    at(fresh, JOINED, lambda gate: gate.register_subjects(rows))
    at(fresh, JOINED, introduce)

    def choose(gate):
        return gate.load_choices(rows_of([grant(n, text_of_setting(gate)) for n in told]))

    loaded = at(fresh, CHOSE, choose)
    assert loaded.recorded == 1
    assert [(r.subject, r.why) for r in loaded.refused] == [
        (name, "no notice of a version that describes setting genai is recorded")
        for name in ("bob", "cem")
    ]
    row = delivery("bob", at(fresh, CHOSE, lambda gate: text_of_notice(gate, "1")), version="1")
    row["time"] = text_of(CHOSE)
    at(fresh, CHOSE, lambda gate: gate.import_notices(rows_of([row])))
    again = at(fresh, CHOSE, choose)
    assert (again.recorded, again.already, len(again.refused)) == (1, 1, 1)


# ── status and history ────────────────────────────────────────────────────────────────────────


def test_status_says_how_far_each_version_reached(gate):
    """In force is counted per member: her own notice, window and objection."""
    deliver(gate, "ann", "bob", "cem")
    gate.object_to("bob", "2")
    found = gate.status()
    first, second = found.versions
    everybody = len(members())
    assert (found.members, found.without) == (everybody, 0)
    assert (first.in_force, first.notified, first.objected) == (everybody, everybody, 0)
    assert (second.in_force, second.notified, second.objected) == (0, 3, 1)
    assert first.settings == {"genai": True}
    later = Gate(gate.folder, now=NOW + DAY)
    first, second = later.status().versions
    later.close()
    assert (first.in_force, second.in_force) == (everybody - 2, 2)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_columns_agree_with_decide_on_what_is_in_force(tmp_path_factory, seed):
    """For every person of a random world, at T: version in force, notices and objections."""
    world = Maker(seed).make()
    store = record(world, tmp_path_factory.mktemp("reach") / "ledger.sqlite")
    state = fold(world.events(), world.as_of)
    rules = state.rules
    reach = Reach(store, rules, store.head().index)
    objecting = reach.objecting()
    in_force = reach.in_force(objecting)
    store.close()
    for number, name in enumerate(reach.ids):
        subject = state.subjects.get(name)
        if subject is None:  # nothing of them is recorded yet at T
            assert not reach.members[number]
            continue
        _, version = versions_at(subject, rules, rules.as_of)
        found = in_force[number]
        assert (None if found < 0 else rules.policies[found]) is version
        assert bool(reach.members[number]) == subject.member
        order = {v.version: n for n, v in enumerate(rules.policies)}
        stands = {order.get(o.version, -1) for o in subject.objections if rules.as_of in o.span}
        assert {n for n, who in objecting.items() if who[number]} == stands


@pytest.mark.parametrize("seed", range(8))
def test_status_counts_what_decide_says(tmp_path, seed):
    """Counts over members are those of asking each of them."""
    world = Maker(random.Random(seed).randrange(2**32), people=12).make()
    gate = live(tmp_path / "w", world)
    found, state = gate.status(), gate.state(world.people)
    gate.close()
    everybody = [s for s in state.subjects.values() if s.member]
    asked = [versions_at(s, state.rules, found.as_of)[1] for s in everybody]
    counts = Counter(None if version is None else version.version for version in asked)
    assert {s.version.version: s.in_force for s in found.versions} == {
        v.version: counts[v.version] for v in state.rules.policies
    }
    assert (found.members, found.without) == (len(everybody), counts[None])


def test_history_checks_the_signatures_again(gate):
    """Who signed is said of signatures that hold over the texts in the log."""
    first, second = gate.history()
    assert (first.signed_by, first.doubt) == (("ash", "birch"), "")
    assert first.documents == {k: sha256(v) for k, v in folder_of(STRICT).items()}
    assert first.brought == (
        ("recipient.registered", "own"), ("recipient.registered", "maker"),
        ("region.published", ""),
    )  # fmt: skip
    assert second.brought == ()


def test_history_doubts_what_nobody_signed(gate):
    """Another text, a signature of something else, or none: it is said, and exit is 3."""
    body = {
        "version": "raw", "effective_at": NOW + DAY, "window": DAY, "clauses": [],
        "data_classes": ["post.public"], "documents": {"policy.toml": "a"},
    }  # fmt: skip
    signed = approval.message("policy.published", {"version": "raw", "documents": {}})
    signatures = [vars_of(s) for s in approval.sign_all(KEYS, signed)]
    gate.record([Draft("policy.published", body)])
    gate.record([Draft("policy.published", body | {"version": "odd", "signatures": signatures})])
    *_, unsigned, odd = gate.history()
    assert (unsigned.signed_by, odd.signed_by) == ((), ())
    assert "takes 2 registered operators" in unsigned.doubt
    assert "is not of this" in odd.doubt


def test_history_doubts_what_does_not_follow_from_the_documents(fresh):
    """Only the documents are signed: clauses, texts or dates that they do not have are named."""
    at(fresh, PUBLISHED, publish)
    read = at(fresh, PUBLISHED, lambda g: list(g.store.every_event(upto=99)))
    real = next(e.body for e in read if e.kind == "policy.published")
    second = folder_of(POLICY.replace(b'version = "1"', b'version = "2"'))
    texts = {name: text.decode() for name, text in second.items()}
    documents = {"version": "2", "documents": texts}
    signed = approval.message("policy.published", documents)
    signatures = [vars_of(s) for s in approval.sign_all(KEYS, signed)]
    body = real | documents | {"signatures": signatures}
    loose = [{"id": "a-yes-first", "level": "nothing"}]
    changed = body | {"clauses": loose, "window": 0, "effective_at": PUBLISHED + 5}
    at(fresh, PUBLISHED, lambda gate: gate.record([Draft("policy.published", changed)]))
    good, bad = at(fresh, PUBLISHED, lambda gate: gate.history())
    assert (good.doubt, bad.signed_by) == ("", ("ash", "birch"))
    assert bad.doubt == "it does not follow from its documents: clauses, window, lead time"


def test_history_holds_for_a_version_recorded_right_after_a_release(gate):
    """A release makes the next event a moment later; that moment is not taken for a forgery."""
    body = {"release": "r"}
    gate.record([Draft("release.opened", body)])
    publish(gate, LOOSE.replace(b'version = "2"', b'version = "3"'))
    *_, last = gate.history()
    assert last.version.published_at == NOW + 1
    assert last.doubt == ""


def vars_of(signature: Signature):
    """Write a signature as an event has it."""
    return {"operator": signature.operator, "signature": signature.signature}


def test_history_doubts_operators_of_a_later_day(fresh):
    """Who was registered after a version cannot have approved it."""
    document = {"policy.toml": "a"}
    signed = approval.message("policy.published", {"version": "raw", "documents": document})
    signatures = [vars_of(s) for s in approval.sign_all(KEYS, signed)]
    body = {
        "version": "raw", "effective_at": NOW, "window": DAY, "clauses": [],
        "data_classes": ["post.public"], "documents": document, "signatures": signatures,
    }  # fmt: skip
    at(fresh, PUBLISHED, lambda gate: gate.record([Draft("policy.published", body)]))
    at(fresh, JOINED, publish)
    raw, first = at(fresh, JOINED, lambda gate: gate.history())
    assert "no registered operator" in raw.doubt
    assert first.signed_by == ("ash", "birch")
    assert np.array_equal([v.version.version for v in (raw, first)], ["raw", "1"])


# ── the commands ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def run(gate, monkeypatch, capsys):
    """Give a way to run a command on the workspace: (exit code, what it printed)."""
    gate.close()

    def call(*words):
        clock = ["--workspace", str(gate.folder), "--now", text_of(NOW)]
        monkeypatch.setattr(sys, "argv", ["letterlock", *map(str, words), *clock])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out + err

    return call


def test_notices_from_the_command_line(run, tmp_path):
    """Export, send, import, object: what is refused is listed, and exits with 3."""
    code, said = run("notice", "export", "2", "--out", tmp_path / "out", "--json")
    assert code == 0
    record = json.loads(said)
    assert record["members"] == len(members())
    text = record["texts"]["en"]
    code, said = run("notice", "export", "2", "--out", tmp_path / "again")
    assert (code, "10 members are to be sent version 2" in said, text in said) == (0, True, True)
    rows = [delivery("ann", text), delivery("nobody", text)]
    path = tmp_path / "sent.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, said = run("notice", "import", path)
    assert code == 3
    assert "1 delivery recorded" in said
    assert "row 2 (nobody): is not a registered member" in said
    for words, answer in (
        (("ann", "2"), "ann, version 2: objects\n"),
        (("ann", "2"), "ann, version 2: objects already, so nothing was recorded\n"),
        (("ann", "2", "--take-back", "--channel", "letter"), "takes the objection back\n"),
        (("ann", "2", "--take-back"), "does not object, so nothing was taken back\n"),
    ):
        code, said = run("notice", "object", *words)
        assert (code, said.endswith(answer)) == (0, True)
    assert run("notice", "object", "nobody", "2")[0] == 1
    assert run("notice", "object", "ann", "9")[0] == 2


def test_settings_status_and_history_from_the_command_line(run):
    """Each for people, and as JSON for programs."""
    code, said = run("policy", "settings")
    assert code == 0
    assert "genai: Data for Generative AI Improvement" in said
    assert "first in version 1; introduced 2024-01-05 with version 1" in said
    (setting,) = json.loads(run("policy", "settings", "--json")[1])["settings"]
    assert (setting["id"], setting["first_version"], setting["introduced"]) == (
        "genai", "1", "2024-01-05",
    )  # fmt: skip
    assert run("policy", "introduce", "genai")[0] == 1
    assert run("policy", "introduce", "other")[0] == 2

    code, said = run("policy", "status")
    assert code == 0
    assert "version 1: published 2024-01-01, effective 2024-01-02" in said
    assert "in force for 10, notified 10, objected 0" in said
    found = json.loads(run("policy", "status", "--json")[1])
    assert [(v["version"], v["in_force"]) for v in found["versions"]] == [("1", 10), ("2", 0)]

    code, said = run("policy", "history")
    assert code == 0
    assert "signed by ash, birch" in said
    assert "brought: recipient.registered own" in said
    found = json.loads(run("policy", "history", "--json")[1])
    assert [v["signed_by"] for v in found["versions"]] == [["ash", "birch"]] * 2


def test_init_introduces_what_sign_up_notices_describe(tmp_path, monkeypatch, capsys):
    """One command fills a workspace; without a noticed member it says what is missing."""
    policy = written(tmp_path / "policy")
    keys = [f"--operator={who}={tmp_path / who}" for who in KEYS]
    for name, noticed in (("told", ["1"]), ("untold", [])):
        subjects = tmp_path / f"{name}.jsonl"
        subjects.write_text(json.dumps(member("ann", noticed=noticed)) + "\n")
        words = ["init", str(tmp_path / name), *keys, "--policy", str(policy)]
        words += ["--subjects", str(subjects), "--simulated", "--now", text_of(PUBLISHED)]
        monkeypatch.setattr(sys, "argv", ["letterlock", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
    said = capsys.readouterr().out
    assert "introduced setting genai\n" in said
    assert "setting genai cannot be introduced: no notice of version 1" in said
