"""Who in a release may not be in it any more: the columnar answer is that of `decide`."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columnar import pack, record
from letterlock.domain import Item, Reason, Request, State
from letterlock.errors import VerificationError
from letterlock.ledger import PERSONAL, fold, fold_rules
from letterlock.policy.decide import decide, recipient_of
from letterlock.release.affected import affected, released_in
from letterlock.release.plan import make_plan
from letterlock.sources.index import item_keys
from letterlock.store.sqlite import SqliteStore
from oracle import affected as oracle
from workspaces import PURPOSE, RECIPIENT, withdraw, workspace
from worlds import Maker, day, requests


class Rows:
    """A drawn world's items as a registered table of one row group."""

    name, groups = "mail", 1

    def __init__(self, items: Sequence[Item], store: SqliteStore, cuts: int) -> None:
        """Pack the items."""
        self._items, self.kinds = pack(items, store)
        self.rows = len(items)
        times = self._items.created_at
        self.epochs = np.unique(np.quantile(times, np.linspace(0, 1, cuts))).astype(np.int64)

    def items(self, _group: int):
        """Return all items."""
        return self._items

    def keys(self, _group: int):
        """Return the keys of the items: their places."""
        return np.arange(self.rows, dtype=np.uint64)


def compare(seed: int, *, people: int, items: int) -> Counter[Reason]:
    """Judge one world at a time, then some days later (some events erased), in both ways."""
    rng = random.Random(f"affected {seed}")
    world = Maker(seed, people=people, items=items).make()
    seen: Counter[Reason] = Counter()
    with TemporaryDirectory() as folder, closing(record(world, Path(folder) / "l")) as store:
        head, then = store.head().index, day(rng.choice([30, 60, 90]))
        past = fold(store.every_event(upto=head), then)
        asked = [r for r in requests() if past.rules.policies]
        released = {
            n: [decide(request, item, past).allowed for item in world.items]
            for n, request in enumerate(asked)
        }
        if rng.random() < 0.4:
            hers = [e.index for e in store.every_event(upto=head) if e.kind in PERSONAL]
            store.erase(rng.choice(hers), now=store.head().time)
        head = store.head()
        state = fold(store.every_event(upto=head.index), max(head.time, day(200)))
        rows = Rows(world.items, store, rng.choice([1, 3, 9]))
        for n, request in enumerate(asked):
            went = np.array(released[n], np.bool_)
            seen.update(_compared(rows, world.items, went, (request, state), store))
    return seen


def _compared(rows, items, went, asked: tuple[Request, State], store) -> list[Reason]:
    """Compare what both say of one request; returns the reasons."""
    request, state = asked
    plan = make_plan(
        store, state.rules, request.purpose, recipient_of(request, state.rules), rows.kinds,
        upto=store.head().index,
    )  # fmt: skip
    ids = store.subject_ids()
    found = affected(plan, [rows], lambda _s, _g: went, len(ids))
    expected = oracle.affected([i for i, go in zip(items, went, strict=True) if go], request, state)
    said = {ids[n]: Reason(r) for n, r in zip(*map(np.ndarray.tolist, found), strict=True)}
    assert said == expected
    assert found.counts() == Counter(expected.values())
    assert found.subjects.tolist() == sorted(found.subjects.tolist())
    return list(expected.values())


@settings(max_examples=8)
@given(st.integers(0, 2**32))
def test_who_is_affected_is_who_decide_denies(seed: int):
    """In any world: the same people, each for the same reason."""
    compare(seed, people=5, items=30)


@pytest.mark.slow
def test_so_it_is_in_fixed_worlds():
    """The same for fixed worlds, in which several reasons come up; erased people are among them."""
    seen = sum((compare(seed, people=8, items=60) for seed in range(5)), Counter())
    assert {Reason.WITHDRAWN, Reason.UNKNOWN_PARTY} <= set(seen)
    assert len(seen) >= 6


@pytest.mark.slow
def test_so_it_is_in_many_worlds():
    """The same for many worlds."""
    seen = sum((compare(seed, people=10, items=200) for seed in range(100, 180)), Counter())
    assert len(seen) >= 12


def test_what_went_is_what_the_release_does_not_withhold(tmp_path):
    """The rows that went are those whose ids the private table lacks, whatever was said since."""
    with closing(workspace(tmp_path / "w")) as gate:
        built = gate.build(PURPOSE, RECIPIENT)
        withdraw(gate.folder, "ann")
        (source,) = gate.sources()
        went = released_in(built.folder, item_keys)
        masks = [went(source, group) for group in range(source.groups)]
        assert sum(int(mask.sum()) for mask in masks) == built.record["counts"]["released"]
        assert sum(map(len, masks)) == built.record["counts"]["items"]
        rules = fold_rules(gate.store.events(upto=gate.store.head().index), gate.now())
        plan = make_plan(
            gate.store, rules, PURPOSE, rules.recipients[RECIPIENT], source.kinds,
            upto=gate.store.head().index,
        )  # fmt: skip
        ids = gate.store.subject_ids()
        found = affected(plan, [source], went, len(ids))
        assert [ids[n] for n in found.subjects.tolist()] == ["ann"]
        assert found.counts() == {Reason.WITHDRAWN: 1}


def test_without_the_list_of_what_stayed_nobody_can_tell(tmp_path):
    """A lost or spoiled private table is an error, never an empty answer."""
    with pytest.raises(VerificationError, match="who was in the release"):
        released_in(tmp_path, item_keys)
