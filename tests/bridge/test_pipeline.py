"""What becomes of one instance when the machine around it fails."""

import dataclasses
import errno
import json
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bridge import pipeline
from bridge.crosswalk import CrosswalkKey, open_entry
from bridge.generations import write_keys
from bridge.keys import Generation, Keys, create_secret
from bridge.pipeline import Filed, Task, Tools
from cases.blobs import LocalBlobs
from cases.errors import StoreUnavailableError
from deidentify.errors import DeidentificationError, RedactionError, ResidualIdentifierError, TextRemainsError
from deidentify.results import (
    Hold,
    HoldReason,
    PixelFinding,
    PixelVerdict,
    RegionFate,
    ScreenReport,
    TextClass,
)
from scp.sealing import SealedName, SpoolKeys, seal
from tests.bridge.books import laid_out_in, shipped
from tests.builders import ct_instance, write_part10

TASK = Task(
    study_key="0" * 32,
    sop_key="1" * 32,
    arrival_id="2" * 32,
    profile_revision=shipped().revision,
    case_id="3" * 32,
    hospital="",
)

CLEAR_SCREEN = ScreenReport(verdict=PixelVerdict.CLEAR, frames=1, frames_read=1, detector="test 1")


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A spool with the original of the task, and tools for a child process."""
    original = tmp_path / "spool" / "studies" / TASK.study_key / f"{TASK.sop_key}-{TASK.arrival_id}.dcm"
    original.parent.mkdir(parents=True)
    original.write_bytes(b"original")
    tools = Tools(
        keys=Keys.derive(bytes(32)),
        spool_root=tmp_path / "spool",
        blob_url=f"file://{tmp_path / 'blobs'}",
        profile_folder=laid_out_in(tmp_path / "profiles", "teaching"),
        log_level="INFO",
    )
    monkeypatch.setattr(pipeline, "_tools", tools)
    pipeline.blobs.cache_clear()
    pipeline.spool.cache_clear()
    yield original
    pipeline.blobs.cache_clear()
    pipeline.spool.cache_clear()


def fail_with(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def steps(*_: Any) -> Filed:
        raise error

    monkeypatch.setattr(pipeline, "_steps", steps)


def test_an_image_store_out_of_reach_holds_nothing(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_blobs: LocalBlobs, _key: str, _source: object) -> None:
        raise StoreUnavailableError("a blob cannot be written")

    monkeypatch.setattr(LocalBlobs, "put", refuse)
    monkeypatch.setattr(pipeline, "_steps", lambda *_: pipeline.blobs().put("a/b", b""))

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


@pytest.fixture
def secret_file(tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The secret file of the task's tools, with generation 2, which these were started without."""
    assert pipeline._tools is not None
    path = tmp_path / "secret"
    create_secret(path)
    keys = pipeline._tools.keys
    write_keys(path, dataclasses.replace(keys, generations=(*keys.generations, SECOND)))
    monkeypatch.setattr(pipeline, "_tools", dataclasses.replace(pipeline._tools, secret_file=path))
    pipeline._later_keys.cache_clear()
    yield path
    pipeline._later_keys.cache_clear()


FOUND = PixelFinding(
    frame=0, x=4, y=5, width=17, height=6, text_class=TextClass.IDENTIFYING, score=0.9, fate=RegionFate.REDACTED
)
REMAINS = dataclasses.replace(FOUND, y=20, fate=RegionFate.HELD)


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (RedactionError("The frames cannot be encoded again."), (FOUND,)),
        (ResidualIdentifierError("an identifier is in a comment"), (FOUND,)),
        (TextRemainsError((REMAINS,)), (FOUND, REMAINS)),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_could_not_be_written_is_held_with_what_was_to_become_black(
    spool: Path, monkeypatch: pytest.MonkeyPatch, error: DeidentificationError, found: tuple[PixelFinding, ...]
) -> None:
    def fail(*_: Any, **_options: Any) -> None:
        raise error

    screen = dataclasses.replace(
        CLEAR_SCREEN, verdict=PixelVerdict.REDACT, findings=(FOUND,), identified_texts=("ZWITSCHERVOGEL",)
    )
    monkeypatch.setattr(pipeline, "screener", lambda: types.SimpleNamespace(screen=lambda *_, **_options: screen))
    monkeypatch.setattr(pipeline, "released", fail)
    spool.parents[2].joinpath("incoming").mkdir()
    spool.write_bytes(write_part10(ct_instance()))

    processed = pipeline.process(TASK)

    assert processed == Hold(reason=error.reason, detail=str(error), findings=found)
    kept = pipeline.spool().read_beside(TASK.study_key, TASK.sop_key, TASK.arrival_id, "findings.json")
    assert kept is not None
    assert [one["text"] for one in json.loads(kept)["findings"]] == ["ZWITSCHERVOGEL", ""][: len(found)]


SECOND = Generation(number=2, secret=b"\x02" * 32)


