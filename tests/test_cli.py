"""The command line, in sessions: text files of commands with what they print and how they end.

    === NAME          a file, up to the next ===; rows of JSON become Parquet if NAME says so
    $ COMMAND         a command: `letterlock …` is run by its `main`, anything else by the shell;
                      NAME=VALUE before `letterlock` sets its environment
    text              what it prints; `! text` on standard error; `...` stands for any lines
    [exit N]          how it ends, unless with 0

<name> in a line stands for some text without spaces: the first time it is kept, after that it is
the same text, also in commands and files. <dir> is the folder in which all of it happens, and <...>
stands for anything.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from letterlock.cli import app, main, show
from letterlock.errors import LetterlockError
from workspaces import write

SESSIONS = sorted((Path(__file__).parent / "sessions").glob("*.txt"))
NAME = re.compile(r"<([a-z]+)>")
VARIABLE = re.compile("[A-Z_]+=.*", re.DOTALL)
WIDTH = 100


@dataclass
class Command:
    """One command of a session: its line, what it prints, and how it ends."""

    line: int
    text: str
    expected: list[str] = field(default_factory=list)
    code: int = 0


@dataclass
class File:
    """A file that a session writes."""

    name: str
    lines: list[str] = field(default_factory=list)


def steps(path: Path) -> list[Command | File]:
    """Read a session."""
    found: list[Command | File] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        last = found[-1] if found else None
        if line.startswith("=== "):
            found.append(File(line[4:]))
        elif isinstance(last, File) and line != "===":
            last.lines.append(line)
        elif line.startswith("$ "):
            found.append(Command(number, line[2:]))
        elif isinstance(last, Command) and (ends := re.fullmatch(r"\[exit (\d+)\]", line)):
            last.code = int(ends[1])
        elif isinstance(last, Command) and not line.startswith("#"):
            last.expected.append(line)
        elif line == "===":
            found.append(Command(number, "true"))
    return found


class Session:
    """A session being played in a folder; `real` starts a process for each command."""

    def __init__(self, folder: Path, *, real: bool) -> None:
        """Prepare to play in `folder`."""
        self.folder, self.real = folder, real
        self.names = {"dir": str(folder)}

    def play(self, step: Command | File) -> None:
        """Write a file, or run a command and compare."""
        if isinstance(step, File):
            self.write(step)
            return
        code, out, err = self.run(self.filled(step.text))
        printed = [*out.splitlines(), *(f"! {line}".rstrip() for line in err.splitlines())]
        assert "Traceback" not in out + err, err
        trouble = self.differs(step.expected, printed)
        ends = "" if code == step.code else f"\n[exit {code}], not {step.code}"
        if trouble or ends:
            said = "\n".join([f"$ {step.text}", *printed])
            pytest.fail(f"line {step.line}: {trouble}{ends}\n\n{said}", pytrace=False)

    def write(self, step: File) -> None:
        """Write a file of a session."""
        path, text = self.folder / step.name, self.filled("\n".join(step.lines)) + "\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".parquet":
            path.write_text(text, encoding="utf-8")
            return
        write(path, [_row(json.loads(line)) for line in text.splitlines() if line.strip()], group=2)

    def filled(self, text: str) -> str:
        """Put what is known in the place of its names."""
        return NAME.sub(lambda found: self.names.get(found[1], found[0]), text)

    def run(self, text: str) -> tuple[int, str, str]:
        """Run a command; returns its exit code and what it printed."""
        words = shlex.split(text)
        environment = {**os.environ, "COLUMNS": str(WIDTH), "PYTHONDONTWRITEBYTECODE": "1"}
        told = list(takewhile(VARIABLE.fullmatch, words))
        if words[len(told) :][:1] != ["letterlock"]:
            words = ["sh", "-c", text]
        else:
            words = words[len(told) :]
            environment |= dict(word.split("=", 1) for word in told)
            if not self.real:
                with pytest.MonkeyPatch.context() as patch:
                    for name, value in environment.items():
                        patch.setenv(name, value)
                    return self.call(words)
            words[0] = str(Path(sys.executable).with_name("letterlock"))
        done = subprocess.run(
            words, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout, done.stderr

    def call(self, words: list[str]) -> tuple[int, str, str]:
        """Call `main` as the installed command does."""
        out, err = io.StringIO(), io.StringIO()
        code: Any = 0
        argv, handler = sys.argv, signal.getsignal(signal.SIGINT)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                sys.argv = words
                main()
            except SystemExit as error:
                code = error.code
            finally:
                sys.argv = argv
                signal.signal(signal.SIGINT, handler)
        return code or 0, out.getvalue(), err.getvalue()

    def differs(self, expected: list[str], printed: list[str]) -> str:
        """Say what is not as expected, if anything; keep the texts that names stand for."""
        left = list(printed)
        wanted = list(expected)
        while wanted and not wanted[-1]:
            wanted.pop()  # blank lines between commands
        while left and not left[-1]:
            left.pop()
        for n, line in enumerate(wanted):
            if line == "...":
                rest = wanted[n + 1 :]
                while left and not (rest and self.same(rest[0], left[0])):
                    left.pop(0)
                continue
            if not left:
                return f"not printed: {line}"
            if not self.same(line, left[0]):
                return f"expected: {line}\nprinted:  {left[0]}"
            left.pop(0)
        return f"not expected: {left[0]}" if left else ""

    def same(self, line: str, printed: str) -> bool:
        """Say whether a line was printed as expected."""
        seen: set[str] = set()

        def pattern(found: re.Match[str]) -> str:
            name = found[1]
            if name in self.names:
                return re.escape(self.names[name])
            again = name in seen
            seen.add(name)
            return f"(?P={name})" if again else rf"(?P<{name}>\S+?)"

        parts = NAME.split(line.rstrip())
        text = "".join(
            re.escape(part).replace(re.escape("<...>"), ".*")
            if n % 2 == 0
            else NAME.sub(pattern, f"<{part}>")
            for n, part in enumerate(parts)
        )
        found = re.fullmatch(text, printed.rstrip())
        if found is not None:
            self.names |= found.groupdict()
        return found is not None


def _row(values: dict[str, Any]) -> dict[str, Any]:
    """Fill in what a row of a table leaves out."""
    filled = {"receivers": [], "quoted": [], "subject": "about it", "body": "words", **values}
    return {**filled, "created_at": datetime.fromisoformat(values["created_at"])}


@pytest.fixture
def fixed(monkeypatch, tmp_path):
    """Give a folder to work in, and the same width everywhere."""
    folder = tmp_path / "session"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    for name in ("WORKSPACE", "PASSPHRASE", "PASSPHRASE_FILE"):
        monkeypatch.delenv(f"LETTERLOCK_{name}", raising=False)
    for console in (show.OUT, show.ERR):
        monkeypatch.setattr(console, "_width", WIDTH)
    return folder


@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_a_session_goes_as_it_is_written(path, fixed):
    """Every command prints what the session says, and ends as it says."""
    session = Session(fixed, real=False)
    for step in steps(path):
        session.play(step)


@pytest.mark.slow
@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
def test_a_session_goes_so_with_the_installed_command(path, fixed):
    """The same, each command a process of its own."""
    session = Session(fixed, real=True)
    for step in steps(path):
        session.play(step)


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups included."""
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


