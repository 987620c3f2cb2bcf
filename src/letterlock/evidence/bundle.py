"""Evidence files: one question each, and all it takes to check the answer without asking anybody.

Read here, checked in `verify`. JSON of at most 16 MiB; what is read is what is written, in one way
only. Formats: docs/spec/evidence.md §2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from letterlock.domain import canonical
from letterlock.errors import InputError
from letterlock.evidence import strict
from letterlock.record.merkle import HASH_SIZE, Hash
from letterlock.record.note import from_base64, to_base64

FORMAT: Final = "letterlock/evidence/v1"
MAX_SIZE: Final = 2**24
"""Bytes of an evidence file."""
VRF_SIZE: Final = 80
SALT_SIZE: Final = 32

_CLAIMS: Final = {"in": True, "not in": False}
_WORDS: Final = {said: word for word, said in _CLAIMS.items()}


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry of the log and its proof file (C2SP tlog-proof)."""

    index: int
    entry: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """A choice: its record for people, and the event and salt that open its commitment.

    `signed` is the log's promise, `proof` the proof that it was kept; one may be missing.
    """

    record: Mapping[str, Any]
    event: bytes
    salt: bytes
    signed: bytes | None
    proof: bytes | None


@dataclass(frozen=True, slots=True)
class Member:
    """Whether an account is among those whose rows are in a release."""

    account: str
    present: bool
    key: Logged
    opened: Logged
    sealed: Logged
    vrf: bytes
    bucket: bytes
    path: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class Grants:
    """Whether an account's grant `number` (from 0) was recorded up to some event."""

    account: str
    present: bool
    number: int
    key: Logged
    sealed: Logged
    vrf: bytes
    bucket: bytes
    path: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """What the log says of a release, to be held against the release's own files."""

    release: str
    key: Logged
    opened: Logged
    sealed: Logged


