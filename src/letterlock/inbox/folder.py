"""An inbox: a recipient's folder, its keys, and the releases that it has received.

    inbox.toml              format, recipient, simulated; written last, so a folder with it is whole
    card.json               the public halves of its keys, for the platform to register
    keys/                   an age identity to read with, an Ed25519 key to countersign with
    received/<release>/     outgoing/ (as at the platform), grant.json, evidence.json, terms,
                            log.policy, feed/, reads.jsonl, models.jsonl; `destroyed` once it is
    received/.<grant>/      a release that is being received: never taken for one
    past/<grant>/           what is left of a destroyed copy whose release was received anew

A release is received in one rename, once everything of it was checked and is on disk.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from letterlock.domain import Time, sha256, text_of
from letterlock.errors import (
    InputError,
    ProofError,
    UsageError,
    VerificationError,
    WorkspaceError,
    reason,
)
from letterlock.evidence import bundle
from letterlock.evidence import verify as evidences
from letterlock.evidence.bundle import MAX_SIZE, Release
from letterlock.evidence.checked import Checked
from letterlock.evidence.members import sealed_release
from letterlock.evidence.verify import ReleaseFiles
from letterlock.handover import age, card, grant, logged, package
from letterlock.handover.card import Card
from letterlock.handover.grant import Grant
from letterlock.handover.received import DESTROYED, GRANT, POLICY
from letterlock.handover.received import INBOX as CONFIG
from letterlock.inbox import models, swap
from letterlock.lineage import inventory
from letterlock.lineage.inventory import Gone, Inventory
from letterlock.record import quorum
from letterlock.record.note import Kind, SecretSigner
from letterlock.release import manifest
from letterlock.release.verify import Verified, pseudonyms
from letterlock.release.verify import verify as verify_release
from letterlock.store import files
from letterlock.store.keys import AGE, ED25519, Ask, KeyFolder, new, passphrase_from_environment

CARD: Final = "card.json"
RECEIVED: Final = "received"
PAST: Final = "past"

_LOCK: Final = "inbox.lock"
_FORMAT: Final = 1
_SECOND: Final = 1_000_000
_NAMES: Final = frozenset({"format", "recipient", "simulated"})


@dataclass(frozen=True, slots=True)
class Received:
    """A release that was taken in: the grant, and what was found true of its files."""

    folder: Path
    grant: Grant
    verified: Verified


class Inbox:
    """One inbox, opened."""

    def __init__(
        self, folder: Path, *, now: Time | None = None, passphrase: Ask | None = None
    ) -> None:
        """Open the inbox in `folder`; `now` sets the clock of a simulated one.

        `passphrase` is called if a secret key is needed, once (default: the environment's).
        Raises WorkspaceError if there is none, UsageError for a clock that may not be set.
        """
        self.folder = folder
        config = _config(folder)
        self.recipient: str = config["recipient"]
        self.simulated: bool = config["simulated"]
        if now is not None and not self.simulated:
            raise UsageError("this inbox keeps real time: --now is for simulated ones")
        self._now = now
        self.keys = _key_folder(folder, self.recipient, passphrase, simulated=self.simulated)

    @classmethod
    def create(
        cls,
        folder: Path,
        recipient: str,
        *,
        simulated: bool = False,
        passphrase: Ask | None = None,
    ) -> Self:
        """Make an inbox for a recipient, with its keys. Raises WorkspaceError, InputError."""
        card.check_name(recipient)
        if any((folder / name).exists() for name in (CONFIG, "keys", RECEIVED)):
            raise WorkspaceError(f"{folder} is an inbox already, or what is left of one")
        keys = _key_folder(folder, recipient, passphrase, simulated=simulated)
        keys.unlock()  # nothing is made without a passphrase
        try:
            (folder / RECEIVED).mkdir(parents=True, mode=0o700)
            _make_keys(folder, recipient, keys)
            files.write(folder / CONFIG, _config_text(recipient, simulated=simulated))
        except OSError as error:
            raise WorkspaceError(f"no inbox could be made in {folder}: {reason(error)}") from error
        return cls(folder, passphrase=passphrase)

    def rotate(self) -> Card:
        """Replace both keys by new ones; the platform has to register the card that is returned.

        The keys before them are not asked for, they may be lost; what there is of them is
        destroyed. Raises WorkspaceError; the card is then the one of before, or the new one.
        """
        self.keys.unlock()
        with self.locked():
            try:
                said = _make_keys(self.folder, self.recipient, self.keys)
            except OSError as error:
                raise WorkspaceError(f"{self.folder}: no new keys were made: {error}") from error
            kept = ((AGE, said.encryption), (ED25519, said.signing))
            self.keys.clear(self.keys.path(kind, public) for kind, public in kept)
        return said

    # ── looking ─────────────────────────────────────────────────────────────────────────────

    def card(self) -> Card:
        """Return the public halves of its keys. Raises WorkspaceError."""
        try:
            found = card.parse((self.folder / CARD).read_bytes())
        except (OSError, InputError) as error:
            raise WorkspaceError(f"{self.folder / CARD} cannot be read: {reason(error)}") from error
        if found.recipient != self.recipient:
            raise WorkspaceError(f"{self.folder / CARD} is another recipient's card")
        return found

    def now(self, at_least: Time = 0) -> Time:
        """Return the time: real, or in a simulated inbox the one set, else `at_least`."""
        if not self.simulated:
            return time.time_ns() // 1000
        return max(self._now or 0, at_least)

    def releases(self) -> list[str]:
        """Return the releases that were received, also those that are destroyed since."""
        inside = (self.folder / RECEIVED).iterdir()
        return sorted(path.name for path in inside if path.name[0] != "." and path.is_dir())

    def path(self, release: str) -> Path:
        """Return the folder of a received release. Raises UsageError if it was not received."""
        if release not in self.releases():
            raise UsageError(f"release {release!r} was not received here")
        return self.folder / RECEIVED / release

    def grant_of(self, release: str) -> Grant:
        """Return the grant of a received release, checked again by the policy it came under.

        Raises VerificationError for one that is for somebody else: a copy that was passed on.
        """
        folder = self.path(release)
        policy = quorum.parse(read(folder / POLICY))
        held = logged.parse(read(folder / GRANT), GRANT)
        found = grant.check(held, policy, _seconds())
        if (found.recipient, found.release) != (self.recipient, release):
            raise VerificationError(
                f"{folder} is release {found.release}, granted to {found.recipient}: this is the "
                f"inbox of {self.recipient}, and passing a release on takes a grant of its own"
            )
        return found

    # ── receiving ───────────────────────────────────────────────────────────────────────────

    def receive(self, package: Path, letter: Path, policy: bytes) -> Received:
        """Take a package in, with its key letter, by a policy that says whose log is relied on.

        Nothing of it is kept unless all of it holds. Raises VerificationError, ProofError or
        SignatureError for what does not, InputError for what cannot be read, WorkspaceError.
        """
        with self.locked():
            trusted = quorum.parse(policy)
            found = grant.opened(read(letter), self._identity())
            granted = grant.check(found.logged, trusted, _seconds())
            self._check_for_us(granted)
            work = self.folder / RECEIVED / f".{granted.grant}"
            try:
                work.mkdir()
                _unpack(package, work, granted, found.identity)
                verified = self._checked(work, granted, found, trusted)
                files.write(work / GRANT, logged.encode(found.logged))
                files.write(work / POLICY, policy)
                _sync(work)
                place = self.folder / RECEIVED / granted.release
                if place.exists():  # a destroyed copy, of which only the grant is left
                    self._set_aside(place, self.grant_of(granted.release).grant)
                work.rename(place)
                files.sync(place.parent)
            except OSError as error:
                raise WorkspaceError(f"nothing was received: {error}") from error
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return Received(place, granted, verified)

    def _set_aside(self, place: Path, grant: str) -> None:
        """Keep what says that a grant was used, and what became of it. Raises OSError."""
        past = self.folder / PAST
        past.mkdir(mode=0o700, exist_ok=True)
        place.rename(past / grant)
        files.sync(past)

    def _identity(self) -> str:
        return age.identity_of(self.keys.secret(AGE, self.card().encryption))

    def _check_for_us(self, granted: Grant) -> None:
        """Refuse a grant that is not for this inbox, now, once."""
        ours = self.card().encryption
        if (granted.recipient, granted.key) != (self.recipient, ours):
            raise VerificationError(
                f"grant {granted.grant} is for {granted.recipient} and its key {granted.key}: "
                f"this is the inbox of {self.recipient}, whose key is {ours}"
            )
        if (self.folder / PAST / granted.grant).exists():
            raise VerificationError(f"grant {granted.grant} was used already: it is for once")
        for release in self.releases():
            held = self.grant_of(release)
            if held.grant == granted.grant:
                raise VerificationError(f"grant {granted.grant} was used already: it is for once")
            if release == granted.release and not (self.path(release) / DESTROYED).exists():
                raise VerificationError(
                    f"release {release} is here already, by grant {held.grant}: `letterlock "
                    "apply-drops` brings the copy up to date"
                )
        if (now := self.now(granted.time)) > granted.expires:
            raise VerificationError(
                f"grant {granted.grant} expired on {text_of(granted.expires)}, it is "
                f"{text_of(now)}: ask the sender to deliver again"
            )

    def _checked(
        self, work: Path, granted: Grant, letter: grant.Letter, policy: quorum.Policy
    ) -> Verified:
        """Check everything that was unpacked, by the log and against each other."""
        verified = verify_release(work)
        record = verified.record
        said = (record["release"], record["recipient"]["id"], record["purpose"])
        if said != (granted.release, granted.recipient, granted.purpose):
            raise VerificationError("the manifest is of another release than the grant")
        if record["simulated"] is not self.simulated:
            raise VerificationError(
                "a simulated release goes into a simulated inbox, and no other does: their keys "
                "protect nothing"
            )
        terms = (work / package.TERMS).read_bytes()
        if (sha256(terms) if terms else "") != granted.terms:
            raise VerificationError("the terms are not those that were granted")
        evidence = bundle.parse((work / package.EVIDENCE).read_bytes())
        if not isinstance(evidence, Release):
            raise VerificationError("the package's evidence is not of a release")
        of_files = ReleaseFiles(manifest.content(work), pseudonyms(work))
        evidences.verify(evidence, policy, _seconds(), release=of_files)
        _check_seal(evidence, granted, letter, policy)
        return verified

    # ── countersigning ──────────────────────────────────────────────────────────────────────

    def inventory(self, release: str) -> bytes:
        """Countersign what is here of a release, recomputed from its files.

        Raises VerificationError if they are not what their manifest says: nothing is signed then.
        """
        with self.locked():
            return self.countersign(release)

    def countersign(self, release: str) -> bytes:
        """Do so for a caller that has the lock."""
        folder, granted = self.path(release), self.grant_of(release)
        made = tuple(map(inventory.trained, models.trained_in(folder)))
        gone = tuple(Gone(**each) for each in models.destroyed_in(folder))
        found = Inventory(
            granted.grant, granted.release, granted.recipient, granted.version,
            manifest="", members=0, depth=0, root="", rows=0, files=(), destroyed=True,
            at=self.now(granted.time), models=made, destroyed_models=gone,
            unaccounted=models.unaccounted_in(folder),
        )  # fmt: skip
        if not (folder / DESTROYED).exists():
            found = _left(found, folder)
        return found.sign(self._signer())

    def destroy(self, release: str) -> None:
        """Remove what is here of a release, for good; its grant stays, to say what it was.

        Its inventory says from then on that it is destroyed. Raises UsageError, WorkspaceError.
        """
        with self.locked():
            folder = self.path(release)
            try:
                # First what says so: a crash leaves a copy that nobody takes for whole.
                files.write(folder / DESTROYED, b"")
                for part in (manifest.OUTGOING, package.SIDECARS):
                    if (folder / part).exists():
                        shutil.rmtree(folder / part)
                files.sync(folder)
            except OSError as error:
                raise WorkspaceError(f"{folder} could not be destroyed: {error}") from error

    def _signer(self) -> SecretSigner:
        secret = self.keys.secret(ED25519, self.card().signing)
        return SecretSigner(self.recipient, Kind.ED25519, secret)

    # ── one process at a time ───────────────────────────────────────────────────────────────

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process work here at a time, and clear what a killed one left half-done."""
        try:
            lock = (self.folder / _LOCK).open("w")
        except OSError as error:
            raise WorkspaceError(f"{self.folder}: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise WorkspaceError(
                    f"another process is at work in {self.folder}: wait for it to end"
                ) from error
            self._clear()
            yield

    def _clear(self) -> None:
        try:
            for left in (self.folder / RECEIVED).glob(".*"):
                shutil.rmtree(left)
            for release in self.releases():
                folder = self.folder / RECEIVED / release
                swap.recover(folder)  # before anything is said of what is here
                if (folder / DESTROYED).exists() and (folder / manifest.OUTGOING).exists():
                    shutil.rmtree(folder / manifest.OUTGOING)
        except OSError as error:
            raise WorkspaceError(f"{self.folder}: what is half-done stays: {error}") from error


def read(path: Path) -> bytes:
    """Read a file of bounded length. Raises InputError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_SIZE:
        raise InputError(f"{path}: more than {MAX_SIZE} bytes")
    return data


def _make_keys(folder: Path, recipient: str, keys: KeyFolder) -> Card:
    """Make both keys, and last the card, which says that they are in use. Raises OSError."""
    made = {kind: new(kind, recipient) for kind in (AGE, ED25519)}
    (folder / "keys").mkdir(mode=0o700, exist_ok=True)
    for key in made.values():
        keys.write(key)
    said = Card(recipient, made[AGE].public, made[ED25519].public)
    files.write(folder / CARD, said.encode())
    return said


def _left(found: Inventory, folder: Path) -> Inventory:
    """Return an inventory of what is left in a folder, all of it recomputed."""
    verified = verify_release(folder)
    record = verified.record
    return replace(
        found,
        version=record.get("supersedes", {}).get("version", 0),
        manifest=sha256(manifest.content(folder)),
        members=verified.members,
        depth=record["member_set"]["depth"],
        root=record["member_set"]["root"],
        rows=verified.rows,
        files=tuple((each["path"], each["sha256"]) for each in record["files"]),
        destroyed=False,
    )


def _check_seal(
    evidence: Release, granted: Grant, letter: grant.Letter, policy: quorum.Policy
) -> None:
    """Check that grant and evidence are of one release, and of one state of one log."""
    checked = Checked(policy, _seconds())
    checked.key(evidence.key)
    found = sealed_release(checked, evidence)
    checked.entry(letter.logged, "release.delivered")
    opened, seal = found.opened.body, found.sealed.body
    if (opened["release"], opened["recipient"], opened["purpose"], seal["manifest"]) != (
        granted.release, granted.recipient, granted.purpose, granted.manifest
    ):  # fmt: skip
        raise ProofError("the grant is for another release than the log's seal is of")
    if not found.sealed.index < granted.index:
        raise ProofError("the grant was recorded before the release was sealed")


def _unpack(path: Path, work: Path, granted: Grant, identity: str) -> None:
    unpacker = package.Unpacker(work, granted.manifest)
    with path.open("rb") as file:
        age.decrypt(file, unpacker, identity, "package")
    unpacker.finish()


def _sync(folder: Path) -> None:
    """Make durable which files are anywhere in a folder."""
    for path, _, _ in os.walk(folder):
        files.sync(Path(path))


def _seconds() -> int:
    """Return the real time in seconds: that of witnesses, whatever a simulated clock says."""
    return int(time.time())


def _key_folder(
    folder: Path, recipient: str, passphrase: Ask | None, *, simulated: bool
) -> KeyFolder:
    ask = passphrase or _from_environment
    return KeyFolder(folder / "keys", origin=recipient, simulated=simulated, ask=ask)


def _from_environment() -> str:
    said = passphrase_from_environment()
    if said is None:
        raise UsageError(
            "the keys of this inbox are sealed: set LETTERLOCK_PASSPHRASE, or "
            "LETTERLOCK_PASSPHRASE_FILE to a file with the passphrase"
        )
    return said


def _config_text(recipient: str, *, simulated: bool) -> bytes:
    lines = [f"format = {_FORMAT}", f"recipient = {json.dumps(recipient)}"]
    return "\n".join([*lines, f"simulated = {json.dumps(simulated)}", ""]).encode()


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    try:
        found = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise WorkspaceError(
            f"{folder} is no inbox: run `letterlock recipient init {folder} --id …`"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise WorkspaceError(f"{path} cannot be read: {reason(error)}") from error
    well = (
        found.keys() == _NAMES
        and found["format"] == _FORMAT
        and isinstance(found["simulated"], bool)
        and isinstance(found["recipient"], str)
    )
    if not well:
        raise WorkspaceError(f"{path} is not of a format this program knows")
    return found
