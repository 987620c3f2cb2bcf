"""The events of what left the gate: hand-overs, drop lists, models, duties.

All of them are public, so each body says nothing of a person but counts, and is read strictly: an
event that this program cannot read stops whoever asks, rather than be passed over.
Spec: docs/spec/lineage.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, TypeAlias

from letterlock.domain import Reason
from letterlock.errors import InputError, UsageError
from letterlock.evidence import strict
from letterlock.lineage import certificate

Body: TypeAlias = Mapping[str, Any]

HOWS: Final = (
    "fine-tune", "adapter", "merge", "distil", "embed", "quantise", "reward", "select",
)  # fmt: skip
"""How a model may have come of another one; whatever it is, what is in the one is in the other."""

DUTIES: Final = ("drop", "supersede", "apply", "forget", "destroy", "erase")
CAUSES: Final = (
    "withdrawal", "objection", "erasure", "hold", "policy", "contract", "region", "time", "order",
    "recall",
)  # fmt: skip

_HASH: Final = re.compile("[0-9a-f]{64}")
_GRANT: Final = re.compile("[0-9a-f]{32}")
_RELEASE: Final = re.compile("[0-9a-f]{16}")
_REASONS: Final = frozenset(reason.name.lower() for reason in Reason)

_LONGEST_NAME: Final = 200
_SHAPES: Final[Mapping[str, strict.Shape]] = {
    "release.opened": {
        "purpose": str, "recipient": str, "as_of": int, "upto": int,
        "sources": list, "shards": int, "release": str,
    },
    "release.sealed": {
        "release": str, "manifest": str, "checked": int,
        "opened": int, "key": int, "members": int, "depth": int, "root": str,
    },
    "recipient.keyed": {
        "recipient": str, "encryption": str, "signing": str, "signatures": list,
    },
    "release.approved": {
        "release": str, "recipient": str, "version": int, "manifest": str, "terms": str,
        "signatures": list,
    },
    "release.delivered": {
        "release": str, "recipient": str, "purpose": str, "version": int, "manifest": str,
        "grant": str, "key": str, "terms": str, "feed": str, "expires": int,
    },
    "release.acknowledged": {"grant": str, "release": str, "recipient": str, "note": str},
    "release.superseded": {
        "release": str, "version": int, "manifest": str, "opened": int, "key": int,
        "members": int, "depth": int, "root": str, "rows": int, "checked": int,
    },
    "release.recalled": {"release": str, "order": str},
    "drops.published": {
        "release": str, "version": int, "list": str, "dropped": int,
        "members": int, "depth": int, "root": str, "rows": int, "upto": int,
    },
    "model.trained": {
        "model": str, "name": str, "owner": str, "sources": list,
        "files": int, "bytes": int, "note": str,
    },
    "model.destroyed": {
        "model": str, "owner": str, "certificate": str, "complete": bool, "note": str,
    },
    "obligation.due": {
        "duty": str, "cause": str, "reasons": dict, "release": str, "recipient": str,
        "grant": str, "model": str, "version": int, "since": int, "due": int, "owner": str,
        "order": str,
    },
    "obligation.met": {"obligation": int, "evidence": int},
    "order.received": {"order": str, "text": str, "query": dict, "signatures": list},
    "erasure.certified": {
        "obligation": int, "places": list, "complete": bool, "signatures": list,
    },
}  # fmt: skip

KINDS: Final = frozenset(_SHAPES)
CERTIFIED: Final = "erasure.certified"
ORDERED: Final = "order.received"

_QUERY: Final[strict.Shape] = {
    "data_class": str, "jurisdictions": list, "contracts": list, "recipients": list,
    "from": (int, NoneType), "to": (int, NoneType), "disclosed_before": (int, NoneType),
}  # fmt: skip
_OF_RELEASE: Final[strict.Shape] = {"release": str, "version": int}
_OF_MODEL: Final[strict.Shape] = {"model": str, "how": str}
_EXTERNAL: Final[strict.Shape] = {"external": str, "digest": str, "how": str}
_SIGNATURE: Final[strict.Shape] = {"operator": str, "signature": str}


def read(kind: str, body: object) -> Body:
    """Check the body of an event of one of KINDS. Raises InputError."""
    found: Body = strict.shaped(body, _SHAPES[kind], kind)
    for key, value in found.items():
        check = _CHECKS.get(key)
        if check is not None:
            check(value, f"{kind}: {key}")
    if kind == ORDERED:
        _name(found["order"], f"{kind}: order")
    return found


def _matches(pattern: re.Pattern[str], what: str, *, empty: bool = False) -> Callable[..., None]:
    def check(value: str, where: str) -> None:
        if not pattern.fullmatch(value) and not (empty and value == ""):
            raise InputError(f"{where} is no {what}")

    return check


def _name(value: str, where: str) -> None:
    if not value or not value.isprintable() or len(value) > _LONGEST_NAME:
        raise InputError(f"{where}: 1 to {_LONGEST_NAME} characters that can be printed")


def _one_of(known: tuple[str, ...]) -> Callable[..., None]:
    def check(value: str, where: str) -> None:
        if value not in known:
            raise InputError(f"{where}: {value!r} is none of {', '.join(known)}")

    return check


def _sources(value: list[object], where: str) -> None:
    if where.startswith("release."):  # the tables that a release was made from
        return
    if not value:
        raise InputError(f"{where}: a model comes of something")
    for each in value:
        if isinstance(each, dict) and "release" in each:
            strict.shaped(each, _OF_RELEASE, where)
            _CHECKS["release"](each["release"], where)
        elif isinstance(each, dict) and "external" in each:
            source = strict.shaped(each, _EXTERNAL, where)
            _name(source["external"], f"{where}: external")
            _CHECKS["manifest"](source["digest"], where)
            _one_of(HOWS)(source["how"], where)
        else:
            source = strict.shaped(each, _OF_MODEL, where)
            _CHECKS["manifest"](source["model"], where)
            _one_of(HOWS)(source["how"], where)


def external(said: str) -> dict[str, str]:
    """Return the source that DIGEST:HOW:NAME stands for. Raises UsageError for anything else."""
    digest, _, rest = said.partition(":")
    how, _, name = rest.partition(":")
    found = {"external": name, "digest": digest, "how": how}
    try:
        _sources([found], "model.trained: sources")
    except InputError as error:
        raise UsageError(
            f"{said!r}: write DIGEST:HOW:NAME; the digest is a SHA-256, HOW is "
            f"{', '.join(HOWS)}, and the name or address has up to {_LONGEST_NAME} characters"
        ) from error
    return found


def _reasons(value: Body, where: str) -> None:
    if any(key not in _REASONS or type(n) is not int or n < 1 for key, n in value.items()):
        raise InputError(f"{where}: reasons of a denial, with how many people each")


def _places(value: list[object], where: str) -> None:
    for each in value:
        certificate.place(each, where)


def _signatures(value: list[object], where: str) -> None:
    for each in value:
        strict.shaped(each, _SIGNATURE, where)


def _query(value: object, where: str) -> None:
    query = strict.shaped(value, _QUERY, where)
    for key in ("jurisdictions", "contracts", "recipients"):
        if not all(isinstance(each, str) and each for each in query[key]):
            raise InputError(f"{where}: {key} lists texts")


_hash_or_none: Final = _matches(_HASH, "SHA-256", empty=True)
_CHECKS: Final[Mapping[str, Callable[..., None]]] = {
    "manifest": _matches(_HASH, "SHA-256"),
    "root": _matches(_HASH, "SHA-256"),
    "list": _matches(_HASH, "SHA-256"),
    "certificate": _matches(_HASH, "SHA-256"),
    "terms": _hash_or_none,
    "model": _hash_or_none,
    "name": _name,
    "grant": _matches(_GRANT, "grant (32 hexadecimal digits)", empty=True),
    "release": _matches(_RELEASE, "release", empty=True),
    "duty": _one_of(DUTIES),
    "cause": _one_of(CAUSES),
    "sources": _sources,
    "reasons": _reasons,
    "places": _places,
    "signatures": _signatures,
    "query": _query,
}
