"""Proof files: that an entry is in a log, to be checked without the log. docs/spec/notes.md §4.

The form is C2SP's tlog-proof: the entry's index, the audit path, and a checkpoint with everything
that was signed on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from letterlock.errors import InputError
from letterlock.record import checkpoint as checkpoints
from letterlock.record import merkle
from letterlock.record import note as notes
from letterlock.record.merkle import Hash
from letterlock.record.quorum import Policy, Trusted

MAX_PATH: Final = 63
"""The hashes that a path may have: no log has 2^63 entries."""
MAX_EXTRA: Final = 65_536
"""The bytes of extra data that a proof file may carry."""
MAX_SIZE: Final = notes.MAX_SIZE + 100_000
"""The bytes that a proof file may have: a note, the longest path and the most extra data."""

_FIRST: Final = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class ProofFile:
    """The entry at `index` is in the tree of `checkpoint`: `path` leads from its leaf to the root.

    `checkpoint` is a signed note, byte for byte. `extra` (at least one byte) is signed by nobody.
    """

    index: int
    path: tuple[Hash, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be written down, or holds no checkpoint. Raises InputError."""
        if not 0 <= self.index <= notes.MAX_NUMBER:
            raise InputError("the index of an entry is from 0 to 2^63-1")
        if len(self.path) > MAX_PATH or any(len(each) != merkle.HASH_SIZE for each in self.path):
            raise InputError(f"a path has at most {MAX_PATH} hashes of {merkle.HASH_SIZE} bytes")
        if self.extra is not None and not 1 <= len(self.extra) <= MAX_EXTRA:
            raise InputError(f"extra data of a proof have 1 to {MAX_EXTRA} bytes")
        checkpoints.parse(notes.parse(self.checkpoint).text)

    def encode(self) -> bytes:
        """Write the proof file."""
        extra = [] if self.extra is None else [f"extra {notes.to_base64(self.extra)}"]
        path = map(notes.to_base64, self.path)
        lines = _FIRST, *extra, f"index {self.index}", *path, ""
        return "".join(f"{line}\n" for line in lines).encode() + self.checkpoint

    def check(self, entry_leaf: Hash, policy: Policy, *, now: int | None = None) -> Trusted:
        """Return the checkpoint that `policy` accepts and the entry with this leaf hash is in.

        `now` is for Policy.check. Raises SignatureError if the policy does not accept it,
        ProofError if the entry is not where the proof says.
        """
        trusted = policy.check(self.checkpoint, now=now)
        root, size = trusted.checkpoint.root, trusted.checkpoint.size
        merkle.verify_inclusion(root, entry_leaf, self.index, size, self.path)
        return trusted


def parse(data: bytes) -> ProofFile:
    """Read a proof file. Raises InputError; what it proves is not checked here."""
    if len(data) > MAX_SIZE:
        raise InputError(f"a proof file has at most {MAX_SIZE} bytes, not {len(data)}")
    head, empty, checkpoint = data.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise InputError("the lines of a proof are ASCII") from error
    if first != _FIRST or not empty:
        raise InputError(f"a proof file starts with {_FIRST!r} and ends with a checkpoint")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = notes.from_base64(lines.pop(0).removeprefix("extra "))
    if not lines or not lines[0].startswith("index "):
        raise InputError("a proof file says the index of the entry")
    index = notes.number(lines[0].removeprefix("index "))
    path = tuple(map(notes.from_base64, lines[1 : MAX_PATH + 2]))  # one too many is refused below
    return ProofFile(index, path, checkpoint, extra)
