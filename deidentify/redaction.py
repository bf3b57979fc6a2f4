"""The header of an instance in whose pixels boxes were made black: it says what the pixels are now.

Another SOP Instance UID and Image Type (PS3.3 C.7.6.1.1.2), the attributes of pixels that were encoded otherwise, and
nothing that was computed from the pixels as they were.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from pydicom.tag import Tag

from deidentify.dataset import PIXEL_TAGS, Element, Encoding, Source, find
from deidentify.pixels.decode import read_format
from deidentify.pixels.jpeg_areas import jpeg_blanker
from deidentify.pixels.redact import RedactedPixels, redact
from deidentify.pixels.source import locate
from deidentify.pixels.verdict import by_frame
from deidentify.review import MarkedBox
from deidentify.writing import Writer

_IMAGE_TYPE, _FRAME_TYPE = 0x00080008, 0x00089007
_SHARED_GROUPS, _GROUPS_BY_FRAME = 0x52009229, 0x52009230
_COMPUTED = frozenset((0x00280106, 0x00280107, 0x00280108, 0x00280109, 0x00280110, 0x00280111))
"""Smallest and largest pixel values of the image, its series and its plane."""
_OFFSETS, _LENGTHS, _TOTAL_LENGTH = 0x7FE00001, 0x7FE00002, 0x7FE00003
_TAGS = {"PhotometricInterpretation": (0x00280004, "CS"), "PlanarConfiguration": (0x00280006, "US")}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactedInstance:
    """The pixels that were written, and what the header has to say of them."""

    tag: int
    """Of the pixel data."""
    pixels: RedactedPixels
    boxes: tuple[MarkedBox, ...]
    """What became black: the boxes asked for, grown where neighbours share a block or a colour."""

    @property
    def mask(self) -> str:
        """Return what names this change of the pixels: the same boxes are the same change."""
        asked = ";".join(f"{one.frame},{one.x},{one.y},{one.width},{one.height}" for one in self.boxes)
        return hashlib.sha256(asked.encode()).hexdigest()[:32]


def redacted(identified_file: BinaryIO, boxes: Sequence[MarkedBox], target: BinaryIO) -> RedactedInstance:
    """Write the pixel data of an original with boxes made black.

    Raises
    ------
    PixelDecodeError
        A frame that has to be decoded cannot be.
    RedactionError
        What was written is not what it has to be.
    """
    source = locate(identified_file)
    form = read_format(source)
    areas = by_frame(boxes, form.frames)
    pixels = redact(source, form, areas, target, blank_codestream=jpeg_blanker(source.attributes))
    made = [
        MarkedBox(frame=frame, x=box.x, y=box.y, width=box.width, height=box.height)
        for frame, found in sorted(pixels.areas.items())
        for box in sorted(found, key=lambda box: (box.y, box.x, box.height, box.width))
    ]
    assert source.element is not None  # redact refuses what has none
    return RedactedInstance(tag=int(Tag(source.element.keyword)), pixels=pixels, boxes=tuple(made))


def with_redaction(elements: Sequence[Element], made: RedactedInstance, encoding: Encoding) -> list[Element]:
    """Return the elements, without the pixel data themselves, as they have to be beside the new pixels."""
    frames = frozenset(one.frame for one in made.boxes if one.frame is not None)
    changed = {
        _TAGS[keyword][0]: Element(*_TAGS[keyword], _encoded(value, encoding))
        for keyword, value in made.pixels.attributes.items()
    }
    if made.pixels.extended_offsets is not None:
        offsets, lengths = made.pixels.extended_offsets
        changed |= {_OFFSETS: Element(_OFFSETS, "OV", offsets), _LENGTHS: Element(_LENGTHS, "OV", lengths)}
    gone = PIXEL_TAGS | _COMPUTED | {_OFFSETS, _LENGTHS, _TOTAL_LENGTH} | changed.keys()
    kept = [_derived(element, frames) for element in elements if element.tag not in gone]
    return sorted([*kept, *changed.values()], key=lambda element: element.tag)


def _encoded(value: str | int, encoding: Encoding) -> bytes:
    return value.encode() if isinstance(value, str) else value.to_bytes(2, "little" if encoding.little else "big")


def _derived(element: Element, frames: frozenset[int]) -> Element:
    """Say that the image and the frames that were changed are derived (PS3.3 C.7.6.1.1.2, C.8.13.3.1.1)."""
    if element.tag == _IMAGE_TYPE:
        return _type_derived(element)
    if element.tag == _SHARED_GROUPS and element.items:
        return Element(element.tag, "SQ", items=[_with_frame_types(item) for item in element.items])
    if element.tag == _GROUPS_BY_FRAME and element.items:
        items = [_with_frame_types(item) if number in frames else item for number, item in enumerate(element.items)]
        return Element(element.tag, "SQ", items=items)
    return element


def _type_derived(element: Element) -> Element:
    values = element.value.split(b"\\")
    if values[0].strip() in {b"DERIVED", b"MIXED"}:
        return element
    return Element(element.tag, "CS", b"\\".join([b"DERIVED", *values[1:]]))


def _with_frame_types(group: list[Element]) -> list[Element]:
    """Change Frame Type in the sequences of one group, which hold one item each."""
    result = []
    for element in group:
        if element.items and any(find(item, _FRAME_TYPE) is not None for item in element.items):
            items = [[_type_derived(one) if one.tag == _FRAME_TYPE else one for one in item] for item in element.items]
            result.append(Element(element.tag, "SQ", items=items))
        else:
            result.append(element)
    return result


def write_around(
    writer: Writer, elements: list[Element], source: Source, made: RedactedInstance, pixels: BinaryIO
) -> None:
    """Write elements, in their order, with the pixel data that a file holds from its start."""
    writer.elements([element for element in elements if element.tag < made.tag], source)
    pixels.seek(0)
    writer.pixel_data(made.tag, made.pixels, pixels)
    writer.elements([element for element in elements if element.tag > made.tag], source)
