"""A statement is checked against every entry; one release is enough to make it untrue."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterlock.domain import canonical
from letterlock.errors import InputError, LetterlockError, LogError, ProofError
from letterlock.evidence import statement
from letterlock.evidence.statement import Claim
from letterlock.record import merkle
from letterlock.record.checkpoint import Checkpoint

DAY = 86_400_000_000


def blobs(log):
    """Return what is beside a log, by hash."""
    return {hashlib.sha256(blob).hexdigest(): blob for blob in log.blobs}.get


def check(log, claim, checkpoint=None):
    """Check a claim against a log."""
    return statement.check(claim, iter(log.entries), blobs(log), checkpoint)


def test_a_true_claim_holds_and_says_of_how_much(w, log):
    """Four releases were sealed, three for training."""
    held = check(log, w.claim(log))
    assert (held.entries, held.releases, held.asked) == (len(log.entries), 4, 3)
    told = " ".join(statement.told(w.ORIGIN, w.claim(log), held))
    assert "no release for a purpose train.*, to any recipient".lower() in told.lower()


def test_an_untrue_claim_names_release_class_and_count(w, log):
    """Whoever reads it knows where to look."""
    with pytest.raises(ProofError, match=r"aaaa, sealed on .* to tern, has 40 rows of message"):
        check(log, w.claim(log, data_class="message.direct"))
    everything = w.claim(log, data_class="*", purposes="*", recipients=("heron",))
    with pytest.raises(ProofError, match="bbbb"):
        check(log, everything)


def test_the_end_of_the_period_does_not_belong_to_it(w, world, log):
    """A microsecond more, and the release sealed then does."""
    sealed = world.events[world.releases["aaaa"].sealed].time
    check(log, w.claim(log, data_class="message.*", end=sealed))
    with pytest.raises(ProofError, match="not true"):
        check(log, w.claim(log, data_class="message.*", end=sealed + 1))
    check(log, w.claim(log, data_class="message.*", start=sealed + 1))
    with pytest.raises(ProofError, match="not true"):
        check(log, w.claim(log, data_class="message.*", start=sealed))


def test_a_release_that_turns_up_later_in_the_log_counts_too(w, log):
    """Sealed after the statement was made, with a time within its period."""
    size = 20
    claim = w.claim(
        log, data_class="message.direct", size=size, root=merkle.root(size, log.tree.node)
    )
    early = replace(log, entries=log.entries[:size])
    assert check(early, claim).releases == 0
    whole = Checkpoint(w.ORIGIN, len(log.entries), log.tree.root)
    with pytest.raises(ProofError, match="not true"):
        check(log, claim, whole)


def test_a_copy_of_an_old_checkpoint_does_not_bear_a_claim_out(w, world, log):
    """Its signatures are good, but the release that makes the claim untrue is left out."""
    size = world.releases["aaaa"].opened
    root = merkle.root(size, log.tree.node)
    claim = w.claim(log, data_class="message.direct", size=size, root=root)
    early = replace(log, entries=log.entries[:size])
    old = Checkpoint(w.ORIGIN, size, root)
    with pytest.raises(LogError, match="before the period ends"):
        check(early, claim, old)
    check(early, replace(claim, end=world.events[5].time), old)


def test_what_is_missing_or_unreadable_is_never_true(w, world, log):
    """A manifest, a policy text or an entry: an error, and nothing is shown."""
    claim = w.claim(log)
    with pytest.raises(LogError, match="manifest of release aaaa is not beside"):
        statement.check(claim, log.entries, lambda _: None if len(_) == 0 else policy_only(log)(_))
    with pytest.raises(LogError, match="event 5 is not beside"):
        statement.check(claim, log.entries, lambda _: None)
    with pytest.raises(LogError, match="another text"):
        statement.check(claim, log.entries, lambda _: b"{}")
    for name, entry in (("no entry", b"x"), ("empty", b""), ("a person's", b'{"commitment":"0"}')):
        bad = log.replaced(30, entry)
        with pytest.raises(InputError):
            check(bad, replace(claim, root=bad.tree.root))
        assert name
    at = world.releases["aaaa"].sealed
    for body in ({"opened": 1}, {"opened": "x"}, {"manifest": 7}):
        bad = log.changed(at, body)
        with pytest.raises(ProofError, match="not opened"):
            check(bad, replace(claim, root=bad.tree.root))
    bad = log.changed(world.releases["aaaa"].opened, {"purpose": 7})
    with pytest.raises(InputError, match="cannot be read"):
        check(bad, replace(claim, root=bad.tree.root))


def policy_only(log):
    """Return what is beside a log, but for the manifests."""
    return lambda name: blobs(log)(name) if blobs(log)(name) == log.blobs[0] else None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda m: m["counts"].pop("by_class"), InputError),
        (lambda m: m["counts"]["by_class"].update(x="1"), InputError),
        (lambda m: m["counts"]["by_class"].update(x=-1), InputError),
        (lambda m: m["counts"]["by_class"].update({"message.direct": 0}), ProofError),
        (lambda m: m["counts"].update(more=1), InputError),
        (lambda m: m.update(recipient="tern"), InputError),
        (lambda m: m.update(purpose="evaluate"), ProofError),
        (lambda m: m.update(release="bbbb"), ProofError),
        (lambda m: m["recipient"].update(id="heron"), ProofError),
    ],
)
def test_a_manifest_that_contradicts_the_log_or_itself_shows_nothing(w, world, log, change, error):
    """Its hash is in the log, but what it says is not of that release, or does not add up."""
    release = world.releases["aaaa"]
    value = json.loads(release.manifest)
    change(value)
    manifest = canonical(value) + b"\n"
    other = log.changed(release.sealed, {"manifest": hashlib.sha256(manifest).hexdigest()})
    other = replace(other, blobs=[*log.blobs, manifest])
    with pytest.raises(error):
        check(other, w.claim(other))


def test_entries_keep_their_places_and_their_order_in_time(w, log):
    """A log that says otherwise is not what it says."""
    claim = w.claim(log)
    other = log.changed(25, time=5)
    with pytest.raises(ProofError, match="earlier time"):
        check(other, replace(claim, root=other.tree.root))
    other = log.changed(25, index=26)
    with pytest.raises(ProofError, match="says that it is entry 26"):
        check(other, replace(claim, root=other.tree.root))


def test_another_log_is_not_the_one_that_was_spoken_of(w, log):
    """Entries changed, left out or added are found by the root."""
    claim = w.claim(log)
    other = log.replaced(12, log.entries[13])
    with pytest.raises(ProofError, match="another log"):
        check(other, claim)
    short = replace(log, entries=log.entries[:-1])
    with pytest.raises(LogError, match="not the 33 that were signed"):
        check(short, claim)
    longer = replace(log, entries=[*log.entries, log.entries[12]])
    with pytest.raises(LogError, match="not the 33"):
        check(longer, claim)
    with pytest.raises(LogError, match="ends at 33"):
        check(log, replace(claim, size=40), Checkpoint(w.ORIGIN, 33, log.tree.root))


def test_a_claim_about_what_never_was_says_nothing(w, log):
    """No class, recipient or purpose of that name: it would be true whatever happened."""
    with pytest.raises(ProofError, match="no policy in the log names a class messages"):
        check(log, w.claim(log, data_class="messages.*"))
    with pytest.raises(ProofError, match="no recipient ternn"):
        check(log, w.claim(log, recipients=("tern", "ternn")))
    with pytest.raises(InputError, match="no purpose"):
        w.claim(log, purposes="drain.*")


@pytest.mark.parametrize(
    "change",
    [
        {"data_class": ""}, {"data_class": "a b"}, {"data_class": "a*"}, {"purposes": ""},
        {"recipients": ()}, {"recipients": ("",)}, {"recipients": ("*", "tern")},
        {"recipients": ("tern", "heron")}, {"recipients": ("tern", "tern")},
        {"start": 5, "end": 5}, {"made": 5}, {"start": -(2**53) + 1}, {"made": 2**53 - 1},
    ],
)  # fmt: skip
def test_a_claim_that_says_nothing_is_refused(w, log, change):
    """Empty, backwards, unordered or of the future."""
    with pytest.raises(InputError):
        w.claim(log, **change)


def test_a_statement_is_read_as_it_was_written(w, log):
    """Origin and claim come back, and every other text is refused."""
    for claim in (w.claim(log), w.claim(log, recipients=("heron", "tern"), start=1)):
        assert statement.read(statement.text(w.ORIGIN, claim)) == (w.ORIGIN, claim)
    text = statement.text(w.ORIGIN, w.claim(log))
    for bad in (text[:-1], text + "\n", text.replace("v1", "v2"), text.replace('"to"', '"until"')):
        with pytest.raises(InputError):
            statement.read(bad)


@given(st.text(max_size=50), st.integers(0, 200))
def test_any_text_is_read_or_refused(text, at):
    """Only our own errors come of it."""
    good = statement.text("a/b", Claim("m", 1, 2, "*", ("*",), 0, merkle.EMPTY_ROOT, 2))
    for each in (text, good[:at] + text + good[at:], good[:at] + text + good[at + 1 :]):
        try:
            origin, claim = statement.read(each)
        except LetterlockError:
            continue
        assert statement.text(origin, claim) == each


def test_a_growing_tree_has_the_root_of_its_leaves():
    """After every leaf, from none to a hundred."""
    tree = statement._Growing()  # noqa: SLF001 - it has no other door
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(100)]
    for n, leaf in enumerate(leaves):
        assert tree.root() == merkle.root_of(leaves[:n])
        tree.add(leaf)
    assert tree.root() == merkle.root_of(leaves)


def test_a_claim_about_an_empty_log_names_no_class_there(w):
    """Its root is that of the empty tree, and nothing is known there."""
    claim = Claim("m", 1, 2, "*", ("*",), 0, merkle.EMPTY_ROOT, 2)
    with pytest.raises(ProofError, match="no policy"):
        statement.check(claim, [], lambda _: None)
    with pytest.raises(ProofError, match="another log"):
        statement.check(replace(claim, root=bytes(32)), [], lambda _: None)
    assert w.DAY == DAY
