"""What became of one image at the hands of one tool: which planted lines are gone, and what else was changed."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from benchmarks.burned_in.generate import Image, Kind, made, part10
from benchmarks.burned_in.styles import ink_of

__all__ = ["ImageOutcome", "ToolOutcome", "is_gone", "lines_gone", "prepared", "written_frames"]

GONE = 0.95
"""Share of a line's ink that has to be covered."""
_BRIDGE_PX = 15
_FILL_SHARE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOutcome:
    """One image after one tool; what was not written has no pixels to speak of."""

    outcome: str
    """Either "written", "held" or "refused: " and why."""
    cpu_s: float
    is_altered: bool = False
    gone: int = 0
    """Planted lines of which nothing is left to read."""
    read: tuple[str, ...] = ()
    """Planted tokens that the second engine reads in what was written."""
    is_read: bool = False
    """The second engine looked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOutcome:
    """One image: what was planted, what the second engine reads in the original, and what each tool made of it."""

    number: int
    kind: Kind
    lines: int
    tokens: tuple[str, ...]
    read: tuple[str, ...]
    is_read: bool
    tools: dict[str, ToolOutcome]


def prepared(seed: int, number: int) -> tuple[Image, io.BytesIO]:
    """Return an image and its file, with the type and maker that a cleaner by header asks for."""
    image = made(seed, number)
    image.data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.data.Manufacturer = "Made for a benchmark"
    return image, part10(image.data)


def written_frames(target: Path, like: NDArray[Any]) -> NDArray[Any] | None:
    """Return the frames of a file as an array of the original's shape; None where it has no such pixels."""
    pixels = dcmread(target, force=True).pixel_array
    return pixels.reshape(like.shape) if pixels.size == like.size else None


def is_gone(ink: NDArray[np.bool_], before: NDArray[Any], after: NDArray[Any]) -> bool:
    """Say whether nearly all ink of a line lies in filled boxes; all arrays are (rows, columns) of one frame.

    A pixel is covered when it has a value that boxes are filled with, and lies among pixels that were changed: ink
    that was black before counts in a black box, and not beside one.
    """
    changed = before != after
    if not changed.any():
        return False
    values, counts = np.unique(after[changed], return_counts=True)
    fills = values[counts >= _FILL_SHARE * counts.sum()]
    bridged = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((_BRIDGE_PX, _BRIDGE_PX), np.uint8))
    covered = (bridged > 0) & np.isin(after, fills)
    return bool(covered[ink].mean() >= GONE)


def _plane(frame: NDArray[Any]) -> NDArray[np.int64]:
    """Return one number for each pixel: colour as the three channels in one word."""
    wide = frame.astype(np.int64)
    return wide if wide.ndim == 2 else (wide[..., 0] << 32) | (wide[..., 1] << 16) | wide[..., 2]


def lines_gone(image: Image, after: NDArray[Any]) -> int:
    """Count the planted lines that are gone."""
    gone = 0
    for one in image.planted:
        left, top, right, bottom = one.box
        before, now = (_plane(frames[one.frame]) for frames in (image.frames, after))
        ink = np.zeros(before.shape, dtype=bool)
        ink[top:bottom, left:right] = ink_of(one, before.shape)
        gone += is_gone(ink, before, now)
    return gone


def scored(image: Image, answer: dict[str, Any], target: Path) -> tuple[ToolOutcome, NDArray[Any] | None]:
    """Compare what a tool wrote with what was planted; return the frames, too, where there are any."""
    outcome = ToolOutcome(outcome=answer["outcome"], cpu_s=answer["cpu_s"])
    if outcome.outcome != "written":
        return outcome, None
    after = written_frames(target, image.frames)
    if after is None:
        return replace(outcome, outcome="refused: other pixels"), None
    return replace(outcome, is_altered=bool((after != image.frames).any()), gone=lines_gone(image, after)), after


def side_by_side(before: NDArray[Any], after: NDArray[Any], target: Path) -> None:
    """Draw a frame of the original and of what was written."""
    cv2.imwrite(str(target), np.hstack([before, after]))


def tools_of(outcomes: Sequence[ImageOutcome]) -> tuple[str, ...]:
    """Return the tools in the order in which they took their turns."""
    return tuple(dict.fromkeys(tool for one in outcomes for tool in one.tools))
