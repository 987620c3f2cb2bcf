"""One person chooses: a setting's whole scope or part of it, a no as easily, a browser's no."""

from __future__ import annotations

import json
import random

import pytest

from letterlock.cli import app
from letterlock.domain import (
    BEGINNING,
    DAY,
    END,
    PURPOSES,
    Act,
    Item,
    Party,
    Reason,
    Request,
    Role,
    Span,
    text_of,
    time_of,
)
from letterlock.errors import InputError, LetterlockError, UsageError, WorkspaceError
from letterlock.gate import Gate
from letterlock.gate.policies import publishable
from letterlock.ledger import Draft
from letterlock.policy.decide import decide
from workspaces import (
    CHOSE,
    JOINED,
    NOW,
    POLICY,
    PUBLISHED,
    PURPOSE,
    RECIPIENT,
    at,
    columns,
    copy,
    folder_of,
    grant,
    introduce,
    member,
    messages,
    people,
    publish,
    refusal,
    rows_of,
    text_of_setting,
    write,
)

MORE = b"""
[purposes.evaluate]
en = "measure how well models answer"

[settings.daily]
title = "Data for Daily Answers"
purposes = ["infer", "evaluate"]
data_classes = ["message.*", "post.public"]
recipients = ["own", "maker"]
"""


def scope(*purposes):
    """Return what a setting for these purposes asks for, line by line."""
    return [
        (purpose, pattern, recipient)
        for purpose in purposes
        for pattern in ("message.*", "post.public")
        for recipient in ("own", "maker")
    ]


WHOLE, DAILY = scope(PURPOSE), scope("infer", "evaluate")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Give a workspace of members who have chosen nothing yet."""
    folder = tmp_path_factory.mktemp("choose") / "w"
    Gate.create(folder, simulated=True, now=PUBLISHED).close()
    at(folder, PUBLISHED, lambda gate: publish(gate, POLICY + MORE))
    rows = [member(name) for name in ("ann", "bob")]
    at(folder, JOINED, lambda gate: gate.register_subjects(rows_of(rows)))
    at(folder, JOINED, introduce)
    return folder


@pytest.fixture
def gate(start, tmp_path):
    """Give a copy of it, as of the day of choice."""
    copy(Gate(start), tmp_path / "w").close()
    gate = Gate(tmp_path / "w", now=CHOSE)
    yield gate
    gate.close()


def later(gate, days=1):
    """Return the same workspace some days later."""
    gate.close()
    return Gate(gate.folder, now=gate.now() + days * DAY)


def scopes(lines):
    """Return what lines speak of."""
    return [(line.purpose, line.pattern, line.recipient) for line in lines]


def goes(gate, subject, when, data_class="message.direct", categories=frozenset(), **asked):
    """Say whether something that a person wrote may go; else why not."""
    request = Request(asked.get("purpose", PURPOSE), asked.get("recipient", RECIPIENT))
    item = Item("x", data_class, when, (Party(subject, Role.AUTHOR),), categories)
    found = decide(request, item, gate.state([subject]))
    return found.allowed or found.reason


def told(gate, subject, kind="choice.made"):
    """Return the bodies of a person's events of a kind."""
    events = gate.store.events(upto=gate.store.head().index, subjects=[subject])
    return [event.body for event in events if event.kind == kind]


def run(gate, *arguments):
    """Run a command in a gate's workspace, at its time."""
    clock = ["-w", str(gate.folder), "--now", text_of(gate.now())]
    return app([*arguments, *clock], standalone_mode=False) or 0


