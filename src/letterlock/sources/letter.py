"""One raw message to one letter: who wrote it and to whom, when, what it says, whom it quotes.

People are lower-cased addresses; a null among them is somebody who cannot be named, and denies.
Mail is hostile: all of this takes time linear in its length. That is why the structure of a message
is read under the `compat32` policy (the default one takes hours over a megabyte of Content-Type),
why addresses are told apart before they are parsed, and why `html.parser` is not used (a minute
over 80 kB of "<a ").
"""

from __future__ import annotations

import codecs
import email
import hashlib
import html
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.errors import InvalidBase64LengthDefect
from email.message import Message
from email.policy import Compat32, default
from email.utils import parsedate_to_datetime
from itertools import zip_longest
from typing import Final, TypeAlias

from letterlock.domain import BEGINNING, END, EPOCH, Time, micros
from letterlock.errors import InputError
from letterlock.sources.quotes import ADDRESS, Quoted, quoted_authors

Addresses: TypeAlias = tuple[str | None, ...]
_Part: TypeAlias = "Message[str, str]"
_Headers: TypeAlias = dict[str, list[str]]
_Person: TypeAlias = tuple[str, str | None]
"""A display name, maybe empty, and an address; None if it cannot be read."""

# Nothing that is meant is longer: an element of an address list, a Content-… header, an id, a date.
_LONGEST: Final = 1_000
_MULTIPARTS: Final = 100
_BLOCKQUOTES: Final = 50

