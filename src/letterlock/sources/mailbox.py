"""Mail to items, once: an mbox file or a maildir becomes one Parquet file.

    mail ──one message at a time──▶ spool, a nameless temporary file
         ──once all is known: threads, quotes, copies──▶ Parquet

People are lower-cased addresses; a null among them is somebody who cannot be named, and denies.
What cannot be read is counted, listed and left out. Mail is hostile: all of this takes time linear
in its length. That is why the structure of a message is read under the `compat32` policy (the
default one takes hours over a megabyte of Content-Type), why addresses are told apart before they
are parsed, and why `html.parser` is not used (a minute over 80 kB of "<a ").
"""

from __future__ import annotations

import codecs
import email
import hashlib
import html
import mailbox
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from email.errors import InvalidBase64LengthDefect
from email.message import Message
from email.policy import Compat32, default
from email.utils import parsedate_to_datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import BEGINNING, END, EPOCH, Time, micros
from letterlock.errors import InputError
from letterlock.sources.quotes import (
    ADDRESS,
    Quoted,
    names_in_thread,
    quoted_authors,
    resolve,
)

Part: TypeAlias = "Message[str, str]"
Headers: TypeAlias = dict[str, list[str]]
Addresses: TypeAlias = tuple[str | None, ...]
Person: TypeAlias = tuple[str, str | None]
"""A display name, maybe empty, and an address; None if it cannot be read."""

_PEOPLE: Final = pa.list_(pa.string())
SCHEMA: Final = pa.schema(
    [
        ("item", pa.string()),  # the Message-ID, or "sha256:…" of a message without one
        ("created_at", pa.int64()),  # microseconds UTC; null without a readable date
        ("authors", _PEOPLE),  # From, and Sender
        ("recipients", _PEOPLE),  # To, Cc, Bcc, Resent-…
        ("quoted", _PEOPLE),  # whoever's words the body quotes, or an attached message holds
        ("thread", pa.string()),  # the item that began it
        ("subject", pa.string()),
        ("body", pa.string()),
        ("sensitive", _PEOPLE),  # always null: mail does not say what it touches on
    ]
)
_QUOTED: Final = pa.list_(pa.struct([("address", pa.string()), ("name", pa.string())]))
_SPOOLED: Final = SCHEMA.set(SCHEMA.get_field_index("quoted"), pa.field("quoted", _QUOTED))
_ROWS: Final = 10_000
_CHARACTERS: Final = 1 << 26  # a batch ends after these many, however few its rows
_STEP: Final = 1_000  # messages between two calls of `progress`
_MONTH: Final[Time] = 30 * 86_400_000_000

# Nothing that is meant is longer: an element of an address list, a Content-… header, an id, a date.
_LONGEST: Final = 1_000
_MULTIPARTS: Final = 100
_BLOCKQUOTES: Final = 50

_FROM_LINE: Final = re.compile(
    rb"From (?:.{0,200}\d\d:\d\d.{0,40}\d{4}|\S*[ \t\r]*\n[!-9;-~]+[ \t]*:)"
)
_ELEMENTS: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"?|\((?:[^()\\]|\\.)*\)?|<[^<>]*>?|[,:;]|[^",:;<(]+', re.DOTALL
)
_PLAIN: Final = re.compile(r'(?:"((?:[^"\\]|\\.)*)"|([^"<>()\\]*))\s?<([^<>]*)>')
_ID: Final = re.compile(r"<([^<>]+)>")
_REPLIES: Final = re.compile(
    r"\s*(?:(?:re|fwd?|aw|wg|sv|vs|tr|rv|antw|rif)(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE
)
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
class Problem:
    """What is wrong with one message: where it stands, its id if it has one, and what."""

    place: str
    item: str | None
    what: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """What became of the messages: those `read` are the sum of the other three counts."""

    read: int
    written: int
    merged: int
    undecodable: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Letter:
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


