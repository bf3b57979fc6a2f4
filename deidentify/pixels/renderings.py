"""One line read in several renderings, where its first reading is neither of the header nor known to be harmless.

The recogniser misreads letters of dot-matrix displays, of eight pixels, and beside anatomy: "TI 2500" as "T12500". The
same line a little larger, smaller, softer or tighter is read rightly, while a name stays a name in all of them. What
several renderings take for the same harmless text is harmless; one that resembles a word of the header decides against
it, whatever the others say.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from deidentify.pixels.classify import HeaderWords, classify, is_even, is_of_header, normalised
from deidentify.pixels.detector import Candidate, Image
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.reading import Region
from deidentify.pixels.recognizer import Reading, straightened
from deidentify.pixels.vocabulary import SIDES
from deidentify.results import TextClass

_MARGIN = 0.5
"""What is shown around a line, of its height, both sides together."""
_HEIGHTS_PX = (16, 24)
_SOFTER = (0.04, 0.07)
_TIGHTER = 6
_LOW_PERCENT, _HIGH_PERCENT = 2, 98
_SURELY_FROM, _LEGIBLE_FROM = 0.75, 0.7
_FEWEST_SAFE, _FEWEST_ALIKE, _FEWEST_LEGIBLE = 3, 2, 2
_FEWEST_CHARACTERS, _THINNEST_PX = 2, 3
_LETTER_ASPECT = 1.4
_READ_WELL_FROM, _LIKE_PERCENT = 0.8, 50
_TALL_FROM, _UPRIGHT_WITHIN_DEG = 1.5, 12
_FEWEST_TICKS, _MOST_DIGITS = 3, 3
_ZEROS = str.maketrans("od", "00")
_INK = 0.35


def read_otherwise(engine: OcrEngine, view: Image, header: HeaderWords, region: Region) -> Region:
    """Return the region as several renderings of its line see it, or as it is where they do not agree.

    One that is safe already, or has a word of the header, stays what it is. One that was not legible and is now
    identifies.
    """
    if region.text_class is TextClass.SAFE or is_of_header(region.identified_text, header):
        return region
    strip = straightened(view, _with_margin(region.outline))
    if min(strip.shape[:2]) < _THINNEST_PX or strip.min() == strip.max():
        return region
    readings = [_read(engine, shown) for shown in _renderings(strip)]
    if any(is_of_header(one.identified_text, header) for one in readings):
        return replace(region, text_class=TextClass.IDENTIFYING)
    is_letter = max(strip.shape[:2]) <= _LETTER_ASPECT * min(strip.shape[:2])
    safe = [one for one in readings if _is_surely_safe(one, header, is_letter=is_letter) and _is_like(one, region)]
    return _agreed(safe, region) or _ticks(engine, view, header, region) or _legible(readings, region, header)


def _agreed(safe: Sequence[Reading], region: Region) -> Region | None:
    """Return the region as safe text where enough renderings say so, and say the same."""
    if len(safe) < _FEWEST_SAFE:
        return None
    said, times = Counter(_said(one.identified_text) for one in safe).most_common(1)[0]
    if times < _FEWEST_ALIKE:
        return None
    alike = [one for one in safe if _said(one.identified_text) == said]
    return _read_as(max(alike, key=_score), region, TextClass.SAFE)


def _legible(readings: Sequence[Reading], region: Region, header: HeaderWords) -> Region:
    """Return an unreadable region as identifying where renderings can read it, others as they are."""
    legible = [one for one in readings if _is_legible(one, header)]
    if region.text_class is not TextClass.UNREADABLE or len(legible) < _FEWEST_LEGIBLE:
        return region
    return _read_as(max(legible, key=_score), region, TextClass.IDENTIFYING)


def _read_as(reading: Reading, region: Region, text_class: TextClass) -> Region:
    return replace(region, text_class=text_class, identified_text=reading.identified_text, score=reading.score)


def _score(reading: Reading) -> float:
    return reading.score


def _said(identified_text: str) -> str:
    """Return the letters and digits of a text."""
    return "".join(filter(str.isalnum, normalised(identified_text)))


def _is_surely_safe(reading: Reading, header: HeaderWords, *, is_letter: bool) -> bool:
    """Tell whether a reading is harmless; one letter alone is L or R where there is room for no more."""
    said = _said(reading.identified_text)
    is_whole = len(said) >= _FEWEST_CHARACTERS or (is_letter and said in SIDES)
    return is_whole and reading.score >= _SURELY_FROM and classify(reading.identified_text, header) is TextClass.SAFE


def _is_like(reading: Reading, region: Region) -> bool:
    """Tell whether a reading could be what was read before, where that was read well."""
    if region.score < _READ_WELL_FROM:
        return True
    return fuzz.ratio(_said(reading.identified_text), _said(region.identified_text)) >= _LIKE_PERCENT


def _is_legible(reading: Reading, header: HeaderWords) -> bool:
    return reading.score >= _LEGIBLE_FROM and classify(reading.identified_text, header) is TextClass.IDENTIFYING


def _with_margin(outline: Candidate) -> Candidate:
    grown = _MARGIN * min(outline.width, outline.height)
    return replace(outline, width=outline.width + grown, height=outline.height + grown)


def _renderings(strip: Image) -> Iterator[Image]:
    """Yield a line as it is, of the heights of small print, softer, in its own contrast, and without its margin."""
    yield strip
    short = min(strip.shape[:2])
    for height in _HEIGHTS_PX:
        way = cv2.INTER_AREA if height < short else cv2.INTER_CUBIC
        yield _uint8(cv2.resize(strip, None, fx=height / short, fy=height / short, interpolation=way))
    for share in _SOFTER:
        yield _uint8(cv2.GaussianBlur(strip, (0, 0), max(0.5, share * short)))
    low, high = np.percentile(strip, (_LOW_PERCENT, _HIGH_PERCENT))
    yield _uint8(np.clip((strip.astype(np.float32) - low) * (255 / max(1.0, high - low)), 0, 255))
    rim = short // _TIGHTER
    if rim and short > 2 * rim + _THINNEST_PX:
        yield strip[rim:-rim, rim:-rim]


def _uint8(picture: NDArray[Any]) -> Image:
    return np.asarray(picture, dtype=np.uint8)


def _read(engine: OcrEngine, strip: Image) -> Reading:
    rows, columns = strip.shape[:2]
    whole = Candidate(x=columns / 2, y=rows / 2, width=columns, height=rows, angle=0.0, score=1.0)
    return engine.recognizer.read(strip, [whole])[0]


def _ticks(engine: OcrEngine, view: Image, header: HeaderWords, region: Region) -> Region | None:
    """Return a column of numbers in even steps, one below the other, as the safe text that it is."""
    turned = region.outline.angle % 90
    left, top, right, bottom = region.box(view.shape[1], view.shape[0])
    if min(turned, 90 - turned) > _UPRIGHT_WITHIN_DEG or bottom - top < _TALL_FROM * (right - left):
        return None
    numbers = [_number_in(engine, piece) for piece in _pieces(view[top:bottom, left:right])]
    found = tuple(number for number in numbers if number is not None)
    if len(found) < max(_FEWEST_TICKS, len(numbers)) or not is_even(found) or is_of_header(" ".join(found), header):
        return None
    return replace(region, text_class=TextClass.SAFE, identified_text=" ".join(found))


def _number_in(engine: OcrEngine, piece: Image) -> str | None:
    """Return the short number that the surest rendering of a picture reads, or most do; a bare zero is never sure."""
    readings = sorted((_read(engine, shown) for shown in _renderings(piece)), key=_score, reverse=True)
    numbers = [(_said(one.identified_text).translate(_ZEROS), one.score) for one in readings]
    found = [(text, score) for text, score in numbers if text.isdecimal() and len(text) <= _MOST_DIGITS]
    if not found:
        return None
    text, times = Counter(text for text, _ in found).most_common(1)[0]
    return text if times >= _FEWEST_SAFE or found[0][1] >= _SURELY_FROM else None


def _pieces(part: Image) -> Iterator[Image]:
    """Yield what is drawn one below the other, each cut off to itself with a little room; specks are left out."""
    grey = part.max(axis=2) if part.ndim == 3 else part  # noqa: PLR2004 - colour
    ink = np.abs(grey.astype(np.float32) - float(np.median(grey)))
    drawn = ink > _INK * ink.max()
    rows = _runs(drawn.any(axis=1))
    tallest = max((last - first for first, last in rows), default=0)
    for first, last in rows:
        if 2 * (last - first) >= tallest:
            columns = np.flatnonzero(drawn[first:last].any(axis=0))
            room = max(2, (last - first) // 4)
            left, right = max(0, int(columns[0]) - room), int(columns[-1]) + 1 + room
            yield part[max(0, first - room) : last + room, left:right]


def _runs(drawn: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and last (outside) of each run."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], drawn, [False])).astype(np.int8)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
