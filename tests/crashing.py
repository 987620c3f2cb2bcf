"""`python crashing.py WORKSPACE N HOW`: publish a log, but end at the Nth change of the disk.

HOW: before it, after it, or half-way through it. Exit 9 if it came to that, 0 if not. What was
published is told on standard output, before anything else is done.
"""

from __future__ import annotations

import sys
from pathlib import Path

from letterlock.gate import Gate
from letterlock.gate import log as gate_log
from store.log_child import Crashing


def main(folder: str, count: str, how: str) -> None:
    """Publish what is recorded."""
    Crashing.left, Crashing.how = int(count), how
    gate_log.FolderTiles = Crashing  # type: ignore[misc]
    gate = Gate(Path(folder))
    print(gate.publish_log().trusted.checkpoint.size, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
