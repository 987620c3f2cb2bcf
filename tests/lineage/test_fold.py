"""The fold of what left the gate: what it answers, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings

from histories import HOUR, History, certified, histories, of_model, of_release
from letterlock.errors import LedgerError
from letterlock.ledger import Event
from letterlock.lineage import duties
from letterlock.lineage.fold import fold
from letterlock.lineage.inventory import Gone
from oracle import lineage as oracle


@given(histories())
@settings(max_examples=60)
def test_every_answer_is_what_the_raw_events_say(history: History) -> None:
    """Which models, recipients, releases and open duties: the graph and the events agree."""
    lineage, events = history.lineage(), history.events
    for release in lineage.releases.values():
        assert {m.digest for m in lineage.models_of(release.id)} == oracle.models_of(
            events, release.id
        )
        assert {d.recipient for d in release.deliveries} == oracle.recipients_of(events, release.id)
    for model in lineage.models:
        assert lineage.versions_of(model) == oracle.releases_of(events, model)
        assert {m.digest for m in lineage.descendants(model)} == oracle.descendants(events, model)
        up = {m.digest for m in lineage.ancestors(model)}
        assert up == {m for m in lineage.models if model in oracle.descendants(events, m)}
    assert {d.index for d in lineage.open()} == oracle.open_duties(events)
    for duty in lineage.duties.values():
        assert bool(list(duties.evidence(lineage, duty))) == oracle.done(events, duty.index)


@given(histories())
@settings(max_examples=30)
def test_folding_onward_is_folding_anew(history: History) -> None:
    """What was folded in two parts is what is folded in one."""
    half = len(history.events) // 2
    onward = fold(history.events[half:], fold(history.events[:half]))
    assert onward == history.lineage()


@given(histories())
@settings(max_examples=30)
def test_nothing_is_owed_for_what_is_gone(history: History) -> None:
    """Whoever destroyed a copy or model completely is told of no list or recall after that."""
    lineage = history.lineage()
    for duty in lineage.duties.values():
        if duty.model:
            gone = lineage.models[duty.model].destroyed
            assert gone is None or not gone.complete or gone.index > duty.index
        if duty.grant:
            shown = [a.index for a in lineage.deliveries[duty.grant].acknowledged if a.destroyed]
            assert all(index > duty.index for index in shown)


# ── refusals ────────────────────────────────────────────────────────────────────────────────


def refused(history: History, why: str) -> None:
    """Check that the last event stops the fold, and that those before it do not."""
    fold(history.events[:-1])
    with pytest.raises(LedgerError, match=f"event {len(history.events) - 1}: .*{why}"):
        history.lineage()


def sealed() -> tuple[History, str]:
    """Return a history with one sealed release, and a recipient with keys."""
    history = History()
    history.keyed()
    return history, history.sealed(1)


def again(history: History, index: int, **change: object) -> Event:
    """Record an event once more, changed."""
    event = history.events[index]
    return history.add(event.kind, **{**(event.body or {}), **change})


def test_a_seal_needs_its_opening() -> None:
    """A release is sealed once, where it was opened."""
    history, _ = sealed()
    again(history, 2, opened=0)
    refused(history, "not opened there")
    history.events.pop()
    again(history, 2)
    refused(history, "a second time")


def test_a_version_is_what_its_list_leaves() -> None:
    """A superseding version has a list, its own number, and what that list leaves."""
    history, release = sealed()
    history.dropped(release)
    for change, why in (
        ({"root": "0" * 64}, "root is not what drop list 1 leaves"),
        ({"members": 91}, "members is not what"),
        ({"key": 7}, "another opening or key"),
        ({"version": 2}, "no drop list 2"),
        ({"version": 0}, "is there already"),
    ):
        history.superseded(release)
        again(history, len(history.events) - 1, **change)
        del history.events[-2]
        last = history.events.pop()
        history.add(last.kind, **(last.body or {}))
        refused(history, why)
        history.events.pop()


def test_a_recipient_has_both_keys() -> None:
    """One to read with, one to sign with."""
    history, _ = sealed()
    again(history, 0, signing="")
    refused(history, "one to sign with")


def test_a_delivery_is_of_the_release_as_it_is() -> None:
    """To its recipient, for its purpose, its newest version, under a grant of its own."""
    history, release = sealed()
    history.delivered(release)
    place = len(history.events) - 1
    for change, why in (
        ({}, "for one delivery"),
        ({"grant": "1" * 32, "recipient": "own"}, "and for nothing else"),
        ({"grant": "1" * 32, "purpose": "infer"}, "and for nothing else"),
        ({"grant": "1" * 32, "version": 1}, "not at version 1"),
        ({"grant": "1" * 32, "manifest": "0" * 64}, "not at version 0"),
        ({"grant": "1" * 32, "release": "0" * 16}, "no sealed release"),
        ({"grant": "1"}, "is no grant"),
    ):
        again(history, place, **change)
        refused(history, why)
        history.events.pop()
    history.recalled(release)
    again(history, place, grant="1" * 32)
    refused(history, "was recalled")


def test_an_approval_is_of_a_version_for_its_recipient() -> None:
    """Nobody else's, and of nothing that was never made."""
    history, release = sealed()
    manifest = history.lineage().releases[release].current.manifest
    body = {"release": release, "version": 0, "terms": "", "signatures": []}
    history.add("release.approved", recipient="tern", manifest=manifest, **body)
    assert len(history.lineage().releases[release].approvals) == 1
    history.add("release.approved", recipient="own", manifest=manifest, **body)
    refused(history, "for nobody else")
    history.events.pop()
    history.add("release.approved", recipient="tern", manifest="0" * 64, **body)
    refused(history, "no such version")


