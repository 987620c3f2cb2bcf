"""Write the golden vectors of notes, policies and proof files: `python tests/vectors/note/make.py`.

Everything follows from the seeds below, so a second run writes the same files (what ML-DSA-44 signs
is signed by the slow twin in tests/oracle, which leaves chance out). How the vectors are read, and
by what they were checked: PROVENANCE.md.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from nacl import bindings as sodium

from letterlock.record import checkpoint as checkpoints
from letterlock.record import merkle
from letterlock.record import note as notes
from letterlock.record import prooffile as prooffiles
from letterlock.record import quorum as quorums
from letterlock.record.checkpoint import Checkpoint, cosign
from letterlock.record.note import Kind, Note, SecretSigner, SignatureLine, Verifier
from letterlock.record.prooffile import ProofFile
from letterlock.record.quorum import Group, LogKey, Policy, Witness
from oracle import mldsa

HERE = Path(__file__).parent
Vector = dict[str, Any]
ORIGIN = "letterlock.example/log"
TIME = 1_700_000_000
ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19


class Twin:
    """A signer of type 06 that signs the same with the same bytes."""

    def __init__(self, name: str, seed: bytes) -> None:
        """Derive the key."""
        self.seed = seed
        self.verifier = Verifier(name, Kind.MLDSA44, mldsa.public_key(seed))

    def sign(self, message: bytes) -> bytes:
        """Sign deterministically."""
        return mldsa.sign(self.seed, message)


def seed(first: int) -> bytes:
    """Return 32 bytes that count up from `first`."""
    return bytes(range(first, first + 32))


LOG = SecretSigner(ORIGIN, Kind.ED25519, seed(0))
LOG6 = Twin(ORIGIN, seed(0x40))
OTHER_LOG = SecretSigner("other.example/log", Kind.ED25519, seed(0x50))
W1 = SecretSigner("witness.example/w1", Kind.COSIGNATURE, seed(0x20))
W2 = Twin("witness.example/w2", seed(0x60))
W3 = SecretSigner("witness.example/w3", Kind.COSIGNATURE, seed(0x70))
AUTHOR = SecretSigner("author.example/a", Kind.ED25519, seed(0x80))
STRANGER = SecretSigner("stranger.example", Kind.ED25519, seed(0x90))

ENTRIES = [bytes.fromhex(each) for each in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
TREE = merkle.Tree(map(merkle.leaf_hash, ENTRIES))
CHECKPOINT = Checkpoint(ORIGIN, 8, TREE.root)
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


# ── how a vector is written ─────────────────────────────────────────────────────────────────


def data(name: str, value: bytes) -> Vector:
    """Write bytes as text, or as hexadecimal digits where they are none."""
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_hex": value.hex()}


def vkey(text: str) -> Vector:
    """A key, alone."""
    return {"form": "vkey", "input": text}


def signed(value: bytes | str, *keys: Verifier) -> Vector:
    """A note, and the keys to check it with."""
    value = value.encode() if isinstance(value, str) else value
    listed = [key.vkey for key in keys or [AUTHOR.verifier]]
    return {"form": "note", "keys": listed, **data("input", value)}


def checkpoint(value: bytes | Note, *keys: Verifier) -> Vector:
    """A checkpoint, and the keys to check it with."""
    value = value if isinstance(value, bytes) else value.encode()
    listed = [key.vkey for key in keys or [LOG.verifier]]
    return {"form": "checkpoint", "keys": listed, **data("input", value)}


def policy(value: bytes | str) -> Vector:
    """A policy, alone."""
    return {"form": "policy", **data("input", value.encode() if isinstance(value, str) else value)}


def quorum(value: bytes | Note, rules: Policy, now: int | None = None) -> Vector:
    """A checkpoint, and the policy to check it with."""
    value = value if isinstance(value, bytes) else value.encode()
    return {"form": "quorum", "policy": rules.encode().decode(), "now": now, **data("input", value)}


def proof(value: bytes | ProofFile, entry: bytes, rules: Policy | None = None) -> Vector:
    """A proof file, the entry that it is for, and the policy to check it with."""
    value = value if isinstance(value, bytes) else value.encode()
    rules = (rules or PLAIN).encode().decode()
    return {"form": "proof", "policy": rules, "entry_hex": entry.hex(), **data("input", value)}


def seen(each: checkpoints.Seen) -> Vector:
    """Whose signature, and as of when."""
    return {"vkey": each.verifier.vkey, "seconds": each.seconds}


def taken(value: bytes) -> Vector:
    """What a checkpoint says."""
    found = checkpoints.parse(notes.parse(value).text)
    extensions = list(found.extensions)
    return {
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "extensions": extensions,
    }


# ── the valid ones ──────────────────────────────────────────────────────────────────────────

NOTE = notes.sign("One line.\n", [AUTHOR])
BOTH = checkpoints.sign(CHECKPOINT, [LOG, LOG6], TIME)
FULL = BOTH.signed_by(cosign(BOTH, each, TIME + i) for i, each in enumerate((W1, W2, W3), start=1))
BARE = checkpoints.sign(CHECKPOINT, [LOG], TIME)
EXTENDED = checkpoints.sign(replace(CHECKPOINT, extensions=("more",)), [LOG], TIME)

PLAIN = Policy((LogKey(LOG.verifier), LogKey(LOG6.verifier)))
WITNESSES = (
    Witness(b"w1", W1.verifier),
    Witness(b"w2", W2.verifier, "https://witness.example/w2"),
    Witness(b"w3", W3.verifier),
)
TWO = replace(PLAIN, witnesses=WITNESSES, groups=(Group(b"g", 2, (b"w1", b"w2", b"w3")),),
              quorum=b"g")  # fmt: skip
ALL = replace(TWO, groups=(Group(b"g", 3, (b"w1", b"w2", b"w3")),))
KEYS = [each.verifier for each in (LOG, LOG6, W1, W2, W3)]
LEVELS = replace(
    TWO,
    groups=(Group(b"near", 1, (b"w1", b"w2")), Group(b"everybody", 2, (b"near", b"w3"))),
    quorum=b"everybody",
)
PROOFS = [ProofFile(i, tuple(TREE.inclusion(i)), BOTH.encode()) for i in range(len(ENTRIES))]


def only(*at: int) -> Note:
    """Return the checkpoint that everybody signed with some of its signature lines."""
    return Note(FULL.text, tuple(FULL.signatures[i] for i in at))


def lines(*words: str) -> str:
    """Return the lines of a policy."""
    return "".join(f"{each}\n" for each in words)


def named(name: str, key: SecretSigner | Twin, url: str = "") -> str:
    """Return the line of a witness."""
    return f"witness {name} {key.verifier.vkey} {url}".rstrip()


L1 = f"log {LOG.verifier.vkey}"
L6 = f"log {LOG6.verifier.vkey} https://log.example/"
N1, N2, N3 = named("w1", W1), named("w2", W2), named("w3", W3)


def valid() -> Iterator[tuple[str, Vector]]:
    """Yield what has to be accepted."""
    yield from good_notes()
    yield from good_checkpoints()
    yield from good_policies()
    yield from good_proofs()


def good_notes() -> Iterator[tuple[str, Vector]]:
    """Yield keys, and notes that their author signed."""
    for name, signer in (("ed25519", LOG), ("cosignature", W1), ("mldsa44", LOG6)):
        yield f"vkey-{name}", vkey(signer.verifier.vkey)
    yield "vkey-name-in-other-letters", vkey(verifier("журнал.example").vkey)
    yield "vkey-name-of-255-bytes", vkey(verifier("n" * 255).vkey)

    yield "note-of-go", {"form": "note", "keys": [GO_KEY], "input": GO_NOTE}
    yield "note", signed(NOTE.encode())
    stranger = notes.sign(NOTE.text, [STRANGER]).signatures
    yield "note-and-an-unknown-key", signed(NOTE.signed_by(stranger).encode())
    fake = replace(NOTE.signatures[0], key_id=b"\0\0\0\0")
    yield "note-and-an-unknown-key-of-the-same-name", signed(NOTE.signed_by([fake]).encode())
    fake = replace(NOTE.signatures[0], name="else.example")
    yield "note-and-an-unknown-key-with-the-same-id", signed(NOTE.signed_by([fake]).encode())
    yield "note-signed-twice-by-one-key", signed(NOTE.signed_by(NOTE.signatures).encode())
    for name, text in (
        ("with-an-empty-line", "One.\n\nTwo.\n"),
        ("that-ends-in-an-empty-line", "One.\n\n"),
        ("that-starts-with-an-empty-line", "\nOne.\n"),
        ("of-one-newline", "\n"),
        ("with-what-looks-like-a-signature", "One.\n\n— author.example/a AAAAAAA=\nTwo.\n"),
        ("in-other-letters", "Ein Brief: žádná, 信, 𝄞\u2028, \x7f\x85\n"),
    ):
        yield f"note-text-{name}", signed(notes.sign(text, [AUTHOR]).encode())
    many = [SecretSigner(f"s{i}.example", Kind.ED25519, bytes([i]) * 32) for i in range(16)]
    sixteen = notes.sign(NOTE.text, many)
    yield "note-sixteen-signatures", signed(sixteen.encode(), *(each.verifier for each in many))
    hundred = Note(NOTE.text, NOTE.signatures + stranger * 99)
    yield "note-hundred-signatures", signed(hundred.encode())


def good_checkpoints() -> Iterator[tuple[str, Vector]]:
    """Yield checkpoints that the keys asked for signed."""
    # The vector of the first design: this log, this witness, this time.
    first = BARE.signed_by([cosign(BARE, W1, TIME)])
    yield "checkpoint-of-a-log-and-a-witness", checkpoint(first, LOG.verifier, W1.verifier)
    yield "checkpoint-of-everybody", checkpoint(FULL, *KEYS)
    yield "checkpoint-of-a-log-with-mldsa44", checkpoint(only(1), LOG6.verifier)
    yield "checkpoint-witnessed-with-mldsa44", checkpoint(only(0, 3), W2.verifier)
    empty = Checkpoint(ORIGIN, 0, merkle.EMPTY_ROOT)
    yield "checkpoint-of-an-empty-log", checkpoint(checkpoints.sign(empty, [LOG], TIME))
    largest = checkpoints.sign(replace(CHECKPOINT, size=2**63 - 1), [LOG, LOG6], 2**63 - 1)
    yield "checkpoint-of-the-largest-numbers", checkpoint(largest, LOG.verifier, LOG6.verifier)
    yield "checkpoint-with-an-extension-line", checkpoint(EXTENDED)
    twice = BARE.signed_by([cosign(BARE, W1, TIME + 5), cosign(BARE, W1, TIME)])
    yield "checkpoint-cosigned-twice-by-one-key", checkpoint(twice, W1.verifier)
    timeless = BARE.signed_by([cosign(BARE, W2, 0)])
    yield "checkpoint-cosigned-without-a-time", checkpoint(timeless, W2.verifier)
    spaced = "журнал with a space + a plus"
    odd = notes.sign(replace(CHECKPOINT, origin=spaced).text(), [STRANGER])
    yield "checkpoint-with-an-origin-that-names-no-key", checkpoint(odd, STRANGER.verifier)


def good_policies() -> Iterator[tuple[str, Vector]]:
    """Yield policies, and checkpoints that they accept."""
    yield "policy", policy(LEVELS.encode())
    yield "policy-quorum-none", policy("quorum none\n")
    yield (
        "policy-any-and-all",
        policy(lines(L1, N1, N2, N3, "group a any w1 w2", "group b all a w3", "quorum b")),
    )
    yield "policy-of-one-witness", policy(lines(L1, N1, N2, "quorum w1", N3))
    white = f"# a remark\n\n \t{L1}\t\n\t\n  # another\n{N1.replace(' ', '  ')}\t \nquorum\tw1\n"
    yield "policy-white-space-and-remarks", policy(white)
    octets = lines(L1, N1, N2).encode().replace(b" w1", b" \xff").replace(b" w2", b" \xfe\xff")
    yield (
        "policy-names-that-are-no-text",
        policy(octets + b"group \xe2 2 \xfe\xff \xff\nquorum \xe2\n"),
    )
    yield (
        "policy-names-that-look-alike",
        policy(lines(named("K", W1), named("\u212a", W2), "group k all K \u212a", "quorum k")),
    )
    yield (
        "policy-names-that-are-words",
        policy(lines(named("any", W1), named("all", W2), "group 2 all any all", "quorum 2")),
    )
    yield (
        "policy-quorum-is-a-member-of-a-group",
        policy(lines(N1, N2, N3, "group a any w1 w2", "group b all a w3", "quorum a")),
    )

    yield "quorum-none", quorum(only(0), PLAIN)
    yield "quorum-log-with-mldsa44-only", quorum(only(1), PLAIN)
    yield "quorum-two-of-three", quorum(only(0, 2, 4), TWO)
    yield "quorum-three-of-three", quorum(FULL, ALL)
    yield "quorum-two-levels", quorum(only(0, 3, 4), LEVELS)
    yield "quorum-clock-ahead-by-five-minutes", quorum(FULL, ALL, TIME + 3 - 300)
    yield "quorum-clock-ahead-of-one-that-is-not-needed", quorum(FULL, TWO, TIME + 2 - 300)
    yield "quorum-extension-line", quorum(EXTENDED, PLAIN)


def good_proofs() -> Iterator[tuple[str, Vector]]:
    """Yield proof files that show their entry in the log."""
    for i, each in enumerate(PROOFS):
        yield f"proof-{i}-of-8", proof(each, ENTRIES[i])
    alone = Checkpoint(ORIGIN, 1, merkle.leaf_hash(b"alone"))
    one = checkpoints.sign(alone, [LOG], TIME)
    yield "proof-0-of-1", proof(ProofFile(0, (), one.encode()), b"alone")
    yield "proof-with-extra-data", proof(replace(PROOFS[5], extra=b"\xfb\xff"), ENTRIES[5])
    yield (
        "proof-with-witnesses",
        proof(replace(PROOFS[2], checkpoint=FULL.encode()), ENTRIES[2], ALL),
    )


# ── the tampered ones ───────────────────────────────────────────────────────────────────────


def verifier(name: str) -> Verifier:
    """Return the log's key under another name."""
    return replace(LOG.verifier, name=name)


