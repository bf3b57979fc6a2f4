"""The numbers of a scale that stand in a row or a column, upright, turned or slanted: each is read by itself.

The detector takes them for one line, across the way they are written, and what is read of that is nothing: "T25" for
5, 10 and 15. Taken apart they are numbers in even steps, which nobody's name, date or record number is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from deidentify.pixels.classify import HeaderWords, is_even, is_of_header, letters_of
from deidentify.pixels.detector import Image
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.reading import Region
from deidentify.pixels.recognizer import Reading
from deidentify.pixels.renderings import readings_of
from deidentify.pixels.views import turned
from deidentify.results import TextClass

_FEWEST, _MOST, _MOST_DIGITS = 3, 12, 3
_MOST_CELLS, _NARROWEST, _WIDEST = 8, 0.4, 2.5
"""How wide a number with what is around it may be, of the way from one to the next."""
_FEWEST_OF_ONE_DIGIT = 4
_TURNS = (0, 90, -90, 45, -45)
_TURNS_IN_A_ROW, _TURNS_IN_A_COLUMN = (90, -90, 45, -45), (0, 45, -45)
"""Degrees by which numbers are turned to be level. Those written along the way they follow each other in are a line of
text: it may be a date."""
_CLEARLY = 2.0
_WIDER, _AS_HIGH, _SHADE = 1.2, 1.6, 0.2
_AROUND = 0.6
"""What is looked at around a region, of its shorter side: it may cover the numbers in part."""
_INK = 0.35
_SMALLEST_PX = 4
_REACHES = ((0.35, 0.35), (0.5, 0.0))
"""How far two digits of one number lie apart across and down, of a digit: a shade above its neighbour may touch it."""
_OF_THE_LARGEST = 0.5
_ROOM = 0.35
_SURELY_FROM, _LEGIBLE_FROM, _FEWEST_ALIKE = 0.75, 0.5, 3
_AT_ONCE_FROM, _FIRST_LOOKS = 0.9, 4
_CELL_TURNS = ((0, 0.9), (90, 0.8), (-90, 0.8))
_LIKE_DIGITS, _FEWEST_LETTERS, _READ_WELL_FROM = frozenset("oqdilszbgt"), 4, 0.8
_STEP_OF_FEW = 5
"""Three numbers in steps of one or two could be a day, a month and a year one below the other."""
_ZEROS = str.maketrans("od", "00")


_Way = NDArray[np.float64]
"""How a picture was turned, (2, 3): where its pixels were before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """What is drawn at one place, in pixels of the part that is looked at."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2


def as_ticks(engine: OcrEngine, view: Image, header: HeaderWords, region: Region) -> Region:
    """Return a region that is numbers in even steps as the safe text that it is, any other as it was."""
    if region.text_class is TextClass.SAFE or is_of_header(region.identified_text, header) or _is_a_word(region):
        return region
    part, core = _around(view, region)
    for shown, pieces in _arrangements(part, core, region.score):
        numbers = _numbers(engine, shown, pieces)
        if _is_scale(numbers) and _are_wide(numbers, pieces) and not is_of_header(" ".join(numbers), header):
            return replace(region, text_class=TextClass.SAFE, identified_text=" ".join(numbers))
    return region


def _around(view: Image, region: Region) -> tuple[Image, _Piece]:
    """Return the region with what is around it, and where it lies in that."""
    left, top, right, bottom = region.box(view.shape[1], view.shape[0])
    around = round(_AROUND * min(right - left, bottom - top))
    first_row, first_column = max(0, top - around), max(0, left - around)
    part = view[first_row : bottom + around, first_column : right + around]
    return part, _Piece(
        left=left - first_column, top=top - first_row, right=right - first_column, bottom=bottom - first_row
    )


def _arrangements(part: Image, core: _Piece, score: float) -> Iterator[tuple[Image, list[_Piece]]]:
    """Yield what may be the numbers of a scale, in order, with the part as it has to be turned for them.

    ``score`` is how well the region was read; what was read well is no scale that was read across.
    """
    for turn in _TURNS:
        shown, back = turned(part, turn)
        looked_at: list[list[_Piece]] = []
        for pieces in _drawn(shown, core, back):
            is_new = not any(_is_same(pieces, others) for others in looked_at)
            if is_new and turn in _turns(pieces, back):
                looked_at.append(pieces)
                yield shown, pieces
    for turn, read_well_from in _CELL_TURNS:
        if score < read_well_from:
            shown, back = turned(part, turn)
            yield from ((shown, pieces) for pieces in _cells(core, back))


def _drawn(shown: Image, core: _Piece, back: _Way) -> Iterator[list[_Piece]]:
    """Yield what is drawn in the core, as pieces of one height."""
    for ink in _inks(shown, core):
        drawn = (ink > _INK * ink.max()).astype(np.uint8)
        digit = _digit_px([piece for piece in _blobs(drawn) if _is_in(piece, core, back)], core)
        for reach in _REACHES:
            joined = _joined(drawn, round(reach[0] * digit / 2), round(reach[1] * digit / 2))
            pieces = _in_order(_without_specks([piece for piece in joined if _is_in(piece, core, back)]))
            if _FEWEST <= len(pieces) <= _MOST and _are_as_high(pieces):
                yield pieces


def _cells(core: _Piece, back: _Way) -> Iterator[list[_Piece]]:
    """Yield the core cut into as many equal parts, one below the other as it is shown, as it may have numbers.

    Numbers of faint ink, or with anatomy between them, cannot be told apart by what is drawn.
    """
    corners = np.array([(core.left, core.top, 1), (core.right, core.bottom, 1)]) @ cv2.invertAffineTransform(back).T
    left, top = np.round(corners.min(axis=0)).astype(int).tolist()
    right, bottom = np.round(corners.max(axis=0)).astype(int).tolist()
    for count in range(_FEWEST, _MOST_CELLS + 1):
        if _NARROWEST <= (right - left) * count / (bottom - top) <= _WIDEST:
            edges = np.round(np.linspace(top, bottom, count + 1)).astype(int).tolist()
            yield [_Piece(left=left, top=first, right=right, bottom=last) for first, last in pairwise(edges)]


def _is_same(pieces: list[_Piece], others: list[_Piece]) -> bool:
    """Tell whether the same pieces were looked at, but for a shade around them."""
    return len(pieces) == len(others) and all(
        abs(one.left - other.left) + abs(one.right - other.right) <= _SHADE * _size(one)
        and abs(one.top - other.top) + abs(one.bottom - other.bottom) <= _SHADE * _size(one)
        for one, other in zip(pieces, others, strict=True)
    )


def _are_as_high(pieces: list[_Piece]) -> bool:
    heights = [piece.bottom - piece.top for piece in pieces]
    return max(heights) <= _AS_HIGH * min(heights)


def _is_a_word(region: Region) -> bool:
    """Tell whether letters that look like no digits were read well: then it is no scale that was read across."""
    letters = [one for one in letters_of(region.identified_text) if one.isalpha() and one not in _LIKE_DIGITS]
    return region.score >= _READ_WELL_FROM and len(letters) >= _FEWEST_LETTERS


def _turns(pieces: list[_Piece], back: _Way) -> tuple[int, ...]:
    """Return how the numbers of a scale may be written that lie like this; not at all where they lie slanted."""
    middles = np.array([piece.middle for piece in pieces]) @ back[:, :2].T
    across, down = np.ptp(middles, axis=0)
    if across > _CLEARLY * down:
        return _TURNS_IN_A_ROW
    return _TURNS_IN_A_COLUMN if down > _CLEARLY * across else ()


def _is_scale(numbers: tuple[str, ...]) -> bool:
    """Tell whether numbers go on in even steps, more than three of them where each is a digit.

    The sign of those below zero is a speck: "50 0 -50".
    """
    middle = len(numbers) // 2
    is_around_zero = len(numbers) % 2 == 1 and numbers[middle] == "0" and numbers == numbers[::-1]
    steps = numbers[: middle + 1] if is_around_zero else numbers
    is_in_steps = is_even(steps) or (is_around_zero and len(steps) == len(("50", "0")))
    if len(numbers) == _FEWEST and any(int(number) % _STEP_OF_FEW for number in numbers):
        return False
    return is_in_steps and (len(numbers) >= _FEWEST_OF_ONE_DIGIT or any(len(one) > 1 for one in numbers))


def _are_wide(numbers: tuple[str, ...], pieces: list[_Piece]) -> bool:
    """Tell whether numbers of several digits are wider than they are high, as they are where they are level."""
    long = [piece for number, piece in zip(numbers, pieces, strict=True) if len(number) > 1]
    across, down = sum(piece.right - piece.left for piece in long), sum(piece.bottom - piece.top for piece in long)
    return across >= _WIDER * down


def _numbers(engine: OcrEngine, shown: Image, pieces: list[_Piece]) -> tuple[str, ...]:
    """Return what every piece says; nothing where one of them is no number.

    One look at each tells most of what is no scale: nine more of each would take longer than all else.
    """
    looks = [readings_of(engine, _cut(shown, piece)) for piece in pieces]
    firsts: list[Reading] = []
    unread = 0
    for look in looks:
        firsts.append(next(look))
        is_number = _is_short_number(_said(firsts[-1]))
        unread += not is_number
        if (firsts[-1].score >= _LEGIBLE_FROM and not is_number) or 2 * unread > len(looks):
            return ()
    found: list[str] = []
    for first, look in zip(firsts, looks, strict=True):
        number = _number_in(chain((first,), look))
        if number is None or not _may_follow(number, found):
            return ()
        found.append(number)
    return tuple(found)


def _may_follow(number: str, numbers: list[str]) -> bool:
    """Tell whether a number is as far from the last as that from the one before, up or, below zero, down."""
    values = [int(one) for one in (*numbers[-2:], number)]
    steps = {abs(after - before) for before, after in pairwise(values)}
    return len(steps) <= 1 and steps != {0}


def _number_in(looks: Iterable[Reading]) -> str | None:
    """Return the short number that the renderings of a picture read; None where the surest of them reads none."""
    readings: list[Reading] = []
    for one in looks:
        readings.append(one)
        numbers = [text for text in map(_said, readings) if _is_short_number(text)]
        if numbers and readings[0].score >= _AT_ONCE_FROM:
            return numbers[0]
        if len(readings) == _FIRST_LOOKS and not numbers:
            return None
    surest = max(readings, key=lambda one: one.score)
    if not _is_short_number(_said(surest)):
        return None
    if surest.score >= _SURELY_FROM:
        return _said(surest)
    text, times = Counter(numbers).most_common(1)[0]
    return text if times >= _FEWEST_ALIKE else None


def _said(reading: Reading) -> str:
    return letters_of(reading.identified_text).translate(_ZEROS)


def _is_short_number(text: str) -> bool:
    return text.isdecimal() and len(text) <= _MOST_DIGITS


def _cut(part: Image, piece: _Piece) -> Image:
    room = max(2, round(_ROOM * min(piece.right - piece.left, piece.bottom - piece.top)))
    return part[max(0, piece.top - room) : piece.bottom + room, max(0, piece.left - room) : piece.right + room]


def _in_order(pieces: list[_Piece]) -> list[_Piece]:
    """Return pieces as they follow each other in the direction in which they lie furthest apart."""
    if not pieces:
        return []
    spread = np.ptp([piece.middle for piece in pieces], axis=0)
    return sorted(pieces, key=lambda piece: piece.middle[int(spread[1] > spread[0])])


def _inks(part: Image, core: _Piece) -> Iterator[NDArray[np.float32]]:
    """Yield how far each pixel is from the ground: from one level, and brighter or darker than what is around."""
    channels = [part] if part.ndim == 2 else [part[..., number] for number in range(part.shape[2])]  # noqa: PLR2004
    yield np.max([np.abs(one.astype(np.float32) - float(np.median(one))) for one in channels], axis=0)
    around = 2 * (min(core.right - core.left, core.bottom - core.top) // 4) + 1
    kernel = np.ones((around, around), dtype=np.uint8)
    for way in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        yield np.max([cv2.morphologyEx(one, way, kernel).astype(np.float32) for one in channels], axis=0)


def _digit_px(pieces: list[_Piece], core: _Piece) -> float:
    """Return how large the digits among pieces are; none is larger than a scale is thick."""
    thick = min(core.right - core.left, core.bottom - core.top)
    sizes = [_size(piece) for piece in _without_specks([piece for piece in pieces if _size(piece) <= thick])]
    return float(np.median(sizes)) if sizes else 0.0


def _joined(drawn: NDArray[np.uint8], across: int, down: int) -> list[_Piece]:
    """Return what is drawn, what lies within twice so many pixels of each other as one."""
    rim = cv2.copyMakeBorder(drawn, down, down, across, across, cv2.BORDER_CONSTANT, value=0)
    joined = cv2.dilate(rim, np.ones((2 * down + 1, 2 * across + 1), np.uint8))
    return list(_blobs(np.asarray(joined, dtype=np.uint8), across, down))


def _without_specks(pieces: list[_Piece]) -> list[_Piece]:
    largest = max(map(_size, pieces), default=0)
    return [piece for piece in pieces if _size(piece) >= _OF_THE_LARGEST * largest]


def _blobs(drawn: NDArray[np.uint8], across: int = 0, down: int = 0) -> Iterator[_Piece]:
    """Yield what hangs together, less a rim that was added to each of them and around them all."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(drawn)
    for left, top, width, height, _ in stats[1:count].tolist():
        wide, tall = width - 2 * across, height - 2 * down
        if max(wide, tall) >= _SMALLEST_PX:
            yield _Piece(left=left, top=top, right=left + wide, bottom=top + tall)


def _is_in(piece: _Piece, core: _Piece, back: _Way) -> bool:
    """Tell whether a piece of the turned picture reaches into the core."""
    corners = [(x, y, 1) for x in (piece.left, piece.right) for y in (piece.top, piece.bottom)]
    left, top = (np.array(corners) @ back.T).min(axis=0)
    right, bottom = (np.array(corners) @ back.T).max(axis=0)
    return bool(left < core.right and core.left < right and top < core.bottom and core.top < bottom)


def _size(piece: _Piece) -> int:
    return max(piece.right - piece.left, piece.bottom - piece.top)
