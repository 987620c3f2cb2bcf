"""Receipts: what somebody chose, in her own copy, bound to the log. Spec: docs/spec/evidence.md §4.

The record follows ISO/IEC TS 27560:2023 in the terms of the Data Privacy Vocabulary (DPV-27560,
JSON-LD). What it says of the choice comes from the recorded event and is compared with it; what
else the standard asks for is the platform's word, and what is not known stands there as not known.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from letterlock.domain import (
    ANY,
    END,
    Act,
    Line,
    Recipient,
    RecipientClass,
    Rulebook,
    canonical,
    is_training,
    names,
    sha256,
    text_of,
)
from letterlock.errors import InputError, ProofError
from letterlock.evidence import strict
from letterlock.evidence.finding import word
from letterlock.history import DPV_PURPOSES, spanned, urn, when
from letterlock.ledger import Event, check_version, said

KIND: Final = "choice.made"
FORMAT: Final = "letterlock/receipt/v1"
PROFILE: Final = "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"
MAX_EVENT: Final = 2**20
"""Bytes of the event that a receipt is of."""

_CONTEXT: Final[Mapping[str, Any]] = {
    "dpv": "https://w3id.org/dpv#",
    "ai": "https://w3id.org/dpv/ai#",
    "dct": "http://purl.org/dc/terms/",
    "ll": "urn:letterlock:term:",
    "dct:conformsTo": {"@type": "@id"},
    "dpv:hasConsentStatus": {"@type": "@id"},
    "dpv:hasEntityInvolvement": {"@type": "@id"},
    "dpv:hasLegalBasis": {"@type": "@id"},
    "dpv:hasProcessing": {"@type": "@id"},
    "dpv:isImplementedByEntity": {"@type": "@id"},
}
_EVENT: Final = {"body": dict, "index": int, "kind": str, "time": int, "v": int}
_LINES: Final = 5
_SHOWN: Final = 8
_STATES: Final = {Act.GRANT: "dpv:ConsentGiven", Act.WITHDRAW: "dpv:ConsentWithdrawn"}
_ACTS: Final = {
    Act.GRANT: "said yes to",
    Act.WITHDRAW: "withdrew, so said no to",
    Act.OBJECT: "objected, so said no to",
}


@dataclass(frozen=True, slots=True)
class Party:
    """A legal entity as the record names it; empty: not known."""

    id: str
    name: str = ""
    address: str = ""
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What a record says beside the choice itself, by the platform's word; empty: not known."""

    version: str = ""
    controllers: Sequence[Party] = ()
    recipients: Mapping[str, Recipient] = field(default_factory=dict)
    storage_locations: Sequence[str] = ()
    retention_period: str = ""
    jurisdiction: str = ""
    withdrawal_method: str = ""


def known_of(event: Event, rules: Rulebook) -> Known:
    """Return what the rulebook as of an event knows: whose text was shown, and who the parties are.

    A controller is a recipient that is registered as one.
    """
    text = (event.body or {}).get("evidence", {}).get("text")
    before = [version for version in rules.policies if version.index < event.index]
    version = before[-1].version if before and text in before[-1].texts.values() else ""
    controllers = [
        Party(each.id, each.name)
        for each in rules.recipients.values()
        if each.recipient_class is RecipientClass.CONTROLLER
    ]
    return Known(version, controllers, rules.recipients)


# ── the record ──────────────────────────────────────────────────────────────────────────────


def record(event: Event, commitment: bytes, origin: str, known: Known) -> dict[str, Any]:
    """Return the record of a choice as JSON-LD. Raises InputError if it is none."""
    missing = sorted(_missing(event, known))
    return {
        **_of_event(event, commitment, origin),
        **_of_platform(known, _named(event, known)),
        **({"ll:notKnown": missing} if missing else {}),
    }


def _of_event(event: Event, commitment: bytes, origin: str) -> dict[str, Any]:
    """Return what of the record follows from the recorded event alone."""
    body = _checked(event)
    act, shown = Act(body["act"]), body.get("evidence", {})
    name, acted = str(uuid.UUID(bytes=commitment[:16], version=4)), shown.get("time", event.time)
    happened: dict[str, Any] = {
        "@type": "ll:Choice",
        "dct:date": when(acted),
        "ll:recordedAt": when(event.time),
        "dpv:isImplementedByEntity": urn("subject", body["subject"]),
        **({"dpv:hasIndicationMethod": shown["channel"]} if "channel" in shown else {}),
    }
    if act in _STATES:
        happened["dpv:hasConsentStatus"] = _STATES[act]
    else:  # it withdraws nothing, so DPV has no state of a consent for it
        happened["dpv:hasEntityInvolvement"] = "dpv:ObjectingToProcess"
    shown_text = {"ll:textHash": shown["text"]} if "text" in shown else {}
    shown_text |= {"ll:setting": shown["setting"]} if "setting" in shown else {}
    return {
        "@context": dict(_CONTEXT),
        "@id": f"urn:uuid:{name}",
        "@type": "dpv:ConsentRecord" if act in _STATES else "ll:Objection",
        **({"dct:conformsTo": PROFILE} if act in _STATES else {}),
        "dct:identifier": name,
        "dpv:hasDataSubject": {
            "@id": urn("subject", body["subject"]),
            "@type": "dpv:DataSubject",
            "dct:identifier": body["subject"],
        },
        **({"dct:language": shown["language"]} if "language" in shown else {}),
        **shown_text,
        "dpv:hasProcess": [_process(line) for line in said(event).lines],
        "ll:choice": happened,
        "ll:log": {
            "ll:origin": origin,
            "ll:index": event.index,
            "ll:commitment": commitment.hex(),
        },
    }


