"""What a regulator is given about a region and a period: what held, what was done, what is owed.

One record, canonical JSON, and one page made from it. It has every public event that it speaks of
as the log has it, with the proof that it is there (C2SP tlog-proof), so that nothing has to be
taken on trust but the counts of private events, which the log holds as commitments only. It names
nobody: no account id is in it. Format: docs/reports.md. Source of the need: R45.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from letterlock.domain import (
    ANY,
    RegionTable,
    Rulebook,
    Span,
    sha256,
    text_of,
)
from letterlock.errors import UsageError
from letterlock.evidence.bundle import Logged
from letterlock.ledger import Event
from letterlock.lineage.graph import Duty, Lineage
from letterlock.policy.clauses import covers_place
from letterlock.policy.places import GROUPS, expand, is_place
from letterlock.reports.counts import Count, Region
from letterlock.reports.form import Field, Form, Section, listed, table

FORMAT: Final = "letterlock/regulator/v1"
TITLE: Final = "Export for a regulator"

Proved: TypeAlias = Callable[[int], Logged | None]
"""Returns an event as the log has it, with its proof; None if it is not published yet."""
Figures: TypeAlias = Callable[[str], Mapping[str, Any] | None]
"""Returns the manifest of this SHA-256; None if it is not kept here."""

NOT_IN_IT: Final = (
    "People, notices and choices are counted by the platform: the log has but commitments to them.",
    "A release says how many people are in it, not where they live.",
    "What happened to data outside of the gate is not known to this registry.",
)


@dataclass
class Export:
    """What is asked, and what the record is made from."""

    code: str
    span: Span
    rules: Rulebook
    lineage: Lineage
    events: Sequence[Event]
    region: Region
    proved: Proved
    figures: Figures
    origin: str
    upto: int
    unjudged: Mapping[str, Any] | None = None
    """What may narrow and no sweep has seen, as `gate.judged.Unjudged.record`; None: nothing."""
    spoken_of: set[int] = field(default_factory=set)

    @property
    def places(self) -> tuple[str, ...]:
        """Return the countries or subdivisions that the region stands for."""
        return expand([self.code])

    def record(self) -> dict[str, Any]:
        """Return the record. Nobody is named in it."""
        body = {
            "policies": list(self._policies()),
            "regions": list(self._regions()),
            "holds": list(self._holds()),
            "notices": [{"version": v, **_count(c)} for v, c in self.region.notices().items()],
            "objections": [
                {"version": v, **_count(c)} for v, c in self.region.objections().items()
            ],
            "choices": [
                {"act": act, "purpose": purpose, **_count(c)}
                for (act, purpose), c in self.region.choices().items()
            ],
            "releases": list(self._releases()),
            "deliveries": list(self._deliveries()),
            "obligations": list(self._obligations()),
            "unjudged": self.unjudged,
        }
        return {
            "format": FORMAT,
            "log": self.origin,
            "region": {"code": self.code, "places": list(self.places)},
            "from": text_of(self.span.start),
            "to": text_of(self.span.end),
            "as_of": text_of(self.rules.as_of),
            "upto": self.upto,
            **body,
            "events": [self._event(n) for n in sorted(self.spoken_of)],
            "not_in_it": list(NOT_IN_IT),
        }

    # ── what held ───────────────────────────────────────────────────────────────────────────

    def _policies(self) -> Iterator[dict[str, Any]]:
        for n, version in enumerate(self.rules.policies):
            later = self.rules.policies[n + 1 :]
            until = min((v.effective_at for v in later), default=self.span.end)
            if version.published_at >= self.span.end or until <= self.span.start:
                continue
            yield {
                "version": version.version,
                "published": text_of(version.published_at),
                "effective": text_of(version.effective_at),
                "texts": {n: sha256(t.encode()) for n, t in sorted(version.documents.items())},
                "event": self._named(version.index),
            }

    def _regions(self) -> Iterator[dict[str, Any]]:
        published = self._of("region.published")
        for n, (event, each) in enumerate(zip(published, self.rules.regions, strict=True)):
            later = self.rules.regions[n + 1 :]
            until = later[0].published_at if later else self.span.end
            if each.published_at >= self.span.end or until <= self.span.start:
                continue
            yield {
                "published": text_of(each.published_at),
                "ages": dict(self._ages(each)),
                "clauses": [c for c in (event.body or {})["clauses"] if self._concerns(c)],
                "event": self._named(event.index),
            }

    def _ages(self, said: RegionTable) -> Iterable[tuple[str, int]]:
        return sorted((p, age) for p, age in said.ages.items() if self._overlaps(p))

    def _holds(self) -> Iterator[dict[str, Any]]:
        """Tell each hold that stood in the period, if it concerns the region."""
        lifted = {(e.body or {}).get("hold"): e for e in self._of("hold.lifted")}
        standing = {hold.id: hold for hold in self.rules.holds}
        for event in self._of("hold.set"):
            body = event.body or {}
            end = lifted.get(body.get("hold"))
            if event.time >= self.span.end or (end is not None and end.time < self.span.start):
                continue
            if not any(self._concerns(clause) for clause in body.get("clauses", ())):
                continue
            yield {
                "hold": body.get("hold"),
                "order": body.get("order", ""),
                "locked": body.get("lock", False),
                "clauses": list(body.get("clauses", ())),
                "set": text_of(event.time),
                "lifted": None if end is None else text_of(end.time),
                "stands": body.get("hold") in standing,
                "event": self._named(event.index),
                "lifted_by": None if end is None else self._named(end.index),
            }

    # ── what was done ───────────────────────────────────────────────────────────────────────

    def _releases(self) -> Iterator[dict[str, Any]]:
        recalls = {(e.body or {}).get("release"): e for e in self._of("release.recalled")}
        for release in self.lineage.releases.values():
            for version in release.versions:
                if version.time not in self.span:
                    continue
                manifest = self.figures(version.manifest)
                recall = recalls.get(release.id)
                yield {
                    "release": release.id,
                    "version": version.number,
                    "purpose": release.purpose,
                    "recipient": self._recipient(release.recipient),
                    "sealed": text_of(version.time),
                    "people": version.members,
                    "counts": None if manifest is None else manifest["counts"],
                    "manifest": version.manifest,
                    "recalled": None if recall is None else text_of(recall.time),
                    "opened_event": self._named(release.opened),
                    "event": self._named(version.index),
                    "recalled_by": None if recall is None else self._named(recall.index),
                }

    def _deliveries(self) -> Iterator[dict[str, Any]]:
        for delivery in self.lineage.deliveries.values():
            if delivery.time not in self.span:
                continue
            acknowledged = [a for a in delivery.acknowledged if a.time < self.span.end]
            yield {
                "grant": delivery.grant,
                "release": delivery.release,
                "version": delivery.version,
                "purpose": delivery.purpose,
                "recipient": self._recipient(delivery.recipient),
                "delivered": text_of(delivery.time),
                "acknowledged": [text_of(a.time) for a in acknowledged],
                "event": self._named(delivery.index),
                "acknowledged_by": [self._named(a.index) for a in acknowledged],
            }

    def _obligations(self) -> Iterator[dict[str, Any]]:
        """Tell each duty that was owed in the period, and how it stands now."""
        for duty in self.lineage.duties.values():
            met = self.lineage.met.get(duty.index)
            ended = self.lineage.met_at.get(duty.index)
            if duty.since >= self.span.end or (ended is not None and ended < self.span.start):
                continue
            yield {
                "obligation": duty.id,
                "duty": duty.duty,
                "cause": duty.cause,
                "reasons": dict(sorted(duty.reasons.items())),
                "release": duty.release,
                "model": duty.model,
                "owner": duty.owner,
                "since": text_of(duty.since),
                "due": text_of(duty.due),
                "state": self._state(duty, met),
                "met": None if ended is None else text_of(ended),
                "event": self._named(duty.index),
                "evidence": None if met is None else self._named(met),
            }

    def _state(self, duty: Duty, met: int | None) -> str:
        if met is not None:
            return "met"
        return "overdue" if duty.due < self.rules.as_of else "open"

    # ── events and names ────────────────────────────────────────────────────────────────────

    def _named(self, index: int) -> int:
        """Note that the record speaks of an event, and return its index."""
        self.spoken_of.add(index)
        return index

    def _event(self, index: int) -> dict[str, Any]:
        logged = self.proved(index)
        if logged is None:
            return {"index": index, "entry": None, "proof": None}
        return {"index": index, "entry": logged.entry.decode(), "proof": logged.proof.decode()}

    def _of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind and event.body is not None]

    def _recipient(self, name: str) -> dict[str, str]:
        known = self.rules.recipients.get(name)
        kind = "" if known is None else known.recipient_class.value
        return {"id": name, "name": "" if known is None else known.name, "class": kind}

    def _concerns(self, clause: Mapping[str, Any]) -> bool:
        patterns = clause.get("jurisdictions", [ANY])
        return any(p == ANY or self._overlaps(p) for p in patterns)

    def _overlaps(self, pattern: str) -> bool:
        """Say whether a place and the region have anything in common."""
        return any(
            covers_place(p, place) or covers_place(place, p)
            for p in expand([pattern])
            for place in self.places
        )


def check_region(code: str) -> None:
    """Refuse what is no place and no group of places. Raises UsageError."""
    if code not in GROUPS and not is_place(code):
        raise UsageError(
            f"{code!r} is no region: write a code of ISO 3166 such as DE or US-CA, or one of "
            f"{', '.join(GROUPS)}"
        )


def page(record: Mapping[str, Any]) -> str:
    """Return the record as a page for people (Markdown)."""
    region = record["region"]
    proved = sum(each["proof"] is not None for each in record["events"])
    told = (
        f"Public events it speaks of: {len(record['events'])}; published, and proved in the JSON "
    )
    about = (
        f"Region {region['code']}, from {record['from']} to {record['to']}.",
        f"{told}record: {proved}.",
    )
    sections = (
        Section("1", "What held", (
            _rows("Policies", record["policies"], ("version", "published", "effective", "event")),
            _rows("Regional tables", [
                {**each, "clauses": ", ".join(c["id"] for c in each["clauses"]) or "none",
                 "ages": ", ".join(f"{p} {a}" for p, a in each["ages"].items()) or "not in it"}
                for each in record["regions"]
            ], ("published", "ages", "clauses", "event")),
            _rows("Holds", record["holds"], ("hold", "order", "set", "lifted", "locked", "event")),
        )),
        Section("2", "What people of the region were told, and chose", (
            _rows("Notices delivered", record["notices"], ("version", *_COUNTS)),
            _rows("Objections to a version", record["objections"], ("version", *_COUNTS)),
            _rows("Choices, by line", record["choices"], ("act", "purpose", *_COUNTS)),
        )),
        Section("3", "What left", (
            _rows("Releases sealed", [
                {**each, "recipient": each["recipient"]["name"],
                 "rows": "not known" if each["counts"] is None else each["counts"]["released"]}
                for each in record["releases"]
            ], ("release", "version", "purpose", "recipient", "sealed", "rows", "people", "event")),
            _rows("Deliveries", [
                {**each, "recipient": each["recipient"]["name"],
                 "acknowledged": ", ".join(each["acknowledged"]) or "not yet"}
                for each in record["deliveries"]
            ], ("release", "version", "recipient", "delivered", "acknowledged", "event")),
        )),
        Section("4", "What is owed", (
            _rows("Obligations", record["obligations"], (
                "obligation", "duty", "cause", "owner", "since", "due", "state", "evidence",
            )),
            _rows("Not judged yet", [record["unjudged"]] if record["unjudged"] else [], (
                "events", "since", "due", "command",
            )),
        )),
        Section("5", "What is not in it", (listed("Not shown", record["not_in_it"]),)),
    )  # fmt: skip
    form = Form("regulator", TITLE, about, record["log"], record["as_of"], record["upto"], sections)
    return form.page()


_COUNTS: Final = ("recorded", "people", "place_not_known")


def _rows(label: str, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> Field:
    titles = [column.replace("_", " ") for column in columns]
    return table(label, titles, ([_said(row[key]) for key in columns] for row in rows))


def _said(value: object) -> str | int:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, int) else str(value)


def _count(count: Count) -> dict[str, int]:
    return {"recorded": count.here, "people": count.people, "place_not_known": count.maybe}
