"""May this item go to this recipient for this purpose? One item, short, and obviously right.

Pure: parsed values in, an answer with its reasons out. release/plan.py gives the same answers in
columns; tests compare the two row by row, and both with tests/oracle. Spec: docs/spec/decision.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from letterlock.domain import (
    ADULT_AGE,
    ANY,
    BEGINNING,
    END,
    PURPOSES,
    Act,
    Clause,
    Context,
    FactKind,
    Item,
    Level,
    Line,
    Party,
    PolicyVersion,
    Reason,
    Recipient,
    RegionTable,
    Request,
    Role,
    Rulebook,
    State,
    Subject,
    Terms,
    Time,
    covers,
    is_training,
    within,
    year_of,
)
from letterlock.errors import UsageError
from letterlock.policy.clauses import counting, matching


@dataclass(frozen=True, slots=True)
class Requirement:
    """A level that some source asks of a person; `level` None could not be read."""

    source: str
    level: Level | None
    clause: str
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one party says: `reason` None permits. `requirements` and `lines` explain it."""

    party: Party
    reason: Reason | None
    requirements: tuple[Requirement, ...] = ()
    refusals: tuple[Line, ...] = ()
    grants: tuple[Line, ...] = ()

    def decisive(self) -> Requirement | Line | None:
        """Return what decides: the requirement or refusal behind the reason, if there is one."""
        if self.reason is None:
            return None
        for refusal in self.refusals:
            if _UNANSWERED[refusal.act] is self.reason:
                return refusal
        for requirement in self.requirements:
            if requirement.reason is self.reason:
                return requirement
        if self.reason < Reason.WITHDRAWN:
            return None
        return max(self.requirements, key=lambda r: -1 if r.level is None else r.level)


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed if `reason` is None; `role` is that of the party who decides, if one does."""

    reason: Reason | None
    role: Role | None
    answers: tuple[Answer, ...] = ()

    @property
    def allowed(self) -> bool:
        """Say whether the item may go."""
        return self.reason is None


def decide(request: Request, item: Item, state: State) -> Decision:
    """Allow `item` only if it has a party, and every party permits.

    Deny is the default: also for an item without a party, or with one nobody knows.
    Raises UsageError for a purpose or recipient that is not registered.
    """
    recipient = recipient_of(request, state.rules)
    data_class, at = item.data_class, item.created_at
    if data_class is None or at is None or not judgeable(data_class, at, state.rules):
        return Decision(Reason.UNEVALUABLE, None)
    if not item.parties:
        return Decision(Reason.NO_PARTIES, None)
    question = _Question(
        request.purpose, recipient, data_class, at, item.categories, state.rules
    )  # fmt: skip
    answers = tuple(question.ask(p, state.subjects.get(p.subject or "")) for p in item.parties)
    denials = [(a.reason, a.party.role) for a in answers if a.reason is not None]
    reason, role = min(denials, default=(None, None))
    return Decision(reason, role, answers)


def recipient_of(request: Request, rules: Rulebook) -> Recipient:
    """Return the registered recipient of `request`. Raises UsageError if there is none."""
    if request.purpose not in PURPOSES:
        listed = ", ".join(PURPOSES)
        raise UsageError(f"unknown purpose {request.purpose!r}; the closed list is: {listed}")
    if request.recipient not in rules.recipients:
        listed = ", ".join(sorted(rules.recipients)) or "none yet"
        raise UsageError(f"unknown recipient {request.recipient!r}; registered: {listed}")
    return rules.recipients[request.recipient]


def judgeable(data_class: str, created_at: Time, rules: Rulebook) -> bool:
    """Say whether the class is registered, and the date is one, and not after T."""
    known = data_class in rules.data_classes
    return known and BEGINNING < created_at <= rules.as_of and created_at < END


@dataclass(frozen=True, slots=True)
class _Facts:
    """What counts of a person at one moment; where several count, each must permit."""

    jurisdictions: frozenset[str | None]
    contracts: frozenset[str | None]
    birth_years: frozenset[int | None]


@dataclass(frozen=True, slots=True)
class _Question:
    """A request about one item, to be asked of each party."""

    purpose: str
    recipient: Recipient
    data_class: str
    created_at: Time
    categories: frozenset[str] | None
    rules: Rulebook

    def ask(self, party: Party, subject: Subject | None) -> Answer:
        """Ask one party; a quoted one is judged wherever and whenever it may have been written."""
        moments = list(self._moments(party, subject))
        if not moments:
            return Answer(party, Reason.UNEVALUABLE)
        if subject is None or not subject.member:
            return Answer(party, Reason.UNKNOWN_PARTY)
        answers = [self._ask_at(party, subject, *moment) for moment in moments]
        return min(answers, key=lambda a: len(Reason) if a.reason is None else a.reason)

    def _moments(self, party: Party, subject: Subject | None) -> Iterator[tuple[str, Time, Time]]:
        """Yield each (data class, time, time to judge age at) that `party` has to permit."""
        item_time = self.created_at
        if party.role is not Role.QUOTED:
            yield self.data_class, item_time, item_time
            return
        if party.created_at is not None and not BEGINNING < party.created_at <= item_time:
            return
        known = self.rules.data_classes
        classes = list(known) if party.data_class is None else [party.data_class]
        for data_class in classes:
            if data_class not in known:
                return
            if party.created_at is not None:
                yield data_class, party.created_at, party.created_at
            else:  # age is the one thing judged at the item: everyone was a child once
                for at in turning_points(subject, self.rules, item_time):
                    yield data_class, at, item_time

    def _ask_at(
        self, party: Party, subject: Subject, data_class: str, at: Time, age_at: Time
    ) -> Answer:
        """Judge one moment: the first reason of the order that applies, or None."""
        then, now = facts_at(subject, at), facts_at(subject, self.rules.as_of)
        requirements = list(self._requirements(subject, data_class, at, then, now))
        needed = max((r.level for r in requirements if r.level is not None), default=Level.NOTHING)
        silent_then = any(r.reason is Reason.NOT_FORESEEN_THEN for r in requirements)

        grants = [
            g
            for g in subject.lines
            if g.act is Act.GRANT
            and self._reaches(g, data_class)
            and (g.earlier or not silent_then)
        ]
        refusals = [
            r
            for r in subject.lines
            if r.act is not Act.GRANT and self._reaches(r, data_class) and at in r.span
        ]
        of_period = [g for g in grants if at in g.reach()]
        of_text = [g for g in of_period if self._text_counts(g)]
        unexpired = [g for g in of_text if g.expires_at > self.rules.as_of]
        permitting = [g for g in unexpired if all(_answers(g, r) for r in refusals)]

        reasons = {r.reason for r in requirements if r.reason is not None}
        reasons.discard(Reason.NOT_FORESEEN_THEN)
        reasons |= self._age_reasons(
            subject, then if age_at == at else facts_at(subject, age_at), now, age_at
        )
        if not permitting:
            reasons |= {_UNANSWERED[r.act] for r in refusals}
        if needed is Level.EXPLICIT_GRANT:
            categories = self._categories(data_class)
            if not any(_is_explicit(g, categories) for g in permitting):
                reasons.add(Reason.SENSITIVE)
        if needed >= Level.GRANT and not permitting:
            if silent_then and not of_period:
                reasons.add(Reason.NOT_FORESEEN_THEN)
            elif not grants:
                reasons.add(Reason.NO_GRANT)
            elif not of_period:
                reasons.add(Reason.GRANT_NOT_FOR_PERIOD)
            elif not of_text:
                reasons.add(Reason.GRANT_TEXT_CHANGED)
            elif not unexpired:
                reasons.add(Reason.GRANT_EXPIRED)
        reason = min(reasons, default=None)
        return Answer(party, reason, tuple(requirements), tuple(refusals), tuple(permitting))

    def _requirements(
        self, subject: Subject, data_class: str, at: Time, then: _Facts, now: _Facts
    ) -> Iterator[Requirement]:
        """Yield what holds, regional table, contracts, policy and floors ask of this person."""
        rules = self.rules
        for facts, clock in ((then, "then"), (now, "now")):
            for hold in rules.holds:
                found = self._matching(hold.clauses, data_class, at, facts)
                yield from _levels(f"hold {hold.id}, facts {clock}", found, Reason.HOLD)

        # (facts, terms) as of then and now; terms of then and facts of now never meet.
        since_then, since_now = (_since(subject, rules, t) for t in (at, rules.as_of))
        for facts, terms_at, since, clock in (
            (then, at, since_then, "facts then, terms then"),
            (then, rules.as_of, since_now, "facts then, terms now"),
            (now, rules.as_of, since_now, "facts now, terms now"),
        ):
            tables = counting(rules.regions, terms_at, since)
            if tables or terms_at == rules.as_of:
                yield from self._of_regions(data_class, at, facts, tables, clock)
            for contract in sorted(c for c in facts.contracts if c is not None):
                terms = counting(rules.contracts.get(contract, ()), terms_at, since)
                one = replace(facts, contracts=frozenset({contract}))
                yield from self._of_contract(subject, contract, data_class, at, one, terms, clock)

        yield from self._of_policy(subject, data_class, at, then, at, "then")
        yield from self._of_policy(subject, data_class, at, now, rules.as_of, "now")

        if is_training(self.purpose):
            yield Requirement("floor", Level.GRANT, "training needs a grant")
        categories = self._categories(data_class)
        if categories is None or categories:
            listed = ", ".join(sorted(categories or ())) or "unknown"
            yield Requirement("floor", Level.EXPLICIT_GRANT, f"sensitive: {listed}")

    def _of_regions(
        self, data_class: str, at: Time, facts: _Facts, tables: list[RegionTable], clock: str
    ) -> Iterator[Requirement]:
        """Yield what the regional tables that count ask; without one every place is unknown."""
        for place in facts.jurisdictions:
            if not tables or any(place is None or place not in table.ages for table in tables):
                unknown = f"jurisdiction {place or 'unknown'} is not in the table"
                yield Requirement(f"region, {clock}", Level.NEVER, unknown, Reason.REGION)
            one = replace(facts, jurisdictions=frozenset({place}))
            for table in tables:
                if place in table.ages:
                    found = self._matching(table.clauses, data_class, at, one)
                    yield from _levels(f"region, {clock}", found, Reason.REGION)

    def _of_contract(  # noqa: PLR0913, PLR0917 - whose contract, about what, and its terms
        self,
        subject: Subject,
        contract: str,
        data_class: str,
        at: Time,
        facts: _Facts,
        terms: list[Terms],
        clock: str,
    ) -> Iterator[Requirement]:
        """Yield what the terms that count ask; a contract without terms forbids."""
        found = [
            clause
            for each in terms
            for clause in self._matching(each.clauses, data_class, at, facts)
        ]
        found = found if terms else [Clause("contract without terms", Level.NEVER)]
        if self._amended(subject, contract, data_class, at):
            found = [_lifted(c) for c in found]
        yield from _levels(f"contract {contract}, {clock}", found, Reason.CONTRACT)

    def _of_policy(  # noqa: PLR0913, PLR0917 - whose version, about what, as of when
        self, subject: Subject, data_class: str, at: Time, facts: _Facts, t: Time, clock: str
    ) -> Iterator[Requirement]:
        """Yield what the versions that count at `t` ask, and what their silence asks."""
        versions, in_force = versions_at(subject, self.rules, t)
        prohibited = Reason.PROHIBITED_THEN if clock == "then" else Reason.PROHIBITED_NOW
        silent = not versions
        for version in versions:
            for one in _each(facts):
                found = self._matching(version.clauses, data_class, at, one)
                yield from _levels(f"policy {version.version}, {clock}", found, prohibited)
                silent = silent or not found
        if clock == "then" and (silent or in_force is None):
            why = "no version foresaw it then"
            yield Requirement("silence, then", Level.GRANT, why, Reason.NOT_FORESEEN_THEN)
        elif silent:
            why = "a version that counts says nothing of it"
            yield Requirement("silence, now", Level.NEVER, why, Reason.NOT_FORESEEN_NOW)
        elif in_force is None:
            why = "no version is in force for this person"
            yield Requirement("silence, now", Level.NEVER, why, Reason.NOTICE_NOT_IN_FORCE)

    def _matching(
        self, clauses: tuple[Clause, ...], data_class: str, at: Time, facts: _Facts
    ) -> list[Clause]:
        """Return the clauses that match any combination of the facts that count."""
        return [
            clause
            for place, contract in product(facts.jurisdictions, facts.contracts)
            for clause in matching(
                clauses,
                Context(data_class, self.purpose, self.recipient, place, contract, at),
            )
        ]

    def _age_reasons(self, subject: Subject, then: _Facts, now: _Facts, at: Time) -> set[Reason]:
        """Judge the youngest age that counts against the highest age limit that counts."""
        rules = self.rules
        tables_then = counting(rules.regions, at, _since(subject, rules, at))
        tables_now = counting(rules.regions, rules.as_of, _since(subject, rules, rules.as_of))
        pairs = ((then, tables_then), (then, tables_now), (now, tables_now))
        limits = [
            table.ages.get(place or "", 0)
            for facts, tables in pairs
            for table in tables
            for place in facts.jurisdictions
        ]
        limit = max(ADULT_AGE, *limits, 0)
        reasons = set()
        for born in then.birth_years | now.birth_years:
            if born is None:
                reasons.add(Reason.AGE_UNKNOWN)
            elif year_of(at) - born <= limit:
                reasons.add(Reason.MINOR)
        return reasons

    def _amended(self, subject: Subject, contract: str, data_class: str, at: Time) -> bool:
        """Say whether the person signed that this contract no longer forbids this, then."""
        return any(
            a.contract == contract
            and a.purpose == self.purpose
            and covers(a.pattern, data_class)
            and a.recipient == self.recipient.id
            and at in a.span
            for a in subject.amendments
        )

    def _reaches(self, line: Line, data_class: str) -> bool:
        """Say whether `line` speaks of this class, purpose and recipient, in whatever period.

        A refusal reaches later classes too, and whoever it names by class of recipient.
        """
        recipients: tuple[str, ...] = (ANY, self.recipient.id, self.recipient.recipient_class.value)
        if line.act is Act.GRANT:
            if self.rules.data_classes[data_class] >= line.index:
                return False
            recipients = (self.recipient.id,)
        return (
            covers(line.pattern, data_class)
            and line.purpose in (ANY, self.purpose)
            and line.recipient in recipients
        )

    def _categories(self, data_class: str) -> frozenset[str] | None:
        """Return the item's categories and those of the class of the moment; None: not known."""
        own = self.categories
        return None if own is None else own | self.rules.sensitive.get(data_class, frozenset())

    def _text_counts(self, grant: Line) -> bool:
        """Say whether the text agreed to stands in every version since it was newest."""
        before = [v for v in self.rules.policies if v.index < grant.index]
        if not before:
            return False
        since = self.rules.policies[len(before) - 1 :]
        return all(grant.text in version.texts.values() for version in since)