def test_an_inventory_is_its_recipients_and_of_its_copy() -> None:
    """Signed with the registered key, of this grant, and of what must be left."""
    history, release = sealed()
    grant = history.delivered(release)
    other = history.delivered(release)
    history.dropped(release)
    for version, change, why in (
        (0, {"root": "0" * 64}, "another copy than was sealed"),
        (1, {"root": "0" * 64}, "root is not what drop list 1 leaves"),
        (1, {"rows": 1}, "rows is not what"),
        (2, {}, "no drop list 2"),
        (1, {"grant": other}, "of something else"),
    ):
        history.acknowledged(grant, version, **change)
        refused(history, why)
        history.events.pop()
    event = history.acknowledged(grant, 1)
    history.lineage()
    body = {**(event.body or {}), "note": (event.body or {})["note"].replace("tern ", "mole ")}
    history.add(event.kind, **body)
    refused(history, "did not sign")
    history.events.pop()
    again(history, event.index, recipient="own")
    refused(history, "another release or recipient")
    history.events.pop()
    again(history, event.index, grant="9" * 32)
    refused(history, "no delivery has grant")
    history.events.pop()
    history.acknowledged(grant, 1, destroyed=True)
    history.add(event.kind, **(event.body or {}))
    refused(history, "that is final")
    history.events.pop()
    history.acknowledged(grant, 1, destroyed=True)  # again: it may tell of its models
    history.lineage()


def test_a_copy_never_goes_back_to_an_earlier_version() -> None:
    """Not behind what was delivered, nor behind what was countersigned: an old note shows less."""
    history, release = sealed()
    first = history.delivered(release)
    history.dropped(release)
    history.superseded(release)
    second = history.delivered(release)
    history.acknowledged(second, 0)
    refused(history, "at a later version already")
    history.events.pop()
    history.acknowledged(first, 1)
    history.acknowledged(first, 0)
    refused(history, "at a later version already")


def test_drop_lists_are_numbered_and_only_grow() -> None:
    """Each drops somebody more, and leaves fewer."""
    history, release = sealed()
    history.dropped(release)
    place = len(history.events) - 1
    for change, why in (
        ({"version": 1}, "the next drop list .* is 2"),
        ({"version": 2, "members": 80}, "drops nobody new"),
        ({"version": 2, "dropped": 20}, "drops nobody new"),
    ):
        again(history, place, **change)
        refused(history, why)
        history.events.pop()
    again(history, place, version=2, dropped=20, members=70)
    refused(history, "nothing is owed for it")


def test_a_model_comes_of_something_that_is_known() -> None:
    """Of a sealed release or a registered model, once, in a known way."""
    history, release = sealed()
    model = history.trained("a", of_release(release))
    for sources, why in (
        ([of_release("0" * 16)], "no sealed release"),
        ([of_model("0" * 64)], "which is not registered"),
        ([of_model(model, "by magic")], "none of fine-tune"),
        ([], "comes of something"),
        ([{"release": release}], "version is missing"),
        ([of_release(release, 1)], "has no version 1 yet"),
    ):
        history.trained("b", *sources)
        refused(history, why)
        history.events.pop()
    history.trained("a", of_release(release))
    refused(history, "registered already")


def test_a_model_is_destroyed_by_its_owner_once() -> None:
    """Partly as often as it is said; completely once."""
    history, release = sealed()
    model = history.trained("a", of_release(release))
    history.destroyed(model, owner="own")
    refused(history, "own has no model")
    history.events.pop()
    history.destroyed(model, complete=False)
    history.destroyed(model)
    history.destroyed(model)
    refused(history, "destroyed already")


def test_a_model_is_destroyed_by_the_certificate_that_its_owner_signed() -> None:
    """Another note of the owner's, another certificate, or more than it says, shows nothing."""
    history, release = sealed()
    model, other = (history.trained(name, of_release(release)) for name in "ab")
    partly, wholly = (
        history.destroyed(model, complete=complete).body or {} for complete in (False, True)
    )
    history.events.pop()
    of_other = history.destroyed(other).body or {}
    history.events.pop()
    nothing, forged = history.told("tern"), Gone(model, certified(model, "own", complete=True))
    for change, why in (
        ({"note": of_other["note"]}, "does not say that model"),
        ({"note": nothing}, "does not say that model"),
        ({"note": history.told("tern", forged)}, "does not say that model"),
        ({"certificate": of_other["certificate"]}, "another certificate"),
        ({"note": partly["note"]}, "another certificate"),
        ({**partly, "complete": True}, "another certificate"),
        ({"note": ""}, ""),
    ):
        history.add("model.destroyed", **{**wholly, **change})
        refused(history, why)
        history.events.pop()


