"""Small cases, all of them: parties and roles, levels and choices; and the oracle's opinion.

One policy version, published on day 0; the item was made on day 100; T is day 1000.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock.domain import (
    ALWAYS,
    BEGINNING,
    DAY,
    END,
    Act,
    Amendment,
    Clause,
    Fact,
    FactKind,
    Hold,
    Item,
    Level,
    Line,
    Notice,
    Objection,
    Party,
    PolicyVersion,
    Reason,
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
    Time,
    time_of,
)
from letterlock.errors import InputError, UsageError
from letterlock.ledger import Event, fold, fold_rules
from letterlock.ledger import said as what_is_said
from letterlock.policy.decide import Answer, decide, facts_at, versions_at
from oracle.decision import judge
from worlds import Maker, requests, spoil

DAY0 = time_of("2024-01-01")
INFER, TRAIN = Request("infer", "us"), Request("train.generative", "us")


def day(n: int) -> Time:
    """Return the n-th day."""
    return DAY0 + n * DAY


def version(n: int, *clauses: Clause, published: int = 0) -> PolicyVersion:
    """Return a version that takes effect when it is published, with a window of ten days."""
    return PolicyVersion(
        f"v{n}", 10 * n, day(published), day(published), 10 * DAY, clauses,
        ("post", "message.group"), texts={("s", "en"): "text"},
    )  # fmt: skip


def rulebook(*policies: PolicyVersion, **changes: Any) -> Rulebook:
    """Return rules with these versions, and nothing else that asks for anything."""
    recipients = {
        "us": Recipient("us", "Us", RecipientClass.CONTROLLER),
        "them": Recipient("them", "Them", RecipientClass.THIRD_PARTY),
    }
    classes = {"post": 1, "message.group": 1}
    table = RegionTable(day(-500), {"US": 0, "DE": 0}, ())
    rules = Rulebook(day(1000), recipients, policies, classes, {}, (table,), ())
    return replace(rules, **changes)


def fact(kind: FactKind, value: str | int) -> Fact:
    """Return a fact that has always been known."""
    return Fact(kind, value, ALWAYS, day(-400), (0, 0))


ADULT = (fact(FactKind.JURISDICTION, "US"), fact(FactKind.BIRTH_YEAR, 1980))
REGISTERED = Notice("v1", day(0), at_registration=True)


def line(act: Act, n: int, **changes: Any) -> Line:
    """Return a line about everything, recorded on day n; a grant is for inference by us."""
    scope = ("infer", "*", "us") if act is Act.GRANT else ("*", "*", "*")
    plain = Line(act, *scope, ALWAYS, day(n), 100 + n, text="text")
    return replace(plain, **changes)


def both(one: Line) -> tuple[Line, Line]:
    """Return a line for inference and the same for training."""
    return one, replace(one, purpose="train.generative")


# ── parties ─────────────────────────────────────────────────────────────────────────────────

UNREADABLE = Clause("unreadable", None)
SOME = rulebook(
    version(
        1, Clause("a grant", Level.GRANT), Clause("not here", Level.NEVER, jurisdictions=("DE",))
    ),
    contracts={"broken": (Terms("broken", day(-500), (UNREADABLE,)),)},
)
WILLING = Subject(
    "permit", member=True, facts=ADULT, notices=(REGISTERED,),
    lines=(*both(line(Act.GRANT, 10)), *both(line(Act.GRANT, 10, earlier=True))),
)  # fmt: skip
PEOPLE = {
    "permit": WILLING,
    "prohibit": replace(WILLING, facts=(fact(FactKind.JURISDICTION, "DE"), ADULT[1])),
    "unevaluable": replace(WILLING, facts=(*ADULT, fact(FactKind.CONTRACT, "broken"))),
}
KINDS: dict[str, Reason | None] = {
    "permit": None,
    "prohibit": Reason.PROHIBITED_THEN,
    "unevaluable": Reason.UNEVALUABLE,
    "unknown": Reason.UNKNOWN_PARTY,
}


def test_every_party_counts_in_every_role():
    """All lists of up to three parties: the smallest (reason, role) decides, none allows."""
    state = State(SOME, PEOPLE)
    who = list(product(KINDS, Role))
    allowed = 0
    for size in range(4):
        for chosen in product(who, repeat=size):
            parties = tuple(
                Party(kind, role, "post", day(50)) if role is Role.QUOTED else Party(kind, role)
                for kind, role in chosen
            )
            denials = [
                (reason, role) for kind, role in chosen if (reason := KINDS[kind]) is not None
            ]
            expected = min(denials, default=(None, None)) if size else (Reason.NO_PARTIES, None)
            found = decide(TRAIN, Item("i", "post", day(100), parties), state)
            assert (found.reason, found.role) == expected, chosen
            assert [a.reason for a in found.answers] == [KINDS[kind] for kind, _ in chosen]
            allowed += found.allowed
    assert allowed == 4 + 4**2 + 4**3


@pytest.mark.parametrize("size", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_oracle_agrees_on_every_party(size: int):
    """The oracle says the same of one party, or two: quotes of unknown time and class included."""
    state = State(SOME, PEOPLE)
    who = [Party(kind, role) for kind, role in product(KINDS, (Role.AUTHOR, Role.MEMBER))]
    who += [
        Party(kind, Role.QUOTED, data_class, at)
        for kind, data_class, at in product(KINDS, (None, "post", "unheard"), (None, day(50)))
    ]
    for parties in product(who, repeat=size):
        item = Item("i", "post", day(100), parties)
        found = decide(INFER, item, state)
        assert (found.reason, found.role) == judge(INFER, item, state), parties


# ── levels and choices ──────────────────────────────────────────────────────────────────────

EXPLICIT = "explicit"
"""A grant permits, and it is explicit and lists the category `pay`."""
NON_EXPLICIT = "permits"
"""A grant permits, but not explicitly."""
OTHER_EXPLICIT = "other"
"""A grant permits explicitly, but lists another category."""

Outcome = Reason | str


def said(*lines: Line) -> tuple[Line, ...]:
    """Return the lines, each grant for inference and for training."""
    doubled = [both(one) if one.act is Act.GRANT else (one,) for one in lines]
    return tuple(one for pair in doubled for one in pair)


GRANT, EARLIER = line(Act.GRANT, 10), line(Act.GRANT, 400, earlier=True)
WITHDRAWN, OBJECTED = line(Act.WITHDRAW, 300), line(Act.OBJECT, 301)
PAY: dict[str, Any] = {"explicit": True, "categories": frozenset({"pay"})}
HEALTH: dict[str, Any] = {"explicit": True, "categories": frozenset({"health"})}
BEFORE_500 = Span(BEGINNING, day(500))
R = Reason

# What was said; what that means for data of day 100; and the same if nothing was foreseen then.
CHOICES: dict[str, tuple[tuple[Line, ...], Outcome, Outcome]] = {
    "nothing": ((), R.NO_GRANT, R.NOT_FORESEEN_THEN),
    "a grant": (said(GRANT), NON_EXPLICIT, R.NOT_FORESEEN_THEN),
    "an explicit grant": (said(replace(GRANT, **PAY)), EXPLICIT, R.NOT_FORESEEN_THEN),
    "an earlier grant": (said(EARLIER), NON_EXPLICIT, NON_EXPLICIT),
    "an explicit earlier grant": (said(replace(EARLIER, **PAY)), EXPLICIT, EXPLICIT),
    "explicit of other things": (said(replace(EARLIER, **HEALTH)), OTHER_EXPLICIT, OTHER_EXPLICIT),
    "listed but not explicit": (
        said(replace(EARLIER, categories=frozenset({"pay"}))), NON_EXPLICIT, NON_EXPLICIT,
    ),
    "withdrawn": (said(GRANT, WITHDRAWN), R.WITHDRAWN, R.WITHDRAWN),
    "only withdrawn": ((WITHDRAWN,), R.WITHDRAWN, R.WITHDRAWN),
    "objected": (said(GRANT, OBJECTED), R.OBJECTED, R.OBJECTED),
    "withdrawn and objected": (said(GRANT, WITHDRAWN, OBJECTED), R.OBJECTED, R.OBJECTED),
    "granted after an old withdrawal": (
        said(line(Act.WITHDRAW, 5), GRANT), NON_EXPLICIT, R.WITHDRAWN,
    ),
    "granted after, narrower": (
        said(WITHDRAWN, replace(EARLIER, pattern="message.group")), NON_EXPLICIT, NON_EXPLICIT,
    ),
    "granted after, equal": (
        said(replace(WITHDRAWN, pattern="message.*"), replace(EARLIER, pattern="message.*")),
        NON_EXPLICIT, NON_EXPLICIT,
    ),
    "granted after, wider": (
        said(replace(WITHDRAWN, pattern="message.*"), EARLIER), R.WITHDRAWN, R.WITHDRAWN,
    ),
    "granted after, wider than an objection": (
        said(replace(OBJECTED, pattern="message.group"), replace(EARLIER, pattern="message.*")),
        R.OBJECTED, R.OBJECTED,
    ),
    "granted after, within one of two": (
        said(WITHDRAWN, replace(OBJECTED, pattern="message.group"), EARLIER),
        R.OBJECTED, R.OBJECTED,
    ),
    "granted after, of another class": (
        said(WITHDRAWN, replace(EARLIER, pattern="post")), R.WITHDRAWN, R.WITHDRAWN,
    ),
    "granted after, to somebody else": (
        said(WITHDRAWN, replace(EARLIER, recipient="them")), R.WITHDRAWN, R.WITHDRAWN,
    ),
    "granted after, of a shorter period": (
        said(WITHDRAWN, replace(EARLIER, span=BEFORE_500)), NON_EXPLICIT, NON_EXPLICIT,
    ),
    "granted after, of a longer period": (
        said(replace(WITHDRAWN, span=Span(day(0), day(500))), EARLIER), R.WITHDRAWN, R.WITHDRAWN,
    ),
    "granted after, but expired": (
        said(WITHDRAWN, replace(EARLIER, expires_at=day(1000))), R.WITHDRAWN, R.WITHDRAWN,
    ),
    "granted twice, once too wide": (
        said(
            replace(WITHDRAWN, pattern="message.*"), replace(OBJECTED, pattern="*"),
            replace(EARLIER, pattern="*"), replace(EARLIER, pattern="message.group", index=501),
        ),
        NON_EXPLICIT, NON_EXPLICIT,
    ),
    "withdrawn for another period": (
        said(EARLIER, replace(WITHDRAWN, index=600, span=Span(day(101), END))),
        NON_EXPLICIT, NON_EXPLICIT,
    ),
    "withdrawn from somebody else": (
        said(EARLIER, replace(WITHDRAWN, index=600, recipient="them")), NON_EXPLICIT, NON_EXPLICIT,
    ),
    "withdrawn of another class": (
        said(EARLIER, replace(WITHDRAWN, index=600, pattern="post")), NON_EXPLICIT, NON_EXPLICIT,
    ),
    "expired": (said(replace(GRANT, expires_at=day(1000))), R.GRANT_EXPIRED, R.NOT_FORESEEN_THEN),
    "expires tomorrow": (
        said(replace(EARLIER, expires_at=day(1001))), NON_EXPLICIT, NON_EXPLICIT,
    ),
    "earlier expired": (
        said(replace(EARLIER, expires_at=day(999))), R.GRANT_EXPIRED, R.GRANT_EXPIRED,
    ),
    "text changed": (said(replace(GRANT, text="old")), R.GRANT_TEXT_CHANGED, R.NOT_FORESEEN_THEN),
    "earlier text changed": (
        said(replace(EARLIER, text="old")), R.GRANT_TEXT_CHANGED, R.GRANT_TEXT_CHANGED,
    ),
    "text changed and expired": (
        said(replace(EARLIER, text="old", expires_at=day(999))),
        R.GRANT_TEXT_CHANGED, R.GRANT_TEXT_CHANGED,
    ),
    "before any policy": (
        said(replace(EARLIER, index=5)), R.GRANT_TEXT_CHANGED, R.GRANT_TEXT_CHANGED,
    ),
    "granted later": (
        said(line(Act.GRANT, 200)), R.GRANT_NOT_FOR_PERIOD, R.NOT_FORESEEN_THEN,
    ),
    "ended before": (
        said(replace(GRANT, span=Span(BEGINNING, day(100)))),
        R.GRANT_NOT_FOR_PERIOD, R.NOT_FORESEEN_THEN,
    ),
    "earlier of another period": (
        said(replace(EARLIER, span=Span(day(101), END))),
        R.GRANT_NOT_FOR_PERIOD, R.NOT_FORESEEN_THEN,
    ),
    "of another class": (said(replace(EARLIER, pattern="post")), R.NO_GRANT, R.NOT_FORESEEN_THEN),
    "of a class not yet registered": (
        said(replace(EARLIER, index=1)), R.NO_GRANT, R.NOT_FORESEEN_THEN,
    ),
    "to somebody else": (said(replace(EARLIER, recipient="them")), R.NO_GRANT, R.NOT_FORESEEN_THEN),
    "of another purpose": (
        (replace(EARLIER, purpose="evaluate"),), R.NO_GRANT, R.NOT_FORESEEN_THEN,
    ),
    "one dead, one alive": (
        said(replace(GRANT, text="old"), EARLIER), NON_EXPLICIT, NON_EXPLICIT,
    ),
}  # fmt: skip

NOTICED_LATER = Notice("v1", day(500))
SILENT = version(2, published=600)

# Who was told what; whether nothing was foreseen then; and what is missing now.
SILENCES: dict[str, tuple[tuple[Notice, ...], bool, Reason | None]] = {
    "foreseen": ((REGISTERED,), False, None),
    "not in force then": ((NOTICED_LATER,), True, None),
    "never told": ((), True, R.NOTICE_NOT_IN_FORCE),
    "told too late": ((Notice("v1", day(991)),), True, R.NOTICE_NOT_IN_FORCE),
    "told of something else": ((Notice("v0", day(0)),), True, R.NOTICE_NOT_IN_FORCE),
    "told before there was anything to tell": (
        (Notice("v1", day(-1), at_registration=True),), True, R.NOTICE_NOT_IN_FORCE,
    ),
    "silent now": ((REGISTERED,), False, R.NOT_FORESEEN_NOW),
}  # fmt: skip

CATEGORIES = (frozenset[str](), frozenset({"pay"}), None)


def expected_answer(
    level: Level,
    outcome: Outcome,
    silence: str,
    request: Request,
    categories: frozenset[str] | None,
) -> Reason | None:
    """Combine a level and an outcome, as docs/spec/decision.md does in words."""
    _, silent_then, missing_now = SILENCES[silence]
    floors = [level]
    floors += [Level.GRANT] if silent_then or request is TRAIN else []
    floors += [Level.EXPLICIT_GRANT] if categories != frozenset() else []
    floors += [Level.NEVER] if missing_now else []
    needed = max(floors)
    reasons = {R.PROHIBITED_THEN} if level is Level.NEVER else set()
    reasons |= {missing_now} if missing_now else set()
    if outcome in {R.WITHDRAWN, R.OBJECTED}:
        reasons.add(R(outcome))
    elif isinstance(outcome, Reason) and needed >= Level.GRANT:
        reasons.add(outcome)
    explicit = (
        (outcome == EXPLICIT and categories is not None)
        or (outcome == OTHER_EXPLICIT and categories == frozenset())
    )  # fmt: skip
    if needed is Level.EXPLICIT_GRANT and not explicit:
        reasons.add(R.SENSITIVE)
    return min(reasons, default=None)


@pytest.mark.parametrize("silence", SILENCES)
def test_every_level_meets_every_choice(silence: str):
    """Each level, each choice, each category and purpose: as the table says, and the oracle."""
    notices, silent_then, _ = SILENCES[silence]
    seen: Counter[Reason | None] = Counter()
    for level, (name, (lines, then, unforeseen)) in product(Level, CHOICES.items()):
        policies = [
            version(1, Clause("all", level)),
            *([SILENT] if silence == "silent now" else []),
        ]
        subject = Subject("a", member=True, facts=ADULT, notices=notices, lines=lines)
        state = State(rulebook(*policies), {"a": subject})
        for request, categories in product((INFER, TRAIN), CATEGORIES):
            item = Item("i", "message.group", day(100), (Party("a", Role.AUTHOR),), categories)
            found = decide(request, item, state)
            outcome = unforeseen if silent_then else then
            expected = expected_answer(level, outcome, silence, request, categories)
            assert found.reason == expected, (level.name, name, request, categories)
            if request is TRAIN or level is Level.NOTICE:
                assert judge(request, item, state) == (found.reason, found.role), (level, name)
            seen[found.reason] += 1
    assert (None in seen) is (SILENCES[silence][2] is None)


def test_the_table_knows_each_reason_that_a_choice_can_give():
    """The table above is not one-sided: each reason about choices occurs in it, and each yes."""
    outcomes = {
        outcome for _, then, unforeseen in CHOICES.values() for outcome in (then, unforeseen)
    }
    about_choices = {R.OBJECTED, R.WITHDRAWN, *(r for r in R if r >= R.NOT_FORESEEN_THEN)}
    assert outcomes == {EXPLICIT, NON_EXPLICIT, OTHER_EXPLICIT, *about_choices}


# ── sensitive classes ───────────────────────────────────────────────────────────────────────

Sets = dict[str, frozenset[str]]
P, H = frozenset({"pay"}), frozenset({"health"})
DECLARED: dict[str, Sets] = {
    "nothing": {},
    "pay": {"message.group": P},
    "both": {"message.group": P | H},
    "another class": {"post": P | H},
    "a pattern": {"message.*": P},
}
LISTED: dict[str, dict[str, Any]] = {
    "not explicit": {},
    "explicit of nothing": {"explicit": True},
    "pay": PAY,
    "health": HEALTH,
    "both": {"explicit": True, "categories": P | H},
    "listed but not explicit": {"categories": P | H},
}


def declaring(sensitive: Sets, *clauses: Clause) -> Rulebook:
    """Return rules whose one version declares classes sensitive."""
    return rulebook(replace(version(1, *clauses), sensitive=sensitive), sensitive=sensitive)


@pytest.mark.parametrize("declared", DECLARED)
@pytest.mark.parametrize("own", [frozenset(), P, P | H, None])
def test_a_sensitive_class_adds_its_categories(declared: str, own: frozenset[str] | None):
    """An explicit grant has to list the item's categories and those of its class; None lists none.

    Also where the version itself asks for nothing: the floor does not depend on its clauses.
    """
    asked = None if own is None else own | DECLARED[declared].get("message.group", frozenset())
    for request, level, (name, listed) in product((INFER, TRAIN), Level, LISTED.items()):
        lines = said(replace(EARLIER, **listed))
        state = State(
            declaring(DECLARED[declared], Clause("all", level)),
            {"a": replace(WILLING, id="a", lines=lines)},
        )
        item = Item("i", "message.group", day(100), (Party("a", Role.AUTHOR),), own)
        explicit = "explicit" in listed and asked is not None
        covered = explicit and (asked or frozenset()) <= listed.get("categories", frozenset())
        needs = asked != frozenset() or level is Level.EXPLICIT_GRANT
        expected = R.SENSITIVE if needs and not covered else None
        expected = R.PROHIBITED_THEN if level is Level.NEVER else expected
        found = decide(request, item, state)
        assert found.reason == expected, (request, level, name)
        assert judge(request, item, state) == (found.reason, found.role)


def test_a_quote_is_as_sensitive_as_its_own_class():
    """The class of what is quoted counts for who is quoted, and the item's for the others."""
    rules = declaring({"post": P}, Clause("all", Level.GRANT))
    people = {
        "plain": replace(WILLING, id="plain"),
        "pay": replace(WILLING, id="pay", lines=said(replace(EARLIER, **PAY))),
    }
    state = State(rules, people)
    quotes: dict[tuple[str, str | None], Reason | None] = {
        ("plain", "post"): R.SENSITIVE,
        ("plain", "message.group"): None,
        ("plain", None): R.SENSITIVE,  # of an unknown class: of the strictest
        ("pay", "post"): None,
        ("pay", None): None,
    }
    for (who, data_class), expected in quotes.items():
        quoted = Party(who, Role.QUOTED, data_class, day(50))
        item = Item("i", "message.group", day(100), (Party("plain", Role.AUTHOR), quoted))
        found = decide(INFER, item, state)
        assert found.reason == expected, (who, data_class)
        assert found.role == (None if expected is None else Role.QUOTED)
        assert judge(INFER, item, state) == (found.reason, found.role)
    item = Item("i", "post", day(100), (Party("plain", Role.AUTHOR),))
    (answer,) = decide(INFER, item, state).answers
    assert answer.reason is R.SENSITIVE
    assert (answer.decisive(), answer.requirements[-1].clause) == (
        answer.requirements[-1], "sensitive: pay",
    )  # fmt: skip


