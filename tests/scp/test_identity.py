import struct
import warnings

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from scp.errors import CannotUnderstandError
from scp.identity import HEAD_LIMITS, HeadTooShortError, read_identity
from tests.corpus import require_corpus
from tests.scp.objects import CT, STUDY, data_set, encoded

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4.50"
PRIVATE = "1.2.840.113619.5.2"


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED, JPEG, PRIVATE])
def test_three_uids_are_read_in_every_encoding(syntax):
    identity = read_identity(encoded(data_set(), syntax), syntax, is_whole=True)

    assert (identity.sop_class_uid, identity.identified_sop_instance_uid, identity.identified_study_uid) == (
        CT,
        "2.25.2001",
        STUDY,
    )


@pytest.mark.parametrize(("said", "true"), [(EXPLICIT, IMPLICIT), (IMPLICIT, EXPLICIT), (BIG, EXPLICIT)])
def test_an_encoding_that_belies_its_transfer_syntax_is_read_all_the_same(said, true):
    assert read_identity(encoded(data_set(), true), said, is_whole=True).identified_study_uid == STUDY


def test_the_repr_shows_no_identifying_uid():
    text = repr(read_identity(encoded(data_set()), EXPLICIT, is_whole=True))

    assert "2.25.2001" not in text
    assert STUDY not in text


def _with_references(count: int) -> Dataset:
    data = data_set()
    item = Dataset()
    item.ReferencedSOPClassUID = CT
    item.ReferencedSOPInstanceUID = "2.25.3" + "0" * 50
    series = Dataset()
    series.ReferencedInstanceSequence = Sequence([item] * count)
    data.ReferencedSeriesSequence = Sequence([series])
    return data


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED])
@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_before_the_study_uid_are_passed(syntax, undefined):
    data = _with_references(3)
    data["ReferencedSeriesSequence"].is_undefined_length = undefined
    data.ReferencedSeriesSequence[0].is_undefined_length_sequence_item = undefined

    assert read_identity(encoded(data, syntax), syntax, is_whole=True).identified_study_uid == STUDY


def test_a_study_uid_behind_64_kb_of_references_is_found_at_the_second_look():
    raw = encoded(_with_references(800))
    assert len(raw) > HEAD_LIMITS[0]

    with pytest.raises(HeadTooShortError):
        read_identity(raw[: HEAD_LIMITS[0]], EXPLICIT, is_whole=False)
    assert read_identity(raw[: HEAD_LIMITS[1]], EXPLICIT, is_whole=True).identified_study_uid == STUDY


def _explicit(tag: tuple[int, int], vr: bytes, value: bytes) -> bytes:
    if vr in {b"UN", b"SQ", b"OB"}:
        return struct.pack("<HH2sHI", *tag, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", *tag, vr, len(value)) + value


UIDS = (
    _explicit((8, 0x16), b"UI", CT.encode() + b"\0"),
    _explicit((8, 0x18), b"UI", b"2.25.2001\0"),
    _explicit((0x20, 0x0D), b"UI", b"2.25.1001\0"),
)


def test_uids_stored_as_un_are_read():
    raw = b"".join(part.replace(b"UI", b"UN\0\0", 1)[:8] + part[6:8] + b"\0\0" + part[8:] for part in UIDS)

    assert read_identity(raw, EXPLICIT, is_whole=True).identified_study_uid == STUDY


def test_an_unknown_sequence_of_undefined_length_is_implicit_inside():
    item = struct.pack("<HHI", 8, 0x1150, 4) + b"1.2\0"
    unknown = struct.pack("<HH2sHI", 8, 0x1199, b"UN", 0, 0xFFFFFFFF)
    unknown += struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)

    raw = UIDS[0] + UIDS[1] + unknown + UIDS[2]

    assert read_identity(raw, EXPLICIT, is_whole=True).identified_study_uid == STUDY


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty-data-set"),
        (bytes(70_000), "unparsable"),
        (b"\xff" * 5000, "unparsable"),
        (UIDS[0] + UIDS[1], "missing-study-instance-uid"),
        (UIDS[1] + UIDS[2], "missing-sop-class-uid"),
        (UIDS[0] + UIDS[2], "missing-sop-instance-uid"),
        (UIDS[0] + UIDS[1] + UIDS[2][:-4], "truncated"),
        (UIDS[0] + UIDS[1] + _explicit((0x20, 0x0D), b"UI", b"2.25.DOE^J"), "malformed-study-instance-uid"),
        (bytes(128) + b"DICM" + UIDS[0], "unparsable"),
        (b"\2\0\0\0UL\4\0\0\0\0\0" + UIDS[0], "unparsable"),
    ],
)
def test_what_cannot_be_understood_says_why(raw, reason):
    with pytest.raises(CannotUnderstandError) as caught:
        read_identity(raw, EXPLICIT, is_whole=True)

    assert caught.value.reason == reason


def test_garbage_that_does_not_inflate_is_refused():
    with pytest.raises(CannotUnderstandError) as caught:
        read_identity(b"\xff\x00garbage", DEFLATED, is_whole=True)

    assert caught.value.reason == "bad-deflate"


def test_a_deflate_bomb_is_inflated_within_bounds():
    import zlib

    deflater = zlib.compressobj(9, wbits=-15)
    bomb = deflater.compress(UIDS[0] + b"\x08\0\x05\0OB\0\0\0\0\0\x40" + bytes(200_000_000)) + deflater.flush()
    assert len(bomb) < 1_000_000

    with pytest.raises(HeadTooShortError):
        read_identity(bomb, DEFLATED, is_whole=True)


def test_deep_nesting_ends_in_a_refusal():
    deep = b""
    for _ in range(200):
        deep += struct.pack("<HH2sHI", 8, 0x1199, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
            "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
        )

    with pytest.raises(CannotUnderstandError):
        read_identity(deep + bytes(100), EXPLICIT, is_whole=True)


def test_no_prefix_of_a_good_data_set_raises_anything_else():
    raw = encoded(_with_references(2))
    for end in range(0, len(raw), 3):
        try:
            identity = read_identity(raw[:end], EXPLICIT, is_whole=end % 2 == 0)
        except (CannotUnderstandError, HeadTooShortError):
            continue
        assert identity.identified_study_uid == STUDY


def test_the_parser_agrees_with_pydicom_on_the_corpus():
    compared = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in require_corpus():
            try:
                data = dcmread(file.path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SOPClassUID"])
                raw = file.path.read_bytes()
                start = raw.index(b"DICM", 128) + 4
                start += 12 + data.file_meta.FileMetaInformationGroupLength
                syntax = str(data.file_meta.TransferSyntaxUID)
                study = str(data.StudyInstanceUID)
            except Exception:  # noqa: BLE001 - files that pydicom does not read whole are for other tests
                continue
            try:
                found = read_identity(raw[start : start + HEAD_LIMITS[1]], syntax, is_whole=True)
            except CannotUnderstandError as error:
                # pydicom gives an empty UID where there is none, or one that is none
                if study and not error.reason.startswith(("missing", "malformed")):
                    pytest.fail(f"{file.path.name}: {error.reason}")
                continue
            assert found.identified_study_uid == study, file.path.name
            compared += 1
    assert compared > 300
