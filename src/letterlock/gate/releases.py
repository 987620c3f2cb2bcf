"""Releases: judging what may go, and letting it go."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import abc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from letterlock.domain import (
    Item,
    Reason,
    Recipient,
    Request,
    Rulebook,
    Time,
    sha256,
    text_of,
    time_of,
)
from letterlock.errors import HeadMoved, ReleaseError, UsageError, WorkspaceError
from letterlock.evidence.entries import entries_of
from letterlock.gate.drops import Drops
from letterlock.gate.policies import drafts_of
from letterlock.gate.workspace import silent
from letterlock.ledger import Draft, Event, fold_rules
from letterlock.policy.decide import Decision, decide, recipient_of
from letterlock.policy.document import read as read_document
from letterlock.record import memberset, merkle
from letterlock.record.tlog import MAX_ENTRY
from letterlock.release import build as building
from letterlock.release import manifest
from letterlock.release.build import (
    SHARDS,
    Naming,
    Progress,
    Verdicts,
    by_reason,
    judge,
    present_in,
)
from letterlock.release.impact import Impact, impact
from letterlock.release.kernel import ALLOW, reason_and_role
from letterlock.release.manifest import Logged, Opening
from letterlock.release.plan import Plan, make_plan, read_columns
from letterlock.sources.index import Source, write_index
from letterlock.sources.mapping import Mapping
from letterlock.sources.table import Table

Files = abc.Mapping[str, bytes]
"""The files of a policy's folder."""

ATTEMPTS: Final = 3
"""How often a build starts over because somebody in it said no meanwhile."""


@dataclass(frozen=True)
class Outcome:
    """What would go and what would stay, and why; `people` are in what would go."""

    purpose: str
    recipient: Recipient
    as_of: Time
    items: int
    withheld: dict[Reason, int]
    people: int

    @property
    def released(self) -> int:
        """Return how many items may go."""
        return self.items - sum(self.withheld.values())


@dataclass(frozen=True)
class Built:
    """A sealed release."""

    release: str
    folder: Path
    record: dict[str, Any]


@dataclass(frozen=True)
class Checked:
    """What a table would have to leave out: row number, id, reason and role of each."""

    outcome: Outcome
    denied: list[tuple[int, str, str, str]]


def outcome_of(plan: Plan, sources: Sequence[Source], verdicts: Verdicts) -> Outcome:
    """Count what was judged."""
    counts = verdicts.counts()
    people = int(present_in(sources, verdicts, plan.size).sum())
    request = (plan.purpose, plan.recipient, plan.rules.as_of)
    return Outcome(*request, int(counts.sum()), by_reason(counts), people)


