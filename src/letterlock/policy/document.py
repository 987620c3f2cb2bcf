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
thing with its line, how to mend it and the requirement it breaks. Whole ones: tests/policy.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, Generic, TypeAlias, TypeVar

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
    names,
    text_of,
    time_of,
)
from letterlock.errors import PolicyError
from letterlock.policy.clauses import covers_place
from letterlock.policy.texts import LANGUAGES, Words, render, text_hash

MAX_SIZE: Final = 1 << 20
MAX_DEPTH: Final = 16
MAX_DIGITS: Final = 100

Where: TypeAlias = tuple[str | int, ...]
Problem: TypeAlias = tuple[Where, str, str, str]
"""Where it is, what is wrong, how to mend it, and the requirement it breaks (or "")."""

T = TypeVar("T")

_CONDITIONS: Final = ("data_classes", "purposes", "recipients", "jurisdictions", "contracts")
_SCOPE: Final = ("purposes", "data_classes", "recipients")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a document: where, what, how to mend it, what it breaks."""

    file: str
    line: int
    message: str
    mend: str
    requirement: str = ""

    def advice(self) -> str:
        """Write what is wrong and how to mend it."""
        breaks = f" [{self.requirement}]" if self.requirement else ""
        return f"{self.message} — {self.mend}{breaks}"

    def __str__(self) -> str:
        """Write it as one line that an editor can jump to."""
        return f"{self.file}:{self.line}: {self.advice()}"


class _Unusable(PolicyError):
    """A document of which nothing more can be said than `finding`."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.advice(), file=finding.file, line=finding.line)
        self.finding = finding


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
            message = f"version {self.version} would take effect before its lead time has passed"
            mend = f"earliest is {text_of(earliest)}: set effective to that, or leave it out"
            raise _Unusable(Finding(self.file, self.effective_line, message, mend, "R10"))
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
            "document": self.source,
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
    reading = _Reading(data, file)
    document = reading.document()
    if reading.findings:
        raise _Unusable(min(reading.findings, key=lambda f: f.line))
    return document


def check(data: bytes, file: str) -> tuple[Document | None, list[Finding]]:
    """Find everything that is wrong, by line. The document is None if it cannot be used at all."""
    try:
        reading = _Reading(data, file)
    except _Unusable as error:
        return None, [error.finding]
    document = reading.document()
    usable = not reading.findings
    for problem in _problems(document):
        reading.find(*problem)
    return document if usable else None, sorted(reading.findings, key=lambda f: f.line)


# ── lines ───────────────────────────────────────────────────────────────────────────────────

_QUOTED: Final = (
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}'
    r"|'''(?:[^']|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'"
)
_WORD: Final = rf"(?:[A-Za-z0-9_-]++|{_QUOTED})"
_DOTTED: Final = rf"{_WORD}(?:[ \t]*+\.[ \t]*+{_WORD})*+"
_PART: Final = re.compile(_WORD, re.DOTALL)
_KEY: Final = re.compile(rf"({_DOTTED})[ \t]*+=[ \t]*+", re.DOTALL)
_HEADER: Final = re.compile(rf"(\[\[?)[ \t]*+({_DOTTED})[ \t]*+\]\]?", re.DOTALL)
_SCALAR: Final = re.compile(rf"{_QUOTED}|[^\[{{,\]}}#\n]++", re.DOTALL)
_BLANK: Final = re.compile(r"(?:[ \t\n,]|#[^\n]*+)*+")


