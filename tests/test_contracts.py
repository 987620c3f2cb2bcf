"""Contracts: what terms forbid is lifted by their subject's own signature, and by nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations

import pytest

from letterlock.cli import app
from letterlock.domain import DAY, END, Amendment, Recipient, RecipientClass, Span, sha256, time_of
from letterlock.errors import InputError, LetterlockError, PolicyError, UsageError
from letterlock.gate import Gate
from letterlock.policy.amendment import render
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
    introduce,
    member,
    publish,
    refusal,
    rows_of,
    text_of_setting,
    write,
    yes,
)

TERMS = b"""
[[contracts.premium.clauses]]
id = "confidential"
level = "never"
purposes = ["train.*"]
data_classes = ["message.*"]
recipients = ["third_party"]
to = 2024-05-01

[[contracts.basic.clauses]]
id = "a-yes-first"
level = "grant"
"""

SCOPE = Amendment("premium", PURPOSE, "message.direct", RECIPIENT, Span(time_of("2024-01-10"), NOW))
"""What a member may sign."""

OPTIONS = ["-p", PURPOSE, "--data-class", "message.direct", "-r", RECIPIENT, "--from", "2024-01-10"]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Give a workspace in which two have a contract that keeps their messages confidential."""
    folder = tmp_path_factory.mktemp("contracts") / "w"
    Gate.create(folder, simulated=True, now=PUBLISHED).close()
    at(folder, PUBLISHED, lambda gate: publish(gate, POLICY + TERMS))
    terms = {"ann": "premium", "bob": "premium", "cem": "basic", "dia": None}
    rows = [member(name, contract=contract) for name, contract in terms.items()]
    at(folder, JOINED, lambda gate: gate.register_subjects(rows_of(rows)))
    at(folder, JOINED, introduce)
    at(folder, JOINED, lambda gate: gate.load_choices(rows_of([refusal("stranger")])))

    def choose(gate):
        text = text_of_setting(gate)
        gate.load_choices(rows_of([row for name in terms for row in yes(name, text)]))

    at(folder, CHOSE + 1, choose)
    return folder


@pytest.fixture
def gate(start, tmp_path):
    """Give a copy of it."""
    gate = copy(Gate(start), tmp_path / "w")
    yield gate
    gate.close()


def run(capsys, *arguments):
    """Run a command as `main` would; return its exit code and what it printed."""
    code = app(list(arguments), standalone_mode=False) or 0
    return code, capsys.readouterr().out


def mail(tmp_path, *pairs):
    """Write messages between pairs, one a month from February to April."""
    found = [
        {
            "id": f"{a}-{b}-{kind}-{month}", "created_at": datetime(2024, month, 1, tzinfo=UTC),
            "sender": a, "receivers": [b], "kind": f"message.{kind}", "quoted": [],
            "subject": "s", "body": "b",
        }
        for a, b, kind in pairs
        for month in (2, 3, 4)
    ]  # fmt: skip
    return write(tmp_path / "mail.parquet", found)


def released(gate):
    """Return how many items may go."""
    return gate.plan(PURPOSE, RECIPIENT).released


# ── an amendment decides ──────────────────────────────────────────────────────────────────────


def test_a_contract_outranks_a_yes_until_its_subject_amends_it(gate, tmp_path):
    """Confidential messages stay whatever was granted; once signed, those of the period go."""
    rows = (("ann", "dia", "direct"), ("ann", "dia", "group"), ("bob", "dia", "direct"),
            ("ann", "bob", "direct"), ("cem", "dia", "direct"))  # fmt: skip
    gate.add_table("mail", mail(tmp_path, *rows), columns())
    assert released(gate) == 3  # between cem and dia
    span = Span(time_of("2024-02-15"), time_of("2024-03-15"))
    scope = replace(SCOPE, span=span)
    signed = gate.amend("ann", scope, channel="paper")
    assert signed.event.body["evidence"]["channel"] == "paper"
    assert released(gate) == 4  # one message of ann's, in March
    gate.amend("bob", scope, channel="paper")
    assert released(gate) == 6
    (found,) = gate.explain("ann-dia-direct-3", PURPOSE, RECIPIENT)
    assert found[2].allowed
    (found,) = gate.explain("ann-dia-direct-4", PURPOSE, RECIPIENT)
    assert found[2].reason.name == "CONTRACT"


