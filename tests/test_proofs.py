"""What the record shows of one choice, one person, one release, one claim: made here, checked here.

Every file is checked as a stranger would check it: by the file, a policy, and what it is about.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from letterlock.domain import text_of
from letterlock.errors import (
    InputError,
    LetterlockError,
    LogError,
    ProofError,
    SignatureError,
    UnknownVersion,
    UsageError,
    VerificationError,
    WorkspaceError,
)
from letterlock.evidence import bundle, statement
from letterlock.evidence.bundle import Grants, Member, Receipt, Statement, encode
from letterlock.evidence.finding import Finding
from letterlock.evidence.statement import Claim
from letterlock.gate import Gate
from letterlock.gate.offline import check_evidence
from letterlock.record.note import Kind
from letterlock.record.quorum import Policy, Witness
from letterlock.release.verify import pseudonyms
from witnessing import witness_keys
from workspaces import (
    JOINED,
    MEMBERS,
    NO,
    NOW,
    PURPOSE,
    RECIPIENT,
    SILENT,
    STRANGER,
    YES,
    at,
    member,
    messages,
    refusal,
    rows_of,
    workspace,
)

DAY = 86_400_000_000
LATER = NOW + DAY
NONE = "message.group"
"""A class that the policy names, and of which nothing is released."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a workspace with a release, its grants sealed, its log published."""
    folder = tmp_path_factory.mktemp("proofs") / "w"
    rows = [row for row in messages() if row["kind"] != NONE]
    gate = workspace(folder, rows)
    gate.build(PURPOSE, RECIPIENT)
    gate.seal_grants()
    gate.publish_log()
    gate.close()
    return folder


@pytest.fixture
def gate(made, tmp_path):
    """Yield a copy of it, open a day later."""
    shutil.copytree(made, tmp_path / "w")
    opened = Gate(tmp_path / "w", now=LATER)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def looked(made):
    """Yield one for all tests that only look."""
    opened = Gate(made, now=LATER)
    yield opened
    opened.close()


def checked(gate: Gate, data: bytes, *, like: str = "", **how: Any) -> Finding:
    """Check evidence as a stranger does, by a copy of the log's policy."""
    folder = gate.folder.parent
    path, policy = folder / "evidence.json", folder / "policy"
    path.write_bytes(data)
    policy.write_bytes((gate.folder / "log" / "policy").read_bytes())
    (found,) = check_evidence([path], policy, **how)
    assert found.kind == like or not like
    return found


def releases(gate: Gate) -> list[str]:
    """Return the ids of the sealed releases, oldest first."""
    events = gate.store.events(upto=gate.store.head().index)
    return [e.body["release"] for e in events if e.kind == "release.sealed" and e.body]


def claim(data: bytes) -> bool:
    """Return what a proof of membership or of a grant says."""
    found = bundle.parse(data)
    assert isinstance(found, Member | Grants)
    return found.present


# ── receipts ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("subject", [*YES, NO])
def test_whoever_chose_gets_a_receipt(looked, subject):
    """Of her newest choice, signed and with its proof."""
    found = bundle.parse(data := looked.receipt_of(looked.choice_of(subject)))
    assert isinstance(found, Receipt)
    assert found.signed
    assert found.proof
    told = checked(looked, data, like="receipt")
    assert subject in told.proved[0]
    assert ("said yes" in told.proved[0]) is (subject != NO)


def test_every_act_has_a_receipt(gate):
    """Of a grant, a withdrawal, an objection and a browser's signal; then proved as well."""
    gate.load_choices(rows_of([refusal("ann", time=text_of(LATER))]))
    gate.load_choices(rows_of([refusal("bob", "object", time=text_of(LATER))]))
    gate.gpc("cem", browser="b1", on=True)
    said = {"ann": "withdrew", "bob": "objected", "cem": "objected", "dia": "said yes"}
    for proved in (False, True):
        for subject, word in said.items():
            index = gate.choice_of(subject)
            data = gate.receipt_of(index)
            found = bundle.parse(data)
            assert isinstance(found, Receipt)
            assert (found.proof is not None) is (proved or subject == "dia")
            assert found.signed is not None
            told = checked(gate, data, like="receipt")
            assert word in told.proved[0]
            assert any("so far there is only the promise" in each for each in told.not_proved) is (
                found.proof is None
            )
        gate.publish_log()


