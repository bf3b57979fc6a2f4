"""What a cine shows again at the same place is not read again: equal pixels hold equal text.

Only views are compared, that is what the models are shown, and only with those of the frame before. What changed is
read with a margin, and with the whole of each line that reaches into it, so that text across the border is seen whole.
Where most of a frame changed all of it is read, but for what lies within a line that is known to be there still.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from deidentify.pixels.detector import Image
from deidentify.pixels.reading import Mask, Region
from deidentify.results import TextClass

_TILE_PX = 32
_MARGIN_PX = 64
_WORTH_IT = 0.7
"""Beyond this share of the frame all of it is read."""

Area = tuple[int, int, int, int]
"""Left, top, right, bottom; the last two are outside."""


def read_changes(
    before: Image,
    found_before: Sequence[Region],
    view: Image,
    read: Callable[[Image, Mask], list[Region]],
) -> list[Region]:
    """Return the regions of a view, reading only what differs from the view of the frame before.

    Parameters
    ----------
    before, found_before
        The view of the frame before, and what was found in it.
    view
        The same view of this frame.
    read
        Returns the regions of an image in its own pixels. Those are not wanted that lie within what is known; where
        anything else is, is told for each pixel.
    """
    changed = _changed(before, view)
    if not changed.any():
        return list(found_before)
    rows, columns = view.shape[:2]
    touched = [region for region in found_before if region.touches(changed)]
    kept = [region for region in found_before if region not in touched]
    wanted = ~_within([region for region in kept if region.text_class is not TextClass.SAFE], changed.shape)
    areas = _areas(changed, [region.box(columns, rows) for region in touched], rows, columns)
    if sum((right - left) * (bottom - top) for left, top, right, bottom in areas) > _WORTH_IT * rows * columns:
        return [*kept, *read(view, wanted)]
    # All of a line that changed somewhere is new: a shorter one may be left of it, beside what changed.
    again = changed | _within(touched, changed.shape)
    found = list(kept)
    for left, top, right, bottom in areas:
        part = view[top:bottom, left:right]
        if part.min() != part.max():
            moved = [region.moved(dx=left, dy=top) for region in read(part, wanted[top:bottom, left:right])]
            # What lies in the margin alone is known, and whole, from the frame before.
            found += [region for region in moved if region.touches(again)]
    return found


def _within(regions: Sequence[Region], shape: tuple[int, ...]) -> Mask:
    """Return for each pixel whether it is in the box of a region."""
    within = np.zeros(shape, dtype=bool)
    for region in regions:
        left, top, right, bottom = region.box(shape[1], shape[0])
        within[top:bottom, left:right] = True
    return within


def _changed(before: Image, view: Image) -> Mask:
    """Return for each pixel whether its tile differs."""
    differs = before != view
    if differs.ndim == 3:  # noqa: PLR2004 - colour
        differs = differs.any(axis=2)
    rows, columns = differs.shape
    padded = np.pad(differs, ((0, -rows % _TILE_PX), (0, -columns % _TILE_PX)))
    tiles = padded.reshape(padded.shape[0] // _TILE_PX, _TILE_PX, -1, _TILE_PX).any(axis=(1, 3))
    whole: Mask = np.kron(tiles, np.ones((_TILE_PX, _TILE_PX), dtype=bool))
    return whole[:rows, :columns]


def _areas(changed: Mask, boxes: Sequence[Area], rows: int, columns: int) -> list[Area]:
    """Return disjoint rectangles around what changed and the boxes, with the margin."""
    marked = changed.astype(np.uint8)
    for left, top, right, bottom in boxes:
        marked[top:bottom, left:right] = 1
    _, _, stats, _ = cv2.connectedComponentsWithStats(marked)
    areas = [_grown((x, y, x + width, y + height), rows, columns) for x, y, width, height, _ in stats[1:].tolist()]
    return _joined(areas)


def _grown(area: Area, rows: int, columns: int) -> Area:
    left, top, right, bottom = area
    return (
        max(0, left - _MARGIN_PX),
        max(0, top - _MARGIN_PX),
        min(columns, right + _MARGIN_PX),
        min(rows, bottom + _MARGIN_PX),
    )


def _joined(areas: list[Area]) -> list[Area]:
    """Join rectangles that overlap until none do."""
    apart: list[Area] = []
    waiting = list(areas)
    while waiting:
        area = waiting.pop()
        other = next((one for one in apart if _overlap(one, area)), None)
        if other is None:
            apart.append(area)
            continue
        apart.remove(other)
        waiting.append((min(area[0], other[0]), min(area[1], other[1]), max(area[2], other[2]), max(area[3], other[3])))
    return sorted(apart)


def _overlap(one: Area, other: Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
