"""Keys of a workspace: made, rotated, destroyed; a person erased; a ledger older than its log.

Every interruption is real to the files: the call stops at one of its durable steps, and a new
process (a workspace opened anew) has to cope with what is there.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from letterlock.errors import (
    InputError,
    LedgerError,
    SignatureError,
    UsageError,
    WorkspaceError,
)
from letterlock.evidence.entries import Committed, Public, entries_of, read
from letterlock.gate import Gate
from letterlock.ledger import Draft, commitment
from letterlock.record import checkpoint, memberset, merkle, note, quorum
from letterlock.record.note import Kind, SecretSigner
from letterlock.record.tlog import Log, Reader, fsck
from letterlock.store.keys import ED25519, MLDSA44, VRF
from letterlock.store.tiles import FolderTiles, LogFolders
from workspaces import NOW, PURPOSE, RECIPIENT, YES, people, rows_of, workspace

ORIGIN = "log.example/w"
SECONDS = 1_700_000_000


def passphrase() -> str:
    """Return the passphrase of the workspaces here."""
    return "correct horse"


def never() -> str:
    """Fail: nobody may ask for a passphrase here."""
    pytest.fail("a passphrase was asked for")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """Give a real workspace's folder, never to be changed."""
    folder = tmp_path_factory.mktemp("keys") / "w"
    Gate.create(folder, origin=ORIGIN, passphrase=passphrase).close()
    return folder


@pytest.fixture
def real(sealed, tmp_path):
    """Give a copy of it."""
    return shutil.copytree(sealed, tmp_path / "real")


@pytest.fixture
def gate(tmp_path):
    """Give a simulated workspace."""
    with closing(Gate.create(tmp_path / "w", simulated=True, now=NOW, origin=ORIGIN)) as gate:
        yield gate


def reopened(gate: Gate) -> Gate:
    """Open a workspace anew, as another process does."""
    gate.close()
    return Gate(gate.folder, now=NOW)


def publish(gate: Gate) -> None:
    """Integrate every event into the log, and publish that, by the log's own code."""
    signers = gate.log_signers()

    def sign(point: checkpoint.Checkpoint) -> bytes:
        return checkpoint.sign(point, signers, SECONDS).encode()

    def opened(data: bytes) -> checkpoint.Checkpoint:
        return checkpoint.opened(note.parse(data), gate.log_verifiers())[0]

    with FolderTiles(gate.folder / "log", gate.folder / "sequencer") as tiles:
        log = Log(tiles, gate.origin, sign, opened)
        new = gate.store.entries(log.size, upto=gate.store.head().index)
        log.integrate(log.size, (written.entry for written in entries_of(new)))
        log.publish(log.committed or b"")


def signed_by(gate: Gate) -> list[str]:
    """Return which vkeys signed the published checkpoint."""
    found = note.parse((gate.folder / "log" / "checkpoint").read_bytes())
    keys = {(v.name, v.key_id): v.vkey for v in gate.log_verifiers()}
    return [keys[line.name, line.key_id] for line in found.signatures]


def events(gate: Gate, kind: str) -> list[Any]:
    """Return the recorded events of one kind."""
    return [e for e in gate.store.every_event(upto=gate.store.head().index) if e.kind == kind]


def names(gate: Gate) -> list[str]:
    """Return what is in keys/."""
    return sorted(path.name for path in (gate.folder / "keys").iterdir())


def states(gate: Gate) -> dict[int, str]:
    """Return how it stands with each key."""
    return {kept.introduced.index: kept.state for kept in gate.kept()}


# ── a new workspace ───────────────────────────────────────────────────────────────────────────


def test_a_ledger_begins_with_its_keys(gate):
    """Event 0 introduces the log's two keys, event 1 the key of pseudonyms; the files have them."""
    log, vrf = events(gate, "key.introduced")
    assert (log.index, vrf.index) == (0, 1)
    ed25519, mldsa = (note.parse_vkey(vkey) for vkey in log.body["keys"])
    assert (ed25519.kind, mldsa.kind) == (Kind.ED25519, Kind.MLDSA44)
    assert ed25519.name == mldsa.name == gate.origin == ORIGIN
    assert log.body.keys() == {"use", "keys"}
    index, secret = gate.vrf_key()
    assert vrf.body == {
        "use": "vrf",
        "key": SecretSigner("x", Kind.ED25519, secret).verifier.public.hex(),
    }
    assert index == 1
    assert states(gate) == {0: "in use", 1: "in use"}
    assert len(names(gate)) == 4


