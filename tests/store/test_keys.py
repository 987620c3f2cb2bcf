"""Key files on a real disk, passphrases, and signers that are other programs."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterlock.errors import InputError, WorkspaceError
from letterlock.record import note
from letterlock.record.note import SecretSigner
from letterlock.store import keys
from letterlock.store.keys import (
    ED25519,
    FORMAT,
    KINDS,
    LONGEST,
    MLDSA44,
    SIGNING,
    VRF,
    CommandSigner,
    KeyFile,
    KeyFolder,
    new,
    parse,
    passphrase_from_environment,
    public_of,
)

ORIGIN = "log.example/w"
PASSPHRASE = "correct horse"  # noqa: S105 - of keys that these tests make
SEED = bytes(range(32))


class Asked:
    """Gives a passphrase, and counts how often."""

    def __init__(self, passphrase: str = PASSPHRASE) -> None:
        """Give this one."""
        self.passphrase, self.times = passphrase, 0

    def __call__(self) -> str:
        """Give it."""
        self.times += 1
        return self.passphrase


def opened(folder: Path, ask: Callable[[], str] | None = None, *, simulated: bool = False):
    """Open a folder of keys."""
    return KeyFolder(folder, origin=ORIGIN, simulated=simulated, ask=ask or Asked())


@pytest.fixture(scope="module")
def sealed(tmp_path_factory):
    """Give a folder with one sealed key of each kind, never to be changed, and the keys."""
    folder, made = tmp_path_factory.mktemp("keys"), [new(kind, ORIGIN) for kind in KINDS]
    there = opened(folder)
    for key in made:
        there.write(key)
    return folder, made


# ── files ─────────────────────────────────────────────────────────────────────────────────────


def test_a_sealed_key_opens_with_its_passphrase_asked_for_once(sealed):
    """Nothing is asked before a secret is, and then once for all the files."""
    folder, made = sealed
    ask = Asked()
    there = opened(folder, ask)
    assert all(there.has(key.kind, key.public) for key in made)
    assert ask.times == 0
    for _ in range(2):
        assert [there.secret(key.kind, key.public) for key in made] == [k.secret for k in made]
    assert ask.times == 1


def test_a_key_file_is_opened_once(sealed, monkeypatch):
    """The second time a secret is asked for, no file is read and nothing is stretched."""
    folder, made = sealed
    there = opened(folder)
    there.secret(VRF, made[2].public)
    monkeypatch.setattr(keys, "_read", None)
    monkeypatch.setattr(keys.argon2id, "kdf", None)
    assert there.secret(VRF, made[2].public) == made[2].secret


def test_a_sealed_key_shows_nothing_of_its_secret(sealed):
    """The files are for their owner alone, and hold the public halves in the clear only."""
    folder, made = sealed
    assert len(list(folder.iterdir())) == len(made)
    for key in made:
        path = opened(folder).path(key.kind, key.public)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for shown in (key.secret, key.secret.hex().encode(), base64.b64encode(key.secret)):
            assert shown not in path.read_bytes()
        assert key.public.encode() in path.read_bytes()
    assert key.secret.hex() not in repr(key)


def test_a_simulated_workspaces_keys_lie_open_and_say_so(tmp_path):
    """No passphrase is asked for; the file says that it is of no worth."""
    there = opened(tmp_path, None, simulated=True)
    key = new(VRF, ORIGIN)
    there.write(key)
    assert json.loads(there.path(VRF, key.public).read_bytes()) == {
        "format": FORMAT, "kind": VRF, "public": key.public,
        "simulated": True, "secret": key.secret.hex(),
    }  # fmt: skip
    assert stat.S_IMODE(there.path(VRF, key.public).stat().st_mode) == 0o600


def test_another_passphrase_does_not_open_it(sealed):
    """A wrong passphrase is an error that says so, and gives no secret."""
    folder, made = sealed
    with pytest.raises(WorkspaceError, match="passphrase is another one"):
        opened(folder, Asked("correct house")).secret(VRF, made[2].public)


def test_the_public_halves_are_those_of_the_specifications():
    """The vkey of the log's seed, and the VRF key, are the vectors of the design."""
    vkey = "letterlock.example/log+275e4082+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    assert public_of(ED25519, SEED, "letterlock.example/log") == vkey
    public = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    assert public_of(VRF, SEED, "letterlock.example/log") == public


