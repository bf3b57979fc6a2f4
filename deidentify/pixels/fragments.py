"""Encapsulated pixel data written frame by frame (PS3.5 §A.4)."""

from collections.abc import Sequence
from struct import pack
from typing import BinaryIO

from deidentify.errors import RedactionError

_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_LARGEST_OFFSET = 0xFFFFFFFF
_LONGEST_FRAGMENT = 0xFFFFFFFE


class FragmentWriter:
    """Writes the offset table, the items of every frame and the delimiter to a file that can be seeked."""

    def __init__(self, target: BinaryIO, frames: int, *, has_table: bool) -> None:
        self._target = target
        self._start = target.tell()
        self._has_table = has_table
        self._at = 0
        self.offsets: list[int] = []
        self.lengths: list[int] = []
        """Bytes of each frame's only fragment without its padding; meaningless where frames have several."""
        table = bytes(4 * frames) if has_table else b""
        target.write(_ITEM + pack("<L", len(table)) + table)

    def write(self, fragments: Sequence[bytes]) -> None:
        """Write the fragments of the next frame, each padded to an even length."""
        self.offsets.append(self._at)
        self.lengths.append(sum(len(fragment) for fragment in fragments))
        for fragment in fragments:
            padded = fragment + b"\0" * (len(fragment) % 2)
            if len(padded) > _LONGEST_FRAGMENT:
                raise RedactionError("A compressed frame is longer than an item can be.")
            self._target.write(_ITEM + pack("<L", len(padded)))
            self._target.write(padded)
            self._at += 8 + len(padded)

    def finish(self) -> int:
        """Write the delimiter and the offset table; return the length of the value in bytes."""
        self._target.write(_SEQUENCE_END)
        end = self._target.tell()
        if self._has_table:
            if self.offsets[-1] > _LARGEST_OFFSET:
                raise RedactionError("The frames are longer than an offset table can say.")
            self._target.seek(self._start + 8)
            self._target.write(pack(f"<{len(self.offsets)}L", *self.offsets))
            self._target.seek(end)
        return end - self._start
