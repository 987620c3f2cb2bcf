"""Public statements that anybody can show to be false. Spec: docs/spec/evidence.md §5.

A statement says of a period, a pattern of data classes, purposes and recipients that no sealed
release held a row of them. It is checked against every entry of the log, both when it is made and
when it is read: what cannot be read, or is missing, is an error and never counts as true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from letterlock.domain import (
    ANY,
    BEGINNING,
    END,
    PURPOSES,
    Time,
    canonical,
    counted,
    covers,
    sha256,
    text_of,
    time_of,
)
from letterlock.errors import InputError, LogError, ProofError
from letterlock.evidence import entries, strict
from letterlock.evidence.entries import ByHash, Committed, Public
from letterlock.evidence.finding import OUTSIDE, word
from letterlock.record import merkle, note
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.merkle import Hash
from letterlock.record.note import Note, Signer

FORMAT: Final = "letterlock/statement/v1"
MAX_CLAIM: Final = 2**16
"""Bytes of a claim."""

NOT_PROVED: Final = (
    "Anything about a release that was never sealed, or never entered the log.",
    "That rows are of the class that the platform gave them: it classifies its own tables.",
    "That a release was sealed when its seal says: witnesses bound the platform's own time.",
    OUTSIDE,
)

_CLAIM: Final[strict.Shape] = {
    "class": str, "from": str, "to": str, "purposes": str,
    "recipients": (str, list), "size": int, "root": str, "made": str,
}  # fmt: skip
_PATTERN: Final = re.compile(r"\*|[^\s*]+?(\.\*)?")
_COUNTS: Final = {
    "items": int,
    "released": int,
    "withheld": int,
    "by_reason": dict,
    "by_class": dict,
}

Blob = Callable[[str], bytes | None]
"""What stands beside the log under a SHA-256 in hexadecimal digits."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Between `start` and `end` (without it) no release held a row of `data_class`.

    Of releases those are meant whose purpose `purposes` covers, to one of `recipients` (`*`: to
    whomever). Made at `made` from the first `size` entries of the log, whose root is `root`.
    """

    data_class: str
    start: Time
    end: Time
    purposes: str
    recipients: tuple[str, ...]
    size: int
    root: Hash
    made: Time

    def __post_init__(self) -> None:
        """Refuse a claim that says nothing, or speaks of the future. Raises InputError."""
        if not _PATTERN.fullmatch(self.data_class) or not _PATTERN.fullmatch(self.purposes):
            raise InputError("a statement names a class and a purpose, each may end in .*")
        if not any(covers(self.purposes, purpose) for purpose in PURPOSES):
            raise InputError(f"no purpose is called {self.purposes}")
        if not self.recipients or list(self.recipients) != sorted(set(self.recipients)):
            raise InputError("a statement names each recipient once, in order, or all as *")
        if "" in self.recipients or (ANY in self.recipients and len(self.recipients) > 1):
            raise InputError("a statement names recipients, or all of them as *")
        if self.end <= self.start:
            raise InputError("a statement is about a period: this one ends before it begins")
        if not BEGINNING < self.start < self.end <= self.made < END:
            raise InputError("a statement is about a period that is over when it is made")

    def record(self) -> dict[str, Any]:
        """Return the claim as JSON."""
        return {
            "class": self.data_class,
            "from": text_of(self.start),
            "to": text_of(self.end),
            "purposes": self.purposes,
            "recipients": ANY if self.recipients == (ANY,) else list(self.recipients),
            "size": self.size,
            "root": self.root.hex(),
            "made": text_of(self.made),
        }

    def asks(self, time: Time, purpose: str, recipient: str) -> bool:
        """Say whether a release that was sealed at `time` is one that the claim speaks of."""
        named = self.recipients == (ANY,) or recipient in self.recipients
        return self.start <= time < self.end and named and covers(self.purposes, purpose)


@dataclass(frozen=True, slots=True)
class Held:
    """What a claim is true of: entries read, releases sealed in them, and those asked for."""

    entries: int
    releases: int
    asked: int


# ── text ────────────────────────────────────────────────────────────────────────────────────


def text(origin: str, claim: Claim) -> str:
    """Return the text of a statement, which the log signs."""
    return f"{FORMAT}\n{origin}\n{canonical(claim.record()).decode()}\n"


def sign(origin: str, claim: Claim, signers: Sequence[Signer]) -> Note:
    """Sign a claim; `check` says first whether it is true. Raises InputError, SignatureError."""
    return note.sign(text(origin, claim), signers)


def read(statement: str) -> tuple[str, Claim]:
    """Read the text of a statement: its log's origin and the claim. Raises InputError."""
    label, _, rest = statement.partition("\n")
    origin, _, line = rest.partition("\n")
    if label != FORMAT or not line.endswith("\n"):
        raise InputError(f"not the three lines of {FORMAT}")
    data = line[:-1].encode()
    value = strict.parse_canonical(data, "statement", limit=MAX_CLAIM)
    strict.shaped(value, _CLAIM, "statement")
    asked = value["recipients"]
    recipients = (asked,) if isinstance(asked, str) else tuple(asked)
    if (isinstance(asked, str) and asked != ANY) or not all(isinstance(r, str) for r in recipients):
        raise InputError("statement: recipients is * or lists ids")
    claim = Claim(
        value["class"], _time(value["from"]), _time(value["to"]), value["purposes"], recipients,
        value["size"], strict.from_hex(value["root"], merkle.HASH_SIZE, "statement: root"),
        _time(value["made"]),
    )  # fmt: skip
    if claim.record() != value:
        raise InputError("statement: written in another way than we write it")
    return origin, claim


