"""What should not be published although it can be read. Pure.

Three parts: what policy.toml says (`of_policy`), what the texts mark and leave out (`of_texts`),
and words that no text may hold (`of_wording`). Each thing found has its place, how to mend it and
the requirement it breaks. The list of it all: docs/policy.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from letterlock.domain import (
    ANY,
    BEGINNING,
    DAY,
    END,
    PURPOSES,
    Clause,
    Level,
    Recipient,
    RecipientClass,
    Setting,
    covers,
    is_training,
)
from letterlock.policy.clauses import covers_place
from letterlock.policy.places import GROUPS, countries_of, is_place
from letterlock.policy.prose import Mark, Page, Paragraph
from letterlock.policy.texts import CATEGORIES
from letterlock.policy.toml import Finding, Where, listed, said
from letterlock.policy.wording import phrases

if TYPE_CHECKING:  # document.py calls what stands here; only its name is needed
    from letterlock.policy.document import Document

Problem: TypeAlias = tuple[Where, str, str, str]
"""Where it is, what is wrong, how to mend it, and the requirement it breaks (or "")."""

T = TypeVar("T")

Places: TypeAlias = frozenset[Where]

REACHES: Final = ("releases", "recipients", "models", "backups", "indexes", "logs")
"""What an opt-out may reach; the first three it has to."""

MOST_CELLS: Final = 200_000
"""How many sets of clauses that match together are looked at, in one list of clauses."""

MOST_PAIRS: Final = 2_000_000
"""How many times a pattern is held against a name."""

_MUST_REACH: Final = REACHES[:3]
_CLASSES: Final = tuple(each.value for each in RecipientClass)
_ANYBODY: Final = tuple(Recipient("", "", each) for each in RecipientClass)
_TRAINING: Final = tuple(filter(is_training, PURPOSES))


def asked(clause: Clause) -> Level:
    """Return the level that a clause asks; one that cannot be read asks for what nobody gives."""
    return Level.NEVER if clause.level is None else clause.level


def of_policy(document: Document, written: Document, unusable: Places) -> Iterator[Problem]:
    """Yield what should not be published of policy.toml.

    `written` is the document with groups of places as they stand in it, where faults have lines. At
    `unusable` places something stands in for a value; nothing follows from it.
    """
    if _size(document) > MOST_PAIRS:
        message = "this policy is too large to be checked"
        yield (), message, "name fewer things in its clauses, or use patterns", "R15"
        return
    yield from _of_names(document)
    yield from _of_texts_of_things(document)
    everywhere = tuple(document.contracts)
    yield from _of_clauses(written, ("clauses",), written.clauses, everywhere)
    yield from _of_clauses(written, ("regions", "clauses"), written.region_clauses, everywhere)
    for name, clauses in written.contracts.items():
        yield from _of_clauses(written, ("contracts", name, "clauses"), clauses, (name,))
    for setting in document.settings.values():
        yield from _of_setting(document, setting)
    yield from _same_names(document)
    yield from _silence(document)
    yield from _of_withdrawal(document)
    yield from _of_matches(document, unusable)


def _size(document: Document) -> int:
    """Return how many times a pattern would be held against a name, about."""
    lists = (document.clauses, document.region_clauses, *document.contracts.values())
    keys = ("data_classes", "recipients", "jurisdictions", "contracts", "purposes")
    patterns = sum(len(getattr(c, key)) for clauses in lists for c in clauses for key in keys)
    classes, recipients = len(document.data_classes), len(document.recipients)
    settings = document.settings.values()
    asked = sum(len(s.data_classes) + recipients * len(s.purposes) for s in settings)
    return patterns * (classes + recipients + len(document.ages)) + classes * asked


# ── names and words ─────────────────────────────────────────────────────────────────────────

_UNNAMED: Final = re.compile(
    r"((our|its|their|selected|trusted|other|various|certain|any|all|some|the|several|business"
    r"|service|commercial|technology|external|third[- ]party|unsere?|andere|dritte)\s+)*"
    r"(partners?|affiliates?|providers?|vendors?|suppliers?|companies|third[- ]part(y|ies)|others"
    r"|subsidiaries|tbd|n/?a|partner|dritte|anbieter|unternehmen)"
    r"|.*\b(and|or|und|oder)\s+(its|their|our|other|seine|ihre|deren|andere)\b.*",
    re.IGNORECASE,
)


def _of_names(document: Document) -> Iterator[Problem]:
    """Yield what is wrong with what things are called."""
    for name in sorted(set(document.recipients) & set(_CLASSES)):
        mend = "give the legal entity an id of its own"
        yield ("recipients", name), f"{name!r} is a class of recipients", mend, "R28"
    for name, recipient in document.recipients.items():
        if _UNNAMED.fullmatch(recipient.name):
            message = f"{said(recipient.name)} names no legal entity"
            mend = "register each company by itself, by its legal name"
            yield ("recipients", name, "name"), message, mend, "R28"
        yield from _of_words(("recipients", name, "name"), recipient.name)
    for name in sorted(set(document.purposes) - set(PURPOSES)):
        mend = f"the list is closed: {listed(PURPOSES)}"
        yield ("purposes", name), f"{said(name)} is no purpose", mend, "R5"
    for name, categories in document.sensitive.items():
        for n, category in enumerate(categories):
            if category not in CATEGORIES:
                message = f"{said(category)} is no category of what is sensitive"
                mend = f"the list is closed: {', '.join(CATEGORIES)}"
                yield ("data_classes", name, "sensitive", n), message, mend, "R31"


def _of_texts_of_things(document: Document) -> Iterator[Problem]:
    """Yield what is wrong with the words for data classes and purposes."""
    languages = set(document.languages or ("en",))
    for key, words in (("data_classes", document.data_classes), ("purposes", document.purposes)):
        for name, texts in words.items():
            for each in sorted(languages - set(texts)):
                message = f"{said(name)} has no text in {each!r}"
                yield (key, name), message, f'add {each} = "…", or no text in {each} at all', "R4"
            for each, text in texts.items():
                yield from _of_words((key, name, each), text)


def _of_words(at: Where, text: str) -> Iterator[Problem]:
    for phrase in phrases(text):
        yield at, phrase.message, phrase.mend, phrase.requirement


# ── clauses and settings ────────────────────────────────────────────────────────────────────

_Known: TypeAlias = Mapping[str, tuple[Callable[[str], bool], Iterable[str], str]]
"""Of each key: whether a value exists, those that do, and the requirement."""


def _of_clauses(
    document: Document, path: Where, clauses: tuple[Clause, ...], contracts: tuple[str, ...]
) -> Iterator[Problem]:
    """Yield what is wrong with each clause; in a contract, only that contract can match."""
    classes = document.data_classes
    places = {place for code in document.ages for place in countries_of(code)}
    known: _Known = {
        "data_classes": (lambda v: any(covers(v, c) for c in classes), classes, ""),
        "purposes": (lambda v: any(covers(v, p) for p in PURPOSES), PURPOSES, "R5"),
        "recipients": (
            lambda v: v in document.recipients or v in _CLASSES,
            (*document.recipients, *_CLASSES),
            "R28",
        ),
        "jurisdictions": (
            lambda v: any(covers_place(c, p) for c in countries_of(v) for p in places),
            document.ages,
            "R19",
        ),
        "contracts": (lambda v: v in contracts, contracts, ""),
    }
    seen: set[str] = set()
    for n, clause in enumerate(clauses):
        at = (*path, n)
        if clause.id in seen:
            mend = "give it an id of its own: reasons name clauses"
            yield (*at, "id"), f"an earlier clause is called {clause.id!r} too", mend, ""
        seen |= {clause.id} - {""}  # which stands in for what is no id
        if asked(clause) < Level.GRANT and any(
            covers(pattern, purpose) for purpose in _TRAINING for pattern in clause.purposes
        ):
            message = f"clause {clause.id!r} lets training go without a grant"
            mend = "write grant, or list purposes that are not training"
            yield (*at, "level"), message, mend, "R3, R22"
        if END != clause.span.start >= clause.span.end:
            message = f"clause {clause.id!r} can never match: it ends before it begins"
            yield (*at, "to"), message, "write a later date than in from", ""
        for key, (exists, options, requirement) in known.items():
            for m, value in enumerate(getattr(clause, key)):
                if value == ANY or exists(value):
                    continue
                message = f"clause {clause.id!r} can never match {said(value)}"
                mend = f"{key} here are: {listed(options)}"
                if key == "jurisdictions" and not is_place(value) and value not in GROUPS:
                    message = f"{said(value)} is no place that ISO 3166 knows"
                    mend = f"write a code such as DE or US-CA, or one of {', '.join(GROUPS)}"
                yield (*at, key, m), message, mend, requirement
        yield from _without_text(document, (*at, "purposes"), clause.purposes)


def _without_text(document: Document, path: Where, purposes: tuple[str, ...]) -> Iterator[Problem]:
    """Yield each purpose that is used by name but called nothing."""
    for n, purpose in enumerate(purposes):
        if purpose in PURPOSES and purpose not in document.purposes:
            mend = f'add [purposes."{purpose}"] with a line per language'
            yield (*path, n), f"purpose {purpose!r} has no text", mend, "R4"


def _of_setting(document: Document, setting: Setting) -> Iterator[Problem]:
    """Yield what a setting may not ask for."""
    at, classes = ("settings", setting.id), document.data_classes
    known: _Known = {
        "purposes": (lambda v: v in PURPOSES, PURPOSES, "R5"),
        "data_classes": (lambda v: v != ANY and any(covers(v, c) for c in classes), classes, "R4"),
        "recipients": (lambda v: v in document.recipients, document.recipients, "R28"),
    }
    for key, (exists, options, requirement) in known.items():
        for n, value in enumerate(getattr(setting, key)):
            if not exists(value):
                message = f"setting {said(setting.id)} cannot ask for {said(value)}"
                yield (*at, key, n), message, f"name one of: {listed(options)}", requirement
    if len(set(setting.purposes)) > 1 and any(map(is_training, setting.purposes)):
        message = f"setting {said(setting.id)} asks for training together with something else"
        mend = "ask for each purpose in a setting of its own: one yes is for one thing"
        yield (*at, "purposes"), message, mend, "R29, R46"
    yield from _without_text(document, (*at, "purposes"), setting.purposes)
    yield from _of_words((*at, "title"), setting.title)


def _silence(document: Document) -> Iterator[Problem]:
    """Yield what settings ask for and no clause speaks of: asked in vain, as silence denies."""

    @cache
    def spoken_of(data_class: str, purpose: str) -> frozenset[str]:
        return frozenset(
            recipient
            for clause in document.clauses
            if any(covers(pattern, data_class) for pattern in clause.data_classes)
            and any(covers(pattern, purpose) for pattern in clause.purposes)
            for recipient in clause.recipients
        )

    for setting in document.settings.values():
        classes = [
            c for c in document.data_classes if any(covers(p, c) for p in setting.data_classes)
        ]
        purposes = [purpose for purpose in PURPOSES if purpose in setting.purposes]
        recipients = [r for r in document.recipients.values() if r.id in setting.recipients]
        for data_class, purpose, r in product(classes, purposes, recipients):
            if not spoken_of(data_class, purpose) & {ANY, r.id, r.recipient_class.value}:
                what = f"{said(data_class)} for {purpose} to {said(r.id)}"
                mend = "silence denies: add a clause, or ask for less in the setting"
                yield ("settings", setting.id), f"no clause speaks of {what}", mend, "R4"


def _of_withdrawal(document: Document) -> Iterator[Problem]:
    """Yield what an opt-out does not reach."""
    at, withdrawal = ("withdrawal",), document.withdrawal
    if withdrawal is None:
        mend = f"add [withdrawal] with reaches = {[*_MUST_REACH]} and days".replace("'", '"')
        yield at, "'withdrawal' is missing: what an opt-out reaches", mend, "R33"
        return
    for n, name in enumerate(withdrawal.reaches):
        if name not in REACHES:
            mend = f"the list is closed: {', '.join(REACHES)}"
            yield (*at, "reaches", n), f"an opt-out cannot reach {said(name)}", mend, "R33"
    # An empty list was found to be unusable.
    missing = [name for name in _MUST_REACH if name not in (withdrawal.reaches or REACHES)]
    if missing:
        message = f"an opt-out does not reach {' and '.join(missing)}"
        yield (*at, "reaches"), message, f"add {listed(missing)}", "R33"


# ── clauses that match together ─────────────────────────────────────────────────────────────


class _TooMany(Exception):
    """More sets of clauses match together than can be looked at."""


@dataclass(frozen=True)
class _Space:
    """One list of clauses, and everything that it can be asked about.

    A cell is the set of clauses that match one question, as bits; contexts with the same cell are
    looked at once. Places and recipients yet to come are among them.
    """

    clauses: tuple[Clause, ...]
    data_classes: Sequence[str]
    purposes: Sequence[str]
    recipients: Sequence[Recipient]
    places: Sequence[str | None]

    def cells(self, contracts: Sequence[str | None] | None) -> set[int]:
        """Return every cell; with `contracts` None, whatever the contract is. Raises _TooMany."""
        times = {t for c in self.clauses for t in (BEGINNING, c.span.start, c.span.end)} - {END}
        found = {(1 << len(self.clauses)) - 1}
        for masks in (
            self.masks(times, lambda c, t: t in c.span),
            self.masks(self.purposes, lambda c, p: any(covers(x, p) for x in c.purposes)),
            self.masks(self.data_classes, lambda c, d: any(covers(x, d) for x in c.data_classes)),
            self.masks(self.recipients, _reaches),
            self.masks(self.places, lambda c, p: any(covers_place(j, p) for j in c.jurisdictions)),
            {-1} if contracts is None else set(self.masks(contracts, _binds)),
        ):
            different = set(masks)
            if len(found) * len(different) > MOST_CELLS:
                raise _TooMany
            found = {cell & mask for cell, mask in product(found, different)} - {0}
        return found

    def masks(self, values: Iterable[T], matches: Callable[[Clause, T], bool]) -> list[int]:
        """Return, for each value, the clauses that match it, as bits."""
        return [
            sum(1 << n for n, clause in enumerate(self.clauses) if matches(clause, value))
            for value in values
        ]

    def strictest(self, cell: int) -> int:
        """Return the position of the clause that decides in a cell."""
        inside = (n for n in range(len(self.clauses)) if cell >> n & 1)
        return max(inside, key=lambda n: (self.level(n), -n))

    def level(self, n: int) -> Level:
        """Return what a clause asks."""
        return asked(self.clauses[n])


def _reaches(clause: Clause, recipient: Recipient) -> bool:
    return bool({ANY, recipient.id, recipient.recipient_class.value} & set(clause.recipients))


def _binds(clause: Clause, contract: str | None) -> bool:
    return bool({ANY, contract} & set(clause.contracts))


def _of_matches(document: Document, unusable: Places) -> Iterator[Problem]:
    """Yield what is wrong with clauses that match together, source by source."""
    everybody = (*document.contracts, None)
    lists: list[tuple[Where, tuple[Clause, ...], Sequence[str | None]]] = [
        (("clauses",), document.clauses, everybody),
        (("regions", "clauses"), document.region_clauses, everybody),
        *((("contracts", c, "clauses"), v, (c,)) for c, v in document.contracts.items()),
    ]
    for path, clauses, contracts in lists:
        if any(place[: len(path)] == path for place in unusable):
            continue
        try:
            yield from _undecided(_space(document, clauses), path, contracts)
            if path == ("clauses",):
                yield from _of_tiers(document, everybody)
                yield from _of_sensitive(document, everybody)
        except _TooMany:
            message = "these clauses cut across each other too often to be checked"
            yield path, message, "write fewer, or narrower ones", "R15"


def _space(
    document: Document,
    clauses: tuple[Clause, ...],
    purposes: Sequence[str] = PURPOSES,
    data_classes: Sequence[str] | None = None,
) -> _Space:
    classes = list(document.data_classes) if data_classes is None else data_classes
    recipients = (*document.recipients.values(), *_ANYBODY)
    return _Space(clauses, classes, purposes, recipients, (*document.ages, None))


def _undecided(space: _Space, path: Where, contracts: Sequence[str | None]) -> Iterator[Problem]:
    """Yield each clause that never decides, as wherever it matches another one asks more."""
    deciding, beaten = set[int](), dict[int, int]()
    for cell in space.cells(contracts):
        first = space.strictest(cell)
        for n in range(len(space.clauses)):
            if cell >> n & 1:
                if space.level(n) == space.level(first):
                    deciding.add(n)
                else:
                    beaten[n] = min(first, beaten.get(n, first))
    for n in sorted(beaten.keys() - deciding):
        clause, other = space.clauses[n], space.clauses[beaten[n]]
        message = (
            f"clause {clause.id!r} never decides: wherever it matches, another asks more "
            f"({other.id!r})"
        )
        yield (*path, n), message, "remove it, or narrow what asks more", ""


def _of_tiers(document: Document, everybody: Sequence[str | None]) -> Iterator[Problem]:
    """Yield each clause by which training is easier with some contracts than with others."""
    space = _space(document, document.clauses, _TRAINING)
    named = [n for n, clause in enumerate(space.clauses) if ANY not in clause.contracts]
    if not named:
        return
    of_contract = space.masks(everybody, _binds)
    found = set[int]()
    for cell in space.cells(None):
        parts = [cell & mask for mask in of_contract]
        levels = {space.level(space.strictest(p)) if p else Level.NEVER for p in parts}
        if len(levels) > 1:
            found |= {space.strictest(p) for p in parts if p} & set(named)
    for n in sorted(found):
        clause = space.clauses[n]
        message = f"clause {clause.id!r} protects some contracts more than others from training"
        mend = (
            "leave out its contracts; a promise of one contract stands in [[contracts.ID.clauses]]"
        )
        yield ("clauses", n, "contracts"), message, mend, "R25"


def _of_sensitive(document: Document, everybody: Sequence[str | None]) -> Iterator[Problem]:
    """Yield each clause that lets training go on a sensitive class without an explicit grant."""
    classes = [name for name in document.sensitive if name in document.data_classes]
    space = _space(document, document.clauses, _TRAINING, classes)
    found = {space.strictest(cell) for cell in space.cells(everybody)}
    for n in sorted(n for n in found if space.level(n) < Level.EXPLICIT_GRANT):
        clause = space.clauses[n]
        names = [c for c in classes if any(covers(p, c) for p in clause.data_classes)]
        message = f"clause {clause.id!r} lets training go on {listed(names)}, which is sensitive"
        mend = 'add a clause with level = "explicit_grant" for it, or write that here'
        yield ("clauses", n, "level"), message, mend, "R31"


# ── what the texts state ────────────────────────────────────────────────────────────────────


def clause_names(document: Document) -> Iterator[tuple[str, Clause]]:
    """Yield what marks call each clause of a policy, and the clause, in its order."""
    for name, clause, _ in _named(document):
        yield name, clause


def _named(document: Document) -> Iterator[tuple[str, Clause, Where]]:
    """Yield what marks call each clause, the clause, and where it stands."""
    for n, clause in enumerate(document.clauses):
        yield clause.id, clause, ("clauses", n)
    for n, clause in enumerate(document.region_clauses):
        yield f"regions.{clause.id}", clause, ("regions", "clauses", n)
    for contract, clauses in document.contracts.items():
        for n, clause in enumerate(clauses):
            yield f"contracts.{contract}.{clause.id}", clause, ("contracts", contract, "clauses", n)


def _same_names(document: Document) -> Iterator[Problem]:
    """Yield each clause that marks could not tell from an earlier one of another list."""
    seen: set[str] = {clause.id for clause in document.clauses}
    lists: list[tuple[Where, str, tuple[Clause, ...]]] = [
        (("regions", "clauses"), "regions", document.region_clauses),
        *(
            (("contracts", c, "clauses"), f"contracts.{c}", v)
            for c, v in document.contracts.items()
        ),
    ]
    for path, start, clauses in lists:
        names = {f"{start}.{clause.id}": n for n, clause in enumerate(clauses) if clause.id}
        for name in sorted(names.keys() & seen):
            message, mend = f"marks call another clause {name!r} too", "give one of them another id"
            yield (*path, names[name], "id"), message, mend, "R15"
        seen |= names.keys()


def of_texts(
    document: Document,
    pages: Mapping[str, Page],
    path: Callable[[str], str],
    unusable: Places,
) -> Iterator[Finding]:
    """Yield texts that are missing or too many, and what does not agree with `document`.

    With what stands in at `unusable` places no text has to agree.
    """
    wanted = document.text_names
    for name, language in wanted.items():
        if name not in pages:
            mend = f"write it in {language!r}; letterlock policy draft does so for a start"
            yield Finding(path(name), 1, f"there is no {name}", mend, "R15")
    for name, page in pages.items():
        if name not in wanted:
            mend = f"texts of this policy are: {', '.join(wanted)}"
            yield Finding(page.file, 1, f"{name} is no text of this policy", mend, "R15")
        else:
            yield from _of_page(document, name.partition(".")[0], page, unusable)


_NEEDED: Final = {
    "faq": {"withdrawal": "R33"},
    "notice": {"withdrawal": "R33", "lead": "R10", "window": "R11"},
    "policy": {"withdrawal": "R33", "lead": "R10", "window": "R11"},
}
_MEANS: Final = {
    "lead": "how long before its effect it is published",
    "window": "how long a member may object before it takes effect for her",
    "withdrawal": "what an opt-out reaches",
}


def _of_page(document: Document, kind: str, page: Page, unusable: Places) -> Iterator[Finding]:
    """Yield marks that do not agree with the policy, and what no paragraph states."""
    clauses: dict[str, Clause | None] = {
        name: None if _stands_in(at, unusable) else clause for name, clause, at in _named(document)
    }
    days = _days(document, unusable)
    stated: set[str] = set()
    for paragraph in page.paragraphs:
        for mark in paragraph.marks:
            stated.add(mark.subject if mark.level is None else f"{mark.subject}:")
            yield from _of_mark(page, mark, clauses)
        yield from _of_days(days, page, paragraph)
    if kind != "faq":
        for name, clause in clauses.items():
            if clause is not None and f"{name}:" not in stated:
                message = f"clause {said(name)} is not stated"
                level = asked(clause).name.lower()
                mend = f"say it in a paragraph, and mark that <!-- states {name}: {level} -->"
                yield Finding(page.file, 1, message, mend, "R15")
    for fact, requirement in _NEEDED[kind].items():
        if fact not in stated:
            mend = f"say {_MEANS[fact]} in a paragraph, and mark that <!-- states {fact} -->"
            yield Finding(page.file, 1, f"{fact!r} is not stated", mend, requirement)


def _stands_in(path: Where, unusable: Places) -> bool:
    """Say whether a clause has a stand-in for its id or level."""
    return any((*path, *key) in unusable for key in ((), ("id",), ("level",)))


def _of_mark(page: Page, mark: Mark, clauses: Mapping[str, Clause | None]) -> Iterator[Finding]:
    """Yield what is wrong with one mark."""
    if mark.level is None:
        return
    clause = clauses.get(mark.subject)
    if mark.subject not in clauses:
        near = [name for name in clauses if name.rpartition(".")[2] in mark.subject.split(".")]
        mend = f"clauses here are: {listed(near or clauses)}"
        yield Finding(page.file, mark.line, f"there is no clause {said(mark.subject)}", mend, "R15")
    elif clause is not None and clause.level is not mark.level:
        level = asked(clause).name.lower()
        message = f"this says {mark.level.name.lower()}, and clause {said(mark.subject)} {level}"
        mend = "say and mark here what the clause asks, or change the clause"
        yield Finding(page.file, mark.line, message, mend, "R15")


_DAYS: Final = re.compile(r"(\d+)[\s-]+(?:days?\b|tage?n?\b)", re.IGNORECASE)


def _days(document: Document, unusable: Places) -> dict[str, int]:
    """Return the days of each fact, where they can be used."""
    days = {"lead": document.lead // DAY, "window": document.window // DAY}
    if document.withdrawal is not None:
        days["withdrawal"] = document.withdrawal.days
    missing = () in unusable  # a key at the top, perhaps one of these
    keys = {
        "lead": ("lead_days",),
        "window": ("window_days",),
        "withdrawal": ("withdrawal", "days"),
    }
    return {
        fact: n
        for fact, n in days.items()
        if not (missing or keys[fact] in unusable or keys[fact][:-1] in unusable)
    }


def _of_days(days: Mapping[str, int], page: Page, paragraph: Paragraph) -> Iterator[Finding]:
    """Yield days in a paragraph that are not those of the facts it states."""
    written = {int(found[:9]) for found in _DAYS.findall(paragraph.text)}
    for mark in paragraph.marks:
        wanted = days.get(mark.subject) if mark.level is None else None
        if wanted is not None and written and wanted not in written:
            message = f"this says other days than the policy: {listed(map(str, sorted(written)))}"
            mend = f"write {wanted} days, or change the policy"
            requirement = _NEEDED["policy"][mark.subject]
            yield Finding(page.file, mark.line, message, mend, requirement)


def of_wording(page: Page) -> Iterator[Finding]:
    """Yield what no text may say, in any paragraph or heading, whatever its marks."""
    for paragraph in page.paragraphs:
        for phrase in phrases(paragraph.text):
            message, mend = phrase.message, phrase.mend
            yield Finding(page.file, paragraph.line, message, mend, phrase.requirement)
