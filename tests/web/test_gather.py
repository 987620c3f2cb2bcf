"""A log asks its witnesses: the honest, the absent, the lying, and the four attacks on a log."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from letterlock.errors import InputError, LogError, SignatureError
from letterlock.record import checkpoint as checkpoints
from letterlock.record import note as notes
from letterlock.record.note import Note, SignatureLine, Verifier
from letterlock.record.quorum import AHEAD, Policy
from letterlock.record.witness import MAX_ANSWER, folder_of
from letterlock.store.witnesses import FolderState, Gathered, HttpWitness, gather
from letterlock.web.witness import app
from witnessing import (
    NOW,
    ORIGIN,
    Log,
    Memory,
    policy_of,
    running,
    together,
    witness_keys,
    witness_of,
)

LOG_A = Log()
FORK = Log(b"other ", common=3)
NAMES = ("auditor.example/1", "council.example/1", "regulator.example/1")


def keys_of(policy: Policy) -> list[Verifier]:
    """Return every key of a policy."""
    return [each.verifier for each in (*policy.logs, *policy.witnesses)]


class World:
    """Three witnesses that run, one folder each, and a policy that asks for two of them."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        """Start them."""
        self.now, self.folder = NOW, folder
        mounts = [
            Mount(f"/{n}", app(witness_of(name), FolderState(folder / str(n)), clock=self.clock))
            for n, name in enumerate(NAMES)
        ]
        url = stack.enter_context(running(Starlette(routes=mounts)))
        self.urls = {name: f"{url}{n}/" for n, name in enumerate(NAMES)}
        self.policy = policy_of(self.urls, needed=2)

    def clock(self) -> int:
        """Return the time of all of them."""
        return self.now

    def gather(
        self, log: Log, old: int, size: int, *, of: tuple[str, ...] = NAMES, patience: float = 5
    ) -> Gathered:
        """Ask those in `of` for a checkpoint; the others cannot be reached."""
        asked = policy_of({name: self.urls[name] for name in of}, needed=1)
        return gather(
            log.note(size), asked, log.consistency, old=old, now=self.now, patience=patience
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Yield three witnesses."""
    with ExitStack() as stack:
        yield World(stack, tmp_path)


# ── as it should be ─────────────────────────────────────────────────────────────────────────


def test_every_witness_that_answers_is_on_the_note(world: World):
    """Each with both its keys; the policy accepts what comes of it."""
    for old, size in ((0, 3), (3, 8), (8, 8)):
        found = world.gather(LOG_A, old, size)
        assert found.missed == {}
        trusted = world.policy.check(found.note.encode(), now=NOW)
        assert trusted.checkpoint.size == size
        assert len(trusted.witnesses) == 6


def test_a_note_that_is_asked_for_again_has_each_key_once(world: World):
    """Newer cosignatures take the place of older ones, and those of others stay."""
    first = world.gather(LOG_A, 0, 3).note
    world.now += 60
    policy = policy_of({NAMES[0]: world.urls[NAMES[0]]}, needed=1)
    again = gather(first, policy, LOG_A.consistency, old=3, now=world.now).note
    assert len(again.signatures) == len(first.signatures)
    seen = checkpoints.opened(again, keys_of(world.policy))[1]
    assert [s.verifier.name for s in seen if s.seconds == NOW + 60] == [NAMES[0]] * 2


def test_no_witness_is_needed_where_the_policy_names_none():
    """The note comes back as it was."""
    bare = Policy(policy_of({"x": ""}, needed=1).logs)
    found = gather(LOG_A.note(3), bare, no_proof, old=0, now=NOW)
    assert found == Gathered(LOG_A.note(3), {})


def no_proof(_old: int, _size: int) -> list[bytes]:
    """Fail: nobody should have asked for a proof."""
    raise AssertionError


def test_a_note_of_another_log_is_asked_of_nobody(world: World):
    """SignatureError before anything is sent."""
    note = Note(LOG_A.note(3).text, (SignatureLine("x", b"1234", b"x"),))
    with pytest.raises(SignatureError):
        gather(note, world.policy, no_proof, old=0, now=NOW)


def test_an_error_of_ours_is_not_taken_for_a_witness_that_failed(world: World):
    """What breaks in the log's own proofs is raised, unless it is foreseen."""
    with pytest.raises(AssertionError):
        gather(LOG_A.note(3), world.policy, no_proof, old=0, now=NOW)

    def refuses(_old: int, _size: int) -> list[bytes]:
        raise LogError("a tile is missing")

    found = gather(LOG_A.note(3), world.policy, refuses, old=0, now=NOW)
    assert set(found.missed.values()) == {"a tile is missing"}