def test_a_class_once_sensitive_stays_so():
    """What any version published by T declares counts, for older data too, for ever."""
    declared: list[dict[str, list[str]]] = [
        {}, {"post": ["pay"]}, {}, {"post": ["health"], "message.group": ["pay"]},
    ]  # fmt: skip
    events = []
    for n, sensitive in enumerate(declared):
        body = {
            "version": f"v{n}", "effective_at": day(10 * n), "window": 0, "clauses": [],
            "data_classes": ["post", "message.group"],
        }  # fmt: skip
        body |= {"sensitive": sensitive} if sensitive else {}
        events.append(Event(n, day(10 * n), "policy.published", body))
    found = [dict(fold(events, day(t)).rules.sensitive) for t in (0, 10, 25, 30)]
    post = {"post": P}
    assert found == [{}, post, post, {"post": P | H, "message.group": P}]
    assert [dict(v.sensitive) for v in fold(events, day(25)).rules.policies] == [{}, post, {}]


@pytest.mark.parametrize("wrong", [["post"], {"post": "pay"}, {"post": [1]}, {"post": [""]}])
def test_a_malformed_declaration_is_refused(wrong: Any):
    """It maps classes to lists of texts."""
    body = {
        "version": "v1", "effective_at": day(0), "window": 0, "clauses": [],
        "data_classes": ["post"], "sensitive": wrong,
    }  # fmt: skip
    with pytest.raises(InputError, match="sensitive"):
        fold_rules([], day(0), admit=Event(0, day(0), "policy.published", body))


