"""What Annex E asks beyond Table E.1-1: places, forms and relations that no row names."""

import io
import struct

import pydicom
import pytest
from pydicom.datadict import dictionary_has_tag, dictionary_is_retired
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import validate_value

from deidentify.actions import COMPOUND_CODES, Action, dummy_value, resolved
from deidentify.dataset import LONG_FORM_VRS, SHORT_FORM_VRS, Element
from deidentify.deidentifier import Deidentifier
from deidentify.dictionary import registered_uids, vr_table
from deidentify.results import Dropped
from deidentify.tables import attribute_rows, iod_types
from tests.builders import code, ct_instance, dataset, mr_instance, sr_instance, study_of_two_series, uid, write_part10
from tests.deidentify.nasty import spliced
from tests.deidentify.support import deidentified, profile
from tests.deidentify.test_canaries import TEXT, Planter

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
NOTHING = "name: bare\nbase: basic\ndates: remove\ntext: remove\n"

# --- compound codes, by the Type of the attribute in this IOD and path


@pytest.mark.parametrize(
    ("code_", "by_type"),
    [
        ("Z/D", {"1": "D", "1C": "D", "2": "Z", "2C": "Z", "3": "Z", None: "Z"}),
        ("X/Z", {"1": "D", "1C": "D", "2": "Z", "2C": "Z", "3": "X", None: "X"}),
        ("X/D", {"1": "D", "1C": "D", "2": "Z", "2C": "Z", "3": "X", None: "X"}),
        ("X/Z/D", {"1": "D", "1C": "D", "2": "Z", "2C": "Z", "3": "X", None: "X"}),
        ("X/Z/U*", {"1": "U", "1C": "U", "2": "Z", "2C": "Z", "3": "X", None: "X"}),
        ("X", {"1": "D", "1C": "X", "2": "Z", "2C": "Z", "3": "X", None: "X"}),
        ("Z", {"1": "D", "1C": "D", "2": "Z", "2C": "Z", "3": "Z", None: "Z"}),
    ],
)
def test_a_compound_code_is_resolved_by_the_type(code_, by_type):
    assert {kind: resolved(code_, kind).value for kind in by_type} == by_type


def test_every_compound_code_of_the_table_is_known():
    assert {row.basic for row in attribute_rows().values()} <= COMPOUND_CODES | set(Action)


def test_one_attribute_has_another_type_in_another_iod_and_on_another_path():
    """Device Serial Number (0018,1000), X/Z/D: required in enhanced images, optional in others."""
    assert iod_types(CT).type_of((), 0x00181000) == "3"
    assert iod_types(ENHANCED_CT).type_of((), 0x00181000) == "1"
    values = {"DeviceSerialNumber": "Zqxword"}
    assert "DeviceSerialNumber" not in deidentified(write_part10(ct_instance(**values))).dataset
    required = deidentified(write_part10(ct_instance(SOPClassUID=ENHANCED_CT, **values))).dataset
    assert required.DeviceSerialNumber == "Removed"
    inner = (0x00189301,)
    assert iod_types(ENHANCED_CT).type_of(inner, 0x00181000) is None
    item = Dataset()
    item.DeviceSerialNumber, item.Rows = "Zqxword", 1
    nested = ct_instance(SOPClassUID=ENHANCED_CT, **values)
    nested.CTAcquisitionTypeSequence = Sequence([item])
    assert "DeviceSerialNumber" not in deidentified(write_part10(nested)).dataset.CTAcquisitionTypeSequence[0]


# --- dummy values


@pytest.mark.parametrize("vr", sorted((LONG_FORM_VRS | SHORT_FORM_VRS) - {"SQ"}))
def test_a_dummy_value_is_valid_for_its_vr_and_not_empty(vr):
    value = dummy_value(vr)
    assert value
    if vr in {"AT", "FL", "FD", "SL", "SS", "UL", "US", "SV", "UV", "OF", "OL", "OD", "OV"}:
        assert len(value) % {"AT": 4, "FL": 4, "SL": 4, "UL": 4, "OF": 4, "OL": 4, "SS": 2, "US": 2}.get(vr, 8) == 0
    elif vr not in {"OB", "OW", "UN", "UI"}:
        validate_value(vr, value.decode("ascii"), pydicom.config.RAISE)