def test_a_receipt_of_somebody_without_an_account(gate):
    """Who only refused has one too."""
    gate.choose(STRANGER, "object", channel="web", non_member=True)
    checked(gate, gate.receipt_of(gate.choice_of(STRANGER)), like="receipt")


def test_a_receipt_takes_no_key_if_it_is_not_signed(gate):
    """Without the log's keys: unsigned, vouched for by nobody until it is published."""
    gate.load_choices(rows_of([refusal("ann", time=text_of(LATER))]))
    new, old = gate.choice_of("ann"), gate.choice_of("bob")
    shutil.rmtree(gate.folder / "keys")
    for index in (new, old):
        with pytest.raises(WorkspaceError):
            gate.receipt_of(index)
    checked(gate, gate.receipt_of(old, signed=False), like="receipt")
    data = gate.receipt_of(new, signed=False)
    with pytest.raises(SignatureError, match="nobody vouches"):
        checked(gate, data)


def test_a_receipt_of_what_is_no_choice_is_refused(looked):
    """Of an event about everyone, a registration, one that is not there, somebody else's."""
    head = looked.store.head().index
    joined = min(looked.choice_of(name) for name in YES) - 40
    for index in (0, 1, joined, head, head + 1, head + 10**6):
        with pytest.raises(UsageError):
            looked.receipt_of(index)
    with pytest.raises(UsageError):
        looked.choice_of("ann", looked.choice_of("bob"))
    for nobody in (SILENT, STRANGER, "nobody", "", "\udcff", "a" * 70_000, "\0"):
        with pytest.raises(LetterlockError):
            looked.choice_of(nobody)


def test_any_of_somebodys_choices_can_be_shown(looked):
    """An earlier one by its event."""
    newest = looked.choice_of("ann")
    others = [n for n in range(newest) if _is_of(looked, "ann", n)]
    assert len(others) == 3
    for index in others:
        assert looked.choice_of("ann", index) == index
        checked(looked, looked.receipt_of(index), like="receipt")


def _is_of(gate: Gate, subject: str, index: int) -> bool:
    try:
        return gate.choice_of(subject, index) == index
    except UsageError:
        return False


def test_after_an_erasure_nothing_new_is_shown_of_her(gate):
    """No receipt, no proof opens what was erased; what she and others took home still verifies."""
    (release,) = releases(gate)
    hers = [gate.receipt_of(gate.choice_of("ann")), gate.member_proof("ann", release)]
    kept = [gate.receipt_of(gate.choice_of("bob")), gate.member_proof("bob", release)]
    kept += [gate.grants_proof("bob"), gate.grants_proof("bob", 7), gate.prove_history()]
    index = gate.choice_of("ann")
    proofs = [gate.prove_entry(n) for n in range(gate.published().size)]
    gate.erase("ann")
    for ask in (lambda: gate.choice_of("ann"), lambda: gate.receipt_of(index)):
        with pytest.raises(UsageError, match="erased"):
            ask()
    for again in range(2):
        for data in (*hers, *kept):
            checked(gate, data)
        assert gate.check_log()
        if not again:
            assert [gate.prove_entry(n) for n in range(gate.published().size)] == proofs
            gate.publish_log()
    files = b"".join(p.read_bytes() for p in (gate.folder / "log").rglob("*") if p.is_file())
    assert b"ann" not in files
    checked(gate, gate.receipt_of(gate.choice_of("bob")), like="receipt")


# ── who is in a release ─────────────────────────────────────────────────────────────────────


def test_everybody_is_in_a_release_or_is_not(looked):
    """Of each account, of invented ones and of the empty one, what the release's files say."""
    (release,) = releases(looked)
    count = len(pseudonyms(looked.folder / "releases" / release)) // 32
    said = {}
    for name in (*MEMBERS, STRANGER, "nobody", "ann ", "Ann", "☃", "x" * 60_000, "a\nb"):
        data = looked.member_proof(name, release)
        told = checked(looked, data, like="member")
        said[name] = claim(data)
        assert ("is among" in told.proved[0]) is said[name]
    assert {name for name, there in said.items() if there} <= set(YES)
    assert sum(said.values()) == count == len(YES)


