"""Inserts that meet rows which are there already, the same on SQLite and PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from cases.store.rows import Base

_AT_ONCE = 500
"""Rows in one statement: SQLite takes 32,766 parameters."""


def dialect_insert(session: Session) -> Any:
    """Return the ``insert`` of the session's database, which knows ON CONFLICT.

    Only this one is imported: PostgreSQL's dialect is large, and every process would wait for it at its start.
    """
    if session.get_bind().dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415

        return postgresql.insert
    from sqlalchemy.dialects import sqlite  # noqa: PLC0415

    return sqlite.insert


def insert_or_nothing(
    session: Session, table: type[Base], values: Sequence[Mapping[str, Any]], keys: Sequence[str]
) -> int:
    """Insert the rows whose key is not there yet, and return how many were."""
    inserted = 0
    new = dialect_insert(session)
    for start in range(0, len(values), _AT_ONCE):
        batch = [dict(value) for value in values[start : start + _AT_ONCE]]
        column = inspect(table).primary_key[0]
        statement = new(table).values(batch).on_conflict_do_nothing(index_elements=list(keys)).returning(column)
        inserted += len(session.execute(statement).all())
    return inserted