# --- retired, repeating, unknown, private, group 0004


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [ct_instance, sr_instance])
def test_repeating_groups_and_unknown_attributes_go(make):
    planter = Planter()
    instance = make()
    for group in range(0x5000, 0x5020, 2):
        instance.add_new((group, 0x0040), "SH", planter.word()[:16])
        instance.add_new((group, 0x3000), "OW", planter.word().encode().ljust(20))
    for group in range(0x6000, 0x6020, 2):
        instance.add_new((group, 0x0022), "LO", planter.word())
        instance.add_new((group, 0x3000), "OW", planter.word().encode().ljust(20))
        instance.add_new((group, 0x4000), "LT", planter.word())
    for tag in (0x00081999, 0x00101999, 0x00201999, 0x30001999, 0x70001999, 0x0020310F, 0x10100001):
        assert tag == 0x0020310F or tag not in vr_table()
        instance.add_new(tag, "LO", planter.word())
    written = deidentified(write_part10(instance))
    assert planter.found(written.written) == []
    assert {element.tag.group >> 8 for element in written.dataset}.isdisjoint({0x50, 0x60})


def test_retired_attributes_of_text_go_though_the_table_does_not_name_them():
    planter = Planter()
    instance = ct_instance()

    texts = [tag for tag, vr in vr_table().items() if vr in TEXT and tag >> 16 > 8 and dictionary_has_tag(tag)]
    retired = [tag for tag in texts if dictionary_is_retired(tag)]
    outside = [tag for tag in retired if tag not in attribute_rows() and tag >> 16 not in {0x5000, 0x6000}]
    assert len(outside) > 30
    for tag in outside:
        instance.add_new(tag, vr_table()[tag], planter.word())
    assert planter.found(deidentified(write_part10(instance)).written) == []


@pytest.mark.filterwarnings("ignore")
def test_a_directory_is_no_instance_and_its_group_goes_from_one():
    engine = Deidentifier(profile())
    listing = ct_instance(SOPClassUID="1.2.840.10008.1.3.10")
    assert isinstance(engine.disposition(engine.read(io.BytesIO(write_part10(listing)))), Dropped)
    file_id = Element(0x00041500, "CS", b"ZQXWORD ")
    offset = Element(0x00041200, "UL", bytes(4))
    way = deidentified(spliced(write_part10(ct_instance()), file_id, offset))
    assert b"ZQXWORD" not in way.written
    assert not any(element.tag.group == 4 for element in way.dataset)


# --- signatures, original attributes, icons, documents


def sequence_with_a_word(planter, *more):
    item = Dataset()
    item.PatientName, item.Rows = planter.word(), 1
    for tag, vr in more:
        item.add_new(tag, vr, planter.word().encode() if vr == "OB" else planter.word())
    return Sequence([item])


