"""Checkpoints: what a log was at one size, signed by it and by who saw it. docs/spec/notes.md §2-3.

The forms are C2SP's tlog-checkpoint and tlog-cosignature. A log signs with type 01 (Ed25519 over
the text) and type 06 (ML-DSA-44); a witness cosigns with 04 (Ed25519) or 06. Types 04 and 06 carry
a time, in seconds since 1970-01-01 UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from letterlock.errors import InputError, SignatureError
from letterlock.record import note as notes
from letterlock.record.note import Kind, Note, SignatureLine, Signer, Verifier

ROOT_SIZE: Final = 32
MAX_ORIGIN: Final = 255
"""The bytes that an origin may have: a cosignature of type 06 counts them in one byte."""
TIME_SIZE: Final = 8

_LINES: Final = 3
_LABEL: Final = b"subtree/v1\n\0"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The first `size` entries of the log `origin` have the tree hash `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be written down. Raises InputError."""
        for line in (self.origin, *self.extensions):
            notes.check_text(line)
            if not line or "\n" in line:
                raise InputError("each line of a checkpoint says something")
        if len(self.origin.encode()) > MAX_ORIGIN:
            raise InputError(f"the origin of a checkpoint has at most {MAX_ORIGIN} bytes")
        if not 0 <= self.size <= notes.MAX_NUMBER:
            raise InputError("the size of a log is from 0 to 2^63-1")
        if len(self.root) != ROOT_SIZE:
            raise InputError(f"the root of a tree is {ROOT_SIZE} bytes, not {len(self.root)}")

    def text(self) -> str:
        """Write the text that is signed."""
        lines = self.origin, str(self.size), notes.to_base64(self.root), *self.extensions
        return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Seen:
    """A signature that holds: whose, and as of which second they said so (None: they did not)."""

    verifier: Verifier
    seconds: int | None


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint. Raises InputError; who signed it is not checked here."""
    *lines, rest = text.split("\n")
    if rest or len(lines) < _LINES:
        raise InputError("a checkpoint has a line each for origin, size and root")
    origin, size, root, *extensions = lines
    return Checkpoint(origin, notes.number(size), notes.from_base64(root), tuple(extensions))


def sign(checkpoint: Checkpoint, signers: Sequence[Signer], seconds: int) -> Note:
    """Sign a checkpoint as its log, with keys of type 01 or 06 whose name is the origin.

    Type 06 does not sign extension lines, so it is refused where there are any. Raises InputError;
    SignatureError if a signer errs.
    """
    note = Note(checkpoint.text(), ())
    lines = []
    for signer in signers:
        if signer.verifier.name != checkpoint.origin:
            raise InputError(f"{signer.verifier.name!r} is not the log {checkpoint.origin!r}")
        if signer.verifier.kind is Kind.ED25519:
            lines.append(notes.line(signer, note.text.encode()))
        elif signer.verifier.kind is Kind.MLDSA44 and not checkpoint.extensions:
            lines.append(cosign(note, signer, seconds))
        else:
            raise InputError(f"a log does not sign this with a key of type {signer.verifier.kind}")
    return note.signed_by(lines)


def cosign(note: Note, signer: Signer, seconds: int) -> SignatureLine:
    """Say, with a key of type 04 or 06, that this was the log's newest checkpoint at `seconds`.

    Raises InputError, SignatureError. Whether it extends what was cosigned before is the
    caller's to check first.
    """
    if signer.verifier.kind is Kind.ED25519:
        raise InputError(f"the key of {signer.verifier.name!r} signs no time")
    if not 0 <= seconds <= notes.MAX_NUMBER:
        raise InputError("a time that can be signed is from 0 to 2^63-1 seconds")
    message = _message(note.text, parse(note.text), signer.verifier, seconds)
    return notes.line(signer, message, seconds.to_bytes(TIME_SIZE, "big"))


def opened(note: Note, verifiers: Iterable[Verifier]) -> tuple[Checkpoint, tuple[Seen, ...]]:
    """Return the checkpoint of a note and who of `verifiers` signed it, each once.

    Of several lines by one key all have to hold, and the newest counts. Type 06 with the time 0
    says no time. Raises InputError if it is no checkpoint; SignatureError if a line of theirs does
    not hold, none of them signed, or nobody who did signed its extension lines.
    """
    checkpoint = parse(note.text)
    found: dict[Verifier, int | None] = {}
    for verifier, blob in notes.known(note, verifiers):
        seconds = _checked(note.text, checkpoint, verifier, blob)
        times = [each for each in (found.get(verifier), seconds) if each is not None]
        found[verifier] = max(times, default=None)
    seen = tuple(Seen(*each) for each in found.items())
    check_extensions(checkpoint, seen)
    return checkpoint, seen


def check_extensions(checkpoint: Checkpoint, seen: Sequence[Seen]) -> None:
    """Raise SignatureError if nobody of `seen` signed extension lines: type 06 leaves them out."""
    if checkpoint.extensions and all(each.verifier.kind is Kind.MLDSA44 for each in seen):
        raise SignatureError("nobody signed the extension lines of this checkpoint")


def _checked(text: str, checkpoint: Checkpoint, verifier: Verifier, blob: bytes) -> int | None:
    if verifier.kind is Kind.ED25519:
        notes.check(verifier, text.encode(), blob)
        return None
    seconds = int.from_bytes(blob[:TIME_SIZE], "big")
    if seconds > notes.MAX_NUMBER:
        raise SignatureError(f"a cosignature of {verifier.name!r} says no time that there is")
    notes.check(verifier, _message(text, checkpoint, verifier, seconds), blob[TIME_SIZE:])
    return seconds or (0 if verifier.kind is Kind.COSIGNATURE else None)


def _message(text: str, checkpoint: Checkpoint, verifier: Verifier, seconds: int) -> bytes:
    """Return the bytes that a cosignature signs (tlog-cosignature)."""
    if verifier.kind is Kind.COSIGNATURE:
        return f"cosignature/v1\ntime {seconds}\n{text}".encode()
    name, origin = verifier.name.encode(), checkpoint.origin.encode()
    numbers = (0, checkpoint.size)  # the subtree from the first leaf on: a whole tree
    return b"".join(
        (
            _LABEL,
            bytes([len(name)]) + name,
            seconds.to_bytes(TIME_SIZE, "big"),
            bytes([len(origin)]) + origin,
            *(each.to_bytes(8, "big") for each in numbers),
            checkpoint.root,
        )
    )
