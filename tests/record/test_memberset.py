"""The member set: everyone is proved in or out, nobody both, and a slow twin agrees."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterlock.errors import InputError, ProofError
from letterlock.record import memberset, merkle, vrf
from letterlock.record.memberset import MemberSet
from oracle import memberset as plain

TESTS = Path(__file__).parents[1]
VECTORS = TESTS / "vectors" / "memberset"
SETS = sorted((VECTORS / "sets").iterdir())
VALID = sorted((VECTORS / "valid").iterdir())
TAMPERED = sorted((VECTORS / "tampered").iterdir())
NAMES = st.binary(min_size=32, max_size=32)
ORIGIN = "letterlock.example/log"


def drawn(count: int, seed: int = 0) -> list[bytes]:
    """Draw distinct names, sorted."""
    rng = random.Random(f"{count} {seed}")
    return sorted({rng.randbytes(32) for _ in range(count)})


def made(names: list[bytes]) -> MemberSet:
    """Make the set of some names."""
    return MemberSet(b"".join(sorted(set(names))))


def said(vector: dict[str, Any]) -> bool:
    """Return what a vector proves, each thing computed anew."""
    alpha = memberset.alpha(vector["origin"], vector["account"])
    beta = vrf.verify(bytes.fromhex(vector["public"]), alpha, bytes.fromhex(vector["vrf"]))
    scope = memberset.scope(vector["origin"], vector["opened"], bytes.fromhex(vector["leaf"]))
    return memberset.verify(
        bytes.fromhex(vector["root"]),
        vector["depth"],
        memberset.pseudonym(scope, beta[:32]),
        bytes.fromhex(vector["bucket"]),
        [bytes.fromhex(each) for each in vector["path"]],
    )


# ── vectors ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_vector_proves_what_it_says(path):
    """Somebody is in, or is not."""
    vector = json.loads(path.read_bytes())
    assert said(vector) is vector["in"]


@pytest.mark.parametrize("path", TAMPERED, ids=lambda path: path.stem)
def test_a_tampered_vector_does_not(path):
    """It proves nothing, or the opposite of what it says."""
    vector = json.loads(path.read_bytes())
    if path.stem.startswith("claims-"):
        assert said(vector) is not vector["in"]
    elif path.stem == "vrf-of-another-key":  # which key is the log's, its entry has to say
        with pytest.raises(ProofError):
            said(vector)
        assert vrf.verify(
            bytes.fromhex(vector["public"]),
            memberset.alpha(vector["origin"], vector["account"]),
            bytes.fromhex(vector["vrf"]),
        )
    else:
        with pytest.raises(ProofError):
            said(vector)


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_a_set_of_the_vectors_is_made_anew(path):
    """From tokens to names, depth and root, by ours and by the twin."""
    vector = json.loads(path.read_bytes())
    tokens = [bytes.fromhex(each) for each in vector["tokens"]]
    names = [bytes.fromhex(each) for each in vector["names"]]
    scope = memberset.scope(vector["origin"], vector["opened"], bytes.fromhex(vector["leaf"]))
    assert scope.hex() == vector["scope"]
    mine = [memberset.pseudonym(scope, token) for token in tokens]
    assert sorted(mine) == names
    assert memberset.pseudonyms(scope, b"".join(tokens)) == b"".join(mine)
    found = MemberSet(b"".join(names))
    assert (found.depth, found.root.hex()) == (vector["depth"], vector["root"])
    assert found.count == len(names)
    assert plain.depth(names) == vector["depth"]
    assert plain.root(plain.buckets(names, found.depth)).hex() == vector["root"]


def test_the_published_vector_is_met():
    """The construction's own example: names, buckets, depth and root."""
    key = vrf.SecretKey(bytes(range(32)))
    tokens = [key.token(memberset.alpha(ORIGIN, f"acct-{n:06}")) for n in range(7)]
    assert tokens[0].hex() == "ed6058c9c9e359e8567463dc1b5889a86e53d395b48303027157b11377c6970a"
    scope = memberset.scope(ORIGIN, 7, merkle.leaf_hash(b"release-open demo"))
    assert scope.hex() == "2f04c73b6dbaf13d6dacf93567509b3fdf0c35e15a66adf3c56ca109d555f142"
    names = [memberset.pseudonym(scope, token) for token in tokens]
    assert names[0].hex() == "d39d850abe8fe0327b8e191f7d0634bf0a1ce52fae30d3faa59d70785a9a85c6"
    assert names[6].hex() == "4996b9cfc1e7981b6fa31f73e2614df344f26f2670726d7a1f339889946700ed"
    found = made(names[:5])
    assert found.depth == 3
    assert found.root.hex() == "605bd8ba5d26fe19da99ee01f29d1b423f638fe54490eed4540a552a7a59b75b"
    buckets = [found.proof(bytes([n << 5]) + bytes(31))[0] for n in range(8)]
    assert [len(each) // 32 for each in buckets] == [2, 0, 1, 0, 0, 1, 1, 0]
    assert [names[0] in each for each in buckets].index(True) == 6
    assert [names[3] in each for each in buckets].index(True) == 2  # where account 6 would be


def test_the_vectors_are_those_that_the_script_writes(tmp_path):
    """The files are what the script beside them makes, and all of it."""
    home = tmp_path / "vectors" / "memberset"
    home.mkdir(parents=True)
    shutil.copy(VECTORS / "make.py", home)
    shutil.copytree(TESTS / "oracle", tmp_path / "oracle", ignore=shutil.ignore_patterns("__*"))
    source = str(Path(vrf.__file__).parents[2])
    environment = {"PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, home / "make.py"], check=True, env=environment)
    for folder, paths in (("sets", SETS), ("valid", VALID), ("tampered", TAMPERED)):
        written = {path.name: path.read_bytes() for path in (home / folder).iterdir()}
        assert written == {path.name: path.read_bytes() for path in paths}


# ── every small set ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("first", range(0, 104, 8))
def test_every_small_set_is_the_twins(first):
    """For every number of names up to 100: the root, and the proof of each name and some others."""
    for count in range(first, first + 8):
        names = drawn(count)
        found = made(names)
        entries = plain.buckets(names, found.depth)
        assert (found.depth, found.root) == (plain.depth(names), plain.root(entries))
        for name in [*names, *drawn(5, seed=1), bytes(32), b"\xff" * 32]:
            bucket, path = found.proof(name)
            if count <= 20:
                assert (bucket, path) == plain.proof(names, name)
            assert memberset.verify(found.root, found.depth, name, bucket, path) is (name in names)


def test_the_least_depth_that_holds_all():
    """2**depth is at least the number of names, and no smaller power is."""
    assert [memberset.depth_of(n) for n in (0, 1, 2, 3, 4, 5, 8, 9)] == [0, 0, 1, 2, 2, 3, 3, 4]
    assert memberset.depth_of(10**6) == 20
    assert memberset.depth_of(2**32) == 32


@pytest.mark.parametrize("same", [1, 2, 8, 9, 16, 31])
def test_names_that_begin_alike_are_told_apart(same):
    """Names with many equal first bytes lie in one bucket, however many, and are all proved."""
    names = [bytes([7]) * same + name[same:] for name in drawn(60)]
    found = made(names)
    assert found.count == len(set(names))
    for name in names:
        bucket, path = found.proof(name)
        assert len(bucket) == 32 * found.count
        assert memberset.verify(found.root, found.depth, name, bucket, path)
    near = names[0][:-1] + bytes([names[0][-1] ^ 1])
    assert memberset.verify(found.root, found.depth, near, *found.proof(near)) is (near in names)


def test_larger_sets_have_levels_that_are_made_when_asked_for():
    """Beyond 64 buckets the lower part of a tree is built anew for a proof, and is the same."""
    names = drawn(700)
    found = made(names)
    assert found.depth == 10
    assert found.root == plain.root(plain.buckets(names, 10))
    for name in (*names[::50], *drawn(20, seed=3)):
        bucket, path = found.proof(name)
        assert memberset.verify(found.root, 10, name, bucket, path) is (name in names)


# ── properties ────────────────────────────────────────────────────────────────────────────────


@given(st.sets(NAMES, max_size=40), NAMES)
def test_everyone_is_in_or_out(names, other):
    """Each name of a set is proved in, each other one out, and order of recording plays no part."""
    found = made(list(names))
    for name in names | {other}:
        assert memberset.verify(found.root, found.depth, name, *found.proof(name)) is (
            name in names
        )


@given(st.sets(NAMES, min_size=2, max_size=40), st.data())
def test_a_changed_proof_proves_nothing(names, data):
    """One bit of bucket, path or root, a name more or less: never another answer."""
    found = made(list(names))
    name = data.draw(st.sampled_from(sorted(names)))
    bucket, path = found.proof(name)
    parts = [bucket, *path, found.root]
    which = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 8 * len(parts[which]) - 1))
    changed = bytearray(parts[which])
    changed[bit // 8] ^= 1 << bit % 8
    parts[which] = bytes(changed)
    for told in (
        (parts[-1], found.depth, name, parts[0], parts[1:-1]),
        (found.root, found.depth, name, bucket.replace(name, b""), path),
        (found.root, found.depth, name, bucket, path[:-1]),
        (found.root, found.depth, name, bucket, [*path, found.root]),
        (found.root, found.depth + 1, name, bucket, path),
    ):
        with pytest.raises(ProofError):
            memberset.verify(*told)


@given(
    st.binary(max_size=40), st.integers(-3, 40), st.binary(max_size=40),
    st.binary(max_size=100), st.lists(st.binary(max_size=40), max_size=4),
)  # fmt: skip
def test_nothing_random_is_a_proof(root, depth, name, bucket, path):
    """Whatever is handed over, ProofError is all that escapes."""
    with pytest.raises(ProofError):
        memberset.verify(root, depth, name, bucket, path)


@given(st.lists(NAMES, max_size=50))
def test_names_are_ordered_byte_by_byte(names):
    """The order is that of the bytes, zeros and high bits included."""
    found = memberset.order(b"".join(names)).tolist()
    assert sorted(found) == list(range(len(names)))
    assert [names[n] for n in found] == sorted(names)


def test_names_that_end_in_zeros_are_told_apart():
    """A zero at the end is a byte like another."""
    names = [bytes([1]) + bytes(31), bytes(32), bytes(31) + b"\x01", bytes([1, 0, 1]) + bytes(29)]
    assert memberset.order(b"".join(names)).tolist() == [1, 2, 0, 3]
    found = made(names)
    assert all(memberset.verify(found.root, 2, name, *found.proof(name)) for name in names)


def test_two_releases_share_no_name():
    """Another index, another opening or another log: other names, for each of many accounts."""
    rng = np.random.default_rng(1)
    tokens = rng.bytes(32 * 2000)
    leaf = merkle.leaf_hash(b"a")
    scopes = [
        memberset.scope(ORIGIN, 7, leaf),
        memberset.scope(ORIGIN, 8, leaf),
        memberset.scope(ORIGIN, 7, merkle.leaf_hash(b"b")),
        memberset.scope(ORIGIN + "2", 7, leaf),
    ]
    found = [memberset.pseudonyms(scope, tokens) for scope in scopes]
    names = {each[n : n + 32] for each in found for n in range(0, len(each), 32)}
    assert len(names) == 4 * 2000


# ── what is hashed ────────────────────────────────────────────────────────────────────────────


def test_what_is_hashed_is_what_the_specification_says():
    """Labels, lengths and numbers in their places."""
    assert memberset.alpha("o/ä", "x") == (
        b"letterlock/member/v1\0" + b"\x00\x04" + "o/ä".encode() + b"\x00\x01x"
    )
    leaf = bytes(range(32))
    text = b"letterlock/pseudonym/v1\0\x00\x01o" + (258).to_bytes(8, "big") + leaf
    assert memberset.scope("o", 258, leaf) == sha256(text).digest()
    token = bytes(range(32, 64))
    assert memberset.pseudonym(leaf, token) == sha256(leaf + token).digest()
    text = b"letterlock/event/v1\0" + token + bytes(7) + b"\x05"
    assert memberset.tag(token, 5) == sha256(text).digest()


def test_no_two_accounts_are_asked_for_alike():
    """Lengths stand before texts, so no part can pass for part of another."""
    assert memberset.alpha("ab", "c") != memberset.alpha("a", "bc")
    assert memberset.alpha("", "") != memberset.alpha("", "\0")
    assert len(memberset.alpha("a" * 65_535, "b" * 65_535)) == 21 + 2 * (2 + 65_535)


@pytest.mark.parametrize(
    "call",
    [
        lambda: memberset.alpha("a" * 65_536, "b"),
        lambda: memberset.alpha("a", "ä" * 32_768),
        lambda: memberset.alpha("a", "\ud800"),
        lambda: memberset.scope("a", -1, bytes(32)),
        lambda: memberset.scope("a", 2**64, bytes(32)),
        lambda: memberset.scope("a", 0, bytes(31)),
        lambda: memberset.pseudonym(bytes(31), bytes(32)),
        lambda: memberset.pseudonym(bytes(32), bytes(33)),
        lambda: memberset.tag(bytes(31), 0),
        lambda: memberset.tag(bytes(32), -1),
        lambda: memberset.tag(bytes(32), 2**64),
        lambda: MemberSet(bytes(33)),
        lambda: MemberSet(bytes(64)),
        lambda: MemberSet(b"\x01" + bytes(63)),
        lambda: MemberSet(bytes(32)).proof(bytes(31)),
    ],
)
def test_what_has_no_place_is_refused(call):
    """Texts too long, numbers out of range, names of another size or out of order."""
    with pytest.raises(InputError):
        call()
