"""Small simulated workspaces, made through the gate, and a slow reading of the tables in them.

A workspace has a policy of one version, members who said yes, no or nothing, and a Parquet table of
several row groups. `reading` turns a table into items in plain Python, row by row, as the
specification says it: what the index holds has to be equal to that.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from letterlock import approval
from letterlock.domain import END, EPOCH, Item, Party, Role, Signature, Time, text_of, time_of
from letterlock.gate import Gate
from letterlock.gate.policies import publishable, to_sign
from letterlock.ledger import Draft
from letterlock.policy.document import read
from letterlock.policy.draft import draft
from letterlock.sources.mapping import Mapping as Columns
from letterlock.sources.mapping import read_mapping
from letterlock.sources.quotes import names_in_thread, quoted_authors, resolve
from letterlock.sources.records import Row
from worlds import CLASSES, CONTRACTS, PLACES, World, day

SUBJECTS = 6
WHEN = "On Mon, 1 Jan 2024 at 10:00,"

PUBLISHED = time_of("2024-01-01")
JOINED = time_of("2024-01-05")
CHOSE = time_of("2024-01-10")
NOW = time_of("2024-06-01")

KEYS = {"ash": bytes([1]) * 32, "birch": bytes([2]) * 32}
"""The operators' secret keys."""

PURPOSE, RECIPIENT = "train.generative", "maker"

POLICY = b"""\
version = "1"
lead_days = 1
window_days = 1

[recipients.own]
name = "Northmail Inc."
class = "controller"

[recipients.maker]
name = "Tern Models GmbH"
class = "third_party"

[data_classes."message.direct"]
en = "messages that you send or receive"

[data_classes."message.group"]
en = "messages in groups that you are a member of"

[data_classes."post.public"]
en = "your public posts"

[purposes."train.generative"]
en = "train models that generate text"

[purposes.infer]
en = "answer your questions"

[withdrawal]
reaches = ["releases", "recipients", "models"]
days = 30

[[clauses]]
id = "a-yes-first"
level = "grant"

[settings.genai]
title = "Data for Generative AI Improvement"
purposes = ["train.generative"]
data_classes = ["message.*", "post.public"]
recipients = ["own", "maker"]

[regions]
jurisdictions = { US = 0, DE = 0 }

[[regions.clauses]]
id = "excluded"
level = "never"
jurisdictions = ["DE"]
"""

MAPPING = """\
[columns]
id = "id"
created_at = "created_at"
author = "sender"
recipients = "receivers"
payload = ["subject", "body"]

[data_class]
column = "kind"

[sensitive]
none = true

[quotes]
column = "quoted"
"""

YES = ("ann", "bob", "cem", "dia", "eva", "fay")
"""Said yes to everything, for all time."""
NO, SILENT, MINOR, GERMAN, STRANGER = "nok", "sil", "kid", "ger", "stranger"
MEMBERS = (*YES, NO, SILENT, MINOR, GERMAN)


def member(subject: str, **more: Any) -> dict[str, Any]:
    """Return a row that registers a member."""
    return {
        "subject": subject, "jurisdiction": "US", "birth_year": 1970, "noticed": ["1"],
    } | more  # fmt: skip


def members() -> list[dict[str, Any]]:
    """Return the rows of everybody in a workspace."""
    odd = {MINOR: {"birth_year": 2010}, GERMAN: {"jurisdiction": "DE"}}
    return [member(name, **odd.get(name, {})) for name in MEMBERS]


def grant(subject: str, text: str, **more: Any) -> dict[str, Any]:
    """Return a row that says yes to everything the setting asks for, from now on."""
    return {
        "subject": subject, "act": "grant", "purpose": PURPOSE, "data_class": "message.*",
        "recipient": RECIPIENT, "time": text_of(CHOSE), "channel": "web", "text": text,
    } | more  # fmt: skip


def refusal(subject: str, act: str = "withdraw", **more: Any) -> dict[str, Any]:
    """Return a row that says no to everything."""
    return {"subject": subject, "act": act, "time": text_of(CHOSE), "channel": "web"} | more


