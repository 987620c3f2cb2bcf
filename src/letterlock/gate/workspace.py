"""A workspace, opened: its configuration, clock, ledger, and the one way to record in it."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from letterlock import approval
from letterlock.domain import Rulebook, Signature, State, Time, text_of
from letterlock.errors import UsageError, WorkspaceError
from letterlock.ledger import Draft, fold, fold_rules
from letterlock.store.sqlite import SqliteStore

_KEY: Final = "pseudonym.key"
_KEY_SIZE: Final = 32

_CONFIG: Final = "letterlock.toml"
_WRITING: Final = "ledger.lock"


def silent(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""


def _wall_clock() -> Time:
    return time.time_ns() // 1000


def signed_by(signatures: Iterable[Signature]) -> list[dict[str, str]]:
    """Write signatures as an event has them."""
    return [{"operator": s.operator, "signature": s.signature} for s in signatures]


class Workspace:
    """One workspace, opened."""

    def __init__(self, folder: Path, *, now: Time | None = None) -> None:
        """Open the workspace in `folder`; `now` sets the clock of a simulated one.

        Raises WorkspaceError if there is none, UsageError for a clock that may not be set.
        """
        self.folder = folder
        config = _read_config(folder)
        self.simulated: bool = config["simulated"]
        if now is not None and not self.simulated:
            raise UsageError("this workspace keeps real time: --now is for simulated ones")
        self.store = SqliteStore(folder / "ledger.db")
        self._now = now

    @classmethod
    def create(cls, folder: Path, *, simulated: bool = False, now: Time | None = None) -> Self:
        """Make a workspace in `folder`. Raises WorkspaceError if one is there already."""
        if now is not None and not simulated:
            raise UsageError("--now is for simulated workspaces: add --simulated, or leave it out")
        try:
            if (folder / _CONFIG).exists():
                raise WorkspaceError(f"{folder} is a workspace already")
            for name in ("index", "releases", "keys"):
                (folder / name).mkdir(parents=True, exist_ok=True)
            key = folder / "keys" / _KEY
            with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(_KEY_SIZE))
            SqliteStore(folder / "ledger.db", create=True).close()
            text = f"format = 1\nsimulated = {str(simulated).lower()}\n"
            (folder / _CONFIG).write_text(text)
        except OSError as error:
            raise WorkspaceError(f"no workspace could be made in {folder}: {error}") from error
        return cls(folder, now=now)

    def close(self) -> None:
        """Close the ledger."""
        self.store.close()

    def now(self) -> Time:
        """Return the time: real, or in a simulated workspace the one set, else the ledger's own."""
        if not self.simulated:
            return _wall_clock()
        head = self.store.head().time
        return head if self._now is None else max(self._now, head)

    def pseudonym_key(self) -> bytes:
        """Return the secret key of pseudonyms. Raises OSError, WorkspaceError if it was changed."""
        path = self.folder / "keys" / _KEY
        key = path.read_bytes()
        if len(key) != _KEY_SIZE:
            raise WorkspaceError(f"{path} is not the key it was")
        return key

    # ── recording ───────────────────────────────────────────────────────────────────────────

    def record(self, drafts: Iterable[Draft]) -> int:
        """Record events as they are, all or none; returns the ledger's new head."""
        with self._writing():
            return self.store.append(drafts, now=self.now()).index

    def record_approved(
        self, kind: str, body: Mapping[str, Any], signatures: Iterable[Signature]
    ) -> None:
        """Record an event about everyone that two operators have signed. Raises ApprovalError."""
        signatures = list(signatures)
        approval.check(approval.message(kind, body), signatures, self.rules().operators)
        self.record([Draft(kind, {**body, "signatures": signed_by(signatures)})])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Let one process record at a time: what is read and the time it is still hold then."""
        try:
            lock = (self.folder / _WRITING).open("w")
        except OSError as error:
            raise WorkspaceError(f"nothing can be recorded here: {error}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # ── looking ─────────────────────────────────────────────────────────────────────────────

    def rules(self, as_of: Time | None = None) -> Rulebook:
        """Return what holds for everyone as of `as_of` (default: now)."""
        head = self.store.head()
        return fold_rules(self.store.events(upto=head.index), self._as_of(as_of))

    def _as_of(self, as_of: Time | None) -> Time:
        now = max(self.now(), self.store.head().time)
        if as_of is not None and as_of > now:
            raise UsageError(f"as of {text_of(as_of)} lies in the future")
        return now if as_of is None else as_of

    def state(self, subjects: Sequence[str], as_of: Time | None = None) -> State:
        """Return the state of a few subjects, folded event by event."""
        head = self.store.head()
        events = self.store.events(upto=head.index, subjects=subjects)
        return fold(events, self._as_of(as_of))


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = tomllib.loads((folder / _CONFIG).read_text())
    except FileNotFoundError as error:
        raise WorkspaceError(f"{folder} is no workspace: run `letterlock init` there") from error
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{folder / _CONFIG} cannot be read: {error}") from error
    if config.get("format") != 1 or not isinstance(config.get("simulated"), bool):
        raise WorkspaceError(f"{folder / _CONFIG} is not of a format this program knows")
    if set(config) - {"format", "simulated"}:
        unknown = ", ".join(sorted(set(config) - {"format", "simulated"}))
        raise WorkspaceError(f"{folder / _CONFIG}: unknown setting {unknown}")
    return config
