import io
import struct
from dataclasses import replace

import pytest

from deidentify.charsets import DEFAULT
from deidentify.dataset import Element, encode
from deidentify.deidentifier import Deidentifier
from deidentify.errors import InvalidResultError, ResidualIdentifierError, UnreadableInstanceError
from deidentify.identity import IdentifiedTokens
from deidentify.verify import Search
from tests.builders import ct_instance, mr_instance, sr_instance, us_instance, write_part10
from tests.deidentify.support import clear_screen, deidentified, profile, scope


def written_with(original: bytes, extra: list[Element]):
    """Write an instance as the engine would if one of its rules leaked ``extra``, and verify it."""
    engine, source, target = Deidentifier(profile()), io.BytesIO(original), io.BytesIO()
    plan = engine.plan(engine.read(source), scope())
    plan.elements.extend(extra)
    engine.write(plan, clear_screen(plan), source, target)
    engine.verify(plan, target)


@pytest.mark.parametrize(
    "leak",
    [
        Element(0x00081030, "LO", b"CT of Testperson"),
        Element(0x00081030, "LO", b"xTESTPERSONx"),
        Element(0x00081030, "LO", b"Lee abdomen"),
        Element(0x00180015, "CS", b"TESTPERSON"),
        Element(0x00089215, "SQ", items=[[Element(0x00104000, "LT", b"see PID-700123")]]),
        Element(0x00209158, "LT", b"1.2.826.0.1.3680043.10.1507.1.1"),
        Element(0x00200052, "UI", b"1.2.826.0.1.3680043.10.1507.1.0.1"),
        Element(0x00209158, "LT", b"seen 20240229"),
        Element(0x00080022, "DA", b"20240229"),
        Element(0x00283006, "OW", b"\0\1Testperson\0"),
        Element(0x00282000, "OB", b"icc klinikum nirgendwo"),
        Element(0x00209158, "LT", "Müllerová".encode("latin-1", "replace")),
    ],
    ids=repr,
)
def test_a_leak_is_found(leak):
    original = write_part10(ct_instance(PatientName="Testperson^Lee", OtherPatientNames="Müllerová"))
    with pytest.raises(ResidualIdentifierError) as caught:
        written_with(original, [leak])
    assert "estperson" not in str(caught.value)


OTHERS = [
    Element(0x00209158, "LT", b"seen 20230117"),
    Element(0x00209158, "LT", b"1.2.826.0.1.3680043.10.1507.77.1"),
    Element(0x00200052, "UI", b"1.2.826.0.1.3680043.10.1507.77.1"),
    Element(0x00080022, "DA", b"20230117"),
    Element(0x00201208, "IS", b"20230117"),
    Element(0x00189073, "FD", struct.pack("<d", 20230117)),
    Element(0x00283006, "OW", b"\0\1 20230117 \0"),
    Element(0x00282000, "OB", b"1.2.826.0.1.3680043.10.1507.77.1"),
]


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize("value", OTHERS, ids=repr)
def test_what_was_harmless_in_one_instance_of_a_case_is_found_where_it_identifies(value, is_nested):
    engine = Deidentifier(profile())
    extra = [Element(0x00089215, "SQ", items=[[value]])] if is_nested else [value]

    def verify(instance):
        source, target = io.BytesIO(write_part10(instance)), io.BytesIO()
        plan = engine.plan(engine.read(source), scope())
        engine.write(replace(plan, elements=[*plan.elements, *extra]), clear_screen(plan), source, target)
        engine.verify(plan, target)

    for _ in range(2):
        verify(ct_instance())
    with pytest.raises(ResidualIdentifierError):
        verify(ct_instance(ContentDate="20230117", FrameOfReferenceUID="1.2.826.0.1.3680043.10.1507.77.1"))


def test_bytes_of_another_character_set_are_searched_in_every_instance():
    search = Search(IdentifiedTokens(), frozenset())
    assert search.element(Element(0x00209158, "LT", b"head"), DEFAULT)
    assert not search.element(Element(0x00209158, "LT", b"h\xe9ad"), DEFAULT)
    assert not search.element(Element(0x00209158, "LT", b"\x1b$Bhead"), DEFAULT)


