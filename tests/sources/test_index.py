"""The index of a table says of each row what a slow plain reading says, and refuses what is broken.

Tables are drawn at random in every shape that a mapping can describe, with everything that goes
wrong in real ones: null, blank, negative and doubled ids, absent and empty lists, dates that are
missing or out of range, unknown classes. The kernel's verdicts over the index are compared with
`decide` over the plain reading.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from columnar import record
from letterlock.domain import DAY, END, Item, Reason, Role, time_of
from letterlock.errors import InputError, LetterlockError
from letterlock.ledger import fold
from letterlock.policy.decide import decide, recipient_of
from letterlock.release.build import judge
from letterlock.release.kernel import reason_and_role
from letterlock.release.plan import make_plan
from letterlock.sources.index import Source, item_keys, write_index
from letterlock.sources.mapping import Mapping
from letterlock.sources.table import Table
from letterlock.store.sqlite import SqliteStore
from workspaces import (
    MAPPING,
    NOW,
    PURPOSE,
    RECIPIENT,
    SCHEMA,
    SUBJECTS,
    WHEN,
    Drawer,
    columns,
    messages,
    people,
    reading,
    renamed,
    traces,
    workspace,
    write,
)
from worlds import Maker, requests

FAST, SLOW = range(5), range(5, 150)


class Numbers:
    """A ledger's interning, in memory."""

    def __init__(self) -> None:
        """Start with nobody."""
        self.ids: list[str] = []

    def numbers(self, subjects: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the number of each subject."""
        known = {name: n for n, name in enumerate(self.ids)}
        for subject in subjects:
            if subject not in known:
                known[subject] = len(self.ids)
                self.ids.append(subject)
        return np.array([known[subject] for subject in subjects], np.int64)


def indexed(table: Path, mapping: Mapping, folder: Path) -> tuple[Source, list[str]]:
    """Index a table into a new folder; returns the source, and the names of its people."""
    folder.mkdir()
    numbers = Numbers()
    write_index(Table(table, mapping), folder, numbers)
    return Source("mail", folder), numbers.ids


def assert_equal(source: Source, ids: Sequence[str], items: Sequence[Item]) -> None:
    """Assert that every item with an id is found as it was read, in the table's order."""
    assert source.rows == len(items)
    for item in {item.id for item in items} - {"None", ""}:
        assert list(source.find(item, ids)) == [i for i in items if i.id == item]


def plain(count: int = 3, **other: Any) -> pa.Table:
    """Return a table in which everything is as it should be, apart from `other` columns."""
    when = pa.array([NOW - 1] * count, pa.int64()).cast(pa.timestamp("us", "UTC"))
    cells: dict[str, Any] = {
        "id": pa.array([f"i{n}" for n in range(count)], pa.string()),
        "created_at": when,
        "sender": pa.array(["ann"] * count, pa.string()),
        "receivers": pa.array([["bob"]] * count, pa.list_(pa.string())),
        "kind": pa.array(["message.direct"] * count, pa.string()),
        "quoted": pa.array([[]] * count, SCHEMA.field("quoted").type),
        "subject": pa.array(["about"] * count, pa.string()),
        "body": pa.array(["words"] * count, pa.string()),
    }
    return pa.table(cells | other)


def unread(values: Sequence[bytes]) -> pa.Array:
    """Return texts that are not UTF-8, which Parquet does not mind."""
    offsets = np.cumsum([0, *map(len, values)]).astype(np.int32)
    return pa.StringArray.from_buffers(
        len(values), pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(values))
    )


def quotes(kind: pa.DataType, ticks: int | None) -> pa.Array:
    """Return three rows that quote cem, at a time of any type."""
    at = pa.array([ticks] * 3, pa.int64()).cast(kind)
    cells = [pa.array(["cem"] * 3), pa.array(["message.direct"] * 3), at]
    names = ["id", "data_class", "created_at"]
    return pa.ListArray.from_arrays(
        pa.array([0, 1, 2, 3], pa.int32()), pa.StructArray.from_arrays(cells, names)
    )


# ── random tables ─────────────────────────────────────────────────────────────────────────────


