"""The witness as a pure protocol: every status, its order, its races, and a parser under fire."""

from __future__ import annotations

import contextlib
import hashlib
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from letterlock.errors import InputError, LetterlockError, LogError
from letterlock.record import checkpoint as checkpoints
from letterlock.record import merkle
from letterlock.record import note as notes
from letterlock.record.checkpoint import Checkpoint, Seen
from letterlock.record.note import Kind, Note, SecretSigner, SignatureLine
from letterlock.record.witness import (
    MAX_ANSWER,
    MAX_PROOF,
    MAX_REQUEST,
    SIZE,
    TEXT,
    Request,
    Response,
    Witness,
    by_origin,
    folder_of,
    only_by,
    parse_request,
    read_response,
)
from witnessing import LOG, NOW, ORIGIN, Log, Memory, who, witness_keys, witness_of

OWN = [each.verifier for each in witness_keys("w.example/1")]
KEYS = [each.verifier for each in LOG]
LOG_A = Log()
FORK = Log(b"other ", common=3)


def ask(state: Memory, data: bytes, *, at: int = NOW, witness: Witness | None = None) -> Response:
    """Ask a witness whose clock says `at`."""
    return (witness or witness_of()).answer(data, state, lambda: at)


@pytest.fixture
def at_five() -> Memory:
    """Return the state of a witness that has cosigned five entries."""
    state = Memory()
    assert ask(state, LOG_A.request(0, 5)).status == 200
    return state


# ── 200 ─────────────────────────────────────────────────────────────────────────────────────


def test_each_step_is_cosigned_with_every_key():
    """200 has a line per key, each over the checkpoint and of the time of the clock."""
    state = Memory()
    for step, (old, size) in enumerate([(0, 0), (0, 1), (1, 5), (5, 8), (8, 8), (8, 64)]):
        found = ask(state, LOG_A.request(old, size), at=NOW + step)
        assert (found.status, found.content_type) == (200, TEXT)
        lines = notes.parse_lines(found.body)
        signed = Note(LOG_A.note(size).text, lines)
        checkpoint, seen = checkpoints.opened(signed, OWN)
        assert checkpoint.size == size
        assert [each.verifier for each in seen] == OWN
        assert {each.seconds for each in seen} == {NOW + step}


def test_what_is_kept_has_the_signatures_of_the_log_and_of_the_witness_only(at_five: Memory):
    """Strangers' lines are ignored, repeated ones are kept once, and the rest is the answer."""
    note = LOG_A.note(8)
    stranger = SignatureLine("stranger", b"1234", b"anything")
    crowded = Note(note.text, (stranger, *note.signatures, *note.signatures[:1] * 90, stranger))
    request = Request(5, tuple(LOG_A.consistency(5, 8)), crowded)
    assert ask(at_five, request.encode()).status == 200
    kept = notes.parse(at_five.notes[-1])
    assert [each.name for each in kept.signatures] == [ORIGIN] * 2 + ["w.example/1"] * 2
    assert len(who(kept, [*KEYS, *OWN])) == 4


def test_an_equal_size_with_an_equal_root_is_cosigned_anew(at_five: Memory):
    """A log may ask again: the time is the new one, and nothing else changes."""
    found = ask(at_five, LOG_A.request(5, 5), at=NOW + 60)
    assert found.status == 200
    signed = Note(LOG_A.note(5).text, notes.parse_lines(found.body))
    assert {each.seconds for each in checkpoints.opened(signed, OWN)[1]} == {NOW + 60}


def test_extension_lines_are_cosigned_as_part_of_the_text(at_five: Memory):
    """The Ed25519 cosignature is over the whole text; ML-DSA-44 leaves extension lines out."""
    note = LOG_A.note(8, extensions=("one more line", "and another"))
    request = Request(5, tuple(LOG_A.consistency(5, 8)), note)
    found = ask(at_five, request.encode())
    assert found.status == 200
    lines = notes.parse_lines(found.body)
    assert len(who(Note(note.text, (*note.signatures, *lines)), [*KEYS, *OWN])) == 3
    other = note.text.replace("another", "a third")
    with pytest.raises(LetterlockError):
        checkpoints.opened(Note(other, lines), OWN)


