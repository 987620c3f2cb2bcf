"""Erasure: what a person said is destroyed where we can, and what stays elsewhere is listed.

The report never overstates: a store that this program cannot reach is "unsupported", one that it
reaches but that still leads to the person is "left", and only if nothing is left is it complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from letterlock.errors import UsageError
from letterlock.gate.keys import Kept, Keys
from letterlock.store.keys import VRF
from letterlock.store.tokens import forget

Outcome: TypeAlias = Literal["erased", "key destroyed", "left", "unsupported"]
_DONE: Final = frozenset({"erased", "key destroyed"})


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
    """What an erasure did: `events` were erased by it, `before` already; and each place."""

    subject: str
    events: tuple[int, ...]
    before: tuple[int, ...]
    places: tuple[Place, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing of the person is left anywhere that this program knows of."""
        return all(place.outcome in _DONE for place in self.places)


class Erasure(Keys):
    """The verb that forgets a person."""

    def erase(self, subject: str) -> Erased:
        """Destroy content and salt of every event about a person; say what that does not reach.

        Her commitments stay in ledger and log, where nothing can be shown of them any more and
        every proof holds as before. May be repeated, after an interruption too.
        Raises UsageError if nothing is recorded about her, LedgerError.
        """
        hers = self._about(subject)
        if not hers:
            raise UsageError(f"nothing is recorded about {subject!r}: nothing was erased")
        erased = [event.index for event in hers if event.body is not None]
        with self._writing():
            settled = self.store.erase(*erased, now=self.now())
        self._forget_tokens(subject)
        before = [event.index for event in hers if event.body is None]
        places = tuple(self._stays(len(hers), settled=settled))
        return Erased(subject, tuple(erased), tuple(before), places)

    def _forget_tokens(self, subject: str) -> None:
        (number,) = self.store.numbers([subject])
        for each in self.introduced(VRF):
            path = self.tokens_path(each.index)
            if path.exists():
                forget(path, int(number))

    def _stays(self, events: int, *, settled: bool) -> Iterator[Place]:
        """Say of each place what became of it."""
        said = f"content and salt of every event ({events}): a commitment alone shows nothing"
        yield Place("ledger", "erased", said)
        if not settled:
            said = (
                "another process was reading the ledger, so ledger.db-wal may hold what was "
                "erased: erase again when it has ended"
            )
            yield Place("write-ahead log", "left", said)
        yield Place("tokens", "erased", "what was kept of her pseudonyms' derivation")
        for kept in self.kept():
            if kept.introduced.use == VRF:
                yield _pseudonyms(kept)
        yield from _ELSEWHERE


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
    Place("releases", "unsupported", "what was released, here and with recipients, is not changed"),
    Place("backups", "unsupported", "copies of ledger, keys and releases that were made before"),
)
