"""What judging one case found out, kept for the case's next instance and forgotten when another case begins.

The slices of a series say the same things about the same patient. Everything in here is identified or derived from it:
it stays in the process that reads the spool, and is bounded.
"""

from typing import TYPE_CHECKING, Generic, TypeVar

from deidentify.own_words import OwnWords
from deidentify.pseudonyms import PseudonymScope

if TYPE_CHECKING:
    from deidentify.charsets import Charset
    from deidentify.dataset import Element
    from deidentify.identity import IdentifiedTokens, NamedValue
    from deidentify.text import WentWord
    from deidentify.verify import Patterns

MOST = 20_000
"""Entries of each kind: a case has some hundreds; a file that is made to fill the memory has as many as it likes."""
LONGEST = 256
"""Bytes of a value that is worth remembering."""

K = TypeVar("K")
V = TypeVar("V")


class Bounded(dict[K, V], Generic[K, V]):
    """A dictionary that begins anew when it is full."""

    def keep(self, key: K, value: V) -> V:
        """Remember a value and return it."""
        if len(self) >= MOST:
            self.clear()
        self[key] = value
        return value


class Judged:
    """Judgements that hold for one set of the patient's own words."""

    def __init__(self, own: frozenset[str]) -> None:
        self.own = OwnWords(own)
        self.texts: Bounded[tuple[bytes, Charset, bool], tuple[bytes, tuple[WentWord, ...], bool]] = Bounded()
        """Value, character set, technical → what stays, which words went, whether a word stays."""
        self.codes: Bounded[tuple[object, ...], list[Element] | None] = Bounded()
        """Content of a code item and its character set → the cleaned item; None where it may stay as it is."""
        self.labels: Bounded[tuple[bytes, Charset], str] = Bounded()
        """Value and character set of a label → what stands for it; empty where it may stay."""
        self.strings: Bounded[bytes, bool] = Bounded()
        """Value of a code string → whether it may stay."""
        self.terms: Bounded[bytes, tuple[bytes, int]] = Bounded()
        """Value of a code string → what stays, how many words went."""


class CaseMemory:
    """The memory of one case; ``scope`` is the one that remembers its UIDs."""

    def __init__(self, scope: PseudonymScope) -> None:
        self.scope = scope
        self.names: Bounded[tuple[NamedValue, ...], IdentifiedTokens] = Bounded()
        self.uids: Bounded[tuple[bytes, bool], tuple[bytes, int]] = Bounded()
        """Value and whether it is structural → what is written, how many UIDs were replaced."""
        self.dates: Bounded[tuple[bytes, str, int], tuple[bytes, tuple[str, ...]]] = Bounded()
        """Value, VR and days → what is written and the dates in it."""
        self.patterns: Bounded[tuple[object, ...], Patterns] = Bounded()
        self._judged: Bounded[frozenset[str], Judged] = Bounded()

    def judged(self, own: frozenset[str]) -> Judged:
        """Return the judgements under these own words."""
        found = self._judged.get(own)
        return self._judged.keep(own, Judged(own)) if found is None else found