def test_one_key_of_the_log_is_enough(at_five: Memory):
    """A log that signs with one of the keys the witness knows is answered."""
    for size, signer in zip((6, 7), LOG, strict=True):
        log = Log(signers=(signer,))
        assert ask(at_five, log.request(size - 1, size)).status == 200


# ── 400, 403, 404 ───────────────────────────────────────────────────────────────────────────

GOOD = LOG_A.request(5, 8)
HEAD, NOTE = GOOD.split(b"\n\n", 1)
HASH = HEAD.split(b"\n")[1]

MALFORMED = {
    "nothing": b"",
    "no old line": NOTE,
    "no checkpoint": HEAD + b"\n\n",
    "no empty line": HEAD + b"\n" + NOTE,
    "old with a sign": GOOD.replace(b"old 5", b"old +5"),
    "old with a zero in front": GOOD.replace(b"old 5", b"old 05"),
    "old without a number": GOOD.replace(b"old 5", b"old "),
    "old with two spaces": GOOD.replace(b"old 5", b"old  5"),
    "old with a space behind": GOOD.replace(b"old 5", b"old 5 "),
    "old in capitals": GOOD.replace(b"old 5", b"OLD 5"),
    "old beyond 2^63": GOOD.replace(b"old 5", b"old 9223372036854775808"),
    "old in other digits": GOOD.replace(b"old 5", "old \N{ARABIC-INDIC DIGIT FIVE}".encode()),
    "carriage returns": GOOD.replace(b"\n", b"\r\n"),
    "a short hash": GOOD.replace(HASH, b"AAAA"),
    "a hash without padding": GOOD.replace(HASH, HASH.rstrip(b"=")),
    "a hash with loose bits": GOOD.replace(HASH, HASH[:-2] + b"B="),
    "64 hashes": GOOD.replace(HASH, b"\n".join([HASH] * 64)),
    "no newline at the end": GOOD[:-1],
    "a newline too many": GOOD + b"\n",
    "bytes that are no UTF-8": GOOD.replace(b"log.example", b"log.exampl\xff"),
    "a checkpoint without a root": b"old 0\n\n" + notes.sign("a\n1\n", LOG[:1]).encode(),
    "a size with a zero in front": GOOD.replace(b"\n8\n", b"\n08\n"),
    "too long": GOOD + b"x" * MAX_REQUEST,
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_what_cannot_be_read_is_answered_400(name: str, at_five: Memory):
    """400, a line that says why, and nothing is kept."""
    found = ask(at_five, MALFORMED[name])
    assert (found.status, found.content_type) == (400, TEXT)
    assert found.body.endswith(b"\n")
    assert len(at_five.notes) == 1


def test_an_old_size_beyond_the_checkpoint_is_answered_400(at_five: Memory):
    """400 comes before 409: whatever is stored, such a request can never hold."""
    request = Request(9, (), LOG_A.note(8)).encode()
    assert ask(at_five, request).status == 400


def test_a_log_that_is_not_known_is_answered_404(at_five: Memory):
    """404, whoever signed it."""
    key = SecretSigner("other.example/log", Kind.ED25519, b"l" * 32)
    checkpoint = Checkpoint("other.example/log", 0, merkle.EMPTY_ROOT)
    request = Request(0, (), checkpoints.sign(checkpoint, [key], NOW)).encode()
    assert ask(at_five, request).status == 404


def test_what_the_log_did_not_sign_is_answered_403(at_five: Memory):
    """403: signed by strangers, by another log's key, not at all by it, or not of this."""
    note = LOG_A.note(8)
    proof = tuple(LOG_A.consistency(5, 8))
    stranger = SecretSigner(ORIGIN, Kind.ED25519, b"s" * 32)
    same_id = SignatureLine(ORIGIN, KEYS[0].key_id, bytes(64))
    for lines in (
        checkpoints.sign(checkpoints.parse(note.text), [stranger], NOW).signatures,
        [SignatureLine("stranger", b"1234", b"x")],
        LOG_A.note(7).signatures,
        [*note.signatures, same_id],
        [SignatureLine(ORIGIN, KEYS[1].key_id, b"short")],
    ):
        request = Request(5, proof, Note(note.text, tuple(lines)))
        found = ask(at_five, request.encode())
        assert (found.status, found.content_type) == (403, TEXT)


def test_extension_lines_that_nobody_signed_are_answered_403(at_five: Memory):
    """A log's ML-DSA-44 line alone does not answer for extension lines."""
    note = LOG_A.note(8)
    extended = Note(note.text + "made up\n", note.signatures[1:])
    request = Request(5, tuple(LOG_A.consistency(5, 8)), extended)
    assert ask(at_five, request.encode()).status == 403


# ── 409, 422, 503 ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("old", "size"), [(0, 3), (0, 5), (0, 8), (3, 8), (4, 5), (6, 8)])
def test_another_old_size_is_answered_409_with_the_size_that_holds(
    old: int, size: int, at_five: Memory
):
    """409, the size in decimal and a newline, as text/x.tlog.size."""
    found = ask(at_five, LOG_A.request(old, size))
    assert found == Response(409, b"5\n", SIZE)
    assert len(at_five.notes) == 1


def test_a_witness_that_never_cosigned_is_at_size_zero():
    """409 with 0."""
    assert ask(Memory(), LOG_A.request(5, 8)) == Response(409, b"0\n", SIZE)


def test_replay_of_an_old_request_changes_nothing(at_five: Memory):
    """What once was answered 200 is answered 409 later, and never rolls anything back."""
    first = LOG_A.request(0, 5)
    assert ask(at_five, LOG_A.request(5, 8)).status == 200
    assert ask(at_five, first) == Response(409, b"8\n", SIZE)
    assert checkpoints.parse(notes.parse(at_five.notes[-1]).text).size == 8


def test_rollback_is_refused_at_every_size(at_five: Memory):
    """No request gets a cosignature of a smaller tree, whatever it says the old size is."""
    for size in range(5):
        for old in range(7):
            proof = tuple(LOG_A.consistency(old, size)) if old <= size else ()
            request = Request(old, proof, LOG_A.note(size)).encode()
            assert ask(at_five, request).status == (409 if old <= size else 400)
    assert len(at_five.notes) == 1


def wrong_proofs() -> dict[str, Request]:
    """Return requests from size 5 whose proof does not hold, by what is wrong with it."""
    proof, note = tuple(LOG_A.consistency(5, 8)), LOG_A.note(8)
    flipped = bytes([proof[0][0] ^ 1]) + proof[0][1:]
    return {
        "no proof": Request(5, (), note),
        "one hash less": Request(5, proof[1:], note),
        "one hash more": Request(5, (*proof, bytes(32)), note),
        "a bit flipped": Request(5, (flipped, *proof[1:]), note),
        "another order": Request(5, proof[::-1], note),
        "the proof of another size": Request(5, tuple(LOG_A.consistency(4, 8)), note),
        "equal sizes, a hash": Request(5, (bytes(32),), LOG_A.note(5)),
        "equal sizes, other root": Request(5, (), FORK.note(5)),
        "a fork": Request(5, tuple(FORK.consistency(5, 8)), FORK.note(8)),
    }


@pytest.mark.parametrize("name", wrong_proofs())
def test_a_proof_that_does_not_hold_is_answered_422(name: str, at_five: Memory):
    """422, and nothing changes."""
    found = ask(at_five, wrong_proofs()[name].encode())
    assert (found.status, found.content_type) == (422, TEXT)
    assert len(at_five.notes) == 1


def test_from_size_zero_no_hash_is_needed_and_none_is_taken():
    """422 for a proof at old 0, though what it proves is true."""
    request = Request(0, (bytes(32),), LOG_A.note(5)).encode()
    assert ask(Memory(), request).status == 422


@pytest.mark.parametrize("state", [Memory(), "begun"], ids=["first", "begun"])
def test_an_empty_tree_has_the_empty_root(state: Memory | str):
    """422 for size 0 with any other root, also after the empty tree was cosigned."""
    if isinstance(state, str):
        state = Memory()
        assert ask(state, LOG_A.request(0, 0)).status == 200
    note = checkpoints.sign(Checkpoint(ORIGIN, 0, bytes(32)), LOG, NOW)
    assert ask(state, Request(0, (), note).encode()).status == 422


def test_a_fork_at_the_same_size_is_kept_as_proof(at_five: Memory):
    """Two roots of one size, both signed by the log, are kept side by side whatever `old` says."""
    for old, status in ((5, 422), (0, 409), (5, 422)):
        request = Request(old, (), FORK.note(5)).encode()
        assert ask(at_five, request).status == status
    assert len(at_five.forks) == 3
    for cosigned, refused in at_five.forks:
        one, other = (checkpoints.opened(notes.parse(n), KEYS)[0] for n in (cosigned, refused))
        assert (one.origin, one.size) == (other.origin, other.size)
        assert one.root != other.root


def test_nothing_is_kept_of_what_proves_no_fork(at_five: Memory):
    """Anybody can send a broken proof with an honest checkpoint: that says nothing of the log."""
    for request in (*wrong_proofs().values(), Request(5, (), LOG_A.note(5))):
        if request.note.text != FORK.note(5).text:
            ask(at_five, request.encode())
    assert not at_five.forks


def test_with_a_clock_behind_its_last_cosignature_a_witness_signs_nothing(at_five: Memory):
    """503 until the clock is right again: its time never goes back, and is never made up."""
    for request in (LOG_A.request(5, 8), LOG_A.request(5, 5)):
        found = ask(at_five, request, at=NOW - 1)
        assert (found.status, found.content_type) == (503, TEXT)
    assert len(at_five.notes) == 1
    assert ask(at_five, LOG_A.request(0, 8), at=NOW - 1).status == 409
    assert ask(at_five, LOG_A.request(5, 8), at=NOW).status == 200


# ── the state ───────────────────────────────────────────────────────────────────────────────


def altered_states() -> dict[str, bytes]:
    """Return what a witness did not write, by what is wrong with it."""
    state = Memory()
    ask(state, LOG_A.request(0, 5))
    good = state.notes[0]
    key = SecretSigner("other.example/log", Kind.ED25519, b"l" * 32)
    other = checkpoints.sign(Checkpoint("other.example/log", 1, bytes(32)), [key], NOW)
    elsewhere = other.signed_by(
        checkpoints.cosign(other, each, NOW) for each in witness_keys("w.example/1")
    )
    return {
        "empty": b"",
        "cut off": good[:-10],
        "another size": good.replace(b"\n5\n", b"\n4\n"),
        "not cosigned": LOG_A.note(5).encode(),
        "another log": elsewhere.encode(),
    }


@pytest.mark.parametrize("name", altered_states())
def test_a_state_that_the_witness_did_not_write_ends_its_service(name: str):
    """LogError: it cosigns nothing rather than guess where it was."""
    state = Memory()
    state.notes.append(altered_states()[name])
    with pytest.raises(LogError, match="what is kept of"):
        ask(state, LOG_A.request(0, 5))


class Meddled(Memory):
    """A state in which others get in between: `requests` are answered just before each write."""

    def __init__(self, *requests: bytes) -> None:
        """Begin with nothing."""
        super().__init__()
        self.requests = list(requests)

    def compare_and_set(self, origin: str, old: bytes | None, new: bytes) -> bool:
        """Let the next of them go first."""
        if self.requests:
            ask(self, self.requests.pop(0))
        return super().compare_and_set(origin, old, new)


def test_who_is_overtaken_is_told_the_size_that_holds_now():
    """The second of two that read the same state is answered 409, not taken back to it."""
    state = Meddled()
    ask(state, LOG_A.request(0, 5))
    state.requests = [LOG_A.request(5, 8)]
    assert ask(state, LOG_A.request(5, 6)) == Response(409, b"8\n", SIZE)
    assert [checkpoints.parse(notes.parse(n).text).size for n in state.notes] == [5, 8]


def test_who_is_overtaken_by_the_same_checkpoint_is_cosigned_too():
    """Two that only renew one checkpoint both get it."""
    state = Meddled()
    ask(state, LOG_A.request(0, 5))
    state.requests = [LOG_A.request(5, 5), LOG_A.request(5, 5)]
    assert ask(state, LOG_A.request(5, 5)).status == 200
    assert len(state.notes) == 4


# With Ed25519 alone: a race has many steps.
LOG_B, FORK_B = Log(signers=LOG[:1]), Log(b"other ", common=3, signers=LOG[:1])
QUICK = Witness(witness_keys("w.example/1")[:1], by_origin(KEYS[:1]))


@cache
def request_of(fork: bool, old: int, size: int) -> bytes:
    """Return a request, with a proof where there can be one."""
    log = FORK_B if fork else LOG_B
    proof = tuple(log.consistency(old, size)) if old <= size else ()
    return Request(old, proof, log.note(size)).encode()


@cache
def kept_in(note: bytes) -> tuple[Checkpoint, tuple[Seen, ...]]:
    """Open what a witness kept."""
    return checkpoints.opened(notes.parse(note), OWN)


SIZES = st.integers(0, 9)
ASKED = st.tuples(st.booleans(), SIZES, SIZES, st.integers(-2, 3))


class Races(RuleBasedStateMachine):
    """A log of two branches asks one witness, requests overlapping, with writes that fail.

    However they fall, what is kept is a single history, and who got an answer is part of it.
    """

    def __init__(self) -> None:
        """Begin with a witness that has cosigned nothing."""
        super().__init__()
        self.state = Unsure()
        self.state.meddle = self.one
        self.now = NOW
        self.answered: list[tuple[int, bytes]] = []

    def one(self, asked: tuple[bool, int, int, int]) -> None:
        """Ask for one of the branches, with a clock that wanders."""
        fork, old, size, passed = asked
        self.now += passed
        # A write that failed may be there or not: whoever asked has no answer.
        with contextlib.suppress(LogError):
            found = QUICK.answer(request_of(fork, old, size), self.state, lambda: self.now)
            if found.status == 200:
                text = Note(
                    (FORK_B if fork else LOG_B).note(size).text, notes.parse_lines(found.body)
                )
                checkpoint, _ = checkpoints.opened(text, OWN)
                self.answered.append((checkpoint.size, checkpoint.root))
            elif found.status == 409:
                now_at = self.kept()[-1][0] if self.state.notes else 0
                assert found.body == b"%d\n" % now_at

    @rule(asked=ASKED, between=st.lists(ASKED, max_size=3), fails=st.sampled_from(["", "", *"ab"]))
    def ask(self, asked, between, fails):
        """One request; others come between its looking and its writing; the write may fail."""
        self.state.between, self.state.fails = list(between), fails
        self.one(asked)
        self.state.between, self.state.fails = [], ""

    def kept(self) -> list[tuple[int, bytes, int]]:
        """Return (size, root, seconds) of everything that was ever kept, in order."""
        opened = [kept_in(note) for note in self.state.notes]
        return [(c.size, c.root, max(s.seconds or 0 for s in seen)) for c, seen in opened]

    @invariant()
    def history_is_one(self):
        """Every step extends the one before on one branch, and time does not go back."""
        for (one, root, then), (other, next_root, later) in pairwise(self.kept()):
            assert one <= other
            assert then <= later
            assert any(
                (log.tree(one).root, log.tree(other).root) == (root, next_root)
                for log in (LOG_B, FORK_B)
            )
        assert set(self.answered) <= {(size, root) for size, root, _ in self.kept()}


class Unsure(Memory):
    """A state into which others get, and whose writes fail: "a" after, "b" before being kept."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.between: list[tuple[bool, int, int, int]] = []
        self.fails = ""

    def meddle(self, asked: tuple[bool, int, int, int]) -> None:
        """Let somebody else go first."""
        raise NotImplementedError

    def compare_and_set(self, origin: str, old: bytes | None, new: bytes) -> bool:
        """Write, unless somebody else was faster; or fail."""
        if self.between:
            self.meddle(self.between.pop())
        fails, self.fails = self.fails, ""
        if fails == "b":
            raise LogError("not kept")
        done = super().compare_and_set(origin, old, new)
        if fails:
            raise LogError("kept or not, who knows")
        return done


TestRaces = Races.TestCase
TestRaces.settings = settings(max_examples=100, stateful_step_count=12, deadline=None)


# ── forms ───────────────────────────────────────────────────────────────────────────────────


def test_a_request_reads_back_as_it_was_written():
    """And its example is in the form of the specification."""
    request = Request(5, tuple(LOG_A.consistency(5, 8)), LOG_A.note(8))
    assert parse_request(request.encode()) == request
    assert request.encode().startswith(b"old 5\n" + HASH + b"\n")
    longest = Request(0, (bytes(32),) * MAX_PROOF, LOG_A.note(0))
    assert parse_request(longest.encode()) == longest


def test_a_request_holds_sixteen_large_signatures():
    """Sixteen of 5 kB each, and the longest proof, are within the bound."""
    large = SignatureLine("x" * 100, b"1234", bytes(5000))
    request = Request(0, (bytes(32),) * MAX_PROOF, LOG_A.note(3).signed_by([large] * 16))
    assert len(request.encode()) < MAX_REQUEST


@pytest.mark.parametrize(
    "request_", [Request(-1, (), LOG_A.note(1)), Request(0, (b"short",), LOG_A.note(1))]
)
def test_what_is_no_request_is_not_written(request_: Request):
    """InputError, as for whoever would read it."""
    with pytest.raises(InputError):
        request_.encode()


def test_an_answer_is_lines_or_a_size_or_no():
    """200 gives lines, 409 a size; everything else is a refusal or cannot be read."""
    line = SignatureLine("w", b"1234", b"signature")
    assert read_response(Response(200, line.encode() * 2)) == (line, line)
    assert read_response(Response(409, b"17\n", SIZE)) == 17
    for refused in (
        Response(409, b"17\n", "text/html"),
        Response(422, b"no"),
        Response(301, b""),
        Response(500, b"\xff" * 300),
    ):
        with pytest.raises(LogError, match=f"it answered {refused.status}"):
            read_response(refused)
    for unreadable in (
        Response(200, b""),
        Response(200, b"no line\n"),
        Response(200, line.encode() * (MAX_ANSWER // 10)),
        Response(409, b"17", SIZE),
        Response(409, b"017\n", SIZE),
        Response(409, b"17\n\n", SIZE),
        Response(409, b"\xff\n", SIZE),
    ):
        with pytest.raises(InputError):
            read_response(unreadable)


def test_a_witness_has_keys_that_sign_a_time_and_logs_with_keys_that_do_not_cosign():
    """Keys of another kind are refused when the witness is made, not when it is asked."""
    for signers in ([], LOG, [*witness_keys("w"), LOG[0]]):
        with pytest.raises(InputError, match="type 04 or 06"):
            Witness(signers, by_origin(KEYS))
    with pytest.raises(InputError, match="type 01 or 06"):
        by_origin([*KEYS, witness_keys("v")[0].verifier])


def test_names_of_folders_are_hashes():
    """So no origin can name a place."""
    assert folder_of("../..") == hashlib.sha256(b"../..").hexdigest()


def test_only_lines_of_the_asked_for_stay():
    """One of each key, in their order."""
    note = LOG_A.note(3)
    assert only_by(note.signed_by(note.signatures), KEYS) == note
    assert only_by(note, KEYS[1:]).signatures == note.signatures[1:]
    assert not only_by(note, OWN).signatures


LINE = st.one_of(
    st.sampled_from([b"old 5", b"old 0", b"", HASH, b"8", ORIGIN.encode()]),
    st.sampled_from(GOOD.split(b"\n")),
    st.binary(max_size=40),
)


@given(st.one_of(st.lists(LINE, max_size=80).map(b"\n".join), st.binary(max_size=200)))
@example(GOOD)
@settings(max_examples=300)
def test_only_foreseen_errors_come_of_any_request(data: bytes):
    """Whatever comes is answered, at most 128 KiB of it; what can be read is written the same."""
    try:
        assert parse_request(data).encode() == data
    except InputError:
        assert ask(Memory(), data).status == 400
    else:
        assert ask(Memory(), data).status in {200, 400, 403, 404, 409, 422}


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.booleans())
@settings(max_examples=300)
def test_no_byte_of_a_request_can_be_altered(at: int, byte: int, cut: bool):
    """A request with one byte changed or left out gets no cosignature, or one of the same text."""
    state = Memory()
    ask(state, LOG_A.request(0, 5))
    data = GOOD[:at] + (b"" if cut else bytes([byte])) + GOOD[at + 1 :]
    found = ask(state, data)
    if found.status == 200:
        assert notes.parse(state.notes[-1]).text == LOG_A.note(8).text


@given(st.integers(), st.binary(max_size=300), st.sampled_from([TEXT, SIZE, ""]))
def test_only_foreseen_errors_come_of_any_answer(status: int, body: bytes, content_type: str):
    """A witness that talks nonsense is an error of the tree, never another."""
    for each in (status, 200, 409):
        with contextlib.suppress(LetterlockError):
            read_response(Response(each, body, content_type))
