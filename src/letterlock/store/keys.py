"""Secret keys in files of their own: sealed with a passphrase, or signing in another program.

A key file is JSON, mode 600, named after the public half of its key, so it is never overwritten by
another one. The secret is 32 bytes, sealed by SecretBox under a key that Argon2id (MODERATE) makes
of the passphrase; in a simulated workspace, whose keys are worth nothing, it stands there as it is
and says so. A file is opened when its secret is asked for and not before, and once per process.
Spec: docs/keys.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import secrets
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from letterlock import approval
from letterlock.errors import InputError, SignatureError, WorkspaceError
from letterlock.handover import age
from letterlock.record import note
from letterlock.record.note import Verifier
from letterlock.store import files

SIZE: Final = 32
FORMAT: Final = "letterlock/key/v1"
LONGEST: Final = 8192
"""Bytes of a key file: the public half of an ML-DSA-44 key takes some 1,800 of them."""

# ── key files ───────────────────────────────────────────────────────────────────────────────

ED25519: Final = "ed25519"
MLDSA44: Final = "mldsa44"
VRF: Final = "vrf"
SIGNING: Final = {ED25519: note.Kind.ED25519, MLDSA44: note.Kind.MLDSA44}
AGE: Final = "age"
KINDS: Final = (*SIGNING, VRF, AGE)

_KEY: Final = ".key"
_CHUNK: Final = 1 << 20
_BOX_SIZE: Final = SecretBox.NONCE_SIZE + SecretBox.MACBYTES + SIZE
_SALT: Final = re.compile("[0-9a-f]{32}")
_SECRET: Final = re.compile("[0-9a-f]{64}")

Ask = Callable[[], str]
"""Gives the passphrase, when it is needed. Raises UsageError if there is none to be had."""


@dataclass(frozen=True, slots=True)
class Key:
    """A secret key; `public` is a signing key's vkey, 64 digits of a VRF key, "age1…" of age."""

    kind: str
    public: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A key file, read: `secret` stands in it, or `box` holds it under `salt`'s key."""

    kind: str
    public: str
    secret: bytes | None = field(default=None, repr=False)
    salt: bytes = b""
    box: bytes = b""

    def encode(self) -> bytes:
        """Write it as a file."""
        what: dict[str, Any] = {"format": FORMAT, "kind": self.kind, "public": self.public}
        if self.secret is not None:
            what |= {"simulated": True, "secret": self.secret.hex()}
        else:
            what |= {"salt": self.salt.hex(), "box": base64.b64encode(self.box).decode()}
        return json.dumps(what, indent=1).encode() + b"\n"


