"""One message at a time: every quirk on its own; every name, address and passage invented."""

from __future__ import annotations

import base64
from email.message import EmailMessage

import pytest

from letterlock.domain import time_of
from letterlock.sources.letter import Letter, read_letter
from letterlock.sources.quotes import UNNAMED, Quoted

HEAD = (
    b"Message-ID: <1@x.org>\nDate: Mon, 6 Jan 2020 10:00:00 +0100\n"
    b"From: Ann Lee <Ann@X.org>\nTo: bob@x.org\nSubject: it\n"
)
MIME = HEAD + b"MIME-Version: 1.0\n"


def read(raw: bytes) -> Letter:
    """Read a message that knows of no mailing lists."""
    return read_letter(raw, frozenset())


@pytest.mark.parametrize(
    ("header", "recipients"),
    [
        ("To: Ann <A@x.org>, b@x.org", ["a@x.org", "b@x.org"]),
        ("To: Ann <a@x.org>,\n\tb@x.org,\n  c@x.org", ["a@x.org", "b@x.org", "c@x.org"]),
        ("To: a@x.org\nTo: b@x.org\nCc: a@x.org\nBcc: c@x.org", ["a@x.org", "b@x.org", "c@x.org"]),
        (
            "To: a@x.org\nResent-To: b@x.org\nResent-From: c@x.org",
            ["a@x.org", "b@x.org", "c@x.org"],
        ),
        ("To: Team: a@x.org, B <b@x.org>;, c@x.org", ["a@x.org", "b@x.org", "c@x.org"]),
        ("To: undisclosed-recipients:;", [None]),
        ("To: a@x.org, Team:;", ["a@x.org", None]),
        ("To: Team: a@x.org", ["a@x.org"]),
        ("To: a@x.org; b@x.org", ["a@x.org", "b@x.org"]),
        ('To: "Lee, Ann; (HQ): x" <a@x.org>, b@x.org', ["a@x.org", "b@x.org"]),
        ("To: =?utf-8?q?J=C3=BCrgen?= <j@x.org>", ["j@x.org"]),
        ("To: =?utf-8?b?SsO8cmdlbiwgWA==?= <j@x.org>", ["j@x.org"]),
        ("To: a@x.org (Ann, of HQ), (b) b@x.org", ["a@x.org", "b@x.org"]),
        ("To: <a@x.org>,,b@x.org,", ["a@x.org", "b@x.org"]),
        ('To: "a b"@x.org, c..d@x.org', [None, "c..d@x.org"]),
        ("To: Ann, bob@x.org", [None, "bob@x.org"]),
        ("To: Ann <a@hq>, <>, @, a@b@x.org", [None]),
        ("To: legal <.lee@x.org>", [None]),
        ('To: "Ann <a@x.org>, b@x.org', [None]),
        ("To: 'b@x.org' <b@x.org>", ["b@x.org"]),
        ("To: mailto:a@x.org", ["a@x.org"]),
        ("To:", [None]),
        ("To: ,", [None]),
        ("X-To: a@x.org", [None]),
    ],
)
def test_recipients_are_told_apart(header: str, recipients: list) -> None:
    """Groups, folding, comments, quoting, encoded words and nonsense; nobody is lost."""
    head = HEAD.replace(b"To: bob@x.org\n", b"")
    letter = read(head + header.encode() + b"\n\nHello.\n")
    assert list(letter.recipients) == recipients


@pytest.mark.parametrize(
    ("header", "authors"),
    [
        ("From: a@x.org, B <b@x.org>", ["a@x.org", "b@x.org"]),
        ("From: a@x.org\nSender: a@x.org", ["a@x.org"]),
        ("From: a@x.org\nSender: Bob <b@x.org>", ["a@x.org", "b@x.org"]),
        ("From: Ann", [None]),
        ("Sender: b@x.org", [None, "b@x.org"]),
        ("From: a@x.org\nFrom: b@x.org", ["a@x.org", "b@x.org"]),
        ("X-From: a@x.org", [None]),
    ],
)
def test_everyone_who_sent_it_is_an_author(header: str, authors: list) -> None:
    """From, all of it, and Sender if it differs; an unreadable one is null."""
    head = HEAD.replace(b"From: Ann Lee <Ann@X.org>\n", b"")
    letter = read(head + header.encode() + b"\n\nHello.\n")
    assert list(letter.authors) == authors


@pytest.mark.parametrize(
    ("date", "when"),
    [
        ("Date: 6 Jan 2020 10:00 EST", "2020-01-06T15:00Z"),
        ("Date: Mon, 06 Jan 20 10:00:00 -0000", "2020-01-06T10:00Z"),
        ("Date: Fri, 1 Jan 2044 00:00:00 +0000", "2044-01-01"),
        ("Date: Mon, 6 Jan 2020\n 10:00:00 +0000 (UTC)", "2020-01-06T10:00Z"),
        ("Date: yesterday", None),
        ("Date: Mon, 32 Jan 2020 10:00:00 +0000", None),
        ("Date: Mon, 6 Jan 9000 10:00:00 +0000", None),
        ("Date: Mon, 6 Jan 2020 10:00:00 +9999", None),
        ("Date: 6 Jan 2020 10:00 +0000\nDate: 7 Jan 2020 10:00 +0000", None),
        ("X-Date: now", None),
    ],
)
def test_a_date_is_read_or_null(date: str, when: str | None) -> None:
    """Old forms are read; what is missing, impossible or contradictory is null, and listed."""
    head = HEAD.replace(b"Date: Mon, 6 Jan 2020 10:00:00 +0100\n", date.encode() + b"\n")
    letter = read(head + b"\nHello.\n")
    assert letter.created_at == (time_of(when) if when else None)
    assert letter.problems == (() if when else ("it has no readable date",))


