"""Both verifiers, over every golden vector of evidence: they accept what is valid, and no more.

What one of them does not know stands in the tables below, with what it has to answer instead.
"""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from letterlock.errors import LetterlockError
from letterlock.evidence import bundle
from letterlock.evidence.verify import verify
from letterlock.record import quorum

VECTORS = Path(__file__).resolve().parent.parent / "vectors" / "evidence"
INDEX = json.loads((VECTORS / "index.json").read_text(encoding="utf-8"))

UNKNOWN_KINDS = {"go": {"statement"}, "js": {"release", "history", "statement"}}
"""It cannot be read, whatever it says: so nothing is judged."""

WITHOUT_MLDSA = {
    # Enough witnesses signed, but with keys of a type that this one does not know.
    "valid/member-ml-dsa-only.json": "no",
    "valid/member-all-signatures.json": "no",
    # A line of such a key is false: ignored, and said to be.
    "tampered/member-in-ml-dsa-of-log-changed.json": "yes",
    "tampered/member-in-ml-dsa-of-witness-changed.json": "yes",
}
"""Type 06 is ignored by the verifier in Go."""

LOG_PART = {
    f"tampered/release-{name}.json": "yes"
    for name in (
        "aaaa-a-member-less",
        "aaaa-another-manifest",
        "aaaa-another-member",
        "aaaa-files-of-another",
        "sealed-with-another-member-set",
        "sealed-with-another-name",
        "sealed-with-no-member-set",
        "sealed-with-other-members",
        "unsorted-members",
    )
}
"""The verifier in Go holds a release against the log and not against its files."""

RECORD = {
    f"tampered/receipt-proved-record-{name}.json": "yes"
    for name in ("of-another-time", "says-yes", "with-more", "without-lines")
}
"""Of a receipt's record both compare the person and the place with the event that is committed to.

Neither shows the rest, and if the log did not sign it, as here, both say so.
"""

EXPECTED = {"go": WITHOUT_MLDSA | LOG_PART | RECORD, "js": RECORD}


def expected(verifier: str, file: str, error: str | None) -> str:
    """Return yes or no: whether that verifier has to accept a file."""
    kind = file.partition("/")[2].partition("-")[0].removesuffix(".json")
    if kind in UNKNOWN_KINDS[verifier]:
        return "no"
    return EXPECTED[verifier].get(file, "no" if error else "yes")


@pytest.mark.slow
def test_every_vector_gets_the_right_answer(outsider) -> None:
    """Each valid file is accepted, each tampered one refused, but for what the tables say."""
    by_policy = defaultdict(list)
    for vector in INDEX["vectors"]:
        by_policy[vector["policy"]].append(vector["file"])
    found = {}
    for policy, files in by_policy.items():
        paths = [VECTORS / file for file in files]
        judged = outsider.judge(VECTORS / policy, paths, now=INDEX["now"])
        # A name may stand in both folders; the lines are in the order in which they were asked for.
        assert len(judged) == len(files)
        found |= {file: judged[Path(file).name]["answer"] for file in files}
    wanted = {
        vector["file"]: expected(outsider.name, vector["file"], vector["error"])
        for vector in INDEX["vectors"]
    }
    assert {file: "yes" if word == "yes" else "no" for file, word in found.items()} == wanted


@pytest.mark.parametrize("key", ["constructor", "__proto__", "toString", "hasOwnProperty", ""])
def test_no_key_is_known_by_accident(outsider, tmp_path, key) -> None:
    """Names that every object of a language has are as unknown as any."""
    whole = json.loads((VECTORS / "valid" / "member-in.json").read_text(encoding="utf-8"))
    within = whole | {"key": whole["key"] | {key: 1}}
    policy = (VECTORS / "policies" / "two-of-three").read_bytes()
    evidence = {"whole": whole, "beside": whole | {key: 1}, "within": within}
    found = outsider.answers(tmp_path, policy, evidence)
    assert found == {"whole": "yes", "beside": "error", "within": "error"}


def nested(depth: int) -> object:
    """Return empty lists within each other."""
    return [nested(depth - 1)] if depth > 1 else []


def test_what_is_too_large_for_us_is_too_large_for_them(outsider, tmp_path) -> None:
    """32 lists and objects within each other, 2^18 values, 16 MiB: and up to there they cope."""
    proved = json.loads((VECTORS / "valid" / "receipt-proved.json").read_text(encoding="utf-8"))
    said = {
        "32 deep": nested(30),
        "33 deep": nested(31),
        "many values": [0] * 2**18,
        "many commas": "," * 2**18,
        "one long text": "x" * 15_000_000,
        "many escapes": "\n" * 2_000_000,
    }
    evidence = {
        name: proved | {"receipt": proved["receipt"] | {"dpv:hasNotice": each}}
        for name, each in said.items()
    }
    body = {"act": "withdraw", "lines": ["x" * 2**20], "subject": "gina"}
    long = {"body": body, "index": 20, "kind": "choice.made", "time": 0, "v": 1}
    evidence["long event"] = proved | {"event": json.dumps(long, separators=(",", ":"))}
    whole = json.loads((VECTORS / "valid" / "member-in.json").read_text(encoding="utf-8"))
    entry = json.dumps({"body": {"x": "x" * 2**16}, "index": 1}, separators=(",", ":"))
    evidence["long entry"] = whole | {"key": whole["key"] | {"entry": entry}}
    evidence["kind in a list"] = whole | {"kind": ["member"]}
    policy = (VECTORS / "policies" / "two-of-three").read_bytes()
    found = outsider.answers(tmp_path, policy, evidence)
    held = {"32 deep", "one long text", "many escapes"}
    assert found == {name: "yes" if name in held else "error" for name in evidence}
    for name, each in evidence.items():
        data = json.dumps(each).encode()
        if name in held:
            verify(bundle.parse(data), quorum.parse(policy), INDEX["now"])
            continue
        with pytest.raises(LetterlockError):
            verify(bundle.parse(data), quorum.parse(policy), INDEX["now"])


def test_the_tables_name_vectors_that_there_are() -> None:
    """No exception outlives the vector that it is made for."""
    named = {file for table in EXPECTED.values() for file in table}
    assert named <= {vector["file"] for vector in INDEX["vectors"]}
