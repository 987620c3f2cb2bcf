"""Signed notes: one way to write each, and nothing is believed that the right key did not sign."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from letterlock import approval
from letterlock.errors import InputError, LetterlockError, SignatureError
from letterlock.record import note
from letterlock.record.note import Kind, Note, SecretSigner, SignatureLine, Verifier
from oracle import mldsa
from oracle import notes as oracle

AUTHOR = SecretSigner("author.example/a", Kind.ED25519, bytes([1]) * 32)
OTHER = SecretSigner("other.example", Kind.ED25519, bytes([2]) * 32)
WITNESS = SecretSigner("w.example", Kind.COSIGNATURE, bytes([3]) * 32)
LATTICE = SecretSigner("l.example", Kind.MLDSA44, bytes([4]) * 32)
NOTE = note.sign("One line.\n", [AUTHOR])
LINE = NOTE.signatures[0]


# ── who signed ──────────────────────────────────────────────────────────────────────────────


def test_a_signed_note_names_who_signed_it():
    """Each asked for, once, in the order of the lines; the others are not named."""
    both = note.sign("One.\n", [AUTHOR, OTHER, AUTHOR])
    keys = [OTHER.verifier, AUTHOR.verifier, AUTHOR.verifier]
    assert note.signers_of(note.parse(both.encode()), keys) == (AUTHOR.verifier, OTHER.verifier)
    assert note.signers_of(both, [OTHER.verifier]) == (OTHER.verifier,)


def test_nobody_asked_for_is_nobody_who_signed():
    """Without a key there is nothing to believe."""
    with pytest.raises(SignatureError):
        note.signers_of(NOTE, [])
    with pytest.raises(SignatureError):
        note.signers_of(NOTE, [OTHER.verifier])


def test_a_bad_line_of_a_known_key_refuses_the_whole_note():
    """Also where another line holds, and wherever it stands."""
    bad = SignatureLine(LINE.name, LINE.key_id, LINE.blob[::-1])
    also = note.sign(NOTE.text, [OTHER]).signatures[0]
    for lines in ((bad,), (bad, LINE), (LINE, bad), (also, bad), (bad, also)):
        with pytest.raises(SignatureError, match="does not hold"):
            note.signers_of(Note(NOTE.text, lines), [AUTHOR.verifier, OTHER.verifier])


def test_two_keys_that_look_the_same_are_refused():
    """Four bytes of key id collide soon: which of the two is meant cannot be told."""
    one, two = (
        SecretSigner("a.example", Kind.ED25519, seed.to_bytes(32, "big")) for seed in (47680, 59280)
    )
    assert one.verifier.key_id == two.verifier.key_id == bytes.fromhex("b0bf1895")
    signed = note.sign("One.\n", [one])
    assert note.signers_of(signed, [one.verifier]) == (one.verifier,)
    with pytest.raises(SignatureError):
        note.signers_of(signed, [two.verifier])
    with pytest.raises(InputError, match="b0bf1895"):
        note.signers_of(signed, [one.verifier, two.verifier])


def test_keys_of_checkpoints_sign_no_plain_note():
    """Types 04 and 06 say what they sign: a checkpoint, and when."""
    for signer in (WITNESS, LATTICE):
        with pytest.raises(InputError, match="checkpoints only"):
            note.sign("One.\n", [signer])
        line = note.line(signer, b"One.\n")
        with pytest.raises(InputError, match="checkpoints only"):
            note.signers_of(Note("One.\n", (line,)), [signer.verifier])


class Faulty:
    """A signer that gives something, whatever it was asked to sign."""

    def __init__(self, verifier, given):
        """Keep what to give."""
        self.verifier, self.given = verifier, given

    def sign(self, message):
        """Give it."""
        return self.given + message[:0]


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 2419, 2420, 2421, 5000])
@pytest.mark.parametrize("signer", [AUTHOR, WITNESS, LATTICE])
def test_what_a_faulty_signer_gives_is_not_published(signer, size):
    """It is checked at once, whatever its length."""
    with pytest.raises(SignatureError):
        note.line(Faulty(signer.verifier, bytes(size)), b"One.\n")
    with pytest.raises(SignatureError):
        note.line(Faulty(signer.verifier, signer.sign(b"Two.\n")), b"One.\n")


# ── one way to write it ─────────────────────────────────────────────────────────────────────


def test_every_bit_of_a_note_counts():
    """Flip any: it is refused, or the line of a key that nobody asked for is another one."""
    stranger = note.sign(NOTE.text, [OTHER]).signatures[0]
    data = NOTE.signed_by([stranger]).encode()
    harmless = 0
    for at in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        try:
            found = note.parse(bytes(flipped))
            signers = note.signers_of(found, [AUTHOR.verifier])
        except (InputError, SignatureError):
            continue
        # A line of an unknown key is to be ignored whatever it says; all else is as it was.
        assert (found.text, signers) == (NOTE.text, (AUTHOR.verifier,))
        assert found.signatures[0] == LINE
        assert at // 8 >= len(NOTE.encode())
        harmless += 1
    assert 0 < harmless < 8 * len(stranger.encode())


def test_every_cut_of_a_note_is_refused():
    """A note ends where its last line ends; the beginning of one is none, nor is its end."""
    data = NOTE.encode()
    for at in range(len(data)):
        for part in (data[:at], data[at + 1 :] if at else b""):
            with pytest.raises((InputError, SignatureError)):
                note.signers_of(note.parse(part), [AUTHOR.verifier])


def test_lines_come_alone_from_a_witness():
    """They are read as in a note, and written as there."""
    lines = note.sign("One.\n", [AUTHOR, OTHER]).signatures
    data = b"".join(each.encode() for each in lines)
    assert note.parse_lines(data) == lines
    for bad in (b"", b"\n", data[:-1], data + b"\n", b"\n" + data, b"\xff" + data, b"\t" + data):
        with pytest.raises(InputError):
            note.parse_lines(bad)
    largest = SignatureLine("ab", bytes(4), bytes((note.MAX_SIZE - 8) // 4 * 3 - 4)).encode()
    assert len(largest) == note.MAX_SIZE
    assert len(note.parse_lines(largest)) == 1
    with pytest.raises(InputError, match="at most"):
        note.parse_lines(b"x" + largest)


@pytest.mark.parametrize(
    "made",
    [
        Note("One.", NOTE.signatures),
        Note("", NOTE.signatures),
        Note("One.\t\n", NOTE.signatures),
        Note("One.\ud800\n", NOTE.signatures),
        Note("One.\n", ()),
        Note("One.\n", NOTE.signatures * 101),
        Note("One.\n", (SignatureLine("a b", bytes(4), bytes(64)),)),
        Note("One.\n", (SignatureLine("a\nb", bytes(4), bytes(64)),)),
        Note("One.\n", (SignatureLine("\udfff", bytes(4), bytes(64)),)),
        Note("One.\n", (SignatureLine("a", bytes(3), bytes(64)),)),
        Note("One.\n", (SignatureLine("a", bytes(5), bytes(64)),)),
        Note("One.\n", (SignatureLine("a", bytes(4), b""),)),
        Note("One.\n" * 200_001, NOTE.signatures),
        Note("One.\n\n— a AAAAAAA=\n\n— ", ()),
    ],
)
def test_what_would_not_read_back_is_not_written(made):
    """`encode` refuses what `parse` would read otherwise, or not at all."""
    with pytest.raises(InputError):
        made.encode()


def test_a_note_of_the_largest_size_is_read():
    """The bound itself is allowed."""
    room = note.MAX_SIZE - len(NOTE.encode())
    large = note.sign("x" * room + NOTE.text, [AUTHOR])
    data = large.encode()
    assert len(data) == note.MAX_SIZE
    assert note.signers_of(note.parse(data), [AUTHOR.verifier]) == (AUTHOR.verifier,)
    with pytest.raises(InputError, match="at most"):
        note.parse(b"x" + data)


@pytest.mark.parametrize(
    "data",
    [
        b"\n" * note.MAX_SIZE,
        b"\n\n" + b"\xe2\x80\x94 a AAAAAAA=\n" * 60_000,
        b"One.\n\n\xe2\x80\x94 a " + b"A" * 999_981 + b"\n",
        b"One.\n\n\xe2\x80\x94 " + b"a" * 999_980 + b" AAAAAAA=\n",
        b"One.\n\n" + b"\xe2\x80\x94 " * 200_000,
        b"One.\n\n" + b"\xe2" * 900_000,
        b"\xf0\x9d\x84\x9e" * 250_000,
    ],
)
def test_hostile_notes_take_little_memory(data):
    """However it is filled up, a note takes at most some ten times the bytes it may have."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            note.parse(data)
        assert tracemalloc.get_traced_memory()[1] < 12 * note.MAX_SIZE
        assert len(str(caught.value)) < 500
    finally:
        tracemalloc.stop()


