"""Vectors of notes, checkpoints, policies and proof files: tests/vectors/note/PROVENANCE.md."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock import errors
from letterlock.errors import LetterlockError
from letterlock.record import checkpoint, merkle, note, prooffile, quorum

TESTS = Path(__file__).parents[1]
VECTORS = TESTS / "vectors" / "note"
VALID = sorted((VECTORS / "valid").glob("*.json"))
TAMPERED = sorted((VECTORS / "tampered").glob("*.json"))


def named(path):
    """Name a vector."""
    return path.stem


def octets(vector, name):
    """Return what a vector gives as text or as hexadecimal digits."""
    return (
        bytes.fromhex(vector[f"{name}_hex"]) if f"{name}_hex" in vector else vector[name].encode()
    )


def seen(each):
    """Say whose signature it is, and as of when."""
    return {"vkey": each.verifier.vkey, "seconds": each.seconds}


def taken(found):
    """Say what a checkpoint says."""
    extensions = list(found.extensions)
    return {
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "extensions": extensions,
    }


def read(vector):
    """Return what the library makes of a vector."""
    data, form = octets(vector, "input"), vector["form"]
    keys = [note.parse_vkey(each) for each in vector.get("keys", [])]
    if form == "vkey":
        key = note.parse_vkey(data.decode(errors="surrogateescape"))
        return {"name": key.name, "kind": int(key.kind), "public": key.public.hex()}
    if form == "note":
        found = note.parse(data)
        return {"text": found.text, "signers": [k.vkey for k in note.signers_of(found, keys)]}
    if form == "checkpoint":
        found, signed = checkpoint.opened(note.parse(data), keys)
        return {**taken(found), "seen": [seen(each) for each in signed]}
    if form == "policy":
        return {"encoded": quorum.parse(data).encode()}
    policy = quorum.parse(vector["policy"].encode())
    if form == "quorum":
        trusted, more = policy.check(data, now=vector["now"]), {}
    else:
        file = prooffile.parse(data)
        trusted = file.check(merkle.leaf_hash(octets(vector, "entry")), policy)
        more = {"index": file.index, "extra": file.extra and file.extra.hex()}
    signed = [seen(each) for each in trusted.logs]
    witnesses = [{"name": name, **seen(each)} for name, each in trusted.witnesses]
    return {**more, **taken(trusted.checkpoint), "logs": signed, "witnesses": witnesses}


@pytest.mark.parametrize("path", VALID, ids=named)
def test_a_valid_vector_says_what_it_says(path):
    """It is accepted, and read as the file tells."""
    vector = json.loads(path.read_text())
    says = vector["says"]
    if vector["form"] == "policy":
        says = {"encoded": octets(says, "encoded")}
    assert read(vector) == says


@pytest.mark.parametrize("path", VALID, ids=named)
def test_a_valid_vector_is_written_as_it_was_read(path):
    """What is accepted has one form only: reading and writing gives the same bytes."""
    vector = json.loads(path.read_text())
    data = octets(vector, "input")
    if vector["form"] == "vkey":
        assert note.parse_vkey(data.decode()).vkey.encode() == data
    elif vector["form"] == "proof":
        assert prooffile.parse(data).encode() == data
    elif vector["form"] == "policy":
        policy = quorum.parse(data)
        assert quorum.parse(policy.encode()) == policy
    else:
        found = note.parse(data)
        assert found.encode() == data
        assert vector["form"] == "note" or checkpoint.parse(found.text).text() == found.text


@st.composite
def damaged(draw):
    """Draw a valid vector and do something to its input: drop, double, move or overwrite parts."""
    vector = json.loads(draw(st.sampled_from(VALID)).read_text())
    data = octets(vector, "input")
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(0, len(data)))
        last = min(len(data), first + draw(st.sampled_from([0, 1, 1, 2, 4, 45, 400])))
        part, at = data[first:last], draw(st.integers(0, len(data)))
        new = draw(st.sampled_from([b"", b"\n", b" ", b"=", b"A", b"0", b"\xff", b"\0"]))
        data = draw(
            st.sampled_from(
                [
                    data[:first] + new + data[last:],
                    data[:first] + part + data[first:],
                    data[:at] + part + data[at:],
                    data[:first] + draw(st.binary(max_size=3)) + data[last:],
                ]
            )
        )
    # What was text may be none any more.
    bare = {key: value for key, value in vector.items() if not key.startswith("input")}
    return {**bare, "input_hex": data.hex()}


@given(damaged())
@settings(max_examples=500)
def test_a_damaged_vector_says_the_same_or_nothing(vector):
    """Signatures may be lost; what is signed reads as it was, or an error of ours refuses it."""
    try:
        found = read(vector)
    except LetterlockError:
        return
    unsigned = {"signers", "seen", "logs", "witnesses", "extra", "encoded"}
    for key in found.keys() - unsigned:
        assert found[key] == vector["says"][key]


@pytest.mark.parametrize("path", TAMPERED, ids=named)
def test_a_tampered_vector_is_refused(path):
    """Whatever was done to it, it is refused, with the error that says what to conclude."""
    vector = json.loads(path.read_text())
    with pytest.raises(LetterlockError) as caught:
        read(vector)
    assert type(caught.value) is getattr(errors, vector["error"])


def test_the_vectors_are_those_that_the_script_writes(tmp_path):
    """A second run writes the same files, and no others."""
    shutil.copy(VECTORS / "make.py", tmp_path)
    source = os.pathsep.join([str(Path(note.__file__).parents[2]), str(TESTS)])
    command = [sys.executable, tmp_path / "make.py"]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": source})
    for folder in ("valid", "tampered"):
        ours, again = (
            {path.name: path.read_bytes() for path in sorted((where / folder).iterdir())}
            for where in (VECTORS, tmp_path)
        )
        assert ours == again


def test_no_vector_is_kept_twice():
    """Each tampered file shows something of its own, and none of them is a valid one."""
    vectors = [json.loads(path.read_text()) for path in chain(VALID, TAMPERED)]
    told = {"says", "error"}
    bare = [json.dumps({k: v for k, v in each.items() if k not in told}) for each in vectors]
    assert len(set(bare)) == len(bare) > 300
