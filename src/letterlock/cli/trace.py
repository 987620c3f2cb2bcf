"""`letterlock exposure` and `letterlock trace`: who is affected, and what became of hers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.options import (
    HERE,
    Contracts,
    DataClass,
    DisclosedBefore,
    Json,
    MadeBefore,
    MadeFrom,
    Now,
    Regions,
    ToWhom,
    Workspace,
    class_of,
    content_of,
    gate_of,
    new_file,
    new_path,
)
from letterlock.domain import ANY, counted, text_of
from letterlock.errors import UsageError
from letterlock.reports.class_query import SENT_OR_RECEIVED, Count, Way
from letterlock.reports.exposure import ARITHMETIC, Exposure, write
from letterlock.reports.trace import lines
from letterlock.sources.mapping import read_mapping


def trace(
    subject: Annotated[str, typer.Argument(help="Whose account.")],
    *,
    bundle: Annotated[
        Path | None,
        typer.Option(
            callback=new_path, help="A new file for the answer with its proofs, signed (a ZIP)."
        ),
    ] = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Say what of somebody's went, to whom, what learned from it, and what is owed (Art. 15)."""
    gate = gate_of(workspace, now)
    found = gate.trace(subject)
    if as_json:
        show.as_json(found.record())
    else:
        show.OUT.print("\n".join(lines(found.record())), markup=False, soft_wrap=True)
    if bundle is not None:
        new_file(gate.trace_bundle(found), bundle, quiet=as_json)


def exposure(
    *,
    data_class: DataClass = ANY,
    contract: Contracts = None,
    region: Regions = None,
    made_from: MadeFrom = None,
    made_before: MadeBefore = None,
    way: Annotated[
        list[str] | None, typer.Option(help="sent or received (default: both), or quoted.")
    ] = None,
    recipient: ToWhom = None,
    disclosed_before: DisclosedBefore = None,
    per_head: Annotated[
        int | None, typer.Option(min=0, help="An amount for each member: yours, multiplied.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="Count in this table (Parquet) instead of the releases.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option(help="The table's mapping.toml.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A new folder for whom to tell: private.")
    ] = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Count which items and members of a class went to whom; list whom to tell."""
    if (table is None) != (mapping is None):
        raise UsageError("a table is read with its mapping: say --table and --mapping")
    query = class_of(
        data_class,
        contract,
        region,
        made_from,
        made_before,
        _ways(way),
        recipient,
        disclosed_before,
    )
    gate = gate_of(workspace, now)
    gate.check_places(region or ())
    # What a table calls its rows is for its mapping to say: no policy has to name it.
    gate.check_class(query if table is None else replace(query, data_class=ANY))
    if table is not None and mapping is not None:
        read = read_mapping(content_of(mapping), str(mapping))
        found = gate.exposure_of(table, read, query, per_head=per_head)
    else:
        found = gate.exposure(query, per_head=per_head)
    if out is not None:
        write(found, out)
    if as_json:
        show.as_json(found.record())
        return
    _show(found)
    if out is not None:
        show.OUT.print(f"whom to tell, and of what, is in {out}: keep it private", markup=False)


def _ways(said: list[str] | None) -> tuple[Way, ...]:
    if not said:
        return SENT_OR_RECEIVED
    known = {way.name.lower(): way for way in Way}
    if unknown := sorted(set(said) - set(known)):
        raise UsageError(f"--way {unknown[0]}: there is {', '.join(known)}")
    return tuple(sorted({known[each] for each in said}))


def _show(found: Exposure) -> None:
    for each in found.exposed:
        show.OUT.print(f"{each.recipient}: {_counted(each.count)}", markup=False)
        for data_class in dict.fromkeys(line.data_class for line in each.lines):
            days = [line.day for line in each.lines if line.data_class == data_class and line.day]
            made = f", made {days[0]} to {days[-1]}" if days else ""
            show.OUT.print(f"  {data_class}{made}", markup=False)
        for where, at, count in each.disclosed:
            when = "" if at is None else f", sealed {text_of(at)}"
            show.OUT.print(f"  {where}{when}: {_counted(count)}", markup=False)
    if not (found.exposed or found.untold):
        show.OUT.print("no release was sealed for such a recipient before that date")
    elif len(found.exposed) > 1:
        show.OUT.print(f"together: {_counted(found.count)}")
    for release, why in found.untold.items():
        show.OUT.print(f"release {release} cannot be told: {why}", markup=False)
    if found.amount is not None:
        heads = f"{found.count.people:,} × {found.per_head:,} = {found.amount:,}"
        show.OUT.print(f"{ARITHMETIC}: {heads}", markup=False)


def _counted(count: Count) -> str:
    people = f"{counted(count.people, 'members')} ({count.sent:,} sent, "
    said = f"{counted(count.items, 'items')}, {people}{count.received:,} received)"
    if count.others:
        said += f"; {count.others:,} who are no members"
    if count.unclear:
        said += f"; {counted(count.unclear, 'more items')} may be of the class"
    return said
