"""policy.toml, as its authors write it: bytes in; values, findings and event bodies out. Pure.

    version, lead_days, window_days       and, if wanted, effective: a date after the lead time
    [recipients.ID]                       name and class of a legal entity
    [data_classes."ID"], [purposes."ID"]  what it is called, a line per language
    [[clauses]]                           id and level; purposes, data_classes, recipients,
                                          jurisdictions, contracts, from and to narrow it
    [settings.ID]                         title, purposes, data_classes, recipients
    [regions]                             jurisdictions = { ID = age or 0 }, [[regions.clauses]]
    [contracts.ID]                        [[contracts.ID.clauses]]

An unknown key is an error: a misspelt condition would make another rule. `read` says whether a
document can be used, `check` whether it should be published: everything wrong with it at once, each
thing with its line, how to mend it and the requirement it breaks. All of it: docs/policy.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, Final, TypeAlias

from letterlock.domain import (
    ADULT_AGE,
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
    Span,
    Time,
    covers,
    is_training,
    text_of,
)
from letterlock.policy.clauses import covers_place
from letterlock.policy.texts import LANGUAGES, Words, render, text_hash
from letterlock.policy.toml import (
    DATE,
    NAME,
    NAMES,
    TABLE,
    TEXT,
    Finding,
    Reading,
    Shape,
    Table,
    Unusable,
    Where,
    as_text,
    as_whole,
    listed,
    one_of,
    said,
)

Problem: TypeAlias = tuple[Where, str, str, str]
"""Where it is, what is wrong, how to mend it, and the requirement it breaks (or "")."""

_CONDITIONS: Final = ("data_classes", "purposes", "recipients", "jurisdictions", "contracts")
_SCOPE: Final = ("purposes", "data_classes", "recipients")


@dataclass(frozen=True)
class Document:
    """What a policy document says; `lead`, `window` and `effective` in µs, `source` as written."""

    version: str
    lead: Time
    window: Time
    effective: Time | None
    recipients: Mapping[str, Recipient]
    data_classes: Words
    purposes: Words
    clauses: tuple[Clause, ...]
    settings: Mapping[str, Setting]
    ages: Mapping[str, int]
    region_clauses: tuple[Clause, ...]
    contracts: Mapping[str, tuple[Clause, ...]]
    source: str
    file: str
    effective_line: int

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages in which anything has words; each thing needs them in all."""
        things = (*self.data_classes.values(), *self.purposes.values())
        return tuple(sorted({language for words in things for language in words}))

    def text(self, setting: str, language: str) -> str:
        """Render what a member sees of `setting`. Raises PolicyError where words are missing."""
        scope = self.settings[setting]
        return render(scope, language, self.purposes, self.data_classes, self.recipients)

    def bodies(self, published_at: Time) -> list[tuple[str, dict[str, Any]]]:
        """Return the events (kind, body) that publish a document in which `check` finds nothing.

        Raises PolicyError if it would take effect before its lead time has passed (R10), or if the
        text of a setting cannot be rendered.
        """
        earliest = published_at + self.lead
        effective = earliest if self.effective is None else self.effective
        if effective < earliest:
            message = (
                f"version {self.version} would take effect before its lead time has passed: "
                f"earliest is {text_of(earliest)}"
            )
            mend = "set effective to that or later, or leave it out"
            raise Unusable(Finding(self.file, self.effective_line, message, mend, "R10"))
        policy = {
            "version": self.version,
            "effective_at": effective,
            "window": self.window,
            "clauses": _bodies(self.clauses),
            "data_classes": list(self.data_classes),
            "settings": {
                name: {"title": s.title} | {key: list(getattr(s, key)) for key in _SCOPE}
                for name, s in self.settings.items()
            },
            "texts": {
                name: {each: text_hash(self.text(name, each)) for each in self.languages}
                for name in self.settings
            },
            "documents": {"policy.toml": self.source},
        }
        regions = {"ages": dict(self.ages), "clauses": _bodies(self.region_clauses)}
        events: list[tuple[str, dict[str, Any]]] = [
            (
                "recipient.registered",
                {"recipient": r.id, "name": r.name, "class": str(r.recipient_class)},
            )
            for r in self.recipients.values()
        ]
        events.append(("region.published", regions))
        for name, clauses in self.contracts.items():
            events.append(("contract.published", {"contract": name, "clauses": _bodies(clauses)}))
        return [*events, ("policy.published", policy)]


