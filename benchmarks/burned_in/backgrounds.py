"""Pictures without text that text is drawn on: real frames of the corpus, and phantoms of four modalities made here."""

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.midib.bases import corpus_root
from deidentify.errors import PixelDecodeError
from deidentify.pixels.decode import Frame, iter_frames, read_format
from deidentify.pixels.source import locate

__all__ = ["Background", "background", "phantom", "real_files"]

_MODALITIES = frozenset({"CT", "MR", "PT", "NM", "CR", "DX", "US"})
_SMALLEST, _LARGEST = 96, 512
_LARGEST_BYTES = 8 << 20
_MADE_MALFORMED = ("bad", "truncated", "DICOMDIR", "explicit_VR-UN", "mismatch")
_HAVE_TEXT = ("OBXXXX1A", "gdcm-US-ALOKA", "deid-data", "pydicom+deid/", "RG3_J2K", "color-p", "SAFEHR-data+PIXL")
"""Banners, markers of lead, symbols of a device, and files in which others covered text: not surely free of it."""
_REAL_SHARE = 0.6
_MOST_WEIGHT = 8
"""A modality counts as its files, up to so many: else the corpus would be nearly all MR."""

Picture = NDArray[Any]
Random = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """A picture without text: (rows, columns) of unsigned 16 bits, or (rows, columns, 3) of 8 bits."""

    pixels: Picture
    modality: str
    origin: str
    """Either "phantom" or "real"."""


@cache
def real_files() -> dict[str, tuple[Path, ...]]:
    """Return the files of the corpus in which no text was seen, by modality, each instance once; empty without it."""
    root = corpus_root()
    if root is None:
        return {}
    found: dict[str, list[Path]] = defaultdict(list)
    seen: set[str] = set()
    for row in json.loads((root / "manifest.json").read_text())["files"]:
        is_large_enough = min(int(row["rows"] or 0), int(row["cols"] or 0)) >= _SMALLEST
        is_plain = not any(word in row["file"] for word in (*_MADE_MALFORMED, *_HAVE_TEXT))
        if (
            row["modality"] in _MODALITIES
            and is_large_enough
            and is_plain
            and not row["burned_in_seen"]
            and row["bytes"] <= _LARGEST_BYTES
            and not {row["pixhash"], row["sop"]} & seen
            and (root / row["file"]).is_file()
        ):
            seen.update({row["pixhash"], row["sop"]})
            found[row["modality"]].append(root / row["file"])
    return {modality: tuple(sorted(files)) for modality, files in sorted(found.items())}


@cache
def _frame(file: Path) -> Picture | None:
    """Return the middle frame as our own decoder gives it; None where it refuses the file."""
    with file.open("rb") as content:
        try:
            source = locate(content)
            form = read_format(source)
            for frame in iter_frames(source, form):
                if frame.index == form.frames // 2:
                    return _stored(frame)
        except PixelDecodeError:
            return None
    return None


def _stored(frame: Frame) -> Picture | None:
    words = frame.words
    if words.ndim == 3:
        return words if words.dtype == np.uint8 else None
    if words.dtype.kind == "u":
        words = (words >> frame.shift) & ((1 << frame.bits_stored) - 1)
    elif words.dtype.kind != "i" or frame.shift:
        return None
    wide = words.astype(np.int64)
    return np.clip(wide - wide.min(), 0, 65535).astype(np.uint16)


def background(random: Random, *, most: int = _LARGEST, is_colour: bool | None = None) -> Background:
    """Return a real frame, cut to at most so many pixels a side, or a phantom; real ones as far as they are there.

    ``is_colour`` asks for colour or grey; None takes what comes.
    """
    files = real_files()
    if files and random.random() < _REAL_SHARE:
        weights = np.array([min(len(one), _MOST_WEIGHT) for one in files.values()], dtype=float)
        modality = str(random.choice(list(files), p=weights / weights.sum()))
        choice = files[modality]
        pixels = _frame(choice[int(random.integers(len(choice)))])
        if pixels is not None and pixels.min() < pixels.max() and is_colour in {None, pixels.ndim == 3}:
            return Background(pixels=_cut(pixels, random, most), modality=modality, origin="real")
    made = phantom(random, most=most)
    if is_colour:
        grey = (made.pixels.astype(np.float32) * (255 / max(1, int(made.pixels.max())))).astype(np.uint8)
        return Background(pixels=np.repeat(grey[..., None], 3, axis=2), modality="US", origin="phantom")
    return made