_UNANSWERED = {Act.OBJECT: Reason.OBJECTED, Act.WITHDRAW: Reason.WITHDRAWN}


def _is_explicit(grant: Line, categories: frozenset[str] | None) -> bool:
    """Say whether `grant` is explicit and lists every one of `categories`."""
    return grant.explicit and categories is not None and categories <= grant.categories


def _answers(grant: Line, refusal: Line) -> bool:
    """Say whether `grant` is later than `refusal` and lies within its scope.

    Both reach the same request, so the one recipient that the grant names lies within whatever the
    refusal names: that recipient, its class, or all.
    """
    return (
        grant.index > refusal.index
        and within(grant.pattern, refusal.pattern)
        and within(grant.purpose, refusal.purpose)
        and grant.reach().lies_in(refusal.span)
    )


def _each(facts: _Facts) -> Iterator[_Facts]:
    """Yield every combination of one jurisdiction and one contract that counts."""
    for jurisdiction, contract in product(facts.jurisdictions, facts.contracts):
        yield _Facts(frozenset({jurisdiction}), frozenset({contract}), facts.birth_years)


def _levels(source: str, clauses: list[Clause], prohibited: Reason) -> Iterator[Requirement]:
    """Turn matching clauses into requirements: a `never` carries the source's own reason."""
    for clause in clauses:
        if clause.level is None:
            yield Requirement(source, None, f"{clause.id} cannot be read", Reason.UNEVALUABLE)
        else:
            reason = prohibited if clause.level is Level.NEVER else None
            yield Requirement(source, clause.level, clause.id, reason)


