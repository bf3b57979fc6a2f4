"""Names of folders and files that may be passed on: people call files after patients, numbers and dates."""

import re
from pathlib import PurePath, PurePosixPath

from deidentify.dictionary import registered_uids
from deidentify.own_words import OwnWords
from deidentify.pseudonyms import PseudonymScope
from deidentify.text import clean_text
from deidentify.vocabulary import folded, is_known_word, words_of

__all__ = ["IdentifiedForms", "SafeNames"]

_UID = re.compile(r"\d{1,39}(?:\.\d{1,39}){3,}", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}", re.ASCII)
_LONG_NUMBER = re.compile(r"\d{5}")
_PIECE = re.compile(r"[^\W\d_]+|\d+")
_SHORTEST_NUMBER = 3
_DATE = re.compile(
    r"\d[ _-]+\d{1,4}[ _-]+\d|\d[ _-]*(?:jan|feb|m[aä]r|apr|ma[iy]|ju[nl]|aug|sep|o[ck]t|nov|de[cz])"
    r"|(?:jan|feb|m[aä]r|apr|ma[iy]|ju[nl]|aug|sep|o[ck]t|nov|de[cz])[a-z]*[ _-]*\d",
    re.IGNORECASE,
)
"""Three numbers in a row, or a month beside a number: dates are written in more ways than one can list."""
_MEDIA = re.compile(
    r"(?:im|img|image|i|se|ser|series|s|st|stu|study|pa|pat|patient|sl|slice|f|file|fr|frame|v|vol|ct|mr|us|cr|dx|xa|z)"
    r"[ _-]?(\d{1,8})",
    re.ASCII | re.IGNORECASE,
)
"""How media, viewers and devices number files: the letters say nothing, and the number only a place in a row."""
_EXTENSIONS = frozenset((".dcm", ".dicom", ".dic", ".ima", ".img"))
_MOST_ZEROS = re.compile(r"0*\d{1,4}")


class IdentifiedForms:
    """The words of the identifiers of some files, and the forms in which names have them."""

    def __init__(self, identified_words: frozenset[str]) -> None:
        self.own = OwnWords(identified_words)
        self._forms = {"".join(_pieces(word)) for word in identified_words}
        numbers = (number for word in identified_words for number in re.findall(r"\d+", word))
        self._forms |= {number.lstrip("0") for number in numbers if len(number) >= _SHORTEST_NUMBER}

    def are_in(self, name: str) -> bool:
        """Tell whether pieces that stand together are an identifier: "PAT 0123" is "pat123"."""
        pieces = _pieces(folded(name))
        return any(
            "".join(pieces[start:stop]) in self._forms
            for start in range(len(pieces))
            for stop in range(start + 1, len(pieces) + 1)
        )


class SafeNames:
    """The names in one case: UIDs become its UIDs, known words and numbers of media stay, others get a stand-in.

    Parameters
    ----------
    scope
        The case, so that a name is the same all over it and in no other.
    forms
        The identifiers of all files; a name with one of them never stays.
    """

    def __init__(self, scope: PseudonymScope, forms: IdentifiedForms) -> None:
        self._scope = scope
        self._forms = forms

    def path(self, identified_path: PurePath) -> PurePosixPath:
        """Return the path of a file, as deep as it was, with names that may be passed on, ending with ``.dcm``."""
        folders = [self._name(part) for part in identified_path.parts[:-1]]
        last = identified_path.name
        stem = last[: -len(identified_path.suffix)] if identified_path.suffix.lower() in _EXTENSIONS else last
        return PurePosixPath(*folders, f"{self._name(stem)}.dcm")

    def _name(self, name: str) -> str:
        if _UID.fullmatch(name):
            return name if name in registered_uids() else self._scope.uid(name)
        return name if self._may_stay(name) else self._scope.label(name)

    def _may_stay(self, name: str) -> bool:
        if not _PLAIN.fullmatch(name) or _DATE.search(name) or self._forms.are_in(name):
            return False
        numbered = _MEDIA.fullmatch(name)
        if numbered:
            return _MOST_ZEROS.fullmatch(numbered[1]) is not None
        words = name.lstrip("0") if name.isdigit() else re.sub("[_-]+", " ", name)
        if _LONG_NUMBER.search(name) or clean_text(words, self._forms.own)[1]:
            return False
        # A folder is often called after a patient: here a word that is none of medicine is taken for a name.
        return all(not word.isalpha() or is_known_word(word, general=False) for word in words_of(words))


def _pieces(word: str) -> list[str]:
    """Return the letters and the numbers of a folded word by themselves, numbers without leading zeros."""
    return [piece.lstrip("0") or "0" if piece.isdigit() else piece for piece in _PIECE.findall(word)]
