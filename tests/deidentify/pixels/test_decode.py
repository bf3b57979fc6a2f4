"""Frames are decoded one by one, within bounds, and every fault is one kind of fault."""

import io
import sys
import zlib

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from deidentify.errors import PixelDecodeError
from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.source import DEFLATED_FRAMES, locate
from tests.corpus import require_corpus
from tests.deidentify.pixels.files import NATIVE, encapsulated, image, part10

RAMP = np.arange(96 * 64, dtype=np.uint16).reshape(96, 64)
FRAMES = [RAMP, RAMP + 7, RAMP[::-1].copy()]


def decoded(file):
    source = locate(file)
    return list(iter_frames(source, read_format(source)))


@pytest.mark.parametrize("syntax", NATIVE)
def test_native_syntaxes_give_the_words_as_stored(syntax):
    for frame, original in zip(decoded(part10(image(FRAMES), syntax)), FRAMES, strict=True):
        assert np.array_equal(frame.words, original)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("has_bot", [True, False])
def test_compressed_frames_are_found_with_and_without_an_offset_table(syntax, has_bot):
    content = image(FRAMES)
    encoder = get_encoder(syntax)
    fragments = [encoder.encode(frame.tobytes(), rows=96, columns=64, samples_per_pixel=1, number_of_frames=1,
                                bits_allocated=16, bits_stored=16, pixel_representation=0,
                                photometric_interpretation="MONOCHROME2") for frame in FRAMES]  # fmt: skip
    file = part10(encapsulated(content, fragments, has_bot=has_bot), syntax)
    for frame, original in zip(decoded(file), FRAMES, strict=True):
        assert np.array_equal(frame.words, original)


def test_frames_that_are_deflated_one_by_one_are_inflated():
    def deflate(frame):
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(frame.tobytes()) + packer.flush()

    # pydicom does not know the syntax yet: written under another one of equal length
    file = part10(encapsulated(image(FRAMES), [deflate(frame) for frame in FRAMES]), JPEGBaseline8Bit)
    whole = file.getvalue().replace(JPEGBaseline8Bit.encode(), DEFLATED_FRAMES.encode() + b"\0")
    assert np.array_equal(decoded(io.BytesIO(whole))[2].words, FRAMES[2])


@pytest.mark.parametrize("syntax", NATIVE)
def test_words_are_in_the_byte_order_of_the_machine(syntax):
    picture = np.arange(64, dtype=np.uint16).reshape(8, 8) << 8 | 3
    (frame,) = decoded(part10(image(picture), syntax))
    assert frame.words.dtype.isnative
    assert (frame.words.view("<u2" if sys.byteorder == "little" else ">u2") == picture).all()


def test_unused_high_bits_survive_decoding():
    words = RAMP | 0x4000
    assert decoded(part10(image(words, bits_stored=12)))[0].words.max() >= 0x4000


def test_bit_segmentations_and_floats_are_decoded():
    bits = np.packbits(np.eye(16, dtype=np.uint8).reshape(-1), bitorder="little").tobytes()
    content = image(np.zeros((16, 16), np.uint8), BitsAllocated=1, BitsStored=1, HighBit=0)
    content.PixelData = bits
    assert np.array_equal(decoded(part10(content))[0].words, np.eye(16))
    values = np.linspace(-1, 1, 64, dtype=np.float32).reshape(8, 8)
    content = image(np.zeros((8, 8), np.uint32))
    del content.PixelData
    content.FloatPixelData = values.tobytes()
    assert np.array_equal(decoded(part10(content))[0].words, values)


@pytest.mark.parametrize(
    "fault",
    [
        {"Rows": 4000, "Columns": 4000},
        {"Rows": 65535, "Columns": 65535},
        {"NumberOfFrames": 100000},
        {"BitsStored": 40},
        {"HighBit": 15, "BitsStored": 4, "BitsAllocated": 8},
        {"PhotometricInterpretation": "NONSENSE"},
        {"Columns": 50},
    ],
)
def test_attributes_that_do_not_fit_the_pixels_are_a_decode_error(fault):
    content = image(RAMP)
    for keyword, value in fault.items():
        setattr(content, keyword, value)
    with pytest.raises(PixelDecodeError):
        decoded(part10(content))


