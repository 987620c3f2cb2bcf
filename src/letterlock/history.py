"""Everything recorded of one person, and what stands now, as JSON-LD (GDPR Art. 20).

Terms are those of the Data Privacy Vocabulary, DPV 2.3 (https://w3id.org/dpv), where it has one:

    grant, withdrawal     dpv:ConsentRecord; dpv:hasConsentStatus ConsentGiven, ConsentWithdrawn
    objection             dpv:hasEntityInvolvement dpv:ObjectingToProcess: no state of a consent
    claim                 dpv:ConsentUnknown: kept as evidence, never a grant
    each line             dpv:Process: hasPurpose, hasProcessing, hasRecipient, hasPersonalData
    explicit or not       dpv:hasLegalBasis ExplicitlyExpressedConsent, ExpressedConsent
    the act itself        dpv:isIndicatedAtTime, dpv:hasIndicationMethod, dpv:hasNotice
    notice                dpv:hasNoticeStatus dpv:NoticeCommunicated
    what stands now       dpv:hasPermission, dpv:hasProhibition

Training is a processing there (ai:ModelTraining), so a purpose of ours is named by its own id too.
Whatever DPV has no word for is a term of ours, `ll:`. Times are ISO 8601, texts are named by their
SHA-256. The same events give the same document. Whoever imports it elsewhere has evidence of
choices, never choices: nobody else's grant is one here either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from itertools import product
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from letterlock.domain import (
    ANY,
    BEGINNING,
    END,
    EPOCH,
    PURPOSES,
    REASON_TEXT,
    Act,
    Amendment,
    Fact,
    FactKind,
    Item,
    Line,
    Party,
    RecipientClass,
    Request,
    Role,
    Rulebook,
    Span,
    State,
    Time,
    is_training,
)
from letterlock.ledger import Event, fold, said
from letterlock.policy.decide import decide

Node: TypeAlias = dict[str, Any]

_TIMES: Final = (
    "asOf",
    "recordedAt",
    "erasedAt",
    "madeFrom",
    "madeBefore",
    "from",
    "to",
    "expires",
)
_NAMED: Final = (
    "dpv:hasConsentStatus",
    "dpv:hasEntityInvolvement",
    "dpv:hasLegalBasis",
    "dpv:hasNoticeStatus",
    "dpv:hasProcessing",
    "dct:conformsTo",
)

CONTEXT: Final[Mapping[str, Any]] = {
    "dpv": "https://w3id.org/dpv#",
    "ai": "https://w3id.org/dpv/ai#",
    "dct": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "ll": "urn:letterlock:term:",
    "dpv:isIndicatedAtTime": {"@type": "xsd:dateTime"},
    **{f"ll:{name}": {"@type": "xsd:dateTime"} for name in _TIMES},
    **{name: {"@type": "@id"} for name in _NAMED},
    "ll:events": {"@container": "@list"},
    "ll:claim": {"@type": "@json"},
    "ll:body": {"@type": "@json"},
}
"""What every name in the document stands for; nothing has to be fetched to read it."""

DPV_PURPOSES: Final = {
    "train.generative": "dpv:ResearchAndDevelopment",
    "train.ranking": "dpv:ResearchAndDevelopment",
    "train.safety": "dpv:ResearchAndDevelopment",
    "evaluate": "dpv:ResearchAndDevelopment",
    "improve.product": "dpv:ImproveExistingProductsAndServices",
}

_DPV_RECIPIENTS: Final = {
    RecipientClass.CONTROLLER: "dpv:DataController",
    RecipientClass.AFFILIATE: "dpv:Recipient",
    RecipientClass.THIRD_PARTY: "dpv:ThirdParty",
}


def history(events: Iterable[Event], subject: str, rules: Rulebook) -> Node:
    """Tell everything about `subject` that was recorded by `rules.as_of`, in recorded order.

    `events` may hold those of others and of everyone: of these, only erasures are looked at.
    Raises UnknownVersion for an event of theirs whose meaning this program does not know.
    """
    recorded = [event for event in events if event.time <= rules.as_of]
    theirs = [event for event in recorded if event.subject == subject]
    erased = {
        event.body["index"]: event.time
        for event in recorded
        if event.kind == "event.erased" and event.body is not None
    }
    state = State(rules, fold(theirs, rules.as_of).subjects)
    return {
        "@context": dict(CONTEXT),
        "@id": urn("history", subject),
        "@type": "ll:History",
        "dct:conformsTo": "https://w3id.org/dpv/2.3",
        "ll:asOf": when(rules.as_of),
        "dpv:hasDataSubject": {
            "@id": urn("subject", subject),
            "@type": "dpv:DataSubject",
            "dct:identifier": subject,
        },
        "ll:events": [_event(event, rules, erased.get(event.index)) for event in theirs],
        **_standing(subject, state),
    }


# ── events ──────────────────────────────────────────────────────────────────────────────────


def _event(event: Event, rules: Rulebook, erased_at: Time | None) -> Node:
    """Tell one event; of an erased one, only that it was, and when."""
    node: Node = {
        "@id": urn("event", str(event.index)),
        "@type": _TYPES.get(event.kind, "ll:Event"),
        "ll:kind": event.kind,
        "ll:recordedAt": when(event.time),
    }
    if event.body is None:
        node["@type"] = "ll:ErasedEvent"
        return node | ({} if erased_at is None else {"ll:erasedAt": when(erased_at)})
    tell = _TELLERS.get(event.kind)
    return node | (tell(event, event.body, rules) if tell else {"ll:body": dict(event.body)})


_Body: TypeAlias = Mapping[str, Any]


def _registered(event: Event, body: _Body, _rules: Rulebook) -> Node:
    new = said(event)
    return {
        "ll:member": body["member"],
        "ll:fact": [_fact(fact) for fact in new.facts],
        "dpv:hasNotice": [_notice(notice.version) for notice in new.notices],
    }


def _fact_of(event: Event, _body: _Body, _rules: Rulebook) -> Node:
    return {"ll:fact": [_fact(fact) for fact in said(event).facts]}


def _fact(fact: Fact) -> Node:
    """Tell a fact; one without a value is not known from then on."""
    key = "dpv:hasJurisdiction" if fact.kind is FactKind.JURISDICTION else "ll:value"
    node: Node = {"@type": "ll:Fact", "ll:factKind": str(fact.kind)}
    node |= {} if fact.value is None else {key: fact.value}
    return node | spanned(fact.span, "ll:from", "ll:to")


def _delivered(event: Event, body: _Body, rules: Rulebook) -> Node:
    return {
        **_evidence(body, rules, event.index),
        "dpv:hasNotice": _notice(body["version"]),
        "dpv:hasNoticeStatus": "dpv:NoticeCommunicated",
    }


def _of_version(_event: Event, body: _Body, _rules: Rulebook) -> Node:
    return {"dpv:hasNotice": _notice(body["version"])}


def _objected(event: Event, body: _Body, rules: Rulebook) -> Node:
    objecting = {"dpv:hasEntityInvolvement": "dpv:ObjectingToProcess"}
    return _of_version(event, body, rules) | objecting


def _amended(event: Event, body: _Body, rules: Rulebook) -> Node:
    return {
        "ll:contract": body["contract"],
        "dpv:hasProcess": [_process(line, rules) for line in said(event).amendments],
        **_evidence(body, rules, event.index),
    }


def _claimed(_event: Event, body: _Body, _rules: Rulebook) -> Node:
    return {"dpv:hasConsentStatus": "dpv:ConsentUnknown", "ll:claim": body["claim"]}


def _chosen(event: Event, body: _Body, rules: Rulebook) -> Node:
    act = Act(body["act"])
    stated = {
        Act.GRANT: {"dpv:hasConsentStatus": "dpv:ConsentGiven"},
        Act.WITHDRAW: {"dpv:hasConsentStatus": "dpv:ConsentWithdrawn"},
        Act.OBJECT: {
            "@type": "ll:Objection",
            "dpv:hasEntityInvolvement": "dpv:ObjectingToProcess",
        },
    }[act]
    lines = [_process(line, rules) for line in said(event).lines]
    return {**stated, "dpv:hasProcess": lines, **_evidence(body, rules, event.index)}


_TYPES: Final = {
    "subject.registered": "ll:Registration",
    "subject.fact": "ll:FactRecorded",
    "notice.delivered": "ll:NoticeDelivery",
    "version.objected": "ll:VersionObjection",
    "version.objection_withdrawn": "ll:VersionObjectionWithdrawn",
    "contract.amended": "ll:ContractAmendment",
    "consent.claimed": "ll:ConsentClaim",
    "choice.made": "dpv:ConsentRecord",
}

_TELLERS: Final[Mapping[str, Callable[[Event, _Body, Rulebook], Node]]] = {
    "subject.registered": _registered,
    "subject.fact": _fact_of,
    "notice.delivered": _delivered,
    "version.objected": _objected,
    "version.objection_withdrawn": _of_version,
    "contract.amended": _amended,
    "consent.claimed": _claimed,
    "choice.made": _chosen,
}


def _evidence(body: _Body, rules: Rulebook, index: int) -> Node:
    """Tell the act's own evidence, and which version's text it shows, as of event `index`."""
    evidence = dict(body.get("evidence") or {})
    node: Node = {}
    if "time" in evidence:
        node["dpv:isIndicatedAtTime"] = when(evidence.pop("time"))
    for key, term in _EVIDENCE.items():
        if key in evidence:
            node[term] = evidence.pop(key)
    text = node.get("ll:textHash")
    before = [version for version in rules.policies if version.index < index]
    if before and text in before[-1].texts.values():
        node["dpv:hasNotice"] = _notice(before[-1].version)
        named = sorted({name for (name, _), each in before[-1].texts.items() if each == text})
        node.setdefault("ll:setting", named[0])
    return node | ({"ll:body": evidence} if evidence else {})


_EVIDENCE: Final = {
    "channel": "dpv:hasIndicationMethod",
    "setting": "ll:setting",
    "language": "dct:language",
    "text": "ll:textHash",
    "message_id": "ll:messageId",
    "browser": "ll:browser",
}


# ── lines ───────────────────────────────────────────────────────────────────────────────────


def _process(line: Line | Amendment, rules: Rulebook) -> Node:
    """Tell what one line of a choice or of an amendment speaks of."""
    node = _scope(line.purpose, line.pattern, line.recipient, rules)
    if isinstance(line, Amendment) or line.act is not Act.GRANT:
        return node | spanned(line.span, "ll:madeFrom", "ll:madeBefore")
    given = "dpv:ExplicitlyExpressedConsent" if line.explicit else "dpv:ExpressedConsent"
    node |= spanned(line.reach(), "ll:madeFrom", "ll:madeBefore")
    node |= {"dpv:hasLegalBasis": given, "ll:earlierPeriod": line.earlier}
    if line.categories:
        node["ll:sensitiveCategory"] = sorted(line.categories)
    return node | ({} if line.expires_at == END else {"ll:expires": when(line.expires_at)})


def _scope(purpose: str, pattern: str, recipient: str, rules: Rulebook) -> Node:
    """Tell what for, of what and to whom; `*` stands for whatever there is."""
    node: Node = {
        "@type": "dpv:Process",
        "dpv:hasPurpose": [{"@id": urn("purpose", purpose), "@type": "dpv:Purpose"}],
        "dpv:hasPersonalData": {"@id": urn("data", pattern), "@type": "dpv:PersonalData"},
        "dpv:hasRecipient": _recipient(recipient, rules),
    }
    if purpose in DPV_PURPOSES:
        node["dpv:hasPurpose"].append({"@id": DPV_PURPOSES[purpose]})
    return node | ({"dpv:hasProcessing": "ai:ModelTraining"} if is_training(purpose) else {})


def _recipient(name: str, rules: Rulebook) -> Node:
    """Tell who a recipient is; a refusal may name a class of them, or `*`."""
    known = rules.recipients.get(name)
    if known is None:
        kind = "recipient" if name == ANY else "recipients"
        return {"@id": urn(kind, name), "@type": "dpv:Recipient"}
    types = _DPV_RECIPIENTS[known.recipient_class]
    return {"@id": urn("recipient", name), "@type": types, "dpv:hasName": known.name}


def _notice(version: str) -> Node:
    return {"@id": urn("policy", version), "@type": "dpv:PrivacyNotice", "dct:identifier": version}


def urn(kind: str, name: str) -> str:
    """Name a thing that has no address."""
    return f"urn:letterlock:{kind}:{quote(name, safe='')}"


def when(t: Time) -> str:
    """Write a time as ISO 8601 UTC."""
    return (EPOCH + timedelta(microseconds=t)).isoformat().replace("+00:00", "Z")


def spanned(span: Span, first: str, last: str) -> Node:
    """Tell a span; an end that is open is left out."""
    node = {} if span.start <= BEGINNING else {first: when(span.start)}
    return node | ({} if span.end >= END else {last: when(span.end)})


# ── what stands now ─────────────────────────────────────────────────────────────────────────


def _standing(subject: str, state: State) -> Node:
    """Judge, for everything there is, what is made now and has only this person in it."""
    permitted, refused = [], []
    rules = state.rules
    for purpose, recipient, data_class in product(
        PURPOSES, sorted(rules.recipients), sorted(rules.data_classes)
    ):
        item = Item("", data_class, rules.as_of, (Party(subject, Role.AUTHOR),))
        decision = decide(Request(purpose, recipient), item, state)
        node = _scope(purpose, data_class, recipient, rules)
        if decision.reason is None:
            permitted.append(node | {"@type": "dpv:Permission"})
        else:
            reason = decision.reason
            why = {"ll:reason": reason.name.lower(), "dct:description": REASON_TEXT[reason]}
            refused.append(node | {"@type": "dpv:Prohibition"} | why)
    return {"dpv:hasPermission": permitted, "dpv:hasProhibition": refused}
