"""Receipts: the record says what was recorded, and what is not known is said to be not known."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from letterlock.domain import Recipient, RecipientClass, canonical
from letterlock.errors import InputError, ProofError, UnknownVersion
from letterlock.evidence import receipt
from letterlock.evidence.receipt import Known, Party
from letterlock.ledger import Event, fold_rules

GRANT, EXPLICIT, WITHDRAWN, OBJECTED = 14, 19, 20, 21
ORIGIN = "letterlock.example/log"
FULL = Known(
    "7",
    (Party("heron", "Heron Social Ltd", "1 Mere Road, Dublin", "privacy@heron.example"),),
    {"tern": Recipient("tern", "Tern Models GmbH", RecipientClass.THIRD_PARTY)},
    ("IE", "DE"),
    "P2Y",
    "IE",
    "Settings, Train AI on my messages: off",
)


def record(world, index, known=None):
    """Return the record of a choice of the world."""
    event = world.events[index]
    known = known or receipt.known_of(event, fold_rules(world.events[:index], event.time))
    return receipt.record(event, world.commitment(index), ORIGIN, known)


@pytest.mark.parametrize(
    ("index", "kind", "state"),
    [
        (GRANT, "dpv:ConsentRecord", "dpv:ConsentGiven"),
        (WITHDRAWN, "dpv:ConsentRecord", "dpv:ConsentWithdrawn"),
        (OBJECTED, "ll:Objection", None),
    ],
)
def test_a_record_has_one_of_the_states_that_there_are(world, index, kind, state):
    """An objection is no state of a consent, and no record of one."""
    found = record(world, index)
    assert found["@type"] == kind
    assert found["ll:choice"].get("dpv:hasConsentStatus") == state
    assert ("dct:conformsTo" in found) == (state is not None)


def test_what_is_not_known_is_said_to_be_not_known(world):
    """Nothing stands there in its place, and each field is named."""
    found = record(world, WITHDRAWN, Known())
    assert found["ll:notKnown"] == [
        "jurisdiction", "language", "party_address", "party_contact", "party_name",
        "pii_controllers", "privacy_notice", "retention_period", "storage_locations",
        "withdrawal_method",
    ]  # fmt: skip
    for absent in ("dpv:hasNotice", "dpv:hasDataController", "dpv:hasStorageCondition"):
        assert absent not in found


def test_a_full_record_lacks_nothing_that_the_standard_asks_for(world):
    """Notice, parties, storage, retention, jurisdiction, recipients and how to withdraw."""
    found = record(world, GRANT, FULL)
    assert "ll:notKnown" not in found
    assert found["dpv:hasNotice"]["dct:identifier"] == "7"
    assert found["dct:language"] == "en"
    (party,) = found["dpv:hasDataController"]
    assert party["dpv:hasName"] == "Heron Social Ltd"
    assert party["dpv:hasContact"] == "privacy@heron.example"
    assert [each["@type"] for each in found["dpv:hasStorageCondition"]] == [
        "dpv:StorageLocation", "dpv:StorageLocation", "dpv:StorageDuration",
    ]  # fmt: skip
    assert found["dpv:hasRecipient"][0]["dpv:hasName"] == "Tern Models GmbH"
    assert found["dpv:hasConsentControl"]["@type"] == "dpv:WithdrawConsent"


def test_the_id_of_a_record_follows_from_its_commitment(world):
    """It is a UUID of version 4, and nobody has to keep it."""
    found = record(world, GRANT)
    assert found["@id"] == f"urn:uuid:{found['dct:identifier']}"
    assert found["dct:identifier"][14] == "4"
    assert found["dct:identifier"][:8] == world.commitment(GRANT).hex()[:8]
    assert found["ll:log"] == {
        "ll:origin": ORIGIN, "ll:index": GRANT, "ll:commitment": world.commitment(GRANT).hex(),
    }  # fmt: skip


def test_a_record_can_be_written_as_one_text_only(world):
    """Its canonical bytes read back as the same record."""
    for index in (GRANT, EXPLICIT, WITHDRAWN, OBJECTED):
        found = record(world, index)
        assert json.loads(canonical(found)) == found


def test_an_explicit_yes_says_what_it_covers_and_until_when(world):
    """Sensitive categories and expiry are in the record and on the page."""
    (line,) = record(world, EXPLICIT)["dpv:hasProcess"]
    assert line["dpv:hasLegalBasis"] == "dpv:ExplicitlyExpressedConsent"
    assert line["ll:sensitiveCategory"] == ["health"]
    assert line["dct:valid"] == "2026-02-05T00:00:00Z"
    told = receipt.told(world.events[EXPLICIT], ORIGIN, logged=True, signed=False)
    assert any("until 2026-02-05, with what is sensitive: health" in each for each in told)


@pytest.mark.parametrize("index", [GRANT, EXPLICIT, WITHDRAWN, OBJECTED])
def test_every_part_that_follows_from_the_event_is_compared_with_it(world, index):
    """Changed or left out, each one is found."""
    event, commitment = world.events[index], world.commitment(index)
    good = record(world, index)
    receipt.check_record(good, event, commitment, ORIGIN)
    platform = {"dpv:hasNotice", "dpv:hasDataController", "dpv:hasRecipient", "ll:notKnown"}
    for key in good.keys() - platform:
        for bad in ({**good, key: "else"}, {k: v for k, v in good.items() if k != key}):
            with pytest.raises(ProofError, match="something else"):
                receipt.check_record(bad, event, commitment, ORIGIN)
    with pytest.raises(InputError, match="unknown"):
        receipt.check_record({**good, "more": 1}, event, commitment, ORIGIN)
    with pytest.raises(ProofError):
        receipt.check_record(good, event, commitment, "other.example/log")


def test_a_text_that_was_changed_since_names_no_version(world):
    """Of a choice made by another text, the version is not known."""
    event = world.events[GRANT]
    body = {**event.body, "evidence": {**event.body["evidence"], "text": "0" * 64}}
    rules = fold_rules(world.events[:GRANT], event.time)
    assert receipt.known_of(event, rules).version == "7"
    assert not receipt.known_of(replace(event, body=body), rules).version
    assert not receipt.known_of(event, fold_rules([], 0)).version


def test_only_a_choice_has_a_receipt(world):
    """Other events and malformed bodies are refused."""
    event = world.events[GRANT]
    for other in (
        replace(event, kind="subject.registered"),
        replace(event, body=None),
        replace(event, body={**event.body, "lines": []}),
    ):
        with pytest.raises(InputError):
            receipt.record(other, bytes(32), ORIGIN, Known())
    with pytest.raises(UnknownVersion):
        receipt.read_event(replace(event, v=2).canonical())
    assert receipt.read_event(event.canonical()) == event


def test_a_promise_has_five_lines(world):
    """One more, one less or another label is no promise."""
    event, commitment, found = world.events[GRANT], world.commitment(GRANT), record(world, GRANT)
    text = receipt.signed_text(ORIGIN, GRANT, commitment, found)
    assert receipt.check_signed(text, event, commitment, found) == ORIGIN
    for bad in (text + "x\n", text[:-1], text.replace("v1", "v2"), ""):
        with pytest.raises(InputError):
            receipt.check_signed(bad, event, commitment, found)


def test_how_it_was_done_and_the_text_shown_are_told(world):
    """As far as they were recorded."""
    told = receipt.told(world.events[GRANT], ORIGIN, logged=True, signed=False)
    assert "That was done by web, through the setting train, in en." in told
    text = world.events[GRANT].body["evidence"]["text"]
    assert f"The text shown has the SHA-256 {text}." in told
    told = receipt.told(world.events[WITHDRAWN], ORIGIN, logged=True, signed=False)
    assert "That was done by web." in told


def test_many_lines_are_told_in_few():
    """A page stays a page: the rest stands in the file."""
    lines = [{"purpose": "evaluate", "data_class": f"c{n}", "to": 5} for n in range(40)]
    event = Event(3, 9, "choice.made", {"subject": "a", "act": "object", "lines": lines}, "a")
    told = receipt.told(event, ORIGIN, logged=False, signed=True)
    assert sum(each.startswith("  ") for each in told) == 9
    assert "  and 32 lines more, which stand in the file." in told
    assert "  c0, for evaluate, to anybody, made before 1970-01-01T00:00:00.000005Z" in told


def test_what_a_receipt_does_not_show_depends_on_who_vouches():
    """Only a promise: the log may not hold it; only a proof: nobody signed the rest."""
    assert any("promise" in each for each in receipt.not_proved(logged=False, signed=True))
    assert any("nobody signed" in each for each in receipt.not_proved(logged=True, signed=False))
