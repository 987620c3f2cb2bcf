"""The gate: opens a workspace, joins what lies below, and records. Every way in calls it.

A workspace is a folder: letterlock.toml, ledger.db, index/ (who is in which row of which table),
releases/ (each with `outgoing` and `private`), keys/. Logic lives in the modules it calls.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
import time
import tomllib
from collections import abc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from letterlock.domain import (
    Act,
    Item,
    Reason,
    Recipient,
    Request,
    Rulebook,
    State,
    Time,
    sha256,
    text_of,
    time_of,
)
from letterlock.errors import (
    HeadMoved,
    InputError,
    PolicyError,
    ReleaseError,
    UsageError,
    WorkspaceError,
)
from letterlock.ledger import Draft, fold, fold_rules, mark_of, read_clause, read_shape
from letterlock.policy.decide import Decision, decide, recipient_of
from letterlock.policy.document import check as check_document
from letterlock.policy.document import read as read_document
from letterlock.policy.texts import text_hash
from letterlock.release import build as building
from letterlock.release import manifest
from letterlock.release.build import SHARDS, Progress, Verdicts, by_reason, judge
from letterlock.release.kernel import ALLOW, reason_and_role
from letterlock.release.manifest import Opening
from letterlock.release.plan import Plan, make_plan
from letterlock.sources import choices, mailbox, people
from letterlock.sources.index import Source, write_index
from letterlock.sources.mapping import Mapping
from letterlock.sources.records import Refused, Row
from letterlock.sources.table import Table
from letterlock.store.sqlite import SqliteStore

Files: TypeAlias = abc.Mapping[str, bytes]
"""The files of a policy's folder, by name."""

ATTEMPTS: Final = 3
"""How often a build starts over because somebody in it said no meanwhile."""

FEW: Final = 500
"""Up to so many people are asked for by name; for more, everyone's columns are read."""

_CONFIG: Final = "letterlock.toml"
_WRITING: Final = "ledger.lock"
_KEY: Final = "pseudonym.key"
_KEY_SIZE: Final = 32


