"""What is owed: to whom, by when, and what closes the gate."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from histories import HOUR, History, histories, of_model, of_release
from letterlock.domain import PolicyVersion, Reason, Withdrawal
from letterlock.lineage import duties
from letterlock.lineage.events import CAUSES

DAY = 24 * HOUR


def version(days: int | None) -> PolicyVersion:
    """Return a policy by which a no reaches models within `days`."""
    said = None if days is None else Withdrawal(("models",), days)
    return PolicyVersion("1", 0, 0, 0, 0, (), withdrawal=said)


def cascade() -> tuple[History, str]:
    """Return a release at two copies of one recipient, with a model and one that came of it."""
    history = History()
    history.keyed()
    release = history.sealed(1)
    history.delivered(release)
    history.delivered(release)
    for grant in list(history.lineage().deliveries):
        history.acknowledged(grant, 0)
    model = history.trained("base", of_release(release))
    history.trained("chat", of_model(model))
    return history, release


def test_a_list_reaches_every_copy_and_every_model() -> None:
    """One duty each, with its owner and the time that it may take."""
    history, release = cascade()
    drafts = duties.for_drops(
        history.lineage(), release, 1, 5 * HOUR, {"withdrawn": 2}, [version(30), version(9)]
    )
    said = [(d.body["duty"], d.body["owner"], d.body["due"] - d.body["since"]) for d in drafts]
    assert said == [
        ("drop", "platform", HOUR // 4),
        ("supersede", "platform", 7 * DAY),
        ("apply", "tern", 7 * DAY),
        ("apply", "tern", 7 * DAY),
        ("forget", "tern", 9 * DAY),
        ("forget", "tern", 9 * DAY),
    ]
    assert {d.body["since"] for d in drafts} == {5 * HOUR}
    assert {d.body["cause"] for d in drafts} == {"withdrawal"}
    assert len({d.body["grant"] for d in drafts}) == 3


def test_a_package_that_was_lost_is_spoken_for_by_the_next_one() -> None:
    """A grant that nobody acknowledged is met by what its recipient countersigned since.

    As soon as it is acknowledged itself, it speaks for itself, and is owed again.
    """
    history = History()
    history.keyed()
    release = history.sealed(1)
    lost = history.delivered(release)
    anew = history.delivered(release)
    history.acknowledged(anew, 0)
    history.dropped(release)
    assert {d.grant for d in history.lineage().open() if d.duty == "apply"} == {lost, anew}
    history.acknowledged(anew, 1)
    history.settle()
    assert not [d for d in history.lineage().open() if d.duty == "apply"]
    history.acknowledged(lost, 0)
    (again,) = duties.missing(history.lineage(), ())
    assert (again.body["duty"], again.body["grant"]) == ("apply", lost)


def test_a_refused_package_is_spoken_for_by_the_copy_that_is_there() -> None:
    """Delivered a second time by mistake: the first copy's inventory ends both duties."""
    history = History()
    history.keyed()
    release = history.sealed(1)
    there = history.delivered(release)
    history.acknowledged(there, 0)
    history.delivered(release)
    history.dropped(release)
    history.acknowledged(there, 1)
    history.settle()
    assert not [d for d in history.lineage().open() if d.duty == "apply"]
    history.acknowledged(there, 1, destroyed=True)
    assert list(duties.held(history.lineage().releases[release])) == []
    assert duties.missing(history.lineage(), ()) == []


def test_a_model_told_late_is_owed_since_the_list() -> None:
    """A model of an older version owes what the list began; one of the newest version nothing."""
    history, release = cascade()
    (drop, *_) = history.dropped(release)
    history.dropped(release)
    late = history.trained("late", of_release(release, 0))
    drafts = duties.for_model(history.lineage(), late, [version(1)])
    assert [(d.body["duty"], d.body["version"]) for d in drafts] == [("forget", 1), ("forget", 2)]
    assert drafts[0].body["since"] == (drop.body or {})["since"]
    assert drafts[0].body["due"] == drafts[0].body["since"] + DAY
    fresh = history.trained("fresh", of_release(release, 2))
    assert duties.for_model(history.lineage(), fresh, [version(1)]) == []
    both = history.trained("both", of_model(fresh), of_model(late))
    assert len(duties.for_model(history.lineage(), both, [version(1)])) == 2


