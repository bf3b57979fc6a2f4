"""Where a name hides from rules that look at the right attribute only."""

import io
import struct

import pytest
from pydicom.sequence import Sequence

from deidentify.codestream_comments import comments_of
from deidentify.dataset import EXPLICIT_LITTLE, LONG_FORM_VRS, Element, encode
from deidentify.deidentifier import Deidentifier
from deidentify.errors import UnreadableInstanceError
from tests.builders import code, ct_instance, dataset, sr_instance, write_part10
from tests.deidentify.nasty import spliced
from tests.deidentify.support import clear_screen, deidentified, profile, scope

HIDDEN = b"Zzquilm"


def with_elements(*added, **attributes):
    """Return a CT with raw elements in place of those of the same tag; no writer would write them like that."""
    return spliced(write_part10(ct_instance(**attributes)), *added)


def sequence_of_codes(*parts):
    return Element(0x00082218, "SQ", items=[list(parts)])


def triplet(value=b"69536005", scheme=b"SCT", meaning=b"Head"):
    return (
        Element(0x00080100, "SH", value),
        Element(0x00080102, "SH", scheme),
        Element(0x00080104, "LO", meaning),
    )


@pytest.mark.parametrize("vr", ["LT", "UN", "LO", "OB"])
@pytest.mark.parametrize("tag", [0x00081140, 0x00082112])
def test_a_kept_sequence_that_is_none_goes(tag, vr):
    assert vr in LONG_FORM_VRS | {"LT", "LO"}
    assert HIDDEN not in deidentified(with_elements(Element(tag, vr, HIDDEN))).written


@pytest.mark.parametrize(
    "parts",
    [
        triplet(meaning=b"Head of Zzquilm"),
        triplet(value=HIDDEN),
        triplet(scheme=b"SCT Zzquilm"),
        (*triplet(), Element(0x00080119, "UC", HIDDEN)),
        (Element(0x00080102, "SH", b"DCM Zzquilm"),),
    ],
)
def test_no_part_of_a_public_code_holds_a_name(parts):
    assert HIDDEN not in deidentified(with_elements(sequence_of_codes(*parts))).written


def test_a_public_code_gets_the_meaning_of_the_standard_where_its_own_says_more():
    written = deidentified(with_elements(sequence_of_codes(*triplet(meaning=b"Head of Zzquilm")))).dataset
    item = written.AnatomicRegionSequence[0]
    assert (item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning) == ("69536005", "SCT", "Head structure")


def test_an_attribute_that_stands_twice_in_an_item_is_unreadable():
    parts = (*triplet(), Element(0x00080104, "LO", HIDDEN))
    with pytest.raises(UnreadableInstanceError):
        deidentified(with_elements(sequence_of_codes(*parts)))


def test_a_second_kind_of_pixel_data_is_unreadable_wherever_it_stands():
    part10 = write_part10(ct_instance())
    for between in (Element(0x7FE00020, "OB", b"ab"), Element(0x7FE10010, "LO", b"ab")):
        parts = []
        encode([between, Element(0x7FE00008, "OF", bytes(1024))], EXPLICIT_LITTLE, parts)
        received = Deidentifier(profile()).read(io.BytesIO(part10 + b"".join(parts)))
        with pytest.raises(UnreadableInstanceError):
            Deidentifier(profile()).plan(received, scope())


@pytest.mark.parametrize(
    ("vr", "tag", "value"),
    [
        ("IS", 0x00201002, b"555-123-4567"),
        ("DS", 0x00181110, b"14.03.1957"),
        ("TM", 0x00181014, b"570314"),
        ("CS", 0x00180021, b"14_03_1957"),
        ("CS", 0x00180021, b"0049301234567"),
        ("LO", 0x0008103E, b"AX T2 14_03_57"),
        ("LO", 0x0008103E, b"Chest for Dr. Brown"),
        ("SH", 0x00180024, b"Zzquilm57"),
        ("UI", 0x0008001A, b"1.2.3.19570314.1"),
    ],
)
def test_what_is_no_value_of_its_kind_goes(vr, tag, value):
    written = deidentified(with_elements(Element(tag, vr, value))).written
    assert value not in written
    assert b"Brown" not in written


def test_short_names_with_a_number_behind_them_go():
    written = deidentified(with_elements(Element(0x00180024, "SH", b"Lee57"), PatientName="Lee^Anna")).written
    assert b"Lee57" not in written


