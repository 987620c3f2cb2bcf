"""Witnesses: what one keeps in its folder, and how a log asks others.

The folder has `keys/` (the two secret keys) and a folder per log, named by the hex of SHA-256 of
its origin: `checkpoint` (the newest note, cosigned), `lock`, and, should the log ever fork,
`fork-cosigned` and `fork-refused`.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import queue
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from letterlock.errors import (
    InputError,
    LetterlockError,
    LogError,
    SignatureError,
    WorkspaceError,
)
from letterlock.record import checkpoint as checkpoints
from letterlock.record import note as notes
from letterlock.record import witness
from letterlock.record.merkle import Hash
from letterlock.record.note import Kind, Note, SecretSigner, SignatureLine, Verifier
from letterlock.record.quorum import AHEAD, Policy
from letterlock.record.witness import Request, Response, folder_of
from letterlock.store import files
from letterlock.store import keys as key_files

PATIENCE: Final = 10.0
"""Seconds in which a witness has to have answered, in all."""

_KEYS: Final = "keys"
_NOTE: Final = "checkpoint"
_SOON: Final = 0.001


# ── its keys ────────────────────────────────────────────────────────────────────────────────


def verifiers_in(folder: Path) -> tuple[Verifier, ...]:
    """Return the public keys of the witness in `folder`, (04, 06), or none if it has none yet.

    Raises WorkspaceError if one of the two is missing or altered.
    """
    files = {kind: sorted((folder / _KEYS).glob(f"{kind}-*.key")) for kind in key_files.SIGNING}
    if not any(files.values()):
        return ()
    try:
        ((one,), (other,)) = files.values()
        found = [key_files.parse(path.read_bytes()).public for path in (one, other)]
        verifiers = tuple(_as_witness(notes.parse_vkey(public)) for public in found)
    except (ValueError, OSError, InputError) as error:
        raise WorkspaceError(
            f"{folder / _KEYS} does not hold the two keys of a witness: {error}"
        ) from error
    if len({each.name for each in verifiers}) > 1:
        raise WorkspaceError(f"{folder / _KEYS} holds keys of two witnesses")
    return verifiers


def make_keys(folder: Path, name: str, ask: key_files.Ask) -> None:
    """Make a witness's folder and its two keys. Raises WorkspaceError, InputError."""
    notes.check_name(name)
    keys = key_files.KeyFolder(folder / _KEYS, origin=name, simulated=False, ask=ask)
    keys.unlock()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _KEYS).mkdir(mode=0o700)
    except OSError as error:
        raise WorkspaceError(f"no witness could be made in {folder}: {error.strerror}") from error
    for kind in key_files.SIGNING:
        keys.write(key_files.new(kind, name))


def signers_in(folder: Path, ask: key_files.Ask) -> tuple[SecretSigner, ...]:
    """Open the two keys of the witness in `folder`, (04, 06). Raises WorkspaceError."""
    found = verifiers_in(folder)
    if not found:
        raise WorkspaceError(f"{folder} is no witness's folder")
    name = found[0].name
    keys = key_files.KeyFolder(folder / _KEYS, origin=name, simulated=False, ask=ask)
    return tuple(
        SecretSigner(name, each.kind, keys.secret(kind, _as_log(each).vkey))
        for kind, each in zip(key_files.SIGNING, found, strict=True)
    )


def _as_witness(key: Verifier) -> Verifier:
    """Return the key that cosigns: key files write an Ed25519 key down as type 01."""
    return Verifier(
        key.name, Kind.MLDSA44 if key.kind is Kind.MLDSA44 else Kind.COSIGNATURE, key.public
    )


def _as_log(key: Verifier) -> Verifier:
    return Verifier(
        key.name, Kind.MLDSA44 if key.kind is Kind.MLDSA44 else Kind.ED25519, key.public
    )


# ── its state ───────────────────────────────────────────────────────────────────────────────


