"""Handing a release over: `letterlock release|recipient|deliver|receive|inventory|acknowledge`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from letterlock.cli import show
from letterlock.cli.options import (
    HERE,
    Json,
    Now,
    Signatures,
    Workspace,
    content_of,
    gate_of,
    moment,
    new_file,
    new_passphrase,
    new_path,
    passphrase,
    signatures_of,
)
from letterlock.domain import counted, text_of
from letterlock.errors import ApprovalError, UsageError
from letterlock.gate.handover import EXPIRES, key_body
from letterlock.handover.card import parse as read_card
from letterlock.inbox import Inbox
from letterlock.inbox.models import unaccounted

release_app = typer.Typer(no_args_is_help=True, help="Approve a release, list or recall it.")
recipient_app = typer.Typer(no_args_is_help=True, help="Keys of those who receive releases.")

Inboxed = Annotated[
    Path, typer.Option("--inbox", "-i", envvar="LETTERLOCK_INBOX", help="The recipient's inbox.")
]
Release = Annotated[str, typer.Argument(help="The release's id.")]


# ── at the platform ─────────────────────────────────────────────────────────────────────────


@release_app.command("approve")
def approve_release(
    release: Release,
    *,
    terms: Annotated[
        Path | None, typer.Option(help="The text of the terms that it goes under; published.")
    ] = None,
    signature: Signatures = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Let a release go to its recipient, as it is now; two operators sign that."""
    gate = gate_of(workspace, now)
    said = content_of(terms) if terms is not None else b""
    if not said and gate.needs_terms(release):
        raise UsageError(
            f"release {release} goes to a third party: on which terms, says --terms FILE"
        )
    try:
        gate.approve_release(release, signatures_of(signature or ()), terms=said)
    except ApprovalError as error:
        if signature:
            raise
        raise _to_sign("release.approved", gate.approval_body(release, said), error) from error
    if as_json:
        show.as_json(gate.approval_body(release, said))
        return
    show.OUT.print(f"approved release {release}", markup=False)


def _to_sign(kind: str, body: Mapping[str, Any], error: ApprovalError) -> ApprovalError:
    """Say with which command operators sign it."""
    said = f"letterlock approve {kind} {shlex.quote(json.dumps(body))}"
    return ApprovalError(f"{error}, each with {said}")


