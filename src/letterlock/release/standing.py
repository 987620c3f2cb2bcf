"""What policy, region, contract and holds ask of people who stand alike: decided once per group.

The columnar twin of what policy/decide.py asks of one person. Two people stand alike when the same
facts and versions count for both; then everything but their own choices is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple

from letterlock.domain import (
    ADULT_AGE,
    Clause,
    Context,
    Level,
    Reason,
    Recipient,
    Rulebook,
    Time,
    covers,
    is_training,
)
from letterlock.policy.clauses import counting, matching, strictest

ALLOWED: Final = len(Reason)
"""One more than the last reason: nothing denies."""

Places = frozenset[str | None]
Contracts = frozenset[str | None]
Lifted = frozenset[tuple[str, str]]
"""(contract, data class pattern) of the amendments that count."""


class Standing(NamedTuple):
    """How someone stands at a moment: facts and version in force (-1: none), then and now."""

    places: Places
    contracts: Contracts
    in_force: int
    places_now: Places
    contracts_now: Contracts
    in_force_now: int
    lifted: Lifted


class Asked(NamedTuple):
    """What is asked: the first reason no choice can cure (ALLOWED: none), and the level needed."""

    reason: int
    level: Level
    silent_then: bool


class _Hearing:
    """What has been heard so far: the first reason, and the highest level."""

    def __init__(self) -> None:
        self.reason: int = ALLOWED
        self.level = Level.NOTHING

    def deny(self, reason: Reason) -> None:
        self.reason, self.level = min(self.reason, reason), Level.NEVER

    def hear(self, clauses: list[Clause], prohibited: Reason) -> None:
        level = strictest(clauses)
        if any(clause.level is None for clause in clauses):
            self.reason = Reason.UNEVALUABLE
        if level is Level.NEVER:
            self.deny(prohibited)
        elif level is not None:
            self.level = max(self.level, level)


_WITHOUT_TERMS: Final = Clause("contract without terms", Level.NEVER)


class Group:
    """Answers for one purpose and recipient, under one rulebook."""

    def __init__(self, purpose: str, recipient: Recipient, rules: Rulebook) -> None:
        """Ask about `purpose` and `recipient` as of `rules.as_of`."""
        self._purpose, self._recipient, self._rules = purpose, recipient, rules
        self._found: dict[tuple[object, ...], list[Clause]] = {}

    def asked(self, standing: Standing, data_class: str, at: Time) -> Asked:
        """Return what is asked of all who stand so, about `data_class` data made at `at`."""
        now, hearing = self._rules.as_of, _Hearing()
        then_facts = (standing.places, standing.contracts)
        now_facts = (standing.places_now, standing.contracts_now)
        for facts in (then_facts, now_facts):
            for context in self._contexts(data_class, at, *facts):
                for hold in self._rules.holds:
                    hearing.hear(self._matching(hold.clauses, context), Reason.HOLD)
        since, since_now = self._since(standing.in_force), self._since(standing.in_force_now)
        for facts, terms_at, stood in (
            (then_facts, at, since), (then_facts, now, since_now), (now_facts, now, since_now),
        ):  # fmt: skip
            contexts = list(self._contexts(data_class, at, *facts))
            self._hear_regions(hearing, contexts, terms_at, stood)
            for context in contexts:
                self._hear_contract(hearing, context, terms_at, stood, standing.lifted)
        then = self._heard_policy(hearing, data_class, at, then_facts, standing.in_force, at)
        today = self._heard_policy(hearing, data_class, at, now_facts, standing.in_force_now, now)
        silent_then = not then or standing.in_force < 0
        if not today:
            hearing.deny(Reason.NOT_FORESEEN_NOW)
        elif standing.in_force_now < 0:
            hearing.deny(Reason.NOTICE_NOT_IN_FORCE)
        if silent_then or is_training(self._purpose):
            hearing.level = max(hearing.level, Level.GRANT)
        return Asked(hearing.reason, hearing.level, silent_then)

    def _since(self, in_force: int) -> Time | None:
        """Return when the version in force was published; None without one."""
        return None if in_force < 0 else self._rules.policies[in_force].published_at

    def _hear_regions(
        self, hearing: _Hearing, contexts: list[Context], terms_at: Time, since: Time | None
    ) -> None:
        tables = counting(self._rules.regions, terms_at, since)
        for context in contexts:
            if not tables and terms_at == self._rules.as_of:
                hearing.deny(Reason.REGION)
            for table in tables:
                if context.jurisdiction in table.ages:
                    hearing.hear(self._matching(table.clauses, context), Reason.REGION)
                else:
                    hearing.deny(Reason.REGION)

    def _hear_contract(
        self,
        hearing: _Hearing,
        context: Context,
        terms_at: Time,
        since: Time | None,
        lifted: Lifted,
    ) -> None:
        if context.contract is None:
            return
        terms = counting(self._rules.contracts.get(context.contract, ()), terms_at, since)
        found = [clause for each in terms for clause in self._matching(each.clauses, context)]
        found = found if terms else [_WITHOUT_TERMS]
        if any(c == context.contract and covers(p, context.data_class) for c, p in lifted):
            if strictest(found) is Level.NEVER:
                hearing.level = max(hearing.level, Level.GRANT)
            found = [c for c in found if c.level is not Level.NEVER]
        hearing.hear(found, Reason.CONTRACT)

    def age_limit(self, standing: Standing, at: Time) -> int:
        """Return the highest age at which anyone who stands so is still treated as a minor."""
        regions, now = self._rules.regions, self._rules.as_of
        then = counting(regions, at, self._since(standing.in_force))
        today = counting(regions, now, self._since(standing.in_force_now))
        pairs = ((standing.places, then), (standing.places, today), (standing.places_now, today))
        limits = [
            t.ages.get(p or "", 0) for places, tables in pairs for t in tables for p in places
        ]
        return max(ADULT_AGE, *limits, 0)

    def _heard_policy(  # noqa: PLR0913, PLR0917 - one moment's facts and version in force
        self,
        hearing: _Hearing,
        data_class: str,
        at: Time,
        facts: tuple[Places, Contracts],
        in_force: int,
        t: Time,
    ) -> bool:
        """Hear the versions that count at `t`; return whether there is one, and each speaks."""
        published = [v for v in self._rules.policies if v.published_at <= t]
        versions = published[max(in_force, 0) :]
        # (Of data made at T itself, then and now are the same, and then is named first.)
        prohibited = Reason.PROHIBITED_THEN if t == at else Reason.PROHIBITED_NOW
        speaks = bool(versions)
        for version in versions:
            for context in self._contexts(data_class, at, *facts):
                found = self._matching(version.clauses, context)
                hearing.hear(found, prohibited)
                speaks = speaks and bool(found)
        return speaks

    def _matching(self, clauses: tuple[Clause, ...], context: Context) -> list[Clause]:
        """Return the clauses that match; many who stand differently ask about the same context."""
        place, contract = context.jurisdiction, context.contract
        key = (id(clauses), context.data_class, place, contract, context.at)
        if key not in self._found:
            self._found[key] = matching(clauses, context)
        return self._found[key]

    def _contexts(
        self, data_class: str, at: Time, places: Places, contracts: Contracts
    ) -> Iterator[Context]:
        for place, contract in product(places, contracts):
            yield Context(data_class, self._purpose, self._recipient, place, contract, at)


def turning_points(rules: Rulebook) -> list[Time]:
    """Return every time at which what is asked may change for everyone alike, in order."""
    times = {v.published_at for v in rules.policies} | {v.effective_at for v in rules.policies}
    times |= {t.published_at for t in rules.regions}
    times |= {t.published_at for history in rules.contracts.values() for t in history}
    sets = [v.clauses for v in rules.policies] + [t.clauses for t in rules.regions]
    sets += [h.clauses for h in rules.holds]
    sets += [t.clauses for history in rules.contracts.values() for t in history]
    times |= {t for clauses in sets for c in clauses for t in (c.span.start, c.span.end)}
    return sorted(t for t in times if t <= rules.as_of)