@pytest.mark.parametrize("name", ["\udcff", "x" * 70_000])
def test_what_can_be_no_account_is_an_error(looked, name):
    """Nothing is proved of half a character, or of more than an account id may be."""
    (release,) = releases(looked)
    with pytest.raises(LetterlockError):
        looked.member_proof(name, release)
    with pytest.raises(LetterlockError):
        looked.grants_proof(name)


@pytest.mark.parametrize("release", ["", "..", "../../w", "nothing", "\0", "a" * 300])
def test_a_release_that_is_none_is_refused(looked, release):
    """Whatever it is called."""
    for ask in (lambda: looked.member_proof("ann", release), lambda: looked.release_proof(release)):
        with pytest.raises(UsageError, match="no release"):
            ask()


def test_two_releases_share_no_pseudonym(gate):
    """Nor does a proof for one hold for the other."""
    gate.build(PURPOSE, RECIPIENT)
    first, second = releases(gate)
    with pytest.raises(LogError, match="not published yet"):
        gate.member_proof("ann", second)
    gate.publish_log()
    names = [pseudonyms(gate.folder / "releases" / each) for each in (first, second)]
    sets = [{n[at : at + 32] for at in range(0, len(n), 32)} for n in names]
    assert len(sets[0]) == len(sets[1]) == len(YES)
    assert not sets[0] & sets[1]
    proofs = [json.loads(gate.member_proof("ann", each)) for each in (first, second)]
    swapped = proofs[0] | {key: proofs[1][key] for key in ("opened", "sealed")}
    with pytest.raises(ProofError):
        checked(gate, json.dumps(swapped).encode())


def test_a_release_keeps_the_key_that_it_was_made_with(gate):
    """After a rotation the old release is proved under the old key, a new one under the new."""
    key = gate.rotate("vrf")
    gate.build(PURPOSE, RECIPIENT)
    gate.publish_log()
    first, second = releases(gate)
    for release, index in ((first, 1), (second, key.index)):
        for name, there in (("ann", True), (NO, False)):
            data = gate.member_proof(name, release)
            checked(gate, data, like="member")
            found = bundle.parse(data)
            assert isinstance(found, Member)
            assert (found.key.index, found.present) == (index, there)
    gate.destroy(1)
    for ask in (lambda: gate.member_proof("ann", first), lambda: gate.grants_proof("ann")):
        with pytest.raises(WorkspaceError, match="destroyed"):
            ask()
    assert claim(gate.member_proof("ann", second))
    checked(gate, gate.release_proof(first), release=gate.folder / "releases" / first)
    gate.seal_grants()
    gate.publish_log()
    assert claim(gate.grants_proof("ann"))


def test_a_release_that_was_changed_proves_nothing(gate):
    """With other people in its files than were sealed, no proof is handed out."""
    (release,) = releases(gate)
    gate.build(PURPOSE, RECIPIENT)
    _, second = releases(gate)
    folders = [gate.folder / "releases" / each / "outgoing" for each in (release, second)]
    shutil.copy(folders[1] / "members.parquet", folders[0] / "members.parquet")
    for ask in (lambda: gate.member_proof("ann", release), lambda: gate.release_proof(release)):
        with pytest.raises((ProofError, VerificationError)):
            ask()
    shutil.rmtree(gate.folder / "releases" / release)
    for ask in (lambda: gate.member_proof("ann", release), lambda: gate.release_proof(release)):
        with pytest.raises(VerificationError):
            ask()


# ── who granted what ────────────────────────────────────────────────────────────────────────


def test_each_grant_has_its_number(looked):
    """Members with four grants, with one in four rows, and with none; nobody has one more."""
    for name in (*MEMBERS, STRANGER, "nobody"):
        count = 0 if name in {SILENT, STRANGER, "nobody"} else 4
        for number in (0, 1, 2, 3, 4, 2**40) if name in {"ann", SILENT} else (0, 3, 4):
            data = looked.grants_proof(name, number)
            assert claim(data) is (number < count), (name, number)
            checked(looked, data, like="grants")
    with pytest.raises(InputError):
        looked.grants_proof("ann", 2**64)


