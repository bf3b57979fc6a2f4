"""Several lines that were taken for one: each is read by itself.

Lines that stand close one below the other are found as one, and read as the letters of all of them across. They are
apart where no ink is between them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from deidentify.pixels.classify import HeaderWords, is_of_header, letters_of
from deidentify.pixels.detector import Candidate, Image
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.lines import lengthwise
from deidentify.pixels.reading import Region
from deidentify.pixels.recognizer import straightened
from deidentify.pixels.renderings import read_otherwise
from deidentify.results import TextClass

_FEWEST_LETTERS = 3
_LONG_FOR_ONE_LINE = 0.36
"""How long a line is for each of its letters, of its height with what the detector adds around it."""
_MOST_LINES, _INK, _THINNEST, _MARGIN = 3, 0.3, 0.15, 0.25


def as_lines(engine: OcrEngine, view: Image, header: HeaderWords, region: Region) -> Region:
    """Return a region of several lines that are harmless, each of them, as the safe text that it is."""
    said = letters_of(region.identified_text)
    if region.text_class is TextClass.SAFE or len(said) < _FEWEST_LETTERS:
        return region
    upright = lengthwise(region.outline)
    is_short = upright is not None and upright.width < _LONG_FOR_ONE_LINE * len(said) * upright.height
    if upright is None or not is_short or is_of_header(region.identified_text, header):
        return region
    found = []
    for line in _lines(view, upright):
        unread = replace(region, outline=line, text_class=TextClass.UNREADABLE, score=0.0, identified_text="")
        read = read_otherwise(engine, view, header, unread)
        if read.text_class is not TextClass.SAFE:
            return region
        found.append(read)
    if not found:
        return region
    return replace(
        region,
        text_class=TextClass.SAFE,
        score=min(one.score for one in found),
        identified_text=" ".join(one.identified_text for one in found),
    )


def _lines(view: Image, upright: Candidate) -> Sequence[Candidate]:
    """Return the outlines of two or three lines within one; none where it cannot be cut."""
    strip = straightened(view, upright).astype(np.float32)
    grey = strip if strip.ndim == 2 else strip.max(axis=2)  # noqa: PLR2004 - colour
    if grey.shape[0] > grey.shape[1]:
        grey = np.rot90(grey)
    # Letters change along a line, grounds hardly.
    ink = np.abs(np.diff(grey, axis=1)).mean(axis=1)
    is_ink = np.concatenate(([False], ink > ink.min() + _INK * (ink.max() - ink.min()), [False]))
    edges = np.flatnonzero(np.diff(is_ink.astype(np.int8)))
    runs = [run for run in zip(edges[::2], edges[1::2], strict=True) if run[1] - run[0] >= _THINNEST * len(ink)]
    if not 1 < len(runs) <= _MOST_LINES:
        return ()
    return [_cut(upright, *run, len(ink)) for run in runs]


def _cut(upright: Candidate, first: int, last: int, rows: int) -> Candidate:
    """Return the part of an outline between two of its rows, with a margin."""
    scale = upright.height / rows
    off = ((first + last) / 2 - rows / 2) * scale
    turned = np.deg2rad(upright.angle)
    return replace(
        upright,
        x=upright.x - off * float(np.sin(turned)),
        y=upright.y + off * float(np.cos(turned)),
        height=(last - first) * (1 + _MARGIN) * scale,
    )
