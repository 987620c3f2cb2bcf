"""The nouns: canonical bytes, patterns, spans and times."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import product
from types import MappingProxyType
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from letterlock.domain import (
    ALWAYS,
    BEGINNING,
    DAY,
    END,
    PURPOSES,
    REASON_TEXT,
    Act,
    Level,
    Line,
    Reason,
    Span,
    canonical,
    covers,
    is_training,
    micros,
    names,
    sha256,
    text_of,
    time_of,
    within,
    year_of,
)
from letterlock.errors import InputError, LetterlockError, PolicyError, reason

INTEGERS = st.integers(-END, END)
TEXTS = st.text() | st.sampled_from(["", "a", "é", '\x00\x1f\x7f"\\/', "\U0001f600", "\ufb33"])
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)
TIMES = st.integers(BEGINNING + 1, END - 1)

# ── canonical bytes ─────────────────────────────────────────────────────────────────────────


@given(JSON)
def test_canonical_bytes_are_those_of_rfc_8785(value: Any):
    """Our shortcut for ASCII writes what the reference implementation writes."""
    assert canonical(value) == rfc8785.dumps(value)


@given(JSON)
def test_canonical_bytes_can_be_read_back_and_stay(value: Any):
    """Canonical bytes are JSON of the same value, and their own canonical form."""
    found = json.loads(canonical(value))
    assert found == value
    assert canonical(found) == canonical(value)


def test_keys_are_ordered_by_utf_16_units():
    """A key beyond the basic plane sorts by its surrogates, before U+FB33 (RFC 8785 §3.2.3)."""
    assert canonical({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


def test_a_tuple_is_a_list():
    """A tuple is written as a list, inside and outside of ASCII."""
    assert canonical(("a", ("é",))) == canonical(["a", ["é"]])
    assert canonical(("a", ("b",))) == b'["a",["b"]]'


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), float("inf"), END + 1, -END - 1, 2**200, b"a", object(), {1: 2},
     {None: 1}, {("a",): 1}, {"a": [{"b": 1.5}]}, {1, 2}, Act.GRANT, Level.NEVER, "\ud800",
     {"\udfff": 1}, ["a", "\ud800"]],
)  # fmt: skip
def test_what_has_no_canonical_form_is_refused(value: Any):
    """Floats, big integers, keys that are no text, and lone surrogates are no canonical JSON."""
    with pytest.raises(InputError, match="not canonical JSON"):
        canonical(value)


def test_what_is_nested_beyond_measure_is_refused():
    """A tree deeper than the interpreter's stack is refused, not crashed on."""
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(InputError):
        canonical(deep)


def test_a_mapping_that_is_no_dict_is_refused():
    """Only what JSON can be read into has canonical bytes."""
    value: Mapping[str, Any] = MappingProxyType({"b": 1, "a": MappingProxyType({})})
    with pytest.raises(InputError, match="mappingproxy"):
        canonical(value)


def test_sha256_is_lower_case_hexadecimal():
    """The digest of nothing is the well-known one."""
    assert sha256(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


# ── patterns ────────────────────────────────────────────────────────────────────────────────

NAMES = [".".join(parts) for depth in (1, 2, 3, 4) for parts in product("ab", repeat=depth)]
PATTERNS = ["*"] + [p for n in NAMES if n.count(".") < 3 for p in (n, f"{n}.*")]


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "message.group", True),
        ("message.group", "message.group", True),
        ("message.group", "message", False),
        ("message.*", "message.group", True),
        ("message.*", "message.direct.inmail", True),
        ("message.*", "message", False),
        ("message.*", "messages.group", False),
        ("message.direct.*", "message.group", False),
        ("message", "message.group", False),
    ],
)
def test_a_pattern_covers_itself_or_its_subtree(pattern: str, name: str, *, expected: bool):
    """Only `*`, the name itself and `x.*` above it cover a name."""
    assert covers(pattern, name) is expected


def test_within_says_that_all_it_covers_is_covered():
    """`within(p, q)` holds exactly if each name that p covers is covered by q, for all pairs."""
    for pattern, outer in product(PATTERNS, repeat=2):
        each = all(covers(outer, name) for name in NAMES if covers(pattern, name))
        # (`*` covers names that no list holds.)
        assert within(pattern, outer) is (each and (pattern != "*" or outer == "*"))


def test_patterns_that_cover_one_name_lie_within_each_other_in_one_order():
    """Of two patterns that cover the same name one lies within the other: the plan relies on it."""
    for name in NAMES:
        covering = [p for p in PATTERNS if covers(p, name)]
        for p, q in product(covering, repeat=2):
            assert within(p, q) or within(q, p)
            assert p == q or not (within(p, q) and within(q, p))


def test_training_purposes_are_those_that_change_a_model():
    """Three of the closed list's purposes train."""
    training = [p for p in PURPOSES if is_training(p)]
    assert training == ["train.generative", "train.ranking", "train.safety"]


# ── spans and lines ─────────────────────────────────────────────────────────────────────────

SMALL = [Span(a, b) for a, b in product(range(5), repeat=2)]