def _bodies(clauses: Iterable[Clause]) -> list[dict[str, Any]]:
    """Write clauses as JSON, leaving out what is open."""
    found = []
    for clause in clauses:
        body: dict[str, Any] = {"id": clause.id, "level": _LEVEL_NAMES[clause.level]}
        body |= {k: list(v) for k in _CONDITIONS if (v := getattr(clause, k)) != (ANY,)}
        body |= {"from": clause.span.start} if clause.span.start != BEGINNING else {}
        found.append(body | ({"to": clause.span.end} if clause.span.end != END else {}))
    return found


def read(data: bytes, file: str) -> Document:
    """Read what is usable, whether or not it should be published (that is `check`).

    Raises PolicyError for the first thing that cannot be used: what is not UTF-8 or not TOML, a key
    that is missing or unknown, a value that cannot be.
    """
    reading = Reading(data, file)
    document = _document(reading)
    if reading.findings:
        raise Unusable(min(reading.findings, key=lambda f: f.line))
    return document


def check(data: bytes, file: str) -> tuple[Document | None, list[Finding]]:
    """Find everything that is wrong, by line. The document is None if it cannot be used at all."""
    try:
        reading = Reading(data, file)
    except Unusable as error:
        return None, [error.finding]
    document = _document(reading)
    usable = not reading.findings
    for problem in _problems(document):
        reading.find(*problem)
    return document if usable else None, sorted(reading.findings, key=lambda f: f.line)


# ── what it says ────────────────────────────────────────────────────────────────────────────


_LEVELS: Final = {level.name.lower(): level for level in Level}
_LEVEL_NAMES: Final[Mapping[Level | None, str]] = {v: name for name, v in _LEVELS.items()}
_CLASSES: Final = {each.value: each for each in RecipientClass}
_ISO_3166: Final = r"[A-Z]{2}(-[A-Z0-9]{1,3})?"

_LEVEL: Final = one_of(_LEVELS, Level.NEVER)
_CLASS: Final = one_of(_CLASSES, RecipientClass.THIRD_PARTY)
_PLACE: Final = Shape("a code such as DE or US-CA", lambda v: as_text(v, _ISO_3166), "")
_DAYS: Final = Shape("a whole number of days, 1 to 3650", lambda v: as_whole(v, 1, 3650), 1)
_AGE: Final = Shape(
    "0, or an age of adulthood above 18",
    lambda v: None if v in range(1, ADULT_AGE + 1) else as_whole(v, 0, 99),
    0,
)


def _document(reading: Reading) -> Document:
    """Read the whole document; what is unusable is found, and something neutral stands in."""
    root = reading.root
    effective = root.get("effective", DATE, END)
    regions = root.table("regions", root.take("regions", TABLE, "R19"))
    places = regions.table("jurisdictions", regions.take("jurisdictions", TABLE, "R19"))
    document = Document(
        version=root.take("version", NAME),
        lead=root.take("lead_days", _DAYS, "R10") * DAY,
        window=root.take("window_days", _DAYS, "R11") * DAY,
        effective=None if effective == END else effective,
        recipients={
            name: Recipient(
                name, table.take("name", TEXT, "R28"), table.take("class", _CLASS, "R28")
            )
            for name, table in root.tables("recipients")
        },
        data_classes=_words(root, "data_classes"),
        purposes=_words(root, "purposes"),
        clauses=_clauses(root),
        settings={
            name: Setting(
                name,
                table.take("title", TEXT),
                **{key: table.take(key, NAMES) for key in _SCOPE},
            )
            for name, table in root.tables("settings")
        },
        ages=dict(places.entries(_PLACE, _AGE)),
        region_clauses=_clauses(regions),
        contracts={name: _clauses(table) for name, table in root.tables("contracts")},
        source=reading.source,
        file=reading.file,
        effective_line=reading.lines.line_of(("effective",)),
    )
    regions.done()
    root.done()
    return document


