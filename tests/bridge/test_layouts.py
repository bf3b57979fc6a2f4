"""Images of one device and format have one key, that tells nobody which, and the boxes of the site's layouts."""

import io

import pytest
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from bridge.layouts import layout_boxes, layout_key
from bridge.receipt_marks import instance_facts
from deidentify.parser import read_instance
from deidentify.review import MarkedBox, SiteLayout
from tests.builders import us_instance, write_part10

KEY = b"k" * 32
BOX = MarkedBox(x=0, y=0, width=100, height=12)
DEVICE = {"Manufacturer": "Schallwerk", "ManufacturerModelName": "Echo 7"}


def header(syntax=None, **more):
    instance = us_instance(**(DEVICE | more))
    whole = write_part10(instance, transfer_syntax=syntax) if syntax else write_part10(instance)
    return read_instance(io.BytesIO(whole))


def test_images_of_one_device_and_format_have_one_key_whoever_they_show_and_however_they_are_encoded():
    key = layout_key(header(), KEY)
    assert len(key) == 32
    assert key == layout_key(header(PatientName="Other^Person", InstanceNumber=9, StationName="ROOM3"), KEY)
    assert key == layout_key(header(ManufacturerModelName="ECHO  7 "), KEY)
    assert key == layout_key(header(ImplicitVRLittleEndian), KEY)
    assert key == layout_key(header(ExplicitVRBigEndian), KEY)
    assert key != layout_key(header(), b"l" * 32)


@pytest.mark.parametrize(
    "other",
    [
        {"Manufacturer": "Andere"},
        {"ManufacturerModelName": "Echo 8"},
        {"Modality": "IVUS"},
        {"Rows": 8},
        {"Columns": 8},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_device_or_size_has_another_key(other):
    assert layout_key(header(**other), KEY) not in {"", layout_key(header(), KEY)}


def test_a_header_without_a_device_is_of_no_layout():
    nobody = header(Manufacturer="", ManufacturerModelName="")
    assert layout_key(nobody, KEY) == ""
    assert layout_boxes(nobody, KEY, [SiteLayout(layout_key="", boxes=(BOX,))]) == ()


def test_the_boxes_of_its_own_layout_alone_count():
    own = header()
    layouts = (
        SiteLayout(layout_key="0" * 32, boxes=(MarkedBox(x=5, y=5, width=5, height=5),)),
        SiteLayout(layout_key=layout_key(own, KEY), boxes=(BOX,)),
    )
    assert layout_boxes(own, KEY, layouts) == (BOX,)
    assert layout_boxes(own, KEY, ()) == ()


def test_the_receipt_keeps_key_and_size_and_nothing_that_can_be_read():
    own = header()
    facts = instance_facts(own, KEY)
    source = us_instance(**DEVICE)
    assert facts.layout_key == layout_key(own, KEY)
    assert (facts.rows, facts.columns) == (source.Rows, source.Columns)
    assert facts.frames == (int(source.NumberOfFrames) if "NumberOfFrames" in source else None)
    assert "Schallwerk" not in repr(facts)
