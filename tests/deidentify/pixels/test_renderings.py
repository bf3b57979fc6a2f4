"""A line read in several renderings: what they agree on is safe, and one word of the header decides against it."""

from dataclasses import replace

import numpy as np
import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Candidate
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.reading import Region
from deidentify.pixels.recognizer import Reading
from deidentify.pixels.renderings import read_otherwise
from deidentify.results import TextClass

HEADER = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"okonkwo"})))
VIEW = np.random.default_rng(1).integers(0, 255, (100, 300)).astype(np.uint8)


class Says:
    """A recogniser that gives one reading after the other, and the last one for good."""

    def __init__(self, *readings: tuple[str, float]) -> None:
        self.readings, self.asked = list(readings), 0

    def read(self, _image, candidates):
        text, score = self.readings[min(self.asked, len(self.readings) - 1)]
        self.asked += 1
        return [Reading(identified_text=text, score=score) for _ in candidates]


def region(text="T12500", text_class=TextClass.IDENTIFYING, **outline):
    place = {"x": 150, "y": 50, "width": 120, "height": 20, "angle": 0, "score": 0.9} | outline
    return Region(outline=Candidate(**place), text_class=text_class, score=0.9, identified_text=text)


def otherwise(says, one, view=VIEW):
    engine = OcrEngine(name="fake", detector=None, recognizer=says)
    return read_otherwise(engine, view, HEADER, one)


def test_what_three_renderings_take_for_the_same_harmless_text_is_safe():
    says = Says(("T12500", 0.9), ("TI 2500", 0.9), ("TI2500", 0.93), ("T12500", 0.9), ("TE 2500", 0.8), ("", 0.0))
    found = otherwise(says, region())
    assert (found.text_class, found.identified_text, found.score) == (TextClass.SAFE, "TI2500", 0.93)
    assert found.outline == region().outline


@pytest.mark.parametrize(
    "readings",
    [
        [("TI 2500", 0.9), ("TI 2500", 0.9), ("T12500", 0.9)],
        [("TI 2500", 0.74), ("TI 2500", 0.74), ("TI 2500", 0.74), ("T12500", 0.9)],
        [("TI 2500", 0.9), ("TE 12.3", 0.9), ("MI 0.8", 0.9), ("T12500", 0.9)],
        [("L", 0.99)],
        [("", 0.0)],
    ],
)
def test_fewer_unsure_different_or_single_letters_change_nothing(readings):
    assert otherwise(Says(*readings), region()) == region()


def test_one_letter_is_a_side_where_there_is_room_for_no_more():
    square = replace(region("B2", TextClass.UNREADABLE, width=20), score=0.7)
    assert otherwise(Says(("R", 0.9)), square).text_class is TextClass.SAFE
    assert otherwise(Says(("K", 0.9)), square) == square
    long = replace(region("B2", TextClass.UNREADABLE, width=60), score=0.7)
    assert otherwise(Says(("R", 0.9)), long) == long


def test_one_digit_is_of_a_scale_where_there_is_room_for_no_more():
    for width, text_class in ((30, TextClass.SAFE), (40, TextClass.UNREADABLE)):
        unread = replace(region("", TextClass.UNREADABLE, width=width), score=0.0)
        assert otherwise(Says(("6", 0.9)), unread).text_class is text_class


def test_what_is_not_like_a_good_first_reading_is_not_believed():
    says = [("ERECT", 0.99)]
    assert otherwise(Says(*says), region("KOWALCZYK")) == region("KOWALCZYK")
    assert otherwise(Says(*says), replace(region("FEIGT"), score=0.5)).text_class is TextClass.SAFE


def test_what_most_renderings_say_is_believed_where_only_a_part_was_read_before():
    assert otherwise(Says(("MI 0.8", 0.9)), region("HJ.")).text_class is TextClass.SAFE
    some = [("MI 0.8", 0.9)] * 5 + [("XQ W", 0.9)] * 25
    assert otherwise(Says(*some), region("HJ.")) == region("HJ.")


