"""A log's folder over real HTTP: what is public is there with its type, and nothing else is."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from letterlock.web.log import app
from witnessing import running

TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
BLOB = "blobs/" + "0a" * 32

PUBLIC = {
    "checkpoint": TEXT,
    "policy": TEXT,
    "checkpoints/0": TEXT,
    "checkpoints/70000": TEXT,
    "tile/0/000": BYTES,
    "tile/0/273.p/112": BYTES,
    "tile/0/x001/x234/067": BYTES,
    "tile/0/x001/000.p/255": BYTES,
    "tile/63/000.p/1": BYTES,
    "tile/entries/000": BYTES,
    "tile/entries/x001/000.p/9": BYTES,
    BLOB: BYTES,
}

# None of these names a file of a log, and so none is looked up, though each of them is there.
PRIVATE = [
    "secret", ".hidden", "blobs/.hidden", "blobs/secret", "checkpoints/x", "checkpoints/01",
    "tile/0/000.part", "tile/0/.part", "tile/64/000", "tile/00/000", "tile/0/0000",
    "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/entries/1",
]  # fmt: skip

ELSEWHERE = [
    "/../ledger.db", "/%2e%2e/ledger.db", "/..%2fledger.db", "/%2e%2e%2fledger.db",
    "/tile/../../ledger.db", "/tile/%2e%2e/%2e%2e/ledger.db", "/blobs/..%2f..%2fledger.db",
    "//ledger.db", "/./../ledger.db", "/checkpoint/../../ledger.db", "/..\\ledger.db",
    "/%252e%252e/ledger.db", "/%c0%ae%c0%ae/ledger.db", "/checkpoint%00", "/checkpoint%0a",
    "/checkpoint/", "//checkpoint", "/CHECKPOINT", "/tile", "/tile/0", "/tile/0/", "/blobs/", "/",
    "/keys/ed25519.key", "/log/checkpoint", "/checkpoint;x", "/checkpoint%3fx", "/%2fetc/passwd",
    "http://other.example/../ledger.db",
]  # fmt: skip


def get(url: str, target: str, *, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Ask for a target as it is written, byte for byte: no client tidies it up on the way."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as wire:
        wire.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        found = b""
        while chunk := wire.recv(65536):
            found += chunk
    head, _, body = found.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]), headers, body


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return the log's folder in a workspace that has secrets beside it."""
    (tmp_path / "ledger.db").write_text("SECRET")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "ed25519.key").write_text("SECRET")
    folder = tmp_path / "log"
    for path in (*PUBLIC, *PRIVATE):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"public {path}" if path in PUBLIC else "SECRET")
    return folder


@pytest.fixture
def url(log: Path) -> Iterator[str]:
    """Yield where the log is served."""
    with running(app(log)) as found:
        yield found


def test_every_public_file_is_served_with_its_type(url: str):
    """Text or bytes, and how long it may be kept: what is signed anew is never kept."""
    for path, content_type in PUBLIC.items():
        status, headers, body = get(url, f"/{path}")
        assert (status, body) == (200, f"public {path}".encode())
        assert headers["content-type"] == content_type
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["access-control-allow-origin"] == "*"
        kept = headers["cache-control"]
        assert kept == (
            "no-cache" if content_type is TEXT else "public, max-age=31536000, immutable"
        )


def test_head_gives_the_headers_alone(url: str):
    """And the length."""
    status, headers, body = get(url, "/checkpoint", method="HEAD")
    assert (status, headers["content-length"], body) == (200, "17", b"")


def test_a_large_file_arrives_whole(url: str, log: Path):
    """In pieces, as long as it says."""
    content = os.urandom(3_000_000)
    (log / BLOB).write_bytes(content)
    status, headers, body = get(url, f"/{BLOB}")
    assert (status, int(headers["content-length"])) == (200, len(content))
    assert body == content


def test_nothing_else_of_the_workspace_is_reachable(url: str):
    """Neither by dots, encoded or not, nor by other names: 404, with nothing in it."""
    for target in (*ELSEWHERE, *(f"/{path}" for path in PRIVATE)):
        status, _, body = get(url, target)
        assert status in {400, 404}, target
        assert b"SECRET" not in body, target


def test_no_link_is_followed(url: str, log: Path, tmp_path: Path):
    """Neither a file that is a link, nor a folder on the way, wherever it leads."""
    secret = tmp_path / "ledger.db"
    (log / "checkpoint").unlink()
    (log / "checkpoint").symlink_to(secret)
    (log / BLOB).unlink()
    (log / BLOB).symlink_to(log / "policy")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "000").write_text("SECRET")
    (log / "tile" / "5").symlink_to(tmp_path / "other", target_is_directory=True)
    for path in ("checkpoint", BLOB, "tile/5/000"):
        status, _, body = get(url, f"/{path}")
        assert (status, body) == (404, b"not here\n")


def test_what_is_no_file_is_not_served(url: str, log: Path):
    """A folder, a pipe, or nothing at all."""
    (log / "policy").unlink()
    os.mkfifo(log / "policy")
    (log / "checkpoint").unlink()
    (log / "checkpoint").mkdir()
    (log / BLOB).unlink()
    for path in ("policy", "checkpoint", BLOB, "tile/0/999"):
        assert get(url, f"/{path}")[0] == 404


def test_nothing_can_be_written(url: str):
    """GET and HEAD, and no other method."""
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert get(url, "/checkpoint", method=method)[0] == 405


def test_a_log_that_is_not_there_is_404(tmp_path: Path):
    """Until it is."""
    with running(app(tmp_path / "log")) as url:
        assert get(url, "/checkpoint")[0] == 404
        (tmp_path / "log").mkdir()
        (tmp_path / "log" / "checkpoint").write_text("now")
        assert get(url, "/checkpoint")[::2] == (200, b"now")
