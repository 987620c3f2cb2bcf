"""What an order to delete reaches: copies, models and all that came of them, in three sets (R39).

In part is enough: a model that learned from one item of the class is to be destroyed, and so is
whatever came of it. What may take its place is what can be made again from what the order does not
reach. Spec: docs/spec/lineage.md#orders.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from letterlock.lineage import duties
from letterlock.lineage.graph import Delivery, Lineage, Model

NOTE = (
    "that a model made again without the class satisfies an order is for who gave it to say: "
    "no court was asked"
)


@dataclass(frozen=True, slots=True)
class Rebuild:
    """A model that can be made again: `models` and `releases` of its ancestors stay as they are."""

    model: Model
    models: tuple[Model, ...]
    releases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reached:
    """What an order reaches: to be destroyed, what can be made again, and whom to tell.

    `releases`: those that hold such items or may; `copies`: deliveries that a recipient may still
    hold; `models`: each with all that came of it, not yet destroyed.
    """

    releases: tuple[str, ...]
    copies: tuple[Delivery, ...]
    models: tuple[Model, ...]
    rebuild: tuple[Rebuild, ...]
    notify: tuple[str, ...]


def reached(lineage: Lineage, releases: Iterable[str]) -> Reached:
    """Return what an order reaches that reaches these releases."""
    hit = tuple(name for name in lineage.releases if name in set(releases))
    copies = tuple(copy for name in hit for copy in duties.held(lineage.releases[name]))
    tainted = {model.digest for name in hit for model in lineage.models_of(name)}
    models = tuple(m for m in lineage.models.values() if m.digest in tainted and not m.gone)
    rebuild = tuple(
        each for model in models if (each := _rebuild(lineage, model, tainted, hit)) is not None
    )
    owners = [*(copy.recipient for copy in copies), *(model.owner for model in models)]
    return Reached(hit, copies, models, rebuild, tuple(sorted(set(owners))))


def _rebuild(
    lineage: Lineage, model: Model, tainted: set[str], hit: tuple[str, ...]
) -> Rebuild | None:
    """Return what a model can be made again from; None if nothing of it is clean."""
    clean = tuple(
        each
        for each in lineage.ancestors(model.digest)
        if each.digest not in tainted and not each.gone
    )
    known = {release for each in clean for release in lineage.versions_of(each.digest)}
    others = lineage.versions_of(model.digest).keys() - known - set(hit)
    releases = tuple(sorted(r for r in others if lineage.releases[r].recalled is None))
    return Rebuild(model, clean, releases) if clean or releases else None
