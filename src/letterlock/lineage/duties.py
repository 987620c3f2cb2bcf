"""What is owed: how long each duty may take, and what alone shows that it was done (R33, R36).

The clock runs in the log: a duty names the recorded time of its cause, and until when it is due.
"""

from __future__ import annotations

from typing import Final

from letterlock.domain import Time
from letterlock.lineage.graph import Duty, Lineage

MINUTE: Final[Time] = 60_000_000
DAY: Final[Time] = 24 * 60 * MINUTE

LIST_WITHIN: Final[Time] = 15 * MINUTE
"""Until a drop list names who is to be dropped."""
HEAD_WITHIN: Final[Time] = DAY
"""How old the newest head of a drop list may be for who reads a release."""
RECIPIENT_WITHIN: Final[Time] = 7 * DAY
"""Until a recipient has applied a list, or destroyed what was recalled, and countersigned."""


def shows(lineage: Lineage, duty: Duty, evidence: int) -> bool:
    """Say whether the event `evidence` shows that a duty was done; nothing else closes one."""
    release = lineage.releases.get(duty.release)
    if duty.duty == "drop" and release is not None:
        return any(each.index == evidence and each.number >= duty.version for each in release.lists)
    if duty.duty == "supersede" and release is not None:
        return any(v.index == evidence and v.number >= duty.version for v in release.versions)
    if duty.model and duty.duty in {"forget", "destroy"}:
        gone = lineage.models[duty.model].destroyed
        return gone is not None and gone.index == evidence and gone.complete
    if duty.duty == "erase":
        found = lineage.certified.get(evidence)
        return found is not None and found.obligation == duty.index and found.complete
    return False
