"""The command line, called as the installed command calls it, in this process: it is quicker."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from letterlock import approval
from letterlock.cli import main
from workspaces import KEYS


def said(*words: object, code: int = 0) -> str:
    """Run `letterlock` with these words; returns all that it prints. It ends with `code`."""
    out, ended = io.StringIO(), 0
    argv, handler = sys.argv, signal.getsignal(signal.SIGINT)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            sys.argv = ["letterlock", *map(str, words)]
            main()
        except SystemExit as error:
            ended = int(error.code or 0)
        finally:
            sys.argv = argv
            signal.signal(signal.SIGINT, handler)
    assert ended == code, (words, ended, out.getvalue())
    return out.getvalue()


def told(*words: object, code: int = 0) -> Any:
    """Run it with --json; returns what it prints."""
    return json.loads(said(*words, "--json", code=code))


def signed(folder: Path, kind: str, body: dict[str, Any]) -> Sequence[object]:
    """Sign an event as both operators do; returns the options that hand it over."""
    found: list[object] = []
    for each in approval.sign_all(KEYS, approval.message(kind, body)):
        path = folder / f"{kind}-{each.operator}.json"
        path.write_text(json.dumps({"operator": each.operator, "signature": each.signature}))
        found += ["--signature", path]
    return found
