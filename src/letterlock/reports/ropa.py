"""The record of processing activities, GDPR Art. 30(1), from the live registry.

Its points are (a) to (g) of the article: https://eur-lex.europa.eu/eli/reg/2016/679/oj. The
registry is of one processing: letting people's items out, for a purpose and to a recipient. What it
does not know (an address, a data protection officer, a recipient's country) is asked for all the
same, and said not to be known. It names no person.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from letterlock.domain import (
    ANY,
    Clause,
    PolicyVersion,
    RecipientClass,
    Rulebook,
    text_of,
)
from letterlock.errors import PolicyError
from letterlock.lineage import duties
from letterlock.lineage.graph import Lineage
from letterlock.policy.document import Document
from letterlock.policy.document import read as read_document
from letterlock.reports.form import Field, Form, Section, listed, table, unknown

KIND: Final = "gdpr-30"
TITLE: Final = "Record of processing activities (GDPR Art. 30(1))"

_NOT_TOLD: Final = "nobody records it here"
_DAY: Final = duties.DAY


@dataclass(frozen=True)
class Kept:
    """What the record is made from beside rules and lineage: counts, keys, and what was declared.

    `people` counts members and others by where they are said to live now; `witnesses` are the names
    in log.policy, `declared` pairs of requirement and text, `keys` pairs of use and number.
    `unjudged` counts the events that may narrow and that no sweep has seen.
    """

    people: Mapping[str, tuple[int, int]]
    witnesses: tuple[str, ...]
    declared: tuple[tuple[str, str], ...]
    keys: tuple[tuple[str, int], ...]
    unjudged: int = 0


def record(rules: Rulebook, lineage: Lineage, kept: Kept, origin: str, upto: int) -> Form:
    """Return the record of processing."""
    policies = [p for p in rules.policies if p.effective_at <= rules.as_of]
    newest = policies[-1] if policies else None
    words = _words(newest)
    sections = (
        Section("(a)", "Controller, representative and data protection officer", (
            *_controller(rules),
        )),
        Section("(b)", "Purposes of the processing", (*_purposes(newest, words),)),
        Section("(c)", "Categories of data subjects and of personal data", (
            *_categories(rules, newest, words, kept),
        )),
        Section("(d)", "Categories of recipients", (*_recipients(rules, lineage),)),
        Section("(e)", "Transfers to third countries", (
            unknown("Third countries", "in which country a recipient is, is not recorded"),
            unknown("Safeguards of Art. 49(1), second subparagraph", _NOT_TOLD),
        )),
        Section("(f)", "Time limits for erasure", (*_limits(rules, lineage, newest, kept),)),
        Section("(g)", "Technical and organisational security measures, as recorded", (
            *_measures(rules, lineage, kept, origin),
        )),
    )  # fmt: skip
    about = ("Of what goes through the gate. Other processing is not in it.",)
    return Form(KIND, TITLE, about, origin, text_of(rules.as_of), upto, sections)


def _words(policy: PolicyVersion | None) -> Document | None:
    """Return the newest policy as it is written, for its words; None if it cannot be read."""
    if policy is None:
        return None
    try:
        files = {name: text.encode() for name, text in policy.documents.items()}
        return read_document(files, "")
    except (PolicyError, UnicodeEncodeError):
        return None


def _controller(rules: Rulebook) -> Iterator[Field]:
    own = [
        f"{r.name} ({r.id})"
        for r in rules.recipients.values()
        if r.recipient_class is RecipientClass.CONTROLLER
    ]
    if own:
        yield listed("Controller", own, "recipient.registered")
    else:
        yield unknown("Controller", "no recipient of the class controller is registered")
    for label in (
        "Contact details of the controller",
        "Joint controllers",
        "Representative",
        "Data protection officer",
    ):
        yield unknown(label, _NOT_TOLD)


def _purposes(policy: PolicyVersion | None, words: Document | None) -> Iterator[Field]:
    if policy is None:
        yield unknown(
            "Purposes", "no policy is in force: nothing may be processed through the gate"
        )
        return
    source = f"policy {policy.version}, event {policy.index}"
    asked = sorted({purpose for s in policy.settings.values() for purpose in s.purposes})
    rows = [(each, _called(words.purposes if words else {}, each)) for each in asked]
    yield table("Purposes that people are asked about", ("purpose", "in words"), rows, source)
    settings = [
        (s.title, ", ".join(s.purposes), ", ".join(s.data_classes), ", ".join(s.recipients))
        for s in policy.settings.values()
    ]
    yield table("Settings", ("title", "purposes", "data classes", "recipients"), settings, source)
    yield table("What the policy asks for", ("clause", "level", "of", "for", "to", "where"), (
        _clause(each) for each in policy.clauses
    ), source)  # fmt: skip
    yield Field(
        "Basis",
        "a purpose of training needs a grant of everybody in an item at least; silence is a no",
        source=source,
    )


def _categories(
    rules: Rulebook, policy: PolicyVersion | None, words: Document | None, kept: Kept
) -> Iterator[Field]:
    rows = [(place, *counts) for place, counts in sorted(kept.people.items())]
    columns = ("said to live in", "members", "others")
    yield table("People on record", columns, rows, "subject.registered, subject.fact")
    yield Field("Also in the items", "people who are not known here; their items do not go")
    source = "policy.published"
    classes = [
        (
            name, _called(words.data_classes if words else {}, name),
            ", ".join(sorted(rules.sensitive.get(name, frozenset()))) or "none declared",
            "yes" if policy is not None and name in policy.data_classes else "no",
        )
        for name in sorted(rules.data_classes)
    ]  # fmt: skip
    named = ("class", "in words", "special or sensitive categories", "in the newest policy")
    yield table("Categories of personal data", named, classes, source)


def _recipients(rules: Rulebook, lineage: Lineage) -> Iterator[Field]:
    rows = []
    for each in rules.recipients.values():
        mine = [r for r in lineage.releases.values() if r.recipient == each.id and r.versions]
        rows.append((
            each.id, each.name, each.recipient_class.value.replace("_", " "), len(mine),
            sum(len(r.deliveries) for r in mine), "not recorded",
        ))  # fmt: skip
    columns = ("id", "name", "class", "releases", "deliveries", "country")
    yield table("Recipients", columns, rows, "recipient.registered")


def _limits(
    rules: Rulebook, lineage: Lineage, policy: PolicyVersion | None, kept: Kept
) -> Iterator[Field]:
    yield unknown("Retention of the items themselves", "the platform's own tables stay in place")
    said = policy.withdrawal if policy is not None else None
    if said is None or policy is None:
        yield unknown("After an opt-out", "no policy in force says within how many days")
    else:
        source = f"policy {policy.version}, event {policy.index}"
        reaches = ", ".join(said.reaches)
        yield Field("After an opt-out", f"within {said.days} days, in {reaches}", source=source)
    yield table("Within which time a no arrives", ("where", "within"), (
        ("in the drop list of a release", f"{duties.LIST_WITHIN // duties.MINUTE} minutes"),
        ("where a release is read", f"{duties.HEAD_WITHIN // _DAY} day"),
        ("in a recipient's copy", f"{duties.RECIPIENT_WITHIN // _DAY} days"),
    ))  # fmt: skip
    late = sum(1 for _ in lineage.overdue(rules.as_of))
    open_ = sum(1 for _ in lineage.open())
    source = "obligation.due, obligation.met"
    yield Field("Obligations met", len(lineage.met), source=source)
    yield Field("Obligations open", open_, source=source)
    yield Field("Of these overdue", late, source=source)
    waiting = "what was recorded since the last drop lists and heads"
    yield Field("Events that may narrow, not judged yet", kept.unjudged, source=waiting)


def _measures(rules: Rulebook, lineage: Lineage, kept: Kept, origin: str) -> Iterator[Field]:
    yield Field("Public log", f"{origin}: append-only, every event in it", source="key.introduced")
    yield listed("Witnesses that the log's policy names", kept.witnesses, "log.policy")
    yield table("Keys introduced", ("use", "how often"), kept.keys, "key.introduced")
    operators = f"{len(rules.operators)} registered; policies, regions, recipients and holds' ends "
    yield Field("Operators", operators + "need two of them", source="operator.registered")
    keyed = sorted(lineage.keys)
    yield listed("Recipients whose packages are encrypted to a key of theirs", keyed,
                 "recipient.keyed")  # fmt: skip
    yield Field("Names in releases", "pseudonyms that hold for one release; no account id leaves")
    yield table("Declared by two operators", ("requirement", "what"), kept.declared,
                "declaration.made")  # fmt: skip
    yield unknown("Access control, backups, training of staff", _NOT_TOLD)


def _clause(clause: Clause) -> Sequence[str]:
    level = "unreadable: denies" if clause.level is None else clause.level.name.lower()
    level = level.replace("_", " ")
    since, until = clause.span.start, clause.span.end
    where = _any(clause.jurisdictions)
    if clause.contracts != (ANY,):
        where += f"; contracts {_any(clause.contracts)}"
    if (text_of(since), text_of(until)) != ("the beginning", "open"):
        where += f"; {text_of(since)} to {text_of(until)}"
    return (
        clause.id, level, _any(clause.data_classes), _any(clause.purposes),
        _any(clause.recipients), where,
    )  # fmt: skip


def _any(names: Iterable[str]) -> str:
    found = tuple(names)
    return "any" if found == (ANY,) else ", ".join(found)


def _called(words: Mapping[str, Mapping[str, str]], name: str) -> str:
    """Return what a thing is called, in English where there is English."""
    found = words.get(name, {})
    return found.get("en") or next(iter(found.values()), "not recorded")
