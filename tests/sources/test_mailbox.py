"""Mailboxes: files, threads, copies, and what goes wrong; every name and passage invented."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterlock.domain import time_of
from letterlock.errors import InputError, LetterlockError
from letterlock.sources.mailbox import SCHEMA, Conversion, Problem, convert

SEPARATOR = b"From MAILER Mon Jan  6 10:00:00 2020\n"
HEAD = (
    b"Message-ID: <1@x.org>\nDate: Mon, 6 Jan 2020 10:00:00 +0100\n"
    b"From: Ann Lee <Ann@X.org>\nTo: bob@x.org\nSubject: it\n"
)
MIME = HEAD + b"MIME-Version: 1.0\n"


def mbox(path: Path, *messages: bytes) -> Path:
    """Write messages to an mbox file."""
    file = path / "mail.mbox"
    file.write_bytes(b"".join(SEPARATOR + message.rstrip(b"\n") + b"\n\n" for message in messages))
    return file


def rows(path: Path, *messages: bytes, lists: frozenset[str] = frozenset()) -> list[dict]:
    """Convert messages and return the rows."""
    return converted(path, mbox(path, *messages), lists=lists)[1]


def converted(path: Path, source: Path, lists: frozenset[str] = frozenset()):
    """Convert a mailbox; return the counts and the rows."""
    conversion = convert(source, path / "items.parquet", lists=lists)
    assert conversion.read == conversion.written + conversion.merged + conversion.undecodable
    table = pq.read_table(path / "items.parquet")
    assert table.schema == SCHEMA
    assert table.num_rows == conversion.written
    return conversion, table.to_pylist()


def test_a_message_becomes_a_row(tmp_path: Path) -> None:
    """Every column, from an ordinary message."""
    (row,) = rows(tmp_path, HEAD + b"Cc: Cy <cy@x.org>\n\nHello.\n")
    assert row == {
        "item": "1@x.org",
        "created_at": time_of("2020-01-06T09:00Z"),
        "authors": ["ann@x.org"],
        "recipients": ["bob@x.org", "cy@x.org"],
        "quoted": [],
        "thread": "1@x.org",
        "subject": "it",
        "body": "Hello.\n",
    }


@pytest.mark.parametrize(
    ("headers", "recipients"),
    [
        ("To: l@x.org, b@x.org", [None, "b@x.org"]),
        ("To: team@x.org\nList-Id: Team <team.x.org>", [None]),
        ("To: team@x.org, b@x.org\nList-Post: <mailto:Team@x.org>", [None, "b@x.org"]),
        ("To: b@x.org\nList-Id: <team.x.org>", ["b@x.org", None]),
        ("To: b@x.org", ["b@x.org"]),
    ],
)
def test_readers_of_a_list_cannot_be_named(tmp_path: Path, headers: str, recipients: list) -> None:
    """A list's address is nobody, whether we are told or the message says that it is one."""
    head = HEAD.replace(b"To: bob@x.org\n", b"")
    message = head + headers.encode() + b"\n\nOn 6 Jan 2020, <l@x.org> wrote:\n> hm\n"
    (row,) = rows(tmp_path, message, lists=frozenset({" L@x.org"}))
    assert row["recipients"] == recipients
    assert row["quoted"] == [None]


def test_a_message_without_an_id_is_named_after_its_bytes(tmp_path: Path) -> None:
    """Twice the same bytes are one item, other bytes another."""
    head = HEAD.replace(b"Message-ID: <1@x.org>\n", b"")
    source = mbox(tmp_path, head + b"\na\n", head + b"\na\n", head + b"\nb\n")
    conversion, found = converted(tmp_path, source)
    assert (conversion.read, conversion.written, conversion.merged) == (3, 2, 1)
    assert all(len(row["item"]) == len("sha256:") + 64 for row in found)


def test_copies_are_merged_with_the_parties_of_all(tmp_path: Path) -> None:
    """The sender's copy names the Bcc that the receivers' copies lack: nobody may get lost."""
    forward = b"X: y\n\nHello.\n"
    source = mbox(
        tmp_path, HEAD + forward, b"Bcc: cy@x.org\n" + HEAD + forward, HEAD + b"\nOther.\n"
    )
    conversion, found = converted(tmp_path, source)
    assert (conversion.read, conversion.written, conversion.merged) == (3, 2, 1)
    assert [row["recipients"] for row in found] == [["bob@x.org", "cy@x.org"], ["bob@x.org"]]
    assert [row["item"] for row in found] == ["1@x.org", "1@x.org"]


