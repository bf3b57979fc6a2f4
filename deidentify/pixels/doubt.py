"""The second look at what was neither legible nor safe."""

from collections.abc import Sequence

from deidentify.pixels.classify import HeaderWords
from deidentify.pixels.detector import Image
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.reading import Region


def confirmed(
    engine: OcrEngine, views: Sequence[Image], header: HeaderWords, regions: Sequence[Region]
) -> list[Region]:
    """Return the regions that stay after a second look."""
    return list(regions)