class FolderState:
    """A WitnessState of files: atomic across threads and processes, durable, one note per log."""

    def __init__(self, folder: Path) -> None:
        """Keep everything in `folder`, which is made when the first note comes."""
        self._folder = folder

    def read(self, origin: str) -> bytes | None:
        """Return the note of a log, None if there is none yet. Raises LogError."""
        with _reported(origin):
            return _content(self._folder / folder_of(origin) / _NOTE)

    def compare_and_set(self, origin: str, old: bytes | None, new: bytes) -> bool:
        """Put `new` in the place of `old`, durably; False if it is not `old`. Raises LogError.

        After an error (a disk that is full, say) it is the one or the other, never a part.
        """
        with _reported(origin), self._alone(origin) as folder:
            if _content(folder / _NOTE) != old:
                return False
            files.write(folder / _NOTE, new)
        return True

    def keep(self, origin: str, cosigned: bytes, refused: bytes) -> None:
        """Keep the proof that a log has forked, durably; the first stays. Raises LogError."""
        with _reported(origin), self._alone(origin) as folder:
            # The refused note is written last: where it is, its pair is whole.
            if not (folder / "fork-refused").exists():
                files.write(folder / "fork-cosigned", cosigned)
                files.write(folder / "fork-refused", refused)

    @contextmanager
    def _alone(self, origin: str) -> Iterator[Path]:
        """Let nobody else, thread or process, write to a log's folder."""
        folder = self._folder / folder_of(origin)
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            files.sync(self._folder)
            files.sync(self._folder.parent)
        # The lock belongs to this opening of the file, so two threads exclude each other as well.
        with (folder / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


@contextmanager
def _reported(origin: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LogError(f"what is kept of {origin!r}: {error.strerror}") from error


# ── others ──────────────────────────────────────────────────────────────────────────────────


class HttpWitness:
    """A witness somewhere else, by its submission prefix (an http or https URL)."""

    def __init__(self, url: str) -> None:
        """Take an address; nothing is asked yet. Raises InputError."""
        try:
            parts = urlsplit(url)
            self._host, self._port = parts.hostname or "", parts.port
        except ValueError:
            parts = urlsplit("")
        beside = parts.query or parts.fragment or parts.username or parts.password
        web = parts.scheme in {"http", "https"} and self._host and re.fullmatch("[!-~]+", url)
        if not web or beside:
            raise InputError(
                f"{url!r} is no address of a witness: write http(s)://HOST[:PORT]/PATH"
            )
        self._path = f"{parts.path.rstrip('/')}/add-checkpoint"
        self._secure = parts.scheme == "https"

    def add_checkpoint(
        self, old: int, proof: Sequence[Hash], note: Note, *, patience: float = PATIENCE
    ) -> tuple[SignatureLine, ...] | int:
        """Ask for cosignatures; an int is the size at which the witness is instead of at `old`.

        No redirect is followed; the answer is bounded in bytes and, by `patience` (seconds, for
        all of it), in time. Who signed the lines is not checked here. Raises InputError if the
        answer cannot be read, LogError if there is none or the witness refuses.
        """
        body = Request(old, tuple(proof), note).encode()
        return witness.read_response(self._post(body, max(patience, _SOON)))

    def _post(self, body: bytes, patience: float) -> Response:
        end = time.monotonic() + patience
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=patience)
        # A time-out of a socket starts anew with every byte: only cutting it bounds the whole.
        cut = threading.Timer(0, _shut, [connection])
        cut.daemon = True
        try:
            connection.connect()
            cut.interval = max(end - time.monotonic(), _SOON)
            cut.start()
            connection.request("POST", self._path, body, {"Content-Type": "text/plain"})
            answer = connection.getresponse()
            content_type = answer.headers.get("Content-Type", "").strip()
            return Response(answer.status, answer.read(witness.MAX_ANSWER + 1), content_type)
        except (OSError, http.client.HTTPException, ValueError) as error:
            late = " in time" if time.monotonic() >= end or isinstance(error, TimeoutError) else ""
            raise LogError(f"no answer{late}: {error or type(error).__name__}") from error
        finally:
            cut.cancel()
            connection.close()


def _shut(connection: http.client.HTTPConnection) -> None:
    """End a conversation from another thread: whoever waits for a byte gets none."""
    with contextlib.suppress(OSError, AttributeError):  # over already
        connection.sock.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, slots=True)
class Gathered:
    """A note with the cosignatures that came, and by URL why others did not."""

    note: Note
    missed: dict[str, str]


