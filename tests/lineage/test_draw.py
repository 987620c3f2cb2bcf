"""The graph, drawn: whatever the history, all of it is there, once, and can be read."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings

from histories import HOUR, History, histories, of_model, of_release
from letterlock.errors import InputError, LedgerError, UsageError
from letterlock.lineage import draw

SVG = "{http://www.w3.org/2000/svg}"


@given(histories())
@settings(max_examples=40)
def test_every_node_and_edge_is_drawn_and_told(history: History) -> None:
    """The drawing is well-formed, boxes do not overlap, and the tree tells each node."""
    lineage = history.lineage()
    shown = draw.drawing(lineage, history.now)
    sealed = [each.id for each in lineage.releases.values() if each.versions]
    assert set(shown.nodes) == {*sealed, *lineage.deliveries, *lineage.models}
    assert len(shown.edges) == len(lineage.deliveries) + sum(
        len(model.sources) for model in lineage.models.values()
    )
    tree = draw.text(shown)
    for node in shown.nodes.values():
        assert f"{node.kind} {node.name}: {node.state}; " in tree
    root = ET.fromstring(draw.svg(shown, "Lineage"))  # noqa: S314 - our own drawing
    boxes = [each for each in root.iter(f"{SVG}rect") if each.get("class")]
    assert len(boxes) == len(shown.nodes)
    assert len([e for e in root.iter(f"{SVG}path") if e.get("class")]) == len(shown.edges)
    places = [tuple(int(each.get(k, 0)) for k in ("x", "y", "width", "height")) for each in boxes]
    for n, (x, y, w, h) in enumerate(places):
        assert x + w <= int(root.get("width", 0))
        assert y + h <= int(root.get("height", 0))
        for other_x, other_y, _, other_h in places[:n]:
            assert x != other_x or y >= other_y + other_h or other_y >= y + h


@given(histories())
@settings(max_examples=30)
def test_what_hangs_together_is_shown_together(history: History) -> None:
    """Of a release: every model that has anything of it; of a model: every release it is of."""
    lineage = history.lineage()
    for release in lineage.releases:
        shown = draw.drawing(lineage, history.now, release)
        assert {release, *(m.digest for m in lineage.models_of(release))} <= set(shown.nodes)
    for model in lineage.models:
        shown = draw.drawing(lineage, history.now, model)
        assert {model, *lineage.versions_of(model)} <= set(shown.nodes)
        assert {m.digest for m in lineage.descendants(model)} <= set(shown.nodes)


def test_what_is_owed_and_overdue_is_said_in_words() -> None:
    """Not by a border alone."""
    history = History()
    history.keyed()
    release = history.sealed(1)
    model = history.trained("base", of_release(release))
    history.trained("chat", of_model(model))
    history.dropped(release)
    history.settle()
    soon = draw.text(draw.drawing(history.lineage(), history.now))
    assert soon.count("forget: due") == 2
    late = draw.drawing(history.lineage(), history.now + 1000 * HOUR)
    assert draw.text(late).count("forget: overdue") == 2
    drawn = draw.svg(late, "x")
    assert 'class="b late"' in drawn
    assert "forget: overdue" in drawn


def test_names_that_are_markup_or_no_text_do_no_harm() -> None:
    """A name is escaped; one that cannot be printed is no name."""
    history = History()
    history.keyed()
    release = history.sealed(1)
    history.trained("<script>&\"'", of_release(release))
    drawn = draw.svg(draw.drawing(history.lineage(), 0), "a < b")
    assert "<script>" not in drawn
    ET.fromstring(drawn)  # noqa: S314 - our own drawing
    history.trained("\x1b[2J", of_release(release))
    with pytest.raises(LedgerError, match="can be printed") as caught:
        history.lineage()
    assert isinstance(caught.value.__cause__, InputError)


def test_a_beginning_that_several_have_names_none() -> None:
    """Nor does one that nothing has."""
    history = History()
    history.keyed()
    release = history.sealed(1)
    digests: list[str] = []
    while len({digest[0] for digest in digests}) == len(digests):
        digests.append(history.trained(f"model {len(digests)}", of_release(release)))
    with pytest.raises(UsageError, match="several begin so"):
        draw.drawing(history.lineage(), 0, digests[-1][0])
    assert len(draw.drawing(history.lineage(), 0, digests[-1]).nodes) == 2
    assert draw.text(draw.drawing(History().lineage(), 0)) == "nothing was released yet\n"
