"""State as of T, folded in columns into one interval table per kind of item.

Everything about one person is a step function of the time an item was made. So each person's past
is cut into cells on which every ingredient is constant: facts, version in force, age, amendments,
choices. Cells that stand alike are decided once (release/standing.py); the choices of each are
weighed in columns here. The answers are those of policy/decide.py, reason by reason; tests compare
them row by row. Spec: docs/spec/decision.md §7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from letterlock.domain import (
    ADULT_AGE,
    ANY,
    BEGINNING,
    END,
    EPOCH,
    Act,
    Level,
    Reason,
    Recipient,
    Rulebook,
    Time,
    covers,
    micros,
)
from letterlock.ledger import EventStore, Shape, read_shape
from letterlock.release.standing import ALLOWED, Asked, Group, Lifted, Standing, turning_points

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

CHUNK: Final = 1 << 17
"""Subjects folded at a time: bounds memory, and keeps the sorts in cache."""


class Kind(NamedTuple):
    """What an item's answer depends on apart from people and time.

    `data_class` None: not known (a quote), so the strictest of all classes. `categories`: the
    item's own, to which the plan adds those of the class; None: its sensitivity is not known.
    `undated`: a quote of unknown time, so the strictest of all the past.
    """

    data_class: str | None
    categories: frozenset[str] | None
    undated: bool = False


@dataclass(frozen=True)
class Intervals:
    """One kind's answers: subject s holds rows offsets[s]:offsets[s+1], each from `start` on.

    `reason` is a Reason, or ALLOWED. Every subject's first row starts at BEGINNING.
    """

    offsets: Ints
    start: Ints
    reason: Bytes


@dataclass(frozen=True)
class Plan:
    """The interval tables of one request; of subjects numbered from `size` on nothing is known."""

    rules: Rulebook
    purpose: str
    recipient: Recipient
    size: int
    tables: Mapping[Kind, Intervals]


class Noticed(NamedTuple):
    """Supposed, not recorded: the notice of `version`, delivered to every member at `at`."""

    version: str
    at: Time


class Supposed(NamedTuple):
    """What a plan is made under: rules, published or not, and a notice that nobody recorded."""

    rules: Rulebook
    noticed: Noticed | None = None


def make_plan(  # noqa: PLR0913 - what is asked, of whom, about what, and as of when
    store: EventStore,
    rules: Rulebook,
    purpose: str,
    recipient: Recipient,
    kinds: Iterable[Kind],
    *,
    upto: int,
    progress: Callable[[int, int], None] | None = None,
) -> Plan:
    """Fold the ledger up to event `upto`, as of `rules.as_of`, into the plan of one request.

    Kinds whose class is not registered have no table: nothing of them can be judged.
    Raises LedgerError if the ledger cannot be read.
    """
    columns = read_columns(store, [(purpose, recipient)], as_of=rules.as_of, upto=upto)
    (plan,) = plans_of(columns, [Supposed(rules)], purpose, recipient, kinds, progress=progress)
    return plan


def plans_of(  # noqa: PLR0913 - as make_plan
    columns: Columns,
    supposed: Sequence[Supposed],
    purpose: str,
    recipient: Recipient,
    kinds: Iterable[Kind],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Plan]:
    """Fold columns that were read once into a plan under each of `supposed`.

    What the rules do not change is folded once for all of them. Nothing is recorded after the
    columns' `as_of`: rules of a later T say how things will stand then if nobody does anything.
    Raises ValueError for columns of another request, or for rules of an earlier T.
    """
    wanted = list(dict.fromkeys(kinds))
    fold = _Fold(supposed, purpose, recipient, columns, wanted)
    parts: list[dict[Kind, list[tuple[Ints, Ints, Bytes]]]]
    parts = [{kind: [] for kind in under.kinds} for under in fold.under]
    total = len(columns.members)
    for first in range(0, total, CHUNK):
        for mine, found in zip(parts, fold.chunk(first, min(first + CHUNK, total)), strict=True):
            for kind, part in found.items():
                mine[kind].append(part)
        if progress is not None:
            progress(min(first + CHUNK, total), total)
    plans = []
    for (rules, _), mine in zip(supposed, parts, strict=True):
        tables = {kind: _spread(mine.pop(kind), columns) for kind in list(mine)}
        plans.append(Plan(rules, purpose, recipient, columns.size, tables))
    return plans


def _spread(parts: Sequence[tuple[Ints, Ints, Bytes]], columns: Columns) -> Intervals:
    """Give every subject its rows: a member those of the fold, anyone else one that denies."""
    counts = np.ones(columns.size, np.int64)
    if parts:
        counts[columns.members] = np.concatenate([c for c, _, _ in parts])
    offsets = np.zeros(columns.size + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    start = np.full(offsets[-1], BEGINNING, np.int64)
    reason = np.full(offsets[-1], Reason.UNKNOWN_PARTY, np.uint8)
    is_member = np.zeros(columns.size, np.bool_)
    is_member[columns.members] = True
    of_member = np.repeat(is_member, counts)
    if parts:
        start[of_member] = np.concatenate([s for _, s, _ in parts])
        reason[of_member] = np.concatenate([r for _, _, r in parts])
    return Intervals(offsets, start, reason)


# ── reading the ledger in columns ───────────────────────────────────────────────────────────


_READ: Final[Mapping[str, tuple[str, ...]]] = {
    "person": ("subject", "member"),
    "erased": ("subject",),
    "fact": ("subject", "time", "kind", "value", "start", "stop"),
    "notice": ("subject", "time", "version", "at_registration"),
    "objection": ("subject", "time", "version", "taken_back"),
    "amendment": ("subject", "contract", "purpose", "pattern", "recipient", "start", "stop"),
    "line": ("subject", "idx", "shape", "start", "stop", "expires"),
}


class _Table:
    """Decision columns of the members, sorted by member and recorded order."""

    def __init__(self, found: pa.Table, rank: Ints) -> None:
        """Keep the rows of members; `rank` maps a subject's number to its place, -1: none.

        (Whoever is numbered beyond it has the last place of it: none.)
        """
        subject = rank.take(_ints(found, "subject"), mode="clip")
        order = np.arange(len(subject), dtype=np.int64)
        # Members in the high bits, place in the low: one fast sort instead of an indirect one.
        keys = np.sort((subject << 32 | order)[subject >= 0])
        order = keys & 0xFFFF_FFFF
        self.member: Ints = keys >> 32
        names = [name for name in found.column_names if name != "subject"]
        self.columns = {name: _ints(found, name)[order] for name in names}

    def slice(self, first: int, last: int) -> tuple[Ints, Callable[[str], Ints]]:
        """Return the members from `first` to `last`, counted from 0, and a way to their columns."""
        a, b = np.searchsorted(self.member, [first, last])
        return self.member[a:b] - first, lambda name: self.columns[name][a:b]


def _ints(table: pa.Table, name: str) -> Ints:
    found: Ints = table.column(name).to_numpy()
    return found


@dataclass(frozen=True)
class Columns:
    """What the ledger's decision columns say of the members, as of `as_of`, for some requests.

    `members` are their subject numbers, all below `size`; the tables number them from 0.
    """

    as_of: Time
    requests: frozenset[tuple[str, Recipient]]
    size: int
    members: Ints
    names: list[str]
    facts: _Table
    notices: _Table
    objections: _Table
    amendments: _Table
    lines: _Table
    shapes: Mapping[int, Shape]


def read_columns(
    store: EventStore, requests: Iterable[tuple[str, Recipient]], *, as_of: Time, upto: int
) -> Columns:
    """Read what plans of `requests` (purpose and recipient) are folded from, up to event `upto`.

    Raises LedgerError if the ledger cannot be read.
    """
    asked = frozenset(requests)
    symbols = store.symbols()

    def read(table: str, where: str = "") -> pa.Table:
        return store.columns(table, _READ[table], as_of=as_of, upto=upto, where=where)

    person, erased = read("person"), read("erased")
    subject = _ints(person, "subject")
    size = int(subject.max(initial=-1)) + 1
    member = np.zeros(size, np.bool_)
    member[subject] = _ints(person, "member")  # recorded order: the last one wins
    gone = _ints(erased, "subject")
    member[gone[gone < size]] = False
    members = np.flatnonzero(member)
    rank = np.full(size + 1, -1, np.int64)
    rank[members] = np.arange(len(members))

    shapes = {
        n: shape
        for name, n in symbols.items()
        if (shape := read_shape(name)) is not None
        and any(_concerns(shape, purpose, recipient) for purpose, recipient in asked)
    }
    listed = ",".join(map(str, shapes)) or "-1"
    return Columns(
        as_of, asked, size, members, list(symbols),
        _Table(read("fact"), rank),
        _Table(read("notice"), rank),
        _Table(read("objection"), rank),
        _Table(read("amendment"), rank),
        _Table(read("line", f"shape IN ({listed})"), rank),
        shapes,
    )  # fmt: skip


def _concerns(shape: Shape, purpose: str, recipient: Recipient) -> bool:
    """Say whether a line speaks of the request; a refusal may name a class of recipient, or all."""
    recipients: tuple[str, ...] = (ANY, recipient.id, recipient.recipient_class.value)
    if shape.act is Act.GRANT:
        recipients = (recipient.id,)
    return shape.purpose in (ANY, purpose) and shape.recipient in recipients


# ── cells ───────────────────────────────────────────────────────────────────────────────────


class _Cells:
    """Each member's past, cut where something changes; cell c is [start[c], start[c+1])."""

    def __init__(self, members: int, horizon: Time) -> None:
        self.horizon = horizon
        self._cuts: list[tuple[Ints, Ints]] = []
        self._count = 0
        self.members = members
        self.cut(np.arange(members), np.full(members, BEGINNING))

    def cut(self, member: Ints, t: Ints) -> slice:
        """Cut the past of `member` at `t`; returns what `at` takes to find the cells again."""
        self._cuts.append((member, t))
        found = slice(self._count, self._count + len(member))
        self._count += len(member)
        return found

    def seal(self) -> None:
        """Make the cells, once everything is cut."""
        member = np.concatenate([m for m, _ in self._cuts])
        t = np.concatenate([t for _, t in self._cuts])
        order = _order(member, t)
        member, t = member[order], t[order]
        new = np.ones(len(t), np.bool_)
        new[1:] = (member[1:] != member[:-1]) | (t[1:] != t[:-1])
        new &= t <= self.horizon  # what is cut after T cannot be asked about
        cell = np.cumsum(new) - 1
        self._cell_of = np.empty(len(t), np.int64)
        self._cell_of[order] = np.where(t <= self.horizon, cell, cell + 1)
        self.member, self.start = member[new], t[new]
        self.offsets: Ints = np.searchsorted(self.member, np.arange(self.members + 1))
        self.size = len(self.member)

    def at(self, cut: slice) -> Ints:
        """Return the cell that begins at each time of a cut (one past the last, if after T)."""
        return self._cell_of[cut]

    def now(self, as_of: Time) -> Ints:
        """Return each member's cell at `as_of`: the last that has begun."""
        last: Ints = self.offsets[1:] - 1
        if as_of < self.horizon:
            begun = np.concatenate([[0], np.cumsum(self.start <= as_of)])
            last = self.offsets[:-1] + np.diff(begun[self.offsets]) - 1
        return last


