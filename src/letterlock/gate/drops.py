"""Who has to be dropped from what was handed over: judged again, listed, published, superseded.

A sweep judges every delivered release as of now. Whoever in it is denied on her own account is put
on the release's next drop list, with the duties that follow, in one append; so a duty exists from
the moment that its list does. Spec: docs/spec/drops.md.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from letterlock.domain import Reason, Time, sha256
from letterlock.errors import (
    HeadMoved,
    LetterlockError,
    LogError,
    ReleaseError,
    UsageError,
    VerificationError,
    WorkspaceError,
    reason,
)
from letterlock.evidence.entries import entries_of
from letterlock.gate.items import Items
from letterlock.gate.judged import NARROWING, Judged, in_care, is_used
from letterlock.gate.log import Ask
from letterlock.gate.obligations import Obligations
from letterlock.gate.workspace import silent
from letterlock.handover import feed, logged
from letterlock.handover.feed import DropList, Head
from letterlock.ledger import Draft, Event, fold_rules
from letterlock.lineage import duties
from letterlock.lineage.graph import DropList as Published
from letterlock.lineage.graph import Release
from letterlock.record import memberset, merkle
from letterlock.record.memberset import NAME_SIZE
from letterlock.release import manifest
from letterlock.release.affected import Affected, Released, affected, released_in
from letterlock.release.build import Progress
from letterlock.release.plan import make_plan
from letterlock.release.supersede import keep_private, left_after, read_names, rewrite
from letterlock.release.verify import check_hash
from letterlock.sources.index import Indexed, item_keys
from letterlock.store import files
from letterlock.store.witnesses import gather

OLD: Final = ".old"
"""What the name of a superseded version ends in, until it is gone."""
_LOCK: Final = "drops.lock"
_TIMES: Final = frozenset({"expires", "from", "to", "effective_at"})


@dataclass(frozen=True, slots=True)
class Swept:
    """A drop list that a sweep made: how many people it adds, by reason, and the list itself."""

    release: str
    number: int
    reasons: Mapping[Reason, int]
    since: Time
    rows: int
    members: int


@dataclass(frozen=True, slots=True)
class Superseded:
    """A release's new version, in its place: its manifest's record, and the bytes written anew."""

    release: str
    version: int
    record: Mapping[str, Any]
    written: int


class Drops(Items, Obligations, Judged):
    """The verbs about drop lists."""

    # ── who has to be dropped ───────────────────────────────────────────────────────────────

    def sweep(
        self,
        purpose: str | None = None,
        recipient: str | None = None,
        *,
        progress: Progress = silent,
    ) -> list[Swept]:
        """Judge what was delivered (for a purpose and recipient) as of now; list whom to drop.

        So is what a model learned from without a delivery: the release lies here, for its makers.

        What is owed for it is recorded with the list. Raises the error of a release that cannot be
        judged, once all others are.
        """
        found, failed = self._sweep(purpose, recipient, progress)
        for error in failed.values():
            raise error
        return found

    def _sweep(
        self, purpose: str | None, recipient: str | None, progress: Progress
    ) -> tuple[list[Swept], dict[str, LetterlockError]]:
        found: list[Swept] = []
        failed: dict[str, LetterlockError] = {}
        asked = [
            release.id
            for release in in_care(self.lineage())
            if purpose in {None, release.purpose} and recipient in {None, release.recipient}
        ]
        if not asked:
            return found, failed
        with self._dropping():
            for name in asked:
                try:
                    swept = self._swept(name, progress)
                except LetterlockError as error:
                    failed[name] = error
                else:
                    found += [swept] if swept is not None else []
            if found:
                self.settle()
        return found, failed

    def _swept(self, name: str, progress: Progress) -> Swept | None:
        """Sweep one release, as often as somebody records meanwhile."""
        self._finish(name)
        while True:
            try:
                return self._sweep_one(self._release(name), progress)
            except HeadMoved:
                continue

    def _sweep_one(self, release: Release, progress: Progress) -> Swept | None:
        head = self.store.head()
        now = max(self.now(), head.time)
        went = released_in(self._place(release), item_keys)
        judge = partial(self.denied_in, release, went=went, progress=progress)
        found = judge(head.index, now)
        if not len(found.subjects):
            return None
        named = self._named_in(release, found)
        before = self._dropped(release, release.dropped_to)
        table = read_names(self._place(release) / manifest.OUTGOING / manifest.MEMBERS)
        there = table.there
        if release.dropped_to > release.current.number:
            there = left_after(self._place(release), before).there
        left = np.frombuffer(table.of(there), f"V{NAME_SIZE}")
        inside = np.isin(np.frombuffer(b"".join(named), f"V{NAME_SIZE}"), left).tolist()
        new = {name: named[name] for name, here in zip(named, inside, strict=True) if here}
        if not new:
            return None
        kept = np.isin(found.subjects, list(new.values()))
        adds = Affected(found.subjects[kept], found.reasons[kept])
        since = self._since(release, adds, judge, head.index, now)
        return self._record_list(release, frozenset(before | new.keys()), adds, since, head.index)

    def _record_list(
        self, release: Release, drop: frozenset[bytes], adds: Affected, since: Time, upto: int
    ) -> Swept:
        """Write the next drop list of a release, and record it with what is owed for it."""
        left = left_after(self._place(release), drop)
        number, counts = release.dropped_to + 1, adds.counts()
        drops = DropList(self.origin, release.id, number, b"".join(sorted(drop)))
        # Written first: a list that was recorded and is not there would stop every reader.
        self._write_feed(release.id, feed.list_name(number), drops.encode())
        body = {
            "release": release.id, "version": number, "list": drops.digest,
            "dropped": drops.count, "members": left.members, "depth": left.depth,
            "root": left.root, "rows": left.rows, "upto": upto,
        }  # fmt: skip
        reasons = {reason.name.lower(): n for reason, n in counts.items()}
        with self._writing():
            if self.store.head().index != upto:
                raise HeadMoved("somebody recorded something while a release was judged")
            owed = duties.for_drops(
                self.lineage(), release.id, number, since, reasons, self._policies()
            )
            self._append_linked([*owed, Draft("drops.published", body)])
        return Swept(release.id, number, counts, since, left.rows, left.members)

    def denied_in(
        self,
        release: Release,
        upto: int,
        as_of: Time,
        *,
        went: Released,
        progress: Progress = silent,
    ) -> Affected:
        """Find who in the rows that went with a release is denied as of then."""
        rules = fold_rules(self.store.events(upto=upto), as_of)
        sources = self._sources_of(release)
        kinds = [kind for source in sources for kind in source.kinds]
        recipient = rules.recipients[release.recipient]
        plan = make_plan(
            self.store, rules, release.purpose, recipient, kinds, upto=upto,
            progress=lambda done, total: progress("folding", done, total),
        )  # fmt: skip
        return affected(plan, sources, went, len(self.store.subject_ids()))

    def _sources_of(self, release: Release) -> list[Indexed]:
        """Open the indexes that a release was made by. Raises ReleaseError if one is gone."""
        found = []
        for name, fingerprint in release.sources:
            index = self.index_of(name, fingerprint)
            if index is None:
                raise ReleaseError(
                    f"release {release.id}: the index of source {name} is gone, so who is in which "
                    "of its rows cannot be told. Register the table again that the release was "
                    "made from, or recall the release"
                )
            found.append(index)
        return found

    def _place(self, release: Release) -> Path:
        """Return the folder of a release, whose manifest is the one that was sealed last.

        So are the two tables that say who is in it: a name altered there would be on no list.
        Raises VerificationError.
        """
        folder = self.folder / "releases" / release.id
        data = manifest.content(folder)
        if sha256(data) != release.current.manifest:
            raise VerificationError(f"{folder} is not what was sealed")
        record = manifest.parse(data)
        (withheld,) = record["private"]
        check_hash(folder / manifest.PRIVATE, manifest.WITHHELD, withheld)
        for entry in record["files"]:
            if entry["path"] == manifest.MEMBERS:
                check_hash(folder / manifest.OUTGOING, manifest.MEMBERS, entry)
        return folder

    def _named_in(self, release: Release, found: Affected) -> dict[bytes, int]:
        """Return the pseudonyms of people in a release, with their subject numbers.

        Nothing of it is kept: some of them may have been erased.
        """
        if not len(found.subjects):
            return {}
        secret, ids = self.vrf_secret(release.key), self.store.subject_ids()
        (opening,) = entries_of(self.store.entries(release.opened, upto=release.opened))
        scope = memberset.scope(self.origin, release.opened, merkle.leaf_hash(opening.entry))
        return {
            memberset.pseudonym(scope, secret.token(memberset.alpha(self.origin, ids[n]))): n
            for n in found.subjects.tolist()
        }

    def stale(self, release: str) -> int:
        """Return how many people the newest version of a release names who may not be in it now.

        Only a release of which this is 0 may be handed over. Raises what says why it cannot be
        told.
        """
        self._finish(release)
        of, head = self._release(release), self.store.head()
        place = self._place(of)
        went = released_in(place, item_keys)
        found = self.denied_in(of, head.index, max(self.now(), head.time), went=went)
        table = read_names(place / manifest.OUTGOING / manifest.MEMBERS)
        return int(table.rows_of(self._named_in(of, found).keys()).sum())

    # ── since when ──────────────────────────────────────────────────────────────────────────

    def _since(
        self,
        release: Release,
        adds: Affected,
        judge: Callable[[int, Time], Affected],
        upto: int,
        now: Time,
    ) -> Time:
        """Return the time of the earliest event since which somebody newly listed is denied.

        Or of the moment, where it was time alone. Found by halving what happened since the last
        look that could narrow anything.
        """
        ids = self.store.subject_ids()
        hers = {ids[n] for n in adds.subjects.tolist()}
        looked = release.lists[-1].upto if release.lists else release.versions[0].checked
        events = list(self.store.events(upto=upto, subjects=sorted(hers)))
        if erased := _erased(events, hers, looked):
            return erased
        moments = _moments(events, hers, looked, now)
        low, high = 0, len(moments)
        while low < high:
            middle = (low + high) // 2
            denied = judge(*moments[middle]).subjects
            if np.isin(adds.subjects, denied).any():
                high = middle
            else:
                low = middle + 1
        return moments[low][1] if low < len(moments) else now

    # ── publishing ──────────────────────────────────────────────────────────────────────────

    def publish_drops(self, progress: Progress = silent, *, ask: Ask = gather) -> list[Head]:
        """Sweep, publish the log, and sign for each release in use which list is the newest.

        Only then is a list published, and the duty to do so met. To be run every few minutes: a
        head holds for a day, a list has to be out in 15 minutes.
        Raises the error of a release that cannot be judged, once the others are published; its own
        head stays as it is, so that its readers stop. Raises what `publish_log` does.
        """
        as_of = self._seconds()
        _, failed = self._sweep(None, None, progress)
        lineage = self.lineage()
        used = [r for r in lineage.releases.values() if is_used(lineage, r)]
        heads: list[Head] = []
        if used:
            size = self.publish_log(progress, ask=ask).trusted.checkpoint.size
            with self._dropping():
                for release in used:
                    if release.id not in failed:
                        try:
                            heads.append(self._publish_head(release, as_of, size))
                        except LetterlockError as lost:
                            failed[release.id] = lost
            self.settle({head.release: head.number for head in heads})
        for error in failed.values():
            raise error
        return heads

    def _publish_head(self, release: Release, as_of: int, size: int) -> Head:
        for each in release.lists:
            name = feed.proof_name(each.number)
            if not (self._feed(release.id) / name).exists():
                (shown,) = self.logged(each.index)
                self._write_feed(release.id, name, logged.encode(shown))
        newest = release.lists[-1] if release.lists else None
        number, digest = (newest.number, newest.digest) if newest else (0, "")
        recalled = release.recalled is not None
        head = Head(self.origin, release.id, number, digest, as_of, size, recalled=recalled)
        self._dropped(release, number)  # a list that is lost or altered is not vouched for
        self._write_feed(release.id, feed.HEAD, feed.sign_head(head, self.plain_signers()))
        return head

    def drops(self) -> list[tuple[Release, Published | None]]:
        """Return each release in use with its newest drop list, None before the first."""
        lineage = self.lineage()
        return [
            (release, release.lists[-1] if release.lists else None)
            for release in lineage.releases.values()
            if is_used(lineage, release)
        ]

    def _write_feed(self, release: str, name: str, data: bytes) -> None:
        folder = self._feed(release)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            files.write(folder / name, data)
        except OSError as error:
            raise WorkspaceError(f"{folder / name}: cannot be written: {reason(error)}") from error

    def _dropped(self, release: Release, number: int) -> frozenset[bytes]:
        """Return whom a list that was published names; nobody for 0. Raises LogError."""
        if not number:
            return frozenset()
        published = next(each for each in release.lists if each.number == number)
        path = self._feed(release.id) / feed.list_name(number)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise LogError(
                f"{path}: a published list is lost, restore it ({reason(error)})"
            ) from error
        if sha256(data) != published.digest:
            raise LogError(f"{path}: not the list that was published, restore it")
        names = feed.parse_list(data).pseudonyms
        return frozenset(names[n : n + NAME_SIZE] for n in range(0, len(names), NAME_SIZE))

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        """Let one process at a time make lists and heads."""
        try:
            lock = (self.folder / _LOCK).open("w")
        except OSError as error:
            raise WorkspaceError(f"no drop list can be made here: {error}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _release(self, name: str) -> Release:
        found = self.lineage().releases.get(name)
        if found is None or not found.versions:
            raise UsageError(f"no release {name} was sealed here")
        return found

    # ── superseding ─────────────────────────────────────────────────────────────────────────

    def supersede(self, release: str) -> Superseded:
        """Put in a release's place the version after its newest drop list, and record it.

        One that no sweep judges, since it was never handed over, is judged first. An
        interruption at any moment leaves the one version or the other, and the next call, or the
        next build, goes on from there. Raises UsageError if there is nothing to drop.
        """
        asked = self._release(release)
        try:
            if asked.recalled is None and not is_used(self.lineage(), asked):
                with self._dropping():
                    self._swept(release, silent)
            with self._one_build():
                found = self._supersede(self._release(release))
        except OSError as error:
            raise ReleaseError(f"nothing was superseded: {error}") from error
        self.settle()
        return found

    def _supersede(self, release: Release) -> Superseded:
        if release.current.number == release.dropped_to:
            said = f"at version {release.current.number}" if release.lists else "as it was sealed"
            raise UsageError(f"release {release.id} is {said}, and nobody more is to be dropped")
        newest, folder = release.lists[-1], self._place(release)
        work = self._work(release.id)
        work.mkdir()
        recording = False
        try:
            drop = self._dropped(release, newest.number)
            made = rewrite(folder, work, drop, version=newest.number, listed=newest.digest)
            keep_private(folder, work)
            files.sync(work)
            body = {
                "release": release.id, "version": newest.number, "manifest": sha256(made.manifest),
                "opened": release.opened, "key": release.key, "members": made.left.members,
                "depth": made.left.depth, "root": made.left.root, "rows": made.left.rows,
            }  # fmt: skip
            self.publish_blob(made.manifest)
            recording = True
            with self._writing():
                checked = self.store.head().index
                self._append_linked([Draft("release.superseded", {**body, "checked": checked})])
            self._swap(work, folder)
        finally:
            if not recording:
                shutil.rmtree(work, ignore_errors=True)
            elif work.exists():  # the ledger knows whether it was recorded before what stopped it
                self._recover(work)
        return Superseded(release.id, newest.number, made.record, made.written)

    def _work(self, release: str) -> Path:
        return self.folder / "releases" / f".{release}"

    def _swap(self, work: Path, place: Path) -> None:
        """Put a recorded version in the place of the one before it, which goes."""
        old = work.with_name(work.name + OLD)
        place.rename(old)
        work.rename(place)
        files.sync(place.parent)
        shutil.rmtree(old)

    # ── folders of releases ─────────────────────────────────────────────────────────────────

    @contextmanager
    def _one_build(self) -> Iterator[None]:
        """Let one build run at a time, and clear away what a killed one left."""
        with self._building():
            for left in sorted((self.folder / "releases").glob(".*")):
                if left.is_dir():
                    self._recover(left)
            yield

    def _finish(self, release: str) -> None:
        """Put a release's newest version in its place, if that was interrupted: WorkspaceError.

        And do away with the one before it, in which are people who had to be dropped.
        """
        found, work = self._release(release), self._work(release)
        behind = _digest(self.folder / "releases" / release) != found.current.manifest
        if behind or work.with_name(work.name + OLD).exists():
            try:
                with self._one_build():
                    pass
            except WorkspaceError:  # whoever is building does it
                if behind:
                    raise

    def _recover(self, left: Path) -> None:
        """Finish what was sealed or superseded but not yet in its place; remove what was not."""
        name = left.name[1:].removesuffix(OLD)
        place = left.with_name(name)
        release = self.lineage().releases.get(name)
        sealed = release is not None and bool(release.versions)
        wanted = release.current.manifest if release is not None and sealed else None
        if _digest(left) == wanted and wanted is not None and _digest(place) != wanted:
            if place.exists():
                self._swap(left, place)
            else:
                left.rename(place)
        elif left.name.endswith(OLD) and not place.exists():
            left.rename(place)
        else:
            shutil.rmtree(left)


def _digest(folder: Path) -> str:
    """Return the SHA-256 of the manifest in a release's folder, empty if there is none."""
    path = folder / manifest.OUTGOING / manifest.NAME
    return sha256(path.read_bytes()) if path.is_file() else ""