def yes(subject: str, text: str) -> list[dict[str, Any]]:
    """Return rows that say yes to every class, for all time."""
    return [
        grant(subject, text, data_class=data_class, earlier=earlier)
        for data_class in ("message.*", "post.public")
        for earlier in (False, True)
    ]


def choices(text: str) -> list[dict[str, Any]]:
    """Return the rows of what everybody chose."""
    said = [row for name in (*YES, NO, MINOR, GERMAN) for row in yes(name, text)]
    return [*said, refusal(NO, time=text_of(CHOSE + 1))]


def rows_of(records: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Number records as a file of them would be."""
    return [Row(n, dict(record)) for n, record in enumerate(records, 1)]


def messages(count: int = 120) -> list[dict[str, Any]]:
    """Return messages between everybody: most of them may go, every tenth or so may not."""
    people = (*YES, *YES, *YES, NO, SILENT, MINOR, GERMAN, STRANGER)
    found = []
    for n in range(count):
        receivers = [people[(5 * n + k) % len(people)] for k in range(1, 2 + n % 3)]
        quoted = [YES[n % len(YES)]] if n % 4 == 0 else [NO] if n % 23 == 0 else []
        found.append(
            {
                "id": f"item-{n:04}",
                "created_at": datetime(2024, 2, 1, tzinfo=UTC) + timedelta(hours=7 * n),
                "sender": people[(7 * n) % len(people)],
                "receivers": receivers,
                "kind": ("message.direct", "message.group", "post.public")[n % 3],
                "quoted": [
                    {"id": q, "data_class": "message.direct", "created_at": time_of("2024-01-20")}
                    for q in quoted
                ],
                "subject": f"about {n}",
                "body": f"words of message number {n} " * (1 + n % 5),
            }
        )
    return found


QUOTE = pa.struct({"id": pa.string(), "data_class": pa.string(), "created_at": pa.int64()})
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "created_at": pa.timestamp("us", tz="UTC"),
        "sender": pa.string(),
        "receivers": pa.list_(pa.string()),
        "kind": pa.string(),
        "quoted": pa.list_(QUOTE),
        "subject": pa.string(),
        "body": pa.string(),
    }
)


def write(path: Path, rows: pa.Table | Sequence[Mapping[str, Any]], *, group: int = 50) -> Path:
    """Write rows as Parquet, `group` rows to a row group; returns `path`."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), SCHEMA)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)
    return path


def columns(text: str = MAPPING) -> Columns:
    """Read a mapping."""
    return read_mapping(text.encode(), "mapping.toml")


def approved(kind: str, **body: Any) -> list[Signature]:
    """Return what both operators sign of an event."""
    return approval.sign_all(KEYS, approval.message(kind, body))


def publish(gate: Gate, policy: bytes = POLICY) -> str:
    """Publish a policy as two operators do; they are registered if they are not."""
    for operator, key in KEYS.items():
        if operator not in gate.rules().operators:
            gate.register_operator(operator, operator.title(), approval.public_key(key))
    files = folder_of(policy)
    signed = to_sign(publishable(files, "policy"))
    return gate.publish(files, "policy", approval.sign_all(KEYS, signed))


def folder_of(policy: bytes = POLICY) -> dict[str, bytes]:
    """Return a policy's folder: its policy.toml, and the texts that are drafted from it."""
    files = {"policy.toml": policy}
    document = read(files, "policy")
    for language in document.languages:
        files |= {name: text.encode() for name, text in draft(document, language).items()}
    return files


def written(folder: Path, policy: bytes = POLICY) -> Path:
    """Write a policy's folder."""
    folder.mkdir(exist_ok=True)
    for name, text in folder_of(policy).items():
        (folder / name).write_bytes(text)
    return folder


def introduce(gate: Gate) -> None:
    """Introduce what the newest version asks for."""
    for setting in gate.rules().policies[-1].settings:
        gate.introduce(setting)


def people(folder: Path, *, policy: bytes = POLICY, ledger: str | None = None) -> Gate:
    """Make a simulated workspace with its policy, members and choices, and no source yet."""
    Gate.create(folder, simulated=True, now=PUBLISHED, ledger=ledger).close()
    at(folder, PUBLISHED, lambda gate: publish(gate, policy))
    at(folder, JOINED, lambda gate: gate.register_subjects(rows_of(members())))
    at(folder, JOINED, introduce)
    at(folder, CHOSE + 1, lambda gate: gate.load_choices(rows_of(choices(text_of_setting(gate)))))
    return Gate(folder, now=NOW)


def workspace(
    folder: Path,
    rows: pa.Table | Sequence[Mapping[str, Any]] | None = None,
    *,
    mapping: str = MAPPING,
    group: int = 50,
    policy: bytes = POLICY,
) -> Gate:
    """Make a simulated workspace whose table, `folder`.parquet, is the source "mail"."""
    gate = people(folder, policy=policy)
    table = write(folder.with_suffix(".parquet"), messages() if rows is None else rows, group=group)
    gate.add_table("mail", table, columns(mapping))
    return gate


def text_of_setting(gate: Gate) -> str:
    """Return the hash of the text that members were shown."""
    return gate.text_hash("genai", "en")


def at(folder: Path, now: Time, do: Any) -> Any:
    """Open the workspace at a time, do something to it, and close it."""
    gate = Gate(folder, now=now)
    try:
        return do(gate)
    finally:
        gate.close()


def copy(gate: Gate, folder: Path) -> Gate:
    """Copy a workspace, which shares its table with the original, and open the copy."""
    gate.close()
    shutil.copytree(gate.folder, folder)
    return Gate(folder, now=NOW)


def withdraw(folder: Path, subject: str) -> None:
    """Let somebody say no to everything, from another process's point of view."""
    at(folder, NOW, lambda gate: gate.load_choices(rows_of([refusal(subject)])))


def traces(folder: Path) -> tuple[int, list[str]]:
    """Return what a failed command must leave as it was: the ledger's head and every file's name.

    The ledger's own side files come and go, and tokens that were computed are kept.
    """
    gate = Gate(folder)
    head = gate.store.head().index
    gate.close()
    names = (p.relative_to(folder).as_posix() for p in folder.rglob("*"))
    kept = (n for n in names if not n.startswith("ledger.db-"))
    return head, sorted(n for n in kept if not n.endswith((".lock", ".tokens")))


def releases(folder: Path) -> list[Path]:
    """Return everything that looks like a release."""
    return sorted(p for p in (folder / "releases").iterdir() if p.name[0] != ".")


# ── a slow reading of a table ─────────────────────────────────────────────────────────────────


def reading(path: Path, mapping: Columns) -> list[Item]:
    """Read a table in plain Python, as docs/spec says: one item per row, in the table's order."""
    paths = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    tables = [pq.read_table(p, partitioning=None) for p in paths]
    rows = [row for table in tables for row in _plain(table)]
    threads: dict[str, set[tuple[str, str]]] = {}
    if mapping.quotes == "text" and mapping.thread and mapping.name:
        for row in rows:
            thread, name = row[mapping.thread], row[mapping.name]
            author = row[mapping.author[0]]
            if thread is not None and name and isinstance(author, str):
                threads.setdefault(str(thread), set()).add((name, author))
    known = {thread: names_in_thread(pairs) for thread, pairs in threads.items()}
    ids = Counter(str(row[mapping.id]) for row in rows if row[mapping.id] not in {None, ""})
    return [_item(row, mapping, known, ids) for row in rows]


def _plain(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows of Python values, every timestamp as whole microseconds since 1970."""
    plain = []
    for field in table.schema:
        values = table.column(field.name)
        if pa.types.is_timestamp(field.type):
            plain.append([_micros(v, field.type.unit) for v in values.cast(pa.int64()).to_pylist()])
        elif pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
            plain.append(_quotes(values, field.type.value_type.field("created_at").type))
        else:
            plain.append(values.to_pylist())
    names = table.column_names
    return [dict(zip(names, row, strict=True)) for row in zip(*plain, strict=True)]


def _quotes(column: pa.ChunkedArray, kind: pa.DataType) -> list[Any]:
    inner = column.type.value_type
    fields = [pa.field(f.name, pa.int64() if f.name == "created_at" else f.type) for f in inner]
    lists = column.cast(pa.list_(pa.struct(fields))).to_pylist()
    if pa.types.is_timestamp(kind):
        for quote in (q for quotes in lists for q in quotes or () if q is not None):
            quote["created_at"] = _micros(quote["created_at"], kind.unit)
    return lists


def _micros(ticks: int | None, unit: str) -> Time | None:
    if ticks is None:
        return None
    return ticks * {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[unit] // 1000


def _written(t: Time | None) -> Time | None:
    """Return a time that can be written as one."""
    return t if t is not None and -END < t < END else None


def _subject(value: object) -> str | None:
    """Return who an account id names: nobody, if it is null, blank or negative."""
    if isinstance(value, int):
        return str(value) if value >= 0 else None
    return value.strip() or None if isinstance(value, str) else None


def _everyone(value: object) -> list[str | None]:
    """Return the people of one cell: a list that is null names somebody unknown, once."""
    return [_subject(v) for v in value] if isinstance(value, list) else [_subject(value)]


def _item(
    row: dict[str, Any], mapping: Columns, threads: Mapping[str, Any], ids: Counter[str]
) -> Item:
    data_class = mapping.data_class or row[mapping.data_class_column] or None
    categories: frozenset[str] | None = None
    if mapping.sensitive == "none":
        categories = frozenset()
    elif mapping.sensitive == "column":
        listed = row[mapping.sensitive_column]
        listed = [listed] if isinstance(listed, str) else listed
        categories = frozenset(listed) if listed is not None and all(listed) else None
    parties = [
        Party(subject, role)
        for role, names in (
            (Role.AUTHOR, mapping.author),
            (Role.RECIPIENT, mapping.recipients),
            (Role.MEMBER, mapping.members),
        )
        for name in names
        for subject in _everyone(row[name])
    ]
    is_message = data_class is not None and data_class.split(".")[0] == "message"
    if is_message and all(p.role is Role.AUTHOR for p in parties):
        parties.append(Party(None, Role.RECIPIENT))
    parties += _quoted(row, mapping, threads)
    item = row[mapping.id]
    if item in {None, ""} or ids[str(item)] > 1:  # cannot be told apart: never judged
        data_class = categories = None
    if data_class is None:
        categories = None
    return Item(
        str(item), data_class, _written(row[mapping.created_at]), tuple(parties), categories
    )


def _quoted(row: dict[str, Any], mapping: Columns, threads: Mapping[str, Any]) -> list[Party]:
    if mapping.quotes == "none":
        return []
    value = row[mapping.quote_source]
    quotes: list[Any] = [None] if value is None else value
    if mapping.quotes == "text":
        thread = row[mapping.thread] if mapping.thread else None
        quotes = [resolve(q, threads.get(str(thread), {})) for q in quoted_authors(value or "")]
    found = []
    for quote in quotes:
        whole = quote if isinstance(quote, dict) else {"id": quote}
        at, data_class = _written(whole.get("created_at")), whole.get("data_class")
        said = (whole["id"], data_class, at)
        if said not in found:  # the same words quoted twice say nothing more
            found.append(said)
    return [
        Party(_subject(account), Role.QUOTED, data_class or mapping.quote_class or None, at)
        for account, data_class, at in found
    ]


def moment(t: Time) -> datetime:
    """Return a time as Python's own."""
    return EPOCH + timedelta(microseconds=t)


# ── random tables ─────────────────────────────────────────────────────────────────────────────


@dataclass
class Drawn:
    """A table drawn at random, in one or two files, and its mapping."""

    tables: list[pa.Table]
    mapping: str
    group: int

    def write(self, folder: Path) -> Path:
        """Write it; returns its path."""
        for n, table in enumerate(self.tables):
            write(folder / f"part-{n}.parquet", table, group=self.group)
        return folder if len(self.tables) > 1 else folder / "part-0.parquet"


class Drawer:
    """Draws tables about the people of a world, whose ids are small numbers or addresses."""

    def __init__(self, seed: int) -> None:
        """Prepare to draw the table of `seed`."""
        self.rng = random.Random(seed)
        self.by_mail = self.rng.random() < 0.3
        self.cells: dict[str, pa.Array] = {}
        self.circle: list[int] = []

    def name(self, n: int) -> str:
        """Return the id of a person."""
        return f"p{n}@x.org" if self.by_mail else str(n)

    def account(self) -> str | None:
        """Draw an account id as text; a few cannot be one."""
        rng = self.rng
        if rng.random() < 0.015:
            return rng.choice([None, "", "  ", "stranger"])
        name = self.name(rng.choice(self.circle))
        return f" {name} " if rng.random() < 0.05 else name

    def number(self) -> int | None:
        """Draw an account id as a number; a few cannot be one."""
        rng = self.rng
        return rng.choice([None, -1, -7, 99]) if rng.random() < 0.015 else rng.choice(self.circle)

    def people(self, rows: int) -> pa.Array:
        """Draw a column of people, of any type and shape."""
        rng = self.rng
        if self.by_mail or rng.random() < 0.6:
            one, kind = self.account, rng.choice([pa.string(), pa.string(), pa.large_string()])
        else:
            one, kind = self.number, rng.choice([pa.int64(), pa.int32(), pa.int16()])
        if rng.random() < 0.4:
            found = pa.array([one() for _ in range(rows)], kind)
            text = kind in {pa.string(), pa.large_string()}
            return found.dictionary_encode() if text and rng.random() < 0.5 else found
        lists = [
            None if rng.random() < 0.02 else [one() for _ in range(rng.choice([0, 1, 1, 1, 1, 2]))]
            for _ in range(rows)
        ]
        make = pa.large_list if rng.random() < 0.2 else pa.list_
        return pa.array(lists, make(kind))

    def ids(self, rows: int) -> pa.Array:
        """Draw the items' ids: most of them are unique."""
        rng = self.rng
        numbers: list[Any] = rng.sample(range(-3 * rows - 3, 3 * rows + 3), rows)
        if rows > 4 and rng.random() < 0.4:
            numbers[rng.randrange(rows)] = numbers[rng.randrange(rows)]
            numbers[rng.randrange(rows)] = None
            numbers[rng.randrange(rows)] = 0
        if rng.random() < 0.4:
            return pa.array(numbers, rng.choice([pa.int64(), pa.int32(), pa.int16()]))
        texts = [None if n is None else f"i{n}" for n in numbers]
        if rows > 4 and rng.random() < 0.4:
            texts[rng.randrange(rows)] = ""
        found = pa.array(texts, rng.choice([pa.string(), pa.large_string()]))
        return found.dictionary_encode() if rng.random() < 0.3 else found

    def time(self) -> int | None:
        """Draw a time in microseconds; a few are missing or out of range."""
        rng = self.rng
        if rng.random() < 0.03:
            return rng.choice([None, 2**62, -(2**62), END, -END, day(500)])
        return day(rng.choice([*range(-60, 110, 5), 2.5, 61])) + rng.choice([0, 0, 1, 999_999])

    def times(self, values: Sequence[int | None]) -> pa.Array:
        """Return times in a column of any type; what is out of its range is null there."""
        rng = self.rng
        unit = rng.choice(["us", "us", "ms", "ns", "int"])
        if unit == "int":
            return pa.array(values, pa.int64())
        kind = pa.timestamp(unit, rng.choice([None, "UTC", "Europe/Berlin"]))
        ticks = [
            None if v is None else v // 1000 if unit == "ms" else v * 1000 if unit == "ns" else v
            for v in values
        ]
        inside = [None if t is None or not -(2**63) < t < 2**63 else t for t in ticks]
        return pa.array(inside, pa.int64()).cast(kind)

    def classes(self, rows: int) -> pa.Array:
        """Draw a column of data classes, a few of which nobody registered."""
        rng = self.rng
        odd: list[str | None] = [None, "", "message", "message.unheard", "messages.direct"]
        found = [
            rng.choice(odd) if rng.random() < 0.05 else rng.choice(CLASSES) for _ in range(rows)
        ]
        array = pa.array(found, pa.string())
        if rng.random() < 0.5:
            return array
        encoded = array.dictionary_encode()
        return encoded.cast(pa.dictionary(rng.choice([pa.int8(), pa.int32()]), pa.string()))

    def categories(self, rows: int) -> pa.Array:
        """Draw a column of sensitive categories: lists, or one each."""
        rng = self.rng
        if rng.random() < 0.3:
            values = rng.choices([None, "", "pay", "health"], [1, 1, 5, 1], k=rows)
            return pa.array(values, pa.string())
        sets = [None, [], ["pay"], ["pay", "health"], [None], ["pay", None], [""]]
        lists = rng.choices(sets, [1, 20, 3, 2, 0.3, 0.3, 0.3], k=rows)
        return pa.array(lists, pa.list_(pa.string()))

    def quoted(self, rows: int) -> pa.Array:
        """Draw a column of quotes: account ids, or ids with class and time."""
        rng = self.rng
        lengths = rng.choices([None, 0, 1, 2], [1, 30, 4, 1], k=rows)
        total = sum(n or 0 for n in lengths)
        numbers = not self.by_mail and rng.random() < 0.4
        ids = [self.number() if numbers else self.account() for _ in range(total)]
        inner = pa.array(ids, pa.int64() if numbers else pa.string())
        if rng.random() < 0.6:
            at = self.times([self.time() if rng.random() < 0.6 else None for _ in range(total)])
            known = [rng.choice([*CLASSES, *CLASSES, None, "", "odd"]) for _ in range(total)]
            inner = pa.StructArray.from_arrays(
                [at, pa.array(known, pa.string()), inner], ["created_at", "data_class", "id"]
            )
        offsets = np.cumsum([0, *(n or 0 for n in lengths)])
        absent = pa.array([n is None for n in lengths], pa.bool_())
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), inner, mask=absent)

    def text(self) -> str | None:
        """Draw the words of a message, which may quote somebody by address or name."""
        rng = self.rng
        n = rng.randrange(SUBJECTS)
        written = f"<{self.name(n)}>" if rng.random() < 0.5 else f"Person {n}"
        said = [
            None, "only my own words", f"yes\n\n{WHEN} {written} wrote:\n> no", "yes\n> who?",
            f"-----Original Message-----\nFrom: {written}\nTo: all\nSubject: x\n\nwords",
        ]  # fmt: skip
        return rng.choices(said, [1, 20, 3, 1, 1])[0]

    def draw(self) -> Drawn:
        """Draw the table."""
        rng = self.rng
        files = rng.choice([1, 1, 1, 2])
        self.circle = rng.sample(range(SUBJECTS), rng.choice([1, 1, 2, SUBJECTS]))
        rows = rng.choice([0, 1, 7, 40, 40, 60])
        table = self._columns(rows)
        cut = rng.randint(0, rows) if files > 1 else rows
        tables = [table.slice(0, cut), table.slice(cut)][:files]
        return Drawn(tables, self._mapping(), rng.choice([1, 3, 10, 100]))

    def _columns(self, rows: int) -> pa.Table:
        rng, cells = self.rng, self.cells
        cells["id"] = self.ids(rows)
        cells["at"] = self.times([self.time() for _ in range(rows)])
        authors, receivers = rng.choice([1, 1, 1, 1, 2]), rng.choice([0, 1, 1, 1, 1, 2])
        for name in ("from0", "from1")[:authors] + ("to0", "to1")[:receivers]:
            cells[name] = self.people(rows)
        if rng.random() < 0.15:
            cells["group"] = self.people(rows)
        if rng.random() < 0.7:
            cells["kind"] = self.classes(rows)
        if rng.random() < 0.4:
            cells["tags"] = self.categories(rows)
        self.quotes = "text" if self.by_mail else rng.choice(["none", "column"])
        if self.quotes == "column":
            cells["quotes"] = self.quoted(rows)
        elif self.quotes == "text":
            cells["thread"] = pa.array([rng.choice([None, 1, 2]) for _ in range(rows)], pa.int64())
            names = [rng.choice(["", None, f"Person {n % 3}"]) for n in range(rows)]
            cells["display"] = pa.array(names, pa.string())
        cells["body"] = pa.array([self.text() for _ in range(rows)], pa.string())
        order = list(cells)
        rng.shuffle(order)
        return pa.table({name: cells[name] for name in order})

    def _mapping(self) -> str:
        rng, cells = self.rng, self.cells

        def names(prefix: str) -> str:
            found = sorted(name for name in cells if name.startswith(prefix))
            return str(found).replace("'", '"')

        payload = [n for n in ("body", "kind", "at", "tags") if n in cells and rng.random() < 0.7]
        lines = ["[columns]", 'id = "id"', 'created_at = "at"', f"author = {names('from')}"]
        lines += [f"recipients = {names('to')}", f"members = {names('group')}"]
        lines += [f"payload = {payload}".replace("'", '"'), "[data_class]"]
        lines += ['column = "kind"' if "kind" in cells else f'value = "{rng.choice(CLASSES)}"']
        declared = rng.choices(["none = true", "unknown = true"], [9, 1])[0]
        lines += ["[sensitive]", 'column = "tags"' if "tags" in cells else declared, "[quotes]"]
        source = {"none": "none = true", "column": 'column = "quotes"', "text": 'text = "body"'}
        lines += [source[self.quotes]]
        if self.quotes != "none" and rng.random() < 0.4:
            lines += [f'data_class = "{rng.choice(CLASSES)}"']
        if self.quotes == "text" and rng.random() < 0.8:
            lines += ['thread = "thread"', 'name = "display"']
        return "\n".join(lines)


