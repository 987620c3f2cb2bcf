"""The log: entries in bundles, their tree in tiles, one writer. docs/spec/log.md.

Files are named and filled as C2SP's tlog-tiles says. Tile (L, n) holds up to 256 hashes, each over
256^L entries; a full one is hashed into the level above, a partial one never. The partial tiles, at
most one a level, are the right edge: they and the bundle beside them are all that a writer has to
know of the past, and with the full tiles' hashes in them they lead to the root.

Nothing here touches a disk or reads a clock: where files go is a `TileStore`'s business, whose
every write may fail, or seem to (tests/record/test_tlog.py fails them all).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Final, Protocol, TypeAlias

from letterlock.errors import InputError, LogError, ProofError
from letterlock.record import merkle
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.merkle import EMPTY_ROOT, HASH_SIZE, Hash, leaf_hash

Read: TypeAlias = Callable[[str], bytes | None]
"""Path of a file of the log → what is in it; None if there is no such file."""

WIDTH: Final = 256
MAX_ENTRY: Final = 65_535
"""The bytes that an entry may have: a bundle counts them in two bytes."""
CHECKPOINT: Final = "checkpoint"
"""The path of the newest published checkpoint."""

_BITS: Final = 8  # 2^8 = WIDTH
_BATCH: Final = WIDTH * WIDTH  # entries integrated at a time: their tiles are held in memory
_BATCH_BYTES: Final = 1 << 25  # and so are their bytes
_KEPT: Final = 1024  # proven tiles that a reader keeps, of 8 KiB each


# ── files ───────────────────────────────────────────────────────────────────────────────────


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """Return the path of a tile of hashes, or of its first `width` hashes."""
    return _path(str(level), index, width)


def entries_path(index: int, width: int = WIDTH) -> str:
    """Return the path of a bundle of entries, or of its first `width` entries."""
    return _path("entries", index, width)


def _path(kind: str, index: int, width: int) -> str:
    *high, last = f"{index:,}".split(",")
    number = "/".join([*(f"x{group:0>3}" for group in high), f"{last:0>3}"])
    return f"tile/{kind}/{number}" + (f".p/{width}" if width < WIDTH else "")


_A_PATH: Final = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


def _parse_path(path: str) -> tuple[str, int, int] | None:
    """Return (kind, index, width) of a path of the log; None if it is none."""
    match = _A_PATH.fullmatch(path)
    if match is None:
        return None
    kind, number, width = match[1], int(re.sub("[x/]", "", match[2])), int(match[3] or WIDTH)
    return (kind, number, width) if _path(kind, number, width) == path else None


def _bundle_of(entries: Iterable[bytes]) -> bytes:
    return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])


def _entries_in(path: str, bundle: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each entry of a bundle, and the byte that it begins at. Raises LogError."""
    at = 0
    while at < len(bundle):
        start = at + 2
        end = start + int.from_bytes(bundle[at:start], "big")
        if end > len(bundle) or start > len(bundle):
            raise LogError(f"{path}: the entry that begins at byte {at} is cut off")
        yield at, bundle[start:end]
        at = end


