"""A frame of a held original as a picture, made in a child process of the API from what lies in the spool.

Nothing of it is kept: the picture goes to whoever may look, and the original stays where it is.
"""

import errno
import io
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bridge import pipeline
from bridge.pipeline import OriginalGoneError, Task
from cases.errors import StoreUnavailableError
from deidentify.errors import PixelDecodeError
from deidentify.pixels.decode import read_format
from deidentify.pixels.shown import full_range
from deidentify.pixels.source import locate
from deidentify.review import MarkedBox
from scp.errors import SealBrokenError

_LINE = 2


class FrameFault(StrEnum):
    """Why there is no picture."""

    GONE = "gone"
    NO_SUCH_FRAME = "no-such-frame"
    UNDECODABLE = "undecodable"


class Mark(StrEnum):
    """What a box stands for."""

    IDENTIFYING = "identifying"
    UNREADABLE = "unreadable"
    SAFE = "safe"
    REDACT = "redact"
    KEPT = "kept"


_COLORS = {
    Mark.IDENTIFYING: (255, 64, 64),
    Mark.UNREADABLE: (255, 200, 0),
    Mark.SAFE: (64, 200, 96),
    Mark.REDACT: (255, 0, 255),
    Mark.KEPT: (64, 160, 255),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameTask:
    """One frame of one original, and what is drawn in."""

    task: Task
    frame: int
    """From 0."""
    size: int | None = None
    """The longest side at most, in pixels."""
    marks: tuple[tuple[Mark, MarkedBox], ...] = ()


def picture(wanted: FrameTask) -> bytes | FrameFault:
    """Return a frame as PNG; runs in a child process."""
    try:
        with pipeline.original(wanted.task) as identified_file:
            source = locate(identified_file)
            if source.element is None:
                return FrameFault.UNDECODABLE
            form = read_format(source)
            if wanted.frame >= form.frames:
                return FrameFault.NO_SUCH_FRAME
            identified_pixels = full_range(source, form, wanted.frame)
    except OriginalGoneError:
        return FrameFault.GONE
    except (PixelDecodeError, SealBrokenError):
        return FrameFault.UNDECODABLE
    except OSError as error:
        if error.errno == errno.EIO:
            return FrameFault.UNDECODABLE
        raise StoreUnavailableError("the spool cannot be read") from None
    return _png(identified_pixels, wanted)


def _png(identified_pixels: NDArray[np.uint8], wanted: FrameTask) -> bytes:
    image = Image.fromarray(identified_pixels)
    if wanted.marks:
        image = image.convert("RGB")
        draw = ImageDraw.Draw(image)
        for mark, box in wanted.marks:
            if box.frame is None or box.frame == wanted.frame:
                right, bottom = box.x + box.width - 1, box.y + box.height - 1
                draw.rectangle((box.x, box.y, right, bottom), outline=_COLORS[mark], width=_LINE)
    if wanted.size is not None:
        image.thumbnail((wanted.size, wanted.size))
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=3)
    return out.getvalue()
