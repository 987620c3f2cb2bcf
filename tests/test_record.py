"""The record, end to end: the ledger's log, published, seen by witnesses, checked, and proved of.

Real files in simulated workspaces. Where somebody checks, it is with files and a policy alone.
"""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from letterlock.domain import sha256
from letterlock.errors import (
    InputError,
    LogError,
    SignatureError,
    UsageError,
    WorkspaceError,
)
from letterlock.evidence.finding import Finding
from letterlock.gate import Gate
from letterlock.gate.offline import check_evidence
from letterlock.ledger import Draft
from letterlock.record import checkpoint as checkpoints
from letterlock.record import note as notes
from letterlock.record import quorum, tlog
from letterlock.record.quorum import Group, Policy, Witness
from letterlock.record.witness import Witness as Protocol
from letterlock.record.witness import by_origin
from letterlock.store.tiles import FolderTiles
from letterlock.store.witnesses import FolderState
from letterlock.web.witness import app
from witnessing import running, witness_keys
from workspaces import (
    NOW,
    PURPOSE,
    RECIPIENT,
    at,
    workspace,
)

HERE = Path(__file__).parent
LATER = NOW + 86_400_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a workspace with a release to each of two purposes' people, its log published."""
    folder = tmp_path_factory.mktemp("record") / "w"
    gate = workspace(folder)
    gate.build(PURPOSE, RECIPIENT)
    gate.publish_log()
    gate.close()
    return folder


@pytest.fixture
def gate(made, tmp_path):
    """Yield a copy of it, open."""
    shutil.copytree(made, tmp_path / "w")
    opened = Gate(tmp_path / "w", now=NOW)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Make a workspace with nobody in it, nothing published."""
    folder = tmp_path_factory.mktemp("plain") / "w"
    Gate.create(folder, simulated=True, now=NOW).close()
    return folder


@pytest.fixture
def bare(plain, tmp_path):
    """Yield a copy of it, open."""
    shutil.copytree(plain, tmp_path / "w")
    opened = Gate(tmp_path / "w", now=NOW)
    yield opened
    opened.close()


def more(gate: Gate, count: int = 1, size: int = 0) -> int:
    """Record events about everyone; returns the ledger's new head."""
    drafts = [
        Draft("statement.published", {"claim": {"n": n, "x": "x" * size}}) for n in range(count)
    ]
    return gate.record(drafts)


def shown(gate: Gate) -> dict[str, bytes]:
    """Return every file of the public log."""
    log = gate.folder / "log"
    return {p.relative_to(log).as_posix(): p.read_bytes() for p in log.rglob("*") if p.is_file()}


def checked(gate: Gate, data: bytes, **how: Any) -> Finding:
    """Check evidence as a stranger does, by a copy of the log's policy."""
    path, policy = gate.folder.parent / "evidence.json", gate.folder.parent / "policy"
    path.write_bytes(data)
    policy.write_bytes((gate.folder / "log" / "policy").read_bytes())
    (found,) = check_evidence([path], policy, **how)
    return found


# ── publishing ──────────────────────────────────────────────────────────────────────────────


def test_nothing_is_published_before_somebody_says_so(bare):
    """A new workspace shows its policy alone; whoever asks for more is told what to do."""
    assert set(shown(bare)) == {"policy"}
    status = bare.log_status()
    assert (status.recorded, status.integrated, status.published) == (2, 0, None)
    for ask in (bare.public_log, bare.check_log, lambda: bare.prove_entry(0), bare.prove_history):
        with pytest.raises(LogError, match="letterlock log checkpoint"):
            ask()


def test_every_event_is_an_entry(gate):
    """Entry i is event i, or its commitment; the log holds, and says how far it is."""
    assert gate.check_log().size == gate.store.head().index + 1
    status = gate.log_status()
    assert status.recorded == status.integrated == status.published.size
    assert status.record()["accepted"]
    reader = gate.public_log()
    for event in gate.store.events(upto=gate.store.head().index):
        entry = reader.entry(event.index)
        if event.kind == "operator.registered":
            assert event.body["name"].encode() not in entry
        else:
            assert entry == event.canonical()


def test_no_account_stands_in_what_is_public(gate):
    """No byte of the public folder names a member: neither entries nor manifests do."""
    for path, data in shown(gate).items():
        for name in ("noticed", '"subject"', "birth_year"):
            assert name.encode() not in data, (path, name)


