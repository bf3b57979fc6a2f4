"""What the screen made of one image: which planted lines it found, and whether it held the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image as PilImage
from PIL import ImageDraw

from benchmarks.burned_in.generate import Form, Image, Kind, made, part10
from benchmarks.burned_in.styles import Contrasts, Planted, Turn, ink_of
from benchmarks.screen import deidentifier
from deidentify.pixels.engine import load_engine
from deidentify.pixels.screen import PixelScreener
from deidentify.pseudonyms import PseudonymScope
from deidentify.results import PixelFinding, PixelVerdict, ScreenReport, TextClass

__all__ = ["Outcome", "RegionOutcome", "is_found", "judged", "screened", "start"]

_SCOPE = PseudonymScope(key=bytes(range(32)), case_key="0" * 32)
_COVERED = 0.5
_TIMES_HEIGHT, _MORE_PX = 3, 8
_SIDE_OF_SLANTED = 0.5**0.5
"""Of the thickness of a line at 45 degrees, what it adds to each side of the upright box around it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionOutcome:
    """One planted line, and whether it was found."""

    planted: Planted
    is_found: bool
    is_touched: bool
    """Some finding that is no safe text reaches into it, so that redaction would take some of it."""
    ink_covered: float
    """Share of its ink inside findings that are no safe text, 0 to 1: what redaction would take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One image, and what became of it."""

    number: int
    kind: Kind
    form: Form
    origin: str
    is_named: bool
    left_out: int
    verdict: PixelVerdict
    regions: tuple[RegionOutcome, ...]
    doubtful: int
    """Findings that hold an image, wherever they lie."""

    @property
    def is_held(self) -> bool:
        """Say whether a person has to look at the image."""
        return self.verdict is not PixelVerdict.CLEAR


@cache
def _screener() -> PixelScreener:
    return PixelScreener()


def start() -> None:
    """Load the models in a child of the pool."""
    load_engine()


def is_found(planted: Planted, findings: Sequence[PixelFinding]) -> bool:
    """Say whether findings that are no safe text, and no higher than such text may be, cover half of a planted line.

    Without the limit a blob over the anatomy would count as a find of all that lies below it.
    """
    left, top, right, bottom = planted.box
    covered = np.zeros((bottom - top, right - left), dtype=bool)
    short = min(covered.shape)
    thickest = _TIMES_HEIGHT * planted.thickness + _MORE_PX
    if planted.style.turn is Turn.SLANTED:
        # The upright box around a slanted line is nearly square, and wider by what it is thicker.
        more = (thickest - planted.thickness) * _SIDE_OF_SLANTED
        most, side = short + more, max(covered.shape) + more
    else:
        most, side = thickest, float("inf")
    is_across = planted.style.turn in {Turn.UP, Turn.DOWN}
    for found in findings:
        across, along = (found.width, found.height) if is_across else (found.height, found.width)
        if found.frame == planted.frame and found.text_class is not TextClass.SAFE and across <= most and along <= side:
            x, y = found.x - left, found.y - top
            covered[max(0, y) : max(0, y + found.height), max(0, x) : max(0, x + found.width)] = True
    return bool(covered.mean() >= _COVERED)


def _is_touched(planted: Planted, findings: Sequence[PixelFinding]) -> bool:
    left, top, right, bottom = planted.box
    return any(
        found.frame == planted.frame
        and found.text_class is not TextClass.SAFE
        and found.x < right
        and left < found.x + found.width
        and found.y < bottom
        and top < found.y + found.height
        for found in findings
    )


def _ink_covered(planted: Planted, findings: Sequence[PixelFinding], space: tuple[int, ...]) -> float:
    left, top, right, bottom = planted.box
    covered = np.zeros(space, dtype=bool)
    for found in findings:
        if found.frame == planted.frame and found.text_class is not TextClass.SAFE:
            covered[found.y : found.y + found.height, found.x : found.x + found.width] = True
    return float(covered[top:bottom, left:right][ink_of(planted, space)].mean())


def judged(image: Image, report: ScreenReport) -> Outcome:
    """Compare a report with the answer key."""
    regions = [
        RegionOutcome(
            planted=one,
            is_found=is_found(one, report.findings),
            is_touched=_is_touched(one, report.findings),
            ink_covered=_ink_covered(one, report.findings, image.frames.shape[1:3]),
        )
        for one in image.planted
    ]
    return Outcome(
        number=image.number,
        kind=image.kind,
        form=image.form,
        origin=image.origin,
        is_named=image.is_named,
        left_out=image.left_out,
        verdict=report.verdict,
        regions=tuple(regions),
        doubtful=sum(finding.text_class is not TextClass.SAFE for finding in report.findings),
    )


def screened(seed: int, number: int, pictures: Path | None = None, contrasts: Contrasts = Contrasts.EVEN) -> Outcome:
    """Make an image, screen it as the pipeline does, and keep a picture of what went wrong."""
    image = made(seed, number, contrasts)
    identified_file = part10(image.data)
    plan = deidentifier().plan(deidentifier().read(identified_file), _SCOPE)
    identified_file.seek(0)
    report = _screener().screen(identified_file, plan.identified_tokens)
    outcome = judged(image, report)
    is_wrong = not all(one.is_found for one in outcome.regions) if image.kind is Kind.IDENTITY else outcome.is_held
    if pictures is not None and is_wrong:
        _draw(image, report, outcome, pictures)
    return outcome


def _draw(image: Image, report: ScreenReport, outcome: Outcome, pictures: Path) -> None:
    """Write the frame as stored, missed lines in red, found ones in green, findings in yellow."""
    frame = image.planted[0].frame if image.planted else 0
    if not image.planted and report.findings:
        frame = report.findings[0].frame
    pixels = image.frames[frame].astype(np.float64)
    grey = (pixels - pixels.min()) * (255 / max(1.0, float(np.ptp(pixels))))
    picture = PilImage.fromarray(grey.astype(np.uint8)).convert("RGB")
    pen = ImageDraw.Draw(picture)
    for found in report.findings:
        if found.frame == frame:
            pen.rectangle((found.x, found.y, found.x + found.width, found.y + found.height), outline=(255, 255, 0))
    for one in outcome.regions:
        pen.rectangle(one.planted.box, outline=(0, 255, 0) if one.is_found else (255, 0, 0))
    word = "missed" if image.kind is Kind.IDENTITY else "held"
    picture.save(pictures / f"{word}-{image.kind.replace(' ', '-')}-{image.number:05d}.png")
