"""What a new policy document changes against an old one, in plain words. Pure.

Rules are compared **cell** by cell. A cell is one data class, purpose, recipient, place, contract
(or none) and period in which an item was made; periods are cut where a clause begins or ends. In
every cell stands the level that is needed (docs/spec/decision.md §3) of a person for whom the
version is in force: the strictest of policy, regional table, contract and floors. Silence, a place
that is not in the table, a contract without terms, and whatever is not registered need `never`.

The new document is read as published after the old one, so what it leaves out is not undone where
nothing can undo it: recipients and data classes stay registered, a contract keeps its terms, and a
class that was declared sensitive stays so. Its regional table and its clauses replace the old ones.

Cells that change alike are joined into scopes, and each scope is one sentence: every cell lies in
exactly one, those of the unchanged included (tests/policy/test_diff.py expands them again).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise, product
from math import prod
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from letterlock.domain import (
    ADULT_AGE,
    ANY,
    BEGINNING,
    DAY,
    END,
    PURPOSES,
    Clause,
    Level,
    Recipient,
    Span,
    covers,
    is_training,
    text_of,
)
from letterlock.errors import PolicyError
from letterlock.policy.clauses import covers_place
from letterlock.policy.document import Document
from letterlock.policy.places import GROUPS
from letterlock.policy.texts import Words, text_hash

MAX_CELLS: Final = 1 << 26
"""Cells that can be compared: 250 places, 50 classes, 20 recipients, 4 contracts make 7,500,000."""

MAX_GROUPS: Final = 1 << 20
"""Cells that can be joined, once what is alike in every way is taken together."""


class Direction(StrEnum):
    """Which way a change goes; `changed` is one that is neither looser nor tighter by itself."""

    LOOSER = "looser"
    TIGHTER = "tighter"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class Cell(NamedTuple):
    """One combination of what a clause can distinguish; `contract` None: without one."""

    data_class: str
    purpose: str
    recipient: str
    place: str
    contract: str | None
    period: Span


@dataclass(frozen=True, slots=True)
class Scope:
    """All combinations of these: as many cells as the product of the six has."""

    data_classes: tuple[str, ...]
    purposes: tuple[str, ...]
    recipients: tuple[str, ...]
    places: tuple[str, ...]
    contracts: tuple[str | None, ...]
    periods: tuple[Span, ...]

    def axes(self) -> tuple[Sequence[Any], ...]:
        """Return the six lists, in the order of a cell's parts."""
        return (
            self.data_classes,
            self.purposes,
            self.recipients,
            self.places,
            self.contracts,
            self.periods,
        )

    def cells(self) -> Iterator[Cell]:
        """Yield every cell."""
        return (Cell(*each) for each in product(*self.axes()))

    def record(self) -> dict[str, Any]:
        """Write it as JSON; a period says `from` and `to` where it is not open."""
        return {
            "data_classes": list(self.data_classes),
            "purposes": list(self.purposes),
            "recipients": list(self.recipients),
            "places": list(self.places),
            "contracts": list(self.contracts),
            "periods": [_period_record(each) for each in _joined(self.periods)],
        }


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changes; `scope` for a rule only, whose `before` and `after` are levels."""

    direction: Direction
    about: str
    sentence: str
    before: Any = None
    after: Any = None
    scope: Scope | None = None

    def line(self) -> str:
        """Write it as one line."""
        return f"{self.direction}: {self.sentence}"

    def record(self) -> dict[str, Any]:
        """Write it as JSON."""
        found = {"direction": str(self.direction), "about": self.about, "sentence": self.sentence}
        found |= {"before": self.before, "after": self.after}
        return found | ({"scope": self.scope.record()} if self.scope else {})


@dataclass(frozen=True, slots=True)
class Diff:
    """Everything that differs: `rules` covers every cell once, `others` is all that is no rule."""

    old: str
    new: str
    rules: tuple[Change, ...]
    others: tuple[Change, ...]
    cells: Mapping[Direction, int]

    def lines(self) -> list[str]:
        """Say it in plain words: looser first, then tighter, then whatever else changes."""
        changes = [*self.rules, *self.others]
        found = [f"{self.old} → {self.new}"]
        for direction in (Direction.LOOSER, Direction.TIGHTER, Direction.CHANGED):
            found += [each.line() for each in changes if each.direction is direction]
        same, total = self.cells[Direction.UNCHANGED], sum(self.cells.values())
        found.append(
            f"unchanged: {same:,} of {total:,} combinations of data class, purpose, recipient, "
            "place, contract and period"
        )
        if same < total:
            found.append(_WHEN)
        return found

    def record(self) -> dict[str, Any]:
        """Write it as JSON, with the rules that stay as they are."""
        return {
            "old": self.old,
            "new": self.new,
            "cells": {str(each): self.cells[each] for each in _OF_RULES},
            "rules": [each.record() for each in self.rules],
            "others": [each.record() for each in self.others],
        }


_OF_RULES: Final = (Direction.LOOSER, Direction.TIGHTER, Direction.UNCHANGED)

_WHEN: Final = (
    "From when on: what is tighter holds for everything from publication on. What is looser leaves "
    "what was made before under the old rules too; what is made later is loosened for a person "
    "once the version is in force for them. New names count from publication on."
)


def compare(old: Document, new: Document) -> Diff:
    """Say what changes for people when `new` is published after `old`.

    Raises PolicyError if the text of a setting cannot be rendered (`check` finds that), or if there
    is more to compare than can be: no policy that people could read has so much.
    """
    before = _side(old, None)
    after = _side(new, before)
    whole = _whole(before, after)
    speech = _Speech(old, new, whole)
    rules, cells = [], dict.fromkeys(_OF_RULES, 0)
    for scope, was, will_be in _scopes(before, after, whole):
        direction = _direction(will_be - was)
        cells[direction] += prod(map(len, scope.axes()))
        kept = direction is Direction.UNCHANGED
        levels = f"still {_LEVELS[was]}" if kept else f"{_LEVELS[was]} → {_LEVELS[will_be]}"
        sentence = f"{speech.of(scope)}: {levels}"
        names = (was.name.lower(), will_be.name.lower())
        rules.append(Change(direction, "rule", sentence, *names, scope))
    rules.sort(key=lambda change: (_OF_RULES.index(change.direction), change.sentence))
    return Diff(old.version, new.version, tuple(rules), tuple(_others(old, new, speech)), cells)


def _direction(more: int) -> Direction:
    """Say which way it goes if `more` is asked than before."""
    if not more:
        return Direction.UNCHANGED
    return Direction.TIGHTER if more > 0 else Direction.LOOSER


# ── what each document requires ─────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Side:
    """What stands in the ledger once a document is published."""

    clauses: tuple[Clause, ...]
    region_clauses: tuple[Clause, ...]
    ages: Mapping[str, int]
    contracts: Mapping[str, tuple[Clause, ...]]
    recipients: Mapping[str, Recipient]
    data_classes: Mapping[str, frozenset[str]]  # with the categories that each is declared to have

    def every_clause(self) -> Iterator[Clause]:
        """Yield the clauses of all sources."""
        yield from self.clauses
        yield from self.region_clauses
        for clauses in self.contracts.values():
            yield from clauses


def _side(document: Document, before: _Side | None) -> _Side:
    """Publish `document`, after what stood `before`."""
    old = before or _Side((), (), {}, {}, {}, {})
    sensitive = _sensitive(document)
    classes = {
        name: old.data_classes.get(name, frozenset()) | sensitive.get(name, frozenset())
        for name in (*old.data_classes, *document.data_classes)
    }
    return _Side(
        document.clauses,
        document.region_clauses,
        document.ages,
        {**old.contracts, **document.contracts},
        {**old.recipients, **document.recipients},
        classes,
    )


def _sensitive(document: Document) -> dict[str, frozenset[str]]:
    """Return the categories that a document declares of whole data classes."""
    return {name: frozenset(found) for name, found in document.sensitive.items()}


def _whole(before: _Side, after: _Side) -> Scope:
    """Return the scope of everything that either side can tell apart."""
    clauses = [*before.every_clause(), *after.every_clause()]
    cuts = {t for clause in clauses for t in (clause.span.start, clause.span.end)}
    times = [BEGINNING, *sorted(cuts - {BEGINNING, END}), END]
    return Scope(
        tuple(sorted(after.data_classes)),
        PURPOSES,
        tuple(sorted(after.recipients)),
        tuple(sorted({*before.ages, *after.ages})),
        (None, *sorted(after.contracts)),
        tuple(Span(start, end) for start, end in pairwise(times)),
    )


_Levels: TypeAlias = npt.NDArray[np.int8]
"""Levels by (data class, purpose, recipient, place, contract); -1 is silence."""


def _levels(side: _Side, whole: Scope, period: Span) -> _Levels:
    """Return what is needed in each cell of `period`."""
    shape = tuple(map(len, whole.axes()[:-1]))
    found = np.full(shape, -1, np.int8)
    everywhere = np.ones(len(whole.contracts), bool)
    for clause in side.clauses:
        _raise(found, clause, side, whole, period, everywhere)
    found[found < 0] = Level.NEVER  # also for whoever is not registered: no clause reaches them
    for clause in side.region_clauses:
        _raise(found, clause, side, whole, period, everywhere)
    for n, contract in enumerate(whole.contracts):
        one = np.arange(len(everywhere)) == n
        for clause in side.contracts.get(contract or "", ()):
            _raise(found, clause, side, whole, period, one)
        if contract is not None and contract not in side.contracts:
            found[:, :, :, :, n] = Level.NEVER
    floors = np.array([Level.GRANT if is_training(p) else 0 for p in whole.purposes], np.int8)
    np.maximum(found, floors[None, :, None, None, None], out=found)
    explicit = _mask(bool(side.data_classes.get(name)) for name in whole.data_classes)
    found[explicit] = np.maximum(found[explicit], Level.EXPLICIT_GRANT)
    found[_mask(name not in side.data_classes for name in whole.data_classes)] = Level.NEVER
    found[:, :, :, _mask(place not in side.ages for place in whole.places)] = Level.NEVER
    return found


def _raise(  # noqa: PLR0913, PLR0917 - one clause of one side, in one period, for some contracts
    levels: _Levels,
    clause: Clause,
    side: _Side,
    whole: Scope,
    period: Span,
    contracts: npt.NDArray[np.bool_],
) -> None:
    """Raise `levels` where `clause` matches: policy.clauses.matches, along each axis by itself."""
    if period.start not in clause.span:
        return

    def any_of(patterns: tuple[str, ...], name: str) -> bool:
        return any(covers(pattern, name) for pattern in patterns)

    def reaches(name: str) -> bool:
        known = side.recipients.get(name)
        called = {ANY, name, known.recipient_class.value} if known else set[str]()
        return not called.isdisjoint(clause.recipients)

    where = np.ix_(
        _mask(any_of(clause.data_classes, each) for each in whole.data_classes),
        _mask(any_of(clause.purposes, each) for each in whole.purposes),
        _mask(reaches(each) for each in whole.recipients),
        _mask(any(covers_place(p, each) for p in clause.jurisdictions) for each in whole.places),
        _mask(any(c in (ANY, each) for c in clause.contracts) for each in whole.contracts)
        & contracts,
    )
    level = Level.NEVER if clause.level is None else clause.level
    levels[where] = np.maximum(levels[where], level)


def _mask(values: Iterable[bool]) -> npt.NDArray[np.bool_]:
    """Return which positions along an axis are meant."""
    return np.fromiter(values, bool)


# ── joining cells into scopes ───────────────────────────────────────────────────────────────

_Box: TypeAlias = tuple[int, ...]
"""A set of positions along each axis, as bits, behind the code of what changes."""


def _scopes(before: _Side, after: _Side, whole: Scope) -> Iterator[tuple[Scope, Level, Level]]:
    """Yield scopes that together hold every cell once, with the levels before and after."""
    if not all(whole.axes()):  # nobody, nowhere or nothing: no cell at all
        return
    _bound(prod(map(len, whole.axes())), MAX_CELLS)
    periods: dict[bytes, list[Span]] = {}
    slices = []
    for period in whole.periods:
        codes = _levels(before, whole, period) * len(Level) + _levels(after, whole, period)
        same = periods.setdefault(codes.tobytes(), [])
        if not same:
            slices.append(codes)
        same.append(period)
    named: list[list[list[Any]]] = [[[each] for each in axis] for axis in whole.axes()[:-1]]
    codes, groups = np.stack(slices, axis=-1), list[list[list[Any]]]()
    for n, values in enumerate([*named, list(periods.values())]):
        codes, grouped = _grouped(codes, n, values)
        groups.append(grouped)
    _bound(codes.size, MAX_GROUPS)
    boxes = {(int(code), *(1 << n for n in at)) for at, code in np.ndenumerate(codes)}
    for code, *sets in _joined_boxes(boxes, len(groups)):
        parts = []
        for axis, group, bits in zip(whole.axes(), groups, sets, strict=True):
            chosen = {each for n, members in enumerate(group) if bits >> n & 1 for each in members}
            parts.append(tuple(each for each in axis if each in chosen))
        yield Scope(*parts), Level(code // len(Level)), Level(code % len(Level))


def _bound(size: int, most: int) -> None:
    """Raise PolicyError for more than can be compared in reasonable time."""
    if size > most:
        raise PolicyError(f"these documents tell {size:,} cases apart; {most:,} can be compared")


def _grouped(codes: _Levels, axis: int, values: list[list[Any]]) -> tuple[_Levels, list[list[Any]]]:
    """Take together the positions along `axis` between which nothing differs."""
    rows = np.moveaxis(codes, axis, 0)
    groups: dict[bytes, list[int]] = {}
    for n, row in enumerate(rows):
        groups.setdefault(row.tobytes(), []).append(n)
    kept = np.take(codes, [members[0] for members in groups.values()], axis)
    return kept, [[v for n in members for v in values[n]] for members in groups.values()]


def _joined_boxes(boxes: set[_Box], axes: int) -> list[_Box]:
    """Join boxes that differ along one axis only, axis by axis, each time where it joins most."""
    left = list(range(1, axes + 1))
    while left:
        joined = {axis: _joined_along(boxes, axis) for axis in left}
        best = min(left, key=lambda axis: (len(joined[axis]), -axis))
        boxes = joined[best]
        left.remove(best)
    return sorted(boxes)


def _joined_along(boxes: Iterable[_Box], axis: int) -> set[_Box]:
    found: dict[_Box, int] = {}
    for box in boxes:
        rest = (*box[:axis], *box[axis + 1 :])
        found[rest] = found.get(rest, 0) | box[axis]
    return {(*rest[:axis], bits, *rest[axis:]) for rest, bits in found.items()}


def _joined(periods: Sequence[Span]) -> list[Span]:
    """Join periods that follow one another without a gap."""
    found: list[Span] = []
    for each in periods:
        if found and found[-1].end == each.start:
            found[-1] = Span(found[-1].start, each.end)
        else:
            found.append(each)
    return found


# ── words ───────────────────────────────────────────────────────────────────────────────────

_LEVELS: Final[Mapping[Level, str]] = {
    Level.NOTHING: "nothing is needed",
    Level.NOTICE: "a notice",
    Level.GRANT: "a yes",
    Level.EXPLICIT_GRANT: "an explicit yes",
    Level.NEVER: "never",
}

_FEW: Final = 4


class _Speech:
    """Says what things are called: in English where there are English words, the new ones first."""

    def __init__(self, old: Document, new: Document, whole: Scope) -> None:
        """Prepare to speak of two documents and all that either tells apart."""
        self.old, self.new, self.whole = old, new, whole

    def data_class(self, name: str) -> str:
        """Say what a data class is called."""
        return _called(name, self.new.data_classes, self.old.data_classes)

    def purpose(self, name: str) -> str:
        """Say what a purpose is called."""
        return _called(name, self.new.purposes, self.old.purposes)

    def recipient(self, name: str) -> str:
        """Say a recipient's legal name."""
        known = {**self.old.recipients, **self.new.recipients}
        return known[name].name

    def of(self, scope: Scope) -> str:
        """Say what a scope is about; what it does not narrow is not spoken of."""
        whole = self.whole
        parts = [
            _listed("every data class", scope.data_classes, whole.data_classes, self.data_class)
            + _listed(" for every purpose", scope.purposes, whole.purposes, self.purpose, " for ")
            + _listed(
                " to every recipient", scope.recipients, whole.recipients, self.recipient, " to "
            ),
            _places(scope.places, whole.places),
            _contracts(scope.contracts, whole.contracts),
            _periods(scope.periods, whole.periods),
        ]
        return ", ".join(part for part in parts if part)


