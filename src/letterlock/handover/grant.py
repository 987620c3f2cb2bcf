"""A grant: that a version of a release may go to one recipient, once; and the letter with its key.

The grant is the entry `release.delivered` of the log, which is public before the first byte leaves.
The package is encrypted to a key made for this grant alone, and that key travels in the letter, to
the recipient's own key: whoever has only the package has nothing. Spec: docs/spec/handover.md §2.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

from letterlock.domain import Time, canonical
from letterlock.errors import InputError
from letterlock.evidence import strict
from letterlock.evidence.bundle import MAX_SIZE, Logged
from letterlock.handover import age
from letterlock.handover import logged as loggeds
from letterlock.record.quorum import Policy

FORMAT: Final = "letterlock/key-letter/v1"

_SHAPE: Final[strict.Shape] = {
    "format": str, "identity": str, "index": int, "entry": str, "proof": str,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant, as the log of `origin` has it at `index`, recorded at `time`.

    `grant`: 32 hexadecimal digits. `manifest`: the hash of what was granted. `key`: the recipient's
    age key. `terms`: the hash of the terms, or empty. `feed`: where drop lists are, or empty.
    """

    origin: str
    index: int
    time: Time
    grant: str
    release: str
    recipient: str
    purpose: str
    version: int
    manifest: str
    key: str
    terms: str
    feed: str
    expires: Time


def check(logged: Logged, policy: Policy, now: int) -> Grant:
    """Return the grant that an entry of the log is, if a policy accepts that it is there.

    `now` in seconds. Raises InputError, SignatureError (the witnesses that the policy asks for did
    not see it), or ProofError.
    """
    origin, event = loggeds.check(logged, "release.delivered", policy, now)
    return Grant(origin, event.index, event.time, **event.body)


@dataclass(frozen=True, slots=True)
class Letter:
    """The key letter: the secret key of a package, and the grant with its proof."""

    identity: str
    logged: Logged

    def encode(self) -> bytes:
        """Write it, in the clear."""
        said = {
            "format": FORMAT, "identity": self.identity, "index": self.logged.index,
            "entry": self.logged.entry.decode(), "proof": self.logged.proof.decode(),
        }  # fmt: skip
        return canonical(said)

    def seal(self, key: str) -> bytes:
        """Write it, encrypted to its recipient's key. Raises InputError."""
        sealed = io.BytesIO()
        age.encrypt(io.BytesIO(self.encode()), sealed, key)
        return sealed.getvalue()


def parse(data: bytes) -> Letter:
    """Read a letter that is decrypted. Raises InputError; what it says is not checked here."""
    value = strict.parse_canonical(data, "key letter", limit=MAX_SIZE)
    said = strict.shaped(value, _SHAPE, "key letter")
    if said["format"] != FORMAT:
        raise InputError(f"key letter: its format is not {FORMAT}")
    age.public_of(said["identity"])
    logged = Logged(said["index"], said["entry"].encode(), said["proof"].encode())
    return Letter(said["identity"], logged)


def opened(data: bytes, identity: str) -> Letter:
    """Decrypt and read a letter. Raises InputError, VerificationError if it is for another key."""
    if len(data) > MAX_SIZE:
        raise InputError(f"key letter: at most {MAX_SIZE} bytes are read")
    found = io.BytesIO()
    age.decrypt(io.BytesIO(data), found, identity, "key letter")
    return parse(found.getvalue())
