"""How a view is enlarged, and the box around what is found in it."""

import numpy as np
import pytest

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Candidate
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.reading import Region, once, read_at, read_view
from deidentify.pixels.recognizer import Reading
from deidentify.pixels.views import local_contrast
from deidentify.results import TextClass

HEADER = HeaderWords.of(IdentifiedTokens())


class Eyes:
    """Notes the shapes that it is shown, and sees a word in the middle of each."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def find(self, image):
        self.shapes.append(image.shape)
        rows, columns = image.shape
        return [Candidate(x=columns / 2, y=rows / 2, width=columns / 4, height=rows / 8, angle=0, score=0.9)]

    def read(self, _image, candidates):
        return [Reading(identified_text="OKONKWO", score=0.9) for _ in candidates]


def shown(read, side, scale):
    eyes = Eyes()
    view = np.arange(side * side, dtype=np.uint32).astype(np.uint8).reshape(side, side)
    (found,) = read(OcrEngine(name="eyes", detector=eyes, recognizer=eyes), view, HEADER, scale=scale)
    assert (found.outline.x, found.outline.width) == pytest.approx((side / 2, side / 4), rel=0.01)
    return eyes.shapes[0][0] / side


@pytest.mark.parametrize(
    ("side", "scale", "expected"), [(160, 2, 3), (256, 2, 3), (320, 2, 2.4), (512, 1.5, 1.5), (512, 2, 2), (160, 1, 1)]
)
def test_small_views_are_enlarged_more_and_a_part_just_as_it_is_asked_for(side, scale, expected):
    assert shown(read_view, side, scale) == pytest.approx(expected)
    assert shown(read_at, side, scale) == pytest.approx(scale)


@pytest.mark.parametrize(("angle", "more"), [(0, 5), (90, 5), (45, 0), (180, 5)])
def test_a_level_box_has_a_margin_and_a_slanted_one_has_room_enough(angle, more):
    outline = Candidate(x=100, y=100, width=80, height=20, angle=angle, score=0.9)
    region = Region(outline=outline, text_class=TextClass.IDENTIFYING, score=0.9, identified_text="OKONKWO")
    plain, grown = region.box(400, 400), region.box(400, 400, margin=0.25)
    assert np.abs(np.subtract(grown, plain)) == pytest.approx(more, abs=1)
    corners = outline.corners()
    assert plain[0] <= corners[:, 0].min()
    assert plain[2] >= corners[:, 0].max()


def test_local_contrast_raises_faint_letters_alike_on_dark_and_bright_ground():
    view = np.full((80, 160), 20, dtype=np.uint8)
    view[:, 80:] = 220
    view[38:42, [40, 44, 120, 124]] += 10
    raised = local_contrast(view).astype(int)
    for column in (40, 120):
        assert raised[40, column] - raised[20, column] > 25
    assert local_contrast(np.repeat(view[..., None], 3, axis=2)).shape == (80, 160, 3)


def line(top, bottom, *, left=20, right=180, text="OKONKWO", text_class=TextClass.IDENTIFYING, score=0.9):
    middle = {"x": (left + right) / 2, "y": (top + bottom) / 2}
    outline = Candidate(**middle, width=right - left, height=bottom - top, angle=0, score=0.9)
    return Region(outline=outline, text_class=text_class, score=score, identified_text=text)


def test_a_line_and_a_blob_over_several_lines_are_both_kept():
    blob, thin = line(0, 60, score=0.99), line(20, 40)
    assert once([blob, thin]) == [blob, thin]
    assert once([thin, line(21, 39, score=0.8)]) == [thin]


def test_identifying_text_seen_further_in_another_view_grows_along_its_line_only():
    (grown,) = once([line(20, 40), line(18, 42, left=60, right=240, score=0.8)])
    assert grown.box(400, 400) == pytest.approx((20, 18, 240, 42), abs=1)
    assert grown.score == 0.9
    assert len(once([line(20, 40), line(10, 60, left=60, right=240, score=0.8)])) == 2


def test_what_does_not_identify_is_dropped_where_identifying_text_covers_it():
    assert once([line(0, 60), line(20, 40, text_class=TextClass.SAFE, score=1.0)]) == [line(0, 60)]
