"""What a release is, as an in-toto statement that the log has signed, in a DSSE envelope.

    envelope   DSSE v1 (https://github.com/secure-systems-lab/dsse), one line of canonical JSON:
               payloadType application/vnd.in-toto+json, payload, signatures of keyid and sig
    payload    in-toto Statement v1 (https://github.com/in-toto/attestation, spec/v1): the subjects
               are all files of `outgoing/` with their SHA-256, the predicate is PREDICATE
    signed     DSSE's PAE of type and payload, with the log's Ed25519 keys; a keyid is a hint: the
               first two parts of the key's vkey, name and key id

The statement follows from the manifest and from public events alone; anybody who has a release's
folder can check it, and the tools that check in-toto statements can as well. It proves less than
the log does: that its keys signed this, not when, and not that nothing else was signed. Spec:
docs/sidecars.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from letterlock.domain import Time, canonical, sha256, text_of
from letterlock.errors import InputError, SignatureError, VerificationError
from letterlock.evidence import entries, strict
from letterlock.lineage.graph import Release, Version
from letterlock.record import note
from letterlock.record.note import Kind, Signer, Verifier
from letterlock.release import manifest

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "urn:letterlock:predicate:release:v1"

MAX_SIZE: Final = 2 * entries.MAX_BLOB
"""Bytes of an envelope that are read, at most: a manifest in base64, and some."""

_ENVELOPE: Final[strict.Shape] = {"payload": str, "payloadType": str, "signatures": list}
_SIGNATURE: Final[strict.Shape] = {"keyid": str, "sig": str}
_STATEMENT: Final[strict.Shape] = {
    "_type": str, "subject": list, "predicateType": str, "predicate": dict,
}  # fmt: skip
_SUBJECT: Final[strict.Shape] = {"name": str, "digest": dict}
_DIGEST: Final[strict.Shape] = {"sha256": str}
_PREDICATE: Final[strict.Shape] = {
    "release": str, "version": int, "simulated": bool, "purpose": str, "recipient": dict,
    "as_of": str, "policy": list, "counts": dict, "member_set": dict, "log": dict,
}  # fmt: skip


@dataclass(frozen=True)
class Statement:
    """A statement as it was read: every subject's SHA-256 by its name, and what is said of them."""

    subjects: Mapping[str, str]
    predicate: Mapping[str, Any]


@dataclass(frozen=True)
class Envelope:
    """A payload as its signers signed it, and the signatures: (keyid, bytes) each, unchecked."""

    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]

    def signers(self, verifiers: Iterable[Verifier]) -> tuple[Verifier, ...]:
        """Return who of `verifiers` signed. A keyid names nobody: each key is tried on each.

        Raises SignatureError if none of them did.
        """
        signed = pae(PAYLOAD_TYPE, self.payload)
        found = tuple(
            verifier
            for verifier in verifiers
            if verifier.kind is Kind.ED25519
            and any(_holds(verifier, signed, signature) for _, signature in self.signatures)
        )
        if not found:
            raise SignatureError("none of the keys asked for has signed this statement")
        return found


# ── writing ─────────────────────────────────────────────────────────────────────────────────


def statement(content: bytes, release: Release, version: Version, origin: str) -> bytes:
    """Write the statement about a version of a release, whose manifest is `content`.

    `origin` is the log's name. Raises VerificationError if the record has another manifest.
    """
    if sha256(content) != version.manifest:
        raise VerificationError(f"release {release.id} is not what the record says was sealed")
    record = manifest.parse(content)
    files = [(manifest.NAME, sha256(content))]
    files += [(each["path"], each["sha256"]) for each in record["files"]]
    said = record["member_set"]
    predicate = {
        "release": release.id,
        "version": version.number,
        "simulated": record["simulated"],
        "purpose": record["purpose"],
        "recipient": record["recipient"],
        "as_of": record["as_of"],
        "policy": [{"version": p["version"], "digest": _digest(p)} for p in record["policy"]],
        "counts": record["counts"],
        "member_set": {
            "members": record["members"], "depth": said["depth"], "root": said["root"],
        },
        "log": {
            "origin": origin,
            "key": said["key"],
            "opened": {"index": said["opened"], "leaf": said["opening"]},
            "sealed": {"index": version.index, "time": _moment(version.time)},
        },
    }  # fmt: skip
    return canonical(
        {
            "_type": STATEMENT,
            "subject": [{"name": n, "digest": {"sha256": d}} for n, d in sorted(files)],
            "predicateType": PREDICATE,
            "predicate": predicate,
        }
    )


