"""A second engine reads what was written: Tesseract, at two scales and with several ways to look for lines."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from benchmarks.burned_in.styles import Planted, Turn

__all__ = ["MODES", "SCALES", "engine_version", "grey", "read_words", "tokens_of", "tokens_read"]

MODES = (3, 6, 11)
"""Page segmentation: automatic, one block, sparse text."""
SCALES = (1, 2)
LEAST_LENGTH = 4
LEAST_RATIO = 85
"""Of 100: how alike a word has to be to a planted token."""
_WORD = re.compile(r"[^\W_]+")
_LONGEST_S = 120


@cache
def engine_version() -> str:
    """Return the name and version of the second engine; nothing where it is not installed."""
    if shutil.which("tesseract") is None:
        return ""
    told = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.partition("\n")[0].strip()


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text) if len(word) >= LEAST_LENGTH}


def tokens_of(planted: Iterable[Planted]) -> tuple[str, ...]:
    """Return the words and numbers of planted lines that are long enough to be told from chance."""
    return tuple(sorted({token for one in planted for token in _words(one.line.text)}))


def grey(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the full stored range of a frame in 8 bits, colour as colour."""
    low, high = float(frame.min()), float(frame.max())
    return np.asarray((frame.astype(np.float32) - low) * (255 / max(1.0, high - low)), dtype=np.uint8)


def _once(picture: NDArray[np.uint8], mode: int) -> set[str]:
    _, png = cv2.imencode(".png", picture)
    read = subprocess.run(
        ["tesseract", "stdin", "stdout", "--psm", str(mode)],
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        input=png.tobytes(),
        capture_output=True,
        check=True,
        timeout=_LONGEST_S,
    )
    return _words(read.stdout.decode(errors="replace"))


def read_words(picture: NDArray[np.uint8], turns: Iterable[Turn]) -> set[str]:
    """Return every word that is read at any scale and in any mode, with vertical text turned upright, too."""
    upright = {0, *({Turn.UP: 3, Turn.DOWN: 1}.get(turn, 0) for turn in turns)}
    words: set[str] = set()
    for quarters in sorted(upright):
        turned = np.ascontiguousarray(np.rot90(picture, quarters))
        for scale in SCALES:
            large = (
                turned if scale == 1 else cv2.resize(turned, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            )
            for mode in MODES:
                words |= _once(large, mode)
    return words


def tokens_read(tokens: Sequence[str], words: Iterable[str]) -> tuple[str, ...]:
    """Return the planted tokens that some word is alike to, or a part of a longer word."""
    read = list(words)
    return tuple(
        token
        for token in tokens
        if any(
            fuzz.ratio(token, word) >= LEAST_RATIO
            or (len(word) > len(token) and fuzz.partial_ratio(token, word) >= LEAST_RATIO)
            for word in read
        )
    )
