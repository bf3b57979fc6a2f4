"""Native pixel data with boxes made black: the value is copied, then changed frames are written over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from deidentify.errors import PixelDecodeError
from deidentify.pixels.black import Black
from deidentify.pixels.blank import blank_native
from deidentify.pixels.boxes import Box
from deidentify.pixels.decode import FrameFormat
from deidentify.pixels.guard import decoding
from deidentify.pixels.source import PixelSource

_CHUNK_BYTES = 1 << 20
_BYTE_BITS = 8


def copy_value(source: PixelSource, target: BinaryIO) -> None:
    """Copy the value of the pixel data as it is."""
    element = source.element
    assert element is not None
    source.identified_file.seek(element.position)
    left = element.length
    while left:
        chunk = source.identified_file.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise PixelDecodeError("The pixel data end before their announced length.")
        target.write(chunk)
        left -= len(chunk)


def write_native(
    source: PixelSource,
    form: FrameFormat,
    areas: Mapping[int, Sequence[Box]],
    black: Black | None,
    target: BinaryIO,
) -> None:
    """Write native pixel data of which areas are black, one changed frame in memory at a time.

    Parameters
    ----------
    source
        The instance with its pixel data.
    form
        Their format.
    areas
        What becomes black in which frame.
    black
        What black is; None for real numbers.
    target
        Takes the value from where it stands; has to be seekable.
    """
    start = target.tell()
    copy_value(source, target)
    end = target.tell()
    layout = _Layout(source=source, form=form, black=black)
    before = _Span(start=0, content=bytearray())
    for index in sorted(areas):
        span = layout.read(index)
        span.take_over(before)
        with decoding("A frame cannot be decoded."):
            layout.blank(span, index, areas[index])
        target.seek(start + span.start)
        target.write(span.content)
        before = span
    target.seek(end)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Whole bytes, or words of 16 bits where those are swapped, that hold a frame; neighbours may share one."""

    start: int
    content: bytearray = field(repr=False)

    def take_over(self, before: "_Span") -> None:
        """Take what the frame before has written into bytes that belong to both."""
        at = self.start - before.start
        shared = before.content[at : at + len(self.content)]
        self.content[: len(shared)] = shared


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layout:
    """Where the frames of a native value lie."""

    source: PixelSource
    form: FrameFormat
    black: Black | None

    @property
    def is_swapped(self) -> bool:
        """Say whether bytes lie swapped in words of 16 bits, as OW has them in big endian."""
        element = self.source.element
        assert element is not None
        is_little = self.source.transfer_syntax.is_little_endian
        return not is_little and self.form.bits_allocated == _BYTE_BITS and element.vr == "OW"

    def read(self, index: int) -> _Span:
        """Read the bytes that hold a frame."""
        element = self.source.element
        assert element is not None
        start = index * self.form.frame_bits // _BYTE_BITS
        stop = -(-(index + 1) * self.form.frame_bits // _BYTE_BITS)
        if self.is_swapped:
            start, stop = start - start % 2, stop + stop % 2
        if stop > element.length:
            raise PixelDecodeError("The pixel data are shorter than announced.")
        self.source.identified_file.seek(element.position + start)
        content = bytearray(self.source.identified_file.read(stop - start))
        if len(content) != stop - start:
            raise PixelDecodeError("The pixel data end before their announced length.")
        return _Span(start=start, content=content)

    def blank(self, span: _Span, index: int, areas: Sequence[Box]) -> None:
        """Make areas of a frame black in its bytes."""
        is_little = self.source.transfer_syntax.is_little_endian
        element = self.source.element
        if self.form.bits_allocated == 1 and not is_little and element is not None and element.vr == "OW":
            raise PixelDecodeError("Single bits in big endian words are not known here.")
        first_bit = index * self.form.frame_bits - span.start * _BYTE_BITS
        if not self.is_swapped:
            blank_native(span.content, first_bit, self.form, areas, self.black, order="<" if is_little else ">")
            return
        straight = bytearray(np.frombuffer(span.content, np.uint16).byteswap().tobytes())
        at, length = first_bit // _BYTE_BITS, self.form.frame_bits // _BYTE_BITS
        frame = straight[at : at + length]
        blank_native(frame, 0, self.form, areas, self.black)
        straight[at : at + length] = frame
        span.content[:] = np.frombuffer(straight, np.uint16).byteswap().tobytes()
