"""The settle scanner on a real spool and a real store, with a job engine that only listens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bridge import scanner as module
from bridge.commitments import CommitmentDecisions
from bridge.peers import BridgePeers, keep_peers_in_step
from bridge.scanner import LEASE, Scanner
from bridge.settling import CALM_S, SettleRules
from bridge.worker_leases import LEASE_PREFIX
from cases.commitments import KeyedReference, NewCommitment
from cases.evidence import ReceiptState
from cases.intake import AssociationOutcome, AssociationSummary, Destination
from cases.peers import NewPeerRule
from cases.receipts import SettledBy
from cases.store import Cases, Commitments, Database, Intake, Leases, Receipts
from cases.store.peer_books import BOOKS_DAYS
from cases.users import Role, User
from scp.arrival import Arrival
from scp.journal import AssociationFacts, Outcome
from scp.spool import Spool
from tests.bridge.spooled import arrive, journal, spool_in
from tests.integration.running import eventually

ROOT = User(id="", name="root", role=Role.ADMIN, draft_limit=0)


class Engine:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.jobs: list[tuple[str, int, int]] = []

    def enqueue_study(self, _session: object, study_key: str, generation: int, *, instances: int) -> None:
        self.jobs.append((study_key, generation, instances))


class Duties:
    """Retention that counts how often it was asked."""

    ticks = 0

    def tick(self) -> None:
        self.ticks += 1


def destination(calling: str, called: str) -> Destination:
    owner = None if called == "CASEBRIDGE" else called.lower()
    return Destination(
        id=called.lower(), calling_ae=calling, called_ae=called, owner=owner, hospital="", profile="teaching"
    )


def scanner(database: Database, spool: Spool, engine: Engine, **changes: Any) -> Scanner:
    given: dict[str, Any] = {
        "worker_id": "w1",
        "rules": SettleRules(quiet_period_s=0, max_settle_s=60),
        "retention": Duties(),
        "reclaim": lambda _: 0,
        "keep_peers": lambda: None,
        "commitments": CommitmentDecisions(database=database, spool=spool, keep_days=30),
    }
    return Scanner(
        database=database,
        spool=spool,
        client=engine,  # type: ignore[arg-type] # a fake with the one method that is used
        destination_for=destination,
        **(given | changes),
    )


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return spool_in(tmp_path)


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_a_file_of_the_spool_gets_a_row_and_its_study_a_job(database: Database, spool: Spool, engine: Engine) -> None:
    first, second = arrive(spool, 1, 1), arrive(spool, 1, 2)

    scanner(database, spool, engine).tick()

    assert engine.jobs == [(f"{first.study_key}-casebridge", 1, 2)]
    with database.read() as session:
        assert Intake(session).known([first.arrival_id, second.arrival_id]) == {first.arrival_id, second.arrival_id}


def test_a_study_that_has_not_settled_waits(database: Database, spool: Spool, engine: Engine) -> None:
    arrive(spool, 1)

    scanner(database, spool, engine, rules=SettleRules(quiet_period_s=600, max_settle_s=1800)).tick()

    assert engine.jobs == []
    with database.read() as session:
        assert Intake(session).summary().arriving == 1


def test_nothing_is_handed_over_twice_and_what_comes_late_is_a_generation_of_its_own(
    database: Database, spool: Spool, engine: Engine
) -> None:
    scan = scanner(database, spool, engine)
    arrived = arrive(spool, 1)
    scan.tick()
    scan.tick()
    arrive(spool, 1, 2)

    scan.tick()

    key = f"{arrived.study_key}-casebridge"
    assert engine.jobs == [(key, 1, 1), (key, 2, 1)]


def test_another_scanner_that_starts_anew_repeats_nothing(database: Database, spool: Spool, engine: Engine) -> None:
    arrive(spool, 1)
    scanner(database, spool, engine).tick()

    scanner(database, spool, engine).tick()

    assert len(engine.jobs) == 1


def test_each_route_has_a_study_of_its_own(database: Database, spool: Spool, engine: Engine) -> None:
    for called in ("ALICE", "BOB", "ALICE"):
        arrive(spool, 1, called=called)

    scanner(database, spool, engine).tick()

    assert sorted((key.partition("-")[2], instances) for key, _, instances in engine.jobs) == [("alice", 2), ("bob", 1)]


def test_many_arrivals_are_recorded_in_parts(
    database: Database, spool: Spool, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    for number in range(5):
        arrive(spool, 1, number)

    scanner(database, spool, engine).tick()

    assert [instances for _, _, instances in engine.jobs] == [5]


def facts(key: str = "a" * 32) -> AssociationFacts:
    return AssociationFacts(
        association_id=key,
        calling_ae="PACS",
        called_ae="CASEBRIDGE",
        peer_address="127.0.0.1",
        started_at=datetime.now(UTC),
        contexts=(),
    )


def test_the_books_of_an_association_are_taken_over_once(database: Database, spool: Spool, engine: Engine) -> None:
    arrive(spool, 1)
    journal(spool, facts(), stored=1, refused=2)

    scanner(database, spool, engine).tick()

    with database.read() as session:
        summary = Intake(session).summary()
    assert (summary.total.stored, summary.total.refused, summary.unrecorded) == (1, 2, 0)
    assert spool.journals() == []


def test_what_was_acknowledged_and_has_no_file_is_seen(database: Database, spool: Spool, engine: Engine) -> None:
    journal(spool, facts(), stored=3)

    scanner(database, spool, engine).tick()

    with database.read() as session:
        assert Intake(session).summary().unrecorded == 3


def test_a_damaged_journal_stands_in_nobodys_way(
    database: Database, spool: Spool, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    journal(spool, facts(), refused=1)
    damaged = spool.journals()[0].with_name("0-damaged.jsonl")
    damaged.write_text("Zwitschervogel\n")

    scanner(database, spool, engine).tick()

    with database.read() as session:
        assert Intake(session).summary().total.refused == 1
    assert spool.journals() == []
    assert spool.quarantined() == 1
    assert "damaged journal" in caplog.text
    assert "Zwitschervogel" not in caplog.text


def test_the_slower_duties_have_their_own_times(database: Database, spool: Spool, engine: Engine) -> None:
    duties = Duties()
    scan = scanner(database, spool, engine, retention=duties)

    scan.tick()
    scan.tick()

    assert duties.ticks == 1


def test_the_receivers_file_of_allowed_peers_is_kept_in_step(database: Database, spool: Spool, engine: Engine) -> None:
    peers = BridgePeers(database=database, spool=spool, own_ae="CASEBRIDGE")
    peers.allow("admin", NewPeerRule(calling_ae="PACS"))
    written = spool.allowed_peers_path.read_bytes()
    spool.allowed_peers_path.unlink()

    scanner(database, spool, engine, keep_peers=lambda: keep_peers_in_step(peers)).tick()

    assert spool.allowed_peers_path.read_bytes() == written


def test_the_books_are_folded_batch_by_batch_and_then_rest(
    database: Database, spool: Spool, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cases.store.peer_books._AT_ONCE", 3)
    monkeypatch.setattr(module, "SLOW_TICK_S", 0.0)
    old = datetime.now(UTC) - timedelta(days=BOOKS_DAYS - 1)
    with database.write() as session:
        for number in range(7):
            Intake(session).record_association(
                AssociationSummary(
                    association_id=f"{number:032x}",
                    calling_ae="MONITOR",
                    called_ae="CASEBRIDGE",
                    peer_address="192.0.2.7",
                    started_at=old if number else old - timedelta(days=9),
                    ended_at=old,
                    outcome=AssociationOutcome.RELEASED,
                )
            )
    scan = scanner(database, spool, engine)

    def counts() -> list[int]:
        with database.read() as session:
            return sorted(session.scalars(text("SELECT count FROM association")))

    seen = []
    for _ in range(4):
        scan.tick()
        seen.append(counts())

    assert seen == [[1, 1, 1, 1, 1, 2], [1, 1, 5], [1, 6], [6]]


def test_a_dead_workers_studies_are_taken_over_by_whoever_claims_its_lease(
    database: Database, spool: Spool, engine: Engine
) -> None:
    long_ago = datetime(2026, 1, 1, tzinfo=UTC)
    with database.write() as session:
        for worker in ("w1", "w2"):
            assert Leases(session).claim(LEASE_PREFIX + worker, worker, 1, long_ago)
        assert Leases(session).claim(f"{LEASE_PREFIX}w3", "w3", 3600, datetime.now(UTC))
    taken: list[str] = []

    def reclaim(worker: str) -> int:
        taken.append(worker)
        return 2

    scan = scanner(database, spool, engine, reclaim=reclaim)

    scan.tick()

    assert taken == ["w2"], "neither its own nor a living one's"
    with database.read() as session:
        assert LEASE_PREFIX + "w2" not in Leases(session).expired(LEASE_PREFIX, datetime.now(UTC))


def test_only_the_holder_of_the_lease_scans(database: Database, spool: Spool, engine: Engine) -> None:
    with database.write() as session:
        assert Leases(session).claim(LEASE, "another", 3600, datetime.now(UTC))
    arrive(spool, 1)
    scan = scanner(database, spool, engine)

    scan.start()
    scan.stop()

    assert engine.jobs == []


def test_a_failing_scan_is_tried_again_and_the_lease_given_back(
    database: Database, spool: Spool, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.01)
    arrive(spool, 1)
    failures = iter([RuntimeError("the database is away")])
    real = Cases.promote_waiting

    def sometimes(cases: Cases) -> list[str]:
        for failure in failures:
            raise failure
        return real(cases)

    monkeypatch.setattr(Cases, "promote_waiting", sometimes)
    monkeypatch.setattr(module, "SLOW_TICK_S", 0.0)
    scan = scanner(database, spool, engine)
    scan.start()
    try:
        eventually(lambda: next(failures, None) is None and engine.jobs, within_s=10, what="the study is handed over")
    finally:
        scan.stop()
    with database.write() as session:
        assert Leases(session).claim(LEASE, "another", 10, datetime.now(UTC))


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


SLOW = SettleRules(quiet_period_s=30, max_settle_s=1800)


def test_a_study_waits_for_an_object_that_takes_longer_than_the_quiet_period(
    database: Database, spool: Spool, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scp.journal.MARK_S", 0.0)
    clock = Clock()
    scan = scanner(database, spool, engine, rules=SLOW, clock=clock)
    first, running = arrive(spool, 1, 1), spool.journal.open(facts())
    running.stored()
    for _ in range(20):
        scan.tick()
        clock.now += 5
        running.receiving(first.study_key)
    assert engine.jobs == []
    arrive(spool, 1, 2)
    running.stored()

    for _ in range(7):
        scan.tick()
        clock.now += 5

    assert engine.jobs == [(f"{first.study_key}-casebridge", 1, 2)]
    running.end(Outcome.RELEASED)


def test_an_association_that_stays_open_idle_or_is_released_changes_nothing(
    database: Database, spool: Spool, engine: Engine
) -> None:
    clock = Clock()
    scan = scanner(database, spool, engine, rules=SLOW, clock=clock)
    arrive(spool, 1, 1)
    idle, released = spool.journal.open(facts()), spool.journal.open(facts("b" * 32))
    idle.stored()
    released.stored()
    scan.tick()
    released.end(Outcome.RELEASED)
    clock.now += 29
    scan.tick()
    assert engine.jobs == []

    clock.now += 1
    scan.tick()

    assert len(engine.jobs) == 1
    idle.end(Outcome.RELEASED)


@pytest.mark.parametrize("wrong_by_s", [-3600, 3600])
def test_a_receiver_whose_clock_is_wrong_neither_hurries_nor_delays_a_study(
    database: Database, spool: Spool, engine: Engine, monkeypatch: pytest.MonkeyPatch, wrong_by_s: int
) -> None:
    class Wrong(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=wrong_by_s)

    monkeypatch.setattr("scp.incoming.datetime", Wrong)
    clock = Clock()
    scan = scanner(database, spool, engine, rules=SLOW, clock=clock)
    for number in range(4):
        arrived = arrive(spool, 1, number)
        scan.tick()
        clock.now += 29
    assert abs((arrived.received_at - datetime.now(UTC)).total_seconds()) > 3000
    assert engine.jobs == []

    scan.tick()
    clock.now += 1
    scan.tick()

    assert engine.jobs == [(f"{arrived.study_key}-casebridge", 1, 4)]
    with database.read() as session:
        assert Intake(session).arriving() == []


def test_a_commitment_request_that_leaves_nothing_out_settles_its_study(
    database: Database, spool: Spool, engine: Engine
) -> None:
    clock = Clock()
    scan = scanner(database, spool, engine, rules=SLOW, clock=clock)
    arrivals = [arrive(spool, 1, number) for number in (1, 2)]
    scan.tick()
    clock.now += CALM_S
    request_commitment(database, "1", arrivals[:1])
    scan.tick()
    assert engine.jobs == [], "one of the two is not on the list"

    request_commitment(database, "2", arrivals)
    scan.tick()

    assert [instances for _, _, instances in engine.jobs] == [2]
    with database.read() as session:
        [receipt] = Receipts(session).list(ROOT).items
    assert receipt.settled_by is SettledBy.COMMITMENT
    assert receipt.judgement.state is ReceiptState.PROBABLY_COMPLETE


def request_commitment(database: Database, name: str, arrivals: list[Arrival], *, absent: int = 0) -> None:
    references = [KeyedReference(sop_class_uid=one.sop_class_uid, sop_key=one.sop_key) for one in arrivals]
    references += [
        KeyedReference(sop_class_uid="1.2.840.10008.5.1.4.1.1.2", sop_key=f"{n:032x}") for n in range(absent)
    ]
    request = NewCommitment(
        request_id=name * 32,
        transaction_key=name * 32,
        references=tuple(references),
        calling_ae="PACS",
        called_ae="CASEBRIDGE",
        peer_address="127.0.0.1",
        association_id="a" * 32,
        requested_at=datetime.now(UTC),
    )
    with database.write() as session:
        now = datetime.now(UTC)
        Commitments(session).decide(request, now=now, until=now + timedelta(days=1), is_there=lambda _: True)


@pytest.mark.parametrize(
    ("studies", "expected"), [((1,), (ReceiptState.SHORT, 3)), ((1, 2), (ReceiptState.UNKNOWN, 0))]
)
def test_what_a_commitment_request_names_and_did_not_come_is_missing_where_nothing_else_is_named(
    database: Database,
    spool: Spool,
    engine: Engine,
    studies: tuple[int, ...],
    expected: tuple[ReceiptState, int],
) -> None:
    arrivals = [arrive(spool, study) for study in studies]
    scanner(database, spool, engine).tick()
    request_commitment(database, "1", arrivals, absent=3)
    with database.read() as session:
        found = Receipts(session).list(ROOT).items
    assert [(one.judgement.state, one.judgement.missing) for one in found] == [expected] * len(studies)
