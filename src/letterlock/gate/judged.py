"""What nobody has judged yet: what may take a person out of a release, recorded since a last look.

A no owes nothing before a sweep has found it. So that it cannot lie unseen, what was recorded since
the last sweep is counted here; what a sweep saw follows from what is recorded and signed: the seal,
the drop lists, and the head, which is signed also where nobody had to be dropped.
Spec: docs/spec/drops.md#6-not-judged-yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from letterlock.domain import Act, Time, counted, text_of
from letterlock.errors import InputError, SignatureError
from letterlock.gate.log import PublicLog
from letterlock.handover import feed
from letterlock.ledger import Event
from letterlock.lineage.duties import LIST_WITHIN
from letterlock.lineage.graph import Lineage, Release

COMMAND: Final = "letterlock drops publish"
NARROWING: Final = frozenset(
    {"policy.published", "contract.published", "region.published", "hold.set", "hold.lifted"}
)
"""What may deny somebody, of the events that are about everyone."""
_ERASED: Final = "event.erased"
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Events that may narrow and that no sweep has seen: how many, since when, for what."""

    events: int
    since: Time
    releases: tuple[str, ...]
    overdue: bool

    def told(self) -> str:
        """Say it, and what to do."""
        return told(self.record())

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "events": self.events, "since": text_of(self.since),
            "due": text_of(self.since + LIST_WITHIN), "overdue": self.overdue,
            "releases": list(self.releases), "command": COMMAND,
        }  # fmt: skip


def told(record: Mapping[str, Any]) -> str:
    """Say in words what `Unjudged.record` says."""
    events = record["events"]
    what = f"{counted(events, 'events')} that may narrow {'is' if events == 1 else 'are'}"
    return f"{what} not judged since {record['since']}: run {record['command']}"


class Judged(PublicLog):
    """How far what left was judged."""

    def unjudged(
        self, subject: str | None = None, releases: Iterable[str] | None = None
    ) -> Unjudged | None:
        """Count what may narrow since the last look at each release (of `releases`, None: all).

        With a `subject`, only what is about her or about everyone. None if all was judged.
        """
        kept = None if releases is None else set(releases)
        asked = [r for r in in_care(self.lineage()) if kept is None or r.id in kept]
        if not asked:
            return None
        since = min(map(_judged_to, asked))
        events = [e for e in self._events_after(since, subject) if may_narrow(e)]
        looks = [(each.id, self._look(each, events)) for each in asked]
        missed = {e.index: e for e in events if any(not look.saw(e) for _, look in looks)}
        if not missed:
            return None
        at = min(event.time for event in missed.values())
        where = [name for name, look in looks if any(not look.saw(e) for e in missed.values())]
        late = at + LIST_WITHIN < self._as_of(None)
        return Unjudged(len(missed), at, tuple(sorted(where)), late)

    def _events_after(self, after: int, subject: str | None) -> Iterator[Event]:
        upto = self.store.head().index
        if subject is None:
            return self.store.every_event(upto=upto, after=after)
        events = self.store.events(upto=upto, subjects=[subject])
        return (event for event in events if event.index > after)

    def _look(self, release: Release, events: Sequence[Event]) -> _Look:
        """Return what was judged of a release; its head is read only if something came after."""
        upto = _judged_to(release)
        head = self._head(release.id) if events and events[-1].index > upto else None
        return _Look(upto) if head is None else _Look(upto, head.size, head.as_of * _SECOND)

    def _head(self, release: str) -> feed.Head | None:
        """Return the head that is public, if the log signed it for this release."""
        try:
            head = feed.check_head((self._feed(release) / feed.HEAD).read_bytes(), self.trust())
        except (OSError, InputError, SignatureError):
            return None
        return head if (head.origin, head.release) == (self.origin, release) else None

    def _feed(self, release: str) -> Path:
        return self.folder / "log" / "drops" / release


@dataclass(frozen=True, slots=True)
class _Look:
    """What was judged of a release: up to an event; and by its head, of so many, up to a time."""

    upto: int
    size: int = 0
    as_of: Time = 0

    def saw(self, event: Event) -> bool:
        return event.index <= self.upto or (event.index < self.size and event.time <= self.as_of)


def _judged_to(release: Release) -> int:
    """Return the last event that the seal or a drop list of a release was made by."""
    return max([release.versions[0].checked, *(each.upto for each in release.lists)])


def in_care(lineage: Lineage) -> list[Release]:
    """Return the releases that a sweep judges: sealed, not recalled, and of use to somebody.

    That is, it was handed over, a model learned from it, or it has a drop list already.
    """
    return [
        each
        for each in lineage.releases.values()
        if each.versions and each.recalled is None and is_used(lineage, each)
    ]


def is_used(lineage: Lineage, release: Release) -> bool:
    """Say whether a release was handed over, taught a model, or has a drop list."""
    return bool(release.deliveries or release.lists or any(lineage.models_of(release.id)))


def may_narrow(event: Event) -> bool:
    """Say whether an event can take somebody out of what was sealed before it: all but a yes."""
    if event.subject is None:
        return event.kind in NARROWING or event.kind == _ERASED
    # Of what was erased, the erasure itself is counted.
    return event.body is not None and event.body.get("act") != Act.GRANT
