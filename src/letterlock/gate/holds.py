"""Holds: a regulator's stop acts at once; what it reaches is listed, and shown to the regulator."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc

from letterlock.domain import (
    ANY,
    BEGINNING,
    END,
    PURPOSES,
    Clause,
    FactKind,
    Level,
    Recipient,
    RecipientClass,
    Request,
    Rulebook,
    Signature,
    Span,
    Time,
    covers,
    names,
    sha256,
    text_of,
)
from letterlock.errors import LedgerError, UsageError, VerificationError, WorkspaceError
from letterlock.gate.releases import Releases
from letterlock.gate.workspace import silent
from letterlock.ledger import Draft, Event, clause_body, fold_rules, read_clause
from letterlock.policy.clauses import covers_place
from letterlock.policy.decide import recipient_of
from letterlock.policy.places import GROUPS, expand, is_place
from letterlock.release import manifest
from letterlock.release import purge as purging
from letterlock.release.build import Progress, by_reason, judge
from letterlock.release.kernel import ALLOW
from letterlock.release.plan import make_plan
from letterlock.reports.class_query import ClassQuery
from letterlock.sources.index import Source

FORMAT: Final = "letterlock/hold/v1"
CHECK: Final = (
    "Each event's commitment is SHA-256 of the text letterlock/commitment/v1, a zero byte, its "
    "salt and its canonical bytes."
)


@dataclass(frozen=True)
class Held:
    """A hold, standing or lifted."""

    id: str
    clauses: tuple[Clause, ...]
    lock: bool
    order: str
    index: int
    set_at: Time
    lifted_index: int | None = None
    lifted_at: Time | None = None
    lifted_by: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """Return the hold as JSON."""
        return {
            "hold": self.id,
            "stands": self.lifted_at is None,
            "lock": self.lock,
            "order": self.order,
            "clauses": [clause_body(clause) for clause in self.clauses],
            "set_at": text_of(self.set_at),
            "lifted_at": None if self.lifted_at is None else text_of(self.lifted_at),
            "lifted_by": list(self.lifted_by),
        }

    def speaks_of(self, purpose: str, recipient: Recipient) -> list[Clause]:
        """Return the clauses that stop this purpose and recipient."""
        known = {ANY, recipient.id, recipient.recipient_class.value}
        return [
            clause
            for clause in self.clauses
            if any(covers(p, purpose) for p in clause.purposes) and known & set(clause.recipients)
        ]


@dataclass(frozen=True)
class _Sealed:
    """A sealed release: what was asked, and when it was sealed with which manifest."""

    opening: Mapping[str, Any]
    index: int
    time: Time
    digest: str


class Holds(Releases):
    """The verbs about holds."""

    def set_hold(  # noqa: PLR0913 - what is stopped, for whom, since when, and by whose order
        self,
        name: str,
        *,
        regions: Sequence[str] = (),
        purposes: Sequence[str] = (),
        data_classes: Sequence[str] = (),
        recipients: Sequence[str] = (),
        start: Time = BEGINNING,
        end: Time = END,
        lock: bool = False,
        order: str = "",
    ) -> Held:
        """Stop whatever is of this scope, at once; what is left out stands for anything.

        A build that is running is judged again before it is sealed. Nobody has to approve a stop.
        Raises UsageError for a scope that nothing known can match.
        """
        if not name.strip():
            raise UsageError("a hold needs a name")
        if start >= end:
            raise UsageError(f"from {text_of(start)} to {text_of(end)} is no period")
        self._check_scope(regions, purposes, data_classes, recipients)
        clause = Clause(
            "stop",
            Level.NEVER,
            _alternatives(data_classes),
            _alternatives(purposes),
            _alternatives(recipients),
            _alternatives(expand(regions)),
            span=Span(start, end),
        )
        body = {"hold": name, "clauses": [clause_body(clause)], "lock": lock, "order": order}
        with self._writing():
            # Lifting is signed by name: a name used twice could be lifted by old signatures.
            if earlier := [held for held in self.holds() if held.id == name]:
                raise UsageError(
                    f"hold {name} was set on {text_of(earlier[0].set_at)}: give this one a name "
                    "of its own"
                )
            head = self.store.append([Draft("hold.set", body)], now=self.now())
        return Held(name, (clause,), lock, order, head.index, head.time)

    def lift_hold(self, name: str, signatures: Iterable[Signature]) -> None:
        """Lift a hold, as two operators signed. Raises LedgerError for a lock, ApprovalError."""
        held = self.hold(name)
        if held.lock:
            raise LedgerError(f"hold {name} is locked: it can never be lifted")
        if held.lifted_at is not None:
            raise UsageError(f"hold {name} was lifted on {text_of(held.lifted_at)}")
        self.record_approved("hold.lifted", {"hold": name}, signatures)

    def holds(self) -> list[Held]:
        """Return every hold ever set, in order."""
        found: list[Held] = []
        for event in self.store.events(upto=self.store.head().index):
            body = event.body or {}
            if event.kind == "hold.set":
                found.append(_held(event, body))
            elif event.kind == "hold.lifted":
                last = max(n for n, held in enumerate(found) if held.id == body["hold"])
                found[last] = replace(
                    found[last],
                    lifted_index=event.index,
                    lifted_at=event.time,
                    lifted_by=tuple(s["operator"] for s in body.get("signatures", ())),
                )
        return found

    def hold(self, name: str) -> Held:
        """Return a hold, standing or lifted. Raises UsageError if there is none."""
        found = [held for held in self.holds() if held.id == name]
        if not found:
            known = names({held.id for held in self.holds()}) or "none yet"
            raise UsageError(f"no hold {name!r}; there is: {known}")
        return found[-1]

    # ── what a hold may speak of ────────────────────────────────────────────────────────────

    def _check_scope(
        self,
        regions: Sequence[str],
        purposes: Sequence[str],
        data_classes: Sequence[str],
        recipients: Sequence[str],
    ) -> None:
        """Raise UsageError for a word that nothing known is meant by; it says what there is."""
        rules = self.rules()
        classes = [kind.value for kind in RecipientClass]
        _check("purpose", purposes, covers, PURPOSES)
        _check("data class", data_classes, covers, sorted(rules.data_classes))
        everybody = [*sorted(rules.recipients), *classes]
        _check("recipient", recipients, lambda said, one: said == one, everybody)
        self.check_places(region for region in regions if region != ANY)

    def check_places(self, regions: Iterable[str]) -> None:
        """Raise UsageError for what is no place, or one of which nothing here can be."""
        regions, rules = list(regions), self.rules()
        for region in regions:
            if region not in GROUPS and not is_place(region):
                raise UsageError(
                    f"unknown region {region!r}: write it as ISO 3166 does, such as GB or US-CA, "
                    f"or as a group: {names(GROUPS)}; known here: {names(self._places(rules))}"
                )
        known = sorted(self._places(rules)) if regions else []
        for region in regions:
            places = expand([region])
            if not any(covers_place(pattern, place) for pattern in places for place in known):
                raise UsageError(
                    f"nobody is known to live in {region}, and no regional table lists it: "
                    f"nothing would match; there is: {', '.join(known) or 'none yet'}"
                )

    def check_class(self, query: ClassQuery) -> None:
        """Raise UsageError for a data class or a contract of a query that nothing here ever named.

        A contract is known if it has terms, a policy names it, or somebody ever had it.
        """
        rules = self.rules()
        _check("data class", [query.data_class], covers, sorted(rules.data_classes))
        published = (clause for policy in rules.policies for clause in policy.clauses)
        named = {name for clause in published for name in clause.contracts}
        known = {*rules.contracts, *named, *self._values(FactKind.CONTRACT)} - {ANY}
        _check("contract", query.contracts, lambda said, one: said == one, sorted(known))

    def _places(self, rules: Rulebook) -> set[str]:
        """Return every place that a regional table lists, or that somebody was ever in."""
        listed = {place for table in rules.regions for place in table.ages}
        return listed | self._values(FactKind.JURISDICTION)

    def _values(self, kind: FactKind) -> set[str]:
        """Return every value that a fact of this kind ever had, of anybody."""
        symbols = self.store.symbols()
        head = self.store.head()
        facts = self.store.columns(
            "fact", ("value",), as_of=head.time, upto=head.index,
            where=f"kind = {symbols.get(kind, -1)}",
        )  # fmt: skip
        numbers = set(pc.unique(facts.column("value")).to_pylist())
        return {value for value, number in symbols.items() if number in numbers}

    # ── the purge list ──────────────────────────────────────────────────────────────────────

    def purge(self, name: str, out: Path, *, progress: Progress = silent) -> dict[str, Any]:
        """List what a hold reaches into the new folder `out`, for the platform to erase.

        Nothing is erased. Returns the manifest. Raises UsageError if `out` is there already.
        """
        held = self.hold(name)
        if out.exists():
            raise UsageError(f"{out} is there already: a purge list takes a new folder")
        sources, as_of, head = self.sources(), self._as_of(None), self.store.head()
        reach = purging.Reach(self.store, held.clauses, as_of=as_of, upto=head.index)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
            try:
                counts, files = purging.write_lists(reach, held.clauses, sources, work, progress)
                for source in sources:
                    source.check_unchanged()
                releases = [self._affected(s, held, reach, sources) for s in self._sealed(held)]
                about = {"hold": held.record(), "as_of": text_of(as_of), "upto": head.index}
                data = purging.manifest(about, counts, releases, files)
                (work / purging.NAME).write_bytes(data)
                work.rename(out)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        except OSError as error:
            raise WorkspaceError(f"no list was made: {error}") from error
        found: dict[str, Any] = json.loads(data)
        return found

    def _sealed(self, held: Held) -> list[_Sealed]:
        """Return the releases sealed for a purpose and recipient that the hold speaks of."""
        recipients, opened, found = self.rules().recipients, {}, []
        for event in self.store.events(upto=self.store.head().index):
            body = event.body or {}
            if event.kind == "release.opened":
                opened[body["release"]] = body
            elif event.kind == "release.sealed":
                opening = opened[body["release"]]
                if held.speaks_of(opening["purpose"], recipients[opening["recipient"]]):
                    found.append(_Sealed(opening, event.index, event.time, body["manifest"]))
        return found

    def _affected(
        self, sealed: _Sealed, held: Held, reach: purging.Reach, registered: Sequence[Source]
    ) -> dict[str, Any]:
        """Say how many rows of a release the hold reaches, or why that cannot be told.

        Who is in it follows from judging again as of its T what it was made from.
        """
        opening, by_name = sealed.opening, {source.name: source for source in registered}
        record = {
            "release": opening["release"], "purpose": opening["purpose"],
            "recipient": opening["recipient"], "as_of": text_of(opening["as_of"]),
            "sealed_at": text_of(sealed.time),
        }  # fmt: skip

        def untold(why: str) -> dict[str, Any]:
            return {**record, "rows": None, "matched": None, "unclear": None, "why": why}

        for name, fingerprint in opening["sources"]:
            if name not in by_name or by_name[name].fingerprint != fingerprint:
                return untold(f"cannot be told: source {name} is not what it was made from")
        sources = [by_name[name] for name, _ in opening["sources"]]
        rules = fold_rules(self.store.events(upto=opening["upto"]), opening["as_of"])
        request = Request(opening["purpose"], opening["recipient"])
        kinds = [kind for source in sources for kind in source.kinds]
        recipient = recipient_of(request, rules)
        plan = make_plan(self.store, rules, request.purpose, recipient, kinds, upto=opening["upto"])
        verdicts = judge(plan, sources, silent)
        rows = int(verdicts.counts()[ALLOW])
        said = self._counts(sealed)
        if said is None and self._erased_since(opening["upto"]):
            return untold("cannot be told: its manifest is gone, and events were erased since")
        if said is not None and said["released"] != rows:
            return untold(f"cannot be told: judged again, {rows} rows would be in it")
        found = purging.affected(
            reach, held.speaks_of(request.purpose, recipient), sources, verdicts
        )
        return {**record, "rows": rows, "matched": found.matched, "unclear": found.unclear}

    def _counts(self, sealed: _Sealed) -> dict[str, Any] | None:
        """Return the counts of a release's manifest; None if it is not there as it was sealed."""
        folder = self.folder / "releases" / sealed.opening["release"]
        try:
            record = manifest.read(folder)
            data = (folder / manifest.OUTGOING / manifest.NAME).read_bytes()
        except (VerificationError, OSError):
            return None
        counts: dict[str, Any] = record["counts"]
        return counts if sha256(data) == sealed.digest else None

    def _erased_since(self, index: int) -> bool:
        events = self.store.events(upto=self.store.head().index)
        return any(event.kind == "event.erased" and event.index > index for event in events)

    # ── for the regulator ───────────────────────────────────────────────────────────────────

    def export_hold(self, name: str, out: Path, *, progress: Progress = silent) -> dict[str, Any]:
        """Write what a regulator asks of a hold into the new file `out`; returns it.

        It names no account. Raises UsageError if `out` is there already.
        """
        held, rules = self.hold(name), self.rules()
        if out.exists():
            raise UsageError(f"{out} is there already: an export takes a new file")
        tables = self._tables(held)
        indexes = [held.index, *(t["index"] for t in tables)]
        indexes += [] if held.lifted_index is None else [held.lifted_index]
        record = {
            "format": FORMAT,
            "simulated": self.simulated,
            "made_at": text_of(rules.as_of),
            "hold": held.record(),
            "operators": {o: rules.operators[o].key for o in held.lifted_by},
            "events": self._openings(sorted(indexes)),
            "check": CHECK,
            "regional_tables": tables,
            "releases": [
                {
                    "release": sealed.opening["release"],
                    "purpose": sealed.opening["purpose"],
                    "recipient": sealed.opening["recipient"],
                    "as_of": text_of(sealed.opening["as_of"]),
                    "sealed_at": text_of(sealed.time),
                    "sealed": "before" if sealed.index < held.index else "after",
                    "manifest_sha256": sealed.digest,
                    "counts": self._counts(sealed),
                }
                for sealed in self._sealed(held)
            ],
            "today": list(self._today(held, rules, progress)),
        }
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with out.open("x", encoding="utf-8") as file:
                file.write(json.dumps(record, ensure_ascii=False, indent=2) + "\n")
        except OSError as error:
            raise WorkspaceError(f"nothing was exported: {error}") from error
        return record

    def _openings(self, indexes: Sequence[int]) -> list[dict[str, Any]]:
        """Return events with their bytes, salts and commitments, so that each can be checked."""
        return [
            {
                "index": event.index,
                "time": text_of(event.time),
                "kind": event.kind,
                "canonical": event.canonical().hex(),
                "salt": salt.hex(),
                "commitment": commitment.hex(),
            }
            for event, salt, commitment in self.store.openings(
                upto=self.store.head().index, only=indexes
            )
        ]

    def _tables(self, held: Held) -> list[dict[str, Any]]:
        """Return each version of the regional table, as far as it concerns the hold's regions."""
        patterns = [pattern for clause in held.clauses for pattern in clause.jurisdictions]

        def concerns(place: str) -> bool:
            return any(covers_place(p, place) or covers_place(place, p) for p in patterns)

        found = []
        for event in self.store.events(upto=self.store.head().index):
            if event.kind == "region.published" and event.body is not None:
                clauses = [read_clause(clause) for clause in event.body["clauses"]]
                ages = {place: age for place, age in event.body["ages"].items() if concerns(place)}
                about = [c for c in clauses if any(concerns(place) for place in c.jurisdictions)]
                found.append(
                    {
                        "index": event.index, "published_at": text_of(event.time), "ages": ages,
                        "clauses": [clause_body(clause) for clause in about],
                    }
                )  # fmt: skip
        return found

    def _today(self, held: Held, rules: Rulebook, progress: Progress) -> Iterator[dict[str, Any]]:
        """Say what would go and stay today, for each purpose and recipient that is stopped.

        `reached` of what would go is of the hold: 0 for as long as it stands.
        """
        if not any((self.folder / "index").glob("[!.]*")):
            return
        sources, head = self.sources(), self.store.head()
        reach = purging.Reach(self.store, held.clauses, as_of=rules.as_of, upto=head.index)
        for purpose, recipient in product(PURPOSES, rules.recipients.values()):
            clauses = held.speaks_of(purpose, recipient)
            if not clauses:
                continue
            plan = self._plan(Request(purpose, recipient.id), rules, sources, progress)
            verdicts = judge(plan, sources, progress)
            counts = verdicts.counts()
            yield {
                "purpose": purpose,
                "recipient": recipient.id,
                "items": int(counts.sum()),
                "released": int(counts[ALLOW]),
                "reached": purging.affected(reach, clauses, sources, verdicts).matched,
                "withheld": {r.name.lower(): n for r, n in sorted(by_reason(counts).items())},
            }


def _held(event: Event, body: Mapping[str, Any]) -> Held:
    clauses = tuple(read_clause(clause) for clause in body["clauses"])
    lock, order = body.get("lock", False), body.get("order", "")
    return Held(body["hold"], clauses, lock, order, event.index, event.time)


def _alternatives(said: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(said)) or (ANY,)


def _check(
    what: str, said: Iterable[str], means: Callable[[str, str], bool], known: Sequence[str]
) -> None:
    for word in said:
        if word != ANY and not any(means(word, one) for one in known):
            raise UsageError(f"unknown {what} {word!r}; there is: {', '.join(known) or 'none yet'}")
