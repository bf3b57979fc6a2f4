"""The schema and the sessions of the one database."""

import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError, StatementError

from cases.errors import SchemaMismatchError, StoreUnavailableError
from cases.store import Accounts, Audit, Database, Intake, Leases, Receipts
from cases.store.database import HEAD, VERSION_TABLE, postgresql_patience
from cases.store.migrate import alembic_config
from cases.store.rows import Base
from cases.users import User
from tests.cases.world import NOON, Role, user

ROOT = User(id="", name="root", role=Role.ADMIN, draft_limit=0)


def _is_compared(_object: object, name: str | None, kind: str, reflected: bool, _to: object) -> bool:
    return not (kind == "table" and reflected and name not in Base.metadata.tables)


def _differences(connection: Connection) -> list[object]:
    options = {"compare_type": True, "version_table": VERSION_TABLE, "include_object": _is_compared}
    found: list[object] = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    return found


def test_the_migrated_schema_equals_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        assert _differences(connection) == []


def test_the_newest_migration_is_the_one_that_is_looked_for() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


def test_tables_of_the_job_engine_are_left_alone(empty_url: str) -> None:
    database = Database.open(empty_url)
    with database.engine.begin() as connection:
        connection.execute(text("CREATE TABLE workflow_status (id VARCHAR(10) PRIMARY KEY)"))
    database.migrate()
    with database.engine.begin() as connection:
        assert _differences(connection) == []
        command.downgrade(alembic_config(connection), "base")
    with database.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) == {"workflow_status", VERSION_TABLE}
    database.close()


def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    program = f"from cases.store import Database; d = Database.open({empty_url!r}); d.migrate(); d.close()"
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    database = Database.open(empty_url)
    with database.engine.connect() as connection:
        assert _differences(connection) == []
    database.close()


def test_a_second_start_does_not_import_alembic(empty_url: str) -> None:
    first = Database.open(empty_url)
    first.migrate()
    first.close()
    program = (
        "import sys; from cases.store import Database\n"
        f"d = Database.open({empty_url!r}); d.migrate(); d.close()\n"
        "assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)


def test_a_database_of_a_newer_version_is_refused(database: Database) -> None:
    with database.engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SchemaMismatchError, match="newer version"):
        database.migrate()


@pytest.mark.parametrize("url", ["mysql://localhost/x", "sqlite://", "sqlite:///:memory:", "nothing at all"])
def test_other_databases_are_refused_by_name(url: str) -> None:
    with pytest.raises(StoreUnavailableError, match="database URL"):
        Database.open(url)


def test_a_reading_session_cannot_write(database: Database) -> None:
    with pytest.raises((DBAPIError, StoreUnavailableError)), database.read() as session:
        Accounts(session).create_user("ann", Role.CONTRIBUTOR)
    with database.read() as session:
        assert Accounts(session).users() == ()
    # The connection that was refused is fit to write again.
    assert user(database, "ann").name == "ann"


def test_a_reading_session_sees_one_moment(database: Database) -> None:
    with database.read() as session:
        assert Accounts(session).users() == ()
        user(database, "ann")
        assert Accounts(session).users() == ()
    with database.read() as session:
        assert [one.name for one in Accounts(session).users()] == ["ann"]


def test_a_writing_session_that_fails_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.write() as session:
            Accounts(session).create_user("ann", Role.CONTRIBUTOR)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with database.read() as session:
        assert Accounts(session).users() == ()


def test_a_database_out_of_reach_says_so_without_its_url() -> None:
    database = Database.open("postgresql+psycopg://someone:secret@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailableError) as caught:
        database.migrate()
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    database.close()


def test_sqlite_is_durable_and_patient(tmp_path: object) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/d.sqlite")
    with database.engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000, "foreign_keys": 1}
    database.close()


def test_writers_take_turns_instead_of_failing(database: Database) -> None:
    def add(number: int) -> None:
        for step in range(5):
            with database.write() as session:
                # Read first, write later: what fails on SQLite unless the transaction begins with its lock.
                Accounts(session).users()
                Audit(session).append("t", "write", f"{number}/{step}")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert len(Audit(session).entries()) == 30


