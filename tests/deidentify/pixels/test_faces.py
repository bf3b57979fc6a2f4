"""Whose face could be seen: photographs and thin heads, until the header says that it is something else."""

import io

import pytest
from pydicom import Dataset, Sequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    XRay3DCraniofacialImageStorage,
)

from deidentify.parser import read_instance
from deidentify.pixels.faces import FaceRisk, shows_face
from tests.builders import ct_instance, mr_instance, write_part10
from tests.corpus import ROOT, require_corpus

PHOTOGRAPH, VOLUME, RENDERING = FaceRisk.PHOTOGRAPH, FaceRisk.VOLUME, FaceRisk.RENDERING
VL = "1.2.840.10008.5.1.4.1.1.77.1."


def risk(instance, syntax=ExplicitVRLittleEndian):
    return shows_face(read_instance(io.BytesIO(write_part10(instance, transfer_syntax=syntax))))


def slices(body_part=None, description=None, thickness="1", **more):
    named = {"StudyDescription": description, "SeriesDescription": None, "BodyPartExamined": body_part}
    return ct_instance(**(named | {"SliceThickness": thickness, "Rows": 512, "Columns": 512} | more))


def photograph(sop_class, modality, body_part=None, **more):
    named = {"StudyDescription": None, "SeriesDescription": None, "SliceThickness": None}
    return ct_instance(SOPClassUID=sop_class, Modality=modality, BodyPartExamined=body_part, **(named | more))


@pytest.mark.parametrize(
    ("body_part", "description"),
    [
        ("HEAD", None),
        ("SKULL", "CT"),
        (None, "CT BRAIN WO IVCON"),
        ("", "NNH nativ"),
        ("CHEST", "CT Head and chest"),
        ("WHOLEBODY", None),
        ("HEADNECK", None),
        ("NECK", None),
        ("CSPINE", None),
        (None, "PET skull base to thigh"),
        (None, "CT Schädel"),
        (None, "scanner crânien"),
    ],
)
def test_thin_slices_of_a_head_are_a_volume(body_part, description):
    assert risk(slices(body_part, description, SpecificCharacterSet="ISO_IR 192")) is VOLUME


@pytest.mark.parametrize(
    ("body_part", "description"),
    [("CHEST", None), ("ABDOMEN", "CT"), (None, "CT COLONOGRAPHY COLON"), ("KNEE", None), (None, "CTA coronary")],
)
def test_slices_that_say_that_they_are_of_another_part_are_not(body_part, description):
    assert risk(slices(body_part, description)) is None


@pytest.mark.parametrize("description", [None, "", "CT", "COR T1 recon", "hippocampus", "legacy main rectangular FOV"])
def test_thin_slices_that_say_nothing_may_be_of_a_head(description):
    assert risk(slices(None, description)) is VOLUME


def test_what_says_nothing_and_is_smaller_than_a_face_is_none():
    small = {"Rows": 256, "Columns": 256, "PixelSpacing": [0.3, 0.3]}
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian):
        assert risk(slices(**small), syntax) is None
        assert risk(slices(**small | {"Columns": 512}), syntax) is VOLUME
    assert risk(slices("ORBIT", **small)) is VOLUME
    assert risk(slices(**small | {"PixelSpacing": None})) is VOLUME


@pytest.mark.parametrize(
    ("thickness", "spacing", "is_thin"),
    [
        ("1", None, True),
        ("3.5", None, True),
        ("3.6", None, False),
        ("5", "5", False),
        ("5", "2.5", True),
        (None, "4.5", False),
        (None, None, True),
        ("0", None, True),
        ("", "", True),
    ],
)
def test_slices_are_thin_by_thickness_or_spacing_and_where_nobody_says(thickness, spacing, is_thin):
    found = risk(mr_instance(BodyPartExamined="HEAD", SliceThickness=thickness, SpacingBetweenSlices=spacing))
    assert found is (VOLUME if is_thin else None)


def test_a_broken_thickness_is_none():
    written = write_part10(slices("HEAD", thickness="12.25")).replace(b"12.25 ", b"about ")
    assert b"about " in written
    assert shows_face(read_instance(io.BytesIO(written))) is VOLUME


def item(**attributes):
    data = Dataset()
    for keyword, value in attributes.items():
        setattr(data, keyword, value)
    return data


