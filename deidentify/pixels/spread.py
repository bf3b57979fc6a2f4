"""Letters spread over a frame: one by one they are markers, in a row they are a word that nobody has read."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from deidentify.pixels.classify import normalised
from deidentify.pixels.reading import Region
from deidentify.results import TextClass

_SIDES = frozenset("lraphfsi")
"""Letters that mark directions: four of them around a picture are in line, too."""
_FEWEST, _FEWEST_STRANGE = 3, 2
_LIKE_HEIGHT = 1.5


def doubt_spread_letters(regions: Sequence[Region]) -> list[Region]:
    """Return the regions, those of single letters in one row or column turned into unreadable ones."""
    letters = [region for region in regions if _is_letter(region)]
    doubted: set[int] = set()
    for first, second in combinations(letters, 2):
        line = [region for region in letters if _in_line(first, second, region)]
        strange = [region for region in line if normalised(region.identified_text) not in _SIDES]
        if len(line) >= _FEWEST and len(strange) >= _FEWEST_STRANGE:
            doubted.update(id(region) for region in line)
    return [replace(region, text_class=TextClass.UNREADABLE) if id(region) in doubted else region for region in regions]


def _is_letter(region: Region) -> bool:
    text = normalised(region.identified_text)
    return region.text_class is TextClass.SAFE and len(text) == 1 and text.isalpha()


def _in_line(first: Region, second: Region, third: Region) -> bool:
    """Tell whether three letters of like height stand in one upright row or column."""
    heights = [max(region.outline.width, region.outline.height) for region in (first, second, third)]
    if max(heights) > _LIKE_HEIGHT * min(heights):
        return False
    for axis in ("x", "y"):
        places = [float(getattr(region.outline, axis)) for region in (first, second, third)]
        if max(places) - min(places) < min(heights) / 2:
            return True
    return False
