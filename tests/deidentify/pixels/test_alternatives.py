"""What a line may say instead: shares add up over all spellings, and a name leaves nothing harmless possible."""

from itertools import groupby, product

import cv2
import numpy as np
import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.alternatives import alternatives
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Candidate
from deidentify.pixels.engine import OcrEngine, load_engine
from deidentify.pixels.reading import Region
from deidentify.pixels.recognizer import Reading
from deidentify.pixels.renderings import read_otherwise
from deidentify.results import TextClass

NOBODY = HeaderWords.of(IdentifiedTokens())
VIEW = np.random.default_rng(1).integers(0, 255, (100, 300)).astype(np.uint8)


def spelled(evidence) -> dict[str, float]:
    """Return the shares of all texts by going through every way to spell them."""
    found: dict[str, float] = {}
    for path in product(*evidence):
        text = "".join(character for character, _ in groupby(character for character, _ in path))
        found[text] = found.get(text, 0.0) + float(np.prod([share for _, share in path]))
    total = sum(found.values())
    return {text: share / total for text, share in found.items()}


@pytest.mark.parametrize(
    "evidence",
    [
        ((("L", 0.6), ("1", 0.3), ("", 0.1)), (("", 0.9), ("L", 0.1)), (("L", 0.7), ("", 0.3))),
        ((("A", 0.5), ("", 0.5)), (("A", 0.5), ("", 0.5)), (("A", 0.5), ("B", 0.5))),
        ((("", 1.0),), (("", 0.8),)),
    ],
)
def test_the_shares_are_those_of_all_spellings(evidence):
    assert alternatives(evidence) == pytest.approx(spelled(evidence))


def test_nothing_is_possible_where_nothing_was_seen():
    assert alternatives(()) == {"": 1.0}
    assert alternatives(((),)) == {}


def test_of_very_many_texts_the_likeliest_stay():
    found = alternatives(tuple(((str(digit), 0.6), ("", 0.1), ("x", 0.3)) for digit in range(9)))
    assert len(found) <= 24
    assert max(found, key=found.__getitem__) == "012345678"


class Doubts:
    """A recogniser that reads one text and leaves others possible, one letter for one."""

    def __init__(self, text: str, *others: tuple[str, float]) -> None:
        rest = 1 - sum(share for _, share in others)
        places = zip(text, *(other for other, _ in others), strict=True)
        shares = (rest, *(share for _, share in others))
        steps = [tuple(zip(place, shares, strict=True)) for place in places]
        # A text of one kind throughout: the first letter decides, what follows it is sure.
        evidence = tuple(step if number == 0 else (step[0],) for number, step in enumerate(steps))
        self.reading, self.asked = Reading(identified_text=text, score=0.9, identified_evidence=evidence), 0

    def read(self, _image, candidates):
        self.asked += 1
        return [self.reading for _ in candidates]


def believed(says, header=NOBODY, text_class=TextClass.IDENTIFYING):
    outline = Candidate(x=150, y=50, width=120, height=20, angle=0, score=0.9)
    one = Region(outline=outline, text_class=text_class, score=0.9, identified_text=says.reading.identified_text)
    return read_otherwise(OcrEngine(name="fake", detector=None, recognizer=says), VIEW, header, one)


@pytest.mark.parametrize(("share", "text_class"), [(0.25, TextClass.SAFE), (0.15, TextClass.IDENTIFYING)])
def test_what_may_be_harmless_often_enough_is(share, text_class):
    found = believed(Doubts("KRECT", ("ERECT", share)))
    assert found.text_class is text_class
    assert found.identified_text == ("ERECT" if text_class is TextClass.SAFE else "KRECT")


def test_what_is_surely_a_name_is_looked_at_no_more_often():
    says = Doubts("KOWALCZYK")
    assert believed(says).text_class is TextClass.IDENTIFYING
    assert says.asked == 4


def test_a_word_of_the_header_that_is_possible_decides_against_it():
    named = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"morgable"})))
    says = Doubts("KORGABLE", ("PORGABLE", 0.4), ("MORGABLE", 0.1))
    assert believed(says, named).text_class is TextClass.IDENTIFYING


@pytest.mark.parametrize(("read", "other"), [("Q1", "L1"), ("Z12345", "112345"), ("Q123456", "W123456")])
def test_short_texts_and_numbers_say_nothing(read, other):
    assert believed(Doubts(read, (other, 0.9))).text_class is TextClass.IDENTIFYING


@pytest.mark.parametrize("name", ["SMITH", "Novak, Jan", "MARK MAYER", "HOLTMANN", "PORTER", "Wright L"])
@pytest.mark.parametrize("ink", [70, 110, 230])
def test_faint_and_clear_names_leave_nothing_harmless_possible(name, ink):
    picture = np.random.default_rng(9).integers(40, 60, (80, 320), dtype=np.uint8)
    (wide, tall), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 2)
    cv2.putText(picture, name, (30, 50), cv2.FONT_HERSHEY_SIMPLEX, 0.8, ink, 2, cv2.LINE_AA)
    outline = Candidate(x=30 + wide / 2, y=50 - tall / 2, width=wide + 16, height=tall + 14, angle=0, score=0.9)
    one = Region(outline=outline, text_class=TextClass.IDENTIFYING, score=0.7, identified_text="UNREAD")
    assert read_otherwise(load_engine(), picture, NOBODY, one).text_class is TextClass.IDENTIFYING
