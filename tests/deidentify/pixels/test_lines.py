"""A region becomes as long as its line; a number that is a piece of a date is no safe number."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Candidate
from deidentify.pixels.engine import OcrEngine, load_engine
from deidentify.pixels.lines import goes_on, whole_lines
from deidentify.pixels.reading import Region, overlap
from deidentify.pixels.recognizer import Reading
from deidentify.results import TextClass

HEADER = HeaderWords.of(IdentifiedTokens())
TEXT = "KOWALCZYK 12.03.1961"


def drawn(turn: float) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Return a picture with one line through its middle, and the line's length, height and angle."""
    picture = np.full((400, 400), 60, dtype=np.uint8)
    (wide, tall), _ = cv2.getTextSize(TEXT, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 2)
    cv2.putText(picture, TEXT, (200 - wide // 2, 200 + tall // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 200, 2, cv2.LINE_AA)
    turned = cv2.warpAffine(picture, cv2.getRotationMatrix2D((200, 200), -turn, 1), (400, 400), borderValue=60)
    return turned, (wide, tall * 1.7, turn)


def region(text="31", *, text_class=TextClass.IDENTIFYING, **outline):
    return Region(outline=Candidate(**outline, score=0.9), text_class=text_class, score=0.9, identified_text=text)


@pytest.mark.parametrize("turn", [0, 45, 90, -45])
def test_a_word_of_a_line_becomes_the_whole_line(turn):
    picture, (wide, tall, angle) = drawn(turn)
    word = region(x=200, y=200, width=wide / 4, height=tall, angle=angle)
    if turn == 90:  # as rectangles of the detector have it
        word = region(x=200, y=200, width=tall, height=wide / 4, angle=0)
    (found,) = whole_lines(load_engine(), picture, HEADER, [word])
    whole = region(x=200, y=200, width=wide, height=tall * 0.6, angle=angle)
    assert overlap(found, whole) > 0.97
    assert min(found.outline.width, found.outline.height) == pytest.approx(tall)


def test_a_number_within_a_date_is_taken_for_the_date():
    picture, (wide, tall, angle) = drawn(0)
    piece = region("1961", text_class=TextClass.SAFE, x=200 + wide * 0.43, y=200, width=50, height=tall, angle=angle)
    (found,) = whole_lines(load_engine(), picture, HEADER, [piece])
    assert found.text_class is TextClass.IDENTIFYING
    assert found.outline.width > wide * 0.9


class Eyes:
    """A detector that sees given rectangles in whatever it is shown, and a recogniser that reads a given text."""

    def __init__(self, *spans: tuple[float, float, float], text: str = "31-JAN-1969") -> None:
        self.spans, self.text, self.shown = spans, text, 0

    def find(self, image):
        self.shown += 1
        middle = image.shape[0] / 2
        return [
            Candidate(x=(left + right) / 2, y=middle + off, width=right - left, height=40, angle=0, score=0.9)
            for left, right, off in self.spans
        ]

    def read(self, _image, candidates):
        return [Reading(identified_text=self.text, score=0.9) for _ in candidates]

    def lines(self, one):
        view = np.arange(200 * 400, dtype=np.uint32).astype(np.uint8).reshape(200, 400)
        return whole_lines(OcrEngine(name="eyes", detector=self, recognizer=self), view, HEADER, [one])[0]


def at(left, right, text="31", text_class=TextClass.IDENTIFYING):
    return region(text, text_class=text_class, x=(left + right) / 2, y=100, width=right - left, height=40, angle=0)


def test_words_near_by_are_one_line_and_those_far_off_or_off_the_line_are_not():
    grown = Eyes((150, 250, 0), (260, 300, 0)).lines(at(100, 160))
    assert (grown.outline.x - grown.outline.width / 2, grown.outline.x + grown.outline.width / 2) == (100, 300)
    assert Eyes((220, 300, 0)).lines(at(100, 160)) == at(100, 160)
    assert Eyes((150, 250, 30)).lines(at(100, 160)) == at(100, 160)


@pytest.mark.parametrize(("text", "expected"), [("31-JAN-1969", TextClass.IDENTIFYING), ("31 mm", TextClass.SAFE)])
def test_a_safe_number_is_what_its_whole_line_says(text, expected):
    eyes = Eyes((150, 250, 0), text=text)
    assert eyes.lines(at(100, 160, text_class=TextClass.SAFE)).text_class is expected


def test_markers_without_a_number_are_not_looked_at():
    eyes = Eyes((150, 250, 0))
    marker = at(100, 160, "ERECT", TextClass.SAFE)
    assert eyes.lines(marker) is marker
    assert eyes.shown == 0


@pytest.mark.parametrize(("gap", "is_joined"), [(100, True), (140, False)])
def test_what_lies_between_two_pieces_of_one_line_is_covered(gap, is_joined):
    date, clock = at(20, 100, "2023/0"), at(100 + gap, 160 + gap, ":34", TextClass.SAFE)
    engine = OcrEngine(name="eyes", detector=Eyes(), recognizer=Eyes())
    found = whole_lines(engine, np.zeros((200, 400), np.uint8), HEADER, [date, clock])
    assert found[0].outline.width == (140 + gap if is_joined else 80)
    assert found[1] == clock


def warmth(left, right, *, around=-9.0):
    """Return cells of 8 pixels of a view of 200 by 400 that are warm along the line of ``at``."""
    warm = np.full((25, 50), around, dtype=np.float32)
    warm[12, left // 8 : right // 8] = 1.0
    return warm


def warmed(one, warm, *spans, text="31-JAN-1969"):
    eyes = Eyes(*spans, text=text)
    view = np.arange(200 * 400, dtype=np.uint32).astype(np.uint8).reshape(200, 400)
    return whole_lines(OcrEngine(name="eyes", detector=eyes, recognizer=eyes), view, HEADER, [one], warm)[0]


def test_a_line_goes_on_as_far_as_the_small_screen_sees_text():
    grown = warmed(at(100, 160), warmth(96, 320))
    left, _, right, _ = grown.box(400, 200)
    assert (left, right) == (pytest.approx(100, abs=2), pytest.approx(308, abs=5))
    assert min(grown.outline.width, grown.outline.height) == pytest.approx(40)
    assert warmed(at(100, 160), warmth(240, 360)) == at(100, 160), "too far off"
    assert warmed(at(100, 160), warmth(96, 168)) == at(100, 160), "no more than the rim of what was found"


def test_a_slanted_line_does_not_go_on_since_the_cells_beside_it_are_warm_too():
    slanted = region(x=130, y=100, width=60, height=40, angle=45)
    assert warmed(slanted, np.full((25, 50), 1.0, dtype=np.float32)) == slanted


def test_safe_text_goes_on_only_where_much_more_is_warm():
    safe = at(100, 160, text_class=TextClass.SAFE)
    assert warmed(safe, warmth(96, 220)).text_class is TextClass.SAFE
    assert warmed(safe, warmth(96, 320)).text_class is TextClass.IDENTIFYING
    assert warmed(safe, warmth(96, 320), text="31 mm").text_class is TextClass.SAFE


def test_a_line_has_the_direction_of_all_its_words():
    picture, (wide, tall, _) = drawn(0)
    askew = region(x=200, y=200, width=wide / 4, height=tall, angle=4)
    (found,) = whole_lines(load_engine(), picture, HEADER, [askew])
    left, top, right, bottom = found.box(400, 400)
    assert right - left > wide * 0.95
    assert bottom - top < tall * 1.5


class Says:
    """A recogniser that reads the same wherever it looks."""

    def __init__(self, text: str, score: float) -> None:
        self.reading = Reading(identified_text=text, score=score)

    def read(self, _image, candidates):
        return [self.reading for _ in candidates]


def follows(short, line, *, text="", score=0.0, warm=None):
    engine = OcrEngine(name="fake", detector=None, recognizer=Says(text, score))
    view = np.arange(200 * 400, dtype=np.uint32).astype(np.uint8).reshape(200, 400)
    return goes_on(engine, view, HEADER, short, line, warm)


@pytest.mark.parametrize(
    ("text", "score", "expected"),
    [("MUSTERMANN", 0.9, True), ("LI", 0.45, True), ("UPRIGHT", 0.9, False), ("", 0.0, False), ("MUST", 0.3, False)],
)
def test_harmless_text_goes_on_in_what_may_identify(text, score, expected):
    assert follows(at(100, 160, "AP", TextClass.SAFE), at(100, 300, "APX"), text=text, score=score) is expected


def test_what_nobody_can_read_goes_on_where_it_is_hot():
    short, line, warm = at(100, 160, "AP", TextClass.SAFE), at(100, 300, "APX"), warmth(96, 320)
    assert not follows(short, line, warm=warm)
    warm[12, 30:36] = 7.0
    assert follows(short, line, warm=warm)
    beside = warmth(96, 320)
    beside[12, 12:22] = 7.0
    assert not follows(short, line, warm=beside), "no more than what the piece itself warms"


@pytest.mark.parametrize("text", ["", "KOWALCZYK"])
def test_what_a_line_close_by_warms_is_nothing_that_goes_on(text):
    picture = np.random.default_rng(3).integers(50, 70, (200, 400), dtype=np.uint8)
    for words, row in (("AP", 107), ("PORTABLE ERECT", 78), ("W 400 L 40 ZOOM", 135)):
        cv2.putText(picture, words, (104, row), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 200, 1, cv2.LINE_AA)
    cv2.putText(picture, text, (160, 107), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 200, 1, cv2.LINE_AA)
    engine = replace(load_engine(), recognizer=Says("", 0.0), close_reader=None)
    warm = warmth(96, 320)
    warm[12, 30:36] = 7.0
    short, line = at(100, 140, "AP", TextClass.SAFE), at(100, 300, "APX")
    assert goes_on(engine, picture, HEADER, short, line, warm) is bool(text)


@pytest.mark.parametrize(("said", "rest"), [("1234", "5678"), ("12", ".03.57"), ("12", "03 57"), ("12", ":30")])
def test_the_pieces_of_a_date_or_a_number_are_no_harmless_text(said, rest):
    assert follows(at(100, 160, said, TextClass.SAFE), at(100, 300, "?"), text=rest, score=0.9)


def test_a_line_that_is_no_longer_than_its_piece_does_not_go_on():
    assert not follows(at(100, 160, "AP", TextClass.SAFE), at(95, 165), text="MUSTERMANN", score=0.9)
