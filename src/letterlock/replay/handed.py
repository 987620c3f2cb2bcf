"""The fourth act: what was handed over is taken back, and a court's order reaches the right models.

In a copy of the workspace, from the day asked about on. The release of the first act goes to its
recipient, who learns two models from it; the network learns one from profiles alone. A member opts
out, and each stated latency is measured by the world's own clock; another one's opt-out is left
lying until the gate closes; and two orders are answered from the record.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from letterlock import approval
from letterlock.domain import DAY, Time, text_of
from letterlock.errors import GateClosed, InputError, StaleDrops
from letterlock.gate import Gate
from letterlock.gate.handover import key_body
from letterlock.gate.obligations import certificate_body
from letterlock.gate.orders import Ordered, order_body
from letterlock.handover.reader import open_release
from letterlock.inbox import models as told
from letterlock.inbox.drops import apply_drops
from letterlock.inbox.folder import Inbox
from letterlock.lineage.certificate import Certificate, Place
from letterlock.lineage.duties import HEAD_WITHIN, LIST_WITHIN, MINUTE, RECIPIENT_WITHIN
from letterlock.lineage.events import ORDERED
from letterlock.record.quorum import Policy
from letterlock.release import manifest
from letterlock.release.build import Progress
from letterlock.replay.public import POLICY, Seen
from letterlock.replay.world import MAPPING, MAPPING_NAME, Network, World, operators
from letterlock.reports.class_query import ClassQuery
from letterlock.sources.mapping import read_mapping

WORKSPACE: Final = "workspace-handed"
INBOXES: Final = "inboxes"
MODELS: Final = "models"
PACKAGES: Final = "packages"
WITNESSES: Final = "witnesses-handed"
OURS: Final = frozenset({WORKSPACE, INBOXES, MODELS, PACKAGES, WITNESSES})

_LATER: Final = (2 * DAY, 9 * DAY)
"""After the delivery: when models are trained, and when a member opts out."""
_SWEEP: Final = 10 * MINUTE
"""After an opt-out: when `letterlock drops publish` runs next."""


@dataclass(frozen=True)
class Latency:
    """How long something may take by what is stated, and how long it took here; both in µs."""

    what: str
    stated: Time
    took: Time
    shown: str

    @property
    def kept(self) -> bool:
        """Whether it took no longer than stated."""
        return self.took <= self.stated


@dataclass(frozen=True)
class Learned:
    """A model: of whom, and what became of it."""

    name: str
    owner: str
    digest: str
    fate: str


@dataclass(frozen=True)
class Answer:
    """What an order about a class was answered with."""

    order: str
    data_class: str
    releases: int
    copies: int
    destroy: tuple[str, ...]
    owed: int
    met: int

    def told(self) -> str:
        """Say what was reached, and what of it is done."""
        if not self.releases:
            return "no release holds any of it, so no copy and no model does"
        models = ", ".join(self.destroy) or "none"
        return (
            f"releases: {self.releases}, copies handed over: {self.copies}, models that are left: "
            f"{models}; duties: {self.owed}, of them met: {self.met}"
        )


@dataclass(frozen=True)
class ActFour:
    """What was handed over, what each opt-out did, what the orders reached, and what is left."""

    at: Time
    release: str
    recipient: str
    rows: int
    people: int
    member: str
    latencies: tuple[Latency, ...]
    late: str
    closed: str
    models: tuple[Learned, ...]
    answers: tuple[Answer, ...]
    met: int
    open: int

    def record(self) -> dict[str, Any]:
        """Return the act as JSON; times in seconds."""
        return {
            "at": text_of(self.at),
            "release": self.release,
            "recipient": self.recipient,
            "rows": self.rows,
            "people": self.people,
            "member": self.member,
            "latencies": [
                {
                    "what": each.what,
                    "stated_s": each.stated // 1_000_000,
                    "took_s": each.took // 1_000_000,
                    "kept": each.kept,
                    "shown": each.shown,
                }
                for each in self.latencies
            ],
            "left_lying": {"member": self.late, "closed": self.closed},
            "models": [vars(each) for each in self.models],
            "orders": [{**vars(each), "destroy": list(each.destroy)} for each in self.answers],
            "obligations": {"met": self.met, "open": self.open},
        }

    def commands(self, out: Path) -> list[list[str]]:
        """Return what to try next, as command lines; `out` is the demo's folder."""
        place = ["-w", str(out / WORKSPACE)]
        return [
            ["letterlock", "obligations", *place],
            ["letterlock", "lineage", self.release, *place],
            ["letterlock", "trace", self.member, *place],
        ]


