"""Areas that become black whatever is read in them.

They are what lies outside the regions of an ultrasound, and where known devices write.
"""

from pydicom import Dataset

from deidentify.pixel_policy import OutsideRegions, PixelPolicy
from deidentify.pixels.boxes import Box
from deidentify.pixels.decode import Frame, FrameFormat
from deidentify.pixels.device_masks import masks_of
from deidentify.pixels.ultrasound import boxes_outside
from deidentify.review import MarkedBox


class Areas:
    """The areas of one instance that have anything in them.

    One that is of one colour in each frame holds no text, and becomes nothing else. Frames are given to ``look``.
    """

    def __init__(self, *, outside: tuple[Box, ...], of_device: tuple[Box, ...]) -> None:
        self._outside, self._of_device = outside, of_device
        self._plain = [*outside, *of_device]

    @classmethod
    def of(cls, attributes: Dataset, form: FrameFormat, policy: PixelPolicy) -> "Areas":
        """Return the areas of an instance under a policy; the attributes are those that ``locate`` reads."""
        size = {"rows": form.rows, "columns": form.columns}
        is_read = policy.outside_regions is OutsideRegions.READ
        outside = () if is_read else boxes_outside(attributes, **size)
        # Where the header says itself where the echo is, a mask adds nothing but what it takes from the echo.
        has_masks = policy.device_masks and not outside
        return cls(outside=outside, of_device=masks_of(attributes, **size) if has_masks else ())

    def look(self, frame: Frame) -> None:
        """Find out in which areas a frame has something."""
        self._plain = [box for box in self._plain if _is_plain(frame, box)]

    def outside(self) -> tuple[Box, ...]:
        """Return what lies in no region of an ultrasound."""
        return tuple(box for box in self._outside if box not in self._plain)

    def of_device(self) -> tuple[MarkedBox, ...]:
        """Return where the device writes, in every frame."""
        return tuple(
            MarkedBox(x=box.x, y=box.y, width=box.width, height=box.height)
            for box in self._of_device
            if box not in self._plain
        )


def _is_plain(frame: Frame, box: Box) -> bool:
    part = frame.words[box.y : box.y + box.height, box.x : box.x + box.width]
    return not (part != part[0, 0]).any()
