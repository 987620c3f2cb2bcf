"""A certificate that a model was destroyed: what, where, by whom, how, and what of the backups.

JSON as its writer says it, strictly read; published as its canonical bytes, so that anybody can
hold them against the hash in the log. What is partial is never complete.
Spec: docs/spec/lineage.md#certificates.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

from letterlock.domain import Time, canonical
from letterlock.errors import InputError
from letterlock.evidence import strict

FORMAT: Final = "letterlock/destruction/v1"
LIMIT: Final = 1 << 14
"""Bytes of a certificate: it is part of an inventory, and that of one entry of the log."""

Outcome: TypeAlias = Literal["erased", "key destroyed", "left", "unsupported"]
OUTCOMES: Final[tuple[str, ...]] = get_args(Outcome)
"""What became of one place; "unsupported": it cannot be erased there."""
BACKUPS: Final = ("none", *OUTCOMES)
"""The same of every backup together; "none": there never was one."""
DONE: Final = frozenset({"none", "erased", "key destroyed"})
"""Of these, what leaves nothing."""

_SHAPE: Final[strict.Shape] = {
    "format": str, "model": str, "owner": str, "by": str, "how": str, "time": int,
    "places": list, "backups": str,
}  # fmt: skip
_PLACE: Final[strict.Shape] = {"where": str, "outcome": str, "what": str}


def is_done(outcomes: Iterable[str]) -> bool:
    """Say whether nothing is left in places of which that became; in no place, nothing is done."""
    said = list(outcomes)
    return bool(said) and "none" not in said and DONE.issuperset(said)


@dataclass(frozen=True, slots=True)
class Place:
    """One place where a model, or a checkpoint of it, was, and what became of it there."""

    where: str
    outcome: str
    what: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """What somebody says became of a model; `by`: who says it, `time`: when it was done."""

    model: str
    owner: str
    by: str
    how: str
    time: Time
    places: tuple[Place, ...]
    backups: str

    @property
    def complete(self) -> bool:
        """Whether nothing of the model is left, by what it says."""
        return self.backups in DONE and is_done(each.outcome for each in self.places)

    def encode(self) -> bytes:
        """Write it as it is published: canonical JSON."""
        said: dict[str, Any] = {"format": FORMAT, **asdict(self)}
        return canonical({**said, "places": [asdict(each) for each in self.places]})


def parse(data: bytes, what: str = "certificate") -> Certificate:
    """Read a certificate. Raises InputError, which begins with `what`."""
    found = strict.shaped(strict.parse(data, what, limit=LIMIT), _SHAPE, what)
    if found.pop("format") != FORMAT:
        raise InputError(f"{what}: its format is not {FORMAT}")
    for key in ("model", "owner", "by", "how"):
        if not found[key].strip():
            raise InputError(f"{what}: {key} is empty")
    if not re.fullmatch("[0-9a-f]{64}", found["model"]):
        raise InputError(f"{what}: model is the digest that it is registered by")
    places = tuple(place(each, f"{what}: place") for each in found.pop("places"))
    if not places:
        raise InputError(f"{what}: places: a model was somewhere")
    if found["backups"] not in BACKUPS:
        raise InputError(f"{what}: backups is one of {', '.join(BACKUPS)}")
    return Certificate(**found, places=places)


def place(value: object, what: str) -> Place:
    """Read one place, of a certificate or of an erasure. Raises InputError."""
    found = Place(**strict.shaped(value, _PLACE, what))
    if found.outcome not in OUTCOMES:
        raise InputError(f"{what}: an outcome is one of {', '.join(OUTCOMES)}")
    if not found.where.strip():
        raise InputError(f"{what}: a place has a name (where)")
    return found