def test_every_command_stands_in_a_session():
    """Each command is in a session, with its help and, where it has one, its JSON twin."""
    import typer  # noqa: PLC0415 - to walk the commands, for this test alone

    texts = [step.text for path in SESSIONS for step in steps(path) if isinstance(step, Command)]
    root = typer.main.get_command(app)
    for words in commands(root):
        name = " ".join(["letterlock", *words])
        assert f"{name} --help" in texts
        command: Any = root
        for word in words:
            command = command.commands[word]
        if hasattr(command, "commands"):
            continue
        used = [text for text in texts if text.startswith(name) and "--help" not in text]
        assert used, name
        if any("--json" in option.opts for option in command.params):
            assert any("--json" in text for text in used) or words == ("replay",), name


def test_sessions_end_in_every_way():
    """There are sessions that end with yes, error, usage and no."""
    codes = {
        step.code for path in SESSIONS for step in steps(path)
        if isinstance(step, Command) and step.text.startswith("letterlock")
    }  # fmt: skip
    assert codes == {0, 1, 2, 3}


@pytest.mark.parametrize("arguments", [[], ["plan"], ["plan", "--nonsense"], ["nonsense"]])
def test_what_cannot_be_parsed_is_usage(arguments, fixed):
    """A call without a command, without its options or with unknown ones ends with 2."""
    session = Session(fixed, real=False)
    code, out, err = session.call(["letterlock", *arguments])
    assert code == 2
    assert "Usage" in out + err


def test_an_unforeseen_failure_is_not_hidden(fixed, monkeypatch):
    """What nobody foresaw is not taken for an error of the caller: it is raised as it is."""
    monkeypatch.setattr(show, "loaded", lambda *_a, **_k: 1 / 0)
    (fixed / "s.jsonl").write_text('{"subject": "ann"}\n')
    session = Session(fixed, real=False)
    assert session.call(["letterlock", "init", "--simulated"])[0] == 0
    with pytest.raises(ZeroDivisionError):
        session.call(["letterlock", "register", "subjects", "s.jsonl"])
    assert issubclass(LetterlockError, Exception)


SWALLOWED = """
import signal, sys, time
import letterlock.cli
program = sys.modules["letterlock.cli.app"]

class Late:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        sum(range(100))

def work(**_):
    late = Late()
    del late
    time.sleep(60)
    print("went on")

program.app = work
program.main()
"""


def test_an_interrupt_that_a_destructor_swallows_still_stops():
    """Ctrl-C in the clearing away of an object ends the command like any other."""
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted: nothing was left half-done\n"