def test_a_logs_policy_lists_its_keys(gate):
    """The policy of a new log names both keys and no witness, and is public."""
    text = (gate.folder / "log.policy").read_bytes()
    assert (gate.folder / "log" / "policy").read_bytes() == text
    publish(gate)
    trusted = quorum.parse(text).check((gate.folder / "log" / "checkpoint").read_bytes())
    assert trusted.checkpoint.size == 2
    assert len(trusted.logs) == 2


def test_an_origin_nobody_gave_says_that_nobody_relies_on_it(tmp_path):
    """It ends in .invalid, and is another one for each key."""
    with (
        closing(Gate.create(tmp_path / "a", simulated=True)) as one,
        closing(Gate.create(tmp_path / "b", simulated=True)) as other,
    ):
        assert one.origin.startswith("unpublished.invalid/")
        assert one.origin != other.origin


@pytest.mark.parametrize(
    "origin", ["", "a b", "a+b", "https://a.example/b", "a//b", "é", "a" * 256, 'a"', "a\n", "/a"]
)
def test_an_origin_that_cannot_name_a_log_is_refused(origin, tmp_path):
    """It has to fit into a note, a policy file and a cosignature; nothing is made."""
    with pytest.raises(UsageError, match="without https://"):
        Gate.create(tmp_path / "w", simulated=True, origin=origin)
    assert not (tmp_path / "w").exists()


def test_a_real_workspace_is_not_made_without_a_passphrase(tmp_path, monkeypatch):
    """Nothing is left behind where there is none."""
    monkeypatch.delenv("LETTERLOCK_PASSPHRASE", raising=False)
    monkeypatch.delenv("LETTERLOCK_PASSPHRASE_FILE", raising=False)
    with pytest.raises(UsageError, match="LETTERLOCK_PASSPHRASE_FILE"):
        Gate.create(tmp_path / "w")
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("left", ["keys", "ledger.db", "log.policy"])
def test_no_workspace_is_made_over_what_is_left_of_another(left, tmp_path):
    """A workspace whose letterlock.toml is lost keeps its keys and its ledger."""
    with closing(Gate.create(tmp_path / "w", simulated=True)):
        pass
    (tmp_path / "w" / "letterlock.toml").unlink()
    for part in {"keys", "ledger.db", "log.policy"} - {left}:
        path = tmp_path / "w" / part
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(WorkspaceError, match=f"{left} is left of a workspace"):
        Gate.create(tmp_path / "w", simulated=True)


def test_the_passphrase_is_asked_for_when_a_secret_is_needed(real):
    """Once for all three files, and only then."""
    asked = []

    def ask() -> str:
        asked.append(1)
        return passphrase()

    with closing(Gate(real, passphrase=ask)) as gate:
        assert not asked
        assert gate.vrf_key()[0] == 1
        assert [s.verifier.kind for s in gate.log_signers()] == [Kind.ED25519, Kind.MLDSA44]
        gate.vrf_key()
    assert asked == [1]


def test_who_says_no_waits_for_no_passphrase(real):
    """Registering, choosing, a browser's signal, looking and erasing open no secret key."""
    with closing(Gate(real, passphrase=never)) as gate:
        gate.register_subjects(rows_of([{"subject": "ann", "member": True}]))
        gate.choose("ann", "withdraw", channel="test")
        gate.gpc("ann", "browser")
        gate.kept()
        assert gate.state(["ann"]).subjects["ann"].lines
        gate.erase("ann")
        assert not gate.state(["ann"]).subjects


def test_a_real_workspace_signs_and_its_log_verifies(real):
    """What sealed keys sign, the public policy accepts."""
    with closing(Gate(real, passphrase=passphrase)) as gate:
        publish(gate)
        policy = quorum.parse((real / "log" / "policy").read_bytes())
        assert policy.check((real / "log" / "checkpoint").read_bytes()).checkpoint.origin == ORIGIN


def test_a_wrong_passphrase_signs_nothing(real):
    """It says so, and rotating with it makes no keys that another passphrase would open."""
    with closing(Gate(real, passphrase=lambda: "correct house")) as gate:
        before = names(gate)
        for ask in (gate.log_signers, gate.vrf_key, lambda: gate.rotate("vrf")):
            with pytest.raises(WorkspaceError, match="does not open"):
                ask()
        with pytest.raises(WorkspaceError, match="does not open"):
            gate.rotate("log", lost=True)
        assert names(gate) == before
        assert gate.store.head().index == 1


