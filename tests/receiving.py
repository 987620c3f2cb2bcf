"""Releases as their recipients hold them, with a platform behind them that publishes drop lists."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from letterlock.domain import Time
from letterlock.evidence.bundle import Logged
from letterlock.gate import Gate
from letterlock.gate.handover import key_body
from letterlock.handover import feed, logged
from letterlock.handover.feed import DropList, Head
from letterlock.inbox import Inbox
from letterlock.ledger import Draft
from letterlock.lineage import duties
from letterlock.record.memberset import MemberSet
from letterlock.release.manifest import MEMBERS, OUTGOING, PARTY_COLUMNS
from workspaces import NOW, PURPOSE, RECIPIENT, approved, workspace

SECOND = 1_000_000
DAY = 86_400 * SECOND


@dataclass
class Platform:
    """A workspace with one release, which `deliver` hands over and `drop` drops people from."""

    folder: Path
    release: str
    opened: list[Gate]

    @property
    def gate(self) -> Gate:
        """Return the open workspace."""
        return self.opened[0]

    def close(self) -> None:
        """Close the workspace."""
        self.gate.close()

    def deliver(self, inbox: Path, *, days: int = 7) -> Path:
        """Hand the release over to a new inbox; returns where it is there."""
        gate, made = self.gate, Inbox.create(inbox, RECIPIENT, simulated=True)
        shown = made.card()
        gate.register_recipient_key(shown, approved("recipient.keyed", **key_body(shown)))
        body = gate.approval_body(self.release, b"")
        gate.approve_release(self.release, approved("release.approved", **body), terms=b"")
        sent = gate.deliver(self.release, inbox.parent / "post", days=days)
        policy = (gate.folder / "log.policy").read_bytes()
        found = Inbox(inbox, now=NOW).receive(sent.package, sent.letter, policy)
        (found.folder / "feed").mkdir(exist_ok=True)
        return found.folder

    def logged(self, index: int) -> Logged:
        """Return an entry of the log with its proof."""
        (found,) = self.gate.logged(index)
        return found

    def head(
        self, copy: Path, drops: DropList | None = None, *, at: Time = NOW, **said: Any
    ) -> None:
        """Sign a head as of a time, and put it into the feed of a copy."""
        head = {
            "origin": self.gate.origin, "release": self.release,
            "number": drops.number if drops else 0, "digest": drops.digest if drops else "",
            "as_of": at // SECOND, "size": 1,
        }  # fmt: skip
        signers = [s for s in self.gate.log_signers() if s.verifier.kind == 1]
        data = feed.sign_head(Head(**head | said), signers)
        put(copy / "feed" / feed.HEAD, data)

    def drop(self, copy: Path, number: int, names: list[bytes], *, at: Time = NOW) -> DropList:
        """Publish a list of pseudonyms, with its head, in the feed of a copy."""
        drops = DropList(self.gate.origin, self.release, number, b"".join(sorted(names)))
        left = left_of(self.gate.folder / "releases" / self.release, names)
        body = {
            "release": self.release, "version": number, "list": drops.digest,
            "dropped": drops.count, "upto": self.gate.store.head().index, **left,
        }  # fmt: skip
        owed = duties.for_drops(self.gate.lineage(), self.release, number, at, {"withdrawn": 1}, ())
        index = self.gate.record_linked(*owed, Draft("drops.published", body))
        self.gate.publish_log()
        put(copy / "feed" / feed.list_name(number), drops.encode())
        put(copy / "feed" / feed.proof_name(number), logged.encode(self.logged(index)))
        self.head(copy, drops, at=at)
        return drops


def platform(folder: Path, rows: Any = None, **how: Any) -> Platform:
    """Make a platform with a release, its log published."""
    gate = workspace(folder, rows, **how)
    built = gate.build(PURPOSE, RECIPIENT)
    gate.publish_log()
    return Platform(folder, built.release, [gate])


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    """Make a platform, and a copy of its release at the recipient; the tests call it `made`."""
    folder = tmp_path_factory.mktemp("delivered")
    found = platform(folder / "w")
    found.deliver(folder / "inbox")
    yield found
    found.close()


@pytest.fixture
def copied(made, tmp_path):
    """Give a copy of what was delivered, its head fresh, no list yet."""
    shutil.copytree(made.folder.parent / "inbox", tmp_path / "inbox")
    found = tmp_path / "inbox" / "received" / made.release
    made.head(found)
    return found


def put(path: Path, data: bytes) -> None:
    """Write a file as a feed is written: whole, or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.rename(path)


# ── a slow reading ────────────────────────────────────────────────────────────────────────────


def names_of(folder: Path) -> list[bytes]:
    """Return the pseudonyms of a release, None for who was dropped."""
    names: list[bytes] = pq.read_table(folder / OUTGOING / MEMBERS).column(0).to_pylist()
    return names


def rows_of(folder: Path) -> list[tuple[dict[str, Any], set[bytes]]]:
    """Return each row of a release in its order, with the pseudonyms of everybody in it."""
    names = names_of(folder)
    record = json.loads((folder / OUTGOING / "manifest.json").read_bytes())
    paths = [entry["path"] for entry in record["files"] if entry["path"] != MEMBERS]
    rows = [row for p in paths for row in pq.ParquetFile(folder / OUTGOING / p).read().to_pylist()]
    return [(row, {names[n] for role in PARTY_COLUMNS for n in row[role]}) for row in rows]


def left(folder: Path, dropped: list[bytes]) -> list[dict[str, Any]]:
    """Return the rows that name nobody who is dropped, one after the other, in plain Python."""
    return [row for row, people in rows_of(folder) if not people & set(dropped)]


def left_of(folder: Path, dropped: list[bytes]) -> dict[str, Any]:
    """Return what is left of a release, as the log says it."""
    rows = [people for _, people in rows_of(folder) if not people & set(dropped)]
    names = MemberSet(b"".join(sorted(set().union(*rows))))
    return {
        "members": names.count, "depth": names.depth, "root": names.root.hex(), "rows": len(rows),
    }  # fmt: skip
