"""``casebridge deidentify`` on folders as they come: broken files, links, odd names, names of other patients."""

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pydicom
import pytest

from bridge import deidentify_command, offline, offline_files, offline_sources
from bridge.deidentify_command import Choices
from bridge.offline_child import Written
from bridge.offline_sources import Source
from bridge.pool import Pool
from deidentify.results import DeidentifiedInstance, PixelVerdict, RemovedText, Report, ScreenReport
from tests.bridge.test_deidentify_command import put, report_of, run, written_files
from tests.builders import ct_instance, uid, write_part10

WHOLE = write_part10(ct_instance())


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))


SCREEN = ScreenReport(verdict=PixelVerdict.NOT_EVALUATED, frames=1, frames_read=0)
TOLD: Any = {"description": None, "screen": SCREEN, "sha256": "", "size_bytes": 0}


def a_report() -> Report:
    removed = RemovedText(place="(0008,103E)", word=2, reason="own")
    return Report(profile="p", profile_revision="1", actions=(("X", 3),), options=("113100",), removed_text=(removed,))


def without_uid(**attributes: object) -> bytes:
    instance = ct_instance(SOPInstanceUID=None, **attributes)
    return write_part10(instance, MediaStorageSOPInstanceUID=uid(99))


def outcomes(output: Path) -> dict[str, tuple[str, str]]:
    return {entry["place"]: (entry["outcome"], entry.get("reason", "")) for entry in report_of(output)["files"]}


def test_one_broken_file_never_stops_the_run(tmp_path: Path) -> None:
    broken = {
        "IM1": b"",
        "IM2": WHOLE[:200],
        "IM3": WHOLE[:-100],
        "IM4": WHOLE[:132] + os.urandom(4000),
        "IM5": bytes(128) + b"DICM",
        "IM6": b"PK\x03\x04" + os.urandom(500),
        "IM7": WHOLE + b"Testperson behind the end",
        "IM8": WHOLE.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0", 1),
    }
    for name, content in broken.items():
        put(tmp_path / "in", name, content)
    put(tmp_path / "in", "IM9", ct_instance(number=9))
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 1
    found = outcomes(tmp_path / "out")
    assert found["IM9.dcm"] == ("written", "")
    assert len(found) == 9
    assert {found[f"{name}.dcm"][0] for name in broken if name != "IM7"} <= {"held", "skipped"}
    assert written_files(tmp_path / "out") == sorted(place for place, (kind, _) in found.items() if kind == "written")
    for place in written_files(tmp_path / "out"):
        assert b"Testperson" not in (tmp_path / "out" / place).read_bytes()


def test_links_lead_nowhere(tmp_path: Path) -> None:
    outside = put(tmp_path / "elsewhere", "IM0001", ct_instance(number=7))
    put(tmp_path / "in", "SE1/IM0001", ct_instance(number=1))
    (tmp_path / "in/SE1/IM0002").symlink_to(outside)
    (tmp_path / "in/SE2").symlink_to(outside.parent)
    (tmp_path / "in/SE1/SE3").symlink_to(tmp_path / "in")
    (tmp_path / "in/SE1/IM0004").symlink_to(tmp_path / "nowhere")
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 0
    assert written_files(tmp_path / "out") == ["SE1/IM0001.dcm"]
    assert sorted(outcomes(tmp_path / "out").values()) == [("skipped", "symbolic-link")] * 4 + [("written", "")]


def test_a_folder_that_is_reached_by_a_link_is_taken_and_not_written_into(tmp_path: Path) -> None:
    put(tmp_path / "in", "IM1", ct_instance())
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert run(tmp_path / "link", tmp_path / "in/out").exit_code == 2
    assert run(tmp_path / "in", tmp_path / "link/out").exit_code == 2
    assert not (tmp_path / "in/out").exists()
    assert run(tmp_path / "link", tmp_path / "out").exit_code == 0
    assert written_files(tmp_path / "out") == ["IM1.dcm"]


def test_odd_names_meet_no_other_and_none_is_lost(tmp_path: Path) -> None:
    names = [
        *(b"IM0001", b"IM0001.dcm", b"IM0001.DCM", b"im0001", b"IM0001-2", b"IM0001.dcm.dcm", b"..dcm", b".dcm"),
        *(b"\xff\xfe", b"a\nb", b"%s{}", b"[red]x", b"\xe2\x80\xae1.dcm", b"x" * 250, b"-rf", b"CON"),
    ]
    for number, name in enumerate(names):
        put(tmp_path / "in", os.fsdecode(name), ct_instance(number=number + 1))
    result = run(tmp_path / "in", tmp_path / "out", "--map", tmp_path / "map.csv")
    assert result.exit_code == 0, result.output
    places = written_files(tmp_path / "out")
    assert len(places) == len({place.casefold() for place in places}) == len(names)
    written = {pydicom.dcmread(tmp_path / "out" / place).InstanceNumber for place in places}
    assert written == set(range(1, len(names) + 1))


def test_directories_of_media_are_dropped_and_told(tmp_path: Path) -> None:
    for number, patient in enumerate(("Testperson^Unreal", "Musterfrau^Fiktiva")):
        put(tmp_path / "in", f"IMAGES{number}/IM1", ct_instance(study=number + 1, PatientID=f"P-{number}"))
        directory = without_uid(
            SOPClassUID="1.2.840.10008.1.3.10",
            StudyInstanceUID=None,
            PixelData=None,
            PatientName=patient,
            PatientID=f"P-{number}",
        )
        put(tmp_path / "in", f"IMAGES{number}/DICOMDIR", directory)
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 0
    assert sorted(outcomes(tmp_path / "out").values()) == [("dropped", "media-directory")] * 2 + [("written", "")] * 2