_ELEMENTS: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"?|\((?:[^()\\]|\\.)*\)?|<[^<>]*>?|[,:;]|[^",:;<(]+', re.DOTALL
)
_PLAIN: Final = re.compile(r'(?:"((?:[^"\\]|\\.)*)"|([^"<>()\\]*))\s?<([^<>]*)>')
_ID: Final = re.compile(r"<([^<>]+)>")
_ID_LINE: Final = re.compile(rb"^message-id:\s*<([^<>\s]{1,1000})>", re.IGNORECASE | re.MULTILINE)
_RECIPIENTS: Final = (
    "to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc", "resent-from", "resent-sender",
)  # fmt: skip
# Codecs that are no charset of mail, and some of them slow.
_NO_CHARSETS: Final = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}
_HIDDEN: Final = re.compile(
    r"<!--(?:.*?-->|.*)|<(script|style|title)\b[^<>]*>(?:.*?</\1\s*>|.*)|<[!?][^<>]*>?",
    re.DOTALL | re.IGNORECASE,
)
_TAG: Final = re.compile(r"<(/?)([a-z][a-z0-9]*)\b[^<>]*>", re.IGNORECASE)
_BREAKS: Final = frozenset(
    {
        "address", "blockquote", "br", "dd", "div", "dt", "h1", "h2", "h3", "h4", "h5", "h6",
        "hr", "li", "ol", "p", "pre", "table", "tr", "ul",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Letter:
    """One message as read; `parents` are the ids that it answers, `names` go with addresses."""

    item: str
    created_at: Time | None
    authors: Addresses
    recipients: Addresses
    quoted: tuple[Quoted, ...]
    subject: str
    body: str
    parents: tuple[str, ...]
    names: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


def read_letter(raw: bytes, lists: frozenset[str]) -> Letter:
    """Read one message. Raises whatever its parsers raise, and InputError.

    `lists`: addresses of mailing lists, lower-cased: nobody can name who reads those.
    """
    if raw.lower().count(b"boundary") > _MULTIPARTS:
        raise InputError(f"it has more than {_MULTIPARTS} nested parts")
    message = email.message_from_bytes(raw, policy=_Policy())
    headers = _headers(message)
    problems: list[str] = []
    body = _storable(_body(message, problems))
    created_at = _created_at(headers.get("date", ()))
    if created_at is None:
        problems.append("it has no readable date")
    senders = _people(headers, "from") or [("", None)]
    authors = senders + _people(headers, "sender")
    named = senders + _people(headers, "to", "cc")
    recipients = [address for _, address in _people(headers, *_RECIPIENTS)]
    return Letter(
        item=_message_id(headers) or f"sha256:{hashlib.sha256(raw).hexdigest()}",
        created_at=created_at,
        authors=each_once((address for _, address in authors), lists),
        recipients=_readers(headers, recipients, lists),
        quoted=tuple(dict.fromkeys([*quoted_authors(body), *_attached(message)])),
        subject=_decoded(headers.get("subject", [""])[0]),
        body=body,
        parents=_parents(headers),
        names=tuple((name, a) for name, a in named if name and a and a not in lists),
        problems=tuple(dict.fromkeys(problems)),
    )


def claimed_id(raw: bytes) -> str | None:
    """Return the id of a message that cannot be parsed, if it can be seen."""
    found = _ID_LINE.search(raw, 0, 1 << 16)
    return found[1].decode("utf-8", "replace") if found else None


class _Policy(Compat32):
    """Refuses structural headers that only an attack can need: their parser is quadratic."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        if len(value) > _LONGEST and name.lower().startswith("content-"):
            raise InputError(f"its {name} takes {len(value)} characters")
        return name, value


def _headers(message: _Part) -> _Headers:
    """Return the unfolded values of each header by its lower-cased name, undecoded 8-bit read."""
    headers: _Headers = {}
    for name, value in message.raw_items():
        text = str(value)
        if not text.isascii():
            octets = text.encode("utf-8", "surrogateescape")
            try:
                text = octets.decode()
            except UnicodeDecodeError:
                text = octets.decode("latin-1")
        headers.setdefault(name.lower(), []).append(re.sub(r"[\r\n]+", "", text))
    return headers


def _decoded(value: str) -> str:
    """Decode the encoded words of an unstructured header or a display name."""
    if "=?" in value and len(value) <= _LONGEST:
        value = str(default.header_factory("Subject", value))
    return _storable(value.strip())


def _storable(text: str) -> str:
    """Leave out what no text column can hold: NUL, and halves of UTF-16 pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _created_at(dates: Iterable[str]) -> Time | None:
    """Read the one date of a message: None if there is none, or if there are two."""
    found: set[Time | None] = set()
    for text in dates:
        try:
            moment = parsedate_to_datetime(text[:_LONGEST])
            t = micros(moment if moment.tzinfo else moment.replace(tzinfo=EPOCH.tzinfo))
            found.add(t if BEGINNING < t < END else None)
        except (ValueError, TypeError, IndexError, OverflowError):
            found.add(None)
    return found.pop() if len(found) == 1 else None


def _message_id(headers: _Headers) -> str | None:
    value = headers.get("message-id", [""])[0]
    found = _ID.search(value)
    item = _storable("".join((found[1] if found else value).split()))
    return item if item and len(item) <= _LONGEST else None


def _parents(headers: _Headers) -> tuple[str, ...]:
    """Return the oldest and the youngest id that a message says it follows."""
    ids = [
        _storable("".join(found.split()))
        for name in ("references", "in-reply-to")
        for value in headers.get(name, ())
        for found in _ID.findall(value)
    ]
    return tuple(dict.fromkeys(ids[:1] + ids[-1:]))


def _people(headers: _Headers, *names: str) -> list[_Person]:
    """Return everybody in the address lists of these headers; (…, None) is unresolved."""
    people: list[_Person] = []
    for name in names:
        for value in headers.get(name, ()):
            people += _mailboxes(value) or [("", None)] * bool(value.strip())
    return people


def _mailboxes(value: str) -> list[_Person]:
    """Read an address list; the members of a group count, and a group of none is unresolved."""
    people: list[_Person] = []
    element, before = "", -1  # how many people there were when the open group began
    for piece in [*_ELEMENTS.findall(value), ";"]:
        if piece not in {",", ";", ":"}:
            element += piece
            continue
        if element.strip() and (piece != ":" or "@" in element):
            people.append(_person(element.strip()))
        element = ""
        if piece == ":":
            before = len(people)
        elif piece == ";" and before >= 0:
            people += [("", None)] * (len(people) == before)
            before = -1
    return people


def _person(element: str) -> _Person:
    """Read one element of an address list: by its common forms, else by the standard's grammar."""
    if len(element) > _LONGEST:
        return "", None
    name, address = "", element
    if plain := _PLAIN.fullmatch(element):
        name, address = re.sub(r"\\(.)", r"\1", plain[1] or "") or plain[2] or "", plain[3]
    elif not ADDRESS.fullmatch(element):
        with suppress(Exception):  # its parser fails in many ways, all of them unresolved
            (found,) = default.header_factory("To", element).addresses
            name, address = found.display_name, found.addr_spec
    address = address.strip().lower()
    return _decoded(name).strip("'\" "), address if ADDRESS.fullmatch(address) else None


def each_once(addresses: Iterable[str | None], lists: frozenset[str] = frozenset()) -> Addresses:
    """Return addresses without repeats; a mailing list is nobody who can be named."""
    return tuple(dict.fromkeys(None if one in lists else one for one in addresses))


def _readers(headers: _Headers, recipients: list[str | None], lists: frozenset[str]) -> Addresses:
    """Return the recipients, with null for the readers of the list that a message came over.

    That list is recognised among the recipients by its List-Post address or its List-Id; if it is
    not among them, it was addressed out of sight.
    """
    posts = {a.lower() for v in headers.get("list-post", ()) for a in ADDRESS.findall(v[:_LONGEST])}
    ids = {i.strip().lower() for v in headers.get("list-id", ()) for i in _ID.findall(v)}
    over = {a for a in recipients if a and (a in posts or a.replace("@", ".", 1) in ids)}
    listed = "list-post" in headers or "list-id" in headers
    if not recipients or (listed and not over):
        recipients = [*recipients, None]
    return each_once(recipients, lists | over)


def _attached(message: _Part) -> Iterator[Quoted]:
    """Name the authors of attached messages, and of those attached to them."""
    for part in message.walk():
        if part.get_content_type() in {"message/rfc822", "message/global"}:
            inner = part.get_payload()
            first = inner[0] if isinstance(inner, list) and inner else None
            headers = _headers(first) if isinstance(first, Message) else {}
            for name, address in _people(headers, "from", "sender") or [("", None)]:
                yield Quoted(address, name or None)


def _body(message: _Part, problems: list[str]) -> str:
    """Return the text of a message: plain if it has that, else HTML without its markup.

    Raises InputError if there is text and none of it can be decoded.
    """
    texts: dict[str, list[_Part]] = {"text/plain": [], "text/html": []}
    parts = [message]
    while parts:
        part = parts.pop()
        problems += [str(type(defect).__doc__) for defect in part.defects]
        kind, payload = part.get_content_type(), part.get_payload()
        if kind in texts and part.get_content_disposition() != "attachment":
            texts[kind].append(part)
        elif kind.startswith("multipart/"):
            if not isinstance(payload, list):
                raise InputError("its parts cannot be told apart")
            parts += [one for one in reversed(payload) if isinstance(one, Message)]
    failure = None
    for kind, found in texts.items():
        for part in found:
            try:
                text = _text(part, problems)
            except InputError as error:
                failure = error
                continue
            text = _without_markup(text) if kind == "text/html" else text
            if text.strip():
                return text
    if failure:
        raise failure
    return ""


def _text(part: _Part, problems: list[str]) -> str:
    """Decode a text part: by its own charset, else as UTF-8, else as Windows-1252."""
    known = len(part.defects)
    octets = part.get_payload(decode=True)
    defects = part.defects[known:]
    if not isinstance(octets, bytes) or InvalidBase64LengthDefect in map(type, defects):
        raise InputError("its text cannot be decoded")
    problems += [str(type(defect).__doc__) for defect in defects]
    charset = part.get_content_charset("utf-8")
    for name in dict.fromkeys((charset, "utf-8", "windows-1252")):
        with suppress(LookupError, ValueError):
            if codecs.lookup(name).name not in _NO_CHARSETS:
                text = octets.decode(name)
                if name != charset:
                    problems.append(f"its text is not {charset!r}: read as {name}")
                return text.replace("\r\n", "\n")
    problems.append(f"its text is not {charset!r}: bytes of it were replaced")
    return octets.decode("utf-8", "replace").replace("\r\n", "\n")


def _without_markup(markup: str) -> str:
    """Reduce HTML to lines of text; what stands in a blockquote is quoted by ">"."""
    pieces = _TAG.split(_HIDDEN.sub("", markup))
    lines: list[str] = []
    line, quotes, verbatim = "", 0, 0

    def end_line() -> None:
        nonlocal line
        lines.append("> " * min(quotes, _BLOCKQUOTES) + " ".join(line.split()))
        line = ""

    for text, slash, name in zip_longest(pieces[::3], pieces[1::3], pieces[2::3], fillvalue=""):
        first, *more = html.unescape(text).split("\n") if verbatim else [html.unescape(text)]
        line += first
        for following in more:
            end_line()
            line = following
        tag = name.lower()
        if tag in _BREAKS:
            end_line()
        step = -1 if slash else 1
        quotes = max(0, quotes + step * (tag == "blockquote"))
        verbatim = max(0, verbatim + step * (tag == "pre"))
        line += "\t" * (tag in {"td", "th"})
    end_line()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