class _Locator:
    """Finds the line of every table, key and element of a document, which tomllib does not tell.

    It accepts more than TOML, so where it stops, tomllib stops too; and what it refuses (nesting
    that would exhaust the stack, numbers of thousands of digits) tomllib never meets.
    """

    def __init__(self, text: str, file: str) -> None:
        """Go through `text` as far as it is TOML. Raises _Unusable for what is beyond bounds."""
        self.text, self.file = text, file
        self.ends = [match.start() for match in re.finditer("\n", text)]
        self.lines: dict[Where, int] = {(): 1}
        self.last: dict[Where, int] = {}  # of each array of tables, its last element so far
        self.stopped = 0  # the line at which this is not TOML, 0: nowhere
        with suppress(ValueError):
            self._statements()

    def line_of(self, path: Where) -> int:
        """Return the line of `path`, or of the nearest thing above it."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]

    def _statements(self) -> None:
        table: Where = ()
        at = self._match(_BLANK, 0).end()
        while at < len(self.text):
            if self.text[at] == "[":
                header = self._match(_HEADER, at)
                table = self._enter((), header[2], at, array=header[1] == "[[")
                at = header.end()
            else:
                at = self._pair(at, table)
            at = self._match(_BLANK, at).end()

    def _match(self, pattern: re.Pattern[str], at: int) -> re.Match[str]:
        found = pattern.match(self.text, at)
        if found is None:
            self.stopped = self._line(at)
            raise ValueError
        return found

    def _enter(self, table: Where, key: str, at: int, *, array: bool = False) -> Where:
        """Follow a dotted key from `table`, noting what it makes on its way."""
        parts = _PART.findall(key)
        for n, part in enumerate(parts, 1):
            table = (*table, tomllib.loads(f"k = {part}")["k"] if part[0] in "\"'" else part)
            self._note(table, at)
            if array and n == len(parts):
                self.last[table] = self.last.get(table, -1) + 1
            if table in self.last:
                table = (*table, self.last[table])
        self.lines.pop(table, None)  # a table's own header counts, not that of one below it
        self._note(table, at)
        return table

    def _pair(self, at: int, table: Where) -> int:
        key = self._match(_KEY, at)
        return self._value(key.end(), self._enter(table, key[1], at))

    def _value(self, at: int, path: Where) -> int:
        self._note(path, at)
        opened = self.text[at : at + 1]
        if opened not in {"[", "{"}:
            scalar = self._match(_SCALAR, at)
            if len(scalar[0].rstrip()) > MAX_DIGITS and scalar[0][0] not in "\"'":
                raise self._refused(at, "this value is too long", "put text in quotes")
            return scalar.end()
        closed, n = "]" if opened == "[" else "}", 0
        at = self._match(_BLANK, at + 1).end()
        while self.text[at : at + 1] != closed:
            at = self._value(at, (*path, n)) if opened == "[" else self._pair(at, path)
            at, n = self._match(_BLANK, at).end(), n + 1
        return at + 1

    def _note(self, path: Where, at: int) -> None:
        if len(path) > MAX_DEPTH:
            mend = f"nothing in a policy needs more than {MAX_DEPTH} levels"
            raise self._refused(at, "this is nested too deeply", mend)
        self.lines.setdefault(path, self._line(at))

    def _line(self, at: int) -> int:
        return bisect_left(self.ends, at) + 1

    def _refused(self, at: int, message: str, mend: str) -> _Unusable:
        return _Unusable(Finding(self.file, self._line(at), message, mend))


def locate(text: str) -> dict[Where, int]:
    """Return the line of everything in a TOML document; raises PolicyError if it is too deep."""
    return _Locator(text, "").lines


# ── values ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Shape(Generic[T]):
    """What a value has to be: `read` returns None for one that is not; `empty` stands in for it."""

    words: str
    read: Callable[[Any], T | None]
    empty: T


def _text(value: object, pattern: str = r".+") -> str | None:
    if isinstance(value, str) and value.isprintable() and value.strip() == value:
        return value if re.fullmatch(pattern, value) else None
    return None


def _date(value: object) -> Time | None:
    t = time_of(value.isoformat()) if isinstance(value, date) else END
    return t if BEGINNING < t < END else None


def _whole(value: object, first: int, last: int) -> int | None:
    return value if type(value) is int and first <= value <= last else None


def _list(value: object, kind: type[T]) -> tuple[T, ...] | None:
    if isinstance(value, list) and value and all(isinstance(each, kind) for each in value):
        return tuple(value)
    return None


def _said(value: object) -> str:
    """Quote a value, shortened, or say what kind of thing it is."""
    if isinstance(value, str) or _whole(value, -END, END) is not None:
        return f"{value!r:.60}"
    return f"a {type(value).__name__}".replace("dict", "table")


def _all(options: Iterable[str]) -> str:
    """List what there is to choose from, shortened."""
    return f"{', '.join(map(_said, sorted(options))) or 'none':.300}"


_LEVELS: Final = {level.name.lower(): level for level in Level}
_LEVEL_NAMES: Final[Mapping[Level | None, str]] = {v: name for name, v in _LEVELS.items()}
_CLASSES: Final = {each.value: each for each in RecipientClass}
_ID: Final = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"
_ISO_3166: Final = r"[A-Z]{2}(-[A-Z0-9]{1,3})?"

_TEXT: Final = _Shape("one line of text in quotes", _text, "")
_NAME: Final = _Shape("letters, digits, - or _, with dots between", lambda v: _text(v, _ID), "")
_PLACE: Final = _Shape("a code such as DE or US-CA", lambda v: _text(v, _ISO_3166), "")
_LEVEL: Final = _Shape(
    f"one of {', '.join(_LEVELS)}, in quotes",
    lambda v: _LEVELS.get(_text(v) or ""),
    Level.NEVER,
)
_CLASS: Final = _Shape(
    f"one of {', '.join(_CLASSES)}, in quotes",
    lambda v: _CLASSES.get(_text(v) or ""),
    RecipientClass.THIRD_PARTY,
)
_DAYS: Final = _Shape("a number of days from 1 to 3650", lambda v: _whole(v, 1, 3650), 1)
_AGE: Final = _Shape(
    "0, or an age of adulthood above 18",
    lambda v: None if v in range(1, ADULT_AGE + 1) else _whole(v, 0, 99),
    0,
)
_DATE: Final = _Shape("a date such as 2024-09-18, without quotes", _date, END)
_NAMES: Final = _Shape("a list of names in quotes", lambda v: _list(v, str), tuple[str, ...]())
_TABLE: Final = _Shape("a table", lambda v: v if isinstance(v, dict) else None, dict[str, Any]())
_ROWS: Final = _Shape("tables in double brackets", lambda v: _list(v, dict), tuple[Any, ...]())


class _Table:
    """A strict reader of one table: every key is asked for, none may be left over."""

    def __init__(self, reading: _Reading, path: Where, content: dict[str, Any]) -> None:
        self.reading, self.path, self.known = reading, path, list[str]()
        self.content, self.left = content, dict(content)

    def get(self, key: str, shape: _Shape[T], default: T, requirement: str = "") -> T:
        """Return what `key` says, `default` if it is absent, `shape.empty` if it is unusable."""
        self.known.append(key)
        if key not in self.left:
            return default
        value = self.left.pop(key)
        found = shape.read(value)
        if found is None:
            message = f"{_said(key)} cannot be {_said(value)}"
            self.reading.find((*self.path, key), message, f"write {shape.words}", requirement)
            return shape.empty
        return found

    def take(self, key: str, shape: _Shape[T], requirement: str = "") -> T:
        """Return what `key` says, which may not be missing."""
        # What was found to be no table at all is not found to be empty too.
        if key not in self.left and self.content is not _TABLE.empty:
            mend = f"add it: {shape.words}"
            self.reading.find(self.path, f"{_said(key)} is missing", mend, requirement)
        return self.get(key, shape, shape.empty, requirement)

    def entries(self, naming: _Shape[str], shape: _Shape[T]) -> Iterator[tuple[str, T]]:
        """Yield everything in this table: names of the author's own, and what they stand for."""
        for name in self.content:
            if naming.read(name) is None:
                message = f"{_said(name)} cannot be a name here"
                self.reading.find((*self.path, name), message, f"write {naming.words}")
            yield name, self.get(name, shape, shape.empty)

    def table(self, key: str, content: dict[str, Any]) -> _Table:
        """Return the table under `key`, which was read as `content`."""
        return _Table(self.reading, (*self.path, key), content)

    def tables(self, key: str) -> Iterator[tuple[str, _Table]]:
        """Yield the tables in the table under `key`."""
        group = self.table(key, self.get(key, _TABLE, {}))
        for name, content in group.entries(_NAME, _TABLE):
            table = group.table(name, content)
            yield name, table
            table.done()

    def words(self, key: str) -> Words:
        """Read what the things under `key` are called."""
        return {
            name: {
                each: text
                for each in LANGUAGES
                if (text := table.get(each, _TEXT, "")) or each in table.content
            }
            for name, table in self.tables(key)
        }

    def clauses(self) -> tuple[Clause, ...]:
        """Read the clauses in this table."""
        rows, found = self.get("clauses", _ROWS, ()), []
        for n, content in enumerate(rows):
            row = _Table(self.reading, (*self.path, "clauses", n), content)
            name, level = row.take("id", _NAME), row.take("level", _LEVEL)
            conditions = {key: row.get(key, _NAMES, (ANY,)) for key in _CONDITIONS}
            span = Span(row.get("from", _DATE, BEGINNING), row.get("to", _DATE, END))
            found.append(Clause(name, level, span=span, **conditions))
            row.done()
        return tuple(found)

    def done(self) -> None:
        """Find every key that was not asked for."""
        for key, value in self.left.items():
            mend = f"remove it, or write one of: {names(self.known)}"
            if isinstance(value, dict):
                mend += "; a name with dots in it stands in quotes"
            self.reading.find((*self.path, key), f"{_said(key)} is an unknown key", mend)