def _process(line: Line) -> dict[str, Any]:
    """Tell one line of a choice; `*` stands for whatever there is."""
    node: dict[str, Any] = {
        "@type": "dpv:Process",
        "dpv:hasPurpose": [{"@id": urn("purpose", line.purpose), "@type": "dpv:Purpose"}],
        "dpv:hasPersonalData": {"@id": urn("data", line.pattern), "@type": "dpv:PersonalData"},
        "dpv:hasRecipient": {"@id": urn("recipient", line.recipient)},
    }
    if line.purpose in DPV_PURPOSES:
        node["dpv:hasPurpose"].append({"@id": DPV_PURPOSES[line.purpose]})
    node |= {"dpv:hasProcessing": "ai:ModelTraining"} if is_training(line.purpose) else {}
    node |= spanned(line.reach(), "ll:madeFrom", "ll:madeBefore")
    if line.act is not Act.GRANT:
        return node
    given = "dpv:ExplicitlyExpressedConsent" if line.explicit else "dpv:ExpressedConsent"
    node |= {"dpv:hasLegalBasis": given, "ll:earlierPeriod": line.earlier}
    node["dct:valid"] = "until withdrawn" if line.expires_at == END else when(line.expires_at)
    node |= {"ll:sensitiveCategory": sorted(line.categories)} if line.categories else {}
    return node


def _of_platform(known: Known, named: Sequence[str]) -> dict[str, Any]:
    """Return what the platform adds of its own knowledge; nothing is there for what it lacks."""
    recipients = [
        {
            "@id": urn("recipient", name),
            "dpv:hasName": known.recipients[name].name,
            "ll:recipientClass": str(known.recipients[name].recipient_class),
        }
        for name in named
        if name in known.recipients
    ]
    notice = {"@id": urn("policy", known.version), "@type": "dpv:PrivacyNotice"}
    said_of = {
        "dpv:hasNotice": notice | {"dct:identifier": known.version} if known.version else None,
        "dpv:hasDataController": [_party(each) for each in known.controllers],
        "dpv:hasRecipient": recipients,
        "dpv:hasStorageCondition": [
            *({"@type": "dpv:StorageLocation", "dpv:hasLocation": each}
              for each in known.storage_locations),
            *([{"@type": "dpv:StorageDuration", "dpv:hasDuration": known.retention_period}]
              if known.retention_period else []),
        ],
        "dpv:hasJurisdiction": known.jurisdiction,
        "dpv:hasConsentControl": {
            "@type": "dpv:WithdrawConsent", "dct:description": known.withdrawal_method,
        } if known.withdrawal_method else None,
    }  # fmt: skip
    return {key: value for key, value in said_of.items() if value}


def _party(party: Party) -> dict[str, Any]:
    node = {"@id": urn("recipient", party.id), "@type": "dpv:DataController"}
    more = {
        "dct:identifier": party.id,
        "dpv:hasName": party.name,
        "dpv:hasAddress": party.address,
        "dpv:hasContact": party.contact,
    }
    return node | {key: value for key, value in more.items() if value}


def _missing(event: Event, known: Known) -> Iterator[str]:
    """Yield the fields that the standard asks for and about which nothing is known."""
    shown = (event.body or {}).get("evidence", {})
    said_of = {
        "privacy_notice": known.version,
        "language": shown.get("language"),
        "pii_controllers": known.controllers,
        "party_name": known.controllers and all(each.name for each in known.controllers),
        "party_address": known.controllers and all(each.address for each in known.controllers),
        "party_contact": known.controllers and all(each.contact for each in known.controllers),
        "storage_locations": known.storage_locations,
        "retention_period": known.retention_period,
        "jurisdiction": known.jurisdiction,
        "withdrawal_method": known.withdrawal_method,
    }
    yield from (name for name, value in said_of.items() if not value)


def _named(event: Event, known: Known) -> list[str]:
    """Return the recipients that the choice speaks of by name."""
    return sorted({line.recipient for line in said(event).lines} & known.recipients.keys())


_PLATFORM: Final = frozenset(
    {
        "dpv:hasNotice",
        "dpv:hasDataController",
        "dpv:hasRecipient",
        "dpv:hasStorageCondition",
        "dpv:hasJurisdiction",
        "dpv:hasConsentControl",
        "ll:notKnown",
    }
)


