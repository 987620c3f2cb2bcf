"""The replay on two screens, one an act: each at most 50 lines of 100 columns."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Sequence

from letterlock.cli.show import OUT
from letterlock.domain import DAY, REASON_TEXT
from letterlock.gate import Outcome
from letterlock.replay import Result
from letterlock.replay.acts import ARITHMETIC, ActOne, Blocked, Side, day_of
from letterlock.replay.days import Day

WIDTH = 100


def screen(result: Result) -> None:
    """Print a replay; lines that start with a letter in column one are headings."""
    for line in (*lines(result), *day_lines(result)):
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
    for part in (_alleged(act), _gated(act), _explained(act.blocked), _next(result)):
        yield ""
        yield from part


def _alleged(act: ActOne) -> Iterator[str]:
    alleged, inmail = act.alleged, next(iter(act.alleged.by_class.values()))
    until = day_of(act.asked + DAY)
    yield f"A  As the complaint alleges the programme before {until}, on these made-up people"
    yield f"   “{act.setting}” is on unless switched off;"
    yield f"   authors in {len(act.regions_excluded)} excluded regions are left out"
    yield f"{alleged.exported:>11,}  items in a plain export, {inmail:,} of them InMail"
    yield (
        f"{alleged.people:>11,}  Premium customers who sent or received that InMail "
        "would have been disclosed"
    )
    yield f"{'':>11}  × ${alleged.dollars_each:,} = ${alleged.dollars:,} — {ARITHMETIC}"
    share = 100 * alleged.wrong / max(alleged.exported, 1)
    yield f"{alleged.wrong:>11,}  rows of it ({share:.1f} %) should not be there: letterlock check"
    yield "   Only alleged: the suit was withdrawn on 30 Jan 2025; LinkedIn: “We never did that”"


def _gated(act: ActOne) -> Iterator[str]:
    outcome, inmail = act.gated.outcome, next(iter(act.gated.by_class.values()))
    yield f"B  The same day through the gate: release {act.gated.release}, sealed and verified"
    yield _count(
        outcome.released, outcome, f"went, {inmail:,} of them InMail: everyone in it said yes"
    )
    yield _count(outcome.items - outcome.released, outcome, "stayed, by the first reason:")
    for reason, count in sorted(outcome.withheld.items(), key=lambda kv: (-kv[1], kv[0])):
        yield _count(count, outcome, f"{reason.name.lower():<22}{REASON_TEXT[reason]}")
    for other in act.others:
        yield _count(other.released, other, f"would go to {other.recipient.name}, {_kind(other)}")


def _count(count: int, outcome: Outcome, text: str) -> str:
    share = 100 * count / max(outcome.items, 1)
    line = f"{count:>9,} {share:>4.1f} %  {text}"
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _kind(outcome: Outcome) -> str:
    kind = outcome.recipient.recipient_class.value.replace("_", " ")
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _explained(blocked: Blocked | None) -> Iterator[str]:
    if blocked is None:
        yield "C  In this small world no InMail was allowed by its author and blocked by a contract"
        return
    yield f"C  One InMail: {blocked.item}, sent {day_of(blocked.made)}"
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
    if not result.days:
        return
    question = result.world.question
    yield ""
    yield "E  Day by day: as reported, written as a plain export; and through the gate"
    head = [p.kind.replace("_", " ") for p in result.days[0].passed]
    yield f"   {'':<11}  {'as reported':>21}    through the gate, items to …"
    yield f"   {'day':<11}  {'items':>9} {'the class':>11}    " + "".join(f"{h:>13}" for h in head)
    for day in result.days:
        gate = "".join(f"{p.released:>13,}" for p in day.passed)
        yield f"   {day_of(day.at):<11}  {day.exported:>9,} {day.people:>11,}    {gate}"
        yield from _folded(day.title)
    most = question.dollars * max(day.people for day in result.days)
    gated = question.dollars * max(p.of_class for day in result.days for p in day.passed)
    yield f"   the class × ${question.dollars:,}: ${most:,} at most as reported, {ARITHMETIC};"
    yield f"   ${gated:,} through the gate. Without a figure: {', '.join(question.heads)}"
    for day in result.days:
        yield from _refused(day)


def _refused(day: Day) -> Iterator[str]:
    if not day.tries:
        return
    yield ""
    yield f"F  {day_of(day.at)}: the same programme is put forward, in the order reported"
    for each in day.tries:
        yield f"   {each.what}: refused{f' [{each.requirement}]' if each.requirement else ''}"
        yield from _folded(each.refusal)
    broken: dict[str, str] = {}
    for finding in day.findings:
        for requirement in filter(None, finding.requirement.split(", ")):
            broken.setdefault(requirement, f"{finding.file.rsplit('/', 1)[-1]}:{finding.line}")
    yield f"   letterlock policy check: {len(day.findings)} findings, against"
    ordered = sorted(broken, key=lambda r: int(r[1:]))
    yield from _folded(", ".join(f"{r} ({broken[r]})" for r in ordered))


def _folded(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - 5, initial_indent="     ", subsequent_indent="     ")


def _next(result: Result) -> Iterator[str]:
    yield "D  Try next"
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
