import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from bridge.engine import (
    SHORT_STUDY_INSTANCES,
    Engine,
    EngineClient,
    EngineError,
    EngineNotReadyError,
    JobExistsError,
    _database_for_dbos,
    _status_table,
)
from bridge.pool import PoolClosedError
from cases.store import Audit, Database
from tests.bridge.engine_worker import (
    Ledger,
    enqueue,
    make_engine,
    open_database,
    running,
    until,
)
from tests.postgres import PostgresCluster, missing_postgres, temporary_postgres

ROOT = Path(__file__).parents[2]
LONG = SHORT_STUDY_INSTANCES + 1


@pytest.fixture(scope="module")
def cluster() -> Iterator[PostgresCluster]:
    with temporary_postgres() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/bridge.db"
    reason = missing_postgres()
    if reason is not None:
        pytest.skip(reason)
    return request.getfixturevalue("cluster").new_database()


@pytest.fixture
def database(url: str) -> Iterator[sqlalchemy.Engine]:
    engine = open_database(url)
    yield engine
    engine.dispose()


@pytest.fixture
def client(database: sqlalchemy.Engine) -> EngineClient:
    return EngineClient(engine=database)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


@pytest.fixture
def engine(url: str, tmp_path: Path, ledger: Ledger) -> Iterator[Engine]:
    with running(make_engine(url, "host-w1", tmp_path)) as engine:
        yield engine
        (tmp_path / "interrupt").touch()


