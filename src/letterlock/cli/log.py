"""`letterlock log …`: the public log, integrated, published, checked, served."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from letterlock.cli import show
from letterlock.cli.options import HERE, Json, Now, Workspace, gate_of, new_file, new_path
from letterlock.record.quorum import Trusted

app = typer.Typer(no_args_is_help=True, help="The public log of what was recorded.")

Out = Annotated[
    Path | None, typer.Option("--out", callback=new_path, help="A new file to write it to.")
]


@app.command()
def status(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """Say how far the log is, and who has seen it."""
    found = gate_of(workspace, now).log_status()
    if as_json:
        show.as_json(found.record())
        return
    show.OUT.print(f"log {found.origin}", markup=False)
    show.OUT.print(f"  {found.recorded:,} events are recorded, {found.integrated:,} of them signed")
    if found.published is None:
        show.OUT.print("  nothing is published yet: letterlock log checkpoint")
    elif found.trusted is None:
        show.OUT.print(f"  {found.published.size:,} entries are published", markup=False)
        show.OUT.print(f"  log.policy does not accept that: {found.why}", markup=False)
    else:
        _seen(found.trusted)


@app.command()
def checkpoint(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """Sign what was recorded since, have it witnessed, and publish it in log/."""
    gate = gate_of(workspace, now)
    with show.progress(quiet=as_json) as progress:
        found = gate.publish_log(progress)
    if as_json:
        show.as_json({**gate.log_status().record(), "missed": dict(found.missed)})
        return
    show.OUT.print(f"published {gate.folder / 'log' / 'checkpoint'}", markup=False)
    _seen(found.trusted)
    for address, why in found.missed.items():
        show.OUT.print(f"  not seen by {address}: {why}", markup=False)


def _seen(trusted: Trusted) -> None:
    size = trusted.checkpoint.size
    show.OUT.print(f"  {size:,} entries are published, root {trusted.checkpoint.root.hex()}")
    names = ", ".join(name for name, _ in trusted.witnesses)
    seen = f"seen by {names}" if names else "seen by no witness: log.policy asks for none"
    show.OUT.print(f"  {seen}", markup=False)


@app.command()
def fsck(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """Check every file of the published log, and each entry against the ledger."""
    gate = gate_of(workspace, now)
    with show.progress(quiet=as_json) as progress:
        found = gate.check_log(progress)
    if as_json:
        show.as_json({"origin": found.origin, "size": found.size, "root": found.root.hex()})
        return
    show.OUT.print(f"the log holds: {found.size:,} entries, each the ledger's event", style="bold")
    show.OUT.print(f"  root {found.root.hex()}")


@app.command()
def prove(
    index: Annotated[int, typer.Argument(min=0, help="The entry, which is the event's index.")],
    *,
    out: Out = None,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Prove that an entry is in the published log (a .tlog-proof file)."""
    new_file(gate_of(workspace, now).prove_entry(index), out)


@app.command()
def policy(*, workspace: Workspace = HERE, now: Now = None) -> None:
    """Print whose signatures make a checkpoint of this log one to rely on (log.policy)."""
    show.OUT.print(gate_of(workspace, now).trust().encode().decode(), end="", markup=False)


@app.command("seal-grants")
def seal_grants(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """Seal the marks of all grants so far, so that whoever gave none can prove it."""
    gate = gate_of(workspace, now)
    with show.progress(quiet=as_json) as progress:
        index = gate.seal_grants(progress)
    if as_json:
        show.as_json({"event": index})
    else:
        show.OUT.print(f"sealed as event {index}; publish it: letterlock log checkpoint")


@app.command("serve")
def serve_log(
    *,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any that is free.")] = 8080,
    workspace: Workspace = HERE,
) -> None:
    """Serve the log's files until Ctrl-C; any other web server may do the same with log/."""
    from letterlock.web.log import serve  # noqa: PLC0415 - no other command waits for it

    def ready(url: str) -> None:
        show.ERR.print(f"the log is at {url}, until Ctrl-C", markup=False, highlight=False)

    serve(gate_of(workspace).folder / "log", host, port, ready)