@pytest.mark.parametrize(
    ("head", "body", "text", "problems"),
    [
        (b"Content-Type: text/plain; charset=iso-8859-1", b"\xe4", "ä", 0),
        (b"Content-Type: text/plain; charset=utf-8", "ä€".encode(), "ä€", 0),
        (b"Content-Type: text/plain; charset=us-ascii", "ä".encode(), "ä", 1),
        (b"Content-Type: text/plain; charset=utf-8", b"\xe4 \x80", "ä €", 1),
        (b"Content-Type: text/plain; charset=utf-8", b"\xe4 \x81", "\ufffd \ufffd", 1),
        (b"Content-Type: text/plain; charset=nonsense", b"a", "a", 1),
        (b"Content-Type: text/plain; charset=idna", b"a", "a", 1),
        (b"Content-Type: text/plain; charset=utf-7", b"a+2AA-", "a?", 0),
        (b"Content-Type: text/plain", b"a\0b", "ab", 0),
        (b"Content-Transfer-Encoding: base64", base64.b64encode(b"Hello."), "Hello.", 0),
        (b"Content-Transfer-Encoding: quoted-printable", b"Hel=\nlo=2E", "Hello.", 0),
        (b"Content-Transfer-Encoding: nonsense", b"Hello.", "Hello.", 0),
        (b"Content-Type: text/html", b"<p>a&amp;b</p><p>c<br>d</p>", "a&b\n\nc\nd", 0),
        (b"Content-Type: text/html", b"<style>x</style><!--y-->a<script>z", "a", 0),
        (b"Content-Type: text/html", b"a<blockquote>b<blockquote>c", "a\n> b\n> > c", 0),
        (b"Content-Type: text/html", b"<pre>a\n> b</pre>  c\n d", "a\n> b\nc d", 0),
        (b"Content-Type: text/html", b"1 < 2 <a 3 <b>4</b>", "1 < 2 <a 3 4", 0),
        (b"Content-Type: image/png", b"....", "", 0),
    ],
)
def test_a_body_becomes_text(head: bytes, body: bytes, text: str, problems: int) -> None:
    """Encodings, lying charsets and HTML; a lie is listed, replacement is the last resort."""
    letter = read(MIME + head + b"\n\n" + body + b"\n")
    assert letter.body.strip() == text
    assert len(letter.problems) == problems


def test_plain_text_is_preferred_to_html_and_attachments_are_no_text() -> None:
    """Of the alternatives the plain one; HTML if that is blank; what is attached stays behind."""
    both, blank = EmailMessage(), EmailMessage()
    both.set_content("plain")
    both.add_alternative("<p>marked</p>", subtype="html")
    both.add_attachment("attached", filename="a.txt")
    blank.set_content(" ")
    blank.add_alternative("<p>marked</p>", subtype="html")
    assert read(HEAD + bytes(both)).body.strip() == "plain"
    assert read(HEAD + bytes(blank)).body.strip() == "marked"


def test_the_author_of_an_attached_message_is_quoted() -> None:
    """Also of one attached to the attached one; one without an author is unresolved."""
    inner, middle, outer = EmailMessage(), EmailMessage(), EmailMessage()
    inner["From"] = "Cy <cy@x.org>"
    inner.set_content("inner")
    middle["From"] = "dee@x.org"
    middle.set_content("middle")
    middle.add_attachment(inner)
    outer.set_content("See below.")
    outer.add_attachment(middle)
    cy = Quoted("cy@x.org", "Cy")
    assert read(HEAD + bytes(outer)).quoted == (Quoted("dee@x.org", None), cy)
    del middle["From"]
    outer.clear_content()
    outer.set_content("See below.")
    outer.add_attachment(middle)
    assert read(HEAD + bytes(outer)).quoted == (UNNAMED, cy)


def test_headers_in_raw_utf8_or_latin1_are_read() -> None:
    """Unencoded 8-bit subjects and names, and encoded words, come out as text."""
    head = HEAD.replace(b"Subject: it\n", b"")
    subjects = ["Grüße".encode(), b"Gr\xfc\xdfe", b"=?iso-8859-1?q?Gr=FC=DFe?="]
    letters = [read(head + b"Subject: " + subject + b"\n\nhm\n") for subject in subjects]
    assert [letter.subject for letter in letters] == ["Grüße"] * 3


def test_a_cut_off_message_keeps_what_is_there() -> None:
    """Parts that never end are read as far as they go, and that is listed."""
    letter = read(MIME + b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\nHello.\n')
    assert letter.body.strip() == "Hello."
    assert len(letter.problems) == 1
