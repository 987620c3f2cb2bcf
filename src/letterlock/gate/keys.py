"""Keys: who signs the log, whose pseudonyms are made with what, and how keys change and go.

Nothing beside the ledger says which key is in use. Log keys sign from the first checkpoint after
the one that shows their introduction, so the keys before them have signed it; only if those were
lost do the new ones sign for themselves, and say so. The newest VRF key is the one in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from letterlock.errors import UsageError, WorkspaceError
from letterlock.gate.workspace import POLICY, Introduced, Workspace, introduction
from letterlock.ledger import Draft
from letterlock.record import note
from letterlock.record.note import SecretSigner, Signer, Verifier
from letterlock.store import files
from letterlock.store.keys import ED25519, MLDSA44, SIGNING, VRF, CommandSigner, new, shred

LOG: Final = "log"
USES: Final = (LOG, VRF)


@dataclass(frozen=True, slots=True)
class Kept:
    """A key that the ledger introduces, and how it stands with it.

    `state`: "in use", "next" (a log key that signs once its introduction is published), "earlier"
    or "destroyed". `held`: how many of its secrets are in files here. `releases`: those under it.
    """

    introduced: Introduced
    state: str
    held: int
    releases: tuple[str, ...] = ()


class Keys(Workspace):
    """The verbs about keys."""

    def log_signers(self) -> list[Signer]:
        """Return who signs the next checkpoint: an Ed25519 key first (C2SP tlog-tiles wants one).

        Raises WorkspaceError if a secret is lost and no signer is set, or it does not open.
        """
        self.renew_policy()  # in case what introduced the newest was interrupted
        return [self._signer(note.parse_vkey(vkey)) for vkey in self._signing().keys]

    def log_verifiers(self) -> list[Verifier]:
        """Return every key that has ever signed this log, oldest first."""
        return [note.parse_vkey(vkey) for each in self.introduced(LOG) for vkey in each.keys]

    def _signing(self) -> Introduced:
        """Return the log keys in use."""
        # A key in use is never destroyed, so what is shows that another was: an older log/ may not.
        first, *later = [each for each in self.introduced(LOG) if not each.destroyed]
        published = self.published()
        size = 0 if published is None else published.size
        fit = [each for each in later if each.lost or each.index < size]
        return fit[-1] if fit else first

    def _signer(self, verifier: Verifier) -> Signer:
        kind = ED25519 if verifier.kind is SIGNING[ED25519] else MLDSA44
        if self.keys.has(kind, verifier.vkey):
            secret = self.keys.secret(kind, verifier.vkey)
            return SecretSigner(self.origin, verifier.kind, secret)
        if self.signer:
            return CommandSigner(self.signer, verifier)
        raise WorkspaceError(
            f"{self.keys.path(kind, verifier.vkey)} is lost, and nothing can be signed without it: "
            "restore it from a backup, or see `letterlock key rotate log --lost`"
        )

    def kept(self) -> list[Kept]:
        """Return every key that was introduced, oldest first."""
        releases = self._releases()
        signing, newest = self._signing().index, self.introduced(VRF)[-1].index
        found = []
        for each in self.introduced():
            used = newest if each.use == VRF else signing
            state = "next" if each.index > used else "earlier"
            state = "in use" if each.index == used else state
            held = sum(self.keys.has(kind, public) for kind, public in _kinds(each))
            found.append(
                Kept(
                    each,
                    "destroyed" if each.destroyed else state,
                    held,
                    tuple(releases.get(each.index, ())),
                )
            )
        return found

    def _releases(self) -> dict[int, list[str]]:
        """Return the sealed releases of each VRF key, by the event that introduced it."""
        found: dict[int, list[str]] = {}
        for event in self.store.events(upto=self.store.head().index):
            if event.kind == "release.sealed" and event.body is not None:
                found.setdefault(event.body.get("key", -1), []).append(event.body["release"])
        return found

    def rotate(self, use: str, *, lost: bool = False, vkeys: Sequence[str] = ()) -> Introduced:
        """Introduce new keys for "log" or "vrf"; those before stay, for what was made with them.

        `lost`: the log's keys are gone, so the new ones sign at once, and nobody vouches for them.
        `vkeys` are log keys that the signer of letterlock.toml holds; what kind is not among them
        is made here. Raises UsageError, or WorkspaceError if the keys do not open.
        """
        if use not in USES:
            raise UsageError(f"{use!r} has no keys: rotate log or vrf")
        if use == VRF and (lost or vkeys):
            raise UsageError("a VRF key needs no key before it, and stands in a file")
        outside = self._outside(vkeys)
        if use == LOG and not lost:
            if self.introduced(LOG)[-1].index != self._signing().index:
                raise UsageError(
                    "the keys introduced last do not sign yet: publish a checkpoint first"
                )
            self.log_signers()  # or nobody could sign for the new ones
        self._unlock()
        made = [new(kind, self.origin) for kind in _needed(use, outside)]
        publics = [*(key.public for key in made), *(verifier.vkey for verifier in outside)]
        publics.sort(key=lambda public: use == LOG and note.parse_vkey(public).kind)
        with self._writing():
            introduced = {each for known in self.introduced() for each in _kinds(known)}
            self.keys.clear([self.keys.path(*each) for each in introduced])
            for key in made:
                self.keys.write(key)
            self.store.append([introduction(use, publics, lost=lost)], now=self.now())
        self.renew_policy()
        return self.introduced(use)[-1]

    def _outside(self, vkeys: Sequence[str]) -> list[Verifier]:
        """Read the keys that another program holds."""
        if vkeys and not self.signer:
            raise UsageError(
                "no signer holds these keys: set `signer` in letterlock.toml to its command"
            )
        found = [note.parse_vkey(vkey) for vkey in vkeys]
        kinds = [verifier.kind for verifier in found]
        if len(set(kinds)) < len(kinds) or not set(kinds) <= set(SIGNING.values()):
            raise UsageError("a log signs with one key of type 01 (Ed25519) and one of 06 (ML-DSA)")
        for verifier in found:
            if verifier.name != self.origin:
                raise UsageError(
                    f"the key {verifier.name!r} is of another log: this one is {self.origin!r}"
                )
            if verifier in self.log_verifiers():
                raise UsageError(f"the key {verifier.key_id.hex()} was introduced before")
            CommandSigner(self.signer, verifier).sign(b"letterlock/trial/v1\n")
        return found

    def _unlock(self) -> None:
        """Make sure that new keys are sealed with the passphrase of those that are here."""
        for each in reversed(self.introduced()):
            for kind, public in _kinds(each):
                if self.keys.has(kind, public):
                    self.keys.secret(kind, public)
                    return
        self.keys.unlock()

    def renew_policy(self) -> bytes:
        """Return the log's policy, in which the keys that sign are listed, and show it in log/.

        Only they are added: whoever takes the line of a key that leaked away has it stay away.
        Raises WorkspaceError.
        """
        path, shown = self.folder / POLICY, self.folder / "log" / "policy"
        try:
            found = path.read_bytes()
            listed = {
                line.split()[1] for line in found.splitlines() if line.split()[:1] == [b"log"]
            }
            keys = [vkey.encode() for each in self._current() for vkey in each.keys]
            text = b"".join(b"log %b\n" % key for key in keys if key not in listed) + found
            for each, old in (
                (path, found),
                (shown, shown.read_bytes() if shown.exists() else b""),
            ):
                if old != text:
                    files.write(each, text)
        except (OSError, IndexError) as error:
            raise WorkspaceError(f"{path} cannot be renewed: {error}") from error
        return text

    def _current(self) -> list[Introduced]:
        """Return the log keys that sign, and before them those that will."""
        return list(
            {each.index: each for each in (self.introduced(LOG)[-1], self._signing())}.values()
        )

    def destroy(self, index: int) -> Kept:
        """Destroy the secrets of the keys that event `index` introduced, and record that.

        The tokens that were made with it go first, and the event comes last: a key is never said
        to be destroyed while its file is there.
        Raises UsageError for a key that is in use, is destroyed, or is none.
        """
        found = next((each for each in self.kept() if each.introduced.index == index), None)
        if found is None:
            raise UsageError(f"event {index} introduces no key: see `letterlock key list`")
        if found.state == "destroyed":
            raise UsageError(f"the key of event {index} is destroyed already")
        if found.state != "earlier":
            raise UsageError(
                f"the key of event {index} is {found.state}: introduce another one first "
                f"(`letterlock key rotate {found.introduced.use}`)"
            )
        try:
            with self._building():
                if found.introduced.use == VRF:
                    shred(self.tokens_path(index))
                for kind, public in _kinds(found.introduced):
                    self.keys.destroy(kind, public)
                self.record([Draft("key.destroyed", {"key": index})])
        except OSError as error:
            raise WorkspaceError(f"the key was not destroyed: {error}") from error
        return found


def _kinds(introduced: Introduced) -> list[tuple[str, str]]:
    """Return (kind, public half) of each key."""
    if introduced.use == VRF:
        return [(VRF, introduced.keys[0])]
    of_kind = {kind: name for name, kind in SIGNING.items()}
    return [(of_kind[note.parse_vkey(vkey).kind], vkey) for vkey in introduced.keys]


def _needed(use: str, outside: Sequence[Verifier]) -> list[str]:
    if use == VRF:
        return [VRF]
    there = {verifier.kind for verifier in outside}
    return [name for name, kind in SIGNING.items() if kind not in there]
