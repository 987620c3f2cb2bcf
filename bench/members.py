"""Who is in a release: what names, their tree and its proofs cost.

    python bench/members.py --members 10000000 --out members.json

Stages, each in a process of its own, over made-up accounts whose tokens are cached (random ones: no
stage looks into a token, and computing them is measured apart):

cached   read the tokens from their file, and check that each row is its account's
derive   a pseudonym of each token
sort     pseudonyms into ascending order
tree     the member set: buckets and root
proofs   of `--proofs` members and as many others: bytes (bucket + path + VRF proof + account), and
         CPU for making bucket and path, and for checking them; the VRF apart
vrf      tokens, proofs and verifications per CPU-second, and tokens per second of `--threads`
"""

from __future__ import annotations

import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from measure import cpu, in_own_process, meter, options, report, run

from letterlock.record import memberset, merkle, vrf
from letterlock.record.memberset import MemberSet
from letterlock.store.tokens import Tokens

ORIGIN = "log.example.org/letterlock"
KEY = vrf.SecretKey(bytes(range(32)))
SCOPE = memberset.scope(ORIGIN, 7, merkle.leaf_hash(b"an opening"))


def account(number: int) -> str:
    return f"acct-{number:09}"


def drawn(members: int) -> bytes:
    return np.random.default_rng(1).bytes(32 * members)


def sorted_names(members: int) -> bytes:
    names = memberset.pseudonyms(SCOPE, drawn(members))
    return np.frombuffer(names, "V32")[memberset.order(names)].tobytes()


def cached(folder: Path, members: int) -> dict[str, Any]:
    """Read the tokens of a file."""
    path = folder / "members.tokens"
    path.unlink(missing_ok=True)
    tokens, rows = Tokens(path, KEY, ORIGIN), drawn(members)
    with path.open("ab") as file:
        for n in range(members):
            token = rows[32 * n : 32 * n + 32]
            file.write(token + sha256(token + account(n).encode()).digest()[:8])
    numbers, accounts = np.arange(members), [account(n) for n in range(members)]
    found: dict[str, Any] = {}
    with meter(found):
        read = tokens.of(numbers, accounts, threads=1, progress=_computes_nothing)
    assert read == rows
    path.unlink()
    return found


def _computes_nothing(*_: object) -> None:
    raise AssertionError("a token was computed")


def batch(members: int) -> dict[str, Any]:
    """Derive, sort, and make the tree."""
    tokens = drawn(members)
    found: dict[str, Any] = {}
    began = cpu()
    with meter(found, "derive"):
        names = memberset.pseudonyms(SCOPE, tokens)
    with meter(found, "sort"):
        names = np.frombuffer(names, "V32")[memberset.order(names)].tobytes()
    with meter(found, "tree"):
        made = MemberSet(names)
    return found | {"cpu": round(cpu() - began, 3), "depth": made.depth, "root": made.root.hex()}


def proofs(members: int, proofs: int) -> dict[str, Any]:
    """Make and check proofs of members and of others."""
    tokens, made = drawn(members), MemberSet(sorted_names(members))
    rng = np.random.default_rng(2)
    mine = [tokens[32 * n : 32 * n + 32] for n in rng.integers(members, size=proofs).tolist()]
    asked = [memberset.pseudonym(SCOPE, y) for y in (*mine, *(rng.bytes(32) for _ in mine))]
    found: dict[str, Any] = {}
    with meter(found, "prove"):
        given = [made.proof(name) for name in asked]
    with meter(found, "verify"):
        said = [
            memberset.verify(made.root, made.depth, name, *proof)
            for name, proof in zip(asked, given, strict=True)
        ]
    assert said == [True] * proofs + [False] * proofs
    beside = vrf.PROOF_SIZE + len(account(0))
    sizes = [len(bucket) + 32 * len(path) + beside for bucket, path in given]
    largest = int(np.bincount(made._bucket.astype(np.int64)).max())  # noqa: SLF001 - to measure
    return {
        "prove_us": round(found["prove_cpu"] / len(asked) * 1e6, 1),
        "verify_us": round(found["verify_cpu"] / len(asked) * 1e6, 1),
        "bytes_avg": round(sum(sizes) / len(sizes), 1),
        "bytes_max_seen": max(sizes),
        "bytes_max": 32 * largest + 32 * made.depth + beside,
        "largest_bucket": largest,
        "others_shown_avg": round(sum(len(b) // 32 for b, _ in given[:proofs]) / proofs - 1, 2),
    }


def function(folder: Path, tokens: int, threads: int) -> dict[str, Any]:
    """Use the random function."""
    inputs = [memberset.alpha(ORIGIN, account(n)) for n in range(tokens)]
    found: dict[str, Any] = {}
    with meter(found, "token"):
        for each in inputs:
            KEY.token(each)
    with meter(found, "prove"):
        given = [KEY.prove(each) for each in inputs]
    with meter(found, "verify"):
        for each, proof in zip(inputs, given, strict=True):
            vrf.verify(KEY.public, each, proof)
    path = folder / "some.tokens"
    path.unlink(missing_ok=True)
    numbers, accounts = np.arange(tokens), [account(n) for n in range(tokens)]
    began = time.perf_counter()
    Tokens(path, KEY, ORIGIN).of(numbers, accounts, threads=threads, progress=lambda *_: None)
    wall = time.perf_counter() - began
    path.unlink()
    rates = {name: round(tokens / found[f"{name}_cpu"]) for name in ("token", "prove", "verify")}
    return {f"{name}s_per_cpu_s": rate for name, rate in rates.items()} | {
        f"tokens_per_s_of_{threads}_threads": round(tokens / wall)
    }


def main() -> None:
    parser = options(__doc__, members=1_000_000, proofs=10_000, tokens=20_000, threads=2)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    size = {"members": arguments.members}
    found = {
        "cached": in_own_process("cached", folder=arguments.work, **size),
        "batch": in_own_process("batch", **size),
        "proofs": in_own_process("proofs", **size, proofs=arguments.proofs),
        "function": in_own_process(
            "function", folder=arguments.work, tokens=arguments.tokens, threads=arguments.threads
        ),
    }
    report(arguments, found)


if __name__ == "__main__":
    run(main, {stage.__name__: stage for stage in (cached, batch, proofs, function)})