def test_grants_are_counted_as_they_were_recorded(gate):
    """None, one and three grants; a withdrawal takes none away, and is none."""
    gate.register_subjects(rows_of([
        {"subject": name, "jurisdiction": "US", "birth_year": 1970, "noticed": ["1"]}
        for name in ("zero", "one", "three")
    ]))  # fmt: skip
    for name, count in (("one", 1), ("three", 3)):
        for data_class in ("message.*", "message.direct", "post.public")[:count]:
            gate.choose(name, "grant", channel="web", setting="genai", data_class=data_class)
    gate.choose("three", "withdraw", channel="web")
    gate.seal_grants()
    assert not claim(gate.grants_proof("one"))  # as of the sealing before
    gate.publish_log()
    for name, count in (("zero", 0), ("one", 1), ("three", 3), ("ann", 4)):
        assert [claim(gate.grants_proof(name, k)) for k in range(5)] == [
            k < count for k in range(5)
        ]
        checked(gate, gate.grants_proof(name), like="grants")


def test_sealed_grants_outlive_an_erasure(gate):
    """Somebody else's erasure changes no sealed set; the next sealing is without her."""
    before = gate.grants_proof("bob")
    gate.erase("ann")
    gate.publish_log()
    assert claim(gate.grants_proof("bob"))
    assert not claim(gate.grants_proof(SILENT))
    checked(gate, before, like="grants")
    gate.seal_grants()
    gate.publish_log()
    with pytest.raises(UsageError, match="erased"):
        gate.grants_proof("ann")
    assert [claim(gate.grants_proof("bob", k)) for k in (0, 3, 4)] == [True, True, False]


def test_grants_can_be_sealed_twice(gate):
    """With nothing new the set is the same one."""
    first = sorted((gate.folder / "grants").iterdir())
    index = gate.seal_grants()
    assert sorted((gate.folder / "grants").iterdir()) == first
    gate.publish_log()
    found = bundle.parse(gate.grants_proof("bob"))
    assert isinstance(found, Grants)
    assert found.sealed.index == index


def test_nothing_is_granted_where_nobody_is(tmp_path):
    """A workspace without members seals an empty set, in which nobody is."""
    gate = Gate.create(tmp_path / "w", simulated=True, now=NOW)
    with pytest.raises(UsageError, match="seal-grants"):
        gate.grants_proof("ann")
    gate.seal_grants()
    with pytest.raises(UsageError, match="seal-grants"):
        gate.grants_proof("ann")
    gate.publish_log()
    assert not claim(gate.grants_proof("ann"))
    checked(gate, gate.grants_proof("ann"), like="grants")
    gate.close()


def test_a_sealed_set_that_is_lost_or_changed_proves_nothing(gate):
    """It cannot be made again, and nobody makes one up."""
    (path,) = (gate.folder / "grants").iterdir()
    data = path.read_bytes()
    path.write_bytes(data[32:])
    with pytest.raises(ProofError):
        gate.grants_proof(SILENT)
    path.write_bytes(data[:-1])
    with pytest.raises(LetterlockError):
        gate.grants_proof(SILENT)
    path.unlink()
    with pytest.raises(WorkspaceError, match="lost"):
        gate.grants_proof(SILENT)


# ── releases ────────────────────────────────────────────────────────────────────────────────


def test_a_release_is_the_one_that_the_log_has(gate):
    """Its files are held against what was sealed; another release's are not it."""
    (first,) = releases(gate)
    data = gate.release_proof(first)
    told = checked(gate, data, like="release", release=gate.folder / "releases" / first)
    assert first in told.proved[0]
    gate.build(PURPOSE, RECIPIENT)
    _, second = releases(gate)
    with pytest.raises(ProofError):
        checked(gate, data, release=gate.folder / "releases" / second)
    with pytest.raises(UsageError, match="folder"):
        checked(gate, data)
    with pytest.raises(LogError, match="not published yet"):
        gate.release_proof(second)
    with (gate.folder / "releases" / first / "outgoing" / "manifest.json").open("ab") as file:
        file.write(b" ")
    with pytest.raises(VerificationError):
        checked(gate, data, release=gate.folder / "releases" / first)