def raw(name: str, kind: int, public: bytes) -> str:
    """Write a vkey, its key id computed, whatever is in it."""
    tagged = bytes([kind]) + public
    key_id = hashlib.sha256(name.encode() + b"\n" + tagged).hexdigest()[:8]
    return f"{name}+{key_id}+{b64encode(tagged).decode()}"


def point(y: int) -> bytes:
    """Encode a point by its y, x even."""
    return y.to_bytes(32, "little")


def bit(value: bytes, at: int = 0) -> bytes:
    """Flip the lowest bit of one byte."""
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


def swapped(value: bytes, old: bytes | str, new: bytes | str) -> bytes:
    """Replace one thing in what was written, which has to be there."""
    old, new = (each.encode() if isinstance(each, str) else each for each in (old, new))
    assert old in value, old
    return value.replace(old, new, 1)


def changed(note: Note, at: int, change: Callable[[bytes], bytes]) -> Note:
    """Return a note with other bytes in one signature."""
    line = note.signatures[at]
    found = list(note.signatures)
    found[at] = replace(line, blob=change(line.blob))
    return Note(note.text, tuple(found))


ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
MIXED = sodium.crypto_core_ed25519_add(LOG.verifier.public, ORDER_8)

BAD_KEYS = {
    "vkey-of-the-identity": point(1),
    "vkey-of-the-identity-with-a-sign": bytes([1, *[0] * 30, 0x80]),
    "vkey-of-the-identity-not-canonical": point(FIELD + 1),
    "vkey-of-order-2": point(FIELD - 1),
    "vkey-of-order-4": point(0),
    "vkey-of-order-8": ORDER_8,
    "vkey-of-mixed-order": MIXED,
    "vkey-that-is-no-point": point(2),
    "vkey-y-not-canonical": point(FIELD + 3),
    "vkey-of-31-bytes": LOG.verifier.public[:31],
    "vkey-of-33-bytes": LOG.verifier.public + b"\0",
}


