"""Run the migrations on a connection; imported only when there is something to do."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from cases.store.database import HEAD, schema_version


def alembic_config(connection: Connection | None = None) -> Config:
    """Return the configuration that names the migrations of this package."""
    config = Config()
    config.set_main_option("script_location", "cases.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection) -> None:
    """Upgrade to the newest schema inside the connection's transaction; nothing when another process did it already."""
    if schema_version(connection) != HEAD:
        command.upgrade(alembic_config(connection), "head")
