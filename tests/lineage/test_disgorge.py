"""What an order reaches: all that is of it, in three sets, and nothing else."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from histories import History, histories, of_model, of_release
from letterlock.lineage import disgorge
from oracle import lineage as oracle


@given(histories(), st.data())
@settings(max_examples=60)
def test_it_reaches_what_is_of_the_releases_and_nothing_else(history, data):
    """Models by the raw events; what can be made again is made of nothing that is reached."""
    lineage, events = history.lineage(), history.events
    sealed = sorted(lineage.releases)
    hit = set(data.draw(st.lists(st.sampled_from(sealed)))) if sealed else set()
    found = disgorge.reached(lineage, hit)
    of_it = set().union(*(oracle.models_of(events, release) for release in hit))
    assert set(found.releases) == hit
    assert {m.digest for m in found.models} == {m for m in of_it if not lineage.models[m].gone}
    assert {c.release for c in found.copies} <= hit
    assert set(found.notify) == {m.owner for m in found.models} | {
        c.recipient for c in found.copies
    }
    for each in found.rebuild:
        assert each.model.digest in of_it
        assert not {m.digest for m in each.models} & of_it
        assert not set(each.releases) & hit
        assert each.models or each.releases


def test_a_clean_ancestor_is_what_a_model_is_made_again_from():
    """The base model stays; what was tuned on the class goes, and what came of it."""
    history = History()
    history.keyed()
    clean, dirty = history.sealed(1), history.sealed(2)
    base = history.trained("base", of_release(clean))
    tuned = history.trained("tuned", of_model(base), of_release(dirty))
    merged = history.trained("merged", of_model(tuned, "merge"), of_model(base, "merge"))
    alone = history.trained("alone", of_release(dirty))
    found = disgorge.reached(history.lineage(), [dirty])
    assert [m.digest for m in found.models] == [tuned, merged, alone]
    again = {each.model.digest: [m.digest for m in each.models] for each in found.rebuild}
    assert again == {tuned: [base], merged: [base]}


def test_what_was_destroyed_is_no_ancestor_to_begin_with():
    """A clean model that is gone, and a clean release that was recalled, make nothing again."""
    history = History()
    history.keyed()
    clean, dirty = history.sealed(1), history.sealed(2)
    base = history.trained("base", of_release(clean))
    history.trained("tuned", of_model(base), of_release(dirty))
    history.destroyed(base)
    (rebuild,) = disgorge.reached(history.lineage(), [dirty]).rebuild
    assert rebuild.models == ()
    assert rebuild.releases == (clean,)
    history.recalled(clean)
    assert disgorge.reached(history.lineage(), [dirty]).rebuild == ()
