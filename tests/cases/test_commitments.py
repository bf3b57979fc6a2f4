"""Promises of storage commitment against everything else that happens at the same moment."""

import threading
from datetime import UTC, datetime, timedelta

from cases.commitments import KeyedReference, NewCommitment
from cases.intake import InstanceOutcome, NewArrival, ReceivedInstance
from cases.store import Commitments, Database, Intake
from tests.cases.world import INBOX, arrival, key

BLOCKED_S = 0.5
"""How long somebody who must wait is watched waiting; whoever does wait passes on any machine."""


def dropped(database: Database) -> NewArrival:
    """An original that is due to be purged."""
    long_ago = datetime.now(UTC) - timedelta(days=100)
    arrived = arrival("study", "1", at=long_ago)
    with database.write() as session:
        Intake(session).record([arrived], destination=INBOX)
        Intake(session).assign_generation(f"{arrived.study_key}-{INBOX.id}")
        Intake(session).finish(arrived.arrival_id, InstanceOutcome.DROPPED)
    return arrived


def request(arrived: NewArrival, *, number: int = 1) -> NewCommitment:
    return NewCommitment(
        request_id=f"{number:032x}",
        transaction_key=key("transaction"),
        references=(KeyedReference(sop_key=arrived.sop_key, sop_class_uid=arrived.sop_class_uid),),
        calling_ae="CT",
        called_ae="CASEBRIDGE",
        peer_address="192.0.2.9",
        association_id="a" * 32,
        requested_at=datetime.now(UTC),
    )


def promise(database: Database, asked: NewCommitment, looked: threading.Event | None = None) -> list[int | None]:
    def is_there(_: ReceivedInstance) -> bool:
        if looked is not None:
            looked.set()
        return True

    now = datetime.now(UTC)
    with database.write() as session:
        answer = Commitments(session).decide(asked, now=now, until=now + timedelta(days=30), is_there=is_there)
    return list(answer.values())


def test_a_promise_waits_for_a_purge_that_has_begun_and_sees_what_it_did(database: Database) -> None:
    arrived, looked, answers = dropped(database), threading.Event(), list[list[int | None]]()
    promising = threading.Thread(target=lambda: answers.append(promise(database, request(arrived), looked)))
    later = datetime.now(UTC) + timedelta(days=50)
    with database.write() as session:
        due = Intake(session).purgeable(later, locked=[arrived.arrival_id])
        assert [one.arrival_id for one in due] == [arrived.arrival_id]
        promising.start()
        assert not looked.wait(BLOCKED_S)
        Intake(session).mark_purged([arrived.arrival_id], later)
    promising.join(timeout=40)

    assert answers == [[0x0112]]
    assert not looked.is_set()


def test_a_purge_waits_for_a_promise_that_is_being_made_and_spares_the_original(database: Database) -> None:
    arrived, purged = dropped(database), list[list[ReceivedInstance]]()
    later = datetime.now(UTC) + timedelta(days=20)

    def purge() -> None:
        with database.write() as session:
            purged.append(Intake(session).purgeable(later, locked=[arrived.arrival_id]))

    purging = threading.Thread(target=purge)
    now = datetime.now(UTC)
    with database.write() as session:
        answer = Commitments(session).decide(
            request(arrived), now=now, until=now + timedelta(days=30), is_there=lambda _: True
        )
        assert list(answer.values()) == [None]
        purging.start()
        purging.join(timeout=BLOCKED_S)
        assert purging.is_alive()
    purging.join(timeout=40)

    assert purged == [[]]


def test_a_promise_is_never_made_shorter(database: Database) -> None:
    arrived = dropped(database)
    promise(database, request(arrived))
    now = datetime.now(UTC)
    with database.write() as session:
        Commitments(session).decide(
            request(arrived, number=2), now=now, until=now + timedelta(days=1), is_there=lambda _: True
        )

    with database.read() as session:
        assert Intake(session).purgeable(now + timedelta(days=20)) == []
        assert len(Intake(session).purgeable(now + timedelta(days=31))) == 1


def test_a_long_list_is_decided_in_batches(database: Database) -> None:
    arrived = [arrival("long", str(number)) for number in range(1200)]
    with database.write() as session:
        Intake(session).record(arrived, destination=INBOX)
    asked = NewCommitment(
        request_id=f"{3:032x}",
        transaction_key=key("long"),
        references=tuple(
            KeyedReference(sop_key=one, sop_class_uid=arrived[0].sop_class_uid)
            for one in [*(one.sop_key for one in arrived), key("unknown")]
        ),
        calling_ae="CT",
        called_ae="CASEBRIDGE",
        peer_address="192.0.2.9",
        association_id="a" * 32,
        requested_at=datetime.now(UTC),
    )

    answers = promise(database, asked)

    assert answers == [None] * 1200 + [0x0112]
    with database.read() as session:
        assert Commitments(session).summary(datetime.now(UTC)).committed_originals == 1200
        record = Commitments(session).find(asked.request_id)
        assert record is not None
        assert (record.committed, record.failed) == (1200, 1)