def test_bulk_values_are_searched_too():
    leak = Element(0x00283006, "OW", bytes(70_000) + b"Testperson" + bytes(70_000))
    with pytest.raises(ResidualIdentifierError):
        written_with(write_part10(ct_instance()), [leak])


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xd8\xff\xfe\0\x0cTestperson\xff\xda\0\2" + bytes(20),
        b"\xff\xd8\xff\xe1\0\x0cTestperson\xff\xda\0\2" + bytes(20),
        b"\xff\xd8\xff\xda\0\2" + bytes(20) + b"\xff\xd9Testperson",
        b"\xff\x4f\xff\x51\0\4\0\0\xff\x64\0\x0e\0\1Testperson\xff\x90" + bytes(8),
    ],
    ids=["COM", "APP1", "behind the end", "JPEG 2000"],
)
def test_comments_inside_frames_are_searched(frame):
    original = write_part10(us_instance(), transfer_syntax="1.2.840.10008.1.2.4.50", frames=[frame])
    with pytest.raises(ResidualIdentifierError, match="frames"):
        deidentified(original)


@pytest.mark.parametrize(
    "name",
    [
        "Lee^A",
        "Head^Susan",
        "Axial^Primary",
        "Anonymous^Anonymous",
        "Press^Ion",
        "Chest",
        "CT^MR",
        "Original",
        "Siemens^Werner",
    ],
)
def test_a_name_that_is_also_a_word_does_not_hold_the_study(name):
    instance = ct_instance(PatientName=name, StudyDescription="CT Head compression axial", BodyPartExamined="CHEST")
    assert deidentified(write_part10(instance)).written


@pytest.mark.parametrize("number", ["1", "12", "120", "16", "512", "00001", "2024"])
def test_a_patient_id_that_is_a_small_number_does_not_hold_the_study(number):
    assert deidentified(write_part10(ct_instance(PatientID=number, AccessionNumber=number))).written


def test_a_cut_result_is_noticed():
    engine, source, target = Deidentifier(profile()), io.BytesIO(write_part10(ct_instance())), io.BytesIO()
    plan = engine.plan(engine.read(source), scope())
    engine.write(plan, clear_screen(plan), source, target)
    with pytest.raises(InvalidResultError):
        engine.verify(plan, io.BytesIO(target.getvalue()[:-100]))


def test_encoding_pads_odd_values():
    from deidentify.dataset import EXPLICIT_LITTLE

    parts: list = []
    assert encode([Element(0x00081030, "LO", b"odd")], EXPLICIT_LITTLE, parts) == 12


COMMON_NAMES = [
    "Smith",
    "Johnson",
    "Brown",
    "Garcia",
    "Lee",
    "Kim",
    "Park",
    "Li",
    "Chen",
    "Hall",
    "Hill",
    "Green",
    "White",
    "Black",
    "Young",
    "King",
    "Scott",
    "Baker",
    "Long",
    "Short",
    "Stern",
    "Wolf",
    "Koch",
    "Berg",
    "Klein",
    "Lang",
    "Weber",
    "Rose",
    "Rice",
    "Bell",
    "Gray",
    "Ray",
    "Hand",
    "Foot",
    "Bone",
    "Hart",
    "Art",
    "Mann",
    "Max",
    "Ana",
    "Ann",
    "Al",
    "Ed",
    "Ra",
    "Spin",
    "Echo",
    "May",
]


def test_common_names_hold_nothing():
    """The measured rate of false holds on generated common names is zero."""
    for name in COMMON_NAMES:
        for make in (ct_instance, mr_instance, sr_instance):
            deidentified(write_part10(make(PatientName=f"{name}^{name}")))


@pytest.mark.parametrize("name", ["Pixel", "Modified", "Temporal", "Cb", "Ps3", "Dates", "Retain", "Anonymous"])
def test_a_name_that_our_own_markers_contain_holds_nothing(name):
    deidentified(write_part10(ct_instance(PatientName=name)))
    deidentified(write_part10(ct_instance(PatientID=f"{name}1")))


@pytest.mark.parametrize("identifier", ["113100", "DCM", "113107"])
def test_a_patient_id_like_a_code_of_our_markers_holds_nothing(identifier):
    deidentified(write_part10(ct_instance(PatientID=identifier)))


def test_a_birth_date_in_a_number_is_found():
    original = write_part10(ct_instance(NumberOfPhaseEncodingSteps="19570314"))
    with pytest.raises(ResidualIdentifierError):
        deidentified(original)


def jpeg_segment(kind: int, text: bytes) -> bytes:
    return bytes((0xFF, kind)) + (len(text) + 2).to_bytes(2, "big") + text


