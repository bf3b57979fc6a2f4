"""What a piece of recognised text is taken for. Whatever is not known to be harmless identifies."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from rapidfuzz import fuzz, process

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.technical import Terms, is_number, terms_of
from deidentify.pixels.vocabulary import MARKERS, NAME_LIKE
from deidentify.results import TextClass

_SIMILARITY = 85
_SHORTEST_FUZZY = 4
_SHORTEST_EXACT = 3
_LONGEST_NUMBER_RUN = 5
_UNKNOWN_WORD = 3
_PATTERNS = re.compile(
    r"\d\s*/\s*\d"  # any date or fraction with a slash
    r"|\d{5,}"
    r"|\d{1,2}\s*:\s*\d{2}"  # time
    r"|\d{1,4}\s*[.\-年]\s*\d{1,2}\s*[.\-月]\s*\d{1,4}"  # date
    r"|\d{1,2}\W{0,2}(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|okt|dez)"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mai|okt|dez)[a-z]*\W{0,2}\d"
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_KEYS_OF_LARGE_NUMBERS = frozenset(("tr", "te", "ti", "w", "ww", "wl", "wc"))
"""Settings whose value may look like a year."""
_LAST_DAY, _LAST_MONTH = 31, 12
_FEWEST_TICKS = 3
_PIECE = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)?")
_UNDERLINES = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderWords:
    """The tokens of one header, sorted by how they are compared."""

    identified_exact: frozenset[str] = field(repr=False)
    identified_fuzzy: tuple[str, ...] = field(repr=False)
    identified_short: frozenset[str] = field(default=frozenset(), repr=False)
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
            site_words=frozenset(_compact(normalised(word)) for word in site_words),
        )

    def has(self, word: str) -> bool:
        """Say whether a word of the picture is, or resembles, a token of the header."""
        if word in self.identified_exact:
            return True
        if len(word) < _SHORTEST_FUZZY or not self.identified_fuzzy:
            return False
        best = process.extractOne(
            word, self.identified_fuzzy, scorer=fuzz.partial_ratio, processor=None, score_cutoff=_SIMILARITY
        )
        return best is not None


def normalised(text: str) -> str:
    """Casefold, make full-width forms narrow and strip accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character)).strip()


def is_evident(identified_text: str, header: HeaderWords) -> bool:
    """Say whether a text identifies by what it is, a date or a number or a word of the header, not by being unknown."""
    text = normalised(identified_text)
    compact = _compact(text)
    words = [*text.split(), *_PIECE.findall(text), compact]
    return bool(_PATTERNS.search(text)) or any(header.has(_compact(word)) for word in words)


def is_one_letter(identified_text: str) -> bool:
    """Say whether a text is one letter or digit; dashes and ticks are none."""
    return len(_compact(normalised(identified_text))) == 1


def classify(identified_text: str, header: HeaderWords) -> TextClass:
    """Class one line of legible text.

    SAFE is what consists of known words and numbers alone, once misread letters are taken for what they look like, and
    what of it could be a name, a date or a record's number is not. UNREADABLE stands for text too short to say: two
    characters that are no known marker.
    """
    text = normalised(identified_text)
    compact = _compact(text)
    if len(compact) <= 1:
        return TextClass.IDENTIFYING if _is_short_name(compact, header) else TextClass.SAFE
    if is_evident(identified_text, header):
        return TextClass.IDENTIFYING
    terms = (compact,) if compact in header.site_words else terms_of(text, header.site_words)
    if terms is not None and _is_harmless(terms, header):
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
        if _YEAR.fullmatch(term) and before not in _KEYS_OF_LARGE_NUMBERS:
            return True
    if len(terms) > _FEWEST_TICKS and all(map(is_number, terms)) and _is_even(terms):
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


def _are_ticks(numbers: Terms) -> bool:
    """Say whether bare numbers are those of a scale: one, a few digits, or numbers in even steps."""
    digits = sum(character.isdigit() for number in numbers for character in number)
    return len(numbers) == 1 or digits <= _LONGEST_NUMBER_RUN or _is_even(numbers)


def _is_even(numbers: Terms) -> bool:
    if len(numbers) < _FEWEST_TICKS or any(number.startswith("0") and len(number) > 1 for number in numbers):
        return False
    values = [float(number.replace(",", ".")) for number in numbers]
    steps = {round(after - before, 3) for before, after in pairwise(values)}
    return len(steps) == 1 and steps != {0}
