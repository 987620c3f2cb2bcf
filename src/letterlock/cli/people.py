"""`letterlock register …`, `letterlock choose` and `letterlock export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

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
    moment,
    new_file,
    new_path,
    signatures_of,
)
from letterlock.domain import ANY, BEGINNING, END, Line, names, text_of
from letterlock.errors import UsageError, WorkspaceError
from letterlock.gate import Chosen, Gate
from letterlock.sources.records import rows
from letterlock.store.keys import passphrase_from_environment

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
    act: Annotated[str | None, typer.Argument(help="grant, withdraw, object or gpc")] = None,
    *,
    load: Annotated[Path | None, typer.Option(help="Load choices from this file instead.")] = None,
    setting: Annotated[str, typer.Option(help="The setting it is made through.")] = "",
    language: Annotated[str, typer.Option(help="The language it was shown in.")] = "en",
    purpose: Annotated[
        str | None, typer.Option("--purpose", "-p", help="Only this purpose.")
    ] = None,
    data_class: Annotated[str | None, typer.Option(help="Only this class of data, or x.*")] = None,
    recipient: Annotated[
        str | None,
        typer.Option("--recipient", "-r", help="Only this one; a no: a class of them too."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Only what is made from then.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Only what is made before.")] = None,
    expires: Annotated[str | None, typer.Option(help="Until when a grant holds.")] = None,
    channel: Annotated[str, typer.Option(help="How the choice reached you.")] = "command line",
    earlier: Annotated[
        bool, typer.Option("--earlier", help="A grant also for what is there, or --from --to.")
    ] = False,
    explicit: Annotated[
        bool, typer.Option("--explicit", help="A grant also for what is sensitive.")
    ] = False,
    category: Annotated[
        list[str] | None, typer.Option(help="Only this sensitive category (repeatable).")
    ] = None,
    non_member: Annotated[
        bool, typer.Option("--non-member", help="A no of somebody without an account.")
    ] = False,
    browser: Annotated[str, typer.Option(help="For gpc: which browser sends it.")] = "",
    off: Annotated[bool, typer.Option("--off", help="For gpc: it no longer does.")] = False,
    receipt: Annotated[
        Path | None,
        typer.Option("--receipt", callback=new_path, help="A new file for its receipt."),
    ] = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Record one choice, or load many. Without options, a no means everything."""
    if receipt is not None and (as_json or off or load is not None):
        raise UsageError("--receipt is for one choice, and --json holds its receipt already")
    gate = gate_of(workspace, now)
    if load is not None:
        finish(gate.load_choices(rows(load)), "choices", as_json=as_json)
        return
    if subject is None or act is None:
        raise UsageError(
            "say whose choice it is and what: letterlock choose SUBJECT ACT, or --load"
        )
    if act == "gpc":
        narrower = (setting, purpose, data_class, recipient, start, end, expires, category)
        if any(narrower) or earlier or explicit:
            raise UsageError("a browser objects to everything: choose SUBJECT gpc --browser ID")
        signal = gate.gpc(subject, browser, on=not off, non_member=non_member)
        _gpc(gate, signal, receipt, off=off, as_json=as_json)
        return
    if browser or off:
        raise UsageError("--browser and --off are for what a browser says: choose SUBJECT gpc")
    chosen = gate.choose(
        subject,
        act,
        channel=channel,
        setting=setting,
        language=language,
        purpose=purpose,
        data_class=data_class,
        recipient=recipient,
        from_=moment(start),
        to=moment(end),
        earlier=earlier,
        explicit=explicit,
        categories=category or (),
        expires=moment(expires),
        non_member=non_member,
    )
    _show(gate, chosen, receipt, as_json=as_json)


def _show(gate: Gate, chosen: Chosen, receipt: Path | None, *, as_json: bool) -> None:
    """Print a choice as it was recorded, and give its receipt."""
    if as_json:
        show.as_json(_with_receipt(gate, chosen))
        return
    record = chosen.record()
    of = f", setting {record['setting']}" if "setting" in record else ""
    show.OUT.print(f"recorded as event {record['event']}: {record['subject']}{of}", markup=False)
    for line in chosen.lines:
        show.OUT.print(f"  {_words(line)}", markup=False)
        if line.explicit:
            listed = names(line.categories) or "no category"
            show.OUT.print(f"    explicitly, for what is sensitive: {listed}", markup=False)
        if line.expires_at < END:
            show.OUT.print(f"    until {text_of(line.expires_at)}")
    if receipt is not None:
        new_file(_receipt(gate, chosen), receipt)


def _with_receipt(gate: Gate, chosen: Chosen) -> dict[str, Any]:
    return chosen.record() | {"receipt": json.loads(_receipt(gate, chosen))}


def _receipt(gate: Gate, chosen: Chosen) -> bytes:
    """Return a choice's receipt, signed if the key opens without a question.

    The choice is recorded already: what hinders its receipt must not look as if it had not been.
    """
    try:
        if gate.simulated or passphrase_from_environment() is not None:
            return gate.receipt_of(chosen.event.index)
    except WorkspaceError as error:
        show.ERR.print(f"the receipt is not signed: {error}", markup=False)
    return gate.receipt_of(chosen.event.index, signed=False)


_EVERY: Final = {
    "controller": "the platform itself",
    "affiliate": "every affiliate",
    "third_party": "every third party",
}


def _words(line: Line) -> str:
    """Say what a line of a choice says."""
    purpose = "every purpose" if line.purpose == ANY else line.purpose
    data = "all data" if line.pattern == ANY else line.pattern
    who = "every recipient" if line.recipient == ANY else _EVERY.get(line.recipient, line.recipient)
    reach = line.reach()
    made = f"made from {text_of(reach.start)}" if reach.start > BEGINNING else "whenever made"
    if reach.end < END:
        made += f", before {text_of(reach.end)}"
    asked = " (asked for separately)" if line.earlier else ""
    return f"{line.act}: {purpose}, {data}, {who}, {made}{asked}"


def _gpc(
    gate: Gate, chosen: Chosen | None, receipt: Path | None, *, off: bool, as_json: bool
) -> None:
    """Print what was made of a browser's signal."""
    if as_json:
        if chosen is None or off:  # that a browser no longer objects is no choice
            show.as_json({"recorded": chosen is not None, **(chosen.record() if chosen else {})})
        else:
            show.as_json({"recorded": True, **_with_receipt(gate, chosen)})
    elif chosen is None:
        show.OUT.print("nothing new: this browser said so before")
    elif off:
        show.OUT.print("noted: this browser no longer sends Sec-GPC. That is no yes: its objection")
        show.OUT.print("stays until the subject says yes (letterlock choose SUBJECT grant)")
    else:
        _show(gate, chosen, receipt, as_json=False)


def export(
    subject: Annotated[str, typer.Argument(help="Whose history.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", callback=new_path, help="A new file to write it to.")
    ] = None,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Give somebody everything recorded of them, as JSON-LD.

    It is what GDPR Art. 20 asks for.
    """
    found = gate_of(workspace, now).history_of(subject)
    if out is None:
        show.as_json(found)
        return
    new_file(show.json_of(found).encode(), out)
