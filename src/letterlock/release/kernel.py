"""Verdicts for a batch of items: one byte each, by one gather and one reduction.

An item's code is the smallest over its parties of 4·reason + role. 80 allows; 81 marks an item that
cannot be judged itself, which has no role. Most answers come from the epoch grid, whose cell holds
a person's code if it is constant within an epoch of `created_at`; the few others (255) walk the
exact interval table. Spec: docs/spec/decision.md §7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from letterlock.domain import BEGINNING, END, Reason, Role
from letterlock.release.plan import Intervals, Kind, Plan
from letterlock.release.standing import ALLOWED

ALLOW: Final = 4 * ALLOWED
BROKEN: Final = 81
MIXED: Final = 255
NO_KIND: Final = 0xFFFF
"""The kind of an item that the index could not read: it is never judged."""

ROLE_SHIFT: Final = 30
SUBJECT_MASK: Final = (1 << ROLE_SHIFT) - 1
UNRESOLVED: Final = SUBJECT_MASK
"""The subject number of a party whom nobody could resolve."""

EPOCHS: Final = 16
SHORT: Final = 64
"""Lists shorter than this are reduced by windows; that is faster than list by list."""

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]


class Items(NamedTuple):
    """A batch of n items, as the index holds them.

    Parties are packed: role in the two high bits, subject in the others. Item i has
    parties[offsets[i]:offsets[i+1]] and, quoted, those of quote_offsets. `quote_at` END: undated.
    """

    created_at: Ints  # (n,), END: not known
    kind: npt.NDArray[np.uint16]  # (n,)
    offsets: npt.NDArray[np.int32]  # (n + 1,)
    parties: npt.NDArray[np.uint32]
    quote_offsets: npt.NDArray[np.int32] | None = None  # (n + 1,)
    quotes: npt.NDArray[np.uint32] | None = None
    quote_kind: npt.NDArray[np.uint16] | None = None
    quote_at: Ints | None = None

    def part(self, first: int, last: int) -> Items:
        """Return the items from `first` to `last`."""
        offsets = self.offsets[first : last + 1]
        found = self._replace(
            created_at=self.created_at[first:last],
            kind=self.kind[first:last],
            offsets=offsets - offsets[0],
            parties=self.parties[offsets[0] : offsets[-1]],
        )
        if self.quote_offsets is None or self.quotes is None:
            return found
        offsets = self.quote_offsets[first : last + 1]
        mine = slice(offsets[0], offsets[-1])
        return found._replace(
            quote_offsets=offsets - offsets[0],
            quotes=self.quotes[mine],
            quote_kind=None if self.quote_kind is None else self.quote_kind[mine],
            quote_at=None if self.quote_at is None else self.quote_at[mine],
        )


@dataclass(frozen=True)
class Kernel:
    """A plan made ready for batches: `kinds` are numbered as in the index they came from."""

    as_of: int
    size: int
    tables: Sequence[Intervals | None]
    epochs: Ints
    grid: Bytes
    judged: npt.NDArray[np.bool_]

    @classmethod
    def ready(cls, plan: Plan, kinds: Sequence[Kind], epochs: Ints) -> Kernel:
        """Lay the plan out for `kinds`; `epochs` are times that cut items into like numbers.

        The grid takes (epochs + 1) × kinds × subjects bytes.
        """
        starts = np.unique(np.concatenate([[BEGINNING], epochs]))
        tables = [plan.tables.get(kind) for kind in kinds]
        grid = np.full((len(starts), len(kinds), plan.size + 1), 4 * Reason.UNKNOWN_PARTY, np.uint8)
        for n, table in enumerate(tables):
            if table is None:
                grid[:, n, :] = 4 * Reason.UNEVALUABLE
            else:
                _paint(grid[:, n, : plan.size], table, starts)
        judged = np.array([t is not None for t in tables] + [False], np.bool_)
        return cls(plan.rules.as_of, plan.size, tables, starts, grid.reshape(-1), judged)

    def verdicts(self, items: Items) -> Bytes:
        """Return the (n,) codes of a batch of items."""
        kind, broken = self._kinds(items)
        if not self.tables or broken.all():
            return np.full(len(broken), BROKEN, np.uint8)

        lengths = np.diff(items.offsets)
        code = self._codes(items.parties, kind, items.created_at, lengths)
        found = _smallest(code, items.offsets, lengths)
        if items.quotes is not None and len(items.quotes):
            said, quoted = self._quoted(items)
            found = np.minimum(found, _smallest(said, quoted, np.diff(quoted)))
            lengths = lengths + np.diff(quoted)
        found = np.minimum(found, ALLOW)
        found[lengths == 0] = 4 * Reason.NO_PARTIES
        found[broken] = BROKEN
        return found

    def parties(self, items: Items) -> tuple[Bytes, Bytes]:
        """Return the codes of each party of a batch, and of each that is quoted, in their order.

        Whose code is below ALLOW is somebody on whose account the item is denied; of an item that
        cannot be judged itself, that is everybody.
        """
        kind, broken = self._kinds(items)
        lengths = np.diff(items.offsets)
        if not self.tables or broken.all():
            code = np.full(int(lengths.sum()), 4 * Reason.UNEVALUABLE, np.uint8)
        else:
            code = self._codes(items.parties, kind, items.created_at, lengths)
            code[np.repeat(broken, lengths)] = 4 * Reason.UNEVALUABLE
        if items.quotes is None or not len(items.quotes):
            return code, np.zeros(0, np.uint8)
        if not self.tables:
            return code, np.full(len(items.quotes), 4 * Reason.UNEVALUABLE, np.uint8)
        said, offsets = self._quoted(items)
        said[np.repeat(broken, np.diff(offsets))] = 4 * Reason.UNEVALUABLE
        return code, said

    def _kinds(self, items: Items) -> tuple[Ints, Bools]:
        """Return each item's kind (0 for a broken one), and which are broken."""
        kind = np.minimum(items.kind, len(self.tables))
        broken = ~self.judged[kind]
        at = items.created_at
        if len(at) and not BEGINNING < at.min() <= at.max() <= min(self.as_of, END - 1):
            broken |= (at <= BEGINNING) | (at > self.as_of) | (at >= END)
        return np.where(broken, 0, kind).astype(np.int64), broken

    def _codes(self, parties: npt.NDArray[np.uint32], kind: Ints, at: Ints, lengths: Ints) -> Bytes:
        """Return each party's code; `kind` and `at` are the items', `lengths` repeats them."""
        # A table in order of time keeps within one epoch for long.
        ends: Ints = np.searchsorted(self.epochs, [at.min(), at.max()], "right") - 1
        one = ends[0] == ends[1]
        epoch = ends[:1] if one else np.searchsorted(self.epochs, at, "right") - 1
        row = (epoch * len(self.tables) + kind) * (self.size + 1)
        subject = np.minimum(parties & SUBJECT_MASK, self.size)
        place = np.repeat(row, lengths)
        place += subject
        code = self.grid.take(place)
        mixed = np.flatnonzero(code == MIXED)
        if len(mixed):
            item = np.searchsorted(np.cumsum(lengths), mixed, "right")
            code[mixed] = self._exact(subject[mixed], kind[item], at[item])
        code |= (parties >> ROLE_SHIFT).astype(np.uint8)
        return code

    def _exact(self, subject: npt.NDArray[np.uint32], kind: Ints, at: Ints) -> Bytes:
        """Find each (subject, kind, time) in the interval tables, by bisection."""
        code = np.zeros(len(subject), np.uint8)
        for n in np.unique(kind):
            table = self.tables[n]
            if table is None:
                continue
            mine = np.flatnonzero(kind == n)
            low, high = table.offsets[subject[mine]], table.offsets[subject[mine] + 1]
            while (low + 1 < high).any():
                middle = (low + high) >> 1
                later = table.start[middle] > at[mine]
                low, high = np.where(later, low, middle), np.where(later, middle, high)
            code[mine] = 4 * table.reason[low]
        return code

    def _quoted(self, items: Items) -> tuple[Bytes, npt.NDArray[np.int32]]:
        """Return the code of each quoted party, and where those of each item begin."""
        offsets, quotes = items.quote_offsets, items.quotes
        if offsets is None or quotes is None or items.quote_kind is None or items.quote_at is None:
            raise ValueError("quotes come with their offsets, kinds and times")
        lengths = np.diff(offsets)
        item_at = np.repeat(items.created_at, lengths)
        dated = items.quote_at != END
        at = np.where(dated, items.quote_at, item_at)
        kind = np.minimum(items.quote_kind, len(self.tables))
        bad = ~self.judged[kind] | (dated & ((at <= BEGINNING) | (at > item_at)))
        ones = np.ones(len(quotes), np.int64)
        parties = (quotes & SUBJECT_MASK) | (int(Role.QUOTED) << ROLE_SHIFT)
        kind = np.where(bad, 0, kind).astype(np.int64)
        code = self._codes(parties.astype(np.uint32), kind, at, ones)
        code[bad] = 4 * Reason.UNEVALUABLE | Role.QUOTED
        return code, offsets


