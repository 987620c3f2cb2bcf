"""Training data documentation for a generative AI system, California AB 2013 (Civil Code § 3111).

The twelve items of § 3111(a), in their order and by their numbers; the statute is published at
https://codes.findlaw.com/ca/civil-code/civ-sect-3111/. The law asks for the data sets that a
system was developed with; this registry knows those that went through its gate, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from letterlock.domain import Rulebook, text_of
from letterlock.reports.form import Field, Form, Section, listed, table, unknown
from letterlock.reports.learned import Learned, Told

KIND: Final = "ab-2013"
TITLE: Final = "Training data documentation (California AB 2013, Civil Code § 3111)"

_OUTSIDE: Final = "only what went through this registry's gate is recorded here"
_NOT_TOLD: Final = "nobody records it here"
_COVERS: Final = (
    "It covers the user data that went through the gate. Whoever developed the system adds what "
    "else was used, and fills what is marked as not known, before it is posted."
)


def documentation(told: Told, rules: Rulebook, origin: str, upto: int) -> Form:
    """Return the documentation for one registered model, filled as far as the registry can."""
    items = (
        ("Sources or owners of the datasets", _sources(told, rules)),
        ("How the datasets further the intended purpose", _purpose(told)),
        ("Number of data points", _count(told)),
        ("Types of data points", _types(told)),
        ("Copyright, trademark, patent, or public domain", _rights()),
        ("Purchased or licensed", _licences()),
        ("Personal information (§ 1798.140(v))", _personal(told)),
        ("Aggregate consumer information (§ 1798.140(b))", _aggregate()),
        ("Cleaning, processing or other modification", _processing(told)),
        ("Time period of collection, and whether it is ongoing", _period(told)),
        ("Dates the datasets were first used", _used(told)),
        ("Synthetic data generation", _synthetic(told)),
    )
    sections = tuple(
        Section(f"({n})", title, tuple(fields)) for n, (title, fields) in enumerate(items, 1)
    )
    about = (
        f"For the model {told.model.name}, digest {told.model.digest}, of {told.model.owner}.",
        _COVERS,
    )
    return Form(KIND, TITLE, about, origin, text_of(rules.as_of), upto, sections)


def _sources(told: Told, rules: Rulebook) -> Iterator[Field]:
    owners = sorted(
        r.name for r in rules.recipients.values() if r.recipient_class.value == "controller"
    )
    yield listed("Owners", owners, "recipient.registered")
    rows = [
        (r.release.id, r.version, name, fingerprint)
        for r in told.releases
        for name, fingerprint in r.release.sources
    ]
    yield table("Sources", ("release", "version", "table", "fingerprint"), rows, "release.opened")
    others = [(each.name, each.digest, how) for each, how in told.dependencies]
    yield table("Through other models", ("model", "digest", "how"), others, "model.trained")
    yield unknown("Other datasets", _OUTSIDE)


def _purpose(told: Told) -> Iterator[Field]:
    if not told.releases:
        yield unknown("Purpose", "no release stands behind this model")
        return
    rows = [(r.release.id, r.release.purpose, r.release.recipient) for r in told.releases]
    yield table("Purpose that everybody agreed to", ("release", "purpose", "to"), rows,
                "release.opened")  # fmt: skip
    yield unknown("The intended purpose of the system", _NOT_TOLD)


def _count(told: Told) -> Iterator[Field]:
    if any(r.rows is None for r in told.releases):
        yield unknown("Data points in all", "no manifest of one of the versions is kept here")
    else:
        total = sum(r.rows or 0 for r in told.releases)
        yield Field("Data points in all (rows)", total, source="manifests")
    rows = [(r.release.id, r.version, _known(r.rows), _known(r.members)) for r in told.releases]
    yield table("By release", ("release", "version", "rows", "people"), rows, "manifests")


def _types(told: Told) -> Iterator[Field]:
    rows = [
        (r.release.id, name, count)
        for r in told.releases
        for name, count in sorted((r.classes or {}).items())
    ]
    yield table("Data classes", ("release", "class", "rows"), rows, "manifests")
    yield unknown("Labels", "a release has columns; whether one of them is a label is not recorded")


def _rights() -> Iterator[Field]:
    yield unknown("Protected, or in the public domain", _NOT_TOLD)


def _licences() -> Iterator[Field]:
    yield unknown("Purchased or licensed", "terms of a hand-over are recorded by their hash only")


def _personal(told: Told) -> Iterator[Field]:
    if not told.releases:
        yield unknown("Personal information", "no release stands behind this model")
        return
    # § 1798.140(v) covers what can be linked with a person; a pseudonym is made to be that.
    yield Field(
        "Personal information",
        "yes: each row is of people, named by pseudonyms that hold for one release",
        source="manifests",
    )


def _aggregate() -> Iterator[Field]:
    yield unknown("Aggregate consumer information", "what is in the columns is not recorded")


def _processing(told: Told) -> Iterator[Field]:
    if not told.releases:
        yield unknown("Processing", "no release stands behind this model")
        return
    yield Field(
        "Processing at the gate",
        "items were left out unless everybody in them had said yes; account and item ids were "
        "replaced by pseudonyms, so that a recipient learns no account", source="manifests",
    )  # fmt: skip
    rows = [
        (r.release.id, reason, count)
        for r in told.releases
        for reason, count in sorted(r.withheld.items())
    ]
    yield table("Items left out, by reason", ("release", "reason", "items"), rows, "manifests")
    yield unknown("Processing by the developer", _NOT_TOLD)


def _period(told: Told) -> Iterator[Field]:
    known = [(r.release.id, r.made) for r in told.releases if r.made is not None]
    rows = [(name, text_of(made[0]), text_of(made[1])) for name, made in known]
    yield table("Items were made", ("release", "from", "to"), rows, "created_at")
    if len(known) < len(told.releases):
        yield unknown("Of the other releases", "their files are not here")
    yield unknown("Whether collection is ongoing", "a release is closed; what follows is not")


def _used(told: Told) -> Iterator[Field]:
    rows = [(r.release.id, *_dates(r, told)) for r in told.releases]
    yield table("First handed over, and registered as learned from",
                ("release", "first handed over to its developer", "model registered"), rows,
                "release.delivered, model.trained")  # fmt: skip
    yield unknown("First used", "when a training began is not recorded, only what it made")


def _synthetic(told: Told) -> Iterator[Field]:
    distilled = sum(how == "distil" for _, how in told.dependencies)
    if distilled:
        yield Field("Models distilled into it", distilled, source="model.trained")
    yield unknown("Synthetic data generation", "whether data was synthetic is not recorded")


def _dates(learned: Learned, told: Told) -> tuple[str, str]:
    first = min((d.time for d in learned.release.deliveries), default=None)
    handed = "not recorded" if first is None else text_of(first)
    return handed, text_of(told.model.time)


def _known(number: int | None) -> str | int:
    return "not known" if number is None else number
