"""What a recipient holds, recomputed from its copy and countersigned with its key.

A signed note (C2SP signed-note) by the recipient's Ed25519 key. Its text: the line
`letterlock/inventory/v1`, canonical JSON, a newline. Spec: docs/spec/handover.md §5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from letterlock.domain import Time, canonical
from letterlock.errors import InputError
from letterlock.evidence import strict
from letterlock.lineage import certificate, events
from letterlock.record import note as notes
from letterlock.record.note import Signer

FIRST: Final = "letterlock/inventory/v1\n"
LIMIT: Final = notes.MAX_SIZE - 1000
"""Bytes of the text: the rest of a note is for its signature."""

_SHAPE: Final[strict.Shape] = {
    "grant": str, "release": str, "recipient": str, "version": int, "manifest": str,
    "members": int, "depth": int, "root": str, "rows": int, "files": list, "at": int,
    "destroyed": bool, "models": list, "destroyed_models": list,
}  # fmt: skip
_FILE: Final[strict.Shape] = {"path": str, "sha256": str}
_MODEL: Final[strict.Shape] = {
    "model": str, "name": str, "sources": list, "files": int, "bytes": int,
}  # fmt: skip
_GONE: Final[strict.Shape] = {"model": str, "certificate": str}
_MAY: Final[strict.Shape] = {"unaccounted": list}
"""What an inventory has only if there is something to say."""
_READ: Final[strict.Shape] = {"purpose": str, "first": int, "last": int, "reads": int}
_HASH: Final = re.compile("[0-9a-f]{64}")

PURPOSES: Final = 16
"""Purposes for which a release may be said to have been read: it is handed over for one."""
_LONGEST: Final = 200
"""Characters of a purpose."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that learned from the copy, or from another such model, as `model.trained` says."""

    model: str
    name: str
    sources: tuple[Mapping[str, Any], ...]
    files: int
    size: int

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        sources = [dict(each) for each in self.sources]
        return {
            "model": self.model, "name": self.name, "sources": sources,
            "files": self.files, "bytes": self.size,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gone:
    """A model that its owner destroyed, and the certificate that says so, whole."""

    model: str
    certificate: str

    def record(self) -> dict[str, str]:
        """Return it as JSON."""
        return {"model": self.model, "certificate": self.certificate}


@dataclass(frozen=True, slots=True)
class Unaccounted:
    """Reads of the copy that no model accounts for, by purpose: how many, from when to when."""

    purpose: str
    first: Time
    last: Time
    reads: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is left of a copy under a grant: everything is recomputed from its files.

    `version`: the drop list that it has applied. `files`: path and SHA-256, in the manifest's
    order. `destroyed`: nothing of the copy is left, and all that was counted of it is 0 or empty.
    """

    grant: str
    release: str
    recipient: str
    version: int
    manifest: str
    members: int
    depth: int
    root: str
    rows: int
    files: tuple[tuple[str, str], ...]
    at: Time
    destroyed: bool = False
    models: tuple[Trained, ...] = ()
    destroyed_models: tuple[Gone, ...] = ()
    unaccounted: tuple[Unaccounted, ...] = ()

    def text(self) -> str:
        """Write the text that is signed."""
        said: dict[str, Any] = {
            "grant": self.grant, "release": self.release, "recipient": self.recipient,
            "version": self.version, "manifest": self.manifest,
            "members": self.members, "depth": self.depth, "root": self.root, "rows": self.rows,
            "files": [{"path": path, "sha256": digest} for path, digest in self.files],
            "at": self.at, "destroyed": self.destroyed,
            "models": [each.record() for each in self.models],
            "destroyed_models": [each.record() for each in self.destroyed_models],
        }  # fmt: skip
        if self.unaccounted:
            said["unaccounted"] = [asdict(each) for each in self.unaccounted]
        return f"{FIRST}{canonical(said).decode()}\n"

    def sign(self, signer: Signer) -> bytes:
        """Return the countersigned inventory. Raises InputError if it would not read back."""
        if (size := len(self.text().encode())) > LIMIT:
            raise InputError(
                f"the inventory of release {self.release} would have {size:,} bytes, with "
                f"{len(self.files):,} files and {len(self.models):,} models: at most {LIMIT:,} "
                "are read, so nothing was signed"
            )
        signed = notes.sign(self.text(), [signer]).encode()
        if parse(signed) != self:
            raise InputError("this makes no inventory")
        return signed


def parse(data: bytes) -> Inventory:
    """Read an inventory. Raises InputError; who signed it is `countersigned`'s to say."""
    try:
        note = notes.parse(data)
    except InputError as error:
        raise InputError(f"no inventory that a recipient countersigned: {error}") from error
    return read(note.text)


def read(text: str) -> Inventory:
    """Read the text of an inventory. Raises InputError."""
    if not text.startswith(FIRST) or not text.endswith("\n"):
        raise InputError(f"inventory: its first line is not {FIRST.strip()!r}")
    line = text[len(FIRST) : -1].encode()
    value = strict.parse_canonical(line, "inventory", limit=notes.MAX_SIZE)
    listed = isinstance(value, dict) and "unaccounted" in value
    said = strict.shaped(value, {**_SHAPE, **_MAY} if listed else _SHAPE, "inventory")
    about = {"release": said["release"], "grant": said["grant"], "recipient": said["recipient"]}
    events.read("release.acknowledged", {**about, "note": ""})
    if not said["grant"] or not said["release"]:
        raise InputError("inventory: it names no grant, or no release")
    files = [strict.shaped(each, _FILE, "inventory: files") for each in said["files"]]
    said["files"] = tuple((each["path"], each["sha256"]) for each in files)
    said["models"] = tuple(_trained(each) for each in said["models"])
    said["destroyed_models"] = tuple(_gone(each) for each in said["destroyed_models"])
    if listed:
        said["unaccounted"] = _unaccounted(said["unaccounted"])
    found = Inventory(**said)
    _check(found)
    return found


def _check(found: Inventory) -> None:
    hashes = [digest for _, digest in found.files]
    if found.destroyed:
        if (found.manifest, found.members, found.depth, found.root, found.rows, hashes) != (
            "", 0, 0, "", 0, []
        ):  # fmt: skip
            raise InputError("inventory: of what is destroyed nothing is left to count")
    elif not all(map(_HASH.fullmatch, (found.manifest, found.root, *hashes))):
        raise InputError("inventory: a manifest, root or file is named by its SHA-256")
    if len({path for path, _ in found.files}) < len(found.files):
        raise InputError("inventory: a file is listed twice")
    for listed in ([m.model for m in found.models], [m.model for m in found.destroyed_models]):
        if len(set(listed)) < len(listed):
            raise InputError("inventory: a model is listed twice")


def _unaccounted(values: list[object]) -> tuple[Unaccounted, ...]:
    what = "inventory: unaccounted"
    found = tuple(Unaccounted(**strict.shaped(each, _READ, what)) for each in values)
    purposes = [each.purpose for each in found]
    if not 0 < len(found) <= PURPOSES or purposes != sorted(set(purposes)):
        raise InputError(f"{what}: 1 to {PURPOSES} purposes, each once, in their order")
    for each in found:
        if not each.reads or each.last < each.first:
            raise InputError(f"{what}: something was read, and last not before it was first")
        if not 0 < len(each.purpose) <= _LONGEST or not each.purpose.isprintable():
            raise InputError(f"{what}: a purpose has 1 to {_LONGEST} printable characters")
    return found


def _trained(value: object) -> Trained:
    said = strict.shaped(value, _MODEL, "inventory: models")
    _check_model(said["model"])
    events.read("model.trained", {**said, "owner": "", "note": ""})
    sources = tuple(said["sources"])
    return Trained(said["model"], said["name"], sources, said["files"], said["bytes"])


def _gone(value: object) -> Gone:
    found = Gone(**strict.shaped(value, _GONE, "inventory: destroyed_models"))
    _check_model(found.model)
    said = certificate.parse(found.certificate.encode(), "inventory: certificate")
    if said.model != found.model or said.encode().decode() != found.certificate:
        raise InputError("inventory: a certificate is of another model, or not canonical JSON")
    return found


def _check_model(digest: str) -> None:
    if not _HASH.fullmatch(digest):
        raise InputError("inventory: a model is named by its digest")


def countersigned(data: bytes, vkey: str) -> Inventory:
    """Read an inventory that the owner of a key countersigned.

    Raises InputError for what cannot be read, SignatureError.
    """
    found = parse(data)
    notes.signers_of(notes.parse(data), [notes.parse_vkey(vkey)])
    return found


def trained(line: Mapping[str, Any]) -> Trained:
    """Return a model as a line of models.jsonl says it. Raises InputError."""
    return _trained({key: line.get(key) for key in _MODEL})
