"""Write the golden vectors of approvals: `python tests/vectors/approval/make.py`.

Everything follows from the seeds below, so a second run writes the same files. How the vectors are
read, and by what they were checked: PROVENANCE.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from letterlock import approval

HERE = Path(__file__).parent
SEEDS = {"ash": bytes([1]) * 32, "birch": bytes([2]) * 32, "cedar": bytes([3]) * 32}
ORDER = 2**252 + 27742317777372353535851937790883648493
"""Of the group (RFC 8032 §5.1): a signature's second half is a number below it."""

BODIES: Mapping[str, Mapping[str, Any]] = {
    "policy.published": {
        "version": "7",
        "documents": {"policy.toml": 'version = "7"\n', "policy.de.md": "Häusliches bleibt.\n"},
    },
    "operator.registered": {
        "operator": "dogwood", "name": "Dora Wood", "key": approval.public_key(bytes([4]) * 32),
    },
    "recipient.registered": {
        "recipient": "tern", "name": "Tern Models GmbH", "class": "third_party",
    },
    "hold.lifted": {"hold": "dpc-2024"},
    "declaration.made": {"requirement": "R48", "text": "𝄞 after ﬁ, and \u2028 between: sorted."},
}  # fmt: skip


def vector(kind: str, body: Mapping[str, Any], signers: tuple[str, ...]) -> dict[str, Any]:
    """Return a vector: who is registered, what is signed, and by whom."""
    message = approval.message(kind, body)
    signed = [approval.sign(name, SEEDS[name], message) for name in signers]
    return {
        "kind": kind,
        "body": dict(body),
        "operators": {name: approval.public_key(seed) for name, seed in SEEDS.items()},
        "signatures": [{"operator": s.operator, "signature": s.signature} for s in signed],
        "message": message.hex(),
    }


def valid() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the vectors that two or more operators approved."""
    for kind, body in BODIES.items():
        yield kind, vector(kind, body, ("ash", "birch"))
    yield "three-signed", vector("hold.lifted", BODIES["hold.lifted"], ("cedar", "ash", "birch"))
    ordered = vector("recipient.registered", BODIES["recipient.registered"], ("birch", "cedar"))
    yield "other-key-order", {**ordered, "body": dict(reversed(ordered["body"].items()))}


def tampered() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield vectors that nobody may take for approved, each with what was done to it."""
    for kind, body in BODIES.items():
        good = vector(kind, body, ("ash", "birch"))
        for key in body:
            yield f"{kind}-other-{key}", {**good, "body": {**body, key: _other(body[key])}}
            less = {name: value for name, value in body.items() if name != key}
            yield f"{kind}-without-{key}", {**good, "body": less}
    good = vector("hold.lifted", BODIES["hold.lifted"], ("ash", "birch"))
    ash, birch = good["signatures"]
    yield "other-kind", {**good, "kind": "hold.set"}
    yield "other-body", {**good, "body": BODIES["recipient.registered"]}
    yield "more-in-the-body", {**good, "body": {**good["body"], "index": 4}}
    yield "nobody", {**good, "signatures": []}
    yield "one", {**good, "signatures": [ash]}
    yield "one-twice", {**good, "signatures": [ash, ash]}
    yield "one-twice-and-another", {**good, "signatures": [ash, birch, ash]}
    yield "one-as-two", {**good, "signatures": [ash, {**ash, "operator": "birch"}]}
    swapped = [{**birch, "operator": "ash"}, {**ash, "operator": "birch"}]
    yield "swapped-operators", {**good, "signatures": swapped}
    unheard = vector("hold.lifted", BODIES["hold.lifted"], ("ash", "cedar"))
    two = {name: good["operators"][name] for name in ("ash", "birch")}
    yield "not-registered", {**unheard, "operators": two}
    third = vector("hold.lifted", {"hold": "dpc-2023"}, ("cedar",))["signatures"]
    yield "a-third-of-something-else", {**good, "signatures": [ash, birch, *third]}
    yield (
        "exchanged-keys",
        {
            **good,
            "operators": {"ash": good["operators"]["birch"], "birch": good["operators"]["ash"]},
        },
    )
    for name, changed in _texts(birch["signature"]):
        yield name, {**good, "signatures": [ash, {**birch, "signature": changed}]}
    for name, key in BAD_KEYS.items():
        forged = {"operator": "birch", "signature": ZERO + "00" * 32}  # R neutral, S zero
        forged = birch if name == "upper-case" else forged
        keys = {**good["operators"], "birch": key}
        yield f"key-{name}", {**good, "operators": keys, "signatures": [ash, forged]}


ZERO = (1).to_bytes(32, "little").hex()
BAD_KEYS = {
    "identity": ZERO,
    "identity-not-canonical": (2**255 - 18).to_bytes(32, "little").hex(),
    "identity-with-sign": ((1 << 255) + 1).to_bytes(32, "little").hex(),
    "of-order-2": (2**255 - 20).to_bytes(32, "little").hex(),
    "of-order-4": "00" * 32,
    "of-order-8": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "no-point": (2).to_bytes(32, "little").hex(),
    "too-short": ZERO[:-2],
    "upper-case": approval.public_key(SEEDS["birch"]).upper(),
    "no-hex": "zz" * 32,
}
"""Keys of which everybody can sign, or nobody, or that are written in another way than the one."""


def _texts(signature: str) -> Iterator[tuple[str, str]]:
    """Yield a signature written differently, or changed a little."""
    half = len(signature) // 2
    scalar = int.from_bytes(bytes.fromhex(signature[half:]), "little")
    yield "signature-upper-case", signature.upper()
    yield "signature-no-hex", "x" + signature[1:]
    yield "signature-with-spaces", signature[:half] + " " + signature[half:]
    yield "signature-truncated", signature[:-2]
    yield "signature-longer", signature + "00"
    yield "signature-empty", ""
    yield "signature-zeros", "00" * 64
    yield "signature-first-bit", f"{int(signature[:2], 16) ^ 1:02x}{signature[2:]}"
    yield "signature-last-bit", f"{signature[:-2]}{int(signature[-2:], 16) ^ 128:02x}"
    yield "signature-plus-order", signature[:half] + (scalar + ORDER).to_bytes(32, "little").hex()
    yield "signature-halves-swapped", signature[half:] + signature[:half]


def _other(value: object) -> object:
    if isinstance(value, dict):
        return {name: f"{text} " for name, text in value.items()}
    return f"{value} "


def main() -> None:
    """Write every vector to its file."""
    for folder, vectors in (("valid", valid()), ("tampered", tampered())):
        (HERE / folder).mkdir(exist_ok=True)
        for name, content in vectors:
            text = json.dumps(content, indent=2, ensure_ascii=True)
            (HERE / folder / f"{name}.json").write_text(text + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