def _order(member: Ints, t: Ints) -> Ints:
    """Return what sorts by member and time, in some order where both are alike."""
    moments = pa.array(t).dictionary_encode()
    distinct = moments.dictionary.to_numpy()
    rank = np.empty(len(distinct), np.int64)
    rank[np.argsort(distinct)] = np.arange(len(distinct))
    when, place = len(distinct).bit_length(), len(t).bit_length()
    if len(t) and int(member.max()).bit_length() + when + place > 62:  # noqa: PLR2004 - of 63
        found: Ints = np.lexsort((t, member))
        return found
    # One fast sort of numbers that carry their place, instead of two indirect ones.
    keys = (member << when | rank[moments.indices.to_numpy()]) << place | np.arange(len(t))
    keys.sort()
    order: Ints = keys & ((1 << place) - 1)
    return order


def _ranges(first: Ints, last: Ints) -> tuple[Ints, Ints]:
    """Expand half-open ranges: (which range, each number in it)."""
    lengths = np.maximum(last - first, 0)
    which = np.repeat(np.arange(len(first)), lengths)
    begins = np.cumsum(lengths) - lengths
    return which, np.arange(len(which)) - begins[which] + first[which]


def _running_maximum(cells: _Cells, values: Ints) -> Ints:
    """Take the running maximum of `values` (0..63) from each member's first cell on."""
    base = cells.member * 64
    found: Ints = np.maximum.accumulate(values + base) - base
    return found


