"""Hand-worked examples from decision.md's sentences, to check the oracle itself.

The world: one policy version that requires a grant for everything, published on day 0; Alice, an
adult in the US, noticed with her registration on day 0, who granted on day 10; an item of day 100,
asked about on day 1000. Each example changes one thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

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
from oracle.decision import judge

DAY0 = time_of("2024-01-01")


def day(n: int) -> Time:
    """Return the n-th day of the world."""
    return DAY0 + n * DAY


def since(n: int) -> Span:
    """Return the span from the n-th day on."""
    return Span(day(n), END)


def until(n: int) -> Span:
    """Return the span up to the n-th day."""
    return Span(BEGINNING, day(n))


T = day(1000)
AUTHOR = Role.AUTHOR
ALLOW = (None, None)
ASK = Request("train.generative", "us")
NEVER = Clause("never", Level.NEVER)
NEEDS_GRANT = Clause("grant", Level.GRANT)


def version(index: int, published: int, *clauses: Clause, **changes: Any) -> PolicyVersion:
    """Return a policy version named after its index, effective at once, without a window."""
    plain = PolicyVersion(
        version=f"v{index}",
        index=index,
        published_at=day(published),
        effective_at=day(published),
        window=0,
        clauses=clauses or (NEEDS_GRANT,),
        texts={("s", "en"): "h1"},
    )
    return replace(plain, **changes)


def fact(kind: FactKind, value: str | int | None, span: Span = ALWAYS, recorded: int = 0) -> Fact:
    """Return a fact recorded on a day."""
    return Fact(kind, value, span, day(recorded), (day(recorded), 5))


US = fact(FactKind.JURISDICTION, "US")
BORN = fact(FactKind.BIRTH_YEAR, 1980)
TABLE = RegionTable(day(0), {"US": 18, "US-CA": 18, "DE": 16}, ())


def grant(n: int = 10, **changes: Any) -> Line:
    """Return a grant for everything from day n, recorded on day n with index 100 + n."""
    plain = Line(
        act=Act.GRANT,
        purpose="train.generative",
        pattern="*",
        recipient="us",
        span=ALWAYS,
        recorded_at=day(n),
        index=100 + n,
        text="h1",
    )
    return replace(plain, **changes)


def earlier(n: int = 10, **changes: Any) -> Line:
    """Return a grant for all the past, asked for separately on day n."""
    return replace(grant(n), earlier=True, **changes)


def refusal(act: Act, n: int, **changes: Any) -> Line:
    """Return a refusal of everything, recorded on day n with index 100 + n."""
    return replace(grant(n), act=act, purpose="*", recipient="*", text="", **changes)


ALICE = Subject(
    id="alice",
    member=True,
    facts=(US, BORN),
    notices=(Notice("v10", day(0), at_registration=True),),
    lines=(grant(),),
)


def world(*subjects: Subject, **rules: Any) -> State:
    """Return the world with these subjects and with changed rules."""
    plain = Rulebook(
        as_of=T,
        recipients={
            "us": Recipient("us", "Us", RecipientClass.CONTROLLER),
            "them": Recipient("them", "Them", RecipientClass.THIRD_PARTY),
        },
        policies=(version(10, 0),),
        data_classes={"message.direct": 1, "message.group": 2, "post.public": 3},
        contracts={},
        regions=(TABLE,),
        holds=(),
    )
    known: Mapping[str, Subject] = {subject.id: subject for subject in subjects}
    return State(replace(plain, **rules), known)


def alice(**changes: Any) -> Subject:
    """Return Alice, changed."""
    return replace(ALICE, **changes)


def item(**changes: Any) -> Item:
    """Return Alice's direct message of day 100, changed."""
    return replace(Item("i", "message.direct", day(100), (Party("alice", AUTHOR),)), **changes)


def ask(state: State, of: Item | None = None, request: Request = ASK) -> tuple[Any, Any]:
    """Judge the plain item, or another, in a world."""
    return judge(request, of or item(), state)


def reason(state: State, of: Item | None = None, request: Request = ASK) -> Reason | None:
    """Return the reason alone."""
    answer: Reason | None = ask(state, of, request)[0]
    return answer


def test_a_live_grant_in_a_known_world_allows() -> None:
    """Allow if every party is known, adult and permits."""
    assert ask(world(ALICE)) == ALLOW


# The request and the item itself.


