"""`python ledger_child.py LEDGER VERB NAME COUNT SIZE`: another process that uses a ledger.

LEDGER is a file or a PostgreSQL address. It prints "ready", waits for a line, and then prints what
it was told is recorded, before it does anything else.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from letterlock.errors import HeadMoved
from letterlock.ledger import Draft
from letterlock.store.sql import SqlStore
from letterlock.store.sqlite import SqliteStore


def opened(ledger: str) -> SqlStore:
    """Open a ledger."""
    if ledger.startswith("postgresql:"):
        from letterlock.store.postgres import PostgresStore  # noqa: PLC0415 - an extra

        return PostgresStore(ledger)
    return SqliteStore(Path(ledger))


def tell(what: object) -> None:
    """Say something at once."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def drafts(name: str, batch: int, size: int) -> list[Draft]:
    """Return events about people of this process's own and about one that all share."""
    found = []
    for n in range(size):
        who = f"{name}-{batch}-{n}" if n % 2 else f"shared-{batch}"
        kind = "version.objected" if n % 2 else "notice.delivered"
        found.append(Draft(kind, {"subject": who, "version": f"v{batch}"}))
    return found


def append(store: SqlStore, name: str, count: int, size: int) -> None:
    """Record batches, whoever else does."""
    for batch in range(count):
        tell(store.append(drafts(name, batch, size), now=0).index)


def compare(store: SqlStore, name: str, count: int, size: int) -> None:
    """Record batches, each of which says at which place it expects to be."""
    done = 0
    while done < count:
        expected = store.head().index
        body = {"subject": name, "version": f"after {expected}"}
        try:
            store.append([Draft("version.objected", body)] * size, now=0, expect=expected)
        except HeadMoved:
            continue
        done += 1
        tell(done)


def intern(store: SqlStore, name: str, count: int, size: int) -> None:
    """Number people, most of whom others number as well."""
    for n in range(count):
        store.numbers([f"{name}-{n}", *(f"shared-{n + k}" for k in range(size))])
    tell(count)


def interrupted(store: SqlStore, name: str, count: int, size: int) -> None:
    """Record batches until an interrupt comes, and one more after it."""
    try:
        append(store, name, count, size)
    except KeyboardInterrupt:
        tell("interrupted")
        append(store, f"{name} again", 1, size)


VERBS = {verb.__name__: verb for verb in (append, compare, intern, interrupted)}


def interrupt_again(lost) -> None:
    """Interrupt anew if the interrupt fell into a destructor, which swallows it."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        thread = threading.main_thread().ident
        threading.Timer(0.01, signal.pthread_kill, [thread, signal.SIGINT]).start()


def main(ledger: str, verb: str, name: str, count: str, size: str) -> None:
    """Do what is asked."""
    # A shell has its background jobs, and what they start, ignore an interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.unraisablehook = interrupt_again
    store = opened(ledger)
    tell("ready")
    sys.stdin.readline()
    VERBS[verb](store, name, int(count), int(size))
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
