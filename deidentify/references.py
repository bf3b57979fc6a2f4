"""UIDs exchanged for others wherever they stand.

An instance whose pixels changed has another SOP Instance UID, and what refers to it follows (PS3.3 C.7.6.1.1.2).
"""

from collections.abc import Mapping

from deidentify.dataset import Element


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