def check_record(found: Mapping[str, Any], event: Event, commitment: bytes, origin: str) -> None:
    """Check that a record says of the choice what was recorded. Raises InputError, ProofError."""
    expected = _of_event(event, commitment, origin)
    for key in found.keys() - expected.keys() - _PLATFORM:
        raise InputError(f"receipt: unknown {key!r}")
    for key, value in expected.items():
        # Compared as it is signed: 1 and true are equal to Python alone.
        if key not in found or canonical(found[key]) != canonical(value):
            raise ProofError(f"the record says something else of {key} than what was recorded")


# ── the event, and the log's promise ────────────────────────────────────────────────────────


def read_event(data: bytes) -> Event:
    """Read the canonical bytes of a choice. Raises InputError, UnknownVersion."""
    value = strict.parse_canonical(data, "receipt: event", limit=MAX_EVENT)
    strict.shaped(value, _EVENT, "receipt: event")
    body = value["body"]
    event = Event(
        value["index"], value["time"], value["kind"], body, body.get("subject"), value["v"]
    )  # fmt: skip
    check_version(event)
    _checked(event)
    return event


def _checked(event: Event) -> Mapping[str, Any]:
    if event.kind != KIND or event.body is None:
        raise InputError(f"a receipt is of a {KIND}, not of a {event.kind}")
    said(event)
    return event.body


def signed_text(origin: str, index: int, commitment: bytes, record: Mapping[str, Any]) -> str:
    """Return the text in which the log promises to hold a choice as its entry `index`."""
    digest = sha256(canonical(dict(record)))
    return f"{FORMAT}\n{origin}\n{index}\n{commitment.hex()}\n{digest}\n"


def check_signed(text: str, event: Event, commitment: bytes, record: Mapping[str, Any]) -> str:
    """Check that a promise is of this choice and record; return its origin.

    Raises InputError if it is no such text, ProofError if it is of another choice or record.
    """
    lines = text.split("\n")
    if len(lines) != _LINES + 1 or lines[0] != FORMAT or lines[-1]:
        raise InputError(f"not the five lines of {FORMAT}")
    if text != signed_text(lines[1], event.index, commitment, record):
        raise ProofError("the log signed another choice, place or record than this one")
    return lines[1]


# ── in words ────────────────────────────────────────────────────────────────────────────────


def told(event: Event, origin: str, *, logged: bool, signed: bool) -> tuple[str, ...]:
    """Tell the choice from the event that was committed to, and where the log holds it."""
    body = _checked(event)
    acted = body.get("evidence", {}).get("time", event.time)
    lines = said(event).lines
    sentences = [
        f"Account {word(body['subject'])} {_ACTS[Act(body['act'])]} this, on {text_of(acted)}:",
        *(f"  {_line(line)}" for line in lines[:_SHOWN]),
    ]
    if len(lines) > _SHOWN:
        sentences.append(f"  and {len(lines) - _SHOWN:,} lines more, which stand in the file.")
    sentences += _shown(body.get("evidence", {}))
    sentences.append(f"That was recorded on {text_of(event.time)}.")
    if signed:
        sentences.append(f"The key of {origin} promised to hold it as entry {event.index:,}.")
    if logged:
        sentences.append(f"The log {origin} holds it as entry {event.index:,}.")
    return tuple(sentences)


def _shown(evidence: Mapping[str, Any]) -> Iterator[str]:
    """Tell how the choice was made, and which text was shown."""
    keys = (("channel", "by"), ("setting", "through the setting"), ("language", "in"))
    how = ", ".join(f"{said} {word(evidence[key])}" for key, said in keys if key in evidence)
    if how:
        yield f"That was done {how}."
    if "text" in evidence:
        yield f"The text shown has the SHA-256 {word(evidence['text'])}."


def _line(line: Line) -> str:
    purpose = "any purpose" if line.purpose == ANY else word(line.purpose)
    pattern = "everything" if line.pattern == ANY else word(line.pattern)
    recipient = "anybody" if line.recipient == ANY else word(line.recipient)
    reach = line.reach()
    made = spanned(reach, "from", "before")
    span = "".join(f", made {word} {time}" for word, time in made.items())
    until = f", until {text_of(line.expires_at)}" if line.expires_at != END else ""
    named = (
        f", with what is sensitive: {names(map(word, line.categories))}" if line.categories else ""
    )
    return f"{pattern}, for {purpose}, to {recipient}{span}{until}{named}"


def not_proved(*, logged: bool, signed: bool) -> tuple[str, ...]:
    """Tell what a receipt does not show."""
    sentences = [
        "That she herself chose: the platform recorded that the account did.",
        "That the choice was heeded, or that none came after it.",
        "What the record adds of its own (notice, parties, storage): it is the platform's word.",
    ]
    if not signed:
        sentences[-1] += " Here nobody signed it."
    if not logged:
        sentences.append("That the log holds it: so far there is only the promise.")
    return tuple(sentences)
