"""What a new document changes: every cell is in one sentence, and every sentence is true."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

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
    Setting,
    Span,
    State,
    Subject,
    Terms,
    is_training,
    time_of,
)
from letterlock.errors import PolicyError, UsageError
from letterlock.policy import diff
from letterlock.policy.clauses import matching, strictest
from letterlock.policy.decide import decide
from letterlock.policy.diff import Direction, compare
from letterlock.policy.document import read

START = time_of("2024-01-01")

NORTHMAIL = """\
version = "2024-09"
lead_days = 30
window_days = 30

[recipients.northmail]
name = "Northmail Inc."
class = "controller"

[recipients.northmail-labs]
name = "Northmail Labs Ltd."
class = "affiliate"

[recipients.tern]
name = "Tern Models GmbH"
class = "third_party"

[data_classes."message.direct.inmail"]
de = "InMail-Nachrichten, die Sie senden oder erhalten"
en = "InMail messages that you send or receive"

[data_classes."message.group"]
de = "Nachrichten in Gruppen, in denen Sie Mitglied sind"
en = "messages in groups that you are a member of"

[data_classes."post.public"]
de = "Ihre öffentlichen Beiträge"
en = "your public posts"

[purposes."train.generative"]
de = "Modelle trainieren, die Texte erzeugen"
en = "train models that generate text"

[purposes."train.ranking"]
de = "Modelle trainieren, die Inhalte ordnen"
en = "train models that rank content"

[purposes."improve.product"]
de = "diesen Dienst verbessern"
en = "improve this service"

[[clauses]]
id = "training-needs-a-yes"
level = "grant"
purposes = ["train.*"]

[[clauses]]
id = "improvement-needs-a-notice"
level = "notice"
purposes = ["improve.product"]
recipients = ["controller", "northmail-labs"]

[[clauses]]
id = "no-messages-of-2023-elsewhere"
level = "never"
data_classes = ["message.*"]
recipients = ["third_party"]
from = 2023-01-01
to = 2024-01-01T00:00:00Z

[settings.genai]
title = "Data for Generative AI Improvement"
purposes = ["train.generative"]
data_classes = ["message.*", "post.public"]
recipients = ["northmail", "northmail-labs"]

[settings.ranking]
title = "Data for Ranking"
purposes = ["train.ranking"]
data_classes = ["post.public"]
recipients = ["northmail", "tern"]

[regions]
jurisdictions = { US = 0, "US-CA" = 0, "US-AL" = 19, DE = 0, GB = 0 }

[[regions.clauses]]
id = "excluded"
level = "never"
jurisdictions = ["DE", "GB"]
purposes = ["train.*"]

[contracts.free]

[contracts.premium]