def live(folder: Path, world: World) -> Gate:
    """Make a simulated workspace in which everything in a world was recorded at its time."""
    Gate.create(folder, simulated=True).close()
    gate, drafts = Gate(folder, now=day(1000)), list(world.drafts)
    for t in sorted({t for t, _ in drafts}):
        gate.store.append([draft for when, draft in drafts if when == t], now=t)
    return gate


def renamed(world: World, drawer: Drawer) -> World:
    """Give a world's people the names that the table has for them."""
    drafts = []
    for t, said in world.drafts:
        body = dict(said.body)
        if "subject" in body:
            body["subject"] = drawer.name(int(body["subject"][1:]))
        drafts.append((t, Draft(said.kind, body)))
    return World(drafts, [], world.as_of, [drawer.name(n) for n in range(SUBJECTS)])


def travelling(rng: random.Random, world: World) -> World:
    """Let a world's people move and change contracts more often than most do."""
    for person in world.people:
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            start, end = sorted(rng.sample(range(-50, 130, 5), 2))
            kind, values = rng.choice([("jurisdiction", PLACES)] * 3 + [("contract", CONTRACTS)])
            body: dict[str, Any] = {"subject": person, "kind": kind, "value": rng.choice(values)}
            if rng.random() < 0.7:
                body["from"] = day(start)
            if rng.random() < 0.5:
                body["to"] = day(end)
            world.drafts.append((day(rng.choice(range(0, 120, 5))), Draft("subject.fact", body)))
    world.drafts.sort(key=lambda told: told[0])
    return world