class Releases(Drops):
    """The verbs about releases."""

    def plan(
        self,
        purpose: str,
        recipient: str,
        *,
        as_of: Time | None = None,
        names: Sequence[str] = (),
        progress: Progress = silent,
    ) -> Outcome:
        """Say what would go and what would stay, without building anything."""
        return outcome_of(*self.judged(purpose, recipient, as_of, names, progress))

    def impact(  # noqa: PLR0913 - a policy, what is asked of it, of which items, and progress
        self,
        files: Files,
        folder: str,
        purpose: str,
        recipient: str,
        *,
        names: Sequence[str] = (),
        progress: Progress = silent,
    ) -> Impact:
        """Say for how many people and items a policy, not yet published, would change the answer.

        Raises PolicyError if the folder's policy.toml cannot be used.
        """
        head, before = self.store.head(), self.rules()
        drafts = drafts_of(read_document(files, folder), before.as_of, before)
        *brought, version = [
            Event(head.index + n, before.as_of, draft.kind, draft.body)
            for n, draft in enumerate(drafts, 1)
        ]
        recorded = [*self.store.events(upto=head.index), *brought]
        after = fold_rules(recorded, before.as_of, admit=version)
        to = recipient_of(Request(purpose, recipient), after)
        sources = self.sources(names)
        read = read_columns(self.store, [(purpose, to)], as_of=before.as_of, upto=head.index)
        return impact(read, sources, purpose, to, before=before, after=after, progress=progress)

    def judged(
        self,
        purpose: str,
        recipient: str,
        as_of: Time | None = None,
        names: Sequence[str] = (),
        progress: Progress = silent,
    ) -> tuple[Plan, list[Source], Verdicts]:
        """Judge every item of the sources, without building anything."""
        request, rules = Request(purpose, recipient), self.rules(as_of)
        recipient_of(request, rules)
        sources = self.sources(names)
        plan = self._plan(request, rules, sources, progress)
        return plan, sources, judge(plan, sources, progress)

    def explain(
        self, item: str, purpose: str, recipient: str, *, as_of: Time | None = None
    ) -> list[tuple[str, Item, Decision]]:
        """Decide one item, found by its id in any source: (source, item, decision) each."""
        ids = self.store.subject_ids()
        found = [(s.name, i) for s in self.sources() for i in s.find(item, ids)]
        if not found:
            raise UsageError(f"no registered source has an item {item!r}")
        request = Request(purpose, recipient)
        asked = sorted({p.subject for _, i in found for p in i.parties if p.subject is not None})
        state = self.state(asked, as_of)
        return [(name, i, decide(request, i, state)) for name, i in found]

    def check(
        self,
        path: Path,
        mapping: Mapping,
        purpose: str,
        recipient: str,
        *,
        as_of: Time | None = None,
    ) -> Checked:
        """Judge an existing export, and say what should not be in it (shadow mode)."""
        rules = self.rules(as_of)
        with self._scratch() as folder:
            write_index(Table(path, mapping), folder, self.store)
            source = Source(path.name, folder)
            plan = self._plan(Request(purpose, recipient), rules, [source], silent)
            verdicts = judge(plan, [source], silent)
            denied: list[tuple[int, str, str, str]] = []
            first = 0
            for group, code in enumerate(verdicts.codes[0]):
                stays = np.flatnonzero(code != ALLOW)
                ids = [i for part in source.payload(group) for i in part.column(0).to_pylist()]
                for row, c in zip(stays.tolist(), code[stays].tolist(), strict=True):
                    reason, role = reason_and_role(c)
                    names = [x.name.lower() if x is not None else "" for x in (reason, role)]
                    denied.append((first + row + 1, str(ids[row]), names[0], names[1]))
                first += len(code)
            outcome = outcome_of(plan, [source], verdicts)
        return Checked(outcome, denied)

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """Give a folder that is gone afterwards. Raises WorkspaceError if the disk refuses."""
        try:
            with tempfile.TemporaryDirectory(dir=self.folder, prefix=".check-") as name:
                yield Path(name)
        except OSError as error:
            raise WorkspaceError(f"nothing was checked: {error}") from error

    def _plan(
        self, request: Request, rules: Rulebook, sources: Sequence[Source], progress: Progress
    ) -> Plan:
        recipient = recipient_of(request, rules)
        kinds = [kind for source in sources for kind in source.kinds]
        return make_plan(
            self.store, rules, request.purpose, recipient, kinds,
            upto=self.store.head().index,
            progress=lambda done, total: progress("folding", done, total),
        )  # fmt: skip

    # ── building ────────────────────────────────────────────────────────────────────────────

    def build(  # noqa: PLR0913 - what, for whom, as of when, from where, and how
        self,
        purpose: str,
        recipient: str,
        *,
        as_of: Time | None = None,
        names: Sequence[str] = (),
        threads: int = 2,
        progress: Progress = silent,
    ) -> Built:
        """Build and seal a release.

        Raises ReleaseError if none came of it, GateClosed while something is overdue.
        """
        self.sweep(purpose, recipient, progress=progress)
        self.check_open(purpose, recipient)
        try:
            with self._one_build():
                for _ in range(ATTEMPTS):
                    request = Request(purpose, recipient)
                    built = self._attempt(request, as_of, names, threads, progress)
                    if built is not None:
                        return built
                    if as_of is not None:
                        raise ReleaseError(
                            f"since {text_of(as_of)} people in it said no; nothing was sealed. "
                            "Build as of now"
                        )
        except OSError as error:
            raise ReleaseError(f"nothing was released: {error}") from error
        raise ReleaseError(
            f"people in it said no while it was built, {ATTEMPTS} times over; nothing was sealed. "
            "Build again, or fewer sources at a time"
        )

    def _attempt(
        self,
        request: Request,
        as_of: Time | None,
        names: Sequence[str],
        threads: int,
        progress: Progress,
    ) -> Built | None:
        """Build once; None if somebody's no overtook it."""
        sources = self.sources(names)
        while True:
            try:
                opening, rules, looked_at, logged = self._open(request, as_of, sources)
            except HeadMoved:
                continue
            break
        target = self.folder / "releases" / opening.id
        plan = self._plan(request, rules, sources, progress)
        verdicts = judge(plan, sources, progress)
        work = self.folder / "releases" / f".{opening.id}"
        sealing = False
        try:
            work.mkdir()
            naming = self._naming(logged, threads, progress)
            data = building.build(
                opening, plan, verdicts, sources, self.store, naming, work,
                threads=threads, progress=progress,
            )  # fmt: skip
            for source in sources:
                source.check_unchanged()
            sealing = True
            if not self._seal(request, opening, looked_at, data, sources, verdicts, progress):
                return None
            work.rename(target)
        finally:
            if not sealing:
                shutil.rmtree(work, ignore_errors=True)
            elif work.exists():  # the ledger knows whether it was sealed before what stopped it
                self._recover(work)
        return Built(opening.id, target, manifest.read(target))

    def _open(
        self, request: Request, as_of: Time | None, sources: Sequence[Source]
    ) -> tuple[Opening, Rulebook, int, Logged]:
        """Record that a release is opened; returns also up to which event all was seen as of T.

        Raises HeadMoved if somebody recorded in between, or introduced another key.
        """
        head = self.store.head()
        key, _ = self.vrf_key()
        rules = fold_rules(self.store.events(upto=head.index), self._as_of(as_of))
        opening = Opening(
            request.purpose, recipient_of(request, rules), rules.as_of, head.index,
            [(s.name, s.fingerprint) for s in sources], SHARDS, self.simulated,
        )  # fmt: skip
        target = self.folder / "releases" / opening.id
        if target.exists():
            raise ReleaseError(
                f"{target} is there already: the same request gives the same release"
            )
        opened_at, draft = max(self.now(), rules.as_of), Draft("release.opened", opening.body())
        event = Event(head.index + 1, opened_at, draft.kind, draft.body)
        if len(event.canonical()) > MAX_ENTRY:
            raise ReleaseError(
                f"{len(sources)} sources are too many for one release: its opening would be larger "
                f"than the {MAX_ENTRY} bytes of a log entry"
            )
        with self._writing():
            opened = self.store.append([draft], now=opened_at, expect=head.index)
        seen = opened.index if head.time <= rules.as_of else -1
        (written,) = entries_of(self.store.entries(opened.index, upto=opened.index))
        return opening, rules, seen, Logged(opened.index, merkle.leaf_hash(written.entry), key)

    def _naming(self, logged: Logged, threads: int, progress: Progress) -> Naming:
        """Return what names people in the release that was opened there."""
        scope = memberset.scope(self.origin, logged.opened, logged.leaf)
        tokens = self.tokens(logged.key)
        return Naming(logged, scope, partial(tokens.of, threads=threads, progress=progress))

    def _seal(  # noqa: PLR0913, PLR0917 - what was built, from what, and what was looked at
        self,
        request: Request,
        opening: Opening,
        looked_at: int,
        data: bytes,
        sources: Sequence[Source],
        verdicts: Verdicts,
        progress: Progress,
    ) -> bool:
        """Seal against every event recorded since T; False if one of them narrows the release.

        Compare-and-set on the head: what is recorded in between is looked at too.
        """
        record = json.loads(data)
        said = {key: record["member_set"][key] for key in ("opened", "key", "depth", "root")}
        body = {
            "release": opening.id,
            "manifest": sha256(data),
            "members": record["members"],
            **said,
        }
        while True:
            head = self.store.head()
            now = max(self.now(), head.time)
            if head.index > looked_at:
                rules = fold_rules(self.store.events(upto=head.index), now)
                plan = self._plan(request, rules, sources, progress)
                if judge(plan, sources, progress).narrower_than(verdicts):
                    return False
                looked_at = head.index
            self.publish_blob(data)
            try:
                sealed = Draft("release.sealed", {**body, "checked": head.index})
                with self._writing():
                    self.store.append([sealed], now=now, expect=head.index)
            except HeadMoved:
                continue
            return True

    def outcome_of(self, built: Built) -> Outcome:
        """Return a release's counts as an outcome."""
        counts = built.record["counts"]
        withheld = {Reason[name.upper()]: n for name, n in counts["by_reason"].items()}
        recipient = self.rules().recipients[built.record["recipient"]["id"]]
        as_of = time_of(built.record["as_of"])
        return Outcome(
            built.record["purpose"],
            recipient,
            as_of,
            counts["items"],
            withheld,
            built.record["members"],
        )