# ── statements ──────────────────────────────────────────────────────────────────────────────


def state(gate: Gate, data_class: str = "message.*", **how: Any) -> bytes:
    """Make a statement about a week around the release, or another period."""
    asked: dict[str, Any] = {
        "start": NOW - DAY, "end": LATER, "purposes": "train.*", "recipients": (), **how,
    }  # fmt: skip
    return gate.make_statement(
        data_class, asked["start"], asked["end"],
        purposes=asked["purposes"], recipients=asked["recipients"],
    )  # fmt: skip


def held(gate: Gate, data: bytes, log: Path | None = None) -> Finding:
    """Check a statement against a log's folder."""
    return checked(gate, data, like="statement", log=log or gate.folder / "log")


TRUE: list[dict[str, Any]] = [
    {"start": JOINED, "end": NOW},  # before it
    {"start": NOW + 2, "end": LATER},  # after it
    {"purposes": "infer"},
    {"purposes": "train.ranking"},
    {"recipients": ("own",)},
]


@pytest.mark.parametrize("how", TRUE, ids=str)
def test_a_true_statement_is_made_and_held_against_the_log(gate, how):
    """Of another period, purpose or recipient than the release's: recorded, and it holds."""
    data = state(gate, **how)
    event = next(
        e for e in gate.store.events(upto=10**6) if e.kind == "statement.published"
    )  # fmt: skip
    assert event.body["claim"]["class"] == "message.*"
    with pytest.raises(LogError, match="what is missing may"):
        state(gate, **how)
    gate.publish_log()
    assert held(gate, data).proved[0].startswith("No release for ")
    gate.seal_grants()
    gate.publish_log()
    held(gate, data)  # the log grew


@pytest.mark.parametrize("data_class", ["message.*", "message.direct", "*", "post.public"])
def test_an_untrue_statement_is_not_signed(gate, data_class):
    """It names the release, the class and the rows; nothing is recorded."""
    (release,) = releases(gate)
    head = gate.store.head()
    with pytest.raises(ProofError, match=f"release {release}, .* rows of ") as caught:
        state(gate, data_class)
    assert "not true" in str(caught.value)
    assert gate.store.head() == head


@pytest.mark.parametrize(
    ("data_class", "how", "error"),
    [
        ("message.voice", {}, ProofError),
        ("message.*", {"purposes": "train.nothing"}, InputError),
        ("message.*", {"recipients": ("nobody",)}, ProofError),
        ("message.*", {"end": LATER + 1}, InputError),
        ("message.*", {"start": NOW, "end": NOW}, InputError),
        ("message.*", {"recipients": ("",)}, InputError),
        ("message.*", {"recipients": ("*", "own")}, InputError),
        ("", {}, InputError),
        ("a b", {}, InputError),
    ],
)
def test_a_statement_about_what_there_never_was_is_refused(gate, data_class, how, error):
    """An unknown class, purpose or recipient; a period that is not over, or is none."""
    head = gate.store.head()
    with pytest.raises(error):
        state(gate, data_class, **how)
    assert gate.store.head() == head


def test_a_statement_needs_everything_published(gate):
    """What is recorded and not yet public may make it untrue."""
    gate.seal_grants()
    with pytest.raises(LogError, match="what is missing may"):
        state(gate, NONE)


@pytest.fixture
def log(gate, tmp_path):
    """Return a copy of the log's folder, as a stranger has it."""
    return Path(shutil.copytree(gate.folder / "log", tmp_path / "log"))


def published_to(log: Path, gate: Gate) -> None:
    """Publish, and copy that, too."""
    gate.publish_log()
    shutil.copytree(gate.folder / "log", log, dirs_exist_ok=True)


def test_a_log_without_a_manifest_shows_nothing(gate, log):
    """One that is missing, changed, or another's is an error, and never counts as true."""
    data = state(gate, NONE)
    published_to(log, gate)
    assert "It is about 1 of them" in held(gate, data, log).proved[-1]
    (blob,) = (log / "blobs").iterdir()
    blob.write_bytes(blob.read_bytes().replace(b"{", b"{ ", 1))
    with pytest.raises(LogError, match="another text"):
        held(gate, data, log)
    blob.unlink()
    with pytest.raises(LogError, match="not beside the log"):
        held(gate, data, log)


