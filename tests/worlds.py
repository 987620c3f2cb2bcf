"""Random small worlds, told as events: biased so that a good share of items may go.

A world lives on a coarse grid of days, so that boundaries meet; T falls before its last events.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from letterlock.domain import (
    DAY,
    END,
    Clause,
    Item,
    Party,
    Request,
    Role,
    Rulebook,
    Time,
    time_of,
)
from letterlock.ledger import Draft, Event

START = time_of("2024-01-01")
CLASSES = ("message.direct.inmail", "message.direct.chat", "message.group", "post.public")
PATTERNS = ("*", "message.*", "message.direct.*", "message.direct.inmail", "post.public")
PLACES = ("US", "US-CA", "DE", "GB")
CONTRACTS = ("premium", "free")
RECIPIENTS = (("own", "controller"), ("sister", "affiliate"), ("maker", "third_party"))
PURPOSES = ("train.generative", "train.ranking", "infer")
TEXTS = ("a" * 64, "b" * 64)


def day(n: float) -> Time:
    """Return the n-th day of a world."""
    return START + round(n * DAY)


@dataclass
class World:
    """Events in recorded order with their times, and items to ask about."""

    drafts: list[tuple[Time, Draft]] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    as_of: Time = 0
    people: list[str] = field(default_factory=list)

    def events(self) -> list[Event]:
        """Return the events as a ledger would record them."""
        return [
            Event(n, time, draft.kind, draft.body, draft.body.get("subject"))
            for n, (time, draft) in enumerate(self.drafts)
        ]


class Maker:
    """Draws one world from a seed; `strange` adds what is rare and hard."""

    def __init__(self, seed: int, *, people: int = 6, items: int = 40) -> None:
        """Prepare to draw the world of `seed`."""
        self.rng = random.Random(seed)
        # (Of its own, so that what it draws changes nothing else about the world of a seed.)
        self.other = random.Random(f"other {seed}")
        self.strange = self.rng.random() < 0.6
        self.world = World(people=[f"p{n}" for n in range(people)])
        self.count = items
        self.crowd = people / 6
        self.versions = 0
        self.holds: list[str] = []
        self.clauses = 0

    def make(self) -> World:
        """Draw the world."""
        rng, world = self.rng, self.world
        for name, kind in RECIPIENTS:
            self.say(
                0, "recipient.registered", recipient=name, name=name.title(), **{"class": kind}
            )
        self.region(0)
        for contract in CONTRACTS:
            if rng.random() < 0.95:
                self.contract(contract, rng.choice([-60, -60, -60, 0]))
        self.policy(0)
        for person in world.people:
            if rng.random() < 0.98:
                self.register(person, rng.choice([0, 0, 0, 1, 30]))
        for _ in range(round(rng.randint(10, 60) * self.crowd)):
            self.event(rng.choice(range(0, 120, 5)))
        world.drafts.sort(key=lambda d: d[0])
        world.as_of = day(rng.choice([90, 110, 110, 115, 200]))
        world.items = [self.item(n) for n in range(self.count)]
        return world

    def say(self, when: float, kind: str, /, **body: Any) -> None:
        """Record an event on day `when`."""
        self.world.drafts.append((day(when), Draft(kind, body)))

    def span(self) -> dict[str, int]:
        """Draw a span of days, often open."""
        rng = self.rng
        start, end = sorted(rng.sample(range(-50, 130, 5), 2))
        found = {}
        where = rng.random()
        if where < 0.5:
            found["from"] = day(start)
        if where > 0.3:
            found["to"] = day(end)
        return found

    def clause(self, levels: Iterable[str], **keys: list[str]) -> dict[str, Any]:
        """Draw a clause of one of `levels`."""
        rng = self.rng
        self.clauses += 1
        body: dict[str, Any] = {"id": f"c{self.clauses}", "level": rng.choice(list(levels)), **keys}
        options = {
            "data_classes": PATTERNS,
            "purposes": ("*", *PURPOSES, "train.*"),
            "recipients": ("*", "own", "affiliate", "third_party", "maker"),
            "jurisdictions": ("*", *PLACES),
            "contracts": ("*", *CONTRACTS),
        }
        for key, values in options.items():
            if key not in keys and rng.random() < 0.3:
                body[key] = rng.sample(values, rng.choice([1, 1, 2]))
        if rng.random() < 0.2:
            body |= self.span()
        return body

    def policy(self, when: float) -> None:
        """Publish a policy version that mostly foresees everything."""
        rng = self.rng
        self.versions += 1
        clauses = [] if rng.random() < 0.1 else [self.everything()]
        clauses += [
            self.clause(["notice", "grant", "grant", "explicit_grant", "never"])
            for _ in range(rng.choice([0, 0, 1, 2]))
        ]
        texts = TEXTS if rng.random() < 0.8 else TEXTS[:1]
        sensitive: dict[str, Any] = {}
        if self.other.random() < 0.3:
            some = self.other.sample(CLASSES, self.other.choice([1, 1, 2]))
            sets = (["pay"], ["pay"], ["health"], ["pay", "health"], ["biometric"])
            sensitive["sensitive"] = {name: self.other.choice(sets) for name in some}
        self.say(
            when,
            "policy.published",
            version=f"v{self.versions}",
            effective_at=day(when + rng.choice([0, 5, 10])),
            window=rng.choice([0, 5, 10]) * DAY,
            clauses=clauses,
            data_classes=list(CLASSES[: rng.choice([3] + [4] * 9)]),
            texts={"s": {"en": texts[0], "de": texts[-1]}},
            **sensitive,
        )

    def everything(self) -> dict[str, Any]:
        """Return a clause that speaks about everything."""
        self.clauses += 1
        level = self.rng.choice(["nothing", "notice", "grant", "grant"])
        return {"id": f"all{self.clauses}", "level": level}

    def region(self, when: float) -> None:
        """Publish a regional table."""
        rng = self.rng
        ages = {place: rng.choice([0] * 9 + [21]) for place in PLACES if rng.random() < 0.99}
        clauses = [
            self.clause(["never", "grant"], jurisdictions=[rng.choice(PLACES)])
            for _ in range(rng.choice([0, 0, 0, 1]))
        ]
        self.say(when, "region.published", ages=ages, clauses=clauses)

    def contract(self, name: str, when: float) -> None:
        """Publish terms of a contract."""
        rng = self.rng
        clauses = [
            self.clause(["never", "grant", "explicit_grant"], recipients=["third_party"])
            for _ in range(rng.choice([0, 0, 0, 1]))
        ]
        self.say(when, "contract.published", contract=name, clauses=clauses)

    def register(self, person: str, when: float) -> None:
        """Register a person, with facts that mostly reach back."""
        rng = self.rng
        facts: list[dict[str, Any]] = [
            {"kind": "jurisdiction", "value": rng.choice(PLACES)},
            {
                "kind": "birth_year",
                "value": rng.choice([1950, 1960, 1970, 1980, 1990, 1990, 2003, 2005]),
            },
        ]
        if rng.random() < 0.5:
            facts.append({"kind": "contract", "value": rng.choice(CONTRACTS)})
        if rng.random() < 0.03:
            facts.pop(rng.randrange(len(facts)))
        facts = [fact | self.span() if rng.random() < 0.03 else fact for fact in facts]
        noticed = [f"v{self.rng.randint(1, self.versions)}"] if rng.random() < 0.95 else []
        member = rng.random() < 0.98
        self.say(
            when, "subject.registered", subject=person, member=member, facts=facts, noticed=noticed
        )
        if rng.random() < 0.85:
            self.choose(person, when + rng.choice([0, 0, 5]), act="grant", wide=True)

    def choose(self, person: str, when: float, *, act: str = "", wide: bool = False) -> None:
        """Let a person choose."""
        rng = self.rng
        act = act or rng.choice(["grant"] * 3 + ["withdraw", "object"])
        grant = act == "grant"
        lines = []
        names = [name for name, _ in RECIPIENTS]
        scopes = [(p, r) for p in PURPOSES for r in names]
        for purpose, recipient in scopes if wide else rng.sample(scopes, rng.choice([1, 1, 2])):
            line: dict[str, Any] = {
                "purpose": purpose,
                "data_class": rng.choice(["*", "*", "message.*"]) if wide else rng.choice(PATTERNS),
                "recipient": recipient,
            }
            if not grant:
                lines.append(self.refused(line))
                continue
            if rng.random() < 0.5:
                line |= {
                    "explicit": True,
                    "categories": rng.choice([[], ["pay"], ["pay", "health"]]),
                }
            if rng.random() < 0.1:
                line["expires"] = day(rng.choice([50, 80, 100, 150]))
            if not wide and rng.random() < 0.2:
                line |= self.span()
            if wide and self.other.random() < 0.5:
                line |= {"explicit": True, "categories": ["pay", "health", "biometric"]}
            lines.append(line)
            if rng.random() < (0.9 if wide else 0.5):
                before = {k: v for k, v in line.items() if k not in {"from", "to"}}
                span = self.span() if rng.random() < 0.1 else {}
                lines.append({**before, "earlier": True, **span})
        evidence = {"time": day(when), "channel": "web", "text": rng.choice(TEXTS)}
        self.say(when, "choice.made", subject=person, act=act, lines=lines, evidence=evidence)

    def refused(self, line: dict[str, Any]) -> dict[str, Any]:
        """Draw a refusal from a scope: often wider, of a class of recipients, or of a period."""
        rng = self.rng
        wide = {key: "*" for key in ("purpose", "recipient") if rng.random() < 0.3}
        if self.other.random() < 0.2:
            wide["recipient"] = self.other.choice(RECIPIENTS)[1]
        return line | wide | (self.span() if rng.random() < 0.15 else {})

    def event(self, when: float) -> None:
        """Draw something that happens."""
        rng = self.rng
        happenings: dict[Callable[..., None], float] = {
            self.choose: 12, self.notify: 12, self.object: 1, self.take_back: 2, self.learn: 2,
            self.amend: 2, self.register_anew: 0.6,
            # About everyone: as many in a world of many people as in one of few.
            self.policy: 0.7 / self.crowd, self.region: 0.2 / self.crowd,
            self.contract: 0.2 / self.crowd, self.hold: 0.4 / self.crowd,
        }  # fmt: skip
        happens = rng.choices(list(happenings), list(happenings.values()))[0]
        if happens in {self.policy, self.region, self.hold}:
            happens(when)
        elif happens == self.contract:
            happens(rng.choice(CONTRACTS), when)
        else:
            happens(rng.choice(self.world.people), when)

    def some_version(self) -> str:
        """Draw a version that was published, by now or later."""
        return f"v{self.rng.randint(1, self.versions)}"

    def notify(self, person: str, when: float) -> None:
        """Deliver a notice."""
        self.say(when, "notice.delivered", subject=person, version=self.some_version())

    def object(self, person: str, when: float) -> None:
        """Object to a version, or to one that nobody published."""
        version = "never published" if self.rng.random() < 0.05 else self.some_version()
        self.say(when, "version.objected", subject=person, version=version)

    def take_back(self, person: str, when: float) -> None:
        """Take an objection back, whether or not there is one."""
        version = self.some_version()
        self.say(when, "version.objection_withdrawn", subject=person, version=version)

    def learn(self, person: str, when: float) -> None:
        """Record a fact, for any span."""
        rng = self.rng
        values: dict[str, list[Any]] = {
            "jurisdiction": list(PLACES),
            "contract": [*CONTRACTS, None],
            "birth_year": [1970, 1980, 1999],
        }
        what = rng.choice(list(values))
        value = rng.choice(values[what])
        if rng.random() < 0.1:
            odd = {"jurisdiction": "ZZ", "contract": "unwritten", "birth_year": 2008}[what]
            value = rng.choice([odd, None])
        body = {"kind": what} | ({} if value is None else {"value": value})
        self.say(when, "subject.fact", subject=person, **body, **self.span())

    def amend(self, person: str, when: float) -> None:
        """Sign an amendment of a contract."""
        rng = self.rng
        line = {
            "purpose": rng.choice(PURPOSES),
            "data_class": rng.choice(PATTERNS),
            "recipient": rng.choice(RECIPIENTS)[0],
        } | self.span()
        evidence = {"time": day(when), "channel": "paper", "text": TEXTS[0]}
        self.say(
            when, "contract.amended", subject=person, contract=rng.choice(CONTRACTS),
            lines=[line], evidence=evidence,
        )  # fmt: skip

    def hold(self, when: float) -> None:
        """Set a hold, and often lift it."""
        rng = self.rng
        name = f"h{len(self.holds)}"
        self.holds.append(name)
        clause = self.clause(["never"], jurisdictions=[rng.choice(PLACES)])
        self.say(when, "hold.set", hold=name, clauses=[clause], lock=False)
        if rng.random() < 0.7:
            self.say(when + rng.choice([5, 20]), "hold.lifted", hold=name)

    def register_anew(self, person: str, when: float) -> None:
        """Register somebody again: the last registration says who is a member."""
        self.say(
            when, "subject.registered", subject=person, member=self.rng.random() < 0.95,
            noticed=[self.some_version()],
        )  # fmt: skip

    def item(self, n: int) -> Item:
        """Draw an item; a few are broken."""
        rng = self.rng
        created: Time | None = day(rng.choice([*range(-60, 110, 5), 2.5, 7.5, 31, 61]))
        if rng.random() < 0.1:
            created = day(rng.uniform(-60, 110)) // 1_000_000 * 1_000_000
        if self.strange and rng.random() < 0.03:
            created = rng.choice([None, END, -(2**60), day(500)])
        data_class: str | None = rng.choice(CLASSES)
        if rng.random() < 0.02:
            data_class = rng.choice([None, "message.unheard"])
        roles = [Role.AUTHOR] + [
            rng.choice([Role.RECIPIENT, Role.MEMBER]) for _ in range(rng.choice([0, 0, 1, 1, 2]))
        ]
        parties = [Party(rng.choice(self.world.people), role) for role in roles]
        if rng.random() < 0.02:
            parties[-1] = Party(rng.choice([None, "stranger"]), parties[-1].role)
        if rng.random() < 0.02:
            parties = []
        if rng.random() < 0.15:
            known = rng.random() < 0.8
            at: Time | None = day(rng.choice(range(-60, 110, 5))) if rng.random() < 0.5 else None
            if at is not None and created is not None and rng.random() < 0.8:
                at = min(at, created)
            quoted = rng.choice([*CLASSES, "message.unheard"]) if known else None
            parties.append(Party(rng.choice([*self.world.people, None]), Role.QUOTED, quoted, at))
        categories: frozenset[str] | None = frozenset()
        if rng.random() < 0.15:
            categories = rng.choice([None, frozenset({"pay"}), frozenset({"pay", "health"})])
        return Item(f"i{n}", data_class, created, tuple(parties), categories)


def spoil(rules: Rulebook) -> Rulebook:
    """Make one clause of the last policy unreadable, as a later writer's might be."""
    *policies, last = rules.policies
    clauses = (*last.clauses, Clause("of another time", None))
    return replace(rules, policies=(*policies, replace(last, clauses=clauses)))


def requests() -> list[Request]:
    """Return every request that can be asked of a world."""
    return [Request(p, r) for p in PURPOSES for r, _ in RECIPIENTS]


def now_of(world: World) -> Time:
    """Return a time at or after every event."""
    return max(t for t, _ in world.drafts)