def _silent(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""


def _wall_clock() -> Time:
    return time.time_ns() // 1000


@dataclass(frozen=True)
class Outcome:
    """What would go and what would stay, and why."""

    purpose: str
    recipient: Recipient
    as_of: Time
    items: int
    withheld: dict[Reason, int]

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


@dataclass
class Loaded:
    """What came of a file of records."""

    recorded: int = 0
    already: int = 0
    refused: list[Refused] = field(default_factory=list)
    widened: list[Refused] = field(default_factory=list)


@dataclass(frozen=True)
class Checked:
    """What a table would have to leave out: row number, id, reason and role of each."""

    outcome: Outcome
    denied: list[tuple[int, str, str, str]]


class Gate:
    """One workspace, opened."""

    def __init__(self, folder: Path, *, now: Time | None = None) -> None:
        """Open the workspace in `folder`; `now` sets the clock of a simulated one.

        Raises WorkspaceError if there is none, UsageError for a clock that may not be set.
        """
        self.folder = folder
        config = _read_config(folder)
        self.simulated: bool = config["simulated"]
        if now is not None and not self.simulated:
            raise UsageError("this workspace keeps real time: --now is for simulated ones")
        self.store = SqliteStore(folder / "ledger.db")
        self._now = now

    @classmethod
    def create(cls, folder: Path, *, simulated: bool = False, now: Time | None = None) -> Gate:
        """Make a workspace in `folder`. Raises WorkspaceError if one is there already."""
        if now is not None and not simulated:
            raise UsageError("--now is for simulated workspaces: add --simulated, or leave it out")
        try:
            if (folder / _CONFIG).exists():
                raise WorkspaceError(f"{folder} is a workspace already")
            for name in ("index", "releases", "keys"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            key = folder / "keys" / _KEY
            with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(_KEY_SIZE))
            SqliteStore(folder / "ledger.db", create=True).close()
            text = f"format = 1\nsimulated = {str(simulated).lower()}\n"
            (folder / _CONFIG).write_text(text)
        except OSError as error:
            raise WorkspaceError(f"no workspace could be made in {folder}: {error}") from error
        return cls(folder, now=now)

    def close(self) -> None:
        """Close the ledger."""
        self.store.close()

    def now(self) -> Time:
        """Return the time: real, or in a simulated workspace the one set, else the ledger's own."""
        if not self.simulated:
            return _wall_clock()
        head = self.store.head().time
        return head if self._now is None else max(self._now, head)

    # ── recording ───────────────────────────────────────────────────────────────────────────

    def record(self, drafts: Iterable[Draft]) -> int:
        """Record events as they are, all or none; returns the ledger's new head."""
        with self._writing():
            return self.store.append(drafts, now=self.now()).index

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Let one process record at a time: what is read and the time it is still hold then."""
        try:
            lock = (self.folder / _WRITING).open("w")
        except OSError as error:
            raise WorkspaceError(f"nothing can be recorded here: {error}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def publish(self, files: Files, name: str) -> str:
        """Publish a policy and what it brings (recipients, regional table, contracts).

        Returns the version. Raises PolicyError if it may not be published.
        """
        now, head = self.now(), self.store.head()
        rules = self.rules()
        document, findings = check_document(files, name)
        if findings or document is None:
            first, more = findings[0], len(findings) - 1
            also = f" (and {more} more: letterlock policy check)" if more else ""
            raise PolicyError(first.advice() + also, file=first.file, line=first.line)
        bodies = document.bodies(now)
        drafts = [Draft(kind, body) for kind, body in bodies if not _stands(kind, body, rules)]
        with self._writing():
            self.store.append(drafts, now=now, expect=head.index)
        return document.version

    def register_recipient(self, name: str, legal_name: str, kind: str) -> None:
        """Register a named legal entity as a recipient."""
        body = {"recipient": name, "name": legal_name, "class": kind}
        self.record([Draft("recipient.registered", body)])

    def register_subjects(self, rows: Iterable[Row]) -> Loaded:
        """Register members from rows; whoever is registered already and unchanged is left alone."""
        loaded = Loaded()
        drafts = people.registrations(rows, self.rules(), loaded.refused)
        with self._writing():
            return self._load(drafts, loaded, "subject.registered")

    def register_facts(self, rows: Iterable[Row]) -> Loaded:
        """Record facts from rows."""
        loaded = Loaded()
        with self._writing():
            return self._load(people.facts(rows, loaded.refused), loaded, "subject.fact")

    def load_choices(self, rows: Iterable[Row]) -> Loaded:
        """Record choices from rows, in the order of their acts; the same act is recorded once."""
        now, rules = self.now(), self.rules()
        reading = choices.read(rows, rules, now)
        loaded = Loaded(refused=reading.refused, widened=reading.widened)

        with self._writing():
            before = self._recorded_choices({said.subject for said in reading.said})
            fresh = []
            for said in reading.said:
                mark = mark_of(said.body)
                if mark in before.marks:
                    loaded.already += 1
                else:
                    before.marks.add(mark)
                    fresh.append(said)
            reading.said = fresh
            drafts = choices.drafts(reading, before.members, before.known, before.refused_at)
            self._load(drafts, loaded, "choice.made")
        loaded.refused.sort()
        return loaded

    def choose(  # noqa: PLR0913 - one choice, as its subject makes it
        self,
        subject: str,
        act: str,
        *,
        purpose: str,
        data_class: str,
        recipient: str,
        channel: str,
        text: str = "",
        earlier: bool = False,
        explicit: bool = False,
        categories: Sequence[str] = (),
    ) -> None:
        """Record one choice, made now. Raises InputError if it cannot be."""
        values: dict[str, Any] = {
            "subject": subject, "act": act, "purpose": purpose, "data_class": data_class,
            "recipient": recipient, "channel": channel, "time": text_of(self.now()),
        }  # fmt: skip
        if act == Act.GRANT:
            values |= {"text": text, "earlier": earlier, "explicit": explicit}
            values |= {"categories": list(categories)}
        loaded = self.load_choices([Row(1, values)])
        for problem in (*loaded.refused, *loaded.widened):
            raise InputError(problem.why)

    def _load(self, drafts: Iterator[Draft], loaded: Loaded, kind: str) -> Loaded:
        """Record drafts; counts those of the kind that each row stands for."""
        counted = 0

        def counting() -> Iterator[Draft]:
            nonlocal counted
            for draft in drafts:
                counted += draft.kind == kind
                yield draft

        self.store.append(counting(), now=self.now())
        loaded.recorded = counted
        return loaded

    def _recorded_choices(self, subjects: set[str]) -> _Recorded:
        """Return what the ledger holds of these subjects that decides what may be added."""
        head = self.store.head()
        found = _Recorded()
        numbers = {name: n for n, name in enumerate(self.store.subject_ids())}
        wanted = {numbers[s]: s for s in subjects if s in numbers}
        if not wanted:
            return found

        few = len(wanted) <= FEW
        where = f"subject IN ({','.join(map(str, wanted))})" if few else ""

        def theirs(table: str, *names: str) -> Iterator[tuple[int, ...]]:
            columns = ("subject", *names)
            read = self.store.columns(table, columns, as_of=head.time, upto=head.index, where=where)
            read = read.filter(pc.is_in(read.column("subject"), value_set=pa.array(wanted)))
            return zip(*(read.column(name).to_pylist() for name in columns), strict=True)

        for number, member in theirs("person", "member"):
            found.known.add(wanted[number])
            (found.members.add if member else found.members.discard)(wanted[number])
        refusals = {
            number
            for symbol, number in self.store.symbols().items()
            if (shape := read_shape(symbol)) is not None and shape.act is not Act.GRANT
        }
        for number, line, acted, mark in theirs("line", "shape", "acted", "mark"):
            found.marks.add(mark)
            if line in refusals:
                name = wanted[number]
                found.refused_at[name] = max(acted, found.refused_at.get(name, acted))
        return found

    # ── looking ─────────────────────────────────────────────────────────────────────────────

    def rules(self, as_of: Time | None = None) -> Rulebook:
        """Return what holds for everyone as of `as_of` (default: now)."""
        head = self.store.head()
        return fold_rules(self.store.events(upto=head.index), self._as_of(as_of))

    def _as_of(self, as_of: Time | None) -> Time:
        now = max(self.now(), self.store.head().time)
        if as_of is not None and as_of > now:
            raise UsageError(f"as of {text_of(as_of)} lies in the future")
        return now if as_of is None else as_of

    def text(self, setting: str, language: str) -> str:
        """Return the consent text that the newest version shows for a setting."""
        versions = self.rules().policies
        if not versions or setting not in versions[-1].settings:
            known = ", ".join(versions[-1].settings) if versions else "no policy is published"
            raise UsageError(f"unknown setting {setting!r}; there is: {known}")
        files = {name: text.encode() for name, text in versions[-1].documents.items()}
        document = read_document(files, versions[-1].version)
        return document.text(setting, language)

    def text_hash(self, setting: str, language: str) -> str:
        """Return the hash of that text, which a grant has to carry."""
        return text_hash(self.text(setting, language))

    def plan(
        self,
        purpose: str,
        recipient: str,
        *,
        as_of: Time | None = None,
        names: Sequence[str] = (),
        progress: Progress = _silent,
    ) -> Outcome:
        """Say what would go and what would stay, without building anything."""
        request, rules = Request(purpose, recipient), self.rules(as_of)
        recipient_of(request, rules)
        sources = self.sources(names)
        plan = self._plan(request, rules, sources, progress)
        counts = judge(plan, sources, progress).counts()
        return Outcome(purpose, plan.recipient, rules.as_of, int(counts.sum()), by_reason(counts))

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

    def state(self, subjects: Sequence[str], as_of: Time | None = None) -> State:
        """Return the state of a few subjects, folded event by event."""
        head = self.store.head()
        events = self.store.events(upto=head.index, subjects=subjects)
        return fold(events, self._as_of(as_of))

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
            plan = self._plan(Request(purpose, recipient), rules, [source], _silent)
            verdicts = judge(plan, [source], _silent)
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
        counts = verdicts.counts()
        outcome = Outcome(
            purpose, plan.recipient, rules.as_of, int(counts.sum()), by_reason(counts)
        )
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

    # ── sources ─────────────────────────────────────────────────────────────────────────────

    def sources(self, names: Sequence[str] = ()) -> list[Source]:
        """Open the registered sources, or those named. Raises UsageError if there is none."""
        try:
            there = sorted(p.name for p in (self.folder / "index").iterdir() if p.name[0] != ".")
        except OSError as error:
            raise WorkspaceError(f"{self.folder} has no index: {error}") from error
        if missing := sorted(set(names) - set(there)):
            raise UsageError(f"no source {missing[0]!r}; registered: {', '.join(there) or 'none'}")
        if not there:
            raise UsageError("no source is registered: letterlock source add NAME PATH")
        return [Source(name, self.folder / "index" / name) for name in sorted(set(names)) or there]

    def add_table(
        self, name: str, path: Path, mapping: Mapping, *, progress: Progress = _silent
    ) -> Source:
        """Register a Parquet table in place, anew if the name is taken. Raises InputError."""
        with self._new_source(name) as folder:
            table = Table(path, mapping)
            write_index(table, folder, self.store, progress=lambda d, t: progress("indexing", d, t))
        return Source(name, self.folder / "index" / name)

    def add_mailbox(  # noqa: PLR0913 - what mail does not say of itself
        self,
        name: str,
        path: Path,
        *,
        data_class: str,
        lists: frozenset[str] = frozenset(),
        sensitive: bool = True,
        progress: Progress = _silent,
    ) -> tuple[Source, mailbox.Conversion]:
        """Convert an mbox or maildir once, and register it.

        `sensitive`: not declared otherwise, so nothing in it is known not to be.
        """
        with self._new_source(name) as folder:
            items = folder / "items.parquet"
            conversion = mailbox.convert(
                path, items, lists=lists, progress=lambda done: progress("converting", done, 0)
            )
            table = Table(items, _mail_mapping(data_class, sensitive=sensitive))
            write_index(table, folder, self.store, progress=lambda d, t: progress("indexing", d, t))
        return Source(name, self.folder / "index" / name), conversion

    @contextmanager
    def _new_source(self, name: str) -> Iterator[Path]:
        """Give a folder to write a source's index in; it takes its place in one step."""
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise UsageError(f"source name {name!r}: use letters, digits, - and _")
        place = self.folder / "index" / name
        try:
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{name}-") as made:
                new, old = Path(made) / "new", Path(made) / "old"
                new.mkdir()
                yield new
                if place.exists():
                    place.rename(old)
                new.rename(place)
        except OSError as error:
            raise InputError(f"source {name} was not registered: {error}") from error

    # ── releases ────────────────────────────────────────────────────────────────────────────

    def build(  # noqa: PLR0913 - what, for whom, as of when, from where, and how
        self,
        purpose: str,
        recipient: str,
        *,
        as_of: Time | None = None,
        names: Sequence[str] = (),
        threads: int = 2,
        progress: Progress = _silent,
    ) -> Built:
        """Build and seal a release. Raises ReleaseError if none came of it."""
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
                opening, rules, looked_at = self._open(request, as_of, sources)
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
            key = (self.folder / "keys" / _KEY).read_bytes()
            if len(key) != _KEY_SIZE:
                raise WorkspaceError(f"{self.folder / 'keys' / _KEY} is not the key it was")
            data = building.build(
                opening, plan, verdicts, sources, self.store, key, work,
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
    ) -> tuple[Opening, Rulebook, int]:
        """Record that a release is opened; returns also up to which event all was seen as of T.

        Raises HeadMoved if somebody recorded in between.
        """
        head = self.store.head()
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
        with self._writing():
            opened = self.store.append([draft], now=opened_at, expect=head.index)
        return opening, rules, opened.index if head.time <= rules.as_of else -1

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
        body = {"release": opening.id, "manifest": sha256(data)}
        while True:
            head = self.store.head()
            now = max(self.now(), head.time)
            if head.index > looked_at:
                rules = fold_rules(self.store.events(upto=head.index), now)
                plan = self._plan(request, rules, sources, progress)
                if judge(plan, sources, progress).narrower_than(verdicts):
                    return False
                looked_at = head.index
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
        return Outcome(built.record["purpose"], recipient, as_of, counts["items"], withheld)

    @contextmanager
    def _one_build(self) -> Iterator[None]:
        """Let one build run at a time, and clear away what a killed one left."""
        releases = self.folder / "releases"
        with (releases / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise WorkspaceError(
                    "another build is running in this workspace: wait for it to end"
                ) from error
            for left in releases.glob(".*"):
                if left.is_dir():
                    self._recover(left)
            yield

    def _recover(self, left: Path) -> None:
        """Finish what was sealed but not yet moved into place; remove what was not."""
        name = left.name[1:]
        path = left / manifest.OUTGOING / manifest.NAME
        digest = sha256(path.read_bytes()) if path.is_file() else ""
        events = self.store.events(upto=self.store.head().index)
        sealed = [e.body for e in events if e.kind == "release.sealed" and e.body is not None]
        if any((b["release"], b["manifest"]) == (name, digest) for b in sealed):
            left.rename(left.with_name(name))
        else:
            shutil.rmtree(left)


@dataclass
class _Recorded:
    """What the ledger holds of some subjects."""

    known: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    refused_at: dict[str, Time] = field(default_factory=dict)
    marks: set[int] = field(default_factory=set)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = tomllib.loads((folder / _CONFIG).read_text())
    except FileNotFoundError as error:
        raise WorkspaceError(f"{folder} is no workspace: run `letterlock init` there") from error
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{folder / _CONFIG} cannot be read: {error}") from error
    if config.get("format") != 1 or not isinstance(config.get("simulated"), bool):
        raise WorkspaceError(f"{folder / _CONFIG} is not of a format this program knows")
    if set(config) - {"format", "simulated"}:
        unknown = ", ".join(sorted(set(config) - {"format", "simulated"}))
        raise WorkspaceError(f"{folder / _CONFIG}: unknown setting {unknown}")
    return config


def _stands(kind: str, body: dict[str, Any], rules: Rulebook) -> bool:
    """Say whether what a policy brings along stands already, so need not be said again."""
    if kind == "recipient.registered":
        known = rules.recipients.get(body["recipient"])
        said = (body["name"], body["class"])
        return known is not None and (known.name, known.recipient_class.value) == said
    clauses = tuple(read_clause(clause) for clause in body.get("clauses", ()))
    if kind == "region.published":
        table = rules.regions[-1] if rules.regions else None
        return table is not None and (table.ages, table.clauses) == (body["ages"], clauses)
    if kind == "contract.published":
        terms = rules.contracts.get(body["contract"], ())
        return bool(terms) and terms[-1].clauses == clauses
    return False


def _mail_mapping(data_class: str, *, sensitive: bool) -> Mapping:
    """Return how converted mail reads; unless declared otherwise its sensitivity is not known."""
    return Mapping(
        id="item",
        created_at="created_at",
        author=("authors",),
        recipients=("recipients",),
        members=(),
        payload=("subject", "body"),
        data_class=data_class,
        data_class_column="",
        sensitive="unknown" if sensitive else "none",
        sensitive_column="",
        quotes="column",
        quote_source="quoted",
        quote_class=data_class,
        thread="",
        name="",
    )
