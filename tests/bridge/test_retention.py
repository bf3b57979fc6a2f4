"""What goes when: originals with all that lies beside them, and undecided holds."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.__main__ import main
from bridge.leftovers import clear_leftovers
from bridge.purges import named
from bridge.retention import Retention
from cases.blobs import LocalBlobs
from cases.holds import HoldFilter, HoldState
from cases.intake import InstanceOutcome, NewArrival, ReceivedInstance
from cases.store import Audit, Cases, Consents, Database, Holds, Intake, consents
from cases.users import Role, User
from config import load_settings
from scp.arrival import Arrival
from scp.spool import Spool
from tests.bridge.spooled import arrive, spool_in
from tests.cases.test_consents import sealed
from tests.cases.world import HOLD, INBOX, file_study, route, user

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


def recorded(
    database: Database,
    spool: Spool,
    number: int,
    *,
    days: float,
    outcome: InstanceOutcome,
    recorded_days: float | None = None,
) -> Arrival:
    """Let an instance have arrived some days ago, by both clocks or by each its own, and come to its outcome."""
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
    moment = datetime.now(UTC) - timedelta(days=days if recorded_days is None else recorded_days)
    with database.write() as session:
        Intake(session).record([row], destination=INBOX, now=moment)
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
        holds = {hold.arrival_id: hold for hold in Holds(session).list(ADMIN, filters=HoldFilter(state=None)).items}
    assert holds[fresh.arrival_id].reminded_at is None
    assert holds[due.arrival_id].reminded_at is not None
    assert holds[over.arrival_id].state is HoldState.EXPIRED
    assert found(database, over).outcome is InstanceOutcome.EXPIRED


def test_every_purge_names_its_arrivals_in_the_audit_log(
    database: Database, spool: Spool, retention: Retention
) -> None:
    dropped, filed = (
        recorded(database, spool, number, days=8 + number, outcome=outcome)
        for number, outcome in ((1, InstanceOutcome.DROPPED), (2, InstanceOutcome.FILED))
    )
    held = recorded(database, spool, 3, days=31, outcome=InstanceOutcome.HELD)
    spool.remove(filed.study_key, filed.sop_key, filed.arrival_id)

    retention.tick()
    retention.tick()

    with database.read() as session:
        by_retention, expired = Audit(session).entries(actions=["originals.purge"])
    assert (by_retention.actor, by_retention.subject) == ("retention", f"{dropped.study_key}-{INBOX.id}")
    assert named(by_retention) == [dropped.arrival_id, filed.arrival_id]
    detail = dict(by_retention.detail)
    assert (detail["originals"], detail["already_gone"], detail["why"], detail["days"]) == (2, 1, "retention", 7)
    oldest = datetime.fromisoformat(str(detail["oldest_arrival"]))
    assert abs(oldest - (datetime.now(UTC) - timedelta(days=10))) < timedelta(hours=1)
    assert (expired.detail["why"], expired.detail["days"]) == ("hold expired", 30)
    assert named(expired) == [held.arrival_id]


def test_a_receiver_whose_clock_stood_at_1970_loses_no_original(
    database: Database, spool: Spool, retention: Retention
) -> None:
    filed = recorded(database, spool, 1, days=20_000, recorded_days=6.9, outcome=InstanceOutcome.FILED)
    held = recorded(database, spool, 2, days=20_000, recorded_days=29, outcome=InstanceOutcome.HELD)
    due = recorded(database, spool, 3, days=20_000, recorded_days=7.1, outcome=InstanceOutcome.FILED)
    ahead = recorded(database, spool, 4, days=-3, recorded_days=7.1, outcome=InstanceOutcome.FILED)

    retention.tick()

    assert [found(database, each).is_purged for each in (filed, held, due, ahead)] == [False, False, True, False]
    assert found(database, held).outcome is InstanceOutcome.HELD
    with database.read() as session:
        [hold] = Holds(session).list(ADMIN).items
    assert hold.expires_at - datetime.now(UTC) > timedelta(hours=12)


def test_a_spool_that_is_not_there_purges_nothing(
    database: Database, spool: Spool, retention: Retention, tmp_path: Path
) -> None:
    old = recorded(database, spool, 1, days=8, outcome=InstanceOutcome.FILED)
    spool.root.rename(tmp_path / "not mounted")
    spool.root.mkdir()

    retention.tick()

    assert not found(database, old).is_purged
    with database.read() as session:
        assert Audit(session).entries() == ()


def test_more_than_one_transaction_is_purged_in_one_round(
    database: Database, spool: Spool, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.retention.PURGED_IN_ONE", 2)
    old = [recorded(database, spool, number, days=8, outcome=InstanceOutcome.FILED) for number in range(5)]

    retention.tick()

    assert all(found(database, each).is_purged for each in old)


def test_quarantine_and_leftovers_go_after_their_time_and_are_in_the_audit_log(
    database: Database, spool: Spool, retention: Retention, tmp_path: Path
) -> None:
    kept = recorded(database, spool, 1, days=1, outcome=InstanceOutcome.FILED)
    folder = spool.path(kept.study_key, kept.sop_key, kept.arrival_id).parent
    (spool.root / "quarantine" / "damaged.dcm").write_bytes(b"x")
    dead, young = (spool.root / "incoming" / f"{'0' * 8}-{digit * 32}.part" for digit in "12")
    orphan = folder / f"{'a' * 32}-{'b' * 32}.findings.json"
    retention.blobs.put("cases/a/b.dcm", b"image")
    draft = tmp_path / "blobs" / "cases" / "a" / "0123456789abcdef.part"
    for path in (dead, young, orphan, draft):
        path.write_bytes(b"x")
        old = time.time() - 2 * 86_400
        if path != young:
            os.utime(path, (old, old))

    def clear(days: float) -> None:
        now = time.time() + days * 86_400
        clear_leftovers(database, spool, retention.blobs, quarantine_days=30, now=now)

    clear(29)
    assert spool.quarantined() == 1
    clear(31)
    clear(31)

    assert spool.quarantined() == 0
    assert [path.exists() for path in (dead, young, orphan, draft)] == [False, True, False, False]
    assert retention.blobs.exists("cases/a/b.dcm")
    assert len(files_of(spool, kept)) == 2
    with database.read() as session:
        leftovers, quarantine = Audit(session).entries()
    assert dict(leftovers.detail) == {"unfinished": 1, "orphans": 1, "blobs": 1}
    assert (quarantine.action, named(quarantine)) == ("quarantine.purge", ["damaged.dcm"])


def test_the_command_line_shows_when_an_original_went(
    database: Database, spool: Spool, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = recorded(database, spool, 1, days=8, outcome=InstanceOutcome.FILED)
    other = recorded(database, spool, 2, days=2, outcome=InstanceOutcome.FILED)
    retention.tick()

    @contextmanager
    def opened(_: object) -> Iterator[Database]:
        yield database

    monkeypatch.setattr("bridge.purges.open_database", opened)

    def shown(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["originals", "purged", *arguments])
        return result.exit_code, result.output

    assert shown("--arrival", other.arrival_id)[0] == 1
    assert shown("--since", "2999-01-01")[0] == 1
    status, text = shown("--arrival", old.arrival_id)
    assert (status, "1 original(s); retention after 7 day(s)" in text) == (0, True)
    status, text = shown("--since", "2020-01-01", "--json")
    assert json.loads(text)["arrivals"] == old.arrival_id


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


def test_what_is_being_written_stays_until_its_time_is_over(
    database: Database, spool: Spool, retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = user(database, "ann")
    case_id = file_study(database, route("ann"), "study").case_id
    written, forgotten = sealed(case_id, "written").blob_key, sealed(case_id, "forgotten").blob_key
    with database.write() as session:
        Consents(session).begin(owner, case_id, written)
    monkeypatch.setattr(consents, "WRITING", timedelta(0))
    with database.write() as session:
        Consents(session).begin(owner, case_id, forgotten)
    for blob in (written, forgotten):
        retention.blobs.put(blob, b"sealed")

    retention.tick()

    assert [retention.blobs.exists(blob) for blob in (written, forgotten)] == [True, False]
