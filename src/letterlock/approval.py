"""Two persons: what changes the rules for everybody carries the signatures of two operators (R47).

A signature is Ed25519 (RFC 8032) over `message`: a label, then the canonical bytes of the event's
kind and body, its signatures left out. It stands in the event, so anybody can check it later.

The library checks no key: one that is no point signs nothing, and of a point of low order everybody
can forge signatures. `check_key` refuses both, and what is written in any but the one way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from letterlock.domain import Operator, Signature, canonical
from letterlock.errors import ApprovalError, InputError

LABEL: Final = b"letterlock/approval/v1\0"
NEEDED: Final = 2
KEY_SIZE: Final = 32

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9@._-]{0,63}")
_KEY: Final = re.compile("[0-9a-f]{64}")
_SIGNATURE: Final = re.compile("[0-9a-f]{128}")


def message(kind: str, body: Mapping[str, Any]) -> bytes:
    """Return the bytes that approve an event of `kind` with `body`.

    Of a policy its version and documents are signed: all else in the event follows from them.
    """
    signed = {"version", "documents"} if kind == "policy.published" else body.keys()
    bare = {key: body[key] for key in signed & body.keys() - {"signatures"}}
    return LABEL + canonical([kind, bare])


def check_name(operator: str) -> None:
    """Refuse an operator's id that looks like another one, or is no file name: InputError."""
    if not _NAME.fullmatch(operator):
        raise InputError(
            f"operator {operator!r}: an id has 1 to 64 of a-z, 0-9, and after the first @ . _ -"
        )


def public_key(seed: bytes) -> str:
    """Return the public half of a key (32 secret bytes), in hexadecimal. Raises InputError."""
    return _key(seed).public_key().public_bytes_raw().hex()


def sign(operator: str, seed: bytes, signed: bytes) -> Signature:
    """Sign a message as `operator`. Raises InputError if the key or the id is none."""
    check_name(operator)
    return Signature(operator, _key(seed).sign(signed).hex())


def sign_all(keys: Mapping[str, bytes], signed: bytes) -> list[Signature]:
    """Sign a message with each operator's key."""
    return [sign(operator, seed, signed) for operator, seed in keys.items()]


def _key(seed: bytes) -> Ed25519PrivateKey:
    if len(seed) != KEY_SIZE:
        raise InputError(f"an operator's key is {KEY_SIZE} bytes, not {len(seed)}")
    return Ed25519PrivateKey.from_private_bytes(seed)


def check(
    signed: bytes, signatures: Iterable[Signature], operators: Mapping[str, Operator]
) -> tuple[str, ...]:
    """Return who approved, in the order of their ids.

    Raises ApprovalError if one signature does not hold, or fewer than two persons approved.
    """
    approved = set()
    for each in signatures:
        if each.operator not in operators:
            raise ApprovalError(f"{each.operator!r} is no registered operator")
        if each.operator in approved:
            raise ApprovalError(f"{each.operator!r} signed twice: it takes two persons")
        if not _holds(each, operators[each.operator].key, signed):
            raise ApprovalError(f"the signature of {each.operator!r} is not of this")
        approved.add(each.operator)
    if len(approved) < NEEDED:
        who = ", ".join(sorted(approved)) or "nobody"
        raise ApprovalError(f"{who} approved: it takes {NEEDED} registered operators")
    return tuple(sorted(approved))


def _holds(signature: Signature, key: str, signed: bytes) -> bool:
    if not _SIGNATURE.fullmatch(signature.signature):
        return False
    try:
        check_key(key)
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(signature.signature), signed)
    except (InputError, InvalidSignature):
        return False
    return True


# ── keys ────────────────────────────────────────────────────────────────────────────────────

_P: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P

_Point: TypeAlias = tuple[int, int, int, int]
"""Extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, xy = T/Z (RFC 8032 §5.1.4)."""


@lru_cache(maxsize=256)
def check_key(key: str) -> None:
    """Raise InputError unless `key` is a public key of which only its owner can sign.

    That is 64 lower-case hexadecimal digits, the one encoding of a point of the prime-order group.
    """
    if not _KEY.fullmatch(key):
        raise InputError("a key is 64 hexadecimal digits, lower-case")
    point = _point(bytes.fromhex(key))
    if point is None or _is_zero(point) or not _is_zero(_times(_ORDER, point)):
        raise InputError(f"{key} is no Ed25519 public key")


def _point(encoded: bytes) -> _Point | None:
    """Decode a point (RFC 8032 §5.1.3); None if it is none, or not encoded canonically."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (1 << 255) - 1
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    if y >= _P or (x * x - square) % _P or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else _P - x
    return x, y, 1, x * y % _P


def _times(factor: int, point: _Point) -> _Point:
    found = (0, 1, 1, 0)
    for bit in f"{factor:b}":
        found = _plus(found, found)
        found = _plus(found, point) if bit == "1" else found
    return found


def _plus(one: _Point, other: _Point) -> _Point:
    """Add two points (RFC 8032 §5.1.4); the formula is complete, so doubles too."""
    a = (one[1] - one[0]) * (other[1] - other[0])
    b = (one[1] + one[0]) * (other[1] + other[0])
    c, d = 2 * one[3] * other[3] * _D, 2 * one[2] * other[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _is_zero(point: _Point) -> bool:
    return point[0] % _P == 0 and (point[1] - point[2]) % _P == 0
