"""Checking evidence against a policy: everything is recomputed here, and nobody is asked.

Each check raises at the first thing that does not hold: InputError for what cannot be read,
SignatureError for what is not signed by whom it must be, ProofError for what is not true.
What the checks are: docs/spec/evidence.md §3; what a reader may conclude: docs/verify.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from letterlock.domain import sha256, text_of
from letterlock.errors import InputError, ProofError, SignatureError, UsageError
from letterlock.evidence import entries, receipt, statement, strict
from letterlock.evidence.bundle import (
    Evidence,
    Grants,
    History,
    Logged,
    Member,
    Receipt,
    Release,
    Statement,
)
from letterlock.evidence.entries import Public
from letterlock.evidence.finding import OUTSIDE, Finding, compare, finding, word
from letterlock.ledger import commitment
from letterlock.record import memberset, merkle, note, prooffile, vrf
from letterlock.record.merkle import Hash
from letterlock.record.note import Kind, Verifier
from letterlock.record.quorum import Policy, Trusted

_HASH: Final = re.compile("[0-9a-f]{64}")
_SEALED: Final = {
    "release": str, "manifest": str, "checked": int,
    "opened": int, "key": int, "members": int, "depth": int, "root": str,
}  # fmt: skip
_OPENED: Final = {
    "purpose": str, "recipient": str, "as_of": int, "upto": int,
    "sources": list, "shards": int, "release": str,
}  # fmt: skip
_GRANTS: Final = {"upto": int, "key": int, "count": int, "depth": int, "root": str}

_ACCOUNT: Final = "That this account is hers, or her only one: whoever hands the file over says so."
_FILED: Final = (
    "That no row of hers is in it under somebody else's pseudonym or under none: a recipient who "
    "recomputes the files, an auditor and planted accounts look for that."
)
_SECOND_SEAL: Final = "That the release was sealed only once: whoever reads the whole log sees it."
_OTHERS: Final = "Anything about another release."


@dataclass(frozen=True)
class ReleaseFiles:
    """Of a release's folder: manifest.json, and the pseudonyms of members.parquet, end to end.

    That the other files are what the manifest says is release.verify's to check.
    """

    manifest: bytes
    pseudonyms: bytes


@dataclass(frozen=True)
class LogFiles:
    """A log's folder: its signed checkpoint, its entries from the first on, and what is beside it.

    `blob` returns what is there under a SHA-256 in hexadecimal digits, None if nothing is.
    """

    checkpoint: bytes
    entries: Iterable[bytes]
    blob: Callable[[str], bytes | None]


def verify(
    evidence: Evidence,
    policy: Policy,
    now: int | None = None,
    *,
    release: ReleaseFiles | None = None,
    log: LogFiles | None = None,
) -> Finding:
    """Check evidence, offline; `now`, in seconds, bounds what signatures may say of the time.

    Raises InputError, SignatureError or ProofError; UsageError if a release or a statement comes
    without the files that it is about.
    """
    checked = _Checked(policy, now)
    match evidence:
        case Receipt():
            return _receipt(checked, evidence)
        case Member():
            return _member(checked, evidence)
        case Grants():
            return _grants(checked, evidence)
        case History():
            return _history(checked, evidence)
        case Release() if release is not None:
            return _release(checked, evidence, release)
        case Statement() if log is not None:
            return _statement(checked, evidence, log)
        case Release():
            raise UsageError("this is about a release: name the folder of its files")
        case Statement():
            raise UsageError("a statement is checked against the whole log: name its folder")


class _Checked:
    """What of one file was checked so far: all its proofs have to lead to one checkpoint."""

    def __init__(self, policy: Policy, now: int | None) -> None:
        self.policy, self.now = policy, now
        self.trusted: list[Trusted] = []

    @property
    def origin(self) -> str:
        return self.trusted[0].checkpoint.origin

    def entry(self, logged: Logged, what: str) -> None:
        """Check that an entry is in the log, at the index that is given for it."""
        proof = prooffile.parse(logged.proof)
        if proof.index != logged.index:
            raise ProofError(f"{what}: the proof is of entry {proof.index}, not of {logged.index}")
        leaf = merkle.leaf_hash(logged.entry)
        self.trusted.append(proof.check(leaf, self.policy, now=self.now))
        first, last = self.trusted[0].checkpoint, self.trusted[-1].checkpoint
        if first.origin != last.origin:
            raise ProofError(f"{what}: this entry is of another log, {last.origin}")
        compare((first, last))
        if first != last:
            raise ProofError(f"{what}: its proof leads to another checkpoint than the others")

    def event(self, logged: Logged, kind: str, shape: strict.Shape, *also: str) -> Public:
        """Check that an entry is in the log, and is an event of `kind` whose body has `shape`."""
        self.entry(logged, kind)
        found = entries.read(logged.entry)
        if not isinstance(found, Public) or found.kind != kind:
            raise ProofError(f"entry {logged.index} is no {kind}")
        if found.index != logged.index:
            raise ProofError(f"entry {logged.index} says that it is entry {found.index}")
        more = {key: bool for key in also if key in found.body}
        strict.shaped(found.body, {**shape, **more}, f"{kind}, entry {logged.index}")
        return found

    def key(self, logged: Logged) -> bytes:
        """Return the public key of pseudonyms that an entry introduces."""
        body = self.event(logged, "key.introduced", {"use": str, "key": str}, "lost").body
        if body["use"] != "vrf":
            raise ProofError(f"entry {logged.index} introduces a key for {body['use']}")
        return strict.from_hex(body["key"], vrf.SECRET_SIZE, "key.introduced: key")

    def log_keys(self) -> list[Verifier]:
        """Return the log's keys that may sign a text which is no checkpoint."""
        keys = [each.verifier for each in self.policy.logs]
        return [key for key in keys if key.kind is Kind.ED25519]


