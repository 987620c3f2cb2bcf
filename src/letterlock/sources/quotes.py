"""Who is quoted or forwarded in a text: pure, linear in its length, and failing closed.

Mail programs say in three ways whose words follow: a line ("On Monday, Ann wrote:"), a block of
header lines ("From: … To: … Subject: …", with or without a separator above), or the block of
Lotus Notes (a name and a date above "To: …"). Whatever looks quoted without one of these, or with
one that names nobody, is quoted from someone unknown: Quoted(None, None).

Quotations are known by their form. A passage pasted without any sign of it is not found, and a
person merely spoken of is no party. The forms: tests/sources/test_quotes.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple


@dataclass(frozen=True, slots=True)
class Quoted:
    """The author of a quoted or forwarded passage; both None if the text names nobody."""

    address: str | None
    name: str | None


UNNAMED: Final = Quoted(None, None)

ADDRESS: Final = re.compile(
    r"[\w!#$%&'*+/=?^`{|}~-](?:[\w.!#$%&'*+/=?^`{|}~-]{0,62}[\w!#$%&'*+/=?^`{|}~-])?"
    r"@[^\W_](?:[\w-]{0,61}[^\W_])?(?:\.[^\W_](?:[\w-]{0,61}[^\W_])?)+"
)
"""A plausible addr-spec: a dotted local part and a domain of two labels or more (not "Ann@HQ")."""

# In lines: how far a separator reaches down to its block, and a "To:" up to its name and date.
_REACH: Final = 15
_ABOVE: Final = 8
# Nobody is looked for in more characters than this, and no name has more than that.
_WIDTH: Final = 400
_NAME: Final = 80

_FROM: Final = "from|author|von|de|da|van|från|fra|od|от|发件人|寄件者|差出人"
_TO: Final = "to|an|à|para|aan|a|till|til|do|кому|收件人|宛先"
_OTHER: Final = (
    "sent|date|subject|cc|gesendet|datum|betreff|envoyé(?: le)?|objet|enviado(?: el)?|fecha|asunto|"
    "assunto|inviato|oggetto|data|verzonden|onderwerp|skickat|ämne|sendt|emne|dato|wysłano|temat|"
    "дата|тема|发送时间|主题|日期|送信日時|件名"
)
_SEPARATOR: Final = (
    "original (?:message|appointment|text)|forwarded (?:message|mail)|ursprüngliche nachricht|"
    "original-nachricht|weitergeleitete nachricht|message (?:d['’]origine|transféré)|"
    "mens(?:aje|agem) original|mensaje reenviado|mensagem encaminhada|"
    "messaggio (?:originale|inoltrato)|oorspronkelijk bericht|doorgestuurd bericht|"
    "(?:ursprungligt|videresendt|oprindelig) med\\w+|inline attachment follows|reply separator|"
    "forward header"
)
_VERBS: Final = (
    "schrieb", "schreibt", "a écrit", "escribió", "ha scritto", "scrisse", "escreveu", "schreef",
    "skrev", "napisał", "написал", "kirjoitti", "写道",
)  # fmt: skip
_SIGN: Final = re.compile(
    rf"\**(?:(?P<author>{_FROM})|(?P<to>{_TO})|(?P<other>{_OTHER}))[ \t*_]*[:\uff1a]"
    rf"|(?P<forwarder>(?:[-_=*]{{2,}}[ \t]*|\**)forwarded by:?[ \t])"
    rf"|(?P<separator>[-_=*]{{2,}}[ \t]*(?:begin |start of )?(?:{_SEPARATOR})"
    rf"|(?:begin |note: )?(?:{_SEPARATOR})(?: attached)?[-_=*:. \t]*$)",
    re.IGNORECASE,
)
_ATTRIBUTION: Final = re.compile(
    rf"\b(?:(?P<english>wrote|writes)|(?:{'|'.join(_VERBS)})a?)\b"
    r"(?P<after>[^:\uff1a]{0,200})[:\uff1a]",
    re.IGNORECASE,
)
_OPENING: Final = re.compile(r"(?:on|at|am|le|el|il|op|den|em|w dniu|в|\d+)\b|---", re.IGNORECASE)
_DATE: Final = re.compile(r"\b\d{1,4}[/.-]\d{1,2}[/.-]\d{2,4}\b")
_STAMP: Final = re.compile(r"\d\d?/\d\d?/\d{2,4} \d\d?:\d\d ?[AP]M")
# The last thing in an attribution that can belong to its date; the name follows.
_DATED: Final = re.compile(
    r".*(?:\d[:.h]\d\d(?::\d\d)?|\b(?:19|20)\d\d|\d/\d{1,2}/\d\d)\b"
    r"(?:\s*(?:[ap]\.?m\b\.?|uhr\b|[+-]\d{1,4}\b|\([a-z+: \d]{1,9}\)|[a-z]{3,4}(?=,)))*[\s,>\])-]*",
    re.IGNORECASE,
)
# What a sign without a colon begins with.
_OPENERS: Final = tuple("-_=*FfOo")
_PREFIX: Final = re.compile(r"[\s>]*>\s*|\s*")
# A separator amid a line, and the "To:" of a block that an old program set in columns.
_MIDLINE: Final = re.compile(
    r"(?<![\s>*_=-])[ \t]*(?=--+[ \t]?(?:original message|forwarded by)\b)|(?<=-) (?=from:)",
    re.IGNORECASE,
)
_COLUMN: Final = re.compile(r"(?<=[ \t?|][ \t?|])To:[ \t?]")
_HEADED: Final = re.compile(r"\b(?:cc|subject):", re.IGNORECASE)
_INLINE: Final = re.compile(r"\s(?:sent|date|to|cc|subject):", re.IGNORECASE)
_BEHALF: Final = re.compile(
    r"\b(?:on behalf of|im auftrag von|de la part de|sent by:)", re.IGNORECASE
)
_SENT_BY: Final = re.compile("sent by:", re.IGNORECASE)
_ASIDE: Final = re.compile("sent by:|please respond", re.IGNORECASE)
_REPLY: Final = re.compile(r"(?:re|fwd?)\b", re.IGNORECASE)
_NAME_ENDS: Final = re.compile(
    r"\(?[<\[]|\s+on\s+\w*,?\s*\d|\s\d{1,4}[/.-]\d|\s+(?:at|AT)\s+[A-Z_]"
)
_NOBODY: Final = frozenset({"you", "i", "he", "she", "we", "they", "it", "who"})


def quoted_authors(text: str) -> list[Quoted]:
    """Name everyone whose words `text` quotes or forwards, each once, in order of appearance.

    UNNAMED stands among them if any quotation cannot be laid at someone's door.
    """
    lines = _lines(text)
    signs = list(_signs(lines, text))
    people = dict.fromkeys(person for sign in signs for person in sign.people)
    if _unkept(signs) or _bare(lines, signs):
        people[UNNAMED] = None
    return list(people)


def names_in_thread(pairs: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """Index the (display name, address) pairs of one thread for `resolve`, by name key."""
    known: dict[str, set[str]] = {}
    for name, address in pairs:
        if key := name_key(name):
            known.setdefault(key, set()).add(address.strip().lower())
    return {key: frozenset(addresses) for key, addresses in known.items()}


def resolve(quoted: Quoted, names: Mapping[str, frozenset[str]]) -> str | None:
    """Return the address of a quoted author, or None if it is unknown or one of several.

    `names` is the thread's (`names_in_thread`): outside of it a name alone means nobody.
    """
    if quoted.address:
        return quoted.address.strip().lower()
    known = names.get(name_key(quoted.name), frozenset()) if quoted.name else frozenset()
    return next(iter(known)) if len(known) == 1 else None


def name_key(name: str) -> str:
    """Reduce a display name to what tells people apart: "Lee, Ann (Legal)" is "ann lee"."""
    plain = re.sub(r"\([^()]*\)", " ", unicodedata.normalize("NFKC", name[:_WIDTH]))
    last, comma, first = plain.partition(",")
    if comma and "," not in first:
        plain = f"{first} {last}"
    return " ".join(plain.replace('"', " ").casefold().split()).strip("' ")


_OVER_FROM: Final = ("to", "separator", "forwarder")
_LABELS: Final = ("author", "to", "other", "column")


class _Line(NamedTuple):
    depth: int  # how many ">" stand before the text
    text: str
    kind: str | None  # the group of _SIGN that it opens with, or "column"
    rest: str  # what follows that; what stands left of a column


class _Sign(NamedTuple):
    line: int
    depth: int
    people: tuple[Quoted, ...]
    end: int | None = None  # of a block, its last line: it names the author of its own depth
    separator: bool = False  # a block must follow; its people, the forwarders, are no authors


def _lines(text: str) -> list[_Line]:
    lines = []
    for raw in _raw_lines(text):
        start = 0 if raw[:1].isalnum() else _PREFIX.match(raw).end()  # type: ignore[union-attr]
        body = raw[start:].rstrip()
        kind, rest = None, ""
        if ":" in body or "\uff1a" in body or body.startswith(_OPENERS):
            if sign := _SIGN.match(body):
                kind, rest = sign.lastgroup, body[sign.end() :].strip(" \t*")
            elif "To:" in body and (column := _COLUMN.search(body)):
                kind, rest = "column", body[: column.start()].strip(" \t?|")
        lines.append(_Line(raw.count(">", 0, start), body, kind, rest))
    return lines


def _raw_lines(text: str) -> Iterator[str]:
    for raw in text.splitlines():
        if "--" in raw:
            yield from _MIDLINE.sub("\n", raw).split("\n")
        else:
            yield raw


def _signs(lines: Sequence[_Line], text: str) -> Iterator[_Sign]:
    """Find whatever names, or should name, the author of something quoted."""
    lowered = text.lower()
    verbs = any(verb in lowered for verb in ("wrote", "writes", *_VERBS))
    end = -1  # of the header block read last
    for at, line in enumerate(lines):
        if line.kind in _LABELS:
            if at > end and (people := _block(lines, at)):
                end = _end(lines, at)
                yield _Sign(at, line.depth, people, end)
        elif line.kind == "separator":
            people = _people(line.rest) if ADDRESS.search(line.rest[:_WIDTH]) else ()
            yield _Sign(at, line.depth, people, at, separator=not people)
        elif line.kind == "forwarder":
            wrapped = "" if _DATE.search(line.rest) else " ".join(_following(lines, at))
            yield _Sign(at, line.depth, _people(f"{line.rest} {wrapped}"), at, separator=True)
        elif line.depth >= len(">>>") and line.text.endswith(">>>"):  # GroupWise, at no real depth
            yield _Sign(at, 0, _people(line.text.rstrip("> ")))
        elif verbs and (found := _ATTRIBUTION.search(line.text)):
            yield _Sign(at, line.depth, _people(_attributed(lines, at, found)))
        elif _STAMP.fullmatch(line.text) and at and "@" in lines[at - 1].text:  # Notes, no "To:"
            yield _Sign(at, line.depth, _people(lines[at - 1].text), at)


def _block(lines: Sequence[_Line], at: int) -> tuple[Quoted, ...]:
    """Name the author of the header block that begins at this line; empty if none does."""
    line = lines[at]
    if line.kind == "author":
        return _from(lines, at)
    if line.kind == "other" and not _HEADED.match(line.text):
        return ()
    headed = any(_HEADED.search(below.text) for below in lines[at : at + _REACH])
    if line.kind == "column" and line.rest and headed:
        when = _DATE.search(line.rest)
        return _people(line.rest[: when.start()]) if when else (UNNAMED,)
    if line.kind == "other":
        return _lotus(lines, at) or ((UNNAMED,) if _REPLY.match(line.rest) else ())
    near = lines[max(at - 3, 0) : at + 4]
    unnamed = headed and all(other.kind != "author" for other in near)
    return _lotus(lines, at) or ((UNNAMED,) if unnamed else ())


def _from(lines: Sequence[_Line], at: int) -> tuple[Quoted, ...]:
    """Name whom a "From:" line names, if it belongs to a header block and not to a table."""
    value, end = lines[at].rest, _end(lines, at)
    over = any(above.kind in _OVER_FROM for above in lines[max(at - 3, 0) : at])
    if inline := _INLINE.search(value):
        value = value[: inline.start()]
    elif not (over or end > at or _DATE.search(value)):
        return ()
    for following in _following(lines, at):
        if not value or following.startswith(("<", "[", "(")):
            value = f"{value} {following}"
    below = lines[at + 1 : min(end, at + _ABOVE)]
    return _people(" ".join([value, *(line.text for line in below if _SENT_BY.match(line.text))]))


def _end(lines: Sequence[_Line], at: int) -> int:
    """Return the last header line of the block that begins at a line: text after a gap ends it."""
    end = at
    for n in range(at + 1, len(lines)):
        line = lines[n]
        if line.kind in ("to", "other", "column"):
            end = n
        elif line.kind or (line.text and not lines[n - 1].text and not _SENT_BY.match(line.text)):
            break
    return end


def _following(lines: Sequence[_Line], at: int) -> list[str]:
    """Return the text of the next line, in a list, unless it is a sign itself."""
    return [line.text for line in lines[at + 1 : at + 2] if line.kind is None]


def _lotus(lines: Sequence[_Line], at: int) -> tuple[Quoted, ...]:
    """Name whom a block has above its "To:", beside, above or below a date; empty if no date."""
    for n in range(at - 1, max(at - _ABOVE, 0) - 1, -1):
        if lines[n].kind:
            break
        if when := _DATE.search(lines[n].text):
            before = lines[n].text[: when.start()].strip()
            texts = [before] if len(before) > len("on") else []
            if not texts or _SENT_BY.match(before):
                texts += _around(lines, n, at)
            return _people(" sent by: ".join(texts))
    return ()


def _around(lines: Sequence[_Line], dated: int, to: int) -> list[str]:
    """Return the name (and "Sent by: …") above, or else below, a line that holds only a date."""
    under = [lines[n].text for n in range(dated + 1, to) if lines[n].text]
    sent_by = [text for text in under if _SENT_BY.match(text)]
    if dated and not lines[dated - 1].text and under and not _ASIDE.match(under[0]):
        return [under[0], *sent_by]
    for n in range(dated - 1, max(dated - 4, 0) - 1, -1):
        if lines[n].kind:
            break
        if _SENT_BY.match(lines[n].text):
            sent_by.append(lines[n].text)
        elif lines[n].text:
            return [lines[n].text, *sent_by]
    return sent_by


def _attributed(lines: Sequence[_Line], at: int, found: re.Match[str]) -> str:
    """Return what an attribution says of its author, without the date and what precedes it."""
    before, after = lines[at].text[: found.start()][-_WIDTH:], found["after"]
    if ADDRESS.search(after) or not (found["english"] or _DATED.match(after) or not after.strip()):
        return after
    if not _OPENING.match(before):
        for n in range(at - 1, max(at - 4, -1), -1):
            if not lines[n].text or lines[n].kind or lines[n].depth != lines[at].depth:
                break
            if _OPENING.match(lines[n].text):
                before = " ".join([*(line.text for line in lines[n:at]), before])[-_WIDTH:]
                break
    dated = _DATED.match(before)
    return before[dated.end() :] if dated else before


def _people(text: str) -> tuple[Quoted, ...]:
    """Read the author, or both where one wrote for the other."""
    people = tuple(_person(part) for part in _BEHALF.split(text[:_WIDTH]) if part.strip())
    return people or (UNNAMED,)


def _person(text: str) -> Quoted:
    """Read `Lee, Ann [mailto:a@x.org]`, `"Ann Lee" <a@x.org>@HQ`, `Ann Lee/HQ/ORG@X on 1/2/2001`.

    IMCEA addresses are the wrapping that Exchange puts around a foreign one.
    """
    found = (a.lower() for a in ADDRESS.findall(text) if not a.lower().startswith("imcea"))
    address = next(found, None)
    name = _NAME_ENDS.split(text.rpartition("From:")[2], maxsplit=1)[0]
    if not ADDRESS.search(name):
        name = re.split(r"[/\\@]", name, maxsplit=1)[0].removeprefix("CN=")
        name = " ".join(name.strip(" \t\"'*_,;:?+>|-").split())
        if len(name) <= _NAME and name.lower() not in _NOBODY and any(map(str.isalpha, name)):
            return Quoted(address, name)
    return Quoted(address, None)


def _unkept(signs: Sequence[_Sign]) -> bool:
    """Say whether a separator is not followed by anybody's block."""
    below: int | None = None
    for sign in reversed(signs):
        if not sign.separator:
            below = sign.line
        elif below is None or below - sign.line > _REACH:
            return True
    return False


def _bare(lines: Sequence[_Line], signs: Sequence[_Sign]) -> bool:
    """Say whether something is quoted deeper than anybody has been named for."""
    marks = {sign.line: sign for sign in signs}
    named = 0  # the depth down to which the authors are named
    passing: _Sign | None = None  # the header block that is being passed
    for at, line in enumerate(lines):
        if not line.text:
            continue
        sign = marks.get(at)
        if not sign and passing and passing.end is not None:
            if at <= passing.end or (lines[at - 1].text and line.depth == passing.depth):
                continue
            if line.depth == passing.depth + 1:  # the header stands before the ">", its text after
                named = line.depth
            passing = None
        if sign and sign.end is not None:
            named, passing = sign.depth, sign
        elif (sign.depth if sign else line.depth) > named:
            return True
        elif sign:
            named = sign.depth + 1
    return False
