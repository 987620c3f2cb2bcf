"""What the public log holds of each event, written and read. Spec: docs/spec/evidence.md §1.

An event about everyone stands there in the clear, one about a person as its commitment and nothing
else, not even its kind or time. What is too long for an entry stands there by its hash, and itself
beside the log. The name of an operator is a person's, so it is left out and only committed to.
"""

from __future__ import annotations

import json
import re
from binascii import hexlify
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

from letterlock.domain import Time, canonical, sha256
from letterlock.errors import InputError, LedgerError
from letterlock.evidence import strict
from letterlock.ledger import PERSONAL, Body, Event, check_version
from letterlock.record.tlog import MAX_ENTRY

MAX_BLOB: Final = 2**26
"""Bytes of an event that stands beside the log, or of a manifest."""
MAX_VALUES: Final = 2**22
"""Values in it, at most: a manifest has a few for each file."""
OPERATOR: Final = "operator.registered"

_COMMITTED: Final = re.compile(rb'\{"commitment":"([0-9a-f]{64})"\}')
_OPERATOR: Final = b'"kind":"operator.registered"'
_HASH_SIZE: Final = 32
_EVENT: Final = {"body": dict, "index": int, "kind": str, "time": int, "v": int}
_BY_HASH: Final = {
    "index": int, "kind": str, "sha256": str, "size": int, "time": int, "v": int,
}  # fmt: skip


class Written(NamedTuple):
    """An entry, and what stands beside the log under its SHA-256, if it was too long."""

    entry: bytes
    blob: bytes | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """An event about a person: whoever has event and salt can show that it is the one."""

    commitment: bytes


@dataclass(frozen=True, slots=True)
class Public:
    """An event about everyone; `commitment` of the whole, where something was left out."""

    index: int
    time: Time
    kind: str
    body: Body
    commitment: bytes | None = None


@dataclass(frozen=True, slots=True)
class ByHash:
    """An event about everyone that is too long for an entry; `open` gives it back."""

    index: int
    time: Time
    kind: str
    sha256: str
    size: int

    def open(self, blob: bytes) -> Public:
        """Read the event from what stands beside the log. Raises InputError if it is not that."""
        if len(blob) != self.size or sha256(blob) != self.sha256:
            raise InputError(f"event {self.index}: what stands beside the log is another text")
        what = f"event {self.index}"
        value = strict.parse_canonical(blob, what, limit=MAX_BLOB, values=MAX_VALUES)
        found = _public(value)
        if (found.index, found.time, found.kind) != (self.index, self.time, self.kind):
            raise InputError(f"event {self.index}: what stands beside the log is another event")
        return found


Entry: TypeAlias = Committed | Public | ByHash


# ── writing ─────────────────────────────────────────────────────────────────────────────────


def entry_of(event: Event, commitment: bytes) -> Written:
    """Return the log entry of an event."""
    return _written(None if event.kind in PERSONAL else event.canonical(), commitment)


def entries_of(rows: Iterable[tuple[int, bytes | None, bytes]]) -> Iterator[Written]:
    """Yield the entry of each (index, canonical bytes or None, commitment).

    None is an event about a person. As `SqliteStore.entries` yields them. Raises LedgerError for
    bytes that no event has.
    """
    for index, content, commitment in rows:
        try:
            written = _written(content, commitment)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise LedgerError(f"event {index} was altered in the ledger: {error}") from error
        yield written


def committed(commitment: bytes) -> bytes:
    """Return the entry of an event about a person."""
    return b'{"commitment":"%b"}' % hexlify(commitment)


def _written(content: bytes | None, commitment: bytes) -> Written:
    if content is None:
        return Written(committed(commitment))
    if _OPERATOR in content:
        content = _nameless(content, commitment)
    if len(content) <= MAX_ENTRY:
        return Written(content)
    value = json.loads(content)
    place = {key: value[key] for key in ("index", "kind", "time", "v")}
    return Written(canonical({**place, "sha256": sha256(content), "size": len(content)}), content)


def _nameless(content: bytes, commitment: bytes) -> bytes:
    value = json.loads(content)
    if value["kind"] != OPERATOR:  # the same words, within the body of another
        return content
    body = {key: said for key, said in value["body"].items() if key != "name"}
    return canonical({**value, "body": body, "commitment": commitment.hex()})


# ── reading ─────────────────────────────────────────────────────────────────────────────────


def read(entry: bytes) -> Entry:
    """Read an entry strictly: only what `entry_of` writes.

    Raises InputError, or UnknownVersion for an event whose meaning this program does not know.
    """
    if found := _COMMITTED.fullmatch(entry):
        return Committed(bytes.fromhex(found[1].decode()))
    value = strict.parse_canonical(entry, "an entry of the log", limit=MAX_ENTRY)
    if not isinstance(value, dict) or "sha256" not in value:
        return _public(value)
    strict.shaped(value, _BY_HASH, "an entry of the log")
    strict.from_hex(value["sha256"], _HASH_SIZE, "an entry of the log: sha256")
    if not MAX_ENTRY < value["size"] <= MAX_BLOB:
        raise InputError(f"an entry of the log: {value['size']} bytes do not stand beside it")
    _check_known(value)
    return ByHash(value["index"], value["time"], value["kind"], value["sha256"], value["size"])


def _public(value: Any) -> Public:  # noqa: ANN401 - any JSON value
    shape = _EVENT
    if isinstance(value, dict) and value.get("kind") == OPERATOR:
        shape = {**_EVENT, "commitment": str}
    strict.shaped(value, shape, "an entry of the log")
    _check_known(value)
    kept = None
    if "commitment" in value:
        kept = strict.from_hex(value["commitment"], _HASH_SIZE, "an entry of the log: commitment")
        if "name" in value["body"]:
            raise InputError("an entry of the log: an operator's name does not belong there")
    return Public(value["index"], value["time"], value["kind"], value["body"], kept)


def _check_known(value: dict[str, Any]) -> None:
    check_version(Event(value["index"], value["time"], value["kind"], None, v=value["v"]))
    if value["kind"] in PERSONAL:
        raise InputError("an entry of the log: an event about a person stands there in the clear")
