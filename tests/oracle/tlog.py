"""The files of a tiled log, a second time: tlog-tiles' definition of a tile, word for word."""

from __future__ import annotations

from oracle.merkle import mth


def encoded(n: int) -> str:
    """Return a tile's index as path elements: 1234067 is x001/x234/067."""
    elements: list[str] = []
    while True:
        elements.insert(0, str(n % 1000).zfill(3))
        n = n // 1000
        if n == 0:
            break
    return "/".join(["x" + element for element in elements[:-1]] + [elements[-1]])


def files(d: list[bytes]) -> dict[str, bytes]:
    """Return every tile and bundle of a log that has had this one size only, by path."""
    s = len(d)
    found: dict[str, bytes] = {}
    level = 0
    while s // 256**level > 0:
        # Hash i of tile n: MTH(D[(n * 256 + i) * 256**l : (n * 256 + i + 1) * 256**l])
        hashes = []
        for number in range(s // 256**level):
            hashes.append(mth(d[number * 256**level : (number + 1) * 256**level]))
        for n in range(len(hashes) // 256):
            found[f"tile/{level}/{encoded(n)}"] = b"".join(hashes[n * 256 : (n + 1) * 256])
        w = (s // 256**level) % 256
        if w > 0:
            n = len(hashes) // 256
            found[f"tile/{level}/{encoded(n)}.p/{w}"] = b"".join(hashes[n * 256 :])
        level = level + 1
    for n in range(s // 256):
        found[f"tile/entries/{encoded(n)}"] = bundle(d[n * 256 : (n + 1) * 256])
    if s % 256 > 0:
        found[f"tile/entries/{encoded(s // 256)}.p/{s % 256}"] = bundle(d[s // 256 * 256 :])
    return found


def bundle(entries: list[bytes]) -> bytes:
    """Return big-endian uint16 length-prefixed entries."""
    found = b""
    for entry in entries:
        found = found + bytes([len(entry) // 256, len(entry) % 256]) + entry
    return found