def bad_vkeys() -> Iterator[tuple[str, str]]:
    """Yield texts that are no keys."""
    good = LOG.verifier.vkey
    name, key_id, key = good.split("+", 2)
    for what, public in BAD_KEYS.items():
        yield what, raw(name, 1, public)
    yield "vkey-of-order-8-for-cosignatures", raw(name, 4, ORDER_8)
    yield "vkey-mldsa44-a-byte-short", raw(name, 6, LOG6.verifier.public[:-1])
    yield "vkey-mldsa44-a-byte-long", raw(name, 6, LOG6.verifier.public + b"\0")
    yield "vkey-ed25519-said-to-be-mldsa44", raw(name, 6, LOG.verifier.public)
    for kind in (0, 2, 3, 5, 0xFF):
        yield f"vkey-of-type-{kind:02x}", raw(name, kind, LOG.verifier.public)
    for what, other in (
        ("empty-name", ""),
        ("space-in-name", "a b"),
        ("no-break-space-in-name", "a\u00a0b"),
        ("line-separator-in-name", "a\u2028b"),
        ("next-line-in-name", "a\u0085b"),
        ("newline-in-name", "a\nb"),
        ("nul-in-name", "a\0b"),
        ("name-of-256-bytes", "n" * 256),
        ("name-of-256-bytes-in-fewer-letters", "ж" * 128),
    ):
        yield f"vkey-{what}", raw(other, 1, LOG.verifier.public)
    yield "vkey-empty", ""
    yield "vkey-name-only", name
    yield "vkey-without-key", f"{name}+{key_id}"
    yield "vkey-with-an-empty-key", f"{name}+{key_id}+"
    yield "vkey-without-key-id", f"{name}++{key}"
    yield "vkey-other-key-id", f"{name}+175e4082+{key}"
    yield (
        "vkey-key-id-in-upper-case",
        raw("upper.example", 1, AUTHOR.verifier.public).replace(
            "+" + replace(AUTHOR.verifier, name="upper.example").key_id.hex(),
            "+" + replace(AUTHOR.verifier, name="upper.example").key_id.hex().upper(),
        ),
    )
    yield "vkey-short-key-id", f"{name}+{key_id[1:]}+{key}"
    yield "vkey-other-name", f"other.example+{key_id}+{key}"
    yield "vkey-base64-with-a-space", f"{good} "
    yield "vkey-base64-padded-too-much", f"{good}===="
    six = LOG6.verifier.vkey
    assert six.endswith("=")
    yield "vkey-base64-without-padding", six.rstrip("=")
    yield "vkey-base64-with-bits-left-over", left_over(six)