# ── refusals by class of recipient ──────────────────────────────────────────────────────────

NAMES = ("*", "us", "them", "controller", "third_party", "affiliate", "Us", "con")
REACHED = {"us": {"*", "us", "controller"}, "them": {"*", "them", "third_party"}}


@pytest.mark.parametrize("act", [Act.WITHDRAW, Act.OBJECT])
@pytest.mark.parametrize("named", NAMES)
def test_a_refusal_reaches_whom_it_names_by_class(act: Act, named: str):
    """A class of recipients stands for each of them, whoever it is; a later grant answers it."""
    reason = R.WITHDRAWN if act is Act.WITHDRAW else R.OBJECTED
    for recipient, reached in REACHED.items():
        request = Request("infer", recipient)
        granted = [line(Act.GRANT, n, earlier=True, recipient=recipient) for n in (200, 400)]
        refusal = line(act, 300, recipient=named)
        item = Item("i", "post", day(100), (Party("a", Role.AUTHOR),))
        for lines, expected in (
            ((granted[0], refusal), reason if named in reached else None),
            ((granted[0], refusal, granted[1]), None),
        ):
            state = State(
                rulebook(version(1, Clause("all", Level.GRANT))),
                {"a": replace(WILLING, id="a", lines=lines)},
            )
            found = decide(request, item, state)
            assert found.reason == expected, (recipient, lines)
            assert judge(request, item, state) == (found.reason, found.role)


