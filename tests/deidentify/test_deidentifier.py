import io
import struct
import tracemalloc

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deidentify.deidentifier import Deidentifier
from deidentify.errors import PixelScreenError
from deidentify.results import Hold, HoldReason, PixelVerdict, ScreenReport
from tests.builders import (
    code,
    ct_instance,
    mr_instance,
    secondary_capture_instance,
    sr_instance,
    study_of_two_series,
    uid,
    us_instance,
    write_part10,
)
from tests.deidentify.support import clear_screen, deidentified, profile, scope

SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"]


def test_identity_goes_and_what_teaches_stays():
    way = deidentified(write_part10(ct_instance()))
    result = way.dataset
    assert result.PatientID.startswith("CB-")
    assert result.PatientSex == ""
    assert result.PatientBirthDate == ""
    assert result.AccessionNumber == ""
    assert "InstitutionName" not in result
    assert "StationName" not in result
    assert result.StudyDescription == "CT Abdomen"
    assert result.SeriesDescription == "AX Abdomen portal venous 5.0"
    assert result.ConvolutionKernel == "B30f"
    assert result.ManufacturerModelName == "Emotion 16"
    assert way.instance.description.age_band == "65 years"
    assert way.instance.description.sex == "F"
    assert way.instance.description.position == (0.0, 0.0, 5.0)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pixels_are_bit_identical_in_every_encoding(syntax):
    instance = ct_instance()
    way = deidentified(write_part10(instance, transfer_syntax=syntax))
    assert way.dataset.PixelData == instance.PixelData
    assert way.instance.size_bytes == len(way.written)


def test_encapsulated_pixels_are_copied_untouched():
    frames = [b"\xff\xd8\xff\xda\0\2" + bytes(300), b"\xff\xd8" + bytes(100)]
    original = write_part10(us_instance(NumberOfFrames=2), transfer_syntax="1.2.840.10008.1.2.4.50", frames=frames)
    way = deidentified(original)
    assert way.dataset.PixelData == pydicom.dcmread(io.BytesIO(original)).PixelData
    assert way.instance.description.frames == 2


def test_all_encodings_are_deidentified_alike():
    first, *others = [deidentified(write_part10(sr_instance(), transfer_syntax=syntax)).dataset for syntax in SYNTAXES]
    assert all(other.to_json() == first.to_json() for other in others)


def test_references_meet_inside_a_study_and_not_between_cases():
    target = ct_instance(number=1)
    referring = ct_instance(
        number=2,
        ReferencedImageSequence=[
            {"ReferencedSOPClassUID": target.SOPClassUID, "ReferencedSOPInstanceUID": target.SOPInstanceUID}
        ],
    )
    one, other = (deidentified(write_part10(instance)).dataset for instance in (target, referring))
    reference = other.ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == one.SOPInstanceUID == one.file_meta.MediaStorageSOPInstanceUID
    assert reference.ReferencedSOPClassUID == target.SOPClassUID
    assert other.FrameOfReferenceUID == one.FrameOfReferenceUID
    assert deidentified(write_part10(target), case=2).dataset.SOPInstanceUID != one.SOPInstanceUID
    assert deidentified(write_part10(target), case=2).dataset.PatientID != one.PatientID


def test_series_of_one_study_stay_together():
    results = [deidentified(write_part10(instance)).dataset for instance in study_of_two_series()]
    assert len({result.StudyInstanceUID for result in results}) == 1
    assert len({result.SeriesInstanceUID for result in results}) == 2
    assert len({result.PatientID for result in results}) == 1


def test_dates_move_by_one_number_of_days_and_times_stay_exact():
    result = deidentified(write_part10(ct_instance(ContentDate="20240301"))).dataset
    assert result.StudyTime == "235500"
    assert result.ContentTime == "000110.5"
    moved = [pydicom.valuerep.DA(value) for value in (result.StudyDate, result.ContentDate)]
    assert (moved[1] - moved[0]).days == 1
    assert result.LongitudinalTemporalInformationModified == "MODIFIED"


