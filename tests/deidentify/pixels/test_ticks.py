"""The numbers of a scale are safe, upright, turned and slanted; what follows like a line of text is none. No models."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Candidate
from deidentify.pixels.engine import OcrEngine, load_engine
from deidentify.pixels.reading import Region
from deidentify.pixels.recognizer import Reading
from deidentify.pixels.ticks import as_ticks
from deidentify.results import TextClass

HEADER = HeaderWords.of(IdentifiedTokens())
RENDERINGS = 10


class Says:
    """A recogniser of a row of numbers, not quite sure: it is shown each of them once, then all renderings of each."""

    def __init__(self, *texts: str, score: float = 0.85) -> None:
        self.texts, self.score, self.asked = texts, score, 0

    def read(self, _image, candidates):
        again = self.asked - len(self.texts)
        text = self.texts[self.asked if again < 0 else min(again // RENDERINGS, len(self.texts) - 1)]
        self.asked += 1
        return [Reading(identified_text=text, score=self.score) for _ in candidates]


def region(left, top, right, bottom, text="1510SO"):
    middle = {"x": (left + right) / 2, "y": (top + bottom) / 2}
    outline = Candidate(**middle, width=right - left, height=bottom - top, angle=0, score=0.9)
    return Region(outline=outline, text_class=TextClass.IDENTIFYING, score=0.9, identified_text=text)


def marks(step: tuple[int, int], count: int = 4, *, size: tuple[int, int] | None = None) -> tuple[np.ndarray, Region]:
    """Return a picture of marks that follow each other by a step, and the region around them.

    The marks are longer across the way that they follow each other in, as the numbers of a scale are.
    """
    picture = np.zeros((200, 300), dtype=np.uint8)
    across, down = step
    wide, tall = size or ((8, 14) if across else (14, 8))
    for number in range(count):
        left, top = 60 + across * number, 40 + down * number
        picture[top : top + tall, left : left + wide] = 200
    end = count - 1
    return picture, region(58, 38, 62 + wide + across * end, 42 + tall + down * end)


def seen(says, picture, one, header=HEADER):
    return as_ticks(OcrEngine(name="fake", detector=None, recognizer=says), picture, header, one)


@pytest.mark.parametrize("numbers", [("15", "10", "5", "0"), ("15", "10", "5", "O"), ("2", "4", "6", "8")])
@pytest.mark.parametrize("step", [(0, 24), (24, 0)])
def test_numbers_in_even_steps_are_a_scale(numbers, step):
    found = seen(Says(*numbers), *marks(step))
    assert (found.text_class, found.identified_text) == (TextClass.SAFE, " ".join(numbers).replace("O", "0"))


@pytest.mark.parametrize(
    "numbers", [("12", "03", "19", "61"), ("1", "2", "4", "8"), ("L", "E", "E", "S"), ("15", "10", "5", "K")]
)
def test_anything_else_is_none(numbers):
    picture, one = marks((0, 24))
    assert seen(Says(*numbers), picture, one) == one


@pytest.mark.parametrize(("step", "size"), [((0, 24), (8, 14)), ((28, 0), (14, 8))])
def test_numbers_written_along_the_way_they_follow_each_other_in_are_text(step, size):
    picture, one = marks(step, size=size)
    assert seen(Says("10", "11", "12", "13"), picture, one) == one


def test_three_single_digits_are_too_few():
    picture, one = marks((0, 24), 3)
    assert seen(Says("1", "2", "3"), picture, one) == one
    assert seen(Says("5", "10", "15"), picture, one).text_class is TextClass.SAFE


def test_numbers_around_zero_are_a_scale_whose_sign_is_a_speck():
    picture, one = marks((0, 24), 3)
    assert seen(Says("50", "0", "50"), picture, one).text_class is TextClass.SAFE
    assert seen(Says("50", "10", "50"), picture, one) == one
    picture, one = marks((0, 20), 5)
    assert seen(Says("10", "5", "0", "5", "10"), picture, one).text_class is TextClass.SAFE


def test_numbers_along_a_slanted_line_may_be_a_date():
    picture, one = marks((24, 24))
    says = Says("10", "11", "12", "13")
    assert seen(says, picture, one) == one
    assert says.asked == 0


def test_a_level_date_with_dots_is_no_scale():
    picture = np.zeros((120, 400), dtype=np.uint8)
    cv2.putText(picture, "10 . 11 . 12", (40, 70), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 2, cv2.LINE_AA)
    one = region(36, 44, 250, 76, "10.11.12")
    assert as_ticks(load_engine(), picture, HEADER, one) == one


def test_a_date_of_the_header_is_no_scale():
    picture, one = marks((0, 24), 3)
    born = HeaderWords.of(IdentifiedTokens(dates=frozenset({"20121110"})))
    assert seen(Says("10", "11", "12"), picture, one, born) == one


def test_what_is_safe_or_of_the_header_is_not_taken_apart():
    picture, place = marks((0, 24))
    named = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"okonkwo"})))
    for text, text_class in (("AP", TextClass.SAFE), ("OKONKWO", TextClass.IDENTIFYING)):
        one = Region(outline=place.outline, text_class=text_class, score=0.9, identified_text=text)
        says = Says("2", "4", "6", "8")
        assert seen(says, picture, one, named) == one
        assert says.asked == 0


@pytest.mark.parametrize("turn", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE])
@pytest.mark.parametrize("is_dark", [False, True])
def test_a_column_turned_by_a_quarter_is_read(turn, is_dark):
    picture = np.full((240, 240), 40, dtype=np.uint8)
    for number in range(1, 5):
        cv2.putText(picture, str(10 * number), (100, 40 * number), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 220, 2, cv2.LINE_AA)
    picture = cv2.rotate(picture, turn)
    found = as_ticks(load_engine(), 255 - picture if is_dark else picture, HEADER, region(15, 95, 225, 135, "T25"))
    assert found.text_class is TextClass.SAFE
    assert sorted(found.identified_text.split()) == ["10", "20", "30", "40"]


def test_a_word_that_was_read_well_is_no_scale():
    picture, one = marks((0, 24))
    named = Region(outline=one.outline, text_class=one.text_class, score=0.9, identified_text="MUELLER ANNA")
    assert seen(Says("2", "4", "6", "8"), picture, named) == named


def test_three_numbers_in_small_steps_may_be_a_date():
    picture, one = marks((0, 24), 3)
    for numbers in (("10", "11", "12"), ("8", "10", "12")):
        assert seen(Says(*numbers), picture, one) == one


def test_a_frame_at_the_edge_of_a_view_is_no_fault():
    picture = np.zeros((200, 400), dtype=np.uint8)
    picture[80:120, 0] = 255
    for left in (30, 70, 110):
        picture[80:120, left : left + 12] = 255
    one = region(0, 76, 150, 124)
    assert seen(Says("2", "4", "6", "8"), picture, one).outline == one.outline


def test_colours_of_one_brightness_are_told_apart():
    picture, one = marks((0, 24))
    coloured = np.full((*picture.shape, 3), 255, dtype=np.uint8)
    coloured[picture > 0] = (255, 0, 0)
    assert seen(Says("2", "4", "6", "8"), coloured, one).text_class is TextClass.SAFE


@pytest.mark.parametrize(
    ("text", "score", "looks"), [("WORD", 0.6, 1), ("WORD", 0.2, 3), ("7", 0.95, 4 + 2), ("7", 0.8, 4 + 2 * RENDERINGS)]
)
def test_what_is_no_scale_is_soon_known_to_be_none(text, score, looks):
    picture, one = marks((24, 0))
    says = Says(text, score=score)
    assert seen(says, picture, one) == one
    # In each of four turns, slanted ones cut out in two ways.
    assert 4 * looks <= says.asked <= 8 * looks


def column(numbers, left=100, step=34, ink=90):
    """Return a picture of numbers close together over speckle, as on the border of an ultrasound."""
    picture = np.random.default_rng(7).integers(0, 40, (240, 240), dtype=np.uint8)
    picture[:, : left + 25] //= 4
    for place, number in enumerate(numbers):
        cv2.putText(picture, str(number), (left, 40 + step * place), cv2.FONT_HERSHEY_SIMPLEX, 1.0, ink, 2, cv2.LINE_AA)
    found = region(left - 4, 12, left + 46, 48 + step * (len(numbers) - 1), "05015")
    return picture, replace(found, score=0.8)


@pytest.mark.parametrize("ink", [90, 250])
def test_numbers_that_cannot_be_cut_out_are_read_in_equal_parts(ink):
    picture, one = column((10, 15, 20, 25), ink=ink)
    assert as_ticks(load_engine(), picture, HEADER, one).identified_text == "10 15 20 25"


@pytest.mark.parametrize("words", [("10", "15", "AB", "25"), ("12", "03", "61"), ("OK", "ON", "KWO")])
def test_a_column_with_anything_else_stays(words):
    picture, one = column(words)
    assert as_ticks(load_engine(), picture, HEADER, one) == one