# ── the fold ────────────────────────────────────────────────────────────────────────────────


class _Intern:
    """Numbers for sets of values, so that a cell can hold one."""

    def __init__(self) -> None:
        self._numbers: dict[frozenset[int], int] = {}
        self.sets: list[frozenset[int]] = []

    def number(self, values: Iterable[int]) -> int:
        found = frozenset(values)
        if found not in self._numbers:
            self._numbers[found] = len(self.sets)
            self.sets.append(found)
        return self._numbers[found]


class _Fold:
    """Folds one chunk of members after another, under each of several rulebooks."""

    def __init__(
        self,
        supposed: Sequence[Supposed],
        purpose: str,
        recipient: Recipient,
        columns: Columns,
        kinds: Sequence[Kind],
    ) -> None:
        if (purpose, recipient) not in columns.requests:
            raise ValueError("the columns were read for another request")
        if any(rules.as_of < columns.as_of for rules, _ in supposed):
            raise ValueError("the columns hold what was recorded after T")
        self._columns = columns
        self._purpose, self._recipient = purpose, recipient
        self._horizon = max(rules.as_of for rules, _ in supposed)
        self._symbols = {name: n for n, name in enumerate(columns.names)}
        ages = {
            age for rules, _ in supposed for table in rules.regions for age in table.ages.values()
        }
        self._limits = sorted({ADULT_AGE} | {a for a in ages if a > ADULT_AGE})
        self._intern = _Intern()
        self._lifted: list[Lifted] = [frozenset()]
        concerned = {
            n: shape for n, shape in columns.shapes.items() if _concerns(shape, purpose, recipient)
        }
        self._shapes = concerned
        self.under = [
            _Under(one, purpose, recipient, columns, kinds, self._limits) for one in supposed
        ]

    def chunk(self, first: int, last: int) -> list[dict[Kind, tuple[Ints, Ints, Bytes]]]:
        """Return each kind's (rows per member, start, reason) for members first to last."""
        cells = _Cells(last - first, self._horizon)
        places = self._facts("jurisdiction", first, last, cells)
        contracts = self._facts("contract", first, last, cells)
        born = self._facts("birth_year", first, last, cells)
        versions = _Versions(self._columns, first, last, cells)
        in_force = [versions.in_force(under) for under in self.under]
        lifted = self._amendments(first, last, cells)
        choices = self._choices(first, last, cells)
        cells.seal()
        past = _Past(
            cells, places(), contracts(), born(), lifted(), choices, self._limits,
            self._intern.sets, self._lifted,
        )  # fmt: skip
        return [
            under.answers(past, force())
            for under, force in zip(self.under, in_force, strict=True)
        ]  # fmt: skip

    def _facts(self, kind: str, first: int, last: int, cells: _Cells) -> Callable[[], Ints]:
        """Cut where facts of `kind` change; then give each cell the number of its set of values."""
        member, column = self._columns.facts.slice(first, last)
        mine = np.flatnonzero(column("kind") == self._symbols.get(kind, -1))
        member, value = member[mine], column("value")[mine]
        start, stop, recorded = (column(name)[mine] for name in ("start", "stop", "time"))
        lone = np.bincount(member, minlength=cells.members)[member] == 1
        plain = lone & (start == BEGINNING) & (stop == END)  # true of nearly everyone: no cells
        some = np.flatnonzero(~plain)
        cut_start = cells.cut(member[some], start[some])
        cut_stop = cells.cut(member[some], stop[some])
        cells.cut(member[some], recorded[some])
        if kind == "birth_year":
            for limit in self._limits:
                known = np.flatnonzero(value >= 0)
                cells.cut(member[known], _new_year(value[known] + limit + 1))

        def numbers() -> Ints:
            none = self._intern.number([-1])
            found = np.full(cells.members, none)
            distinct, inverse = np.unique(value[plain], return_inverse=True)
            singles = [self._intern.number([int(v)]) for v in distinct]
            found[member[plain]] = np.array(singles, np.int64)[inverse]
            of_cell: Ints = found[cells.member]
            which, cell = _ranges(cells.at(cut_start), cells.at(cut_stop))
            fact = some[which]
            order = np.lexsort((fact, cell))  # facts stand in recorded order
            cell, fact = cell[order], fact[order]
            # The last fact recorded by then displaces what was recorded before it.
            displacing = np.where(recorded[fact] <= cells.start[cell], fact, -1)
            latest = np.full(cells.size, -1)
            np.maximum.at(latest, cell, displacing)
            counts = fact >= latest[cell]
            cell, fact = cell[counts], fact[counts]
            one = np.bincount(cell, minlength=cells.size)[cell] == 1
            distinct, inverse = np.unique(value[fact[one]], return_inverse=True)
            singles = [self._intern.number([int(v)]) for v in distinct]
            of_cell[cell[one]] = np.array(singles, np.int64)[inverse]
            cell, fact = cell[~one], fact[~one]
            sets: dict[int, set[int]] = {}
            for c, v in zip(cell.tolist(), value[fact].tolist(), strict=True):
                sets.setdefault(c, set()).add(v)
            for c, values in sets.items():
                of_cell[c] = self._intern.number(values)
            return of_cell

        return numbers

    def _amendments(self, first: int, last: int, cells: _Cells) -> Callable[[], Ints]:
        """Cut where an amendment counts; then give each cell the number of what is lifted."""
        member, column = self._columns.amendments.slice(first, last)
        purpose, recipient = (
            self._symbols.get(name, -1) for name in (self._purpose, self._recipient.id)
        )
        mine = np.flatnonzero((column("purpose") == purpose) & (column("recipient") == recipient))
        member, start, stop = member[mine], column("start")[mine], column("stop")[mine]
        contract, pattern = column("contract")[mine], column("pattern")[mine]
        cut_start, cut_stop = cells.cut(member, start), cells.cut(member, stop)

        def numbers() -> Ints:
            of_cell = np.zeros(cells.size, np.int64)
            which, cell = _ranges(cells.at(cut_start), cells.at(cut_stop))
            lifted: dict[int, set[tuple[str, str]]] = {}
            names = self._columns.names
            for w, c in zip(which.tolist(), cell.tolist(), strict=True):
                lifted.setdefault(c, set()).add((names[contract[w]], names[pattern[w]]))
            for c, found in lifted.items():
                if frozenset(found) not in self._lifted:
                    self._lifted.append(frozenset(found))
                of_cell[c] = self._lifted.index(frozenset(found))
            return of_cell

        return numbers

    def _choices(self, first: int, last: int, cells: _Cells) -> _Choices:
        """Cut where a choice begins or ends; then the choices of each cell can be weighed."""
        member, column = self._columns.lines.slice(first, last)
        mine: Bools | slice = slice(None)
        if len(self._shapes) < len(self._columns.shapes):
            concerned = np.zeros(max(self._columns.shapes) + 1, np.bool_)
            concerned[list(self._shapes)] = True
            mine = concerned[column("shape")]
        member, start, stop = member[mine], column("start")[mine], column("stop")[mine]
        lines = _Lines(
            member, column("idx")[mine], start, stop, column("expires")[mine],
            column("shape")[mine], cells.cut(member, start), cells.cut(member, stop),
        )  # fmt: skip
        return _Choices(lines, cells, self._shapes)