def test_a_duty_says_what_it_is_about() -> None:
    """A duty that nothing could ever show as done is none."""
    history, release = sealed()
    grant = history.delivered(release)
    model = history.trained("a", of_release(release))
    found = history.dropped(release)
    kinds = {(event.body or {})["duty"]: event.index for event in found}
    for kind, change, why in (
        ("apply", {"grant": ""}, "names one delivery"),
        ("apply", {"grant": "9" * 32}, "names one delivery"),
        ("apply", {"recipient": "own"}, "another release or recipient"),
        ("drop", {"grant": grant}, "names one delivery"),
        ("drop", {"version": 0}, "names the number"),
        ("drop", {"model": model}, "names one model"),
        ("forget", {"model": ""}, "names one model"),
        ("forget", {"model": "9" * 64}, "not registered"),
        ("supersede", {"release": ""}, "names a release"),
        ("supersede", {"due": 0}, "due after its cause"),
        ("drop", {"due": 99 * HOUR}, "when the stated time has passed"),
        ("supersede", {"due": 999 * HOUR}, "when the stated time has passed"),
        ("apply", {"due": 999 * HOUR}, "when the stated time has passed"),
        ("supersede", {"since": 99 * HOUR, "due": 100 * HOUR}, "not in the future"),
        ("supersede", {"reasons": {"withdrawn": 0}}, "reasons of a denial"),
        ("supersede", {"reasons": {"bored": 1}}, "reasons of a denial"),
        ("supersede", {"cause": "a whim"}, "none of withdrawal"),
        ("supersede", {"duty": "dance"}, "none of drop"),
    ):
        again(history, kinds[kind], **change)
        refused(history, why)
        history.events.pop()


def partly(history: History, release: str, model: str, grant: str) -> dict[str, Callable[[], int]]:
    """Return, for each duty, something near what would show that it was done."""
    return {
        "supersede": lambda: history.lineage().releases[release].lists[-1].index,
        "apply": lambda: history.acknowledged(grant, 0).index,
        "forget": lambda: history.destroyed(model, complete=False).index,
    }


def test_nothing_near_the_evidence_closes_a_duty() -> None:
    """A list is no version, an old copy no new one, a partial destruction none."""
    history, release = sealed()
    grant = history.delivered(release)
    model = history.trained("a", of_release(release))
    found = {(e.body or {})["duty"]: e.index for e in history.dropped(release)}
    for duty, near in partly(history, release, model, grant).items():
        history.add("obligation.met", obligation=found[duty], evidence=near())
        refused(history, "does not show")
        history.events.pop()
    history.superseded(release)
    history.acknowledged(grant, 1)
    history.destroyed(model)
    history.settle()
    assert not list(history.lineage().open())
    history.add("obligation.met", obligation=found["drop"], evidence=found["drop"])
    refused(history, "is open")


def test_an_erasure_is_complete_only_if_nothing_is_left() -> None:
    """What is partial is never called complete, and closes nothing."""
    history = History()
    due = history.draft(duties.for_erasure(0, ()))
    event = history.certified(due.index, "erased", "left")
    history.settle()
    assert [d.index for d in history.lineage().open()] == [due.index]
    history.add(event.kind, **{**(event.body or {}), "complete": True})
    refused(history, "nothing is left anywhere")
    history.events.pop()
    history.certified(due.index)
    history.settle()
    assert list(history.lineage().open())
    history.certified(due.index, "erased", "key destroyed")
    history.settle()
    assert not list(history.lineage().open())


def test_only_an_erasure_is_certified() -> None:
    """A certificate about another duty, or about none, is refused."""
    history, release = sealed()
    first, *_ = history.dropped(release)
    history.certified(first.index, "erased")
    refused(history, "no duty to erase")


def test_a_release_is_recalled_and_an_order_named_once() -> None:
    """The second of each is refused."""
    history, release = sealed()
    history.recalled(release)
    again(history, len(history.events) - 1)
    refused(history, "recalled already")
    history.events.pop()
    query = dict.fromkeys(("from", "to", "disclosed_before"))
    query |= {"data_class": "*", "jurisdictions": [], "contracts": [], "recipients": []}
    order = {"order": "Doe", "text": "delete it", "query": query, "signatures": []}
    history.add("order.received", **order)
    history.lineage()
    history.add("order.received", **order)
    refused(history, "recorded already")
    history.events.pop()
    history.add("order.received", **{**order, "order": "Roe", "query": {**query, "to": "soon"}})
    refused(history, "to is of the wrong type")
