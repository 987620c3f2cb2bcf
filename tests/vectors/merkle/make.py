"""Write the golden vectors of Merkle trees: `python tests/vectors/merkle/make.py`.

A second run writes the same files. How they are read, and by what they were checked: PROVENANCE.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from letterlock.record.merkle import EMPTY_ROOT, Tree, leaf_hash, node_hash

HERE = Path(__file__).parent
LEAVES = [bytes.fromhex(each) for each in json.loads((HERE / "roots.json").read_text())["entries"]]
TREES = {
    size: Tree(leaf_hash(LEAVES[i] if i < len(LEAVES) else b"%d" % i) for i in range(size))
    for size in (1, 2, 3, 4, 5, 6, 7, 8, 11, 100, 256, 257, 70_000)
}
Vector = dict[str, Any]


def inclusion(index: int, size: int) -> Vector:
    """Return the proof of one leaf."""
    tree = TREES[size]
    return {
        "index": index,
        "size": size,
        "leaf": tree.node(0, index).hex(),
        "root": tree.root.hex(),
        "proof": [each.hex() for each in tree.inclusion(index)],
    }


def consistency(old: int, size: int) -> Vector:
    """Return the proof of one tree within another."""
    tree = TREES[size]
    return {
        "old_size": old,
        "size": size,
        "old_root": (TREES[old].root if old else EMPTY_ROOT).hex(),
        "root": tree.root.hex(),
        "proof": [each.hex() for each in tree.consistency(old)],
    }


def flipped(value: str, bit: int) -> str:
    """Return a hash with one bit changed; bit 0 is the last one."""
    return f"{int(value, 16) ^ 1 << bit:064x}"


def valid() -> Iterator[tuple[str, Vector]]:
    """Yield proofs, each with its file's name."""
    places = [
        *((index, size) for size in (1, 2, 3, 7, 8) for index in range(size)),
        (0, 100), (63, 100), (64, 100), (98, 100), (99, 100),
        (0, 257), (255, 257), (256, 257), (4_321, 70_000), (69_999, 70_000),
    ]  # fmt: skip
    for index, size in places:
        yield f"inclusion-{index}-of-{size}", inclusion(index, size)
    pairs = [
        *((old, size) for size in (1, 5, 7, 8) for old in range(size + 1) if old != 0),
        (0, 8), (4, 100), (6, 100), (11, 100), (100, 256), (256, 257), (257, 70_000), (256, 70_000),
    ]  # fmt: skip
    for old, size in pairs:
        yield f"consistency-{old}-of-{size}", consistency(old, size)


def tampered() -> Iterator[tuple[str, Vector]]:
    """Yield what is none, each with what was done to it."""
    base = inclusion(5, 7)
    hashes = base["proof"]
    tree = TREES[7]
    both = node_hash(tree.node(0, 4), tree.node(0, 5)).hex()
    for name, change in {
        "other-index": {"index": 4},
        "index-past-the-end": {"index": 7},
        "index-of-another-subtree": {"index": 1},
        "index-negative": {"index": -1},
        "smaller-tree": {"size": 6},
        "much-larger-tree": {"size": 2**63},
        "empty-tree": {"index": 0, "size": 0, "proof": []},
        "other-root": {"root": TREES[8].root.hex()},
        "root-is-the-leaf": {"root": base["leaf"], "proof": []},
        "root-too-short": {"root": base["root"][:-2]},
        "root-empty": {"root": ""},
        "other-leaf": {"leaf": tree.node(0, 4).hex()},
        "leaf-too-long": {"leaf": base["leaf"] + "00"},
        "a-node-as-a-leaf": {"leaf": both, "proof": hashes[1:]},
        "no-hashes": {"proof": []},
        "first-hash-missing": {"proof": hashes[1:]},
        "last-hash-missing": {"proof": hashes[:-1]},
        "first-hash-twice": {"proof": [hashes[0], *hashes]},
        "last-hash-twice": {"proof": [*hashes, hashes[-1]]},
        "empty-hash-appended": {"proof": [*hashes, ""]},
        "hashes-exchanged": {"proof": [hashes[1], hashes[0], *hashes[2:]]},
        "hashes-from-the-root-down": {"proof": hashes[::-1]},
        "hash-too-short": {"proof": [hashes[0][:-2], *hashes[1:]]},
        "two-hashes-run-together": {"proof": [hashes[0] + hashes[1], *hashes[2:]]},
        "first-bit": {"proof": [flipped(hashes[0], 255), *hashes[1:]]},
        "last-bit": {"proof": [*hashes[:-1], flipped(hashes[-1], 0)]},
    }.items():  # fmt: skip
        yield f"inclusion-{name}", base | change
    base = consistency(6, 7)
    hashes = base["proof"]
    whole = consistency(4, 7)
    for name, change in {
        "old-root-of-another-tree": {"old_root": TREES[5].root.hex()},
        "new-root-of-another-tree": {"root": TREES[8].root.hex()},
        "roots-exchanged": {"root": base["old_root"], "old_root": base["root"]},
        "smaller-old-tree": {"old_size": 5},
        "larger-old-tree": {"old_size": 7},
        "old-tree-larger-than-new": {"old_size": 8},
        "old-size-negative": {"old_size": -6},
        "much-larger-new-tree": {"size": 9},
        "no-hashes": {"proof": []},
        "first-hash-missing": {"proof": hashes[1:]},
        "last-hash-missing": {"proof": hashes[:-1]},
        "last-hash-twice": {"proof": [*hashes, hashes[-1]]},
        "hashes-exchanged": {"proof": hashes[::-1]},
        "hash-too-short": {"proof": [hashes[0][:-2], *hashes[1:]]},
        "old-root-too-short": {"old_root": base["old_root"][:-2]},
        "first-bit": {"proof": [flipped(hashes[0], 255), *hashes[1:]]},
    }.items():  # fmt: skip
        yield f"consistency-{name}", base | change
    empty = consistency(0, 8)
    same = consistency(7, 7)
    for name, vector in {
        "of-a-complete-tree-led-by-its-root":
            whole | {"proof": [whole["old_root"], *whole["proof"]]},
        "same-size-other-root": same | {"old_root": TREES[8].root.hex()},
        "same-size-with-hashes": same | {"proof": hashes},
        "empty-tree-with-hashes": empty | {"proof": hashes},
        "empty-tree-with-a-root": empty | {"old_root": TREES[1].root.hex()},
        "empty-trees-with-a-root":
            empty | {"size": 0, "root": empty["root"], "old_root": empty["root"]},
    }.items():  # fmt: skip
        yield f"consistency-{name}", vector


def main() -> None:
    """Write them all."""
    for folder, vectors in (("valid", valid()), ("tampered", tampered())):
        (HERE / folder).mkdir(exist_ok=True)
        for name, vector in vectors:
            text = json.dumps(vector, indent=2)
            (HERE / folder / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