@release_app.command("list")
def list_releases(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """List the sealed releases: for whom, at which version, approved, delivered, recalled."""
    found = gate_of(workspace, now).handed()
    if as_json:
        show.as_json(
            {
                "releases": [
                    {
                        "release": each.release.id,
                        "purpose": each.release.purpose,
                        "recipient": each.release.recipient,
                        "version": each.release.current.number,
                        "approved": each.approved,
                        "approval_needed": each.needed,
                        "grants": [d.grant for d in each.release.deliveries],
                        "recalled": each.release.recalled is not None,
                    }
                    for each in found
                ]
            }
        )
        return
    for each in found:
        release = each.release
        state = "approved" if each.approved else "not approved" if each.needed else "in-house"
        said = f"{release.id}  {release.purpose} for {release.recipient}"
        said += f"  version {release.current.number}  {state}"
        said += f"  {counted(len(release.deliveries), 'deliveries')}"
        said += "  recalled" if release.recalled is not None else ""
        show.OUT.print(said, markup=False, highlight=False, soft_wrap=True)


@release_app.command()
def recall(
    release: Release,
    *,
    order: Annotated[str, typer.Option(help="Why, in a few words; it is public.")],
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Recall a release: readers stop, and every copy is owed to be destroyed."""
    index = gate_of(workspace, now).recall(release, order)
    if as_json:
        show.as_json({"release": release, "order": order, "event": index})
        return
    show.OUT.print(f"recalled release {release} (event {index})", markup=False)
    show.OUT.print("tell its readers: letterlock drops publish")


@recipient_app.command("key")
def recipient_key(
    card: Annotated[Path, typer.Argument(help="The recipient's card.json.")],
    *,
    signature: Signatures = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Register the keys on a recipient's card; two operators sign that they are its own."""
    found = read_card(content_of(card))
    try:
        gate_of(workspace, now).register_recipient_key(found, signatures_of(signature or ()))
    except ApprovalError as error:
        if signature:
            raise
        raise _to_sign("recipient.keyed", key_body(found), error) from error
    if as_json:
        show.as_json(key_body(found))
        return
    show.OUT.print(f"registered the keys of {found.recipient}", markup=False)


def deliver(
    release: Release,
    *,
    out: Annotated[Path, typer.Option("--out", help="The folder for package and key letter.")],
    feed: Annotated[str, typer.Option(help="Where its drop lists will be (an address).")] = "",
    days: Annotated[
        int, typer.Option(min=1, max=366, help="How long the recipient has to take it in.")
    ] = EXPIRES,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Let a release go, once: the grant is public before the first byte is written."""
    gate = gate_of(workspace, now)
    with show.progress(quiet=as_json) as progress:
        made = gate.deliver(release, out, feed=feed, days=days, progress=progress)
    if as_json:
        show.as_json(
            {
                "grant": made.grant,
                "release": made.release,
                "recipient": made.recipient,
                "event": made.index,
                "package": str(made.package),
                "key": str(made.letter),
            }
        )
        return
    show.OUT.print(f"delivered release {made.release} to {made.recipient}", markup=False)
    show.OUT.print(f"  grant {made.grant}, public as entry {made.index}", markup=False)
    for path in (made.package, made.letter):
        show.OUT.print(f"  {path}", markup=False, soft_wrap=True)
    show.OUT.print("  nobody here can open the package again; send both files, each by its way")


def acknowledge(
    file: Annotated[Path, typer.Argument(help="The recipient's countersigned inventory.")],
    *,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Record a recipient's inventory, if it is what must be there; exit 3 if it is not."""
    said = gate_of(workspace, now).acknowledge(content_of(file))
    if as_json:
        show.as_json(
            {
                "release": said.release,
                "recipient": said.recipient,
                "grant": said.grant,
                "version": said.version,
                "destroyed": said.destroyed,
                "models": [each.record() for each in said.models],
                "destroyed_models": [each.record() for each in said.destroyed_models],
                "unaccounted": [
                    {
                        "purpose": each.purpose,
                        "reads": each.reads,
                        "first": text_of(each.first),
                        "last": text_of(each.last),
                    }
                    for each in said.unaccounted
                ],
            }
        )
        return
    left = "destroyed its copy" if said.destroyed else f"has version {said.version}"
    show.OUT.print(f"{said.recipient} {left} of release {said.release}", markup=False)
    for model in said.models:
        show.OUT.print(f"  model {model.name}: {model.model}", markup=False, soft_wrap=True)


# ── at the recipient ────────────────────────────────────────────────────────────────────────


@recipient_app.command("init")
def recipient_init(
    folder: Annotated[Path, typer.Argument(help="The folder to make it in.")],
    *,
    name: Annotated[str, typer.Option("--id", help="The recipient's id at the platform.")],
    simulated: Annotated[
        bool, typer.Option(help="For trying things out: keys in the clear, clock set by --now.")
    ] = False,
) -> None:
    """Make an inbox with keys of its own, and the card that the platform registers."""
    Inbox.create(folder, name, simulated=simulated, passphrase=new_passphrase)
    show.OUT.print(f"made the inbox {folder.resolve()}", markup=False, soft_wrap=True)
    show.OUT.print(f"send the platform {folder / 'card.json'}", markup=False, soft_wrap=True)


@recipient_app.command("rotate")
def recipient_rotate(*, inbox: Inboxed, now: Now = None) -> None:
    """Replace the keys of an inbox, lost ones too; the platform registers the new card."""
    Inbox(inbox, now=moment(now), passphrase=new_passphrase).rotate()
    show.OUT.print(f"the inbox {inbox.resolve()} has new keys", markup=False, soft_wrap=True)
    show.OUT.print(f"send the platform {inbox / 'card.json'}", markup=False, soft_wrap=True)
    show.OUT.print("until it has registered that, it takes no inventory signed from now on;")
    show.OUT.print("a package that was encrypted to the key before has to be delivered again")


def receive(
    package: Annotated[Path, typer.Argument(help="The package.", show_default=False)],
    key: Annotated[Path, typer.Argument(help="Its key letter.", show_default=False)],
    *,
    policy: Annotated[Path, typer.Option(help="Whose signatures you rely on (C2SP tlog-policy).")],
    inbox: Inboxed,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Take a release in, if all of it holds; nothing of it is kept if it does not."""
    found = _inbox(inbox, now).receive(package, key, content_of(policy))
    if as_json:
        said = {"release": found.grant.release, "grant": found.grant.grant}
        show.as_json({**said, "folder": str(found.folder), "manifest": found.verified.record})
        return
    granted = found.grant
    show.OUT.print(f"received release {granted.release} in {found.folder}", markup=False)
    show.OUT.print(f"  for {granted.purpose}, by grant {granted.grant}", markup=False)
    show.OUT.print(f"  rows: {found.verified.rows:,}; people: {found.verified.members:,}")
    show.OUT.print(f"  the log of {granted.origin} shows the grant, entry {granted.index}")
    show.OUT.print(f"  it was to be taken in by {text_of(granted.expires)}", markup=False)
    show.OUT.print(f"countersign it: letterlock inventory {granted.release}", markup=False)


def inventory(
    release: Release,
    *,
    inbox: Inboxed,
    out: Annotated[
        Path | None, typer.Option("--out", callback=new_path, help="A new file (default: print).")
    ] = None,
    destroyed: Annotated[
        bool, typer.Option("--destroyed", help="Destroy the copy here first, for good.")
    ] = False,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Countersign what is here of a release, recomputed from its files."""
    found = _inbox(inbox, now)
    if destroyed:
        found.destroy(release)
    signed, runs = found.inventory(release), unaccounted(found.path(release))
    if out is not None or not as_json:
        new_file(signed, out, quiet=as_json)
    if as_json:
        said = {"release": release, "inventory": signed.decode(), "unaccounted_runs": runs}
        show.as_json(said)
        return
    for run in runs:
        show.ERR.print(
            f"reads of run {run} are in no model that is registered: letterlock model register "
            f"--run {run}, if one came of them",
            markup=False,
        )


def _inbox(folder: Path, now: str | None) -> Inbox:
    return Inbox(folder, now=moment(now), passphrase=passphrase)