class Workers:
    """Worker processes that a test starts and kills."""

    def __init__(self, url: str, folder: Path, stack: ExitStack) -> None:
        self._url = url
        self._folder = folder
        self._stack = stack

    def start(self, worker_id: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.bridge.engine_worker", self._url, worker_id, str(self._folder)]
        process = subprocess.Popen(command, cwd=ROOT)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        ready = self._folder / f"ready-{worker_id}-{process.pid}"
        until(lambda: ready.exists() or process.poll() is not None, "the worker to start")
        assert process.poll() is None
        return process


@pytest.fixture
def workers(url: str, tmp_path: Path) -> Iterator[Workers]:
    with ExitStack() as stack:
        yield Workers(url, tmp_path, stack)


def test_a_job_runs_soon_after_its_transaction(engine, database, ledger) -> None:
    enqueue(database, ("warm", 1, 1))
    until(lambda: ledger.keys("end") == [("warm", 1)], "the first job")
    enqueue(database, ("soon", 1, 1))
    assert until(lambda: ("soon", 1) in ledger.keys("begin"), "the job to begin") < 2.0


def test_row_and_job_are_committed_or_rolled_back_together(engine, database, client, ledger) -> None:
    with database.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE rows_of_ours (name VARCHAR(20))"))
    insert = sqlalchemy.text("INSERT INTO rows_of_ours VALUES ('x')")
    with Session(database) as session:
        session.execute(insert)
        client.enqueue_study(session, "rolled-back", 1, instances=1)
        session.rollback()
    with Session(database) as session, session.begin():
        client.enqueue_study(session, "committed", 1, instances=1)
        session.execute(insert)
    until(lambda: ledger.keys("end") == [("committed", 1)], "the committed job")
    with database.connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT count(*) FROM rows_of_ours")).scalar() == 1
        ids = connection.execute(sqlalchemy.text(f"SELECT workflow_uuid FROM {_status_table(database)}"))
        assert [row[0] for row in ids] == ["committed:1"]


def test_job_and_audit_entries_are_committed_or_rolled_back_together(engine, database, client, ledger) -> None:
    ours = Database(database)
    ours.migrate()

    def ask(study: str, *, fails: bool) -> None:
        with ours.write() as session:
            Audit(session).append("ann", "before", study)
            client.enqueue_study(session, study, 1, instances=1)
            Audit(session).append("ann", "after", study)
            if fails:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask("rolled-back", fails=True)
    ask("committed", fails=False)
    until(lambda: ledger.keys("end") == [("committed", 1)], "the committed job")
    with ours.read() as session:
        entries = Audit(session).entries()
    assert [(entry.place, entry.action, entry.subject) for entry in entries] == [
        (1, "before", "committed"),
        (2, "after", "committed"),
    ]


def test_a_generation_used_twice_is_refused_and_the_transaction_goes_on(engine, database, client, ledger) -> None:
    enqueue(database, ("study", 1, 1))
    until(lambda: ledger.keys("end") == [("study", 1)], "the first generation")
    with Session(database) as session, session.begin():
        with pytest.raises(JobExistsError):
            client.enqueue_study(session, "study", 1, instances=5)
        client.enqueue_study(session, "study", 2, instances=5)
    until(lambda: ledger.keys("end") == [("study", 1), ("study", 2)], "the second generation")


def test_generations_of_one_study_run_one_at_a_time_in_order(engine, database, ledger) -> None:
    enqueue(database, ("gated-long", 1, LONG), ("gated-long", 2, 1), ("gated-long", 3, LONG))
    until(lambda: ledger.keys("begin") != [], "the first generation to begin")
    enqueue(database, ("other", 1, 1), ("another", 1, LONG))
    until(lambda: len(ledger.keys("end")) == 2, "other studies to pass by in both lanes")
    assert [key for key in ledger.keys("begin") if key[0] == "gated-long"] == [("gated-long", 1)]
    ledger.open_gate("gated-long")
    until(lambda: ("gated-long", 3) in ledger.keys("end"), "all generations")
    events = [(e.what, e.generation) for e in ledger.events() if e.study_key == "gated-long"]
    assert events == [("begin", 1), ("end", 1), ("begin", 2), ("end", 2), ("begin", 3), ("end", 3)]


def test_generations_enqueued_in_one_transaction_keep_their_order(engine, database, client, ledger) -> None:
    with Session(database) as session, session.begin():
        for generation in (10, 9, 2):
            client.enqueue_study(session, "study", generation, instances=LONG if generation == 9 else 1)
    until(lambda: len(ledger.keys("end")) == 3, "all generations")
    assert [generation for _, generation in ledger.keys("begin")] == [2, 9, 10]


def test_many_settled_studies_start_no_more_than_the_bound(engine, database, client, ledger) -> None:
    names = [f"gated-{number}" for number in range(30)]
    enqueue(database, *[(name, 1, LONG if number % 2 else 1) for number, name in enumerate(names)])
    until(lambda: len(ledger.keys("begin")) == 4, "all slots to be taken")
    until(lambda: client.counts() == {"queued": 26, "running": 4, "failed": 0}, "the counts to settle")
    executors = [thread for thread in threading.enumerate() if thread.name.startswith("dbos-executor")]
    assert len(executors) <= 5  # the four, and the one that recovered at the start
    for name in names:
        ledger.open_gate(name)
    until(lambda: len(ledger.keys("end")) == 30, "all studies")
    open_studies = highest = 0
    for event in ledger.events():
        open_studies += 1 if event.what == "begin" else -1
        highest = max(highest, open_studies)
    assert highest == 4


def test_a_short_study_does_not_wait_for_long_ones(engine, database, ledger) -> None:
    enqueue(database, *[(f"gated-{number}", 1, LONG) for number in range(10)])
    until(lambda: len(ledger.keys("begin")) == 2, "the long lane to be full")
    enqueue(database, ("short", 1, SHORT_STUDY_INSTANCES))
    until(lambda: ("short", 1) in ledger.keys("end"), "the short study")
    assert len(ledger.keys("begin")) == 3


def test_a_failing_study_is_tried_again_and_then_fails_visibly(url, database, ledger, tmp_path, caplog) -> None:
    client = EngineClient(engine=database)
    tries: list[str] = []

    def body(study_key: str, generation: int) -> None:
        tries.append(study_key)
        if study_key == "bad" or len(tries) == 1:
            raise ValueError("CANARY^PATIENT")

    caplog.set_level(logging.DEBUG)
    with running(make_engine(url, "host-w1", tmp_path, run_study=body)):
        enqueue(database, ("shaky", 1, 1))
        until(lambda: tries == ["shaky", "shaky"], "the second attempt")
        enqueue(database, ("bad", 1, 1))
        until(lambda: client.counts() == {"queued": 0, "running": 0, "failed": 1}, "the failure to be counted")
    assert tries.count("bad") == 3
    assert ledger.keys("ValueError") == [("bad", 1)]
    assert "ValueError at test_engine.py" in caplog.text
    assert "CANARY" not in caplog.text
    assert "CANARY" not in everything_in(database)


def test_an_outage_costs_no_study_its_attempts(url, database, ledger, tmp_path) -> None:
    client = EngineClient(engine=database)
    tries: list[str] = []

    def body(study_key: str, generation: int) -> None:
        tries.append(study_key)
        if len(tries) <= 6:
            raise ConnectionResetError

    with running(
        make_engine(
            url,
            "host-w1",
            tmp_path,
            run_study=body,
            retry_delays_s=(),
            outages=(ConnectionResetError,),
            outage_pause_s=0.01,
        )
    ):
        enqueue(database, ("patient", 1, 1))
        until(lambda: len(tries) == 7 and client.counts() == {"queued": 0, "running": 0, "failed": 0}, "the end")
    assert ledger.keys("ConnectionResetError") == []


def everything_in(database: sqlalchemy.Engine) -> str:
    schema = "dbos" if database.dialect.name == "postgresql" else None
    metadata = sqlalchemy.MetaData()
    metadata.reflect(database, schema=schema)
    with database.connect() as connection:
        return repr([connection.execute(sqlalchemy.select(table)).all() for table in metadata.sorted_tables])


def test_a_failed_report_of_a_failure_is_tried_again(url, database, client, tmp_path) -> None:
    reports: list[str] = []

    def body(study_key: str, generation: int) -> None:
        raise ValueError

    def report(study_key: str, generation: int, reason: str) -> None:
        reports.append(reason)
        if len(reports) == 1:
            raise OSError

    with running(make_engine(url, "host-w1", tmp_path, run_study=body, on_failed=report)):
        enqueue(database, ("bad", 1, 1))
        until(lambda: client.counts()["failed"] == 1, "the failure to be counted")
    assert reports == ["ValueError", "ValueError"]


def test_a_study_that_keeps_killing_its_worker_fails(engine, database, client, ledger, tmp_path) -> None:
    enqueue(database, ("gated-other-1", 1, 1), ("gated-other-2", 1, 1))
    until(lambda: len(ledger.keys("begin")) == 2, "the lane to be full")
    enqueue(database, ("killer", 1, 1))
    with database.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                f"UPDATE {_status_table(database)} SET recovery_attempts = 20 WHERE workflow_uuid = 'killer:1'"
            )
        )
    ledger.open_gate("gated-other-1")
    until(lambda: client.counts()["failed"] == 1, "the failure to be counted")
    assert ledger.keys("WorkerDiedRepeatedly") == [("killer", 1)]
    assert ("killer", 1) not in ledger.keys("begin")


