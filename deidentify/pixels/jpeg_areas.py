"""What ``redact`` asks for lossy JPEG: areas of one frame made black, and how far that reaches."""

from collections.abc import Sequence

from pydicom import Dataset

from deidentify.errors import PixelDecodeError
from deidentify.pixels.boxes import Box, clipped_to
from deidentify.pixels.frame_codec import BlankedCodestream, CodestreamBlanker
from deidentify.pixels.jpeg_blocks import blank
from deidentify.pixels.jpeg_markers import FrameHeader, read_markers
from deidentify.pixels.jpeg_remarks import without_remarks

_BLOCK = 8
_SMOOTHED = 1
"""So many pixels beside a blanked block of subsampled colour get a part of its colour in decoders that smooth it."""


def jpeg_blanker(attributes: Dataset) -> CodestreamBlanker:
    """Return what blanks the frames of an instance with these attributes in their coefficients.

    Thumbnails and comments of such a frame go: they are of the picture as it was. It gives None for what
    ``jpeg_blocks`` cannot do (progressive frames and the like): the object then becomes native.
    """
    photometric = str(attributes.get("PhotometricInterpretation", ""))

    def blanked(identified_content: bytes, areas: Sequence[Box]) -> BlankedCodestream | None:
        try:
            header, _ = read_markers(identified_content)
            black = _black(photometric, header)
            content = without_remarks(blank(identified_content, areas, black=black)) if black is not None else None
        except PixelDecodeError:
            return None
        if content is None:
            return None
        grown = (_whole_blocks(area, header) for area in areas)
        return BlankedCodestream(content=content, areas=clipped_to(grown, rows=header.rows, columns=header.columns))

    return blanked


def _black(photometric: str, header: FrameHeader) -> tuple[int, ...] | None:
    """Return the samples of black as coded; None where it is not known."""
    greatest, middle = (1 << header.precision) - 1, 1 << (header.precision - 1)
    known = {
        ("MONOCHROME1", 1): (greatest,),
        ("MONOCHROME2", 1): (0,),
        ("RGB", 3): (0, 0, 0),
        ("YBR_FULL", 3): (0, middle, middle),
        ("YBR_FULL_422", 3): (0, middle, middle),
    }
    return known.get((photometric, len(header.components)))


def _whole_blocks(area: Box, header: FrameHeader) -> Box:
    """Return the area with all pixels that share a block with it, and those that a decoder smooths with them."""
    is_subsampled = (header.horizontal, header.vertical) != (1, 1)
    margin = _SMOOTHED if is_subsampled else 0
    width, height = _BLOCK * header.horizontal, _BLOCK * header.vertical
    left, top = area.x // width * width - margin, area.y // height * height - margin
    right = -(-(area.x + area.width) // width) * width + margin
    bottom = -(-(area.y + area.height) // height) * height + margin
    return Box(x=left, y=top, width=right - left, height=bottom - top)