@pytest.mark.parametrize("request_", [Request("sell", "us"), Request("train.generative", "nobody")])
def test_an_unknown_purpose_or_recipient_is_an_error(request_: Request) -> None:
    """It is an error, not an answer, whatever the item."""
    with pytest.raises(ValueError, match="unknown"):
        ask(world(ALICE), item(parties=()), request_)


@pytest.mark.parametrize(
    "bad",
    [
        {"created_at": None},
        {"created_at": BEGINNING},
        {"created_at": T + 1},
        {"data_class": None},
        {"data_class": "smell"},
        {"data_class": "smell", "parties": ()},
    ],
)
def test_a_bad_item_is_unevaluable_without_a_role(bad: dict[str, Any]) -> None:
    """`created_at` after T, an unknown data class, a bad date."""
    assert ask(world(ALICE), item(**bad)) == (Reason.UNEVALUABLE, None)


def test_an_item_of_the_moment_is_judged() -> None:
    """Only what is after T cannot be judged."""
    assert ask(world(ALICE), item(created_at=T)) == ALLOW


def test_a_bad_clause_is_unevaluable_for_the_party() -> None:
    """Nothing fails open: it matches always, wherever it would have matched."""
    bad = Clause("bad", None, purposes=("infer",))
    state = world(ALICE, holds=(Hold("h", (bad,)),))
    assert ask(state) == (Reason.UNEVALUABLE, AUTHOR)


def test_a_bad_clause_of_a_replaced_version_does_not_count() -> None:
    """Only versions that count matter: v10 was replaced before the item."""
    old = version(10, 0, Clause("bad", None))
    both = (Notice("v10", day(0)), Notice("v11", day(5)))
    assert ask(world(alice(notices=both), policies=(old, version(11, 5)))) == ALLOW


def test_nobody_named_means_nobody_agreed() -> None:
    """`no_parties` has no role."""
    assert ask(world(ALICE), item(parties=())) == (Reason.NO_PARTIES, None)


# Who.


@pytest.mark.parametrize("who", ["bob", None])
def test_a_stranger_is_an_unknown_party(who: str | None) -> None:
    """Every party must be a known subject."""
    assert ask(world(ALICE), item(parties=(Party(who, AUTHOR),))) == (Reason.UNKNOWN_PARTY, AUTHOR)


def test_a_known_non_member_is_an_unknown_party() -> None:
    """A known non-member can only refuse."""
    assert reason(world(alice(member=False))) == Reason.UNKNOWN_PARTY


def test_the_smallest_reason_then_role_is_the_items() -> None:
    """The item's reason is the smallest over its parties by (order, role)."""
    parties = (Party("alice", AUTHOR), Party("x", Role.MEMBER), Party("y", Role.RECIPIENT))
    of = item(parties=parties)
    assert ask(world(alice(lines=())), of) == (Reason.UNKNOWN_PARTY, Role.RECIPIENT)


def test_an_unknown_age_denies() -> None:
    """No birth year, or one recorded as not known."""
    assert reason(world(alice(facts=(US,)))) == Reason.AGE_UNKNOWN
    unknown = fact(FactKind.BIRTH_YEAR, None, recorded=50)
    assert reason(world(alice(facts=(US, BORN, unknown)))) == Reason.AGE_UNKNOWN


@pytest.mark.parametrize(("born", "expected"), [(2006, Reason.MINOR), (2005, None)])
def test_a_minor_is_18_or_less_by_years(born: int, expected: Reason | None) -> None:
    """year(created_at) - birth year <= 18; the item is of 2024."""
    assert reason(world(alice(facts=(US, fact(FactKind.BIRTH_YEAR, born))))) == expected


def test_the_regional_age_may_be_higher() -> None:
    """... or below the regional table's age."""
    state = world(ALICE, regions=(replace(TABLE, ages={"US": 44}),))
    assert reason(state) == Reason.MINOR
    assert reason(world(ALICE, regions=(replace(TABLE, ages={"US": 43}),))) is None


# Holds, regions, contracts.


def test_a_hold_denies_those_it_matches() -> None:
    """A hold matches facts then or now; a jurisdiction covers its subdivisions."""
    hold = Hold("h", (replace(NEVER, jurisdictions=("US",)),))
    before, after = ("US-CA", until(200)), ("DE", since(200))
    moved = (BORN, *(fact(FactKind.JURISDICTION, *where) for where in (before, after)))
    assert reason(world(ALICE, holds=(hold,))) == Reason.HOLD
    assert reason(world(alice(facts=moved), holds=(hold,))) == Reason.HOLD
    german = (fact(FactKind.JURISDICTION, "DE"), BORN)
    assert reason(world(alice(facts=german), holds=(hold,))) is None


