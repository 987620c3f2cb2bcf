"""A made-up network: drawn from a seed, then acted out through the gate, date by date.

`read` takes world.toml; `draw` makes members, choices and items of it, as tables; `act_out` records
them in a simulated workspace in the order in which they would have come. Nothing in it is real.
"""

from __future__ import annotations

import math
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from letterlock import approval
from letterlock.domain import BEGINNING, DAY, END, Time, micros, sha256, text_of, time_of
from letterlock.errors import InputError
from letterlock.gate import Gate, Loaded
from letterlock.gate.policies import publishable, to_sign
from letterlock.ledger import Draft
from letterlock.policy.document import Document
from letterlock.policy.texts import text_hash
from letterlock.release.build import Progress
from letterlock.sources.mapping import read_mapping
from letterlock.sources.records import Row

FEWEST: Final = 100
MOST: Final = 10_000_000
MAPPING_NAME: Final = "mapping.toml"
MAPPING: Final = """\
[columns]
id = "item"
created_at = "created_at"
author = "author"
recipients = "recipients"
members = "members"
payload = ["text"]

[data_class]
column = "data_class"

[sensitive]
column = "sensitive"

[quotes]
none = true
"""
"""Which column of the items says what."""

OPERATORS: Final = {"legal": "Mara Quill", "data": "Tomas Reed"}
"""Who approves what changes the rules; made up, as everybody here."""

_SENSITIVE: Final = {
    "employment": "a job that is open",
    "pay": "what a post pays",
    "intellectual_property": "an invention not yet filed",
}
"""What a sentence of a sensitive category is about."""
_PLAIN: Final = ("the weather", "a conference", "a train that was late", "a recipe for bread")
_TAILS: Final = ("in short", "at some length", "with thanks", "for next week", "once more")
_HOUR: Final = 3_600_000_000
_SECOND: Final = 1_000_000
_MORNING: Final = 8 * _HOUR
_NIGHT: Final = 23 * _HOUR
_GERMAN: Final = ("DE", "AT", "CH", "LI")

Kind = Literal["fact", "allegation", "fiction"]
Drawn = Literal["post", "profile", "message", "group"]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# ── world.toml ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Question:
    """What is asked, and whom the complaint's class counts.

    That is: everyone in an item of the class `messages` made from `since` to `before`; of those who
    hold the `contract` and live in `regions`, where these are named. Without `dollars`, no sum.
    """

    purpose: str
    recipient: str
    others: tuple[str, ...]
    setting: str
    messages: str
    contract: str = ""
    dollars: int = 0
    heads: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    since: Time = BEGINNING
    before: Time = END


@dataclass(frozen=True)
class DataClass:
    """A class of data: what one item is called, and all of them; and how they are drawn.

    A post is by one person alone, as is a profile, of which everyone has one. A message goes from
    whoever has the contract to anybody, or back; a group's goes to everyone in it. Whether a yes
    to it is `explicit`, and names the `categories` for which it may be sensitive.
    """

    id: str
    noun: str
    name: str
    drawn: Drawn
    explicit: bool = False
    categories: tuple[str, ...] = ()

    def box(self) -> dict[str, Any]:
        """Return what a yes to it says of it."""
        found: dict[str, Any] = {"data_class": self.id}
        found |= {"explicit": True} if self.explicit else {}
        return found | ({"categories": list(self.categories)} if self.categories else {})


@dataclass(frozen=True)
class Words:
    """What screen and report say of this case; the rest they say of every case alike."""

    ids: str  # what members' ids begin with
    made_up: str  # what the world is: a made-up …
    case: str
    heading: str
    lede: str  # ends before the world's name
    status: str  # of the allegation, on the screen
    stands: str  # the same in the report: what is said first
    denied: str  # and what follows
    programme: str  # the heading of the screen's first part
    told: str  # the same as the head of a column
    short: str  # the same in a word or two
    counted: str  # what is counted
    people: str  # who is counted
    people_line: str  # the same on the screen
    people_note: str
    the_class: str  # the same as the head of a column
    class_text: str
    cut: str  # what the time line's dashed line is
    several: str  # why less goes of what has more people in it
    tries: str  # what is put forward in the order reported
    who: str  # whose doings are not shown
    established: str
    promise: str = ""  # what the contract promises
    topics: tuple[str, ...] = _PLAIN


