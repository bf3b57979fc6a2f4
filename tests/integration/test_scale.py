"""Many processes on one database, one spool and one bucket: docker/compose.scale.yaml without the containers."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cases.store import Database
from tests.integration.books import Auditor, Sender, files_that_identify, make_studies
from tests.integration.running import RunningBridge, eventually, free_port
from tests.tools import require_peer

WITHIN_S = 150.0
"""A dead worker's lease runs out after a minute."""

STUDIES = 12
DEAD_DATABASE = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:.*socket.socket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def bucket_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of moto's S3 service."""
    program, port = require_peer("moto_server"), free_port()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    endpoint = f"http://127.0.0.1:{port}"
    with (tmp_path / "moto.log").open("wb") as log:
        server = subprocess.Popen([str(program), "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    try:
        eventually(lambda: _answers(f"{endpoint}/moto-api/"), within_s=60, what="moto's server answers")
        request = urllib.request.Request(f"{endpoint}/cases", method="PUT")
        request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request")
        urllib.request.urlopen(request, timeout=10).close()
        yield f"s3://cases/one?endpoint={endpoint}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except (urllib.error.URLError, OSError):
        return False
    return True


def _log_of(process: RunningBridge) -> list[dict[str, Any]]:
    lines = process.log_file.read_text().splitlines() if process.log_file.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The processes of the compose file, each with a data folder of its own as on a host of its own."""

    scp: RunningBridge
    workers: tuple[RunningBridge, RunningBridge]
    api: RunningBridge
    auditor: Auditor


@pytest.fixture
def site(tmp_path: Path, postgres_url: str, bucket_url: str) -> Iterator[Site]:
    shared = {
        "CASEBRIDGE_DATABASE_URL": postgres_url,
        "CASEBRIDGE_BLOB_URL": bucket_url,
        "CASEBRIDGE_SPOOL_DIR": str(tmp_path / "spool"),
        "CASEBRIDGE_SECRET_FILE": str(tmp_path / "secret"),
        "CASEBRIDGE_QUIET_PERIOD_S": "0.5",
        "CASEBRIDGE_STUDY_PROCESSES": "1",
    }

    def process(name: str, command: str, **more: str) -> RunningBridge:
        return RunningBridge(data_dir=tmp_path / name, environment={**shared, **more}, command=(command,))

    api = process("api", "api")
    migrated = api.cli("migrate")
    assert migrated.returncode == 0, migrated.stderr
    # The receiver goes on while the database is away: this one never had any.
    scp = process("scp", "scp", CASEBRIDGE_DATABASE_URL=DEAD_DATABASE)
    first = process("worker-1", "worker", CASEBRIDGE_WORKER_ID="worker-1")
    second = process("worker-2", "worker", CASEBRIDGE_WORKER_ID="worker-2")
    with ExitStack() as stack:
        for each in (scp, first, second, api):
            each.start(wait=False)
            stack.callback(each.kill_everything)
        database = stack.enter_context(closing(Database.open(postgres_url)))
        yield Site(
            scp=scp,
            workers=(first, second),
            api=api,
            auditor=Auditor(
                bridge=api,
                database=database,
                blob_url=bucket_url,
                spool_dir=tmp_path / "spool",
                secret_file=tmp_path / "secret",
            ),
        )


def _is_up(site: Site) -> bool:
    """The API answers that nothing is amiss, the receiver listens, both workers hold their lease."""
    try:
        socket.create_connection(("127.0.0.1", site.scp.dicom_port), timeout=5).close()
    except OSError:
        return False
    workers = {row[0] for row in site.auditor.rows("SELECT name FROM lease")}
    return (
        _answers(f"http://127.0.0.1:{site.api.http_port}/readyz") and {"worker:worker-1", "worker:worker-2"} <= workers
    )


def _studies_done(worker: RunningBridge) -> int:
    return sum(1 for line in _log_of(worker) if line["message"] == "study done")


def _frozen_at_work(site: Site) -> RunningBridge | None:
    """Stop a worker that has begun a study and not finished it; let one go on that has not."""
    for worker in site.workers:
        pids = worker.pids()
        _signal(pids, signal.SIGSTOP)
        begun = site.auditor.rows("SELECT executor_id FROM dbos.workflow_status WHERE status = 'PENDING'")
        if (worker.environment["CASEBRIDGE_WORKER_ID"],) in begun:
            return worker
        _signal(pids, signal.SIGCONT)
    return None


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def test_two_workers_share_the_studies_and_one_takes_over_when_the_other_is_killed(site: Site, tmp_path: Path) -> None:
    objects = make_studies(tmp_path / "studies", studies=STUDIES, images=8)
    half = len(objects) // 2
    eventually(lambda: _is_up(site), within_s=WITHIN_S, what="all processes are up")
    with Sender(port=site.scp.dicom_port) as sender:
        sender.release(objects[:half])
        site.auditor.wait_until_idle(arrivals=lambda: not sender.outstanding, within_s=WITHIN_S)
        eventually(
            lambda: sum(_studies_done(worker) for worker in site.workers) == STUDIES // 2,
            within_s=20,
            what="all is done",
        )
        assert all(_studies_done(worker) for worker in site.workers), "one worker did all"

        sender.release(objects[half:])
        victim = eventually(
            lambda: _frozen_at_work(site), within_s=WITHIN_S, what="a worker is in the middle of a study"
        )
        victim.kill_everything()
        left = site.auditor.progress()
        assert left.working
        site.auditor.wait_until_idle(arrivals=lambda: not sender.outstanding, within_s=WITHIN_S)
    site.auditor.check(objects, sender.acknowledged)
    [survivor] = [worker for worker in site.workers if worker is not victim]
    assert sum(line.get("studies", 0) for line in _log_of(survivor) if "taken over" in line["message"]) >= 1
    assert files_that_identify(tmp_path, leaving_out=[site.auditor.spool_dir, tmp_path / "studies"]) == []
