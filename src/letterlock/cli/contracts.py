"""`letterlock contract …`: what contracts forbid, and the amendments that their subjects sign."""

from __future__ import annotations

from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.options import HERE, Json, Now, Workspace, gate_of
from letterlock.domain import BEGINNING, END, Amendment, Span, text_of, time_of
from letterlock.gate.contracts import scope_record
from letterlock.policy.texts import text_hash

app = typer.Typer(
    no_args_is_help=True, help="What contracts forbid; amendments signed by their subjects."
)

Contract = Annotated[str, typer.Argument(help="The contract's id.")]
For = Annotated[str, typer.Option("--purpose", "-p", help="What for.")]
Data = Annotated[str, typer.Option(help="Which data: a class or x.*")]
Who = Annotated[str, typer.Option("--recipient", "-r", help="Who would use it.")]
Start = Annotated[str, typer.Option("--from", help="What is made from then on …")]
End = Annotated[str | None, typer.Option("--to", help="… and before.")]
Language = Annotated[str, typer.Option(help="Which language.")]


def _amendment(  # noqa: PLR0917 - the options of two commands
    contract: str, purpose: str, data_class: str, recipient: str, start: str, end: str | None
) -> Amendment:
    span = Span(max(time_of(start), BEGINNING), END if end is None else min(time_of(end), END))
    return Amendment(contract, purpose, data_class, recipient, span)


@app.command("text")
def contract_text(
    contract: Contract,
    *,
    purpose: For,
    data_class: Data,
    recipient: Who,
    start: Start,
    end: End = None,
    language: Language = "en",
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Print the amendment that a member is to be shown, and the hash of its text."""
    amendment = _amendment(contract, purpose, data_class, recipient, start, end)
    text = gate_of(workspace, now).amendment_text(amendment, language)
    digest = text_hash(text)
    if as_json:
        show.as_json({"contract": contract, "language": language, "text": text, "sha256": digest})
        return
    show.OUT.print(text, markup=False)
    show.OUT.print(f"sha256 {digest}", markup=False)


@app.command("amend")
def contract_amend(
    subject: Annotated[str, typer.Argument(help="Who signed.")],
    contract: Contract,
    *,
    purpose: For,
    data_class: Data,
    recipient: Who,
    start: Start,
    end: End = None,
    channel: Annotated[str, typer.Option(help="How the signature reached you.")] = "command line",
    language: Language = "en",
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Record that a member signed an amendment of her own contract."""
    amendment = _amendment(contract, purpose, data_class, recipient, start, end)
    gate = gate_of(workspace, now)
    signed = gate.amend(subject, amendment, channel=channel, language=language)
    if as_json:
        show.as_json(signed.record())
        return
    record = signed.record()
    show.OUT.print(
        f"recorded as event {record['event']}: {subject} amended contract {contract}", markup=False
    )
    _print(amendment)
    show.OUT.print("  what is lifted still needs a yes of its own: letterlock choose")


@app.command("list")
def contract_list(
    subject: Annotated[str, typer.Argument(help="Whose contracts.")],
    *,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """List a member's contracts, what their newest terms forbid, and what was amended."""
    held = gate_of(workspace, now).contracts_of(subject)
    if as_json:
        listed = [
            {
                "contract": each.contract,
                **({"from": text_of(each.span.start)} if each.span.start > BEGINNING else {}),
                **({"to": text_of(each.span.end)} if each.span.end < END else {}),
                "forbids": list(each.forbids),
                "amendments": [signed.record() for signed in each.signed],
            }
            for each in held
        ]
        show.as_json({"subject": subject, "contracts": listed})
        return
    if not held:
        show.OUT.print(f"{subject} has no contract", markup=False)
    for each in held:
        period = f"from {text_of(each.span.start)}"
        period += f" to {text_of(each.span.end)}" if each.span.end < END else ""
        forbids = ", ".join(each.forbids) or "nothing"
        show.OUT.print(f"{each.contract}, {period}: forbids by {forbids}", markup=False)
        for signed in each.signed:
            for amendment in signed.amendments:
                _print(amendment, f" (signed {text_of(signed.event.time)})")


def _print(amendment: Amendment, more: str = "") -> None:
    said = scope_record(amendment)
    period = f"from {said['from']}" if "from" in said else "always"
    period += f" to {said['to']}" if "to" in said else ""
    show.OUT.print(
        f"  lifted: {amendment.purpose}, {amendment.pattern}, {amendment.recipient}, "
        f"{period}{more}",
        markup=False,
    )