@dataclass(frozen=True)
class Dates:
    """Northmail's calendar."""

    ledger: Time
    policy: Time
    items: Time
    notices: tuple[Time, ...]
    late_notice: Time
    setting: Time
    asked: Time


@dataclass(frozen=True)
class PeopleShares:
    """Who the members are, in shares."""

    new: float
    minors: float
    birth_year_unknown: float
    jurisdiction_unknown: float
    notice_late: float
    notice_missing: float
    premium: float
    premium_upgraded: float
    premium_lapsed: float


@dataclass(frozen=True)
class ChoiceShares:
    """What they say, in shares."""

    yes: float
    no: float
    withdrew: float
    everything: float
    earlier: float
    affiliate: float
    third_party: float
    browser_signal: float


@dataclass(frozen=True)
class ItemRates:
    """What they write, in numbers per member or group, and shares."""

    posts: float
    inmail: float
    replies: float
    group_size: int
    groups: float
    group_messages: float
    guests: float
    sensitive: float
    same_region: float


@dataclass(frozen=True)
class Region:
    """Places under one name; `excluded`: the programme leaves their members out."""

    name: str
    places: Mapping[str, float]
    excluded: bool = False


@dataclass(frozen=True)
class Moment:
    """An entry of the report's time line; `when` is how its date is written."""

    kind: Kind
    start: Time
    end: Time
    when: str
    title: str
    text: str


@dataclass(frozen=True)
class Step:
    """A day of the second act: what was reported of it, and what the network does that day.

    As reported: the setting is `on` by default, the regions in `left_out` are not covered, the data
    classes in `covers` are. Through the gate: the policy in the folder `tries` is put forward, that
    in `publishes` is published and everybody notified, a hold is set on the region `hold`: on what
    was made in a span, if one is given, and for ever, if it is a `lock`.
    """

    at: Time
    title: str
    on: bool = True
    left_out: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    tries: str = ""
    publishes: str = ""
    hold: str = ""
    lock: bool = False
    made_from: Time = BEGINNING
    made_before: Time = END


@dataclass(frozen=True)
class Record:
    """The third act: on which day, of which period and purposes, and who witnesses the log.

    `other` is a class of which the same cannot be said.
    """

    at: Time
    since: Time
    before: Time
    purposes: str
    other: str
    witnesses: tuple[str, ...]


@dataclass(frozen=True)
class Handover:
    """The fourth act: when the release goes to its recipient, and what is ordered later.

    `alone`: the one class of which the network makes a release for itself. `orders`: classes, of
    each of which a court orders that whatever was made from it be deleted.
    """

    at: Time
    alone: str
    orders: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """A whole world.toml."""

    name: str
    seed: int
    members: int
    words: Words
    question: Question
    classes: tuple[DataClass, ...]
    dates: Dates
    people: PeopleShares
    choices: ChoiceShares
    items: ItemRates
    regions: tuple[Region, ...]
    timeline: tuple[Moment, ...]
    days: tuple[Step, ...] = ()
    record: Record | None = None
    handover: Handover | None = None


def read(data: bytes, file: str, *, members: int | None = None) -> World:
    """Read a world.toml, of `members` people instead of its own number. Raises InputError."""
    try:
        tree = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not TOML: {error}") from error
    tree |= {} if members is None else {"members": members}
    world: World = _table(World, tree, file)
    if not FEWEST <= world.members <= MOST:
        raise InputError(f"{file}: members must lie between {FEWEST:,} and {MOST:,}")
    shares = [*vars(world.people).values(), *vars(world.choices).values()]
    if not all(0 <= share <= 1 for share in shares) or world.choices.yes + world.choices.no > 1:
        raise InputError(f"{file}: a share lies between 0 and 1, and yes and no within 1")
    if any(rate < 0 for rate in vars(world.items).values()) or world.items.same_region > 1:
        raise InputError(f"{file}: [items] takes no negative number, and same_region at most 1")
    classes, question = {each.id: each for each in world.classes}, world.question
    if question.messages not in classes or len(classes) < len(world.classes):
        raise InputError(f"{file}: [[classes]] must hold {question.messages!r}, and each id once")
    if unknown := {c for each in world.classes for c in each.categories} - set(_SENSITIVE):
        raise InputError(f"{file}: categories are {', '.join(_SENSITIVE)}, not {min(unknown)!r}")
    regions = {region.name for region in world.regions}
    named = {*question.regions, *(n for day in world.days for n in (*day.left_out, day.hold) if n)}
    if missing := named - regions:
        raise InputError(f"{file}: there are no [[regions]] of the name {min(missing)!r}")
    weights = [share for region in world.regions for share in region.places.values()]
    if min(weights, default=0) <= 0:
        raise InputError(f"{file}: [[regions]] need places, each with a share above 0")
    _check_dates(world.dates, file)
    return world


