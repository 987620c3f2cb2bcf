"""Proof files: an entry is in a log that a policy accepts, or the file proves nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from letterlock.errors import InputError, LetterlockError, ProofError, SignatureError
from letterlock.record import merkle, note, prooffile
from letterlock.record.checkpoint import Checkpoint, cosign, sign
from letterlock.record.note import Kind, SecretSigner
from letterlock.record.prooffile import ProofFile, parse
from letterlock.record.quorum import LogKey, Policy, Witness

ORIGIN = "log.example"
LOG = SecretSigner(ORIGIN, Kind.ED25519, bytes([1]) * 32)
WITNESS = SecretSigner("w.example", Kind.COSIGNATURE, bytes([2]) * 32)
POLICY = Policy((LogKey(LOG.verifier),))
LEAVES = [merkle.leaf_hash(b"entry %d" % i) for i in range(11)]


def proof(index, size):
    """Prove one entry of a log of so many."""
    tree = merkle.Tree(LEAVES[:size])
    signed = sign(Checkpoint(ORIGIN, size, tree.root), [LOG], 0)
    return ProofFile(index, tuple(tree.inclusion(index)), signed.encode())


@pytest.mark.parametrize("size", range(1, 12))
def test_every_entry_of_a_small_log_is_proved(size):
    """And no other entry, at no other place."""
    for index in range(size):
        file = parse(proof(index, size).encode())
        assert file.check(LEAVES[index], POLICY).checkpoint.size == size
        for other in set(range(11)) - {index}:
            with pytest.raises(ProofError):
                file.check(LEAVES[other], POLICY)
            with pytest.raises(ProofError):
                replace(file, index=other).check(LEAVES[index], POLICY)


def test_every_bit_of_a_proof_counts():
    """Flip any: it is refused, or it was in the extra data, which nobody signs."""
    file = replace(proof(3, 7), extra=b"extra")
    data = file.encode()
    harmless = 0
    for at in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        try:
            found = parse(bytes(flipped))
            found.check(LEAVES[3], POLICY)
        except (InputError, ProofError, SignatureError):
            continue
        assert replace(found, extra=file.extra) == file
        harmless += 1
    assert 0 < harmless <= 8 * len("ZXh0cmE=")


def test_the_policy_decides_about_the_checkpoint():
    """Its quorum and the clock that it is given count for proofs as well."""
    file = proof(3, 7)
    policy = Policy(POLICY.logs, (Witness(b"w", WITNESS.verifier),), (), b"w")
    with pytest.raises(SignatureError, match="quorum"):
        file.check(LEAVES[3], policy)
    signed = note.parse(file.checkpoint)
    seen = replace(file, checkpoint=signed.signed_by([cosign(signed, WITNESS, 1000)]).encode())
    assert seen.check(LEAVES[3], policy, now=1000).witnesses[0][1].seconds == 1000
    with pytest.raises(SignatureError, match="future"):
        seen.check(LEAVES[3], policy, now=100)


@pytest.mark.parametrize(
    "change",
    [
        {"index": -1},
        {"index": 2**63},
        {"index": 10**5000},
        {"path": (bytes(31),)},
        {"path": (bytes(32),) * 64},
        {"extra": b""},
        {"extra": bytes(65_537)},
        {"checkpoint": b""},
        {"checkpoint": note.sign("One.\n", [LOG]).encode()},
    ],
)
def test_what_cannot_be_written_is_no_proof(change):
    """It is refused when it is made."""
    with pytest.raises(InputError):
        replace(proof(3, 7), **change)


def test_the_longest_proof_is_read():
    """63 hashes, the most extra data, and a note of the largest size."""
    file = proof(3, 7)
    signed = note.parse(file.checkpoint)
    room = note.MAX_SIZE - len(file.checkpoint) - 10
    large = note.SignatureLine("a", bytes(4), bytes(room // 4 * 3 - 8))
    file = replace(
        file,
        path=(bytes(32),) * 63,
        extra=bytes(65_536),
        index=2**63 - 1,
        checkpoint=signed.signed_by([large]).encode(),
    )
    assert len(file.checkpoint) > note.MAX_SIZE - 20
    assert parse(file.encode()) == file
    assert len(file.encode()) < prooffile.MAX_SIZE
    with pytest.raises(InputError, match="at most"):
        parse(bytes(prooffile.MAX_SIZE + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + b"AAAA\n" * 200_000 + b"\n",
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + b"A" * 43 * 20_000 + b"=\n\n",
        b"c2sp.org/tlog-proof@v1\nextra " + b"A" * 1_000_000 + b"\nindex 0\n\n",
        b"c2sp.org/tlog-proof@v1\nindex " + b"9" * 1_000_000 + b"\n\n",
        b"x\n" * 500_000 + b"\n",
    ],
)
def test_hostile_proofs_are_refused_in_few_words(data):
    """However long they are."""
    with pytest.raises(InputError) as caught:
        parse(data)
    assert len(str(caught.value)) < 500


GOOD = proof(3, 7)
PIECES = st.sampled_from(
    [
        b"c2sp.org/tlog-proof@v1\n",
        b"extra AAAA\n",
        b"extra \n",
        b"index 3\n",
        b"index 03\n",
        b"\n",
        b"A" * 43 + b"=\n",
        b"A" * 42 + b"B=\n",
        GOOD.checkpoint,
        b"\xff\n",
        b"index 0",
    ]
)


@given(st.binary(max_size=60) | st.lists(PIECES, max_size=8).map(b"".join))
@example(GOOD.encode())
@example(replace(GOOD, extra=b"x").encode())
@example(b"c2sp.org/tlog-proof@v1\nindex 3\n\n" + GOOD.checkpoint)
def test_what_reads_is_written_the_same(data):
    """Whatever comes in, a proof or an error of ours comes out, and it says what was read."""
    try:
        found = parse(data)
    except InputError:
        return
    assert found.encode() == data
    try:
        found.check(LEAVES[3], POLICY)
    except LetterlockError:
        return
    assert replace(found, extra=None) == GOOD


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(min_size=1),
)
def test_what_is_written_reads_back(index, path, extra):
    """Every proof has one text."""
    made = ProofFile(index, tuple(path), GOOD.checkpoint, extra)
    assert parse(made.encode()) == made
