"""The job engine: one durable workflow for each settled generation of a study.

This is the only file that knows DBOS. Workers run an :class:`Engine`; whoever adds or counts work holds an
:class:`EngineClient`, which never recovers the work of others. A job is a study key and a generation number and
nothing else: inputs and outputs are stored by DBOS, so neither ever holds an identifier or a pixel.

Why two queues: DBOS takes the partitions of a queue in random order, so a priority cannot bring short studies
forward. Each lane has worker slots of its own, so that a short study starts at once however many long ones wait.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy
from sqlalchemy.orm import Session

from bridge.pool import PoolClosedError
from bridge.pool_child import place_of
from cases.store.database import postgresql_patience

if TYPE_CHECKING:
    from dbos import DBOSClient, DBOSConfig

APPLICATION_VERSION = "1"
"""Pinned: DBOS neither recovers nor runs the jobs of another version, so this never follows our release."""

SHORT_LANE = "studies-short"
LONG_LANE = "studies-long"
SHORT_STUDY_INSTANCES = 32
"""A study of at most this many new instances takes the short lane."""

_APPLICATION = "casebridge"
_WORKFLOW = "study"
_SCHEMA = "dbos"
_MAX_DISPATCHES = 20
"""Starts of one job, restarts of its worker included, after which it is held to be what kills the worker."""

_logger = logging.getLogger("casebridge.engine")


class EngineError(Exception):
    """Root of the job engine's errors."""


class EngineNotReadyError(EngineError):
    """The engine's tables are not there yet: no worker has started on this database."""


class JobExistsError(EngineError):
    """A job for this generation exists, so the new instances would never be looked at."""


class StudyFailedError(EngineError):
    """A study's workflow gave up; the text is the name of the last error's type."""


class _InterruptedByStop(BaseException):
    """The worker stops: leaves the workflow unfinished, to be run again by the next start.

    Not an ``Exception``, because DBOS records those as the outcome of the workflow.
    """


