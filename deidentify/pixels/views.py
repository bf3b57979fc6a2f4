"""How a frame is shown to the models: the full stored range first, never a window of the header."""

from collections.abc import Iterator
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut

from deidentify.pixels.decode import Frame
from deidentify.pixels.detector import Image
from deidentify.pixels.guard import decoding

_WHITE = 255.0
_FLOAT32_EXACT_BYTES = 2
_LOW_PERCENT, _HIGH_PERCENT = 0.5, 99.5
_DIFFERS_BELOW = 0.5
"""A percentile view is added where it at least doubles the contrast of the full range."""
_SURROUNDINGS_PX, _TIMES_STRONGER = 10, 4
_SAMPLES_FOR_PERCENTILES = 1 << 18


def views_of(frame: Frame, attributes: Dataset) -> list[Image]:
    """Return every view in which text could show, full stored range first; constant ones are left out.

    Views are the stored range, its 0.5 to 99.5 percentiles where they differ materially, the palette applied, every
    unused bit that is set in some words only (text can hide there, and words are passed on as they are), and where
    a float frame mixes numbers with NaN or infinities, which words are numbers.
    """
    return [view for view in _all_views(frame, attributes) if view.min() != view.max()]


def local_contrast(view: Image) -> Image:
    """Return what differs from its surroundings, four times as strong: faint letters on bright and on dark tissue."""
    wide = view.astype(np.float32)
    wide -= cv2.GaussianBlur(wide, (0, 0), _SURROUNDINGS_PX)
    stronger: Image = np.clip(wide * _TIMES_STRONGER + _WHITE / 2, 0, _WHITE).astype(np.uint8)
    return stronger


def turned(view: Image, turn: int) -> tuple[Image, NDArray[np.float64]]:
    """Return a picture turned about its middle by degrees, with room for its corners, and the way back, (2, 3)."""
    if not turn:
        return view, np.array([[1.0, 0, 0], [0, 1, 0]])
    rows, columns = view.shape[:2]
    way = cv2.getRotationMatrix2D((columns / 2, rows / 2), turn, 1.0)
    cosine, sine = abs(way[0, 0]), abs(way[0, 1])
    wide, tall = round(columns * cosine + rows * sine), round(columns * sine + rows * cosine)
    way[:, 2] += (wide - columns) / 2, (tall - rows) / 2
    level = cv2.warpAffine(view, way, (wide, tall), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(level, dtype=np.uint8), np.asarray(cv2.invertAffineTransform(way))


def _all_views(frame: Frame, attributes: Dataset) -> Iterator[Image]:
    words = frame.words
    if words.dtype.kind == "f":
        is_number = np.isfinite(words)
        if not is_number.all():
            yield is_number.astype(np.uint8) * 255
        words = np.where(is_number, words, words[is_number].min() if is_number.any() else 0)
    else:
        yield from _unused_bits(frame)
        words = _stored_values(frame)
    if words.ndim == 2:  # noqa: PLR2004 - rows, columns
        yield from _grey(words)
    else:
        yield from _colour(words)
    if frame.is_palette:
        with decoding("The palette cannot be applied."):
            coloured = apply_color_lut(words, attributes)
        yield from _colour(coloured)


def _stored_values(frame: Frame) -> NDArray[Any]:
    words = frame.words
    bits = words.dtype.itemsize * 8
    above = bits - frame.bits_stored - frame.shift
    if words.dtype.kind == "b" or (above <= 0 and frame.shift == 0):
        return words
    # Shifting up drops what lies above the stored bits; shifting down again restores the sign.
    return cast("NDArray[Any]", (words << max(0, above)) >> (max(0, above) + frame.shift))


def _unused_bits(frame: Frame) -> Iterator[Image]:
    words = frame.words
    bits = words.dtype.itemsize * 8
    if words.dtype.kind not in "iu" or bits == frame.bits_stored:
        return
    unsigned = words.view(f"u{words.dtype.itemsize}")
    used = ((1 << frame.bits_stored) - 1) << frame.shift
    # A sign repeated into the unused bits is no content of its own: compare with what the stored value would give.
    expected = (_stored_values(frame) << frame.shift).view(unsigned.dtype)
    odd = (unsigned ^ expected) & unsigned.dtype.type(~used & ((1 << bits) - 1))
    if not odd.any():
        return
    for bit in range(bits):
        plane = (odd >> bit) & 1
        if plane.any():
            yield _luminance(plane.astype(np.uint8) * 255)


def _luminance(image: Image) -> Image:
    return image if image.ndim == 2 else cast("Image", image.max(axis=2))  # noqa: PLR2004


def _grey(words: NDArray[Any]) -> Iterator[Image]:
    low, high = float(words.min()), float(words.max())
    if low == high:
        return
    yield _stretched(words, low, high)
    low_part, high_part = _percentiles(words)
    if low_part == high_part:
        # Nearly all words are equal; one outlier must not flatten what the few others draw.
        if (low, high) != (0, 1):
            yield (words != words.dtype.type(low_part)).astype(np.uint8) * 255
    elif high_part - low_part < _DIFFERS_BELOW * (high - low):
        yield _stretched(words, low_part, high_part)


def _colour(words: NDArray[Any]) -> Iterator[Image]:
    """Show colour as colour: the models are trained on it, so that no channel can hide text from them."""
    low, high = float(words.min()), float(words.max())
    if low == high:
        return
    yield _stretched(words, low, high)
    ranges = [_percentiles(words[..., channel]) for channel in range(words.shape[2])]
    spans = [high_part - low_part for low_part, high_part in ranges]
    if any(0 < span < _DIFFERS_BELOW * (high - low) for span in spans):
        yield np.stack([_stretched(words[..., channel], *ranges[channel]) for channel in range(words.shape[2])], axis=2)


def _percentiles(words: NDArray[Any]) -> tuple[float, float]:
    flat = words.reshape(-1)
    step = max(1, flat.size // _SAMPLES_FOR_PERCENTILES)
    low, high = np.percentile(flat[::step], (_LOW_PERCENT, _HIGH_PERCENT))
    return float(low), float(high)


def _stretched(words: NDArray[Any], low: float, high: float) -> Image:
    if low >= high:
        return np.zeros(words.shape, dtype=np.uint8)
    exact: NDArray[Any] = words.astype(np.float64 if words.dtype.itemsize > _FLOAT32_EXACT_BYTES else np.float32)
    exact -= low
    exact *= _WHITE / (high - low)
    return np.clip(exact, 0, _WHITE, out=exact).astype(np.uint8)
