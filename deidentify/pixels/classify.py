"""What a piece of recognised text is taken for. Whatever is not known to be harmless identifies."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from rapidfuzz import fuzz, process

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.technical import Terms, is_number, terms_of
from deidentify.pixels.vocabulary import DIRECTIONS, MARKERS, NAME_LIKE, SETTINGS, UNITS
from deidentify.results import TextClass

_SIMILARITY, _SIMILARITY_OF_SHORT = 85, 75
_SHORTEST_FUZZY, _SHORTEST_FUZZY_NUMBER = 4, 6
_SHORTEST_EXACT = 3
_LONGEST_NUMBER_RUN = 5
_UNKNOWN_WORD = 3
_PATTERNS = re.compile(
    r"\d\s*/\s*\d"  # any date or fraction with a slash
    r"|\d{5,}"
    r"|[*\u2217]\s*\d"  # born
    r"|\d{1,2}\s*:\s*\d{2}"  # time
    r"|\d{1,4}\s*[.,;'\-年]\s*\d{1,2}\s*[.,;'\-月]\s*\d{1,4}"  # date; a comma is a full stop that was misread
    r"|\d{1,2}\W{0,2}(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|okt|dez)"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|okt|dez)[a-z]*\W{0,2}\d"
)
_DAY_AND_MONTH = re.compile(r"([a-z]*)[^\w.,]{0,2}(?<![\d.,])(\d\d)[.,](\d\d)(?![\d.,])\s?([a-z%]*)")
"""What is left of a date whose year was lost, with the letters before and behind it ("ob16.09")."""
_MISREAD = str.maketrans("oqilzsb", "0011258")
"""Letters in the place of digits."""
_WITH_DIGITS = re.compile(r"[\w.,;:'/\-]*\d[\w.,;:'/\-]*")
_LETTER_AND_VALUE = re.compile(r"[wlc]:-?\d{1,4}")
"""Width and level of a window, not a time ("L:40")."""
_WINDOW = re.compile(r"[wv]:\s?(\d{2,4})(?:\s?l|\s[1i]):\s?(-?\d{1,4})")
"""Width and level with one of their letters misread ("W:400 1:40"), and nothing else."""
_DIGITS_AND_SIGNS = re.compile(r"[\d.,;:'/\-]+")
_NUMBER = re.compile(r"\d+")
_DATE_DIGITS = 8
_SHORT_NAME = 2
_YEAR = re.compile(r"(?:19|20)\d\d")
_KEYS_OF_LARGE_NUMBERS = frozenset(("tr", "te", "ti", "w", "ww", "wl", "wc"))
"""Settings whose value may look like a year."""
_LAST_DAY, _LAST_MONTH = 31, 12
_FEWEST_TICKS = 3
_PIECE = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)?")
_UNDERLINES = re.compile(r"[\W_]+")
_STRANGE = re.compile(r"[^\w\s!-/:-@\[-`{-~°±×÷·–—−‘’“”…、。]")  # noqa: RUF001 - signs that are read for others
"""Signs that no technical text has: a script that the recogniser does not know is read as such, and as digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderWords:
    """The tokens of one header, sorted by how they are compared."""

    identified_exact: frozenset[str] = field(repr=False)
    identified_fuzzy: tuple[str, ...] = field(repr=False)
    identified_short: frozenset[str] = field(default=frozenset(), repr=False)
    identified_dates: frozenset[tuple[int, int, int]] = field(default=frozenset(), repr=False)
    """Day, month and year in each order, the year with two digits and with four."""
    site_words: frozenset[str] = frozenset()
    """Words that are harmless at this site, normalised and without spaces; a word of the header never is."""

    @classmethod
    def of(cls, identified: IdentifiedTokens, site_words: Iterable[str] = ()) -> "HeaderWords":
        """Sort the tokens; ``site_words`` are what else is harmless at this site, as somebody typed it."""
        tokens = {normalised(token) for token in identified.tokens}
        return cls(
            identified_exact=frozenset(token for token in tokens if len(token) >= _SHORTEST_EXACT),
            identified_fuzzy=tuple(sorted(token for token in tokens if len(token) >= _SHORTEST_FUZZY)),
            identified_short=frozenset(token for token in tokens if len(token) < _SHORTEST_EXACT),
            identified_dates=frozenset(numbers for date in identified.dates for numbers in _spelled(date)),
            site_words=frozenset(_compact(normalised(word)) for word in site_words),
        )

    def has(self, word: str) -> bool:
        """Say whether a word of the picture is, or resembles, a token of the header."""
        if word in self.identified_exact:
            return True
        if len(word) < _SHORTEST_FUZZY or not self.identified_fuzzy:
            return False
        if len(word) == _SHORTEST_FUZZY or (word.isdecimal() and len(word) < _SHORTEST_FUZZY_NUMBER):
            # Three characters of four are found somewhere in every third header, and one that was misread in a name.
            return any(word in token or _is_alike(word, token) for token in self.identified_fuzzy)
        best = process.extractOne(
            word, self.identified_fuzzy, scorer=fuzz.partial_ratio, processor=None, score_cutoff=_SIMILARITY
        )
        return best is not None


