"""Policies: whose signatures make a checkpoint one to rely on. Spec: docs/spec/notes.md §5.

The form is C2SP's tlog-policy: the keys of logs and witnesses, groups of witnesses, and the quorum.
Names in it are octets and mean nothing outside of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from letterlock.errors import InputError, ProofError, SignatureError
from letterlock.record import checkpoint as checkpoints
from letterlock.record import note as notes
from letterlock.record.checkpoint import Checkpoint, Seen
from letterlock.record.merkle import EMPTY_ROOT
from letterlock.record.note import Kind, Verifier

MAX_SIZE: Final = 1_000_000
"""The bytes that a policy may have."""
MAX_LINES: Final = notes.MAX_SIGNATURES // 2
"""How many logs, witnesses and groups, each, a policy may have: all its keys can sign one note."""
MAX_NAME: Final = 255
"""The bytes that the name of a witness or group may have."""
AHEAD: Final = 300
"""Seconds by which a clock may be ahead of ours."""

_NONE: Final = b"none"
_NO_TEXT: Final = re.compile(rb"[^\t\n -~\x80-\xff]")
_WORD: Final = re.compile(rb"[!-~\x80-\xff]+")
_LOG_KINDS: Final = frozenset({Kind.ED25519, Kind.MLDSA44})
_WITNESS_KINDS: Final = frozenset({Kind.COSIGNATURE, Kind.MLDSA44})


@dataclass(frozen=True, slots=True)
class LogKey:
    """A key of a log, whose name is the log's origin, and where the log is."""

    verifier: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness under the name that it has in this policy, and where to ask it."""

    name: bytes
    verifier: Verifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Members of which `needed` have to have seen a checkpoint: then the group has."""

    name: bytes
    needed: int
    members: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Trusted:
    """A checkpoint that a policy accepts, and by whose signatures.

    Names of witnesses are given as text to show; what cannot be shown is escaped.
    """

    checkpoint: Checkpoint
    logs: tuple[Seen, ...]
    witnesses: tuple[tuple[str, Seen], ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Logs, witnesses, groups (each of witnesses and groups before it), and the quorum.

    `quorum` names a witness or a group; None asks for no witness.
    """

    logs: tuple[LogKey, ...]
    witnesses: tuple[Witness, ...] = ()
    groups: tuple[Group, ...] = ()
    quorum: bytes | None = None

    def __post_init__(self) -> None:
        """Refuse a policy that contradicts itself. Raises InputError."""
        _check_count(self.logs, self.witnesses, self.groups)
        self._check_keys()
        self._check_names()

    def _keys(self) -> list[Verifier]:
        lines: tuple[LogKey | Witness, ...] = (*self.logs, *self.witnesses)
        return [each.verifier for each in lines]

    def _check_keys(self) -> None:
        # A log that is its own witness would be seen by nobody else, so both lists count as one.
        keys = self._keys()
        if len({key.public for key in keys}) < len(keys):
            raise InputError("a policy names each key once")
        if len({(key.name, key.key_id) for key in keys}) < len(keys):
            raise InputError("two keys of a policy have the same name and key id")
        if any(each.verifier.kind not in _LOG_KINDS for each in self.logs):
            raise InputError("the key of a log is of type 01 or 06")
        if any(each.verifier.kind not in _WITNESS_KINDS for each in self.witnesses):
            raise InputError("the key of a witness is of type 04 or 06")

    def _check_names(self) -> None:
        defined: set[bytes] = set()
        free: set[bytes] = set()  # defined, and a member of no group yet
        lines: tuple[Witness | Group, ...] = (*self.witnesses, *self.groups)
        for each in lines:
            if isinstance(each, Group):
                if len(set(each.members)) < len(each.members) or not free.issuperset(each.members):
                    raise InputError(
                        f"{_shown(each.name)}: a member is a witness or group named before it, "
                        "and of one group, once"
                    )
                if not 1 <= each.needed <= len(each.members):
                    raise InputError(
                        f"{_shown(each.name)}: it needs 1 to {len(each.members)} of its members"
                    )
                free.difference_update(each.members)
            if each.name in defined or each.name == _NONE:
                raise InputError(f"{_shown(each.name)} is the name of something else")
            if len(each.name) > MAX_NAME or not _WORD.fullmatch(each.name):
                raise InputError(f"{_shown(each.name)} is no name: 1 to {MAX_NAME} bytes, no space")
            defined.add(each.name)
            free.add(each.name)
        if self.quorum is not None and self.quorum not in defined:
            raise InputError(f"the quorum {_shown(self.quorum)} is no witness or group")

    def encode(self) -> bytes:
        """Write the policy down. Raises InputError if an URL is none that can be."""
        lines = [
            *([b"log", each.verifier.vkey.encode(), *_url(each.url)] for each in self.logs),
            *(
                [b"witness", each.name, each.verifier.vkey.encode(), *_url(each.url)]
                for each in self.witnesses
            ),
            *(
                [b"group", each.name, str(each.needed).encode(), *each.members]
                for each in self.groups
            ),
            [b"quorum", self.quorum or _NONE],
        ]
        data = b"".join(b" ".join(words) + b"\n" for words in lines)
        if parse(data) != self:
            raise InputError("this policy cannot be written down")
        return data

    def check(self, note: bytes, *, now: int | None = None) -> Trusted:
        """Return the checkpoint in a signed note, and who of this policy signed and saw it.

        Args:
            note: the signed note.
            now: seconds since 1970-01-01 UTC. Signatures from more than AHEAD later do not count.

        Raises: InputError if it is no checkpoint; SignatureError if a line by one of the keys does
        not hold, the log did not sign, or the quorum did not see it; ProofError if it is of an
        empty log, and not with the root of nothing.
        """
        checkpoint, signed = checkpoints.opened(notes.parse(note), self._keys())
        if not checkpoint.size and checkpoint.root != EMPTY_ROOT:
            raise ProofError(f"{checkpoint.origin!r} is empty, and has a root of something")
        end = None if now is None else now + AHEAD
        seen = {
            each.verifier: each
            for each in signed
            if end is None or each.seconds is None or each.seconds <= end
        }
        late = ", ".join(repr(each.verifier.name) for each in signed if each.verifier not in seen)
        why = f" (signed in what is the future by our clock: {late})" if late else ""
        logs = tuple(
            seen[each.verifier]
            for each in self.logs
            if each.verifier in seen and each.verifier.name == checkpoint.origin
        )
        if not logs:
            raise SignatureError(
                f"no key of the log {checkpoint.origin!r} that the policy names signed this{why}"
            )
        checkpoints.check_extensions(checkpoint, logs)
        cosigned = {
            each.name: seen[each.verifier] for each in self.witnesses if each.verifier in seen
        }
        if not self._reached(set(cosigned)):
            who = ", ".join(map(_shown, cosigned)) or "none of them"
            raise SignatureError(
                f"the quorum {_shown(self.quorum or _NONE)} did not see this: "
                f"of the witnesses, {who} did{why}"
            )
        return Trusted(checkpoint, logs, tuple((_shown(k), v) for k, v in cosigned.items()))

    def _reached(self, seen: set[bytes]) -> bool:
        for group in self.groups:
            if len(seen.intersection(group.members)) >= group.needed:
                seen.add(group.name)
        return self.quorum is None or self.quorum in seen


def parse(data: bytes) -> Policy:
    """Read a policy. Raises InputError, which names the line."""
    if len(data) > MAX_SIZE:
        raise InputError(f"a policy has at most {MAX_SIZE} bytes, not {len(data)}")
    if _NO_TEXT.search(data):
        raise InputError("a policy has no control characters but the tab and the newline")
    *lines, rest = data.split(b"\n")
    if rest:
        raise InputError("the last line of a policy ends in a newline, too")
    draft = _Draft()
    for at, line in enumerate(lines, start=1):
        words = line.split()
        if words and not words[0].startswith(b"#"):
            try:
                draft.take(words)
            except InputError as error:
                raise InputError(f"line {at} of the policy: {error}") from error
    return draft.policy()


class _Draft:
    """What the lines read so far define."""

    def __init__(self) -> None:
        self.logs: list[LogKey] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self.quorums: list[bytes] = []

    def take(self, words: list[bytes]) -> None:
        match words:
            case [b"log", vkey] | [b"log", vkey, _]:
                self.logs.append(LogKey(_vkey(vkey), _address(words[2:])))
            case [b"witness", name, vkey] | [b"witness", name, vkey, _]:
                self.witnesses.append(Witness(name, _vkey(vkey), _address(words[3:])))
            case [b"group", name, needed, *members]:
                self.check_named(members)
                self.groups.append(Group(name, _needed(needed, len(members)), tuple(members)))
            case [b"quorum", name]:
                self.check_named([] if name == _NONE else [name])
                self.quorums.append(name)
            case _:
                raise InputError("this is no log, witness, group or quorum")
        _check_count(self.logs, self.witnesses, self.groups)

    def check_named(self, names: list[bytes]) -> None:
        named: tuple[Witness | Group, ...] = (*self.witnesses, *self.groups)
        unknown = set(names).difference(each.name for each in named)
        if unknown:
            raise InputError(f"{_shown(min(unknown))} is not named before")

    def policy(self) -> Policy:
        if len(self.quorums) != 1:
            raise InputError(f"a policy has one quorum, not {len(self.quorums)}")
        quorum = None if self.quorums == [_NONE] else self.quorums[0]
        return Policy(tuple(self.logs), tuple(self.witnesses), tuple(self.groups), quorum)


def _check_count(*lines: Sequence[LogKey | Witness | Group]) -> None:
    if max(map(len, lines)) > MAX_LINES:
        raise InputError(f"a policy has at most {MAX_LINES} logs, witnesses or groups each")


def _needed(word: bytes, members: int) -> int:
    return {b"any": 1, b"all": members}.get(word) or notes.number(_text(word))


def _vkey(word: bytes) -> Verifier:
    return notes.parse_vkey(_text(word))


def _address(words: list[bytes]) -> str | None:
    return _text(words[0]) if words else None


def _url(url: str | None) -> Iterator[bytes]:
    if url is not None:
        try:
            yield url.encode()
        except UnicodeEncodeError as error:
            raise InputError("an URL is text that can be written in UTF-8") from error


def _text(word: bytes) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{_shown(word)} is not UTF-8") from error


def _shown(name: bytes) -> str:
    """Return a name as text that does nothing to a terminal or a reader's eye."""
    shown = name[:MAX_NAME].decode(errors="backslashreplace")
    return shown if shown.isprintable() else shown.encode("unicode_escape").decode()
