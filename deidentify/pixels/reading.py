"""One view of a frame read for text: cropped, tiled, scaled, detected, recognised, judged."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Candidate, Image
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.gate import judge
from deidentify.results import TextClass

_CROP_MARGIN_PX = 32
_ENLARGED_PX, _LARGEST_SCALE = 768, 3.0
"""Text of 8 to 10 pixels on slices of 160 and 256 pixels is found at a scale of 3 and not of 2."""
_TILED_FROM_PIXELS = 3_000_000
_UNBOUNDED = 1 << 20
_SAME_TEXT_OVERLAP, _ALL_OF_IT = 0.5, 0.9
_SAME_LINE = 1.8
"""Times as thick as another what may be the same line, seen with more or less of a margin."""
_SEVERITY = {TextClass.IDENTIFYING: 2, TextClass.UNREADABLE: 1, TextClass.SAFE: 0}
_TILE_PX = 1024
_TILE_OVERLAP_PX = 128


Mask = NDArray[np.bool_]
"""Says something of each pixel of a view, (rows, columns)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Text, or what may be text, at a rotated rectangle of the stored frame."""

    outline: Candidate
    text_class: TextClass
    score: float
    identified_text: str = field(repr=False)

    def box(self, columns: int, rows: int, *, margin: float = 0.0) -> tuple[int, int, int, int]:
        """Return the upright box (left, top, right, bottom) inside the frame.

        The margin is a share of the height, less for slanted lines: the box around one has more room already.
        """
        corners = self.outline.corners()
        level = abs(float(np.cos(2 * np.deg2rad(self.outline.angle))))
        grown = margin * level * min(self.outline.width, self.outline.height)
        left, top = np.floor(corners.min(axis=0) - grown)
        right, bottom = np.ceil(corners.max(axis=0) + grown)
        clipped_left, clipped_top = min(max(0, int(left)), columns - 1), min(max(0, int(top)), rows - 1)
        return (
            clipped_left,
            clipped_top,
            max(clipped_left + 1, min(columns, int(right))),
            max(clipped_top + 1, min(rows, int(bottom))),
        )

    def touches(self, mask: Mask) -> bool:
        """Say whether any pixel of its upright box is marked."""
        left, top, right, bottom = self.box(mask.shape[1], mask.shape[0])
        return bool(mask[top:bottom, left:right].any())

    def moved(self, *, dx: float, dy: float) -> "Region":
        """Return the region shifted by whole or part pixels."""
        return replace(self, outline=self.outline.moved(scale=1, dx=dx, dy=dy))


def overlap(other: Region, region: Region) -> float:
    """Return the share of a region's upright box that another one's covers, 0 to 1."""
    left, top, right, bottom = region.box(_UNBOUNDED, _UNBOUNDED)
    other_left, other_top, other_right, other_bottom = other.box(_UNBOUNDED, _UNBOUNDED)
    width = min(right, other_right) - max(left, other_left)
    height = min(bottom, other_bottom) - max(top, other_top)
    return max(0, width) * max(0, height) / ((right - left) * (bottom - top))


def once(regions: list[Region]) -> list[Region]:
    """Drop what another region covers that is at least as bad: the same text seen in another view.

    Where identifying text reaches further than the other, that one grows: all of it has to become black. A line and a
    blob over several lines are not the same text: both stay, so that the line is known as one.
    """
    ordered = sorted(regions, key=lambda region: (_SEVERITY[region.text_class], region.score), reverse=True)
    kept: list[Region] = []
    for region in ordered:
        places = [n for n, other in enumerate(kept) if overlap(other, region) >= _SAME_TEXT_OVERLAP]
        if region.text_class is TextClass.IDENTIFYING:
            places = [n for n in places if is_as_thick(kept[n], region)]
        if not places:
            kept.append(region)
        elif region.text_class is TextClass.IDENTIFYING and overlap(kept[places[0]], region) < _ALL_OF_IT:
            kept[places[0]] = replace(kept[places[0]], outline=kept[places[0]].outline.around(region.outline))
    return kept


def is_as_thick(one: Region, other: Region) -> bool:
    """Tell whether two regions may be one line, seen with more or less of a margin."""
    thin, thick = sorted(min(each.outline.width, each.outline.height) for each in (one, other))
    return thick <= _SAME_LINE * thin


def read_view(engine: OcrEngine, view: Image, header: HeaderWords, *, scale: float) -> list[Region]:
    """Return the regions of one view in pixels of the stored frame; where it is enlarged, small views are more so."""
    return read_at(engine, view, header, scale=enlarged(scale, *view.shape[:2]))


def enlarged(scale: float, rows: int, columns: int) -> float:
    """Return the scale that a view of this size is read at where this one is wanted."""
    return max(scale, min(_LARGEST_SCALE, _ENLARGED_PX / max(rows, columns))) if scale > 1 else scale


def read_at(engine: OcrEngine, view: Image, header: HeaderWords, *, scale: float) -> list[Region]:
    """Return the regions of one view, or of a part of it, at just this scale, in its own pixels."""
    found: list[Region] = []
    for left, top, part in _parts(view):
        shown = part
        if scale != 1:
            shown = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        candidates = engine.detector.find(shown)
        readings = engine.recognizer.read(shown, candidates)
        for candidate, reading in zip(candidates, readings, strict=True):
            text_class = judge(candidate, reading, header, scale=scale)
            if text_class is not None:
                found.append(
                    Region(
                        outline=candidate.moved(scale=scale, dx=left, dy=top),
                        text_class=text_class,
                        score=reading.score,
                        identified_text=reading.identified_text,
                    )
                )
    return found


def _parts(view: Image) -> Iterator[tuple[int, int, Image]]:
    """Cut off exactly constant borders, then cut large views into overlapping tiles; constant tiles are skipped."""
    left, top, right, bottom = content_box(view)
    rows, columns = bottom - top, right - left
    if rows * columns <= _TILED_FROM_PIXELS:
        yield left, top, view[top:bottom, left:right]
        return
    for y in _starts(top, bottom):
        for x in _starts(left, right):
            part = view[y : min(bottom, y + _TILE_PX), x : min(right, x + _TILE_PX)]
            if part.min() != part.max():
                yield x, y, part


def _starts(first: int, last: int) -> list[int]:
    step = _TILE_PX - _TILE_OVERLAP_PX
    return list(range(first, max(first + 1, last - _TILE_OVERLAP_PX), step))


def content_box(view: Image) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) of what differs from the corner's value, with a margin."""
    differs = view != view[0, 0]
    if differs.ndim == 3:  # noqa: PLR2004 - colour
        differs = differs.any(axis=2)
    rows = np.flatnonzero(differs.any(axis=1))
    columns = np.flatnonzero(differs.any(axis=0))
    if rows.size == 0:
        return 0, 0, view.shape[1], view.shape[0]
    return (
        max(0, int(columns[0]) - _CROP_MARGIN_PX),
        max(0, int(rows[0]) - _CROP_MARGIN_PX),
        min(view.shape[1], int(columns[-1]) + 1 + _CROP_MARGIN_PX),
        min(view.shape[0], int(rows[-1]) + 1 + _CROP_MARGIN_PX),
    )
