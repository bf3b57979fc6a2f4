"""Rectangles in a frame."""

from deidentify.pixels.boxes import Box, clipped_to


def test_a_box_is_cut_at_the_edges_of_its_frame() -> None:
    frame = {"rows": 10, "columns": 20}
    assert Box(x=-3, y=-2, width=5, height=4).clipped(**frame) == Box(x=0, y=0, width=2, height=2)
    assert Box(x=18, y=9, width=50, height=50).clipped(**frame) == Box(x=18, y=9, width=2, height=1)


def test_boxes_outside_and_empty_ones_are_none() -> None:
    outside = [Box(x=20, y=0, width=1, height=1), Box(x=-5, y=0, width=5, height=1), Box(x=0, y=0, width=0, height=3)]
    assert clipped_to(outside, rows=10, columns=20) == ()


def test_what_is_named_twice_is_one_box() -> None:
    inside = Box(x=1, y=1, width=2, height=2)
    assert clipped_to([inside, inside], rows=10, columns=20) == (inside,)
