"""The parts of both verifiers, over every golden vector of keys, notes, policies and proofs."""

import os
import subprocess
from pathlib import Path

from outsiders import GO_SOURCE, PACKAGES

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors" / "note"

WITHOUT_MLDSA = {
    f"valid/{name}.json": "no"
    for name in (
        "checkpoint-cosigned-without-a-time",
        "checkpoint-of-a-log-with-mldsa44",
        "checkpoint-witnessed-with-mldsa44",
        "proof-with-witnesses",
        "quorum-clock-ahead-by-five-minutes",
        "quorum-clock-ahead-of-one-that-is-not-needed",
        "quorum-log-with-mldsa44-only",
        "quorum-three-of-three",
        "quorum-two-levels",
    )
} | {"tampered/quorum-log-with-mldsa44-does-not-hold.json": "yes"}
"""Type 06 is ignored by the one in Go: it lacks a signature, or does not see that one is false."""

TOO_LARGE = {"valid/checkpoint-of-the-largest-numbers.json": "no"}
"""Go's library does not return from trees of more than 2^62 entries, so it is not asked."""

EXPECTED = {"go": WITHOUT_MLDSA | TOO_LARGE, "js": {}}
COMMANDS = {
    "go": ["go", "test", "-count=1", "-v", "-run", "TestVectors", "."],
    "js": ["node", str(HERE / "vectors.mjs")],
}


def test_every_vector_of_notes_gets_the_right_answer(outsider) -> None:
    """What is valid is accepted, what is tampered refused, but for what the tables say."""
    done = subprocess.run(
        COMMANDS[outsider.name],
        cwd=GO_SOURCE,
        env={**os.environ, "GO111MODULE": "off", "GOPATH": str(PACKAGES), "GOFLAGS": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    said = [line.split() for line in done.stdout.splitlines() if line.startswith("vector ")]
    found = {file: answer for _, file, answer in said}
    files = [path.relative_to(VECTORS).as_posix() for path in VECTORS.glob("*/*.json")]
    plain = {file: "yes" if file.startswith("valid/") else "no" for file in files}
    assert EXPECTED[outsider.name].keys() <= plain.keys()
    assert found == plain | EXPECTED[outsider.name]
