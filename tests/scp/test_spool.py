import errno
import os
import re
import stat
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from scp.arrival import ArrivalFacts, new_arrival_id
from scp.disk import Disk
from scp.errors import SpoolFullError, SpoolUnavailableError
from scp.spool import Arrival, Spool
from tests.scp.objects import CT, STUDY, data_set, encoded

EXPLICIT = "1.2.840.10008.1.2.1"


def facts(instance: str = "2.25.2001") -> ArrivalFacts:
    return ArrivalFacts(
        sop_class_uid=CT,
        identified_sop_instance_uid=instance,
        transfer_syntax_uid=EXPLICIT,
        calling_ae="MODALITY",
        called_ae="CASEBRIDGE",
        peer_address="10.1.2.3",
        association_id="a" * 32,
    )


def receive(spool: Spool, instance: str = "2.25.2001", study: str = STUDY) -> Arrival:
    incoming = spool.begin(facts(instance))
    incoming.write(encoded(data_set(instance=instance, study=study)))
    return incoming.commit(study)


def age(folder: Path, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(folder, (moment, moment))


class WatchedDisk(Disk):
    """Notes the order of file operations; fails where it is told to."""

    def __init__(self, fail_at: str = "", error: int = errno.EIO, free: int | None = None) -> None:
        self.steps: list[str] = []
        self.fail_at = fail_at
        self.error = error
        self.free = free

    def _note(self, step: str) -> None:
        self.steps.append(step)
        if step == self.fail_at:
            raise OSError(self.error, "planned")

    def write(self, descriptor, data):
        if "write" not in self.steps:
            self._note("write")
        super().write(descriptor, data)

    def sync(self, descriptor):
        self._note("sync file")
        super().sync(descriptor)

    def rename(self, source, target):
        self._note("rename")
        super().rename(source, target)

    def sync_folder(self, folder):
        self._note("sync study folder" if len(folder.name) == 32 else f"sync {folder.name}")
        super().sync_folder(folder)

    def make_folder(self, folder):
        if len(folder.name) == 32:
            self._note("make study folder")
        super().make_folder(folder)

    def free_bytes(self, folder):
        return super().free_bytes(folder) if self.free is None else self.free


def watched(tmp_path: Path, **kwargs: object) -> tuple[Spool, WatchedDisk]:
    disk = WatchedDisk()
    spool = Spool(tmp_path / "spool", name_key=b"k" * 32, reserve_bytes=1000, disk=disk)
    spool.prepare()
    disk.steps.clear()
    for name, value in kwargs.items():
        setattr(disk, name, value)
    return spool, disk


def test_an_instance_is_synced_renamed_and_its_folders_synced(tmp_path):
    spool, disk = watched(tmp_path)

    receive(spool)

    assert disk.steps == ["write", "sync file", "make study folder", "rename", "sync study folder", "sync studies"]


def test_the_studies_folder_is_synced_even_where_another_process_made_the_study(tmp_path):
    spool, disk = watched(tmp_path)
    (spool.root / "studies" / spool.study_key(STUDY)).mkdir()

    receive(spool)
    assert disk.steps[-2:] == ["sync study folder", "sync studies"]

    disk.steps.clear()
    receive(spool, "2.25.2002")
    assert disk.steps == ["write", "sync file", "rename", "sync study folder"]


def test_a_study_folder_cleared_in_between_is_made_again(tmp_path):
    spool, disk = watched(tmp_path)
    first = receive(spool)
    spool.remove(first.study_key, first.sop_key, first.arrival_id)
    (spool.root / "studies" / first.study_key).rmdir()
    disk.steps.clear()

    second = receive(spool, "2.25.2002")

    assert disk.steps[-2:] == ["sync study folder", "sync studies"]
    assert spool.path(second.study_key, second.sop_key, second.arrival_id).exists()


@pytest.mark.parametrize(
    "step", ["write", "sync file", "make study folder", "rename", "sync study folder", "sync studies"]
)
@pytest.mark.parametrize(("code", "error"), [(errno.ENOSPC, SpoolFullError), (errno.EIO, SpoolUnavailableError)])
def test_a_failing_step_leaves_nothing_behind(tmp_path, step, code, error):
    spool, _ = watched(tmp_path, fail_at=step, error=code)

    with pytest.raises(error):
        receive(spool)

    assert spool.scan()[0] == []
    assert list((spool.root / "incoming").iterdir()) == []


def test_an_arrival_says_all_that_the_association_knew(spool):
    before = datetime.now(UTC)
    arrival = receive(spool)

    [found], _ = spool.scan()

    assert found == arrival
    assert (found.calling_ae, found.called_ae, found.peer_address) == ("MODALITY", "CASEBRIDGE", "10.1.2.3")
    assert (found.sop_class_uid, found.transfer_syntax_uid, found.association_id) == (CT, EXPLICIT, "a" * 32)
    assert before <= found.received_at <= datetime.now(UTC)
    assert found.size_bytes == spool.path(found.study_key, found.sop_key, found.arrival_id).stat().st_size


def test_a_file_is_a_part_10_file_with_the_data_set_as_it_came(spool):
    arrival = receive(spool)
    path = spool.path(arrival.study_key, arrival.sop_key, arrival.arrival_id)

    data = dcmread(path)

    assert path.read_bytes().endswith(encoded(data_set()))
    assert path.read_bytes()[:132] == bytes(128) + b"DICM"
    assert data.file_meta.MediaStorageSOPInstanceUID == "2.25.2001"
    assert data.file_meta.TransferSyntaxUID == EXPLICIT
    assert data.file_meta.SourceApplicationEntityTitle == "MODALITY"
    assert data.PatientID == "CANARY-1"


def test_names_say_nothing_and_only_the_owner_may_read(spool):
    receive(spool)

    for path in [spool.root, *spool.root.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    names = [path.name for path in (spool.root / "studies").rglob("*")]
    assert len(names) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}(-[0-9a-f]{32}\.dcm)?", name) for name in names)


def test_names_depend_on_the_secret(tmp_path):
    one, other = (Spool(tmp_path, name_key=key * 32, reserve_bytes=0) for key in (b"a", b"b"))

    assert one.study_key("1.2.3") != other.study_key("1.2.3")
    assert one.study_key("1.2.3") != one.sop_key("1.2.3")


def test_arrival_ids_sort_by_time_and_are_unique():
    ids = [new_arrival_id() for _ in range(5000)]

    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", one) for one in ids)


def test_a_scan_with_a_mark_reads_only_folders_that_changed(spool):
    old = receive(spool, "2.25.1", study="2.25.11")
    new = receive(spool, "2.25.2", study="2.25.22")
    for arrival in (old, new):
        age(spool.root / "studies" / arrival.study_key, 60)
    found, mark = spool.scan()
    assert {one.arrival_id for one in found} == {old.arrival_id, new.arrival_id}
    assert spool.scan(mark)[0] == []

    late = receive(spool, "2.25.3", study="2.25.22")

    assert {one.arrival_id for one in spool.scan(mark)[0]} == {new.arrival_id, late.arrival_id}


def test_a_folder_touched_just_now_is_looked_at_again(spool):
    arrival = receive(spool)

    _, mark = spool.scan()

    assert [one.arrival_id for one in spool.scan(mark)[0]] == [arrival.arrival_id]


@pytest.mark.parametrize("name", ["{0}.dcm", "foreign name.dcm"])
def test_what_we_did_not_write_goes_to_quarantine(spool, name):
    arrival = receive(spool)
    good = spool.path(arrival.study_key, arrival.sop_key, arrival.arrival_id)
    bad = good.with_name(name.format(f"{'c' * 32}-{'d' * 32}"))
    bad.write_bytes(good.read_bytes()[:200] if name.startswith("{") else b"x")

    found, _ = spool.scan()

    assert [one.arrival_id for one in found] == [arrival.arrival_id]
    assert spool.quarantined() == 1
    assert not bad.exists()


def test_a_copy_under_another_name_goes_to_quarantine(spool):
    arrival = receive(spool)
    good = spool.path(arrival.study_key, arrival.sop_key, arrival.arrival_id)
    good.with_name(f"{arrival.sop_key}-{'d' * 32}.dcm").write_bytes(good.read_bytes())

    assert len(spool.scan()[0]) == 1
    assert spool.quarantined() == 1


def test_removing_an_arrival_removes_what_lies_beside_it_and_can_be_repeated(spool):
    arrival, other = receive(spool, "2.25.1"), receive(spool, "2.25.2")
    keys = (arrival.study_key, arrival.sop_key, arrival.arrival_id)
    spool.beside(*keys, "screen.json").write_text("{}")
    spool.beside(*keys, "png").write_bytes(b"png")

    spool.remove(*keys)
    spool.remove(*keys)

    assert [path.name for path in spool.path(*keys).parent.iterdir()] == [f"{other.sop_key}-{other.arrival_id}.dcm"]
    spool.remove("0" * 32, "1" * 32, "2" * 32)


def test_what_is_derived_is_read_again_and_replaced_whole(spool):
    arrival = receive(spool)
    keys = (arrival.study_key, arrival.sop_key, arrival.arrival_id)
    assert spool.read_beside(*keys, "findings.json") is None
    assert spool.read_beside_study(arrival.study_key, "receipt.json") is None

    for content in (b"first", b"second"):
        spool.write_beside(*keys, "findings.json", content)
        spool.write_beside_study(arrival.study_key, "receipt.json", content)

    assert spool.read_beside(*keys, "findings.json") == b"second"
    assert spool.read_beside_study(arrival.study_key, "receipt.json") == b"second"
    assert len(list(spool.path(*keys).parent.iterdir())) == 3
    with spool.open_original(*keys) as file:
        assert file.read().endswith(encoded(data_set()))


def test_what_is_derived_from_a_study_goes_with_its_last_original_and_never_comes_after_it(spool):
    first, last = receive(spool, "2.25.1"), receive(spool, "2.25.2")
    spool.write_beside_study(first.study_key, "receipt.json", b"{}")

    spool.remove(first.study_key, first.sop_key, first.arrival_id)
    assert spool.read_beside_study(first.study_key, "receipt.json") == b"{}"
    with pytest.raises(FileNotFoundError):
        spool.write_beside(first.study_key, first.sop_key, first.arrival_id, "findings.json", b"{}")
    spool.remove(last.study_key, last.sop_key, last.arrival_id)
    with pytest.raises(FileNotFoundError):
        spool.write_beside_study(first.study_key, "receipt.json", b"{}")

    assert list((spool.root / "studies" / first.study_key).iterdir()) == []


@pytest.mark.parametrize("step", ["write", "sync file", "rename"])
def test_what_could_not_be_derived_leaves_the_old_one_and_no_draft(tmp_path, step):
    spool, disk = watched(tmp_path)
    arrival = receive(spool)
    keys = (arrival.study_key, arrival.sop_key, arrival.arrival_id)
    spool.write_beside(*keys, "findings.json", b"old")
    disk.steps.clear()
    disk.fail_at = step

    with pytest.raises(OSError, match="planned"):
        spool.write_beside(*keys, "findings.json", b"new")

    assert spool.read_beside(*keys, "findings.json") == b"old"
    assert len(list(spool.path(*keys).parent.iterdir())) == 2


@pytest.mark.parametrize("key", ["../../etc", "A" * 32, "", "0" * 31])
def test_keys_that_are_not_ours_make_no_path(spool, key):
    with pytest.raises(ValueError, match="32"):
        spool.path(key, "0" * 32, "1" * 32)
    with pytest.raises(ValueError, match="32"):
        spool.remove("0" * 32, key, "1" * 32)


@pytest.mark.parametrize("suffix", ["dcm", "../x", "", "a/b", "X"])
def test_suffixes_that_are_no_plain_names_make_no_path(spool, suffix):
    with pytest.raises(ValueError, match="suffix"):
        spool.beside("0" * 32, "0" * 32, "1" * 32, suffix)


def test_long_empty_study_folders_are_cleared_by_a_full_scan(spool):
    arrival = receive(spool)
    spool.remove(arrival.study_key, arrival.sop_key, arrival.arrival_id)
    folder = spool.root / "studies" / arrival.study_key
    spool.scan()
    assert folder.exists()

    age(folder, 7200)
    spool.scan()

    assert not folder.exists()


def test_an_object_over_the_limit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, name_key=b"k" * 32, reserve_bytes=0, max_object_bytes=5000)
    spool.prepare()
    incoming = spool.begin(facts("2.25.2001"))
    incoming.write(bytes(4000))
    with pytest.raises(SpoolFullError, match="larger") as refused:
        incoming.write(bytes(1000))
    assert refused.value.reason == "object-too-large"
    assert not any((tmp_path / "incoming").iterdir())
    assert receive(spool).size_bytes < 5000


