"""Quotations in the forms that mail programs give them; every name and passage is invented."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterlock.sources.quotes import (
    UNNAMED,
    Quoted,
    name_key,
    names_in_thread,
    quoted_authors,
    resolve,
)

ANN = Quoted("ann.lee@example.org", "Ann Lee")
ANN_BY_NAME = Quoted(None, "Ann Lee")
ANN_BY_ADDRESS = Quoted("ann.lee@example.org", None)
BOB_BY_NAME = Quoted(None, "Bob Ray")


@pytest.mark.parametrize(
    ("line", "author"),
    [
        ("On Mon, Jan 6, 2020 at 10:00 AM Ann Lee <ann.lee@example.org> wrote:", ANN),
        ("On Mon, 6 Jan 2020 17:34:49 -0400 Ann Lee\n<ANN.LEE@example.org> wrote:", ANN),
        ("On Mon, Jan 6, 2020 at 10:00 AM Ann Lee <ann.lee@example.org>\nwrote:", ANN),
        ("On 06/01/2020 10:00, Ann Lee wrote:", ANN_BY_NAME),
        ("On Jan 6, 2020, at 10:00, Ann Lee <ann.lee@example.org> wrote:", ANN),
        ("--- Ann Lee <ann.lee@example.org> wrote:", ANN),
        ("Ann Lee wrote:", ANN_BY_NAME),
        ('"Lee, Ann" wrote:', Quoted(None, "Lee, Ann")),
        ("ann.lee@example.org writes:", ANN_BY_ADDRESS),
        ("Am 06.01.2020 um 10:00 schrieb Ann Lee:", ANN_BY_NAME),
        ("Am 06.01.20 um 10:00 schrieb Ann Lee <ann.lee@example.org>:", ANN),
        ("Ann Lee schrieb am 06.01.2020 um 10:00:", ANN_BY_NAME),
        ("Ann Lee schrieb:", ANN_BY_NAME),
        ("Le lun. 6 janv. 2020 à 10:00, Ann Lee <ann.lee@example.org> a écrit :", ANN),
        ("Le 06/01/2020 10:00, Ann Lee a écrit :", ANN_BY_NAME),
        ("El lun, 6 ene 2020 a las 10:00, Ann Lee (<ann.lee@example.org>) escribió:", ANN),
        ("El 06/01/2020 a las 10:00, Ann Lee escribió:", ANN_BY_NAME),
        ("Il giorno lun 6 gen 2020 alle ore 10:00 Ann Lee <ann.lee@example.org> ha scritto:", ANN),
        ("Op ma 6 jan. 2020 om 10:00 schreef Ann Lee <ann.lee@example.org>:", ANN),
        ("Den mån 6 jan. 2020 kl 10:00 skrev Ann Lee <ann.lee@example.org>:", ANN),
        ("Em seg., 6 de jan. de 2020 às 10:00, Ann Lee <ann.lee@example.org> escreveu:", ANN),
        (">>> Ann Lee <ann.lee@example.org> 01/06/20 10:00AM >>>", ANN),
        (">>> <ann.lee@example.org> 01/06/20 10:00AM >>>", ANN_BY_ADDRESS),
        ("You wrote:", UNNAMED),
        ("At 10:00 06/01/2020, you wrote:", UNNAMED),
    ],
)
def test_an_attribution_names_its_author(line: str, author: Quoted) -> None:
    """One line, or one wrapped line, before the quoted text says who wrote it."""
    assert quoted_authors(f"Yes.\n\n{line}\n> the plan\n> holds\n") == [author]
    assert quoted_authors(f"Yes.\n\n{line}\n\nthe plan holds\n") == [author]


@pytest.mark.parametrize(
    ("value", "author"),
    [
        ("Ann Lee <ann.lee@example.org>", ANN),
        ("Ann Lee [mailto:ann.lee@example.org]", ANN),
        ('"Ann Lee" <ann.lee@example.org>@HQ [mailto:IMCEANOTES-Ann+20Lee@EXAMPLE.org]', ANN),
        ("ann.lee@example.org [mailto:ann.lee@example.org]", ANN_BY_ADDRESS),
        ("<ann.lee@example.org>", ANN_BY_ADDRESS),
        ("\tLee, Ann  ", Quoted(None, "Lee, Ann")),
        ("Ann Lee/HQ/ACME@ACME", ANN_BY_NAME),
        ("Ann Lee@HQ on 01/06/2020 09:32 AM", ANN_BY_NAME),
        ("Ann Lee                           01/06/2020 09:32 AM", ANN_BY_NAME),
        ("</O=ACME/OU=HQ/CN=RECIPIENTS/CN=ALEE>", UNNAMED),
        ("", UNNAMED),
    ],
)
@pytest.mark.parametrize("separator", ["-----Original Message-----", "", "________________"])
def test_a_header_block_names_its_author(value: str, author: Quoted, separator: str) -> None:
    """A block needs no separator above it, and writes its author in many ways."""
    block = f"{separator}\nFrom: {value}\nSent: Monday, January 6, 2020\nTo: Bob Ray\nSubject: it\n"
    assert quoted_authors(f"Fine.\n\n{block}\nthe plan holds\n") == [author]


@pytest.mark.parametrize(
    "block",
    [
        "Von: Ann Lee\nGesendet: Montag\nAn: Bob Ray\nBetreff: es\n",
        "-----Ursprüngliche Nachricht-----\nVon: Ann Lee\nAn: Bob Ray\nBetreff: es\n",
        "De : Ann Lee\nEnvoyé : lundi\nÀ : Bob Ray\nObjet : ceci\n",
        "-----Message d'origine-----\nDe : Ann Lee\nÀ : Bob Ray\n",
        "De: Ann Lee\nEnviado el: lunes\nPara: Bob Ray\nAsunto: esto\n",
        "Da: Ann Lee\nInviato: lunedì\nA: Bob Ray\nOggetto: questo\n",
        "Van: Ann Lee\nVerzonden: maandag\nAan: Bob Ray\nOnderwerp: dit\n",
        "*From:* Ann Lee\n*Sent:* Monday\n*To:* Bob Ray\n",
        "发件人\uff1aAnn Lee\n收件人\uff1aBob Ray\n",
        "Begin forwarded message:\n\n> From: Ann Lee\n> Date: 6 Jan\n> To: Bob Ray\n>\n> hello\n",
        "---------- Forwarded message ---------\nFrom: Ann Lee\nDate: 6 January\nTo: Bob Ray\n",
        "-----Original Message-----\nFrom: Ann Lee\n\nSent: Monday\nTo: Bob Ray\n",
        "_____ Reply Separator _____\nSubject: it\nAuthor: Ann Lee at HQ\nDate: 1/6/20 9:00 AM\n",
        "To: All\nFrom: Ann Lee\nRe: it\n",
    ],
)
def test_blocks_of_other_programs_and_languages_are_read(block: str) -> None:
    """Outlook, Apple Mail, Gmail and cc:Mail, in the languages that they speak."""
    assert quoted_authors(f"Look.\n\n{block}\nthe plan holds\n") == [ANN_BY_NAME]


@pytest.mark.parametrize(
    "block",
    [
        "Ann Lee@HQ\n01/06/2020 08:00 AM\nTo: Bob Ray/HQ/ACME@ACME\ncc:\nSubject: it\n",
        "Ann Lee\n\n01/06/2020 08:00 AM\n\nTo: Bob Ray/HQ/ACME@ACME\ncc:\nSubject: it\n",
        "Ann Lee@HQ on 01/06/2020 08:00:15 AM\nTo: Bob Ray\ncc:\nSubject: it\n",
        "\tAnn Lee\n\t01/06/20 08:00 AM\n\t\t \n\t\t To: Bob Ray\n\t\t cc:\n\t\t Subject: it\n",
        "\n\n01/06/2020 08:00 AM\nAnn Lee@HQ\nTo: Bob Ray\ncc:\nSubject: it\n",
        "\t\n\tFrom:  Ann Lee @ HQ      01/06/2020 08:00 AM\n\t\n\nTo: Bob Ray\ncc:\nSubject: it\n",
        "\tAnn Lee 01/06/2020 08:00 AM \t   To: Bob Ray cc: Subject: it\n",
        "Ann Lee@HQ\n01/06/2020 08:00 AM\n\nthe plan\n",
    ],
)
def test_a_lotus_notes_block_names_its_author(block: str) -> None:
    """A name and a date above "To:" are a block, with and without a forwarder."""
    assert quoted_authors(f"See this.\n\n{block}\nthe plan holds\n") == [ANN_BY_NAME]
    forward = "----- Forwarded by Bob Ray/HQ/ACME on 01/07/2020 09:00 \nAM -----\n"
    assert quoted_authors(f"See.\n{forward}\n{block}\nhello\n") == [BOB_BY_NAME, ANN_BY_NAME]


def test_who_writes_for_another_counts_beside_them() -> None:
    """Both names of "on behalf of" and "Sent by" are parties."""
    block = "From: Bob Ray [mailto:b@example.org] On Behalf Of Ann Lee\nTo: All\n"
    assert quoted_authors(block) == [Quoted("b@example.org", "Bob Ray"), ANN_BY_NAME]
    notes = "Ann Lee\n01/06/2020 08:00 AM\nSent by: Bob Ray\nTo: All\ncc:\nSubject: it\n"
    assert set(quoted_authors(notes)) == {ANN_BY_NAME, BOB_BY_NAME}
    notes = "From: Ann Lee  01/06/2020 08:00 AM\n\nSent by: Bob Ray\nTo: All\nSubject: it\n"
    assert set(quoted_authors(notes)) == {ANN_BY_NAME, BOB_BY_NAME}


def test_everyone_in_a_chain_is_found() -> None:
    """A reply to a reply to a forward quotes three people."""
    text = (
        "ok\n\nOn 6 Jan 2020, Ann Lee wrote:\n> fine\n>\n> On 5 Jan 2020, Bob Ray wrote:\n>> well\n"
        ">> -----Original Message-----\n>> From: Cy Orr\n>> To: Bob Ray\n>> Subject: it\n>>\n>> a\n"
    )
    assert quoted_authors(text) == [ANN_BY_NAME, BOB_BY_NAME, Quoted(None, "Cy Orr")]


def test_a_separator_amid_a_line_is_seen() -> None:
    """Programs that drop line breaks leave the separator and its block in one line."""
    text = (
        "Yes. -----Original Message----- From: Ann Lee Sent: Monday To: Bob Ray Subject: it hello"
    )
    assert quoted_authors(text) == [ANN_BY_NAME]


@pytest.mark.parametrize(
    "text",
    [
        "> the plan holds\n",
        "Yes\n   > the plan holds\n",
        "-----Original Message-----\n",
        "-----Original Message-----\nthe plan holds\n" + "and more\n" * 30,
        "Begin forwarded message:\n\nthe plan holds\n",
        "Note: forwarded message attached.\n",
        "To: Bob Ray\ncc:\nSubject: it\n\nthe plan holds\n",
        "Subject: FW: it\n\nthe plan holds\n",
        "              Ann\n              Lee        To:   Bob Ray\n        cc:\n   Subject: it\n",
    ],
)
def test_a_quotation_of_nobody_nameable_is_unresolved(text: str) -> None:
    """Fail closed: whatever looks quoted and names nobody is quoted from someone unknown."""
    assert quoted_authors(text) == [UNNAMED]


@pytest.mark.parametrize(
    "text",
    [
        "----- Forwarded by Bob Ray/HQ/ACME on 01/07/2020 09:00 AM -----\n\nthe plan holds\n",
        "> well, well\n\nBob Ray wrote:\n> the plan holds\n",
        "Bob Ray wrote:\n> the plan holds\n> > said who?\n",
        "From: Bob Ray\nTo: All\nSubject: it\n\nthe plan holds\n\n> said who?\n",
    ],
)
def test_a_second_quotation_is_not_covered_by_the_first(text: str) -> None:
    """A forwarder without a block, and ">" deeper than anybody was named for, stay unresolved."""
    assert quoted_authors(text) == [BOB_BY_NAME, UNNAMED]


def test_one_attribution_covers_the_rest_of_its_depth() -> None:
    """Answers between the lines do not repeat who is quoted; header blocks may precede ">"."""
    assert quoted_authors("Ann Lee wrote:\n> one\nyes\n> two\nno\n") == [ANN_BY_NAME]
    block = "From: Ann Lee\nTo: Bob Ray,\n Cy Orr\nSubject: it\n\n\n> the plan\n\nno\n\n> holds\n"
    assert quoted_authors(block) == [ANN_BY_NAME]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The plan holds. I forwarded it to Ann, who wrote back.\n",
        "Please destroy the original message.\n",
        "We flew from: Rome to: Oslo.\n",
        "From: Rome\n\nthe train leaves at noon\n",
        "Subject: it\nDate: 1 May\n\nLunch?\n",
        "a -> b, and 3 > 2\n",
    ],
)
def test_plain_words_are_no_quotation(text: str) -> None:
    """Prose and tables that merely use the words quote nobody."""
    assert quoted_authors(text) == []


def test_a_quote_resolves_by_its_address_first() -> None:
    """A written address needs no thread."""
    assert resolve(Quoted("Ann.Lee@Example.org", "Bob"), {}) == "ann.lee@example.org"


def test_a_name_resolves_only_to_the_one_address_of_its_thread() -> None:
    """In any case, order and spacing; no address or two are none."""
    names = names_in_thread(
        [("Ann  LEE", "A@x.org"), ("Lee, Ann", "a@x.org"), ("Bob", "b@x.org"), ("bob", "c@x.org")]
    )
    assert resolve(ANN_BY_NAME, names) == "a@x.org"
    assert resolve(Quoted(None, "lee, ann (Legal)"), names) == "a@x.org"
    assert resolve(Quoted(None, "Bob"), names) is None
    assert resolve(Quoted(None, "Cy"), names) is None
    assert resolve(UNNAMED, names) is None


def test_a_name_key_ignores_case_order_and_spacing() -> None:
    """Only what tells people apart is kept; a name of nothing else is empty."""
    assert name_key(' "Lee,  Ann" ') == name_key("ANN\tLee") == "ann lee"
    assert name_key("Lee, Ann, Dr") == "lee, ann, dr"
    assert name_key("(none)") == ""
    assert names_in_thread([("", "a@x.org"), ("()", "b@x.org")]) == {}


HOSTILE = [
    ">", "> ", ">a\n", "From: a\nTo: b\n", "To: a\ncc: b\n", "wrote ", "On a wrote: ", "--",
    "x -- ", "-----Original Message-----\n", "1/1/01\nTo: a\n", "a@b.", "(", ">>>a>>>\n",
    "sent by: a\n1/1/01\nTo: a\ncc:\n", "\n", " ", "a\nschrieb:\n", "From:" + "a@" * 150 + "\n",
]  # fmt: skip


@pytest.mark.parametrize("size", [100_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("unit", HOSTILE)
def test_a_hostile_text_takes_no_longer_than_a_plain_one(unit: str, size: int) -> None:
    """Linear time: 1 MB takes up to 2 s (measured), a quadratic pattern takes hours."""
    text = unit * (size // len(unit))
    start = time.process_time()
    quoted_authors(text)
    assert time.process_time() - start < 20


@given(st.lists(st.sampled_from([*HOSTILE, "word ", "Ann Lee", "\n\n", "\t"])).map("".join))
def test_any_text_gives_authors_each_once(text: str) -> None:
    """No text is refused, nobody is named twice, and a name is never blank."""
    found = quoted_authors(text)
    assert len(found) == len(set(found))
    assert all(quoted.name is None or quoted.name.strip() for quoted in found)


@given(st.text())
def test_quoting_marks_never_pass_unseen(words: str) -> None:
    """Whatever words stand behind a ">" that nobody is named for, the text is withheld."""
    line = " ".join(words.split())
    assert any(quoted.address is None for quoted in quoted_authors(f"> a{line}\n"))