def _lifted(clause: Clause) -> Clause:
    """Lower a contract's `never` to a grant: an amendment lifts it, silence still denies."""
    if clause.level is not Level.NEVER:
        return clause
    return replace(clause, id=f"{clause.id} (lifted by a signed amendment)", level=Level.GRANT)


def facts_at(subject: Subject, t: Time) -> _Facts:
    """Return the facts that count at `t`.

    A fact recorded later displaces an earlier one within its own validity, from its recording on.
    """

    def counting(kind: FactKind) -> frozenset[str | int | None]:
        valid = [f for f in subject.facts if f.kind is kind and t in f.span]
        values = {
            f.value
            for f in valid
            if not any(g.order > f.order and g.recorded_at <= t for g in valid)
        }
        return frozenset(values or {None})

    return _Facts(
        counting(FactKind.JURISDICTION),  # type: ignore[arg-type] # ledger checks the value's type
        counting(FactKind.CONTRACT),  # type: ignore[arg-type]
        counting(FactKind.BIRTH_YEAR),  # type: ignore[arg-type]
    )


def versions_at(
    subject: Subject, rules: Rulebook, t: Time
) -> tuple[tuple[PolicyVersion, ...], PolicyVersion | None]:
    """Return the versions that count for `subject` at `t`, and the one in force (None: none).

    The one in force counts and so does every later one published by `t`; without one, all count.
    """
    published = [v for v in rules.policies if v.published_at <= t]
    order = {v.version: n for n, v in enumerate(rules.policies)}
    for n in range(len(published) - 1, -1, -1):
        version = published[n]
        noticed = any(
            notice.version == version.version
            and notice.recorded_at >= version.published_at
            and t >= notice.recorded_at + (0 if notice.at_registration else version.window)
            for notice in subject.notices
        )
        objected = any(order.get(o.version, -1) <= n and t in o.span for o in subject.objections)
        if noticed and not objected and version.effective_at <= t:
            return tuple(published[n:]), version
    return tuple(published), None