@dataclass(frozen=True, slots=True)
class History:
    """Checkpoints of one log, each proved to be the beginning of the next."""

    checkpoints: tuple[bytes, ...]
    consistency: tuple[tuple[Hash, ...], ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A public statement, signed by the log (statement.py)."""

    note: bytes


Evidence: TypeAlias = Receipt | Member | Grants | Release | History | Statement

_MEMBERSHIP: Final[strict.Shape] = {"vrf": str, "bucket": str, "path": list}
_SHAPES: Final[Mapping[str, strict.Shape]] = {
    "receipt": {
        "receipt": dict,
        "event": str,
        "salt": str,
        "signed": (str, type(None)),
        "proof": (str, type(None)),
    },
    "member": {
        "account": str,
        "claim": str,
        "key": dict,
        "opened": dict,
        "sealed": dict,
        **_MEMBERSHIP,
    },
    "grants": {
        "account": str,
        "claim": str,
        "k": int,
        "key": dict,
        "sealed": dict,
        **_MEMBERSHIP,
    },
    "release": {"release": str, "key": dict, "opened": dict, "sealed": dict},
    "history": {"checkpoints": list, "consistency": list},
    "statement": {"statement": str},
}
_LOGGED: Final = {"index": int, "entry": str, "proof": str}


# ── reading ─────────────────────────────────────────────────────────────────────────────────


def parse(data: bytes) -> Evidence:
    """Read an evidence file. Raises InputError; whether it is true is not checked here."""
    value = strict.parse(data, "evidence", limit=MAX_SIZE)
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise InputError(f"not an evidence file: its format is not {FORMAT}")
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in _SHAPES:
        raise InputError(f"evidence of an unknown kind; there is: {', '.join(_SHAPES)}")
    strict.shaped(value, {"format": str, "kind": str, **_SHAPES[kind]}, kind)
    if kind == "receipt":
        salt = strict.from_hex(value["salt"], SALT_SIZE, "receipt: salt")
        event, signed, proof = (_bytes(value[key]) for key in ("event", "signed", "proof"))
        return Receipt(value["receipt"], event or b"", salt, signed, proof)
    if kind == "history":
        return _history(value["checkpoints"], value["consistency"])
    if kind == "statement":
        return Statement(value["statement"].encode())
    logged = {key: _logged(value, key) for key in ("key", "opened", "sealed") if key in value}
    if kind == "release":
        return Release(value["release"], **logged)
    names = (
        strict.from_hex(value["vrf"], VRF_SIZE, f"{kind}: vrf"),
        strict.from_hex(value["bucket"], None, f"{kind}: bucket"),
        tuple(strict.from_hex(each, HASH_SIZE, f"{kind}: path") for each in value["path"]),
    )
    present = _CLAIMS.get(value["claim"])
    if present is None:
        raise InputError(f"{kind}: the claim is 'in' or 'not in'")
    if kind == "member":
        opened = logged["opened"]
        return Member(
            value["account"], present, logged["key"], opened, logged["sealed"], *names
        )  # fmt: skip
    return Grants(value["account"], present, value["k"], logged["key"], logged["sealed"], *names)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _logged(value: Mapping[str, Any], key: str) -> Logged:
    found = strict.shaped(value[key], _LOGGED, key)
    return Logged(found["index"], found["entry"].encode(), found["proof"].encode())


def _history(checkpoints: list[Any], consistency: list[Any]) -> History:
    if not checkpoints or not all(isinstance(each, str) for each in checkpoints):
        raise InputError("history: checkpoints lists at least one note")
    if len(consistency) != len(checkpoints) - 1:
        raise InputError("history: consistency has a proof for each two neighbours")
    proofs = []
    for proof in consistency:
        if not isinstance(proof, list) or not all(isinstance(each, str) for each in proof):
            raise InputError("history: a consistency proof lists hashes in base64")
        hashes = tuple(map(from_base64, proof))
        if any(len(each) != HASH_SIZE for each in hashes):
            raise InputError(f"history: a hash is {HASH_SIZE} bytes")
        proofs.append(hashes)
    return History(tuple(each.encode() for each in checkpoints), tuple(proofs))


# ── writing ─────────────────────────────────────────────────────────────────────────────────


def encode(evidence: Evidence) -> bytes:
    """Write an evidence file. Raises InputError for one that would not be read as it is."""
    data = canonical({"format": FORMAT, **_written(evidence)}) + b"\n"
    if parse(data) != evidence:
        raise InputError("this makes no evidence file")
    return data


def _written(e: Evidence) -> dict[str, Any]:
    match e:
        case Receipt():
            said = {"receipt": dict(e.record), "event": e.event.decode(), "salt": e.salt.hex()}
            return {"kind": "receipt", **said, "signed": _text(e.signed), "proof": _text(e.proof)}
        case Member():
            return {"kind": "member", **_claimed(e), "opened": _entry(e.opened)}
        case Grants():
            return {"kind": "grants", **_claimed(e), "k": e.number}
        case Release():
            logged = {"key": _entry(e.key), "opened": _entry(e.opened), "sealed": _entry(e.sealed)}
            return {"kind": "release", "release": e.release, **logged}
        case History():
            proofs = [[to_base64(each) for each in proof] for proof in e.consistency]
            notes = [each.decode() for each in e.checkpoints]
            return {"kind": "history", "checkpoints": notes, "consistency": proofs}
        case Statement():
            return {"kind": "statement", "statement": e.note.decode()}


def _claimed(e: Member | Grants) -> dict[str, Any]:
    return {
        "account": e.account,
        "claim": _WORDS[e.present],
        "key": _entry(e.key),
        "sealed": _entry(e.sealed),
        "vrf": e.vrf.hex(),
        "bucket": e.bucket.hex(),
        "path": [each.hex() for each in e.path],
    }


def _entry(logged: Logged) -> dict[str, Any]:
    return {
        "index": logged.index,
        "entry": logged.entry.decode(),
        "proof": logged.proof.decode(),
    }


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode()
