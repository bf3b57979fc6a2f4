"""Bounded parser of Part 10 files and bare data sets: malformed input ends in a sentence, never in a crash.

Explicit and Implicit VR Little Endian, Explicit VR Big Endian, deflated. Sequences hidden in UN are parsed as
Implicit VR Little Endian (PS3.5 §6.2.2), and public elements in UN get the VR of the dictionary, so that rules see
through them.
"""

import struct
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Literal

from deidentify.dataset import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    LONG_FORM_VRS,
    PIXEL_TAGS,
    SEQUENCE_END,
    SHORT_FORM_VRS,
    SHORT_HEADER,
    TAG_AND_LENGTH,
    UNDEFINED,
    Buffer,
    Element,
    Encoding,
    ReceivedInstance,
    Source,
    swapped,
    tag_text,
    text_of,
)
from deidentify.dictionary import registered_uids, vr_table
from deidentify.errors import NotDicomError, UnreadableInstanceError, UnsupportedTransferSyntaxError

DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
# JPIP leaves the pixels on a server (PS3.5 §A.6): there is nothing to screen or to keep.
_ELSEWHERE = frozenset(("1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204"))
_ELSEWHERE |= {"1.2.840.10008.1.2.4.205"}
# Deflated Image Frame Compression: encapsulated like any other, newer than the dictionary.
_NEWER = frozenset(("1.2.840.10008.1.2.8.1",))
_PREFIX_AT = 128

DEEPEST = 64
MOST_ELEMENTS = 2_000_000
MOST_HELD_BYTES = 1 << 28
BULK_BYTES = 1 << 16
LONGEST_KNOWN = 512
"""Bytes of an element that is worth knowing again."""
_LENGTH = {True: struct.Struct("<I"), False: struct.Struct(">I")}
_DELIMITERS = 0xFFFE
"""Group of the item and delimiter tags."""
_PLAIN_VRS = {vr.encode(): vr for vr in SHORT_FORM_VRS}
_ITEM_DELIMITER = {little: TAG_AND_LENGTH[little].pack(0xFFFE, ITEM_END & 0xFFFF, 0)[:4] for little in (True, False)}
_BULK_VRS = frozenset(("OB", "OW", "OF", "OD", "OL", "OV", "UN"))


Settled = Mapping[Encoding, Container[bytes]]
"""Encoding → elements as they stand in it."""


def read_instance(identified_file: BinaryIO, *, settled: Settled | None = None) -> ReceivedInstance:
    """Parse a file to its end.

    Elements whose bytes, header and all, are among ``settled`` are left out; of sequences among them the items are.

    Raises
    ------
    UnreadableInstanceError
        If it is no DICOM, is cut off, or exceeds a bound.
    UnsupportedTransferSyntaxError
        If the transfer syntax is unknown.
    """
    source = Source(identified_file)
    try:
        meta, start = _file_meta(source.buffer)
        is_part10 = bool(meta)
        syntax = text_of(meta, 0x00020010)
        if syntax:
            encoding = _encoding_of(syntax)
        else:
            encoding = _guessed_encoding(source.buffer, start)
            syntax = {EXPLICIT_LITTLE: EXPLICIT, EXPLICIT_BIG: BIG_ENDIAN}.get(encoding, IMPLICIT)
        deflated_at = start if syntax == DEFLATED else None
        if deflated_at is not None:
            source = Source(identified_file, deflated_at=deflated_at)
        actual = _actual_encoding(source.buffer, start, encoding)
        parser = _Parser(source.buffer, copied=encoding if actual == encoding else None)
        if settled is not None:
            parser.settled = settled[encoding]
        elements = parser.data_set(start, actual)
    finally:
        source.close()
    if actual != encoding:
        parser.notes.append("the data set was not encoded as its transfer syntax says")
    return ReceivedInstance(
        transfer_syntax_uid=EXPLICIT if deflated_at is not None else syntax,
        encoding=encoding,
        identified_meta=meta,
        identified_elements=elements,
        deflated_at=deflated_at,
        is_part10=is_part10,
        notes=tuple(parser.notes),
    )


def hidden_items(value: bytes, outer: Encoding) -> list[list[Element]] | None:
    """Return the items of a sequence that stands in UN, in the byte order of ``outer``; None where there are none."""
    for inner in (IMPLICIT_LITTLE, EXPLICIT_LITTLE):
        try:
            items = _Parser(value).sequence(inner, outer)
        except UnreadableInstanceError:
            continue
        # A span would point into the value, not into the file.
        return None if _has_span(items) else items
    return None


