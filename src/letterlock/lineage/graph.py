"""The graph of what left the gate: releases, deliveries, models and duties, as `fold` makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from letterlock.domain import Time
from letterlock.lineage.events import Body
from letterlock.lineage.inventory import Unaccounted


@dataclass(frozen=True, slots=True)
class Version:
    """A release as it was sealed (0), or superseded after drop list `number`."""

    number: int
    manifest: str
    members: int
    depth: int
    root: str
    index: int
    time: Time
    checked: int


@dataclass(frozen=True, slots=True)
class DropList:
    """A published list; `members`, `depth`, `root`, `rows`: what must be left of the release."""

    number: int
    digest: str
    dropped: int
    members: int
    depth: int
    root: str
    rows: int
    upto: int
    index: int
    time: Time


@dataclass(frozen=True, slots=True)
class Approval:
    """Two operators' consent to hand a version of a release over; `terms`: hash, or empty."""

    version: int
    manifest: str
    recipient: str
    terms: str
    index: int
    time: Time
    signatures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A recipient's countersigned inventory: its copy is at `version`, or `destroyed`."""

    note: str
    version: int
    destroyed: bool
    index: int
    time: Time
    unaccounted: tuple[Unaccounted, ...] = ()


@dataclass(slots=True)
class Delivery:
    """A grant, used once, and what its recipient has acknowledged since."""

    grant: str
    release: str
    recipient: str
    purpose: str
    version: int
    manifest: str
    key: str
    terms: str
    feed: str
    expires: Time
    index: int
    time: Time
    acknowledged: list[Acknowledged] = field(default_factory=list)

    @property
    def destroyed(self) -> bool:
        """Whether its recipient countersigned that nothing is left of it: that is for good."""
        return any(each.destroyed for each in self.acknowledged)

    @property
    def at(self) -> int | None:
        """Return the version that the newest inventory shows; None before the first."""
        return self.acknowledged[-1].version if self.acknowledged else None

    @property
    def unaccounted(self) -> tuple[Unaccounted, ...]:
        """Return the reads that no model accounts for, as the newest inventory says."""
        return self.acknowledged[-1].unaccounted if self.acknowledged else ()


@dataclass(slots=True)
class Release:
    """A release: opened for one purpose and recipient, sealed, and what became of it."""

    id: str
    opened: int
    opened_at: Time
    purpose: str
    recipient: str
    as_of: Time
    sources: tuple[tuple[str, str], ...]
    key: int = -1
    versions: list[Version] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    lists: list[DropList] = field(default_factory=list)
    recalled: Time | None = None

    @property
    def current(self) -> Version:
        """Return the newest version that the platform holds."""
        return self.versions[-1]

    @property
    def dropped_to(self) -> int:
        """Return the number of the newest drop list, 0 before the first."""
        return self.lists[-1].number if self.lists else 0


@dataclass(frozen=True, slots=True)
class Source:
    """What a model came of: a version of a release, or (`how`) another model.

    `external`: what a model is called, or where it is, that no release is in and nobody registered;
    then `digest` is its, and `model` is empty.
    """

    release: str = ""
    version: int = 0
    model: str = ""
    how: str = ""
    external: str = ""
    digest: str = ""


@dataclass(slots=True)
class Model:
    """A trained model, known by the digest of all its files."""

    digest: str
    name: str
    owner: str
    sources: tuple[Source, ...]
    files: int
    size: int
    index: int
    time: Time
    destroyed: Destroyed | None = None

    @property
    def gone(self) -> bool:
        """Whether nothing is left of it, as a certificate says."""
        return self.destroyed is not None and self.destroyed.complete


@dataclass(frozen=True, slots=True)
class Destroyed:
    """A certificate of destruction; unless `complete`, something of the model is left."""

    certificate: str
    complete: bool
    index: int
    time: Time


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """The keys that a recipient reads with (age) and countersigns with (a vkey)."""

    encryption: str
    signing: str
    index: int
    time: Time


@dataclass(frozen=True, slots=True)
class Duty:
    """Something owed since `since`, and until `due`; `index` of the event that says so."""

    index: int
    duty: str
    cause: str
    reasons: Mapping[str, int]
    release: str
    recipient: str
    grant: str
    model: str
    version: int
    since: Time
    due: Time
    owner: str
    order: str

    @property
    def id(self) -> str:
        """Return what people call it."""
        return f"O-{self.index}"

    def body(self) -> dict[str, Any]:
        """Return what its event says."""
        return {each.name: getattr(self, each.name) for each in fields(self)[1:]}


@dataclass(frozen=True, slots=True)
class Order:
    """A court's or regulator's order, as two operators entered it."""

    name: str
    text: str
    query: Body
    index: int
    time: Time


@dataclass(frozen=True, slots=True)
class Certified:
    """What became of each place that an erasure had to reach."""

    obligation: int
    complete: bool
    places: tuple[tuple[str, str, str], ...]
    index: int
    time: Time


@dataclass(slots=True)
class Lineage:
    """Everything that left, as of the last event folded."""

    releases: dict[str, Release] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    keys: dict[str, RecipientKey] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    """Recipients' keys that a later card took the place of."""
    duties: dict[int, Duty] = field(default_factory=dict)
    met: dict[int, int] = field(default_factory=dict)
    """By duty, the event that shows it as done; `met_at`: when that was recorded."""
    met_at: dict[int, Time] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    certified: dict[int, Certified] = field(default_factory=dict)
    upto: int = -1
    at: Time = 0

    def open(self) -> Iterator[Duty]:
        """Yield the duties that are not met."""
        return (duty for index, duty in self.duties.items() if index not in self.met)

    def overdue(self, now: Time) -> Iterator[Duty]:
        """Yield the duties whose time has passed and that are not met."""
        return (duty for duty in self.open() if duty.due < now)

    def models_of(self, release: str) -> Iterator[Model]:
        """Yield the models that learned from a release, and every model that came of one."""
        tainted: set[str] = set()
        for model in self.models.values():  # a source is recorded before what comes of it
            if any(s.release == release or s.model in tainted for s in model.sources):
                tainted.add(model.digest)
                yield model

    def descendants(self, digest: str) -> Iterator[Model]:
        """Yield the models that came of one, however far."""
        found = {digest}
        for model in self.models.values():
            if any(source.model in found for source in model.sources):
                found.add(model.digest)
                yield model

    def versions_of(self, digest: str) -> dict[str, int]:
        """Return the releases that a model learned from, itself or through others.

        Each with the oldest version that it learned from.
        """
        found: dict[str, int] = {}
        for model in [self.models[digest], *self.ancestors(digest)]:
            for source in model.sources:
                if source.release:
                    found[source.release] = min(
                        source.version, found.get(source.release, source.version)
                    )
        return found

    def learnt_from(self, digest: str) -> Time:
        """Return when the last of the releases was sealed that are in a model: it is no older."""
        sealed = (self.releases[r].versions[0].time for r in self.versions_of(digest))
        return max(sealed, default=0)

    def ancestors(self, digest: str) -> Iterator[Model]:
        """Yield the models that one came of, however far, nearest first."""
        asked, seen = [digest], {digest}
        while asked:
            for source in self.models[asked.pop(0)].sources:
                if source.model and source.model not in seen:
                    seen.add(source.model)
                    asked.append(source.model)
                    yield self.models[source.model]
