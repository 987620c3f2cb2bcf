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
    """The interval tables of one request; `size` subjects, of any standing, numbered from 0."""

    rules: Rulebook
    purpose: str
    recipient: Recipient
    size: int
    tables: Mapping[Kind, Intervals]


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
    wanted = [k for k in dict.fromkeys(kinds) if k.data_class in {None, *rules.data_classes}]
    columns = _Columns.read(store, rules, purpose, recipient.id, upto)
    fold = _Fold(rules, purpose, recipient, columns, wanted)
    parts: dict[Kind, list[tuple[Ints, Ints, Bytes]]] = {kind: [] for kind in wanted}
    total = len(columns.members)
    for first in range(0, total, CHUNK):
        for kind, part in fold.chunk(first, min(first + CHUNK, total)).items():
            parts[kind].append(part)
        if progress is not None:
            progress(min(first + CHUNK, total), total)
    tables = {kind: _spread(found, columns) for kind, found in parts.items()}
    return Plan(rules, purpose, recipient, columns.size, tables)


def _spread(parts: Sequence[tuple[Ints, Ints, Bytes]], columns: _Columns) -> Intervals:
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
        """Keep the rows of members; `rank` maps a subject's number to its place, -1: none."""
        subject = rank[_ints(found, "subject")]
        order = np.arange(len(subject), dtype=np.int64)
        # Members in the high bits, place in the low: one fast sort instead of an indirect one.
        keys = np.sort((subject << 32 | order)[subject >= 0])
        order = keys & 0xFFFF_FFFF
        self.member: Ints = keys >> 32
        self.columns = {name: _ints(found, name)[order] for name in found.column_names}

    def slice(self, first: int, last: int) -> tuple[Ints, Callable[[str], Ints]]:
        """Return the members from `first` to `last`, counted from 0, and a way to their columns."""
        a, b = np.searchsorted(self.member, [first, last])
        return self.member[a:b] - first, lambda name: self.columns[name][a:b]


def _ints(table: pa.Table, name: str) -> Ints:
    found: Ints = table.column(name).to_numpy()
    return found


@dataclass(frozen=True)
class _Columns:
    """What the ledger's decision columns say of the members."""

    size: int
    members: Ints
    names: list[str]
    facts: _Table
    notices: _Table
    objections: _Table
    amendments: _Table
    lines: _Table
    shapes: Mapping[int, Shape]

    @classmethod
    def read(
        cls, store: EventStore, rules: Rulebook, purpose: str, recipient: str, upto: int
    ) -> _Columns:
        symbols = store.symbols()
        names = list(symbols)

        def read(table: str, where: str = "") -> pa.Table:
            return store.columns(table, _READ[table], as_of=rules.as_of, upto=upto, where=where)

        person, erased = read("person"), read("erased")
        size = len(store.subject_ids())
        member = np.zeros(size, np.bool_)
        member[_ints(person, "subject")] = _ints(person, "member")  # recorded order: last one wins
        member[_ints(erased, "subject")] = False
        members = np.flatnonzero(member)
        rank = np.full(size, -1, np.int64)
        rank[members] = np.arange(len(members))

        shapes = {
            n: shape
            for name, n in symbols.items()
            if (shape := read_shape(name)) is not None
            and shape.purpose in (ANY, purpose)
            and shape.recipient in (ANY, recipient)
        }
        listed = ",".join(map(str, shapes)) or "-1"
        return cls(
            size, members, names,
            _Table(read("fact"), rank),
            _Table(read("notice"), rank),
            _Table(read("objection"), rank),
            _Table(read("amendment"), rank),
            _Table(read("line", f"shape IN ({listed})"), rank),
            shapes,
        )  # fmt: skip


# ── cells ───────────────────────────────────────────────────────────────────────────────────


