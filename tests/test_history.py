"""A person's history: everything recorded of them, nothing of anybody else, and what stands now."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock import ledger
from letterlock.domain import END, PURPOSES, Item, Party, Reason, Request, Role, canonical
from letterlock.errors import UnknownVersion
from letterlock.history import CONTEXT, history
from letterlock.ledger import PERSONAL, Event, fold, fold_rules
from letterlock.policy.decide import decide
from worlds import Maker, day

TEXT = "a" * 64
EVIDENCE = {"time": day(-0.25), "channel": "web", "language": "en", "text": TEXT}
SCOPE = {"purpose": "train.generative", "data_class": "post.public", "recipient": "maker"}
POLICY = {
    "version": "1",
    "effective_at": day(0),
    "window": 0,
    "clauses": [{"id": "a-yes", "level": "grant"}],
    "data_classes": ["post.public"],
    "settings": {
        "genai": {
            "title": "Use of my posts",
            "purposes": ["train.generative"],
            "data_classes": ["post.public"],
            "recipients": ["maker"],
        }
    },
    "texts": {"genai": {"en": TEXT}},
}
MEMBER = {
    "subject": "p/1 ü",
    "member": True,
    "facts": [
        {"kind": "jurisdiction", "value": "US"},
        {"kind": "birth_year", "value": 1980, "from": day(-10)},
        {"kind": "contract", "to": day(5)},
    ],
    "noticed": ["1"],
}
STORY = [
    (0, "recipient.registered", {"recipient": "maker", "name": "M Ltd.", "class": "third_party"}),
    (0, "recipient.registered", {"recipient": "own", "name": "Own Inc.", "class": "controller"}),
    (0, "region.published", {"ages": {"US": 0}, "clauses": []}),
    (0, "policy.published", POLICY),
    (1, "subject.registered", MEMBER),
    (2, "choice.made", {"act": "grant", "lines": [SCOPE], "evidence": EVIDENCE}),
]


def tell(*more):
    """Return the story's events with more of them, as of its end."""
    events = []
    for n, (when, kind, body) in enumerate([*STORY, *more]):
        about = {"subject": MEMBER["subject"]} if kind in {*PERSONAL, "consent.claimed"} else {}
        full = body if body is None else {**about, **body}
        events.append(Event(n, day(when), kind, full, about.get("subject")))
    return events


def told(*more, as_of=100):
    """Return the history of the story's person with more events in it."""
    events = tell(*more)
    return history(events, MEMBER["subject"], fold_rules(events, day(as_of)))


def last(*more):
    """Return the last event that is told."""
    return told(*more)["ll:events"][-1]


# ── what is told ────────────────────────────────────────────────────────────────────────────


def test_the_head_says_whose_history_it_is_and_as_of_when():
    """Subject, time and vocabulary stand at the top; ids are IRIs whatever a person is called."""
    found = told()
    assert found["@id"] == "urn:letterlock:history:p%2F1%20%C3%BC"
    assert found["dpv:hasDataSubject"] == {
        "@id": "urn:letterlock:subject:p%2F1%20%C3%BC",
        "@type": "dpv:DataSubject",
        "dct:identifier": "p/1 ü",
    }
    assert found["ll:asOf"] == "2024-04-10T00:00:00Z"
    assert found["dct:conformsTo"] == "https://w3id.org/dpv/2.3"


def test_a_registration_is_told_with_its_facts_and_notices():
    """Facts say from when and until when; a place is a jurisdiction; a fact may say unknown."""
    assert told()["ll:events"][0] == {
        "@id": "urn:letterlock:event:4",
        "@type": "ll:Registration",
        "ll:kind": "subject.registered",
        "ll:recordedAt": "2024-01-02T00:00:00Z",
        "ll:member": True,
        "ll:fact": [
            {"@type": "ll:Fact", "ll:factKind": "jurisdiction", "dpv:hasJurisdiction": "US"},
            {
                "@type": "ll:Fact",
                "ll:factKind": "birth_year",
                "ll:value": 1980,
                "ll:from": "2023-12-22T00:00:00Z",
            },
            {"@type": "ll:Fact", "ll:factKind": "contract", "ll:to": "2024-01-06T00:00:00Z"},
        ],
        "dpv:hasNotice": [
            {
                "@id": "urn:letterlock:policy:1",
                "@type": "dpv:PrivacyNotice",
                "dct:identifier": "1",
            }
        ],
    }