SCAN = b"\xff\xda\0\2" + bytes(range(1, 40))
COMMENT_PLACES = {
    "a comment": lambda text: [b"\xff\xd8" + jpeg_segment(0xFE, text) + SCAN + b"\xff\xd9"],
    "application data": lambda text: [b"\xff\xd8" + jpeg_segment(0xE1, text) + SCAN + b"\xff\xd9"],
    "between scans": lambda text: [b"\xff\xd8" + SCAN + jpeg_segment(0xFE, text) + SCAN + b"\xff\xd9"],
    "across fragments": lambda text: [b"\xff\xd8\xff\xfe", (len(text) + 2).to_bytes(2, "big") + text + b"\xff\xd9"],
    "the header of a tile part": lambda text: [
        b"\xff\x4f\xff\x51\0\4\0\0\xff\x90\0\n\0\0"
        + (12 + 6 + len(text) + 2 + 4).to_bytes(4, "big")
        + b"\0\1\xff\x64"
        + (len(text) + 4).to_bytes(2, "big")
        + b"\0\1"
        + text
        + b"\xff\x93abcd\xff\xd9"
    ],
}


@pytest.mark.parametrize("place", COMMENT_PLACES)
@pytest.mark.parametrize(
    "text",
    [b"seen by Quilmara", "Testperson".encode("utf-16-le"), "Quilmara".encode("utf-16-be"), b"14.03.1957", b"8812345"],
)
def test_text_that_nobody_knows_beside_the_pixels_holds(place, text):
    frames = [part + b"\0" * (len(part) % 2) for part in COMMENT_PLACES[place](text + b" " * (len(text) % 2))]
    original = write_part10(ct_instance(), transfer_syntax="1.2.840.10008.1.2.4.50", frames=frames)
    with pytest.raises(ResidualIdentifierError):
        deidentified(original)


@pytest.mark.parametrize(
    "text", [b"JFIF\0\1\1", b"Created by GDCM/OpenJPEG version 2.3.0", b"Kakadu-v7.3.3", b"Adobe\0d"]
)
def test_what_encoders_write_beside_the_pixels_holds_nothing(text):
    frame = COMMENT_PLACES["a comment"](text + b" " * (len(text) % 2))[0]
    frame += b"\0" * (len(frame) % 2)
    deidentified(write_part10(ct_instance(), transfer_syntax="1.2.840.10008.1.2.4.50", frames=[frame]))


JFIF = b"JFIF\0\1\2\0\0\1\0\1"
PICTURES = {
    "a thumbnail of JFIF": (0xE0, JFIF + b"\4\4" + bytes(48)),
    "a thumbnail behind JFIF": (0xE0, JFIF + b"\0\0" + b"\1" * 48),
    "a thumbnail of JFXX": (0xE0, b"JFXX\0\x13\1\1\1\2\3\0"),
    "a JPEG": (0xE1, b"Exif\0\0\xff\xd8\xff\0\1"),
    "bytes of no known kind": (0xE5, bytes((1, 2, 3, 0)) * 20 + b"\1\1"),
}


@pytest.mark.parametrize("place", PICTURES)
def test_what_may_be_a_picture_beside_the_pixels_holds(place):
    kind, body = PICTURES[place]
    frame = b"\xff\xd8" + jpeg_segment(kind, body) + SCAN + b"\xff\xd9"
    original = write_part10(
        ct_instance(), transfer_syntax="1.2.840.10008.1.2.4.50", frames=[frame + b"\0" * (len(frame) % 2)]
    )
    with pytest.raises(ResidualIdentifierError, match="picture"):
        deidentified(original)


@pytest.mark.parametrize("body", [JFIF + b"\0\0", b"ICC_PROFILE\0\1\1" + bytes(range(1, 100))])
def test_how_colour_is_coded_holds_nothing(body):
    frame = b"\xff\xd8" + jpeg_segment(0xE2, body) + SCAN + b"\xff\xd9"
    deidentified(
        write_part10(ct_instance(), transfer_syntax="1.2.840.10008.1.2.4.50", frames=[frame + b"\0" * (len(frame) % 2)])
    )


def test_text_in_the_unused_offsets_of_a_run_length_header_holds():
    header = (1).to_bytes(4, "little") + (64).to_bytes(4, "little")
    for slack, holds in ((b"Quilmara Unreal", True), (b"", False)):
        frame = (header + slack).ljust(64, b"\0") + bytes(range(16))
        original = write_part10(ct_instance(), transfer_syntax="1.2.840.10008.1.2.5", frames=[frame])
        if holds:
            with pytest.raises(ResidualIdentifierError):
                deidentified(original)
        else:
            deidentified(original)


def test_a_length_of_the_delimiter_behind_fragments_is_refused():
    original = write_part10(ct_instance(), transfer_syntax="1.2.840.10008.1.2.5", frames=[bytes(80)])
    delimiter = b"\xfe\xff\xdd\xe0"
    assert original.count(delimiter) == 1
    place = original.index(delimiter) + 4
    with pytest.raises(UnreadableInstanceError, match="end of the fragments"):
        deidentified(original[:place] + b"Quil" + original[place + 4 :])
