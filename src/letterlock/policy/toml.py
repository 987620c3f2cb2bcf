"""TOML, read strictly: every fault found, each on its line. Pure.

A `Reading` parses a document and keeps a `Finding` for whatever is wrong. Its `Table` is asked
key by key, each with the `Shape` that its value has to have; a key that nobody asked for is found
too. `locate` says what tomllib does not: the line of everything. What keys mean: document.py.
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

from letterlock.domain import BEGINNING, END, Time, names, time_of
from letterlock.errors import PolicyError

MAX_SIZE: Final = 1 << 18
MAX_DEPTH: Final = 16
MAX_DIGITS: Final = 100

Where: TypeAlias = tuple[str | int, ...]
"""The keys and positions that lead to something, from the top of the document."""

T = TypeVar("T")


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


class Unusable(PolicyError):
    """A document of which nothing more can be said than `finding`."""

    def __init__(self, finding: Finding) -> None:
        """Say it as an error."""
        super().__init__(finding.advice(), file=finding.file, line=finding.line)
        self.finding = finding


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
_KEY: Final = re.compile(_DOTTED, re.DOTALL)
_EQUALS: Final = re.compile(r"[ \t]*+=[ \t]*+")
_OPENING: Final = re.compile(r"\[\[?[ \t]*+")
_CLOSING: Final = re.compile(r"[ \t]*+\]\]?")
_SCALAR: Final = re.compile(rf"{_QUOTED}|[^\[{{,\]}}#\n]++", re.DOTALL)
_BLANK: Final = re.compile(r"(?:[ \t\n,]|#[^\n]*+)*+")


class _Locator:
    """Finds the line of every table, key and element of a document, which tomllib does not tell.

    It accepts more than TOML, so where it stops, tomllib stops too; and what it refuses (nesting
    that would exhaust the stack, numbers of thousands of digits) tomllib never meets.
    """

    def __init__(self, text: str, file: str) -> None:
        """Go through `text` as far as it is TOML. Raises Unusable for what is beyond bounds."""
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
        at = self._skip(_BLANK, 0)
        while at < len(self.text):
            if self.text[at] == "[":
                array = self.text.startswith("[[", at)
                table, at = self._enter((), self._skip(_OPENING, at), array=array)
                at = self._skip(_CLOSING, at)
            else:
                at = self._pair(at, table)
            at = self._skip(_BLANK, at)

    def _skip(self, pattern: re.Pattern[str], at: int) -> int:
        found = pattern.match(self.text, at)
        if found is None:
            self.stopped = self._line(at)
            raise ValueError
        return found.end()

    def _enter(self, table: Where, at: int, *, array: bool = False) -> tuple[Where, int]:
        """Follow a dotted key from `table`, noting what it makes; return its table and end."""
        end = self._skip(_KEY, at)
        parts = _PART.findall(self.text, at, end)
        for n, part in enumerate(parts, 1):
            table = (*table, tomllib.loads(f"k = {part}")["k"] if part[0] in "\"'" else part)
            self._note(table, at)
            if array and n == len(parts):
                self.last[table] = self.last.get(table, -1) + 1
            if table in self.last:
                table = (*table, self.last[table])
        self.lines.pop(table, None)  # a table's own header counts, not that of one below it
        self._note(table, at)
        return table, end

    def _pair(self, at: int, table: Where) -> int:
        path, end = self._enter(table, at)
        return self._value(self._skip(_EQUALS, end), path)

    def _value(self, at: int, path: Where) -> int:
        self._note(path, at)
        opened = self.text[at : at + 1]
        if opened not in {"[", "{"}:
            end = self._skip(_SCALAR, at)
            if opened not in "\"'" and len(self.text[at:end].rstrip()) > MAX_DIGITS:
                raise self._refused(at, "this value is too long", "put text in quotes")
            return end
        closed, n = "]" if opened == "[" else "}", 0
        at = self._skip(_BLANK, at + 1)
        while self.text[at : at + 1] != closed:
            at = self._value(at, (*path, n)) if opened == "[" else self._pair(at, path)
            at, n = self._skip(_BLANK, at), n + 1
        return at + 1

    def _note(self, path: Where, at: int) -> None:
        if len(path) > MAX_DEPTH:
            mend = f"nothing in a policy needs more than {MAX_DEPTH} levels"
            raise self._refused(at, "this is nested too deeply", mend)
        self.lines.setdefault(path, self._line(at))

    def _line(self, at: int) -> int:
        return bisect_left(self.ends, at) + 1

    def _refused(self, at: int, message: str, mend: str) -> Unusable:
        return Unusable(Finding(self.file, self._line(at), message, mend))


def locate(text: str) -> dict[Where, int]:
    """Return the line of everything in a TOML document; raises PolicyError if it is too deep."""
    return _Locator(text, "").lines


# ── values ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Shape(Generic[T]):
    """What a value has to be: `read` returns None for one that is not; `empty` stands in for it."""

    words: str
    read: Callable[[Any], T | None]
    empty: T


def as_text(value: object, pattern: str = r".+") -> str | None:
    """Return a value that is one line of text, all of it like `pattern`."""
    if isinstance(value, str) and value.isprintable() and value.strip() == value:
        return value if re.fullmatch(pattern, value) else None
    return None


def _date(value: object) -> Time | None:
    t = time_of(value.isoformat()) if isinstance(value, date) else END
    return t if BEGINNING < t < END else None


def as_whole(value: object, first: int, last: int) -> int | None:
    """Return a value that is a whole number from `first` to `last`."""
    return value if type(value) is int and first <= value <= last else None


def _list(value: object, kind: type[T]) -> tuple[T, ...] | None:
    if isinstance(value, list) and value and all(isinstance(each, kind) for each in value):
        return tuple(value)
    return None


def said(value: object) -> str:
    """Quote a value, shortened, or say what kind of thing it is."""
    if isinstance(value, str) or as_whole(value, -END, END) is not None:
        return f"{value!r:.60}"
    return f"a {type(value).__name__}".replace("dict", "table")


def listed(options: Iterable[str]) -> str:
    """List what there is to choose from, shortened."""
    return f"{', '.join(map(said, sorted(options))) or 'none':.300}"


def one_of(options: Mapping[str, T], empty: T) -> Shape[T]:
    """Return the shape of a value that is written as one of a few words."""
    words = f"one of {', '.join(options)}, in quotes"
    return Shape(words, lambda v: options.get(as_text(v) or ""), empty)


_ID: Final = r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*"

TEXT: Final = Shape("one line of text in quotes", as_text, "")
NAME: Final = Shape("letters, digits, - or _, with dots between", lambda v: as_text(v, _ID), "")
DATE: Final = Shape("a date such as 2024-09-18, without quotes", _date, END)
NAMES: Final = Shape("a list of names in quotes", lambda v: _list(v, str), tuple[str, ...]())
TABLE: Final = Shape("a table", lambda v: v if isinstance(v, dict) else None, dict[str, Any]())
ROWS: Final = Shape("tables in double brackets", lambda v: _list(v, dict), tuple[Any, ...]())


# ── tables ──────────────────────────────────────────────────────────────────────────────────


class Table:
    """A strict reader of one table: every key is asked for, none may be left over."""

    def __init__(self, reading: Reading, path: Where, content: dict[str, Any]) -> None:
        """Read what stands at `path`; what is wrong with it is found in `reading`."""
        self.reading, self.path, self.known = reading, path, list[str]()
        self.content, self.left = content, dict(content)

    def get(self, key: str, shape: Shape[T], default: T, requirement: str = "") -> T:
        """Return what `key` says, `default` if it is absent, `shape.empty` if it is unusable."""
        self.known.append(key)
        if key not in self.left:
            return default
        value = self.left.pop(key)
        found = shape.read(value)
        if found is None:
            message = f"{said(key)} cannot be {said(value)}"
            self.reading.find((*self.path, key), message, f"write {shape.words}", requirement)
            return shape.empty
        return found

    def take(self, key: str, shape: Shape[T], requirement: str = "") -> T:
        """Return what `key` says, which may not be missing."""
        # What was found to be no table at all is not found to be empty too.
        if key not in self.left and self.content is not TABLE.empty:
            mend = f"add it: {shape.words}"
            self.reading.find(self.path, f"{said(key)} is missing", mend, requirement)
        return self.get(key, shape, shape.empty, requirement)

    def entries(
        self, naming: Shape[str], shape: Shape[T], requirement: str = ""
    ) -> Iterator[tuple[str, T]]:
        """Yield everything in this table: names of the author's own, and what they stand for."""
        for name in self.content:
            if naming.read(name) is None:
                message = f"{said(name)} cannot be a name here"
                mend = f"write {naming.words}"
                self.reading.find((*self.path, name), message, mend, requirement)
            yield name, self.get(name, shape, shape.empty)

    def table(self, key: str, content: dict[str, Any]) -> Table:
        """Return the table under `key`, which was read as `content`."""
        return Table(self.reading, (*self.path, key), content)

    def tables(self, key: str) -> Iterator[tuple[str, Table]]:
        """Yield the tables in the table under `key`."""
        group = self.table(key, self.get(key, TABLE, {}))
        for name, content in group.entries(NAME, TABLE):
            table = group.table(name, content)
            yield name, table
            table.done()

    def rows(self, key: str) -> Iterator[Table]:
        """Yield the tables in the array under `key`."""
        rows = self.get(key, ROWS, ())
        for n, content in enumerate(rows):
            row = Table(self.reading, (*self.path, key, n), content)
            yield row
            row.done()

    def done(self) -> None:
        """Find every key that was not asked for."""
        for key, value in self.left.items():
            mend = f"remove it, or write one of: {names(self.known)}"
            if isinstance(value, dict):
                mend += "; a name with dots in it stands in quotes"
            self.reading.find((*self.path, key), f"{said(key)} is an unknown key", mend)


