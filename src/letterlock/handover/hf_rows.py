"""A received release as a Hugging Face dataset; `datasets` is optional, so this is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
from datasets import DatasetInfo, Features, IterableDataset
from datasets.iterable_dataset import ArrowExamplesIterable

if TYPE_CHECKING:
    from letterlock.handover.reader import ReleaseReader


class _Tables:
    """The tables of some of the files of a release; it can be pickled."""

    def __init__(self, reader: ReleaseReader, columns: Sequence[str] | None, ahead: int) -> None:
        self._reader, self._columns, self._ahead = reader, columns, ahead

    def __call__(self, shards: list[str]) -> Iterator[tuple[str, pa.Table]]:
        """Yield tables, each under a name of its own."""
        part = " ".join(shards)
        batches = self._reader.batches(
            self._columns, batch_size=self._ahead, shards=shards, part=part
        )
        for n, batch in enumerate(batches):
            yield f"{part} {n}", pa.Table.from_batches([batch])


def streamed(
    reader: ReleaseReader, columns: Sequence[str] | None, rows_ahead: int
) -> IterableDataset:
    """Return the rows of a release as a stream, whose shards are its files. Raises UsageError.

    Each file is a pass of its own, in whatever process reads it: checked before and while it is
    read. `from_generator` would do, at three times the cost of handing Arrow's tables on.
    """
    features = Features.from_arrow_schema(reader.schema(columns))
    tables = _Tables(reader, columns, rows_ahead)
    examples = ArrowExamplesIterable(tables, {"shards": list(reader.shards)})
    return IterableDataset(examples, info=DatasetInfo(features=features))