# ── who is in a release, and what was granted ───────────────────────────────────────────────


@dataclass(frozen=True)
class _Set:
    """A set of names, as an entry of the log seals it."""

    root: Hash
    depth: int
    count: int

    @staticmethod
    def of(body: Mapping[str, Any], count: int, what: str) -> _Set:
        root = strict.from_hex(body["root"], merkle.HASH_SIZE, f"{what}: root")
        if body["depth"] != memberset.depth_of(count):
            raise ProofError(f"{what}: {count} names do not make {body['depth']} bits of buckets")
        return _Set(root, body["depth"], count)

    def check(self, name: bytes, e: Member | Grants) -> None:
        """Check that the name is there or not, as claimed."""
        found = memberset.verify(self.root, self.depth, name, e.bucket, e.path)
        if found != e.present:
            raise ProofError(f"the claim is wrong: the name is {'' if found else 'not '}there")


@dataclass(frozen=True)
class _Sealed:
    """A release as the log has it: its opening, its seal, and the members that this names."""

    opened: Public
    sealed: Public
    members: _Set
    leaf: Hash


def _sealed(checked: _Checked, e: Member | Release) -> _Sealed:
    """Check the opening and the seal of a release, and that they belong together."""
    opened = checked.event(e.opened, "release.opened", _OPENED)
    sealed = checked.event(e.sealed, "release.sealed", _SEALED)
    body = sealed.body
    if not _HASH.fullmatch(body["manifest"]):
        raise InputError("release.sealed: manifest is no SHA-256")
    if body["opened"] != opened.index or body["release"] != opened.body["release"]:
        raise ProofError(f"entry {sealed.index} seals another opening than entry {opened.index}")
    if body["key"] != e.key.index:
        raise ProofError(f"entry {sealed.index} names another key than entry {e.key.index}")
    if not e.key.index < opened.index < sealed.index:
        raise ProofError("a key comes before the opening that uses it, and that before its seal")
    members = _Set.of(body, body["members"], "release.sealed")
    return _Sealed(opened, sealed, members, merkle.leaf_hash(e.opened.entry))