def _time(written: str) -> Time:
    t = time_of(written)
    if text_of(t) != written:
        raise InputError(f"statement: the time {written!r} is written {text_of(t)}")
    return t


# ── truth ───────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Growing:
    """A tree to which leaves are added: the roots of its complete parts, largest first."""

    parts: list[Hash] = field(default_factory=list)
    size: int = 0

    def add(self, leaf: Hash) -> None:
        full = self.size
        while full & 1:
            leaf = merkle.node_hash(self.parts.pop(), leaf)
            full >>= 1
        self.parts.append(leaf)
        self.size += 1

    def root(self) -> Hash:
        if not self.parts:
            return merkle.EMPTY_ROOT
        *rest, found = self.parts
        for part in reversed(rest):
            found = merkle.node_hash(part, found)
        return found


@dataclass(slots=True)
class _Reading:
    """What the entries read so far say of the claim."""

    claim: Claim
    blob: Blob
    time: Time = BEGINNING
    opened: dict[int, Public] = field(default_factory=dict)
    classes: set[str] = field(default_factory=set)
    recipients: set[str] = field(default_factory=set)
    counts: dict[tuple[str, ...], dict[str, int]] = field(default_factory=dict)
    releases: int = 0
    asked: int = 0

    def take(self, entry: bytes, index: int) -> None:
        found = entries.read(entry)
        if isinstance(found, Committed):
            return
        if found.index != index:
            raise ProofError(f"entry {index:,} says that it is entry {found.index:,}")
        if found.time < self.time:
            raise ProofError(f"entry {index:,} is of an earlier time than one before it")
        self.time = found.time
        if isinstance(found, ByHash):
            found = found.open(self._beside(found.sha256, f"event {index:,}"))
        if found.kind == "policy.published":
            self.classes.update(_texts(found.body.get("data_classes"), index))
        elif found.kind == "recipient.registered":
            self.recipients.update(_texts([found.body.get("recipient")], index))
        elif found.kind == "release.opened":
            self.opened[index] = found
        elif found.kind == "release.sealed":
            self._sealed(found)

    def _sealed(self, sealed: Public) -> None:
        opening, digest = sealed.body.get("opened"), sealed.body.get("manifest")
        opened = self.opened.get(opening) if type(opening) is int else None
        if opened is None or not isinstance(digest, str):
            raise ProofError(f"entry {sealed.index:,} seals a release that was not opened")
        self.releases += 1
        name, purpose, recipient = _texts(
            [opened.body.get(key) for key in ("release", "purpose", "recipient")], opened.index
        )
        if not self.claim.asks(sealed.time, purpose, recipient):
            return
        self.asked += 1
        told = (digest, name, purpose, recipient)
        if told not in self.counts:  # a log may seal one manifest many times, and it may be large
            manifest = self._beside(digest, f"the manifest of release {name}")
            self.counts[told] = _counts(manifest, opened.body)
        counts = self.counts[told]
        for data_class, rows in sorted(counts.items()):
            if rows and covers(self.claim.data_class, data_class):
                raise ProofError(
                    f"the statement is not true: release {name}, sealed on "
                    f"{text_of(sealed.time)} for {purpose} to {recipient}, has "
                    f"{counted(rows, 'rows')} of {data_class}"
                )

    def _beside(self, digest: str, what: str) -> bytes:
        found = self.blob(digest)
        if found is None:
            raise LogError(f"{what} is not beside the log ({digest}): nothing is shown without it")
        if sha256(found) != digest:
            raise LogError(f"{what} is another text beside the log than was logged ({digest})")
        return found

    def done(self) -> None:
        """Refuse a claim about what there never was: it would be true whatever happened."""
        if not any(covers(self.claim.data_class, name) for name in self.classes):
            raise ProofError(f"no policy in the log names a class {self.claim.data_class}")
        for name in sorted({*self.claim.recipients} - self.recipients - {ANY}):
            raise ProofError(f"no recipient {name} is registered in the log")


