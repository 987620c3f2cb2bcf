"""Write the golden vectors of the random function: `python tests/vectors/vrf/make.py`.

Everything follows from the seeds below, so a second run writes the same files. How the vectors are
read, and by what they were checked: PROVENANCE.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from letterlock.record import memberset, vrf  # noqa: E402
from oracle import vrf as plain  # noqa: E402

SECRET = bytes(range(32))
PUBLIC = vrf.public_key(SECRET)
ALPHA = memberset.alpha("letterlock.example/log", "acct-000000")
PROOF = vrf.prove(SECRET, ALPHA)

RFC = {
    "rfc9381-example-16": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f"
            "26f8a57ccaed74ee1b190bed1f479d97"
            "27d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805"
        ),
        (
            "90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff"
            "66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae"
        ),
    ),
    "rfc9381-example-17": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed593"
            "3bf0864a62558b3ed7f2fea45c92a465"
            "301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02"
        ),
        (
            "eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb"
            "5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031"
        ),
    ),
    "rfc9381-example-18": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf80"
            "96bb474e53895c362d8628ee9f9ea3c0"
            "e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e"
        ),
        (
            "645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c45"
            "2118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f"
        ),
    ),
}
"""Secret, public, alpha, proof, beta: RFC 9381 appendix B.3."""

LOW = {
    2: (2**255 - 20).to_bytes(32, "little"),
    4: bytes(32),
    8: bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
}
"""Points of low order, canonically encoded."""


def valid() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what is proved."""
    for name, texts in RFC.items():
        yield name, dict(zip(("secret", "public", "alpha", "proof", "beta"), texts, strict=True))
    for n in range(5):
        alpha = memberset.alpha("letterlock.example/log", f"acct-{n:06}")
        yield f"member-{n}", _proved(SECRET, alpha)
    long = bytes(range(256)) * 8
    yield "long-input", _proved(bytes([7]) * 32, long)
    neutral = {"public": PUBLIC.hex(), "alpha": ALPHA.hex()}
    proof = forged(PUBLIC, plain.scalar(SECRET), PROOF[:32], nonce=0)
    yield (
        "nonce-zero",
        {**neutral, "proof": proof.hex(), "beta": vrf.verify(PUBLIC, ALPHA, PROOF).hex()},
    )


def _proved(secret: bytes, alpha: bytes) -> dict[str, str]:
    public, proof = vrf.public_key(secret), vrf.prove(secret, alpha)
    found = {"secret": secret, "public": public, "alpha": alpha, "proof": proof}
    found["beta"] = vrf.verify(public, alpha, proof)
    return {key: value.hex() for key, value in found.items()}


def forged(public: bytes, x: int, gamma: bytes, *, nonce: int = 1, alpha: bytes = ALPHA) -> bytes:
    """Return a proof with this Γ whose c is a multiple of 8, unless the nonce is 0.

    So a part of order 8 in Γ or the key vanishes from the equation, which then holds.
    """
    y, g, h = plain.decode(public), plain.decode(gamma), plain.encode_to_curve(public, alpha)
    assert y is not None
    assert g is not None
    while True:
        c = plain.challenge(y, h, g, plain.times(nonce, plain.BASE), plain.times(nonce, h))
        if nonce == 0 or c % 8 == 0:
            s = (nonce + c * x) % plain.Q
            return gamma + c.to_bytes(16, "little") + s.to_bytes(32, "little")
        nonce += 1


def _plus(one: bytes, other: bytes) -> bytes:
    a, b = plain.decode(one), plain.decode(other)
    assert a is not None
    assert b is not None
    return plain.encode(plain.add(a, b))


