"""The member set, word by word from docs/spec/memberset.md: lists, texts of bits, recursion.

The twin of letterlock.record.memberset; it shares no code with it.
"""

from __future__ import annotations

from hashlib import sha256


def bits(name: bytes) -> str:
    """Return a name as 256 digits 0 and 1."""
    return f"{int.from_bytes(name, 'big'):0256b}"


def depth(names: list[bytes]) -> int:
    """Return the least d with 2**d at least the number of names."""
    d = 0
    while 2**d < len(names):
        d += 1
    return d


def buckets(names: list[bytes], d: int) -> list[bytes]:
    """Return the data of each of the 2**d buckets."""
    prefixes = [f"{number:b}".zfill(d) if d else "" for number in range(2**d)]
    mine: dict[str, list[bytes]] = {prefix: [] for prefix in prefixes}
    for name in names:
        mine[bits(name)[:d]].append(name)
    return [b"".join(sorted(mine[prefix])) for prefix in prefixes]


def root(entries: list[bytes]) -> bytes:
    """RFC 6962 §2.1."""
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    return sha256(b"\x01" + root(entries[:k]) + root(entries[k:])).digest()


def path(number: int, entries: list[bytes]) -> list[bytes]:
    """RFC 6962 §2.1.1."""
    if len(entries) <= 1:
        return []
    k = 1
    while 2 * k < len(entries):
        k *= 2
    if number < k:
        return [*path(number, entries[:k]), root(entries[k:])]
    return [*path(number - k, entries[k:]), root(entries[:k])]


def proof(names: list[bytes], name: bytes) -> tuple[bytes, list[bytes]]:
    """Return the bucket of a name and its path."""
    d = depth(names)
    number = int(bits(name)[:d] or "0", 2)
    entries = buckets(names, d)
    return entries[number], path(number, entries)