def left_over(text: str) -> str:
    """Set the bits that base64 leaves over before its padding."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    bare = text.rstrip("=")
    assert bare != text
    return bare[:-1] + letters[letters.index(bare[-1]) | 1] + text[len(bare) :]


def forged(signer: SecretSigner, secret: bytes, message: bytes, torsion: bytes) -> bytes:
    """Sign such that only a check that multiplies by the cofactor accepts it: R has `torsion`."""
    scalar = bytearray(hashlib.sha512(secret).digest()[:32])
    scalar[0] &= 248
    scalar[31] = scalar[31] & 127 | 64
    r = sodium.crypto_core_ed25519_scalar_reduce(hashlib.sha512(b"r" + message).digest())
    first = sodium.crypto_scalarmult_ed25519_base_noclamp(r)
    first = sodium.crypto_core_ed25519_add(first, torsion)
    digest = hashlib.sha512(first + signer.verifier.public + message).digest()
    h = sodium.crypto_core_ed25519_scalar_reduce(digest)
    return first + sodium.crypto_core_ed25519_scalar_add(
        r, sodium.crypto_core_ed25519_scalar_mul(h, bytes(scalar))
    )


def more_order(signature: bytes) -> bytes:
    """Add the group's order to s: the same number modulo the order, written otherwise."""
    s = int.from_bytes(signature[32:], "little") + ORDER
    return signature[:32] + s.to_bytes(32, "little")


def bad_notes() -> Iterator[tuple[str, bytes]]:
    """Yield what is no note, or not signed by its author."""
    good = NOTE.encode()
    line = NOTE.signatures[0]
    base64 = notes.to_base64(line.key_id + line.blob)
    yield "empty", b""
    yield "only-newlines", b"\n\n\n"
    yield "text-not-utf8", swapped(good, "One", b"\xff")
    yield "text-overlong-utf8", swapped(good, "One", b"\xc1\x8fne")
    yield "text-with-a-surrogate", swapped(good, "One", b"\xed\xa0\x80")
    for name, code in (("nul", 0), ("tab", 9), ("carriage-return", 13), ("escape", 27)):
        text = f"One{chr(code)}line.\n"
        blob = AUTHOR.sign(text.encode())
        note = text.encode() + b"\n" + replace(line, blob=blob).encode()
        yield f"text-with-{name}", note
    yield "lines-end-in-carriage-returns", good.replace(b"\n", b"\r\n")
    yield "byte-order-mark", b"\xef\xbb\xbf" + good
    yield "text-bit", swapped(good, "One", "One".replace("O", "N"))
    yield "text-and-a-line", swapped(good, "line.\n", "line.\nMore.\n")
    yield "text-and-an-empty-line", swapped(good, "line.\n", "line.\n\n")
    yield "text-without-newline", swapped(good, "line.\n\n", "line.\n")
    yield "no-text", good.partition(b"\n\n")[2]
    yield "no-signatures", NOTE.text.encode() + b"\n"
    yield "text-alone", NOTE.text.encode()
    yield "last-newline-missing", good[:-1]
    yield "empty-line-after-the-signatures", good + b"\n"
    yield "text-after-the-signatures", good + b"More.\n"
    yield "empty-line-between-signatures", good + b"\n" + line.encode()
    for name, old, new in (
        ("hyphen-for-the-dash", "— ", "- "),
        ("en-dash-for-the-dash", "— ", "– "),
        ("no-space-after-the-dash", "— ", "—"),
        ("two-spaces-after-the-dash", "— ", "—  "),
        ("space-before-the-dash", "— ", " — "),
        ("two-spaces-after-the-name", "/a ", "/a  "),
        ("tab-after-the-name", "/a ", "/a\t"),
        ("no-name", "author.example/a ", ""),
        ("empty-name", "author.example/a", ""),
        ("plus-in-the-name", "author.example/a", "author.example+a"),
        ("no-break-space-in-the-name", "author.example/a", "author.example\u00a0a"),
        ("ideographic-space-in-the-name", "author.example/a", "author.example\u3000a"),
        ("name-too-long", "author.example/a", "n" * 256),
        ("no-signature", " " + base64, ""),
        ("empty-signature", base64, ""),
        ("key-id-without-signature", base64, notes.to_base64(line.key_id)),
        ("half-a-key-id", base64, notes.to_base64(line.key_id[:2])),
        ("base64-and-a-space", base64, base64 + " "),
        ("base64-and-a-word", base64, base64 + " more"),
        ("base64-without-padding", base64, base64.rstrip("=")),
        ("base64-padded-too-much", base64, base64 + "="),
        ("base64-with-bits-left-over", base64, left_over(base64)),
        ("base64-with-another-letter", base64, base64[:-4] + "-" + base64[-3:]),
    ):
        yield f"line-with-{name}", swapped(good, old, new)
    for name, bad in (
        ("a-bit-of-r", bit(line.blob)),
        ("a-bit-of-s", bit(line.blob, 32)),
        ("s-plus-the-order", more_order(line.blob)),
        (
            "only-the-cofactored-check-holds",
            forged(AUTHOR, seed(0x80), NOTE.text.encode(), ORDER_8),
        ),
        ("a-byte-short", line.blob[:-1]),
        ("a-byte-long", line.blob + b"\0"),
        ("one-byte", b"\0"),
        ("all-zero", bytes(64)),
        ("of-the-text-without-its-newline", AUTHOR.sign(b"One line.")),
        ("of-the-text-and-the-empty-line", AUTHOR.sign(b"One line.\n\n")),
        ("by-another", STRANGER.sign(NOTE.text.encode())),
    ):
        yield f"signature-{name}", Note(NOTE.text, (replace(line, blob=bad),)).encode()
    bad_line = replace(line, blob=bit(line.blob))
    yield "signature-holds-and-another-of-that-key-does-not", NOTE.signed_by([bad_line]).encode()
    yield "signature-does-not-hold-and-another-does", Note(NOTE.text, (bad_line, line)).encode()
    yield "key-unknown", notes.sign(NOTE.text, [STRANGER]).encode()
    other = replace(line, name="else.example")
    yield "key-known-by-its-id-only", Note(NOTE.text, (other,)).encode()
    other = replace(line, key_id=bit(line.key_id))
    yield "key-known-by-its-name-only", Note(NOTE.text, (other,)).encode()
    yield "hundred-and-one-signatures", good + line.encode() * 100


