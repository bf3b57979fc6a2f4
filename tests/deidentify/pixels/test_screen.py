"""Planted text is held, clean pictures pass, and what was not read never counts as clear."""

import io
import logging
from dataclasses import replace

import numpy as np
import pytest
from pydicom.dataset import Dataset

from deidentify.errors import DetectorUnavailableError
from deidentify.identity import IdentifiedTokens
from deidentify.pixels import engine as engine_module
from deidentify.pixels.detector import Candidate
from deidentify.pixels.engine import OcrEngine, load_engine
from deidentify.pixels.recognizer import Reading
from deidentify.pixels.screen import PixelScreener
from deidentify.results import HoldReason, PixelVerdict, RegionFate, TextClass
from tests.corpus import require_corpus
from tests.deidentify.pixels.files import image, part10
from tests.deidentify.pixels.planting import identity, phantom, plant

NOBODY = IdentifiedTokens()


@pytest.fixture
def random():
    return np.random.default_rng(20)


@pytest.fixture(scope="module")
def screener():
    return PixelScreener()


def screened(screener, content, identified=NOBODY):
    return screener.screen(part10(content), identified)


def assert_stopped_at(report, planted, frame=0):
    """What was planted was found and does not pass: it becomes black, or a person has to look."""
    assert report.verdict in {PixelVerdict.REDACT, PixelVerdict.SUSPECT}
    left, top, right, bottom = planted.box
    middle = ((left + right) / 2, (top + bottom) / 2)
    assert any(
        found.frame == frame
        and found.text_class is TextClass.IDENTIFYING
        and found.fate is not RegionFate.KEPT
        and found.x <= middle[0] <= found.x + found.width
        and found.y <= middle[1] <= found.y + found.height
        for found in report.findings
    )


def assert_blackened_at(report, planted, frame=0):
    """What was planted lies in a box that becomes black."""
    assert_stopped_at(report, planted, frame)
    assert (report.verdict, report.hold) == (PixelVerdict.REDACT, None)
    left, top, right, bottom = planted.box
    assert any(
        box.frame in {frame, None}
        and box.x <= left
        and box.y <= top
        and box.x + box.width >= right
        and box.y + box.height >= bottom
        for box in report.boxes
    )


