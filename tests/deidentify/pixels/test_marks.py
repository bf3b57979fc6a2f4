"""What looks like text and was not found is looked at again: where, turned how, and what comes of it. No models."""

import cv2
import numpy as np
import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Candidate
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.marks import overlooked
from deidentify.pixels.reading import Region
from deidentify.pixels.recognizer import Reading
from deidentify.results import TextClass

HEADER = HeaderWords.of(IdentifiedTokens())
ROWS, COLUMNS = 320, 400
LINE = (200, 120, 280, 136)


class Warm:
    """A small screen that is warm in given cells: left, top, right, bottom in cells, and how warm.

    Where only a part is shown it is as warm as ``alone`` says, or as its warmest place.
    """

    def __init__(self, *places: tuple[int, int, int, int, float], alone: float | None = None) -> None:
        self.places, self.alone = places, alone

    def may_hold_text(self, _view):
        return bool(self.places)

    def warmth(self, view):
        warm = np.full((-(-view.shape[0] // 8), -(-view.shape[1] // 8)), -9, np.float32)
        if view.shape[:2] != (ROWS, COLUMNS):
            warm[:] = max(place[-1] for place in self.places) if self.alone is None else self.alone
            return warm
        for left, top, right, bottom, logit in self.places:
            warm[top:bottom, left:right] = logit
        return warm


class Bright:
    """Finds what is brightest, from the turn on that it is asked for the so manieth time; reads a given text."""

    def __init__(self, text: str = "OKONKWO", *, score: float = 0.95, blind_for: int = 0) -> None:
        self.text, self.score, self.blind_for, self.shown = text, score, blind_for, 0

    def find(self, image):
        self.shown += 1
        if self.shown <= self.blind_for:
            return []
        grey = image if image.ndim == 2 else image.max(axis=2)
        rows, columns = np.nonzero(grey > 200)
        if not rows.size:
            return []
        left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        middle = {"x": (left + right) / 2, "y": (top + bottom) / 2}
        return [Candidate(**middle, width=right - left, height=bottom - top, angle=0, score=0.9)]

    def read(self, _image, candidates):
        return [Reading(identified_text=self.text, score=self.score) for _ in candidates]


def view(*, is_colour: bool = False) -> np.ndarray:
    picture = np.full((ROWS, COLUMNS), 40, np.uint8)
    left, top, right, bottom = LINE
    picture[top:bottom, left:right] = 255
    return np.stack([picture] * 3, axis=2) if is_colour else picture


def looked(eyes, *places, regions=(), is_colour=False, wanted=None):
    engine = OcrEngine(name="fake", detector=eyes, recognizer=eyes, glance=Warm(*places) if places else Warm())
    shown = view(is_colour=is_colour)
    return overlooked(engine, shown, HEADER, regions, engine.glance.warmth(shown), wanted=wanted)


AT_THE_LINE = (25, 15, 35, 17, 9.0)
NO_ROW = (25, 13, 35, 20, 9.0)
"""Nothing that says how a line would run."""


@pytest.mark.parametrize("is_colour", [False, True])
@pytest.mark.parametrize("blind_for", [0, 1])
def test_a_line_that_is_warm_is_found_where_it_stands(is_colour, blind_for):
    (found,) = looked(Bright(blind_for=blind_for), AT_THE_LINE, is_colour=is_colour)
    assert found.text_class is TextClass.IDENTIFYING
    assert found.box(COLUMNS, ROWS) == pytest.approx(LINE, abs=3)


@pytest.mark.parametrize("turns", [1, 2, 3, 4])
def test_what_is_seen_when_it_is_turned_is_found_where_it_stands_too(turns):
    found = looked(Bright(blind_for=2 * turns), NO_ROW)
    assert found
    left, top, right, bottom = found[0].box(COLUMNS, ROWS)
    assert (left + right) / 2 == pytest.approx(240, abs=4)
    assert (top + bottom) / 2 == pytest.approx(128, abs=4)
    # All of the line lies in it, and turned by a right angle it is the line again.
    assert left <= LINE[0] + 3
    assert top <= LINE[1] + 3
    assert right >= LINE[2] - 3
    assert bottom >= LINE[3] - 3
    if turns > 2:
        assert (right - left, bottom - top) == pytest.approx((80, 16), abs=6)


@pytest.mark.parametrize(
    ("place", "looks"),
    [((25, 15, 35, 17, 6.0), 2), ((25, 10, 27, 20, 6.0), 4), (NO_ROW, 10), ((10, 5, 40, 30, 9.0), 2)],
)
def test_a_row_is_shown_level_and_what_is_none_in_every_way(place, looks):
    eyes = Bright(blind_for=1000)
    assert looked(eyes, place) == []
    assert eyes.shown == looks


@pytest.mark.parametrize("down", [True, False])
def test_a_slanted_row_is_turned_level(down):
    cells = [(20 + n, (10 + n) if down else (24 - n), 22 + n, (12 + n) if down else (26 - n), 9.0) for n in range(12)]
    picture = np.full((ROWS, COLUMNS), 40, np.uint8)
    ends = ((164, 84), (260, 180)) if down else ((164, 204), (260, 108))
    cv2.line(picture, *ends, 255, 8)
    eyes = Bright()
    engine = OcrEngine(name="fake", detector=eyes, recognizer=eyes, glance=Warm(*cells))
    (found,) = overlooked(engine, picture, HEADER, (), engine.glance.warmth(picture))
    assert min(found.outline.width, found.outline.height) < 24
    assert max(found.outline.width, found.outline.height) == pytest.approx(136 + 8, abs=10)


def test_nothing_is_looked_at_where_nothing_is_warm_or_all_of_it_is_known():
    known = Region(
        outline=Candidate(x=240, y=128, width=90, height=20, angle=0, score=0.9),
        text_class=TextClass.SAFE,
        score=0.9,
        identified_text="MAX",
    )
    for places, regions in (((), ()), (((25, 15, 35, 17, 4.9),), ()), ((AT_THE_LINE,), (known,))):
        eyes = Bright()
        assert looked(eyes, *places, regions=regions) == []
        assert eyes.shown == 0


def test_what_is_known_is_not_looked_at():
    eyes, wanted = Bright(), np.zeros((ROWS, COLUMNS), dtype=bool)
    assert looked(eyes, AT_THE_LINE, wanted=wanted) == []
    assert eyes.shown == 0
    wanted[LINE[1] : LINE[3], LINE[2] - 8 : LINE[2]] = True
    assert looked(eyes, AT_THE_LINE, wanted=wanted)


def test_one_row_of_cells_has_to_be_hotter():
    eyes = Bright()
    assert looked(eyes, (25, 15, 35, 16, 11.9)) == []
    assert eyes.shown == 0
    assert looked(eyes, (25, 15, 35, 16, 12.0))


@pytest.mark.parametrize(
    ("angle", "text", "is_looked_at"),
    [(45, "19", True), (45, "18.01", True), (0, "18.01", False), (45, "UPRIGHT", False)],
)
def test_a_slanted_number_may_be_the_day_of_a_date(angle, text, is_looked_at):
    piece = Region(
        outline=Candidate(x=210, y=128, width=40, height=20, angle=angle, score=0.9),
        text_class=TextClass.SAFE,
        score=0.9,
        identified_text=text,
    )
    eyes = Bright()
    looked(eyes, (24, 14, 29, 18, 9.0), regions=[piece])
    assert (eyes.shown > 0) is is_looked_at


@pytest.mark.parametrize(("cells", "logit"), [(6, 10.0), (8, 6.5)])
def test_what_nobody_can_read_holds_where_it_is_long_and_hot_enough(cells, logit):
    blind = Bright(blind_for=1000)
    assert looked(blind, (25, 15, 25 + cells, 17, logit - 0.1)) == []
    assert looked(blind, (25, 15, 24 + cells, 17, logit)) == []
    (found,) = looked(blind, (25, 15, 25 + cells, 17, logit))
    assert found.text_class is TextClass.UNREADABLE
    assert found.box(COLUMNS, ROWS) == (200, 120, 200 + 8 * cells, 136)
    assert found.identified_text == ""


@pytest.mark.parametrize(("logit", "is_held"), [(9.9, False), (10.0, True)])
def test_beside_black_boxes_a_line_has_to_be_hotter(logit, is_held):
    eyes, picture = Bright(blind_for=1000), view()
    engine = OcrEngine(name="fake", detector=eyes, recognizer=eyes, glance=Warm((25, 15, 35, 17, logit)))
    found = overlooked(engine, picture, HEADER, (), engine.glance.warmth(picture), has_boxes=True)
    assert bool(found) is is_held


@pytest.mark.parametrize(("alone", "is_held"), [(5.0, True), (4.9, False)])
def test_what_is_hot_through_its_surroundings_only_is_no_text(alone, is_held):
    eyes, picture = Bright(blind_for=1000), view()
    engine = OcrEngine(name="fake", detector=eyes, recognizer=eyes, glance=Warm((25, 15, 35, 17, 9.0), alone=alone))
    assert bool(overlooked(engine, picture, HEADER, (), engine.glance.warmth(picture))) is is_held


@pytest.mark.parametrize("place", [(25, 15, 30, 18, 30.0), (25, 15, 31, 20, 30.0), (25, 15, 45, 28, 30.0)])
def test_what_is_short_square_or_thick_is_no_line(place):
    assert looked(Bright(blind_for=1000), place) == []


@pytest.mark.parametrize(("cells", "is_held"), [(9, False), (10, True)])
def test_beside_what_was_found_a_mark_has_to_be_longer(cells, is_held):
    known = Region(
        outline=Candidate(x=100, y=128, width=160, height=16, angle=0, score=0.9),
        text_class=TextClass.SAFE,
        score=0.9,
        identified_text="ERECT",
    )
    rim = (20, 15, 25 + cells, 17, 9.0)
    assert bool(looked(Bright(blind_for=1000), rim, regions=[known])) is is_held


def test_what_goes_on_faintly_from_a_hot_word_is_of_its_line():
    word, rest = (25, 15, 28, 17, 8.0), (28, 15, 40, 17, 1.0)
    (found,) = looked(Bright(blind_for=1000), rest, word)
    assert found.box(COLUMNS, ROWS) == (200, 120, 320, 136)
    for less in (((28, 15, 40, 17, 0.9), word), (rest, (25, 15, 28, 17, 7.9))):
        assert looked(Bright(blind_for=1000), *less) == []


def test_what_is_hardly_read_counts_only_where_it_is_surely_a_line():
    hardly = Bright(score=0.3)
    assert looked(hardly, (25, 15, 35, 17, 6.0)) == []
    (found,) = looked(hardly, (25, 15, 35, 17, 12.0))
    assert found.text_class is TextClass.UNREADABLE
    assert found.box(COLUMNS, ROWS) == pytest.approx(LINE, abs=3)


def test_where_less_than_half_of_a_line_was_read_the_rest_is_unreadable():
    wide = (25, 15, 47, 17, 9.0)
    read, unread = looked(Bright(), wide)
    assert (read.text_class, unread.text_class) == (TextClass.IDENTIFYING, TextClass.UNREADABLE)
    assert unread.box(COLUMNS, ROWS) == (200, 120, 376, 136)
    assert len(looked(Bright(), (25, 15, 40, 17, 9.0))) == 1
