"""Operators through the gate and the command line: two sign, or nothing is recorded."""

from __future__ import annotations

import json
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from letterlock import approval
from letterlock.cli import main
from letterlock.domain import DAY, Signature
from letterlock.errors import ApprovalError, HeadMoved, InputError, LetterlockError
from letterlock.gate import Gate
from letterlock.gate.policies import publishable, to_sign
from letterlock.ledger import Draft, Event
from workspaces import (
    KEYS,
    POLICY,
    PUBLISHED,
    approved,
    folder_of,
    publish,
    written,
)

SEEDS = {**KEYS, "cedar": bytes([3]) * 32, "dogwood": bytes([4]) * 32}
PUBLIC = {name: approval.public_key(seed) for name, seed in SEEDS.items()}
THIRD = {"operator": "cedar", "name": "Cedar", "key": PUBLIC["cedar"]}
TERN = {"recipient": "tern", "name": "Tern Models GmbH", "class": "third_party"}
DECLARED = {"requirement": "R48", "text": "Since 2024-01-01 nobody else reads it."}


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Gate]:
    """Yield a simulated workspace without operators."""
    with closing(Gate.create(tmp_path / "w", simulated=True, now=PUBLISHED)) as gate:
        yield gate


@pytest.fixture
def gate(empty: Gate) -> Gate:
    """Return a workspace with two operators, and a hold."""
    for name in KEYS:
        empty.register_operator(name, name.title(), PUBLIC[name])
    empty.record([Draft("hold.set", {"hold": "h", "clauses": []})])
    return empty


def events(gate: Gate) -> list[Event]:
    """Return every event since the two that introduce the workspace's own keys."""
    return list(gate.store.every_event(upto=gate.store.head().index))[2:]


def signed(kind: str, body: dict[str, Any], *who: str) -> list[Signature]:
    """Return what some sign of an event."""
    message = approval.message(kind, body)
    return [approval.sign(name, SEEDS[name], message) for name in who]


# ── operators ───────────────────────────────────────────────────────────────────────────────


def test_the_first_two_need_no_approval_and_the_third_does(empty: Gate):
    """Somebody has to begin; from then on two approve who else may."""
    empty.register_operator("ash", "Ash", PUBLIC["ash"])
    empty.register_operator("birch", "Birch", PUBLIC["birch"])
    refused: list[list[Signature]] = [
        [],
        signed("operator.registered", THIRD, "ash"),
        signed("operator.registered", THIRD, "ash", "ash"),
        signed("operator.registered", THIRD, "ash", "cedar"),
        signed("operator.registered", {**THIRD, "key": PUBLIC["dogwood"]}, "ash", "birch"),
        signed("recipient.registered", THIRD, "ash", "birch"),
    ]
    for signatures in refused:
        with pytest.raises(ApprovalError):
            empty.register_operator("cedar", "Cedar", PUBLIC["cedar"], signatures)
        assert len(events(empty)) == 2
    two = signed("operator.registered", THIRD, "ash", "birch")
    empty.register_operator("cedar", "Cedar", PUBLIC["cedar"], two)
    assert empty.rules().operators.keys() == {"ash", "birch", "cedar"}
    # The third may approve like the others.
    fourth = {"operator": "dogwood", "name": "Dogwood", "key": PUBLIC["dogwood"]}
    two = signed("operator.registered", fourth, "cedar", "birch")
    empty.register_operator("dogwood", "Dogwood", PUBLIC["dogwood"], two)


def test_one_person_is_not_two(empty: Gate):
    """Neither the same id nor key nor name makes a second operator, nor a letter like another."""
    empty.register_operator("ash", "Ash", PUBLIC["ash"])
    for name, person, key in (
        ("ash", "Birch", PUBLIC["birch"]),
        ("birch", "Birch", PUBLIC["ash"]),
        ("birch", "ash", PUBLIC["birch"]),
        ("\u0430sh", "Birch", PUBLIC["birch"]),
        ("ASH", "Birch", PUBLIC["birch"]),
        ("birch", "Birch", PUBLIC["birch"].upper()),
        ("birch", "Birch", "01" + "00" * 31),
    ):
        with pytest.raises(InputError):
            empty.register_operator(name, person, key)
    assert len(events(empty)) == 1


