"""Element by element, what a profile makes of one instance: before, after, and which line did it.

Everything in here is identified: it shows what the original says, to whoever answers for the profile.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from deidentify.charsets import DEFAULT, Charset, charset_of
from deidentify.dataset import Element, Encoding, ReceivedInstance, tag_text
from deidentify.decisions import Decision, Decisions
from deidentify.dictionary import CHARSET_VRS, TEXT_VRS
from deidentify.explain import Explanation, explanation, name_of
from deidentify.identity import CHARSET_TAG, IdentifiedTokens
from deidentify.own_words import OwnWords
from deidentify.rules import Path, numbers_of
from deidentify.text import removals

_SHOWN_NUMBERS = 8
_SHOWN_LETTERS = 200
_LETTERS = CHARSET_VRS | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}
_CLEANED = frozenset((Decision.WORDS, Decision.TECHNICAL, Decision.CLEAN, Decision.LABEL))


class Change(StrEnum):
    """What became of one element."""

    SAME = "same"
    CHANGED = "changed"
    EMPTIED = "emptied"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRow:
    """One element before and after. ``place`` has the sequences around it, with item numbers from 0."""

    place: str
    name: str
    vr: str
    change: Change
    by: str
    """``always``, ``private``, ``rule``, ``option``, ``Basic Profile`` or ``outside the table``."""
    source: str
    reason: str
    identified_before: str = field(repr=False)
    after: str = field(repr=False)
    identified_marks: tuple[tuple[int, int, str], ...] = field(repr=False, default=())
    """Of a cleaned text: start, end and reason of each piece that goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One data set on the way through both."""

    encoding: Encoding
    charset: Charset = DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """Where the way through both stands."""

    before: _Side
    after: _Side
    path: Path = ()
    place: str = ""


class Preview:
    """Compares one original with what was written of it."""

    def __init__(self, decisions: Decisions, identified: IdentifiedTokens) -> None:
        self._decisions = decisions
        self._own = OwnWords(identified.own_words)
        self._explanations: dict[tuple[int, Path], Explanation] = {}

    def rows(self, original: ReceivedInstance, written: ReceivedInstance) -> list[PreviewRow]:
        """Return a row for every element of either, in the order of their tags; items are compared by their places."""
        top = _Level(before=_Side(encoding=original.encoding), after=_Side(encoding=written.encoding))
        return list(self._level(original.identified_elements, written.identified_elements, top))

    def _level(self, olds: list[Element], news: list[Element], level: _Level) -> Iterator[PreviewRow]:
        level = replace(level, before=_under(level.before, olds), after=_under(level.after, news))
        old_by_tag = {element.tag: element for element in reversed(olds)}
        new_by_tag = {element.tag: element for element in reversed(news)}
        for tag in sorted(old_by_tag.keys() | new_by_tag.keys()):
            old, new = old_by_tag.get(tag), new_by_tag.get(tag)
            row = self._row(old, new, level)
            yield row
            if old is not None and new is not None and old.items is not None and new.items is not None:
                for number, (item, written) in enumerate(zip(old.items, new.items, strict=False)):
                    inner = replace(level, path=(*level.path, tag), place=f"{row.place}[{number}].")
                    yield from self._level(item, written, inner)

    def _row(self, old: Element | None, new: Element | None, level: _Level) -> PreviewRow:
        element = old or new
        assert element is not None
        why = self._explained(element.tag, level.path)
        shown, written = _shown(old, level.before), _shown(new, level.after)
        return PreviewRow(
            place=f"{level.place}{tag_text(element.tag)}",
            name=name_of(element.tag),
            vr=element.vr,
            change=_change(old, new, shown, written),
            by=why.by,
            source=why.source,
            reason=why.reason,
            identified_before=shown,
            after=written,
            identified_marks=self._marks(old, shown, level.path),
        )

    def _explained(self, tag: int, path: Path) -> Explanation:
        key = (tag, path)
        if key not in self._explanations:
            self._explanations[key] = explanation(self._decisions, tag, path)
        return self._explanations[key]

    def _marks(self, old: Element | None, shown: str, path: Path) -> tuple[tuple[int, int, str], ...]:
        if old is None or old.vr not in TEXT_VRS or old.span is not None:
            return ()
        decision = self._decisions.decide(old.tag, path)
        if decision not in _CLEANED:
            return ()
        found = removals(
            shown,
            self._own,
            technical=decision in {Decision.TECHNICAL, Decision.LABEL},
            site=self._decisions.profile.vocabulary,
        )
        return tuple((one.start, one.end, str(one.reason)) for one in found)


def _under(side: _Side, elements: list[Element]) -> _Side:
    """Return the side with the character set of a level, where that names one."""
    named = next((element for element in elements if element.tag == CHARSET_TAG), None)
    return side if named is None else _Side(encoding=side.encoding, charset=charset_of(named.value))


def _change(old: Element | None, new: Element | None, shown: str, written: str) -> Change:
    if new is None:
        return Change.REMOVED
    if old is None:
        return Change.ADDED
    if new.is_empty and not old.is_empty:
        return Change.EMPTIED
    is_same = old.value == new.value if old.items is None and new.items is None else True
    return Change.SAME if is_same and shown == written else Change.CHANGED


def _shown(element: Element | None, side: _Side) -> str:
    """Return a value as a person reads it, shortened; what nobody reads as its size."""
    if element is None:
        return ""
    if element.items is not None:
        return f"{len(element.items)} item{'s' * (len(element.items) != 1)}"
    if element.span is not None:
        return f"{element.span[1]:,} bytes"
    if element.vr in _LETTERS:
        charset = side.charset if element.vr in CHARSET_VRS else DEFAULT
        text = charset.decode(element.value).strip(" \0")
        return text if len(text) <= _SHOWN_LETTERS else text[:_SHOWN_LETTERS] + " …"
    numbers = numbers_of(element.value, element.vr, little=side.encoding.little)
    if 0 < len(numbers) <= _SHOWN_NUMBERS:
        return "\\".join(numbers)
    return f"{len(element.value):,} bytes" if element.value else ""