def test_a_grant_is_told_with_its_text_setting_and_version():
    """A grant is a consent given: its act, its text, where that text stands, and each line."""
    found = told()["ll:events"][1]
    assert found["@type"] == "dpv:ConsentRecord"
    assert found["dpv:hasConsentStatus"] == "dpv:ConsentGiven"
    assert found["dpv:isIndicatedAtTime"] == "2023-12-31T18:00:00Z"
    assert found["dpv:hasIndicationMethod"] == "web"
    assert found["dct:language"] == "en"
    assert found["ll:textHash"] == TEXT
    assert found["ll:setting"] == "genai"
    assert found["dpv:hasNotice"]["dct:identifier"] == "1"
    assert found["dpv:hasProcess"] == [
        {
            "@type": "dpv:Process",
            "dpv:hasPurpose": [
                {"@id": "urn:letterlock:purpose:train.generative", "@type": "dpv:Purpose"},
                {"@id": "dpv:ResearchAndDevelopment"},
            ],
            "dpv:hasProcessing": "ai:ModelTraining",
            "dpv:hasPersonalData": {
                "@id": "urn:letterlock:data:post.public",
                "@type": "dpv:PersonalData",
            },
            "dpv:hasRecipient": {
                "@id": "urn:letterlock:recipient:maker",
                "@type": "dpv:ThirdParty",
                "dpv:hasName": "M Ltd.",
            },
            "dpv:hasLegalBasis": "dpv:ExpressedConsent",
            "ll:earlierPeriod": False,
            "ll:madeFrom": "2024-01-03T00:00:00Z",
        }
    ]


def test_a_grant_for_an_earlier_period_ends_by_its_recording():
    """An explicit, earlier, expiring line says all of it; a text of no version has no notice."""
    line = {
        **SCOPE, "from": day(-9), "to": day(9), "earlier": True, "explicit": True,
        "categories": ["pay", "health"], "expires": day(50),
    }  # fmt: skip
    evidence = {**EVIDENCE, "text": "b" * 64, "setting": "another"}
    found = last((3, "choice.made", {"act": "grant", "lines": [line], "evidence": evidence}))
    process = found["dpv:hasProcess"][0]
    assert process["ll:madeFrom"] == "2023-12-23T00:00:00Z"
    assert process["ll:madeBefore"] == "2024-01-04T00:00:00Z"
    assert process["ll:earlierPeriod"] is True
    assert process["dpv:hasLegalBasis"] == "dpv:ExplicitlyExpressedConsent"
    assert process["ll:sensitiveCategory"] == ["health", "pay"]
    assert process["ll:expires"] == "2024-02-20T00:00:00Z"
    assert "dpv:hasNotice" not in found
    assert found["ll:setting"] == "another"


def test_a_withdrawal_of_everything_is_told_as_one():
    """`*` is told as such, and ends no time."""
    found = last((3, "choice.made", {"act": "withdraw", "lines": [{}]}))
    assert found["@type"] == "dpv:ConsentRecord"
    assert found["dpv:hasConsentStatus"] == "dpv:ConsentWithdrawn"
    (process,) = found["dpv:hasProcess"]
    assert process["dpv:hasPurpose"] == [
        {"@id": "urn:letterlock:purpose:%2A", "@type": "dpv:Purpose"}
    ]
    assert process["dpv:hasRecipient"] == {
        "@id": "urn:letterlock:recipient:%2A",
        "@type": "dpv:Recipient",
    }
    assert not {"ll:madeFrom", "ll:madeBefore", "dpv:hasLegalBasis"} & process.keys()


def test_an_objection_is_no_state_of_a_consent():
    """An objection to a class of recipients is told as an objection, with its period."""
    line = {"recipient": "third_party", "from": day(0), "to": day(1)}
    found = last((3, "choice.made", {"act": "object", "lines": [line]}))
    assert found["@type"] == "ll:Objection"
    assert found["dpv:hasEntityInvolvement"] == "dpv:ObjectingToProcess"
    assert "dpv:hasConsentStatus" not in found
    (process,) = found["dpv:hasProcess"]
    assert process["dpv:hasRecipient"]["@id"] == "urn:letterlock:recipients:third_party"
    assert process["ll:madeFrom"] == "2024-01-01T00:00:00Z"
    assert process["ll:madeBefore"] == "2024-01-02T00:00:00Z"


def test_a_notice_is_told_with_the_evidence_of_its_delivery():
    """Time, channel, message and text stand in their terms; what has none stays as it is."""
    evidence = {
        "time": day(2), "channel": "mail", "message_id": "<m@x>", "text": TEXT, "bounced": False,
    }  # fmt: skip
    found = last((3, "notice.delivered", {"version": "1", "evidence": evidence}))
    assert found["@type"] == "ll:NoticeDelivery"
    assert found["dpv:hasNoticeStatus"] == "dpv:NoticeCommunicated"
    assert found["dpv:hasNotice"]["@id"] == "urn:letterlock:policy:1"
    assert found["dpv:isIndicatedAtTime"] == "2024-01-03T00:00:00Z"
    assert found["dpv:hasIndicationMethod"] == "mail"
    assert found["ll:messageId"] == "<m@x>"
    assert found["ll:body"] == {"bounced": False}
    bare = last((3, "notice.delivered", {"version": "1"}))
    assert not {"dpv:isIndicatedAtTime", "ll:body", "ll:textHash"} & bare.keys()


