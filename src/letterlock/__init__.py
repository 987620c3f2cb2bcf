"""Train AI on messages only with the yes of everyone in them, and let anyone check."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from letterlock.handover.reader import open_release as open_release
    from letterlock.handover.training import training as training

__all__ = ["open_release", "training"]
__version__ = "0.1.0"

_LAZY: Final = {
    "open_release": "letterlock.handover.reader",
    "training": "letterlock.handover.training",
}
"""What is looked up when it is asked for: a command that reads no release need not load Arrow."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever is named
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