# ── attacks ─────────────────────────────────────────────────────────────────────────────────


def test_fork_two_logs_of_one_key_shown_to_two_people(world: World):
    """Only one of two histories gets a quorum, whoever asks first and in whatever order."""
    world.gather(LOG_A, 0, 3)
    to_ada = world.gather(LOG_A, 3, 8)
    to_ben = world.gather(FORK, 3, 9)
    world.policy.check(to_ada.note.encode(), now=NOW)
    assert all("answered 422" in why for why in to_ben.missed.values())
    with pytest.raises(SignatureError, match="quorum"):
        world.policy.check(to_ben.note.encode(), now=NOW)


def test_fork_split_between_witnesses_reaches_no_quorum_twice(world: World):
    """One witness shown one history, one the other: at most one of them gets two of three."""
    world.gather(LOG_A, 0, 3)
    one = world.gather(LOG_A, 3, 8, of=NAMES[:1])
    other = world.gather(FORK, 3, 8, of=NAMES[1:2])
    assert not one.missed
    assert not other.missed
    both = together([partial(world.gather, log, 8, 8) for log in (LOG_A, FORK)])
    accepted = 0
    for found in both:
        with suppress(SignatureError):
            world.policy.check(found.note.encode(), now=NOW)
            accepted += 1
    assert accepted <= 1
    # Both who cosigned one were shown the other: each holds the proof now.
    for n in (0, 1):
        kept = world.folder / str(n) / folder_of(ORIGIN)
        roots = {
            checkpoints.parse(notes.parse((kept / name).read_bytes()).text).root
            for name in ("fork-cosigned", "fork-refused")
        }
        assert roots == {LOG_A.tree(8).root, FORK.tree(8).root}


def test_rollback_a_log_that_forgot_entries_is_not_cosigned(world: World):
    """A log restored from a backup is told so by every witness, and gets no quorum."""
    world.gather(LOG_A, 0, 8)
    rolled_back = world.gather(LOG_A, 3, 5)
    assert all("the log was rolled back" in why for why in rolled_back.missed.values())
    with pytest.raises(SignatureError, match="quorum"):
        world.policy.check(rolled_back.note.encode(), now=NOW)


def test_replay_of_an_old_request_gets_nothing(world: World):
    """What was cosigned once is not cosigned again after the log went on."""
    url = world.urls[NAMES[0]]
    assert isinstance(HttpWitness(url).add_checkpoint(0, [], LOG_A.note(3)), tuple)
    world.gather(LOG_A, 3, 8)
    assert HttpWitness(url).add_checkpoint(0, [], LOG_A.note(3)) == 8


def test_stale_witness_that_was_away_catches_up(world: World):
    """It says by 409 where it is, gets the proof from there, and signs."""
    world.gather(LOG_A, 0, 3)
    world.gather(LOG_A, 3, 5, of=NAMES[:2])
    world.gather(LOG_A, 5, 8, of=NAMES[:2])
    found = world.gather(LOG_A, 8, 9)
    assert found.missed == {}
    assert len(world.policy.check(found.note.encode(), now=NOW).witnesses) == 6


def test_a_stale_witness_does_not_help_a_fork(world: World):
    """What it missed it is shown a proof of; from a fork there is none."""
    world.gather(LOG_A, 0, 5)
    world.gather(LOG_A, 5, 8, of=NAMES[:2])
    found = world.gather(FORK, 8, 9)
    assert len(found.missed) == 3


# ── witnesses that are absent, or lie ───────────────────────────────────────────────────────


@contextmanager
def talking(say: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """Run a server that reads one request per connection and then does `say`; yields its URL."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        taken.settimeout(0.05)

        def serve() -> None:
            while not over.is_set():
                with suppress(OSError), taken.accept()[0] as wire:
                    wire.settimeout(5)
                    request = b""
                    while b"\n\n" not in request.partition(b"\r\n\r\n")[2]:
                        request += wire.recv(65536)
                    say(wire, request)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


def http(status: str, body: bytes, *headers: str) -> bytes:
    """Write an HTTP response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def cosigned(
    log: Log, size: int, seconds: int, *, name: str = "lying.example"
) -> list[SignatureLine]:
    """Return the lines that a witness's keys sign over a checkpoint."""
    return [checkpoints.cosign(log.note(size), each, seconds) for each in witness_keys(name)]


def post(url: str, body: bytes) -> tuple[int, bytes, str]:
    """Send a request to a witness, bare."""
    parts = urlsplit(url)
    with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=20)) as wire:
        wire.request("POST", f"{parts.path}add-checkpoint", body)
        found = wire.getresponse()
        return found.status, found.read(), found.headers["Content-Type"]


