"""The verifiers know the random function as RFC 9381 and docs/spec/memberset.md have it."""

import json
from pathlib import Path

import pytest

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "vrf"


@pytest.mark.parametrize("folder", ["valid", "tampered"])
def test_every_vector_of_the_random_function_gets_the_same_answer(outsider, folder) -> None:
    """RFC 9381's and our own: the right output for what is valid, none for what is tampered."""
    files = sorted((VECTORS / folder).glob("*.json"))
    vectors = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    asked = [(vector["public"], vector["alpha"], vector["proof"]) for vector in vectors]
    names = [file.stem for file in files]
    expected = [vector["beta"] if folder == "valid" else None for vector in vectors]
    assert files
    assert dict(zip(names, outsider.vrf(asked), strict=True)) == dict(
        zip(names, expected, strict=True)
    )