@pytest.mark.parametrize("named", ["*", "controller", "them"])
def test_a_grant_reaches_only_the_recipient_it_names(named: str):
    """Were a grant to name a class of recipients, it would reach none of them."""
    lines = (line(Act.GRANT, 200, earlier=True, recipient=named),)
    rules = rulebook(version(1, Clause("all", Level.GRANT)))
    state = State(rules, {"a": replace(WILLING, id="a", lines=lines)})
    item = Item("i", "post", day(100), (Party("a", Role.AUTHOR),))
    assert decide(INFER, item, state).reason is R.NO_GRANT
    assert judge(INFER, item, state) == (R.NO_GRANT, Role.AUTHOR)


@pytest.mark.parametrize("named", [kind.value for kind in RecipientClass])
def test_a_grant_that_names_a_class_is_not_recorded(named: str):
    """A refusal may name a class of recipients; a grant names one."""
    scope = {"purpose": "infer", "data_class": "*", "recipient": named}
    evidence = {"time": 0, "channel": "web", "text": "t"}
    for act in Act:
        body = {"subject": "a", "act": act.value, "lines": [scope], "evidence": evidence}
        event = Event(0, day(0), "choice.made", body, "a")
        if act is Act.GRANT:
            with pytest.raises(InputError, match="a grant names one purpose and one recipient"):
                what_is_said(event)
        else:
            assert what_is_said(event).lines[0].recipient == named


