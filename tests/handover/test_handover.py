"""What lets a release go, and what does not: every refusal leaves the folders as they were."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import companies
import witnessing
import workspaces as w
from commands import said, told
from companies import Companies
from histories import certified
from letterlock.domain import Signature, sha256, text_of
from letterlock.errors import (
    ApprovalError,
    GateClosed,
    InputError,
    LetterlockError,
    SignatureError,
    UsageError,
    VerificationError,
    WorkspaceError,
)
from letterlock.gate.handover import Delivered, key_body
from letterlock.handover import age, card, grant, reads
from letterlock.handover.reads import Read
from letterlock.inbox import Inbox, models
from letterlock.ledger import Event
from letterlock.lineage import disgorge, draw, inventory, openlineage
from letterlock.lineage.fold import take
from letterlock.lineage.graph import Source
from letterlock.lineage.inventory import Trained, Unaccounted
from letterlock.record import note
from letterlock.record.note import Kind, SecretSigner
from letterlock.store.keys import AGE, ED25519

TERMS = b"For training only; nobody else may have it.\n"


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Companies:
    """Found two companies once."""
    both = companies.found(tmp_path_factory.mktemp("founded"))
    both.register()
    return both


@pytest.fixture(scope="module")
def shipped(founded: Companies, tmp_path_factory: pytest.TempPathFactory) -> Companies:
    """The same, with a delivery on its way."""
    both = copied(founded, tmp_path_factory.mktemp("shipped"))
    both.approve(TERMS)
    deliver(both)
    return both


@pytest.fixture
def both(founded: Companies, tmp_path: Path) -> Companies:
    """Give two companies of one's own, before the approval."""
    return copied(founded, tmp_path)


@pytest.fixture
def sent(shipped: Companies, tmp_path: Path) -> Companies:
    """Give two companies of one's own, with a delivery on its way."""
    return copied(shipped, tmp_path)


def copied(both: Companies, folder: Path) -> Companies:
    """Copy everything."""
    for path in (both.platform, both.inbox, both.post):
        if path.exists():
            shutil.copytree(path, folder / path.name)
    return replace(both, platform=folder / both.platform.name, inbox=folder / both.inbox.name)


def deliver(both: Companies, **more: object) -> Delivered:
    """Deliver, in this process."""
    gate = both.gate()
    try:
        return gate.deliver(both.release, both.post, **more)  # type: ignore[arg-type]
    finally:
        gate.close()


def files(both: Companies) -> tuple[Path, Path]:
    """Return the package and the key letter that are on their way."""
    return next(both.post.glob("*.letterlock")), next(both.post.glob("*.key"))


def receive(both: Companies, inbox: Path | None = None, **clock: int) -> None:
    """Receive what is on its way, in this process."""
    opened = Inbox(inbox or both.inbox, now=clock.get("now", w.NOW))
    opened.receive(*files(both), both.policy.read_bytes())


def sizes(both: Companies) -> tuple[int, int]:
    """Return how many deliveries and acknowledgements are recorded."""
    gate = both.gate()
    found = list(gate.lineage().deliveries.values())
    gate.close()
    return len(found), sum(len(each.acknowledged) for each in found)


def refused(both: Companies, kind: type[LetterlockError], match: str, **more: object) -> None:
    """Check that a delivery is refused, and that no grant, byte or part of one is left."""
    before = sizes(both)
    with pytest.raises(kind, match=match):
        deliver(both, **more)
    assert sizes(both) == before
    assert not both.post.exists() or not list(both.post.iterdir())


def nothing_received(both: Companies) -> None:
    """Check that the inbox holds nothing, whole or half."""
    assert list((both.inbox / "received").iterdir()) == []


# ── letting go ──────────────────────────────────────────────────────────────────────────────


def test_an_outsiders_release_waits_for_two_operators(both: Companies):
    """Without an approval nothing goes; one operator, or the same one twice, is none."""
    refused(both, GateClosed, "not approved")
    gate = both.gate()
    signed = w.approved("release.approved", **gate.approval_body(both.release))
    for too_few in (signed[:1], [signed[0], signed[0]], []):
        with pytest.raises(ApprovalError):
            gate.approve_release(both.release, too_few)
    gate.close()
    refused(both, GateClosed, "not approved")


