"""The schema of version 1 (SQLite: PRAGMA user_version 1).

PostgreSQL has no rowid, so there the decision tables have a column of that name, and a small index
by event, which its rows are in the order of. Names are hashed in its index, for they may be longer
than a page holds.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_WHOLE: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_NAME: Final = sa.Text().with_variant(sa.LargeBinary, "postgresql")
_TABLES: Final = {
    "person": ("member",),
    "fact": ("n", "kind", "value", "start", "stop"),
    "notice": ("version", "at_registration"),
    "objection": ("version", "taken_back"),
    "amendment": ("contract", "purpose", "pattern", "recipient", "start", "stop"),
    "line": ("shape", "start", "stop", "expires", "acted", "mark"),
    "erased": (),
}


def upgrade() -> None:
    """Make every table."""
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_table(
        "event",
        sa.Column("idx", _WHOLE, primary_key=True, autoincrement=False),
        sa.Column("time", _WHOLE, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("v", _WHOLE, nullable=False),
        sa.Column("subject", _WHOLE),
        sa.Column("canonical", sa.LargeBinary),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("commitment", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_event_subject", "event", ["subject"])
    for name in ("symbol", "subject"):
        once = (
            postgresql.ExcludeConstraint(("text", "="), name=f"{name}_text_once", using="hash")
            if on_postgresql
            else sa.UniqueConstraint("text")
        )
        op.create_table(
            name,
            sa.Column("num", _WHOLE, primary_key=True, autoincrement=False),
            sa.Column("text", _NAME, nullable=False),
            once,
        )
    for name, columns in _TABLES.items():
        row = sa.Column("rowid", _WHOLE, sa.Identity(always=True), primary_key=True)
        op.create_table(
            name,
            *(sa.Column(c, _WHOLE, nullable=False) for c in ("idx", "time", "subject", *columns)),
            *([row] if on_postgresql else []),
        )
        if on_postgresql:
            op.create_index(f"ix_{name}_idx", name, ["idx"], postgresql_using="brin")
