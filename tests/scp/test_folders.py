import errno
import threading
from pathlib import Path

import pytest

from scp.disk import Disk
from scp.errors import SpoolFullError, SpoolUnavailableError
from scp.folders import FolderSyncs
from scp.incoming import commit_all
from scp.spool import Spool
from tests.scp.conftest import NAME_KEY, wait_for
from tests.scp.objects import STUDY, data_set, encoded
from tests.scp.test_spool import WatchedDisk, facts, receive


class GatedDisk(Disk):
    """Lets each folder sync begin and end when the test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.gate = threading.Semaphore(0)
        self.error: OSError | None = None

    def sync_folder(self, folder: Path) -> None:  # noqa: ARG002 - the disk's signature
        self.begun += 1
        assert self.gate.acquire(timeout=10)
        if self.error is not None:
            raise self.error


def start(syncs: FolderSyncs, folder: Path, outcomes: list[str]) -> threading.Thread:
    def run() -> None:
        try:
            syncs.sync(folder)
            outcomes.append("synced")
        except OSError as error:
            outcomes.append(errno.errorcode[error.errno])

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def waiting(syncs: FolderSyncs) -> int:
    return len(syncs._changed._waiters)


def test_those_who_ask_during_a_sync_share_the_next_one_and_wait_for_it(tmp_path):
    disk, outcomes = GatedDisk(), []
    syncs = FolderSyncs(disk)
    threads = [start(syncs, tmp_path, outcomes)]
    wait_for(lambda: disk.begun == 1)
    threads += [start(syncs, tmp_path, outcomes) for _ in range(5)]
    wait_for(lambda: waiting(syncs) == 5)

    disk.gate.release()
    wait_for(lambda: disk.begun == 2)
    # The first sync started before the five asked: it may not cover what they renamed.
    assert outcomes == ["synced"]

    disk.gate.release()
    for thread in threads:
        thread.join()
    assert outcomes == ["synced"] * 6
    assert disk.begun == 2


def test_another_folder_is_not_waited_for(tmp_path):
    disk, outcomes = GatedDisk(), []
    syncs = FolderSyncs(disk)
    threads = [start(syncs, tmp_path, outcomes), start(syncs, tmp_path.parent, outcomes)]
    wait_for(lambda: disk.begun == 2)
    disk.gate.release(2)
    for thread in threads:
        thread.join()


def test_a_failed_sync_fails_everybody_whom_it_was_for(tmp_path):
    disk, outcomes = GatedDisk(), []
    syncs = FolderSyncs(disk)
    threads = [start(syncs, tmp_path, outcomes)]
    wait_for(lambda: disk.begun == 1)
    threads += [start(syncs, tmp_path, outcomes) for _ in range(3)]
    wait_for(lambda: waiting(syncs) == 3)
    disk.gate.release()
    wait_for(lambda: disk.begun == 2)
    disk.error = OSError(errno.EIO, "planned")
    disk.gate.release()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["EIO", "EIO", "EIO", "synced"]
    assert disk.begun == 2


class NamingDisk(WatchedDisk):
    """Notes which file each step is for, by its place in the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[object, int] = {}
        self.failing: tuple[str, int] = ("", 0)

    def _note_for(self, step: str, key: object) -> None:
        number = self.names[key]
        self.steps.append(f"{step} {number}")
        if self.failing == (step, number):
            raise OSError(errno.ENOSPC, "planned")

    def create(self, path):
        descriptor = super().create(path)
        if path.suffix == ".part":
            self.names[descriptor] = self.names[path] = len(self.names) // 2
        return descriptor

    def sync(self, descriptor):
        self._note_for("sync", descriptor)
        Disk.sync(self, descriptor)

    def rename(self, source, target):
        self._note_for("rename", source)
        Disk.rename(self, source, target)


def batch(tmp_path: Path, *studies: str) -> tuple[Spool, NamingDisk, list]:
    disk = NamingDisk()
    spool = Spool(tmp_path / "spool", name_key=NAME_KEY, reserve_bytes=0, disk=disk)
    spool.prepare()
    incoming = []
    for number, study in enumerate(studies):
        one = spool.begin(facts(f"2.25.{number + 1}"))
        one.write(encoded(data_set(instance=f"2.25.{number + 1}", study=study)))
        incoming.append((one, study))
    disk.steps.clear()
    return spool, disk, incoming


def test_a_batch_is_synced_renamed_and_each_folder_synced_once(tmp_path):
    spool, disk, incoming = batch(tmp_path, STUDY, "2.25.9", STUDY)

    outcomes = commit_all(incoming)

    assert disk.steps == [
        "sync 0", "sync 1", "sync 2",
        "make study folder", "rename 0", "make study folder", "rename 1", "rename 2",
        "sync study folder", "sync study folder", "sync studies",
    ]  # fmt: skip
    assert sorted(one.arrival_id for one in outcomes) == sorted(one.arrival_id for one in spool.scan()[0])


@pytest.mark.parametrize("step", ["sync", "rename"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_error_of_one_object_of_a_batch_refuses_that_one_only(tmp_path, step, number):
    spool, disk, incoming = batch(tmp_path, STUDY, STUDY, STUDY)
    disk.failing = (step, number)

    outcomes = commit_all(incoming)

    assert [isinstance(one, SpoolFullError) for one in outcomes] == [index == number for index in range(3)]
    assert len(spool.scan()[0]) == 2
    assert list((spool.root / "incoming").iterdir()) == []


@pytest.mark.parametrize("step", ["sync study folder", "sync studies"])
def test_a_folder_that_cannot_be_synced_refuses_all_that_lies_in_it_and_keeps_nothing(tmp_path, step):
    spool, disk, incoming = batch(tmp_path, STUDY, "2.25.9")
    disk.fail_at = step

    outcomes = commit_all(incoming)

    assert all(isinstance(one, SpoolUnavailableError) for one in outcomes)
    assert spool.scan()[0] == []
    assert list((spool.root / "incoming").iterdir()) == []


def test_a_study_beyond_its_limit_is_refused_whoever_sent_the_rest_of_it(tmp_path):
    spool, other = (Spool(tmp_path, name_key=NAME_KEY, reserve_bytes=0, max_study_bytes=8 * 5000) for _ in range(2))
    spool.prepare()
    data = encoded(data_set()).ljust(4000, b"\0")[:4000]

    def store(into: Spool, study: str) -> None:
        one = into.begin(facts())
        one.write(data)
        one.require_study_room(study)
        one.commit(study)

    for _ in range(4):
        store(spool, STUDY)
        store(other, STUDY)

    def go_on() -> None:
        while len(spool.scan()[0]) < 20:
            store(spool, STUDY)
            store(other, STUDY)

    with pytest.raises(SpoolFullError, match="max_study_mb") as refusal:
        go_on()

    assert refusal.value.reason == "study-too-large"
    assert len(refusal.value.comment) <= 64
    assert len(spool.scan()[0]) in {8, 9}
    assert list((tmp_path / "incoming").iterdir()) == []
    receive(spool, study="2.25.9")