class Engine:
    """Run the durable workflows of one worker process.

    The engine is a singleton of its process, as DBOS is.

    Parameters
    ----------
    database_url
        The database that holds our own tables too.
    worker_id
        Unique among all workers and the same after a restart, such as ``<host>-w1``. The caller holds this
        worker's lease before `start` and while the engine runs.
    concurrency
        Studies that run at once in one worker, at least 2. The setting lives in the database: workers that
        share one should be given the same, and differ in the size of their process pools instead.
    run_study
        Called with the study key and the generation, in a thread of its own. May run again after a crash.
    on_failed
        Called with the study key, the generation and the name of the error's type once all attempts failed.
        May be called again after a crash.
    retry_delays_s
        Pauses between the attempts; one attempt more than there are pauses.
    outages
        Errors that say nothing of a study but that the machine cannot work now. They count as no attempt: giving
        up would hold every study there is because a server restarts.
    outage_pause_s
        Pause before the next try in an outage.
    poll_interval_s
        How often the short lane looks for work; the long lane does so at 1.6 times that.
    """

    def __init__(
        self,
        *,
        database_url: str,
        worker_id: str,
        concurrency: int,
        run_study: Callable[[str, int], None],
        on_failed: Callable[[str, int, str], None],
        application_version: str = APPLICATION_VERSION,
        retry_delays_s: Sequence[float] = (1.0, 5.0, 25.0),
        outages: tuple[type[Exception], ...] = (),
        outage_pause_s: float = 5.0,
        poll_interval_s: float = 0.25,
    ) -> None:
        if concurrency < len(_LANES):
            raise ValueError("concurrency must be 2 or more: one slot for each lane")
        self._database_url = database_url
        self._worker_id = worker_id
        self._application_version = application_version
        self._concurrency = concurrency
        self._run_study = run_study
        self._on_failed = on_failed
        self._retry_delays_s = tuple(retry_delays_s)
        self._outages = outages
        self._outage_pause_s = outage_pause_s
        self._poll_interval_s = poll_interval_s
        self._database: sqlalchemy.Engine | None = None
        self._stopping = threading.Event()
        self._quiet = threading.Condition()
        self._running = 0

    def start(self) -> None:
        """Migrate the engine's tables, take up this worker's unfinished jobs and begin to run.

        Raises
        ------
        EngineError
            When an engine runs in this process already.
        """
        from dbos import DBOS, WorkflowSerializationFormat  # noqa: PLC0415  # slow; `status` must not pay for it

        if not _one_engine.acquire(blocking=False):
            raise EngineError("an engine runs in this process already")
        try:
            _silence_dbos()
            self._database = _database_for_dbos(self._database_url, pool_size=self._concurrency + 12)
            self._stopping.clear()
            DBOS(config=self._config(self._database))
            DBOS.workflow(
                name=_WORKFLOW,
                max_recovery_attempts=None,  # _process counts, so that a failure is reported
                serialization_type=WorkflowSerializationFormat.PORTABLE,
            )(self._workflow())
            DBOS.listen_queues(list(_LANES))
            DBOS.launch()
            self._register_lanes()
        except BaseException:
            self._destroy()
            raise

    def stop(self, grace_s: float = 10.0) -> None:
        """Take no more work, wait for running studies and shut the engine down.

        What still runs after the grace, and what raises from now on, stays unfinished and is taken up by the
        next start under the same worker id. Close the process pool afterwards: that ends what still waits for it,
        and the interpreter does not exit before its threads have ended.
        """
        self._stopping.set()
        with self._quiet:
            self._quiet.wait_for(lambda: self._running == 0, timeout=grace_s)
        self._destroy()

    def pending_of(self, worker_id: str) -> list[tuple[str, int]]:
        """Return the (study key, generation) of the jobs that this worker began and has not finished."""
        return [_key_of(job_id) for job_id, _ in self._pending(worker_id)]

    def reclaim(self, dead_worker_id: str) -> int:
        """Put the unfinished jobs of a dead worker back into their lanes.

        The caller has claimed the dead worker's lease in a transaction of its own before, and keeps it until
        this returns: that is what makes sure that one worker only reclaims, and that the dead one does not
        come back in the middle.

        Returns
        -------
        int
            The number of jobs put back.
        """
        from dbos import DBOS  # noqa: PLC0415

        if dead_worker_id == self._worker_id:
            raise ValueError("a worker does not reclaim its own jobs; DBOS recovers them on start")
        pending = self._pending(dead_worker_id)
        for job_id, lane in pending:
            # The lane is named: without it the job would leave its partition and could run beside its successor.
            DBOS.resume_workflow(job_id, queue_name=lane)
        return len(pending)

    def _pending(self, worker_id: str) -> list[tuple[str, str]]:
        from dbos import DBOS  # noqa: PLC0415

        jobs = DBOS.list_workflows(
            executor_id=worker_id, status="PENDING", name=_WORKFLOW, load_input=False, load_output=False
        )
        return [(job.workflow_id, job.queue_name if job.queue_name in _LANES else LONG_LANE) for job in jobs]

    def _config(self, database: sqlalchemy.Engine) -> "DBOSConfig":
        from dbos import DBOSPortableJSONSerializer  # noqa: PLC0415

        return {
            "name": _APPLICATION,
            "system_database_engine": database,
            "dbos_system_schema": _SCHEMA,
            "executor_id": self._worker_id,
            "application_version": self._application_version,
            "serializer": DBOSPortableJSONSerializer(),
            "use_listen_notify": False,  # we wait for no messages: spares a connection and its triggers
            "notification_listener_polling_interval_sec": 0.2,  # asks nothing; bounds how long a stop takes
            "scheduler_polling_interval_sec": 3600.0,  # nothing is scheduled
            "max_executor_threads": self._concurrency + 8,
            "enable_otlp": False,
            "log_level": "WARNING",
        }

    def _register_lanes(self) -> None:
        from dbos import DBOS  # noqa: PLC0415

        short = self._concurrency // 2
        # A look for work costs 6 ms of CPU, so the lane where nobody watches the clock looks less often.
        for lane, slots, poll_s in (
            (SHORT_LANE, short, self._poll_interval_s),
            (LONG_LANE, self._concurrency - short, self._poll_interval_s * 1.6),
        ):
            DBOS.register_queue(
                lane,
                worker_concurrency=slots,
                partition_concurrency=1,
                polling_interval_sec=poll_s,
                on_conflict="always_update",
            )

    def _workflow(self) -> Callable[[str, int], None]:
        from dbos import DBOS  # noqa: PLC0415

        def study(study_key: str, generation: int) -> None:
            with self._quiet:
                self._running += 1
            try:
                reason = DBOS.run_step({"name": "process"}, self._process, study_key, generation)
                if reason:
                    DBOS.run_step({"name": "report"}, self._report, study_key, generation, reason)
                    raise StudyFailedError(reason)
            finally:
                with self._quiet:
                    self._running -= 1
                    self._quiet.notify_all()

        return study

    def _process(self, study_key: str, generation: int) -> str:
        """Return "" or the reason of failure. A value, not an exception: DBOS would store and log its text."""
        if self._dispatches(study_key, generation) > _MAX_DISPATCHES:
            return "WorkerDiedRepeatedly"
        return self._attempt("study", lambda: self._run_study(study_key, generation))

    def _report(self, study_key: str, generation: int, reason: str) -> str:
        return self._attempt("failure report", lambda: self._on_failed(study_key, generation, reason))

    def _attempt(self, what: str, body: Callable[[], None]) -> str:
        delays_s = iter(self._retry_delays_s)
        while True:
            if self._stopping.is_set():
                raise _InterruptedByStop
            try:
                body()
            except PoolClosedError:
                raise _InterruptedByStop from None  # the worker closed its pool a moment before its engine
            except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever it is, it fails this study only
                reason = type(error).__name__
                _logger.warning("%s raised %s at %s", what, reason, place_of(error))
                is_outage = isinstance(error, self._outages)
            else:
                return ""
            delay_s = self._outage_pause_s if is_outage else next(delays_s, None)
            if self._stopping.is_set() or (delay_s is not None and self._stopping.wait(delay_s)):
                raise _InterruptedByStop
            if delay_s is None:
                return reason

    def _dispatches(self, study_key: str, generation: int) -> int:
        assert self._database is not None
        query = sqlalchemy.text(
            f"SELECT recovery_attempts FROM {_status_table(self._database)} WHERE workflow_uuid = :job"  # noqa: S608
        )
        with self._database.connect() as connection:
            return int(connection.execute(query, {"job": _job_id(study_key, generation)}).scalar() or 0)

    def _destroy(self) -> None:
        from dbos import DBOS  # noqa: PLC0415

        DBOS.destroy(destroy_registry=True)
        if self._database is not None:
            self._database.dispose()
            self._database = None
        _one_engine.release()


