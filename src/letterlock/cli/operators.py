"""Operators sign: `letterlock approve`, `letterlock register operator`, `letterlock declare`."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from letterlock import approval
from letterlock.cli import show
from letterlock.cli.options import (
    HERE,
    KeyFile,
    Now,
    Operator,
    Signatures,
    Workspace,
    gate_of,
    key_of,
    new_key,
    signatures_of,
)
from letterlock.domain import Signature
from letterlock.errors import ApprovalError, UsageError


def approve(
    kind: Annotated[str, typer.Argument(help="What kind of event: hold.lifted, …")],
    body: Annotated[str, typer.Argument(help="What it says, as JSON.")],
    *,
    operator: Operator,
    key_file: KeyFile,
) -> None:
    """Sign an event that is yet to be recorded; prints the signature, for --signature."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the body is not JSON: {error}") from error
    if not isinstance(said, dict):
        raise UsageError("the body is not a JSON object")
    signature = approval.sign(operator, key_of(key_file), approval.message(kind, said))
    show.OUT.print(line_of(signature), markup=False)


def line_of(signature: Signature) -> str:
    """Write a signature as one line of JSON."""
    return json.dumps({"operator": signature.operator, "signature": signature.signature})


def register_operator(
    operator: Annotated[str, typer.Argument(help="A short name.")],
    *,
    name: Annotated[str, typer.Option(help="The person's name.")],
    key_file: Annotated[Path, typer.Option(help="Her secret key; made if it is not there.")],
    signature: Signatures = None,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Register an operator: two of them approve what changes the rules for everybody."""
    gate, key = gate_of(workspace, now), approval.public_key(new_key(key_file))
    try:
        gate.register_operator(operator, name, key, signatures_of(signature or ()))
    except ApprovalError as error:  # only here is it seen what there is to approve: a new key
        if signature:
            raise
        body = shlex.quote(json.dumps({"operator": operator, "name": name, "key": key}))
        said = f"letterlock approve operator.registered {body}"
        raise ApprovalError(f"{error}, each with {said}") from error
    show.OUT.print(f"registered operator {operator}: {name}, key {key}", markup=False)


def declare(
    requirement: Annotated[str, typer.Argument(help="Which requirement, such as R13.")],
    text: Annotated[str, typer.Argument(help="What is declared.")],
    *,
    signature: Signatures = None,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Record what software can only declare, signed by two operators."""
    gate_of(workspace, now).declare(requirement, text, signatures_of(signature or ()))
    show.OUT.print(f"declared: {requirement}", markup=False)
