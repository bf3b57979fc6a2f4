"""What a piece of recognised text is taken for. Whatever is not known to be harmless identifies."""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from rapidfuzz import fuzz, process

from deidentify.identity import IdentifiedTokens
from deidentify.pixels.vocabulary import MARKERS, VOCABULARY
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
_PIECE = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)?")
_UNDERLINES = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderWords:
    """The tokens of one header, sorted by how they are compared."""

    identified_exact: frozenset[str] = field(repr=False)
    identified_fuzzy: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, identified: IdentifiedTokens) -> "HeaderWords":
        """Keep the tokens that are long enough to mean something when they are met in pixels."""
        tokens = {normalised(token) for token in identified.tokens}
        return cls(
            identified_exact=frozenset(token for token in tokens if len(token) >= _SHORTEST_EXACT),
            identified_fuzzy=tuple(sorted(token for token in tokens if len(token) >= _SHORTEST_FUZZY)),
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
    compact = _UNDERLINES.sub("", text)
    words = [*text.split(), *_PIECE.findall(text), compact]
    return bool(_PATTERNS.search(text)) or any(header.has(_UNDERLINES.sub("", word)) for word in words)


def is_one_letter(identified_text: str) -> bool:
    """Say whether a text is one letter or digit; dashes and ticks are none."""
    return len(_UNDERLINES.sub("", normalised(identified_text))) == 1


def classify(identified_text: str, header: HeaderWords) -> TextClass:
    """Class one line of legible text.

    UNREADABLE stands for text too short to say: two characters that are no known marker.
    """
    text = normalised(identified_text)
    compact = _UNDERLINES.sub("", text)
    if len(compact) <= 1:
        return TextClass.SAFE
    if is_evident(identified_text, header):
        return TextClass.IDENTIFYING
    pieces = _PIECE.findall(text)
    if _is_harmless(tuple(pieces)):
        return TextClass.SAFE
    return TextClass.IDENTIFYING if len(compact) >= _UNKNOWN_WORD else TextClass.UNREADABLE


@lru_cache(maxsize=1)
def _glue_words() -> tuple[str, ...]:
    return tuple(sorted((word for word in MARKERS if len(word) > 1), key=len, reverse=True))


def _is_harmless(pieces: tuple[str, ...]) -> bool:
    numbers = [piece for piece in pieces if piece[0].isdigit()]
    letters = [piece for piece in pieces if not piece[0].isdigit()]
    if not all(piece in VOCABULARY or _is_glued(piece) for piece in letters):
        return False
    if letters:
        return True
    # Bare numbers are ticks of a scale; several long ones, or a year, could be a number of the patient's.
    digits = sum(character.isdigit() for number in numbers for character in number)
    return not any(_YEAR.fullmatch(number) for number in numbers) and (
        len(numbers) == 1 or digits <= _LONGEST_NUMBER_RUN
    )


def _is_glued(piece: str) -> bool:
    """Say whether a word is a row of markers without spaces, with one side letter at most ("rmlo", "aperect")."""
    for rest in (
        piece,
        piece.removeprefix("l"),
        piece.removeprefix("r"),
        piece.removesuffix("l"),
        piece.removesuffix("r"),
    ):
        if len(rest) > 1 and _splits(rest):
            return True
    return False


def _splits(rest: str) -> bool:
    return not rest or any(rest.startswith(word) and _splits(rest[len(word) :]) for word in _glue_words())
