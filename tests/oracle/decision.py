"""The decision, a second time: slow and obvious, written from decision.md's text alone.

An oracle to test the implementations against. It evaluates every reason for every party as a
function of its own and takes the minimum afterwards: no early exit, no caching, nothing shared
with the production code but the value types. "Settled" marks a reading the team agreed on where
decision.md leaves room; "Oracle's reading" marks one taken here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from letterlock.domain import (
    ADULT_AGE,
    ANY,
    BEGINNING,
    END,
    PURPOSES,
    Act,
    Clause,
    Fact,
    FactKind,
    Item,
    Level,
    Line,
    Notice,
    Party,
    PolicyVersion,
    Reason,
    Recipient,
    RegionTable,
    Request,
    Role,
    Span,
    State,
    Subject,
    Terms,
    Time,
    covers,
    is_training,
    within,
    year_of,
)


@dataclass(frozen=True)
class Case:
    """One party's side of the question: one class, at one time, asked as of T."""

    state: State
    purpose: str
    recipient: Recipient
    subject: Subject
    data_class: str
    at: Time  # "then": created_at of what is this party's
    age_at: Time  # the created_at at which age is judged (differs from `at` for unknown times only)
    own_categories: frozenset[str] | None  # the item's

    @property
    def now(self) -> Time:
        """Return T."""
        return self.state.rules.as_of


Corner = tuple[str | None, str | None]
"""One counting jurisdiction (None: unknown) with one counting contract (None: no contract)."""


# ---------------------------------------------------------------------------------------------
# "Facts (jurisdiction, birth year, contract) have a validity."


def displaces(later: Fact, earlier: Fact, t: Time) -> bool:
    """Say whether `later` displaces `earlier` at t.

    "A fact recorded later displaces an earlier one only within its own validity and from its
    recording on".
    """
    return (
        later.kind == earlier.kind
        and later.order > earlier.order
        and t in later.span
        and later.recorded_at <= t
    )


def counting_facts(subject: Subject, kind: FactKind, t: Time) -> list[Fact]:
    """List the facts of a kind that count at t.

    Settled: those valid at t, except one displaced by a fact of the same kind with a higher order
    that is valid at t and whose recorded_at <= t. Several may count: "where two count, the
    stricter decides" (settled: each must permit).
    """
    return [
        fact
        for fact in subject.facts
        if fact.kind == kind
        and t in fact.span
        and not any(displaces(other, fact, t) for other in subject.facts)
    ]


def jurisdictions(subject: Subject, t: Time) -> set[str | None]:
    """Return every jurisdiction counting at t; None is an unknown one.

    Settled: no jurisdiction fact counting = unknown jurisdiction.
    """
    facts = counting_facts(subject, FactKind.JURISDICTION, t)
    if not facts:
        return {None}
    return {None if fact.value is None else str(fact.value) for fact in facts}


def contracts(subject: Subject, t: Time) -> set[str | None]:
    """Return every contract counting at t; None is no contract.

    Settled: no contract fact counting, or value None = no contract.
    """
    facts = counting_facts(subject, FactKind.CONTRACT, t)
    if not facts:
        return {None}
    return {None if fact.value is None else str(fact.value) for fact in facts}


def birth_years(subject: Subject, t: Time) -> list[int | None]:
    """Return every birth year counting at t; None is an unknown one.

    Settled: birth year None or none counting = unknown.
    """
    facts = counting_facts(subject, FactKind.BIRTH_YEAR, t)
    if not facts:
        return [None]
    return [None if fact.value is None else int(fact.value) for fact in facts]


def corners(subject: Subject, t: Time) -> list[Corner]:
    """Return every combination of a jurisdiction and a contract counting at t."""
    return [(j, c) for j in jurisdictions(subject, t) for c in contracts(subject, t)]


# ---------------------------------------------------------------------------------------------
# "A clause matches on (data class, purpose, recipient or recipient class, jurisdiction, contract,
# period of created_at) and requires a level."


