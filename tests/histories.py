"""Histories of what left the gate: events as they would be recorded, by hand or drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from letterlock.ledger import Draft, Event
from letterlock.lineage import duties
from letterlock.lineage.certificate import Certificate, Place
from letterlock.lineage.fold import fold
from letterlock.lineage.graph import Lineage
from letterlock.lineage.inventory import Gone, Inventory
from letterlock.record.note import Kind, SecretSigner

HOUR = 3_600_000_000
RECIPIENTS = ("own", "tern")
HOWS = ("fine-tune", "merge", "distil", "embed")


def digest(*words: object) -> str:
    """Return a SHA-256 that belongs to some words."""
    return hashlib.sha256(repr(words).encode()).hexdigest()


def release_id(n: int) -> str:
    """Return the name of the n-th release."""
    return digest("release", n)[:16]


def grant_of(n: int) -> str:
    """Return the n-th grant."""
    return digest("grant", n)[:32]


def signer(recipient: str) -> SecretSigner:
    """Return what a recipient countersigns with."""
    seed = hashlib.sha256(recipient.encode()).digest()
    return SecretSigner(recipient, Kind.ED25519, seed)


def left(release: str, number: int) -> dict[str, Any]:
    """Return what is left of a release after a drop list: what its inventory must show."""
    members = 100 - 10 * number
    root = digest("root", release, number)
    return {"members": members, "depth": 7, "root": root, "rows": 2 * members}


def certified(model: str, owner: str, *, complete: bool, at: int = 0) -> str:
    """Write a certificate that a model is destroyed, or that some of it is left."""
    place = Place("cluster", "erased" if complete else "left", "")
    return Certificate(model, owner, "A", "overwritten", at, (place,), "none").encode().decode()


@dataclass
class History:
    """Events in recorded order, one an hour."""

    events: list[Event] = field(default_factory=list)
    grants: int = 0

    @property
    def now(self) -> int:
        """Return the time of the next event."""
        return len(self.events) * HOUR

    def add(self, kind: str, **body: Any) -> Event:
        """Record an event."""
        self.events.append(Event(len(self.events), self.now, kind, body))
        return self.events[-1]

    def draft(self, draft: Draft) -> Event:
        """Record a draft."""
        return self.add(draft.kind, **draft.body)

    def lineage(self) -> Lineage:
        """Fold everything."""
        return fold(self.events)

    def sealed(self, n: int, recipient: str = "tern", purpose: str = "train.generative") -> str:
        """Open and seal the n-th release; returns its name."""
        release = release_id(n)
        opened = self.add(
            "release.opened", purpose=purpose, recipient=recipient, as_of=self.now, upto=0,
            sources=[["mail", digest("mail")]], shards=2, release=release,
        )  # fmt: skip
        first = left(release, 0)
        self.add(
            "release.sealed", release=release, manifest=digest(release, 0), checked=opened.index,
            opened=opened.index, key=1, **{k: first[k] for k in ("members", "depth", "root")},
        )  # fmt: skip
        return release

    def keyed(self, recipient: str = "tern") -> Event:
        """Register a recipient's keys."""
        vkey = signer(recipient).verifier.vkey
        return self.add(
            "recipient.keyed", recipient=recipient, encryption="age1x", signing=vkey, signatures=[]
        )

    def delivered(self, release: str) -> str:
        """Deliver the release's newest version; returns the grant."""
        of = self.lineage().releases[release]
        self.grants += 1
        self.add(
            "release.delivered", release=release, recipient=of.recipient, purpose=of.purpose,
            version=of.current.number, manifest=of.current.manifest, grant=grant_of(self.grants),
            key="age1x", terms="", feed="", expires=self.now + 1000 * HOUR,
        )  # fmt: skip
        return grant_of(self.grants)

    def inventory(self, grant: str, version: int, /, **change: Any) -> str:
        """Return the inventory that the recipient countersigns of its copy at a version."""
        delivery = self.lineage().deliveries[grant]
        about = {
            "grant": grant, "release": delivery.release, "recipient": delivery.recipient,
            "version": version, "manifest": digest(delivery.release, version), "at": self.now,
            "files": (), **left(delivery.release, version),
        }  # fmt: skip
        if change.get("destroyed"):
            about |= {"manifest": "", "members": 0, "depth": 0, "root": "", "rows": 0}
        found = Inventory(**{**about, **change})
        return found.sign(signer(delivery.recipient)).decode()

    def acknowledged(self, grant: str, version: int, /, **change: Any) -> Event:
        """Acknowledge such an inventory."""
        delivery, text = self.lineage().deliveries[grant], self.inventory(grant, version, **change)
        return self.add(
            "release.acknowledged", grant=grant, release=delivery.release,
            recipient=delivery.recipient, note=text,
        )  # fmt: skip

    def dropped(self, release: str, reasons: Mapping[str, int] | None = None) -> list[Event]:
        """Publish the next drop list of a release, with what is owed for it."""
        number = self.lineage().releases[release].dropped_to + 1
        due = duties.for_drops(
            self.lineage(), release, number, self.now, reasons or {"withdrawn": 10}, ()
        )
        found = [self.draft(each) for each in due]
        self.add(
            "drops.published", release=release, version=number, list=digest("list", number),
            dropped=10 * number, upto=len(self.events) - 1, **left(release, number),
        )  # fmt: skip
        return found

    def superseded(self, release: str) -> Event:
        """Supersede a release by what its newest list leaves."""
        of = self.lineage().releases[release]
        return self.add(
            "release.superseded", release=release, version=of.dropped_to, checked=0,
            manifest=digest(release, of.dropped_to), opened=of.opened, key=of.key,
            **left(release, of.dropped_to),
        )  # fmt: skip

    def trained(self, name: str, *sources: Mapping[str, Any], owner: str = "tern") -> str:
        """Register a model; returns its digest."""
        self.add(
            "model.trained", model=digest(name), name=name, owner=owner, sources=list(sources),
            files=1, bytes=10, note="",
        )  # fmt: skip
        return digest(name)

    def destroyed(self, model: str, *, complete: bool = True, owner: str = "tern") -> Event:
        """Record a certificate of a model's destruction, countersigned by its owner."""
        said = certified(model, owner, complete=complete, at=self.now)
        hash_ = hashlib.sha256(said.encode()).hexdigest()
        return self.add(
            "model.destroyed", model=model, owner=owner, certificate=hash_, complete=complete,
            note=self.told(owner, Gone(model, said)),
        )  # fmt: skip

    def told(self, owner: str, *gone: Gone) -> str:
        """Return an inventory in which a recipient says that models are destroyed."""
        nothing = {"manifest": "", "members": 0, "depth": 0, "root": "", "rows": 0, "files": ()}
        said = Inventory(
            grant_of(0), release_id(0), owner, 0, **nothing, at=self.now, destroyed=True,
            destroyed_models=gone,
        )  # fmt: skip
        return said.sign(signer(owner)).decode()

    def certified(self, duty: int, *outcomes: str) -> Event:
        """Record what became of the places that an erasure had to reach."""
        places = [{"where": f"store {n}", "outcome": o, "what": ""} for n, o in enumerate(outcomes)]
        done = bool(outcomes) and set(outcomes) <= {"erased", "key destroyed"}
        return self.add(
            "erasure.certified", obligation=duty, places=places, complete=done, signatures=[]
        )

    def recalled(self, release: str, order: str = "") -> list[Event]:
        """Recall a release, with what is owed for it."""
        due = duties.for_recall(self.lineage(), release, self.now, order, ())
        found = [self.draft(each) for each in due]
        self.add("release.recalled", release=release, order=order)
        return found

    def settle(self) -> None:
        """Record that every duty is met of which the earliest evidence is there."""
        lineage = self.lineage()
        for duty in list(lineage.open()):
            shown = next(duties.evidence(lineage, duty), None)
            if shown is not None:
                self.add("obligation.met", obligation=duty.index, evidence=shown)


