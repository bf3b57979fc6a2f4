"""Code strings word by word: the words of defined terms stay, a name that is a legal code string does not (PS3.5 §6.2).

Values of this VR look harmless, and nothing but the Standard's lists of terms keeps "SMITH" out of Body Part Examined.
"""

import re
from functools import cache

from deidentify.vocabulary import is_code_like, is_known_word, prose, vocabulary, words_in

_SHORT = 3
"""Letters of a word that is taken for an abbreviation, unless it is the patient's own."""
_LONGEST = 16
_WORD, _WORDS = re.compile(r"[A-Z0-9]+"), re.compile(r"[A-Z0-9_]+")
NOTHING_LEFT = "UNKNOWN"


@cache
def code_terms() -> frozenset[str]:
    """Return the words of defined terms beside the vocabulary, folded."""
    return words_in("code_terms.txt")


@cache
def _everyday_names() -> frozenset[str]:
    return words_in("everyday_names.txt")


def may_stay(word: str, own: frozenset[str]) -> bool:
    """Tell whether a folded word of a code string is one of a term, and is not rather the patient's name."""
    if word in own:
        return word in code_terms() or (word in vocabulary() and word not in _everyday_names())
    if len(word) <= _SHORT or word in code_terms() or word in prose():
        return True
    return is_known_word(word, technical=True, general=False) or (not word.isalpha() and is_code_like(word))


def cleaned_code_string(value: bytes, own: frozenset[str]) -> tuple[bytes, int]:
    """Return a code string of several values without the words that are no terms, and how many those were.

    A value of which nothing is left becomes UNKNOWN where it has others beside it, so that these keep their places.
    """
    values = value.decode("ascii").split("\\")
    written, removed = [], 0
    for text in values:
        words = _WORD.findall(text)
        kept = [word for word in words if may_stay(word.casefold(), own)]
        removed += len(words) - len(kept)
        if len(kept) == len(words):
            written.append(text)
        elif kept:
            written.append(" ".join(kept))
        else:
            written.append(NOTHING_LEFT if len(values) > 1 else "")
    return "\\".join(written).encode(), removed


def legal_code_string(value: bytes) -> bytes:
    """Return what is left of a value, of which words went, as legal code strings (PS3.5 §6.2): capitals, 16 at most."""
    values = value.decode("latin-1").upper().split("\\")
    return "\\".join(" ".join(_WORDS.findall(text))[:_LONGEST].strip() for text in values).encode("ascii")
