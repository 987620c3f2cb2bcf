"""The documents keep their word: links, commands, requirements, scripts and wording."""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "letterlock"
README = ROOT / "README.md"
README_LINES = 120
COMMANDS_STAND_IN = ("docs/cli.md", "README.md")
FIGURES_STAND_IN = ("docs/benchmarks.md",)

# Made by make, or not ours: never read.
SKIPPED = {"demo", "build", "dist", "workspaces", "node_modules"}
TEXTS = {".md", ".py", ".toml", ".lock", ".yaml", ".yml", ".json", ".txt", ".sh", ".cfg", ".html"}
NAMES = {"Makefile", "run", "LICENSE", ".gitignore"}

FENCED = re.compile(r"^( *)(```+|~~~+).*?^ *\2", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s[^)]*)?\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
HEADING = re.compile(r"^#+\s+(.*?)\s*#*$", re.MULTILINE)

REQUIREMENT_IDS = [f"R{n}" for n in range(1, 49)]
STATUSES = {"met", "partly", "declared", "not yet"}

MACHINE_PATH = re.compile(r"(?<![\w.~<>})\]-])/(?:home|mnt|opt|root|Users|work)/\w")
PACKAGE_INDEX = re.compile(r"(?<!no-emit)(?<!no)-(?:extra-index-url|index-url|find-links)\b")
# The suit alleged it and was withdrawn: a sentence that says it happened has to say who claims so.
HAPPENED = re.compile(
    r"LinkedIn\s+(?:has\s+|had\s+|secretly\s+)?"
    r"(?:used|trained|disclosed|shared|sold|leaked|gave|handed)\b.*\b(?:messages?|InMails?)\b"
)
CLAIMED = re.compile(r"alleg|complain|claim|accus", re.IGNORECASE)


def texts() -> Iterator[Path]:
    """Yield every text file of the project."""
    for place, folders, files in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f == ".ci" or (f[0] != "." and f not in SKIPPED))
        paths = [Path(place, file) for file in sorted(files)]
        yield from (path for path in paths if path.suffix in TEXTS or path.name in NAMES)


def documents() -> list[Path]:
    """Return every Markdown file of the project."""
    return [path for path in texts() if path.suffix == ".md"]


def name_of(path: Path) -> str:
    """Name a file by its place in the project."""
    return path.relative_to(ROOT).as_posix()


def read(name: str) -> str:
    """Return a document's text, or fail saying that it is missing."""
    path = ROOT / name
    if not path.is_file():
        pytest.fail(f"{name} is missing", pytrace=False)
    return path.read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """Return the anchors that the headings of a document make."""
    headings = HEADING.findall(FENCED.sub("", text))
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in kept}


def commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the words of every visible command."""
    for name, command in group.commands.items():
        if getattr(command, "hidden", False):
            continue
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


def requirement_rows() -> list[list[str]]:
    """Return the cells of every row of docs/requirements.md."""
    lines = read("docs/requirements.md").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [row for row in rows if re.fullmatch(r"R\d+", row[0])]


def test_every_relative_link_leads_somewhere() -> None:
    """A relative link names a file that exists, and a heading in it."""
    broken = []
    for document in documents():
        text = CODE.sub("", FENCED.sub("", document.read_text(encoding="utf-8")))
        for target in (one or other for one, other in LINK.findall(text)):
            if re.match(r"[a-z][a-z+.-]*:", target):
                continue
            place, _, anchor = target.partition("#")
            path = (document.parent / place).resolve() if place else document
            exists = path.is_relative_to(ROOT) and path.exists()
            if exists and anchor and path.suffix == ".md":
                exists = anchor in anchors(path.read_text(encoding="utf-8"))
            if not exists:
                broken.append(f"{name_of(document)}: {target}")
    assert not broken, "\n".join(["links that lead nowhere:", *broken])


def test_the_readme_is_short() -> None:
    """README.md stays under its bound."""
    lines = len(read("README.md").splitlines())
    assert lines < README_LINES, f"README.md has {lines} lines, {README_LINES - 1} is the most"


def test_every_command_is_documented() -> None:
    """Each command of the program stands in docs/cli.md or README.md, by its full name."""
    try:
        app = importlib.import_module("letterlock.cli").app
    except (ModuleNotFoundError, AttributeError) as error:
        pytest.fail(f"letterlock.cli.app is missing: {error}", pytrace=False)
    root = typer.main.get_command(app)
    # An app of one command is that command: it is called by the program's name alone.
    known = list(commands(root, ())) if hasattr(root, "commands") else [()]
    text = "\n".join(read(n) for n in COMMANDS_STAND_IN if (ROOT / n).is_file())
    named = [" ".join(("letterlock", *words)) for words in known]
    missing = [name for name in named if not re.search(rf"{re.escape(name)}(?![\w-])", text)]
    assert named, "the program has no command"
    assert not missing, f"in neither {' nor '.join(COMMANDS_STAND_IN)}: {', '.join(missing)}"


CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXIT = re.compile(r"\n\[exit (\d+)\]\s*$")


def script_of(document: str) -> str:
    """Return the commands of a document's console blocks, each checked for its exit code."""
    lines = []
    for block in CONSOLE.findall(document):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            found = EXIT.search(command)
            wanted = found.group(1) if found else "0"
            lines.append(EXIT.sub("\n", command))
            lines.append(
                f'rc=$?; [ $rc = {wanted} ] || {{ echo "exit $rc, not {wanted}"; exit 1; }}\n'
            )
    return "".join(lines)


