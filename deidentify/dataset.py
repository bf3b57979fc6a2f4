"""Data sets as light trees of raw elements, and their encoding (PS3.5 §7).

Values stay the bytes they were; long binary values are not read at all but kept as spans of the source, so that memory
does not grow with the size of the pixel data.
"""

import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from deidentify.dictionary import SWAP_SIZES
from deidentify.errors import UnreadableInstanceError

LONG_FORM_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))
"""VRs with a 32 bit length in explicit encodings (PS3.5 §7.1.2)."""
SHORT_FORM_VRS = frozenset(
    (
        *("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO"),
        *("LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"),
    )
)
_PADDED_VRS = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_TAGS = frozenset((0x7FE00008, 0x7FE00009, 0x7FE00010))
MOST_INFLATED_BYTES = 1 << 30


TAG_AND_LENGTH = {True: struct.Struct("<HHI"), False: struct.Struct(">HHI")}
_LONG_HEADER = {True: struct.Struct("<HH2sHI"), False: struct.Struct(">HH2sHI")}
SHORT_HEADER = {True: struct.Struct("<HH2sH"), False: struct.Struct(">HH2sH")}


class Buffer(Protocol):
    """What both bytes and a memory map offer."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: slice, /) -> bytes: ...


class Element:
    """One element: a value, or items, or a span of the source.

    ``span`` is (offset, length); for encapsulated pixel data it covers all fragments with the closing delimiter.
    ``run`` is (start, stop) of the whole element in the source, header and items included, where writing it anew would
    say the same: an element that stays as it is can be copied from there.
    """

    __slots__ = ("encapsulated", "items", "run", "span", "tag", "value", "vr")

    def __init__(
        self,
        tag: int,
        vr: str,
        value: bytes = b"",
        run: tuple[int, int] | None = None,
        *,
        items: "list[list[Element]] | None" = None,
        span: tuple[int, int] | None = None,
        encapsulated: bool = False,
    ) -> None:
        self.tag = tag
        self.vr = vr
        self.value = value
        self.items = items
        self.span = span
        self.encapsulated = encapsulated
        self.run = run

    def __repr__(self) -> str:
        """Show the tag and VR, never the value."""
        return f"<Element {tag_text(self.tag)} {self.vr}>"

    @property
    def is_empty(self) -> bool:
        """Whether there is no value at all: no bytes but padding, no item."""
        if self.items is not None:
            return not self.items
        if self.span is not None:
            return False
        return not (self.value.strip(b" \0") if self.vr in _PADDED_VRS else self.value)


def tag_text(tag: int) -> str:
    """Return a tag as (gggg,eeee)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


class Source:
    """The bytes of a file: mapped where it is a real file, inflated where the data set is deflated."""

    def __init__(self, file: BinaryIO, *, deflated_at: int | None = None) -> None:
        self._map: mmap.mmap | None = None
        self.buffer: Buffer = self._whole(file)
        if deflated_at is not None:
            head = self.buffer[slice(0, deflated_at)]
            self.buffer = head + _inflated(self.buffer[slice(deflated_at, len(self.buffer))])
            self.close()

    def _whole(self, file: BinaryIO) -> Buffer:
        try:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            # A buffer in memory, or an empty file, which cannot be mapped.
            file.seek(0)
            return file.read()
        return self._map

    def close(self) -> None:
        """Give the map back; spans can no longer be read."""
        if self._map is not None:
            self._map.close()
            self._map = None

    def chunks(self, span: tuple[int, int], size: int = 1 << 20) -> Iterator[bytes]:
        """Yield the bytes of a span, at most ``size`` at a time."""
        offset, length = span
        for start in range(offset, offset + length, size):
            stop = min(start + size, offset + length)
            yield self.buffer[slice(start, stop)]
            self._forget(start, stop)

    def _forget(self, start: int, stop: int) -> None:
        """Let the system take the pages back, so that a large file does not fill the resident memory."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            aligned = start - start % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_DONTNEED, aligned, stop - aligned)


def _inflated(deflated: bytes) -> bytes:
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        result = engine.decompress(deflated, MOST_INFLATED_BYTES)
    except zlib.error:
        raise UnreadableInstanceError("the deflated data set cannot be inflated") from None
    if engine.unconsumed_tail:
        raise UnreadableInstanceError("the deflated data set inflates to more than 1 GiB")
    if not engine.eof:
        raise UnreadableInstanceError("the deflated data set ends before its end")
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How a data set is encoded."""

    explicit: bool
    little: bool