def printed(capsys, gate, *arguments):
    """Run a command that succeeds, and return the JSON it prints."""
    capsys.readouterr()
    assert run(gate, *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


# ── a grant ───────────────────────────────────────────────────────────────────────────────────


def test_a_setting_alone_means_its_whole_scope(gate):
    """One act, with a line for each purpose, class and recipient that the text names."""
    chosen = gate.choose("ann", "grant", setting="genai", channel="web")
    assert scopes(chosen.lines) == WHOLE
    assert scopes(gate.choose("ann", "grant", setting="daily", channel="web").lines) == DAILY
    assert len(told(gate, "ann")) == 2
    assert not any(line.earlier or line.explicit for line in chosen.lines)
    gate = later(gate, 30)
    assert goes(gate, "ann", CHOSE + DAY) is True
    assert goes(gate, "ann", CHOSE + DAY, "post.public", purpose="infer", recipient="own") is True
    assert goes(gate, "ann", CHOSE - DAY) is Reason.GRANT_NOT_FOR_PERIOD
    assert goes(gate, "bob", CHOSE + DAY) is Reason.NO_GRANT
    gate.close()


NARROWED = {
    "a purpose": ({"purpose": "infer"}, [s for s in DAILY if s[0] == "infer"]),
    "a class": ({"data_class": "post.public"}, [s for s in DAILY if s[1] == "post.public"]),
    "a class below": (
        {"data_class": "message.group", "recipient": "own"},
        [("infer", "message.group", "own"), ("evaluate", "message.group", "own")],
    ),
    "a recipient": ({"recipient": "maker"}, [s for s in DAILY if s[2] == "maker"]),
    "one of each": (
        {"purpose": "infer", "data_class": "message.*", "recipient": "own"},
        [("infer", "message.*", "own")],
    ),
}


@pytest.mark.parametrize("name", NARROWED)
def test_a_grant_can_be_narrowed(name, gate):
    """Any part of a setting's scope may be granted alone."""
    options, expected = NARROWED[name]
    chosen = gate.choose("ann", "grant", setting="daily", channel="web", **options)
    assert scopes(chosen.lines) == expected


def test_what_is_there_already_is_a_line_of_its_own(gate):
    """`earlier` adds to a grant; with a period it adds that period, and the rest stays unasked."""
    chosen = gate.choose("ann", "grant", setting="genai", channel="web", earlier=True)
    assert scopes(chosen.lines) == WHOLE * 2
    assert [line.earlier for line in chosen.lines] == [False] * 4 + [True] * 4
    assert {line.reach() for line in chosen.lines} == {Span(CHOSE, END), Span(BEGINNING, CHOSE)}
    start, end = CHOSE - 9 * DAY, CHOSE - 5 * DAY
    chosen = gate.choose(
        "bob", "grant", setting="genai", channel="web", earlier=True, from_=start, to=end
    )
    assert {line.reach() for line in chosen.lines} == {Span(CHOSE, END), Span(start, end)}
    gate = later(gate, 30)
    assert goes(gate, "ann", CHOSE - DAY) is True
    assert goes(gate, "bob", CHOSE - DAY) is not True
    assert goes(gate, "bob", end - 1) is True
    assert goes(gate, "bob", CHOSE + DAY) is True
    gate.close()


def test_a_grant_may_end(gate):
    """A period bounds what is granted, an expiry how long: after either, nothing goes."""
    gate.choose("ann", "grant", setting="genai", channel="web", from_=CHOSE + 2 * DAY,
                to=CHOSE + 5 * DAY, expires=CHOSE + 20 * DAY)  # fmt: skip
    gate = later(gate, 10)
    assert goes(gate, "ann", CHOSE + 3 * DAY) is True
    assert goes(gate, "ann", CHOSE + DAY) is Reason.GRANT_NOT_FOR_PERIOD
    assert goes(gate, "ann", CHOSE + 6 * DAY) is Reason.GRANT_NOT_FOR_PERIOD
    gate = later(gate, 10)
    assert goes(gate, "ann", CHOSE + 3 * DAY) is Reason.GRANT_EXPIRED
    gate.close()


def declare_sensitive(gate):
    """Publish a version in which direct messages are sensitive as a whole."""
    toml = (POLICY + MORE).replace(b'version = "1"', b'version = "2"')
    body = dict(publishable(folder_of(toml), "policy").bodies(gate.now())[-1][1])
    body["sensitive"] = {"message.direct": ["health", "pay"]}
    gate.store.append([Draft("policy.published", body)], now=gate.now())


def test_an_explicit_grant_lists_what_is_sensitive(gate):
    """Without categories it lists what each class in its scope is declared for; with, those."""
    declare_sensitive(gate)
    chosen = gate.choose("ann", "grant", setting="genai", channel="web", explicit=True)
    listed = {line.pattern: (line.explicit, line.categories) for line in chosen.lines}
    assert listed == {"message.*": (True, {"health", "pay"}), "post.public": (True, frozenset())}
    chosen = gate.choose(
        "bob", "grant", setting="genai", channel="web", explicit=True, categories=["pay"]
    )
    assert {line.categories for line in chosen.lines} == {frozenset({"pay"})}
    gate.close()


def test_a_grant_carries_its_own_act(gate):
    """Time, channel, setting, language and hash of the text shown stand in its one event."""
    chosen = gate.choose("ann", "grant", setting="genai", channel="web")
    (body,) = told(gate, "ann")
    text = gate.text_hash("genai", "en")
    assert body["evidence"] == {
        "time": CHOSE, "channel": "web", "text": text, "setting": "genai", "language": "en",
    }  # fmt: skip
    record = chosen.record()
    assert len(record.pop("lines")) == 4
    assert record == {
        "event": gate.store.head().index, "recorded": "2024-01-10", "time": "2024-01-10",
        "subject": "ann", "act": "grant", "channel": "web", "setting": "genai", "text": text,
        "language": "en",
    }  # fmt: skip


def test_the_text_may_be_the_one_that_was_shown(gate):
    """A form that showed an earlier text says which: what counts is what was seen."""
    text = gate.text_hash("genai", "en")
    chosen = gate.choose("ann", "grant", text=text, channel="web", recipient="own")
    assert chosen.record()["setting"] == "genai"
    with pytest.raises(InputError, match="that of setting genai, not other"):
        gate.choose("ann", "grant", text=text, setting="other", channel="web")


REFUSED = {
    "no setting": ({"setting": ""}, "through a setting"),
    "an unknown setting": ({"setting": "nothing"}, "unknown setting 'nothing'; there is: "),
    "a language without a text": ({"language": "de"}, "no text in 'de'; there is: en"),
    "a text nobody published": ({"text": "f" * 64}, "no published setting has the text"),
    "a purpose the setting does not ask for": ({"purpose": "evaluate"}, "does not ask for purpose"),
    "every purpose": ({"purpose": "*"}, r"does not ask for purpose \*"),
    "no purpose": ({"purpose": ""}, "purpose"),
    "a wider class": ({"data_class": "post.*"}, r"does not ask for post\.\*"),
    "an unknown recipient": ({"recipient": "acme"}, "does not name recipient acme"),
    "a class of recipients": ({"recipient": "third_party"}, "does not name recipient"),
    "no channel": ({"channel": ""}, "own act"),
    "half a character": ({"channel": "\ud800"}, "not canonical"),
    "a period that ends before it begins": ({"from_": 5, "to": 4}, "ends before it begins"),
    "a period of no length": ({"from_": 5, "to": 5}, "ends before it begins"),
    "a period that is past, by the way": ({"to": CHOSE}, "--earlier"),
    "an earlier period to come": ({"earlier": True, "from_": CHOSE}, "begins before now"),
    "categories without an explicit yes": ({"categories": ["pay"]}, "explicit"),
    "an expiry in the past": ({"expires": CHOSE}, "expired"),
    "somebody without an account": ({"non_member": True}, "without an account"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_grant_that_cannot_be_is_refused(name, gate):
    """The reason is said, and nothing is recorded."""
    change, why = REFUSED[name]
    before = gate.store.head()
    with pytest.raises((InputError, UsageError), match=why):
        gate.choose("ann", "grant", **{"setting": "genai", "channel": "web"} | change)
    assert gate.store.head() == before


def test_only_members_grant(gate):
    """Somebody unknown, or known for a no only, cannot say yes; the sentence says so."""
    gate.choose("zoe@acme.example", "object", channel="form", non_member=True)
    for name in ("zoe@acme.example", "nobody", "[/]", "\ud800", "", " "):
        before = gate.store.head()
        with pytest.raises(InputError):
            gate.choose(name, "grant", setting="genai", channel="web")
        assert gate.store.head() == before
    with pytest.raises(InputError, match="is not a registered member, so cannot"):
        gate.choose("zoe@acme.example", "grant", setting="genai", channel="web")


# ── a no ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("act", ["withdraw", "object"])
def test_a_no_is_as_easy_as_a_yes(act, gate, capsys):
    """The command that grants also refuses; with fewer words it refuses all (R34)."""
    for who, options in (("ann", ["--setting", "genai"]), ("bob", [])):
        yes = printed(capsys, gate, "choose", who, "grant", "--setting", "genai")
        gate = later(gate)
        no = printed(capsys, gate, "choose", who, act, *options)
        if options:
            assert [(li["purpose"], li["data_class"], li["recipient"]) for li in no["lines"]] == [
                (li["purpose"], li["data_class"], li["recipient"]) for li in yes["lines"]
            ]
        else:
            assert no["lines"] == [{"purpose": "*", "data_class": "*", "recipient": "*"}]
        gate = later(gate)
        reason = Reason.WITHDRAWN if act == "withdraw" else Reason.OBJECTED
        assert goes(gate, who, CHOSE + DAY // 2) is reason
        gate = later(gate)
        run(gate, "choose", who, "grant", "--setting", "genai", "--earlier")
        gate = later(gate)
        assert goes(gate, who, CHOSE + DAY // 2) is True
    gate.close()


def test_a_no_can_be_narrowed(gate):
    """To a purpose, a class, a recipient or a class of them, or a period."""
    no = gate.choose("ann", "object", channel="web", purpose="infer", data_class="message.*",
                     recipient="affiliate", from_=CHOSE, to=CHOSE + DAY)  # fmt: skip
    (line,) = no.lines
    assert (line.act, *scopes([line])[0]) == (Act.OBJECT, "infer", "message.*", "affiliate")
    assert line.span == Span(CHOSE, CHOSE + DAY)
    (line,) = gate.choose("bob", "withdraw", channel="web", from_=BEGINNING, to=END).lines
    assert line.span == Span()


NO_REFUSAL = {
    "an unknown act": ({"act": "consent"}, "unknown act 'consent'"),
    "an unknown purpose": ({"purpose": "train.everything"}, "purpose"),
    "an unknown class": ({"data_class": "telemetry"}, "data_class"),
    "an unknown recipient": ({"recipient": "acme"}, "recipient"),
    "a period that ends before it begins": ({"from_": 5, "to": 4}, "period"),
    "an expiry": ({"expires": NOW}, "no expiry"),
    "an earlier period": ({"earlier": True}, "earlier"),
    "explicitly": ({"explicit": True}, "no expiry"),
    "somebody unknown": ({"subject": "annn"}, "nobody we know"),
    "nobody": ({"subject": ""}, "subject cannot be"),
    "half a character": ({"subject": "\ud800"}, "not canonical"),
    "an unknown setting": ({"setting": "other"}, "unknown setting"),
}


@pytest.mark.parametrize("name", NO_REFUSAL)
def test_a_no_with_a_slip_in_it_is_said_to_be_one(name, gate):
    """By hand a slip can be mended: nothing is recorded in place of what was meant."""
    change, why = NO_REFUSAL[name]
    said = {"subject": "ann", "act": "object", "channel": "web"} | change
    before = gate.store.head()
    with pytest.raises((InputError, UsageError), match=why):
        gate.choose(said.pop("subject"), said.pop("act"), **said)
    assert gate.store.head() == before


# ── somebody without an account ───────────────────────────────────────────────────────────────


def test_a_no_without_an_account_survives_joining(tmp_path):
    """An address objects, joins a year later, and still stays out, until its own yes (R8, R35)."""
    gate = people(tmp_path / "w")
    rows = [{**m, "sender": "zoe@acme.example", "receivers": [], "quoted": []} for m in messages(6)]
    posts = [row | {"kind": "post.public"} for row in rows]
    gate.add_table("mail", write(tmp_path / "t.parquet", posts), columns())
    chosen = gate.choose(" Zoe@Acme.Example ", "object", channel="form", non_member=True)
    assert chosen.record()["subject"] == "zoe@acme.example"
    assert told(gate, "zoe@acme.example", "subject.registered") == [
        {"subject": "zoe@acme.example", "member": False}
    ]
    assert gate.plan(PURPOSE, RECIPIENT).withheld == {Reason.UNKNOWN_PARTY: 6}
    gate = later(gate, 365)
    gate.register_subjects(rows_of([member("zoe@acme.example")]))
    assert gate.plan(PURPOSE, RECIPIENT).withheld == {Reason.OBJECTED: 6}
    (found,) = gate.explain(posts[0]["id"], PURPOSE, RECIPIENT)
    assert found[2].reason is Reason.OBJECTED
    gate = later(gate)
    gate.choose("zoe@acme.example", "grant", setting="genai", channel="web", earlier=True)
    gate = later(gate)
    assert gate.plan(PURPOSE, RECIPIENT).released == 6
    gate.close()


def test_a_member_may_use_the_other_door_too(gate):
    """Whoever says a no as a non-member but has an account has said it all the same."""
    gate.choose("ann", "object", channel="form", non_member=True)
    assert not told(gate, "ann", "subject.registered")[1:]
    assert gate.state(["ann"]).subjects["ann"].member
    assert len(told(gate, "ann")) == 1


# ── Sec-GPC ───────────────────────────────────────────────────────────────────────────────────


def test_a_browsers_no_is_recorded_once(gate):
    """However often it is sent: per subject and browser, as an objection and as nothing else."""
    first = gate.gpc("ann", "browser-1")
    assert scopes(first.lines) == [("*", "*", "third_party"), ("*", "*", "affiliate")]
    assert {line.act for line in first.lines} == {Act.OBJECT}
    assert {line.span for line in first.lines} == {Span()}
    gate = later(gate)
    assert gate.gpc("ann", "browser-1") is None
    assert gate.gpc("ann", " browser-1 ") is None
    assert gate.gpc("ann", "browser-2") is not None
    assert gate.gpc("bob", "browser-1") is not None
    assert (len(told(gate, "ann")), len(told(gate, "bob"))) == (2, 1)
    gate.close()


def test_a_browsers_id_is_never_recorded(gate):
    """Only a keyed hash of it is, which differs from person to person."""
    for name in ("ann", "bob"):
        gate.gpc(name, "browser-1")
    (ann,), (bob,) = told(gate, "ann"), told(gate, "bob")
    assert ann["evidence"]["browser"] != bob["evidence"]["browser"]
    assert len(bytes.fromhex(ann["evidence"]["browser"])) == 32
    gate.close()
    assert not any(b"browser-1" in path.read_bytes() for path in gate.folder.glob("ledger.db*"))


def test_a_browser_that_falls_silent_says_no_yes(gate):
    """Off is noted and widens nothing; a later on objects anew, also after a yes in between."""
    assert gate.gpc("ann", "b", on=False) is None
    gate.gpc("ann", "b")
    gate = later(gate)
    before = goes(gate, "ann", CHOSE)
    off = gate.gpc("ann", "b", on=False)
    assert off.lines == ()
    assert (told(gate, "ann", "consent.claimed")[0]["claim"]["on"], len(told(gate, "ann"))) == (
        False, 1,
    )  # fmt: skip
    assert gate.gpc("ann", "b", on=False) is None
    assert goes(gate, "ann", CHOSE) is before
    gate = later(gate)
    gate.choose("ann", "grant", setting="genai", channel="web", recipient="maker")
    gate = later(gate)
    assert gate.gpc("ann", "b") is not None
    assert gate.gpc("ann", "b") is None
    assert [body["act"] for body in told(gate, "ann")] == ["object", "grant", "object"]
    gate.close()


def test_a_browsers_no_reaches_everybody_but_the_platform(gate):
    """Third parties and affiliates, for every purpose; until the person's own yes answers it."""
    gate.choose("ann", "grant", setting="genai", channel="web")
    gate = later(gate)
    assert goes(gate, "ann", CHOSE + 1) is True
    gate.gpc("ann", "b")
    gate = later(gate)
    assert goes(gate, "ann", CHOSE + 1) is Reason.OBJECTED
    assert goes(gate, "ann", CHOSE + 1, recipient="own") is True
    gate.choose("ann", "grant", setting="genai", channel="web", earlier=True)
    gate.gpc("ann", "b")
    gate = later(gate)
    assert goes(gate, "ann", CHOSE + 1) is True
    gate.close()


GPC_GARBAGE = {
    "no browser": {"browser": None},
    "a browser that is a number": {"browser": 5},
    "an unreadable on": {"on": "yes"},
    "an unreadable time": {"time": "soon"},
    "everything at once": {"browser": [], "on": {}, "time": 5, "channel": 7},
}


@pytest.mark.parametrize("name", GPC_GARBAGE)
def test_what_cannot_be_read_of_a_browsers_no_still_objects(name, gate):
    """In a file a signal always loads, whatever of it is garbage; and is listed."""
    row = {"subject": "ann", "act": "gpc", "browser": "b", "on": True, "time": "2024-01-08"}
    loaded = gate.load_choices(rows_of([row | GPC_GARBAGE[name]]))
    assert (loaded.recorded, loaded.refused, len(loaded.widened)) == (1, [], 1)
    assert len(told(gate, "ann")) == 1


def test_signals_load_from_a_file_in_the_order_of_their_acts(gate):
    """On, off and on again are two objections; the same file again adds nothing."""
    days = [text_of(CHOSE - n * DAY) for n in (3, 2, 1)]
    rows = [
        {"subject": "ann", "act": "gpc", "browser": "b", "on": n != 1, "time": day}
        for n, day in enumerate(days)
    ]
    rows += [{"subject": "zoe", "act": "gpc", "browser": "b"}, rows[0] | {"time": days[1]}]
    random.Random(1).shuffle(rows)
    loaded = gate.load_choices(rows_of(rows))
    assert (loaded.recorded, loaded.already, loaded.refused) == (4, 1, [])
    assert (len(told(gate, "ann")), len(told(gate, "ann", "consent.claimed"))) == (2, 1)
    assert not gate.state(["zoe"]).subjects["zoe"].member
    head = gate.store.head()
    again = gate.load_choices(rows_of(rows))
    assert (again.recorded, again.already) == (0, 5)
    assert gate.store.head() == head
    late = {"subject": "ann", "act": "gpc", "browser": "b", "time": text_of(CHOSE - 9 * DAY)}
    assert gate.load_choices(rows_of([late])).recorded == 1


def test_an_off_without_a_browser_is_refused(gate):
    """Which browser fell silent has to be said; one nobody knows says nothing."""
    rows = [{"subject": "ann", "act": "gpc", "on": False},
            {"subject": "zoe", "act": "gpc", "on": False, "browser": "b"}]  # fmt: skip
    before = gate.store.head()
    loaded = gate.load_choices(rows_of(rows))
    assert (loaded.recorded, loaded.already, len(loaded.refused)) == (0, 1, 1)
    for subject, browser in (("ann", ""), ("", "b"), ("ann", "\ud800"), ("zoe", "b")):
        with pytest.raises(InputError):
            gate.gpc(subject, browser)
    assert gate.store.head() == before
    (gate.folder / "keys" / "browser.key").unlink()
    with pytest.raises(WorkspaceError):
        gate.gpc("ann", "b")
    assert gate.store.head() == before


# ── prior consent ─────────────────────────────────────────────────────────────────────────────

NOT_ITS_OWN_ACT = {
    "no time": {"time": None},
    "a time that is none": {"time": "long ago"},
    "no channel": {"channel": None},
    "no text": {"text": None},
    "a text nobody published": {"text": "I agree to everything"},
    "values of every kind": {
        "time": None, "text": None, "channel": 0.5, "purpose": ["x", 2**70], "recipient": None,
        "data_class": {"a": [None, True]}, "colour": "\ud800", "\ud801": 1,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_ITS_OWN_ACT)
def test_prior_consent_without_its_act_is_kept_as_evidence(name, gate):
    """It grants nothing and stands as it was handed over, once; only of people who are known."""
    text = text_of_setting(gate)
    rows = [{**grant(who, text), **NOT_ITS_OWN_ACT[name]} for who in ("ann", "nobody", "ann")]
    loaded = gate.load_choices(rows_of(rows))
    assert loaded.recorded == 0
    assert [problem.row for problem in loaded.refused] == [1, 2, 3]
    assert [(kept.row, kept.subject) for kept in loaded.kept] == [(1, "ann")]
    (body,) = told(gate, "ann", "consent.claimed")
    assert body["claim"]["act"] == "grant"
    if name != "values of every kind":
        assert body["claim"] | {"subject": "ann"} == {
            key: value for key, value in rows[0].items() if value is not None
        }
    head = gate.store.head()
    again = gate.load_choices(rows_of(rows))
    assert (again.kept, len(again.refused)) == ([], 3)
    assert gate.store.head() == head
    gate = later(gate, 30)
    assert goes(gate, "ann", CHOSE + DAY) is Reason.NO_GRANT
    assert "nobody" not in gate.state(["nobody"]).subjects
    gate.close()


def test_what_is_merely_wrong_is_no_evidence(gate):
    """A grant beyond its setting, of the future or by a stranger is refused and not kept."""
    text = text_of_setting(gate)
    rows = [grant("ann", text, purpose="evaluate"), grant("ann", text, colour="red"),
            grant("ann", text, time="2034-01-01"), grant("nobody", text),
            {"subject": "ann", "act": "consent"}, refusal("ann")]  # fmt: skip
    loaded = gate.load_choices(rows_of(rows))
    assert (loaded.recorded, len(loaded.refused), loaded.kept) == (1, 5, [])


def test_somebody_known_by_a_no_of_the_same_file_is_known(gate):
    """Claims are kept of people whom the same file makes known."""
    rows = [{"subject": "zoe", "act": "grant"}, refusal("zoe")]
    loaded = gate.load_choices(rows_of(rows))
    assert (loaded.recorded, len(loaded.refused), len(loaded.kept)) == (1, 1, 1)
    assert not gate.state(["zoe"]).subjects["zoe"].member


# ── the commands ──────────────────────────────────────────────────────────────────────────────


def test_the_command_says_what_was_recorded(gate, capsys):
    """In words or JSON, for each act; a slip ends in one error."""
    text = gate.text_hash("genai", "en")
    narrow = ["-p", "infer", "--data-class", "post.public", "-r", "own", "--expires", "2025-01-01"]
    assert run(gate, "choose", "ann", "grant", "--setting", "daily", "--explicit", *narrow) == 0
    words = capsys.readouterr().out
    for each in (
        "ann, setting daily",
        "grant: infer, post.public, own, made from 2024-01-10",
        "until 2025-01-01",
    ):
        assert each in words
    found = printed(capsys, gate, "choose", "bob", "grant", "--setting", "genai", "--earlier",
                    "--from", "2023-01-01", "--to", "2024-01-01")  # fmt: skip
    assert (found["text"], found["language"], len(found["lines"])) == (text, "en", 8)
    assert {li.get("from") for li in found["lines"]} == {"2024-01-10", "2023-01-01"}
    assert printed(capsys, gate, "choose", "ann", "gpc", "--browser", "b")["act"] == "object"
    assert printed(capsys, gate, "choose", "ann", "gpc", "--browser", "b") == {"recorded": False}
    assert run(gate, "choose", "ann", "gpc", "--browser", "b", "--off") == 0
    assert "no yes" in capsys.readouterr().out
    assert run(gate, "choose", "ann", "gpc", "--browser", "b", "--off") == 0
    assert "nothing new" in capsys.readouterr().out
    assert run(gate, "choose", "Zoe@x.example", "object", "--non-member") == 0
    assert (
        "object: every purpose, all data, every recipient, whenever made" in capsys.readouterr().out
    )
    for hostile in (["ann", "withdraw", "--off"], ["ann", "object", "--browser", "b"], ["ann"],
                    ["ann", "grant"], ["ann", "gpc"], ["ann", "gpc", "--browser", "b", "--earlier"],
                    ["ann", "gpc", "--browser", "b", "-p", "infer"], ["[/]", "object"],
                    ["ann", "object", "--from", "soon"], ["zoe@x.example", "grant"]):  # fmt: skip
        with pytest.raises(LetterlockError):
            run(gate, "choose", *hostile)


def test_the_command_lists_what_is_kept(gate, tmp_path, capsys):
    """A file of prior consent is refused, and what of it is evidence is kept."""
    path = tmp_path / "old.jsonl"
    path.write_text('{"subject": "ann", "act": "grant", "colour": "red"}\n')
    assert run(gate, "choose", "--load", str(path), "--json") == 3
    assert json.loads(capsys.readouterr().out)["kept"][0]["row"] == 1
    path.write_text('{"subject": "ann", "act": "grant", "colour": "blue"}\n')
    assert run(gate, "choose", "--load", str(path)) == 3
    assert "kept as evidence" in capsys.readouterr().out


def test_everything_of_a_person_can_be_exported(gate, tmp_path, capsys):
    """To the screen or into a new file, never over another one; nobody's is an error."""
    gate.choose("ann", "grant", setting="genai", channel="web")
    gate.gpc("bob", "b")
    assert run(gate, "export", "ann") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == gate.history_of("ann")
    assert "genai" in json.dumps(shown)
    kinds = [event["ll:kind"] for event in shown["ll:events"]]
    assert kinds == ["subject.registered", "choice.made"]
    assert shown["dpv:hasPermission"]
    assert "bob" not in json.dumps(shown)
    out = tmp_path / "ann.jsonld"
    assert run(gate, "export", "ann", "--out", str(out)) == 0
    assert json.loads(out.read_text()) == shown
    for arguments in (["ann", "--out", str(out)], ["ann", "--out", str(tmp_path / "no" / "x")],
                      ["nobody"], ["\ud800"]):  # fmt: skip
        with pytest.raises(LetterlockError):
            run(gate, "export", *arguments)


@pytest.mark.slow
def test_whatever_is_asked_nothing_is_half_done(gate):
    """Any mix of values ends in a choice or in one error that records nothing."""
    rng = random.Random(7)
    odd = [None, "", "*", "ann", "infer", "own", "message.*", "third_party", "x", "\ud800", "a\0b"]
    times = [None, BEGINNING, END, 0, CHOSE, CHOSE - DAY, CHOSE + DAY, -(2**60), 2**60]
    done = 0
    for _ in range(400):
        said = {"channel": "web", "setting": rng.choice(["genai", "genai", "", "x"])}
        kinds = {
            "purpose": [*odd, *PURPOSES], "data_class": odd, "recipient": odd, "from_": times,
            "to": times, "expires": times, "earlier": [True], "explicit": [True],
            "categories": [(), ("pay",), ("",)], "non_member": [True],
            "channel": ["", "\n", "\ud800"], "language": ["de", ""], "text": odd,
        }  # fmt: skip
        said |= {
            key: rng.choice(kinds[key]) for key in rng.sample(sorted(kinds), rng.choice([0, 1, 3]))
        }
        act = rng.choice(["withdraw", "object"] * 4 + ["grant", "grant", "gpc", ""])
        before = gate.store.head()
        try:
            gate.choose(rng.choice(["ann", "bob"] * 4 + ["zoe", "", "\ud800"]), act, **said)
            done += 1
        except LetterlockError:
            assert gate.store.head() == before
    assert 40 < done < 360
    assert time_of("2024-01-10") == CHOSE
