"""A policy's folder: its files in; values, findings and event bodies out. Pure.

policy.toml:

    version, lead_days, window_days       and, if wanted, effective: a date after the lead time
    [withdrawal]                          what an opt-out reaches, and within how many days
    [recipients.ID]                       name and class of a legal entity
    [data_classes."ID"], [purposes."ID"]  what it is called, a line per language
    [[clauses]]                           id and level; purposes, data_classes, recipients,
                                          jurisdictions, contracts, from and to narrow it
    [settings.ID]                         title, purposes, data_classes, recipients
    [regions]                             jurisdictions = { ID = age or 0 }, [[regions.clauses]]
    [contracts.ID]                        [[contracts.ID.clauses]]

Beside it policy.md, faq.md and notice.md, in each language (prose.py). An unknown key is an error:
a misspelt condition would make another rule. `read` says whether a policy can be used, `check`
whether it should be published: everything wrong with it at once, each thing with its file and line,
how to mend it and the requirement it breaks. All of it: docs/policy.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from letterlock.domain import (
    ADULT_AGE,
    ANY,
    BEGINNING,
    DAY,
    END,
    Clause,
    Level,
    Recipient,
    RecipientClass,
    Setting,
    Span,
    Time,
    Withdrawal,
    text_of,
)
from letterlock.policy import lint
from letterlock.policy.places import GROUPS, expand, expand_ages, is_place
from letterlock.policy.prose import Page, parse
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
    as_text,
    as_whole,
    one_of,
)

POLICY: Final = "policy.toml"
TEXTS: Final = ("policy", "faq", "notice")
"""What is written in each language: policy.md, faq.md, notice.md; policy.de.md …"""

_CONDITIONS: Final = ("data_classes", "purposes", "recipients", "jurisdictions", "contracts")
_SCOPE: Final = ("purposes", "data_classes", "recipients")
_TEXT_NAME: Final = re.compile(r"(policy|faq|notice)(\.[A-Za-z-]{1,20})?\.md")


def belongs(name: str) -> bool:
    """Say whether a file of this name is of the policy; other files may lie beside it."""
    return name == POLICY or _TEXT_NAME.fullmatch(name) is not None


@dataclass(frozen=True)
class Document:
    """What a policy says; `lead`, `window` and `effective` in µs, `documents` as written.

    Groups of places stand as their countries. `sensitive` holds the classes that are as a whole.
    """

    version: str
    lead: Time
    window: Time
    effective: Time | None
    withdrawal: Withdrawal | None
    recipients: Mapping[str, Recipient]
    data_classes: Words
    sensitive: Mapping[str, tuple[str, ...]]
    purposes: Words
    clauses: tuple[Clause, ...]
    settings: Mapping[str, Setting]
    ages: Mapping[str, int]
    region_clauses: tuple[Clause, ...]
    contracts: Mapping[str, tuple[Clause, ...]]
    documents: Mapping[str, str]
    file: str
    effective_line: int

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages in which anything has words; each thing needs them in all."""
        things = (*self.data_classes.values(), *self.purposes.values())
        return tuple(sorted({language for words in things for language in words}))

    @property
    def text_names(self) -> dict[str, str]:
        """Return the name of each text that belongs to it, and its language.

        English is unsuffixed; without any, the first language is.
        """
        languages = self.languages or ("en",)
        plain = "en" if "en" in languages else languages[0]
        return {
            f"{kind}.md" if each == plain else f"{kind}.{each}.md": each
            for kind in TEXTS
            for each in (plain, *(e for e in languages if e != plain))
        }

    def text(self, setting: str, language: str) -> str:
        """Render what a member sees of `setting`. Raises PolicyError where words are missing."""
        scope = self.settings[setting]
        words = (self.purposes, self.data_classes)
        return render(scope, language, *words, self.recipients, self.sensitive)

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
        policy: dict[str, Any] = {
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
            "documents": dict(self.documents),
        }
        if self.sensitive:
            policy["sensitive"] = {name: list(found) for name, found in self.sensitive.items()}
        if self.withdrawal is not None:
            reaches, days = list(self.withdrawal.reaches), self.withdrawal.days
            policy["withdrawal"] = {"reaches": reaches, "days": days}
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


