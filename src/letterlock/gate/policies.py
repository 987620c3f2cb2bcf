"""Policies: publishing them, and the texts they ask with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from letterlock import approval
from letterlock.domain import Rulebook, Signature
from letterlock.errors import PolicyError, UsageError
from letterlock.gate.workspace import Workspace, signed_by
from letterlock.ledger import Draft, read_clause
from letterlock.policy.document import Document
from letterlock.policy.document import check as check_document
from letterlock.policy.document import read as read_document
from letterlock.policy.texts import text_hash


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
        bodies = document.bodies(now)
        drafts = [Draft(kind, body) for kind, body in bodies if not _stands(kind, body, rules)]
        kind, body = drafts[-1].kind, drafts[-1].body  # the policy itself comes last
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
        files = {name: text.encode() for name, text in versions[-1].documents.items()}
        document = read_document(files, versions[-1].version)
        return document.text(setting, language)

    def text_hash(self, setting: str, language: str) -> str:
        """Return the hash of that text, which a grant has to carry."""
        return text_hash(self.text(setting, language))


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
