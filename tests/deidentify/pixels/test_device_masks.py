"""Rectangles where known devices write: only on frames of the size and device that they are meant for."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from deidentify.errors import PixelDecodeError
from deidentify.pixels import device_masks as module
from deidentify.pixels.boxes import Box
from deidentify.pixels.device_masks import MASK_KEYWORDS, device_masks, masks_of
from deidentify.pixels.source import locate
from tests.corpus import ROOT, require_corpus
from tests.deidentify.pixels.files import image, part10
from tests.tools import CHECKOUT
from tools.derive_device_masks import DEEPEST, LOWEST_LINE, catalogue_of, catalogue_text

DATA = Path(module.__file__).with_suffix(".json")
RECIPES = sorted((CHECKOUT / ".venv-peers").glob("lib/python3*/site-packages/deid/data/deid.dicom"))
S2000 = {"Modality": "US", "Manufacturer": "SIEMENS", "ManufacturerModelName": "ACUSON S2000"}


def masks(rows, columns, **header):
    attributes = Dataset()
    for keyword, value in header.items():
        setattr(attributes, keyword, value)
    return masks_of(attributes, rows=rows, columns=columns)


def test_a_device_is_masked_at_the_size_that_the_catalogue_knows():
    assert masks(768, 1024, **S2000) == (Box(x=0, y=0, width=1024, height=60),)


@pytest.mark.parametrize(
    ("rows", "columns", "other"),
    [
        (767, 1024, {}),
        (768, 1023, {}),
        (512, 512, {}),
        (768, 1024, {"ManufacturerModelName": "S3"}),
        (768, 1024, {"ManufacturerModelName": ""}),
        (768, 1024, {"Manufacturer": "Acme"}),
        (768, 1024, {"Modality": "CT"}),
    ],
)
def test_any_other_size_or_device_is_not(rows, columns, other):
    assert masks(rows, columns, **(S2000 | other)) == ()


def test_a_header_that_says_nothing_has_no_masks():
    assert all(masks(mask.rows, mask.columns or 1024) == () for mask in device_masks())


def test_a_word_counts_where_it_begins_not_in_the_midst_of_another():
    voluson = {"Modality": "US", "ManufacturerModelName": "Voluson S10 Expert"}
    assert masks(852, 1136, Manufacturer="GE Healthcare", **voluson) == (Box(x=0, y=0, width=1040, height=62),)
    assert masks(852, 1136, Manufacturer="Image Healthcare", **voluson) == ()


def test_a_rectangle_wider_than_the_frame_ends_with_it():
    header = {"Modality": "US", "Manufacturer": "Zonare", "ManufacturerModelName": "ZS3"}
    assert masks(600, 800, **header) == (Box(x=0, y=0, width=800, height=55),)


def test_burned_in_annotation_can_add_a_mask_and_take_none_away():
    mrcp = {"Modality": "CT", "Manufacturer": "GE MEDICAL SYSTEMS", "ImageType": ["DERIVED", "SECONDARY", "VOLREN"]}
    assert len(masks(512, 512, BurnedInAnnotation="YES", **mrcp)) == 2
    assert masks(512, 512, BurnedInAnnotation="NO", **mrcp) == ()
    assert masks(768, 1024, BurnedInAnnotation="NO", **S2000) == masks(768, 1024, **S2000)


def test_every_mask_fits_what_it_was_derived_from_and_stays_at_the_edge():
    for mask in device_masks():
        header = {"Modality": "", "Manufacturer": ""}
        for keyword, value in json.loads(DATA.read_text())["masks"][device_masks().index(mask)]["contains"].items():
            header[keyword] = " ".join(one.split("|")[0] for one in value)
        columns = mask.columns or 1024
        found = masks(mask.rows, columns, **header)
        assert found, mask.line
        for box in mask.boxes:
            clipped = box.clipped(rows=mask.rows, columns=columns)
            assert clipped in found
            is_at_edge = clipped.y == 0 or clipped.y + clipped.height == mask.rows
            assert clipped.height <= LOWEST_LINE or (is_at_edge and clipped.height <= DEEPEST * mask.rows)
        assert set(mask.contains) <= set(MASK_KEYWORDS)


def test_what_a_mask_compares_is_read_where_the_pixels_are_located():
    header = {keyword: keyword.upper()[:16] for keyword in MASK_KEYWORDS if keyword != "Modality"}
    attributes = locate(part10(image(np.zeros((8, 8), np.uint8), modality="US", **header))).attributes
    assert all(keyword in attributes for keyword in MASK_KEYWORDS)


def test_a_value_that_cannot_be_read_fits_nothing():
    written = part10(image(np.zeros((8, 8), np.uint8), **S2000)).getvalue()
    assert masks_of(locate(io.BytesIO(written)).attributes, rows=768, columns=1024)
    for bad in (b"\xff\xfe", b"\x00\x00"):
        attributes = locate(io.BytesIO(written.replace(b"SIEMENS ", bad * 4))).attributes
        assert masks_of(attributes, rows=768, columns=1024) == ()


def test_the_data_file_is_what_the_script_makes_of_the_package():
    if not RECIPES:
        pytest.skip("the package deid is not here")
    (found,) = RECIPES[0].parents[2].glob("deid-*.dist-info")
    version = found.name.removeprefix("deid-").removesuffix(".dist-info")
    assert DATA.read_text() == catalogue_text(version, RECIPES[0].read_bytes())
    assert DATA.with_suffix(".LICENSE").read_text() == (found / "licenses/LICENSE").read_text()


def test_every_label_with_rectangles_is_a_mask_or_is_told_with_a_reason():
    data = json.loads(DATA.read_text())
    lines = [row["line"] for row in data["masks"]] + [row["line"] for row in data["left_out"]]
    assert len(lines) == len(set(lines)) == 105
    assert all(row["why"] for row in data["left_out"])
    assert all("Rows" in row for row in data["masks"])


DEVICE = "contains Modality US\n+ contains Manufacturer Acme\n+ contains ManufacturerModelName One\n"


@pytest.mark.parametrize(
    ("label", "why"),
    [
        (DEVICE + "ctpcoordinates 0,0,640,30", "any size"),
        (DEVICE + "+ equals Columns 640\nctpcoordinates 0,0,640,30", "any size"),
        (DEVICE + "+ equals Rows 480|600\nctpcoordinates 0,0,640,30", "Rows is no number"),
        (DEVICE + "+ equals Rows 480\nctpcoordinates 0,40,640,200", "where the anatomy is"),
        (DEVICE + "+ equals Rows 480\nctpcoordinates 0,0,640,81", "where the anatomy is"),
        (DEVICE + "+ equals Rows 480\nctpcoordinates 0,480,640,10", "outside the frame"),
        (DEVICE + "+ equals Rows 480\ncoordinates 10,10,5,5", "rectangle is none"),
        (DEVICE + "+ equals Rows 480\ncoordinates all", "rectangle is none"),
        (DEVICE + "+ equals Rows 480\nkeepcoordinates 0,0,640,30", "rectangle is none"),
        (DEVICE + "|| equals Rows 480\nctpcoordinates 0,0,640,30", "joined by or"),
        (DEVICE + "+ equals Rows 480\n+ notcontains ImageType CINE\nctpcoordinates 0,0,640,30", "notcontains"),
        (DEVICE + "+ equals Rows 480\n+ contains Manfacturer A\nctpcoordinates 0,0,640,30", "Manfacturer"),
        (DEVICE.replace("US", "MRI") + "+ equals Rows 480\nctpcoordinates 0,0,640,30", "no modality MRI"),
        ("contains Manufacturer Acme\n+ equals Rows 480\nctpcoordinates 0,0,640,30", "nearly any device"),
        ("contains ManufacturerModelName One\n+ equals Rows 480\nctpcoordinates 0,0,640,30", "nearly any device"),
    ],
)
def test_a_label_that_may_be_about_other_frames_becomes_no_mask(label, why):
    made, left_out = catalogue_of(f"FORMAT dicom\n%filter graylist\nLABEL one\n{label}\n")
    assert made == []
    assert re.search(re.escape(why), left_out[0]["why"])


def test_corners_become_width_and_height():
    text = f"FORMAT dicom\n%filter graylist\nLABEL one\n{DEVICE}+ equals Rows 480\ncoordinates 10,0,640,30\n"
    ((mask,), left_out) = catalogue_of(text)
    assert (mask["boxes"], left_out) == ([[10, 0, 630, 30]], [])


ULTRASOUNDS = "pydicom+deid-data/deid_data/data/ultrasounds/"
MASKED = {
    f"{ULTRASOUNDS}GREYSCALE_CINE.zip/GREYSCALE_CINE.dcm": 49,
    f"{ULTRASOUNDS}GREYSCALE_IMAGE.dcm": 49,
    f"{ULTRASOUNDS}RGB_IMAGE.dcm": 60,
    "pydicom+pydicom-data/data_store/data/JPGLosslessP14SV1_1s_1f_8b.dcm": 49,
}


def test_of_the_corpus_only_ultrasounds_that_the_catalogue_knows_are_masked():
    masked = {}
    for file in require_corpus():
        try:
            with file.path.open("rb") as identified_file:
                attributes = locate(identified_file).attributes
            rows, columns = int(attributes.Rows), int(attributes.Columns)
        except (PixelDecodeError, AttributeError, TypeError):  # broken on purpose, or no image
            continue
        boxes = masks_of(attributes, rows=rows, columns=columns)
        if boxes:
            masked[str(file.path.relative_to(ROOT))] = sum(box.height for box in boxes)
            assert all(box.y == 0 for box in boxes)
    assert masked == MASKED
