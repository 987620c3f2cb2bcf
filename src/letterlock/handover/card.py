"""A recipient's card: the key that it reads with, and the one that it countersigns with.

Canonical JSON; the platform registers it once two operators have signed that it is the recipient's.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Final

from letterlock.domain import canonical
from letterlock.errors import InputError
from letterlock.evidence import strict
from letterlock.handover import age
from letterlock.record import note
from letterlock.record.note import Kind

LONGEST: Final = 4096
"""Bytes of a card."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHAPE: Final[strict.Shape] = {"recipient": str, "encryption": str, "signing": str}


@dataclass(frozen=True, slots=True)
class Card:
    """`encryption`: an age key ("age1…"). `signing`: a vkey of type 01, named as the recipient."""

    recipient: str
    encryption: str
    signing: str

    def __post_init__(self) -> None:
        """Refuse what is no card. Raises InputError."""
        check_name(self.recipient)
        age.check_key(self.encryption)
        verifier = note.parse_vkey(self.signing)
        if verifier.kind is not Kind.ED25519 or verifier.name != self.recipient:
            raise InputError(f"a card of {self.recipient} has a key of type 01 under that name")
        if verifier.vkey != self.signing:
            raise InputError("a card has its signing key as it is written here")

    def encode(self) -> bytes:
        """Write the card."""
        return canonical(asdict(self)) + b"\n"


def check_name(recipient: str) -> None:
    """Refuse an id that no recipient with keys of its own can have. Raises InputError."""
    if not _NAME.fullmatch(recipient):
        raise InputError(
            f"recipient {recipient[:80]!r}: an id has 1 to 64 letters, digits, and after the "
            "first . _ -"
        )


def parse(data: bytes) -> Card:
    """Read a card. Raises InputError."""
    value = strict.parse(data, "card", limit=LONGEST)
    found = Card(**strict.shaped(value, _SHAPE, "card"))
    if found.encode() != data:
        raise InputError("card: not canonical JSON")
    return found