def _check_dates(dates: Dates, file: str) -> None:
    order = (dates.ledger, dates.policy, dates.items, dates.setting, dates.asked)
    if list(order) != sorted(set(order)) or not (
        dates.policy < min(dates.notices) and max(*dates.notices, dates.late_notice) < dates.asked
    ):
        raise InputError(f"{file}: [dates] must follow one another, notices after the policy")
    if not min(dates.notices) + _MORNING < dates.setting:
        raise InputError(f"{file}: [dates] a setting is introduced after the first notices (R1)")


def _value(kind: str, value: object, where: str) -> Any:  # noqa: ANN401 - as `kind` says
    """Read `value` as the type that a field is annotated with. Raises InputError."""
    found: Any = None
    if kind.removesuffix(" | None") in _TABLES:
        return _table(_TABLES[kind.removesuffix(" | None")], value, where)
    if kind.startswith("tuple[") and isinstance(value, list) and value:
        return tuple(_value(kind[len("tuple[") : -len(", ...]")], each, where) for each in value)
    if kind.startswith("Mapping[") and isinstance(value, dict):
        return {name: _value("float", share, f"{where}: {name}") for name, share in value.items()}
    if kind in _SCALARS:
        found = _SCALARS[kind](value)
    if found is None:
        raise InputError(f"{where}: cannot be {value!r:.60}")
    return found


def _table(kind: type, value: object, where: str) -> Any:  # noqa: ANN401 - of `kind`
    """Read a table as a dataclass: it has exactly its fields, but what has a default."""
    if not isinstance(value, dict):
        raise InputError(f"{where}: cannot be {value!r:.60}")
    if kind is Moment:
        start = value.pop("from", None)
        value = {"start": start, "end": value.pop("to", start)} | value
    types = {field.name: str(field.type) for field in fields(kind)}
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    if missing := sorted(needed - set(value)):
        raise InputError(f"{where}: {missing[0]} is missing")
    if unknown := sorted(set(value) - set(types)):
        raise InputError(f"{where}: unknown {unknown[0]}")
    return kind(**{key: _value(types[key], v, f"{where}: {key}") for key, v in value.items()})


def _moment(value: object) -> Time | None:
    if isinstance(value, datetime):
        return micros(value if value.tzinfo else value.replace(tzinfo=UTC))
    return time_of(value.isoformat()) if isinstance(value, date) else None


def _number(value: object) -> float | None:
    number = float(value) if type(value) in {int, float} else math.nan  # type: ignore[arg-type]
    return number if math.isfinite(number) else None


_TABLES: Final[Mapping[str, type]] = {
    kind.__name__: kind
    for kind in (
        *(Words, Question, DataClass, Dates, PeopleShares, ChoiceShares, ItemRates),
        *(Region, Moment, Step, Record, Handover),
    )
}
_SCALARS: Final[Mapping[str, Callable[[object], Any]]] = {
    "str": lambda v: v if isinstance(v, str) else None,
    "int": lambda v: v if type(v) is int else None,
    "bool": lambda v: v if isinstance(v, bool) else None,
    "float": _number,
    "Time": _moment,
    "Kind": lambda v: v if v in get_args(Kind) else None,
    "Drawn": lambda v: v if v in get_args(Drawn) else None,
}


# ── drawing ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Network:
    """Everything drawn of a world, as tables whose rows stand in the order of time."""

    members: pa.Table
    choices: pa.Table
    items: pa.Table


@dataclass(frozen=True)
class _People:
    """The members in columns, (members,); END stands for never."""

    id: npt.NDArray[np.str_]
    place: Ints  # of _places; -1: not known
    born: Ints  # 0: not known
    joined: Ints
    premium_from: Ints
    premium_to: Ints
    noticed: Ints  # when; END: never
    leaning: npt.NDArray[np.float64]  # 0 says yes first, 1 says no first

    def __len__(self) -> int:
        return len(self.id)


