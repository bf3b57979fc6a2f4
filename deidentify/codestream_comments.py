"""What writers put beside the pixels of compressed frames: JPEG APPn and COM, JPEG 2000 COM, bytes behind the end."""

import re
import struct
from collections.abc import Iterator
from itertools import pairwise

from deidentify.dataset import Buffer
from deidentify.vocabulary import folded, vocabulary

_APPLICATION_OR_COMMENT = frozenset((*range(0xE0, 0xF0), 0xFE))
_BEGINNINGS = frozenset((b"\xff\xd8", b"\xff\x4f"))
"""Of the codestreams of JPEG and JPEG 2000."""
_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
"""What ends entropy-coded data: no stuffed byte of JPEG or JPEG-LS, no restart marker, no fill byte."""
_TEXT = re.compile(
    rb"[A-Za-z\x80-\xff]{4,}|(?:[A-Za-z]\0){4,}|(?:\0[A-Za-z]){4,}|\d{5,}|\d{1,4}[-./:]\d{1,2}[-./:]\d{2,4}"
)
_PRINTABLE = bytes((0x09, 0x0A, 0x0D, *range(0x20, 0x7F)))
_MOST_BINARY = 64
"""Bytes that are no text in a segment of an encoder; a readable picture needs more."""
_JFIF_BYTES = 14
_RLE_HEADER = 64
"""Bytes of the header of an RLE frame."""
_WRITERS = frozenset(
    """
    adobe photoshop ducky jfif jfxx ljif spiff exif creator created openjpeg openjph kakadu jasper gdcm lead
    technologies mitra dicom standard jpeg jpegls lossless lossy baseline lavc libjpeg aware pegasus accusoft dcmjpeg
    offis dcmtk charls matrox version copyright inc handmade software intel corporation gimp imagemagick
    """.split()  # noqa: SIM905 - to be read as words
)
"""Words that encoders leave in comment segments."""


def comments_of(buffer: Buffer, span: tuple[int, int]) -> Iterator[bytes]:
    """Yield the comment segments of every frame of encapsulated pixel data, and what lies behind the ends of frames.

    A Basic Offset Table that holds something else than offsets is yielded too.
    """
    (size,) = struct.unpack("<I", buffer[slice(span[0] + 4, span[0] + 8)])
    table = buffer[slice(span[0] + 8, span[0] + 8 + size)]
    if table[:2] not in _BEGINNINGS and not _are_offsets(table, span[1]):
        yield table
    for frame in _frames(buffer, span):
        if frame[:2] == b"\xff\xd8":
            yield from _jpeg_comments(frame)
        elif frame[:4] == b"\xff\x4f\xff\x51":
            yield from _jpeg2000_comments(frame)
        else:
            # RLE and deflated frames hold no comments; what lies behind their end is the decoder's to refuse.
            slack = _rle_slack(frame)
            if any(slack):
                yield slack
            continue
        stop = frame.rfind(b"\xff\xd9")
        if stop >= 0 and len(frame) - stop > 4:  # noqa: PLR2004 - end marker and padding
            yield frame[stop + 2 :]


def _rle_slack(frame: bytes) -> bytes:
    """Return the offsets in the header of an RLE frame that belong to no segment (PS3.5 §G.5: zero)."""
    return frame[4 + 4 * frame[0] : _RLE_HEADER] if _is_rle(frame) else b""


def _is_rle(frame: bytes) -> bool:
    """Tell whether bytes begin with the header of an RLE frame: up to 15 segments, the first behind the header."""
    if len(frame) < _RLE_HEADER:
        return False
    segments, first = struct.unpack_from("<II", frame)
    return bool(0 < segments < 16 and first == _RLE_HEADER)  # noqa: PLR2004 - PS3.5 §G.5


