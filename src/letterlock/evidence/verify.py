"""Checking evidence against a policy: everything is recomputed here, and nobody is asked.

Each check raises at the first thing that does not hold: InputError for what cannot be read,
SignatureError for what is not signed by whom it must be, ProofError for what is not true.
What the checks are: docs/spec/evidence.md §3; what a reader may conclude: docs/verify.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from letterlock.domain import counted, sha256
from letterlock.errors import ProofError, SignatureError, UsageError
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
from letterlock.evidence.checked import Checked
from letterlock.evidence.finding import OUTSIDE, Finding, compare, finding, word
from letterlock.evidence.members import SECOND_SEAL, grants, limits, member, sealed_release, told
from letterlock.ledger import commitment
from letterlock.record import memberset, merkle, note
from letterlock.record.note import Verifier
from letterlock.record.quorum import Policy


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
    checked = Checked(policy, now)
    match evidence:
        case Receipt():
            return _receipt(checked, evidence)
        case Member():
            return member(checked, evidence)
        case Grants():
            return grants(checked, evidence)
        case History():
            return _history(checked, evidence)
        case Release() if release is not None:
            return _release(checked, evidence, release)
        case Statement() if log is not None:
            return _statement(checked, evidence, log)
        case Release():
            raise UsageError("this is about a release: name the folder of its files with --release")
        case Statement():
            raise UsageError("a statement is checked against the whole log: name it with --log")


# ── releases, histories, statements ─────────────────────────────────────────────────────────


def _release(checked: Checked, e: Release, files: ReleaseFiles) -> Finding:
    checked.key(e.key)
    found = sealed_release(checked, e)
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
    people = counted(names.count, "people")
    return finding(
        "release",
        (
            f"These are the files of release {word(name)}: the hash of its manifest is in the log.",
            *told(found),
            f"The people in its files ({people}) are those whose proofs the log bears out.",
        ),
        checked.trusted,
        (
            "That its rows are of these people and nobody else: files cannot say whose a row is.",
            "That everybody in it agreed: the log holds what they said, as commitments.",
            SECOND_SEAL,
            *limits(found),
            OUTSIDE,
        ),
    )


def _history(checked: Checked, e: History) -> Finding:
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
            f"The log {first.origin} had {first.size:,} entries, and at last {last.size:,}.",
            f"Each of these {len(found):,} checkpoints only adds to the one before it.",
        ),
        trusted,
        (
            "That everybody is shown this history: compare it with the checkpoints others hold.",
            "What the entries say, or that they are true.",
        ),
    )


def _statement(checked: Checked, e: Statement, log: LogFiles) -> Finding:
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


def _receipt(checked: Checked, e: Receipt) -> Finding:
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
