import io
import struct

import numpy as np
import pytest
from PIL import Image
from pydicom.pixels import get_encoder
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from deidentify.errors import PixelDecodeError
from deidentify.pixels.codestream_end import bytes_behind_end
from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.source import locate
from tests.deidentify.pixels.files import image, part10

PICTURE = np.add.outer(np.arange(24), np.arange(40)).astype(np.uint8)
OTHER = PICTURE[::-1].copy()
CELLS = PICTURE.size


def jpeg(picture):
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "JPEG", quality=90)
    return even(written.getvalue())


def even(content):
    return content + b"\0" * (len(content) % 2)


def encoded(syntax, picture):
    if syntax == JPEGBaseline8Bit:
        return jpeg(picture)
    if syntax == JPEG2000Lossless:
        written = io.BytesIO()
        Image.fromarray(picture).save(written, "JPEG2000", irreversible=False, no_jp2=True)
        return even(written.getvalue())
    options = {"rows": 24, "columns": 40, "samples_per_pixel": 1, "photometric_interpretation": "MONOCHROME2"}
    options |= {"bits_allocated": 8, "bits_stored": 8, "pixel_representation": 0, "number_of_frames": 1}
    return even(get_encoder(syntax).encode(picture.tobytes(), index=0, **options))


def items(*fragments, table=b""):
    return b"".join(struct.pack("<HHL", 0xFFFE, 0xE000, len(part)) + part for part in (table, *fragments))


def frames_of(fragments, syntax=JPEGBaseline8Bit, **more):
    content = image([PICTURE], modality="OT", **more)
    content.PixelData = fragments
    content["PixelData"].VR = "OB"
    content["PixelData"].is_undefined_length = True
    source = locate(part10(content, syntax))
    return list(iter_frames(source, read_format(source)))


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_nothing_may_stand_behind_the_end_of_a_compressed_frame(syntax):
    frame = encoded(syntax, PICTURE)
    assert bytes_behind_end(syntax, frame, CELLS) == b""
    assert len(frames_of(items(frame + bytes(70000)), syntax)) == 1
    for behind in (b"Erfunden^Erna ", encoded(syntax, OTHER), bytes(70000) + b"Erna"):
        with pytest.raises(PixelDecodeError):
            frames_of(items(frame + behind), syntax)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_a_fragment_that_no_frame_shows_is_a_decode_error(syntax):
    first, second = encoded(syntax, PICTURE), encoded(syntax, OTHER)
    with pytest.raises(PixelDecodeError):
        frames_of(items(first, second), syntax)
    skipping = struct.pack("<2L", 0, 16 + len(first) + len(second))
    with pytest.raises(PixelDecodeError):
        frames_of(items(first, second, first, table=skipping), syntax, NumberOfFrames=2)


def test_one_frame_in_several_fragments_is_still_one_frame():
    whole = jpeg(PICTURE)
    assert len(frames_of(items(whole[:100], whole[100:]))) == 1


@pytest.mark.parametrize("offsets", [(0, 0), (0, 2), (4, 0)])
def test_an_extended_offset_table_cannot_hide_a_frame(offsets):
    fragments = [jpeg(PICTURE), jpeg(OTHER)]
    places = {0: 0, 2: 8 + len(fragments[0]) + 2, 4: 4}
    with pytest.raises(PixelDecodeError):
        frames_of(
            items(*fragments),
            NumberOfFrames=2,
            ExtendedOffsetTable=struct.pack("<2Q", *(places[offset] for offset in offsets)),
            ExtendedOffsetTableLengths=struct.pack("<2Q", *(len(fragment) for fragment in fragments)),
        )


def test_a_true_extended_offset_table_is_read():
    fragments = [jpeg(PICTURE), jpeg(OTHER)]
    found = frames_of(
        items(*fragments),
        NumberOfFrames=2,
        ExtendedOffsetTable=struct.pack("<2Q", 0, 8 + len(fragments[0])),
        ExtendedOffsetTableLengths=struct.pack("<2Q", *(len(fragment) for fragment in fragments)),
    )
    assert len(found) == 2
    assert not np.array_equal(found[0].words, found[1].words)


def test_text_in_place_of_an_offset_table_is_a_decode_error():
    with pytest.raises(PixelDecodeError):
        frames_of(items(jpeg(PICTURE), table=bytes(4) + b"Erfunden"))
