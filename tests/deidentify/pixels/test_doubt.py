"""Which regions a second look may clear, and which it adds, without the models."""

from dataclasses import replace

import numpy as np
import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Candidate
from deidentify.pixels.doubt import second_look
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.reading import Region
from deidentify.pixels.recognizer import Reading
from deidentify.results import TextClass

HEADER = HeaderWords.of(IdentifiedTokens(tokens=frozenset({"okonkwo"})))
VIEW = np.arange(200 * 400, dtype=np.uint32).astype(np.uint8).reshape(200, 400)


class Blind:
    """A detector that never sees anything."""

    def find(self, _image):
        return []


class Silent:
    """A recogniser with nothing to read."""

    def read(self, _image, candidates):
        return [Reading(identified_text="", score=0.0) for _ in candidates]


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


def test_the_lines_of_a_page_are_followed_only_where_all_of_it_can_be_read():
    legible = [region("VRO", height=20, score=0.9) for _ in range(41)]
    unread = region("", height=20, score=0.9, text_class=TextClass.UNREADABLE)
    for page, is_followed in ((legible, True), ([*legible, unread], False)):
        reader = Reader(("OKONKWO", 0.95))
        engine = OcrEngine(name="reader", detector=reader, recognizer=reader)
        assert len(second_look(engine, VIEW, HEADER, page)) == len(page)
        assert (reader.looks > 0) is is_followed


class Reader:
    """Sees one word wherever it looks, and reads at each look the next of some texts; the last one for good."""

    def __init__(self, *readings: tuple[str, float]) -> None:
        self.readings = list(readings)
        self.looks = 0

    def find(self, image):
        self.looks += 1
        rows, columns = image.shape
        return [Candidate(x=columns / 2, y=rows / 2, width=columns * 0.4, height=rows * 0.4, angle=0, score=0.9)]

    def read(self, _image, candidates):
        text, score = self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]
        return [Reading(identified_text=text, score=score) for _ in candidates]

    def look_at(self, one):
        return second_look(OcrEngine(name="reader", detector=self, recognizer=self), VIEW, HEADER, [one])


def classes(found):
    return {one.text_class for one in found}


def test_a_word_like_a_marker_is_safe_where_the_surest_look_reads_the_marker():
    doubt = region("PORTABLI", height=20, score=0.9)
    assert classes(Reader(("PORTABLE", 0.97)).look_at(doubt)) == {TextClass.SAFE}
    assert classes(Reader(("PORTABUI", 0.7), ("PORTABLE", 0.97)).look_at(doubt)) == {TextClass.SAFE}


@pytest.mark.parametrize(
    "readings",
    [[("PORTABLE", 0.74)], [("PORTABLE", 0.92), ("PORTABLO", 0.97)], [("PORTALES", 0.9)], [("", 0.0)]],
)
def test_a_word_like_a_marker_stays_where_no_look_surely_reads_one(readings):
    doubt = region("PORTABLI", height=20, score=0.9)
    assert doubt.identified_text in {one.identified_text for one in Reader(*readings).look_at(doubt)}


def test_a_word_unlike_any_marker_is_not_asked_about_again():
    doubt = region("KOWALCZYK", height=20, score=0.9)
    assert doubt.identified_text in {one.identified_text for one in Reader(("ERECT", 0.99)).look_at(doubt)}


def test_safe_text_is_not_looked_at_again():
    safe = region("ERECT", height=20, text_class=TextClass.SAFE)
    alone = Reader(("OKONKWO", 0.95))
    assert alone.look_at(safe) == [safe]
    assert alone.looks == 0


class Warm:
    """A small screen that is warm at one place."""

    def may_hold_text(self, _view):
        return True

    def warmth(self, _view):
        warm = np.full((25, 50), -9, np.float32)
        warm[2:4, 4:12] = 9
        return warm


def test_what_was_overlooked_is_added():
    known = region("OKONKWO", height=20)
    eyes = Reader(("ADAEZE", 0.95))
    found = second_look(OcrEngine(name="one", detector=eyes, recognizer=eyes, glance=Warm()), VIEW, HEADER, [known])
    assert {one.identified_text for one in found} == {"OKONKWO", "ADAEZE"}


def test_a_piece_of_harmless_text_that_was_surely_read_is_dropped():
    whole = region("HR 72 bpm", height=20, score=0.95, text_class=TextClass.SAFE)
    for piece, is_dropped in (
        (region("HR72 bp", height=16, score=0.9), True),
        (region("HR 72 km", height=16, score=0.9), False),
        (region("HR 72 bp", height=40, score=0.9), False),
    ):
        found = second_look(OcrEngine(name="none", detector=Blind(), recognizer=Silent()), VIEW, HEADER, [whole, piece])
        assert found == ([whole] if is_dropped else [whole, piece])


def test_a_piece_that_is_too_short_to_say_anything_is_dropped_inside_a_line_that_says_all():
    line = region("PWR 100%", height=20, score=0.95, text_class=TextClass.SAFE)
    slanted = replace(line, outline=replace(line.outline, angle=45))
    piece = region("WR", height=16, score=0.98, text_class=TextClass.UNREADABLE)
    inside = replace(piece, outline=replace(piece.outline, width=20, angle=45))
    beside = replace(inside, outline=replace(inside.outline, x=inside.outline.x + 30))
    for one, is_dropped in ((inside, True), (beside, False)):
        found = second_look(OcrEngine(name="n", detector=Blind(), recognizer=Silent()), VIEW, HEADER, [slanted, one])
        assert found == ([slanted] if is_dropped else [slanted, one])


def test_a_piece_that_is_a_word_of_the_header_stays():
    whole = region("OKONKWO 72", height=20, score=0.95, text_class=TextClass.SAFE)
    found = second_look(
        OcrEngine(name="none", detector=Blind(), recognizer=Silent()),
        VIEW,
        HEADER,
        [whole, region("OKONKWO", height=16)],
    )
    assert region("OKONKWO", height=16) in found


def test_what_is_known_is_left_out_and_not_looked_at():
    wanted = np.zeros(VIEW.shape, dtype=bool)
    wanted[:, 300:] = True
    away, near = (region("", text_class=TextClass.UNREADABLE) for _ in range(2))
    near = replace(near, outline=replace(near.outline, x=320))
    reader = Reader(("OKONKWO", 0.95))
    engine = OcrEngine(name="reader", detector=reader, recognizer=reader)
    assert second_look(engine, VIEW, HEADER, [away], wanted=wanted) == []
    assert reader.looks == 0
    found = second_look(engine, VIEW, HEADER, [away, near], wanted=wanted)
    assert reader.looks > 0
    assert all(one.outline.x > away.outline.x for one in found)
    assert found
