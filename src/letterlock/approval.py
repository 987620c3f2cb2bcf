"""Two persons: what changes the rules for everybody carries the signatures of two operators (R47).

A signature is Ed25519 (RFC 8032) over `message`: a label, then the canonical bytes of the event's
kind and body, its signatures left out. It stands in the event, so anybody can check it later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from letterlock.domain import Operator, Signature, canonical
from letterlock.errors import ApprovalError, InputError

LABEL: Final = b"letterlock/approval/v1\0"
NEEDED: Final = 2
KEY_SIZE: Final = 32


def message(kind: str, body: Mapping[str, Any]) -> bytes:
    """Return the bytes that approve an event of `kind` with `body`."""
    bare = {key: value for key, value in body.items() if key != "signatures"}
    return LABEL + canonical([kind, bare])


def public_key(seed: bytes) -> str:
    """Return the public half of a key (32 secret bytes), in hexadecimal. Raises InputError."""
    return _key(seed).public_key().public_bytes_raw().hex()


def sign(operator: str, seed: bytes, signed: bytes) -> Signature:
    """Sign a message as `operator`. Raises InputError if the key is none."""
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
        try:
            key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(operators[each.operator].key))
            key.verify(bytes.fromhex(each.signature), signed)
        except (InvalidSignature, ValueError) as error:
            raise ApprovalError(f"the signature of {each.operator!r} is not of this") from error
        approved.add(each.operator)
    if len(approved) < NEEDED:
        who = ", ".join(sorted(approved)) or "nobody"
        raise ApprovalError(f"{who} approved: it takes {NEEDED} registered operators")
    return tuple(sorted(approved))