def test_an_amendment_is_no_yes(gate, tmp_path):
    """What a contract no longer forbids still needs a grant, and a refusal still counts."""
    gate.add_table("mail", mail(tmp_path, ("ann", "dia", "direct")), columns())
    gate.amend("ann", SCOPE, channel="web")
    assert released(gate) == 3
    gate.choose("ann", "withdraw", channel="web")
    assert released(gate) == 0


def test_an_amendment_carries_its_subjects_own_act(gate):
    """Time, channel, language and the hash of the text that was shown stand in the ledger."""
    text = gate.amendment_text(SCOPE, "en")
    signed = gate.amend("ann", SCOPE, channel="web")
    assert signed.event.body["evidence"] == {
        "time": gate.now(), "channel": "web", "language": "en", "text": sha256(text.encode()),
    }  # fmt: skip
    assert signed.amendments == (SCOPE,) == gate.state(["ann"]).subjects["ann"].amendments
    record = signed.record()
    assert record["event"] == gate.store.head().index
    assert record["lines"] == [
        {"purpose": PURPOSE, "data_class": "message.direct", "recipient": RECIPIENT,
         "from": "2024-01-10", "to": "2024-06-01"}
    ]  # fmt: skip


# ── what is refused ───────────────────────────────────────────────────────────────────────────

AFTER = Span(time_of("2024-05-01"), END)

IN_VAIN = {
    "somebody else's contract": ("cem", {}, "no contract premium"),
    "somebody without a contract": ("dia", {}, "no contract premium"),
    "somebody without an account": ("stranger", {}, "not a registered member"),
    "nobody": ("nobody", {}, "not a registered member"),
    "no name": ("", {}, "not a registered member"),
    "half a character": ("\ud800", {}, "."),
    "no such contract": ("ann", {"contract": "gold"}, "unknown contract"),
    "terms that forbid nothing": ("cem", {"contract": "basic"}, "nothing in contract basic"),
    "a purpose not forbidden": ("ann", {"purpose": "infer"}, "nothing in contract"),
    "a class not forbidden": ("ann", {"pattern": "post.public"}, "nothing in contract"),
    "a recipient not forbidden": ("ann", {"recipient": "own"}, "nothing in contract"),
    "a period not forbidden": ("ann", {"span": AFTER}, "nothing in contract"),
    "a purpose that is none": ("ann", {"purpose": "train.everything"}, "unknown purpose"),
    "every purpose": ("ann", {"purpose": "*"}, "unknown purpose"),
    "a class nobody registered": ("ann", {"pattern": "profile"}, "covers no registered"),
    "an unknown recipient": ("ann", {"recipient": "acme"}, "unknown recipient"),
    "a class of recipients": ("ann", {"recipient": "third_party"}, "unknown recipient"),
    "every recipient": ("ann", {"recipient": "*"}, "unknown recipient"),
    "all time": ("ann", {"span": Span()}, "names its period"),
    "a period that ends before it begins": ("ann", {"span": Span(5, 4)}, "ends before it begins"),
    "a period of no length": ("ann", {"span": Span(5, 5)}, "ends before it begins"),
    "a period after all time": ("ann", {"span": Span(END, END)}, "ends before it begins"),
}


@pytest.mark.parametrize("name", IN_VAIN)
def test_an_amendment_in_vain_is_refused(name, gate):
    """Who has no such contract, or would lift nothing, signs nothing: nothing is recorded."""
    subject, change, why = IN_VAIN[name]
    before = gate.store.head()
    with pytest.raises((InputError, UsageError), match=why):
        gate.amend(subject, replace(SCOPE, **change), channel="web")
    assert gate.store.head() == before


def test_an_amendment_without_an_act_is_refused(gate):
    """How it was signed has to be said, in a language that the text has; twice is once."""
    before = gate.store.head()
    for channel, language in (("", "en"), ("\ud800", "en"), ("web", "fr"), ("web", "de")):
        with pytest.raises(InputError):
            gate.amend("ann", SCOPE, channel=channel, language=language)
    assert gate.store.head() == before
    gate.amend("ann", SCOPE, channel="web")
    with pytest.raises(InputError, match="already"):
        gate.amend("ann", SCOPE, channel="web")


# ── the text ──────────────────────────────────────────────────────────────────────────────────