def test_a_quoted_name_resolves_within_its_thread_only(tmp_path: Path) -> None:
    """By the names in From, To and Cc of the thread's messages; elsewhere it is unresolved."""
    answer = (
        b"Message-ID: <2@x.org>\nDate: Mon, 6 Jan 2020 11:00:00 +0100\nFrom: bob@x.org\n"
        b"To: ann@x.org\nSubject: Re: it\n\nyes\n\nOn 6 Jan 2020, Ann Lee wrote:\n> well?\n"
    )
    other = answer.replace(b"<2@x", b"<3@x").replace(b"Re: it", b"Re: that")
    found = rows(tmp_path, answer, HEAD + b"\nwell?\n", other)
    assert [row["quoted"] for row in found] == [["ann@x.org"], [], [None]]
    assert found[0]["thread"] == found[1]["thread"] != found[2]["thread"]


@pytest.mark.parametrize(
    ("headers", "together"),
    [
        ("In-Reply-To: <1@x.org>\nSubject: other", True),
        ("References: <0@x.org>\n <1@x.org>\nSubject: other", True),
        ("Subject: Re: it", True),
        ("Subject: AW: Re[2]: Fwd: IT ", True),
        ("Subject: other", False),
        ("Subject: Re: it\nReferences: <9@x.org>", False),
        ("Subject: Re:", False),
    ],
)
def test_messages_of_a_thread_share_its_name(tmp_path: Path, headers: str, together: bool) -> None:
    """What a message answers decides, else its subject with a person in common."""
    second = b"Message-ID: <2@x.org>\nDate: 7 Jan 2020 10:00 +0000\nFrom: bob@x.org\n"
    source = second + headers.encode() + b"\n\nyes\n"
    first, last = rows(tmp_path, HEAD + b"\nHello.\n", source)
    assert (first["thread"] == last["thread"]) is together


def test_a_subject_long_ago_is_another_thread(tmp_path: Path) -> None:
    """The same subject a year later is no answer; nor is it among other people."""
    later = HEAD.replace(b"<1@", b"<2@").replace(b" 2020 ", b" 2021 ")
    others = HEAD.replace(b"<1@", b"<3@").replace(b"Ann@X", b"cy@x").replace(b"bob@", b"dee@")
    found = rows(tmp_path, HEAD + b"\na\n", later + b"\nb\n", others + b"\nc\n")
    assert [row["thread"] for row in found] == ["1@x.org", "2@x.org", "3@x.org"]


def test_answers_in_a_circle_are_one_thread(tmp_path: Path) -> None:
    """A forged circle of In-Reply-To neither hangs nor tears the thread apart."""
    circle = [HEAD.replace(b"<1@", b"<%d@" % n) for n in range(3)]
    replies = [b"In-Reply-To: <%d@x.org>\n" % ((n + 1) % 3) for n in range(3)]
    messages = [a + b + b"\nhm\n" for a, b in zip(circle, replies, strict=True)]
    assert len({row["thread"] for row in rows(tmp_path, *messages)}) == 1


