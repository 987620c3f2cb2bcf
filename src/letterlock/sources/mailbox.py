"""Mail to items, once: an mbox file or a maildir becomes one Parquet file.

    mail ──one message at a time, read by `letter`──▶ spool, a nameless temporary file
         ──once all is known: threads, quotes, copies──▶ Parquet

What cannot be read is counted, listed and left out. All of this takes time linear in the length of
the mail.
"""

from __future__ import annotations

import hashlib
import mailbox
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from letterlock.domain import Time
from letterlock.errors import InputError
from letterlock.sources.letter import Addresses, Letter, claimed_id, each_once, read_letter
from letterlock.sources.quotes import Quoted, names_in_thread, resolve

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
    ]
)
_QUOTED: Final = pa.list_(pa.struct([("address", pa.string()), ("name", pa.string())]))
_SPOOLED: Final = SCHEMA.set(SCHEMA.get_field_index("quoted"), pa.field("quoted", _QUOTED))
_ROWS: Final = 10_000
_CHARACTERS: Final = 1 << 26  # a batch ends after these many, however few its rows
_STEP: Final = 1_000  # messages between two calls of `progress`
_MONTH: Final[Time] = 30 * 86_400_000_000

_FROM_LINE: Final = re.compile(
    rb"From (?:.{0,200}\d\d:\d\d.{0,40}\d{4}|\S*[ \t\r]*\n[!-9;-~]+[ \t]*:)"
)
_REPLIES: Final = re.compile(
    r"\s*(?:(?:re|fwd?|aw|wg|sv|vs|tr|rv|antw|rif)(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE
)


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
    ) -> Iterator[Letter]:
        """Read messages; yield each that is readable and no copy of another."""
        for place, raw in messages:
            self._read += 1
            if self._read % _STEP == 0:
                progress(self._read)
            try:
                if isinstance(raw, OSError):
                    raise raw
                letter = read_letter(raw, self._lists)
            except Exception as error:  # noqa: BLE001 - a message may break a parser anywhere
                self._undecodable += 1
                what = str(error) or type(error).__name__
                item = claimed_id(raw) if isinstance(raw, bytes) else None
                self._problems.append(Problem(place, item, what))
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
        return thread, each_once(recipients), each_once(addresses, self._lists)

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

    def add(self, letter: Letter) -> None:
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


def _batches(letters: Iterable[Letter]) -> Iterator[pa.RecordBatch]:
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
                if file.is_dir():
                    continue
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
