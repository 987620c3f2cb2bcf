"""Certificates of destruction: strictly read, and complete only if nothing is left."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterlock.errors import InputError
from letterlock.lineage import certificate
from letterlock.lineage.certificate import BACKUPS, DONE, OUTCOMES, Certificate, Place

MODEL = "a" * 64


def written(**change: object) -> bytes:
    """Return a certificate as its writer may write it: no canonical JSON."""
    said = {
        "format": certificate.FORMAT, "model": MODEL, "owner": "tern", "by": "A. Keeper",
        "how": "overwritten", "time": 1, "backups": "none",
        "places": [{"where": "cluster", "outcome": "erased", "what": "all nodes"}],
    }  # fmt: skip
    return json.dumps({**said, **change}, indent=2).encode()


@given(
    st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=4),
    st.sampled_from(BACKUPS),
    st.text(min_size=1).filter(str.strip),
)
def test_what_is_left_anywhere_is_never_complete(outcomes, backups, words):
    """One place, or the backups, that is left or unsupported is enough; it reads back as it is."""
    places = tuple(Place(f"place {n}", each, words) for n, each in enumerate(outcomes))
    found = Certificate(MODEL, "tern", words, words, 1, places, backups)
    assert found.complete == ({*outcomes, backups} <= DONE)
    try:
        assert certificate.parse(found.encode()) == found
    except InputError:  # a lone surrogate is no text
        words.encode("utf-8", "surrogatepass")
        assert any("\ud800" <= c <= "\udfff" for c in words)


def test_it_is_published_in_one_way():
    """However it was written, its canonical bytes are what the log names."""
    assert (
        certificate.parse(written()).encode()
        == certificate.parse(certificate.parse(written()).encode()).encode()
    )
    assert b" " not in certificate.parse(written(by="K", how="o", places=[
        {"where": "c", "outcome": "erased", "what": ""}
    ])).encode()  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": "v2"}, "its format is not"),
        ({"model": "a" * 63}, "model is the digest"),
        ({"model": "A" * 64}, "model is the digest"),
        ({"by": " "}, "by is empty"),
        ({"how": ""}, "how is empty"),
        ({"owner": ""}, "owner is empty"),
        ({"time": True}, "time is of the wrong type"),
        ({"time": 1.5}, "not JSON|integer"),
        ({"places": []}, "a model was somewhere"),
        ({"places": ["cluster"]}, "not an object"),
        ({"places": [{"where": "c", "outcome": "gone", "what": ""}]}, "an outcome is one of"),
        ({"places": [{"where": " ", "outcome": "erased", "what": ""}]}, "has a name"),
        ({"places": [{"where": "c", "outcome": "erased"}]}, "what is missing"),
        ({"backups": "maybe"}, "backups is one of"),
        ({"sworn": True}, "unknown 'sworn'"),
        ({"how": "x" * certificate.LIMIT}, "at most"),
    ],
)
def test_what_is_none_is_refused(change, why):
    """Each with a reason, which begins with the file's name."""
    with pytest.raises(InputError, match=f"cert.json.*({why})"):
        certificate.parse(written(**change), "cert.json")


def test_a_place_that_is_said_twice_is_refused():
    """No key stands twice: two readers would not read the same."""
    with pytest.raises(InputError, match="twice"):
        certificate.parse(written().replace(b'"backups"', b'"how": "x", "backups"'))