def jurisdiction_matches(pattern: str, jurisdiction: str | None) -> bool:
    """Say whether a clause's jurisdiction covers one (settled: itself and its subdivisions).

    Oracle's reading: an unknown jurisdiction is covered by `*` only (it denies as region anyway).
    """
    if pattern == ANY:
        return True
    if jurisdiction is None:
        return False
    return jurisdiction == pattern or jurisdiction.startswith(pattern + "-")


def matches(clause: Clause, case: Case, corner: Corner) -> bool:
    """Say whether a clause matches one party's side of the request at one corner of facts.

    Settled: the span is compared with the time of the data, for then and for now; an unreadable
    clause matches always.
    """
    if clause.level is None:
        return True
    jurisdiction, contract = corner
    recipient = case.recipient
    names = (ANY, recipient.id, recipient.recipient_class.value)
    return (
        any(covers(pattern, case.data_class) for pattern in clause.data_classes)
        and any(covers(pattern, case.purpose) for pattern in clause.purposes)
        and any(name in names for name in clause.recipients)
        and any(jurisdiction_matches(pattern, jurisdiction) for pattern in clause.jurisdictions)
        and any(name in (ANY, contract) for name in clause.contracts)
        and case.at in clause.span
    )


def level_of(clause: Clause) -> Level:
    """Return what a clause requires; an unreadable one everything (its party is unevaluable)."""
    return Level.NEVER if clause.level is None else clause.level


def levels(clauses: Iterable[Clause], case: Case, corner: Corner) -> list[Level]:
    """Return the levels that the matching ones among `clauses` require at a corner."""
    return [level_of(clause) for clause in clauses if matches(clause, case, corner)]


# ---------------------------------------------------------------------------------------------
# "A version is in force for a subject at t when its lead time has passed, its notice was recorded
# as delivered to that subject at n, n + objection window <= t, and the subject has not objected to
# it or to a version before it."


def notice_has_run(notice: Notice, version: PolicyVersion, t: Time) -> bool:
    """Say whether a notice of a version was delivered and its window has run by t.

    "A notice recorded with the subject's registration needs no window". Settled: it must have
    been recorded at or after the publication.
    """
    window = 0 if notice.at_registration else version.window
    return (
        notice.version == version.version
        and notice.recorded_at >= version.published_at
        and notice.recorded_at + window <= t
    )


def objected_to(case: Case, position: int, t: Time) -> bool:
    """Say whether the subject objects at t to the version at a position or to one before it.

    Settled: an objection to a version that is not among the policies is one before all of them.
    """
    known = [version.version for version in case.state.rules.policies]
    reached = known[: position + 1]
    return any(
        t in objection.span and (objection.version in reached or objection.version not in known)
        for objection in case.subject.objections
    )


def is_in_force(case: Case, position: int, t: Time) -> bool:
    """Say whether the version at a position could be in force for the subject at t."""
    version = case.state.rules.policies[position]
    return (
        version.published_at <= t
        and version.effective_at <= t
        and any(notice_has_run(notice, version, t) for notice in case.subject.notices)
        and not objected_to(case, position, t)
    )


def in_force(case: Case, t: Time) -> int | None:
    """Return the position of the version in force for the subject at t (settled: the latest)."""
    positions = range(len(case.state.rules.policies))
    candidates = [position for position in positions if is_in_force(case, position, t)]
    return max(candidates) if candidates else None


def published(case: Case, t: Time) -> list[int]:
    """Return the positions of all versions published by t."""
    policies = case.state.rules.policies
    return [i for i in range(len(policies)) if policies[i].published_at <= t]


def counting_versions(case: Case, t: Time) -> list[PolicyVersion]:
    """List the versions that count at t.

    "At a time t, the version in force for the subject counts, and so does every later version
    published by t, noticed or not". Settled: none in force = all versions published by t.
    """
    current = in_force(case, t)
    oldest = 0 if current is None else current
    return [case.state.rules.policies[i] for i in published(case, t) if i >= oldest]