def read(files: Mapping[str, bytes], name: str) -> Document:
    """Read what is usable, whether or not it should be published (that is `check`).

    `files` by their names; `name` is the folder, as errors should call it. Raises PolicyError for
    the first thing that cannot be used: a policy.toml that is missing, not UTF-8 or not TOML, a key
    that is missing or unknown, a value that cannot be.
    """
    reading, written = _written(files, name)
    if reading.findings:
        raise Unusable(min(reading.findings, key=lambda f: f.line))
    return _expanded(written)


def check(files: Mapping[str, bytes], name: str) -> tuple[Document | None, list[Finding]]:
    """Find everything that is wrong, by file and line; `files` and `name` as for `read`.

    The document is None if it cannot be used at all. Nothing is raised, whatever the files hold.
    """
    pages = _pages(files, name)
    findings = [f for page in pages.values() for f in (*page.findings, *lint.of_wording(page))]
    document = None
    try:
        reading, written = _written(files, name)
    except Unusable as error:
        findings.append(error.finding)
    else:
        found, unusable = _expanded(written), frozenset(reading.unusable)
        document = None if unusable else found
        for problem in lint.of_policy(found, written, unusable):
            reading.find(*problem)
        findings += reading.findings
        findings += lint.of_texts(found, pages, lambda file: _path(name, file), unusable)
    return document, sorted(findings, key=lambda f: (f.file, f.line, f.message))


def _path(folder: str, file: str) -> str:
    """Name a file of the folder as an editor can open it."""
    return f"{folder.rstrip('/')}/{file}" if folder else file


def _pages(files: Mapping[str, bytes], name: str) -> dict[str, Page]:
    """Read the texts among `files`."""
    return {
        file: parse(files[file], _path(name, file))
        for file in sorted(files)
        if belongs(file) and file != POLICY
    }


def _written(files: Mapping[str, bytes], name: str) -> tuple[Reading, Document]:
    """Read policy.toml as it is written. Raises Unusable if there is none, or it is not TOML."""
    path = _path(name, POLICY)
    if POLICY not in files:
        mend = "write it, or name the folder that holds it"
        raise Unusable(Finding(path, 1, f"there is no {POLICY}", mend))
    reading = Reading(files[POLICY], path)
    # A text that is not UTF-8 is found by `check`, and so never published.
    documents = {file: files[file].decode(errors="replace") for file in files if belongs(file)}
    return reading, _document(reading, documents)


def _expanded(document: Document) -> Document:
    """Put countries for groups of them."""

    def countries(clauses: tuple[Clause, ...]) -> tuple[Clause, ...]:
        return tuple(replace(c, jurisdictions=expand(c.jurisdictions)) for c in clauses)

    return replace(
        document,
        clauses=countries(document.clauses),
        ages=expand_ages(document.ages),
        region_clauses=countries(document.region_clauses),
        contracts={name: countries(clauses) for name, clauses in document.contracts.items()},
    )


# ── what it says ────────────────────────────────────────────────────────────────────────────


_LEVELS: Final = {level.name.lower(): level for level in Level}
_LEVEL_NAMES: Final[Mapping[Level | None, str]] = {v: name for name, v in _LEVELS.items()}
_CLASSES: Final = {each.value: each for each in RecipientClass}

