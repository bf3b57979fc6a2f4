"""How a profile wants pixels to be treated: how strict, never whether to look."""

from dataclasses import dataclass, field
from enum import StrEnum


class OutsideRegions(StrEnum):
    """What becomes of an ultrasound frame outside its Sequence of Ultrasound Regions (0018,6011)."""

    BLANK = "blank"
    """All of it becomes black."""
    BLANK_BUT_SAFE_TEXT = "blank-but-safe-text"
    """All of it becomes black but text that is known to be harmless."""
    READ = "read"
    """It is read like the rest; only what identifies becomes black."""


class Faces(StrEnum):
    """What becomes of images from which a face could be seen or rendered."""

    WARN = "warn"
    """The owner has to say that it was thought of before others may see the case."""
    HOLD = "hold"
    """A person has to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelPolicy:
    """The pixel part of a profile."""

    redacts: bool = True
    """Whether legible identifying text becomes black by itself; else it holds its instance."""
    outside_regions: OutsideRegions = OutsideRegions.BLANK_BUT_SAFE_TEXT
    device_masks: bool = True
    """Whether rectangles known of a device become black, besides all that is found."""
    faces: Faces = Faces.WARN
    words: frozenset[str] = field(default=frozenset())
    """Words that a site says are harmless when burned in; those of the patient's header never are."""


DEFAULT_POLICY = PixelPolicy()
