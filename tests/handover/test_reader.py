"""The reading gate: what is read is what was sealed, allowed, and without whom it has to drop."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import letterlock
from receiving import left, platform
from workspaces import NOW, PURPOSE

PAYLOAD = ("subject", "body")


class Clock:
    """A clock that a test sets."""

    def __init__(self, now=NOW):
        """Begin at a time."""
        self.now = now

    def __call__(self):
        """Tell it."""
        return self.now


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a platform, and a copy of its release at the recipient."""
    folder = tmp_path_factory.mktemp("reader")
    found = platform(folder / "w")
    found.deliver(folder / "inbox")
    yield found
    found.close()


@pytest.fixture
def copy(made, tmp_path):
    """Give a copy of what was delivered, its head fresh, no list yet."""
    shutil.copytree(made.folder.parent / "inbox", tmp_path / "inbox")
    found = tmp_path / "inbox" / "received" / made.release
    made.head(found)
    return found


def opened(copy: Path, **how):
    """Open a copy at the time of the tests."""
    return letterlock.open_release(copy, purpose=PURPOSE, **{"now": Clock()} | how)


def payload(rows):
    """Return the payload of rows, as the reader names its columns."""
    return [{name: row[f"payload.{name}"] for name in PAYLOAD} for row in rows]


def read(reader, **how):
    """Return every row that a reader gives."""
    return [row for batch in reader.batches(**how) for row in batch.to_pylist()]


def test_everything_is_read_while_nobody_is_dropped(copy):
    """In the order of the files, payload columns by their names."""
    assert read(opened(copy)) == payload(left(copy, []))