PIECES = st.sampled_from(
    [
        "\n",
        "\n\n",
        "— ",
        "—",
        " ",
        "a.example",
        "AAAAAAA=",
        "AAAAAAB=",
        "AAAAAA==",
        "AAAAAAAA",
        "One.",
        "\u2028",
        "\x85",
        "+",
        "=",
        LINE.encode().decode(),
        "\t",
        "\r",
        "ж",
    ]
)


@given(st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=20).map("".join)))
@example(b"\n\n\xe2\x80\x94 a AAAAAAA=\n")
@example("One.\n\n\n— a AAAAAAA=\n")
@example("\n— a AAAAAAA=\n")
@example("One.\n\n— a AAAAAAA=\n\n")
@example("One.\n\n" + "— a AAAAAAA=\n" * 101)
@example("One.\n\n" + "— a AAAAAAA=\n" * 100)
def test_the_slow_twin_reads_the_same_notes(given):
    """What one reads the other reads, with the same text and lines; no other error escapes."""
    data = given.encode() if isinstance(given, str) else given
    told = oracle.note(data)
    try:
        found = note.parse(data)
    except InputError:
        assert told is None
        return
    lines = [(each.name, each.key_id, each.blob) for each in found.signatures]
    assert told == (found.text, lines)
    assert found.encode() == data


