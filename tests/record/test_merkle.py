"""Merkle trees: every small one, every proof of it, and no proof with anything changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from letterlock.errors import LetterlockError, ProofError
from letterlock.record import merkle
from letterlock.record.merkle import EMPTY_ROOT, Tree, leaf_hash, node_hash
from oracle import merkle as oracle

VECTORS = Path(__file__).parents[1] / "vectors" / "merkle"
KNOWN = json.loads((VECTORS / "roots.json").read_text())
ENTRIES = [b"%d" % i for i in range(100)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
ROOTS = [Tree(LEAVES[:size]).root for size in range(101)]
TREE = Tree(LEAVES)


# ── against the definition, and against another library ─────────────────────────────────────


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_that_others_computed(size):
    """Eight entries, sizes 0 to 8."""
    entries = [bytes.fromhex(each) for each in KNOWN["entries"][:size]]
    root = bytes.fromhex(KNOWN["roots"][size])
    leaves = [leaf_hash(entry) for entry in entries]
    assert Tree(leaves).root == root
    assert merkle.root_of(leaves) == root
    assert oracle.mth(entries) == root


def test_every_root_is_the_definition_s():
    """Trees of 0 to 100 leaves, computed in three ways and by pymerkle."""
    other = InmemoryTree(algorithm="sha256")
    for size in range(101):
        assert ROOTS[size] == oracle.mth(ENTRIES[:size])
        assert ROOTS[size] == merkle.root_of(LEAVES[:size]) == merkle.root(size, TREE.node)
        if size:
            assert other.get_root(size) == ROOTS[size]
        if size < 100:
            other.append_entry(ENTRIES[size])


def test_a_root_over_several_blocks_is_the_tree_s(monkeypatch):
    """The leaves may come from a generator, and are taken in blocks."""
    monkeypatch.setattr(merkle, "_BLOCK", 8)
    for size in range(101):
        assert merkle.root_of(iter(LEAVES[:size])) == ROOTS[size]


def proofs(sizes):
    """Yield the verification of every proof of these trees, as (function, its arguments)."""
    for size in sizes:
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, TREE.node)
            yield merkle.verify_inclusion, (ROOTS[size], LEAVES[index], index, size, proof)
        for old in range(size + 1):
            proof = merkle.consistency_proof(old, size, TREE.node)
            yield merkle.verify_consistency, (ROOTS[old], old, ROOTS[size], size, proof)


def test_every_proof_of_every_small_tree_holds():
    """Every leaf and every prefix of every tree up to 100 leaves."""
    for verify, arguments in proofs(range(101)):
        verify(*arguments)


@pytest.mark.parametrize(
    "sizes", [range(1, 40), pytest.param(range(40, 101), marks=pytest.mark.slow)]
)
def test_every_proof_is_the_definition_s(sizes):
    """The recursive definitions give the same hashes in the same order."""
    for size in sizes:
        for index in range(size):
            assert Tree(LEAVES[:size]).inclusion(index) == oracle.path(index, ENTRIES[:size])
        for old in range(1, size):
            assert Tree(LEAVES[:size]).consistency(old) == oracle.proof(old, ENTRIES[:size])


def test_a_tree_over_many_leaves_agrees_with_another_library():
    """70,001 leaves: more than one block, and an odd one out."""
    other = InmemoryTree(algorithm="sha256")
    leaves = [leaf_hash(other_entry) for other_entry in (b"%d" % i for i in range(5_001))]
    for i in range(5_001):
        other.append_entry(b"%d" % i)
    assert merkle.root_of(leaves) == other.get_root()
    many = [leaf_hash(b"%d" % i) for i in range(70_001)]
    tree = Tree(many)
    assert tree.root == merkle.root_of(many)
    merkle.verify_inclusion(tree.root, many[69_999], 69_999, tree.size, tree.inclusion(69_999))
    old = merkle.root_of(many[:65_537])
    merkle.verify_consistency(old, 65_537, tree.root, tree.size, tree.consistency(65_537))


# ── nothing else holds ──────────────────────────────────────────────────────────────────────


def refused(verify, arguments):
    """Say whether exactly a ProofError comes of it."""
    with pytest.raises(ProofError):
        verify(*arguments)


def test_no_bit_of_a_proof_can_be_changed():
    """Each bit of each hash: of the proof, the leaf and the roots."""
    for verify, arguments in proofs((5, 8)):
        if arguments[1] == 0:
            continue  # whatever it is, the newer tree begins with the empty one
        for place, value in enumerate(arguments):
            if isinstance(value, bytes):
                for bit in range(256):
                    refused(
                        verify, (*arguments[:place], flipped(value, bit), *arguments[place + 1 :])
                    )
        *known, proof = arguments
        for place, value in enumerate(proof):
            for bit in range(256):
                changed = [*proof[:place], flipped(value, bit), *proof[place + 1 :]]
                refused(verify, (*known, changed))


def flipped(value, bit):
    """Return `value` with one bit changed."""
    return (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(len(value), "big")


def test_no_hash_can_be_dropped_added_or_exchanged():
    """Every proof of every tree up to 33 leaves."""
    for verify, (*known, proof) in proofs(range(34)):
        for place in range(len(proof)):
            refused(verify, (*known, proof[:place] + proof[place + 1 :]))
        for place in range(len(proof) + 1):
            for more in (EMPTY_ROOT, ROOTS[3], *proof[:1]):
                refused(verify, (*known, [*proof[:place], more, *proof[place:]]))
        for place in range(1, len(proof)):
            exchanged = [*proof[: place - 1], proof[place], proof[place - 1], *proof[place + 1 :]]
            refused(verify, (*known, exchanged))


def test_a_proof_holds_of_no_other_place_or_size():
    """An inclusion proof names its leaf, a consistency proof its two trees.

    A tree of another size can share the whole way up (leaf 0 of 5 and of 6 differ in a root only),
    so the roots are given as those of the sizes that are claimed.
    """
    for size in range(1, 34):
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, TREE.node)
            for other in range(34):
                if other != index:
                    refused(
                        merkle.verify_inclusion, (ROOTS[size], LEAVES[index], other, size, proof)
                    )
                if other != size:
                    root = ROOTS[other]
                    refused(merkle.verify_inclusion, (root, LEAVES[index], index, other, proof))
    for size in range(2, 20):
        for old in range(1, size):
            proof = merkle.consistency_proof(old, size, TREE.node)
            for other in range(1, 20):
                if other not in {old, size}:
                    arguments = (ROOTS[other], other, ROOTS[size], size, proof)
                    refused(merkle.verify_consistency, arguments)
                    arguments = (ROOTS[old], old, ROOTS[other], other, proof)
                    refused(merkle.verify_consistency, arguments)


def test_a_node_is_no_leaf():
    """Two hashes taken together are not the leaf that their bytes would be."""
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != node_hash(LEAVES[0], LEAVES[1])


@pytest.mark.parametrize(("index", "size"), [(-1, 5), (5, 5), (0, 0), (6, 5)])
def test_no_proof_is_made_of_a_leaf_that_is_not_there(index, size):
    """There is none, so nothing is asked of the nodes."""
    with pytest.raises(ProofError, match="no leaf"):
        merkle.inclusion_proof(index, size, TREE.node)


@pytest.mark.parametrize(("old", "size"), [(-1, 5), (6, 5), (1, 0)])
def test_no_proof_is_made_of_a_tree_that_is_no_beginning(old, size):
    """A tree begins with those that are not larger."""
    with pytest.raises(ProofError, match="does not begin"):
        merkle.consistency_proof(old, size, TREE.node)


ANY_HASHES = st.binary(max_size=40) | st.sampled_from(LEAVES[:4])
NUMBERS = st.integers() | st.integers(-2, 9)


@given(ANY_HASHES, ANY_HASHES, NUMBERS, NUMBERS, st.lists(ANY_HASHES, max_size=66))
def test_whatever_is_handed_over_only_a_proof_error_comes_of_it(one, two, index, size, proof):
    """No other error escapes, however large or odd the numbers."""
    for verify, arguments in (
        (merkle.verify_inclusion, (one, two, index, size, proof)),
        (merkle.verify_consistency, (one, index, two, size, proof)),
    ):
        try:
            verify(*arguments)
        except LetterlockError as error:
            assert isinstance(error, ProofError)  # noqa: PT017


@given(st.lists(st.binary(max_size=8), max_size=70), st.data())
def test_drawn_trees_agree_with_the_definition(entries, data):
    """Also with equal entries, at any size."""
    tree = Tree(leaf_hash(entry) for entry in entries)
    assert tree.root == oracle.mth(entries)
    if entries:
        index = data.draw(st.integers(0, len(entries) - 1))
        assert tree.inclusion(index) == oracle.path(index, entries)


# ── golden vectors ──────────────────────────────────────────────────────────────────────────


def read(path):
    """Return a vector as the call that it asks for."""
    vector = json.loads(path.read_text())
    proof = [bytes.fromhex(each) for each in vector["proof"]]
    hashes = {k: bytes.fromhex(vector[k]) for k in ("root", "leaf", "old_root") if k in vector}
    if path.name.startswith("inclusion-"):
        where = (vector["index"], vector["size"])
        return merkle.verify_inclusion, (hashes["root"], hashes["leaf"], *where, proof)
    old, new = (hashes["old_root"], vector["old_size"]), (hashes["root"], vector["size"])
    return merkle.verify_consistency, (*old, *new, proof)


def named(folder):
    """Return the vectors of a folder, each with its name."""
    return [pytest.param(path, id=path.stem) for path in sorted((VECTORS / folder).glob("*.json"))]


@pytest.mark.parametrize("path", named("valid"))
def test_a_valid_vector_holds_and_is_the_definition_s(path):
    """Verified by us; every proof of a tree small enough is computed again by the twin."""
    verify, arguments = read(path)
    verify(*arguments)
    vector = json.loads(path.read_text())
    if vector["size"] <= 257:
        known = [bytes.fromhex(each) for each in KNOWN["entries"]]
        entries = [*known, *(b"%d" % i for i in range(8, 257))][: vector["size"]]
        assert oracle.mth(entries) == bytes.fromhex(vector["root"])
        if "index" in vector:
            assert oracle.path(vector["index"], entries) == arguments[-1]
        elif vector["old_size"]:
            assert oracle.proof(vector["old_size"], entries) == arguments[-1]


@pytest.mark.parametrize("path", named("tampered"))
def test_a_tampered_vector_does_not_hold(path):
    """Whatever was done to it, the answer is a ProofError."""
    refused(*read(path))


def test_the_vectors_are_those_that_the_script_writes(tmp_path):
    """A second run writes the same files, and no others."""
    for name in ("make.py", "roots.json"):
        shutil.copy(VECTORS / name, tmp_path)
    source = {"PYTHONPATH": str(Path(merkle.__file__).parents[2])}
    subprocess.run([sys.executable, tmp_path / "make.py"], check=True, env=os.environ | source)
    for folder in ("valid", "tampered"):
        ours, again = (
            {path.name: path.read_bytes() for path in sorted((where / folder).iterdir())}
            for where in (VECTORS, tmp_path)
        )
        assert ours == again


def test_no_vector_is_kept_twice():
    """Each tampered file shows something of its own."""
    texts = [path.read_text() for path in islice((VECTORS / "tampered").iterdir(), 200)]
    assert len(texts) == len(set(texts)) > 40
