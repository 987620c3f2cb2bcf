"""A release goes from one company to the other and the receipt comes back, in real processes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import companies
import workspaces as w
from letterlock.inbox import Inbox
from letterlock.lineage import inventory
from letterlock.record.note import Kind, SecretSigner
from letterlock.store.keys import ED25519

TERMS = b"Only for training.\n"


def test_a_release_goes_out_and_its_receipt_comes_back(tmp_path: Path):
    """Approved, delivered, received, countersigned and acknowledged: each leaves its event."""
    both = companies.found(tmp_path)
    both.register()
    both.approve(b"Only for training.\n")
    package, letter = both.deliver()
    assert "received release" in both.receive(package, letter)
    assert (both.received / "terms").read_bytes() == b"Only for training.\n"
    sent = both.platform / "releases" / both.release / "outgoing"
    names = sorted(p.relative_to(sent) for p in sent.rglob("*") if p.is_file())
    assert names == sorted(
        p.relative_to(both.received / "outgoing")
        for p in (both.received / "outgoing").rglob("*")
        if p.is_file()
    )
    for name in names:
        assert (sent / name).read_bytes() == (both.received / "outgoing" / name).read_bytes()
    both.acknowledge(both.countersign())
    gate = both.gate()
    (delivery,) = gate.lineage().deliveries.values()
    gate.close()
    assert len(delivery.acknowledged) == 1


@pytest.mark.slow
def test_two_companies_and_a_withdrawal_between(tmp_path: Path):
    """The whole way, by the command line alone: refused, delivered, dropped, and answered for."""
    both = companies.found(tmp_path)
    here = ("-w", both.platform, "--now", companies.NOW)
    # Not registered, not approved, and by one operator alone: exit 3, 1, 1, and nothing left.
    companies.run("deliver", both.release, "--out", both.post, *here, code=3)
    said = companies.run("recipient", "key", both.inbox / "card.json", *here, code=1)
    assert "letterlock approve recipient.keyed" in said
    both.register()
    said = companies.run("release", "approve", both.release, *here, code=2)
    assert "on which terms, says --terms FILE" in said
    (tmp_path / "terms.txt").write_bytes(TERMS)
    here_on_terms = ("--terms", tmp_path / "terms.txt", *here)
    said = companies.run("release", "approve", both.release, *here_on_terms, code=1)
    assert "letterlock approve release.approved" in said
    signatures = signed(both, tmp_path)
    options = [word for path in signatures for word in ("--signature", path)]
    companies.run("release", "approve", both.release, *options[:2], *here_on_terms, code=1)
    companies.run("deliver", both.release, "--out", both.post, *here, code=3)
    assert not both.post.exists() or not list(both.post.iterdir())
    companies.run("release", "approve", both.release, *options, *here_on_terms)
    assert "approved" in companies.run("release", "list", *here)
    package, letter = both.deliver()

    # Edited on the way: refused, nothing kept; as it was sent: taken in, once.
    bad = tmp_path / "edited"
    bad.write_bytes(package.read_bytes()[:-1] + b"?")
    both.receive(bad, letter, code=3)
    assert list((both.inbox / "received").iterdir()) == []
    both.receive(package, letter)
    both.receive(package, letter, code=3)
    both.acknowledge(both.countersign())

    # Somebody says no: no second delivery, and the recipient owes an answer.
    w.withdraw(both.platform, w.YES[0])
    companies.run("deliver", both.release, "--out", both.post, *here, code=3)
    companies.run("drops", "publish", *here)
    feed = both.platform / "log" / "drops" / both.release
    apply = ("apply-drops", both.release, "-i", both.inbox, "--feed")
    # A lost drop list stops the recipient; an older inventory does not close the duty.
    hidden = (feed / "1.json").rename(tmp_path / "1.json")
    companies.run(*apply, feed, "--out", tmp_path / "none", *here[2:], code=3)
    hidden.rename(feed / "1.json")
    false = falsely(both)
    assert "root" in both.acknowledge(false, code=3)
    assert owed(both, "apply")
    companies.run(*apply, feed, "--out", tmp_path / "applied", *here[2:])
    both.acknowledge(tmp_path / "applied")
    assert not owed(both, "apply")

    # The next version goes to nobody who holds a copy, approved or not: it is up to date already.
    companies.run("supersede", both.release, *here)
    both.approve()
    said = companies.run("deliver", both.release, "--out", both.post, *here, code=3)
    assert "holds a copy" in said


def signed(both: companies.Companies, folder: Path) -> list[Path]:
    """Let two operators sign the approval by the command line; returns the signatures."""
    gate = both.gate()
    body = gate.approval_body(both.release, TERMS)
    gate.close()
    found = []
    for name, key in w.KEYS.items():
        (folder / f"{name}.key").write_text(key.hex())
        (folder / f"{name}.sig").write_text(
            companies.run(
                "approve", "release.approved", json.dumps(body), "--operator", name,
                "--key-file", folder / f"{name}.key",
            )
        )  # fmt: skip
        found.append(folder / f"{name}.sig")
    return found


def falsely(both: companies.Companies) -> Path:
    """Countersign, as the recipient, that list 1 was applied; only the root gives it away."""
    gate = both.gate()
    (left,) = gate.lineage().releases[both.release].lists
    gate.close()
    inbox = Inbox(both.inbox, now=w.NOW)
    said = inventory.parse(inbox.inventory(both.release))
    secret = inbox.keys.secret(ED25519, inbox.card().signing)
    signer = SecretSigner(inbox.recipient, Kind.ED25519, secret)
    path = both.inbox.parent / "false"
    claimed = {"version": 1, "members": left.members, "depth": left.depth, "rows": left.rows}
    path.write_bytes(replace(said, **claimed).sign(signer))
    return path


def owed(both: companies.Companies, duty: str) -> bool:
    """Say whether a duty of this kind is open at the platform."""
    gate = both.gate()
    found = any(each.duty == duty for each in gate.lineage().open())
    gate.close()
    return found


def test_a_newer_version_is_received_like_the_first(tmp_path: Path):
    """After superseding, what goes is the newest version, and its receipt is of that one."""
    both = companies.found(tmp_path)
    both.register()
    both.approve()
    gate = both.gate()
    gate.deliver(both.release, both.post)  # lost on its way
    gate.close()
    for path in both.post.iterdir():
        path.unlink()
    w.withdraw(both.platform, w.YES[0])
    gate = both.gate()
    gate.publish_drops()
    gate.supersede(both.release)
    gate.close()
    both.approve()
    gate = both.gate()
    made = gate.deliver(both.release, both.post)
    inbox = Inbox(both.inbox, now=w.NOW)
    taken = inbox.receive(made.package, made.letter, both.policy.read_bytes())
    assert taken.grant.version == 1
    note = inbox.inventory(both.release)
    assert inventory.parse(note).version == 1
    gate.acknowledge(note)
    gate.close()
    assert not owed(both, "apply")
