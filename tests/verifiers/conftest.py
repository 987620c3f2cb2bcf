"""The verifiers, built once for each worker."""

import pytest

from outsiders import Verifier, go, js


@pytest.fixture(scope="session", params=["go", "js"])
def outsider(request, tmp_path_factory) -> Verifier:
    """Each verifier in turn."""
    return go(tmp_path_factory.mktemp("go")) if request.param == "go" else js()


@pytest.fixture(scope="session")
def in_go(tmp_path_factory) -> Verifier:
    """The one in Go, which alone reads a log's folder."""
    return go(tmp_path_factory.mktemp("go"))
