"""Contracts: what a person's own terms forbid, and the amendments that she signs herself (R23)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from letterlock.domain import (
    ANY,
    BEGINNING,
    END,
    PURPOSES,
    Amendment,
    Clause,
    FactKind,
    Level,
    Rulebook,
    Span,
    Subject,
    canonical,
    covers,
    text_of,
    within,
)
from letterlock.errors import InputError, UsageError
from letterlock.gate.policies import document_of
from letterlock.gate.workspace import Workspace
from letterlock.ledger import Draft, Event, said, span_body
from letterlock.policy.amendment import render
from letterlock.policy.document import Document
from letterlock.policy.texts import text_hash


@dataclass(frozen=True, slots=True)
class Signed:
    """An amendment as it stands in the ledger."""

    event: Event

    @property
    def amendments(self) -> tuple[Amendment, ...]:
        """Return what it lifts."""
        return said(self.event).amendments

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        body = self.event.body or {}
        evidence = body["evidence"]
        return {
            "event": self.event.index,
            "recorded": text_of(self.event.time),
            "subject": self.event.subject,
            "contract": body["contract"],
            **evidence,
            "time": text_of(evidence["time"]),
            "lines": [scope_record(each) for each in self.amendments],
        }


@dataclass(frozen=True, slots=True)
class Held:
    """A contract of a person: since when and until when, and what its newest terms forbid."""

    contract: str
    span: Span
    forbids: tuple[str, ...]
    signed: tuple[Signed, ...]


def scope_record(amendment: Amendment) -> dict[str, str]:
    """Return what an amendment lifts as JSON."""
    span = amendment.span
    return {
        "purpose": amendment.purpose,
        "data_class": amendment.pattern,
        "recipient": amendment.recipient,
        **({"from": text_of(span.start)} if span.start > BEGINNING else {}),
        **({"to": text_of(span.end)} if span.end < END else {}),
    }


class Contracts(Workspace):
    """The verbs about contracts."""

    def amendment_text(self, amendment: Amendment, language: str) -> str:
        """Return the text that a person signs to lift what her contract forbids.

        Raises UsageError for a scope that nobody can ask for, InputError where nothing is forbidden
        or a name has no words in `language`.
        """
        rules = self.rules()
        _check(amendment, rules)
        words = _newest(rules)
        scope = (words.purposes, words.data_classes, rules.recipients)
        return render(amendment, language, *scope)

    def amend(
        self, subject: str, amendment: Amendment, *, channel: str, language: str = "en"
    ) -> Signed:
        """Record that a person signed an amendment of her contract just now.

        Raises InputError if she has no such contract, signed the same before, or would lift nothing
        by it; otherwise as `amendment_text`.
        """
        if not channel:
            raise InputError("an amendment needs its subject's own act: how did it reach you?")
        text = self.amendment_text(amendment, language)
        line = {
            "purpose": amendment.purpose,
            "data_class": amendment.pattern,
            "recipient": amendment.recipient,
            **span_body(amendment.span),
        }
        body = {"subject": subject, "contract": amendment.contract, "lines": [line]}
        with self._writing():
            person = self._member(subject)
            contracts = {f.value for f in person.facts if f.kind is FactKind.CONTRACT}
            if amendment.contract not in contracts:
                raise InputError(f"{subject} has no contract {amendment.contract}")
            if amendment in person.amendments:
                raise InputError(f"{subject} signed this amendment already")
            now = self.now()
            evidence = {"time": now, "channel": channel, "text": text_hash(text)}
            signed = body | {"evidence": evidence | {"language": language}}
            self.store.append([Draft("contract.amended", signed)], now=now)
        return self._signed(subject)[-1]

    def contracts_of(self, subject: str) -> list[Held]:
        """Return the contracts of a person, as they were recorded. Raises InputError for nobody."""
        rules, person = self.rules(), self._member(subject)
        signed = self._signed(subject)
        return [
            Held(
                str(fact.value),
                fact.span,
                tuple(c.id for terms in _terms(str(fact.value), rules)[-1:] for c in terms),
                tuple(s for s in signed if s.amendments[0].contract == fact.value),
            )
            for fact in person.facts
            if fact.kind is FactKind.CONTRACT and fact.value is not None
        ]

    def _member(self, subject: str) -> Subject:
        canonical(subject)  # half a character is nobody
        person = self.state([subject]).subjects.get(subject)
        if person is None or not person.member:
            raise InputError(f"{subject} is not a registered member, so has no contract")
        return person

    def _signed(self, subject: str) -> list[Signed]:
        events = self.store.events(upto=self.store.head().index, subjects=[subject])
        return [Signed(e) for e in events if e.kind == "contract.amended" and e.body is not None]


def _newest(rules: Rulebook) -> Document:
    """Return the newest policy: it says what things are called."""
    return document_of(rules.policies[-1])


def _terms(contract: str, rules: Rulebook) -> list[list[Clause]]:
    """Return the prohibitions in each version of a contract's terms."""
    versions = rules.contracts.get(contract, ())
    return [[c for c in terms.clauses if c.level is Level.NEVER] for terms in versions]


def _check(amendment: Amendment, rules: Rulebook) -> None:
    """Raise UsageError or InputError for what cannot be asked for, or would lift nothing."""
    known = {
        "contract": (amendment.contract, tuple(rules.contracts)),
        "purpose": (amendment.purpose, PURPOSES),
        "recipient": (amendment.recipient, tuple(rules.recipients)),
    }
    for what, (value, there) in known.items():
        if value not in there:
            listed = ", ".join(sorted(there)) or "none yet"
            raise UsageError(f"unknown {what} {value!r}; there is: {listed}")
    if not any(covers(amendment.pattern, name) for name in rules.data_classes):
        raise UsageError(f"{amendment.pattern!r} covers no registered data class")
    if amendment.span.start <= BEGINNING:
        raise InputError("an amendment names its period: since when was made what it is about?")
    if amendment.span.start >= min(amendment.span.end, END):
        raise InputError("the period ends before it begins")
    prohibitions = (clause for clauses in _terms(amendment.contract, rules) for clause in clauses)
    if not any(_forbids(clause, amendment, rules) for clause in prohibitions):
        raise InputError(f"nothing in contract {amendment.contract} forbids this: nothing to lift")


def _forbids(clause: Clause, amendment: Amendment, rules: Rulebook) -> bool:
    """Say whether a prohibition speaks of anything that an amendment lifts."""
    recipient = rules.recipients[amendment.recipient]
    start = max(clause.span.start, amendment.span.start)
    return (
        start < min(clause.span.end, amendment.span.end)
        and any(covers(purpose, amendment.purpose) for purpose in clause.purposes)
        and any(
            within(pattern, amendment.pattern) or within(amendment.pattern, pattern)
            for pattern in clause.data_classes
        )
        and any(r in {ANY, recipient.id, recipient.recipient_class} for r in clause.recipients)
        and any(c in {ANY, amendment.contract} for c in clause.contracts)
    )
