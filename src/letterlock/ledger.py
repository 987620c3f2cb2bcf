"""Events, and the state as of T that they add up to. Spec: docs/spec/ledger.md.

An event is recorded once and never changed. Its canonical bytes are what is committed to; beside
them stand decision columns (`rows_of`), which say the same in integers and symbols and are what the
plan reads. `fold` is the slow twin: event by event, into objects.
"""

from __future__ import annotations

import hashlib
import json
import reprlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from letterlock import approval
from letterlock.domain import (
    ANY,
    BEGINNING,
    END,
    Act,
    Amendment,
    Clause,
    Fact,
    FactKind,
    Hold,
    Level,
    Line,
    Notice,
    Objection,
    Operator,
    PolicyVersion,
    Recipient,
    RecipientClass,
    RegionTable,
    Rulebook,
    Setting,
    Signature,
    Span,
    State,
    Subject,
    Terms,
    Time,
    Withdrawal,
    canonical,
)
from letterlock.errors import InputError, UnknownVersion

VERSION: Final = 1
SALT_SIZE: Final = 32
COMMITMENT_LABEL: Final = b"letterlock/commitment/v1\0"

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that is yet to be recorded."""

    kind: str
    body: Body


@dataclass(frozen=True, slots=True)
class Event:
    """A recorded event; `body` None: erased, and only its subject and place are left."""

    index: int
    time: Time
    kind: str
    body: Body | None
    subject: str | None = None
    v: int = VERSION

    def canonical(self) -> bytes:
        """Return the bytes that its commitment commits to (RFC 8785)."""
        content = {"body": self.body, "index": self.index, "kind": self.kind}
        return canonical({**content, "time": self.time, "v": self.v})


@dataclass(frozen=True, slots=True)
class Head:
    """The last recorded event: index -1 and the beginning of time in an empty ledger."""

    index: int
    time: Time


class EventStore(Protocol):
    """Where events are kept. Implementations: store/sqlite.py, store/postgres.py."""

    def head(self) -> Head:
        """Return the last recorded event's place."""

    def append(self, drafts: Iterable[Draft], *, now: Time, expect: int | None = None) -> Head:
        """Record `drafts` in one transaction, all or none.

        Raises HeadMoved if `expect` is not the head's index, LedgerError if `now` lies before it.
        """

    def events(
        self, *, upto: int, subjects: Sequence[str] = (), rules: bool = False
    ) -> Iterator[Event]:
        """Yield the events about everyone, and those about `subjects`, up to index `upto`.

        `rules`: of those about everyone, only what a rulebook is folded from.
        """

    def every_event(self, *, upto: int, after: int = -1) -> Iterator[Event]:
        """Yield every event from behind index `after` up to index `upto`, in recorded order."""

    def columns(
        self, table: str, names: Sequence[str], *, as_of: Time, upto: int, where: str = ""
    ) -> pa.Table:
        """Return decision columns of `table`, in recorded order."""

    def symbols(self) -> Mapping[str, int]:
        """Return the number of every interned symbol."""

    def numbers(self, subjects: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return the dense number of each subject id, interning what is new."""

    def known(self, subjects: Iterable[str]) -> dict[str, int]:
        """Return the number of each of these subject ids that has one."""

    def subject_ids(self) -> list[str]:
        """Return every interned subject id; its position is its number."""


def commitment(salt: bytes, canonical_event: bytes) -> bytes:
    """Commit to an event: with the salt destroyed, nothing can be learned or shown of it."""
    return hashlib.sha256(COMMITMENT_LABEL + salt + canonical_event).digest()


# ── reading bodies ──────────────────────────────────────────────────────────────────────────


class _Reader:
    """A strict reader of one JSON object: every key is asked for once, none is left over."""

    def __init__(self, body: object, what: str) -> None:
        if not isinstance(body, Mapping):
            raise InputError(f"{what}: not an object")
        self.left = dict(body)
        self.what = what

    def take(self, key: str, kind: type | tuple[type, ...], default: object = ...) -> Any:  # noqa: ANN401
        """Return the value of `key`, checked for its type; bool never passes for int."""
        value = self.left.pop(key, default)
        if value is ...:
            raise InputError(f"{self.what}: {key} is missing")
        if value is default and key not in self.left:
            return value
        wants_bool = kind is bool
        if not isinstance(value, kind) or (isinstance(value, bool) and not wants_bool):
            raise InputError(f"{self.what}: {key} cannot be {reprlib.repr(value)}")
        return value

    def text(self, key: str, default: object = ...) -> Any:  # noqa: ANN401
        """Return a non-empty string."""
        value = self.take(key, str, default)
        if value == "":
            raise InputError(f"{self.what}: {key} is empty")
        return value

    def span(self) -> Span:
        """Return the span between `from` and `to`, either of which may be absent: open."""
        start, end = self.take("from", int, BEGINNING), self.take("to", int, END)
        if not BEGINNING <= start <= end <= END:
            raise InputError(f"{self.what}: from {start} to {end} is no span of time")
        return Span(start, end)

    def strings(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return a non-empty list of strings."""
        value = self.take(key, list, ... if default is None else list(default))
        if not all(isinstance(v, str) and v for v in value):
            raise InputError(f"{self.what}: {key} must list texts")
        return tuple(value)

    def done(self) -> None:
        """Raise InputError if a key was not asked for."""
        if self.left:
            raise InputError(f"{self.what}: unknown {', '.join(sorted(self.left))}")


def clause_body(clause: Clause) -> dict[str, Any]:
    """Write a clause as JSON. Raises InputError for one that could not be read."""
    if clause.level is None:
        raise InputError(f"clause {clause.id} has no level")
    body: dict[str, Any] = {"id": clause.id, "level": clause.level.name.lower()}
    for key in ("data_classes", "purposes", "recipients", "jurisdictions", "contracts"):
        if getattr(clause, key) != (ANY,):
            body[key] = list(getattr(clause, key))
    return body | span_body(clause.span)


def span_body(span: Span) -> dict[str, int]:
    """Write a span as `from` and `to`, leaving out what is open."""
    body = {"from": span.start} if span.start > BEGINNING else {}
    return body | ({"to": span.end} if span.end < END else {})


def read_clause(body: object) -> Clause:
    """Read a clause strictly. Raises InputError."""
    reader = _Reader(body, "clause")
    name = reader.text("id")
    reader.what = f"clause {name}"
    level = reader.text("level").upper()
    if level not in Level.__members__:
        raise InputError(f"clause {name}: unknown level {level.lower()!r}")

    def alternatives(key: str) -> tuple[str, ...]:
        return reader.strings(key, (ANY,))

    clause = Clause(
        name,
        Level[level],
        alternatives("data_classes"),
        alternatives("purposes"),
        alternatives("recipients"),
        alternatives("jurisdictions"),
        alternatives("contracts"),
        reader.span(),
    )
    reader.done()
    return clause


def _clauses(reader: _Reader, *, strict: bool) -> tuple[Clause, ...]:
    """Read clauses; unless `strict`, one that cannot be read becomes one that denies."""
    found = []
    for n, body in enumerate(reader.take("clauses", list)):
        try:
            found.append(read_clause(body))
        except InputError:
            if strict:
                raise
            found.append(Clause(f"unreadable clause {n + 1}", None))
    return tuple(found)


def _fact(reader: _Reader, event: Event, n: int) -> Fact:
    kind = reader.text("kind")
    if kind not in list(FactKind):
        raise InputError(f"{reader.what}: unknown fact {kind!r}")
    value = reader.take("value", int if kind == FactKind.BIRTH_YEAR else str, None)
    if value == "" or (isinstance(value, int) and not 1800 <= value <= 9999):  # noqa: PLR2004
        raise InputError(f"{reader.what}: {kind} cannot be {value!r}")
    fact = Fact(FactKind(kind), value, reader.span(), event.time, (event.index, n))
    reader.done()
    return fact


def _line(reader: _Reader, act: Act, event: Event, text: str) -> Line:
    refusal = act is not Act.GRANT
    wide = ANY if refusal else ...
    purpose, pattern = reader.text("purpose", wide), reader.text("data_class", wide)
    recipient, span = reader.text("recipient", wide), reader.span()
    earlier, explicit = reader.take("earlier", bool, False), reader.take("explicit", bool, False)  # noqa: FBT003
    categories = frozenset(reader.strings("categories", ()))
    expires = reader.take("expires", int, END)
    reader.done()
    if refusal and (earlier or explicit or categories or expires != END):
        raise InputError(f"{reader.what}: a refusal has no expiry, category or earlier period")
    if not refusal and (purpose == ANY or recipient in {ANY, *RecipientClass}):
        raise InputError(f"{reader.what}: a grant names one purpose and one recipient")
    return Line(
        act, purpose, pattern, recipient, span, event.time, event.index,
        earlier, explicit, categories, expires, text,
    )  # fmt: skip


# ── what each event says of one person ──────────────────────────────────────────────────────


class Said(NamedTuple):
    """What one event says of its subject, in domain values; each list may be empty."""

    member: bool | None = None
    facts: tuple[Fact, ...] = ()
    notices: tuple[Notice, ...] = ()
    objected: str = ""
    taken_back: str = ""
    amendments: tuple[Amendment, ...] = ()
    lines: tuple[Line, ...] = ()


def _registered(body: _Reader, event: Event) -> Said:
    facts = [
        _fact(_Reader(f, "subject.registered: fact"), event, n)
        for n, f in enumerate(body.take("facts", list, []))
    ]
    noticed = body.strings("noticed", ())
    notices = [Notice(version, event.time, at_registration=True) for version in noticed]
    return Said(body.take("member", bool), tuple(facts), tuple(notices))


def _fact_of(body: _Reader, event: Event) -> Said:
    fact = _fact(body, event, 0)
    return Said(facts=(fact,))


def _notice(body: _Reader, event: Event) -> Said:
    body.take("evidence", Mapping, None)
    return Said(notices=(Notice(body.text("version"), event.time),))


def _objected(body: _Reader, _event: Event) -> Said:
    body.text("channel", None)
    return Said(objected=body.text("version"))


def _taken_back(body: _Reader, _event: Event) -> Said:
    body.text("channel", None)
    return Said(taken_back=body.text("version"))


def _amended(body: _Reader, _event: Event) -> Said:
    contract = body.text("contract")
    _evidence(body)
    amendments = []
    for line in body.take("lines", list):
        reader = _Reader(line, "contract.amended: line")
        scope = (reader.text("purpose"), reader.text("data_class"), reader.text("recipient"))
        amendments.append(Amendment(contract, *scope, reader.span()))
        reader.done()
    return Said(amendments=tuple(amendments))


def _evidence(body: _Reader) -> str:
    """Read the act's own evidence (time, channel, text shown); return the text's hash."""
    evidence = _Reader(body.take("evidence", Mapping), f"{body.what}: evidence")
    evidence.take("time", int)
    evidence.text("channel")
    evidence.text("setting", None)
    evidence.text("language", None)
    evidence.text("browser", None)
    text: str | None = evidence.text("text", None)
    evidence.done()
    return text or ""


def _claimed(body: _Reader, _event: Event) -> Said:
    body.take("claim", Mapping)
    return Said()


def _chosen(body: _Reader, event: Event) -> Said:
    act = body.text("act")
    if act not in list(Act):
        raise InputError(f"{body.what}: unknown act {act!r}")
    text = _evidence(body) if act == Act.GRANT or "evidence" in body.left else ""
    if act == Act.GRANT and not text:
        raise InputError(f"{body.what}: a grant needs the hash of the text that was shown")
    lines = body.take("lines", list)
    if not lines:
        raise InputError(f"{body.what}: no lines")
    readers = [_Reader(line, "choice.made: line") for line in lines]
    return Said(lines=tuple(_line(reader, Act(act), event, text) for reader in readers))


_OF_PERSON: Final[Mapping[str, Callable[[_Reader, Event], Said]]] = {
    "subject.registered": _registered,
    "subject.fact": _fact_of,
    "notice.delivered": _notice,
    "version.objected": _objected,
    "version.objection_withdrawn": _taken_back,
    "contract.amended": _amended,
    "choice.made": _chosen,
    "consent.claimed": _claimed,
}

PERSONAL: Final = frozenset(_OF_PERSON)


def said(event: Event) -> Said:
    """Read what a personal event says. Raises InputError if its body is malformed."""
    body = _Reader(event.body, event.kind)
    subject = body.text("subject")
    if subject != event.subject:
        raise InputError(f"{event.kind}: filed under {event.subject!r} but about {subject!r}")
    result = _OF_PERSON[event.kind](body, event)
    body.done()
    return result


# ── what each event says of everyone ────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Rules:
    """The rulebook in the making."""

    recipients: dict[str, Recipient] = field(default_factory=dict)
    policies: list[PolicyVersion] = field(default_factory=list)
    data_classes: dict[str, int] = field(default_factory=dict)
    contracts: dict[str, tuple[Terms, ...]] = field(default_factory=dict)
    regions: list[RegionTable] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    lifted: set[str] = field(default_factory=set)
    declared: set[tuple[str, str]] = field(default_factory=set)
    sensitive: dict[str, frozenset[str]] = field(default_factory=dict)
    introduced: dict[str, int] = field(default_factory=dict)
    operators: dict[str, Operator] = field(default_factory=dict)


def _policy(rules: _Rules, body: _Reader, event: Event, *, strict: bool) -> None:
    texts = {}
    for setting, languages in body.take("texts", Mapping, {}).items():
        shown = _Reader(languages, f"policy.published: texts of {setting}")
        for language in list(shown.left):
            texts[setting, language] = shown.text(language)
    settings = {
        name: _setting(name, scope) for name, scope in body.take("settings", Mapping, {}).items()
    }
    version = PolicyVersion(
        body.text("version"), event.index, event.time, body.take("effective_at", int),
        body.take("window", int), _clauses(body, strict=strict), body.strings("data_classes"),
        settings, texts, _sensitive(body), _withdrawal(body), _documents(body), _signatures(body),
    )  # fmt: skip
    if any(v.version == version.version for v in rules.policies):
        raise InputError(f"policy version {version.version} is already published")
    if version.effective_at < event.time or version.window < 0:
        raise InputError(f"policy version {version.version} would take effect in the past")
    rules.policies.append(version)
    for data_class in version.data_classes:
        rules.data_classes.setdefault(data_class, event.index)
    for data_class, categories in version.sensitive.items():
        known = rules.sensitive.get(data_class, frozenset())
        rules.sensitive[data_class] = known | categories


def _sensitive(body: _Reader) -> dict[str, frozenset[str]]:
    found = _Reader(body.take("sensitive", Mapping, {}), f"{body.what}: sensitive")
    return {name: frozenset(found.strings(name)) for name in list(found.left)}


def _withdrawal(body: _Reader) -> Withdrawal | None:
    said = body.take("withdrawal", Mapping, None)
    if said is None:
        return None
    reader = _Reader(said, f"{body.what}: withdrawal")
    withdrawal = Withdrawal(reader.strings("reaches"), reader.take("days", int))
    reader.done()
    return withdrawal


def _documents(body: _Reader) -> dict[str, str]:
    found = _Reader(body.take("documents", Mapping, {}), f"{body.what}: documents")
    return {name: found.take(name, str) for name in list(found.left)}


def _signatures(body: _Reader) -> tuple[Signature, ...]:
    found = []
    for signed in body.take("signatures", list, []):
        reader = _Reader(signed, f"{body.what}: signature")
        found.append(Signature(reader.text("operator"), reader.text("signature")))
        reader.done()
    return tuple(found)


def _setting(name: str, scope: object) -> Setting:
    reader = _Reader(scope, f"setting {name}")
    lists = [reader.strings(key) for key in ("purposes", "data_classes", "recipients")]
    setting = Setting(name, reader.text("title"), *lists)
    reader.done()
    return setting


def _contract(rules: _Rules, body: _Reader, event: Event, *, strict: bool) -> None:
    contract = body.text("contract")
    terms = Terms(contract, event.time, _clauses(body, strict=strict))
    rules.contracts[contract] = (*rules.contracts.get(contract, ()), terms)


def _region(rules: _Rules, body: _Reader, event: Event, *, strict: bool) -> None:
    ages = body.take("ages", Mapping)
    if not all(isinstance(k, str) and type(v) is int for k, v in ages.items()):
        raise InputError("region.published: ages must map jurisdictions to whole years")
    rules.regions.append(RegionTable(event.time, dict(ages), _clauses(body, strict=strict)))


def _hold(rules: _Rules, body: _Reader, event: Event, *, strict: bool) -> None:
    name = body.text("hold")
    if name in rules.holds:
        raise InputError(f"hold {name} stands already")
    if name in rules.lifted:  # or what was signed to lift it would lift it again
        raise InputError(f"hold {name} stood before and was lifted: choose a new name")
    lock = body.take("lock", bool, False)  # noqa: FBT003
    body.take("order", str, "")
    rules.holds[name] = Hold(name, _clauses(body, strict=strict), lock, event.time)


def _lift(rules: _Rules, body: _Reader, _event: Event, *, strict: bool) -> None:
    del strict
    name = body.text("hold")
    if name not in rules.holds:
        raise InputError(f"no hold {name} stands")
    if rules.holds[name].lock:
        raise InputError(f"hold {name} is locked: it can never be lifted")
    _signatures(body)
    del rules.holds[name]
    rules.lifted.add(name)


def _introduced(rules: _Rules, body: _Reader, event: Event, *, strict: bool) -> None:
    del strict
    setting, version = body.text("setting"), body.text("version")
    if not any(v.version == version and setting in v.settings for v in rules.policies):
        raise InputError(f"no published version {version} describes a setting {setting}")
    if setting in rules.introduced:
        raise InputError(f"setting {setting} is introduced already")
    rules.introduced[setting] = event.index


def _operator(rules: _Rules, body: _Reader, _event: Event, *, strict: bool) -> None:
    del strict
    operator = Operator(body.text("operator"), body.text("name"), body.text("key"))
    _signatures(body)
    approval.check_name(operator.id)
    if operator.id in rules.operators:
        raise InputError(f"operator {operator.id} is registered already")
    if any(known.key == operator.key for known in rules.operators.values()):
        raise InputError(
            f"operator {operator.id} has a key that another one has: one key, one person"
        )
    if any(_folded(known.name) == _folded(operator.name) for known in rules.operators.values()):
        raise InputError(
            f"operator {operator.id} has the name of another one: write it so that "
            "everybody can tell the two persons apart"
        )
    approval.check_key(operator.key)
    rules.operators[operator.id] = operator


def _folded(name: str) -> str:
    """Write a person's name without what the eye passes over: case, width and spaces."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _declared(rules: _Rules, body: _Reader, _event: Event, *, strict: bool) -> None:
    del strict
    declared = body.text("requirement"), body.text("text")
    _signatures(body)
    if declared in rules.declared:
        raise InputError("that is declared already: to declare it anew, say since when it holds")
    rules.declared.add(declared)


def _recipient(rules: _Rules, body: _Reader, _event: Event, *, strict: bool) -> None:
    del strict
    name, kind = body.text("recipient"), body.text("class")
    if name in rules.recipients:
        raise InputError(f"recipient {name} is registered; one that changes is registered anew")
    if name == ANY or name in list(RecipientClass) or kind not in list(RecipientClass):
        raise InputError(f"recipient {name}: name one legal entity, with one of the three classes")
    _signatures(body)
    rules.recipients[name] = Recipient(name, body.text("name"), RecipientClass(kind))


class _Handler(Protocol):
    def __call__(self, rules: _Rules, body: _Reader, event: Event, /, *, strict: bool) -> None: ...


_OF_EVERYONE: Final[Mapping[str, _Handler]] = {
    "policy.published": _policy,
    "contract.published": _contract,
    "region.published": _region,
    "hold.set": _hold,
    "hold.lifted": _lift,
    "recipient.registered": _recipient,
    "setting.introduced": _introduced,
    "operator.registered": _operator,
    "declaration.made": _declared,
}

RULES: Final = frozenset(_OF_EVERYONE)
"""The kinds that a rulebook is folded from."""

# Recorded for later readers; they change no decision.
_RECORDS: Final = frozenset(
    {
        "release.opened",
        "release.sealed",
        "event.erased",
        "key.introduced",
        "key.destroyed",
        "grants.sealed",
        "statement.published",
        # what left the gate, and what is owed since: read by lineage/
        "recipient.keyed",
        "release.approved",
        "release.delivered",
        "release.acknowledged",
        "release.superseded",
        "release.recalled",
        "drops.published",
        "model.trained",
        "model.destroyed",
        "obligation.due",
        "obligation.met",
        "order.received",
        "erasure.certified",
    }
)

KINDS: Final = PERSONAL | frozenset(_OF_EVERYONE) | _RECORDS


def check_version(event: Event) -> None:
    """Raise UnknownVersion for an event that this program cannot know the meaning of."""
    if event.v != VERSION or event.kind not in KINDS:
        raise UnknownVersion(
            f"event {event.index} is a {event.kind} of version {event.v}, which this program does "
            "not know: upgrade Letterlock before it decides anything"
        )


def fold_rules(events: Iterable[Event], as_of: Time, *, admit: Event | None = None) -> Rulebook:
    """Fold what holds for everyone as of `as_of`.

    `admit` is an event yet to be recorded, read strictly. Raises InputError if it is not to be.
    """
    rules = _Rules()
    for event, strict in _by(events, as_of, admit):
        check_version(event)
        if event.kind in _OF_EVERYONE:
            body = _Reader(event.body, event.kind)
            _OF_EVERYONE[event.kind](rules, body, event, strict=strict)
            if strict:
                body.done()
    return Rulebook(
        as_of, rules.recipients, tuple(rules.policies), rules.data_classes,
        rules.contracts, tuple(rules.regions), tuple(rules.holds.values()),
        rules.sensitive, rules.introduced, rules.operators,
    )  # fmt: skip


def _by(events: Iterable[Event], as_of: Time, admit: Event | None) -> Iterator[tuple[Event, bool]]:
    yield from ((event, False) for event in events if event.time <= as_of)
    if admit is not None:
        yield admit, True


def fold(events: Iterable[Event], as_of: Time) -> State:
    """Fold `events` (in recorded order) into the state as of `as_of`, one by one.

    A person any of whose events was erased is nobody we know any more: unknown, which denies.
    """
    recorded = list(events)
    subjects: dict[str, Subject] = {}
    erased = set()
    for event in recorded:
        check_version(event)
        if event.kind not in PERSONAL or event.subject is None:
            continue
        if event.body is None:  # destroyed, so gone from every T
            erased.add(event.subject)
            continue
        if event.time > as_of:
            continue
        new = said(event)
        if new == Said():  # a claim, for one: who is known by nothing else is not known
            continue
        old = subjects.get(event.subject, Subject(event.subject, member=False))
        objections = old.objections
        if new.objected:
            objections = (*objections, Objection(new.objected, Span(event.time, END)))
        if new.taken_back:
            objections = tuple(
                Objection(o.version, Span(o.span.start, min(o.span.end, event.time)))
                if o.version == new.taken_back
                else o
                for o in objections
            )
        subjects[event.subject] = Subject(
            old.id,
            old.member if new.member is None else new.member,
            old.facts + new.facts,
            old.notices + new.notices,
            objections,
            old.amendments + new.amendments,
            old.lines + new.lines,
        )
    known = {name: subject for name, subject in subjects.items() if name not in erased}
    return State(fold_rules(recorded, as_of), known)


# ── decision columns ────────────────────────────────────────────────────────────────────────

TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "person": ("member",),
    "fact": ("n", "kind", "value", "start", "stop"),
    "notice": ("version", "at_registration"),
    "objection": ("version", "taken_back"),
    "amendment": ("contract", "purpose", "pattern", "recipient", "start", "stop"),
    "line": ("shape", "start", "stop", "expires", "acted", "mark"),
    "erased": (),
}
"""Decision columns of each table; all of them follow (event index, time, subject number)."""


def mark_of(body: Body) -> int:
    """Return a 64-bit mark of a choice: the same act, told twice, is known by it."""
    return int.from_bytes(hashlib.sha256(canonical(body)).digest()[:8], "big", signed=True)


def shape_of(line: Line) -> str:
    """Write what a line says apart from who and when: few lines differ in it, so it is a symbol."""
    return _shape(
        line.act, line.purpose, line.pattern, line.recipient,
        line.earlier, line.explicit, line.categories, line.text,
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _shape(act: Act, purpose: str, pattern: str, recipient: str, *rest: Any) -> str:  # noqa: ANN401
    earlier, explicit, categories, text = rest
    said = [act.value, purpose, pattern, recipient, earlier, explicit, sorted(categories), text]
    return canonical(said).decode()


class Shape(NamedTuple):
    """A line without its person and times."""

    act: Act
    purpose: str
    pattern: str
    recipient: str
    earlier: bool
    explicit: bool
    categories: frozenset[str]
    text: str


def read_shape(symbol: str) -> Shape | None:
    """Read what `shape_of` wrote; None for any other symbol."""
    if not symbol.startswith('["'):
        return None
    try:
        act, purpose, pattern, recipient, earlier, explicit, categories, text = json.loads(symbol)
        scope = (purpose, pattern, recipient)
        return Shape(Act(act), *scope, earlier, explicit, frozenset(categories), text)
    except (ValueError, TypeError):
        return None


Value = int | str
Row = tuple[str, tuple[Value, ...]]


def rows_of(event: Event) -> list[Row]:
    """Return what a personal event adds to the decision columns: (table, values) in order.

    Strings are symbols, to be interned by the store; -1 stands for None. Raises InputError if the
    event's body is malformed, so nothing malformed is ever recorded.
    """
    if event.kind not in PERSONAL or event.body is None:
        return []
    new = said(event)
    acted = (event.body.get("evidence") or {}).get("time", event.time)
    rows: list[Row] = [] if new.member is None else [("person", (int(new.member),))]
    for n, fact in enumerate(new.facts):
        value = -1 if fact.value is None else fact.value
        rows.append(("fact", (n, fact.kind.value, value, fact.span.start, fact.span.end)))
    rows += [("notice", (n.version, int(n.at_registration))) for n in new.notices]
    rows += [("objection", (v, back)) for v, back in ((new.objected, 0), (new.taken_back, 1)) if v]
    rows += [
        ("amendment", (a.contract, a.purpose, a.pattern, a.recipient, a.span.start, a.span.end))
        for a in new.amendments
    ]
    for line in new.lines:
        reach = line.reach()
        values = (
            shape_of(line),
            reach.start,
            reach.end,
            line.expires_at,
            acted,
            mark_of(event.body),
        )
        rows.append(("line", values))
    return rows