def act_four(
    world: World, network: Network, release: str, out: Path, progress: Progress
) -> ActFour | None:
    """Act it out in a copy of the workspace in `out`; None if too few people are in the release.

    Raises InputError for a world without it.
    """
    wrote = _released(network.items, out / "workspace" / "releases" / release).column("author")
    leaving = sorted(name for name in wrote.unique().to_pylist() if name is not None)[:2]
    if len(leaving) < 2:  # noqa: PLR2004 - one who is forgotten in time, and one who is not
        return None
    member, late = leaving
    story = _Story(world, network, release, out, progress)
    story.hand_over()
    story.train()
    latencies = story.opt_out(member)
    closed = story.left_lying(late)
    answers = tuple(story.ordered(each, n) for n, each in enumerate(story.asked.orders, 1))
    return story.told(member, late, latencies, closed, answers)


class _Story:
    """The workspace, the recipients' inboxes, and the world's clock."""

    def __init__(
        self, world: World, network: Network, release: str, out: Path, progress: Progress
    ) -> None:
        if world.handover is None:
            raise InputError("this world has no [handover]")
        self.world, self.asked, self.release = world, world.handover, release
        self.items, self.progress = network.items, progress
        self.workspace = shutil.copytree(out / "workspace", out / WORKSPACE)
        self.inboxes, self.models = out / INBOXES, out / MODELS
        self.packages, self.out = out / PACKAGES, out
        for folder in (self.inboxes, self.models, self.packages):
            folder.mkdir()
        self.to, self.purpose = world.question.recipient, world.question.purpose
        self.own = world.question.others[0]
        self.at = self.asked.at
        with self.gate() as gate:
            self.seen = Seen(out / WITNESSES, world, gate, lambda: self.at)
            policy: Policy = gate.trust()
            (self.workspace / POLICY).write_bytes(self.seen.policy(policy))
        record = manifest.read(self.workspace / "releases" / release)
        self.rows, self.people = record["counts"]["released"], record["members"]
        self.learned: dict[str, tuple[str, str]] = {}
        self.gone: dict[str, str] = {}

    @contextmanager
    def gate(self) -> Iterator[Gate]:
        """Open the workspace at the world's time."""
        with closing(Gate(self.workspace, now=self.at)) as found:
            yield found

    def inbox(self, recipient: str) -> Inbox:
        return Inbox(self.inboxes / recipient, now=self.at)

    def approved(self, kind: str, body: dict[str, Any]) -> list[Any]:
        return approval.sign_all(operators(self.world), approval.message(kind, body))

    # ── handing over ────────────────────────────────────────────────────────────────────────

    def hand_over(self) -> None:
        """Approve and deliver the release; and, inside the company, one of profiles alone."""
        with self.gate() as gate:
            for recipient in (self.to, self.own):
                made = Inbox.create(self.inboxes / recipient, recipient, simulated=True)
                card = made.card()
                gate.register_recipient_key(card, self.approved("recipient.keyed", key_body(card)))
            body = gate.approval_body(self.release)
            gate.approve_release(self.release, self.approved("release.approved", body))
            table = self.workspace / f"{self.asked.alone}.parquet"
            rows = self.items.filter(pc.equal(self.items.column("data_class"), self.asked.alone))
            pq.write_table(rows, table, compression="zstd")
            mapping = read_mapping(MAPPING.encode(), MAPPING_NAME)
            gate.add_table(self.asked.alone, table, mapping)
            built = gate.build(
                self.purpose, self.own, names=[self.asked.alone], progress=self.progress
            )
            self.inside = built.release
        self.copies = ((self.release, self.to), (self.inside, self.own))
        for release, recipient in self.copies:
            self.deliver(release, recipient)

    def deliver(self, release: str, recipient: str) -> None:
        with self.gate() as gate:
            went = gate.deliver(
                release, self.packages, feed=str(self.feed(release)),
                progress=self.progress, ask=self.seen.ask,
            )  # fmt: skip
        inbox = self.inbox(recipient)
        inbox.receive(went.package, went.letter, (self.workspace / POLICY).read_bytes())
        self.acknowledge(inbox.inventory(release))

    def feed(self, release: str) -> Path:
        return self.workspace / "log" / "drops" / release

    def acknowledge(self, inventory: bytes) -> None:
        with self.gate() as gate:
            gate.acknowledge(inventory)

    def publish(self) -> None:
        with self.gate() as gate:
            gate.publish_drops(self.progress, ask=self.seen.ask)

    # ── training ────────────────────────────────────────────────────────────────────────────

    def train(self) -> None:
        """Learn one model from each release, and another one from the recipient's."""
        self.at = self.asked.at + _LATER[0]
        self.publish()
        first = self.learn(f"{self.to}-writer", self.to, releases=[self.release])
        self.learn(f"{self.to}-writer-chat", self.to, models=[f"{first}:fine-tune"])
        self.learn(f"{self.own}-profiles", self.own, releases=[self.inside])
        self.countersign()

    def countersign(self) -> None:
        for release, recipient in self.copies:
            self.acknowledge(self.inbox(recipient).inventory(release))

    def learn(
        self, name: str, owner: str, *, releases: Sequence[str] = (), models: Sequence[str] = ()
    ) -> str:
        """Count words where a real one would learn; its files are what is registered."""
        folder = self.models / name
        folder.mkdir()
        words = 0
        for release in releases:
            for batch in self.open(owner, release).batches():
                words += batch.num_rows
        (folder / "weights.txt").write_text(f"{name}, made up, of {words} rows and {models}\n")
        line = told.register(
            self.inboxes / owner, folder, name, releases=releases, models=models, now=self.at
        )
        digest: str = line["model"]
        self.learned[digest] = (name, owner)
        return digest

    def open(self, owner: str, release: str) -> Any:  # noqa: ANN401 - see open_release
        place = self.inbox(owner).path(release)
        return open_release(
            place, purpose=self.purpose, feed=self.feed(release), now=lambda: self.at
        )

    # ── opting out ──────────────────────────────────────────────────────────────────────────

    def of(self, member: str, release: str) -> pa.Table:
        """Return what somebody wrote that was in a release as it was sealed."""
        went = _released(self.items, self.workspace / "releases" / release)
        return went.filter(pc.equal(went.column("author"), member))

    def withdraw(self, gate: Gate, member: str) -> None:
        gate.choose(member, "withdraw", channel="settings")

    def opt_out(self, member: str) -> tuple[Latency, ...]:
        """A member takes her yes back, while another build runs; returns how long each thing took.

        Each is asked of the gate, of the files, or of the reader: nothing here is said twice.
        """
        since = self.at = self.asked.at + _LATER[1]
        self.publish()
        before = self.open(self.to, self.release)
        found = [self.overtaken(member)]
        item = self.of(member, self.release).column("item")[0].as_py()
        with self.gate() as gate:
            (_, _, decision), *_ = gate.explain(item, self.purpose, self.to)
        if decision.reason is None:
            raise InputError(f"{item} is still allowed, and its author has opted out")
        said = f"{item} was in the release, and is now withheld: {decision.reason.name.lower()}"
        found.insert(0, Latency("online check", 0, self.at - since, said))
        self.at = since + _SWEEP
        self.publish()
        listed = f"drop list 1 of release {self.release}"
        found.append(Latency("drop list", LIST_WITHIN, self.at - since, listed))
        before.check()
        rows = sum(batch.num_rows for batch in before.batches())
        read = f"left out from the next check on: {self.rows - rows:,} of {self.rows:,} rows"
        found.append(Latency("reader", HEAD_WITHIN, self.at - since, read))
        version = self.supersede()
        found.append(
            Latency("own copy", RECIPIENT_WITHIN, self.at - since, f"version {version} is sealed")
        )
        found.append(self.without_news(before))
        self.at = since + 3 * DAY
        self.publish()
        kept = f"{self.apply():,} rows are left, countersigned"
        found.append(Latency("recipient", RECIPIENT_WITHIN, self.at - since, kept))
        self.at = since + 20 * DAY
        self.publish()
        self.forget(2)
        with self.gate() as gate:
            days = min(v.withdrawal.days for v in gate.rules().policies if v.withdrawal)
        gone = f"{len(self.gone)} destroyed, each with a certificate, and two learned anew"
        found.append(Latency("model", days * DAY, self.at - since, gone))
        return tuple(found)

    def without_news(self, reader: Any) -> Latency:  # noqa: ANN401 - see open_release
        """Publish nothing, and see how old the oldest head is by which a reader goes on."""
        published, oldest = self.at, 0
        for self.at in range(published, published + 2 * HEAD_WITHIN, _SWEEP):
            try:
                reader.check()
            except StaleDrops:
                return Latency("reader, no news", HEAD_WITHIN, oldest, "then it stops")
            oldest = self.at - published
        raise InputError("a reader went on by a drop list that nobody renewed for two days")

    def supersede(self) -> int:
        """Make the next version of each release that needs one; returns that of the delivered."""
        with self.gate() as gate:
            for release, listed in gate.drops():
                if listed is not None and release.current.number < listed.number:
                    gate.supersede(release.id)
            return gate.lineage().releases[self.release].current.number

    def apply(self) -> int:
        """Let each recipient apply the newest drop list; returns the rows that are left outside."""
        left = {}
        for release, recipient in self.copies:
            applied = apply_drops(self.inbox(recipient), release, str(self.feed(release)))
            self.acknowledge(applied.inventory)
            left[release] = applied.rows
        return left[self.release]

    def forget(self, number: int) -> None:
        """Destroy each model in which somebody is to be forgotten; learn the first ones anew."""
        with self.gate() as gate:
            owed = {each.duty.model for each in gate.obligations(["open"]) if each.duty.model}
        why = "to forget who opted out"
        for owner in (self.to, self.own):
            self.destroy(owner, why, [digest for digest in self.learned if digest in owed])
        self.learn(f"{self.to}-writer-{number}", self.to, releases=[self.release])
        self.learn(f"{self.own}-profiles-{number}", self.own, releases=[self.inside])
        self.countersign()

    def overtaken(self, member: str) -> Latency:
        """Withdraw in the middle of a build, and see that it is sealed without her."""
        opted: list[Time] = []

        def meanwhile(what: str, done: int, total: int) -> None:
            if what == "writing" and not opted:
                opted.append(self.at)
                with self.gate() as beside:
                    self.withdraw(beside, member)
            self.progress(what, done, total)

        with self.gate() as gate:
            built = gate.build(self.purpose, self.to, progress=meanwhile)
        if self.of(member, built.release).num_rows:
            raise InputError("a release was sealed with somebody who had opted out")
        said = f"release {built.release} began with her and was sealed without her"
        return Latency("running build", 0, self.at - opted[0], said)

    def destroy(self, owner: str, why: str, digests: Sequence[str]) -> None:
        """Destroy a recipient's models, each with a certificate."""
        for digest in digests:
            name, of = self.learned[digest]
            if of == owner and digest not in self.gone:
                shutil.rmtree(self.models / name)
                places = (Place(f"{owner}'s storage", "erased", name),)
                written = Certificate(
                    digest, owner, "who keeps its models", why, self.at, places, "none"
                )
                told.destroy(
                    self.inboxes / owner, digest, written.encode(), "certificate", now=self.at
                )
                self.gone[digest] = f"destroyed on {text_of(self.at)[:10]}, {why}"

    # ── left lying ──────────────────────────────────────────────────────────────────────────

    def left_lying(self, member: str) -> str:
        """Somebody opts out, and the recipient does nothing; returns what the gate says then."""
        since = self.at = self.at + 10 * DAY
        with self.gate() as gate:
            self.withdraw(gate, member)
        self.at = since + _SWEEP
        self.publish()
        self.at = since + RECIPIENT_WITHIN + DAY
        self.publish()
        self.supersede()
        with self.gate() as gate:
            try:
                gate.build(self.purpose, self.to, progress=self.progress)
            except GateClosed as error:
                closed = str(error)
            else:
                raise InputError("the gate let something go while a duty was overdue")
        self.apply()
        self.forget(3)
        with self.gate() as gate:
            gate.check_open(self.purpose, self.to)
        return closed

    # ── orders ──────────────────────────────────────────────────────────────────────────────

    def ordered(self, data_class: str, number: int) -> Answer:
        """A court orders that all made of a class be deleted; it is, and nothing else."""
        self.at += 5 * DAY
        name = f"order-{number}"
        query = ClassQuery(data_class, disclosed_before=self.at)
        text = f"Delete whatever was made from {data_class}."
        with self.gate() as gate:
            signatures = self.approved(ORDERED, order_body(name, text, query))
            found: Ordered = gate.disgorge(name, text, query, signatures)
        self.at += DAY
        self.publish()
        for copy in {(c.release, c.recipient) for c in found.reached.copies}:
            self.inbox(copy[1]).destroy(copy[0])
        reached = [model.digest for model in found.reached.models]
        for owner in sorted({model.owner for model in found.reached.models}):
            self.destroy(owner, f"by {name}", reached)
        for release, recipient in {(c.release, c.recipient) for c in found.reached.copies}:
            self.acknowledge(self.inbox(recipient).inventory(release))
        self.erase_own(found)
        names = tuple(self.learned[digest][0] for digest in reached)
        counted = (len(found.reached.releases), len(found.reached.copies))
        with self.gate() as gate:
            met = sum(gate.obligation(duty.id).state == "met" for duty in found.owed)
        return Answer(name, data_class, *counted, names, len(found.owed), met)

    def erase_own(self, found: Ordered) -> None:
        """Remove every row of what was ordered, as two operators certify.

        Who was in it stays, as pseudonyms, so that everybody can still be shown whether she was.
        """
        for release in found.reached.releases:
            shutil.rmtree(self.workspace / "releases" / release / manifest.OUTGOING / manifest.DATA)
        places = [{"where": "releases/", "outcome": "erased", "what": "every shard was removed"}]
        with self.gate() as gate:
            for duty in found.owed:
                if duty.duty == "erase":
                    body = certificate_body(duty.index, places)
                    gate.certify(duty.id, places, self.approved("erasure.certified", body))

    # ── the end ─────────────────────────────────────────────────────────────────────────────

    def told(
        self,
        member: str,
        late: str,
        latencies: tuple[Latency, ...],
        closed: str,
        answers: tuple[Answer, ...],
    ) -> ActFour:
        """Return what came of it all."""
        with self.gate() as gate:
            owed = gate.obligations()
            registered = gate.lineage().models
        models = tuple(
            Learned(m.name, m.owner, digest, self.gone.get(digest, "in use"))
            for digest, m in registered.items()
        )
        met = sum(each.state == "met" for each in owed)
        return ActFour(
            self.asked.at, self.release, self.to, self.rows, self.people, member, latencies,
            late, closed, models, answers, met, len(owed) - met,
        )  # fmt: skip


def _released(items: pa.Table, release: Path) -> pa.Table:
    """Return the items that are in a release, of whose sources they are all."""
    withheld = pq.read_table(release / manifest.PRIVATE / manifest.WITHHELD).column("item")
    stayed = pc.is_in(items.column("item"), value_set=withheld.combine_chunks())
    return items.filter(pc.invert(stayed))
