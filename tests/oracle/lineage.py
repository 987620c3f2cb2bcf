"""What left the gate, asked of the raw events one by one, as docs/spec/lineage.md says it.

No graph is kept: every question goes through all events again. Slow, and obvious on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from letterlock.ledger import Event


def _of(events: Sequence[Event], kind: str) -> list[tuple[Event, Any]]:
    return [(event, event.body) for event in events if event.kind == kind]


def models_of(events: Sequence[Event], release: str) -> set[str]:
    """Say which models have anything of a release in them."""
    found: set[str] = set()
    while True:
        more = {
            body["model"]
            for _, body in _of(events, "model.trained")
            for source in body["sources"]
            if source.get("release") == release or source.get("model") in found
        }
        if more <= found:
            return found
        found |= more


def releases_of(events: Sequence[Event], model: str) -> dict[str, int]:
    """Say which releases a model has anything of, and from which version on."""
    found: dict[str, int] = {}
    for _, opened in _of(events, "release.opened"):
        release = opened["release"]
        versions = [
            source["version"]
            for each, body in _of(events, "model.trained")
            for source in body["sources"]
            if source.get("release") == release
            and (body["model"] == model or model in descendants(events, body["model"]))
        ]
        if versions:
            found[release] = min(versions)
    return found


def descendants(events: Sequence[Event], model: str) -> set[str]:
    """Say which models came of one."""
    found: set[str] = set()
    for _ in events:
        for _, body in _of(events, "model.trained"):
            for source in body["sources"]:
                if source.get("model") in {model, *found}:
                    found.add(body["model"])
    return found


def recipients_of(events: Sequence[Event], release: str) -> set[str]:
    """Say to whom a release went."""
    return {b["recipient"] for _, b in _of(events, "release.delivered") if b["release"] == release}


def done(events: Sequence[Event], obligation: int) -> bool:
    """Say whether any event shows that a duty was done."""
    return any(_shows(events, obligation, event) for event in events)


def _shows(events: Sequence[Event], obligation: int, event: Event) -> bool:
    duty, body = events[obligation].body or {}, event.body or {}
    of_release = body.get("release") == duty["release"]
    if duty["duty"] == "drop":
        return event.kind == "drops.published" and of_release and body["version"] >= duty["version"]
    if duty["duty"] == "supersede":
        newer = event.kind == "release.superseded"
        return newer and of_release and body["version"] >= duty["version"]
    if duty["model"]:
        gone = event.kind == "model.destroyed"
        return gone and body["model"] == duty["model"] and body["complete"]
    if duty["duty"] == "erase":
        certified = event.kind == "erasure.certified"
        return certified and body["obligation"] == obligation and body["complete"]
    if event.kind != "release.acknowledged" or not _speaks(events, event, duty["grant"]):
        return False
    if '"destroyed":true' in body["note"]:
        return True
    shown = any(f'"version":{n}}}' in body["note"] for n in range(duty["version"], 99))
    return duty["duty"] == "apply" and shown


def _speaks(events: Sequence[Event], event: Event, grant: str) -> bool:
    """Say whether an inventory is of a copy, or speaks for it as it was never acknowledged."""
    inventories = _of(events, "release.acknowledged")
    if any(body["grant"] == grant for _, body in inventories):
        return bool((event.body or {})["grant"] == grant)
    ((delivered, sent),) = [x for x in _of(events, "release.delivered") if x[1]["grant"] == grant]
    body = event.body or {}
    same = (body["release"], body["recipient"]) == (sent["release"], sent["recipient"])
    return same and event.index > delivered.index


def open_duties(events: Sequence[Event]) -> set[int]:
    """Say which duties nobody recorded as met."""
    met = {body["obligation"] for _, body in _of(events, "obligation.met")}
    return {event.index for event, _ in _of(events, "obligation.due")} - met
