"""What a platform publishes for machines: the exact bytes, and never a word more than it may."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock.domain import DAY, Clause, Level, PolicyVersion, Rulebook, time_of
from letterlock.errors import LetterlockError, UsageError
from letterlock.policy.signals import current, signals

PUBLISHED = time_of("2026-03-01T23:59:59Z")


def version(name="1", index=0, effective=0, clauses=()):
    """Return a version that was published on the first of March."""
    at = PUBLISHED + index
    return PolicyVersion(name, index, at, at + effective * DAY, 30 * DAY, tuple(clauses))


def rulebook(*versions, days=0):
    """Return a rulebook as of some days after the first publication."""
    return Rulebook(PUBLISHED + days * DAY, {}, versions, {}, {}, (), ())


def test_what_is_published_byte_for_byte():
    """Without an address of the policy: two files, two header fields, two lines of robots.txt."""
    said = signals(version())
    assert said.files == {
        "/.well-known/gpc.json": b'{"gpc":true,"lastUpdate":"2026-03-01"}',
        "/.well-known/tdmrep.json": b'[{"location":"/","tdm-reservation":1}]',
    }
    assert said.headers == ("Content-Usage: train-ai=n", "tdm-reservation: 1")
    assert said.robots == ("User-agent: *", "Content-Usage: train-ai=n")


def test_the_address_of_the_policy_is_told_with_the_reservation():
    """With an address, the reservation names it in the file and in a header field."""
    said = signals(version(), "https://northmail.example/policy")
    assert json.loads(said.files["/.well-known/tdmrep.json"]) == [
        {
            "location": "/",
            "tdm-reservation": 1,
            "tdm-policy": "https://northmail.example/policy",
        }
    ]
    assert said.headers[-1] == "tdm-policy: https://northmail.example/policy"
    assert len(said.headers) == 3


@given(st.lists(st.builds(Clause, st.just("c"), st.sampled_from(Level)), max_size=3))
def test_no_policy_says_that_anybody_may_train(clauses):
    """Whatever its clauses ask, a version's signals reserve training and say nothing of search."""
    said = signals(version(clauses=clauses))
    assert said == signals(version())
    assert "train-ai=y" not in str(said)
    assert "search" not in str(said)


@pytest.mark.parametrize(
    "address",
    [
        "http://northmail.example",
        "northmail.example",
        "https://",
        "https://a b",
        "https://a\r\nSet-Cookie: x=1",
        "https://a\n",
        "https://münchen.example",
    ],
)
def test_an_address_that_could_be_misread_is_refused(address):
    """Only printable ASCII after https:// goes into a header field."""
    with pytest.raises(UsageError, match="is no address"):
        signals(version(), address)


@settings(max_examples=50)
@given(st.text())
def test_no_address_breaks_a_header(address):
    """Any text is refused or stands in one line; nothing else is raised."""
    try:
        said = signals(version(), "https://" + address)
    except LetterlockError:
        return
    assert all(line.isprintable() and line.isascii() for line in said.headers)


def test_the_newest_version_in_effect_speaks():
    """A version that is only published does not count yet; without one, nothing is published."""
    first, second, third = version(), version("2", 1, effective=30), version("3", 2, effective=60)
    assert current(rulebook(first, second, third, days=29)) is first
    assert current(rulebook(first, second, third, days=31)) is second
    with pytest.raises(UsageError, match="no policy has taken effect"):
        current(rulebook(second, third, days=29))
    with pytest.raises(UsageError, match="no policy has taken effect"):
        current(rulebook())


def test_the_record_says_the_same():
    """As JSON, the files are texts."""
    said = signals(version())
    record = json.loads(json.dumps(said.record()))
    assert record["files"]["/.well-known/gpc.json"] == '{"gpc":true,"lastUpdate":"2026-03-01"}'
    assert record["headers"] == list(said.headers)
    assert record["robots"] == list(said.robots)