class Reading:
    """One document being read, and everything found wrong with it."""

    def __init__(self, data: bytes, file: str) -> None:
        """Parse `data`. Raises Unusable for what is not TOML."""
        self.file, self.findings, self.unusable = file, list[Finding](), list[Where]()
        if len(data) > MAX_SIZE:
            mend = f"a policy needs no more than {MAX_SIZE:,} bytes"
            raise Unusable(Finding(file, 1, f"this is {len(data):,} bytes long", mend))
        try:
            self.source = data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            mend = "save the file as UTF-8"
            raise Unusable(Finding(file, line, "this is not UTF-8", mend)) from None
        text = self.source.removeprefix("\ufeff").replace("\r\n", "\n")
        self.lines = _Locator(text, file)
        try:
            self.root = Table(self, (), tomllib.loads(text))
        except ValueError as error:
            what, _, place = str(error).rpartition(" (at ")
            digits = re.match(r"line (\d+)", place)
            line = int(digits[1]) if digits else self.lines.stopped or text.count("\n") + 1
            mend = f"correct what stands at {place[:-1]}"
            raise Unusable(Finding(file, line, f"this is not TOML: {what:.100}", mend)) from None

    def find(self, path: Where, message: str, mend: str, requirement: str = "") -> None:
        """Note something that cannot be used at `path`."""
        self.unusable.append(path)
        line = self.lines.line_of(path)
        self.findings.append(Finding(self.file, line, message, mend, requirement))
