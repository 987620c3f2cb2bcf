"""`letterlock lineage` and `letterlock disgorge`: where it went, and what an order reaches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.duties import said_to_sign
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
    Signatures,
    ToWhom,
    Workspace,
    class_of,
    content_of,
    gate_of,
    new_file,
    new_path,
    signatures_of,
)
from letterlock.domain import ANY, counted, text_of
from letterlock.errors import InputError
from letterlock.gate import Ordered
from letterlock.gate.orders import hold_for, order_body
from letterlock.lineage import disgorge as disgorging
from letterlock.lineage import draw, openlineage
from letterlock.lineage.events import ORDERED
from letterlock.reports.class_query import EVERY_WAY


def lineage(
    about: Annotated[
        str, typer.Argument(help="A release, model or recipient; left out: everything.")
    ] = "",
    *,
    svg: Annotated[
        Path | None, typer.Option(callback=new_path, help="Draw it into this new file.")
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            "--openlineage", callback=new_path, help="Write run events into this new file."
        ),
    ] = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Show which release reached whom, which model learned from it, and what is owed since."""
    gate = gate_of(workspace, now)
    graph = gate.lineage()
    shown = draw.drawing(graph, gate.now(), about)
    if svg is not None:
        title = f"Lineage of {about}" if about else "Lineage"
        new_file(
            draw.svg(shown, f"{title}, as of {text_of(gate.now())}").encode(), svg, quiet=as_json
        )
    if events is not None:
        only = {node.id for node in shown.nodes.values() if node.kind == "release"}
        told = openlineage.run_events(graph, gate.origin, only=only)
        new_file(openlineage.lines(told), events, quiet=as_json)
    if as_json:
        show.as_json(shown.record())
    elif svg is None and events is None:
        show.OUT.print(draw.text(shown), end="", markup=False)


def disgorge(
    *,
    order: Annotated[str, typer.Option(help="The order's name: its docket number, say.")],
    text: Annotated[Path, typer.Option(help="What it orders, as text; it is published.")],
    data_class: DataClass = ANY,
    contract: Contracts = None,
    region: Regions = None,
    made_from: MadeFrom = None,
    made_before: MadeBefore = None,
    recipient: ToWhom = None,
    disclosed_before: DisclosedBefore = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show, and record nothing.")] = False,
    signature: Signatures = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Answer an order to delete whatever was made of a class, as two operators enter it."""
    query = class_of(
        data_class, contract, region, made_from, made_before, EVERY_WAY, recipient, disclosed_before
    )
    try:
        said = content_of(text).decode().strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{text}: not UTF-8 text") from error
    gate = gate_of(workspace, now)
    gate.check_places(region or ())
    gate.check_class(query)
    gate.check_recipients(query)
    with said_to_sign(ORDERED, order_body(order, said, query), signature):
        found = gate.disgorge(order, said, query, signatures_of(signature or ()), dry_run=dry_run)
    if as_json:
        show.as_json(found.record())
    else:
        _show(found, dry_run=dry_run)


def _show(found: Ordered, *, dry_run: bool) -> None:
    reached = found.reached
    if not reached.releases:
        show.OUT.print(f"order {found.order} reaches nothing that was released", markup=False)
    else:
        for line in _sets(found):
            show.OUT.print(line, markup=False)
    show.OUT.print("an order reaches what was released; what may be from now on, a hold stops:")
    hold = hold_for(found.order, found.body["query"])
    show.OUT.print(f"  {hold}", markup=False, soft_wrap=True)
    if dry_run:
        show.OUT.print("nothing was recorded")
        return
    for duty in found.owed:
        until = text_of(duty.due)
        show.OUT.print(f"{duty.id}: {duty.owner}, {duty.duty}, due {until}", markup=False)
    if found.owed:
        show.OUT.print("what closes each: letterlock obligations explain")


def _sets(found: Ordered) -> Iterator[str]:
    """Write what an order reaches, and the three sets: to destroy, to make again, to tell."""
    reached = found.reached
    yield f"order {found.order} reaches"
    for release in reached.releases:
        if release in found.untold:
            why = f"may hold such items, and counts as reached: {found.untold[release]}"
        else:
            count = found.counts[release]
            people = counted(count.people, "people")
            why = f"{counted(count.items, 'items')} of the class, {people}"
            if count.unclear:
                more = counted(count.unclear, "more items" if count.items else "items")
                why += f"; {more} may be of the class, and count as reached"
        yield f"  release {release}: {why}"
    yield "to be destroyed:"
    yield from (f"  the platform's own copy of release {each}" for each in reached.releases)
    # One that was delivered twice is one line: which copies there are is the recipient's to say.
    copies = (f"  the copy of release {c.release} at {c.recipient}" for c in reached.copies)
    yield from dict.fromkeys(copies)
    yield from (f"  model {m.digest:.12} ({m.name}) of {m.owner}" for m in reached.models)
    if reached.rebuild:
        yield "to be made again, from what the order does not reach:"
    for each in reached.rebuild:
        of = [f"model {model.digest:.12}" for model in each.models]
        of += [f"release {release}" for release in each.releases]
        yield f"  model {each.model.digest:.12} from {', '.join(of)}"
    if reached.rebuild:
        yield f"  note: {disgorging.NOTE}"
    yield f"to be told: {', '.join(reached.notify) or 'nobody'}"
