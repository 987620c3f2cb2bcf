"""ML-DSA-44, slow and obvious: FIPS 204, algorithm by algorithm, in plain integers.

It signs deterministically (FIPS 204 §3.4: `rnd` is 32 zero bytes), so that vectors can be written
again; the library that signs in earnest gives other bytes each time. Not for secrets: its time
depends on them. A polynomial is a list of 256 integers, lowest power first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

Poly = list[int]
Vector = list[Poly]

Q = 8380417
D = 13
TAU = 39
GAMMA1 = 2**17
GAMMA2 = (Q - 1) // 88
K = L = 4
ETA = 2
BETA = TAU * ETA
OMEGA = 80
C_SIZE = 32
Z_BITS = 18
T1_BITS = 10
W1_BITS = 6


# ── §3.7, §7.1: hashes, bits and bytes ──────────────────────────────────────────────────────


def h(data: bytes, size: int) -> bytes:
    """SHAKE256."""
    return hashlib.shake_256(data).digest(size)


def pack(numbers: Iterable[int], bits: int) -> bytes:
    """Algorithm 16, SimpleBitPack: each number in `bits` bits, lowest bit first."""
    total, at = 0, 0
    for number in numbers:
        total |= number << at
        at += bits
    return total.to_bytes(at // 8, "little")


def unpack(data: bytes, bits: int) -> Poly:
    """Algorithm 18, SimpleBitUnpack."""
    total = int.from_bytes(data, "little")
    return [total >> bits * i & (1 << bits) - 1 for i in range(256)]


def chunks(data: bytes, size: int) -> list[bytes]:
    """Cut `data` into parts of `size` bytes."""
    return [data[i : i + size] for i in range(0, len(data), size)]


def pack_hint(hint: Vector) -> bytes:
    """Algorithm 20, HintBitPack."""
    packed = bytearray(OMEGA + K)
    index = 0
    for i in range(K):
        for j in range(256):
            if hint[i][j]:
                packed[index] = j
                index += 1
        packed[OMEGA + i] = index
    return bytes(packed)


def unpack_hint(packed: bytes) -> Vector | None:
    """Algorithm 21, HintBitUnpack: None if it is written otherwise than `pack_hint` writes it."""
    hint = [[0] * 256 for _ in range(K)]
    index = 0
    for i in range(K):
        end = packed[OMEGA + i]
        if end < index or end > OMEGA:
            return None
        first = index
        while index < end:
            if index > first and packed[index - 1] >= packed[index]:
                return None
            hint[i][packed[index]] = 1
            index += 1
    if any(packed[index:OMEGA]):
        return None
    return hint


# ── §7.3: sampling ──────────────────────────────────────────────────────────────────────────


def in_ball(seed: bytes) -> Poly:
    """Algorithm 29, SampleInBall: TAU coefficients ±1."""
    stream = iter(h(seed, 4096))
    signs = int.from_bytes(bytes(next(stream) for _ in range(8)), "little")
    c = [0] * 256
    for i in range(256 - TAU, 256):
        j = next(stream)
        while j > i:
            j = next(stream)
        c[i] = c[j]
        c[j] = -1 if signs >> (i + TAU - 256) & 1 else 1
    return c


def uniform(seed: bytes) -> Poly:
    """Algorithm 30, RejNTTPoly: coefficients below Q, of a polynomial that is in NTT form."""
    numbers = (
        int.from_bytes(three, "little") & 0x7FFFFF
        for three in chunks(hashlib.shake_128(seed).digest(3 * 512), 3)
    )
    below = [number for number in numbers if number < Q]
    assert len(below) >= 256
    return below[:256]


def small(seed: bytes) -> Poly:
    """Algorithm 31, RejBoundedPoly: coefficients from -ETA to ETA."""
    halves = [half for byte in h(seed, 512) for half in (byte & 15, byte >> 4)]
    found = [2 - half % 5 for half in halves if half < 15]
    assert len(found) >= 256
    return found[:256]


def matrix(rho: bytes) -> list[Vector]:
    """Algorithm 32, ExpandA."""
    return [[uniform(rho + bytes([s, r])) for s in range(L)] for r in range(K)]


def secrets(rho: bytes) -> tuple[Vector, Vector]:
    """Algorithm 33, ExpandS."""
    found = [small(rho + r.to_bytes(2, "little")) for r in range(L + K)]
    return found[:L], found[L:]


def mask(rho: bytes, mu: int) -> Vector:
    """Algorithm 34, ExpandMask: coefficients from -GAMMA1 + 1 to GAMMA1."""
    seeds = [rho + (mu + r).to_bytes(2, "little") for r in range(L)]
    return [[GAMMA1 - x for x in unpack(h(seed, 32 * Z_BITS), Z_BITS)] for seed in seeds]


# ── §7.4: high and low bits ─────────────────────────────────────────────────────────────────


def centred(r: int, modulus: int) -> int:
    """Return r modulo `modulus`, between half of it below zero (without) and above (with)."""
    r %= modulus
    return r - modulus if r > modulus // 2 else r


def power2round(r: int) -> tuple[int, int]:
    """Algorithm 35."""
    low = centred(r % Q, 2**D)
    return (r % Q - low) >> D, low


def decompose(r: int) -> tuple[int, int]:
    """Algorithm 36: (high, low)."""
    low = centred(r % Q, 2 * GAMMA2)
    if r % Q - low == Q - 1:
        return 0, low - 1
    return (r % Q - low) // (2 * GAMMA2), low


def use_hint(hint: int, r: int) -> int:
    """Algorithm 40."""
    high, low = decompose(r)
    if hint and low > 0:
        return (high + 1) % 44
    if hint:
        return (high - 1) % 44
    return high


# ── §7.5-7.6: polynomials ───────────────────────────────────────────────────────────────────

ZETAS = [pow(1753, int(f"{m:08b}"[::-1], 2), Q) for m in range(256)]


def blocks(length: int) -> Iterator[int]:
    """Yield where the butterflies of one length start."""
    return iter(range(0, 256, 2 * length))


def ntt(poly: Poly) -> Poly:
    """Algorithm 41."""
    w, m, length = list(poly), 0, 128
    while length >= 1:
        for start in blocks(length):
            m += 1
            for j in range(start, start + length):
                t = ZETAS[m] * w[j + length] % Q
                w[j + length] = (w[j] - t) % Q
                w[j] = (w[j] + t) % Q
        length //= 2
    return w


def plain(poly: Poly) -> Poly:
    """Algorithm 42: the inverse of `ntt`."""
    w, m, length = list(poly), 256, 1
    while length < 256:
        for start in blocks(length):
            m -= 1
            for j in range(start, start + length):
                t = w[j]
                w[j] = (t + w[j + length]) % Q
                w[j + length] = -ZETAS[m] * (t - w[j + length]) % Q
        length *= 2
    return [8347681 * x % Q for x in w]


def plus(a: Poly, b: Poly) -> Poly:
    """Add two polynomials."""
    return [(x + y) % Q for x, y in zip(a, b, strict=True)]


def minus(a: Poly, b: Poly) -> Poly:
    """Subtract a polynomial."""
    return [(x - y) % Q for x, y in zip(a, b, strict=True)]


def pointwise(a: Poly, b: Poly) -> Poly:
    """Multiply two polynomials in NTT form."""
    return [x * y % Q for x, y in zip(a, b, strict=True)]


def applied(a: list[Vector], v: Vector) -> Vector:
    """Multiply a matrix, in NTT form, with a vector that is not; the result is not."""
    v_ntt = [ntt(poly) for poly in v]
    found = []
    for row in a:
        total = [0] * 256
        for left, right in zip(row, v_ntt, strict=True):
            total = plus(total, pointwise(left, right))
        found.append(plain(total))
    return found


def scaled(c: Poly, v: Vector) -> Vector:
    """Multiply each polynomial of a vector with one."""
    return [plain(pointwise(ntt(c), ntt(poly))) for poly in v]


def norm(v: Vector) -> int:
    """Return the largest absolute value among the centred coefficients."""
    return max(abs(centred(x, Q)) for poly in v for x in poly)


# ── §5-6: keys and signatures ───────────────────────────────────────────────────────────────


def expanded(seed: bytes) -> tuple[bytes, bytes, Vector, Vector, Vector, bytes]:
    """Algorithm 6: (rho, K, s1, s2, t0, public key)."""
    digest = h(seed + bytes([K, L]), 128)
    rho, rho1, k = digest[:32], digest[32:96], digest[96:]
    s1, s2 = secrets(rho1)
    t = [plus(x, y) for x, y in zip(applied(matrix(rho), s1), s2, strict=True)]
    rounded = [[power2round(x) for x in poly] for poly in t]
    t0 = [[low for _, low in poly] for poly in rounded]
    public = rho + b"".join(pack((high for high, _ in poly), T1_BITS) for poly in rounded)
    return rho, k, s1, s2, t0, public


def public_key(seed: bytes) -> bytes:
    """Return the public key of a seed."""
    return expanded(seed)[-1]


def w1_encode(w1: Vector) -> bytes:
    """Algorithm 28."""
    return b"".join(pack(poly, W1_BITS) for poly in w1)


def represented(public: bytes, message: bytes) -> bytes:
    """Return mu: the public key and the message (its context is empty), hashed."""
    return h(h(public, 64) + b"\0\0" + message, 64)


def sign(seed: bytes, message: bytes) -> bytes:
    """Algorithms 2 and 7, with an empty context and `rnd` of zero bytes."""
    rho, k, s1, s2, t0, public = expanded(seed)
    a = matrix(rho)
    mu = represented(public, message)
    rho2 = h(k + bytes(32) + mu, 64)
    kappa = 0
    while True:
        y = mask(rho2, kappa)
        kappa += L
        w = applied(a, y)
        w1 = [[decompose(x)[0] for x in poly] for poly in w]
        c_hash = h(mu + w1_encode(w1), C_SIZE)
        c = in_ball(c_hash)
        z = [plus(one, other) for one, other in zip(y, scaled(c, s1), strict=True)]
        rest = [minus(one, other) for one, other in zip(w, scaled(c, s2), strict=True)]
        low = max(abs(decompose(x)[1]) for poly in rest for x in poly)
        if norm(z) >= GAMMA1 - BETA or low >= GAMMA2 - BETA:
            continue
        ct0 = scaled(c, t0)
        hint = [
            [int(decompose(x)[0] != decompose(x + y)[0]) for x, y in zip(one, other, strict=True)]
            for one, other in zip(rest, ct0, strict=True)
        ]
        if norm(ct0) >= GAMMA2 or sum(map(sum, hint)) > OMEGA:
            continue
        z_packed = b"".join(pack((GAMMA1 - centred(x, Q) for x in poly), Z_BITS) for poly in z)
        return c_hash + z_packed + pack_hint(hint)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Algorithms 3 and 8, with an empty context."""
    z_end = C_SIZE + L * 32 * Z_BITS
    if len(public) != 32 + K * 32 * T1_BITS or len(signature) != z_end + OMEGA + K:
        return False
    rho, t1 = public[:32], [unpack(part, T1_BITS) for part in chunks(public[32:], 32 * T1_BITS)]
    c_hash, packed = signature[:C_SIZE], chunks(signature[C_SIZE:z_end], 32 * Z_BITS)
    z = [[GAMMA1 - x for x in unpack(part, Z_BITS)] for part in packed]
    hint = unpack_hint(signature[z_end:])
    if hint is None or norm(z) >= GAMMA1 - BETA:
        return False
    shifted = [[x << D for x in poly] for poly in t1]
    c = in_ball(c_hash)
    w = [
        minus(one, other)
        for one, other in zip(applied(matrix(rho), z), scaled(c, shifted), strict=True)
    ]
    w1 = [
        [use_hint(bit, x) for bit, x in zip(bits, poly, strict=True)]
        for bits, poly in zip(hint, w, strict=True)
    ]
    return h(represented(public, message) + w1_encode(w1), C_SIZE) == c_hash
