"""The gate: opens a workspace, joins what lies below, and records. Every way in calls it.

A workspace is a folder: letterlock.toml, ledger.db (unless it is in PostgreSQL), index/ (who is in
which row of which table), releases/ (each with `outgoing` and `private`), keys/ (secret),
log.policy and log/ (public).
Logic lives in the modules it calls.
"""

from letterlock.gate.contracts import Contracts
from letterlock.gate.erasure import Erased, Erasure
from letterlock.gate.exposure import Found
from letterlock.gate.handover import Delivered, Handovers
from letterlock.gate.holds import Held, Holds
from letterlock.gate.models import Registered
from letterlock.gate.notices import Exported, Notices
from letterlock.gate.obligations import Owed
from letterlock.gate.operators import Operators
from letterlock.gate.orders import Ordered, Orders
from letterlock.gate.people import FEW, Chosen, Loaded, People
from letterlock.gate.policies import Policies
from letterlock.gate.proofs import Proofs
from letterlock.gate.releases import ATTEMPTS, Built, Checked, Outcome, Releases
from letterlock.gate.reports import Reports
from letterlock.gate.trace import Trace, Tracing

__all__ = [
    "ATTEMPTS",
    "FEW",
    "Built",
    "Checked",
    "Chosen",
    "Delivered",
    "Erased",
    "Exported",
    "Found",
    "Gate",
    "Held",
    "Loaded",
    "Ordered",
    "Outcome",
    "Owed",
    "Registered",
    "Trace",
]


class Gate(
    Operators,
    Policies,
    Notices,
    People,
    Contracts,
    Holds,
    Orders,
    Erasure,
    Tracing,
    Handovers,
    Releases,
    Reports,
    Proofs,
):
    """One workspace, opened: every verb there is."""