def note_error(name: str) -> str:
    """Say what a tampered note is: unreadable, or not signed."""
    unsigned = ("signature-", "key-", "text-bit", "text-and-a", "byte-order", "empty-line-between")
    return "SignatureError" if name.startswith(unsigned) else "InputError"


def resigned(text: str) -> bytes:
    """Sign a text that may be no checkpoint with the log's key."""
    return notes.sign(text, [LOG]).encode()


def bad_checkpoints() -> Iterator[tuple[str, str, Vector]]:
    """Yield what is no checkpoint although a log's key signed it, or is not signed as it should."""
    text = CHECKPOINT.text()
    root = text.split("\n")[2]
    for name, old, new in (
        ("size-with-a-leading-zero", "\n8\n", "\n08\n"),
        ("size-with-a-plus", "\n8\n", "\n+8\n"),
        ("size-with-a-minus", "\n8\n", "\n-8\n"),
        ("size-with-a-space", "\n8\n", "\n 8\n"),
        ("size-in-other-digits", "\n8\n", "\n\u0668\n"),
        ("size-with-an-underline", "\n8\n", "\n1_0\n"),
        ("size-in-hexadecimal", "\n8\n", "\n0x8\n"),
        ("size-with-a-point", "\n8\n", "\n8.0\n"),
        ("size-of-2-to-the-63", "\n8\n", f"\n{2**63}\n"),
        ("size-of-a-thousand-digits", "\n8\n", f"\n{'9' * 1000}\n"),
        ("without-size", "\n8\n", "\n"),
        ("with-an-empty-size", "\n8\n", "\n\n"),
        ("without-root", f"{root}\n", ""),
        ("with-an-empty-root", f"{root}\n", "\n"),
        ("root-of-31-bytes", root, notes.to_base64(TREE.root[:31])),
        ("root-of-33-bytes", root, notes.to_base64(TREE.root + b"\0")),
        ("root-without-padding", root, root.rstrip("=")),
        ("root-with-bits-left-over", root, left_over(root)),
        ("root-in-hexadecimal", root, TREE.root.hex()),
        ("root-and-a-space", root, root + " "),
        ("without-origin", ORIGIN + "\n", ""),
        ("with-an-empty-origin", ORIGIN, ""),
        ("with-an-origin-of-256-bytes", ORIGIN, "o" * 256),
        ("with-an-empty-extension-line", root + "\n", root + "\n\n"),
        ("with-an-empty-line-between-extensions", root + "\n", root + "\nmore\n\nmore\n"),
    ):
        yield name, "InputError", checkpoint(resigned(text.replace(old, new, 1)))
    stamp = (TIME + 1).to_bytes(8, "big")
    for at, key in ((2, W1), (3, W2)):
        what = f"cosignature-{key.verifier.kind:02}"
        for name, change in (
            ("with-another-time", bit_of_time),
            ("with-a-time-of-2-to-the-63", {4: too_late_04, 6: too_late_06}[key.verifier.kind]),
            ("without-a-time", lambda blob: blob[8:]),
            ("that-is-a-time-only", lambda blob: blob[:8]),
            ("that-is-shorter-than-a-time", lambda blob: blob[:7]),
            ("a-byte-short", lambda blob: blob[:-1]),
            ("a-byte-long", lambda blob: blob + b"\0"),
            ("with-a-bit-flipped", lambda blob: bit(blob, 40)),
        ):
            tampered = checkpoint(changed(FULL, at, change), key.verifier)
            yield f"{what}-{name}", "SignatureError", tampered
    plain = changed(FULL, 2, lambda _: stamp + W1.sign(text.encode()))
    yield "cosignature-04-of-the-text-alone", "SignatureError", checkpoint(plain, W1.verifier)
    holds = Note(text, (SignatureLine(ORIGIN, LOG.verifier.key_id, FULL.signatures[2].blob),))
    yield "cosignature-said-to-be-plain", "SignatureError", checkpoint(holds)
    for name, note in (
        ("origin", replace(CHECKPOINT, origin="other.example/log")),
        ("size", replace(CHECKPOINT, size=9)),
        ("root", replace(CHECKPOINT, root=bit(TREE.root))),
    ):
        for at, key in ((0, LOG), (1, LOG6), (2, W1), (3, W2)):
            tampered = checkpoint(Note(note.text(), (FULL.signatures[at],)), key.verifier)
            yield f"{name}-not-what-{key.verifier.kind:02}-signed-{at}", "SignatureError", tampered
    more = Note(EXTENDED.text, (FULL.signatures[1],))
    yield "extension-line-under-06-alone", "SignatureError", checkpoint(more, LOG6.verifier)
    other = Twin("witness.example/other", W2.seed)
    renamed = replace(FULL.signatures[3], name=other.verifier.name, key_id=other.verifier.key_id)
    stolen = checkpoint(Note(text, (renamed,)), other.verifier)
    yield "cosignature-06-under-another-name", "SignatureError", stolen
    later = subtree(start=4, end=8, root=TREE.node(2, 1), seconds=0)
    yield "cosignature-06-of-a-later-subtree", "SignatureError", later


