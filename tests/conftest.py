"""What test runs share: Hypothesis profiles, no skip in CI, a PostgreSQL server, a replay."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer.main
from hypothesis import settings

import postgres

if TYPE_CHECKING:
    from letterlock.replay import Result

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
UNRUN = ("skipped", "xfailed")

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if IN_CI else "dev")

# A command run within a test finds the tree of all commands made already, as no user's does.
typer.main.get_command = functools.cache(typer.main.get_command)


def unrun(config: pytest.Config) -> int:
    """Count the tests that were skipped or expected to fail: they show nothing."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return sum(len(reporter.stats.get(kind, [])) for kind in UNRUN) if reporter else 0


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a CI run in which a test was skipped or expected to fail."""
    if IN_CI and unrun(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why such a run failed."""
    count = unrun(terminalreporter.config)
    if IN_CI and count:
        terminalreporter.write_line(f"in CI a skip is a failure: {count} not run", red=True)


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    """Yield a PostgreSQL server, one for each process that runs tests."""
    if (reason := postgres.missing()) is not None:
        pytest.skip(reason)
    with postgres.served() as found:
        yield found


@pytest.fixture(scope="session")
def case(tmp_path_factory: pytest.TempPathFactory) -> "Result":
    """Replay examples/case-2024 with few members; to be looked at only."""
    return replayed("case-2024", tmp_path_factory)


@pytest.fixture(scope="session")
def posts(tmp_path_factory: pytest.TempPathFactory) -> "Result":
    """Replay examples/posts-2024, which has two acts; to be looked at only."""
    return replayed("posts-2024", tmp_path_factory)


def replayed(name: str, places: pytest.TempPathFactory) -> "Result":
    """Replay an example with few members."""
    from letterlock.replay import replay  # noqa: PLC0415 - most tests need none of it

    return replay(EXAMPLES / name, places.mktemp(name) / "demo", members=600)