def _called(name: str, *documents: Words) -> str:
    """Quote the first words that a document has for `name`; without any, the name itself."""
    for words in documents:
        texts = words.get(name, {})
        if texts:
            return f"“{texts.get('en') or next(iter(texts.values()))}”"
    return name


def _listed(
    every: str,
    names: Sequence[str],
    whole: Sequence[str],
    called: Callable[[str], str],
    lead: str = "",
) -> str:
    """List names; where all or nearly all are meant, say `every …`, with the exceptions."""
    missing = [name for name in whole if name not in names]
    if len(names) == 1 or (len(missing) > 1 and len(names) <= _FEW) or len(missing) > _FEW:
        return lead + _and(called(name) for name in names)
    return f"{every} but {_and(map(called, missing))}" if missing else every


def _and(things: Iterable[str], word: str = "and") -> str:
    """Join things for a sentence."""
    *most, last = things
    return f"{', '.join(most)} {word} {last}" if most else last


def _places(names: Sequence[str], whole: Sequence[str]) -> str:
    """Say where."""
    missing = [place for place in whole if place not in names]
    if not missing:
        return ""
    if len(names) == 1:
        return f"in {names[0]}"
    if len(missing) <= _FEW < len(names):
        return f"in every place but {_and(missing)}"
    return f"in {len(names)} places ({', '.join(_regions(names))})"


