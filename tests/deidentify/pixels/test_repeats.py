"""A cine is read by what differs from the frame before, and misses nothing by it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from deidentify.pixels.detector import Candidate
from deidentify.pixels.reading import Region
from deidentify.pixels.repeats import read_changes
from deidentify.results import TextClass

ROWS, COLUMNS = 320, 480


def region(left: int, top: int, right: int, bottom: int) -> Region:
    outline = Candidate(
        x=(left + right) / 2, y=(top + bottom) / 2, width=right - left, height=bottom - top, angle=0, score=0.9
    )
    return Region(outline=outline, text_class=TextClass.IDENTIFYING, score=0.9, identified_text="")


class Reader:
    """Finds each white rectangle, whole, and remembers how much it was shown."""

    def __init__(self) -> None:
        self.shown = 0

    def __call__(self, view: np.ndarray, _wanted: np.ndarray | None = None) -> list[Region]:
        self.shown += view.size
        _, _, stats, _ = cv2.connectedComponentsWithStats((view == 255).astype(np.uint8))
        return [region(x, y, x + width, y + height) for x, y, width, height, _ in stats[1:].tolist()]


def view_of(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    view = np.full((ROWS, COLUMNS), 10, np.uint8)
    for left, top, right, bottom in boxes:
        view[top:bottom, left:right] = 255
    return view


def boxes_of(regions: list[Region]) -> list[tuple[int, int, int, int]]:
    return sorted(one.box(COLUMNS, ROWS) for one in regions)


def test_a_frame_in_which_nothing_changed_is_not_read():
    read, view = Reader(), view_of((10, 10, 60, 22))
    before = read(view)
    shown = read.shown
    assert read_changes(view, before, view.copy(), read) == before
    assert read.shown == shown


def test_only_what_changed_is_read_and_what_stays_is_known():
    read = Reader()
    before, after = view_of((10, 10, 60, 22)), view_of((10, 10, 60, 22), (300, 200, 340, 212))
    known = read(before)
    shown = read.shown
    assert boxes_of(read_changes(before, known, after, read)) == [(10, 10, 60, 22), (300, 200, 340, 212)]
    assert read.shown - shown < 0.4 * ROWS * COLUMNS


def test_what_is_gone_is_known_no_more():
    read = Reader()
    before, after = view_of((10, 10, 60, 22), (300, 200, 340, 212)), view_of((10, 10, 60, 22))
    assert boxes_of(read_changes(before, read(before), after, read)) == [(10, 10, 60, 22)]


def test_a_line_that_grows_is_read_whole():
    read = Reader()
    before, after = view_of((10, 10, 300, 22)), view_of((10, 10, 340, 22))
    assert boxes_of(read_changes(before, read(before), after, read)) == [(10, 10, 340, 22)]


def test_a_frame_in_which_most_changed_is_read_at_once():
    read = Reader()
    before = view_of((10, 10, 60, 22))
    known = read(before)
    shown = read.shown
    after = np.random.default_rng(3).integers(0, 200, before.shape, dtype=np.uint8)
    read_changes(before, known, after, read)
    assert read.shown - shown == before.size


def most_changed(still: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    before, after = view_of(still), view_of(still)
    after[64:] = np.random.default_rng(3).integers(0, 200, after[64:].shape, dtype=np.uint8)
    return before, after


@pytest.mark.parametrize(
    ("text_class", "is_known"), [(TextClass.IDENTIFYING, True), (TextClass.UNREADABLE, True), (TextClass.SAFE, False)]
)
def test_where_most_changed_only_what_lies_within_a_line_that_stayed_is_known(text_class, is_known):
    still = (10, 10, 60, 22)
    before, after = most_changed(still)
    overlooked_before, wanted = (200, 10, 260, 22), []

    def read(_view, mask):
        wanted.append(mask)
        return [region(*overlooked_before)]

    known = [replace(region(*still), text_class=text_class)]
    found = read_changes(before, known, after, read)
    assert found[0] is known[0]
    assert boxes_of(found) == [still, overlooked_before]
    (mask,) = wanted
    assert mask.all() is np.bool_(not is_known)
    assert region(*still).touches(mask) is not is_known
    assert region(*still[:2], 61, 22).touches(mask)


@pytest.mark.parametrize("change", [(180, 10, 200, 22), (180, 10, 480, 320)])
def test_of_a_line_that_reaches_into_a_change_each_piece_is_found_again(change):
    name, line = (10, 10, 60, 22), (10, 10, 200, 22)
    before = view_of(name, (180, 10, 200, 22))
    after = before.copy()
    left, top, right, bottom = change
    after[top:bottom, left:right] = 130

    def read(view, mask):
        whole = view.shape == after.shape
        found = region(*name)
        assert found.touches(mask)
        # Parts begin at the corner, since the line does.
        return [found] if whole or view.shape[1] > 60 else []

    assert boxes_of(read_changes(before, [region(*line)], after, read)) == [name]


@pytest.mark.parametrize("seed", range(40))
def test_whatever_changes_the_same_is_found_as_in_the_whole_frame(seed):
    random, read = np.random.default_rng(seed), Reader()

    def boxes(number):
        corners = random.integers((0, 0), (COLUMNS - 60, ROWS - 20), (number, 2))
        return [(x, y, x + int(random.integers(8, 60)), y + int(random.integers(6, 20))) for x, y in corners.tolist()]

    stay = boxes(4)
    before, after = view_of(*stay, *boxes(2)), view_of(*stay, *boxes(2))
    found = read_changes(before, read(before), after, read)
    assert set(boxes_of(found)) == set(boxes_of(read(after)))