def _cut(pixels: Picture, random: Random, most: int) -> Picture:
    rows, columns = pixels.shape[:2]
    top = int(random.integers(0, max(0, rows - most) + 1))
    left = int(random.integers(0, max(0, columns - most) + 1))
    part = pixels[top : top + most, left : left + most]
    return (part if part.min() < part.max() else pixels[:most, :most]).copy()


def phantom(random: Random, *, most: int = _LARGEST) -> Background:
    """Return a CT-like, MR-like, X-ray-like or ultrasound-like picture."""
    make, modality, size = (
        (_ct, "CT", (256, 512)),
        (_mr, "MR", (192, 320)),
        (_radiograph, "DX", (384, 512)),
        (_ultrasound, "US", (320, 480)),
    )[int(random.integers(4))]
    side = min(most, int(random.integers(*size)))
    pixels = np.clip(make(random, side, min(most, side * 5 // 4)), 0, 4095).astype(np.uint16)
    return Background(pixels=pixels, modality=modality, origin="phantom")


def _places(rows: int, columns: int) -> tuple[Picture, Picture]:
    """Return row and column of each pixel, from -1 to 1."""
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    return y.astype(np.float32), x.astype(np.float32)


def _ellipses(random: Random, rows: int, columns: int, count: int, levels: tuple[float, float]) -> Picture:
    y, x = _places(rows, columns)
    picture = np.zeros((rows, columns), dtype=np.float32)
    picture[(y / 0.85) ** 2 + (x / 0.9) ** 2 < 1] = np.mean(levels)
    for _ in range(count):
        row, column = random.uniform(-0.5, 0.5, 2)
        tall, wide = random.uniform(0.05, 0.45, 2)
        turned = random.uniform(0, np.pi)
        across, down = x - column, y - row
        u = across * np.cos(turned) + down * np.sin(turned)
        v = down * np.cos(turned) - across * np.sin(turned)
        picture[(v / tall) ** 2 + (u / wide) ** 2 < 1] = random.uniform(*levels)
    return picture


def _ct(random: Random, rows: int, columns: int) -> Picture:
    columns = rows
    picture = _ellipses(random, rows, columns, int(random.integers(6, 14)), (300, 1300))
    picture[int(rows * 0.93) : int(rows * 0.95), columns // 6 : -columns // 6] = 1100
    for _ in range(int(random.integers(2, 6))):
        centre = tuple(int(value) for value in random.uniform(0.3, 0.7, 2) * columns)
        cv2.circle(picture, centre, int(random.integers(3, 14)), float(random.uniform(1500, 2800)), -1)
    smooth = cv2.GaussianBlur(picture, (0, 0), 0.9)
    return np.asarray(smooth + random.normal(20, random.uniform(8, 35), picture.shape))


def _mr(random: Random, rows: int, columns: int) -> Picture:
    picture = _ellipses(random, rows, columns, int(random.integers(8, 20)), (200, 1800))
    y, x = _places(rows, columns)
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.3) * (1 + 0.4 * x * random.uniform(-1, 1) + 0.3 * y)
    noise = random.normal(0, random.uniform(10, 60), (2, rows, columns))
    return np.asarray(np.hypot(smooth + noise[0], noise[1]))


def _radiograph(random: Random, rows: int, columns: int) -> Picture:
    y, x = _places(rows, columns)
    picture = 2600 - 900 * x**2 - 500 * y * random.uniform(-1, 1)
    picture -= _ellipses(random, rows, columns, 6, (0, 900))
    for number in range(int(random.integers(5, 10))):
        middle = -0.8 + number * 0.22 + 0.35 * x**2
        picture += 260 * np.exp(-(((y - middle) / 0.05) ** 2)) * (np.abs(x) > 0.12)
    picture += 700 * np.exp(-((x / 0.1) ** 2))
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 2)
    smooth[np.abs(x) > random.uniform(0.85, 1.2)] = 60
    return np.asarray(smooth + random.normal(0, random.uniform(10, 45), picture.shape))


def _ultrasound(random: Random, rows: int, columns: int) -> Picture:
    y, x = _places(rows, columns)
    depth = np.hypot(y + 1.05, x)
    inside = (depth > 0.15) & (depth < random.uniform(1.7, 1.95)) & (np.abs(np.arctan2(x, y + 1.05)) < 0.65)
    tissue = _ellipses(random, rows, columns, 9, (200, 1500)) + 400
    grains = [cv2.GaussianBlur(random.normal(0, 1, (rows, columns)), (0, 0), 1.6, sigmaY=0.9) for _ in range(2)]
    speckle = np.hypot(*grains)
    return np.asarray(np.where(inside, np.clip(tissue * speckle * 2.6 * np.exp(-0.3 * depth), 0, 4000), 0))
