"""A witness over real HTTP: statuses on the wire, races of threads and processes, a crash."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from letterlock.errors import LogError
from letterlock.record import checkpoint as checkpoints
from letterlock.record import note as notes
from letterlock.record.witness import MAX_REQUEST, SIZE, TEXT, Request, folder_of
from letterlock.store.witnesses import FolderState
from letterlock.web import serving
from letterlock.web.witness import app
from witnessing import LOG, NOW, ORIGIN, Log, running, together, who, witness_keys, witness_of

OWN = [each.verifier for each in witness_keys("w.example/1")]
KEYS = [each.verifier for each in LOG]
LOG_A = Log()
FORK = Log(b"other ", common=3)

# One server in a process of its own, on a folder; MODE says how its writes go.
SERVER = """
import os, sys
from pathlib import Path
from letterlock.store.witnesses import FolderState
from letterlock.web import serving
from letterlock.web.witness import app
from witnessing import witness_of

folder, mode = Path(sys.argv[1]), sys.argv[2]

class Dying(FolderState):
    def compare_and_set(self, origin, old, new):
        if mode == "before":
            os._exit(9)
        done = super().compare_and_set(origin, old, new)
        if mode == "after":
            os._exit(9)
        return done

taken = serving.listen("127.0.0.1", 0)
print(serving.url_of(taken), flush=True)
serving.serve(app(witness_of(), Dying(folder)), taken)
"""


def post(url: str, body: bytes, *, path: str = "add-checkpoint") -> tuple[int, bytes, str]:
    """Send a request; returns status, body and content type."""
    return call("POST", url + path, body)


def call(method: str, url: str, body: bytes | None = None) -> tuple[int, bytes, str]:
    """Do one HTTP request."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)) as wire:
        wire.request(method, parts.path, body)
        found = wire.getresponse()
        return found.status, found.read(), found.headers.get("Content-Type", "")


@contextmanager
def process(folder: Path, mode: str = "") -> Iterator[str]:
    """Run a witness in another process; yields its URL."""
    tests = Path(__file__).resolve().parent.parent
    path = os.pathsep.join([str(tests.parent / "src"), str(tests)])
    words = [sys.executable, "-c", SERVER, str(folder), mode]
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as started:
        try:
            assert started.stdout
            yield started.stdout.readline().strip()
        finally:
            started.terminate()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a witness that has cosigned nothing."""
    with running(app(witness_of(), FolderState(tmp_path), clock=lambda: NOW)) as found:
        yield found


def test_every_status_arrives_as_the_protocol_says(url: str, tmp_path: Path):
    """The bodies and content types of 200, 400, 403, 404, 409 and 422, in one history."""
    note = LOG_A.note(8)
    unsigned = notes.Note(note.text, (notes.SignatureLine("x", b"1234", b"x"),))
    proof = tuple(LOG_A.consistency(5, 8))
    for body, status, content_type in (
        (LOG_A.request(5, 8), 409, SIZE),
        (LOG_A.request(0, 5), 200, TEXT),
        (b"old\n", 400, TEXT),
        (Request(9, (), note).encode(), 400, TEXT),
        (Request(5, proof, unsigned).encode(), 403, TEXT),
        (Request(5, (), note).encode(), 422, TEXT),
        (Request(5, (), FORK.note(5)).encode(), 422, TEXT),
        (LOG_A.request(5, 8), 200, TEXT),
        (LOG_A.request(0, 5), 409, SIZE),
    ):
        found, said, kind = post(url, body)
        assert (found, kind) == (status, content_type)
        assert said.endswith(b"\n")
        if found == 200:
            assert all(line.startswith("—".encode()) for line in said.splitlines())
    assert said == b"8\n"
    assert sorted(p.name for p in (tmp_path / folder_of(ORIGIN)).iterdir()) == [
        "checkpoint", "fork-cosigned", "fork-refused", "lock",
    ]  # fmt: skip


def test_a_log_that_is_not_known_is_answered_404(url: str):
    """Another origin, signed by its own key."""
    key = notes.SecretSigner("other.example/log", notes.Kind.ED25519, b"o" * 32)
    checkpoint = checkpoints.Checkpoint("other.example/log", 1, bytes(32))
    body = Request(0, (), checkpoints.sign(checkpoint, [key], NOW)).encode()
    assert post(url, body)[::2] == (404, TEXT)


def test_what_was_cosigned_last_can_be_read_by_anybody(url: str):
    """GET /<hex of the origin's hash>/checkpoint gives the note, with all that was signed on it."""
    place = f"{url}{folder_of(ORIGIN)}/checkpoint"
    assert call("GET", place)[0] == 404
    post(url, LOG_A.request(0, 5))
    status, body, content_type = call("GET", place)
    assert (status, content_type) == (200, TEXT)
    note = notes.parse(body)
    assert checkpoints.parse(note.text).size == 5
    assert len(who(note, [*KEYS, *OWN])) == 4
    assert call("GET", f"{url}{folder_of('unknown')}/checkpoint")[0] == 404
    assert call("GET", f"{url}../checkpoint")[0] == 404