def test_unreadable_messages_are_counted_and_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Text that cannot be decoded, parts without boundary, bombs of nesting or headers."""
    bad = [
        MIME + b"Content-Transfer-Encoding: base64\n\nQUJDR\n",
        MIME + b"Content-Type: multipart/mixed\n\nHello.\n",
        MIME + b'Content-Type: multipart/mixed; boundary="none"\n\nHello.\n',
        MIME + b"Content-Type: text/plain;" + b";" * 2_000 + b"\n\nHello.\n",
        MIME + b"Content-Type: message/rfc822\n\n" * 5_000,
        MIME + b"Content-Type: multipart/mixed; boundary=a\n\n--a\n" * 5_000,
    ]
    source = mbox(tmp_path, *bad, HEAD + b"\nHello.\n")
    conversion, (row,) = converted(tmp_path, source)
    assert row["body"] == "Hello.\n"
    assert (conversion.read, conversion.undecodable) == (7, 6)
    assert [p.place for p in conversion.problems] == [f"message {n}" for n in range(1, 7)]
    assert {problem.item for problem in conversion.problems} == {"1@x.org"}
    assert all(problem.what for problem in conversion.problems)


def test_what_is_wrong_with_a_readable_message_is_listed(tmp_path: Path) -> None:
    """It is written all the same, and the list says where it stands."""
    undated = HEAD.replace(b"Date: ", b"X-Date: ").replace(b"<1@", b"<2@")
    source = mbox(tmp_path, HEAD + b"\nHello.\n", undated + b"\nHello.\n")
    conversion, found = converted(tmp_path, source)
    assert [row["item"] for row in found] == ["1@x.org", "2@x.org"]
    assert conversion.problems == (Problem("message 2", "2@x.org", "it has no readable date"),)


def test_from_lines_are_unescaped_and_do_not_tear_a_message(tmp_path: Path) -> None:
    """A body line that opens with "From " ends a message only if it looks like a separator."""
    body = b"\n>From here on\n\nFrom there on we walked.\n\nThe end.\n"
    found = rows(tmp_path, HEAD + body, HEAD.replace(b"<1@", b"<2@") + b"\nHello.\n")
    assert [row["body"] for row in found] == [
        "From here on\n\nFrom there on we walked.\n\nThe end.\n",
        "Hello.\n",
    ]


def test_broken_separators_are_tolerated(tmp_path: Path) -> None:
    """No blank line before a separator, no date in it, Windows line ends."""
    second, third = (HEAD.replace(b"<1@", b"<%d@" % n) for n in (2, 3))
    file = tmp_path / "mail.mbox"
    text = SEPARATOR + HEAD + b"\na\n" + SEPARATOR + second + b"\nb\n\nFrom ann@x.org\n" + third
    file.write_bytes((text + b"\nc\n").replace(b"\n", b"\r\n"))
    _, found = converted(tmp_path, file)
    assert [(row["item"], row["body"].strip()) for row in found] == [
        ("1@x.org", "a"),
        ("2@x.org", "b"),
        ("3@x.org", "c"),
    ]


def test_a_maildir_is_read_in_order_of_names(tmp_path: Path) -> None:
    """First cur, then new; hidden files and folders are none; an unreadable file is listed."""
    for name in ("cur/2:2,S", "cur/1:2,", "new/0", "tmp/4", "new/.hidden"):
        file = tmp_path / "Maildir" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(HEAD.replace(b"<1@", b"<" + file.name[:1].encode() + b"@") + b"\na\n")
    (tmp_path / "Maildir" / "cur" / "folder").mkdir()
    (tmp_path / "Maildir" / "cur" / "3:2,").symlink_to(tmp_path / "gone")
    conversion, found = converted(tmp_path, tmp_path / "Maildir")
    assert [row["item"] for row in found] == ["1@x.org", "2@x.org", "0@x.org"]
    assert (conversion.read, conversion.undecodable) == (4, 1)
    assert [problem.place for problem in conversion.problems] == ["cur/3:2,"]


def test_an_empty_mailbox_gives_an_empty_table(tmp_path: Path) -> None:
    """An mbox of no bytes, and a maildir of no files, hold no message."""
    assert converted(tmp_path, mbox(tmp_path)) == (Conversion(0, 0, 0, 0, ()), [])
    (tmp_path / "Maildir" / "cur").mkdir(parents=True)
    assert converted(tmp_path, tmp_path / "Maildir")[0].read == 0


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [("mail.txt", b"Hello.\n", "begin"), ("folder", None, "cur"), ("gone", b"", "gone")],
)
def test_what_is_no_mailbox_is_refused(tmp_path: Path, name: str, content, says: str) -> None:
    """A text file, a plain folder (as CMU's "maildir" is), nothing at all: nothing is written."""
    path = tmp_path / name
    if content is None:
        path.mkdir()
        (path / "1.").write_bytes(HEAD + b"\nHello.\n")
    elif content:
        path.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=says):
        convert(path, tmp_path / "items.parquet")
    assert sorted(tmp_path.iterdir()) == before


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """What was converted before stays as it was until the new file is whole."""
    source, out = mbox(tmp_path, HEAD + b"\nHello.\n"), tmp_path / "items.parquet"
    out.write_bytes(b"old")

    def fail(_: int) -> None:
        raise InputError("stop")

    with pytest.raises(InputError):
        convert(source, out, progress=fail)
    with pytest.raises(InputError):
        convert(source, source)
    with pytest.raises(InputError):
        convert(source, tmp_path / "no" / "such" / "folder")
    assert out.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == sorted([source, out])