def policy_levels(case: Case, t: Time) -> list[Level]:
    """Return what the clauses of the versions counting at t require, with the facts of t."""
    return [
        level
        for version in counting_versions(case, t)
        for corner in corners(case.subject, t)
        for level in levels(version.clauses, case, corner)
    ]


def a_version_is_silent(case: Case, t: Time) -> bool:
    """Say whether a version that counts at t is silent on the request.

    Settled: for every combination of jurisdiction and contract; silent in any of them = silent.
    """
    return any(
        not levels(version.clauses, case, corner)
        for version in counting_versions(case, t)
        for corner in corners(case.subject, t)
    )


# "Silence."


def silence_now(case: Case) -> bool:
    """*Now*: "no version in force for the subject, or one that counts and is silent": never."""
    return in_force(case, case.now) is None or a_version_is_silent(case, case.now)


def silence_then(case: Case) -> bool:
    """*Then*: "no version in force, or one that counts and is silent": at least grant."""
    return in_force(case, case.at) is None or a_version_is_silent(case, case.at)


# ---------------------------------------------------------------------------------------------
# "Contracts and the regional table count as (facts then, terms then), (facts then, terms now) and
# (facts now, terms now)."


def pairings(then: Time, now: Time) -> list[tuple[Time, Time]]:
    """Return the three (time of the facts, time of the terms) that count."""
    return [(then, then), (then, now), (now, now)]


# "The table (terms) *of t* are those that stood when the version in force for the subject at t was
# published, and each published later by t; without a version in force, all that were published by
# t. The strictest decides." (ADR 0015)


def of_t(case: Case, history: Sequence[Any], t: Time) -> list[Any]:
    """Return the tables or terms of t, oldest first."""
    by_then = [each for each in history if each.published_at <= t]
    current = in_force(case, t)
    if current is None:
        return by_then
    begun = case.state.rules.policies[current].published_at
    while len(by_then) > 1 and by_then[1].published_at <= begun:
        by_then.pop(0)  # the next one stood in its place before the version was published
    return by_then


def terms_at(case: Case, contract: str, t: Time) -> list[Terms]:
    """Return the terms of t of a contract."""
    return of_t(case, case.state.rules.contracts.get(contract, ()), t)


def is_amended(case: Case, contract: str) -> bool:
    """Say whether the subject signed an amendment of this contract for this request and period.

    Settled: contract, purpose, recipient equal, pattern covers, created_at in its span.
    """
    return any(
        amendment.contract == contract
        and amendment.purpose == case.purpose
        and amendment.recipient == case.recipient.id
        and covers(amendment.pattern, case.data_class)
        and case.at in amendment.span
        for amendment in case.subject.amendments
    )


def lifted(case: Case, contract: str, level: Level) -> Level:
    """Return a contract's level after amendments (settled: its never requires grant instead)."""
    if level == Level.NEVER and is_amended(case, contract):
        return Level.GRANT
    return level


def contract_levels(case: Case) -> list[Level]:
    """Return what the subject's contracts require, amendments considered.

    "A contract without terms denies as `contract`" (settled: an amendment lifts that too).
    Settled: clauses are matched with that contract and each counting jurisdiction.
    """
    found: list[Level] = []
    for facts_time, terms_time in pairings(case.at, case.now):
        for contract in contracts(case.subject, facts_time):
            if contract is None:
                continue
            every = terms_at(case, contract, terms_time)
            if not every:
                found.append(lifted(case, contract, Level.NEVER))
            for terms in every:
                for jurisdiction in jurisdictions(case.subject, facts_time):
                    for level in levels(terms.clauses, case, (jurisdiction, contract)):
                        found.append(lifted(case, contract, level))
    return found


def tables_at(case: Case, t: Time) -> list[RegionTable]:
    """Return the regional tables of t."""
    return of_t(case, case.state.rules.regions, t)