def agree(seed: int, folder: Path) -> tuple[int, int]:
    """Assert index = plain reading and kernel = decide; counts the items, and those that go."""
    drawer = Drawer(seed)
    world = renamed(Maker(seed, people=SUBJECTS, items=0).make(), drawer)
    store = record(world, folder / "ledger.db")
    total = allowed = 0
    for n in range(3):
        drawer.cells = {}
        drawn = drawer.draw()
        table, mapping = drawn.write(folder / f"table-{n}"), columns(drawn.mapping)
        index = folder / f"index-{n}"
        index.mkdir()
        write_index(Table(table, mapping), index, store)
        source, items = Source("t", index), reading(table, mapping)
        assert_equal(source, store.subject_ids(), items)
        state = fold(world.events(), world.as_of)
        for request in drawer.rng.sample(requests(), 2):
            recipient = recipient_of(request, state.rules)
            plan = make_plan(
                store, state.rules, request.purpose, recipient, source.kinds,
                upto=store.head().index,
            )  # fmt: skip
            codes = judge(plan, [source], lambda *_: None).codes[0]
            answers = [reason_and_role(code) for group in codes for code in group.tolist()]
            decisions = [decide(request, item, state) for item in items]
            assert answers == [(d.reason, d.role) for d in decisions]
            total += len(items)
            allowed += sum(d.allowed for d in decisions)
    store.close()
    return total, allowed


@pytest.mark.parametrize("seed", FAST)
def test_the_index_and_the_kernel_say_what_a_plain_reading_says(seed, tmp_path):
    """In tables of every shape, the index equals a slow reading, and verdicts equal `decide`."""
    agree(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SLOW)
def test_they_say_so_in_many_more_tables(seed, tmp_path):
    """The same, over many more worlds and tables."""
    agree(seed, tmp_path)


@pytest.mark.slow
def test_a_good_share_of_the_drawn_items_may_go(tmp_path):
    """The random tables ask something: many items are allowed, many are not."""
    found = []
    for seed in range(1000, 1020):
        folder = tmp_path / str(seed)
        folder.mkdir()
        found.append(agree(seed, folder))
    total, allowed = map(sum, zip(*found, strict=True))
    assert 0.05 < allowed / total < 0.8


# ── one thing at a time ───────────────────────────────────────────────────────────────────────


def read_as(table: pa.Table, folder: Path, mapping: str = MAPPING, group: int = 2) -> list[Item]:
    """Index a table, assert that the index equals a plain reading, and return the items."""
    path = write(folder / "table.parquet", table, group=group)
    source, ids = indexed(path, columns(mapping), folder / "index")
    items = reading(path, columns(mapping))
    assert_equal(source, ids, items)
    return items


def parties(item: Item) -> list[tuple[str | None, str]]:
    """Return who takes part in an item, and how."""
    return [(p.subject, p.role.name.lower()) for p in item.parties]


ODD_PEOPLE = {
    "null": (pa.array(["ann", None, "bob"]), ["ann", None, "bob"]),
    "blank": (pa.array(["", "  ", " bob\t"]), [None, None, "bob"]),
    "negative": (pa.array([-1, 0, 5], pa.int64()), [None, "0", "5"]),
    "large": (pa.array([2**64 - 1, 0, 1], pa.uint64()), [str(2**64 - 1), "0", "1"]),
    "small": (pa.array([-128, None, 127], pa.int8()), [None, None, "127"]),
    "dictionary": (pa.array(["ann", None, "ann"]).dictionary_encode(), ["ann", None, "ann"]),
    "large text": (pa.array(["ann", "b", "ann"], pa.large_string()), ["ann", "b", "ann"]),
    "beyond ASCII": (pa.array(["ünn", "李", "a\0b"]), ["ünn", "李", "a\0b"]),
}


@pytest.mark.parametrize("name", ODD_PEOPLE)
def test_an_account_id_that_cannot_be_one_names_somebody_unknown(name, tmp_path):
    """Null, blank and negative ids name somebody who cannot be resolved; others name a person."""
    column, expected = ODD_PEOPLE[name]
    items = read_as(plain(sender=column), tmp_path)
    assert [parties(item)[0] for item in items] == [(e, "author") for e in expected]


def test_a_list_that_is_absent_names_somebody_and_an_empty_one_nobody(tmp_path):
    """A null list of recipients is somebody unknown; an empty one is nobody, in a post."""
    receivers = pa.array([None, [], ["bob", None, "bob"]], pa.list_(pa.string()))
    kinds = pa.array(["post.public"] * 3)
    items = read_as(plain(receivers=receivers, kind=kinds), tmp_path)
    assert [parties(item)[1:] for item in items] == [
        [(None, "recipient")],
        [],
        [("bob", "recipient"), (None, "recipient"), ("bob", "recipient")],
    ]


@pytest.mark.parametrize(
    ("kind", "somebody"),
    [("message", True), ("message.direct", True), ("messages", False), ("post.public", False)],
)
def test_a_message_without_a_recipient_went_to_somebody_unknown(kind, somebody, tmp_path):
    """A message that names no recipient has one who cannot be resolved; a post has not."""
    receivers = pa.array([[], [], ["bob"]], pa.list_(pa.string()))
    items = read_as(plain(receivers=receivers, kind=pa.array([kind] * 3)), tmp_path)
    expected = [(None, "recipient")] if somebody else []
    assert [parties(item)[1:] for item in items] == [expected, expected, [("bob", "recipient")]]