def test_an_unknown_jurisdiction_never_permits() -> None:
    """Unknown jurisdiction denies as `region`: none, none now, or not in the table."""
    gone = fact(FactKind.JURISDICTION, "US", until(500))
    absurd = fact(FactKind.JURISDICTION, "ZZ")
    for facts in ((BORN,), (BORN, gone), (BORN, absurd)):
        assert reason(world(alice(facts=facts))) == Reason.REGION


def test_a_table_is_needed_now_but_not_then() -> None:
    """No table of then is silent; no table now is `region`."""
    assert reason(world(ALICE, regions=())) == Reason.REGION
    assert reason(world(ALICE, regions=(replace(TABLE, published_at=day(500)),))) is None


def test_a_table_of_then_is_not_cured() -> None:
    """(facts then, terms then) counts beside those of now."""
    strict = replace(TABLE, clauses=(replace(NEVER, recipients=("controller",)),))
    policies = two_versions(NEEDS_GRANT, NEEDS_GRANT)
    regions = (strict, replace(TABLE, published_at=day(500)))
    state = world(alice(notices=BOTH), policies=policies, regions=regions)
    assert reason(state) == Reason.REGION
    assert reason(state, item(created_at=day(500))) is None


def test_a_loosened_table_waits_for_its_version() -> None:
    """Whoever has no notice of the version that came with it stays under the table before (R20)."""
    strict = replace(TABLE, clauses=(replace(NEVER, recipients=("controller",)),))
    policies = two_versions(NEEDS_GRANT, NEEDS_GRANT)
    regions = (strict, replace(TABLE, published_at=day(500)))
    state = world(ALICE, policies=policies, regions=regions)
    assert reason(state, item(created_at=day(550))) == Reason.REGION
    tightened = (TABLE, replace(strict, published_at=day(500)))
    state = world(ALICE, policies=policies, regions=tightened)
    assert reason(state, item(created_at=day(550))) == Reason.REGION
    assert reason(state, item(created_at=day(450))) == Reason.REGION


def test_two_facts_that_count_must_both_permit() -> None:
    """A fact displaces an earlier one from its recording on; before, the stricter decides."""
    strict = replace(TABLE, clauses=(replace(NEVER, jurisdictions=("US",)),))
    corrected = fact(FactKind.JURISDICTION, "DE", recorded=200)
    state = world(alice(facts=(US, BORN, corrected)), regions=(strict,))
    assert reason(state, item(created_at=day(199))) == Reason.REGION
    assert reason(state, item(created_at=day(200))) is None


ACME = fact(FactKind.CONTRACT, "acme")


def test_a_contract_without_terms_denies() -> None:
    """A contract without terms denies as `contract`; so do terms published after the item."""
    staff = alice(facts=(US, BORN, ACME))
    assert reason(world(staff)) == Reason.CONTRACT
    assert reason(world(staff, contracts={"acme": (Terms("acme", day(101), ()),)})) == (
        Reason.CONTRACT
    )
    assert reason(world(staff, contracts={"acme": (Terms("acme", day(100), ()),)})) is None


def test_an_amendment_lifts_a_contracts_never_for_its_period() -> None:
    """Only a contract's may be lifted, by an amendment which names that period."""
    terms = {"acme": (Terms("acme", day(0), (NEVER,)),)}
    for span, expected in ((until(101), None), (until(100), Reason.CONTRACT)):
        signed = Amendment("acme", "train.generative", "message.*", "us", span)
        staff = alice(facts=(US, BORN, ACME), amendments=(signed,))
        assert reason(world(staff, contracts=terms)) == expected
        assert reason(world(staff)) == expected  # "contract without terms" is lifted likewise


def test_an_amended_never_still_requires_a_grant() -> None:
    """The lifted never requires `grant`, where the policy asked for notice only."""
    signed = Amendment("acme", "infer", "*", "us", ALWAYS)
    staff = alice(facts=(US, BORN, ACME), amendments=(signed,), lines=())
    noticed = (version(10, 0, Clause("notice", Level.NOTICE)),)
    terms = {"acme": (Terms("acme", day(0), (NEVER,)),)}
    state = world(staff, policies=noticed, contracts=terms)
    assert reason(state, request=Request("infer", "us")) == Reason.NO_GRANT


# Policy.