class _Reading:
    """One document being read, and everything found wrong with it."""

    def __init__(self, data: bytes, file: str) -> None:
        """Parse `data`. Raises _Unusable for what is not TOML."""
        self.file, self.findings = file, list[Finding]()
        if len(data) > MAX_SIZE:
            mend = f"a policy needs no more than {MAX_SIZE:,} bytes"
            raise _Unusable(Finding(file, 1, f"this is {len(data):,} bytes long", mend))
        try:
            self.source = data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            mend = "save the file as UTF-8"
            raise _Unusable(Finding(file, line, "this is not UTF-8", mend)) from None
        text = self.source.replace("\r\n", "\n")
        self.lines = _Locator(text, file)
        try:
            self.tree = tomllib.loads(text)
        except ValueError as error:
            what, _, place = str(error).rpartition(" (at ")
            digits = re.match(r"line (\d+)", place)
            line = int(digits[1]) if digits else self.lines.stopped or text.count("\n") + 1
            mend = f"correct what stands at {place[:-1]}"
            raise _Unusable(Finding(file, line, f"this is not TOML: {what:.100}", mend)) from None

    def find(self, path: Where, message: str, mend: str, requirement: str = "") -> None:
        """Note something wrong at `path`."""
        line = self.lines.line_of(path)
        self.findings.append(Finding(self.file, line, message, mend, requirement))

    def document(self) -> Document:
        """Read the whole tree; what is unusable is found, and something neutral stands in."""
        root = _Table(self, (), self.tree)
        effective = root.get("effective", _DATE, END)
        regions = root.table("regions", root.take("regions", _TABLE, "R19"))
        places = regions.table("jurisdictions", regions.take("jurisdictions", _TABLE, "R19"))
        document = Document(
            version=root.take("version", _NAME),
            lead=root.take("lead_days", _DAYS, "R10") * DAY,
            window=root.take("window_days", _DAYS, "R11") * DAY,
            effective=None if effective == END else effective,
            recipients={
                name: Recipient(
                    name, table.take("name", _TEXT, "R28"), table.take("class", _CLASS, "R28")
                )
                for name, table in root.tables("recipients")
            },
            data_classes=root.words("data_classes"),
            purposes=root.words("purposes"),
            clauses=root.clauses(),
            settings={
                name: Setting(
                    name,
                    table.take("title", _TEXT),
                    **{key: table.take(key, _NAMES) for key in _SCOPE},
                )
                for name, table in root.tables("settings")
            },
            ages=dict(places.entries(_PLACE, _AGE)),
            region_clauses=regions.clauses(),
            contracts={name: table.clauses() for name, table in root.tables("contracts")},
            source=self.source,
            file=self.file,
            effective_line=self.lines.line_of(("effective",)),
        )
        regions.done()
        root.done()
        return document


