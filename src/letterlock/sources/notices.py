"""Deliveries of notices, from a file: rows to events.

A row counts with its own evidence: when, on which channel, under which message id, and the hash of
the very text that was sent. When the act is said to have been gives nothing: a notice runs from the
time at which it is recorded, so a late import cannot backdate it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from letterlock.domain import PolicyVersion, Time, text_of
from letterlock.errors import InputError
from letterlock.sources.records import Refused, Row

Texts = Mapping[str, Mapping[str, str]]
"""The language of each text to send: version, then hash."""


class Delivery(NamedTuple):
    """A notice that was delivered, as an event has it."""

    row: int
    subject: str
    version: str
    time: Time
    channel: str
    message_id: str
    text: str
    language: str

    @property
    def body(self) -> dict[str, Any]:
        """Return the event's body."""
        keys = ("time", "channel", "message_id", "text", "language")
        evidence = {key: getattr(self, key) for key in keys}
        return {"subject": self.subject, "version": self.version, "evidence": evidence}


@dataclass
class Reading:
    """What came of a file of deliveries."""

    delivered: list[Delivery] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def read(
    rows: Iterable[Row], versions: Mapping[str, PolicyVersion], texts: Texts, now: Time
) -> Reading:
    """Read rows (subject, version, time, channel, message_id, text, language)."""
    reading = Reading()
    for row in rows:
        subject = ""
        try:
            subject = row.subject()
            reading.delivered.append(_delivery(row, subject, versions, texts, now))
        except InputError as error:
            reading.refused.append(Refused(row.number, subject, str(error)))
    return reading


def _delivery(
    row: Row, subject: str, versions: Mapping[str, PolicyVersion], texts: Texts, now: Time
) -> Delivery:
    version = row.text("version")
    if version not in versions:
        raise InputError(f"version {version} is not published")
    time = row.time("time")
    channel, message = row.optional("channel", str) or "", row.optional("message_id", str) or ""
    text, language = row.optional("text", str), row.optional("language", str)
    row.done()
    if time is None or not channel.strip() or not message.strip() or not text:
        raise InputError(
            "a delivery needs its evidence: time, channel, message_id and the hash of the text sent"
        )
    if time > now:
        raise InputError(f"the delivery's time {text_of(time)} lies in the future")
    if time < versions[version].published_at:
        raise InputError(f"the delivery's time {text_of(time)} lies before the publication")
    known = texts.get(version, {}).get(text)
    if known is None:
        raise InputError(f"the text {text[:16]}… is none of those to send for version {version}")
    if language not in {None, known}:
        raise InputError(f"the text {text[:16]}… is not in {language!r}")
    return Delivery(row.number, subject, version, time, channel, message, text, known)
