"""What a new policy version would change, before it is published: items and people, counted.

Two states are compared with how things stand now: at once, when the version is published and nobody
has been told of it yet; and in force for everyone, when its notice went out to all at publication,
lead time and window have run, and nobody has changed their answer meanwhile. Nothing is recorded.
One pass over the items judges all three; what stays in memory are the plans and, per state, one
byte per member and kind of change. Spec: docs/spec/decision.md §7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from letterlock.domain import Reason, Recipient, Rulebook
from letterlock.release.kernel import ALLOW, BROKEN, SUBJECT_MASK, Items, Kernel
from letterlock.release.plan import Columns, Kind, Noticed, Plan, Supposed, plans_of

Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

_ALLOWED, _UNCHANGED = len(Reason), len(Reason) + 1
"""Beside the reasons, which say why an item is newly denied: newly allowed, and neither."""
_SORTS: Final = len(Reason) + 2


class Judged(Protocol):
    """A registered table as it is judged: row group by row group (release/build.py: Source)."""

    @property
    def kinds(self) -> Sequence[Kind]:
        """Return the kinds of items, numbered as in `items`."""

    @property
    def epochs(self) -> npt.NDArray[np.int64]:
        """Return times that cut the items into about equal numbers."""

    @property
    def rows(self) -> int:
        """Return the number of items."""

    @property
    def groups(self) -> int:
        """Return the number of row groups."""

    def items(self, group: int) -> Items:
        """Return the items of one row group."""


class Progress(Protocol):
    """Is told what is done: a stage, how much of it is done, and how much there is."""

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Take note."""


class Count(NamedTuple):
    """So many items, and so many different members in them."""

    items: int
    people: int


@dataclass(frozen=True, slots=True)
class Change:
    """How the answers of one state differ from those of now.

    `denied` are the items that could go and no longer may; `by_reason` tells them apart by what
    denies them (the same member may be in items of several). `unchanged` are the other items, and
    the members none of whose items changes.
    """

    allowed: Count
    denied: Count
    by_reason: Mapping[Reason, Count]
    unchanged: Count


@dataclass(frozen=True, slots=True)
class Impact:
    """What publishing a version would change for one request."""

    purpose: str
    recipient: Recipient
    version: str
    before: int
    at_once: Change
    in_force: Change

    def record(self) -> dict[str, Any]:
        """Return it as JSON would write it."""
        return {
            "purpose": self.purpose,
            "recipient": self.recipient.id,
            "version": self.version,
            "allowed_now": self.before,
            "at_once": _record(self.at_once),
            "in_force": _record(self.in_force),
        }


def _record(change: Change) -> dict[str, Any]:
    return {
        "newly_allowed": change.allowed._asdict(),
        "newly_denied": change.denied._asdict()
        | {"by_reason": {r.name.lower(): c._asdict() for r, c in change.by_reason.items()}},
        "unchanged": change.unchanged._asdict(),
    }


def impact(  # noqa: PLR0913 - what is asked, of whom, of which items, before and after what
    columns: Columns,
    sources: Sequence[Judged],
    purpose: str,
    recipient: Recipient,
    *,
    before: Rulebook,
    after: Rulebook,
    progress: Progress = lambda _stage, _done, _total: None,
) -> Impact:
    """Count what the newest version of `after` would change for one request.

    `after` is `before` with one version more, as if it were published now; its contracts and its
    regional table may come with it. Raises ValueError for columns of another request or T.
    """
    version = after.policies[-1]
    told = Noticed(version.version, version.published_at)
    runs = max(after.as_of, version.effective_at, version.published_at + version.window)
    states = [
        Supposed(before), Supposed(after), Supposed(replace(after, as_of=runs), told),
    ]  # fmt: skip
    plans = plans_of(
        columns, states, purpose, recipient,
        [kind for source in sources for kind in source.kinds],
        progress=lambda done, total: progress("folding", done, total),
    )  # fmt: skip
    allowed, changes = _compare(plans, sources, columns, progress)
    at_once, in_force = (change.counted() for change in changes)
    return Impact(purpose, recipient, version.version, allowed, at_once, in_force)


class _Tally:
    """Counts one state's changes: items by sort, and who is in items of each sort."""

    def __init__(self, columns: Columns) -> None:
        self.items = np.zeros(_SORTS, np.int64)
        self._size = columns.size + 1  # the last is whoever is beyond, and is not counted
        self._members = columns.members
        self._seen = np.zeros(_SORTS * self._size, np.bool_)

    def add(self, before: Bytes, after: Bytes, items: Items) -> None:
        """Take in the codes of one batch."""
        sort = np.where(before == ALLOW, _SORT[1][after], _SORT[0][after])
        self.items += np.bincount(sort, minlength=_SORTS)
        changed = sort != _UNCHANGED
        some = bool(changed.any())
        for offsets, parties in _lists(items):
            subject = parties & SUBJECT_MASK
            np.minimum(subject, self._size - 1, out=subject)
            if not some:
                self._seen[_UNCHANGED * self._size + subject.astype(np.int64)] = True
                continue
            place = np.repeat(sort.astype(np.int64) * self._size, np.diff(offsets))
            place += subject
            self._seen[place] = True

    def counted(self) -> Change:
        """Return the counts; only members count as people."""
        seen = self._seen.reshape(_SORTS, self._size)[:, self._members]
        people = seen.sum(axis=1)
        denied = seen[:_ALLOWED].any(axis=0)
        steady = seen[_UNCHANGED] & ~denied & ~seen[_ALLOWED]
        return Change(
            Count(int(self.items[_ALLOWED]), int(people[_ALLOWED])),
            Count(int(self.items[:_ALLOWED].sum()), int(denied.sum())),
            {r: Count(int(self.items[r]), int(people[r])) for r in Reason if self.items[r]},
            Count(int(self.items[_UNCHANGED]), int(steady.sum())),
        )


def _sorts() -> npt.NDArray[np.uint8]:
    """Tabulate (could go before, code after): the sort of change."""
    table = np.full((2, 256), _UNCHANGED, np.uint8)
    table[0, ALLOW] = _ALLOWED
    for code in range(ALLOW):
        table[1, code] = code >> 2
    table[1, BROKEN] = Reason.UNEVALUABLE
    return table


_SORT: Final = _sorts()


def _lists(items: Items) -> Iterable[tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]]:
    """Yield (offsets, people) of who takes part, and of who is quoted."""
    yield items.offsets, items.parties
    if items.quotes is not None and items.quote_offsets is not None:
        yield items.quote_offsets, items.quotes


def _compare(
    plans: Sequence[Plan], sources: Sequence[Judged], columns: Columns, progress: Progress
) -> tuple[int, list[_Tally]]:
    """Judge every item under each plan; count what changes from the first to each other."""
    tallies = [_Tally(columns) for _ in plans[1:]]
    total, done, allowed = sum(source.rows for source in sources), 0, 0
    for source in sources:
        kernels = [Kernel.ready(plan, source.kinds, source.epochs) for plan in plans]
        for group in range(source.groups):
            items = source.items(group)
            before, *states = (kernel.verdicts(items) for kernel in kernels)
            for tally, after in zip(tallies, states, strict=True):
                tally.add(before, after, items)
            allowed += int((before == ALLOW).sum())
            done += len(before)
            progress("judging", done, total)
    return allowed, tallies
