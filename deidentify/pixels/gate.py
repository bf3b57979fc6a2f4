"""The recogniser's say over what the detector found: detection alone fires on anatomy."""

from deidentify.pixels.classify import HeaderWords, classify, letters_of
from deidentify.pixels.detector import Candidate
from deidentify.pixels.recognizer import Reading
from deidentify.results import TextClass

_LEGIBLE_FROM = 0.5
_THINNEST_LINE_PX, _TALLEST_LINE_PX = 5.0, 40.0
"""In stored pixels, with the margin that the detector gives a line: letters need more than the first to be legible."""
_LINE_ASPECT = 2.5
_NO_LETTERS_BELOW, _SURE_OF_A_LINE = 0.1, 0.75
"""Drawn lines that could not be read still had letters; below, only a detector that is this sure is believed."""
_LONG_FOR_A_LETTER, _LONG_FOR_FEW = 3.0, 3.5
_NARROW_LETTERS = frozenset("il1")
_FEW, _UNSURE_BELOW = 3, 0.6


def judge(candidate: Candidate, reading: Reading, header: HeaderWords, *, scale: float) -> TextClass | None:
    """Class a candidate, or return None where it is no text: illegible and not like a line, or too thin for letters.

    ``scale`` is that of the view over the stored frame, so that shapes are measured in stored pixels.
    """
    short, long = sorted((candidate.width / scale, candidate.height / scale))
    if short < _THINNEST_LINE_PX:
        return None
    if reading.score >= _LEGIBLE_FROM:
        text_class = classify(reading.identified_text, header)
        if text_class is TextClass.SAFE and _is_too_long(reading, candidate):
            # A whole line in a script that the recogniser does not know comes out as one letter, or a few unsure ones.
            return TextClass.UNREADABLE
        return text_class
    if reading.score < _NO_LETTERS_BELOW and candidate.score < _SURE_OF_A_LINE:
        return None
    if short > _TALLEST_LINE_PX or long < _LINE_ASPECT * short:
        return None
    return TextClass.UNREADABLE


def _is_too_long(reading: Reading, candidate: Candidate) -> bool:
    """Tell whether a rectangle is longer than what was read in it can be, whichever side of it lies along the text."""
    letters = letters_of(reading.identified_text)
    short, long = sorted((candidate.width, candidate.height))
    if len(letters) == 1:
        is_level = candidate.width >= candidate.height
        return long >= _LONG_FOR_A_LETTER * short and (is_level or letters not in _NARROW_LETTERS)
    return 1 < len(letters) <= _FEW and reading.score < _UNSURE_BELOW and long >= _LONG_FOR_FEW * short
