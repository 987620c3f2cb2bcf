"""What a new document changes: every cell is in one sentence, and every sentence is true."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock.domain import (
    ALWAYS,
    BEGINNING,
    DAY,
    END,
    PURPOSES,
    Act,
    Clause,
    Context,
    Fact,
    FactKind,
    Item,
    Level,
    Line,
    Notice,
    Party,
    PolicyVersion,
    Recipient,
    RecipientClass,
    RegionTable,
    Request,
    Role,
    Rulebook,
    Span,
    State,
    Subject,
    Terms,
    is_training,
    time_of,
)
from letterlock.errors import UsageError
from letterlock.policy.clauses import matching, strictest
from letterlock.policy.decide import decide
from letterlock.policy.diff import Direction, compare
from letterlock.policy.document import read

DOCUMENTS = Path(__file__).parent / "documents"
START = time_of("2024-01-01")

NORTHMAIL = (DOCUMENTS / "northmail.toml").read_text()


def parse(text):
    """Read a document from the text of its policy.toml."""
    return read(text.encode(), "policy.toml")


NEUTRAL = parse((DOCUMENTS / "small.toml").read_text())


def given_later(document, **attributes):
    """Give a document attributes that its class may not have a parameter for."""
    document = replace(document)
    for name, value in attributes.items():
        object.__setattr__(document, name, value)
    return document


# ── random documents ────────────────────────────────────────────────────────────────────────

CLASSES = ("message.direct.chat", "message.direct.inmail", "message.group", "post.public")
PATTERNS = ("*", "message.*", "message.direct.*", "message.group", "post.public")
ENTITIES = {
    "own": RecipientClass.CONTROLLER,
    "sister": RecipientClass.AFFILIATE,
    "maker": RecipientClass.THIRD_PARTY,
}
PLACES = ("US", "US-CA", "DE", "IS", "GB")
CONTRACTS = ("free", "premium")
CATEGORIES = ("health", "pay")
KEYS = {
    "data_classes": PATTERNS,
    "purposes": ("*", "train.*", "train.ranking", "infer"),
    "recipients": ("*", "own", "maker", "affiliate", "third_party"),
    "jurisdictions": ("*", *PLACES),
    "contracts": ("*", *CONTRACTS),
}


def draw_clauses(rng, most):
    """Draw clauses, mostly narrow, some dated."""
    found = []
    for n in range(rng.randint(0, most)):
        keys = {
            key: tuple(rng.sample(values, rng.choice([1, 1, 2])))
            for key, values in KEYS.items()
            if rng.random() < 0.4
        }
        days = sorted(START + d * DAY for d in rng.sample(range(10, 40, 10), 2))
        start, end = (t if rng.random() < 0.6 else None for t in days)
        span = Span(BEGINNING if start is None else start, END if end is None else end)
        keys |= {"span": span} if rng.random() < 0.3 else {}
        found.append(Clause(f"c{n}", rng.choice(list(Level)), **keys))
    return tuple(found)


def some(rng, values):
    """Draw some of `values`, mostly all."""
    return [v for v in values if rng.random() < 0.85]


def draw_document(rng, like=None):
    """Draw a document; one that is drawn `like` another shares most with it."""

    def of(name, drawn):
        return getattr(like, name) if like is not None and rng.random() < 0.6 else drawn

    document = replace(
        NEUTRAL,
        version="drawn",
        clauses=of("clauses", (Clause("all", rng.choice(list(Level))), *draw_clauses(rng, 4))),
        region_clauses=of("region_clauses", draw_clauses(rng, 2)),
        ages=of("ages", dict.fromkeys(some(rng, PLACES), 0)),
        contracts=of("contracts", {c: draw_clauses(rng, 2) for c in some(rng, CONTRACTS)}),
        recipients={r: Recipient(r, r.title(), ENTITIES[r]) for r in some(rng, ENTITIES)},
        data_classes={c: {"en": f"words of {c}"} for c in some(rng, CLASSES)},
        purposes={},
        settings={},
    )
    sensitive = {c: rng.sample(CATEGORIES, 1) for c in document.data_classes if rng.random() < 0.15}
    return given_later(document, sensitive=sensitive)


def pairs():
    """Draw pairs of documents, mostly alike."""

    def pair(seed):
        rng = random.Random(seed)
        old = draw_document(rng)
        return old, draw_document(rng, like=old)

    return st.integers(0, 2**32).map(pair)


# ── one real person, asked by the decision itself ───────────────────────────────────────────

TEXT = "a" * 64


def version_of(document, index):
    """Publish a document as a version, effective at once."""
    at = START + index
    texts = {("s", "en"): TEXT}
    classes = tuple(document.data_classes)
    return PolicyVersion(f"v{index}", index, at, at, 0, document.clauses, classes, {}, texts)


def rulebook(documents):
    """Return what stands after `documents` were published one after the other."""
    recipients, classes, contracts, regions = {}, {}, {}, []
    for n, document in enumerate(documents):
        recipients |= document.recipients
        for name in document.data_classes:
            classes.setdefault(name, n)
        for name, clauses in document.contracts.items():
            contracts[name] = (*contracts.get(name, ()), Terms(name, START + n, clauses))
        regions.append(RegionTable(START + n, document.ages, document.region_clauses))
    versions = tuple(version_of(document, n) for n, document in enumerate(documents))
    later = START + 10_000 * DAY
    return Rulebook(later, recipients, versions, classes, contracts, tuple(regions), ())


def person(cell, kind):
    """Return somebody for whom every version is in force, who said nothing, yes, or all."""
    facts = [
        Fact(FactKind.JURISDICTION, cell.place, ALWAYS, START + 2, (2, 0)),
        Fact(FactKind.BIRTH_YEAR, 1950, ALWAYS, START + 2, (2, 1)),
    ]
    if cell.contract is not None:
        facts.append(Fact(FactKind.CONTRACT, cell.contract, ALWAYS, START + 2, (2, 2)))
    notices = tuple(Notice(f"v{n}", START + 2, at_registration=True) for n in range(2))
    scope = (cell.purpose, cell.data_class, cell.recipient, ALWAYS, START + 3, 3)
    explicit = {"explicit": True, "categories": frozenset(CATEGORIES)} if kind == "all" else {}
    lines = () if kind == "nothing" else (Line(Act.GRANT, *scope, text=TEXT, **explicit),)
    return Subject("p", member=True, facts=tuple(facts), notices=notices, lines=lines)


def asked(cell, kind, rules, categories):
    """Ask the decision about one item of a cell."""
    at = max(cell.period.start, START + 5)
    item = Item("i", cell.data_class, at, (Party("p", Role.AUTHOR),), categories)
    state = State(rules, {"p": person(cell, kind)})
    return decide(Request(cell.purpose, cell.recipient), item, state)


def level_by_decision(cell, rules, categories):
    """Find the level a cell needs by what the decision answers to three persons."""
    if cell.recipient not in rules.recipients:
        with pytest.raises(UsageError):
            asked(cell, "all", rules, categories)
        return Level.NEVER
    answers = {kind: asked(cell, kind, rules, categories) for kind in ("nothing", "yes", "all")}
    asks = [r.level for answer in answers["all"].answers for r in answer.requirements]
    needed = max(asks, default=Level.NEVER)
    by_outcome = {
        (True, True, True): {Level.NOTHING, Level.NOTICE},
        (False, True, True): {Level.GRANT},
        (False, False, True): {Level.EXPLICIT_GRANT},
        (False, False, False): {Level.NEVER},
    }[tuple(answers[kind].allowed for kind in answers)]
    assert needed in by_outcome
    return needed


def level_by_clauses(cell, documents, categories):
    """Find the level a cell needs from the clauses, one after the other."""
    rules = rulebook(documents)
    known = cell.data_class in rules.data_classes and cell.place in documents[-1].ages
    if not known or cell.recipient not in rules.recipients:
        return Level.NEVER
    if cell.contract is not None and cell.contract not in rules.contracts:
        return Level.NEVER
    at = max(cell.period.start, START + 5)
    recipient = rules.recipients[cell.recipient]
    context = Context(cell.data_class, cell.purpose, recipient, cell.place, cell.contract, at)
    policy = strictest(matching(documents[-1].clauses, context))
    others = list(documents[-1].region_clauses)
    if cell.contract is not None:
        others += rules.contracts[cell.contract][-1].clauses
    return max(
        Level.NEVER if policy is None else policy,
        strictest(matching(others, context)) or Level.NOTHING,
        Level.GRANT if is_training(cell.purpose) else Level.NOTHING,
        Level.EXPLICIT_GRANT if categories else Level.NOTHING,
    )


def sensitive_of(documents, data_class):
    """Return every category that any of `documents` declares of a class."""
    return frozenset(c for d in documents for c in d.sensitive.get(data_class, ()))


def expand(found):
    """Expand every sentence to its cells, with the levels it states."""
    cells = {}
    for change in found.rules:
        for cell in change.scope.cells():
            assert cell not in cells
            cells[cell] = (Level[change.before.upper()], Level[change.after.upper()])
    return cells


def check_cells(old, new, cells, chosen, by):
    """Compare what the sentences say of the `chosen` cells with what `by` finds."""
    for cell in chosen:
        sides = ([old], [old, new])
        found = tuple(by(cell, side, sensitive_of(side, cell.data_class)) for side in sides)
        assert found == cells[cell], cell


@settings(max_examples=60)
@given(pairs(), st.integers(0, 2**32))
def test_every_sentence_is_what_the_decision_answers(pair, seed):
    """For cells drawn from all, the decision asks the stated level of a real person."""
    old, new = pair
    cells = expand(compare(old, new))
    chosen = random.Random(seed).sample(sorted(cells, key=str), min(40, len(cells)))
    books = {1: rulebook([old]), 2: rulebook([old, new])}

    def by(cell, side, categories):
        return level_by_decision(cell, books[len(side)], categories)

    check_cells(old, new, cells, chosen, by)


@settings(max_examples=15)
@given(pairs())
def test_every_cell_is_in_one_sentence_and_has_the_levels_it_states(pair):
    """The sentences cover every combination once, and agree with the clauses on all of them."""
    old, new = pair
    found = compare(old, new)
    cells = expand(found)
    axes = [{cell[n] for cell in cells} for n in range(6)]
    if cells:
        assert axes[0] == {*old.data_classes, *new.data_classes}
        assert axes[1] == set(PURPOSES)
        assert axes[2] == {*old.recipients, *new.recipients}
        assert axes[3] == {*old.ages, *new.ages}
        assert axes[4] == {None, *old.contracts, *new.contracts}
        assert sorted(p.start for p in axes[5])[1:] == sorted(p.end for p in axes[5])[:-1]
    size = 1
    for axis in axes:
        size *= len(axis)
    assert len(cells) == size == sum(found.cells.values())
    check_cells(old, new, cells, cells, level_by_clauses)
    ways = Counter(
        Direction.UNCHANGED if a == b else Direction.TIGHTER if b > a else Direction.LOOSER
        for a, b in cells.values()
    )
    assert {way: count for way, count in found.cells.items() if count} == ways


def test_the_pairs_show_something():
    """Among the drawn pairs all directions and all levels are seen, and few sentences say it."""
    seen, sentences, cells = Counter(), 0, 0
    for seed in range(40):
        rng = random.Random(seed)
        old = draw_document(rng)
        found = compare(old, draw_document(rng, like=old))
        seen += Counter({(r.before, r.after): 1 for r in found.rules})
        sentences += len(found.rules)
        cells += sum(found.cells.values())
    assert len(seen) >= 15
    assert sentences * 20 < cells


@settings(max_examples=30)
@given(pairs())
def test_the_order_of_writing_does_not_count(pair):
    """Clauses, places and classes in another order give the same lines."""
    old, new = pair

    def turned(document):
        keys = ("ages", "contracts", "recipients", "data_classes")
        mirrored = {k: dict(reversed(getattr(document, k).items())) for k in keys}
        found = replace(document, clauses=document.clauses[::-1], **mirrored)
        return given_later(found, sensitive=document.sensitive)

    assert compare(turned(old), turned(new)) == compare(old, new)


def unchanged(same, total):
    """Return the line that counts what stays."""
    return (
        f"unchanged: {same:,} of {total:,} combinations of data class, purpose, recipient, "
        "place, contract and period"
    )


@settings(max_examples=30)
@given(pairs())
def test_a_document_does_not_differ_from_itself(pair):
    """Compared with itself, everything is unchanged, and the lines say nothing else."""
    one, _ = pair
    found = compare(one, one)
    assert not found.others
    assert {r.direction for r in found.rules} <= {Direction.UNCHANGED}
    total = sum(found.cells.values())
    assert found.lines() == ["drawn → drawn", unchanged(total, total)]


def test_a_large_pair_takes_less_than_two_seconds():
    """60 places, 10 classes, 6 purposes, 6 recipients, 4 contracts, dated clauses: under 2 s."""
    rng = random.Random(3)
    places = [f"{a}{b}" for a in "ABCDEF" for b in "GHIJKLMNOP"]
    classes = [f"c{n}" for n in range(10)]
    entities = {f"r{n}": list(RecipientClass)[n % 3] for n in range(6)}
    contracts = [f"k{n}" for n in range(4)]
    keys = {
        "data_classes": classes,
        "purposes": PURPOSES,
        "recipients": [*entities, *RecipientClass],
        "jurisdictions": places,
        "contracts": contracts,
    }

    def clauses(count, only=tuple(keys)):
        return tuple(
            Clause(
                f"c{n}",
                rng.choice(list(Level)),
                **{
                    k: tuple(rng.sample(list(keys[k]), rng.randint(1, len(keys[k]))))
                    for k in only
                    if rng.random() < 0.5
                },
                span=Span(START, START + rng.randint(1, 3) * DAY) if n % 5 == 0 else ALWAYS,
            )
            for n in range(count)
        )

    def document():
        return replace(
            NEUTRAL,
            clauses=(Clause("all", Level.GRANT), *clauses(10)),
            region_clauses=clauses(6),
            ages=dict.fromkeys(places, 0),
            contracts={c: clauses(2, ("data_classes", "purposes")) for c in contracts},
            recipients={n: Recipient(n, n, k) for n, k in entities.items()},
            data_classes={c: {"en": c} for c in classes},
            settings={},
        )

    old, new = document(), document()
    start = time.process_time()
    found = compare(old, new)
    found.lines()
    assert time.process_time() - start < 2
    assert sum(found.cells.values()) >= 60 * 10 * 6 * 6 * 5
    assert found.cells[Direction.LOOSER]
    assert found.cells[Direction.TIGHTER]


# ── in words ────────────────────────────────────────────────────────────────────────────────


def lines(*changes, old=NORTHMAIL):
    """Return what is said when the example changes by replacing one text by another."""
    new = old
    for was, will_be in changes:
        assert was in new
        new = new.replace(was, will_be)
    return [
        line for line in compare(parse(old), parse(new)).lines()[1:] if not line.startswith("What")
    ]
