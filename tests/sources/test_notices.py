"""Deliveries from files: one counts with its own evidence, and what does not is listed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from letterlock.domain import END, PolicyVersion, time_of
from letterlock.sources.notices import read
from workspaces import rows_of

PUBLISHED, SENT, NOW = (time_of(t) for t in ("2024-01-01T09:00Z", "2024-01-02", "2024-02-01"))
ENGLISH, GERMAN = "a" * 64, "b" * 64
VERSIONS = {"1": PolicyVersion("1", 0, PUBLISHED, PUBLISHED, 0, ())}
TEXTS = {"1": {ENGLISH: "en", GERMAN: "de"}}

ROW = {
    "subject": "ann", "version": "1", "time": "2024-01-02", "channel": "email",
    "message_id": "<1@example.org>", "text": ENGLISH, "language": "en",
}  # fmt: skip


def reading(*records):
    """Read records as a file of them would be."""
    return read(rows_of(records), VERSIONS, TEXTS, NOW)


def test_a_delivery_is_read_with_its_evidence():
    """What is recorded says when, where, as which message, and which text was sent."""
    found = reading(ROW)
    assert not found.refused
    (delivery,) = found.delivered
    assert delivery.body == {
        "subject": "ann",
        "version": "1",
        "evidence": {
            "time": SENT, "channel": "email", "message_id": "<1@example.org>", "text": ENGLISH,
            "language": "en",
        },
    }  # fmt: skip


def test_the_language_follows_from_the_text():
    """A text is in one language, so a row need not say which."""
    found = reading(ROW | {"language": None, "text": GERMAN, "subject": 17})
    assert [(d.subject, d.language) for d in found.delivered] == [("17", "de")]


REFUSED = {
    "no subject": ({"subject": None}, "subject cannot be"),
    "no version": ({"version": None}, "version is missing"),
    "an unknown version": ({"version": "2"}, "version 2 is not published"),
    "no time": ({"time": None}, "needs its evidence"),
    "no channel": ({"channel": None}, "needs its evidence"),
    "a blank channel": ({"channel": " "}, "needs its evidence"),
    "no message id": ({"message_id": None}, "needs its evidence"),
    "a blank message id": ({"message_id": "\t"}, "needs its evidence"),
    "no text": ({"text": None}, "needs its evidence"),
    "another text": ({"text": "c" * 64}, "is none of those to send"),
    "the text of another language": ({"language": "de"}, "is not in 'de'"),
    "a time to come": ({"time": "2024-02-02"}, "lies in the future"),
    "a time before it": ({"time": datetime(2024, 1, 1, 8, tzinfo=UTC)}, "before the publication"),
    "no date": ({"time": "soon"}, "not a date or time"),
    "a message id in numbers": ({"message_id": 7}, "message_id cannot be 7"),
    "an unknown column": ({"colour": "red"}, "unknown colour"),
}


@pytest.mark.parametrize(("change", "why"), REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_evidence_is_refused_and_listed(change, why):
    """A row that lacks something, or contradicts the version, is listed; its neighbours count."""
    found = reading(ROW, ROW | change, ROW | {"subject": "bob"})
    assert [d.subject for d in found.delivered] == ["ann", "bob"]
    (refused,) = found.refused
    assert refused.row == 2
    assert why in refused.why


def test_a_version_without_texts_refuses_every_hash():
    """Where nothing could be exported, nothing can have been delivered."""
    versions = {"0": PolicyVersion("0", 0, PUBLISHED, END, 0, ())}
    found = read(rows_of([ROW | {"version": "0"}]), versions, {}, NOW)
    assert not found.delivered
    assert "is none of those to send" in found.refused[0].why