def test_a_generation_made_after_the_start_is_found_and_gives_other_keys(spool: Path, secret_file: Path) -> None:
    spool.write_bytes(write_part10(ct_instance(PatientID="4711")))
    first, second = (pipeline.inspect(dataclasses.replace(TASK, secret_generation=number)) for number in (1, 2))

    assert first == pipeline.inspect(TASK)
    assert len({first.patient_key, first.patient_number_key, second.patient_key, second.patient_number_key}) == 4
    assert first.fingerprint == second.fingerprint
    assert first.facts == second.facts


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (Keys.derive(bytes(32)), "generation 2 of the secret is not in the secret file of this host"),
        (
            dataclasses.replace(Keys.derive(b"\x01" * 32), generations=(SECOND,)),
            "another installation's; restore it from its backup",
        ),
    ],
)
def test_a_case_waits_for_its_generation_and_never_gets_another_identity(
    spool: Path, secret_file: Path, keys: Keys, says: str
) -> None:
    spool.write_bytes(write_part10(ct_instance()))
    right = secret_file.read_bytes()
    write_keys(secret_file, keys)
    task = dataclasses.replace(TASK, secret_generation=2)

    for step in (pipeline.inspect, pipeline.process):
        with pytest.raises(StoreUnavailableError, match=says):
            step(task)
    secret_file.write_bytes(right)
    assert pipeline.inspect(task).patient_key


def test_whose_a_case_is_is_sealed_only_where_a_crosswalk_is_kept(
    spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "screener", lambda: types.SimpleNamespace(screen=lambda *_, **_options: CLEAR_SCREEN))
    (tmp_path / "spool" / "incoming").mkdir()
    spool.write_bytes(write_part10(ct_instance(PatientID="KNR-558211")))
    without = pipeline.process(TASK)
    private = X25519PrivateKey.generate()
    key = CrosswalkKey(raw=private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    assert pipeline._tools is not None
    monkeypatch.setattr(pipeline, "_tools", dataclasses.replace(pipeline._tools, crosswalk=key))
    kept = pipeline.process(TASK)

    assert isinstance(without, Filed)
    assert without.crosswalk is None
    assert isinstance(kept, Filed)
    assert kept.crosswalk is not None
    assert open_entry(kept.crosswalk.sealed, private, TASK.case_id).identified_patient_id == "KNR-558211"
    assert kept.instance == without.instance, "nothing of it is in the file"
    assert "KNR" not in repr(kept)


SPOOL_KEYS = SpoolKeys(keys=(b"\x07" * 32,))


@pytest.fixture
def sealed_task(spool: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """A task whose original lies sealed in the spool."""
    assert pipeline._tools is not None
    tools = dataclasses.replace(pipeline._tools, spool_keys=SPOOL_KEYS)
    monkeypatch.setattr(pipeline, "_tools", tools)
    pipeline.spool.cache_clear()
    name = SealedName(name=spool.name.encode(), study=TASK.study_key.encode())
    spool.write_bytes(seal(SPOOL_KEYS, name, write_part10(ct_instance())))
    (tools.spool_root / "incoming").mkdir()
    return TASK


def test_a_sealed_original_is_worked_on_like_a_plain_one_and_nothing_of_it_reaches_the_disk(
    sealed_task: Task, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        pipeline, "screener", lambda: types.SimpleNamespace(screen=lambda *_, **_options: CLEAR_SCREEN), raising=True
    )
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: pytest.fail("unfinished output on the disk"))

    inspection = pipeline.inspect(sealed_task)
    processed = pipeline.process(sealed_task)

    assert isinstance(processed, Filed)
    assert inspection.patient_key
    assert pipeline.decoded(sealed_task)
    files = {path.name: path.read_bytes() for path in spool.parents[2].rglob("*") if path.is_file()}
    assert set(files) == {spool.name, "study.receipt.json", "changing.lock"}
    assert b"accession" not in files["study.receipt.json"]


def test_a_plain_and_a_sealed_original_have_one_fingerprint(sealed_task: Task, spool: Path) -> None:
    sealed = pipeline.inspect(sealed_task)
    spool.write_bytes(write_part10(ct_instance()))

    assert pipeline.inspect(sealed_task) == sealed


def test_a_seal_that_is_broken_holds_one_instance(sealed_task: Task, spool: Path) -> None:
    content = bytearray(spool.read_bytes())
    content[-20] ^= 1
    spool.write_bytes(content)

    assert pipeline.inspect(sealed_task).fingerprint is None
    assert pipeline.decoded(sealed_task) == ""
    processed = pipeline.process(sealed_task)

    assert isinstance(processed, Hold)
    assert processed.reason is HoldReason.UNREADABLE
    assert "damaged" in processed.detail


def test_a_missing_key_is_waited_for_and_holds_nothing(sealed_task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pipeline._tools is not None
    monkeypatch.setattr(pipeline, "_tools", dataclasses.replace(pipeline._tools, spool_keys=None))
    pipeline.spool.cache_clear()

    for step in (pipeline.inspect, pipeline.decoded, pipeline.process):
        with pytest.raises(StoreUnavailableError, match="spool key"):
            step(sealed_task)


def test_the_tools_of_a_child_show_no_key() -> None:
    tools = Tools(
        keys=Keys.derive(bytes(32)),
        spool_keys=SPOOL_KEYS,
        spool_root=Path(),
        blob_url="",
        profile_folder=Path(),
        log_level="",
    )
    assert SPOOL_KEYS.keys[0].hex() not in repr(tools)
    assert repr(SPOOL_KEYS.keys[0]) not in repr(tools)
