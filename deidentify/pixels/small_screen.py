"""A small network ahead of the big detector: it says of a view whether the big one has to look at it.

It was trained to see text, not to read or to place it, and its threshold is set low: what it lets pass has been
measured, with the misses, in ``docs/performance.md``. Whatever it cannot tell is passed on.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from deidentify.errors import DetectorUnavailableError
from deidentify.pixels.detector import Image

_SCALES = (1.0, 1.5, 0.5)
"""Letters of 8 to 10 pixels are seen surely only when enlarged, those of more than 50 only when made smaller."""
_LARGE_PIXELS = 1 << 20
_SCALES_OF_LARGE = (*_SCALES, 0.25)
"""Large pictures may have letters of more than 100 pixels."""
THRESHOLD = 3.0
"""Of the highest logit; set on pictures of the side that the network learned from."""
_STRIDE = 16
CELL_PX = 8
"""Side of what ``warmth`` tells apart, in pixels of the view."""
_FINE_PX, _COARSE_PX = 8, 16
"""Side of a cell of the two maps, in pixels of what the network is shown."""
_LARGEST_CELL_PX = 16
"""Larger ones than this say nothing of where text is."""
_TILED_FROM_PIXELS = 3_000_000
_TILE_PX, _TILE_OVERLAP_PX = 1024, 128
_SILENT = 4

Plane = NDArray[np.uint8]


class SmallScreen:
    """The network on ONNX Runtime; ``session`` takes a picture from 0 to 1 and gives maps of logits."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name

    def may_hold_text(self, view: Image) -> bool:
        """Say whether the big detector has to read a view; each colour channel is looked at by itself.

        Parameters
        ----------
        view
            (rows, columns) grey or (rows, columns, 3) RGB of 8 bits, over the full range as ``views_of`` gives it; a
            part of such a view is given as it lies in it, not stretched again.

        Returns
        -------
        bool
            False only where every part of the view, at every scale, stays below the threshold.
        """
        # A map that is no number is above no threshold and below none, so that it is passed on.
        return any(not logit < THRESHOLD for logit in self.logits(view))

    def logits(self, view: Image) -> Iterator[float]:
        """Yield the highest logit of each part of a view at each scale, the scale of the view first."""
        is_large = view.shape[0] * view.shape[1] > _LARGE_PIXELS
        for scale in _SCALES_OF_LARGE if is_large else _SCALES:
            for plane in _planes(view):
                for _, _, part in _tiles(plane):
                    yield float(np.max([one.max() for one in self._maps(part, scale)]))

    def warmth(self, view: Image) -> NDArray[np.float32]:
        """Return where a view looks like text: the highest logit of each cell of 8 pixels a side.

        Parameters
        ----------
        view
            As ``may_hold_text`` takes it.

        Returns
        -------
        NDArray
            (rows, columns) of cells; a part cell at the right and at the bottom counts as one.
        """
        rows, columns = view.shape[:2]
        warm = np.full((-(-rows // CELL_PX), -(-columns // CELL_PX)), -np.inf, dtype=np.float32)
        for scale in _SCALES:
            for plane in _planes(view):
                for left, top, part in _tiles(plane):
                    fine, coarse = self._maps(part, scale)
                    _keep_warmer(warm, fine, cell_px=_FINE_PX / scale, left=left, top=top, shape=part.shape)
                    _keep_warmer(warm, coarse, cell_px=_COARSE_PX / scale, left=left, top=top, shape=part.shape)
        return warm

    def _maps(self, plane: Plane, scale: float) -> list[NDArray[np.float32]]:
        """Return the maps of logits of one picture at one scale, padding included."""
        shown = plane
        if scale != 1:
            way = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
            shape = tuple(max(1, round(length * scale)) for length in reversed(plane.shape))
            shown = np.asarray(cv2.resize(plane, shape, interpolation=way), dtype=np.uint8)
        rows, columns = shown.shape
        padded = cv2.copyMakeBorder(shown, 0, -rows % _STRIDE, 0, -columns % _STRIDE, cv2.BORDER_REPLICATE)
        picture = padded[None, None].astype(np.float32) / 255
        return [one.reshape(one.shape[-2:]) for one in self._session.run(None, {self._input: picture})]


@cache
def load_small_screen() -> SmallScreen:
    """Load the vendored network on one thread.

    Raises
    ------
    DetectorUnavailableError
        The model file is absent, differs from its recorded sha256, or cannot be loaded.
    """
    try:
        folder = resources.files("deidentify.pixels") / "models"
        origin = json.loads((folder / "models.json").read_text(encoding="utf-8"))["small_screen"]
        content = (folder / origin["file"]).read_bytes()
        is_recorded = hashlib.sha256(content).hexdigest() == origin["sha256"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = _SILENT
        screen = SmallScreen(onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"]))
    except Exception as fault:
        raise DetectorUnavailableError("The small screen ahead of the detector cannot be loaded.") from fault
    if not is_recorded:
        raise DetectorUnavailableError("The model of the small screen is not the recorded one.")
    return screen


def _planes(view: Image) -> Iterator[Plane]:
    """Yield a grey view, or each channel that differs from those before it."""
    if view.ndim == 2:  # noqa: PLR2004 - rows, columns
        yield np.ascontiguousarray(view)
        return
    planes: list[Plane] = []
    for channel in range(view.shape[2]):
        plane = np.ascontiguousarray(view[..., channel])
        if not any(np.array_equal(plane, other) for other in planes):
            planes.append(plane)
            yield plane


def _keep_warmer(
    warm: NDArray[np.float32],
    logits: NDArray[np.float32],
    *,
    cell_px: float,
    left: int,
    top: int,
    shape: tuple[int, ...],
) -> None:
    """Raise the cells of a view to what one map says of a part of it, where the cells of the map are small enough."""
    if cell_px > _LARGEST_CELL_PX:
        return
    first_row, first_column = top // CELL_PX, left // CELL_PX
    rows, columns = (-(-length // CELL_PX) for length in shape)
    # Tiles begin at whole cells; each cell asks the one of the map that its middle lies in.
    down, across = (
        np.minimum(((np.arange(count) + 0.5) * CELL_PX / cell_px).astype(int), length - 1)
        for count, length in zip((rows, columns), logits.shape, strict=True)
    )
    part = warm[first_row : first_row + rows, first_column : first_column + columns]
    np.maximum(part, logits[np.ix_(down, across)], out=part)


def _tiles(plane: Plane) -> Iterator[tuple[int, int, Plane]]:
    """Cut a large plane into tiles that overlap by more than the network sees at once; skip constant ones."""
    rows, columns = plane.shape
    if rows * columns <= _TILED_FROM_PIXELS:
        yield 0, 0, plane
        return
    for top in _starts(rows):
        for left in _starts(columns):
            tile = plane[top : top + _TILE_PX, left : left + _TILE_PX]
            if tile.min() != tile.max():
                yield left, top, np.ascontiguousarray(tile)


def _starts(length: int) -> list[int]:
    return list(range(0, max(1, length - _TILE_OVERLAP_PX), _TILE_PX - _TILE_OVERLAP_PX))
