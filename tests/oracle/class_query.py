"""Who is of a class, as docs/exposure.md says it: one item after the other, party by party."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from letterlock.domain import (
    ALWAYS,
    ANY,
    BEGINNING,
    Item,
    Role,
    Span,
    State,
    Subject,
    Time,
    covers,
)
from letterlock.policy.clauses import covers_place
from letterlock.policy.decide import facts_at
from letterlock.reports.class_query import ClassQuery

NO, MAYBE, YES = 0, 1, 2
WAYS = {
    Role.AUTHOR: "sent",
    Role.RECIPIENT: "received",
    Role.MEMBER: "received",
    Role.QUOTED: "quoted",
}


def hits(
    query: ClassQuery, item: Item, state: State, erased: Collection[str | None]
) -> set[tuple[str | None, str, int]]:
    """Return (subject, way, match) of everybody in an item who is, or may be, of the class."""
    found = set()
    ways = {way.name.lower() for way in query.ways}
    for party in item.parties:
        quoted = party.role is Role.QUOTED
        data_class = party.data_class if quoted else item.data_class
        made = party.created_at if quoted else item.created_at
        subject = state.subjects.get(party.subject or "") or Subject("", member=False)
        match = min(
            of_class(query, data_class),
            of_period(query, made),
            of_place(query, subject, made, state.rules.as_of),
            of_contract(query, subject, made, erased=party.subject in erased),
        )
        if match and WAYS[party.role] in ways:
            found.add((party.subject, WAYS[party.role], match))
    return found


def reaches(
    query: ClassQuery, went: Iterable[Item], state: State, erased: Collection[str | None]
) -> bool:
    """Say whether an order reaches what went: one item in it is of the class, or may be."""
    return any(hits(query, item, state, erased) for item in went)


def of_class(query: ClassQuery, data_class: str | None) -> int:
    """Say whether the class is the one asked for."""
    if query.data_class == ANY:
        return YES
    if data_class is None:
        return MAYBE
    return YES if covers(query.data_class, data_class) else NO


def of_period(query: ClassQuery, made: Time | None) -> int:
    """Say whether it was made when asked."""
    span = Span(query.made_from, query.made_before)
    if made is None:
        return YES if span == ALWAYS else MAYBE
    return YES if made in span else NO


def moments(query: ClassQuery, subject: Subject) -> Iterator[Time]:
    """Yield every moment of the period at which something may be different."""
    found = {BEGINNING, query.made_from}
    for fact in subject.facts:
        found |= {fact.span.start, fact.span.end, fact.recorded_at}
    span = Span(query.made_from, query.made_before)
    return (t for t in found if t in span)


def of_place(query: ClassQuery, subject: Subject, made: Time | None, now: Time) -> int:
    """Say whether somebody lived in one of the places then, or lives there now."""
    if ANY in query.jurisdictions:
        return YES
    if made is None:
        ever = max((in_places(query, subject, t) for t in moments(query, subject)), default=NO)
        return max(min(MAYBE, ever), in_places(query, subject, now))
    return max(in_places(query, subject, made), in_places(query, subject, now))


def in_places(query: ClassQuery, subject: Subject, t: Time) -> int:
    """Say it of one moment."""
    found = facts_at(subject, t).jurisdictions
    if any(covers_place(p, place) for p in query.jurisdictions for place in found):
        return YES
    return MAYBE if None in found else NO


def of_contract(query: ClassQuery, subject: Subject, made: Time | None, *, erased: bool) -> int:
    """Say whether somebody had one of the contracts when it was made; of the erased, who knows."""
    if ANY in query.contracts:
        return YES
    if erased:
        return MAYBE
    if made is not None:
        return with_contract(query, subject, made)
    ever = max((with_contract(query, subject, t) for t in moments(query, subject)), default=NO)
    return min(MAYBE, ever)


def with_contract(query: ClassQuery, subject: Subject, t: Time) -> int:
    """Say it of one moment."""
    return YES if set(query.contracts) & set(facts_at(subject, t).contracts) else NO
