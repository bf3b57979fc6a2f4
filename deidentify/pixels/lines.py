"""The whole line that a region is part of: what is blacked out has to cover all of it.

A detector may see one word of a line, most often of faint or slanted ones. The line is looked at again, turned level,
as high as the models read best, and as far as the frame goes; whatever continues it is added.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deidentify.pixels.classify import HeaderWords, classify, letters_of
from deidentify.pixels.detector import Candidate, Image
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.gate import judge
from deidentify.pixels.reading import Region
from deidentify.pixels.recognizer import Reading, straightened
from deidentify.pixels.renderings import readings_of
from deidentify.pixels.small_screen import CELL_PX
from deidentify.pixels.views import local_contrast
from deidentify.results import TextClass

_LINE_ASPECT = 1.3
"""Less than this says nothing of the direction; text is taken for level then, unless it is slanted."""
_LEVEL_WITHIN_DEG, _NEARLY_LEVEL_DEG, _QUARTER_DEG = 20, 10, 90
_HEIGHT_PX = 40.0
_LEAST_SCALE, _LARGEST_SCALE = 0.5, 4.0
_LONGEST_STRIP_PX = 1920
_STRIP_HEIGHTS = 3
_OFF_LINE, _THINNEST, _THICKEST = 0.35, 0.4, 1.8
_GAP, _GAP_TO_TEXT, _GROWN = 1.2, 3.0, 0.25
"""In heights of the line: what may lie between two words, or between two that were read, and what counts as longer."""
_MUCH_GROWN = 2.0
"""What counts as longer where safe text goes on in what nobody read."""
_WARM_FROM, _HOT_FROM, _AROUND_PX = 0.0, 6.5, 16
_FAINTLY_READ_FROM, _SURELY_READ_FROM = 0.4, 0.7
_PIECE_CHARACTERS = 2
_CONTRAST_PERCENT = (1, 99)


Warmth = NDArray[np.float32]


def whole_lines(
    engine: OcrEngine, view: Image, header: HeaderWords, regions: list[Region], warm: Warmth | None = None
) -> list[Region]:
    """Return the regions, each as long as its line.

    A safe one with digits that turns out to be a piece of a longer line is taken for what the line says: "31" may be
    the day of a date. ``warm`` is where the small screen sees text: a line goes on as far as that does.
    """
    found = []
    for region in regions:
        line = _line_of(engine, view, region, warm) if _may_be_part(region) else None
        if line is None:
            found.append(region)
        elif region.text_class is TextClass.SAFE:
            found.append(_read_whole(engine, view, header, region, line))
        else:
            found.append(replace(region, outline=line))
    return [region if region.text_class is TextClass.SAFE else _joined(region, found) for region in found]


def goes_on(  # noqa: PLR0917 - what it looks at, with what, and where
    engine: OcrEngine, view: Image, header: HeaderWords, short: Region, line: Region, warm: Warmth | None
) -> bool:
    """Tell whether what a line has beside a piece of it that was read as harmless is text that may identify.

    It may where it reads as anything but harmless, by itself or with the piece, and where nobody can read it and the
    small screen is hot, and stays warm where nothing else is shown.
    """
    upright = lengthwise(line.outline)
    if upright is None:
        return True
    turned = np.deg2rad(upright.angle)
    along = np.array([np.cos(turned), np.sin(turned)])
    piece = (short.outline.corners() - (upright.x, upright.y)) @ along
    rests = ((-upright.width / 2, float(piece.min())), (float(piece.max()), upright.width / 2))
    words = [short.identified_text]
    for place, (first, last) in enumerate(rests):
        if last - first < _GROWN * upright.height:
            continue
        rest = _stretched(upright, first, last)
        strip = straightened(view, rest)
        said = [one for one in readings_of(engine, strip) if one.score >= _FAINTLY_READ_FROM]
        if any(letters_of(one.identified_text) and not _is_safe(one, header) for one in said):
            return True
        is_sure = any(one.score >= _SURELY_READ_FROM for one in said)
        is_hot = warm is not None and _is_hot(warm, upright, (first, last), place)
        if not is_sure and is_hot and engine.warmth_alone(strip) >= _WARM_FROM:
            return True
        best = max(said, key=lambda one: one.score).identified_text if said else ""
        words.insert(len(words) if place else 0, best)
    return any(classify(text, header) is not TextClass.SAFE for text in (" ".join(words), "".join(words)))


def _is_safe(reading: Reading, header: HeaderWords) -> bool:
    return classify(reading.identified_text, header) is TextClass.SAFE


def _is_hot(warm: Warmth, upright: Candidate, span: tuple[float, float], place: int) -> bool:
    """Tell whether the middle of a rest is hot further from the piece than that warms; ``place`` is 0 before it."""
    first, last = (span[0], span[1] - _AROUND_PX) if place == 0 else (span[0] + _AROUND_PX, span[1])
    return last > first and bool((_warmth_along(warm, upright, np.arange(first, last, CELL_PX / 2)) >= _HOT_FROM).any())


def _joined(region: Region, found: list[Region]) -> Region:
    """Return a region that reaches as far as what was read on the same line near by, and covers what lies between."""
    upright = lengthwise(region.outline)
    if upright is None:
        return region
    turned = np.deg2rad(upright.angle)
    axes = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    boxes = [(one.outline.corners() - (upright.x, upright.y)) @ axes for one in found if _may_be_part(one)]
    first, last = _chained(_spans(boxes, upright.height), upright, _GAP_TO_TEXT)
    is_longer = round(last - first - upright.width) > 0
    return replace(region, outline=_fitted(upright, first, last, boxes)) if is_longer else region


def _may_be_part(region: Region) -> bool:
    if region.text_class is not TextClass.SAFE:
        return True
    text = region.identified_text
    return len(text) >= _PIECE_CHARACTERS and any(map(str.isdigit, text))


def _read_whole(engine: OcrEngine, view: Image, header: HeaderWords, region: Region, line: Candidate) -> Region:
    (reading,) = engine.recognizer.read(view, [line])
    if judge(line, reading, header, scale=1) is not TextClass.IDENTIFYING:
        return region
    return Region(
        outline=line,
        text_class=TextClass.IDENTIFYING,
        score=reading.score,
        identified_text=reading.identified_text,
    )


def _line_of(engine: OcrEngine, view: Image, region: Region, warm: Warmth | None) -> Candidate | None:
    """Return the outline of the line where it is longer than the region's, else None."""
    upright = lengthwise(region.outline)
    if upright is None:
        return None
    before, behind = _room(view.shape[:2], upright)
    scale = float(np.clip(_HEIGHT_PX / upright.height, _LEAST_SCALE, _LARGEST_SCALE))
    scale = min(scale, _LONGEST_STRIP_PX / (before + behind))
    middle = (before * scale, _STRIP_HEIGHTS * upright.height * scale / 2)
    strip = _strip(view, upright, before, behind, scale)
    candidates = [*engine.detector.find(strip), *engine.detector.find(local_contrast(strip))]
    boxes = [(candidate.corners() - middle) / scale for candidate in candidates]
    spans = _spans(boxes, upright.height)
    first, last = _chained(spans, upright, _GAP)
    if warm is not None and _off_right_angle(upright) <= _NEARLY_LEVEL_DEG:
        further = _chained([*spans, *_warm_spans(warm, upright, before, behind)], upright, _GAP)
        is_sure = region.text_class is not TextClass.SAFE
        if further[1] - further[0] >= last - first + (_GROWN if is_sure else _MUCH_GROWN) * upright.height:
            line = _fitted(upright, first, last, boxes)
            level = replace(line, angle=round(line.angle / _QUARTER_DEG) * _QUARTER_DEG)
            return line.around(
                _stretched(level, further[0] - first - line.width / 2, further[1] - last + line.width / 2)
            )
    if last - first < upright.width + _GROWN * upright.height:
        return None
    return _fitted(upright, first, last, boxes)