def test_a_log_without_all_its_entries_shows_nothing(gate, log):
    """Whichever of its files is cut, changed or missing."""
    data = state(gate, NONE)
    published_to(log, gate)
    newest = str(gate.public_log().size)  # partial files of older checkpoints matter to nobody
    for path in sorted((log / "tile").rglob(newest)):
        kept = path.read_bytes()
        for other in (kept[:-1], bytes([kept[0] ^ 1]) + kept[1:], b"", b"\xff" * len(kept)):
            path.write_bytes(other)
            with pytest.raises(LetterlockError):
                held(gate, data, log)
        path.unlink()
        with pytest.raises(LogError, match="missing"):
            held(gate, data, log)
        path.write_bytes(kept)
    held(gate, data, log)
    for other in (b"", b"nothing", (log / "checkpoint").read_bytes().replace(b"\n", b" ")):
        (log / "checkpoint").write_bytes(other)
        with pytest.raises(InputError):
            held(gate, data, log)
    (log / "checkpoint").unlink()
    with pytest.raises(LogError, match="no log's folder"):
        held(gate, data, log)
    with pytest.raises(UsageError, match="name it with --log"):
        checked(gate, data)


def test_a_statement_is_about_one_log(gate, log, tmp_path):
    """Another log's folder does not do, nor does an older copy of this one."""
    data = state(gate, NONE)
    gate.publish_log()
    newer = state(gate, NONE)
    gate.publish_log()
    held(gate, newer)
    with pytest.raises(LogError, match="the log ends at"):
        held(gate, newer, log)
    other = Gate.create(tmp_path / "other", simulated=True, now=NOW)
    other.publish_log()
    with pytest.raises(SignatureError):
        held(gate, data, other.folder / "log")
    with pytest.raises(SignatureError):
        held(other, data, gate.folder / "log")
    other.close()


