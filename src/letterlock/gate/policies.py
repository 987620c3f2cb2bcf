"""Policies: publishing them, and the texts they ask with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from letterlock import approval
from letterlock.domain import (
    PolicyVersion,
    Rulebook,
    Setting,
    Signature,
    Time,
    canonical,
    sha256,
)
from letterlock.errors import ApprovalError, InputError, LedgerError, PolicyError, UsageError
from letterlock.gate.workspace import Workspace, signed_by
from letterlock.ledger import Draft, Event, fold_rules, read_clause
from letterlock.policy.document import Document
from letterlock.policy.document import check as check_document
from letterlock.policy.document import read as read_document
from letterlock.policy.texts import text_hash
from letterlock.release.reach import Reach


@dataclass(frozen=True)
class Introduced:
    """A setting: what it asks for, the version that first described it, and since when it shows.

    `version` and `at` are the version it was introduced with and when; empty and None: not yet.
    `listed` says whether the newest version still describes it.
    """

    setting: Setting
    first: str
    version: str
    at: Time | None
    listed: bool


@dataclass(frozen=True)
class Standing:
    """A version and how many members it has reached."""

    version: PolicyVersion
    in_force: int
    notified: int
    objected: int
    settings: Mapping[str, bool]


@dataclass(frozen=True)
class Status:
    """Every version as of a time; `without`: members for whom none is in force."""

    as_of: Time
    members: int
    without: int
    versions: tuple[Standing, ...]


@dataclass(frozen=True)
class Published:
    """A version in the log: by whose signatures, checked again, and what came with it.

    `doubt` says what does not hold: a signature, or that the version follows from what was signed.
    `documents` are the hashes of its texts.
    """

    version: PolicyVersion
    signed_by: tuple[str, ...]
    doubt: str
    documents: Mapping[str, str]
    brought: tuple[tuple[str, str], ...]


class Policies(Workspace):
    """The verbs about policies."""

    def publish(
        self, files: Mapping[str, bytes], name: str, signatures: Iterable[Signature]
    ) -> str:
        """Publish a policy and what it brings (recipients, regional table, contracts).

        Returns the version. Raises PolicyError if it may not be published, ApprovalError if two
        operators did not sign it.
        """
        now, head = self.now(), self.store.head()
        rules = self.rules()
        document = publishable(files, name)
        signatures = list(signatures)
        approval.check(to_sign(document), signatures, rules.operators)
        drafts = drafts_of(document, now, rules)
        kind, body = drafts[-1].kind, drafts[-1].body
        drafts[-1] = Draft(kind, {**body, "signatures": signed_by(signatures)})
        with self._writing():
            self.store.append(drafts, now=now, expect=head.index)
        return document.version

    def text(self, setting: str, language: str) -> str:
        """Return the consent text that the newest version shows for a setting."""
        versions = self.rules().policies
        if not versions or setting not in versions[-1].settings:
            known = ", ".join(versions[-1].settings) if versions else "no policy is published"
            raise UsageError(f"unknown setting {setting!r}; there is: {known}")
        return document_of(versions[-1]).text(setting, language)

    def text_hash(self, setting: str, language: str) -> str:
        """Return the hash of that text, which a grant has to carry."""
        return text_hash(self.text(setting, language))

    # ── settings ────────────────────────────────────────────────────────────────────────────

    def introduce(self, setting: str, version: str | None = None) -> str:
        """Introduce a setting with a version that describes it; returns the version.

        By default the first whose notice was delivered to somebody. Raises UsageError for a setting
        or version nobody published, LedgerError if the version's notice is yet to be delivered, or
        the setting is introduced already (R1).
        """
        with self._writing():
            rules, head = self.rules(), self.store.head()
            if version is not None:
                version_of(rules, version)
            describing = [v for v in rules.policies if setting in v.settings]
            if not describing:
                known = ", ".join(dict.fromkeys(s for v in rules.policies for s in v.settings))
                raise UsageError(
                    f"no published version describes a setting {setting!r}; there is: "
                    f"{known or 'none'}"
                )
            if setting in rules.introduced:
                raise LedgerError(f"setting {setting} is introduced already")
            asked = [v for v in describing if version in {None, v.version}]
            if not asked:
                raise UsageError(f"version {version} does not describe setting {setting}")
            reach = Reach(self.store, rules, head.index)
            told = [v.version for v in asked if (reach.noticed(v) & reach.members).any()]
            if not told:
                raise LedgerError(
                    f"setting {setting} cannot be introduced: no notice of version "
                    f"{asked[-1].version}, which describes it, is recorded as delivered to a member"
                )
            body = {"setting": setting, "version": told[0]}
            self.store.append([Draft("setting.introduced", body)], now=self.now())
        return told[0]

    def settings(self) -> list[Introduced]:
        """Return every setting that a version has described, in the order of publication."""
        rules = self.rules()
        introduced = {
            e.body["setting"]: (e.body["version"], e.time)
            for e in self._about_everyone(rules)
            if e.kind == "setting.introduced" and e.body is not None
        }
        found: dict[str, Introduced] = {}
        for v in rules.policies:
            for name, setting in v.settings.items():
                first = found[name].first if name in found else v.version
                version, at = introduced.get(name, ("", None))
                found[name] = Introduced(setting, first, version, at, v is rules.policies[-1])
        return list(found.values())

    # ── how things stand ────────────────────────────────────────────────────────────────────

    def status(self) -> Status:
        """Count for how many members each version is in force, noticed and objected to."""
        rules, head = self.rules(), self.store.head()
        reach = Reach(self.store, rules, head.index)
        objecting = reach.objecting()
        in_force = reach.in_force(objecting)[reach.members] + 1
        count = np.bincount(in_force, minlength=len(rules.policies) + 1).tolist()
        nobody = np.zeros(len(reach.ids), np.bool_)
        versions = tuple(
            Standing(
                version,
                count[order + 1],
                int(np.count_nonzero(reach.noticed(version) & reach.members)),
                int(np.count_nonzero(objecting.get(order, nobody) & reach.members)),
                {setting: setting in rules.introduced for setting in version.settings},
            )
            for order, version in enumerate(rules.policies)
        )
        return Status(rules.as_of, len(in_force), count[0], versions)

    def history(self) -> list[Published]:
        """Return every version with who signed it, by signatures that are checked again."""
        rules = self.rules()
        events = {event.index: event for event in self._about_everyone(rules)}
        found = []
        for version in rules.policies:
            before = [e for n, e in events.items() if n < version.index]
            signed = approval.message(
                "policy.published",
                {"version": version.version, "documents": dict(version.documents)},
            )
            operators = fold_rules(before, rules.as_of).operators
            who: tuple[str, ...] = ()
            doubt = ""
            try:  # signatures first: who signed is said also of what does not follow
                who = approval.check(signed, version.signatures, operators)
                _check_follows(events[version.index].body or {}, version)
            except (ApprovalError, InputError, UsageError) as error:
                doubt = str(error)
            documents = {name: sha256(text.encode()) for name, text in version.documents.items()}
            brought = tuple(_brought(events, version))
            found.append(Published(version, who, doubt, documents, brought))
        return found

    def _about_everyone(self, rules: Rulebook) -> list[Event]:
        events = self.store.events(upto=self.store.head().index)
        return [event for event in events if event.time <= rules.as_of]


def _check_follows(body: Mapping[str, Any], version: PolicyVersion) -> None:
    """Check that a version says what its documents say, for those alone were signed.

    Raises InputError or UsageError if it does not, as this program reads them.
    """
    document = document_of(version)
    published_at = version.effective_at - document.lead
    *_, (_, expected) = document.bodies(published_at)
    expected = {key: value for key, value in expected.items() if key != "signatures"}
    found = {key: value for key, value in body.items() if key != "signatures"}
    differs = [
        key
        for key in sorted({*expected, *found})
        if canonical(expected.get(key)) != canonical(found.get(key))
    ]
    if published_at < version.published_at - 1:  # it may be recorded a moment after it is made
        differs.append("lead time")
    if differs:
        raise InputError(f"it does not follow from its documents: {', '.join(differs)}")


_BROUGHT = {
    "recipient.registered": "recipient",
    "region.published": "",
    "contract.published": "contract",
}
"""What a policy may bring along, and the key under which it is named."""


def _brought(events: Mapping[int, Event], version: PolicyVersion) -> Iterable[tuple[str, str]]:
    """Return (kind, name) of what was recorded in one go with a version, in recorded order.

    It stands right before the version, without signatures of its own: the version's cover it.
    """
    found = []
    for n in range(version.index - 1, -1, -1):
        event = events.get(n)
        if event is None or event.body is None or event.kind not in _BROUGHT:
            break
        if event.time != version.published_at or event.body.get("signatures"):
            break
        found.append((event.kind, str(event.body.get(_BROUGHT[event.kind], ""))))
    return reversed(found)


def version_of(rules: Rulebook, name: str) -> PolicyVersion:
    """Return a published version. Raises UsageError if there is none of that name."""
    for version in rules.policies:
        if version.version == name:
            return version
    known = ", ".join(v.version for v in rules.policies) or "none"
    raise UsageError(f"no version {name!r} is published; there is: {known}")


def document_of(version: PolicyVersion) -> Document:
    """Return the document that a version was published with. Raises UsageError without one."""
    if "policy.toml" not in version.documents:
        raise UsageError(f"version {version.version} was published without its policy.toml")
    files = {name: text.encode() for name, text in version.documents.items()}
    return read_document(files, version.version)


def publishable(files: Mapping[str, bytes], name: str) -> Document:
    """Return the policy in a folder's files. Raises PolicyError if it may not be published."""
    document, findings = check_document(files, name)
    if findings or document is None:
        first, more = findings[0], len(findings) - 1
        also = f" (and {more} more: letterlock policy check)" if more else ""
        raise PolicyError(first.advice() + also, file=first.file, line=first.line)
    return document


def to_sign(document: Document) -> bytes:
    """Return what two operators sign of a policy: all else follows from its documents."""
    signed = {"version": document.version, "documents": dict(document.documents)}
    return approval.message("policy.published", signed)


def drafts_of(document: Document, now: Time, rules: Rulebook) -> list[Draft]:
    """Return what publishing a document records: what it brings anew, and itself at the end."""
    bodies = document.bodies(now)
    return [Draft(kind, body) for kind, body in bodies if not _stands(kind, body, rules)]


def _stands(kind: str, body: dict[str, Any], rules: Rulebook) -> bool:
    """Say whether what a policy brings along stands already, so need not be said again."""
    if kind == "recipient.registered":
        known = rules.recipients.get(body["recipient"])
        said = (body["name"], body["class"])
        return known is not None and (known.name, known.recipient_class.value) == said
    clauses = tuple(read_clause(clause) for clause in body.get("clauses", ()))
    if kind == "region.published":
        table = rules.regions[-1] if rules.regions else None
        return table is not None and (table.ages, table.clauses) == (body["ages"], clauses)
    if kind == "contract.published":
        terms = rules.contracts.get(body["contract"], ())
        return bool(terms) and terms[-1].clauses == clauses
    return False
