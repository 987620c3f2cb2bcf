"""A small world for the golden vectors: a ledger, its log, and who signs. Imported by make.py.

Everything follows from the seeds below, but for the signatures of ML-DSA-44, which differ each
time they are made: those are kept in mldsa.json and made only if one is missing there.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from letterlock.domain import canonical
from letterlock.evidence import bundle, receipt, statement
from letterlock.evidence.entries import entry_of
from letterlock.ledger import PERSONAL, Event, commitment, fold_rules
from letterlock.record import checkpoint, memberset, merkle, note, prooffile, quorum, vrf
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.note import Kind, SecretSigner, SignatureLine

HERE = Path(__file__).parent
ORIGIN = "letterlock.example/log"
OTHER = "other.example/log"
NOW = 1_767_225_600  # 2026-01-01, seconds
DAY = 86_400_000_000
START = 1_735_689_600_000_000  # 2025-01-01, microseconds


class Kept:
    """An ML-DSA-44 signer that gives the signature it gave before."""

    path = HERE / "mldsa.json"
    kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    used: dict[str, str] = {}  # noqa: RUF012 - one for all of them

    def __init__(self, name: str, seed: bytes) -> None:
        """Take the seed that the key follows from."""
        self.signer = SecretSigner(name, Kind.MLDSA44, seed)
        self.verifier = self.signer.verifier

    def sign(self, message: bytes) -> bytes:
        """Return the signature that is kept, or make one."""
        mark = hashlib.sha256(self.verifier.public + message).hexdigest()
        kept = self.kept.get(mark) or note.to_base64(self.signer.sign(message))
        self.used[mark] = self.kept[mark] = kept
        return note.from_base64(kept)

    @classmethod
    def keep(cls) -> None:
        """Write down what was made."""
        cls.path.write_text(json.dumps(cls.used, indent=1, sort_keys=True) + "\n")


def seed(first: int) -> bytes:
    """Return 32 bytes that count up from `first`."""
    return bytes(range(first, first + 32))


LOG = SecretSigner(ORIGIN, Kind.ED25519, seed(0))
LOG_06 = Kept(ORIGIN, seed(64))
STRANGER = SecretSigner(ORIGIN, Kind.ED25519, seed(96))
OTHER_LOG = SecretSigner(OTHER, Kind.ED25519, seed(128))
W1 = SecretSigner("witness.example/w1", Kind.COSIGNATURE, seed(32))
W2 = Kept("witness.example/w2", seed(160))
W3 = SecretSigner("witness.example/w3", Kind.COSIGNATURE, seed(192))
VRF_SEEDS = (seed(0), seed(1))
PEOPLE = ("alba", "bruno", "carla", "dora", "emil", "fred", "gina", "hügo 𝄞")
IN_A = PEOPLE[:5]


def policies() -> dict[str, bytes]:
    """Return the policy files, by name."""
    witnesses = [
        quorum.Witness(name, signer.verifier)
        for name, signer in ((b"works-council", W1), (b"regulator", W2), (b"press", W3))
    ]
    both = (quorum.LogKey(LOG.verifier), quorum.LogKey(LOG_06.verifier))
    two = quorum.Group(b"two-of-three", 2, tuple(each.name for each in witnesses))
    every = quorum.Group(b"all-three", 3, tuple(each.name for each in witnesses))
    made = {
        "two-of-three": quorum.Policy(both, tuple(witnesses), (two,), two.name),
        "all-three": quorum.Policy(both, tuple(witnesses), (every,), every.name),
        "no-witness": quorum.Policy(both),
        "plain": quorum.Policy(both[:1], (witnesses[0],), (), witnesses[0].name),
        "other-log": quorum.Policy((quorum.LogKey(OTHER_LOG.verifier),)),
        "two-logs": quorum.Policy((*both, quorum.LogKey(OTHER_LOG.verifier))),
    }
    return {name: policy.encode() for name, policy in made.items()}


# ── the ledger ──────────────────────────────────────────────────────────────────────────────

TEXT = hashlib.sha256(b"Train AI on my messages?").hexdigest()


def choice(who: str, act: str, *lines: Mapping[str, Any], day: int) -> dict[str, Any]:
    """Return the body of a choice made on the web."""
    evidence: dict[str, Any] = {"time": START + day * DAY, "channel": "web"}
    if act == "grant":
        evidence |= {"language": "en", "setting": "train", "text": TEXT}
    return {
        "subject": who,
        "act": act,
        "lines": [dict(line) for line in lines],
        "evidence": evidence,
    }


def told() -> list[tuple[str, dict[str, Any]]]:
    """Return kind and body of every event, in recorded order; ends of releases come later."""
    yes = {"purpose": "train.generative", "data_class": "message.*", "recipient": "tern"}
    sensitive = {"explicit": True, "categories": ["health"], "expires": START + 400 * DAY}
    every = [("subject.registered", {"subject": name, "member": True}) for name in PEOPLE]
    grants = [("choice.made", choice(who, "grant", yes, day=10 + n)) for n, who in enumerate(IN_A)]
    return [
        ("key.introduced", {"use": "log", "keys": [LOG.verifier.vkey, LOG_06.verifier.vkey]}),
        ("key.introduced", {"use": "vrf", "key": vrf.public_key(VRF_SEEDS[0]).hex()}),
        (
            "operator.registered",
            {"operator": "ash", "name": "Asha Ray", "key": LOG.verifier.public.hex()},
        ),
        (
            "recipient.registered",
            {"recipient": "heron", "name": "Heron Social Ltd", "class": "controller"},
        ),
        (
            "recipient.registered",
            {"recipient": "tern", "name": "Tern Models GmbH", "class": "third_party"},
        ),
        (
            "policy.published",
            {
                "version": "7",
                "effective_at": START + 9 * DAY,
                "window": 0,
                "clauses": [],
                "data_classes": ["message.direct", "message.group", "post.public"],
                "settings": {
                    "train": {
                        "title": "Train AI on my messages",
                        "purposes": ["train.generative"],
                        "data_classes": ["message.*"],
                        "recipients": ["tern"],
                    }
                },
                "texts": {"train": {"en": TEXT}},
                "documents": {"policy.md": "What is yours stays yours. " * 2500},
            },
        ),
        *every,
        *grants,
        ("choice.made", choice("alba", "grant", {**yes, **sensitive}, day=16)),
        ("choice.made", choice("gina", "withdraw", {}, day=17)),
        ("choice.made", choice("hügo 𝄞", "object", {"recipient": "third_party"}, day=18)),
    ]  # fmt: skip


@dataclass(frozen=True)
class Sealed:
    """A release in the making: what the log says of it, and its files."""

    opened: int
    sealed: int
    names: memberset.MemberSet
    pseudonyms: bytes
    manifest: bytes


class World:
    """Events, recorded one after the other; releases are opened and sealed honestly."""

    def __init__(self) -> None:
        """Record everything."""
        self.events: list[Event] = []
        self.releases: dict[str, Sealed] = {}
        self.tags: memberset.MemberSet
        for kind, body in told():
            self.record(kind, body)
        # A release of five, one of one, one of nobody; then another key, and what was granted.
        self.release(
            "aaaa", "train.generative", "tern", IN_A, {"message.direct": 40, "post.public": 2}
        )
        self.release("bbbb", "evaluate", "heron", ("gina",), {"post.public": 1})
        self.release("cccc", "train.ranking", "tern", (), {})
        self.second = self.record(
            "key.introduced", {"use": "vrf", "key": vrf.public_key(VRF_SEEDS[1]).hex()}
        )
        self.release(
            "dddd", "train.generative", "tern", PEOPLE, {"post.public": 9}, key=self.second
        )
        self.grants = self.seal_grants()
        self.record("hold.set", {"hold": "dpc-2025", "clauses": [], "lock": False, "order": "§ 7"})

    def record(self, kind: str, body: Mapping[str, Any]) -> int:
        """Record an event a day after the last one; return its index."""
        index = len(self.events)
        subject = body["subject"] if kind in PERSONAL else None
        self.events.append(Event(index, START + index * DAY, kind, dict(body), subject))
        return index

    def token(self, account: str, key: int) -> bytes:
        """Return an account's token under the key of an entry."""
        return vrf.token(self.secret(key), memberset.alpha(ORIGIN, account))

    def secret(self, key: int) -> bytes:
        """Return the secret of the key that an entry introduces."""
        return VRF_SEEDS[0] if key == 1 else VRF_SEEDS[1]

    def release(
        self,
        name: str,
        purpose: str,
        recipient: str,
        people: Sequence[str],
        classes: Mapping[str, int],
        *,
        key: int = 1,
    ) -> None:
        """Open and seal a release of rows of these people."""
        upto = len(self.events) - 1
        opened = self.record("release.opened", {
            "purpose": purpose, "recipient": recipient, "as_of": START + upto * DAY, "upto": upto,
            "sources": [["mail", "f" * 32]], "shards": 1, "release": name,
        })  # fmt: skip
        leaf = merkle.leaf_hash(self.entry(opened))
        scope = memberset.scope(ORIGIN, opened, leaf)
        pseudonyms = b"".join(
            sorted(memberset.pseudonym(scope, self.token(a, key)) for a in people)
        )
        names = memberset.MemberSet(pseudonyms)
        rows = sum(classes.values())
        known = fold_rules(self.events, self.events[-1].time).recipients[recipient]
        manifest = canonical({
            "format": "letterlock/release/v1", "release": name, "simulated": True,
            "purpose": purpose,
            "recipient": {"id": recipient, "name": known.name, "class": str(known.recipient_class)},
            "as_of": "2025-01-01", "policy": [], "shards": 1, "files": [], "private": [],
            "counts": {"items": rows + 3, "released": rows, "withheld": 3,
                       "by_reason": {"no_grant": 3}, "by_class": dict(classes)},
            "members": names.count,
            "member_set": {"opened": opened, "opening": leaf.hex(), "key": key,
                           "depth": names.depth, "root": names.root.hex()},
        }) + b"\n"  # fmt: skip
        sealed = self.record("release.sealed", {
            "release": name, "manifest": hashlib.sha256(manifest).hexdigest(), "checked": opened,
            "opened": opened, "key": key, "members": names.count, "depth": names.depth,
            "root": names.root.hex(),
        })  # fmt: skip
        self.releases[name] = Sealed(opened, sealed, names, pseudonyms, manifest)

    def seal_grants(self) -> int:
        """Seal the marks of all grants, numbered per account from 0."""
        counts: dict[str, int] = {}
        tags = []
        for event in self.events:
            if event.kind == "choice.made" and event.body and event.body["act"] == "grant":
                who = event.body["subject"]
                number = counts.get(who, 0)
                counts[who] = number + 1
                tags.append(memberset.tag(self.token(who, self.second), number))
        self.tags = memberset.MemberSet(b"".join(sorted(tags)))
        return self.record("grants.sealed", {
            "upto": len(self.events) - 1, "key": self.second, "count": self.tags.count,
            "depth": self.tags.depth, "root": self.tags.root.hex(),
        })  # fmt: skip

    def salt(self, index: int) -> bytes:
        """Return the salt of an event."""
        return hashlib.sha256(b"salt %d" % index).digest()

    def commitment(self, index: int) -> bytes:
        """Return what an event is committed to by."""
        return commitment(self.salt(index), self.events[index].canonical())

    def entry(self, index: int) -> bytes:
        """Return the log entry of an event."""
        return entry_of(self.events[index], self.commitment(index)).entry

    def log(self) -> Log:
        """Return the log of these events."""
        written = [entry_of(event, self.commitment(event.index)) for event in self.events]
        blobs = [blob for _, blob in written if blob is not None]
        blobs += [release.manifest for release in self.releases.values()]
        return Log([entry for entry, _ in written], blobs)


