"""A worker: job engine, process pool, and, while it holds the lease, the settle scanner."""

import fcntl
import logging
import os
import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

from bridge.app import check_secret, keys_of, open_spool
from bridge.audit_head import AuditHeadLog
from bridge.children import Children
from bridge.commitments import CommitmentDecisions, CommitmentReports
from bridge.crosswalk import load_crosswalk_key
from bridge.engine import Engine, EngineClient
from bridge.jobs import Jobs
from bridge.looks import LookRunner
from bridge.moves import MoveRunner
from bridge.peers import BridgePeers, keep_peers_in_step
from bridge.pipeline import Tools, start_child
from bridge.pool import Pool, PoolStartError
from bridge.profile_book import FOLDER, ProfileBook
from bridge.rerun import RerunRunner
from bridge.retention import Retention
from bridge.routes import destination_for
from bridge.scanner import Scanner
from bridge.settling import SettleRules
from bridge.spool_keys import load_spool_keys
from bridge.study import StudyRunner
from bridge.worker_leases import Heartbeat
from cases.blobs import open_blobs
from cases.errors import StoreUnavailableError
from cases.store import Database
from config import Settings

log = logging.getLogger("casebridge.worker")

CLAIM_S = 120.0
STUDIES_AT_ONCE = 4
"""A few side by side, so that a short study does not wait for a long one; the pool bounds the work itself."""
INSTANCE_TIMEOUT_S = 3600.0
EXIT_LEASE_LOST = 3


class WorkerIdInUseError(Exception):
    """Another process on this host runs under the same worker id."""


class Worker:
    """Runs from ``__enter__`` to ``__exit__``; ends its process when another worker took its lease."""

    def __init__(self, settings: Settings, *, die: Callable[[int], None] = os._exit) -> None:
        self._settings = settings
        self._die = die
        profiles = ProfileBook.of(settings)
        self._id = settings.worker_id
        self._lock = self._lock_worker_id()
        holder = self._holder()
        keys = keys_of(settings)
        self._database = Database.open(settings.database_url)
        self._database.migrate()
        check_secret(settings, self._database)
        blobs = open_blobs(settings.blob_url)
        spool = open_spool(settings)
        threads = settings.study_processes
        tools = Tools(
            keys=keys,
            secret_file=settings.secret_file,
            spool_keys=load_spool_keys(settings),
            spool_root=settings.spool_dir,
            blob_url=settings.blob_url,
            profile_folder=settings.data_dir / FOLDER,
            log_level=settings.log_level,
            crosswalk=load_crosswalk_key(settings.crosswalk_key_file),
        )
        self._pool = Pool(threads, initializer=start_child, initargs=(tools,), timeout_s=INSTANCE_TIMEOUT_S)
        runner = StudyRunner(
            database=self._database,
            blobs=blobs,
            pool=self._pool,
            profiles=profiles,
            profile_folder=settings.data_dir / FOLDER,
            threads=threads,
            timeout_s=INSTANCE_TIMEOUT_S,
        )
        children = Children(pool=self._pool, threads=threads, timeout_s=INSTANCE_TIMEOUT_S, waits=True)
        folder = settings.data_dir / FOLDER
        reruns = RerunRunner(database=self._database, blobs=blobs, children=children, profile_folder=folder)
        looks = LookRunner(database=self._database, spool=spool, children=children, profile_folder=folder)
        moves = MoveRunner(database=self._database, blobs=blobs, children=children)
        jobs = Jobs(database=self._database, studies=runner, reruns=reruns, looks=looks, moves=moves)
        self._engine = Engine(
            database_url=settings.database_url,
            worker_id=self._id,
            concurrency=STUDIES_AT_ONCE,
            run_study=jobs.run,
            on_failed=jobs.give_up,
            outages=(StoreUnavailableError, PoolStartError),
        )
        peers = BridgePeers(database=self._database, spool=spool, own_ae=settings.ae_title)
        self._scanner = Scanner(
            database=self._database,
            spool=spool,
            client=EngineClient(engine=self._database.engine),
            worker_id=self._id,
            holder=holder,
            rules=SettleRules(quiet_period_s=settings.quiet_period_s, max_settle_s=settings.max_settle_s),
            destination_for=lambda calling, called: destination_for(settings, calling, called),
            retention=Retention(database=self._database, spool=spool, blobs=blobs, settings=settings),
            reclaim=self._engine.reclaim,
            commitments=CommitmentDecisions(
                database=self._database, spool=spool, keep_days=settings.commitment_keep_days
            ),
            keep_peers=lambda: keep_peers_in_step(peers),
        )
        self._reports = CommitmentReports(database=self._database, spool=spool)
        self._audit_head = AuditHeadLog(self._database)
        self._heartbeat = Heartbeat(database=self._database, worker_id=self._id, holder=holder, lost=self._end)

    def __enter__(self) -> Self:
        """Take the lease, start engine, heartbeat and scanner."""
        self._claim_lease()
        self._heartbeat.start()
        self._engine.start()
        self._scanner.start()
        self._reports.start()
        self._audit_head.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop in the reverse order; unfinished studies go on at the next start."""
        self._audit_head.stop()
        self._reports.stop()
        self._scanner.stop()
        self._pool.close()
        self._engine.stop()
        self._heartbeat.stop()
        self._database.close()
        self._lock.close()

    def _claim_lease(self) -> None:
        """Take this worker's lease; while another one takes over what we left behind, wait for it to finish."""
        deadline = time.monotonic() + CLAIM_S
        while not self._heartbeat.claim():
            if time.monotonic() > deadline:
                break
            time.sleep(1.0)
        else:
            return
        raise WorkerIdInUseError(f"another worker holds the id {self._id}; set CASEBRIDGE_WORKER_ID to another one")

    def _lock_worker_id(self) -> IO[bytes]:
        """Hold a lock file for this id: two processes under one id would run one study twice."""
        path = self._settings.data_dir / f"worker-{self._id}.lock"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise WorkerIdInUseError(
                f"another worker runs under the id {self._id}; set CASEBRIDGE_WORKER_ID to another one"
            ) from None
        return file

    def _holder(self) -> str:
        """Return who holds our leases: this id on this data folder, as a clone of this host would bear the same id."""
        self._lock.seek(0)
        token = self._lock.read().decode("ascii", "replace").strip()
        if not token:
            token = secrets.token_hex(8)
            self._lock.write(token.encode())
            self._lock.flush()
        return f"{self._id} {token}"

    def _end(self) -> None:
        log.error("this worker lost its lease and ends")
        # Another worker has begun on our studies, or is about to: end at once, before anything more is written.
        self._die(EXIT_LEASE_LOST)
