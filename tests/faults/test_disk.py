"""Disks that are full, read-only or gone, and clocks that jump."""

import errno
import itertools
import os
import resource
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scp.server import Receiver
from scp.spool import Spool
from tests.faults.ledger import Ledger
from tests.faults.lives import life
from tests.faults.senders import NAME_KEY, Sender, Thing, row, send_all, things
from tests.faults.tap import Operation, Tap, Verdict
from tests.scp.conftest import settings, wait_for

MEGABYTE = 1 << 20
DAY_S = 86400.0
OUT_OF_RESOURCES = 0xA700


class FailingDisk:
    """A rule by which a disk fails at its operation of some number, once or from there on."""

    def __init__(self, error: int, *, persists: bool) -> None:
        self.fails_at: int | None = None
        self.has_failed = False
        self._error, self._persists = error, persists
        self._count = 0

    def __call__(self, operation: Operation) -> Verdict:  # noqa: ARG002 - a Rule
        number, self._count = self._count, self._count + 1
        if self.fails_at is not None and (number == self.fails_at or (self._persists and number > self.fails_at)):
            self.has_failed = True
            raise OSError(self._error, "planned")
        return Verdict.DO

    @contextmanager
    def failing_at(self, number: int) -> Iterator[None]:
        self.fails_at, self._count, self.has_failed = number, 0, False
        yield
        self.fails_at = None


@pytest.mark.parametrize(
    ("fault", "error", "persists"),
    [
        ("disk full at any one operation", errno.ENOSPC, False),
        ("disk full from any operation on", errno.ENOSPC, True),
        ("read-only from any operation on", errno.EROFS, True),
        ("I/O error at any one operation", errno.EIO, False),
    ],
)
def test_a_disk_that_fails_at_any_operation_is_never_success(
    tmp_path: Path, ledger: Ledger, fault: str, error: int, persists: bool
) -> None:
    disk, root = FailingDisk(error, persists=persists), tmp_path / "spool"
    sent: list[Thing] = []
    told: list[str] = []
    refused = 0
    with Tap(root, disk).laid(), Receiver(settings(), Spool(root, name_key=NAME_KEY, reserve_bytes=0)) as receiver:
        at_rest = threading.active_count()
        for number in itertools.count():
            objects = things(1, study="2.25.50", size=600) + things(2, study=f"2.25.5{number}", size=600)
            with disk.failing_at(number):
                sender = send_all(receiver.port, objects, window=1 + number % 2)
                wait_for(lambda: threading.active_count() == at_rest)
            # With the disk whole again the very next association is served.
            after = send_all(receiver.port, things(1, study="2.25.50", size=600))
            assert len(after.acknowledged) == 1
            wait_for(lambda: threading.active_count() == at_rest)
            sent += [*sender.sent, *after.sent]
            told += [*sender.acknowledged, *after.acknowledged]
            refused += len(sender.statuses) - len(sender.acknowledged)
            assert set(sender.statuses.values()) <= {0, OUT_OF_RESOURCES}
            if not disk.has_failed:
                break
    assert refused > 5
    ledger.enter(row(fault, sent=sent, acknowledged=told, root=root))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 12 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    while subprocess.run(["umount", "-l", folder], capture_output=True, check=False).returncode == 0:
        pass


def fill(folder: Path, *, leaving: int) -> Path:
    """Take nearly all the room of a file system."""
    facts = os.statvfs(folder)
    filler = folder / "filler"
    filler.write_bytes(bytes(max(0, facts.f_bavail * facts.f_frsize - leaving)))
    return filler


def test_a_full_disk_refuses_and_goes_on_when_there_is_room_again(small_disk: Path, ledger: Ledger) -> None:
    root = small_disk / "spool"
    large = things(3, size=2 * MEGABYTE)
    small = things(4)
    with life(root) as receiver:
        assert receiver.listen()
        with Sender(receiver.port) as sender:
            assert sender.open()
            assert sender.store(small[0])
            # Room enough when it was announced, and gone when the data came.
            pdus = Sender.fragments(large[0], 1, 40)
            sender.sent.append(large[0])
            sender.socket.sendall(b"".join(pdus[:2]))
            wait_for(lambda: list((root / "incoming").iterdir()))
            filler = fill(small_disk, leaving=MEGABYTE)
            sender.socket.sendall(b"".join(pdus[2:]))
            assert sender.wait(answers=2)
            assert sender.store(small[1])
            assert sender.store(large[1], pieces=40)
            filler.unlink()
            assert sender.store(large[2], pieces=40)
            assert sender.store(small[2])
            assert sender.release()
        assert [sender.statuses[number] for number in range(6)] == [0, *[OUT_OF_RESOURCES] * 3, 0, 0]
        receiver.end()
    ledger.enter(row("disk full (12 MB)", sent=sender.sent, acknowledged=sender.acknowledged, root=root))