@pytest.mark.parametrize("profile_text", [None, NOTHING, "name: safe\nbase: basic\nprivate: safe\n"])
@pytest.mark.parametrize(
    ("tag", "more"),
    [
        (0xFFFAFFFA, [(0x04000115, "OB"), (0x04000120, "OB")]),
        (0x04000561, [(0x04000563, "LO"), (0x04000564, "LO")]),
        (0x04000500, [(0x04000520, "OB")]),
        (0x04000600, []),
        (0x00880200, [(0x7FE00010, "OB")]),
        (0x4FFE0001, [(0x04000015, "CS")]),
    ],
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("depth", [0, 1])
def test_signatures_original_attributes_ciphers_and_icons_go_at_every_depth(tag, more, depth, profile_text):
    planter = Planter()
    instance = ct_instance()
    target = instance
    if depth:
        target = Dataset()
        target.Rows = 1
        instance.VOILUTSequence = Sequence([target])
    target.add_new(tag, "SQ", sequence_with_a_word(planter, *more))
    way = deidentified(write_part10(instance), profile_text=profile_text)
    assert planter.found(way.written) == []
    assert all(element.tag != tag for element in way.dataset.iterall())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tag", [0x00420011, 0x04000520, 0x00281408, 0x00189434])
def test_bytes_that_nobody_reads_go_from_an_image(tag):
    value = b"%PDF-1.4 Zqxword Testperson"
    assert (
        b"Zqxword" not in deidentified(spliced(write_part10(ct_instance()), Element(tag, "OB", value + b" "))).written
    )


# --- padding, file meta, preamble


def test_trailing_padding_goes_with_what_is_in_it():
    part10 = write_part10(ct_instance())
    padding = struct.pack("<HH2sHL", 0xFFFC, 0xFFFC, b"OB", 0, 16) + b"Zqxword Testpers"
    way = deidentified(part10 + padding)
    assert b"Zqxword" not in way.written
    assert way.written == deidentified(part10).written
    assert deidentified(part10 + bytes(64)).written == way.written


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"])
def test_a_file_without_preamble_or_meta_gets_both(syntax):
    part10 = write_part10(ct_instance(), transfer_syntax=syntax)
    way = deidentified(part10)
    assert way.written[:132] == bytes(128) + b"DICM"
    if syntax == "1.2.840.10008.1.2":
        bare = part10[144 + struct.unpack_from("<L", part10, 140)[0] :]
        assert deidentified(bare).written[:132] == bytes(128) + b"DICM"


# --- UIDs and references


def every_uid(data):
    for element in data.iterall():
        if element.VR == "UI" and element.value:
            yield from (element.value if isinstance(element.value, pydicom.multival.MultiValue) else [element.value])


def test_uids_and_references_are_closed_over_the_study():
    images = study_of_two_series()
    targets = [image.SOPInstanceUID for image in images]
    reference = {"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": targets[0]}
    images[1].SourceImageSequence = Sequence([dataset(**reference)])
    images[2].ReferencedImageSequence = Sequence([dataset(**reference)])
    report = sr_instance(
        CurrentRequestedProcedureEvidenceSequence=[
            {
                "StudyInstanceUID": uid(1),
                "ReferencedSeriesSequence": [
                    {"SeriesInstanceUID": images[0].SeriesInstanceUID, "ReferencedSOPSequence": [reference]}
                ],
            }
        ]
    )
    image_item = dataset(
        RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=[reference],
        ConceptNameCodeSequence=[code("121071", "DCM", "Finding")],
    )  # fmt: skip
    report.ContentSequence = Sequence([*report.ContentSequence, image_item])
    written = [deidentified(write_part10(instance)).dataset for instance in (*images, report)]
    known = {data.SOPInstanceUID for data in written} | {data.StudyInstanceUID for data in written}
    known |= {data.SeriesInstanceUID for data in written} | {data.get("FrameOfReferenceUID") for data in written}
    for data in written:
        new = {value for value in every_uid(data) if value not in registered_uids()}
        assert new <= known
    first = written[0].SOPInstanceUID
    assert written[1].SourceImageSequence[0].ReferencedSOPInstanceUID == first
    assert written[2].ReferencedImageSequence[0].ReferencedSOPInstanceUID == first
    assert written[4].ContentSequence[-1].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first
    assert all(value.startswith("2.25.") and len(value) <= 64 for value in known if value)


def test_structural_uids_stay():
    instance = mr_instance(RelatedGeneralSOPClassUID=CT)
    instance.CodingSchemeIdentificationSequence = Sequence(
        [dataset(CodingSchemeDesignator="SCT", CodingSchemeUID="2.16.840.1.113883.6.96")]
    )
    written = deidentified(write_part10(instance)).dataset
    assert (written.SOPClassUID, written.RelatedGeneralSOPClassUID) == (instance.SOPClassUID, CT)


def test_a_number_under_the_root_of_the_standard_is_no_uid_of_the_standard():
    instance = mr_instance(RelatedGeneralSOPClassUID="1.2.840.10008.7001234")
    written = deidentified(write_part10(instance)).dataset
    assert written.get("RelatedGeneralSOPClassUID", "") != "1.2.840.10008.7001234"
    assert b"7001234" not in deidentified(write_part10(instance)).written


# --- character sets


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("ISO_IR 192", "utf-8"), ("ISO_IR 100", "latin-1"), ("GB18030", "gb18030"), ("ISO_IR 144", "iso8859-5")],
)
def test_what_stays_is_valid_in_the_character_set_that_is_declared(charset, codec):
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    instance = ct_instance(SpecificCharacterSet=charset, StudyDescription="CT Abdomen")
    item.add_new(0x0008103E, "LO", "AX T2 2\u00b0")
    instance.VOILUTSequence = Sequence([item])
    name = {"gb18030": "\u738b\u5c0f\u660e", "iso8859-5": "\u0418\u0432\u0430\u043d\u043e\u0432"}.get(
        codec, "M\u00fcller"
    )
    instance.PatientName = name
    instance.SeriesDescription = f"AX {name} 5.0"
    way = deidentified(write_part10(instance))
    assert way.dataset.get("SpecificCharacterSet", "ISO_IR 6") in {charset, "ISO_IR 6"}
    for element in way.dataset.iterall():
        if element.VR in {"LO", "SH", "LT", "ST", "UT", "PN"} and element.value:
            assert "\ufffd" not in str(element.value)
            assert name not in str(element.value)
    assert name.encode(codec) not in way.written


