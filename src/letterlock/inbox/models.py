"""A recipient's own account of its models: which came of which release, and which are destroyed.

It stands beside each release, in models.jsonl and destroyed.jsonl, and goes into the next inventory
that the recipient countersigns; until then the platform knows nothing of it.
Spec: docs/spec/lineage.md#at-a-recipient.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from letterlock.domain import Time, text_of
from letterlock.errors import InputError, UsageError, WorkspaceError
from letterlock.evidence import strict
from letterlock.handover import reads
from letterlock.handover.reads import Read
from letterlock.lineage import certificate
from letterlock.lineage.certificate import Certificate
from letterlock.lineage.digest import digest_of
from letterlock.lineage.events import HOWS, external, read
from letterlock.lineage.inventory import Unaccounted
from letterlock.release import manifest

RECEIVED: Final = "received"
DESTROYED: Final = "destroyed.jsonl"
PAST: Final = "past"
UNNAMED: Final = "not named"
"""What an external model is called of which only the digest was said."""

_LINE: Final[strict.Shape] = {
    "at": int, "run": str, "model": str, "name": str, "owner": str,
    "sources": list, "files": int, "bytes": int,
}  # fmt: skip
_GONE: Final[strict.Shape] = {"at": int, "model": str, "certificate": str}


def register(  # noqa: PLR0913 - a model, what it came of, who read it, when
    inbox: Path,
    folder: Path,
    name: str,
    *,
    releases: Iterable[str] = (),
    models: Iterable[str] = (),
    externals: Iterable[str] = (),
    run: str = "",
    now: Time,
) -> dict[str, Any]:
    """Note that the model in `folder` came of received releases, or of models of this inbox.

    `models`: DIGEST:HOW, the digest may be cut short. `externals`: DIGEST:HOW:NAME of models of
    others, such as a public one. `run`: the reads of which run it accounts
    for. Returns the line, which stands beside every release that is in the model.
    Raises UsageError, InputError, WorkspaceError.
    """
    owner, weights = recipient_of(inbox), digest_of(folder)
    places: dict[Path, None] = {}
    sources: list[dict[str, Any]] = []
    for release in releases:
        place = _place(inbox, release)
        sources.append({"release": release, "version": version_of(place)})
        places[place] = None
    for said in models:
        digest, _, how = said.partition(":")
        if how not in HOWS:
            raise UsageError(f"--from-model {said}: write DIGEST:HOW; HOW is {', '.join(HOWS)}")
        earlier = find(inbox, digest)
        sources.append({"model": earlier["model"], "how": how})
        places |= dict.fromkeys(_where(inbox, earlier["model"]))
    if not sources:
        raise UsageError("say what it came of: --from RELEASE, or --from-model DIGEST:HOW")
    sources += [external(said) for said in externals]
    if any(each["model"] == weights.digest for each in told(inbox)):
        raise UsageError(f"these files are registered already: {weights.digest}")
    line = {
        "at": now, "run": run, "model": weights.digest, "name": name, "owner": owner,
        "sources": sources, "files": weights.files, "bytes": weights.size,
    }  # fmt: skip
    for place in places:
        reads.append(place / reads.MODELS, line)
    return line


def destroy(inbox: Path, digest: str, written: bytes, what: str, *, now: Time) -> Certificate:
    """Note that a model of this inbox was destroyed, as a certificate says.

    Raises UsageError for no such model, InputError for no certificate of it, WorkspaceError.
    """
    model, said = find(inbox, digest), certificate.parse(written, what)
    places = _where(inbox, model["model"])
    for gone in (each for place in places for each in _gone(place)):
        if gone.model == model["model"] and gone.complete and not said.complete:
            raise UsageError(
                f"model {gone.model:.12} was destroyed on {text_of(gone.time)}, by a certificate "
                "that says nothing is left"
            )
    if (said.model, said.owner) != (model["model"], model["owner"]):
        raise InputError(f"{what}: it is about model {said.model:.12} of {said.owner}")
    if not model["at"] <= said.time <= now:
        raise InputError(
            f"{what}: it is dated {text_of(said.time)}: it says what was done, not what will be, "
            f"to a model whose files were there {text_of(model['at'])}"
        )
    line = {"at": now, "model": said.model, "certificate": said.encode().decode()}
    for place in places:
        reads.append(place / DESTROYED, line)
    return said


def told(inbox: Path) -> list[dict[str, Any]]:
    """Return the models of an inbox, each once, in the order of their registration."""
    found: dict[str, dict[str, Any]] = {}
    for place in (*_past(inbox), *_places(inbox)):
        for line in models_in(place):
            found.setdefault(line["model"], line)
    return sorted(found.values(), key=lambda line: (line["at"], line["model"]))


def models_in(place: Path) -> list[dict[str, Any]]:
    """Return the models that came of the release in a folder. Raises InputError."""
    found = []
    for value in reads.lines(place / reads.MODELS):
        line = strict.shaped(value, _LINE, reads.MODELS)
        body = {key: line[key] for key in line.keys() - {"at", "run"}}
        read("model.trained", {**body, "note": ""})
        found.append(line)
    return found


def trained_in(place: Path) -> list[dict[str, Any]]:
    """Return the models that came of the release in a folder, each once. As `models_in`.

    Of one that several runs made, the same bytes each time, the sources are those of all of them,
    and of a release the oldest version: whoever may be in it is said to be. A source that is no
    model of this inbox is said to be external: the platform knows it, or it is none of ours.
    """
    found: dict[str, dict[str, Any]] = {}
    known_here = {each["model"] for each in told(place.parents[1])}
    for line in models_in(place):
        line["sources"] = [_known(each, known_here) for each in line["sources"]]
        known = found.setdefault(line["model"], line)
        if known is not line:
            known["sources"] = _joined([*known["sources"], *line["sources"]])
    return list(found.values())


def _known(source: dict[str, Any], models: Container[str]) -> dict[str, Any]:
    if "model" not in source or source["model"] in models:
        return source
    return {"external": UNNAMED, "digest": source["model"], "how": source["how"]}


def _joined(sources: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    versions: dict[str, int] = {}
    models: list[dict[str, Any]] = []
    for each in sources:
        if "release" in each:
            version = versions.get(each["release"], each["version"])
            versions[each["release"]] = min(version, each["version"])
        elif each not in models:
            models.append(each)
    return [*({"release": r, "version": v} for r, v in versions.items()), *models]


def destroyed_in(place: Path) -> list[dict[str, Any]]:
    """Return what was destroyed of these, as an inventory says it: one certificate each.

    The newest that is complete if there is any, else the newest.
    """
    found: dict[str, Certificate] = {}
    for said in _gone(place):
        if said.complete or said.model not in found or not found[said.model].complete:
            found[said.model] = said
    return [{"model": m, "certificate": c.encode().decode()} for m, c in found.items()]


def _gone(place: Path) -> Iterator[Certificate]:
    """Yield the certificates beside a release, in the order of their lines. Raises InputError."""
    for value in reads.lines(place / DESTROYED):
        line = strict.shaped(value, _GONE, DESTROYED)
        yield certificate.parse(line["certificate"].encode(), DESTROYED)


def ends(inbox: Path) -> dict[str, bool]:
    """Return of each model whose end was noted whether nothing is left, by its newest certificate.

    As `models_in`.
    """
    gone = (each for place in (*_past(inbox), *_places(inbox)) for each in destroyed_in(place))
    said = (certificate.parse(each["certificate"].encode(), each["model"]) for each in gone)
    return {each.model: each.complete for each in said}


def unaccounted(place: Path) -> list[str]:
    """Return the runs that read a release and that no model accounts for, in their order."""
    return list(dict.fromkeys(each.run for each in _unaccounted(place)))


def unaccounted_in(place: Path) -> tuple[Unaccounted, ...]:
    """Return these reads by purpose, as an inventory says them: each run of a purpose is one."""
    found: dict[str, list[Read]] = {}
    for each in _unaccounted(place):
        found.setdefault(each.purpose, []).append(each)
    return tuple(
        Unaccounted(purpose, min(r.at for r in of), max(r.at for r in of), len({r.run for r in of}))
        for purpose, of in sorted(found.items())
    )


def _unaccounted(place: Path) -> list[Read]:
    accounted = {line["run"] for line in models_in(place)}
    return [each for each in reads.reads(place) if each.run not in accounted]


def find(inbox: Path, digest: str) -> dict[str, Any]:
    """Return a model of an inbox by its digest, which may be cut short. Raises UsageError."""
    found = [each for each in told(inbox) if digest and each["model"].startswith(digest)]
    if len(found) != 1:
        what = "no model" if not found else f"{len(found)} models"
        raise UsageError(
            f"{what} of digest {digest!r} in {inbox}: see `letterlock model list --inbox`"
        )
    return found[0]


def recipient_of(inbox: Path) -> str:
    """Return whose inbox it is. Raises WorkspaceError if it is none."""
    try:
        said = tomllib.loads((inbox / "inbox.toml").read_text())
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{inbox} is no inbox: run `letterlock recipient init`") from error
    name = said.get("recipient")
    if not isinstance(name, str) or not name:
        raise WorkspaceError(f"{inbox / 'inbox.toml'} names no recipient")
    return name


def version_of(place: Path) -> int:
    """Return the drop list that the copy in a folder has applied: 0 as it was sealed."""
    try:
        said = json.loads((place / manifest.OUTGOING / manifest.NAME).read_bytes())
        version = said.get("supersedes", {"version": 0})["version"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkspaceError(f"{place}: the copy has no manifest that can be read") from error
    if type(version) is not int:
        raise WorkspaceError(f"{place}: the copy has no manifest that can be read")
    return version


def _place(inbox: Path, release: str) -> Path:
    place = inbox / RECEIVED / release
    if place not in set(_places(inbox)):
        raise UsageError(f"{inbox} has received no release {release!r}")
    return place


def _places(inbox: Path) -> Iterator[Path]:
    recipient_of(inbox)
    for place in sorted((inbox / RECEIVED).glob("[0-9a-f]*")):
        if place.is_dir():
            yield place


def _past(inbox: Path) -> list[Path]:
    """Return the folders of copies that were destroyed before their release was received anew."""
    return sorted(place for place in (inbox / PAST).glob("*") if place.is_dir())


def _where(inbox: Path, model: str) -> list[Path]:
    """Return the folders whose next inventory tells of a model: of a past copy, each of them."""
    places = list(_places(inbox))
    of_it = [p for p in places if any(line["model"] == model for line in models_in(p))]
    return of_it or places
