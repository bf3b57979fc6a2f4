import io

import pytest

from deidentify.compare import fingerprint
from deidentify.dataset import swapped
from tests.builders import ct_instance, sr_instance, write_part10
from tests.deidentify.support import KEY


def of(data: bytes):
    return fingerprint(io.BytesIO(data), KEY)


@pytest.mark.parametrize("make", [ct_instance, sr_instance])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"], ids=["implicit", "deflated"])
def test_the_encoding_makes_no_difference(make, syntax):
    assert of(write_part10(make(), transfer_syntax=syntax)) == of(write_part10(make()))


@pytest.mark.parametrize("size", [16, 256])
def test_the_byte_order_makes_no_difference(size):
    little = ct_instance(rows=size, columns=size)
    big = ct_instance(rows=size, columns=size, PixelData=swapped(little.PixelData, "OW"))
    assert of(write_part10(big, transfer_syntax="1.2.840.10008.1.2.2")) == of(write_part10(little))


def test_length_form_padding_and_file_meta_make_no_difference():
    instance = sr_instance()
    instance["ContentSequence"].is_undefined_length = True
    other = write_part10(instance, preamble=b"x" * 128, SourceApplicationEntityTitle="A") + bytes(64)
    assert of(other) == of(write_part10(sr_instance()))


def test_a_changed_header_and_changed_pixels_are_told_apart():
    base = of(write_part10(ct_instance()))
    header = of(write_part10(ct_instance(StudyDescription="CT Thorax")))
    pixels = of(write_part10(ct_instance(PixelData=b"\7" * 512)))
    assert (header.dataset != base.dataset, header.pixels == base.pixels) == (True, True)
    assert (pixels.dataset == base.dataset, pixels.pixels != base.pixels) == (True, True)


def test_the_digests_are_keyed():
    data = write_part10(ct_instance())
    assert fingerprint(io.BytesIO(data), b"other") != of(data)
