"""``casebridge export``: a case as a folder or a file set, whole or not at all, and known to the audit log."""

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest
from click.testing import CliRunner
from pydicom import dcmread
from pydicom.fileset import FileSet
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage
from sqlalchemy import select

from bridge import export_command
from bridge.__main__ import main
from bridge.export_command import Choice, export
from cases.errors import NotListableError
from cases.exports.dicomdir import ListedFile, write_directory
from cases.store import Audit
from cases.store.rows import CaseImageRow
from tests.api.conftest import empty_database, world  # noqa: F401 - the world that the API's own tests have
from tests.api.seed import World
from tests.builders import ct_instance, mr_instance, sr_instance, study_of_two_series, write_part10
from tests.tools import require_tool

PATIENT = {"PatientName": "CASE^0123", "PatientID": "0123456789abcdef"}
FILES = [write_part10(one) for one in study_of_two_series(study=1, images=2, **PATIENT)]


@pytest.fixture
def case_id(world: World) -> str:  # noqa: F811
    world.user("owner")
    return world.study("owner", FILES, series=2)


def exported(world: World, case_id: str, folder: Path, *, dicomdir: bool = False) -> int:  # noqa: F811
    return export(world.database, world.blobs, Choice(case_id=case_id, folder=folder, dicomdir=dicomdir))


def entries(world: World, case_id: str) -> list[tuple[str, object]]:  # noqa: F811
    with world.database.read() as session:
        found = Audit(session).entries(subject=case_id)
    return [(entry.action, entry.detail) for entry in found if entry.action.startswith("case.export")]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- a folder --------------------------------------------------------------------------------------------------------


