"""What a person decided on the pixels of an instance: places, never what stands there."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedBox:
    """A rectangle in pixels of the stored frame, from the top left corner.

    ``frame`` counts from 0; None stands for every frame.
    """

    frame: int | None = None
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelReview:
    """What becomes black and what may stay, whatever the screen takes it for."""

    redact: tuple[MarkedBox, ...] = ()
    safe: tuple[MarkedBox, ...] = ()
    """Where a reviewer saw this very image and says that what is there identifies nobody."""
    safe_elsewhere: tuple[MarkedBox, ...] = ()
    """Where a reviewer said so of another image of the series or layout: it counts for what the screen cannot read or
    does not know, never for a word of this header, a date or a number."""
    accepts_face: bool = False
    """Whether a reviewer says that the image may go on although a face could be seen in it."""


NO_REVIEW = PixelReview()


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLayout:
    """Where a kind of image of one device has text that identifies, as a reviewer taught it."""

    layout_key: str
    """Keyed digest of what the header says of device and format; see ``bridge.layouts``."""
    boxes: tuple[MarkedBox, ...]