def _token(checked: _Checked, public: bytes, account: str, proof: bytes) -> bytes:
    """Return an account's token, which nobody could choose."""
    output = vrf.verify(public, memberset.alpha(checked.origin, account), proof)
    return output[: vrf.TOKEN_SIZE]


def _member(checked: _Checked, e: Member) -> Finding:
    public = checked.key(e.key)
    found = _sealed(checked, e)
    token = _token(checked, public, e.account, e.vrf)
    scope = memberset.scope(checked.origin, found.opened.index, found.leaf)
    found.members.check(memberset.pseudonym(scope, token), e)
    here = "is among" if e.present else "is not among"
    return finding(
        "member",
        (
            (
                f"Account {word(e.account)} {here} the {found.members.count:,} people whose rows are in "
                f"release {word(found.opened.body['release'])}."
            ),
            *_told(found),
            f"With the key of entry {e.key.index:,} it can have no other pseudonym there.",
        ),
        checked.trusted,
        (_FILED, _ACCOUNT, _SECOND_SEAL, _OTHERS, OUTSIDE),
    )


def _told(found: _Sealed) -> tuple[str, ...]:
    """Tell what the log says of a release."""
    opened, sealed = found.opened, found.sealed
    return (
        (
            f"That release was opened as entry {opened.index:,} on {text_of(opened.time)}, for "
            f"{word(opened.body['purpose'])}, to {word(opened.body['recipient'])}, as of "
            f"{text_of(opened.body['as_of'])}."
        ),
        (
            f"It was sealed as entry {sealed.index:,} on {text_of(sealed.time)}, with the manifest "
            f"{sealed.body['manifest']}."
        ),
    )


def _grants(checked: _Checked, e: Grants) -> Finding:
    public = checked.key(e.key)
    sealed = checked.event(e.sealed, "grants.sealed", _GRANTS)
    body = sealed.body
    if body["key"] != e.key.index or not e.key.index < sealed.index:
        raise ProofError(f"entry {sealed.index} names another key than entry {e.key.index}")
    if not body["upto"] < sealed.index:
        raise ProofError(f"entry {sealed.index} cannot speak of what comes after it")
    tags = _Set.of(body, body["count"], "grants.sealed")
    token = _token(checked, public, e.account, e.vrf)
    tags.check(memberset.tag(token, e.number), e)
    which = f"grant number {e.number + 1:,}" if e.present or e.number else "grant at all"
    there = which.capitalize() if e.present else f"No {which}"
    return finding(
        "grants",
        (
            f"{there} of account {word(e.account)} was recorded up to event {body['upto']:,}.",
            f"The log holds the marks of all {tags.count:,} grants up to there.",
            f"It says so as entry {sealed.index:,} on {text_of(sealed.time)}.",
        ),
        checked.trusted,
        (
            "That the platform never used anything without a grant.",
            "That it numbered grants as it says, from 0 and in recorded order, and left none out.",
            "Anything about choices that were recorded after that event.",
            _ACCOUNT,
            OUTSIDE,
        ),
    )


# ── releases, histories, statements ─────────────────────────────────────────────────────────


