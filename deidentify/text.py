"""Free text: words of a closed vocabulary stay, everything else goes (PS3.15 §E.3.5 Clean Descriptors).

Nothing in here decides by guessing what is a name: a word stays only when it is known to name no person, and goes even
then when it is part of this patient's own name or IDs.
"""

import re
import unicodedata
from functools import cache
from importlib.resources import files

_SPLIT = re.compile(r"[^\W_]+(?:[*+]|/o(?!\w))?", re.UNICODE)
_UNITS = (
    "mm|cm|m|ml|s|sec|ms|min|hz|khz|mhz|kv|kvp|ma|mas|kev|gy|mgy|mbq|hu|mg|g|kg|d|x|ch|t|w|y|deg|fps|nm|um|b|e|p"
    "|th|st|nd|rd"
)
_NUMBER = re.compile(rf"\d{{1,4}}(?:{_UNITS})?|[txbfhivlcspngmk]\d{{1,4}}[fshrt]?", re.ASCII)
_TECHNICAL = re.compile(r"(?=\D*\d)(?!.*\d{5})[a-z0-9*]{1,12}", re.ASCII)
_YEAR = re.compile(r"(?:1[89]|20|21)\d\d", re.ASCII)

# Three numbers like a date or a time, a long run of digits, a telephone number, an address in a mail or on the web.
_PATTERN = re.compile(
    r"\d{1,4}\s?[./\-:]\s?\d{1,2}\s?[./\-:]\s?\d{1,4}(?![.\d])|\d[\d\s()/.-]{6,}\d|\S+@\S+|\b(?:https?|www)\S+|\d{1,2}\.\d{1,2}\.\d{2,4}",
    re.ASCII,
)

# Dates with other separators, and who is named by a title.
_ODD_DATE = re.compile(r"(?<![^\W_])\d{1,4}_\d{1,2}_\d{1,4}(?![^\W_])", re.ASCII)
_TITLED = re.compile(
    r"\b(?:(?:[Dd]r|[Pp]rof|PROF|[Mm]rs|MRS|Mr|Ms|[Mm]iss|[Hh]errn?|[Ff]rau|[Mm]me|[Dd]octor|[Pp]rofessor)\b[.\s^]*)+"
    r"(?:[^\W\d_][.]\s*)*[^\W\d_][\w'-]*",
)

# What is neither a word nor punctuation: bytes that the character set does not explain, or that switch it.
_STRANGE = re.compile(
    r"[^\x20-\x7e\t\n\r\f\u00b0-\u00b3\u00b7\u00d7\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u2264\u2265]"
)
_RUN = re.compile(r"[^\W\d_]+|\d+")
_LONGEST_CODE_LETTERS = 4
"""Letters in a row of a technical code such as Br40f or tfl3d1; a name with a number behind it has more."""
_LONG_CODE_LETTERS = frozenset(("epfid", "isoft", "bedge"))

# Software versions look like telephone numbers, so technical text is only searched for dates.
_DATE_PATTERN = re.compile(r"\b\d{1,2}[./-]\d{1,2}[./-]\d{4}\b|\b\d{4}-\d{2}-\d{2}\b|\S+@\S+", re.ASCII)


def folded(text: str) -> str:
    """Return the text as it is compared: no case, no accents, compatibility forms resolved."""
    if text.isascii():
        return text.casefold()
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if not unicodedata.combining(character))


@cache
def vocabulary() -> frozenset[str]:
    """Return the words that name no person, folded."""
    return words_in("vocabulary.txt")


@cache
def prose() -> frozenset[str]:
    """Return the words that running text may have beside the vocabulary, folded."""
    return words_in("prose.txt")


def words_in(table: str) -> frozenset[str]:
    """Return the words of a table, folded; lines that begin with # are remarks."""
    text = files("deidentify.tables").joinpath(table).read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    words: set[str] = set()
    for line in lines:
        for word in line.split():
            words.add(folded(word))
            words.update(folded(part) for part in re.split(r"[-/_]", word) if len(part) > 1 and not part.isdigit())
    return frozenset(words)


def words_of(text: str) -> list[str]:
    """Return the folded words of a text."""
    return [match.group() for match in _SPLIT.finditer(folded(text))]


def is_known_word(word: str, *, technical: bool = False) -> bool:
    """Tell whether a folded word names no person: in the vocabulary, or a short number or technical code."""
    known = vocabulary()
    bare = word.rstrip("*+")
    if word in known or bare in known:
        return True
    if _YEAR.fullmatch(bare):
        return False
    if _NUMBER.fullmatch(bare):
        return True
    if technical and _TECHNICAL.fullmatch(word):
        return is_code_like(word)
    return len(bare) > 4 and bare.endswith("s") and bare[:-1] in known  # noqa: PLR2004 - plural of a known word


def is_code_like(text: str) -> bool:
    """Tell whether a text has no letters in a row that could be a name."""
    return all(
        run.isdigit() or len(run) <= _LONGEST_CODE_LETTERS or run in vocabulary() or run in _LONG_CODE_LETTERS
        for run in _RUN.findall(folded(text))
    )


def _is_own(word: str, own: frozenset[str]) -> bool:
    """Tell whether a word, or its letters or digits alone, are this patient's ("Lee57")."""
    return word in own or word.rstrip("*+") in own or not own.isdisjoint(_RUN.findall(word))


def clean_text(
    text: str, own: frozenset[str], *, technical: bool = False, known: frozenset[str] = frozenset()
) -> tuple[str, int]:
    """Return the text with only its safe words, and how many words went.

    Parameters
    ----------
    text
        Decoded value, without padding.
    own
        Folded words of this patient's own identifiers; they go whatever the vocabulary says.
    technical
        Whether short codes with digits, such as kernel or coil names, may stay.
    known
        Folded words that may stay beside those of the vocabulary.
    """
    removed = 0
    masked, hits = (_DATE_PATTERN if technical else _PATTERN).subn(" ", text)
    removed += hits
    for pattern in (_ODD_DATE, _TITLED):
        masked, hits = pattern.subn(" ", masked)
        removed += hits
    result: list[str] = []
    last = 0
    for match in re.finditer(r"[^\W_]+(?:[*+]|/o(?!\w))?", masked):
        between, hits = _STRANGE.subn(" ", masked[last : match.start()])
        removed += hits
        result.append(between)
        last = match.end()
        word = folded(match.group())
        # One letter with an accent is what bytes of another character set look like.
        is_letter = len(match.group()) > 1 or match.group().isascii()
        is_known = word in known or is_known_word(word, technical=technical)
        if is_letter and is_known and not _is_own(word, own):
            result.append(match.group())
        else:
            removed += 1
    between, hits = _STRANGE.subn(" ", masked[last:])
    removed += hits
    result.append(between)
    if not removed:
        return text, 0
    return _tidied("".join(result)), removed


def _tidied(text: str) -> str:
    """Return the text without the punctuation that stood around removed words."""
    lines = []
    for line in text.splitlines():
        pieces = [piece for piece in line.split() if any(character.isalnum() for character in piece)]
        lines.append(" ".join(piece.strip("^_=;:,'\"\\~|") for piece in pieces))
    return "\r\n".join(line for line in lines if line)
