"""``casebridge deidentify``: trees, names, reports and maps; what is held or dropped is not written."""

import csv
import errno
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import CliRunner, Result
from pydicom.dataset import Dataset

from bridge import offline_child
from bridge.__main__ import main
from bridge.keys import create_secret
from bridge.offline_child import FileTask, OfflineTools, OutputError, Written
from deidentify.deidentifier import Deidentifier
from deidentify.errors import ResidualIdentifierError
from deidentify.results import Hold, HoldReason
from tests.builders import PATIENT_ONE, PATIENT_TWO, ct_instance, mr_instance, uid, us_instance, write_part10
from tests.tools import CHECKOUT, heed_ctrl_c

NAMES = (b"Testperson", b"TESTPERSON", b"PID-700123", b"19570314", b"Arztin", b"Klinikum Nirgendwo", uid(1).encode())


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))


def put(folder: Path, place: str, instance: Dataset | bytes) -> Path:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(instance if isinstance(instance, bytes) else write_part10(instance))
    return path


def run(*arguments: object, pixels: bool = False) -> Result:
    words = ["deidentify", *map(str, arguments), "--workers", "1", *([] if pixels else ["--no-pixels"])]
    return CliRunner().invoke(main, words)


def report_of(output: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(output.with_name(f"{output.name}-report.json").read_text())
    assert sum(entry["files"] for entry in report["counts"]) == len(report["files"])
    return report


def written_files(output: Path) -> list[str]:
    return sorted(str(path.relative_to(output)) for path in output.rglob("*") if path.is_file())


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    for number in (1, 2, 3):
        put(folder, f"CT/axial/IM{number:04}.dcm", ct_instance(number=number))
    put(folder, "MR brain/IM0001", mr_instance(study=1, series=2))
    return folder


def test_a_tree_comes_out_without_its_patient(study: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = run(study, output)
    assert result.exit_code == 0, result.output
    names = ["CT/axial/IM0001.dcm", "CT/axial/IM0002.dcm", "CT/axial/IM0003.dcm", "MR brain/IM0001.dcm"]
    assert written_files(output) == names
    datasets = [pydicom.dcmread(output / name) for name in names]
    assert len({one.PatientID for one in datasets}) == 1
    assert len({one.StudyInstanceUID for one in datasets}) == 1
    assert len({one.SOPInstanceUID for one in datasets}) == 4
    for name in names:
        content = (output / name).read_bytes()
        assert not [word for word in NAMES if word in content]
    report = report_of(output)
    assert report["complete"]
    assert [entry["place"] for entry in report["files"]] == names
    assert all(entry["sha256"] and entry["actions"]["X"] for entry in report["files"])


def test_a_single_file_is_taken_too(study: Path, tmp_path: Path) -> None:
    assert run(study / "CT/axial/IM0002.dcm", tmp_path / "out").exit_code == 0
    assert written_files(tmp_path / "out") == ["IM0002.dcm"]


def test_without_the_pixel_screen_no_image_is_called_checked(study: Path, tmp_path: Path) -> None:
    put(study, "stated.dcm", us_instance(series=4, BurnedInAnnotation="NO"))
    output = tmp_path / "out"
    result = run(study, output)
    assert "pixels were not looked at" in result.output
    for name in written_files(output):
        dataset = pydicom.dcmread(output / name)
        assert dataset.PatientIdentityRemoved == "NO"
        assert "113101" not in [code.CodeValue for code in dataset.DeidentificationMethodCodeSequence]
    # What the device said itself stays; nothing is added.
    assert pydicom.dcmread(output / "CT/axial/IM0001.dcm").get("BurnedInAnnotation") is None
    stated = next(entry for entry in report_of(output)["files"] if "/" not in entry["place"])
    assert pydicom.dcmread(output / stated["place"]).BurnedInAnnotation == "NO"
    assert stated["pixels"] == "not-evaluated"


@pytest.mark.slow
def test_with_the_pixel_screen_clear_images_are_called_checked(study: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    result = run(study / "CT", output, pixels=True)
    assert result.exit_code == 0, result.output
    dataset = pydicom.dcmread(output / "axial/IM0001.dcm")
    assert dataset.PatientIdentityRemoved == "YES"
    assert dataset.BurnedInAnnotation == "NO"
    assert "113101" in [code.CodeValue for code in dataset.DeidentificationMethodCodeSequence]
    assert {entry["pixels"] for entry in report_of(output)["files"]} == {"clear"}


def test_names_that_identify_are_replaced_alike_all_over_the_case(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    put(folder, f"Testperson^Unreal/{uid(1)}/{uid(1, 1, 1)}.dcm", ct_instance(number=1))
    put(folder, f"Testperson^Unreal/{uid(1)}/Unreal_19570314.dcm", ct_instance(number=2))
    put(folder, "Testperson^Unreal/2024-02-29/IM0700123.dcm", ct_instance(number=3))
    put(folder, "Testperson^Unreal/PID-700123.dcm", ct_instance(number=4))
    put(folder, "Nobody Knows/IM0005.dcm", ct_instance(number=5))
    assert run(folder, output).exit_code == 0
    names = written_files(output)
    assert len(names) == 5
    # Among the many digits of a new UID there may be any four.
    text = re.sub(r"2\.25\.\d+", "", " ".join(names).casefold())
    for word in ("testperson", "unreal", "1957", "700123", "2024", "nobody", "knows", uid(1)):
        assert word not in text
    first = next(name for name in names if name.count("/") == 2 and "2.25" in name.rsplit("/", 1)[1])
    dataset = pydicom.dcmread(output / first)
    assert first.split("/")[1:] == [dataset.StudyInstanceUID, f"{dataset.SOPInstanceUID}.dcm"]
    assert len({name.split("/")[0] for name in names}) == 2


@pytest.mark.parametrize(
    ("patient_id", "folder"), [("PAT0123", "PAT0123"), ("0004711", "4711"), ("77", "Patient 77"), ("CT123", "ct_123")]
)
def test_a_patient_id_that_looks_like_a_name_of_media_goes_from_the_tree(
    tmp_path: Path, patient_id: str, folder: str
) -> None:
    put(tmp_path / "in", f"{folder}/IM0001", ct_instance(PatientID=patient_id))
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 0
    (place,) = written_files(tmp_path / "out")
    assert place.startswith("ID-")
    assert place.endswith("/IM0001.dcm")


def test_what_is_said_and_reported_names_nobody(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    put(folder, "Testperson/Unreal.dcm", ct_instance(number=1))
    put(folder, "Testperson/damaged.dcm", write_part10(ct_instance(number=2))[:-300])
    put(folder, "Testperson/letter to Testperson.txt", b"Dear Mrs Testperson, your number is PID-700123")
    (folder / "Testperson/link to Unreal").symlink_to(folder / "Testperson/Unreal.dcm")
    os.mkfifo(folder / "Testperson/pipe")
    result = run(folder, output)
    assert result.exit_code == 1
    said = result.output + json.dumps(report_of(output))
    for word in ("testperson", "unreal", "700123", str(folder).casefold()):
        assert word not in said.casefold().replace(str(output).casefold(), "")
    outcomes = sorted((entry["outcome"], entry.get("reason", "")) for entry in report_of(output)["files"])
    assert outcomes == [
        ("held", "unreadable"),
        ("skipped", "no-regular-file"),
        ("skipped", "not-dicom"),
        ("skipped", "symbolic-link"),
        ("written", ""),
    ]
    assert len(written_files(output)) == 1


def test_the_map_leads_back_and_is_for_its_owner_alone(study: Path, tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    assert run(study, tmp_path / "out", "--map", path).exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    rows = list(csv.reader(path.read_text().splitlines()))
    assert rows[0] == ["kind", "original", "replacement"]
    dataset = pydicom.dcmread(tmp_path / "out" / "CT/axial/IM0002.dcm")
    assert ["uid", uid(1), dataset.StudyInstanceUID] in rows
    assert ["uid", uid(1, 1, 2), dataset.SOPInstanceUID] in rows
    assert ["file", "MR brain/IM0001", "MR brain/IM0001.dcm"] in rows
    assert len(rows) == len({tuple(row) for row in rows})


def test_without_being_asked_no_map_is_written(study: Path, tmp_path: Path) -> None:
    assert run(study, tmp_path / "out").exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} <= {"data", "in", "out", "out-report.json"}


def patients(output: Path) -> set[str]:
    return {pydicom.dcmread(output / name).PatientID for name in written_files(output)}


@pytest.mark.parametrize(("case_per", "cases"), [("input", 1), ("folder", 2), ("patient", 1), ("study", 3)])
def test_what_shares_pseudonyms_is_chosen(tmp_path: Path, case_per: str, cases: int) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    put(folder, "a/1.dcm", ct_instance(study=1))
    put(folder, "a/2.dcm", ct_instance(study=2))
    put(folder, "b/1.dcm", ct_instance(study=3))
    assert run(folder, output, "--case-per", case_per).exit_code == 0
    assert len(patients(output)) == cases
    report = report_of(output)
    assert report["cases"] == cases
    assert len({entry["case"] for entry in report["files"]}) == cases
    assert len({pydicom.dcmread(output / name).StudyDate for name in written_files(output)}) == cases


def test_two_patients_under_one_study_are_held_and_two_of_one_input_get_two_pseudonyms(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    put(folder, "1.dcm", ct_instance(study=1, number=1))
    put(folder, "2.dcm", ct_instance(study=1, number=2, **PATIENT_TWO))
    put(folder, "3.dcm", ct_instance(study=2, **PATIENT_ONE))
    put(folder, "4.dcm", ct_instance(study=3, **PATIENT_TWO))
    assert run(folder, output).exit_code == 1
    assert len(patients(output)) == 2
    held = [entry for entry in report_of(output)["files"] if entry["outcome"] == "held"]
    assert {entry["reason"] for entry in held} == {"two-patients"}
    assert len(held) == 2


@pytest.mark.parametrize("case_per", ["folder", "patient"])
def test_two_patients_under_one_study_are_held_though_each_is_in_a_case_of_its_own(
    tmp_path: Path, case_per: str
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    put(folder, "a/1.dcm", ct_instance(study=1, number=1))
    put(folder, "b/2.dcm", ct_instance(study=1, number=2, **PATIENT_TWO))
    assert run(folder, output, "--case-per", case_per).exit_code == 1
    assert [entry.get("reason") for entry in report_of(output)["files"]] == ["two-patients"] * 2


def test_copies_are_written_and_other_pixels_under_one_uid_are_held(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    put(folder, "a/1.dcm", ct_instance(number=1))
    put(folder, "b/1.dcm", ct_instance(number=1, SeriesDescription="Copy"))
    put(folder, "a/2.dcm", ct_instance(number=2))
    put(folder, "b/2.dcm", ct_instance(number=2, PixelData=b"\1" * 512))
    assert run(folder, output).exit_code == 1
    assert {entry["outcome"] for entry in report_of(output)["files"][::2]} == {"written"}
    assert [entry.get("reason") for entry in report_of(output)["files"][1::2]] == ["same-uid-different-pixels"] * 2


def test_a_secret_gives_the_same_pseudonyms_again_and_no_secret_never(study: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    create_secret(secret)
    for name in ("a", "b"):
        assert run(study, tmp_path / name, "--secret-file", secret).exit_code == 0
    assert run(study / "CT", tmp_path / "c", "--secret-file", secret).exit_code == 0
    assert run(study, tmp_path / "d", "--secret-file", secret, "--case", "another").exit_code == 0
    assert run(study, tmp_path / "e").exit_code == 0
    found = [patients(tmp_path / name).pop() for name in "abcde"]
    assert found[0] == found[1] == found[2]
    assert len(set(found)) == 3
    content = {(tmp_path / name / "CT/axial/IM0001.dcm").read_bytes() for name in "ab"}
    assert len(content) == 1


def test_names_that_only_differ_in_case_do_not_meet(tmp_path: Path) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    for number, name in enumerate(("im0001", "IM0001", "IM0001.dcm", "IM0001.IMA"), 1):
        put(folder, name, ct_instance(number=number))
    assert run(folder, output).exit_code == 0
    names = written_files(output)
    assert len({name.casefold() for name in names}) == 4
    assert len({pydicom.dcmread(output / name).SOPInstanceUID for name in names}) == 4


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("{in}", "{in}/out"), "a folder of its own"),
        (("{in}", "{in}"), "a folder of its own"),
        (("{in}", "{full}"), "not an empty folder"),
        (("{in}", "{out}", "--map", "{out}/map.csv"), "do not belong into the output"),
        (("{in}", "{out}", "--report", "{full}/there"), "is there already"),
        (("{in}", "{out}", "--map", "{out}-no/map.csv"), "is not there"),
        (("{in}", "{out}", "--map", "{out}.json", "--report", "{out}.json"), "are one file"),
        (("{in}", "{out}", "--map", "{out}-report.json"), "are one file"),
        (("{in}", "{out}", "--profile", "nothing"), "there is no profile"),
        (("{in}", "{out}", "--profile", "{full}/broken.yaml"), ""),
        (("{in}", "{out}", "--case", "x"), "--secret-file"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(
    study: Path, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    full = tmp_path / "full"
    put(full, "there", b"something")
    put(full, "broken.yaml", b"nothing: here\n")
    words = [word.format(**{"in": study, "out": tmp_path / "out", "full": full}) for word in arguments]
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert sentence in result.output.replace("\n", " ")
    assert not (tmp_path / "out").exists()
    assert sorted(path.name for path in full.iterdir()) == ["broken.yaml", "there"]


def test_a_folder_without_dicom_is_no_success(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    put(folder, "a.txt", b"nothing of the kind here")
    assert run(folder, tmp_path / "out").exit_code == 1


def test_a_profile_of_ones_own_is_taken_from_a_file(study: Path, tmp_path: Path) -> None:
    text = (CHECKOUT / "config/profiles/strict.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert run(study, tmp_path / "out", "--profile", path).exit_code == 0
    assert report_of(tmp_path / "out")["profile"]["name"] == "strict"


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL])
def test_what_is_there_after_an_end_by_force_is_whole(tmp_path: Path, kill: signal.Signals) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    for number in range(400):
        put(folder, f"IM{number:04}.dcm", ct_instance(number=number + 1, rows=256, columns=256))
    command = [sys.executable, "-m", "bridge", "deidentify", str(folder), str(output), "--no-pixels", "--workers", "2"]
    process = subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509
    )
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            if line.startswith("De-identifying"):
                break
        os.kill(process.pid, kill)
        rest = process.stderr.read()
    assert process.wait(timeout=60) == (130 if kill is signal.SIGINT else -kill)
    whole = [path for path in output.rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert 0 < len(whole) < 400
    for path in whole:
        dataset = pydicom.dcmread(path)
        assert len(dataset.PixelData) == 2 * 256 * 256
    for path in output.rglob("*"):
        assert not [word for word in NAMES if path.is_file() and word in path.read_bytes()]
    if kill is signal.SIGINT:
        assert "Stopped by hand" in rest
        report = report_of(output)
        assert not report["complete"]
        done = [entry for entry in report["files"] if entry["outcome"] == "written"]
        assert {entry["place"] for entry in done} == {str(path.relative_to(output)) for path in whole}


def tools(**changes: Any) -> OfflineTools:
    values = {
        "pseudonym_key": b"p" * 32,
        "digest_key": b"d" * 32,
        "patient_key": b"q" * 32,
        "profile": (CHECKOUT / "config/profiles/teaching.yaml").read_text(),
        "has_screen": False,
        "log_level": "info",
    }
    return OfflineTools(**{**values, **changes})


@pytest.fixture
def in_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process work as a child of the pool does, without its logging."""
    monkeypatch.setattr(offline_child, "_tools", tools())
    for made in (offline_child._profile, offline_child._deidentifier):
        made.cache_clear()


@pytest.mark.usefixtures("in_child")
def test_a_full_disk_ends_the_run_with_a_sentence(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(study))

    task = FileTask(
        identified_source=str(study / "MR brain/IM0001"), target=str(tmp_path / "out/1.dcm"), case_key="0" * 32
    )
    assert isinstance(offline_child.process(task), Written)
    monkeypatch.setattr(offline_child, "nameless", no_room)
    with pytest.raises(OutputError, match="No space left") as caught:
        offline_child.process(task)
    assert str(study) not in str(caught.value)


def has_nameless_files(folder: Path) -> bool:
    try:
        os.close(os.open(folder, os.O_RDWR | os.O_TMPFILE))
    except (OSError, AttributeError):
        return False
    return True


@pytest.mark.usefixtures("in_child")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("step", ["write", "verify", "name"])
def test_a_kill_at_any_step_leaves_nothing(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    (tmp_path / "out").mkdir()
    if not has_nameless_files(tmp_path / "out"):
        pytest.skip("this file system has no files without a name")

    def killed(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    owner = offline_child.os if step == "name" else Deidentifier
    monkeypatch.setattr(owner, {"name": "link"}.get(step, step), killed)
    task = FileTask(
        identified_source=str(study / "MR brain/IM0001"), target=str(tmp_path / "out/1.dcm"), case_key="0" * 32
    )
    child = multiprocessing.get_context("fork").Process(target=offline_child.process, args=(task,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.usefixtures("in_child")
def test_files_are_whole_where_no_file_can_be_without_a_name(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_nameless_files(tmp_path):
        pytest.skip("this file system has no files without a name anyway")

    def unknown(path: object, flags: int, *rest: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE and path == tmp_path:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return opened(path, flags, *rest)

    task = FileTask(identified_source=str(study / "MR brain/IM0001"), target=str(tmp_path / "1.dcm"), case_key="0" * 32)
    assert isinstance(offline_child.process(task), Written)
    written = Path(task.target).read_bytes()
    Path(task.target).unlink()
    opened = os.open
    monkeypatch.setattr(offline_child.os, "open", unknown)
    assert isinstance(offline_child.process(task), Written)
    assert Path(task.target).read_bytes() == written
    assert not list(tmp_path.glob(".*"))


def test_what_cannot_be_listed_is_told(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: Any) -> Any:
        if Path(path).name == "MR brain":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scanned(path)

    scanned = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    result = run(study, tmp_path / "out")
    assert result.exit_code == 1
    (entry,) = [entry for entry in report_of(tmp_path / "out")["files"] if entry["outcome"] == "held"]
    assert "cannot be listed" in entry["detail"]
    assert len(written_files(tmp_path / "out")) == 3


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert run(tmp_path / "pipe", tmp_path / "out").exit_code == 1
    assert [entry["reason"] for entry in report_of(tmp_path / "out")["files"]] == ["no-regular-file"]


@pytest.mark.usefixtures("in_child")
def test_what_fails_the_verification_leaves_no_file(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def residual(*_: Any) -> None:
        raise ResidualIdentifierError("an identifier of the original was found in (0008,103E)")

    monkeypatch.setattr(Deidentifier, "verify", residual)
    task = FileTask(
        identified_source=str(study / "MR brain/IM0001"), target=str(tmp_path / "out/1.dcm"), case_key="0" * 32
    )
    outcome = offline_child.process(task)
    assert isinstance(outcome, Hold)
    assert outcome.reason is HoldReason.RESIDUAL_IDENTIFIER
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.usefixtures("in_child")
def test_an_error_of_ours_holds_one_file_and_says_no_value(
    study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: Any) -> None:
        raise ValueError("Testperson^Unreal")

    monkeypatch.setattr(Deidentifier, "plan", broken)
    task = FileTask(
        identified_source=str(study / "MR brain/IM0001"), target=str(tmp_path / "out/1.dcm"), case_key="0" * 32
    )
    outcome = offline_child.process(task)
    assert isinstance(outcome, Hold)
    assert outcome.reason is HoldReason.INTERNAL_ERROR
    assert "Testperson" not in repr(outcome)
    assert "Unreal" not in repr(task)
