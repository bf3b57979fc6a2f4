"""The screen of what people type: this case's own identifiers, by keyed hashes, and whatever looks like anybody's.

It never sees an original. A word that is merely unknown passes, since people write prose; a word of prose that is also
a name of this case counts only where it is written as one.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from deidentify.results import KnownIdentifiers, TextFinding, TextReason
from deidentify.screen_tokens import LONGEST_WORD, SHORTEST_NUMBER, CaseHash, is_number, near_forms
from deidentify.spellings import IDEOGRAPHS, days, number_form, spellings
from deidentify.text_patterns import found_by_pattern
from deidentify.vocabulary import is_known_word, prose, words_in

LONGEST_TEXT = 100_000
"""Characters; the fields of a case are shorter."""
_LONGEST_IDEOGRAPHIC_NAME = 8
_SHORTEST_SURE = 3
"""Letters of a word that is a name wherever it stands."""
_SHORTEST_JOINED_NUMBER = 6
_MOST_JOINED = 5

_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0903\u093a-\u094f\u0e31-\u0e4e"
_WORD = re.compile(rf"[^\W\d_](?:[^\W\d_]|[{_MARKS}]|['\u2019\u02bc`\u00b4](?=[^\W\d_]))*")
_POSSESSIVE = re.compile(r"['\u2019\u02bc`\u00b4][sS]$")
_BETWEEN = re.compile(r"[\s^,'\u2019\u2010-\u2015\-_/\u00ad\u200b-\u200f\u2060\ufeff]{0,3}")
"""What may stand between two names of one person."""
_CHUNK = re.compile(r"(?:[^\W_]){1,40}")
_BETWEEN_CHUNKS = re.compile(r"[^\S\r\n]?[-./_:\u2010-\u2015]?[^\S\r\n]?")
_SENTENCE_END = re.compile(r"[.!?:;\r\n\u2022]\s*[\"'(\u201c\u2018\[-]?\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    start: int
    end: int
    text: str


class KeyedTextScreen:
    """Finds in typed text what could identify somebody; ``key_of`` gives the key of a generation of the secret."""

    def __init__(self, key_of: Callable[[int], bytes]) -> None:
        self._key_of = key_of

    def __repr__(self) -> str:
        """Show no key."""
        return "KeyedTextScreen()"

    def findings(self, text: str, known: KnownIdentifiers) -> tuple[TextFinding, ...]:
        """Return every place that holds an identifier of the case or looks like one of anybody, in order.

        Raises
        ------
        ValueError
            If the text is longer than any field of a case.
        """
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"the text screen takes at most {LONGEST_TEXT} characters")
        found = list(found_by_pattern(text))
        for case_id, hashes in {known.case_id: known.hashes, **known.of_others}.items():
            if not hashes:
                continue
            own = _Own(CaseHash(self._key_of(known.generation), case_id), hashes)
            found += [
                TextFinding(start=start, end=end, reason=TextReason.CASE_IDENTIFIER)
                for start, end in (*own.names(text), *own.ideographic_names(text), *own.numbers(text))
            ]
        return _merged(found)


class _Own:
    """What one case's hashes know; every word and every form is asked for once."""

    def __init__(self, hashed: CaseHash, hashes: frozenset[bytes]) -> None:
        self._hash = hashed
        self._hashes = hashes
        self._asked: dict[tuple[str, str], bool] = {}
        self._typed: dict[str, tuple[tuple[str, ...], bool]] = {}

    def _has(self, kind: str, form: str) -> bool:
        known = self._asked.get((kind, form))
        if known is None:
            known = self._asked[kind, form] = self._hash(kind, form) in self._hashes
        return known

    def _forms(self, word: str) -> tuple[tuple[str, ...], bool]:
        """Return the forms of a typed word, and whether it is one of prose."""
        known = self._typed.get(word)
        if known is None:
            forms = [*spellings(word)]
            if _POSSESSIVE.search(word):
                forms += spellings(_POSSESSIVE.sub("", word))
            usable = tuple(form for form in forms if len(form) <= LONGEST_WORD)
            known = self._typed[word] = usable, any(len(form) < _SHORTEST_SURE or _is_common(form) for form in usable)
        return known

    def names(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the places of names: sure ones, doubtful ones that are written as a name, and pairs."""
        words = [_Word(start=match.start(), end=match.end(), text=match.group()) for match in _WORD.finditer(text)]
        hits: dict[int, bool] = {}
        for place, word in enumerate(words):
            forms, is_common = self._forms(word.text)
            if any(self._has("word", form) for form in forms):
                hits[place] = not is_common or _is_capital_inside(text, words, place)
            elif not is_common and any(self._has(*near) for form in forms for near in near_forms(form)):
                hits[place] = True
        yield from ((words[place].start, words[place].end) for place, is_sure in hits.items() if is_sure)
        for place, (one, other) in enumerate(pairwise(words)):
            if not _BETWEEN.fullmatch(text, one.end, other.start):
                continue
            is_pair = place in hits and place + 1 in hits and one.text.casefold() != other.text.casefold()
            if is_pair or self._is_split(one.text, other.text):
                yield one.start, other.end

    def _is_split(self, one: str, other: str) -> bool:
        """Tell whether two words are one name that was written apart."""
        firsts, is_first_common = self._forms(one)
        seconds, is_second_common = self._forms(other)
        if is_first_common and is_second_common:
            return False
        return any(
            self._has("word", first + second)
            for first in firsts
            for second in seconds
            if _SHORTEST_SURE < len(first + second) <= LONGEST_WORD
        )

    def ideographic_names(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the places of names in scripts without spaces."""
        for run in IDEOGRAPHS.finditer(text):
            # One form for each letter: what a name's letters become does not depend on their neighbours.
            forms = ["".join(spellings(letter)[:1]) for letter in run.group()]
            for start in range(len(forms)):
                for end in range(start + 2, min(len(forms), start + _LONGEST_IDEOGRAPHIC_NAME) + 1):
                    if self._has("word", "".join(forms[start:end])):
                        yield run.start() + start, run.start() + end

    def numbers(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the places of numbers, also of those written in groups, and of days written without separators."""
        chunks = list(_CHUNK.finditer(text))
        for place, first in enumerate(chunks):
            if not any(map(str.isdigit, first.group())):
                if len(first.group()) > SHORTEST_NUMBER:
                    continue
            elif self._is_number(first.group(), SHORTEST_NUMBER):
                yield first.span()
            joined, end = first.group(), first.end()
            for other in chunks[place + 1 : place + _MOST_JOINED]:
                if not _BETWEEN_CHUNKS.fullmatch(text, end, other.start()) or not any(map(str.isdigit, other.group())):
                    break
                joined, end = joined + other.group(), other.end()
                if self._is_number(joined, _SHORTEST_JOINED_NUMBER):
                    yield first.start(), end

    def _is_number(self, text: str, shortest: int) -> bool:
        form = number_form(text)
        if len(form) >= shortest and is_number(form) and self._has("number", form):
            return True
        return text.isdecimal() and text.isascii() and any(self._has("day", day) for day in days(text))


def _is_common(form: str) -> bool:
    return form in prose() or form in _everyday() or is_known_word(form, general=False)


@cache
def _everyday() -> frozenset[str]:
    return words_in("everyday_names.txt")


def _is_capital_inside(text: str, words: list[_Word], place: int) -> bool:
    """Tell whether a word begins with a capital that no sentence, title or heading gives it."""
    word = words[place]
    if not word.text[:1].isupper() or place == 0:
        return False
    before = words[place - 1]
    if _SENTENCE_END.search(text[before.end : word.start]):
        return False
    # Behind another capital it may be a heading; an acronym is not written as a name.
    return before.text[:1].islower() and (len(word.text) == 1 or not word.text.isupper())


def _merged(found: list[TextFinding]) -> tuple[TextFinding, ...]:
    """Return places that do not overlap; the case's own identifiers give the reason, then the first of the longest."""
    merged: list[TextFinding] = []
    for one in sorted(found, key=lambda finding: (finding.start, -finding.end)):
        if not merged or one.start >= merged[-1].end:
            merged.append(one)
            continue
        last = merged[-1]
        is_own = TextReason.CASE_IDENTIFIER in {last.reason, one.reason}
        merged[-1] = TextFinding(
            start=last.start,
            end=max(last.end, one.end),
            reason=TextReason.CASE_IDENTIFIER if is_own else last.reason,
        )
    return tuple(merged)