def test_a_message_to_a_group_went_to_its_members(tmp_path):
    """Who is named as a member is somebody the message went to."""
    table = plain(
        receivers=pa.array([[], [], []], pa.list_(pa.string())),
        group=pa.array([["bob", "cem"], ["bob"], []], pa.list_(pa.string())),
    )
    mapping = MAPPING.replace("payload", 'members = "group"\npayload')
    items = read_as(table, tmp_path, mapping)
    assert [parties(item)[1:] for item in items] == [
        [("bob", "member"), ("cem", "member")], [("bob", "member")], [(None, "recipient")],
    ]  # fmt: skip


def test_several_columns_of_one_role_all_count(tmp_path):
    """Authors and recipients in several columns, scalar or list, are all parties, in that order."""
    table = plain(
        delegate=pa.array(["dia", None, "eva"]),
        copy=pa.array([["fay"], [], None], pa.list_(pa.string())),
    )
    mapping = MAPPING.replace('author = "sender"', 'author = ["sender", "delegate"]')
    mapping = mapping.replace('"receivers"', '["receivers", "copy"]')
    items = read_as(table, tmp_path, mapping)
    bob = ("bob", "recipient")
    assert [parties(item) for item in items] == [
        [("ann", "author"), ("dia", "author"), bob, ("fay", "recipient")],
        [("ann", "author"), (None, "author"), bob],
        [("ann", "author"), ("eva", "author"), bob, (None, "recipient")],
    ]


ODD_IDS = {
    "text": (pa.array(["a", "b", "a", None, "", "c"]), [False, True, False, False, False, True]),
    "numbers": (pa.array([0, None, 5, -3, 5, None]), [True, False, False, True, False, False]),
    "dictionary": (
        pa.array(["a", "b", "a", None, "", "c"]).dictionary_encode(),
        [False, True, False, False, False, True],
    ),
}


@pytest.mark.parametrize("name", ODD_IDS)
def test_a_row_without_an_id_of_its_own_is_never_judged(name, tmp_path):
    """A row whose id is missing, or another row's too, is marked; all others are read."""
    column, expected = ODD_IDS[name]
    items = read_as(plain(6, id=column), tmp_path)
    assert [item.data_class is not None for item in items] == expected


@pytest.mark.parametrize("group", [1, 2, 6])
def test_a_doubled_id_is_found_across_row_groups_and_files(group, tmp_path):
    """Two rows of one id are both marked, wherever in the table they lie."""
    write(tmp_path / "t" / "b.parquet", plain(3), group=group)
    other = plain(3, id=pa.array(["i2", "x", "y"]))
    write(tmp_path / "t" / "a.parquet", other, group=group)
    source, ids = indexed(tmp_path / "t", columns(), tmp_path / "index")
    items = reading(tmp_path / "t", columns())
    assert_equal(source, ids, items)
    assert [i.id for i in items if i.data_class is None] == ["i2", "i2"]
    assert [i.id for i in items] == ["i2", "x", "y", "i0", "i1", "i2"]


