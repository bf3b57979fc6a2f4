"""What lies outside the regions of an ultrasound: all of it, and nothing else; absurd regions are not believed."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence

from deidentify.pixels.boxes import Box
from deidentify.pixels.source import locate
from deidentify.pixels.ultrasound import (
    INVERTED,
    NOT_A_NUMBER,
    OUTSIDE,
    TOO_MANY,
    TOO_SMALL,
    boxes_outside,
    regions_of,
)
from tests.corpus import ROOT, require_corpus
from tests.deidentify.pixels.files import image, part10

ROWS, COLUMNS = 60, 80


def region(*ends):
    item = Dataset()
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = ends
    return item


def header(*regions):
    data = Dataset()
    data.SequenceOfUltrasoundRegions = Sequence(region(*ends) for ends in regions)
    return data


def outside(*regions):
    return boxes_outside(header(*regions), rows=ROWS, columns=COLUMNS)


def fault(*regions):
    assert outside(*regions) == ()
    return regions_of(header(*regions), rows=ROWS, columns=COLUMNS).fault


def ends():
    xs, ys = st.integers(0, COLUMNS - 1), st.integers(0, ROWS - 1)
    return st.tuples(xs, ys, xs, ys).map(
        lambda four: (min(four[0], four[2]), min(four[1], four[3]), max(four[0], four[2]), max(four[1], four[3]))
    )


@given(st.lists(ends(), min_size=1, max_size=6))
def test_the_boxes_cover_each_pixel_in_no_region_once_and_no_other(regions):
    inside = np.zeros((ROWS, COLUMNS), int)
    for left, top, right, bottom in regions:
        inside[top : bottom + 1, left : right + 1] = 1
    covered = np.zeros((ROWS, COLUMNS), int)
    for box in outside(*regions):
        covered[box.y : box.y + box.height, box.x : box.x + box.width] += 1
    if fault_said := regions_of(header(*regions), rows=ROWS, columns=COLUMNS).fault:
        assert fault_said == (INVERTED if any(x0 == x1 and y0 == y1 for x0, y0, x1, y1 in regions) else TOO_SMALL)
        assert not covered.any()
    else:
        assert (covered == 1 - inside).all()


def test_one_region_leaves_a_frame_around_it():
    assert outside((10, 5, 69, 54)) == (
        Box(x=0, y=0, width=80, height=5),
        Box(x=0, y=5, width=10, height=50),
        Box(x=70, y=5, width=10, height=50),
        Box(x=0, y=55, width=80, height=5),
    )


def test_a_region_of_the_whole_frame_leaves_nothing():
    assert outside((0, 0, 79, 59)) == ()
    assert regions_of(header((0, 0, 79, 59)), rows=ROWS, columns=COLUMNS).fault == ""


def test_an_end_one_pixel_behind_the_last_is_the_last():
    assert outside((10, 0, 80, 60)) == outside((10, 0, 79, 59)) == (Box(x=0, y=0, width=10, height=60),)


def test_a_header_without_regions_says_nothing():
    for data in (Dataset(), header()):
        assert boxes_outside(data, rows=ROWS, columns=COLUMNS) == ()
        assert regions_of(data, rows=ROWS, columns=COLUMNS).fault == ""


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [
        ((10, 5, 81, 54), OUTSIDE),
        ((10, 5, 69, 61), OUTSIDE),
        ((80, 5, 80, 54), OUTSIDE),
        ((69, 5, 10, 54), INVERTED),
        ((10, 54, 69, 5), INVERTED),
        ((0, 0, 0, 0), INVERTED),
        ((0, 0, 20, 20), TOO_SMALL),
    ],
)
def test_an_absurd_region_discredits_the_others_too(ends, sentence):
    assert fault(ends) == sentence
    if sentence is not TOO_SMALL:
        assert fault((0, 5, 79, 54), ends) == sentence


def test_a_region_without_a_place_is_not_believed():
    data = header((0, 5, 79, 54))
    del data.SequenceOfUltrasoundRegions[0].RegionLocationMaxX1
    assert regions_of(data, rows=ROWS, columns=COLUMNS).fault == NOT_A_NUMBER
    data.SequenceOfUltrasoundRegions[0].RegionLocationMaxX1 = None
    assert regions_of(data, rows=ROWS, columns=COLUMNS).fault == NOT_A_NUMBER
    data.SequenceOfUltrasoundRegions[0].add_new(0x0018601C, "UL", [1, 79])
    assert regions_of(data, rows=ROWS, columns=COLUMNS).fault == NOT_A_NUMBER


def test_a_broken_sequence_is_no_fault_of_the_pixels():
    content = image(np.zeros((ROWS, COLUMNS), np.uint8), modality="US")
    content.add_new(0x00186011, "OB", b"no item at all")
    written = part10(content).getvalue().replace(b"\x18\x00\x11\x60OB", b"\x18\x00\x11\x60SQ")
    attributes = locate(io.BytesIO(written)).attributes
    assert regions_of(attributes, rows=ROWS, columns=COLUMNS).fault == NOT_A_NUMBER


def test_more_regions_than_a_frame_has_are_not_believed():
    assert fault(*[(0, 0, 79, 59)] * 65) == TOO_MANY


def test_regions_are_read_where_the_pixels_are_located():
    content = image(np.zeros((ROWS, COLUMNS), np.uint8), modality="US")
    content.SequenceOfUltrasoundRegions = header((10, 0, 79, 59)).SequenceOfUltrasoundRegions
    attributes = locate(part10(content)).attributes
    assert boxes_outside(attributes, rows=ROWS, columns=COLUMNS) == (Box(x=0, y=0, width=10, height=60),)


REAL = {
    "pydicom+pydicom-data/data_store/data/OBXXXX1A.dcm": "",
    "pydicom+pydicom-data/data_store/data/gdcm-US-ALOKA-16.dcm": "",
    "pydicom+deid-data/deid_data/data/ultrasounds/RGB_IMAGE.dcm": "",
    "cornerstonejs+cornerstone3D/packages/dicomImageLoader/testImages/no-pixel-spacing.dcm": "",
    "pydicom+pydicom/src/pydicom/data/test_files/examples_palette.dcm": OUTSIDE,
    "pydicom+pydicom/src/pydicom/data/test_files/examples_ybr_color.dcm": OUTSIDE,
}
"""The last two were cut and scaled after their regions were written."""


@pytest.mark.parametrize(("name", "sentence"), REAL.items())
def test_regions_of_real_devices(name, sentence):
    assert any(file.path == ROOT / name for file in require_corpus())
    with (ROOT / name).open("rb") as identified_file:
        attributes = locate(identified_file).attributes
    size = {"rows": attributes.Rows, "columns": attributes.Columns}
    assert regions_of(attributes, **size).fault == sentence
    assert bool(boxes_outside(attributes, **size)) is not bool(sentence)