def test_a_read_only_spool_takes_nothing_until_it_can_be_written_again(small_disk: Path, ledger: Ledger) -> None:
    root = small_disk / "spool"
    with life(root) as receiver:
        assert receiver.listen()
        first = send_all(receiver.port, things(2))
        wait_for(lambda: not list((root / "journal" / "open").iterdir()))
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        refused = send_all(receiver.port, things(2))
        assert not refused.sent, "an association was accepted"
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
        last = send_all(receiver.port, things(2))
        receiver.end()
    told = [*first.acknowledged, *last.acknowledged]
    assert len(told) == 4
    ledger.enter(row("read-only spool", sent=[*first.sent, *last.sent], acknowledged=told, root=root))


def test_a_limit_of_the_file_size_refuses_what_is_larger(tmp_path: Path, ledger: Ledger) -> None:
    root = tmp_path / "spool"
    with life(root, limits={resource.RLIMIT_FSIZE: 100_000}) as receiver:
        assert receiver.listen()
        objects = [*things(1), *things(1, size=300_000), *things(1)]
        sender = send_all(receiver.port, objects)
        receiver.end()
    assert [sender.statuses[number] for number in range(3)] == [0, OUT_OF_RESOURCES, 0]
    ledger.enter(row("file size limit", sent=sender.sent, acknowledged=sender.acknowledged, root=root))


def test_a_spool_that_is_unmounted_takes_nothing_until_it_is_back(small_disk: Path, ledger: Ledger) -> None:
    root = small_disk / "spool"
    home = small_disk.parent / "kept"
    home.mkdir()
    subprocess.run(["mount", "--bind", small_disk, home], check=True)
    try:
        with life(root) as receiver:
            assert receiver.listen()
            objects = things(6)
            with Sender(receiver.port) as sender:
                assert sender.open()
                assert sender.store(objects[0])
                sender.sent.append(objects[1])
                pdus = Sender.fragments(objects[1], 1)
                sender.socket.sendall(b"".join(pdus[:2]))
                wait_for(lambda: list((root / "incoming").iterdir()))
                subprocess.run(["umount", "-l", small_disk], check=True)
                sender.socket.sendall(b"".join(pdus[2:]))
                assert sender.wait(answers=2)
                assert sender.store(objects[2])
                assert not send_all(receiver.port, things(1)).sent, "an association was accepted"
                subprocess.run(["mount", "--bind", home, small_disk], check=True)
                assert sender.store(objects[3])
                assert sender.release()
            assert [sender.statuses[number] for number in range(4)] == [0, OUT_OF_RESOURCES, OUT_OF_RESOURCES, 0]
            last = send_all(receiver.port, objects[4:])
            receiver.end()
        assert len(last.acknowledged) == 2
        told = [*sender.acknowledged, *last.acknowledged]
        ledger.enter(row("spool unmounted", sent=[*sender.sent, *last.sent], acknowledged=told, root=root))
    finally:
        subprocess.run(["umount", "-l", home], check=False)


def test_a_spool_folder_that_is_moved_away_takes_nothing_until_it_is_back(tmp_path: Path, ledger: Ledger) -> None:
    root = tmp_path / "spool"
    with life(root) as receiver:
        assert receiver.listen()
        objects = things(4)
        with Sender(receiver.port) as sender:
            assert sender.open()
            assert sender.store(objects[0])
            root.rename(tmp_path / "away")
            assert sender.store(objects[1])
            (tmp_path / "away").rename(root)
            assert sender.store(objects[2])
            assert sender.store(objects[3])
            assert sender.release()
        receiver.end()
    assert [sender.statuses[number] for number in range(4)] == [0, OUT_OF_RESOURCES, 0, 0]
    ledger.enter(row("spool folder gone", sent=sender.sent, acknowledged=sender.acknowledged, root=root))


def test_a_clock_that_jumps_changes_no_order_and_loses_nothing(tmp_path: Path, ledger: Ledger) -> None:
    root = tmp_path / "spool"
    jumps = [0.0, 400 * DAY_S, -20_000 * DAY_S, 3600.0, -1.0, 0.0]
    with life(root) as receiver:
        assert receiver.listen()
        with Sender(receiver.port) as sender:
            assert sender.open()
            for jump in jumps:
                receiver.jump(jump)
                assert all(sender.store(thing) for thing in things(2))
            assert sender.release()
        # Another receiver that starts in the far future takes nothing from one that is in the middle of an object.
        busy = Sender(receiver.port)
        assert busy.open()
        [thing] = things(1)
        pdus = Sender.fragments(thing, 0)
        busy.sent.append(thing)
        busy.socket.sendall(b"".join(pdus[:2]))
        wait_for(lambda: list((root / "incoming").iterdir()))
        with life(root, clock=500 * DAY_S) as other:
            assert other.listen()
            late = send_all(other.port, things(1))
            other.end()
        busy.socket.sendall(b"".join(pdus[2:]))
        assert busy.wait(answers=1)
        busy.release()
        busy.socket.close()
        receiver.end()
    spool = Spool(root, name_key=NAME_KEY, reserve_bytes=0)
    received = [arrival.received_at.year for arrival in spool.scan()[0]]
    assert len(set(received)) >= 3, "the clock did not jump"
    told = [*sender.acknowledged, *busy.acknowledged, *late.acknowledged]
    assert len(told) == 2 * len(jumps) + 2
    sent = [*sender.sent, *busy.sent, *late.sent]
    ledger.enter(row("clock jumps (+400 d, -55 y)", sent=sent, acknowledged=told, root=root))