# ── rotation ──────────────────────────────────────────────────────────────────────────────────


def test_new_log_keys_are_vouched_for_by_those_before(gate):
    """The old keys sign the checkpoint that shows the new ones; after it the new ones sign."""
    publish(gate)
    old = signed_by(gate)
    (before,) = [(gate.folder / "log" / "checkpoint").read_bytes()]
    policy = quorum.parse((gate.folder / "log" / "policy").read_bytes())
    made = gate.rotate("log")
    assert events(gate, "key.introduced")[-1].body == {"use": "log", "keys": list(made.keys)}
    assert states(gate) == {0: "in use", 1: "in use", 2: "next"}
    publish(gate)
    assert signed_by(gate) == old
    # A verifier with the policy of before reads the new keys in an entry that it can prove.
    shown = policy.check((gate.folder / "log" / "checkpoint").read_bytes()).checkpoint
    reader = Reader(LogFolders(gate.folder / "log", gate.folder).read, shown)
    entry = read(reader.entry(made.index))
    assert isinstance(entry, Public)
    assert entry.body["keys"] == list(made.keys)
    assert states(gate) == {0: "earlier", 1: "in use", 2: "in use"}
    gate.record([Draft("hold.set", {"hold": "h", "clauses": []})])
    publish(gate)
    assert signed_by(gate) == list(made.keys)
    # The new policy accepts both; the old one knows nothing of the new keys.
    renewed = quorum.parse((gate.folder / "log" / "policy").read_bytes())
    for data in (before, (gate.folder / "log" / "checkpoint").read_bytes()):
        renewed.check(data)
    with pytest.raises(SignatureError):
        policy.check((gate.folder / "log" / "checkpoint").read_bytes())
    assert [v.vkey for v in gate.log_verifiers()] == [*old, *made.keys]


def test_log_keys_rotate_one_after_the_other(gate):
    """A second rotation waits until the first one is signed for."""
    gate.rotate("log")
    with pytest.raises(UsageError, match="publish a checkpoint first"):
        gate.rotate("log")
    publish(gate)
    made = gate.rotate("log")
    publish(gate)
    publish(gate)
    assert states(gate)[made.index] == "in use"


def test_lost_log_keys_are_replaced_and_the_ledger_says_so(gate):
    """Nobody vouches for the new ones: they sign at once, and the event says why."""
    publish(gate)
    for vkey, kind in zip(gate.introduced("log")[0].keys, (ED25519, MLDSA44), strict=True):
        gate.keys.path(kind, vkey).unlink()
    gate = reopened(gate)
    assert [kept.held for kept in gate.kept()] == [0, 1]
    with pytest.raises(WorkspaceError, match="key rotate log --lost"):
        gate.log_signers()
    with pytest.raises(WorkspaceError, match="key rotate log --lost"):
        gate.rotate("log")
    made = gate.rotate("log", lost=True)
    assert events(gate, "key.introduced")[-1].body["lost"] is True
    assert states(gate) == {0: "earlier", 1: "in use", 2: "in use"}
    publish(gate)
    assert signed_by(gate) == list(made.keys)
    gate.close()


def test_a_new_vrf_key_is_in_use_at_once(gate):
    """What is released from then on is under it; the old one stays for what was released."""
    index, old = gate.vrf_key()
    made = gate.rotate("vrf")
    assert made.index == 2
    found, new = gate.vrf_key()
    assert (index, found) == (1, 2)
    assert old != new
    assert states(gate) == {0: "in use", 1: "earlier", 2: "in use"}
    assert gate.keys.secret(VRF, gate.introduced("vrf")[0].keys[0]) == old


def test_a_rotation_in_a_real_workspace_keeps_the_passphrase(real):
    """New keys open with the passphrase of the others, in a process that comes later."""
    with closing(Gate(real, passphrase=passphrase)) as gate:
        gate.rotate("vrf")
        made = gate.vrf_key()
    with closing(Gate(real, passphrase=passphrase)) as gate:
        assert gate.vrf_key() == made
    assert made[0] == 2


@pytest.mark.parametrize(
    ("use", "how"), [("browser", {}), ("", {}), ("vrf", {"lost": True}), ("vrf", {"vkeys": ["x"]})]
)
def test_what_cannot_be_rotated_is_refused(use, how, gate):
    """There are keys of the log and of pseudonyms, and each has its own way."""
    with pytest.raises(UsageError):
        gate.rotate(use, **how)
    assert gate.store.head().index == 1