def region_levels(case: Case) -> list[Level]:
    """Return what the regional table requires; an unknown jurisdiction is a never.

    Settled: if no table had been published then, the table of then is silent; now, no table is a
    never. A jurisdiction that is not a key of the table's ages is unknown to that table.
    """
    found: list[Level] = []
    if not tables_at(case, case.now):
        found.append(Level.NEVER)
    for facts_time, table_time in pairings(case.at, case.now):
        for jurisdiction in jurisdictions(case.subject, facts_time):
            if jurisdiction is None:
                found.append(Level.NEVER)
            for table in tables_at(case, table_time):
                if jurisdiction not in table.ages:
                    found.append(Level.NEVER)
                for contract in contracts(case.subject, facts_time):
                    found.extend(levels(table.clauses, case, (jurisdiction, contract)))
    return found


# "Holds in force at T match facts then or now".


def hold_levels(case: Case) -> list[Level]:
    """Return what the holds in force at T require, with the facts then and with those now."""
    return [
        level
        for hold in case.state.rules.holds
        for t in (case.at, case.now)
        for corner in corners(case.subject, t)
        for level in levels(hold.clauses, case, corner)
    ]


# "Floors".


def categories_of_class(case: Case) -> set[str]:
    """Return what any version published by T declares of the class of this moment.

    "Once any version published by T has, those categories belong to every item of the class, made
    before or after, for ever". (Every version of the state's rules was published by T.)
    """
    found: set[str] = set()
    for version in case.state.rules.policies:
        for data_class, categories in version.sensitive.items():
            if data_class == case.data_class:
                found.update(categories)
    return found


def asked_categories(case: Case) -> set[str] | None:
    """Return the item's own categories and those of the class; "unknown stay unknown"."""
    if case.own_categories is None:
        return None
    return set(case.own_categories) | categories_of_class(case)


def is_sensitive(case: Case) -> bool:
    """Say whether a sensitive category is asked about, or whether that is unknown."""
    categories = asked_categories(case)
    return categories is None or len(categories) > 0


def floor_levels(case: Case) -> list[Level]:
    """Return what the built-in floors require."""
    found = [Level.NOTHING]
    if is_training(case.purpose):
        found.append(Level.GRANT)
    if is_sensitive(case):
        found.append(Level.EXPLICIT_GRANT)
    return found


def silence_levels(case: Case) -> list[Level]:
    """Return what silence requires: now never, then at least grant."""
    found: list[Level] = []
    if silence_now(case):
        found.append(Level.NEVER)
    if silence_then(case):
        found.append(Level.GRANT)
    return found


def needed(case: Case) -> Level:
    """Return the level needed: "the maximum over all matching clauses of all sources"."""
    return max(
        policy_levels(case, case.at)
        + policy_levels(case, case.now)
        + contract_levels(case)
        + region_levels(case)
        + hold_levels(case)
        + floor_levels(case)
        + silence_levels(case)
    )


# ---------------------------------------------------------------------------------------------
# "What was said: choices"


def recipient_lies_within(recipient: Recipient, line: Line) -> bool:
    """Say whether a line names this recipient: "a recipient lies within itself, its class and `*`".

    A grant names one recipient and nothing wider.
    """
    if line.recipient == recipient.id:
        return True
    if line.act == Act.GRANT:
        return False
    return line.recipient == ANY or line.recipient == recipient.recipient_class.value


def in_scope(line: Line, case: Case) -> bool:
    """Say whether a line's purpose, pattern and recipient cover the request, time aside.

    "A grant's pattern covers only classes that were registered when it was recorded"; a refusal
    "covers later classes too".
    """
    if line.act == Act.GRANT and not case.state.rules.data_classes[case.data_class] < line.index:
        return False
    return (
        covers(line.purpose, case.purpose)
        and covers(line.pattern, case.data_class)
        and recipient_lies_within(case.recipient, line)
    )


def covers_request(line: Line, case: Case) -> bool:
    """Say whether a line covers the request, its period of created_at included."""
    return in_scope(line, case) and case.at in line.reach()


