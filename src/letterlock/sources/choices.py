"""Choices from a file or a form: a grant counts only with the subject's own act, a refusal always.

Rows are taken in the order of their acts, whatever the order of the file. A grant needs time,
channel and the hash of a published text, and stays within that text's setting, which has to be
introduced, and described in a notice to that person (R1). A refusal always loads: what of it cannot
be read is taken to mean everything. What is not recorded is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from letterlock.domain import (
    ANY,
    BEGINNING,
    END,
    PURPOSES,
    Act,
    Rulebook,
    Setting,
    Time,
    covers,
    text_of,
    within,
)
from letterlock.errors import InputError
from letterlock.ledger import Draft, Event, rows_of
from letterlock.sources.records import Refused, Row


class Said(NamedTuple):
    """A choice as it was made: its act's time orders it among the subject's other acts."""

    row: int
    acted: Time
    body: dict[str, Any]

    @property
    def subject(self) -> str:
        """Return whose choice it is."""
        return str(self.body["subject"])


@dataclass
class Reading:
    """What came of a file of choices."""

    said: list[Said] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    widened: list[Refused] = field(default_factory=list)


def read(rows: Iterable[Row], rules: Rulebook, now: Time) -> Reading:
    """Read rows (subject, act, purpose, data_class, recipient, from, to, earlier, explicit,
    categories, expires, time, channel, text) in the order of their acts.

    Acts at the same moment: refusals come last, so that they count.
    """  # noqa: D205 - the columns, in one sentence
    reading = Reading()
    for row in rows:
        subject = ""
        try:
            subject = row.subject()
            act = row.text("act")
            if act == Act.GRANT:
                reading.said.append(_grant(row, subject, rules, now))
            else:
                reading.said.append(_refusal(row, subject, act, rules, now, reading))
        except InputError as error:
            reading.refused.append(Refused(row.number, subject, str(error)))
    reading.said.sort(key=lambda s: (s.acted, s.body["act"] != Act.GRANT))
    return reading


def _grant(row: Row, subject: str, rules: Rulebook, now: Time) -> Said:
    acted = row.time("time")
    channel, text = row.optional("channel", str), row.optional("text", str)
    if acted is None or not channel or not text:
        raise InputError(
            "a grant needs the subject's own act: time, channel and the hash of the text shown"
        )
    if acted > now:
        raise InputError(f"the act's time {text_of(acted)} lies in the future")
    line = {
        "purpose": row.text("purpose"),
        "data_class": row.text("data_class"),
        "recipient": row.text("recipient"),
        **row.span(),
    }
    if row.optional("earlier", bool):
        line["earlier"] = True
    if row.optional("explicit", bool):
        line["explicit"] = True
    if categories := row.texts("categories"):
        line["categories"] = categories
    if (expires := row.time("expires")) is not None:
        line["expires"] = min(expires, END)
    row.done()
    setting = setting_of(text, rules)
    if setting.id not in rules.introduced:
        raise InputError(
            f"setting {setting.id} is not introduced yet: letterlock policy introduce {setting.id}"
        )
    check_scope(line, setting)
    evidence = {"time": acted, "channel": channel, "text": text, "setting": setting.id}
    body = {"subject": subject, "act": "grant", "lines": [line], "evidence": evidence}
    return Said(row.number, acted, _checked(body))


def setting_of(text: str, rules: Rulebook) -> Setting:
    """Return the setting whose published text has this hash, in the newest version that lists it.

    Raises InputError if none does.
    """
    for version in reversed(rules.policies):
        for (setting, _), digest in version.texts.items():
            if digest == text and setting in version.settings:
                return version.settings[setting]
    raise InputError(f"no published setting has the text {text[:16]}…, so nobody can have agreed")


def check_scope(line: dict[str, Any], setting: Setting) -> None:
    """Raise InputError if a grant's line reaches beyond the setting it was made through."""
    if not any(covers(p, line["purpose"]) for p in setting.purposes):
        raise InputError(f"setting {setting.id} does not ask for purpose {line['purpose']}")
    if not any(within(line["data_class"], p) for p in setting.data_classes):
        raise InputError(f"setting {setting.id} does not ask for {line['data_class']}")
    if line["recipient"] not in setting.recipients:
        raise InputError(f"setting {setting.id} does not name recipient {line['recipient']}")


def _refusal(  # noqa: PLR0913, PLR0917 - a row, and where to say what was made of it
    row: Row, subject: str, act: str, rules: Rulebook, now: Time, reading: Reading
) -> Said:
    """Read a refusal; what cannot be read of its scope is taken to mean everything."""
    if act not in list(Act):
        raise InputError(f"unknown act {act!r}: write grant, withdraw or object")
    doubts = []
    line: dict[str, Any] = {}
    fits: dict[str, Callable[[str], bool]] = {
        "purpose": lambda v: v in PURPOSES,
        "data_class": lambda v: any(covers(v, c) or within(c, v) for c in rules.data_classes),
        "recipient": lambda v: v in rules.recipients,
    }
    for name, known in fits.items():
        value = row.optional(name, object)
        if value is not None and value != ANY:
            if isinstance(value, str) and known(value):
                line[name] = value
            else:
                doubts.append(f"{name} {value!r}")
    try:
        span = row.span()
        readable = span.get("from", BEGINNING) < span.get("to", END)
    except InputError:
        readable = False
    if readable:
        line |= span
    else:
        doubts.append("period")
    try:
        acted = row.time("time")
        if acted is not None and acted <= BEGINNING:
            raise InputError("before anything can be written down")
    except InputError:
        acted = None
        doubts.append("time")
    channel = row.optional("channel", object)
    named = isinstance(channel, str) and channel and channel.isprintable()
    if doubts:
        why = f"{', '.join(doubts)} cannot be read, so it was recorded as refusing everything there"
        reading.widened.append(Refused(row.number, subject, why))
    acted = now if acted is None else min(acted, now)
    evidence = {"time": acted, "channel": channel if named else "unknown"}
    body = {"subject": subject, "act": str(act), "lines": [line], "evidence": evidence}
    return Said(row.number, acted, _checked(body))


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """Return `body` if a ledger would take it. Raises InputError."""
    rows_of(Event(0, 0, "choice.made", body, body["subject"]))
    return body


def drafts(
    reading: Reading,
    members: set[str],
    known: set[str],
    refused_at: dict[str, Time],
    told: Callable[[str, str], bool],
) -> Iterator[Draft]:
    """Yield what is to be recorded, in the order of the acts.

    `refused_at` gives the latest refusal already recorded of each subject: an older grant comes too
    late, for it would seem to be the later word. `told` says whether a notice of a version that
    describes a setting is recorded of a subject: without one nobody grants (R1). Whoever refuses
    without being known is entered as a known non-member, so that the refusal stands if they ever
    join (R8, R35).
    """
    for said in reading.said:
        subject = said.subject
        if said.body["act"] == Act.GRANT:
            why = ""
            if subject not in members:
                why = "is not a registered member, so cannot grant"
            elif not told(subject, setting := said.body["evidence"]["setting"]):
                why = f"no notice of a version that describes setting {setting} is recorded"
            elif subject in refused_at and refused_at[subject] >= said.acted:
                why = "a refusal no older than it is already recorded, which it does not answer"
            if why:
                reading.refused.append(Refused(said.row, subject, why))
                continue
        elif subject not in known:
            known.add(subject)
            yield Draft("subject.registered", {"subject": subject, "member": False})
        yield Draft("choice.made", said.body)
