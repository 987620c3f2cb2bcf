"""The replay on screens, one an act: each at most 50 lines of 100 columns."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

from letterlock.cli.show import OUT
from letterlock.domain import REASON_TEXT
from letterlock.gate import Outcome
from letterlock.replay import Result
from letterlock.replay.acts import ActOne, Side, day_of
from letterlock.replay.days import Day
from letterlock.replay.report import span
from letterlock.replay.world import World
from letterlock.reports.exposure import ARITHMETIC

WIDTH = 100
_IN = "   "


def screen(result: Result) -> None:
    """Print a replay; lines that start with a letter in column one are headings."""
    screens = (lines, day_lines, public_lines, handed_lines)
    parts = [list(each(result)) for each in screens]
    for line in [line for part in parts for line in ([] if part is parts[0] else [""]) + part]:
        bold = line[:1].isalpha() and line[1:3] == "  "
        OUT.print(line, style="bold" if bold else None, markup=False)


def lines(result: Result) -> Iterator[str]:
    """Yield the lines of the screen."""
    world, act = result.world, result.act_one
    outcome = act.gated.outcome
    yield (
        f"{world.name} is made up: {world.members:,} members, {act.total:,} items, "
        f"seed {world.seed}. Nobody in it is real."
    )
    yield (
        f"{day_of(act.asked)}, {outcome.recipient.name}, {_kind(outcome)}: may it {act.what_for}?"
    )
    parts = [_alleged(world, act), _gated(world, act), _explained(world, act), _next(result)]
    for letter, (heading, *rest) in zip("ABCD", filter(None, map(list, parts)), strict=False):
        yield from ("", f"{letter}  {heading}", *rest)


def _alleged(world: World, act: ActOne) -> Iterator[str]:
    alleged, words = act.alleged, world.words
    counted = alleged.by_class[world.question.messages]
    yield f"{words.programme}, on these made-up people"
    yield f"   “{act.setting}” is on unless switched off" + (";" if act.regions_excluded else "")
    if act.regions_excluded:
        yield f"   authors in {len(act.regions_excluded)} excluded regions are left out"
    yield f"{alleged.exported:>11,}  items in a plain export, {counted:,} of them {words.counted}"
    yield f"{alleged.people:>11,}  {words.people_line}"
    if alleged.dollars_each:
        yield f"{'':>11}  × ${alleged.dollars_each:,} = ${alleged.dollars:,} — {ARITHMETIC}"
    share = 100 * alleged.wrong / max(alleged.exported, 1)
    yield f"{alleged.wrong:>11,}  rows of it ({share:.1f} %) should not be there: letterlock check"
    yield from _folded(words.status, _IN)


def _gated(world: World, act: ActOne) -> Iterator[str]:
    outcome, counted = act.gated.outcome, act.gated.by_class[world.question.messages]
    yield f"The same day through the gate: release {act.gated.release}, sealed and verified"
    yield from _count(
        outcome.released,
        outcome,
        f"went, {counted:,} of them {world.words.counted}: everyone in it said yes",
    )
    yield from _count(outcome.items - outcome.released, outcome, "stayed, by the first reason:")
    for reason, count in sorted(outcome.withheld.items(), key=lambda kv: (-kv[1], kv[0])):
        text = f"{reason.name.lower():<22}{REASON_TEXT[reason]}"
        yield from _count(count, outcome, text, indent=22)
    for other in act.others:
        text = f"would go to {other.recipient.name}, {_kind(other)}"
        yield from _count(other.released, other, text)


def _count(count: int, outcome: Outcome, text: str, indent: int = 0) -> list[str]:
    share = 100 * count / max(outcome.items, 1)
    line = f"{count:>9,} {share:>4.1f} %  {text}"
    return _wrap(line, " " * (len(line) - len(text) + indent))


def _wrap(line: str, indent: str) -> list[str]:
    """Fold a line that is too long at its words, and leave every other one as it is."""
    if len(line) <= WIDTH:
        return [line]
    cut = line.rindex(" ", 0, WIDTH + 1)
    return [line[:cut], *_wrap(indent + line[cut + 1 :], indent)]


def _kind(outcome: Outcome) -> str:
    kind = outcome.recipient.recipient_class.value.replace("_", " ")
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _explained(world: World, act: ActOne) -> Iterator[str]:
    blocked, counted = act.blocked, world.words.counted
    if not world.question.contract:
        return
    if blocked is None:
        yield f"In this small world no {counted} was allowed by its author and kept by a contract"
        return
    yield f"One {counted}: {blocked.item}, sent {day_of(blocked.made)}"
    for side in blocked.sides:
        answer = "permits it" if side.reason is None else f"denies it: {side.reason}"
        yield f"   {side.role} {side.subject} {answer}"
        yield f"     said: {side.said}"
        for source, clause in _deciding(side):
            yield f"     {source}, clause {clause}: forbids  ← decides"
    yield f"   stays: {blocked.reason}, by its {blocked.role}; a contract outranks a setting"


def _deciding(side: Side) -> list[tuple[str, str]]:
    return sorted(
        {(asked.source.split(",")[0], asked.clause) for asked in side.asked if asked.decides}
    )


def day_lines(result: Result) -> Iterator[str]:
    """Yield the lines of the second screen, if the world has days."""
    days, question, words = result.days, result.world.question, result.world.words
    if not days:
        return
    yield "E  Day by day: as reported, written as a plain export; and through the gate"
    kinds = [p.kind.replace("_", " ") for p in days[0].passed]
    yield f"   {'':<11}  {'as reported':>21}    through the gate, items to …"
    heads = "".join(f"{kind:>13}" for kind in kinds)
    yield f"   {'day':<11}  {'items':>9} {_small(words.the_class):>11}    {heads}"
    for day in days:
        gate = "".join(f"{p.released:>13,}" for p in day.passed)
        yield f"   {day_of(day.at):<11}  {day.exported:>9,} {day.people:>11,}    {gate}"
        yield from _folded(day.title)
    most = max(day.people for day in days)
    gated = max(p.of_class for day in days for p in day.passed)
    if question.dollars:
        yield from _folded(
            f"{words.the_class} × ${question.dollars:,}: ${most * question.dollars:,} at most as "
            f"reported, {ARITHMETIC}; ${gated * question.dollars:,} through the gate",
            _IN,
        )
    else:
        yield from _folded(
            f"{words.the_class}: {most:,} at most as reported; {gated:,} through the gate", _IN
        )
    if question.heads:
        yield from _folded(f"Without a figure: {', '.join(question.heads)}", _IN)
    for day in days:
        yield from _refused(day)


def public_lines(result: Result) -> Iterator[str]:
    """Yield the lines of the third screen, if the world has a third act."""
    act = result.act_three
    if act is None:
        return
    yield f"G  {day_of(act.at)}: what anybody can check at home"
    seen = " and ".join(act.witnesses)
    yield from _folded(
        f"The log is public: {act.entries:,} entries, everything about a person in it a "
        f"commitment; cosigned by {seen}, made up too",
        _IN,
    )
    statement, *hers = (finding.proved for finding in act.findings)
    yield "   Signed, and checked against every entry:"
    yield from _folded(statement[0])
    if act.refused:
        yield f"   Not signed, of {act.other}:"
        yield from _folded(act.refused)
    if hers:
        receipt, absence = hers
        counted = result.world.words.counted
        yield from _folded(
            f"{act.member} said no, and {act.messages:,} {counted} that she sent or received would "
            "be in the plain export. She holds:",
            _IN,
        )
        yield from _folded(f"her receipt. {receipt[0]} {receipt[1].strip()}")
        yield from _folded(f"a proof. {absence[0]}")
    yield "   Check it as a stranger would:"
    for words in act.commands(result.out):
        yield from _wrapped(words)


def handed_lines(result: Result) -> Iterator[str]:
    """Yield the lines of the fourth screen, if the world has a fourth act."""
    act = result.act_four
    if act is None:
        return
    yield f"H  {day_of(act.at)} and after: what left is taken back"
    yield from _folded(
        f"{act.rows:,} rows of {act.people:,} people go to {act.recipient}: approved by two, "
        "logged before the first byte, countersigned. Two models learn from them. Then "
        f"{act.member} opts out. Stated, and by the clock of this world:",
        _IN,
    )
    for each in act.latencies:
        yield from textwrap.wrap(
            f"{each.what:16}{span(each.stated):>12}{span(each.took):>12}  {each.shown}",
            WIDTH,
            initial_indent="     ",
            subsequent_indent=" " * 47,
        )
    yield from _folded(f"{act.late} opts out, and {act.recipient} does nothing for 8 days:", _IN)
    yield from _folded(act.closed)
    for answer in act.answers:
        yield from _folded(
            f"A court orders: delete whatever was made from {answer.data_class}.", _IN
        )
        yield from _folded(answer.told())
    kept = [each.name for each in act.models if each.fate == "in use"]
    yield from _folded(
        f"Duties met by evidence in the log: {act.met}; open: {act.open}. Still in use: "
        f"{', '.join(kept) or 'no model'}",
        _IN,
    )
    yield "   Try:"
    for words in act.commands(result.out):
        yield from _wrapped(words)


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]


def _refused(day: Day) -> Iterator[str]:
    if not day.tries:
        return
    yield ""
    yield f"F  {day_of(day.at)}: the same programme is put forward, in the order reported"
    for each in day.tries:
        requirement = f" [{each.requirement}]" if each.requirement else ""
        yield from _folded(f"{each.what}: refused{requirement}", _IN)
        yield from _folded(each.refusal)
    broken = day.broken()
    places = [f"{requirement} ({place})" for requirement, place in broken.items()]
    yield f"   letterlock policy check: {len(day.findings)} findings, against"
    yield from _folded(", ".join(places))


def _folded(text: str, indent: str = "     ") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def _next(result: Result) -> Iterator[str]:
    yield "Try next"
    for words in result.act_one.commands(result.out):
        yield from _wrapped(words)
    yield f"   and open {result.report} in a browser"


def _wrapped(words: Sequence[str]) -> Iterator[str]:
    """Yield a command line; where it is too long, it goes on below, and still runs as printed."""
    line, parts = "  ", list[str]()
    for word in words:
        if parts and parts[-1].startswith("-"):
            parts[-1] += " " + shlex.quote(word)
        else:
            parts.append(shlex.quote(word))
    for n, part in enumerate(parts):
        more = 2 if n + 1 < len(parts) else 0
        if n and len(line) + 1 + len(part) + more > WIDTH:
            yield line + " \\"
            line = "      "
        line += " " + part
    yield line