def test_publishing_again_changes_no_root(gate):
    """With nothing new the same checkpoint is published once more."""
    before = shown(gate)
    found = gate.publish_log()
    assert found.missed == {}
    assert shown(gate) == before
    more(gate)
    assert gate.publish_log().trusted.checkpoint.size == found.trusted.checkpoint.size + 1


def test_a_log_grows_past_a_tile(bare):
    """After several hundred events, in portions, everything holds and the history is proved."""
    sizes = []
    for count in (1, 200, 60, 300):
        more(bare, count)
        sizes.append(bare.publish_log().trusted.checkpoint.size)
        assert bare.check_log().size == sizes[-1]
    found = checked(bare, bare.prove_history())
    assert [v.checkpoint.size for v in found.vouched] == sizes
    for index in (0, 1, 255, 256, sizes[-1] - 1):
        bare.prove_entry(index)
    with pytest.raises(LogError, match="not published yet"):
        bare.prove_entry(sizes[-1])


def test_a_long_history_is_proved_of_its_newest_checkpoints(bare, monkeypatch):
    """As many as an evidence file has room for."""
    for _ in range(6):
        more(bare)
        bare.publish_log()
    monkeypatch.setattr("letterlock.gate.log._ROOM", 24_000)
    found = checked(bare, bare.prove_history())
    assert [v.checkpoint.size for v in found.vouched] == [6, 7, 8]


def test_a_long_event_stands_beside_the_log(bare):
    """An event of more than 65,535 bytes is a blob; one that is changed or gone is found."""
    more(bare, 2, size=70_000)
    bare.publish_log()
    bare.check_log()
    blobs = sorted((bare.folder / "log" / "blobs").iterdir())
    assert len(blobs) == 2
    assert all(sha256(path.read_bytes()) == path.name for path in blobs)
    data = blobs[0].read_bytes()
    blobs[0].write_bytes(data.replace(b"x", b"y", 1))
    with pytest.raises(LogError, match=blobs[0].name):
        bare.check_log()
    blobs[0].unlink()
    with pytest.raises(LogError, match=f"{blobs[0].name}: missing"):
        bare.check_log()
    blobs[0].write_bytes(data)
    bare.check_log()


def test_a_manifest_beside_the_log_is_checked(gate):
    """What a seal names is there, and is that."""
    (sealed,) = [e for e in gate.store.events(upto=500) if e.kind == "release.sealed"]
    path = gate.folder / "log" / "blobs" / sealed.body["manifest"]
    data = path.read_bytes()
    path.write_bytes(data + b" ")
    with pytest.raises(LogError, match=path.name):
        gate.check_log()
    path.unlink()
    with pytest.raises(LogError, match=path.name):
        gate.check_log()


# ── interrupted ─────────────────────────────────────────────────────────────────────────────


class Stopped(BaseException):
    """Somebody pressed Ctrl-C."""


def stop(*_: object, **__: object) -> Any:
    """Stop."""
    raise Stopped


def test_an_interrupted_publishing_is_finished_by_the_next(bare):
    """In the middle of integrating, and between that and publishing."""
    more(bare, 300)
    with pytest.raises(Stopped):
        bare.publish_log(stop)
    with pytest.raises(Stopped):
        bare.publish_log(ask=stop)
    assert bare.published() is None
    assert bare.log_status().integrated == 302
    assert bare.publish_log().trusted.checkpoint.size == 302
    more(bare)
    with pytest.raises(Stopped):
        bare.publish_log(ask=stop)
    assert bare.published().size == 302
    assert bare.check_log().size == 302  # more is signed than is published: that is no fault
    assert bare.publish_log().trusted.checkpoint.size == 303
    bare.check_log()


def test_a_passphrase_is_asked_for_only_to_sign(tmp_path, monkeypatch):
    """In a real workspace: without it nothing is signed, and with nothing new none is needed."""
    for name in ("PASSPHRASE", "PASSPHRASE_FILE"):
        monkeypatch.delenv(f"LETTERLOCK_{name}", raising=False)
    Gate.create(tmp_path / "w", passphrase=lambda: "right").close()

    def published(said: str | None) -> int:
        gate = Gate(tmp_path / "w", passphrase=None if said is None else lambda: said)
        try:
            return gate.publish_log().trusted.checkpoint.size
        finally:
            gate.close()

    with pytest.raises(UsageError, match="LETTERLOCK_PASSPHRASE"):
        published(None)
    assert published("right") == published(None) == 2
    at_once = Gate(tmp_path / "w")
    more(at_once)
    with pytest.raises(WorkspaceError):
        published("wrong")
    assert at_once.check_log().size == 2  # what was prepared and not signed is no fault
    assert published("right") == 3
    assert at_once.check_log().size == 3
    at_once.close()


