"""age (C2SP age): files encrypted to the one who has the secret half of a key, X25519 only.

`pyrage` does the work, and streams; what is around it bounds what strangers may send. Damage shows
at the end of each 64 KiB, and a missing end at the end: nothing decrypted is to be used before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import pyrage
from pyrage import x25519

from letterlock.errors import InputError, VerificationError

SECRET_SIZE: Final = 32
_HEADER: Final = 4096
"""Bytes of a header: pyrage's reader takes time with the square of them."""
_FIRST: Final = b"age-encryption.org/v1\n"
_LAST: Final = b"\n--- "
_PREFIX: Final = "age-secret-key-"
_DIGITS: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


class Source(Protocol):
    """What is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""


class Target(Protocol):
    """What is written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`."""

    def flush(self) -> object:
        """Do nothing more."""


class Stream:
    """A Source of what an iterator yields."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Read nothing yet."""
        self._chunks, self._left = chunks, b""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        while not self._left:
            if (chunk := next(self._chunks, None)) is None:
                return b""
            self._left = chunk
        found, self._left = self._left[:size], self._left[size:]
        return found


def new_identity() -> str:
    """Return a new secret key, as the tool `age` writes one."""
    return str(x25519.Identity.generate())


def identity_of(secret: bytes) -> str:
    """Write 32 secret bytes as the tool `age` does (Bech32, BIP 173). Raises InputError."""
    if len(secret) != SECRET_SIZE:
        raise InputError(f"an age key is {SECRET_SIZE} bytes, not {len(secret)}")
    bits = int.from_bytes(secret, "big") << 4  # 256 bits make 51 digits and one bit: 4 of padding
    digits = [bits >> 5 * n & 31 for n in reversed(range(52))]
    expanded = [ord(c) >> 5 for c in _PREFIX] + [0] + [ord(c) & 31 for c in _PREFIX]
    sum_ = _checksum([*expanded, *digits, *[0] * 6]) ^ 1
    digits += [sum_ >> 5 * n & 31 for n in reversed(range(6))]
    return (_PREFIX + "1" + "".join(_DIGITS[n] for n in digits)).upper()


def _checksum(values: list[int]) -> int:
    found = 1
    for value in values:
        top = found >> 25
        found = (found & 0x1FFFFFF) << 5 ^ value
        for n, generator in enumerate(_GENERATOR):
            found ^= generator if top >> n & 1 else 0
    return found


def public_of(identity: str) -> str:
    """Return the public half ("age1…") of a secret key. Raises InputError."""
    return str(_identity(identity).to_public())


def check_key(key: str) -> None:
    """Refuse what is no public key, or not written in the one way. Raises InputError."""
    if str(_recipient(key)) != key:
        raise InputError(f"{key[:80]!r} is no age key as it is written here")


def encrypt(source: Source, target: Target, key: str) -> None:
    """Encrypt to a public key; both sides stream. Raises InputError, OSError."""
    try:
        pyrage.encrypt_io(source, target, [_recipient(key)])
    except pyrage.EncryptError as error:
        raise OSError(f"nothing could be encrypted: {error}") from error


def decrypt(source: Source, target: Target, identity: str, what: str) -> None:
    """Decrypt; both sides stream, and `target` is to be thrown away if this raises.

    Raises InputError if it is no age file, VerificationError if it is damaged, cut off, or for
    another key. What `target` raises comes through.
    """
    head = _head(source, what)
    try:
        pyrage.decrypt_io(_After(head, source), target, [_identity(identity)])
    except pyrage.DecryptError as error:
        raise VerificationError(f"{what}: does not open with this key: {error}") from error
    except OSError as error:
        if error.errno is not None:  # the disk's, not pyrage's word for damage
            raise
        raise VerificationError(f"{what}: damaged or cut off: {error}") from error


def _head(source: Source, what: str) -> bytes:
    head = b""
    while len(head) < _HEADER and (more := source.read(_HEADER - len(head))):
        head += more
    if not head.startswith(_FIRST) or _LAST not in head:
        raise InputError(f"{what}: no age file")
    return head


class _After:
    """A Source that begins with what was read of another one already."""

    def __init__(self, head: bytes, rest: Source) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int, /) -> bytes:
        found, self._head = self._head[:size], self._head[size:]
        return found or self._rest.read(size)


def _identity(text: str) -> x25519.Identity:
    try:
        return x25519.Identity.from_str(text)
    except pyrage.IdentityError as error:
        raise InputError("this is no secret age key") from error


def _recipient(text: str) -> x25519.Recipient:
    try:
        return x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise InputError(f"{text[:80]!r} is no age key") from error