class _Versions:
    """Notices of a chunk of members, and their objections to versions."""

    def __init__(self, columns: Columns, first: int, last: int, cells: _Cells) -> None:
        self._names, self._cells = columns.names, cells
        self._member, self._column = columns.notices.slice(first, last)
        self._o_member, self._o_column = columns.objections.slice(first, last)
        self._cuts: dict[tuple[bytes, ...], slice] = {}

    def in_force(self, under: _Under) -> Callable[[], Ints]:
        """Cut where a version comes into force; then give each cell its version (-1: none)."""
        cells, rules, noticed = self._cells, *under.supposed
        known = {v.version: n for n, v in enumerate(rules.policies)}
        order_of = np.array([known.get(name, -1) for name in self._names] or [0], np.int64)
        member, version = self._member, order_of[self._column("version")]
        recorded, needs_none = self._column("time"), self._column("at_registration") == 1
        since = self._begin(member, version, recorded, needs_none, rules)
        if noticed is not None and noticed.version in known:
            everybody = np.arange(cells.members)
            number = np.full(cells.members, known[noticed.version])
            at = np.full(cells.members, noticed.at)
            since += self._begin(everybody, number, at, everybody < 0, rules)

        rows = zip(
            self._o_member.tolist(), self._o_column("version").tolist(),
            self._o_column("time").tolist(), self._o_column("taken_back").tolist(), strict=True,
        )  # fmt: skip
        spans = list(_objections(rows, order_of))
        o_member, o_order, o_start, o_stop = np.array(spans, np.int64).reshape(-1, 4).T
        cut_start, cut_stop = cells.cut(o_member, o_start), cells.cut(o_member, o_stop)

        def numbers() -> Ints:
            begun = np.full(cells.size + 1, -1)
            for _, number, cut in since:
                np.maximum.at(begun, cells.at(cut), number)
            # (+1, as _running_maximum takes no negative values)
            found = _running_maximum(cells, begun[: cells.size] + 1) - 1
            blocked = np.full(cells.size, len(rules.policies))
            which, cell = _ranges(cells.at(cut_start), cells.at(cut_stop))
            np.minimum.at(blocked, cell, o_order[which])
            objector = np.zeros(cells.members, np.bool_)
            objector[o_member] = True
            found[objector[cells.member]] = -1
            for whom, number, cut in since:
                theirs = np.flatnonzero(objector[whom])
                which, cell = _ranges(cells.at(cut)[theirs], cells.offsets[whom[theirs] + 1])
                reached = number[theirs][which]
                kept = reached < blocked[cell]
                np.maximum.at(found, cell[kept], reached[kept])
            return found

        return numbers

    def _begin(
        self, member: Ints, version: Ints, recorded: Ints, needs_none: Bools, rules: Rulebook
    ) -> list[tuple[Ints, Ints, slice]]:
        """Cut where versions would come into force, objections apart: (member, version, cut)."""
        published = np.array([v.published_at for v in rules.policies] + [END], np.int64)
        effective = np.array([v.effective_at for v in rules.policies] + [END], np.int64)
        window = np.array([v.window for v in rules.policies] + [0], np.int64)
        ran = recorded + np.where(needs_none, 0, window[version])
        begins = np.maximum(ran, effective[version])
        counts = (version >= 0) & (recorded >= published[version]) & (begins <= self._cells.horizon)
        member, version, begins = member[counts], version[counts], begins[counts]
        key = (member.tobytes(), begins.tobytes())
        if key not in self._cuts:
            self._cuts[key] = self._cells.cut(member, begins)
        return [(member, version, self._cuts[key])]