def lines(*each: SignatureLine) -> bytes:
    """Write a 200 with signature lines."""
    return http("200 OK", b"".join(line.encode() for line in each))


GOOD = cosigned(LOG_A, 8, NOW)
FLIPPED = SignatureLine(GOOD[0].name, GOOD[0].key_id, GOOD[0].blob[:-1] + b"\0")

LIES = {
    "another checkpoint": lines(*cosigned(LOG_A, 5, NOW)),
    "another root": lines(*cosigned(FORK, 8, NOW)),
    "another witness's keys": lines(*cosigned(LOG_A, 8, NOW, name=NAMES[0])),
    "a bit flipped": lines(FLIPPED),
    "the log's own line": lines(LOG_A.note(8).signatures[0]),
    "the log's own ML-DSA-44 line": lines(LOG_A.note(8).signatures[1]),
    "a time to come": lines(*cosigned(LOG_A, 8, NOW + AHEAD + 1)),
    "no time": lines(*cosigned(LOG_A, 8, 0)),
    "nothing": http("200 OK", b""),
    "text": http("200 OK", b"sure\n"),
    "a redirect": http("307 Temporary Redirect", b"", "Location: /elsewhere/add-checkpoint"),
    "too much": lines(*GOOD * (MAX_ANSWER // 1000)),
    "a size beyond the log's": http("409 Conflict", b"9\n", "Content-Type: text/x.tlog.size"),
    "the size that was asked": http("409 Conflict", b"3\n", "Content-Type: text/x.tlog.size"),
    "a huge size": http("409 Conflict", b"9" * 60_000 + b"\n", "Content-Type: text/x.tlog.size"),
    "a size as a page": http("409 Conflict", b"0\n", "Content-Type: text/html"),
    "no HTTP": b"hello\r\n\r\n",
    "no status": b"HTTP/1.1 xyz\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
    "a broken length": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx",
    "broken chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "silence": b"",
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_witness_that_lies_is_not_counted(name: str):
    """Whatever it says, the note is as it was, and why is said."""

    def say(wire: socket.socket, _request: bytes) -> None:
        wire.sendall(LIES[name])

    with talking(say) as url:
        policy = policy_of({"lying.example": url}, needed=1)
        found = gather(LOG_A.note(8), policy, LOG_A.consistency, old=3, now=NOW, patience=5)
    assert found.note == LOG_A.note(8)
    assert list(found.missed) == [url]
    assert found.missed[url]


def test_the_lines_of_a_witness_that_hold_are_taken_and_no_other():
    """One good line between bad and strange ones, each key once."""
    answer = lines(FLIPPED, *GOOD, *GOOD, *LOG_A.note(8).signatures)

    def say(wire: socket.socket, _request: bytes) -> None:
        wire.sendall(answer)

    with talking(say) as url:
        policy = policy_of({"lying.example": url}, needed=1)
        found = gather(LOG_A.note(8), policy, LOG_A.consistency, old=3, now=NOW, patience=5)
    assert found.note == LOG_A.note(8).signed_by(GOOD)
    assert list(found.missed) == [url]
    policy.check(found.note.encode(), now=NOW)


def test_a_redirect_is_not_followed(world: World):
    """Not even to an honest witness: who answers is who was asked."""
    target = world.urls[NAMES[0]]
    answer = http("308 Permanent Redirect", b"", f"Location: {target}add-checkpoint")

    def say(wire: socket.socket, _request: bytes) -> None:
        wire.sendall(answer)

    with talking(say) as url:
        policy = policy_of({NAMES[0]: url}, needed=1)
        found = gather(LOG_A.note(8), policy, LOG_A.consistency, old=0, now=NOW)
    assert "answered 308" in found.missed[url]
    assert HttpWitness(target).add_checkpoint(1, LOG_A.consistency(1, 8), LOG_A.note(8)) == 0


@pytest.mark.parametrize("drip", [b"", b"H", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_witness_that_is_late_is_not_waited_for(drip: bytes, world: World):
    """Not one that says nothing, and not one that always says a little; the others count."""
    over = threading.Event()

    def say(wire: socket.socket, _request: bytes) -> None:
        while not over.wait(0.05):
            wire.sendall(drip)

    with talking(say) as url:
        urls = {**world.urls, "late.example": url}
        found = gather(
            LOG_A.note(8), policy_of(urls, needed=3), LOG_A.consistency,
            old=0, now=NOW, patience=0.7,
        )  # fmt: skip
        over.set()
        assert list(found.missed) == [url]
        assert "in time" in found.missed[url] or "no answer in" in found.missed[url]
    world.policy.check(found.note.encode(), now=NOW)


def test_one_late_request_ends_by_itself():
    """Asked alone, it is cut as well: no thread hangs on a witness for ever."""
    over = threading.Event()

    def say(wire: socket.socket, _request: bytes) -> None:
        while not over.wait(0.05):
            wire.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    with talking(say) as url:
        with pytest.raises(LogError, match="no answer in time"):
            HttpWitness(url).add_checkpoint(0, [], LOG_A.note(8), patience=0.4)
        over.set()


def test_a_witness_that_moves_on_meanwhile_is_asked_no_third_time(world: World):
    """Once more after a 409, and that is that."""
    sizes = iter([b"5\n", b"6\n", b"7\n"])

    def say(wire: socket.socket, _request: bytes) -> None:
        wire.sendall(http("409 Conflict", next(sizes), "Content-Type: text/x.tlog.size"))

    with talking(say) as url:
        policy = policy_of({NAMES[0]: url}, needed=1)
        found = gather(LOG_A.note(8), policy, LOG_A.consistency, old=3, now=world.now)
    assert "it is at 6 entries now" in found.missed[url]
    assert next(sizes) == b"7\n"


def test_nobody_at_home_is_not_counted(world: World):
    """A port without a server, and a host without an address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    urls = {"gone.example": f"http://127.0.0.1:{port}", "lost.example": "http://x.invalid/"}
    found = gather(
        LOG_A.note(8), policy_of({**world.urls, **urls}, needed=3), LOG_A.consistency,
        old=0, now=NOW,
    )  # fmt: skip
    assert set(found.missed) == set(urls.values())
    world.policy.check(found.note.encode(), now=NOW)


@pytest.mark.parametrize(
    "url",
    [
        "", "w.example", "ftp://w.example/", "file:///etc/passwd", "http://", "http:///x",
        "http://w.example:99999/", "http://w.example:x/", "http://me@w.example/",
        "http://w.example/?q", "http://w.example/#f", "http://w.example/a b", "http://w example/", "http://[::1",
        "http://w.example/\N{LATIN SMALL LETTER E WITH ACUTE}",
    ],
)  # fmt: skip
def test_what_is_no_address_is_not_asked(url: str):
    """InputError of the address; in a policy, that witness is missed and says why."""
    with pytest.raises(InputError, match="no address of a witness"):
        HttpWitness(url)
    policy = policy_of({"w.example": url}, needed=1)
    found = gather(LOG_A.note(3), policy, LOG_A.consistency, old=0, now=NOW)
    assert list(found.missed) == [url]


@pytest.mark.parametrize("suffix", ["", "/"])
def test_a_prefix_may_have_a_path(suffix: str):
    """Everything is asked below it, with one slash between."""
    asked = []

    def say(wire: socket.socket, request: bytes) -> None:
        asked.append(request.split(b"\r\n")[0])
        wire.sendall(lines(*GOOD))

    with talking(say) as url:
        HttpWitness(f"{url}/a/b{suffix}").add_checkpoint(0, [], LOG_A.note(8))
    assert asked == [b"POST /a/b/add-checkpoint HTTP/1.1"]


def test_witnesses_in_memory_and_over_http_agree(world: World):
    """The same requests get the same answers: nothing of the protocol is in the web."""
    state, witness = Memory(), witness_of(NAMES[0])
    for log, old, size in ((LOG_A, 0, 3), (LOG_A, 3, 8), (FORK, 8, 9), (LOG_A, 5, 9)):
        here = witness.answer(log.request(old, size), state, world.clock)
        status, body, content_type = post(world.urls[NAMES[0]], log.request(old, size))
        assert (status, content_type) == (here.status, here.content_type)
        assert body == here.body or status == 200  # ML-DSA-44 signs in another way each time
