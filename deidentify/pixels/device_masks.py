"""Rectangles where known devices write names: masks that are added to what is found, never evidence of cleanness.

They are derived from the catalogue of the Python package `deid` by ``tools/derive_device_masks.py``; the data file says
which of its labels are left out, and why. A frame that no mask is about is read like any other, and so is one that has
masks.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from pydicom import Dataset

from deidentify.errors import PixelDecodeError
from deidentify.pixels.boxes import Box, clipped_to
from deidentify.pixels.guard import decoding
from deidentify.vocabulary import folded

MASK_KEYWORDS = (
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "ImageType",
    "SeriesDescription",
    "ProtocolName",
    "BurnedInAnnotation",
)
"""Attributes that conditions compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMask:
    """Rectangles of frames of one size that one kind of device makes."""

    line: int
    """Of the label in the recipe that it is derived from."""
    name: str
    rows: int
    columns: int | None
    """None for any number."""
    contains: Mapping[str, tuple[re.Pattern[str], ...]]
    """Keyword → what its value has to contain, each of them."""
    boxes: tuple[Box, ...]

    def fits(self, attributes: Dataset, *, rows: int, columns: int) -> bool:
        """Tell whether it is about frames of this size with this header."""
        if rows != self.rows or self.columns not in {None, columns}:
            return False
        return all(
            pattern.search(_text(attributes, keyword))
            for keyword, patterns in self.contains.items()
            for pattern in patterns
        )


def masks_of(attributes: Dataset, *, rows: int, columns: int) -> tuple[Box, ...]:
    """Return where the device that made a frame of this size is known to write, inside the frame, each box once.

    ``attributes`` are those that ``deidentify.pixels.source.locate`` reads.
    """
    fitting = (mask for mask in device_masks() if mask.fits(attributes, rows=rows, columns=columns))
    return clipped_to((box for mask in fitting for box in mask.boxes), rows=rows, columns=columns)


@cache
def device_masks() -> tuple[DeviceMask, ...]:
    """Return all masks."""
    content = (resources.files("deidentify.pixels") / "device_masks.json").read_text(encoding="ascii")
    return tuple(map(_mask, json.loads(content)["masks"]))


def _mask(row: dict[str, Any]) -> DeviceMask:
    return DeviceMask(
        line=row["line"],
        name=row["name"],
        rows=row["Rows"],
        columns=row.get("Columns"),
        contains={keyword: tuple(map(_pattern, values)) for keyword, values in row["contains"].items()},
        boxes=tuple(Box(x=x, y=y, width=width, height=height) for x, y, width, height in row["boxes"]),
    )


def _pattern(value: str) -> re.Pattern[str]:
    """Return what finds one of the words between bars, each at the beginning of a word.

    The package finds them anywhere; "GE" would then be about devices of "Image" and "Agfa-Gevaert" too.
    """
    words = "|".join(re.escape(folded(word)) for word in value.split("|"))
    return re.compile(rf"(?<![^\W_])(?:{words})")


def _text(attributes: Dataset, keyword: str) -> str:
    try:
        with decoding("The value cannot be read."):
            value = attributes.get(keyword)
            parts = [value] if value is None or isinstance(value, str) else list(value)
    except PixelDecodeError:
        return ""
    return folded("\\".join(str(part) for part in parts if part is not None))
