"""Files from strangers, checked without a workspace: whatever they are, an answer comes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from letterlock.errors import LogError
from letterlock.gate.offline import check_evidence

VECTORS = Path(__file__).parent / "vectors" / "evidence"
STATEMENT = VECTORS / "valid" / "statement-group.json"
POLICY = VECTORS / "policies" / "two-of-three"


@pytest.mark.parametrize("made", ["a pipe", "a device", "a file of a terabyte", "a folder"])
def test_a_hostile_copy_of_a_log_neither_hangs_nor_fills_the_memory(tmp_path, made):
    """A copy may hold links, pipes, and files that say to be larger than any disk."""
    found = tmp_path / "checkpoint"
    if made == "a pipe":
        os.mkfifo(found)
    elif made == "a device":
        found.symlink_to("/dev/zero")
    elif made == "a folder":
        found.mkdir()
    else:
        found.touch()
        os.truncate(found, 1 << 40)
    with pytest.raises(LogError, match="checkpoint: no file of a log"):
        check_evidence([STATEMENT], POLICY, log=tmp_path)
