"""The columnar plan and kernel answer as `decide` does: every row, reason and role included."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from columnar import Answer, Columnar, record, verdicts
from letterlock.domain import BEGINNING, DAY, END, Item, Party, Reason, Request, Role, State, Time
from letterlock.errors import UnknownVersion
from letterlock.ledger import PERSONAL, Draft, fold
from letterlock.policy.decide import decide, recipient_of
from letterlock.release import plan as planning
from letterlock.release.kernel import BROKEN, NO_KIND, SUBJECT_MASK, Items
from letterlock.release.plan import Kind, make_plan
from letterlock.store.sqlite import SqliteStore
from worlds import CLASSES, Maker, World, day, requests, spoil

EPOCHS = (1, 3, 16)
Seen = Counter[Reason | None]


@contextmanager
def ledger(world: World) -> Iterator[SqliteStore]:
    """Record a world in a ledger of its own."""
    with TemporaryDirectory() as folder:
        store = record(world, Path(folder) / "ledger.sqlite")
        try:
            yield store
        finally:
            store.close()


def decided(request: Request, items: Sequence[Item], state: State) -> list[Answer]:
    """Ask `decide` about each item."""
    found = [decide(request, item, state) for item in items]
    return [(d.reason, d.role) for d in found]


def broken(rng: random.Random, item: Item, as_of: Time) -> Item:
    """Break an item, or only bend it, in one of many ways."""
    times = [None, END, END - 1, BEGINNING, BEGINNING + 1, BEGINNING - 1, -(2**60), 2**60]
    times += [-1, 0, -300 * 365 * DAY, -90 * 365 * DAY, as_of, as_of + 1, as_of - 1]
    quoted = Party(
        rng.choice(["p0", "p1", None, "stranger"]), Role.QUOTED,
        rng.choice([None, *CLASSES, "message.unheard"]), rng.choice([*times, item.created_at]),
    )  # fmt: skip
    ways: list[Callable[[], Item]] = [
        lambda: replace(item, created_at=rng.choice(times)),
        lambda: replace(item, data_class=rng.choice([None, "message.unheard", "message", ""])),
        lambda: replace(item, parties=()),
        lambda: replace(item, parties=item.parties * rng.randint(1, 4)),
        lambda: replace(item, parties=(*item.parties, Party(None, rng.choice(list(Role))))),
        lambda: replace(item, parties=(*item.parties, Party("stranger", Role.MEMBER))),
        lambda: replace(item, parties=(quoted,)),
        lambda: replace(item, parties=(*item.parties, quoted, quoted)),
        lambda: replace(item, categories=rng.choice([None, frozenset({"unheard"})])),
    ]
    return rng.choice(ways)()


def compare(seed: int, *, people: int, items: int, asked: int) -> Seen:
    """Put one world through both, and count the reasons."""
    rng = random.Random(f"plan {seed}")
    world = Maker(seed, people=people, items=items).make()
    share = rng.choice([0.0, 0.05])
    rows = [broken(rng, i, world.as_of) if rng.random() < share else i for i in world.items]
    seen = Seen()
    with ledger(world) as store:
        if rng.random() < 0.2:
            erase_some(rng, store)
        state = fold(store.every_event(upto=store.head().index), world.as_of)
        if rng.random() < 0.05:
            state = replace(state, rules=spoil(state.rules))
        for request in rng.sample(requests(), asked):
            expected = decided(request, rows, state)
            columns = Columnar(rows, request, store, state.rules)
            for epochs in EPOCHS:
                for row, found, wanted in zip(rows, columns.answers(epochs), expected, strict=True):
                    assert found == wanted, (seed, request, epochs, row)
            seen.update(reason for reason, _ in expected)
    return seen


def erase_some(rng: random.Random, store: SqliteStore) -> None:
    """Erase one or two personal events."""
    head = store.head()
    personal = [e.index for e in store.every_event(upto=head.index) if e.kind in PERSONAL]
    for index in rng.sample(personal, rng.choice([1, 2])):
        store.erase(index, now=head.time)


@settings(max_examples=12)
@given(st.integers(0, 2**32))
def test_the_columnar_plan_agrees_with_decide(seed: int):
    """In any world, for any request and any number of epochs: the same answer for each row."""
    compare(seed, people=6, items=60, asked=2)


@pytest.mark.slow
def test_the_columnar_plan_agrees_on_some_thousand_rows():
    """The same for fixed worlds: 4,800 rows, of which at least 8 % are allowed."""
    seen = sum((compare(seed, people=8, items=160, asked=2) for seed in range(15)), Seen())
    assert seen.total() == 4800
    assert seen[None] >= 0.08 * seen.total()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_the_columnar_plan_agrees_on_300_000_rows(
    part: int, record_property: Callable[[str, object], None]
):
    """The same for 100,800 rows in each of three parts, among them every reason there is."""
    seeds = range(1000 + part, 1084, 3)
    seen = sum((compare(seed, people=20, items=1200, asked=3) for seed in seeds), Seen())
    record_property("rows", seen.total())
    record_property("allowed", seen[None] / seen.total())
    assert seen.total() == 100_800
    assert seen[None] >= 0.07 * seen.total()
    assert set(seen) == {None, *Reason}


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_the_fold_may_take_few_people_at_a_time(monkeypatch: pytest.MonkeyPatch, chunk: int):
    """How many people are folded at once changes no answer, and the progress tells them all."""
    monkeypatch.setattr(planning, "CHUNK", chunk)
    for seed in range(3):
        compare(seed, people=9, items=60, asked=1)
    world = Maker(1, people=9, items=1).make()
    told: list[tuple[int, int]] = []
    with ledger(world) as store:
        rules = fold(world.events(), world.as_of).rules
        upto = store.head().index
        request = requests()[0]
        make_plan(
            store, rules, request.purpose, recipient_of(request, rules), [Kind(CLASSES[0], None)],
            upto=upto, progress=lambda done, total: told.append((done, total)),
        )  # fmt: skip
    total = told[-1][1]
    assert told == [(min(n, total), total) for n in range(chunk, total + chunk, chunk)]


def test_a_clause_that_cannot_be_read_denies_in_both():
    """With one unreadable clause in the newest version, every member is unevaluable in both."""
    for seed in range(4):
        world = Maker(seed).make()
        rules = spoil(fold(world.events(), world.as_of).rules)
        state = State(rules, fold(world.events(), world.as_of).subjects)
        with ledger(world) as store:
            for request in requests()[seed::4]:
                found = verdicts(world, request, store, rules)
                assert found == decided(request, world.items, state)
                assert all(reason is not None for reason, _ in found)


def test_erasing_an_event_denies_in_both():
    """Whoever has an erased event is nobody we know: in the fold, in the plan, and at every T."""
    for seed in range(4):
        world = Maker(seed).make()
        with ledger(world) as store:
            head = store.head()
            found = [e for e in store.every_event(upto=head.index) if e.kind in PERSONAL]
            event = random.Random(seed).choice(found)
            store.erase(event.index, now=head.time)
            for as_of in (world.as_of, day(50)):
                state = fold(store.every_event(upto=store.head().index), as_of)
                assert event.subject not in state.subjects
                for request in requests()[seed::4] if state.rules.policies else ():
                    answers = verdicts(world, request, store, state.rules)
                    assert answers == decided(request, world.items, state)
                    for item, (reason, _) in zip(world.items, answers, strict=True):
                        there = event.subject in {p.subject for p in item.parties}
                        assert reason is not None or not there


def test_every_row_that_is_broken_is_answered_alike():
    """Each way to break a row, many times over: the kernel says what `decide` says."""
    rng = random.Random("broken")
    world = Maker(1, items=300).make()
    state = fold(world.events(), world.as_of)
    rows = [broken(rng, broken(rng, item, world.as_of), world.as_of) for item in world.items]
    with ledger(world) as store:
        for request in requests()[::3]:
            columns = Columnar(rows, request, store, state.rules)
            for epochs in EPOCHS:
                assert columns.answers(epochs) == decided(request, rows, state)


def test_a_subject_number_beyond_the_plan_is_nobody():
    """Whoever was numbered after the plan was made, or is no number at all, is unknown."""
    world = Maker(3, items=80).make()
    rows = [replace(i, parties=(*i.parties, Party("stranger", Role.MEMBER))) for i in world.items]
    state = fold(world.events(), world.as_of)
    with ledger(world) as store:
        columns = Columnar(rows, requests()[0], store, state.rules)
        items, kernel, size = columns.items, columns.kernel(3), columns.plan.size
        strange = (items.parties & SUBJECT_MASK) == store.numbers(["stranger"])[0]
        expected = kernel.verdicts(items).tolist()
        assert 4 * Reason.UNKNOWN_PARTY + Role.MEMBER in expected
        for number in (size, size + 1, 10 * size, SUBJECT_MASK - 1, SUBJECT_MASK):
            beyond = (items.parties & ~np.uint32(SUBJECT_MASK)) | np.uint32(number)
            parties = np.where(strange, beyond, items.parties)
            assert kernel.verdicts(items._replace(parties=parties)).tolist() == expected


def test_a_kind_that_nobody_planned_is_never_judged():
    """A kind number beyond the plan's, or none, is broken; so is a quote's, of its party."""
    world = Maker(3, items=80).make()
    state = fold(world.events(), world.as_of)
    with ledger(world) as store:
        columns = Columnar(world.items, requests()[0], store, state.rules)
        items, kernel = columns.items, columns.kernel(3)
        for number in (len(columns.kinds), len(columns.kinds) + 1, NO_KIND):
            kind = np.full(len(items.kind), number, np.uint16)
            assert set(kernel.verdicts(items._replace(kind=kind)).tolist()) == {BROKEN}
            quote_kind = np.full(len(items.quotes), number, np.uint16)
            codes = kernel.verdicts(items._replace(quote_kind=quote_kind))
            quoting = np.diff(items.quote_offsets) > 0
            assert codes[~quoting].tolist() == kernel.verdicts(items)[~quoting].tolist()
            assert set(codes[quoting].tolist()) <= set(range(4)) | {BROKEN}
            assert quoting.any()


def test_items_may_come_in_batches_of_any_size():
    """A batch is a slice of the index: its offsets need not begin at 0, and it may be empty."""
    world = Maker(5, items=50).make()
    state = fold(world.events(), world.as_of)
    with ledger(world) as store:
        columns = Columnar(world.items, requests()[1], store, state.rules)
        kernel, items = columns.kernel(3), columns.items
        whole = kernel.verdicts(items).tolist()
        for size in (1, 3, 49, 50):
            parts = [cut(items, n, min(n + size, 50)) for n in range(0, 50, size)]
            assert [code for part in parts for code in kernel.verdicts(part).tolist()] == whole
        assert kernel.verdicts(cut(items, 7, 7)).tolist() == []


def test_items_without_quotes_need_no_columns_for_them():
    """A batch whose quote columns are absent is judged like one whose quotes are empty."""
    world = Maker(5, items=50).make()
    rows = [replace(i, parties=tuple(p for p in i.parties if p.role < 3)) for i in world.items]
    state = fold(world.events(), world.as_of)
    with ledger(world) as store:
        columns = Columnar(rows, requests()[1], store, state.rules)
        items, kernel = columns.items, columns.kernel(3)
        plain = Items(items.created_at, items.kind, items.offsets, items.parties)
        assert kernel.verdicts(plain).tolist() == kernel.verdicts(items).tolist()
        with pytest.raises(ValueError, match="quotes come with"):
            kernel.verdicts(plain._replace(quotes=np.zeros(1, np.uint32)))


def cut(items: Items, first: int, last: int) -> Items:
    """Return the items from `first` to `last`, offsets as they are."""
    a, b = items.offsets[[first, last]]
    c, d = items.quote_offsets[[first, last]]
    return Items(
        items.created_at[first:last], items.kind[first:last], items.offsets[first : last + 1],
        items.parties[a:b], items.quote_offsets[first : last + 1], items.quotes[c:d],
        items.quote_kind[c:d], items.quote_at[c:d],
    )  # fmt: skip


def test_an_empty_ledger_plans_nothing_for_anybody():
    """A ledger that knows nobody, or no class, answers every row all the same."""
    world = Maker(2, people=2, items=20).make()
    world.drafts = [(t, d) for t, d in world.drafts if d.kind not in PERSONAL]
    state = fold(world.events(), world.as_of)
    with ledger(world) as store:
        for request in requests()[::4]:
            assert verdicts(world, request, store, state.rules) == decided(
                request, world.items, state
            )


def test_an_amended_contract_still_needs_a_grant():
    """Nothing but a contract's `never` asks for anything: lifted, it asks for a grant, in both."""
    everyone = [
        Draft("recipient.registered", {"recipient": "us", "name": "Us", "class": "controller"}),
        Draft("region.published", {"ages": {"US": 0}, "clauses": []}),
        Draft("contract.published", {"contract": "c", "clauses": [{"id": "n", "level": "never"}]}),
        Draft("policy.published", {
            "version": "v1", "effective_at": day(0), "window": 0, "data_classes": ["post"],
            "clauses": [{"id": "all", "level": "nothing"}], "texts": {"s": {"en": "t"}},
        }),
    ]  # fmt: skip
    facts = [
        {"kind": "jurisdiction", "value": "US"}, {"kind": "birth_year", "value": 1980},
        {"kind": "contract", "value": "c"},
    ]  # fmt: skip
    line = {"purpose": "infer", "data_class": "*", "recipient": "us"}
    signed = {"contract": "c", "lines": [line], "evidence": {"time": 0, "channel": "paper"}}
    granted = {"time": 0, "channel": "web", "text": "t"}
    expected = {"signed": Reason.NO_GRANT, "granted": Reason.CONTRACT, "both": None}
    drafts = list(everyone)
    for name in expected:
        body = {"member": True, "facts": facts, "noticed": ["v1"]}
        drafts.append(Draft("subject.registered", {"subject": name, **body}))
        if name != "granted":
            drafts.append(Draft("contract.amended", {"subject": name, **signed}))
        if name != "signed":
            act = {"act": "grant", "lines": [line], "evidence": granted}
            drafts.append(Draft("choice.made", {"subject": name, **act}))
    items = [Item(n, "post", day(1), (Party(n, Role.AUTHOR),)) for n in expected]
    world = World([(day(0), d) for d in drafts], items, day(2))
    state = fold(world.events(), world.as_of)
    with ledger(world) as store:
        request = Request("infer", "us")
        found = verdicts(world, request, store, state.rules)
        assert found == decided(request, items, state)
        assert [reason for reason, _ in found] == list(expected.values())


@pytest.mark.parametrize("change", ["v = 2", "kind = 'choice.paused'"])
def test_the_plan_refuses_what_it_does_not_know(change: str, tmp_path: Path):
    """A later program's event about a person stops the plan, as it stops the fold."""
    world, path = Maker(2).make(), tmp_path / "ledger.sqlite"
    state = fold(world.events(), world.as_of)
    with closing(record(world, path)) as store:
        personal = next(e.index for e in store.every_event(upto=99) if e.kind == "choice.made")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE event SET {change} WHERE idx = ?", [personal])  # noqa: S608
        with pytest.raises(UnknownVersion):
            fold(store.every_event(upto=99), world.as_of)
        with pytest.raises(UnknownVersion):
            verdicts(world, requests()[0], store, state.rules)
