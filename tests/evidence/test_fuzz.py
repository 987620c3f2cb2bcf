"""Whatever is handed in as evidence, only our own errors come out; nothing false is accepted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock.errors import InputError, LetterlockError
from letterlock.evidence import bundle
from letterlock.evidence.verify import verify
from letterlock.record import quorum

HERE = Path(__file__).parents[1] / "vectors" / "evidence"
POLICY = quorum.parse((HERE / "policies" / "two-of-three").read_bytes())
NAMES = ("receipt-grant", "receipt-proved", "member-in", "grants-none", "history")
GOOD = {name: (HERE / "valid" / f"{name}.json").read_bytes() for name in NAMES}
NOW = json.loads((HERE / "index.json").read_text())["now"]

LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
VALUE = st.recursive(
    LEAF, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=5), v, max_size=4)
)


def accepted(data: bytes) -> bool:
    """Say whether evidence is accepted; raises what is no LetterlockError."""
    try:
        verify(bundle.parse(data), POLICY, NOW)
    except LetterlockError:
        return False
    return True


@given(st.binary(max_size=200))
def test_random_bytes_are_no_evidence(data):
    """They are refused as what cannot be read."""
    with pytest.raises(InputError):
        bundle.parse(data)


@given(VALUE, st.sampled_from(["member", "receipt", "grants", "release", "history", "statement"]))
def test_random_json_is_no_evidence(value, kind):
    """Also with the format and a kind that there is."""
    if isinstance(value, dict):
        value = {**value, "format": bundle.FORMAT, "kind": kind}
    assert not accepted(json.dumps(value).encode())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the way to every value within a JSON value."""
    if not isinstance(value, dict | list):
        return [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(way for key, each in inner for way in places(each, (*path, key)))]


@settings(max_examples=150)
@given(st.sampled_from(NAMES), st.data())
def test_a_value_put_in_anywhere_is_refused_or_changes_nothing(name, data):
    """Every place of a golden file, any value: an error of ours."""
    value = json.loads(GOOD[name])
    before = json.loads(GOOD[name])
    way = data.draw(st.sampled_from(places(value)[1:]))
    at = value
    for key in way[:-1]:
        at = at[key]
    at[way[-1]] = data.draw(VALUE)
    if accepted(json.dumps(value).encode()):
        # Signature and proof vouch each by itself; of a record that nobody signed only what the
        # platform added may differ.
        free = name == "receipt-proved" and way[0] == "receipt"
        assert value == before or way in {("proof",), ("signed",)} or free


@settings(max_examples=150)
@given(st.sampled_from(NAMES), st.data())
def test_a_byte_changed_anywhere_is_refused_or_changes_nothing(name, data):
    """What is accepted says the same as before."""
    good = GOOD[name]
    at = data.draw(st.integers(0, len(good) - 1))
    changed = good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]
    # What the platform adds to a record that nobody signed is nobody's word but its own.
    if accepted(changed) and name != "receipt-proved":
        assert bundle.parse(changed) == bundle.parse(good)


def test_what_is_long_is_not_read():
    """16 MiB and no more; of many values or levels neither."""
    for data in (
        b" " * (bundle.MAX_SIZE + 1),
        b"[" + b"[]," * (1 << 20) + b"[]]",
        b"[" * (1 << 20),
        b'{"a":' * (1 << 20),
    ):
        with pytest.raises(InputError):
            bundle.parse(data)
