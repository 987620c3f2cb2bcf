"""The drop list of a release: who has to go out of every copy, by pseudonym, public and signed.

A feed is a folder of static files. A list is cumulative and numbered from 1; the log holds its hash
(`drops.published`). The head, a note signed by the log's keys, says which list is the newest as of
when, and whether the release was recalled. What is here is pure: bytes in, bytes out.
Spec: docs/spec/drops.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from letterlock.domain import canonical, sha256
from letterlock.errors import InputError, ProofError, SignatureError
from letterlock.evidence import strict
from letterlock.evidence.bundle import Logged
from letterlock.evidence.entries import Public
from letterlock.handover import logged as loggeds
from letterlock.record import note as notes
from letterlock.record.memberset import NAME_SIZE
from letterlock.record.note import Kind, Signer
from letterlock.record.quorum import AHEAD, Policy

FORMAT: Final = "letterlock/drops/v1"
HEAD: Final = "head"
MAX_AGE: Final = 24 * 60 * 60
"""Seconds that a head may be old for who reads a release or applies its list."""
MAX_LIST: Final = 2**28
"""Bytes of a list: of some four million people."""
NONE: Final = "-"
"""What a head says in place of a hash before the first list."""

_VALUES: Final = 2**23
_HASH: Final = re.compile("[0-9a-f]{64}")
_RELEASE: Final = re.compile("[0-9a-f]{16}")
_STATES: Final = {"live": False, "recalled": True}
_LINES: Final = 8
_SHAPE: Final[strict.Shape] = {
    "format": str, "origin": str, "release": str, "number": int, "pseudonyms": list,
}  # fmt: skip


def list_name(number: int) -> str:
    """Return the file name of a list."""
    return f"{number}.json"


def proof_name(number: int) -> str:
    """Return the name of the file that shows a list to be in the log."""
    return f"{number}.proof"


# ── lists ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class DropList:
    """Everybody to be dropped from a release so far: pseudonyms, ascending, end to end."""

    origin: str
    release: str
    number: int
    pseudonyms: bytes

    @property
    def count(self) -> int:
        """Return how many people it names."""
        return len(self.pseudonyms) // NAME_SIZE

    def check_keeps(self, before: DropList) -> None:
        """Check that it names everybody that an earlier list named. Raises InputError."""
        names, size = (self.pseudonyms, before.pseudonyms), NAME_SIZE
        now, then = ({n[at : at + size] for at in range(0, len(n), size)} for n in names)
        if lost := len(then - now):
            raise InputError(
                f"list {self.number} leaves out {lost} that list {before.number} names: a list "
                "only grows"
            )

    def encode(self) -> bytes:
        """Write the file."""
        text = self.pseudonyms.hex()
        size = 2 * NAME_SIZE
        names = [text[n : n + size] for n in range(0, len(text), size)]
        said = {"origin": self.origin, "release": self.release, "number": self.number}
        return canonical({"format": FORMAT, **said, "pseudonyms": names})

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the file, as the log and the head name it."""
        return sha256(self.encode())


def parse_list(data: bytes) -> DropList:
    """Read a list. Raises InputError; that it is the one that was published is not checked here."""
    value = strict.parse(data, "drop list", limit=MAX_LIST, values=_VALUES)
    said = strict.shaped(value, _SHAPE, "drop list")
    if said["format"] != FORMAT or not _RELEASE.fullmatch(said["release"]) or not said["number"]:
        raise InputError(f"drop list: not one of {FORMAT}")
    names = said["pseudonyms"]
    if not all(isinstance(name, str) and _HASH.fullmatch(name) for name in names):
        raise InputError("drop list: a pseudonym is 64 hexadecimal digits")
    if not names or any(one >= next_one for one, next_one in pairwise(names)):
        raise InputError("drop list: its pseudonyms ascend, and there is at least one")
    found = DropList(said["origin"], said["release"], said["number"], bytes.fromhex("".join(names)))
    if found.encode() != data:
        raise InputError("drop list: not canonical JSON")
    return found


def published(logged: Logged, drops: DropList, policy: Policy, now: int) -> Public:
    """Check that the log holds the publication of a list; `now` in seconds. Returns the event.

    Raises InputError, SignatureError or ProofError.
    """
    origin, event = loggeds.check(logged, "drops.published", policy, now)
    body = event.body
    if (origin, body["release"], body["version"]) != (drops.origin, drops.release, drops.number):
        raise ProofError(f"entry {event.index} publishes another list than {drops.number}")
    if (body["list"], body["dropped"]) != (drops.digest, drops.count):
        raise ProofError(f"list {drops.number} is not the one that entry {event.index} publishes")
    return event


# ── heads ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Head:
    """The newest list as of a second: its number (0: none yet) and hash ("" for none).

    `size`: entries of the log when it was signed.
    """

    origin: str
    release: str
    number: int
    digest: str
    as_of: int
    size: int
    recalled: bool = False

    def text(self) -> str:
        """Write the text that is signed."""
        state = "recalled" if self.recalled else "live"
        lines = (
            FORMAT, self.origin, self.release, str(self.number), self.digest or NONE,
            str(self.as_of), str(self.size), state,
        )  # fmt: skip
        return "".join(f"{line}\n" for line in lines)

    def age(self, now: int) -> int:
        """Return its age in seconds; below 0 if it is from later than `now`."""
        return now - self.as_of

    def fresh(self, now: int) -> bool:
        """Say whether it is young enough at `now`, in seconds, and not of a time to come."""
        return -AHEAD <= self.age(now) <= MAX_AGE


def sign_head(head: Head, signers: Sequence[Signer]) -> bytes:
    """Write a head, signed. Raises InputError if it would not read back, SignatureError."""
    if parse_head(head.text()) != head:
        raise InputError("this makes no head of a drop list")
    return notes.sign(head.text(), signers).encode()


def parse_head(text: str) -> Head:
    """Read the text of a head. Raises InputError; who signed it is not checked here."""
    *lines, rest = text.split("\n")
    if rest or len(lines) != _LINES or lines[0] != FORMAT:
        raise InputError(f"the head of a drop list has {_LINES} lines, the first {FORMAT!r}")
    _, origin, release, number, digest, as_of, size, state = lines
    if not _RELEASE.fullmatch(release) or state not in _STATES:
        raise InputError("the head of a drop list names a release, live or recalled")
    if not origin or not (digest == NONE or _HASH.fullmatch(digest)):
        raise InputError("the head of a drop list names a log, and a list by its SHA-256")
    found = Head(
        origin, release, notes.number(number), "" if digest == NONE else digest,
        notes.number(as_of), notes.number(size), _STATES[state],
    )  # fmt: skip
    if bool(found.number) != bool(found.digest):
        raise InputError("the head of a drop list has a number and a hash, or neither")
    return found


def check_head(data: bytes, policy: Policy) -> Head:
    """Read a head that the log's own key has signed. Raises InputError or SignatureError."""
    signed = notes.parse(data)
    keys = [each.verifier for each in policy.logs if each.verifier.kind is Kind.ED25519]
    signers = notes.signers_of(signed, keys)
    head = parse_head(signed.text)
    if all(signer.name != head.origin for signer in signers):
        raise SignatureError(f"no key of the log {head.origin!r} has signed this head")
    return head
