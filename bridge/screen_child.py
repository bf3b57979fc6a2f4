"""What ``casebridge screen`` does with one file; runs in a child process.

read → gather what identifies → screen the pixels → screen the layers besides them → write a copy → draw
"""

import io
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import BinaryIO

from api.errors import NotRenderableError, PartNotFoundError
from api.render import Renderer
from api.rendering import Rendering
from bridge.instance_holds import hold_without_path
from bridge.logs import configure_logging
from bridge.offline_child import NotDicom, OutputError, nameless, unfinished
from bridge.pictures import boxed, write_identified
from bridge.pool_child import send_progress
from deidentify.dataset import PIXEL_TAGS, ReceivedInstance
from deidentify.errors import NotDicomError
from deidentify.identity import IdentifiedTokens, identified_tokens
from deidentify.parser import read_instance
from deidentify.pixels.layer_screen import LayerCount, LayerReport, screen_layers
from deidentify.pixels.screen import PixelScreener
from deidentify.redacted_copy import redacted_copy
from deidentify.results import Hold, HoldReason, PixelVerdict, RegionFate, ScreenReport, TextClass

__all__ = ["Announced", "ScreenTask", "Screened", "announced_frames", "screen", "start_child"]

_MOST_ANNOUNCED = 1 << 20
_HOLDS = {TextClass.IDENTIFYING: HoldReason.BURNED_IN_TEXT, TextClass.UNREADABLE: HoldReason.UNREADABLE_TEXT}
"""Class of text → why it holds, the worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What the header says; it is believed for the progress bar alone."""

    frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenTask:
    """One file whose pixels are to be read."""

    identified_source: str = field(repr=False)
    with_text: bool
    """Whether the result has what was read; without it the text stays in the child."""
    pictures: str = ""
    """Where pictures go, up to the number of the frame; none are made where it is empty."""
    redacted: str = ""
    """Where a copy goes in which boxes are black; none is made where it is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What the screen saw in one file."""

    report: ScreenReport
    """With what was found in the layers; its frames are those of the pixel data."""
    layers: tuple[LayerCount, ...] = ()
    pictures: tuple[tuple[int, str], ...] = ()
    """(frame, name of the file) of the frames that were drawn."""
    not_drawn: tuple[int, ...] = ()
    """Frames with text that no picture could be made of."""
    redacted: str = ""
    """Name of the copy in which boxes are black; empty where there is none."""


def start_child(log_level: str) -> None:
    """Keep what is logged free of values, and have ready what reads pixels."""
    configure_logging(log_level, process="pool")
    _screener()


@cache
def _screener() -> PixelScreener:
    return PixelScreener()


@cache
def _renderer() -> Renderer:
    return Renderer(concurrent=1)


def announced_frames(identified_path: str) -> Announced | NotDicom | Hold:
    """Find out whether a file is DICOM and how many frames it says to have; pixels are not read."""
    try:
        with Path(identified_path).open("rb") as identified_file:
            header = read_instance(identified_file)
    except NotDicomError:
        return NotDicom()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever went wrong: it was not read, and that is told
        return hold_without_path(error)
    return Announced(frames=_frames(header))


def _frames(header: ReceivedInstance) -> int:
    if not any(element.tag in PIXEL_TAGS for element in header.identified_elements):
        return 0
    number = header.text(0x00280008)
    frames = int(number) if number.isascii() and number.isdigit() else 1
    return min(max(1, frames), _MOST_ANNOUNCED)


def screen(task: ScreenTask) -> Screened | Hold:
    """Read the pixels of one file against its own header; whatever goes wrong is a hold with its reason.

    Raises
    ------
    OutputError
        When a picture or a copy cannot be written.
    """
    try:
        with Path(task.identified_source).open("rb") as identified_file:
            tokens = identified_tokens(read_instance(identified_file))
            identified_file.seek(0)
            report = _screener().screen(identified_file, tokens, lambda *frames: send_progress(frames))
            layers = screen_layers(identified_file, tokens)
            report = with_layers(report, layers)
            copy = ""
            if task.redacted and report.verdict is PixelVerdict.REDACT:
                report, copy = _redacted(task, identified_file, tokens, report)
        pictures, not_drawn = _drawn(task, report) if task.pictures else ((), ())
    except (MemoryError, OutputError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever went wrong: it was not read, and that is told
        return hold_without_path(error)
    if not task.with_text:
        report = replace(report, identified_texts=())
    return Screened(report=report, layers=layers.layers, pictures=pictures, not_drawn=not_drawn, redacted=copy)


def _redacted(
    task: ScreenTask, identified_file: BinaryIO, tokens: IdentifiedTokens, report: ScreenReport
) -> tuple[ScreenReport, str]:
    """Write the copy and read it again; where text is left in it, it gets no name and the image is suspect."""
    target = Path(task.redacted)
    with unfinished(target) as (file, finish):
        made = redacted_copy(identified_file, report.boxes, file, scratch=lambda: nameless(target.parent))
        report = replace(report, boxes=made.boxes)
        file.seek(0)
        remains = _screener().still_there(file, tokens, report)
        if remains:
            findings = (*report.findings, *remains)
            texts = (*report.identified_texts, *[""] * len(remains))
            held = replace(report, verdict=PixelVerdict.SUSPECT, hold=HoldReason.BURNED_IN_TEXT)
            return replace(held, findings=findings, identified_texts=texts), ""
        finish()
    return report, target.name


def with_layers(report: ScreenReport, layers: LayerReport) -> ScreenReport:
    """Return what was seen in the pixels and in the layers as one; the worse of the two is its verdict."""
    both = replace(
        report,
        findings=(*report.findings, *layers.findings),
        identified_texts=(*report.identified_texts, *layers.identified_texts),
        detector=report.detector or layers.detector,
    )
    if report.verdict is PixelVerdict.NOT_EVALUATED:
        return both
    if layers.fault is not None:
        return replace(both, verdict=PixelVerdict.NOT_EVALUATED, hold=layers.fault)
    classes = {finding.text_class for finding in both.findings if finding.fate is RegionFate.HELD}
    for text_class, hold in _HOLDS.items():
        if text_class in classes:
            return replace(both, verdict=PixelVerdict.SUSPECT, hold=hold)
    return both


def _drawn(task: ScreenTask, report: ScreenReport) -> tuple[tuple[tuple[int, str], ...], tuple[int, ...]]:
    """Write a picture of each frame with text in its pixels; layers are not drawn."""
    pictures: list[tuple[int, str]] = []
    not_drawn: list[int] = []
    for frame in sorted({finding.frame for finding in report.findings if not finding.layer}):
        path = Path(f"{task.pictures}-{frame + 1:03}.png")
        try:
            with Path(task.identified_source).open("rb") as identified_file:
                picture = boxed(_renderer().png(identified_file, Rendering(frame=frame)), report, frame)
        except (NotRenderableError, PartNotFoundError):
            not_drawn.append(frame)
            continue
        content = io.BytesIO()
        picture.save(content, "PNG")
        try:
            path.unlink(missing_ok=True)  # of a child that died behind it
            write_identified(path, content.getvalue())
        except OSError as error:
            raise OutputError(f"a picture cannot be written ({error.strerror})") from None
        pictures.append((frame, path.name))
    return tuple(pictures), tuple(not_drawn)