def test_instances_without_uids_are_held_for_that_and_for_nothing_else(tmp_path: Path) -> None:
    put(tmp_path / "in", "IM1", without_uid(PatientID="P-1"))
    put(tmp_path / "in", "IM2", without_uid(PatientID="P-1", rows=8))
    put(tmp_path / "in", "IM3", ct_instance(number=3, StudyInstanceUID=None, PatientID="P-2"))
    put(tmp_path / "in", "IM4", ct_instance(number=4, StudyInstanceUID=None, PatientID="P-3"))
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 1
    assert set(outcomes(tmp_path / "out").values()) == {("held", "unreadable")}


def test_what_cannot_be_compared_is_no_copy(tmp_path: Path) -> None:
    lossless = "1.2.840.10008.1.2.4.70"
    for number in (1, 2):
        broken = write_part10(ct_instance(), transfer_syntax=lossless, frames=[bytes([number]) * 64])
        put(tmp_path / "in", f"IM{number}", broken)
    put(tmp_path / "in", "IM3", write_part10(ct_instance(number=3), transfer_syntax=lossless, frames=[bytes(64)]))
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 1
    found = outcomes(tmp_path / "out")
    assert found["IM1.dcm"] == found["IM2.dcm"] == ("held", "same-uid-different-pixels")
    assert found["IM3.dcm"] == ("written", "")


def test_a_folder_called_after_the_patient_of_another_case_gets_a_stand_in(tmp_path: Path) -> None:
    # Both names are words of the vocabulary.
    put(tmp_path / "in", "White/IM1", ct_instance(PatientName="Long^Baker", PatientID="PID-1"))
    put(
        tmp_path / "in",
        "Long/IM1",
        ct_instance(study=2, PatientName="White^May", PatientID="PID-2", StudyInstanceUID=uid(2)),
    )
    for case_per in ("folder", "patient", "study"):
        output = tmp_path / f"out-{case_per}"
        assert run(tmp_path / "in", output, "--case-per", case_per).exit_code == 0
        assert all(place.startswith("ID-") for place in written_files(output)), case_per


def test_a_file_that_vanishes_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "in", "IM1", ct_instance())
    gone = put(tmp_path / "in", "Testperson", ct_instance(number=2))
    find = offline_sources.os.walk

    def walk(*arguments: object, **named: object) -> list[object]:
        found = list(find(*arguments, **named))  # type: ignore[call-overload]
        gone.unlink()
        return found

    monkeypatch.setattr(offline_sources.os, "walk", walk)
    result = run(tmp_path / "in", tmp_path / "out")
    assert result.exit_code == 1
    assert "Testperson" not in result.output
    assert sorted(outcomes(tmp_path / "out").values()) == [("held", "unreadable"), ("written", "")]


def test_what_was_finished_when_nobody_listened_any_more_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(choices: Choices, _tools: object, sources: list[Source], _console: object) -> None:
        first, second = sources
        first.place, second.place = PurePosixPath("IM1.dcm"), PurePosixPath("IM2.dcm")
        first.outcome = Written(instance=DeidentifiedInstance(report=a_report(), **TOLD))
        for source in sources:
            (choices.output / source.place).write_bytes(WHOLE)
        raise KeyboardInterrupt

    monkeypatch.setattr(deidentify_command, "_run", interrupted)
    for number in (1, 2):
        put(tmp_path / "in", f"IM{number}", ct_instance(number=number))
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 130
    assert written_files(tmp_path / "out") == ["IM1.dcm"]
    assert outcomes(tmp_path / "out") == {"IM1.dcm": ("written", ""), "IM2.dcm": ("not-done", "interrupted")}


def test_the_report_says_where_words_went_and_never_which(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        described = ct_instance(number=number, SeriesDescription="AX Abdomen Testperson, Dr. Erfundene")
        put(tmp_path / "in", f"IM{number}", described)
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 0
    text = (tmp_path / "out-report.json").read_text()
    for entry in report_of(tmp_path / "out")["files"]:
        removed = [row for row in entry["removed_text"] if row["place"] == "(0008,103E)"]
        assert {"place": "(0008,103E)", "word": 2, "reason": "own"} in removed
        assert all(set(row) == {"place", "word", "reason"} for row in removed)
    assert "Testperson" not in text
    assert "Erfundene" not in text


def test_a_thousand_equal_reports_are_kept_once() -> None:
    written = [
        Written(instance=DeidentifiedInstance(report=a_report(), **TOLD))  # each one unpickled by itself
        for _ in range(1000)
    ]
    reports: dict[Report, Report] = {}
    assert len({id(offline._with_shared_report(each, reports).instance.report) for each in written}) == 1


def test_only_a_few_files_are_handed_out_at_a_time(tmp_path: Path) -> None:
    started: list[Path] = []

    class PoolOfCounts:
        def run(self, function: Callable[[Path], str], argument: Path, **_: float) -> str:
            started.append(argument)
            return function(argument)

        def close(self) -> None:
            pass

    workers = 3
    order = offline.OfflineRun(
        identified_root=tmp_path,
        output=tmp_path / "out",
        pseudonym_key=b"k" * 32,
        pool=cast("Pool", PoolOfCounts()),
        workers=workers,
        case_per=offline.CasePer.INPUT,
        step=lambda *_: None,
    )
    sources = [Source(identified_path=PurePosixPath(f"IM{number}")) for number in range(500)]
    done = 0
    for _source, outcome in order._in_children("Counting", sources, str, lambda source: source.identified_path):
        assert isinstance(outcome, str)
        done += 1
        # Those of one round are yielded one after the other before others are handed out.
        assert len(started) - done <= 2 * (workers + offline_files.AHEAD)
    assert done == len(started) == len(sources)
