"""Which elements two written instances of one original differ in: places and names, never what they say."""

from collections.abc import Iterator
from typing import BinaryIO

from deidentify.dataset import Element, Source, swapped, tag_text
from deidentify.explain import name_of
from deidentify.parser import read_instance
from deidentify.results import ElementChange, ElementFate

MOST_CHANGES = 300
"""Differences of one instance that are told."""
_OWN = frozenset((0x00120063, 0x00120064))
"""The profile's own name and revision stand in every file."""
_PADDING = b" \0"


def element_changes(older: BinaryIO, newer: BinaryIO) -> tuple[ElementChange, ...]:
    """Return the differences of two written instances, each once, pixels first, at most ``MOST_CHANGES``.

    Raises
    ------
    DeidentificationError
        If one of them cannot be parsed.
    """
    sides = (_Side(older), _Side(newer))
    try:
        found = dict.fromkeys(_level(sides[0].elements, sides[1].elements, "", sides))
    finally:
        for side in sides:
            side.source.close()
    # Pixels first: of all that could be cut off they weigh most.
    return tuple(sorted(found, key=lambda change: not change.is_pixels))[:MOST_CHANGES]


class _Side:
    def __init__(self, file: BinaryIO) -> None:
        received = read_instance(file)
        self.elements = received.identified_elements
        self.is_little = received.encoding.little
        self.source = Source(file, deflated_at=received.deflated_at)

    def chunks(self, element: Element) -> Iterator[bytes]:
        """Yield the value, in little endian order and a chunk at a time."""
        if element.span is None:
            yield element.value if self.is_little else swapped(element.value, element.vr)
        else:
            for chunk in self.source.chunks(element.span):
                yield chunk if self.is_little or element.encapsulated else swapped(chunk, element.vr)


def _level(olds: list[Element], news: list[Element], place: str, sides: tuple[_Side, _Side]) -> Iterator[ElementChange]:
    old_by_tag = {element.tag: element for element in olds}
    new_by_tag = {element.tag: element for element in news}
    for tag in sorted(old_by_tag.keys() | new_by_tag.keys()):
        if not tag & 0xFFFF or tag in _OWN:
            continue
        old, new = old_by_tag.get(tag), new_by_tag.get(tag)
        here = f"{place}{tag_text(tag)}"
        if old is None or new is None:
            fate = ElementFate.ADDED if old is None else ElementFate.REMOVED
            yield ElementChange(place=here, name=name_of(tag), change=fate)
        elif old.items is not None and new.items is not None:
            for item, other in zip(old.items, new.items, strict=False):
                yield from _level(item, other, f"{here}.", sides)
            if len(old.items) != len(new.items):
                yield ElementChange(place=here, name=name_of(tag), change=ElementFate.CHANGED)
        elif not _is_equal(old, new, sides):
            yield ElementChange(place=here, name=name_of(tag), change=ElementFate.CHANGED)


def _is_equal(old: Element, new: Element, sides: tuple[_Side, _Side]) -> bool:
    if (old.items is None) != (new.items is None) or old.encapsulated != new.encapsulated:
        return False
    if old.span is None and new.span is None:
        values = [b"".join(side.chunks(one)).rstrip(_PADDING) for side, one in zip(sides, (old, new), strict=True)]
        return values[0] == values[1]
    if old.span is None or new.span is None or old.span[1] != new.span[1]:
        return False
    return all(one == other for one, other in zip(sides[0].chunks(old), sides[1].chunks(new), strict=True))