def _regions(places: Iterable[str]) -> list[str]:
    """List places, those that make up a region by its name."""
    left, called = set(places), []
    for name in ("EEA", "EU"):
        members = set(GROUPS[name])
        if members <= left:
            called.append(name)
            left -= members
    return called + sorted(left)


def _contracts(names: Sequence[str | None], whole: Sequence[str | None]) -> str:
    """Say under which contracts."""
    missing = [name for name in whole if name not in names]
    named = [name for name in names if name is not None]
    if not missing:
        return ""
    if not named:
        return "without a contract"
    if missing == [None]:
        return "with any contract"
    if len(missing) == 1 < len(named):
        return f"with any contract but {missing[0]}, or none"
    listed = _and(named, "or")
    return f"with contract {listed}" + (", or none" if None in names else "")


def _periods(periods: Sequence[Span], whole: Sequence[Span]) -> str:
    """Say when an item was made."""
    if len(periods) == len(whole):
        return ""
    return "made " + _and(map(_period, _joined(periods)), "or")


def _period(span: Span) -> str:
    if span.start == BEGINNING:
        return f"before {text_of(span.end)}"
    until = "on" if span.end == END else f"and before {text_of(span.end)}"
    return f"from {text_of(span.start)} {until}"


def _period_record(span: Span) -> dict[str, str]:
    found = {} if span.start == BEGINNING else {"from": text_of(span.start)}
    return found | ({} if span.end == END else {"to": text_of(span.end)})


