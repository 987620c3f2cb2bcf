"""Members and facts from files: what is recorded is what the rows say, what is not is listed."""

from __future__ import annotations

import pytest

from letterlock.domain import BEGINNING, END, FactKind, text_of
from letterlock.gate import Gate
from workspaces import JOINED, NOW, PUBLISHED, at, member, publish, rows_of

REFUSED = {
    "no subject": ({"subject": None}, "subject cannot be"),
    "a blank subject": ({"subject": " "}, "subject cannot be"),
    "a negative subject": ({"subject": -5}, "subject cannot be"),
    "a year too long ago": ({"birth_year": 1799}, "birth_year cannot be 1799"),
    "a year with a fraction": ({"birth_year": 1970.5}, "birth_year cannot be 1970.5"),
    "a year in words": ({"birth_year": "1970"}, "birth_year cannot be '1970'"),
    "a huge year": ({"birth_year": 10**30}, "birth_year cannot be"),
    "a jurisdiction in numbers": ({"jurisdiction": 49}, "jurisdiction cannot be 49"),
    "an empty jurisdiction": ({"jurisdiction": ""}, "jurisdiction cannot be ''"),
    "a version nobody published": ({"noticed": ["2"]}, "noticed names 2, which is not a published"),
    "a version not in a list": ({"noticed": "1"}, "noticed must list texts"),
    "no truth": ({"member": "yes"}, "member cannot be 'yes'"),
    "no date": ({"from": "soon"}, "not a date or time"),
    "an unknown column": ({"colour": "red"}, "unknown colour"),
}


@pytest.fixture
def gate(tmp_path):
    """Give a workspace with a policy and nobody in it."""
    Gate.create(tmp_path / "w", simulated=True, now=PUBLISHED).close()
    at(tmp_path / "w", PUBLISHED, publish)
    gate = Gate(tmp_path / "w", now=JOINED)
    yield gate
    gate.close()


def known(gate, subject):
    """Return what is known of somebody now."""
    return gate.state([subject]).subjects.get(subject)


def test_a_member_is_registered_with_what_is_known(gate):
    """Facts hold always, or from the day named; the notice was part of signing up."""
    row = member("ann", contract="premium")
    loaded = gate.register_subjects(rows_of([row]))
    assert (loaded.recorded, loaded.already, loaded.refused) == (1, 0, [])
    ann = known(gate, "ann")
    assert ann.member
    assert {f.kind: f.value for f in ann.facts} == {
        FactKind.JURISDICTION: "US", FactKind.BIRTH_YEAR: 1970, FactKind.CONTRACT: "premium",
    }  # fmt: skip
    assert {(f.span.start, f.span.end) for f in ann.facts} == {(BEGINNING, END)}
    assert [(n.version, n.at_registration) for n in ann.notices] == [("1", True)]


def test_facts_may_begin(gate):
    """`from` is since when a person's facts hold."""
    gate.register_subjects(rows_of([member("ann", **{"from": text_of(PUBLISHED)})]))
    assert {f.span.start for f in known(gate, "ann").facts} == {PUBLISHED}


def test_nothing_need_be_known_of_a_member(gate):
    """A row with nothing but an id registers a member of whom nothing is known."""
    gate.register_subjects(rows_of([{"subject": "ann"}, {"subject": 5, "member": False}]))
    assert (known(gate, "ann").member, known(gate, "ann").facts) == (True, ())
    assert not known(gate, "5").member


@pytest.mark.parametrize("name", REFUSED)
def test_a_row_that_cannot_be_read_is_listed_and_the_others_are_not_lost(name, gate):
    """One bad row is refused with its number and reason; what stands around it is recorded."""
    change, why = REFUSED[name]
    rows = [member("ann"), {**member("new"), **change}, member("bob")]
    loaded = gate.register_subjects(rows_of(rows))
    assert loaded.recorded == 2
    assert [(r.row, why in r.why) for r in loaded.refused] == [(2, True)]
    assert known(gate, "new") is None
    assert all(known(gate, name).member for name in ("ann", "bob"))


def test_a_fact_is_recorded(gate):
    """A fact has its own span, and no value where it is no longer known."""
    gate.register_subjects(rows_of([member("ann")]))
    facts = [
        {"subject": "ann", "kind": "jurisdiction", "value": "DE", "from": "2024-03-01"},
        {"subject": "ann", "kind": "birth_year", "value": 1980},
        {"subject": "ann", "kind": "contract"},
    ]
    loaded = gate.register_facts(rows_of(facts))
    assert (loaded.recorded, loaded.refused) == (3, [])
    assert [(f.kind.value, f.value) for f in known(gate, "ann").facts[-3:]] == [
        ("jurisdiction", "DE"), ("birth_year", 1980), ("contract", None),
    ]  # fmt: skip


BAD_FACTS = {
    "no kind": ({"kind": None}, "kind is missing"),
    "an unknown kind": ({"kind": "colour"}, "unknown fact 'colour'"),
    "a year in words": ({"kind": "birth_year"}, "value cannot be 'US'"),
    "a number for a place": ({"value": 5}, "value cannot be 5"),
    "an empty place": ({"value": ""}, "jurisdiction cannot be ''"),
    "a span that ends before it begins": (
        {"from": "2024-05-01", "to": "2024-04-01"}, "is no span of time"
    ),
    "an unknown column": ({"colour": "red"}, "unknown colour"),
    "nobody": ({"subject": ""}, "subject cannot be"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FACTS)
def test_a_fact_that_cannot_be_read_is_listed(name, gate):
    """A bad fact is refused with its reason, and the good one beside it recorded."""
    change, why = BAD_FACTS[name]
    good = {"subject": "ann", "kind": "jurisdiction", "value": "US"}
    loaded = gate.register_facts(rows_of([{**good, **change}, good]))
    assert loaded.recorded == 1
    assert [(r.row, why in r.why) for r in loaded.refused] == [(1, True)]


def test_registering_is_all_or_nothing(gate):
    """If the file cannot be read to its end, nobody in it is registered."""

    def rows():
        yield from rows_of([member("ann"), member("bob")])
        raise KeyboardInterrupt

    before = gate.store.head()
    with pytest.raises(KeyboardInterrupt):
        gate.register_subjects(rows())
    assert gate.store.head() == before
    assert gate.store.subject_ids() == []
    assert gate.register_subjects(rows_of([member("bob")])).recorded == 1


def test_rows_are_counted(gate):
    """Of each row it is said whether it was recorded or refused."""
    rows = [member(f"p{n}") if n % 3 else member("") for n in range(50)]
    loaded = gate.register_subjects(rows_of(rows))
    assert (loaded.recorded, len(loaded.refused)) == (33, 17)
    assert gate.now() < NOW
