"""How text is drawn: font, size, contrast, direction, ground and place; every choice from a random generator."""

from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.burned_in.backgrounds import Picture
from benchmarks.burned_in.fonts import Mask, cut, families, letters, writers
from benchmarks.burned_in.texts import Line

__all__ = ["Box", "Contrasts", "Look", "Planted", "Style", "Turn", "draw_lines", "draw_style", "ink_of"]

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels of the stored frame; the last two are outside."""

_MARGIN = 5
_SMALLEST, _HIGHEST = 8, 40
_TRIES = 24
_LEAST_CONTRAST = 0.1
_USUAL_SHARES = (0.0, 0.022, 0.075, 0.162, 1.0)
_USUAL_CONTRASTS = (_LEAST_CONTRAST, 0.2, 0.3, 0.5, 1.0)
"""Of the 586 regions that the goals were set on 13 were fainter than 0.2 of the range, 31 than 0.3, 51 than 0.5."""
_REACHED = 0.8
"""What a line has to reach of the contrast that is drawn for it, where this is to be as in other images."""
_WEAK_PERCENT, _WEAKEST_PERCENT = 25, 2
_INK = 0.5
_COLOURS = ((255, 255, 0), (0, 255, 255), (0, 255, 0), (255, 80, 80), (255, 160, 0), (255, 0, 255))


class Contrasts(StrEnum):
    """How faint text is."""

    USUAL = "usual"
    """As in the images that the goals were set on: two of a hundred lines under 0.2 of the range, 84 from 0.5 on.

    A line is drawn where it reaches most of that, as three quarters of its ink see it."""
    EVEN = "even"
    """Each contrast from 0.1 of the range on as often as any other: one line of nine is under 0.2, and more where the
    ground swallows some of it."""


class Look(StrEnum):
    """What is around the letters."""

    BARE = "on the picture"
    OUTLINED = "outlined"
    BOXED = "in a filled box"


class Turn(StrEnum):
    """How text runs."""

    LEVEL = "level"
    UP = "vertical, upwards"
    DOWN = "vertical, downwards"
    SLANTED = "at 45 degrees"


class Place(StrEnum):
    """Where text lies."""

    CORNER = "in a corner"
    ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How the lines of one picture are drawn."""

    font: str
    height: int
    """Of a capital letter, in pixels."""
    contrast: float
    """Aimed at, as a share of the picture's range."""
    look: Look
    turn: Turn
    place: Place
    is_bright: bool
    colour: tuple[int, int, int] | None = None
    """On colour pictures; None draws in black or white."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One line as it was drawn; ``frame`` counts from 0."""

    line: Line
    style: Style
    box: Box
    thickness: int
    """Across the direction that the text runs in, in pixels."""
    contrast: float
    """Reached by three quarters of the ink, as a share of the range of the picture."""
    frame: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demand:
    """What a line has to reach."""

    contrast: float
    """By three quarters of its ink."""
    percent: int
    """How much of its ink may stay under the least contrast there is."""


def draw_style(
    random: np.random.Generator, *, is_colour: bool, marker: bool = False, contrasts: Contrasts = Contrasts.EVEN
) -> Style:
    """Return a style; a marker of one letter is upright, and as large as those are."""
    turns = [Turn.LEVEL] if marker else list(Turn)
    shares = [1.0] if marker else [0.82, 0.05, 0.05, 0.08]
    lowest = 14 if marker else _SMALLEST
    return Style(
        font=families()[int(random.integers(len(families())))],
        height=round(float(np.exp(random.uniform(np.log(lowest), np.log(_HIGHEST))))),
        contrast=_contrast(float(random.uniform(_LEAST_CONTRAST, 1)), contrasts),
        look=Look(random.choice(list(Look), p=[0.7, 0.15, 0.15])),
        turn=Turn(random.choice(turns, p=shares)),
        place=Place(random.choice(list(Place), p=[0.6, 0.4])),
        is_bright=bool(random.random() < 0.8),
        colour=_COLOURS[int(random.integers(len(_COLOURS)))] if is_colour and random.random() < 0.7 else None,
    )