def test_other_methods_and_places_are_refused(url: str):
    """405 and 404, as of any web server."""
    assert call("GET", url + "add-checkpoint")[0] == 405
    assert call("PUT", url + "add-checkpoint", b"x")[0] == 405
    assert call("POST", url + "add-checkpoint/x", b"x")[0] == 404
    assert call("GET", url + "keys/checkpoint")[0] == 404
    assert call("GET", url)[0] == 404


def test_a_body_without_end_is_not_read_to_it(url: str):
    """413 after the bound, however much was announced."""
    assert post(url, b"x" * (MAX_REQUEST + 1))[0] == 413
    assert post(url, b"x" * MAX_REQUEST)[0] == 400


def test_who_sends_slowly_is_not_waited_for(tmp_path: Path):
    """408 when the body has not come in time; others are served meanwhile."""
    with running(app(witness_of(), FolderState(tmp_path), patience=0.3)) as url:
        parts = urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as slow:
            slow.sendall(
                b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nold"
            )
            assert post(url, LOG_A.request(0, 5))[0] == 200
            assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


def test_who_hangs_up_midway_harms_nobody(url: str):
    """A connection that ends in the middle of a body leaves no trace."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as wire:
        wire.sendall(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nold")
    assert post(url, LOG_A.request(0, 5))[0] == 200


def test_a_clock_that_went_back_stops_the_cosigning(tmp_path: Path):
    """503 on the wire, and 200 once it is right again."""
    now = [NOW]
    with running(app(witness_of(), FolderState(tmp_path), clock=lambda: now[0])) as url:
        assert post(url, LOG_A.request(0, 5))[0] == 200
        now[0] -= 10
        status, body, _ = post(url, LOG_A.request(5, 8))
        assert (status, body.split()[:4]) == (503, b"the clock here says".split())
        now[0] += 10
        assert post(url, LOG_A.request(5, 8))[0] == 200


def test_an_altered_state_is_answered_500_and_cosigns_nothing(url: str, tmp_path: Path):
    """The witness says that it cannot; no line of its keys leaves it."""
    post(url, LOG_A.request(0, 5))
    kept = tmp_path / folder_of(ORIGIN) / "checkpoint"
    kept.write_bytes(kept.read_bytes().replace(b"\n5\n", b"\n4\n"))
    for body in (LOG_A.request(5, 8), LOG_A.request(4, 8), LOG_A.request(0, 5)):
        status, said, _ = post(url, body)
        assert status == 500
        assert said.startswith(b"nothing was cosigned")


def test_a_folder_that_cannot_be_written_is_answered_500(url: str, tmp_path: Path):
    """Without a durable write there is no cosignature."""
    (tmp_path / folder_of(ORIGIN)).write_text("in the way")
    assert post(url, LOG_A.request(0, 5))[0] == 500
    assert call("GET", f"{url}{folder_of(ORIGIN)}/checkpoint")[0] == 500


def test_a_port_that_is_taken_is_an_error_of_the_call(url: str):
    """UsageError, which says where."""
    parts = urlsplit(url)
    for host, port in ((parts.hostname, parts.port), ("no host", 0), ("127.0.0.1", 70_000)):
        with pytest.raises(serving.UsageError, match="nothing can be served at"):
            serving.listen(host or "", port or 0)


# ── races ───────────────────────────────────────────────────────────────────────────────────


def race(urls: list[str], rounds: int) -> None:
    """Let eight ask at once, each for another size, `rounds` times; first half of them a fork."""
    size, branches = 3, [LOG_A, FORK]
    assert post(urls[0], LOG_A.request(0, size))[0] == 200
    for _ in range(rounds):
        asked = [(branches[n % len(branches)], size + 1 + n) for n in range(8)]
        bodies = [log.request(size, to) for log, to in asked]
        tasks = [partial(post, urls[n % len(urls)], body) for n, body in enumerate(bodies)]
        found = together(tasks)
        won = [each for each, (status, _, _) in zip(asked, found, strict=True) if status == 200]
        assert len(won) == 1
        branches, size = [won[0][0]], won[0][1]
        for status, body, _ in found:
            assert status == 200 or (status, body) == (409, b"%d\n" % size)


def test_of_requests_that_race_for_one_size_exactly_one_wins(tmp_path: Path):
    """Threads of one server: one 200, and 409 with the new size for all others."""
    with running(app(witness_of(), FolderState(tmp_path))) as url:
        race([url], 6)


def test_of_requests_to_two_processes_on_one_folder_exactly_one_wins(tmp_path: Path):
    """The same with two servers that share nothing but the folder."""
    with ExitStack() as stack:
        race([stack.enter_context(process(tmp_path)) for _ in range(2)], 6)


@pytest.mark.slow
def test_many_races_of_processes_have_one_winner_each(tmp_path: Path):
    """The same for three servers and many rounds."""
    with ExitStack() as stack:
        race([stack.enter_context(process(tmp_path)) for _ in range(3)], 60)


def test_requests_that_renew_one_checkpoint_all_win(tmp_path: Path):
    """Equal size and root: nobody is turned away, since nothing moves."""
    with running(app(witness_of(), FolderState(tmp_path))) as url:
        post(url, LOG_A.request(0, 5))
        found = together([lambda: post(url, LOG_A.request(5, 5))[0]] * 8)
        assert found == [200] * 8


# ── crashes ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("mode", "size"), [pytest.param("before", 5, marks=pytest.mark.slow), ("after", 8)]
)
def test_a_crash_around_the_write_loses_a_reply_and_no_promise(
    mode: str, size: int, tmp_path: Path
):
    """Killed before it wrote, a witness is where it was; after, it is where it would have said."""
    with process(tmp_path) as url:
        assert post(url, LOG_A.request(0, 5))[0] == 200
    with process(tmp_path, mode) as url, pytest.raises((OSError, http.client.HTTPException)):
        post(url, LOG_A.request(5, 8))
    with process(tmp_path) as url:
        assert post(url, FORK.request(0, 9)) == (409, b"%d\n" % size, SIZE)
        assert post(url, FORK.request(size, 9))[0] == 422
        assert post(url, LOG_A.request(size, 8))[0] == 200


def test_what_a_crash_left_of_a_write_is_written_over(tmp_path: Path):
    """Half a file under its temporary name is nobody's state."""
    state = FolderState(tmp_path)
    assert state.compare_and_set("a", None, b"one")
    (tmp_path / folder_of("a") / ".checkpoint.part").write_bytes(b"ha")
    assert state.read("a") == b"one"
    assert not state.compare_and_set("a", None, b"two")
    assert not state.compare_and_set("a", b"two", b"three")
    assert state.compare_and_set("a", b"one", b"two")
    assert state.read("a") == b"two"
    assert state.read("b") is None


