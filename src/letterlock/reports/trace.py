"""A trace as text: made of its JSON and of nothing else, so that both say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from letterlock.evidence.finding import word
from letterlock.evidence.page import harmless

Record = Mapping[str, Any]


def lines(record: Record) -> Iterator[str]:
    """Yield the lines of a trace, as `gate.trace.Trace.record` has it; none steers a terminal."""
    return (harmless(line) for line in _lines(record))


def _lines(record: Record) -> Iterator[str]:
    yield f"{word(record['subject'])}, as of {record['as_of']}"
    yield from _recorded(record["recorded"])
    found, asked = record["releases"], record["releases_asked"]
    yield f"in {len(found):,} of {_many(asked, 'release')}{':' if found else ''}"
    for release in found:
        yield from _release(release)
    for name, why in record["untold"].items():
        yield f"release {name} cannot be told: {why}"
    if (waiting := record["unjudged"]) is not None:
        events, since = waiting["events"], waiting["since"]
        yield f"not judged yet: {_many(events, 'event')} since {since} that may take her out"


def _recorded(recorded: Record) -> Iterator[str]:
    events, erased, choices = recorded["events"], recorded["erased"], recorded["choices"]
    if not events:
        yield "nothing is recorded of this account"
        return
    gone = f", {erased:,} of them erased" if erased else ""
    numbers = f": {', '.join(f'{n}' for n in choices)}" if choices else ""
    yield f"recorded: {_many(events, 'event')}{gone}; {_many(len(choices), 'choice')}{numbers}"


def _release(release: Record) -> Iterator[str]:
    asked = f"for {release['purpose']}, to {word(release['recipient'])}, as of {release['as_of']}"
    yield f"release {release['release']} {asked}"
    yield f"  named there as {release['pseudonym']}"
    for version in release["versions"]:
        says = "names her" if version["names_her"] else "does not name her"
        where = f"event {version['event']}"
        yield f"  version {version['version']}, sealed {version['sealed_at']} ({where}): {says}"
        yield from _rows(version["rows"])
    if release["recalled_at"] is not None:
        yield f"  recalled {release['recalled_at']}"
    if release["drop_list"] is not None:
        yield f"  on drop list {release['drop_list']} and every later one"
    for delivery in release["deliveries"]:
        yield from _delivery(delivery)
    if not release["deliveries"]:
        yield "  never delivered"
    for model in release["models"]:
        yield _model(model)
    for owed in release["obligations"]:
        late = " late" if owed["late"] else ""
        met = f", due {owed['due']}"
        if owed["state"] == "met":
            met = f"{late} by event {owed['evidence']}"
        yield f"  {owed['obligation']} {owed['state']}{met}, {word(owed['owner'])}: {owed['what']}"


def _rows(rows: Sequence[Record] | None) -> Iterator[str]:
    if rows is None:
        yield "    in which rows cannot be told any more: they are gone from here"
        return
    for row in rows:
        yield f"    {word(row['data_class'])}: {_many(row['rows'], 'row')} as {row['role']}"


def _delivery(delivery: Record) -> Iterator[str]:
    what = f"version {delivery['version']}, grant {delivery['grant']}, event {delivery['event']}"
    yield f"  delivered to {word(delivery['recipient'])} {delivery['at']} ({what})"
    for said in delivery["acknowledged"]:
        state = "destroyed" if said["destroyed"] else f"at version {said['version']}"
        yield f"    countersigned {said['at']}: {state} (event {said['event']})"
    if not delivery["acknowledged"]:
        yield "    not countersigned"


def _model(model: Record) -> str:
    of = f" through {model['came_of'][:12]}" if model["came_of"] else ""
    gone = {None: "not destroyed", True: "destroyed", False: "destroyed in part"}
    learned = f"from version {model['learned_from_version']}{of}"
    return (
        f"  model {word(model['name'])} ({model['model'][:12]}, {word(model['owner'])}) "
        f"{learned}: {gone[model['destroyed']]}"
    )


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