def test_markers_say_what_was_done():
    result = deidentified(write_part10(ct_instance(BurnedInAnnotation="YES"))).dataset
    assert result.PatientIdentityRemoved == "YES"
    assert result.BurnedInAnnotation == "NO"
    codes = [item.CodeValue for item in result.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113101", "113105", "113107"]


def test_a_report_without_pixels_claims_nothing_about_pixels():
    way = deidentified(write_part10(sr_instance()))
    assert "BurnedInAnnotation" not in way.dataset
    assert set(way.instance.report.options) == {"113100", "113104", "113105", "113107"}


def test_reports_keep_findings_and_lose_people():
    content = deidentified(write_part10(sr_instance())).dataset.ContentSequence
    assert content[0].PersonName == "Anonymous"
    assert content[1].TextValue.startswith("Baker cyst of the left knee")
    assert "Testperson" not in content[1].TextValue


def test_local_codes_are_replaced_and_public_ones_kept():
    instance = mr_instance(
        ProcedureCodeSequence=[
            code("77477000", "SCT", "Computed tomography"),
            code("HANS1", "99HOUSE", "CT Head Hansen"),
        ]
    )
    first, second = deidentified(write_part10(instance)).dataset.ProcedureCodeSequence
    assert (first.CodeValue, first.CodeMeaning) == ("77477000", "Computed tomography")
    assert (second.CodeValue, second.CodingSchemeDesignator, second.CodeMeaning) == (
        "REMOVED",
        "99CASEBRIDGE",
        "CT Head",
    )


def test_descriptions_lose_unknown_words_with_a_note_that_does_not_name_them():
    way = deidentified(write_part10(ct_instance(SeriesDescription="CT Abdomen Testperson Zimmer 4711 portal")))
    assert way.dataset.SeriesDescription == "CT Abdomen portal"
    assert "(0008,103E): words removed (2)" in way.instance.report.notes
    assert [(one.place, one.word, one.reason) for one in way.instance.report.removed_text] == [
        ("(0008,103E)", 2, "own"),
        ("(0008,103E)", 3, "number"),
    ]
    assert "Zimmer" not in repr(way.instance)


def test_a_profile_without_text_removes_descriptions():
    result = deidentified(write_part10(ct_instance()), profile_name="strict").dataset
    assert "SeriesDescription" not in result
    assert result.StudyDate == ""
    assert result.LongitudinalTemporalInformationModified == "REMOVED"


def test_overlays_curves_private_icons_and_group_lengths_go():
    instance = ct_instance()
    instance.add_new(0x60000010, "US", 16)
    instance.add_new(0x60003000, "OW", bytes(32))
    instance.add_new(0x60000022, "LO", "Testperson")
    instance.add_new(0x50000005, "US", 1)
    instance.add_new(0x00090010, "LO", "ACME")
    instance.add_new(0x00091001, "LO", "secret")
    instance.add_new(0xFFFCFFFC, "OB", b"secret")
    instance.add_new(0x00080000, "UL", 5)
    instance.IconImageSequence = Sequence([Dataset()])
    instance.OriginalAttributesSequence = Sequence([Dataset()])
    groups = {element.tag.group for element in deidentified(write_part10(instance)).dataset}
    assert groups <= {0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0028, 0x7FE0}


def test_preamble_and_file_meta_are_made_new():
    original = write_part10(
        ct_instance(),
        preamble=b"Testperson Unreal".ljust(128, b"x"),
        SourceApplicationEntityTitle="HOSPITALAE",
        PrivateInformationCreatorUID="1.2.3",
        PrivateInformation=b"secret",
    )
    way = deidentified(original)
    assert way.written[:132] == bytes(128) + b"DICM"
    assert [element.keyword for element in way.dataset.file_meta] == [
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    ]


@pytest.mark.parametrize(
    "screen",
    [
        ScreenReport(verdict=PixelVerdict.SUSPECT, frames=1, frames_read=1),
        ScreenReport(verdict=PixelVerdict.REDACT, frames=1, frames_read=1),
        ScreenReport(verdict=PixelVerdict.NOT_EVALUATED, frames=1, frames_read=0),
        ScreenReport(verdict=PixelVerdict.NO_PIXELS, frames=0, frames_read=0),
        ScreenReport(verdict=PixelVerdict.CLEAR, frames=2, frames_read=1),
    ],
)
def test_nothing_is_written_unless_every_frame_is_clear(screen):
    engine, source, target = Deidentifier(profile()), io.BytesIO(write_part10(ct_instance())), io.BytesIO()
    plan = engine.plan(engine.read(source), scope())
    with pytest.raises(PixelScreenError):
        engine.write(plan, screen, source, target)
    assert target.getvalue() == b""


def test_an_image_without_its_pixels_is_not_written():
    instance = ct_instance(PixelData=None)
    engine, source = Deidentifier(profile()), io.BytesIO(write_part10(instance))
    plan = engine.plan(engine.read(source), scope())
    with pytest.raises(PixelScreenError, match="missing"):
        engine.write(plan, clear_screen(plan), source, io.BytesIO())


def test_required_attributes_get_dummies_and_others_go():
    instance = secondary_capture_instance(Laterality="", ContentCreatorName="Testperson^Unreal", ProtocolName="Zimmer")
    result = deidentified(write_part10(instance)).dataset
    assert "ProtocolName" not in result


def test_a_wrong_vr_is_no_hiding_place():
    body = write_part10(ct_instance(SliceThickness=None, Rows=None, PixelData=None))
    hidden = (
        struct.pack("<HH2sH", 0x0018, 0x0050, b"LO", 10)
        + b"Testperson"
        + struct.pack("<HH2sH", 0x0028, 0x0010, b"SH", 6)
        + b"Unreal"
    )
    engine, source = Deidentifier(profile()), io.BytesIO(body + hidden)
    written = engine.plan(engine.read(source), scope())
    assert all(b"Testperson" not in element.value and b"Unreal" not in element.value for element in written.elements)


def test_the_plan_shows_nothing_identified():
    engine, source = Deidentifier(profile()), io.BytesIO(write_part10(ct_instance()))
    shown = repr(engine.plan(engine.read(source), scope()))
    assert "Testperson" not in shown
    assert uid(1) not in shown


RETAINING = """
name: retaining
base: basic
options: [retain-uids, retain-device-identity, retain-institution-identity, retain-patient-characteristics]
dates: keep
age: band
"""


def test_options_keep_what_they_name_and_say_so():
    way = deidentified(write_part10(ct_instance(PatientAge="066Y", PatientWeight="70")), profile_text=RETAINING)
    result = way.dataset
    assert result.StudyInstanceUID == uid(1)
    assert result.InstitutionName == "Klinikum Nirgendwo"
    assert result.StationName == "STATIONXY7"
    assert result.StudyDate == "20240229"
    assert (result.PatientSex, result.PatientAge, result.PatientWeight) == ("F", "065Y", 70)
    assert result.LongitudinalTemporalInformationModified == "UNMODIFIED"
    assert result.PatientBirthDate == ""
    assert set(way.instance.report.options) == {
        "113100",
        "113101",
        "113105",
        "113106",
        "113108",
        "113109",
        "113110",
        "113112",
    }


def test_a_large_file_is_not_held_in_memory(tmp_path):
    head = write_part10(ct_instance())
    place = head.rindex(b"\xe0\x7f\x10\0OW")
    size = 192 * 1024 * 1024
    source_path, target_path = tmp_path / "source", tmp_path / "target"
    with source_path.open("wb") as stream:
        stream.write(head[: place + 8] + struct.pack("<I", size))
        stream.truncate(place + 12 + size)
    engine = Deidentifier(profile())
    tracemalloc.start()
    with source_path.open("rb") as source, target_path.open("w+b") as target:
        plan = engine.plan(engine.read(source), scope())
        instance = engine.write(plan, clear_screen(plan), source, target)
        engine.verify(plan, target)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 48 * 1024 * 1024
    assert instance.size_bytes > size


def test_an_image_of_a_face_waits_where_the_profile_says_so_and_is_flagged_elsewhere():
    head = ct_instance(BodyPartExamined="HEAD", SliceThickness=1)
    engine = Deidentifier(profile("strict"))
    received = engine.read(io.BytesIO(write_part10(head)))
    hold = engine.hold_for_face(received)
    assert isinstance(hold, Hold)
    assert (hold.reason, hold.detail) == (
        HoldReason.RECOGNIZABLE_FACE,
        "slices of a head from which a face could be rendered",
    )
    assert engine.hold_for_face(received, is_accepted=True) is None
    assert Deidentifier(profile("teaching")).hold_for_face(received) is None
    assert deidentified(write_part10(head)).instance.face == "volume"
    assert deidentified(write_part10(ct_instance(BodyPartExamined="KNEE"))).instance.face == ""
