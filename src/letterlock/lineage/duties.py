"""What is owed: how long each duty may take, and what alone shows that it was done (R33, R36).

The clock runs in the log: a duty names the recorded time of its cause, and until when it is due.
What is owed follows from the graph and from a cause, so nobody decides whom to tell.
Spec: docs/spec/lineage.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from letterlock.domain import PolicyVersion, Reason, Time
from letterlock.ledger import Draft
from letterlock.lineage.graph import Acknowledged, Delivery, Duty, Lineage, Model, Release

MINUTE: Final[Time] = 60_000_000
DAY: Final[Time] = 24 * 60 * MINUTE

LIST_WITHIN: Final[Time] = 15 * MINUTE
"""Until a drop list names who is to be dropped."""
HEAD_WITHIN: Final[Time] = DAY
"""How old the newest head of a drop list may be for who reads a release."""
RECIPIENT_WITHIN: Final[Time] = 7 * DAY
"""Until a recipient has applied a list, or destroyed what was recalled, and countersigned."""

PLATFORM: Final = "platform"
"""Who owns a duty that is no recipient's."""

_CAUSES: Final[Mapping[str, str]] = {
    "unknown_party": "erasure",
    "hold": "hold",
    "age_unknown": "region",  # the ages of consent stand in the regional table
    "minor": "region",
    "region": "region",
    "contract": "contract",
    "objected": "objection",
    "withdrawn": "withdrawal",
    "grant_expired": "time",
}
"""What makes a release deny that had allowed; every other reason is the policy's."""


# ── what is owed ────────────────────────────────────────────────────────────────────────────


def for_drops(  # noqa: PLR0913, PLR0917 - whom a list drops from what, why, since when
    lineage: Lineage,
    release: str,
    number: int,
    since: Time,
    reasons: Mapping[str, int],
    policies: Iterable[PolicyVersion],
) -> list[Draft]:
    """Return what is owed once list `number` of a release drops people, `reasons` says how many.

    The list itself, the platform's own copy, every delivery that still holds them, and every model
    that learned from the release or came of one that did.
    """
    of, days = lineage.releases[release], model_days(policies)
    about = {
        "cause": cause_of(reasons), "reasons": dict(reasons), "release": release,
        "recipient": of.recipient, "version": number,
    }  # fmt: skip
    found = [
        _draft("drop", since, LIST_WITHIN, **about),
        _draft("supersede", since, RECIPIENT_WITHIN, **about),
    ]
    for copy in held(of):
        said = {"grant": copy.grant, "owner": copy.recipient}
        found.append(_draft("apply", since, RECIPIENT_WITHIN, **about, **said))
    for model in _kept(lineage, release):
        said = {"model": model.digest, "owner": model.owner}
        found.append(_draft("forget", since, days, **about, **said))
    return found


def is_listed(lineage: Lineage, release: str, number: int) -> bool:
    """Say whether the duty is recorded that a drop list of a release begins with."""
    recorded = reversed(lineage.duties.values())
    return any((d.duty, d.release, d.version) == ("drop", release, number) for d in recorded)


def for_model(lineage: Lineage, digest: str, policies: Iterable[PolicyVersion]) -> list[Draft]:
    """Return what is owed for a model that is registered after its data was dropped or recalled.

    Its clock began when that of the list did: telling late gains no time.
    """
    return _of_model(lineage, lineage.models[digest], model_days(policies), _causes(lineage))


def _of_model(
    lineage: Lineage, model: Model, days: Time, causes: Mapping[str, Sequence[Duty]]
) -> list[Draft]:
    found = []
    for release, version in lineage.versions_of(model.digest).items():
        for cause in causes.get(release, ()):
            if cause.duty == "drop" and version >= cause.version:
                continue
            duty = "forget" if cause.duty == "drop" else "destroy"
            said = {"model": model.digest, "owner": model.owner}
            found.append(_draft(duty, cause.since, days, **_kept_of(cause), **said))
    return found


