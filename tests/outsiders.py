"""The two verifiers that share no code with us: built, and asked about evidence.

Where what they need is not installed, a test that asks for them is skipped, and says what to do.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GO_SOURCE = ROOT / "verifiers" / "go"
JS_SOURCE = ROOT / "verifiers" / "js"
PACKAGES = Path("/usr/share/gocode")
NODE = (20, 19)
GO_PACKAGES = ("golang.org/x/mod/sumdb/tlog", "filippo.io/edwards25519")

PATIENCE = 120
"""Seconds for one call; a verifier that hangs is one that can be made to hang."""

YES, ERROR, USAGE, NO = range(4)
CODES = {"yes": YES, "error": ERROR, "no": NO}


@dataclass(frozen=True)
class Verifier:
    """One of them: how it is called, and which kinds of evidence it knows."""

    name: str
    command: tuple[str, ...]
    kinds: frozenset[str]
    flag: str

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run it and return what it said."""
        command = [*self.command, *map(str, words)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    def vrf(self, asked: Iterable[tuple[str, str, str]]) -> list[str | None]:
        """Return the output that each (key, input, proof) shows, all in hex; None: refused."""
        done = self.run("vrf", *(word for each in asked for word in each))
        said = done.stdout.splitlines()
        outputs = [None if line.startswith("no ") else line for line in said]
        assert done.returncode == (NO if None in outputs else YES), done.stderr
        return outputs

    def judge(
        self, policy: Path, files: Iterable[Path], log: Path | None = None, now: int | None = None
    ) -> dict[str, dict[str, str]]:
        """Return what it prints about each file, by the file's name; codes and answers agree."""
        listed = [str(file) for file in files]
        folder = [] if log is None else [f"{self.flag}log", str(log)]
        clock = [] if now is None else [f"{self.flag}now", str(now)]
        done = self.run(f"{self.flag}policy", policy, f"{self.flag}json", *clock, *folder, *listed)
        if done.returncode == ERROR and not done.stdout:
            return {Path(file).name: {"answer": "error", "says": done.stderr} for file in listed}
        lines = [json.loads(line) for line in done.stdout.split("\n") if line]
        asked = [*([str(log)] if log else []), *listed]
        assert [line["file"] for line in lines] == asked, done.stderr
        answers = {line["answer"] for line in lines}
        worst = next(each for each in ("no", "error", "yes") if each in answers)
        assert done.returncode == CODES[worst], done.stderr
        return {Path(line["file"]).name: line for line in lines}

    def answers(
        self, folder: Path, policy: bytes, evidence: Mapping[str, bytes | dict[str, object]]
    ) -> dict[str, str]:
        """Return its answer to each named piece of evidence: yes, no or error."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "policy").write_bytes(policy)
        for name, content in evidence.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            (folder / name).write_bytes(data)
        judged = self.judge(folder / "policy", [folder / name for name in evidence])
        return {name: judged[name]["answer"] for name in evidence}


def go(folder: Path) -> Verifier:
    """Build the verifier in Go, from what Debian installs; or skip."""
    missing = [name for name in GO_PACKAGES if not (PACKAGES / "src" / name).is_dir()]
    if shutil.which("go") is None or missing:
        pytest.skip(
            "the verifier in Go is not checked; install what it needs: apt-get install "
            "golang-go golang-golang-x-mod-dev golang-filippo-edwards25519-dev"
        )
    binary = folder / "letterlock-verify"
    done = subprocess.run(
        ["go", "build", "-trimpath", "-o", str(binary), "."],
        cwd=GO_SOURCE,
        env={**os.environ, "GO111MODULE": "off", "GOPATH": str(PACKAGES), "GOFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kinds = frozenset({"receipt", "member", "grants", "release", "history"})
    return Verifier("go", (str(binary),), kinds, "-")


def js() -> Verifier:
    """Return the verifier in JavaScript, run by Node; or skip."""
    version = ["node", "--version"] if shutil.which("node") else ["echo", "v0.0.0"]
    said = subprocess.run(version, capture_output=True, text=True, check=True).stdout
    if tuple(map(int, said.strip().removeprefix("v").split("."))) < NODE:
        pytest.skip("the verifier in JavaScript is not checked; install Node 20.19 or newer")
    if not (JS_SOURCE / "node_modules" / "@noble").is_dir():
        pytest.skip("the verifier in JavaScript is not checked; install its parts: make verifiers")
    kinds = frozenset({"receipt", "member", "grants"})
    return Verifier("js", ("node", str(JS_SOURCE / "cli.mjs")), kinds, "--")