def of_release(release: str, version: int = 0) -> dict[str, Any]:
    """Return a release as a model's source."""
    return {"release": release, "version": version}


def of_model(model: str, how: str = "fine-tune") -> dict[str, Any]:
    """Return a model as another one's source."""
    return {"model": model, "how": how}


@st.composite
def histories(draw: st.DrawFn, steps: int = 25) -> History:
    """Draw a history: whatever can follow on what was drawn so far."""
    history = History()
    for recipient in RECIPIENTS:
        history.keyed(recipient)
    for _ in range(draw(st.integers(3, steps))):
        kind, about = draw(st.sampled_from(sorted(_possible(history.lineage()), key=repr)))
        _STEPS[kind](draw, history, about)
    return history


def _train(draw: st.DrawFn, history: History, _about: str) -> None:
    lineage = history.lineage()
    owner, sources = draw(st.sampled_from(RECIPIENTS)), draw(_sources(lineage))
    model = history.trained(f"model {len(lineage.models)}", *sources, owner=owner)
    for late in duties.for_model(history.lineage(), model, ()):
        history.draft(late)


def _destroy(draw: st.DrawFn, history: History, model: str) -> None:
    owner = history.lineage().models[model].owner
    history.destroyed(model, complete=draw(st.booleans()), owner=owner)