PURPOSES = {
    "train.generative": {"en": "train text models", "de": "Textmodelle trainieren"},
    "infer": {"en": "answer you", "de": "Ihnen antworten"},
}
CLASSES = {
    "message.direct": {"en": "your messages", "de": "Ihre Nachrichten"},
    "message.group": {"en": "group messages", "de": "Gruppennachrichten"},
    "post": {"en": "your posts"},
}
THIRD = RecipientClass.THIRD_PARTY
RECIPIENTS = {"tern": Recipient("tern", "Tern GmbH", THIRD),
              "erne": Recipient("erne", "Tern GmbH", THIRD),
              "own": Recipient("own", "Tern GmbH", RecipientClass.CONTROLLER)}  # fmt: skip


def text(language="en", **change):
    """Render an amendment."""
    scope = {"contract": "premium", "purpose": "infer", "pattern": "message.direct",
             "recipient": "tern", "span": Span(DAY, 9 * DAY)} | change  # fmt: skip
    return render(Amendment(**scope), language, PURPOSES, CLASSES, RECIPIENTS)


def test_the_text_says_what_is_lifted():
    """Contract, who, what, what for and from when stand in it, in either language."""
    for language, words in (("en", "answer you"), ("de", "Ihnen antworten")):
        found = text(language)
        for each in ("(premium)", f"{words} (infer)", "(message.direct)", "Tern GmbH", "(tern)",
                     "1970-01-02", "1970-01-10"):  # fmt: skip
            assert each in found
    assert "1970-01-10" not in text(span=Span(DAY, END))
    assert "group messages (message.group)" in text(pattern="message.*")


def test_whatever_changes_the_scope_changes_the_text():
    """No two scopes share a text; the same scope gives the same text."""
    changes = [
        {}, {"contract": "gold"}, {"purpose": "train.generative"}, {"pattern": "message.group"},
        {"pattern": "message.*"}, {"recipient": "erne"}, {"recipient": "own"},
        {"span": Span(DAY, END)}, {"span": Span(DAY + 1, 9 * DAY)},
        {"language": "de"},
    ]  # fmt: skip
    for one, other in combinations(changes, 2):
        assert text(**one) != text(**other)
    assert text() == text()


@pytest.mark.parametrize(
    "change",
    [{"language": "fr"}, {"language": "de", "pattern": "post"}, {"purpose": "evaluate"},
     {"pattern": "profile"}, {"recipient": "acme"}],
    ids=str,
)  # fmt: skip
def test_nothing_is_left_out_of_a_text(change):
    """What has no words in a language has no text in it."""
    with pytest.raises(PolicyError):
        text(**change)


# ── the commands ──────────────────────────────────────────────────────────────────────────────


def test_the_commands_show_sign_and_list(gate, capsys):
    """What `text` prints is what `amend` records, and `list` tells of both."""
    here = ["-w", str(gate.folder), "--now", "2024-06-01", "--json"]
    code, shown = run(capsys, "contract", "text", "premium", *OPTIONS, *here)
    assert code == 0
    digest = json.loads(shown)["sha256"]
    code, signed = run(capsys, "contract", "amend", "ann", "premium", *OPTIONS, *here)
    assert code == 0
    assert json.loads(signed)["text"] == digest
    code, listed = run(capsys, "contract", "list", "ann", *here)
    (found,) = json.loads(listed)["contracts"]
    assert (found["contract"], found["forbids"]) == ("premium", ["confidential"])
    assert found["amendments"] == [json.loads(signed)]
    words = here[:-1]
    assert digest in run(capsys, "contract", "text", "premium", *OPTIONS, *words)[1]
    assert "lifted: train.generative" in run(capsys, "contract", "list", "ann", *words)[1]
    assert "forbids by nothing" in run(capsys, "contract", "list", "cem", *words)[1]
    assert "has no contract" in run(capsys, "contract", "list", "dia", *words)[1]
    narrower = [*OPTIONS, "--to", "2024-02-01"]
    assert "event" in run(capsys, "contract", "amend", "ann", "premium", *narrower, *words)[1]
    for hostile in (["contract", "list", "[/]"], ["contract", "text", "gold", *OPTIONS],
                    ["contract", "amend", "cem", "premium", *OPTIONS],
                    ["contract", "text", "premium", *OPTIONS[:-1], "soon"]):  # fmt: skip
        with pytest.raises(LetterlockError):
            run(capsys, *hostile, *words)