def _are_offsets(table: bytes, end: int) -> bool:
    """Tell whether a Basic Offset Table is one (PS3.5 §A.4): the first is zero, each is larger than the one before."""
    offsets = [offset for (offset,) in struct.iter_unpack("<I", table)] if len(table) % 4 == 0 else [end]
    return all(one < other for one, other in pairwise((-1, *offsets, end))) and not any(offsets[:1])


def _frames(buffer: Buffer, span: tuple[int, int]) -> Iterator[bytes]:
    """Yield the fragments, those joined to one that do not begin a codestream of their own: a comment may cross."""
    position, end = span[0], span[0] + span[1]
    frame, is_table = b"", True
    while position + 8 <= end:
        marker, length = buffer[slice(position, position + 4)], buffer[slice(position + 4, position + 8)]
        (size,) = struct.unpack("<I", length)
        position += 8
        if marker != b"\xfe\xff\x00\xe0":
            break
        content = buffer[slice(position, min(position + size, end))]
        position += size
        is_codestream = content[:2] in _BEGINNINGS
        if is_table and not is_codestream:
            is_table = False
            continue
        is_table = False
        if frame and not is_codestream and (frame[:2] in _BEGINNINGS or not _is_rle(content)):
            frame += content
            continue
        if frame:
            yield frame
        frame = content
    if frame:
        yield frame


def is_known_comment(comment: bytes) -> bool:
    """Tell whether all text of a comment segment is what encoders write; times, numbers and other words are not."""
    if comment.startswith(b"ICC_PROFILE\0"):
        return True
    known = vocabulary() | _WRITERS
    found = (match.group().decode("latin-1").replace("\0", "") for match in _TEXT.finditer(comment))
    return all(folded(text) in known for text in found)


def may_hold_picture(comment: bytes) -> bool:
    """Tell whether a comment segment has room for a picture, which no search for text would find: a thumbnail, say.

    A thumbnail shows what the image showed when it was made, and nobody looks at it here.
    """
    if comment.startswith(b"JFIF\0"):
        return len(comment) > _JFIF_BYTES or any(comment[_JFIF_BYTES - 2 :])
    if comment.startswith(b"JFXX\0") or b"\xff\xd8\xff" in comment:
        return True
    if comment.startswith(b"ICC_PROFILE\0"):
        return False
    return len(comment.rstrip(b"\0").translate(None, _PRINTABLE)) > _MOST_BINARY


def _jpeg_comments(frame: bytes) -> Iterator[bytes]:
    at = 2
    while at + 4 <= len(frame) and frame[at] == 0xFF:  # noqa: PLR2004
        kind = frame[at + 1]
        if kind == 0xFF:  # noqa: PLR2004 - fill byte
            at += 1
            continue
        if kind == 0xD9:  # noqa: PLR2004 - the end
            return
        (size,) = struct.unpack_from(">H", frame, at + 2)
        if kind in _APPLICATION_OR_COMMENT:
            yield frame[at + 4 : at + 2 + size]
        at += 2 + size
        if kind == 0xDA:  # noqa: PLR2004 - a scan: more segments may follow its data
            found = _MARKER.search(frame, at)
            if found is None:
                return
            at = found.start()


def _jpeg2000_comments(frame: bytes) -> Iterator[bytes]:
    at, tile_end = 2, 0
    while at + 12 <= len(frame):
        kind, size = struct.unpack_from(">HH", frame, at)
        if kind == 0xFFD9:  # noqa: PLR2004 - the end
            return
        if kind == 0xFF93:  # noqa: PLR2004 - data of the tile part, up to the next one
            if tile_end <= at:
                return
            at = tile_end
            continue
        if kind == 0xFF90:  # noqa: PLR2004 - a tile part, which has a header of its own
            (tile_part,) = struct.unpack_from(">L", frame, at + 6)
            tile_end = at + tile_part if tile_part else 0
        elif kind == 0xFF64:  # noqa: PLR2004 - comment
            yield frame[at + 4 : at + 2 + size]
        at += 2 + size