class _Past:
    """What one chunk of members was and said, in cells: the same under every rulebook."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a cell holds, and what its numbers stand for
        self,
        cells: _Cells,
        place: Ints,
        contract: Ints,
        born: Ints,
        lifted: Ints,
        choices: _Choices,
        limits: list[int],
        sets: list[frozenset[int]],
        lifts: list[Lifted],
    ) -> None:
        self.cells, self.choices, self.sets, self.lifts = cells, choices, sets, lifts
        self._place, self._contract, self._lifted, self._limits = place, contract, lifted, limits
        youngest = np.array([-1 if -1 in s else max(s) for s in sets], np.int64)
        self._born = youngest[born]
        year = cells.start.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64)
        self._year = year + 1970
        self._ages: dict[Time, Ints] = {}

    def features(self, now: Ints, force: Ints) -> tuple[Ints, ...]:
        """Return what makes people stand alike; `now` is the cell at T of each cell's member."""
        place, contract = self._place, self._contract
        then = (place, contract, force)
        return (*then, place[now], contract[now], force[now], self._lifted)

    def age(self, as_of: Time, now: Ints) -> Ints:
        """Return how many age limits the youngest age that counts has passed; -1: not known."""
        if as_of not in self._ages:
            then, today = self._born, self._born[now]
            age = self._year - np.maximum(then, today)
            passed = np.searchsorted(self._limits, age, "left")
            self._ages[as_of] = np.where((then < 0) | (today < 0), -1, passed)
        return self._ages[as_of]


