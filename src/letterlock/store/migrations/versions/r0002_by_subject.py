"""Find what is recorded of one person without reading what is recorded of all."""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLES: Final = ("person", "fact", "notice", "objection", "amendment", "line", "erased")


def upgrade() -> None:
    """Index the decision tables by subject."""
    for name in _TABLES:
        op.create_index(f"ix_{name}_subject", name, ["subject"])
