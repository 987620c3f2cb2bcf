"""`letterlock hold …`: a regulator's stop, what it reaches, and what the regulator is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.options import HERE, Json, Now, Signatures, Workspace, gate_of, signatures_of
from letterlock.domain import ALWAYS, ANY, BEGINNING, END, Clause, sha256, text_of, time_of
from letterlock.gate import Held
from letterlock.policy.places import called

app = typer.Typer(no_args_is_help=True, help="Stop what a regulator stops, at once.")

Hold = Annotated[str, typer.Argument(help="The hold's name.")]


@app.command("set")
def hold_set(
    hold: Hold,
    *,
    region: Annotated[
        list[str] | None,
        typer.Option(help="Where somebody in it was or is: ISO 3166, EU, EEA, UK (repeatable)."),
    ] = None,
    purpose: Annotated[
        list[str] | None, typer.Option("--purpose", "-p", help="What for (repeatable).")
    ] = None,
    data_class: Annotated[
        list[str] | None, typer.Option(help="Of which class, such as message.* (repeatable).")
    ] = None,
    recipient: Annotated[
        list[str] | None,
        typer.Option("--recipient", "-r", help="To whom: a name or class (repeatable)."),
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Made since (ISO 8601).")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Made before (ISO 8601).")] = None,
    lock: Annotated[bool, typer.Option("--lock", help="It can never be lifted.")] = False,
    order: Annotated[str, typer.Option(help="By whose order, in words.")] = "",
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Stop what is of this scope, at once: what is left out stands for anything."""
    held = gate_of(workspace, now).set_hold(
        hold,
        regions=region or (),
        purposes=purpose or (),
        data_classes=data_class or (),
        recipients=recipient or (),
        start=BEGINNING if start is None else time_of(start),
        end=END if end is None else time_of(end),
        lock=lock,
        order=order,
    )
    if as_json:
        show.as_json(held.record())
        return
    _print(held)
    show.OUT.print("  from now on nothing of this is released, by running builds neither")


@app.command("lift")
def hold_lift(
    hold: Hold, *, signature: Signatures = None, workspace: Workspace = HERE, now: Now = None
) -> None:
    """Lift a hold, as two operators signed; a lock can never be lifted."""
    gate_of(workspace, now).lift_hold(hold, signatures_of(signature or ()))
    show.OUT.print(f"lifted hold {hold}", markup=False)


@app.command("list")
def hold_list(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """List every hold: since when, by whose order, what it stops, and who lifted it."""
    found = gate_of(workspace, now).holds()
    if as_json:
        show.as_json({"holds": [held.record() for held in found]})
        return
    for held in found:
        _print(held)
    if not found:
        show.OUT.print("no hold was ever set")


@app.command("purge")
def hold_purge(
    hold: Hold,
    *,
    out: Annotated[Path, typer.Option("--out", help="A new folder.")],
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """List what a hold reaches, for you to erase where it lies. Erases nothing."""
    gate = gate_of(workspace, now)
    with show.progress(quiet=as_json) as progress:
        record = gate.purge(hold, out, progress=progress)
    if as_json:
        show.as_json(record)
        return
    counts = record["counts"]
    show.OUT.print(f"{counts['matched']:,} of {counts['items']:,} items are to be erased: {out}")
    if counts["unclear"]:
        show.OUT.print(f"{counts['unclear']:,} more may be: of them something is not known")
    for release in record["releases"]:
        show.OUT.print(
            f"  release {release['release']} to {release['recipient']}: {_rows(release)}"
        )
    show.OUT.print("nothing was erased: erase what is listed, in the tables and in backups")


def _rows(release: dict[str, object]) -> str:
    if release["rows"] is None:
        return str(release["why"])
    return f"{release['matched']:,} of its {release['rows']:,} rows are of it"


@app.command("export")
def hold_export(
    hold: Hold,
    *,
    out: Annotated[Path, typer.Option("--out", help="A new file.")],
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Write what the regulator asks for: the hold, its events, and what it stopped."""
    gate = gate_of(workspace, now)
    with show.progress(quiet=as_json) as progress:
        record = gate.export_hold(hold, out, progress=progress)
    if as_json:
        show.as_json(record)
        return
    show.OUT.print(f"wrote {out}, sha256 {sha256(out.read_bytes())}", markup=False)
    releases = record["releases"]
    before = sum(release["sealed"] == "before" for release in releases)
    show.OUT.print(f"  releases sealed before it: {before}, after it: {len(releases) - before}")
    for today in record["today"]:
        stopped = today["withheld"].get("hold", 0)
        show.OUT.print(
            f"  today, {today['purpose']} to {today['recipient']}: {today['released']:,} of "
            f"{today['items']:,} items may go, {today['reached']:,} of them of the hold; "
            f"{stopped:,} stay for it",
            markup=False,
        )


def _print(held: Held) -> None:
    since = f"since {text_of(held.set_at)}"
    if held.lifted_at is not None:
        state = f"stood {since}; lifted {text_of(held.lifted_at)} by {' and '.join(held.lifted_by)}"
    else:
        state = f"locked {since}: it can never be lifted" if held.lock else f"stands {since}"
    show.OUT.print(f"hold {held.id} {state}", markup=False)
    if held.order:
        show.OUT.print(f"  by order of {held.order}", markup=False)
    for clause in held.clauses:
        show.OUT.print(f"  stops {_scope(clause)}", markup=False)


def _scope(clause: Clause) -> str:
    """Write what a clause is about in a sentence."""

    def said(listed: tuple[str, ...], anything: str) -> str:
        return anything if ANY in listed else ", ".join(listed)

    where = "anywhere"
    if ANY not in clause.jurisdictions:
        where = f"in {', '.join(called(clause.jurisdictions, 'en'))}"
    when = "at any time"
    if clause.span != ALWAYS:
        since = clause.span.start > BEGINNING
        until = clause.span.end < END
        when = f"since {text_of(clause.span.start)}" if since else ""
        when += f"{' and ' * since}before {text_of(clause.span.end)}" if until else ""
    return (
        f"{said(clause.purposes, 'any purpose')}, for {said(clause.recipients, 'anybody')}: "
        f"{said(clause.data_classes, 'anything')} of people {where}, made {when}"
    )
