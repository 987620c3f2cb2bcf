"""Checkpoints: who signed which root at what size, and as of when."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from letterlock.errors import InputError, SignatureError
from letterlock.record import checkpoint as checkpoints
from letterlock.record import note
from letterlock.record.checkpoint import Checkpoint, Seen, cosign, opened, parse, sign
from letterlock.record.note import Kind, Note, SecretSigner, SignatureLine

ORIGIN = "log.example"
TIME = 1_700_000_000
LOG = SecretSigner(ORIGIN, Kind.ED25519, bytes([1]) * 32)
LOG6 = SecretSigner(ORIGIN, Kind.MLDSA44, bytes([2]) * 32)
W4 = SecretSigner("w.example/4", Kind.COSIGNATURE, bytes([3]) * 32)
W6 = SecretSigner("w.example/6", Kind.MLDSA44, bytes([4]) * 32)
CHECKPOINT = Checkpoint(ORIGIN, 5, bytes(range(32)))
EXTENDED = Checkpoint(ORIGIN, 5, bytes(range(32)), ("more", "and more"))
KEYS = [each.verifier for each in (LOG, LOG6, W4, W6)]


def test_a_log_and_its_witnesses_sign_and_are_seen():
    """A plain signature says no time, the others the second they were given."""
    signed = sign(CHECKPOINT, [LOG, LOG6], TIME)
    signed = signed.signed_by([cosign(signed, W4, TIME + 1), cosign(signed, W6, TIME + 2)])
    found, seen = opened(note.parse(signed.encode()), KEYS)
    assert found == CHECKPOINT
    times = [None, TIME, TIME + 1, TIME + 2]
    assert seen == tuple(Seen(key, time) for key, time in zip(KEYS, times, strict=True))


def test_each_key_is_seen_once_with_its_newest_time():
    """Whatever the order of its lines; a line without a time takes nothing back."""
    signed = sign(CHECKPOINT, [LOG, LOG], TIME)
    for signer in (W4, W6):
        for times in ([5, 9], [9, 5], [0, 9], [9, 0], [9, 9]):
            lines = [cosign(signed, signer, each) for each in times]
            both = signed.signed_by(lines)
            assert opened(both, [signer.verifier])[1] == (Seen(signer.verifier, 9),)
    assert opened(signed, [LOG.verifier])[1] == (Seen(LOG.verifier, None),)


def test_a_time_of_zero_says_no_time_with_type_06_only():
    """Type 04 knows no such exception: it is the first second of 1970."""
    signed = sign(CHECKPOINT, [LOG], TIME)
    for signer, seconds in ((W4, 0), (W6, None)):
        both = signed.signed_by([cosign(signed, signer, 0)])
        assert opened(both, [signer.verifier])[1] == (Seen(signer.verifier, seconds),)


def test_one_line_that_does_not_hold_refuses_the_checkpoint():
    """Whoever it is by, and whoever else signed."""
    signed = sign(CHECKPOINT, [LOG, LOG6], TIME)
    signed = signed.signed_by([cosign(signed, W4, TIME), cosign(signed, W6, TIME)])
    for at, line in enumerate(signed.signatures):
        for spot in (0, 7, 8, -1):
            blob = bytearray(line.blob)
            blob[spot] ^= 1
            lines = list(signed.signatures)
            lines[at] = SignatureLine(line.name, line.key_id, bytes(blob))
            with pytest.raises(SignatureError):
                opened(Note(signed.text, tuple(lines)), KEYS)


def test_every_bit_of_a_checkpoint_counts():
    """Flip any: it is refused; every line is by a key that was asked for."""
    signed = sign(CHECKPOINT, [LOG], TIME)
    data = signed.encode()
    for at in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises((InputError, SignatureError)):
            opened(note.parse(bytes(flipped)), [LOG.verifier])


def test_extension_lines_need_somebody_who_signs_them():
    """Type 06 leaves them out, so it cannot be the only one."""
    signed = sign(EXTENDED, [LOG], TIME)
    both = signed.signed_by([cosign(signed, W6, TIME)])
    assert opened(both, [LOG.verifier, W6.verifier])[0] == EXTENDED
    with pytest.raises(SignatureError, match="extension"):
        opened(both, [W6.verifier])
    with pytest.raises(InputError, match="does not sign"):
        sign(EXTENDED, [LOG, LOG6], TIME)


def test_a_log_signs_under_its_origin_and_with_its_types():
    """Another name, or a witness's type, is refused before anything is signed."""
    with pytest.raises(InputError, match="is not the log"):
        sign(CHECKPOINT, [SecretSigner("other.example", Kind.ED25519, bytes(32))], TIME)
    with pytest.raises(InputError, match="does not sign"):
        sign(CHECKPOINT, [SecretSigner(ORIGIN, Kind.COSIGNATURE, bytes(32))], TIME)
    with pytest.raises(InputError, match="signs no time"):
        cosign(sign(CHECKPOINT, [LOG], TIME), LOG, TIME)


