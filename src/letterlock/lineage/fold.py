"""Fold the events of what left the gate into one graph. Spec: docs/spec/lineage.md.

Strict: an event that contradicts what was recorded before it raises, so that whoever asks learns
that the record is not in order, rather than an answer made from half of it. The gate folds what it
is about to record in the same way, so such an event never gets in through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

from letterlock.domain import Time, sha256, text_of
from letterlock.errors import InputError, LedgerError, SignatureError
from letterlock.ledger import Event
from letterlock.lineage import certificate, duties, events, inventory
from letterlock.lineage.events import Body
from letterlock.lineage.graph import (
    Acknowledged,
    Approval,
    Certified,
    Delivery,
    Destroyed,
    DropList,
    Duty,
    Lineage,
    Model,
    Order,
    RecipientKey,
    Release,
    Source,
    Version,
)
from letterlock.lineage.inventory import Inventory
from letterlock.record.quorum import AHEAD

_SECOND: Final[Time] = 1_000_000


def fold(recorded: Iterable[Event], onto: Lineage | None = None) -> Lineage:
    """Fold events, in recorded order, onto what was folded of those before them.

    Raises LedgerError at the first that is not in order; `onto` is of no use then.
    """
    lineage = Lineage() if onto is None else onto
    for event in recorded:
        try:
            take(lineage, event)
        except InputError as error:
            raise LedgerError(f"event {event.index}: {error}") from error
    return lineage


def take(lineage: Lineage, event: Event) -> None:
    """Fold one more event. Raises InputError for one that cannot follow what is there."""
    if event.kind in events.KINDS:
        _HANDLERS[event.kind](lineage, events.read(event.kind, event.body), event)
    lineage.upto, lineage.at = event.index, event.time


# ── one handler for each kind ───────────────────────────────────────────────────────────────


def _release(lineage: Lineage, body: Body) -> Release:
    found = lineage.releases.get(body["release"])
    if found is None or not found.versions:
        raise InputError(f"no sealed release {body['release']!r} is recorded")
    return found


def _opened(lineage: Lineage, body: Body, event: Event) -> None:
    sources = tuple((str(name), str(fingerprint)) for name, fingerprint in body["sources"])
    lineage.releases[body["release"]] = Release(
        body["release"], event.index, event.time,
        body["purpose"], body["recipient"], body["as_of"], sources,
    )  # fmt: skip


def _sealed(lineage: Lineage, body: Body, event: Event) -> None:
    found = lineage.releases.get(body["release"])
    if found is None or found.opened != body["opened"]:
        raise InputError("a release is sealed that was not opened there")
    if found.versions:
        raise InputError(f"release {found.id} is sealed a second time")
    found.key = body["key"]
    found.versions.append(_version(0, body, event))


def _version(number: int, body: Body, event: Event) -> Version:
    said = (body["manifest"], body["members"], body["depth"], body["root"])
    return Version(number, *said, event.index, event.time, body["checked"])


def _superseded(lineage: Lineage, body: Body, event: Event) -> None:
    found = _release(lineage, body)
    if not found.current.number < body["version"]:
        raise InputError(f"version {body['version']} of release {found.id} is there already")
    expected = next((each for each in found.lists if each.number == body["version"]), None)
    if expected is None:
        raise InputError(f"release {found.id} has no drop list {body['version']}")
    _check_left(expected, body, f"release {found.id}")
    if (found.opened, found.key) != (body["opened"], body["key"]):
        raise InputError(f"release {found.id} has another opening or key")
    found.versions.append(_version(body["version"], body, event))


def _check_left(expected: DropList, body: Body, what: str) -> None:
    for key in ("members", "depth", "root", "rows"):
        if body[key] != getattr(expected, key):
            raise InputError(f"{what}: {key} is not what drop list {expected.number} leaves")


def _keyed(lineage: Lineage, body: Body, event: Event) -> None:
    if not body["encryption"] or not body["signing"]:
        raise InputError("a recipient has a key to read with and one to sign with")
    # Operators signed the earlier card too: their signatures must not bring its keys back.
    known = lineage.keys.get(body["recipient"])
    if known is not None:
        lineage.replaced |= {known.encryption, known.signing} - {
            body["encryption"],
            body["signing"],
        }
    if not lineage.replaced.isdisjoint((body["encryption"], body["signing"])):
        raise InputError(
            f"the keys on this card of {body['recipient']} were replaced by later ones: "
            "for new ones the recipient runs `letterlock recipient rotate`"
        )
    lineage.keys[body["recipient"]] = RecipientKey(
        body["encryption"], body["signing"], event.index, event.time
    )


def _approved(lineage: Lineage, body: Body, event: Event) -> None:
    found = _release(lineage, body)
    version = next((v for v in found.versions if v.number == body["version"]), None)
    if version is None or version.manifest != body["manifest"]:
        raise InputError(f"release {found.id} has no such version")
    if body["recipient"] != found.recipient:
        raise InputError(f"release {found.id} was opened for {found.recipient}, for nobody else")
    said = (body["version"], body["manifest"], body["recipient"], body["terms"])
    if any((a.version, a.manifest, a.recipient, a.terms) == said for a in found.approvals):
        raise InputError(f"release {found.id} was approved on these terms before")
    signatures = tuple((each["operator"], each["signature"]) for each in body["signatures"])
    found.approvals.append(
        Approval(
            body["version"], body["manifest"], body["recipient"], body["terms"],
            event.index, event.time, signatures,
        )
    )  # fmt: skip


def _delivered(lineage: Lineage, body: Body, event: Event) -> None:
    found = _release(lineage, body)
    if body["grant"] in lineage.deliveries:
        raise InputError(f"grant {body['grant']} was used already: a grant is for one delivery")
    if (body["recipient"], body["purpose"]) != (found.recipient, found.purpose):
        raise InputError(
            f"release {found.id} is for {found.purpose} at {found.recipient}, and for nothing else"
        )
    if (body["version"], body["manifest"]) != (found.current.number, found.current.manifest):
        raise InputError(f"release {found.id} is not at version {body['version']}")
    if found.recalled is not None:
        raise InputError(f"release {found.id} was recalled")
    said = {key: body[key] for key in ("grant", "release", "recipient", "purpose", "version")}
    rest = {key: body[key] for key in ("manifest", "key", "terms", "feed", "expires")}
    delivery = Delivery(**said, **rest, index=event.index, time=event.time)
    lineage.deliveries[body["grant"]] = delivery
    found.deliveries.append(delivery)


def _acknowledged(lineage: Lineage, body: Body, event: Event) -> None:
    delivery = lineage.deliveries.get(body["grant"])
    if delivery is None:
        raise InputError(f"no delivery has grant {body['grant']}")
    if (delivery.release, delivery.recipient) != (body["release"], body["recipient"]):
        raise InputError(f"grant {body['grant']} was for another release or recipient")
    said = _inventory(lineage, delivery, body["note"])
    if delivery.destroyed and not said.destroyed:  # what is said later of its models is still heard
        raise InputError(f"nothing is left of the copy under grant {body['grant']}: that is final")
    if not said.destroyed and said.version < max(delivery.version, delivery.at or 0):
        raise InputError(f"the copy under grant {body['grant']} was at a later version already")
    delivery.acknowledged.append(
        Acknowledged(
            body["note"], said.version, said.destroyed, event.index, event.time, said.unaccounted
        )
    )


def _inventory(lineage: Lineage, delivery: Delivery, text: str) -> Inventory:
    """Return a countersigned inventory: at which version the copy is, or that it is gone.

    Raises InputError for one that its recipient did not sign, or that is not what must be left.
    """
    said = _countersigned(lineage, delivery.recipient, text)
    release = lineage.releases[delivery.release]
    said_of = (said.grant, said.release, said.recipient)
    if said_of != (delivery.grant, delivery.release, delivery.recipient):
        raise InputError("an inventory of something else")
    if said.destroyed:
        return said
    found = {"members": said.members, "depth": said.depth, "root": said.root, "rows": said.rows}
    expected = next((each for each in release.lists if each.number == said.version), None)
    if said.version == 0:
        sealed = release.versions[0]
        if any(found[key] != getattr(sealed, key) for key in ("members", "depth", "root")):
            raise InputError("an inventory of another copy than was sealed")
    elif expected is None:
        raise InputError(f"release {release.id} has no drop list {said.version}")
    else:
        _check_left(expected, found, "inventory")
    return said


def _countersigned(lineage: Lineage, recipient: str, text: str) -> Inventory:
    """Return an inventory that its recipient's key of then has signed. Raises InputError."""
    key = lineage.keys.get(recipient)
    if key is None:
        raise InputError(f"recipient {recipient} has no key to countersign with")
    try:
        return inventory.countersigned(text.encode(), key.signing)
    except SignatureError as error:
        raise InputError(f"that is a note that {recipient} did not sign") from error