def test_a_stop_leaves_running_studies_to_the_next_start(url, database, client, ledger, tmp_path) -> None:
    first = make_engine(url, "host-w1", tmp_path)
    first.start()
    enqueue(database, ("gated", 1, 1), ("gated", 2, 1))
    until(lambda: ledger.keys("begin") == [("gated", 1)], "the study to begin")
    stopper = threading.Thread(target=first.stop, args=(30.0,))
    stopper.start()
    until(first._stopping.is_set, "the stop to begin")
    (tmp_path / "interrupt").touch()
    stopper.join()
    assert ledger.keys("InterruptedError") == []
    (tmp_path / "interrupt").unlink()
    ledger.open_gate("gated")
    with running(make_engine(url, "host-w1", tmp_path)):
        until(lambda: ledger.keys("end") == [("gated", 1), ("gated", 2)], "the study to be taken up")
        until(lambda: client.counts() == {"queued": 0, "running": 0, "failed": 0}, "the jobs to be done")


def test_a_pool_closed_before_the_engine_fails_no_study(url, database, client, ledger, tmp_path) -> None:
    begun = threading.Event()

    def body(study_key: str, generation: int) -> None:
        begun.set()
        raise PoolClosedError

    with running(make_engine(url, "host-w1", tmp_path, run_study=body, retry_delays_s=())):
        enqueue(database, ("study", 1, 1))
        assert begun.wait(30)
    assert client.counts() == {"queued": 0, "running": 1, "failed": 0}
    with running(make_engine(url, "host-w1", tmp_path)):
        until(lambda: ledger.keys("end") == [("study", 1)], "the study to be taken up")


