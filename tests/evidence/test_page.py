"""What a reader is told: what is shown, by whom, as of when, and always what is not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from letterlock.errors import InputError, ProofError, UsageError
from letterlock.evidence import bundle, finding, page
from letterlock.evidence.finding import compare
from letterlock.evidence.verify import verify
from letterlock.record import note, quorum
from letterlock.record.checkpoint import Checkpoint


def policy(w, name="two-of-three"):
    """Return one of the world's policies."""
    return quorum.parse(w.policies()[name])


def test_a_page_of_a_member_reads_like_this(w, world, log):
    """In full, so that a change of its words is seen."""
    found = verify(w.member(world, log, "aaaa", "gina"), policy(w), w.NOW)
    root = log.tree.root.hex()
    manifest = json.loads(log.entries[23])["body"]["manifest"]
    assert (
        page.text(found)
        == f"""\
Whether an account is in a release
==================================

Shown
  - Account gina is not among the people whom release aaaa names (5 people).
  - That release was opened as entry 22 on 2025-01-23, for train.generative, to tern, as of
    2025-01-22.
  - It was sealed as entry 23 on 2025-01-24.
  - The SHA-256 of its manifest is {manifest}.
  - With the key of entry 1 it can have no other pseudonym there.

By whose signatures
  - Of the log letterlock.example/log with 33 entries, root
    {root}:
    · signed by the log, Ed25519 key 275e4082
    · seen by the witness works-council (witness.example/w1), Ed25519 key 20324abe, at
      2025-12-01T00:00:01Z
    · seen by the witness press (witness.example/w3), Ed25519 key 49fb9eca, at 2025-12-01T00:00:02Z

As of when
  - The log of 33 entries was there by 2025-12-01T00:00:02Z: its witnesses had all seen it by then.
  - Times that entries give are the platform's own; witnesses bound them, each by its own clock.

Not shown
  - That no row of hers is in it under somebody else's pseudonym or under none: a recipient who
    recomputes the files, an auditor and planted accounts look for that.
  - That this account is hers, or her only one: whoever hands the file over says so.
  - That the release was sealed only once: whoever reads the whole log sees it.
  - Anything about another release.
  - What was used, copied or trained on past the gate: no release tells of that.
"""
    )


def test_without_witnesses_the_page_says_that_the_operator_alone_vouches(w, world, log):
    """Also where only the log's own promise stands."""
    alone = replace(log, signers=(w.LOG,))
    found = verify(w.member(world, alone, "aaaa", "alba"), policy(w, "no-witness"), w.NOW)
    assert finding.ALONE in found.not_proved
    assert "seen by no witness" in page.text(found)
    promised = verify(w.receipt_of(world, log, 20, logged=False), policy(w), w.NOW)
    assert finding.ALONE in promised.not_proved
    assert promised.vouched == ()
    assert "signed this itself" in page.text(promised)
    seen = verify(w.receipt_of(world, log, 20), policy(w), w.NOW)
    assert finding.ALONE not in seen.not_proved


def test_what_others_wrote_cannot_steer_the_reader(w, world, log):
    """Control characters and turned writing are shown as their numbers."""
    name = "eve\x1b[2J\u202egro\u0085\n  - Account alba is in it."
    evidence = w.member(world, log, "aaaa", name)
    text = page.text(verify(evidence, policy(w), w.NOW))
    assert '"eve\\u001b[2J\\u202egro\\u0085\\n \\u0020- Account alba is in it." is not' in text
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "\n  - Account alba" not in text


def test_the_newest_signature_of_each_is_told_once(w, world, log):
    """Though three proofs carry a checkpoint that was signed at different times."""
    evidence = w.member(world, log, "aaaa", "alba")
    later = replace(log, seconds=w.SECONDS + 60)
    evidence = replace(evidence, sealed=later.logged(evidence.sealed.index))
    (vouched,) = verify(evidence, policy(w), w.NOW).vouched
    assert [seen.seconds for _, seen in vouched.witnesses] == [w.SECONDS + 61, w.SECONDS + 62]
    assert vouched.seen_by == w.SECONDS + 62
    assert verify(evidence, policy(w)).vouched == (vouched,)  # without a clock, too


def test_a_long_history_is_still_one_page(w, log):
    """The first and the last checkpoint stand there, and how many lie between."""
    found = verify(w.history(log, range(1, 33)), policy(w), w.NOW)
    text = page.text(found)
    assert "The policy accepts the 30 checkpoints between these, too." in text
    assert text.count("Of the log") == text.count("was there by") == 2
    assert len(text.splitlines()) < 40
    assert len(found.record()["checkpoints"]) == 32
    few = verify(w.history(log, [1, 2, 3]), policy(w), w.NOW)
    assert page.text(few).count("Of the log") == 3


def test_the_json_form_names_keys_in_full(w, world, log):
    """With vkeys and times of every signature."""
    both = replace(log, signers=w.ALL)
    record = json.loads(page.as_json(verify(w.receipt_of(world, both, 20), policy(w), w.NOW)))
    assert record["kind"] == "receipt"
    assert record["signed"] == [w.LOG.verifier.vkey]
    (checkpoint,) = record["checkpoints"]
    assert (checkpoint["origin"], checkpoint["size"]) == (w.ORIGIN, 33)
    assert [note.parse_vkey(each["vkey"]) for each in checkpoint["logs"]] == [
        w.LOG.verifier, w.LOG_06.verifier,
    ]  # fmt: skip
    assert [each["time"] for each in checkpoint["logs"]] == [None, "2025-12-01"]
    assert [each["witness"] for each in checkpoint["witnesses"]] == [
        "works-council", "regulator", "press",
    ]  # fmt: skip


def test_two_roots_of_one_size_are_two_histories():
    """Whoever holds both files is told to keep them."""
    one = Checkpoint("a/log", 5, bytes(32))
    compare([one, one, replace(one, size=6, root=bytes([1] * 32)), replace(one, origin="b/log")])
    with pytest.raises(ProofError, match=r"two histories.*Keep both files"):
        compare([one, Checkpoint("b/log", 5, bytes(32)), replace(one, root=bytes([1] * 32))])


def test_a_release_or_statement_needs_what_it_is_about(w, world, log):
    """Without the folder nothing is checked, and the error says which is missing."""
    with pytest.raises(UsageError, match="folder of its files"):
        verify(w.release_of(world, log, "aaaa"), policy(w), w.NOW)
    with pytest.raises(UsageError, match="whole log"):
        verify(w.stated(log, w.claim(log)), policy(w), w.NOW)


def test_evidence_that_could_not_be_read_again_is_not_written(w, world, log):
    """Wrong sizes and half characters are refused when the file is made."""
    good = w.member(world, log, "aaaa", "alba")
    for bad in (
        replace(good, vrf=b""),
        replace(good, path=(b"",)),
        replace(good, account="\ud800"),
        replace(good, key=replace(good.key, index=-1)),
        replace(w.receipt_of(world, log, 20), salt=b""),
        replace(w.receipt_of(world, log, 20), record={"list": ()}),
        bundle.History((), ()),
    ):
        with pytest.raises(InputError):
            bundle.encode(bad)