def test_a_key_that_leaked_stays_out_of_the_policy(gate):
    """Whoever takes a line out of log.policy does not find it there again."""
    gate.rotate("log", lost=True)
    path = gate.folder / "log.policy"
    leaked = gate.introduced("log")[0].keys
    kept = [line for line in path.read_text().splitlines() if line.split()[1] not in leaked]
    path.write_text("\n".join(["# as of today", *kept, ""]))
    gate.log_signers()
    text = path.read_text()
    assert "# as of today" in text
    assert not any(vkey in text for vkey in leaked)
    assert (gate.folder / "log" / "policy").read_text() == text


# ── a signer that is another program ──────────────────────────────────────────────────────────

OUTSIDE = SecretSigner(ORIGIN, Kind.ED25519, bytes(range(32)))
SIGNS = """
import base64, sys
from letterlock.record.note import Kind, SecretSigner
signer = SecretSigner("log.example/w", Kind.ED25519, bytes(range(32)))
print(base64.b64encode(signer.sign(base64.b64decode(sys.stdin.buffer.read().strip()))).decode())
"""


def with_signer(gate: Gate, code: str) -> Gate:
    """Set a signer in letterlock.toml."""
    path = gate.folder / "letterlock.toml"
    path.write_text(path.read_text() + f"signer = {json.dumps([sys.executable, '-c', code])}\n")
    return reopened(gate)


def test_a_key_outside_signs_beside_one_in_a_file(gate, monkeypatch):
    """A device holds the Ed25519 key; the ML-DSA key is made here; together they sign."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    publish(gate)
    gate = with_signer(gate, SIGNS)
    made = gate.rotate("log", vkeys=[OUTSIDE.verifier.vkey])
    assert made.keys[0] == OUTSIDE.verifier.vkey
    assert [kept.held for kept in gate.kept()] == [2, 1, 1]
    for _ in range(2):
        publish(gate)
        gate.record([Draft("hold.set", {"hold": f"h{_}", "clauses": []})])
    assert signed_by(gate) == list(made.keys)
    quorum.parse((gate.folder / "log" / "policy").read_bytes())
    gate.close()


def test_a_key_that_its_signer_does_not_have_is_not_introduced(gate, monkeypatch):
    """The signer shows that it can sign before the ledger says that it does."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    other = SecretSigner(ORIGIN, Kind.ED25519, bytes(32)).verifier.vkey
    with pytest.raises(UsageError, match="no signer holds"):
        gate.rotate("log", vkeys=[other])
    gate = with_signer(gate, SIGNS)
    with pytest.raises(WorkspaceError, match="no signature by this key"):
        gate.rotate("log", vkeys=[other])
    elsewhere = SecretSigner("log.example/v", Kind.ED25519, bytes(range(32))).verifier.vkey
    for vkeys in ([elsewhere], [OUTSIDE.verifier.vkey] * 2, [gate.introduced("log")[0].keys[0]],
                  [SecretSigner(ORIGIN, Kind.COSIGNATURE, bytes(32)).verifier.vkey]):  # fmt: skip
        with pytest.raises(UsageError):
            gate.rotate("log", vkeys=vkeys)
    with pytest.raises(InputError):
        gate.rotate("log", vkeys=["rubbish"])
    assert gate.store.head().index == 1
    assert len(names(gate)) == 4
    gate.close()


# ── destruction ───────────────────────────────────────────────────────────────────────────────


def test_an_earlier_key_is_destroyed_for_ever(gate):
    """Its file is gone, the ledger says so, and it is said once."""
    gate.rotate("vrf")
    assert gate.destroy(1).state == "earlier"
    assert states(gate) == {0: "in use", 1: "destroyed", 2: "in use"}
    assert [e.body for e in events(gate, "key.destroyed")] == [{"key": 1}]
    assert [kept.held for kept in gate.kept()] == [2, 0, 1]
    with pytest.raises(UsageError, match="destroyed already"):
        gate.destroy(1)
    assert gate.vrf_key()[0] == 2


def test_earlier_log_keys_are_destroyed_once_others_sign(gate):
    """Not before the checkpoint is published that vouches for the new ones."""
    gate.rotate("log")
    for index, why in ((0, "in use"), (2, "next")):
        with pytest.raises(UsageError, match=f"is {why}"):
            gate.destroy(index)
    publish(gate)
    gate.destroy(0)
    publish(gate)
    assert [kept.held for kept in gate.kept()] == [0, 1, 2]