def test_what_is_said_of_a_version_is_told():
    """An objection to a version and its taking back are told as two events."""
    one = (3, "version.objected", {"version": "1"})
    assert last(one)["@type"] == "ll:VersionObjection"
    assert last(one)["dpv:hasEntityInvolvement"] == "dpv:ObjectingToProcess"
    back = last(one, (4, "version.objection_withdrawn", {"version": "1"}))
    assert back["@type"] == "ll:VersionObjectionWithdrawn"
    assert back["dpv:hasNotice"]["dct:identifier"] == "1"
    assert "dpv:hasEntityInvolvement" not in back


def test_a_fact_and_an_amendment_are_told():
    """A later fact, and a signed lifting of a contract's clause with its lines."""
    fact = last((3, "subject.fact", {"kind": "contract", "value": "premium"}))
    assert fact["ll:fact"] == [
        {"@type": "ll:Fact", "ll:factKind": "contract", "ll:value": "premium"}
    ]
    line = {**SCOPE, "from": day(1)}
    body = {"contract": "premium", "lines": [line], "evidence": {**EVIDENCE, "channel": "paper"}}
    found = last((3, "contract.amended", body))
    assert found["ll:contract"] == "premium"
    assert found["dpv:hasIndicationMethod"] == "paper"
    assert found["dpv:hasProcess"][0]["ll:madeFrom"] == "2024-01-02T00:00:00Z"
    assert "dpv:hasLegalBasis" not in found["dpv:hasProcess"][0]


def test_a_claim_of_prior_consent_is_evidence_and_no_consent(monkeypatch):
    """What somebody claims is told as it was recorded; its state is unknown."""
    monkeypatch.setattr(ledger, "KINDS", ledger.KINDS | {"consent.claimed"})
    found = last((3, "consent.claimed", {"claim": {"source": "old table", "value": 1}}))
    assert found["@type"] == "ll:ConsentClaim"
    assert found["dpv:hasConsentStatus"] == "dpv:ConsentUnknown"
    assert found["ll:claim"] == {"source": "old table", "value": 1}


def test_an_event_this_module_has_no_words_for_is_told_as_recorded(monkeypatch):
    """A kind that the ledger knows and DPV does not stands there with its whole body."""
    monkeypatch.setattr(ledger, "KINDS", ledger.KINDS | {"subject.moved"})
    events = [*tell(), Event(6, day(3), "subject.moved", {"subject": "x", "a": 1}, "p/1 ü")]
    found = history(events, "p/1 ü", fold_rules(events, day(9)))["ll:events"][-1]
    assert found["@type"] == "ll:Event"
    assert found["ll:body"] == {"subject": "x", "a": 1}


def test_an_event_of_another_time_is_not_guessed():
    """A kind that nobody here knows ends the telling: what stands now would be a guess."""
    events = [*tell(), Event(6, day(3), "choice.undone", {"subject": "p/1 ü"}, "p/1 ü")]
    with pytest.raises(UnknownVersion):
        history(events, "p/1 ü", fold_rules(tell(), day(9)))


def test_an_erased_event_keeps_its_place_and_nothing_else():
    """Of what was erased only time and kind are told; and its person is unknown from then on."""
    whole = told()
    events = tell((7, "event.erased", {"index": 5}))
    events[5] = Event(5, day(2), "choice.made", None, "p/1 ü")
    found = history(events, "p/1 ü", fold_rules(events, day(100)))
    assert found["ll:events"][0] == whole["ll:events"][0]
    assert found["ll:events"][1] == {
        "@id": "urn:letterlock:event:5",
        "@type": "ll:ErasedEvent",
        "ll:kind": "choice.made",
        "ll:recordedAt": "2024-01-03T00:00:00Z",
        "ll:erasedAt": "2024-01-08T00:00:00Z",
    }
    assert not found["dpv:hasPermission"]
    assert {node["ll:reason"] for node in found["dpv:hasProhibition"]} == {"unknown_party"}
    without = [event for event in events if event.kind != "event.erased"]
    told_without = history(without, "p/1 ü", fold_rules(without, day(100)))
    assert "ll:erasedAt" not in told_without["ll:events"][1]


def test_an_erasure_that_was_itself_erased_names_nothing():
    """An erasure without its body is passed over."""
    events = [*tell(), Event(6, day(3), "event.erased", None)]
    assert len(history(events, "p/1 ü", fold_rules(events, day(9)))["ll:events"]) == 2