def _off_right_angle(one: Candidate) -> float:
    turned = one.angle % _QUARTER_DEG
    return min(turned, _QUARTER_DEG - turned)


def _fitted(upright: Candidate, first: float, last: float, boxes: Sequence[NDArray[Any]]) -> Candidate:
    """Return the outline of a whole line: a word of it shows the direction to some degrees only, the line shows it all.

    ``boxes`` are what was seen in the strip, from the middle of the outline and along it.
    """
    half = upright.height / 2
    own = np.array([(x, y) for x in (-upright.width / 2, upright.width / 2) for y in (-half, half)])
    of_line = [own]
    for corners in boxes:
        (left, right), is_of_line = (corners[:, 0].min(), corners[:, 0].max()), bool(_spans([corners], upright.height))
        if is_of_line and left >= first and right <= last:
            of_line.append(corners)
    (x, y), (width, height), angle = cv2.minAreaRect(np.vstack(of_line).astype(np.float32))
    if abs(angle) > _QUARTER_DEG / 2:
        width, height, angle = height, width, angle - _QUARTER_DEG if angle > 0 else angle + _QUARTER_DEG
    if height > _THICKEST * upright.height:
        return _stretched(upright, first, last)
    turned = np.deg2rad(upright.angle)
    cosine, sine = float(np.cos(turned)), float(np.sin(turned))
    return replace(
        upright,
        x=upright.x + x * cosine - y * sine,
        y=upright.y + x * sine + y * cosine,
        width=width,
        height=height,
        angle=upright.angle + angle,
    )


