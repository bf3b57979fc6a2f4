"""Burned-in text made up for tests: synthetic identities drawn on synthetic backgrounds, all from one seed."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SURNAMES = ("KOWALCZYK", "BERGSTROM", "OKONKWO", "FITZPATRICK", "YAMASHITA", "DELACROIX", "PETROSYAN", "HUTCHINSON")
GIVEN = ("MARTA", "ERIK", "ADAEZE", "SEAN", "KENJI", "CLAIRE", "ARAM", "OLIVIA")
_HERSHEY = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_PLAIN, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """Text drawn into a picture and where it lies (left, top, right, bottom)."""

    text: str
    box: tuple[int, int, int, int]
    contrast: float
    height: int


def identity(random: np.random.Generator) -> tuple[str, ...]:
    """Return lines that a device might burn in for a made-up patient."""
    name = f"{random.choice(SURNAMES)} {random.choice(GIVEN)}"
    number = f"{random.integers(10**6, 10**8)}"
    birth = f"{random.integers(1, 28):02d}.{random.integers(1, 12):02d}.{random.integers(1930, 2015)}"
    return name, f"ID: {number}", f"DOB {birth}", f"ST. {random.choice(SURNAMES)} HOSPITAL", f"A{number[:5]}"


def phantom(random: np.random.Generator, rows: int = 256, columns: int = 256) -> NDArray[np.uint16]:
    """Return a 12-bit picture with the smooth shapes, edges and noise of a slice and no text."""
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    picture = np.zeros((rows, columns), dtype=np.float32)
    for _ in range(random.integers(4, 10)):
        centre = random.uniform(0.3, 0.7, 2) * (rows, columns)
        axes = random.uniform(0.05, 0.4, 2) * (rows, columns)
        inside = ((y - centre[0]) / axes[0]) ** 2 + ((x - centre[1]) / axes[1]) ** 2 < 1
        picture[inside] = random.uniform(100, 2500)
    picture = cv2.GaussianBlur(picture, (0, 0), 1.2) + random.normal(0, random.uniform(2, 40), picture.shape)
    return np.clip(picture, 0, 4095).astype(np.uint16)


def _mask(text: str, height: int, random: np.random.Generator) -> NDArray[np.float32]:
    if random.random() < 0.5:
        font = ImageFont.load_default(size=height / 0.7)  # height is that of a capital letter
        left, top, right, bottom = font.getbbox(text)
        drawn = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
        ImageDraw.Draw(drawn).text((1 - left, 1 - top), text, fill=255, font=font)
        return np.asarray(drawn, dtype=np.float32) / 255
    face = int(random.choice(_HERSHEY))
    scale = cv2.getFontScaleFromHeight(face, height, 1)
    (width, tall), base = cv2.getTextSize(text, face, scale, 1)
    canvas = np.zeros((tall + base + 4, width + 4), dtype=np.uint8)
    cv2.putText(canvas, text, (2, tall + 2), face, scale, 255, 1, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255


def plant(
    picture: NDArray[np.generic],
    text: str,
    random: np.random.Generator,
    *,
    contrast: float = 0.8,
    height: int = 16,
    turns: int = 0,
    at: tuple[int, int] | None = None,
) -> Planted:
    """Draw text into a picture in place, brighter than its surroundings by a share of the picture's range."""
    mask = np.rot90(_mask(text, height, random), turns)
    rows, columns = picture.shape[:2]
    top, left = at or tuple(
        int(random.integers(0, max(1, space - size + 1)))
        for space, size in zip((rows, columns), mask.shape, strict=True)
    )
    mask = mask[: rows - top, : columns - left]
    tall, wide = mask.shape
    low, high = float(picture.min()), float(picture.max())
    area = picture[top : top + tall, left : left + wide].astype(np.float32)
    step = contrast * (high - low)
    ground = float(np.median(area))
    ink = ground + step if high - ground >= ground - low else ground - step
    alpha = mask if picture.ndim == 2 else mask[..., None]
    mixed = np.clip(area * (1 - alpha) + np.clip(ink, low, high) * alpha, low, high)
    picture[top : top + tall, left : left + wide] = mixed.astype(picture.dtype)
    return Planted(text=text, box=(left, top, left + wide, top + tall), contrast=contrast, height=height)