# ── whatever is no rule ─────────────────────────────────────────────────────────────────────


def _others(old: Document, new: Document, speech: _Speech) -> Iterator[Change]:
    """Yield what else changes: clocks, ages, names, texts, and what a withdrawal reaches."""
    yield from _days("lead", "lead time", old.lead // DAY, new.lead // DAY)
    yield from _days("window", "objection window", old.window // DAY, new.window // DAY)
    yield from _withdrawal(old, new)
    yield from _ages(old, new)
    yield from _recipients(old, new)
    yield from _classes(old, new, speech)
    if more := _regions(set(new.ages) - set(old.ages)):
        sentence = f"new in the regional table: {', '.join(more)}"
        yield Change(Direction.CHANGED, "place", sentence, None, more)
    if less := _regions(set(old.ages) - set(new.ages)):
        sentence = f"not in the regional table any more, so that nothing may go: {', '.join(less)}"
        yield Change(Direction.CHANGED, "place", sentence, less)
    for name in sorted(set(new.contracts) - set(old.contracts)):
        yield Change(Direction.CHANGED, "contract", f"contract {name} is new", None, name)
    for name in sorted(set(old.contracts) - set(new.contracts)):
        sentence = f"contract {name} is left out; the terms it has go on"
        yield Change(Direction.CHANGED, "contract", sentence, name)
    yield from _words("purpose", old.purposes, new.purposes)
    yield from _words("data class", old.data_classes, new.data_classes)
    yield from _settings(old, new)


def _counted(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _days(about: str, called: str, was: int, will_be: int) -> Iterator[Change]:
    """Compare a time that people are given: less of it is looser."""
    if was != will_be:
        sentence = f"{called}: {_counted(was)} → {_counted(will_be)}"
        yield Change(_direction(will_be - was), about, sentence, was, will_be)


def _withdrawal(old: Document, new: Document) -> Iterator[Change]:
    """Compare what an opt-out reaches, and within how many days."""
    was, will_be = old.withdrawal, new.withdrawal
    reached = frozenset(was.reaches if was else ())
    reaches = frozenset(will_be.reaches if will_be else ())
    for each in sorted(reached ^ reaches):
        more = each in reaches
        sentence = f"a withdrawal {'now' if more else 'no longer'} reaches {each}"
        yield Change(_direction(1 if more else -1), "withdrawal", sentence, not more, more)
    if was and will_be and was.days != will_be.days:
        sentence = (
            f"a withdrawal is carried out within {_counted(was.days)} → {_counted(will_be.days)}"
        )
        direction = _direction(was.days - will_be.days)
        yield Change(direction, "withdrawal", sentence, was.days, will_be.days)


def _ages(old: Document, new: Document) -> Iterator[Change]:
    """Compare the age of adulthood; 0 stands for the age that holds everywhere."""
    found: dict[tuple[int, int], list[str]] = {}
    for place in sorted(set(old.ages) & set(new.ages)):
        was, will_be = (max(ADULT_AGE, ages[place]) for ages in (old.ages, new.ages))
        if was != will_be:
            found.setdefault((was, will_be), []).append(place)
    for (was, will_be), places in found.items():
        sentence = f"age of adulthood in {_and(_regions(places))}: {was} → {will_be}"
        yield Change(_direction(will_be - was), "age", sentence, was, will_be)


def _recipients(old: Document, new: Document) -> Iterator[Change]:
    """Compare who is named; a registered entity can neither change nor go."""

    def whole(r: Recipient) -> str:
        return f"{r.name} ({r.recipient_class})"

    for name in sorted({**old.recipients, **new.recipients}):
        was, will_be = old.recipients.get(name), new.recipients.get(name)
        if was is None and will_be is not None:
            sentence = f"recipient {whole(will_be)} is new; clauses for its class speak of it from "
            sentence += "publication on"
        elif was is not None and will_be is None:
            sentence = f"recipient {whole(was)} is left out; it stays registered, and clauses for "
            sentence += "its class go on speaking of it"
        elif was is not None and will_be is not None and was != will_be:
            sentence = f"recipient {name}: {whole(was)} → {whole(will_be)}; a registered one "
            sentence += "cannot change: publishing is refused until it has an id of its own"
        else:
            continue
        first, last = (each and whole(each) for each in (was, will_be))
        yield Change(Direction.CHANGED, "recipient", sentence, first, last)


def _classes(old: Document, new: Document, speech: _Speech) -> Iterator[Change]:
    """Compare which data classes there are, and which are sensitive as a whole."""
    about = "data class"
    for name in sorted({*old.data_classes, *new.data_classes}):
        called = f"{about} {speech.data_class(name)}"
        if name not in old.data_classes:
            yield Change(Direction.CHANGED, about, f"{called} is new", None, name)
        if name not in new.data_classes:
            sentence = f"{called} is left out; it stays registered"
            yield Change(Direction.CHANGED, about, sentence, name)
        was, will_be = (sorted(_sensitive(each).get(name, ())) for each in (old, new))
        if more := sorted(set(will_be) - set(was)):
            sentence = f"{called} is declared sensitive: {', '.join(more)}"
            yield Change(Direction.TIGHTER, "sensitive", sentence, was, will_be)
        if less := sorted(set(was) - set(will_be)):
            sentence = f"{called} is no longer declared sensitive ({', '.join(less)}), but stays so"
            yield Change(Direction.CHANGED, "sensitive", sentence, was, will_be)


def _words(about: str, old: Words, new: Words) -> Iterator[Change]:
    """Compare what the same thing is called, language by language."""
    for name in sorted(set(old) & set(new)):
        for language in sorted({*old[name], *new[name]}):
            was, will_be = old[name].get(language), new[name].get(language)
            if was != will_be:
                ends = " → ".join(
                    "no words" if each is None else f"“{each}”" for each in (was, will_be)
                )
                sentence = f"{about} {name} is called otherwise in {language!r}: {ends}"
                yield Change(Direction.CHANGED, "words", sentence, was, will_be)


def _settings(old: Document, new: Document) -> Iterator[Change]:
    """Compare what people are asked: a yes stands only while the text that was shown stands."""
    stands = {
        text_hash(new.text(name, language)) for name in new.settings for language in new.languages
    }
    for name in sorted({*old.settings, *new.settings}):
        if name not in old.settings:
            title = new.settings[name].title
            yield Change(Direction.CHANGED, "setting", f"setting “{title}” is new", None, name)
            continue
        title = old.settings[name].title
        hashes = {each: text_hash(old.text(name, each)) for each in old.languages}
        ended = sorted(each for each, found in hashes.items() if found not in stands)
        if name not in new.settings:
            sentence = f"setting “{title}” is left out"
            yield Change(Direction.CHANGED, "setting", sentence, name)
        if ended:
            sentence = (
                f"the text of setting “{title}” changes ({', '.join(ended)}): every yes to it "
            )
            sentence += "ends, and everybody is asked again"
            yield Change(Direction.CHANGED, "asked again", sentence, name, ended)
