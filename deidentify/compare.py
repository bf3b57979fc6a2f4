"""Telling resends from changes: keyed digests of what a data set says, not of how it is encoded."""

import hashlib
import hmac
import struct
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from deidentify.dataset import PIXEL_TAGS, Buffer, Element, ReceivedInstance, Source, swapped
from deidentify.parser import read_instance

_NOT_COMPARED = frozenset((0x00080001, 0xFFFCFFFC))
_TEXT_PADDING = b" \0"
_BULK_WORD = 1 << 20


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """Keyed digests, 64 hexadecimal digits each: of the data set without pixel data, and of the pixel data."""

    dataset: str
    pixels: str


def fingerprint(identified_file: BinaryIO, key: bytes) -> Fingerprint:
    """Return the digests; equal data sets in another VR encoding, length form, byte order or padding give equal ones.

    Raises
    ------
    UnreadableInstanceError
        If the file cannot be parsed.
    UnsupportedTransferSyntaxError
        If the transfer syntax is unknown.
    """
    received = read_instance(identified_file)
    dataset = hmac.new(key, b"dataset\0", hashlib.sha256)
    pixels = hmac.new(key, b"pixels\0", hashlib.sha256)
    _digest(identified_file, received, received.identified_elements, dataset=dataset, pixels=pixels)
    return Fingerprint(dataset=dataset.hexdigest(), pixels=pixels.hexdigest())


def group_digest(identified_file: BinaryIO, key: bytes, group: int) -> str:
    """Return the digest of what one group of a data set says at its top level, 64 hexadecimal digits.

    Raises
    ------
    UnreadableInstanceError
        If the file cannot be parsed.
    UnsupportedTransferSyntaxError
        If the transfer syntax is unknown.
    """
    received = read_instance(identified_file)
    digest = hmac.new(key, b"group\0", hashlib.sha256)
    of_group = [element for element in received.identified_elements if element.tag >> 16 == group]
    _digest(identified_file, received, of_group, dataset=digest, pixels=hashlib.sha256())
    return digest.hexdigest()


def _digest(
    identified_file: BinaryIO, received: ReceivedInstance, elements: list[Element], *, dataset: _Hash, pixels: _Hash
) -> None:
    """Feed elements of an instance to two digests, pixel data to the second."""
    source = Source(identified_file, deflated_at=received.deflated_at)
    try:
        _Digester(received, source, pixels).level(elements, dataset)
    finally:
        source.close()


class _Digester:
    def __init__(self, received: ReceivedInstance, source: Source, pixels: _Hash) -> None:
        self._little = received.encoding.little
        self._source = source
        self._pixels = pixels

    def level(self, elements: list[Element], digest: _Hash) -> None:
        for element in sorted(elements, key=lambda element: element.tag):
            if not element.tag & 0xFFFF or element.tag in _NOT_COMPARED:
                continue
            if element.tag in PIXEL_TAGS:
                self._value(element, self._pixels)
            else:
                digest.update(struct.pack("<I", element.tag))
                self._value(element, digest)

    def _value(self, element: Element, digest: _Hash) -> None:
        if element.items is not None:
            digest.update(struct.pack("<cI", b"S", len(element.items)))
            for item in element.items:
                inner = hashlib.sha256()
                self.level(item, inner)
                digest.update(inner.digest())
            return
        # The value's own digest keeps neighbours apart without a length, which padding would change.
        inner = hashlib.sha256()
        if element.span is None:
            value = element.value if self._little else swapped(element.value, element.vr)
            inner.update(value.rstrip(_TEXT_PADDING))
        elif element.encapsulated:
            _fragments(self._source.buffer, element.span, self._little, inner)
        else:
            self._bulk(element, element.span, inner)
        digest.update(b"V" + inner.digest())

    def _bulk(self, element: Element, span: tuple[int, int], digest: _Hash) -> None:
        waiting = b""
        for chunk in self._source.chunks(span, _BULK_WORD):
            value = chunk if self._little else swapped(chunk, element.vr)
            # Trailing zeros may be padding: they count only when something follows them.
            stripped = value.rstrip(_TEXT_PADDING)
            if stripped:
                digest.update(waiting + stripped)
                waiting = b""
            waiting += value[len(stripped) :]


def _fragments(buffer: Buffer, span: tuple[int, int], little: bool, digest: _Hash) -> None:
    """Digest the bytes of all fragments but the offset table, which is the first item."""
    position, end, first = span[0], span[0] + span[1], True
    while position + 8 <= end:
        (length,) = struct.unpack("<I" if little else ">I", buffer[slice(position + 4, position + 8)])
        position += 8
        if not first:
            for start in range(position, position + length, _BULK_WORD):
                digest.update(buffer[slice(start, min(start + _BULK_WORD, position + length))])
        first = False
        position += length