def _words(root: Table, key: str) -> Words:
    """Read what the things under `key` are called."""
    return {
        name: {
            each: text
            for each in LANGUAGES
            if (text := table.get(each, TEXT, "")) or each in table.content
        }
        for name, table in root.tables(key)
    }


def _clauses(table: Table) -> tuple[Clause, ...]:
    """Read the clauses in a table."""
    found = []
    for row in table.rows("clauses"):
        name, level = row.take("id", NAME), row.take("level", _LEVEL)
        conditions = {key: row.get(key, NAMES, (ANY,)) for key in _CONDITIONS}
        span = Span(row.get("from", DATE, BEGINNING), row.get("to", DATE, END))
        found.append(Clause(name, level, span=span, **conditions))
    return tuple(found)


# ── what should not be published ────────────────────────────────────────────────────────────


_Known: TypeAlias = Mapping[str, tuple[Callable[[str], bool], Iterable[str], str]]
"""Of each key: whether a value exists, those that do, and the requirement."""


def _problems(document: Document) -> Iterator[Problem]:
    """Yield what should not be published although it can be read."""
    for name in set(document.recipients) & set(_CLASSES):
        mend = "give the legal entity an id of its own"
        yield ("recipients", name), f"{name!r} is a class of recipients", mend, "R28"
    for name in set(document.purposes) - set(PURPOSES):
        mend = f"the list is closed: {listed(PURPOSES)}"
        yield ("purposes", name), f"{said(name)} is no purpose", mend, "R5"
    for key, words in (("data_classes", document.data_classes), ("purposes", document.purposes)):
        for name, texts in words.items():
            for each in sorted(set(document.languages or ("en",)) - set(texts)):
                message = f"{said(name)} has no text in {each!r}"
                yield (key, name), message, f'add {each} = "…", or no text in {each} at all', "R4"
    everywhere = tuple(document.contracts)
    yield from _of_clauses(document, ("clauses",), document.clauses, everywhere)
    yield from _of_clauses(document, ("regions", "clauses"), document.region_clauses, everywhere)
    for name, clauses in document.contracts.items():
        yield from _of_clauses(document, ("contracts", name, "clauses"), clauses, (name,))
    for setting in document.settings.values():
        yield from _of_setting(document, setting)
    yield from _silence(document)


def _of_clauses(
    document: Document, path: Where, clauses: tuple[Clause, ...], contracts: tuple[str, ...]
) -> Iterator[Problem]:
    """Yield what is wrong with clauses; in a contract, only that contract can match."""
    classes = document.data_classes
    known: _Known = {
        "data_classes": (lambda v: any(covers(v, c) for c in classes), classes, ""),
        "purposes": (lambda v: any(covers(v, p) for p in PURPOSES), PURPOSES, "R5"),
        "recipients": (
            lambda v: v in document.recipients or v in _CLASSES,
            (*document.recipients, *_CLASSES),
            "R28",
        ),
        "jurisdictions": (
            lambda v: any(covers_place(v, place) for place in document.ages),
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
        if _LEVEL_NAMES[clause.level] in {"nothing", "notice"} and any(
            is_training(purpose) and covers(pattern, purpose)
            for purpose in PURPOSES
            for pattern in clause.purposes
        ):
            message = f"clause {clause.id!r} lets training go without a grant"
            mend = "write grant, or list purposes that are not training"
            yield (*at, "level"), message, mend, "R3, R22"
        if END != clause.span.start >= clause.span.end:
            message = f"clause {clause.id!r} can never match: it ends before it begins"
            yield (*at, "to"), message, "write a later date than in from", ""
        for key, (exists, options, requirement) in known.items():
            for m, value in enumerate(getattr(clause, key)):
                if value != ANY and not exists(value):
                    message = f"clause {clause.id!r} can never match {said(value)}"
                    mend = f"{key} here are: {listed(options)}"
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
    yield from _without_text(document, (*at, "purposes"), setting.purposes)


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