def test_two_writers_are_one_too_many(bare):
    """While another process writes the log, publishing is refused; then it is not."""
    bare.publish_log()
    more(bare)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = [sys.executable, str(HERE / "store" / "log_child.py"), "hold", str(bare.folder)]
    with subprocess.Popen(
        child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    ) as holding:
        assert holding.stdout is not None
        assert holding.stdout.readline() == "held\n"
        with pytest.raises(LogError, match=f"process {holding.pid} is writing"):
            bare.publish_log()
        holding.communicate("")
    bare.publish_log()
    bare.check_log()


PUBLISH = """
import sys
from pathlib import Path
from letterlock.errors import LogError
from letterlock.gate import Gate
gate = Gate(Path(sys.argv[1]))
try:
    gate.publish_log()
except LogError as error:
    print(error)
    sys.exit(1)
"""


def test_a_disk_without_room_is_an_error(bare):
    """Files that cannot grow: nothing is published, and with room again everything is."""
    more(bare, 300, size=400)
    head = bare.store.head()
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", PUBLISH, str(bare.folder)],
        env=env, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    assert "File too large" in done.stdout
    assert bare.published() is None
    assert bare.publish_log().trusted.checkpoint.size == head.index + 1
    bare.check_log()


def test_a_clock_that_went_back_stops_no_publishing(bare, monkeypatch):
    """Signatures say the time that it is said to be, and the log goes on."""
    bare.publish_log()
    more(bare)
    monkeypatch.setattr("letterlock.gate.log.wall_clock", lambda: 0)
    assert bare.publish_log().trusted.checkpoint.size == 3
    at(bare.folder, NOW - 10**12, more)
    found = at(bare.folder, NOW - 10**12, lambda gate: gate.publish_log())
    assert found.trusted.checkpoint.size == 4


def test_a_writer_that_lost_its_own_folder_begins_anew_and_comes_to_the_same(bare):
    """Everything follows from the ledger: what is public is confirmed, and nothing is forked."""
    more(bare, 300)
    before = bare.publish_log().trusted.checkpoint
    files = {path: data for path, data in shown(bare).items() if path.startswith("tile/")}
    shutil.rmtree(bare.folder / "sequencer")
    assert bare.publish_log().trusted.checkpoint == before
    assert {path: data for path, data in shown(bare).items() if path in files} == files
    more(bare)
    bare.publish_log()
    bare.check_log()


def test_a_public_folder_that_is_lost_is_not_made_up(bare):
    """What was published stays published: it is to be restored."""
    bare.publish_log()
    kept = bare.folder.parent / "kept"
    shutil.move(bare.folder / "log", kept)
    more(bare)
    with pytest.raises((LogError, WorkspaceError)):
        bare.publish_log()
    shutil.rmtree(bare.folder / "log", ignore_errors=True)
    shutil.move(kept, bare.folder / "log")
    bare.publish_log()
    bare.check_log()


# ── files that somebody changed ─────────────────────────────────────────────────────────────


def flipped(path: Path) -> int:
    """Flip a bit in the middle of a file; returns which byte it is in."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return len(data) // 2


def test_every_kind_of_file_is_checked(bare):
    """A bit in any file of tile/ is found, and the file named; then the byte."""
    more(bare, 600)
    bare.publish_log()
    paths = [path for path in shown(bare) if path.startswith("tile/")]
    assert len(paths) == 7
    for name in paths:
        path = bare.folder / "log" / name
        data = path.read_bytes()
        where = flipped(path)
        with pytest.raises(LogError) as caught:
            bare.check_log()
        said = str(caught.value)
        assert said.startswith(f"{name}: "), name
        if not name.startswith("tile/entries"):
            assert f"byte {where}" in said
        path.unlink()
        with pytest.raises(LogError, match="missing"):
            bare.check_log()
        path.write_bytes(data)
    bare.check_log()


def test_checkpoints_are_checked(bare):
    """The newest and the kept ones: signed by the log, of this tree and the size they are named."""
    bare.publish_log()
    more(bare, 3)
    bare.publish_log()
    log = bare.folder / "log"
    old, new = (log / "checkpoints" / n for n in ("2", "5"))
    note, newest = old.read_bytes(), new.read_bytes()
    old.write_bytes(newest)
    with pytest.raises(LogError, match="checkpoints/2: a checkpoint of 5"):
        bare.check_log()
    old.write_bytes(note.replace(b"\n2\n", b"\n3\n"))
    with pytest.raises(SignatureError):
        bare.check_log()
    old.write_bytes(b"nothing")
    with pytest.raises(InputError):
        bare.check_log()
    old.write_bytes(note)
    bare.check_log()
    (log / "checkpoints" / "4").write_bytes(note)
    with pytest.raises(LogError, match="checkpoints/4: a checkpoint of 2"):
        bare.check_log()


def test_a_checkpoint_of_another_history_is_found(bare):
    """One that the log's own keys signed, of a root that the log never had."""
    bare.publish_log()
    at_two = checkpoints.Checkpoint(bare.origin, 2, b"\1" * 32)
    note = checkpoints.sign(at_two, bare.log_signers(), 0).encode()
    (bare.folder / "log" / "checkpoints" / "2").write_bytes(note)
    with pytest.raises(LogError, match=r"checkpoints/2: .* another root"):
        bare.check_log()