def bit_of_time(blob: bytes) -> bytes:
    """Flip the lowest bit of the time."""
    return bit(blob, 7)


def subtree(start: int, end: int, root: bytes, seconds: int) -> Vector:
    """Cosign with type 06 what is no checkpoint: it starts after the first entry."""
    line = SignatureLine(
        W2.verifier.name, W2.verifier.key_id, subtree_signed(start, end, root, seconds)
    )
    return checkpoint(Note(Checkpoint(ORIGIN, end, root).text(), (line,)), W2.verifier)


def subtree_signed(start: int, end: int, root: bytes, seconds: int) -> bytes:
    """Write down time and signature of a subtree."""
    name, origin = W2.verifier.name.encode(), ORIGIN.encode()
    stamp = seconds.to_bytes(8, "big")
    message = (
        b"subtree/v1\n\0" + bytes([len(name)]) + name + stamp
        + bytes([len(origin)]) + origin + start.to_bytes(8, "big") + end.to_bytes(8, "big") + root
    )  # fmt: skip
    return stamp + W2.sign(message)


def too_late_04(_: bytes) -> bytes:
    """Sign a time that is none, properly."""
    message = f"cosignature/v1\ntime {2**63}\n{CHECKPOINT.text()}"
    return (2**63).to_bytes(8, "big") + W1.sign(message.encode())


def too_late_06(_: bytes) -> bytes:
    """Sign a time that is none, properly."""
    return subtree_signed(0, CHECKPOINT.size, CHECKPOINT.root, 2**63)


def bad_quorums() -> Iterator[tuple[str, Vector]]:
    """Yield checkpoints that a policy does not accept."""
    yield "log-did-not-sign", quorum(only(2, 3, 4), TWO)
    yield (
        "log-of-another-name-signed",
        quorum(
            notes.sign(CHECKPOINT.text(), [OTHER_LOG]),
            Policy((LogKey(LOG.verifier), LogKey(OTHER_LOG.verifier))),
        ),
    )
    yield "no-log-in-the-policy", quorum(FULL, replace(TWO, logs=()))
    yield "log-with-mldsa44-does-not-hold", quorum(changed(BOTH, 1, bit_of_time), PLAIN)
    yield "log-with-ed25519-does-not-hold", quorum(changed(BOTH, 0, bit), PLAIN)
    yield "one-of-two", quorum(only(0, 1, 3), TWO)
    yield "one-witness-twice", quorum(only(0, 1, 3, 3), TWO)
    yield "two-of-three", quorum(only(0, 1, 2, 4), ALL)
    yield "nobody-of-two", quorum(BOTH, TWO)
    yield "two-levels-without-the-upper", quorum(only(0, 2, 3), LEVELS)
    yield "two-levels-without-the-lower", quorum(only(0, 4), LEVELS)
    yield "enough-and-one-that-does-not-hold", quorum(changed(FULL, 4, bit_of_time), TWO)
    yield (
        "witness-not-in-the-policy",
        quorum(only(0, 4), replace(TWO, witnesses=WITNESSES[:2], groups=(), quorum=b"w1")),
    )
    yield "clock-of-one-ahead", quorum(FULL, ALL, TIME + 2 - 300)
    yield "clock-of-the-log-ahead", quorum(only(1), PLAIN, TIME - 301)
    extended = EXTENDED.signed_by([cosign(EXTENDED, each, TIME) for each in (LOG6, W1)])
    extended = Note(extended.text, extended.signatures[1:])
    yield (
        "extension-line-that-the-log-did-not-sign",
        quorum(extended, replace(TWO, groups=(), quorum=b"w1")),
    )