def missing(lineage: Lineage, policies: Iterable[PolicyVersion]) -> list[Draft]:
    """Return what is owed and was recorded by nobody: of a copy or model that was not known then.

    One that went, or was told, in the same moment as somebody else recorded the list or recall; or
    everything of a recall that was recorded alone.
    """
    policies = list(policies)
    days, causes = model_days(policies), _causes(lineage)
    known = {_about(duty.body()) for duty in lineage.duties.values()}
    still = {_about(duty.body()) for duty in lineage.open()}
    found = []
    for release in lineage.releases.values():
        told = any(cause.duty == "erase" for cause in causes.get(release.id, ()))
        if release.recalled is not None and not told:
            found += for_recall(lineage, release.id, release.recalled, "", policies)
    for model in lineage.models.values():
        late = [] if model.gone else _of_model(lineage, model, days, causes)
        found += [draft for draft in late if _about(draft.body) not in known]
    for cause in (each for of in causes.values() for each in of):
        for copy in held(lineage.releases[cause.release]):
            if cause.duty == "drop" and cause.version <= max(copy.version, copy.at or 0):
                continue
            duty = "apply" if cause.duty == "drop" else "destroy"
            said = {"grant": copy.grant, "owner": copy.recipient}
            draft = _draft(duty, cause.since, RECIPIENT_WITHIN, **_kept_of(cause), **said)
            # One that another copy's inventory spoke for, until its own said otherwise.
            if _about(draft.body) not in (still if copy.acknowledged else known):
                found.append(draft)
    return found


def _causes(lineage: Lineage) -> dict[str, list[Duty]]:
    """Return, by release, the duties of which others follow: drop lists, recalls ("erase")."""
    found: dict[str, list[Duty]] = {}
    for duty in lineage.duties.values():
        if duty.release and duty.duty in {"drop", "erase"}:
            found.setdefault(duty.release, []).append(duty)
    return found


def _kept_of(cause: Duty) -> dict[str, Any]:
    kept = ("cause", "reasons", "release", "recipient", "version", "order")
    return {key: getattr(cause, key) for key in kept}


