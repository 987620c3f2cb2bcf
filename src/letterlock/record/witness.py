"""A witness: cosigns checkpoints of logs it knows, each only if it extends the one before.

The protocol is C2SP's tlog-witness, without the network and the disk: a request is bytes, the
answer a status, a body and its type. Who asks does not matter; only the log's signature does.

Of each log a witness keeps one note: its newest checkpoint, with the log's signatures and its own.
What it signs is that this was the newest at that second, so its own time never goes back: with a
clock behind its last cosignature it signs nothing. It cannot know which of the two times is wrong,
and to sign the later one again would be a statement that nobody made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from letterlock.errors import InputError, LogError, ProofError, SignatureError
from letterlock.record import checkpoint as checkpoints
from letterlock.record import merkle
from letterlock.record import note as notes
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.merkle import Hash
from letterlock.record.note import Kind, Note, SignatureLine, Signer, Verifier

MAX_REQUEST: Final = 131_072
"""The bytes of a request: 63 hashes, and a note with 16 signatures of 5 kB."""
MAX_ANSWER: Final = 65_536
"""The bytes of an answer that a client reads."""
MAX_PROOF: Final = 63
"""The hashes of a consistency proof: no log has 2^63 entries."""

TEXT: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"

_OLD: Final = "old "


# ── requests ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Request:
    """Please cosign `note`; `proof` shows that it extends the first `old` entries of its log."""

    old: int
    proof: tuple[Hash, ...]
    note: Note

    def encode(self) -> bytes:
        """Write the request. Raises InputError if nobody could read it back."""
        lines = [f"{_OLD}{self.old}", *map(notes.to_base64, self.proof), ""]
        data = "".join(f"{line}\n" for line in lines).encode() + self.note.encode()
        parse_request(data)
        return data


def parse_request(data: bytes) -> Request:
    """Read a request. Raises InputError; nothing in it is checked here."""
    if len(data) > MAX_REQUEST:
        raise InputError(f"a request has at most {MAX_REQUEST} bytes, not {len(data)}")
    head, empty, note = data.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n", MAX_PROOF + 1)
    except UnicodeDecodeError as error:
        raise InputError("the lines before the checkpoint are ASCII") from error
    if not empty or not first.startswith(_OLD):
        raise InputError("a request starts with a line `old SIZE`, and a checkpoint follows")
    if len(lines) > MAX_PROOF:
        raise InputError(f"a proof has at most {MAX_PROOF} hashes")
    proof = tuple(map(notes.from_base64, lines))
    if any(len(each) != merkle.HASH_SIZE for each in proof):
        raise InputError(f"a hash is {merkle.HASH_SIZE} bytes long")
    return Request(notes.number(first.removeprefix(_OLD)), proof, notes.parse(note))


@dataclass(frozen=True, slots=True)
class Response:
    """What a witness answers: an HTTP status, a body and its content type."""

    status: int
    body: bytes
    content_type: str = TEXT


def read_response(response: Response) -> tuple[SignatureLine, ...] | int:
    """Return the signature lines of an answer, or the size at which the witness says it is.

    Raises InputError if it cannot be read, LogError if the witness refuses. Who signed the lines
    is not checked here.
    """
    if len(response.body) > MAX_ANSWER:
        raise InputError(f"a witness answers with at most {MAX_ANSWER} bytes")
    if response.status == 200:  # noqa: PLR2004 - a status
        return notes.parse_lines(response.body)
    if response.status == 409 and response.content_type == SIZE:  # noqa: PLR2004 - a status
        try:
            said = response.body.decode("ascii")
        except UnicodeDecodeError as error:
            raise InputError("a size is written in ASCII") from error
        if not said.endswith("\n"):
            raise InputError("a size ends in a newline")
        return notes.number(said.removesuffix("\n"))
    why = response.body[:200].decode(errors="replace").split("\n", 1)[0]
    raise LogError(f"it answered {response.status}: {why!r}")


# ── answers ─────────────────────────────────────────────────────────────────────────────────


class WitnessState(Protocol):
    """Where a witness keeps its newest note of each log. Every method may raise LogError."""

    def read(self, origin: str) -> bytes | None:
        """Return the note of a log, None if there is none yet."""

    def compare_and_set(self, origin: str, old: bytes | None, new: bytes) -> bool:
        """Put `new` in the place of `old`, durably before returning; False if it is not `old`.

        Nobody else, thread or process, gets in between.
        """

    def keep(self, origin: str, cosigned: bytes, refused: bytes) -> None:
        """Keep the proof that a log has forked: two notes that it signed. The first is enough."""


def by_origin(verifiers: Iterable[Verifier]) -> dict[str, tuple[Verifier, ...]]:
    """Return the keys of each log; a log key's name is its log's origin. Raises InputError."""
    found: dict[str, tuple[Verifier, ...]] = {}
    for each in verifiers:
        if each.kind is Kind.COSIGNATURE:
            raise InputError(
                f"the key of {each.name!r} is a witness's: a log's is of type 01 or 06"
            )
        found[each.name] = (*found.get(each.name, ()), each)
    return found


def folder_of(origin: str) -> str:
    """Return under which name a witness shows its note of a log: hex of SHA-256 of the origin."""
    return hashlib.sha256(origin.encode()).hexdigest()


class _Refused(Exception):
    """The answer is no; the exception carries it."""

    def __init__(self, status: int, why: object, content_type: str = TEXT) -> None:
        super().__init__(status)
        self.response = Response(status, f"{why}\n".encode(), content_type)


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness: its own keys (types 04 and 06), and those of the logs it knows, by origin."""

    signers: Sequence[Signer]
    logs: Mapping[str, Sequence[Verifier]]

    def __post_init__(self) -> None:
        """Refuse keys that sign no time, or none. Raises InputError."""
        kinds = {signer.verifier.kind for signer in self.signers}
        if not kinds or Kind.ED25519 in kinds:
            raise InputError("a witness has keys of type 04 or 06, and of no other")

    def answer(self, data: bytes, state: WitnessState, clock: Callable[[], int]) -> Response:
        """Answer a request: 200 with a line per key once the new checkpoint is stored durably.

        `clock` gives seconds since 1970-01-01 UTC; it is asked after the state, so a request that
        waited is not taken for one with a clock behind. Raises LogError if the state cannot be
        read or written: then nothing was signed that anybody sees.
        """
        try:
            request, new, note = self._opened(data)
            while True:
                stored = state.read(new.origin)
                last, seconds = self._last(new.origin, stored)
                # Two roots of one size, both signed by the log: that pair needs no more proof.
                if stored and new.size == last.size and new.root != last.root:
                    state.keep(new.origin, stored, note.encode())
                _check(request, new, last)
                signed = self._cosigned(note, seconds, clock())
                cosigned = note.signed_by(signed).encode()
                if state.compare_and_set(new.origin, stored, cosigned):
                    return Response(200, b"".join(line.encode() for line in signed))
                # Somebody was faster. Look again: this may extend what is there now, or not.
        except _Refused as refused:
            return refused.response

    def _opened(self, data: bytes) -> tuple[Request, Checkpoint, Note]:
        """Return a request, its checkpoint, and the note without the lines of strangers."""
        try:
            request = parse_request(data)
            checkpoint = checkpoints.parse(request.note.text)
        except InputError as error:
            raise _Refused(400, error) from error
        keys = self.logs.get(checkpoint.origin)
        if keys is None:
            raise _Refused(404, f"the log {checkpoint.origin!r} is not known here")
        try:
            checkpoints.opened(request.note, keys)
        except SignatureError as error:
            raise _Refused(403, error) from error
        return request, checkpoint, only_by(request.note, keys)

    def _last(self, origin: str, stored: bytes | None) -> tuple[Checkpoint, int]:
        """Read what was cosigned last, and at which second (a log begins empty, at second 0).

        Raises LogError if it is not what this witness wrote.
        """
        if stored is None:
            return Checkpoint(origin, 0, merkle.EMPTY_ROOT), 0
        keys = [signer.verifier for signer in self.signers]
        try:
            checkpoint, seen = checkpoints.opened(notes.parse(stored), keys)
        except (InputError, SignatureError) as error:
            raise LogError(f"what is kept of {origin!r} was altered: {error}") from error
        if checkpoint.origin != origin:
            raise LogError(f"what is kept of {origin!r} is of {checkpoint.origin!r}")
        return checkpoint, max(each.seconds or 0 for each in seen)

    def _cosigned(self, note: Note, last: int, now: int) -> list[SignatureLine]:
        if now < last:
            raise _Refused(503, f"the clock here says {now}, before the last cosignature ({last})")
        return [checkpoints.cosign(note, signer, now) for signer in self.signers]


def _check(request: Request, new: Checkpoint, last: Checkpoint) -> None:
    """Refuse what is not the next step of this log. Order and statuses: tlog-witness."""
    if request.old > new.size:
        raise _Refused(400, f"old {request.old} is more than the checkpoint's {new.size}")
    if request.old != last.size:
        raise _Refused(409, last.size, SIZE)
    try:
        merkle.verify_consistency(last.root, last.size, new.root, new.size, request.proof)
    except ProofError as error:
        raise _Refused(422, error) from error


def only_by(note: Note, keys: Iterable[Verifier]) -> Note:
    """Return a note with one line of each of `keys` that has any, and no others."""
    known = {(key.name, key.key_id) for key in keys}
    lines: dict[tuple[str, bytes], SignatureLine] = {}
    for line in note.signatures:
        if (line.name, line.key_id) in known:
            lines.setdefault((line.name, line.key_id), line)
    return Note(note.text, tuple(lines.values()))
