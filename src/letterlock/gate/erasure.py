"""Erasure: what a person said is destroyed where we can, and what stays elsewhere is listed.

The report never overstates: a store that this program cannot reach is "unsupported", one that it
reaches but that still leads to the person is "left", and only if nothing is left is it complete.
What lies elsewhere is owed: one duty to erase it there, and what recipients hold by the next sweep.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from letterlock.errors import LetterlockError, UsageError
from letterlock.gate.keys import Kept
from letterlock.gate.trace import InRelease, Trace, Tracing
from letterlock.lineage import duties
from letterlock.lineage.certificate import Outcome, is_done
from letterlock.lineage.graph import Delivery, Duty, Model
from letterlock.store.keys import VRF
from letterlock.store.tokens import forget


@dataclass(frozen=True, slots=True)
class Place:
    """One place where something of a person is or was, what became of it, and what is to be done.

    `where` is a word for programs; `what` a sentence.
    """

    where: str
    outcome: Outcome
    what: str


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did: `events` were erased by it, `before` already; and each place.

    `owed`: the duty to erase what lies elsewhere at the platform, if this erasure began it.
    """

    subject: str
    events: tuple[int, ...]
    before: tuple[int, ...]
    places: tuple[Place, ...]
    owed: Duty | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing of the person is left anywhere that this program knows of."""
        return is_done(place.outcome for place in self.places)


class Erasure(Tracing):
    """The verb that forgets a person."""

    def erase(self, subject: str) -> Erased:
        """Destroy content and salt of every event about a person; say what that does not reach.

        Her commitments stay in ledger and log, where nothing can be shown of them any more and
        every proof holds as before. May be repeated, after an interruption too.
        What lies in the platform's own stores and backups is owed from then on: one duty, which
        does not say whose. Raises UsageError if nothing is recorded about her, LedgerError.
        """
        hers = self._about(subject)
        if not hers:
            raise UsageError(f"nothing is recorded about {subject!r}: nothing was erased")
        erased = [event.index for event in hers if event.body is not None]
        owed = None
        if erased:  # first: what is cut off after it is owed too much, never too little
            index = self.record_linked(duties.for_erasure(self.now(), self._policies()))
            owed = self.lineage().duties[index]
        with self._writing():
            settled = self.store.erase(*erased, now=self.now())
        self._forget_tokens(subject)
        before = [event.index for event in hers if event.body is None]
        places = (*self._stays(len(hers), settled=settled), *self._went(subject))
        return Erased(subject, tuple(erased), tuple(before), places, owed)

    def _forget_tokens(self, subject: str) -> None:
        (number,) = self.store.numbers([subject])
        for each in self.introduced(VRF):
            path = self.tokens_path(each.index)
            if path.exists():
                forget(path, int(number))

    def _went(self, subject: str) -> Iterator[Place]:
        """Say of what left what her trace says of it; it is still hers once her events are gone."""
        try:
            yield from _places(self.trace(subject))
        except LetterlockError as error:
            yield Place("releases", "left", f"which name her cannot be told: {error}")

    def _stays(self, events: int, *, settled: bool) -> Iterator[Place]:
        """Say of each place what became of it."""
        said = f"content and salt of every event ({events}): a commitment alone shows nothing"
        yield Place("ledger", "erased", said)
        if not settled:
            where, said = self.store.remains
            yield Place(where, "left", said)
        yield Place("tokens", "erased", "what was kept of her pseudonyms' derivation")
        for kept in self.kept():
            if kept.introduced.use == VRF:
                yield _pseudonyms(kept)
        yield from _ELSEWHERE


def _places(went: Trace) -> Iterator[Place]:
    """Say of each release, copy and model of her trace what is left of her there."""
    for name, why in went.untold.items():
        yield Place(f"release {name}", "left", f"whether she is in it cannot be told: {why}")
    models: dict[str, Place] = {}
    for mine in went.releases:
        release, where = mine.release, f"release {mine.release.id}"
        yield _copy(f"{where} here", release.current.number, mine.listed, here=mine.here)
        for copy in release.deliveries:
            yield _delivered(f"{where} at {copy.recipient}", copy, mine)
        for learned in mine.models:
            models[learned.model.digest] = _model(learned.model, release.id)
    yield from models.values()


def _copy(where: str, version: int, listed: int, *, here: bool) -> Place:
    if not here:
        return Place(where, "erased", f"superseded by version {version}, which names her nowhere")
    if listed:
        return Place(where, "left", f"dropped: list {listed} names her; to be superseded")
    return Place(where, "left", "open: she is in it until a drop list is published and applied")


def _delivered(where: str, copy: Delivery, mine: InRelease) -> Place:
    """Say how it stands with one copy: open, dropped (a list names her), or applied."""
    listed = mine.listed
    if copy.destroyed:
        return Place(where, "erased", f"{copy.recipient} countersigned that its copy is destroyed")
    if copy not in mine.deliveries:
        return Place(where, "erased", f"delivered as version {copy.version}, without her")
    if listed and copy.at is not None and copy.at >= listed:
        said = f"applied: {copy.recipient} countersigned version {copy.at}, which names her nowhere"
        return Place(where, "erased", said)
    if listed:
        return Place(where, "left", f"dropped: list {listed} names her; not countersigned yet")
    return Place(where, "left", "open: no drop list names her yet")


def _model(model: Model, release: str) -> Place:
    where = f"model {model.digest[:12]} at {model.owner}"
    said = f"{model.name} learned from release {release}, in which she was"
    if model.gone:
        return Place(where, "erased", f"{said}: destroyed, as a complete certificate says")
    return Place(where, "left", f"{said}: to be destroyed, or trained anew without her")


def _pseudonyms(kept: Kept) -> Place:
    index = kept.introduced.index
    if kept.state == "destroyed":
        said = f"VRF key {index}: no pseudonym can be derived with it any more"
        return Place("pseudonyms", "key destroyed", said)
    releases = f"releases {', '.join(kept.releases)}" if kept.releases else "no release yet"
    said = f"her pseudonyms stay derivable until VRF key {index} ({releases}) is destroyed"
    return Place("pseudonyms", "left", said)


_ELSEWHERE: Final = (
    Place(
        "account id",
        "left",
        "the ledger keeps her account id, to refuse whatever names her, and the names of regions "
        "and contracts without saying whose they were",
    ),
    Place(
        "grants",
        "left",
        "grants/ keeps marks of grants as they were sealed; whose, only a VRF key can tell",
    ),
    Place("index", "left", "index/ still says in which rows she is, until their source is gone"),
    Place("sources", "unsupported", "the platform's own tables and mail: erase there"),
    Place("backups", "unsupported", "copies of ledger, keys and releases that were made before"),
)