def considered_grants(case: Case) -> list[Line]:
    """List the grants that are considered at all.

    "and only a grant whose earlier period was asked for separately counts". Settled: in silence
    then, only grants with `earlier` are considered, whatever the question.
    """
    grants = [line for line in case.subject.lines if line.act == Act.GRANT]
    if silence_then(case):
        return [line for line in grants if line.earlier]
    return grants


def covering_refusals(case: Case) -> list[Line]:
    """List the withdrawals and objections that cover the request."""
    return [
        line
        for line in case.subject.lines
        if line.act in (Act.WITHDRAW, Act.OBJECT) and covers_request(line, case)
    ]


def text_counts(line: Line, case: Case) -> bool:
    """Say whether a grant's text counts.

    "while its hash is listed in every version from the newest published when it was recorded to
    the newest published by T, in force or not". Settled: from the newest version with index <
    line.index (none: it does not count) to the newest in policies.
    """
    policies = case.state.rules.policies
    earlier = [i for i in range(len(policies)) if policies[i].index < line.index]
    if not earlier:
        return False
    return all(line.text in version.texts.values() for version in policies[max(earlier) :])


def is_unexpired(line: Line, case: Case) -> bool:
    """Say whether a grant has not expired at T."""
    return line.expires_at > case.now


def lies_within(grant: Line, refusal: Line, case: Case) -> bool:
    """Say whether a grant lies within the scope of a refusal.

    Settled: pattern and purpose by `within`, and its effective period in the refusal's. Whom the
    grant names must be registered, for its class to be known.
    """
    named = case.state.rules.recipients.get(grant.recipient)
    return (
        within(grant.pattern, refusal.pattern)
        and within(grant.purpose, refusal.purpose)
        and named is not None
        and recipient_lies_within(named, refusal)
        and grant.reach().lies_in(refusal.span)
    )


def answers(grant: Line, refusal: Line, case: Case) -> bool:
    """Say whether a grant is later than a refusal (settled: by index) and within its scope."""
    return grant.index > refusal.index and lies_within(grant, refusal, case)


def permits(grant: Line, case: Case) -> bool:
    """Say whether one grant permits at level `grant`."""
    return (
        is_unexpired(grant, case)
        and text_counts(grant, case)
        and covers_request(grant, case)
        and all(answers(grant, refusal, case) for refusal in covering_refusals(case))
    )


def permitting_grants(case: Case) -> list[Line]:
    """List the grants that permit at level `grant`."""
    return [line for line in considered_grants(case) if permits(line, case)]


def is_explicit_for(grant: Line, case: Case) -> bool:
    """Say whether a grant is explicit and lists every category ("unknown ... matches none")."""
    categories = asked_categories(case)
    return grant.explicit and categories is not None and categories <= grant.categories


def unanswered(case: Case) -> list[Line]:
    """List the unanswered refusals: the covering ones "unless a grant permits at `grant`"."""
    return [] if permitting_grants(case) else covering_refusals(case)


# ---------------------------------------------------------------------------------------------
# "The answer": one function per reason.


def unevaluable(case: Case) -> bool:
    """Say whether a clause of a source that counts could not be read ("a bad ... clause").

    Settled: nothing is asked of somebody unknown, so no clause counts for them.
    """
    if unknown_party(case):
        return False
    clauses: list[Clause] = []
    for t in (case.at, case.now):
        for version in counting_versions(case, t):
            clauses.extend(version.clauses)
        for table in tables_at(case, t):
            clauses.extend(table.clauses)
    for facts_time, terms_time in pairings(case.at, case.now):
        for contract in contracts(case.subject, facts_time):
            for terms in [] if contract is None else terms_at(case, contract, terms_time):
                clauses.extend(terms.clauses)
    for hold in case.state.rules.holds:
        clauses.extend(hold.clauses)
    return any(clause.level is None for clause in clauses)


def no_parties(case: Case) -> bool:  # noqa: ARG001 - uniform with the other reasons
    """Never true of a party: an item without parties has no case at all."""
    return False


def unknown_party(case: Case) -> bool:
    """Say whether the party is not a known member (a known non-member is one, too)."""
    return not case.subject.member