class EngineClient:
    """Add and count jobs from any process; runs and recovers none.

    Parameters
    ----------
    engine
        The engine of our own tables, whose sessions `enqueue_study` is given. Not disposed of here.
    """

    def __init__(self, *, engine: sqlalchemy.Engine, application_version: str = APPLICATION_VERSION) -> None:
        self._engine = engine
        self._application_version = application_version
        self._client: DBOSClient | None = None
        self._lock = threading.Lock()

    def enqueue_study(self, session: Session, study_key: str, generation: int, *, instances: int) -> None:
        """Add the job of one generation in the caller's transaction: row and job are committed together.

        Parameters
        ----------
        session
            A writing session on our database; neither committed nor rolled back here.
        study_key
            The key of the received study; its jobs run one at a time, by ascending generation.
        generation
            Counted up from 1 by the caller, never used twice.
        instances
            Number of new instances; short studies come first.

        Raises
        ------
        JobExistsError
            When this generation has a job already.
        EngineNotReadyError
            When no worker ever started on this database.
        """
        from dbos import error  # noqa: PLC0415

        if generation < 1:
            raise ValueError("generations count from 1")
        # On the session's own connection: a second one would wait for the caller's write lock.
        client = self._connected(session.connection())
        lane = self._lane_in_use(session, study_key)
        if lane is None:
            lane = SHORT_LANE if instances <= SHORT_STUDY_INSTANCES else LONG_LANE
        try:
            client.enqueue_in_transaction(
                session,
                {
                    "workflow_name": _WORKFLOW,
                    "queue_name": lane,
                    "queue_partition_key": study_key,
                    "workflow_id": _job_id(study_key, generation),
                    "workflow_id_reuse_policy": "reject",
                    # Inside a partition the priority decides: the order of generations, whatever the clock says.
                    "priority": generation,
                    "app_version": self._application_version,
                },
                study_key,
                generation,
            )
        except error.DBOSWorkflowIDInUseError:
            raise JobExistsError("this generation of the study has a job already") from None

    def counts(self) -> dict[str, int]:
        """Return the number of jobs ``queued``, ``running`` and ``failed``; zeros before the first worker start."""
        counts = {"queued": 0, "running": 0, "failed": 0}
        table = _status_table(self._engine)
        # Two selects, because each then rides a partial index of its own; the status lists must be spelled as there.
        query = sqlalchemy.text(
            f"SELECT status, count(*) FROM {table} WHERE status IN ('ENQUEUED', 'PENDING') "  # noqa: S608
            "AND name = :name GROUP BY status UNION ALL "
            f"SELECT status, count(*) FROM {table} WHERE status IN "
            "('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED') AND name = :name GROUP BY status"
        )
        # Our store's mark for transactions that must not wait for SQLite's write lock.
        with self._engine.execution_options(casebridge_read_only=True).connect() as connection:
            if not _has_tables(connection):
                return counts
            for status, number in connection.execute(query, {"name": _WORKFLOW}):
                counts[{"ENQUEUED": "queued", "PENDING": "running"}.get(status, "failed")] += number
        return counts

    def _connected(self, connection: sqlalchemy.Connection) -> "DBOSClient":
        from dbos import DBOSClient, DBOSPortableJSONSerializer  # noqa: PLC0415

        with self._lock:
            if self._client is None:
                if not _has_tables(connection):
                    raise EngineNotReadyError("no worker has started on this database yet")
                _silence_dbos()
                self._client = DBOSClient(
                    system_database_engine=self._engine,
                    dbos_system_schema=_SCHEMA,
                    serializer=DBOSPortableJSONSerializer(),
                    application_name=_APPLICATION,
                    lazy=True,
                )
            return self._client

    def _lane_in_use(self, session: Session, study_key: str) -> str | None:
        """Return the lane of the study's unfinished jobs: partitions keep order inside one queue only."""
        query = sqlalchemy.text(
            f"SELECT queue_name FROM {_status_table(self._engine)} WHERE queue_name IN (:short, :long) "  # noqa: S608
            "AND status IN ('ENQUEUED', 'PENDING') AND queue_partition_key = :study LIMIT 1"
        )
        values = {"short": SHORT_LANE, "long": LONG_LANE, "study": study_key}
        lane = session.execute(query, values).scalar()
        return None if lane is None else str(lane)