BAD_POLICIES: dict[str, bytes | str] = {
    "empty": "",
    "without-quorum": lines(L1, N1),
    "two-quorums": lines(L1, N1, "quorum w1", "quorum w1"),
    "quorum-and-quorum-none": lines(L1, N1, "quorum none", "quorum w1"),
    "quorum-unknown": lines(L1, N1, "quorum w2"),
    "quorum-before-its-name": lines(L1, "quorum w1", N1),
    "quorum-is-a-log": lines(L1, f"quorum {ORIGIN}"),
    "quorum-of-two-names": lines(L1, N1, N2, "quorum w1 w2"),
    "quorum-without-a-name": lines(L1, N1, "quorum"),
    "group-before-its-member": lines(N1, "group g any w1 w2", N2, "quorum g"),
    "group-of-itself": lines(N1, "group g any w1 g", "quorum g"),
    "group-of-nobody": lines(N1, "group g all", "quorum w1"),
    "group-without-anything": lines(N1, "group g", "quorum w1"),
    "group-that-needs-none": lines(N1, "group g 0 w1", "quorum g"),
    "group-that-needs-too-many": lines(N1, N2, "group g 3 w1 w2", "quorum g"),
    "group-that-needs-a-leading-zero": lines(N1, "group g 01 w1", "quorum g"),
    "group-that-needs-a-sign": lines(N1, "group g +1 w1", "quorum g"),
    "group-that-needs-other-digits": lines(N1, "group g \u0661 w1", "quorum g"),
    "group-that-needs-some": lines(N1, "group g some w1", "quorum g"),
    "group-that-needs-in-upper-case": lines(N1, "group g ANY w1", "quorum g"),
    "group-with-a-member-twice": lines(N1, N2, "group g 2 w1 w1", "quorum g"),
    "member-of-two-groups": lines(
        N1, N2, N3, "group a any w1 w2", "group b any w1 w3", "group c all a b", "quorum c"
    ),
    "group-in-two-groups": lines(
        N1, N2, N3, "group a any w1", "group b all a w2", "group c all a w3", "quorum c"
    ),
    "member-none": lines(N1, "group g any w1 none", "quorum g"),
    "witness-named-none": lines(named("none", W1), "quorum none"),
    "group-named-none": lines(N1, "group none any w1", "quorum none"),
    "witness-name-of-256-bytes": lines(named("n" * 256, W1), "quorum none"),
    "witnesses-of-one-name": lines(N1, named("w1", W2), "quorum w1"),
    "groups-of-one-name": lines(N1, N2, "group g any w1", "group g any w2", "quorum g"),
    "group-named-like-a-witness": lines(N1, N2, "group w2 any w1", "quorum w2"),
    "log-twice": lines(L1, L1, "quorum none"),
    "log-twice-under-another-name": lines(
        L1, f"log {verifier('other.example').vkey}", "quorum none"
    ),
    "witness-twice": lines(N1, N1.replace(" w1 ", " w2 "), "quorum w1"),
    "witness-key-under-another-name": lines(
        N1,
        f"witness w2 {replace(W1.verifier, name='other.example').vkey}",
        "group g 2 w1 w2",
        "quorum g",
    ),
    "log-is-its-own-witness": lines(
        L1, f"witness w {replace(LOG.verifier, kind=Kind.COSIGNATURE).vkey}", "quorum w"
    ),
    "log-of-type-04": lines(f"log {W1.verifier.vkey}", "quorum none"),
    "witness-of-type-01": lines(f"witness w {LOG.verifier.vkey}", "quorum w"),
    "unknown-word": lines(L1, N1, "require w1", "quorum w1"),
    "word-in-upper-case": lines(L1, N1, "Quorum w1"),
    "remark-after-a-line": lines(L1, N1, "quorum w1 # the first"),
    "log-with-two-urls": lines(L1 + " https://a.example https://b.example", "quorum none"),
    "log-without-key": lines("log", "quorum none"),
    "log-with-a-bad-key": lines(L1.replace("275e", "275f"), "quorum none"),
    "witness-without-name": lines(N1.replace(" w1 ", " "), "quorum none"),
    "witness-key-that-is-no-text": lines(N1, "quorum none").encode().replace(b"witness.", b"\xff."),
    "url-that-is-no-text": lines(L6, "quorum none").encode().replace(b"https", b"\xff"),
    "lines-end-in-carriage-returns": lines(L1, N1, "quorum w1").replace("\n", "\r\n"),
    "form-feed": lines(L1, N1, "quorum\fw1"),
    "nul": lines(L1, N1, "#\0", "quorum w1"),
    "delete": lines(L1, N1, "# \x7f", "quorum w1"),
    "last-newline-missing": lines(L1, N1, "quorum w1")[:-1],
    "no-break-space-for-a-space": lines(L1, N1, "quorum\u00a0w1"),
}