def test_what_nobody_knew_of_is_owed_once_it_is_known() -> None:
    """A copy or model recorded in the moment of the list, without its duty, is found; once."""
    history, release = cascade()
    history.dropped(release)
    assert duties.missing(history.lineage(), ()) == []
    grant = history.delivered(release)  # of version 0, though list 1 is there
    late = history.trained("late", of_release(release, 0))
    found = duties.missing(history.lineage(), [version(3)])
    assert [(d.body["duty"], d.body["grant"] or d.body["model"]) for d in found] == [
        ("forget", late), ("apply", grant),
    ]  # fmt: skip
    for each in found:
        history.draft(each)
    assert duties.missing(history.lineage(), [version(3)]) == []
    history.superseded(release)
    history.delivered(release)
    history.trained("new", of_release(release, 1))
    assert duties.missing(history.lineage(), [version(3)]) == []
    history.recalled(release)
    assert duties.missing(history.lineage(), [version(3)]) == []
    history.trained("after", of_release(release, 1))
    assert [d.body["duty"] for d in duties.missing(history.lineage(), ())] == ["destroy"]


@given(histories())
@settings(max_examples=40)
def test_a_gate_that_is_told_everything_misses_nothing(history: History) -> None:
    """What the gate records with lists, recalls and models is all that is owed."""
    lineage = history.lineage()
    owed = {(d.duty, d.grant or d.model, d.version) for d in lineage.duties.values()}
    for draft in duties.missing(lineage, ()):
        assert draft.body["grant"]  # a copy that went before it was superseded
        assert lineage.deliveries[draft.body["grant"]].version < lineage.releases[
            draft.body["release"]
        ].dropped_to or draft.body["duty"] == "destroy"  # fmt: skip
        assert (draft.body["duty"], draft.body["grant"], draft.body["version"]) not in owed


def test_a_recalled_release_takes_its_copies_and_models_along() -> None:
    """Of every version, also what is told after the recall."""
    history, release = cascade()
    history.dropped(release)
    found = history.recalled(release)
    said = [((e.body or {})["duty"], (e.body or {})["owner"]) for e in found]
    assert said == [("erase", "platform")] + [("destroy", "tern")] * 4
    late = history.trained("late", of_release(release, 1))
    (draft,) = duties.for_model(history.lineage(), late, ())
    assert (draft.body["duty"], draft.body["cause"]) == ("destroy", "recall")


def test_without_a_policy_that_says_it_a_model_stays_as_long_as_a_copy() -> None:
    """The smallest number of days counts, and the absence of one is no licence."""
    assert duties.model_days([version(None)]) == 7 * DAY
    assert duties.model_days([version(None), version(40)]) == 40 * DAY


def test_every_reason_has_a_cause_that_can_be_recorded() -> None:
    """What weighs most names the cause."""
    for reason in Reason:
        assert duties.cause_of({reason.name.lower(): 1}) in CAUSES
    assert duties.cause_of({"withdrawn": 1, "hold": 2}) == "hold"
    assert duties.cause_of({"withdrawn": 1, "hold": 1}) == "hold"


def test_what_is_overdue_closes_the_gate_for_its_purpose_and_recipient() -> None:
    """Not before its time, for nobody else, and no longer than it is open."""
    history, release = cascade()
    history.sealed(2, recipient="own")
    history.dropped(release)
    history.settle()
    lineage = history.lineage()
    of = ("train.generative", "tern")
    due = min(duty.due for duty in lineage.open())
    assert duties.closing(lineage, due, *of) == []
    assert duties.closing(lineage, due + 1, *of)
    assert duties.closing(lineage, due + 400 * DAY, "train.generative", "own") == []
    assert duties.closing(lineage, due + 400 * DAY, "infer", "tern") == []
    history.superseded(release)
    for grant in lineage.deliveries:
        history.acknowledged(grant, 1)
    for model in lineage.models:
        history.destroyed(model)
    history.settle()
    assert duties.closing(history.lineage(), due + 400 * DAY, *of) == []


def test_an_erasure_that_is_late_closes_the_gate_for_everybody() -> None:
    """It is about no release, so about each."""
    history = History()
    history.draft(duties.for_erasure(0, [version(1)]))
    assert duties.closing(history.lineage(), DAY + 1, "infer", "own")


def test_a_duty_is_known_by_its_place() -> None:
    """People call it by the index of its event."""
    history, release = cascade()
    first, *_ = history.dropped(release)
    duty = history.lineage().duties[first.index]
    assert duty.id == f"O-{first.index}"
    assert replace(duty, index=7).id == "O-7"


def test_a_recall_that_was_recorded_alone_is_owed_for_all_the_same() -> None:
    """Whoever leaves the duties out: they are missing, with the recall's own clock."""
    history, release = cascade()
    recalled = history.add("release.recalled", release=release, order="quietly")
    late = duties.missing(history.lineage(), ())
    assert {draft.body["duty"] for draft in late if draft.body["cause"] == "recall"} == {
        "erase", "destroy",
    }  # fmt: skip
    assert {d.body["since"] for d in late if d.body["cause"] == "recall"} == {recalled.time}