def test_a_release_that_is_sealed_later_makes_a_statement_untrue(gate):
    """Within the claimed period, after it was signed: whoever checks the grown log sees it.

    Until the log has reached the period's end, nothing is shown: a copy of it as it was then would
    show the opposite for ever.
    """
    reader, start = gate.public_log(), NOW + DAY // 4
    claim = Claim(
        "message.*", start, LATER, "train.*", ("*",), reader.size, reader.checkpoint.root, LATER
    )
    signers = [each for each in gate.log_signers() if each.verifier.kind is Kind.ED25519]
    data = encode(Statement(statement.sign(gate.origin, claim, signers).encode()))
    with pytest.raises(LogError, match="before the period ends"):
        held(gate, data)
    at(gate.folder, NOW + DAY // 2, lambda early: early.build(PURPOSE, RECIPIENT))
    with pytest.raises(LogError, match="before the period ends"):
        held(gate, data)  # it is not public yet
    at(gate.folder, NOW + DAY // 2, lambda early: early.publish_log())
    with pytest.raises(ProofError, match=f"release {releases(gate)[-1]}, .* rows of message"):
        held(gate, data)


# ── checking, without a workspace ───────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def kinds(looked):
    """Return an evidence file of every kind that needs nothing but a policy."""
    (release,) = releases(looked)
    return {
        "receipt": looked.receipt_of(looked.choice_of("ann")),
        "member": looked.member_proof("ann", release),
        "grants": looked.grants_proof("ann"),
        "history": looked.prove_history(),
    }


def of(policy: Policy, **change: Any) -> bytes:
    """Return a policy with something changed."""
    return replace(policy, **change).encode()


def test_a_policy_decides_whose_word_counts(looked, kinds, tmp_path):
    """Another log's, one that asks for a witness, one with a single key of the log's two."""
    trust = looked.trust()
    other = Gate.create(tmp_path / "w", simulated=True, now=NOW)
    witness = Witness(b"w", witness_keys("w.example/1")[0].verifier)
    asked = of(trust, witnesses=(witness,), quorum=b"w")
    path = tmp_path / "policy"
    for kind, data in kinds.items():
        (tmp_path / kind).write_bytes(data)
        for one in trust.logs:
            path.write_bytes(of(trust, logs=(one,)))
            if kind != "receipt" or one.verifier.kind is Kind.ED25519:
                assert check_evidence([tmp_path / kind], path)[0].kind == kind
            else:  # what the log promised is signed by its Ed25519 key alone
                with pytest.raises(SignatureError):
                    check_evidence([tmp_path / kind], path)
        for text in (other.trust().encode(), asked):
            path.write_bytes(text)
            with pytest.raises(SignatureError):
                check_evidence([tmp_path / kind], path)
    other.close()


def test_every_value_of_a_file_counts(looked, kinds):
    """Whatever is changed in a file, it is not accepted, and the error is one of ours."""
    for kind, data in kinds.items():
        value = json.loads(data)
        for at_path in paths_in(value):
            if kind == "receipt" and "receipt" in at_path and at_path[-1] != "receipt":
                continue  # the record for people has parts that are the platform's word
            changed = json.loads(data)
            holder = changed
            for step in at_path[:-1]:
                holder = holder[step]
            holder[at_path[-1]] = other_than(holder[at_path[-1]])
            if "signed" in at_path or "proof" in at_path:
                continue  # notes and proof files have tests of their own
            with pytest.raises(LetterlockError):
                checked(looked, json.dumps(changed).encode())


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in a JSON value."""
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    else:
        inner = ()
    return [p for k, v in inner for p in [(*path, k), *paths_in(v, (*path, k))]]


def other_than(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1000
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1:] != "0" else "1")
    if isinstance(value, list):
        return [*value, "00" * 32]
    return {**value, "more": 1} if isinstance(value, dict) else "x"


HOSTILE = [
    b"",
    b"{}",
    b"null",
    b"\xff" * 1000,
    b"[" * 200_000,
    b'{"a":' * 100_000,
    b'{"format":"letterlock/evidence/v1","kind":"member"}',
    b'{"format":"letterlock/evidence/v1","kind":"nothing"}',
    b'{"format":"letterlock/evidence/v2","kind":"member"}',
    b'{"format":"letterlock/evidence/v1","kind":["member"]}',
    b'{"format":"letterlock/evidence/v1","kind":"history","checkpoints":[],"consistency":[]}',
    b'{"format":"letterlock/evidence/v1","kind":"statement","statement":"\\ud800"}',
    b"[" + b"1," * 300_000 + b"1]",
    b'"' + b"a" * 2**24 + b'"',
    b"1" * 10_000,
]


@pytest.mark.parametrize("data", HOSTILE, ids=lambda data: f"{data[:20]!r}*{len(data)}")
def test_what_is_no_evidence_is_an_error(looked, data):
    """Whatever a stranger sends: an error of ours, and soon."""
    with pytest.raises((InputError, UnknownVersion)):
        checked(looked, data)


@given(data=st.binary(max_size=200), cut=st.integers(0, 20_000), flip=st.integers(0, 7))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_is_an_error_of_ours(looked, kinds, data, cut, flip):
    """Random bytes, and files of every kind cut off or with a bit changed."""
    for good in (data, *kinds.values()):
        place = cut % max(len(good), 1)
        flipped = bytearray(good)
        if flipped:
            flipped[place] ^= 1 << flip
        for bad in (good[:place], bytes(flipped)):
            with contextlib.suppress(LetterlockError):  # white space, a part of the record
                checked(looked, bad)


def test_two_histories_are_found_by_comparing_files(looked, made, tmp_path):
    """Two files that each hold, of checkpoints of one size and two roots."""
    forks = []
    for name in ("one", "other"):
        folder = Path(shutil.copytree(made, tmp_path / name))
        gate = Gate(folder, now=LATER)
        gate.register_subjects(rows_of([member(name)]))
        gate.publish_log()
        forks.append(tmp_path / f"{name}.json")
        forks[-1].write_bytes(gate.receipt_of(gate.choice_of("ann")))
        gate.close()
    policy = tmp_path / "policy"
    policy.write_bytes(looked.trust().encode())
    for each in forks:
        check_evidence([each], policy)
    with pytest.raises(ProofError, match="two histories"):
        check_evidence(forks, policy)