# ── what counts at a time ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", FactKind)
def test_a_later_fact_displaces_an_earlier_one_from_its_recording_on(kind: FactKind):
    """Day by day: within its own span, and before its recording beside what was known."""
    first, second = {
        FactKind.JURISDICTION: ("DE", "US"),
        FactKind.CONTRACT: ("free", "premium"),
        FactKind.BIRTH_YEAR: (1980, 1990),
    }[kind]
    facts = (
        Fact(kind, first, Span(day(5), END), day(0), (0, 0)),
        Fact(kind, second, Span(day(20), day(80)), day(50), (7, 0)),
        Fact(kind, None, Span(day(90), day(95)), day(50), (7, 1)),
    )
    days: dict[int, set[str | int | None]] = {
        4: {None}, 5: {first}, 19: {first}, 20: {first, second}, 49: {first, second},
        50: {second}, 79: {second}, 80: {first}, 89: {first}, 90: {None}, 94: {None}, 95: {first},
    }  # fmt: skip
    names = {
        FactKind.JURISDICTION: "jurisdictions",
        FactKind.CONTRACT: "contracts",
        FactKind.BIRTH_YEAR: "birth_years",
    }
    for order in permutations(facts):
        subject = Subject("a", member=True, facts=order)
        found = {n: set(getattr(facts_at(subject, day(n)), names[kind])) for n in days}
        assert found == days


