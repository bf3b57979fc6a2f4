"""Two lines that were taken for one are harmless where each of them is."""

import cv2
import numpy as np
import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Candidate
from deidentify.pixels.engine import load_engine
from deidentify.pixels.reading import Region
from deidentify.pixels.stacked import as_lines
from deidentify.results import TextClass

NOBODY = HeaderWords.of(IdentifiedTokens())


def stacked(*words, text="APOSUAPNE", text_class=TextClass.IDENTIFYING, turn=None):
    """Return a picture of lines close together, and the region around all of them."""
    picture = np.random.default_rng(5).integers(30, 50, (300, 300), dtype=np.uint8)
    for number, word in enumerate(words):
        cv2.putText(picture, word, (60, 120 + 40 * number), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 220, 2, cv2.LINE_AA)
    height = 40 * len(words)
    outline = Candidate(x=150, y=88 + height / 2, width=220, height=height + 20, angle=0, score=0.9)
    if turn is not None:
        picture = cv2.rotate(picture, turn)
        x, y = (300 - outline.y, outline.x) if turn == cv2.ROTATE_90_CLOCKWISE else (outline.y, 300 - outline.x)
        outline = Candidate(x=x, y=y, width=outline.height, height=outline.width, angle=0, score=0.9)
    return picture, Region(outline=outline, text_class=text_class, score=0.8, identified_text=text)


def read(picture, one, header=NOBODY):
    return as_lines(load_engine(), picture, header, one)


@pytest.mark.parametrize("turn", [None, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE])
def test_two_harmless_lines_are_safe(turn):
    found = read(*stacked("AP SUPINE", "PORTABLE", turn=turn))
    assert found.text_class is TextClass.SAFE
    assert sorted(found.identified_text.replace(" ", "")) == sorted("APSUPINEPORTABLE")


@pytest.mark.parametrize("words", [("AP SUPINE", "KOWALCZYK"), ("KOWALCZYK", "PORTABLE"), ("AP SUPINE",), ("", "")])
def test_a_name_among_them_or_a_single_line_stays(words):
    picture, one = stacked(*words)
    assert read(picture, one) == one


def test_what_is_long_enough_for_its_letters_is_one_line():
    picture, one = stacked("AP SUPINE", "PORTABLE", text="APOS")
    assert read(picture, one) == one


def test_a_word_of_the_header_stays():
    picture, one = stacked("AP SUPINE", "PORTABLE", text="OKONKWO AP")
    named = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"okonkwo"})))
    assert read(picture, one, named) == one
    named = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"portable"})))
    picture, one = stacked("AP SUPINE", "PORTABLE")
    assert read(picture, one, named).text_class is TextClass.IDENTIFYING