def test_an_approval_is_of_one_text_of_terms(both: Companies):
    """What was signed for other terms, or for none, approves nothing."""
    gate = both.gate()
    signed = w.approved("release.approved", **gate.approval_body(both.release, b"others\n"))
    with pytest.raises(ApprovalError, match="not of this"):
        gate.approve_release(both.release, signed, terms=TERMS)
    gate.close()


def test_an_approval_that_somebody_slipped_in_lets_nothing_go(both: Companies):
    """An approval in the ledger whose signatures do not hold is no approval."""
    gate = both.gate()
    body = gate.approval_body(both.release)
    forged = [{"operator": o, "signature": "ab" * 64} for o in w.KEYS]
    gate.record_linked(w.Draft("release.approved", {**body, "signatures": forged}))
    gate.close()
    refused(both, GateClosed, "not approved")


def test_a_stale_release_does_not_go(both: Companies):
    """After somebody in it said no, the release has to be superseded or built anew."""
    both.approve()
    w.withdraw(both.platform, w.YES[0])
    refused(both, GateClosed, "Build anew")


@pytest.mark.parametrize("feed", ["ftp://x", "http://", "a\nb", "x" * 2001])
def test_a_grant_names_an_address_that_can_be_read(both: Companies, feed: str):
    """A mistyped one is found before a grant is spent on it."""
    both.approve()
    refused(both, InputError, "address", feed=feed)


def test_a_recipient_without_a_key_gets_nothing(tmp_path: Path):
    """There is nobody to encrypt to: not even a grant is made."""
    both = companies.found(tmp_path)
    both.approve()
    refused(both, GateClosed, "no key to encrypt to")


def test_a_card_is_registered_by_two_operators_for_a_known_recipient(both: Companies):
    """One operator is too few, and a stranger's card is of nobody."""
    gate, shown = both.gate(), card.parse((both.inbox / "card.json").read_bytes())
    with pytest.raises(ApprovalError):
        gate.register_recipient_key(shown, w.approved("recipient.keyed", **key_body(shown))[:1])
    stranger = Inbox.create(both.inbox.parent / "stranger", "stranger", simulated=True).card()
    with pytest.raises(UsageError, match="no registered recipient"):
        gate.register_recipient_key(stranger, [])
    gate.close()


def test_a_card_that_was_replaced_does_not_come_back(both: Companies, tmp_path: Path):
    """The same card twice is one; one that another replaced is refused, though two signed it."""
    gate = both.gate()
    first = card.parse((both.inbox / "card.json").read_bytes())
    signed = w.approved("recipient.keyed", **key_body(first))
    before = gate.store.head()
    gate.register_recipient_key(first, signed)
    assert gate.store.head() == before
    second = Inbox.create(tmp_path / "second", first.recipient, simulated=True).card()
    gate.register_recipient_key(second, w.approved("recipient.keyed", **key_body(second)))
    with pytest.raises(InputError, match="were replaced by later ones"):
        gate.register_recipient_key(first, signed)
    assert gate.lineage().keys[first.recipient].encryption == second.encryption
    gate.close()


def test_an_approval_of_another_day_brings_back_no_terms(both: Companies):
    """Its signatures are public: whoever uses them again does not undo newer terms."""
    both.approve(b"Anything goes.\n")
    both.approve(TERMS)
    with pytest.raises(InputError, match="approved on these terms before"):
        both.approve(b"Anything goes.\n")
    assert deliver(both).grant
    gate = both.gate()
    (delivery,) = gate.lineage().deliveries.values()
    gate.close()
    assert delivery.terms == sha256(TERMS)