def _has_span(items: list[list[Element]]) -> bool:
    return any(element.span is not None or _has_span(element.items or []) for item in items for element in item)


def _file_meta(buffer: Buffer) -> tuple[list[Element], int]:
    if len(buffer) < 8:  # noqa: PLR2004 - the smallest element
        raise NotDicomError("the file is empty or shorter than one element")
    start = 0
    if buffer[slice(_PREFIX_AT, _PREFIX_AT + 4)] == b"DICM":
        start = _PREFIX_AT + 4
    elif buffer[slice(0, 2)] not in (b"\x02\0", b"\x08\0", b"\0\x08"):
        raise NotDicomError("this is not a DICOM file")
    parser = _Parser(buffer)
    position, meta = start, []
    while buffer[slice(position, position + 2)] == b"\x02\0":
        vr = buffer[slice(position + 4, position + 6)].decode("latin-1")
        explicit = vr in LONG_FORM_VRS or vr in SHORT_FORM_VRS
        element, position = parser.element(position, len(buffer), 0, EXPLICIT_LITTLE if explicit else IMPLICIT_LITTLE)
        meta.append(element)
    return meta, position


def _encoding_of(transfer_syntax_uid: str) -> Encoding:
    if transfer_syntax_uid in _ELSEWHERE:
        raise UnsupportedTransferSyntaxError("the transfer syntax leaves the pixels on another server (JPIP)")
    if transfer_syntax_uid not in _NEWER and registered_uids().get(transfer_syntax_uid) != "Transfer Syntax":
        raise UnsupportedTransferSyntaxError("the transfer syntax is not one of the Standard")
    if transfer_syntax_uid == IMPLICIT:
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if transfer_syntax_uid == BIG_ENDIAN else EXPLICIT_LITTLE


def _looks_explicit(buffer: Buffer, position: int) -> bool:
    vr = buffer[slice(position + 4, position + 6)].decode("latin-1")
    return vr in LONG_FORM_VRS or vr in SHORT_FORM_VRS


def _guessed_encoding(buffer: Buffer, position: int) -> Encoding:
    explicit = _looks_explicit(buffer, position)
    big = buffer[slice(position, position + 1)] == b"\0"
    if explicit:
        return EXPLICIT_BIG if big else EXPLICIT_LITTLE
    return IMPLICIT_LITTLE