def age_unknown(case: Case) -> bool:
    """Say whether a birth year is unknown, then or now (settled)."""
    years = birth_years(case.subject, case.age_at) + birth_years(case.subject, case.now)
    return any(year is None for year in years)


def minor(case: Case) -> bool:
    """Say whether the person was, or may have been, a minor.

    Settled: the limit is the greatest of 18 and the ages of the counting jurisdictions; a minor if
    year(created_at) - birth year <= limit for any birth year counting then or now.
    """
    limits = [ADULT_AGE]
    for facts_time, table_time in pairings(case.age_at, case.now):
        for table in tables_at(case, table_time):
            for jurisdiction in jurisdictions(case.subject, facts_time):
                if jurisdiction is not None and jurisdiction in table.ages:
                    limits.append(table.ages[jurisdiction])
    years = birth_years(case.subject, case.age_at) + birth_years(case.subject, case.now)
    return any(year is not None and year_of(case.age_at) - year <= max(limits) for year in years)


def hold(case: Case) -> bool:
    """Say whether a hold itself requires never."""
    return Level.NEVER in hold_levels(case)


def region(case: Case) -> bool:
    """Say whether the regional table itself requires never."""
    return Level.NEVER in region_levels(case)


def contract(case: Case) -> bool:
    """Say whether a contract itself requires never."""
    return Level.NEVER in contract_levels(case)


def prohibited_then(case: Case) -> bool:
    """Say whether a version that counts then itself requires never."""
    return Level.NEVER in policy_levels(case, case.at)


def not_foreseen_now(case: Case) -> bool:
    """Say whether none is published, or one that counts now is silent."""
    return not published(case, case.now) or a_version_is_silent(case, case.now)


def prohibited_now(case: Case) -> bool:
    """Say whether a version that counts now itself requires never."""
    return Level.NEVER in policy_levels(case, case.now)


def objected(case: Case) -> bool:
    """Say whether an objection is unanswered."""
    return any(line.act == Act.OBJECT for line in unanswered(case))


def withdrawn(case: Case) -> bool:
    """Say whether a withdrawal is unanswered."""
    return any(line.act == Act.WITHDRAW for line in unanswered(case))


def sensitive(case: Case) -> bool:
    """Say whether `explicit_grant` is needed and no permitting grant is explicit.

    Settled: needed is exactly EXPLICIT_GRANT; true also when there is no permitting grant at all.
    """
    return needed(case) == Level.EXPLICIT_GRANT and not any(
        is_explicit_for(grant, case) for grant in permitting_grants(case)
    )


def notice_not_in_force(case: Case) -> bool:
    """Say whether none is in force for the subject now ("otherwise": not_foreseen_now is less)."""
    return in_force(case, case.now) is None


def not_foreseen_then(case: Case) -> bool:
    """Say whether there is silence then, and no considered grant for scope and period."""
    return (
        needed(case) >= Level.GRANT
        and silence_then(case)
        and not any(covers_request(grant, case) for grant in considered_grants(case))
    )


def lacks_a_grant(case: Case) -> bool:
    """Say whether a grant is needed and none permits: when "the last four" may apply."""
    return needed(case) >= Level.GRANT and not permitting_grants(case)


def no_grant(case: Case) -> bool:
    """Say whether no grant passes the first stage: scope."""
    return lacks_a_grant(case) and not any(
        in_scope(grant, case) for grant in considered_grants(case)
    )


def grant_not_for_period(case: Case) -> bool:
    """Say whether no grant passes scope and period."""
    return lacks_a_grant(case) and not any(
        in_scope(grant, case) and case.at in grant.reach() for grant in considered_grants(case)
    )


def grant_text_changed(case: Case) -> bool:
    """Say whether no grant passes scope, period and text."""
    return lacks_a_grant(case) and not any(
        in_scope(grant, case) and case.at in grant.reach() and text_counts(grant, case)
        for grant in considered_grants(case)
    )


