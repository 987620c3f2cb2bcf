"""`letterlock …`: exit 0 yes, 1 error, 2 usage, 3 no."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from letterlock import __version__, approval
from letterlock.cli import replay as replay_screen
from letterlock.cli import show
from letterlock.cli.contracts import app as contract_app
from letterlock.cli.drops import app as drops_app
from letterlock.cli.drops import apply_drops, supersede
from letterlock.cli.duties import model_app, obligations_app
from letterlock.cli.handover import (
    acknowledge,
    deliver,
    inventory,
    receive,
    recipient_app,
    release_app,
)
from letterlock.cli.hold import app as hold_app
from letterlock.cli.keys import app as key_app
from letterlock.cli.keys import erase
from letterlock.cli.lineage import disgorge, lineage
from letterlock.cli.log import app as log_app
from letterlock.cli.notice import app as notice_app
from letterlock.cli.operators import approve, declare
from letterlock.cli.options import (
    HERE,
    NO,
    AsOf,
    Json,
    Now,
    Purpose,
    Sources,
    To,
    Workspace,
    content_of,
    gate_of,
    moment,
    new_key,
    new_passphrase,
)
from letterlock.cli.people import app as register_app
from letterlock.cli.people import choose, export
from letterlock.cli.policy import app as policy_app
from letterlock.cli.prove import app as prove_app
from letterlock.cli.prove import statement
from letterlock.cli.report import app as report_app
from letterlock.cli.trace import exposure, trace
from letterlock.cli.witness import app as witness_app
from letterlock.domain import counted
from letterlock.errors import (
    GateClosed,
    LedgerError,
    LetterlockError,
    ProofError,
    SignatureError,
    StaleDrops,
    UsageError,
    VerificationError,
)
from letterlock.evidence import page
from letterlock.gate import Gate
from letterlock.gate.offline import check_evidence, check_statement
from letterlock.gate.policies import publishable, to_sign
from letterlock.release.verify import verify as verify_release
from letterlock.replay import replay as replay_case
from letterlock.replay.world import FEWEST
from letterlock.sources.folder import policy_files
from letterlock.sources.mapping import read_mapping
from letterlock.sources.records import rows

INTERRUPTED = 130

app = typer.Typer(
    name="letterlock",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train AI on people's messages only with everyone's yes, and let anyone check.",
)
source_app = typer.Typer(no_args_is_help=True, help="Register where items come from.")
app.add_typer(source_app, name="source")
app.add_typer(register_app, name="register")
app.add_typer(policy_app, name="policy")
app.add_typer(hold_app, name="hold")
app.add_typer(notice_app, name="notice")
app.add_typer(contract_app, name="contract")
app.add_typer(log_app, name="log")
app.add_typer(prove_app, name="prove")
app.add_typer(key_app, name="key")
app.add_typer(witness_app, name="witness")
app.add_typer(drops_app, name="drops")
app.add_typer(obligations_app, name="obligations")
app.add_typer(model_app, name="model")
app.add_typer(release_app, name="release")
app.add_typer(recipient_app, name="recipient")
app.add_typer(report_app, name="report")


def _version(*, asked: bool) -> None:
    if asked:
        show.OUT.print(f"letterlock {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    _: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take what is said before a command."""


