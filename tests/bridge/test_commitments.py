"""Storage commitment from the request to the report: what is promised, what is not, and what a restart changes."""

import errno
import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from sqlalchemy import update

from bridge.commitments import GIVE_UP_H, CommitmentDecisions, CommitmentReports
from bridge.leftovers import clear_leftovers
from bridge.retention import Retention
from bridge.scanner import Scanner
from cases.blobs import LocalBlobs
from cases.commitments import CommitmentRecord, CommitmentState
from cases.intake import InstanceOutcome
from cases.store import Commitments, Database, Holds, Intake
from cases.store.rows import ReceivedInstanceRow
from config import load_settings
from scp.arrival import Arrival, new_arrival_id
from scp.commitment_data import Reference
from scp.commitment_files import CommitmentRequest, CommitmentResult
from scp.disk import Disk
from scp.journal import AssociationFacts, Outcome
from scp.peers import CommitmentRule
from scp.reporting import report_commitment
from scp.spool import Spool
from tests.bridge.spooled import arrive, spool_in
from tests.bridge.test_scanner import Engine, scanner
from tests.builders import uid
from tests.cases.world import HOLD
from tests.scp.commitments import PUSH, REPORTS_TO, TRANSACTION, allow, events, references_in

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    spool = spool_in(tmp_path)
    allow(spool, calling="MODALITY")
    return spool


@pytest.fixture
def scanning(database: Database, spool: Spool) -> Scanner:
    return scanner(
        database,
        spool,
        Engine(),
        commitments=CommitmentDecisions(database=database, spool=spool, keep_days=30),
    )


