"""When a clause applies, and what a set of clauses requires. Spec: docs/spec/decision.md §3."""

from __future__ import annotations

from collections.abc import Iterable

from letterlock.domain import ANY, Clause, Context, Level, covers


def covers_place(pattern: str, jurisdiction: str | None) -> bool:
    """Say whether `pattern` covers a jurisdiction: itself or a subdivision (`US` covers `US-CA`).

    An unknown jurisdiction is covered by `*` only.
    """
    if pattern == ANY:
        return True
    return jurisdiction is not None and (
        pattern == jurisdiction or jurisdiction.startswith(pattern + "-")
    )


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
