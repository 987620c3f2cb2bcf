"""What every test run shares: Hypothesis profiles, no skipped test in CI, a PostgreSQL server."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

import postgres

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}
UNRUN = ("skipped", "xfailed")

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if IN_CI else "dev")


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