def grant_expired(case: Case) -> bool:
    """Say whether no grant passes scope, period, text and expiry."""
    return lacks_a_grant(case) and not any(
        in_scope(grant, case)
        and case.at in grant.reach()
        and text_counts(grant, case)
        and is_unexpired(grant, case)
        for grant in considered_grants(case)
    )


REASONS: dict[Reason, Callable[[Case], bool]] = {
    Reason.UNEVALUABLE: unevaluable,
    Reason.NO_PARTIES: no_parties,
    Reason.UNKNOWN_PARTY: unknown_party,
    Reason.AGE_UNKNOWN: age_unknown,
    Reason.MINOR: minor,
    Reason.HOLD: hold,
    Reason.REGION: region,
    Reason.CONTRACT: contract,
    Reason.PROHIBITED_THEN: prohibited_then,
    Reason.NOT_FORESEEN_NOW: not_foreseen_now,
    Reason.PROHIBITED_NOW: prohibited_now,
    Reason.OBJECTED: objected,
    Reason.WITHDRAWN: withdrawn,
    Reason.SENSITIVE: sensitive,
    Reason.NOTICE_NOT_IN_FORCE: notice_not_in_force,
    Reason.NOT_FORESEEN_THEN: not_foreseen_then,
    Reason.NO_GRANT: no_grant,
    Reason.GRANT_NOT_FOR_PERIOD: grant_not_for_period,
    Reason.GRANT_TEXT_CHANGED: grant_text_changed,
    Reason.GRANT_EXPIRED: grant_expired,
}


def party_permits(case: Case) -> bool:
    """Say whether a party permits, by the paragraph "A party permits at level ..." alone.

    Independent of the reasons' list; `reasons_of` asserts that the two agree.
    """
    level = needed(case)
    if level == Level.NEVER:
        return False
    if unanswered(case):
        return False
    if level == Level.EXPLICIT_GRANT:
        return any(is_explicit_for(grant, case) for grant in permitting_grants(case))
    if level == Level.GRANT:
        return bool(permitting_grants(case))
    if level == Level.NOTICE:
        return in_force(case, case.now) is not None
    return True


def reasons_of(case: Case) -> set[Reason]:
    """Return every reason that applies to a case, each evaluated for itself."""
    found = {reason for reason, applies in REASONS.items() if applies(case)}
    # "Allow only if ... every party is a known subject of known, sufficient age, and every party
    # permits. Otherwise deny and say why". A bad clause denies before all this.
    known = case.subject.member and not age_unknown(case) and not minor(case)
    allow = known and party_permits(case) and not unevaluable(case)
    if allow != (not found):
        raise AssertionError(f"allow is {allow}, but the reasons are {found}")
    return found


# ---------------------------------------------------------------------------------------------
# Parties, quoted ones and the item.


def boundaries(state: State, subject: Subject) -> set[Time]:
    """Return every moment at which something in the rules or of this subject starts or ends.

    Other subjects are left out: a case never reads them.
    """
    rules = state.rules
    times: set[Time] = {rules.as_of}
    spans: list[Span] = []
    for version in rules.policies:
        times |= {version.published_at, version.effective_at}
        times |= {notice.recorded_at + version.window for notice in subject.notices}
        spans += [clause.span for clause in version.clauses]
    for history in rules.contracts.values():
        for terms in history:
            times.add(terms.published_at)
            spans += [clause.span for clause in terms.clauses]
    for table in rules.regions:
        times.add(table.published_at)
        spans += [clause.span for clause in table.clauses]
    for held in rules.holds:
        spans += [clause.span for clause in held.clauses]
    for fact in subject.facts:
        times.add(fact.recorded_at)
        spans.append(fact.span)
    for notice in subject.notices:
        times.add(notice.recorded_at)
    for objection in subject.objections:
        spans.append(objection.span)
    for amendment in subject.amendments:
        spans.append(amendment.span)
    for line in subject.lines:
        times |= {line.recorded_at, line.expires_at}
        spans += [line.span, line.reach()]
    for span in spans:
        times |= {span.start, span.end}
    return times


