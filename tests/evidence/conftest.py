"""The world of the golden vectors, for tests that ask more of it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parents[1] / "vectors" / "evidence"


@pytest.fixture(scope="session")
def w() -> ModuleType:
    """Return the module that makes the world."""
    spec = importlib.util.spec_from_file_location("evidence_world", HERE / "world.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["evidence_world"] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def world(w: ModuleType) -> Any:
    """Return the world: its events and releases."""
    return w.World()


@pytest.fixture(scope="session")
def log(world: Any) -> Any:
    """Return the log of the world."""
    return world.log()
