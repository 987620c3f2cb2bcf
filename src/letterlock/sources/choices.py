"""Choices from a file or a form: a grant counts only with the subject's own act, a refusal always.

Rows are taken in the order of their acts, whatever the order of the file. A grant needs time,
channel and the hash of a published text, and stays within that text's setting, which has to be
introduced, and described in a notice to that person (R1); without them it is a claim, which is kept
as evidence and decides nothing. A refusal always loads: what of it cannot be read is taken to mean
everything. `Sec-GPC: 1` is an objection to whoever is not the platform itself; that a browser no
longer sends it is no yes. What is not recorded is listed.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from letterlock.domain import (
    ANY,
    BEGINNING,
    END,
    PURPOSES,
    Act,
    RecipientClass,
    Rulebook,
    Setting,
    Time,
    canonical,
    covers,
    text_of,
    within,
)
from letterlock.errors import InputError
from letterlock.ledger import Draft, Event, rows_of
from letterlock.sources.records import Refused, Row

SIGNAL: Final = "gpc"
"""The act of a browser that says no for its user (Global Privacy Control)."""

CHOICE: Final = "choice.made"
CLAIM: Final = "consent.claimed"

_OTHERS: Final = (RecipientClass.THIRD_PARTY, RecipientClass.AFFILIATE)
"""To whom `Sec-GPC: 1` objects: everybody but the platform itself."""


class Said(NamedTuple):
    """A choice as it was made: its act's time orders it among the subject's other acts.

    `browser` is the id of the browser that said it, as it was given: no body holds it.
    """

    row: int
    acted: Time
    body: dict[str, Any]
    kind: str = CHOICE
    browser: str = ""

    @property
    def subject(self) -> str:
        """Return whose choice it is."""
        return str(self.body["subject"])

    @property
    def grants(self) -> bool:
        """Say whether it is a yes."""
        return self.body.get("act") == Act.GRANT


@dataclass
class Reading:
    """What came of a file of choices; `claims` are of some refused rows."""

    said: list[Said] = field(default_factory=list)
    claims: list[Said] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    widened: list[Refused] = field(default_factory=list)


def read(rows: Iterable[Row], rules: Rulebook, now: Time) -> Reading:
    """Read rows (subject, act, purpose, data_class, recipient, from, to, earlier, explicit,
    categories, expires, time, channel, text; for act gpc: browser, on) in the order of their acts.

    Acts at the same moment: refusals come last, so that they count.
    """  # noqa: D205 - the columns, in one sentence
    reading = Reading()
    for row in rows:
        _read(row, (), rules, now, reading)
    reading.said.sort(key=lambda s: (s.acted, not s.grants, s.kind == CHOICE))
    return reading


def read_one(row: Row, lines: Sequence[Row], rules: Rulebook, now: Time) -> Reading:
    """Read one act of several lines, as a form or command has them, by the same rules."""
    reading = Reading()
    _read(row, lines, rules, now, reading)
    return reading


def _read(row: Row, lines: Sequence[Row], rules: Rulebook, now: Time, reading: Reading) -> None:
    subject, act, given = "", "", row.left()
    try:
        subject = row.subject()
        act = row.text("act")
        if act == Act.GRANT:
            reading.said.append(_grant(row, subject, rules, now, lines))
        elif act == SIGNAL:
            reading.said.append(_signal(row, subject, now, reading))
        else:
            reading.said.append(_refusal(row, subject, act, rules, now, reading, lines))
    except InputError as error:
        reading.refused.append(Refused(row.number, subject, str(error)))
        if act == Act.GRANT and not _is_evidence(Row(row.number, given), rules):
            claim = {name: value for name, value in given.items() if name != "subject"}
            body = {"subject": subject, "claim": _plain(claim)}
            with suppress(InputError):  # somebody with such a name is not known anyway
                reading.claims.append(Said(row.number, now, _checked(body, CLAIM), CLAIM))


def _is_evidence(row: Row, rules: Rulebook) -> bool:
    """Say whether a row has the evidence of an act of its subject: time, channel and text."""
    try:
        setting_of(row.text("text"), rules)
        return row.time("time") is not None and bool(row.text("channel"))
    except InputError:
        return False


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Return a row's values as JSON that can be recorded; what cannot be is described."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        try:
            canonical({name: value})
            found[name] = value
        except InputError:
            found[ascii(name)] = reprlib.repr(value)
    return found


def _grant(row: Row, subject: str, rules: Rulebook, now: Time, parts: Sequence[Row] = ()) -> Said:
    acted = row.time("time")
    channel, text = row.optional("channel", str), row.optional("text", str)
    if acted is None or not channel or not text:
        raise InputError(
            "a grant needs the subject's own act: time, channel and the hash of the text shown"
        )
    if acted > now:
        raise InputError(f"the act's time {text_of(acted)} lies in the future")
    lines = [_granted(part) for part in parts or (row,)]
    for part in (*parts, row):
        part.done()
    setting = setting_of(text, rules)
    if setting.id not in rules.introduced:
        raise InputError(
            f"setting {setting.id} is not introduced yet: letterlock policy introduce {setting.id}"
        )
    for line in lines:
        check_scope(line, setting)
    evidence = {"time": acted, "channel": channel, "text": text, "setting": setting.id}
    evidence["language"] = language_of(text, rules)
    body = {"subject": subject, "act": "grant", "lines": lines, "evidence": evidence}
    return Said(row.number, acted, _checked(body))


def _granted(row: Row) -> dict[str, Any]:
    """Read one line of a grant."""
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
    return line


def setting_of(text: str, rules: Rulebook) -> Setting:
    """Return the setting whose published text has this hash, in the newest version that lists it.

    Raises InputError if none does.
    """
    for version in reversed(rules.policies):
        for (setting, _), digest in version.texts.items():
            if digest == text and setting in version.settings:
                return version.settings[setting]
    raise InputError(f"no published setting has the text {text[:16]}…, so nobody can have agreed")


def language_of(text: str, rules: Rulebook) -> str:
    """Return the language of a published text. Raises InputError if it is none."""
    for version in reversed(rules.policies):
        for (_, language), digest in version.texts.items():
            if digest == text:
                return language
    raise InputError(f"no published setting has the text {text[:16]}…")


def check_scope(line: dict[str, Any], setting: Setting) -> None:
    """Raise InputError if a grant's line reaches beyond the setting it was made through."""
    if not any(covers(p, line["purpose"]) for p in setting.purposes):
        raise InputError(f"setting {setting.id} does not ask for purpose {line['purpose']}")
    if not any(within(line["data_class"], p) for p in setting.data_classes):
        raise InputError(f"setting {setting.id} does not ask for {line['data_class']}")
    if line["recipient"] not in setting.recipients:
        raise InputError(f"setting {setting.id} does not name recipient {line['recipient']}")


