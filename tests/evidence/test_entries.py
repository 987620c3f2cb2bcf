"""What the log holds of each event: all of it, its commitment, or its hash."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterlock.domain import canonical
from letterlock.errors import InputError, LedgerError, LetterlockError, UnknownVersion
from letterlock.evidence import entries
from letterlock.evidence.entries import ByHash, Committed, Public, entries_of, entry_of, read
from letterlock.ledger import Event

COMMITMENT = bytes(range(32))
SEALED = Event(7, 1_700_000_000_000_000, "release.sealed", {"release": "r", "opened": 5})
PERSON = Event(8, 9, "choice.made", {"subject": "ann"}, "ann")
OPERATOR = Event(
    0, 5, "operator.registered", {"operator": "ash", "name": "Asha Ray", "key": "ab", "x": "ü𝄞ﬁ"}
)


def large(size: int, kind: str = "policy.published") -> Event:
    """Return an event with a document of `size` letters."""
    return Event(3, 4, kind, {"documents": {"policy.md": "a" * size}})


def test_an_event_about_everyone_stands_in_the_clear():
    """An event about everyone stands in the clear."""
    written = entry_of(SEALED, COMMITMENT)
    assert written == (SEALED.canonical(), None)
    assert read(written.entry) == Public(7, SEALED.time, "release.sealed", SEALED.body)


def test_an_event_about_a_person_is_its_commitment_and_nothing_more():
    """An event about a person is its commitment and nothing more."""
    written = entry_of(PERSON, COMMITMENT)
    assert json.loads(written.entry) == {"commitment": COMMITMENT.hex()}
    assert (written.blob, len(written.entry)) == (None, 81)
    assert written.entry == entries.committed(COMMITMENT)
    assert read(written.entry) == Committed(COMMITMENT)


def test_an_operators_name_is_left_out_and_committed_to():
    """An operators name is left out and committed to."""
    written = entry_of(OPERATOR, COMMITMENT)
    assert "Asha" not in written.entry.decode()
    found = read(written.entry)
    assert isinstance(found, Public)
    assert found.body == {"operator": "ash", "key": "ab", "x": "ü𝄞ﬁ"}
    assert found.commitment == COMMITMENT


def test_the_word_operator_in_another_events_body_changes_nothing():
    """The word operator in another events body changes nothing."""
    event = Event(1, 2, "hold.set", {"order": {"kind": "operator.registered", "name": "stays"}})
    assert entry_of(event, COMMITMENT).entry == event.canonical()


def test_what_is_too_long_stands_beside_the_log():
    """What is too long stands beside the log."""
    bare = len(large(0).canonical())
    longest = large(entries.MAX_ENTRY - bare)
    assert entry_of(longest, COMMITMENT) == (longest.canonical(), None)
    longer = large(entries.MAX_ENTRY - bare + 1)
    entry, blob = entry_of(longer, COMMITMENT)
    assert blob == longer.canonical()
    found = read(entry)
    assert found == ByHash(3, 4, longer.kind, hashlib.sha256(blob).hexdigest(), len(blob))
    assert found.open(blob) == Public(3, 4, longer.kind, longer.body)


def test_a_long_operators_event_has_no_name_beside_the_log_either():
    """A long operators event has no name beside the log either."""
    event = Event(0, 5, "operator.registered", {"name": "Asha", "key": "a" * entries.MAX_ENTRY})
    entry, blob = entry_of(event, COMMITMENT)
    assert blob is not None
    assert b"Asha" not in blob
    found = read(entry)
    assert isinstance(found, ByHash)
    assert found.open(blob).commitment == COMMITMENT


def test_another_text_beside_the_log_is_refused():
    """Another text beside the log is refused."""
    entry, blob = entry_of(large(entries.MAX_ENTRY), COMMITMENT)
    found = read(entry)
    assert isinstance(found, ByHash)
    assert blob is not None
    for wrong in (blob[:-1], blob + b" ", b"b" + blob[1:]):
        with pytest.raises(InputError, match="another text"):
            found.open(wrong)


@pytest.mark.parametrize("field", ["index", "time", "kind"])
def test_a_text_of_another_event_is_refused(field: str):
    """A text of another event is refused."""
    entry, blob = entry_of(large(entries.MAX_ENTRY), COMMITMENT)
    assert blob is not None
    other: Any = {"index": 4, "time": 5, "kind": "contract.published"}
    found = read(canonical({**json.loads(entry), field: other[field]}))
    assert isinstance(found, ByHash)
    with pytest.raises(InputError, match="another event"):
        found.open(blob)


def test_rows_of_the_ledger_give_the_same_entries():
    """Rows of the ledger give the same entries."""
    events = [OPERATOR, SEALED, PERSON, large(entries.MAX_ENTRY)]
    rows = [(e.index, None if e is PERSON else e.canonical(), COMMITMENT) for e in events]
    assert list(entries_of(rows)) == [entry_of(e, COMMITMENT) for e in events]


@pytest.mark.parametrize(
    "content",
    [
        "text",
        b'{"kind":"operator.registered"}',
        b'{"kind":"operator.registered"',
        b'[{"kind":"operator.registered"}]',
        b'{"body":[],"kind":"operator.registered"}',
        b"x" * (entries.MAX_ENTRY + 1),
        b"{}" + b" " * entries.MAX_ENTRY,
    ],
)
def test_a_ledger_that_was_altered_by_hand_gives_no_entries(content: Any):
    """The error names the event."""
    with pytest.raises(LedgerError, match="event 7 was altered"):
        list(entries_of([(7, content, COMMITMENT)]))


GOOD = json.loads(SEALED.canonical())
BY_HASH = json.loads(entry_of(large(entries.MAX_ENTRY), COMMITMENT).entry)
NAMELESS = json.loads(entry_of(OPERATOR, COMMITMENT).entry)


@pytest.mark.parametrize(
    "entry",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b'{"commitment":"00"}',
        b'{"commitment":"%b"}' % (b"A" * 64),
        b'{"commitment":"%b"}\n' % (b"a" * 64),
        b'{"commitment":"%b","x":1}' % (b"a" * 64),
        SEALED.canonical() + b"\n",
        b" " + SEALED.canonical(),
        json.dumps(GOOD).encode(),
        canonical({**GOOD, "more": 1}),
        canonical({**GOOD, "index": -1}),
        canonical({**GOOD, "index": "7"}),
        canonical({**GOOD, "index": True}),
        canonical({**GOOD, "body": []}),
        canonical({**GOOD, "body": None}),
        canonical({**GOOD, "commitment": "a" * 64}),
        canonical({key: value for key, value in GOOD.items() if key != "time"}),
        PERSON.canonical(),
        OPERATOR.canonical(),
        canonical({**NAMELESS, "body": OPERATOR.body}),
        canonical({**NAMELESS, "commitment": "a" * 63}),
        canonical({**BY_HASH, "size": entries.MAX_ENTRY}),
        canonical({**BY_HASH, "size": entries.MAX_BLOB + 1}),
        canonical({**BY_HASH, "sha256": "A" * 64}),
        canonical({**BY_HASH, "body": {}}),
        canonical({**BY_HASH, "kind": "choice.made"}),
        canonical({**GOOD, "body": {"x": "a" * entries.MAX_ENTRY}}),
    ],
)
def test_only_what_we_write_is_read(entry: bytes):
    """Only what we write is read."""
    with pytest.raises(InputError):
        read(entry)


@pytest.mark.parametrize("change", [{"v": 2}, {"kind": "release.burnt"}])
@pytest.mark.parametrize("good", [GOOD, BY_HASH])
def test_an_event_of_a_newer_program_is_not_guessed_at(
    good: dict[str, Any], change: dict[str, Any]
):
    """An event of a newer program is not guessed at."""
    with pytest.raises(UnknownVersion):
        read(canonical({**good, **change}))


@given(st.binary(max_size=200) | st.sampled_from([SEALED.canonical()]).flatmap(
    lambda good: st.tuples(st.integers(0, len(good) - 1), st.integers(1, 255)).map(
        lambda at: good[: at[0]] + bytes([good[at[0]] ^ at[1]]) + good[at[0] + 1 :]
    )
))  # fmt: skip
def test_no_bytes_get_past_the_error_tree(entry: bytes):
    """No bytes get past the error tree."""
    try:
        found = read(entry)
    except LetterlockError:
        return
    assert isinstance(found, Public)
    body = dict(found.body)
    assert Event(found.index, found.time, found.kind, body).canonical() == entry
