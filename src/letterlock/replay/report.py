"""The replay's report: one page of HTML without scripts, whose charts are drawn here, as SVG.

Each chart stands with the table it is drawn from, and nothing is told by colour alone. The page
loads nothing: its policy forbids everything but its own style sheet. Same results, same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from letterlock.domain import DAY, REASON_TEXT, Reason, RecipientClass
from letterlock.errors import UsageError
from letterlock.gate import Outcome
from letterlock.replay.acts import ActOne, Blocked, day_of
from letterlock.replay.days import Day
from letterlock.replay.handed import ActFour, Answer
from letterlock.replay.public import ActThree
from letterlock.replay.world import World
from letterlock.reports.exposure import ARITHMETIC

if TYPE_CHECKING:
    import altair as alt

ACCENT: Final = "#0a5c63"
INK: Final = "#1c2326"
GREY: Final = "#7d868a"
RULE: Final = "#d5dadc"
FONT: Final = "Liberation Sans, Arial, Helvetica, sans-serif"
SHAPES: Final = {"fact": "circle", "allegation": "diamond", "fiction": "square"}
RECIPIENT_KINDS: Final = {
    RecipientClass.CONTROLLER: "the {made_up} itself",
    RecipientClass.AFFILIATE: "an affiliate",
    RecipientClass.THIRD_PARTY: "a third party",
}

STYLE: Final = f"""
:root {{ color-scheme: light; }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; background: #fff; color: {INK}; font: 1.0625rem/1.6 system-ui, -apple-system,
  "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; -webkit-text-size-adjust: 100%; }}
header, main, footer {{ max-width: 50rem; margin: 0 auto; padding: 0 1.25rem; }}
header {{ padding-top: 3.5rem; }}
footer {{ padding-bottom: 4rem; color: #4d575b; font-size: .9375rem; }}
p, ul, dl {{ max-width: 42rem; margin: 0 0 1rem; }}
h1, h2, h3 {{ line-height: 1.2; font-weight: 600; letter-spacing: -.01em; text-wrap: balance; }}
h1 {{ font-size: 2.125rem; margin: 0 0 1rem; }}
h2 {{ font-size: 1.375rem; margin: 3.5rem 0 .75rem; padding-top: 1.25rem;
  border-top: 1px solid {RULE}; }}
h3 {{ font-size: 1.0625rem; margin: 1.75rem 0 .5rem; }}
li {{ overflow-wrap: anywhere; }}
.over {{ margin: 0 0 .5rem; color: #4d575b; font-size: .9375rem; }}
.lede {{ font-size: 1.1875rem; line-height: 1.5; }}
.note {{ max-width: none; border-left: 3px solid {ACCENT}; padding: .125rem 0 .125rem 1rem; }}
a {{ color: {ACCENT}; text-underline-offset: .15em; }}
a:focus-visible, [tabindex]:focus-visible {{ outline: 3px solid {ACCENT}; outline-offset: 2px; }}
.skip {{ position: absolute; left: -100vw; background: #fff; padding: .5rem 1rem; }}
.skip:focus {{ left: .5rem; top: .5rem; }}
figure {{ margin: 1.5rem 0 0; }}
figcaption {{ font-weight: 600; margin: 0 0 .5rem; }}
.wide {{ overflow-x: auto; margin: 0 0 1.5rem; }}
svg {{ display: block; width: 100%; min-width: 38rem; height: auto; }}
table {{ border-collapse: collapse; width: 100%; font-size: .9375rem; line-height: 1.4;
  font-variant-numeric: tabular-nums; }}
caption {{ text-align: left; color: #4d575b; padding: 0 0 .375rem; }}
th, td {{ text-align: left; vertical-align: top; padding: .375rem .75rem .375rem 0;
  border-bottom: 1px solid {RULE}; font-weight: 400; }}
thead th {{ color: #4d575b; font-size: .875rem; vertical-align: bottom;
  border-bottom: 1px solid {GREY}; }}
.n {{ text-align: right; white-space: nowrap; }}
.when {{ white-space: nowrap; }}
thead .narrow {{ white-space: normal; }}
thead .text {{ min-width: 11rem; }}
.headline .narrow {{ width: 12rem; }}
td:last-child, th:last-child {{ padding-right: 0; }}
.headline {{ font-size: 1rem; }}
.headline td {{ font-size: 1.375rem; line-height: 1.2; font-weight: 600; padding-top: .625rem; }}
.headline tbody th {{ padding-top: .75rem; }}
.headline .n {{ min-width: 8.5rem; }}
.headline .gate {{ color: {ACCENT}; }}
small {{ font-size: .8125rem; font-weight: 400; color: #4d575b; line-height: 1.3; }}
code, pre {{ font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
  font-size: .875em; }}
pre {{ overflow-x: auto; margin: 0 0 1rem; padding: .75rem 1rem; background: #f3f5f5;
  line-height: 1.6; }}
blockquote {{ margin: 0 0 1rem; padding-left: 1rem; border-left: 1px solid {GREY}; }}
@media (max-width: 36rem) {{
  header {{ padding-top: 2rem; }}
  h1 {{ font-size: 1.75rem; }}
  .headline td {{ font-size: 1.125rem; }}
  .headline .n {{ min-width: 0; }}
}}
@media print {{
  @page {{ margin: 18mm; }}
  html {{ font-size: 10pt; }}
  body {{ font-size: 1rem; }}
  header {{ padding-top: 0; }}
  .skip {{ display: none; }}
  .wide, pre {{ overflow: visible; }}
  pre {{ white-space: pre-wrap; }}
  svg {{ min-width: 0; }}
  h2, h3, figcaption, caption, thead {{ break-after: avoid; }}
  .chart, tr, pre, blockquote {{ break-inside: avoid; }}
}}
"""


def require() -> None:
    """Raise UsageError if what draws the charts is not installed."""
    missing = [name for name in ("altair", "vl_convert") if find_spec(name) is None]
    if missing:
        raise UsageError(
            "the report's charts are drawn by Altair and vl-convert, which are not installed: "
            "pip install 'letterlock[report]'"
        )


def page(
    world: World,
    act: ActOne,
    days: Sequence[Day] = (),
    checked: ActThree | None = None,
    back: ActFour | None = None,
) -> str:
    """Write the report of all acts as one page of HTML."""
    words = world.words
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"{_capital(words.case)}, replayed on {world.name}, a made-up {words.made_up}"
    sections = [
        _headline(world, act),
        _timeline(world),
        _withheld(world, act),
        _classes(world, act),
        *([_explained(world, act)] if world.question.contract else []),
        _regions(world, act),
        *([_days(world, days), _refusals(world, days)] if days else []),
        *([_public(world, checked)] if checked else []),
        *([_back(world, back)] if back else []),
        _limits(world, checked),
        _check(act, checked, back),
    ]
    body = "\n".join(sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="letterlock replay">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the numbers</a>
{_header(world, act)}
<main id="main">
{body}
</main>
<footer>
<p>Everything about {escape(world.name)} is made up, from seed {world.seed}. Facts and
allegations are dated as in <code>docs/case.md</code>.</p>
</footer>
</body>
</html>
"""


# ── sections ────────────────────────────────────────────────────────────────────────────────


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _header(world: World, act: ActOne) -> str:
    words = world.words
    return f"""<header>
<p class="over">Letterlock · {escape(words.case)}</p>
<h1>{escape(words.heading)}</h1>
<p class="lede">{escape(words.lede)} on {escape(world.name)}, a made-up {escape(words.made_up)} of
{world.members:,} people: once {escape(words.told)}, and once through the gate.</p>
<p class="note"><strong>{escape(words.stands)}</strong> {escape(words.denied)}
Every figure here is about people who do not exist, and says nothing about what {escape(words.who)}
did.</p>
<p>Asked about: {day_of(act.asked)}, {escape(_recipient(world, act.gated.outcome))}, to
{escape(act.what_for)}. The setting is called “{escape(act.setting)}”.</p>
</header>"""


def _headline(world: World, act: ActOne) -> str:
    alleged, gated, words = act.alleged, act.gated, world.words
    outcome, counted = gated.outcome, world.question.messages
    rows = [
        (
            f"Items that reach {_the(outcome)}",
            f"of {act.total:,}",
            f"{alleged.exported:,}",
            f"{gated.outcome.released:,}",
        ),
        (
            f"{_capital(words.counted)} among them",
            f"of {act.items[counted]:,}",
            f"{alleged.by_class[counted]:,}",
            f"{gated.by_class[counted]:,}",
        ),
        (
            words.people,
            words.people_note,
            f"{alleged.people:,}",
            f"{gated.people:,}",
        ),
    ]
    if alleged.dollars_each:
        left, right = alleged.dollars, gated.people * alleged.dollars_each
        each = f"× ${alleged.dollars_each:,} for each of them"
        rows.append((each, ARITHMETIC, f"${left:,}", f"${right:,}"))
    cells = "\n".join(
        f'<tr><th scope="row">{escape(name)}<br><small>{escape(note)}</small></th>'
        f'<td class="n">{left}</td><td class="n gate">{right}</td></tr>'
        for name, note, left, right in rows
    )
    share = 100 * alleged.wrong / max(alleged.exported, 1)
    return f"""<section aria-labelledby="numbers">
<h2 id="numbers">The same day, {escape(words.short)} and through the gate</h2>
<div class="wide" tabindex="0" role="region" aria-label="Table: the same day, twice">
<table class="headline">
<caption>{day_of(act.asked)}: what {escape(_recipient(world, outcome))}, would
be given</caption>
<thead><tr><th scope="col"><span>On {escape(world.name)}’s made-up people</span></th>
<th scope="col" class="n narrow">{escape(words.told)}</th>
<th scope="col" class="n">through<br>the gate</th></tr></thead>
<tbody>
{cells}
</tbody></table></div>
<p><strong>{escape(_capital(words.short))}:</strong> {_as_told(act)}</p>
<p><strong>Through the gate:</strong> nothing goes unless everyone in it said yes, was of known and
sufficient age, lives where it is allowed and is bound by no contract against it. Asked about the
plain export, the gate would have kept back {alleged.wrong:,} of its {alleged.exported:,} rows
({share:.1f} %).</p>
</section>"""


def _the(outcome: Outcome) -> str:
    """Name a recipient by its class, as in: the third party."""
    return f"the {outcome.recipient.recipient_class.value.replace('_', ' ')}"


def _as_told(act: ActOne) -> str:
    if not act.regions_excluded:
        return (
            "the setting is on unless a member switches it off. What everybody else made is "
            "written as a plain export, which looks at the author alone."
        )
    return f"""the setting is on unless a member switches it off, and authors in
{len(act.regions_excluded)} regions are left out: {escape(", ".join(act.regions_excluded))}.
The rest is written as a plain export. That looks at the author alone, so {act.alleged.bystanders:,}
people of those regions are in it all the same, as somebody’s recipient or fellow member."""


def _timeline(world: World) -> str:
    moments = world.timeline
    rows = [
        (
            f'<td class="when">{escape(m.when)}</td><td>{escape(m.kind)}</td>'
            f'<th scope="row">{escape(m.title)}{_more(m.text)}</th>'
        )
        for m in moments
    ]
    table = _table(
        f"Facts and allegations are the case’s, the fiction is {world.name}’s",
        [("When", "when"), ("Kind", ""), ("Entry", "")],
        rows,
    )
    figure = _figure(
        "timeline",
        f"Two calendars: the case, and a {world.words.made_up} that asks first",
        _draw_timeline(world),
    )
    return f"""<section aria-labelledby="time">
<h2 id="time">Time line</h2>
<p>A circle is a fact of the case, a diamond an allegation, a square {escape(world.name)}’s fiction.
The dashed line is {escape(world.words.cut)}.</p>
{figure}
{table}
</section>"""


def _more(text: str) -> str:
    return f"<br><small>{escape(text)}</small>" if text else ""


def _withheld(world: World, act: ActOne) -> str:
    outcome = act.gated.outcome
    share = 100 / max(outcome.items, 1)
    stayed = sorted(outcome.withheld.items(), key=lambda kv: (-kv[1], kv[0]))
    rows = [
        _row("went: everyone in it said yes", "", outcome.released, outcome.released * share)
    ] + [_row(REASON_TEXT[r], r.name.lower(), n, n * share) for r, n in stayed]
    head = [("Answer", ""), ("Reason", ""), ("Items", "n"), ("Share", "n")]
    kept = outcome.items - outcome.released
    bars = [("went: everyone in it said yes", outcome.released, True)]
    bars += [(REASON_TEXT[r], n, False) for r, n in stayed]
    figure = _figure(
        "withheld", f"{outcome.items:,} items by their first reason", _draw_reasons(bars)
    )
    return f"""<section aria-labelledby="why">
<h2 id="why">What was withheld, and why</h2>
<p>Of {outcome.items:,} items, {outcome.released:,} went ({outcome.released * share:.1f} %) and
{kept:,} stayed. An item may have several reasons to stay; the first that applies is counted.</p>
{figure}
{_table("Every item has exactly one answer", head, rows)}
{_others(world, act)}
</section>"""


def _row(name: str, code: str, count: int, share: float) -> str:
    shown = f"<code>{escape(code)}</code>" if code else ""
    return (
        f'<th scope="row">{escape(name)}</th><td>{shown}</td>'
        f'<td class="n">{count:,}</td><td class="n">{share:.1f} %</td>'
    )


def _others(world: World, act: ActOne) -> str:
    rows = [
        f'<th scope="row">{escape(o.recipient.name)}</th>'
        f"<td>{escape(_kind(world, o.recipient.recipient_class))}</td>"
        f'<td class="n">{o.released:,}</td>'
        f'<td class="n">{100 * o.released / max(o.items, 1):.1f} %</td>'
        for o in (act.gated.outcome, *act.others)
    ]
    head = [("Recipient", ""), ("Who that is", ""), ("Items", "n"), ("Share", "n")]
    promise = f", {world.words.promise}" if world.words.promise else ""
    return f"""<p>Each recipient is asked about by name: a yes to one is none to
another{escape(promise)}.</p>
{_table("The same question for every recipient", head, rows)}"""


def _classes(world: World, act: ActOne) -> str:
    rows, bars, told = [], [], world.words.short
    for each in world.classes:
        count = act.items[each.id]
        alleged, gated = act.alleged.by_class[each.id], act.gated.by_class[each.id]
        rows.append(
            f'<th scope="row">{escape(each.name)}<br><small><code>{escape(each.id)}</code></small>'
            f'</th><td class="n">{count:,}</td><td class="n">{alleged:,}</td>'
            f'<td class="n">{gated:,}</td>'
        )
        bars += [(each.name, told, alleged), (each.name, "through the gate", gated)]
    head = [("Data class", ""), ("Items", "n"), (_capital(told), "n"), ("Through the gate", "n")]
    caption = f"Items that reach {_the(act.gated.outcome)}, by class"
    figure = _figure("classes", caption, _draw_bars(bars))
    return f"""<section aria-labelledby="classes">
<h2 id="classes">By class of data</h2>
<p>The more people take part in something, the less of it goes: {escape(world.words.several)}.</p>
{figure}
{_table(f"{_capital(told)}, and through the gate", head, rows)}
</section>"""


def _explained(world: World, act: ActOne) -> str:
    one = f"One {escape(world.words.counted)}"
    if act.blocked is None:
        return f"""<section aria-labelledby="one">
<h2 id="one">{one}, explained</h2>
<p>In this small world there is no {escape(world.words.counted)} that its sender allowed and its
recipient’s contract blocks.</p>
</section>"""
    blocked = act.blocked
    parts = "\n".join(_side(blocked, n) for n in range(len(blocked.sides)))
    return f"""<section aria-labelledby="one">
<h2 id="one">{one}, explained</h2>
<p><code>{escape(blocked.item)}</code>, sent {day_of(blocked.made)}:</p>
<blockquote><p>{escape(blocked.text)}</p></blockquote>
<p>Its author allowed it. It stays all the same: <code>{escape(blocked.reason)}</code>, by its
{escape(blocked.role)}. A contract outranks a setting; only an amendment that the customer signed
could lift it.</p>
{parts}
</section>"""


def _side(blocked: Blocked, number: int) -> str:
    side = blocked.sides[number]
    said = "permits it" if side.reason is None else f"denies it: {side.reason}"
    rows = [
        f'<th scope="row">{escape(a.source)}</th><td>{escape(a.clause)}</td>'
        f"<td>{escape(a.needs)}{' — <strong>decides</strong>' if a.decides else ''}</td>"
        for a in side.asked
    ]
    caption = f"The {side.role}, {side.subject}, {said}. Said: {side.said}"
    return _table(caption, [("Source", ""), ("Clause", ""), ("Asks", "")], rows)


def _regions(world: World, act: ActOne) -> str:
    rows = [
        f'<th scope="row">{escape(_region_name(y.region, excluded=y.excluded))}</th>'
        f'<td class="n">{y.items:,}</td><td class="n">{y.exported:,}</td>'
        f'<td class="n">{y.released:,}</td><td class="n">{_share(y.released, y.items)}</td>'
        f'<td class="n">{y.people:,}</td><td class="n">{y.present:,}</td>'
        f'<td class="n">{_share(y.present, y.people)}</td>'
        for y in act.yields
    ]
    head = [
        ("Region", ""), ("Items", "n"), (_capital(world.words.short), "n"), ("Released", "n"),
        ("Share", "n"),
        ("People", "n"), ("In the release", "n"), ("Share", "n"),
    ]  # fmt: skip
    figure = _figure("yield", "What of each region’s items and people went", _draw_yield(act))
    caption = "Items by the region of their author; people by their own"
    left_out = ""
    if act.regions_excluded:
        left_out = (
            f"{escape(world.name)} leaves out the regions on the list at the time of the "
            "complaint, for everyone who takes part and not for authors alone. "
        )
    unknown = f"A region that is not known is left out{' too' if left_out else ''}."
    return f"""<section aria-labelledby="where">
<h2 id="where">Yield by jurisdiction</h2>
<p>{left_out}{unknown}</p>
{figure}
{_table(caption, head, rows)}
</section>"""


def _days(world: World, days: Sequence[Day]) -> str:
    words, third = world.words, _kind_of(days[0].passed[0].kind)
    kinds = [_kind(world, RecipientClass(p.kind)) for p in days[0].passed]
    rows = [
        f'<th scope="row"><span class="when">{day_of(d.at)}</span><br><small>{escape(d.title)}'
        f'</small></th><td class="n">{d.exported:,}</td><td class="n">{d.disclosed:,}</td>'
        f'<td class="n">{d.people:,}</td>'
        + "".join(
            f'<td class="n">{p.released:,}<br><small>{p.people:,} people</small></td>'
            for p in d.passed
        )
        for d in days
    ]
    head = [
        ("Day", "text"), ("Items, as reported", "n narrow"), ("Their people", "n narrow"),
        (words.the_class, "n narrow"),
        *((f"Through the gate: {kind}", "n narrow") for kind in kinds),
    ]  # fmt: skip
    bars = [
        (day_of(d.at), how, count)
        for d in days
        for how, count in (
            ("as reported", d.exported),
            ("through the gate", d.passed[0].released),
        )
    ]
    caption = f"Items that reach the {third}, day by day"
    figure = _figure("days-chart", caption, _draw_bars(bars))
    return f"""<section aria-labelledby="days">
<h2 id="days">Day by day, twice</h2>
<p>As the programme was reported on each day, written as a plain export; and what the gate would let
go on that day. “{escape(words.the_class)}” counts {escape(words.class_text)}. Nothing is made after
{day_of(world.dates.asked)} here: later days ask about the same items.</p>
{figure}
{_table("As reported, and through the gate", head, rows)}
{_sum(world, days)}
{_stayed(days, third)}
</section>"""


def _kind_of(kind: str) -> str:
    return kind.replace("_", " ")


def _sum(world: World, days: Sequence[Day]) -> str:
    """Say what the class comes to, and what has no figure."""
    dollars, most = world.question.dollars, max(d.people for d in days)
    gated = max(p.of_class for d in days for p in d.passed)
    heads = "".join(f"<li>{escape(each)}</li>" for each in world.question.heads)
    listed = f"<p>What the complaint puts no figure on:</p>\n<ul>{heads}</ul>" if heads else ""
    if not dollars:
        return f"""<p>At most {most:,} people are counted as reported; in what the gate would let go
outside the company, {gated:,}.</p>
{listed}"""
    return f"""<p>At most {most:,} × ${dollars:,} = ${most * dollars:,}, {ARITHMETIC}; the same
customers in what the gate would let go outside the company: {gated:,} × ${dollars:,} =
${gated * dollars:,}.</p>
{listed}"""


def _stayed(days: Sequence[Day], third: str) -> str:
    """Write what stayed on each day: a row a reason, a column a day."""
    total: Counter[Reason] = Counter()
    for day in days:
        total.update(day.passed[0].withheld)
    rows = [
        f'<th scope="row">{escape(REASON_TEXT[reason])}<br><small><code>{reason.name.lower()}'
        "</code></small></th>"
        + "".join(f'<td class="n">{d.passed[0].withheld.get(reason, 0):,}</td>' for d in days)
        for reason, _ in sorted(total.items(), key=lambda kv: (-kv[1], kv[0]))
    ]
    head = [("Reason", "text"), *((day_of(d.at), "n narrow") for d in days)]
    return _table(f"Held back from the {third} each day, by the first reason", head, rows)


def _refusals(world: World, days: Sequence[Day]) -> str:
    tried = [(day, each) for day in days for each in day.tries]
    findings = [f for day in days for f in day.findings]
    if not tried:
        return ""
    rows = [
        f'<th scope="row" class="when">{day_of(day.at)}</th><td>{escape(each.what)}</td>'
        f"<td>{escape(each.refusal)}</td>"
        for day, each in tried
    ]
    listed = [
        f'<th scope="row">{escape(f.requirement or "—")}</th>'
        f"<td><code>{escape(f.file.rsplit('/', 1)[-1])}:{f.line}</code></td>"
        f"<td>{escape(f.message)}</td><td>{escape(f.mend)}</td>"
        for f in findings
    ]
    head = [
        ("Requirement", ""), ("Where", ""), ("What is wrong", "text"), ("How to mend it", "text"),
    ]  # fmt: skip
    return f"""<section aria-labelledby="refused">
<h2 id="refused">The order reported cannot be run</h2>
<p>Somebody puts the programme forward as it was reported: {escape(world.words.tries)}. What stopped
it:</p>
{_table("What was tried", [("Day", "when"), ("Step", "text"), ("Refused", "text")], rows)}
{_table("What letterlock policy check finds in it", head, listed)}
</section>"""


def _public(world: World, act: ActThree) -> str:
    """Write what was published and proved: each evidence file, sentence by sentence."""
    heads = ("The statement", "Her no", "Her absence")
    shown = "\n".join(
        f"<h3>{title} <small><code>{escape(name)}</code></small></h3>\n"
        f"<p>It shows:</p>\n{_listed(act.told(finding))}\n"
        f"<p>It does not show:</p>\n{_listed(finding.not_proved)}"
        for title, name, finding in zip(heads, act.files, act.findings, strict=False)
    )
    seen = " and ".join(escape(name) for name in act.witnesses)
    refused = (
        f"The same statement about <code>{escape(act.other)}</code> is refused: "
        f"{escape(act.refused)}."
        if act.refused
        else ""
    )
    hers = (
        f"""<p>Account {escape(act.member)} had said no. Messages to or from her in the plain
export: {act.messages:,}. She takes home two files, and needs nothing else but a list of whose
signatures to rely on.</p>"""
        if act.member
        else ""
    )
    return f"""<section aria-labelledby="public">
<h2 id="public">{day_of(act.at)}: what anybody can check at home</h2>
<p>{escape(world.name)} publishes its log, {act.entries:,} entries, of which everything about a
person is a commitment that shows nothing. {seen}, made up too, cosign it. Then it signs a
statement about <code>{escape(act.data_class)}</code>. {refused}</p>
{hers}
<p>Checked without the workspace, by files and a policy alone:</p>
{shown}
</section>"""


def _back(world: World, act: ActFour) -> str:
    """Write what was handed over, what an opt-out did to it, and what orders reached."""
    latencies = (
        f'<tr><th scope="row">{escape(each.what)}</th><td class="n">{span(each.stated)}</td>'
        f'<td class="n">{span(each.took)}</td><td>{escape(each.shown)}</td></tr>'
        for each in act.latencies
    )
    head = [("What", "text"), ("Stated", "n"), ("Here", "n"), ("What is seen", "text")]
    models = (
        f'<tr><th scope="row">{escape(each.name)}</th><td>{escape(each.owner)}</td>'
        f"<td><code>{each.digest[:12]}</code></td><td>{escape(each.fate)}</td></tr>"
        for each in act.models
    )
    model_head = [("Model", "text"), ("Whose", "text"), ("Digest", "text"), ("Now", "text")]
    return f"""<section aria-labelledby="back">
<h2 id="back">{day_of(act.at)} and after: what left is taken back</h2>
<p>Two operators approve the release, and it goes to {escape(act.recipient)}: {act.rows:,} rows of
{act.people:,} people, under a grant that is in the public log before the first byte leaves.
{escape(act.recipient)} recomputes it and countersigns. It learns two models from it, and
{escape(world.name)} one from profiles alone, inside the company. Then account {escape(act.member)}
opts out, after her posts have left:</p>
{_table("How long it may take, and how long it took by the clock of this world", head, latencies)}
<p>Another one, {escape(act.late)}, opts out, and {escape(act.recipient)} does nothing for eight
days. The next build is refused: {escape(act.closed)}.</p>
{"".join(_answer(each) for each in act.answers)}
{_table("The models, at the end", model_head, models)}
<p>Duties met, each by evidence that is in the log: {act.met}. Open: {act.open}.</p>
</section>"""


def _answer(answer: Answer) -> str:
    of = f"<code>{escape(answer.data_class)}</code>"
    asked = f"A court orders that whatever was made from {of} be deleted."
    return f"<p>{asked} The record’s answer: {escape(answer.told())}.</p>"


def span(took: int) -> str:
    """Write how long something takes, given in µs, in the largest fitting unit."""
    seconds = took // 1_000_000
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "at once"


def _listed(sentences: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(each.strip())}</li>" for each in sentences) + "</ul>"


def _region_name(name: str, *, excluded: bool) -> str:
    return f"{name} (excluded)" if excluded else name


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f} %"


def _limits(world: World, checked: ActThree | None) -> str:
    honest = (
        "That what the platform recorded is what people said: the log shows that nobody changed "
        "it since, and receipts let each person compare."
        if checked
        else "That the ledger behind it is honest. A log that others witness is not part of it."
    )
    sum_of_it = ""
    if world.question.dollars:
        sum_of_it = (
            f" People × ${world.question.dollars:,} is {ARITHMETIC}: it takes the complaint’s "
            "class and its sum at their word."
        )
    return f"""<section aria-labelledby="not">
<h2 id="not">What this does not show</h2>
<ul>
<li>What {escape(world.words.who)} did. {escape(world.words.established)}</li>
<li>What real people would choose. How many say yes, no or nothing is an assumption, written down in
<code>world.toml</code>; with other shares, other figures come out.</li>
<li>Anybody’s liability.{sum_of_it}</li>
<li>What a {escape(world.words.made_up)} does outside the gate. Nothing that was alleged can happen
through the gate; what goes around it, it does not see.</li>
<li>{honest}</li>
</ul>
</section>"""


def _check(act: ActOne, checked: ActThree | None, back: ActFour | None) -> str:
    commands = [*act.commands(Path()), *(checked.commands(Path()) if checked else [])]
    commands += back.commands(Path()) if back else []
    lines = "\n".join(escape(shlex.join(words)) for words in commands)
    return f"""<section aria-labelledby="check">
<h2 id="check">Check it</h2>
<p>From the folder in which this page lies:</p>
<pre tabindex="0" aria-label="Commands">{lines}</pre>
</section>"""


def _recipient(world: World, outcome: Outcome) -> str:
    return f"{outcome.recipient.name}, {_kind(world, outcome.recipient.recipient_class)}"


def _kind(world: World, kind: RecipientClass) -> str:
    return RECIPIENT_KINDS[kind].format(made_up=world.words.made_up)


def _table(caption: str, head: Sequence[tuple[str, str]], rows: Iterable[str]) -> str:
    def cell(name: str, kind: str) -> str:
        attribute = f' class="{kind}"' if kind else ""
        return f'<th scope="col"{attribute}>{escape(name)}</th>'

    columns = "".join(cell(*column) for column in head)
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f"""<div class="wide" tabindex="0" role="region" aria-label="Table: {escape(caption)}">
<table>
<caption>{escape(caption)}</caption>
<thead><tr>{columns}</tr></thead>
<tbody>
{body}
</tbody></table></div>"""


# ── charts ──────────────────────────────────────────────────────────────────────────────────


def _figure(name: str, caption: str, chart: alt.TopLevelMixin) -> str:
    """Place a chart as a picture with a caption; its table follows it."""
    return f"""<figure class="chart" aria-labelledby="{name}-caption">
<figcaption id="{name}-caption">{escape(caption)}</figcaption>
<div class="wide" tabindex="0" role="region" aria-label="Chart: {escape(caption)}">
{_svg(name, chart)}
</div>
</figure>"""


def _svg(name: str, chart: alt.TopLevelMixin) -> str:
    """Draw a chart; what is drawn twice on a page must not share ids."""
    import vl_convert  # noqa: PLC0415 - an extra

    drawn: str = vl_convert.vegalite_to_svg(chart.to_dict())
    drawn = re.sub(r' (xmlns(:\w+)?|aria-[\w-]+|role|class)="[^"]*"', "", drawn)
    drawn = re.sub(r'(id="|url\(#)', rf"\1{name}-", drawn)
    return drawn.replace("<svg", f'<svg role="img" aria-labelledby="{name}-caption"', 1)


def _styled(chart: Any) -> Any:  # noqa: ANN401 - any kind of chart
    return (
        chart.configure(background="transparent", font=FONT, padding=2)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=INK, titleColor=INK, labelFontSize=12, titleFontSize=12, titleFontWeight=400,
            gridColor=RULE, domainColor=GREY, tickColor=GREY, labelLimit=0, labelPadding=6,
        )
        .configure_text(fontSize=12, color=INK)
        .configure_title(fontSize=12, fontWeight=400, color=INK, anchor="start", frame="group")
    )  # fmt: skip


def _data(rows: Sequence[dict[str, Any]]) -> alt.InlineData:
    import altair as alt  # noqa: PLC0415 - an extra

    return alt.InlineData(values=list(rows))


def _draw_timeline(world: World) -> Any:  # noqa: ANN401 - Altair's layers have no one type
    import altair as alt  # noqa: PLC0415 - an extra

    names = list(SHAPES)
    rows = [
        {
            "n": n,
            "title": m.title,
            "kind": m.kind,
            "start": m.start // 1000,
            "end": m.end // 1000,
            "middle": (m.start + m.end) // 2000,
        }
        for n, m in enumerate(world.timeline)
    ]
    first, last = world.timeline[0].start, max(m.end for m in world.timeline)
    order = [m.title for m in world.timeline]
    y = alt.Y(
        "title:N", sort=order, title=None, axis=alt.Axis(grid=True, ticks=False, domain=False)
    )
    span = [(first - 20 * DAY) // 1000, (last + 20 * DAY) // 1000]
    scale = alt.Scale(type="utc", domain=span, nice=False)
    axis = alt.Axis(format="%b %Y", tickCount={"interval": "month", "step": 4}, grid=False)
    x = alt.X("middle:T", scale=scale, title=None, axis=axis)
    kind = alt.Scale(domain=names, range=[INK, INK, ACCENT])
    shape = alt.Scale(domain=names, range=list(SHAPES.values()))
    fill = alt.Scale(domain=names, range=[INK, "#ffffff", ACCENT])
    base = alt.Chart(_data(rows))
    bars = base.mark_rule(strokeWidth=4, strokeCap="round").encode(
        x=alt.X("start:T", scale=scale, axis=axis, title=None), x2="end:Q", y=y,
        color=alt.Color("kind:N", scale=kind, legend=None),
    )  # fmt: skip
    points = base.mark_point(size=80, strokeWidth=2, filled=False, opacity=1).encode(
        x=x, y=y,
        shape=alt.Shape("kind:N", scale=shape, legend=None),
        stroke=alt.Stroke("kind:N", scale=kind, legend=None),
        fill=alt.Fill("kind:N", scale=fill, legend=None),
    )  # fmt: skip
    cut = (world.dates.asked // DAY + 1) * DAY // 1000
    line = (
        alt.Chart(_data([{"at": cut}]))
        .mark_rule(strokeDash=[4, 3], color=GREY)
        .encode(x=alt.X("at:T", scale=scale, axis=axis, title=None))
    )
    chart = alt.layer(line, bars, points).properties(width=400, height=24 * len(rows))
    return _styled(chart)


def _draw_reasons(bars: Sequence[tuple[str, int, bool]]) -> Any:  # noqa: ANN401 - as above
    import altair as alt  # noqa: PLC0415 - an extra

    rows = [{"name": name, "items": n, "went": went, "label": f"{n:,}"} for name, n, went in bars]
    y = alt.Y(
        "name:N", sort=[name for name, _, _ in bars], title=None,
        axis=alt.Axis(ticks=False, domain=False),
    )  # fmt: skip
    top = max(n for _, n, _ in bars)
    x = alt.X("items:Q", title=None, axis=None, scale=alt.Scale(domain=[0, top * 1.14 or 1]))
    base = alt.Chart(_data(rows)).encode(x=x, y=y)
    colour = alt.Color(
        "went:N", scale=alt.Scale(domain=[True, False], range=[ACCENT, GREY]), legend=None
    )
    drawn = base.mark_bar(height=14).encode(color=colour)
    labels = base.mark_text(align="left", dx=5).encode(text="label:N")
    return _styled(alt.layer(drawn, labels).properties(width=330, height=24 * len(rows)))


def _draw_bars(bars: Sequence[tuple[str, str, int]]) -> Any:  # noqa: ANN401 - as above
    """Draw two bars for each name, one above the other: as told, and through the gate."""
    import altair as alt  # noqa: PLC0415 - an extra

    rows = [
        {"name": name, "how": how, "items": n, "label": f"{n:,} {how}"} for name, how, n in bars
    ]
    order = list(dict.fromkeys(name for name, _, _ in bars))
    ways = list(dict.fromkeys(how for _, how, _ in bars))
    top = max(n for _, _, n in bars)
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("items:Q", title=None, axis=None, scale=alt.Scale(domain=[0, top * 1.3 or 1])),
        y=alt.Y("name:N", sort=order, title=None, axis=alt.Axis(ticks=False, domain=False)),
        yOffset=alt.YOffset("how:N", sort=ways),
    )
    scale = alt.Scale(domain=ways, range=[GREY, ACCENT])
    drawn = base.mark_bar(height=14).encode(color=alt.Color("how:N", scale=scale, legend=None))
    labels = base.mark_text(align="left", dx=5).encode(text="label:N")
    return _styled(alt.layer(drawn, labels).properties(width=560, height=52 * len(order)))


def _draw_yield(act: ActOne) -> Any:  # noqa: ANN401 - as above
    import altair as alt  # noqa: PLC0415 - an extra

    rows = [
        {
            "region": _region_name(y.region, excluded=y.excluded),
            "items": 100 * y.released / max(y.items, 1),
            "people": 100 * y.present / max(y.people, 1),
            "items label": _share(y.released, y.items) if y.released else "0",
            "people label": _share(y.present, y.people) if y.present else "0",
        }
        for y in act.yields
    ]
    order = [_region_name(y.region, excluded=y.excluded) for y in act.yields]
    shares = [(y.released, y.items) for y in act.yields] + [
        (y.present, y.people) for y in act.yields
    ]
    top = max(100 * part / max(whole, 1) for part, whole in shares)
    scale = alt.Scale(domain=[0, top * 1.25 or 1])

    def panel(field: str, title: str, *, named: bool) -> Any:  # noqa: ANN401 - as above
        axis = alt.Axis(ticks=False, domain=False, labels=named)
        base = alt.Chart(_data(rows)).encode(
            x=alt.X(f"{field}:Q", title=None, axis=None, scale=scale),
            y=alt.Y("region:N", sort=order, title=None, axis=axis),
        )
        labels = base.mark_text(align="left", dx=5).encode(text=f"{field} label:N")
        drawn = base.mark_bar(height=14, color=ACCENT)
        return alt.layer(drawn, labels).properties(width=250, height=24 * len(rows), title=title)

    chart = alt.hconcat(
        panel("items", "Share of items released", named=True),
        panel("people", "Share of people in the release", named=False),
        spacing=24,
    )
    return _styled(chart)
