"""The impact of a version is what `decide` says, item by item: now, at once, and in force."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from columnar import pack, record
from letterlock.domain import DAY, END, Item, Notice, Reason, Request, Rulebook, State
from letterlock.ledger import Event, fold, fold_rules
from letterlock.policy.decide import decide, recipient_of
from letterlock.release.impact import Change, Count, impact
from letterlock.release.kernel import Items
from letterlock.release.plan import (
    Columns,
    Intervals,
    Kind,
    Noticed,
    Supposed,
    plans_of,
    read_columns,
)
from letterlock.store.sqlite import SqliteStore
from worlds import CLASSES, START, Maker, World, day, requests


class Rows:
    """Packed items as a source holds them: some rows at a time."""

    def __init__(self, items: Items, kinds: Sequence[Kind]) -> None:
        """Hold `items` in small row groups."""
        self._items, self.kinds, self._size = items, kinds, 17
        self.rows = len(items.created_at)
        self.groups = -(-self.rows // self._size)
        self.epochs = np.quantile(items.created_at, [0.3, 0.6]).astype(np.int64)

    def items(self, group: int) -> Items:
        """Return the items of one row group."""
        first = group * self._size
        return self._items.part(first, min(first + self._size, self.rows))


def with_one_more(maker: Maker, world: World) -> Rulebook:
    """Return the rules as of T with a version more, published then, that is not recorded."""
    recorded = world.events()
    maker.policy((world.as_of - START) / DAY)
    _, draft = world.drafts.pop()
    event = Event(len(recorded), world.as_of, draft.kind, draft.body)
    return fold_rules(recorded, world.as_of, admit=event)


def told_all(state: State, after: Rulebook) -> State:
    """Return the state in which everybody was told of the newest version, and its window ran."""
    version = after.policies[-1]
    runs = max(after.as_of, version.effective_at, version.published_at + version.window)
    notice = Notice(version.version, version.published_at)
    subjects = {
        name: replace(subject, notices=(*subject.notices, notice))
        for name, subject in state.subjects.items()
    }
    return State(replace(after, as_of=runs), subjects)


def counted(request: Request, items: Sequence[Item], now: State, then: State) -> Change:
    """Count the changes by asking `decide` about each item twice."""
    allowed: list[Item] = []
    denied: list[tuple[Item, Reason]] = []
    unchanged: list[Item] = []
    for item in items:
        before, after = decide(request, item, now), decide(request, item, then)
        if before.allowed and after.reason is not None:
            denied.append((item, after.reason))
        elif after.allowed and not before.allowed:
            allowed.append(item)
        else:
            unchanged.append(item)

    def people(some: Sequence[Item]) -> set[str]:
        named = {p.subject or "" for item in some for p in item.parties}
        return {name for name in named if name in now.subjects and now.subjects[name].member}

    gone = [item for item, _ in denied]
    by_reason = {}
    for reason in sorted({reason for _, reason in denied}):
        theirs = [item for item, r in denied if r is reason]
        by_reason[reason] = Count(len(theirs), len(people(theirs)))
    steady = people(unchanged) - people(gone) - people(allowed)
    return Change(
        Count(len(allowed), len(people(allowed))), Count(len(gone), len(people(gone))),
        by_reason, Count(len(unchanged), len(steady)),
    )  # fmt: skip


@pytest.mark.parametrize("seeds", [range(15), pytest.param(range(15, 40), marks=pytest.mark.slow)])
def test_the_impact_is_what_decide_says_of_every_item(tmp_path: Path, seeds: range):
    """In small random worlds: the counts of both states, of items and of people."""
    seen: dict[str, int] = {"allowed": 0, "denied": 0, "at once": 0}
    for seed in seeds:
        rng = random.Random(f"impact {seed}")
        maker = Maker(seed, people=8, items=80)
        world = maker.make()
        state, after = fold(world.events(), world.as_of), with_one_more(maker, world)
        request = rng.choice(requests())
        recipient = recipient_of(request, after)
        with closing(record(world, tmp_path / f"{seed}.sqlite")) as store:
            items, kinds = pack(world.items, store)
            told: list[tuple[str, int, int]] = []
            found = impact(
                read(store, request, world.as_of, after), [Rows(items, kinds), Rows(items, kinds)],
                request.purpose, recipient, before=state.rules, after=after,
                progress=lambda *done, told=told: told.append(done),
            )  # fmt: skip
        twice = [*world.items, *world.items]
        assert found.at_once == counted(request, twice, state, State(after, state.subjects)), seed
        assert found.in_force == counted(request, twice, state, told_all(state, after)), seed
        assert found.before == sum(decide(request, i, state).allowed for i in twice)
        assert told[-1] == ("judging", 160, 160)
        assert {stage for stage, _, _ in told} == {"folding", "judging"}
        seen["allowed"] += found.in_force.allowed.items
        seen["denied"] += found.in_force.denied.items
        seen["at once"] += found.at_once.denied.items
    assert min(seen.values()) >= 10, seen


def read(store: SqliteStore, request: Request, as_of: int, rules: Rulebook) -> Columns:
    """Read the columns of one request."""
    asked = [(request.purpose, recipient_of(request, rules))]
    return read_columns(store, asked, as_of=as_of, upto=store.head().index)


def test_an_impact_is_written_as_json(tmp_path: Path):
    """Its record holds every count, the reasons by name."""
    maker = Maker(4, people=8, items=80)
    world = maker.make()
    after, before = with_one_more(maker, world), fold(world.events(), world.as_of).rules
    request = requests()[0]
    with closing(record(world, tmp_path / "ledger.sqlite")) as store:
        items, kinds = pack(world.items, store)
        found = impact(
            read(store, request, world.as_of, after), [Rows(items, kinds)],
            request.purpose, recipient_of(request, after), before=before, after=after,
        )  # fmt: skip
    written: dict[str, Any] = found.record()
    change = found.at_once
    assert written["version"] == after.policies[-1].version
    assert (written["purpose"], written["recipient"]) == (request.purpose, request.recipient)
    assert written["allowed_now"] == found.before
    assert written["at_once"] == {
        "newly_allowed": {"items": change.allowed.items, "people": change.allowed.people},
        "newly_denied": {
            "items": change.denied.items,
            "people": change.denied.people,
            "by_reason": {
                reason.name.lower(): {"items": count.items, "people": count.people}
                for reason, count in change.by_reason.items()
            },
        },
        "unchanged": {"items": change.unchanged.items, "people": change.unchanged.people},
    }


def test_plans_of_two_times_are_those_of_each(tmp_path: Path):
    """What comes into force between two Ts, or expires, is folded for the later of them only."""
    kinds = [Kind(c, s) for c in (*CLASSES, None) for s in (frozenset(), frozenset({"pay"}))]
    kinds += [kind._replace(undated=True) for kind in kinds]
    differ = 0
    for seed in range(16):
        world = Maker(seed, people=12, items=1).make()
        rules = fold(world.events(), day(60)).rules
        later = replace(rules, as_of=day(90))
        request = requests()[seed % 9]
        one = (request.purpose, recipient_of(request, rules))
        with closing(record(world, tmp_path / f"{seed}.sqlite")) as store:
            columns = read(store, request, day(60), rules)
            together = plans_of(columns, [Supposed(rules), Supposed(later)], *one, kinds)
            alone = [plans_of(columns, [Supposed(r)], *one, kinds)[0] for r in (rules, later)]
        for mine, theirs in zip(together, alone, strict=True):
            assert mine.tables.keys() == theirs.tables.keys()
            for kind, table in mine.tables.items():
                assert rows(table, mine.rules.as_of) == rows(theirs.tables[kind], mine.rules.as_of)
        pairs = ((t, alone[1].tables[kind]) for kind, t in alone[0].tables.items())
        differ += any(rows(before, day(60)) != rows(after, day(60)) for before, after in pairs)
    assert differ >= 3


def rows(table: Intervals, until: int) -> list[tuple[int, int, int]]:
    """Return (subject, start, reason) of every interval that begins by `until`."""
    subject = np.repeat(np.arange(len(table.offsets) - 1), np.diff(table.offsets))
    kept = table.start <= until
    columns = (subject[kept], table.start[kept], table.reason[kept])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_plans_of_one_reading_are_those_of_two(tmp_path: Path):
    """Columns read for every request give each the plan that columns of its own give."""
    maker = Maker(7, people=12, items=1)
    world = maker.make()
    after, rules = with_one_more(maker, world), fold(world.events(), world.as_of).rules
    kinds = [Kind(c, s) for c in (*CLASSES, None) for s in (frozenset(), frozenset({"pay"}), None)]
    supposed = [Supposed(rules), Supposed(after, Noticed("never published", world.as_of))]
    with closing(record(world, tmp_path / "ledger.sqlite")) as store:
        asked = [(r.purpose, recipient_of(r, rules)) for r in requests()]
        together = read_columns(store, asked, as_of=world.as_of, upto=store.head().index)
        for request, one in zip(requests(), asked, strict=True):
            alone = read(store, request, world.as_of, rules)
            pairs = zip(
                plans_of(together, supposed, *one, kinds), plans_of(alone, supposed, *one, kinds),
                strict=True,
            )  # fmt: skip
            for mine, theirs in pairs:
                assert mine.tables.keys() == theirs.tables.keys()
                for kind, table in mine.tables.items():
                    assert rows(table, END) == rows(theirs.tables[kind], END)
        with pytest.raises(ValueError, match="another request"):
            plans_of(alone, supposed, *asked[0], kinds)
        earlier = Supposed(replace(rules, as_of=world.as_of - 1))
        with pytest.raises(ValueError, match="after T"):
            plans_of(together, [earlier], *asked[0], kinds)
