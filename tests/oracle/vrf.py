"""ECVRF-EDWARDS25519-SHA512-TAI in plain integers, section by section of RFC 9381: slow, obvious.

Points are (x, y), both modulo P. The twin of letterlock.record.vrf; it shares no code with it.
"""

from __future__ import annotations

import hashlib

Point = tuple[int, int]

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
NEUTRAL: Point = (0, 1)
SUITE = b"\x03"


def add(one: Point, other: Point) -> Point:
    """Add two points of the twisted Edwards curve -x² + y² = 1 + dx²y²."""
    x1, y1 = one
    x2, y2 = other
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P
    return x, y


def times(factor: int, point: Point) -> Point:
    """Add `point` to itself `factor` times."""
    found = NEUTRAL
    while factor:
        if factor & 1:
            found = add(found, point)
        point, factor = add(point, point), factor >> 1
    return found


def minus(point: Point) -> Point:
    """Return the opposite point."""
    return -point[0] % P, point[1]


def encode(point: Point) -> bytes:
    """RFC 8032 §5.1.2."""
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decode(encoded: bytes) -> Point | None:
    """RFC 8032 §5.1.3: None if `encoded` is not the one encoding of a point."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number % 2**255
    if len(encoded) != 32 or y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    for x in _roots(square):
        if x & 1 == sign:
            return x, y
    return None


def _roots(square: int) -> set[int]:
    root = pow(square, (P + 3) // 8, P)
    if root * root % P != square:
        root = root * pow(2, (P - 1) // 4, P) % P
    if root * root % P != square:
        return set()
    return {root, -root % P}


_base = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
assert _base is not None
BASE: Point = _base


def of_prime_order(point: Point | None) -> bool:
    """The rule for Γ and the key: of the prime-order subgroup, and not its neutral point."""
    return point is not None and point != NEUTRAL and times(Q, point) == NEUTRAL


def scalar(secret: bytes) -> int:
    """RFC 8032 §5.1.5, steps 1 to 3."""
    head = bytearray(hashlib.sha512(secret).digest()[:32])
    head[0] &= 0b11111000
    head[31] &= 0b01111111
    head[31] |= 0b01000000
    return int.from_bytes(head, "little")


def public_key(secret: bytes) -> bytes:
    """RFC 8032 §5.1.5."""
    return encode(times(scalar(secret), BASE))


def encode_to_curve(salt: bytes, alpha: bytes) -> Point:
    """§5.4.1.1, try and increment."""
    counter = 0
    while True:
        text = SUITE + b"\x01" + salt + alpha + bytes([counter]) + b"\x00"
        point = decode(hashlib.sha512(text).digest()[:32])
        if point is not None and times(8, point) != NEUTRAL:
            return times(8, point)
        counter += 1


def challenge(*points: Point) -> int:
    """§5.4.3, of Y, H, Γ, U and V."""
    text = SUITE + b"\x02" + b"".join(map(encode, points)) + b"\x00"
    return int.from_bytes(hashlib.sha512(text).digest()[:16], "little")


def output(gamma: Point) -> bytes:
    """§5.2, proof to hash."""
    return hashlib.sha512(SUITE + b"\x03" + encode(times(8, gamma)) + b"\x00").digest()


def prove(secret: bytes, alpha: bytes) -> bytes:
    """§5.1."""
    x = scalar(secret)
    public = times(x, BASE)
    h = encode_to_curve(encode(public), alpha)
    gamma = times(x, h)
    tail = hashlib.sha512(secret).digest()[32:]
    k = int.from_bytes(hashlib.sha512(tail + encode(h)).digest(), "little") % Q
    c = challenge(public, h, gamma, times(k, BASE), times(k, h))
    s = (k + c * x) % Q
    return encode(gamma) + c.to_bytes(16, "little") + s.to_bytes(32, "little")


def holds(public: bytes, alpha: bytes, proof: bytes) -> bool:
    """§5.3 without key validation: whether the equation holds, whatever the points are."""
    y, gamma = decode(public), decode(proof[:32])
    c, s = int.from_bytes(proof[32:48], "little"), int.from_bytes(proof[48:], "little")
    if y is None or gamma is None or len(proof) != 80 or s >= Q:
        return False
    h = encode_to_curve(public, alpha)
    u = add(times(s, BASE), minus(times(c, y)))
    v = add(times(s, h), minus(times(c, gamma)))
    return c == challenge(y, h, gamma, u, v)


def verify(public: bytes, alpha: bytes, proof: bytes) -> bytes | None:
    """§5.3 under the frozen rule; None: not proved."""
    y, gamma = decode(public), decode(proof[:32])
    if gamma is None or not of_prime_order(y) or not of_prime_order(gamma):
        return None
    return output(gamma) if holds(public, alpha, proof) else None
