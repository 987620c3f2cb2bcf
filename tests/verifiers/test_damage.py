"""Damage at random: whatever byte of evidence is changed, the verifiers answer as we do."""

import json
import random
from pathlib import Path

import pytest

from letterlock.errors import LetterlockError
from letterlock.evidence import bundle
from letterlock.evidence.verify import verify
from letterlock.record import quorum

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "evidence"
NOW = json.loads((VECTORS / "index.json").read_text(encoding="utf-8"))["now"]
POLICY = (VECTORS / "policies" / "two-of-three").read_bytes()
NAMES = ("member-in", "member-not-in", "grants-none", "receipt-withdrawal", "receipt-promised")
ROUNDS = 60


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return the data with a byte changed, added, left out or moved."""
    at = chance.randrange(len(data))
    match chance.randrange(4):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + bytes([chance.randrange(256)]) + data[at:]
        case 2:
            return data[:at] + data[at + 1 :]
        case _:
            return data[:at] + data[at : at + 2][::-1] + data[at + 2 :]


def ours(data: bytes) -> str:
    """Say yes or no, by our own code."""
    try:
        verify(bundle.parse(data), quorum.parse(POLICY), NOW)
    except LetterlockError:
        return "no"
    return "yes"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_damaged_evidence_is_judged_alike(outsider, tmp_path, name) -> None:
    """Nobody accepts what another refuses; what is still accepted was changed in nothing."""
    data = (VECTORS / "valid" / f"{name}.json").read_bytes()
    chance = random.Random(name)
    cases = {f"{n}.json": damaged(data, chance) for n in range(ROUNDS)} | {"whole.json": data}
    for file, content in cases.items():
        (tmp_path / file).write_bytes(content)
    files = [tmp_path / file for file in cases]
    judged = outsider.judge(VECTORS / "policies" / "two-of-three", files, now=NOW)
    found = {file: "yes" if judged[file]["answer"] == "yes" else "no" for file in cases}
    assert found == {file: ours(content) for file, content in cases.items()}
    assert found["whole.json"] == "yes"