def test_an_older_public_folder_brings_no_destroyed_key_back(gate, tmp_path):
    """After log/ and sequencer/ were restored from a backup, the newer keys go on signing."""
    folder = gate.folder
    publish(gate)
    for part in ("log", "sequencer"):
        shutil.copytree(folder / part, tmp_path / part)
    gate.rotate("log")
    publish(gate)
    publish(gate)
    gate.destroy(0)
    gate.close()
    for part in ("log", "sequencer"):
        shutil.rmtree(folder / part)
        shutil.move(tmp_path / part, folder / part)
    with closing(Gate(folder, now=NOW)) as found:
        assert next(each.state for each in found.kept()) == "destroyed"
        publish(found)


@pytest.mark.parametrize(
    ("index", "why"), [(0, "in use"), (1, "in use"), (2, "no key"), (99, "no key"), (-1, "no key")]
)
def test_a_key_in_use_is_never_destroyed(index, why, gate):
    """Neither the key in use nor what is no key; nothing is recorded."""
    gate.record([Draft("hold.set", {"hold": "h", "clauses": []})])
    with pytest.raises(UsageError, match=why):
        gate.destroy(index)
    assert gate.store.head().index == 2
    assert len(names(gate)) == 4


def test_no_key_is_destroyed_under_a_build(gate):
    """A build that began under the old key ends before its key does."""
    gate.rotate("vrf")
    build = Gate(gate.folder, now=NOW)._building()  # noqa: SLF001 - what a build holds
    with build, pytest.raises(WorkspaceError, match="another build is running"):
        gate.destroy(1)
    assert states(gate)[1] == "earlier"
    gate.destroy(1)


def test_a_key_event_that_means_nothing_is_an_error(gate):
    """Whoever wrote past the gate what introduces no key stops it, and is not overlooked."""
    for body in (
        {},
        {"use": "vrf"},
        {"use": "log", "keys": []},
        {"use": "log", "keys": [1]},
        {"use": "disk", "keys": ["a"]},
        {"use": "vrf", "key": "a", "lost": 1},
    ):
        shutil.copytree(gate.folder, gate.folder.with_name("x"))
        with closing(Gate(gate.folder.with_name("x"), now=NOW)) as other:
            other.store.append([Draft("key.introduced", body)], now=NOW)
            with pytest.raises(LedgerError, match="introduces no key"):
                other.kept()
        shutil.rmtree(gate.folder.with_name("x"))


# ── interruptions ─────────────────────────────────────────────────────────────────────────────


class Stopped(BaseException):
    """The process ends here."""