def two_versions(first: Clause, second: Clause) -> tuple[PolicyVersion, ...]:
    """Return versions of day 0 and of day 500."""
    return version(10, 0, first), version(600, 500, second)


BOTH = (Notice("v10", day(0)), Notice("v600", day(500)))


def test_what_was_prohibited_then_is_not_cured() -> None:
    """A `never` that counts *then* is not cured by a loosening in force now."""
    state = world(alice(notices=BOTH), policies=two_versions(NEVER, NEEDS_GRANT))
    assert reason(state) == Reason.PROHIBITED_THEN
    assert reason(state, item(created_at=day(500))) is None


def test_a_tightening_acts_at_once() -> None:
    """Every later version published counts, noticed or not."""
    state = world(ALICE, policies=two_versions(NEEDS_GRANT, NEVER))
    assert reason(state) == Reason.PROHIBITED_NOW


def test_a_loosening_acts_only_when_in_force() -> None:
    """The old version counts until the new one is in force for the subject."""
    old = replace(NEVER, span=since(100))  # silent on nothing: it forbids the item, then and now
    state = world(ALICE, policies=two_versions(old, NEEDS_GRANT))
    assert reason(state, item(created_at=day(600))) == Reason.PROHIBITED_THEN
    noticed = world(alice(notices=BOTH), policies=two_versions(old, NEEDS_GRANT))
    assert reason(noticed, item(created_at=day(600))) is None


def test_silence_now_is_never() -> None:
    """None published, or one that counts is silent on the request."""
    other = Clause("c", Level.NOTHING, purposes=("infer",))
    assert reason(world(ALICE, policies=())) == Reason.NOT_FORESEEN_NOW
    state = world(ALICE, policies=two_versions(NEEDS_GRANT, other))
    assert reason(state) == Reason.NOT_FORESEEN_NOW


def test_silence_in_one_counting_jurisdiction_is_silence() -> None:
    """Where two facts count, each must permit."""
    only_us = replace(NEEDS_GRANT, jurisdictions=("US",))
    also = fact(FactKind.JURISDICTION, "DE", until(101), recorded=300)
    state = world(alice(facts=(US, BORN, also)), policies=(version(10, 0, only_us),))
    assert reason(state) == Reason.NOT_FORESEEN_THEN
    assert reason(state, item(created_at=day(101))) is None


@pytest.mark.parametrize("window", [0, 30])
def test_a_notice_counts_when_its_window_has_run(window: int) -> None:
    """Once n + objection window <= t; before, silence then: only an earlier period counts."""
    policies = (version(10, 0, window=window * DAY),)
    state = world(alice(notices=(Notice("v10", day(100)),)), policies=policies)
    before, after = item(created_at=day(100 + window) - 1), item(created_at=day(100 + window))
    assert reason(state, before) == Reason.NOT_FORESEEN_THEN
    assert reason(state, after) is None


def test_a_notice_with_the_registration_needs_no_window() -> None:
    """Lead time still counts."""
    policies = (version(10, 0, window=30 * DAY, effective_at=day(20)),)
    assert reason(world(ALICE, policies=policies), item(created_at=day(20))) is None
    state = world(ALICE, policies=policies)
    assert reason(state, item(created_at=day(20) - 1)) == Reason.NOT_FORESEEN_THEN


def test_without_notice_nothing_is_in_force() -> None:
    """`notice_not_in_force`: otherwise, none in force; needed even where a notice is enough."""
    policies = (version(10, 0, Clause("n", Level.NOTHING)),)
    unnoticed = world(alice(notices=()), policies=policies)
    infer = Request("infer", "us")
    assert reason(unnoticed) == Reason.NOTICE_NOT_IN_FORCE
    assert reason(unnoticed, request=infer) == Reason.NOTICE_NOT_IN_FORCE
    assert reason(world(alice(lines=()), policies=policies), request=infer) is None


def test_an_objection_to_a_version_keeps_off_later_ones() -> None:
    """... until the subject takes it back; one to an unknown version is before all of them."""
    noticed = alice(notices=(Notice("v600", day(500)),))
    policies = two_versions(NEEDS_GRANT, NEEDS_GRANT)
    for name in ("v10", "v600", "v?"):
        objection = Objection(name, since(600))
        state = world(replace(noticed, objections=(objection,)), policies=policies)
        assert reason(state, item(created_at=day(550))) == Reason.NOTICE_NOT_IN_FORCE
        taken_back = Objection(name, Span(day(600), day(700)))
        state = world(replace(noticed, objections=(taken_back,)), policies=policies)
        assert reason(state, item(created_at=day(550))) is None
        assert reason(state, item(created_at=day(650))) == Reason.NOT_FORESEEN_THEN


