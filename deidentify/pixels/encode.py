"""Frames encoded again as they were: same transfer syntax, precision, sign and colour transform, without loss.

Nothing here is trusted: whoever calls decodes what it returns and compares.
"""

from collections.abc import Callable, Iterator, Mapping
from struct import unpack
from typing import Any

import numpy as np
import openjpeg.utils as openjpeg
import rle.utils as rle
from numpy.typing import NDArray
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from deidentify.pixels.codestream import frame_header, jpeg_segments
from deidentify.pixels.jpeg_lossless import LosslessForm, encode_lossless
from deidentify.pixels.jpeg_remarks import colour_segment

_JPEG_LOSSLESS, _JPEG_LS = 0xC3, 0xF7
_SCAN = 0xDA
_SIZE, _CODING, _TILE_PART = 0xFF51, 0xFF52, 0xFF90
_RGB = 1  # what the encoder of JPEG 2000 must be told before it applies a colour transform
_INTERLEAVED_BY_PLANE = 0
_BITS_OF_BYTE = 8


def encoded_like(syntax: UID, content: bytes, words: NDArray[Any]) -> bytes | None:
    """Return words encoded as a compressed frame was.

    Parameters
    ----------
    syntax
        The transfer syntax of the frame. In the two that allow loss the result has none.
    content
        The frame as it was: its precision, sign, colour transform and interleaving are used again.
    words
        Words as decoded, of shape (rows, columns) or (rows, columns, samples).

    Returns
    -------
    bytes or None
        The frame, not padded; None where this cannot be encoded in this syntax.
    """
    encoder = _ENCODERS.get(syntax)
    if encoder is None or words.dtype.kind not in "iu":
        return None
    try:
        return encoder(content, words if words.ndim > 2 else words[..., None])  # noqa: PLR2004 - rows, columns
    except Exception:  # noqa: BLE001 - encoders raise anything, and "cannot" is an answer here
        return None


def _rle(_content: bytes, words: NDArray[Any]) -> bytes:
    rows, columns, samples = words.shape
    return bytes(
        rle.encode_pixel_data(
            _bytes(words, words.dtype.itemsize),
            rows=rows,
            columns=columns,
            samples_per_pixel=samples,
            bits_allocated=_BITS_OF_BYTE * words.dtype.itemsize,
            number_of_frames=1,
            byteorder="<",
        )
    )


def _jpeg_lossless(content: bytes, words: NDArray[Any]) -> bytes | None:
    marker, header = frame_header(content)
    ids, is_subsampled = _components(header)
    if marker != _JPEG_LOSSLESS or len(ids) != words.shape[2] or is_subsampled:
        return None
    unsigned = _within(words, header[0])
    if unsigned is None:
        return None
    segments = b"".join(colour_segment(kind, segment) for kind, segment in jpeg_segments(content))
    return encode_lossless(unsigned, LosslessForm(precision=header[0], component_ids=ids, segments=segments))


def _jpeg_ls(content: bytes, words: NDArray[Any]) -> bytes | None:
    from jpeg_ls import encode_buffer  # noqa: PLC0415 - not there for every Python: then it cannot be encoded

    marker, header = frame_header(content)
    ids, is_subsampled = _components(header)
    precision = header[0]
    unsigned = _within(words, precision)
    if marker != _JPEG_LS or len(ids) != words.shape[2] or is_subsampled or unsigned is None:
        return None
    interleaving = next(segment for kind, segment in jpeg_segments(content) if kind == _SCAN)[-2]
    rows, columns, samples = words.shape
    if interleaving == _INTERLEAVED_BY_PLANE:
        unsigned = np.moveaxis(unsigned, 2, 0)
    source = _bytes(unsigned, -(-precision // _BITS_OF_BYTE))
    return bytes(encode_buffer(source, rows, columns, samples, precision, 0, interleaving))


def _jpeg2000(content: bytes, words: NDArray[Any]) -> bytes | None:
    segments = dict(_jpeg2000_segments(content))
    rows, columns, samples = words.shape
    components = {segments[_SIZE][at : at + 3] for at in range(36, len(segments[_SIZE]), 3)}
    depth, across, down = components.pop()
    precision, is_signed = (depth & 0x7F) + 1, bool(depth & 0x80)
    if components or (across, down) != (1, 1) or is_signed != (words.dtype.kind == "i"):
        return None
    has_transform = segments[_CODING][4] == 1
    if _within(words, precision) is None:
        return None
    # One byte a sample up to 8 bits, two up to 16, else four: what the encoder takes.
    width = 1 << max(0, (-(-precision // _BITS_OF_BYTE) - 1).bit_length())
    return bytes(
        openjpeg.encode_buffer(
            _bytes(words, width),
            columns,
            rows,
            samples,
            precision,
            is_signed,
            photometric_interpretation=_RGB if has_transform else 0,
            use_mct=has_transform,
        )
    )


def _components(header: bytes) -> tuple[tuple[int, ...], bool]:
    """Return the names of the components of a JPEG or JPEG-LS frame, and whether they differ in size."""
    components = [header[at : at + 3] for at in range(6, 6 + 3 * header[5], 3)]
    return tuple(component[0] for component in components), len({component[1] for component in components}) > 1


def _jpeg2000_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    at = 2
    while at + 4 <= len(content):
        marker, length = unpack(">HH", content[at : at + 4])
        if marker == _TILE_PART:
            return
        yield marker, content[at + 4 : at + 2 + length]
        at += 2 + length


def _within(words: NDArray[Any], precision: int) -> NDArray[Any] | None:
    """Return words as unsigned samples of so many bits; None where one has more, not counting a sign carried on."""
    unsigned: NDArray[Any] = words.view(words.dtype.str.replace("i", "u"))
    more = _BITS_OF_BYTE * unsigned.dtype.itemsize - precision
    if more <= 0:
        return None if more else unsigned
    fits = (unsigned >> precision) == 0
    if words.dtype.kind == "i":
        fits |= (unsigned >> (precision - 1)) == (2 << more) - 1
    return unsigned & unsigned.dtype.type((1 << precision) - 1) if fits.all() else None


def _bytes(words: NDArray[Any], width: int) -> bytes:
    return np.ascontiguousarray(words).astype(f"<{words.dtype.kind}{width}").tobytes()


_ENCODERS: Mapping[UID, Callable[[bytes, NDArray[Any]], bytes | None]] = {
    RLELossless: _rle,
    JPEGLossless: _jpeg_lossless,
    JPEGLosslessSV1: _jpeg_lossless,
    JPEGLSLossless: _jpeg_ls,
    JPEGLSNearLossless: _jpeg_ls,
    JPEG2000Lossless: _jpeg2000,
    JPEG2000: _jpeg2000,
}
"""JPEG 2000 and near-lossless JPEG-LS may hold a frame without loss. Nothing that we have writes HTJ2K."""
