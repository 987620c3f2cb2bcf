"""Operators: the persons of whom two have to approve what changes the rules for everybody."""

from __future__ import annotations

from collections.abc import Sequence

from letterlock import approval
from letterlock.domain import Signature
from letterlock.gate.workspace import Workspace
from letterlock.ledger import Draft


class Operators(Workspace):
    """The verbs about operators and what they sign."""

    def register_operator(
        self, name: str, person: str, key: str, signatures: Sequence[Signature] = ()
    ) -> None:
        """Register a person and the public half of her key; each after the second is approved.

        Raises ApprovalError if two operators are there and did not both sign.
        """
        body = {"operator": name, "name": person, "key": key}
        with self._writing():  # nobody becomes the third unapproved by asking beside the second
            if len(self.rules().operators) < approval.NEEDED:
                self.store.append([Draft("operator.registered", body)], now=self.now())
                return
        self.record_approved("operator.registered", body, signatures)

    def register_recipient(
        self, name: str, legal_name: str, kind: str, signatures: Sequence[Signature] = ()
    ) -> None:
        """Register a named legal entity as a recipient, as two operators approved (R28, R47)."""
        body = {"recipient": name, "name": legal_name, "class": kind}
        self.record_approved("recipient.registered", body, signatures)

    def declare(self, requirement: str, text: str, signatures: Sequence[Signature]) -> None:
        """Record what software can only declare (R13, R48), as two operators signed it."""
        body = {"requirement": requirement, "text": text}
        self.record_approved("declaration.made", body, signatures)