class Stop:
    """Stops at the n-th durable step: a synchronization, a renaming, a removal, a record."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, *, after: bool) -> None:
        """Count from here."""
        self.left, self.after = at, after
        for owner, name in ((os, "fsync"), (os, "rename"), (os, "unlink")):
            patch.setattr(owner, name, self.step(getattr(owner, name)))
        from letterlock.store.sqlite import SqliteStore  # noqa: PLC0415 - what is patched here

        patch.setattr(SqliteStore, "append", self.step(SqliteStore.append))

    def step(self, do: Callable[..., Any]) -> Callable[..., Any]:
        """Return `do`, or its interruption."""

        def step(*args: Any, **how: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Stopped
            stop = self.left == 0
            try:
                return do(*args, **how)
            finally:
                if stop:
                    raise Stopped

        return step


def interrupted(
    gate: Gate, folder: Path, do: Callable[[Gate], object], *, after: bool
) -> Iterator[Gate]:
    """Yield the workspace as each interruption of `do` leaves it, opened anew."""
    for at in range(1, 60):
        left = shutil.copytree(gate.folder, folder / f"{at}")
        opened = Gate(left, now=NOW)
        with pytest.MonkeyPatch.context() as patch, closing(opened), suppress(Stopped):
            Stop(patch, at, after=after)
            do(opened)
            return  # it got through: there are no more steps
        with closing(Gate(left, now=NOW)) as found:
            yield found
    pytest.fail("it never ended")


def is_sound(gate: Gate) -> None:
    """Assert that no key is in use without its file, and none destroyed with it."""
    for kept in gate.kept():
        if kept.state == "destroyed":
            assert kept.held == 0
        else:
            assert kept.held == len(kept.introduced.keys)
    gate.vrf_key()
    gate.log_signers()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("use", [pytest.param("log", marks=pytest.mark.slow), "vrf"])
def test_a_rotation_interrupted_anywhere_can_be_done_again(use, after, gate, tmp_path):
    """Every key that the ledger names has its file; what it does not name is cleared away."""
    publish(gate)
    steps = 0
    for left in interrupted(gate, tmp_path, lambda gate: gate.rotate(use), after=after):
        steps += 1
        is_sound(left)
        publish(left)  # whatever was recorded of it is signed for
        made = left.rotate(use)
        publish(left)
        left.record([Draft("hold.set", {"hold": "h", "clauses": []})])
        publish(left)
        assert states(left)[made.index] == "in use"
        is_sound(left)
        assert len(names(left)) == 1 + sum(kept.held for kept in left.kept())
        if use == "log":
            assert signed_by(left) == list(made.keys)
        policy = quorum.parse((left.folder / "log" / "policy").read_bytes())
        policy.check((left.folder / "log" / "checkpoint").read_bytes())
    assert steps >= 4


@pytest.mark.parametrize("after", [False, True])
def test_a_destruction_interrupted_anywhere_is_never_overstated(after, gate, tmp_path):
    """The ledger says that a key is destroyed only when its file is gone; it can be done again."""
    gate.rotate("vrf")
    steps = 0
    for left in interrupted(gate, tmp_path, lambda gate: gate.destroy(1), after=after):
        steps += 1
        (kept,) = (each for each in left.kept() if each.introduced.index == 1)
        if kept.state == "destroyed":
            assert kept.held == 0
        else:
            left.destroy(1)
        assert len(events(left, "key.destroyed")) == 1
        is_sound(left)
        assert left.vrf_key()[0] == 2
    assert steps >= 4


@pytest.mark.parametrize("after", [False, True])
def test_a_workspace_whose_making_was_interrupted_is_none(after, tmp_path):
    """It cannot be opened, and says what to do; or it is whole."""
    for at in range(1, 60):
        folder = tmp_path / f"{at}"
        try:
            with pytest.MonkeyPatch.context() as patch:
                Stop(patch, at, after=after)
                Gate.create(folder, simulated=True).close()
            break
        except Stopped:
            pass
        try:
            with closing(Gate(folder)) as whole:
                is_sound(whole)
        except WorkspaceError as error:
            assert "is no workspace" in str(error)  # noqa: PT017 - one of two outcomes
            with pytest.raises(WorkspaceError, match="choose a new folder"):
                Gate.create(folder, simulated=True)
    assert at > 8


# ── erasure ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lived(tmp_path):
    """Give a workspace with members who chose, its log published."""
    with closing(people(tmp_path / "w")) as gate:
        publish(gate)
        yield gate


def test_after_an_erasure_nothing_opens_her_entries_and_every_proof_holds(lived):
    """Content and salt are gone from the file; the log is as it was, and each entry is proven."""
    mine = [e.index for e in lived.store.every_event(upto=lived.store.head().index)
            if e.subject == YES[0]]  # fmt: skip
    opened = {event.index: salt for event, salt, _ in lived.store.openings(upto=10**6, only=mine)}
    assert list(opened) == mine
    log = LogFolders(lived.folder / "log", lived.folder / "sequencer")
    before = {path: log.read(path) for path in log.paths()}
    found = lived.erase(YES[0])
    assert list(found.events) == mine
    assert not found.before
    assert not list(lived.store.openings(upto=10**6, only=mine))
    content = b"".join(path.read_bytes() for path in lived.folder.glob("ledger.db*"))
    for salt in opened.values():
        assert salt not in content
    assert {path: log.read(path) for path in log.paths()} == before
    publish(lived)
    shown = lived.published()
    fsck(log.read, shown)
    reader = Reader(log.read, shown)
    rows = {index: kept for index, _, kept in lived.store.entries(0, upto=shown.size - 1)}
    for index in range(shown.size):
        entry = reader.entry(index)
        leaf, proof = merkle.leaf_hash(entry), reader.inclusion(index)
        merkle.verify_inclusion(shown.root, leaf, index, shown.size, proof)
        if index in mine:
            assert read(entry) == Committed(rows[index])
    for event, salt, kept in lived.store.openings(upto=10**6):  # nobody else lost anything
        assert commitment(salt, event.canonical()) == kept


def test_an_erased_person_is_nobody_any_more(lived):
    """What names her is refused, at every T."""
    assert YES[0] in lived.state([YES[0]]).subjects
    lived.erase(YES[0])
    assert YES[0] not in lived.state([YES[0]]).subjects
    assert YES[1] in lived.state([YES[1]]).subjects


def test_an_erasure_never_overstates(tmp_path):
    """It says which releases keep her pseudonym derivable, and what it does not reach."""
    with closing(workspace(tmp_path / "w")) as gate:
        built = gate.build(PURPOSE, RECIPIENT)
        token = gate.vrf_secret(1).token(memberset.alpha(gate.origin, YES[0]))
        assert token in gate.tokens_path(1).read_bytes()
        found = gate.erase(YES[0])
        assert not found.complete
        said = {place.where: place for place in found.places}
        assert said["ledger"].outcome == "erased"
        assert said["tokens"].outcome == "erased"
        assert token not in gate.tokens_path(1).read_bytes()
        assert said["pseudonyms"].outcome == "left"
        assert "until VRF key 1" in said["pseudonyms"].what
        for where in ("backups", "sources"):
            assert said[where].outcome == "unsupported"
        assert said[f"release {built.release} here"].outcome == "left"
        assert built.release in said["pseudonyms"].what
        gate.rotate("vrf")
        assert gate.destroy(1).releases == (built.release,)
        assert not gate.tokens_path(1).exists()
        again = gate.erase(YES[0])
        assert not again.events
        assert again.before == found.events
        outcomes = [place.outcome for place in again.places if place.where == "pseudonyms"]
        assert outcomes == ["key destroyed", "left"]
        assert not again.complete


def test_erasing_somebody_unknown_is_an_error(lived):
    """Nothing is recorded about nobody."""
    before = lived.store.head()
    for name in ("", "nobody at all", "\udcff"):
        with pytest.raises(UsageError, match="nothing is recorded about"):
            lived.erase(name)
    assert lived.store.head() == before


def test_an_erasure_that_was_interrupted_goes_on(lived):
    """Event by event: what was erased stays so, and the next call erases the rest."""
    mine = [e.index for e in lived.store.every_event(upto=lived.store.head().index)
            if e.subject == YES[0]]  # fmt: skip
    lived.store.erase(mine[0], now=lived.now())
    found = lived.erase(YES[0])
    assert (list(found.before), list(found.events)) == (mine[:1], mine[1:])
    assert not list(lived.store.openings(upto=10**6, only=mine))


@pytest.mark.slow
def test_what_a_reader_keeps_from_being_overwritten_is_reported(lived):
    """While another process reads the ledger, its log may hold what was erased: that is said."""
    with closing(sqlite3.connect(lived.folder / "ledger.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM event").fetchone()
        found = lived.erase(YES[0])
    said = {place.where: place.outcome for place in found.places}
    assert said["write-ahead log"] == "left"
    again = lived.erase(YES[0])
    assert "write-ahead log" not in {place.where for place in again.places}


# ── a ledger older than its log ───────────────────────────────────────────────────────────────


def backed_up(folder: Path, to: Path) -> None:
    """Back the ledger up as docs/keys.md says."""
    with closing(sqlite3.connect(folder / "ledger.db")) as one, closing(sqlite3.connect(to)) as two:
        one.backup(two)


def restored(backup: Path, folder: Path) -> None:
    """Restore the ledger as docs/keys.md says."""
    for left in folder.glob("ledger.db*"):
        left.unlink()
    shutil.copy(backup, folder / "ledger.db")


def hold(gate: Gate, name: str) -> None:
    """Record something."""
    gate.record([Draft("hold.set", {"hold": name, "clauses": []})])


def test_the_restore_drill(gate, tmp_path):
    """Back up, go on, publish: the older backup is refused, and the newer one works."""
    folder, old, new = gate.folder, tmp_path / "old.db", tmp_path / "new.db"
    hold(gate, "a")
    backed_up(folder, old)
    hold(gate, "b")
    publish(gate)
    hold(gate, "c")
    backed_up(folder, new)
    gate.close()
    restored(old, folder)
    with pytest.raises(WorkspaceError, match=r"older than its log.*Restore the newest backup"):
        Gate(folder, now=NOW)
    restored(new, folder)
    with closing(Gate(folder, now=NOW)) as found:
        assert found.store.head().index == 4
        publish(found)


def test_a_ledger_that_went_another_way_is_refused(gate, tmp_path):
    """Who restores an old copy where no log is, records, and brings it back, is found out."""
    folder, old = gate.folder, tmp_path / "old.db"
    backed_up(folder, old)
    hold(gate, "b")
    hold(gate, "c")
    publish(gate)
    gate.close()
    restored(old, folder)
    shutil.move(folder / "log", tmp_path / "log")
    shutil.move(folder / "sequencer", tmp_path / "sequencer")
    with closing(Gate(folder, now=NOW)) as other:
        hold(other, "x")
        hold(other, "y")
        hold(other, "z")
    for part in ("log", "sequencer"):
        shutil.move(tmp_path / part, folder / part)
    with pytest.raises(WorkspaceError, match="something else was recorded"):
        Gate(folder, now=NOW)


def test_a_ledger_is_compared_with_what_was_committed_too(gate, tmp_path):
    """What was signed and not yet published counts: the next writer would fork it."""
    folder, old = gate.folder, tmp_path / "old.db"
    backed_up(folder, old)
    hold(gate, "b")
    publish(gate)
    gate.close()
    for public in ("checkpoint", "checkpoints"):
        path = folder / "log" / public
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    restored(old, folder)
    with pytest.raises(WorkspaceError, match="older than its log"):
        Gate(folder, now=NOW)


@pytest.mark.parametrize("name", ["log/checkpoint", "sequencer/checkpoint"])
def test_a_checkpoint_that_is_none_starts_nothing(name, gate):
    """Nobody can say any more what was published: that is an error, with what to do."""
    publish(gate)
    path = gate.folder / name
    for data in (b"", b"\xff", b"rubbish\n", path.read_bytes()[:-40], path.read_bytes()[20:]):
        whole = path.read_bytes()
        path.write_bytes(data)
        with pytest.raises(WorkspaceError, match=r"none any more|another one"):
            Gate(gate.folder, now=NOW)
        path.write_bytes(whole)


def test_a_log_of_256_entries_and_more_is_compared_at_its_last(gate):
    """A full tile and its partial ones, gone or not, give the same answer; no scan is made."""
    joined = [{"subject": f"s{n}", "member": True} for n in range(254)]
    gate.record(Draft("subject.registered", body) for body in joined)
    for n in (254, 255):
        publish(gate)
        gate = reopened(gate)
        hold(gate, f"h{n}")
    publish(gate)
    with closing(sqlite3.connect(gate.folder / "ledger.db")) as other:
        other.execute(
            "UPDATE event SET canonical = CAST(replace(canonical, 'h255', 'h999') AS BLOB)"
        )
        other.commit()
    gate.close()
    with pytest.raises(WorkspaceError, match="event 257 of the ledger is not what its log shows"):
        Gate(gate.folder, now=NOW)


# ── a terminal ────────────────────────────────────────────────────────────────────────────────


def typed(folder: Path, command: str, *lines: str) -> tuple[int, str]:
    """Run a command at a terminal, type a line each time it asks; returns how it ended, and said.

    The terminal is a real one (a pseudo-terminal), and so is the process.
    """
    kept = {name: value for name, value in os.environ.items() if "LETTERLOCK" not in name}
    terminal, ours = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "letterlock", *command.split()],
        cwd=folder,
        env={**kept, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=ours,
        stdout=ours,
        stderr=ours,
        start_new_session=True,
    ) as process:
        os.close(ours)
        said, left = b"", list(lines)
        with suppress(OSError):  # the terminal is gone when the process is
            while data := os.read(terminal, 4096):
                said += data
                if data.rstrip().endswith(b":") and left:
                    os.write(terminal, left.pop(0).encode() + b"\n")
        os.close(terminal)
    return process.returncode, said.decode()


@pytest.mark.slow
def test_a_passphrase_is_typed_at_a_terminal(tmp_path):
    """Twice to make a workspace, once to use it; it is not shown, and has to be the same."""
    code, said = typed(tmp_path, "init w", "open sesame", "open sesam")
    assert (code, "differ: nothing was made" in said) == (2, True)
    code, said = typed(tmp_path, "init w", "")
    assert (code, "protects nothing" in said) == (2, True)
    assert not (tmp_path / "w").exists()
    code, said = typed(tmp_path, "init w", "open sesame", "open sesame")
    assert code == 0
    assert "sesame" not in said
    code, said = typed(tmp_path, "key rotate vrf -w w", "open sesame")
    assert (code, "introduced by event 2: vrf" in said) == (0, True)
    code, said = typed(tmp_path, "key rotate vrf -w w", "open sesam")
    assert (code, "does not open" in said) == (1, True)
    with closing(Gate(tmp_path / "w", passphrase=lambda: "open sesame")) as gate:
        assert gate.vrf_key()[0] == 2