_LANES = (SHORT_LANE, LONG_LANE)
_one_engine = threading.Lock()


def _job_id(study_key: str, generation: int) -> str:
    return f"{study_key}:{generation}"


def _key_of(job_id: str) -> tuple[str, int]:
    study_key, _, generation = job_id.rpartition(":")
    return study_key, int(generation)


def _has_tables(connection: sqlalchemy.Connection) -> bool:
    schema = _SCHEMA if connection.dialect.name == "postgresql" else None
    return sqlalchemy.inspect(connection).has_table("workflow_input", schema=schema)


def _status_table(engine: sqlalchemy.Engine) -> str:
    return f"{_SCHEMA}.workflow_status" if engine.dialect.name == "postgresql" else "workflow_status"


def _database_for_dbos(url: str, *, pool_size: int) -> sqlalchemy.Engine:
    """Open the engine that DBOS works on: not ours, because it relies on its own transaction mode on SQLite."""
    engine = sqlalchemy.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=postgresql_patience(url) if url.startswith("postgresql") else {},
    )

    def prepare(connection: Any, _record: Any) -> None:
        if engine.dialect.name == "sqlite":
            connection.isolation_level = "IMMEDIATE"
            settings = ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
            for setting in settings:
                connection.execute(f"PRAGMA {setting}").close()
        else:
            # A frozen worker must not keep its locks. Committed, or the pool's rollback would undo it.
            connection.execute("SET idle_in_transaction_session_timeout = '60s'")
            connection.commit()

    sqlalchemy.event.listen(engine, "connect", prepare)
    return engine


class _TypeOnly(logging.Filter):
    """Reduce exceptions in DBOS's log records to their type: texts and tracebacks may quote what they handled."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[0] is not None:
            record.msg = f"{record.getMessage()} {record.exc_info[0].__name__}"
            record.args = None
            record.exc_info = None
            record.exc_text = None
        return True


def _silence_dbos() -> None:
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.WARNING)
    if not any(isinstance(existing, _TypeOnly) for existing in logger.filters):
        logger.addFilter(_TypeOnly())
        # With a handler in place DBOS adds no console handler; records go to the root's handlers as all of ours.
        logger.addHandler(logging.NullHandler())