def test_facts_recorded_at_one_time_displace_in_recorded_order():
    """Of two facts of one event, or one moment, the one recorded last counts from then on."""
    one = Fact(FactKind.CONTRACT, "free", ALWAYS, day(10), (3, 0))
    two = Fact(FactKind.CONTRACT, "premium", ALWAYS, day(10), (3, 1))
    subject = Subject("a", member=True, facts=(two, one))
    assert facts_at(subject, day(9)).contracts == {"free", "premium"}
    assert facts_at(subject, day(10)).contracts == {"premium"}


def test_a_version_is_in_force_from_notice_to_objection():
    """Day by day: lead time, window, notice, objection and its withdrawal, and what counts."""
    rules = rulebook(
        version(1),
        replace(version(2, published=20), effective_at=day(40)),
        version(3, published=50),
    )
    notices = (REGISTERED, Notice("v2", day(25)), Notice("v3", day(49)), Notice("v3", day(97)))
    objections = (
        Objection("v2", Span(day(60), day(70))),
        Objection("unheard", Span(day(80), day(90))),
        Objection("v3", Span(day(108), END)),
    )
    subject = Subject("a", member=True, notices=notices, objections=objections)
    days: dict[int, tuple[str | None, list[str]]] = {
        -1: (None, []),
        0: ("v1", ["v1"]),
        19: ("v1", ["v1"]),
        20: ("v1", ["v1", "v2"]),  # published, not yet told of
        39: ("v1", ["v1", "v2"]),  # told of, the window has run; the lead time has not
        40: ("v2", ["v2"]),
        50: ("v2", ["v2", "v3"]),  # the first notice of v3 came before it
        59: ("v2", ["v2", "v3"]),
        60: ("v1", ["v1", "v2", "v3"]),
        70: ("v2", ["v2", "v3"]),
        80: (None, ["v1", "v2", "v3"]),
        90: ("v2", ["v2", "v3"]),
        106: ("v2", ["v2", "v3"]),
        107: ("v3", ["v3"]),
        108: ("v2", ["v2", "v3"]),
    }
    found = {}
    for n in days:
        counting, in_force = versions_at(subject, rules, day(n))
        found[n] = (in_force and in_force.version, [v.version for v in counting])
    assert found == days


# ── amendments ──────────────────────────────────────────────────────────────────────────────

SIGNED = Amendment("premium", "infer", "message.*", "us", Span(day(50), day(150)))
AMENDMENTS: dict[str, tuple[Amendment, bool]] = {
    "it": (SIGNED, True),
    "the class": (replace(SIGNED, pattern="message.group"), True),
    "another contract": (replace(SIGNED, contract="free"), False),
    "another purpose": (replace(SIGNED, purpose="train.generative"), False),
    "any purpose": (replace(SIGNED, purpose="*"), False),
    "another class": (replace(SIGNED, pattern="post"), False),
    "another recipient": (replace(SIGNED, recipient="them"), False),
    "any recipient": (replace(SIGNED, recipient="*"), False),
    "what came after": (replace(SIGNED, span=Span(day(101), END)), False),
    "what came before": (replace(SIGNED, span=Span(BEGINNING, day(100))), False),
}
TERMS: dict[str, tuple[Clause, ...] | None] = {
    "silent": (),
    "nothing": (Clause("c", Level.NOTHING),),
    "grant": (Clause("c", Level.GRANT),),
    "explicit": (Clause("c", Level.EXPLICIT_GRANT),),
    "never": (Clause("c", Level.NEVER),),
    "never and explicit": (Clause("c", Level.NEVER), Clause("d", Level.EXPLICIT_GRANT)),
    "unreadable": (UNREADABLE,),
    "no terms": None,
}


