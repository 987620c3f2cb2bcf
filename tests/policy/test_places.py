"""Places: ISO 3166 as data, and groups of countries that stand for them."""

from __future__ import annotations

import pytest

from letterlock.policy.places import (
    COUNTRIES,
    GROUPS,
    SUBDIVISIONS,
    called,
    expand,
    expand_ages,
    is_place,
)


def test_as_many_places_are_known_as_the_standard_lists():
    """249 countries; 50 states, a district and six outlying areas; 13 provinces."""
    assert len(COUNTRIES) == 249
    assert [sum(c.startswith(f"{k}-") for c in SUBDIVISIONS) for k in ("US", "CA")] == [57, 13]
    assert all(len(code) == 2 and code.isupper() for code in COUNTRIES)


@pytest.mark.parametrize("code", ["DE", "US", "US-CA", "US-DC", "CA-QC", "DE-BY", "GB-SCT", "HK"])
def test_a_place_is_known(code):
    """Of the United States and Canada by name, of others by their country."""
    assert is_place(code)


@pytest.mark.parametrize("code", ["ZZ", "US-ZZ", "CA-CA", "XX-1", "us", "EU", "UK", "EL", "", "DE-",
                                  "DEU", "DE-BAYR", "*"])  # fmt: skip
def test_what_is_no_place_is_not_known(code):
    """Groups are no places: they are written instead of places."""
    assert not is_place(code)


def test_groups_are_of_countries():
    """The Union has 27 members, the Economic Area three more; UK is how GB is often written."""
    assert {name: len(group) for name, group in GROUPS.items()} == {"EU": 27, "EEA": 30, "UK": 1}
    assert all(set(group) <= set(COUNTRIES) for group in GROUPS.values())
    assert set(GROUPS["EEA"]) - set(GROUPS["EU"]) == {"IS", "LI", "NO"}


def test_a_group_stands_for_its_countries_once():
    """In their order, whatever overlaps."""
    assert expand(("CH", "UK", "GB", "*")) == ("CH", "GB", "*")
    assert expand(("EU", "EEA")) == (*GROUPS["EU"], "IS", "LI", "NO")


@pytest.mark.parametrize("ages", [{"EU": 0, "AT": 19, "EEA": 21}, {"AT": 19, "EEA": 21, "EU": 0}])
def test_a_country_of_its_own_wins_over_its_group(ages):
    """Of two groups, the higher age counts; the order in which they are written does not."""
    found = expand_ages(ages)
    assert (found["AT"], found["DE"], found["NO"], len(found)) == (19, 21, 21, 30)
    assert expand_ages({"US": 0}) == {"US": 0}


def test_places_are_called_as_they_stand_after_in():
    """Whole groups by one name; what has no name here by its code."""
    codes = ("CH", *GROUPS["EEA"], "US-CA", "DE-BY")
    assert called(codes, "en") == [
        "the European Economic Area",
        "Switzerland",
        "California",
        "DE-BY",
    ]
    assert called(codes, "de")[:2] == ["dem Europäischen Wirtschaftsraum", "der Schweiz"]
    assert called(GROUPS["EU"], "en") == ["the European Union"]
    assert called(("GB", "US"), "de") == ["dem Vereinigten Königreich", "den Vereinigten Staaten"]
