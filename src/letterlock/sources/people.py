"""Members and what is known of them, from a file: rows to events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from letterlock.domain import FactKind, Rulebook
from letterlock.errors import InputError
from letterlock.ledger import Draft, Event, rows_of
from letterlock.sources.records import Refused, Row


def registrations(rows: Iterable[Row], rules: Rulebook, refused: list[Refused]) -> Iterator[Draft]:
    """Turn rows (subject, member, jurisdiction, birth_year, contract, from, noticed) into events.

    `from` (default: always) is since when the facts hold; `noticed` lists the policy versions whose
    notice was part of signing up. What cannot be read is listed in `refused`.
    """
    versions = {v.version for v in rules.policies}
    for row in rows:
        subject = ""
        try:
            subject = row.subject()
            body = _registration(row, subject, versions)
        except InputError as error:
            refused.append(Refused(row.number, subject, str(error)))
        else:
            yield Draft("subject.registered", body)


def _registration(row: Row, subject: str, versions: set[str]) -> dict[str, Any]:
    member = row.optional("member", bool)
    span = row.span()
    known = {
        FactKind.JURISDICTION: row.optional("jurisdiction", str),
        FactKind.BIRTH_YEAR: row.optional("birth_year", int),
        FactKind.CONTRACT: row.optional("contract", str),
    }
    noticed = row.texts("noticed")
    row.done()
    if missing := set(noticed) - versions:
        raise InputError(f"noticed names {min(missing)}, which is not a published version")
    facts = [{"kind": k.value, "value": v, **span} for k, v in known.items() if v is not None]
    return _checked(
        "subject.registered",
        {
            "subject": subject,
            "member": member is not False,
            **({"facts": facts} if facts else {}),
            **({"noticed": noticed} if noticed else {}),
        },
    )


def facts(rows: Iterable[Row], refused: list[Refused]) -> Iterator[Draft]:
    """Turn rows (subject, kind, value, from, to) into events; value absent: no longer known."""
    for row in rows:
        subject = ""
        try:
            subject = row.subject()
            kind = row.text("kind")
            value = row.optional("value", int if kind == FactKind.BIRTH_YEAR else str)
            body = {"subject": subject, "kind": kind, **row.span()}
            row.done()
            _checked("subject.fact", body | ({} if value is None else {"value": value}))
        except InputError as error:
            refused.append(Refused(row.number, subject, str(error)))
        else:
            yield Draft("subject.fact", body | ({} if value is None else {"value": value}))


def _checked(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return `body` if a ledger would take it. Raises InputError."""
    rows_of(Event(0, 0, kind, body, body["subject"]))
    return body
