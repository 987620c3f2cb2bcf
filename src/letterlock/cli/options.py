"""What several commands share: options, opening a workspace, reading a file, exit codes."""

from __future__ import annotations

import errno
import getpass
import json
import os
import secrets
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from letterlock import approval
from letterlock.cli import show
from letterlock.domain import ANY, BEGINNING, END, Signature, Time, time_of
from letterlock.errors import InputError, UsageError
from letterlock.gate import Gate, Loaded
from letterlock.policy.places import expand
from letterlock.reports.class_query import ClassQuery, Way
from letterlock.store.keys import passphrase_from_environment

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
Signatures = Annotated[
    list[Path] | None,
    typer.Option("--signature", help="An operator's signature; two are needed (repeatable)."),
]
Operator = Annotated[str, typer.Option("--operator", help="Who signs.")]
KeyFile = Annotated[Path, typer.Option("--key-file", help="The operator's secret key.")]
DataClass = Annotated[str, typer.Option("--data-class", "--class", help="The data class, or x.*")]
Contracts = Annotated[
    list[str] | None,
    typer.Option("--contract", help="Who had this contract when it was made (repeatable)."),
]
Regions = Annotated[
    list[str] | None,
    typer.Option("--region", help="Who lived there then, or does now (repeatable)."),
]
MadeFrom = Annotated[str | None, typer.Option("--from", help="Made from then on.")]
MadeBefore = Annotated[str | None, typer.Option("--before", help="Made before then.")]
ToWhom = Annotated[
    list[str] | None,
    typer.Option("--recipient", "-r", help="To whom: an id or a class of them (repeatable)."),
]
DisclosedBefore = Annotated[
    str | None, typer.Option("--disclosed-before", help="Only what was sealed before then.")
]
HERE = Path()


def moment(text: str | None) -> Time | None:
    """Read a time that may be left out. Raises InputError."""
    return None if text is None else time_of(text)


def class_of(  # noqa: PLR0917 - the options that two commands share
    data_class: str,
    contracts: Sequence[str] | None,
    regions: Sequence[str] | None,
    made_from: str | None,
    made_before: str | None,
    ways: tuple[Way, ...],
    recipients: Sequence[str] | None,
    disclosed_before: str | None,
) -> ClassQuery:
    """Read the class that an exposure or an order is about; what is left out is any.

    Raises InputError for what is no time, UsageError for a period that ends before it begins.
    """
    query = ClassQuery(
        data_class,
        tuple(contracts or (ANY,)),
        tuple(expand(regions)) if regions else (ANY,),
        BEGINNING if made_from is None else time_of(made_from),
        END if made_before is None else time_of(made_before),
        ways,
        tuple(recipients or (ANY,)),
        END if disclosed_before is None else time_of(disclosed_before),
    )
    if query.made_before <= query.made_from:
        raise UsageError(f"from {made_from} to {made_before} is no period")
    return query


def gate_of(workspace: Path, now: str | None = None) -> Gate:
    """Open a workspace, at a clock if one is set; its passphrase is asked for if it is needed."""
    return Gate(workspace, now=moment(now), passphrase=passphrase)


def passphrase() -> str:
    """Return the passphrase of the keys: the environment's, or one typed at the terminal.

    Raises UsageError, saying what to set, where there is neither.
    """
    said = passphrase_from_environment()
    if said is not None:
        return said
    if not sys.stdin.isatty():
        raise UsageError(
            "the keys are sealed with a passphrase, and there is no terminal to ask for it: set "
            "LETTERLOCK_PASSPHRASE_FILE to a file with it, or LETTERLOCK_PASSPHRASE to itself"
        )
    return getpass.getpass("passphrase of the workspace's keys: ")


def new_passphrase() -> str:
    """Return a passphrase to seal keys with, typed twice at a terminal. Raises UsageError."""
    typed = passphrase_from_environment() is None
    said = passphrase()
    if not said:
        raise UsageError("an empty passphrase protects nothing")
    if typed and getpass.getpass("once more: ") != said:
        raise UsageError("the two passphrases differ: nothing was made")
    return said


def key_of(path: Path) -> bytes:
    """Read an operator's key: 64 hexadecimal digits. Raises InputError."""
    try:
        key = bytes.fromhex(content_of(path).decode().strip())
    except ValueError:
        key = b""
    if len(key) != approval.KEY_SIZE:
        raise InputError(f"{path}: an operator's key is 64 hexadecimal digits")
    return key


def new_key(path: Path) -> bytes:
    """Return the key in `path`, which is made if it is not there, for its owner's eyes only."""
    if not path.exists():
        seed = secrets.token_bytes(approval.KEY_SIZE)
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise InputError(f"{path}: no key could be made there: {error.strerror}") from error
        with os.fdopen(made, "w") as file:
            file.write(seed.hex() + "\n")
    return key_of(path)


def signatures_of(paths: Iterable[Path]) -> list[Signature]:
    """Read signatures, as `approve` and `policy sign` write them. Raises InputError."""
    found = []
    for path in paths:
        try:
            signature = Signature(**json.loads(content_of(path)))
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(f"{path}: not a signature") from error
        if not (isinstance(signature.operator, str) and isinstance(signature.signature, str)):
            raise InputError(f"{path}: not a signature")
        found.append(signature)
    return found


def content_of(path: Path) -> bytes:
    """Read a file. Raises InputError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def new_path(path: Path | None) -> Path | None:
    """Return where a new file is to be, if one can be made there, before anything is done for it.

    Raises InputError.
    """
    if path is None:
        return None
    if os.path.lexists(path):
        raise InputError(f"{path}: cannot be written: {os.strerror(errno.EEXIST)}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: cannot be written: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot be written: {os.strerror(errno.EACCES)}")
    return path


def new_file(data: bytes, path: Path | None, *, quiet: bool = False) -> None:
    """Write a new file, all of it or nothing; print it, if no path is given. Raises InputError.

    `quiet`: do not say that it was written, for what is printed is for programs.
    """
    if path is None:
        show.OUT.print(data.decode(), end="", markup=False, soft_wrap=True)
        return
    try:
        file = path.open("xb")
        try:
            with file:
                file.write(data)
        except BaseException:  # half a file is none
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
    if not quiet:
        show.OUT.print(f"wrote {path}", markup=False)


def finish(found: Loaded, what: str, *, as_json: bool) -> None:
    """Print what was loaded; exit 3 if a row was refused."""
    show.loaded(what, found, quiet=as_json)
    raise typer.Exit(NO if found.refused else 0)
