"""The size that a compressed frame announces for itself, read before a decoder allocates it."""

from collections.abc import Iterator
from struct import unpack

from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

_JPEG2000_START = b"\xff\x4f\xff\x51"
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_SCAN = 0xDA
_SHORTEST_REST = 9
_LONE_MARKERS = frozenset((0x01, *range(0xD0, 0xD9)))


def announced_size(syntax: UID, content: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) of a JPEG, JPEG-LS or JPEG 2000 codestream, None for other syntaxes.

    Raises
    ------
    ValueError
        The codestream has no frame header.
    """
    if syntax in JPEG2000TransferSyntaxes:
        start = content.find(_JPEG2000_START)
        if start < 0:
            raise ValueError("no SIZ marker")
        right, bottom, left, top = unpack(">4L", content[start + 8 : start + 24])
        return bottom - top, right - left
    if syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        return _jpeg_size(content)
    return None


def _jpeg_size(content: bytes) -> tuple[int, int]:
    rows, columns = unpack(">HH", frame_header(content)[1][1:5])
    return rows, columns


def frame_header(content: bytes) -> tuple[int, bytes]:
    """Return the marker's last byte and the content of the frame header of JPEG or JPEG-LS, or raise ValueError."""
    for marker, segment in jpeg_segments(content):
        if marker in _FRAME_HEADERS:
            return marker, segment
    raise ValueError("no frame header")


def jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of the segments ahead of the first entropy-coded data; raises ValueError on others."""
    at = content.find(b"\xff\xd8") + 2
    while 0 < at < len(content) - _SHORTEST_REST:
        if content[at] != 0xFF:  # noqa: PLR2004 - every JPEG marker starts with it
            raise ValueError("no marker where one must be")
        marker = content[at + 1]
        if marker == 0xFF:  # noqa: PLR2004 - fill byte
            at += 1
        elif marker in _LONE_MARKERS:
            at += 2
        else:
            (length,) = unpack(">H", content[at + 2 : at + 4])
            yield marker, content[at + 4 : at + 2 + length]
            if marker == _SCAN:
                return
            at += 2 + length