def _refusal(  # noqa: PLR0913, PLR0917 - a row, and where to say what was made of it
    row: Row,
    subject: str,
    act: str,
    rules: Rulebook,
    now: Time,
    reading: Reading,
    parts: Sequence[Row] = (),
) -> Said:
    """Read a refusal; what cannot be read of its scope is taken to mean everything."""
    if act not in list(Act):
        raise InputError(f"unknown act {act!r}: write grant, withdraw or object")
    doubts: list[str] = []
    lines = [_refused(part, rules, doubts) for part in parts or (row,)]
    acted = _acted(row, now, doubts)
    if doubts:
        why = f"{', '.join(doubts)} cannot be read, so it was recorded as refusing everything there"
        reading.widened.append(Refused(row.number, subject, why))
    evidence = {"time": acted, "channel": _channel(row, "unknown")}
    body = {"subject": subject, "act": str(act), "lines": lines, "evidence": evidence}
    return Said(row.number, acted, _checked(body))


def _refused(row: Row, rules: Rulebook, doubts: list[str]) -> dict[str, Any]:
    """Read one line of a refusal, and add to `doubts` what of it cannot be read."""
    line: dict[str, Any] = {}
    fits: dict[str, Callable[[str], bool]] = {
        "purpose": lambda v: v in PURPOSES,
        "data_class": lambda v: any(covers(v, c) or within(c, v) for c in rules.data_classes),
        "recipient": lambda v: v in rules.recipients or v in list(RecipientClass),
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
        return line | span
    doubts.append("period")
    return line


def _acted(row: Row, now: Time, doubts: list[str]) -> Time:
    """Return when a refusal was made: now, if that is not said or cannot be read."""
    try:
        acted = row.time("time")
        if acted is not None and acted <= BEGINNING:
            raise InputError("before anything can be written down")
    except InputError:
        acted = None
        doubts.append("time")
    return now if acted is None else min(acted, now)


def _channel(row: Row, otherwise: str) -> str:
    """Return how a refusal came, if that can be written down."""
    channel = row.optional("channel", object)
    named = isinstance(channel, str) and channel and channel.isprintable()
    return str(channel) if named else otherwise


def _signal(row: Row, subject: str, now: Time, reading: Reading) -> Said:
    """Read what a browser says: `Sec-GPC: 1`, or (`on` false) that no longer.

    Of a signal that cannot be read, what narrows is taken; one that ends needs its browser.
    """
    doubts: list[str] = []
    on, browser = row.optional("on", object), row.optional("browser", object)
    if not isinstance(browser, str) or not browser.strip():
        if on is False:
            raise InputError("which browser no longer sends Sec-GPC? browser is missing")
        doubts.append("browser")
        browser = ""
    if on is not None and not isinstance(on, bool):
        doubts.append("on")
    acted = _acted(row, now, doubts)
    evidence = {"time": acted, "channel": _channel(row, "Sec-GPC")}
    if on is False:
        claim = {"act": SIGNAL, "on": False, **evidence}
        body = {"subject": subject, "claim": claim}
        return Said(row.number, acted, _checked(body, CLAIM), CLAIM, browser.strip())
    if doubts:
        why = f"{', '.join(doubts)} cannot be read, so it was recorded as an objection of its own"
        reading.widened.append(Refused(row.number, subject, why))
    lines = [{"recipient": each.value} for each in _OTHERS]
    said = {"subject": subject, "act": "object", "lines": lines, "evidence": evidence}
    return Said(row.number, acted, _checked(said), browser=browser.strip())


def of_browser(said: Said, name: str) -> Said:
    """Return what a browser said with its hashed id `name` in the evidence."""
    key = "claim" if said.kind == CLAIM else "evidence"
    return said._replace(body={**said.body, key: {**said.body[key], "browser": name}})


def _checked(body: dict[str, Any], kind: str = CHOICE) -> dict[str, Any]:
    """Return `body` if a ledger would take it. Raises InputError."""
    event = Event(0, 0, kind, body, body["subject"])
    rows_of(event)
    if kind == CLAIM:  # a choice's bytes are made for its mark
        event.canonical()
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
    join (R8, R35). Claims come last: only those of people who are known by then.
    """
    for said in reading.said:
        subject = said.subject
        if said.grants:
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
        yield Draft(said.kind, said.body)
    for claim in reading.claims:
        if claim.subject in known:
            yield Draft(CLAIM, claim.body)
