"""A report as a form: fields in sections, each filled from the registry or said not to be known.

One record of it serves programs (`Form.record`) and people (`Form.page`, Markdown). What a field
says is never guessed: it is in the registry, or the registry does not know it, or the question does
not arise for what the registry is about. Words of others are shown harmlessly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

FORMAT: Final = "letterlock/report/v1"

_MARKS: Final = re.compile(r"([\\`*_{}\[\]<>#|~&!])")
_POINT: Final = re.compile(r"^(\s*)([-+=](?=[-+=\s]|$))|^(\s*\d+)([.)](?=\s|$))")


class Basis(StrEnum):
    """Where what a field says comes from."""

    REGISTRY = "registry"
    UNKNOWN = "not known to this registry"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Table:
    """Rows of cells under named columns; rows may be absent."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | int, ...], ...]


Value: TypeAlias = str | int | tuple[str, ...] | Table


@dataclass(frozen=True)
class Field:
    """One answer. `value` says why, where `basis` is not the registry; `source` which events."""

    label: str
    value: Value
    basis: Basis = Basis.REGISTRY
    source: str = ""

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        value: Any = self.value
        if isinstance(value, Table):
            value = [dict(zip(value.columns, row, strict=True)) for row in value.rows]
        elif isinstance(value, tuple):
            value = list(value)
        known = {"label": self.label, "basis": self.basis.value, "value": value}
        return known | ({"source": self.source} if self.source else {})


@dataclass(frozen=True)
class Section:
    """A heading as the form has it ("2.4", "User data"), and what stands under it."""

    number: str
    title: str
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True)
class Form:
    """A report. `kind` names it for programs, `as_of` is written as a text of its own.

    `upto` is the last event that it was made from.
    """

    kind: str
    title: str
    about: tuple[str, ...]
    origin: str
    as_of: str
    upto: int
    sections: tuple[Section, ...]

    def record(self) -> dict[str, Any]:
        """Return it as JSON; the same record gives the same page."""
        return {
            "format": FORMAT,
            "report": self.kind,
            "title": self.title,
            "about": list(self.about),
            "log": self.origin,
            "as_of": self.as_of,
            "upto": self.upto,
            "sections": [
                {
                    "number": each.number,
                    "title": each.title,
                    "fields": [field.record() for field in each.fields],
                }
                for each in self.sections
            ],
        }

    def page(self) -> str:
        """Return it as Markdown (CommonMark with tables)."""
        made = f"Made from the registry of {plain(self.origin)} as of {self.as_of} "
        made += f"(events 0 to {self.upto})."
        lines = [f"# {plain(self.title)}", "", made, ""]
        lines += [line for each in self.about for line in (plain(each), "")]
        for section in self.sections:
            depth = "#" * (2 + section.number.count("."))
            lines += [f"{depth} {section.number} {plain(section.title)}".replace("  ", " "), ""]
            for field in section.fields:
                lines += [*_shown(field), ""]
        return "\n".join(lines)


def unknown(label: str, why: str) -> Field:
    """Return a field that the registry cannot fill, and why not."""
    return Field(label, why, Basis.UNKNOWN)


def inapplicable(label: str, why: str) -> Field:
    """Return a field that does not arise for what the registry is about, and why not."""
    return Field(label, why, Basis.NOT_APPLICABLE)


def listed(label: str, values: Iterable[str], source: str = "") -> Field:
    """Return a field of a list; an empty one says that none is recorded."""
    return Field(label, tuple(values) or "none recorded", source=source)


def table(
    label: str, columns: Sequence[str], rows: Iterable[Sequence[str | int]], source: str = ""
) -> Field:
    """Return a field of a table; one without rows says that none is recorded."""
    found = tuple(tuple(row) for row in rows)
    value: Value = Table(tuple(columns), found) if found else "none recorded"
    return Field(label, value, source=source)


# ── Markdown ────────────────────────────────────────────────────────────────────────────────


def plain(text: str) -> str:
    """Write a text so that Markdown shows it as it is, on one line, and steers nothing.

    What does not print is written as its number: it could break the line, or turn its direction.
    """
    shown = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text).strip()
    marked = _MARKS.sub(r"\\\1", shown)
    return _POINT.sub(lambda m: f"{m[1] or m[3] or ''}\\{m[2] or m[4]}", marked)


def _shown(field: Field) -> Iterator[str]:
    colon, value = "" if field.label.endswith("?") else ":", field.value
    label = f"**{plain(field.label)}{colon}**"
    if field.basis is not Basis.REGISTRY:
        yield f"{label} *{field.basis.value}:* {_cell(value)}"
    elif isinstance(value, Table):
        yield label
        yield ""
        yield _row(value.columns)
        yield _row(["---"] * len(value.columns), plainly=False)
        yield from (_row(row) for row in value.rows)
    elif isinstance(value, tuple):
        yield label
        yield ""
        yield from (f"- {plain(each)}" for each in value)
    else:
        yield f"{label} {_cell(value)}"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else plain(str(value))


def _row(cells: Sequence[str | int], *, plainly: bool = True) -> str:
    return f"| {' | '.join(_cell(c) if plainly else str(c) for c in cells)} |"
