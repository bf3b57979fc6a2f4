"""UIDs exchanged for others wherever they stand.

An instance whose pixels changed has another SOP Instance UID, and what refers to it follows (PS3.3 C.7.6.1.1.2).
"""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from deidentify.dataset import Element, Source
from deidentify.parser import read_instance
from deidentify.writing import Writer, file_meta

_REFERENCED_INSTANCE = 0x00081155
MOST_REFERENCES = 5_000
"""Of one instance; a presentation state names each image of its series."""


def referenced_instances(elements: list[Element]) -> tuple[str, ...]:
    """Return the SOP Instances that elements refer to, each once, at most ``MOST_REFERENCES``."""
    return tuple(dict.fromkeys(_referenced(elements)))[:MOST_REFERENCES]


def _referenced(elements: list[Element]) -> Iterator[str]:
    for element in elements:
        if element.items is not None:
            for item in element.items:
                yield from _referenced(item)
        elif element.tag == _REFERENCED_INSTANCE and element.value:
            yield element.value.decode("latin-1").strip(" \0")


def follow(source: BinaryIO, uids: Mapping[str, str], target: BinaryIO) -> tuple[str, int]:
    """Write a de-identified instance anew with UIDs exchanged; return its SHA-256 and its size in bytes.

    Raises
    ------
    UnreadableInstanceError
        If it cannot be parsed.
    """
    written = read_instance(source)
    exchange = {old.encode(): new.encode() for old, new in uids.items()}
    writer = Writer(target, written.encoding)
    writer.raw(file_meta(written.text(0x00080016), written.text(0x00080018), written.transfer_syntax_uid))
    content = Source(source, deflated_at=written.deflated_at)
    try:
        writer.elements(with_uids(written.identified_elements, exchange), content)
    finally:
        content.close()
    return writer.finish()


def with_uids(elements: list[Element], uids: Mapping[bytes, bytes]) -> list[Element]:
    """Return elements with every UID that is a key of ``uids`` exchanged; the list itself where none is."""
    changed = [_exchanged(element, uids) for element in elements]
    return elements if all(new is old for new, old in zip(changed, elements, strict=True)) else changed


def _exchanged(element: Element, uids: Mapping[bytes, bytes]) -> Element:
    if element.items is not None:
        items = [with_uids(item, uids) for item in element.items]
        if all(new is old for new, old in zip(items, element.items, strict=True)):
            return element
        return Element(element.tag, "SQ", items=items)
    if element.vr != "UI" or element.span is not None:
        return element
    values = element.value.rstrip(b"\0 ").split(b"\\")
    exchanged = [uids.get(value.strip(b"\0 "), value) for value in values]
    return element if exchanged == values else Element(element.tag, "UI", b"\\".join(exchanged))
