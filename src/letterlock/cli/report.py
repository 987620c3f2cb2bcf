"""`letterlock report …`: what the registry can say, for people and for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.options import HERE, Json, Now, Workspace, gate_of, new_file, new_path
from letterlock.domain import time_of
from letterlock.reports import regulator as regulators
from letterlock.reports.form import Form

app = typer.Typer(no_args_is_help=True, help="Reports, made from what is recorded and no more.")

Model = Annotated[str, typer.Argument(help="Its digest, the beginning of it, or its name.")]
Out = Annotated[
    Path | None,
    typer.Option("--out", callback=new_path, help="Write to this new file (default: print)."),
]


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


@app.command()
def ropa(
    *, out: Out = None, workspace: Workspace = HERE, now: Now = None, as_json: Json = False
) -> None:
    """Make the record of processing activities (GDPR Art. 30)."""
    _give(gate_of(workspace, now).record_of_processing(), out, as_json=as_json)


@app.command("ai-act")
def ai_act(
    model: Model,
    *,
    out: Out = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Make a model's public summary of training content (AI Act Art. 53(1)(d))."""
    _give(gate_of(workspace, now).training_summary(model), out, as_json=as_json)


@app.command("ab2013")
def ab_2013(
    model: Model,
    *,
    out: Out = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Make a model's training data documentation (California AB 2013)."""
    _give(gate_of(workspace, now).training_documentation(model), out, as_json=as_json)


@app.command()
def regulator(
    region: Annotated[str, typer.Argument(help="A place (ISO 3166), or EU, EEA or UK.")],
    *,
    start: Annotated[str, typer.Option("--from", help="From when on (ISO 8601).")],
    end: Annotated[str, typer.Option("--to", help="Until when, without it.")],
    out: Out = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Make the export for a regulator: a region, a period, and the log's proofs (--json)."""
    record = gate_of(workspace, now).regulator_export(region, time_of(start), time_of(end))
    new_file((show.json_of(record) if as_json else regulators.page(record)).encode(), out)


def _give(form: Form, out: Path | None, *, as_json: bool) -> None:
    """Give a form: Markdown for people, JSON for programs, both from one record."""
    new_file((show.json_of(form.record()) if as_json else form.page()).encode(), out)
