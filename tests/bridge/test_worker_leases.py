"""A worker knows in time that its lease is lost, and lets go of it so that its studies are found."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bridge.worker_leases import LEASE_PREFIX, Heartbeat
from cases.store import Database, Leases


@contextmanager
def beating(database: Database, **times: float) -> Iterator[threading.Event]:
    lost = threading.Event()
    heartbeat = Heartbeat(database=database, worker_id="host-w1", holder="host-w1", lost=lost.set, **times)
    assert heartbeat.claim()
    heartbeat.start()
    yield lost
    heartbeat.stop()


def test_a_worker_that_stops_leaves_a_lease_that_others_find(database: Database) -> None:
    with beating(database) as lost:
        pass
    with database.write() as session:
        leases = Leases(session)
        assert leases.expired(LEASE_PREFIX, leases.now()) == ("worker:host-w1",)
        assert leases.claim("worker:host-w1", "host-w2", 60, leases.now())
    assert not lost.is_set()


def test_a_worker_ends_whose_lease_another_one_took(database: Database) -> None:
    with beating(database, beat_s=0.05) as lost:
        with database.write() as session:
            leases = Leases(session)
            leases.expire("worker:host-w1", "host-w1", leases.now())
            assert leases.claim("worker:host-w1", "host-w2", 60, leases.now())
        assert lost.wait(10)


def test_a_worker_ends_whose_renewal_hangs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    with beating(database, beat_s=0.05, ttl_s=0.6) as lost:
        monkeypatch.setattr(Leases, "renew", lambda *_: answered.wait(30))
        assert lost.wait(10)
        answered.set()


def test_two_hosts_under_one_id_do_not_both_work(database: Database) -> None:
    first, second = (
        Heartbeat(database=database, worker_id="clone-w1", holder=holder, lost=lambda: None)
        for holder in ("clone-w1 a", "clone-w1 b")
    )
    assert first.claim()
    assert not second.claim()
    assert first.claim()
