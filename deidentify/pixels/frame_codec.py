"""A compressed frame with boxes: decoded by a named decoder, blanked, encoded as it was, decoded again and compared."""

import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

from deidentify.errors import PixelDecodeError, RedactionError
from deidentify.pixels.black import Black, black_of
from deidentify.pixels.blank import blank_native, blank_words
from deidentify.pixels.boxes import Box
from deidentify.pixels.decode import FrameFormat, check_codestream, decoded_frame, inflated_frame
from deidentify.pixels.encode import encoded_like
from deidentify.pixels.guard import decoding
from deidentify.pixels.source import DEFLATED_FRAMES, PixelSource

_FAULT = "A frame cannot be decoded."
_UNEQUAL = "A frame that was encoded again does not show what it has to."
_NEARLY_BLACK = 16
"""The share of the range in which what a quantised block is decoded to still counts as black."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlankedCodestream:
    """A lossy codestream of which blocks are black; ``areas`` is everything outside of which nothing changed."""

    content: bytes = field(repr=False)
    areas: tuple[Box, ...]


class CodestreamBlanker(Protocol):
    """Makes areas of one lossy JPEG frame black without decoding its other blocks."""

    def __call__(self, identified_content: bytes, areas: Sequence[Box]) -> BlankedCodestream | None:
        """Return the frame with the areas black, or None for a kind of JPEG that it does not know."""


@dataclass(slots=True, kw_only=True)
class FrameCodec:
    """Decodes and encodes the frames of one instance; ``decoders`` grows by the name of each decoder that was used."""

    source: PixelSource
    form: FrameFormat
    blank_codestream: CodestreamBlanker | None = None
    decoders: set[str] = field(default_factory=set)
    _decoder: Decoder | None = None

    def blanked(self, content: bytes, areas: Sequence[Box]) -> tuple[bytes, tuple[Box, ...]] | None:
        """Return a frame with areas black in the same transfer syntax, and the areas that changed.

        None stands for a frame that cannot be encoded in this syntax.

        Raises
        ------
        PixelDecodeError
            The frame cannot be decoded.
        RedactionError
            The frame was encoded and is not what it has to be.
        """
        syntax = self.source.transfer_syntax
        if syntax == DEFLATED_FRAMES:
            return self._deflated(content, areas), tuple(areas)
        if syntax in {JPEGBaseline8Bit, JPEGExtended12Bit}:
            return self._blocks_blanked(content, areas)
        words, photometric = self.decoded(content, raw=True)
        expected = words.copy()
        black = self.black(photometric)
        blank_words(expected, areas, black)
        encoded = encoded_like(syntax, content, expected)
        if encoded is None:
            return None
        written, _ = self.decoded(encoded, raw=True)
        if not _is_equal_outside(words, written, areas) or not _is_equal_inside(expected, written, areas, black):
            raise RedactionError(_UNEQUAL)
        return encoded, tuple(areas)

    def decoded(self, content: bytes, *, raw: bool) -> tuple[NDArray[Any], str]:
        """Return the words of a compressed frame and their photometric interpretation, by the first decoder that can.

        The decoders are tried in the order in which the screen tries them. ``raw`` leaves YBR as it is.
        """
        syntax = self.source.transfer_syntax
        if self._decoder is None:
            with decoding(_FAULT):
                self._decoder = get_decoder(syntax)
        with decoding(_FAULT):
            check_codestream(syntax, content, self.form)
            for plugin in self._decoder.available_plugins:
                with suppress(Exception):
                    words, photometric = decoded_frame(self._decoder, content, self.form, raw=raw, plugin=plugin)
                    self.decoders.add(plugin)
                    break
            else:
                raise PixelDecodeError(_FAULT)
            if words.shape[:2] != (self.form.rows, self.form.columns):
                raise PixelDecodeError("A frame has another size than announced.")
        return words, photometric

    def black(self, photometric: str) -> Black | None:
        """Return what is black in frames of this interpretation; None for real numbers."""
        element = self.source.element
        if element is not None and element.keyword != "PixelData":
            return None
        return black_of(self.source.attributes, self.form, photometric)

    def _deflated(self, content: bytes, areas: Sequence[Box]) -> bytes:
        black = self.black_of_form()
        with decoding(_FAULT):
            plain = bytearray(inflated_frame(content, self.form))
            blank_native(plain, 0, self.form, areas, black)
            engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            return engine.compress(plain) + engine.flush()

    def black_of_form(self) -> Black | None:
        """Return what is black in native frames."""
        return self.black(str(self.form.options["photometric_interpretation"]))

    def _blocks_blanked(self, content: bytes, areas: Sequence[Box]) -> tuple[bytes, tuple[Box, ...]] | None:
        changed = None if self.blank_codestream is None else self.blank_codestream(content, areas)
        if changed is None:
            return None
        before, photometric = self.decoded(content, raw=True)
        after, _ = self.decoded(changed.content, raw=True)
        if not _is_equal_outside(before, after, changed.areas) or not self._is_dark(after, areas, photometric):
            raise RedactionError(_UNEQUAL)
        return changed.content, changed.areas

    def _is_dark(self, words: NDArray[Any], areas: Sequence[Box], photometric: str) -> bool:
        """Tell whether the first sample is near black and one all over each area; only colour bleeds in at an edge."""
        black = self.black(photometric)
        assert black is not None
        first = words if words.ndim == 2 else words[..., 0]  # noqa: PLR2004 - rows, columns
        parts = [first[area.y : area.y + area.height, area.x : area.x + area.width].astype(np.int64) for area in areas]
        near = (1 << self.form.bits_stored) // _NEARLY_BLACK
        return all(part.min() == part.max() and abs(int(part[0, 0]) - black.values[0]) <= near for part in parts)


def _is_equal_outside(before: NDArray[Any], after: NDArray[Any], areas: Sequence[Box]) -> bool:
    if before.shape != after.shape or before.dtype != after.dtype:
        return False
    differs = before != after
    for area in areas:
        differs[area.y : area.y + area.height, area.x : area.x + area.width] = False
    return not differs.any()


def _is_equal_inside(expected: NDArray[Any], after: NDArray[Any], areas: Sequence[Box], black: Black | None) -> bool:
    """Compare stored values: how far a decoder carries a sign is not the frame's business."""
    if black is None:
        return False
    used = ((1 << black.bits_stored) - 1) << black.shift
    kind = expected.dtype.str.replace("i", "u")
    differs = (expected.view(kind) ^ after.view(kind)) & expected.view(kind).dtype.type(used)
    return not any(differs[area.y : area.y + area.height, area.x : area.x + area.width].any() for area in areas)
