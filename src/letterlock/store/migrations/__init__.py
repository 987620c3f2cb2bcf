"""Alembic's environment: one for SQLite and PostgreSQL."""
