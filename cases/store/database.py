"""The one database: connections, transactions and its schema. SQLite for one machine, PostgreSQL for many."""

import select
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from cases.errors import SchemaMismatchError, StoreUnavailableError
from cases.repeats import CURRENT_ATTEMPT
from cases.store.audit_chain import PENDING, chain_pending
from cases.store.repeats import note_effect

HEAD = "0016"
"""The newest migration; a test holds it equal to what Alembic finds."""
VERSION_TABLE = "casebridge_schema"
BUSY_TIMEOUT_MS = 30_000
POOL_SIZE = 10
POOL_OVERFLOW = 30
_ONE_MOMENT: Mapping[str, dict[str, Any]] = {
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
}
"""What makes a reading session see one moment; a transaction of SQLite always does. The driver says it as it begins."""
MIGRATION_LOCK = 0x43415345  # "CASE": any constant of our own, for the advisory lock of PostgreSQL


class Database:
    """Sessions on the one database.

    Every writing session on SQLite begins with BEGIN IMMEDIATE: it waits for the other writer at its start, where a
    transaction that reads first and writes later would fail.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reading = engine.execution_options(casebridge_read_only=True, **_ONE_MOMENT.get(engine.dialect.name, {}))

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open the database; nothing is connected before the first session.

        Parameters
        ----------
        url : str
            ``sqlite:///<path>`` or ``postgresql+psycopg://<user>@<host>/<name>``.

        Raises
        ------
        StoreUnavailableError
            When the URL is of another kind.
        """
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise StoreUnavailableError("the database URL cannot be read") from None
        backend = parsed.get_backend_name()
        if backend == "sqlite" and parsed.database not in {None, "", ":memory:"}:
            return cls(_sqlite_engine(url))
        if backend == "postgresql":
            return cls(_postgresql_engine(url))
        raise StoreUnavailableError("the database URL has to begin with sqlite:/// or postgresql+psycopg://")

    def migrate(self) -> None:
        """Bring the schema up to date. One query when it is; processes that start together take turns.

        Raises
        ------
        SchemaMismatchError
            When the database was written by a newer version of the program.
        """
        with _translated():
            with self._reading.connect() as connection:
                if schema_version(connection) == HEAD:
                    return
            with self.engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
                # Alembic takes a third of a second to import: only a database that needs it pays for it.
                from cases.store.migrate import upgrade  # noqa: PLC0415

                upgrade(connection)

    def is_in_use(self) -> bool:
        """Return whether it has tables of ours."""
        with _translated(), self._reading.connect() as connection:
            return schema_version(connection) is not None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that cannot write, and that sees one moment from its first query to its last.

        A sum is read in several queries; what arrives between two of them must not make it look wrong.
        """
        with _translated(), Session(self._reading) as session:
            yield session
            session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session in a writing transaction: committed at the end, rolled back when anything is raised.

        What a request under a key writes, and that it wrote it, are one transaction (``cases.repeats``). What it
        appended to the audit log is chained last; see ``audit_chain``.
        """
        with _translated(), Session(self.engine, info={PENDING: []}) as session, session.begin():
            yield session
            if (attempt := CURRENT_ATTEMPT.get()) is not None:
                note_effect(session, attempt)
            chain_pending(session)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def schema_version(connection: Connection) -> str | None:
    """Return the migration that the database stands at, None for a database without our tables."""
    try:
        with connection.begin_nested() if connection.in_transaction() else connection.begin():
            version = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
    except (OperationalError, ProgrammingError) as error:
        if _says_no_such_table(error):
            return None
        raise
    if version is not None and str(version) > HEAD:
        raise SchemaMismatchError("the database was written by a newer version of casebridge; install that version")
    return None if version is None else str(version)


def _says_no_such_table(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "42P01" or "no such table" in str(error.orig)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the driver says of a database out of reach into our own error, without its text."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise StoreUnavailableError(f"the database is out of reach ({type(error).__name__})") from None


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own habit of beginning a transaction at the first change is switched off: _begin_sqlite does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get("casebridge_read_only", False)
    connection.exec_driver_sql(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _postgresql_engine(url: str) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=POOL_SIZE,
        max_overflow=POOL_OVERFLOW,
        connect_args=postgresql_patience(url),
    )
    event.listen(engine, "checkout", _renew_dead)
    return engine


def postgresql_patience(url: str) -> dict[str, int]:
    """Return the limits of libpq for a server that vanished without a word; those that the URL names win.

    Without them a call waits for as long as TCP does, a quarter of an hour and more.
    """
    limits = {
        "connect_timeout": 10,
        "keepalives_idle": 20,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    return {name: value for name, value in limits.items() if name not in make_url(url).query}


def _renew_dead(connection: Any, _record: Any, _proxy: Any) -> None:
    """Have an idle connection made anew where its server is gone: all that it could have to read is its end.

    To ask the server instead, each time, costs as much as a query does.
    """
    watched = select.poll()
    if not connection.closed:
        watched.register(connection.fileno(), select.POLLIN)
    if connection.closed or watched.poll(0):
        raise DisconnectionError("the server closed an idle connection")
