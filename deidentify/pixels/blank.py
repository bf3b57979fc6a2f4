"""Boxes made black in the words of a frame, or in its native bytes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deidentify.errors import PixelDecodeError
from deidentify.pixels.black import Black
from deidentify.pixels.boxes import Box
from deidentify.pixels.decode import FrameFormat

_WORD_BITS = frozenset((8, 16, 32, 64))


def is_shared_in_pairs(form: FrameFormat, *, native: bool) -> bool:
    """Say whether two neighbours have one colour between them, as in native YBR_FULL_422."""
    return native and form.options["photometric_interpretation"] == "YBR_FULL_422"


def widened_to_pairs(areas: Sequence[Box]) -> tuple[Box, ...]:
    """Return areas that begin and end between pairs of columns: half a pair would keep the colour of what it showed."""
    widened = []
    for area in areas:
        left, right = area.x - area.x % 2, area.x + area.width + (area.x + area.width) % 2
        widened.append(Box(x=left, y=area.y, width=right - left, height=area.height))
    return tuple(widened)


def blank_words(words: NDArray[Any], areas: Sequence[Box], black: Black | None) -> None:
    """Make areas of a frame black, in place.

    Parameters
    ----------
    words
        Writable, of shape (rows, columns) or (rows, columns, samples); bits above the stored ones as they came.
    areas
        Parts inside the frame.
    black
        What black is; None for real numbers, which have no least one: there it is the least that the frame has.
    """
    cells = words if words.ndim > 2 else words[..., None]  # noqa: PLR2004 - rows, columns
    if black is None:
        numbers = cells[np.isfinite(cells)]
        pattern = numbers.min() if numbers.size else cells.dtype.type(0)
    else:
        cells = cells.view(cells.dtype.str.replace("i", "u"))
        pattern = black.patterns(cells)
    for area in areas:
        cells[area.y : area.y + area.height, area.x : area.x + area.width] = pattern


def blank_native(
    content: bytearray,
    first_bit: int,
    form: FrameFormat,
    areas: Sequence[Box],
    black: Black | None,
    *,
    order: str = "<",
) -> None:
    """Make areas black in the bytes that hold one native frame, in place.

    Parameters
    ----------
    content
        Bytes that hold the frame, and at most some bits more on either side.
    first_bit
        Where the frame begins, in bits; other than 0 only for frames of single bits.
    form
        The format of the frame.
    areas
        Parts inside the frame, between pairs of columns where two share their colour.
    black
        What black is; None for real numbers.
    order
        Byte order of the words, ``<`` or ``>``.

    Raises
    ------
    PixelDecodeError
        The frame is not laid out in a way that is known here.
    """
    if form.bits_allocated == 1 and form.samples == 1 and black is not None:
        bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
        cells = bits[first_bit : first_bit + form.rows * form.columns].reshape(form.rows, form.columns)
        for area in areas:
            cells[area.y : area.y + area.height, area.x : area.x + area.width] = black.values[0] & 1
        content[:] = np.packbits(bits, bitorder="little").tobytes()
        return
    if form.bits_allocated not in _WORD_BITS or first_bit:
        raise PixelDecodeError("The words of the pixels have a length that is not known here.")
    kind = "f" if black is None else "u"
    words = np.frombuffer(content, f"{order}{kind}{form.bits_allocated // 8}")[: form.frame_bits // form.bits_allocated]
    if black is not None and is_shared_in_pairs(form, native=True):
        _blank_pairs(words, form, areas, black)
        return
    blank_words(_shaped(words, form), areas, black)


def _shaped(words: NDArray[Any], form: FrameFormat) -> NDArray[Any]:
    if form.samples > 1 and form.options["planar_configuration"] == 1:
        return np.moveaxis(words.reshape(form.samples, form.rows, form.columns), 0, 2)
    return words.reshape(form.rows, form.columns, form.samples)


def _blank_pairs(words: NDArray[Any], form: FrameFormat, areas: Sequence[Box], black: Black) -> None:
    """Blank pairs of pixels, stored as two luminances and the two colour differences that both have."""
    if form.columns % 2:
        raise PixelDecodeError("An odd number of columns cannot be stored in pairs.")
    pairs = words.reshape(form.rows, form.columns // 2, 4)
    luminance, blue, red = black.patterns(pairs)
    for area in areas:
        pairs[area.y : area.y + area.height, area.x // 2 : (area.x + area.width) // 2] = luminance, luminance, blue, red
