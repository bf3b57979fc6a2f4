"""A spool with keys: nothing of a patient on disk, nothing lost for lack of a key, nothing read that was changed."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread

from scp.errors import SealBrokenError, SpoolFullError, SpoolKeyMissingError
from scp.sealing import SpoolKeys
from scp.spool import Arrival, Spool
from tests.scp.conftest import NAME_KEY
from tests.scp.objects import STUDY, data_set, encoded
from tests.scp.test_spool import WatchedDisk, facts, receive

KEYS = SpoolKeys(keys=(b"\x01" * 32,))
CANARIES = (b"CANARY", b"2.25.2001", STUDY.encode())


@pytest.fixture
def sealed(tmp_path: Path) -> Spool:
    return spool_at(tmp_path / "spool", KEYS)


def spool_at(root: Path, keys: SpoolKeys | None) -> Spool:
    spool = Spool(root, name_key=NAME_KEY, reserve_bytes=0, keys=keys)
    spool.prepare()
    return spool


def keys_of(arrival: Arrival) -> tuple[str, str, str]:
    return arrival.study_key, arrival.sop_key, arrival.arrival_id


def bytes_on_disk(spool: Spool) -> bytes:
    return b"".join(path.read_bytes() for path in spool.root.rglob("*") if path.is_file())


def test_an_original_comes_back_as_it_came_and_its_facts_with_it(sealed):
    arrival = receive(sealed)

    [found], _ = sealed.scan()
    assert found == arrival
    with sealed.open_original(*keys_of(arrival)) as file:
        content = file.read()
        assert len(content) == found.size_bytes
        assert content.endswith(encoded(data_set()))
        file.seek(0)
        assert dcmread(file).PatientID == "CANARY-1"


def test_nothing_that_identifies_lies_in_the_folder_at_any_moment(sealed):
    incoming = sealed.begin(facts())
    content = encoded(data_set())
    assert all(canary in content for canary in CANARIES)
    for at in range(0, len(content), 100):
        incoming.write(memoryview(content)[at : at + 100])
        assert not any(canary in bytes_on_disk(sealed) for canary in CANARIES)
    assert incoming.read_head(1000) == content[:1000]
    arrival = incoming.commit(STUDY)
    sealed.write_beside(*keys_of(arrival), "findings.json", b"CANARY")
    sealed.write_beside_study(arrival.study_key, "receipt.json", b"CANARY")
    (sealed.root / "request").write_bytes(sealed.seal("request", b"CANARY"))

    assert not any(canary in bytes_on_disk(sealed) for canary in CANARIES)
    assert sealed.read_beside(*keys_of(arrival), "findings.json") == b"CANARY"
    assert sealed.read_beside_study(arrival.study_key, "receipt.json") == b"CANARY"
    assert sealed.unseal("request", (sealed.root / "request").read_bytes()) == b"CANARY"


def test_the_head_of_a_long_object_is_read_across_chunks_while_it_arrives(sealed):
    incoming = sealed.begin(facts())
    content = os.urandom(300_000)
    for at in range(0, len(content), 7001):
        incoming.write(content[at : at + 7001])
    assert incoming.read_head(64 * 1024) == content[: 64 * 1024]
    assert incoming.read_head(4 * 1024 * 1024) == content
    assert incoming.data_bytes == len(content)
    incoming.abandon()
    assert list((sealed.root / "incoming").iterdir()) == []


def test_without_the_key_nothing_goes_to_quarantine_and_with_it_all_is_there_again(sealed, caplog):
    arrival = receive(sealed)

    for keys in (None, SpoolKeys(keys=(b"\x02" * 32,))):
        keyless = spool_at(sealed.root, keys)
        assert keyless.scan()[0] == []
        assert keyless.quarantined() == 0
        with pytest.raises(SpoolKeyMissingError):
            keyless.open_original(*keys_of(arrival))
        assert "not configured" in caplog.text

    assert [found.arrival_id for found in spool_at(sealed.root, KEYS).scan()[0]] == [arrival.arrival_id]


def test_plain_and_sealed_files_live_in_one_spool(tmp_path):
    plain = spool_at(tmp_path / "spool", None)
    old = receive(plain, "2.25.1")
    plain.write_beside(*keys_of(old), "findings.json", b"old")
    sealed = spool_at(tmp_path / "spool", KEYS)
    new = receive(sealed, "2.25.2")

    assert {found.arrival_id for found in sealed.scan()[0]} == {old.arrival_id, new.arrival_id}
    assert sealed.read_beside(*keys_of(old), "findings.json") == b"old"
    for arrival in (old, new):
        with sealed.open_original(*keys_of(arrival)) as file:
            assert file.read(132).endswith(b"DICM")


@pytest.mark.parametrize("place", ["header", "start", "end"])
def test_a_changed_file_goes_to_quarantine_when_the_spool_is_scanned(sealed, place):
    arrival, good = receive(sealed, "2.25.1"), receive(sealed, "2.25.2")
    path = sealed.path(*keys_of(arrival))
    content = bytearray(path.read_bytes())
    content[{"header": 40, "start": 70, "end": -1}[place]] ^= 1
    path.write_bytes(content)

    assert [found.arrival_id for found in sealed.scan()[0]] == [good.arrival_id]
    assert sealed.quarantined() == 1


def test_a_change_in_the_middle_is_noticed_by_whoever_reads_it(sealed):
    incoming = sealed.begin(facts())
    incoming.write(bytes(300_000))
    arrival = incoming.commit(STUDY)
    path = sealed.path(*keys_of(arrival))
    content = bytearray(path.read_bytes())
    content[150_000] ^= 1
    path.write_bytes(content)

    with sealed.open_original(*keys_of(arrival)) as file, pytest.raises(SealBrokenError):
        file.read()


def test_two_originals_cannot_be_swapped_within_a_study_or_between_studies(sealed):
    one, other = receive(sealed, "2.25.1"), receive(sealed, "2.25.2")
    elsewhere = receive(sealed, "2.25.1", study="2.25.99")
    a, b, c = (sealed.path(*keys_of(arrival)) for arrival in (one, other, elsewhere))
    a_bytes, b_bytes = a.read_bytes(), b.read_bytes()
    a.write_bytes(b_bytes)
    b.write_bytes(a_bytes)
    b.rename(c.parent / b.name)

    for arrival in (one, replace(other, study_key=elsewhere.study_key)):
        with pytest.raises(SealBrokenError):
            sealed.open_original(*keys_of(arrival))
    assert [found.arrival_id for found in sealed.scan()[0]] == [elsewhere.arrival_id]
    assert sealed.quarantined() == 2


def test_what_is_derived_cannot_be_passed_off_as_another(sealed):
    one, other = receive(sealed, "2.25.1"), receive(sealed, "2.25.2")
    sealed.write_beside(*keys_of(one), "findings.json", b"one")
    sealed.beside(*keys_of(one), "findings.json").rename(sealed.beside(*keys_of(other), "findings.json"))
    with pytest.raises(SealBrokenError):
        sealed.read_beside(*keys_of(other), "findings.json")
    with pytest.raises(SealBrokenError):
        sealed.unseal("b", sealed.seal("a", b"content"))


def test_a_write_that_fails_on_the_first_byte_leaves_nothing(tmp_path):
    """The header of the seal is the first thing that is written."""
    disk = WatchedDisk()
    spool = Spool(tmp_path / "spool", name_key=NAME_KEY, reserve_bytes=0, keys=KEYS, disk=disk)
    spool.prepare()
    disk.steps.clear()
    disk.fail_at, disk.error = "write", 28
    with pytest.raises(SpoolFullError):
        spool.begin(facts())
    assert list((spool.root / "incoming").iterdir()) == []