[[contracts.premium.clauses]]
id = "confidential"
level = "never"
data_classes = ["message.*"]
recipients = ["third_party"]
"""


def parse(text):
    """Read a document from the text of its policy.toml."""
    return read({"policy.toml": text.encode()}, "policy")


NEUTRAL = parse(NORTHMAIL)


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


def draw_everything(rng):
    """Draw a clause that leaves nothing silent, mostly."""
    return (Clause("all", rng.choice(list(Level))),) if rng.random() < 0.7 else ()


def some(rng, values):
    """Draw some of `values`, mostly all."""
    return [v for v in values if rng.random() < 0.8]


def draw_document(rng, like=None):
    """Draw a document; one that is drawn `like` another shares most with it."""

    def of(name, drawn):
        return getattr(like, name) if like is not None and rng.random() < 0.6 else drawn

    document = replace(
        NEUTRAL,
        version="drawn",
        clauses=of("clauses", (*draw_everything(rng), *draw_clauses(rng, 4))),
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


def version_of(document, index, gap):
    """Publish a document as a version, effective at once."""
    at = START + index * gap
    texts = {("s", "en"): TEXT}
    classes = tuple(document.data_classes)
    return PolicyVersion(f"v{index}", index, at, at, 0, document.clauses, classes, {}, texts)


def rulebook(documents, gap=1):
    """Return what stands after `documents` were published one after the other, `gap` apart."""
    recipients, classes, contracts, regions = {}, {}, {}, []
    for n, document in enumerate(documents):
        recipients |= document.recipients
        for name in document.data_classes:
            classes.setdefault(name, n)
        for name, clauses in document.contracts.items():
            contracts[name] = (*contracts.get(name, ()), Terms(name, START + n * gap, clauses))
        regions.append(RegionTable(START + n * gap, document.ages, document.region_clauses))
    versions = tuple(version_of(document, n, gap) for n, document in enumerate(documents))
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


def level_by_clauses(cell, rules, categories):
    """Find the level a cell needs from the clauses, one after the other."""
    known = cell.data_class in rules.data_classes and cell.place in rules.regions[-1].ages
    if not known or cell.recipient not in rules.recipients:
        return Level.NEVER
    if cell.contract is not None and cell.contract not in rules.contracts:
        return Level.NEVER
    at = max(cell.period.start, START + 5)
    recipient = rules.recipients[cell.recipient]
    context = Context(cell.data_class, cell.purpose, recipient, cell.place, cell.contract, at)
    policy = strictest(matching(rules.policies[-1].clauses, context))
    others = list(rules.regions[-1].clauses)
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
    sides = [(side, rulebook(side)) for side in ([old], [old, new])]
    for cell in chosen:
        found = [by(cell, book, sensitive_of(side, cell.data_class)) for side, book in sides]
        assert tuple(found) == cells[cell], cell


@settings(max_examples=50)
@given(pairs(), st.integers(0, 2**32))
def test_every_sentence_is_what_the_decision_answers(pair, seed):
    """For cells drawn from all, the decision asks the stated level of a real person."""
    old, new = pair
    cells = expand(compare(old, new))
    chosen = random.Random(seed).sample(sorted(cells, key=str), min(40, len(cells)))
    check_cells(old, new, cells, chosen, level_by_decision)


@settings(max_examples=40)
@given(pairs(), st.integers(0, 2**32))
def test_what_was_made_before_stays_under_the_old_rules_too(pair, seed):
    """As the last line says: tighter at once, looser not for what was made before publication."""
    old, new = pair
    cells = expand(compare(old, new))
    known = [c for c in cells if c.recipient in old.recipients and c.data_class in old.data_classes]
    chosen = random.Random(seed).sample(sorted(known, key=str), min(30, len(known)))
    rules = rulebook([old, new], gap=100 * DAY)
    for cell in chosen:
        before, after = cells[cell]
        somebody = person(cell, "all")
        categories = sensitive_of([old, new], cell.data_class)
        at = max(cell.period.start, START + 5)
        item = Item("i", cell.data_class, at, (Party("p", Role.AUTHOR),), categories)

        def needed(*notices, item=item, cell=cell, somebody=somebody):
            state = State(rules, {"p": replace(somebody, notices=notices)})
            answer = decide(Request(cell.purpose, cell.recipient), item, state).answers[0]
            return max(r.level for r in answer.requirements)

        first = Notice("v0", START + 2, at_registration=True)
        assert needed(first) >= max(before, after)
        silent = level_by_clauses(cell, rulebook([old]), frozenset()) is Level.NEVER
        least = Level.NOTHING if silent else before
        assert needed(first, Notice("v1", START + 100 * DAY)) >= max(least, after)


@settings(max_examples=30)
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
        line for line in compare(parse(old), parse(new)).lines()[1:] if not line.startswith("From")
    ]


TRAINING = "“train models that generate text”, “train models that rank content” and train.safety"
ASKED_AGAIN = "every yes to it ends, and everybody is asked again"


def test_one_clause_is_said_in_the_words_of_the_document():
    """A clause that ends later is one sentence: classes, purposes, whom, where, contract, when."""
    assert lines(("to = 2024-01-01T00:00:00Z", "to = 2025-01-01")) == [
        (
            f"tighter: every data class but “your public posts” for {TRAINING} "
            "to Tern Models GmbH, in 3 places (US, US-AL, US-CA), with contract free, or none, "
            "made from 2024-01-01 and before 2025-01-01: a yes → never"
        ),
        unchanged(3204, 3240),
    ]


def test_periods_that_do_not_meet_are_both_said():
    """What is not spoken of is not narrowed; a whole axis has a word of its own."""
    assert lines(('level = "grant"', 'level = "explicit_grant"'))[:3] == [
        (
            f"tighter: every data class but “your public posts” for {TRAINING} "
            "to Tern Models GmbH, in 3 places (US, US-AL, US-CA), with contract free, or none, "
            "made before 2023-01-01 or from 2024-01-01 on: a yes → an explicit yes"
        ),
        (
            f"tighter: every data class for {TRAINING} to every recipient but Tern Models GmbH, "
            "in 3 places (US, US-AL, US-CA): a yes → an explicit yes"
        ),
        (
            f"tighter: “your public posts” for {TRAINING} to Tern Models GmbH, "
            "in 3 places (US, US-AL, US-CA): a yes → an explicit yes"
        ),
    ]


def test_a_place_that_is_exchanged_for_another():
    """One place opens up and one is closed: both as rules and as what they are."""
    assert lines(("DE = 0, ", "FR = 0, "), ('["DE", "GB"]', '["FR", "GB"]')) == [
        (
            "looser: every data class for “improve this service” to every recipient but "
            "Tern Models GmbH, in FR: never → a notice"
        ),
        (
            "tighter: every data class for “improve this service” to every recipient but "
            "Tern Models GmbH, in DE: a notice → never"
        ),
        "changed: new in the regional table: FR",
        "changed: not in the regional table any more, so that nothing may go: DE",
        unchanged(2808, 2916),
    ]


def test_a_contract_that_is_left_out_keeps_its_terms_and_a_new_one_opens_up():
    """Leaving a contract out changes no rule; without terms everything was refused under one."""
    gone, new = ("[contracts.free]\n", ""), ("[contracts.free]\n", "[contracts.basic]\n")
    left_out = "changed: contract free is left out; the terms it has go on"
    assert lines(gone) == [left_out, unchanged(2430, 2430)]
    found = lines(new)
    assert found[-3:] == ["changed: contract basic is new", left_out, unchanged(2925, 3240)]
    assert all(", with contract basic" in line for line in found[:-3])
    assert all(line.startswith("looser: ") for line in found[:-3])


def test_less_time_for_people_is_looser():
    """Lead time and window are given to people; an age of adulthood protects."""
    shorter = (("lead_days = 30", "lead_days = 14"), ("window_days = 30", "window_days = 60"))
    assert lines(*shorter)[:2] == [
        "looser: lead time: 30 days → 14 days",
        "tighter: objection window: 30 days → 60 days",
    ]
    older = ('"US-AL" = 19, DE = 0, GB = 0', '"US-AL" = 0, DE = 21, GB = 21')
    assert lines(older)[:2] == [
        "looser: age of adulthood in US-AL: 19 → 18",
        "tighter: age of adulthood in DE and GB: 18 → 21",
    ]


def test_other_words_ask_everybody_again():
    """A text that changes in one language ends the yes of those who were shown it."""
    assert lines(('en = "your public posts"', 'en = "your posts"'))[:3] == [
        (
            "changed: data class post.public is called otherwise in 'en': "
            "“your public posts” → “your posts”"
        ),
        (
            "changed: the text of setting “Data for Generative AI Improvement” changes (en): "
            + ASKED_AGAIN
        ),
        f"changed: the text of setting “Data for Ranking” changes (en): {ASKED_AGAIN}",
    ]
    assert lines(("Data for Ranking", "Ranking"))[:1] == [
        f"changed: the text of setting “Data for Ranking” changes (de, en): {ASKED_AGAIN}"
    ]


def test_a_setting_that_keeps_its_text_asks_nobody_again():
    """Under another id the same text stands; without it, every yes ends."""
    assert lines(("[settings.ranking]", "[settings.order]")) == [
        "changed: setting “Data for Ranking” is new",
        "changed: setting “Data for Ranking” is left out",
        unchanged(2430, 2430),
    ]
    start = NORTHMAIL.index("[settings.ranking]")
    setting = NORTHMAIL[start : NORTHMAIL.index("[regions]")]
    assert lines((setting, ""))[:2] == [
        "changed: setting “Data for Ranking” is left out",
        f"changed: the text of setting “Data for Ranking” changes (de, en): {ASKED_AGAIN}",
    ]


def test_recipients_come_but_neither_go_nor_change():
    """A new one opens up; one that is left out stays registered; another name is refused."""
    tern = '[recipients.tern]\nname = "Tern Models GmbH"'
    came = (
        (tern, '[recipients.plover]\nname = "Plover AG"'),
        ('["northmail", "tern"]', '["northmail", "plover"]'),
    )
    found = lines(*came)
    assert all(" to Plover AG, " in line for line in found if line.startswith("looser"))
    assert not [line for line in found if line.startswith("tighter")]
    assert found[2:4] == [
        (
            "changed: recipient Plover AG (third_party) is new; clauses for its class speak of it "
            "from publication on"
        ),
        (
            "changed: recipient Tern Models GmbH (third_party) is left out; it stays registered, "
            "and clauses for its class go on speaking of it"
        ),
    ]
    assert lines((tern, tern.replace("GmbH", "AG")))[0] == (
        "changed: recipient tern: Tern Models GmbH (third_party) → Tern Models AG (third_party); "
        "a registered one cannot change: publishing is refused until it has an id of its own"
    )


def test_classes_come_and_stay():
    """A class that is left out stays registered; words come from the document that has them."""
    found = lines(
        ('[data_classes."message.group"]', '[data_classes."message.circle"]'),
        ("messages in groups that you are a member of", "messages in your circles"),
    )
    assert [line for line in found if line.startswith("changed: data class")] == [
        "changed: data class “messages in your circles” is new",
        (
            "changed: data class “messages in groups that you are a member of” is left out; "
            "it stays registered"
        ),
    ]


def test_what_is_declared_sensitive_stays_so():
    """A class declared sensitive needs an explicit yes; taking it back changes no rule."""
    plain = parse(NORTHMAIL)
    declared = given_later(plain, sensitive={"post.public": ["pay", "health"]})
    found = compare(plain, declared)
    assert {(r.direction, r.before, r.after) for r in found.rules} >= {
        (Direction.TIGHTER, "grant", "explicit_grant"),
        (Direction.TIGHTER, "notice", "explicit_grant"),
    }
    sentence = "tighter: data class “your public posts” is declared sensitive: health, pay"
    assert sentence in found.lines()
    back = compare(declared, given_later(plain, sensitive={"post.public": ["pay"]}))
    assert back.cells[Direction.UNCHANGED] == sum(back.cells.values())
    assert back.lines()[1] == (
        "changed: data class “your public posts” is no longer declared sensitive (health), "
        "but stays so"
    )


def test_a_withdrawal_that_reaches_less_is_looser():
    """What an opt-out reaches, and how soon; a document without the table reaches nothing."""
    plain = given_later(parse(NORTHMAIL), withdrawal=None)

    def reaching(days, *reaches):
        return given_later(plain, withdrawal=SimpleNamespace(reaches=reaches, days=days))

    def said(old, new):
        return [(c.direction, c.sentence) for c in compare(old, new).others]

    assert said(plain, reaching(30, "models", "releases")) == [
        (Direction.TIGHTER, "a withdrawal now reaches models"),
        (Direction.TIGHTER, "a withdrawal now reaches releases"),
    ]
    assert said(reaching(30, "models", "releases"), reaching(60, "releases", "logs")) == [
        (Direction.TIGHTER, "a withdrawal now reaches logs"),
        (Direction.LOOSER, "a withdrawal no longer reaches models"),
        (Direction.LOOSER, "a withdrawal is carried out within 30 days → 60 days"),
    ]
    assert said(reaching(60, "models"), reaching(7, "models")) == [
        (Direction.TIGHTER, "a withdrawal is carried out within 60 days → 7 days"),
    ]


# ── how lists are worded ────────────────────────────────────────────────────────────────────

EU = (
    *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
    *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
)


def simple(clauses=(), *, places=("US",), contracts=(), recipients=("own",), classes=("a",)):
    """Return a small document."""
    return replace(
        NEUTRAL,
        clauses=(Clause("all", Level.GRANT), *clauses),
        region_clauses=(),
        ages=dict.fromkeys(places, 0),
        contracts=dict.fromkeys(contracts, ()),
        recipients={r: Recipient(r, r.title(), RecipientClass.CONTROLLER) for r in recipients},
        data_classes={c: {"de": f"Worte von {c}"} for c in classes},
        purposes={},
        settings={},
    )


def worded(
    *, level=Level.NEVER, places=("US",), contracts=(), classes=("a",), under=("*",), **narrow
):
    """Return what is said when one clause is added, without its levels and its beginning."""
    keys = {"places": places, "contracts": contracts, "classes": classes}
    clause = Clause("new", level, contracts=under, **narrow)
    found = compare(simple(**keys), simple([clause], **keys)).lines()
    (line,) = [line for line in found if line.startswith("tighter: ")]
    return line.removeprefix("tighter: ").removesuffix(": a yes → never")


@pytest.mark.parametrize(
    ("places", "covered", "words"),
    [
        (["US", "DE"], ["US", "DE"], ""),
        (["US", "DE"], ["DE"], ", in DE"),
        (["US", "DE", "FR"], ["DE", "FR"], ", in 2 places (DE, FR)"),
        ([*EU, "US"], EU, ", in every place but US"),
        ([*EU, "US", "CH", "GB", "CA", "IN"], EU, ", in 27 places (EU)"),
        (
            [*EU, "IS", "LI", "NO", "US", "CH", "GB", "CA", "IN"],
            [*EU, "IS", "LI", "NO", "CH"],
            ", in every place but CA, GB, IN and US",
        ),
        (
            [*EU, "IS", "LI", "NO", "US", "CH", "GB", "CA", "IN", "BR"],
            [*EU, "IS", "LI", "NO", "CH"],
            ", in 31 places (EEA, CH)",
        ),
        ([*EU, "IS", "US", "CA", "IN", "BR", "JP"], [*EU, "IS"], ", in 28 places (EU, IS)"),
    ],
)
def test_places_are_called_by_their_region(places, covered, words):
    """Regions stand for all their countries; where few are excepted, those are named."""
    said = worded(places=places, jurisdictions=tuple(covered))
    assert said == f"“Worte von a” for every purpose to Own{words}"


@pytest.mark.parametrize(
    ("covered", "words"),
    [
        (("*",), ""),
        (("k1",), ", with contract k1"),
        (("k1", "k2"), ", with contract k1 or k2"),
        (("k1", "k2", "k3"), ", with any contract"),
    ],
)
def test_contracts_are_named_where_they_matter(covered, words):
    """A clause for some contracts says which; one for all says nothing of the kind."""
    said = worded(contracts=("k1", "k2", "k3"), under=covered)
    assert said == f"“Worte von a” for every purpose to Own{words}"


@pytest.mark.parametrize(
    ("forbidding", "words"),
    [
        (("k1",), ", with any contract but k1, or none"),
        (("k1", "k2"), ", with contract k3, or none"),
        (("k1", "k2", "k3"), ", without a contract"),
    ],
)
def test_exceptions_by_contract_are_said(forbidding, words):
    """Where some contracts forbid already, a new prohibition is news for the others."""
    never = (Clause("secret", Level.NEVER),)
    contracts = dict.fromkeys(("k1", "k2", "k3"), ()) | dict.fromkeys(forbidding, never)
    old, new = (
        replace(simple(clauses), contracts=contracts)
        for clauses in ((), [Clause("new", Level.NEVER)])
    )
    assert compare(old, new).lines()[1] == (
        f"tighter: “Worte von a” for every purpose to Own{words}: a yes → never"
    )


@pytest.mark.parametrize(
    ("covered", "words"),
    [
        ("abcdefg", "every data class"),
        ("abcde", "every data class but “Worte von f” and “Worte von g”"),
        ("abcdef", "every data class but “Worte von g”"),
        ("ab", "“Worte von a” and “Worte von b”"),
        ("abc", "“Worte von a”, “Worte von b” and “Worte von c”"),
    ],
)
def test_long_lists_are_said_by_what_they_leave_out(covered, words):
    """Few are named, nearly all are said by the exceptions; other languages serve if need be."""
    said = worded(classes=tuple("abcdefg"), data_classes=tuple(covered))
    assert said == f"{words} for every purpose to Own"


def test_a_long_list_with_many_exceptions_is_written_out():
    """With more than four on either side, every name stands there."""
    said = worded(classes=tuple("abcdefghijkl"), data_classes=tuple("abcdef"))
    assert said.startswith("“Worte von a”, “Worte von b”")
    assert said.endswith("“Worte von e” and “Worte von f” for every purpose to Own")


def test_a_level_that_rises_to_a_notice_is_said():
    """Nothing and a notice are two levels, for purposes that are not training."""
    old, new = simple(), simple()
    nothing, notice = (
        replace(d, clauses=(Clause("all", level),))
        for d, level in ((old, Level.NOTHING), (new, Level.NOTICE))
    )
    assert compare(nothing, notice).lines()[1] == (
        "tighter: “Worte von a” for evaluate, infer and improve.product to Own: "
        "nothing is needed → a notice"
    )


# ── edges ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("nothing", ["ages", "recipients", "data_classes"])
def test_where_there_is_nothing_nothing_is_said(nothing):
    """A document without places, recipients or classes has no cell: no rule, and no error."""
    empty = replace(simple(), **{nothing: {}})
    found = compare(empty, empty)
    assert found.rules == ()
    assert found.lines()[-1] == unchanged(0, 0)


def test_a_clause_that_cannot_be_read_forbids():
    """A clause without a level asks for what nobody can give."""
    assert worded(level=None) == "“Worte von a” for every purpose to Own"


def test_words_that_come_or_go_are_said():
    """A language that is added or dropped is a change of words."""
    one = simple()
    other = replace(one, data_classes={"a": {"en": "words of a"}})
    assert [c.sentence for c in compare(one, other).others] == [
        "data class a is called otherwise in 'de': “Worte von a” → no words",
        "data class a is called otherwise in 'en': no words → “words of a”",
    ]


def test_a_setting_that_cannot_be_rendered_is_an_error():
    """Without words no text can be compared: `check` finds that before."""
    asking = Setting("s", "S", ("evaluate",), ("a",), ("own",))
    with pytest.raises(PolicyError, match="'evaluate' has no text"):
        compare(simple(), replace(simple(), settings={"s": asking}))


@pytest.mark.parametrize("bound", ["MAX_CELLS", "MAX_GROUPS"])
def test_more_than_can_be_compared_is_an_error(monkeypatch, bound):
    """Documents that would take hours or all memory are refused instead."""
    monkeypatch.setattr(diff, bound, 1)
    evaluating = Clause("new", Level.NEVER, purposes=("evaluate",))
    with pytest.raises(PolicyError, match="cases apart; 1 can be compared"):
        compare(simple(), simple([evaluating]))


def test_the_record_says_the_same_as_json():
    """Every rule with its scope, the unchanged included; periods as dates."""
    new = NORTHMAIL.replace("to = 2024-01-01T00:00:00Z", "to = 2025-01-01").replace(
        "lead_days = 30", "lead_days = 31"
    )
    found = compare(parse(NORTHMAIL), parse(new))
    record = json.loads(json.dumps(found.record()))
    assert (record["old"], record["new"]) == ("2024-09", "2024-09")
    assert record["cells"] == {"looser": 0, "tighter": 36, "unchanged": 3204}
    first, *rest = record["rules"]
    assert first == {
        "direction": "tighter",
        "about": "rule",
        "sentence": found.rules[0].sentence,
        "before": "grant",
        "after": "never",
        "scope": {
            "data_classes": ["message.direct.inmail", "message.group"],
            "purposes": ["train.generative", "train.ranking", "train.safety"],
            "recipients": ["tern"],
            "places": ["US", "US-AL", "US-CA"],
            "contracts": [None, "free"],
            "periods": [{"from": "2024-01-01", "to": "2025-01-01"}],
        },
    }
    assert {rule["direction"] for rule in rest} == {"unchanged"}
    assert all(rule["sentence"].split(": ")[-1].startswith("still ") for rule in rest)
    periods = [p for rule in rest for p in rule["scope"]["periods"]]
    assert {} in periods
    assert {"to": "2023-01-01"} in periods
    assert {"from": "2025-01-01"} in periods
    assert record["others"] == [
        {
            "direction": "tighter",
            "about": "lead",
            "sentence": "lead time: 30 days → 31 days",
            "before": 30,
            "after": 31,
        }
    ]


def test_the_last_line_says_from_when_on():
    """Where rules change, the last line says what they mean for what was made before."""
    last = compare(simple(), simple([Clause("new", Level.NEVER)])).lines()[-1]
    assert last.startswith("From when on: what is tighter holds for everything from publication on")
