"""One frame of an original as a person looks at it: its full stored range, its palette applied, no window."""

from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import ExplicitVRLittleEndian

from deidentify.errors import PixelDecodeError
from deidentify.pixels.decode import FrameFormat, check_codestream, decoded_frame, fragmented_frames, inflated_frame
from deidentify.pixels.guard import decoding
from deidentify.pixels.source import DEFLATED_FRAMES, PixelSource

__all__ = ["MOST_PIXELS", "full_range"]

MOST_PIXELS = 64 * 1024 * 1024
"""Rows times columns of a frame that is shown at most."""
_WHITE = 255.0
_GREY = 2
"""Dimensions of a frame without colour."""


def full_range(source: PixelSource, form: FrameFormat, index: int) -> NDArray[np.uint8]:
    """Return one frame, counted from 0, with shape (rows, columns) or (rows, columns, 3); no other frame is decoded.

    Raises
    ------
    PixelDecodeError
        When it cannot be decoded.
    """
    if form.rows * form.columns > MOST_PIXELS:
        raise PixelDecodeError("The frame is too large to be shown.")
    with decoding("The frame cannot be decoded."):
        values = _stored(_words(source, form, index), form)
        if form.is_palette:
            values = apply_color_lut(values, source.attributes)
        shown = _stretched(values)
    is_inverse = form.options["photometric_interpretation"] == "MONOCHROME1" and shown.ndim == _GREY
    return np.invert(shown) if is_inverse else shown


def _words(source: PixelSource, form: FrameFormat, index: int) -> NDArray[Any]:
    element = source.element
    assert element is not None
    source.identified_file.seek(element.position)
    is_deflated = source.transfer_syntax == DEFLATED_FRAMES
    if not (is_deflated or source.transfer_syntax.is_encapsulated):
        decoder = get_decoder(source.transfer_syntax)
        return decoder.as_array(source.identified_file, index=index, raw=False, **form.options)[0]
    content = b"".join(next(islice(fragmented_frames(source, form), index, None)))
    if is_deflated:
        options = form.options | {"transfer_syntax_uid": ExplicitVRLittleEndian, "number_of_frames": 1}
        native = get_decoder(ExplicitVRLittleEndian)
        return native.as_array(inflated_frame(content, form), raw=False, **options)[0]
    check_codestream(source.transfer_syntax, content, form)
    return decoded_frame(get_decoder(source.transfer_syntax), content, form, raw=False)[0]


def _stored(words: NDArray[Any], form: FrameFormat) -> NDArray[Any]:
    """Return the stored values alone, without what stands in unused bits; of floats what are numbers."""
    if words.dtype.kind == "f":
        is_number = np.isfinite(words)
        return np.where(is_number, words, words[is_number].min() if is_number.any() else 0)
    above = words.dtype.itemsize * 8 - form.bits_stored - form.shift
    if words.dtype.kind == "b" or (above <= 0 and form.shift == 0):
        return words
    # Shifting up drops what lies above the stored bits; shifting down again restores the sign.
    shifted: NDArray[Any] = (words << max(0, above)) >> (max(0, above) + form.shift)
    return shifted


def _stretched(values: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    if low >= high:
        return np.zeros(values.shape, np.uint8)
    exact = (values.astype(np.float64) - low) * (_WHITE / (high - low))
    rounded: NDArray[np.uint8] = np.clip(exact + 0.5, 0, _WHITE).astype(np.uint8)
    return rounded