def _release(checked: _Checked, e: Release, files: ReleaseFiles) -> Finding:
    checked.key(e.key)
    found = _sealed(checked, e)
    name, body = found.opened.body["release"], found.sealed.body
    if e.release != name:
        raise ProofError(f"the entries are of release {name}, not of {e.release}")
    if sha256(files.manifest) != body["manifest"]:
        raise ProofError(f"the manifest in the folder is not the one that was sealed as {name}")
    manifest = strict.parse(
        files.manifest, "manifest", limit=entries.MAX_BLOB, values=entries.MAX_VALUES
    )
    expected = {
        "opened": found.opened.index,
        "opening": found.leaf.hex(),
        "key": e.key.index,
        "depth": body["depth"],
        "root": body["root"],
    }
    if not isinstance(manifest, dict) or manifest.get("member_set") != expected:
        raise ProofError("the manifest names another member set than the seal")
    if (manifest.get("release"), manifest.get("members")) != (name, body["members"]):
        raise ProofError("the manifest is of another release, or counts other members")
    names = memberset.MemberSet(files.pseudonyms)
    if (names.count, names.depth, names.root) != (
        found.members.count, found.members.depth, found.members.root
    ):  # fmt: skip
        raise ProofError("the people in the files are not those that were sealed")
    return finding(
        "release",
        (
            f"These are the files of release {word(name)}: the hash of its manifest is in the log.",
            *_told(found),
            f"The {names.count:,} people in its files are those whose proofs the log bears out.",
        ),
        checked.trusted,
        (
            "That its rows are of these people and nobody else: files cannot say whose a row is.",
            "That everybody in it agreed: the log holds what they said, as commitments.",
            _SECOND_SEAL,
            OUTSIDE,
        ),
    )


def _history(checked: _Checked, e: History) -> Finding:
    trusted = [checked.policy.check(each, now=checked.now) for each in e.checkpoints]
    found = [each.checkpoint for each in trusted]
    if len({each.origin for each in found}) > 1:
        raise ProofError("these are checkpoints of different logs")
    compare(found)
    for old, new, proof in zip(found, found[1:], e.consistency, strict=False):
        if old.size >= new.size:
            raise ProofError(f"after {old.size:,} entries come {new.size:,}: not one history")
        merkle.verify_consistency(old.root, old.size, new.root, new.size, proof)
    first, last = found[0], found[-1]
    return finding(
        "history",
        (
            (
                f"The log {first.origin} had {first.size:,} entries and then {last.size:,}, and in "
                f"{len(found):,} steps only added to what was there."
            ),
        ),
        trusted,
        (
            "That everybody is shown this history: compare it with the checkpoints others hold.",
            "What the entries say, or that they are true.",
        ),
    )


def _statement(checked: _Checked, e: Statement, log: LogFiles) -> Finding:
    signed = note.parse(e.note)
    keys = note.signers_of(signed, checked.log_keys())
    origin, claim = statement.read(signed.text)
    trusted = checked.policy.check(log.checkpoint, now=checked.now)
    found = trusted.checkpoint
    if any(key.name != origin for key in keys) or found.origin != origin:
        raise ProofError(f"a statement about {origin} is not {found.origin}'s to make")
    held = statement.check(claim, log.entries, log.blob, found)
    return finding(
        "statement", statement.told(origin, claim, held), [trusted], statement.NOT_PROVED,
        signed=keys,
    )  # fmt: skip


# ── receipts ────────────────────────────────────────────────────────────────────────────────


def _receipt(checked: _Checked, e: Receipt) -> Finding:
    event = receipt.read_event(e.event)
    committed = commitment(e.salt, e.event)
    keys: tuple[Verifier, ...] = ()
    origins = set()
    if e.signed is not None:
        signed = note.parse(e.signed)
        keys = note.signers_of(signed, checked.log_keys())
        origin = receipt.check_signed(signed.text, event, committed, e.record)
        origins |= {origin, *(key.name for key in keys)}
    if e.proof is not None:
        checked.entry(Logged(event.index, entries.committed(committed), e.proof), "receipt")
        origins.add(checked.origin)
    if not origins:
        raise SignatureError("nobody vouches for this receipt: neither signature nor proof")
    if len(origins) > 1:
        raise ProofError("the receipt is signed by one log and proved of another")
    (origin,) = origins
    receipt.check_record(e.record, event, committed, origin)
    return finding(
        "receipt", receipt.told(event, origin, logged=e.proof is not None, signed=bool(keys)),
        checked.trusted, receipt.not_proved(logged=e.proof is not None, signed=bool(keys)),
        signed=keys,
    )  # fmt: skip