@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("name", AMENDMENTS)
def test_an_amendment_lifts_only_what_it_names(terms: str, name: str):
    """It turns a contract's `never`, or its lack of terms, into a grant, and nothing else."""
    amendment, names_it = AMENDMENTS[name]
    clauses = TERMS[terms]
    contracts = {} if clauses is None else {"premium": (Terms("premium", day(-500), clauses),)}
    rules = rulebook(version(1, Clause("all", Level.NOTHING)), contracts=contracts)
    item = Item("i", "message.group", day(100), (Party("a", Role.AUTHOR),))
    plain = Subject(
        "a", member=True, facts=(*ADULT, fact(FactKind.CONTRACT, "premium")),
        notices=(REGISTERED,), amendments=(amendment,),
    )  # fmt: skip
    never = terms in {"never", "never and explicit", "no terms"}
    explicit = terms in {"explicit", "never and explicit"}
    for lines, granted in (((), 0), (said(EARLIER), 1), (said(replace(EARLIER, **PAY)), 2)):
        reason: Reason | None = None
        if terms == "unreadable":
            reason = R.UNEVALUABLE
        elif never and not names_it:
            reason = R.CONTRACT
        elif explicit:
            reason = None if granted == 2 else R.SENSITIVE
        elif (never or terms == "grant") and not granted:
            reason = R.NO_GRANT
        state = State(rules, {"a": replace(plain, lines=lines)})
        assert decide(INFER, item, state).reason == reason
        assert judge(INFER, item, state)[0] == reason


def test_an_amendment_lifts_no_other_source():
    """What the policy, the regional table or a hold forbids stays forbidden."""
    never = (Clause("never", Level.NEVER),)
    item = Item("i", "message.group", day(100), (Party("a", Role.AUTHOR),))
    subject = replace(
        WILLING, facts=(*ADULT, fact(FactKind.CONTRACT, "premium")), amendments=(SIGNED,)
    )
    contracts = {"premium": (Terms("premium", day(-500), never),)}
    free = version(1, Clause("all", Level.NOTHING))
    table = RegionTable(day(-500), {"US": 0}, never)
    for rules, reason in (
        (rulebook(free, contracts=contracts), None),
        (rulebook(version(1, *never), contracts=contracts), R.PROHIBITED_THEN),
        (rulebook(free, contracts=contracts, regions=(table,)), R.REGION),
        (rulebook(free, contracts=contracts, holds=(Hold("h", never),)), R.HOLD),
    ):
        assert decide(INFER, item, State(rules, {"a": subject})).reason is reason


# ── the item itself ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data_class", "created_at", "reason"),
    [
        ("post", day(100), None),
        ("post", day(1000), None),
        ("post", day(1000) + 1, R.UNEVALUABLE),
        ("post", None, R.UNEVALUABLE),
        ("post", BEGINNING, R.UNEVALUABLE),
        ("post", BEGINNING - 1, R.UNEVALUABLE),
        ("post", END, R.UNEVALUABLE),
        (None, day(100), R.UNEVALUABLE),
        ("unheard", day(100), R.UNEVALUABLE),
        ("message", day(100), R.UNEVALUABLE),
    ],
)
def test_what_cannot_be_judged_is_denied(
    data_class: str | None, created_at: Time | None, reason: Reason | None
):
    """An unknown class, and a date that is unknown or after T, deny without a role."""
    state = State(SOME, PEOPLE)
    item = Item("i", data_class, created_at, (Party("permit", Role.MEMBER),))
    found = decide(INFER, item, state)
    assert (found.reason, found.role) == (reason, None)
    assert judge(INFER, item, state) == (reason, None)


def test_a_time_at_the_end_of_time_is_never_judged():
    """Even as of the end of time, END stands for a date that is not known."""
    state = State(replace(SOME, as_of=END), PEOPLE)
    item = Item("i", "post", END, (Party("permit", Role.AUTHOR),))
    assert decide(INFER, item, state).reason is R.UNEVALUABLE


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (Request("train", "us"), "train.generative"),
        (Request("*", "us"), "train.generative"),
        (Request("infer", "controller"), "them, us"),
        (Request("infer", "*"), "them, us"),
    ],
)
def test_an_unknown_request_is_an_error_and_no_answer(request_: Request, named: str):
    """The error lists what may be asked."""
    item = Item("i", "post", day(100), (Party("permit", Role.AUTHOR),))
    with pytest.raises(UsageError, match=named):
        decide(request_, item, State(SOME, PEOPLE))