def test_a_span_holds_its_start_and_not_its_end():
    """Spans are half-open; an empty one holds nothing."""
    assert [t for t in range(6) if t in Span(2, 4)] == [2, 3]
    assert not [t for t in range(6) if t in Span(4, 2)]
    assert BEGINNING in ALWAYS
    assert END not in ALWAYS


def test_a_span_lies_in_another_if_each_of_its_moments_does():
    """For all small spans, empty ones included: the law says what set inclusion says."""
    for one, other in product(SMALL, repeat=2):
        inside = all(t in other for t in range(6) if t in one)
        assert one.lies_in(other) is inside


def line(act: Act, span: Span, *, earlier: bool = False) -> Line:
    """Return a line recorded at 10."""
    return Line(act, "infer", "*", "us", span, recorded_at=10, index=0, earlier=earlier)


@pytest.mark.parametrize("span", [ALWAYS, Span(0, 20), Span(0, 5), Span(15, 20), Span(0, 10)])
def test_no_grant_spans_its_own_recording(span: Span):
    """A grant speaks for what comes after it, an earlier one for what came before (R17)."""
    later, earlier = line(Act.GRANT, span).reach(), line(Act.GRANT, span, earlier=True).reach()
    for t in (BEGINNING, 0, 4, 5, 9, 10, 11, 14, 15, 19, 20, END - 1):
        assert (t in later) is (t in span and t >= 10)
        assert (t in earlier) is (t in span and t < 10)


@pytest.mark.parametrize("act", [Act.WITHDRAW, Act.OBJECT])
def test_a_refusal_reaches_all_of_its_span(act: Act):
    """A refusal speaks for before and after."""
    assert line(act, Span(0, 20)).reach() == Span(0, 20)


# ── times ───────────────────────────────────────────────────────────────────────────────────


@given(TIMES)
def test_a_time_written_can_be_read(t: int):
    """Every time between the beginning and the end survives a round trip, to the microsecond."""
    assert time_of(text_of(t)) == t


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.timezones())  # noqa: DTZ001
)
def test_a_time_is_counted_exactly(moment: datetime):
    """Times are exact microseconds since 1970, whatever the offset."""
    since = timedelta(microseconds=micros(moment))
    assert datetime(1970, 1, 1, tzinfo=UTC) + since == moment.astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "t"),
    [
        ("1970-01-01", 0),
        ("1970-01-02", DAY),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01 00:00:01", 1_000_000),
        ("2024-09-18T09:00Z", 1_726_650_000_000_000),
    ],
)
def test_a_time_without_an_offset_is_utc(text: str, t: int):
    """Dates, offsets and seconds are read as ISO 8601 says."""
    assert time_of(text) == t


@pytest.mark.parametrize(
    ("t", "text"),
    [
        (0, "1970-01-01"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (1_726_650_000_000_000, "2024-09-18T09:00:00Z"),
        (BEGINNING, "the beginning"),
        (-(2**60), "the beginning"),
        (END, "open"),
        (2**60, "open"),
    ],
)
def test_a_time_is_written_briefly(t: int, text: str):
    """Midnight is a date; open ends have words."""
    assert text_of(t) == text


@pytest.mark.parametrize("text", ["", "yesterday", "2024-13-01", "2024-09-18T25:00", "24", None, 5])
def test_what_is_no_time_is_refused(text: Any):
    """The error names the text and shows how to write one."""
    with pytest.raises(InputError, match="not a date or time"):
        time_of(text)


@given(st.text())
def test_reading_a_time_raises_nothing_else(text: str):
    """Whatever the text, only Letterlock's own error escapes."""
    with suppress(LetterlockError):
        time_of(text)


@given(TIMES)
def test_the_year_is_that_of_utc(t: int):
    """The year of a time is the one its text begins with."""
    assert text_of(t).startswith(f"{year_of(t):04}-")


# ── the rest ────────────────────────────────────────────────────────────────────────────────


def test_every_reason_has_words():
    """Reasons are counted from 0 without a gap, fit the codes of one byte, and have a text."""
    assert [int(r) for r in Reason] == list(range(20))
    assert set(REASON_TEXT) == set(Reason)


def test_names_are_joined_in_order():
    """A sentence lists names alphabetically."""
    assert names({"b", "a"}) == "a, b"


@pytest.mark.parametrize(
    ("file", "lineno", "text"),
    [("", 0, "wrong"), ("p.toml", 0, "p.toml: wrong"), ("p.toml", 3, "p.toml:3: wrong")],
)
def test_a_policy_error_names_its_place(file: str, lineno: int, text: str):
    """File and line stand in front of the message where they are known."""
    error = PolicyError("wrong", file=file, line=lineno)
    assert str(error) == text
    assert (error.file, error.line) == (file, lineno)
    assert isinstance(error, InputError)


def test_an_error_of_the_system_gives_its_reason_without_the_path(tmp_path):
    """The message that names the path need not say it twice."""
    with pytest.raises(FileNotFoundError) as lost:
        (tmp_path / "none").read_bytes()
    assert reason(lost.value) == "No such file or directory"
    assert reason(OSError("disk on fire")) == "disk on fire"