class FakeEyes:
    """Counts what it is shown and sees a given word everywhere, or nothing."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.shown = 0

    def find(self, view):
        self.shown += 1 if view.size else 0
        found = Candidate(x=40, y=40, width=60, height=24, angle=0, score=0.9)
        return [found] if self.text else []

    def read(self, _view, candidates):
        return [Reading(identified_text=self.text, score=0.9) for _ in candidates]

    def __call__(self):
        return OcrEngine(name="fake", detector=self, recognizer=self)


def test_a_clean_slice_is_clear(screener, random):
    report = screened(screener, image(phantom(random), bits_stored=12))
    assert report.verdict is PixelVerdict.CLEAR
    assert report.hold is None
    assert (report.frames, report.frames_read) == (1, 1)
    assert "PP-OCRv4" in report.detector


@pytest.mark.parametrize("line", range(5))
def test_every_line_that_a_device_burns_in_is_held_with_its_box(screener, random, line):
    picture = phantom(random)
    planted = plant(picture, identity(random)[line], random, height=12, at=(8, 8))
    report = screened(screener, image(picture, bits_stored=12))
    assert_blackened_at(report, planted)
    assert report.identified_texts
    assert all(text not in repr(report) for text in report.identified_texts)


@pytest.mark.parametrize("turns", [1, 3])
def test_vertical_text_is_held(screener, random, turns):
    picture = phantom(random)
    planted = plant(picture, "BERGSTROM ERIK", random, height=14, turns=turns, at=(20, 8))
    assert_blackened_at(screened(screener, image(picture, bits_stored=12)), planted)


def test_markers_are_found_and_pass(screener, random):
    picture = phantom(random)
    plant(picture, "W 400 L 40", random, height=14, at=(230, 8))
    report = screened(screener, image(picture, bits_stored=12))
    assert report.verdict is PixelVerdict.CLEAR
    assert {finding.text_class for finding in report.findings} == {TextClass.SAFE}


def test_a_marker_that_is_the_name_of_the_patient_is_held(screener, random):
    picture = phantom(random)
    planted = plant(picture, "LEFT", random, height=16, at=(230, 8))
    assert_blackened_at(
        screened(screener, image(picture, bits_stored=12), IdentifiedTokens(tokens=frozenset({"left"}))), planted
    )


def test_one_frame_of_many_holds_the_instance_and_is_named(screener, random):
    frames = [phantom(random, 128, 192) for _ in range(4)]
    planted = plant(frames[2], "KOWALCZYK MARTA", random, height=12, at=(6, 6))
    report = screened(screener, image(frames, bits_stored=12))
    assert_stopped_at(report, planted, frame=2)
    assert report.frames_read == report.frames == 4
    assert {finding.frame for finding in report.findings if finding.text_class is TextClass.IDENTIFYING} == {2}


def test_text_in_unused_high_bits_is_held(screener, random):
    picture = phantom(random)
    hidden = np.zeros_like(picture)
    hidden[128, 128] = 1
    planted = plant(hidden, "OKONKWO ADAEZE", random, height=16, contrast=1, at=(60, 20))
    report = screened(screener, image(picture | (hidden << 13), bits_stored=12))
    assert_stopped_at(report, planted)


def test_text_flattened_by_one_outlier_is_held(screener, random):
    picture = (phantom(random) // 8).astype(np.uint16)
    planted = plant(picture, "OKONKWO ADAEZE", random, height=16, at=(60, 20))
    picture[0, 0] = 65535
    assert_blackened_at(screened(screener, image(picture)), planted)


def test_text_hidden_by_the_palette_or_shown_only_by_it_is_held(screener, random):
    drawn = np.zeros((96, 256), dtype=np.uint8)
    drawn[90, 250] = 1
    planted = plant(drawn, "OKONKWO ADAEZE", random, height=14, contrast=1, at=(30, 20))
    ramp = np.repeat(np.arange(256, dtype=np.uint16) << 8, 1)
    flat = np.zeros(256, dtype=np.uint16)

    def coloured(words, table):
        tables = {
            f"{colour}PaletteColorLookupTable{part}": value
            for colour in ("Red", "Green", "Blue")
            for part, value in (("Descriptor", [256, 0, 16]), ("Data", table.tobytes()))
        }
        return image(words, modality="OT", PhotometricInterpretation="PALETTE COLOR", **tables)

    assert_stopped_at(screened(screener, coloured(drawn * 255, flat)), planted)
    # Neighbouring indices far apart in colour: a full range of indices makes them look alike without the palette.
    words = np.where(drawn > 0, 101, 100).astype(np.uint8)
    words[0, :] = 0
    words[-1, :] = 255
    jump = flat.copy()
    jump[101] = 0xFF00
    assert_stopped_at(screened(screener, coloured(words, jump)), planted)
    assert ramp.size == 256


def test_text_drawn_in_one_colour_channel_is_held(screener, random):
    picture = np.zeros((96, 256, 3), dtype=np.uint8)
    picture[..., 0] = 120
    channel = picture[..., 2].copy()
    channel[90, 250] = 255
    planted = plant(channel, "OKONKWO ADAEZE", random, height=16, contrast=0.9, at=(30, 20))
    picture[..., 2] = channel
    assert_stopped_at(screened(screener, image(picture, modality="OT")), planted)


def test_text_made_of_words_that_are_no_numbers_is_held(screener, random):
    drawn = np.zeros((96, 256), dtype=np.uint8)
    drawn[90, 250] = 1
    planted = plant(drawn, "OKONKWO ADAEZE", random, height=14, contrast=1, at=(30, 20))
    values = np.full(drawn.shape, 0.5, dtype=np.float32)
    values[drawn > 0] = np.nan
    content = image(np.zeros(drawn.shape, np.uint32))
    del content.PixelData
    content.FloatPixelData = values.tobytes()
    assert_stopped_at(screened(screener, content), planted)


def test_equal_frames_are_read_once(random):
    eyes = FakeEyes("OKONKWO")
    picture = phantom(random, 128, 128)
    report = screened(PixelScreener(engine_source=eyes), image([picture, picture, picture], bits_stored=12))
    once = FakeEyes("OKONKWO")
    screened(PixelScreener(engine_source=once), image(picture, bits_stored=12))
    assert eyes.shown == once.shown
    assert {finding.frame for finding in report.findings} == {0, 1, 2}
    assert report.frames_read == 3


def test_a_constant_frame_needs_no_reading():
    eyes = FakeEyes("OKONKWO")
    report = screened(PixelScreener(engine_source=eyes), image(np.full((64, 64), 7, np.uint16)))
    assert report.verdict is PixelVerdict.CLEAR
    assert eyes.shown == 0


def test_boxes_lie_inside_the_frame_with_a_margin():
    class Edge(FakeEyes):
        def find(self, _view):
            return [Candidate(x=2, y=2, width=40, height=20, angle=0, score=0.9)]

    picture = np.zeros((64, 64), np.uint16)
    picture[10:40, 10:40] = 9
    finding = screened(PixelScreener(engine_source=Edge("OKONKWO")), image(picture)).findings[0]
    assert finding.x == finding.y == 0
    assert finding.x + finding.width <= 64
    assert finding.y + finding.height <= 64


def test_progress_is_told_after_each_frame(random):
    told = []
    frames = [phantom(random, 64, 64) for _ in range(3)]
    PixelScreener(engine_source=FakeEyes()).screen(
        part10(image(frames)), NOBODY, lambda read, frames: told.append((read, frames))
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_undecodable_pixels_are_held(random):
    content = image([phantom(random, 64, 64) for _ in range(2)])
    whole = part10(content).getvalue()
    report = PixelScreener(engine_source=FakeEyes()).screen(io.BytesIO(whole[:-100]), NOBODY)
    assert report.verdict is PixelVerdict.NOT_EVALUATED
    assert report.hold is HoldReason.PIXELS_UNDECODABLE


def test_missing_pixels_are_held_and_reports_have_none():
    content = image(np.zeros((8, 8), np.uint16))
    del content.PixelData
    report = PixelScreener(engine_source=FakeEyes()).screen(part10(content), NOBODY)
    assert (report.verdict, report.hold) == (PixelVerdict.NOT_EVALUATED, HoldReason.PIXELS_MISSING)
    text = Dataset()
    text.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    text.SOPInstanceUID = "1.2.3"
    report = PixelScreener(engine_source=FakeEyes()).screen(part10(text), NOBODY)
    assert (report.verdict, report.hold) == (PixelVerdict.NO_PIXELS, None)


def test_a_screen_without_models_holds():
    def absent():
        raise DetectorUnavailableError("no models")

    report = PixelScreener(engine_source=absent).screen(part10(image(np.eye(64, dtype=np.uint16))), NOBODY)
    assert (report.verdict, report.hold) == (PixelVerdict.NOT_EVALUATED, HoldReason.SCREEN_UNAVAILABLE)


def test_a_changed_model_file_is_refused(tmp_path, monkeypatch):
    real = engine_module.resources.files("deidentify.pixels") / "models"
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "models.json").write_text((real / "models.json").read_text())
    (tmp_path / "models" / "ch_PP-OCRv4_det_infer.onnx").write_bytes(b"other")
    monkeypatch.setattr(engine_module.resources, "files", lambda _: tmp_path)
    with pytest.raises(DetectorUnavailableError):
        load_engine.__wrapped__()


def test_nothing_is_logged_or_printed_while_a_bad_file_is_read(caplog, capfd):
    caplog.set_level(logging.DEBUG)
    content = image(np.zeros((64, 64), np.uint16))
    content.PatientName = "OKONKWO^ADAEZE"
    content.NumberOfFrames = 3
    for syntax in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2"):
        PixelScreener(engine_source=FakeEyes()).screen(part10(content, syntax), NOBODY)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


HELD = ("examples_rgb_color", "US1_UNCI", "GREYSCALE_IMAGE")
"""The slower ones are read for docs/pixels.md."""


@pytest.mark.slow
@pytest.mark.parametrize("name", HELD)
def test_real_ultrasounds_with_burned_in_identity_are_held(screener, name):
    (file,) = [file for file in require_corpus() if name in file.facts["file"]]
    with file.path.open("rb") as identified_file:
        report = screener.screen(identified_file, NOBODY)
    assert report.verdict in {PixelVerdict.REDACT, PixelVerdict.SUSPECT}
    assert TextClass.IDENTIFYING in {finding.text_class for finding in report.findings}
    assert report.frames_read == report.frames


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small.dcm", "693_J2KI.dcm", "pynetdicom/tests/dicom_files/CTImage"]
)
def test_real_slices_are_clear(screener, name):
    file = next(file for file in require_corpus() if name in file.facts["file"])
    with file.path.open("rb") as identified_file:
        assert screener.screen(identified_file, NOBODY).verdict is PixelVerdict.CLEAR


class Blind:
    """A small screen that sees nothing."""

    def may_hold_text(self, _view):
        return False

    def warmth(self, view):
        return np.full((-(-view.shape[0] // 8), -(-view.shape[1] // 8)), -9, np.float32)


def eyes_behind(glance, text="OKONKWO"):
    eyes = FakeEyes(text)
    return eyes, PixelScreener(
        engine_source=lambda: OcrEngine(name="fake", detector=eyes, recognizer=eyes, glance=glance)
    )


@pytest.mark.parametrize(
    ("more", "is_left"),
    [
        ({"modality": "CT"}, True),
        ({"modality": "MR"}, True),
        ({"modality": "US"}, False),
        ({"modality": "OT"}, False),
        ({"modality": "OT", "Modality": "CT"}, False),
    ],
    ids=["CT", "MR", "ultrasound", "capture", "capture of a CT"],
)
def test_slices_alone_are_left_at_what_the_small_screen_sees(random, more, is_left):
    eyes, screener = eyes_behind(Blind())
    report = screened(screener, image(phantom(random, 128, 192), bits_stored=12, **more))
    assert (eyes.shown == 0) is is_left
    assert (report.verdict is PixelVerdict.CLEAR) is is_left
    assert ("behind the small screen" in report.detector) is is_left


def test_what_became_black_is_read_again_without_the_small_screen(random):
    content = part10(image(phantom(random, 128, 192), bits_stored=12))
    _, seeing = eyes_behind(None)
    report = seeing.screen(content, NOBODY)
    assert report.verdict is PixelVerdict.REDACT
    eyes, screener = eyes_behind(Blind())
    [left] = screener.still_there(content, NOBODY, report)
    assert eyes.shown > 0
    assert left.fate is RegionFate.REDACTED


@pytest.mark.parametrize(
    "more",
    [
        {"BurnedInAnnotation": "YES"},
        {"ImageType": ["DERIVED", "SECONDARY", "PROTOCOL"]},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.12.1"},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_may_be_a_capture_is_read_by_the_detector(random, more):
    eyes, screener = eyes_behind(Blind())
    assert screened(screener, image(phantom(random, 128, 192), bits_stored=12, **more)).verdict is PixelVerdict.REDACT
    assert eyes.shown > 0


def test_colour_is_read_by_the_detector_whatever_it_calls_itself(random):
    eyes, screener = eyes_behind(Blind())
    picture = np.stack([phantom(random, 128, 192).astype(np.uint8)] * 3, axis=2)
    screened(screener, image(picture, modality="CT"))
    assert eyes.shown > 0


class TwoReadings(FakeEyes):
    """Reads the end of a line surely and the whole of it less so."""

    def find(self, view):
        scale = view.shape[1] / 192
        short = Candidate(x=50 * scale, y=20 * scale, width=60 * scale, height=12 * scale, angle=0, score=0.9)
        return [short, replace(short, x=80 * scale, width=120 * scale)]

    def read(self, _view, candidates):
        scores = (0.99, 0.9)[: len(candidates)]
        return [Reading(identified_text="OKONKWO", score=score) for score in scores]


def test_text_that_reaches_further_than_what_was_read_surely_becomes_black_too(random):
    report = screened(PixelScreener(engine_source=TwoReadings()), image(phantom(random, 128, 192), bits_stored=12))
    assert report.verdict is PixelVerdict.REDACT
    assert min(box.x for box in report.boxes) <= 20
    assert max(box.x + box.width for box in report.boxes) >= 140


def test_of_the_frames_that_became_black_those_that_are_named_are_read(random):
    content = part10(image([phantom(random, 128, 192) for _ in range(3)], bits_stored=12))
    eyes = FakeEyes("OKONKWO")
    screener = PixelScreener(engine_source=eyes)
    report = screener.screen(content, NOBODY)
    assert {box.frame for box in report.boxes} == {None}
    assert {one.frame for one in screener.still_there(content, NOBODY, report)} == {0, 1, 2}
    assert {one.frame for one in screener.still_there(content, NOBODY, report, frames={1, 7})} == {1}