def _since(subject: Subject, rules: Rulebook, t: Time) -> Time | None:
    """Return when the version in force for `subject` at `t` was published; None without one."""
    in_force = versions_at(subject, rules, t)[1]
    return None if in_force is None else in_force.published_at


def turning_points(subject: Subject | None, rules: Rulebook, until: Time) -> list[Time]:
    """Return every time up to `until` at which an answer about `subject` may change.

    Between two of them nothing changes, so judging each of them judges all the past.
    """
    times = {BEGINNING, until}
    for version in rules.policies:
        times |= {version.published_at, version.effective_at}
        times |= {t for c in version.clauses for t in (c.span.start, c.span.end)}
    clause_sets = [h.clauses for h in rules.holds] + [t.clauses for t in rules.regions]
    times |= {t.published_at for t in rules.regions}
    for terms in (t for history in rules.contracts.values() for t in history):
        times.add(terms.published_at)
        clause_sets.append(terms.clauses)
    times |= {t for cs in clause_sets for c in cs for t in (c.span.start, c.span.end)}
    if subject is not None:
        windows = {v.version: v.window for v in rules.policies}
        for notice in subject.notices:
            times |= {notice.recorded_at, notice.recorded_at + windows.get(notice.version, 0)}
        for fact in subject.facts:
            times |= {fact.span.start, fact.span.end, fact.recorded_at}
        for line in subject.lines:
            times |= {line.span.start, line.span.end, line.reach().start, line.reach().end}
        spans = [o.span for o in subject.objections] + [a.span for a in subject.amendments]
        times |= {t for span in spans for t in (span.start, span.end)}
    return sorted(t for t in times if t <= until)
