"""The roles of GDPRbench on our ledger: SQLite and PostgreSQL, with evidence and without.

    python bench/gdpr.py --rows 100000 --ops 10000 --out gdpr.json

A record is what is recorded of one person: a registration with three facts and a notice, and a yes.
Each role is a mix of operations, drawn as GDPRbench's workload files say (github.com/GDPRbench,
src/workloads, weights made to add up to 1); the regulator's is our own. Every operation is a verb of
the gate, so it reads the rules, checks, and commits durably, as the product does.

insert     register a member, and record her yes                                 controller
update     record a new fact of hers: where she lives                            customer
choose     metadata: she withdraws, objects, or says yes again                   controller, customer
erase      delete: destroy what is recorded of her                               controller, customer
read       everything recorded of her, as JSON-LD                                customer, processor
state      metadata: what stands of her now, folded                              customer, processor
use        every use of X: her history, and her rows in every source             regulator
why        why row R in release D: explain it, as of the release                 regulator
verify     a range of 256 events against the public log                          regulator

with       as it is: salts, canonical bytes checked at each reading, commitments; the log is
           published after every 1,000 operations of a role that records
without    the same verbs on the same tables, with none of these: a body is JSON, read as it is;
           `verify` reads the range

CPU is that of the process and, for PostgreSQL, of the server. The server is one of its own, with
PostgreSQL's own settings.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
from measure import cpu, in_own_process, meter, options, report, run
from world import (
    AS_OF,
    KEYS,
    MAPPING,
    PLACES,
    POLICY,
    PURPOSE,
    RECIPIENT,
    SETTINGS,
    VERSIONS,
    account,
    messages,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

DATABASES: Final = ("sqlite", "postgresql")
EVIDENCE: Final = ("with", "without")
MIXES: Final = {
    "processor": {"read": 0.2, "state": 0.8},
    "regulator": {"use": 0.5, "why": 0.3, "verify": 0.2},
    "customer": {"read": 0.2, "state": 0.2, "update": 0.2, "choose": 0.2, "erase": 0.2},
    "controller": {"choose": 0.5, "erase": 0.025, "insert": 0.25},
}
ZIPFIAN: Final = {"customer"}
RECORDS: Final = {"customer", "controller"}
RANGE: Final = 256
PUBLISH: Final = 1000
SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
TICKS: Final = os.sysconf("SC_CLK_TCK")


def without_evidence() -> None:
    """Take the evidence out of this process's ledger: what is left is tables of JSON."""
    from letterlock.ledger import PERSONAL, Event, check_version  # noqa: PLC0415
    from letterlock.store import sql  # noqa: PLC0415

    def read(draft: Any, index: int, time: int) -> tuple[Event, bytes]:
        subject = draft.body["subject"] if draft.kind in PERSONAL else None
        event = Event(index, time, draft.kind, draft.body, subject)
        check_version(event)
        return event, json.dumps(draft.body, separators=(",", ":")).encode()

    def event(row: Any) -> Event:
        idx, time, kind, v, content, subject = row
        found = Event(idx, time, kind, content and json.loads(content), subject, v)
        check_version(found)
        return found

    sql._read, sql._event, sql.SALT_SIZE = read, event, 0  # noqa: SLF001 - what is measured
    sql.commitment = lambda _salt, _content: b""