# Choices.


def test_an_objection_and_a_withdrawal_deny() -> None:
    """An unanswered one denies; the objection is named first."""
    withdraw, object_ = refusal(Act.WITHDRAW, 20), refusal(Act.OBJECT, 20)
    assert reason(world(alice(lines=(grant(), withdraw)))) == Reason.WITHDRAWN
    assert reason(world(alice(lines=(grant(), withdraw, object_)))) == Reason.OBJECTED


def test_an_unanswered_refusal_denies_at_every_level() -> None:
    """Even where nothing is required."""
    policies = (version(10, 0, Clause("n", Level.NOTHING)),)
    state = world(alice(lines=(refusal(Act.OBJECT, 20),)), policies=policies)
    assert reason(state, request=Request("infer", "us")) == Reason.OBJECTED


def test_withdraw_everything_then_grant_posts() -> None:
    """Posts are permitted."""
    lines = (refusal(Act.WITHDRAW, 20), grant(30, pattern="post.*"))
    state = world(alice(lines=lines))
    assert reason(state, item(data_class="post.public")) is None
    assert reason(state) == Reason.WITHDRAWN


def test_withdraw_messages_then_grant_everything() -> None:
    """Messages stay withdrawn."""
    state = world(alice(lines=(refusal(Act.WITHDRAW, 20, pattern="message.*"), grant(30))))
    assert reason(state) == Reason.WITHDRAWN
    assert reason(state, item(data_class="post.public")) is None


def test_later_is_by_recorded_order() -> None:
    """Time does not decide: the index does."""
    lines = (refusal(Act.WITHDRAW, 20), replace(grant(20), index=119))
    assert reason(world(alice(lines=lines))) == Reason.WITHDRAWN
    lines = (refusal(Act.WITHDRAW, 20), replace(grant(20), index=121))
    assert reason(world(alice(lines=lines))) is None


def test_a_grant_must_lie_within_the_period_of_a_refusal() -> None:
    """A grant from day 30 reaches beyond a withdrawal that ends on day 200."""
    withdraw = refusal(Act.WITHDRAW, 20, span=until(200))
    wide, narrow = grant(30), grant(30, span=until(200))
    assert reason(world(alice(lines=(withdraw, wide)))) == Reason.WITHDRAWN
    assert reason(world(alice(lines=(withdraw, narrow)))) is None


def test_a_sensitive_item_needs_an_explicit_grant_for_each_category() -> None:
    """A floor; unknown sensitivity matches no grant."""
    of = item(categories=frozenset({"health", "faith"}))
    assert reason(world(ALICE), of) == Reason.SENSITIVE
    half = grant(explicit=True, categories=frozenset({"health"}))
    whole = grant(explicit=True, categories=frozenset({"health", "faith", "union"}))
    assert reason(world(alice(lines=(half,))), of) == Reason.SENSITIVE
    assert reason(world(alice(lines=(whole,))), of) is None
    assert reason(world(alice(lines=(whole,))), item(categories=None)) == Reason.SENSITIVE
    assert reason(world(alice(lines=())), of) == Reason.SENSITIVE


def test_silence_then_needs_an_earlier_period() -> None:
    """Only a grant whose earlier period was asked for separately counts."""
    late = alice(notices=(Notice("v10", day(200)),))
    assert reason(world(late)) == Reason.NOT_FORESEEN_THEN
    assert reason(world(replace(late, lines=(earlier(300),)))) is None
    assert reason(world(replace(late, lines=(earlier(100),)))) == Reason.NOT_FORESEEN_THEN
    changed = earlier(300, text="h0")
    assert reason(world(replace(late, lines=(changed,)))) == Reason.GRANT_TEXT_CHANGED


def test_no_grant_is_one_of_another_scope() -> None:
    """A grant for one recipient, purpose or class never reaches another."""
    others = (
        grant(recipient="them"),
        grant(purpose="train.ranking"),
        grant(pattern="post.*"),
    )
    for other in others:
        assert reason(world(alice(lines=(other,)))) == Reason.NO_GRANT


def test_a_floor_asks_for_a_grant_where_the_policy_does_not() -> None:
    """Purposes marked training have the floor `grant`."""
    policies = (version(10, 0, Clause("n", Level.NOTHING)),)
    assert reason(world(alice(lines=()), policies=policies)) == Reason.NO_GRANT