# ── the log ─────────────────────────────────────────────────────────────────────────────────

SECONDS = 1_764_547_200  # 2025-12-01
PLAIN = (LOG, W1, W3)
ALL = (LOG, LOG_06, W1, W2, W3)


@dataclass
class Log:
    """Entries, what is beside them, and what is signed of them; `origin` may be told falsely."""

    entries: list[bytes]
    blobs: list[bytes]
    signers: Sequence[Any] = PLAIN
    origin: str = ORIGIN
    seconds: int = SECONDS

    def changed(self, at: int, body: Mapping[str, Any] | None = None, **more: Any) -> Log:
        """Return a log that says something else at an index, signed all the same."""
        value = json.loads(self.entries[at])
        value = {**value, "body": {**value["body"], **(body or {})}, **more}
        return self.replaced(at, canonical(value))

    def replaced(self, at: int, entry: bytes) -> Log:
        """Return a log with another entry at an index."""
        return replace(self, entries=[*self.entries[:at], entry, *self.entries[at + 1 :]])

    @cached_property
    def tree(self) -> merkle.Tree:
        """The tree over all entries."""
        return merkle.Tree(map(merkle.leaf_hash, self.entries))

    def note(self, size: int | None = None) -> bytes:
        """Return a checkpoint, signed by whoever signs here; witnesses a second later each."""
        size = len(self.entries) if size is None else size
        root = merkle.root(size, self.tree.node)
        logs = [s for s in self.signers if s.verifier.name == self.origin]
        signed = checkpoint.sign(Checkpoint(self.origin, size, root), logs, self.seconds)
        lines: list[SignatureLine] = []
        for n, signer in enumerate(s for s in self.signers if s not in logs):
            lines.append(checkpoint.cosign(signed, signer, self.seconds + n + 1))
        return signed.signed_by(lines).encode()

    def logged(self, index: int, size: int | None = None) -> bundle.Logged:
        """Return an entry with its proof."""
        size = len(self.entries) if size is None else size
        path = merkle.inclusion_proof(index, size, self.tree.node)
        proof = prooffile.ProofFile(index, tuple(path), self.note(size)).encode()
        return bundle.Logged(index, self.entries[index], proof)


