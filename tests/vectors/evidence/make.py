"""Write the golden vectors of evidence: `python tests/vectors/evidence/make.py`.

A second run writes the same files. How they are read, and by what they were checked: PROVENANCE.md.
"""

from __future__ import annotations

import copy
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))  # run as a script, or loaded by a test

import world as w
from world import Log, World

from letterlock.domain import canonical
from letterlock.evidence import bundle
from letterlock.evidence.bundle import Evidence
from letterlock.record import checkpoint, note
from letterlock.record.note import Kind, SecretSigner

HERE = Path(__file__).parent


class Vector(NamedTuple):
    """A file, by which policy it is read, what comes of it, and what a verifier needs for it.

    `expect` is None, or the error. `needs`: "mldsa" (nobody else signed enough), "record" (the
    receipt's JSON-LD has to be compared with its event), "release" or "log" (files of that name).
    """

    name: str
    data: bytes
    expect: str | None = None
    policy: str = "two-of-three"
    needs: tuple[str, ...] = ()
    files: str = ""


GRANT, EXPLICIT, WITHDRAWN, OBJECTED = 14, 19, 20, 21


def valid(world: World, log: Log) -> Iterator[Vector]:
    """Yield what is true."""

    def vector(name: str, evidence: Evidence, **more: Any) -> Vector:
        return Vector(name, bundle.encode(evidence), **more)

    both = replace(log, signers=w.ALL)
    modern = replace(log, signers=(w.LOG_06, w.W1, w.W2))
    alone = replace(log, signers=(w.LOG,))
    yield vector("receipt-grant", w.receipt_of(world, log, GRANT))
    yield vector("receipt-explicit", w.receipt_of(world, log, EXPLICIT))
    yield vector("receipt-withdrawal", w.receipt_of(world, log, WITHDRAWN))
    yield vector("receipt-objection", w.receipt_of(world, log, OBJECTED))
    yield vector("receipt-promised", w.receipt_of(world, log, WITHDRAWN, logged=False))
    yield vector("receipt-proved", w.receipt_of(world, log, WITHDRAWN, signed=False))
    yield vector("receipt-all-signatures", w.receipt_of(world, both, WITHDRAWN))
    yield vector("member-in", w.member(world, log, "aaaa", "alba"))
    yield vector("member-not-in", w.member(world, log, "aaaa", "gina"))
    yield vector("member-in-of-one", w.member(world, log, "bbbb", "gina"))
    yield vector("member-not-in-of-one", w.member(world, log, "bbbb", "alba"))
    yield vector("member-not-in-of-none", w.member(world, log, "cccc", "alba"))
    yield vector("member-nobody", w.member(world, log, "aaaa", ""))
    yield vector("member-odd-name", w.member(world, log, "dddd", "hügo 𝄞", key=world.second))
    yield vector("member-all-signatures", w.member(world, both, "aaaa", "alba"), policy="all-three")
    yield vector("member-ml-dsa-only", w.member(world, modern, "aaaa", "gina"), needs=("mldsa",))
    yield vector("member-no-witness", w.member(world, alone, "aaaa", "alba"), policy="no-witness")
    yield vector("member-plain", w.member(world, log, "aaaa", "alba"), policy="plain")
    later = w.superseded(world, log, "aaaa", ["bruno", "dora"])
    yield vector("member-in-superseded", w.member(*later, "aaaa", "alba"))
    yield vector("member-not-in-superseded", w.member(*later, "aaaa", "bruno"))
    yield vector("member-in-before-it-was-superseded", w.member(world, later[1], "aaaa", "bruno"))
    yield vector("grants-first", w.grants(world, log, "alba", 0))
    yield vector("grants-second", w.grants(world, log, "alba", 1))
    yield vector("grants-no-third", w.grants(world, log, "alba", 2))
    yield vector("grants-none", w.grants(world, log, "gina", 0))
    yield vector("history", w.history(log, [1, 2, 7, 8, 20, len(log.entries)]))
    yield vector("history-of-one", w.history(log, [9]))
    yield vector("history-all-signatures", w.history(both, [20, len(log.entries)]))
    for name in ("aaaa", "cccc"):
        release = w.release_of(world, log, name)
        yield vector(f"release-{name}", release, needs=("release",), files=name)
    for name, claim in (
        ("group", w.claim(log)),
        ("period", w.claim(log, data_class="message.*", end=w.START + 23 * w.DAY)),
        ("recipient", w.claim(log, data_class="message.*", recipients=("heron",))),
        ("purpose", w.claim(log, data_class="message.*", purposes="evaluate")),
    ):
        stated = w.stated(log, claim)
        yield vector(f"statement-{name}", stated, needs=("log",), files="log")
    data = bundle.encode(w.member(world, log, "aaaa", "alba"))
    spaced = json.dumps(json.loads(data), indent=1).encode()
    yield Vector("member-other-spacing-and-escapes", spaced)


# ── tampering ───────────────────────────────────────────────────────────────────────────────

Tamper = Callable[[dict[str, Any]], None]


