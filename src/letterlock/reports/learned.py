"""What a model learned from, in figures: the releases behind it, as the registry has them.

Every figure is the manifest's of the version that was learned from, or, where a recipient applied a
drop list before the platform superseded its own copy, that of the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import Time, micros
from letterlock.errors import UsageError
from letterlock.lineage.graph import Lineage, Model, Release
from letterlock.release import manifest
from letterlock.release.manifest import OUTGOING

Blob: TypeAlias = Callable[[str], bytes | None]
"""Returns what is kept under a SHA-256; a manifest is, under its own."""
Made: TypeAlias = Callable[[str], tuple[Time, Time] | None]
"""Returns when the oldest and the newest item of a release were made; None if it is not known."""

_MADE: Final = "created_at"


@dataclass(frozen=True)
class Learned:
    """A version of a release that a model learned from.

    `rows` and `members` None: not known. `classes` (rows of each) and `size` (bytes of the files)
    are those of the version itself; None where no manifest of it is kept here.
    """

    release: Release
    version: int
    rows: int | None
    members: int | None
    classes: Mapping[str, int] | None
    size: int | None
    withheld: Mapping[str, int]
    policies: tuple[str, ...]
    simulated: bool
    made: tuple[Time, Time] | None


@dataclass(frozen=True)
class Told:
    """A model, the models it came of (each with how, nearest first), and what they learned from."""

    model: Model
    dependencies: tuple[tuple[Model, str], ...]
    releases: tuple[Learned, ...]


def told(lineage: Lineage, name: str, blob: Blob, made: Made) -> Told:
    """Return what a model learned from, itself or through others; `name` as `model_of` takes it."""
    model = model_of(lineage, name)
    hows = {
        (source.model, source.how): lineage.models[source.model]
        for each in (model, *lineage.ancestors(model.digest))
        for source in each.sources
        if source.model
    }
    versions = sorted(lineage.versions_of(model.digest).items())
    found = [_learned(lineage.releases[r], v, blob, made) for r, v in versions]
    return Told(model, tuple((m, how) for (_, how), m in hows.items()), tuple(found))


def model_of(lineage: Lineage, name: str) -> Model:
    """Find a model by its digest, the beginning of it, or its name. Raises UsageError."""
    found = [
        model
        for model in lineage.models.values()
        if name and (model.digest.startswith(name) or model.name == name)
    ]
    if len(found) != 1:
        known = "several models are" if found else "no registered model is"
        raise UsageError(f"{known} called {name!r}: name one by its digest")
    return found[0]


def made_between(folder: Path) -> tuple[Time, Time] | None:
    """Return when the oldest and newest item in a release were made, by its files' statistics.

    None if the files are not there, cannot be read, hold no row, or say nothing of it.
    """
    times: list[Time] = []
    try:
        for path in sorted((folder / OUTGOING).glob("data/*/*.parquet")):
            times += _times(pq.ParquetFile(path).metadata)
    except (OSError, ValueError, pa.ArrowException):
        return None
    return (min(times), max(times)) if times else None


def _times(metadata: pq.FileMetaData) -> Iterable[Time]:
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(column)
            said = chunk.statistics
            if chunk.path_in_schema != _MADE or chunk.num_values == 0:
                continue
            if said is None or not said.has_min_max:
                raise ValueError("no statistics")
            yield from (micros(said.min), micros(said.max))


def _learned(release: Release, number: int, blob: Blob, made: Made) -> Learned:
    version = next((each for each in release.versions if each.number == number), None)
    applied = next((each for each in release.lists if each.number == number), None)
    first = _manifest(blob, release.versions[0].manifest)
    record = _manifest(blob, version.manifest) if version is not None else None
    rows = members = size = classes = None
    if record is not None:
        rows, members = record["counts"]["released"], record["members"]
        size, classes = sum(f["bytes"] for f in record["files"]), record["counts"]["by_class"]
    elif applied is not None:
        rows, members = applied.rows, applied.members
    elif version is not None:
        members = version.members
    counts = first["counts"] if first is not None else {}
    return Learned(
        release, number, rows, members, classes, size,
        withheld=counts.get("by_reason", {}),
        policies=tuple(p["version"] for p in first["policy"]) if first is not None else (),
        simulated=first is not None and first["simulated"],
        made=made(release.id),
    )  # fmt: skip


def _manifest(blob: Blob, digest: str) -> dict[str, Any] | None:
    data = blob(digest)
    return None if data is None else manifest.parse(data, f"blobs/{digest}")