# ── evidence ────────────────────────────────────────────────────────────────────────────────


def member(
    world: World, log: Log, name: str, account: str, *, key: int = 1, present: bool | None = None
) -> bundle.Member:
    """Return whether an account is in a release; `present` claims something else than is so."""
    release = world.releases[name]
    leaf = merkle.leaf_hash(log.entries[release.opened])
    alpha = memberset.alpha(log.origin, account)
    proof = vrf.prove(world.secret(key), alpha)
    scope = memberset.scope(log.origin, release.opened, leaf)
    pseudonym = memberset.pseudonym(scope, vrf.token(world.secret(key), alpha))
    bucket, path = release.names.proof(pseudonym)
    found = any(bucket[n : n + 32] == pseudonym for n in range(0, len(bucket), 32))
    logged = [log.logged(index) for index in (key, release.opened, release.sealed)]
    return bundle.Member(
        account, found if present is None else present, *logged, proof, bucket, tuple(path)
    )


def grants(
    world: World, log: Log, account: str, number: int, *, present: bool | None = None
) -> bundle.Grants:
    """Return whether an account's grant was recorded."""
    alpha = memberset.alpha(log.origin, account)
    proof = vrf.prove(world.secret(world.second), alpha)
    tag = memberset.tag(world.token(account, world.second), number)
    bucket, path = world.tags.proof(tag)
    found = any(bucket[n : n + 32] == tag for n in range(0, len(bucket), 32))
    key, sealed = log.logged(world.second), log.logged(world.grants)
    present = found if present is None else present
    return bundle.Grants(account, present, number, key, sealed, proof, bucket, tuple(path))