def times_up_to(state: State, subject: Subject, last: Time) -> list[Time]:
    """Return enough times to stand for all t <= last: every boundary and its neighbours."""
    candidates = {BEGINNING, last}
    for boundary in boundaries(state, subject):
        candidates |= {boundary - 1, boundary, boundary + 1}
    return sorted(t for t in candidates if BEGINNING <= t <= last)


def cases_of(case: Case, party: Party, item_created_at: Time) -> list[Case]:
    """Return the cases a party must pass, given its case at the item's own class and time.

    "a quoted party carries the class and time of what is quoted, and if these are unknown needs a
    grant for all the past". Settled: unknown time = strictest over all t <= item.created_at for
    everything except age, which is judged at item.created_at; unknown class = strictest over all
    registered classes.
    """
    if party.role != Role.QUOTED:
        return [case]
    if party.data_class is None:
        classes = list(case.state.rules.data_classes)
    else:
        classes = [party.data_class]
    if party.created_at is None:
        times = times_up_to(case.state, case.subject, item_created_at)
        moments = [(t, item_created_at) for t in times]
    else:
        moments = [(party.created_at, party.created_at)]
    return [
        replace(case, data_class=data_class, at=at, age_at=age_at)
        for data_class in classes
        for at, age_at in moments
    ]


def is_bad_quote(party: Party, item_created_at: Time, state: State) -> bool:
    """Say whether what a quoted party carries is known but bad.

    Settled: created_at not in (BEGINNING, item.created_at], or a class that is not registered.
    """
    if party.role != Role.QUOTED:
        return False
    bad_time = party.created_at is not None and not (
        BEGINNING < party.created_at <= item_created_at
    )
    bad_class = party.data_class is not None and party.data_class not in state.rules.data_classes
    return bad_time or bad_class


def subject_of(party: Party, state: State) -> Subject:
    """Return the party's subject; a missing one is a stranger of whom nothing is recorded.

    Oracle's reading: a stranger, too, is `unevaluable` where an unreadable clause counts for
    everyone, since that reason comes first in the list.
    """
    stranger = Subject(id="", member=False)
    return stranger if party.subject is None else state.subjects.get(party.subject, stranger)


def is_unevaluable_item(item: Item, state: State) -> bool:
    """Say whether the item itself cannot be judged."""
    return (
        item.created_at is None
        or not BEGINNING < item.created_at < END
        or item.created_at > state.rules.as_of
        or item.data_class is None
        or item.data_class not in state.rules.data_classes
    )


def judge(request: Request, item: Item, state: State) -> tuple[Reason | None, Role | None]:
    """Answer one request for one item: (None, None) allows, else the reason and whose it is."""
    # "An unknown purpose or recipient in the *request* is an error, not an answer."
    if request.purpose not in PURPOSES:
        raise ValueError(f"unknown purpose: {request.purpose!r}")
    if request.recipient not in state.rules.recipients:
        raise ValueError(f"unknown recipient: {request.recipient!r}")

    # "`no_parties` and an item's own `unevaluable` have no role" (settled: unevaluable wins).
    if is_unevaluable_item(item, state) or item.data_class is None or item.created_at is None:
        return Reason.UNEVALUABLE, None
    if not item.parties:
        return Reason.NO_PARTIES, None

    # "a party's reason is the first that applies in this order, and the item's reason is the
    # smallest over its parties by (order, role)".
    found: set[tuple[Reason, Role]] = set()
    for party in item.parties:
        if is_bad_quote(party, item.created_at, state):
            found.add((Reason.UNEVALUABLE, party.role))
            continue
        own = Case(
            state=state,
            purpose=request.purpose,
            recipient=state.rules.recipients[request.recipient],
            subject=subject_of(party, state),
            data_class=item.data_class,
            at=item.created_at,
            age_at=item.created_at,
            own_categories=item.categories,
        )
        for case in cases_of(own, party, item.created_at):
            found |= {(reason, party.role) for reason in reasons_of(case)}
    return min(found) if found else (None, None)