def test_not_even_at_once_do_more_than_two_begin(empty: Gate):
    """Whoever registers beside others finds out what they did: two get in, the rest are refused."""
    at_once = Barrier(6)
    refused = []

    def register(n: int) -> None:
        with closing(Gate(empty.folder, now=PUBLISHED)) as mine:
            at_once.wait()
            try:
                mine.register_operator(f"o{n}", f"O {n}", approval.public_key(bytes([n + 9]) * 32))
            except ApprovalError:
                refused.append(n)

    threads = [Thread(target=register, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(empty.rules().operators) == 2
    assert len(refused) == 4


# ── what two approve ────────────────────────────────────────────────────────────────────────

VERBS: dict[str, tuple[str, dict[str, str], Callable[[Gate, list[Signature]], None]]] = {
    "a recipient": (
        "recipient.registered",
        TERN,
        lambda gate, by: gate.register_recipient("tern", "Tern Models GmbH", "third_party", by),
    ),
    "a declaration": (
        "declaration.made",
        DECLARED,
        lambda gate, by: gate.declare("R48", DECLARED["text"], by),
    ),
    "a lifted hold": (
        "hold.lifted",
        {"hold": "h"},
        lambda gate, by: gate.record_approved("hold.lifted", {"hold": "h"}, by),
    ),
    "an operator": (
        "operator.registered",
        THIRD,
        lambda gate, by: gate.register_operator("cedar", "Cedar", PUBLIC["cedar"], by),
    ),
}


@pytest.mark.parametrize("what", VERBS)
def test_two_signatures_record_and_fewer_record_nothing(what: str, gate: Gate):
    """None, one, a stranger's, and one for something else are refused; two are kept with it."""
    kind, body, verb = VERBS[what]
    before = len(events(gate))
    for signatures in (
        [],
        signed(kind, body, "ash"),
        signed(kind, body, "ash", "dogwood"),
        signed(kind, body, "ash", "birch", "dogwood"),
        signed(kind, {**body, "more": "x"}, "ash", "birch"),
        signed("hold.set", body, "ash", "birch"),
    ):
        with pytest.raises(ApprovalError):
            verb(gate, signatures)
        assert len(events(gate)) == before
    two = signed(kind, body, "birch", "ash")
    verb(gate, two)
    event = events(gate)[-1]
    kept = [{"operator": s.operator, "signature": s.signature} for s in two]
    assert (event.kind, event.body) == (kind, {**body, "signatures": kept})


@pytest.mark.parametrize("what", VERBS)
def test_no_signature_counts_twice(what: str, gate: Gate):
    """What two approved once cannot be recorded again with the same signatures, whatever is so."""
    kind, body, verb = VERBS[what]
    two = signed(kind, body, "ash", "birch")
    verb(gate, two)
    with suppress(LetterlockError):  # the hold is set again, if that can be
        gate.record([Draft("hold.set", {"hold": "h", "clauses": []})])
    before = len(events(gate))
    with pytest.raises(InputError):
        verb(gate, two)
    assert len(events(gate)) == before


def test_a_lock_stays_however_many_sign(gate: Gate):
    """Two operators do not lift what can never be lifted."""
    gate.record([Draft("hold.set", {"hold": "locked", "clauses": [], "lock": True})])
    with pytest.raises(InputError, match="never be lifted"):
        gate.record_approved(
            "hold.lifted", {"hold": "locked"}, approved("hold.lifted", hold="locked")
        )
    assert [hold.id for hold in gate.rules().holds] == ["h", "locked"]


def test_what_was_approved_can_be_checked_from_the_ledger_alone(gate: Gate):
    """Every signed event, a policy's too, checks against the operators that the ledger names."""
    publish(gate)
    for kind, body, verb in VERBS.values():
        verb(gate, signed(kind, body, "ash", "birch"))
    operators = gate.rules().operators
    checked = []
    for event in events(gate):
        assert event.body is not None
        if "signatures" in event.body:
            signatures = [Signature(**each) for each in event.body["signatures"]]
            message = approval.message(event.kind, event.body)
            assert approval.check(message, signatures, operators) == ("ash", "birch")
            checked.append(event.kind)
    assert sorted(checked) == sorted(["policy.published", *(kind for kind, _, _ in VERBS.values())])


# ── policies ────────────────────────────────────────────────────────────────────────────────


def signatures_of(policy: bytes, *who: str) -> list[Signature]:
    """Return what some sign of a policy."""
    message = to_sign(publishable(folder_of(policy), "policy"))
    return [approval.sign(name, SEEDS[name], message) for name in who]


def test_a_policy_takes_the_signatures_of_two_on_these_very_words(gate: Gate):
    """None, one, a stranger's, and those for other words or another version publish nothing."""
    files = folder_of(POLICY)
    before = len(events(gate))
    edited = POLICY.replace(b"window_days = 1", b"window_days = 2")
    later = POLICY.replace(b'version = "1"', b'version = "2"')
    for signatures in (
        [],
        signatures_of(POLICY, "ash"),
        signatures_of(POLICY, "ash", "ash"),
        signatures_of(POLICY, "ash", "cedar"),
        signatures_of(POLICY, "ash", "birch", "cedar"),
        signatures_of(edited, "ash", "birch"),
        [*signatures_of(POLICY, "ash"), *signatures_of(later, "birch")],
    ):
        with pytest.raises(ApprovalError):
            gate.publish(files, "policy", signatures)
        assert len(events(gate)) == before
    two = signatures_of(POLICY, "ash", "birch")
    assert gate.publish(files, "policy", two) == "1"
    after = len(events(gate))
    with pytest.raises(InputError, match="already published"):
        gate.publish(files, "policy", two)
    with pytest.raises(ApprovalError):
        gate.publish(folder_of(later), "policy", two)
    assert len(events(gate)) == after
    assert gate.rules().policies[0].signatures == tuple(two)


def test_the_same_words_may_be_published_in_another_workspace(gate: Gate, tmp_path: Path):
    """By design: what two signed are the words, wherever these two are the operators."""
    two = signatures_of(POLICY, "ash", "birch")
    gate.publish(folder_of(POLICY), "policy", two)
    with closing(Gate.create(tmp_path / "other", simulated=True, now=PUBLISHED)) as other:
        with pytest.raises(ApprovalError, match="no registered operator"):
            other.publish(folder_of(POLICY), "policy", two)
        other.register_operator("birch", "Birch", PUBLIC["ash"])
        other.register_operator("ash", "Ash", PUBLIC["birch"])
        with pytest.raises(ApprovalError, match="not of this"):
            other.publish(folder_of(POLICY), "policy", two)
    with closing(Gate.create(tmp_path / "third", simulated=True, now=PUBLISHED + DAY)) as third:
        for name in KEYS:
            third.register_operator(name, name, PUBLIC[name])
        assert third.publish(folder_of(POLICY), "policy", two) == "1"


def test_who_records_while_a_policy_is_published_is_noticed(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
):
    """What was read for the check has to hold when it is recorded."""
    real = approval.check

    def check(*arguments: Any) -> tuple[str, ...]:
        found = real(*arguments)
        gate.record([Draft("hold.set", {"hold": "meanwhile", "clauses": []})])
        return found

    monkeypatch.setattr(approval, "check", check)
    with pytest.raises(HeadMoved):
        gate.publish(folder_of(POLICY), "policy", signatures_of(POLICY, "ash", "birch"))
    assert gate.rules().policies == ()


# ── the command line ────────────────────────────────────────────────────────────────────────

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Yield what runs a command in an empty folder: it returns how it ended and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LETTERLOCK_WORKSPACE", raising=False)
    handler = signal.getsignal(signal.SIGINT)

    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["letterlock", *map(str, words)])
        code: Any = 0
        try:
            main()
        except SystemExit as error:
            code = error.code
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code or 0, said.out + said.err

    yield call
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def place(run: Run, tmp_path: Path) -> Path:
    """Return a folder with a workspace of two operators, their keys, and a policy."""
    written(Path("policy"))
    for name, seed in SEEDS.items():
        Path(f"{name}.key").write_text(seed.hex() + "\n")
    made = run("init", "--simulated", "--now", "2024-01-01", "--operator", "ash=ash.key",
               "--operator", "birch=birch.key")  # fmt: skip
    assert made[0] == 0
    return tmp_path


def recorded() -> int:
    """Return how many events the workspace here has."""
    with closing(Gate(Path())) as gate:
        return len(events(gate))


def test_a_key_is_made_for_its_owners_eyes_only_and_kept(run: Run):
    """The secret half stands in a file of mode 0600, the public half in the ledger."""
    assert run("init", "--simulated", "--now", "2024-01-01")[0] == 0
    code, said = run("register", "operator", "ash", "--name", "Ash Reed", "--key-file", "ash.key")
    assert code == 0
    seed = bytes.fromhex(Path("ash.key").read_text())
    assert stat.S_IMODE(Path("ash.key").stat().st_mode) == 0o600
    assert said == f"registered operator ash: Ash Reed, key {approval.public_key(seed)}\n"
    assert seed.hex().encode() not in b"".join(p.read_bytes() for p in Path().glob("ledger*"))
    # The same key again, under another name: it is not made anew, and refused.
    code, said = run("register", "operator", "fir", "--name", "Fir", "--key-file", "ash.key")
    assert (code, recorded()) == (1, 1)
    assert "one key, one person" in said
    assert bytes.fromhex(Path("ash.key").read_text()) == seed


@pytest.mark.parametrize(
    "content", [b"", b"00", b"zz" * 32, b"00" * 33, b"\xff" * 64, bytes(32), b"[]"]
)
def test_a_bad_key_file_is_named_and_signs_nothing(content: bytes, run: Run, place: Path):
    """Whichever command reads it, it says which file; nothing is recorded or written."""
    (place / "bad.key").write_bytes(content)
    before = recorded()
    for words in (
        ("register", "operator", "cedar", "--name", "Cedar", "--key-file", "bad.key"),
        ("policy", "sign", "policy", "--operator", "ash", "--key-file", "bad.key"),
        ("approve", "hold.lifted", "{}", "--operator", "ash", "--key-file", "bad.key"),
    ):
        code, said = run(*words)
        assert (code, said) == (1, "error: bad.key: an operator's key is 64 hexadecimal digits\n")
    assert recorded() == before
    assert not (place / "policy" / "signatures").exists()


@pytest.mark.parametrize("path", ["missing/new.key", "policy", "dangling"])
def test_a_key_that_cannot_be_made_or_read_is_named(path: str, run: Run, place: Path):
    """No folder, a folder itself, a link to nowhere: one line, and nothing recorded."""
    (place / "dangling").symlink_to("nowhere")
    before = recorded()
    code, said = run("register", "operator", "cedar", "--name", "Cedar", "--key-file", path)
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith(f"error: {path}: ")
    assert recorded() == before
    assert not (place / "nowhere").exists()


def sign(run: Run, *who: str) -> None:
    """Sign the policy."""
    for name in who:
        words = ("policy", "sign", "policy", "--operator", name, "--key-file", f"{name}.key")
        assert run(*words) == (0, f"{name} signed policy 1: policy/signatures/{name}.json\n")


PUBLISH = ("policy", "publish", "policy", "--now", "2024-01-02")


@pytest.mark.usefixtures("place")
def test_a_policy_is_published_once_two_have_signed(run: Run):
    """With none, one or a stranger's signature it is not, and nothing is recorded."""
    before = recorded()
    assert run(*PUBLISH) == (1, "error: nobody approved: it takes 2 registered operators\n")
    sign(run, "ash")
    assert run(*PUBLISH) == (1, "error: ash approved: it takes 2 registered operators\n")
    sign(run, "cedar")
    assert run(*PUBLISH) == (1, "error: 'cedar' is no registered operator\n")
    Path("policy/signatures/cedar.json").unlink()
    assert recorded() == before
    sign(run, "birch", "ash")
    assert run(*PUBLISH) == (0, "published policy 1\n")


@pytest.mark.usefixtures("place")
def test_a_policy_edited_after_signing_is_not_published(run: Run):
    """A signature is of these very words, down to a comment; signed anew, they are published."""
    sign(run, "ash", "birch")
    before = recorded()
    Path("policy/policy.toml").write_bytes(POLICY + b"# a word\n")
    assert run(*PUBLISH) == (1, "error: the signature of 'ash' is not of this\n")
    sign(run, "ash")
    assert run(*PUBLISH) == (1, "error: the signature of 'birch' is not of this\n")
    assert recorded() == before
    sign(run, "birch")
    assert run(*PUBLISH)[0] == 0


@pytest.mark.usefixtures("place")
def test_a_policy_is_signed_in_its_own_folder_only(run: Run):
    """An id that is a path writes no file anywhere, and a place that is taken is named."""
    for name in ("../../out", "/out", "a/b", "ASH"):
        code, said = run("policy", "sign", "policy", "--operator", name, "--key-file", "ash.key")
        assert code == 1
        assert "an id has" in said
    assert not Path("policy/signatures").exists()
    Path("policy/signatures").write_text("taken")
    code, said = run("policy", "sign", "policy", "--operator", "ash", "--key-file", "ash.key")
    assert (code, said) == (
        1,
        "error: policy/signatures/ash.json: cannot be written: File exists\n",
    )


@pytest.mark.parametrize(
    "content",
    [
        "", "[]", "{}", "null", "5", '"ash"', "\xff", "[" * 99_999, '{"operator": "ash"}',
        '{"operator": ["ash"], "signature": ""}', '{"operator": "ash", "signature": 5}',
        '{"operator": "ash", "signature": "", "more": 1}',
    ],
)  # fmt: skip
def test_a_file_that_is_no_signature_is_named(content: str, run: Run, place: Path):
    """Whatever stands in it: one line says which file."""
    (place / "bad.json").write_bytes(content.encode("latin-1"))
    before = recorded()
    words = ("declare", "R48", "So.", "--signature", "bad.json")
    assert run(*words) == (1, "error: bad.json: not a signature\n")
    (place / "policy" / "signatures").mkdir()
    (place / "policy" / "signatures" / "ash.json").write_bytes(content.encode("latin-1"))
    assert run(*PUBLISH) == (1, "error: policy/signatures/ash.json: not a signature\n")
    assert recorded() == before


def approve(run: Run, kind: str, body: dict[str, str], *who: str) -> list[str]:
    """Sign an event as some operators; returns the options that hand the signatures in."""
    options = []
    for name in who:
        words = ("approve", kind, json.dumps(body), "--operator", name)
        code, said = run(*words, "--key-file", f"{name}.key")
        assert (code, said.count("\n")) == (0, 1)
        Path(f"{name}.json").write_text(said)
        options += ["--signature", f"{name}.json"]
    return options


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        (
            "recipient.registered",
            TERN,
            ("register", "recipient", "tern", "--name", TERN["name"], "--class", "third_party"),
        ),
        ("declaration.made", DECLARED, ("declare", "R48", DECLARED["text"])),
        (
            "operator.registered",
            THIRD,
            ("register", "operator", "cedar", "--name", "Cedar", "--key-file", "cedar.key"),
        ),
    ],
)
def test_what_is_approved_on_the_command_line_is_recorded(
    kind: str, body: dict[str, str], words: tuple[str, ...], run: Run
):
    """Two signatures, made apart, record it; none, one and a stranger's do not."""
    before = recorded()
    assert run(*words)[0] == 1
    for who in (("ash",), ("ash", "dogwood"), ("ash", "ash")):
        assert run(*words, *approve(run, kind, body, *who))[0] == 1
    other = approve(run, kind, {**body, "name": "Somebody else"}, "ash", "birch")
    assert run(*words, *other) == (1, "error: the signature of 'ash' is not of this\n")
    assert recorded() == before
    assert run(*words, *approve(run, kind, dict(reversed(body.items())), "birch", "ash"))[0] == 0
    assert recorded() == before + 1