def load(folder: Path, ledger: str, evidence: str, rows: int, table: str) -> dict[str, Any]:
    """Make a workspace with its policy, `rows` people and their choices, and a table."""
    from letterlock import approval  # noqa: PLC0415
    from letterlock.domain import time_of  # noqa: PLC0415
    from letterlock.gate import Gate  # noqa: PLC0415
    from letterlock.gate.policies import publishable, to_sign  # noqa: PLC0415
    from letterlock.policy.document import read  # noqa: PLC0415
    from letterlock.policy.draft import draft  # noqa: PLC0415

    if evidence == "without":
        without_evidence()
    shutil.rmtree(folder, ignore_errors=True)
    began = time_of(VERSIONS["1"])
    with closing(Gate.create(folder, simulated=True, now=began, ledger=ledger or None)) as gate:
        for name, key in KEYS.items():
            gate.register_operator(name, name, approval.public_key(key))
        files = {"policy.toml": POLICY.format(version="1").encode()}
        drafted = draft(read(files, "policy"), "en")
        files |= {name: text.encode() for name, text in drafted.items()}
        signed = approval.sign_all(KEYS, to_sign(publishable(files, "policy")))
        gate.publish(files, "policy", signed)
        text = gate.text_hash("training", "en")
    ids = [str(a) for a in account(np.arange(rows)).tolist()]
    found: dict[str, Any] = {}
    with closing(Gate(folder, now=time_of("2019-01-01"))) as gate:
        with meter(found, "people"):
            gate.store.append(_people(ids), now=gate.now())
        for setting in SETTINGS:
            gate.introduce(setting)
        with meter(found, "choices"):
            gate.store.append(_yeses(ids, text), now=gate.now() + DAY)
    with closing(Gate(folder, now=AS_OF)) as gate:
        gate.add_table("mail", Path(table), MAPPING)
        if evidence == "with":
            gate.publish_log()
        found["events"] = gate.store.head().index + 1
    if ledger:  # as PostgreSQL does by itself within a minute of so many rows
        import psycopg  # noqa: PLC0415

        with psycopg.connect(ledger, autocommit=True) as connection:
            connection.execute("ANALYZE")
    return found


def _people(ids: list[str]) -> Iterator[Any]:
    from letterlock.ledger import Draft  # noqa: PLC0415

    rng = random.Random(1)
    for name in ids:
        known = {
            "jurisdiction": rng.choice(PLACES),
            "contract": "standard",
            "birth_year": rng.randrange(1940, 2001),
        }
        facts = [{"kind": kind, "value": value} for kind, value in known.items()]
        body = {"subject": name, "member": True, "facts": facts, "noticed": ["1"]}
        yield Draft("subject.registered", body)


def _yeses(ids: list[str], text: str) -> Iterator[Any]:
    from letterlock.ledger import Draft  # noqa: PLC0415

    line = {"purpose": PURPOSE, "data_class": "message.*", "recipient": RECIPIENT}
    for n, name in enumerate(ids):
        told = {"time": n, "channel": "settings", "setting": "training", "text": text}
        body = {"subject": name, "act": "grant", "lines": [line], "evidence": told}
        yield Draft("choice.made", body)


