"""`letterlock drops …`, `supersede` and `apply-drops`: who goes out of what was handed over."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.handover import Inboxed
from letterlock.cli.log import Out
from letterlock.cli.options import (
    HERE,
    Json,
    Now,
    Workspace,
    content_of,
    gate_of,
    moment,
    new_file,
    passphrase,
)
from letterlock.domain import counted, text_of
from letterlock.inbox import Inbox
from letterlock.inbox.drops import apply_drops as apply

app = typer.Typer(
    no_args_is_help=True, help="Drop lists: who has to go out of what was handed over."
)

Release = Annotated[str, typer.Argument(help="The release's id.", show_default=False)]


@app.command("publish")
def drops_publish(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """Judge what was handed over as of now, list whom to drop, publish log and lists."""
    gate = gate_of(workspace, now)
    with show.progress(quiet=as_json) as report:
        heads = gate.publish_drops(report)
    if as_json:
        listed = [
            {
                "release": head.release,
                "number": head.number,
                "list": head.digest,
                "as_of": text_of(head.as_of * 1_000_000),
                "recalled": head.recalled,
            }
            for head in heads
        ]
        show.as_json({"heads": listed})
        return
    if not heads:
        show.OUT.print("no release was handed over")
    for head in heads:
        newest = f"drop list {head.number}" if head.number else "nobody to drop"
        state = ", recalled" if head.recalled else ""
        show.OUT.print(f"release {head.release}: {newest}{state}", markup=False)


@app.command("list")
def drops_list(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """List each release that was handed over, and its newest drop list."""
    gate = gate_of(workspace, now)
    found, waiting = gate.drops(), gate.unjudged()
    if as_json:
        listed = [
            {
                "release": release.id,
                "number": newest.number if newest else 0,
                "list": newest.digest if newest else "",
                "dropped": newest.dropped if newest else 0,
                "superseded_to": release.current.number,
                "published": text_of(newest.time) if newest else None,
            }
            for release, newest in found
        ]
        show.as_json({"releases": listed, "unjudged": waiting and waiting.record()})
        return
    if not found:
        show.OUT.print("no release was handed over")
    for release, newest in found:
        said = "nobody to drop"
        if newest is not None:
            people = counted(newest.dropped, "people")
            said = (
                f"drop list {newest.number} of {text_of(newest.time)}, {people} dropped; "
                f"here at version {release.current.number}"
            )
        show.OUT.print(f"release {release.id}: {said}", markup=False, soft_wrap=True)
    if waiting is not None:
        show.OUT.print(waiting.told(), markup=False, soft_wrap=True)


def supersede(
    release: Release, *, workspace: Workspace = HERE, now: Now = None, as_json: Json = False
) -> None:
    """Put in a release's place what its newest drop list leaves of it."""
    found = gate_of(workspace, now).supersede(release)
    if as_json:
        show.as_json(found.record)
        return
    said = found.record["supersedes"]
    show.OUT.print(f"superseded release {found.release}: version {found.version}", markup=False)
    show.OUT.print(f"  people dropped: {said['dropped']:,}; rows dropped: {said['rows']:,}")
    _left(found.record["counts"]["released"], found.record["members"])


def apply_drops(
    release: Release,
    *,
    inbox: Inboxed,
    feed: Annotated[
        str, typer.Option("--feed", help="Folder or URL of its drop lists (default: the grant's).")
    ] = "",
    policy: Annotated[
        Path | None, typer.Option(help="Whose signatures you rely on (default: as received).")
    ] = None,
    out: Out = None,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Drop from the copy here whom its newest drop list names, and countersign what is left."""
    opened = Inbox(inbox, now=moment(now), passphrase=passphrase)
    trusted = None if policy is None else content_of(policy)
    found = apply(opened, release, feed, policy=trusted)
    if as_json:
        if out is not None:
            new_file(found.inventory, out, quiet=True)
        show.as_json(
            {
                "release": release,
                "applied": found.version > found.before,
                "number": found.version,
                "people": found.people,
                "rows": found.rows,
                "inventory": found.inventory.decode(),
            }
        )
        return
    if out is not None:
        done = "applied" if found.version > found.before else "already at"
        show.OUT.print(f"{done} drop list {found.version} of release {release}", markup=False)
        _left(found.rows, found.people)
    new_file(found.inventory, out)


def _left(rows: int, people: int) -> None:
    said = f"{counted(rows, 'rows')}, of {counted(people, 'people')}"
    show.OUT.print(f"  left: {said}")
