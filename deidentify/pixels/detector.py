"""Where text may be: the PP-OCRv4 detection model, a differentiable binarization network."""

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""A view of a frame for the models: (rows, columns) grey or (rows, columns, 3) RGB."""

_STRIDE = 32
_SMALLEST_SIDE = 96
_MASK_THRESHOLD = 0.2
_BOX_THRESHOLD = 0.3
_UNCLIP = 1.6
_SHORTEST_CORE = 3.0
_SHORTEST_BOX = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A rotated rectangle that may hold one line of text, in pixels of the image given.

    ``angle`` is in degrees, clockwise, as cv2.minAreaRect gives it.
    """

    x: float
    y: float
    width: float
    height: float
    angle: float
    score: float

    def corners(self) -> NDArray[np.float32]:
        """Return the four corners, shape (4, 2), in order around the rectangle."""
        return np.asarray(cv2.boxPoints(((self.x, self.y), (self.width, self.height), self.angle)), dtype=np.float32)

    def around(self, other: "Candidate") -> "Candidate":
        """Return the least rectangle around this one and another, with this one's score."""
        both = np.vstack([self.corners(), other.corners()])
        (x, y), (width, height), angle = cv2.minAreaRect(both)
        return Candidate(x=x, y=y, width=width, height=height, angle=angle, score=self.score)

    def holds(self, other: "Candidate", share: float) -> bool:
        """Say whether so much of another rectangle lies in this one, as a share of its area."""
        mine, its = (((one.x, one.y), (one.width, one.height), one.angle) for one in (self, other))
        common = cv2.rotatedRectangleIntersection(mine, its)[1]
        return common is not None and cv2.contourArea(cv2.convexHull(common)) >= share * other.width * other.height

    def moved(self, *, scale: float, dx: float, dy: float) -> "Candidate":
        """Return the rectangle divided by a scale and then shifted."""
        return Candidate(
            x=self.x / scale + dx,
            y=self.y / scale + dy,
            width=self.width / scale,
            height=self.height / scale,
            angle=self.angle,
            score=self.score,
        )


class Detector(Protocol):
    """Finds lines of text."""

    def find(self, image: Image) -> list[Candidate]:
        """Return where text may be, in no particular order."""


class TextDetector:
    """PP-OCRv4 detection on ONNX Runtime, at the scale of the image given."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name

    def find(self, image: Image) -> list[Candidate]:
        """Return every rectangle of the probability map over the thresholds, unclipped."""
        rows, columns = image.shape[:2]
        colour = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)  # noqa: PLR2004
        padded = cv2.copyMakeBorder(
            colour, 0, _padding(rows), 0, _padding(columns), cv2.BORDER_CONSTANT, value=(0, 0, 0)
        )
        # The model was trained on BGR, scaled to -1 … 1.
        blob = cv2.dnn.blobFromImage(padded, 1 / 127.5, mean=(127.5, 127.5, 127.5), swapRB=True)
        probability = self._session.run(None, {self._input: blob})[0][0, 0, :rows, :columns]
        return _rectangles(probability)


def _padding(length: int) -> int:
    target = max(_SMALLEST_SIDE, -(-length // _STRIDE) * _STRIDE)
    return target - length


def _rectangles(probability: NDArray[np.float32]) -> list[Candidate]:
    mask = (probability > _MASK_THRESHOLD).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        (x, y), (width, height), angle = cv2.minAreaRect(contour)
        if min(width, height) < _SHORTEST_CORE:
            continue
        score = _mean_inside(probability, cv2.boxPoints(((x, y), (width, height), angle)))
        if score < _BOX_THRESHOLD:
            continue
        # The network draws the shrunken core of a line. Offsetting a rectangle by this distance and enclosing it again
        # is the same rectangle with longer sides, so that no polygon library is needed.
        distance = width * height * _UNCLIP / (2 * (width + height))
        width, height = width + 2 * distance, height + 2 * distance
        if min(width, height) < _SHORTEST_BOX:
            continue
        found.append(Candidate(x=x, y=y, width=width, height=height, angle=angle, score=score))
    return found


def _mean_inside(probability: NDArray[np.float32], corners: NDArray[np.float32]) -> float:
    rows, columns = probability.shape
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, (columns - 1, rows - 1))
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int), 0, (columns - 1, rows - 1))
    inside = np.zeros((bottom - top + 1, right - left + 1), dtype=np.uint8)
    cv2.fillPoly(inside, [(corners - (left, top)).astype(np.int32)], 1)
    return float(cv2.mean(probability[top : bottom + 1, left : right + 1], inside)[0])
