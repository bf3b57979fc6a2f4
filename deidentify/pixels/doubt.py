"""The second look at what was neither legible nor safe.

Anatomy makes the detector see a line in one frame of twenty, in one view and at one scale. Drawn text is seen again
when it is shown in its own contrast and at the heights the models read best; one closer look that sees it is enough
to keep it. Regions that read as identifying are not looked at again, unless they identify by being an unknown word
only, and are large and barely legible (at such a size drawn letters are read surely, or are seen again), or resemble
what is known to be harmless: "PORTABLI".

What the small screen sees where nothing was found is looked at too. Every line is followed to its ends, since all of it
has to be blacked out, and read in several renderings before it is believed to identify.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deidentify.pixels.classify import HeaderWords, is_evident, is_of_header, letters_of, normalised
from deidentify.pixels.detector import Image
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.lines import goes_on, whole_lines
from deidentify.pixels.marks import overlooked
from deidentify.pixels.reading import Mask, Region, is_as_thick, overlap, read_at
from deidentify.pixels.renderings import read_otherwise
from deidentify.pixels.stacked import as_lines
from deidentify.pixels.technical import is_nearly_technical
from deidentify.pixels.ticks import as_ticks
from deidentify.results import TextClass

_HEIGHTS_PX = (24.0, 32.0, 48.0)
_SMALL_PX, _SMALL_SCALE = 16.0, 3.0
_LARGEST_SCALE = 4.0
_SURE_FROM = 0.8
_LARGE_PX, _BARELY_LEGIBLE_BELOW = 40.0, 0.65
_LEAST_CONTEXT_PX = 48
_MOST_LOOKS = 40
_SAME_PLACE = 0.3
_SURELY_SAFE_FROM, _MOST_OF_IT = 0.9, 0.6
_NEARLY_ALL, _ALL_OF_IT, _FEWEST_OF_A_PIECE = 0.8, 0.9, 3


def second_look(
    engine: OcrEngine,
    view: Image,
    header: HeaderWords,
    regions: Sequence[Region],
    *,
    has_boxes: bool = False,
    wanted: Mask | None = None,
) -> list[Region]:
    """Return the regions that stay, all but the doubtful ones of which a closer look sees nothing or safe text.

    What was overlooked is added, and each is as long as its line. ``has_boxes`` says that something was made black,
    ``wanted`` where anything may be that is not known: what does not reach into that is left out.
    """
    known = [] if wanted is None else [region for region in regions if not region.touches(wanted)]
    stay = _after_doubt(engine, view, header, [region for region in regions if region not in known])
    if _is_page(stay) and any(region.text_class is TextClass.UNREADABLE for region in stay):
        # Noise, mostly: a person looks at it, and what then becomes black is read again, so that no line needs its end.
        return stay
    warm = engine.glance.warmth(view) if engine.glance is not None else None
    if warm is not None:
        stay += overlooked(engine, view, header, [*known, *stay], warm, has_boxes=has_boxes, wanted=wanted)
    if _is_page(stay):
        return whole_lines(engine, view, header, stay, warm)
    lines = whole_lines(engine, view, header, stay, warm)
    read = [_read(engine, view, header, region, line, warm) for region, line in zip(stay, lines, strict=True)]
    apart = [as_lines(engine, view, header, as_ticks(engine, view, header, region)) for region in read]
    return without_pieces(apart, header)


def _is_page(regions: Sequence[Region]) -> bool:
    """Tell whether there is so much text, or noise, that a look at each piece would take minutes."""
    return sum(region.text_class is not TextClass.SAFE for region in regions) > _MOST_LOOKS


def _read(  # noqa: PLR0917 - a line, what it was before, and what it is read with
    engine: OcrEngine, view: Image, header: HeaderWords, region: Region, line: Region, warm: NDArray[np.float32] | None
) -> Region:
    """Return a line as its renderings see it; what is around its end makes it harder to read.

    Harmless text stays as long as it is where what goes on from it is no text that may identify.
    """
    read = read_otherwise(engine, view, header, line)
    if read.text_class is TextClass.SAFE or region.text_class is TextClass.SAFE or line == region:
        return read
    short = read_otherwise(engine, view, header, region)
    is_all = short.text_class is TextClass.SAFE and not goes_on(engine, view, header, short, line, warm)
    return short if is_all else read


def without_pieces(regions: list[Region], header: HeaderWords) -> list[Region]:
    """Drop what is a piece of harmless text that was surely read as a whole: "HR 72 bp" of "HR 72 bpm"."""
    safe = [one for one in regions if one.text_class is TextClass.SAFE and one.score >= _SURELY_SAFE_FROM]
    return [
        one
        for one in regions
        if one.text_class is TextClass.SAFE
        or is_of_header(one.identified_text, header)
        or not any(_is_piece(one, whole) for whole in safe)
    ]


def _is_piece(region: Region, whole: Region) -> bool:
    """Tell whether a region says a part of what a line says, or is too short to say anything and lies in the line."""
    if region.text_class is TextClass.UNREADABLE:
        return whole.outline.holds(region.outline, _ALL_OF_IT)
    said, all_said = letters_of(region.identified_text), letters_of(whole.identified_text)
    is_within = is_as_thick(whole, region) and overlap(whole, region) >= _ALL_OF_IT
    return is_within and len(said) >= _FEWEST_OF_A_PIECE and said in all_said


def _after_doubt(engine: OcrEngine, view: Image, header: HeaderWords, regions: Sequence[Region]) -> list[Region]:
    if sum(_is_doubtful(region, header) for region in regions) > _MOST_LOOKS:
        # A person looks at it anyway.
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
    looks: list[list[Region]] = []
    for scale in _scales(doubt):
        looks.append([])
        for region in read_at(engine, shown, header, scale=scale):
            moved = region.moved(dx=left, dy=top)
            if overlap(moved, doubt) >= _SAME_PLACE or overlap(doubt, moved) >= _SAME_PLACE:
                seen.append(moved)
                looks[-1].append(moved)
    if doubt.text_class is TextClass.IDENTIFYING and _resembles_harmless(doubt):
        return _surest(doubt, looks)
    legible = [region for region in seen if region.text_class is TextClass.IDENTIFYING]
    if legible:
        # What could not be read beside it is of the same line: all of it becomes black.
        longest = max(legible, key=lambda region: len(region.identified_text))
        return [*legible, replace(longest, outline=doubt.outline)]
    if any(region.text_class is TextClass.UNREADABLE for region in seen):
        return [doubt]
    return seen


def _surest(doubt: Region, looks: list[list[Region]]) -> list[Region]:
    """Return what the surest look saw where that is safe text and nearly all of it, else the doubtful region itself."""
    best = max(looks, key=lambda look: min((region.score for region in look), default=0.0))
    is_safe = all(region.text_class is TextClass.SAFE and region.score >= _SURELY_SAFE_FROM for region in best)
    reads_more = any(
        region.text_class is TextClass.IDENTIFYING and all(overlap(one, region) < _NEARLY_ALL for one in best)
        for look in looks
        for region in look
    )
    if best and is_safe and not reads_more and sum(overlap(region, doubt) for region in best) >= _MOST_OF_IT:
        return best
    return [doubt]


def _resembles_harmless(region: Region) -> bool:
    return is_nearly_technical(normalised(region.identified_text))


def _is_doubtful(region: Region, header: HeaderWords) -> bool:
    is_large = min(region.outline.width, region.outline.height) > _LARGE_PX
    if region.text_class is TextClass.UNREADABLE:
        return region.score < _SURE_FROM or is_large
    if region.text_class is not TextClass.IDENTIFYING or is_evident(region.identified_text, header):
        return False
    return (is_large and region.score < _BARELY_LEGIBLE_BELOW) or _resembles_harmless(region)


def _scales(doubt: Region) -> set[float]:
    height = min(doubt.outline.width, doubt.outline.height)
    scales = {min(_LARGEST_SCALE, target / height) for target in _HEIGHTS_PX}
    return scales | {_SMALL_SCALE} if height < _SMALL_PX else scales