CHARACTER_SETS = [b"", b"ISO_IR 6", b"ISO_IR 13", b"ISO_IR 100", b"ISO_IR 192", b"GB18030", b"GB 18030"]
CHARACTER_SETS += [b"ISO 2022 IR 87", b"\\ISO 2022 IR 87", b"\\ISO 2022 IR 149"]
NAMES = [
    "王小明".encode(),
    "王小明".encode("gb18030"),
    "山田太郎".encode("shift_jis"),
    b"\x1b$B;3EDB@O:\x1b(B",
    "Иванов".encode("iso8859-5"),
    b"\x1b$)C" + "김희중".encode("euc-kr"),
    "Quilm".encode("utf-16-le"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("charset", CHARACTER_SETS)
@pytest.mark.parametrize("name", NAMES)
def test_bytes_that_the_character_set_does_not_explain_go(charset, name):
    added = [Element(0x00080005, "CS", charset), Element(0x0008103E, "LO", b"Chest " + name)]
    added += [Element(0x00180024, "SH", name[:16]), sequence_of_codes(*triplet(meaning=b"Head " + name))]
    written = deidentified(with_elements(*added)).written
    assert name not in written
    assert name[:6] not in written
    assert b"Chest" in written


def test_a_content_item_cannot_pose_as_a_code():
    instance = sr_instance()
    hidden = HIDDEN.decode()
    for keywords in ({"CodeMeaning": hidden, "CodeValue": hidden}, {"LongCodeValue": hidden}):
        item = dataset(RelationshipType="CONTAINS", ValueType="TEXT", TextValue="cyst", **keywords)
        instance.ContentSequence = Sequence([*instance.ContentSequence, item])
    assert HIDDEN not in deidentified(write_part10(instance)).written


def test_numbers_and_codes_of_an_identifying_concept_go_where_its_item_must_stay():
    instance = sr_instance()
    age = dataset(
        RelationshipType="HAS OBS CONTEXT",
        ValueType="NUM",
        ConceptNameCodeSequence=[code("121033", "DCM", "Subject Age")],
        ReferencedContentItemIdentifier=[1, 1],
        MeasuredValueSequence=[
            {"NumericValue": "97.125", "MeasurementUnitsCodeSequence": [code("a", "UCUM", "years")]}
        ],
    )
    instance.ContentSequence = Sequence([*instance.ContentSequence, age])
    way = deidentified(write_part10(instance))
    assert b"97.125" not in way.written
    assert clear_screen(way.plan).frames_read == clear_screen(way.plan).frames


def test_a_content_label_is_text_that_somebody_typed():
    instance = ct_instance(ContentLabel="ZZQUILM LIVER")
    assert deidentified(write_part10(instance)).dataset.ContentLabel == "LIVER"


def test_text_behind_the_data_set_is_not_quoted_as_a_tag():
    with pytest.raises(UnreadableInstanceError) as caught:
        Deidentifier(profile()).read(io.BytesIO(write_part10(ct_instance()) + b"Zzquilm Mary"))
    assert "7A5A" not in str(caught.value)
    assert "unknown attribute" in str(caught.value)


def test_what_stands_beside_a_code_in_a_dummy_sequence_is_cleaned_too():
    hidden = HIDDEN.decode()
    observer = {**code("121008", "DCM", "Person"), "VerifyingOrganization": hidden, "PatientComments": hidden}
    instance = sr_instance(VerificationFlag="VERIFIED", VerifyingObserverSequence=[observer])
    assert HIDDEN not in deidentified(write_part10(instance)).written


def fragments(tag, vr, *contents):
    """Return an element of undefined length whose value is fragments."""
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content for content in contents)
    head = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr, 0, 0xFFFFFFFF)
    return head + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


@pytest.mark.parametrize("tag", [0x7FE00001, 0x7FE00002])
@pytest.mark.parametrize("vr", [b"OB", b"OW"])
def test_fragments_outside_pixel_data_go(tag, vr):
    part10 = write_part10(ct_instance(PixelData=None)) + fragments(tag, vr, b"", b"Testperson", b"Zzquilm ")
    engine, source, target = Deidentifier(profile()), io.BytesIO(part10), io.BytesIO()
    plan = engine.plan(engine.read(source), scope())
    engine.write(plan, None, source, target)
    engine.verify(plan, target)
    assert HIDDEN not in target.getvalue()
    assert b"Testperson" not in target.getvalue()


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00010])
def test_pixel_data_that_are_a_sequence_go(tag):
    inner = [Element(0x00104000, "LT", HIDDEN), Element(0x00100010, "PN", b"Testperson^Unreal")]
    way = deidentified(spliced(write_part10(sr_instance()), Element(tag, "SQ", items=[inner])))
    assert HIDDEN not in way.written
    assert tag not in way.dataset


@pytest.mark.parametrize(
    ("table", "is_searched"),
    [
        (b"", False),
        (struct.pack("<3I", 0, 8, 16), False),
        (struct.pack("<3I", 0, 0, 0), True),
        (b"Zzquilm ", True),
        (b"\0\0\0\0Zzq", True),
    ],
)
def test_a_table_of_offsets_that_is_none_is_searched_as_a_comment(table, is_searched):
    frames = [b"\xff\xd8\xff\xd9"] * 3
    value = fragments(0x7FE00010, b"OB", table, *frames)
    assert list(comments_of(value, (12, len(value) - 12))) == ([table] if is_searched else [])