def check(
    claim: Claim, log: Iterable[bytes], blob: Blob, checkpoint: Checkpoint | None = None
) -> Held:
    """Check a claim against every entry of the log, from the first on, and say what was read.

    `checkpoint` is the one that `log` has to lead to; the claim's own size and root, if None. A
    release that is sealed after the claim was made, but in the claim's period, makes it untrue; so
    that none can follow, such a log has to reach the period's end by the times of its entries.
    Raises ProofError if it is not true, and says which release, class and number of rows make it
    so; LogError or InputError if something is missing or cannot be read, so that nothing is shown.
    """
    size, root = (claim.size, claim.root) if checkpoint is None else (
        checkpoint.size, checkpoint.root
    )  # fmt: skip
    if size < claim.size:
        raise LogError(f"the log ends at {size:,} entries, the statement is about {claim.size:,}")
    tree, reading = _Growing(), _Reading(claim, blob)
    _check_root(tree, claim)
    for index, entry in enumerate(log):
        reading.take(entry, index)
        tree.add(merkle.leaf_hash(entry))
        _check_root(tree, claim)
    if tree.size != size or tree.root() != root:
        raise LogError(f"the entries of the log are not the {size:,} that were signed")
    if checkpoint is not None and reading.time < claim.end:
        raise LogError(
            f"the log's last time is {text_of(reading.time)}, before the period ends: a release in "
            "it may follow, and nothing is shown until a newer checkpoint reaches its end"
        )
    reading.done()
    return Held(tree.size, reading.releases, reading.asked)


def _check_root(tree: _Growing, claim: Claim) -> None:
    if tree.size == claim.size and tree.root() != claim.root:
        raise ProofError(
            f"the statement is about another log: its first {claim.size:,} entries lead to "
            f"{claim.root.hex()}, these to {tree.root().hex()}"
        )


def _texts(values: object, index: int) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise InputError(f"entry {index:,} cannot be read, so nothing is shown")
    return values


def _counts(manifest: bytes, opened: Any) -> dict[str, int]:  # noqa: ANN401 - a body
    """Return the released rows of each class, from the manifest of the opened release."""
    what = f"manifest of release {opened['release']}"
    value = strict.parse(manifest, what, limit=entries.MAX_BLOB, values=entries.MAX_VALUES)
    if not isinstance(value, dict) or not isinstance(value.get("recipient"), dict):
        raise InputError(f"{what}: not a manifest")
    told = value.get("release"), value.get("purpose"), value["recipient"].get("id")
    if told != (opened["release"], opened["purpose"], opened["recipient"]):
        raise ProofError(f"{what}: it is of another release than was opened")
    counts = strict.shaped(value.get("counts"), _COUNTS, what)
    found: dict[str, int] = strict.shaped(
        counts["by_class"], dict.fromkeys(counts["by_class"], int), what
    )  # fmt: skip
    if sum(found.values()) != counts["released"]:
        raise ProofError(f"{what}: its classes do not add up to what was released")
    return found


# ── in words ────────────────────────────────────────────────────────────────────────────────


def told(origin: str, claim: Claim, held: Held) -> tuple[str, ...]:
    """Tell what was found true, and of how much."""
    whom = "any recipient" if claim.recipients == (ANY,) else ", ".join(map(word, claim.recipients))
    what = "whatever class" if claim.data_class == ANY else word(claim.data_class)
    purpose = "any purpose" if claim.purposes == ANY else f"a purpose {claim.purposes}"
    when = f"from {text_of(claim.start)} to {text_of(claim.end)} (without it)"
    return (
        f"No release for {purpose}, to {whom}, held a row of {what}: none that was sealed {when}.",
        f"{origin} signed that on {text_of(claim.made)}, of its first {claim.size:,} entries.",
        f"All {held.entries:,} entries of the log were read; releases sealed: {held.releases:,}.",
        f"It is about {held.asked:,} of them; the manifest of each was read.",
    )
