"""Who in a release may not be in it any more, item by item and person by person over `decide`.

The slow twin of release/affected.py, written from docs/spec/drops.md §1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from letterlock.domain import Item, Reason, Request, State
from letterlock.policy.decide import decide


def affected(released: Iterable[Item], request: Request, state: State) -> dict[str, Reason]:
    """Ask of each item that went, and each person in it, whether it may go as far as she goes."""
    found: dict[str, Reason] = {}
    for item in released:
        for party in item.parties:
            reason = decide(request, replace(item, parties=(party,)), state).reason
            if reason is not None and party.subject is not None:
                found[party.subject] = min(found.get(party.subject, reason), reason)
    return found
