"""What writers put beside the pixels of compressed frames: JPEG APPn and COM, JPEG 2000 COM, bytes behind the end."""

import struct
from collections.abc import Iterator

from deidentify.dataset import Buffer

_LONGEST_HEADER = 1 << 20
_TAIL = 1 << 16


def comments_of(buffer: Buffer, span: tuple[int, int]) -> Iterator[bytes]:
    """Yield the comment segments of every fragment of encapsulated pixel data."""
    position, end = span[0], span[0] + span[1]
    while position + 8 <= end:
        marker, length = buffer[slice(position, position + 4)], buffer[slice(position + 4, position + 8)]
        (size,) = struct.unpack("<I", length)
        position += 8
        if marker != b"\xfe\xff\x00\xe0":
            return
        head = buffer[slice(position, min(position + min(size, _LONGEST_HEADER), end))]
        if head[:2] == b"\xff\xd8":
            yield from _segments(head, frozenset((*range(0xE0, 0xF0), 0xFE)), 0xDA)
        elif head[:4] == b"\xff\x4f\xff\x51":
            yield from _segments(head, frozenset((0x64,)), 0x90)
        tail = buffer[slice(max(position, position + size - _TAIL), min(position + size, end))]
        stop = tail.rfind(b"\xff\xd9")
        if stop >= 0 and len(tail) - stop > 4:  # noqa: PLR2004 - end marker and padding
            yield tail[stop + 2 :]
        position += size


def _segments(head: bytes, wanted: frozenset[int], last: int) -> Iterator[bytes]:
    position = 2
    while position + 4 <= len(head) and head[position] == 0xFF:  # noqa: PLR2004
        kind = head[position + 1]
        if kind == 0xFF:  # noqa: PLR2004 - fill byte
            position += 1
            continue
        if kind == last:
            return
        (size,) = struct.unpack_from(">H", head, position + 2)
        if kind in wanted:
            yield head[position + 4 : position + 2 + size]
        position += 2 + size
