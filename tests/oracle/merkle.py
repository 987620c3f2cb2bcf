"""Merkle trees, a second time: the recursive definitions of RFC 9162 §2.1, word for word.

D is a list of entries (not of their hashes). Quadratic, and meant to be.
"""

from __future__ import annotations

from hashlib import sha256


def largest_power_of_two_smaller_than(n: int) -> int:
    """Return k with k < n <= 2k."""
    k = 1
    while k * 2 < n:
        k = k * 2
    return k


def mth(d: list[bytes]) -> bytes:
    """Return MTH(D[n]) (§2.1.1)."""
    n = len(d)
    if n == 0:
        return sha256(b"").digest()
    if n == 1:
        return sha256(b"\x00" + d[0]).digest()
    k = largest_power_of_two_smaller_than(n)
    return sha256(b"\x01" + mth(d[0:k]) + mth(d[k:n])).digest()


def path(m: int, d: list[bytes]) -> list[bytes]:
    """Return PATH(m, D[n]) (§2.1.3.1)."""
    n = len(d)
    if n == 1:
        return []
    k = largest_power_of_two_smaller_than(n)
    if m < k:
        return [*path(m, d[0:k]), mth(d[k:n])]
    return [*path(m - k, d[k:n]), mth(d[0:k])]


def proof(m: int, d: list[bytes]) -> list[bytes]:
    """Return PROOF(m, D[n]) for 0 < m < n (§2.1.4.1)."""
    return subproof(m, d, b=True)


def subproof(m: int, d: list[bytes], *, b: bool) -> list[bytes]:
    """Return SUBPROOF(m, D[n], b) (§2.1.4.1)."""
    n = len(d)
    if m == n and b:
        return []
    if m == n:
        return [mth(d)]
    k = largest_power_of_two_smaller_than(n)
    if m <= k:
        return [*subproof(m, d[0:k], b=b), mth(d[k:n])]
    return [*subproof(m - k, d[k:n], b=False), mth(d[0:k])]