def test_an_edited_release_does_not_go(both: Companies):
    """A byte of the platform's own copy was changed: it is not what was approved."""
    both.approve()
    members = both.platform / "releases" / both.release / "outgoing" / "members.parquet"
    data = bytearray(members.read_bytes())
    data[len(data) // 2] ^= 1
    members.write_bytes(data)
    refused(both, VerificationError, "SHA-256")


def test_a_recalled_release_does_not_go(sent: Companies):
    """Nor is it recalled twice; what it leaves owed is for each copy."""
    gate = sent.gate()
    gate.recall(sent.release, "a court's order")
    with pytest.raises(UsageError, match="already"):
        gate.recall(sent.release, "again")
    assert "destroy" in {duty.duty for duty in gate.lineage().open()}
    with pytest.raises(GateClosed, match="recalled"):
        gate.deliver(sent.release, sent.post)
    gate.close()


def test_a_grant_is_public_before_the_first_byte(both: Companies, monkeypatch: pytest.MonkeyPatch):
    """While the log cannot be published, the grant is spent and no byte was written."""
    both.approve()
    gate = both.gate()

    def fail(*_: object, **__: object) -> None:
        raise SignatureError("no witness answers")

    monkeypatch.setattr(gate, "publish_log", fail)
    with pytest.raises(SignatureError):
        gate.deliver(both.release, both.post)
    gate.close()
    assert sizes(both) == (1, 0)
    assert list(both.post.iterdir()) == []
    made = deliver(both)
    assert sizes(both) == (2, 0)
    assert made.package.exists()
    assert made.letter.exists()


def test_each_delivery_has_a_grant_and_a_key_of_its_own(sent: Companies):
    """The letter of one delivery does not open the package of another."""
    first = files(sent)
    made = deliver(sent)
    assert made.letter.read_bytes() != first[1].read_bytes()
    inbox = Inbox(sent.inbox, now=w.NOW)
    with pytest.raises(VerificationError, match="does not open"):
        inbox.receive(made.package, first[1], sent.policy.read_bytes())
    nothing_received(sent)


# ── taking in ───────────────────────────────────────────────────────────────────────────────


def test_a_package_is_taken_in_once(sent: Companies):
    """The second use of a key letter is refused, and the copy stays as it is."""
    receive(sent)
    with pytest.raises(VerificationError, match="used already"):
        receive(sent)
    assert (sent.received / "terms").read_bytes() == TERMS
    assert [p.name for p in (sent.inbox / "received").iterdir()] == [sent.release]


def test_what_lies_beside_a_release_goes_with_it(both: Companies):
    """Its sidecars arrive as they were, but for what a killed writer left half-written."""
    beside = both.platform / "releases" / both.release / "sidecars"
    beside.mkdir(exist_ok=True)
    (beside / "croissant.json").write_bytes(b"{}\n")
    (beside / ".croissant.json.part").write_bytes(b"{")
    both.approve()
    deliver(both)
    receive(both)
    assert [path.name for path in (both.received / "sidecars").iterdir()] == ["croissant.json"]


def test_a_release_that_is_here_is_not_taken_in_again(sent: Companies):
    """Another grant for it gives no second copy."""
    receive(sent)
    for path in files(sent):
        path.unlink()
    deliver(sent)
    with pytest.raises(VerificationError, match="here already"):
        receive(sent)


def test_a_grant_expires(sent: Companies):
    """A week later the package is of no use."""
    with pytest.raises(VerificationError, match="expired"):
        receive(sent, now=w.NOW + 8 * 86_400_000_000)
    nothing_received(sent)


@pytest.mark.parametrize("at", [0.0, 0.01, 0.3, 0.6, 0.999])
def test_an_edited_package_is_refused(sent: Companies, at: float):
    """One bit, anywhere in it."""
    package, _ = files(sent)
    data = bytearray(package.read_bytes())
    data[int(at * len(data))] ^= 4
    package.write_bytes(data)
    with pytest.raises((VerificationError, InputError)):
        receive(sent)
    nothing_received(sent)


@pytest.mark.parametrize("left", [0, 100, 5000, -1])
def test_a_package_that_is_cut_off_is_refused(sent: Companies, left: int):
    """Whatever is missing at its end."""
    package, _ = files(sent)
    package.write_bytes(package.read_bytes()[:left])
    with pytest.raises((VerificationError, InputError)):
        receive(sent)
    nothing_received(sent)


def test_another_recipients_inbox_opens_nothing(sent: Companies):
    """Neither another company, nor the same one with other keys, can open the letter."""
    for name, recipient in (("lark", "lark"), ("tern-two", w.RECIPIENT)):
        inbox = companies.other(sent.inbox.parent / name, recipient)
        with pytest.raises(VerificationError, match="does not open"):
            receive(sent, inbox)
        assert list((inbox / "received").iterdir()) == []


def test_a_letter_passed_on_is_refused_by_the_inbox_it_is_not_for(sent: Companies):
    """A recipient who encrypts the letter anew to somebody else has handed over nothing."""
    package, letter = files(sent)
    ours, theirs = Inbox(sent.inbox), companies.other(sent.inbox.parent / "lark", "lark")
    secret = age.identity_of(ours.keys.secret(AGE, ours.card().encryption))
    opened = grant.opened(letter.read_bytes(), secret)
    letter.write_bytes(opened.seal(Inbox(theirs).card().encryption))
    with pytest.raises(VerificationError, match="is for maker"):
        Inbox(theirs, now=w.NOW).receive(package, letter, sent.policy.read_bytes())
    assert list((theirs / "received").iterdir()) == []


def test_a_copy_that_is_passed_on_is_nobodys(sent: Companies):
    """A folder that is copied into another recipient's inbox is not countersigned there."""
    receive(sent)
    other = companies.other(sent.inbox.parent / "lark", "lark")
    shutil.copytree(sent.received, other / "received" / sent.release)
    with pytest.raises(VerificationError, match="granted to maker"):
        Inbox(other, now=w.NOW).inventory(sent.release)
    renamed = sent.received.rename(sent.received.with_name("0" * 16))
    with pytest.raises(VerificationError, match="granted to maker"):
        Inbox(sent.inbox, now=w.NOW).inventory(renamed.name)


def test_a_grant_that_no_witness_saw_is_refused(sent: Companies):
    """A recipient that relies on a witness takes in nothing that this one has not cosigned."""
    vkey = witnessing.witness_keys("w.example")[0].verifier.vkey
    lines = sent.policy.read_text().splitlines()[:-1]
    asked = "\n".join([*lines, f"witness w {vkey}", "quorum w", ""]).encode()
    with pytest.raises(SignatureError, match="quorum"):
        Inbox(sent.inbox, now=w.NOW).receive(*files(sent), asked)
    nothing_received(sent)


def test_a_grant_of_another_log_is_refused(sent: Companies, tmp_path: Path):
    """A policy that names another log's keys accepts none of this one's."""
    companies.Gate.create(tmp_path / "elsewhere", simulated=True).close()
    policy = (tmp_path / "elsewhere" / "log.policy").read_bytes()
    with pytest.raises(SignatureError):
        Inbox(sent.inbox, now=w.NOW).receive(*files(sent), policy)
    nothing_received(sent)


def test_a_simulated_release_goes_into_no_real_inbox(
    founded: Companies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its keys are worth nothing, so nothing may seem to be protected by them."""
    monkeypatch.setenv("LETTERLOCK_PASSPHRASE", "of no use")
    both = copied(founded, tmp_path)
    shutil.rmtree(both.inbox)
    Inbox.create(both.inbox, w.RECIPIENT)
    both.register()
    both.approve()
    gate = both.gate()
    gate.deliver(both.release, both.post, days=3660)
    gate.close()
    with pytest.raises(VerificationError, match="simulated"):
        Inbox(both.inbox).receive(*files(both), both.policy.read_bytes())
    nothing_received(both)


def test_one_process_at_a_time(sent: Companies):
    """A second one is told to wait, and changes nothing."""
    inbox = Inbox(sent.inbox, now=w.NOW)
    with inbox.locked(), pytest.raises(WorkspaceError, match="another process"):
        receive(sent)
    nothing_received(sent)


def test_an_inbox_is_made_once(sent: Companies, tmp_path: Path):
    """A folder that is an inbox, or was to be one, is left alone; an odd id makes none."""
    before = (sent.inbox / "card.json").read_bytes()
    with pytest.raises(WorkspaceError, match="already"):
        Inbox.create(sent.inbox, w.RECIPIENT, simulated=True)
    assert (sent.inbox / "card.json").read_bytes() == before
    with pytest.raises(InputError, match="an id has"):
        Inbox.create(tmp_path / "odd", "a b", simulated=True)
    assert not (tmp_path / "odd").exists()
    with pytest.raises(WorkspaceError, match="no inbox"):
        Inbox(tmp_path / "odd")


# ── the receipt ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def signed(sent: Companies) -> tuple[Companies, bytes]:
    """Give a release that was received, and its inventory."""
    receive(sent)
    return sent, Inbox(sent.inbox, now=w.NOW).inventory(sent.release)


def acknowledge(both: Companies, data: bytes) -> None:
    """Acknowledge, in this process."""
    gate = both.gate()
    try:
        gate.acknowledge(data)
    finally:
        gate.close()


def test_an_inventory_says_what_is_there_and_is_recorded_once(signed: tuple[Companies, bytes]):
    """It is recomputed from the copy; the same receipt twice is one."""
    both, data = signed
    said = inventory.parse(data)
    gate = both.gate()
    sealed = gate.lineage().releases[both.release].versions[0]
    gate.close()
    assert (said.manifest, said.members, said.root) == (
        sealed.manifest,
        sealed.members,
        sealed.root,
    )
    acknowledge(both, data)
    acknowledge(both, data)
    assert sizes(both) == (1, 1)
    with pytest.raises(GateClosed, match="holds a copy"):
        deliver(both)


def test_an_edited_copy_is_not_countersigned(signed: tuple[Companies, bytes]):
    """The recipient's own check finds it, and nothing is signed."""
    both, _ = signed
    shard = next((both.received / "outgoing" / "data").rglob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    with pytest.raises(VerificationError):
        Inbox(both.inbox, now=w.NOW).inventory(both.release)


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("root", "ab" * 32, "root"),
        ("manifest", "ab" * 32, "manifest"),
        ("rows", 1, "rows"),
        ("members", 1, "members"),
        ("depth", 9, "depth"),
        ("files", (), "files"),
        ("version", 1, "no drop list 1"),
        ("grant", "0" * 32, "no release was delivered"),
        ("recipient", "own", "another release or recipient"),
    ],
)
def test_a_false_inventory_is_caught(
    signed: tuple[Companies, bytes], key: str, value: object, what: str
):
    """Its recipient signed it with the right key; what it says is not so, and that is said."""
    both, data = signed
    false = replace(inventory.parse(data), **{key: value})  # type: ignore[arg-type]
    with pytest.raises(VerificationError, match=what):
        acknowledge(both, false.sign(signer(both)))
    assert sizes(both) == (1, 0)


def signer(both: Companies) -> SecretSigner:
    """Return the recipient's own signer."""
    inbox = Inbox(both.inbox)
    secret = inbox.keys.secret(ED25519, inbox.card().signing)
    return SecretSigner(inbox.recipient, Kind.ED25519, secret)


def test_an_inventory_by_another_key_is_caught(signed: tuple[Companies, bytes]):
    """Under the recipient's name, but not by its key; or with a word changed after signing."""
    both, data = signed
    forged = inventory.parse(data).sign(SecretSigner(w.RECIPIENT, Kind.ED25519, bytes(32)))
    with pytest.raises(SignatureError):
        acknowledge(both, forged)
    with pytest.raises(SignatureError):
        acknowledge(both, data.replace(b'"depth":', b'"depth":1', 1))
    assert sizes(both) == (1, 0)


def test_an_older_inventory_does_not_undo_a_newer_one(signed: tuple[Companies, bytes]):
    """Nothing is left once it was said to be destroyed; that is final."""
    both, data = signed
    inbox = Inbox(both.inbox, now=w.NOW)
    inbox.destroy(both.release)
    assert not (both.received / "outgoing").exists()
    gone = inbox.inventory(both.release)
    assert inventory.parse(gone).destroyed
    acknowledge(both, gone)
    with pytest.raises(VerificationError, match="destroyed"):
        acknowledge(both, data)
    with pytest.raises(VerificationError, match="used already"):
        receive(both)
    old = [path.read_bytes() for path in files(both)]
    for path in files(both):
        path.unlink()
    deliver(both)
    receive(both)  # anew, under a grant of its own
    assert [path.name for path in (both.inbox / "past").iterdir()] == [inventory.parse(gone).grant]
    acknowledge(both, Inbox(both.inbox, now=w.NOW).inventory(both.release))
    for path, data in zip(files(both), old, strict=True):
        path.write_bytes(data)
    with pytest.raises(VerificationError, match="used already"):
        receive(both)


def test_a_note_of_something_else_is_no_inventory(signed: tuple[Companies, bytes]):
    """A text that the recipient signed for another purpose is refused."""
    both, _ = signed
    other = note.sign("letterlock/drops/v1\n{}\n", [signer(both)]).encode()
    with pytest.raises(InputError, match="first line"):
        acknowledge(both, other)


def test_signatures_are_operators_of_this_workspace(both: Companies):
    """A stranger's signature beside a real one approves nothing."""
    gate = both.gate()
    body = gate.approval_body(both.release)
    real = w.approved("release.approved", **body)[0]
    with pytest.raises(ApprovalError, match="no registered operator"):
        gate.approve_release(both.release, [real, Signature("mallory", "ab" * 64)])
    gate.close()


# ── what an inventory tells besides ─────────────────────────────────────────────────────────


def test_an_inventory_that_a_newer_one_came_after_is_no_news(signed: tuple[Companies, bytes]):
    """Neither one that was recorded before it, nor one of the same copy that was not."""
    both, first = signed
    between, last = (
        replace(inventory.parse(first), at=w.NOW + n).sign(signer(both)) for n in (1, 2)
    )
    acknowledge(both, first)
    acknowledge(both, last)
    for older in (first, between):
        with pytest.raises(VerificationError, match=r"a newer inventory .* is recorded"):
            acknowledge(both, older)
    acknowledge(both, last)
    assert sizes(both) == (1, 2)


def test_an_inventory_of_a_day_to_come_is_refused(signed: tuple[Companies, bytes]):
    """It would be newer than all that its recipient could send once its clock is right."""
    both, data = signed
    ahead = replace(inventory.parse(data), at=w.NOW + 86_400_000_000).sign(signer(both))
    with pytest.raises(VerificationError, match="yet to come"):
        acknowledge(both, ahead)
    acknowledge(both, data)
    assert sizes(both) == (1, 1)


def test_reads_that_no_model_accounts_for_are_countersigned(signed: tuple[Companies, bytes]):
    """By purpose: how many, from when to when; the platform shows them until a model does."""
    both, before = signed
    for n, run in enumerate(("a" * 16, "b" * 16, "a" * 16)):
        reads.record(both.received, Read(w.NOW + n, run, "0/1", 1, w.PURPOSE, 0, 0, "done", 1, 10))
    acknowledge(both, before)  # as inventories were before: it has no such member
    assert "accounts for" not in lineage_of(both)
    data = Inbox(both.inbox, now=w.NOW + 5).inventory(both.release)
    assert inventory.parse(data).unaccounted == (Unaccounted(w.PURPOSE, w.NOW, w.NOW + 2, 2),)
    acknowledge(both, data)
    expected = f"read for {w.PURPOSE}, no model accounts for it"
    assert expected in lineage_of(both)
    at = ("-w", both.platform, "--now", companies.NOW)
    assert expected in said("model", "list", *at)
    assert told("model", "list", *at)["unaccounted"][0]["reads"] == 2
    for run in "ab":
        weights = both.inbox / run
        weights.mkdir()
        (weights / "w").write_text(run)
        models.register(both.inbox, weights, run, releases=[both.release], run=run * 16, now=w.NOW)
    acknowledge(both, Inbox(both.inbox, now=w.NOW + 6).inventory(both.release))
    assert "accounts for" not in lineage_of(both)


def lineage_of(both: Companies) -> str:
    """Return the lineage, as the platform shows it."""
    gate = both.gate()
    try:
        return draw.text(draw.drawing(gate.lineage(), w.NOW))
    finally:
        gate.close()


@pytest.mark.parametrize(
    "told",
    [
        (Unaccounted(w.PURPOSE, 1, 2, 0),),
        (Unaccounted(w.PURPOSE, 2, 1, 1),),
        (Unaccounted("", 1, 2, 1),),
        (Unaccounted("x" * 201, 1, 2, 1),),
        (Unaccounted(w.PURPOSE, 1, 2, 1), Unaccounted(w.PURPOSE, 3, 4, 1)),
        (Unaccounted("b", 1, 2, 1), Unaccounted("a", 1, 2, 1)),
        tuple(Unaccounted(f"{n:02}", 1, 2, 1) for n in range(17)),
    ],
)
def test_reads_are_told_in_one_way(signed: tuple[Companies, bytes], told: tuple[Unaccounted, ...]):
    """Some, in order, each purpose once; an empty list is left out, so there is none."""
    both, data = signed
    said = inventory.parse(data)
    with pytest.raises(InputError, match="unaccounted"):
        replace(said, unaccounted=told).sign(signer(both))
    empty = said.text().replace('"version":', '"unaccounted":[],"version":')
    with pytest.raises(InputError, match="unaccounted"):
        inventory.read(empty)


def test_an_inventory_that_nobody_would_read_is_not_signed(signed: tuple[Companies, bytes]):
    """Its recipient is told why, before the platform refuses it."""
    both, data = signed
    many = tuple(Trained(f"{n:064x}", "m", (), 1, 1) for n in range(10_000))
    with pytest.raises(InputError, match=r"10,000 models: .* nothing was signed"):
        replace(inventory.parse(data), models=many).sign(signer(both))


def test_the_platform_names_the_model_that_is_wrong(signed: tuple[Companies, bytes]):
    """One that comes of a model that nobody told of, between others that are in order."""
    both, data = signed
    of_release = {"release": both.release, "version": 0}
    sources = (of_release, {"model": "9" * 64, "how": "fine-tune"}, of_release)
    made = tuple(Trained(str(n) * 64, f"m-{n}", (s,), 1, 1) for n, s in enumerate(sources))
    with pytest.raises(InputError, match=r"model 111111111111 \(m-1\): .* not registered"):
        acknowledge(both, replace(inventory.parse(data), models=made).sign(signer(both)))
    assert sizes(both) == (1, 0)


def made_of(both: Companies, name: str, **sources: list[str]) -> str:
    """Register a model in the inbox; returns its digest."""
    weights = both.inbox / name
    weights.mkdir()
    (weights / "w").write_text(name)
    line = models.register(both.inbox, weights, name, now=w.NOW, **sources)
    return str(line["model"])


def test_a_model_may_also_come_of_one_that_is_not_ours(signed: tuple[Companies, bytes]):
    """A public one, fine-tuned on the release: it is told, and an order reaches what came of it."""
    both, _ = signed
    public = f"{'ab' * 32}:fine-tune:https://models.example/base"
    tuned = made_of(both, "tuned", releases=[both.release], externals=[public])
    # Of before there were external ones: a model that this inbox does not know.
    older = {"model": "cd" * 32, "how": "adapter"}
    line = models.told(both.inbox)[0]
    released = {"release": both.release, "version": 0}
    line |= {"model": "e" * 64, "name": "older", "sources": [released, older]}
    reads.append(both.received / reads.MODELS, line)
    acknowledge(both, Inbox(both.inbox, now=w.NOW).inventory(both.release))
    gate = both.gate()
    try:
        lineage = gate.lineage()
        assert [m.digest for m in lineage.models_of(both.release)] == [tuned, "e" * 64]
        (source,) = (s for s in lineage.models[tuned].sources if s.external)
        assert (source.external, source.digest, source.how) == (
            "https://models.example/base", "ab" * 32, "fine-tune",
        )  # fmt: skip
        assert lineage.models["e" * 64].sources[1] == Source(
            how="adapter", external="not named", digest="cd" * 32
        )
        assert set(lineage.versions_of(tuned)) == {both.release}
        assert list(lineage.ancestors(tuned)) == []
        assert {m.digest for m in disgorge.reached(lineage, [both.release]).models} == {
            tuned, "e" * 64,
        }  # fmt: skip
    finally:
        gate.close()
    at = ("-w", both.platform, "--now", text_of(w.NOW))
    assert "fine-tune of https://models.example/base (external, abababababab)" in said(
        "model", "list", *at
    )
    assert "fine-tune of https://models.example/base, external" in said("lineage", *at)
    gate = both.gate()
    try:
        events = openlineage.lines(openlineage.run_events(gate.lineage(), gate.origin)).decode()
    finally:
        gate.close()
    assert f"model/{'ab' * 32}" in events


def test_what_is_registered_is_no_external_model(signed: tuple[Companies, bytes]):
    """Whatever is said: what the release taught the one, the other has, and both are reached."""
    both, _ = signed
    base = made_of(both, "base", releases=[both.release])
    acknowledge(both, Inbox(both.inbox, now=w.NOW).inventory(both.release))
    gate = both.gate()
    try:
        shown = {"external": "public", "digest": base, "how": "merge"}
        body = {
            "model": "f" * 64, "name": "laundered", "owner": w.RECIPIENT, "sources": [shown],
            "files": 1, "bytes": 1, "note": "",
        }  # fmt: skip
        lineage = gate.lineage()
        take(lineage, Event(lineage.upto + 1, w.NOW, "model.trained", body))
        assert lineage.models["f" * 64].sources == (Source(model=base, how="merge"),)
        assert [m.digest for m in lineage.models_of(both.release)] == [base, "f" * 64]
    finally:
        gate.close()


@pytest.mark.parametrize(
    "public", ["abab:fine-tune:x", f"{'ab' * 32}:stolen:x", f"{'ab' * 32}:fine-tune", "", "::"]
)
def test_an_external_model_is_named_whole(signed: tuple[Companies, bytes], public: str):
    """By a SHA-256, how, and what it is called."""
    both, _ = signed
    with pytest.raises(UsageError, match="DIGEST:HOW:NAME"):
        made_of(both, "tuned", releases=[both.release], externals=[public])
    assert models.told(both.inbox) == []


def test_a_part_of_what_is_gone_is_not_destroyed_again(signed: tuple[Companies, bytes]):
    """A later certificate that says less is refused, and one that was noted says nothing."""
    both, _ = signed
    weights = both.inbox / "weights"
    weights.mkdir()
    (weights / "w").write_text("w")
    line = models.register(both.inbox, weights, "m", releases=[both.release], now=w.NOW)
    model = line["model"]
    partly, wholly = (
        certified(model, w.RECIPIENT, complete=complete, at=w.NOW).encode()
        for complete in (False, True)
    )
    for written in (partly, wholly, wholly):
        models.destroy(both.inbox, model, written, "it", now=w.NOW)
    with pytest.raises(UsageError, match="was destroyed on "):
        models.destroy(both.inbox, model, partly, "it", now=w.NOW)
    noted = {"at": w.NOW, "model": model, "certificate": partly.decode()}
    reads.append(both.received / models.DESTROYED, noted)
    said = inventory.parse(Inbox(both.inbox, now=w.NOW).inventory(both.release))
    assert [each.certificate for each in said.destroyed_models] == [wholly.decode()]


# ── new keys ────────────────────────────────────────────────────────────────────────────────


def test_a_recipient_that_lost_its_keys_goes_on_with_new_ones(signed: tuple[Companies, bytes]):
    """Two operators sign the new card, the lost key nothing; what it signed stays as it was."""
    both, first = signed
    old = signer(both)
    acknowledge(both, first)
    shutil.rmtree(both.inbox / "keys")
    with pytest.raises(WorkspaceError):
        Inbox(both.inbox, now=w.NOW).inventory(both.release)
    rotated = said("recipient", "rotate", "-i", both.inbox)
    assert "card.json" in rotated
    inbox = Inbox(both.inbox, now=w.NOW + 1)
    assert len(list((both.inbox / "keys").iterdir())) == 2
    inbox.destroy(both.release)
    gone = inbox.inventory(both.release)
    with pytest.raises(SignatureError):
        acknowledge(both, gone)
    both.register()
    forged = replace(inventory.parse(first), at=w.NOW + 2).sign(old)
    with pytest.raises(SignatureError):
        acknowledge(both, forged)
    acknowledge(both, first)  # the newest that is recorded, whoever may sign now
    acknowledge(both, gone)
    assert sizes(both) == (1, 2)  # folded anew: each by the key of its time

    for path in files(both):
        path.unlink()
    deliver(both)
    receive(both)
    assert Inbox(both.inbox, now=w.NOW).grant_of(both.release).key == inbox.card().encryption


def test_a_package_for_a_key_that_was_replaced_is_delivered_again(sent: Companies):
    """What was on its way opens no more; the keys of before are gone from the inbox."""
    before = {path.name for path in (sent.inbox / "keys").iterdir()}
    Inbox(sent.inbox, now=w.NOW).rotate()
    after = {path.name for path in (sent.inbox / "keys").iterdir()}
    assert len(after) == 2
    assert not before & after
    with pytest.raises(VerificationError, match="does not open"):
        receive(sent)
    nothing_received(sent)
    for path in files(sent):
        path.unlink()
    sent.register()
    deliver(sent)
    receive(sent)


def test_new_keys_that_cannot_be_written_leave_those_of_before(signed: tuple[Companies, bytes]):
    """The card is last: until it is there, the inbox signs as it did, and tries again later."""
    both, first = signed
    before = (both.inbox / "card.json").read_bytes()
    in_the_way = both.inbox / ".card.json.part"
    in_the_way.mkdir()
    inbox = Inbox(both.inbox, now=w.NOW)
    with pytest.raises(WorkspaceError, match="no new keys were made"):
        inbox.rotate()
    assert (both.inbox / "card.json").read_bytes() == before
    assert Inbox(both.inbox, now=w.NOW).inventory(both.release) == first
    in_the_way.rmdir()
    inbox.rotate()
    assert len(list((both.inbox / "keys").iterdir())) == 2
