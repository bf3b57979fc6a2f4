"""The ten checks of MIDI-B, each on one element of one delivered file (``True``: passed, ``None``: not asked).

Where MIDI-B's scorer passes what it should not, ours is stricter; see docs/decisions/0019.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from pydicom import Dataset
from pydicom.dataelem import DataElement

from benchmarks.midib.answers import pixel_digest
from benchmarks.midib.key import Action, Answer, found
from benchmarks.midib.planting import value_text

__all__ = ["CHECKS", "Outcome", "Uids", "passes", "words_in"]

_STOP = frozenset(
    ("a", "an", "and", "at", "by", "for", "from", "in", "is", "of", "on", "or", "the", "to", "was", "with")
)


@dataclass(slots=True)
class Uids:
    """Which UID and which patient became which, over all files that a tool delivered of one case."""

    replaced: dict[str, set[str]] = field(default_factory=dict)
    patients: dict[str, set[str]] = field(default_factory=dict)

    def is_consistent(self, old: str, new: str) -> bool:
        """Tell whether this is the one thing that the UID became, and nothing else became the same."""
        return self.replaced.get(old) == {new} and self._owners(new) == 1

    def _owners(self, new: str) -> int:
        return sum(new in made for made in self.replaced.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one answer came out. Of useful words, how many of how many were kept."""

    passed: bool
    kept: int = 0
    asked: int = 0


def words_in(text: str) -> list[str]:
    """Return the words and numbers of a text, without stop words."""
    return [word for word in re.findall(r"[^\W_]+", text.casefold()) if word not in _STOP]


def _texts(data: Dataset, answer: Answer) -> list[str]:
    return [value_text(element) for element in found(data, answer.path)]


def _is_filled(element: DataElement) -> bool:
    return element.value is not None and (not hasattr(element.value, "__len__") or len(element.value) > 0)


def tag_retained(data: Dataset, answer: Answer, _uids: Uids) -> Outcome:
    """Pass when the attribute is there."""
    return Outcome(passed=bool(found(data, answer.path)))


def text_notnull(data: Dataset, answer: Answer, _uids: Uids) -> Outcome:
    """Pass when the attribute is there and has a value."""
    return Outcome(passed=any(_is_filled(element) for element in found(data, answer.path)))


def text_retained(data: Dataset, answer: Answer, _uids: Uids) -> Outcome:
    """Pass when the value, or each useful word of it, is still there; words are words, not parts of others."""
    texts = _texts(data, answer)
    if not answer.words:
        allowed = (answer.value, *answer.or_else)
        return Outcome(passed=any(_is_same(value, text) for value in allowed for text in texts))
    asked = words_in(" ".join(answer.words))
    here = set(words_in(" ".join(texts)))
    kept = sum(word in here for word in asked)
    return Outcome(passed=kept == len(asked), kept=kept, asked=len(asked))


def _is_same(before: str, after: str) -> bool:
    one, other = before.split("\\"), after.split("\\")
    return len(one) == len(other) and all(_is_same_value(*pair) for pair in zip(one, other, strict=True))


def _is_same_value(before: str, after: str) -> bool:
    if before.strip() == after.strip():
        return True
    try:
        return float(before) == float(after)
    except ValueError:
        return False


def text_removed(data: Dataset, answer: Answer, _uids: Uids) -> Outcome:
    """Pass when none of the identifiers is in the value, nor any word of a name in it."""
    text = " ".join(_texts(data, answer)).casefold()
    here = set(words_in(text))
    for identifier in answer.words:
        plain = identifier.casefold()
        if plain in text if len(plain) > 3 else plain in here:
            return Outcome(passed=False)
    return Outcome(passed=True)


def date_shifted(data: Dataset, answer: Answer, _uids: Uids) -> Outcome:
    """Pass when the day is not the old one and what is there is a date; the interval is checked apart."""
    old = answer.value[:8]
    for text in _texts(data, answer):
        if old in text or (text and not _is_date(text)):
            return Outcome(passed=False)
    return Outcome(passed=True)