def gather(  # noqa: PLR0913 - what is asked, of whom, how far, until when
    note: Note,
    policy: Policy,
    consistency: Callable[[int, int], Sequence[Hash]],
    *,
    old: int,
    now: int,
    patience: float = PATIENCE,
) -> Gathered:
    """Ask every witness of a policy that has a URL to cosign, all at once.

    Args:
        note: a checkpoint that its log signed.
        policy: whose keys count; witnesses with one URL are one witness with several keys.
        consistency: gives the proof from the first size to the second; one call at a time.
        old: at which size the witnesses are supposed to be; each that is elsewhere says so, and is
            asked once more from there.
        now: seconds since 1970-01-01 UTC. A cosignature from AHEAD later than that is no use.
        patience: seconds after which nobody is waited for, whatever they are doing.

    A line is attached only after it was verified, one per key; it takes the place of what the key
    signed before. Whether that makes the quorum is Policy.check's to say. Raises InputError,
    SignatureError if the note is not of a log of the policy.
    """
    logs = [each.verifier for each in policy.logs]
    bare = witness.only_by(note, logs)
    asking = _Asking(bare, checkpoints.opened(bare, logs)[0].size, logs, consistency, now)
    keys: dict[str, list[Verifier]] = {}
    for each in policy.witnesses:
        if each.url is not None:
            keys.setdefault(each.url, []).append(each.verifier)
    end = time.monotonic() + patience
    answers: queue.SimpleQueue[tuple[str, _Answer | Exception]] = queue.SimpleQueue()
    for url, own in keys.items():
        # No pool: the interpreter would wait for its threads, and so for whoever never answers.
        ask = partial(_put, answers, url, partial(asking.ask, url, own, old, end))
        threading.Thread(target=ask, daemon=True).start()
    found: dict[Verifier, SignatureLine] = {}
    missed = dict.fromkeys(keys, f"no answer in {patience:g} seconds")
    for _ in keys:
        try:
            url, answer = answers.get(timeout=max(end - time.monotonic(), 0))
        except queue.Empty:
            break
        if isinstance(answer, LetterlockError):
            missed[url] = str(answer)
        elif isinstance(answer, Exception):
            raise answer
        else:
            found |= answer.lines
            del missed[url]
            missed |= {url: answer.odd} if answer.odd else {}
    new = {(line.name, line.key_id) for line in found.values()}
    kept = tuple(s for s in note.signatures if (s.name, s.key_id) not in new)
    return Gathered(Note(note.text, (*kept, *found.values())), missed)


@dataclass(frozen=True, slots=True)
class _Answer:
    """The lines that hold, one per key, and what was wrong with another one ("" if nothing)."""

    lines: dict[Verifier, SignatureLine]
    odd: str


def _put(
    answers: queue.SimpleQueue[tuple[str, _Answer | Exception]],
    url: str,
    ask: Callable[[], _Answer],
) -> None:
    try:
        answers.put((url, ask()))
    except Exception as error:  # noqa: BLE001 - who waits for it raises it
        answers.put((url, error))


class _Asking:
    """What every witness is asked, and how its answer is judged."""

    def __init__(
        self,
        note: Note,
        size: int,
        logs: Sequence[Verifier],
        consistency: Callable[[int, int], Sequence[Hash]],
        now: int,
    ) -> None:
        self._note, self._size, self._logs, self._now = note, size, logs, now
        self._consistency, self._lock = consistency, threading.Lock()

    def ask(self, url: str, keys: Sequence[Verifier], old: int, end: float) -> _Answer:
        """Ask one witness, twice if it is at another size than `old`. Raises LetterlockError."""
        asked = HttpWitness(url)
        found = asked.add_checkpoint(*self._from(old), patience=end - time.monotonic())
        if isinstance(found, int):
            if found > self._size:
                raise LogError(
                    f"it has cosigned {found} entries of this log, and this is of {self._size}: "
                    "the log was rolled back, or there are two"
                )
            found = asked.add_checkpoint(*self._from(found), patience=end - time.monotonic())
        if isinstance(found, int):
            raise LogError(f"it is at {found} entries now: somebody else asks it, too")
        return self._judged(found, {(key.name, key.key_id): key for key in keys})

    def _from(self, old: int) -> tuple[int, Sequence[Hash], Note]:
        with self._lock:
            return old, self._consistency(old, self._size), self._note

    def _judged(
        self, lines: Iterable[SignatureLine], keys: Mapping[tuple[str, bytes], Verifier]
    ) -> _Answer:
        found: dict[Verifier, SignatureLine] = {}
        odd = ""
        for line in lines:
            key = keys.get((line.name, line.key_id))
            if key is None or key in found:
                continue
            try:
                self._check(line, key)
            except SignatureError as error:
                odd = str(error)
            else:
                found[key] = line
        if not found:
            raise SignatureError(odd or "none of the keys that the policy has for it signed")
        return _Answer(found, odd)

    def _check(self, line: SignatureLine, key: Verifier) -> None:
        """Raise SignatureError unless a line holds, and says a time that is not to come."""
        # With the log's own lines: one of type 06 alone would not answer for extension lines.
        signed = self._note.signed_by([line])
        _, seen = checkpoints.opened(signed, [*self._logs, key])
        at = next(each.seconds for each in seen if each.verifier == key)
        if not at or at > self._now + AHEAD:
            raise SignatureError(f"a cosignature of {key.name!r} says no time, or one to come")
