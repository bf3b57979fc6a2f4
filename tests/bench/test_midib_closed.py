"""What MIDI-B's scorer passes and ours does not: each hole is shown with an output that would slip through it."""

import io
from collections.abc import Callable

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from benchmarks.midib.answers import answers_of
from benchmarks.midib.closed import days_of, found_secrets, lost_types, marks_of, references, uids_of
from benchmarks.midib.key import Instance
from benchmarks.midib.people import Kind, Secret
from tests.builders import ct_instance, dataset, write_part10
from tests.deidentify.support import deidentified

NAME = Secret("Testperson", Kind.NAME)


def as_file(data: Dataset, **how: object) -> tuple[bytes, Dataset]:
    content = write_part10(data, **how)
    return content, pydicom.dcmread(io.BytesIO(content))


def secrets_in(content: bytes, *secrets: Secret, shifted: frozenset[str] = frozenset()) -> set[Secret]:
    return found_secrets(content, pydicom.dcmread(io.BytesIO(content)), secrets, shifted)


def clean() -> Dataset:
    return ct_instance(PatientName="X", StudyDescription="CT")


@pytest.mark.parametrize(
    "hide",
    [
        lambda: write_part10(clean(), preamble=b"TESTPERSON".ljust(128)),
        lambda: write_part10(clean(), PrivateInformationCreatorUID="1.2.3", PrivateInformation=b"testperson"),
        lambda: write_part10(clean()) + b"Testperson",
        lambda: write_part10(with_private(clean(), "UN", "Testperson".encode("utf-16-le"))),
        lambda: write_part10(with_private(clean(), "OB", "TESTPERSON".encode("utf-16-be"))),
        lambda: write_part10(ct_instance(PatientName="X", StudyDescription="CTTestpersonCT")),
        lambda: write_part10(with_overlay_comment(clean())),
        lambda: write_part10(ct_instance(), transfer_syntax="1.2.840.10008.1.2.1.99"),
    ],
)
def test_an_identifier_is_found_wherever_it_hides(hide: Callable[[], bytes]):
    assert secrets_in(hide(), NAME) == {NAME}


def with_private(data: Dataset, vr: str, value: bytes) -> Dataset:
    data.private_block(0x0029, "ACME", create=True).add_new(0x10, vr, value)
    return data


def with_overlay_comment(data: Dataset) -> Dataset:
    data.add_new(0x60004000, "LT", "for Testperson")
    return data


def test_a_clean_file_has_none():
    assert secrets_in(write_part10(clean()), NAME) == set()


def test_names_in_other_letters_are_found_in_their_own_encoding():
    data = ct_instance(SpecificCharacterSet="ISO_IR 144", PatientName="Воскресенская")
    assert secrets_in(write_part10(data), Secret("Воскресенская", Kind.NAME))


def test_a_short_name_is_found_as_a_word_only():
    lee = Secret("Lee", Kind.NAME)
    assert secrets_in(write_part10(ct_instance(StudyDescription="sleep")), lee) == set()
    assert secrets_in(write_part10(ct_instance(StudyDescription="Lee sleep")), lee) == {lee}


def test_a_uid_in_text_is_found_and_a_longer_one_is_another():
    uid = Secret("1.2.840.113619.2.55.3.11.22", Kind.UID)
    assert secrets_in(write_part10(ct_instance(ImageComments=f"see {uid.text}")), uid) == {uid}
    assert secrets_in(write_part10(ct_instance(ImageComments=f"see {uid.text}7")), uid) == set()


def test_a_date_that_the_tool_wrote_for_another_day_is_no_leak():
    day = Secret("20240229", Kind.DATE)
    content = write_part10(ct_instance())
    assert secrets_in(content, day) == {day}
    assert secrets_in(content, day, shifted=frozenset((day.text,))) == set()


# Relations.


def case_of(*originals: Dataset) -> list[Instance]:
    import random

    return [
        Instance(
            file=f"{number}.dcm",
            sop_instance_uid=str(data.SOPInstanceUID),
            study=0,
            answers=answers_of(as_file(data)[1], set(), random.Random(1)),
        )
        for number, data in enumerate(originals)
    ]


def shifted(data: Dataset, days: dict[str, str]) -> Dataset:
    for keyword, value in days.items():
        setattr(data, keyword, value)
    return data


def test_dates_moved_by_different_days_lose_their_intervals():
    instances = case_of(ct_instance())
    together = dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"), "20200101")
    assert days_of([(instances[0], shifted(ct_instance(), together))]).score() == (4, 4)
    apart = {**together, "AcquisitionDate": "20200102"}
    assert days_of([(instances[0], shifted(ct_instance(), apart))]).score() == (3, 4)