def receipt_of(
    world: World, log: Log, index: int, *, signed: bool = True, logged: bool = True
) -> bundle.Receipt:
    """Return the receipt of a choice."""
    event = world.events[index]
    rules = fold_rules(world.events[:index], event.time)
    known = receipt.known_of(event, rules)
    record = receipt.record(event, world.commitment(index), log.origin, known)
    text = receipt.signed_text(log.origin, index, world.commitment(index), record)
    return bundle.Receipt(
        record,
        event.canonical(),
        world.salt(index),
        note.sign(text, [log.signers[0]]).encode() if signed else None,
        log.logged(index).proof if logged else None,
    )


def release_of(world: World, log: Log, name: str, key: int = 1) -> bundle.Release:
    """Return what the log says of a release."""
    release = world.releases[name]
    return bundle.Release(name, *(log.logged(n) for n in (key, release.opened, release.sealed)))


def superseded(
    world: World, log: Log, name: str, dropped: Sequence[str], **more: Any
) -> tuple[World, Log]:
    """Return world and log once a release was superseded without some people: version 1."""
    release = world.releases[name]
    leaf = merkle.leaf_hash(log.entries[release.opened])
    scope = memberset.scope(log.origin, release.opened, leaf)
    gone = {memberset.pseudonym(scope, world.token(account, 1)) for account in dropped}
    before = json.loads(log.entries[release.sealed])
    all_of = release.pseudonyms
    kept = [each for n in range(0, len(all_of), 32) if (each := all_of[n : n + 32]) not in gone]
    left = memberset.MemberSet(b"".join(kept))
    body = before["body"] | {
        "version": 1, "rows": 7, "manifest": hashlib.sha256(b"version 1").hexdigest(),
        "checked": len(log.entries) - 1, "members": left.count, "depth": left.depth,
        "root": left.root.hex(),
    } | more  # fmt: skip
    said = {"index": len(log.entries), "kind": "release.superseded", "body": body}
    entry = canonical({**json.loads(log.entries[-1]), **said})
    later = replace(release, sealed=len(log.entries), names=left)
    other = copy.copy(world)
    other.releases = {**world.releases, name: later}
    return other, replace(log, entries=[*log.entries, entry])


def history(log: Log, sizes: Iterable[int]) -> bundle.History:
    """Return checkpoints of a log and that each is the beginning of the next."""
    ordered = list(sizes)
    proofs = [
        tuple(merkle.consistency_proof(old, new, log.tree.node)) for old, new in pairwise(ordered)
    ]
    return bundle.History(tuple(log.note(size) for size in ordered), tuple(proofs))


def claim(log: Log, **more: Any) -> statement.Claim:
    """Return a claim about the whole log that is true of it, or another."""
    said: dict[str, Any] = {
        "data_class": "message.group", "start": START, "end": START + 32 * DAY,
        "purposes": "train.*", "recipients": ("*",), "size": len(log.entries),
        "root": log.tree.root, "made": START + 60 * DAY,
    }  # fmt: skip
    return statement.Claim(**{**said, **more})


def stated(log: Log, said: statement.Claim) -> bundle.Statement:
    """Return a signed statement, true or not."""
    return bundle.Statement(statement.sign(log.origin, said, [log.signers[0]]).encode())