def seal(payload: bytes, signers: Sequence[Signer]) -> bytes:
    """Sign a statement; returns the envelope. Raises SignatureError if a signer errs."""
    signed, lines = pae(PAYLOAD_TYPE, payload), []
    for signer in signers:
        signature = signer.sign(signed)
        note.check(signer.verifier, signed, signature)
        lines.append({"keyid": key_id(signer.verifier), "sig": note.to_base64(signature)})
    if not lines:
        raise SignatureError("a statement that nobody signs says nothing")
    envelope = {
        "payload": note.to_base64(payload), "payloadType": PAYLOAD_TYPE, "signatures": lines,
    }  # fmt: skip
    return canonical(envelope) + b"\n"


def pae(kind: str, payload: bytes) -> bytes:
    """Return what is signed of a payload: DSSE's pre-authentication encoding."""
    named = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(named), named, len(payload), payload)


def key_id(verifier: Verifier) -> str:
    """Name a key, so that a reader knows which one to try."""
    return f"{verifier.name}+{verifier.key_id.hex()}"


# ── reading ─────────────────────────────────────────────────────────────────────────────────


def parse(data: bytes) -> Envelope:
    """Read an envelope around an in-toto statement. Raises InputError.

    Anybody's JSON will do, if it is strict: DSSE does not ask for a canonical form.
    """
    what = "DSSE envelope"
    value = strict.shaped(strict.parse(data, what, limit=MAX_SIZE), _ENVELOPE, what)
    if value["payloadType"] != PAYLOAD_TYPE:
        raise InputError(f"{what}: of type {value['payloadType'][:60]!r}, not {PAYLOAD_TYPE}")
    if not 0 < len(value["signatures"]) <= note.MAX_SIGNATURES:
        raise InputError(f"{what}: 1 to {note.MAX_SIGNATURES} signatures")
    signatures = []
    for each in value["signatures"]:
        signature = strict.shaped(each, _SIGNATURE, f"{what}: signature")
        signatures.append((signature["keyid"], note.from_base64(signature["sig"])))
    return Envelope(note.from_base64(value["payload"]), tuple(signatures))


def parse_statement(payload: bytes) -> Statement:
    """Read a statement of ours about a release. Raises InputError."""
    what = "in-toto statement"
    parsed = strict.parse(
        payload, what, limit=entries.MAX_BLOB, values=entries.MAX_VALUES
    )  # fmt: skip
    value = strict.shaped(parsed, _STATEMENT, what)
    if (value["_type"], value["predicateType"]) != (STATEMENT, PREDICATE):
        raise InputError(f"{what}: not a statement about a release ({PREDICATE})")
    predicate = strict.shaped(value["predicate"], _PREDICATE, f"{what}: predicate")
    subjects: dict[str, str] = {}
    for each in value["subject"]:
        subject = strict.shaped(each, _SUBJECT, f"{what}: subject")
        digest = strict.shaped(subject["digest"], _DIGEST, f"{what}: digest")["sha256"]
        strict.from_hex(digest, 32, f"{what}: digest")
        if subject["name"] in subjects:
            raise InputError(f"{what}: {subject['name']!r} is named twice")
        subjects[subject["name"]] = digest
    return Statement(subjects, predicate)


def check(found: Statement, content: bytes) -> None:
    """Check that a statement is about the release whose manifest is `content`, and no other.

    That the files are what the manifest says is release.verify's to check. Raises
    VerificationError, which names the first thing that differs.
    """
    record = manifest.parse(content)
    version = record.get("supersedes", {}).get("version", 0)
    if found.predicate["version"] != version:
        raise VerificationError(
            f"the statement is of version {found.predicate['version']} of a release, and this is "
            f"version {version}: remove it, or get a new one (letterlock report sidecars)"
        )
    expected = {each["path"]: each["sha256"] for each in record["files"]}
    expected[manifest.NAME] = sha256(content)
    for name in sorted(expected.keys() | found.subjects.keys()):
        if found.subjects.get(name) != expected.get(name):
            raise VerificationError(f"{name}: the statement of what is in it has another file")
    said = record["member_set"]
    members = {"members": record["members"], "depth": said["depth"], "root": said["root"]}
    same = {key: record[key] for key in ("release", "simulated", "purpose", "recipient", "as_of")}
    same |= {"counts": record["counts"], "member_set": members}
    same["policy"] = [{"version": p["version"], "digest": _digest(p)} for p in record["policy"]]
    for key, value in same.items():
        if found.predicate[key] != value:
            raise VerificationError(f"the statement says another {key} than the manifest")


def _digest(policy: Mapping[str, str]) -> dict[str, str]:
    return {"sha256": policy["sha256"]}


def _holds(verifier: Verifier, signed: bytes, signature: bytes) -> bool:
    try:
        note.check(verifier, signed, signature)
    except SignatureError:
        return False
    return True


def _moment(t: Time) -> str:
    return text_of(t)
