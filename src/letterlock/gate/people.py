"""People: who they are, what is known of them, and what they choose."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from letterlock.domain import (
    ANY,
    BEGINNING,
    END,
    Act,
    Line,
    Rulebook,
    Setting,
    Subject,
    Time,
    canonical,
    covers,
    text_of,
)
from letterlock.errors import InputError, UsageError
from letterlock.gate.workspace import Workspace
from letterlock.history import history
from letterlock.ledger import Draft, Event, mark_of, read_shape, said
from letterlock.sources import choices, people
from letterlock.sources.records import Refused, Row

FEW: Final = 500
"""Up to so many people are asked for by name; for more, everyone's columns are read."""

_BROWSER: Final = b"browser"

_AT_ONCE: Final = 10_000
"""So many people are asked for in one query."""


@dataclass
class Loaded:
    """What came of a file of records; `kept` are grants that are kept as evidence, and no more."""

    recorded: int = 0
    already: int = 0
    refused: list[Refused] = field(default_factory=list)
    widened: list[Refused] = field(default_factory=list)
    kept: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Chosen:
    """One choice, as it stands in the ledger: whoever made it is given this."""

    event: Event

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return its lines; a browser that no longer objects has none."""
        return said(self.event).lines

    def record(self) -> dict[str, Any]:
        """Return it as JSON: what a receipt is made from."""
        body = self.event.body or {}
        evidence = body.get("evidence") or body["claim"]
        shown = {key: evidence[key] for key in ("setting", "text", "language") if key in evidence}
        return {
            "event": self.event.index,
            "recorded": text_of(self.event.time),
            "subject": self.event.subject,
            "act": body.get("act") or evidence["act"],
            "time": text_of(evidence["time"]),
            "channel": evidence["channel"],
            **shown,
            "lines": [_line_record(line) for line in self.lines],
        }


def _line_record(line: Line) -> dict[str, Any]:
    """Return a line as JSON, leaving out what is not said."""
    reach = line.reach()
    said_of = {
        "from": text_of(reach.start) if reach.start > BEGINNING else None,
        "to": text_of(reach.end) if reach.end < END else None,
        "earlier": line.earlier or None,
        "explicit": line.explicit or None,
        "categories": sorted(line.categories) or None,
        "expires": text_of(line.expires_at) if line.expires_at < END else None,
    }
    scope = {"purpose": line.purpose, "data_class": line.pattern, "recipient": line.recipient}
    return scope | {key: value for key, value in said_of.items() if value is not None}


@dataclass
class _Recorded:
    """What the ledger holds of some subjects."""

    known: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    refused_at: dict[str, Time] = field(default_factory=dict)
    told: dict[str, set[str]] = field(default_factory=dict)
    marks: set[int] = field(default_factory=set)


@dataclass
class _Signals:
    """What browsers said of some subjects: each time it changed, by the browser's hashed id."""

    marks: set[int] = field(default_factory=set)
    changes: dict[str, list[tuple[Time, bool]]] = field(default_factory=dict)

    def add(self, kind: str, body: Any) -> None:  # noqa: ANN401 - a body, as recorded
        """Take in what is recorded."""
        self.marks.add(mark_of(body))
        told = body.get("evidence" if kind == choices.CHOICE else "claim") or {}
        on = kind == choices.CHOICE
        if "browser" in told and (on or told.get("act") == choices.SIGNAL):
            self.changes.setdefault(told["browser"], []).append((told["time"], on))

    def changed_by(self, signal: choices.Said) -> bool:
        """Say whether a signal, at its time, says something else than its browser did before."""
        on = signal.kind == choices.CHOICE
        told = signal.body["evidence" if on else "claim"]["browser"]
        before = [each for each in self.changes.get(told, ()) if each[0] <= signal.acted]
        return max(before, default=(BEGINNING, False))[1] is not on