def test_files_that_are_not_the_logs_are_found(bare):
    """Under tile/ nothing else may stand."""
    bare.publish_log()
    (bare.folder / "log" / "tile" / "0" / "notes.txt").write_text("hello")
    with pytest.raises(LogError, match=r"tile/0/notes\.txt: not a file of a log"):
        bare.check_log()


def test_an_entry_that_is_not_the_ledgers_event_is_found(bare):
    """A log that holds, but of other events than these."""
    with FolderTiles(bare.folder / "log", bare.folder / "sequencer") as tiles:
        log = tlog.Log(tiles, bare.origin, bare._sign, bare._opened)  # noqa: SLF001
        reader = [e.canonical() for e in bare.store.events(upto=1)]
        log.integrate(0, [b'{"commitment":"%b"}' % (b"0" * 64), reader[1]])
        log.publish(log.committed or b"")
    with pytest.raises(LogError, match="entry 0 of the log is not event 0"):
        bare.check_log()


def test_a_ledger_that_was_rolled_back_does_not_open(bare):
    """The log remembers what the ledger forgot."""
    backup = (bare.folder / "ledger.db").read_bytes()
    more(bare, 2)
    bare.publish_log()
    bare.close()
    (bare.folder / "ledger.db").write_bytes(backup)
    for left in ("ledger.db-wal", "ledger.db-shm"):
        (bare.folder / left).unlink(missing_ok=True)
    with pytest.raises(WorkspaceError, match="older than its log"):
        Gate(bare.folder)


@pytest.mark.parametrize("left", ["nothing", "an older copy"])
def test_a_writer_that_begins_anew_denies_nothing_that_is_public(bare, tmp_path, left):
    """With sequencer/ lost or older, and an event altered: nothing else is signed or published."""
    private, kept = bare.folder / "sequencer", tmp_path / "kept"
    bare.publish_log()
    shutil.copytree(private, kept)
    more(bare, 3)
    bare.publish_log()
    more(bare)
    bare.close()
    shutil.rmtree(private)
    if left != "nothing":
        shutil.copytree(kept, private)
    whole = tmp_path / "whole.db"
    shutil.copy(bare.folder / "ledger.db", whole)
    with closing(sqlite3.connect(bare.folder / "ledger.db")) as ledger:
        ((text,),) = ledger.execute("SELECT canonical FROM event WHERE idx = 2")
        altered = text.replace(b'"n":0', b'"n":7')
        ledger.execute("UPDATE event SET canonical = ? WHERE idx = 2", (altered,))
        ledger.commit()
    before = shown(bare)
    with pytest.raises(LogError, match="first 5 events are not the entries that are public"):
        at(bare.folder, NOW, lambda gate: gate.publish_log())
    assert shown(bare) == before
    shutil.copy(whole, bare.folder / "ledger.db")
    at(bare.folder, NOW, lambda gate: gate.publish_log())
    assert at(bare.folder, NOW, lambda gate: gate.check_log()).size == 6


@pytest.mark.parametrize("first", [True, False])
def test_a_log_cannot_change_its_name(bare, first):
    """Another origin in letterlock.toml: nothing is signed under it."""
    if not first:
        bare.publish_log()
    config = bare.folder / "letterlock.toml"
    config.write_text(config.read_text().replace(bare.origin, "elsewhere.example/log"))
    with pytest.raises((WorkspaceError, SignatureError)):
        at(bare.folder, NOW, lambda gate: gate.publish_log())
    assert ("checkpoint" in shown(bare)) is not first
    config.write_text(config.read_text().replace("elsewhere.example/log", bare.origin))
    bare.publish_log()
    bare.check_log()


