"""A stranger's release cannot make its reader unpack far more than it holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import workspaces as w
from letterlock.domain import canonical, sha256
from letterlock.errors import VerificationError
from letterlock.release.verify import verify


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a release once."""
    gate = w.workspace(tmp_path_factory.mktemp("bombs") / "platform", w.messages(40))
    folder = gate.build(w.PURPOSE, w.RECIPIENT).folder
    gate.close()
    return folder


@pytest.fixture
def release(built: Path, tmp_path: Path) -> Path:
    """Give a copy of what goes out."""
    return w.shutil.copytree(built / "outgoing", tmp_path / "release" / "outgoing").parent


def spoiled(release: Path, change: Callable[[pa.Table], pa.Table], **how: object) -> Path:
    """Change the first shard that holds rows, and let the manifest say so, as its maker could."""
    path = release / "outgoing" / "manifest.json"
    record = json.loads(path.read_bytes())
    entry = next(e for e in record["files"] if e["rows"] and e["path"] != "members.parquet")
    shard = release / "outgoing" / entry["path"]
    table = change(pq.ParquetFile(shard).read())
    pq.write_table(table, shard, **{"compression": "zstd"} | how)
    data = shard.read_bytes()
    entry |= {"rows": table.num_rows, "bytes": len(data), "sha256": sha256(data)}
    path.write_bytes(canonical(record) + b"\n")
    return shard


def refused(release: Path, match: str) -> None:
    """Check that a release is refused, and that little memory was used for it."""
    peak = pa.total_allocated_bytes()
    with pytest.raises(VerificationError, match=match):
        verify(release)
    assert pa.total_allocated_bytes() - peak < 1 << 24


def column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """Return the table with one column replaced."""
    return table.set_column(table.column_names.index(name), name, values)


def test_a_row_of_very_many_parties_is_not_unpacked(release: Path):
    """Run-length encoding makes 2**25 values of a few bytes; their number gives them away."""

    def many(table: pa.Table) -> pa.Table:
        rest = [1] * (table.num_rows - 1)
        offsets = [0, 1 << 25, *((1 << 25) + n for n in range(1, len(rest) + 1))]
        values = pa.array(w.np.zeros(offsets[-1], "uint32"))
        return column(table, "recipients", pa.ListArray.from_arrays(pa.array(offsets), values))

    shard = spoiled(release, many)
    assert shard.stat().st_size < 1 << 17
    refused(release, "unpacks to far more")


def test_a_text_of_very_many_bytes_is_not_unpacked(release: Path):
    """A data class of 2**27 letters compresses to nothing; its length gives it away."""

    def long(table: pa.Table) -> pa.Table:
        names = ["x" * (1 << 27), *table["data_class"].to_pylist()[1:]]
        return column(table, "data_class", pa.array(names))

    shard = spoiled(release, long, use_dictionary=False)
    assert shard.stat().st_size < 1 << 17
    refused(release, "unpacks to far more")


def test_a_long_text_in_every_row_is_unpacked_once(release: Path):
    """As a dictionary entry it stands there once, for a million rows; nothing multiplies it."""

    def repeated(table: pa.Table) -> pa.Table:
        count = 1 << 20
        wide = table.slice(0, 1).take(pa.array(w.np.zeros(count, "int64")))
        names = pa.DictionaryArray.from_arrays(
            pa.array(w.np.zeros(count, "int32")), pa.array(["x" * (1 << 20)])
        )
        return column(wide, "data_class", names)

    def plain(table: pa.Table) -> pa.Table:
        return repeated(table).replace_schema_metadata(None)

    spoiled(release, plain, store_schema=False)
    refused(release, "rows|data classes|members")


def test_a_shard_that_says_another_number_of_rows_is_not_read(release: Path):
    """The file's own count is compared with the manifest before a row of it is read."""
    spoiled(release, lambda table: table)
    path = release / "outgoing" / "manifest.json"
    record = json.loads(path.read_bytes())
    entry = next(e for e in record["files"] if e["rows"] and e["path"] != "members.parquet")
    entry["rows"] += 1
    path.write_bytes(canonical(record) + b"\n")
    refused(release, "the manifest says")
