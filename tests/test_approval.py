"""Approvals: two persons signed these very bytes, or nothing is approved."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from letterlock import approval
from letterlock.domain import Operator, Signature
from letterlock.errors import ApprovalError, InputError

VECTORS = Path(__file__).parent / "vectors" / "approval"
VALID = sorted((VECTORS / "valid").glob("*.json"))
TAMPERED = sorted((VECTORS / "tampered").glob("*.json"))
SEEDS = {"ash": bytes([1]) * 32, "birch": bytes([2]) * 32, "cedar": bytes([3]) * 32}
OPERATORS = {name: Operator(name, name, approval.public_key(s)) for name, s in SEEDS.items()}


# ── RFC 8032 §5.1, slowly ───────────────────────────────────────────────────────────────────

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
Point = tuple[int, int]
ZERO: Point = (0, 1)


def plus(one: Point, other: Point) -> Point:
    """Add two points of the curve, in affine coordinates."""
    (x1, y1), (x2, y2) = one, other
    t = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P)
    return x % P, y % P


def times(factor: int, point: Point) -> Point:
    """Multiply a point, bit by bit from the lowest."""
    found = ZERO
    while factor:
        found = plus(found, point) if factor & 1 else found
        point, factor = plus(point, point), factor >> 1
    return found


def root(square: int) -> int | None:
    """Return a square root modulo P, if there is one."""
    found = pow(square, (P + 3) // 8, P)
    candidates = (found, found * pow(2, (P - 1) // 4, P) % P)
    return next((c for c in candidates if (c * c - square) % P == 0), None)


def encoded(point: Point) -> bytes:
    """Write a point: y, and the lowest bit of x as the highest."""
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decoded(data: bytes) -> Point | None:
    """Read a point; None if it is none or written otherwise than `encoded` writes it."""
    number = int.from_bytes(data, "little")
    y = number % (1 << 255)
    x = root((y * y - 1) * pow(D * y * y + 1, P - 2, P) % P)
    if x is None:
        return None
    points = [(x, y), (P - x, y)]
    return next((point for point in points if point[0] < P and encoded(point) == data), None)


def base() -> Point:
    """Return the base point: y is 4/5, x is even."""
    found = decoded((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
    assert found is not None
    return found


BASE = base()


def number(data: bytes) -> int:
    """Return the SHA-512 of some bytes, as a number."""
    return int.from_bytes(hashlib.sha512(data).digest(), "little")


def secret(seed: bytes) -> tuple[int, bytes]:
    """Return the secret scalar of a seed, and the prefix of what is hashed to R."""
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little")
    return (scalar & (1 << 254) - 8) | 1 << 254, digest[32:]


def slowly_public(seed: bytes) -> bytes:
    """Return the public key of a seed."""
    return encoded(times(secret(seed)[0], BASE))


def slowly_signed(seed: bytes, message: bytes) -> bytes:
    """Sign a message."""
    scalar, prefix = secret(seed)
    r = number(prefix + message) % ORDER
    first = encoded(times(r, BASE))
    h = number(first + slowly_public(seed) + message)
    return first + ((r + h * scalar) % ORDER).to_bytes(32, "little")


# RFC 8032 §7.1, tests 1 to 3: seed, public key, message, signature.
RFC = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC)
def test_the_slow_twin_and_ours_do_what_the_standard_says(seed, public, message, signature):
    """Keys and signatures of RFC 8032 §7.1 come out of both."""
    raw, signed = bytes.fromhex(seed), bytes.fromhex(message)
    assert slowly_public(raw).hex() == public == approval.public_key(raw)
    assert slowly_signed(raw, signed).hex() == signature
    assert approval.sign("ash", raw, signed) == Signature("ash", signature)
    approval.check_key(public)


# ── golden vectors ──────────────────────────────────────────────────────────────────────────


def loaded(path: Path) -> dict[str, Any]:
    """Read a vector."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
    return found