def convert(
    path: Path,
    out: Path,
    *,
    lists: frozenset[str] = frozenset(),
    progress: Callable[[int], None] | None = None,
) -> Conversion:
    """Write the messages of an mbox file or a maildir to the Parquet file `out` (SCHEMA).

    Args:
        path: an mbox file, or a directory with `cur` and `new`.
        out: takes its place in one step; until then, and after a failure, nothing of it is there.
        lists: addresses of mailing lists: nobody can name who reads those.
        progress: is called with the number of messages read so far.

    Raises: InputError if `path` is neither, or if one of the two cannot be read or written.
    """
    pile = _Pile(frozenset(address.strip().lower() for address in lists))
    partial = None
    try:
        if out.exists() and out.samefile(path):
            raise InputError(f"{out}: choose another file, this one is what is converted")
        with tempfile.TemporaryFile(dir=out.parent) as spool:
            letters = pile.letters(_messages(path), progress or (lambda _: None))
            with pq.ParquetWriter(spool, _SPOOLED, compression="zstd") as writer:
                for batch in _batches(letters):
                    writer.write_batch(batch)
            with tempfile.NamedTemporaryFile(dir=out.parent, delete=False) as file:
                partial = Path(file.name)
                with pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
                    for batch in pile.finish(pq.ParquetFile(spool)):
                        writer.write_batch(batch)
                file.flush()
                os.fsync(file.fileno())
        partial.replace(out)
    except (OSError, mailbox.Error, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be converted to {out}: {error}") from error
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)
    return pile.conversion()


class _Pile:
    """Sorts what is read: counts, copies, threads. Memory grows with messages, not with text."""

    def __init__(self, lists: frozenset[str]) -> None:
        self._lists = lists
        self._read = self._undecodable = 0
        self._problems: list[Problem] = []
        self._threads = _Threads()
        self._rows: dict[bytes, int] = {}  # digest of a message to its row
        # By row, the recipients of its copies, and whom they quote.
        self._copies: dict[int, list[tuple[Addresses, tuple[Quoted, ...]]]] = {}

    def letters(
        self, messages: Iterable[tuple[str, bytes | OSError]], progress: Callable[[int], None]
    ) -> Iterator[_Letter]:
        """Read messages; yield each that is readable and no copy of another."""
        for place, raw in messages:
            self._read += 1
            if self._read % _STEP == 0:
                progress(self._read)
            try:
                letter = _letter(raw, self._lists)
            except Exception as error:  # noqa: BLE001 - a message may break a parser anywhere
                self._undecodable += 1
                self._problems.append(Problem(place, None, str(error) or type(error).__name__))
                continue
            self._problems += [Problem(place, letter.item, what) for what in letter.problems]
            self._threads.add(letter)
            text = repr((letter.item, letter.authors, letter.created_at)) + letter.body
            row = len(self._rows)
            first = self._rows.setdefault(hashlib.sha256(text.encode()).digest()[:16], row)
            if first == row:
                yield letter
            else:
                self._copies.setdefault(first, []).append((letter.recipients, letter.quoted))
        progress(self._read)

    def finish(self, spool: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
        """Give the spooled rows their threads, quoted addresses, and the parties of copies."""
        names = self._threads.names()
        row = 0
        for group in range(spool.num_row_groups):
            for batch in spool.read_row_group(group).to_batches():
                found = batch.select(["item", "recipients", "quoted"]).to_pylist()
                finished = [self._finished(row + n, one, names) for n, one in enumerate(found)]
                row += len(found)
                threads, recipients, quoted = zip(*finished, strict=True)
                columns = {name: batch.column(name) for name in SCHEMA.names} | {
                    "thread": pa.array(threads, pa.string()),
                    "recipients": pa.array(recipients, _PEOPLE),
                    "quoted": pa.array(quoted, _PEOPLE),
                }
                yield pa.record_batch(list(columns.values()), schema=SCHEMA)

    def _finished(
        self, row: int, spooled: dict[str, Any], names: Mapping[str, Mapping[str, frozenset[str]]]
    ) -> tuple[str, Addresses, Addresses]:
        thread = self._threads.root(spooled["item"])
        recipients = spooled["recipients"]
        quoted = [Quoted(quote["address"], quote["name"]) for quote in spooled["quoted"]]
        for more_recipients, more_quoted in self._copies.get(row, ()):
            recipients += more_recipients
            quoted += more_quoted
        addresses = (resolve(quote, names.get(thread, {})) for quote in quoted)
        return thread, _each_once(recipients), _each_once(addresses, self._lists)

    def conversion(self) -> Conversion:
        """Return the counts."""
        written = len(self._rows)
        merged = self._read - self._undecodable - written
        return Conversion(self._read, written, merged, self._undecodable, tuple(self._problems))


class _Threads:
    """Which messages belong together, and who is called what among them.

    A message belongs to those it answers. One that answers none belongs to those of the same
    subject, a month around it, with a person in common.
    """

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}
        self._topics: dict[int, str] = {}  # hash of (subject, person, month) to an item
        self._names: dict[str, set[tuple[str, str]]] = {}
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}  # each pair is held once

    def add(self, letter: _Letter) -> None:
        item = letter.item
        if letter.names:
            self._names.setdefault(item, set()).update(
                self._pairs.setdefault(pair, pair) for pair in letter.names
            )
        for parent in letter.parents:
            self._join(item, parent)
        if subject := _REPLIES.sub("", letter.subject, count=1).strip().casefold():
            month = None if letter.created_at is None else letter.created_at // _MONTH
            around = (None,) if month is None else (month - 1, month, month + 1)
            for person in {*letter.authors, *letter.recipients} - {None}:
                if not letter.parents:
                    for then in around:
                        if other := self._topics.get(hash((subject, person, then))):
                            self._join(item, other)
                self._topics.setdefault(hash((subject, person, month)), item)

    def root(self, item: str) -> str:
        """Return the item that began the thread; it may be one that is not in the mailbox."""
        while (parent := self._parent.get(item, item)) != item:
            self._parent[item] = item = self._parent.get(parent, parent)
        return item

    def _join(self, item: str, parent: str) -> None:
        younger, older = self.root(item), self.root(parent)
        if younger != older:
            self._parent[younger] = older

    def names(self) -> dict[str, dict[str, frozenset[str]]]:
        """Return, per thread, which addresses each display name has in it."""
        pairs: dict[str, set[tuple[str, str]]] = {}
        for item, found in self._names.items():
            pairs.setdefault(self.root(item), set()).update(found)
        return {thread: names_in_thread(found) for thread, found in pairs.items()}


