"""Checking without a workspace: evidence files, a policy file, and the files they are about."""

from __future__ import annotations

import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from letterlock.errors import InputError, LetterlockError, LogError
from letterlock.evidence import bundle, verify
from letterlock.evidence.bundle import Evidence, Release, Statement
from letterlock.evidence.entries import MAX_BLOB
from letterlock.evidence.finding import Finding, compare
from letterlock.evidence.verify import LogFiles, ReleaseFiles
from letterlock.handover import sidecars
from letterlock.handover.sidecars import Attested
from letterlock.record import checkpoint as checkpoints
from letterlock.record import note as notes
from letterlock.record import quorum
from letterlock.record.tlog import CHECKPOINT, Reader
from letterlock.release import manifest
from letterlock.release.verify import pseudonyms
from letterlock.release.verify import verify as verify_release
from letterlock.reports import dossier
from letterlock.store.tiles import LogFolders


def check_evidence(
    files: Sequence[Path], policy: Path, *, log: Path | None = None, release: Path | None = None
) -> list[Finding]:
    """Check evidence files by a policy file, and their checkpoints against each other.

    `log` is a copy of the log's folder, for statements; `release` that of a release, all of whose
    files are checked too. Raises InputError, SignatureError, ProofError, VerificationError.
    """
    trusted = _trusted(policy)
    now = int(time.time())
    found = []
    for path in files:
        content = content_of(path)
        try:
            if content.startswith(dossier.MAGIC):
                found.append(dossier.check(_whole(path), trusted, now))
                continue
            evidence = bundle.parse(content)
            of_release, of_log = _release(evidence, release), _log(evidence, log)
            found.append(verify.verify(evidence, trusted, now, release=of_release, log=of_log))
        except LetterlockError as error:
            raise type(error)(f"{path}: {error}") from error
    compare(each.checkpoint for finding in found for each in finding.vouched)
    return found


def check_statement(release: Path, policy: Path | None = None) -> Attested | None:
    """Check the in-toto statement in a release's `sidecars/` against its manifest; None: no such.

    With a policy file, one of its logs has to have signed it, and that there is none is an error.
    Raises InputError, SignatureError, VerificationError.
    """
    keys = None if policy is None else [log.verifier for log in _trusted(policy).logs]
    found = sidecars.check(release, keys)
    if found is None and policy is not None:
        path = release / sidecars.FOLDER / sidecars.ATTESTATION
        raise InputError(f"{path} is missing, so there is no signature to check by a policy")
    return found


def _trusted(policy: Path) -> quorum.Policy:
    return quorum.parse(content_of(policy))


def release_files(folder: Path) -> ReleaseFiles:
    """Read of a release's folder what the log speaks of. Raises VerificationError."""
    return ReleaseFiles(manifest.content(folder), pseudonyms(folder))


def content_of(path: Path) -> bytes:
    """Read an evidence or policy file. Raises InputError."""
    try:
        with path.open("rb") as file:
            return file.read(bundle.MAX_SIZE + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _whole(path: Path) -> bytes:
    """Read a trace, which may be larger than an evidence file. Raises InputError."""
    try:
        with path.open("rb") as file:
            return file.read(dossier.MAX_SIZE + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _release(evidence: Evidence, folder: Path | None) -> ReleaseFiles | None:
    if not isinstance(evidence, Release) or folder is None:
        return None
    verify_release(folder)
    return release_files(folder)


def _log(evidence: Evidence, folder: Path | None) -> LogFiles | None:
    if not isinstance(evidence, Statement) or folder is None:
        return None
    files = LogFolders(folder, folder)

    def read(path: str) -> bytes | None:
        # Strangers made this folder: a pipe would wait for ever, and a device never ends.
        with suppress(OSError):
            found = (folder / path).stat()
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_BLOB:
                raise LogError(f"{path}: no file of a log")
        return files.read(path)

    note = read(CHECKPOINT)
    if note is None:
        raise LogError(f"{folder} is no log's folder: it has no {CHECKPOINT}")
    reader = Reader(read, checkpoints.parse(notes.parse(note).text))
    return LogFiles(note, reader.entries(0, reader.size), lambda digest: read(f"blobs/{digest}"))