def test_without_recipients_nothing_can_be_asked():
    """The error says that none is registered yet."""
    item = Item("i", "post", day(100), ())
    with pytest.raises(UsageError, match="none yet"):
        decide(INFER, item, State(replace(SOME, recipients={}), {}))


def test_a_decision_explains_itself():
    """An answer names what was asked, by which source, and the lines that spoke."""
    item = Item("i", "post", day(100), (Party("permit", Role.AUTHOR),), frozenset({"pay"}))
    (answer,) = decide(TRAIN, item, State(SOME, PEOPLE)).answers
    asked = {(r.source, r.level, r.clause) for r in answer.requirements}
    assert ("policy v1, then", Level.GRANT, "a grant") in asked
    assert ("policy v1, now", Level.GRANT, "a grant") in asked
    assert ("floor", Level.GRANT, "training needs a grant") in asked
    assert ("floor", Level.EXPLICIT_GRANT, "sensitive: pay") in asked
    assert [g.index for g in answer.grants] == [110]
    assert answer.refusals == ()


def test_nothing_published_is_foreseen_by_nothing():
    """Without a policy, and without a regional table, nobody's item goes anywhere."""
    item = Item("i", "post", day(100), (Party("permit", Role.AUTHOR),))
    for rules, reason in (
        (rulebook(), R.NOT_FORESEEN_NOW),
        (replace(SOME, regions=()), R.REGION),
        (rulebook(regions=()), R.REGION),
    ):
        found = decide(INFER, item, State(rules, PEOPLE))
        assert (found.reason, found.role) == (reason, Role.AUTHOR)
        assert judge(INFER, item, State(rules, PEOPLE)) == (reason, Role.AUTHOR)


# ── the oracle's opinion ────────────────────────────────────────────────────────────────────


def compare(seed: int, items: int) -> Counter[Reason | None]:
    """Ask `decide` and the oracle about one world, and count the reasons."""
    rng = random.Random(f"compare {seed}")
    world = Maker(seed, items=items).make()
    state = fold(world.events(), world.as_of)
    if rng.random() < 0.05:
        state = replace(state, rules=spoil(state.rules))
    seen: Counter[Reason | None] = Counter()
    for item in world.items:
        request = rng.choice(requests())
        found = decide(request, item, state)
        assert (found.reason, found.role) == judge(request, item, state), (seed, request, item)
        seen[found.reason] += 1
    return seen


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_the_oracle_agrees_on_any_world(seed: int):
    """Two definitions written apart from the same page give the same answers, roles included."""
    compare(seed, 6)


def test_the_oracle_agrees_on_fixed_worlds():
    """The same for fixed worlds, of which nearly a tenth is allowed."""
    seen = sum((compare(seed, 6) for seed in range(120)), Counter[Reason | None]())
    assert seen[None] >= 0.08 * seen.total()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(6))
def test_the_oracle_agrees_on_thousands_of_worlds(part: int):
    """The same for 3,000 worlds: nearly every reason occurs in each sixth of them."""
    seen = sum((compare(seed, 4) for seed in range(1000 + part, 4000, 6)), Counter[Reason | None]())
    assert seen[None] >= 0.08 * seen.total()
    assert set(seen) >= set(Reason) - {R.GRANT_NOT_FOR_PERIOD}


# ── what decides ────────────────────────────────────────────────────────────────────────────


def test_each_denial_names_what_decides():
    """A refusal, or the requirement that could not be met; nothing where nobody asked anything."""
    seen: Counter[Reason | None] = Counter()
    for seed in range(40):
        world = Maker(seed).make()
        state = fold(world.events(), world.as_of)
        if seed % 10 == 0:
            state = replace(state, rules=spoil(state.rules))
        for item in world.items:
            for answer in decide(requests()[seed % 9], item, state).answers:
                check_decisive(answer)
                seen[answer.reason] += 1
    assert set(seen) >= {None, *Reason} - {R.NO_PARTIES, R.GRANT_NOT_FOR_PERIOD}


def check_decisive(answer: Answer) -> None:
    """Check one answer's explanation against its reason."""
    found, reason = answer.decisive(), answer.reason
    if reason in {R.OBJECTED, R.WITHDRAWN}:
        assert isinstance(found, Line)
        assert found.act is (Act.OBJECT if reason is R.OBJECTED else Act.WITHDRAW)
        return
    assert not isinstance(found, Line)
    if reason in {None, R.UNKNOWN_PARTY, R.AGE_UNKNOWN, R.MINOR} or not answer.requirements:
        assert found is None
    elif reason is R.UNEVALUABLE:
        assert found is not None
        assert found.level is None
    elif reason in {R.SENSITIVE, R.NO_GRANT, R.GRANT_NOT_FOR_PERIOD, R.GRANT_TEXT_CHANGED}:
        assert found is not None
        assert found.level in {Level.GRANT, Level.EXPLICIT_GRANT, Level.NEVER}
        assert found.level == max(r.level for r in answer.requirements if r.level is not None)
    elif reason is not R.GRANT_EXPIRED:
        assert found is not None
        assert found.reason is reason
