"""`letterlock prove …` and `letterlock statement`: evidence that somebody can take home."""

from __future__ import annotations

from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.log import Out
from letterlock.cli.options import HERE, Now, Workspace, gate_of, new_file
from letterlock.domain import time_of

app = typer.Typer(
    no_args_is_help=True, help="Evidence for whoever asks; letterlock verify checks it."
)

Subject = Annotated[str, typer.Argument(help="Whose account.")]
ReleaseId = Annotated[str, typer.Argument(help="The release's id.")]


@app.command()
def receipt(
    subject: Subject,
    *,
    event: Annotated[
        int | None, typer.Option(min=0, help="The choice's event (default: the newest).")
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Without the log's signature: takes no passphrase.")
    ] = False,
    out: Out = None,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Give somebody the receipt of a choice: with its proof, once that is published."""
    gate = gate_of(workspace, now)
    new_file(gate.receipt_of(gate.choice_of(subject, event), signed=not unsigned), out)


@app.command()
def member(
    subject: Subject,
    release: ReleaseId,
    *,
    version: Annotated[
        int | None,
        typer.Option(min=0, help="As which drop list left it, 0 as sealed (default: the newest)."),
    ] = None,
    out: Out = None,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Prove that somebody is, or is not, among the people of a release."""
    gate = gate_of(workspace, now)
    proof = gate.member_proof(subject, release, version=version)
    if subject not in gate.state([subject]).subjects:  # true all the same, but it may be a slip
        show.ERR.print(f"nobody is recorded as {subject!r}: is the name right?", markup=False)
    new_file(proof, out)


@app.command()
def grants(
    subject: Subject,
    *,
    number: Annotated[
        int, typer.Option(min=0, help="Which grant, from 0; who has no grant 0 has none.")
    ] = 0,
    out: Out = None,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Prove that no grant of somebody was recorded, or that one was."""
    new_file(gate_of(workspace, now).grants_proof(subject, number), out)


@app.command()
def release(
    release: ReleaseId, *, out: Out = None, workspace: Workspace = HERE, now: Now = None
) -> None:
    """Give what the log says of a release, to go with its files."""
    new_file(gate_of(workspace, now).release_proof(release), out)


@app.command()
def history(*, out: Out = None, workspace: Workspace = HERE, now: Now = None) -> None:
    """Prove that every published checkpoint continues the one before it."""
    new_file(gate_of(workspace, now).prove_history(), out)


def statement(
    data_class: Annotated[str, typer.Argument(help="The class that was not released, or x.*")],
    *,
    start: Annotated[str, typer.Option("--from", help="From when on (ISO 8601).")],
    end: Annotated[str, typer.Option("--to", help="Until when, without it.")],
    purpose: Annotated[
        str, typer.Option("--purpose", "-p", help="For which purposes.")
    ] = "train.*",
    recipient: Annotated[
        list[str] | None, typer.Option("--recipient", "-r", help="To whom (default: anybody).")
    ] = None,
    out: Out = None,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Sign in public that no release held a class of data; refused if the log says otherwise."""
    found = gate_of(workspace, now).make_statement(
        data_class, time_of(start), time_of(end), purposes=purpose, recipients=recipient or ()
    )
    new_file(found, out)
    if out is not None:
        show.OUT.print(
            "it is recorded; publish that too, or nobody can check it: letterlock log checkpoint"
        )
