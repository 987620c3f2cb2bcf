"""A log's folder as we write it, read from end to end by the verifier in Go."""

import base64
import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from letterlock.record import checkpoint, note
from letterlock.record.checkpoint import Checkpoint
from letterlock.record.note import Kind, SecretSigner
from letterlock.record.tlog import Log
from letterlock.store.tiles import FolderTiles

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ORIGIN = "log.example/tiles"
SIGNER = SecretSigner(ORIGIN, Kind.ED25519, bytes(range(32)))
POLICY = f"log {SIGNER.verifier.vkey}\nquorum none\n".encode()
EXAMPLE = 70_000


def sign(point: Checkpoint) -> bytes:
    """Sign a checkpoint as the log."""
    return checkpoint.sign(point, [SIGNER], 0).encode()


def opened(data: bytes) -> Checkpoint:
    """Open the log's own checkpoint."""
    return checkpoint.opened(note.parse(data), [SIGNER.verifier])[0]


def written(folder: Path, sizes: list[int]) -> None:
    """Write a log in as many steps, and its history beside it."""
    notes = []
    with FolderTiles(folder / "log", folder / "private") as store:
        log = Log(store, ORIGIN, sign, opened)
        for size in sizes:
            log.integrate(log.size, (b"entry %d" % n for n in range(log.size, size)))
            log.publish(log.committed)
            notes.append(log.committed.decode())
        proofs = [
            [base64.b64encode(each).decode() for each in log.consistency(old, new)]
            for old, new in pairwise(sizes)
        ]
    history = {
        "format": "letterlock/evidence/v1",
        "kind": "history",
        "checkpoints": notes,
        "consistency": proofs,
    }
    (folder / "history.json").write_text(json.dumps(history), encoding="utf-8")
    (folder / "policy").write_bytes(POLICY)


def answers(in_go, folder: Path) -> tuple[str, str]:
    """Return what it says of the folder, and of the history in it."""
    judged = in_go.judge(folder / "policy", [folder / "history.json"], folder / "log")
    return judged["log"]["answer"], judged["history.json"]["answer"]


@pytest.mark.parametrize("sizes", [[1], [1, 2, 3], [255, 256, 257], [256], [300, 511, 512, 700]])
def test_a_folder_of_any_size_holds(in_go, tmp_path, sizes) -> None:
    """Entries, tiles, root and every earlier checkpoint agree, also at a tile's edge."""
    written(tmp_path, sizes)
    assert answers(in_go, tmp_path) == ("yes", "yes")


def test_an_empty_log_holds(in_go, tmp_path) -> None:
    """A log of nothing is one of the empty root."""
    (tmp_path / "log").mkdir()
    empty = sign(Checkpoint(ORIGIN, 0, bytes.fromhex(EMPTY)))
    (tmp_path / "log" / "checkpoint").write_bytes(empty)
    (tmp_path / "policy").write_bytes(POLICY)
    assert in_go.judge(tmp_path / "policy", [], tmp_path / "log")["log"]["answer"] == "yes"


def test_every_changed_file_of_a_log_is_found(in_go, tmp_path) -> None:
    """One bit in any tile or bundle, a byte less, or a file less: each is refused."""
    written(tmp_path, [600])
    files = sorted(path for path in (tmp_path / "log" / "tile").rglob("*") if path.is_file())
    missed = []
    for path in files:
        data = path.read_bytes()
        for change in (data[:-1] + bytes([data[-1] ^ 1]), data[:-1], data + b"\0", b"", None):
            path.unlink()
            if change is not None:
                path.write_bytes(change)
            if answers(in_go, tmp_path)[0] == "yes":
                missed.append((path, change and len(change) - len(data)))
        path.write_bytes(data)
    assert answers(in_go, tmp_path) == ("yes", "yes")
    assert not missed


def test_two_logs_of_one_key_are_told_apart(in_go, tmp_path) -> None:
    """Evidence of another history than the folder's is refused, though both are signed."""
    written(tmp_path / "one", [300, 400])
    written(tmp_path / "other", [299])
    with FolderTiles(tmp_path / "other" / "log", tmp_path / "other" / "private") as store:
        log = Log(store, ORIGIN, sign, opened)
        log.integrate(log.size, [b"another entry", *(b"entry %d" % n for n in range(300, 500))])
        log.publish(log.committed)
    shutil.copy(tmp_path / "one" / "history.json", tmp_path / "other" / "history.json")
    assert answers(in_go, tmp_path / "one") == ("yes", "yes")
    assert answers(in_go, tmp_path / "other") == ("yes", "no")


@pytest.mark.slow
def test_the_example_of_the_specification(in_go, tmp_path) -> None:
    """70,000 entries have the tiles that tlog-tiles names, and Go finds them true."""
    written(tmp_path, [65_000, EXAMPLE])
    tiles = tmp_path / "log" / "tile"
    names = {path.relative_to(tiles).as_posix() for path in tiles.rglob("*") if path.is_file()}
    last = {name for name in names if ".p/" in name}
    full = {name for name in names - last if name.startswith("0/")}
    assert len(full) == EXAMPLE // 256 == 273
    assert {"0/273.p/112", "1/001.p/17", "2/000.p/1", "entries/273.p/112"} <= last
    assert {name for name in names if name.startswith("1/")} >= {"1/000"}
    assert len(tiles.joinpath("1/000").read_bytes()) == 8192
    assert answers(in_go, tmp_path) == ("yes", "yes")
