"""Writing an instance once, and hashing it on the way."""

import hashlib
from itertools import chain
from typing import BinaryIO

from deidentify.dataset import EXPLICIT_LITTLE, UNDEFINED, Element, Encoding, Part, Source, encode, header_of
from deidentify.pixels.redact import RedactedPixels

IMPLEMENTATION_CLASS_UID = "2.25.296258440656346208721239395334592776270"
IMPLEMENTATION_VERSION_NAME = b"CASEBRIDGE_1"
_JOINED = 1 << 15
"""Bytes of a piece of the source that is written together with its neighbours."""
_CHUNK = 1 << 20


class Writer:
    """Writes to ``target`` from where it stands; short parts are joined so that a header is one write."""

    def __init__(self, target: BinaryIO, encoding: Encoding) -> None:
        self._target, self._encoding = target, encoding
        self._digest, self._size, self._waiting = hashlib.sha256(), 0, bytearray()

    def raw(self, content: bytes) -> None:
        """Write bytes."""
        self._waiting += content

    def elements(self, elements: list[Element], source: Source) -> None:
        """Write elements; what stays as it was is copied from the source."""
        parts: list[Part] = []
        encode(elements, self._encoding, parts)
        for part in parts:
            if isinstance(part, bytes):
                self._waiting += part
                continue
            offset, length = part
            if length <= _JOINED:
                self._waiting += source.buffer[slice(offset, offset + length)]
                continue
            for chunk in chain((bytes(self._waiting),), source.chunks(part)):
                self._write(chunk)
            self._waiting.clear()

    def pixel_data(self, tag: int, pixels: RedactedPixels, file: BinaryIO) -> None:
        """Write a pixel data element from a file that holds its value from where it stands."""
        length = UNDEFINED if pixels.is_encapsulated else pixels.length
        self._waiting += header_of(tag, pixels.vr, length, self._encoding)
        self._flush()
        left = pixels.length
        while left and (chunk := file.read(min(left, _CHUNK))):
            self._write(chunk)
            left -= len(chunk)
        if left:
            raise EOFError("the pixel data made anew are shorter than announced")
        self._waiting += b"\0" * (pixels.length % 2)

    def finish(self) -> tuple[str, int]:
        """Write what is left; return the SHA-256 and the size in bytes of all of it."""
        self._flush()
        self._target.flush()
        return self._digest.hexdigest(), self._size

    def _flush(self) -> None:
        self._write(bytes(self._waiting))
        self._waiting.clear()

    def _write(self, content: bytes) -> None:
        self._digest.update(content)
        self._size += self._target.write(content)


def file_meta(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Return the preamble and the file meta information of an instance (PS3.10 §7.1)."""
    elements = [
        Element(0x00020001, "OB", b"\0\1"),
        Element(0x00020002, "UI", sop_class_uid.encode()),
        Element(0x00020003, "UI", sop_instance_uid.encode()),
        Element(0x00020010, "UI", transfer_syntax_uid.encode()),
        Element(0x00020012, "UI", IMPLEMENTATION_CLASS_UID.encode()),
        Element(0x00020013, "SH", IMPLEMENTATION_VERSION_NAME),
    ]
    parts: list[Part] = []
    size = encode(elements, EXPLICIT_LITTLE, parts)
    head: list[Part] = []
    encode([Element(0x00020000, "UL", size.to_bytes(4, "little"))], EXPLICIT_LITTLE, head)
    return bytes(128) + b"DICM" + b"".join(part for part in [*head, *parts] if isinstance(part, bytes))
