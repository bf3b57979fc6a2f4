"""One line read in several renderings, where its first reading is neither of the header nor known to be harmless.

The recogniser misreads letters of dot-matrix displays, of eight pixels, and beside anatomy: "TI 2500" as "T12500". The
same line a little larger, smaller, softer or tighter is read rightly, while a name stays a name in all of them. What
several renderings take for the same harmless text is harmless; one that resembles a word of the header decides against
it, whatever the others say.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from deidentify.pixels.alternatives import alternatives
from deidentify.pixels.classify import HeaderWords, classify, is_of_header, normalised
from deidentify.pixels.detector import Candidate, Image
from deidentify.pixels.engine import OcrEngine
from deidentify.pixels.reading import Region
from deidentify.pixels.recognizer import Reading, straightened
from deidentify.pixels.vocabulary import SIDES
from deidentify.results import TextClass

_HEIGHTS_PX = (12, 16, 24)
_SMOOTHED_PX, _READ_PX = 18, 48
_SOFTER = (0.04, 0.07)
_NARROWER = 0.75
_TIGHTER = 6
_LOW_PERCENT, _HIGH_PERCENT = 2, 98
_SURELY_FROM, _LEGIBLE_FROM = 0.75, 0.7
_FEWEST_LEGIBLE = 2
_FIRST_LOOKS, _FEWEST_OF_FIRST = 4, 3
"""Of 89 harmless lines that were taken for names 88 were read rightly in one of the first four renderings."""
_FEWEST_CHARACTERS, _THINNEST_PX = 2, 3
_LETTER_ASPECT, _DIGIT_ASPECT = 1.4, 1.6
_READ_WELL_FROM, _LIKE_PERCENT = 0.8, 50
_WORTH_ANOTHER_LOOK, _BELIEVED_FROM, _ROUNDS_OF_BELIEF = 0.02, 0.2, 2
_FEWEST_POSSIBLE, _PART_POSSIBLE, _RARE = 3, 0.6, 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """The same renderings with more or less of what is around a line; a letter at its edge may be seen in one alone."""

    margin: float
    """What is shown around the line, of its height, both sides together."""
    fewest_safe: int
    """How many renderings have to be harmless for the line to be."""
    fewest_alike: int
    """How many of them have to say the same."""


_ROUNDS = (
    _Round(margin=0.15, fewest_safe=3, fewest_alike=2),
    _Round(margin=0.0, fewest_safe=5, fewest_alike=3),
    _Round(margin=0.4, fewest_safe=5, fewest_alike=3),
)
_SAFE_OF_ALL, _ALIKE_OF_ALL = 6, 4
"""The same of all rounds together, where none says enough."""


def read_otherwise(engine: OcrEngine, view: Image, header: HeaderWords, region: Region) -> Region:
    """Return the region as several renderings of its line see it, or as it is where they do not agree.

    One that is safe already, or has a word of the header, stays what it is. One that was not legible and is now
    identifies.
    """
    if region.text_class is TextClass.SAFE or is_of_header(region.identified_text, header):
        return region
    seen: list[Reading] = []
    seen_safe: list[Reading] = []
    for one in _ROUNDS:
        strip = straightened(view, _with_margin(region.outline, one.margin))
        if min(strip.shape[:2]) < _THINNEST_PX or strip.min() == strip.max():
            continue
        readings = _looks(engine, strip, header, is_first=not seen)
        seen += readings
        if any(is_of_header(reading.identified_text, header) for reading in readings):
            return replace(region, text_class=TextClass.IDENTIFYING)
        aspect = max(strip.shape[:2]) / min(strip.shape[:2])
        safe = [reading for reading in readings if _is_surely_safe(reading, header, aspect)]
        seen_safe += safe
        if not seen_safe:
            break
        others = [reading for reading in seen if _is_legible(reading, header)]
        agreed = _agreed(safe, others, region, len(readings), one.fewest_safe, one.fewest_alike) or _agreed(
            seen_safe, others, region, len(seen), _SAFE_OF_ALL, _ALIKE_OF_ALL
        )
        if agreed is not None:
            return agreed
    return _possibly_harmless(engine, view, header, region, seen) or _legible(seen, region, header)


def _possibly_harmless(
    engine: OcrEngine, view: Image, header: HeaderWords, region: Region, seen: Sequence[Reading]
) -> Region | None:
    """Return the region as the harmless text that its renderings leave possible, None where they leave hardly any.

    Of a name nearly nothing that is left possible is harmless.
    """
    if region.text_class is not TextClass.IDENTIFYING:
        return None
    first = [_harmless_shares(reading, header) for reading in seen[:_FIRST_LOOKS]]
    if any(shares is None for shares in first) or _mean_share(first) < _WORTH_ANOTHER_LOOK:
        return None
    shares: list[dict[str, float] | None] = []
    for look in _ROUNDS[:_ROUNDS_OF_BELIEF]:
        strip = straightened(view, _with_margin(region.outline, look.margin))
        if min(strip.shape[:2]) >= _THINNEST_PX:
            shares += [_harmless_shares(reading, header) for reading in readings_of(engine, strip)]
    if any(one is None for one in shares) or _mean_share(shares) < _BELIEVED_FROM:
        return None
    together: defaultdict[str, float] = defaultdict(float)
    for one in shares:
        for text, share in (one or {}).items():
            together[text] += share
    text = max(together, key=lambda said: together[said])
    return replace(region, text_class=TextClass.SAFE, identified_text=text, score=_mean_share(shares))


def _harmless_shares(reading: Reading, header: HeaderWords) -> dict[str, float] | None:
    """Return the harmless texts that a reading leaves possible, with their shares; None where one is of the header.

    Numbers alone, and much less than was read, say nothing, nor does a number that has lost a digit.
    """
    found: dict[str, float] = {}
    read = _said(reading.identified_text)
    least = max(_FEWEST_POSSIBLE, (1.0 if _is_number(read) else _PART_POSSIBLE) * len(read))
    for text, share in alternatives(reading.identified_evidence).items():
        if share < _RARE:
            continue
        if is_of_header(text, header):
            return None
        said = _said(text)
        if len(said) >= least and not said.isdecimal() and classify(text, header) is TextClass.SAFE:
            found[text] = share
    return found


def _mean_share(shares: Sequence[dict[str, float] | None]) -> float:
    return sum(sum((one or {}).values()) for one in shares) / len(shares) if shares else 0.0


def _agreed(  # noqa: PLR0917 - what one round and all together are asked alike
    safe: Sequence[Reading],
    others: Sequence[Reading],
    region: Region,
    renderings: int,
    fewest_safe: int,
    fewest_alike: int,
) -> Region | None:
    """Return the region as safe text where enough renderings say so, and say the same, and no name more often."""
    times = Counter(_said(one.identified_text) for one in safe)
    like = [one for one in safe if _is_like(one, region, is_usual=2 * times[_said(one.identified_text)] > renderings)]
    if len(like) < fewest_safe:
        return None
    best = max(like, key=lambda one: (times[_said(one.identified_text)], one.score))
    alike = times[_said(best.identified_text)]
    against = max(Counter(_said(one.identified_text) for one in others).values(), default=0)
    return _read_as(best, region, TextClass.SAFE) if alike >= fewest_alike and len(safe) > against else None


def _looks(engine: OcrEngine, strip: Image, header: HeaderWords, *, is_first: bool) -> list[Reading]:
    """Return the readings of a line, the first of them only where these leave no doubt that it identifies."""
    readings: list[Reading] = []
    for one in readings_of(engine, strip):
        readings.append(one)
        if is_first and len(readings) == _FIRST_LOOKS:
            said = [look for look in readings if _said(look.identified_text)]
            has_safe = any(classify(look.identified_text, header) is TextClass.SAFE for look in said)
            if not has_safe and sum(_is_legible(look, header) for look in readings) >= _FEWEST_OF_FIRST:
                break
    return readings


def readings_of(engine: OcrEngine, strip: Image) -> Iterator[Reading]:
    """Yield what each rendering of a line, cut out and level, is read as."""
    return (reading_of(engine, shown) for shown in _renderings(strip))


def _legible(readings: Sequence[Reading], region: Region, header: HeaderWords) -> Region:
    """Return an unreadable region as identifying where renderings can read it, others as they are."""
    legible = [one for one in readings if _is_legible(one, header)]
    if region.text_class is not TextClass.UNREADABLE or len(legible) < _FEWEST_LEGIBLE:
        return region
    return _read_as(max(legible, key=_score), region, TextClass.IDENTIFYING)


def _read_as(reading: Reading, region: Region, text_class: TextClass) -> Region:
    return replace(region, text_class=text_class, identified_text=reading.identified_text, score=reading.score)


def _score(reading: Reading) -> float:
    return reading.score


def _said(identified_text: str) -> str:
    """Return the letters and digits of a text."""
    return "".join(filter(str.isalnum, normalised(identified_text)))


def _is_number(said: str) -> bool:
    """Tell whether most of what was read are digits."""
    return 2 * sum(map(str.isdecimal, said)) > len(said)


def _is_surely_safe(reading: Reading, header: HeaderWords, aspect: float) -> bool:
    """Tell whether a reading is harmless; one letter alone is L or R, or a digit, where there is room for no more."""
    said = _said(reading.identified_text)
    is_one = (said in SIDES and aspect <= _LETTER_ASPECT) or (said.isdecimal() and aspect <= _DIGIT_ASPECT)
    is_whole = len(said) >= _FEWEST_CHARACTERS or is_one
    return is_whole and reading.score >= _SURELY_FROM and classify(reading.identified_text, header) is TextClass.SAFE


def _is_like(reading: Reading, region: Region, *, is_usual: bool) -> bool:
    """Tell whether a reading could be what was read before, where that was read well.

    What most renderings say is believed even if only a part of it was read before. A number does not lose digits.
    """
    said, before = _said(reading.identified_text), _said(region.identified_text)
    if region.score >= _READ_WELL_FROM and _is_number(before) and len(said) < len(before):
        return False
    if region.score < _READ_WELL_FROM or (is_usual and len(said) >= len(before)):
        return True
    return fuzz.ratio(said, before) >= _LIKE_PERCENT


def _is_legible(reading: Reading, header: HeaderWords) -> bool:
    return reading.score >= _LEGIBLE_FROM and classify(reading.identified_text, header) is TextClass.IDENTIFYING


def _with_margin(outline: Candidate, margin: float) -> Candidate:
    grown = margin * min(outline.width, outline.height)
    return replace(outline, width=outline.width + grown, height=outline.height + grown)


def _renderings(strip: Image) -> Iterator[Image]:
    """Yield a line as it is, of the heights of small print, softer, in its own contrast, and without its margin.

    Letters of dots are read best when their dots run together: made small and large again, or soft and narrow.
    """
    yield strip
    short = min(strip.shape[:2])
    for height in _HEIGHTS_PX:
        yield _of_height(strip, height)
    yield _of_height(_of_height(strip, _SMOOTHED_PX), _READ_PX)
    for share in _SOFTER:
        yield _soft(strip, share)
    yield _uint8(cv2.resize(_soft(strip, _SOFTER[-1]), None, fx=_NARROWER, fy=1, interpolation=cv2.INTER_AREA))
    low, high = np.percentile(strip, (_LOW_PERCENT, _HIGH_PERCENT))
    yield _uint8(np.clip((strip.astype(np.float32) - low) * (255 / max(1.0, high - low)), 0, 255))
    rim = short // _TIGHTER
    if rim and short > 2 * rim + _THINNEST_PX:
        yield strip[rim:-rim, rim:-rim]


def _of_height(strip: Image, height: int) -> Image:
    times = height / min(strip.shape[:2])
    way = cv2.INTER_AREA if times < 1 else cv2.INTER_CUBIC
    return _uint8(cv2.resize(strip, None, fx=times, fy=times, interpolation=way))


def _soft(strip: Image, share: float) -> Image:
    return _uint8(cv2.GaussianBlur(strip, (0, 0), max(0.5, share * min(strip.shape[:2]))))


def _uint8(picture: NDArray[Any]) -> Image:
    return np.asarray(picture, dtype=np.uint8)


def reading_of(engine: OcrEngine, strip: Image) -> Reading:
    """Return what a line, cut out and level, is read as."""
    rows, columns = strip.shape[:2]
    whole = Candidate(x=columns / 2, y=rows / 2, width=columns, height=rows, angle=0.0, score=1.0)
    return (engine.close_reader or engine.recognizer).read(strip, [whole])[0]
