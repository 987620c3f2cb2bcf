"""When a clause applies, and what a set of clauses requires."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letterlock.domain import ANY, Clause, Context, Level, Recipient, RecipientClass, Span, covers
from letterlock.policy.clauses import covers_place, matches, matching, strictest

US = Recipient("us", "Us", RecipientClass.CONTROLLER)
MAKER = Recipient("maker", "Maker", RecipientClass.THIRD_PARTY)
ASKED = Context("message.group", "train.ranking", US, "US-CA", "premium", 50)

# For each key: alternatives that match ASKED, and alternatives that do not.
KEYS: dict[str, tuple[list[str], list[str]]] = {
    "data_classes": (["*", "message.*", "message.group"], ["post.public", "message.direct.*"]),
    "purposes": (["*", "train.*", "train.ranking"], ["infer", "train.generative"]),
    "recipients": (["*", "us", "controller"], ["maker", "third_party"]),
    "jurisdictions": (["*", "US", "US-CA"], ["DE", "US-C", "US-CA-1"]),
    "contracts": (["*", "premium"], ["free", "prem"]),
}
SPANS = {Span(0, 51): True, Span(50, 51): True, Span(0, 50): False, Span(51, 99): False}


def clauses() -> st.SearchStrategy[Clause]:
    """Draw clauses that match ASKED in some keys and not in others."""
    lists = {
        key: st.lists(st.sampled_from(yes + no), min_size=1, max_size=3).map(tuple)
        for key, (yes, no) in KEYS.items()
    }
    levels = st.none() | st.sampled_from(Level)
    return st.builds(Clause, st.just("c"), levels, span=st.sampled_from(list(SPANS)), **lists)


def test_a_clause_without_conditions_speaks_of_everything():
    """All keys default to `*`, also for somebody of whom nothing is known."""
    assert matches(Clause("c", Level.GRANT), ASKED)
    assert matches(Clause("c", Level.GRANT), replace(ASKED, jurisdiction=None, contract=None))


CASES = [
    (key, value, met)
    for key, (yes, no) in KEYS.items()
    for values, met in ((yes, True), (no, False))
    for value in values
]


@pytest.mark.parametrize(("key", "value", "expected"), CASES)
def test_one_key_decides(key: str, value: str, *, expected: bool):
    """With one condition, the clause matches exactly if that condition does."""
    given_one: dict[str, Any] = {key: (value,)}
    assert matches(Clause("c", Level.GRANT, **given_one), ASKED) is expected


@given(clauses())
def test_a_clause_matches_if_each_key_has_a_matching_alternative(clause: Clause):
    """Alternatives are joined by or, keys by and; what cannot be read always matches."""
    each = [any(v in KEYS[key][0] for v in getattr(clause, key)) for key in KEYS]
    expected = clause.level is None or (all(each) and SPANS[clause.span])
    assert matches(clause, ASKED) is expected


@given(clauses(), st.sampled_from(list(KEYS)), st.data())
def test_an_alternative_more_never_matches_less(clause: Clause, key: str, data: st.DataObject):
    """Adding an alternative to a key only widens what a clause speaks of."""
    more = (*getattr(clause, key), data.draw(st.sampled_from([v for vs in KEYS[key] for v in vs])))
    wider: dict[str, Any] = {key: more}
    assert matches(replace(clause, **wider), ASKED) >= matches(clause, ASKED)


@given(clauses())
def test_a_key_without_alternatives_matches_nothing(clause: Clause):
    """An empty list is no `*`; only a clause that cannot be read still matches."""
    for key in KEYS:
        none: dict[str, Any] = {key: ()}
        assert matches(replace(clause, **none), ASKED) is (clause.level is None)


def test_a_clause_that_cannot_be_read_speaks_of_everything():
    """Nothing fails open: an unreadable clause matches whatever its other parts say."""
    clause = Clause("c", None, ("never.heard",), span=Span(0, 0))
    assert matches(clause, ASKED)
    assert matches(clause, replace(ASKED, jurisdiction=None, at=10**9))


@pytest.mark.parametrize(
    ("pattern", "place", "expected"),
    [
        ("*", None, True),
        ("US", None, False),
        ("US", "US", True),
        ("US", "US-CA", True),
        ("US-CA", "US", False),
        ("US", "USA", False),
        ("*", "DE", True),
        ("", "", True),
    ],
)
def test_a_place_covers_its_subdivisions(pattern: str, place: str | None, *, expected: bool):
    """`US` covers `US-CA` and not the other way round; nothing but `*` covers the unknown."""
    assert covers_place(pattern, place) is expected


def test_a_recipient_is_met_by_id_or_class_and_by_no_other_way():
    """The name of a recipient is for people; a class is not an id of another class."""
    for one, name in product((US, MAKER), ("us", "maker", "controller", "third_party", "Us", ANY)):
        clause = Clause("c", Level.NEVER, recipients=(name,))
        expected = name in (ANY, one.id, one.recipient_class.value)
        assert matches(clause, replace(ASKED, recipient=one)) is expected


@given(st.lists(clauses(), max_size=5))
def test_matching_keeps_order_and_loses_none(found: list[Clause]):
    """The matching clauses come in their order; an empty list is silence."""
    assert matching(found, ASKED) == [c for c in found if matches(c, ASKED)]


def test_the_strictest_level_wins_in_any_order():
    """The maximum of the levels, for each order of each small set; unreadable ones have none."""
    levels = [None, *Level]
    for size in range(4):
        for chosen in product(levels, repeat=size):
            known = [level for level in chosen if level is not None]
            expected = max(known) if known else None
            for order in permutations(chosen):
                assert strictest(Clause("c", level) for level in order) is expected


def test_covers_is_the_same_for_purposes_and_classes():
    """A purpose's subtree is written as a data class's is."""
    for name in ("train.ranking", "message.group"):
        stem = name.split(".", maxsplit=1)[0]
        assert covers(f"{stem}.*", name)
        assert not covers(f"{stem}.*", stem)
