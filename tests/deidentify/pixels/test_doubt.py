"""Which regions a second look may clear, without the models."""

import numpy as np
import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Candidate
from deidentify.pixels.doubt import second_look
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.reading import Region
from deidentify.results import TextClass

HEADER = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"okonkwo"})))
VIEW = np.arange(200 * 400, dtype=np.uint32).astype(np.uint8).reshape(200, 400)


class Blind:
    """A detector that never sees anything."""

    def find(self, _image):
        return []


class Silent:
    """A recogniser with nothing to read."""

    def read(self, _image, _candidates):
        return []


def region(text, *, height=60.0, score=0.5, text_class=TextClass.IDENTIFYING):
    outline = Candidate(x=200, y=100, width=150, height=height, angle=0, score=0.9)
    return Region(outline=outline, text_class=text_class, score=score, identified_text=text)


def looked_at(one):
    return second_look(OcrEngine(name="none", detector=Blind(), recognizer=Silent()), VIEW, HEADER, [one])


@pytest.mark.parametrize("text", ["OKONKWO", "12/03/1961", "4711229"])
def test_what_evidently_identifies_stays_however_badly_it_reads(text):
    assert looked_at(region(text)) == [region(text)]


def test_a_large_unknown_word_that_nobody_sees_again_is_cleared():
    assert looked_at(region("VRO")) == []


def test_a_small_or_surely_read_unknown_word_stays():
    for one in (region("VRO", height=20), region("VRO", score=0.7)):
        assert looked_at(one) == [one]


def test_an_unreadable_line_that_nobody_sees_again_is_cleared():
    assert looked_at(region("", text_class=TextClass.UNREADABLE)) == []


def test_a_page_full_of_doubt_is_not_looked_at_again():
    page = [region("", text_class=TextClass.UNREADABLE) for _ in range(41)]
    assert second_look(OcrEngine(name="none", detector=Blind(), recognizer=Silent()), VIEW, HEADER, page) == page
