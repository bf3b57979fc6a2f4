"""Which images are laid out alike: a keyed digest of what the header says of device and format, and boxes by it."""

import hmac
from collections.abc import Iterable

from deidentify.dataset import ReceivedInstance, find
from deidentify.review import MarkedBox, SiteLayout

__all__ = ["layout_boxes", "layout_key", "unsigned"]

_DEVICE = (0x00080070, 0x00081090)
"""Manufacturer and Manufacturer's Model Name."""
_KIND = (0x00080060, 0x00080016, 0x00280004)
"""Modality, SOP Class UID and Photometric Interpretation."""
_SIZE = (0x00280010, 0x00280011, 0x00280002)
"""Rows, Columns and Samples per Pixel."""
_DIGITS = 32


def layout_key(received: ReceivedInstance, name_key: bytes) -> str:
    """Return the key that images of one device and format share; nobody learns from it what the header says.

    Empty where the header names no device, or no size: what is known of one such image tells nothing of another.
    """
    device = [_plain(received.text(tag)) for tag in _DEVICE]
    size = [unsigned(received, tag) for tag in _SIZE]
    if not any(device) or size[0] is None or size[1] is None:
        return ""
    kind = [_plain(received.text(tag)) for tag in _KIND]
    message = "\0".join((*device, *kind, *map(str, size))).encode()
    return hmac.digest(name_key, b"layout\0" + message, "sha256").hex()[:_DIGITS]


def layout_boxes(received: ReceivedInstance, name_key: bytes, layouts: Iterable[SiteLayout]) -> tuple[MarkedBox, ...]:
    """Return the boxes that layouts of the site have for an image with this header."""
    known = tuple(layouts)
    own = layout_key(received, name_key) if known else ""
    return tuple(box for layout in known if own and layout.layout_key == own for box in layout.boxes)


def unsigned(received: ReceivedInstance, tag: int) -> int | None:
    """Return the first number of an attribute of VR US; None where it has none, or 0."""
    element = find(received.identified_elements, tag)
    if element is None or len(element.value) < 2:  # noqa: PLR2004 - bytes of a number
        return None
    return int.from_bytes(element.value[:2], "little" if received.encoding.little else "big") or None


def _plain(identified_text: str) -> str:
    return " ".join(identified_text.split()).casefold()
