"""Write the golden vectors of the member set: `python tests/vectors/memberset/make.py`.

Everything follows from the key, accounts and opening below, so a second run writes the same files.
How the vectors are read, and by what they were checked: PROVENANCE.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from letterlock.record import memberset, merkle, vrf  # noqa: E402
from oracle import memberset as plain  # noqa: E402

SECRET = bytes(range(32))
KEY = vrf.SecretKey(SECRET)
ORIGIN = "letterlock.example/log"
OPENED = 7
LEAF = merkle.leaf_hash(b"release-open demo")
SCOPE = memberset.scope(ORIGIN, OPENED, LEAF)


def account(number: int) -> str:
    """Return an account id."""
    return f"acct-{number:06}"


def token(number: int) -> bytes:
    """Return an account's token."""
    return KEY.token(memberset.alpha(ORIGIN, account(number)))


def name(number: int) -> bytes:
    """Return an account's pseudonym."""
    return memberset.pseudonym(SCOPE, token(number))


def sets() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield whole sets: tokens in, root out."""
    for count in (0, 1, 2, 3, 4, 5, 8, 9, 100, 1000):
        tokens = [token(n) for n in range(count)]
        names = sorted(memberset.pseudonym(SCOPE, each) for each in tokens)
        made = memberset.MemberSet(b"".join(names))
        yield (
            f"{count}-members",
            {
                "origin": ORIGIN,
                "opened": OPENED,
                "leaf": LEAF.hex(),
                "scope": SCOPE.hex(),
                "tokens": [each.hex() for each in tokens],
                "names": [each.hex() for each in names],
                "depth": made.depth,
                "root": made.root.hex(),
            },
        )


def proved(number: int, members: Sequence[int] = range(5)) -> dict[str, Any]:
    """Return the proof of one account, in a set of some others."""
    names = sorted(map(name, members))
    made = memberset.MemberSet(b"".join(names))
    bucket, path = made.proof(name(number))
    return {
        "origin": ORIGIN,
        "account": account(number),
        "public": KEY.public.hex(),
        "vrf": KEY.prove(memberset.alpha(ORIGIN, account(number))).hex(),
        "opened": OPENED,
        "leaf": LEAF.hex(),
        "depth": made.depth,
        "root": made.root.hex(),
        "bucket": bucket.hex(),
        "path": [each.hex() for each in path],
        "in": number in members,
    }


def valid() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield proofs that somebody is in, and that somebody is not."""
    for number in range(7):
        yield f"account-{number}-of-5", proved(number)
    yield "in-a-set-of-1", proved(3, [3])
    yield "not-in-a-set-of-1", proved(4, [3])
    yield "not-in-an-empty-set", proved(0, [])
    yield "in-a-set-of-1000", proved(999, range(1000))
    yield "not-in-a-set-of-1000", proved(1000, range(1000))


def sealed(number: int, data: bytes) -> dict[str, Any]:
    """Return a proof whose root a dishonest log sealed over this as the account's bucket."""
    names = [name(n) for n in range(5)]
    depth = plain.depth(names)
    at = int(plain.bits(name(number))[:depth], 2)
    entries = plain.buckets(names, depth)
    entries[at] = data
    path = [each.hex() for each in plain.path(at, entries)]
    good = proved(number)
    return {**good, "root": plain.root(entries).hex(), "bucket": data.hex(), "path": path}


def tampered() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield proofs that nobody may believe, each with what was done to it."""
    inside, outside = proved(1), proved(6)
    mine, neighbour = sorted((name(1), name(2)))  # they share a bucket
    yield "claims-out", {**inside, "in": False}
    yield "claims-in", {**outside, "in": True}
    yield "bucket-without-the-name", {**inside, "bucket": name(2).hex(), "in": False}
    yield "bucket-without-another-name", {**inside, "bucket": name(1).hex()}
    yield "bucket-empty", {**inside, "bucket": "", "in": False}
    with_it = b"".join(sorted((name(3), name(6))))
    yield "bucket-with-the-name", {**outside, "bucket": with_it.hex(), "in": True}
    yield "bucket-cut", {**inside, "bucket": inside["bucket"][:-2]}
    yield "bucket-longer", {**inside, "bucket": inside["bucket"] + "00"}
    other = proved(0)
    yield "bucket-of-another", {**inside, "bucket": other["bucket"], "in": False}
    yield "bucket-and-path-of-another", {
        **inside, "bucket": other["bucket"], "path": other["path"], "in": False,
    }  # fmt: skip
    yield "sealed-descending", sealed(1, neighbour + mine)
    yield "sealed-twice", sealed(1, mine + mine + neighbour)
    foreign = sorted((mine, neighbour, name(0)))
    yield "sealed-with-a-name-of-another-bucket", sealed(1, b"".join(foreign))
    yield "sealed-with-half-a-name", sealed(1, mine + neighbour + b"\xff" * 16)
    for level, sibling in enumerate(inside["path"]):
        path = list(inside["path"])
        path[level] = f"{int(sibling[:2], 16) ^ 1:02x}{sibling[2:]}"
        yield f"path-{level}-flipped", {**inside, "path": path}
        yield f"path-{level}-dropped", {**inside, "path": path[:level] + path[level + 1 :]}
        short = [*inside["path"][:level], sibling[:-2], *inside["path"][level + 1 :]]
        yield f"path-{level}-cut", {**inside, "path": short}
    yield "path-reversed", {**inside, "path": inside["path"][::-1]}
    yield "path-longer", {**inside, "path": [*inside["path"], inside["root"]]}
    yield "path-empty", {**inside, "path": []}
    for change in (-1, 1):
        yield f"depth-{3 + change}", {**inside, "depth": 3 + change}
    yield "depth-negative", {**inside, "depth": -1}
    yield "depth-33", {**inside, "depth": 33}
    yield "root-of-another-set", {**inside, "root": proved(0, range(4))["root"]}
    yield "root-cut", {**inside, "root": inside["root"][:-2]}
    yield "account-other", {**inside, "account": account(0)}
    yield "account-empty", {**inside, "account": ""}
    yield "account-longer", {**inside, "account": inside["account"] + "\0"}
    yield "origin-other", {**inside, "origin": ORIGIN + "2"}
    yield "origin-and-account-shifted", {
        **inside, "origin": ORIGIN[:-1], "account": "g" + account(1),
    }  # fmt: skip
    yield "opened-other", {**inside, "opened": OPENED + 1}
    yield "leaf-other", {**inside, "leaf": merkle.leaf_hash(b"another").hex()}
    yield "vrf-of-another", {**inside, "vrf": proved(0)["vrf"]}
    key = vrf.SecretKey(bytes(32))
    forged = key.prove(memberset.alpha(ORIGIN, account(1)))
    yield "vrf-of-another-key", {**inside, "vrf": forged.hex(), "public": key.public.hex()}


def main() -> None:
    """Write every vector to its file."""
    for folder, vectors in (("sets", sets()), ("valid", valid()), ("tampered", tampered())):
        (HERE / folder).mkdir(exist_ok=True)
        for stem, content in vectors:
            text = json.dumps(content, indent=1)
            (HERE / folder / f"{stem}.json").write_text(text + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