def test_a_removed_date_has_no_interval():
    instances = case_of(ct_instance())
    gone = shifted(ct_instance(), dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"), ""))
    assert days_of([(instances[0], gone)]).score() == (0, 4)


def pair_with_reference() -> tuple[Dataset, Dataset]:
    one, other = ct_instance(number=1), ct_instance(number=2)
    item = dataset(ReferencedSOPClassUID=one.SOPClassUID, ReferencedSOPInstanceUID=one.SOPInstanceUID)
    other.ReferencedInstanceSequence = Sequence([item])
    return one, other


def test_a_reference_that_leads_nowhere_is_seen():
    one, other = pair_with_reference()
    instances = case_of(one, other)

    def kept(rename_reference: str) -> tuple[int, int]:
        one, other = pair_with_reference()
        one.SOPInstanceUID = "2.25.1"
        other.SOPInstanceUID = "2.25.2"
        other.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID = rename_reference
        return references(list(zip(instances, (one, other), strict=True)))

    whole, asked = kept("2.25.1")
    assert whole == asked > 0
    broken, asked = kept("2.25.99")
    assert broken == asked - 1


def test_the_map_of_uids_is_read_from_the_files():
    one, other = pair_with_reference()
    instances = case_of(one, other)
    one.FrameOfReferenceUID, other.FrameOfReferenceUID = "2.25.5", "2.25.6"
    uids = uids_of(list(zip(instances, (one, other), strict=True)))
    assert uids.replaced[str(ct_instance().FrameOfReferenceUID)] == {"2.25.5", "2.25.6"}


# Types and markers.


@pytest.mark.parametrize(
    ("change", "is_lost"),
    [
        ({}, False),
        ({"Modality": ""}, True),
        ({"Rows": None}, True),
        ({"ReferringPhysicianName": None}, True),
        ({"ReferringPhysicianName": ""}, False),
        ({"StationName": None}, False),
    ],
)
def test_a_required_attribute_that_is_gone_is_seen(change, is_lost):
    before = as_file(ct_instance())[1]
    after = as_file(ct_instance(**change))[1]
    kept, asked, lost = lost_types(before, after)
    assert (kept < asked) is is_lost is bool(lost)


@pytest.mark.filterwarnings("ignore")
def test_a_value_that_its_vr_does_not_allow_is_seen():
    before, after = as_file(ct_instance())[1], as_file(ct_instance())[1]
    after["StudyDate"]._value = "anonymized"
    assert (0x00080020,) in lost_types(before, after)[2]


def engine_output() -> tuple[Dataset, Dataset]:
    content, before = as_file(ct_instance())
    return before, deidentified(content).dataset


def test_our_markers_are_there_and_true():
    before, after = engine_output()
    marks = marks_of(before, after, leaks=0, moves={400}, has_dates=True, drawn=False)
    assert marks.false == ()
    assert marks.asked >= 5


@pytest.mark.parametrize(
    ("facts", "false"),
    [
        ({"leaks": 1}, "Patient Identity Removed is YES, and it is"),
        ({"moves": {0}}, "Longitudinal Temporal Information Modified says what happened"),
        ({"leaks": 1}, "descriptors were cleaned"),
        ({"moves": {0}}, "the option on dates was executed"),
        ({"has_dates": False}, "Longitudinal Temporal Information Modified says what happened"),
        ({"drawn": True}, "no text is burned in"),
    ],
)
def test_a_marker_that_claims_what_was_not_done_is_seen(facts, false):
    before, after = engine_output()
    truth = {"leaks": 0, "moves": {400}, "has_dates": True, "drawn": False}
    assert false in marks_of(before, after, **{**truth, **facts}).false


@pytest.mark.parametrize(
    ("code", "false"),
    [
        ("113106", "the option on dates was executed"),
        ("113110", "UIDs were retained"),
        ("113104", "structured content was cleaned"),
        ("113111", "safe private elements were retained"),
    ],
)
def test_a_method_code_of_an_option_that_was_not_executed_is_seen(code, false):
    before, after = engine_output()
    before = with_private(before, "LO", b"x")
    after.DeidentificationMethodCodeSequence = Sequence([dataset(CodeValue=code)])
    assert false in marks_of(before, after, leaks=0, moves={400}, has_dates=True, drawn=False).false


def test_a_file_without_markers_is_seen():
    before, _ = engine_output()
    marks = marks_of(before, before, leaks=0, moves={400}, has_dates=True, drawn=False)
    assert len(marks.false) >= 3


def test_no_is_true_of_pixels_that_nobody_looked_at_and_of_nothing_else():
    before, after = engine_output()
    truth = {"leaks": 0, "moves": {400}, "has_dates": True, "drawn": False}
    after.PatientIdentityRemoved = "NO"
    assert "Patient Identity Removed is YES, and it is" in marks_of(before, after, **truth).false
    codes = [item for item in after.DeidentificationMethodCodeSequence if item.CodeValue != "113101"]
    after.DeidentificationMethodCodeSequence = Sequence(codes)
    assert marks_of(before, after, **truth).false == ()
    del after.Rows
    assert "Patient Identity Removed is YES, and it is" in marks_of(before, after, **truth).false