@pytest.mark.parametrize(
    ("charset", "term", "codec"),
    [
        (b"ISO-IR 100", "ISO_IR 100", "latin-1"),
        (b"iso_ir 192", "ISO_IR 192", "utf-8"),
        (b"UTF-8 ", "ISO_IR 192", "utf-8"),
        (b"ISO_IR_100", "ISO_IR 100", "latin-1"),
        (b"GB 18030", "GB18030", "gb18030"),
    ],
)
def test_a_misspelled_character_set_is_spelled_and_its_text_stays(charset, term, codec):
    elements = [Element(0x00080005, "CS", charset), Element(0x0008103E, "LO", "AX 2\u00b0 T2".encode(codec))]
    written = deidentified(spliced(write_part10(ct_instance()), *elements)).dataset
    assert written.SpecificCharacterSet == term
    assert written.SeriesDescription == "AX 2\u00b0 T2"


@pytest.mark.parametrize(
    ("charset", "written"),
    [
        (b"ISO 2022 IR 6\\ISO 2022 IR 100", b"\x1b-ASch\xe4del"),
        (b"\\ISO 2022 IR 100\\ISO 2022 IR 87", b"\x1b-ASch\xe4del"),
        (b"ISO 2022 IR 100\\ISO 2022 IR 144", b"Sch\xe4del"),
    ],
)
def test_a_word_beside_one_that_went_keeps_its_letters_under_code_extensions(charset, written):
    elements = [Element(0x00080005, "CS", charset), Element(0x0008103E, "LO", b"AX Zqxword\\\x1b-ASch\xe4del")]
    way = deidentified(spliced(write_part10(ct_instance()), *elements))
    assert b"AX\\" + written in way.written


def test_a_long_meaning_is_not_cut_inside_a_letter():
    meaning = "Sch\u00e4del " * 8
    item = [
        Element(0x00080100, "SH", b"X1"),
        Element(0x00080102, "SH", b"99LOCAL "),
        Element(0x00080104, "LO", meaning.encode()),
    ]
    elements = [Element(0x00080005, "CS", b"ISO_IR 192"), Element(0x00082218, "SQ", items=[item])]
    written = deidentified(spliced(write_part10(ct_instance()), *elements)).dataset
    assert written.AnatomicRegionSequence[0].CodeMeaning == meaning[:64].strip()


@pytest.mark.parametrize("charset", [b"ISO_IR 999", b"ISO_IR 100\\ISO_IR 192", b"ISO 2022 IR 6\\GBK", b"Zqxword "])
def test_a_character_set_that_nobody_knows_goes_with_what_is_written_in_it(charset):
    elements = [Element(0x00080005, "CS", charset), Element(0x0008103E, "LO", b"AX T2 M\xfcller")]
    way = deidentified(spliced(write_part10(ct_instance()), *elements))
    assert "SpecificCharacterSet" not in way.dataset
    assert way.dataset.SeriesDescription.startswith("AX T2")
    assert "ller" not in way.dataset.SeriesDescription
