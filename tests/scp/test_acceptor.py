import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from scp.journal import Outcome
from scp.peers import PeerRules, write_peer_rules
from scp.spool import Spool
from tests.scp.conftest import wait_for
from tests.scp.objects import CT, data_set, encoded
from tests.scp.wire import EXPLICIT, Peer, context_item, pdv, store_rq

CHECKOUT = Path(__file__).parents[2]
CT_EXPLICIT = context_item(1, CT, EXPLICIT)


def descriptors(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/fd").iterdir())


@dataclass
class Running:
    process: subprocess.Popen[str]
    port: int

    @property
    def children(self) -> list[int]:
        pid = self.process.pid
        with suppress(FileNotFoundError):
            return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def child_of_file(self, path: Path) -> int:
        """Return the child that holds a file open."""
        [pid] = [pid for pid in self.children if any(one.resolve() == path for one in descriptors(pid))]
        return pid


@contextmanager
def accepting(
    spool: Spool, processes: int, *, status: int = 0, is_ended_by_test: bool = False, **changes: object
) -> Iterator[Running]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.scp.acceptor_process", str(spool.root), str(processes)),
            *(f"{name}={value}" for name, value in changes.items()),
        ],
        cwd=CHECKOUT,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield Running(process, int(process.stdout.readline()))
        if not is_ended_by_test:
            process.terminate()
        assert process.wait(timeout=30) == status
    finally:
        process.kill()
        process.communicate()


def good(instance: str) -> bytes:
    return encoded(data_set(instance=instance))


def parts(spool: Spool) -> list[Path]:
    return list((spool.root / "incoming").iterdir())


def begin_object(peer: Peer, instance: str) -> None:
    peer.associate(CT_EXPLICIT)
    peer.send(pdv(1, 3, store_rq(CT, instance)) + pdv(1, 0, good(instance)))


def is_served(running: Running) -> bool:
    with Peer(running.port) as peer:
        return peer.associate(CT_EXPLICIT)[0] == 2


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_connections_are_spread_over_the_processes_and_all_is_stored(spool):
    with accepting(spool, 3) as running:
        assert len(list(Path(f"/proc/{running.process.pid}/task").iterdir())) == 1
        peers = [Peer(running.port) for _ in range(6)]
        for number, peer in enumerate(peers):
            begin_object(peer, f"2.25.{number + 1}")
        wait_for(lambda: len(parts(spool)) == 6)
        busy = [running.child_of_file(path) for path in parts(spool)]
        assert sorted(busy.count(pid) for pid in running.children) == [2, 2, 2]
        for peer in peers:
            peer.send(pdv(1, 2, b""))
            assert peer.response().status == 0
            assert peer.release() == 6
            peer.socket.close()

    assert len(spool.scan()[0]) == 6
    assert [spool.read_journal(path).outcome for path in spool.journals()] == [Outcome.RELEASED] * 6


def test_the_limit_of_associations_holds_over_all_processes_and_a_freed_place_can_be_had_at_once(spool):
    with accepting(spool, 2, max_associations=2) as running, Peer(running.port) as one, Peer(running.port) as other:
        assert one.associate(CT_EXPLICIT)[0] == 2
        assert other.associate(CT_EXPLICIT)[0] == 2
        with Peer(running.port) as third:
            assert third.associate(CT_EXPLICIT) == (3, b"\0\2\3\2")
        assert one.release() == 6
        with Peer(running.port) as fourth:
            assert fourth.associate(CT_EXPLICIT)[0] == 2

    rules = [spool.read_journal(path).rule for path in spool.journals()]
    assert rules.count("too-many-associations") == 1


def test_one_address_cannot_take_all_places_even_if_it_never_asks_for_an_association(spool):
    with accepting(spool, 2, max_associations=40, max_associations_per_peer=3, artim_timeout_s=60.0) as running:
        idle = [Peer(running.port) for _ in range(20)]
        with Peer(running.port) as peer:
            peer.send(b"")
            assert peer.read_pdu()[0] == 0  # its spare places are gone too
        idle[0].socket.close()
        idle[1].socket.close()
        wait_for(lambda: is_served(running))
        for peer in idle:
            peer.socket.close()

    wait_for(spool.journals)
    rules = {spool.read_journal(path).rule for path in spool.journals()}
    assert "too-many-connections" in rules
    assert rules <= {"too-many-connections", "too-many-from-address", "connection-lost", "receiver-stopped"}


def test_a_connection_that_never_asks_is_ended_by_the_artim_timer_and_gives_its_place_back(spool):
    with accepting(spool, 2, max_associations=1, artim_timeout_s=0.3) as running, Peer(running.port) as idle:
        assert idle.read_pdu()[0] in {0, 7}
        wait_for(lambda: is_served(running))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_child_is_replaced_while_the_port_stays_bound(spool, processes):
    with accepting(spool, processes, max_associations=2) as running, Peer(running.port) as peer:
        peer.associate(CT_EXPLICIT)
        assert peer.store(1, CT, "2.25.1", good("2.25.1")).status == 0
        peer.send(pdv(1, 3, store_rq(CT, "2.25.2")) + pdv(1, 0, good("2.25.2")))
        wait_for(lambda: parts(spool))
        killed = running.child_of_file(parts(spool)[0])
        os.kill(killed, signal.SIGKILL)
        assert peer.read_pdu()[0] == 0
        # Its connections end before its channel does; what it is handed in between dies with it.
        wait_for(lambda: not is_alive(killed))
        for _ in range(2):  # as many as there are places: the killed one's are free again
            with Peer(running.port) as after:
                assert after.associate(CT_EXPLICIT)[0] == 2
                assert after.store(1, CT, "2.25.3", good("2.25.3")).status == 0
        wait_for(lambda: len(running.children) == processes and killed not in running.children)
        wait_for(lambda: not parts(spool))

    found = [spool.read_journal(path) for path in spool.journals()]
    assert [one.stored for one in found if one.outcome is Outcome.INTERRUPTED] == [1]
    assert len(spool.scan()[0]) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_acceptor_ends_the_children_in_order(spool, number):
    status = 0 if number == signal.SIGTERM else -number
    with (
        accepting(spool, 2, status=status, is_ended_by_test=True) as running,
        Peer(running.port) as peer,
        Peer(running.port) as other,
    ):
        children = running.children
        begin_object(peer, "2.25.1")
        begin_object(other, "2.25.2")
        wait_for(lambda: len(parts(spool)) == 2)
        running.process.send_signal(number)
        assert peer.read_pdu()[0] == 7
        assert other.read_pdu()[0] == 7
        wait_for(lambda: not any(is_alive(pid) for pid in children))

    assert parts(spool) == []
    found = [spool.read_journal(path) for path in spool.journals()]
    assert [(one.outcome, one.rule) for one in found] == [(Outcome.ABORTED, "receiver-stopped")] * 2


def test_a_child_that_is_asked_to_stop_ends_its_associations_and_is_replaced(spool):
    write_peer_rules(spool.peer_rules_path, PeerRules(is_open=True))
    with accepting(spool, 1) as running, Peer(running.port) as peer:
        begin_object(peer, "2.25.1")
        wait_for(lambda: parts(spool))
        [child] = running.children
        os.kill(child, signal.SIGTERM)
        assert peer.read_pdu()[0] == 7
        wait_for(lambda: is_served(running))
    assert parts(spool) == []
