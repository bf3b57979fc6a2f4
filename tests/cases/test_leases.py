"""A name has one holder."""

import threading
from datetime import UTC, datetime, timedelta

from cases.store import Database, Leases
from tests.cases.world import NOON

SOON, LATE = NOON + timedelta(seconds=5), NOON + timedelta(seconds=61)


def test_a_lease_is_taken_renewed_lost_and_released(database: Database) -> None:
    with database.write() as session:
        leases = Leases(session)
        assert leases.claim("scanner", "w1", 60, NOON)
        assert leases.claim("scanner", "w1", 60, SOON)
        assert not leases.claim("scanner", "w2", 60, SOON)
        assert leases.renew("scanner", "w1", 60, SOON)
        assert not leases.renew("scanner", "w2", 60, SOON)
        leases.release("scanner", "w2")
        assert not leases.claim("scanner", "w2", 60, SOON)
        after = SOON + timedelta(seconds=60)
        assert not leases.renew("scanner", "w1", 60, after)
        assert leases.claim("scanner", "w2", 60, after)
        leases.release("scanner", "w2")
        assert leases.claim("scanner", "w3", 60, after)


def test_a_lease_that_its_holder_lets_run_out_is_found_at_once_and_can_be_taken_by_both(database: Database) -> None:
    with database.write() as session:
        leases = Leases(session)
        leases.claim("worker:a", "a", 60, NOON)
        leases.expire("worker:a", "b", SOON)
        assert leases.expired("worker:", SOON) == ()
        leases.expire("worker:a", "a", SOON)
        assert leases.live("worker:", SOON) == ()
        assert leases.expired("worker:", SOON) == ("worker:a",)
        assert not leases.renew("worker:a", "a", 60, SOON)
        assert leases.claim("worker:a", "a", 60, SOON)


def test_the_shared_clock_knows_its_zone(database: Database) -> None:
    with database.read() as session:
        moment = Leases(session).now()
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=1)
    assert moment.utcoffset() == timedelta(0)


def test_expired_leases_are_found_by_prefix(database: Database) -> None:
    with database.write() as session:
        leases = Leases(session)
        for name, ttl in (("worker:a", 60), ("worker:b", 120), ("worker_c", 60)):
            leases.claim(name, "x", ttl, NOON)
        assert leases.expired("worker:", LATE) == ("worker:a",)
        assert leases.expired("worker_", LATE) == ("worker_c",)
        assert leases.live("worker:", LATE) == (("worker:b", "x"),)
        leases.forget("worker:a", LATE)
        leases.forget("worker:b", LATE)
        assert leases.expired("worker:", LATE + timedelta(days=1)) == ("worker:b",)


def test_of_many_that_claim_an_expired_lease_one_gets_it(database: Database) -> None:
    with database.write() as session:
        Leases(session).claim("worker:dead", "dead", 60, NOON)
    won: list[str] = []
    barrier = threading.Barrier(6)

    def claim(name: str) -> None:
        barrier.wait()
        with database.write() as session:
            if Leases(session).claim("worker:dead", name, 60, LATE):
                won.append(name)

    threads = [threading.Thread(target=claim, args=(f"w{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