CHANGED: dict[str, dict[str, object]] = {
    "another format": {"format": "letterlock/key/v2"},
    "another kind": {"kind": MLDSA44},
    "no kind": {"kind": "rsa"},
    "a kind that is a list": {"kind": []},
    "another public half": {"public": "00" * 32},
    "a public half that is no text": {"public": 1},
    "no salt": {"salt": ...},
    "a short salt": {"salt": "00"},
    "another salt": {"salt": "00" * 16},
    "a salt that is no text": {"salt": None},
    "no box": {"box": ...},
    "a short box": {"box": "AAAA"},
    "a box that is not base64": {"box": "?" * 96},
    "a box that is not ASCII": {"box": "é" * 96},
    "another box": {"box": base64.b64encode(bytes(72)).decode()},
    "something more": {"more": 1},
    "a secret beside the box": {"secret": "00" * 32},
    "a secret in its place": {"salt": ..., "box": ..., "secret": "00" * 32, "simulated": True},
    "a secret that is not simulated": {
        "salt": ..., "box": ..., "secret": "00" * 32, "simulated": False,
    },
    "a short secret": {"salt": ..., "box": ..., "secret": "00", "simulated": True},
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGED)
def test_an_altered_key_file_gives_no_secret(what, sealed, tmp_path):
    """Whatever is changed in a file, its key is refused as altered, or does not open."""
    folder, made = sealed
    there, key = opened(tmp_path), made[2]
    path = there.path(VRF, key.public)
    said = json.loads((folder / path.name).read_bytes()) | CHANGED[what]
    path.write_text(json.dumps({name: value for name, value in said.items() if value is not ...}))
    with pytest.raises(WorkspaceError, match=path.name):
        there.secret(VRF, key.public)


@pytest.mark.parametrize("size", [0, 1, 40, -1, -30])
def test_a_truncated_key_file_gives_no_secret(size, sealed, tmp_path):
    """A file that was cut off, as by a full disk, says so."""
    folder, made = sealed
    there, key = opened(tmp_path), made[2]
    path = there.path(VRF, key.public)
    path.write_bytes((folder / path.name).read_bytes().rstrip()[:size])
    with pytest.raises(WorkspaceError, match="was altered"):
        there.secret(VRF, key.public)


def test_a_flipped_bit_in_the_box_opens_nothing(sealed, tmp_path):
    """The box is authenticated: each byte of it counts."""
    folder, made = sealed
    there, key = opened(tmp_path), made[2]
    path = there.path(VRF, key.public)
    file = parse((folder / path.name).read_bytes())
    for at in range(0, len(file.box), 8):
        box = bytearray(file.box)
        box[at] ^= 1
        path.write_bytes(KeyFile(file.kind, file.public, None, file.salt, bytes(box)).encode())
        with pytest.raises(WorkspaceError, match="does not open"):
            there.secret(VRF, key.public)


def test_a_secret_of_another_key_is_not_taken_for_this_one(sealed, tmp_path):
    """Whoever puts their own secret under our public half, sealed even, is found out."""
    folder, made = sealed
    there, key = opened(folder), made[2]
    there.secret(VRF, key.public)
    swapped = opened(tmp_path)
    swapped.write(keys.Key(VRF, key.public, bytes(32)))
    with pytest.raises(WorkspaceError, match="of another key"):
        opened(tmp_path).secret(VRF, key.public)


def test_a_simulated_key_is_none_of_a_real_workspace_nor_the_reverse(sealed, tmp_path):
    """A key that lay open once is not used as if it had been sealed."""
    folder, made = sealed
    opened(tmp_path, simulated=True).write(made[2])
    with pytest.raises(WorkspaceError, match="not sealed as"):
        opened(tmp_path).secret(VRF, made[2].public)
    with pytest.raises(WorkspaceError, match="not sealed as"):
        opened(folder, simulated=True).secret(VRF, made[2].public)