# ── witnesses ───────────────────────────────────────────────────────────────────────────────


class Witnesses:
    """Two witnesses that run, over real HTTP, and what a policy says of them."""

    names = ("auditor.example/1", "council.example/1")

    def __init__(self, gate: Gate, folder: Path, stack: ExitStack) -> None:
        """Start them."""
        logs = by_origin(gate.log_verifiers())
        mounts = []
        for n, name in enumerate(self.names):
            protocol = Protocol(witness_keys(name), logs)
            mounts.append(Mount(f"/{n}", app(protocol, FolderState(folder / f"witness-{n}"))))
        self.url = stack.enter_context(running(Starlette(routes=mounts)))
        self.path = gate.folder / "log.policy"

    def policy(self, gate: Gate, needed: int, *, down: Sequence[int] = ()) -> None:
        """Write a policy that asks for so many of them, at addresses where some do not answer."""
        lines, groups = [], []
        for n, name in enumerate(self.names):
            url = f"{self.url}{n}/" if n not in down else "http://127.0.0.1:9/"
            own = [
                Witness(f"{name}:{key.verifier.kind}".encode(), key.verifier, url)
                for key in witness_keys(name)
            ]
            lines += own
            groups.append(Group(name.encode(), 1, tuple(each.name for each in own)))
        top = Group(b"seen", needed, tuple(each.name for each in groups))
        logs = quorum.parse(self.path.read_bytes()).logs
        self.path.write_bytes(Policy(logs, tuple(lines), (*groups, top), b"seen").encode())
        gate.renew_policy()


@pytest.fixture
def witnesses(bare, tmp_path):
    """Yield two witnesses of the bare workspace's log."""
    with ExitStack() as stack:
        yield Witnesses(bare, tmp_path, stack)


def test_witnesses_see_what_is_published(bare, witnesses):
    """Both, with each of their keys, for a log that grows and one that does not."""
    witnesses.policy(bare, 2)
    for count in (0, 5, 300, 0):
        more(bare, count) if count else None
        found = bare.publish_log()
        assert found.missed == {}
        assert len(found.trusted.witnesses) == 4
    assert len(bare.log_status().record()["witnesses"]) == 4
    assert len(checked(bare, bare.prove_history()).vouched) == 3


def test_a_witness_that_is_down_is_missed(bare, witnesses):
    """One of two is enough if the policy says so, and who was missed is told."""
    witnesses.policy(bare, 1, down=[1])
    found = bare.publish_log()
    assert list(found.missed) == ["http://127.0.0.1:9/"]
    assert {name.split(":")[0] for name, _ in found.trusted.witnesses} == {witnesses.names[0]}
    more(bare, 4)
    witnesses.policy(bare, 2)  # the other comes late, and from the beginning
    found = bare.publish_log()
    assert (found.missed, len(found.trusted.witnesses)) == ({}, 4)


def test_who_has_seen_a_checkpoint_stays_on_it(bare, witnesses):
    """A witness that is down when the same checkpoint is published again is not lost from it."""
    witnesses.policy(bare, 2)
    bare.publish_log()
    witnesses.policy(bare, 2, down=[0, 1])
    found = bare.publish_log()
    assert len(found.missed) == 1
    assert len(found.trusted.witnesses) == 4


def test_nothing_is_published_without_a_quorum(bare, witnesses):
    """The public log stays as it was until the quorum is met; then everything is there."""
    bare.publish_log()
    before = shown(bare)["checkpoint"]
    more(bare, 300)
    witnesses.policy(bare, 2, down=[1])
    for _ in range(2):
        with pytest.raises(SignatureError, match="quorum"):
            bare.publish_log()
        assert shown(bare)["checkpoint"] == before
    status = bare.log_status()  # the policy asks for more now than what is published has
    assert (status.integrated, status.published.size, status.trusted) == (302, 2, None)
    assert "quorum" in status.why
    with pytest.raises(SignatureError, match="quorum"):
        bare.prove_history()
    assert bare.check_log().size == 2
    more(bare, 5)
    witnesses.policy(bare, 2)
    assert bare.publish_log().trusted.checkpoint.size == 307
    assert bare.log_status().trusted
    bare.check_log()
    found = checked(bare, bare.prove_history())  # the first was published when less was asked
    assert [v.checkpoint.size for v in found.vouched] == [307]