_LEVEL: Final = one_of(_LEVELS, Level.NEVER)
_CLASS: Final = one_of(_CLASSES, RecipientClass.THIRD_PARTY)
_PLACE: Final = Shape(
    f"a code of ISO 3166 such as DE or US-CA, or one of {', '.join(GROUPS)}",
    lambda v: v if (as_text(v) and is_place(v)) or v in GROUPS else None,
    "",
)
_DAYS: Final = Shape("a whole number of days, 1 to 3650", lambda v: as_whole(v, 1, 3650), 1)
_SOON: Final = Shape("a whole number of days, 1 to 90", lambda v: as_whole(v, 1, 90), 1)
_AGE: Final = Shape(
    "0, or an age of adulthood above 18",
    lambda v: None if v in range(1, ADULT_AGE + 1) else as_whole(v, 0, 99),
    0,
)


def _document(reading: Reading, documents: Mapping[str, str]) -> Document:
    """Read the whole document; what is unusable is found, and something neutral stands in."""
    root = reading.root
    effective = root.get("effective", DATE, END)
    regions = root.table("regions", root.take("regions", TABLE, "R19"))
    places = regions.table("jurisdictions", regions.take("jurisdictions", TABLE, "R19"))
    data_classes, sensitive = _data_classes(root)
    document = Document(
        version=root.take("version", NAME),
        lead=root.take("lead_days", _DAYS, "R10") * DAY,
        window=root.take("window_days", _DAYS, "R11") * DAY,
        effective=None if effective == END else effective,
        withdrawal=_withdrawal(root),
        recipients={
            name: Recipient(
                name, table.take("name", TEXT, "R28"), table.take("class", _CLASS, "R28")
            )
            for name, table in root.tables("recipients")
        },
        data_classes=data_classes,
        sensitive=sensitive,
        purposes={name: _words(table) for name, table in root.tables("purposes")},
        clauses=_clauses(root),
        settings={name: _setting(name, table) for name, table in root.tables("settings")},
        ages=dict(places.entries(_PLACE, _AGE, "R19")),
        region_clauses=_clauses(regions),
        contracts={name: _clauses(table) for name, table in root.tables("contracts")},
        documents=documents,
        file=reading.file,
        effective_line=reading.lines.line_of(("effective",)),
    )
    regions.done()
    root.done()
    return document


def _withdrawal(root: Table) -> Withdrawal | None:
    """Read what an opt-out reaches, if anything is said of it."""
    content = root.get("withdrawal", TABLE, {}, "R33")
    if "withdrawal" not in root.content:
        return None
    table = root.table("withdrawal", content)
    withdrawal = Withdrawal(table.take("reaches", NAMES, "R33"), table.take("days", _SOON, "R33"))
    table.done()
    return withdrawal


def _data_classes(root: Table) -> tuple[Words, dict[str, tuple[str, ...]]]:
    """Read what data classes are called, and which are sensitive as a whole."""
    words, sensitive = {}, {}
    for name, table in root.tables("data_classes"):
        words[name] = _words(table)
        if "sensitive" in table.content:
            sensitive[name] = table.get("sensitive", NAMES, (), "R31")
    return words, sensitive


def _words(table: Table) -> dict[str, str]:
    """Read what a thing is called."""
    return {
        each: text
        for each in LANGUAGES
        if (text := table.get(each, TEXT, "")) or each in table.content
    }


def _setting(name: str, table: Table) -> Setting:
    """Read a setting; of all keys that it cannot have, a default is the one to be told about."""
    if table.left.pop("default", None) is not None:
        mend = "remove it: the answer is no until a member says yes, and no other can be written"
        where = (*table.path, "default")
        table.reading.find(where, "a setting has no default", mend, "R2")
    title = table.take("title", TEXT)
    return Setting(name, title, **{key: table.take(key, NAMES) for key in _SCOPE})


def _clauses(table: Table) -> tuple[Clause, ...]:
    """Read the clauses in a table."""
    found = []
    for row in table.rows("clauses"):
        name, level = row.take("id", NAME), row.take("level", _LEVEL)
        conditions = {key: row.get(key, NAMES, (ANY,)) for key in _CONDITIONS}
        span = Span(row.get("from", DATE, BEGINNING), row.get("to", DATE, END))
        found.append(Clause(name, level, span=span, **conditions))
    return tuple(found)