def test_a_grant_does_not_cover_classes_registered_later() -> None:
    """A grant's pattern covers only classes that were registered when it was recorded."""
    state = world(ALICE, data_classes={"message.direct": 110})
    assert reason(state) == Reason.NO_GRANT
    assert reason(world(ALICE, data_classes={"message.direct": 109})) is None


def test_a_grants_period_starts_at_its_recording() -> None:
    """Unless an earlier period was asked for; no line spans it."""
    assert reason(world(ALICE), item(created_at=day(10) - 1)) == Reason.GRANT_NOT_FOR_PERIOD
    assert reason(world(ALICE), item(created_at=day(10))) is None
    past = world(alice(lines=(earlier(10),)))
    assert reason(past, item(created_at=day(10))) == Reason.GRANT_NOT_FOR_PERIOD
    assert reason(past, item(created_at=day(10) - 1)) is None


def test_a_grants_text_must_be_listed_ever_since() -> None:
    """From the newest version when it was recorded to the newest, in force or not."""
    changed = version(600, 500, texts={("s", "en"): "h2"})
    back = version(700, 600)
    state = world(ALICE, policies=(version(10, 0), changed, back))
    assert reason(state) == Reason.GRANT_TEXT_CHANGED
    renewed = alice(lines=(grant(), earlier(700, index=800)))
    state = world(renewed, policies=(version(10, 0), changed, back))
    assert reason(state) is None
    before = version(111, 0)  # published, in the order recorded, only after the grant
    noticed = alice(notices=(Notice("v111", day(0)),))
    assert reason(world(noticed, policies=(before,))) == Reason.GRANT_TEXT_CHANGED


def test_a_grant_may_expire_and_then_revives_nothing() -> None:
    """Expired at T, it neither permits nor answers."""
    dead = grant(expires_at=T)
    assert reason(world(alice(lines=(dead,)))) == Reason.GRANT_EXPIRED
    assert reason(world(alice(lines=(grant(expires_at=T + 1),)))) is None
    withdraw = refusal(Act.WITHDRAW, 5)
    assert reason(world(alice(lines=(withdraw, dead)))) == Reason.WITHDRAWN


# Quoted parties.


def quoted(data_class: str | None, created_at: Time | None) -> Item:
    """Return an item that quotes Alice."""
    return item(parties=(Party("alice", Role.QUOTED, data_class, created_at),))


def test_what_is_quoted_is_judged_by_its_own_class_and_time() -> None:
    """A quoted party carries the class and time of what is quoted."""
    state = world(alice(lines=(grant(pattern="post.*"),)))
    assert ask(state, quoted("post.public", day(10))) == ALLOW
    early = (Reason.GRANT_NOT_FOR_PERIOD, Role.QUOTED)
    assert ask(state, quoted("post.public", day(9))) == early
    assert ask(state, quoted("message.group", day(10))) == (Reason.NO_GRANT, Role.QUOTED)


def test_a_bad_quote_is_unevaluable_with_its_role() -> None:
    """Later than the item, or of an unknown class."""
    unevaluable = (Reason.UNEVALUABLE, Role.QUOTED)
    assert ask(world(ALICE), quoted("post.public", day(100) + 1)) == unevaluable
    assert ask(world(ALICE), quoted("post.public", BEGINNING)) == unevaluable
    assert ask(world(ALICE), quoted("smell", day(50))) == unevaluable


def test_a_quote_of_an_unknown_time_needs_all_the_past() -> None:
    """If these are unknown it needs a grant for all the past."""
    assert ask(world(ALICE), quoted("post.public", None))[0] == Reason.NOT_FORESEEN_THEN
    everything = world(alice(lines=(earlier(500),)))
    assert ask(everything, quoted("post.public", None)) == ALLOW
    gap = earlier(500, span=Span(day(-4000)))
    state = world(alice(lines=(gap,)))
    assert ask(state, quoted("post.public", None))[0] == Reason.NOT_FORESEEN_THEN


def test_a_quote_of_an_unknown_class_needs_all_classes() -> None:
    """The strictest over all registered classes."""
    assert ask(world(ALICE), quoted(None, day(50))) == ALLOW
    state = world(alice(lines=(grant(pattern="message.*"),)))
    assert ask(state, quoted(None, day(50))) == (Reason.NO_GRANT, Role.QUOTED)