class _Under:
    """The fold under one rulebook."""

    def __init__(  # noqa: PLR0913, PLR0917 - what is asked, of whom, about what
        self,
        supposed: Supposed,
        purpose: str,
        recipient: Recipient,
        columns: Columns,
        kinds: Sequence[Kind],
        limits: list[int],
    ) -> None:
        self.supposed, rules = supposed, supposed.rules
        self._rules, self._columns, self._limits = rules, columns, limits
        self.kinds = [k for k in kinds if k.data_class in {None, *rules.data_classes}]
        self._group = Group(purpose, recipient, rules)
        self._common = np.unique(np.array([BEGINNING, *turning_points(rules)], np.int64))
        self._standings: dict[tuple[int, ...], Standing] = {}
        self._asked: dict[tuple[Standing, str, int], Asked] = {}
        self._age_limits: dict[tuple[Standing, int], int] = {}
        classes = {k.data_class for k in self.kinds}
        everything = list(rules.data_classes)
        self._classes = everything if None in classes else [c for c in everything if c in classes]

    def answers(self, past: _Past, force: Ints) -> dict[Kind, tuple[Ints, Ints, Bytes]]:
        """Return each kind's (rows per member, start, reason)."""
        cells, as_of = past.cells, self._rules.as_of
        split, epoch = self._split(cells)
        now = cells.now(as_of)[cells.member]
        distinct, standing = self._distinct(past, past.features(now, force), split, epoch)
        age_reason = self._age_reason(past.age(as_of, now)[split], distinct, standing)

        start = np.maximum(cells.start[split], self._common[epoch])
        member = cells.member[split]
        weighed: dict[tuple[str, frozenset[str] | None], Bytes] = {}

        def reasons(data_class: str, own: frozenset[str] | None) -> Bytes:
            of_class = self._rules.sensitive.get(data_class, frozenset())
            categories = None if own is None else own | of_class
            key = (data_class, categories)
            if key not in weighed:
                asked = [self._ask(s, data_class, e) for s, e in distinct]
                weight = past.choices.weigh(self._rules, data_class, categories)
                weighed[key] = _answers(asked, standing, weight[split], categories)
            return weighed[key]

        answers = {}
        for kind in self.kinds:
            classes = self._classes if kind.data_class is None else [kind.data_class]
            reason = np.minimum.reduce([reasons(c, kind.categories) for c in classes])
            if kind.undated:
                base = member * -64
                reason = (np.minimum.accumulate(reason + base) - base).astype(np.uint8)
            answers[kind] = _collapse(member, start, np.minimum(reason, age_reason), cells.members)
        return answers

    def _split(self, cells: _Cells) -> tuple[Ints, Ints]:
        """Split cells where something changes for everyone: (cell, epoch) of each part."""
        end = np.append(cells.start[1:], END)
        end[cells.offsets[1:] - 1] = END
        epoch = np.searchsorted(self._common, cells.start, "right") - 1
        epoch_end = np.searchsorted(self._common, end, "left")
        return _ranges(epoch, epoch_end)

    def _distinct(
        self, past: _Past, features: tuple[Ints, ...], split: Ints, epoch: Ints
    ) -> tuple[list[tuple[Standing, int]], Ints]:
        """Return the distinct (standing, epoch) of all parts, and which each part has."""
        key = np.zeros(len(features[0]), np.int64)
        for feature in features:
            low = int(feature.min())
            key = key * (int(feature.max()) - low + 1) + (feature - low)
            if len(key) and key.max() > 2**31:  # keep the key small: number what occurs
                key = _number(key)[1]
        firsts, number = _number(key)
        part_firsts, part = _number(number[split] * len(self._common) + epoch)
        standings = [
            self._standing(past, tuple(int(f[at]) for f in features)) for at in firsts.tolist()
        ]
        where, when = number[split[part_firsts]], epoch[part_firsts]
        pairs = zip(where.tolist(), when.tolist(), strict=True)
        return [(standings[s], e) for s, e in pairs], part

    def _standing(self, past: _Past, numbers: tuple[int, ...]) -> Standing:
        if numbers not in self._standings:
            place, contract, force, place_now, contract_now, force_now, lifted = numbers

            def texts(number: int) -> frozenset[str | None]:
                names = self._columns.names
                return frozenset(None if v < 0 else names[v] for v in past.sets[number])

            self._standings[numbers] = Standing(
                texts(place), texts(contract), force,
                texts(place_now), texts(contract_now), force_now, past.lifts[lifted],
            )  # fmt: skip
        return self._standings[numbers]

    def _ask(self, standing: Standing, data_class: str, epoch: int) -> Asked:
        key = (standing, data_class, epoch)
        if key not in self._asked:
            at = int(self._common[epoch])
            self._asked[key] = self._group.asked(standing, data_class, at)
        return self._asked[key]

    def _age_reason(self, age: Ints, distinct: list[tuple[Standing, int]], standing: Ints) -> Bytes:
        """Return AGE_UNKNOWN, MINOR or ALLOWED for each part."""
        needed = []
        for found, epoch in distinct:
            if (found, epoch) not in self._age_limits:
                limit = self._group.age_limit(found, int(self._common[epoch]))
                self._age_limits[found, epoch] = self._limits.index(limit)
            needed.append(self._age_limits[found, epoch])
        minor = age <= np.array(needed, np.int64)[standing]
        reason = np.where(minor, Reason.MINOR, ALLOWED)
        return np.where(age < 0, Reason.AGE_UNKNOWN, reason).astype(np.uint8)


def _new_year(year: Ints) -> Ints:
    """Return the first moment of each year."""
    zero = micros(EPOCH)
    return (year - 1970).astype("datetime64[Y]").astype("datetime64[us]").astype(np.int64) + zero


def _objections(
    rows: Iterable[tuple[int, int, int, int]], order_of: Ints
) -> Iterator[tuple[int, int, Time, Time]]:
    """Yield (member, order of the version, start, end) of each objection; rows as recorded."""
    stands: dict[tuple[int, int], list[Time]] = {}
    for member, version, time, taken_back in rows:
        if not taken_back:
            stands.setdefault((member, version), []).append(time)
            continue
        for start in stands.pop((member, version), []):
            yield member, int(order_of[version]), start, time
    for (member, version), starts in stands.items():
        for start in starts:
            yield member, int(order_of[version]), start, END


