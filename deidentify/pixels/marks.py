"""What looks like text to the small screen and was not found by the detector: it is looked at again.

Two networks overlook different text. The detector was made for photographs and loses faint lines, lines at 45 degrees
and scripts that run together; the small screen knows those, but cannot read. Where it is warm and nothing was found,
the surroundings are shown once more: turned, larger, in their own contrast.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Candidate, Image
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.reading import Mask, Region, once, overlap, read_at
from deidentify.pixels.small_screen import CELL_PX
from deidentify.pixels.views import local_contrast, turned
from deidentify.results import TextClass

_WARM_FROM, _HOT_FROM = 3.0, 5.0
_FAINT_FROM, _HOT_WHERE_FAINT = 1.0, 8.0
_AROUND_PX = 16
_THIN_PX, _HOT_WHERE_THIN = 8, 12.0
"""One cell in a row is what a line close by leaves, unless it is hotter."""
_MOST_MARKS = 12
_CONTEXT_PX = 32
_SHOWN_PX = 640
_LARGEST_SCALE = 3.0
_LEVEL, _UPRIGHT = (0,), (90, -90)
_ALL_TURNS = (0, 45, -45, 90, -90)
_ROW_ASPECT, _LARGE_PX = 2.0, 96
_LEVEL_WITHIN_DEG, _PIECE_CHARACTERS = 20, 4
_SAME_PLACE, _MOST_OF_IT = 0.3, 0.5
_SURELY_READ_FROM = 0.8
_SURELY_TEXT_FROM, _SURELY_BESIDE_BOXES_FROM = 6.5, 10.0
_HOT_WHERE_SHORT, _HOT_ALONE_FROM = 10.0, 5.0
_HOT_LINE_PX, _HOT_REST_PX, _REST_PX = 48, 64, 80
_LINE_PX, _THICKEST_PX, _LINE_ASPECT, _LARGEST_SHARE = 64, 96, 1.5, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """Where a view is warm, in pixels."""

    left: int
    top: int
    right: int
    bottom: int
    is_line: bool
    """It is hotter than anatomy gets, and long and narrow: text, even if nobody can read it."""
    turns_deg: tuple[int, ...]
    """How it is shown: as it runs where that can be told."""


def overlooked(
    engine: OcrEngine,
    view: Image,
    header: HeaderWords,
    regions: Sequence[Region],
    warmth: NDArray[np.float32],
    *,
    has_boxes: bool = False,
    wanted: Mask | None = None,
) -> list[Region]:
    """Return what a view holds beside the regions that were found in it; ``warmth`` is what the small screen sees.

    Black boxes (``has_boxes``) are warm at their edges: a line beside them has to be hotter, and what was read of it is
    all of it. Where all is known (not ``wanted``) nothing is looked at.

    What is surely a line and cannot be read is unreadable; of the rest only what can be read counts.
    """
    cool = np.zeros(warmth.shape, dtype=bool)
    for region in regions:
        if not _is_slanted_piece(region):
            cool[_cells_around(region, view.shape)] = True
    found: list[Region] = []
    surely_from = _SURELY_BESIDE_BOXES_FROM if has_boxes else _SURELY_TEXT_FROM
    for mark in _marks(np.where(cool, np.float32(-np.inf), warmth), cool, surely_from):
        if wanted is not None and not wanted[mark.top : mark.bottom, mark.left : mark.right].any():
            continue
        seen = _looked_at(engine, view, header, mark)
        if mark.is_line:
            is_seen = bool(seen) if has_boxes else _is_half_seen(mark, seen)
            found += seen if is_seen or not _is_hot_alone(engine, view, mark) else [*seen, _unread(mark)]
        else:
            found += [one for one in seen if one.text_class is not TextClass.UNREADABLE]
    return [one for one in once(found) if not any(overlap(region, one) >= _SAME_PLACE for region in regions)]


def _is_hot_alone(engine: OcrEngine, view: Image, mark: _Mark) -> bool:
    """Tell whether a mark is hot without its surroundings too: anatomy and noise are not."""
    top, left = max(0, mark.top - CELL_PX), max(0, mark.left - CELL_PX)
    part = view[top : mark.bottom + CELL_PX, left : mark.right + CELL_PX]
    return engine.warmth_alone(part) >= _HOT_ALONE_FROM


def _is_half_seen(mark: _Mark, seen: Sequence[Region]) -> bool:
    """Tell whether what was seen reaches along more than half of a mark."""
    axis = 0 if mark.right - mark.left >= mark.bottom - mark.top else 1
    first, last = ((mark.left, mark.right), (mark.top, mark.bottom))[axis]
    along = np.zeros(last - first, dtype=bool)
    for one in seen:
        box = one.box(mark.right, mark.bottom)
        along[max(0, box[axis] - first) : max(0, box[axis + 2] - first)] = True
    return bool(along.mean() > _MOST_OF_IT)


def _is_slanted_piece(region: Region) -> bool:
    """Tell whether a region may be the day in a date at 45 degrees: scales and settings are level or upright."""
    turned = region.outline.angle % 90
    is_slanted = min(turned, 90 - turned) > _LEVEL_WITHIN_DEG
    has_letters = any(map(str.isalpha, region.identified_text))
    is_piece = not has_letters or len(region.identified_text) <= _PIECE_CHARACTERS
    return region.text_class is TextClass.SAFE and is_slanted and is_piece


def _unread(mark: _Mark) -> Region:
    outline = Candidate(
        x=(mark.left + mark.right) / 2,
        y=(mark.top + mark.bottom) / 2,
        width=mark.right - mark.left,
        height=mark.bottom - mark.top,
        angle=0.0,
        score=0.0,
    )
    return Region(outline=outline, text_class=TextClass.UNREADABLE, score=0.0, identified_text="")


def _cells_around(region: Region, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return the cells that are warm because of a region, with what it warms around itself."""
    left, top, right, bottom = region.box(shape[1], shape[0])
    first_row, first_column = max(0, top - _AROUND_PX) // CELL_PX, max(0, left - _AROUND_PX) // CELL_PX
    last_row, last_column = -(-(bottom + _AROUND_PX) // CELL_PX), -(-(right + _AROUND_PX) // CELL_PX)
    return slice(first_row, last_row), slice(first_column, last_column)


def _marks(warm: NDArray[np.float32], cool: NDArray[np.bool_], surely_from: float) -> Iterator[_Mark]:
    """Yield what is warm and somewhere hot, the hottest first; ``cool`` is what lies around what was found."""
    count, labels = cv2.connectedComponents((warm >= _WARM_FROM).astype(np.uint8))
    _, wider = cv2.connectedComponents((warm >= _FAINT_FROM).astype(np.uint8))
    beside = cv2.dilate(cool.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    peaks = [(float(warm[labels == label].max()), label) for label in range(1, count)]
    for peak, label in sorted(peaks, reverse=True)[:_MOST_MARKS]:
        if peak < _HOT_FROM:
            return
        cells = labels == label
        least_px = _least_px(is_hot=peak >= _HOT_WHERE_SHORT, is_beside=bool((cells & beside).any()))
        if peak >= _HOT_WHERE_FAINT and not _is_long(cells, least_px):
            # A faint line is hot at one word, and goes on from there.
            faint = wider == wider[cells][0]
            cells = faint if _is_long(faint, least_px) else cells
        rows, columns = np.nonzero(cells)
        left, top, right, bottom = (
            int(edge) * CELL_PX for edge in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        )
        if min(right - left, bottom - top) > _THIN_PX or peak >= _HOT_WHERE_THIN:
            is_line = peak >= surely_from and _is_long(cells, least_px)
            yield _Mark(left=left, top=top, right=right, bottom=bottom, is_line=is_line, turns_deg=_turns(cells))


def _least_px(*, is_hot: bool, is_beside: bool) -> int:
    """Return how long a line has to be; beside what was found its rim is as long as that is high."""
    if is_beside:
        return _HOT_REST_PX if is_hot else _REST_PX
    return _HOT_LINE_PX if is_hot else _LINE_PX


def _is_long(cells: NDArray[np.bool_], least_px: int) -> bool:
    """Tell whether cells lie in a row of some length, in whatever direction."""
    short, long, _ = _row_of(cells)
    is_small = short * long <= _LARGEST_SHARE * cells.size
    is_line = long * CELL_PX >= least_px and short * CELL_PX <= _THICKEST_PX and long >= _LINE_ASPECT * short
    return is_small and is_line


def _turns(cells: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return how cells have to be turned for a line along them to be level, all ways where they are no row."""
    short, long, angle = _row_of(cells)
    if short * CELL_PX > _LARGE_PX:
        return _LEVEL
    if long < _ROW_ASPECT * short:
        return _ALL_TURNS
    away = round(angle / 45) % 4
    return (_LEVEL, (45,), _UPRIGHT, (-45,))[away]


def _row_of(cells: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Return thickness and length in cells and the direction, clockwise from the right, of the least rectangle."""
    places = np.argwhere(cells)[:, ::-1].astype(np.float32)
    _, (width, height), angle = cv2.minAreaRect(places)
    if height > width:
        width, height, angle = height, width, angle + 90
    # From middle to middle of the outermost cells.
    return float(height) + 1, float(width) + 1, float(angle)


def _looked_at(engine: OcrEngine, view: Image, header: HeaderWords, mark: _Mark) -> list[Region]:
    left, top = max(0, mark.left - _CONTEXT_PX), max(0, mark.top - _CONTEXT_PX)
    part = view[top : mark.bottom + _CONTEXT_PX, left : mark.right + _CONTEXT_PX]
    low, high = int(part.min()), int(part.max())
    if low == high:
        return []
    plain = ((part.astype(np.float32) - low) * (255 / (high - low))).astype(np.uint8)
    scale = min(_LARGEST_SCALE, max(1.0, _SHOWN_PX / max(part.shape[:2])))
    found: list[Region] = []
    for turn in mark.turns_deg:
        for shown in (plain, local_contrast(part)):
            level, back = turned(shown, turn)
            found += [_turned_back(one, back, turn) for one in read_at(engine, level, header, scale=scale)]
        if any(one.score >= _SURELY_READ_FROM for one in found):
            break
    return [one.moved(dx=left, dy=top) for one in found]


def _turned_back(region: Region, back: NDArray[np.float64], turn: int) -> Region:
    x, y = back @ (region.outline.x, region.outline.y, 1.0)
    outline = replace(region.outline, x=float(x), y=float(y), angle=region.outline.angle + turn)
    return replace(region, outline=outline)
