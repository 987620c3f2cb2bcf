"""Who in a release may not be in it any more: on whose account a row that went is denied now.

What went is taken from the release itself, not judged again as of then: whoever was erased since
is nobody to any judgement, also to one about the past. Each person carries the first reason of any
of her rows. Spec: docs/spec/drops.md §1. Slow twin, over `decide`: tests/oracle/affected.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from letterlock.domain import Reason
from letterlock.errors import VerificationError
from letterlock.release import manifest
from letterlock.release.impact import Judged
from letterlock.release.kernel import ALLOW, NO_KIND, SUBJECT_MASK, Items, Kernel
from letterlock.release.plan import Plan

Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


class Table(Judged, Protocol):
    """A registered table, as its index has it."""

    @property
    def name(self) -> str:
        """Return the source's name."""

    def keys(self, group: int) -> Keys:
        """Return the key of each row of one row group: that of its id."""


Released = Callable[[Table, int], Bools]
"""Which rows of a table's row group went with the release: (rows,)."""

KeysOf = Callable[[pa.ChunkedArray], tuple[Keys, Bools]]
"""Ids → the keys that an index has for them, and which of them are ids at all."""


class Affected(NamedTuple):
    """Subject numbers, ascending, and why each may not be in the release: a Reason."""

    subjects: Ints
    reasons: Bytes

    def counts(self) -> dict[Reason, int]:
        """Return how many people there are of each reason."""
        found = Counter(self.reasons.tolist())
        return {Reason(reason): n for reason, n in sorted(found.items())}


def affected(plan: Plan, sources: Sequence[Table], released: Released, size: int) -> Affected:
    """Find who is in a released row that is denied on their account under `plan`.

    `size`: the number of subjects that are known, of whom the plan may know fewer. Raises
    InputError if a table cannot be read, or what `released` raises.
    """
    worst = np.full(size, ALLOW, np.uint8)
    for source in sources:
        kernel = Kernel.ready(plan, source.kinds, source.epochs)
        for group in range(source.groups):
            items = source.items(group)
            if (kernel.verdicts(items) == ALLOW).all():
                continue  # which of them went is not worth a look
            for people, code in _denied(kernel, items, released(source, group)):
                np.minimum.at(worst, people, code)
    subjects = np.flatnonzero(worst < ALLOW)
    return Affected(subjects, (worst[subjects] >> 2).astype(np.uint8))


def _denied(kernel: Kernel, items: Items, went: Bools) -> Iterator[tuple[Ints, Bytes]]:
    """Yield who is denied in the rows that went, and the codes: those named, and those quoted."""
    named, quoted = kernel.parties(items)
    for offsets, people, code in (
        (items.offsets, items.parties, named),
        (items.quote_offsets, items.quotes, quoted),
    ):
        if offsets is not None and people is not None and len(people):
            mine = np.repeat(went, np.diff(offsets)) & (code < ALLOW)
            yield (people[mine] & SUBJECT_MASK).astype(np.int64), code[mine]


def released_in(folder: Path, keys_of: KeysOf) -> Released:
    """Return which rows went with the release in `folder`: those that its private part lacks.

    Raises VerificationError if the list of what stayed is not there; so does what is returned, for
    a table whose rows do not add up to those that went and those that stayed.
    """
    stayed = _stayed(folder / manifest.PRIVATE / manifest.WITHHELD)
    none, known = pa.array([], pa.string()), dict[str, list[Bools]]()

    def went(source: Table, group: int) -> Bools:
        if source.name not in known:
            known[source.name] = _went(source, stayed.get(source.name, none), keys_of)
        return known[source.name][group]

    return went


def _went(source: Table, stayed: pa.Array, keys_of: KeysOf) -> list[Bools]:
    """Return which rows of each row group went.

    The private table has ids as texts. Of numbers the keys are other than of texts, so both are
    tried; rows that have no key of their own never went, and the sum tells which of both it is.
    """
    texts = stayed.drop_null()
    for kind in (pa.string(), pa.int64()):
        try:
            keys, _ = keys_of(pa.chunked_array([texts.cast(kind)]))
        except pa.ArrowInvalid:  # not all of them are numbers
            continue
        keys = np.sort(keys)
        found = []
        for group in range(source.groups):
            mine = source.keys(group)
            place = np.searchsorted(keys, mine)
            here = place < len(keys)
            here[here] = keys[place[here]] == mine[here]
            found.append(~here & (source.items(group).kind != NO_KIND))
        if sum(int(mask.sum()) for mask in found) == source.rows - len(stayed):
            return found
    raise VerificationError(
        f"source {source.name}: its rows are not those that went and those that stayed"
    )


def _stayed(path: Path) -> Mapping[str, pa.Array]:
    """Return the ids of what stayed, by source."""
    try:
        table = pq.ParquetFile(path).read(columns=["source", "item"])
        names, items = table.column("source").cast(pa.string()), table.column("item")
        return {
            name: items.filter(pc.equal(names, name)).combine_chunks()
            for name in pc.unique(names).to_pylist()
        }
    except (OSError, ValueError, LookupError, pa.ArrowException) as error:
        raise VerificationError(
            f"{path} cannot be read: without it nobody can tell who was in the release ({error})"
        ) from error
