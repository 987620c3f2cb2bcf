"""Rows of Parquet and JSONL files: every value as it was written, and only our errors."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from letterlock.domain import BEGINNING, END, time_of
from letterlock.errors import InputError, LetterlockError
from letterlock.sources.records import Refused, Row, rows


def lines(folder: Path, data: bytes, name: str = "rows.jsonl") -> list[Row]:
    """Write bytes as a file, and read its rows."""
    path = folder / name
    path.write_bytes(data)
    return list(rows(path))


def values(row: Row) -> dict[str, Any]:
    """Return everything in a row."""
    return {name: row.optional(name, object) for name in sorted(row._left)}  # noqa: SLF001


def test_rows_are_numbered_as_in_the_file(tmp_path):
    """A JSONL row has the number of its line, blank lines counted; a Parquet row its own."""
    data = b'{"subject": "ann"}\n\n  \n{"subject": 7}\n'
    assert [(r.number, r.subject()) for r in lines(tmp_path, data)] == [(1, "ann"), (4, "7")]
    table = pa.table({"subject": [f"p{n}" for n in range(5)]})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=2)
    found = [(r.number, r.subject()) for r in rows(tmp_path / "rows.parquet")]
    assert found == [(n + 1, f"p{n}") for n in range(5)]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.ndjson"])
def test_a_file_may_begin_with_a_byte_order_mark(name, tmp_path):
    """What editors put before the first line is not part of it."""
    assert lines(tmp_path, b'\xef\xbb\xbf{"subject": "ann"}', name)[0].subject() == "ann"


SUBJECTS = [("ann", "ann"), (" ann\t", "ann"), (0, "0"), (7, "7"), (10**30, str(10**30))]
NOBODY = ["", "  ", None, -1, True, False, 1.5, ["ann"], {"id": "ann"}]


@pytest.mark.parametrize(("value", "expected"), SUBJECTS)
def test_an_account_id_is_text_or_a_whole_number(value, expected):
    """A number and its digits name the same account; space around an id does not count."""
    assert Row(1, {"subject": value}).subject() == expected


@pytest.mark.parametrize("value", NOBODY)
def test_what_cannot_be_an_account_id_is_refused(value):
    """Blank, negative and everything that is neither text nor number names nobody."""
    with pytest.raises(InputError, match="subject cannot be"):
        Row(1, {"subject": value}).subject()


def test_a_value_that_is_null_is_absent():
    """Null and absent are the same; a default is given for both."""
    row = Row(1, {"a": None, "b": None, "c": None})
    assert row.optional("a", str) is None
    assert row.text("b", "default") == "default"
    assert row.time("c") is None
    row.done()


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (str, ["", "x"], [1, True, ["x"]]),
        (int, [0, -3], ["1", True, 1.5]),
        (bool, [True, False], [1, 0, "true"]),
        (object, [True, "x", 1, [], {}], []),
    ],
)
def test_a_value_is_of_its_kind(kind, good, bad):
    """No kind passes for another, a truth never for a number."""
    for value in good:
        assert Row(1, {"x": value}).optional("x", kind) == value
    for value in bad:
        with pytest.raises(InputError, match="x cannot be"):
            Row(1, {"x": value}).optional("x", kind)


@pytest.mark.parametrize("value", ["", 5, True, ["a", ""], ["a", None], [1], {"a": 1}])
def test_a_list_of_texts_holds_texts(value):
    """A list with anything but texts in it, or no list, is refused."""
    with pytest.raises(InputError, match="must list texts"):
        Row(1, {"x": value}).texts("x")


def test_what_was_not_asked_for_is_unknown():
    """A row says which of its columns nobody asked for."""
    row = Row(1, {"subject": "ann", "b": 1, "a": 2})
    row.subject()
    with pytest.raises(InputError, match="unknown a, b"):
        row.done()


TIMES = [
    ("2024-09-18", time_of("2024-09-18")),
    ("2024-09-18T09:00+02:00", time_of("2024-09-18T07:00Z")),
    (date(2024, 9, 18), time_of("2024-09-18")),
    (datetime(2024, 9, 18, 7), time_of("2024-09-18T07:00Z")),  # noqa: DTZ001 - as Parquet has it
    (datetime(2024, 9, 18, 7, tzinfo=UTC), time_of("2024-09-18T07:00Z")),
    (None, None),
]


@pytest.mark.parametrize(("value", "expected"), TIMES)
def test_a_time_is_text_or_a_date(value, expected):
    """ISO 8601 text and Python's dates are times; without an offset they are UTC."""
    assert Row(1, {"t": value}).time("t") == expected


