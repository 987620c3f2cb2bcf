"""Items: registering where they come from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from letterlock.errors import InputError, UsageError, WorkspaceError
from letterlock.gate.workspace import Workspace, silent
from letterlock.release.build import Progress
from letterlock.sources import mailbox
from letterlock.sources.index import Indexed, Source, write_index
from letterlock.sources.mapping import Mapping
from letterlock.sources.table import Table

KEPT: Final = ".kept"
"""Beside the registered indexes: those that releases were made from, of tables since replaced."""


class Items(Workspace):
    """The verbs about sources of items."""

    def sources(self, names: Sequence[str] = ()) -> list[Source]:
        """Open the registered sources, or those named. Raises UsageError if there is none."""
        try:
            index = self.folder / "index"
            index.mkdir(exist_ok=True)  # a backup has none
            there = sorted(p.name for p in index.iterdir() if p.name[0] != ".")
        except OSError as error:
            raise WorkspaceError(f"{self.folder} has no index: {error}") from error
        if missing := sorted(set(names) - set(there)):
            raise UsageError(f"no source {missing[0]!r}; registered: {', '.join(there) or 'none'}")
        if not there:
            raise UsageError("no source is registered: letterlock source add NAME PATH")
        return [Source(name, self.folder / "index" / name) for name in sorted(set(names)) or there]

    def add_table(
        self, name: str, path: Path, mapping: Mapping, *, progress: Progress = silent
    ) -> Source:
        """Register a Parquet table in place, anew if the name is taken. Raises InputError."""
        with self._new_source(name) as folder:
            table = Table(path, mapping)
            write_index(table, folder, self.store, progress=lambda d, t: progress("indexing", d, t))
        return Source(name, self.folder / "index" / name)

    def add_mailbox(  # noqa: PLR0913 - what mail does not say of itself
        self,
        name: str,
        path: Path,
        *,
        data_class: str,
        lists: frozenset[str] = frozenset(),
        sensitive: bool = True,
        progress: Progress = silent,
    ) -> tuple[Source, mailbox.Conversion]:
        """Convert an mbox or maildir once, and register it.

        `sensitive`: not declared otherwise, so nothing in it is known not to be.
        """
        with self._new_source(name) as folder:
            items = folder / "items.parquet"
            conversion = mailbox.convert(
                path, items, lists=lists, progress=lambda done: progress("converting", done, 0)
            )
            table = Table(items, _mail_mapping(data_class, sensitive=sensitive))
            write_index(table, folder, self.store, progress=lambda d, t: progress("indexing", d, t))
        return Source(name, self.folder / "index" / name), conversion

    @contextmanager
    def _new_source(self, name: str) -> Iterator[Path]:
        """Give a folder to write a source's index in; it takes its place in one step."""
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise UsageError(f"source name {name!r}: use letters, digits, - and _")
        place = self.folder / "index" / name
        try:
            place.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{name}-") as made:
                new, old = Path(made) / "new", Path(made) / "old"
                new.mkdir()
                yield new
                if place.exists():
                    place.rename(self._keeping(name, place) or old)
                new.rename(place)
        except OSError as error:
            raise InputError(f"source {name} was not registered: {error}") from error

    def _keeping(self, name: str, place: Path) -> Path | None:
        """Return where an index is kept that a release was made from; None if none was.

        Who has to be dropped from the release is told by it, also when the table is another one.
        """
        made = {each for release in self.lineage().releases.values() for each in release.sources}
        try:
            fingerprint = Indexed(name, place).fingerprint
        except InputError:  # it tells nobody anything
            return None
        kept = self.kept_index(name, fingerprint)
        if (name, fingerprint) not in made or kept.exists():
            return None
        kept.parent.mkdir(exist_ok=True)
        return kept

    def index_of(self, name: str, fingerprint: str) -> Indexed | None:
        """Return the index of the very table that was once registered; None if it is gone.

        Another table may have its name by now. Raises InputError if an index cannot be read.
        """
        for folder in (self.folder / "index" / name, self.kept_index(name, fingerprint)):
            if folder.exists():
                found = Indexed(name, folder)
                if found.fingerprint == fingerprint:
                    return found
        return None

    def kept_index(self, name: str, fingerprint: str) -> Path:
        """Return where the index of a table is kept once another one has its name."""
        return self.folder / "index" / KEPT / f"{name}-{fingerprint}"


def _mail_mapping(data_class: str, *, sensitive: bool) -> Mapping:
    """Return how converted mail reads; unless declared otherwise its sensitivity is not known."""
    return Mapping(
        id="item",
        created_at="created_at",
        author=("authors",),
        recipients=("recipients",),
        members=(),
        payload=("subject", "body"),
        data_class=data_class,
        data_class_column="",
        sensitive="unknown" if sensitive else "none",
        sensitive_column="",
        quotes="column",
        quote_source="quoted",
        quote_class=data_class,
        thread="",
        name="",
    )
