"""The words of one patient's identifiers, found in text in whatever way they are spelled."""

from deidentify.spellings import shortened, spellings

_SHORTEST_TO_MISSPELL = 5
"""Letters of a word in which a wrong one leaves the word telling."""
_LONGEST_TO_MISSPELL = 64
"""Letters of the longest word in which mistakes are looked for, as long as a name may be (PS3.5 §6.2, PN)."""
_SHORTEST_NUMBER = 4


class OwnWords:
    """What text of one patient may not have. Everything in here is identified."""

    def __init__(self, identified_words: frozenset[str]) -> None:
        self.words = identified_words
        forms = {form for word in identified_words for form in _forms(word)}
        self._forms = frozenset(form for form in forms if len(form) >= (_SHORTEST_NUMBER if form.isdigit() else 2))
        self._near = frozenset(form for word in self._forms for form in _near_forms(word))
        self.beginnings = frozenset(form[:length] for form in self._forms for length in range(1, len(form)))
        """What they begin with: for words taken apart."""

    def names(self, word: str, *, misspelled: bool = False) -> bool:
        """Tell whether a folded word is one of them, in any transcription; ``misspelled`` allows for one mistake."""
        if word in self.words:
            return True
        forms = _forms(word)
        if any(form in self._forms for form in forms):
            return True
        return misspelled and any(not self._near.isdisjoint(_near_forms(form)) for form in forms)

    def begins(self, word: str) -> bool:
        """Tell whether one of them begins with a folded word."""
        return any(form in self.beginnings for form in _forms(word))


def _forms(word: str) -> tuple[str, ...]:
    """Return the forms that all transcriptions of a word share ("Müller", "Mueller"); numbers without zeros."""
    if word.isdigit():
        return (word.lstrip("0"),)
    return tuple(form.replace("ae", "a").replace("oe", "o").replace("ue", "u") for form in spellings(word))


def _near_forms(form: str) -> frozenset[str]:
    """Return forms of which two words share one when one mistake lies between them."""
    if not _SHORTEST_TO_MISSPELL <= len(form) <= _LONGEST_TO_MISSPELL or not form.isalpha():
        return frozenset()
    return frozenset((form, *(short for _, short in shortened(form))))


NOBODY = OwnWords(frozenset())
