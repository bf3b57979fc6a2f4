"""The numbers of a scale that stand in a row or a column, upright, turned or slanted: each is read by itself.

The detector takes them for one line, across the way they are written, and what is read of that is nothing: "T25" for
5, 10 and 15. Taken apart they are numbers in even steps, which nobody's name, date or record number is.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

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
_FEWEST_OF_ONE_DIGIT = 4
_TURNS_IN_A_ROW, _TURNS_IN_A_COLUMN = (90, -90, 45, -45), (0, 45, -45)
"""Degrees. Numbers written along the way they follow each other in are a line of text: it may be a date."""
_CLEARLY = 2.0
_UPRIGHT_DEG, _LONGER = 90, 1.2
_AROUND = 0.6
"""What is looked at around a region, of its shorter side: it may cover the numbers in part."""
_INK = 0.35
_SMALLEST_PX = 4
_WITHIN_A_NUMBER, _OF_THE_LARGEST = 0.35, 0.5
_ROOM = 0.35
_SURELY_FROM, _LEGIBLE_FROM, _FEWEST_ALIKE = 0.75, 0.5, 3
_AT_ONCE_FROM, _FIRST_LOOKS = 0.9, 4
_LIKE_DIGITS, _FEWEST_LETTERS, _READ_WELL_FROM = frozenset("oqdilszbgt"), 4, 0.8
_STEP_OF_FEW = 5
"""Three numbers in steps of one or two could be a day, a month and a year one below the other."""
_ZEROS = str.maketrans("od", "00")


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
    left, top, right, bottom = region.box(view.shape[1], view.shape[0])
    around = round(_AROUND * min(right - left, bottom - top))
    first_row, first_column = max(0, top - around), max(0, left - around)
    part = view[first_row : bottom + around, first_column : right + around]
    core = _Piece(left=left - first_column, top=top - first_row, right=right - first_column, bottom=bottom - first_row)
    looked_at: list[list[_Piece]] = []
    for ink in _inks(part, core):
        pieces = _in_order(_pieces(ink, core))
        if _FEWEST <= len(pieces) <= _MOST and pieces not in looked_at:
            looked_at.append(pieces)
            for turn in _turns(pieces):
                numbers = _numbers(engine, part, pieces, turn)
                if (
                    _is_scale(numbers)
                    and _is_written(turn, numbers, pieces)
                    and not is_of_header(" ".join(numbers), header)
                ):
                    return replace(region, text_class=TextClass.SAFE, identified_text=" ".join(numbers))
    return region


def _is_a_word(region: Region) -> bool:
    """Tell whether letters that look like no digits were read well: then it is no scale that was read across."""
    letters = [one for one in letters_of(region.identified_text) if one.isalpha() and one not in _LIKE_DIGITS]
    return region.score >= _READ_WELL_FROM and len(letters) >= _FEWEST_LETTERS


def _turns(pieces: list[_Piece]) -> tuple[int, ...]:
    """Return how the numbers of a scale may be written that lie like this; not at all where they lie slanted."""
    across, down = np.ptp([piece.middle for piece in pieces], axis=0)
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


def _is_written(turn: int, numbers: tuple[str, ...], pieces: list[_Piece]) -> bool:
    """Tell whether numbers of several digits are as wide and as high as they are where they are written like this."""
    long = [piece for number, piece in zip(numbers, pieces, strict=True) if len(number) > 1]
    if not long:
        return True
    aspect = sum(piece.right - piece.left for piece in long) / sum(piece.bottom - piece.top for piece in long)
    if abs(turn) == _UPRIGHT_DEG:
        aspect = 1 / aspect
    return aspect > _LONGER if turn in {0, _UPRIGHT_DEG, -_UPRIGHT_DEG} else 1 / _LONGER < aspect < _LONGER


def _numbers(engine: OcrEngine, part: Image, pieces: list[_Piece], turn: int) -> tuple[str, ...]:
    """Return what every piece says where it is shown turned; nothing where one of them is no number."""
    found = []
    for piece in pieces:
        number = _number_in(engine, turned(_cut(part, piece), turn)[0])
        if number is None:
            return ()
        found.append(number)
    return tuple(found)


def _number_in(engine: OcrEngine, shown: Image) -> str | None:
    """Return the short number that the renderings of a picture read; None where the surest of them reads none."""
    readings: list[Reading] = []
    for one in readings_of(engine, shown):
        readings.append(one)
        numbers = [text for text in map(_said, readings) if _is_short_number(text)]
        if len(readings) == 1 and one.score >= _LEGIBLE_FROM and not numbers:
            # Words, mostly: nine more renderings of each would take longer than all else.
            return None
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


def _pieces(ink: NDArray[np.float32], core: _Piece) -> list[_Piece]:
    """Return what is drawn in the core, digits that stand close together as one; specks are left out."""
    if not ink.max():
        return []
    drawn = (ink > _INK * ink.max()).astype(np.uint8)
    sizes = [max(piece.right - piece.left, piece.bottom - piece.top) for piece in _blobs(drawn)]
    digit = float(np.median(sizes)) if sizes else 0.0
    if digit < _SMALLEST_PX:
        return []
    # As far as two digits of a number lie apart, and not as far as two numbers.
    reach = max(1, round(_WITHIN_A_NUMBER * digit / 2))
    rim = cv2.copyMakeBorder(drawn, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    joined = np.asarray(cv2.dilate(rim, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)), dtype=np.uint8)
    inside = [piece for piece in _blobs(joined, reach) if _is_in(piece, core)]
    largest = max((_size(piece) for piece in inside), default=0)
    return [piece for piece in inside if _size(piece) >= _OF_THE_LARGEST * largest]


def _blobs(drawn: NDArray[np.uint8], rim: int = 0) -> Iterator[_Piece]:
    """Yield what hangs together, less a rim that was added to each of them and around them all."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(drawn)
    for left, top, width, height, _ in stats[1:count].tolist():
        if max(width, height) - 2 * rim >= _SMALLEST_PX:
            yield _Piece(left=left, top=top, right=left + width - 2 * rim, bottom=top + height - 2 * rim)


def _is_in(piece: _Piece, core: _Piece) -> bool:
    return piece.left < core.right and core.left < piece.right and piece.top < core.bottom and core.top < piece.bottom


def _size(piece: _Piece) -> int:
    return max(piece.right - piece.left, piece.bottom - piece.top)
