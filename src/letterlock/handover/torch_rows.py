"""A received release as a PyTorch dataset. PyTorch is optional, so only who asks imports this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torch.utils.data import IterableDataset, get_worker_info

if TYPE_CHECKING:
    from letterlock.handover.reader import ReleaseReader


class Rows(IterableDataset[dict[str, Any]]):
    """The rows of a release, each once, however many workers a DataLoader has.

    Workers share out the files, which keep their names from version to version of the release; each
    makes a pass of its own, so each checks before it reads, and while it does.
    """

    def __init__(
        self, reader: ReleaseReader, columns: Sequence[str] | None, rows_ahead: int
    ) -> None:
        """Read `columns`, `rows_ahead` rows at a time. Raises UsageError."""
        reader.schema(columns)
        self._reader, self._columns, self._ahead = reader, columns, rows_ahead

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Make a pass, as `ReleaseReader.batches` does."""
        worker = get_worker_info()
        mine, of = (0, 1) if worker is None else (worker.id, worker.num_workers)
        shards = self._reader.shards[mine::of]
        if not shards:  # more workers than files
            return
        for batch in self._reader.batches(
            self._columns, batch_size=self._ahead, shards=shards, part=f"{mine}/{of}"
        ):
            yield from batch.to_pylist()
