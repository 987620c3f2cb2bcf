"""Models: what learned from which release, and what became of it (R39)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from letterlock.domain import RecipientClass, sha256, text_of
from letterlock.errors import InputError, UsageError
from letterlock.gate.obligations import Obligations
from letterlock.ledger import Draft, Event
from letterlock.lineage import certificate, duties, events
from letterlock.lineage.certificate import Certificate
from letterlock.lineage.digest import digest_of
from letterlock.lineage.events import HOWS
from letterlock.lineage.fold import take
from letterlock.lineage.graph import Duty, Lineage, Model
from letterlock.record.quorum import AHEAD

_SECOND: Final = 1_000_000
_SAID: Final = ("model", "name", "sources", "files", "bytes")


class Registered(NamedTuple):
    """A model that was registered, and what it owes already: its data was dropped before."""

    model: Model
    owed: list[Duty]


class Models(Obligations):
    """The verbs about models."""

    def register_model(  # noqa: PLR0913 - its files, its name, what it came of, and whose it is
        self,
        folder: Path,
        name: str,
        *,
        releases: Iterable[str] = (),
        models: Iterable[str] = (),
        externals: Iterable[str] = (),
        owner: str = "",
    ) -> Registered:
        """Register the model whose files are in `folder`.

        `releases`: RELEASE, or RELEASE@VERSION of an older one. `models`: DIGEST:HOW, the digest
        may be cut short. `externals`: DIGEST:HOW:NAME of models that nobody registered, such as a
        public one. `owner`: a registered recipient; left out: the one whose releases they are.

        Raises UsageError, InputError for what cannot be.
        """
        weights, lineage = digest_of(folder), self.lineage()
        sources = [_of_release(lineage, said) for said in releases]
        sources += [_of_model(lineage, said) for said in models]
        if not sources:
            raise UsageError("say what it came of: --from RELEASE, or --from-model DIGEST:HOW")
        owner = owner or _owner(lineage, sources)
        sources += [events.external(said) for said in externals]
        if owner not in self.rules().recipients:
            raise UsageError(f"nobody is registered as recipient {owner!r}")
        said = {
            "model": weights.digest, "name": name, "sources": sources,
            "files": weights.files, "bytes": weights.size,
        }  # fmt: skip
        if weights.digest in lineage.models:
            known = lineage.models[weights.digest]
            raise UsageError(f"these files are registered already: {known.name}, {known.digest}")
        with self._writing():
            self._append_linked(self._registering(owner, [said], ""))
        owed = [duty for duty in self.lineage().duties.values() if duty.model == weights.digest]
        return Registered(self.lineage().models[weights.digest], owed)

    def models_told(
        self, owner: str, entries: Sequence[Mapping[str, Any]], note: str
    ) -> list[Draft]:
        """Return what is to be recorded of the models that an inventory tells: those that are new.

        `note`: the inventory's hash. To be recorded in one go with its acknowledgement. Raises
        InputError for a model that is another's, or comes of what is not known.
        """
        known, new = self.lineage().models, []
        for each in entries:
            told = known.get(each["model"])
            if told is None:
                new.append(each)
            elif told.owner != owner:
                raise InputError(
                    f"model {told.digest:.12} is registered as one of {told.owner}: {owner} "
                    "cannot have trained the same files"
                )
        return self._registering(owner, new, note)

    def destroyed_told(
        self, owner: str, entries: Sequence[Mapping[str, str]], note: str
    ) -> list[Draft]:
        """Return what is to be recorded of the models that an inventory says are destroyed.

        Each certificate is published beside the log; none is recorded twice. Raises InputError for
        what is none, or is of another model or owner.
        """
        known, found = self.lineage().models, []
        for each in entries:
            told = certificate.parse(each["certificate"].encode())
            if (told.model, told.owner) != (each["model"], owner):
                raise InputError(f"a certificate of another model, or not of one of {owner}")
            before = known[told.model].destroyed if told.model in known else None
            if before and (before.complete or before.certificate == sha256(told.encode())):
                continue
            found.append(self._destroyed(told, note))
        return found

    def destroy_model(
        self, digest: str, written: bytes, what: str
    ) -> tuple[Certificate, list[Duty]]:
        """Record a certificate that a model in the platform's hands was destroyed.

        Returns it, and the duties that it closes: none, if anything is left. `digest` may be cut
        short; `what` names the file in errors. Raises UsageError, InputError.
        """
        model, told = self.model(digest), certificate.parse(written, what)
        if model.gone:
            raise UsageError(f"model {model.digest:.12} is destroyed already")
        kind = self.rules().recipients[model.owner].recipient_class
        if kind is not RecipientClass.CONTROLLER or model.owner in self.lineage().keys:
            raise UsageError(
                f"{model.owner} countersigns that its model is destroyed: in its inbox with "
                "`letterlock model destroy --inbox`, then an inventory for `letterlock acknowledge`"
            )
        if (told.model, told.owner) != (model.digest, model.owner):
            raise InputError(
                f"{what}: it is about model {told.model:.12} of {told.owner}, not about "
                f"{model.digest:.12} of {model.owner}"
            )
        if told.time < model.time:
            raise InputError(
                f"{what}: it is dated {text_of(told.time)}, and model {model.digest:.12} was "
                f"registered {text_of(model.time)}: its files were there then"
            )
        self.record_linked(self._destroyed(told, ""))
        return told, self.settle()

    def model(self, digest: str) -> Model:
        """Return a registered model by its digest, which may be cut short. Raises UsageError."""
        return _model(self.lineage(), digest)

    def _destroyed(self, told: Certificate, note: str) -> Draft:
        """Publish a certificate, and return the event that names it. Raises InputError."""
        if told.time > self._as_of(None) + AHEAD * _SECOND:
            raise InputError(
                f"the certificate of model {told.model:.12} is dated {text_of(told.time)}: it says "
                "what was done, not what will be"
            )
        data = told.encode()
        self.publish_blob(data)
        said = {"model": told.model, "owner": told.owner, "certificate": sha256(data)}
        return Draft("model.destroyed", {**said, "complete": told.complete, "note": note})

    def _registering(
        self, owner: str, entries: Iterable[Mapping[str, Any]], note: str
    ) -> list[Draft]:
        """Return what registers models, each with what it owes for lists and recalls before it."""
        lineage, policies, found = self.lineage(), self._policies(), []
        ahead = replace(lineage, models=dict(lineage.models))  # one may come of the one before it
        for each in entries:
            trained = _trained({key: each[key] for key in _SAID}, owner, note)
            try:
                take(ahead, Event(ahead.upto + 1, ahead.at, trained.kind, trained.body))
            except InputError as error:
                raise InputError(f"model {each['model']:.12} ({each['name']}): {error}") from error
            found += [trained, *duties.for_model(ahead, each["model"], policies)]
        return found


def _trained(said: Mapping[str, Any], owner: str, note: str) -> Draft:
    return Draft("model.trained", {**said, "owner": owner, "note": note})


def _of_release(lineage: Lineage, said: str) -> dict[str, Any]:
    name, _, version = said.partition("@")
    release = lineage.releases.get(name)
    if release is None or not release.versions:
        raise UsageError(f"no release {name!r} was sealed here")
    if not version:
        return {"release": name, "version": release.current.number}
    known = {each.number for each in release.versions} | {each.number for each in release.lists}
    if not version.isdecimal() or int(version) not in known:
        raise UsageError(
            f"release {name} has no version {version!r}; there is: "
            f"{', '.join(map(str, sorted(known)))}"
        )
    return {"release": name, "version": int(version)}


def _of_model(lineage: Lineage, said: str) -> dict[str, Any]:
    digest, _, how = said.partition(":")
    if how not in HOWS:
        raise UsageError(f"--from-model {said}: write DIGEST:HOW; HOW is {', '.join(HOWS)}")
    return {"model": _model(lineage, digest).digest, "how": how}


def _model(lineage: Lineage, digest: str) -> Model:
    found = [each for each in lineage.models.values() if digest and each.digest.startswith(digest)]
    if len(found) != 1:
        what = "no model" if not found else f"{len(found)} models"
        raise UsageError(f"{what} of digest {digest!r}: see `letterlock model list`")
    return found[0]


def _owner(lineage: Lineage, sources: Iterable[Mapping[str, Any]]) -> str:
    owners = {
        lineage.releases[s["release"]].recipient
        if "release" in s
        else lineage.models[s["model"]].owner
        for s in sources
    }
    if len(owners) != 1:
        raise UsageError(f"whose model is it, of {' and '.join(sorted(owners))}: --owner")
    return owners.pop()
