"""Rectangles in the pixels of a stored frame."""

from collections.abc import Iterable
from dataclasses import dataclass


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
