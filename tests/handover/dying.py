"""`python dying.py FOLDER RELEASE ACT FIRST STEP`: do ACT, killed somewhere each time.

ACT: deliver, receive or acknowledge, from what is in FOLDER (see `companies`): its folders are
copied, a process does it and is killed (SIGKILL) before its FIRSTth, then STEP further, … change of
a file in the copy, and another process does it again and looks at what is there. Prints how many
times somebody was killed; ends with 1 if something was not as it must be.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import workspaces as w
from companies import Companies
from letterlock.errors import VerificationError
from letterlock.handover import age, grant
from letterlock.inbox import Inbox
from letterlock.lineage import inventory
from letterlock.store.keys import AGE

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def child(do: Callable[[], None]) -> int:
    """Do something in a process of its own; returns how that ended, -9 if it was killed."""
    pid = os.fork()
    if not pid:
        try:
            do()
        except BaseException:  # noqa: BLE001 - it is told, and the process ends
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def die_at(count: int, folder: Path) -> None:
    """Be killed before the `count`th change of a file in `folder`."""
    left = count

    def watch(event: str, args: tuple[object, ...]) -> None:
        nonlocal left
        if not (event in CHANGES or (event == "open" and int(args[2] or 0) & WRITING)):  # type: ignore[call-overload]
            return
        if not str(args[0]).startswith(str(folder)):
            return
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def copied(folder: Path, to: Path, release: str) -> Companies:
    """Copy both companies and the post."""
    shutil.rmtree(to, ignore_errors=True)
    for name in ("platform", "tern", "post"):
        if (folder / name).exists():
            shutil.copytree(folder / name, to / name)
    return Companies(to / "platform", to / "tern", release)


def pairs(both: Companies) -> list[tuple[Path, Path]]:
    """Return the packages that have a letter, oldest first."""
    letters = sorted(both.post.glob("*.key"), key=lambda path: path.stat().st_mtime_ns)
    return [(each.with_suffix(".letterlock"), each) for each in letters]


# ── the acts, and what must be so after each was done again ─────────────────────────────────


def deliver(both: Companies) -> None:
    """Deliver."""
    gate = both.gate()
    gate.deliver(both.release, both.post)
    gate.close()


def delivered(both: Companies, *, killed: bool) -> None:
    """Each letter is of a grant of its own that the log has; no part of a file is left."""
    assert not list(both.post.glob(".*"))
    inbox = Inbox(both.inbox, now=w.NOW)
    secret = age.identity_of(inbox.keys.secret(AGE, inbox.card().encryption))
    gate = both.gate()
    known = gate.lineage().deliveries
    gate.close()
    found = [grant.opened(letter.read_bytes(), secret) for _, letter in pairs(both)]
    entries = [each.logged.entry for each in found]
    assert len(set(entries)) == len(entries) <= 2
    assert len({each.identity for each in found}) == len(found)
    assert len(entries) <= len(known) <= 1 + killed
    assert all(any(name.encode() in entry for name in known) for entry in entries)
    inbox.receive(*pairs(both)[-1], both.policy.read_bytes())


def receive(both: Companies) -> None:
    """Receive; that it was received before the kill is as good."""
    try:
        Inbox(both.inbox, now=w.NOW).receive(*pairs(both)[0], both.policy.read_bytes())
    except VerificationError as error:
        if "used already" not in str(error):
            raise


def received(both: Companies, *, killed: bool) -> None:
    """One copy is there, all of it, and it can be countersigned."""
    del killed
    assert [path.name for path in (both.inbox / "received").iterdir()] == [both.release]
    said = inventory.parse(Inbox(both.inbox, now=w.NOW).inventory(both.release))
    assert said.rows > 0


def acknowledge(both: Companies) -> None:
    """Acknowledge."""
    gate = both.gate()
    gate.acknowledge((both.inbox / "inventory").read_bytes())
    gate.close()


def acknowledged(both: Companies, *, killed: bool) -> None:
    """It is recorded once."""
    del killed
    gate = both.gate()
    (delivery,) = gate.lineage().deliveries.values()
    gate.close()
    assert len(delivery.acknowledged) == 1


ACTS = {
    "deliver": (deliver, delivered),
    "receive": (receive, received),
    "acknowledge": (acknowledge, acknowledged),
}


def main(folder: str, release: str, act: str, first: str, step: str) -> int:
    """Kill, repeat and look, until the act ends before it comes to be killed."""
    do, look = ACTS[act]
    count, kills = int(first), 0
    while True:
        both = copied(Path(folder), Path(folder) / "trial", release)

        def once(both: Companies = both, count: int = count) -> None:
            die_at(count, both.platform.parent)
            do(both)

        ended = child(once)
        assert ended in {0, -signal.SIGKILL}, (act, count, ended)
        killed = ended != 0
        if killed:
            kills += 1
            assert child(lambda both=both: do(both)) == 0, (act, count)  # type: ignore[misc]
        look_at = lambda both=both, killed=killed: look(both, killed=killed)  # noqa: E731
        assert child(look_at) == 0, (act, count)  # type: ignore[arg-type]
        if not killed:
            print(kills)  # noqa: T201
            return 0
        count += int(step)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
