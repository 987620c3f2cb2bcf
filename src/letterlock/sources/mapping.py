"""Which column of a platform's table says what: read from a mapping.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from letterlock.domain import names
from letterlock.errors import InputError


@dataclass(frozen=True)
class Mapping:
    """Which column says what. A list of columns counts each; data class and the like may be fixed.

    `sensitive` is one of: "none" (declared: nothing is), "column" (lists categories), "unknown".
    `quotes` is one of: "none" (declared: nobody is quoted), "column" (`quote_source` lists ids, or
    id, data_class, created_at), "text" (quotes are found in the text column `quote_source`, by
    address or by display name within a thread).
    """

    id: str
    created_at: str
    author: tuple[str, ...]
    recipients: tuple[str, ...]
    members: tuple[str, ...]
    payload: tuple[str, ...]
    data_class: str
    data_class_column: str
    sensitive: str
    sensitive_column: str
    quotes: str
    quote_source: str
    quote_class: str  # empty: not known
    thread: str
    name: str

    def columns(self) -> list[tuple[str, str]]:
        """Return every (column, what it says); a column may say several things."""
        several = ("author", "recipients", "members", "payload")
        found = [(column, what) for what in several for column in getattr(self, what)]
        one = (
            "id", "created_at", "data_class_column", "sensitive_column",
            "quote_source", "thread", "name",
        )  # fmt: skip
        return [(getattr(self, what), what) for what in one if getattr(self, what)] + found

    def record(self) -> dict[str, Any]:
        """Return the mapping as JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}


def mapping_of(record: dict[str, Any]) -> Mapping:
    """Read what `Mapping.record` wrote. Raises InputError."""
    try:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in record.items()
        }
        return Mapping(**values)
    except (TypeError, AttributeError) as error:
        raise InputError(f"not a mapping: {error}") from error


class _Toml:
    """A mapping.toml being read: what is taken is gone, what is left is unknown."""

    def __init__(self, data: bytes, file: str) -> None:
        self.file = file
        try:
            self._left = tomllib.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file}: not TOML: {error}") from error

    def text(self, table: str, key: str) -> str:
        """Return a text, empty if it is not there."""
        value = self._take(table, key)
        if value is not None and not isinstance(value, str):
            raise InputError(f"{self.file}: [{table}] {key} cannot be {value!r}")
        return value or ""

    def several(self, table: str, key: str) -> tuple[str, ...]:
        """Return one column or a list of them."""
        value = self._take(table, key)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        if not all(isinstance(name, str) and name for name in listed):
            raise InputError(f"{self.file}: [{table}] {key} must name columns")
        return tuple(listed)

    def one(self, table: str, *choices: str) -> tuple[str, str]:
        """Return the one of `choices` that is there; `none` and `unknown` are declared by true."""
        found = {c: v for c in choices if (v := self._take(table, c)) is not None}
        choice, value = next(iter(found.items()), ("", None))
        declared = choice in {"none", "unknown"}
        fits = value is True if declared else isinstance(value, str) and value
        if len(found) != 1 or not fits:
            raise InputError(
                f"{self.file}: [{table}] needs exactly one of {', '.join(choices)} "
                "(none and unknown take true, the others a name): "
                "what is not known denies, so it has to be said"
            )
        return choice, "" if value is True else str(value)

    def done(self) -> None:
        """Raise InputError if something was not asked for."""
        unknown = [
            f"[{table}] {key}"
            for table, section in self._left.items()
            for key in (section if isinstance(section, dict) else ["is no table"])
        ]
        if unknown:
            raise InputError(f"{self.file}: unknown {', '.join(unknown)}")

    def _take(self, table: str, key: str) -> Any:  # noqa: ANN401 - whatever TOML holds
        section = self._left.get(table)
        return section.pop(key, None) if isinstance(section, dict) else None


def read_mapping(data: bytes, file: str) -> Mapping:
    """Read a mapping.toml. Raises InputError that says what is missing and how to write it."""
    toml = _Toml(data, file)
    class_kind, data_class = toml.one("data_class", "value", "column")
    sensitive, sensitive_column = toml.one("sensitive", "none", "column", "unknown")
    quotes, quote_source = toml.one("quotes", "none", "column", "text")
    mapping = Mapping(
        id=toml.text("columns", "id"),
        created_at=toml.text("columns", "created_at"),
        author=toml.several("columns", "author"),
        recipients=toml.several("columns", "recipients"),
        members=toml.several("columns", "members"),
        payload=toml.several("columns", "payload"),
        data_class=data_class if class_kind == "value" else "",
        data_class_column=data_class if class_kind == "column" else "",
        sensitive=sensitive,
        sensitive_column=sensitive_column,
        quotes=quotes,
        quote_source=quote_source,
        quote_class=toml.text("quotes", "data_class"),
        thread=toml.text("quotes", "thread"),
        name=toml.text("quotes", "name"),
    )
    toml.done()
    if not (mapping.id and mapping.created_at and mapping.author):
        raise InputError(f"{file}: [columns] needs id, created_at and author")
    people = {mapping.id, *mapping.author, *mapping.recipients, *mapping.members}
    people |= {mapping.quote_source} if mapping.quotes == "column" else set()
    if shared := people & set(mapping.payload):
        raise InputError(f"{file}: {names(shared)} names accounts, so it cannot be released")
    return mapping
