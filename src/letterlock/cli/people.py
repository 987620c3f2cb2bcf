"""`letterlock register …` and `letterlock choose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.operators import register_operator
from letterlock.cli.options import (
    HERE,
    File,
    Json,
    Now,
    Signatures,
    Workspace,
    finish,
    gate_of,
    signatures_of,
)
from letterlock.errors import UsageError
from letterlock.sources.records import rows

app = typer.Typer(no_args_is_help=True, help="Register members, facts, recipients and operators.")
app.command("operator")(register_operator)


@app.command("subjects")
def register_subjects(
    file: File, *, workspace: Workspace = HERE, now: Now = None, as_json: Json = False
) -> None:
    """Register members: subject, jurisdiction, birth_year, contract, from, noticed, member."""
    finish(gate_of(workspace, now).register_subjects(rows(file)), "members", as_json=as_json)


@app.command("facts")
def register_facts(
    file: File, *, workspace: Workspace = HERE, now: Now = None, as_json: Json = False
) -> None:
    """Record facts: subject, kind (jurisdiction, birth_year, contract), value, from, to."""
    finish(gate_of(workspace, now).register_facts(rows(file)), "facts", as_json=as_json)


@app.command("recipient")
def register_recipient(
    recipient: Annotated[str, typer.Argument(help="Its short name.")],
    *,
    name: Annotated[str, typer.Option(help="The legal entity's name.")],
    kind: Annotated[str, typer.Option("--class", help="controller, affiliate or third_party.")],
    signature: Signatures = None,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Register a named legal entity as a recipient, as two operators approved."""
    gate = gate_of(workspace, now)
    gate.register_recipient(recipient, name, kind, signatures_of(signature or ()))
    show.OUT.print(f"registered {recipient}: {name}, {kind}", markup=False)


def choose(
    subject: Annotated[str | None, typer.Argument(help="Whose choice it is.")] = None,
    act: Annotated[str | None, typer.Argument(help="grant, withdraw or object")] = None,
    *,
    load: Annotated[Path | None, typer.Option(help="Load choices from this file instead.")] = None,
    setting: Annotated[str, typer.Option(help="For a grant: the setting it is made through.")] = "",
    language: Annotated[str, typer.Option(help="The language it was shown in.")] = "en",
    purpose: Annotated[str, typer.Option("--purpose", "-p", help="What for.")] = "*",
    data_class: Annotated[str, typer.Option(help="Which data: a class or x.*")] = "*",
    recipient: Annotated[str, typer.Option("--recipient", "-r", help="Who.")] = "*",
    channel: Annotated[str, typer.Option(help="How the choice reached you.")] = "command line",
    earlier: Annotated[bool, typer.Option(help="A grant for what is already there.")] = False,
    explicit: Annotated[bool, typer.Option(help="A grant for sensitive data.")] = False,
    category: Annotated[list[str] | None, typer.Option(help="Which sensitive category.")] = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Record one choice, or load many. A refusal without options refuses everything."""
    gate = gate_of(workspace, now)
    if load is not None:
        finish(gate.load_choices(rows(load)), "choices", as_json=as_json)
        return
    if subject is None or act is None:
        raise UsageError(
            "say whose choice it is and what: letterlock choose SUBJECT ACT, or --load"
        )
    text = ""
    if act == "grant":
        if not setting:
            raise UsageError("a grant is made through a setting: --setting")
        text = gate.text_hash(setting, language)
    gate.choose(
        subject,
        act,
        purpose=purpose,
        data_class=data_class,
        recipient=recipient,
        channel=channel,
        text=text,
        earlier=earlier,
        explicit=explicit,
        categories=category or (),
    )
    show.OUT.print(f"recorded: {subject} {act} {purpose}, {data_class}, {recipient}", markup=False)