def _places(world: World) -> list[tuple[str, float]]:
    return [pair for region in world.regions for pair in region.places.items()]


def draw(world: World, document: Document) -> Network:
    """Draw members, choices and items; the same world gives the same network."""
    people = _draw_people(world, np.random.default_rng([world.seed, 1]))
    choices = _draw_choices(world, people, document, np.random.default_rng([world.seed, 2]))
    items = _draw_items(world, people, np.random.default_rng([world.seed, 3]))
    return Network(_members(world, people), choices, items)


def _draw_people(world: World, rng: np.random.Generator) -> _People:
    n, shares, dates = world.members, world.people, world.dates
    weights = np.array([share for _, share in _places(world)])
    place = rng.choice(len(weights), n, p=weights / weights.sum())
    place[rng.random(n) < shares.jurisdiction_unknown] = -1
    born = rng.integers(1955, 2003, n)
    minor = rng.random(n) < shares.minors
    born[minor] = rng.integers(2007, 2009, int(minor.sum()))

    mondays = _mondays(dates.items, dates.asked)
    new = rng.random(n) < shares.new
    years = _year_starts(2004, 2024)
    earliest = years[np.clip(born + 16, 2004, 2023) - 2004]
    joined = earliest + (rng.random(n) * (dates.ledger - DAY - earliest)).astype(np.int64)
    joined = np.where(new, rng.choice(mondays[:-1], n), joined // _SECOND * _SECOND)

    premium = rng.random(n) < shares.premium
    upgraded = premium & (rng.random(n) < shares.premium_upgraded) & ~new
    lapsed = premium & (rng.random(n) < shares.premium_lapsed) & ~new
    start = np.where(upgraded, rng.choice(mondays[: len(mondays) // 2], n), joined)
    end = np.where(lapsed, rng.choice(mondays[len(mondays) // 2 :], n), END)

    noticed = rng.choice(np.array(dates.notices) + _MORNING, n)
    chance = rng.random(n)
    noticed[chance < shares.notice_late] = dates.late_notice + _MORNING
    noticed[chance > 1 - shares.notice_missing] = END
    born[rng.random(n) < shares.birth_year_unknown] = 0
    width = len(str(n))
    return _People(
        np.array([f"{world.words.ids}-{i:0{width}}" for i in range(1, n + 1)]), place, born, joined,
        np.where(premium, start, END), np.where(premium, end, END),
        np.where(new, joined, noticed), rng.random(n),
    )  # fmt: skip


def _mondays(start: Time, end: Time) -> Ints:
    """Return every Monday morning in between; people join and change contracts then."""
    days = np.arange(start // DAY + 1, end // DAY)
    found: Ints = days[(days + 3) % 7 == 0] * DAY + _MORNING
    return found


def _year_starts(first: int, last: int) -> Ints:
    return np.array([time_of(f"{year}-01-01") for year in range(first, last + 1)])


def _members(world: World, people: _People) -> pa.Table:
    """Write the members as a table; what is not known is null."""
    codes = [code for code, _ in _places(world)]
    names = [region.name for region in world.regions for _ in region.places]
    place = pa.array(people.place, mask=people.place < 0)
    return pa.table(
        {
            "member": pa.array(people.id),
            "jurisdiction": pa.array(codes).take(place),
            "region": pa.array(names).take(place),
            "birth_year": pa.array(people.born, mask=people.born == 0),
            "joined": _times(people.joined),
            "premium_from": _times(people.premium_from),
            "premium_to": _times(people.premium_to),
            "noticed": _times(people.noticed),
        }
    )


def _times(times: Ints) -> pa.Array:
    return pa.array(times, mask=times == END).cast(pa.timestamp("us", tz="UTC"))


# ── choices ─────────────────────────────────────────────────────────────────────────────────


def _draw_choices(
    world: World, people: _People, document: Document, rng: np.random.Generator
) -> pa.Table:
    """Draw what members say, a row per box ticked, in the order of the acts."""
    n, shares, setting = len(people), world.choices, world.question.setting
    if setting not in document.settings:
        raise InputError(f"{document.file}: there is no setting {setting!r}, which the world needs")
    hashes = {each: text_hash(document.text(setting, each)) for each in document.languages}
    codes = [code for code, _ in _places(world)]
    grants = people.leaning < shares.yes
    refuses = people.leaning >= 1 - shares.no
    first, days = world.dates.setting, (world.dates.asked - world.dates.setting) // DAY
    day = rng.integers(0, max(1, days), n) * DAY
    acted = first + day + _MORNING + rng.integers(0, 14 * 3600, n) * _SECOND
    acted = np.maximum(acted, people.joined + _HOUR)
    later = acted + rng.integers(1, 15, n) * DAY
    withdrew = rng.random(n) < shares.withdrew
    signalled = rng.random(n) < shares.browser_signal
    everything, earlier, affiliate, third = (
        _keenest(people, grants, share, rng)
        for share in (shares.everything, shares.earlier, shares.affiliate, shares.third_party)
    )
    grants &= people.noticed <= acted  # nobody is asked before her notice (R1)
    alone = [each for each in world.classes if each.drawn in {"post", "profile"}]
    rows: list[dict[str, Any]] = []
    for m in np.flatnonzero(grants | refuses).tolist():
        said = {"subject": str(people.id[m]), "time": int(acted[m]), "channel": "settings page"}
        if refuses[m]:
            signal = {"channel": "browser signal (Sec-GPC)"} if signalled[m] else {}
            rows.append(said | {"act": "object"} | signal)
            continue
        german = codes[people.place[m]] in _GERMAN and people.place[m] >= 0
        said |= {"act": "grant", "purpose": world.question.purpose}
        said["text"] = hashes["de" if german and "de" in hashes else "en"]
        ticked = {"controller": True, "affiliate": affiliate[m], "third_party": third[m]}
        classes = world.classes if everything[m] else alone
        for recipient in document.settings[setting].recipients:
            if not ticked[document.recipients[recipient].recipient_class.value]:
                continue
            for data_class in classes:
                box = data_class.box() | {"recipient": recipient}
                rows.append(said | box)
                if earlier[m]:
                    rows.append(said | box | {"earlier": True, "from": world.dates.items})
        if withdrew[m] and later[m] < world.dates.asked - DAY:
            rows.append(
                {"subject": said["subject"], "time": int(later[m]), "act": "withdraw"}
                | {"channel": "settings page"}
            )
    rows.sort(key=lambda row: row["time"])
    kinds = {name: pa.string() for name in ("subject", "act", "purpose", "data_class", "recipient")}
    kinds |= {"earlier": pa.bool_(), "explicit": pa.bool_(), "categories": pa.list_(pa.string())}
    kinds |= {name: pa.timestamp("us", tz="UTC") for name in ("from", "time")}
    kinds |= {"channel": pa.string(), "text": pa.string()}
    return pa.Table.from_pylist(rows, schema=pa.schema(list(kinds.items())))


def _keenest(people: _People, grants: Bools, share: float, rng: np.random.Generator) -> Bools:
    """Return which `share` of those who grant tick a box: mostly whoever leans that way most."""
    chosen = np.flatnonzero(grants)
    keen = people.leaning[chosen] + rng.normal(0, 0.1, len(chosen))
    found = np.zeros(len(people), np.bool_)
    found[chosen[np.argsort(keen, kind="stable")[: round(share * len(chosen))]]] = True
    return found


# ── items ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Written:
    """Items of one class: author (n,), created_at (n,), others a list each, sensitive (n,)."""

    data_class: DataClass
    author: Ints
    created_at: Ints
    others: list[list[str]]
    category: Ints  # of the class's categories; -1: none


def _draw_items(world: World, people: _People, rng: np.random.Generator) -> pa.Table:
    """Draw what members write, in the order of time."""
    ways = {
        "post": _draw_posts, "profile": _draw_profiles,
        "message": _draw_messages, "group": _draw_groups,
    }  # fmt: skip
    written = [
        way(each, world, people, rng)
        for drawn, way in ways.items()
        for each in world.classes
        if each.drawn == drawn
    ]
    parts = pa.concat_tables([_texts(each, world, people, rng) for each in written])
    return parts.sort_by([("created_at", "ascending"), ("item", "ascending")])


def _draw_posts(
    data_class: DataClass, world: World, people: _People, rng: np.random.Generator
) -> _Written:
    """Some post much, and most little."""
    size = len(people)
    activity = rng.gamma(1.5, size=size)
    authors = rng.choice(size, round(world.items.posts * size), p=activity / activity.sum())
    return _alone(data_class, authors, world, people, rng)


def _draw_profiles(
    data_class: DataClass, world: World, people: _People, rng: np.random.Generator
) -> _Written:
    return _alone(data_class, np.arange(len(people)), world, people, rng)


def _alone(
    data_class: DataClass, authors: Ints, world: World, people: _People, rng: np.random.Generator
) -> _Written:
    """Return items that have an author and nobody else."""
    since = np.maximum(people.joined[authors] + _HOUR, world.dates.items)
    created_at = _between(since, np.full(len(authors), world.dates.asked), rng)
    nothing = np.full(len(authors), -1)
    return _Written(data_class, authors, created_at, [[]] * len(authors), nothing)


def _between(first: Ints, last: Ints, rng: np.random.Generator) -> Ints:
    """Return a whole second between `first` and `last` each."""
    found = first + (rng.random(len(first)) * (last - first)).astype(np.int64)
    return np.asarray(found // _SECOND * _SECOND, np.int64)


def _draw_messages(
    data_class: DataClass, world: World, people: _People, rng: np.random.Generator
) -> _Written:
    """Whoever has the contract writes to anybody; whoever received a message may reply."""
    rates, dates, size = world.items, world.dates, len(people)
    premium = np.flatnonzero(people.premium_from < dates.asked)
    author = np.repeat(premium, rng.poisson(rates.inmail, len(premium)))
    region = _region_of_place(world)[people.place]
    by_region = np.argsort(region, kind="stable")
    first = np.searchsorted(region[by_region], region[author])
    count = np.bincount(region + 1, minlength=1)[region[author] + 1]
    near = by_region[first + (rng.random(len(author)) * count).astype(np.int64)]
    near_by = rng.random(len(author)) < rates.same_region
    recipient = np.where(near_by, near, rng.integers(0, size, len(author)))
    since = np.maximum(people.premium_from[author], people.joined[recipient]) + _HOUR
    since = np.maximum(since, dates.items)
    until = np.minimum(people.premium_to[author], dates.asked)
    kept = (recipient != author) & (since < until)
    author, recipient, since, until = author[kept], recipient[kept], since[kept], until[kept]
    created_at = _between(since, until, rng)

    replied = created_at + _HOUR + rng.integers(0, 3 * 86_400, len(author)) * _SECOND
    replies = (rng.random(len(author)) < rates.replies) & (replied < dates.asked)
    author, recipient = (
        np.concatenate([author, recipient[replies]]),
        np.concatenate([recipient, author[replies]]),
    )
    created_at = np.concatenate([created_at, replied[replies]])
    others = [[name] for name in people.id[recipient].tolist()]
    category = _sensitive(data_class, len(author), world, rng)
    return _Written(data_class, author, created_at, others, category)


def _region_of_place(world: World) -> Ints:
    """Return the region's number of each place, and of the unknown one (the last): -1."""
    found = [n for n, region in enumerate(world.regions) for _ in region.places]
    return np.array([*found, -1])


def _draw_groups(
    data_class: DataClass, world: World, people: _People, rng: np.random.Generator
) -> _Written:
    """Groups are of people who live in one place and think alike, mostly."""
    rates, size = world.items, len(people)
    order = np.lexsort((people.leaning + rng.normal(0, 0.05, size), people.place))
    author: list[Ints] = []
    created_at: list[Ints] = []
    others: list[list[str]] = []
    for _ in range(round(rates.groups * size)):
        near = rng.integers(0, size) + rng.normal(
            0, size / 80, max(3, rng.poisson(rates.group_size))
        )
        members = np.unique(order[np.clip(near.astype(np.int64), 0, size - 1)])
        guest = [f"guest-{rng.integers(1, 10_000):04}"] if rng.random() < rates.guests else []
        count = int(rng.poisson(rates.group_messages))
        since = max(int(people.joined[members].max()) + _HOUR, world.dates.items)
        if len(members) + len(guest) < 2 or since >= world.dates.asked:  # noqa: PLR2004 - a group
            continue
        speaker = rng.integers(0, len(members), count)
        names = people.id[members].tolist()
        author.append(members[speaker])
        others += [[*names[:s], *names[s + 1 :], *guest] for s in speaker.tolist()]
        last = np.full(count, world.dates.asked)
        created_at.append(_between(np.full(count, since), last, rng))
    authors = np.concatenate([np.array([], np.int64), *author])
    times = np.concatenate([np.array([], np.int64), *created_at])
    category = _sensitive(data_class, len(authors), world, rng)
    return _Written(data_class, authors, times, others, category)


def _sensitive(data_class: DataClass, count: int, world: World, rng: np.random.Generator) -> Ints:
    if not data_class.categories:
        return np.full(count, -1)
    category = rng.integers(0, len(data_class.categories), count)
    return np.where(rng.random(count) < world.items.sensitive, category, -1)


def _texts(written: _Written, world: World, people: _People, rng: np.random.Generator) -> pa.Table:
    """Number items of one class by their time, and write a synthetic sentence into each."""
    data_class, count = written.data_class, len(written.author)
    order = np.argsort(written.created_at, kind="stable")
    number = np.empty(count, np.int64)
    number[order] = np.arange(1, count + 1)
    digits = pa.array(number).cast(pa.string())
    padded = pc.utf8_lpad(digits, len(str(count)), "0")
    prefix = data_class.noun.split()[0].lower()
    categories, topics = data_class.categories, world.words.topics
    # The three sensitive topics are drawn past, whatever the class is sensitive for.
    plain = rng.integers(len(_SENSITIVE), len(_SENSITIVE) + len(topics), count)
    plain += len(categories) - len(_SENSITIVE)
    about = pa.array([*(_SENSITIVE[category] for category in categories), *topics])
    topic = about.take(np.where(written.category < 0, plain, written.category))
    tail = pa.array(_TAILS).take(rng.integers(0, len(_TAILS), count))
    text = pc.binary_join_element_wise(
        *(data_class.noun + " ", digits, ": a synthetic sentence about ", topic),
        *(", ", tail, ".", ""),
    )
    nobody = pa.array([[]] * count, pa.list_(pa.string()))
    others = pa.array(written.others, pa.list_(pa.string()))
    offsets = np.concatenate([[0], np.cumsum(written.category >= 0)]).astype(np.int32)
    listed = pa.array(categories, pa.string()).take(
        pa.array(written.category[written.category >= 0])
    )
    return pa.table(
        {
            "item": pc.binary_join_element_wise(prefix, padded, "-"),
            "data_class": pa.array([data_class.id] * count, pa.string()),
            "created_at": _times(written.created_at),
            "author": pa.array(people.id[written.author].tolist(), pa.string()),
            "recipients": others if data_class.drawn == "message" else nobody,
            "members": others if data_class.drawn == "group" else nobody,
            "sensitive": pa.ListArray.from_arrays(pa.array(offsets), listed),
            "text": text,
        }
    )


# ── acting it out ───────────────────────────────────────────────────────────────────────────


def act_out(  # noqa: PLR0913, PLR0917 - a world, what was drawn of it, and where to write
    world: World,
    network: Network,
    files: Mapping[str, bytes],
    example: str,
    folder: Path,
    progress: Progress,
) -> Gate:
    """Record the network in a new workspace in `folder`, and open it on the day asked about.

    The tables are written beside the workspace, as world/*.parquet. Raises InputError if the gate
    refuses anything of it: a world does not contradict itself.
    """
    tables = folder / "world"
    tables.mkdir(parents=True)
    for name, table in vars(network).items():
        pq.write_table(table, tables / f"{name}.parquet", compression="zstd")
    (folder / MAPPING_NAME).write_text(MAPPING)
    workspace = folder / "workspace"
    origin = f"{world.name.lower()}.example/letterlock"
    Gate.create(workspace, simulated=True, now=world.dates.ledger, origin=origin).close()
    calendar = sorted(_calendar(world, network, files, example), key=lambda entry: entry[0])
    for done, (now, act) in enumerate(calendar, 1):
        gate = Gate(workspace, now=now)
        _expect_all(act(gate), now)
        gate.close()
        progress("recording", done, len(calendar))
    gate = Gate(workspace, now=world.dates.asked)
    items, mapping = tables / "items.parquet", read_mapping(MAPPING.encode(), MAPPING_NAME)
    gate.add_table(world.name.lower(), items, mapping, progress=progress)
    return gate


def _expect_all(loaded: Loaded | None, now: Time) -> None:
    for problem in (*loaded.refused, *loaded.widened) if loaded is not None else ():
        raise InputError(f"the world cannot be acted out on {text_of(now)}: {problem}")


_Act = Callable[[Gate], Loaded | None]


def _calendar(
    world: World, network: Network, files: Mapping[str, bytes], example: str
) -> Iterator[tuple[Time, _Act]]:
    """Yield what happens when: each act takes a gate whose clock stands at its time."""
    members = network.members.to_pylist()
    for row in members:
        row |= {k: micros(row[k]) for k in _MEMBER_TIMES if row[k] is not None}
    new = [row for row in members if row["joined"] > world.dates.ledger]
    old = [row for row in members if row["joined"] <= world.dates.ledger]
    yield world.dates.ledger, lambda gate: gate.register_subjects(_registrations(old, world, []))
    version: list[str] = []

    def first(gate: Gate) -> None:
        for who, seed in operators(world).items():
            gate.register_operator(who, OPERATORS[who], approval.public_key(seed))
        version.append(publish(gate, world, files, example))

    yield world.dates.policy, first
    for now, rows in _by(old, "noticed"):
        yield now, lambda gate, rows=rows: _notify(gate, rows, version[0])  # type: ignore[misc]
    for now, rows in _by(new, "joined"):
        yield (
            now,
            lambda gate, rows=rows: gate.register_subjects(  # type: ignore[misc]
                _registrations(rows, world, version)
            ),
        )
    yield world.dates.setting, lambda gate: _introduce(gate, world.question.setting)
    contract = world.question.contract
    for key, value in (("premium_from", contract), ("premium_to", "free")):
        changing = [r for r in members if r[key] is not None and r[key] > r["joined"]]
        for now, rows in _by(changing, key):
            facts = [(row["member"], value, now) for row in rows]
            yield now, lambda gate, facts=facts: gate.register_facts(_facts(facts))  # type: ignore[misc]
    choices = network.choices.to_pylist()
    for row in choices:
        row["night"] = micros(row["time"]) // DAY * DAY + _NIGHT
    for now, rows in _by(choices, "night"):
        yield now, lambda gate, rows=rows: gate.load_choices(_rows(rows))  # type: ignore[misc]


def operators(world: World) -> dict[str, bytes]:
    """Return the keys of the made-up operators."""
    return {
        who: bytes.fromhex(sha256(f"{world.seed} operator {who}".encode())) for who in OPERATORS
    }


def publish(gate: Gate, world: World, files: Mapping[str, bytes], folder: str) -> str:
    """Publish a policy as both operators do; returns its version. Raises as `Gate.publish`."""
    signed = to_sign(publishable(files, folder))
    return gate.publish(files, folder, approval.sign_all(operators(world), signed))


_MEMBER_TIMES: Final = ("joined", "premium_from", "premium_to", "noticed")


def _by(rows: Iterable[dict[str, Any]], key: str) -> list[tuple[Time, list[dict[str, Any]]]]:
    """Group rows by the time in `key`; null is never."""
    found: defaultdict[Time, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row[key] is not None:
            found[row[key]].append(row)
    return list(found.items())


def _rows(rows: list[dict[str, Any]]) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        yield Row(number, {k: v for k, v in row.items() if k != "night"})


def _registrations(rows: list[dict[str, Any]], world: World, noticed: list[str]) -> Iterator[Row]:
    """Yield members as they sign up: what is known of them then, and the notice they were shown."""
    contract = world.question.contract
    free = "free" if contract else None  # where the case had none, nobody has one
    for number, row in enumerate(rows, 1):
        premium = row["premium_from"] is not None and row["premium_from"] <= row["joined"]
        values = {
            "subject": row["member"],
            "jurisdiction": row["jurisdiction"],
            "birth_year": row["birth_year"],
            "contract": contract if premium else free,
            "from": text_of(row["joined"]),
            "noticed": list(noticed),
        }
        yield Row(number, values)


def _facts(facts: list[tuple[str, str, Time]]) -> Iterator[Row]:
    for number, (member, value, now) in enumerate(facts, 1):
        values = {"subject": member, "kind": "contract", "value": value, "from": text_of(now)}
        yield Row(number, values)


def _introduce(gate: Gate, setting: str) -> None:
    gate.introduce(setting)


def _notify(gate: Gate, rows: list[dict[str, Any]], version: str) -> None:
    gate.record(
        Draft("notice.delivered", {"subject": row["member"], "version": version}) for row in rows
    )
