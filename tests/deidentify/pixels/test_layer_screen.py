"""Text in a layer is found in its own picture, texts are classed by line, and one layer that fails takes none away."""

import io

import numpy as np
import pytest
from pydicom import Sequence

from deidentify.errors import DetectorUnavailableError
from deidentify.identity import IdentifiedTokens, identified_tokens
from deidentify.parser import read_instance
from deidentify.pixels.detector import Candidate
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.layer_screen import LayerCount, screen_layers
from deidentify.pixels.recognizer import Reading
from deidentify.results import HoldReason, TextClass
from tests.builders import ct_instance, sr_instance, write_part10
from tests.deidentify.pixels.files import image, part10
from tests.deidentify.pixels.layered import FLAT, drawn, icon_of, with_overlay
from tests.deidentify.pixels.planting import plant

NOBODY = IdentifiedTokens()


@pytest.fixture
def random():
    return np.random.default_rng(6)


class FakeEyes:
    """Sees one word in every picture."""

    def __init__(self, text):
        self.text = text

    def find(self, _view):
        return [Candidate(x=20, y=20, width=30, height=10, angle=0, score=0.9)]

    def read(self, _view, candidates):
        return [Reading(identified_text=self.text, score=0.9) for _ in candidates]

    def __call__(self):
        return OcrEngine(name="fake", detector=self, recognizer=self)


def no_engine():
    raise DetectorUnavailableError("The models are not here.")


def two_planes(random, **change):
    content = with_overlay(image(FLAT), drawn(random), drawn(random), **change)
    return with_overlay(content, drawn(random), group=0x6002)


def test_a_name_in_an_overlay_is_found_where_it_stands_and_marks_are_safe(random):
    named, marked = (np.zeros((128, 256), np.uint8) for _ in range(2))
    named[-1, -1] = marked[-1, -1] = 1
    planted = plant(named, "KOWALCZYK MARTA", random, contrast=1, height=18, at=(40, 10))
    plant(marked, "ERECT", random, contrast=1, height=18, at=(40, 10))
    content = with_overlay(image(np.full((128, 256), 7, np.uint16)), marked, named)
    report = screen_layers(part10(content), NOBODY)
    assert report.layers == (LayerCount(name="overlay 6000", frames=2),)
    assert report.fault is None
    assert "PP-OCRv4" in report.detector
    classes = {(one.frame, one.text_class) for one in report.findings}
    assert classes == {(0, TextClass.SAFE), (1, TextClass.IDENTIFYING)}
    left, top, right, bottom = planted.box
    found = next(one for one in report.findings if one.frame == 1)
    assert found.layer == "overlay 6000"
    assert found.x <= (left + right) / 2 <= found.x + found.width
    assert found.y <= (top + bottom) / 2 <= found.y + found.height
    assert all(text not in repr(report) for text in report.identified_texts)


def test_every_frame_of_every_layer_is_read_and_layers_of_one_name_are_counted_on(random):
    content = two_planes(random)
    content.IconImageSequence = Sequence([icon_of(drawn(random) * 200), icon_of(drawn(random) * 100)])
    report = screen_layers(part10(content), NOBODY, FakeEyes("KOWALCZYK"))
    assert [(one.name, one.frames, one.is_read) for one in report.layers] == [
        ("overlay 6000", 2, True),
        ("overlay 6002", 1, True),
        ("icon", 2, True),
    ]
    assert {(one.layer, one.frame) for one in report.findings} == {
        ("overlay 6000", 0),
        ("overlay 6000", 1),
        ("overlay 6002", 0),
        ("icon", 0),
        ("icon", 1),
    }
    assert len(report.identified_texts) == len(report.findings)


def test_a_layer_that_cannot_be_read_is_told_and_the_others_are_read(random):
    report = screen_layers(part10(two_planes(random, cut=20)), NOBODY, FakeEyes("KOWALCZYK"))
    assert report.fault is HoldReason.PIXELS_UNDECODABLE
    assert [(one.name, one.is_read) for one in report.layers] == [("overlay 6000", False), ("overlay 6002", True)]
    assert {one.layer for one in report.findings} == {"overlay 6002"}


def test_without_models_nothing_is_read(random):
    report = screen_layers(part10(two_planes(random)), NOBODY, no_engine)
    assert report.fault is HoldReason.SCREEN_UNAVAILABLE
    assert not any(one.is_read for one in report.layers)


def test_a_file_without_layers_needs_no_models():
    report = screen_layers(part10(image(FLAT)), NOBODY, no_engine)
    assert (report.layers, report.findings, report.fault) == ((), (), None)


def test_the_lines_of_a_report_are_classed_by_its_header():
    content = sr_instance()
    content.ContentSequence[1].TextValue = "Left\r\nseen by Erfundene"
    file = io.BytesIO(write_part10(content))
    report = screen_layers(file, identified_tokens(read_instance(file)), no_engine)
    assert report.layers == (LayerCount(name="report text", frames=3),)
    assert [(one.frame, one.text_class, one.width) for one in report.findings] == [
        (0, TextClass.IDENTIFYING, 0),
        (1, TextClass.SAFE, 0),
        (2, TextClass.IDENTIFYING, 0),
    ]
    assert report.identified_texts[1] == "Left"


def test_an_image_without_texts_has_none():
    assert screen_layers(io.BytesIO(write_part10(ct_instance())), NOBODY, no_engine).layers == ()