class People(Workspace):
    """The verbs about people."""

    def register_subjects(self, rows: Iterable[Row]) -> Loaded:
        """Register members from rows; whoever is registered already and unchanged is left alone."""
        loaded = Loaded()
        drafts = people.registrations(rows, self.rules(), loaded.refused)
        with self._writing():
            return self._load(drafts, loaded, "subject.registered")

    def register_facts(self, rows: Iterable[Row]) -> Loaded:
        """Record facts from rows."""
        loaded = Loaded()
        with self._writing():
            return self._load(people.facts(rows, loaded.refused), loaded, "subject.fact")

    def load_choices(self, rows: Iterable[Row]) -> Loaded:
        """Record choices from rows, in the order of their acts; the same act is recorded once.

        What a browser says is recorded when it changes. A grant without its subject's own act is
        refused, and kept as evidence if its subject is known.
        """
        return self._record_choices(choices.read(rows, self.rules(), self.now()))

    def _record_choices(self, reading: choices.Reading) -> Loaded:
        loaded = Loaded(refused=reading.refused, widened=reading.widened)
        rules = self.rules()
        with self._writing():
            told = (*reading.said, *reading.claims)
            before = self._recorded_choices({each.subject for each in told}, rules)
            signals = self._signals(reading)
            fresh = []
            for each in reading.said:
                one = each
                if each.browser:
                    one = choices.of_browser(each, self._browser(each.subject, each.browser))
                mark = mark_of(one.body)
                known = mark in before.marks or mark in signals.marks
                if known or (one.browser and not signals.changed_by(one)):
                    loaded.already += 1
                    continue
                before.marks.add(mark)
                if one.browser:
                    signals.add(one.kind, one.body)
                fresh.append(one)
            reading.said = fresh
            self._keep(reading, signals, before.known, loaded)
            describing = {
                name: {v.version for v in rules.policies if name in v.settings}
                for name in rules.introduced
            }

            def noticed(subject: str, setting: str) -> bool:
                return not describing[setting].isdisjoint(before.told.get(subject, ()))

            drafts = choices.drafts(
                reading, before.members, before.known, before.refused_at, noticed
            )
            self._load(drafts, loaded, choices.CHOICE)
            loaded.recorded += sum(each.kind != choices.CHOICE for each in fresh)
        loaded.refused.sort()
        return loaded

    def _keep(
        self, reading: choices.Reading, signals: _Signals, known: set[str], loaded: Loaded
    ) -> None:
        """Leave those claims to be recorded that are new, and of people who are known by then."""
        known = known | {each.subject for each in reading.said if not each.grants}
        fresh = []
        for claim in reading.claims:
            mark = mark_of(claim.body)
            if claim.subject in known and mark not in signals.marks:
                signals.marks.add(mark)
                fresh.append(claim)
                why = "kept as evidence, never as a grant"
                loaded.kept.append(Refused(claim.row, claim.subject, why))
        reading.claims = fresh

    def _signals(self, reading: choices.Reading) -> _Signals:
        """Return what is recorded of the browsers, and of the claims, that a reading speaks of."""
        found = _Signals()
        told = [*(each for each in reading.said if each.browser), *reading.claims]
        names = sorted({each.subject for each in told})
        head = self.store.head()
        for n in range(0, len(names), _AT_ONCE):
            some = names[n : n + _AT_ONCE]
            for event in self.store.events(upto=head.index, subjects=some, rules=True):
                if event.kind in {choices.CHOICE, choices.CLAIM} and event.body is not None:
                    found.add(event.kind, event.body)
        return found

    def _browser(self, subject: str, browser: str) -> str:
        """Hash a browser's id: nobody without this workspace's key can tell which one it was."""
        told, key = canonical([subject, browser]), self.browser_key()
        return hashlib.blake2b(told, key=key, person=_BROWSER, digest_size=32).hexdigest()

    def choose(  # noqa: PLR0913 - one choice, as its subject makes it
        self,
        subject: str,
        act: str,
        *,
        channel: str,
        setting: str = "",
        language: str = "en",
        text: str = "",
        purpose: str | None = None,
        data_class: str | None = None,
        recipient: str | None = None,
        from_: Time | None = None,
        to: Time | None = None,
        earlier: bool = False,
        explicit: bool = False,
        categories: Sequence[str] = (),
        expires: Time | None = None,
        non_member: bool = False,
    ) -> Chosen:
        """Record one choice, made now: a line for each purpose, pattern and recipient.

        A grant is made through a setting, by its text in `language` or the one with the hash
        `text`, and says yes to all that the setting asks for, unless narrowed. `earlier` adds a
        line for what is there already, or for the period between `from_` and `to`; without it
        these narrow the grant. A refusal refuses everything, unless narrowed or made through a
        setting. `non_member`: the subject may have no account, and can then only refuse.
        Raises InputError if the choice cannot be recorded, UsageError for an unknown setting.
        """
        rules, now = self.rules(), self.now()
        if non_member and "@" in subject and self._person(subject.strip()) is None:
            subject = subject.lower()  # as addresses in mail are
        asked = None
        if act == Act.GRANT or setting:
            text = text or _text_of(setting, language, rules)
            asked = choices.setting_of(text, rules)
            if setting not in {"", asked.id}:
                raise InputError(f"the text shown is that of setting {asked.id}, not {setting}")
        period: dict[str, Any] = {"from": from_, "to": to}
        values: dict[str, Any] = {
            "subject": subject, "act": act, "channel": channel, "time": text_of(now),
        }  # fmt: skip
        scopes = _scopes(asked, purpose, data_class, recipient)
        if act == Act.GRANT:
            if non_member:
                raise InputError("somebody without an account can only refuse")
            if categories and not explicit:
                raise InputError("a yes to sensitive categories is explicit: --explicit")
            if expires is not None and expires <= now:
                raise InputError("this grant would have expired before it was made")
            values["text"] = text
            more = {"explicit": explicit, "expires": _written(expires)}
            asks = [period | {"earlier": True}] if earlier else []
            asks = [{} if earlier else period, *asks]
            _check_asks(asks, now)
            lines = [
                {**scope, **more, **_times(ask)}
                | ({"categories": _named(scope, categories, rules)} if explicit else {})
                for ask in asks
                for scope in scopes
            ]
        else:
            if earlier or explicit or categories or expires is not None:
                raise InputError("a refusal has no expiry, category or earlier period: leave it")
            lines = [{**scope, **_times(period)} for scope in scopes]
        parts = [Row(1, line) for line in lines]
        reading = choices.read_one(Row(1, values), parts, rules, now)
        return self._chosen(reading, non_member=non_member)

    def gpc(
        self, subject: str, browser: str, *, on: bool = True, non_member: bool = False
    ) -> Chosen | None:
        """Record what a browser says of `Sec-GPC`; None if it said so before.

        On: an objection to every affiliate and third party, for every purpose and class. Off is
        only noted: the objection stands until its subject answers it by a grant; but a browser
        that says it anew objects anew. `non_member` as for `choose`. Raises InputError.
        """
        values = {
            "subject": subject, "act": choices.SIGNAL, "browser": browser, "on": on,
            "time": text_of(self.now()),
        }  # fmt: skip
        reading = choices.read_one(Row(1, values), (), self.rules(), self.now())
        _check_read(reading)
        self._check_known(reading.said[0].subject, non_member=non_member)
        self._record_choices(reading)
        return self._recorded(*reading.said) if reading.said else None

    def _chosen(self, reading: choices.Reading, *, non_member: bool) -> Chosen:
        """Record one choice made by hand, of which nothing may be in doubt."""
        _check_read(reading)
        (one,) = reading.said
        person = self._person(one.subject)
        if one.grants and not (person and person.member):
            raise InputError(
                f"{one.subject} is not a registered member, so cannot grant: without an account "
                "the answer is no"
            )
        self._check_known(one.subject, non_member=non_member)
        loaded = self._record_choices(reading)
        for problem in loaded.refused:
            raise InputError(problem.why)
        return self._recorded(one)

    def _person(self, subject: str) -> Subject | None:
        """Return what is recorded of one person, if anything is."""
        canonical(subject)  # half a character is nobody
        return self.state([subject]).subjects.get(subject)

    def _check_known(self, subject: str, *, non_member: bool) -> None:
        """Raise InputError for a name that is nobody's: it may be a slip."""
        if not non_member and self._person(subject) is None:
            raise InputError(
                f"{subject} is nobody we know: if this is somebody without an account, "
                "say so (--non-member)"
            )

    def _recorded(self, said: choices.Said) -> Chosen:
        """Return a choice as it was recorded."""
        head, mark = self.store.head(), mark_of(said.body)
        return next(
            Chosen(event)
            for event in self.store.events(upto=head.index, subjects=[said.subject], rules=True)
            if event.kind == said.kind and event.body is not None and mark_of(event.body) == mark
        )

    def history_of(self, subject: str) -> dict[str, Any]:
        """Return everything recorded of a subject as JSON-LD. Raises InputError for nobody."""
        canonical(subject)  # half a character is nobody
        events = self._about(subject)
        if any(event.body is None for event in events):  # when: that stands in what is of everyone
            upto = self.store.head().index
            events = list(self.store.events(upto=upto, subjects=[subject]))
        if not events:
            raise InputError(f"nothing is recorded of {subject!r}")
        return history(events, subject, self.rules())

    def _load(self, drafts: Iterator[Draft], loaded: Loaded, kind: str) -> Loaded:
        """Record drafts; counts those of the kind that each row stands for."""
        counted = 0

        def counting() -> Iterator[Draft]:
            nonlocal counted
            for draft in drafts:
                counted += draft.kind == kind
                yield draft

        self.store.append(counting(), now=self.now())
        loaded.recorded = counted
        return loaded

    def _recorded_choices(self, subjects: set[str], rules: Rulebook) -> _Recorded:
        """Return what the ledger holds of these subjects that decides what may be added."""
        head = self.store.head()
        found = _Recorded()
        wanted = {number: name for name, number in self.store.known(subjects).items()}
        if not wanted:
            return found

        few = len(wanted) <= FEW
        where = f"subject IN ({','.join(map(str, wanted))})" if few else ""

        def theirs(table: str, *names: str) -> Iterator[tuple[int, ...]]:
            columns = ("subject", *names)
            read = self.store.columns(table, columns, as_of=head.time, upto=head.index, where=where)
            read = read.filter(pc.is_in(read.column("subject"), value_set=pa.array(wanted)))
            return zip(*(read.column(name).to_pylist() for name in columns), strict=True)

        for number, member in theirs("person", "member"):
            found.known.add(wanted[number])
            (found.members.add if member else found.members.discard)(wanted[number])
        symbols = self.store.symbols()
        versions = {symbols[v.version]: v for v in rules.policies if v.version in symbols}
        for number, symbol_of_version, index in theirs("notice", "version", "idx"):
            version = versions.get(symbol_of_version)
            if version is not None and index > version.index:
                found.told.setdefault(wanted[number], set()).add(version.version)
        refusals = {
            number
            for symbol, number in symbols.items()
            if (shape := read_shape(symbol)) is not None and shape.act is not Act.GRANT
        }
        for number, line, acted, mark in theirs("line", "shape", "acted", "mark"):
            found.marks.add(mark)
            if line in refusals:
                name = wanted[number]
                found.refused_at[name] = max(acted, found.refused_at.get(name, acted))
        return found


