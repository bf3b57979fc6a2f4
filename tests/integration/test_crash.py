"""kill -9 at any moment: what was acknowledged is in exactly one draft or hold afterwards."""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from cases.store import Database
from tests.integration.books import Auditor, Sender, files_that_identify, make_studies
from tests.integration.running import RunningBridge, eventually
from tests.postgres import PostgresCluster

STUDIES, IMAGES = 20, 10
AFTER_THE_FIRST_START = ("starting", *("receiving", "settling", "processing") * 2, *("filing",) * 2)
"""The phases in which everything is killed, once each, in random order; the first start of all is killed too."""
WITHIN_S = 90.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:.*socket.socket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def bridge(tmp_path: Path, empty_url: str) -> Iterator[RunningBridge]:
    bridge = RunningBridge(
        data_dir=tmp_path / "data",
        environment={"CASEBRIDGE_DATABASE_URL": empty_url, "CASEBRIDGE_QUIET_PERIOD_S": "0.4"},
    )
    try:
        yield bridge
    finally:
        bridge.kill_everything()


@pytest.fixture
def auditor(bridge: RunningBridge, empty_url: str) -> Iterator[Auditor]:
    with closing(Database.open(empty_url)) as database:
        yield Auditor(
            bridge=bridge,
            database=database,
            blob_url=f"file://{bridge.data_dir / 'blobs'}",
            spool_dir=bridge.data_dir / "spool",
            secret_file=bridge.data_dir / "secret",
        )


@pytest.fixture
def rng() -> random.Random:
    """The moments differ from run to run; the seed, printed with a failure, repeats them."""
    seed = int(os.environ.get("CASEBRIDGE_CRASH_SEED") or random.SystemRandom().randrange(10**6))
    print(f"CASEBRIDGE_CRASH_SEED={seed}")
    return random.Random(seed)


def test_what_was_acknowledged_is_in_one_draft_or_hold_after_ten_crashes(
    bridge: RunningBridge, auditor: Auditor, rng: random.Random, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    objects = make_studies(tmp_path / "studies", studies=STUDIES, images=IMAGES)
    moments = ["starting", *rng.sample(AFTER_THE_FIRST_START, len(AFTER_THE_FIRST_START))]
    assert len(moments) == 10
    per_life = len(objects) // len(moments)
    with Sender(port=bridge.dicom_port) as sender:
        for life, phase in enumerate(moments):
            bridge.start(wait=False)
            sender.release(objects[life * per_life : (life + 1) * per_life])
            _reach(phase, sender, auditor, rng)
            bridge.kill_everything()
            print(f"killed while {phase}: {len(sender.acknowledged)} acknowledged, {auditor.progress()}")
        bridge.start()
        auditor.wait_until_idle(arrivals=lambda: not sender.outstanding, within_s=WITHIN_S)
    auditor.check(objects, sender.acknowledged)
    bridge.stop()
    assert files_that_identify(bridge.data_dir, leaving_out=[auditor.spool_dir]) == []
    assert files_that_identify(bridge.log_file.parent, leaving_out=[bridge.data_dir, tmp_path / "studies"]) == []
    if auditor.database.engine.dialect.name == "postgresql":
        cluster: PostgresCluster = request.getfixturevalue("postgres_cluster")
        with psycopg.connect(
            host=str(cluster.folder), user=cluster.user, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute("CHECKPOINT")  # what stands in the server's memory is written to its files
        assert files_that_identify(cluster.folder) == []


def _reach(phase: str, sender: Sender, auditor: Auditor, rng: random.Random) -> None:
    """Wait for a phase of this life, and then for a random moment; a phase that is over already counts as reached."""
    acknowledged, done, enough = len(sender.acknowledged), auditor.progress().done, rng.randint(1, IMAGES - 2)
    reached: dict[str, Callable[[], bool]] = {
        "starting": lambda: True,
        "receiving": lambda: len(sender.acknowledged) - acknowledged >= enough,
        "settling": lambda: not sender.outstanding and auditor.progress().known >= len(sender.acknowledged),
        "processing": lambda: auditor.progress().working > 0 or auditor.progress().done > done,
        "filing": lambda: auditor.progress().done - done >= enough,
    }
    eventually(reached[phase], within_s=WITHIN_S, what=f"the phase of {phase}")
    longest_s = {"starting": 5.0, "receiving": 0.1, "settling": 1.0, "processing": 1.0, "filing": 0.2}
    # The moment of a crash is what this is about, so here a test waits for nothing but time.
    threading.Event().wait(rng.uniform(0, longest_s[phase]))


def test_a_single_process_killed_at_work_is_replaced_and_costs_nothing(
    bridge: RunningBridge, auditor: Auditor, rng: random.Random, tmp_path: Path
) -> None:
    victims = {
        "receiving": "bridge scp",
        "processing": "bridge.pool_child",
        "filing": "bridge worker",
        "settling": "bridge api",
    }
    objects = make_studies(tmp_path / "studies", studies=len(victims), images=IMAGES)
    bridge.start()
    with Sender(port=bridge.dicom_port) as sender:
        for life, (phase, victim) in enumerate(victims.items()):
            sender.release(objects[life * IMAGES : (life + 1) * IMAGES])
            _reach(phase, sender, auditor, rng)
            before = set(bridge.pids_of(victim))
            os.kill(min(before), signal.SIGKILL)
            # A child of the pool that died with nothing left to do is replaced with the next work, and only that one.
            is_on_demand = victim == "bridge.pool_child"
            eventually(
                lambda before=before, victim=victim, is_on_demand=is_on_demand: (
                    min(before) not in (now := set(bridge.pids_of(victim)))
                    and (now - before or (is_on_demand and not auditor.progress().working))
                ),
                within_s=WITHIN_S,
                what=f"another process stands in for {victim}",
            )
        auditor.wait_until_idle(arrivals=lambda: not sender.outstanding, within_s=WITHIN_S)
    eventually(bridge.is_ready, within_s=WITHIN_S, what="the bridge is whole again")
    auditor.check(objects, sender.acknowledged)
