"""What came of checking evidence: what is shown, by whose word, as of when, and what is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from letterlock.domain import text_of
from letterlock.errors import ProofError
from letterlock.record.checkpoint import Checkpoint, Seen
from letterlock.record.note import Verifier
from letterlock.record.quorum import Trusted

ALONE: Final = "That anybody but the operator saw it: no witness did, the operator alone vouches."
OWN_TIMES: Final = (
    "Times that entries give are the platform's own; witnesses bound them, each by its own clock."
)
OUTSIDE: Final = "What was used, copied or trained on past the gate: no release tells of that."

_PLAIN: Final = re.compile(r"[\w.*@+:/-]+")
_FEW: Final = 3
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Vouched:
    """A checkpoint and whose signatures stand under it; `witnesses` as the policy names them."""

    checkpoint: Checkpoint
    logs: tuple[Seen, ...]
    witnesses: tuple[tuple[str, Seen], ...]

    @property
    def seen_by(self) -> int | None:
        """The second by which each of the witnesses had seen it, by their clocks; None: nobody."""
        return max((seen.seconds or 0 for _, seen in self.witnesses), default=None)


@dataclass(frozen=True, slots=True)
class Finding:
    """What an evidence file shows, in sentences; whatever it does not show is an error, not this.

    `signed` are the keys that signed a text which is no checkpoint; `as_of` says what bounds time.
    """

    kind: str
    proved: tuple[str, ...]
    vouched: tuple[Vouched, ...]
    as_of: tuple[str, ...]
    not_proved: tuple[str, ...]
    signed: tuple[Verifier, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return the finding as JSON."""
        return {
            "kind": self.kind,
            "proved": list(self.proved),
            "signed": [each.vkey for each in self.signed],
            "checkpoints": [_checkpoint(each) for each in self.vouched],
            "as_of": list(self.as_of),
            "not_proved": list(self.not_proved),
        }


def _checkpoint(vouched: Vouched) -> dict[str, Any]:
    found = vouched.checkpoint
    return {
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "logs": [_seen(seen) for seen in vouched.logs],
        "witnesses": [{"witness": name, **_seen(seen)} for name, seen in vouched.witnesses],
    }


def _seen(seen: Seen) -> dict[str, Any]:
    return {"vkey": seen.verifier.vkey, "time": seen.seconds and when(seen.seconds)}


def word(text: str) -> str:
    """Write what others chose so that it cannot pass for words of ours: in quotes, if not plain."""
    if _PLAIN.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=False).replace("  ", " \\u0020")


def when(seconds: int) -> str:
    """Write seconds since 1970 as ISO 8601."""
    return text_of(seconds * _SECOND)


def finding(
    kind: str,
    proved: Iterable[str],
    trusted: Sequence[Trusted],
    not_proved: Iterable[str],
    *,
    signed: Sequence[Verifier] = (),
) -> Finding:
    """Say what was shown; who vouches, as of when, and that nobody else does follow from it."""
    vouched = one_each(trusted)
    alone = () if vouched and all(each.witnesses for each in vouched) else (ALONE,)
    bounds = tuple(
        f"The log of {each.checkpoint.size:,} entries was there by {when(each.seen_by)}: "
        "its witnesses had all seen it by then."
        for each in ends(vouched)
        if each.seen_by is not None
    )
    return Finding(
        kind, tuple(proved), vouched, (*bounds, OWN_TIMES), (*not_proved, *alone), tuple(signed)
    )


def ends(vouched: tuple[Vouched, ...]) -> tuple[Vouched, ...]:
    """Return the first and the last of many checkpoints: those between say no more on a page."""
    return vouched if len(vouched) <= _FEW else (vouched[0], vouched[-1])


def one_each(trusted: Iterable[Trusted]) -> tuple[Vouched, ...]:
    """Return each checkpoint once, ascending, with everybody's newest signature on it."""
    logs: dict[Checkpoint, dict[Verifier, Seen]] = {}
    witnesses: dict[Checkpoint, dict[str, Seen]] = {}
    for each in trusted:
        for seen in each.logs:
            _newest(logs.setdefault(each.checkpoint, {}), seen.verifier, seen)
        for name, seen in each.witnesses:
            _newest(witnesses.setdefault(each.checkpoint, {}), name, seen)
    return tuple(
        Vouched(found, tuple(logs[found].values()), tuple(witnesses.get(found, {}).items()))
        for found in sorted(logs, key=lambda c: (c.origin, c.size))
    )


def _newest(into: dict[Any, Seen], key: object, seen: Seen) -> None:
    if key not in into or (seen.seconds or 0) > (into[key].seconds or 0):
        into[key] = seen


def compare(checkpoints: Iterable[Checkpoint]) -> None:
    """Raise ProofError if two checkpoints are of one log and size and have not the same root."""
    ordered = sorted(checkpoints, key=lambda c: (c.origin, c.size))
    for one, other in pairwise(ordered):
        if (one.origin, one.size) == (other.origin, other.size) and one.root != other.root:
            raise ProofError(
                f"{one.origin} has two histories: of {one.size:,} entries it signed the root "
                f"{one.root.hex()} and the root {other.root.hex()}. Keep both files: together "
                "they prove it"
            )