# ── the right edge ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Edge:
    """What is not full yet: `tiles[L]` the hashes of level L run together, `bundle` the entries."""

    size: int = 0
    tiles: tuple[bytes, ...] = ()
    bundle: bytes = b""

    def root(self) -> Hash:
        """Return the root of the whole tree: full tiles are in it by their hashes."""
        rest = b""
        for tile in self.tiles:
            rest = merkle.top(tile + rest)
        return rest or EMPTY_ROOT

    def grown(self, entries: Sequence[bytes]) -> tuple[_Edge, dict[str, bytes]]:
        """Return the edge after more entries, and every file that is new, by its path."""
        size, tiles, bundle = self.size, list(self.tiles or [b""]), self.bundle
        files: dict[str, bytes] = {}
        each = iter(entries)
        while chunk := list(islice(each, WIDTH - size % WIDTH)):
            bundle += _bundle_of(chunk)
            tiles[0] += b"".join([sha256(b"\0" + entry).digest() for entry in chunk])
            size += len(chunk)
            if size % WIDTH == 0:
                files[entries_path(size // WIDTH - 1)], bundle = bundle, b""
            level = 0
            while len(tiles[level]) == WIDTH * HASH_SIZE:
                full, tiles[level] = tiles[level], b""
                files[tile_path(level, (size >> _BITS * (level + 1)) - 1)] = full
                level += 1
                if level == len(tiles):
                    tiles.append(b"")
                tiles[level] += merkle.top(full)
        edge = _Edge(size, tuple(tiles), bundle)
        return edge, files | edge._partial()

    def _partial(self) -> dict[str, bytes]:
        """Return the partial files, by path; one that is empty is none."""
        found = {
            tile_path(level, self.size >> _BITS * (level + 1), len(tile) // HASH_SIZE): tile
            for level, tile in enumerate(self.tiles)
            if tile
        }
        if self.bundle:
            found[entries_path(self.size >> _BITS, self.size % WIDTH)] = self.bundle
        return found


# ── reading ─────────────────────────────────────────────────────────────────────────────────


class Reader:
    """A log as of one checkpoint, from files that nobody need trust.

    No hash and no entry is handed out that was not proven to belong under the checkpoint's root:
    the right edge by the root, each full tile by its hash in the proven one above, an entry by
    its hash. That the checkpoint is the log's is for the caller to know.
    """

    def __init__(self, read: Read, checkpoint: Checkpoint) -> None:
        """Read nothing yet."""
        self.checkpoint = checkpoint
        self._read = read
        self._proven: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._edge: tuple[bytes, ...] | None = None

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.checkpoint.size

    def edge(self) -> tuple[bytes, ...]:
        """Return the partial tile of every level, proven; an empty one is b"". Raises LogError."""
        if self._edge is None:
            edge = tuple(
                self.file(str(level), self.size >> _BITS * (level + 1), width) if width else b""
                for level, width in _widths(self.size)
            )
            found = _Edge(self.size, edge).root()
            if found != self.checkpoint.root:
                raise LogError(
                    f"{CHECKPOINT}: the tiles lead to {found.hex()}, not to the root that it says,"
                    f" {self.checkpoint.root.hex()}"
                )
            self._edge = edge
        return self._edge

    def tile(self, level: int, index: int) -> bytes:
        """Return the hashes of a tile run together, proven; a partial one as far as it goes.

        Raises LogError if it is missing, or not what was signed.
        """
        if index == self.size >> _BITS * (level + 1):
            return self.edge()[level]
        if (level, index) in self._proven:
            self._proven.move_to_end((level, index))
            return self._proven[level, index]
        above = self.tile(level + 1, index // WIDTH)
        found = self.file(str(level), index, WIDTH)
        if merkle.top(found) != _hash_in(above, index % WIDTH):
            raise LogError(f"{tile_path(level, index)}: not the tile that was signed")
        self._proven[level, index] = found
        if len(self._proven) > _KEPT:
            self._proven.popitem(last=False)
        return found

    def node(self, level: int, index: int) -> Hash:
        """Return the hash over the 2^level entries from index·2^level on (`merkle.Node`)."""
        up, within = divmod(level, _BITS)
        tile, first = divmod(index << within, WIDTH)
        hashes = self.tile(up, tile)
        return merkle.top(hashes[first * HASH_SIZE : (first + (1 << within)) * HASH_SIZE])

    def leaf(self, index: int) -> Hash:
        """Return the hash of an entry. Raises LogError if there is none."""
        self._check_range(index, index + 1)
        return self.node(0, index)

    def entry(self, index: int) -> bytes:
        """Return an entry. Raises LogError if there is none, or it is not what was signed."""
        return next(self.entries(index, index + 1))

    def entries(self, first: int, end: int) -> Iterator[bytes]:
        """Yield the entries from index `first` up to, and without, `end`. Raises LogError."""
        self._check_range(first, end)
        for index in range(first // WIDTH, -(-end // WIDTH)):
            start = index * WIDTH
            yield from self.bundle(index)[max(first - start, 0) : end - start]

    def bundle(self, index: int) -> list[bytes]:
        """Return the up to 256 entries from 256·index on, proven. Raises LogError."""
        width = min(WIDTH, self.size - index * WIDTH)
        hashes = self.tile(0, index)
        path = entries_path(index, width)
        found: list[bytes] = []
        for at, entry in _entries_in(path, self.file("entries", index, width)):
            if len(found) == width or leaf_hash(entry) != _hash_in(hashes, len(found)):
                raise LogError(f"{path}: from byte {at} on, not the entries that were signed")
            found.append(entry)
        if len(found) < width:
            raise LogError(f"{path}: {len(found)} entries, not {width}")
        return found

    def inclusion(self, index: int) -> list[Hash]:
        """Return the inclusion proof of an entry. Raises ProofError if there is none, LogError."""
        return merkle.inclusion_proof(index, self.size, self.node)

    def consistency(self, old: int) -> list[Hash]:
        """Return the proof that the log began with its first `old` entries. As `inclusion`."""
        return merkle.consistency_proof(old, self.size, self.node)

    def file(self, kind: str, index: int, width: int) -> bytes:
        """Return a file as it is, unproven; of a tile, the length is right. Raises LogError.

        A log may drop a partial file when the full one is there: that begins with the same.
        """
        path = _path(kind, index, width)
        found = self._read(path)
        if found is None and width < WIDTH:
            found = self._read(_path(kind, index, WIDTH))
            if found is not None:
                found = _beginning(path, kind, found, width)
        if found is None:
            raise LogError(f"{path}: missing")
        if kind != "entries" and len(found) != width * HASH_SIZE:
            raise LogError(f"{path}: {len(found)} bytes, not {width * HASH_SIZE}")
        return found

    def _check_range(self, first: int, end: int) -> None:
        if not 0 <= first <= end <= self.size:
            raise LogError(f"entries {first} to {end} are not among the {self.size} of this log")


def _widths(size: int) -> Iterator[tuple[int, int]]:
    """Yield (level, width of the partial tile) of every level there is."""
    for level in range(-(-size.bit_length() // _BITS)):
        yield level, (size >> _BITS * level) % WIDTH


def _hash_in(hashes: bytes, at: int) -> Hash:
    return hashes[at * HASH_SIZE : (at + 1) * HASH_SIZE]


def _beginning(path: str, kind: str, full: bytes, width: int) -> bytes:
    """Return what a full file begins with: so many hashes or entries."""
    if kind != "entries":
        return full[: width * HASH_SIZE]
    return _bundle_of(entry for _, entry in islice(_entries_in(path, full), width))


# ── checking everything ─────────────────────────────────────────────────────────────────────


def _silent(_entries: int) -> None:
    """Show no progress."""


def fsck(
    read: Read,
    checkpoint: Checkpoint,
    progress: Callable[[int], None] = _silent,
    paths: Iterable[str] = (),
) -> None:
    """Check every tile and every entry of a log against its checkpoint.

    Args:
        read: hands out the files.
        checkpoint: the log's, its signatures checked.
        progress: told, time and again, how many entries hold.
        paths: what files there are under tile/, where they can be listed: each has to be one that
            this log would have, and to hold what it would.

    Raises: LogError. It begins with the path of the first bad file (from the root down), and says
        from which byte on it is bad if that can be told.
    """
    reader, size = Reader(read, checkpoint), checkpoint.size
    widths = dict(_widths(size))
    full = {level: size >> _BITS * (level + 1) for level in widths}
    try:
        reader.edge()
    except LogError:
        for level, width in widths.items():
            if width:
                _check_below(reader, level, full[level], width)
        raise
    for level in sorted(widths, reverse=True):
        for index in range(full[level]):
            try:
                reader.tile(level, index)
            except LogError:
                _check_below(reader, level, index, WIDTH)
                raise
            if level == 0:
                reader.bundle(index)
                progress((index + 1) * WIDTH)
    if size % WIDTH:
        reader.bundle(size // WIDTH)
    progress(size)
    for path in paths:
        _check_listed(reader, path)


def _check_below(reader: Reader, level: int, index: int, width: int) -> None:
    """Compare an unproven tile with what is under it: LogError names the first byte that is not."""
    path, tile = tile_path(level, index, width), reader.file(str(level), index, width)
    if level:
        below = range(index * WIDTH, index * WIDTH + width)
        found = [merkle.top(reader.file(str(level - 1), each, WIDTH)) for each in below]
    else:
        bundle = reader.file("entries", index, width)
        found = [leaf_hash(e) for _, e in _entries_in(entries_path(index, width), bundle)]
    hashes = b"".join(found)
    if tile != hashes:
        raise LogError(f"{path}: from byte {_first(tile, hashes)} on, not what is under it")


def _first(one: bytes, other: bytes) -> int:
    """Return the first byte in which they differ."""
    both = min(len(one), len(other))
    return next((at for at in range(both) if one[at] != other[at]), both)


def _check_listed(reader: Reader, path: str) -> None:
    """Check that a file belongs to this log; a full one was read already."""
    parsed = _parse_path(path)
    if parsed is None:
        raise LogError(f"{path}: not a file of a log")
    kind, index, width = parsed
    level = 0 if kind == "entries" else int(kind)
    if index * WIDTH + width > reader.size >> _BITS * level:
        raise LogError(f"{path}: beyond the {reader.size} entries of this log")
    if width == WIDTH:
        return
    if kind == "entries":
        expected = _bundle_of(reader.bundle(index)[:width])
    else:
        expected = reader.tile(level, index)[: width * HASH_SIZE]
    found = reader.file(kind, index, width)
    if found != expected:
        raise LogError(f"{path}: from byte {_first(found, expected)} on, not what was signed")


# ── writing ─────────────────────────────────────────────────────────────────────────────────


class TileStore(Protocol):
    """Where a log's files are, and what its writer keeps beside them. For one writer at a time.

    Whatever writes is durable when it returns. When it raises (LogError), nothing of it may have
    been done, or all of it, or of several files some: each is there whole or not at all.
    """

    def read(self, path: str) -> bytes | None:
        """Return what is in a public file, None if it is not there."""

    def committed(self) -> bytes | None:
        """Return the last committed checkpoint, None before the first."""

    def commit(self, old: bytes | None, new: bytes) -> None:
        """Replace the committed checkpoint if it is still `old`, and refuse otherwise."""

    def stage(self, name: str, files: Mapping[str, bytes]) -> None:
        """Keep files aside, as one."""

    def staged(self) -> list[str]:
        """Return the names of what is kept aside."""

    def read_staged(self, name: str) -> Mapping[str, bytes]:
        """Return files that were kept aside. Raises LogError if they are damaged."""

    def unstage(self, name: str) -> None:
        """Forget files that were kept aside."""

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write public files; one that is there with other content is not changed: LogError."""

    def publish(self, checkpoint: bytes, size: int) -> None:
        """Make this the public checkpoint, and `checkpoints/<size>` another copy of it."""

    def drop_partials(self, paths: Iterable[str]) -> None:
        """Remove the partial files of these full ones, where there are any."""


class Log:
    """A log's one writer: its entries become files and a signed checkpoint, or nothing happens.

    A batch is staged, committed, written and unstaged, in this order. The commit counts: before it,
    what is staged is dropped; after it, what is staged is written, however often it takes. Since
    the committed checkpoint is replaced only by one that continues it, there are never two of the
    same size with different roots, whatever fails.
    """

    def __init__(
        self,
        store: TileStore,
        origin: str,
        sign: Callable[[Checkpoint], bytes],
        opened: Callable[[bytes], Checkpoint],
    ) -> None:
        """Open the log in `store` and finish what was begun (`recover`).

        Args:
            store: its files; this is their only writer.
            origin: the log's name.
            sign: signs a checkpoint as the log, as a note.
            opened: checks such a note's signature and returns its checkpoint.

        Raises: LogError if the files are not what was committed; what `opened` raises.
        """
        self._store = store
        self._origin = origin
        self._sign = sign
        self._opened = opened
        self.recover()

    def recover(self) -> None:
        """Write what is committed and staged, drop what is staged only, read what is there."""
        self._unsure = True
        self.committed = self._store.committed()
        checkpoint = self._check(self.committed)
        for name in self._store.staged():
            if name == staged_name(checkpoint):
                self._store.write(self._store.read_staged(name))
            self._store.unstage(name)
        reader = Reader(self._store.read, checkpoint)
        full, width = divmod(checkpoint.size, WIDTH)
        bundle = _bundle_of(reader.bundle(full)) if width else b""
        self._adopt(_Edge(checkpoint.size, reader.edge(), bundle), checkpoint)

    def _check(self, note: bytes | None) -> Checkpoint:
        if note is None:
            return Checkpoint(self._origin, 0, EMPTY_ROOT)
        checkpoint = self._opened(note)
        if checkpoint.origin != self._origin:
            raise LogError(f"a checkpoint of {checkpoint.origin!r} in the log {self._origin!r}")
        return checkpoint

    def _adopt(self, edge: _Edge, checkpoint: Checkpoint) -> None:
        self._edge = edge
        self.checkpoint = checkpoint
        self._reader = Reader(self._store.read, checkpoint)
        self._unsure = False

    @property
    def size(self) -> int:
        """The number of entries that are committed."""
        return self.checkpoint.size

    @property
    def root(self) -> Hash:
        """The root over them."""
        return self.checkpoint.root

    def node(self, level: int, index: int) -> Hash:
        """Return the hash over the 2^level entries from index·2^level on (`merkle.Node`)."""
        return self._reader.node(level, index)

    def inclusion(self, index: int, size: int) -> list[Hash]:
        """Return the proof of an entry in the log's first `size`. Raises ProofError, LogError."""
        self._check_size(size)
        return merkle.inclusion_proof(index, size, self.node)

    def consistency(self, old: int, size: int) -> list[Hash]:
        """Return the proof that the first `old` entries begin the first `size`. As `inclusion`."""
        self._check_size(size)
        return merkle.consistency_proof(old, size, self.node)

    def _check_size(self, size: int) -> None:
        if size > self.size:
            raise ProofError(f"the log has {self.size} entries, not {size}")

    def integrate(
        self,
        first_index: int,
        entries: Iterable[bytes],
        progress: Callable[[int], None] = _silent,
    ) -> Checkpoint:
        """Add entries, the first of them at `first_index`, and return the committed checkpoint.

        What is there already is compared and not added again, so a call may be repeated. It may
        also be interrupted (by an error of `entries`, `progress` or the store): whole batches stay.

        Args:
            first_index: at most the log's size.
            entries: each at most 65,535 bytes; a generator is taken in batches.
            progress: told the log's size after each batch.

        Raises: LogError if an entry is not the one that is there, nothing was added then; or if a
            place would be left out, or the store fails. InputError if an entry is too long.
        """
        if self._unsure:
            self.recover()
        if not 0 <= first_index <= self.size:
            raise LogError(f"the log's next entry is {self.size}, not {first_index}")
        each = iter(entries)
        for index, entry in zip(range(first_index, self.size), each, strict=False):
            if leaf_hash(entry) != self._reader.leaf(index):
                raise LogError(f"another entry {index} is in the log already")
        while batch := _batch(each, self.size):
            self._add(batch)
            progress(self.size)
        return self.checkpoint

    def _add(self, batch: Sequence[bytes]) -> None:
        edge, files = self._edge.grown(batch)
        checkpoint = Checkpoint(self._origin, edge.size, edge.root())
        name = staged_name(checkpoint)
        self._unsure = True  # from here on, until it is certain what was done
        self._store.stage(name, files)
        note = self._sign(checkpoint)
        if self._check(note) != checkpoint:
            raise LogError("the signer signed another checkpoint")
        self._store.commit(self.committed, note)
        self.committed = note
        self._store.write(files)
        self._store.unstage(name)
        self._adopt(edge, checkpoint)

    def publish(self, note: bytes) -> None:
        """Make `note`, a checkpoint of this log with whatever cosignatures, the public one.

        Partial files whose full ones it covers are dropped then, as tlog-tiles allows. Raises
        LogError if this log was never so, or if it does not continue what is public already: its
        writer may have begun anew, with entries that are others by now.
        """
        if self._unsure:
            self.recover()
        checkpoint = self._check(note)
        size = checkpoint.size
        if size > self.size or merkle.root(size, self.node) != checkpoint.root:
            raise LogError(f"the first {size} entries have another root, or are not there")
        public = self._check(self._store.read(CHECKPOINT))
        if public.size > size:
            raise LogError(
                f"a checkpoint of {public.size} entries is public, and this is of {size}"
            )
        if merkle.root(public.size, self.node) != public.root:
            raise LogError(
                f"the {public.size} entries that are public lead to another root than the first "
                f"{public.size} here: to publish this would deny them"
            )
        self._store.publish(note, size)
        self._store.drop_partials(_full(public.size, size))


def staged_name(checkpoint: Checkpoint) -> str:
    """Return the name under which a batch is staged: of the one checkpoint that it leads to."""
    return f"{checkpoint.size}-{checkpoint.root.hex()}"


def _batch(entries: Iterator[bytes], size: int) -> list[bytes]:
    """Take entries up to the end of a tile of the second level, or so many bytes."""
    found: list[bytes] = []
    left = _BATCH_BYTES
    for entry in islice(entries, _BATCH - size % _BATCH):
        if len(entry) > MAX_ENTRY:
            raise InputError(f"an entry has {len(entry)} bytes, more than {MAX_ENTRY}")
        found.append(entry)
        left -= len(entry)
        if left <= 0:
            break
    return found


def _full(old: int, size: int) -> Iterator[str]:
    """Yield the paths of what became full between two sizes."""
    for level, _ in _widths(size):
        for index in range(old >> _BITS * (level + 1), size >> _BITS * (level + 1)):
            yield tile_path(level, index)
            if level == 0:
                yield entries_path(index)
