"""Native pixel data: inside a box every word is black, outside every bit is as it was."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from deidentify.errors import PixelDecodeError, RedactionError
from deidentify.pixels.decode import read_format
from deidentify.pixels.redact import redact
from deidentify.pixels.source import locate
from tests.deidentify.pixels.files import NATIVE, image, part10
from tests.deidentify.pixels.redacting import box, redacted, rewritten

BOX = box(2, 1, 5, 3)
INSIDE = (slice(1, 4), slice(2, 7))


def rough(shape, bits, seed=3):
    """Words with every allocated bit in use."""
    return np.random.default_rng(seed).integers(0, 1 << bits, shape, dtype=np.uint64).astype(f"u{bits // 8}")


def file_of(words, syntax, photometric, *, stored, shift=0, signed=False, planar=0, **more):
    """Return a file around unsigned words of shape (frames, rows, columns[, samples]), laid out without pydicom."""
    frames, rows, columns = words.shape[:3]
    samples = words.shape[3] if words.ndim == 4 else 1
    bits = words.dtype.itemsize * 8
    laid = np.moveaxis(words, 3, 1) if planar else words
    content = np.ascontiguousarray(laid).astype(laid.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<"))
    plain = content.tobytes() + b"\0" * (words.nbytes % 2)
    colour = {"PlanarConfiguration": planar} if samples > 1 else {}
    dataset = image(np.zeros((2, 2), np.uint8), modality="OT", Rows=rows, Columns=columns, SamplesPerPixel=samples,
                    PhotometricInterpretation=photometric, BitsAllocated=bits, BitsStored=stored,
                    HighBit=stored + shift - 1, PixelRepresentation=int(signed), NumberOfFrames=frames,
                    **colour, **more)  # fmt: skip
    file = part10(dataset, syntax)
    dataset.PixelData = plain
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    little = syntax != ExplicitVRBigEndian
    file = io.BytesIO()
    dataset.save_as(file, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little, enforce_file_format=True)
    return file, plain


def black_value(photometric, stored, signed):
    least = -(1 << (stored - 1)) if signed else 0
    greatest = (1 << (stored - 1)) - 1 if signed else (1 << stored) - 1
    middle = 1 << (stored - 1)
    return {"MONOCHROME1": [greatest], "MONOCHROME2": [least], "RGB": [0] * 3, "YBR_FULL": [0, middle, middle]}[
        photometric
    ]


@st.composite
def images(draw):
    photometric = draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL"]))
    colour = photometric in {"RGB", "YBR_FULL"}
    bits = draw(st.sampled_from([8, 16] if colour else [8, 16, 32]))
    stored = draw(st.integers(2, bits))
    return {
        "photometric": photometric,
        "bits": bits,
        "stored": stored,
        "shift": draw(st.integers(0, bits - stored)),
        "signed": not colour and draw(st.booleans()),
        "planar": int(colour and draw(st.booleans())),
        "shape": (draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9)), *([3] if colour else [])),
        "syntax": draw(st.sampled_from(NATIVE)),
        "boxes": draw(
            st.dictionaries(
                st.integers(0, 2),
                st.lists(
                    st.builds(box, st.integers(-3, 9), st.integers(-3, 9), st.integers(0, 9), st.integers(0, 9)),
                    max_size=3,
                ),
            )
        ),
        "seed": draw(st.integers(0, 99)),
    }


@settings(deadline=None, max_examples=150)
@given(images())
def test_inside_is_black_and_outside_is_bit_exact(made):
    words = rough(made["shape"], made["bits"], made["seed"])
    file, plain = file_of(words, made["syntax"], made["photometric"], stored=made["stored"], shift=made["shift"],
                          signed=made["signed"], planar=made["planar"])  # fmt: skip
    boxes = {index: parts for index, parts in made["boxes"].items() if index < len(words)}
    source, result, value = redacted(file, boxes)
    order = ">" if made["syntax"] == ExplicitVRBigEndian else "<"
    frames, rows, columns = made["shape"][:3]
    samples = made["shape"][3] if len(made["shape"]) == 4 else 1
    got = np.frombuffer(value[: words.nbytes], f"{order}u{made['bits'] // 8}")
    laid = (frames, samples, rows, columns) if made["planar"] else (frames, rows, columns, samples)
    got = got.reshape(laid)
    got = np.moveaxis(got, 1, 3) if made["planar"] else got
    inside = np.zeros((frames, rows, columns), bool)
    for index, parts in boxes.items():
        for part in parts:
            inside[
                index, max(0, part.y) : max(0, part.y + part.height), max(0, part.x) : max(0, part.x + part.width)
            ] = 1
    before = words.reshape(frames, rows, columns, samples)
    assert np.array_equal(got[~inside], before[~inside])
    assert value[words.nbytes :] == plain[words.nbytes :]
    black = black_value(made["photometric"], made["stored"], made["signed"])
    mask = (1 << made["stored"]) - 1
    stored = (got.astype(np.uint64) >> np.uint64(made["shift"])) & np.uint64(mask)
    assert (stored[inside] == [number & mask for number in black]).all()
    below = got & got.dtype.type((1 << made["shift"]) - 1)
    assert not below[inside].any()
    above = got.astype(np.uint64) >> np.uint64(made["stored"] + made["shift"])
    assert set(np.unique(above[inside])) <= {0, (1 << (made["bits"] - made["stored"] - made["shift"])) - 1}
    assert set(result.areas) == {index for index in boxes if inside[index].any()}
    assert result.transfer_syntax is None
    assert not result.attributes
    assert not result.decoders
    assert not result.is_encapsulated
    assert result.vr == source.element.vr


def test_overlay_bits_go_with_the_box():
    words = rough((1, 6, 9), 16) | 0x8000
    file, _ = file_of(words, ExplicitVRLittleEndian, "MONOCHROME2", stored=12)
    got = np.frombuffer(redacted(file, {0: [BOX]})[2], "<u2").reshape(6, 9)
    assert not got[INSIDE].any()
    assert (got >> 15).sum() == 6 * 9 - 15


@pytest.mark.parametrize(("carried", "word"), [(True, 0xF800), (False, 0x0800)])
def test_black_carries_its_sign_where_all_words_do(carried, word):
    values = np.random.default_rng(2).integers(-2048, 2048, (1, 6, 9)).astype(np.int16).view(np.uint16)
    words = values if carried else values & 0x0FFF
    file, _ = file_of(words, ExplicitVRLittleEndian, "MONOCHROME2", stored=12, signed=True)
    got = np.frombuffer(redacted(file, {0: [BOX]})[2], "<u2").reshape(6, 9)
    assert (got[INSIDE] == word).all()


@pytest.mark.parametrize("frames", [(0,), (1,), (0, 1, 2)])
def test_single_bits_are_blanked_where_frames_share_a_byte(frames):
    bits = np.random.default_rng(4).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    content = image(np.zeros((5, 7), np.uint8), modality="OT", BitsAllocated=1, BitsStored=1, HighBit=0,
                    NumberOfFrames=3, PhotometricInterpretation="MONOCHROME1")  # fmt: skip
    packed = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    content.PixelData = packed + b"\0" * (len(packed) % 2)
    _, result, value = redacted(part10(content), {index: [box(2, 1, 3, 9)] for index in frames})
    expected = bits.copy()
    expected[list(frames), 1:, 2:5] = 1
    assert np.array_equal(
        np.unpackbits(np.frombuffer(value, np.uint8), bitorder="little")[:105].reshape(3, 5, 7), expected
    )
    assert tuple(result.areas) == frames


def test_pairs_that_share_their_colour_are_blanked_whole():
    pairs = rough((2, 6, 4, 4), 8)
    content = image(
        np.zeros((6, 8, 3), np.uint8), modality="US", PhotometricInterpretation="YBR_FULL_422", NumberOfFrames=2
    )
    content.PixelData = pairs.tobytes()
    _, result, value = redacted(part10(content), {1: [box(3, 2, 2, 2)]})
    expected = pairs.copy()
    expected[1, 2:4, 1:3] = [0, 0, 128, 128]
    assert np.array_equal(np.frombuffer(value, np.uint8).reshape(pairs.shape), expected)
    assert result.areas == {1: (box(2, 2, 4, 2),)}


def test_bytes_that_are_swapped_in_words_are_blanked_where_they_show():
    frames = rough((3, 3, 3), 8)  # an odd number of bytes: the second frame begins in the middle of a word
    content = image(list(frames), modality="OT")
    plain = frames.tobytes() + b"\0"
    content.PixelData = np.frombuffer(plain, "<u2").byteswap().tobytes()
    content["PixelData"].VR = "OW"
    file = io.BytesIO()
    part10(content)  # gives it its meta information
    content.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    content.save_as(file, implicit_vr=False, little_endian=False, enforce_file_format=True)
    for index in range(3):
        _, result, value = redacted(file, {index: [box(1, 1, 2, 1)], 1: [box(1, 1, 2, 1)]})
        expected = frames.copy()
        expected[[index, 1], 1, 1:3] = 0
        shown = dcmread(rewritten(file, result, value)).pixel_array
        assert np.array_equal(shown, expected)


def test_a_palette_is_black_at_its_darkest_colour():
    colours = np.full((256, 3), 200, np.uint8)
    colours[77] = (1, 2, 3)
    tables = {
        f"{name}PaletteColorLookupTable{part}": value
        for place, name in enumerate(("Red", "Green", "Blue"))
        for part, value in (("Descriptor", [256, 0, 8]), ("Data", colours[:, place].tobytes()))
    }
    file, _ = file_of(rough((1, 6, 9), 8), ExplicitVRLittleEndian, "PALETTE COLOR", stored=8, **tables)
    got = np.frombuffer(redacted(file, {0: [BOX]})[2], "u1").reshape(6, 9)
    assert (got[INSIDE] == 77).all()


def test_a_palette_that_cannot_be_read_is_refused():
    file, _ = file_of(rough((1, 6, 9), 8), ExplicitVRLittleEndian, "PALETTE COLOR", stored=8)
    with pytest.raises(PixelDecodeError):
        redacted(file, {0: [BOX]})


@pytest.mark.parametrize(("keyword", "dtype"), [("FloatPixelData", np.float32), ("DoubleFloatPixelData", np.float64)])
def test_real_numbers_get_the_least_of_their_frame(keyword, dtype):
    values = np.linspace(-3, 5, 54, dtype=dtype).reshape(6, 9)
    values[5, 5] = np.nan
    content = image(np.zeros((6, 9), f"u{dtype().itemsize}"))
    del content.PixelData
    setattr(content, keyword, values.tobytes())
    got = np.frombuffer(redacted(part10(content), {0: [BOX]})[2], dtype).reshape(6, 9)
    assert (got[INSIDE] == -3).all()
    got = got.copy()
    got[INSIDE] = values[INSIDE]
    assert np.array_equal(got, values, equal_nan=True)


def test_without_boxes_the_value_is_copied():
    words = rough((2, 6, 9), 16)
    file, plain = file_of(words, DeflatedExplicitVRLittleEndian, "MONOCHROME2", stored=16)
    _, result, value = redacted(file, {0: [], 1: [box(50, 50, 3, 3)]})
    assert value == plain
    assert result.areas == {}


@pytest.mark.parametrize("frame", [-1, 2])
def test_a_box_in_a_frame_that_is_not_there_is_refused(frame):
    file, _ = file_of(rough((2, 6, 9), 8), ExplicitVRLittleEndian, "MONOCHROME2", stored=8)
    with pytest.raises(RedactionError, match="does not have"):
        redacted(file, {frame: [BOX]})


@pytest.mark.parametrize("photometric", ["HSV", "ARGB", "CMYK", "RGB"])
def test_where_black_is_not_known_nothing_is_redacted(photometric):
    file, _ = file_of(rough((1, 6, 9), 8), ExplicitVRLittleEndian, photometric, stored=8)
    with pytest.raises(RedactionError, match="not known what is black"):
        redacted(file, {0: [BOX]})


def test_without_pixel_data_there_is_nothing_to_redact():
    file, _ = file_of(rough((1, 6, 9), 8), ExplicitVRLittleEndian, "MONOCHROME2", stored=8)
    file.seek(0)
    form = read_format(locate(file))
    file.seek(0)
    content = dcmread(file)
    del content.PixelData
    with pytest.raises(RedactionError, match="no pixel data"):
        redact(locate(part10(content)), form, {0: [BOX]}, io.BytesIO())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"BitsAllocated": 24, "BitsStored": 12, "HighBit": 11, "Columns": 4}, "length that is not known"),
        ({"PhotometricInterpretation": "YBR_FULL_422", "SamplesPerPixel": 3, "Columns": 3, "PlanarConfiguration": 0},
         "odd number of columns"),
    ],
)  # fmt: skip
def test_words_that_are_laid_out_in_no_known_way_are_refused(change, complaint):
    content = image(np.zeros((6, 16), np.uint8), modality="OT")
    for keyword, value in change.items():
        setattr(content, keyword, value)
    content.PixelData = content.PixelData[: 6 * 12 if "BitsStored" in change else 6 * 6]
    with pytest.raises(PixelDecodeError, match=complaint):
        redacted(part10(content), {0: [box(0, 0, 2, 2)]})


def test_a_palette_of_very_wide_indices_is_refused():
    file, _ = file_of(rough((1, 6, 9), 32), ExplicitVRLittleEndian, "PALETTE COLOR", stored=32)
    with pytest.raises(RedactionError, match="palette"):
        redacted(file, {0: [BOX]})


@pytest.mark.parametrize("vr", ["OB", "OW"])
def test_single_bits_in_big_endian_are_known_in_bytes_only(vr):
    content = image(np.zeros((4, 8), np.uint8), modality="OT", BitsAllocated=1, BitsStored=1, HighBit=0)
    content.PixelData = b"\xff" * 4
    content["PixelData"].VR = vr
    file = part10(content, ExplicitVRBigEndian)
    if vr == "OW":
        with pytest.raises(PixelDecodeError, match="Single bits"):
            redacted(file, {0: [box(0, 1, 4, 1)]})
    else:
        assert redacted(file, {0: [box(0, 1, 4, 1)]})[2] == b"\xff\xf0\xff\xff"