def test_the_reserve_is_never_touched(tmp_path):
    spool, disk = watched(tmp_path, free=1000 + 3 * 1024 * 1024)
    with pytest.raises(SpoolFullError):
        spool.begin(facts())

    disk.free = 1000 + 9 * 1024 * 1024
    incoming = spool.begin(facts())
    disk.free = 1000 + 1024 * 1024
    incoming.write(bytes(2 * 1024 * 1024))
    with pytest.raises(SpoolFullError):
        incoming.write(bytes(3 * 1024 * 1024))

    assert list((spool.root / "incoming").iterdir()) == []
    assert not spool.has_room(2 * 1024 * 1024)
    assert spool.has_room(1024 * 1024)


def test_prepare_drops_what_a_killed_process_left_and_nothing_else(spool):
    alive = spool.begin(facts("2.25.5"))
    code = (
        "import os, signal, sys; from pathlib import Path; from scp.spool import Spool\n"
        "from tests.scp.test_spool import facts\n"
        f"spool = Spool(Path({str(spool.root)!r}), name_key=b'n' * 32, reserve_bytes=0)\n"
        "incoming = spool.begin(facts()); incoming.write(b'half')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2])
    foreign = spool.root / "incoming" / f"{'0' * 8}-{'1' * 32}.part"
    foreign.write_bytes(b"of another host")
    assert len(list((spool.root / "incoming").iterdir())) == 3

    spool.prepare()
    assert len(list((spool.root / "incoming").iterdir())) == 2

    age(foreign, 7200)
    spool.prepare()
    alive.write(encoded(data_set(instance="2.25.5")))
    alive.commit(STUDY)
    assert len(spool.scan()[0]) == 1
    assert list((spool.root / "incoming").iterdir()) == []


def test_two_hosts_write_one_spool(spool):
    other = Spool(spool.root, name_key=b"n" * 32, reserve_bytes=0)
    other.prepare()
    threads = [
        threading.Thread(target=lambda s=s, n=n: [receive(s, f"2.25.{n}{i}") for i in range(20)])
        for n, s in enumerate((spool, other, spool, other), start=1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found, _ = spool.scan()

    assert len(found) == 80
    assert len({one.study_key for one in found}) == 1


def test_a_large_object_is_on_its_way_to_the_disk_while_it_arrives(tmp_path):
    class Starting(WatchedDisk):
        def start_write(self, descriptor):
            self.steps.append("start write")
            super().start_write(descriptor)

    disk = Starting()
    spool = Spool(tmp_path / "spool", name_key=b"k" * 32, reserve_bytes=0, disk=disk)
    spool.prepare()
    disk.steps.clear()
    incoming = spool.begin(facts())
    for _ in range(20):
        incoming.write(bytes(1024 * 1024))
    incoming.abandon()

    assert disk.steps == ["write", "start write", "start write"]
