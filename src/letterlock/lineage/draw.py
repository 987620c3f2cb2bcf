"""The graph of what left the gate, to be looked at: a tree of text, a drawing (SVG), JSON.

A drawing says in words whatever it shows by a line or a border, so it can be read without colours,
in black and white, and aloud. It is the same for the same graph and time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from xml.sax.saxutils import escape

from letterlock.domain import Time, counted, text_of
from letterlock.errors import UsageError
from letterlock.lineage.graph import Delivery, Duty, Lineage, Model, Release

_SHORT: Final = 12
"""Characters of a digest that are shown."""


@dataclass(slots=True)
class Node:
    """A release, a recipient's copy of it, or a model; `state` is a word or two, `says` lines."""

    id: str
    kind: str
    name: str
    state: str
    says: list[str]
    owed: list[str] = field(default_factory=list)
    late: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """What came of what, and how ("" for what goes without saying)."""

    source: str
    target: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is to be shown, in the order of its recording."""

    nodes: Mapping[str, Node]
    edges: Sequence[Edge]

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "nodes": [
                {
                    "id": n.id, "kind": n.kind, "name": n.name, "state": n.state,
                    "says": n.says, "owed": n.owed, "overdue": n.late,
                }
                for n in self.nodes.values()
            ],
            "edges": [{"from": e.source, "to": e.target, "how": e.how} for e in self.edges],
        }  # fmt: skip


def drawing(lineage: Lineage, now: Time, about: str = "") -> Drawing:
    """Return the whole graph, or what hangs together with a release, model or recipient.

    Releases and models may be named by the beginning of their ids. Raises UsageError.
    """
    releases, models = _about(lineage, about)
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for release in releases:
        nodes[release.id] = _of_release(release)
        for copy in release.deliveries:
            nodes[copy.grant] = _of_copy(copy)
            edges.append(Edge(release.id, copy.grant))
    for model in models:
        nodes[model.digest] = _of_model(model)
        edges += _into(lineage, model, nodes)
    _say_what_is_owed(lineage, now, nodes)
    return Drawing(nodes, edges)


# ── what is shown ───────────────────────────────────────────────────────────────────────────


def _about(lineage: Lineage, about: str) -> tuple[list[Release], list[Model]]:
    sealed = [each for each in lineage.releases.values() if each.versions]
    if not about:
        return sealed, list(lineage.models.values())
    theirs = [each for each in sealed if each.recipient == about]
    models = [each for each in lineage.models.values() if each.owner == about]
    if not theirs and not models:
        theirs = [each for each in sealed if each.id.startswith(about)]
        models = [each for each in lineage.models.values() if each.digest.startswith(about)]
        if len(theirs) + len(models) != 1:
            raise UsageError(
                f"no release, model or recipient {about!r} has a lineage here, or several begin so"
            )
    shown = {each.digest for each in models}
    for model in models:
        shown |= {m.digest for m in lineage.ancestors(model.digest)}
        shown |= {m.digest for m in lineage.descendants(model.digest)}
    for release in theirs:
        shown |= {m.digest for m in lineage.models_of(release.id)}
    of = {each.id for each in theirs} | {r for digest in shown for r in lineage.versions_of(digest)}
    return (
        [each for each in sealed if each.id in of],
        [each for each in lineage.models.values() if each.digest in shown],
    )


def _of_release(release: Release) -> Node:
    current = release.current
    state = "recalled" if release.recalled is not None else f"version {current.number}"
    says = [
        f"for {release.purpose}",
        f"to {release.recipient}",
        counted(current.members, "people"),
        f"sealed {_day(current.time)}",
    ]
    if release.dropped_to > current.number:
        says.append(f"drop list {release.dropped_to} not yet applied")
    return Node(release.id, "release", release.id, state, says)


def _of_copy(copy: Delivery) -> Node:
    if copy.destroyed:
        state = "destroyed"
    else:
        state = "not countersigned" if copy.at is None else f"version {copy.at}, countersigned"
    says = [f"under grant {copy.grant:.8}", f"delivered {_day(copy.time)}"]
    says += [f"read for {each.purpose}, no model accounts for it" for each in copy.unaccounted]
    return Node(copy.grant, "copy", f"at {copy.recipient}", state, says)


def _of_model(model: Model) -> Node:
    state = "in use"
    if model.destroyed is not None:
        state = "destroyed" if model.gone else "destroyed in part"
    says = [f"of {model.owner}", f"digest {model.digest:.{_SHORT}}"]
    says += [
        f"{s.how} of {s.external}, external, digest {s.digest:.{_SHORT}}"
        for s in model.sources
        if s.external
    ]
    return Node(model.digest, "model", model.name, state, says)


def _into(lineage: Lineage, model: Model, nodes: Mapping[str, Node]) -> Iterator[Edge]:
    """Yield what leads to a model: the copy it learned from, if its owner has one, or a model."""
    for source in model.sources:
        if not source.release:
            if source.model in nodes:
                yield Edge(source.model, model.digest, source.how)
            continue
        copies = lineage.releases[source.release].deliveries
        sent = [copy for copy in copies if copy.recipient == model.owner]
        # Rather one that it has countersigned: of another it may have seen nothing.
        held = [copy for copy in sent if copy.acknowledged] or sent
        yield Edge(
            held[-1].grant if held else source.release,
            model.digest,
            f"learned from version {source.version}",
        )


def _say_what_is_owed(lineage: Lineage, now: Time, nodes: Mapping[str, Node]) -> None:
    for duty in sorted(lineage.open(), key=lambda duty: (duty.due, duty.index)):
        node = nodes.get(duty.model or duty.grant or duty.release)
        if node is not None:
            node.owed.append(_owed(duty, now))
            node.late = node.late or duty.due < now


def _owed(duty: Duty, now: Time) -> str:
    late = "overdue" if duty.due < now else "due"
    return f"{duty.id} {duty.duty}: {late} {_day(duty.due)}"


def _day(t: Time) -> str:
    return text_of(t).partition("T")[0]


# ── as text ─────────────────────────────────────────────────────────────────────────────────


def text(shown: Drawing) -> str:
    """Write the graph as a tree; what has several origins stands under each, told once."""
    below: dict[str, list[Edge]] = {}
    for edge in shown.edges:
        below.setdefault(edge.source, []).append(edge)
    told: set[str] = set()
    roots = shown.nodes.keys() - {edge.target for edge in shown.edges}
    lines = [
        line
        for name in shown.nodes
        if name in roots
        for line in _tree(shown, below, Edge("", name), told, "", "")
    ]
    return "\n".join(lines) + "\n" if lines else "nothing was released yet\n"


def _tree(  # noqa: PLR0913, PLR0917 - a place in the tree
    shown: Drawing,
    below: Mapping[str, Sequence[Edge]],
    edge: Edge,
    told: set[str],
    first: str,
    rest: str,
) -> Iterator[str]:
    node = shown.nodes[edge.target]
    how = f"{edge.how}: " if edge.how else ""
    title = f"{first}{how}{node.kind} {node.name}: {node.state}"
    if node.id in told:
        yield f"{title} (see above)"
        return
    told.add(node.id)
    yield f"{title}; {', '.join(node.says)}"
    under = below.get(node.id, ())
    bar = "│  " if under else "   "
    yield from (f"{rest}{bar}! {owed}" for owed in node.owed)
    for n, each in enumerate(under, 1):
        last = n == len(under)
        branch, gap = ("└─ ", "   ") if last else ("├─ ", "│  ")
        yield from _tree(shown, below, each, told, rest + branch, rest + gap)


# ── as a drawing ────────────────────────────────────────────────────────────────────────────

_WIDTH: Final = 264
_LINE: Final = 17
_PAD: Final = 10
_ACROSS: Final = 64
_DOWN: Final = 22
_MARGIN: Final = 24
_TOP: Final = 58
_LONGEST: Final = 34
"""Characters that fit into a box; in bold, one fewer."""

_Line: TypeAlias = tuple[str, str]
"""The class of a line in a box, and its text."""

_STYLE: Final = (
    "text{font:12px ui-sans-serif,system-ui,sans-serif;fill:#1a1a1a}"
    ".h{font-size:16px;font-weight:600}.t{font-weight:600}.s{font-style:italic}"
    ".b{fill:#fff;stroke:#444;stroke-width:1.2}.gone{stroke-dasharray:5 4}"
    ".late{stroke-width:3.2}.e{fill:none;stroke:#666;stroke-width:1.2}"
)

_ARROW: Final = (
    '<defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto"><path d="M0 0L8 4L0 8z" fill="#666"/></marker></defs>'
)


def svg(shown: Drawing, title: str) -> str:
    """Draw the graph from left to right: releases, copies, models, and what came of them.

    A dashed border: destroyed or recalled; a thick one: something is overdue. Both are written too.
    """
    boxes = {name: _lines(shown, node) for name, node in shown.nodes.items()}
    places = _places(shown, boxes)
    right = max((x for x, _ in places.values()), default=0) + _WIDTH + _MARGIN
    low = max((y + _height(boxes[n]) for n, (_, y) in places.items()), default=_TOP) + _MARGIN
    said = f"{_counted(shown)}. {text(shown)}"
    size = f'viewBox="0 0 {right} {low}" width="{right}" height="{low}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(said)}</desc>',
        f"<style>{_STYLE}</style>",
        _ARROW,
        f'<rect width="{right}" height="{low}" fill="#fff"/>',
        f'<text class="h" x="{_MARGIN}" y="34">{escape(title)}</text>',
        *(_curve(each, boxes, places) for each in shown.edges),
        *(_box(shown.nodes[name], boxes[name], *at) for name, at in places.items()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _counted(shown: Drawing) -> str:
    kinds = [node.kind for node in shown.nodes.values()]
    several = {"release": "releases", "copy": "copies", "model": "models"}
    return ", ".join(counted(kinds.count(one), many) for one, many in several.items())


def _lines(shown: Drawing, node: Node) -> list[_Line]:
    """Return what stands in a box: what it is, what it came of, and what is owed for it."""
    found = [("t", f"{node.kind.title()} {node.name}"), ("s", node.state)]
    for edge in shown.edges:
        if edge.target == node.id and edge.how:
            source = shown.nodes[edge.source]
            of_model = source.kind == "model"
            found.append(("", f"{edge.how} of {source.name}" if of_model else edge.how))
    found += [("", line) for line in node.says]
    return found + [("t" if node.late else "", f"! {line}") for line in node.owed]


def _height(box: Sequence[_Line]) -> int:
    return 2 * _PAD + _LINE * len(box)


def _places(shown: Drawing, boxes: Mapping[str, Sequence[_Line]]) -> dict[str, tuple[int, int]]:
    """Place each node: right of all that it came of, and level with that as far as there is room.

    Nodes come in recorded order, so whatever one came of is placed before it.
    """
    above: dict[str, list[str]] = {}
    for edge in shown.edges:
        above.setdefault(edge.target, []).append(edge.source)
    first = {"release": 0, "copy": 1, "model": 2}
    columns: dict[str, int] = {}
    for name, node in shown.nodes.items():
        after = [columns[source] + 1 for source in above.get(name, ())]
        columns[name] = max([first[node.kind], *after])
    free: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for name in sorted(shown.nodes, key=lambda name: columns[name]):
        column = columns[name]
        level = [places[source][1] for source in above.get(name, ())]
        y = max(free.get(column, _TOP), sum(level) // len(level) if level else 0)
        places[name] = (_MARGIN + column * (_WIDTH + _ACROSS), y)
        free[column] = y + _height(boxes[name]) + _DOWN
    return places


def _box(node: Node, box: Sequence[_Line], x: int, y: int) -> str:
    look = "b"
    look += " gone" if node.state in {"destroyed", "recalled"} else ""
    look += " late" if node.late else ""
    rows = [
        f'<text class="{kind}" x="{x + _PAD}" y="{y + _PAD + 12 + n * _LINE}">'
        f"{escape(_cut(line, _LONGEST - 1 if kind == 't' else _LONGEST))}</text>"
        for n, (kind, line) in enumerate(box)
    ]
    full = escape("\n".join(line for _, line in box))
    return (
        f'<g><title>{full}</title><rect class="{look}" x="{x}" y="{y}" width="{_WIDTH}" '
        f'height="{_height(box)}" rx="6"/>{"".join(rows)}</g>'
    )


def _cut(line: str, longest: int) -> str:
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def _curve(
    edge: Edge, boxes: Mapping[str, Sequence[_Line]], places: Mapping[str, tuple[int, int]]
) -> str:
    (x, y), (to_x, to_y) = places[edge.source], places[edge.target]
    x, y, to_y = x + _WIDTH, y + _level(boxes[edge.source]), to_y + _level(boxes[edge.target])
    bend = (to_x - x) // 2
    path = f"M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"
    return f'<path class="e" d="{path}" marker-end="url(#to)"/>'


def _level(box: Sequence[_Line]) -> int:
    return _height(box) // 2
