"""What goes along with a release for the tools of others: made from manifest and public events.

    releases/<id>/sidecars/release.intoto.jsonl   what is in it, signed by the log (attestation.py)
                           croissant.json         MLCommons Croissant metadata (croissant.py)
                           openlineage.jsonl      OpenLineage run events (lineage/openlineage.py)

No byte of `outgoing/` and no hash of the manifest depends on them, and no check of ours but one:
what the statement says of the files has to be true. They are made anew at will; the same record and
keys give the same bytes. Formats: docs/sidecars.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from letterlock.domain import sha256
from letterlock.errors import InputError, VerificationError
from letterlock.handover import attestation
from letterlock.handover.croissant import croissant
from letterlock.lineage import openlineage
from letterlock.lineage.graph import Lineage, Version
from letterlock.record.note import Signer, Verifier
from letterlock.release import manifest

FOLDER: Final = "sidecars"
ATTESTATION: Final = "release.intoto.jsonl"
CROISSANT: Final = "croissant.json"
OPENLINEAGE: Final = "openlineage.jsonl"


@dataclass(frozen=True)
class Attested:
    """A statement that is about these files; `signers` is None if no keys were asked for."""

    release: str
    version: int
    files: int
    signers: tuple[Verifier, ...] | None

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        signed = None if self.signers is None else [attestation.key_id(v) for v in self.signers]
        return {
            "release": self.release,
            "version": self.version,
            "files": self.files,
            "signed_by": signed,
        }


def make(
    folder: Path, lineage: Lineage, origin: str, signers: Sequence[Signer]
) -> dict[str, bytes]:
    """Return the sidecars of the release in `folder`, by their names.

    Raises VerificationError if the record knows no such release, or one with other files.
    """
    content = manifest.content(folder)
    record = manifest.parse(content)
    version = _version(lineage, record["release"], content)
    release = lineage.releases[record["release"]]
    payload = attestation.statement(content, release, version, origin)
    figures = {version.manifest: figures_of(record)}
    events = openlineage.run_events(lineage, origin, only={release.id}, figures=figures)
    return {
        ATTESTATION: attestation.seal(payload, signers),
        CROISSANT: croissant(folder, version),
        OPENLINEAGE: openlineage.lines(events),
    }


def figures_of(record: dict[str, Any]) -> dict[str, int]:
    """Return what a manifest counts, as OpenLineage calls it; `size` in bytes, without itself."""
    return {
        "rowCount": record["counts"]["released"],
        "fileCount": len(record["files"]),
        "size": sum(each["bytes"] for each in record["files"]),
    }


def check(folder: Path, verifiers: Iterable[Verifier] | None = None) -> Attested | None:
    """Check the statement in a release's folder against its manifest; None if there is none.

    `verifiers`: keys of the log one of which has to have signed it; None asks for none, which shows
    only that statement and manifest agree. Raises VerificationError, SignatureError, InputError.
    """
    path = folder / FOLDER / ATTESTATION
    if not path.exists() and not path.is_symlink():
        return None
    envelope = attestation.parse(_content(path))
    signers = None if verifiers is None else envelope.signers(verifiers)
    found = attestation.parse_statement(envelope.payload)
    attestation.check(found, manifest.content(folder))
    said = found.predicate
    return Attested(said["release"], said["version"], len(found.subjects), signers)


def _content(path: Path) -> bytes:
    """Read what strangers may have put there: a plain file, and not more than is ever read."""
    if path.is_symlink() or not path.is_file():
        raise VerificationError(f"{path}: no plain file")
    try:
        with path.open("rb") as file:
            return file.read(attestation.MAX_SIZE + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _version(lineage: Lineage, release: str, content: bytes) -> Version:
    digest, known = sha256(content), lineage.releases.get(release)
    for version in known.versions if known is not None else ():
        if version.manifest == digest:
            return version
    raise VerificationError(f"release {release}: no such manifest was ever sealed here")
