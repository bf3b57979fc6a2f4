"""Sealing a spool anew: nothing lost, doubled or brought back, wherever it stops, whatever goes on beside it."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scp.commitment_data import Reference
from scp.commitment_files import CommitmentResult
from scp.disk import Disk
from scp.errors import SpoolFullError
from scp.key_marks import KeyMarks
from scp.peers import CommitmentRule
from scp.rekeying import Rekeying
from scp.sealing import SpoolKeys, sealed_under
from scp.spool import Arrival, Spool
from tests.scp.conftest import NAME_KEY
from tests.scp.objects import CT
from tests.scp.test_sealed_spool import bytes_on_disk, keys_of, spool_at
from tests.scp.test_spool import receive

OLD = SpoolKeys(keys=(b"\x01" * 32,))
NEW = SpoolKeys(keys=(b"\x02" * 32,))
BOTH = SpoolKeys(keys=NEW.keys + OLD.keys)
CHECKOUT = Path(__file__).parents[2]


def filled(root: Path, keys: SpoolKeys | None, count: int = 4) -> list[Arrival]:
    """A spool with some originals, things beside them, and a request in a folder of its own."""
    spool = spool_at(root, keys)
    if keys is not None:
        KeyMarks(root).add(keys.ids[0])
    arrivals = [receive(spool, f"2.25.{number + 1}", study=f"2.25.{77 + number // 2}") for number in range(count)]
    spool.write_beside(*keys_of(arrivals[0]), "findings.json", b"CANARY findings")
    spool.write_beside_study(arrivals[0].study_key, "receipt.json", b"CANARY receipt")
    (root / "requests").mkdir()
    (root / "requests" / "a.json").write_bytes(spool.seal("requests/a.json", b"CANARY request"))
    return arrivals


def contents(spool: Spool, arrivals: list[Arrival]) -> list[bytes]:
    found = []
    for arrival in arrivals:
        with spool.open_original(*keys_of(arrival)) as file:
            found.append(file.read())
    beside = spool.read_beside(*keys_of(arrivals[0]), "findings.json")
    of_study = spool.read_beside_study(arrivals[0].study_key, "receipt.json")
    request = spool.unseal("requests/a.json", (spool.root / "requests" / "a.json").read_bytes())
    return [*found, beside or b"", of_study or b"", request]


def ids_on_disk(root: Path) -> list[str | None]:
    found = []
    for path in (root / "studies").rglob("*-*"):
        with path.open("rb") as file:
            found.append(sealed_under(file))
    return found


def test_everything_is_sealed_under_the_first_key_and_the_old_one_needed_no_more(tmp_path):
    arrivals = filled(tmp_path, OLD)
    before = contents(spool_at(tmp_path, OLD), arrivals)
    listed = spool_at(tmp_path, OLD).scan()[0]
    steps = []

    rekeying = Rekeying(spool_at(tmp_path, BOTH), BOTH)
    done = rekeying.run(lambda: steps.append(1))

    assert (done.sealed, done.was_plain, done.current, done.gone, done.is_complete) == (7, 0, 0, 0, True)
    assert len(steps) == 7
    assert rekeying.needed() == {NEW.ids[0]}
    assert KeyMarks(tmp_path).ids() == [NEW.ids[0]]
    only_new = spool_at(tmp_path, NEW)
    assert contents(only_new, arrivals) == before
    assert only_new.scan()[0] == listed
    assert only_new.quarantined() == 0
    again = rekeying.run()
    assert (again.sealed, again.current) == (0, 7)


def test_plain_originals_are_sealed_too_and_leave_no_plain_bytes(tmp_path):
    arrivals = filled(tmp_path, None)
    before = contents(spool_at(tmp_path, None), arrivals)
    (tmp_path / "requests" / "a.json").unlink()  # plain files of other folders are their owners' affair

    done = Rekeying(spool_at(tmp_path, NEW), NEW).run()

    assert (done.sealed, done.was_plain) == (6, 6)
    assert b"CANARY" not in bytes_on_disk(spool_at(tmp_path, NEW))
    (tmp_path / "requests" / "a.json").write_bytes(b"CANARY request")
    assert contents(spool_at(tmp_path, NEW), arrivals) == before


class KillingDisk(Disk):
    """Ends the process at a chosen file operation."""

    def __init__(self, operation: str, number: int) -> None:
        self.operation, self.left = operation, number

    def _count(self, operation: str) -> None:
        if operation == self.operation:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def write(self, descriptor, data):
        self._count("write")
        super().write(descriptor, data)

    def sync(self, descriptor):
        self._count("sync")
        super().sync(descriptor)

    def rename(self, source, target):
        self._count("before rename")
        super().rename(source, target)
        self._count("after rename")


@pytest.mark.parametrize("operation", ["write", "sync", "before rename", "after rename"])
def test_a_kill_at_any_step_loses_nothing_and_a_second_run_ends_it(tmp_path, operation):
    arrivals = filled(tmp_path, OLD)
    before = contents(spool_at(tmp_path, OLD), arrivals)
    code = (
        "from pathlib import Path\n"
        "from scp.rekeying import Rekeying\n"
        "from tests.scp.test_rekeying import BOTH, KillingDisk, spool_at\n"
        f"Rekeying(spool_at(Path({str(tmp_path)!r}), BOTH), BOTH, KillingDisk({operation!r}, 3)).run()\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert set(ids_on_disk(tmp_path)) == {OLD.ids[0], NEW.ids[0]} or operation == "write"

    halfway = spool_at(tmp_path, BOTH)
    assert contents(halfway, arrivals) == before
    assert len(halfway.scan()[0]) == len(arrivals)
    Rekeying(halfway, BOTH).run()

    assert contents(spool_at(tmp_path, NEW), arrivals) == before
    assert len(spool_at(tmp_path, NEW).scan()[0]) == len(arrivals)
    assert list((tmp_path / "incoming").iterdir()) == []


class InterferingDisk(Disk):
    """Does something else in the moment when a file has been written anew and not yet renamed."""

    def __init__(self, interfere) -> None:
        self.interfere = interfere

    def sync(self, descriptor):
        super().sync(descriptor)
        self.interfere()


def test_what_is_purged_meanwhile_does_not_come_back(tmp_path):
    arrivals = filled(tmp_path, OLD)
    spool = spool_at(tmp_path, BOTH)

    def purge() -> None:
        for arrival in arrivals:
            spool.remove(*keys_of(arrival))

    done = Rekeying(spool, BOTH, InterferingDisk(purge)).run()

    assert (done.sealed, done.gone) == (1, 6)  # the request alone
    assert spool.scan()[0] == []
    assert [path for path in (tmp_path / "studies").rglob("*") if path.is_file()] == []


def test_what_is_derived_anew_meanwhile_is_not_replaced_by_the_old(tmp_path):
    arrivals = filled(tmp_path, OLD, count=1)
    spool = spool_at(tmp_path, BOTH)

    def derive() -> None:
        spool.write_beside(*keys_of(arrivals[0]), "findings.json", b"newer")

    Rekeying(spool, BOTH, InterferingDisk(derive)).run()

    assert spool.read_beside(*keys_of(arrivals[0]), "findings.json") == b"newer"
    assert set(ids_on_disk(tmp_path)) == {NEW.ids[0]}


def test_an_object_that_arrives_meanwhile_is_whole_and_listed_once(tmp_path):
    arrivals = filled(tmp_path, OLD, count=2)
    spool = spool_at(tmp_path, BOTH)
    late: list[Arrival] = []

    def arrive() -> None:
        late.append(receive(spool, f"2.25.9{len(late)}", study="2.25.77"))

    Rekeying(spool, BOTH, InterferingDisk(arrive)).run()

    assert late
    found = [arrival.arrival_id for arrival in spool.scan()[0]]
    assert sorted(found) == sorted(arrival.arrival_id for arrival in (*arrivals, *late))


def test_files_that_cannot_be_opened_stay_as_they_are_and_are_named(tmp_path):
    arrivals = filled(tmp_path, OLD)
    spool = spool_at(tmp_path, NEW)
    keyless = Rekeying(spool, NEW).run()
    assert (keyless.sealed, len(keyless.keyless), keyless.is_complete) == (0, 7, False)

    path = spool.path(*keys_of(arrivals[0]))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    rekeying = Rekeying(spool_at(tmp_path, BOTH), BOTH)
    broken = rekeying.run()
    assert (broken.sealed, broken.broken) == (6, [path])
    assert path.read_bytes() == content
    assert OLD.ids[0] in rekeying.needed()
    assert KeyMarks(tmp_path).ids() == sorted((OLD.ids[0], NEW.ids[0]))


def test_no_room_for_a_second_copy_stops_before_anything_is_touched(tmp_path):
    arrivals = filled(tmp_path, OLD)
    tight = Spool(tmp_path, name_key=NAME_KEY, reserve_bytes=1 << 60, keys=BOTH)
    with pytest.raises(SpoolFullError):
        Rekeying(tight, BOTH).run()
    assert len(contents(spool_at(tmp_path, OLD), arrivals)) == len(arrivals) + 3


def test_a_commitment_s_result_is_sealed_anew_unless_somebody_is_reporting_it(tmp_path):
    filled(tmp_path, OLD, count=1)
    spool, both = spool_at(tmp_path, OLD), spool_at(tmp_path, BOTH)
    for number in (1, 2):
        spool.commitments.decide(result(number))
    claimed = spool.commitments.claim(result(1).request_id)
    assert claimed is not None

    first = Rekeying(both, BOTH)
    assert first.run().in_use == 1
    assert first.needed() == {OLD.ids[0], NEW.ids[0]}

    claimed.taken()  # it is kept under the name of its stage then
    assert Rekeying(both, BOTH).run().is_complete
    assert Rekeying(both, BOTH).needed() == {NEW.ids[0]}
    other = spool_at(tmp_path, NEW).commitments.claim(result(2).request_id)
    assert other is not None
    assert other.result == result(2)
    other.give_back()


def result(number: int) -> CommitmentResult:
    return CommitmentResult(
        request_id=f"{number:032x}",
        identified_transaction_uid=f"2.25.{number}",
        succeeded=(Reference(sop_class_uid=CT, identified_sop_instance_uid="2.25.2001"),),
        failed=(),
        calling_ae="MODALITY",
        called_ae="CASEBRIDGE",
        peer_address="10.1.2.3",
        association_id="a" * 32,
        reports_to=CommitmentRule(host="10.1.2.3", port=104),
        decided_at=datetime(2026, 3, 4, tzinfo=UTC),
    )