def _number(key: Ints) -> tuple[Ints, Ints]:
    """Number the distinct values: (a place where each occurs, the number of each element)."""
    if len(key) and key.max() <= len(key):  # a table of what occurs is faster than hashing
        place = np.full(key.max() + 1, -1)
        place[key[::-1]] = np.arange(len(key))[::-1]
        occurs = place >= 0
        return place[occurs], (np.cumsum(occurs) - 1)[key]
    encoded = pa.array(key).dictionary_encode()
    number = encoded.indices.to_numpy().astype(np.int64)
    firsts = np.zeros(len(encoded.dictionary), np.int64)
    firsts[number[::-1]] = np.arange(len(key))[::-1]
    return firsts, number


def _collapse(member: Ints, start: Ints, reason: Bytes, members: int) -> tuple[Ints, Ints, Bytes]:
    """Drop what does not change: (rows per member, start, reason)."""
    new = np.ones(len(member), np.bool_)
    new[1:] = (member[1:] != member[:-1]) | (reason[1:] != reason[:-1])
    return np.bincount(member[new], minlength=members), start[new], reason[new]


# ── choices ─────────────────────────────────────────────────────────────────────────────────

# How far the best grant of a cell gets; each stage includes those before it.
_NO_GRANT, _IN_SCOPE, _IN_PERIOD, _TEXT_COUNTS, _LIVE, _PERMITS, _EXPLICIT = range(7)
_STAGES: Final = 7
_WITHDRAWN, _OBJECTED = 1, 2


class _Lines(NamedTuple):
    """The choice lines of a chunk, each with the cells it reaches."""

    member: Ints
    recorded: Ints
    start: Ints
    stop: Ints
    expires: Ints
    shape: Ints
    cut_start: slice
    cut_stop: slice


class _Choices:
    """The choices of a chunk, to be weighed; what weighs alike under two rulebooks, only once.

    Patterns that cover one class lie within each other in one order, that of their depth; so a
    grant lies within every refusal's scope exactly if it is as deep as the deepest of them.
    """

    def __init__(self, lines: _Lines, cells: _Cells, shapes: Mapping[int, Shape]) -> None:
        self._lines, self._cells = lines, cells
        self._shapes = list(shapes.values())
        row = np.zeros(max(shapes, default=0) + 1, np.int64)
        row[list(shapes)] = np.arange(len(shapes))
        self._row = row[lines.shape]
        self._weights: dict[tuple[str, bytes], Ints] = {}

    def _by_shape(self, value: Callable[[Shape], int]) -> Ints:
        """Tabulate `value` over the shapes, and give each line its own."""
        return np.array([value(s) for s in self._shapes] or [0], np.int64)[self._row]

    def weigh(self, rules: Rulebook, data_class: str, categories: frozenset[str] | None) -> Ints:
        """Weigh each cell: (refusal · 7 + best grant) · 7 + best grant asked for separately."""
        lines = self._lines
        covering = self._by_shape(
            lambda s: s.act is Act.GRANT and covers(s.pattern, data_class)
        )  # fmt: skip
        grant = np.flatnonzero(
            (covering == 1) & (lines.recorded > rules.data_classes[data_class])
        )  # fmt: skip
        versions = np.searchsorted([v.index for v in rules.policies], lines.recorded[grant])
        text_counts = _text_counts(self._shapes, rules)[self._row[grant], versions]
        explicit = self._by_shape(
            lambda s: s.explicit and categories is not None and categories <= s.categories
        )
        stage = np.where(explicit[grant] == 1, _EXPLICIT, _PERMITS)
        stage = np.where(lines.expires[grant] > rules.as_of, stage, _TEXT_COUNTS)
        stage = np.where(text_counts, stage, _IN_PERIOD)
        reached = np.zeros(len(lines.member), np.uint8)  # _NO_GRANT
        reached[grant] = stage
        key = (data_class, reached.tobytes())
        if key not in self._weights:
            self._weights[key] = self._weighed(data_class, reached)
        return self._weights[key]

    def _weighed(self, data_class: str, stage: Bytes) -> Ints:
        """Weigh each cell, given how far each grant gets before refusals are looked at."""
        lines, cells = self._lines, self._cells
        depth = self._by_shape(lambda s: _depth(s.pattern, data_class))
        refuses = self._by_shape(lambda s: s.act is not Act.GRANT)
        refusal = np.flatnonzero((depth >= 0) & (refuses == 1))
        kind = self._by_shape(lambda s: _OBJECTED if s.act is Act.OBJECT else _WITHDRAWN)
        always = (lines.start[refusal] == BEGINNING) & (lines.stop[refusal] == END)
        total, partial = refusal[always], refusal[~always]
        last_refusal, deepest, refused_always = (np.full(cells.members, n) for n in (-1, -1, 0))
        np.maximum.at(last_refusal, lines.member[total], lines.recorded[total])
        np.maximum.at(deepest, lines.member[total], depth[total])
        np.maximum.at(refused_always, lines.member[total], kind[total])
        refused = refused_always[cells.member]
        first, last = cells.at(lines.cut_start), cells.at(lines.cut_stop)
        which, cell = _ranges(first[partial], last[partial])
        np.maximum.at(refused, cell, kind[partial[which]])

        grant = np.flatnonzero(stage)
        member = lines.member[grant]
        answers = (lines.recorded[grant] > last_refusal[member]) & (depth[grant] >= deepest[member])
        which, cell = _ranges(first[grant], last[grant])
        stages = stage[grant].astype(np.int64)  # of the type it is compared with: that is faster
        reached = np.where(answers, stages, np.minimum(stages, _LIVE))[which]
        begins = np.cumsum(np.maximum(last[grant] - first[grant], 0))
        begins = np.concatenate([[0], begins])
        for g, lo, hi in _blocked(lines, grant, partial, depth, first, last):
            # A refusal of a period only: rare.
            at = slice(begins[g] + lo - first[grant[g]], begins[g] + hi - first[grant[g]])
            reached[at] = np.minimum(reached[at], _LIVE)

        earlier = self._by_shape(lambda s: s.earlier)[grant] == 1
        weights: Ints = refused
        for chosen in (np.ones(len(grant), np.bool_), earlier):
            in_scope = np.zeros(cells.members, np.int64)
            in_scope[member[chosen]] = _IN_SCOPE
            best = in_scope[cells.member]
            mine = chosen[which]
            np.maximum.at(best, cell[mine], reached[mine])
            weights = weights * _STAGES + best
        return weights


