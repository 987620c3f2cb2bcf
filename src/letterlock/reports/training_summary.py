"""The public summary of training content for a general-purpose AI model, AI Act Art. 53(1)(d).

Sections and questions are those of the template that the AI Office published on 24 July 2025 and
the Commission took over as C(2025) 8311 on 5 December 2025; its explanatory notice is at
https://project-babel.com/documents/eu_training_content_public_summary_template_2025, and the
headings were held against summaries that providers have published by it. This registry knows the
data that went through its gate, so it fills 2.4, user data, and what follows from it in 1 and 3; of
everything else it says that it does not know it. A provider adds what else was learned from, and
publishes the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from letterlock.domain import Rulebook, Time, counted, text_of
from letterlock.reports.form import Field, Form, Section, inapplicable, listed, table, unknown
from letterlock.reports.learned import Learned, Told

KIND: Final = "ai-act-53-1-d"
TITLE: Final = "Public Summary of Training Content for general-purpose AI models"
MODALITIES: Final = ("Text", "Image", "Audio", "Video", "Other")

_OUTSIDE: Final = "only what went through this registry's gate is recorded here"
_NOT_TOLD: Final = "nobody records it here"
_MODALITY: Final = "releases are of data classes; which modality a class is of is not recorded"


def summary(told: Told, rules: Rulebook, origin: str, upto: int) -> Form:
    """Return the summary for one registered model, filled as far as the registry can fill it."""
    sections = (
        Section("1", "General information", (*_versions(told, rules.as_of, upto),)),
        Section("1.1", "Provider identification", (*_provider(told, rules),)),
        Section("1.2", "Model identification", (*_model(told),)),
        Section(
            "1.3", "Modalities, overall training data size and other characteristics",
            (*_characteristics(told),),
        ),
        Section("2", "List of data sources"),
        *_other_sources(),
        Section("2.4", "User data", (*_user_data(told, rules),)),
        Section("2.5", "Synthetic data", (
            unknown(
                "Was synthetic AI-generated data created by the provider or on their behalf to "
                "train the model?", _synthetic(told),
            ),
        )),
        Section("2.6", "Other sources of data", (
            unknown(
                "Have data sources other than those described in Sections 2.1 to 2.5 been used to "
                "train the model?", _OUTSIDE,
            ),
        )),
        Section("3", "Data processing aspects"),
        Section(
            "3.1",
            "Respect of reservation of rights from text and data mining exception or limitation",
            (
                unknown("Signatory to the Code of Practice", _NOT_TOLD),
                unknown("Measures before and during data collection", _NOT_TOLD),
            ),
        ),
        Section("3.2", "Removal of illegal content", (
            unknown("General description of measures taken", _NOT_TOLD),
        )),
        Section("3.3", "Other information (optional)", (*_gate(told, origin),)),
    )  # fmt: skip
    about = (
        f"For the model {told.model.name}, digest {told.model.digest}.",
        "A field that is marked as not known has to be filled by the provider before publication.",
    )
    return Form(KIND, TITLE, about, origin, text_of(rules.as_of), upto, sections)


def _versions(told: Told, as_of: Time, upto: int) -> Iterator[Field]:
    yield Field("Version of the Summary", f"as of event {upto}", source=f"event {upto}")
    yield Field("Last update", text_of(as_of))
    if told.model.destroyed is not None:
        how = "complete" if told.model.destroyed.complete else "not complete"
        said = f"on {text_of(told.model.destroyed.time)}; the certificate is {how}"
        yield Field("Destroyed", said, source=f"event {told.model.destroyed.index}")


def _provider(told: Told, rules: Rulebook) -> Iterator[Field]:
    owner = rules.recipients.get(told.model.owner)
    if owner is None:
        yield unknown("Provider name", f"{told.model.owner} is no registered recipient")
    else:
        yield Field("Provider name", owner.name, source="recipient.registered")
    yield unknown("Provider contact details", _NOT_TOLD)
    yield unknown("Authorised representative name and contact details", _NOT_TOLD)


def _model(told: Told) -> Iterator[Field]:
    model = told.model
    yield Field("Versioned model name(s)", f"{model.name} ({model.digest})", source=_of(told))
    rows = [(how, each.name, each.digest) for each, how in told.dependencies]
    yield table("Model dependencies", ("how", "model", "digest"), rows, _of(told))
    yield unknown("Date of placement of the model on the Union market", _NOT_TOLD)


def _characteristics(told: Told) -> Iterator[Field]:
    for modality in MODALITIES:
        yield unknown(f"{modality}: training data size", _MODALITY)
    rows = [(r.release.id, r.version, *_figures(r)) for r in told.releases]
    columns = ("release", "version", "rows", "people", "bytes of Parquet")
    yield table("Size in another unit, of user data alone", columns, rows, "manifests")
    yield listed("Types of content, of user data alone", _classes(told), "manifests")
    newest = [r.made[1] for r in told.releases if r.made is not None]
    label = "Latest date of data acquisition/collection for model training"
    if newest and len(newest) == len(told.releases):
        yield Field(label, f"{text_of(max(newest))}, of user data", source="created_at")
    elif told.releases:
        latest = text_of(max(r.release.as_of for r in told.releases))
        yield Field(label, f"not after {latest}, of user data", source="release.opened")
    else:
        yield unknown(label, _OUTSIDE)
    yield unknown("Linguistic characteristics of the overall training data", _NOT_TOLD)
    yield unknown("Other relevant characteristics of the overall training data", _NOT_TOLD)


def _other_sources() -> Iterator[Section]:
    yield Section("2.1", "Publicly available datasets", (
        unknown("Have you used publicly available datasets to train the model?", _OUTSIDE),
    ))  # fmt: skip
    yield Section("2.2", "Private non-publicly available datasets obtained from third parties")
    yield Section(
        "2.2.1", "Datasets commercially licensed by rightsholders or their representatives",
        (unknown("Have you concluded transactional commercial licensing agreement(s)?", _OUTSIDE),),
    )  # fmt: skip
    yield Section("2.2.2", "Private datasets obtained from other third parties", (
        unknown("Have you obtained private datasets from third parties?", _OUTSIDE),
    ))  # fmt: skip
    yield Section("2.3", "Data crawled and scraped from online sources", (
        unknown("Were crawlers used by the provider or on their behalf?", _OUTSIDE),
    ))  # fmt: skip


def _user_data(told: Told, rules: Rulebook) -> Iterator[Field]:
    yield unknown(
        "Was data from user interactions with the AI model (e.g. user input and prompts) used to "
        "train the model?", "data classes do not say whether an item was said to a model",
    )  # fmt: skip
    label = (
        "Was data collected from user interactions with the provider's other services or "
        "products used to train the model?"
    )
    if not told.releases:
        yield unknown(label, "no release stands behind this model; " + _OUTSIDE)
        yield inapplicable("Services or products, data and choices", "no release stands behind it")
        return
    yield Field(label, "yes", source=_of(told))
    platforms = sorted(
        r.name for r in rules.recipients.values() if r.recipient_class.value == "controller"
    )
    yield listed("Whose services or products", platforms, "recipient.registered")
    columns = ("release", "version", "purpose", "to", "sealed", "tables", "rows", "people")
    rows = [
        (
            r.release.id, r.version, r.release.purpose, _name(rules, r.release.recipient),
            text_of(r.release.versions[0].time), ", ".join(n for n, _ in r.release.sources),
            *_figures(r)[:2],
        )
        for r in told.releases
    ]  # fmt: skip
    yield table("Releases it learned from", columns, rows, _of(told))
    yield listed("Data classes, with rows of each", _classes(told), "manifests")
    yield table("Period in which the items were made", ("release", "from", "to"), [
        (r.release.id, text_of(r.made[0]), text_of(r.made[1])) if r.made is not None
        else (r.release.id, "not known", "not known")
        for r in told.releases
    ], "created_at")  # fmt: skip
    policies = sorted({p for r in told.releases for p in r.policies})
    yield listed("Policy versions by which people were asked", policies, "manifests")
    yield unknown("Modality", _MODALITY)
    if any(r.simulated for r in told.releases):
        yield Field("Simulated", "yes: people and items are made up", source="manifests")


def _gate(told: Told, origin: str) -> Iterator[Field]:
    if not told.releases:
        yield unknown("Other relevant information about data processing", _OUTSIDE)
        return
    yield Field(
        "How user data was chosen",
        "an item went only if everybody in it (author, recipients, group members, people quoted) "
        "had said yes to this purpose and recipient, by the policy in force when it was made and "
        f"now; every release is recorded in the public log {origin}", source=_of(told),
    )  # fmt: skip
    rows = [
        (r.release.id, reason, count)
        for r in told.releases
        for reason, count in sorted(r.withheld.items())
    ]
    yield table("Items withheld, by reason", ("release", "reason", "items"), rows, "manifests")
    behind = [
        (r.release.id, r.version, r.release.dropped_to)
        for r in told.releases
        if r.release.dropped_to > r.version
    ]
    columns = ("release", "version learned from", "newest drop list")
    yield table("Drop lists published since it learned", columns, behind, "drops.published")


def _synthetic(told: Told) -> str:
    made = sum(how == "distil" for _, how in told.dependencies)
    said = f"{made} of the models it came of were distilled; " if made else ""
    return said + "whether data was synthetic is not recorded"


def _figures(learned: Learned) -> tuple[str | int, str | int, str | int]:
    """Return rows, people and bytes, or that they are not known."""
    rows, people, size = learned.rows, learned.members, learned.size
    return (
        "not known" if rows is None else rows,
        "not known" if people is None else people,
        "not known" if size is None else size,
    )


def _classes(told: Told) -> list[str]:
    if any(r.classes is None for r in told.releases):
        return ["not known of every version: see the releases"]
    counts: dict[str, int] = {}
    for learned in told.releases:
        for name, rows in (learned.classes or {}).items():
            counts[name] = counts.get(name, 0) + rows
    return [f"{name}: {counted(rows, 'rows')}" for name, rows in sorted(counts.items())]


def _name(rules: Rulebook, recipient: str) -> str:
    known = rules.recipients.get(recipient)
    return recipient if known is None else known.name


def _of(told: Told) -> str:
    return f"event {told.model.index}"