@pytest.mark.slow
def test_every_console_block_runs(tmp_path: Path) -> None:
    """The commands of each document end as it says, run in one go in an empty folder."""
    ran = 0
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for document in documents():
        if script := script_of(document.read_text(encoding="utf-8")):
            folder = tmp_path / document.stem
            folder.mkdir()
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=folder,
                env={**os.environ, "PATH": path},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{name_of(document)}:\n{done.stdout}{done.stderr}"
            ran += 1
    assert ran


def test_every_setting_is_documented() -> None:
    """Each setting of a workspace stands in docs/operations.md, with the harm it can do."""
    with_settings = read("docs/operations.md").split("## Settings")[1].split("##")[0]
    source = read("src/letterlock/gate/workspace.py")
    listed = re.findall(r"set\(config\) - \{([^}]*)\}", source)[0]
    settings = set(listed.replace('"', "").split(", "))
    variables = set(
        re.findall(r"LETTERLOCK_\w+", "".join(read(name_of(p)) for p in SOURCE.rglob("*.py")))
    )
    missing = sorted(
        n for n in (settings - {"format"}) | variables if f"`{n}`" not in with_settings
    )
    assert not missing, f"not in docs/operations.md: {', '.join(missing)}"


def test_every_requirement_stands_once() -> None:
    """docs/requirements.md holds R1 to R48, in order, each once, each with a known status."""
    rows = requirement_rows()
    assert [row[0] for row in rows] == REQUIREMENT_IDS
    columns = len(["id", "must", "status", "module", "test"])
    odd = [row[0] for row in rows if len(row) != columns or row[2] not in STATUSES or not row[1]]
    assert not odd, f"rows without five cells or a known status: {', '.join(odd)}"


def test_every_requirement_names_its_module_and_test() -> None:
    """A row that claims anything names modules and tests that exist."""
    missing = []
    for name, _must, status, *places in requirement_rows():
        modules, tests = (re.findall(r"`([^`]+)`", cell) for cell in places)
        if status == "not yet":
            continue
        if not modules or not tests:
            missing.append(f"{name} is {status} and names no {'test' if modules else 'module'}")
        missing += [f"{name}: no module {m}" for m in modules if not (SOURCE / m).is_file()]
        for test in tests:
            file, _, function = test.partition("::")
            path = ROOT / file
            if not path.is_file():
                missing.append(f"{name}: no test file {file}")
            elif function and f"def {function}(" not in path.read_text(encoding="utf-8"):
                missing.append(f"{name}: no test {function} in {file}")
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("name", FIGURES_STAND_IN)
def test_every_figure_names_its_script(name: str) -> None:
    """A document with figures names the scripts that made them, and they exist."""
    scripts = set(re.findall(r"\bbench/[\w./-]*\w", read(name)))
    missing = sorted(script for script in scripts if not (ROOT / script).exists())
    assert scripts, f"{name} names no script in bench/"
    assert not missing, f"{name} names scripts that do not exist: {', '.join(missing)}"


def test_no_file_names_a_machine() -> None:
    """No path of one machine and no package index stands in a file."""
    found = []
    for path in texts():
        if path == Path(__file__).resolve():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if MACHINE_PATH.search(line) or PACKAGE_INDEX.search(line):
                found.append(f"{name_of(path)}:{number}: {line.strip()}")
    assert not found, "\n".join(found)


def test_no_document_says_that_it_happened() -> None:
    """What the suit alleged is told as alleged, sentence by sentence."""
    found = []
    for document in documents():
        text = " ".join(document.read_text(encoding="utf-8").split())
        told = [s for s in re.split(r"(?<=[.!?])\s|\|", text) if HAPPENED.search(s)]
        found += [f"{name_of(document)}: {s}" for s in told if not CLAIMED.search(s)]
    assert not found, "\n".join(found)