def test_what_stands_now_is_said_of_everything_there_is():
    """One permission, for what the grant covers; every other combination is refused, and why."""
    found = told()
    (permission,) = found["dpv:hasPermission"]
    assert permission["@type"] == "dpv:Permission"
    assert permission["dpv:hasPurpose"][0]["@id"] == "urn:letterlock:purpose:train.generative"
    assert permission["dpv:hasRecipient"]["@id"] == "urn:letterlock:recipient:maker"
    assert len(found["dpv:hasProhibition"]) == len(PURPOSES) * 2 - 1
    assert {node["ll:reason"] for node in found["dpv:hasProhibition"]} == {"no_grant"}
    refused = told((3, "choice.made", {"act": "withdraw", "lines": [{}]}))
    assert not refused["dpv:hasPermission"]
    assert {n["dct:description"] for n in refused["dpv:hasProhibition"]} == {"someone withdrew"}


def test_nobody_is_told_of_somebody_nobody_knows():
    """A person of whom nothing is recorded has no events, and nothing is permitted."""
    events = tell()
    found = history(events, "nobody", fold_rules(events, day(9)))
    assert found["ll:events"] == []
    assert found["dpv:hasPermission"] == []


# ── properties ──────────────────────────────────────────────────────────────────────────────


def world(seed):
    """Draw a random world with one person to ask about."""
    made = Maker(seed).make()
    return made, made.events(), made.people[seed % len(made.people)]


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_every_event_about_a_person_is_told_once_and_in_order(seed):
    """What is told is what is recorded of them by T, and nothing of anybody else."""
    made, events, person = world(seed)
    found = history(events, person, fold_rules(events, made.as_of))
    theirs = [e for e in events if e.subject == person and e.time <= made.as_of]
    assert [n["@id"] for n in found["ll:events"]] == [
        f"urn:letterlock:event:{e.index}" for e in theirs
    ]
    lines = [len(e.body.get("lines", ())) for e in theirs]
    assert [len(n.get("dpv:hasProcess", ())) for n in found["ll:events"]] == lines
    others = set(made.people) - {person}
    assert not others & set(re.findall(r"p\d+", json.dumps(found)))


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_what_is_told_does_not_depend_on_others_or_on_what_came_later(seed):
    """Their own events, and these as of T, give the same bytes as all events do."""
    made, events, person = world(seed)
    rules = fold_rules(events, made.as_of)
    found = canonical(history(events, person, rules))
    mine = [e for e in events if e.subject == person and e.time <= made.as_of]
    assert canonical(history(iter(mine), person, rules)) == found


@settings(max_examples=25)
@given(st.integers(0, 2**32))
def test_what_stands_now_is_the_decision(seed):
    """Permission and prohibition partition everything as the decision does, with its reason."""
    made, events, person = world(seed)
    state = fold(events, made.as_of)
    found = history(events, person, state.rules)
    stands = {}
    for node in (*found["dpv:hasPermission"], *found["dpv:hasProhibition"]):
        key = (
            node["dpv:hasPurpose"][0]["@id"],
            node["dpv:hasRecipient"]["@id"],
            node["dpv:hasPersonalData"]["@id"],
        )
        assert key not in stands
        stands[tuple(part.rsplit(":", 1)[1] for part in key)] = node.get("ll:reason")
    assert len(stands) == len(PURPOSES) * len(state.rules.recipients) * len(
        state.rules.data_classes
    )
    for (purpose, recipient, data_class), reason in stands.items():
        item = Item("i", data_class, made.as_of, (Party(person, Role.AUTHOR),))
        answer = decide(Request(purpose, recipient), item, state).reason
        assert answer == (None if reason is None else Reason[reason.upper()])


def nodes(value):
    """Yield every object in a document."""
    if isinstance(value, dict):
        yield value
        for key, member in value.items():
            if key not in {"@context", "ll:claim", "ll:body"}:
                yield from nodes(member)
    elif isinstance(value, list):
        for member in value:
            yield from nodes(member)


NAME = re.compile(r"(dpv|ai|dct|ll):[A-Za-z]+")


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_the_document_is_json_ld_that_needs_nothing_fetched(seed):
    """Every key is a keyword or a name with a declared prefix; every id is a whole IRI."""
    made, events, person = world(seed)
    found = json.loads(json.dumps(history(events, person, fold_rules(events, made.as_of))))
    assert found["@context"] == dict(CONTEXT)
    for node in nodes(found):
        for key, value in node.items():
            assert key in {"@context", "@id", "@type"} or NAME.fullmatch(key), key
            if key == "@id":
                assert re.fullmatch(r"urn:letterlock:[a-z]+:[A-Za-z0-9._~%-]+|dpv:[A-Za-z]+", value)
            if key == "@type" or CONTEXT.get(key) == {"@type": "@id"}:
                assert NAME.fullmatch(value) or value.startswith("https://"), (key, value)
            if CONTEXT.get(key) == {"@type": "xsd:dateTime"}:
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value)
            assert str(END) not in str(value)