@pytest.mark.parametrize(("thickness", "found"), [("1.2", VOLUME), ("5", None)])
@pytest.mark.parametrize("groups", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
def test_enhanced_objects_say_thickness_and_anatomy_in_their_functional_groups(thickness, found, groups):
    measures = item(SliceThickness=thickness, PixelSpacing=[0.5, 0.5])
    region = item(CodeValue="69536005", CodingSchemeDesignator="SCT", CodeMeaning="Head")
    anatomy = item(FrameLaterality="U", AnatomicRegionSequence=Sequence([region]))
    group = item(PixelMeasuresSequence=Sequence([measures]), FrameAnatomySequence=Sequence([anatomy]))
    enhanced = slices(None, None, thickness=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", PixelSpacing=None)
    setattr(enhanced, groups, Sequence([group]))
    assert risk(enhanced) is found
    region.CodeMeaning, measures.SliceThickness = "Chest", "1"
    assert risk(enhanced) is None


def test_pet_and_craniofacial_volumes_count_and_ultrasound_does_not():
    assert risk(slices("HEAD", Modality="PT", SOPClassUID=PositronEmissionTomographyImageStorage)) is VOLUME
    assert risk(slices(Modality="DX", SOPClassUID=XRay3DCraniofacialImageStorage, thickness="9")) is VOLUME
    assert risk(slices("HEAD", Modality="US", SOPClassUID=UltrasoundImageStorage)) is None


def test_localizers_and_captures_are_no_volume_but_a_rendering_shows_the_face():
    assert risk(slices("HEAD", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])) is None
    assert risk(slices("HEAD", SOPClassUID=SecondaryCaptureImageStorage)) is None
    for sop_class in (CTImageStorage, SecondaryCaptureImageStorage):
        rendered = {"ImageType": ["DERIVED", "SECONDARY", "VOLREN"], "SOPClassUID": sop_class, "thickness": "5"}
        assert risk(slices("HEAD", **rendered)) is RENDERING
        assert risk(slices(None, **rendered)) is RENDERING
        assert risk(slices("KNEE", **rendered)) is None


@pytest.mark.parametrize(
    ("sop_class", "modality", "body_part", "found"),
    [
        (f"{VL}4", "XC", None, PHOTOGRAPH),
        (f"{VL}4", "XC", "FACE", PHOTOGRAPH),
        (f"{VL}4", "XC", "HAND", PHOTOGRAPH),
        (f"{VL}4", "XC", "CHEST", PHOTOGRAPH),
        (f"{VL}4", "XC", "FOOT", None),
        (f"{VL}7", "DMS", None, PHOTOGRAPH),
        (SecondaryCaptureImageStorage, "XC", None, PHOTOGRAPH),
        (f"{VL}1", "ES", None, PHOTOGRAPH),
        (f"{VL}1", "ES", "NOSE", PHOTOGRAPH),
        (f"{VL}1", "ES", "COLON", None),
        (f"{VL}1", "ES", "FOOT", PHOTOGRAPH),
        (f"{VL}5.1", "OP", "EYE", PHOTOGRAPH),
        (f"{VL}2", "GM", None, None),
        (f"{VL}6", "SM", None, None),
    ],
)
def test_photographs_are_of_a_face_until_they_say_something_else(sop_class, modality, body_part, found):
    assert risk(photograph(sop_class, modality, body_part)) is found


@pytest.mark.parametrize(("device", "found"), [("Fundus Camera", None), ("External Camera", PHOTOGRAPH)])
def test_an_eye_is_photographed_from_outside_or_looked_into(device, found):
    code = item(CodeValue="1", CodingSchemeDesignator="99TEST", CodeMeaning=device)
    instance = photograph(f"{VL}5.2", "OP", "EYE", AcquisitionDeviceTypeCodeSequence=Sequence([code]))
    assert risk(instance) is found


REAL = {
    "pydicom+pydicom/src/pydicom/data/test_files/dicomdirtests/77654033/CT2/17106": VOLUME,
    "neurolabusc+dcm_qa_deident/In/00001.dcm": VOLUME,
    "neurolabusc+dcm_qa_enh/In/Siemens/XA10/6_1.dcm": VOLUME,
    "pydicom+deid-data/deid_data/data/humans/ctbrain1.dcm": None,
    "QIICR+dcmqi/data/segmentations/ct-3slice/01.dcm": None,
    "pydicom+pydicom-data/data_store/data/explicit_VR-UN.dcm": None,
    "pydicom+pydicom/src/pydicom/data/test_files/examples_overlay.dcm": None,
}


@pytest.mark.parametrize(("name", "found"), REAL.items())
def test_real_files(name, found):
    assert any(file.path == ROOT / name for file in require_corpus())
    with (ROOT / name).open("rb") as identified_file:
        assert shows_face(read_instance(identified_file)) is found