def test_of_a_fork_the_first_pair_stays(tmp_path: Path):
    """Whoever goes on forking does not write over the first proof of it."""
    state = FolderState(tmp_path / "not" / "there yet")
    state.keep("a", b"one", b"other")
    state.keep("a", b"third", b"fourth")
    folder = tmp_path / "not" / "there yet" / folder_of("a")
    assert (folder / "fork-cosigned").read_bytes() == b"one"
    assert (folder / "fork-refused").read_bytes() == b"other"


def test_a_full_disk_is_a_log_error_and_changes_nothing(tmp_path: Path):
    """What was there is there still, and is what the next one has to extend."""
    state = FolderState(tmp_path)
    state.compare_and_set("a", None, b"one")
    script = f"""
import resource, signal, sys
from pathlib import Path
from letterlock.errors import LogError
from letterlock.store.witnesses import FolderState
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    FolderState(Path({json.dumps(str(tmp_path))})).compare_and_set("a", b"one", b"x" * 1000)
except LogError:
    sys.exit(7)
"""
    path = Path(__file__).resolve().parent.parent.parent / "src"
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(path)}, check=False
    )
    assert done.returncode == 7
    assert state.read("a") == b"one"
    assert state.compare_and_set("a", b"one", b"two")


def test_a_state_that_is_a_file_is_a_log_error(tmp_path: Path):
    """Nothing but the tree of errors comes of it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError):
        FolderState(tmp_path / "file").read("a")
    with pytest.raises(LogError):
        FolderState(tmp_path / "file").compare_and_set("a", None, b"x")