def tampered() -> Iterator[tuple[str, tuple[bytes, bytes, bytes]]]:
    """Yield what nobody may take for proved: key, input and proof, by what was done."""
    gamma, c, s = PROOF[:32], PROOF[32:48], PROOF[48:]
    for name, at in {"gamma": 0, "c": 32, "s": 48}.items():
        changed = bytearray(PROOF)
        changed[at] ^= 1
        yield f"{name}-first-bit", (PUBLIC, ALPHA, bytes(changed))
    yield "gamma-opposite", (PUBLIC, ALPHA, gamma[:31] + bytes([gamma[31] ^ 0x80]) + c + s)
    yield "gamma-of-another-input", (PUBLIC, ALPHA, vrf.prove(SECRET, b"x")[:32] + c + s)
    x = plain.scalar(SECRET)
    for order, point in LOW.items():
        other = _plus(gamma, point)
        yield f"gamma-plus-order-{order}", (PUBLIC, ALPHA, forged(PUBLIC, x, other))
        yield f"gamma-of-order-{order}", (PUBLIC, ALPHA, point + c + s)
        mixed = _plus(PUBLIC, point)
        h = plain.encode_to_curve(mixed, ALPHA)
        mine = plain.encode(plain.times(x, h))
        yield f"key-plus-order-{order}", (mixed, ALPHA, forged(mixed, x, mine))
        yield f"key-of-order-{order}", (point, ALPHA, forged(point, 0, point))
    neutral = plain.encode(plain.NEUTRAL)
    yield "gamma-neutral", (PUBLIC, ALPHA, neutral + c + s)
    yield "key-neutral", (neutral, ALPHA, forged(neutral, 0, neutral))
    for name, number in NOT_CANONICAL.items():
        encoded = number.to_bytes(32, "little")
        yield f"gamma-{name}", (PUBLIC, ALPHA, encoded + c + s)
        yield f"key-{name}", (encoded, ALPHA, PROOF)
    number = int.from_bytes(s, "little")
    for factor in (1, 15):
        more = (number + factor * plain.Q).to_bytes(32, "little")
        yield f"s-plus-{factor}-times-the-order", (PUBLIC, ALPHA, gamma + c + more)
    yield "s-the-order", (PUBLIC, ALPHA, gamma + c + plain.Q.to_bytes(32, "little"))
    yield "s-zero", (PUBLIC, ALPHA, gamma + c + bytes(32))
    yield "c-zero", (PUBLIC, ALPHA, gamma + bytes(16) + s)
    yield "zeros", (PUBLIC, ALPHA, bytes(80))
    yield "ones", (PUBLIC, ALPHA, b"\xff" * 80)
    yield "truncated", (PUBLIC, ALPHA, PROOF[:-1])
    yield "longer", (PUBLIC, ALPHA, PROOF + b"\x00")
    yield "empty", (PUBLIC, ALPHA, b"")
    yield "c-and-s-swapped", (PUBLIC, ALPHA, gamma + s[:16] + s[16:] + c)
    yield "other-input", (PUBLIC, ALPHA[:-1] + b"1", PROOF)
    yield "no-input", (PUBLIC, b"", PROOF)
    yield "longer-input", (PUBLIC, ALPHA + b"\x00", PROOF)
    yield "other-key", (vrf.public_key(bytes([1]) * 32), ALPHA, PROOF)
    yield "opposite-key", (PUBLIC[:31] + bytes([PUBLIC[31] ^ 0x80]), ALPHA, PROOF)
    yield "key-too-short", (PUBLIC[:-1], ALPHA, PROOF)
    yield "key-too-long", (PUBLIC + b"\x00", ALPHA, PROOF)


NOT_CANONICAL = {
    "no-point": 2,
    "neutral-not-canonical": 2**255 - 18,
    "neutral-with-sign": (1 << 255) + 1,
    "of-order-2-with-sign": (1 << 256) - 20,
    "of-order-4-not-canonical": 2**255 - 19,
    "small-y-not-canonical": 2**255 - 19 + 3,
}


def main() -> None:
    """Write every vector to its file."""
    refused = (
        (name, {"public": key.hex(), "alpha": alpha.hex(), "proof": proof.hex()})
        for name, (key, alpha, proof) in tampered()
    )
    for folder, vectors in (("valid", valid()), ("tampered", refused)):
        (HERE / folder).mkdir(exist_ok=True)
        for name, content in vectors:
            text = json.dumps(content, indent=2)
            (HERE / folder / f"{name}.json").write_text(text + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
