"""`letterlock obligations …`, `letterlock model …`: what is owed, and what learned from what."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from letterlock.cli import show
from letterlock.cli.options import (
    HERE,
    NO,
    Json,
    Now,
    Signatures,
    Workspace,
    content_of,
    gate_of,
    moment,
    signatures_of,
)
from letterlock.domain import counted, text_of
from letterlock.errors import ApprovalError, InputError
from letterlock.evidence import strict
from letterlock.gate import Owed
from letterlock.gate.obligations import State, certificate_body, left_in
from letterlock.gate.workspace import wall_clock
from letterlock.inbox import models as inbox_models
from letterlock.lineage.certificate import Certificate
from letterlock.lineage.events import CERTIFIED
from letterlock.lineage.graph import Duty, Model, Source

obligations_app = typer.Typer(help="What is owed to people, until when, and what closes it.")
model_app = typer.Typer(no_args_is_help=True, help="Models: what each came of, and its end.")

Obligation = Annotated[str, typer.Argument(help="What it is called, such as O-12.")]
Digest = Annotated[str, typer.Argument(help="The model's digest; its beginning is enough.")]
Inbox = Annotated[
    Path | None, typer.Option("--inbox", "-i", help="At a recipient: the inbox's folder.")
]


# ── obligations ─────────────────────────────────────────────────────────────────────────────


@obligations_app.callback(invoke_without_command=True)
def obligations(
    context: typer.Context,
    *,
    is_open: Annotated[bool, typer.Option("--open", help="Only what is not met.")] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what is overdue.")] = False,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """List what is owed, first what is due first; exit 3 while something is overdue.

    So it is while what may be a no has waited 15 minutes for `letterlock drops publish`.
    """
    if context.invoked_subcommand is not None:
        return
    states: tuple[State, ...] = ("overdue",) if overdue else ("overdue", "open") if is_open else ()
    gate = gate_of(workspace, now)
    found, waiting = gate.obligations(states), gate.unjudged()
    late = waiting is not None and waiting.overdue
    if as_json:
        said = [each.record() for each in found]
        show.as_json({"obligations": said, "unjudged": waiting and waiting.record()})
    else:
        if waiting is not None and (waiting.overdue or not overdue):
            show.OUT.print(waiting.told(), markup=False, soft_wrap=True)
        if not found and waiting is None:
            show.OUT.print("nothing is owed" if not states else f"nothing is {states[-1]}")
        for each in found:
            show.OUT.print(_line(each), markup=False)
    raise typer.Exit(NO if late or gate.obligations(["overdue"]) else 0)


def _line(owed: Owed) -> str:
    duty = owed.duty
    how = "met late" if owed.late else "met"
    when = f"{how} by event {owed.evidence}" if owed.state == "met" else f"due {text_of(duty.due)}"
    return f"{duty.id:>7}  {owed.state:<7}  {when}  {duty.owner}: {owed.what}"


@obligations_app.command("explain")
def explain_obligation(
    obligation: Obligation, *, workspace: Workspace = HERE, now: Now = None, as_json: Json = False
) -> None:
    """Say of one: its cause, since when, until when, and what alone closes it."""
    owed = gate_of(workspace, now).obligation(obligation)
    if as_json:
        show.as_json(owed.record())
        return
    duty = owed.duty
    reasons = ", ".join(f"{name} {people:,}" for name, people in sorted(duty.reasons.items()))
    cause = f"order {duty.order}" if duty.order else duty.cause
    said = [
        f"{duty.id}, {owed.state}: {owed.what}",
        f"  owed by    {duty.owner}",
        f"  cause      {cause}" + (f" (people by reason: {reasons})" if reasons else ""),
        f"  since      {text_of(duty.since)}",
        f"  due        {text_of(duty.due)}",
        f"  closed by  {owed.closed_by}",
        f"  met by     event {owed.evidence}{_when(owed)}"
        if owed.state == "met"
        else f"  do         {owed.command}",
    ]
    show.OUT.print("\n".join(said), markup=False)


def _when(owed: Owed) -> str:
    if owed.met is None or not owed.late:
        return ""
    return f", late: recorded {text_of(owed.met)}"


@obligations_app.command("certify")
def certify(
    obligation: Obligation,
    *,
    places: Annotated[
        Path, typer.Option(help="JSON: [{where, outcome, what}] of each place that had to go.")
    ],
    signature: Signatures = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Certify an erasure, as two operators signed; exit 3 unless nothing is left anywhere."""
    gate = gate_of(workspace, now)
    listed = strict.parse(content_of(places), str(places), limit=1 << 16)
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise InputError(f"{places}: a list of places, each with where, outcome and what")
    body = certificate_body(gate.obligation(obligation).duty.index, listed)
    with said_to_sign(CERTIFIED, body, signature):
        closed = gate.certify(obligation, listed, signatures_of(signature or ()))
    if as_json:
        show.as_json({"obligation": obligation, "met": closed, "places": listed})
        raise typer.Exit(0 if closed else NO)
    if closed:
        show.OUT.print(f"{obligation} is met: nothing is left in {_listed(listed)}", markup=False)
        if release := gate.obligation(obligation).duty.release:
            show.OUT.print(f"  releases/{release} keeps who was in it, for proofs and trace")
        return
    left = ", ".join(left_in(listed))
    show.OUT.print(f"{obligation} stays open: recorded as partial, left: {left or 'everything'}")
    raise typer.Exit(NO)