@pytest.mark.parametrize("keyword", ["Rows", "BitsAllocated", "PhotometricInterpretation"])
def test_a_missing_attribute_is_a_decode_error(keyword):
    content = image(RAMP)
    delattr(content, keyword)
    with pytest.raises(PixelDecodeError):
        decoded(part10(content))


def test_hidden_frames_behind_the_last_one_are_a_decode_error():
    content = image(FRAMES)
    content.NumberOfFrames = 2
    with pytest.raises(PixelDecodeError):
        decoded(part10(content))
    content.PixelData = content.PixelData[: 2 * RAMP.nbytes] + bytes(64)  # zeros are padding
    assert len(decoded(part10(content))) == 2


def test_a_second_pixel_data_element_is_a_decode_error():
    content = image(np.zeros((8, 8), np.uint32))
    content.FloatPixelData = bytes(256)
    with pytest.raises(PixelDecodeError):
        decoded(part10(content))


def test_a_codestream_that_announces_another_size_never_reaches_the_decoder():
    frame = get_encoder(JPEG2000Lossless).encode(
        RAMP.tobytes(), rows=96, columns=64, samples_per_pixel=1, number_of_frames=1, bits_allocated=16,
        bits_stored=16, pixel_representation=0, photometric_interpretation="MONOCHROME2",
    )  # fmt: skip
    at = frame.index(b"\xff\x4f\xff\x51") + 8
    huge = frame[:at] + (60000).to_bytes(4, "big") * 2 + frame[at + 8 :]
    with pytest.raises(PixelDecodeError, match="another size"):
        decoded(part10(encapsulated(image(RAMP), [huge]), JPEG2000Lossless))


def test_truncation_anywhere_is_a_decode_error_or_no_pixels():
    whole = part10(image(FRAMES)).getvalue()
    for cut in range(0, len(whole) - 1, 97):
        try:
            source = locate(io.BytesIO(whole[:cut]))
        except PixelDecodeError:
            continue
        assert source.element is None


def test_noise_in_place_of_a_compressed_frame_is_a_decode_error():
    noise = np.random.default_rng(5).bytes(500)
    for syntax in (RLELossless, JPEG2000Lossless, JPEGLSLossless, "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70"):
        with pytest.raises(PixelDecodeError):
            decoded(part10(encapsulated(image(RAMP), [noise]), syntax))


def test_an_endless_deflated_data_set_stops_at_its_bound(monkeypatch):
    monkeypatch.setattr("deidentify.pixels.source._INFLATED_LIMIT_BYTES", 1 << 20)
    content = image(np.zeros((1024, 1024), np.uint16))
    with pytest.raises(PixelDecodeError):
        locate(part10(content, DeflatedExplicitVRLittleEndian))


def test_only_one_frame_is_decoded_at_a_time():
    source = locate(part10(image(FRAMES)))
    frames = iter_frames(source, read_format(source))
    assert next(frames).index == 0
    source.identified_file.seek(source.element.position + RAMP.nbytes)
    source.identified_file.write(bytes(RAMP.nbytes))
    source.identified_file.seek(source.element.position)
    assert next(frames).words.max() == 0


def test_every_file_of_the_corpus_is_decoded_or_refused():
    refused = {}
    decoded_syntaxes = set()
    for file in require_corpus():
        with file.path.open("rb") as identified_file:
            try:
                source = locate(identified_file)
                if source.element is not None:
                    form = read_format(source)
                    assert sum(1 for _ in iter_frames(source, form)) == form.frames
                    decoded_syntaxes.add(file.facts["transfer_syntax_uid"])
            except PixelDecodeError as fault:
                refused[file.facts["file"]] = str(fault)
    assert len(decoded_syntaxes) >= 14
    assert len(refused) <= 20


def test_objects_without_pixels_by_definition_are_told_from_images_without_theirs():
    report = Dataset()
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    report.SOPInstanceUID = "1.2.3"
    assert not locate(part10(report)).is_image
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    assert locate(part10(report)).is_image
    report.SOPClassUID = "1.2.3.4.5"
    report.Rows = 5
    assert locate(part10(report)).is_image
    assert ExplicitVRLittleEndian == locate(part10(report)).transfer_syntax


def test_encapsulated_data_without_an_end_are_a_decode_error():
    content = encapsulated(image(RAMP), [bytes(64)])
    whole = part10(content, RLELossless).getvalue()
    assert encapsulate([bytes(64)])
    with pytest.raises(PixelDecodeError):
        locate(io.BytesIO(whole[:-8]))
