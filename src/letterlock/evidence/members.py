"""Who is in a release, and what was granted: names in a set that the log has sealed.

Spec: docs/spec/evidence.md §3; the sets themselves: docs/spec/memberset.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from letterlock.domain import counted, text_of
from letterlock.errors import InputError, ProofError
from letterlock.evidence import strict
from letterlock.evidence.bundle import Grants, Member, Release
from letterlock.evidence.checked import Checked
from letterlock.evidence.entries import Public
from letterlock.evidence.finding import OUTSIDE, Finding, finding, word
from letterlock.record import memberset, merkle, vrf
from letterlock.record.merkle import Hash

SECOND_SEAL: Final = "That the release was sealed only once: whoever reads the whole log sees it."

_HASH: Final = re.compile("[0-9a-f]{64}")
_SEALED: Final = {
    "release": str, "manifest": str, "checked": int,
    "opened": int, "key": int, "members": int, "depth": int, "root": str,
}  # fmt: skip
_SUPERSEDED: Final = {**_SEALED, "version": int, "rows": int}
_SEALS: Final = {"release.sealed": _SEALED, "release.superseded": _SUPERSEDED}
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
_OTHERS: Final = "Anything about another release."
_VERSIONS: Final = "Anything about another version of it: an earlier one held more people."


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
        if len(e.bucket) > self.count * memberset.NAME_SIZE:
            raise ProofError(f"the bucket alone holds more than the {self.count} names sealed")
        found = memberset.verify(self.root, self.depth, name, e.bucket, e.path)
        if found != e.present:
            raise ProofError(f"the claim is wrong: the name is {'' if found else 'not '}there")


@dataclass(frozen=True)
class Sealed:
    """A version of a release as the log has it: opening, seal, and the members that this names.

    The seal of version 0 is release.sealed, that of a later one release.superseded.
    """

    opened: Public
    sealed: Public
    members: _Set
    leaf: Hash


def sealed_release(checked: Checked, e: Member | Release) -> Sealed:
    """Check the opening and the seal of a release, and that they belong together."""
    opened = checked.event(e.opened, "release.opened", _OPENED)
    sealed = checked.one_of(e.sealed, _SEALS)
    body = sealed.body
    if not _HASH.fullmatch(body["manifest"]):
        raise InputError(f"{sealed.kind}: manifest is no SHA-256")
    if body["opened"] != opened.index or body["release"] != opened.body["release"]:
        raise ProofError(f"entry {sealed.index} seals another opening than entry {opened.index}")
    if body["key"] != e.key.index:
        raise ProofError(f"entry {sealed.index} names another key than entry {e.key.index}")
    if not e.key.index < opened.index < sealed.index:
        raise ProofError("a key comes before the opening that uses it, and that before its seal")
    members = _Set.of(body, body["members"], sealed.kind)
    return Sealed(opened, sealed, members, merkle.leaf_hash(e.opened.entry))


def _token(checked: Checked, public: bytes, account: str, proof: bytes) -> bytes:
    """Return an account's token, which nobody could choose."""
    output = vrf.verify(public, memberset.alpha(checked.origin, account), proof)
    return output[: vrf.TOKEN_SIZE]


def member(checked: Checked, e: Member) -> Finding:
    """Check whether an account is among the people of a release."""
    public = checked.key(e.key)
    found = sealed_release(checked, e)
    token = _token(checked, public, e.account, e.vrf)
    scope = memberset.scope(checked.origin, found.opened.index, found.leaf)
    found.members.check(memberset.pseudonym(scope, token), e)
    here = "is among" if e.present else "is not among"
    people, name = counted(found.members.count, "people"), word(found.opened.body["release"])
    return finding(
        "member",
        (
            f"Account {word(e.account)} {here} the people whom release {name} names ({people}).",
            *told(found),
            f"With the key of entry {e.key.index:,} it can have no other pseudonym there.",
        ),
        checked.trusted,
        (_FILED, _ACCOUNT, SECOND_SEAL, *limits(found), _OTHERS, OUTSIDE),
    )


def told(found: Sealed) -> tuple[str, ...]:
    """Tell what the log says of a release."""
    opened, sealed = found.opened, found.sealed
    purpose, recipient = word(opened.body["purpose"]), word(opened.body["recipient"])
    asked = f"for {purpose}, to {recipient}, as of {text_of(opened.body['as_of'])}"
    what = "It"
    if "version" in sealed.body:
        what = f"What drop list {sealed.body['version']:,} left of it"
    return (
        f"That release was opened as entry {opened.index:,} on {text_of(opened.time)}, {asked}.",
        f"{what} was sealed as entry {sealed.index:,} on {text_of(sealed.time)}.",
        f"The SHA-256 of its manifest is {sealed.body['manifest']}.",
    )


def limits(found: Sealed) -> tuple[str, ...]:
    """Tell what the seal of a later version does not show."""
    return (_VERSIONS,) if "version" in found.sealed.body else ()


def grants(checked: Checked, e: Grants) -> Finding:
    """Check whether a grant of an account was recorded."""
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
