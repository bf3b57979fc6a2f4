"""What a line of text says: the PP-OCRv4 recognition model with CTC decoding."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from deidentify.pixels.alternatives import Evidence
from deidentify.pixels.detector import Candidate, Image

_HEIGHT = 48
_SHORTEST_WIDTH, _SHORTEST_OF_A_LINE = 320, 64
_LONGEST_WIDTH = 48 * 40
_POSSIBLE_FROM = 0.01
_UPRIGHT_FROM = 1.5
"""Height over width from which a rectangle is also read turned by a quarter, both ways."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the recogniser saw in one rectangle; ``score`` is its mean confidence per character, 0 to 1."""

    identified_text: str = field(repr=False)
    score: float
    identified_evidence: Evidence = field(default=(), repr=False)
    """What else each place of it may be."""


class Recognizer(Protocol):
    """Reads lines of text."""

    def read(self, image: Image, candidates: Sequence[Candidate]) -> list[Reading]:
        """Return one reading for each candidate, in order."""


class TextRecognizer:
    """PP-OCRv4 recognition on ONNX Runtime.

    Parameters
    ----------
    session
        The model.
    characters
        What its outputs stand for, less the blank and the space.
    is_close
        A short line is shown as long as it is, not with the margin that the model was trained with: that takes a third
        of the time and reads letters more surely, and noise too.
    """

    def __init__(self, session: Any, characters: Sequence[str], *, is_close: bool = False) -> None:
        self._session = session
        self._shortest_width = _SHORTEST_OF_A_LINE if is_close else _SHORTEST_WIDTH
        self._input = session.get_inputs()[0].name
        self._characters = ("", *characters, " ")

    def read(self, image: Image, candidates: Sequence[Candidate]) -> list[Reading]:
        """Read each candidate in every rotation that its shape allows and keep the surest reading."""
        return [max(map(self._reading_of, _strips(image, candidate)), key=_score) for candidate in candidates]

    def _reading_of(self, strip: Image) -> Reading:
        """Read one strip by itself: what it says does not depend on the others, and several at once are no faster."""
        width = int(np.clip(np.ceil(_HEIGHT * strip.shape[1] / strip.shape[0]), 1, _LONGEST_WIDTH))
        shown = cv2.resize(strip, (width, _HEIGHT)).transpose(2, 0, 1)[::-1]
        picture = np.zeros((1, 3, _HEIGHT, max(self._shortest_width, width)), dtype=np.float32)
        picture[0, :, :, :width] = shown.astype(np.float32) / 127.5 - 1
        return self._decode(self._session.run(None, {self._input: picture})[0][0])

    def _decode(self, steps: NDArray[np.float32]) -> Reading:
        best = steps.argmax(axis=1)
        # CTC: repeats collapse, the blank (index 0) separates.
        kept = (best != 0) & np.concatenate(([True], best[1:] != best[:-1]))
        if not kept.any():
            return Reading(identified_text="", score=0.0)
        text = "".join(self._characters[index] for index in best[kept])
        return Reading(
            identified_text=text, score=float(steps.max(axis=1)[kept].mean()), identified_evidence=self._evidence(steps)
        )

    def _evidence(self, steps: NDArray[np.float32]) -> Evidence:
        found: list[list[tuple[str, float]]] = [[] for _ in steps]
        for step, index in np.argwhere(steps >= _POSSIBLE_FROM).tolist():
            found[step].append((self._characters[index], float(steps[step, index])))
        return tuple(map(tuple, found))


def _score(reading: Reading) -> float:
    return reading.score


def _strips(image: Image, candidate: Candidate) -> list[Image]:
    """Cut the rectangle out, straightened; tall ones also turned by a quarter, both ways."""
    strip = straightened(image, candidate)
    strip = strip if strip.ndim == 3 else cv2.cvtColor(strip, cv2.COLOR_GRAY2RGB)  # noqa: PLR2004
    if strip.shape[0] < _UPRIGHT_FROM * strip.shape[1]:
        return [strip]
    return [strip, np.rot90(strip, 1).copy(), np.rot90(strip, 3).copy()]


def straightened(image: Image, candidate: Candidate) -> Image:
    """Return what a rectangle shows, its sides level and upright."""
    corners = candidate.corners()
    by_x = corners[np.argsort(corners[:, 0], kind="stable")]
    left, right = by_x[:2], by_x[2:]
    top_left, bottom_left = left[np.argsort(left[:, 1])]
    top_right, bottom_right = right[np.argsort(right[:, 1])]
    width = max(1, int(np.linalg.norm(top_right - top_left)))
    height = max(1, int(np.linalg.norm(bottom_left - top_left)))
    source = np.array([top_left, top_right, bottom_right, bottom_left], dtype=np.float32)
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=np.float32)
    warp = cv2.getPerspectiveTransform(source, target)
    strip = cv2.warpPerspective(image, warp, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(strip, dtype=np.uint8)
