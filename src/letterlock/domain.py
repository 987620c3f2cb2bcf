"""The nouns of Letterlock: values without behaviour beyond their own meaning.

Times are integers: microseconds since 1970-01-01 UTC. Spans are half-open. `None` always stands
for "not known", and what is not known denies. Meanings: docs/spec/decision.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, Final, TypeAlias

import rfc8785

from letterlock.errors import InputError

Time: TypeAlias = int
"""Microseconds since 1970-01-01 UTC."""

# JSON's safe integers bound every time that can be written down (RFC 8785 §3.2.2.3).
BEGINNING: Final[Time] = -(2**53) + 1
END: Final[Time] = 2**53 - 1
DAY: Final[Time] = 86_400_000_000
ADULT_AGE: Final = 18
ANY: Final = "*"

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Level(IntEnum):
    """What a clause requires of a person before an item may go."""

    NOTHING = 0
    NOTICE = 1
    GRANT = 2
    EXPLICIT_GRANT = 3
    NEVER = 4


class Role(IntEnum):
    """How a person takes part in an item; smaller is named first in a reason."""

    AUTHOR = 0
    RECIPIENT = 1
    MEMBER = 2
    QUOTED = 3


class Reason(IntEnum):
    """Why an item stays; the smallest that applies is the answer (docs/spec/decision.md §5)."""

    UNEVALUABLE = 0
    NO_PARTIES = 1
    UNKNOWN_PARTY = 2
    AGE_UNKNOWN = 3
    MINOR = 4
    HOLD = 5
    REGION = 6
    CONTRACT = 7
    PROHIBITED_THEN = 8
    NOT_FORESEEN_NOW = 9
    PROHIBITED_NOW = 10
    OBJECTED = 11
    WITHDRAWN = 12
    SENSITIVE = 13
    NOTICE_NOT_IN_FORCE = 14
    NOT_FORESEEN_THEN = 15
    NO_GRANT = 16
    GRANT_NOT_FOR_PERIOD = 17
    GRANT_TEXT_CHANGED = 18
    GRANT_EXPIRED = 19


REASON_TEXT: Final[Mapping[Reason, str]] = {
    Reason.UNEVALUABLE: "the item itself cannot be judged (class, date or a clause is unreadable)",
    Reason.NO_PARTIES: "nobody is named in it, so nobody can have agreed",
    Reason.UNKNOWN_PARTY: "someone in it is not a member we know",
    Reason.AGE_UNKNOWN: "someone's age is not known",
    Reason.MINOR: "someone was, or may have been, a minor",
    Reason.HOLD: "a regulator's hold stands",
    Reason.REGION: "someone's region is excluded or not known",
    Reason.CONTRACT: "someone's contract forbids it",
    Reason.PROHIBITED_THEN: "the policy forbade it when it was written",
    Reason.NOT_FORESEEN_NOW: "no policy foresees it today",
    Reason.PROHIBITED_NOW: "the policy forbids it today",
    Reason.OBJECTED: "someone objected",
    Reason.WITHDRAWN: "someone withdrew",
    Reason.SENSITIVE: "it is sensitive and someone gave no explicit yes to that",
    Reason.NOTICE_NOT_IN_FORCE: "someone's notice or objection window has not run",
    Reason.NOT_FORESEEN_THEN: "no policy foresaw it then, and that period was not asked for",
    Reason.NO_GRANT: "someone never said yes",
    Reason.GRANT_NOT_FOR_PERIOD: "someone's yes covers another period",
    Reason.GRANT_TEXT_CHANGED: "the text someone agreed to has changed",
    Reason.GRANT_EXPIRED: "someone's yes has expired",
}


class Act(StrEnum):
    """What a person does about the use of what is theirs."""

    GRANT = "grant"
    WITHDRAW = "withdraw"
    OBJECT = "object"


class RecipientClass(StrEnum):
    """How near a recipient stands to the platform."""

    CONTROLLER = "controller"
    AFFILIATE = "affiliate"
    THIRD_PARTY = "third_party"


class FactKind(StrEnum):
    """What is known of a person over time."""

    JURISDICTION = "jurisdiction"
    BIRTH_YEAR = "birth_year"
    CONTRACT = "contract"


PURPOSES: Final = (
    "train.generative",
    "train.ranking",
    "train.safety",
    "evaluate",
    "infer",
    "improve.product",
)
"""The closed list of purposes (R5)."""


def is_training(purpose: str) -> bool:
    """Say whether `purpose` makes or changes a model: such a purpose needs a grant at least."""
    return purpose.startswith("train.")


def covers(pattern: str, name: str) -> bool:
    """Say whether a dotted `pattern` (`*`, a name, or `x.*` for what is below x) covers `name`."""
    return pattern in (ANY, name) or (pattern.endswith(".*") and name.startswith(pattern[:-1]))


def within(pattern: str, outer: str) -> bool:
    """Say whether everything that `pattern` covers is covered by `outer` too."""
    if outer in (ANY, pattern):
        return True
    return outer.endswith(".*") and pattern != ANY and pattern.startswith(outer[:-1])


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open stretch of time."""

    start: Time = BEGINNING
    end: Time = END

    def __contains__(self, t: Time) -> bool:
        """Say whether `t` lies in the span."""
        return self.start <= t < self.end

    def lies_in(self, other: Span) -> bool:
        """Say whether no moment of this span lies outside `other`."""
        return self.start >= self.end or (other.start <= self.start and self.end <= other.end)