def test_moments_come_back_in_utc_and_naive_ones_are_refused(database: Database) -> None:
    east = datetime(2026, 3, 4, 20, 0, 0, 123456, tzinfo=timezone(timedelta(hours=8)))
    with database.write() as session:
        Leases(session).claim("x", "me", 60, east)
    with database.read() as session:
        assert Leases(session).live("x", NOON) == (("x", "me"),)
        assert Leases(session).live("x", NOON + timedelta(seconds=61)) == ()
    with database.engine.connect() as connection:
        stored = connection.execute(text("SELECT CAST(acquired_at AS VARCHAR) FROM lease")).scalar_one()
    assert datetime.fromisoformat(stored).replace(tzinfo=None) == east.astimezone(UTC).replace(tzinfo=None)
    with pytest.raises(StatementError), database.write() as session:
        Leases(session).claim("y", "me", 60, datetime(2026, 1, 1))  # noqa: DTZ001


def test_the_audit_log_can_only_grow(database: Database) -> None:
    with database.write() as session:
        Audit(session).append("ann", "case.edit", "c1", {"version": 2})
    for change in ("UPDATE audit_entry SET actor = 'bob'", "DELETE FROM audit_entry"):
        with pytest.raises(DBAPIError), database.write() as session:
            session.execute(text(change))
    with database.read() as session:
        (entry,) = Audit(session).entries(subject="c1")
    assert (entry.actor, entry.action, entry.detail) == ("ann", "case.edit", {"version": 2})


def test_a_postgresql_server_that_vanished_is_noticed_within_a_minute(postgres_url: str) -> None:
    assert postgresql_patience("postgresql+psycopg://u@h/d?connect_timeout=3").keys().isdisjoint({"connect_timeout"})
    database = Database.open(postgres_url)
    with database.read() as session:
        driver = session.connection().connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        limits = driver.info.get_parameters()
    database.close()
    assert (limits["connect_timeout"], limits["keepalives_idle"], limits["tcp_user_timeout"]) == ("10", "20", "30000")


def test_studies_of_an_older_version_get_receipts_and_keep_their_refusals(empty_url: str) -> None:
    database = Database.open(empty_url)
    with database.engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0001")
        at = "2026-03-04 12:00:00"
        for number in range(3):
            name = f"s{number}"
            study = {"key": name, "study_key": name, "destination_id": "d", "hospital": "", "profile": "teaching"}
            study |= {"first_arrival_at": at, "last_arrival_at": at, "generation": 1, "patient_key": ""}
            _insert(connection, "received_study", study | {"calling_ae": "PACS", "called_ae": "CB"})
            one = {"arrival_id": f"i{number}", "received_study": name, "study_key": name, "sop_key": f"o{number}"}
            one |= {"sop_class_uid": "1.2", "transfer_syntax_uid": "1.2", "calling_ae": "PACS", "called_ae": "CB"}
            one |= {"peer_address": "", "association_id": "a1", "received_at": at, "size_bytes": 1, "generation": 1}
            one |= {"outcome": "dropped", "reason": "raw-data", "detail": ""}
            _insert(connection, "received_instance", one | {"fingerprint_dataset": "", "fingerprint_pixels": ""})
        association = {"id": "a1", "calling_ae": "PACS", "called_ae": "CB", "peer_address": "", "started_at": at}
        _insert(connection, "association", association | {"outcome": "released", "rule": "", "count": 1, "stored": 3})
        connection.execute(text("INSERT INTO refusal VALUES ('a1', 42752, 'full', 7)"))
    database.migrate()
    with database.read() as session:
        found = Receipts(session).list(ROOT).items
        assert Intake(session).summary().total.refused == 7
    assert len({one.code for one in found}) == 3
    assert all(one.sums.adds_up and one.sums.dropped == 1 for one in found)
    assert sum(one.sums.refused for one in found) == 7
    with database.engine.begin() as connection:
        assert _differences(connection) == []
        command.downgrade(alembic_config(connection), "0001")
        assert connection.execute(text("SELECT count FROM refusal")).scalars().all() == [7]
        assert connection.execute(text("SELECT count(*) FROM received_study")).scalar() == 3
    database.close()


def _insert(connection: Connection, table: str, values: dict[str, object]) -> None:
    names = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)
