"""Orders: everything made from items of a class, deleted by duties that end in certificates."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from letterlock.domain import ANY, BEGINNING, END, Signature, text_of
from letterlock.errors import UsageError
from letterlock.gate.exposure import Exposure
from letterlock.gate.models import Models
from letterlock.gate.workspace import signed_by
from letterlock.ledger import Draft
from letterlock.lineage import disgorge, duties
from letterlock.lineage.disgorge import Reached, Rebuild
from letterlock.lineage.events import ORDERED
from letterlock.lineage.graph import Duty
from letterlock.reports.class_query import ClassQuery, Count

LONGEST: Final = 16_000
"""Characters of an order's text: it is part of one entry of the log."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """What an order reaches, how that is known, and what is owed for it.

    `counts`: what each release holds, of the class and what may be of it. `untold`: releases of
    which that cannot be told, and why; they are treated as reached, as one is whose items only may
    be of the class. `owed` is empty as long as nothing is recorded.
    """

    order: str
    body: dict[str, Any]
    reached: Reached
    counts: dict[str, Count]
    untold: dict[str, str]
    owed: tuple[Duty, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return it as JSON: the three sets, and what is owed."""
        return {
            "order": self.order,
            "query": self.body["query"],
            "releases": [self._of_release(name) for name in self.reached.releases],
            "destroy": {
                "copies": [
                    {"release": c.release, "recipient": c.recipient, "grant": c.grant}
                    for c in self.reached.copies
                ],
                "models": [
                    {"model": m.digest, "name": m.name, "owner": m.owner}
                    for m in self.reached.models
                ],
            },
            "rebuild": [_rebuild(each) for each in self.reached.rebuild],
            "notify": list(self.reached.notify),
            "note": disgorge.NOTE,
            "hold": hold_for(self.order, self.body["query"]),
            "obligations": [
                {"obligation": d.id, "duty": d.duty, "owner": d.owner, "due": text_of(d.due)}
                for d in self.owed
            ],
        }  # fmt: skip

    def _of_release(self, name: str) -> dict[str, Any]:
        count = self.counts.get(name)
        return {
            "release": name,
            "items": None if count is None else count.items,
            "people": None if count is None else count.people,
            "items_that_may_be": None if count is None else count.unclear,
            "people_who_may_be": None if count is None else count.maybe,
            "untold": self.untold.get(name),
        }


class Orders(Exposure, Models):
    """The verbs about orders."""

    def disgorge(
        self,
        order: str,
        text: str,
        query: ClassQuery,
        signatures: Iterable[Signature] = (),
        *,
        dry_run: bool = False,
    ) -> Ordered:
        """Say what an order reaches and, unless `dry_run`, record it with everything that is owed.

        Each release that it reaches is recalled. Raises UsageError for an order that is empty,
        recorded already or too long, ApprovalError unless two operators signed (`order_body`).
        """
        lineage, body = self.lineage(), order_body(order, text, query)
        if not order.strip() or not text.strip():
            raise UsageError("an order has a name and a text: it is published with both")
        if order in lineage.orders:
            raise UsageError(f"an order {order!r} is recorded already: name each one differently")
        if len(text) > LONGEST:
            raise UsageError(
                f"the text has {len(text):,} characters, at most {LONGEST:,} go into the log: give "
                "what is ordered, and where the whole can be read"
            )
        signatures = list(signatures)
        if not dry_run:
            self._check_approved(ORDERED, body, signatures)
        while True:
            head = self.store.head().index
            said = self._reached(order, body)
            if dry_run:
                return said
            with self._writing():
                if self.store.head().index != head:
                    continue  # a release, copy or model may have come between
                owed = self._following(order, said.reached)
                signed = {**body, "signatures": signed_by(signatures)}
                self._append_linked([Draft(ORDERED, signed), *owed])
            break
        known = self.lineage().duties.values()
        return replace(said, owed=tuple(duty for duty in known if duty.order == order))

    def _reached(self, order: str, body: dict[str, Any]) -> Ordered:
        """Say what an order reaches as of now."""
        found = self.find_class(ClassQuery.of(body["query"]))
        reached = disgorge.reached(self.lineage(), [*found.releases, *found.untold])
        counts = {name: found.count_of(name) for name in found.releases}
        return Ordered(order, body, reached, counts, dict(found.untold))

    def _following(self, order: str, reached: Reached) -> list[Draft]:
        """Return what follows an order: recalls, and duties to the end of each copy and model."""
        lineage, now, policies, found = self.lineage(), self.now(), self._policies(), []
        for release in reached.releases:
            if lineage.releases[release].recalled is None:
                found.append(Draft("release.recalled", {"release": release, "order": order}))
            found += duties.for_recall(lineage, release, now, order, policies)
        return found


def order_body(order: str, text: str, query: ClassQuery) -> dict[str, Any]:
    """Return what two operators sign of an order."""

    def listed(said: tuple[str, ...]) -> list[str]:
        return [] if said == (ANY,) else list(said)

    asked = {
        "data_class": query.data_class,
        "jurisdictions": listed(query.jurisdictions),
        "contracts": listed(query.contracts),
        "recipients": listed(query.recipients),
        "from": None if query.made_from == BEGINNING else query.made_from,
        "to": None if query.made_before == END else query.made_before,
        "disclosed_before": None if query.disclosed_before == END else query.disclosed_before,
    }
    return {"order": order, "text": text, "query": asked}


def hold_for(order: str, query: Mapping[str, Any]) -> str:
    """Return the command that stops an order's class from now on: an order reaches what went.

    A hold is of no contract, so it is never narrower than the order.
    """
    words = ["letterlock", "hold", "set", order]
    if query["data_class"] != ANY:
        words += ["--data-class", query["data_class"]]
    for option, said in (("--region", "jurisdictions"), ("--recipient", "recipients")):
        words += [word for each in query[said] for word in (option, each)]
    for option, said in (("--from", "from"), ("--to", "to")):
        words += [] if query[said] is None else [option, text_of(query[said])]
    return shlex.join([*words, "--order", order])


def _rebuild(each: Rebuild) -> dict[str, Any]:
    return {
        "model": each.model.digest,
        "from_models": [model.digest for model in each.models],
        "from_releases": list(each.releases),
    }