@pytest.mark.parametrize("value", ["", "yesterday", "2024-13-01", 5, 1.5, True, ["2024-09-18"]])
def test_what_is_no_time_is_refused(value):
    """Numbers are no times: nobody knows their unit."""
    with pytest.raises(InputError, match=r"no date|not a date"):
        Row(1, {"t": value}).time("t")


def test_a_period_beyond_what_can_be_written_is_open():
    """9999-12-31 and 0001-01-01, as databases write "open", are the ends of time."""
    row = Row(1, {"from": "0001-01-01", "to": "9999-12-31"})
    assert row.span() == {"from": BEGINNING, "to": END}
    assert Row(1, {}).span() == {}


PARQUET_TIMES = {
    "us": (pa.timestamp("us"), time_of("2024-09-18"), "2024-09-18"),
    "us, UTC": (pa.timestamp("us", "UTC"), time_of("2024-09-18"), "2024-09-18"),
    "us, Berlin": (pa.timestamp("us", "Europe/Berlin"), time_of("2024-09-18"), "2024-09-18"),
    "us, nowhere": (pa.timestamp("us", "Nowhere/X"), time_of("2024-09-18"), "2024-09-18"),
    "ms": (pa.timestamp("ms"), time_of("2024-09-18") // 1000, "2024-09-18"),
    "ns": (pa.timestamp("ns"), time_of("2024-09-18") * 1000 + 1, "2024-09-18"),
    "date": (pa.date32(), 19984, "2024-09-18"),
    "before 1970": (pa.timestamp("us"), -1, "1969-12-31T23:59:59.999999"),
    "null": (pa.timestamp("us"), None, None),
    "out of range": (pa.timestamp("us"), 2**62, "refused"),
    "a date out of range": (pa.date32(), 10**9, "refused"),
}


@pytest.mark.parametrize("name", PARQUET_TIMES)
def test_parquet_times_of_any_unit_and_zone_are_read(name, tmp_path):
    """A timestamp that no datetime can hold spoils its own row, not the file."""
    kind, ticks, expected = PARQUET_TIMES[name]
    width = pa.int32() if kind == pa.date32() else pa.int64()
    column = pa.array([ticks, 0], width).cast(kind)
    pq.write_table(pa.table({"subject": ["a", "b"], "t": column}), tmp_path / "rows.parquet")
    first, second = rows(tmp_path / "rows.parquet")
    if expected == "refused":
        with pytest.raises(InputError, match="not a date or time"):
            first.time("t")
    else:
        assert first.time("t") == (None if expected is None else time_of(expected))
    assert second.time("t") == 0


def test_parquet_and_jsonl_say_the_same(tmp_path):
    """The same records in both formats are the same rows."""
    records = [
        {"subject": "ann", "explicit": True, "categories": ["pay"], "time": "2024-09-18"},
        {"subject": "bob", "explicit": None, "categories": [], "time": None},
    ]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "rows.parquet")
    data = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    found = [values(row) for row in rows(tmp_path / "rows.parquet")]
    assert found == [values(row) for row in lines(tmp_path, data)]


