"""`letterlock witness serve`, as an auditor types it: one command, until Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from letterlock.cli import main
from letterlock.errors import InputError, UsageError, WorkspaceError
from letterlock.record import note as notes
from letterlock.record import quorum
from letterlock.record.note import Kind
from letterlock.store.keys import KeyFolder, new
from letterlock.store.witnesses import gather, make_keys, signers_in, verifiers_in
from witnessing import LOG, NOW, Log

NAME = "auditor.example/w1"
LOG_A = Log()
PASSPHRASE = "of the auditor"  # noqa: S105 - of keys that live as long as this test


def words(folder: Path, *more: str) -> list[str]:
    """Return the command that serves a witness on a free port."""
    keys = [word for each in LOG for word in ("--log", each.verifier.vkey)]
    serve = [sys.executable, "-m", "letterlock", "witness", "serve", str(folder), "--port", "0"]
    return [*serve, *keys, *more]


def environment(passphrase: str = PASSPHRASE) -> dict[str, str]:
    """Return the environment of a command."""
    source = Path(__file__).resolve().parent.parent.parent / "src"
    found = {k: v for k, v in os.environ.items() if not k.startswith("LETTERLOCK")}
    return {**found, "LETTERLOCK_PASSPHRASE": passphrase, "PYTHONPATH": str(source)}


@contextmanager
def serving(folder: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the command; yields it and the lines that it prints for a policy."""
    with subprocess.Popen(
        words(folder, *more),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment(),
    ) as started:  # fmt: skip
        try:
            yield started, [line_of(started.stdout) for _ in range(3)]
        finally:
            started.terminate()


def line_of(output: IO[str] | None) -> str:
    """Read a line of what a process says."""
    assert output
    return output.readline()


def asked(folder: Path, old: int, size: int, *more: str) -> None:
    """Serve a witness, put what it says into a policy, ask it for a cosignature, and end it."""
    with serving(folder, *more) as (started, said):
        logs = "".join(f"log {each.verifier.vkey}\n" for each in LOG)
        policy = quorum.parse(f"{logs}{''.join(said)}quorum {NAME}\n".encode())
        found = gather(LOG_A.note(size), policy, LOG_A.consistency, old=old, now=NOW * 2)
        assert found.missed == {}
        seen = policy.check(found.note.encode()).witnesses
        assert [name for name, _ in seen] == [f"{NAME}:04", f"{NAME}:06"]
        assert line_of(started.stderr).startswith(f"{NAME} cosigns for log.example/a at http://")
        started.send_signal(signal.SIGINT)
        assert started.wait(60) == 130


def test_one_command_makes_a_witness_that_a_log_can_ask(tmp_path: Path):
    """What it prints goes into a policy as it is."""
    folder = tmp_path / "not there yet" / "w"
    asked(folder, 0, 5, "--name", NAME)
    keys = sorted((folder / "keys").iterdir())
    assert [path.stat().st_mode & 0o777 for path in keys] == [0o600] * 2
    assert (folder / "keys").stat().st_mode & 0o777 == 0o700
    kinds = [each.kind for each in verifiers_in(folder)]
    assert kinds == [Kind.COSIGNATURE, Kind.MLDSA44]


