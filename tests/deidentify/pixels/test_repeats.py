"""A cine is read by what differs from the frame before, and misses nothing by it."""

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

    def __call__(self, view: np.ndarray, _changed: np.ndarray | None = None) -> list[Region]:
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


def test_where_most_changed_what_did_not_is_known_all_the_same():
    still = (10, 10, 60, 22)
    before, after = view_of(still), view_of(still)
    after[64:] = np.random.default_rng(3).integers(0, 200, after[64:].shape, dtype=np.uint8)
    wanted = []

    def read(view, changed):
        wanted.append(changed)
        return [region(*still), region(100, 100, 140, 112)]

    known = [region(*still)]
    found = read_changes(before, known, after, read)
    assert found[0] is known[0]
    assert boxes_of(found) == [still, (100, 100, 140, 112)]
    assert wanted[0].shape == after.shape
    assert not wanted[0][:64].any()
    assert wanted[0][64:].all()


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