BROKEN = {
    "no JSON": b"{\n",
    "no object": b"[1]\n",
    "no UTF-8": b'{"subject": "\xff"}\n',
    "half a surrogate pair": b'{"subject": "\\ud800"}\n',
    "a surrogate in bytes": b'{"subject": "\xed\xa0\x80"}\n',
    "UTF-16": '{"subject": "ann"}'.encode("utf-16"),
    "nesting without end": b'{"a":' * 100_000,
    "a number without end": b'{"subject": ' + b"1" * 5000 + b"}",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_line_names_itself(name, tmp_path):
    """A line that is no JSON object of Unicode text is an InputError with file and line."""
    with pytest.raises(InputError, match=r"rows\.jsonl:2: not"):
        lines(tmp_path, b'{"subject": "ann"}\n' + BROKEN[name])


def test_a_whole_surrogate_pair_is_text(tmp_path):
    """A pair of escapes that make one character is that character."""
    assert lines(tmp_path, b'{"subject": "\\ud83d\\ude00"}')[0].subject() == "\N{GRINNING FACE}"


@pytest.mark.parametrize("name", ["rows.csv", "rows", "rows.parquet.gz"])
def test_other_formats_are_refused(name, tmp_path):
    """A file that is neither .parquet nor .jsonl is refused, and the message says what to do."""
    with pytest.raises(InputError, match=r"write it as \.parquet or \.jsonl"):
        lines(tmp_path, b"", name)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_a_file_that_is_not_there_or_is_a_folder_is_refused(name, tmp_path):
    """A missing file and a folder are InputErrors."""
    with pytest.raises(InputError, match=name):
        list(rows(tmp_path / name))
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=name):
        list(rows(tmp_path / name))


def test_two_columns_of_one_name_are_refused(tmp_path):
    """Of two columns with the same name nobody knows which one is meant."""
    table = pa.table([pa.array(["ann"]), pa.array(["bob"])], names=["subject", "subject"])
    pq.write_table(table, tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="the same name"):
        list(rows(tmp_path / "rows.parquet"))


def test_text_that_is_not_utf_8_in_parquet_is_refused(tmp_path):
    """Parquet does not check its texts; the reader does."""
    bad = pa.StringArray.from_buffers(
        1, pa.array([0, 1], pa.int32()).buffers()[1], pa.py_buffer(b"\xff")
    )
    pq.write_table(pa.table({"subject": bad}), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match="not a readable Parquet file"):
        list(rows(tmp_path / "rows.parquet"))


@pytest.mark.parametrize("seed", range(60))
def test_damaged_parquet_raises_only_our_errors(seed, tmp_path):
    """Flipped and missing bytes give rows or an InputError."""
    rng = random.Random(seed)
    table = pa.table(
        {
            "subject": [f"p{n}" for n in range(50)],
            "time": pa.array(range(50), pa.timestamp("ns", "UTC")),
            "categories": [["pay"]] * 50,
        }
    )
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path, row_group_size=20)
    data = bytearray(path.read_bytes())
    if seed % 3 == 0:
        del data[rng.randrange(len(data)) :]
    for _ in range(rng.randint(1, 4)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    path.write_bytes(data)
    try:
        for row in rows(path):
            row.optional("subject", object)
            row.time("time")
    except LetterlockError:
        return
    assert seed % 3


@pytest.mark.parametrize("seed", range(60))
def test_garbled_lines_raise_only_our_errors(seed, tmp_path):
    """Flipped bytes in JSONL give rows or an InputError."""
    rng = random.Random(seed)
    record = {"subject": "ann", "time": "2024-09-18", "categories": ["pay", "\u20ac\ud83d\ude00"]}
    data = bytearray(json.dumps(record).encode() * 2)
    for _ in range(rng.randint(1, 5)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    try:
        for row in lines(tmp_path, bytes(data)):
            row.optional("subject", object)
            row.texts("categories")
            row.time("time")
    except LetterlockError as error:
        assert str(error)  # noqa: PT017 - any of our errors will do


def test_a_refused_row_says_so_in_a_line():
    """A refused row names its number, its subject if there is one, and why."""
    assert str(Refused(3, "ann", "is no good")) == "row 3 (ann): is no good"
    assert str(Refused(3, "", "is no good")) == "row 3 (nobody named): is no good"