def _actual_encoding(buffer: Buffer, position: int, said: Encoding) -> Encoding:
    """Return what the first element shows: some writers name one encoding and use another."""
    if position + 8 > len(buffer):
        return said
    if not _looks_explicit(buffer, position):
        return IMPLICIT_LITTLE if said.little else said
    return said if said.explicit else EXPLICIT_LITTLE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A short sequence without others inside; ``size`` counts its elements."""

    tag: int
    items: list[list[Element]]
    size: int


class _Parser:
    """One pass over one buffer, with its budgets."""

    def __init__(self, buffer: Buffer, *, copied: Encoding | None = None) -> None:
        self._buffer = buffer
        # What is in the encoding of what is written, and need not be seen again.
        self.settled: Container[bytes] = ()
        self._sequences: dict[bytes, _Known] = {}
        # The encoding of what is written: only elements in this one can be copied as they are.
        self._copied = copied
        # Counts what could not be copied as it is; a sequence can when nothing in it was counted.
        self._odd = 0
        self._left = MOST_ELEMENTS
        self._held = 0
        self._vrs = vr_table()
        self.notes: list[str] = []

    def data_set(self, start: int, encoding: Encoding) -> list[Element]:
        elements: list[Element] = []
        position, end = start, len(self._buffer)
        while position < end:
            position = self._plain(position, end, 0, encoding, elements)
            if position >= end:
                break
            if end - position < 8 or self._buffer[slice(position, position + 4)] == b"\0\0\0\0":  # noqa: PLR2004
                if any(any(self._buffer[slice(at, at + 65536)]) for at in range(position, end, 65536)):
                    raise UnreadableInstanceError("there are bytes behind the data set that are no element")
                self.notes.append("zeros behind the data set were left out")
                break
            element, position = self.element(position, end, 0, encoding)
            elements.append(element)
        if position == start:
            raise UnreadableInstanceError("the data set is empty")
        return elements

    def sequence(self, inner: Encoding, outer: Encoding) -> list[list[Element]]:
        """Return the buffer as the items of one sequence."""
        return self._reordered(self._items(0, len(self._buffer), 1, inner, defined=True)[0], inner, outer)

    def _plain(self, position: int, end: int, depth: int, encoding: Encoding, elements: list[Element]) -> int:
        """Append elements for as long as they are short values or known; return where the next one begins."""
        first, before = position, len(elements)
        if encoding.explicit:
            position = self._plain_explicit(position, end, depth, encoding, elements)
        else:
            position = self._plain_implicit(position, end, depth, encoding, elements)
        if self._copied is not encoding:
            for element in elements[before:]:
                element.run = None
        self._count(len(elements) - before, position - first)
        return position

    def _plain_explicit(self, position: int, end: int, depth: int, encoding: Encoding, elements: list[Element]) -> int:
        buffer, append, vr_of = self._buffer, elements.append, _PLAIN_VRS.get
        header = SHORT_HEADER[encoding.little].unpack_from
        settled = self.settled if self._copied is encoding else ()
        last, end = end - 8, min(end, position + MOST_HELD_BYTES)
        for _ in range(self._left):
            if position > last:
                break
            group, number, raw_vr, length = header(buffer, position)  # type: ignore[arg-type]
            vr = vr_of(raw_vr)
            if vr is None:
                if raw_vr != b"SQ" or length or self._copied is not encoding:
                    break
                stop = self._known_sequence(position, end, depth, elements)
                if stop == position:
                    break
                position = stop
                continue
            stop = position + 8 + length
            if stop > end or group == _DELIMITERS:
                break
            if settled and buffer[position:stop] in settled:
                position = stop
                continue
            if length & 1:
                self._odd += 1
                append(Element(group << 16 | number, vr, buffer[position + 8 : stop]))
            else:
                append(Element(group << 16 | number, vr, buffer[position + 8 : stop], (position, stop)))
            position = stop
        return position

    def _plain_implicit(self, position: int, end: int, depth: int, encoding: Encoding, elements: list[Element]) -> int:
        buffer, vr_of = self._buffer, self._vrs.get
        header = TAG_AND_LENGTH[True].unpack_from
        settled = self.settled if self._copied is encoding else ()
        last, end = end - 8, min(end, position + MOST_HELD_BYTES)
        for _ in range(self._left):
            if position > last:
                break
            group, number, length = header(buffer, position)  # type: ignore[arg-type]
            tag = group << 16 | number
            vr = vr_of(tag)
            stop = position + 8 + length
            if vr not in SHORT_FORM_VRS or stop > end or not tag:
                if vr != "SQ" or self._copied is not encoding:
                    break
                stop = self._known_sequence(position, end, depth, elements)
                if stop == position:
                    break
                position = stop
                continue
            if settled and buffer[position:stop] in settled:
                position = stop
                continue
            if length & 1:
                self._odd += 1
                elements.append(Element(tag, vr, buffer[position + 8 : stop]))
            else:
                elements.append(Element(tag, vr, buffer[position + 8 : stop], (position, stop)))
            position = stop
        return position

    def _known_sequence(self, position: int, end: int, depth: int, elements: list[Element]) -> int:
        """Append a short sequence whose bytes this file had before; return where it ends, or where it begins if new."""
        if self._copied is None or depth >= DEEPEST or not (depth or self.settled):
            return position
        header = 12 if self._copied.explicit else 8
        if position + header > end:
            return position
        (length,) = _LENGTH[self._copied.little].unpack_from(self._buffer, position + header - 4)  # type: ignore[arg-type]
        stop: int = position + header + length
        if length > LONGEST_KNOWN or stop > end:
            return position
        raw = self._buffer[slice(position, stop)]
        if raw in self.settled:
            return stop
        known = self._sequences.get(raw)
        if known is None:
            return position
        self._left -= known.size
        elements.append(Element(known.tag, "SQ", items=known.items, run=(position, stop)))
        return stop

    def _count(self, elements: int, held: int) -> None:
        self._left -= elements
        self._held += held
        if self._left < 0:
            raise UnreadableInstanceError("the data set has more elements than any real one")
        if self._held > MOST_HELD_BYTES:
            raise UnreadableInstanceError("the header is larger than 256 MiB")

    def element(self, position: int, end: int, depth: int, encoding: Encoding) -> tuple[Element, int]:
        """Return the element at ``position`` and the position after it."""
        begin, odd = position, self._odd
        self._count(1, 0)
        if position + 8 > end:
            raise UnreadableInstanceError("the data set ends inside an element header")
        if encoding.explicit:
            tag, vr, length, position = self._explicit_header(position, end, encoding.little)
        else:
            group, number, length = struct.unpack_from("<HHI", self._buffer, position)  # type: ignore[arg-type]
            tag = group << 16 | number
            position += 8
            vr = self._vrs.get(tag, "UN")
        if tag >> 16 == _DELIMITERS:
            raise UnreadableInstanceError("a delimiter stands where an element should begin")
        if length == UNDEFINED:
            element, stop = self._undefined(tag, vr, (position, end), depth, encoding)
        else:
            stop = position + length
            if stop > end:
                # Bytes that are no element at all could be text: a tag is named only when it is one.
                where = tag_text(tag) if tag in self._vrs else "an unknown attribute"
                raise UnreadableInstanceError(f"the value of {where} is longer than what is left of the file")
            element = self._defined(tag, vr, (position, stop), depth, encoding)
        if element.encapsulated or element.span is not None:
            return element, stop
        if self._copied is encoding and self._odd == odd and element.vr == vr and not (stop - begin) & 1:
            element.run = (begin, stop)
            # At the top level every tag stands once, and so do its bytes.
            if depth and element.items is not None and stop - begin <= LONGEST_KNOWN:
                self._remember(element, begin, stop)
        else:
            self._odd += 1
        return element, stop

    def _remember(self, element: Element, begin: int, stop: int) -> None:
        """Keep a sequence of plain values for its next occurrence, which shares its items: frames say the same."""
        items = element.items or []
        if all(part.items is None for item in items for part in item):
            size = sum(map(len, items))
            self._sequences[self._buffer[slice(begin, stop)]] = _Known(tag=element.tag, items=items, size=size)

    def _explicit_header(self, position: int, end: int, little: bool) -> tuple[int, str, int, int]:
        group, number, raw_vr, length = SHORT_HEADER[little].unpack_from(self._buffer, position)  # type: ignore[arg-type]
        tag = group << 16 | number
        order: Literal["little", "big"] = "little" if little else "big"
        vr = raw_vr.decode("latin-1")
        if vr in SHORT_FORM_VRS:
            return tag, vr, length, position + 8
        if group == _DELIMITERS:
            return tag, vr, 0, position + 8
        if vr in LONG_FORM_VRS or (raw_vr.isalpha() and raw_vr.isupper()):
            if position + 12 > end:
                raise UnreadableInstanceError("the data set ends inside an element header")
            if length or vr not in LONG_FORM_VRS:
                # Something stands in the reserved bytes.
                self._odd += 1
            length = int.from_bytes(self._buffer[slice(position + 8, position + 12)], order)
            return tag, vr if vr in LONG_FORM_VRS else "UN", length, position + 12
        self._odd += 1
        if raw_vr in (b"??", b"  ", b"--"):
            return tag, "UN", length, position + 8
        # Some writers put single implicit elements into explicit data sets.
        length = int.from_bytes(self._buffer[slice(position + 4, position + 8)], order)
        return tag, self._vrs.get(tag, "UN"), length, position + 8

    def _defined(self, tag: int, vr: str, bounds: tuple[int, int], depth: int, encoding: Encoding) -> Element:
        start, stop = bounds
        length = stop - start
        if vr == "SQ":
            try:
                return Element(tag, "SQ", items=self._items(start, stop, depth + 1, encoding, defined=True)[0])
            except UnreadableInstanceError:
                if tag >> 16 & 1 or depth >= DEEPEST:
                    return self._opaque(tag, start, length)
                raise
        if vr == "UN" and not tag >> 16 & 1:
            self._odd += 1
            return self._unhidden(tag, start, length, depth, encoding)
        if length > BULK_BYTES and vr in _BULK_VRS:
            return Element(tag, vr, span=(start, length))
        return Element(tag, vr, self._value(start, stop))

    def _value(self, start: int, stop: int) -> bytes:
        self._held += stop - start
        if self._held > MOST_HELD_BYTES:
            raise UnreadableInstanceError("the header is larger than 256 MiB")
        return self._buffer[slice(start, stop)]

    def _opaque(self, tag: int, start: int, length: int) -> Element:
        if length > BULK_BYTES:
            return Element(tag, "UN", span=(start, length))
        return Element(tag, "UN", self._value(start, start + length))

    def _unhidden(self, tag: int, start: int, length: int, depth: int, encoding: Encoding) -> Element:
        """Return what a public element in UN really is."""
        vr = self._vrs.get(tag, "UN")
        if vr == "SQ":
            for inner in (IMPLICIT_LITTLE, EXPLICIT_LITTLE):
                try:
                    items = self._items(start, start + length, depth + 1, inner, defined=True)[0]
                except UnreadableInstanceError:
                    continue
                return Element(tag, "SQ", items=self._reordered(items, inner, encoding))
            return self._opaque(tag, start, length)
        if length > BULK_BYTES:
            return Element(tag, vr if vr in LONG_FORM_VRS else "UN", span=(start, length))
        value = self._value(start, start + length)
        return Element(tag, vr, value if encoding.little else swapped(value, vr))

    def _reordered(self, items: list[list[Element]], inner: Encoding, outer: Encoding) -> list[list[Element]]:
        if inner.little == outer.little:
            return items
        for item in items:
            for element in item:
                if element.items is not None:
                    self._reordered(element.items, inner, outer)
                else:
                    element.value = swapped(element.value, element.vr)
        return items

    def _undefined(
        self, tag: int, vr: str, bounds: tuple[int, int], depth: int, encoding: Encoding
    ) -> tuple[Element, int]:
        position, end = bounds
        if tag in PIXEL_TAGS or vr in {"OB", "OW"}:
            stop = self._fragments_end(position, end, encoding)
            return Element(tag, "OB", span=(position, stop - position), encapsulated=True), stop
        # An unknown attribute of undefined length is a sequence in implicit encoding (PS3.5 §6.2.2).
        inner = encoding
        if vr == "UN" and encoding.explicit:
            self._odd += 1
            inner = IMPLICIT_LITTLE
        items, stop = self._items(position, end, depth + 1, inner, defined=False)
        return Element(tag, "SQ", items=self._reordered(items, inner, encoding)), stop

    def _fragments_end(self, position: int, end: int, encoding: Encoding) -> int:
        order = "<" if encoding.little else ">"
        while position + 8 <= end:
            group, number, length = struct.unpack_from(order + "HHI", self._buffer, position)  # type: ignore[arg-type]
            tag = group << 16 | number
            position += 8
            if tag == SEQUENCE_END:
                if length:
                    # Copied with the fragments, it would carry four bytes that nothing reads (PS3.5 §A.4: zero).
                    raise UnreadableInstanceError("the end of the fragments has a length")
                return position
            if tag != ITEM or length == UNDEFINED:
                raise UnreadableInstanceError("the fragments of the pixel data are damaged")
            position += length
        raise UnreadableInstanceError("the file ends inside the pixel data")

    def _items(
        self, position: int, end: int, depth: int, encoding: Encoding, *, defined: bool
    ) -> tuple[list[list[Element]], int]:
        if depth > DEEPEST:
            raise UnreadableInstanceError("sequences are nested deeper than 64")
        header = TAG_AND_LENGTH[encoding.little].unpack_from
        items: list[list[Element]] = []
        while position < end:
            if position + 8 > end:
                break
            group, number, length = header(self._buffer, position)  # type: ignore[arg-type]
            tag = group << 16 | number
            position += 8
            if tag == SEQUENCE_END:
                if length or defined:
                    self._odd += 1
                if not defined or position == end:
                    return items, position
                break
            if tag != ITEM:
                raise UnreadableInstanceError("a sequence is damaged or does not end")
            item, position = self._item(position, end, length, depth, encoding)
            items.append(item)
        if defined and position == end:
            return items, position
        raise UnreadableInstanceError("a sequence is damaged or does not end")

    def _item(self, position: int, end: int, length: int, depth: int, encoding: Encoding) -> tuple[list[Element], int]:
        item: list[Element] = []
        stop = end if length == UNDEFINED else position + length
        if stop > end:
            raise UnreadableInstanceError("an item is longer than its sequence")
        delimiter = _ITEM_DELIMITER[encoding.little]
        while position < stop:
            position = self._plain(position, stop, depth, encoding, item)
            if position >= stop:
                break
            if self._buffer[slice(position, position + 4)] == delimiter:
                if length != UNDEFINED or any(self._buffer[slice(position + 4, position + 8)]):
                    self._odd += 1
                if length != UNDEFINED and position + 8 != stop:
                    raise UnreadableInstanceError("an item ends before its length says")
                return item, position + 8
            element, position = self.element(position, stop, depth, encoding)
            item.append(element)
        if length == UNDEFINED:
            raise UnreadableInstanceError("an item does not end")
        return item, position
