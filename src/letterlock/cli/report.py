"""`letterlock report …`: what the registry can say, for people and for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.options import HERE, Json, Now, Workspace, gate_of

app = typer.Typer(no_args_is_help=True, help="Reports, made from what is recorded and no more.")


@app.command()
def sidecars(
    release: Annotated[str, typer.Argument(help="The release's id.")],
    *,
    out: Annotated[
        Path | None, typer.Option(help="Another folder (default: the release's sidecars/).")
    ] = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Write what goes along with a release: in-toto, Croissant and OpenLineage."""
    folder = gate_of(workspace, now).sidecars(release, out)
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    if as_json:
        show.as_json({"folder": str(folder), "files": names})
        return
    show.OUT.print(f"wrote {', '.join(names)} in {folder}", markup=False)
