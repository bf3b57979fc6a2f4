import pytest

from deidentify.pixels.detector import Candidate
from deidentify.pixels.reading import Region
from deidentify.pixels.spread import doubt_spread_letters
from deidentify.results import TextClass


def letter(text, x, y, height=20.0):
    outline = Candidate(x=x, y=y, width=height * 0.8, height=height, angle=0, score=0.9)
    return Region(outline=outline, text_class=TextClass.SAFE, score=0.9, identified_text=text)


def unreadable(regions):
    return sum(region.text_class is TextClass.UNREADABLE for region in doubt_spread_letters(regions))


@pytest.mark.parametrize("column", [False, True])
def test_a_name_written_letter_by_letter_is_no_row_of_markers(column):
    places = [(20, 40 + 60 * step) if column else (40 + 60 * step, 20) for step in range(4)]
    assert unreadable([letter(text, *place) for text, place in zip("HNNO", places, strict=True)]) == 4


def test_markers_around_a_picture_stay_safe():
    assert unreadable([letter("A", 256, 10), letter("P", 256, 500), letter("R", 10, 256), letter("L", 500, 256)]) == 0


def test_letters_here_and_there_stay_safe():
    assert unreadable([letter("N", 20, 40), letter("O", 300, 77), letter("C", 151, 402)]) == 0
    assert unreadable([letter("N", 20, 40), letter("O", 60, 40, height=60), letter("C", 100, 40)]) == 0
