"""`letterlock policy …`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from letterlock import approval
from letterlock.cli import show
from letterlock.cli.operators import line_of
from letterlock.cli.options import (
    HERE,
    NO,
    Json,
    KeyFile,
    Now,
    Operator,
    Purpose,
    Sources,
    To,
    Workspace,
    gate_of,
    key_of,
    signatures_of,
)
from letterlock.domain import DAY, counted, text_of
from letterlock.errors import InputError
from letterlock.gate.policies import Introduced, Published, Standing, publishable, to_sign
from letterlock.policy.diff import compare
from letterlock.policy.document import check as check_document
from letterlock.policy.document import read as read_document
from letterlock.policy.draft import draft
from letterlock.policy.signals import current, signals
from letterlock.sources.folder import policy_files, write_new

SIGNATURES = "signatures"
Folder = Annotated[Path, typer.Argument(help="The policy's folder.")]

app = typer.Typer(no_args_is_help=True, help="Write, check, publish and follow a policy.")


@app.command("check")
def policy_check(folder: Folder, *, as_json: Json = False) -> None:
    """Find what is wrong with a policy: file, line, and how to mend it."""
    _, findings = check_document(policy_files(folder), str(folder))
    if as_json:
        show.as_json({"findings": [vars_of(f) for f in findings]})
    else:
        for finding in findings:
            show.OUT.print(str(finding), markup=False)
        found = counted(len(findings), "findings") if findings else "good"
        show.OUT.print(f"{folder}: {found}", markup=False)
    raise typer.Exit(NO if findings else 0)


@app.command("draft")
def policy_draft(folder: Folder) -> None:
    """Write the texts that a policy lacks, from its policy.toml; nothing is overwritten."""
    files = policy_files(folder)
    document = read_document(files, str(folder))
    for language in document.languages or ("en",):
        for name, text in draft(document, language).items():
            if name not in files:
                write_new(folder / name, text)
                show.OUT.print(f"wrote {folder / name}", markup=False)


def vars_of(finding: object) -> dict[str, object]:
    """Return the fields of a finding."""
    return {name: getattr(finding, name) for name in finding.__slots__}  # type: ignore[attr-defined]


@app.command("diff")
def policy_diff(
    old: Annotated[Path, typer.Argument(help="The folder of the version before.")],
    new: Annotated[Path, typer.Argument(help="The folder of the version to come.")],
    *,
    as_json: Json = False,
) -> None:
    """Say in plain words what a new version makes looser, tighter, or leaves as it is."""
    before, after = (read_document(policy_files(folder), str(folder)) for folder in (old, new))
    found = compare(before, after)
    if as_json:
        show.as_json(found.record())
    else:
        for line in found.lines():
            show.OUT.print(line, markup=False)


@app.command("impact")
def policy_impact(
    folder: Folder,
    purpose: Purpose,
    recipient: To,
    *,
    source: Sources = None,
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Say for how many people and items a policy that is not published yet changes the answer."""
    gate = gate_of(workspace, now)
    with show.progress(quiet=as_json) as progress:
        found = gate.impact(
            policy_files(folder), str(folder), purpose, recipient,
            names=source or (), progress=progress,
        )  # fmt: skip
    if as_json:
        show.as_json(found.record())
    else:
        show.impact(found)


@app.command("signals")
def policy_signals(
    *,
    out: Annotated[Path | None, typer.Option(help="Write the files into this new folder.")] = None,
    address: Annotated[str, typer.Option(help="Where your policy can be read: https://…")] = "",
    workspace: Workspace = HERE,
    now: Now = None,
    as_json: Json = False,
) -> None:
    """Say what to publish for machines: GPC, AIPREF and TDMRep, from the policy in force."""
    found = signals(current(gate_of(workspace, now).rules()), address)
    if out is not None:
        for path, content in found.files.items():
            place = out / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            write_new(place, content.decode())
    if as_json:
        show.as_json(found.record())
        return
    for header in found.headers:
        show.OUT.print(f"header      {header}", markup=False)
    for line in found.robots:
        show.OUT.print(f"robots.txt  {line}", markup=False)
    for path, content in found.files.items():
        show.OUT.print(f"{path}  {content.decode().strip()}", markup=False)


@app.command("sign")
def policy_sign(
    folder: Folder,
    *,
    operator: Operator,
    key_file: KeyFile,
) -> None:
    """Sign a policy as it stands; the signature is kept beside it, for publish."""
    document = publishable(policy_files(folder), str(folder))
    signature = approval.sign(operator, key_of(key_file), to_sign(document))
    place = folder / SIGNATURES / f"{operator}.json"
    try:
        place.parent.mkdir(exist_ok=True)
        place.write_text(line_of(signature) + "\n")
    except OSError as error:
        raise InputError(f"{place}: cannot be written: {error.strerror}") from error
    show.OUT.print(f"{operator} signed policy {document.version}: {place}", markup=False)