def _acknowledge(draw: st.DrawFn, history: History, grant: str) -> None:
    lineage = history.lineage()
    of = lineage.releases[lineage.deliveries[grant].release]
    delivery = lineage.deliveries[grant]
    first = max(delivery.version, delivery.at or 0)
    version = draw(st.integers(first, of.dropped_to))
    history.acknowledged(grant, version, destroyed=draw(st.booleans()))


def _certify(draw: st.DrawFn, history: History, duty: int) -> None:
    outcome = st.sampled_from(["erased", "key destroyed", "left"])
    history.certified(duty, *draw(st.lists(outcome, max_size=3)))


_STEPS: dict[str, Callable[[st.DrawFn, History, Any], Any]] = {
    "seal": lambda draw, history, _: history.sealed(
        len(history.lineage().releases), draw(st.sampled_from(RECIPIENTS))
    ),
    "train": _train,
    "destroy": _destroy,
    "acknowledge": _acknowledge,
    "certify": _certify,
    "deliver": lambda _, history, release: history.delivered(release),
    "drop": lambda _, history, release: history.dropped(release),
    "supersede": lambda _, history, release: history.superseded(release),
    "recall": lambda _, history, release: history.recalled(release),
    "settle": lambda _, history, __: history.settle(),
}


def _possible(lineage: Lineage) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [("seal", None), ("settle", None)]
    for release in lineage.releases.values():
        if release.recalled is None:
            found += [("deliver", release.id), ("recall", release.id)]
        if release.dropped_to < 5:
            found.append(("drop", release.id))
        if release.dropped_to > release.current.number:
            found.append(("supersede", release.id))
    if lineage.releases:
        found.append(("train", None))
    found += [("acknowledge", d.grant) for d in lineage.deliveries.values() if not d.destroyed]
    found += [("destroy", m.digest) for m in lineage.models.values() if not m.gone]
    found += [("certify", d.index) for d in lineage.duties.values() if d.duty == "erase"]
    return found


def _sources(lineage: Lineage) -> st.SearchStrategy[Sequence[Mapping[str, Any]]]:
    releases = [
        of_release(each.id, number)
        for each in lineage.releases.values()
        for number in {0, each.dropped_to}
    ]
    models = [of_model(each, how) for each in lineage.models for how in HOWS]
    return st.lists(st.sampled_from(releases + models), min_size=1, max_size=3)