ALWAYS: Final = Span()


@dataclass(frozen=True, slots=True)
class Clause:
    """When it matches, a `level` is required; tuples list alternatives, `*` matches anything.

    Recipients are ids or recipient classes; a jurisdiction covers its subdivisions (ISO 3166-2).
    `level` None is a clause that could not be read: it makes whatever it counts for unevaluable.
    """

    id: str
    level: Level | None
    data_classes: tuple[str, ...] = (ANY,)
    purposes: tuple[str, ...] = (ANY,)
    recipients: tuple[str, ...] = (ANY,)
    jurisdictions: tuple[str, ...] = (ANY,)
    contracts: tuple[str, ...] = (ANY,)
    span: Span = ALWAYS


@dataclass(frozen=True, slots=True)
class Context:
    """What a clause is matched against: one person's side of one item and one request."""

    data_class: str
    purpose: str
    recipient: Recipient
    jurisdiction: str | None
    contract: str | None
    at: Time


@dataclass(frozen=True, slots=True)
class Recipient:
    """A named, registered legal entity; whoever changes class is registered anew."""

    id: str
    name: str
    recipient_class: RecipientClass


@dataclass(frozen=True, slots=True)
class Setting:
    """What a member sees: grants are made through it and stay within its scope."""

    id: str
    title: str
    purposes: tuple[str, ...]
    data_classes: tuple[str, ...]
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """A person who may approve; `key` is the public half of an Ed25519 key, in hexadecimal."""

    id: str
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Signature:
    """An operator's approval of something, in hexadecimal (approval.py says of what bytes)."""

    operator: str
    signature: str


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a no reaches (releases, recipients, models, …), and within how many days."""

    reaches: tuple[str, ...]
    days: int


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One published version; `texts` maps (setting, language) to the hash of the text shown.

    `sensitive` lists the categories of each class that is sensitive as a whole; `documents` the
    texts of policy.toml and of what stands beside it.
    """

    version: str
    index: int
    published_at: Time
    effective_at: Time
    window: Time
    clauses: tuple[Clause, ...]
    data_classes: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = field(default_factory=dict)
    texts: Mapping[tuple[str, str], str] = field(default_factory=dict)
    sensitive: Mapping[str, frozenset[str]] = field(default_factory=dict)
    withdrawal: Withdrawal | None = None
    documents: Mapping[str, str] = field(default_factory=dict)
    signatures: tuple[Signature, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """One published version of a contract's terms."""

    contract: str
    published_at: Time
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class RegionTable:
    """One version of the regional table: `ages` holds every known jurisdiction and its own age."""

    published_at: Time
    ages: Mapping[str, int]
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """A stop that acts at once; a lock is a hold that cannot be lifted."""

    id: str
    clauses: tuple[Clause, ...]
    lock: bool = False
    set_at: Time = BEGINNING


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known of a person for a span; `order` is its recorded order, value None unknown.

    A contract of None is no contract.
    """

    kind: FactKind
    value: str | int | None
    span: Span
    recorded_at: Time
    order: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Notice:
    """A version's notice, delivered; one delivered with the registration needs no window."""

    version: str
    recorded_at: Time
    at_registration: bool = False


@dataclass(frozen=True, slots=True)
class Objection:
    """A person's no to a version and all later ones, until it is taken back."""

    version: str
    span: Span


@dataclass(frozen=True, slots=True)
class Amendment:
    """A signed lifting of a contract's `never`, for one purpose, pattern, recipient and period."""

    contract: str
    purpose: str
    pattern: str
    recipient: str
    span: Span


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a choice: it counts as a choice of its own. `index` is its recorded order."""

    act: Act
    purpose: str
    pattern: str
    recipient: str
    span: Span
    recorded_at: Time
    index: int
    earlier: bool = False
    explicit: bool = False
    categories: frozenset[str] = frozenset()
    expires_at: Time = END
    text: str = ""

    def reach(self) -> Span:
        """Return the period this line can speak for: no grant spans its own recording (R17)."""
        if self.act is not Act.GRANT:
            return self.span
        if self.earlier:
            return Span(self.span.start, min(self.span.end, self.recorded_at))
        return Span(max(self.span.start, self.recorded_at), self.span.end)


@dataclass(frozen=True, slots=True)
class Subject:
    """Everything recorded of one person by T."""

    id: str
    member: bool
    facts: tuple[Fact, ...] = ()
    notices: tuple[Notice, ...] = ()
    objections: tuple[Objection, ...] = ()
    amendments: tuple[Amendment, ...] = ()
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What holds for everyone as of `as_of`: few things, always folded one by one.

    `policies` in order of publication; `data_classes` maps a class to the index that registered it,
    `introduced` a setting to the index that introduced it. `sensitive` holds the categories that
    any version has declared of a class: once sensitive, always sensitive.
    """

    as_of: Time
    recipients: Mapping[str, Recipient]
    policies: tuple[PolicyVersion, ...]
    data_classes: Mapping[str, int]
    contracts: Mapping[str, tuple[Terms, ...]]
    regions: tuple[RegionTable, ...]
    holds: tuple[Hold, ...]
    sensitive: Mapping[str, frozenset[str]] = field(default_factory=dict)
    introduced: Mapping[str, int] = field(default_factory=dict)
    operators: Mapping[str, Operator] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """What was recorded by T, as objects: the slow twin of the columns in release/plan.py."""

    rules: Rulebook
    subjects: Mapping[str, Subject]


@dataclass(frozen=True, slots=True)
class Party:
    """A person in an item; None if unresolved.

    `data_class` and `created_at` are those of what is quoted, for role QUOTED only; None: unknown.
    """

    subject: str | None
    role: Role
    data_class: str | None = None
    created_at: Time | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One message, post, profile or row; `categories` None: its sensitivity is not known."""

    id: str
    data_class: str | None
    created_at: Time | None
    parties: tuple[Party, ...]
    categories: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: whether something may go to this recipient for this purpose."""

    purpose: str
    recipient: str


def canonical(value: Any) -> bytes:  # noqa: ANN401 - JSON is any value of the six JSON kinds
    """Encode a JSON value as RFC 8785 canonical bytes; floats are refused.

    Raises InputError for a float, a non-JSON value or an integer beyond ±(2^53 - 1).
    """
    try:
        _check_json(value)
        # For ASCII text the standard library writes the same bytes, at a quarter of the cost
        # (tests/test_domain.py); they order keys beyond the basic plane differently.
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode() if text.isascii() else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError, RecursionError) as error:
        raise InputError(f"not canonical JSON: {error}") from error