def test_a_killed_worker_finishes_its_study_once_and_soon_after_a_restart(workers, database, client, ledger) -> None:
    first = workers.start("host-w1")
    enqueue(database, ("done", 1, 1), ("gated", 1, LONG), ("gated", 2, 1))
    until(lambda: ("done", 1) in ledger.keys("end") and ("gated", 1) in ledger.keys("begin"), "the work to begin")
    until(lambda: client.counts()["running"] == 1, "the first study to be recorded as done")
    first.kill()
    first.wait()
    ledger.open_gate("gated")
    workers.start("host-w1")
    assert until(lambda: ("gated", 1) in ledger.keys("end"), "the study to be finished") < 5.0
    until(lambda: client.counts() == {"queued": 0, "running": 0, "failed": 0}, "everything to be done")
    assert ledger.keys("end") == [("done", 1), ("gated", 1), ("gated", 2)]


def test_a_dead_workers_jobs_go_to_another_which_keeps_their_order(workers, database, client, ledger, tmp_path) -> None:
    first = workers.start("host-w1")
    enqueue(database, ("gated", 1, LONG), ("gated", 2, 1))
    until(lambda: ledger.keys("begin") == [("gated", 1)], "the study to begin")
    workers.start("host-w2")
    enqueue(database, *[(f"study-{number}", 1, 1) for number in range(8)])
    until(lambda: client.counts() == {"queued": 1, "running": 1, "failed": 0}, "the other studies")
    assert len(ledger.keys("end")) == 8
    first.kill()
    first.wait()
    (tmp_path / "reclaim-host-w2.part").write_text("host-w1")
    (tmp_path / "reclaim-host-w2.part").rename(tmp_path / "reclaim-host-w2")
    until((tmp_path / "reclaimed").exists, "the reclaim")
    assert (tmp_path / "reclaimed").read_text() == '[[["gated", 1]], 1]'
    until(lambda: ledger.keys("begin").count(("gated", 1)) == 2, "the other worker to begin the study")
    # Its successor must not overtake it or run beside it, which it would if the job had left its partition.
    enqueue(database, ("by-the-way", 1, LONG))
    until(lambda: ("by-the-way", 1) in ledger.keys("end"), "another long study to pass by")
    assert ("gated", 2) not in ledger.keys("begin")
    ledger.open_gate("gated")
    until(lambda: client.counts() == {"queued": 0, "running": 0, "failed": 0}, "everything to be done")
    ends = [(e.study_key, e.generation, e.worker_id) for e in ledger.events("end") if e.study_key == "gated"]
    assert ends == [("gated", 1, "host-w2"), ("gated", 2, "host-w2")]


def test_two_workers_share_the_queue_and_run_nothing_twice(workers, database, client, ledger) -> None:
    workers.start("host-w1")
    workers.start("host-w2")
    enqueue(database, *[(f"study-{number}", 1, 1) for number in range(40)])
    until(lambda: len(ledger.keys("end")) == 40, "all studies")
    until(lambda: client.counts() == {"queued": 0, "running": 0, "failed": 0}, "everything to be done")
    assert len(set(ledger.keys("begin"))) == len(ledger.keys("begin")) == 40
    assert {event.worker_id for event in ledger.events("end")} == {"host-w1", "host-w2"}


