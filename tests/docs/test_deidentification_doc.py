"""docs/deidentification.md says what deidentify/ does."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydicom import Dataset, dcmread

from bridge.__main__ import main
from bridge.deidentify_command import EXIT_HELD
from deidentify.actions import Action
from deidentify.decisions import Decision
from deidentify.errors import PixelScreenError
from deidentify.pseudonyms import LONGEST_SHIFT_DAYS, SHORTEST_SHIFT_DAYS
from deidentify.results import DropReason, HoldReason
from deidentify.tables import method_codes
from deidentify.text import Reason
from tests.builders import ct_instance, sr_instance, write_part10
from tests.deidentify.support import deidentified
from tests.docs.deidentification_tables import (
    ACTIONS,
    DECISIONS,
    DROPS,
    EXECUTED,
    HOLDS,
    LIST,
    LISTS,
    PAGE,
    REPORT,
    REPORT_FILE,
    SPELLED,
    WENT,
    asked,
    asked_text,
    example,
    with_tables,
)
from tests.tools import CHECKOUT

TEXT = PAGE.read_text()
ANEW = "write them anew with: .venv/bin/python -m tests.docs.deidentification_tables"
BASIC, SCREENED = "113100", "113101"
TABLES = CHECKOUT / "deidentify/tables"


def section(heading: str) -> str:
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_tables_equal_the_code():
    assert with_tables(TEXT) == TEXT, ANEW


def test_the_lists_of_attributes_and_content_items_equal_the_code():
    assert with_tables(LIST.read_text(), LISTS) == LIST.read_text(), ANEW


def test_everything_that_can_happen_has_its_words():
    assert set(ACTIONS) == set(Action)
    assert set(DECISIONS) == set(Decision.__members__)
    assert set(DROPS) == set(DropReason)
    assert set(HOLDS) == set(HoldReason)
    assert set(WENT) == set(Reason)
    assert set(SPELLED) == set(method_codes()) - {None}


@pytest.mark.parametrize("option", SPELLED)
def test_a_profile_asks_for_an_option_as_the_page_says(option: str):
    # Pixels are always screened.
    assert asked(option).options == {option, "clean_pixel_data"}


def codes_of(instance: Dataset, option: str) -> set[str]:
    written = deidentified(write_part10(instance), profile_text=asked_text(option)).dataset
    return {item.CodeValue for item in written.DeidentificationMethodCodeSequence}


@pytest.mark.parametrize("option", sorted(set(SPELLED) - set(EXECUTED)))
def test_the_code_of_an_option_is_written_where_the_profile_asks_for_it(option: str):
    assert codes_of(ct_instance(), option) == {BASIC, SCREENED, method_codes()[option][0]}


def test_other_codes_are_written_only_where_there_is_something_to_do():
    safe_private = ct_instance()
    safe_private.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
    safe_private.add_new(0x0019100C, "IS", "1000")
    matter = {
        "clean_pixel_data": (ct_instance(), SCREENED),
        "clean_structured_content": (sr_instance(), "113104"),
        "retain_safe_private": (safe_private, "113111"),
    }
    for option, (instance, code) in matter.items():
        assert code == method_codes()[option][0]
        assert code in codes_of(instance, option)
        assert option == "clean_pixel_data" or code not in codes_of(ct_instance(), option)
    assert method_codes()["clean_graphics"][0] not in codes_of(ct_instance(), "clean_graphics")
    with pytest.raises(PixelScreenError):
        codes_of(ct_instance(), "clean_recognizable_visual_features")


def test_the_editions_are_those_of_the_tables():
    attributes = json.loads((TABLES / "ps3.15_table_E.1-1.json").read_text())
    concepts = json.loads((TABLES / "ps3.15_table_E.3.4-1_sr_content_items.json").read_text())
    method = section("The method")
    assert f"edition {attributes['edition']}" in method
    assert f"that of {concepts['edition']}" in method


def test_the_days_of_the_shift_are_those_of_the_code():
    assert f"{SHORTEST_SHIFT_DAYS} to {LONGEST_SHIFT_DAYS:,}" in section("Pseudonyms, dates, age")


def test_the_example_shows_nothing_of_the_original():
    rows = [row.split(" | ") for row in example().splitlines()[2:]]
    assert any("Testperson" in row[1] for row in rows)
    for row in rows:
        assert not re.search("Testperson|Nirgendwo|Erfundene|700123|900001|12345|1957|2024", " ".join(row[2:])), row[0]


def test_two_cases_of_one_study_have_nothing_in_common_that_identifies():
    one, other = (deidentified(write_part10(ct_instance()), case=case).dataset for case in (1, 2))
    for keyword in (
        "PatientID",
        "PatientName",
        "StudyInstanceUID",
        "SOPInstanceUID",
        "FrameOfReferenceUID",
        "StudyDate",
    ):
        assert one[keyword].value != other[keyword].value
    # The first of the limits.
    assert one.PixelData == other.PixelData


@pytest.mark.parametrize(
    ("limit", "keyword", "value"),
    [
        ("that are words", "ImageComments", "seen with Long"),
        ("Code strings", "Modality", "MILLER"),
        ("Numbers", "NumberOfTemporalPositions", "4711123"),
        ("The device", "TimezoneOffsetFromUTC", "+0200"),
    ],
)
def test_what_the_page_says_may_remain_does_remain(limit: str, keyword: str, value: str):
    """Where this fails, a limit was mended: say so on the page."""
    assert limit in section("What may remain")
    written = deidentified(write_part10(ct_instance(**{keyword: value}))).dataset
    assert value.rsplit(maxsplit=1)[-1] in str(written[keyword].value)


def test_this_patients_own_words_and_numbers_do_not_remain_there():
    instance = ct_instance(
        PatientName="Long^Miller",
        PatientID="4711123",
        ImageComments="seen with Long",
        Modality="MILLER",
    )
    written = deidentified(write_part10(instance)).written
    assert re.search(rb"\bLong\b", written) is None
    assert b"MILLER" not in written
    assert b"4711123" not in written


def test_the_report_of_a_folder_has_the_keys_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASEBRIDGE_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/IM1").write_bytes(write_part10(ct_instance()))
    (tmp_path / "in/IM2").write_bytes(write_part10(ct_instance(StudyInstanceUID=None)))
    (tmp_path / "in/letter.txt").write_text("no image")
    words = ["deidentify", str(tmp_path / "in"), str(tmp_path / "out"), "--no-pixels", "--workers", "1"]
    assert CliRunner().invoke(main, words).exit_code == EXIT_HELD == 1
    report = json.loads((tmp_path / "out-report.json").read_text())
    assert list(report) == list(REPORT)
    assert {key for entry in report["files"] for key in entry} == set(REPORT_FILE)
    assert [entry["outcome"] for entry in report["files"]] == ["written", "held", "skipped"]
    assert "1 when some were held" in section("Folders, without a server")
    written = dcmread(tmp_path / "out/IM1.dcm")
    assert written.PatientIdentityRemoved == "NO"
    assert SCREENED not in {item.CodeValue for item in written.DeidentificationMethodCodeSequence}
    assert "BurnedInAnnotation" not in written


def test_every_file_that_the_page_names_is_there():
    named = re.findall(r"`((?:tests|deidentify|benchmarks)/[\w/.]+)`", TEXT)
    assert named
    assert all((CHECKOUT / name).exists() for name in named)