def parse(data: bytes) -> KeyFile:
    """Read a key file strictly. Raises InputError."""
    if len(data) > LONGEST:
        raise InputError(f"it has more than the {LONGEST} bytes of a key file")
    try:
        said = json.loads(data.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise InputError("it is no JSON object") from error
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise InputError(f"it is not of the format {FORMAT}")
    plain = "secret" in said
    keys = {"simulated", "secret"} if plain else {"salt", "box"}
    if set(said) != keys | {"format", "kind", "public"} or (
        plain and said["simulated"] is not True
    ):
        raise InputError("its parts are not those of a key file")
    if said["kind"] not in KINDS or not all(
        isinstance(said[k], str) for k in said.keys() - {"simulated"}
    ):
        raise InputError("it is of no kind of key that this program knows")
    kind, public = said["kind"], said["public"]
    if plain:
        if not _SECRET.fullmatch(said["secret"]):
            raise InputError("its secret is not 64 hexadecimal digits")
        return KeyFile(kind, public, bytes.fromhex(said["secret"]))
    try:
        box = base64.b64decode(said["box"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("its box is not base64") from error
    if not _SALT.fullmatch(said["salt"]) or len(box) != _BOX_SIZE:
        raise InputError("its salt or its box is not of the size it must have")
    return KeyFile(kind, public, None, bytes.fromhex(said["salt"]), box)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def public_of(kind: str, secret: bytes, origin: str) -> str:
    """Return the public half: the vkey under the name `origin`, a VRF key's 64 digits, "age1…"."""
    if kind == AGE:
        return age.public_of(age.identity_of(secret))
    if kind == VRF:  # RFC 9381 §5.1 derives it as RFC 8032 derives a signing key
        return approval.public_key(secret)
    return note.SecretSigner(origin, SIGNING[kind], secret).verifier.vkey


def new(kind: str, origin: str) -> Key:
    """Make a key."""
    secret = secrets.token_bytes(SIZE)
    return Key(kind, public_of(kind, secret, origin), secret)


class KeyFolder:
    """The key files of one workspace; `ask` gives the passphrase, and is called once, if ever."""

    def __init__(self, folder: Path, *, origin: str, simulated: bool, ask: Ask) -> None:
        """Look at nothing yet: every secret is opened when it is asked for."""
        self.folder, self._origin, self._simulated, self._ask = folder, origin, simulated, ask
        self._passphrase: bytes | None = None
        self._derived: dict[bytes, bytes] = {}
        self._opened: dict[str, Key] = {}

    def path(self, kind: str, public: str) -> Path:
        """Return where the key with a public half is, or would be."""
        return self.folder / f"{kind}-{hashlib.sha256(public.encode()).hexdigest()[:16]}{_KEY}"

    def has(self, kind: str, public: str) -> bool:
        """Say whether the secret is here."""
        return self.path(kind, public).is_file()

    def unlock(self) -> None:
        """Ask for the passphrase now, before anything is made."""
        if not self._simulated and self._passphrase is None:
            self._passphrase = self._ask().encode()

    def write(self, key: Key) -> None:
        """Write a new key file, durably. Raises WorkspaceError."""
        if self._simulated:
            file = KeyFile(key.kind, key.public, key.secret)
        else:
            # One salt serves all files of a process, so that the passphrase is stretched once.
            salt = next(iter(self._derived), None) or secrets.token_bytes(argon2id.SALTBYTES)
            box = SecretBox(self._stretched(salt)).encrypt(key.secret)
            file = KeyFile(key.kind, key.public, None, salt, box)
        write_secret(self.path(key.kind, key.public), file.encode())
        self._opened[key.public] = key

    def secret(self, kind: str, public: str) -> bytes:
        """Return a secret. Raises WorkspaceError if it is lost, altered or does not open."""
        if public not in self._opened:
            self._opened[public] = self._open(kind, public)
        return self._opened[public].secret

    def _open(self, kind: str, public: str) -> Key:
        path = self.path(kind, public)
        with _reported(path):
            file = parse(_read(path))
        if (file.kind, file.public) != (kind, public):
            raise WorkspaceError(f"{path} is the file of another key: restore it from a backup")
        if (file.secret is not None) is not self._simulated:
            raise WorkspaceError(f"{path} is not sealed as the keys of this workspace are")
        secret = file.secret
        if secret is None:
            try:
                secret = SecretBox(self._stretched(file.salt)).decrypt(file.box)
            except CryptoError as error:
                raise WorkspaceError(
                    f"{path} does not open: the passphrase is another one, or the file was altered"
                ) from error
        if public_of(kind, secret, self._origin) != public:
            raise WorkspaceError(f"{path} was altered: its secret is of another key")
        return Key(kind, public, secret)

    def destroy(self, kind: str, public: str) -> None:
        """Overwrite a key file and remove it, durably; what is gone already stays so.

        Raises WorkspaceError. What a disk or a backup keeps of it is beyond our reach.
        """
        shred(self.path(kind, public))
        self._opened.pop(public, None)

    def clear(self, keep: Iterable[Path]) -> None:
        """Remove what an interrupted rotation left: files of keys that are not among `keep`."""
        kept = set(keep)
        for path in sorted(self.folder.iterdir()):
            name = path.name.removeprefix(".").removesuffix(files.PART)
            ours = name.endswith(_KEY) and name.partition("-")[0] in KINDS
            if ours and path not in kept:
                shred(path)

    def _stretched(self, salt: bytes) -> bytes:
        self.unlock()
        if salt not in self._derived:
            self._derived[salt] = argon2id.kdf(
                SecretBox.KEY_SIZE,
                self._passphrase or b"",
                salt,
                opslimit=argon2id.OPSLIMIT_MODERATE,
                memlimit=argon2id.MEMLIMIT_MODERATE,
            )
        return self._derived[salt]


def write_secret(path: Path, data: bytes) -> None:
    """Write a file for its owner's eyes only. Raises WorkspaceError.

    A name is of one key (or is written once, in an empty folder), so nothing is written over.
    """
    with _reported(path):
        files.write(path, data, mode=0o600)


def shred(path: Path) -> None:
    """Overwrite a file, which may be gone already, and remove it, durably: WorkspaceError."""
    with _reported(path), suppress(FileNotFoundError):
        left = path.stat().st_size
        with path.open("r+b") as file:
            while left > 0:
                left -= file.write(bytes(min(left, _CHUNK)))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
        files.sync(path.parent)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LONGEST + 1)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkspaceError(f"the key {path}: {error.strerror}") from error
    except InputError as error:
        raise WorkspaceError(f"{path} was altered: {error}") from error


# ── a signer that is another program ────────────────────────────────────────────────────────

PATIENCE: Final = 60.0
"""Seconds that another program may take to sign: somebody may have to touch a device."""
_ANSWER: Final = 8192
"""Bytes of an answer: a signature of ML-DSA-44 is 3,228 in base64."""


class CommandSigner:
    """A Signer that is another program, such as one that talks to a device.

    It is run with the key's id (8 hexadecimal digits) after its own arguments, finds the message
    on standard input in base64, and answers with the bare signature in base64, one line.
    """

    def __init__(
        self, command: Sequence[str], verifier: Verifier, *, patience: float = PATIENCE
    ) -> None:
        """Sign as `verifier` by `command`, which gets `patience` seconds each time."""
        self.verifier, self._patience = verifier, patience
        self._command = [*command, verifier.key_id.hex()]

    def sign(self, message: bytes) -> bytes:
        """Return its signature, checked. Raises WorkspaceError, whatever else it does."""
        answer = self._answer(base64.b64encode(message) + b"\n")
        try:
            signature = base64.b64decode(answer.strip(), validate=True)
            note.check(self.verifier, message, signature)
        except (ValueError, SignatureError) as error:
            raise self._failed("gave no signature by this key") from error
        return signature

    def _failed(self, why: str) -> WorkspaceError:
        return WorkspaceError(f"the signer {self._command[0]} {why}: nothing was signed")

    def _answer(self, question: bytes) -> bytes:
        """Run the program; what it prints is bounded, and so is its time."""
        until = time.monotonic() + self._patience
        with tempfile.TemporaryFile() as asked:
            asked.write(question)
            asked.seek(0)
            try:
                process = subprocess.Popen(  # noqa: S603 - the command that the workspace names
                    self._command, stdin=asked, stdout=subprocess.PIPE, start_new_session=True
                )
            except (OSError, ValueError) as error:
                raise self._failed(f"could not be started ({error})") from error
        try:
            answer = self._read(process, until)
            code = process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise self._failed(f"did not answer within {self._patience:g} seconds") from error
        finally:
            _stop(process)
        if code:
            raise self._failed(f"ended with {code}")
        return answer

    def _read(self, process: subprocess.Popen[bytes], until: float) -> bytes:
        answer, pipe = b"", process.stdout
        while (
            pipe is not None
            and select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]
        ):
            if not (more := os.read(pipe.fileno(), _ANSWER)):
                return answer
            answer += more
            if len(answer) > _ANSWER:
                raise self._failed("said more than a signature")
        raise subprocess.TimeoutExpired(self._command, self._patience)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it started, if they did not end by themselves."""
    if process.returncode is None:  # so it was not waited for, and its number is still its own
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


# ── the passphrase ──────────────────────────────────────────────────────────────────────────


def passphrase_from_environment() -> str | None:
    """Return LETTERLOCK_PASSPHRASE, or the first line of LETTERLOCK_PASSPHRASE_FILE, if set.

    Raises WorkspaceError if that file cannot be read, or either is empty.
    """
    said = os.environ.get("LETTERLOCK_PASSPHRASE")
    if said is None and (name := os.environ.get("LETTERLOCK_PASSPHRASE_FILE")) is not None:
        try:
            said = Path(name).read_text(encoding="utf-8").partition("\n")[0]
        except (OSError, ValueError) as error:
            raise WorkspaceError(f"the passphrase in {name} cannot be read: {error}") from error
    if said == "":
        raise WorkspaceError("the passphrase is empty: keys sealed with it would lie open")
    return said
