"""The purge list against a slow loop over items, on random worlds and tables."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from letterlock.domain import (
    ALWAYS,
    ANY,
    BEGINNING,
    END,
    Clause,
    Hold,
    Item,
    Level,
    Party,
    Reason,
    Role,
    Span,
    State,
    Subject,
    covers,
)
from letterlock.errors import LetterlockError
from letterlock.ledger import fold
from letterlock.policy.clauses import covers_place
from letterlock.policy.decide import facts_at, recipient_of
from letterlock.release.build import judge
from letterlock.release.facts import Match
from letterlock.release.kernel import reason_and_role
from letterlock.release.plan import make_plan
from letterlock.release.purge import CLEAR, NOBODY, Reach
from workspaces import SUBJECTS, Drawer, columns, live, reading, renamed, travelling
from worlds import CONTRACTS, PATTERNS, PLACES, Maker, day, requests

FAST, SLOW = range(20), range(20, 100)


# ── the slow twin ─────────────────────────────────────────────────────────────────────────────


def slow(item: Item, clauses: list[Clause], state: State) -> int:
    """Return the code of one item, party by party, as docs/holds.md says it."""
    best = CLEAR
    for party in item.parties:
        match = max((matches(c, item, party, state) for c in clauses), default=Match.NO)
        if match:
            best = min(best, 4 * (Match.YES - match) + party.role)
    if not item.parties:
        nobody = Party(None, Role.AUTHOR)
        if any(matches(c, item, nobody, state) for c in clauses):
            best = NOBODY
    return best


def matches(clause: Clause, item: Item, party: Party, state: State) -> Match:
    """Say whether a clause matches for one party; what is not known may."""
    quoted = party.role is Role.QUOTED
    data_class = party.data_class if quoted else item.data_class
    at = party.created_at if quoted else item.created_at
    subject = state.subjects.get(party.subject or "") or Subject("", member=False)
    now = where(clause, subject, state.rules.as_of)
    if ANY in clause.data_classes:
        of_class = Match.YES
    elif data_class is None:
        of_class = Match.MAYBE
    else:
        of_class = Match(2 * any(covers(p, data_class) for p in clause.data_classes))
    if at is not None:
        period = Match(2 * (at in clause.span))
        return min(of_class, period, max(where(clause, subject, at), now))
    period = Match.YES if clause.span == ALWAYS else Match.MAYBE
    moments = {BEGINNING, clause.span.start}
    for fact in subject.facts:
        moments |= {fact.span.start, fact.span.end, fact.recorded_at}
    inside = [t for t in moments if t in clause.span]
    place = max((places(clause, subject, t) for t in inside), default=Match.NO)
    contract = max((contracts(clause, subject, t) for t in inside), default=Match.NO)
    return min(of_class, period, max(min(place, contract, Match.MAYBE), now))


def where(clause: Clause, subject: Subject, t: int) -> Match:
    """Say whether where somebody is and what they signed at a moment is what the clause means."""
    return min(places(clause, subject, t), contracts(clause, subject, t))


def places(clause: Clause, subject: Subject, t: int) -> Match:
    """Say whether one of the places that count at a moment is one of the clause's."""
    found = facts_at(subject, t).jurisdictions
    if any(covers_place(p, place) for p in clause.jurisdictions for place in found):
        return Match.YES
    return Match.MAYBE if None in found else Match.NO


def contracts(clause: Clause, subject: Subject, t: int) -> Match:
    """Say whether one of the contracts that count at a moment is one of the clause's."""
    found = facts_at(subject, t).contracts
    return Match(2 * any(c in {ANY, one} for c in clause.contracts for one in found))


# ── worlds ────────────────────────────────────────────────────────────────────────────────────


def drawn(rng: random.Random) -> list[Clause]:
    """Draw the clauses of a hold."""
    return [clause(rng, n) for n in range(rng.choice([1, 1, 2]))]


def clause(rng: random.Random, n: int) -> Clause:
    """Draw a clause: of some places, classes and a period, now and then of a contract."""
    start, end = sorted(day(rng.choice(range(-60, 115, 5))) for _ in range(2))
    span = rng.choice([ALWAYS, Span(start, end + 1), Span(start, END)])
    return Clause(
        f"stop{n}", Level.NEVER,
        tuple(rng.sample(PATTERNS, rng.choice([1, 2]))),
        jurisdictions=tuple(rng.choice([(ANY,), ("US",), ("GB",), ("US-CA", "DE"), PLACES[1:]])),
        contracts=rng.choice([(ANY,), (ANY,), (ANY,), (CONTRACTS[0],)]),
        span=span,
    )  # fmt: skip


def compare(seed: int, folder: Path) -> list[int]:
    """Compare list and loop on one world and table; returns the codes."""
    rng, drawer = random.Random(seed), Drawer(seed)
    world = travelling(rng, renamed(Maker(seed, people=SUBJECTS, items=0).make(), drawer))
    gate = live(folder / "w", world)
    table = drawer.draw()
    try:
        mapping = columns(table.mapping)
        gate.add_table("t", table.write(folder / "t"), mapping)
    except LetterlockError:
        gate.close()
        return []
    source = gate.sources()[0]
    head = gate.store.head()
    clauses = drawn(rng)
    reach = Reach(gate.store, clauses, as_of=world.as_of, upto=head.index)
    codes = [
        int(code)
        for group in range(source.groups)
        for code in reach.codes(source.kinds, source.items(group), clauses)
    ]
    state = fold(gate.store.every_event(upto=head.index), world.as_of)
    items = reading(source.table.path, mapping)
    expected = [slow(item, clauses, state) for item in items]
    assert codes == expected, [
        (item, code, wanted)
        for item, code, wanted in zip(items, codes, expected, strict=True)
        if code != wanted
    ][:3]
    rules = replace(state.rules, holds=(Hold("h", tuple(clauses)),))
    request = rng.choice(requests())
    recipient = recipient_of(request, rules)
    plan = make_plan(gate.store, rules, request.purpose, recipient, source.kinds, upto=head.index)
    verdicts = judge(plan, [source], lambda *_: None).codes[0]
    reasons = [reason_and_role(v)[0] for group in verdicts for v in group.tolist()]
    for code, reason in zip(codes, reasons, strict=True):
        assert code > 3 or (reason is not None and reason <= Reason.HOLD)
        assert code < CLEAR or reason is not Reason.HOLD
    gate.close()
    return codes


def compare_all(seeds: range, tmp_path: Path) -> None:
    """Compare many worlds; what matches, may match and does not are all there."""
    seen: list[int] = []
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        seen += compare(seed, folder)
    bands = ((0, 4), (4, CLEAR), (CLEAR, CLEAR + 1))
    share = [sum(low <= code < high for code in seen) / len(seen) for low, high in bands]
    assert min(share) > 0.05, share
    assert {0, 1, CLEAR} <= set(seen)


def test_the_list_agrees_with_a_loop_over_items(tmp_path):
    """On random worlds, tables and holds, every item has the code that the slow loop gives it.

    And whatever is listed does not go while the hold stands; whatever stays for it is listed.
    """
    compare_all(FAST, tmp_path)


@pytest.mark.slow
def test_so_it_does_on_many_worlds(tmp_path):
    """The same on many more."""
    compare_all(SLOW, tmp_path)