def _recalled(lineage: Lineage, body: Body, event: Event) -> None:
    found = _release(lineage, body)
    if found.recalled is not None:
        raise InputError(f"release {found.id} is recalled already")
    found.recalled = event.time


def _dropped(lineage: Lineage, body: Body, event: Event) -> None:
    found = _release(lineage, body)
    if body["version"] != found.dropped_to + 1:
        raise InputError(f"the next drop list of release {found.id} is {found.dropped_to + 1}")
    before = found.lists[-1] if found.lists else None
    left = before.members if before else found.versions[0].members
    if body["dropped"] <= (before.dropped if before else 0) or body["members"] >= left:
        raise InputError(f"drop list {body['version']} of release {found.id} drops nobody new")
    if not duties.is_listed(lineage, found.id, body["version"]):
        raise InputError(
            f"drop list {body['version']} of release {found.id}: nothing is owed for it"
        )
    found.lists.append(
        DropList(
            body["version"], body["list"], body["dropped"], body["members"], body["depth"],
            body["root"], body["rows"], body["upto"], event.index, event.time,
        )
    )  # fmt: skip


def _trained(lineage: Lineage, body: Body, event: Event) -> None:
    if not body["model"] or body["model"] in lineage.models:
        raise InputError(f"model {body['model']} is registered already")
    sources = tuple(_source(lineage, source) for source in body["sources"])
    for source in sources:
        if source.external:
            continue
        if source.release:
            found = _release(lineage, {"release": source.release})
            if source.version > found.dropped_to:
                raise InputError(f"release {found.id} has no version {source.version} yet")
        elif source.model not in lineage.models:
            raise InputError(f"a model comes of {source.model}, which is not registered")
    lineage.models[body["model"]] = Model(
        body["model"], body["name"], body["owner"], sources,
        body["files"], body["bytes"], event.index, event.time,
    )  # fmt: skip


