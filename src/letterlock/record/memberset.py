"""Who is in a release, and who is not: pseudonyms, and a tree of buckets that proves either.

Each account has one token y, an output of the random function that the operator cannot choose;
each release gives it a pseudonym that nobody can find without y. A release's pseudonyms are sorted
into 2**depth buckets by their first bits, empty ones too, and the buckets are the entries of a
Merkle tree: so one bucket and its path prove that a pseudonym is there, or that it is not.

Spec: docs/spec/memberset.md. Vectors: tests/vectors/memberset. Twin: tests/oracle/memberset.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from letterlock.errors import InputError, ProofError
from letterlock.record import merkle
from letterlock.record.merkle import Hash

NAME_SIZE: Final = 32
MAX_DEPTH: Final = 32
"""Rows name members by 32-bit indexes, so no release has more than 2**32."""

_MEMBER: Final = b"letterlock/member/v1\0"
_PSEUDONYM: Final = b"letterlock/pseudonym/v1\0"
_EVENT: Final = b"letterlock/event/v1\0"
_LEVELS: Final = 6
"""Of each tree, this many of the lower levels are made when they are asked for, and not kept."""


def alpha(origin: str, account: str) -> bytes:
    """Return what the random function is asked for an account of a log.

    Raises InputError if a text has more than 65,535 bytes, or is no Unicode.
    """
    return _MEMBER + _prefixed(origin) + _prefixed(account)


def scope(origin: str, opened: int, leaf: Hash) -> bytes:
    """Return T, 32 bytes, of the release whose opening is log entry `opened` with hash `leaf`.

    Raises InputError.
    """
    if len(leaf) != merkle.HASH_SIZE:
        raise InputError(f"a leaf hash is {merkle.HASH_SIZE} bytes, not {len(leaf)}")
    return sha256(_PSEUDONYM + _prefixed(origin) + _eight_bytes(opened) + leaf).digest()


def pseudonym(scope: bytes, token: bytes) -> bytes:
    """Return an account's name in one release, 32 bytes. Raises InputError."""
    if len(scope) != NAME_SIZE or len(token) != NAME_SIZE:
        raise InputError(f"a scope and a token are {NAME_SIZE} bytes each")
    return sha256(scope + token).digest()


def pseudonyms(scope: bytes, tokens: bytes) -> bytes:
    """Return the names of many accounts, in the order of their tokens; both end to end."""
    places = range(0, len(tokens), NAME_SIZE)
    return b"".join([sha256(scope + tokens[n : n + NAME_SIZE]).digest() for n in places])


def tag(token: bytes, number: int) -> bytes:
    """Return the name of an account's event `number` (of the grants, counted from 0), 32 bytes.

    Raises InputError.
    """
    if len(token) != NAME_SIZE:
        raise InputError(f"a token is {NAME_SIZE} bytes, not {len(token)}")
    return sha256(_EVENT + token + _eight_bytes(number)).digest()


def order(names: bytes) -> npt.NDArray[np.int64]:
    """Return the places of `names`, end to end, in ascending order: (names,)."""
    return np.argsort(_rows(names)).astype(np.int64)


def depth_of(count: int) -> int:
    """Return how many first bits choose the bucket among `count` names: ceil(log2 count)."""
    return max(count - 1, 0).bit_length()


class MemberSet:
    """The names of a release in their buckets, and the tree over these."""

    def __init__(self, names: bytes) -> None:
        """Take names of 32 bytes, end to end, strictly ascending. Raises InputError."""
        if len(names) % NAME_SIZE or not _ascending(names):
            raise InputError(f"not names of {NAME_SIZE} bytes in strictly ascending order")
        self._names = names
        self.count = len(names) // NAME_SIZE
        self.depth = depth_of(self.count)
        first = np.frombuffer(names, ">u8")[::4].astype(np.uint64)
        # In two steps, as a shift by all 64 bits has no result.
        self._bucket = first >> np.uint64(1) >> np.uint64(63 - self.depth)
        self._width = 1 << min(self.depth, _LEVELS)
        blocks = range(1 << self.depth - self._width.bit_length() + 1)
        self._upper = merkle.Tree([self._lower(block).root for block in blocks])

    @property
    def root(self) -> Hash:
        """Return the root that a sealed release names."""
        return self._upper.root

    def proof(self, name: bytes) -> tuple[bytes, list[Hash]]:
        """Return the bucket where `name` is or would be, and its path, leaf to root.

        Raises InputError.
        """
        number = _bucket_of(name, self.depth)
        first, last = self._bounds(number, number + 1)
        block, leaf = divmod(number, self._width)
        path = [*self._lower(block).inclusion(leaf), *self._upper.inclusion(block)]
        return self._names[first:last], path

    def _lower(self, block: int) -> merkle.Tree:
        """Return the tree of `_width` buckets side by side."""
        bounds = self._bounds(block * self._width, (block + 1) * self._width)
        return merkle.Tree([merkle.leaf_hash(self._names[a:b]) for a, b in pairwise(bounds)])

    def _bounds(self, first: int, last: int) -> list[int]:
        """Return where buckets begin, and the last one ends, in bytes."""
        buckets = np.arange(first, last + 1, dtype=np.uint64)
        found: list[int] = (np.searchsorted(self._bucket, buckets) * NAME_SIZE).tolist()
        return found


def verify(root: Hash, depth: int, name: bytes, bucket: bytes, path: Sequence[Hash]) -> bool:
    """Say whether `name` is in the set of this root and depth; bucket and path are untrusted.

    Raises ProofError if they prove neither. Source: docs/spec/memberset.md §4.
    """
    if not 0 <= depth <= MAX_DEPTH or len(name) != NAME_SIZE:
        raise ProofError(f"a member set has no name of {len(name)} bytes, or no depth {depth}")
    if len(bucket) % NAME_SIZE or not _ascending(bucket):
        raise ProofError(f"the bucket is not names of {NAME_SIZE} bytes, strictly ascending")
    number = _bucket_of(name, depth)
    found = [bucket[n : n + NAME_SIZE] for n in range(0, len(bucket), NAME_SIZE)]
    if any(_bucket_of(each, depth) != number for each in found):
        raise ProofError(f"a name in the bucket does not begin with its {depth} bits")
    merkle.verify_inclusion(root, merkle.leaf_hash(bucket), number, 1 << depth, path)
    return name in found


def _bucket_of(name: bytes, depth: int) -> int:
    if len(name) != NAME_SIZE:
        raise InputError(f"a name is {NAME_SIZE} bytes, not {len(name)}")
    return int.from_bytes(name, "big") >> 8 * NAME_SIZE - depth


def _ascending(names: bytes) -> bool:
    rows = _rows(names)
    return bool((rows[:-1] < rows[1:]).all())


def _rows(names: bytes) -> npt.NDArray[np.bytes_]:
    """View names end to end as an array of texts, which compare byte by byte: (names,)."""
    return np.frombuffer(names, f"S{NAME_SIZE}")


def _prefixed(text: str) -> bytes:
    try:
        data = text.encode()
        return len(data).to_bytes(2, "big") + data
    except (UnicodeEncodeError, OverflowError) as error:
        raise InputError(f"{text[:40]!r}… is not up to 65,535 bytes of Unicode") from error


def _eight_bytes(number: int) -> bytes:
    try:
        return number.to_bytes(8, "big")
    except OverflowError as error:
        raise InputError(f"{number} is no number from 0 to 2**64 - 1") from error
