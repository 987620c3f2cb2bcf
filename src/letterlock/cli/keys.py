"""Keys of the workspace: `letterlock key list|rotate|destroy`, and `letterlock erase`."""

from __future__ import annotations

from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.options import (
    HERE,
    NO,
    Json,
    Now,
    Workspace,
    gate_of,
    moment,
    new_passphrase,
    passphrase,
)
from letterlock.domain import counted, text_of
from letterlock.errors import UsageError
from letterlock.gate import Gate
from letterlock.gate.erasure import Erased
from letterlock.gate.keys import LOG, USES, Kept
from letterlock.record import note

app = typer.Typer(no_args_is_help=True, help="Keys of the log and of pseudonyms.")


@app.command("list")
def list_keys(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """List every key that the ledger introduces, and which are in use."""
    kept = gate_of(workspace, now).kept()
    if as_json:
        show.as_json({"keys": [_record(each) for each in kept]})
        return
    for each in kept:
        made, held = each.introduced, ""
        if each.state != "destroyed" and each.held < len(made.keys):
            held = f", {each.held} of {len(made.keys)} in files here"
        said = f"{made.index}  {made.use}  {each.state}{held}  since {text_of(made.time)}"
        show.OUT.print(said, markup=False, highlight=False)
        for public in made.keys:
            show.OUT.print(f"   {_short(made.use, public)}", markup=False, highlight=False)
        if each.releases:
            show.OUT.print(f"   releases: {', '.join(each.releases)}", markup=False)


def _short(use: str, public: str) -> str:
    """Write a key in a line: an ML-DSA key, of 1,800 characters, by its name and id."""
    if use != LOG:
        return public
    verifier = note.parse_vkey(public)
    return (
        verifier.vkey
        if verifier.kind is note.Kind.ED25519
        else f"{verifier.name}+{verifier.key_id.hex()} (ML-DSA-44: --json shows it whole)"
    )


def _record(kept: Kept) -> dict[str, object]:
    made = kept.introduced
    return {
        "event": made.index,
        "use": made.use,
        "keys": list(made.keys),
        "introduced": text_of(made.time),
        "lost": made.lost,
        "state": kept.state,
        "held": kept.held,
        "releases": list(kept.releases),
    }


@app.command()
def rotate(
    use: Annotated[str, typer.Argument(help="log or vrf.")],
    *,
    lost: Annotated[
        bool, typer.Option("--lost", help="The log's keys are gone: nobody vouches for the new.")
    ] = False,
    vkey: Annotated[
        list[str] | None,
        typer.Option(help="A key that the workspace's `signer` holds, instead of a file here."),
    ] = None,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Introduce new keys of the log, or a new key of pseudonyms; the old ones stay."""
    if use not in USES:
        raise UsageError(f"{use!r} has no keys: rotate log or vrf")
    # Typed twice if no key that is left can show that it is the passphrase of before.
    gate = Gate(workspace, now=moment(now), passphrase=new_passphrase if lost else passphrase)
    made = gate.rotate(use, lost=lost, vkeys=vkey or ())
    show.OUT.print(f"introduced by event {made.index}: {use}", markup=False)
    if use != LOG:
        show.OUT.print("releases are made with it from now on; earlier ones keep the key they had")
        return
    for public in made.keys:
        show.OUT.print(f"log {public}", markup=False, highlight=False, soft_wrap=True)
    if lost:
        show.OUT.print("they sign at once. No earlier key vouches for them: tell everybody who")
        show.OUT.print("verifies, and each witness, by another way, and say why")
    else:
        show.OUT.print("the keys before them sign the checkpoint that shows this event; after it,")
        show.OUT.print("these do. Give the lines above to everybody who verifies, and each witness")


@app.command()
def destroy(
    index: Annotated[int, typer.Argument(help="The event that introduced it: see `key list`.")],
    *,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Destroy an earlier key for ever, and record that. Never one that is in use."""
    kept = gate_of(workspace, now).destroy(index)
    show.OUT.print(f"destroyed the {kept.introduced.use} key of event {index}", markup=False)
    if kept.introduced.use == LOG:
        show.OUT.print("what it signed still verifies; nothing more can be signed with it here")
        return
    under = ", ".join(kept.releases) or "no release"
    show.OUT.print(f"made with it: {under}", markup=False)
    show.OUT.print(
        "the platform can derive no pseudonym of theirs any more; members who kept their"
    )
    show.OUT.print("account id and proof still can. Copies of the key in backups are not reached")


def erase(
    subject: Annotated[str, typer.Argument(help="Whose events, by account id.")],
    *,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Forget a person; exit 3 while anything of hers is left."""
    found = gate_of(workspace, now).erase(subject)
    if as_json:
        show.as_json(_report(found))
    else:
        _show(found)
    raise typer.Exit(0 if found.complete else NO)


def _report(found: Erased) -> dict[str, object]:
    return {
        "subject": found.subject,
        "complete": found.complete,
        "erased": list(found.events),
        "erased_before": list(found.before),
        "obligation": None if found.owed is None else found.owed.id,
        "places": [
            {"where": each.where, "outcome": each.outcome, "what": each.what}
            for each in found.places
        ],
    }


def _show(found: Erased) -> None:
    said = counted(len(found.events), "events")
    show.OUT.print(f"{found.subject}: {said} erased", markup=False)
    for each in found.places:
        show.OUT.print(f"  {each.outcome}: {each.where}: {each.what}", markup=False)
    if found.owed is not None:
        until = text_of(found.owed.due)
        show.OUT.print(f"{found.owed.id} is owed until {until}: erase it where it lies elsewhere")
    if not found.complete:
        show.OUT.print("this is not complete: see what is left and unsupported above")
