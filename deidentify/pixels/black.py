"""What black is in the words of a frame (PS3.3 §C.7.6.3.1.2), whatever window somebody looks through."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut

from deidentify.errors import RedactionError
from deidentify.pixels.decode import FrameFormat
from deidentify.pixels.guard import decoding

_LUMINANCE = np.array([0.299, 0.587, 0.114])
_WIDEST_INDEX = 16
_YBR = ("YBR_FULL", "YBR_FULL_422")
_AS_RGB = ("RGB", "YBR_RCT", "YBR_ICT")
"""The transforms of JPEG 2000 are undone by its decoder: their samples are RGB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Black:
    """The stored value of each sample of a black pixel, and where it lies in its word; negative where signed."""

    values: tuple[int, ...]
    bits_stored: int
    shift: int
    is_signed: bool

    def patterns(self, unsigned: NDArray[Any]) -> NDArray[Any]:
        """Return the words of a black pixel, for a frame of unsigned words of shape (..., samples).

        Unused bits are zero, so that nothing of an overlay is left in them. Only where every word of the frame carries
        its sign on into the bits above, black does too: a reader that takes the whole word for the value would else
        see a bright one.
        """
        bits = 8 * unsigned.dtype.itemsize
        above = ((1 << bits) - 1) & ~((1 << (self.bits_stored + self.shift)) - 1)
        used = ((1 << self.bits_stored) - 1) << self.shift
        is_carried = self.is_signed and above and _carries_sign(unsigned, self.bits_stored + self.shift)
        patterns = [
            ((value << self.shift) & used) | (above if value < 0 and is_carried else 0) for value in self.values
        ]
        return np.array(patterns, dtype=unsigned.dtype)


def black_of(attributes: Dataset, form: FrameFormat, photometric: str) -> Black:
    """Return what is black in the frames of an instance.

    MONOCHROME2 is black at its least value and MONOCHROME1 at its greatest, also where values are signed: that is what
    the Standard says, and no window, however wide, shows it any brighter than another value. The padding value is not
    used: it would say that there was no image, and a reader that does not know it shows what its number stands for.
    A palette is black at the index of its darkest colour.

    Raises
    ------
    RedactionError
        Black is not known for this photometric interpretation.
    PixelDecodeError
        The palette cannot be read.
    """
    is_signed = form.options.get("pixel_representation", 0) == 1
    stored = form.bits_stored
    least, greatest = (-(1 << (stored - 1)), (1 << (stored - 1)) - 1) if is_signed else (0, (1 << stored) - 1)
    if form.samples == 1 and photometric in {"MONOCHROME1", "MONOCHROME2"}:
        values: tuple[int, ...] = (greatest if photometric == "MONOCHROME1" else least,)
    elif form.samples == 1 and photometric == "PALETTE COLOR":
        values = (_darkest_index(attributes, least, greatest, stored),)
    elif form.samples == 3 and photometric in _AS_RGB:  # noqa: PLR2004 - red, green, blue
        values = (least, least, least)
    elif form.samples == 3 and photometric in _YBR and not is_signed:  # noqa: PLR2004
        values = (0, 1 << (stored - 1), 1 << (stored - 1))
    else:
        raise RedactionError("It is not known what is black in this photometric interpretation.")
    return Black(values=values, bits_stored=stored, shift=form.shift, is_signed=is_signed)


def _darkest_index(attributes: Dataset, least: int, greatest: int, stored: int) -> int:
    if stored > _WIDEST_INDEX:
        raise RedactionError("A palette with so many bits for its index has no darkest colour that is looked for.")
    with decoding("The palette cannot be applied."):
        colours = apply_color_lut(np.arange(least, greatest + 1, dtype=np.int32), attributes)
        return least + int(np.argmin(colours[..., :3] @ _LUMINANCE))


def _carries_sign(unsigned: NDArray[Any], bits: int) -> bool:
    above = unsigned >> (bits - 1)
    all_set = (1 << (8 * unsigned.dtype.itemsize - bits + 1)) - 1
    return bool(((above == 0) | (above == all_set)).all())