def _is_date(text: str) -> bool:
    try:
        dt.datetime.strptime(text[:8], "%Y%m%d")  # noqa: DTZ007
    except ValueError:
        return False
    return True


def uid_changed(data: Dataset, answer: Answer, _uids: Uids) -> Outcome:
    """Pass when no old UID is in the value."""
    text = "\\".join(_texts(data, answer))
    return Outcome(passed=not any(old in text for old in answer.value.split("\\")))


def uid_consistent(data: Dataset, answer: Answer, uids: Uids) -> Outcome | None:
    """Pass when each UID became the same one everywhere in the case, and no other became it.

    Absence passes only where the Basic Profile lets the sequence around it go: then nothing is asked.
    """
    texts = _texts(data, answer)
    if not texts:
        return Outcome(passed=False) if answer.is_required else None
    passed = any(_are_consistent(answer.value, text, uids) for text in texts)
    if 0x0040A730 in answer.path and not passed:
        # Another content item stands here now, and what the UID became elsewhere may not be known.
        is_known = all(old in uids.replaced for old in answer.value.split("\\"))
        return Outcome(passed=False) if is_known and answer.is_required else None
    return Outcome(passed=passed)


def _are_consistent(before: str, after: str, uids: Uids) -> bool:
    old, new = before.split("\\"), after.split("\\")
    return len(old) == len(new) and all(uids.is_consistent(*pair) for pair in zip(old, new, strict=True))


def patid_consistent(data: Dataset, answer: Answer, uids: Uids) -> Outcome:
    """Pass when the patient has one new ID in all files of the case, and it is not the old one."""
    texts = [text for text in _texts(data, answer) if text]
    made = uids.patients.get(answer.value, set())
    return Outcome(passed=len(texts) == 1 and made == {texts[0]} and answer.value not in texts[0])


def pixels_retained(data: Dataset, answer: Answer, _uids: Uids) -> Outcome:
    """Pass when the pixel data has the same bytes, as encoded."""
    return Outcome(passed=pixel_digest(data) == answer.value)


def pixels_hidden(data: Dataset, answer: Answer, _uids: Uids) -> Outcome:
    """Pass when nothing in the box still looks like what was drawn there.

    The value is ``row,column`` and the drawn mask, rows of 0 and 1; a text reader may fail to read what a person
    reads, so the mask itself is looked for.
    """
    place, _, drawn = answer.value.partition(";")
    row, column = (int(part) for part in place.split(","))
    mask = np.array([[int(bit) for bit in line] for line in drawn.split()], dtype=float)
    pixels = np.asarray(data.pixel_array, dtype=float)
    while pixels.ndim > 2:
        pixels = pixels[0] if pixels.shape[-1] > 4 else pixels.mean(axis=-1)
    region = pixels[row : row + mask.shape[0], column : column + mask.shape[1]]
    if region.shape != mask.shape or region.std() == 0 or mask.std() == 0:
        return Outcome(passed=region.shape == mask.shape)
    likeness = abs(float(np.corrcoef(region.ravel(), mask.ravel())[0, 1]))
    return Outcome(passed=likeness < 0.25)


CHECKS: Mapping[Action, Callable[[Dataset, Answer, Uids], Outcome | None]] = {
    Action.TAG_RETAINED: tag_retained,
    Action.TEXT_NOTNULL: text_notnull,
    Action.TEXT_RETAINED: text_retained,
    Action.TEXT_REMOVED: text_removed,
    Action.DATE_SHIFTED: date_shifted,
    Action.UID_CHANGED: uid_changed,
    Action.UID_CONSISTENT: uid_consistent,
    Action.PATID_CONSISTENT: patid_consistent,
    Action.PIXELS_RETAINED: pixels_retained,
    Action.PIXELS_HIDDEN: pixels_hidden,
}


def passes(data: Dataset, answer: Answer, uids: Uids) -> Outcome | None:
    """Judge one answer; None where it is not asked of this file."""
    return CHECKS[answer.action](data, answer, uids)