class Role:
    """One role's operations on an opened workspace."""

    def __init__(self, gate: Any, mix: str, rows: int, evidence: str) -> None:
        from letterlock.sources.records import Row  # noqa: PLC0415

        self.gate, self.mix, self.row = gate, mix, Row
        self.evidence = evidence == "with"
        self.rng = random.Random(mix)
        self.ids = [name for name, _ in zip(gate.store.subject_ids(), range(rows), strict=False)]
        self.rng.shuffle(self.ids)
        weights = [1 / (n + 1) ** 0.99 for n in range(rows)] if mix in ZIPFIAN else [1.0] * rows
        self.shares = list(accumulate(weights))
        self.gone = self.erased()
        self.new = 0
        self.sources = gate.sources()
        self.items = [str(n) for n in self.sources[0].ids(0).to_pylist()]
        head = gate.store.head()
        self.events, self.began = head.index + 1, max(AS_OF, head.time)
        self.log = gate.public_log() if self.evidence else None

    def erased(self) -> set[str]:
        """Return who was erased by an earlier role."""
        from letterlock.domain import END  # noqa: PLC0415

        upto, ids = self.gate.store.head().index, self.gate.store.subject_ids()
        found = self.gate.store.columns("erased", ("subject",), as_of=END, upto=upto)
        return {ids[number] for number in found.column(0).to_pylist()}

    def who(self) -> str:
        """Draw somebody who is not gone."""
        while True:
            at = bisect(self.shares, self.rng.random() * self.shares[-1])
            name = self.ids[min(at, len(self.ids) - 1)]
            if name not in self.gone:
                return name

    def insert(self) -> None:
        """Register somebody, and record her yes."""
        self.new += 1
        name = f"new-{self.new}"
        row = {"subject": name, "jurisdiction": "US", "birth_year": 1980, "contract": "standard"}
        done = self.gate.register_subjects([self.row(1, {**row, "noticed": ["1"]})])
        assert done.recorded == 1
        self.gate.choose(name, "grant", setting="training", channel="settings")

    def update(self) -> None:
        """Record where somebody lives now."""
        row = {"subject": self.who(), "kind": "jurisdiction", "value": self.rng.choice(PLACES)}
        done = self.gate.register_facts([self.row(1, row)])
        assert not done.refused, done.refused

    def choose(self) -> None:
        """Record what somebody chose."""
        act = self.rng.choice(("withdraw", "object", "grant"))
        setting = {"setting": "training"} if act == "grant" else {}
        self.gate.choose(self.who(), act, channel="settings", **setting)

    def erase(self) -> None:
        """Forget somebody."""
        name = self.who()
        self.gone.add(name)
        assert self.gate.erase(name).events

    def read(self) -> None:
        """Tell somebody everything."""
        assert self.gate.history_of(self.who())

    def state(self) -> None:
        """Fold what stands of somebody."""
        name = self.who()
        assert name in self.gate.state([name]).subjects

    def use(self) -> None:
        """Find every use of somebody."""
        from letterlock.release.kernel import SUBJECT_MASK  # noqa: PLC0415

        name = self.who()
        assert self.gate.history_of(name)
        (number,) = self.gate.store.numbers([name]).tolist()
        for source in self.gate.sources():
            for group in range(source.groups):
                items = source.items(group)
                at = np.flatnonzero((items.parties & SUBJECT_MASK) == number)
                np.unique(np.searchsorted(items.offsets, at, side="right") - 1)

    def why(self) -> None:
        """Explain a row as of a release."""
        item = self.items[self.rng.randrange(len(self.items))]
        as_of = AS_OF - self.rng.randrange(5) * 30 * DAY
        assert self.gate.explain(item, PURPOSE, RECIPIENT, as_of=as_of)

    def verify(self) -> None:
        """Compare a range with the log."""
        from letterlock.evidence.entries import entries_of  # noqa: PLC0415

        size = self.log.size if self.log else self.events
        first = self.rng.randrange(max(1, size - RANGE))
        stop = min(first + RANGE, size)
        recorded = self.gate.store.entries(first, upto=stop - 1)
        if self.log is None:
            assert [index for index, _, _ in recorded] == list(range(first, stop))
            return
        logged = self.log.entries(first, stop)
        for entry, event in zip(logged, entries_of(recorded), strict=True):
            assert entry == event.entry
        assert self.gate.prove_entry(first)

    def run(self, ops: int) -> Counter[str]:
        """Do that many operations; publishes the log as a timer would."""
        verbs, shares = zip(*MIXES[self.mix].items(), strict=True)
        done: Counter[str] = Counter()
        self.took = dict.fromkeys(verbs, 0.0)
        for n, verb in enumerate(self.rng.choices(verbs, shares, k=ops), 1):
            self.gate._now = self.began + n * SECOND  # noqa: SLF001 - an act a second
            before = cpu()
            getattr(self, verb)()
            self.took[verb] += cpu() - before
            done[verb] += 1
            if self.evidence and self.mix in RECORDS and (n % PUBLISH == 0 or n == ops):
                self.gate.publish_log()
        return done


