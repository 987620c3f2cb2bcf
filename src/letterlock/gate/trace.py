"""The member's answer: what of hers went, to whom, what learned from it, and what is owed.

Who is in which release follows from her pseudonym there: one hash and one bisection for each sealed
version, in files made when they are first needed (store/lookup.py). GDPR Art. 15 asks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from letterlock.domain import Role, Time, sha256, text_of
from letterlock.errors import (
    InputError,
    LetterlockError,
    ReleaseError,
    VerificationError,
    WorkspaceError,
)
from letterlock.evidence import receipt
from letterlock.evidence.entries import Public, entries_of, read
from letterlock.gate.handover import Handovers
from letterlock.gate.judged import Unjudged
from letterlock.gate.obligations import Owed
from letterlock.handover import logged
from letterlock.lineage.graph import Delivery, Lineage, Model, Release, Version
from letterlock.record import memberset, merkle
from letterlock.release import manifest, presence
from letterlock.release.affected import Affected, released_in
from letterlock.release.presence import Row
from letterlock.reports import dossier
from letterlock.sources.index import item_keys
from letterlock.store import lookup
from letterlock.store.lookup import Held, NameFile, Rows

TRACE: Final = "trace"
"""The folder of the lookup files."""


@dataclass(frozen=True)
class Learned:
    """A model that learned from a version she was in; `of` names the model that it came of."""

    model: Model
    version: int
    of: str

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        gone = self.model.destroyed
        return {
            "model": self.model.digest,
            "name": self.model.name,
            "owner": self.model.owner,
            "learned_from_version": self.version,
            "came_of": self.of,
            "registered_at": text_of(self.model.time),
            "destroyed": None if gone is None else gone.complete,
            "event": self.model.index,
        }


@dataclass(frozen=True)
class InRelease:
    """A release that she is, or was, in: `versions` are those that hold her.

    `held`: classes and roles of her rows in each of these, None where it cannot be told any more;
    `listed` is the number of the first drop list
    that she is on, 0 for none.
    """

    release: Release
    pseudonym: bytes
    versions: tuple[Version, ...]
    held: Mapping[int, tuple[Held, ...] | None]
    listed: int
    models: tuple[Learned, ...]
    owed: tuple[Owed, ...]

    @property
    def here(self) -> bool:
        """Whether the version that the platform holds now still names her."""
        return self.release.current in self.versions

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """Return the deliveries of versions that hold her."""
        numbers = {version.number for version in self.versions}
        return tuple(each for each in self.release.deliveries if each.version in numbers)

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        release = self.release
        return {
            "release": release.id,
            "purpose": release.purpose,
            "recipient": release.recipient,
            "as_of": text_of(release.as_of),
            "pseudonym": self.pseudonym.hex(),
            "versions": [
                {
                    "version": each.number,
                    "sealed_at": text_of(each.time),
                    "event": each.index,
                    "names_her": each in self.versions,
                    "rows": _rows(self.held.get(each.number, ())),
                }
                for each in release.versions
            ],
            "recalled_at": None if release.recalled is None else text_of(release.recalled),
            "drop_list": self.listed or None,
            "deliveries": [_delivery(each) for each in self.deliveries],
            "models": [each.record() for each in self.models],
            "obligations": [each.record() for each in self.owed],
        }


def _rows(held: tuple[Held, ...] | None) -> list[dict[str, Any]] | None:
    if held is None:
        return None
    return [
        {"data_class": each.data_class, "role": Role(each.role).name.lower(), "rows": each.rows}
        for each in held
    ]


def _delivery(each: Delivery) -> dict[str, Any]:
    return {
        "grant": each.grant,
        "recipient": each.recipient,
        "purpose": each.purpose,
        "version": each.version,
        "at": text_of(each.time),
        "expires": text_of(each.expires),
        "acknowledged": [
            {
                "at": text_of(ack.time),
                "version": ack.version,
                "destroyed": ack.destroyed,
                "event": ack.index,
            }
            for ack in each.acknowledged
        ],
        "event": each.index,
    }


@dataclass(frozen=True)
class Trace:
    """The whole answer; `untold` are releases of which it cannot be told, and why.

    `unjudged`: what may take her out of one that she is in, and that no sweep has seen.
    """

    subject: str
    as_of: Time
    upto: int
    events: int
    erased: int
    choices: tuple[int, ...]
    releases: tuple[InRelease, ...]
    asked: int
    untold: Mapping[str, str] = field(default_factory=dict)
    unjudged: Unjudged | None = None

    @property
    def recipients(self) -> tuple[str, ...]:
        """Return who was given a release that she is in, sealed or delivered; each once."""
        return tuple(sorted({each.release.recipient for each in self.releases}))

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "subject": self.subject,
            "as_of": text_of(self.as_of),
            "upto": self.upto,
            "recorded": {
                "events": self.events,
                "erased": self.erased,
                "choices": list(self.choices),
            },
            "releases_asked": self.asked,
            "releases": [each.record() for each in self.releases],
            "untold": dict(self.untold),
            "unjudged": self.unjudged and self.unjudged.record(),
        }


class Tracing(Handovers):
    """The verb that answers a member."""

    _models_known: tuple[int, dict[str, list[Learned]]] = (-1, {})

    def trace(self, subject: str) -> Trace:
        """Say what became of somebody's data: releases, recipients, models, obligations.

        Nobody need be known here to be answered. Raises InputError for what is no account id,
        WorkspaceError if a key does not open, UsageError without a passphrase.
        """
        memberset.alpha(self.origin, subject)
        lineage, hers = self.lineage(), self._about(subject)
        found, untold, tokens = [], {}, dict[int, bytes]()
        owed = self._owed_by_release()
        sealed = [each for each in lineage.releases.values() if each.versions]
        for release in sealed:
            try:
                if release.key not in tokens:
                    secret = self.vrf_secret(release.key)
                    tokens[release.key] = secret.token(memberset.alpha(self.origin, subject))
                each = self._in_release(lineage, release, subject, tokens[release.key], owed)
            except LetterlockError as error:
                untold[release.id] = str(error)
            except OSError as error:
                raise WorkspaceError(f"{self.folder / TRACE}: {error.strerror}") from error
            else:
                found += [] if each is None else [each]
        return Trace(
            subject, self.now(), lineage.upto, len(hers), sum(e.body is None for e in hers),
            tuple(e.index for e in hers if e.kind == receipt.KIND and e.body is not None),
            tuple(found), len(sealed), untold,
            self.unjudged(subject, [each.release.id for each in found]),
        )  # fmt: skip

    def _in_release(
        self,
        lineage: Lineage,
        release: Release,
        subject: str,
        token: bytes,
        owed: Mapping[str, list[Owed]],
    ) -> InRelease | None:
        """Return what a release has of somebody, whose token it is; None if it never named her.

        Raises VerificationError if its files are not those that were sealed.
        """
        with_her, place, name = [], -1, b""
        for version in release.versions:
            names = self._names_of(release, version)
            try:
                name = memberset.pseudonym(names.scope, token)
                at = names.find(name)
            finally:
                names.close()
            if at is not None:
                with_her.append(version)
                place = at if version.number == 0 else place
        if not with_her:
            return None
        held = self._held(release, with_her, place, subject)
        listed = self._listed(release, name)
        numbers = {version.number for version in with_her}
        models = tuple(m for m in self._models_of(lineage, release.id) if m.version in numbers)
        hers = tuple(o for o in owed.get(release.id, ()) if _concerns(o, listed, models))
        return InRelease(release, name, tuple(with_her), held, listed, models, hers)

    def trace_bundle(self, found: Trace) -> bytes:
        """Return a trace with its proofs in one archive that the log's key signs.

        It has, where published: for each release whether she is in it as it stands; for each of
        her choices its receipt; deliveries, lists and models as the log has them. Checked before
        it is returned. Raises LogError if nothing is published, and as `trace`.
        """
        size = self.public_log().size
        evidence: dict[str, bytes] = {}
        for index in found.choices:
            evidence[dossier.receipt_name(index)] = self.receipt_of(index)
        for release in self.lineage().releases.values():
            known = release.versions and release.id not in found.untold
            if known and release.current.index < size:
                proof = self.member_proof(found.subject, release.id)
                evidence[dossier.member_name(release.id)] = proof
        indexes = sorted({n for each in found.releases for n in _events(each) if n < size})
        for each in self.logged(*indexes) if indexes else ():
            if isinstance(read(each.entry), Public):  # a longer one stands beside the log
                evidence[dossier.event_name(each.index)] = logged.encode(each)
        data = dossier.write(
            self.origin, found.subject, found.as_of, found.record(), evidence,
            self.plain_signers(),
        )  # fmt: skip
        dossier.check(data, self.trust(), self._seconds())
        return data

    # ── files made once ─────────────────────────────────────────────────────────────────────

    def _names_of(self, release: Release, version: Version) -> NameFile:
        """Return the pseudonyms of a version, made from its table of members if need be."""
        path = self.folder / TRACE / f"{release.id}.{version.number}.names"
        found = lookup.open_names(path, version.manifest)
        if found is None:
            folder = self.folder / "releases" / release.id
            names = presence.names_in(folder, self._manifest(release, version))
            (opening,) = entries_of(self.store.entries(release.opened, upto=release.opened))
            leaf = merkle.leaf_hash(opening.entry)
            scope = memberset.scope(self.origin, release.opened, leaf)
            lookup.write_names(path, version.manifest, scope, names)
            found = lookup.open_names(path, version.manifest)
        if found is None:
            raise VerificationError(f"{path}: cannot be read back")
        return found

    def _manifest(self, release: Release, version: Version) -> dict[str, Any]:
        """Return the manifest of a version, which stands beside the log by its hash too."""
        folder = self.folder / "releases" / release.id
        if version == release.current:
            data = manifest.content(folder)
        else:
            data = self.blob(version.manifest) or b""
        if sha256(data) != version.manifest:
            raise VerificationError(
                f"release {release.id}: the manifest of version {version.number} is not here"
            )
        return manifest.parse(data)

    def _held(
        self, release: Release, versions: Sequence[Version], member: int, subject: str
    ) -> dict[int, tuple[Held, ...] | None]:
        """Return classes and roles of her rows in each of the versions that have her.

        Of one whose rows are not here any more by the index that the release was made by; None if
        that is gone too, and nobody asked while they were here.
        """
        found: dict[int, tuple[Held, ...] | None] = {}
        indexed: list[Row] | None = None
        for version in versions:
            held = self._kept_rows(release, version, member)
            if held is None:
                indexed = self._indexed(release, subject) if indexed is None else indexed
                held = self._left_of(indexed, release, version)
            order = sorted(held, key=lambda each: (each.data_class, each.role))
            found[version.number] = tuple(order) or None
        return found

    def _kept_rows(self, release: Release, version: Version, member: int) -> list[Held] | None:
        """Return what the lookup file of a version says, which is made while its rows are here."""
        path = self.folder / TRACE / f"{release.id}.{version.number}.classes"
        found = lookup.held(path, version.manifest, member)
        folder = self.folder / "releases" / release.id
        here = version == release.current and (folder / manifest.OUTGOING / "data").is_dir()
        if found is None and here:
            members = release.versions[0].members
            classes, who, kind, rows = presence.scan(
                folder, self._manifest(release, version), members
            )
            offsets = np.searchsorted(who, np.arange(members + 1))
            table = Rows(
                tuple(classes), offsets.astype(np.uint32), kind.astype(np.uint32),
                rows.astype(np.uint32),
            )  # fmt: skip
            lookup.write_rows(path, version.manifest, table)
            found = lookup.held(path, version.manifest, member)
        return found

    def _indexed(self, release: Release, subject: str) -> list[Row]:
        """Return somebody's rows of a release as it was sealed, by its index; none if it is gone.

        None, too, if what was withheld is not here as it was sealed. Takes a pass over the index.
        """
        try:
            went = released_in(self._place(release), item_keys)
            (number,) = self.store.known([subject]).values()
            return [
                row
                for index in self._sources_of(release)
                for row in presence.rows_naming(index, went, number)
            ]
        except (InputError, ReleaseError, VerificationError):
            return []

    def _left_of(self, rows: Sequence[Row], release: Release, version: Version) -> list[Held]:
        """Count the rows that a version still had: those of which everybody is in it."""
        if version.number and rows:
            people = np.unique([n for row in rows for n in row.people])
            named = self._named_in(release, Affected(people, np.zeros(len(people), np.uint8)))
            names = self._names_of(release, version)
            try:
                there = {n for name, n in named.items() if names.find(name) is not None}
            finally:
                names.close()
            rows = [row for row in rows if row.people <= there]
        count = Counter((row.data_class, role) for row in rows for role in row.roles)
        return [Held(*of, rows=number) for of, number in count.items()]

    def _listed(self, release: Release, name: bytes) -> int:
        """Return the number of the first drop list that has a pseudonym; 0 if none does."""
        first, folder = 0, self.folder / "log" / "drops" / release.id
        for each in reversed(release.lists):  # cumulative: who is on one is on all later ones
            path = folder / f"{each.number}.json"
            data = path.read_bytes() if path.is_file() else b""
            if sha256(data) != each.digest:
                raise VerificationError(f"drop list {each.number} of {release.id} is not here")
            if name.hex().encode() not in data:
                break
            first = each.number
        return first

    # ── what follows from the graph ─────────────────────────────────────────────────────────

    def _models_of(self, lineage: Lineage, release: str) -> list[Learned]:
        """Return the models that learned from a release, itself or through others."""
        if self._models_known[0] != lineage.upto:
            self._models_known = (lineage.upto, _by_release(lineage))
        return self._models_known[1].get(release, [])

    def _owed_by_release(self) -> dict[str, list[Owed]]:
        found: dict[str, list[Owed]] = {}
        for each in self.obligations():
            found.setdefault(each.duty.release, []).append(each)
        return found


def _events(found: InRelease) -> Iterator[int]:
    """Yield the public events of what left: deliveries and inventories, lists, models."""
    for each in found.deliveries:
        yield each.index
        yield from (said.index for said in each.acknowledged)
    yield from (each.index for each in found.release.lists if 0 < found.listed <= each.number)
    for learned in found.models:
        yield learned.model.index
        if learned.model.destroyed is not None:
            yield learned.model.destroyed.index


def _by_release(lineage: Lineage) -> dict[str, list[Learned]]:
    """Say of each release which models learned from which version of it, in one pass."""
    of_model: dict[str, dict[str, set[int]]] = {}
    found: dict[str, list[Learned]] = {}
    for model in lineage.models.values():  # a source is recorded before what comes of it
        mine: dict[str, set[int]] = {}
        came_of = ""
        for source in model.sources:
            if source.release:
                mine.setdefault(source.release, set()).add(source.version)
            elif source.model:
                came_of = source.model
                for release, versions in of_model.get(source.model, {}).items():
                    mine.setdefault(release, set()).update(versions)
        of_model[model.digest] = mine
        for release, versions in mine.items():
            learned = (Learned(model, version, came_of) for version in sorted(versions))
            found.setdefault(release, []).extend(learned)
    return found


def _concerns(owed: Owed, listed: int, models: tuple[Learned, ...]) -> bool:
    """Say whether a duty about a release she is in is one on account of her.

    Those of a list that she is on and of later ones, and those of the whole release; of models,
    those that learned from her.
    """
    duty = owed.duty
    if duty.model and all(each.model.digest != duty.model for each in models):
        return False
    return duty.version == 0 or 0 < listed <= duty.version
