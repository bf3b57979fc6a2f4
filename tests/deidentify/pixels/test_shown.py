"""One frame of an original, whichever it is, as a person looks at it: the full stored range, no window."""

import io
import zlib

import numpy as np
import pytest
from pydicom.pixels import get_encoder
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from deidentify.errors import PixelDecodeError
from deidentify.pixels import shown
from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.shown import full_range
from deidentify.pixels.source import DEFLATED_FRAMES, locate
from tests.deidentify.pixels.files import NATIVE, encapsulated, image, part10

RAMP = np.arange(96 * 64, dtype=np.uint16).reshape(96, 64)
FRAMES = [RAMP, RAMP.T.reshape(96, 64).copy(), RAMP[::-1].copy()]
GREY = [np.rint(frame * (255.0 / RAMP.max())) for frame in FRAMES]


def pictures(file):
    """Return the frames from the last to the first, each read alone."""
    source = locate(file)
    form = read_format(source)
    return [full_range(source, form, index) for index in reversed(range(form.frames))][::-1]


@pytest.mark.parametrize("syntax", NATIVE)
def test_any_native_frame_is_shown_in_its_full_range(syntax):
    for picture, expected in zip(pictures(part10(image(FRAMES), syntax)), GREY, strict=True):
        assert np.abs(picture - expected).max() <= 1


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_any_compressed_frame_is_shown(syntax):
    encoder = get_encoder(syntax)
    fragments = [encoder.encode(frame.tobytes(), rows=96, columns=64, samples_per_pixel=1, number_of_frames=1,
                                bits_allocated=16, bits_stored=16, pixel_representation=0,
                                photometric_interpretation="MONOCHROME2") for frame in FRAMES]  # fmt: skip
    for picture, expected in zip(pictures(part10(encapsulated(image(FRAMES), fragments), syntax)), GREY, strict=True):
        assert np.abs(picture - expected).max() <= 1


def test_frames_that_are_deflated_one_by_one_are_shown():
    def deflate(frame):
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(frame.tobytes()) + packer.flush()

    file = part10(encapsulated(image(FRAMES), [deflate(frame) for frame in FRAMES]), JPEGBaseline8Bit)
    whole = file.getvalue().replace(JPEGBaseline8Bit.encode(), DEFLATED_FRAMES.encode() + b"\0")
    assert np.abs(pictures(io.BytesIO(whole))[1] - GREY[1]).max() <= 1


def test_only_the_frame_that_is_asked_for_is_decoded(monkeypatch):
    decoded = []
    whole = shown.decoded_frame
    monkeypatch.setattr(shown, "decoded_frame", lambda *of, **how: decoded.append(1) or whole(*of, **how))
    encoder = get_encoder(RLELossless)
    fragments = [encoder.encode(frame.tobytes(), rows=96, columns=64, samples_per_pixel=1, number_of_frames=1,
                                bits_allocated=16, bits_stored=16, pixel_representation=0,
                                photometric_interpretation="MONOCHROME2") for frame in FRAMES]  # fmt: skip
    source = locate(part10(encapsulated(image(FRAMES), fragments), RLELossless))
    full_range(source, read_format(source), 2)
    assert decoded == [1]


def test_unused_bits_and_a_window_change_nothing():
    plain = image(RAMP[:40], bits_stored=12, HighBit=11)
    marked = image(RAMP[:40] | 0xF000, bits_stored=12, HighBit=11, WindowCenter=1, WindowWidth=1)
    assert np.array_equal(*(pictures(part10(one))[0] for one in (plain, marked)))


def test_inverse_images_are_shown_as_they_are_meant_and_colour_as_colour():
    inverse = pictures(part10(image(RAMP, PhotometricInterpretation="MONOCHROME1")))[0]
    assert (inverse[0, 0], inverse[-1, -1]) == (255, 0)
    colour = np.zeros((8, 8, 3), np.uint8)
    colour[2:4, 2:4] = (200, 100, 0)
    file = part10(image(colour, PhotometricInterpretation="RGB", PlanarConfiguration=0))
    assert pictures(file)[0].tolist() == np.rint(colour * (255 / 200)).tolist()


def test_a_constant_frame_is_black_and_a_signed_one_has_its_range():
    assert not pictures(part10(image(np.full((8, 8), 7, np.uint16))))[0].any()
    signed = np.array([[-1000, 0], [500, 1000]], np.int16)
    assert pictures(part10(image(signed)))[0].tolist() == [[0, 128], [191, 255]]


def test_floats_that_are_no_numbers_are_passed_over():
    words = np.array([[0.0, np.nan], [1.0, np.inf]], np.float32)
    content = image(np.zeros((2, 2), np.uint32))
    del content.PixelData
    content.FloatPixelData = words.tobytes()
    assert pictures(part10(content))[0].tolist() == [[0, 0], [255, 0]]


def test_a_palette_is_applied():
    words = np.array([[0, 1], [2, 3]], np.uint8)
    table = np.array([0, 85, 170, 255], np.uint16) * 257
    palette = {}
    for color, values in zip(("Red", "Green", "Blue"), (table, table[::-1], table * 0), strict=True):
        palette[f"{color}PaletteColorLookupTableDescriptor"] = [4, 0, 16]
        palette[f"{color}PaletteColorLookupTableData"] = values.astype("<u2").tobytes()
    picture = pictures(part10(image(words, PhotometricInterpretation="PALETTE COLOR", **palette)))[0]
    assert picture.tolist() == [[[0, 255, 0], [85, 170, 0]], [[170, 85, 0], [255, 0, 0]]]


def test_what_cannot_be_decoded_is_one_kind_of_fault(monkeypatch):
    source = locate(part10(image(RAMP)))
    form = read_format(source)
    monkeypatch.setattr(shown, "MOST_PIXELS", 96 * 64 - 1)
    with pytest.raises(PixelDecodeError):
        full_range(source, form, 0)
    monkeypatch.undo()
    assert next(iter_frames(source, form)).words.shape == full_range(source, form, 0).shape