def _is_alike(word: str, token: str) -> bool:
    """Say whether a short word is a whole token of the header, but for one letter."""
    is_name = word.isalpha() or token.isalpha()
    return is_name and abs(len(word) - len(token)) <= 1 and fuzz.ratio(word, token) >= _SIMILARITY_OF_SHORT


def normalised(text: str) -> str:
    """Casefold, make full-width forms narrow and strip accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character)).strip()


def is_evident(identified_text: str, header: HeaderWords) -> bool:
    """Say whether a text identifies by what it is, a date or a number or a word of the header, not by being unknown."""
    if is_of_header(identified_text, header):
        return True
    text = _with_window_repaired(normalised(identified_text))
    return any(_PATTERNS.search(one) for one in (text, _with_digits_repaired(text)))


def is_of_header(identified_text: str, header: HeaderWords) -> bool:
    """Say whether a text has a word or a date of the header."""
    text = normalised(identified_text)
    words = [_compact(word) for word in (*text.split(), *_PIECE.findall(text), _compact(text))]
    if any(header.has(word) or _is_short_name_of(word, header) for word in words):
        return True
    return _has_date_of(_with_digits_repaired(text), header)


def _with_window_repaired(text: str) -> str:
    found = _WINDOW.fullmatch(text)
    return f"w {found[1]} l {found[2]}" if found and not _YEAR.fullmatch(found[1]) else text


def _spelled(date: str) -> Iterator[tuple[int, int, int]]:
    if len(date) != _DATE_DIGITS or not date.isdecimal():
        return
    whole, month, day = int(date[:4]), int(date[4:6]), int(date[6:])
    for year in (whole, whole % 100):
        yield from ((day, month, year), (month, day, year), (year, month, day))


def _with_digits_repaired(text: str) -> str:
    """Return the text with letters as the digits that they look like, where nothing but a number or date comes out."""

    def repaired(found: re.Match[str]) -> str:
        meant = found.group().translate(_MISREAD)
        is_setting = _LETTER_AND_VALUE.fullmatch(found.group())
        return meant if _DIGITS_AND_SIGNS.fullmatch(meant) and not is_setting else found.group()

    return _WITH_DIGITS.sub(repaired, text)


def _has_date_of(text: str, header: HeaderWords) -> bool:
    """Say whether three numbers in a row are a date of the header, whatever stands between them."""
    numbers = [int(number) for number in _NUMBER.findall(text)]
    return any(three in header.identified_dates for three in zip(numbers, numbers[1:], numbers[2:], strict=False))


def _is_short_name_of(word: str, header: HeaderWords) -> bool:
    """Say whether a word of two letters is a name of the header ("Li", "Wu"); markers of positions are none."""
    return len(word) == _SHORT_NAME and word.isalpha() and word in header.identified_short and word not in MARKERS


def letters_of(identified_text: str) -> str:
    """Return the letters and digits of a text, normalised; dashes and ticks are none."""
    return _compact(normalised(identified_text))


def classify(identified_text: str, header: HeaderWords) -> TextClass:
    """Class one line of legible text.

    SAFE is what consists of known words and numbers alone, once misread letters are taken for what they look like, and
    what of it could be a name, a date or a record's number is not. UNREADABLE stands for text too short to say: two
    characters that are no known marker.
    """
    text = _with_window_repaired(normalised(identified_text))
    compact = _compact(text)
    if len(compact) <= 1:
        return TextClass.IDENTIFYING if _is_short_name(compact, header) else TextClass.SAFE
    if is_evident(identified_text, header) or _has_day_and_month(text):
        return TextClass.IDENTIFYING
    if text in DIRECTIONS:
        return TextClass.SAFE
    is_of_site = compact in header.site_words
    terms = (compact,) if is_of_site else terms_of(text, header.site_words)
    is_strange = not is_of_site and len(compact) >= _UNKNOWN_WORD and _STRANGE.search(text) is not None
    if terms is not None and not is_strange and _is_harmless(terms, header):
        return TextClass.SAFE
    return TextClass.IDENTIFYING if len(compact) >= _UNKNOWN_WORD else TextClass.UNREADABLE


def _compact(text: str) -> str:
    return _UNDERLINES.sub("", text)


def _is_short_name(letter: str, header: HeaderWords) -> bool:
    """Say whether one letter is a whole name: ideographs are, and L and R never."""
    return not letter.isascii() and letter in header.identified_short


def _is_harmless(terms: Terms, header: HeaderWords) -> bool:
    words = [term for term in terms if not is_number(term)]
    if any(header.has(word) for word in words) or _may_be_a_date(terms):
        return False
    if not words:
        return _are_ticks(terms)
    if len(words) < len(terms):
        return True
    # Words alone. One may be the label of a value that stands elsewhere; two could be family and given name.
    if any(word in header.identified_short and word not in MARKERS for word in words):
        return False
    return len(words) == 1 or not all(word in NAME_LIKE or len(word) == 1 for word in words)


def _may_be_a_date(terms: Terms) -> bool:
    """Say whether numbers in a row could be day, month and year, or one of them is a year that is no setting."""
    for before, term in zip(("", *terms), terms, strict=False):
        if _YEAR.fullmatch(re.split("[.,]", term)[0]) and before not in _KEYS_OF_LARGE_NUMBERS:
            return True
    if len(terms) > _FEWEST_TICKS and all(map(is_number, terms)) and is_even(terms):
        return False
    return any(_is_date(three) for three in zip(terms, terms[1:], terms[2:], strict=False))


def _is_date(three: Terms) -> bool:
    if not all(term.isdecimal() for term in three):
        return False
    for year, others in ((three[2], three[:2]), (three[0], three[1:])):
        small, large = sorted(map(int, others))
        if len(year) in {2, 4} and 1 <= small <= _LAST_MONTH and large <= _LAST_DAY:
            return True
    return False


def _has_day_and_month(text: str) -> bool:
    """Say whether two digits, a point and two digits could be a day and a month, and are no value of a setting."""
    for before, first, second, behind in _DAY_AND_MONTH.findall(text):
        small, large = sorted((int(first), int(second)))
        if 1 <= small <= _LAST_MONTH and large <= _LAST_DAY and before not in SETTINGS and behind not in UNITS:
            return True
    return False


def _are_ticks(numbers: Terms) -> bool:
    """Say whether bare numbers are those of a scale: a few digits, or numbers in even steps."""
    digits = sum(character.isdigit() for number in numbers for character in number)
    return digits <= _LONGEST_NUMBER_RUN or is_even(numbers)


def is_even(numbers: Terms) -> bool:
    """Say whether three numbers or more go on in even steps, as those of a scale do."""
    if len(numbers) < _FEWEST_TICKS or any(number.startswith("0") and len(number) > 1 for number in numbers):
        return False
    values = [float(number.replace(",", ".")) for number in numbers]
    steps = {round(after - before, 3) for before, after in pairwise(values)}
    return len(steps) == 1 and steps != {0}