def _batches(letters: Iterable[_Letter]) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, object]] = []
    size = 0
    for letter in letters:
        quoted = [{"address": quote.address, "name": quote.name} for quote in letter.quoted]
        row = {name: getattr(letter, name, None) for name in SCHEMA.names}
        rows.append(row | {"quoted": quoted})
        size += len(letter.body)
        if len(rows) == _ROWS or size > _CHARACTERS:
            yield pa.RecordBatch.from_pylist(rows, schema=_SPOOLED)
            rows, size = [], 0
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=_SPOOLED)


def _messages(path: Path) -> Iterator[tuple[str, bytes | OSError]]:
    """Yield each message, with where it stands; an error stands for one that cannot be read."""
    if any((path / folder).is_dir() for folder in ("cur", "new")):
        for folder in ("cur", "new"):
            for file in sorted((path / folder).glob("[!.]*")):
                place = f"{folder}/{file.name}".encode("utf-8", "replace").decode()
                try:
                    yield place, file.read_bytes()
                except OSError as error:
                    yield place, error
        return
    if path.is_dir():
        raise InputError(f"{path}: no maildir, for it has neither cur/ nor new/ in it")
    with path.open("rb") as mbox:
        opening = mbox.read(1 << 12).lstrip()
    if opening and not opening.startswith(b"From "):
        raise InputError(f'{path}: no mbox file, for it does not begin with a "From " line')
    yield from _mbox(path)