def _source(lineage: Lineage, said: Body) -> Source:
    """Return what a model came of: one that is registered is no external one, whatever is said."""
    if said.get("digest") in lineage.models:
        return Source(model=said["digest"], how=said["how"])
    return Source(**said)


def _destroyed(lineage: Lineage, body: Body, event: Event) -> None:
    model = lineage.models.get(body["model"])
    if model is None or model.owner != body["owner"]:
        raise InputError(f"{body['owner']} has no model {body['model']}")
    if model.gone:
        raise InputError(f"model {body['model']} is destroyed already")
    if model.owner in lineage.keys:  # who has a key to sign with answers with it
        told = _check_told(_countersigned(lineage, model.owner, body["note"]), body)
        _check_when(told, lineage.learnt_from(model.digest), event.time)
    said = (body["certificate"], body["complete"])
    model.destroyed = Destroyed(*said, event.index, event.time)


def _check_when(told: certificate.Certificate, made: Time, now: Time) -> None:
    """Refuse what was done before the model could be there, or is yet to be done: InputError."""
    apart = AHEAD * _SECOND  # two clocks
    if not made - apart <= told.time <= now + apart:
        raise InputError(
            f"the certificate of model {told.model:.12} is dated {text_of(told.time)}: it says "
            f"what was done, not what will be, and the model is no older than {text_of(made)}"
        )


