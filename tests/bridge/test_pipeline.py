"""What becomes of one instance when the machine around it fails."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge import pipeline
from bridge.keys import Keys
from bridge.pipeline import Filed, Task, Tools
from cases.blobs import LocalBlobs
from cases.errors import StoreUnavailableError
from deidentify.results import Hold, HoldReason
from tests.builders import ct_instance, write_part10

TASK = Task(study_key="0" * 32, sop_key="1" * 32, arrival_id="2" * 32, profile="default", case_id="3" * 32, hospital="")


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A spool with the original of the task, and tools for a child process."""
    original = tmp_path / "spool" / "studies" / TASK.study_key / f"{TASK.sop_key}-{TASK.arrival_id}.dcm"
    original.parent.mkdir(parents=True)
    original.write_bytes(b"original")
    shipped = Path(__file__).parents[2] / "config" / "profiles" / "teaching.yaml"
    tools = Tools(
        keys=Keys.derive(bytes(32)),
        spool_root=tmp_path / "spool",
        blob_url=f"file://{tmp_path / 'blobs'}",
        profiles={"default": shipped.read_text()},
        log_level="INFO",
    )
    monkeypatch.setattr(pipeline, "_tools", tools)
    pipeline._blobs.cache_clear()
    pipeline._spool.cache_clear()
    yield original
    pipeline._blobs.cache_clear()
    pipeline._spool.cache_clear()


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def steps(*_: Any) -> Filed:
        raise error

    monkeypatch.setattr(pipeline, "_steps", steps)


def test_an_image_store_out_of_reach_holds_nothing(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_blobs: LocalBlobs, _key: str, _source: object) -> None:
        raise StoreUnavailableError("a blob cannot be written")

    monkeypatch.setattr(LocalBlobs, "put", refuse)
    monkeypatch.setattr(pipeline, "_steps", lambda *_: pipeline._blobs().put("a/b", b""))

    with pytest.raises(StoreUnavailableError):
        pipeline.process(TASK)


def test_a_full_work_folder_holds_nothing(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))

    with pytest.raises(StoreUnavailableError):
        pipeline.process(TASK)


def test_a_lost_original_holds_one_instance_and_not_its_study(spool: Path) -> None:
    spool.unlink()

    assert pipeline.inspect(TASK).fingerprint is None
    assert pipeline.decoded(TASK) == ""
    processed = pipeline.process(TASK)

    assert isinstance(processed, Hold)
    assert processed.reason is HoldReason.UNREADABLE


def test_a_bad_sector_holds_one_instance(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, OSError(errno.EIO, "Input/output error"))

    processed = pipeline.process(TASK)

    assert isinstance(processed, Hold)
    assert processed.reason is HoldReason.UNREADABLE


def test_a_spool_that_is_away_holds_nothing(spool: Path, tmp_path: Path) -> None:
    (tmp_path / "spool").rename(tmp_path / "unmounted")

    for step in (pipeline.inspect, pipeline.process):
        with pytest.raises(StoreUnavailableError):
            step(TASK)


def test_an_instance_without_a_patient_id_names_nobody(spool: Path) -> None:
    spool.write_bytes(write_part10(ct_instance(PatientID="")))
    unnamed = pipeline.inspect(TASK)
    spool.write_bytes(write_part10(ct_instance(PatientID="4711")))
    named = pipeline.inspect(TASK)

    assert unnamed.fingerprint is not None
    assert unnamed.patient_key == ""
    assert len(named.patient_key) == 32