def _depth(pattern: str, data_class: str) -> int:
    """Return how narrow a pattern is among those that cover `data_class`; -1: it does not."""
    if not covers(pattern, data_class):
        return -1
    return 0 if pattern == ANY else pattern.count(".") if pattern.endswith(".*") else 1000


def _text_counts(shapes: Sequence[Shape], rules: Rulebook) -> Bools:
    """Tabulate (shape, versions published before it): does its text stand in all since?"""
    texts = [frozenset(v.texts.values()) for v in rules.policies]
    table = np.zeros((max(len(shapes), 1), len(texts) + 1), np.bool_)
    for n, shape in enumerate(shapes):
        for before in range(1, len(texts) + 1):
            table[n, before] = all(shape.text in t for t in texts[before - 1 :])
    return table


def _blocked(  # noqa: PLR0913, PLR0917 - two sets of lines, and where they reach
    lines: _Lines, grant: Ints, partial: Ints, depth: Ints, first: Ints, last: Ints
) -> Iterator[tuple[int, int, int]]:
    """Yield (grant, cells from, to) where a refusal of a period is not answered by the grant."""
    if not len(partial):
        return
    low = np.searchsorted(lines.member[grant], lines.member[partial], "left")
    high = np.searchsorted(lines.member[grant], lines.member[partial], "right")
    which, g = _ranges(low, high)
    r, line = partial[which], grant[g]
    inside = (lines.start[line] >= lines.start[r]) & (lines.stop[line] <= lines.stop[r])
    inside |= lines.start[line] >= lines.stop[line]
    answered = (lines.recorded[line] > lines.recorded[r]) & (depth[line] >= depth[r]) & inside
    lo, hi = np.maximum(first[line], first[r]), np.minimum(last[line], last[r])
    open_ = np.flatnonzero(~answered & (lo < hi))
    yield from zip(g[open_].tolist(), lo[open_].tolist(), hi[open_].tolist(), strict=True)


@cache
def _weigh_up(asked: Asked, weight: int, floor: Level) -> int:
    """Return the first reason that applies, or ALLOWED."""
    rest, separately = divmod(weight, _STAGES)
    refusal, anyhow = divmod(rest, _STAGES)
    stage = separately if asked.silent_then else anyhow
    level = max(asked.level, floor)
    reasons = {asked.reason, ALLOWED}
    if stage < _PERMITS:
        if refusal:
            reasons.add(Reason.OBJECTED if refusal == _OBJECTED else Reason.WITHDRAWN)
        if level >= Level.GRANT:
            reasons.add(_FIRST_MISSED[stage])
            if asked.silent_then and stage < _IN_PERIOD:
                reasons.add(Reason.NOT_FORESEEN_THEN)
    if level is Level.EXPLICIT_GRANT and stage < _EXPLICIT:
        reasons.add(Reason.SENSITIVE)
    return min(reasons)


_FIRST_MISSED: Final = {
    _NO_GRANT: Reason.NO_GRANT,
    _IN_SCOPE: Reason.GRANT_NOT_FOR_PERIOD,
    _IN_PERIOD: Reason.GRANT_TEXT_CHANGED,
    _TEXT_COUNTS: Reason.GRANT_EXPIRED,
    _LIVE: Reason.WITHDRAWN,  # live but not permitting: a refusal stands, and is named already
}


def _answers(
    asked: list[Asked], standing: Ints, weight: Ints, categories: frozenset[str] | None
) -> Bytes:
    """Combine what is asked of each part with what its choices weigh: a reason each."""
    sensitive = categories is None or bool(categories)
    floor = Level.EXPLICIT_GRANT if sensitive else Level.NOTHING
    kinds = {a: n for n, a in enumerate(dict.fromkeys(asked))}
    place = np.array([kinds[a] for a in asked], np.int64)
    weights = 3 * _STAGES * _STAGES
    table = np.array([_weigh_up(a, w, floor) for a, w in product(kinds, range(weights))], np.uint8)
    found: Bytes = table[place[standing] * weights + weight]
    return found
