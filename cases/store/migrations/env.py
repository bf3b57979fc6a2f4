"""Alembic's entry: runs on the connection that it is given, in that connection's transaction."""

from typing import Any

from alembic import context

from cases.store.database import VERSION_TABLE
from cases.store.rows import Base


def is_ours(_object: Any, name: str | None, kind: str, reflected: bool, _compare_to: Any) -> bool:
    """Leave out the job engine's tables, which share the database."""
    return not (kind == "table" and reflected and name not in Base.metadata.tables)


def is_our_name(name: str | None, kind: str, _parents: Any) -> bool:
    return kind != "table" or name in Base.metadata.tables


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_object=is_ours,
    include_name=is_our_name,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
