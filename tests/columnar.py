"""A world put through the columnar path: a real ledger, the plan, and the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from letterlock.domain import END, Item, Reason, Request, Role, Rulebook, Time
from letterlock.policy.decide import recipient_of
from letterlock.release.kernel import (
    NO_KIND,
    ROLE_SHIFT,
    UNRESOLVED,
    Items,
    Kernel,
    reason_and_role,
)
from letterlock.release.plan import Kind, make_plan
from letterlock.store.sqlite import SqliteStore
from worlds import World

Answer = tuple[Reason | None, Role | None]


def record(world: World, path: Path) -> SqliteStore:
    """Record a world's events in a ledger at `path`, at their times."""
    store = SqliteStore(path, create=True)
    drafts = list(world.drafts)
    while drafts:
        time = drafts[0][0]
        same = [draft for t, draft in drafts if t == time]
        store.append(same, now=time)
        drafts = drafts[len(same) :]
    return store


def pack(items: Sequence[Item], store: SqliteStore) -> tuple[Items, list[Kind]]:
    """Lay items out as the index does."""
    ids = sorted({p.subject for item in items for p in item.parties if p.subject is not None})
    number = dict(zip(ids, store.numbers(ids).tolist(), strict=True))
    kinds: dict[Kind, int] = {}

    def kind_of(data_class: str | None, categories: frozenset[str] | None, *, undated: bool) -> int:
        return kinds.setdefault(Kind(data_class, categories, undated), len(kinds))

    created, kind, parties, quotes, quote_kind, quote_at = [], [], [], [], [], []
    offsets, quote_offsets = [0], [0]
    for item in items:
        known = item.data_class is not None
        created.append(END if item.created_at is None else item.created_at)
        kind.append(kind_of(item.data_class, item.categories, undated=False) if known else NO_KIND)
        for party in item.parties:
            subject = UNRESOLVED if party.subject is None else number[party.subject]
            if party.role is Role.QUOTED:
                at: Time | None = party.created_at
                quotes.append(subject)
                # END stands for no time: a quote that claims END itself is one moment later.
                quote_at.append(END if at is None else at + (at == END))
                quote_kind.append(kind_of(party.data_class, item.categories, undated=at is None))
            else:
                parties.append(subject | party.role << ROLE_SHIFT)
        offsets.append(len(parties))
        quote_offsets.append(len(quotes))
    packed = Items(
        np.array(created, np.int64), np.array(kind, np.uint16), np.array(offsets, np.int32),
        np.array(parties, np.uint32), np.array(quote_offsets, np.int32),
        np.array(quotes, np.uint32), np.array(quote_kind, np.uint16), np.array(quote_at, np.int64),
    )  # fmt: skip
    return packed, list(kinds)


class Columnar:
    """A world's items before one plan."""

    def __init__(
        self, items: Sequence[Item], request: Request, store: SqliteStore, rules: Rulebook
    ) -> None:
        """Pack `items`, and plan `request` from the ledger in `store`."""
        self.items, self.kinds = pack(items, store)
        recipient = recipient_of(request, rules)
        upto = store.head().index
        self.plan = make_plan(store, rules, request.purpose, recipient, self.kinds, upto=upto)

    def kernel(self, epochs: int) -> Kernel:
        """Lay the plan out in about `epochs` epochs of as many items each."""
        shares = np.linspace(0, 1, epochs + 1)[1:-1]
        cuts = np.quantile(self.items.created_at, shares).astype(np.int64)
        return Kernel.ready(self.plan, self.kinds, cuts)

    def answers(self, epochs: int) -> list[Answer]:
        """Judge the items."""
        codes = self.kernel(epochs).verdicts(self.items)
        return [reason_and_role(code) for code in codes.tolist()]


def verdicts(
    world: World, request: Request, store: SqliteStore, rules: Rulebook, *, epochs: int = 3
) -> list[Answer]:
    """Judge a world's items by plan and kernel."""
    return Columnar(world.items, request, store, rules).answers(epochs)
