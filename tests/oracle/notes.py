"""Notes and policies, slow and obvious: written from the words of signed-note and tlog-policy.

What the library has in one regular expression or one set is spelt out here, sentence by sentence,
with the bounds and the stricter readings of docs/spec/notes.md.
"""

from __future__ import annotations

from collections.abc import Mapping

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
SPACES = [9, 10, 11, 12, 13, 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)]
SPACES += [0x2028, 0x2029, 0x202F, 0x205F, 0x3000]

Line = tuple[str, bytes, bytes]


def base64(text: str) -> bytes | None:
    """RFC 4648 §4: four letters are three bytes; padded; the bits left over are zero (§3.5)."""
    if len(text) % 4 != 0:
        return None
    bare = text
    if bare.endswith("=="):
        bare = bare[:-2]
    elif bare.endswith("="):
        bare = bare[:-1]
    bits = ""
    for letter in bare:
        if letter not in LETTERS:
            return None
        bits += f"{LETTERS.index(letter):06b}"
    whole = len(bits) // 8 * 8
    if "1" in bits[whole:]:
        return None
    # The padding says how many bytes the last group has.
    if len(text) - len(bare) != {0: 0, 2: 1, 4: 2}.get(len(bits) - whole):
        return None
    return bytes(int(bits[i : i + 8], 2) for i in range(0, whole, 8))


def signature_line(line: str) -> Line | None:
    """Em dash, space, key name, space, base64 of four bytes and at least one more."""
    if not line.startswith("\u2014 "):
        return None
    words = line[2:].split(" ")
    if len(words) != 2:
        return None
    name, signature = words
    # Key names MUST be non-empty and MUST NOT contain any Unicode spaces or plus characters.
    if name == "" or len(name.encode()) > 255:
        return None
    for letter in name:
        if ord(letter) in SPACES or letter == "+":
            return None
    data = base64(signature)
    if data is None or len(data) < 5:
        return None
    return name, data[:4], data[4:]


def note(data: bytes) -> tuple[str, list[Line]] | None:
    """Return the text of a note and its signature lines; None if it is none."""
    if len(data) > 1_000_000:
        return None
    # MUST be valid UTF-8 and MUST NOT contain any ASCII control characters other than newline.
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        return None
    for letter in whole:
        if ord(letter) < 0x20 and letter != "\n":
            return None
    if not whole.endswith("\n"):
        return None
    lines = whole[:-1].split("\n")
    # The text is separated from the signatures by the last empty line in the note.
    if "" not in lines:
        return None
    last = max(at for at, line in enumerate(lines) if line == "")
    text, rest = lines[:last], lines[last + 1 :]
    # The text ends in a newline of its own, so an empty line in the first place separates nothing.
    if not text or not 1 <= len(rest) <= 100:
        return None
    signatures = []
    for line in rest:
        signature = signature_line(line)
        if signature is None:
            return None
        signatures.append(signature)
    return "".join(line + "\n" for line in text), signatures


def witnessed(
    name: bytes, seen: set[bytes], groups: Mapping[bytes, tuple[int, tuple[bytes, ...]]]
) -> bool:
    """A group witnesses if and only if at least k of its n members have witnessed."""
    if name not in groups:
        return name in seen
    needed, members = groups[name]
    count = 0
    for member in members:
        if witnessed(member, seen, groups):
            count += 1
    return count >= needed