def test_a_client_takes_up_nothing(workers, database, client, ledger, tmp_path) -> None:
    first = workers.start("host-w1")
    enqueue(database, ("gated", 1, 1))
    until(lambda: ledger.keys("begin") == [("gated", 1)], "the study to begin")
    first.kill()
    first.wait()
    with database.connect() as connection:
        before = connection.execute(sqlalchemy.text(f"SELECT * FROM {_status_table(database)}")).all()
    other = EngineClient(engine=database)
    with Session(database) as session:
        other.enqueue_study(session, "rolled-back", 1, instances=1)
        session.rollback()
    assert other.counts() == {"queued": 0, "running": 1, "failed": 0}
    with database.connect() as connection:
        assert connection.execute(sqlalchemy.text(f"SELECT * FROM {_status_table(database)}")).all() == before


def test_counting_does_not_wait_for_a_writer_and_our_migrations_leave_the_engines_tables(
    engine, url, database, client, ledger
) -> None:
    ours = Database.open(url)
    ours.migrate()
    with ours.write() as session:
        client.enqueue_study(session, "study", 1, instances=1)
        began = time.monotonic()
        assert client.counts() == {"queued": 0, "running": 0, "failed": 0}
        assert time.monotonic() - began < 5.0
    until(lambda: ledger.keys("end") == [("study", 1)], "the study")
    ours.close()


def test_what_is_stored_is_keys_in_portable_json_under_pinned_names(engine, database, ledger) -> None:
    enqueue(database, ("study", 7, 1))
    until(lambda: ledger.keys("end") == [("study", 7)], "the study")
    columns = "serialization, executor_id, application_version, queue_partition_key, application_name"
    with database.connect() as connection:
        row = connection.execute(sqlalchemy.text(f"SELECT {columns} FROM {_status_table(database)}")).one()
        inputs = connection.execute(
            sqlalchemy.text(f"SELECT inputs FROM {_status_table(database).replace('status', 'input')}")
        ).scalar()
    assert tuple(row) == ("portable_json", "host-w1", "1", "study", "casebridge")
    assert inputs == '{"namedArgs":{},"positionalArgs":["study",7]}'


def test_before_any_worker_nothing_waits_and_nothing_can_be_added(database, client) -> None:
    assert client.counts() == {"queued": 0, "running": 0, "failed": 0}
    with Session(database) as session, pytest.raises(EngineNotReadyError):
        client.enqueue_study(session, "study", 1, instances=1)


def test_a_second_engine_in_one_process_is_refused(engine, url, tmp_path) -> None:
    with pytest.raises(EngineError):
        make_engine(url, "host-w2", tmp_path).start()
    with pytest.raises(ValueError, match="own jobs"):
        engine.reclaim("host-w1")


def test_the_engine_never_turns_on_what_is_proprietary_or_reports_home(url, tmp_path) -> None:
    database = open_database(url)
    config = make_engine(url, "host-w1", tmp_path)._config(database)
    database.dispose()
    assert not {"auto_upgrade", "sharding", "conductor_key", "enable_patching"} & set(config)
    assert config["enable_otlp"] is False


def test_the_engines_own_connections_are_durable_on_sqlite(tmp_path) -> None:
    database = _database_for_dbos(f"sqlite:///{tmp_path}/bridge.db", pool_size=2)
    with database.connect() as connection:
        asked = ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]
    database.dispose()
    assert found == ["wal", 2, 30000, 1]


def test_reading_counts_does_not_import_the_engine(tmp_path) -> None:
    code = (
        "import sys, sqlalchemy; from bridge.engine import EngineClient; "
        "EngineClient(engine=sqlalchemy.create_engine('sqlite://')).counts(); print('dbos' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_stopping_is_quick_when_nothing_runs(url, tmp_path) -> None:
    engine = make_engine(url, "host-w1", tmp_path)
    engine.start()
    began = time.monotonic()
    engine.stop()
    assert time.monotonic() - began < 5.0
    assert not [thread for thread in threading.enumerate() if "dbos" in thread.name and not thread.daemon]


def test_this_process_hosts_no_listening_socket(engine) -> None:
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    inodes = {
        link.split("[")[1].rstrip("]")
        for fd in Path("/proc/self/fd").iterdir()
        if (link := _link_of(fd)).startswith("socket:")
    }
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{os.getpid()}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                listening.add(fields[9])
    assert not inodes & listening


def _link_of(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except FileNotFoundError:
        return ""