def test_a_lost_key_file_says_so(tmp_path):
    """A key whose file is gone is an error with its path, before any passphrase is asked for."""
    ask = Asked()
    with pytest.raises(WorkspaceError, match="No such file"):
        opened(tmp_path, ask).secret(VRF, "00" * 32)
    assert ask.times == 0


def test_a_key_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    """If the disk fails before the file has its name, there is no such key; it can be written."""
    there, key = opened(tmp_path, simulated=True), new(VRF, ORIGIN)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(WorkspaceError, match="No space left"):
            there.write(key)
    assert not there.has(VRF, key.public)
    there.write(key)
    assert [path.name for path in tmp_path.iterdir()] == [there.path(VRF, key.public).name]


def test_a_destroyed_key_is_overwritten_first(tmp_path):
    """Whoever still has the file open reads zeros; a second time there is nothing to do."""
    there, key = opened(tmp_path, simulated=True), new(VRF, ORIGIN)
    there.write(key)
    with there.path(VRF, key.public).open("rb") as held:
        there.destroy(VRF, key.public)
        assert set(held.read()) == {0}
    assert not list(tmp_path.iterdir())
    there.destroy(VRF, key.public)
    with pytest.raises(WorkspaceError):
        there.secret(VRF, key.public)


# ── the parser ────────────────────────────────────────────────────────────────────────────────

FILES = st.one_of(
    st.builds(KeyFile, st.sampled_from(KINDS), st.text(), st.binary(min_size=32, max_size=32)),
    st.builds(
        KeyFile,
        st.sampled_from(KINDS),
        st.text(),
        st.none(),
        st.binary(min_size=16, max_size=16),
        st.binary(min_size=72, max_size=72),
    ),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(FILES)
def test_what_is_written_is_read(file):
    """Every key file reads back as it was written."""
    assert parse(file.encode()) == file


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_fail_otherwise(data):
    """Whatever stands in a file: it is a key file, or an InputError."""
    with pytest.raises(InputError):
        parse(data)


@given(FILES, st.data())
def test_no_change_makes_the_parser_fail_otherwise(file, data):
    """Nor do values of every type in every place, bytes changed, or lines doubled."""
    said = json.loads(file.encode())
    name = data.draw(st.sampled_from([*said, "more"]))
    changed = json.dumps(said | {name: data.draw(JSON)}).encode()
    at = data.draw(st.integers(0, len(changed)))
    for each in (changed, changed[:at] + data.draw(st.binary(max_size=3)) + changed[at:]):
        try:
            parse(each)
        except InputError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 5000,
        b'{"format": "letterlock/key/v1", "kind": "vrf", "kind": "vrf"}',
        b" " * LONGEST + b"{}",
        b'{"format": "letterlock/key/v1"}',
        b"\xff",
        b"[]",
        b"1" * 5000,
    ],
)
def test_hostile_files_are_refused(data):
    """Deep, doubled, long, bare, and not even text."""
    with pytest.raises(InputError):
        parse(data)


# ── the passphrase ────────────────────────────────────────────────────────────────────────────