def test_a_folder_has_images_texts_and_checksums_for_its_owner_alone(
    world: World,  # noqa: F811
    case_id: str,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "new" / "case"

    assert exported(world, case_id, folder) == 0

    files = files_of(folder)
    assert {name for name in files if "/" not in name} == {"case.txt", "case.json", "licence.txt", "checksums.sha256"}
    assert sorted(data for name, data in files.items() if name.endswith(".dcm")) == sorted(FILES)
    assert "images/1 CT day 0/01 axial/0001.dcm" in files
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}
    checked = subprocess.run(
        [require_tool("sha256sum"), "-c", "--strict", "checksums.sha256"], cwd=folder, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_the_audit_log_says_who_took_what(world: World, case_id: str, tmp_path: Path) -> None:  # noqa: F811
    assert exported(world, case_id, tmp_path / "case") == 0

    [(action, detail)] = entries(world, case_id)
    assert action == "case.export"
    size = sum(len(data) for data in files_of(tmp_path / "case").values())
    assert detail == {"version": 1, "images": 4, "bytes": size, "dicomdir": False}


def test_nothing_is_overwritten(
    world: World,  # noqa: F811
    case_id: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "case"
    folder.mkdir()

    assert exported(world, case_id, folder) == 1
    assert f"Not done: {folder} exists; name a new folder" in capsys.readouterr().err
    assert not entries(world, case_id)
    assert not any(folder.iterdir())


@pytest.mark.parametrize("wrong", ["0" * 32, "PID-700123", "../x"])
def test_what_is_no_case_is_not_repeated(
    world: World,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    wrong: str,
) -> None:
    assert exported(world, wrong, tmp_path / "case") == 1
    said = capsys.readouterr().err
    assert said.startswith("Not done: ")
    assert wrong not in said
    assert not (tmp_path / "case").exists()


def test_what_fails_leaves_nothing_but_its_entries(
    world: World,  # noqa: F811
    case_id: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with world.database.read() as session:
        key = session.scalars(select(CaseImageRow.blob_key).where(CaseImageRow.instance_number == 4)).one()
    world.blobs.put(key, FILES[3][:-1] + b"?")

    assert exported(world, case_id, tmp_path / "case") == 1

    assert "a filed image is not what it was" in capsys.readouterr().err
    assert not (tmp_path / "case").exists()
    assert [action for action, _ in entries(world, case_id)] == ["case.export", "case.export-failed"]


def test_what_is_not_in_it_is_said(
    world: World,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    world.user("owner")
    case_id = world.study("owner", FILES[:1], pending=2)

    assert exported(world, case_id, tmp_path / "case") == 0
    assert "more images, which are not in it: 0 held and 2 not yet screened" in capsys.readouterr().err


def test_the_command_exports_by_the_settings(
    world: World,  # noqa: F811
    case_id: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CASEBRIDGE_DATABASE_URL", f"sqlite:///{tmp_path / 'casebridge.db'}")
    monkeypatch.setenv("CASEBRIDGE_BLOB_URL", (tmp_path / "blobs").as_uri())
    done = CliRunner().invoke(main, ["export", case_id, str(tmp_path / "case"), "--dicomdir"])

    assert done.exit_code == 0, done.output
    assert "4 image(s), texts, checksums.sha256 and DICOMDIR written" in done.output
    assert (tmp_path / "case" / "DICOMDIR").is_file()
    assert not (tmp_path / "spool").exists(), "it looks for no spool"
    monkeypatch.setenv("CASEBRIDGE_DATABASE_URL", "sqlite:////nowhere/at/all.db")
    done = CliRunner().invoke(main, ["export", case_id, str(tmp_path / "other")])
    assert done.exit_code == 1
    assert "Not done: the database is out of reach" in done.output


def test_progress_is_shown_by_the_file(
    world: World,  # noqa: F811
    case_id: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exported(world, case_id, tmp_path / "case") == 0
    assert "Exporting: 8 of 8 files" in capsys.readouterr().err
    assert export_command.EXIT_OK == 0


# -- a file set ------------------------------------------------------------------------------------------------------


@pytest.fixture
def file_set(world: World, case_id: str, tmp_path: Path) -> Path:  # noqa: F811
    assert exported(world, case_id, tmp_path / "set", dicomdir=True) == 0
    return tmp_path / "set"


def test_files_are_named_as_media_demand_and_texts_lie_beside(file_set: Path) -> None:
    files = files_of(file_set)
    texts = {"case.txt", "case.json", "licence.txt", "checksums.sha256"}
    assert texts < set(files)
    for name in set(files) - texts:
        parts = PurePosixPath(name).parts
        assert len(parts) <= 8
        assert all(re.fullmatch(r"[A-Z0-9_]{1,8}", part) for part in parts)
    assert sorted(files[name] for name in set(files) - texts - {"DICOMDIR"}) == sorted(FILES), "no byte is another"
    sums = dict(reversed(line.split("  ", 1)) for line in files["checksums.sha256"].decode().splitlines())
    assert sums["DICOMDIR"] == hashlib.sha256(files["DICOMDIR"]).hexdigest()
    images = json.loads(files["case.json"])["studies"][0]["series"][0]["images"]
    assert all(image["file"] in files for image in images)


def test_the_directory_is_what_the_standard_says(file_set: Path) -> None:
    directory = dcmread(file_set / "DICOMDIR")
    assert directory.file_meta.MediaStorageSOPClassUID == MediaStorageDirectoryStorage
    assert directory.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert directory.FileSetConsistencyFlag == 0
    kinds = [record.DirectoryRecordType for record in directory.DirectoryRecordSequence]
    assert kinds == ["PATIENT", "STUDY", *["SERIES", "IMAGE", "IMAGE"] * 2]
    images = [one for one in directory.DirectoryRecordSequence if one.DirectoryRecordType == "IMAGE"]
    for record in images:
        file = dcmread(file_set.joinpath(*record.ReferencedFileID))
        assert record.ReferencedSOPInstanceUIDInFile == file.SOPInstanceUID
        assert record.ReferencedTransferSyntaxUIDInFile == file.file_meta.TransferSyntaxUID


def test_pydicom_walks_the_file_set(file_set: Path) -> None:
    with walked(file_set) as found:
        assert len(found) == 4
        assert found.find_values("PatientID") == ["0123456789abcdef"]
        assert len(found.find_values("SeriesInstanceUID")) == 2
        assert {Path(instance.path).read_bytes() for instance in found} == set(FILES)


@contextmanager
def walked(folder: Path) -> Iterator[FileSet]:
    """Give pydicom's view of a file set; its folder for changes goes when it is told to."""
    found = FileSet(folder / "DICOMDIR")
    try:
        yield found
    finally:
        found._stage["t"].cleanup()


def test_dcmtk_finds_in_it_what_it_would_have_written(file_set: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    shutil.copytree(file_set / "IMAGES", made / "IMAGES")
    done = subprocess.run(
        [require_tool("dcmmkdir"), "+r", "+id", made, "+D", made / "DICOMDIR", "+I", "-Pgp"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ours, theirs = records(file_set / "DICOMDIR"), records(made / "DICOMDIR")
    assert {key: value for key, value in theirs.items() if key in ours} == ours
    dumped = subprocess.run(
        [require_tool("dcmdump"), "-q", file_set / "DICOMDIR"], capture_output=True, text=True, check=False
    )
    assert dumped.returncode == 0, dumped.stderr
    assert dumped.stderr == ""


def records(path: Path) -> dict[tuple[str, ...], object]:
    """Return each record by its File ID or UID, with what it says; DCMTK may say more."""
    found: dict[tuple[str, ...], object] = {}
    needed = ("StudyID", "StudyDate", "StudyTime", "Modality", "SeriesNumber", "InstanceNumber", "PatientID")
    for record in dcmread(path).DirectoryRecordSequence:
        file_id = record.get("ReferencedFileID")
        names = file_id or [str(record.get("SeriesInstanceUID") or record.get("StudyInstanceUID") or "")]
        key = (record.DirectoryRecordType, *names)
        found[key] = {name: str(record.get(name)) for name in needed if record.get(name) is not None}
    return found


def test_dicom3tools_finds_nothing_wrong(file_set: Path) -> None:
    images = sorted(path for path in (file_set / "IMAGES").rglob("*") if path.is_file())
    entities = subprocess.run([require_tool("dcentvfy"), *images], capture_output=True, text=True, check=False)
    assert entities.returncode == 0, entities.stderr
    assert "Error" not in entities.stderr
    directory = subprocess.run(
        [require_tool("dciodvfy"), file_set / "DICOMDIR"], capture_output=True, text=True, check=False
    )
    assert "Error" not in directory.stderr, directory.stderr


def listed(folder: Path, *objects: object, has_pixels: bool = True) -> None:
    files = []
    for number, one in enumerate(objects, 1):
        (folder / f"IM{number}").write_bytes(write_part10(one))  # type: ignore[arg-type]
        files.append(
            ListedFile(
                file_id=PurePosixPath(f"IM{number}"),
                sop_class_uid=str(one.SOPClassUID),  # type: ignore[attr-defined]
                has_pixels=has_pixels,
                study=1,
                series=7,
                position=number,
            )
        )
    write_directory(folder, files)


def test_what_a_file_leaves_out_is_said_by_its_place(tmp_path: Path) -> None:
    listed(
        tmp_path,
        ct_instance(StudyID="", StudyDate="", StudyTime="", SeriesNumber=None, InstanceNumber=None, PatientID=""),
    )
    patient, study, series, image = dcmread(tmp_path / "DICOMDIR").DirectoryRecordSequence
    assert patient.PatientID == "CASE"
    assert (study.StudyID, study.StudyDate, study.StudyTime) == ("1", "19000101", "000000")
    assert (series.SeriesNumber, image.InstanceNumber) == (7, 1)


def test_two_modalities_of_one_study_are_one_study_and_words_keep_their_letters(tmp_path: Path) -> None:
    named = {"SpecificCharacterSet": "ISO_IR 100", "StudyDescription": "Schädel"}
    listed(tmp_path, ct_instance(study=1, **named), mr_instance(study=1, series=2, **named))
    found = dcmread(tmp_path / "DICOMDIR").DirectoryRecordSequence
    assert [one.DirectoryRecordType for one in found] == ["PATIENT", "STUDY", "SERIES", "IMAGE", "SERIES", "IMAGE"]
    assert found[1].StudyDescription == "Schädel"
    with walked(tmp_path) as walk:
        assert len(walk) == 2


def test_a_report_has_a_record_of_its_own_kind(tmp_path: Path) -> None:
    listed(tmp_path, sr_instance(VerificationFlag="UNVERIFIED"), has_pixels=False)
    assert dcmread(tmp_path / "DICOMDIR").DirectoryRecordSequence[-1].DirectoryRecordType == "SR DOCUMENT"


@pytest.mark.parametrize("reason", ["kind", "lacks"])
def test_what_cannot_be_listed_is_refused(tmp_path: Path, reason: str) -> None:
    one = sr_instance(CompletionFlag=None) if reason == "lacks" else ct_instance(SOPClassUID="1.2.3.4")
    with pytest.raises(NotListableError, match="leave out --dicomdir"):
        listed(tmp_path, one, has_pixels=False)
    assert not (tmp_path / "DICOMDIR").exists()