def _listed(places: Iterable[dict[str, str]]) -> str:
    return ", ".join(each["where"] for each in places)


@contextmanager
def said_to_sign(
    kind: str, body: dict[str, Any], signatures: Iterable[Path] | None
) -> Iterator[None]:
    """Say what two operators are to sign, where no signature was given."""
    try:
        yield
    except ApprovalError as error:
        if signatures:
            raise
        said = f"letterlock approve {kind} {shlex.quote(json.dumps(body, ensure_ascii=False))}"
        raise ApprovalError(f"{error}, each with {said}") from error


# ── models ──────────────────────────────────────────────────────────────────────────────────


@model_app.command("register")
def register(
    folder: Annotated[Path, typer.Argument(help="The folder with all files of the model.")],
    *,
    name: Annotated[str, typer.Option(help="What to call it.")],
    release: Annotated[
        list[str] | None,
        typer.Option("--from", help="A release it learned from; ID@VERSION: an older one."),
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option("--from-model", help="A model it came of, DIGEST:HOW.")
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option("--from-external", help="Somebody else's model it came of, DIGEST:HOW:NAME."),
    ] = None,
    owner: Annotated[str, typer.Option(help="Whose it is: a registered recipient.")] = "",
    run: Annotated[str, typer.Option(help="In an inbox: whose reads it accounts for.")] = "",
    inbox: Inbox = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Register a model by the digest of its files: at the platform, or in a recipient's inbox."""
    if inbox is not None:
        clock = moment(now)
        line = inbox_models.register(
            inbox, folder, name, releases=release or (), models=model or (),
            externals=external or (), run=run,
            now=wall_clock() if clock is None else clock,
        )  # fmt: skip
        if as_json:
            show.as_json(line)
            return
        show.OUT.print(f"model {line['model']}: {name}", markup=False)
        show.OUT.print("the platform learns of it with the next inventory: letterlock inventory")
        return
    found = gate_of(workspace, now).register_model(
        folder,
        name,
        releases=release or (),
        models=model or (),
        externals=external or (),
        owner=owner,
    )
    if as_json:
        show.as_json({**_record(found.model), "owed": [duty.id for duty in found.owed]})
        return
    show.OUT.print(f"model {found.model.digest}: {name}, of {found.model.owner}", markup=False)
    for duty in found.owed:
        show.OUT.print(
            f"  {duty.id}: its data was dropped or recalled before: due {text_of(duty.due)}"
        )


@model_app.command("list")
def list_models(
    *, inbox: Inbox = None, workspace: Workspace = HERE, now: Now = None, as_json: Json = False
) -> None:
    """List every model, what it came of, and whether it is destroyed."""
    if inbox is not None:
        ends = inbox_models.ends(inbox)
        told = [
            {**line, "state": _ended(ends.get(line["model"]))} for line in inbox_models.told(inbox)
        ]
        if as_json:
            show.as_json({"models": told})
            return
        for line in told:
            sources = [Source(**source) for source in line["sources"]]
            came = f"{line['name']}: {_sources(sources)}"
            show.OUT.print(f"{line['model']}  {came}; {line['state']}", markup=False)
        if not told:
            show.OUT.print("no model is registered")
        return
    lineage = gate_of(workspace, now).lineage()
    models = lineage.models.values()
    unaccounted = [
        (copy, each) for copy in lineage.deliveries.values() for each in copy.unaccounted
    ]
    if as_json:
        said = [
            {"release": copy.release, "recipient": copy.recipient, "grant": copy.grant,
             "purpose": each.purpose, "reads": each.reads,
             "first": text_of(each.first), "last": text_of(each.last)}
            for copy, each in unaccounted
        ]  # fmt: skip
        show.as_json({"models": [_record(each) for each in models], "unaccounted": said})
        return
    for each in models:
        came = f"{each.name}, of {each.owner}: {_sources(each.sources)}"
        show.OUT.print(f"{each.digest}  {came}; {_state(each)}", markup=False)
    if not models:
        show.OUT.print("no model is registered")
    for copy, told_of in unaccounted:
        show.OUT.print(
            f"release {copy.release} at {copy.recipient}: read for {told_of.purpose}, no model "
            f"accounts for it: {counted(told_of.reads, 'runs')}, {text_of(told_of.first)} to "
            f"{text_of(told_of.last)}",
            markup=False,
        )


@model_app.command("destroy")
def destroy(
    digest: Digest,
    *,
    certificate: Annotated[Path, typer.Option(help="The certificate of its destruction (JSON).")],
    inbox: Inbox = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Record that a model was destroyed; exit 3 if something of it is left."""
    written = content_of(certificate)
    if inbox is not None:
        clock = moment(now)
        at = wall_clock() if clock is None else clock
        told = inbox_models.destroy(inbox, digest, written, str(certificate), now=at)
        closed: list[Duty] = []
    else:
        told, closed = gate_of(workspace, now).destroy_model(digest, written, str(certificate))
    if as_json:
        record = {"model": told.model, "owner": told.owner, "destroyed": told.complete}
        places = [asdict(each) for each in told.places]
        met = [duty.id for duty in closed]
        show.as_json({**record, "places": places, "backups": told.backups, "met": met})
    else:
        _destroyed(told, closed, at_recipient=inbox is not None)
    raise typer.Exit(0 if told.complete else NO)


def _destroyed(told: Certificate, closed: Iterable[Duty], *, at_recipient: bool) -> None:
    said = "is destroyed" if told.complete else "is not destroyed: recorded as partial"
    show.OUT.print(f"model {told.model:.12} {said}")
    for place in told.places:
        show.OUT.print(f"  {place.outcome}: {place.where}: {place.what}", markup=False)
    show.OUT.print(f"  backups: {told.backups}")
    for duty in closed:
        show.OUT.print(f"  {duty.id} is met")
    if at_recipient:
        show.OUT.print("the platform learns of it with the next inventory: letterlock inventory")


def _record(model: Model) -> dict[str, Any]:
    return {
        "model": model.digest,
        "name": model.name,
        "owner": model.owner,
        "sources": [_source(each) for each in model.sources],
        "files": model.files,
        "bytes": model.size,
        "registered_at": text_of(model.time),
        "state": _state(model),
    }


def _source(source: Source) -> dict[str, Any]:
    if source.release:
        return {"release": source.release, "version": source.version}
    if source.external:
        return {"external": source.external, "digest": source.digest, "how": source.how}
    return {"model": source.model, "how": source.how}


def _sources(sources: Iterable[Source]) -> str:
    return ", ".join(map(_came_of, sources))


def _came_of(source: Source) -> str:
    if source.release:
        return f"release {source.release}@{source.version}"
    if source.external:
        return f"{source.how} of {source.external} (external, {source.digest:.12})"
    return f"{source.how} of {source.model:.12}"


def _state(model: Model) -> str:
    return _ended(None if model.destroyed is None else model.gone)


def _ended(gone: bool | None) -> str:
    if gone is None:
        return "in use"
    return "destroyed" if gone else "destroyed in part"