def test_progress_counts_the_messages(tmp_path: Path) -> None:
    """It is told every so often, and at the end, how many were read; batches keep the order."""
    messages = [HEAD.replace(b"<1@", b"<%d@" % n) + b"\nHello.\n" for n in range(10_500)]
    told: list[int] = []
    convert(mbox(tmp_path, *messages), tmp_path / "items.parquet", progress=told.append)
    assert told == [*range(1_000, 11_000, 1_000), 10_500]
    table = pq.read_table(tmp_path / "items.parquet", columns=["item"])
    assert table.column(0).to_pylist() == [f"{n}@x.org" for n in range(10_500)]


@pytest.mark.parametrize(
    "message",
    [
        b"X: y\n" * 100_000 + HEAD + b"\nHello.\n",
        HEAD + b"X: y\n" + b" z\n" * 100_000 + b"\nHello.\n",
        HEAD + b"Cc: " + b'"' * 500_000 + b"\n\nHello.\n",
        HEAD + b"Cc: " + b"(a, " * 100_000 + b"\n\nHello.\n",
        MIME + b"Content-Type: text/html\n\n" + b"<a " * 300_000,
        MIME + b"Content-Type: text/html\n\n" + b"<!-- " * 200_000,
    ],
)
def test_a_hostile_megabyte_is_read_in_seconds(tmp_path: Path, message: bytes) -> None:
    """Linear time, about a second; the standard library's parsers take minutes over these."""
    start = time.process_time()
    assert len(rows(tmp_path, message)) == 1
    assert time.process_time() - start < 20


PIECES = [
    SEPARATOR, b"From ", b">From ", b"\n", b"\n\n", b"\r\n", b"\0", b"\xff", b" ", b"a", b"a@x.org",
    b"Message-ID: <1@x.org>\n", b"From: ", b"To: ", b"Cc: a:;\n", b"Date: Mon, 6 Jan 2020 ",
    b"10:00:00 +0000\n", b"Subject: Re: it\n", b"MIME-Version: 1.0\n", b"=?utf-8?b?", b"?=", b";",
    b"Content-Type: multipart/mixed; boundary=b\n", b"--b\n", b"--b--\n", b"charset=utf-16\n",
    b"Content-Type: message/rfc822\n", b"Content-Type: text/html; ", b"Content-Type: text/plain; ",
    b"Content-Transfer-Encoding: base64\n", b"Content-Transfer-Encoding: x-uuencode\n", b"QUJD",
    b"In-Reply-To: <2@x.org>\n", b"References: <1@x.org> <2@x.org>\n", b"List-Id: <a.x.org>\n",
    b"> ", b"wrote:\n", b"<blockquote>", b"</pre>", b"&#xd800;", b"<", b'"', b"(", b",", b"\\",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=60).map(b"".join))
def test_no_mail_breaks_out_and_no_message_is_lost(
    tmp_path_factory: pytest.TempPathFactory, mail: bytes
) -> None:
    """Whatever stands in a mailbox: the counts add up, or the refusal is one of ours."""
    path = tmp_path_factory.mktemp("fuzz")
    (path / "mail.mbox").write_bytes(mail)
    (path / "Maildir" / "new").mkdir(parents=True)
    (path / "Maildir" / "new" / "1").write_bytes(mail)
    conversion, found = converted(path, path / "Maildir")
    assert conversion.read == 1
    try:
        conversion, found = converted(path, path / "mail.mbox")
    except LetterlockError:
        assert not mail.lstrip().startswith(b"From ")
    for row in found:
        assert row["item"]
        assert row["authors"]
        assert row["recipients"]
