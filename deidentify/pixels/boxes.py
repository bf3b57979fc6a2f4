"""Rectangles in the pixels of a stored frame."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle in pixels of the stored frame, from the top left corner; ``x + width`` and ``y + height`` are out."""

    x: int
    y: int
    width: int
    height: int

    def clipped(self, *, rows: int, columns: int) -> "Box | None":
        """Return the part inside a frame of this size; None where nothing is."""
        left, top = max(0, self.x), max(0, self.y)
        right, bottom = min(columns, self.x + self.width), min(rows, self.y + self.height)
        if right <= left or bottom <= top:
            return None
        return Box(x=left, y=top, width=right - left, height=bottom - top)


def clipped_to(boxes: Iterable[Box], *, rows: int, columns: int) -> tuple[Box, ...]:
    """Return the parts of boxes inside a frame of this size, each once."""
    inside = (box.clipped(rows=rows, columns=columns) for box in boxes)
    return tuple(dict.fromkeys(box for box in inside if box is not None))


def remainder(box: Box, holes: Iterable[Box]) -> Iterator[Box]:
    """Yield what is left of a box without holes."""
    moved = (replace(hole, x=hole.x - box.x, y=hole.y - box.y) for hole in holes)
    inside = clipped_to(moved, rows=box.height, columns=box.width)
    for part in outside_of(inside, rows=box.height, columns=box.width):
        yield replace(part, x=part.x + box.x, y=part.y + box.y)


def outside_of(regions: Sequence[Box], *, rows: int, columns: int) -> Iterator[Box]:
    """Yield what no region of a frame covers, no pixel twice.

    These are bands between the rows where a region begins or ends, equal neighbours as one.
    """
    cuts = sorted({0, rows, *(box.y for box in regions), *(box.y + box.height for box in regions)})
    begun, gaps_before = 0, list[tuple[int, int]]()
    for top, bottom in pairwise(cuts):
        gaps = _gaps([box for box in regions if box.y < bottom and box.y + box.height > top], columns)
        if gaps != gaps_before:
            yield from _band(gaps_before, begun, top)
            begun, gaps_before = top, gaps
    yield from _band(gaps_before, begun, rows)


def _gaps(regions: Sequence[Box], columns: int) -> list[tuple[int, int]]:
    """Return (first column, column behind the last) of each run that no region covers."""
    gaps, at = [], 0
    for box in sorted(regions, key=lambda box: box.x):
        if box.x > at:
            gaps.append((at, box.x))
        at = max(at, box.x + box.width)
    if at < columns:
        gaps.append((at, columns))
    return gaps


def _band(gaps: Sequence[tuple[int, int]], top: int, bottom: int) -> Iterator[Box]:
    return (Box(x=left, y=top, width=right - left, height=bottom - top) for left, right in gaps)
