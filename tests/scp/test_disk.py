"""A file that a live process writes is never taken for one that a dead process left."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from scp.disk import Disk
from scp.leftovers import Leftovers


def test_whoever_clears_up_never_takes_a_file_that_is_being_written(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    leftovers = Leftovers(tmp_path, Disk(), host="host")
    done = threading.Event()

    def clear() -> None:
        while not done.is_set():
            leftovers.clear_unfinished(own=True)

    threads = [threading.Thread(target=clear) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(400):
            path = incoming / f"host-{number}.part"
            descriptor = Disk().create(path)
            assert os.path.samestat(path.stat(), os.fstat(descriptor))
            path.rename(incoming / f"{number}.dcm")
            os.close(descriptor)
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_a_file_that_was_taken_away_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock, taken = tmp_path / "a.part", fcntl.flock, []

    def flock(descriptor: int, operation: int) -> None:
        if not taken:
            taken.append(path.unlink())
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    descriptor = Disk().create(path)
    try:
        assert taken
        assert os.path.samestat(path.stat(), os.fstat(descriptor))
    finally:
        os.close(descriptor)


def test_what_is_claimed_cannot_be_locked_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "a.part"
    os.close(Disk().create(path))
    with Disk().claimed(path) as is_free:
        assert is_free
        assert not Disk().is_abandoned(path)
    assert Disk().is_abandoned(path)
