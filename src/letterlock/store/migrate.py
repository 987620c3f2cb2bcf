"""The schema of a ledger's database, made and brought up to date by Alembic.

The revisions stand in `migrations/versions`, one file each, for SQLite and PostgreSQL alike; which
one a ledger has, its table `alembic_version` says. SQLite ledgers from before there were revisions
have the first one. What an index of ours depends on beside the schema, the stores renew themselves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from letterlock.errors import UnknownVersion

REVISIONS: Final = ("0001", "0002")
"""Every revision that this program knows, oldest first."""
HEAD: Final = REVISIONS[-1]

_TABLE: Final = "alembic_version"
_ENVIRONMENT: Final = Path(__file__).parent / "migrations"


def revision(connection: sa.Connection) -> str | None:
    """Return the revision that a ledger has; None if it has none yet. Raises UnknownVersion."""
    if not sa.inspect(connection).has_table(_TABLE):
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {_TABLE}").scalars().all()  # noqa: S608
    if len(found) != 1 or found[0] not in REVISIONS:
        named = ", ".join(map(repr, found)) or "none"
        raise UnknownVersion(
            f"the ledger's schema has revision {named}, this program knows {', '.join(REVISIONS)}: "
            "upgrade Letterlock before it reads or records anything"
        )
    return str(found[0])


def upgrade(connection: sa.Connection, *, baseline: bool) -> None:
    """Bring the schema up to date within the caller's transaction.

    `baseline`: the ledger has the first revision, and no table that says so.
    """
    from alembic import command  # noqa: PLC0415 - few commands make or change a schema
    from alembic.config import Config  # noqa: PLC0415 - as above

    config = Config()
    config.set_main_option("script_location", str(_ENVIRONMENT).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    if baseline and revision(connection) is None:
        command.stamp(config, REVISIONS[0])
    command.upgrade(config, HEAD)
