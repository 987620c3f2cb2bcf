"""Signed notes: a text, an empty line, and a line per signature. Spec: docs/spec/notes.md §1.

The form is C2SP's signed-note. Reading is strict: of every note there is one way to write it, so
whoever accepts one accepts the same bytes as everybody else. Nothing that a note says may be
used before `signers_of` (or `checkpoint.opened`) has said who signed it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
from nacl.bindings import crypto_core_ed25519_is_valid_point

from letterlock.errors import InputError, SignatureError

MAX_SIZE: Final = 1_000_000
"""The bytes that a note may have."""
MAX_SIGNATURES: Final = 100
MAX_NAME: Final = 255
"""The bytes that a key's name may have: a cosignature of type 06 counts them in one byte."""
MAX_NUMBER: Final = 2**63 - 1
KEY_ID_SIZE: Final = 4
SEED_SIZE: Final = 32

_DASH: Final = "— "
# Unicode's White_Space, written out: what counts as a space must not vary with a library's tables.
_SPACE: Final = re.compile("[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_CONTROL: Final = re.compile("[\0-\t\x0b-\x1f]")
_NUMBER: Final = re.compile("0|[1-9][0-9]{0,18}")


class Kind(IntEnum):
    """How a key signs; the byte stands before the key in its vkey."""

    ED25519 = 1
    COSIGNATURE = 4
    MLDSA44 = 6


PUBLIC_SIZE: Final = {Kind.ED25519: 32, Kind.COSIGNATURE: 32, Kind.MLDSA44: 1312}


# ── how things are written ──────────────────────────────────────────────────────────────────


def to_base64(data: bytes) -> str:
    """Write bytes in base64 (RFC 4648 §4), padded."""
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes:
    """Read base64 as `to_base64` writes it, and in no other way. Raises InputError."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if to_base64(data) != text:
        raise InputError(f"{text[:60]!r} is not base64 as it is written here")
    return data


def number(text: str) -> int:
    """Read a decimal number from 0 to MAX_NUMBER, without a sign or leading zero: InputError."""
    if not _NUMBER.fullmatch(text) or int(text) > MAX_NUMBER:
        raise InputError(f"{text[:60]!r} is no number from 0 to 2^63-1 as it is written here")
    return int(text)


def check_text(text: str) -> None:
    """Refuse what no note can carry: lone surrogates, and control characters but the newline."""
    if _CONTROL.search(text):
        raise InputError("a note has no control characters but the newline")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError("a note is text that can be written in UTF-8") from error


def check_name(name: str) -> None:
    """Refuse a name that no key can have. Raises InputError."""
    check_text(name)
    if not name or "+" in name or _SPACE.search(name) or len(name.encode()) > MAX_NAME:
        raise InputError(
            f"{name[:60]!r} cannot name a key: 1 to {MAX_NAME} bytes, no space, no plus sign"
        )


# ── keys ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key under its name: what checks one kind of signature line.

    `public` is 32 bytes (Ed25519: the one encoding of a point of the prime-order group) or 1312
    (ML-DSA-44, of which nothing but the size can be checked).
    """

    name: str
    kind: Kind
    public: bytes

    def __post_init__(self) -> None:
        """Refuse what is no key. Raises InputError."""
        check_name(self.name)
        if len(self.public) != PUBLIC_SIZE[self.kind]:
            raise InputError(f"a key of {self.name!r} has {len(self.public)} bytes")
        # The signature check itself takes any point, and of one of low order everybody can sign.
        if self.kind is not Kind.MLDSA44 and not crypto_core_ed25519_is_valid_point(self.public):
            raise InputError(f"a key of {self.name!r} is no Ed25519 public key")

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell the keys of one name apart; they prove nothing."""
        tagged = bytes([self.kind]) + self.public
        return hashlib.sha256(self.name.encode() + b"\n" + tagged).digest()[:KEY_ID_SIZE]

    @property
    def vkey(self) -> str:
        """The key in one line, as policies and operators write it."""
        tagged = bytes([self.kind]) + self.public
        return f"{self.name}+{self.key_id.hex()}+{to_base64(tagged)}"


def parse_vkey(text: str) -> Verifier:
    """Read a key that `Verifier.vkey` wrote. Raises InputError."""
    name, key_id, tagged, *_ = *text.split("+", 2), "", ""
    data = from_base64(tagged)
    if not data or data[0] not in set(Kind):
        raise InputError(f"{text[:60]!r} is no vkey of a kind that is known here")
    verifier = Verifier(name, Kind(data[0]), data[1:])
    if key_id != verifier.key_id.hex():
        raise InputError(f"{text[:60]!r}: the id of this key is {verifier.key_id.hex()}")
    return verifier


class Signer(Protocol):
    """Whoever holds the secret half of a key: memory, a file, a device, another program."""

    @property
    def verifier(self) -> Verifier:
        """The public half."""

    def sign(self, message: bytes) -> bytes:
        """Return the bare signature over exactly these bytes (64 bytes, or 2420 of ML-DSA-44)."""


class SecretSigner:
    """A Signer in memory, from a seed of 32 secret bytes. Raises InputError."""

    __slots__ = ("_key", "verifier")

    def __init__(self, name: str, kind: Kind, seed: bytes) -> None:
        """Derive the key; the same seed gives the same key."""
        if len(seed) != SEED_SIZE:
            raise InputError(f"the seed of a key is {SEED_SIZE} bytes, not {len(seed)}")
        make = (
            MLDSA44PrivateKey.from_seed_bytes
            if kind is Kind.MLDSA44
            else Ed25519PrivateKey.from_private_bytes
        )
        self._key: MLDSA44PrivateKey | Ed25519PrivateKey = make(seed)
        self.verifier: Verifier = Verifier(name, kind, self._key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Sign; ML-DSA-44 gives other bytes each time, Ed25519 the same."""
        return self._key.sign(message)


def check(verifier: Verifier, message: bytes, signature: bytes) -> None:
    """Check a bare signature. Raises SignatureError."""
    take = (
        MLDSA44PublicKey.from_public_bytes
        if verifier.kind is Kind.MLDSA44
        else Ed25519PublicKey.from_public_bytes
    )
    key: MLDSA44PublicKey | Ed25519PublicKey = take(verifier.public)
    try:
        key.verify(signature, message)
    except InvalidSignature as error:
        raise SignatureError(f"a signature of {verifier.name!r} does not hold") from error


# ── notes ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature: whose (a name and 4 bytes of key id), and the bytes of it (at least one)."""

    name: str
    key_id: bytes
    blob: bytes

    def encode(self) -> bytes:
        """Write the line, its newline included. Raises InputError if the name is none."""
        check_name(self.name)
        return f"{_DASH}{self.name} {to_base64(self.key_id + self.blob)}\n".encode()


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and who is said to have signed it."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def encode(self) -> bytes:
        """Write the note. Raises InputError if that would not read back as this note."""
        check_text(self.text)
        data = self.text.encode() + b"\n" + b"".join(line.encode() for line in self.signatures)
        if parse(data) != self:
            raise InputError("this text and these signatures make no note")
        return data

    def signed_by(self, lines: Iterable[SignatureLine]) -> Note:
        """Return the same text with `lines` after the signatures it has."""
        return Note(self.text, (*self.signatures, *lines))


def parse(data: bytes) -> Note:
    """Read a note. Raises InputError; who signed it is not checked here."""
    if len(data) > MAX_SIZE:
        raise InputError(f"a note has at most {MAX_SIZE} bytes, not {len(data)}")
    whole = _decoded(data)
    # The text may hold empty lines itself: the last one separates.
    text, empty, signatures = whole.rpartition("\n\n")
    if not empty:
        raise InputError("a note has an empty line between its text and its signatures")
    return Note(text + "\n", _lines(signatures))


def parse_lines(data: bytes) -> tuple[SignatureLine, ...]:
    """Read signature lines alone, such as a witness answers: at least one. Raises InputError."""
    if len(data) > MAX_SIZE:
        raise InputError(f"signature lines have at most {MAX_SIZE} bytes, not {len(data)}")
    return _lines(_decoded(data))


def _decoded(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError("a note is written in UTF-8") from error
    check_text(text)
    return text


def _lines(text: str) -> tuple[SignatureLine, ...]:
    *lines, rest = text.split("\n", MAX_SIGNATURES + 1)
    if rest or not lines or len(lines) > MAX_SIGNATURES:
        raise InputError(f"a note ends in 1 to {MAX_SIGNATURES} lines of signatures")
    return tuple(map(_line, lines))


def _line(text: str) -> SignatureLine:
    name, _, signature = text.removeprefix(_DASH).partition(" ")
    if not text.startswith(_DASH):
        raise InputError(f"{text[:60]!r} is no signature line")
    check_name(name)
    data = from_base64(signature)
    if len(data) <= KEY_ID_SIZE:
        raise InputError(f"{text[:60]!r} has no signature in it")
    return SignatureLine(name, data[:KEY_ID_SIZE], data[KEY_ID_SIZE:])


def line(signer: Signer, message: bytes, before: bytes = b"") -> SignatureLine:
    """Let `signer` sign `message`, check what it gave, and write it down, `before` in front.

    Raises SignatureError: a signer that errs, or has another key than it says, publishes nothing.
    """
    signature = signer.sign(message)
    check(signer.verifier, message, signature)
    return SignatureLine(signer.verifier.name, signer.verifier.key_id, before + signature)


def sign(text: str, signers: Sequence[Signer]) -> Note:
    """Sign a text that is no checkpoint, with keys of type 01.

    Raises InputError if a key is of another type, SignatureError if a signer errs.
    """
    check_text(text)
    for signer in signers:
        _check_plain(signer.verifier)
    return Note(text, tuple(line(signer, text.encode()) for signer in signers))


def signers_of(note: Note, verifiers: Iterable[Verifier]) -> tuple[Verifier, ...]:
    """Return who of `verifiers` (type 01) signed a note, each once, in the order of its lines.

    Raises SignatureError if a line of theirs does not hold, or none of them signed.
    """
    found: dict[Verifier, None] = {}
    for verifier, blob in known(note, verifiers):
        _check_plain(verifier)
        check(verifier, note.text.encode(), blob)
        found[verifier] = None
    return tuple(found)


def known(note: Note, verifiers: Iterable[Verifier]) -> list[tuple[Verifier, bytes]]:
    """Return the lines of a note that are said to be by `verifiers`; all other lines are ignored.

    Raises SignatureError if there is none, InputError if two keys answer to one name and key id.
    """
    keys: dict[tuple[str, bytes], Verifier] = {}
    for each in verifiers:
        if keys.setdefault((each.name, each.key_id), each) != each:
            raise InputError(f"two keys of {each.name!r} have the id {each.key_id.hex()}")
    lines = [
        (keys[each.name, each.key_id], each.blob)
        for each in note.signatures
        if (each.name, each.key_id) in keys
    ]
    if not lines:
        raise SignatureError("none of the keys asked for has signed this")
    return lines


def _check_plain(verifier: Verifier) -> None:
    if verifier.kind is not Kind.ED25519:
        raise InputError(f"the key of {verifier.name!r} signs checkpoints only")
