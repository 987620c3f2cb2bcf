"""What several commands share: options, opening a workspace, reading a file, exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.domain import time_of
from letterlock.errors import InputError
from letterlock.gate import Gate, Loaded

NO = 3

Workspace = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="LETTERLOCK_WORKSPACE", help="The workspace folder."),
]
Now = Annotated[
    str | None, typer.Option("--now", help="The clock of a simulated workspace (ISO 8601).")
]
AsOf = Annotated[
    str | None, typer.Option("--as-of", help="Judge by what was recorded then (default: now).")
]
Purpose = Annotated[str, typer.Option("--purpose", "-p", help="What for, from the closed list.")]
To = Annotated[str, typer.Option("--recipient", "-r", help="A registered recipient.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Sources = Annotated[
    list[str] | None, typer.Option("--source", "-s", help="Only this source (repeatable).")
]
File = Annotated[Path, typer.Argument(help="A .parquet or .jsonl file.", show_default=False)]
HERE = Path()


def gate_of(workspace: Path, now: str | None = None) -> Gate:
    """Open a workspace, at a clock if one is set."""
    return Gate(workspace, now=None if now is None else time_of(now))


def content_of(path: Path) -> bytes:
    """Read a file. Raises InputError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def finish(found: Loaded, what: str, *, as_json: bool) -> None:
    """Print what was loaded; exit 3 if a row was refused."""
    show.loaded(what, found, quiet=as_json)
    raise typer.Exit(NO if found.refused else 0)
