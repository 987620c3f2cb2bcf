"""The generated world that the benchmarks measure on: a ledger, and a platform's table of messages.

    python bench/world.py --members 100000 --rows 1000000

Everything goes through the product: the ledger is written by SqliteStore.append at a simulated
clock, the index by Gate.add_table. What is there already is used again.

- The time is from 2018 (members sign up) over 2019 (they make their choices, 8 each on average,
  over four settings) to the messages' five years, 2020 to 2024. Four policy versions, of which
  three fall into the messages' years; each is noticed to everybody.
- `--changed` percent of the members change country, contract or choice within the messages' years,
  a third each. (At 100 everybody does.)
- A message has an author and one to five recipients, drawn evenly, so four people on average; 2 in
  1,000 of them are in no ledger. Its body has 200 to 1,000 bytes of made-up words that compress like
  prose. Sorted by time, 122,880 rows a row group, zstd.
- `--shares` chooses how often people refuse: "most" lets about 56 % of the messages go.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import cpu, options

from letterlock import approval
from letterlock.domain import DAY, time_of
from letterlock.gate import Gate
from letterlock.gate.policies import publishable, to_sign
from letterlock.ledger import Draft
from letterlock.policy.document import read
from letterlock.policy.draft import draft
from letterlock.sources.mapping import Mapping
from letterlock.store.sqlite import SqliteStore

SEED: Final = 20250201
PURPOSE, RECIPIENT = "train.generative", "northmail"
FIRST, LAST = time_of("2020-01-01"), time_of("2025-01-01")
AS_OF: Final = time_of("2025-02-01")
CHOICES: Final = 8
ROW_GROUP: Final = 122_880
STRANGERS: Final = 0.002
REFUSALS: Final = 0.045
"""How often an act is a refusal: chosen so that about 56 % of the messages go."""

EXCLUDED, FORBIDDING = "GB", "enterprise"
PLACES: Final = ("DE", "FR", "US", "BR", "IN", EXCLUDED)
PLACE_SHARES: Final = (0.15, 0.15, 0.3, 0.2, 0.195, 0.005)
CONTRACTS: Final = ("standard", FORBIDDING)
CONTRACT_SHARES: Final = (0.995, 0.005)
SETTINGS: Final = ("training", "ranking", "product", "partner")
SETTING_SHARES: Final = (0.46, 0.18, 0.18, 0.18)
SCOPES: Final = {
    "training": ("train.generative", "northmail"),
    "ranking": ("train.ranking", "northmail"),
    "product": ("improve.product", "northmail"),
    "partner": ("train.generative", "tern"),
}
PATTERNS: Final = ("message.*", "message.direct", "post.public")
PATTERN_SHARES: Final = (0.7, 0.1, 0.2)
CLASSES: Final = ("message.direct", "message.group")

KEYS: Final = {"ash": bytes([1]) * 32, "birch": bytes([2]) * 32}
POLICY: Final = """
version = "{version}"
lead_days = 30
window_days = 30

[withdrawal]
reaches = ["releases", "recipients", "models"]
days = 30

[recipients.northmail]
name = "Northmail Inc."
class = "controller"

[recipients.tern]
name = "Tern Models GmbH"
class = "third_party"

[data_classes]
"message.direct" = {{ en = "messages that you send or receive" }}
"message.group" = {{ en = "messages in groups that you are a member of" }}
"post.public" = {{ en = "your public posts" }}

[purposes]
"train.generative" = {{ en = "train models that generate text" }}
"train.ranking" = {{ en = "train models that rank content" }}
"improve.product" = {{ en = "improve this service" }}

[[clauses]]
id = "a-yes-first"
level = "grant"

[settings.training]
title = "Training"
purposes = ["train.generative"]
data_classes = ["message.*", "post.public"]
recipients = ["northmail"]

