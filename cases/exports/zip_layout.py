"""Where each byte of a ZIP file of stored entries lies, before any of them is read (APPNOTE 6.3).

Sizes and CRC-32 of all entries are known beforehand, so that the length of the whole and any part of it follow from
them alone: a download that broke off goes on in the middle, and nothing before is read again. Nothing is compressed,
no time is told, and the order is that of the entries, so that the same entries always give the same bytes.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["ZipEntry", "ZipLayout", "ZipPart"]

_LIMIT_16, _LIMIT_32 = 0xFFFF, 0xFFFFFFFF
"""What stands in a field for "see ZIP64"; larger numbers do not fit into it."""
_LOCAL, _CENTRAL, _END = 0x04034B50, 0x02014B50, 0x06054B50
_END_64, _LOCATOR_64 = 0x06064B50, 0x07064B50
_ZIP64 = 0x0001
_PLAIN_VERSION, _ZIP64_VERSION = 20, 45
_UNIX = 3 << 8
_UTF_8 = 1 << 11
_TIME, _DATE = 0, (1 << 5) | 1
"""Midnight of 1 January 1980, the first day that there is: a true one would tell when the case was worked on."""
_ORDINARY_FILE = 0o100644 << 16
_MAX_NAME_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipEntry:
    """A file of the archive; folders are made of its name."""

    name: str
    """Relative, with ``/`` between folders."""
    size_bytes: int
    crc32: int

    def __post_init__(self) -> None:
        steps = self.name.split("/")
        if not all(steps) or {".", ".."} & set(steps) or "\\" in self.name or len(self._name) > _MAX_NAME_BYTES:
            raise ValueError("this is no name of a file in an archive")
        if self.size_bytes < 0 or not 0 <= self.crc32 <= _LIMIT_32:
            raise ValueError("a size is no negative number, and a CRC-32 has 32 bits")

    @property
    def _name(self) -> bytes:
        return self.name.encode()

    @property
    def _is_large(self) -> bool:
        return self.size_bytes >= _LIMIT_32

    @property
    def _flags(self) -> int:
        return 0 if self.name.isascii() else _UTF_8

    @property
    def local_header_bytes(self) -> int:
        """Return how long ``local_header`` is."""
        return struct.calcsize("<IHHHHHIIIHH") + len(self._name) + (20 if self._is_large else 0)

    def local_header(self) -> bytes:
        """Return what stands before the file (§4.3.7)."""
        extra, size = b"", self.size_bytes
        if self._is_large:
            extra, size = struct.pack("<HHQQ", _ZIP64, 16, size, size), _LIMIT_32
        version = _ZIP64_VERSION if self._is_large else _PLAIN_VERSION
        fixed = struct.pack(
            *("<IHHHHHIIIHH", _LOCAL, version, self._flags, 0, _TIME, _DATE, self.crc32),
            *(size, size, len(self._name), len(extra)),
        )
        return fixed + self._name + extra

    def central_header_bytes(self, offset: int) -> int:
        """Return how long ``central_header`` is."""
        large = 8 * (2 * self._is_large + (offset >= _LIMIT_32))
        return struct.calcsize("<IHHHHHHIIIHHHHHII") + len(self._name) + (4 + large if large else 0)

    def central_header(self, offset: int) -> bytes:
        """Return what the directory at the end says of the file (§4.3.12)."""
        size, large = self.size_bytes, []
        if self._is_large:
            large, size = [size, size], _LIMIT_32
        if offset >= _LIMIT_32:
            large, offset = [*large, offset], _LIMIT_32
        extra = struct.pack(f"<HH{len(large)}Q", _ZIP64, 8 * len(large), *large) if large else b""
        version = _ZIP64_VERSION if large else _PLAIN_VERSION
        fixed = struct.pack(
            *("<IHHHHHHIIIHHHHHII", _CENTRAL, _UNIX | version, version, self._flags, 0, _TIME, _DATE, self.crc32),
            *(size, size, len(self._name), len(extra), 0, 0, 0, _ORDINARY_FILE, offset),
        )
        return fixed + self._name + extra


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipPart:
    """A run of bytes of the archive: ``literal`` itself, or ``length`` bytes of an entry's file from ``offset`` on."""

    literal: bytes = b""
    entry: int | None = None
    """Place of the entry among all; None for a literal."""
    offset: int = 0
    length: int = 0


class ZipLayout:
    """An archive of these entries, in this order.

    Parameters
    ----------
    entries
        Names, sizes and CRC-32 of what is in it.

    Raises
    ------
    ValueError
        When two entries have one name.
    """

    def __init__(self, entries: Sequence[ZipEntry]) -> None:
        if len({entry.name for entry in entries}) != len(entries):
            raise ValueError("two files of an archive have one name")
        self._entries = tuple(entries)
        self._offsets: list[int] = []
        """Of the local headers."""
        self._places: list[int] = []
        """Of the directory's headers."""
        at = 0
        for entry in self._entries:
            self._offsets.append(at)
            at += entry.local_header_bytes + entry.size_bytes
        self._directory = at
        for entry, offset in zip(self._entries, self._offsets, strict=True):
            self._places.append(at)
            at += entry.central_header_bytes(offset)
        self._end = at
        self._tail = self._end_records()
        self.size_bytes = at + len(self._tail)
        """Of the whole archive."""

    def parts(self, start: int = 0, stop: int | None = None) -> Iterator[ZipPart]:
        """Yield what the bytes from ``start`` to before ``stop`` (None: the end) are made of, none of them empty."""
        stop = self.size_bytes if stop is None else min(stop, self.size_bytes)
        if start < self._directory:
            yield from self._file_parts(start, min(stop, self._directory))
        if stop > self._directory and start < self._end:
            yield from self._directory_parts(max(start, self._directory), min(stop, self._end))
        if stop > max(start, self._end):
            yield ZipPart(literal=self._tail[max(0, start - self._end) : stop - self._end])

    def _file_parts(self, start: int, stop: int) -> Iterator[ZipPart]:
        for number in range(max(0, bisect_right(self._offsets, start) - 1), len(self._entries)):
            offset, entry = self._offsets[number], self._entries[number]
            if offset >= stop:
                return
            data = offset + entry.local_header_bytes
            if start < data:
                yield ZipPart(literal=entry.local_header()[max(0, start - offset) : stop - offset])
            begin, end = max(start, data), min(stop, data + entry.size_bytes)
            if begin < end:
                yield ZipPart(entry=number, offset=begin - data, length=end - begin)

    def _directory_parts(self, start: int, stop: int) -> Iterator[ZipPart]:
        for number in range(max(0, bisect_right(self._places, start) - 1), len(self._entries)):
            place = self._places[number]
            if place >= stop:
                return
            header = self._entries[number].central_header(self._offsets[number])
            if literal := header[max(0, start - place) : stop - place]:
                yield ZipPart(literal=literal)

    def _end_records(self) -> bytes:
        """Return what closes the archive (§4.3.14 to §4.3.16)."""
        count, size, at = len(self._entries), self._end - self._directory, self._directory
        large = b""
        if count >= _LIMIT_16 or size >= _LIMIT_32 or at >= _LIMIT_32:
            version = _ZIP64_VERSION
            large = struct.pack(
                *("<IQHHIIQQQQ", _END_64, 44, _UNIX | version, version, 0, 0, count, count, size, at),
            ) + struct.pack("<IIQI", _LOCATOR_64, 0, self._end, 1)
        few = min(count, _LIMIT_16)
        return large + struct.pack("<IHHHHIIH", _END, 0, 0, few, few, min(size, _LIMIT_32), min(at, _LIMIT_32), 0)
