"""A PostgreSQL server of the tests' own: made in a folder, on a socket there, stopped at the end.

It keeps PostgreSQL's own settings, fsync among them: what it acknowledges is on the disk.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg

USER = "ledger"


def tool(name: str) -> str | None:
    """Return the path of one of PostgreSQL's programs, Debian's newest first; None if missing."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=_version)
    return str(found[-1]) if found else shutil.which(name)


def _version(path: Path) -> int:
    number = path.parts[-3]
    return int(number) if number.isdecimal() else 0


def missing() -> str | None:
    """Say what is missing to run a server; None if nothing is."""
    lacking = [name for name in ("initdb", "postgres", "pg_dump", "pg_restore") if not tool(name)]
    if lacking:
        return f"PostgreSQL is missing ({', '.join(lacking)}): apt-get install postgresql"
    return None


def unprivileged() -> tuple[str | None, list[str]]:
    """Return as which user a server is run, and what a command is run with: never as root."""
    if os.geteuid() != 0:
        return None, []
    names = {entry.pw_name for entry in pwd.getpwall()}
    name = "postgres" if "postgres" in names else "nobody"
    return name, ["setpriv", f"--reuid={name}", f"--regid={_group(name)}", "--clear-groups", "--"]


def _group(name: str) -> str:
    return str(pwd.getpwnam(name).pw_gid)


class Server:
    """A running server."""

    def __init__(self, folder: Path, *settings: str) -> None:
        """Make a cluster in `folder` and start it with settings, each NAME=VALUE."""
        self.folder, self.data = folder, folder / "data"
        self._user, self._as = unprivileged()
        if self._user:
            shutil.chown(folder, self._user, int(_group(self._user)))
        made = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--no-locale"]
        self._run([str(tool("initdb")), "-D", str(self.data), *made])
        self._count, self._settings = 0, ("listen_addresses=", *settings)
        self.start()

    def _run(self, command: Sequence[str]) -> None:
        subprocess.run([*self._as, *command], check=True, capture_output=True, cwd=self.folder)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [str(tool("postgres")), "-D", str(self.data), "-k", str(self.folder)]
        command += [part for setting in self._settings for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self._as, *command], stdout=log, stderr=log, cwd=self.folder
            )
        for _ in range(600):
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                return
        self.process.kill()
        raise OSError((self.folder / "log").read_text())

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its sessions, SIGQUIT is a crash that it recovers from."""
        self.process.send_signal(how)
        self.process.wait(60)

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.folder), safe='')}"

    def database(self) -> str:
        """Make a new database; returns its address."""
        return self.url(self._make("DATABASE"))

    def schema(self) -> str:
        """Make a new schema in a database that many share, which is sooner done; its address."""
        return f"{self.url('postgres')}&options=-csearch_path%3D{self._make('SCHEMA')}"

    def _make(self, what: str) -> str:
        self._count += 1
        name = f"ledger{self._count}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE {what} {name}".encode())
        return name


@contextmanager
def served(*settings: str) -> Iterator[Server]:
    """Run a server in a folder of its own, with settings if any, each NAME=VALUE."""
    # Short, for a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Server(Path(folder), *settings)
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)  # nothing is kept