[settings.ranking]
title = "Ranking"
purposes = ["train.ranking"]
data_classes = ["message.*", "post.public"]
recipients = ["northmail"]

[settings.product]
title = "Product"
purposes = ["improve.product"]
data_classes = ["message.*", "post.public"]
recipients = ["northmail"]

[settings.partner]
title = "Partners"
purposes = ["train.generative"]
data_classes = ["message.*", "post.public"]
recipients = ["tern"]

[regions]
jurisdictions = {{ DE = 0, FR = 0, US = 0, BR = 0, IN = 0, GB = 0 }}

[[regions.clauses]]
id = "no-training-here"
level = "never"
purposes = ["train.*"]
jurisdictions = ["GB"]

[contracts.standard]
[[contracts.standard.clauses]]
id = "as-the-policy"
level = "grant"
purposes = ["train.*"]

[contracts.enterprise]
[[contracts.enterprise.clauses]]
id = "no-training"
level = "never"
purposes = ["train.*"]
"""
VERSIONS: Final = {"1": "2018-01-01", "2": "2020-06-01", "3": "2021-10-01", "4": "2023-03-01"}

MAPPING: Final = Mapping(
    id="id", created_at="created_at", author=("sender",), recipients=("recipients",), members=(),
    payload=("body",), data_class="", data_class_column="data_class", sensitive="none",
    sensitive_column="", quotes="none", quote_source="", quote_class="", thread="", name="",
)  # fmt: skip


def account(number: np.ndarray) -> np.ndarray:
    """Return the platform's account ids: sparse, so that nothing can use them as places."""
    return (number.astype(np.int64) + 1) * 2_654_435_761 % 2**40


# ── the ledger ──────────────────────────────────────────────────────────────────────────────


