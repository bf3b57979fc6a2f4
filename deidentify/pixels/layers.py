"""What can be seen besides the pixel data: overlay planes, overlay bits, icons; and the texts of graphics and reports.

The written header has no overlay plane (60xx) and no pixels inside sequences, whatever a profile says. This is for
whoever looks at files as they are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, Literal

import numpy as np

from deidentify.charsets import DEFAULT, Charset, charset_of
from deidentify.dataset import (
    EXPLICIT_LITTLE,
    PIXEL_TAGS,
    Element,
    Encoding,
    Part,
    ReceivedInstance,
    Source,
    encode,
    find,
    tag_text,
    text_of,
)
from deidentify.errors import PixelDecodeError
from deidentify.parser import BIG_ENDIAN, EXPLICIT, IMPLICIT, read_instance
from deidentify.pixels.decode import iter_frames, read_format
from deidentify.pixels.detector import Image
from deidentify.pixels.source import locate
from deidentify.pixels.views import views_of

ICON_SEQUENCE = 0x00880200
_ROWS, _COLUMNS, _FRAMES, _ALLOCATED, _POSITION, _DATA = 0x0010, 0x0011, 0x0015, 0x0100, 0x0102, 0x3000
"""Elements of an overlay group."""
_MOST_PIXELS = 1 << 28
_CHARSET = 0x00080005
_CONTENT = 0x0040A730
_GRAPHIC_TEXT = 0x00700006
_REPORT_TEXTS = frozenset((0x0040A160, 0x0040A123))
"""Text Value and Person Name of content items."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Pictures that are none of the pixel data. ``name`` holds no value of the file."""

    name: str
    frames: Iterator[list[Image]] = field(repr=False)
    """Of each frame its views, uint8 of shape (rows, columns[, 3]); none where it is constant. They are decoded while
    they are asked for, before the next layer, and raise PixelDecodeError where that cannot be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerText:
    """A line of text that a viewer draws over an image, or that a report has."""

    name: str
    identified_text: str = field(repr=False)


def iter_layers(identified_file: BinaryIO) -> Iterator[Layer]:
    """Yield every layer of a file, on its top level and inside its sequences.

    Parameters
    ----------
    identified_file
        The original, read from its start; it is left at no particular position.

    Yields
    ------
    Layer
        Planes first, then icons and other images inside sequences.

    Raises
    ------
    UnreadableInstanceError
        When the data set cannot be parsed to its end.
    """
    received = read_instance(identified_file)
    source = Source(identified_file, deflated_at=received.deflated_at)
    try:
        for path, elements in _levels(received.identified_elements, ()):
            for group in _overlay_groups(elements):
                yield from _overlay(elements, group, received, source, None if path else identified_file)
        for path, elements in _levels(received.identified_elements, ()):
            pixels = next((element for element in elements if element.tag in PIXEL_TAGS), None)
            if path and pixels is not None:
                name = "icon" if path[-1] == ICON_SEQUENCE else f"image in {tag_text(path[-1])}"
                yield Layer(name=name, frames=_image(elements, pixels, received, source))
    finally:
        source.close()


def iter_texts(received: ReceivedInstance) -> Iterator[LayerText]:
    """Yield the lines of text of graphic annotations, of images and of curves, and of reports."""
    for path, elements in _levels(received.identified_elements, ()):
        for element in elements:
            name = _name_of_text(element, path)
            if not name:
                continue
            for line in _charset(elements, received).decode(element.value).splitlines():
                # The parts of a person's name are words of one line.
                text = " ".join(line.replace("^", " ").replace("=", " ").strip(" \0").split())
                if text:
                    yield LayerText(name=name, identified_text=text)


def _name_of_text(element: Element, path: tuple[int, ...]) -> str:
    if element.items is not None or element.span is not None:
        return ""
    if element.tag == _GRAPHIC_TEXT:
        return "graphic text"
    # Text Value says how a specimen was stained, too: nobody reads that in a report.
    return "report text" if path[-1:] == (_CONTENT,) and element.tag in _REPORT_TEXTS else ""


def _charset(elements: list[Element], received: ReceivedInstance) -> Charset:
    """Return the character set of an item, which may have its own, or that of the data set."""
    element = find(elements, _CHARSET) or find(received.identified_elements, _CHARSET)
    return charset_of(element.value) if element is not None else DEFAULT


def _levels(elements: list[Element], path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], list[Element]]]:
    """Yield the data set and every item in it, each with the sequences around it."""
    yield path, elements
    for element in elements:
        for item in element.items or ():
            yield from _levels(item, (*path, element.tag))


# -- overlays ----------------------------------------------------------------------------------------------------------


def _overlay_groups(elements: list[Element]) -> list[int]:
    groups = {element.tag >> 16 for element in elements}
    return sorted(group for group in groups if group & 0xFF00 == 0x6000 and not group & 1)  # noqa: PLR2004 - 60xx


def _overlay(
    elements: list[Element], group: int, received: ReceivedInstance, source: Source, pixels: BinaryIO | None
) -> Iterator[Layer]:
    """Yield the plane of a group, or its bits in the words of the pixels; it has one of the two, or nothing to see."""
    data = find(elements, group << 16 | _DATA)
    if data is not None:
        frames = _plane(elements, group, received.encoding, _content(data, source))
        yield Layer(name=f"overlay {group:04X}", frames=frames)
    elif pixels is not None and find(elements, group << 16 | _POSITION) is not None:
        allocated = _number(elements, group << 16 | _ALLOCATED, received.encoding)
        if allocated > 1:
            position = _number(elements, group << 16 | _POSITION, received.encoding)
            yield Layer(name=f"overlay bits {group:04X}", frames=_bits(pixels, position))


def _plane(elements: list[Element], group: int, encoding: Encoding, content: bytes) -> Iterator[list[Image]]:
    rows, columns = (_number(elements, group << 16 | tag, encoding) for tag in (_ROWS, _COLUMNS))
    said = text_of(elements, group << 16 | _FRAMES)
    frames = int(said) if said.isascii() and said.isdigit() else 1
    pixels = rows * columns
    if not 0 < pixels * frames <= _MOST_PIXELS:
        raise PixelDecodeError("The announced size of an overlay plane is out of bounds.")
    data = find(elements, group << 16 | _DATA)
    if data is not None and data.vr == "OW" and not encoding.little:
        content = np.frombuffer(content[: len(content) & ~1], np.uint16).byteswap().tobytes()
    if len(content) * 8 < pixels * frames:
        raise PixelDecodeError("An overlay plane is shorter than announced.")
    bits = np.unpackbits(np.frombuffer(content, np.uint8), bitorder="little")
    if bits[pixels * frames :].any():
        # A viewer that counts otherwise would show what was not read here.
        raise PixelDecodeError("An overlay plane is longer than announced.")
    for index in range(frames):
        yield _seen(bits[index * pixels : (index + 1) * pixels].reshape(rows, columns) * np.uint8(255))


def _bits(identified_file: BinaryIO, position: int) -> Iterator[list[Image]]:
    """Yield one bit of the words of each frame, wherever it lies."""
    located = locate(identified_file)
    if located.element is None:
        return
    form = read_format(located)
    if not 0 <= position < form.bits_allocated or form.samples > 1 or form.bits_allocated not in {8, 16, 32}:
        raise PixelDecodeError("Overlay bits lie where the words of the pixels have none.")
    for frame in iter_frames(located, form):
        unsigned = frame.words.view(f"u{frame.words.dtype.itemsize}")
        yield _seen(((unsigned >> position) & 1).astype(np.uint8) * np.uint8(255))


def _seen(image: Image) -> list[Image]:
    return [image] if image.min() != image.max() else []


# -- images inside sequences -------------------------------------------------------------------------------------------


def _image(
    elements: list[Element], pixels: Element, received: ReceivedInstance, source: Source
) -> Iterator[list[Image]]:
    """Yield the views of each frame of an item, which is written as a file of its own."""
    located = locate(BytesIO(_file_of(elements, pixels, received, source)))
    form = read_format(located)
    for frame in iter_frames(located, form):
        yield views_of(frame, located.attributes)


def _file_of(elements: list[Element], pixels: Element, received: ReceivedInstance, source: Source) -> bytes:
    encoding = received.encoding
    native = EXPLICIT if encoding.little else BIG_ENDIAN
    syntax = received.transfer_syntax_uid if pixels.encapsulated else native if encoding.explicit else IMPLICIT
    parts: list[Part] = [bytes(128) + b"DICM"]
    encode([Element(0x00020010, "UI", syntax.encode("ascii"))], EXPLICIT_LITTLE, parts)
    encode(elements, encoding, parts)
    return b"".join(part if isinstance(part, bytes) else _bytes_at(part, source) for part in parts)


def _content(element: Element, source: Source) -> bytes:
    return element.value if element.span is None else _bytes_at(element.span, source)


def _bytes_at(span: tuple[int, int], source: Source) -> bytes:
    return source.buffer[slice(span[0], span[0] + span[1])]


def _number(elements: list[Element], tag: int, encoding: Encoding) -> int:
    order: Literal["little", "big"] = "little" if encoding.little else "big"
    element = find(elements, tag)
    return int.from_bytes(element.value[:2], order) if element is not None else 0
