"""The graph of what left the gate as OpenLineage run events, for the tools that read those.

Spec: OpenLineage 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json). Three jobs there are:

    release.build      from the tables (by name and fingerprint) to the release: START at its
                       opening, COMPLETE at its seal, and again at each superseding
    release.deliver    from the release to the recipient's copy: START with the grant, COMPLETE
                       once the copy is acknowledged
    model.train        from the copies and models it came of to the model: COMPLETE as registered

Everything here follows from public events. The id of a run follows from the log's name and the
place of the event that began it, so the same record gives the same events, byte for byte.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from letterlock.domain import Time, canonical
from letterlock.history import when
from letterlock.lineage.graph import Delivery, Lineage, Model, Release, Version

RunEvent: TypeAlias = dict[str, Any]
Figures: TypeAlias = Mapping[str, Mapping[str, int]]
"""By a manifest's SHA-256: rowCount, fileCount and size in bytes, as the manifest has them."""

PRODUCER: Final = "urn:letterlock:openlineage:v1"
_SPEC: Final = "https://openlineage.io/spec"
_RUN_EVENT: Final = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
_VERSION: Final = "DatasetVersionDatasetFacet", "1-0-1"
_STATISTICS: Final = "OutputStatisticsOutputDatasetFacet", "1-0-2"


def run_events(
    lineage: Lineage,
    origin: str,
    *,
    only: Collection[str] | None = None,
    figures: Figures | None = None,
) -> list[RunEvent]:
    """Return the run events of all releases, or `only` of some, in recorded order.

    `origin` is the log's name. Models are told of that learned from these releases, however far.
    """
    wanted = [r for r in lineage.releases.values() if only is None or r.id in only]
    tainted = {m.digest for r in wanted for m in lineage.models_of(r.id)}
    models = [m for m in lineage.models.values() if only is None or m.digest in tainted]
    told = _Teller(lineage, origin, figures or {})
    found = [each for release in wanted for each in told.release(release)]
    found += [each for model in models for each in told.model(model)]
    return [event for _, _, event in sorted(found, key=lambda each: each[:2])]


def lines(events: Collection[RunEvent]) -> bytes:
    """Write run events one to a line, canonically."""
    return b"".join(canonical(event) + b"\n" for event in events)


_Placed: TypeAlias = tuple[int, int, RunEvent]
"""The event's index in the log, 0 for START and 1 for COMPLETE, and what is told of it."""


class _Teller:
    def __init__(self, lineage: Lineage, origin: str, figures: Figures) -> None:
        self.lineage, self.figures, self.origin = lineage, figures, origin
        self.namespace = f"letterlock://{origin}"

    def release(self, release: Release) -> Iterator[_Placed]:
        inputs = [_dataset(self.namespace, f"source/{n}", print_) for n, print_ in release.sources]
        start = (release.opened, release.opened_at)
        yield self._event("START", "release.build", start, start, inputs, [])
        for version in release.versions:
            # What supersedes a release is made of the release itself, not of the tables anew.
            first = version.number == 0
            made = start if first else (version.index, version.time)
            of = inputs if first else [self._release(release, release.versions[0])]
            if not first:
                yield self._event("START", "release.build", made, made, of, [])
            at = (version.index, version.time)
            outputs = [self._release(release, version)]
            yield self._event("COMPLETE", "release.build", made, at, of, outputs)
        for delivery in release.deliveries:
            yield from self._delivery(release, delivery)

    def _delivery(self, release: Release, delivery: Delivery) -> Iterator[_Placed]:
        start = (delivery.index, delivery.time)
        inputs = [self._release(release, _version(release, delivery.version))]
        outputs = [self._copy(delivery.recipient, release, delivery.version)]
        yield self._event("START", "release.deliver", start, start, inputs, [])
        if delivery.acknowledged:
            first = delivery.acknowledged[0]
            at = (first.index, first.time)
            yield self._event("COMPLETE", "release.deliver", start, at, inputs, outputs)

    def model(self, model: Model) -> Iterator[_Placed]:
        at = (model.index, model.time)
        inputs = []
        for source in model.sources:
            if source.release:
                release = self.lineage.releases[source.release]
                inputs.append(self._copy(model.owner, release, source.version))
            elif source.external:
                where = f"{self.namespace}/external"
                inputs.append(_dataset(where, f"model/{source.digest}", source.digest))
            else:
                inputs.append(self._model(self.lineage.models[source.model]))
        # Only the end of a training is recorded: its beginning is not known here.
        yield self._event("START", "model.train", at, at, inputs, [])
        yield self._event("COMPLETE", "model.train", at, at, inputs, [self._model(model)])

    # ── datasets ────────────────────────────────────────────────────────────────────────────

    def _release(self, release: Release, version: Version) -> RunEvent:
        dataset = _dataset(self.namespace, f"release/{release.id}", version.manifest)
        known = self.figures.get(version.manifest)
        if known is None:
            return dataset
        facet = _facet(_STATISTICS, **known)
        return dataset | {"outputFacets": {"outputStatistics": facet}}

    def _copy(self, recipient: str, release: Release, version: int) -> RunEvent:
        return _dataset(
            f"{self.namespace}/recipient/{quote(recipient, safe='')}",
            f"release/{release.id}",
            _digest(release, version),
        )

    def _model(self, model: Model) -> RunEvent:
        namespace = f"{self.namespace}/recipient/{quote(model.owner, safe='')}"
        return _dataset(namespace, f"model/{model.digest}", model.digest)

    def _event(  # noqa: PLR0913, PLR0917 - what a run event is made of
        self,
        kind: str,
        job: str,
        began: tuple[int, Time],
        at: tuple[int, Time],
        inputs: list[RunEvent],
        outputs: list[RunEvent],
    ) -> _Placed:
        run = uuid5(NAMESPACE_URL, f"{self.namespace}/event/{began[0]}")
        # The figures of a dataset are told where it is made: as an input they have no place.
        bare = [{k: v for k, v in each.items() if k != "outputFacets"} for each in inputs]
        event = {
            "eventType": kind,
            "eventTime": when(at[1]),
            "run": {"runId": str(run)},
            "job": {"namespace": self.namespace, "name": job},
            "inputs": bare,
            "outputs": outputs,
            "producer": PRODUCER,
            "schemaURL": _RUN_EVENT,
        }
        return at[0], int(kind == "COMPLETE"), event


def _version(release: Release, number: int) -> Version:
    return next(each for each in release.versions if each.number == number)


def _digest(release: Release, number: int) -> str:
    """Return what names a version: its manifest, or the drop list that a recipient applied.

    A recipient may name a version that nobody knows here: then its number is all there is.
    """
    named = {each.number: each.digest for each in release.lists}
    named |= {each.number: each.manifest for each in release.versions}
    return named.get(number, str(number))


def _dataset(namespace: str, name: str, version: str) -> RunEvent:
    facet = _facet(_VERSION, datasetVersion=version)
    return {"namespace": namespace, "name": name, "facets": {"version": facet}}


def _facet(named: tuple[str, str], **said: object) -> RunEvent:
    name, version = named
    url = f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": url, **said}