def _warm_spans(warm: Warmth, one: Candidate, before: float, behind: float) -> list[tuple[float, float]]:
    """Return from where to where the middle of a line is warm, counted from the middle of its outline."""
    along = np.arange(-before, behind, CELL_PX / 2)
    is_warm = np.concatenate(([False], _warmth_along(warm, one, along) >= _WARM_FROM, [False]))
    edges = np.flatnonzero(np.diff(is_warm.astype(np.int8)))
    runs = zip(along[edges[::2]], along[edges[1::2] - 1], strict=True)
    # The cells beside a line are warm too.
    return [(float(first) + CELL_PX, float(last) - CELL_PX) for first, last in runs if last - first > 2 * CELL_PX]


def _warmth_along(warm: Warmth, one: Candidate, along: NDArray[np.float64]) -> Warmth:
    """Return how warm the middle of a line is so far from the middle of its outline."""
    turned = np.deg2rad(one.angle)
    columns = np.clip((one.x + along * float(np.cos(turned))) // CELL_PX, 0, warm.shape[1] - 1).astype(int)
    rows = np.clip((one.y + along * float(np.sin(turned))) // CELL_PX, 0, warm.shape[0] - 1).astype(int)
    return np.asarray(warm[rows, columns])


def _stretched(upright: Candidate, first: float, last: float) -> Candidate:
    step = (first + last) / 2
    turned = np.deg2rad(upright.angle)
    return replace(
        upright,
        x=upright.x + step * float(np.cos(turned)),
        y=upright.y + step * float(np.sin(turned)),
        width=last - first,
    )


def lengthwise(outline: Candidate) -> Candidate | None:
    """Return the same rectangle with its width along the text; None where that cannot be told."""
    one = outline
    if one.height > one.width:
        one = replace(one, width=one.height, height=one.width, angle=one.angle + 90)
    if one.width < _LINE_ASPECT * one.height:
        turned = outline.angle % 90
        if min(turned, 90 - turned) > _LEVEL_WITHIN_DEG:
            return None
        if turned > _LEVEL_WITHIN_DEG:
            turned -= 90
        is_swapped = round((outline.angle - turned) / 90) % 2 == 1
        width, height = (outline.height, outline.width) if is_swapped else (outline.width, outline.height)
        one = replace(outline, width=width, height=height, angle=turned)
    return one


def _room(shape: tuple[int, ...], one: Candidate) -> tuple[float, float]:
    """Return how far the frame goes from the middle of a line, against its direction and along it."""
    turned = np.deg2rad(one.angle)
    step = np.array([np.cos(turned), np.sin(turned)])
    middle, end = np.array([one.x, one.y]), np.array([shape[1], shape[0]])

    def reach(way: NDArray[np.float64]) -> float:
        limits = [((end if part > 0 else 0 * end)[axis] - middle[axis]) / part for axis, part in enumerate(way) if part]
        return max(one.width / 2, float(min(limits)))

    return reach(-step), reach(step)


def _strip(view: Image, one: Candidate, before: float, behind: float, scale: float) -> Image:
    """Return the line and its surroundings turned level."""
    turned = np.deg2rad(one.angle)
    cosine, sine = float(np.cos(turned)), float(np.sin(turned))
    half = _STRIP_HEIGHTS * one.height / 2
    left = one.x - before * cosine + half * sine
    top = one.y - before * sine - half * cosine
    back = np.array([[cosine / scale, -sine / scale, left], [sine / scale, cosine / scale, top]], dtype=np.float64)
    size = (max(1, round((before + behind) * scale)), max(1, round(2 * half * scale)))
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    strip = cv2.warpAffine(view, back, size, flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    low, high = np.percentile(strip, _CONTRAST_PERCENT)
    return np.asarray(np.clip((strip - low) * (255 / max(1.0, high - low)), 0, 255), dtype=np.uint8)


def _spans(boxes: Sequence[NDArray[Any]], height: float) -> list[tuple[float, float]]:
    """Return from where to where boxes go along a line through the origin, of those that lie on it and are as high."""
    spans = []
    for corners in boxes:
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        is_on_line = abs(top + bottom) / 2 <= _OFF_LINE * height
        if is_on_line and _THINNEST * height <= bottom - top <= _THICKEST * height:
            spans.append((float(left), float(right)))
    return spans


def _chained(spans: list[tuple[float, float]], one: Candidate, gap: float) -> tuple[float, float]:
    """Return from where to where a line goes, counted from its middle, with what continues it; the gap in heights."""
    first, last = -one.width / 2, one.width / 2
    has_grown = True
    while has_grown:
        has_grown = False
        for left, right in spans:
            touches = left <= last + gap * one.height and right >= first - gap * one.height
            if touches and (left < first or right > last):
                first, last, has_grown = min(first, left), max(last, right), True
    return first, last
