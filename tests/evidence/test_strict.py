"""JSON from strangers is read in the one way that all readers agree on, or refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterlock.domain import END
from letterlock.errors import InputError
from letterlock.evidence import strict

WHOLE = st.integers(-END, END)
LEAF = st.none() | st.booleans() | WHOLE | st.text(st.characters(exclude_categories=["Cs"]))
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text("ab𝄞"), inner), max_leaves=20
)


@given(VALUE, st.booleans())
def test_what_all_readers_agree_on_is_read(value, escaped):
    """Whatever the spacing and the escapes."""
    text = json.dumps(value, ensure_ascii=escaped, indent=1 if escaped else None)
    assert strict.parse(text.encode(), "it", limit=1 << 20) == value


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[1,2",
        b"[1]2",
        b"1.0",
        b"1e3",
        b"-0",
        b"[-0]",
        b"NaN",
        b"-Infinity",
        b"9007199254740992",
        b"-9007199254740992",
        b"1" * 5000,
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'"\\ud800"',
        b'{"\\udfff":1}',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf1",
        b"'a'",
        b"[" * 100_000,
        b"[" * 33 + b"]" * 33,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" + b"1," * strict.VALUES + b"1]",
        b" " * 101,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_anything_else_is_refused(text):
    """And nothing but InputError comes of it."""
    with pytest.raises(InputError, match=r"^it: "):
        strict.parse(text, "it", limit=1 << 20 if text.strip() else 100)


@pytest.mark.parametrize("text", [b'{"b":1,"a":2}', b'{"a": 1}', b'"\\u0041"', b"1\n"])
def test_canonical_is_one_way_of_writing(text):
    """Other orders, spaces and escapes are refused where bytes are committed to."""
    assert strict.parse(text, "it", limit=99) is not None
    with pytest.raises(InputError, match="canonical"):
        strict.parse_canonical(text, "it", limit=99)


def test_a_shape_has_its_keys_and_types_and_no_others():
    """True is no number, and only a time lies before 1970."""
    shape: strict.Shape = {"n": int, "time": int, "s": (str, type(None))}
    good = {"n": 0, "time": -5, "s": None}
    assert strict.shaped(good, shape, "it") == good
    bad: list[object] = [
        None, [], {}, {**good, "m": 1}, {**good, "n": -1}, {**good, "n": True}, {**good, "n": "0"},
        {**good, "s": 0}, {"n": 0, "s": None},
    ]  # fmt: skip
    for value in bad:
        with pytest.raises(InputError, match=r"^it: "):
            strict.shaped(value, shape, "it")


@pytest.mark.parametrize("text", ["AB", "a", "zz", " a", "0x", None, 12, "ab"])
def test_hexadecimal_is_lower_case_and_of_its_length(text):
    """Anything else is refused."""
    assert strict.from_hex("00ff", 2, "it") == strict.from_hex("00ff", None, "it") == b"\0\xff"
    with pytest.raises(InputError, match=r"^it: "):
        strict.from_hex(text, 2, "it")
