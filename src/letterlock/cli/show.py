"""How answers look: tables and sentences for people, JSON for programs, progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from letterlock.domain import REASON_TEXT, Item, Level, Reason, Span, counted, text_of
from letterlock.gate import Checked, Loaded, Outcome
from letterlock.handover.sidecars import Attested
from letterlock.policy.decide import Answer, Decision
from letterlock.release.build import Progress as Report
from letterlock.release.impact import Count, Impact

OUT = Console(highlight=False, soft_wrap=True, emoji=False)
ERR = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)

_SHOWN = 10


def json_of(value: Mapping[str, Any]) -> str:
    """Write one JSON object, in lines that people can read too."""
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def as_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object."""
    sys.stdout.write(json_of(value))


@contextmanager
def progress(*, quiet: bool) -> Iterator[Report]:
    """Show a bar per stage on stderr, if somebody is looking."""
    if quiet or not ERR.is_terminal:
        yield lambda _what, _done, _total: None
        return
    bars = Progress(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f}"),
        TimeElapsedColumn(),
        console=ERR,
        transient=True,
    )
    tasks: dict[str, TaskID] = {}

    def report(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total or done)
        bars.update(tasks[what], completed=done, total=max(total, done))

    with bars:
        yield report


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON."""
    return {
        "purpose": outcome.purpose,
        "recipient": outcome.recipient.id,
        "as_of": text_of(outcome.as_of),
        "items": outcome.items,
        "released": outcome.released,
        "people": outcome.people,
        "withheld": {r.name.lower(): n for r, n in sorted(outcome.withheld.items())},
    }


def outcome(found: Outcome, *, done: bool = False) -> None:
    """Print how many go and how many stay, by reason."""
    goes, stays = ("went", "stayed") if done else ("would go", "would stay")
    OUT.print(
        f"{found.purpose} · {escape(found.recipient.name)} "
        f"({found.recipient.recipient_class.value.replace('_', ' ')}) · "
        f"as of {text_of(found.as_of)}"
    )
    share = 100 / max(found.items, 1)
    width = len(f"{found.items:,}")
    OUT.print(f"  {found.items:>{width},}           items")
    OUT.print(f"  {found.released:>{width},} {found.released * share:>6.1f} %  [bold]{goes}[/]")
    stayed = found.items - found.released
    OUT.print(f"  {stayed:>{width},} {stayed * share:>6.1f} %  {stays}, each by its first reason:")
    for reason, count in sorted(found.withheld.items(), key=lambda kv: (-kv[1], kv[0])):
        name = f"{reason.name.lower():<20}"
        line = f"  {count:>{width},} {count * share:>6.1f} %    {name}"
        OUT.print(f"{line} [dim]{REASON_TEXT[reason]}[/]")


def impact(found: Impact) -> None:
    """Print what a version would change: at once, and once it is in force for everyone."""
    to = f"{escape(found.recipient.name)} ({found.recipient.recipient_class.value})"
    OUT.print(f"version {escape(found.version)} · {found.purpose} · {to.replace('_', ' ')}")
    OUT.print(f"  {found.before:,} items may go now")
    for title, change in (
        ("at once, when it is published and nobody was notified yet", found.at_once),
        ("in force for everyone, if nobody changes their answer", found.in_force),
    ):
        OUT.print(f"  [bold]{title}[/]")
        _counted("may go besides", change.allowed)
        _counted("may no longer go", change.denied)
        for reason, count in change.by_reason.items():
            _counted(f"  {reason.name.lower()}", count)
        _counted("unchanged", change.unchanged)


def _counted(what: str, count: Count) -> None:
    OUT.print(f"    {what:<24}{count.items:>12,} items {count.people:>12,} people")


def loaded(what: str, found: Loaded, *, quiet: bool) -> None:
    """Print what came of a file of records."""
    if quiet:
        as_json(
            {
                "recorded": found.recorded,
                "already": found.already,
                "refused": [r._asdict() for r in found.refused],
                "widened": [r._asdict() for r in found.widened],
                "kept": [r._asdict() for r in found.kept],
            }
        )
        return
    were = "was" if found.already == 1 else "were"
    already = f", {found.already:,} {were} recorded already" if found.already else ""
    OUT.print(f"{counted(found.recorded, what)} recorded{already}")
    for title, listed in (
        ("not recorded", found.refused),
        ("widened", found.widened),
        ("kept", found.kept),
    ):
        if listed:
            OUT.print(f"{len(listed):,} {title}:")
            for problem in listed[:_SHOWN]:
                OUT.print(f"  {problem}", markup=False)
            if len(listed) > _SHOWN:
                OUT.print(f"  … and {len(listed) - _SHOWN:,} more (--json lists all)")


def attested(found: Attested) -> None:
    """Print what is true of the statement beside a release."""
    OUT.print(
        "  the in-toto statement beside it names these files, the manifest too, and their hashes"
    )
    if found.signers is None:
        OUT.print("    whether the log signed it was not asked: --policy names a log.policy")
    for verifier in found.signers or ():
        signed = f"    signed by {verifier.name}, Ed25519 key {verifier.key_id.hex()}"
        OUT.print(signed, markup=False)


def checked(found: Checked) -> None:
    """Print what should not be in an export."""
    outcome(found.outcome)
    for row, item, reason, role in found.denied[:_SHOWN]:
        why = f"{reason} ({role})" if role else reason
        OUT.print(f"  row {row}: {item} should not be in it: {why}", markup=False)
    if len(found.denied) > _SHOWN:
        OUT.print(f"  … and {len(found.denied) - _SHOWN:,} more (--json lists all)")


def decision_record(source: str, item: Item, found: Decision) -> dict[str, Any]:
    """Return a decision as JSON."""
    return {
        "source": source,
        "item": item.id,
        "allowed": found.allowed,
        "reason": _name(found.reason),
        "role": None if found.role is None else found.role.name.lower(),
        "parties": [
            {
                "subject": answer.party.subject,
                "role": answer.party.role.name.lower(),
                "reason": _name(answer.reason),
                "requirements": [
                    {
                        "source": r.source,
                        "level": None if r.level is None else r.level.name.lower(),
                        "clause": r.clause,
                        "decides": r is answer.decisive(),
                    }
                    for r in answer.requirements
                ],
                "refusals": [line_text(line.act, line) for line in answer.refusals],
                "grants": [line_text(line.act, line) for line in answer.grants],
            }
            for answer in found.answers
        ],
    }


def decision(source: str, item: Item, found: Decision) -> None:
    """Print each party, each clause, and the one that decides."""
    made = "at an unknown time" if item.created_at is None else text_of(item.created_at)
    what = escape(item.data_class or "of an unknown class")
    OUT.print(f"[bold]{escape(item.id)}[/] in {escape(source)}: {what}, made {made}")
    for answer in found.answers:
        _answer(answer)
    if found.reason is None:
        OUT.print("→ [bold]may go[/]: everyone in it said yes")
        return
    by = f", by its {found.role.name.lower()}" if found.role is not None else ""
    OUT.print(f"→ [bold]stays[/]: {found.reason.name.lower()}{by} — {REASON_TEXT[found.reason]}")


def _answer(answer: Answer) -> None:
    who = escape(answer.party.subject or "somebody unresolved")
    said = "permits" if answer.reason is None else f"denies: {answer.reason.name.lower()}"
    OUT.print(f"\n  [bold]{answer.party.role.name.lower()}[/] {who} {said}")
    decisive, mark = answer.decisive(), "  [bold]← decides[/]"
    for r in dict.fromkeys(answer.requirements):
        level = "cannot be read" if r.level is None else f"needs {r.level.name.lower()}"
        level = "forbids" if r.level is Level.NEVER else level
        text = f"    {escape(r.source)}: {level} ({escape(r.clause)})"
        OUT.print(text + mark * (r == decisive))
    for line in (*answer.refusals, *answer.grants):
        OUT.print(f"    said: {escape(line_text(line.act, line))}" + mark * (line == decisive))
    if answer.requirements and not answer.refusals and not answer.grants:
        OUT.print("    said: nothing that permits this")


def line_text(act: str, line: Any) -> str:  # noqa: ANN401 - a domain Line
    """Write a choice line in a sentence."""
    where = f"{line.purpose}, {line.pattern}, {line.recipient}"
    asked = " (asked for separately)" if line.earlier else ""
    return f"{act} {where}, {_span(line.reach())}{asked}, recorded {text_of(line.recorded_at)}"


def _span(span: Span) -> str:
    start, end = text_of(span.start), text_of(span.end)
    return f"from {start}" if end == "open" else f"from {start} to {end}"


def _name(reason: Reason | None) -> str | None:
    return None if reason is None else reason.name.lower()