@app.command()
def init(
    workspace: Annotated[Path, typer.Argument(help="The folder to make it in.")] = HERE,
    *,
    simulated: Annotated[
        bool, typer.Option(help="A workspace whose clock is set by --now, for trying things out.")
    ] = False,
    now: Now = None,
    origin: Annotated[
        str | None, typer.Option(help="The public log's name for ever: its address, no https://.")
    ] = None,
    ledger: Annotated[
        str | None,
        typer.Option(help="Keep the ledger in PostgreSQL: postgresql://USER@HOST/DATABASE."),
    ] = None,
    operator: Annotated[
        list[str] | None,
        typer.Option(help="Register an operator, ID=KEYFILE, who signs the policy too; twice."),
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Publish the policy in this folder.")] = None,
    subjects: Annotated[Path | None, typer.Option(help="Register these members.")] = None,
    choices: Annotated[Path | None, typer.Option(help="Load these choices.")] = None,
    source: Annotated[Path | None, typer.Option(help="Register this table or mailbox.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="The table's mapping.toml.")] = None,
    data_class: Annotated[str, typer.Option(help="The mailbox's data class.")] = "",
    not_sensitive: Annotated[
        bool, typer.Option(help="Declare that nothing in the mailbox is of a sensitive category.")
    ] = False,
) -> None:
    """Make a workspace; with the options, fill it in the same go."""
    clock = moment(now)
    gate = Gate.create(
        workspace,
        simulated=simulated,
        now=clock,
        origin=origin,
        ledger=ledger,
        passphrase=new_passphrase,
    )
    show.OUT.print(f"made the workspace {workspace.resolve()}", markup=False)
    if not simulated and origin is None:
        show.OUT.print(f"its log is named {gate.origin}: not one to rely on (--origin names one)")
    keys = _operators(gate, operator or ())
    if policy is not None:
        files = policy_files(policy)
        signed = to_sign(publishable(files, str(policy)))
        version = gate.publish(files, str(policy), approval.sign_all(keys, signed))
        show.OUT.print(f"published policy {version}", markup=False)
    if subjects is not None:
        show.loaded("members", gate.register_subjects(rows(subjects)), quiet=False)
        _introduce(gate)
    if choices is not None:
        show.loaded("choices", gate.load_choices(rows(choices)), quiet=False)
    if source is not None:
        _add(gate, source.stem, source, mapping, data_class, None, not_sensitive, quiet=False)


def _operators(gate: Gate, pairs: Iterable[str]) -> dict[str, bytes]:
    """Register operators, each said as ID=KEYFILE; returns their keys."""
    keys = {}
    for pair in pairs:
        name, _, path = pair.partition("=")
        if not name or not path:
            raise UsageError(f"--operator {pair}: write ID=KEYFILE")
        keys[name] = new_key(Path(path))
        gate.register_operator(name, name, approval.public_key(keys[name]))
    return keys


def _introduce(gate: Gate) -> None:
    """Introduce the policy's settings, as members' sign-up notices describe them."""
    for each in gate.settings():
        try:
            gate.introduce(each.setting.id)
        except LedgerError as error:
            show.OUT.print(str(error), markup=False)
        else:
            show.OUT.print(f"introduced setting {each.setting.id}", markup=False)


@source_app.command("add")
def source_add(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    path: Annotated[Path, typer.Argument(help="A Parquet file or folder, an mbox or a maildir.")],
    *,
    mapping: Annotated[
        Path | None, typer.Option(help="For Parquet: mapping.toml, which column says what.")
    ] = None,
    data_class: Annotated[str, typer.Option(help="For mail: its data class.")] = "",
    lists: Annotated[
        Path | None, typer.Option(help="For mail: a file of list addresses, one per line.")
    ] = None,
    not_sensitive: Annotated[
        bool, typer.Option(help="For mail: declare that nothing is of a sensitive category.")
    ] = False,
    workspace: Workspace = HERE,
    as_json: Json = False,
) -> None:
    """Register a table in place, or convert a mailbox once."""
    _add(gate_of(workspace), name, path, mapping, data_class, lists, not_sensitive, quiet=as_json)


def _add(  # noqa: PLR0917 - the options of two commands
    gate: Gate,
    name: str,
    path: Path,
    mapping: Path | None,
    data_class: str,
    lists: Path | None,
    not_sensitive: bool,
    *,
    quiet: bool,
) -> None:
    with show.progress(quiet=quiet) as progress:
        if mapping is not None:
            read = read_mapping(content_of(mapping), str(mapping))
            found = gate.add_table(name, path, read, progress=progress)
            problems: list[str] = []
        elif not data_class:
            raise UsageError("say --mapping for a table, or --data-class for a mailbox")
        else:
            listed = content_of(lists).decode(errors="replace").split() if lists else []
            found, conversion = gate.add_mailbox(
                name,
                path,
                data_class=data_class,
                lists=frozenset(a.lower() for a in listed),
                sensitive=not not_sensitive,
                progress=progress,
            )
            problems = [str(problem) for problem in conversion.problems]
    if quiet:
        show.as_json({"source": name, "items": found.rows, "problems": problems})
        return
    show.OUT.print(f"source {name}: {counted(found.rows, 'items')}")
    for problem in problems[:10]:
        show.OUT.print(f"  {problem}", markup=False)
    if len(problems) > 10:  # noqa: PLR2004
        show.OUT.print(f"  … and {len(problems) - 10:,} more (--json lists all)")


app.command()(choose)
app.command()(export)
app.command()(erase)
app.command()(approve)
app.command()(declare)
app.command()(statement)
app.command()(lineage)
app.command()(disgorge)
app.command()(deliver)
app.command()(acknowledge)
app.command()(receive)
app.command()(inventory)
app.command()(supersede)
app.command()(apply_drops)
app.command()(exposure)
app.command()(trace)


@app.command()
def plan(
    purpose: Purpose,
    recipient: To,
    *,
    source: Sources = None,
    as_of: AsOf = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Say how many would go and how many would stay, by reason. Writes nothing."""
    gate = gate_of(workspace, now)
    with show.progress(quiet=as_json) as progress:
        found = gate.plan(
            purpose,
            recipient,
            as_of=moment(as_of),
            names=source or (),
            progress=progress,
        )
    if as_json:
        show.as_json(show.outcome_record(found))
    else:
        show.outcome(found)


@app.command()
def build(
    purpose: Purpose,
    recipient: To,
    *,
    source: Sources = None,
    as_of: AsOf = None,
    threads: Annotated[
        int, typer.Option(min=1, max=256, help="The result does not depend on it.")
    ] = 2,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Build and seal a release of everything in which everyone said yes."""
    gate = gate_of(workspace, now)
    with show.progress(quiet=as_json) as progress:
        built = gate.build(
            purpose,
            recipient,
            as_of=moment(as_of),
            names=source or (),
            threads=threads,
            progress=progress,
        )
    if as_json:
        show.as_json({"folder": str(built.folder), "manifest": built.record})
        return
    counts = built.record["counts"]
    show.OUT.print(f"sealed release {built.release} in {built.folder}", markup=False)
    show.outcome(gate.outcome_of(built), done=True)
    members = built.record["members"]
    are = "is" if members == 1 else "are"
    show.OUT.print(f"{counted(members, 'people')} {are} in it, each of whom said yes")
    show.OUT.print(f"check it: letterlock verify {built.folder}", markup=False)
    if not counts["released"]:
        show.OUT.print("nothing may go: letterlock explain ITEM says why, item by item")


@app.command()
def explain(
    item: Annotated[str, typer.Argument(help="The item's id.")],
    purpose: Purpose,
    recipient: To,
    *,
    as_of: AsOf = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Say of one item: each party, each clause, and the one that decides."""
    found = gate_of(workspace, now).explain(item, purpose, recipient, as_of=moment(as_of))
    if as_json:
        show.as_json({"items": [show.decision_record(*each) for each in found]})
    else:
        for each in found:
            show.decision(*each)
    raise typer.Exit(0 if all(decision.allowed for _, _, decision in found) else NO)


@app.command()
def verify(
    what: Annotated[list[Path], typer.Argument(help="A release's folder, or evidence files.")],
    *,
    policy: Annotated[
        Path | None,
        typer.Option(help="Whose signatures you rely on (C2SP tlog-policy); evidence needs it."),
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="For a statement: a copy of the log's folder.")
    ] = None,
    release: Annotated[
        Path | None, typer.Option(help="For evidence of a release: the release's folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check evidence by a policy, or a release's files by its manifest; asks nobody."""
    if len(what) == 1 and (what[0].is_dir() or (policy is None and not what[0].is_file())):
        _verify_release(what[0], policy, as_json=as_json)
        return
    if policy is None:
        raise UsageError(
            "evidence is checked by a policy, which says whose signatures you rely on: --policy"
        )
    found = check_evidence(what, policy, log=log, release=release)
    if as_json:
        show.as_json({"verified": True, "findings": [each.record() for each in found]})
        return
    show.OUT.print("\n".join(page.text(each) for each in found), end="", markup=False)


def _verify_release(release: Path, policy: Path | None, *, as_json: bool) -> None:
    found = verify_release(release)
    attested = check_statement(release, policy)
    if as_json:
        record = {"release": found.release, "verified": True, "manifest": found.record}
        show.as_json(record | ({} if attested is None else {"statement": attested.record()}))
        return
    show.OUT.print(f"release {found.release} holds", style="bold", markup=False)
    show.OUT.print(f"  {found.files} files have the hashes of the manifest")
    named = counted(found.members, "people")
    show.OUT.print(f"  rows: {found.rows:,}; they name {named}, all of them in the table")
    if found.withheld_checked:
        show.OUT.print("  the withheld table (private) agrees with the manifest's counts")
    if attested is not None:
        show.attested(attested)
    show.OUT.print("  not shown by this: that it is the release which the log has: prove release")


@app.command()
def check(
    table: Annotated[Path, typer.Argument(help="An existing export (Parquet).")],
    mapping: Annotated[Path, typer.Option(help="Which column says what.")],
    purpose: Purpose,
    recipient: To,
    *,
    as_of: AsOf = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Judge an existing export, and say what should not be in it (shadow mode)."""
    found = gate_of(workspace, now).check(
        table,
        read_mapping(content_of(mapping), str(mapping)),
        purpose,
        recipient,
        as_of=moment(as_of),
    )
    if as_json:
        keys = ("row", "item", "reason", "role")
        denied = [dict(zip(keys, each, strict=True)) for each in found.denied]
        show.as_json({**show.outcome_record(found.outcome), "denied": denied})
    else:
        show.checked(found)
    raise typer.Exit(NO if found.denied else 0)


@app.command()
def replay(
    example: Annotated[Path, typer.Argument(help="A folder with a policy and world.toml.")],
    *,
    out: Annotated[
        Path, typer.Option("--out", help="A new folder, or one that an earlier replay made.")
    ],
    members: Annotated[
        int | None, typer.Option(min=FEWEST, help="How many members (default: as in world.toml).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Act out the case on a made-up network: as the complaint alleges it, and through the gate."""
    with show.progress(quiet=as_json) as progress:
        result = replay_case(example, out, progress, members=members)
    if as_json:
        show.as_json(result.record())
    else:
        replay_screen.screen(result)


class _Interrupted(BaseException):
    """Somebody pressed Ctrl-C: every `finally` runs, and nothing is left half-done.

    No Exception: SQLAlchemy would wrap that in an error of a statement, and others swallow it.
    """


def _interrupt(_signal: int, _frame: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not cut the clearing short
    raise _Interrupted


def _interrupt_again(lost: sys.UnraisableHookArgs) -> None:
    """Interrupt anew if the interrupt fell into a destructor, which swallows whatever is raised."""
    if isinstance(lost.exc_value, _Interrupted):
        signal.signal(signal.SIGINT, _interrupt)
        # From beside, and a moment later: what is raised in here is swallowed, too.
        thread = threading.main_thread().ident
        threading.Timer(0.01, signal.pthread_kill, [thread, signal.SIGINT]).start()
    else:
        sys.__unraisablehook__(lost)


def main() -> None:
    """Run the command line; every foreseen failure is one line on stderr."""
    signal.signal(signal.SIGINT, _interrupt)
    before, sys.unraisablehook = sys.unraisablehook, _interrupt_again
    # SQLAlchemy shows the traceback of an interrupt that falls into its closing of a connection.
    logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())
    try:
        try:
            app(prog_name="letterlock")
        finally:  # it is over: a late Ctrl-C must not turn what was done into a failure
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            sys.unraisablehook = before
    except _Interrupted:
        show.ERR.print("interrupted: nothing was left half-done")
        sys.exit(INTERRUPTED)
    except (GateClosed, ProofError, SignatureError, StaleDrops, VerificationError) as error:
        show.ERR.print(f"no: {error}", markup=False)
        sys.exit(NO)
    except UsageError as error:
        show.ERR.print(f"usage: {error}", markup=False)
        sys.exit(2)
    except LetterlockError as error:
        show.ERR.print(f"error: {error}", markup=False)
        sys.exit(1)
