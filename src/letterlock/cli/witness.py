"""`letterlock witness …`: what an auditor, a regulator or a works council runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.options import new_passphrase, passphrase
from letterlock.errors import UsageError
from letterlock.record.note import Verifier, parse_vkey
from letterlock.record.witness import Witness, by_origin
from letterlock.store import witnesses

app = typer.Typer(
    no_args_is_help=True, help="See to it that a log shows everybody the same, and only grows."
)

Folder = Annotated[
    Path, typer.Argument(help="The witness's own folder: its keys, and what it cosigned.")
]


@app.command()
def serve(
    folder: Folder,
    *,
    log: Annotated[
        list[str],
        typer.Option(help="A log's key (its vkey); a checkpoint needs one of them (repeatable)."),
    ],
    name: Annotated[
        str, typer.Option(help="The witness's name, such as auditor.example/w1; kept in its key.")
    ] = "",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port; 0 takes any that is free.")
    ] = 8044,
    host: Annotated[
        str, typer.Option(help="The address to listen at; 0.0.0.0 listens at all.")
    ] = "127.0.0.1",
    url: Annotated[
        str, typer.Option(help="Where logs reach it, for the policy (default: host and port).")
    ] = "",
) -> None:
    """Cosign checkpoints until Ctrl-C; makes FOLDER and its keys if they are not there."""
    from letterlock.web import serving  # noqa: PLC0415 - no other command waits for it
    from letterlock.web import witness as web  # noqa: PLC0415 - as above

    logs = by_origin(map(parse_vkey, log))
    if url:
        witnesses.HttpWitness(url)  # what no log could ask is not put into a policy
    with serving.listen(host, port) as taken:
        if not (found := _verifiers_in(folder)):
            if not name:
                raise UsageError(f"there is no witness in {folder} yet: name it with --name")
            witnesses.make_keys(folder, name, new_passphrase)
            found = _verifiers_in(folder)
        if name not in {"", found[0].name}:
            raise UsageError(f"the witness in {folder} is {found[0].name}, not {name}")
        witness = Witness(witnesses.signers_in(folder, passphrase), logs)
        typer.echo("\n".join(_for_policy(found, url or serving.url_of(taken))))
        show.ERR.print(
            f"{found[0].name} cosigns for {', '.join(logs)} at {serving.url_of(taken)}, "
            "until Ctrl-C",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        serving.serve(web.app(witness, witnesses.FolderState(folder)), taken)


@app.command()
def key(folder: Folder) -> None:
    """Print the witness's public keys: Ed25519, then ML-DSA-44."""
    found = _verifiers_in(folder)
    if not found:
        raise UsageError(f"there is no witness in {folder} yet: letterlock witness serve makes it")
    for each in found:
        typer.echo(each.vkey)


def _verifiers_in(folder: Path) -> tuple[Verifier, ...]:
    """Return a witness's public keys. Raises UsageError for a workspace, whose keys are a log's."""
    if (folder / "letterlock.toml").exists():
        raise UsageError(f"{folder} is a workspace: a witness has a folder and keys of its own")
    return witnesses.verifiers_in(folder)


def _for_policy(keys: tuple[Verifier, ...], url: str) -> list[str]:
    """Return the lines of a policy that name this witness; its group has the witness's name."""
    named = [(f"{each.name}:{each.kind:02}", each.vkey) for each in keys]
    members = " ".join(each for each, _ in named)
    return [
        *(f"witness {each} {vkey} {url}" for each, vkey in named),
        f"group {keys[0].name} any {members}",
    ]