@given(
    st.text(st.sampled_from("AQgw/+= \n-é"), max_size=12)
    | st.binary(max_size=9).map(note.to_base64)
)
def test_the_slow_twin_reads_the_same_base64(text):
    """Padding, and no bit left over: one way to write some bytes."""
    told = oracle.base64(text)
    if told is None:
        with pytest.raises(InputError):
            note.from_base64(text)
    else:
        assert note.from_base64(text) == told
        assert note.to_base64(told) == text


@given(st.integers(-5, 2**64) | st.integers(2**63 - 3, 2**63 + 3))
def test_numbers_go_from_0_to_2_to_the_63(value):
    """Written in one way, and bounded."""
    if 0 <= value < 2**63:
        assert note.number(str(value)) == value
    else:
        with pytest.raises(InputError):
            note.number(str(value))


@pytest.mark.parametrize(
    "text", ["", "00", "01", "+1", "-0", " 1", "1 ", "1\n", "1_0", "٣", "1.0", "1e3"]
)
def test_numbers_are_written_in_one_way(text):
    """Digits, no zero in front, nothing else."""
    with pytest.raises(InputError):
        note.number(text)


@given(st.text(max_size=40), st.lists(st.binary(min_size=1, max_size=70), min_size=1, max_size=5))
def test_what_is_written_reads_back(text, blobs):
    """A text that can stand in a note comes back with its signatures, or is refused."""
    made = Note(text + "\n", tuple(SignatureLine("a.example", bytes(4), blob) for blob in blobs))
    try:
        data = made.encode()
    except InputError:
        assert not text.isprintable()
        return
    assert note.parse(data) == made


