import io

import numpy as np
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from deidentify.errors import PixelDecodeError
from deidentify.pixels.digest import decoded_digest, picture_digest
from tests.builders import ct_instance

KEY = b"k" * 32


def encoded(dataset, syntax):
    file = io.BytesIO()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    dataset.save_as(file, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return file


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_the_same_pixels_in_another_encoding_give_the_same_digest(syntax):
    reference = decoded_digest(encoded(ct_instance(), ExplicitVRLittleEndian), KEY)
    assert len(reference) == 64
    assert decoded_digest(encoded(ct_instance(), syntax), KEY) == reference


def test_one_changed_pixel_changes_the_digest():
    changed = ct_instance()
    changed.PixelData = bytes([changed.PixelData[0] ^ 1]) + changed.PixelData[1:]
    first = decoded_digest(encoded(ct_instance(), ExplicitVRLittleEndian), KEY)
    assert decoded_digest(encoded(changed, ExplicitVRLittleEndian), KEY) != first


def test_another_key_gives_another_digest():
    file = encoded(ct_instance(), ExplicitVRLittleEndian)
    assert decoded_digest(file, KEY) != decoded_digest(file, b"other" * 6)


def test_without_pixel_data_there_is_no_digest():
    instance = ct_instance()
    del instance.PixelData
    assert decoded_digest(encoded(instance, ExplicitVRLittleEndian), KEY) == ""


def test_pixels_that_cannot_be_decoded_raise():
    instance = ct_instance()
    instance.PixelData = instance.PixelData[:10]
    with pytest.raises(PixelDecodeError):
        decoded_digest(encoded(instance, ExplicitVRLittleEndian), KEY)


def test_signed_values_are_equal_however_many_bits_hold_them():
    digests = set()
    for bits in (12, 16):
        instance = ct_instance(PixelRepresentation=1, BitsStored=bits, HighBit=bits - 1)
        instance.PixelData = np.full((16, 16), -5, dtype="<i2").tobytes()
        digests.add(decoded_digest(encoded(instance, ExplicitVRLittleEndian), KEY))
    assert len(digests) == 1


def test_a_picture_is_the_same_under_another_header_and_another_encoding():
    reference = picture_digest(encoded(ct_instance(), ExplicitVRLittleEndian), KEY)
    assert len(reference) == 64
    other = ct_instance(PatientName="Other^Name", SeriesDescription="CORRECTED")
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        assert picture_digest(encoded(other, syntax), KEY) == reference


@pytest.mark.parametrize(
    "change",
    [
        {"Rows": 16, "Columns": 64},
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"BitsStored": 13, "HighBit": 12},
        {"WindowCenter": 7, "WindowWidth": 9},
    ],
)
def test_a_picture_that_says_something_else_of_itself_is_another(change):
    first, other = ct_instance(), ct_instance()
    size = {"Rows": int(first.Rows) * 2, "Columns": int(first.Columns) // 2} if "Rows" in change else {}
    for name, value in {**change, **size}.items():
        setattr(other, name, value)
    assert picture_digest(encoded(first, ExplicitVRLittleEndian), KEY) != picture_digest(
        encoded(other, ExplicitVRLittleEndian), KEY
    )


def test_bits_that_no_value_uses_belong_to_a_picture():
    first, other = ct_instance(), ct_instance()
    words = np.frombuffer(first.PixelData, "<u2").copy()
    words[5] |= 1 << 15
    other.PixelData = words.tobytes()
    files = [encoded(one, ExplicitVRLittleEndian) for one in (first, other)]
    assert decoded_digest(files[0], KEY) == decoded_digest(files[1], KEY)
    assert picture_digest(files[0], KEY) != picture_digest(files[1], KEY)


def test_what_is_no_picture_has_no_digest_of_one():
    instance = ct_instance()
    del instance.PixelData
    assert picture_digest(encoded(instance, ExplicitVRLittleEndian), KEY) == ""