@pytest.mark.parametrize(
    "text", [b"", b"quorum nobody\n", b"log x\n", b"\xff\xfe", b"log\n", b"quorum none"]
)
def test_a_policy_that_cannot_be_read_stops_publishing(bare, text):
    """What was recorded is integrated and stays; nothing is published until it can be read."""
    kept = (bare.folder / "log.policy").read_bytes()
    (bare.folder / "log.policy").write_bytes(text)
    with pytest.raises((InputError, WorkspaceError)):
        bare.publish_log()
    assert "checkpoint" not in shown(bare)
    (bare.folder / "log.policy").write_bytes(kept)
    bare.publish_log()
    bare.check_log()


def test_a_policy_that_is_gone_is_an_error(bare):
    """It says whose signatures count: nobody guesses."""
    (bare.folder / "log.policy").unlink()
    with pytest.raises(WorkspaceError, match=r"log\.policy"):
        bare.publish_log()


def test_rotated_keys_sign_from_the_next_checkpoint_on(bare):
    """The old ones sign the checkpoint that shows the new; every checkpoint verifies ever after."""
    bare.publish_log()
    first = bare.rotate("log")
    for _ in range(3):
        more(bare)
        bare.publish_log()
        bare.check_log()
    newest = checkpoints.opened(notes.parse(shown(bare)["checkpoint"]), bare.log_verifiers())[1]
    assert {seen.verifier.vkey for seen in newest} == set(first.keys)
    assert len(checked(bare, bare.prove_history()).vouched) == 4
    bare.rotate("log", lost=True)
    bare.publish_log()
    bare.check_log()


# ── crashes ─────────────────────────────────────────────────────────────────────────────────


def crash(folder: Path, count: int, how: str) -> tuple[bool, str]:
    """Publish in a process that ends at one change of the disk; say if it did, and what it told."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    done = subprocess.run(
        [sys.executable, str(HERE / "crashing.py"), str(folder), str(count), how],
        env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in {0, 9}, done.stderr
    return done.returncode == 9, done.stdout.strip()


@pytest.fixture(scope="module")
def ahead(plain, tmp_path_factory):
    """Make a workspace with 5 entries published, and 300 events more, two of them blobs."""
    folder = Path(shutil.copytree(plain, tmp_path_factory.mktemp("ahead") / "w"))
    at(folder, NOW, lambda gate: (more(gate, 3), gate.publish_log(), more(gate, 298)))
    at(folder, NOW, lambda gate: more(gate, 2, size=70_000))
    return folder


def crashed(ahead: Path, folder: Path, count: int, how: str) -> bool:
    """Let one publishing crash, and see that the log goes on as if nothing had been.

    Never is a checkpoint of one size of two roots, and never is an entry lost that was published.
    """
    shutil.copytree(ahead, folder)
    before = at(folder, NOW, lambda gate: gate.published())
    came, told = crash(folder, count, how)
    gate = Gate(folder, now=NOW)
    shown_then, signed = gate.published(), gate.log_files
    roots = {found.size: found.root for found in (before, shown_then)}
    for note in (signed.committed(), *(signed.read(f"checkpoints/{n}") for n in (5, 305))):
        if note is not None:
            found = checkpoints.opened(notes.parse(note), gate.log_verifiers())[0]
            assert roots.setdefault(found.size, found.root) == found.root
    gate.public_log().entry(shown_then.size - 1)
    assert not told or shown_then.size == int(told) == 305
    more(gate)
    after = gate.publish_log().trusted.checkpoint
    assert after.size == 306
    assert gate.check_log() == after
    reader = gate.public_log()
    for size, root in roots.items():
        assert tlog.merkle.root(size, reader.node) == root
    checked(gate, gate.prove_history())
    gate.close()
    return came


@pytest.mark.parametrize("count", [3, 9, 17])
def test_a_crash_while_publishing_loses_nothing(ahead, tmp_path, count):
    """At a few of the changes of the disk; at every one, in the slow test."""
    assert crashed(ahead, tmp_path / "w", count, "after")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["before", "half"])
def test_a_crash_at_any_change_of_the_disk_loses_nothing(ahead, tmp_path, how):
    """Whichever it is: the next call goes on, with one history."""
    count = 0
    while crashed(ahead, tmp_path / f"{count}" / "w", count + 1, how):
        count += 1
    assert count > 20