# ── what it says ────────────────────────────────────────────────────────────────────────────


_Known: TypeAlias = Mapping[str, tuple[Callable[[str], bool], Iterable[str], str]]
"""Of each key: whether a value exists, those that do, and the requirement."""


def _problems(document: Document) -> Iterator[Problem]:
    """Yield what should not be published although it can be read."""
    for name in set(document.recipients) & set(_CLASSES):
        mend = "give the legal entity an id of its own"
        yield ("recipients", name), f"{name!r} is a class of recipients", mend, "R28"
    for name in set(document.purposes) - set(PURPOSES):
        mend = f"the list is closed: {_all(PURPOSES)}"
        yield ("purposes", name), f"{_said(name)} is no purpose", mend, "R5"
    for key, words in (("data_classes", document.data_classes), ("purposes", document.purposes)):
        for name, texts in words.items():
            for each in sorted(set(document.languages or ("en",)) - set(texts)):
                message = f"{_said(name)} has no text in {each!r}"
                yield (key, name), message, f'add {each} = "…", or no text in {each} at all', "R4"
    everywhere = tuple(document.contracts)
    yield from _of_clauses(document, ("clauses",), document.clauses, everywhere)
    yield from _of_clauses(document, ("regions", "clauses"), document.region_clauses, everywhere)
    for name, clauses in document.contracts.items():
        yield from _of_clauses(document, ("contracts", name, "clauses"), clauses, (name,))
    for setting in document.settings.values():
        yield from _of_setting(document, setting)


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
                    message = f"clause {clause.id!r} can never match {_said(value)}"
                    mend = f"{key} here are: {_all(options)}"
                    yield (*at, key, m), message, mend, requirement
        yield from _without_text(document, (*at, "purposes"), clause.purposes)