class Peer:
    """Answers reports as it is told to, and remembers them."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.reports: list[CommitmentResult] = []

    def __call__(self, result: CommitmentResult, destination: CommitmentRule) -> str:
        assert destination == REPORTS_TO
        self.reports.append(result)
        return self.answers.pop(0) if self.answers else ""


class Clock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pass_by(self, **span: float) -> None:
        self.ahead += timedelta(**span)


@pytest.fixture
def peer() -> Peer:
    return Peer()


class Reports(CommitmentReports):
    """Reports by a clock of its own."""

    def __init__(self, database: Database, spool: Spool, peer: Peer) -> None:
        self.clock = Clock()
        super().__init__(database=database, spool=spool, report=peer, clock=self.clock)


@pytest.fixture
def reports(database: Database, spool: Spool, peer: Peer) -> Reports:
    return Reports(database, spool, peer)


def ask(
    spool: Spool,
    *instances: str,
    sop_class: str = CT,
    transaction: str = TRANSACTION,
    association: str = "a" * 32,
    calling: str = "MODALITY",
) -> str:
    """Leave a request as the receiver does; return its id."""
    request = CommitmentRequest(
        request_id=new_arrival_id(),
        identified_transaction_uid=transaction,
        references=tuple(Reference(sop_class_uid=sop_class, identified_sop_instance_uid=one) for one in instances),
        calling_ae=calling,
        called_ae="CASEBRIDGE",
        peer_address="127.0.0.1",
        association_id=association,
        reports_to=REPORTS_TO,
        received_at=datetime.now(UTC),
    )
    spool.commitments.keep(request)
    return request.request_id


def record_of(database: Database, request_id: str) -> CommitmentRecord:
    with database.read() as session:
        record = Commitments(session).find(request_id)
    assert record is not None
    return record


def outcome_of(result: CommitmentResult) -> tuple[list[str], dict[str, int]]:
    return (
        [one.identified_sop_instance_uid for one in result.succeeded],
        {one.reference.identified_sop_instance_uid: one.reason for one in result.failed},
    )


def result_of(spool: Spool, request_id: str) -> CommitmentResult:
    claimed = spool.commitments.claim(request_id)
    assert claimed is not None
    claimed.give_back()
    return claimed.result


def finish(database: Database, arrived: Arrival, outcome: InstanceOutcome) -> None:
    with database.write() as session:
        if outcome is InstanceOutcome.HELD:
            Holds(session).hold(None, arrived.arrival_id, HOLD)
        else:
            Intake(session).finish(arrived.arrival_id, outcome)


def retention(database: Database, spool: Spool, tmp_path: Path) -> Retention:
    environ = {"CASEBRIDGE_DATA_DIR": str(tmp_path), "CASEBRIDGE_RETENTION_DAYS": "0"}
    environ["CASEBRIDGE_HOLD_RETENTION_DAYS"] = "1"
    environ["CASEBRIDGE_HOLD_REMINDER_DAYS"] = "1"
    return Retention(
        database=database, spool=spool, blobs=LocalBlobs(tmp_path / "blobs"), settings=load_settings(environ)
    )


def test_what_is_here_is_committed_and_what_is_not_is_named_with_its_reason(
    database: Database, spool: Spool, scanning: Scanner
) -> None:
    arrive(spool, 1, 1)
    arrive(spool, 1, 2)
    request_id = ask(spool, uid(1, 1, 1), uid(1, 1, 2), uid(9, 1, 1))

    scanning.tick()

    assert outcome_of(result_of(spool, request_id)) == ([uid(1, 1, 1), uid(1, 1, 2)], {uid(9, 1, 1): 0x0112})
    record = record_of(database, request_id)
    assert (record.committed, record.failed, record.state) == (2, 1, CommitmentState.DECIDED)
    assert spool.commitments.requests() == []
    with database.read() as session:
        assert Commitments(session).summary(datetime.now(UTC)).committed_originals == 2


def test_an_instance_of_another_class_is_a_conflict(spool: Spool, scanning: Scanner) -> None:
    arrive(spool, 1, 1)
    request_id = ask(spool, uid(1, 1, 1), sop_class=MR)

    scanning.tick()

    assert outcome_of(result_of(spool, request_id)) == ([], {uid(1, 1, 1): 0x0119})


@pytest.mark.parametrize("fault", ["gone", "quarantine", "cut off"])
def test_an_original_that_cannot_be_read_is_a_processing_failure(spool: Spool, scanning: Scanner, fault: str) -> None:
    arrived = arrive(spool, 1, 1)
    path = spool.path(arrived.study_key, arrived.sop_key, arrived.arrival_id)
    if fault == "gone":
        scanning.tick()
        path.unlink()
    elif fault == "cut off":
        # As a restored backup may have it, or a disk after a crash.
        scanning.tick()
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.write_bytes(b"not what was received")
    request_id = ask(spool, uid(1, 1, 1))

    scanning.tick()
    scanning.tick()

    assert outcome_of(result_of(spool, request_id)) == ([], {uid(1, 1, 1): 0x0110})


class SyncingDisk(Disk):
    """Remembers what was synced."""

    def __init__(self) -> None:
        self.synced: set[int] = set()
        self.is_broken = False

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self.synced.add(os.fstat(descriptor).st_ino)

    def sync_folder(self, folder: Path) -> None:
        if self.is_broken and folder.parent.name == "studies":
            raise OSError(errno.EIO, "broken")
        super().sync_folder(folder)
        self.synced.add(folder.stat().st_ino)


@pytest.mark.parametrize("is_broken", [False, True])
def test_nothing_is_promised_that_was_found_and_never_synced(
    database: Database, tmp_path: Path, is_broken: bool
) -> None:
    arrived = arrive(spool_in(tmp_path), 1, 1)
    disk = SyncingDisk()
    # As after a kill between the rename and the sync of the folder: the peer sends no more, and asks.
    spool = Spool(tmp_path / "spool", name_key=b"n" * 32, reserve_bytes=0, disk=disk)
    path = spool.path(arrived.study_key, arrived.sop_key, arrived.arrival_id)
    disk.is_broken = is_broken
    decisions = CommitmentDecisions(database=database, spool=spool, keep_days=30)
    request_id = ask(spool, uid(1, 1, 1))

    scanner(database, spool, Engine(), commitments=decisions).tick()

    if is_broken:
        assert outcome_of(result_of(spool, request_id)) == ([], {uid(1, 1, 1): 0x0110})
        return
    assert outcome_of(result_of(spool, request_id)) == ([uid(1, 1, 1)], {})
    assert {one.stat().st_ino for one in (path, path.parent, path.parent.parent)} <= disk.synced


def test_a_file_that_the_scan_did_not_see_yet_is_looked_for_before_a_request_fails(
    spool: Spool, scanning: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanning.tick()
    arrive(spool, 1, 1)
    request_id = ask(spool, uid(1, 1, 1))
    whole = spool.scan
    with monkeypatch.context() as blind:
        # As a folder on a shared volume whose change has not come through to this host.
        blind.setattr(spool, "scan", lambda mark: ([], mark) if mark is not None else whole(None))
        scanning.tick()
        assert spool.commitments.results() == []
        scanning.tick()

    assert outcome_of(result_of(spool, request_id)) == ([uid(1, 1, 1)], {})


@pytest.mark.parametrize("outcome", [InstanceOutcome.DROPPED, InstanceOutcome.HELD, InstanceOutcome.DUPLICATE])
def test_a_promised_original_stays_whatever_becomes_of_it(
    database: Database, spool: Spool, scanning: Scanner, tmp_path: Path, outcome: InstanceOutcome
) -> None:
    kept, other = arrive(spool, 1, 1), arrive(spool, 1, 2)
    ask(spool, uid(1, 1, 1))
    scanning.tick()
    for arrived in (kept, other):
        finish(database, arrived, outcome)
    with database.read() as session:
        later = datetime.now(UTC) + timedelta(days=5)
        due = Intake(session).purgeable(later, retention_days=0, hold_retention_days=1)
        assert [one.arrival_id for one in due] == [other.arrival_id]
        after = Intake(session).purgeable(later + timedelta(days=26), retention_days=0, hold_retention_days=1)
        assert {one.arrival_id for one in after} == {kept.arrival_id, other.arrival_id}
    if outcome is not InstanceOutcome.HELD:
        retention(database, spool, tmp_path).tick()
        assert spool.path(kept.study_key, kept.sop_key, kept.arrival_id).is_file()
        assert not spool.path(other.study_key, other.sop_key, other.arrival_id).exists()


def test_a_promised_original_that_is_damaged_later_stays_in_quarantine_for_its_time(
    database: Database, spool: Spool, scanning: Scanner, tmp_path: Path
) -> None:
    kept, other = arrive(spool, 1, 1), arrive(spool, 1, 2)
    ask(spool, uid(1, 1, 1))
    scanning.tick()
    for arrived in (kept, other):
        spool.path(arrived.study_key, arrived.sop_key, arrived.arrival_id).write_bytes(b"damaged on the disk")
    spool.scan()
    assert spool.quarantined() == 2
    later = time.time() + 5 * 86400

    clear_leftovers(database, spool, LocalBlobs(tmp_path / "blobs"), quarantine_days=1, now=later)

    names = [path.name for path in (spool.root / "quarantine").iterdir()]
    assert names == [f"{kept.sop_key}-{kept.arrival_id}.dcm"]
    with database.write() as session:
        session.execute(update(ReceivedInstanceRow).values(committed_until=datetime.now(UTC)))
    clear_leftovers(database, spool, LocalBlobs(tmp_path / "blobs"), quarantine_days=1, now=later)
    assert spool.quarantined() == 0


def test_nothing_is_promised_between_the_look_for_what_is_due_and_its_deletion(
    database: Database, spool: Spool, scanning: Scanner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = arrive(spool, 1, 1)
    scanning.tick()
    finish(database, arrived, InstanceOutcome.DROPPED)
    request_id = ask(spool, uid(1, 1, 1))
    looked = Intake.purgeable

    def purgeable(intake: Intake, *args: Any, **kwargs: Any) -> Any:
        found = looked(intake, *args, **kwargs)
        if kwargs.get("locked") is None:
            scanning.tick()  # the promise comes in the very moment between the two looks
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Intake, "purgeable", purgeable)
        retention(database, spool, tmp_path).tick()

    assert outcome_of(result_of(spool, request_id)) == ([uid(1, 1, 1)], {})
    assert spool.path(arrived.study_key, arrived.sop_key, arrived.arrival_id).is_file()


def test_what_is_purged_is_not_here_any_more(
    database: Database, spool: Spool, scanning: Scanner, tmp_path: Path
) -> None:
    arrived = arrive(spool, 1, 1)
    scanning.tick()
    finish(database, arrived, InstanceOutcome.DROPPED)
    retention(database, spool, tmp_path).tick()
    request_id = ask(spool, uid(1, 1, 1))

    scanning.tick()

    assert outcome_of(result_of(spool, request_id)) == ([], {uid(1, 1, 1): 0x0112})


def test_the_same_request_again_is_answered_again_and_only_once(
    database: Database, spool: Spool, scanning: Scanner, reports: Reports, peer: Peer
) -> None:
    arrive(spool, 1, 1)
    arrive(spool, 1, 2)
    first = ask(spool, uid(1, 1, 1), uid(1, 1, 2))
    scanning.tick()
    until = record_of(database, first).committed_until
    second = ask(spool, uid(1, 1, 2), uid(1, 1, 1))
    scanning.tick()

    reports.tick()
    reports.tick()

    assert [outcome_of(one)[1] for one in peer.reports] == [{}]
    assert record_of(database, first).state is CommitmentState.REPEATED
    assert record_of(database, second).state is CommitmentState.REPORTED
    again = record_of(database, second).committed_until
    assert until is not None
    assert again is not None
    assert again >= until
    assert list((spool.root / "commitments").iterdir()) == []


def test_another_peer_that_asks_the_same_takes_no_report_away(
    database: Database, spool: Spool, scanning: Scanner, reports: Reports, peer: Peer
) -> None:
    arrive(spool, 1, 1)
    first = ask(spool, uid(1, 1, 1))
    scanning.tick()
    ask(spool, uid(1, 1, 1), calling="STRANGER")
    scanning.tick()

    assert record_of(database, first).state is CommitmentState.DECIDED
    reports.tick()

    assert "MODALITY" in {one.calling_ae for one in peer.reports}


def test_a_transaction_in_use_for_other_instances_fails_as_a_duplicate(spool: Spool, scanning: Scanner) -> None:
    arrive(spool, 1, 1)
    arrive(spool, 1, 2)
    first = ask(spool, uid(1, 1, 1))
    scanning.tick()
    second = ask(spool, uid(1, 1, 2))
    scanning.tick()
    third = ask(spool, uid(1, 1, 1))
    scanning.tick()

    assert outcome_of(result_of(spool, first)) == ([uid(1, 1, 1)], {})
    assert outcome_of(result_of(spool, second)) == ([], {uid(1, 1, 2): 0x0131})
    assert outcome_of(result_of(spool, third)) == ([uid(1, 1, 1)], {})


def test_a_kill_between_promise_and_result_is_made_up_for(
    database: Database, spool: Spool, scanning: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(spool, 1, 1)
    request_id = ask(spool, uid(1, 1, 1))

    class KilledError(Exception):
        pass

    def killed(_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(spool.commitments, "decide", killed)
        with pytest.raises(KilledError):
            scanning.tick()
    assert record_of(database, request_id).committed == 1
    assert spool.commitments.results() == []

    scanner(
        database, spool, Engine(), commitments=CommitmentDecisions(database=database, spool=spool, keep_days=30)
    ).tick()

    assert outcome_of(result_of(spool, request_id)) == ([uid(1, 1, 1)], {})
    assert record_of(database, request_id).committed == 1


def test_no_result_is_there_before_the_promise_is(
    database: Database, spool: Spool, scanning: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(spool, 1, 1)
    request_id = ask(spool, uid(1, 1, 1))
    kept = spool.commitments.decide

    def decide(result: CommitmentResult) -> None:
        with database.read() as session:
            assert Commitments(session).summary(datetime.now(UTC)).committed_originals == 1
        kept(result)

    monkeypatch.setattr(spool.commitments, "decide", decide)
    scanning.tick()

    assert spool.commitments.results() == [request_id]


def test_a_report_is_tried_until_the_peer_takes_it(
    database: Database, scanning: Scanner, reports: Reports, peer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    spool = reports._spool
    arrive(spool, 1, 1)
    request_id = ask(spool, uid(1, 1, 1))
    scanning.tick()
    peer.answers = ["nothing-listens", "answered-0x0110"]

    with caplog.at_level(logging.INFO):
        reports.tick()
        reports.tick()  # not due yet
        assert len(peer.reports) == 1
        reports.clock.pass_by(seconds=31)
        reports.tick()
        reports.clock.pass_by(seconds=25)
        reports.tick()
        assert len(peer.reports) == 2
        with database.read() as session:
            assert Commitments(session).summary(reports.clock()).last_failures == {"answered-0x0110": 1}
        reports.clock.pass_by(seconds=40)
        CommitmentReports(database=database, spool=spool, report=peer, clock=reports.clock).tick()  # after a restart

    record = record_of(database, request_id)
    assert (record.state, record.attempts, len(peer.reports)) == (CommitmentState.REPORTED, 3, 3)
    assert list((spool.root / "commitments").iterdir()) == []
    words = str([entry.__dict__ for entry in caplog.records])
    assert uid(1, 1, 1) not in words
    assert TRANSACTION not in words


def test_a_report_that_nobody_takes_is_given_up_and_the_promise_stands(
    database: Database, spool: Spool, scanning: Scanner, reports: Reports, peer: Peer
) -> None:
    arrive(spool, 1, 1)
    request_id = ask(spool, uid(1, 1, 1))
    scanning.tick()
    peer.answers = ["nothing-listens"] * 1000
    for _ in range(GIVE_UP_H * 4 + 4):
        reports.clock.pass_by(minutes=15)
        reports.tick()

    assert record_of(database, request_id).state is CommitmentState.GIVEN_UP
    assert 50 < len(peer.reports) < 120
    assert list((spool.root / "commitments").iterdir()) == []
    with database.read() as session:
        assert Commitments(session).summary(datetime.now(UTC)).committed_originals == 1


def test_a_result_is_left_to_its_association_while_that_is_open(
    spool: Spool, scanning: Scanner, reports: Reports, peer: Peer
) -> None:
    facts = AssociationFacts(
        association_id="b" * 32,
        calling_ae="MODALITY",
        called_ae="CASEBRIDGE",
        peer_address="127.0.0.1",
        started_at=datetime.now(UTC),
    )
    first, second = spool.journal.open(facts), ask(spool, uid(1, 1, 1), association="b" * 32)
    arrive(spool, 1, 1)
    scanning.tick()
    reports.tick()
    assert peer.reports == []

    first.end(Outcome.RELEASED)
    reports.tick()
    assert [one.request_id for one in peer.reports] == [second]


def test_a_report_taken_on_the_association_is_booked(
    database: Database, spool: Spool, scanning: Scanner, reports: Reports, peer: Peer
) -> None:
    arrive(spool, 1, 1)
    request_id = ask(spool, uid(1, 1, 1))
    scanning.tick()
    claimed = spool.commitments.claim(request_id)
    assert claimed is not None
    claimed.taken()

    reports.tick()

    assert peer.reports == []
    assert record_of(database, request_id).state is CommitmentState.REPORTED
    assert list((spool.root / "commitments").iterdir()) == []


def test_a_peer_whose_rule_is_gone_is_not_called(
    database: Database, spool: Spool, scanning: Scanner, reports: Reports, peer: Peer
) -> None:
    arrive(spool, 1, 1)
    request_id = ask(spool, uid(1, 1, 1))
    scanning.tick()
    allow(spool, None, calling="MODALITY")

    reports.tick()

    assert peer.reports == []
    assert record_of(database, request_id).last_failure == "commitment-off"


def test_a_list_that_is_here_is_evidence_and_one_that_is_not_is_not(
    database: Database, spool: Spool, scanning: Scanner
) -> None:
    arrived = arrive(spool, 1, 1)
    study = f"{arrived.study_key}-casebridge"
    scanning.tick()
    with database.read() as session:
        assert Commitments(session).requested(study) is None

    ask(spool, uid(1, 1, 1), uid(1, 1, 2))
    scanning.tick()
    with database.read() as session:
        evidence = Commitments(session).requested(study)
    assert evidence is not None
    assert (evidence.named, evidence.present, evidence.is_complete) == (2, 1, False)

    arrive(spool, 1, 2)
    scanning.tick()
    with database.read() as session:
        evidence = Commitments(session).requested(study)
        assert evidence is not None
        assert evidence.is_complete

    arrive(spool, 1, 3)
    scanning.tick()
    with database.read() as session:
        evidence = Commitments(session).requested(study)
        assert evidence is not None
        assert not evidence.is_complete


# -- on the wire -------------------------------------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterator[tuple[list[tuple[int, Dataset]], dict[str, int], Any]]:
    """A modality that takes reports on a port of its own, with the status that it is told."""
    received: list[tuple[int, Dataset]] = []
    answers = {"status": 0}
    entity = AE(ae_title="MODALITY")
    entity.require_called_aet = True
    entity.add_supported_context(PUSH, scu_role=True, scp_role=True)
    [(event, keep)] = events(received)

    def handle(given: Any) -> tuple[int, None]:
        keep(given)
        return answers["status"], None

    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(event, handle)])
    try:
        yield received, answers, server
    finally:
        server.shutdown()


def test_a_report_reaches_a_peer_on_a_new_association(spool: Spool, scanning: Scanner, listening: Any) -> None:
    received, answers, server = listening
    arrive(spool, 1, 1)
    request_id = ask(spool, uid(1, 1, 1), uid(9, 1, 1))
    scanning.tick()
    result = result_of(spool, request_id)
    here = CommitmentRule(host="127.0.0.1", port=server.server_address[1])

    assert report_commitment(result, here) == ""
    answers["status"] = 0x0110
    assert report_commitment(result, here) == "answered-0x0110"
    assert (
        report_commitment(result, CommitmentRule(host=here.host, port=here.port, ae_title="OTHER")) == "rejected-1-1-7"
    )

    event_type, information = received[0]
    assert event_type == 2
    assert references_in(information.ReferencedSOPSequence) == [(CT, uid(1, 1, 1))]
    assert references_in(information.FailedSOPSequence) == [(CT, uid(9, 1, 1))]


def test_a_peer_that_declines_the_context_or_is_not_there_is_told_apart(spool: Spool, scanning: Scanner) -> None:
    arrive(spool, 1, 1)
    request_id = ask(spool, uid(1, 1, 1))
    scanning.tick()
    result = result_of(spool, request_id)
    entity = AE(ae_title="MODALITY")
    entity.add_supported_context("1.2.840.10008.1.1")
    server = entity.start_server(("127.0.0.1", 0), block=False)
    there = CommitmentRule(host="127.0.0.1", port=server.server_address[1])
    try:
        assert report_commitment(result, there) == "context-declined"
    finally:
        server.shutdown()
    assert report_commitment(result, there) == "nothing-listens"
