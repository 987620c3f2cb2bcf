"""Two companies: a platform with a sealed release, and a recipient with an inbox.

Each has a folder of its own, and what they do to each other goes through the command line, in
processes of their own, and through files that one hands the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import workspaces as w
from letterlock.domain import text_of
from letterlock.gate import Gate
from letterlock.gate.handover import key_body
from letterlock.handover import card
from letterlock.inbox import Inbox

NOW = text_of(w.NOW)
FEW = 40
"""Messages in a platform's table: enough for a release, few enough to be quick."""


def run(*words: object, code: int = 0, inputs: str = "") -> str:
    """Run `letterlock` as a process of its own; returns what it printed, all of it."""
    done = subprocess.run(
        [sys.executable, "-m", "letterlock", *map(str, words)],
        input=inputs, capture_output=True, text=True, check=False,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


@dataclass
class Companies:
    """The platform's workspace, the recipient's inbox, and the release that is to go."""

    platform: Path
    inbox: Path
    release: str
    recipient: str = w.RECIPIENT

    @property
    def post(self) -> Path:
        """Where the platform puts what it sends."""
        return self.platform.parent / "post"

    @property
    def policy(self) -> Path:
        """The log policy, which the recipient got by another way."""
        return self.platform / "log.policy"

    @property
    def received(self) -> Path:
        """Where the release is once it is received."""
        return self.inbox / "received" / self.release

    def gate(self) -> Gate:
        """Open the platform's workspace."""
        return Gate(self.platform, now=w.NOW)

    def approve(self, terms: bytes = b"") -> None:
        """Let two operators approve the release."""
        gate = self.gate()
        body = gate.approval_body(self.release, terms)
        gate.approve_release(self.release, w.approved("release.approved", **body), terms=terms)
        gate.close()

    def register(self) -> None:
        """Register the recipient's keys at the platform."""
        register(self.platform, self.inbox)

    def deliver(self, *, now: str = NOW, code: int = 0, days: int = 7) -> tuple[Path, Path]:
        """Deliver by the command line; returns package and key letter."""
        said = run(
            "deliver", self.release, "--out", self.post, "-w", self.platform, "--now", now,
            "--days", days, "--json", code=code,
        )  # fmt: skip
        if code:
            return Path(said), Path()
        made = json.loads(said)
        return Path(made["package"]), Path(made["key"])

    def receive(
        self,
        package: Path,
        letter: Path,
        *,
        now: str = NOW,
        code: int = 0,
        inbox: Path | None = None,
    ) -> str:
        """Receive by the command line."""
        return run(
            "receive", package, letter, "--policy", self.policy, "-i", inbox or self.inbox,
            "--now", now, code=code,
        )  # fmt: skip

    def countersign(self, name: str = "inventory", *, code: int = 0) -> Path:
        """Countersign by the command line; returns the inventory."""
        out = self.inbox.parent / name
        run("inventory", self.release, "-i", self.inbox, "--out", out, "--now", NOW, code=code)
        return out

    def acknowledge(self, file: Path, *, code: int = 0) -> str:
        """Acknowledge by the command line."""
        return run("acknowledge", file, "-w", self.platform, "--now", NOW, code=code)


def register(platform: Path, inbox: Path) -> None:
    """Register the keys of an inbox, as two operators signed."""
    gate, shown = Gate(platform, now=w.NOW), card.parse((inbox / "card.json").read_bytes())
    gate.register_recipient_key(shown, w.approved("recipient.keyed", **key_body(shown)))
    gate.close()


def found(folder: Path, *, rows: int = FEW) -> Companies:
    """Found both companies: a release is sealed, and nothing is registered or approved yet."""
    gate = w.workspace(folder / "platform", w.messages(rows))
    release = gate.build(w.PURPOSE, w.RECIPIENT).release
    gate.close()
    Inbox.create(folder / "tern", w.RECIPIENT, simulated=True)
    return Companies(folder / "platform", folder / "tern", release)


def other(folder: Path, name: str = w.RECIPIENT) -> Path:
    """Make another inbox: of another recipient, or of the same with other keys."""
    Inbox.create(folder, name, simulated=True)
    return folder