def _erased(events: Sequence[Event], hers: set[str], looked: int) -> Time | None:
    """Return when the first of somebody's events was erased since the last look."""
    gone = {e.index for e in events if e.subject in hers and e.body is None}
    times = [
        e.time
        for e in events
        if e.index > looked and e.kind == "event.erased" and (e.body or {}).get("index") in gone
    ]
    return min(times, default=None)


def _moments(
    events: Sequence[Event], hers: set[str], looked: int, now: Time
) -> list[tuple[int, Time]]:
    """Return when, since the last look, an answer could turn: (last event by then, time) each."""
    mine = [e for e in events if e.subject in hers or e.kind in NARROWING]
    found = {(e.index, e.time) for e in mine if e.index > looked}
    after = max((e.time for e in events if e.index <= looked), default=now)
    times = {t for e in mine for t in _times_in(e.body) if after < t <= now}
    for t in times:
        found.add((max((e.index for e in events if e.time <= t), default=looked), t))
    return sorted(found, key=lambda moment: (moment[1], moment[0]))


def _times_in(body: object) -> Iterator[Time]:
    """Yield the times in an event's body at which what it says begins or ends."""
    if isinstance(body, Mapping):
        for key, value in body.items():
            if key in _TIMES and isinstance(value, int):
                yield value
            else:
                yield from _times_in(value)
    elif isinstance(body, list):
        for each in body:
            yield from _times_in(each)
