"""Merkle trees over SHA-256 (RFC 9162 §2.1, as RFC 6962): roots, proofs, and their verification.

Leaf: SHA-256(0x00 ‖ entry). Node: SHA-256(0x01 ‖ left ‖ right). A tree of n > 1 leaves splits at
the largest power of two below n. Seen from the leaves: on every level neighbours are paired from
the left, and an odd last one moves up as it is. So the node at (level, index) stands over the
leaves from index·2^level up to, and without, (index + 1)·2^level; at the right edge over fewer.

A proof is built from nodes that are complete, whoever keeps them (`Node`: a list, a file of tiles).
`verify_*` return nothing and raise, so that nobody can overlook the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, TypeAlias

from letterlock.errors import ProofError

Hash: TypeAlias = bytes
"""SHA-256, 32 bytes."""

Node: TypeAlias = Callable[[int, int], Hash]
"""(level, index) → hash over the 2^level leaves from index·2^level on, all of which exist."""

HASH_SIZE: Final = 32
EMPTY_ROOT: Final[Hash] = hashlib.sha256(b"").digest()

_BLOCK: Final = 1 << 14  # leaves held at a time; a power of two, so that blocks are subtrees


def leaf_hash(entry: bytes) -> Hash:
    """Return the hash of a log entry as a leaf."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """Return the hash of two subtrees together."""
    return hashlib.sha256(b"\1" + left + right).digest()


def parents(hashes: bytes) -> bytes:
    """Return the next level over hashes run together: pairs hashed, an odd last one as it is."""
    sha256, paired = hashlib.sha256, len(hashes) & -2 * HASH_SIZE
    level = [
        sha256(b"\1" + hashes[at : at + 2 * HASH_SIZE]).digest()
        for at in range(0, paired, 2 * HASH_SIZE)
    ]
    return b"".join(level) + hashes[paired:]


def top(hashes: bytes) -> Hash:
    """Return the root over one or more hashes run together."""
    while len(hashes) > HASH_SIZE:
        hashes = parents(hashes)
    return hashes


def root_of(leaves: Iterable[Hash]) -> Hash:
    """Return the root over leaf hashes, which may come from a generator: few are held at a time."""
    each = iter(leaves)
    tops = []
    while block := list(islice(each, _BLOCK)):
        tops.append(top(b"".join(block)))
    return top(b"".join(tops)) if tops else EMPTY_ROOT


# ── proofs ──────────────────────────────────────────────────────────────────────────────────


def root(size: int, node: Node) -> Hash:
    """Return the root of the tree of `size` leaves."""
    return _subtree((size - 1).bit_length(), 0, size, node) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: Node) -> list[Hash]:
    """Return the hashes beside the way from the leaf at `index` up to the root, leaf first.

    Raises ProofError unless 0 ≤ index < size. Source: RFC 9162 §2.1.3.1.
    """
    if not 0 <= index < size:
        raise ProofError(f"there is no leaf {index} among {size}")
    return _beside(0, index, size, node)


def consistency_proof(old: int, size: int, node: Node) -> list[Hash]:
    """Return the hashes that show the tree of `old` leaves to be the beginning of that of `size`.

    Empty if one of them is empty or they are equal. Raises ProofError unless 0 ≤ old ≤ size.
    Source: RFC 9162 §2.1.4.1.
    """
    if not 0 <= old <= size:
        raise ProofError(f"a tree of {size} leaves does not begin with one of {old}")
    if old in {0, size}:
        return []
    level, index = _last_complete(old)
    # Of a complete old tree the verifier has this hash already: it is the old root.
    seed = [node(level, index)] if index else []
    return seed + _beside(level, index, size, node)


def _last_complete(size: int) -> tuple[int, int]:
    """Return (level, index) of the largest complete subtree that ends with the last leaf."""
    level = (size & -size).bit_length() - 1
    return level, (size >> level) - 1


def _beside(level: int, index: int, size: int, node: Node) -> list[Hash]:
    """Return the siblings met on the way up from (level, index), where there are any."""
    return [
        _subtree(up, sibling, size, node)
        for up in range(level, (size - 1).bit_length())
        if (sibling := index >> up - level ^ 1) << up < size
    ]


def _subtree(level: int, index: int, size: int, node: Node) -> Hash:
    """Return the hash at (level, index), of what of its leaves there is in a tree of `size`."""
    first, last = index << level, min(index + 1 << level, size)
    found, rest = b"", last - first
    while rest:  # complete subtrees, the smallest (rightmost) first
        low = rest & -rest
        rest -= low
        up = low.bit_length() - 1
        complete = node(up, first + rest >> up)
        found = node_hash(complete, found) if found else complete
    return found


# ── verification ────────────────────────────────────────────────────────────────────────────


def verify_inclusion(root: Hash, leaf: Hash, index: int, size: int, proof: Sequence[Hash]) -> None:
    """Check that untrusted `proof` (leaf to root) puts `leaf` at 0-based `index` of `size` leaves.

    Raises ProofError. Source: RFC 9162 §2.1.3.2. Vectors: tests/vectors/merkle.
    """
    what = f"leaf {index} of {size}"
    if not 0 <= index < size:
        raise ProofError(f"no proof can hold of {what}")
    _check_sizes(what, root, leaf, *proof)
    found = leaf
    for on_left, sibling in _sides(index, size - 1, proof, what):
        found = node_hash(sibling, found) if on_left else node_hash(found, sibling)
    _check_equal(found, root, what)


def verify_consistency(
    old_root: Hash, old_size: int, root: Hash, size: int, proof: Sequence[Hash]
) -> None:
    """Check that untrusted `proof` shows the older tree to be the beginning of the newer one.

    Every tree begins with the empty one, and no hash is needed to say so. Raises ProofError.
    Source: RFC 9162 §2.1.4.2. Vectors: tests/vectors/merkle.
    """
    what = f"the first {old_size} leaves of {size}"
    if not 0 <= old_size <= size:
        raise ProofError(f"no proof can hold of {what}")
    _check_sizes(what, old_root, root, *proof)
    if size == 0:
        _check_equal(root, EMPTY_ROOT, what)
    if old_size in {0, size}:
        if proof:
            raise ProofError(f"{len(proof)} hashes are too many to prove {what}")
        _check_equal(old_root, root if old_size else EMPTY_ROOT, what)
        return
    level, index = _last_complete(old_size)
    if index:
        if not proof:
            raise ProofError(f"no hashes cannot prove {what}")
        seed, proof = proof[0], proof[1:]
    else:
        seed = old_root
    before = after = seed
    for on_left, sibling in _sides(index, size - 1 >> level, proof, what):
        if on_left:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
        else:
            after = node_hash(after, sibling)
    _check_equal(before, old_root, what)
    _check_equal(after, root, what)


def _sides(index: int, last: int, proof: Sequence[Hash], what: str) -> Iterator[tuple[bool, Hash]]:
    """Yield each hash of a proof for node `index` of a level that ends with `last`, and its side.

    From the level on where the way up joins that of the last node, siblings stand left only.
    """
    split = (index ^ last).bit_length()
    if len(proof) != split + (index >> split).bit_count():
        raise ProofError(f"{len(proof)} hashes cannot prove {what}")
    for level, sibling in enumerate(proof):
        yield level >= split or bool(index >> level & 1), sibling


def _check_sizes(what: str, *hashes: Hash) -> None:
    if any(len(each) != HASH_SIZE for each in hashes):
        raise ProofError(f"a hash is {HASH_SIZE} bytes long, and one for {what} is not")


def _check_equal(found: Hash, expected: Hash, what: str) -> None:
    if found != expected:
        raise ProofError(f"of {what}: leads to {found.hex()}, not to {expected.hex()}")


# ── in memory ───────────────────────────────────────────────────────────────────────────────


class Tree:
    """A tree held in memory, 64 bytes a leaf."""

    def __init__(self, leaves: Iterable[Hash]) -> None:
        """Build every complete node over the leaf hashes."""
        self._levels = [b"".join(leaves)]
        while len(below := self._levels[-1]) > HASH_SIZE:
            self._levels.append(parents(below[: len(below) & -2 * HASH_SIZE]))

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0]) // HASH_SIZE

    @property
    def root(self) -> Hash:
        """The root over all leaves."""
        return root(self.size, self.node)

    def node(self, level: int, index: int) -> Hash:
        """Return the hash over the leaves from index·2^level on; they have to exist."""
        return self._levels[level][HASH_SIZE * index : HASH_SIZE * (index + 1)]

    def inclusion(self, index: int) -> list[Hash]:
        """Return the inclusion proof of one leaf. Raises ProofError if there is none."""
        return inclusion_proof(index, self.size, self.node)

    def consistency(self, old: int) -> list[Hash]:
        """Return the proof that the first `old` leaves are this tree's. Raises ProofError."""
        return consistency_proof(old, self.size, self.node)