def _about(body: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(body[key] for key in ("duty", "release", "grant", "model", "version", "order"))


def for_recall(
    lineage: Lineage, release: str, since: Time, order: str, policies: Iterable[PolicyVersion]
) -> list[Draft]:
    """Return what is owed once a release is recalled: every copy of it, and every model, goes.

    `order` names the order that it is for, if one was received. The platform's own copy is a duty
    to erase, which two operators certify: nobody countersigns it to the platform.
    """
    of, days = lineage.releases[release], model_days(policies)
    about = {
        "cause": "order" if order else "recall", "release": release,
        "recipient": of.recipient, "order": order,
    }  # fmt: skip
    found = [_draft("erase", since, RECIPIENT_WITHIN, **about)]
    for copy in held(of):
        said = {"grant": copy.grant, "owner": copy.recipient}
        found.append(_draft("destroy", since, RECIPIENT_WITHIN, **about, **said))
    for model in _kept(lineage, release):
        said = {"model": model.digest, "owner": model.owner}
        found.append(_draft("destroy", since, days, **about, **said))
    return found


def for_erasure(since: Time, policies: Iterable[PolicyVersion]) -> Draft:
    """Return what is owed once somebody was erased: whose, the duty does not say."""
    return _draft("erase", since, model_days(policies), cause="erasure")


def cause_of(reasons: Mapping[str, int]) -> str:
    """Return what most people are dropped for, the graver reason of two that weigh the same."""
    most = max(reasons, key=lambda name: (reasons[name], -Reason[name.upper()]))
    return _CAUSES.get(most, "policy")


def model_days(policies: Iterable[PolicyVersion]) -> Time:
    """Return how long a model may stay, the smallest number of days that a policy in force says.

    Where none says it, a model may stay no longer than a copy.
    """
    said = [p.withdrawal.days * DAY for p in policies if p.withdrawal is not None]
    return min(said, default=RECIPIENT_WITHIN)


def held(release: Release) -> Iterator[Delivery]:
    """Yield the deliveries of a release that its recipient may still hold."""
    for delivery in release.deliveries:
        if not any(each.destroyed for each in spoken(release, delivery)):
            yield delivery


def spoken(release: Release, delivery: Delivery) -> list[Acknowledged]:
    """Return the inventories that speak for a copy, in recorded order: its own, if it has any.

    For one that was never acknowledged, a package that was lost or refused, those of the same
    recipient's other copies of the release since: what it holds is what it then countersigned.
    """
    others = (
        each
        for other in release.deliveries
        if other.recipient == delivery.recipient
        for each in other.acknowledged
        if each.index > delivery.index
    )
    return delivery.acknowledged or sorted(others, key=lambda each: each.index)


def _kept(lineage: Lineage, release: str) -> Iterator[Model]:
    return (model for model in lineage.models_of(release) if not model.gone)


def latency(body: Mapping[str, Any]) -> Time | None:
    """Return how long a duty may take; None where the policies in force say it."""
    if body["duty"] == "drop":
        return LIST_WITHIN
    of_copy = body["duty"] in {"supersede", "apply"} or body["grant"]
    return RECIPIENT_WITHIN if of_copy or (body["duty"] == "erase" and body["release"]) else None


def _draft(duty: str, since: Time, within: Time, **about: Any) -> Draft:  # noqa: ANN401 - a body
    clock = {"duty": duty, "since": since, "due": since + within}
    return Draft("obligation.due", {**_NOTHING, **about, **clock})


_NOTHING: Final[Mapping[str, Any]] = {
    "cause": "", "reasons": {}, "release": "", "recipient": "", "grant": "", "model": "",
    "version": 0, "owner": PLATFORM, "order": "",
}  # fmt: skip


# ── what shows that it was done ─────────────────────────────────────────────────────────────


def evidence(lineage: Lineage, duty: Duty) -> Iterator[int]:
    """Yield the events that show that a duty was done, the earliest first; nothing else does."""
    release = lineage.releases.get(duty.release)
    if duty.model:
        destroyed = lineage.models[duty.model].destroyed
        if destroyed is not None and destroyed.complete:
            yield destroyed.index
    elif duty.duty == "erase":
        for index, found in lineage.certified.items():
            if found.obligation == duty.index and found.complete:
                yield index
    elif release is None:
        return
    elif duty.duty == "drop":
        yield from (each.index for each in release.lists if each.number >= duty.version)
    elif duty.duty == "supersede":
        yield from (v.index for v in release.versions if v.number >= duty.version)
    elif duty.duty in {"apply", "destroy"}:
        yield from _countersigned(release, lineage.deliveries[duty.grant], duty)


def _countersigned(release: Release, delivery: Delivery, duty: Duty) -> Iterator[int]:
    """Yield the recipient's inventories that show it: nothing is left, or nothing of the list."""
    for each in spoken(release, delivery):
        if each.destroyed or (duty.duty == "apply" and each.version >= duty.version):
            yield each.index


def shows(lineage: Lineage, duty: Duty, event: int) -> bool:
    """Say whether an event shows that a duty was done."""
    return event in evidence(lineage, duty)


def closing(lineage: Lineage, now: Time, purpose: str, recipient: str) -> list[Duty]:
    """Return the overdue duties that close the gate for a purpose and recipient, oldest first.

    One that is about no release closes it for everybody.
    """
    found = []
    for duty in lineage.overdue(now):
        release = lineage.releases.get(duty.release)
        if release is None or (release.purpose, release.recipient) == (purpose, recipient):
            found.append(duty)
    return sorted(found, key=lambda duty: (duty.due, duty.index))
