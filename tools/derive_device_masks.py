"""Derive ``deidentify/pixels/device_masks.json`` from the recipe of the Python package `deid` (MIT).

    python tools/derive_device_masks.py VERSION deid/data/deid.dicom deidentify/pixels/device_masks.json

A label of the recipe becomes a mask only where its rectangles are sure to be meant for the frames that they are put on,
and lie where devices write. What is left out is listed with its reason.
"""

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from deidentify.pixels.device_masks import MASK_KEYWORDS
from deidentify.recipe_text import CoordinatesLine, Criterion, Label, read_recipe

SIZES = ("Rows", "Columns")
MODALITIES = frozenset(("CT", "MR", "PT", "NM", "US", "XA", "CR", "DX", "OT"))
NARROWING = ("ManufacturerModelName", "Columns", "ImageType", "SeriesDescription", "ProtocolName")
"""What a label has to say beside the manufacturer and the number of rows: else it is about nearly all of its frames."""
DEEPEST = 1 / 6
"""Share of the rows that a rectangle on the upper or lower edge may have."""
LOWEST_LINE = 20
"""Rows of a line of text; so low a rectangle may lie anywhere."""


class LeftOutError(Exception):
    """The label becomes no mask; the message says why."""


def mask_of(label: Label, known: set[str]) -> dict[str, Any]:
    """Return a label as a mask, and add what it says to ``known``.

    Raises
    ------
    LeftOutError
        When it is not sure that its rectangles belong to the frames that it is about, or it is known.
    """
    contains: dict[str, list[str]] = {}
    sizes: dict[str, int] = {}
    for line in label.criteria:
        if line.operator == "or" or line.between:
            raise LeftOutError("it has cases that are joined by or")
        _add(line.criteria[0], contains, sizes)
    _check_narrow(contains, sizes)
    boxes = [box_of(line) for line in label.coordinates]
    for box in boxes:
        _check_place(box, sizes["Rows"], sizes.get("Columns"))
    conditions = {keyword: sorted(set(values)) for keyword, values in contains.items()}
    says = sizes | {"contains": conditions, "boxes": boxes}
    same = json.dumps(says, sort_keys=True)
    if same in known:
        raise LeftOutError("the same stands further up")
    known.add(same)
    return {"line": label.number, "name": _name(label)} | says


def _add(criterion: Criterion, contains: dict[str, list[str]], sizes: dict[str, int]) -> None:
    keyword, value = criterion.field, criterion.value.strip()
    if criterion.kind == "equals" and keyword in SIZES:
        if not value.isdigit() or sizes.get(keyword, int(value)) != int(value):
            raise LeftOutError(f"{keyword} is no number")
        sizes[keyword] = int(value)
    elif keyword not in MASK_KEYWORDS:
        raise LeftOutError(f"there is no condition on {keyword} here")
    elif criterion.kind != "contains":
        raise LeftOutError(f"a criterion of the kind {criterion.kind} is not known here")
    else:
        # All of these have to fit; a bar within one of them is an "or" of words.
        contains.setdefault(keyword, []).append(value)


def _check_narrow(contains: dict[str, list[str]], sizes: dict[str, int]) -> None:
    if "Rows" not in sizes:
        raise LeftOutError("it is about frames of any size")
    unknown = [value for value in contains.get("Modality", ()) if value not in MODALITIES]
    if unknown:
        raise LeftOutError(f"there is no modality {unknown[0]}")
    if "Manufacturer" not in contains or not any(key in contains or key in sizes for key in NARROWING):
        raise LeftOutError("it is about frames of nearly any device")


def box_of(line: CoordinatesLine) -> list[int]:
    """Return (x, y, width, height); CTP writes these, the package itself writes the corners."""
    numbers = [int(part) for part in re.findall(r"-?\d+", line.region)]
    if len(numbers) != 4 or line.kind not in {"ctpcoordinates", "coordinates"}:  # noqa: PLR2004 - a rectangle
        raise LeftOutError("its rectangle is none")
    x, y, width, height = numbers
    if line.kind == "coordinates":
        width, height = width - x, height - y
    if min(x, y) < 0 or min(width, height) <= 0:
        raise LeftOutError("its rectangle is none")
    return [x, y, width, height]


def _check_place(box: list[int], rows: int, columns: int | None) -> None:
    x, y, _width, height = box
    if y >= rows or (columns is not None and x >= columns):
        raise LeftOutError("its rectangle lies outside the frame")
    is_at_edge = y == 0 or y + height >= rows
    if height > LOWEST_LINE and not (is_at_edge and height <= DEEPEST * rows):
        raise LeftOutError("its rectangle reaches to where the anatomy is")


def catalogue_of(text: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the masks of a recipe, and what is left out of those labels that have rectangles."""
    masks: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    known: set[str] = set()
    for label in (label for labels in read_recipe(text).filters.values() for label in labels if label.coordinates):
        try:
            masks.append(mask_of(label, known))
        except LeftOutError as fault:
            left_out.append({"line": label.number, "name": _name(label), "why": str(fault)})
    return masks, left_out


def _name(label: Label) -> str:
    return label.name.removeprefix("LABEL").strip()


def catalogue_text(version: str, content: bytes) -> str:
    """Return the file as JSON, a line for each mask and for each label that is left out."""
    masks, left_out = catalogue_of(content.decode())
    head = {
        "origin": f"deid {version}, deid/data/deid.dicom",
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": "MIT, device_masks.LICENSE",
    }
    parts = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    for key, rows in (("masks", masks), ("left_out", left_out)):
        parts.append(f' "{key}": [\n' + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n ]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(version: str, origin: Path, target: Path) -> None:
    """Write the catalogue."""
    target.write_text(catalogue_text(version, origin.read_bytes()), encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