def _smallest(code: Bytes, offsets: npt.NDArray[np.int32], lengths: Ints) -> Bytes:
    """Return the smallest code of each list, ALLOW for an empty one."""
    found = np.full(len(lengths), ALLOW, np.uint8)
    some = lengths > 0
    filled: Bools | slice = slice(None) if some.all() else some
    first, length = offsets[:-1][filled] - offsets[0], lengths[filled]
    longest = int(length.max(initial=0))
    if not longest:
        return found
    if longest >= SHORT:
        found[filled] = np.minimum.reduceat(code, first)
        return found
    # windows[l] holds the smallest of each 2^l neighbours; a list is covered by two of them.
    windows = np.tile(code, (longest.bit_length(), 1))
    level_of = np.zeros(longest + 1, np.int64)
    for level in range(1, len(windows)):
        half = 1 << level - 1
        np.minimum(
            windows[level - 1, :-half], windows[level - 1, half:], out=windows[level, :-half]
        )
        level_of[2 * half :] = level
    levels = level_of[length]
    place = levels * len(code) + first
    flat = windows.reshape(-1)
    found[filled] = np.minimum(flat[place], flat[place + length - (1 << levels)])
    return found


def _paint(grid: Bytes, table: Intervals, starts: Ints) -> None:
    """Fill `grid` (epochs, subjects) with each subject's code, MIXED where it changes within."""
    code, first = 4 * table.reason, table.offsets[:-1]
    # Most changes lie in the first epoch, before there were any items.
    late = table.start >= (starts[1] if len(starts) > 1 else END)
    early = np.diff(table.offsets) - np.add.reduceat(late, first, dtype=np.int64)
    grid[0] = np.where(early > 1, MIXED, code[first])
    unset = np.uint8(MIXED - 1)
    grid[1:] = unset
    grid[1:2] = code[first + early - 1]
    row = np.flatnonzero(late)
    subject = np.searchsorted(table.offsets, row, "right") - 1
    epoch = np.searchsorted(starts, table.start[row], "right") - 1
    inside = table.start[row] > starts[epoch]
    # An epoch begins with what held before it, unless a later interval overwrites it.
    begins = epoch + inside
    within = begins < len(starts)
    grid[begins[within], subject[within]] = code[row[within]]
    for before, after in pairwise(grid[1:]):
        np.copyto(after, before, where=after == unset)
    grid[epoch[inside], subject[inside]] = MIXED


def reason_and_role(code: int) -> tuple[Reason | None, Role | None]:
    """Read a code: (None, None) allows; the role is None where no party decides."""
    if code == BROKEN:
        return Reason.UNEVALUABLE, None
    if code >= ALLOW:
        return None, None
    reason = Reason(code >> 2)
    return reason, None if reason is Reason.NO_PARTIES else Role(code & 3)