DATES = {
    "ms": (pa.timestamp("ms"), [0, -1, 1_700_000_000_123], [0, -1000, 1_700_000_000_123_000]),
    "ns": (pa.timestamp("ns", "UTC"), [0, -1, 1_999], [0, -1, 1]),
    "us elsewhere": (pa.timestamp("us", "Asia/Tokyo"), [0, 1, None], [0, 1, None]),
    "us out of range": (pa.timestamp("us"), [END, -END, 2**62], [None, None, None]),
    "ms out of range": (pa.timestamp("ms"), [2**62, -(2**63), END], [None, None, None]),
    "ns as far as it goes": (pa.timestamp("ns"), [2**63 - 1, 2**62], [None, 2**62 // 1000]),
    "whole numbers": (pa.int64(), [5, None, -(2**63)], [5, None, None]),
    "the ends": (pa.int64(), [END - 1, 1 - END, -END], [END - 1, 1 - END, None]),
}  # fmt: skip


@pytest.mark.parametrize("name", DATES)
def test_dates_are_whole_microseconds_or_not_known(name, tmp_path):
    """Timestamps of any unit and zone become UTC microseconds; what is out of range is unknown."""
    kind, ticks, expected = DATES[name]
    column = pa.array(ticks, pa.int64()).cast(kind)
    items = read_as(plain(len(ticks), created_at=column), tmp_path)
    assert [item.created_at for item in items] == expected


@pytest.mark.parametrize(
    ("declared", "column", "expected"),
    [
        ("none = true", None, [frozenset()] * 3),
        ("unknown = true", None, [None] * 3),
        ('column = "s"', pa.array(["pay", "", None]), [frozenset({"pay"}), None, None]),
        (
            'column = "s"',
            pa.array([["pay", "health"], [], None], pa.list_(pa.string())),
            [frozenset({"pay", "health"}), frozenset(), None],
        ),
        ('column = "s"', pa.array([["pay", None], [""], ["pay", "pay"]], pa.list_(pa.string())),
         [None, None, frozenset({"pay"})]),
    ],
)  # fmt: skip
def test_sensitivity_is_what_was_declared_or_listed(declared, column, expected, tmp_path):
    """Categories are declared, listed per row, or not known; what cannot be read is not known."""
    table = plain() if column is None else plain(s=column)
    items = read_as(table, tmp_path, MAPPING.replace("none = true", declared))
    assert [item.categories for item in items] == expected


CLASS_COLUMNS = {
    "text": pa.array(["post.public", None, ""]),
    "dictionary": pa.array(["post.public", None, ""]).dictionary_encode(),
    "small dictionary": pa.DictionaryArray.from_arrays(
        pa.array([127, None, 0], pa.int8()), pa.array(["", *map(str, range(126)), "post.public"])
    ),
}


@pytest.mark.parametrize("name", CLASS_COLUMNS)
def test_a_data_class_is_read_or_not_known(name, tmp_path):
    """A class column may be text or a dictionary of it; null and empty are no class."""
    items = read_as(plain(kind=CLASS_COLUMNS[name]), tmp_path, group=10)
    assert [item.data_class for item in items] == ["post.public", None, None]


def test_many_classes_and_categories_stay_apart(tmp_path):
    """Twenty classes times ten categories in one row group, by one-byte numbers, are 200 kinds."""
    names = [f"c{n}" for n in range(20)]
    numbers = pa.array([n % 20 for n in range(200)], pa.int8())
    kinds = pa.DictionaryArray.from_arrays(numbers, pa.array(names))
    tags = pa.array([[f"s{n // 20}"] for n in range(200)])
    mapping = MAPPING.replace("none = true", 'column = "s"')
    items = read_as(plain(200, kind=kinds, s=tags), tmp_path, mapping, group=1000)
    assert len({(item.data_class, item.categories) for item in items}) == 200


def test_too_many_kinds_are_refused(tmp_path):
    """A table of more than 65,535 kinds of items is refused, and says why."""
    rows = 65_536
    table = plain(rows, kind=pa.array([f"c{n}" for n in range(rows)]))
    path = write(tmp_path / "t.parquet", table, group=rows)
    (tmp_path / "index").mkdir()
    with pytest.raises(InputError, match="too many categories"):
        write_index(Table(path, columns()), tmp_path / "index", Numbers())


QUOTED_AT = {
    "us": (pa.timestamp("us", "UTC"), NOW - DAY, NOW - DAY),
    "us elsewhere": (pa.timestamp("us", "Europe/Berlin"), NOW - DAY, NOW - DAY),
    "ms": (pa.timestamp("ms"), NOW // 1000, NOW),
    "ns": (pa.timestamp("ns", "UTC"), NOW * 1000 + 999, NOW),
    "whole numbers": (pa.int64(), NOW - DAY, NOW - DAY),
    "absent": (pa.timestamp("us"), None, None),
    "out of range": (pa.timestamp("us"), 2**62, None),
    "ms out of range": (pa.timestamp("ms"), 2**62, None),
}


@pytest.mark.parametrize("name", QUOTED_AT)
def test_a_quote_has_its_own_time_in_any_unit_and_zone(name, tmp_path):
    """What is quoted keeps its own time, in UTC microseconds, or it is not known."""
    kind, ticks, expected = QUOTED_AT[name]
    items = read_as(plain(quoted=quotes(kind, ticks)), tmp_path)
    assert {item.parties[-1] for item in items} == {items[0].parties[-1]}
    last = items[0].parties[-1]
    assert (last.subject, last.role) == ("cem", Role.QUOTED)
    assert (last.data_class, last.created_at) == ("message.direct", expected)


def test_a_bare_quoted_id_says_no_class_and_no_time(tmp_path):
    """A list of ids quotes people of unknown class and time; a null list quotes somebody."""
    table = plain(quoted=pa.array([["cem", "cem", " "], [], None], pa.list_(pa.string())))
    items = read_as(table, tmp_path)
    assert [parties(i)[2:] for i in items] == [
        [("cem", "quoted"), (None, "quoted")], [], [(None, "quoted")],
    ]  # fmt: skip
    assert {(p.data_class, p.created_at) for i in items for p in i.parties[2:]} == {(None, None)}


def test_quotes_in_the_text_are_found_by_address_and_by_name_within_a_thread(tmp_path):
    """An address in the text names its author; a display name does so within its thread only."""
    table = plain(
        4,
        sender=pa.array(["ann@x.org", "bob@x.org", "cem@x.org", "dia@x.org"]),
        name=pa.array(["Ann Lee", "Bob", "Cem", "Ann Lee"]),
        thread=pa.array([1, 1, 1, 2], pa.int64()),
        body=pa.array([
            "new words", f"{WHEN} Ann Lee wrote:\n> new words", f"{WHEN} <dia@x.org> wrote:\n> x",
            f"{WHEN} Bob wrote:\n> x",
        ]),
    )  # fmt: skip
    mapping = MAPPING.replace(
        'column = "quoted"', 'text = "body"\ndata_class = "message.direct"\n'
        'thread = "thread"\nname = "name"',
    )  # fmt: skip
    items = read_as(table, tmp_path, mapping)
    quoted = [[p.subject for p in i.parties if p.role is Role.QUOTED] for i in items]
    assert quoted == [[], ["ann@x.org"], ["dia@x.org"], [None]]
    classes = {p.data_class for i in items for p in i.parties if p.role is Role.QUOTED}
    assert classes == {"message.direct"}


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("group", [1, 50])
def test_a_table_may_be_empty(rows, group, tmp_path):
    """A table of no rows, with or without a row group, is a source of no items."""
    items = read_as(plain(1).slice(0, rows), tmp_path, group=group)
    assert len(items) == rows


def test_a_table_without_row_groups_has_no_items(tmp_path):
    """A file whose writer was closed before anything was written is a source of no items."""
    path = tmp_path / "t.parquet"
    pq.ParquetWriter(path, SCHEMA).close()
    assert pq.ParquetFile(path).num_row_groups == 0
    source, ids = indexed(path, columns(), tmp_path / "index")
    assert (source.rows, source.groups, list(source.find("i0", ids))) == (0, 0, [])


def test_a_folder_of_files_is_one_table(tmp_path):
    """Files are read in the order of their names; what is no .parquet is left aside."""
    for n, name in enumerate(["b", "a", "c"]):
        write(
            tmp_path / "t" / f"{name}.parquet", plain(id=pa.array([f"{name}{k}" for k in range(3)]))
        )
        (tmp_path / "t" / f"note-{n}.txt").write_text("no table")
    source, ids = indexed(tmp_path / "t", columns(), tmp_path / "index")
    items = reading(tmp_path / "t", columns())
    assert_equal(source, ids, items)
    assert [i.id for i in items] == [f"{name}{k}" for name in "abc" for k in range(3)]


def test_a_column_may_be_payload_and_more(tmp_path):
    """A column that is released may say the class, the time or the categories of its row too."""
    mapping = MAPPING.replace('["subject", "body"]', '["kind", "created_at", "tags", "body"]')
    mapping = mapping.replace("none = true", 'column = "tags"')
    items = read_as(
        plain(tags=pa.array([["pay"], [], None], pa.list_(pa.string()))), tmp_path, mapping
    )
    assert [i.categories for i in items] == [{"pay"}, set(), None]
    assert {(i.data_class, i.created_at) for i in items} == {("message.direct", NOW - 1)}


def test_only_the_columns_asked_for_are_read(tmp_path):
    """A column whose name begins with another's and a dot, or that stands before it, stays out."""
    table = plain(**{"body.author": pa.array(["secret"] * 3)})
    table = table.select(["body.author", "body", "subject", *table.column_names[:6]])
    source, _ = indexed(write(tmp_path / "t.parquet", table), columns(), tmp_path / "index")
    assert [p.column_names for p in source.payload(0)] == [["id", "subject", "body"]]


def test_keys_of_integers_are_splitmix64():
    """An integer's key is the published mixing function; equal ids of any width have equal keys."""
    wide = item_keys(pa.chunked_array([pa.array([0, 1, -1], pa.int64())]))[0]
    narrow = item_keys(pa.chunked_array([pa.array([0, 1, -1], pa.int8())]))[0]
    assert wide.tolist()[0] == 0xE220A8397B1DCDAF  # the first output of splitmix64 from seed 0
    assert wide.tolist() == narrow.tolist()


# ── what is broken ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def gate(tmp_path):
    """Give a workspace with people and no source."""
    gate = people(tmp_path / "w")
    yield gate
    gate.close()


WRONG = {
    "no such file": (None, MAPPING, "no such file"),
    "no column": (plain().drop(["sender"]), MAPPING, "no column 'sender' for author"),
    "two columns of a name": (
        pa.table([*plain().columns, plain().column("id")], [*plain().column_names, "id"]),
        MAPPING, "no column 'id' for id",
    ),
    "an id that is a list": (plain(id=pa.array([["a"]] * 3)), MAPPING, "cannot be id"),
    "an id that is a number with a fraction": (plain(id=pa.array([1.5] * 3)), MAPPING, "be id"),
    "an author that is a truth": (plain(sender=pa.array([True] * 3)), MAPPING, "cannot be author"),
    "a recipient that is bytes": (plain(receivers=pa.array([b"a"] * 3)), MAPPING, "be recipients"),
    "a date that is text": (plain(created_at=pa.array(["2024"] * 3)), MAPPING, "be created_at"),
    "a date that is text and payload": (
        plain(created_at=pa.array(["2024"] * 3)),
        MAPPING.replace('"subject", ', '"created_at", '), "be created_at",
    ),
    "a date without time": (
        plain(created_at=pa.array([1] * 3, pa.int32()).cast(pa.date32())), MAPPING, "be created_at"
    ),
    "a class that is a number": (plain(kind=pa.array([1] * 3)), MAPPING, "be data_class_column"),
    "categories that are numbers": (
        plain(tags=pa.array([[1]] * 3)), MAPPING.replace("none = true", 'column = "tags"'),
        "cannot be sensitive_column",
    ),
    "quotes that are no list": (plain(quoted=pa.array(["a"] * 3)), MAPPING, "be quote_source"),
    "quotes without a time": (
        plain(quoted=pa.array([[{"id": "a", "data_class": "x"}]] * 3)), MAPPING, "be quote_source"
    ),
    "quotes whose time is text": (
        plain(quoted=pa.array([[{"id": "a", "data_class": "x", "created_at": "2024"}]] * 3)),
        MAPPING, "cannot be quote_source",
    ),
    "quotes whose class is a number": (
        plain(quoted=pa.array([[{"id": "a", "data_class": 1, "created_at": 2}]] * 3)),
        MAPPING, "cannot be quote_source",
    ),
    "quotes in a text that is a number": (
        plain(body=pa.array([1] * 3)), MAPPING.replace('column = "quoted"', 'text = "body"'),
        "cannot be quote_source",
    ),
    "an author that is no text": (plain(sender=unread([b"a", b"\xff", b"b"])), MAPPING, "UTF8"),
    "an id that is no text": (plain(id=unread([b"a", b"\xff", b"b"])), MAPPING, "UTF8"),
    "a class that is no text": (plain(kind=unread([b"\xff", b"", b"b"])), MAPPING, "UTF8"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_table_that_is_not_as_mapped_is_refused(name, gate, tmp_path):
    """A missing or doubled column, a wrong type or text that is none is an InputError: no trace."""
    table, mapping, why = WRONG[name]
    path = tmp_path / "t.parquet"
    if table is not None:
        write(path, table)
    before = traces(gate.folder)
    with pytest.raises(InputError, match=why):
        gate.add_table("mail", path, columns(mapping))
    assert traces(gate.folder) == before


def test_files_whose_payload_differs_are_refused(gate, tmp_path):
    """Files whose payload columns are of different types cannot be released together."""
    write(tmp_path / "t" / "a.parquet", plain())
    write(tmp_path / "t" / "b.parquet", plain(id=pa.array(list("xyz")), body=pa.array([1, 2, 3])))
    with pytest.raises(InputError, match=r"b\.parquet: column 'body' is int64, in another file"):
        gate.add_table("mail", tmp_path / "t", columns())


def test_an_empty_folder_is_refused(gate, tmp_path):
    """A folder without a Parquet file is no table."""
    (tmp_path / "t").mkdir()
    with pytest.raises(InputError, match=r"no \.parquet file"):
        gate.add_table("mail", tmp_path / "t", columns())


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", ".a", "é", "a\n", "-" * 300])
def test_a_source_has_a_plain_name(name, gate, tmp_path):
    """A name that could lead elsewhere, or that no folder can have, is refused."""
    path = write(tmp_path / "t.parquet", plain())
    before = traces(gate.folder)
    with pytest.raises(LetterlockError, match=r"name|not registered"):
        gate.add_table(name, path, columns())
    assert traces(gate.folder) == before


def refuse_or_read(path: Path, folder: Path) -> bool:
    """Index a damaged table and read all of it; says whether that went, raises only our errors."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        source, _ = indexed(path, columns(), folder)
        for group in range(source.groups):
            source.items(group)
            source.keys(group)
            list(source.payload(group))
    except LetterlockError:
        return False
    return True


def damaged(path: Path, folder: Path, seeds: Sequence[int]) -> int:
    """Flip bytes of a table, most of all in its footer; returns how often it was refused."""
    data = path.read_bytes()
    footer = int.from_bytes(data[-8:-4], "little") + 8
    refused = 0
    for seed in seeds:
        rng = random.Random(seed)
        broken = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            within = footer if rng.random() < 0.6 else len(data)
            broken[len(data) - 1 - rng.randrange(within)] = rng.randrange(256)
        (folder / "broken.parquet").write_bytes(broken)
        refused += not refuse_or_read(folder / "broken.parquet", folder / "index")
    return refused


def test_flipped_bytes_raise_only_our_errors(tmp_path):
    """A table whose bytes were flipped is refused with an InputError, or read."""
    path = write(tmp_path / "t.parquet", messages())
    assert damaged(path, tmp_path, range(120)) > 40


@pytest.mark.slow
def test_many_flipped_bytes_raise_only_our_errors(tmp_path):
    """The same, many more times."""
    path = write(tmp_path / "t.parquet", messages())
    assert damaged(path, tmp_path, range(1000, 5000)) > 1000


@pytest.mark.parametrize("file", ["one.parquet", "two.parquet"])
def test_a_table_cut_anywhere_is_refused(file, tmp_path):
    """A Parquet file that ends early, at any of many places, is refused, alone or in a folder."""
    folder = tmp_path / "t"
    write(folder / "one.parquet", messages(30), group=10)
    other = pa.Table.from_pylist(messages(60), SCHEMA).slice(30)
    write(folder / "two.parquet", other, group=10)
    data = (folder / file).read_bytes()
    cuts = sorted({0, 1, 3, 4, 8, len(data) - 1, len(data) - 4, len(data) - 8, len(data) - 9})
    for cut in [*cuts, *range(12, len(data), len(data) // 40)]:
        (folder / file).write_bytes(data[:cut])
        assert not refuse_or_read(folder, tmp_path / "index")


def test_a_refused_table_leaves_the_workspace_as_it_was(gate, tmp_path):
    """A table cut amid its rows leaves no event, no source and no file behind."""
    data = write(tmp_path / "t.parquet", messages()).read_bytes()
    path = tmp_path / "cut.parquet"
    before = traces(gate.folder)
    for share in (0.2, 0.5, 0.9):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(InputError):
            gate.add_table("mail", path, columns())
        assert traces(gate.folder) == before


# ── what changed ──────────────────────────────────────────────────────────────────────────────


def reordered(path: Path) -> None:
    """Write the same rows in another order."""
    table = pq.read_table(path)
    write(path, table.take(pa.array(range(table.num_rows - 1, -1, -1))))


CHANGES = {
    "a row more": lambda p: write(p, messages(121)),
    "a row less": lambda p: write(p, messages(119)),
    "another order": reordered,
    "other row groups": lambda p: write(p, messages(), group=40),
    "other words": lambda p: write(p, [{**row, "body": "other"} for row in messages()]),
    "another sender": lambda p: write(p, [{**row, "sender": "ann"} for row in messages()]),
    "gone": Path.unlink,
    "cut": lambda p: p.write_bytes(p.read_bytes()[:-100]),
    "empty": lambda p: p.write_bytes(b""),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_table_that_changed_is_refused_until_it_is_registered_again(name, tmp_path):
    """Neither plan, build nor explain answers from an index of another table."""
    gate = workspace(tmp_path / "w")
    CHANGES[name](tmp_path / "w.parquet")
    for ask in (
        lambda: gate.plan(PURPOSE, RECIPIENT),
        lambda: gate.build(PURPOSE, RECIPIENT),
        lambda: gate.explain("item-0001", PURPOSE, RECIPIENT),
    ):
        with pytest.raises(InputError, match=r"changed since|no such file|not a readable"):
            ask()
    write(tmp_path / "w.parquet", messages())
    gate.add_table("mail", tmp_path / "w.parquet", columns())
    assert gate.plan(PURPOSE, RECIPIENT).items == 120


def test_a_file_added_to_a_folder_or_gone_from_it_is_a_change(tmp_path):
    """A folder with a file more, or less, is another table."""
    gate = people(tmp_path / "w")
    folder = tmp_path / "t"
    write(folder / "a.parquet", plain())
    write(folder / "b.parquet", plain(id=pa.array(list("xyz"))))
    gate.add_table("mail", folder, columns())
    (folder / "b.parquet").rename(tmp_path / "b.parquet")
    with pytest.raises(InputError, match="changed since"):
        gate.plan(PURPOSE, RECIPIENT)
    (tmp_path / "b.parquet").rename(folder / "b.parquet")
    assert gate.plan(PURPOSE, RECIPIENT).items == 6
    write(folder / "c.parquet", plain(id=pa.array(list("uvw"))))
    with pytest.raises(InputError, match="changed since"):
        gate.plan(PURPOSE, RECIPIENT)


def test_a_table_written_anew_with_the_same_content_is_the_same(tmp_path):
    """What counts is the table's content, not when it was written."""
    gate = workspace(tmp_path / "w")
    before = gate.plan(PURPOSE, RECIPIENT)
    write(tmp_path / "w.parquet", messages())
    assert gate.plan(PURPOSE, RECIPIENT) == before


@pytest.mark.parametrize("file", ["source.json", "parties.parquet"])
def test_a_damaged_index_is_refused(file, tmp_path):
    """An index whose bytes were flipped, cut or lost answers nothing wrong: it is refused."""
    gate = workspace(tmp_path / "w")
    before = gate.plan(PURPOSE, RECIPIENT)
    path = tmp_path / "w" / "index" / "mail" / file
    data = path.read_bytes()
    rng = random.Random(5)
    refused = 0
    for n in range(60):
        broken = bytearray(data)
        if n % 3:
            broken[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        else:
            del broken[rng.randrange(len(data)) :]
        path.write_bytes(broken)
        try:
            assert gate.plan(PURPOSE, RECIPIENT) == before or file == "source.json"
        except LetterlockError:
            refused += 1
    assert refused > 20
    path.unlink()
    with pytest.raises(InputError, match="its index cannot be read"):
        gate.plan(PURPOSE, RECIPIENT)


def test_unknown_classes_cannot_be_judged(tmp_path):
    """A class that no policy registered makes an item unevaluable, by itself and in a quote."""
    rows = [{**row, "kind": "message.unheard"} for row in messages(4)]
    gate = workspace(tmp_path / "w", rows)
    assert gate.plan(PURPOSE, RECIPIENT).withheld == {Reason.UNEVALUABLE: 4}


def test_find_finds_what_an_id_looks_like(tmp_path):
    """An item is found by its id as text, whatever its type; half a character finds none."""
    table = plain(id=pa.array([7, -7, 70], pa.int64()))
    source, ids = indexed(write(tmp_path / "t.parquet", table), columns(), tmp_path / "index")
    assert [item.id for text in ("7", "-7", "70") for item in source.find(text, ids)] == [
        "7", "-7", "70",
    ]  # fmt: skip
    assert not [i for text in ("", "07", "7.0", "\ud800", "x") for i in source.find(text, ids)]


def test_the_index_holds_no_words(tmp_path):
    """Nothing of subjects and bodies stands in the index, in whatever encoding."""
    rows = [{**row, "subject": "zanzibar", "body": "zanzibar " * 9} for row in messages(20)]
    gate = workspace(tmp_path / "w", rows)
    index = tmp_path / "w" / "index" / "mail"
    table = pq.read_table(index / "parties.parquet")
    assert not any(pa.types.is_string(field.type) for field in table.schema)
    assert all(b"zanzibar" not in p.read_bytes() for p in index.iterdir())
    assert table.num_rows == gate.sources()[0].rows == 20


def test_epochs_cut_the_items_and_never_fall_on_what_is_out_of_range(tmp_path):
    """The epochs in an index are times of items, ascending."""
    source, _ = indexed(write(tmp_path / "t.parquet", messages()), columns(), tmp_path / "index")
    times = {i.created_at for i in reading(tmp_path / "t.parquet", columns())}
    assert set(source.epochs.tolist()) <= times
    assert (np.diff(source.epochs) > 0).all()
    assert time_of("2024-02-01") <= source.epochs[0]
    assert source.epochs[-1] < NOW


def test_a_store_numbers_people_once(tmp_path):
    """Registering the same table twice interns nobody twice."""
    store = SqliteStore(tmp_path / "ledger.db", create=True)
    path = write(tmp_path / "t.parquet", messages())
    for n in range(2):
        (tmp_path / str(n)).mkdir()
        write_index(Table(path, columns()), tmp_path / str(n), store)
    ids = store.subject_ids()
    assert len(ids) == len(set(ids)) > 5
    first, second = ((tmp_path / str(n) / "parties.parquet").read_bytes() for n in range(2))
    assert first == second
    store.close()
