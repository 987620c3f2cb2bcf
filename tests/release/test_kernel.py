"""The kernel's own arithmetic."""

from __future__ import annotations

import random

import numpy as np
import pytest

from letterlock.release.kernel import ALLOW, SHORT, _smallest


@pytest.mark.parametrize("longest", [0, 1, 2, 3, SHORT - 1, SHORT, SHORT + 1, 3 * SHORT])
@pytest.mark.parametrize("empty", [0.0, 0.3])
@pytest.mark.parametrize("first", [0, 5])
def test_the_smallest_of_each_list_is_what_reduceat_says(longest: int, empty: float, first: int):
    """Lists of every length, of which the longest decides the way; an empty one allows."""
    rng = random.Random(f"{longest} {empty} {first}")
    lengths = [0 if rng.random() < empty else rng.randint(min(1, longest), longest)
               for _ in range(300)] + [longest]  # fmt: skip
    rng.shuffle(lengths)
    code = np.array([rng.randrange(ALLOW) for _ in range(sum(lengths))], np.uint8)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    found = _smallest(code, offsets + np.int32(first), np.diff(offsets))
    # (reduceat answers for an empty list with the first of the next one: they are left out.)
    filled = np.flatnonzero(lengths)
    expected = np.full(len(lengths), ALLOW, np.uint8)
    if len(filled):
        expected[filled] = np.minimum.reduceat(code, offsets[filled])
    assert found.dtype == np.uint8
    assert found.tolist() == expected.tolist()