def _changed(vector: Vector, change: Tamper) -> bytes:
    value = copy.deepcopy(json.loads(vector.data))
    change(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _flip(text: str, at: int) -> str:
    """Return a text with another hexadecimal digit or letter at a place."""
    other = {"0": "1", "a": "b", "A": "B"}.get(
        text[at], "0" if text[at] in "123456789abcdef" else "A"
    )
    return text[:at] + other + text[at + 1 :]


def _set(*path: str | int, to: Any) -> Tamper:
    def change(value: Any) -> None:
        for key in path[:-1]:
            value = value[key]
        value[path[-1]] = to(value[path[-1]]) if callable(to) else to

    return change


def _drop(key: str) -> Tamper:
    return lambda value: value.pop(key)


def _in(*path: str | int, old: str, new: str) -> Tamper:
    """Replace a text within a text; it has to be there."""

    def changed(text: str) -> str:
        assert old in text, (path, old)
        return text.replace(old, new, 1)

    return _set(*path, to=changed)


def _line(*path: str | int, at: int, change: Callable[[str], str]) -> Tamper:
    """Change a line of a text."""

    def changed(text: str) -> str:
        lines = text.split("\n")
        lines[at] = change(lines[at])
        return "\n".join(lines)

    return _set(*path, to=changed)


def _base64(line: str) -> str:
    """Change the tenth byte of what ends a line in base64."""
    before, space, coded = line.rpartition(" ")
    data = bytearray(note.from_base64(coded))
    data[10] ^= 1
    return before + space + note.to_base64(bytes(data))


INPUT, PROOF, SIGNATURE = "InputError", "ProofError", "SignatureError"


def tampered(world: World, log: Log, good: dict[str, Vector]) -> Iterator[Vector]:
    """Yield what nobody may accept."""

    def of(name: str, what: str, change: Tamper, expect: str, **more: Any) -> Vector:
        vector = good[name]
        data = _changed(vector, change)
        assert data != vector.data, (name, what)
        kept = {"policy": vector.policy, "needs": vector.needs, "files": vector.files, **more}
        return Vector(f"{name}-{what}", data, expect, **kept)

    for name in ("receipt-withdrawal", "member-in", "grants-first", "release-aaaa", "history"):
        yield from _shapes(name, good, of)
    yield from _shapes("statement-group", good, of)
    for name in ("member-in", "grants-first", "release-aaaa"):
        for key in ("key", "opened", "sealed"):
            if key in json.loads(good[name].data):
                yield from _logged(name, key, of)
    yield from _members(of)
    yield from _mixed(world, log)
    yield from _receipts(good, of)
    yield from _histories(world, log, of)
    yield from _dishonest(world, log)
    yield from _releases(world, log, good)
    yield from _statements(world, log, of)
    yield from _texts(good)


def _shapes(name: str, good: dict[str, Vector], of: Any) -> Iterator[Vector]:
    """Yield files that are no evidence: what is missing, left over, or of another type."""
    value = json.loads(good[name].data)
    for key in value:
        yield of(name, f"without-{key}", _drop(key), INPUT)
        other: Any = 7 if isinstance(value[key], str) else "seven"
        yield of(name, f"{key}-of-another-type", _set(key, to=other), INPUT)
    yield of(name, "one-key-more", _set("note", to=""), INPUT)
    yield of(name, "other-format", _set("format", to="letterlock/evidence/v2"), INPUT)
    yield of(
        name, "other-kind", _set("kind", to="history" if name != "history" else "member"), INPUT
    )


def _logged(name: str, key: str, of: Any) -> Iterator[Vector]:
    """Yield what can be wrong with an entry and its proof."""
    yield of(name, f"{key}-other-index", _set(key, "index", to=lambda n: n + 1), PROOF)
    yield of(name, f"{key}-index-below-0", _set(key, "index", to=-1), INPUT)
    yield of(name, f"{key}-one-key-more", _set(key, "size", to=1), INPUT)
    yield of(name, f"{key}-other-time", _in(key, "entry", old='"time":17', new='"time":16'), PROOF)
    yield of(
        name, f"{key}-other-entry-index", _in(key, "entry", old='"index":', new='"index":1'), PROOF
    )
    yield of(
        name, f"{key}-entry-with-space", _in(key, "entry", old='"index":', new='"index": '), PROOF
    )
    yield of(name, f"{key}-entry-empty", _set(key, "entry", to=""), PROOF)
    proof = (key, "proof")
    yield of(name, f"{key}-proof-empty", _set(*proof, to=""), INPUT)
    yield of(name, f"{key}-proof-other-version", _in(*proof, old="proof@v1", new="proof@v2"), INPUT)
    yield of(name, f"{key}-proof-other-index", _in(*proof, old="index ", new="index 1"), PROOF)
    yield of(name, f"{key}-proof-index-with-zero", _in(*proof, old="index ", new="index 0"), INPUT)
    yield of(name, f"{key}-proof-other-hash", _line(*proof, at=3, change=_base64), PROOF)
    yield of(name, f"{key}-proof-hash-less", _set(*proof, to=_without(2)), PROOF)
    yield of(name, f"{key}-proof-hash-twice", _set(*proof, to=_twice(2)), PROOF)
    yield of(
        name, f"{key}-checkpoint-other-size", _in(*proof, old="\n33\n", new="\n34\n"), SIGNATURE
    )
    yield of(name, f"{key}-checkpoint-other-root", _line(*proof, at=-6, change=_base64), SIGNATURE)
    yield of(name, f"{key}-checkpoint-other-origin",
             _in(*proof, old=f"\n{w.ORIGIN}\n", new=f"\n{w.OTHER}\n"), SIGNATURE)  # fmt: skip
    yield of(name, f"{key}-log-signature-changed", _line(*proof, at=-4, change=_base64), SIGNATURE)
    yield of(
        name, f"{key}-witness-signature-changed", _line(*proof, at=-3, change=_base64), SIGNATURE
    )
    yield of(name, f"{key}-log-signature-gone", _set(*proof, to=_without(-4)), SIGNATURE)
    yield of(name, f"{key}-witness-signature-gone", _set(*proof, to=_without(-3)), SIGNATURE)


def _without(at: int) -> Callable[[str], str]:
    def less(text: str) -> str:
        lines = text.split("\n")
        del lines[at]
        return "\n".join(lines)

    return less


def _twice(at: int) -> Callable[[str], str]:
    def more(text: str) -> str:
        lines = text.split("\n")
        lines.insert(at, lines[at])
        return "\n".join(lines)

    return more


def _members(of: Any) -> Iterator[Vector]:
    """Yield other accounts, wrong claims, and buckets that are not those of the seal."""
    flip = lambda text: _flip(text, 9)  # noqa: E731
    for name, other in (
        ("member-in", "bruno"),
        ("grants-first", "bruno"),
        ("member-not-in", "hugo"),
    ):
        yield of(name, "other-account", _set("account", to=other), PROOF)
        yield of(name, "account-with-space", _set("account", to=lambda a: a + " "), PROOF)
        claim = {"in": "not in", "not in": "in"}
        yield of(name, "other-claim", _set("claim", to=claim.get), PROOF)
        yield of(name, "claim-maybe", _set("claim", to="maybe"), INPUT)
        yield of(name, "other-gamma", _set("vrf", to=flip), PROOF)
        yield of(name, "other-challenge", _set("vrf", to=lambda t: _flip(t, 70)), PROOF)
        yield of(name, "other-response", _set("vrf", to=lambda t: _flip(t, 100)), PROOF)
        yield of(name, "vrf-too-short", _set("vrf", to=lambda t: t[:-2]), INPUT)
        yield of(name, "vrf-upper-case", _set("vrf", to=str.upper), INPUT)
        yield of(name, "vrf-of-zeros", _set("vrf", to="00" * 80), PROOF)
        yield of(
            name,
            "vrf-with-neutral-gamma",
            _set("vrf", to=lambda t: "01" + "00" * 31 + t[64:]),
            PROOF,
        )
        yield of(name, "vrf-response-not-reduced", _set("vrf", to=_plus_order), PROOF)
        yield of(name, "path-other-hash", _set("path", 0, to=flip), PROOF)
        yield of(name, "path-hash-less", _set("path", to=lambda p: p[:-1]), PROOF)
        yield of(name, "path-hash-more", _set("path", to=lambda p: [*p, p[-1]]), PROOF)
        yield of(name, "path-reversed", _set("path", to=lambda p: p[::-1]), PROOF)
        yield of(name, "path-hash-too-short", _set("path", 0, to=lambda t: t[:-2]), INPUT)
        yield of(name, "bucket-with-another", _set("bucket", to=lambda t: t + "ff" * 32), PROOF)
        yield of(name, "bucket-odd", _set("bucket", to=lambda t: t + "00"), PROOF)
        yield of(name, "bucket-not-hex", _set("bucket", to="zz"), INPUT)
        yield of(name, "entries-swapped", _swap("key", "sealed"), PROOF)
        yield of(name, "proofs-swapped", _swap_proofs("key", "sealed"), PROOF)
    yield of("member-in", "bucket-empty", _set("bucket", to=""), PROOF)
    yield of("member-in", "bucket-twice", _set("bucket", to=lambda t: t * 2), PROOF)
    yield of("grants-first", "other-k", _set("k", to=1), PROOF)
    yield of("grants-first", "k-below-0", _set("k", to=-1), INPUT)
    yield of("grants-first", "k-as-text", _set("k", to="0"), INPUT)
    yield of("grants-none", "other-k", _set("k", to=2**53), INPUT)


def _mixed(world: World, log: Log) -> Iterator[Vector]:
    """Yield entries, keys and signatures of something else."""
    lie = w.member(world, log, "aaaa", "gina", present=True)
    yield Vector("member-in-by-claim-alone", bundle.encode(lie), PROOF)
    mixed = w.member(world, log, "aaaa", "gina")
    other = w.member(world, log, "bbbb", "gina")
    for key in ("opened", "sealed"):
        data = bundle.encode(replace(mixed, **{key: getattr(other, key)}))
        yield Vector(f"member-not-in-{key}-of-another-release", data, PROOF)
    data = bundle.encode(replace(mixed, opened=other.opened, sealed=other.sealed))
    yield Vector("member-not-in-another-release", data, PROOF)
    second = log.logged(world.second)
    yield Vector("member-not-in-another-key", bundle.encode(replace(mixed, key=second)), PROOF)
    first = log.logged(0)
    yield Vector("member-not-in-key-of-the-log", bundle.encode(replace(mixed, key=first)), INPUT)
    later = w.superseded(world, log, "aaaa", ["bruno"])
    old, new = w.member(world, later[1], "aaaa", "bruno"), w.member(*later, "aaaa", "bruno")
    for key, data in (
        ("before", bundle.encode(replace(old, sealed=new.sealed))),
        ("after", bundle.encode(replace(new, sealed=old.sealed))),
    ):
        yield Vector(f"member-seal-of-the-version-{key}", data, PROOF)
    more = w.superseded(world, log, "aaaa", ["bruno"], more=1)
    yield Vector(
        "member-superseded-one-key-more", bundle.encode(w.member(*more, "aaaa", "alba")), INPUT
    )
    grants = w.grants(world, log, "gina", 0)
    yield Vector(
        "member-not-in-sealed-grants", bundle.encode(replace(mixed, sealed=grants.sealed)), PROOF
    )
    yield Vector(
        "grants-none-sealed-release", bundle.encode(replace(grants, sealed=mixed.sealed)), PROOF
    )
    yield Vector("grants-none-another-key", bundle.encode(replace(grants, key=mixed.key)), PROOF)
    older = log.logged(world.releases["aaaa"].sealed, len(log.entries) - 1)
    yield Vector(
        "member-not-in-another-checkpoint", bundle.encode(replace(mixed, sealed=older)), PROOF
    )
    fork = log.changed(len(log.entries) - 1, {"hold": "dpc-2026"})
    forked = fork.logged(world.releases["aaaa"].sealed)
    yield Vector("member-not-in-two-histories", bundle.encode(replace(mixed, sealed=forked)), PROOF)
    for policy in ("all-three", "other-log"):
        data = bundle.encode(w.member(world, log, "aaaa", "alba"))
        yield Vector(f"member-in-by-policy-{policy}", data, SIGNATURE, policy)
    one = replace(log, signers=(w.LOG, w.W1))
    yield Vector(
        "member-in-one-witness", bundle.encode(w.member(world, one, "aaaa", "alba")), SIGNATURE
    )
    twice = bundle.encode(w.member(world, one, "aaaa", "alba")).replace(b"w1 IDJK", b"w3 IDJK")
    yield Vector("member-in-one-witness-renamed", twice, SIGNATURE)
    late = replace(log, seconds=w.NOW + 86_400)
    yield Vector(
        "member-in-witnesses-of-tomorrow",
        bundle.encode(w.member(world, late, "aaaa", "alba")),
        SIGNATURE,
    )
    stranger = replace(log, signers=(w.STRANGER, w.W1, w.W3))
    yield Vector(
        "member-in-stranger-signed",
        bundle.encode(w.member(world, stranger, "aaaa", "alba")),
        SIGNATURE,
    )
    elsewhere = replace(log, origin=w.OTHER, signers=(w.OTHER_LOG, w.W1, w.W3))
    yield Vector(
        "member-in-unknown-origin",
        bundle.encode(w.member(world, elsewhere, "aaaa", "alba")),
        SIGNATURE,
    )
    two = replace(
        w.member(world, replace(log, signers=(w.LOG,)), "aaaa", "alba"),
        sealed=replace(log, origin=w.OTHER, signers=(w.OTHER_LOG,)).logged(
            world.releases["aaaa"].sealed
        ),
    )
    yield Vector("member-in-sealed-in-another-log", bundle.encode(two), PROOF, "two-logs")
    broken = replace(log, signers=w.ALL)
    data = bundle.encode(w.member(world, broken, "aaaa", "alba"))
    for at, whose in ((-5, "log"), (-3, "witness")):
        value = json.loads(data)
        _line("sealed", "proof", at=at, change=_base64)(value)
        yield Vector(
            f"member-in-ml-dsa-of-{whose}-changed",
            canonical(value) + b"\n",
            SIGNATURE,
            needs=("mldsa",),
        )


ORDER = 2**252 + 27742317777372353535851937790883648493


def _plus_order(text: str) -> str:
    number = int.from_bytes(bytes.fromhex(text[96:]), "little") + ORDER
    return text[:96] + number.to_bytes(32, "little").hex()


def _swap(one: str, other: str) -> Tamper:
    def change(value: dict[str, Any]) -> None:
        value[one], value[other] = value[other], value[one]

    return change


def _swap_proofs(one: str, other: str) -> Tamper:
    def change(value: dict[str, Any]) -> None:
        value[one]["proof"], value[other]["proof"] = value[other]["proof"], value[one]["proof"]

    return change


def _receipts(good: dict[str, Vector], of: Any) -> Iterator[Vector]:
    """Yield receipts of something else than was recorded."""
    name = "receipt-withdrawal"
    body = ("event",)
    for what, old, new in (
        ("act", '"act":"withdraw"', '"act":"grant"'),
        ("subject", '"subject":"gina"', '"subject":"fred"'),
        ("channel", '"channel":"web"', '"channel":"app"'),
        ("acted", '"time":1737158400000000}', '"time":1737158400000001}'),
        ("kind", '"kind":"choice.made"', '"kind":"notice.delivered"'),
        ("v", '"v":1', '"v":2'),
        ("space", '"index":', '"index": '),
    ):
        error = {"kind": INPUT, "v": "UnknownVersion", "space": INPUT, "act": INPUT}.get(
            what, PROOF
        )
        yield of(name, f"event-other-{what}", _in(*body, old=old, new=new), error)
        yield of("receipt-proved", f"event-other-{what}", _in(*body, old=old, new=new), error)
    index = _in("event", old='"index":20', new='"index":19')
    yield of(name, "event-other-index", index, PROOF)
    yield of("receipt-proved", "event-other-index", index, PROOF)
    yield of(name, "event-empty", _set("event", to=""), INPUT)
    for which in (name, "receipt-proved", "receipt-promised"):
        yield of(which, "other-salt", _set("salt", to=lambda t: _flip(t, 0)), PROOF)
    yield of(name, "salt-upper-case", _set("salt", to=str.upper), INPUT)
    yield of(name, "salt-too-short", _set("salt", to=lambda t: t[:-2]), INPUT)
    for key in ("dpv:hasNotice", "dpv:hasDataController", "ll:notKnown"):
        value = json.loads(good["receipt-grant"].data)["receipt"]
        if key in value:
            short = key.split(":")[1]
            yield of(
                "receipt-grant",
                f"record-without-{short}",
                lambda v, k=key: v["receipt"].pop(k),
                PROOF,
            )
    yield from _records(of)
    yield of("receipt-proved", "neither-signed", _set("proof", to=None), SIGNATURE)
    signed = ("signed",)
    yield of(
        name, "signed-other-label", _in(*signed, old="receipt/v1", new="receipt/v2"), SIGNATURE
    )
    for at, what in ((1, "origin"), (2, "index"), (3, "commitment"), (4, "record")):
        change = {1: lambda t: t + "x", 2: lambda t: t + "1"}.get(at, lambda t: _flip(t, 3))
        yield of(name, f"signed-other-{what}", _line(*signed, at=at, change=change), SIGNATURE)
    yield of(name, "signed-signature-changed", _line(*signed, at=-2, change=_base64), SIGNATURE)
    yield of(name, "signed-without-signature", _set(*signed, to=_without(-2)), INPUT)
    yield of(name, "signed-no-note", _set(*signed, to="yes"), INPUT)
    other = json.loads(good["receipt-objection"].data)
    yield of(name, "signed-of-another-receipt", _set("signed", to=other["signed"]), PROOF)
    yield of(name, "proof-of-another-receipt", _set("proof", to=other["proof"]), PROOF)
    yield of(name, "record-of-another-receipt", _set("receipt", to=other["receipt"]), PROOF)
    text = json.loads(good[name].data)["signed"].split("\n\n")[0] + "\n"
    for what, signer in (
        ("stranger", w.STRANGER),
        ("witness", SecretSigner("witness.example/w1", Kind.ED25519, w.seed(32))),
    ):
        by = note.sign(text, [signer]).encode().decode()
        yield of(name, f"signed-by-a-{what}", _set("signed", to=by), SIGNATURE)
    six = note.sign(text + "more\n", [w.LOG]).encode().decode()
    yield of(name, "signed-of-six-lines", _set("signed", to=six), INPUT)
    lied = note.sign(text.replace("\n20\n", "\n21\n"), [w.LOG]).encode().decode()
    yield of(name, "signed-for-another-place", _set("signed", to=lied), PROOF)
    elsewhere = note.sign(text.replace(w.ORIGIN, w.OTHER), [w.LOG]).encode().decode()
    yield of(name, "signed-for-another-log", _set("signed", to=elsewhere), PROOF)
    proof = ("proof",)
    yield of(name, "proof-other-index", _in(*proof, old="index 20", new="index 21"), PROOF)
    yield of(name, "proof-other-hash", _line(*proof, at=3, change=_base64), PROOF)
    yield of(
        name, "proof-checkpoint-other-size", _in(*proof, old="\n33\n", new="\n34\n"), SIGNATURE
    )
    yield of(name, "proof-log-signature-changed", _line(*proof, at=-4, change=_base64), SIGNATURE)
    yield of(name, "proof-witness-signature-gone", _set(*proof, to=_without(-3)), SIGNATURE)
    notice = w.Event(6, w.START, "subject.registered", {"subject": "alba", "member": True}, "alba")
    yield of(name, "of-no-choice", _set("event", to=notice.canonical().decode()), INPUT)


def _records(of: Any) -> Iterator[Vector]:
    """Yield records that say something else than the event, and that nobody signed."""
    for what, path, value, error in (
        ("says-yes", ("ll:choice", "dpv:hasConsentStatus"), "dpv:ConsentGiven", PROOF),
        ("of-another-account", ("dpv:hasDataSubject", "dct:identifier"), "fred", PROOF),
        ("of-another-log", ("ll:log", "ll:origin"), w.OTHER, PROOF),
        ("of-another-entry", ("ll:log", "ll:index"), 19, PROOF),
        ("of-another-time", ("ll:choice", "dct:date"), "2025-01-18T00:00:01Z", PROOF),
        ("without-lines", ("dpv:hasProcess",), [], PROOF),
        ("with-true-for-one", ("ll:log", "ll:index"), True, PROOF),
        ("with-more", ("dpv:more",), 1, INPUT),
    ):
        change = _set("receipt", *path, to=value)
        yield of("receipt-proved", f"record-{what}", change, error, needs=("record",))
    yield of("receipt-proved", "record-empty", _set("receipt", to={}), PROOF, needs=("record",))


def _histories(world: World, log: Log, of: Any) -> Iterator[Vector]:
    """Yield histories that were not."""
    del world
    name = "history"
    yield of(name, "other-hash", _set("consistency", 2, 0, to=_base64), PROOF)
    yield of(name, "hash-less", _set("consistency", 2, to=lambda p: p[:-1]), PROOF)
    yield of(name, "hash-more", _set("consistency", 2, to=lambda p: [*p, p[-1]]), PROOF)
    yield of(name, "hash-too-short", _set("consistency", 2, 0, to="AAAA"), INPUT)
    yield of(name, "hash-not-base64", _set("consistency", 2, 0, to=lambda t: t[:-1]), INPUT)
    yield of(name, "proof-less", _set("consistency", to=lambda c: c[:-1]), INPUT)
    yield of(name, "proofs-swapped", _set("consistency", to=lambda c: c[::-1]), PROOF)
    yield of(name, "empty", lambda v: v.update(checkpoints=[], consistency=[]), INPUT)
    yield of(name, "descending", lambda v: v.update(checkpoints=v["checkpoints"][::-1]), PROOF)
    yield of(name, "one-twice", _copy(1, 2), PROOF)
    for at in (0, 5):
        yield of(
            name,
            f"checkpoint-{at}-other-root",
            _line("checkpoints", at, at=2, change=_base64),
            SIGNATURE,
        )
        yield of(
            name,
            f"checkpoint-{at}-other-size",
            _line("checkpoints", at, at=1, change=lambda t: t + "0"),
            SIGNATURE,
        )
        yield of(
            name,
            f"checkpoint-{at}-signature-changed",
            _line("checkpoints", at, at=-4, change=_base64),
            SIGNATURE,
        )
    last = len(log.entries)
    fork = log.changed(last - 1, {"hold": "dpc-2026"})
    two = bundle.History((log.note(), fork.note()), ((),))
    yield Vector("history-two-histories", bundle.encode(two), PROOF)
    rewritten = log.changed(4, {"name": "Tern Models Inc"})
    true = w.history(log, [20, last])
    false = replace(true, checkpoints=(true.checkpoints[0], rewritten.note()))
    yield Vector("history-rewritten", bundle.encode(false), PROOF)
    elsewhere = replace(log, origin=w.OTHER, signers=(w.OTHER_LOG,))
    alone = replace(log, signers=(w.LOG,))
    mixed = bundle.History((alone.note(20), elsewhere.note(last)), true.consistency)
    yield Vector("history-of-two-logs", bundle.encode(mixed), PROOF, "two-logs")
    nothing = checkpoint.sign(checkpoint.Checkpoint(w.ORIGIN, 0, b"\1" * 32), [w.LOG], log.seconds)
    seen = nothing.signed_by(checkpoint.cosign(nothing, each, log.seconds) for each in (w.W1, w.W3))
    empty = bundle.History((seen.encode(),), ())
    yield Vector("history-of-an-empty-log-with-a-root", bundle.encode(empty), PROOF)


def _copy(source: int, to: int) -> Tamper:
    def change(value: dict[str, Any]) -> None:
        value["checkpoints"][to] = value["checkpoints"][source]

    return change


def _dishonest(world: World, log: Log) -> Iterator[Vector]:
    """Yield what the log itself signed, and what is not true all the same."""
    release = world.releases["aaaa"]
    n = release.sealed

    def member(name: str, other: Log, expect: str = PROOF, **more: Any) -> Vector:
        return Vector(
            f"member-not-in-{name}",
            bundle.encode(w.member(world, other, "aaaa", "gina", **more)),
            expect,
        )

    nobody = log.changed(world.releases["bbbb"].sealed, {"members": 0})
    lie = w.member(world, nobody, "bbbb", "gina", present=True)
    yield Vector("member-in-sealed-of-nobody", bundle.encode(lie), PROOF)
    yield member("sealed-of-depth-2", log.changed(n, {"depth": 2}))
    yield member("sealed-of-depth-4", log.changed(n, {"depth": 4}))
    yield member("sealed-of-4-members", log.changed(n, {"members": 4}))
    yield member("sealed-of-9-members", log.changed(n, {"members": 9}))
    yield member("sealed-with-another-root", log.changed(n, {"root": "00" * 32}))
    yield member(
        "sealed-with-upper-case-root",
        log.changed(n, {"root": release.names.root.hex().upper()}),
        INPUT,
    )
    yield member("sealed-with-no-manifest-hash", log.changed(n, {"manifest": "none"}), INPUT)
    yield member("sealed-names-another-opening", log.changed(n, {"opened": release.opened + 2}))
    yield member("sealed-names-another-release", log.changed(n, {"release": "bbbb"}))
    yield member("sealed-names-another-key", log.changed(n, {"key": 0}))
    yield member("sealed-with-more", log.changed(n, {"note": "x"}), INPUT)
    yield member("sealed-says-another-index", log.changed(n, index=n + 1))
    yield member("sealed-of-a-newer-version", log.changed(n, v=2), "UnknownVersion")
    moved = log.changed(release.opened, {"shards": 2})
    lie = w.member(world, moved, "aaaa", "alba", present=True)
    yield Vector("member-in-opened-otherwise", bundle.encode(lie), PROOF)
    yield member("opened-with-more", log.changed(release.opened, {"note": "x"}), INPUT)
    yield member("key-for-the-log", log.changed(1, {"use": "log"}))
    yield member("key-of-low-order", log.changed(1, {"key": "01" + "00" * 31}))
    yield member("key-not-canonical", log.changed(1, {"key": "ee" + "ff" * 30 + "7f"}))
    yield member("key-too-short", log.changed(1, {"key": "00"}), INPUT)
    yield member(
        "another-key-in-its-place", log.changed(1, {"key": w.vrf.public_key(w.VRF_SEEDS[1]).hex()})
    )
    # The seal before its opening, and a key that came after it: everything else as it should be.
    first, second = log.entries[release.opened], log.entries[n]
    seal = json.loads(second)
    seal = {**seal, "index": release.opened, "body": {**seal["body"], "opened": n}}
    opening = {**json.loads(first), "index": n}
    swapped = log.replaced(release.opened, canonical(seal)).replaced(n, canonical(opening))
    early = copy.copy(world)
    early.releases = {**world.releases, "aaaa": replace(release, opened=n, sealed=release.opened)}
    yield Vector(
        "member-not-in-sealed-before-opened",
        bundle.encode(w.member(early, swapped, "aaaa", "gina")),
        PROOF,
    )
    last = len(log.entries) - 1
    key = {**json.loads(log.entries[1]), "index": last}
    late = log.replaced(last, canonical(key)).changed(n, {"key": last})
    after = replace(w.member(world, late, "aaaa", "gina"), key=late.logged(last))
    yield Vector("member-not-in-key-after-opened", bundle.encode(after), PROOF)
    at = world.grants
    for name, body, expect in (
        ("upto-itself", {"upto": at}, PROOF),
        ("depth-2", {"depth": 2}, PROOF),
        ("another-root", {"root": "00" * 32}, PROOF),
        ("another-key", {"key": 1}, PROOF),
        ("more", {"note": "x"}, INPUT),
        ("9-grants", {"count": 9}, PROOF),
    ):
        data = bundle.encode(w.grants(world, log.changed(at, body), "gina", 0))
        yield Vector(f"grants-none-sealed-{name}", data, expect)


LIES = {
    "another-member-set": ('"depth":3', '"depth":4'),
    "other-members": ('"members":5', '"members":6'),
    "another-name": ('"release":"aaaa"', '"release":"aaab"'),
    "no-member-set": ('"member_set"', '"member_sets"'),
}
"""What a sealed manifest may say that its seal does not."""


def _lied(world: World, what: str) -> bytes:
    old, new = LIES[what]
    manifest = world.releases["aaaa"].manifest.decode()
    assert old in manifest, what
    return manifest.replace(old, new, 1).encode()


def _releases(world: World, log: Log, good: dict[str, Vector]) -> Iterator[Vector]:
    """Yield a release's evidence beside the files of another one, or changed ones."""
    for what in LIES:
        mark = w.hashlib.sha256(_lied(world, what)).hexdigest()
        other = log.changed(world.releases["aaaa"].sealed, {"manifest": mark})
        data = bundle.encode(w.release_of(world, other, "aaaa"))
        name = f"release-sealed-with-{what}"
        yield Vector(name, data, PROOF, needs=("release",), files=f"aaaa-{what}")
    yield good["release-aaaa"]._replace(
        name="release-aaaa-files-of-another", expect=PROOF, files="cccc"
    )
    for files in ("aaaa-another-manifest", "aaaa-another-member", "aaaa-a-member-less"):
        yield good["release-aaaa"]._replace(name=f"release-{files}", expect=PROOF, files=files)
    value = json.loads(good["release-aaaa"].data)
    renamed = canonical({**value, "release": "cccc"}) + b"\n"
    yield Vector("release-aaaa-other-name", renamed, PROOF, needs=("release",), files="aaaa")
    yield Vector(
        "release-unsorted-members",
        good["release-aaaa"].data,
        INPUT,
        needs=("release",),
        files="aaaa-unsorted",
    )


def _statements(world: World, log: Log, of: Any) -> Iterator[Vector]:
    """Yield statements that are not true, say nothing, or are not the log's."""
    del world
    need = {"needs": ("log",), "files": "log"}

    def stated(name: str, expect: str, other: Log = log, **more: Any) -> Vector:
        return Vector(
            f"statement-{name}",
            bundle.encode(w.stated(other, w.claim(log, **more))),
            expect,
            **need,
        )

    yield stated("not-true", PROOF, data_class="message.direct")
    yield stated("not-true-of-a-pattern", PROOF, data_class="message.*")
    yield stated("not-true-of-anything", PROOF, data_class="*")
    yield stated(
        "not-true-of-a-recipient",
        PROOF,
        data_class="post.public",
        purposes="*",
        recipients=("heron", "tern"),
    )
    yield stated(
        "not-true-on-the-last-day", PROOF, data_class="message.*", end=w.START + 23 * w.DAY + 1
    )
    yield stated(
        "not-true-from-the-first-day", PROOF, data_class="message.*", start=w.START + 23 * w.DAY
    )
    yield stated(
        "not-true-later",
        PROOF,
        data_class="post.public",
        size=20,
        root=w.merkle.root(20, log.tree.node),
    )
    yield stated("of-another-root", PROOF, root=b"\0" * 32)
    yield stated("of-a-longer-log", "LogError", size=99)
    yield stated("of-a-period-that-the-log-does-not-reach", "LogError", end=w.START + 40 * w.DAY)
    yield stated("of-no-known-class", PROOF, data_class="message.dierct")
    yield stated("of-no-known-recipient", PROOF, recipients=("ternn",))
    yield stated("by-a-stranger", SIGNATURE, replace(log, signers=(w.STRANGER,)))
    yield stated("about-another-log", PROOF, replace(log, origin=w.OTHER))
    good = w.stated(log, w.claim(log)).note.decode()
    text, _, signatures = good.rpartition("\n\n")
    del signatures
    for name, old, new in (
        ("no-purpose", "train.*", "drain.*"),
        ("backwards", '"from":"2025-01-01"', '"from":"2026-01-01"'),
        ("of-the-future", '"to":"2025-02-02"', '"to":"2027-02-02"'),
        ("time-written-otherwise", '"2025-01-01"', '"2025-01-01T00:00:00Z"'),
        ("with-more", '"class"', '"a":1,"class"'),
        ("with-space", '"class":', '"class": '),
        ("recipients-twice", '"*","root"', '["tern","tern"],"root"'),
        ("recipients-none", '"*","root"', '[],"root"'),
        ("recipient-as-text", '"*","root"', '"tern","root"'),
        ("recipients-any-listed", '"*","root"', '["*"],"root"'),
        ("of-four-lines", text.split("\n")[1], text.split("\n")[1] + "\n"),
        ("other-label", "statement/v1", "statement/v2"),
    ):
        assert old in text, name
        signed = note.sign(text.replace(old, new, 1) + "\n", [w.LOG]).encode()
        yield Vector(f"statement-{name}", bundle.encode(bundle.Statement(signed)), INPUT, **need)
    for name, old, new in (
        ("class-changed", "message.group", "message.grouq"),
        ("period-changed", "2025-02-02", "2025-02-03"),
        ("size-changed", '"size":33', '"size":32'),
        ("origin-changed", w.ORIGIN, w.OTHER),
    ):
        yield of("statement-group", name, _in("statement", old=old, new=new), SIGNATURE)
    yield of(
        "statement-group", "signature-changed", _line("statement", at=-2, change=_base64), SIGNATURE
    )
    for files, error in (
        ("log-without-a-manifest", "LogError"),
        ("log-without-the-policy", "LogError"),
        ("log-with-another-manifest", "LogError"),
        ("log-an-entry-short", "LogError"),
        ("log-an-entry-changed", PROOF),
        ("log-unsigned", SIGNATURE),
    ):
        yield Vector(
            f"statement-group-{files}",
            bundle.encode(w.stated(log, w.claim(log))),
            error,
            needs=("log",),
            files=files,
        )


def _texts(good: dict[str, Vector]) -> Iterator[Vector]:
    """Yield what is not read as JSON by everybody alike."""
    data = good["member-in"].data
    for name, old, new in (
        ("key-twice", b'{"account":"alba"', b'{"account":"gina","account":"alba"'),
        ("fraction", b'"index":1,', b'"index":1.0,'),
        ("exponent", b'"index":1,', b'"index":1e0,'),
        ("not-a-number", b'"index":1,', b'"index":NaN,'),
        ("minus-zero", b'"index":1,', b'"index":-0,'),
        ("leading-zero", b'"index":1,', b'"index":01,'),
        ("huge-integer", b'"index":1,', b'"index":' + b"9" * 400 + b","),
        ("integer-beyond-2-53", b'"index":1,', b'"index":9007199254740993,'),
        ("half-a-character", b'"account":"alba"', b'"account":"\\ud800"'),
        ("not-utf-8", b'"account":"alba"', b'"account":"\xff"'),
        ("control-character", b'"account":"alba"', b'"account":"al\x01ba"'),
        ("comment", b'{"account"', b'/* */{"account"'),
        ("byte-order-mark", b'{"account"', b'\xef\xbb\xbf{"account"'),
        ("comma-at-the-end", b'"vrf":', b',"vrf":'),
        ("text-after", b"}\n", b"}{}\n"),
        ("deep", b'"path":[', b'"path":[' + b"[" * 3000 + b"]" * 3000 + b","),
    ):
        assert old in data or name == "text-after", name
        head, found, tail = data.rpartition(old) if name == "text-after" else data.partition(old)
        assert found, name
        yield Vector(f"json-{name}", head + new + tail, INPUT)
    for name, text in (
        ("empty", b""),
        ("null", b"null\n"),
        ("list", b"[]\n"),
        ("object", b"{}\n"),
        ("text", b"evidence\n"),
    ):
        yield Vector(f"json-{name}", text, INPUT)


# ── files ───────────────────────────────────────────────────────────────────────────────────


def folders(world: World, log: Log) -> Iterator[tuple[str, Any]]:
    """Yield the files of releases and logs, as JSON."""
    for name in ("aaaa", "cccc"):
        release = world.releases[name]
        yield name, {"manifest": release.manifest.decode(), "pseudonyms": release.pseudonyms.hex()}
    release = world.releases["aaaa"]
    manifest, names = release.manifest.decode(), release.pseudonyms.hex()
    yield (
        "aaaa-another-manifest",
        {"manifest": manifest.replace('"withheld":3', '"withheld":4'), "pseudonyms": names},
    )
    yield "aaaa-another-member", {"manifest": manifest, "pseudonyms": names[:-64] + "ff" * 32}
    yield "aaaa-a-member-less", {"manifest": manifest, "pseudonyms": names[:-64]}
    yield "aaaa-unsorted", {"manifest": manifest, "pseudonyms": names[64:] + names[:64]}
    for what in LIES:
        yield f"aaaa-{what}", {"manifest": _lied(world, what).decode(), "pseudonyms": names}
    yield "log", _folder(log)
    lacking = [blob for blob in log.blobs if blob != release.manifest]
    yield "log-without-a-manifest", _folder(replace(log, blobs=lacking))
    yield "log-without-the-policy", _folder(replace(log, blobs=log.blobs[1:]))
    other = {**_folder(log)}
    mark = w.hashlib.sha256(release.manifest).hexdigest()
    other["blobs"] = {**other["blobs"], mark: manifest.replace("message.direct", "message.dierct")}
    yield "log-with-another-manifest", other
    yield "log-an-entry-short", {**_folder(log), "entries": _folder(log)["entries"][:-1]}
    changed = log.replaced(12, log.entries[13])
    yield "log-an-entry-changed", {**_folder(log), "entries": _folder(changed)["entries"]}
    yield "log-unsigned", _folder(replace(log, signers=(w.STRANGER, w.W1, w.W3)))


def _folder(log: Log) -> dict[str, Any]:
    return {
        "checkpoint": log.note().decode(),
        "entries": [entry.decode() for entry in log.entries],
        "blobs": {w.hashlib.sha256(blob).hexdigest(): blob.decode() for blob in log.blobs},
    }


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def main(to: Path = HERE) -> None:
    """Write every vector to its file, and what is to come of each to index.json."""
    world = World()
    log = world.log()
    good = {vector.name: vector for vector in valid(world, log)}
    bad = list(tampered(world, log, good))
    assert len({vector.name for vector in bad}) == len(bad), "two vectors have one name"
    index = []
    for folder, vectors in (("valid", list(good.values())), ("tampered", bad)):
        shutil.rmtree(to / folder, ignore_errors=True)
        (to / folder).mkdir(parents=True)
        for vector in vectors:
            path = f"{folder}/{vector.name}.{'json' if _is_text(vector.data) else 'bin'}"
            (to / path).write_bytes(vector.data)
            entry = {"file": path, "policy": f"policies/{vector.policy}", "error": vector.expect}
            entry |= {"needs": list(vector.needs)} if vector.needs else {}
            entry |= {"files": f"files/{vector.files}.json"} if vector.files else {}
            index.append(entry)
    lines = ",\n".join(json.dumps(entry) for entry in index)
    (to / "index.json").write_text(f'{{"now": {w.NOW}, "vectors": [\n{lines}\n]}}\n')
    for folder in ("policies", "files"):
        shutil.rmtree(to / folder, ignore_errors=True)
        (to / folder).mkdir()
    for name, policy in w.policies().items():
        (to / "policies" / name).write_bytes(policy)
    for name, content in folders(world, log):
        text = json.dumps(content, indent=1, sort_keys=True)
        (to / "files" / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
    w.Kept.keep()