@app.command("publish")
def policy_publish(folder: Folder, *, workspace: Workspace = HERE, now: Now = None) -> None:
    """Publish a policy version, with the recipients, regions and contracts it brings."""
    signatures = signatures_of(sorted((folder / SIGNATURES).glob("*.json")))
    version = gate_of(workspace, now).publish(policy_files(folder), str(folder), signatures)
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


# ── settings ────────────────────────────────────────────────────────────────────────────────


@app.command("introduce")
def policy_introduce(
    setting: Annotated[str, typer.Argument(help="The setting's id.")],
    *,
    version: Annotated[
        str | None, typer.Option(help="With this version (default: the first that was noticed).")
    ] = None,
    workspace: Workspace = HERE,
    now: Now = None,
) -> None:
    """Introduce a setting: its version is published, and its notice delivered to somebody."""
    told = gate_of(workspace, now).introduce(setting, version)
    show.OUT.print(f"introduced setting {setting} with version {told}", markup=False)


@app.command("settings")
def policy_settings(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """List the settings: what each asks for, its first version, and since when it shows."""
    found = gate_of(workspace, now).settings()
    if as_json:
        show.as_json({"settings": [_setting_record(each) for each in found]})
        return
    for each in found:
        setting = each.setting
        since = "not introduced"
        if each.at is not None:
            since = f"introduced {text_of(each.at)} with version {each.version}"
        gone = "" if each.listed else "; the newest version does not list it"
        scope = (setting.purposes, setting.data_classes, setting.recipients)
        lines = (
            f"{setting.id}: {setting.title}",
            f"  first in version {each.first}; {since}{gone}",
            f"  {' · '.join(', '.join(names) for names in scope)}",
        )
        for line in lines:
            show.OUT.print(line, markup=False)


def _setting_record(each: Introduced) -> dict[str, object]:
    setting = each.setting
    return {
        "id": setting.id,
        "title": setting.title,
        "purposes": list(setting.purposes),
        "data_classes": list(setting.data_classes),
        "recipients": list(setting.recipients),
        "first_version": each.first,
        "version": each.version or None,
        "introduced": None if each.at is None else text_of(each.at),
        "listed": each.listed,
    }


# ── how things stand, and how it came ───────────────────────────────────────────────────────


@app.command("status")
def policy_status(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """Say of each version for how many members it is in force, noticed and objected to."""
    found = gate_of(workspace, now).status()
    if as_json:
        show.as_json(
            {
                "as_of": text_of(found.as_of),
                "members": found.members,
                "without": found.without,
                "versions": [_standing_record(each) for each in found.versions],
            }
        )
        return
    show.OUT.print(f"as of {text_of(found.as_of)}, of {counted(found.members, 'members')}:")
    for each in found.versions:
        version = each.version
        show.OUT.print(
            f"version {version.version}: published {text_of(version.published_at)}, "
            f"effective {text_of(version.effective_at)}",
            markup=False,
        )
        show.OUT.print(
            f"  in force for {each.in_force:,}, notified {each.notified:,}, "
            f"objected {each.objected:,}"
        )
        for setting, introduced in each.settings.items():
            said = "introduced" if introduced else "not introduced"
            show.OUT.print(f"  setting {setting}: {said}", markup=False)
    show.OUT.print(f"no version is in force for {found.without:,}")


def _standing_record(each: Standing) -> dict[str, object]:
    return {
        "version": each.version.version,
        "published": text_of(each.version.published_at),
        "effective": text_of(each.version.effective_at),
        "window_days": each.version.window // DAY,
        "in_force": each.in_force,
        "notified": each.notified,
        "objected": each.objected,
        "settings": dict(each.settings),
    }


@app.command("history")
def policy_history(*, workspace: Workspace = HERE, now: Now = None, as_json: Json = False) -> None:
    """List the versions: when, signed by whom (checked again), and what each brought along."""
    found = gate_of(workspace, now).history()
    if as_json:
        show.as_json({"versions": [_published_record(each) for each in found]})
    else:
        for each in found:
            _published(each)
    raise typer.Exit(NO if any(each.doubt for each in found) else 0)


def _published(each: Published) -> None:
    version = each.version
    signed = f"doubtful: {each.doubt}" if each.doubt else f"signed by {', '.join(each.signed_by)}"
    when = f"published {text_of(version.published_at)}, effective {text_of(version.effective_at)}"
    lines = [
        f"version {version.version}: event {version.index}, {when}",
        f"  {signed}",
        *(f"  {name}  sha256 {digest}" for name, digest in each.documents.items()),
        *(f"  brought: {kind} {name}".rstrip() for kind, name in each.brought),
    ]
    for line in lines:
        show.OUT.print(line, markup=False)


def _published_record(each: Published) -> dict[str, object]:
    return {
        "version": each.version.version,
        "event": each.version.index,
        "published": text_of(each.version.published_at),
        "effective": text_of(each.version.effective_at),
        "signed_by": list(each.signed_by),
        "doubt": each.doubt or None,
        "documents": dict(each.documents),
        "brought": [{"kind": kind, "name": name} for kind, name in each.brought],
    }