def bad_proofs() -> Iterator[tuple[str, str, Vector]]:
    """Yield proof files that are none, or prove nothing of this entry."""
    good, entry = PROOFS[5], ENTRIES[5]
    written = replace(good, extra=b"more").encode()
    first, second, third = good.path
    for name, path in (
        ("path-in-another-order", (second, first, third)),
        ("path-without-its-first", (second, third)),
        ("path-without-its-last", (first, second)),
        ("path-empty", ()),
        ("path-and-one-more", (*good.path, third)),
        *((f"path-hash-{i}-bit", flipped(good.path, i)) for i in range(3)),
    ):
        yield name, "ProofError", proof(replace(good, path=tuple(path)), entry)
    for index in (4, 7, 8, 2**63 - 1):
        yield f"index-{index}-for-5", "ProofError", proof(replace(good, index=index), entry)
    yield "entry-other", "ProofError", proof(good, ENTRIES[4])
    node = TREE.node(0, 4) + TREE.node(0, 5)
    inner = ProofFile(2, good.path[1:], checkpoints.sign(CHECKPOINT, [LOG], TIME).encode())
    yield "entry-is-two-hashes", "ProofError", proof(inner, node)
    grown = checkpoints.sign(replace(CHECKPOINT, size=9), [LOG], TIME)
    moved = replace(good, checkpoint=grown.encode())
    yield "checkpoint-of-another-size", "ProofError", proof(moved, entry)
    bare = replace(good, checkpoint=changed(BARE, 0, bit).encode())
    yield "checkpoint-signature-bit", "SignatureError", proof(bare, entry)
    few = replace(good, checkpoint=only(0, 2).encode())
    yield "checkpoint-seen-by-too-few", "SignatureError", proof(few, entry, TWO)
    hashes = [notes.to_base64(each) for each in good.path]
    extra = "extra bW9yZQ==\n"
    for name, old, new in (
        ("another-version", "proof@v1", "proof@v2"),
        ("version-and-a-space", "@v1\n", "@v1 \n"),
        ("space-before-the-version", "c2sp", " c2sp"),
        ("empty-line-before-index", "index", "\nindex"),
        ("empty-line-missing", f"{hashes[2]}\n\n", f"{hashes[2]}\n"),
        ("empty-line-twice", f"{hashes[2]}\n\n", f"{hashes[2]}\n\n\n"),
        ("index-missing", "index 5\n", ""),
        ("index-twice", "index 5\n", "index 5\nindex 5\n"),
        ("index-with-a-leading-zero", "index 5", "index 05"),
        ("index-with-a-plus", "index 5", "index +5"),
        ("index-of-2-to-the-63", "index 5", f"index {2**63}"),
        ("index-without-a-number", "index 5", "index "),
        ("index-without-a-space", "index 5", "index5"),
        ("index-in-upper-case", "index 5", "Index 5"),
        ("index-and-a-space", "index 5", "index 5 "),
        ("extra-empty", extra, "extra \n"),
        ("extra-without-a-space", extra, "extra\n"),
        ("extra-twice", extra, extra * 2),
        ("extra-after-index", f"{extra}index 5\n", f"index 5\n{extra}"),
        ("extra-without-padding", "bW9yZQ==", "bW9yZQ"),
        ("extra-with-bits-left-over", "bW9yZQ==", "bW9yZR=="),
        ("hash-of-31-bytes", hashes[1], notes.to_base64(second[:31])),
        ("hash-of-33-bytes", hashes[1], notes.to_base64(second + b"\0")),
        ("hash-without-padding", hashes[1], hashes[1].rstrip("=")),
        ("hash-with-bits-left-over", hashes[1], left_over(hashes[1])),
        ("hash-and-a-space", hashes[1], hashes[1] + " "),
        ("sixty-four-hashes", hashes[1], "\n".join([hashes[1]] * 62)),
        ("letters-that-are-not-ascii", "bW9yZQ==", "ж"),
        ("checkpoint-without-signatures", written.decode().partition("\n— ")[2], ""),
        ("checkpoint-size-with-a-leading-zero", "\n8\n", "\n08\n"),
    ):
        yield name, "InputError", proof(swapped(written, old, new), entry)
    yield (
        "lines-end-in-carriage-returns",
        "InputError",
        proof(written.replace(b"\n", b"\r\n"), entry),
    )
    yield "checkpoint-alone", "InputError", proof(good.checkpoint, entry)
    yield "empty", "InputError", proof(b"", entry)


def flipped(path: tuple[bytes, ...], at: int) -> tuple[bytes, ...]:
    """Flip a bit of one hash."""
    return (*path[:at], bit(path[at]), *path[at + 1 :])


def tampered() -> Iterator[tuple[str, Vector]]:
    """Yield what has to be refused, each with the error that says why."""
    for name, text in bad_vkeys():
        yield name, {"error": "InputError", **vkey(text)}
    for name, value in bad_notes():
        yield f"note-{name}", {"error": note_error(name), **signed(value)}
    for name, error, vector in bad_checkpoints():
        yield f"checkpoint-{name}", {"error": error, **vector}
    for name, vector in bad_quorums():
        yield f"quorum-{name}", {"error": "SignatureError", **vector}
    for name, value in BAD_POLICIES.items():
        yield f"policy-{name}", {"error": "InputError", **policy(value)}
    for name, error, vector in bad_proofs():
        yield f"proof-{name}", {"error": error, **vector}


# ── what the valid ones say ─────────────────────────────────────────────────────────────────


def says(vector: Vector) -> Vector:
    """Return what a valid vector says, as the library reads it."""
    value = (
        bytes.fromhex(vector["input_hex"]) if "input_hex" in vector else vector["input"].encode()
    )
    keys = [notes.parse_vkey(each) for each in vector.get("keys", [])]
    form = vector["form"]
    if form == "vkey":
        key = notes.parse_vkey(value.decode())
        return {"name": key.name, "kind": int(key.kind), "public": key.public.hex()}
    if form == "note":
        found = notes.parse(value)
        return {"text": found.text, "signers": [k.vkey for k in notes.signers_of(found, keys)]}
    if form == "checkpoint":
        _, by = checkpoints.opened(notes.parse(value), keys)
        return {**taken(value), "seen": list(map(seen, by))}
    if form == "policy":
        return data("encoded", quorums.parse(value).encode())
    rules = quorums.parse(vector["policy"].encode())
    if form == "quorum":
        found = rules.check(value, now=vector["now"])
        of = taken(value)
    else:
        file = prooffiles.parse(value)
        found = file.check(merkle.leaf_hash(bytes.fromhex(vector["entry_hex"])), rules)
        extra = None if file.extra is None else file.extra.hex()
        of = {"index": file.index, "extra": extra, **taken(file.checkpoint)}
    by = [{"name": name, **seen(each)} for name, each in found.witnesses]
    return {**of, "logs": list(map(seen, found.logs)), "witnesses": by}


def main() -> None:
    """Write every vector into its folder, and nothing else in there."""
    for folder, vectors in (("valid", valid()), ("tampered", tampered())):
        (HERE / folder).mkdir(exist_ok=True)
        for old in (HERE / folder).glob("*.json"):
            old.unlink()
        for name, vector in vectors:
            whole = {**vector, "says": says(vector)} if folder == "valid" else vector
            path = HERE / folder / f"{name}.json"
            assert not path.exists(), name
            path.write_text(json.dumps(whole, indent=2, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