def _check_json(value: object) -> None:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return
    if kind is int and -END <= value <= END:  # type: ignore[operator]
        return
    if isinstance(value, dict):
        for key, member in value.items():
            if type(key) is not str:
                raise ValueError(f"key {key!r} is not a text")
            _check_json(member)
    elif isinstance(value, list | tuple):
        for member in value:
            _check_json(member)
    else:
        raise ValueError(f"{value!r} is a {kind.__name__}")


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def micros(moment: datetime) -> Time:
    """Convert an aware datetime to microseconds, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def year_of(t: Time) -> int:
    """Return the UTC year of `t`."""
    return (EPOCH + timedelta(microseconds=t)).year


def time_of(text: str) -> Time:
    """Read an ISO 8601 date or date-time; one without an offset is UTC. Raises InputError."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        t = micros(moment)
    except (ValueError, OverflowError, TypeError) as error:
        raise InputError(f"not a date or time: {text!r} (write 2024-09-18 or …T09:00Z)") from error
    return t


def text_of(t: Time) -> str:
    """Write a time as ISO 8601 UTC, seconds where whole."""
    if not BEGINNING < t < END:
        return "the beginning" if t <= BEGINNING else "open"
    text = (EPOCH + timedelta(microseconds=t)).isoformat()
    return text.replace("+00:00", "Z").replace("T00:00:00Z", "")


def names(things: Iterable[str]) -> str:
    """Join names for a sentence."""
    return ", ".join(sorted(things))


_ONE: Final = {
    "copies": "copy", "deliveries": "delivery", "entries": "entry", "people": "person",
}  # fmt: skip


def counted(number: int, things: str) -> str:
    """Write how many there are of what; `things` is in the plural."""
    one = _ONE.get(things) or things.removesuffix("s")
    return f"{number:,} {one if number == 1 else things}"
