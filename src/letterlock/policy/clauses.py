"""When a clause applies, and what a set of clauses requires. Spec: docs/spec/decision.md §3."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from letterlock.domain import ANY, Clause, Context, Level, RegionTable, Terms, Time, covers

P = TypeVar("P", RegionTable, Terms)


def covers_place(pattern: str, jurisdiction: str | None) -> bool:
    """Say whether `pattern` covers a jurisdiction: itself or a subdivision (`US` covers `US-CA`).

    An unknown jurisdiction is covered by `*` only.
    """
    if pattern == ANY:
        return True
    return jurisdiction is not None and (
        pattern == jurisdiction or jurisdiction.startswith(pattern + "-")
    )


def counting(published: Sequence[P], t: Time, since: Time | None) -> list[P]:
    """Return which tables or terms count at `t`: the strictest of them decides (R20).

    Those that stood at `since`, when the version in force for somebody was published, and each
    published later: a tightening acts at once, a loosening once its version is in force. Without a
    version in force (None), all that were published by `t`.
    """
    known = [each for each in published if each.published_at <= t]
    stood = sum(each.published_at <= since for each in known) if since is not None else 0
    return known[max(stood - 1, 0) :]


def matches(clause: Clause, context: Context) -> bool:
    """Say whether `clause` speaks about `context`; one that cannot be read always does."""
    if clause.level is None:
        return True
    recipient = (ANY, context.recipient.id, context.recipient.recipient_class.value)
    return (
        context.at in clause.span
        and any(covers(p, context.data_class) for p in clause.data_classes)
        and any(covers(p, context.purpose) for p in clause.purposes)
        and any(r in recipient for r in clause.recipients)
        and any(covers_place(j, context.jurisdiction) for j in clause.jurisdictions)
        and any(c in (ANY, context.contract) for c in clause.contracts)
    )


def matching(clauses: Iterable[Clause], context: Context) -> list[Clause]:
    """Return the clauses that match, in their order; an empty list is silence."""
    return [clause for clause in clauses if matches(clause, context)]


def strictest(clauses: Iterable[Clause]) -> Level | None:
    """Return the highest level of matching `clauses`, None if there is none (silence)."""
    return max((c.level for c in clauses if c.level is not None), default=None)