def test_the_passphrase_comes_from_the_environment(tmp_path, monkeypatch):
    """From a variable, or the first line of the file that another one names."""
    for name in ("LETTERLOCK_PASSPHRASE", "LETTERLOCK_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert passphrase_from_environment() is None
    path = tmp_path / "passphrase"
    monkeypatch.setenv("LETTERLOCK_PASSPHRASE_FILE", str(path))
    with pytest.raises(WorkspaceError, match="cannot be read"):
        passphrase_from_environment()
    for content, said in ((b"two words \nmore", "two words "), (b"one", "one")):
        path.write_bytes(content)
        assert passphrase_from_environment() == said
    for content in (b"", b"\nmore", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(WorkspaceError):
            passphrase_from_environment()
    monkeypatch.setenv("LETTERLOCK_PASSPHRASE", "said")
    assert passphrase_from_environment() == "said"
    monkeypatch.setenv("LETTERLOCK_PASSPHRASE", "")
    with pytest.raises(WorkspaceError, match="empty"):
        passphrase_from_environment()


# ── signers that are other programs ───────────────────────────────────────────────────────────

SIGNS = """
import base64, sys
from letterlock.record.note import Kind, SecretSigner
message = base64.b64decode(sys.stdin.buffer.read().strip(), validate=True)
for kind in (Kind.ED25519, Kind.MLDSA44):
    signer = SecretSigner("log.example/w", kind, bytes(range(32)))
    if signer.verifier.key_id.hex() == sys.argv[1]:
        print(base64.b64encode(signer.sign(message)).decode())
"""


def command(code: str) -> list[str]:
    """Return a command that runs Python."""
    return [sys.executable, "-c", code]


def verifier(kind: str = ED25519):
    """Return the public half of the key that the programs here sign with."""
    return SecretSigner(ORIGIN, SIGNING[kind], SEED).verifier


@pytest.mark.parametrize("kind", SIGNING)
def test_another_program_signs(kind, monkeypatch):
    """It gets the message on standard input and the key's id, and what it gives verifies."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    message = bytes(range(256)) * 400
    signature = CommandSigner(command(SIGNS), verifier(kind)).sign(message)
    note.check(verifier(kind), message, signature)


RIGHT = base64.b64encode(SecretSigner(ORIGIN, note.Kind.ED25519, SEED).sign(b"a")).decode()
OTHER = base64.b64encode(SecretSigner(ORIGIN, note.Kind.ED25519, bytes(32)).sign(b"a")).decode()
FAILURES = {
    "lies": (f"print('{OTHER}')", "no signature by this key"),
    "signs something else": (f"print('{RIGHT}')", "no signature by this key"),
    "says nothing": ("", "no signature by this key"),
    "prints rubbish": ("print('touch your key')", "no signature by this key"),
    "prints bytes": ("sys.stdout.buffer.write(bytes(range(256)))", "no signature by this key"),
    "prints without end": ("\nwhile True: print('A' * 4000)", "more than a signature"),
    "dies": ("sys.exit(7)", "ended with 7"),
    "dies after it signed": (f"print('{RIGHT}'); sys.exit(1)", "ended with 1"),
    "is killed": ("sys.stdout.flush(); os.kill(os.getpid(), 9)", "ended with -9"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_program_that_does_not_sign_is_an_error(what):
    """Whatever it does instead, nothing is taken for a signature."""
    code, why = FAILURES[what]
    with pytest.raises(WorkspaceError, match=why):
        CommandSigner(command(f"import os, sys; {code}"), verifier()).sign(b"b")


@pytest.mark.parametrize(
    "code",
    [
        *(
            pytest.param(text, marks=pytest.mark.slow)
            for text in (
                "import time; time.sleep(600)",
                "import os, time; os.close(1); time.sleep(600)",
            )
        ),
        # It ends, and leaves a child behind that keeps standard output open.
        "import os, time; os.fork() or time.sleep(600)",
    ],
)
def test_a_program_that_is_too_slow_is_ended(code, tmp_path):
    """Nobody waits longer than was said, and nothing of it runs on."""
    alive = tmp_path / "pid"
    mark = f"import os; open({str(alive)!r}, 'w').write(str(os.getpgrp())); "
    with pytest.raises(WorkspaceError, match="did not answer within"):
        CommandSigner(command(mark + code), verifier(), patience=1.0).sign(b"b")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:  # what was killed may take a moment to be gone
        try:
            os.killpg(int(alive.read_text()), 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process of the signer runs on")


@pytest.mark.parametrize("words", [["/nowhere/signer"], ["/"], ["a\0b"]])
def test_a_program_that_is_not_there_is_an_error(words):
    """A command that cannot be started says so."""
    with pytest.raises(WorkspaceError, match="could not be started"):
        CommandSigner(words, verifier()).sign(b"b")
