"""The random function: what is proved holds, nothing else does, and a slow twin agrees."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock.errors import InputError, ProofError
from letterlock.record import vrf
from oracle import vrf as plain

TESTS = Path(__file__).parents[1]
VECTORS = TESTS / "vectors" / "vrf"
VALID = sorted((VECTORS / "valid").iterdir())
TAMPERED = sorted((VECTORS / "tampered").iterdir())
SECRET = bytes(range(32))
SECRETS = st.binary(min_size=32, max_size=32)


def loaded(path: Path) -> dict[str, bytes]:
    """Read a vector."""
    return {key: bytes.fromhex(text) for key, text in json.loads(path.read_bytes()).items()}


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_vector_is_proved(path):
    """Ours and the twin find the output; from the secret both make the same proof."""
    vector = loaded(path)
    told = (vector["public"], vector["alpha"], vector["proof"])
    assert vrf.verify(*told) == plain.verify(*told) == vector["beta"]
    if secret := vector.get("secret"):
        alpha = vector["alpha"]
        assert vrf.public_key(secret) == plain.public_key(secret) == vector["public"]
        assert vrf.prove(secret, alpha) == plain.prove(secret, alpha) == vector["proof"]
        assert vrf.token(secret, alpha) == vector["beta"][:32]


@pytest.mark.parametrize("path", TAMPERED, ids=lambda path: path.stem)
def test_a_tampered_vector_is_refused(path):
    """Whatever was changed, ours and the twin refuse it."""
    vector = loaded(path)
    told = (vector["public"], vector["alpha"], vector["proof"])
    with pytest.raises(ProofError):
        vrf.verify(*told)
    assert plain.verify(*told) is None


def test_some_are_refused_by_the_rule_about_the_subgroup_alone():
    """Of these the equation holds: whoever does not check the points would believe them."""
    names = {path.stem for path in TAMPERED if (v := loaded(path)) and _holds(v)}
    orders = {
        f"{what}-order-{n}" for what in ("gamma-plus", "key-plus", "key-of") for n in (2, 4, 8)
    }
    assert names == orders | {"key-neutral"}


def _holds(vector: dict[str, bytes]) -> bool:
    return plain.holds(vector["public"], vector["alpha"], vector["proof"])


def test_the_vectors_are_those_that_the_script_writes(tmp_path):
    """The files are what the script beside them makes, and all of it."""
    home = tmp_path / "vectors" / "vrf"
    home.mkdir(parents=True)
    shutil.copy(VECTORS / "make.py", home)
    shutil.copytree(TESTS / "oracle", tmp_path / "oracle", ignore=shutil.ignore_patterns("__*"))
    source = str(Path(vrf.__file__).parents[2])
    environment = {"PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, home / "make.py"], check=True, env=environment)
    for folder, paths in (("valid", VALID), ("tampered", TAMPERED)):
        made = {path.name: path.read_bytes() for path in (home / folder).iterdir()}
        assert made == {path.name: path.read_bytes() for path in paths}


# ── properties ────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=5, deadline=None)
@given(SECRETS, st.binary(max_size=200))
def test_a_slow_twin_makes_the_same(secret, alpha):
    """On random keys and inputs the twin has the same key, proof and output."""
    key = vrf.SecretKey(secret)
    proof = key.prove(alpha)
    assert (key.public, proof) == (plain.public_key(secret), plain.prove(secret, alpha))
    beta = vrf.verify(key.public, alpha, proof)
    assert beta == plain.verify(key.public, alpha, proof)
    assert key.token(alpha) == beta[:32]


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(SECRETS, st.binary(max_size=2000), st.integers(0, 639))
def test_a_slow_twin_agrees_on_much_more(secret, alpha, bit):
    """The same for many more, and one flipped bit of each proof is refused by both."""
    proof = plain.prove(secret, alpha)
    public = vrf.public_key(secret)
    assert vrf.prove(secret, alpha) == proof
    assert vrf.verify(public, alpha, proof) == plain.verify(public, alpha, proof)
    changed = bytearray(proof)
    changed[bit // 8] ^= 1 << bit % 8
    assert plain.verify(public, alpha, bytes(changed)) is None
    with pytest.raises(ProofError):
        vrf.verify(public, alpha, bytes(changed))


def test_every_flipped_bit_of_a_proof_is_noticed():
    """So is every one of the key and of the input."""
    alpha = b"letterlock"
    key = vrf.SecretKey(SECRET)
    told = (key.public, alpha, key.prove(alpha))
    vrf.verify(*told)
    for which, data in enumerate(told):
        for bit in range(8 * len(data)):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(ProofError):
                vrf.verify(*told[:which], bytes(changed), *told[which + 1 :])


@given(st.binary(max_size=40), st.binary(max_size=20), st.binary(max_size=100))
def test_nothing_random_is_a_proof(public, alpha, proof):
    """Whatever bytes are handed over, ProofError is all that escapes."""
    for key in (public, vrf.public_key(SECRET)):
        with pytest.raises(ProofError):
            vrf.verify(key, alpha, proof)


@given(st.binary(min_size=80, max_size=80))
def test_nothing_random_of_the_right_size_is_a_proof(proof):
    """Also with a Γ that is a point of the group, and an s below its order."""
    public = vrf.public_key(SECRET)
    for data in (proof, public + proof[32:], public + proof[32:-1] + b"\x00"):
        with pytest.raises(ProofError):
            vrf.verify(public, b"", data)


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32))
def test_points_are_read_as_the_twin_reads_them(encoded):
    """Hashing to the curve takes the same bytes for a point, and clears the cofactor alike."""
    point = plain.decode(encoded)
    cleared = plain.NEUTRAL if point is None else plain.times(8, point)
    expected = None if cleared == plain.NEUTRAL else plain.encode(cleared)
    assert vrf._cleared(encoded) == expected  # noqa: SLF001 - no input has the hash that it needs


def test_of_low_order_and_of_other_encodings_nothing_is_hashed_to():
    """They are left out as RFC 9381 says, though no input is known that has such a hash."""
    low = [loaded(path)["public"] for path in TAMPERED if path.stem.startswith("key-of-order")]
    p = 2**255 - 19
    other = [(p + n | sign << 255).to_bytes(32, "little") for n in range(19) for sign in (0, 1)]
    signed = [(1 << 255 | y).to_bytes(32, "little") for y in (1, p - 1)]
    for encoded in low + other + signed:
        assert vrf._cleared(encoded) is None  # noqa: SLF001 - as above


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_secret_of_another_size_is_none(size):
    """A secret key is 32 bytes."""
    for call in (vrf.public_key, lambda s: vrf.prove(s, b""), lambda s: vrf.token(s, b"")):
        with pytest.raises(InputError, match="32 bytes"):
            call(bytes(size))


def test_a_key_is_checked_before_it_is_used():
    """A good one passes; of every bad one among the vectors, InputError says so."""
    vrf.check_key(vrf.public_key(SECRET))
    good = {vrf.public_key(SECRET), vrf.public_key(bytes([1]) * 32)}
    good.add(next(loaded(p)["public"] for p in TAMPERED if p.stem == "opposite-key"))
    bad = {loaded(path)["public"] for path in TAMPERED} - good
    assert len(bad) >= 15
    for key in bad:
        with pytest.raises(InputError, match="no public key"):
            vrf.check_key(key)


def test_the_proof_of_another_input_has_another_output():
    """Equal inputs have equal outputs, under one key; all else differs."""
    keys = [vrf.SecretKey(bytes([n]) * 32) for n in range(5)]
    inputs = [bytes([n]) * n for n in range(20)]
    tokens = [key.token(alpha) for key in keys for alpha in inputs]
    assert len(set(tokens)) == len(tokens)
    assert tokens == [key.token(alpha) for key in keys for alpha in inputs]