@pytest.mark.usefixtures("place")
def test_a_hold_is_lifted_by_what_the_command_line_signs(run: Run):
    """A signature of `approve` is what the gate asks for."""
    with closing(Gate(Path())) as gate:
        gate.record([Draft("hold.set", {"hold": "h", "clauses": []})])
        approve(run, "hold.lifted", {"hold": "h"}, "ash", "birch")
        two = [Signature(**json.loads(Path(f"{n}.json").read_text())) for n in KEYS]
        gate.record_approved("hold.lifted", {"hold": "h"}, two)
        assert gate.rules().holds == ()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("body", "code", "why"),
    [
        ("{", 2, "not JSON"),
        ("[]", 2, "not a JSON object"),
        ("[" * 99_999, 2, "not JSON"),
        ('{"share": 0.5}', 1, "not canonical JSON"),
        ('{"share": NaN}', 1, "not canonical JSON"),
        ('{"share": "\\ud800"}', 1, "not canonical JSON"),
    ],
)
def test_what_has_no_one_way_of_being_written_is_not_signed(
    body: str, code: int, why: str, run: Run
):
    """No signature is printed for what is no body of an event."""
    found, said = run("approve", "hold.lifted", body, "--operator", "ash", "--key-file", "ash.key")
    assert found == code
    assert why in said
    assert "signature" not in said


@pytest.mark.parametrize("pair", ["ash", "=ash.key", "ash=", ""])
def test_an_operator_at_the_start_is_an_id_and_a_key(pair: str, run: Run):
    """`init --operator` says how it is written."""
    code, said = run("init", "--simulated", "--now", "2024-01-01", "--operator", pair)
    assert code == 2
    assert said.endswith(f"usage: --operator {pair}: write ID=KEYFILE\n")


def test_one_key_does_not_start_as_two(run: Run):
    """Nor does `init` take one key for two operators."""
    code, said = run("init", "--simulated", "--now", "2024-01-01", "--operator", "ash=one.key",
                     "--operator", "birch=one.key")  # fmt: skip
    assert code == 1
    assert "one key, one person" in said
    assert recorded() == 1
