"""Hand-over: approving a release, letting it go under a grant, and taking the receipt back."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from letterlock import approval
from letterlock.domain import RecipientClass, Signature, Time, sha256, text_of
from letterlock.errors import (
    ApprovalError,
    GateClosed,
    InputError,
    ReleaseError,
    SignatureError,
    UsageError,
    VerificationError,
    reason,
)
from letterlock.evidence import bundle
from letterlock.evidence.bundle import Logged
from letterlock.evidence.bundle import Release as Evidence
from letterlock.gate.log import Ask
from letterlock.gate.models import Models
from letterlock.gate.offline import release_files
from letterlock.gate.proofs import Proofs
from letterlock.gate.releases import Releases
from letterlock.gate.workspace import signed_by, silent
from letterlock.handover import age, package
from letterlock.handover.card import Card
from letterlock.handover.fetch import reader_of
from letterlock.handover.grant import Letter
from letterlock.ledger import Draft
from letterlock.lineage import duties, inventory
from letterlock.lineage.graph import Approval, Delivery, DropList, Lineage, Release
from letterlock.lineage.inventory import Inventory
from letterlock.record.quorum import AHEAD
from letterlock.release import manifest
from letterlock.release.build import Progress
from letterlock.release.supersede import rewrite
from letterlock.release.verify import verify as verify_release
from letterlock.store import files
from letterlock.store.witnesses import gather

DAY: Final[Time] = 86_400_000_000
EXPIRES: Final = 7
"""Days that a recipient has to take a package in."""
LONGEST_FEED: Final = 2000
"""Characters of the address of drop lists: it is part of the grant."""
PACKAGE: Final = ".letterlock"
LETTER: Final = ".key"

_SECOND: Final = 1_000_000
_OUTSIDE: Final = frozenset({RecipientClass.AFFILIATE, RecipientClass.THIRD_PARTY})


@dataclass(frozen=True, slots=True)
class Delivered:
    """What went: the grant, as event `index`, and the two files that go to the recipient."""

    grant: str
    release: str
    recipient: str
    index: int
    package: Path
    letter: Path


@dataclass(frozen=True, slots=True)
class Handed:
    """A release as the hand-over sees it; `approved`: at the version that it has now."""

    release: Release
    approved: bool
    needed: bool


class Handovers(Releases, Proofs, Models):
    """The verbs about handing a release over."""

    # ── who receives ────────────────────────────────────────────────────────────────────────

    def register_recipient_key(self, shown: Card, signatures: Sequence[Signature] = ()) -> None:
        """Register the keys of a recipient, as two operators signed; they replace earlier ones.

        The same card twice is one. Raises UsageError for a recipient that is none, ApprovalError,
        InputError for keys that were replaced already.
        """
        if shown.recipient not in self.rules().recipients:
            raise UsageError(f"{shown.recipient!r} is no registered recipient")
        known, body = self.lineage().keys.get(shown.recipient), key_body(shown)
        if known is None or (known.encryption, known.signing) != (shown.encryption, shown.signing):
            self._record_two("recipient.keyed", body, signatures)
        else:
            self._check_signed("recipient.keyed", body, signatures)

    # ── approving ───────────────────────────────────────────────────────────────────────────

    def approval_body(self, release: str, terms: bytes = b"") -> dict[str, Any]:
        """Return what two operators sign, to let the release go as it is now, on these terms."""
        found = self._release(release)
        return {
            "release": found.id, "recipient": found.recipient, "version": found.current.number,
            "manifest": found.current.manifest, "terms": sha256(terms) if terms else "",
        }  # fmt: skip

    def approve_release(
        self, release: str, signatures: Sequence[Signature] = (), *, terms: bytes = b""
    ) -> None:
        """Record that two operators let a release go, and publish the terms; the same once.

        An approval that newer terms came after is not given again: its signatures are public.
        Raises InputError for that, UsageError for a release that is none, ApprovalError,
        GateClosed if something is overdue.
        """
        found = self._release(release)
        self.sweep(found.purpose, found.recipient)
        body = self.approval_body(release, terms)
        if len(terms) > package.MAX_TERMS:
            raise InputError(f"the terms have more than {package.MAX_TERMS} bytes")
        self.check_open(found.purpose, found.recipient)
        self._check_signed("release.approved", body, signatures)
        if (newest := self._approved(found)) is not None and newest.terms == body["terms"]:
            return
        if terms:
            self.publish_blob(terms)
        self._record_two("release.approved", body, signatures)

    def needs_terms(self, release: str) -> bool:
        """Say whether a release goes to a third party: nobody lets that go without terms."""
        recipient = self.rules().recipients[self._release(release).recipient]
        return recipient.recipient_class is RecipientClass.THIRD_PARTY

    def handed(self) -> list[Handed]:
        """Return every sealed release, and whether it is approved as it is now."""
        lineage = self.lineage()
        sealed = [each for each in lineage.releases.values() if each.versions]
        return [Handed(r, self._approved(r) is not None, self._is_outside(r)) for r in sealed]

    def _approved(self, release: Release) -> Approval | None:
        """Return the newest approval of a release as it is now that two operators signed."""
        operators = self.rules().operators
        for each in reversed(release.approvals):
            if (each.version, each.manifest, each.recipient) != (
                release.current.number, release.current.manifest, release.recipient
            ):  # fmt: skip
                continue
            body = {
                "release": release.id, "recipient": each.recipient, "version": each.version,
                "manifest": each.manifest, "terms": each.terms,
            }  # fmt: skip
            signed = [Signature(*said) for said in each.signatures]
            try:
                approval.check(approval.message("release.approved", body), signed, operators)
            except ApprovalError:
                continue
            return each
        return None

    def _is_outside(self, release: Release) -> bool:
        return self.rules().recipients[release.recipient].recipient_class in _OUTSIDE

    # ── letting go ──────────────────────────────────────────────────────────────────────────

    def deliver(  # noqa: PLR0913 - what, where to, until when, and how
        self,
        release: str,
        out: Path,
        *,
        feed: str = "",
        days: int = EXPIRES,
        progress: Progress = silent,
        ask: Ask = gather,
    ) -> Delivered:
        """Let a release go to its recipient, once: a package in `out`, and the letter with its key.

        The grant is recorded and public before the first byte is written; whatever stops this
        after that leaves a grant that is spent, and another call makes another one. Raises
        GateClosed if it may not go now, UsageError, VerificationError, SignatureError; InputError
        if no recipient could read drop lists at `feed`.
        """
        if len(feed) > LONGEST_FEED or (feed and not feed.isprintable()):
            raise InputError(f"an address of drop lists has up to {LONGEST_FEED} characters")
        reader_of(feed)
        asked = self._release(release)
        self.sweep(asked.purpose, asked.recipient, progress=progress)
        with self._one_build():
            _clear(out, release)
            grant = secrets.token_hex(16)
            index, terms, encryption = self._granted(release, grant, feed, days)
            self.settle()  # what is owed for this copy too, if something was due before it
            found = self._release(release)
            self.publish_log(progress, ask=ask)
            evidence, logged = self._shown(found, index)
            identity, name = age.new_identity(), f"{found.id}.{grant}"
            made = Delivered(
                grant, found.id, found.recipient, index,
                out / f"{name}{PACKAGE}", out / f"{name}{LETTER}",
            )  # fmt: skip
            self._pack(made.package, found.id, evidence, terms, identity)
            try:
                # Last: without it, the package is of no use to anybody.
                files.write(made.letter, Letter(identity, logged).seal(encryption))
            except OSError as error:
                raise ReleaseError(f"{made.letter}: cannot be written: {reason(error)}") from error
        return made

    def _granted(self, release: str, grant: str, feed: str, days: int) -> tuple[int, bytes, str]:
        """Record a grant, against every event there is: what is recorded meanwhile is looked at.

        Returns the event, the terms, and the key to encrypt to.
        """
        while True:
            head, found = self.store.head(), self._release(release)
            terms, encryption = self._admitted(found), self._reading_key(found.recipient)
            body = {
                "release": found.id, "recipient": found.recipient, "purpose": found.purpose,
                "version": found.current.number, "manifest": found.current.manifest,
                "grant": grant, "key": encryption, "terms": sha256(terms) if terms else "",
                "feed": feed, "expires": self.now() + days * DAY,
            }  # fmt: skip
            with self._writing():
                if self.store.head().index == head.index:
                    index = self._append_linked([Draft("release.delivered", body)])
                    return index, terms, encryption

    def _admitted(self, found: Release) -> bytes:
        """Check that a release may go now; returns the terms. Raises GateClosed."""
        self.check_open(found.purpose, found.recipient)
        if found.recalled is not None:
            raise GateClosed(f"release {found.id} was recalled: nothing of it goes any more")
        live = [each for each in found.deliveries if each.acknowledged and not each.destroyed]
        if live:
            raise GateClosed(
                f"{found.recipient} holds a copy of release {found.id} under grant "
                f"{live[-1].grant}: `letterlock apply-drops` brings it up to date there"
            )
        approved = self._approved(found)
        if approved is None and self._is_outside(found):
            raise GateClosed(
                f"release {found.id} is not approved for {found.recipient} at version "
                f"{found.current.number}: letterlock release approve {found.id}"
            )
        folder = self.folder / "releases" / found.id
        verify_release(folder)
        if sha256(manifest.content(folder)) != found.current.manifest:
            raise VerificationError(f"{folder} is not the version that was sealed last")
        if people := self.stale(found.id):
            # Lists are made of what was handed over: without a delivery there is none to apply.
            listed = (
                f"letterlock drops publish, then letterlock supersede {found.id}; or build anew"
            )
            raise GateClosed(
                f"release {found.id} is stale: people in it who may not be in it any more: "
                f"{people}. {listed if found.deliveries else 'Build anew: letterlock build'}"
            )
        if approved is None or not approved.terms:
            return b""
        terms = self.blob(approved.terms)
        if terms is None or sha256(terms) != approved.terms:
            raise ReleaseError(f"the terms blobs/{approved.terms} are lost: restore log/")
        return terms

    def _reading_key(self, recipient: str) -> str:
        key = self.lineage().keys.get(recipient)
        if key is None:
            raise GateClosed(
                f"{recipient} has no key to encrypt to: letterlock recipient key CARD registers it"
            )
        return key.encryption

    def _shown(self, found: Release, index: int) -> tuple[bytes, Logged]:
        """Return what the log says of a release, and its grant, checked as its recipient will."""
        seal = found.current.index
        key, opened, sealed, logged = self.logged(found.key, found.opened, seal, index)
        evidence = Evidence(found.id, key, opened, sealed)
        self._check(evidence, release_files(self.folder / "releases" / found.id))
        return bundle.encode(evidence), logged

    def _pack(self, path: Path, release: str, evidence: bytes, terms: bytes, identity: str) -> None:
        part = path.with_name(f".{path.name}{files.PART}")
        try:
            with part.open("xb") as target:
                package.write(target, self.folder / "releases" / release, evidence, terms, identity)
                target.flush()
                os.fsync(target.fileno())
            part.rename(path)
            files.sync(path.parent)
        except OSError as error:
            raise ReleaseError(f"{path}: cannot be written: {reason(error)}") from error
        finally:
            part.unlink(missing_ok=True)

    # ── taking back ─────────────────────────────────────────────────────────────────────────

    def acknowledge(self, data: bytes) -> Inventory:
        """Record a recipient's countersigned inventory, and what it tells of models.

        The newest that is recorded already is recorded once. Raises SignatureError if the
        recipient did not sign it, VerificationError if it is not what must be left, or older than
        one that is recorded, and says which.
        """
        said = inventory.parse(data)
        lineage = self.lineage()
        delivery = lineage.deliveries.get(said.grant)
        if delivery is None:
            raise VerificationError(f"no release was delivered under grant {said.grant}")
        if not delivery.acknowledged or data.decode() != delivery.acknowledged[-1].note:
            self._check_inventory(lineage, delivery, said, data)
            self.record_linked(*self._told(said, data))
        self.settle()
        return said

    def _check_inventory(
        self, lineage: Lineage, delivery: Delivery, said: Inventory, data: bytes
    ) -> None:
        if (delivery.release, delivery.recipient) != (said.release, said.recipient):
            raise VerificationError(f"grant {said.grant} was for another release or recipient")
        _check_newest(delivery, said, data)
        try:
            inventory.countersigned(data, lineage.keys[delivery.recipient].signing)
        except SignatureError as error:
            raise SignatureError(
                f"{delivery.recipient} did not sign that with the key that is registered; for new "
                "keys: letterlock recipient key CARD"
            ) from error
        if said.at > self._as_of(None) + AHEAD * _SECOND:  # none that comes would be newer
            raise VerificationError(
                f"the inventory of release {said.release} is dated {text_of(said.at)}, which is "
                "yet to come: set the recipient's clock, and countersign again"
            )
        if said.destroyed:
            return
        if delivery.destroyed:
            raise VerificationError(
                f"the copy under grant {said.grant} is destroyed: that is final"
            )
        newest = max(delivery.version, delivery.at or 0)
        if said.version < newest:
            raise VerificationError(
                f"the copy under grant {said.grant} is at version {newest} already: an inventory "
                f"of version {said.version} is older"
            )
        for what, (found, expected) in self._expected(lineage, said).items():
            if found != expected:
                raise VerificationError(
                    f"the inventory of release {said.release} under grant {said.grant} is false: "
                    f"{what} is {found}, and must be {expected} at version {said.version}"
                )

    def _expected(self, lineage: Lineage, said: Inventory) -> dict[str, tuple[object, object]]:
        """Return what an inventory says, and what it has to say."""
        release = lineage.releases[said.release]
        version = next((v for v in release.versions if v.number == said.version), None)
        left = next((each for each in release.lists if each.number == said.version), version)
        if left is None:
            raise VerificationError(f"release {release.id} has no drop list {said.version}")
        pairs: dict[str, tuple[object, object]] = {
            name: (getattr(said, name), getattr(left, name))
            for name in ("members", "depth", "root")
        }
        if isinstance(left, DropList):
            pairs["rows"] = (said.rows, left.rows)
        made = self._rewritten(release, said.version) if version is None else None
        if version is None and made is None:
            return pairs | self._claimed(release, said)
        data = self.blob(version.manifest) if version is not None else made
        record = manifest.parse(data or b"")
        return {
            **pairs,
            "rows": (said.rows, record["counts"]["released"]),
            "manifest": (said.manifest, sha256(data or b"")),
            "files": (said.files, tuple((e["path"], e["sha256"]) for e in record["files"])),
        }

    def _rewritten(self, release: Release, number: int) -> bytes | None:
        """Return the manifest that a drop list leaves: the platform's own copy, rewritten aside.

        The recipient's is the same, byte for byte. Members, root and rows alone are in the public
        log, so whoever applied nothing could copy them from there. None if there is no own copy
        any more, or only a later one. Raises VerificationError if it is damaged, WorkspaceError
        while another process builds, ReleaseError.
        """
        place = self.folder / "releases"
        if not release.current.number < number or not (place / release.id).exists():
            return None
        listed = next(each for each in release.lists if each.number == number)
        try:
            with self._one_build(), tempfile.TemporaryDirectory(prefix=".", dir=place) as work:
                old, drop = self._place(release), self._dropped(release, number)
                made = rewrite(old, Path(work), drop, version=number, listed=listed.digest)
        except OSError as error:
            raise ReleaseError(f"the inventory could not be compared: {reason(error)}") from error
        return made.manifest

    def _claimed(self, release: Release, said: Inventory) -> dict[str, tuple[object, object]]:
        """Return what can be held against the claim of a version that nothing here can make.

        Its manifest is none of another version's, and the files keep their names.
        """
        if said.manifest in {each.manifest for each in release.versions}:
            raise VerificationError(
                f"the inventory of release {said.release} under grant {said.grant} is false: its "
                f"manifest is not that of version {said.version}"
            )
        record = manifest.parse(self.blob(release.current.manifest) or b"")
        paths = tuple(each["path"] for each in record["files"])
        return {"names of files": (tuple(path for path, _ in said.files), paths)}

    def _told(self, said: Inventory, data: bytes) -> list[Draft]:
        """Return the events of an inventory: itself, and the models that are new in it."""
        whole = data.decode()
        about = {"grant": said.grant, "release": said.release, "recipient": said.recipient}
        made = [each.record() for each in said.models]
        gone = [each.record() for each in said.destroyed_models]
        return [
            Draft("release.acknowledged", {**about, "note": whole}),
            *self.models_told(said.recipient, made, sha256(data)),
            *self.destroyed_told(said.recipient, gone, whole),
        ]

    def recall(self, release: str, order: str) -> int:
        """Recall a release: no reader goes on with it, and each copy is to be destroyed.

        Returns the event. Raises UsageError for a release that is none, or is recalled already,
        and for no reason given: it is public, and nobody takes it back.
        """
        if not order.strip():
            raise UsageError("say why: what is recalled is recalled for good, and in public")
        if self._release(release).recalled is not None:
            raise UsageError(f"release {release} is recalled already")
        with self._writing():
            lineage, now, policies = self.lineage(), self.now(), self._policies()
            named = order if order in lineage.orders else ""
            owed = duties.for_recall(lineage, release, now, named, policies)
            recalled = Draft("release.recalled", {"release": release, "order": order})
            return self._append_linked([recalled, *owed]) - len(owed)

    # ── what they share ─────────────────────────────────────────────────────────────────────

    def _check_signed(
        self, kind: str, body: dict[str, Any], signatures: Iterable[Signature]
    ) -> None:
        approval.check(approval.message(kind, body), signatures, self.rules().operators)

    def _record_two(self, kind: str, body: dict[str, Any], signatures: Sequence[Signature]) -> None:
        """Record an event of the hand-over that two operators signed. Raises ApprovalError."""
        self._check_signed(kind, body, signatures)
        self.record_linked(Draft(kind, {**body, "signatures": signed_by(signatures)}))


def _check_newest(delivery: Delivery, said: Inventory, data: bytes) -> None:
    """Refuse an inventory that a newer one of the same copy came after: VerificationError."""
    if not delivery.acknowledged:
        return
    newest = inventory.parse(delivery.acknowledged[-1].note.encode())
    known = data.decode() in {each.note for each in delivery.acknowledged}
    # Of two of one state the later counts; another state is judged by what it is.
    same = (newest.version, newest.destroyed) == (said.version, said.destroyed)
    if known or (same and said.at < newest.at):
        left = "the copy is destroyed" if newest.destroyed else f"version {newest.version}"
        raise VerificationError(
            f"a newer inventory under grant {said.grant} is recorded ({left}, "
            f"of {text_of(newest.at)}): this one, of {text_of(said.at)}, is older"
        )


def key_body(shown: Card) -> dict[str, Any]:
    """Return what two operators sign, to register a recipient's keys."""
    return {
        "recipient": shown.recipient, "encryption": shown.encryption, "signing": shown.signing,
    }  # fmt: skip


def _clear(out: Path, release: str) -> None:
    """Make a folder to deliver into, and remove what a killed delivery left half-written there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for left in out.glob(f".{release}.*{files.PART}"):
            left.unlink()
    except OSError as error:
        raise ReleaseError(f"{out}: nothing can be delivered there: {error.strerror}") from error
