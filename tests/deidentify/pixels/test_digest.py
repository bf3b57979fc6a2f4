import io

import numpy as np
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from deidentify.errors import PixelDecodeError
from deidentify.pixels.digest import decoded_digest
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