# ── keys ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("signer", [AUTHOR, WITNESS, LATTICE])
def test_a_key_reads_back_from_its_line(signer):
    """Name, type and bytes, and an id that follows from them."""
    key = signer.verifier
    assert note.parse_vkey(key.vkey) == key
    assert key.vkey.startswith(f"{key.name}+{key.key_id.hex()}+")


def test_one_secret_has_other_ids_under_other_names_and_types():
    """A key id tells name, type and key apart."""
    made = [
        SecretSigner(name, kind, bytes(32)).verifier.key_id for name in ("a", "b") for kind in Kind
    ]
    assert len(set(made)) == len(made)


def test_a_seed_has_32_bytes():
    """A shorter secret is refused, and shown by nobody."""
    for size in (0, 31, 33, 64):
        with pytest.raises(InputError, match="32 bytes"):
            SecretSigner("a", Kind.ED25519, bytes(size))
    assert bytes([1]).hex() * 4 not in repr(AUTHOR)


@given(st.binary(min_size=32, max_size=32))
@example((1).to_bytes(32, "little"))
@example((2**255 - 19).to_bytes(32, "little"))
@example((2**255 - 20).to_bytes(32, "little"))
@example(bytes([1, *[0] * 30, 0x80]))
@example(bytes(32))
@example(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"))
@example(AUTHOR.verifier.public)
def test_keys_are_those_that_approvals_take(public):
    """The one encoding of a point of the prime-order group, by two ways to compute that."""
    try:
        approval.check_key(public.hex())
    except InputError:
        with pytest.raises(InputError):
            Verifier("a", Kind.ED25519, public)
    else:
        assert Verifier("a", Kind.ED25519, public).public == public


@given(st.text(max_size=80) | st.text(st.sampled_from("a+0fAQ= "), max_size=80))
@example("+" * 1000)
@example(AUTHOR.verifier.vkey + "\n")
@example("\ud800" + AUTHOR.verifier.vkey)
def test_other_lines_are_no_keys(text):
    """Only an error of ours comes of them."""
    with pytest.raises(InputError):
        note.parse_vkey(text)


def test_every_letter_of_a_key_counts():
    """Exchange or drop any: it is refused."""
    text = AUTHOR.verifier.vkey
    for at, old in enumerate(text):
        for new in {"", "A", "a", "0", "+", " ", old.upper(), old.lower()} - {old}:
            with pytest.raises(InputError):
                note.parse_vkey(text[:at] + new + text[at + 1 :])


# ── ML-DSA-44, by two implementations ───────────────────────────────────────────────────────


@pytest.mark.parametrize("first", [0, 7, 200])
def test_the_slow_twin_of_mldsa44_agrees(first):
    """Each checks what the other signed, of the same key, and refuses a flipped bit."""
    seed, message = bytes([first]) * 32, b"letterlock %d" % first
    signer = SecretSigner("a", Kind.MLDSA44, seed)
    assert mldsa.public_key(seed) == signer.verifier.public
    slow, fast = mldsa.sign(seed, message), signer.sign(message)
    note.check(signer.verifier, message, slow)
    assert mldsa.verify(signer.verifier.public, message, fast)
    for at in (0, 31, 32, 1000, 2335, 2336, 2415, 2419):
        bad = fast[:at] + bytes([fast[at] ^ 1]) + fast[at + 1 :]
        assert not mldsa.verify(signer.verifier.public, message, bad)
        with pytest.raises(SignatureError):
            note.check(signer.verifier, message, bad)
    assert not mldsa.verify(signer.verifier.public, message, fast[:-1])


def test_only_errors_of_ours_come_of_foreign_signatures():
    """Whatever stands in a line of a known key, the answer is that it does not hold."""
    for size in (1, 63, 64, 65, 72, 2420, 2428, 9000):
        lines = (SignatureLine(LINE.name, LINE.key_id, bytes([255]) * size),)
        with pytest.raises(LetterlockError):
            note.signers_of(Note(NOTE.text, lines), [AUTHOR.verifier])
