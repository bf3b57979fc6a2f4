"""What an original tells for its receipt: numbers for the database, the accession's end beside the originals alone."""

import errno
import io
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.receipt_marks import SUFFIX, SpoolMarks, instance_facts, keep_accession_end
from bridge.retention import Retention
from cases.blobs import LocalBlobs
from cases.intake import InstanceFacts, InstanceOutcome, NewArrival
from cases.store import Database, Intake
from config import load_settings
from deidentify.dataset import ReceivedInstance
from deidentify.parser import read_instance
from scp.arrival import Arrival
from scp.sealing import SpoolKeys
from scp.spool import Spool
from tests.bridge.spooled import arrive, spool_in
from tests.builders import ct_instance, uid, write_part10
from tests.cases.world import INBOX

KEY = b"k" * 32


def received(**values: Any) -> ReceivedInstance:
    return read_instance(io.BytesIO(write_part10(ct_instance(**values))))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return spool_in(tmp_path)


def test_the_numbers_of_a_header_are_read_and_the_series_is_keyed() -> None:
    facts = instance_facts(
        received(
            series=3,
            number=17,
            AcquisitionNumber="2",
            NumberOfStudyRelatedInstances="325",
            NumberOfSeriesRelatedInstances="40",
            ImagesInAcquisition="38",
        ),
        KEY,
    )
    assert facts == InstanceFacts(
        series_key=facts.series_key,
        instance_number=17,
        acquisition_number=2,
        stated_study=325,
        stated_series=40,
        stated_acquisition=38,
        layout_key=facts.layout_key,
        rows=facts.rows,
        columns=facts.columns,
    )
    assert facts.series_key == instance_facts(received(series=3, number=99), KEY).series_key
    assert facts.series_key != instance_facts(received(series=4, number=17), KEY).series_key
    assert facts.series_key != instance_facts(received(series=3, number=17), b"x" * 32).series_key
    assert uid(1, 3) not in repr(facts)


@pytest.mark.parametrize("written", ["", "one", "1_000", "12\\13", "99999999999", "4294967296", "٣"])
def test_what_is_no_number_is_none(written: str) -> None:
    instance = ct_instance()
    instance.InstanceNumber = None
    whole = write_part10(instance)
    data = read_instance(io.BytesIO(whole))
    for element in data.identified_elements:
        if element.tag == 0x00200013:
            element.value = written.encode("latin-1", "replace")
    assert instance_facts(data, KEY).instance_number is None


@pytest.mark.parametrize(("written", "number"), [("0", None), ("-5", None), ("+7 ", 7), (" 12", 12)])
def test_a_count_that_is_stated_is_more_than_nothing(written: str, number: int | None) -> None:
    data = received(NumberOfStudyRelatedInstances="1")
    for element in data.identified_elements:
        if element.tag == 0x00201208:
            element.value = written.encode()
    assert instance_facts(data, KEY).stated_study == number


@pytest.mark.parametrize(
    ("number", "end"), [("ACC-260304-4711", "4711"), ("12", "12"), ("", None), ("A\tB", None), ("Ä-99Ö", "-99Ö")]
)
def test_the_end_of_the_accession_number_lies_beside_the_originals(spool: Spool, number: str, end: str | None) -> None:
    arrived = arrive(spool, 1)
    keep_accession_end(spool, arrived.study_key, received(AccessionNumber=number, SpecificCharacterSet="ISO_IR 100"))
    assert SpoolMarks(spool=spool).identified_accession_end(arrived.study_key) == end


def test_it_is_written_once(spool: Spool) -> None:
    arrived = arrive(spool, 1)
    for number in ("ACC-1111", "ACC-2222"):
        keep_accession_end(spool, arrived.study_key, received(AccessionNumber=number))
    assert SpoolMarks(spool=spool).identified_accession_end(arrived.study_key) == "1111"


def test_it_is_not_shown_once_the_last_original_is_in_quarantine(spool: Spool) -> None:
    arrived = arrive(spool, 1)
    keep_accession_end(spool, arrived.study_key, received(AccessionNumber="ACC-4711"))
    spool.path(arrived.study_key, arrived.sop_key, arrived.arrival_id).write_bytes(b"damaged")
    spool.scan()
    assert spool.quarantined() == 1
    assert SpoolMarks(spool=spool).identified_accession_end(arrived.study_key) is None


