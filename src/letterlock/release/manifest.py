"""The manifest of a release: what was asked, what went, what stayed and why, and every file's hash.

Canonical JSON (RFC 8785), so that equal releases have equal manifests. Spec: docs/spec/manifest.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from letterlock.domain import Reason, Recipient, Rulebook, canonical, sha256, text_of
from letterlock.errors import InputError, VerificationError
from letterlock.record.memberset import MemberSet
from letterlock.record.merkle import Hash

FORMAT: Final = "letterlock/release/v1"
NAME: Final = "manifest.json"
MEMBERS: Final = "members.parquet"
OUTGOING: Final = "outgoing"
DATA: Final = "data"
"""Where the rows are, below OUTGOING: a folder of shards for each source."""
"""What goes to the recipient; `private` stays."""
PRIVATE: Final = "private"
WITHHELD: Final = "withheld.parquet"
PARTY_COLUMNS: Final = ("authors", "recipients", "members", "quoted")
"""Indexes into members.parquet, one list per role, in the order of domain.Role."""

_FILE: Final = {"path": str, "rows": int, "bytes": int, "sha256": str}
_SHAPE: Final = {
    "format": str,
    "release": str,
    "simulated": bool,
    "purpose": str,
    "recipient": {"id": str, "name": str, "class": str},
    "as_of": str,
    "policy": [{"version": str, "sha256": str}],
    "counts": {"items": int, "released": int, "withheld": int, "by_reason": dict, "by_class": dict},
    "members": int,
    "member_set": {"opened": int, "opening": str, "key": int, "depth": int, "root": str},
    "shards": int,
    "files": [_FILE],
    "private": [_FILE],
}
"""Every key of a manifest and what it holds; a list shows one of its elements."""

_SUPERSEDES: Final = {"version": int, "manifest": str, "list": str, "dropped": int, "rows": int}
"""What a later version says beside: after which drop list, of what first manifest, and how much."""


@dataclass(frozen=True)
class FileEntry:
    """One file of a release; `path` is relative to the manifest."""

    path: str
    rows: int
    size: int
    sha256: str

    def record(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return {"path": self.path, "rows": self.rows, "bytes": self.size, "sha256": self.sha256}


@dataclass(frozen=True)
class Opening:
    """What a release is of: fixed before anything is built; its pseudonyms are bound to it."""

    purpose: str
    recipient: Recipient
    as_of: int
    upto: int
    sources: Sequence[tuple[str, str]]  # name, fingerprint
    shards: int
    simulated: bool

    def body(self) -> dict[str, Any]:
        """Return what the ledger records as `release.opened`."""
        return {
            "purpose": self.purpose,
            "recipient": self.recipient.id,
            "as_of": self.as_of,
            "upto": self.upto,
            "sources": [list(source) for source in self.sources],
            "shards": self.shards,
            "release": self.id,
        }

    @property
    def id(self) -> str:
        """Return the name of the release: the same request has the same."""
        asked = [self.purpose, self.recipient.id, self.as_of, self.upto, self.shards]
        return sha256(canonical([*asked, [list(source) for source in self.sources]]))[:16]


@dataclass(frozen=True)
class Logged:
    """Where the log has what a release's pseudonyms follow from.

    `opened` and `leaf`: place and leaf hash of the opening's entry; `key`: the place of the key's.
    """

    opened: int
    leaf: Hash
    key: int


def write(  # noqa: PLR0913 - everything the manifest says
    opening: Opening,
    rules: Rulebook,
    *,
    items: int,
    withheld: Mapping[Reason, int],
    classes: Mapping[str, int],
    logged: Logged,
    members: MemberSet,
    files: Sequence[FileEntry],
    private: Sequence[FileEntry],
) -> bytes:
    """Return the bytes of the manifest."""
    stayed = sum(withheld.values())
    record = {
        "format": FORMAT,
        "release": opening.id,
        "simulated": opening.simulated,
        "purpose": opening.purpose,
        "recipient": {
            "id": opening.recipient.id,
            "name": opening.recipient.name,
            "class": opening.recipient.recipient_class.value,
        },
        "as_of": text_of(opening.as_of),
        "policy": [
            {"version": v.version, "sha256": sha256(canonical(dict(v.documents)))}
            for v in rules.policies
        ],
        "counts": {
            "items": items,
            "released": items - stayed,
            "withheld": stayed,
            "by_reason": {r.name.lower(): n for r, n in sorted(withheld.items()) if n},
            "by_class": {name: n for name, n in sorted(classes.items()) if n},
        },
        "members": members.count,
        "member_set": {
            "opened": logged.opened,
            "opening": logged.leaf.hex(),
            "key": logged.key,
            "depth": members.depth,
            "root": members.root.hex(),
        },
        "shards": opening.shards,
        "files": [f.record() for f in files],
        "private": [f.record() for f in private],
    }
    return canonical(record) + b"\n"


def content(folder: Path) -> bytes:
    """Return the bytes of a release's manifest. Raises VerificationError if there are none."""
    path = folder / OUTGOING / NAME
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise VerificationError(f"{folder}: no release here ({path} is missing)") from error
    except OSError as error:
        raise VerificationError(f"{path}: not a manifest: {error.strerror}") from error


def read(folder: Path) -> dict[str, Any]:
    """Read a release's manifest. Raises VerificationError if it is none, or not canonical."""
    return parse(content(folder), str(folder / OUTGOING / NAME))


def parse(data: bytes, path: str = NAME) -> dict[str, Any]:
    """Read a manifest of any version; `path` is how errors call it. Raises VerificationError."""
    try:
        record = json.loads(data)
        canonically = canonical(record) + b"\n"
    except (ValueError, RecursionError, InputError) as error:
        raise VerificationError(f"{path}: not a manifest: {error}") from error
    shape: dict[str, Any] = _SHAPE
    if isinstance(record, dict) and "supersedes" in record:
        shape = {**_SHAPE, "supersedes": _SUPERSEDES}
    if canonically != data or not _fits(record, shape) or record["format"] != FORMAT:
        raise VerificationError(f"{path}: not a canonical manifest of {FORMAT}")
    found: dict[str, Any] = record
    return found


def version_of(record: Mapping[str, Any]) -> int:
    """Return after which drop list a release is as its manifest says: 0 as it was sealed first."""
    number: int = record["supersedes"]["version"] if "supersedes" in record else 0
    return number


def members_of(version: int) -> str:
    """Return where the members of a superseded version are kept, in `private`."""
    return f"members-{version}.parquet"


def _fits(value: object, shape: object) -> bool:
    """Say whether a JSON value has the keys and types of `shape`, and counts nothing below 0."""
    if isinstance(shape, dict):
        return (
            isinstance(value, dict)
            and value.keys() == shape.keys()
            and all(_fits(value[key], inner) for key, inner in shape.items())
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(each, shape[0]) for each in value)
    return type(value) is shape and (not isinstance(value, int) or value >= 0)