def test_times_are_seconds_that_fit():
    """From 0 to 2^63 - 1."""
    signed = sign(CHECKPOINT, [LOG], TIME)
    for seconds in (-1, 2**63, 2**64, 10**5000):
        with pytest.raises(InputError, match="time"):
            cosign(signed, W4, seconds)
    line = cosign(signed, W4, 2**63 - 1)
    assert opened(signed.signed_by([line]), [W4.verifier])[1][0].seconds == 2**63 - 1


def test_what_is_no_checkpoint_is_not_cosigned():
    """A witness signs nothing that it cannot read."""
    with pytest.raises(InputError):
        cosign(note.sign("One line.\n", [LOG]), W4, TIME)


@pytest.mark.parametrize(
    "fields",
    [
        ("", 1, bytes(32)),
        ("a\nb", 1, bytes(32)),
        ("a\tb", 1, bytes(32)),
        ("\ud800", 1, bytes(32)),
        ("o" * 256, 1, bytes(32)),
        ("a", -1, bytes(32)),
        ("a", 2**63, bytes(32)),
        ("a", 10**5000, bytes(32)),
        ("a", 1, bytes(31)),
        ("a", 1, bytes(33)),
        ("a", 1, bytes(32), ("",)),
        ("a", 1, bytes(32), ("one", "two\n")),
    ],
)
def test_what_cannot_be_written_is_no_checkpoint(fields):
    """It is refused when it is made, so what is made can be written."""
    with pytest.raises(InputError):
        Checkpoint(*fields)


ANY_LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)


@given(ANY_LINE, st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(ANY_LINE))
def test_what_is_written_reads_back(origin, size, root, extensions):
    """Every checkpoint has one text."""
    made = Checkpoint(origin, size, root, tuple(extensions))
    assert parse(made.text()) == made
    assert made.text().endswith("\n")


@pytest.mark.parametrize("end", ["", "more", "more\nmore"])
def test_the_last_line_of_a_checkpoint_ends_in_a_newline(end):
    """What stands after the last newline would be lost otherwise."""
    with pytest.raises(InputError, match="a line each"):
        parse(f"{CHECKPOINT.text().removesuffix(chr(10) if not end else '')}{end}")


PIECES = st.sampled_from(
    ["\n", "o", "1", "0", "01", " ", "+", "\t", "\ud800", "A" * 43 + "=", "A" * 42 + "B=", "é"]
)


@given(st.text(max_size=90) | st.lists(PIECES, max_size=9).map("".join))
@example("o\n1\n" + "A" * 43 + "=\n")
@example("o\n1\n" + "A" * 43 + "=\nmore\n")
@example("o\n1\n" + "A" * 43 + "=\n\n")
def test_what_reads_is_written_the_same(text):
    """No other text is read, and only an error of ours comes of it."""
    try:
        found = parse(text)
    except InputError:
        return
    assert found.text() == text


def test_the_messages_are_those_of_the_specification():
    """Types 04 and 06, byte by byte (tlog-cosignature)."""
    signed = sign(CHECKPOINT, [LOG], TIME)
    stamp = bytes.fromhex("000000006553f100")
    old = cosign(signed, W4, TIME)
    assert old.blob[:8] == stamp
    text = "cosignature/v1\ntime 1700000000\n" + CHECKPOINT.text()
    note.check(W4.verifier, text.encode(), old.blob[8:])
    new = cosign(signed, W6, TIME)
    assert new.blob[:8] == stamp
    message = (
        b"subtree/v1\n\0"
        b"\x0bw.example/6"
        + stamp
        + b"\x0blog.example"
        + bytes(8)
        + bytes([0, 0, 0, 0, 0, 0, 0, 5])
        + bytes(range(32))
    )
    note.check(W6.verifier, message, new.blob[8:])
    assert len(new.encode()) == len("— w.example/6 \n".encode()) + 3244


def test_the_longest_names_are_signed():
    """255 bytes of name and of origin fit into type 06."""
    long = "n" * 255
    checkpoint = Checkpoint(long, 1, bytes(32))
    signed = sign(checkpoint, [SecretSigner(long, Kind.MLDSA44, bytes(32))], TIME)
    assert opened(signed, [SecretSigner(long, Kind.MLDSA44, bytes(32)).verifier])[0] == checkpoint
    assert checkpoints.MAX_ORIGIN == note.MAX_NAME == 255