IMPLICIT_LITTLE = Encoding(explicit=False, little=True)
EXPLICIT_LITTLE = Encoding(explicit=True, little=True)
EXPLICIT_BIG = Encoding(explicit=True, little=False)
ENCODINGS = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInstance:
    """A parsed instance with the patient still in it: it never leaves the process that reads the spool."""

    transfer_syntax_uid: str
    encoding: Encoding
    identified_meta: list[Element] = field(repr=False)
    identified_elements: list[Element] = field(repr=False)
    deflated_at: int | None = None
    """Where the deflated part begins, in bytes from the start of the file."""
    is_part10: bool = True
    notes: tuple[str, ...] = ()
    _by_tag: dict[int, Element] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the top level; of an attribute that stands twice the first counts."""
        index = {element.tag: element for element in reversed(self.identified_elements)}
        object.__setattr__(self, "_by_tag", index)

    def text(self, tag: int) -> str:
        """Return a top level value as Latin-1 text without padding; empty where absent (identified)."""
        element = self._by_tag.get(tag)
        return element.value.decode("latin-1").strip(" \0") if element else ""


def find(elements: list[Element], tag: int) -> Element | None:
    """Return the element of that tag on this level."""
    for element in elements:
        if element.tag == tag:
            return element
    return None


def text_of(elements: list[Element], tag: int) -> str:
    """Return the value as Latin-1 text without padding; empty where absent."""
    element = find(elements, tag)
    return element.value.decode("latin-1").strip(" \0") if element else ""


Part = bytes | tuple[int, int]


def encode(elements: list[Element], encoding: Encoding, parts: list[Part]) -> int:
    """Append the encoded elements to ``parts`` (bytes, or spans of the source) and return their size in bytes.

    What stays as it was is copied from the source, neighbours in one piece. Sequences and items that are written anew
    get defined lengths; values are padded to even length.
    """
    size = 0
    begin = end = -1
    for element in elements:
        run = element.run
        if run is not None:
            if run[0] != end:
                if end > begin:
                    parts.append((begin, end - begin))
                begin = run[0]
            size += run[1] - run[0]
            end = run[1]
            continue
        if end > begin:
            parts.append((begin, end - begin))
        begin = end = -1
        size += _encode_element(element, encoding, parts)
    if end > begin:
        parts.append((begin, end - begin))
    return size


def _encode_element(element: Element, encoding: Encoding, parts: list[Part]) -> int:
    items, span = element.items, element.span
    if items is not None:
        place = len(parts)
        parts.append(b"")
        length = 0
        for item in items:
            item_place = len(parts)
            parts.append(b"")
            item_length = encode(item, encoding, parts)
            parts[item_place] = TAG_AND_LENGTH[encoding.little].pack(0xFFFE, 0xE000, item_length)
            length += 8 + item_length
        header = header_of(element.tag, "SQ", length, encoding)
        parts[place] = header
        return len(header) + length
    if span is not None:
        header = header_of(element.tag, element.vr, UNDEFINED if element.encapsulated else span[1], encoding)
        parts.append(header)
        parts.append(span)
        if span[1] & 1:
            parts.append(b"\0")
        return len(header) + span[1] + (span[1] & 1)
    value, vr = element.value, element.vr
    if len(value) & 1:
        value += b"\0" if vr in {"UI", "OB", "UN"} else b" "
    if vr not in LONG_FORM_VRS and len(value) > 0xFFFE:  # noqa: PLR2004 - PS3.5 §6.2.2 note: too long for 16 bits
        vr = "UN"
    header = header_of(element.tag, vr, len(value), encoding)
    parts.append(header + value)
    return len(header) + len(value)


def header_of(tag: int, vr: str, length: int, encoding: Encoding) -> bytes:
    """Return the encoded tag, VR and length of an element."""
    group, element, little = tag >> 16, tag & 0xFFFF, encoding.little
    if not encoding.explicit:
        return TAG_AND_LENGTH[little].pack(group, element, length)
    if vr in LONG_FORM_VRS:
        return _LONG_HEADER[little].pack(group, element, vr.encode(), 0, length)
    return SHORT_HEADER[little].pack(group, element, vr.encode(), length)


def swapped(value: bytes, vr: str) -> bytes:
    """Return a numeric value in the other byte order."""
    size = SWAP_SIZES.get(vr, 1)
    if size == 1 or len(value) % size:
        return value
    swap = bytearray(len(value))
    for offset in range(size):
        swap[offset::size] = value[size - 1 - offset :: size]
    return bytes(swap)
