"""A file that holds one entry of the log with its proof: a grant, or a published drop list.

Canonical JSON: `format`, `index`, `entry` (the entry's text) and `proof` (a C2SP tlog-proof).
"""

from __future__ import annotations

from typing import Final

from letterlock.domain import canonical
from letterlock.errors import InputError, ProofError
from letterlock.evidence import entries, strict
from letterlock.evidence.bundle import MAX_SIZE, Logged
from letterlock.evidence.checked import Checked
from letterlock.evidence.entries import Public
from letterlock.lineage import events
from letterlock.record.quorum import Policy

FORMAT: Final = "letterlock/logged/v1"

_SHAPE: Final[strict.Shape] = {"format": str, "index": int, "entry": str, "proof": str}


def encode(logged: Logged) -> bytes:
    """Write an entry and its proof as a file."""
    said = {"index": logged.index, "entry": logged.entry.decode(), "proof": logged.proof.decode()}
    return canonical({"format": FORMAT, **said}) + b"\n"


def parse(data: bytes, what: str) -> Logged:
    """Read such a file; whether its proof holds is not checked here. Raises InputError."""
    if not data.endswith(b"\n"):
        raise InputError(f"{what}: it does not end in a newline, so something is missing")
    value = strict.parse_canonical(data[:-1], what, limit=MAX_SIZE)
    found = strict.shaped(value, _SHAPE, what)
    if found["format"] != FORMAT:
        raise InputError(f"{what}: its format is not {FORMAT}")
    return Logged(found["index"], found["entry"].encode(), found["proof"].encode())


def check(logged: Logged, kind: str, policy: Policy, now: int) -> tuple[str, Public]:
    """Check that an event of `kind` is in the log as a policy accepts it; `now` in seconds.

    Returns the log's origin and the event, its body read strictly. Raises InputError for what
    cannot be read, SignatureError or ProofError for what does not hold.
    """
    checked = Checked(policy, now)
    checked.entry(logged, kind)
    found = entries.read(logged.entry)
    if not isinstance(found, Public) or found.kind != kind:
        raise ProofError(f"entry {logged.index} of the log is no {kind}")
    if found.index != logged.index:
        raise ProofError(f"entry {logged.index} says that it is entry {found.index}")
    events.read(kind, found.body)
    return checked.origin, found