# ── what one choice says ────────────────────────────────────────────────────────────────────


def _check_read(reading: choices.Reading) -> None:
    """Raise InputError if anything of a choice could not be read: by hand, it can be mended."""
    for problem in reading.refused:
        raise InputError(problem.why)
    for problem in reading.widened:
        what, _, _ = problem.why.partition(" cannot be read")
        raise InputError(f"{what} cannot be read: nothing was recorded")


def _text_of(setting: str, language: str, rules: Rulebook) -> str:
    """Return the hash of the text that the newest version shows. Raises UsageError."""
    if not setting:
        raise UsageError("a grant is made through a setting: --setting")
    newest = rules.policies[-1] if rules.policies else None
    if newest is None or setting not in newest.settings:
        there = ", ".join(newest.settings) if newest else "no policy is published"
        raise UsageError(f"unknown setting {setting!r}; there is: {there}")
    languages = {tongue: text for (name, tongue), text in newest.texts.items() if name == setting}
    if language not in languages:
        listed = ", ".join(sorted(languages))
        raise UsageError(f"setting {setting} has no text in {language!r}; there is: {listed}")
    return languages[language]


def _scopes(
    setting: Setting | None, purpose: str | None, data_class: str | None, recipient: str | None
) -> list[dict[str, str]]:
    """Return each purpose × pattern × recipient that is spoken of."""
    every = (ANY,)
    axes = (
        (purpose,) if purpose is not None else setting.purposes if setting else every,
        (data_class,) if data_class is not None else setting.data_classes if setting else every,
        (recipient,) if recipient is not None else setting.recipients if setting else every,
    )
    keys = ("purpose", "data_class", "recipient")
    return [dict(zip(keys, scope, strict=True)) for scope in product(*map(dict.fromkeys, axes))]


