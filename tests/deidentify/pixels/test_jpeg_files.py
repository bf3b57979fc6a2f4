"""Blanked JPEG frames in whole files: other programs open them, and see what they saw before outside of the boxes."""

import io
import subprocess

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

from deidentify.pixels.boxes import Box
from deidentify.pixels.jpeg_blocks import blank
from tests.corpus import require_corpus
from tests.deidentify.pixels.files import image, part10
from tests.deidentify.pixels.jpeg_streams import Layout, made, pillow, read
from tests.deidentify.pixels.test_jpeg_blocks import check, picture
from tests.tools import require_tool

BOX = Box(x=40, y=16, width=33, height=11)


def outside(rows, columns, *, margin):
    """Where nothing may change: outside of the MCUs around the box, and of what smoothing spreads."""
    mask = np.ones((rows, columns), dtype=bool)
    bottom, right = -(-(BOX.y + BOX.height) // margin) * margin, -(-(BOX.x + BOX.width) // margin) * margin
    mask[BOX.y // margin * margin - 1 : bottom + 1, BOX.x // margin * margin - 1 : right + 1] = False
    return mask


def filed(stream, pixels, syntax, photometric, *, bits=None):
    content = image([pixels], modality="OT", bits_stored=bits)
    content.PhotometricInterpretation = photometric
    content.PixelData = encapsulate([stream])
    content["PixelData"].VR = "OB"
    content["PixelData"].is_undefined_length = True
    return part10(content, syntax)


def by_dcmtk(file, folder):
    """Return what dcmdjpeg sees, with colours as they are coded."""
    (folder / "in.dcm").write_bytes(file.getvalue())
    tool = require_tool("dcmdjpeg")
    subprocess.run([tool, "--conv-never", folder / "in.dcm", folder / "out.dcm"], check=True, timeout=60)
    return dcmread(folder / "out.dcm").pixel_array.astype(int)


def by_gdcm(file):
    content = dcmread(io.BytesIO(file.getvalue()))
    decoder = get_decoder(content.file_meta.TransferSyntaxUID)
    return decoder.as_array(content, raw=True, decoding_plugin="gdcm")[0].astype(int)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_dcmtk_and_gdcm_open_blanked_colour(subsampling, tmp_path):
    pixels = picture(100, 130)
    stream = pillow(pixels, subsampling=subsampling, quality=85)
    photometric = "YBR_FULL" if subsampling == "4:4:4" else "YBR_FULL_422"
    files = [
        filed(content, pixels, JPEGBaseline8Bit, photometric)
        for content in (stream, blank(stream, [BOX], black=(0, 128, 128)))
    ]
    for before, after in (map(by_gdcm, files), [by_dcmtk(file, tmp_path) for file in files]):
        assert before.shape == after.shape == pixels.shape
        around = outside(100, 130, margin=8 if subsampling == "4:4:4" else 16)
        assert np.array_equal(before[around], after[around])
        assert not np.array_equal(before, after)
        assert not after[BOX.y : BOX.y + BOX.height, BOX.x : BOX.x + BOX.width, 0].any()


@pytest.mark.parametrize("is_steep", [False, True])
def test_dcmtk_opens_blanked_images_of_12_bits(is_steep, tmp_path):
    layout = Layout(rows=60, columns=100, factors=[(1, 1)], precision=12, shape="steep" if is_steep else "even")
    stream = made(layout, layout.random(4))
    pixels = np.zeros((60, 100), dtype=np.uint16)
    before, after = (
        by_dcmtk(filed(content, pixels, JPEGExtended12Bit, "MONOCHROME2", bits=12), tmp_path)
        for content in (stream, blank(stream, [BOX], black=(0,)))
    )
    around = outside(60, 100, margin=8)
    assert np.array_equal(before[around], after[around])
    assert before[16:32, 40:80].any()
    assert not after[16:32, 40:80].any()


def test_12_bits_of_another_encoder_are_blanked(tmp_path):
    dice = np.random.default_rng(5)
    pixels = (np.add.outer(np.arange(64), np.arange(96)) * 20 + dice.integers(0, 400, (64, 96))).astype(np.uint16)
    (tmp_path / "plain.dcm").write_bytes(part10(image([pixels], bits_stored=12, modality="OT")).getvalue())
    tool = require_tool("dcmcjpeg")
    subprocess.run([tool, "--encode-extended", tmp_path / "plain.dcm", tmp_path / "made.dcm"], check=True, timeout=60)
    content = dcmread(tmp_path / "made.dcm")
    assert content.file_meta.TransferSyntaxUID == JPEGExtended12Bit
    (stream,) = generate_frames(content.PixelData, number_of_frames=1)
    assert read(stream).layout.precision == 12
    result = blank(stream, [BOX], black=(0,))
    check(stream, result, [BOX], (0,))
    before, after = (
        by_dcmtk(filed(each, pixels, JPEGExtended12Bit, "MONOCHROME2", bits=12), tmp_path) for each in (stream, result)
    )
    around = outside(64, 96, margin=8)
    assert np.array_equal(before[around], after[around])
    assert not after[16:32, 40:80].any()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_real_files_keep_every_other_coefficient():
    tried = 0
    for file in require_corpus():
        if file.facts["transfer_syntax_uid"] not in {JPEGBaseline8Bit, JPEGExtended12Bit}:
            continue
        content = dcmread(file.path)
        stream = next(
            iter(generate_frames(content.PixelData, number_of_frames=int(content.get("NumberOfFrames") or 1)))
        )
        if len(stream) > 50_000:
            continue
        samples = int(content.SamplesPerPixel)
        black = (0,) * samples if content.PhotometricInterpretation == "RGB" else (0, 128, 128)[:samples]
        boxes = [Box(x=content.Columns // 3, y=content.Rows // 3, width=1 + content.Columns // 4, height=20)]
        check(stream, blank(stream, boxes, black=black), boxes, black)
        tried += 1
    assert tried >= 15