@pytest.mark.slow
def test_started_again_it_is_the_same_witness(tmp_path: Path):
    """With its keys, and where it was; not with another passphrase."""
    asked(tmp_path, 0, 5, "--name", NAME)
    keys = verifiers_in(tmp_path)
    asked(tmp_path, 5, 8)
    asked(tmp_path, 8, 9, "--name", NAME)
    assert verifiers_in(tmp_path) == keys
    done = subprocess.run(
        words(tmp_path), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=60, env=environment("another"),
    )  # fmt: skip
    assert done.returncode == 1
    assert "does not open" in done.stderr


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return what runs `letterlock witness …` here; it gives the exit code and what was said."""
    monkeypatch.delenv("LETTERLOCK_PASSPHRASE_FILE", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def run(*said: str, passphrase: str = "") -> tuple[int, str, str]:
        monkeypatch.setenv("LETTERLOCK_PASSPHRASE", passphrase)
        if not passphrase:
            monkeypatch.delenv("LETTERLOCK_PASSPHRASE")
        monkeypatch.setattr("sys.argv", ["letterlock", "witness", *said])
        with pytest.raises(SystemExit) as end:
            main()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return (end.value.code, *capsys.readouterr())

    return run


def test_a_slip_is_said_to_be_one_and_leaves_nothing(tmp_path: Path, command):
    """No name, a bad name, a key that is none, no passphrase, a port that is taken."""
    folder = tmp_path / "w"
    cosigner = notes.SecretSigner("x", Kind.COSIGNATURE, bytes(32)).verifier.vkey
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for more, code, why in (
            ((), 2, "name it with --name"),
            (("--name", "two words"), 1, "cannot name a key"),
            (("--name", NAME, "--log", "nonsense"), 1, "no vkey"),
            (("--name", NAME, "--log", cosigner), 1, "is a witness's"),
            (("--name", NAME, "--port", port), 2, "nothing can be served at"),
            (("--name", NAME, "--host", "no host"), 2, "nothing can be served at"),
            (("--name", NAME, "--url", "http://x y"), 1, "no address of a witness"),
            (("--name", NAME), 2, "LETTERLOCK_PASSPHRASE_FILE"),
        ):
            found = command(*words(folder)[4:], *more)
            assert (found[0], found[1]) == (code, "")
            assert why in found[2]
            assert not folder.exists()
    assert command("key", str(folder))[0] == 2
    (tmp_path / "file").write_text("")
    found = command(*words(tmp_path / "file", "--name", NAME)[4:], passphrase=PASSPHRASE)
    assert (found[0], "no witness could be made" in found[2]) == (1, True)


def test_a_folder_without_its_two_keys_is_no_witness(tmp_path: Path):
    """One missing, one too many, of two names, or altered: WorkspaceError, and no new one."""
    with pytest.raises(WorkspaceError, match="no witness"):
        signers_in(tmp_path, lambda: "x")
    with pytest.raises(InputError):
        make_keys(tmp_path, "two words", lambda: "x")
    keys = KeyFolder(tmp_path / "keys", origin=NAME, simulated=True, ask=lambda: "x")
    other = KeyFolder(tmp_path / "keys", origin="other", simulated=True, ask=lambda: "x")
    keys.folder.mkdir()
    one = new("ed25519", NAME)
    keys.write(one)
    with pytest.raises(WorkspaceError, match="two keys"):
        verifiers_in(tmp_path)
    with pytest.raises(WorkspaceError, match="no witness could be made"):
        make_keys(tmp_path, NAME, lambda: "x")
    other.write(new("mldsa44", "other"))
    with pytest.raises(WorkspaceError, match="two witnesses"):
        verifiers_in(tmp_path)
    other.write(new("mldsa44", NAME))
    with pytest.raises(WorkspaceError, match="two keys"):
        verifiers_in(tmp_path)
    keys.path(one.kind, one.public).write_text("{}")
    with pytest.raises(WorkspaceError, match="two keys"):
        verifiers_in(tmp_path)


def test_the_passphrase_is_asked_for_once(tmp_path: Path, command):
    """Before anything is made, and then for both; nobody needs it to see the public keys."""

    def nobody() -> str:
        raise UsageError("no passphrase")

    with pytest.raises(UsageError):
        make_keys(tmp_path, NAME, nobody)
    assert not (tmp_path / "keys").exists()
    asked = []
    make_keys(tmp_path, NAME, lambda: asked.append(1) or "x")
    signers = signers_in(tmp_path, lambda: asked.append(1) or "x")
    assert len(asked) == 2
    assert tuple(each.verifier for each in signers) == verifiers_in(tmp_path)
    found = command("key", str(tmp_path))
    assert found[:2] == (0, "".join(f"{each.vkey}\n" for each in verifiers_in(tmp_path)))
    found = command(*words(tmp_path, "--name", "another")[4:])
    assert (found[0], f"is {NAME}, not another" in found[2]) == (2, True)
