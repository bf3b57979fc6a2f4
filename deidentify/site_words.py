"""Words and phrases of one site that name nobody there: its protocols, its rooms' abbreviations."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deidentify.vocabulary import words_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteWords:
    """What text may keep beside the vocabulary. This patient's own words go all the same."""

    words: frozenset[str] = frozenset()
    """Folded."""
    phrases: Mapping[str, frozenset[tuple[str, ...]]] = field(default_factory=dict)
    """First word → phrases of folded words; their words stay in them alone."""

    @classmethod
    def of(cls, entries: Iterable[str]) -> "SiteWords":
        """Sort entries into words and phrases."""
        words: set[str] = set()
        phrases: dict[str, set[tuple[str, ...]]] = {}
        for entry in entries:
            parts = tuple(words_of(entry))
            if len(parts) == 1:
                words.add(parts[0])
            elif parts:
                phrases.setdefault(parts[0], set()).add(parts)
        return cls(words=frozenset(words), phrases={first: frozenset(ways) for first, ways in phrases.items()})

    def __or__(self, other: "SiteWords") -> "SiteWords":
        """Return the words of both."""
        firsts = {*self.phrases, *other.phrases}
        empty: frozenset[tuple[str, ...]] = frozenset()
        return SiteWords(
            words=self.words | other.words,
            phrases={first: self.phrases.get(first, empty) | other.phrases.get(first, empty) for first in firsts},
        )


NO_WORDS = SiteWords()
