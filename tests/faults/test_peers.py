"""Senders that break off, fall silent, dawdle, repeat themselves or never listen; and hosts that share a spool."""

import itertools
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scp.server import Receiver
from scp.spool import Spool
from tests.faults.ledger import Ledger
from tests.faults.lives import Life, life
from tests.faults.senders import NAME_KEY, Found, Sender, Thing, row, send_all, things
from tests.scp.conftest import settings, wait_for
from tests.scp.objects import CT
from tests.scp.wire import pdv, store_rq

A_ABORT = struct.pack(">BBII", 7, 0, 4, 0)
MEGABYTE = 1 << 20


@contextmanager
def receiving(root: Path, **changes: object) -> Iterator[Receiver]:
    """Receive in this process; no thread is left of it."""
    before = threading.active_count()
    with Receiver(settings(**changes), Spool(root, name_key=NAME_KEY, reserve_bytes=0)) as receiver:
        yield receiver
    wait_for(lambda: threading.active_count() == before)


def hang_up(sender: Sender, how: str) -> None:
    """End a connection in one of three ways."""
    if how == "reset":
        sender.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    elif how == "abort":
        sender._send(A_ABORT)
    sender.socket.close()


def test_an_association_that_ends_at_any_byte_loses_nothing(tmp_path: Path, ledger: Ledger) -> None:
    root = tmp_path / "spool"
    sent: list[Thing] = []
    told: list[str] = []
    ways = itertools.cycle(("close", "reset", "abort"))
    with receiving(root) as receiver:
        length = sum(map(len, Sender.fragments(things(1, size=100)[0], 1)))
        # Every byte of what carries the protocol, and of the data set each seventh.
        places = sorted({*range(190), *range(190, length, 7), length - 1, length})
        for place in places:
            first, second = things(2, size=100)
            sender = Sender(receiver.port)
            assert sender.open()
            assert sender.store(first)
            sender.sent.append(second)
            sender._send(b"".join(Sender.fragments(second, 1))[:place])
            if place == length:
                assert sender.wait(answers=2)
            told += sender.acknowledged
            hang_up(sender, next(ways))
            sent += sender.sent
        wait_for(lambda: not list((root / "incoming").iterdir()))
        wait_for(lambda: not list((root / "journal" / "open").iterdir()))
    ledger.enter(row(f"broken off at {len(places)} places", sent=sent, acknowledged=told, root=root))


def test_connections_that_are_half_open_are_given_up_and_hinder_nobody(tmp_path: Path, ledger: Ledger) -> None:
    root = tmp_path / "spool"
    silent: list[Sender] = []
    with receiving(root, artim_timeout_s=0.5, network_timeout_s=1.0, max_associations=24) as receiver:
        for number in range(12):
            sender = Sender(receiver.port)
            assert sender.open()
            [thing, half] = things(2)
            if number % 3:
                assert sender.store(thing)
            if number % 2:
                # No more will ever come of this one, and no end of the connection either.
                sender.sent.append(half)
                sender._send(b"".join(Sender.fragments(half, len(sender.sent) - 1))[: 400 * number])
            silent.append(sender)
        mute = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(4)]
        good = send_all(receiver.port, things(5))
        assert len(good.acknowledged) == 5
        assert all(sender.wait(pdu=7) or sender.is_closed for sender in silent)
        wait_for(lambda: not list((root / "incoming").iterdir()))
        for each in (*(sender.socket for sender in silent), *mute):
            each.close()
    senders = [*silent, good]
    sent = [thing for sender in senders for thing in sender.sent]
    told = [mark for sender in senders for mark in sender.acknowledged]
    ledger.enter(row("12 half-open associations", sent=sent, acknowledged=told, root=root))


