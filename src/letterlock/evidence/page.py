"""A finding as one page of plain words, at most 100 columns wide, or as JSON."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from letterlock.domain import counted
from letterlock.evidence.finding import Finding, Vouched, ends, when
from letterlock.record.checkpoint import Seen
from letterlock.record.note import Kind, Verifier

WIDTH: Final = 100

_TITLES: Final = {
    "receipt": "A receipt of a choice",
    "member": "Whether an account is in a release",
    "grants": "Whether a grant was recorded",
    "release": "A release against the log",
    "history": "The history of a log",
    "statement": "A public statement",
    "trace": "What became of an account's data",
}
_KINDS: Final = {
    Kind.ED25519: "Ed25519",
    Kind.COSIGNATURE: "Ed25519",
    Kind.MLDSA44: "ML-DSA-44",
}


def text(finding: Finding) -> str:
    """Return the page. What others wrote is shown harmlessly: no control character survives."""
    title = _TITLES[finding.kind]
    lines = [title, "=" * len(title)]
    for heading, sentences in (
        ("Shown", finding.proved),
        ("By whose signatures", _signatures(finding)),
        ("As of when", finding.as_of),
        ("Not shown", finding.not_proved),
    ):
        lines += ["", heading, *(line for each in sentences for line in _wrapped(each))]
    return "\n".join(lines) + "\n"


def as_json(finding: Finding) -> str:
    """Return the finding as JSON, indented."""
    return json.dumps(finding.record(), indent=2, ensure_ascii=True) + "\n"


def _signatures(finding: Finding) -> Iterator[str]:
    for key in finding.signed:
        yield f"{key.name} signed this itself, with {_key(key)}."
    shown = ends(finding.vouched)
    for vouched in shown:
        yield from _of(vouched)
    if between := len(finding.vouched) - len(shown):
        yield f"The policy accepts the {between:,} checkpoints between these, too."


def _of(vouched: Vouched) -> Iterator[str]:
    found = vouched.checkpoint
    size = counted(found.size, "entries")
    yield f"Of the log {found.origin} with {size}, root {found.root.hex()}:"
    for seen in vouched.logs:
        yield f"  signed by the log, {_key(seen.verifier)}{_at(seen)}"
    for name, seen in vouched.witnesses:
        whose = name if name == seen.verifier.name else f"{name} ({seen.verifier.name})"
        yield f"  seen by the witness {whose}, {_key(seen.verifier)}{_at(seen)}"
    if not vouched.witnesses:
        yield "  seen by no witness"


def _key(key: Verifier) -> str:
    return f"{_KINDS[key.kind]} key {key.key_id.hex()}"


def _at(seen: Seen) -> str:
    return "" if seen.seconds is None else f", at {when(seen.seconds)}"


def _wrapped(sentence: str) -> Iterable[str]:
    """Wrap a sentence as a point of its list; one that begins with two spaces is below the last."""
    below = sentence.startswith("  ")
    first, rest = ("    · ", "      ") if below else ("  - ", "    ")
    return textwrap.wrap(
        harmless(sentence.strip()), WIDTH, initial_indent=first, subsequent_indent=rest,
        break_on_hyphens=False,
    )  # fmt: skip


def harmless(sentence: str) -> str:
    """Write as its number whatever would steer a terminal or turn the direction of writing."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in sentence)