def _named(scope: dict[str, str], categories: Sequence[str], rules: Rulebook) -> list[str]:
    """Return the categories named, or else all that the classes of a scope are declared for."""
    declared = {
        category
        for name, found in rules.sensitive.items()
        if covers(scope["data_class"], name)
        for category in found
    }
    return sorted(set(categories) or declared)


def _check_asks(asks: Sequence[dict[str, Any]], now: Time) -> None:
    """Raise InputError for a period about which nothing would be said."""
    for ask in asks:
        start, end = ask.get("from"), ask.get("to")
        if start is not None and end is not None and start >= end:
            raise InputError("the period ends before it begins")
        if ask.get("earlier") and start is not None and start >= now:
            raise InputError("a period asked for separately begins before now")
        if not ask.get("earlier") and end is not None and end <= now:
            raise InputError(
                "a grant speaks of what is made from now on: what is there already is asked for "
                "separately (--earlier)"
            )


def _times(period: dict[str, Any]) -> dict[str, Any]:
    """Return a period as a row has it."""
    return {key: _written(value) if key != "earlier" else value for key, value in period.items()}


def _written(t: Time | None) -> str | None:
    """Write a time as a row has it; what lies beyond all time is open."""
    if t is None or BEGINNING < t < END:
        return None if t is None else text_of(t)
    return "0001-01-01" if t <= BEGINNING else "9999-12-31"