def _contrast(even: float, contrasts: Contrasts) -> float:
    """Return a contrast for one that was drawn evenly, so that a seed gives the same images but for this."""
    if contrasts is Contrasts.EVEN:
        return even
    return float(np.interp((even - _LEAST_CONTRAST) / (1 - _LEAST_CONTRAST), _USUAL_SHARES, _USUAL_CONTRASTS))


def draw_lines(
    picture: Picture,
    lines: list[Line],
    style: Style,
    random: np.random.Generator,
    *,
    frame: int = 0,
    contrasts: Contrasts = Contrasts.EVEN,
    is_whole: bool = False,
) -> list[Planted]:
    """Draw lines into a picture in place; what no font here writes, and what finds no room, is left out.

    ``is_whole`` draws a line only where all of it can be seen: harmless text without one of its letters is none.
    """
    least = _REACHED * style.contrast if contrasts is Contrasts.USUAL else 0.0
    demand = _Demand(contrast=max(_LEAST_CONTRAST, least), percent=_WEAKEST_PERCENT if is_whole else _WEAK_PERCENT)
    planted: list[Planted] = []
    corner = (bool(random.random() < 0.5), bool(random.random() < 0.5))
    for line in lines:
        taken = [one.box for one in planted]
        done = _draw(picture, line, _fitting(style, line, random), random, taken=taken, corner=corner, demand=demand)
        if done is not None:
            planted.append(replace(done, frame=frame))
    return planted


def _fitting(style: Style, line: Line, random: np.random.Generator) -> Style | None:
    fonts = writers(line.text)
    if not fonts:
        return None
    return style if style.font in fonts else replace(style, font=fonts[int(random.integers(len(fonts)))])


def _draw(
    picture: Picture,
    line: Line,
    style: Style | None,
    random: np.random.Generator,
    *,
    taken: list[Box],
    corner: tuple[bool, bool],
    demand: _Demand,
) -> Planted | None:
    if style is None:
        return None
    shape = _shaped(line.text, style, picture.shape[:2])
    if shape is None:
        return None
    mask, thickness = shape
    for number in range(_TRIES):
        spot = _spot(picture.shape[:2], mask.shape, style, random, taken=taken, corner=corner)
        if spot is None:
            continue
        # Ink that the ground leaves no room for goes elsewhere, and at last onto ground of its own.
        look = style.look if number < _TRIES // 2 else Look.BOXED
        drawn, contrast, weakest = _inked(picture, mask, spot, replace(style, look=look), thickness, demand)
        if contrast >= demand.contrast and weakest >= _LEAST_CONTRAST:
            (top, left), (tall, wide) = spot, mask.shape
            picture[:] = drawn
            return Planted(
                line=line,
                style=replace(style, look=look),
                box=(left, top, left + wide, top + tall),
                thickness=thickness,
                contrast=contrast,
            )
    return None