def checked(vector: Mapping[str, Any]) -> tuple[str, ...]:
    """Check a vector, as the gate does."""
    signatures = [Signature(**signature) for signature in vector["signatures"]]
    operators = {name: Operator(name, name, key) for name, key in vector["operators"].items()}
    return approval.check(approval.message(vector["kind"], vector["body"]), signatures, operators)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_vector_is_approved_by_those_who_signed(path):
    """Ours says who signed, in the order of their ids."""
    vector = loaded(path)
    assert checked(vector) == tuple(sorted(s["operator"] for s in vector["signatures"]))
    assert approval.message(vector["kind"], vector["body"]).hex() == vector["message"]


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_another_implementation_writes_the_same_bytes(path, tmp_path):
    """From seed and body, by other code: message, keys, signatures; `openssl` verifies them."""
    vector = loaded(path)
    # These keys are plain ASCII, for which sorting as the standard library does is canonical.
    told = json.dumps(
        [vector["kind"], vector["body"]], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    message = b"letterlock/approval/v1\x00" + told.encode()
    assert message.hex() == vector["message"]
    for name, key in vector["operators"].items():
        assert slowly_public(SEEDS[name]).hex() == key
    for each in vector["signatures"]:
        assert slowly_signed(SEEDS[each["operator"]], message).hex() == each["signature"]
        openssl = shutil.which("openssl")
        if openssl is not None:  # the slow twin has spoken already
            key = vector["operators"][each["operator"]]
            assert verified(openssl, tmp_path, key, each["signature"], message)
            assert not verified(openssl, tmp_path, key, each["signature"], message + b" ")


def verified(openssl: str, folder: Path, key: str, signature: str, message: bytes) -> bool:
    """Ask the `openssl` command."""
    head = bytes.fromhex("302a300506032b6570032100")  # a SubjectPublicKeyInfo of Ed25519 (RFC 8410)
    (folder / "key").write_bytes(head + bytes.fromhex(key))
    (folder / "signature").write_bytes(bytes.fromhex(signature))
    (folder / "message").write_bytes(message)
    words = "pkeyutl -verify -rawin -pubin -keyform DER -inkey key -sigfile signature -in message"
    return not subprocess.run(
        [openssl, *words.split()], cwd=folder, capture_output=True, check=False
    ).returncode


@pytest.mark.parametrize("path", TAMPERED, ids=lambda path: path.stem)
def test_a_tampered_vector_is_refused(path):
    """Whatever was changed, whoever is missing, and however a key or signature is written."""
    with pytest.raises(ApprovalError):
        checked(loaded(path))


def test_the_vectors_are_those_that_the_script_writes(tmp_path):
    """The files are what the script beside them makes, and all of it."""
    for name in ("make.py",):
        shutil.copy(VECTORS / name, tmp_path)
    subprocess.run([sys.executable, tmp_path / "make.py"], check=True, env=environment())
    for folder, paths in (("valid", VALID), ("tampered", TAMPERED)):
        made = {path.name: path.read_bytes() for path in (tmp_path / folder).iterdir()}
        assert made == {path.name: path.read_bytes() for path in paths}
    assert len(VALID) >= 7
    assert len(TAMPERED) >= 40


def environment() -> dict[str, str]:
    """Return the environment of a process that can import Letterlock from where we did."""
    return {"PYTHONPATH": str(Path(approval.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_every_bit_of_a_signature_counts(path):
    """Flip any one of the last signature's 512 bits: it does not hold any more."""
    vector = loaded(path)
    *rest, last = vector["signatures"]
    whole = int(last["signature"], 16)
    for bit in range(512):
        changed = {**last, "signature": f"{whole ^ 1 << bit:0128x}"}
        with pytest.raises(ApprovalError, match=f"'{last['operator']}' is not of this"):
            checked({**vector, "signatures": [*rest, changed]})


# ── messages ────────────────────────────────────────────────────────────────────────────────

TEXTS = st.text(max_size=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
BODIES = st.dictionaries(TEXTS, JSON, max_size=4)


def turned(value: Any) -> Any:
    """Return a JSON value whose objects have their keys in the opposite order."""
    if isinstance(value, dict):
        return {key: turned(member) for key, member in reversed(value.items())}
    return [turned(member) for member in value] if isinstance(value, list) else value


@given(TEXTS, BODIES, st.lists(JSON, max_size=2))
def test_neither_the_order_of_keys_nor_signatures_are_signed(kind, body, signatures):
    """The same body is the same message; two that differ are two."""
    bare = {key: value for key, value in body.items() if key != "signatures"}
    message = approval.message(kind, body)
    assert message == approval.message(kind, turned(body))
    assert message == approval.message(kind, {**bare, "signatures": signatures})
    assert message.startswith(b"letterlock/approval/v1\x00")
    assert json.loads(message.removeprefix(approval.LABEL)) == [kind, bare]


def test_of_a_policy_its_version_and_documents_are_signed():
    """So what was recorded checks against what was signed before it was derived."""
    signed = {"version": "1", "documents": {"policy.toml": "…"}}
    recorded = {**signed, "clauses": [], "signatures": [], "effective_at": 5}
    kind = "policy.published"
    assert approval.message(kind, signed) == approval.message(kind, recorded)
    assert approval.message(kind, signed) != approval.message(kind, {"version": "1"})
    assert approval.message("hold.set", signed) != approval.message("hold.set", recorded)


def test_what_is_no_canonical_json_is_not_signed():
    """A float has no one way of being written."""
    with pytest.raises(InputError, match="canonical"):
        approval.message("declaration.made", {"share": 0.5})


# ── keys and names ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_key_has_32_bytes(size):
    """Any other number of bytes is no key."""
    for use in (approval.public_key, lambda seed: approval.sign("ash", seed, b"")):
        with pytest.raises(InputError, match=f"32 bytes, not {size}"):
            use(bytes(size))


@pytest.mark.parametrize(
    "name",
    ["", "Ash", "\u0430sh", "a sh", "ash\n", "a/b", "..", ".ash", "-ash", "\uff41sh", "a" * 65],
)
def test_an_id_that_could_be_taken_for_another_is_none(name):
    """Ids are plain: nobody passes for somebody else by a letter that looks the same."""
    with pytest.raises(InputError, match="an id has"):
        approval.check_name(name)
    with pytest.raises(InputError, match="an id has"):
        approval.sign(name, SEEDS["ash"], b"")


@pytest.mark.parametrize("name", ["a", "0", "ash", "ash.reed@north-mail_2.example", "a" * 64])
def test_an_id_may_be_a_name_or_an_address(name):
    """What is plain is taken."""
    approval.check_name(name)
    assert approval.sign(name, SEEDS["ash"], b"").operator == name


def small() -> list[Point]:
    """Return the eight points of low order."""
    y = next(
        y for y in range(2, 99)
        if (p := decoded(y.to_bytes(32, "little"))) and times(4 * ORDER, p) != ZERO
    )  # fmt: skip
    point = decoded(y.to_bytes(32, "little"))
    assert point is not None
    eighth = times(ORDER, point)
    return [times(n, eighth) for n in range(8)]


def accepts(key: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether the library takes a signature, whatever the key."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except Exception:  # noqa: BLE001 - of whatever kind
        return False
    return True


def test_a_key_of_low_order_is_refused_although_the_library_takes_it():
    """Of such a key everybody can sign whatever there is: that is why ours looks."""
    points = small()
    assert len(set(points)) == 8
    assert accepts(encoded(ZERO), encoded(ZERO) + bytes(32), b"anything")
    operators = {"ash": OPERATORS["ash"]}
    for point in points:
        key = encoded(point).hex()
        with pytest.raises(InputError, match="no Ed25519 public key"):
            approval.check_key(key)
        forged = Signature("birch", (encoded(ZERO) + bytes(32)).hex())
        signed = [approval.sign("ash", SEEDS["ash"], b"anything"), forged]
        with pytest.raises(ApprovalError, match="'birch' is not of this"):
            approval.check(b"anything", signed, {**operators, "birch": Operator("b", "b", key)})


def test_one_secret_has_one_public_key():
    """A key with something of low order added has the same owner, and the library takes it."""
    scalar, _ = secret(SEEDS["ash"])
    for point in small()[1:]:
        twin = encoded(plus(times(scalar, BASE), point))
        with pytest.raises(InputError, match="no Ed25519 public key"):
            approval.check_key(twin.hex())
    second = encoded(plus(times(scalar, BASE), small()[4]))
    signatures = []
    for r in range(1, 40):
        first = encoded(times(r, BASE))
        h = number(first + second + b"anything")
        signatures.append(first + ((r + h * scalar) % ORDER).to_bytes(32, "little"))
    assert any(accepts(second, signature, b"anything") for signature in signatures)


@pytest.mark.parametrize(
    "key",
    ["", "00", "zz" * 32, "A" * 64, "01" + "00" * 32, (2).to_bytes(32, "little").hex()],
)
def test_what_is_written_otherwise_or_no_point_is_no_key(key):
    """A key is 64 lower-case digits of a point."""
    with pytest.raises(InputError):
        approval.check_key(key)


@pytest.mark.parametrize("y", range(19))
def test_a_number_too_large_is_no_key(y):
    """No point is written in two ways: y beyond the prime is refused, as is a sign without x."""
    for sign in (0, 1 << 255):
        with pytest.raises(InputError):
            approval.check_key((P + y + sign).to_bytes(32, "little").hex())


@pytest.mark.slow
@given(st.binary(min_size=32, max_size=32))
def test_keys_and_points_are_read_as_the_slow_twin_reads_them(data):
    """Random bytes are a key for ours exactly if they are one by the book; a seed's key always."""
    point = decoded(data)
    good = point is not None and point != ZERO and times(ORDER, point) == ZERO
    try:
        approval.check_key(data.hex())
    except InputError:
        assert not good
    else:
        assert good
    approval.check_key(approval.public_key(data))


@pytest.mark.parametrize(
    "signers", [("ash", "birch"), ("cedar", "birch"), ("ash", "birch", "cedar")]
)
def test_two_who_sign_approve(signers):
    """Any two or more do; they come back in the order of their ids."""
    signed = approval.sign_all({name: SEEDS[name] for name in signers}, b"this")
    assert approval.check(b"this", iter(signed), OPERATORS) == tuple(sorted(signers))
    with pytest.raises(ApprovalError, match="not of this"):
        approval.check(b"that", signed, OPERATORS)


@pytest.mark.parametrize(
    ("signers", "why"),
    [((), "nobody approved"), (("ash",), "ash approved"), (("ash", "ash"), "'ash' signed twice")],
)
def test_fewer_than_two_do_not(signers, why):
    """One person, however often she signs, is one person."""
    signed = [approval.sign(name, SEEDS[name], b"this") for name in signers]
    with pytest.raises(ApprovalError, match=why):
        approval.check(b"this", signed, OPERATORS)


def test_a_stranger_is_named():
    """Who is not registered is named, whatever was signed."""
    signed = approval.sign_all(SEEDS, b"this")
    few = {name: OPERATORS[name] for name in ("ash", "birch")}
    with pytest.raises(ApprovalError, match="'cedar' is no registered operator"):
        approval.check(b"this", signed, few)
