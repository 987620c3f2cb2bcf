"""A workspace, opened: its configuration, clock, ledger, and the one way to record in it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import secrets
import time
import tomllib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from letterlock import approval
from letterlock.domain import Rulebook, Signature, State, Time, sha256, text_of
from letterlock.errors import InputError, LedgerError, UsageError, WorkspaceError, reason
from letterlock.evidence import entries
from letterlock.ledger import Draft, Event, fold, fold_rules
from letterlock.lineage.fold import fold as fold_lineage
from letterlock.lineage.fold import take
from letterlock.lineage.graph import Lineage
from letterlock.record import checkpoint, merkle, note, tlog
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.vrf import SecretKey
from letterlock.store import files
from letterlock.store.keys import (
    ED25519,
    MLDSA44,
    SIZE,
    VRF,
    Ask,
    Key,
    KeyFolder,
    new,
    passphrase_from_environment,
    public_of,
    write_secret,
)
from letterlock.store.sql import SqlStore
from letterlock.store.sqlite import SqliteStore
from letterlock.store.tiles import LogFolders
from letterlock.store.tokens import SUFFIX, Tokens

_BROWSER_KEY: Final = "browser.key"
_CONFIG: Final = "letterlock.toml"
_WRITING: Final = "ledger.lock"
POLICY: Final = "log.policy"
_FORMAT: Final = 2
_LEDGER: Final = "ledger.db"
_RESTORE: Final = "Restore the newest backup of the ledger (docs/keys.md, Backup and restore)"
# The name of the log stands in signed notes and policy files: no space, no plus (signed-note).
_ORIGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~:/-]{0,254}")


def silent(_what: str, _done: int, _total: int) -> None:
    """Show no progress."""


def wall_clock() -> Time:
    """Return the time of the machine."""
    return time.time_ns() // 1000


def signed_by(signatures: Iterable[Signature]) -> list[dict[str, str]]:
    """Write signatures as an event has them."""
    return [{"operator": s.operator, "signature": s.signature} for s in signatures]


@dataclass(frozen=True, slots=True)
class Introduced:
    """A key.introduced event: `keys` are the vkeys of a log, or the one public half of a VRF key.

    `lost`: the keys before it were lost, so they could not sign for it.
    """

    index: int
    time: Time
    use: str
    keys: tuple[str, ...]
    lost: bool = False
    destroyed: bool = False


class Workspace:
    """One workspace, opened."""

    def __init__(
        self, folder: Path, *, now: Time | None = None, passphrase: Ask | None = None
    ) -> None:
        """Open the workspace in `folder`; `now` sets the clock of a simulated one.

        `passphrase` is called if a secret key is needed, once (default: the environment's).
        Raises WorkspaceError if there is none, UsageError for a clock that may not be set.
        """
        self.folder = folder
        config = _read_config(folder)
        self.simulated: bool = config["simulated"]
        self.origin: str = config["origin"]
        self.signer: tuple[str, ...] = tuple(config.get("signer", ()))
        if now is not None and not self.simulated:
            raise UsageError("this workspace keeps real time: --now is for simulated ones")
        self.keys = _key_folder(folder, self.origin, passphrase, simulated=self.simulated)
        self.log_files = LogFolders(folder / "log", folder / "sequencer")
        # Before the ledger's head is read: both may move on in between.
        logged = [self.published(), self._checkpoint(self.log_files.committed())]
        self.store = _store(folder, config.get("ledger"))
        self._now = now
        self._keys_known: tuple[int, list[Introduced]] = (-1, [])  # as of which event
        self._lineage_known = (-1, Lineage())  # as of which event
        try:
            for each in logged:
                if each is not None:
                    self._check_against(each)
        except BaseException:
            self.store.close()
            raise

    @classmethod
    def create(  # noqa: PLR0913 - what it is made with, each with a default
        cls,
        folder: Path,
        *,
        simulated: bool = False,
        now: Time | None = None,
        origin: str | None = None,
        ledger: str | None = None,
        passphrase: Ask | None = None,
    ) -> Self:
        """Make a workspace in `folder`: its keys, and a ledger that begins with introducing them.

        `origin` names its public log for ever (default: a name that says it is not published).
        `ledger` is the address of a PostgreSQL database (default: ledger.db, in the folder).
        `passphrase` seals the keys of a real one (default: the environment's).
        Raises WorkspaceError if one is there already, UsageError for what cannot be asked.
        """
        if now is not None and not simulated:
            raise UsageError("--now is for simulated workspaces: add --simulated, or leave it out")
        if origin is not None and (not _ORIGIN.fullmatch(origin) or "//" in origin):
            raise UsageError(
                f"origin {origin!r}: write the log's address without https://, such as "
                "log.example.org/letterlock; at most 255 of a-z, 0-9 and . _ ~ : / -"
            )
        try:
            _refuse_what_is_left(folder)
            log = secrets.token_bytes(SIZE)
            if origin is None:
                public = bytes.fromhex(public_of(VRF, log, ""))
                origin = f"unpublished.invalid/{hashlib.sha256(public).hexdigest()[:12]}"
            keys = _key_folder(folder, origin, passphrase, simulated=simulated)
            keys.unlock()  # nothing is made without a passphrase
            if ledger is not None:  # looked at before anything is made here
                _store(folder, ledger, create=True).close()
            made = [Key(ED25519, public_of(ED25519, log, origin), log), new(MLDSA44, origin)]
            vrf = new(VRF, origin)
            _make_folders(folder)
            write_secret(folder / "keys" / _BROWSER_KEY, secrets.token_bytes(SIZE))
            for key in (*made, vrf):
                keys.write(key)
            for policy in (folder / POLICY, folder / "log" / "policy"):
                files.write(policy, policy_text([key.public for key in made]))
            with closing(_store(folder, ledger, create=True)) as store:
                first = [introduction("log", [key.public for key in made])]
                first += [introduction(VRF, [vrf.public])]
                clock = store.head().time if now is None else now
                store.append(first, now=clock if simulated else wall_clock(), expect=-1)
            config = config_text(origin, (), simulated=simulated, ledger=ledger)
            files.write(folder / _CONFIG, config)
        except OSError as error:
            raise WorkspaceError(f"no workspace could be made in {folder}: {error}") from error
        opened = cls(folder, now=now, passphrase=passphrase)
        opened.keys = keys  # they are open already
        return opened

    def close(self) -> None:
        """Close the ledger."""
        self.store.close()

    def now(self) -> Time:
        """Return the time: real, or in a simulated workspace the one set, else the ledger's own."""
        if not self.simulated:
            return wall_clock()
        head = self.store.head().time
        return head if self._now is None else max(self._now, head)

    # ── keys ────────────────────────────────────────────────────────────────────────────────

    def browser_key(self) -> bytes:
        """Return the key that hashes browsers' ids: no passphrase may delay a no by Sec-GPC.

        Raises WorkspaceError if it is lost or was changed.
        """
        path = self.folder / "keys" / _BROWSER_KEY
        try:
            key = path.read_bytes()
        except OSError as error:
            raise WorkspaceError(f"{path} cannot be read: {error.strerror}") from error
        if len(key) != SIZE:
            raise WorkspaceError(f"{path} is not the key it was")
        return key

    def introduced(self, use: str | None = None) -> list[Introduced]:
        """Return the keys that the ledger introduces, oldest first."""
        head = self.store.head().index
        if self._keys_known[0] != head:
            events = [e for e in self.store.events(upto=head) if e.kind.startswith("key.")]
            gone = {(e.body or {}).get("key") for e in events if e.kind == "key.destroyed"}
            found = [_introduced(e, gone) for e in events if e.kind == "key.introduced"]
            self._keys_known = (head, found)
        return [each for each in self._keys_known[1] if use in {None, each.use}]

    def published(self) -> Checkpoint | None:
        """Return the checkpoint that the public log's folder shows; None before the first."""
        return self._checkpoint(self.log_files.read(tlog.CHECKPOINT))

    def _checkpoint(self, data: bytes | None) -> Checkpoint | None:
        """Read one of our own checkpoints, as its writer left it. Raises WorkspaceError."""
        if data is None:
            return None
        try:
            found = checkpoint.parse(note.parse(data).text)
        except InputError as error:
            raise WorkspaceError(
                f"a checkpoint of this workspace is none any more ({error}): restore log/ and "
                "sequencer/ from a backup"
            ) from error
        if found.origin != self.origin:
            raise WorkspaceError(f"the log in this workspace is another one, {found.origin!r}")
        return found

    def _check_against(self, logged: Checkpoint) -> None:
        """Refuse a ledger that is older than its log, or not the one that was logged.

        Whatever is recorded once a ledger was rolled back differs from what was logged at that
        place, so the last logged place is looked at, and none before it. If the log's own file of
        that place is gone, `letterlock log fsck` is who says so.
        """
        head = self.store.head().index
        if logged.size > head + 1:
            raise WorkspaceError(
                f"the ledger has {head + 1} events and its log {logged.size}: it is older than its "
                f"log, and to go on with it would deny what was published. {_RESTORE}"
            )
        if logged.size == 0 or (leaf := self._logged_leaf(logged.size)) is None:
            return
        rows = self.store.entries(logged.size - 1, upto=logged.size - 1)
        (written,) = entries.entries_of(rows)
        if merkle.leaf_hash(written.entry) != leaf:
            raise WorkspaceError(
                f"event {logged.size - 1} of the ledger is not what its log shows there: after an "
                f"older copy was restored, something else was recorded. {_RESTORE}"
            )

    def _logged_leaf(self, size: int) -> bytes | None:
        """Return the leaf hash of the last of `size` entries, as the log's files have it."""
        tile, place = divmod(size - 1, tlog.WIDTH)
        for width in dict.fromkeys((place + 1, tlog.WIDTH)):
            if hashes := self.log_files.read(tlog.tile_path(0, tile, width)):
                return hashes[merkle.HASH_SIZE * place :][: merkle.HASH_SIZE]
        return None

    def vrf_key(self) -> tuple[int, bytes]:
        """Return the key of pseudonyms: the index of the event that introduced it, and the secret.

        Raises WorkspaceError if it is lost or does not open, UsageError without a passphrase.
        """
        newest = self.introduced(VRF)[-1]
        return newest.index, self.keys.secret(VRF, newest.keys[0])

    def vrf_secret(self, key: int) -> SecretKey:
        """Return the secret of pseudonyms that event `key` introduced.

        Raises WorkspaceError if it is lost, destroyed or does not open, UsageError for no such key.
        """
        return SecretKey(self.keys.secret(VRF, self._vrf_introduced(key, usable=True).keys[0]))

    def tokens(self, key: int) -> Tokens:
        """Return the tokens under the VRF key that event `key` introduced. As `vrf_secret`."""
        return Tokens(self.tokens_path(key), self.vrf_secret(key), self.origin)

    def tokens_path(self, key: int) -> Path:
        """Return where these tokens are kept, if any are."""
        return self.keys.path(VRF, self._vrf_introduced(key).keys[0]).with_suffix(SUFFIX)

    def _vrf_introduced(self, key: int, *, usable: bool = False) -> Introduced:
        for each in self.introduced(VRF):
            if each.index == key:
                if usable and each.destroyed:
                    raise WorkspaceError(
                        f"the key of pseudonyms that event {key} introduced was destroyed: nothing "
                        "can be shown any more of who is in what was made with it"
                    )
                return each
        raise UsageError(f"event {key} introduces no key of pseudonyms: see `letterlock key list`")

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

    def record_linked(self, *drafts: Draft) -> int:
        """Record events of what left the gate, all or none, once they fold; returns the new head.

        Raises InputError for one that cannot follow what is recorded.
        """
        with self._writing():
            return self._append_linked(drafts)

    def _append_linked(self, drafts: Sequence[Draft]) -> int:
        """Do so for a caller that holds the lock."""
        head = self.store.head()
        # As the store does it: recorded time never goes back, whatever the clock does.
        lineage, now = self.lineage(), max(self.now(), head.time)
        self._lineage_known = (-1, Lineage())  # what is folded ahead of the ledger must not stay
        for n, draft in enumerate(drafts, 1):
            take(lineage, Event(head.index + n, now, draft.kind, draft.body))
        recorded = self.store.append(drafts, now=now, expect=head.index)
        if recorded.time == now:
            self._lineage_known = (recorded.index, lineage)
        return recorded.index

    def publish_blob(self, data: bytes) -> None:
        """Show beside the log, by its SHA-256, what an event is about to name. Raises OSError."""
        path = self.folder / "log" / "blobs" / sha256(data)
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            files.write(path, data)

    @contextmanager
    def _building(self) -> Iterator[None]:
        """Let one build run at a time, and no key be destroyed under it. WorkspaceError."""
        releases = self.folder / "releases"
        releases.mkdir(exist_ok=True)  # a backup has none
        with (releases / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise WorkspaceError(
                    "another build is running in this workspace: wait for it to end"
                ) from error
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Let one process record at a time: what is read and the time it is still hold then."""
        try:
            lock = (self.folder / _WRITING).open("w")
        except OSError as error:
            raise WorkspaceError(f"nothing can be recorded here: {error}") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self.store.alone():  # on other machines, too
                yield

    # ── looking ─────────────────────────────────────────────────────────────────────────────

    def rules(self, as_of: Time | None = None) -> Rulebook:
        """Return what holds for everyone as of `as_of` (default: now)."""
        head = self.store.head()
        return fold_rules(self.store.events(upto=head.index, rules=True), self._as_of(as_of))

    def _as_of(self, as_of: Time | None) -> Time:
        now = max(self.now(), self.store.head().time)
        if as_of is not None and as_of > now:
            raise UsageError(f"as of {text_of(as_of)} lies in the future")
        return now if as_of is None else as_of

    def lineage(self, upto: int | None = None) -> Lineage:
        """Return where everything went that left the gate, as of event `upto` (default: the last).

        What is returned of the last is kept and folded onward: ask anew after recording something.
        Raises LedgerError.
        """
        if upto is not None:
            return fold_lineage(self.store.events(upto=upto))
        head, (seen, known) = self.store.head().index, self._lineage_known
        if seen < head:
            self._lineage_known = (-1, Lineage())  # what is folded halfway must not stay
            new = (each for each in self.store.events(upto=head) if each.index > seen)
            self._lineage_known = (head, fold_lineage(new, known))
        return self._lineage_known[1]

    def _about(self, subject: str) -> list[Event]:
        """Return the events about somebody."""
        with suppress(UnicodeEncodeError):  # lone surrogates: nobody's account id
            upto = self.store.head().index
            found = self.store.events(upto=upto, subjects=[subject], rules=True)
            return [event for event in found if event.subject == subject]
        return []

    def state(self, subjects: Sequence[str], as_of: Time | None = None) -> State:
        """Return the state of a few subjects, folded event by event."""
        head = self.store.head()
        events = self.store.events(upto=head.index, subjects=subjects, rules=True)
        return fold(events, self._as_of(as_of))


def introduction(use: str, keys: Sequence[str], *, lost: bool = False) -> Draft:
    """Return the event that introduces keys: `lost` says that those before could not sign it."""
    body: dict[str, Any] = {"use": use}
    body |= {"key": keys[0]} if use == VRF else {"keys": list(keys)}
    return Draft("key.introduced", body | ({"lost": True} if lost else {}))


def _introduced(event: Event, destroyed: Container[object]) -> Introduced:
    body = event.body or {}
    use, lost = body.get("use"), body.get("lost", False)
    said: object = [body.get("key")] if use == VRF else body.get("keys")
    keys = [key for key in said if isinstance(key, str)] if isinstance(said, list) else []
    if use not in {"log", VRF} or not keys or keys != said or not isinstance(lost, bool):
        raise LedgerError(f"event {event.index} introduces no key that this program knows")
    return Introduced(event.index, event.time, use, tuple(keys), lost, event.index in destroyed)


def policy_text(vkeys: Iterable[str]) -> bytes:
    """Write the policy of a log that no witness watches yet (C2SP tlog-policy)."""
    return "".join([*(f"log {vkey}\n" for vkey in vkeys), "quorum none\n"]).encode()


def config_text(
    origin: str, signer: Sequence[str], *, simulated: bool, ledger: str | None = None
) -> bytes:
    """Write letterlock.toml."""
    lines = [f"format = {_FORMAT}", f"simulated = {str(simulated).lower()}"]
    lines += [f"origin = {json.dumps(origin)}"]
    lines += [f"ledger = {json.dumps(ledger)}"] if ledger is not None else []
    lines += [f"signer = {json.dumps(list(signer))}"] if signer else []
    return "\n".join([*lines, ""]).encode()


def _refuse_what_is_left(folder: Path) -> None:
    """Refuse to make a workspace where one is, or where one was."""
    if (folder / _CONFIG).exists():
        raise WorkspaceError(f"{folder} is a workspace already")
    for part in ("keys", _LEDGER, POLICY):
        if (folder / part).exists():
            raise WorkspaceError(
                f"{folder / part} is left of a workspace whose {_CONFIG} is gone, or that was "
                "never finished: restore it from a backup, or choose a new folder"
            )


def _store(folder: Path, ledger: str | None, *, create: bool = False) -> SqlStore:
    """Open (or create) the ledger at a PostgreSQL address, or in the folder. As the stores raise.

    Raises UsageError if what reaches PostgreSQL is not installed.
    """
    if ledger is None:
        return SqliteStore(folder / _LEDGER, create=create)
    try:
        from letterlock.store.postgres import PostgresStore  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            "a ledger in PostgreSQL needs psycopg: pip install 'letterlock[postgresql]'"
        ) from error
    return PostgresStore(ledger, create=create)


def _make_folders(folder: Path) -> None:
    (folder / "log").mkdir(parents=True, exist_ok=True)
    for name in ("index", "releases"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    (folder / "keys").mkdir(mode=0o700)


def _key_folder(folder: Path, origin: str, passphrase: Ask | None, *, simulated: bool) -> KeyFolder:
    return KeyFolder(
        folder / "keys", origin=origin, simulated=simulated, ask=passphrase or _from_environment
    )


def _from_environment() -> str:
    said = passphrase_from_environment()
    if said is None:
        raise UsageError(
            "the keys of this workspace are sealed: set LETTERLOCK_PASSPHRASE, or "
            "LETTERLOCK_PASSPHRASE_FILE to a file with the passphrase"
        )
    return said


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = tomllib.loads((folder / _CONFIG).read_text())
    except FileNotFoundError as error:
        raise WorkspaceError(f"{folder} is no workspace: run `letterlock init` there") from error
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"{folder / _CONFIG} cannot be read: {reason(error)}") from error
    if config.get("format") == 1:
        raise WorkspaceError(
            f"{folder} is a workspace of format 1, from before there was a public log: make a new "
            "one with `letterlock init`, and load into it what was loaded here"
        )
    well = (
        config.get("format") == _FORMAT
        and isinstance(config.get("simulated"), bool)
        and isinstance(config.get("origin"), str)
        and _ORIGIN.fullmatch(config["origin"])
        and _is_command(config.get("signer", ["none"]))
        and isinstance(config.get("ledger", ""), str)
    )
    if not well:
        raise WorkspaceError(f"{folder / _CONFIG} is not of a format this program knows")
    others = set(config) - {"format", "simulated", "origin", "signer", "ledger"}
    if unknown := ", ".join(sorted(others)):
        raise WorkspaceError(f"{folder / _CONFIG}: unknown setting {unknown}")
    return config


def _is_command(said: object) -> bool:
    return isinstance(said, list) and bool(said) and all(isinstance(s, str) and s for s in said)
