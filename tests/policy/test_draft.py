"""Drafts: what is rendered from a policy says each of its clauses, and passes `check`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock.policy.document import check, read
from letterlock.policy.draft import draft
from letterlock.policy.prose import parse

FOLDERS = {path.name: path for path in Path(__file__).parent.glob("documents/*")}
EXAMPLE = Path(__file__).parents[2] / "examples/case-2024"


def files_of(folder):
    """Return the files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_draft_is_as_it_was(name):
    """Golden texts; whoever changes the wording sees all of it."""
    files = files_of(FOLDERS[name])
    document = read(files, "p")
    for language in document.languages:
        for file, text in draft(document, language).items():
            assert text == files[file].decode(), file


def drafted(text):
    """Return a folder with all texts drafted."""
    files = {"policy.toml": text.encode()}
    document = read(files, "p")
    for language in document.languages:
        files |= {name: each.encode() for name, each in draft(document, language).items()}
    return files


def test_a_draft_of_the_example_passes():
    """The texts that were written by hand are not the only ones that do."""
    files = drafted((EXAMPLE / "policy.toml").read_text())
    assert check(files, "p")[1] == []
    assert check(files_of(EXAMPLE), "p")[1] == []


def test_each_condition_of_a_clause_is_said():
    """Where, with which contract, from when, until when, and to whom."""
    northmail = (FOLDERS["northmail"] / "policy.toml").read_text()
    clause = """
[[clauses]]
id = "all-of-it"
level = "nothing"
data_classes = ["post.*"]
purposes = ["improve.product"]
recipients = ["affiliate"]
jurisdictions = ["US-CA"]
contracts = ["free", "premium"]
"""
    for span, english, german in (
        ("from = 2024-01-01", "what was made from 2024-01-01 on", "ab dem 2024-01-01"),
        ("to = 2024-01-01", "what was made before 2024-01-01", "vor dem 2024-01-01"),
    ):
        found = drafted(northmail + clause + span)
        text = found["policy.md"].decode()
        assert check(found, "p")[1] == []
        assert (
            "If you live in California: If you have the contract “free” or “premium”: "
            f"For {english}: your public posts may be used by companies of our group to improve "
            "this service. You are not asked for that. <!-- states all-of-it: nothing -->"
        ) in text.replace("free or premium", "free” or “premium")
        assert german in found["policy.de.md"].decode()


NASTY = st.text(st.sampled_from("ab <>!-[]()*_`#|&\\~1.+=:;’ü"), min_size=1, max_size=12).filter(
    lambda s: s.strip() == s and any(map(str.isalnum, s))
)


@settings(max_examples=150)
@given(NASTY, NASTY, NASTY)
def test_words_are_shown_as_they_are(company, posts, purpose):
    """Whatever signs they hold: none of it becomes a heading, a list, a tag or a mark."""
    text = (FOLDERS["small"] / "policy.toml").read_text()
    clause = 'level = "grant"\ndata_classes = ["post.*"]\nrecipients = ["northmail"]'
    text = text.replace('level = "grant"', clause + '\npurposes = ["evaluate"]')
    for old, new in (
        ("Northmail Inc.", company),
        ("posts that anyone can read", posts),
        ("measure how well a model works", purpose),
    ):
        text = text.replace(old, new.replace("\\", "\\\\"))
    found = drafted(text)
    assert [f for f in check(found, "p")[1] if f.file != "p/policy.toml"] == []
    said = [" ".join(p.text.split()) for p in parse(found["policy.md"], "p").paragraphs]
    words = " ".join(posts.split())
    assert any(words[:1].upper() + words[1:] in each for each in said)
    assert any(" ".join(company.split()) in each for each in said[4:])


def test_what_is_missing_does_not_stop_a_draft():
    """A policy on its way has no words in one language, no withdrawal, no contract's clauses."""
    text = (FOLDERS["small"] / "policy.toml").read_text()
    for old, new in (
        ('[withdrawal]\nreaches = ["releases", "recipients", "models"]\ndays = 90\n', ""),
        ('level = "grant"', 'level = "notice"\ndata_classes = ["z"]\npurposes = ["y"]'),
        ('\nen = "posts', '\nde = "posts'),
    ):
        assert old in text
        text = text.replace(old, new)
    files = drafted(text + '[[contracts.x.clauses]]\nid = "y"\nlevel = "never"\n')
    policy = files["policy.md"].decode()
    assert "If you have the contract “x”: anything of yours may never be used for any" in policy
    assert "Z may be used to y once" in policy.replace("used y", "used to y")
    assert "states withdrawal" not in policy