def _without_text(document: Document, path: Where, purposes: tuple[str, ...]) -> Iterator[Problem]:
    """Yield each purpose that is used by name but called nothing."""
    for n, purpose in enumerate(purposes):
        if purpose in PURPOSES and purpose not in document.purposes:
            mend = f'add [purposes."{purpose}"] with a line per language'
            yield (*path, n), f"purpose {purpose!r} has no text", mend, "R4"


def _of_setting(document: Document, setting: Setting) -> Iterator[Problem]:
    """Yield what a setting may not ask for, and what it asks for in vain."""
    at = ("settings", setting.id)

    def reached(pattern: str) -> set[str]:
        return {each for each in document.data_classes if covers(pattern, each)}

    known: _Known = {
        "purposes": (lambda v: v in PURPOSES, PURPOSES, "R5"),
        "data_classes": (lambda v: v != ANY and bool(reached(v)), document.data_classes, "R4"),
        "recipients": (lambda v: v in document.recipients, document.recipients, "R28"),
    }
    for key, (exists, options, requirement) in known.items():
        for n, value in enumerate(getattr(setting, key)):
            if not exists(value):
                message = f"setting {_said(setting.id)} cannot ask for {_said(value)}"
                yield (*at, key, n), message, f"name one of: {_all(options)}", requirement
    yield from _without_text(document, (*at, "purposes"), setting.purposes)

    recipients = [document.recipients[r] for r in setting.recipients if r in document.recipients]
    for data_class in sorted(set().union(*map(reached, setting.data_classes))):
        for purpose in sorted(set(setting.purposes) & set(PURPOSES)):
            speaking = {
                recipient
                for clause in document.clauses
                if any(covers(pattern, data_class) for pattern in clause.data_classes)
                and any(covers(pattern, purpose) for pattern in clause.purposes)
                for recipient in clause.recipients
            }
            for r in recipients:
                if not speaking & {ANY, r.id, r.recipient_class.value}:
                    what = f"{_said(data_class)} for {purpose} to {_said(r.id)}"
                    message = f"no clause speaks of {what}"
                    mend = "silence denies: add a clause, or ask for less in the setting"
                    yield at, message, mend, "R4"
