"""Letters as pictures: the fonts that are there, by what they can write."""

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = ["families", "letters", "writers"]

Mask = NDArray[np.float32]

_HERSHEY = {
    "strokes, plain": cv2.FONT_HERSHEY_SIMPLEX,
    "strokes, handwriting": cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
}
_BITMAP = "bitmap, 11 px"
_DEFAULT = "PIL's scalable"
_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
_FILES = {
    "DejaVu Sans": "DejaVuSans.ttf",
    "DejaVu Sans Mono": "DejaVuSansMono.ttf",
    "DejaVu Serif Bold": "DejaVuSerif-Bold.ttf",
    "Noto Sans CJK": "NotoSansCJK-Regular.ttc",
    "WenQuanYi Zen Hei": "wqy-zenhei.ttc",
}
_CAPITAL = 0.72
"""Height of a capital letter as a share of a font's size."""
_NOT_A_LETTER = "\U0010fffe"


@cache
def _files() -> dict[str, Path]:
    there = {file.name: file for folder in _FOLDERS if folder.is_dir() for file in sorted(folder.rglob("*.tt[fc]"))}
    return {family: there[name] for family, name in _FILES.items() if name in there}


def families() -> list[str]:
    """Return every font that is there, in an order that never changes."""
    return [_BITMAP, _DEFAULT, *_HERSHEY, *_files()]


@cache
def _font(family: str, size: int) -> Any:
    if family == _BITMAP:
        return ImageFont.load_default_imagefont()
    if family == _DEFAULT:
        return ImageFont.load_default(size=size)
    return ImageFont.truetype(str(_files()[family]), size)


@cache
def _has(family: str, letter: str) -> bool:
    font = _font(family, 24)
    shapes = [np.asarray(Image.Image()._new(font.getmask(one))) for one in (letter, _NOT_A_LETTER)]  # noqa: SLF001
    return shapes[0].shape != shapes[1].shape or bool((shapes[0] != shapes[1]).any())


def writers(text: str) -> list[str]:
    """Return the fonts that have every letter of a text; none where no font here has them."""
    if text.isascii():
        return families()
    return [family for family in (_DEFAULT, *_files()) if all(_has(family, letter) for letter in text if letter != " ")]


def letters(text: str, family: str, height: int) -> Mask:
    """Return a text as shares of ink, 0 to 1, cut to its ink; capitals are about so many pixels high."""
    if family in _HERSHEY:
        drawn = _strokes(text, _HERSHEY[family], height)
    else:
        font = _font(family, 0 if family == _BITMAP else round(height / _CAPITAL))
        left, top, right, bottom = font.getbbox(text)
        picture = Image.new("L", (int(right - left) + 4, int(bottom - top) + 4))
        ImageDraw.Draw(picture).text((2 - left, 2 - top), text, fill=255, font=font)
        drawn = np.asarray(picture, dtype=np.float32) / 255
        if family == _BITMAP:
            times = max(1, round(height / 8))
            drawn = np.kron(drawn, np.ones((times, times), dtype=np.float32))
    return cut(drawn)


def _strokes(text: str, face: int, height: int) -> Mask:
    thick = max(1, height // 14)
    scale = cv2.getFontScaleFromHeight(face, height, thick)
    (width, tall), base = cv2.getTextSize(text, face, scale, thick)
    canvas = np.zeros((tall + 2 * base + 2 * height, width + 2 * height), dtype=np.uint8)
    cv2.putText(canvas, text, (height, tall + height), face, scale, 255, thick, cv2.LINE_AA)
    return canvas.astype(np.float32) / 255


def cut(drawn: Mask) -> Mask:
    """Return the part that has ink."""
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    return drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