class _Recorder:
    """Appends drafts at a simulated clock, and says how long it takes."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.count, self.began = store, 0, cpu()

    def spread(self, drafts: Iterator[Draft], count: int, first: int, last: int, per: int) -> None:
        """Record `count` drafts between two times, `per` at a time."""
        steps = max(1, -(-count // per))
        for n in range(steps):
            at = first + (last - first) * n // steps
            self.store.append(list(islice(drafts, per)), now=at)
            self.count += min(per, count - n * per)
            if not n % 100:
                rate = self.count / max(cpu() - self.began, 1e-9)
                print(f"\r  {self.count:,} events, {rate:,.0f} per CPU-s", end="", file=sys.stderr)


def _operators(folder: Path) -> None:
    with closing(Gate(folder, now=time_of(VERSIONS["1"]))) as first:
        for name, key in KEYS.items():
            first.register_operator(name, name, approval.public_key(key))


def _introduce(folder: Path) -> None:
    with closing(Gate(folder, now=time_of("2019-01-01"))) as gate:
        for setting in SETTINGS:
            gate.introduce(setting)


def ledger(work: Path, members: int, changed: int) -> Path:
    """Make a workspace whose ledger holds `members` members and all they said; returns it."""
    folder = work / f"ledger-{members}-{changed}"
    if (folder / "done.json").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    began = cpu()
    gate = Gate.create(folder, simulated=True)
    texts = {}
    rng = np.random.default_rng(SEED)
    recorder = _Recorder(gate.store)
    people = rng.permutation(members)
    facts = {
        "place": rng.choice(len(PLACES), members, p=PLACE_SHARES),
        "contract": rng.choice(len(CONTRACTS), members, p=CONTRACT_SHARES),
        "born": np.where(rng.random(members) < 0.005, 2004, rng.integers(1940, 2001, members)),
    }

    def publish(version: str) -> None:
        at = time_of(VERSIONS[version])
        with closing(Gate(folder, now=at)) as then:
            files = {"policy.toml": POLICY.format(version=version).encode()}
            drafted = draft(read(files, "policy"), "en")
            files |= {name: text.encode() for name, text in drafted.items()}
            signed = approval.sign_all(KEYS, to_sign(publishable(files, "policy")))
            then.publish(files, "policy", signed)
        for setting in SETTINGS:
            texts[setting] = gate.text_hash(setting, "en")

    ids = [str(a) for a in account(np.arange(members)).tolist()]
    _operators(folder)
    publish("1")
    drafts = _registrations(people, ids, facts)
    recorder.spread(drafts, members, time_of("2018-02-01"), time_of("2019-01-01"), 5000)

    _introduce(folder)
    total = members * CHOICES
    said = _Choices(rng, rng.integers(0, members, total))
    drafts = (said.draft(n, ids, texts) for n in range(total))
    recorder.spread(drafts, total, time_of("2019-01-01"), time_of("2019-12-30"), 5000)

    # Within the messages' years: notices of each new version, and what some people change.
    who = np.flatnonzero(rng.random(members) < changed / 100)
    rng.shuffle(who)
    kind = rng.integers(0, 3, len(who))
    later = _Choices(rng, who)
    place, contract = (
        (facts[name][who] + rng.integers(1, len(values), len(who))) % len(values)
        for name, values in (("place", PLACES), ("contract", CONTRACTS))
    )
    times = np.sort(rng.integers(FIRST, LAST, len(who)))
    for begun in map(time_of, list(VERSIONS.values())[1:]):  # while notices go out, nothing else
        times[(times >= begun) & (times < begun + 9 * DAY)] = begun + 9 * DAY
    moved = np.zeros(len(who), np.int64)
    at = 0

    def change(until: int) -> None:
        nonlocal at
        while at < len(who) and times[at] < until:
            stop = min(at + max(1, len(who) // 500), int(np.searchsorted(times, until)))
            now = int(times[at])
            batch = []
            for n in range(at, stop):
                subject = ids[who[n]]
                moved[n] = now
                if kind[n] == 2:
                    batch.append(later.draft(n, ids, texts))
                    continue
                fact = ("jurisdiction", PLACES[place[n]]), ("contract", CONTRACTS[contract[n]])
                name, value = fact[kind[n]]
                body = {"subject": subject, "kind": name, "value": value, "from": now}
                batch.append(Draft("subject.fact", body))
            gate.store.append(batch, now=now)
            at = stop

    for version in list(VERSIONS)[1:]:
        published = time_of(VERSIONS[version])
        change(published)
        publish(version)
        noticed = (
            Draft("notice.delivered", {"subject": ids[n], "version": version})
            for n in rng.permutation(members).tolist()
        )
        recorder.spread(noticed, members, published + DAY, published + 8 * DAY, 5000)
    change(LAST)
    gate.store.append([Draft("recipient.registered", {
        "recipient": "last", "name": "Closes the books", "class": "affiliate"})], now=AS_OF,
    )  # fmt: skip
    _tables(folder, facts, said, (who, kind, moved, place, contract, later))
    head = gate.store.head()
    gate.close()
    done = {"members": members, "changed": changed, "choices": total, "events": head.index + 1,
            "cpu": round(cpu() - began, 1), "bytes": (folder / "ledger.db").stat().st_size}  # fmt: skip
    (folder / "done.json").write_text(json.dumps(done))
    print(f"\r  ledger: {done}", file=sys.stderr)
    return folder


def _registrations(
    people: np.ndarray, ids: list[str], facts: dict[str, np.ndarray]
) -> Iterator[Draft]:
    columns = (facts[name].tolist() for name in ("place", "contract", "born"))
    place, contract, born = columns
    for n in people.tolist():
        known = (
            ("jurisdiction", PLACES[place[n]]),
            ("contract", CONTRACTS[contract[n]]),
            ("birth_year", born[n]),
        )
        listed = [{"kind": kind, "value": value} for kind, value in known]
        body = {"subject": ids[n], "member": True, "facts": listed, "noticed": ["1"]}
        yield Draft("subject.registered", body)


class _Choices:
    """Acts drawn for `who`: which setting, grant or refusal, of what."""

    def __init__(self, rng: np.random.Generator, who: np.ndarray) -> None:
        count = len(who)
        self.who = who
        self.setting = rng.choice(len(SETTINGS), count, p=SETTING_SHARES)
        self.pattern = rng.choice(len(PATTERNS), count, p=PATTERN_SHARES)
        draw = rng.random(count)
        self.act = np.where(draw < REFUSALS / 3, 2, np.where(draw < REFUSALS, 1, 0))
        # A refusal is of all messages, or of everything.
        self.wide = rng.random(count) < 0.3
        self.lists = [x.tolist() for x in (who, self.setting, self.pattern, self.act, self.wide)]

    def scope(self, n: int) -> tuple[str, str, str]:
        _, setting, pattern, act, wide = (x[n] for x in self.lists)
        purpose, recipient = SCOPES[SETTINGS[setting]]
        what = PATTERNS[pattern] if not act else "*" if wide else "message.*"
        return purpose, what, recipient

    def draft(self, n: int, ids: list[str], texts: dict[str, str]) -> Draft:
        who, setting, _, act, _ = (x[n] for x in self.lists)
        purpose, pattern, recipient = self.scope(n)
        name = SETTINGS[setting]
        line = {"purpose": purpose, "data_class": pattern, "recipient": recipient}
        evidence: dict[str, Any] = {"time": 1_546_300_800_000_000 + n, "channel": "settings page"}
        if not act:
            evidence |= {"setting": name, "text": texts[name]}
        body = {
            "subject": ids[who],
            "act": ("grant", "withdraw", "object")[act],
            "lines": [line],
            "evidence": evidence,
        }
        return Draft("choice.made", body)


def _tables(folder: Path, facts: dict[str, np.ndarray], said: _Choices, changes: tuple) -> None:
    """Write what a user's own SQL would start from: subjects, later facts, choices."""
    who, kind, moved, place, contract, later = changes
    subjects = account(np.arange(len(facts["born"])))
    names = {
        "subject": subjects,
        "jurisdiction": np.array(PLACES)[facts["place"]],
        "contract": np.array(CONTRACTS)[facts["contract"]],
        "birth_year": facts["born"],
    }
    pq.write_table(pa.table(names), folder / "subjects.parquet", compression="zstd")
    fact = kind < 2
    value = np.where(kind == 0, np.array(PLACES)[place], np.array(CONTRACTS)[contract])
    kinds = np.array(["jurisdiction", "contract", ""])[kind]
    columns = {"subject": account(who), "kind": kinds, "value": value, "since": moved}
    table = pa.table({name: column[fact] for name, column in columns.items()})
    pq.write_table(table, folder / "facts.parquet", compression="zstd")
    total = len(said.who)
    steps = -(-total // 5000)
    first, last = time_of("2019-01-01"), time_of("2019-12-30")
    step = np.arange(total) // 5000
    times = np.array([first + (last - first) * n // steps for n in range(steps)])[step]
    parts = []
    for drawn, at, keep, begin in (
        (said, times, np.ones(total, np.bool_), 0), (later, moved, kind == 2, total),
    ):  # fmt: skip
        rows = np.flatnonzero(keep)
        scopes = np.array([drawn.scope(n) for n in rows.tolist()] or np.empty((0, 3)), object)
        parts.append(
            pa.table(
                {
                    "n": begin + rows,
                    "subject": account(drawn.who[rows]),
                    "at": at[rows],
                    "act": np.array(["grant", "withdraw", "object"])[drawn.act[rows]],
                    "purpose": pa.array(scopes[:, 0], pa.string()),
                    "pattern": pa.array(scopes[:, 1], pa.string()),
                    "recipient": pa.array(scopes[:, 2], pa.string()),
                }
            )
        )
    pq.write_table(pa.concat_tables(parts), folder / "choices.parquet", compression="zstd")


# ── the messages ────────────────────────────────────────────────────────────────────────────


def prose(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return `size` bytes of words drawn like a language's: few are frequent."""
    letters = np.frombuffer(b"etaoinshrdlucmfwypvbgkjqxz", np.uint8)
    weights = 1 / np.arange(1, 27)
    words = []
    for length in rng.integers(2, 11, 30_000).tolist():
        words.append(bytes(letters[rng.choice(26, length, p=weights / weights.sum())]))
    rank = 1 / (np.arange(1, len(words) + 1) + 2.7)
    found, count = [], 0
    while count < size:
        drawn = rng.choice(len(words), 200_000, p=rank / rank.sum())
        text = b" ".join([words[n] for n in drawn.tolist()])
        found.append(text)
        count += len(text)
    return np.frombuffer(b" ".join(found)[:size], np.uint8)


def messages(work: Path, rows: int, members: int) -> Path:
    """Write the platform's table; returns its path."""
    path = work / f"messages-{rows}-{members}.parquet"
    if path.exists():
        return path
    work.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED + rows)
    pool = prose(rng, 192 << 20)
    part = path.with_suffix(".part")
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("created_at", pa.timestamp("us", tz="UTC")),
            ("data_class", pa.dictionary(pa.int8(), pa.string())),
            ("sender", pa.int64()),
            ("recipients", pa.list_(pa.int64())),
            ("body", pa.string()),
        ]
    )
    span = (LAST - FIRST) // rows
    with pq.ParquetWriter(
        part, schema, compression="zstd", compression_level=3, use_dictionary=["data_class"]
    ) as writer:
        for first in range(0, rows, ROW_GROUP):
            count = min(ROW_GROUP, rows - first)
            number = np.arange(first, first + count)
            lengths = rng.integers(1, 6, count)
            offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
            to = rng.integers(0, members, offsets[-1])
            to[rng.random(len(to)) < STRANGERS] += members
            bounds = np.concatenate([[0], np.cumsum(rng.integers(200, 1001, count))])
            at = int(rng.integers(0, len(pool) - bounds[-1]))
            body = pa.StringArray.from_buffers(
                count,
                pa.py_buffer(bounds.astype(np.int32)),
                pa.py_buffer(pool[at : at + bounds[-1]]),
            )
            kind = (rng.random(count) < 0.25).astype(np.int8)
            columns = [
                # ids are no order: a permutation of 64-bit numbers
                pa.array(
                    (number + 1).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(1)
                ).cast(pa.int64()),
                pa.array(FIRST + number * span + rng.integers(0, span, count)).cast(schema[1].type),
                pa.DictionaryArray.from_arrays(pa.array(kind), pa.array(CLASSES)),
                pa.array(account(rng.integers(0, members, count))),
                pa.ListArray.from_arrays(pa.array(offsets), pa.array(account(to))),
                body,
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=count)
    part.rename(path)
    return path


def registered(folder: Path, table: Path, rows: int) -> str:
    """Register the table in the workspace, once; returns the source's name."""
    name = f"m{rows}"
    if not (folder / "index" / name / "source.json").exists():
        gate = Gate(folder)
        before = cpu()
        gate.add_table(name, table, MAPPING)
        gate.close()
        (folder / f"{name}.json").write_text(json.dumps({"index_cpu": round(cpu() - before, 1)}))
    return name


def main() -> None:
    parser = options(__doc__, members=20_000, rows=200_000)
    parser.add_argument("--changed", type=int, default=5, help="percent; default: 5")
    arguments = parser.parse_args()
    folder = ledger(arguments.work, arguments.members, arguments.changed)
    table = messages(arguments.work, arguments.rows, arguments.members)
    registered(folder, table, arguments.rows)
    print(f"{folder}: {(folder / 'done.json').read_text()}")
    print(f"{table}: {table.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
