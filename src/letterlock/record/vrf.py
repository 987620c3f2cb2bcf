"""A verifiable random function: ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381), over libsodium.

Whoever has the secret key can compute one output per input, and prove it; with the public key
anybody checks the proof, and no second output of that input can ever be proved.

Where RFC 9381 leaves a choice, the stricter one is frozen: the public key and Γ MUST be the one
encoding of a point of the prime-order subgroup other than the neutral one, and s MUST be below q.
Spec: docs/spec/memberset.md §1. Vectors: tests/vectors/vrf. Slow twin: tests/oracle/vrf.py.
"""

from __future__ import annotations

import hashlib
from typing import Final

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_is_valid_point,
    crypto_core_ed25519_scalar_add,
    crypto_core_ed25519_scalar_mul,
    crypto_core_ed25519_scalar_reduce,
    crypto_core_ed25519_sub,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)

from letterlock.errors import InputError, ProofError

SECRET_SIZE: Final = 32
PROOF_SIZE: Final = 80
"""Γ, 32 bytes; c, 16; s, 32."""
TOKEN_SIZE: Final = 32

_SUITE: Final = b"\x03"
_P: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
_NEUTRAL: Final = b"\x01" + bytes(31)
_EIGHT: Final = b"\x08" + bytes(31)


class SecretKey:
    """A secret key (RFC 8032 §5.1.5), expanded once for many inputs."""

    def __init__(self, secret: bytes) -> None:
        """Expand 32 secret bytes. Raises InputError if they are not so many."""
        if len(secret) != SECRET_SIZE:
            raise InputError(f"a secret key is {SECRET_SIZE} bytes, not {len(secret)}")
        digest = hashlib.sha512(secret).digest()
        number = int.from_bytes(digest[:32], "little") & (1 << 254) - 8 | 1 << 254
        self._scalar, self._prefix = number.to_bytes(32, "little"), digest[32:]
        self._eightfold = crypto_core_ed25519_scalar_mul(_EIGHT, self._scalar)
        self.public = crypto_scalarmult_ed25519_base_noclamp(self._scalar)

    def prove(self, alpha: bytes) -> bytes:
        """Return the proof of the output for `alpha` (RFC 9381 §5.1), 80 bytes."""
        point = _encode_to_curve(self.public, alpha)
        gamma = crypto_scalarmult_ed25519_noclamp(self._scalar, point)
        nonce = crypto_core_ed25519_scalar_reduce(hashlib.sha512(self._prefix + point).digest())
        challenge = _challenge(
            self.public,
            point,
            gamma,
            crypto_scalarmult_ed25519_base_noclamp(nonce),
            crypto_scalarmult_ed25519_noclamp(nonce, point),
        )
        product = crypto_core_ed25519_scalar_mul(challenge + bytes(16), self._scalar)
        return gamma + challenge + crypto_core_ed25519_scalar_add(nonce, product)

    def token(self, alpha: bytes) -> bytes:
        """Return the first 32 bytes of the output for `alpha`; nothing is proved."""
        point = _encode_to_curve(self.public, alpha)
        # 8·Γ = 8·(x·H) = (8x mod q)·H, as H is of order q.
        return _output(crypto_scalarmult_ed25519_noclamp(self._eightfold, point))[:TOKEN_SIZE]


def public_key(secret: bytes) -> bytes:
    """Return the public half of 32 secret bytes. Raises InputError."""
    return SecretKey(secret).public


def prove(secret: bytes, alpha: bytes) -> bytes:
    """Return the proof of the output for `alpha`, 80 bytes. Raises InputError."""
    return SecretKey(secret).prove(alpha)


def token(secret: bytes, alpha: bytes) -> bytes:
    """Return the first 32 bytes of the output for `alpha`. Raises InputError."""
    return SecretKey(secret).token(alpha)


def check_key(public: bytes) -> None:
    """Raise InputError unless `public` is a key under which no input has two outputs."""
    if len(public) != len(_NEUTRAL) or not crypto_core_ed25519_is_valid_point(public):
        raise InputError(f"{public.hex()} is no public key of a verifiable random function")


def verify(public: bytes, alpha: bytes, proof: bytes) -> bytes:
    """Return the output, 64 bytes, that untrusted `proof` proves for `alpha` (RFC 9381 §5.3).

    Raises ProofError, also for a `public` key or Γ that is not the canonical encoding of a point of
    the prime-order subgroup. Vectors: tests/vectors/vrf.
    """
    if len(proof) != PROOF_SIZE:
        raise ProofError(f"a proof of the random function is {PROOF_SIZE} bytes, not {len(proof)}")
    gamma, challenge, response = proof[:32], proof[32:48], proof[48:]
    try:
        check_key(public)
    except InputError as error:
        raise ProofError(str(error)) from error
    if not crypto_core_ed25519_is_valid_point(gamma):
        raise ProofError("the proof's Γ is no point of the prime-order subgroup")
    if int.from_bytes(response, "little") >= _ORDER:
        raise ProofError("the proof's s is not below the order of the group")
    point, factor = _encode_to_curve(public, alpha), challenge + bytes(16)
    try:
        found = _challenge(
            public,
            point,
            gamma,
            crypto_core_ed25519_sub(
                crypto_scalarmult_ed25519_base_noclamp(response),
                crypto_scalarmult_ed25519_noclamp(factor, public),
            ),
            crypto_core_ed25519_sub(
                crypto_scalarmult_ed25519_noclamp(response, point),
                crypto_scalarmult_ed25519_noclamp(factor, gamma),
            ),
        )
    except (
        RuntimeError
    ) as error:  # c or s is zero: nobody can find a true proof of which that is so
        raise ProofError("the proof's c or s is zero") from error
    if found != challenge:
        raise ProofError("the proof is not of this input under this key")
    return _output(_times_eight(gamma))


def _encode_to_curve(public: bytes, alpha: bytes) -> bytes:
    """Hash `alpha` to a point of order q, trying one counter after the other (§5.4.1.1)."""
    start = _SUITE + b"\x01" + public + alpha
    hashes = (hashlib.sha512(start + bytes((counter, 0))).digest() for counter in range(256))
    # One hash in two gives a point, so that none does has a chance of 2**-256.
    return next(point for each in hashes if (point := _cleared(each[:32])) is not None)


def _cleared(encoded: bytes) -> bytes | None:
    """Return 8·P; None if `encoded` is no point, not written canonically, or of low order."""
    if int.from_bytes(encoded, "little") & (1 << 255) - 1 >= _P:
        return None  # libsodium would take it modulo p
    try:
        point = _times_eight(encoded)
    except RuntimeError:
        return None
    return None if point == _NEUTRAL else point


def _times_eight(point: bytes) -> bytes:
    """Return 8·P (§5.4.1.1: clearing the cofactor). Raises RuntimeError if it is no point."""
    for _ in range(3):
        point = crypto_core_ed25519_add(point, point)
    return point


def _challenge(*points: bytes) -> bytes:
    """Return c of Y, H, Γ, U and V (§5.4.3), 16 bytes."""
    return hashlib.sha512(_SUITE + b"\x02" + b"".join(points) + b"\x00").digest()[:16]


def _output(cleared: bytes) -> bytes:
    """Return β of 8·Γ (§5.2), 64 bytes."""
    return hashlib.sha512(_SUITE + b"\x03" + cleared + b"\x00").digest()