def test_it_never_comes_after_the_originals(spool: Spool) -> None:
    arrived = arrive(spool, 1)
    spool.remove(arrived.study_key, arrived.sop_key, arrived.arrival_id)
    keep_accession_end(spool, arrived.study_key, received(AccessionNumber="ACC-1111"))
    assert list((spool.root / "studies" / arrived.study_key).iterdir()) == []


def test_it_is_sealed_where_the_originals_are(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", name_key=b"n" * 32, reserve_bytes=0, keys=SpoolKeys(keys=(bytes(32),)))
    spool.prepare()
    arrived = arrive(spool, 1)
    keep_accession_end(spool, arrived.study_key, received(AccessionNumber="ACC-4711"))
    assert SpoolMarks(spool=spool).identified_accession_end(arrived.study_key) == "4711"
    assert all(b"4711" not in path.read_bytes() for path in spool.root.rglob("*") if path.is_file())


def test_a_disk_that_does_not_take_it_costs_the_receipt_its_mark_and_the_study_nothing(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    arrived = arrive(spool, 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Spool, "write_beside_study", full)
    with caplog.at_level(logging.WARNING):
        keep_accession_end(spool, arrived.study_key, received(AccessionNumber="ACC-4711"))
    assert "without the end of its accession number" in caplog.text
    assert "4711" not in caplog.text
    assert SpoolMarks(spool=spool).identified_accession_end(arrived.study_key) is None


@pytest.mark.parametrize("content", [b"", b"nonsense", b"[]", b"{}"])
def test_a_damaged_mark_is_none(spool: Spool, content: bytes) -> None:
    arrived = arrive(spool, 1)
    spool.write_beside_study(arrived.study_key, SUFFIX, content)
    assert SpoolMarks(spool=spool).identified_accession_end(arrived.study_key) is None


def recorded(database: Database, arrived: Arrival, *, days: float) -> None:
    row = NewArrival(
        arrival_id=arrived.arrival_id,
        study_key=arrived.study_key,
        sop_key=arrived.sop_key,
        sop_class_uid=arrived.sop_class_uid,
        transfer_syntax_uid=arrived.transfer_syntax_uid,
        calling_ae=arrived.calling_ae,
        called_ae=arrived.called_ae,
        peer_address=arrived.peer_address,
        association_id=arrived.association_id,
        received_at=datetime.now(UTC) - timedelta(days=days),
        size_bytes=arrived.size_bytes,
    )
    moment = datetime.now(UTC) - timedelta(days=days)
    with database.write() as session:
        Intake(session).record([row], destination=INBOX, now=moment)
        Intake(session).assign_generation(f"{arrived.study_key}-{INBOX.id}")
        Intake(session).finish(arrived.arrival_id, InstanceOutcome.FILED)


def test_the_retention_of_the_last_original_takes_it_along(database: Database, spool: Spool, tmp_path: Path) -> None:
    first, last = arrive(spool, 1, 1), arrive(spool, 1, 2)
    keep_accession_end(spool, first.study_key, received(AccessionNumber="ACC-4711"))
    recorded(database, first, days=8)
    recorded(database, last, days=6.9)

    retention_of(7, database, spool, tmp_path).tick()
    assert SpoolMarks(spool=spool).identified_accession_end(first.study_key) == "4711"
    retention_of(6, database, spool, tmp_path).tick()

    assert SpoolMarks(spool=spool).identified_accession_end(first.study_key) is None
    assert b"4711" not in b"".join(path.read_bytes() for path in spool.root.rglob("*") if path.is_file())


def retention_of(days: int, database: Database, spool: Spool, folder: Path) -> Retention:
    environ = {"CASEBRIDGE_DATA_DIR": str(folder), "CASEBRIDGE_RETENTION_DAYS": str(days)}
    return Retention(
        database=database, spool=spool, blobs=LocalBlobs(folder / "blobs"), settings=load_settings(environ)
    )


def test_a_kill_between_the_last_original_and_its_mark_is_made_up_for(
    database: Database, spool: Spool, tmp_path: Path
) -> None:
    arrived = arrive(spool, 1)
    keep_accession_end(spool, arrived.study_key, received(AccessionNumber="ACC-4711"))
    recorded(database, arrived, days=8)
    spool.path(arrived.study_key, arrived.sop_key, arrived.arrival_id).unlink()

    retention_of(7, database, spool, tmp_path).tick()

    assert list((spool.root / "studies" / arrived.study_key).iterdir()) == []