def _mbox(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the messages of an mbox file, numbered from 1.

    `mailbox` ends a message at any line that opens with "From "; one that is no separator by its
    looks was a sentence that nobody escaped, and is joined again.
    """
    pieces: list[bytes] = []
    number = 0
    with closing(mailbox.mbox(path, create=False)) as box:
        for key in box.iterkeys():
            piece = box.get_bytes(key, from_=True)
            if pieces and _FROM_LINE.match(piece):
                number += 1
                yield f"message {number}", _joined(pieces)
                pieces = []
            pieces.append(piece)
    if pieces:
        yield f"message {number + 1}", _joined(pieces)


def _joined(pieces: list[bytes]) -> bytes:
    raw = b"\n".join(pieces).partition(b"\n")[2]
    return re.sub(rb"(?m)^>From ", b"From ", raw) if b">From " in raw else raw


class _Policy(Compat32):
    """Refuses structural headers that only an attack can need: their parser is quadratic."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        if len(value) > _LONGEST and name.lower().startswith("content-"):
            raise InputError(f"its {name} takes {len(value)} characters")
        return name, value


def _letter(raw: bytes | OSError, lists: frozenset[str]) -> _Letter:
    """Read one message. Raises whatever its parsers raise, and InputError."""
    if isinstance(raw, OSError):
        raise raw
    if raw.lower().count(b"boundary") > _MULTIPARTS:
        raise InputError(f"it has more than {_MULTIPARTS} nested parts")
    message = email.message_from_bytes(raw, policy=_Policy())
    headers = _headers(message)
    problems: list[str] = []
    body = _storable(_body(message, problems))
    created_at = _created_at(headers.get("date", ()))
    if created_at is None:
        problems.append("it has no readable date")
    authors = _people(headers, "from") or [("", None)]
    authors += _people(headers, "sender")
    addressed = _people(headers, "to", "cc")
    recipients = [address for _, address in _people(headers, *_RECIPIENTS)]
    return _Letter(
        item=_message_id(headers) or f"sha256:{hashlib.sha256(raw).hexdigest()}",
        created_at=created_at,
        authors=_each_once((address for _, address in authors), lists),
        recipients=_readers(headers, recipients, lists),
        quoted=tuple(dict.fromkeys([*quoted_authors(body), *_attached(message)])),
        subject=_decoded(headers.get("subject", [""])[0]),
        body=body,
        parents=_parents(headers),
        names=tuple((n, a) for n, a in [*authors, *addressed] if n and a and a not in lists),
        problems=tuple(dict.fromkeys(problems)),
    )


def _headers(message: Part) -> Headers:
    """Return the unfolded values of each header by its lower-cased name, undecoded 8-bit read."""
    headers: Headers = {}
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


def _message_id(headers: Headers) -> str | None:
    value = headers.get("message-id", [""])[0]
    found = _ID.search(value)
    item = _storable("".join((found[1] if found else value).split()))
    return item if item and len(item) <= _LONGEST else None


def _parents(headers: Headers) -> tuple[str, ...]:
    """Return the oldest and the youngest id that a message says it follows."""
    ids = [
        _storable("".join(found.split()))
        for name in ("references", "in-reply-to")
        for value in headers.get(name, ())
        for found in _ID.findall(value)
    ]
    return tuple(dict.fromkeys(ids[:1] + ids[-1:]))


def _people(headers: Headers, *names: str) -> list[Person]:
    """Return everybody in the address lists of these headers; (…, None) is unresolved."""
    people: list[Person] = []
    for name in names:
        for value in headers.get(name, ()):
            people += _mailboxes(value) or [("", None)] * bool(value.strip())
    return people


def _mailboxes(value: str) -> list[Person]:
    """Read an address list; the members of a group count, and a group of none is unresolved."""
    people: list[Person] = []
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


def _person(element: str) -> Person:
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


def _each_once(addresses: Iterable[str | None], lists: frozenset[str] = frozenset()) -> Addresses:
    """Return addresses without repeats; a mailing list is nobody who can be named."""
    return tuple(dict.fromkeys(None if one in lists else one for one in addresses))


def _readers(headers: Headers, recipients: list[str | None], lists: frozenset[str]) -> Addresses:
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
    return _each_once(recipients, lists | over)


def _attached(message: Part) -> Iterator[Quoted]:
    """Name the authors of attached messages, and of those attached to them."""
    for part in message.walk():
        if part.get_content_type() in {"message/rfc822", "message/global"}:
            inner = part.get_payload()
            first = inner[0] if isinstance(inner, list) and inner else None
            headers = _headers(first) if isinstance(first, Message) else {}
            for name, address in _people(headers, "from", "sender") or [("", None)]:
                yield Quoted(address, name or None)


def _body(message: Part, problems: list[str]) -> str:
    """Return the text of a message: plain if it has that, else HTML without its markup.

    Raises InputError if there is text and none of it can be decoded.
    """
    texts: dict[str, list[Part]] = {"text/plain": [], "text/html": []}
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


def _text(part: Part, problems: list[str]) -> str:
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
