"""The second look at what was neither legible nor safe.

Anatomy makes the detector see a line in one frame of twenty, in one view and at one scale. Drawn text is seen again
when it is shown in its own contrast and at the heights the models read best; one closer look that sees it is enough
to keep it. Regions that read as identifying are not looked at again, unless they are large, barely legible and
identify by being an unknown word only: at such a size drawn letters are read surely, or are seen again.
"""

from collections.abc import Sequence

import numpy as np

from deidentify.pixels.classify import HeaderWords, is_evident
from deidentify.pixels.detector import Image
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.reading import Region, overlap, read_view
from deidentify.results import TextClass

_HEIGHTS_PX = (24.0, 32.0, 48.0)
_SMALL_PX, _SMALL_SCALE = 16.0, 3.0
_LARGEST_SCALE = 4.0
_SURE_FROM = 0.8
_LARGE_PX, _BARELY_LEGIBLE_BELOW = 40.0, 0.65
_LEAST_CONTEXT_PX = 48
_MOST_LOOKS = 40
_SAME_PLACE = 0.3


def second_look(engine: OcrEngine, view: Image, header: HeaderWords, regions: Sequence[Region]) -> list[Region]:
    """Return the regions that stay: all but the doubtful ones of which a closer look sees nothing or safe text."""
    if sum(_is_doubtful(region, header) for region in regions) > _MOST_LOOKS:
        # A page of text, or noise: a person looks at it anyway, and a look at each would take minutes.
        return list(regions)
    stay: list[Region] = []
    for region in regions:
        if _is_doubtful(region, header):
            stay += _looked_at(engine, view, header, region)
        else:
            stay.append(region)
    return stay


def _looked_at(engine: OcrEngine, view: Image, header: HeaderWords, doubt: Region) -> list[Region]:
    rows, columns = view.shape[:2]
    left, top, right, bottom = doubt.box(columns, rows)
    context = max(_LEAST_CONTEXT_PX, bottom - top, right - left)
    left, top = max(0, left - context), max(0, top - context)
    part = view[top : bottom + context, left : right + context]
    low, high = int(part.min()), int(part.max())
    if low == high:
        return []
    shown = ((part.astype(np.float32) - low) * (255 / (high - low))).astype(np.uint8)
    seen: list[Region] = []
    for scale in _scales(doubt):
        for region in read_view(engine, shown, header, scale=scale):
            moved = region.moved(dx=left, dy=top)
            if overlap(moved, doubt) >= _SAME_PLACE or overlap(doubt, moved) >= _SAME_PLACE:
                seen.append(moved)
    legible = [region for region in seen if region.text_class is TextClass.IDENTIFYING]
    if legible:
        return legible
    if any(region.text_class is TextClass.UNREADABLE for region in seen):
        return [doubt]
    return seen


def _is_doubtful(region: Region, header: HeaderWords) -> bool:
    if region.text_class is TextClass.UNREADABLE:
        return region.score < _SURE_FROM
    is_large = min(region.outline.width, region.outline.height) > _LARGE_PX
    if region.text_class is not TextClass.IDENTIFYING or not is_large or region.score >= _BARELY_LEGIBLE_BELOW:
        return False
    return not is_evident(region.identified_text, header)


def _scales(doubt: Region) -> set[float]:
    height = min(doubt.outline.width, doubt.outline.height)
    scales = {min(_LARGEST_SCALE, target / height) for target in _HEIGHTS_PX}
    return scales | {_SMALL_SCALE} if height < _SMALL_PX else scales
