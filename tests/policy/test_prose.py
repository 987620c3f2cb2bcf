"""Texts in Markdown: every paragraph with its line, its words and its marks; the rest is found."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from letterlock.domain import Level
from letterlock.policy.prose import MAX_LENGTH, Mark, Paragraph, parse
from letterlock.policy.toml import MAX_SIZE

TEXT = """\
# A *title* <!-- states a: grant -->

One paragraph
of **two** [lines](https://example.org). <!-- states b: never; states withdrawal -->

Another, marked below.
<!-- informational -->

> - an item <!-- states lead -->
> - another
>   <!-- states window --> <!-- states contracts.p.c: explicit_grant -->

| head | of a table |
|---|---|
| one | row <!-- informational --> |

Set &amp; done
==============
"""


def test_a_text_is_read_into_paragraphs():
    """Items, rows and headings too; emphasis and links are words, a row is its cells."""
    page = parse(TEXT.encode(), "p.md")
    assert page.findings == []
    assert page.source == TEXT
    assert page.paragraphs == [
        Paragraph(1, "A title", (Mark(1, "a", Level.GRANT),), heading=True),
        Paragraph(3, "One paragraph of two lines.",
                  (Mark(4, "b", Level.NEVER), Mark(4, "withdrawal"))),
        Paragraph(6, "Another, marked below.", (Mark(7),)),
        Paragraph(9, "an item", (Mark(9, "lead"),)),
        Paragraph(10, "another",
                  (Mark(11, "window"), Mark(11, "contracts.p.c", Level.EXPLICIT_GRANT))),
        Paragraph(13, "head of a table", (), heading=True),
        Paragraph(15, "one row", (Mark(15),)),
        Paragraph(17, "Set & done", (), heading=True),
    ]  # fmt: skip


# What it shows: the text, the line, what is said of it.
WRONG = {
    "no mark": ("# T\n\nSaid.", 3, "this paragraph has no mark"),
    "an item without a mark": ("- a <!-- informational -->\n- b", 2, "has no mark"),
    "a row without a mark": ("|a|\n|-|\n|b|", 3, "has no mark"),
    "a mark outside the row": ("|a|\n|-|\n|b| <!-- informational -->", 3, "has no mark"),
    "two minds": ("a <!-- informational; states b: grant -->", 1, "is no mark"),
    "two marks of two minds": (
        "a <!-- informational --> <!-- states b: grant -->", 1, "marked informational, and as"),
    "a comment": ("a <!-- TODO -->", 1, "'TODO' is no mark"),
    "an empty comment": ("a <!-- -->", 1, "'' is no mark"),
    "no level": ("a <!-- states b -->", 1, "this mark of 'b' says no level"),
    "a level that is none": ("a <!-- states b: often -->", 1, "'often' is no level"),
    "a mark in between": ("a <!-- informational --> b", 1, "does not stand at the end"),
    "a mark with no words": ("- <!-- states b: grant -->", 1, "marks no paragraph"),
    "a mark of nothing but signs": ("… <!-- states b: grant -->", 1, "this mark has no words"),
    "a mark apart": ("a <!-- informational -->\n\n<!-- informational -->", 3, "marks no paragraph"),
    "a comment that is open": ("a\n<!-- informational", 2, "this comment is not closed"),
    "a comment that is open within": ("a <!-- informational", 1, "this comment is not closed"),
    "a tag": ("a <b>c</b> <!-- informational -->", 1, "HTML is not read: '<b>'"),
    "a block of HTML": ("<div>\na\n</div>", 1, "HTML is not read: '<div>"),
    "a declaration": ("a <!X> <!-- informational -->", 1, "HTML is not read"),
    "an image": ("a ![b](c) <!-- informational -->", 1, "images are not read"),
    "a fence": ("```\na\n```", 1, "code blocks are not read"),
    "an indented block": ("    a", 1, "code blocks are not read"),
    "a quote too deep": ("> " * 25 + "a <!-- informational -->", 1, "this is nested too deeply"),
    "a quote far too deep": (">" * 150 + " a", 1, "this is nested too deeply"),
    "an item too deep": ("- " * 12 + "a", 1, "this is nested too deeply"),
    "a title of a link": ('a\n[b](c "d") <!-- informational -->', 2, "titles of links"),
    "a title of a definition": ('a <!-- informational -->\n\n[b]: c "d"', 3, "titles of links"),
    "another definition": ('[b]: c\n\n[b]: c "d"', 3, "titles of links"),
    "a footnote": ("a <!-- informational -->\n\n[^1]: b", 3, "titles of links and footnotes"),
    "a heading that is a sentence": ("# We use it all.", 1, "this heading ends like a sentence"),
    "a head that is a sentence": ("|All is used.|\n|-|", 1, "this heading ends like a sentence"),
    "no end": ("a" * (MAX_LENGTH + 1), 1, "this paragraph has 8,001 characters"),
    "no UTF-8": (b"a\n\xff", 2, "this is not UTF-8"),
    "no bound": (b"a" * (MAX_SIZE + 1), 1, "this is 262,145 bytes long"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_found_on_its_line(text, line, message):
    """Each finding says how to mend it."""
    data = text if isinstance(text, bytes) else text.encode()
    found = [f for f in parse(data, "p.md").findings if message in f.message]
    assert [(f.file, f.line) for f in found[:1]] == [("p.md", line)]
    assert all(f.mend for f in found)


@pytest.mark.parametrize("name", ["a comment", "no level", "a mark in between", "a fence", "no end",
                                  "a mark apart", "a comment that is open within"])  # fmt: skip
def test_a_fault_of_a_mark_is_found_once(name):
    """A paragraph whose mark is wrong is not found to have none as well."""
    assert len(parse(WRONG[name][0].encode(), "p").findings) == 1


def test_code_in_a_sentence_is_words():
    """It is read, like any word."""
    (paragraph,) = parse(b"say `letterlock` <!-- informational -->", "p").paragraphs
    assert paragraph.text == "say letterlock"


def test_what_says_nothing_needs_no_mark():
    """Rules, empty items, and dashes."""
    page = parse("---\n\n-\n\n—\n\n#\n".encode(), "p")
    assert (page.paragraphs, page.findings) == ([], [])


PIECES = [
    "a ", "\n", "\n\n", "<!--", "-->", " informational ", "states a: grant", ";", "- ", "> ", "#",
    "|", "|-|\n", "```", "    ", "<b>", "![", "](", "[", "]", "*", "_", "`", "&amp;", "\\", "\0",
    "\r", "\t", "é", "1. ", "=\n", "<!-- informational -->", "<?", "<![CDATA[", "[a]: b\n",
]  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=60))
def test_any_text_ends_in_paragraphs_and_findings(text):
    """Nothing is raised; every paragraph that says something is marked, or found."""
    data = text.encode()
    page = parse(data, "p")
    last = max(data.count(b"\n") + data.count(b"\r"), 0) + 1
    assert all(1 <= f.line <= last and str(f).isprintable() for f in page.findings)
    unmarked = [p for p in page.paragraphs if not (p.marks or p.heading)]
    assert not unmarked or page.findings


@given(st.binary(max_size=200))
def test_any_bytes_end_in_paragraphs_and_findings(data):
    """Nothing is raised."""
    parse(data, "p")


N = MAX_SIZE // 4
HUGE = {
    "brackets": "[" * N,
    "brackets in paragraphs": ("[" * 7_000 + "\n\n") * (N // 7_002),
    "items": "* a\n" * (N // 4),
    "quotes": ">" * N,
    "nested items": "- " * (N // 2),
    "rows": "|a|\n|-|\n" + "|a|\n" * (N // 4 - 2),
    "cells": "|a" * (N // 4) + "\n" + "|-" * (N // 4),
    "marks": "a <!-- informational -->\n\n" * (N // 26),
    "marks in a line": "a" + "<!--x-->" * 900,
    "comments": "<!--x-->\n" * (N // 9),
    "definitions": "[a]: b\n" * (N // 7),
    "paragraphs": "a\n\n" * (N // 3),
    "stars": ("*a **b " * 1_000 + "\n\n") * (N // 7_002),
}


@pytest.mark.slow
@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_what_is_huge_is_read_in_seconds(text):
    """Neither the stack nor anybody's patience is exhausted; time grows with the size."""
    begun = time.process_time()
    parse(text.encode(), "p")
    assert time.process_time() - begun < 5


def test_a_byte_order_mark_is_no_word():
    """Some editors write one."""
    page = parse(b"\xef\xbb\xbf# T\n\na <!-- informational -->", "p")
    assert page.findings == []
    assert page.paragraphs[0].text == "T"