def test_a_number_that_was_read_well_does_not_lose_a_digit():
    number = region("T91439")
    assert otherwise(Says(("T9439", 0.95)), number) == number
    assert otherwise(Says(("T9439", 0.95)), replace(number, score=0.6)).text_class is TextClass.SAFE


def test_a_round_with_less_around_the_line_needs_more_that_agree():
    one_of_ten = [("MI 0.8", 0.9)] + [("WJ 08", 0.6)] * 9
    for others, expected in ((5, TextClass.SAFE), (4, TextClass.IDENTIFYING)):
        again = [("MI 0.8", 0.9)] * others + [("WJ 08", 0.6)] * 100
        assert otherwise(Says(*one_of_ten, *again), region("WI 0.8")).text_class is expected
    none_of_ten = Says(*[("WJ 08", 0.6)] * 10, ("MI 0.8", 0.9))
    assert otherwise(none_of_ten, region("WI 0.8")).text_class is TextClass.IDENTIFYING
    assert none_of_ten.asked == 10


def test_a_round_that_reads_nothing_does_not_end_it_once_something_was_safe():
    rounds = [*[("MI 0.8", 0.9)] * 2, *[("WJ 08", 0.6)] * 18, *[("MI 0.8", 0.9)] * 4, *[("WJ 08", 0.6)] * 6]
    assert otherwise(Says(*rounds), region("WI 0.8")).text_class is TextClass.SAFE


def test_a_name_that_is_read_more_often_decides_against_harmless_text():
    names = [*[("SUPINE", 0.76)] * 3, *[("MUELLER", 0.9)] * 7]
    assert otherwise(Says(*names * 3), region("CHENG")).text_class is TextClass.IDENTIFYING
    fewer = [*[("SUPINE", 0.76)] * 3, *[("MUELLER", 0.9)] * 2, *[("", 0.0)] * 5]
    assert otherwise(Says(*fewer), replace(region("SUPANE"), score=0.9)).text_class is TextClass.SAFE


def test_one_word_of_the_header_decides_against_all_others():
    says = Says(*[("TI 2500", 0.99)] * 6, ("0KONKWO", 0.3))
    assert otherwise(says, region()).text_class is TextClass.IDENTIFYING
    assert otherwise(says, region(text_class=TextClass.UNREADABLE)).text_class is TextClass.IDENTIFYING


def test_what_is_safe_or_of_the_header_is_not_read_again():
    for one in (region("AP", TextClass.SAFE), region("OKONKWO")):
        says = Says(("TI 2500", 0.99))
        assert otherwise(says, one) == one
        assert says.asked == 0


def test_an_unreadable_line_that_two_renderings_read_identifies():
    unreadable = region("", TextClass.UNREADABLE)
    found = otherwise(Says(("Yamashita", 0.8), ("", 0.0), ("Yamashiia", 0.71), ("", 0.0)), unreadable)
    assert (found.text_class, found.identified_text) == (TextClass.IDENTIFYING, "Yamashita")
    assert otherwise(Says(("Yamashita", 0.8), ("", 0.0)), unreadable) == unreadable


@pytest.mark.parametrize(
    ("readings", "looks"),
    [
        ([("Muller", 0.9)], 4),
        ([("Muller", 0.9), ("", 0.0), ("Muller", 0.8), ("Muller", 0.71)], 4),
        ([("Muller", 0.9), ("", 0.0), ("Muller", 0.8), ("Muller", 0.6)], 10),
        ([("Muller", 0.9), ("SUPINE", 0.5), ("Muller", 0.8), ("Muller", 0.9)], 10),
    ],
)
def test_what_the_first_looks_surely_take_for_a_name_is_not_looked_at_again(readings, looks):
    says = Says(*readings)
    assert otherwise(says, region("Muller")) == region("Muller")
    assert says.asked == looks
