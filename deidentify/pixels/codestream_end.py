"""Where a compressed frame ends: decoders stop there, and what lies behind would be passed on unread.

A second picture, or a text, behind the end of a frame is seen by nobody who looks at the image, and by everybody who
looks at the file.
"""

import re
from itertools import pairwise
from struct import unpack, unpack_from

from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

_HTJ2K = frozenset(f"1.2.840.10008.1.2.4.20{last}" for last in "123")
_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
"""What interrupts entropy-coded data: no stuffed byte of JPEG or JPEG-LS, no restart marker, no fill byte."""
_START, _END, _SCAN, _ALONE = 0xD8, 0xD9, 0xDA, frozenset((0x01, *range(0xD0, 0xD8)))
_TILE_PART, _CODESTREAM_END = 0xFF90, 0xFFD9
_MOST_SEGMENTS = 15


def bytes_behind_end(syntax: UID, content: bytes, segment_bytes: int) -> bytes:
    """Return what follows the one codestream of a frame, without zeros of padding; empty for other syntaxes.

    ``segment_bytes`` is what one segment of RLE unpacks to.

    Raises
    ------
    ValueError
        The codestream does not begin where the frame begins, or has no end.
    """
    if syntax in JPEG2000TransferSyntaxes or syntax in _HTJ2K:
        end = _jpeg2000_end(content)
    elif syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        end = _jpeg_end(content)
    elif syntax == RLELossless:
        return _behind_segments(content, segment_bytes)
    else:
        return b""
    return content[end:].rstrip(b"\0")


def _jpeg_end(content: bytes) -> int:
    if content[:2] != b"\xff\xd8":
        raise ValueError("no start of image at the start")
    at = 2
    while at + 2 <= len(content):
        if content[at] != 0xFF:  # noqa: PLR2004 - every marker starts with it
            raise ValueError("no marker where one must be")
        kind = content[at + 1]
        if kind == 0xFF:  # noqa: PLR2004 - fill byte
            at += 1
        elif kind == _END:
            return at + 2
        elif kind == _START:
            raise ValueError("a second image begins inside the first")
        elif kind in _ALONE:
            at += 2
        else:
            at += 2 + int(unpack_from(">H", content, at + 2)[0])
            if kind == _SCAN:
                found = _MARKER.search(content, at)
                at = found.start() if found else len(content)
    return len(content)


def _jpeg2000_end(content: bytes) -> int:
    if content[:4] != b"\xff\x4f\xff\x51":
        raise ValueError("no codestream at the start")
    at = 2
    while at + 4 <= len(content):
        kind, length = unpack_from(">HH", content, at)
        if kind == _CODESTREAM_END:
            return at + 2
        if kind == _TILE_PART:
            (tile_part,) = unpack_from(">L", content, at + 6)
            if tile_part == 0:
                # The last one, until the end of the codestream, which cannot be told from data without decoding.
                return len(content)
            at += tile_part
        else:
            at += 2 + length
    if content[at : at + 2] in {b"\xff\xd9", b""}:
        return len(content)
    raise ValueError("the tile parts do not end where the codestream ends")


def _behind_segments(content: bytes, segment_bytes: int) -> bytes:
    """Return what no run of any segment uses (PS3.5 Annex G)."""
    count, *offsets = unpack("<16L", content[:64])
    if not 0 < count <= _MOST_SEGMENTS:
        raise ValueError("no such number of segments")
    bounds = [*offsets[:count], len(content)]
    if bounds[0] != 64 or sorted(bounds) != bounds or any(offsets[count:]):  # noqa: PLR2004 - length of the header
        raise ValueError("the segments do not follow each other")
    behind = b""
    for start, stop in pairwise(bounds):
        behind += content[_runs_end(content, start, stop, segment_bytes) : stop].strip(b"\0")
    return behind


def _runs_end(content: bytes, start: int, stop: int, segment_bytes: int) -> int:
    at, left = start, segment_bytes
    while left > 0 and at < stop:
        kind = content[at]
        if kind < 128:  # noqa: PLR2004 - a literal run
            at += kind + 2
            left -= kind + 1
        elif kind == 128:  # noqa: PLR2004 - no run at all
            at += 1
        else:
            at += 2
            left -= 257 - kind
    return at
