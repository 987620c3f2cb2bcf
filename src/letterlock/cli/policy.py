"""`letterlock policy …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.options import HERE, NO, Json, Now, Workspace, content_of, gate_of
from letterlock.policy.document import check as check_document

app = typer.Typer(no_args_is_help=True, help="Check and publish a policy.")


@app.command("check")
def policy_check(
    file: Annotated[Path, typer.Argument(help="policy.toml")], *, as_json: Json = False
) -> None:
    """Find what is wrong with a policy: file, line, and how to mend it."""
    _, findings = check_document(content_of(file), str(file))
    if as_json:
        show.as_json({"findings": [vars_of(f) for f in findings]})
    else:
        for finding in findings:
            show.OUT.print(str(finding), markup=False)
        found = f"{len(findings)} findings" if findings else "good"
        show.OUT.print(f"{file}: {found}", markup=False)
    raise typer.Exit(NO if findings else 0)


def vars_of(finding: object) -> dict[str, object]:
    """Return the fields of a finding."""
    return {name: getattr(finding, name) for name in finding.__slots__}  # type: ignore[attr-defined]


@app.command("publish")
def policy_publish(
    file: Annotated[Path, typer.Argument(help="policy.toml")],
    *,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Publish a policy version, with the recipients, regions and contracts it brings."""
    version = gate_of(workspace, now).publish(content_of(file), str(file))
    show.OUT.print(f"published policy {version}", markup=False)


@app.command("text")
def policy_text(
    setting: Annotated[str, typer.Argument(help="The setting's id.")],
    *,
    language: Annotated[str, typer.Option(help="Which language.")] = "en",
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Print the text a member is to be shown, and its hash, which every grant has to carry."""
    gate = gate_of(workspace, now)
    text, digest = gate.text(setting, language), gate.text_hash(setting, language)
    if as_json:
        show.as_json({"setting": setting, "language": language, "text": text, "sha256": digest})
        return
    show.OUT.print(text, markup=False)
    show.OUT.print(f"sha256 {digest}", markup=False)
