"""A received release as a Hugging Face dataset; `datasets` is optional, so this is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from datasets import Features, IterableDataset

if TYPE_CHECKING:
    from letterlock.handover.reader import ReleaseReader


def streamed(
    reader: ReleaseReader, columns: Sequence[str] | None, rows_ahead: int
) -> IterableDataset:
    """Return the rows of a release as a stream, whose shards are its files. Raises UsageError.

    Each pass over the stream, or over some of its shards, is one over the release.
    """
    features = Features.from_arrow_schema(reader.schema(columns))

    def rows(shards: list[str]) -> Iterator[dict[str, Any]]:
        part = f"{len(shards)} of {len(reader.shards)} files"
        for batch in reader.batches(columns, batch_size=rows_ahead, shards=shards, part=part):
            yield from batch.to_pylist()

    return IterableDataset.from_generator(
        rows, features=features, gen_kwargs={"shards": list(reader.shards)}
    )