def role(  # noqa: PLR0913 - what is run, and where
    *, folder: Path, mix: str, evidence: str, rows: int, ops: int, server: int
) -> dict[str, Any]:
    """Run one role's operations."""
    from letterlock.gate import Gate  # noqa: PLC0415

    if evidence == "without":
        without_evidence()
    found: dict[str, Any] = {}
    with closing(Gate(folder, now=AS_OF)) as gate:
        acting = Role(gate, mix, rows, evidence)
        before = server_cpu(server)
        with meter(found):
            done = acting.run(ops)
        spent = server_cpu(server) - before
    found["client_cpu"], found["server_cpu"] = found["cpu"], round(spent, 3)
    found["cpu"] = round(found["cpu"] + spent, 3)
    each = {verb: round(1000 * acting.took[verb] / n, 3) for verb, n in done.items()}
    return found | {"ops": ops, "done": dict(done), "client_ms": each}


def server_cpu(postmaster: int) -> float:
    """Return the CPU-seconds of a server: its processes', and those that have ended."""
    if not postmaster:
        return 0.0
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = path.read_text()
        except OSError:  # it has ended
            continue
        fields = told.rpartition(")")[2].split()
        if int(path.parent.name) == postmaster:
            total += sum(map(int, fields[11:15]))  # its own, and its ended children's
        elif int(fields[1]) == postmaster:
            total += sum(map(int, fields[11:13]))
    return total / TICKS


def main() -> None:
    parser = options(__doc__, rows=100_000, ops=10_000, messages=20_000)
    parser.add_argument("--databases", nargs="*", default=DATABASES, choices=DATABASES)
    parser.add_argument("--mixes", nargs="*", default=list(MIXES), choices=list(MIXES))
    arguments = parser.parse_args()
    from postgres import served  # noqa: PLC0415 - the tests' own server

    table = messages(arguments.work, arguments.messages, arguments.rows)
    figures: dict[str, Any] = {}
    with served() if "postgresql" in arguments.databases else nullcontext(None) as server:
        for database in arguments.databases:
            compare(arguments, database, table, server, figures)
    report(arguments, {"figures": figures, "ratios": ratios(figures, arguments)})


def compare(arguments: Any, database: str, table: Path, server: Any, into: dict[str, Any]) -> None:
    """Run every role with evidence and without, by turns: both meet the same other load."""
    asked: dict[str, dict[str, Any]] = {}
    used = server if database == "postgresql" else None
    for evidence in EVIDENCE:
        name = f"{database} {evidence}"
        folder = arguments.work / f"gdpr-{database}-{evidence}"
        asked[name] = {"folder": folder, "evidence": evidence, "rows": arguments.rows}
        print(f"{name}: load")
        ledger = used.database() if used else ""
        into[name] = {"load": in_own_process("load", ledger=ledger, table=table, **asked[name])}
    for mix in arguments.mixes:
        for name, told in asked.items():
            print(f"{name}: {mix}")
            server_pid = used.process.pid if used else 0
            into[name][mix] = in_own_process(
                "role", mix=mix, ops=arguments.ops, server=server_pid, **told
            )
    for told in asked.values():
        shutil.rmtree(told["folder"])


def ratios(figures: dict[str, Any], arguments: Any) -> dict[str, Any]:
    """Return, and print, what evidence costs: with it over without it."""
    found = {}
    for database in arguments.databases:
        for mix in arguments.mixes:
            one, other = (figures[f"{database} {e}"][mix] for e in EVIDENCE)
            both = {k: round(one[k] / other[k], 2) for k in ("cpu", "wall")}
            found[f"{database} {mix}"] = both
            print(f"  {database:11} {mix:11} cpu {both['cpu']:5} ×   wall {both['wall']:5} ×")
    return found


STAGES: Final[dict[str, Callable[..., dict[str, Any]]]] = {"load": load, "role": role}

if __name__ == "__main__":
    run(main, STAGES)
