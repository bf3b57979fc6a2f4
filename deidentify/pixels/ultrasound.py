"""What lies outside the regions of an ultrasound frame: names, dates and settings, and no echo (PS3.3 §C.8.5.5)."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom import Dataset

from deidentify.errors import PixelDecodeError
from deidentify.pixels.boxes import Box, clipped_to, outside_of
from deidentify.pixels.guard import decoding

_SEQUENCE = "SequenceOfUltrasoundRegions"
_ENDS = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
_MOST_REGIONS = 64
_LEAST_SHARE = 0.1
"""Of the frame. Regions that leave more out than that leave out echoes, whatever made them so."""
NOT_A_NUMBER = "A region of (0018,6011) has no place."
OUTSIDE = "A region of (0018,6011) lies outside the frame."
INVERTED = "A region of (0018,6011) ends before it begins, or is a point."
TOO_MANY = "There are more regions in (0018,6011) than a frame has."
TOO_SMALL = "The regions of (0018,6011) leave out nearly the whole frame."


@dataclass(frozen=True, slots=True, kw_only=True)
class UltrasoundRegions:
    """The regions that a header names, if they can be believed."""

    boxes: tuple[Box, ...] = ()
    fault: str = ""
    """Why they are not believed, as a sentence; empty where they are, and where there are none."""


def regions_of(attributes: Dataset, *, rows: int, columns: int) -> UltrasoundRegions:
    """Return the regions of Sequence of Ultrasound Regions (0018,6011), in pixels of the stored frame.

    They are believed together or not at all: one that is absurd says that the frame was cut or scaled after they were
    written, and then all of them are wrong. The last pixel is inside. Some devices write the number of columns or rows
    where the last one is meant; that one pixel is let pass.
    """
    try:
        with decoding(NOT_A_NUMBER):
            items = list(attributes.get(_SEQUENCE) or ())
            places = [tuple(int(item[keyword].value) for keyword in _ENDS) for item in items[: _MOST_REGIONS + 1]]
    except PixelDecodeError:
        return UltrasoundRegions(fault=NOT_A_NUMBER)
    if not places:
        return UltrasoundRegions()
    if len(places) > _MOST_REGIONS:
        return UltrasoundRegions(fault=TOO_MANY)
    if fault := next(filter(None, (_fault(place, rows, columns) for place in places)), ""):
        return UltrasoundRegions(fault=fault)
    whole = (Box(x=left, y=top, width=right - left + 1, height=bottom - top + 1) for left, top, right, bottom in places)
    boxes = clipped_to(whole, rows=rows, columns=columns)
    if _outside_pixels(boxes, rows, columns) > (1 - _LEAST_SHARE) * rows * columns:
        return UltrasoundRegions(fault=TOO_SMALL)
    return UltrasoundRegions(boxes=boxes)


def _fault(place: Sequence[int], rows: int, columns: int) -> str:
    left, top, right, bottom = place
    if min(place) < 0 or right > columns or bottom > rows or left >= columns or top >= rows:
        return OUTSIDE
    is_a_point = right == left and bottom == top
    return INVERTED if right < left or bottom < top or is_a_point else ""


def boxes_outside(attributes: Dataset, *, rows: int, columns: int) -> tuple[Box, ...]:
    """Return rectangles that cover exactly what lies in no region, without covering a pixel twice.

    There are none where the header names no regions, or such as cannot be believed (``regions_of`` says why): then the
    frame is read like any other. What lies inside is read in any case.
    """
    regions = regions_of(attributes, rows=rows, columns=columns).boxes
    return tuple(outside_of(regions, rows=rows, columns=columns)) if regions else ()


def _outside_pixels(regions: Sequence[Box], rows: int, columns: int) -> int:
    return sum(box.width * box.height for box in outside_of(regions, rows=rows, columns=columns))