class _Cells:
    """Each member's past, cut where something changes; cell c is [start[c], start[c+1])."""

    def __init__(self, members: int, as_of: Time) -> None:
        self._as_of = as_of
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
        order = np.lexsort((t, member))
        member, t = member[order], t[order]
        new = np.ones(len(t), np.bool_)
        new[1:] = (member[1:] != member[:-1]) | (t[1:] != t[:-1])
        new &= t <= self._as_of  # what is cut after T cannot be asked about
        cell = np.cumsum(new) - 1
        self._cell_of = np.empty(len(t), np.int64)
        self._cell_of[order] = np.where(t <= self._as_of, cell, cell + 1)
        self.member, self.start = member[new], t[new]
        self.offsets: Ints = np.searchsorted(self.member, np.arange(self.members + 1))
        self.size = len(self.member)

    def at(self, cut: slice) -> Ints:
        """Return the cell that begins at each time of a cut (one past the last, if after T)."""
        return self._cell_of[cut]

    def now(self) -> Ints:
        """Return each member's cell at T: the last."""
        return self.offsets[1:] - 1


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
    """Folds one chunk of members after another."""

    def __init__(
        self,
        rules: Rulebook,
        purpose: str,
        recipient: Recipient,
        columns: _Columns,
        kinds: Sequence[Kind],
    ) -> None:
        self._rules, self._columns, self._kinds = rules, columns, kinds
        self._group = Group(purpose, recipient, rules)
        self._purpose, self._recipient = purpose, recipient
        self._common = np.array([BEGINNING, *turning_points(rules)], np.int64)
        self._common = np.unique(self._common)
        self._symbols = {name: n for n, name in enumerate(columns.names)}
        self._versions = {v.version: n for n, v in enumerate(rules.policies)}
        ages = {age for table in rules.regions for age in table.ages.values()}
        self._limits = sorted({ADULT_AGE} | {a for a in ages if a > ADULT_AGE})
        self._intern = _Intern()
        self._lifted: list[Lifted] = [frozenset()]
        self._standings: dict[tuple[int, ...], Standing] = {}
        self._asked: dict[tuple[Standing, str, int], Asked] = {}
        self._age_limits: dict[tuple[Standing, int], int] = {}
        classes = {k.data_class for k in kinds}
        everything = list(rules.data_classes)
        self._classes = everything if None in classes else [c for c in everything if c in classes]

    def chunk(self, first: int, last: int) -> dict[Kind, tuple[Ints, Ints, Bytes]]:
        """Return each kind's (rows per member, start, reason) for members first to last."""
        cells = _Cells(last - first, self._rules.as_of)
        places = self._facts("jurisdiction", first, last, cells)
        contracts = self._facts("contract", first, last, cells)
        born = self._facts("birth_year", first, last, cells)
        in_force = self._in_force(first, last, cells)
        lifted = self._amendments(first, last, cells)
        choices = self._choices(first, last, cells)
        cells.seal()

        split, epoch = self._split(cells)
        place, contract, force = places(), contracts(), in_force()
        now = cells.now()[cells.member]
        features = (place, contract, force, place[now], contract[now], force[now], lifted())
        distinct, standing = self._distinct(features, split, epoch)
        age = self._age(born(), now, cells)[split]
        age_reason = self._age_reason(age, distinct, standing)

        start = np.maximum(cells.start[split], self._common[epoch])
        member = cells.member[split]
        weighed: dict[tuple[str, frozenset[str] | None], Bytes] = {}

        def reasons(data_class: str, own: frozenset[str] | None) -> Bytes:
            of_class = self._rules.sensitive.get(data_class, frozenset())
            categories = None if own is None else own | of_class
            key = (data_class, categories)
            if key not in weighed:
                asked = [self._ask(s, data_class, e) for s, e in distinct]
                weight = choices(data_class, categories)
                weighed[key] = _answers(asked, standing, weight[split], categories)
            return weighed[key]

        answers = {}
        for kind in self._kinds:
            classes = self._classes if kind.data_class is None else [kind.data_class]
            reason = np.minimum.reduce([reasons(c, kind.categories) for c in classes])
            if kind.undated:
                base = member * -64
                reason = (np.minimum.accumulate(reason + base) - base).astype(np.uint8)
            answers[kind] = _collapse(member, start, np.minimum(reason, age_reason), last - first)
        return answers

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
            sets: dict[int, set[int]] = {}
            for c, v in zip(cell.tolist(), value[fact].tolist(), strict=True):
                sets.setdefault(c, set()).add(v)
            for c, values in sets.items():
                of_cell[c] = self._intern.number(values)
            return of_cell

        return numbers

    def _in_force(self, first: int, last: int, cells: _Cells) -> Callable[[], Ints]:
        """Cut where a version comes into force; then give each cell its version (-1: none)."""
        rules = self._rules
        order_of = self._by_symbol(lambda name: self._versions.get(name, -1))
        member, column = self._columns.notices.slice(first, last)
        version, recorded = order_of[column("version")], column("time")
        published = np.array([v.published_at for v in rules.policies] + [END], np.int64)
        effective = np.array([v.effective_at for v in rules.policies] + [END], np.int64)
        window = np.array([v.window for v in rules.policies] + [0], np.int64)
        ran = recorded + np.where(column("at_registration") == 1, 0, window[version])
        begins = np.maximum(ran, effective[version])
        counts = (version >= 0) & (recorded >= published[version]) & (begins <= rules.as_of)
        member, version, begins = member[counts], version[counts], begins[counts]
        since = cells.cut(member, begins)

        o_member, column = self._columns.objections.slice(first, last)
        rows = zip(
            o_member.tolist(), column("version").tolist(),
            column("time").tolist(), column("taken_back").tolist(), strict=True,
        )  # fmt: skip
        spans = list(_objections(rows, order_of))
        o_member, o_order, o_start, o_stop = np.array(spans, np.int64).reshape(-1, 4).T
        cut_start, cut_stop = cells.cut(o_member, o_start), cells.cut(o_member, o_stop)

        def numbers() -> Ints:
            begun = np.full(cells.size + 1, -1)
            np.maximum.at(begun, cells.at(since), version)
            # (+1, as _running_maximum takes no negative values)
            found = _running_maximum(cells, begun[: cells.size] + 1) - 1
            blocked = np.full(cells.size, len(rules.policies))
            which, cell = _ranges(cells.at(cut_start), cells.at(cut_stop))
            np.minimum.at(blocked, cell, o_order[which])
            objector = np.zeros(cells.members, np.bool_)
            objector[o_member] = True
            found[objector[cells.member]] = -1
            theirs = np.flatnonzero(objector[member])
            which, cell = _ranges(cells.at(since)[theirs], cells.offsets[member[theirs] + 1])
            reached = version[theirs][which]
            kept = reached < blocked[cell]
            np.maximum.at(found, cell[kept], reached[kept])
            return found

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

    def _by_symbol(self, value: Callable[[str], int]) -> Ints:
        """Tabulate `value` over every symbol."""
        return np.array([value(name) for name in self._columns.names] or [0], np.int64)

    def _choices(
        self, first: int, last: int, cells: _Cells
    ) -> Callable[[str, frozenset[str] | None], Ints]:
        """Cut where a choice begins or ends; then weigh each cell's choices for one kind."""
        member, column = self._columns.lines.slice(first, last)
        start, stop = column("start"), column("stop")
        lines = _Lines(
            member, column("idx"), start, stop, column("expires"), column("shape"),
            cells.cut(member, start), cells.cut(member, stop),
        )  # fmt: skip

        def weigh(data_class: str, categories: frozenset[str] | None) -> Ints:
            return _weigh(lines, cells, self._columns.shapes, self._rules, data_class, categories)

        return weigh

    def _split(self, cells: _Cells) -> tuple[Ints, Ints]:
        """Split cells where something changes for everyone: (cell, epoch) of each part."""
        end = np.append(cells.start[1:], END)
        last = cells.now()
        end[last] = END
        epoch = np.searchsorted(self._common, cells.start, "right") - 1
        epoch_end = np.searchsorted(self._common, end, "left")
        return _ranges(epoch, epoch_end)

    def _distinct(
        self, features: tuple[Ints, ...], split: Ints, epoch: Ints
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
        standings = [self._standing(tuple(int(f[at]) for f in features)) for at in firsts.tolist()]
        where, when = number[split[part_firsts]], epoch[part_firsts]
        pairs = zip(where.tolist(), when.tolist(), strict=True)
        return [(standings[s], e) for s, e in pairs], part

    def _standing(self, numbers: tuple[int, ...]) -> Standing:
        if numbers not in self._standings:
            place, contract, force, place_now, contract_now, force_now, lifted = numbers
            self._standings[numbers] = Standing(
                self._texts(place), self._texts(contract), force,
                self._texts(place_now), self._texts(contract_now), force_now,
                self._lifted[lifted],
            )  # fmt: skip
        return self._standings[numbers]

    def _texts(self, number: int) -> frozenset[str | None]:
        values = self._intern.sets[number]
        return frozenset(None if v < 0 else self._columns.names[v] for v in values)

    def _ask(self, standing: Standing, data_class: str, epoch: int) -> Asked:
        key = (standing, data_class, epoch)
        if key not in self._asked:
            at = int(self._common[epoch])
            self._asked[key] = self._group.asked(standing, data_class, at)
        return self._asked[key]

    def _age(self, born: Ints, now: Ints, cells: _Cells) -> Ints:
        """Return how many age limits the youngest age that counts has passed; -1: not known."""
        youngest = np.array([-1 if -1 in s else max(s) for s in self._intern.sets], np.int64)
        then, today = youngest[born], youngest[born[now]]
        years = cells.start.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970
        age = years - np.maximum(then, today)
        passed = np.searchsorted(self._limits, age, "left")
        return np.where((then < 0) | (today < 0), -1, passed)

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


def _weigh(  # noqa: PLR0913, PLR0917 - one weighing, told in order
    lines: _Lines,
    cells: _Cells,
    shapes: Mapping[int, Shape],
    rules: Rulebook,
    data_class: str,
    categories: frozenset[str] | None,
) -> Ints:
    """Weigh each cell's choices: (refusal · 7 + best grant) · 7 + best grant asked for separately.

    Patterns that cover one class lie within each other in one order, that of their depth; so a
    grant lies within every refusal's scope exactly if it is as deep as the deepest of them.
    """
    listed = list(shapes)
    row = np.zeros(max(listed, default=0) + 1, np.int64)
    row[listed] = np.arange(len(listed))
    of_line = row[lines.shape]
    all_shapes = [shapes[n] for n in listed]

    def by_shape(value: Callable[[Shape], int]) -> Ints:
        return np.array([value(s) for s in all_shapes] or [0], np.int64)[of_line]

    depth = by_shape(lambda s: _depth(s.pattern, data_class))
    is_grant = by_shape(lambda s: s.act is Act.GRANT) == 1
    covering = depth >= 0

    refusal = np.flatnonzero(covering & ~is_grant)
    kind = by_shape(lambda s: _OBJECTED if s.act is Act.OBJECT else _WITHDRAWN)
    refused = np.zeros(cells.size, np.int64)
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

    registered = rules.data_classes[data_class]
    grant = np.flatnonzero(covering & is_grant & (lines.recorded > registered))
    member = lines.member[grant]
    versions = np.searchsorted([v.index for v in rules.policies], lines.recorded[grant])
    text_counts = _text_counts(all_shapes, rules)[of_line[grant], versions]
    answers = (lines.recorded[grant] > last_refusal[member]) & (depth[grant] >= deepest[member])
    explicit = by_shape(
        lambda s: s.explicit and categories is not None and categories <= s.categories
    )
    stage = np.where(answers, np.where(explicit[grant] == 1, _EXPLICIT, _PERMITS), _LIVE)
    stage = np.where(lines.expires[grant] > rules.as_of, stage, _TEXT_COUNTS)
    stage = np.where(text_counts, stage, _IN_PERIOD)

    which, cell = _ranges(first[grant], last[grant])
    reached = stage[which]
    blocked = _blocked(lines, grant, partial, depth, first, last)
    begins = np.cumsum(np.maximum(last[grant] - first[grant], 0))
    begins = np.concatenate([[0], begins])
    for g, lo, hi in blocked:  # a refusal of a period only: rare
        at = slice(begins[g] + lo - first[grant[g]], begins[g] + hi - first[grant[g]])
        reached[at] = np.minimum(reached[at], _LIVE)

    earlier = by_shape(lambda s: s.earlier)[grant] == 1
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