def ink_of(planted: Planted, space: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which pixels of a line's box are ink; ``space`` is rows and columns of its frame."""
    shape = _shaped(planted.line.text, planted.style, space)
    assert shape is not None, "it was drawn into such a frame"
    return np.asarray(shape[0] >= min(_INK, float(shape[0].max())))


def _shaped(text: str, style: Style, space: tuple[int, ...]) -> tuple[Mask, int] | None:
    """Return the turned letters and their thickness, smaller than asked for where they would not fit."""
    height = style.height
    while height >= _SMALLEST:
        level = letters(text, style.font, height)
        mask = _turned(level, style.turn)
        if all(size + 2 * _MARGIN + 4 <= room for size, room in zip(mask.shape, space, strict=True)):
            return mask, level.shape[0]
        height = int(height * 0.8)
    return None


def _turned(mask: Mask, turn: Turn) -> Mask:
    if turn is Turn.SLANTED:
        wide = Image.fromarray((mask * 255).astype(np.uint8))
        turned = wide.rotate(45, resample=Image.Resampling.BILINEAR, expand=True)
        return cut(np.asarray(turned, dtype=np.float32) / 255)
    return np.ascontiguousarray(np.rot90(mask, {Turn.LEVEL: 0, Turn.UP: 1, Turn.DOWN: 3}[turn]))


def _spot(
    space: tuple[int, ...],
    size: tuple[int, ...],
    style: Style,
    random: np.random.Generator,
    *,
    taken: list[Box],
    corner: tuple[bool, bool],
) -> tuple[int, int] | None:
    """Return top and left of free room; lines of a corner lie one below the other."""
    (rows, columns), (tall, wide) = space, size
    last_top, last_left = rows - tall - _MARGIN, columns - wide - _MARGIN
    top, left = int(random.integers(_MARGIN, last_top + 1)), int(random.integers(_MARGIN, last_left + 1))
    if style.place is Place.CORNER:
        gap = _MARGIN + int(random.integers(4))
        if style.turn in {Turn.LEVEL, Turn.SLANTED}:
            below = max((box[3] for box in taken), default=0)
            above = min((box[1] for box in taken), default=rows)
            top = min(last_top, below + gap) if corner[0] else max(_MARGIN, above - tall - gap)
            left = gap if corner[1] else columns - wide - gap
        else:
            beside = max((box[2] for box in taken), default=0)
            top, left = gap if corner[0] else rows - tall - gap, min(last_left, beside + gap)
    is_free = all(
        left + wide + 3 < box[0] or box[2] + 3 < left or top + tall + 3 < box[1] or box[3] + 3 < top for box in taken
    )
    return (max(0, top), max(0, left)) if is_free else None


def _inked(  # noqa: PLR0917 - what is drawn where, how, and what is asked of it
    picture: Picture, mask: Mask, spot: tuple[int, int], style: Style, thickness: int, demand: _Demand
) -> tuple[Picture, float, float]:
    """Return a copy with the text drawn, the contrast of three quarters of its ink, and that of more of it."""
    result: NDArray[np.float32] = picture.astype(np.float32)
    if result.ndim == 2:
        result = result[..., None]
    low, high = float(result.min()), float(result.max())
    top, left = spot
    tall, wide = mask.shape
    room = result[top : top + tall, left : left + wide]
    ground = np.median(room.reshape(-1, room.shape[2]), axis=0)
    if style.look is Look.BOXED:
        pad = max(2, thickness // 5)
        ground = np.full_like(ground, low if style.is_bright else high)
        result[max(0, top - pad) : top + tall + pad, max(0, left - pad) : left + wide + pad] = ground
    ink = _ink(ground, style, low, high)
    if style.look is Look.OUTLINED:
        around = cv2.dilate(mask, np.ones((3, 3), np.uint8))
        edge = np.clip(ground - np.sign(ink - ground) * style.contrast * (high - low), low, high)
        _blend(room, around, edge)
    is_ink = mask >= min(_INK, float(mask.max()))
    reached = np.percentile(np.abs(room[is_ink] - ink).max(axis=1), (_WEAK_PERCENT, demand.percent)) / (high - low)
    _blend(room, mask, ink)
    drawn = np.rint(result).astype(picture.dtype)
    return (drawn[..., 0] if picture.ndim == 2 else drawn), float(reached[0]), float(reached[1])


def _blend(room: NDArray[np.float32], mask: Mask, ink: NDArray[np.float32]) -> None:
    share = mask[..., None]
    room[:] = room * (1 - share) + ink * share


def _ink(ground: NDArray[np.float32], style: Style, low: float, high: float) -> NDArray[np.float32]:
    """Move from the ground towards black, white or a colour until the contrast is reached, or the end of the range."""
    step = style.contrast * (high - low)
    if style.colour is not None and len(ground) == 3:
        goal = np.array(style.colour, dtype=np.float32)
    else:
        has_room = high - ground.max() >= step if style.is_bright else ground.min() - low < step
        goal = np.full_like(ground, high if has_room else low)
    way = goal - ground
    longest = float(np.abs(way).max())
    return ground + way * (min(1.0, step / longest) if longest else 0)
