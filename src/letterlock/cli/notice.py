"""`letterlock notice …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.options import HERE, File, Json, Now, Workspace, finish, gate_of
from letterlock.domain import counted
from letterlock.sources.records import rows

app = typer.Typer(
    no_args_is_help=True, help="Notices of a policy version: send, record, and object."
)

Version = Annotated[str, typer.Argument(help="A published version.")]


@app.command("export")
def notice_export(
    version: Version,
    *,
    out: Annotated[Path, typer.Option("--out", help="A new or empty folder to write to.")],
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Write whom to send a version's notice to, and the text to send in each language."""
    found = gate_of(workspace, now).export_notices(version, out)
    if as_json:
        show.as_json(
            {
                "folder": str(found.folder),
                "version": found.version,
                "members": found.members,
                "texts": dict(found.texts),
            }
        )
        return
    are = "is" if found.members == 1 else "are"
    whom = counted(found.members, "members")
    show.OUT.print(f"{whom} {are} to be sent version {version}", markup=False)
    for language, digest in sorted(found.texts.items()):
        show.OUT.print(f"  {out}/notice.{language}.txt  sha256 {digest}", markup=False)


@app.command("import")
def notice_import(
    file: File, *, workspace: Workspace = HERE, now: Now = None, as_json: Json = False
) -> None:
    """Record deliveries: subject, version, time, channel, message_id, text (hash), language."""
    finish(gate_of(workspace, now).import_notices(rows(file)), "deliveries", as_json=as_json)


@app.command("object")
def notice_object(
    subject: Annotated[str, typer.Argument(help="Who objects.")],
    version: Version,
    *,
    take_back: Annotated[bool, typer.Option(help="Take the objection back instead.")] = False,
    channel: Annotated[str, typer.Option(help="How it reached you.")] = "",
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Record that somebody objects to a version and all later ones: the one before stays."""
    gate = gate_of(workspace, now)
    if take_back:
        new = gate.take_objection_back(subject, version, channel=channel)
        said = "takes the objection back" if new else "does not object, so nothing was taken back"
    else:
        new = gate.object_to(subject, version, channel=channel)
        said = "objects" if new else "objects already, so nothing was recorded"
    show.OUT.print(f"{subject}, version {version}: {said}", markup=False)