def resident_mb(running: Life) -> float:
    """Return how much memory a receiver's process holds."""
    text = Path(f"/proc/{running.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return int(found[1]) / 1024


def test_fifty_slow_senders_cost_little_memory_and_starve_nobody(tmp_path: Path, ledger: Ledger) -> None:
    root, count = tmp_path / "spool", 50
    with life(root, max_associations=count + 2, network_timeout_s=60.0) as receiver, ExitStack() as stack:
        assert receiver.listen()
        assert len(send_all(receiver.port, things(3)).acknowledged) == 3
        before, peak = resident_mb(receiver), 0.0
        senders = [stack.enter_context(Sender(receiver.port, timeout_s=60)) for _ in range(count)]
        assert all(sender.open() for sender in senders)
        objects = things(count, size=600_000)
        streams = []
        for sender, thing in zip(senders, objects, strict=True):
            sender.sent.append(thing)
            data = b"".join(Sender.fragments(thing, 0, 20))
            streams.append([data[start : start + 9001] for start in range(0, len(data), 9001)])
        quick: list[int] = []
        for turn, pieces in enumerate(itertools.zip_longest(*streams)):
            for sender, piece in zip(senders, pieces, strict=True):
                if piece is not None:
                    assert sender._send(piece)
            if turn in {5, 30, 60}:
                # Whoever sends at full speed meanwhile is served at once, long before the slow ones are through.
                quick.append(len(send_all(receiver.port, things(5)).acknowledged))
                assert not any(sender.acknowledged for sender in senders)
            peak = max(peak, resident_mb(receiver))
        assert all(sender.wait(answers=1) for sender in senders)
        assert all(sender.release() for sender in senders)
        receiver.end()
    assert quick == [5, 5, 5]
    assert peak - before < 60, f"{peak - before:.0f} MB for 30 MB under way"
    told = [mark for sender in senders for mark in sender.acknowledged]
    extra = Spool(root, name_key=NAME_KEY, reserve_bytes=0)
    assert len(extra.scan()[0]) == count + 3 + 15
    found = Found.among(objects, root)
    ledger.enter(row("50 slow senders at once", sent=objects, acknowledged=told, found=found))


def test_a_storm_of_duplicates_is_kept_as_it_came(tmp_path: Path, ledger: Ledger) -> None:
    root = tmp_path / "spool"
    [thing] = things(1, size=20_000)
    with receiving(root) as receiver:
        start = threading.Barrier(8)
        senders: list[Sender] = []

        def send() -> None:
            with Sender(receiver.port) as sender:
                senders.append(sender)
                assert sender.open()
                start.wait()
                for _ in range(3):
                    assert sender.store(thing)
                assert sender.release()

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        senders.append(send_all(receiver.port, [thing]))
    sent = [thing for sender in senders for thing in sender.sent]
    told = [thing.mark for sender in senders for status in sender.statuses.values() if status == 0]
    assert len(sent) == len(told) == 25
    ledger.enter(row("one object on 8 associations at once", sent=sent, acknowledged=told, root=root))


def test_two_hosts_with_two_scanners_share_one_spool(tmp_path: Path, ledger: Ledger) -> None:
    root = tmp_path / "spool"
    with life(root, hostname="host-a") as one, life(root, hostname="host-b") as other:
        assert one.listen()
        assert other.listen()
        senders: list[Sender] = []

        def send(port: int, objects: list[Thing]) -> None:
            senders.append(send_all(port, objects))

        batches = [
            (running.port, things(25, study=study)) for running in (one, other) for study in ("2.25.31", "2.25.32")
        ]
        threads = [threading.Thread(target=send, args=batch) for batch in batches]
        scans = [_Scans(root) for _ in range(2)]
        for thread in (*threads, *scans):
            thread.start()
        # In the middle of it one host is killed, and starts again beside the other.
        wait_for(lambda: len(scans[0].seen) > 10, seconds=60)
        one.kill()
        with life(root, hostname="host-a") as again:
            assert again.listen()
            for thread in threads:
                thread.join()
            senders.append(send_all(again.port, things(5)))
            again.end()
        other.end()
        for scan in scans:
            scan.stop.set()
            scan.join()
    sent = [thing for sender in senders for thing in sender.sent]
    told = [mark for sender in senders for mark in sender.acknowledged]
    assert len(told) >= 55
    spool = Spool(root, name_key=NAME_KEY, reserve_bytes=0)
    everything = {arrival.arrival_id for arrival in spool.scan()[0]}
    assert all(scan.seen == everything for scan in scans), "a scanner missed something for ever"
    assert spool.quarantined() == 0
    ledger.enter(row("two hosts, one killed", sent=sent, acknowledged=told, root=root))


class _Scans(threading.Thread):
    """A scanner that looks for what is new, over and over."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.stop = threading.Event()
        self._spool = Spool(root, name_key=NAME_KEY, reserve_bytes=0)

    def run(self) -> None:
        mark, is_last = None, False
        while not is_last:
            is_last = self.stop.wait(0.01)
            found, mark = self._spool.scan(mark)
            self.seen |= {arrival.arrival_id for arrival in found}


def _takes(connection: socket.socket, data: bytes) -> bool:
    """Tell whether a connection still stands, sending what it takes."""
    try:
        connection.sendall(data)
    except TimeoutError:
        return True
    except OSError:
        return False
    return True


def test_a_peer_that_never_reads_our_answers_is_given_up(tmp_path: Path, ledger: Ledger) -> None:
    root = tmp_path / "spool"
    with receiving(root, network_timeout_s=2.0) as receiver:
        sender = Sender(receiver.port)
        assert sender.open()
        objects = things(3)
        assert all(sender.store(thing) for thing in objects)
        told = sender.acknowledged
        # Answers fill both ends' buffers, then the receiver waits for room, and then no longer.
        sender.socket.settimeout(0.5)
        echo = pdv(1, 3, store_rq(CT, "2.25.9", has_data=False)) * 200
        wait_for(lambda: not _takes(sender.socket, echo), seconds=60)
        assert len(send_all(receiver.port, things(2)).acknowledged) == 2
        wait_for(lambda: not list((root / "journal" / "open").iterdir()), seconds=30)
        sender.socket.close()
    found = Found.among(objects, root)
    ledger.enter(row("a peer that never reads", sent=objects, acknowledged=told, found=found))