def _check_told(said: Inventory, body: Body) -> certificate.Certificate:
    """Return the certificate that an event names, which an inventory has. Raises InputError."""
    told = next(
        (each.certificate for each in said.destroyed_models if each.model == body["model"]), ""
    )
    found = certificate.parse(told.encode()) if told else None
    if found is None or said.recipient != body["owner"] or found.owner != body["owner"]:
        raise InputError(f"an inventory that does not say that model {body['model']} is destroyed")
    if (sha256(told.encode()), found.complete) != (body["certificate"], body["complete"]):
        raise InputError(f"model {body['model']}: another certificate than its owner signed")
    return found


def _due(lineage: Lineage, body: Body, event: Event) -> None:
    if body["release"]:
        _release(lineage, body)
    if body["model"] and body["model"] not in lineage.models:
        raise InputError(f"a duty about model {body['model']}, which is not registered")
    _check_about(lineage, body)
    if not body["since"] <= body["due"] or body["since"] > event.time:
        raise InputError("a duty is due after its cause, and that is not in the future")
    within = duties.latency(body)
    if within is not None and body["due"] != body["since"] + within:
        raise InputError(f"a duty to {body['duty']} is due when the stated time has passed")
    lineage.duties[event.index] = Duty(event.index, **body)


def _check_about(lineage: Lineage, body: Body) -> None:
    """Refuse a duty that nothing could show as done, for it does not say about what it is."""
    duty, model, grant = body["duty"], body["model"], body["grant"]
    of_copy = duty == "apply" or (duty == "destroy" and not model)
    delivery = lineage.deliveries.get(grant)
    if of_copy != bool(grant) or (grant and delivery is None):
        raise InputError(f"a duty to {duty} names one delivery, if it is about a copy")
    if delivery is not None and (delivery.release, delivery.recipient) != (
        body["release"], body["recipient"],
    ):  # fmt: skip
        raise InputError(f"grant {grant} was for another release or recipient")
    if bool(model) != (duty == "forget" or (duty == "destroy" and not grant)):
        raise InputError(f"a duty to {duty} names one model, if it is about one")
    if not body["release"] and duty != "erase":
        raise InputError(f"a duty to {duty} names a release")
    if duty in {"drop", "supersede", "apply"} and not body["version"]:
        raise InputError(f"a duty to {duty} names the number of a drop list")


def _met(lineage: Lineage, body: Body, event: Event) -> None:
    duty = lineage.duties.get(body["obligation"])
    if duty is None or duty.index in lineage.met:
        raise InputError(f"no duty O-{body['obligation']} is open")
    if not duties.shows(lineage, duty, body["evidence"]):
        raise InputError(f"event {body['evidence']} does not show that {duty.id} was done")
    lineage.met[duty.index], lineage.met_at[duty.index] = body["evidence"], event.time


def _ordered(lineage: Lineage, body: Body, event: Event) -> None:
    if body["order"] in lineage.orders or not body["order"]:
        raise InputError(f"an order {body['order']!r} is recorded already")
    said = (body["order"], body["text"], body["query"])
    lineage.orders[body["order"]] = Order(*said, event.index, event.time)


def _certified(lineage: Lineage, body: Body, event: Event) -> None:
    duty = lineage.duties.get(body["obligation"])
    if duty is None or duty.duty != "erase":
        raise InputError(f"O-{body['obligation']} is no duty to erase")
    places = tuple((each["where"], each["outcome"], each["what"]) for each in body["places"])
    done = certificate.is_done(outcome for _, outcome, _ in places)
    if body["complete"] != done:
        raise InputError("an erasure is complete if nothing is left anywhere, and only then")
    said = (body["obligation"], body["complete"], places)
    lineage.certified[event.index] = Certified(*said, event.index, event.time)


_Handler: TypeAlias = Callable[[Lineage, Body, Event], Any]
_HANDLERS: Final[Mapping[str, _Handler]] = {
    "release.opened": _opened,
    "release.sealed": _sealed,
    "release.superseded": _superseded,
    "recipient.keyed": _keyed,
    "release.approved": _approved,
    "release.delivered": _delivered,
    "release.acknowledged": _acknowledged,
    "release.recalled": _recalled,
    "drops.published": _dropped,
    "model.trained": _trained,
    "model.destroyed": _destroyed,
    "obligation.due": _due,
    "obligation.met": _met,
    "order.received": _ordered,
    "erasure.certified": _certified,
}
