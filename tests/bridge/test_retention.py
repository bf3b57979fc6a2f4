"""What goes when: originals with all that lies beside them, and undecided holds."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bridge.retention import Retention
from cases.blobs import LocalBlobs
from cases.model import HoldState, InstanceOutcome, NewArrival, ReceivedInstance, Role, User
from cases.store import Audit, Cases, Database, Holds, Intake
from config import load_settings
from scp.arrival import Arrival
from scp.spool import Spool
from tests.bridge.spooled import arrive, spool_in
from tests.cases.world import HOLD, INBOX

ADMIN = User(id="", name="admin", role=Role.ADMIN, draft_limit=0)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return spool_in(tmp_path)


@pytest.fixture
def retention(database: Database, spool: Spool, tmp_path: Path) -> Retention:
    days = {"RETENTION_DAYS": "7", "HOLD_REMINDER_DAYS": "14", "HOLD_RETENTION_DAYS": "30"}
    environ = {f"CASEBRIDGE_{name}": value for name, value in days.items()}
    return Retention(
        database=database,
        spool=spool,
        blobs=LocalBlobs(tmp_path / "blobs"),
        settings=load_settings(environ | {"CASEBRIDGE_DATA_DIR": str(tmp_path)}),
    )


def recorded(database: Database, spool: Spool, number: int, *, days: float, outcome: InstanceOutcome) -> Arrival:
    """Let an instance have arrived some days ago and come to its outcome."""
    arrived = arrive(spool, 1, number)
    row = NewArrival(
        arrival_id=arrived.arrival_id,
        study_key=arrived.study_key,
        sop_key=arrived.sop_key,
        sop_class_uid=arrived.sop_class_uid,
        transfer_syntax_uid=arrived.transfer_syntax_uid,
        calling_ae=arrived.calling_ae,
        called_ae=arrived.called_ae,
        peer_address=arrived.peer_address,
        association_id=arrived.association_id,
        received_at=datetime.now(UTC) - timedelta(days=days),
        size_bytes=arrived.size_bytes,
    )
    spool.beside(arrived.study_key, arrived.sop_key, arrived.arrival_id, "findings.json").write_text(json.dumps({}))
    with database.write() as session:
        Intake(session).record([row], destination=INBOX)
        Intake(session).assign_generation(f"{arrived.study_key}-{INBOX.id}")
        if outcome is InstanceOutcome.HELD:
            Holds(session).hold(None, arrived.arrival_id, HOLD)
        elif outcome is not InstanceOutcome.RECEIVED:
            Intake(session).finish(arrived.arrival_id, outcome)
    return arrived


def files_of(spool: Spool, arrived: Arrival) -> list[str]:
    folder = spool.root / "studies" / arrived.study_key
    return [path.name for path in folder.glob(f"*{arrived.arrival_id}*")]


def found(database: Database, arrived: Arrival) -> ReceivedInstance:
    with database.read() as session:
        return Intake(session).instance(arrived.arrival_id)


def test_an_original_goes_after_its_days_with_all_that_lies_beside_it(
    database: Database, spool: Spool, retention: Retention
) -> None:
    old = recorded(database, spool, 1, days=7.1, outcome=InstanceOutcome.FILED)
    young = recorded(database, spool, 2, days=6.9, outcome=InstanceOutcome.FILED)

    retention.tick()

    assert (files_of(spool, old), len(files_of(spool, young))) == ([], 2)
    assert (found(database, old).is_purged, found(database, young).is_purged) == (True, False)


def test_what_waits_to_be_worked_on_never_goes(database: Database, spool: Spool, retention: Retention) -> None:
    waiting = recorded(database, spool, 1, days=400, outcome=InstanceOutcome.RECEIVED)

    retention.tick()

    assert len(files_of(spool, waiting)) == 2


def test_an_undecided_hold_is_brought_up_again_and_then_becomes_a_tombstone(
    database: Database, spool: Spool, retention: Retention
) -> None:
    fresh, due, over = (
        recorded(database, spool, number, days=days, outcome=InstanceOutcome.HELD)
        for number, days in ((1, 10), (2, 15), (3, 31))
    )

    retention.tick()

    assert [len(files_of(spool, each)) for each in (fresh, due, over)] == [2, 2, 0]
    with database.read() as session:
        holds = {hold.arrival_id: hold for hold in Holds(session).list(ADMIN, state=None).items}
    assert holds[fresh.arrival_id].reminded_at is None
    assert holds[due.arrival_id].reminded_at is not None
    assert holds[over.arrival_id].state is HoldState.EXPIRED
    assert found(database, over).outcome is InstanceOutcome.EXPIRED


def test_every_purge_has_a_line_in_the_audit_log(database: Database, spool: Spool, retention: Retention) -> None:
    recorded(database, spool, 1, days=8, outcome=InstanceOutcome.DROPPED)

    retention.tick()
    retention.tick()

    with database.read() as session:
        [entry] = Audit(session).entries()
    assert (entry.actor, entry.action, entry.subject) == ("retention", "originals.purge", "1 original(s)")


def test_a_kill_between_file_and_row_is_made_up_for(database: Database, spool: Spool, retention: Retention) -> None:
    old = recorded(database, spool, 1, days=8, outcome=InstanceOutcome.DUPLICATE)
    spool.remove(old.study_key, old.sop_key, old.arrival_id)

    retention.tick()

    assert found(database, old).is_purged


def test_images_that_nobody_refers_to_are_deleted(database: Database, spool: Spool, retention: Retention) -> None:
    retention.blobs.put("cases/a/b.dcm", b"image")
    with database.write() as session:
        Cases(session).condemn_blob("cases/a/b.dcm")

    retention.tick()

    assert not retention.blobs.exists("cases/a/b.dcm")
    with database.read() as session:
        assert Cases(session).condemned_blobs() == []
