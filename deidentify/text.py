"""Free text: words that name no person stay, everything else goes (PS3.15 §E.3.5 Clean Descriptors).

Nothing in here decides by guessing what is a name: a word stays only when it is known to name no person, and goes even
then when it is one of this patient's identifiers, or stands where a name stands. What went is told by its position.
"""

import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache

from deidentify.own_words import NOBODY, OwnWords
from deidentify.site_words import NO_WORDS, SiteWords
from deidentify.text_shapes import Reason, spans
from deidentify.vocabulary import folded, is_known_word, names_too, phrases, titles

__all__ = ["Reason", "Removal", "WentWord", "clean_text", "clean_values", "removals", "without"]

WentWord = tuple[int, str]
"""Number of a word in a value, counted from 0, and the reason why it went."""

_WORD = re.compile(r"[^\W_]+(?:[*+]|/[oO](?!\w))?")
_RUN = re.compile(r"[^\W\d_]+|\d+")
# What is neither a word nor punctuation: bytes that the character set does not explain, or that switch it.
_STRANGE = re.compile(
    r"[^\x20-\x7e\t\n\r\f\u00b0-\u00b3\u00b5\u00b7\u00ba\u00aa\u00d7\u2013\u2014\u2018\u2019\u201c\u201d\u2026\u2264\u2265\w]"
)
_MOST_TITLES = 16
"""Titles, initials and particles in a row before a name."""
_MOST_JOINED = 4
"""Words beside each other that may be one word, taken apart."""
_SIDES = frozenset("lr")
_ACCENTED = frozenset("\u00e0\u00e8\u00e9\u00f3")
"""Words of one letter with an accent."""
_DIGITS_OF_A_TOWN = 4
_IN_PHRASE = re.compile(r"[ _'\u2019-]{1,2}|\. ?")
_IN_NAME = re.compile(r"[ .:\t\u2019'^-]{1,4}")
_NEAR = re.compile(r"[ .,^='\u2019\t-]{1,3}")
_AFTER_INITIAL = re.compile(r"\.[ -]?")
_OF_ONE_NAME = re.compile(r"[ ]?[,^=-][ ]?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One piece of text that goes: from ``start`` to ``end``, and the number of its first word, from 0."""

    start: int
    end: int
    word: int
    reason: Reason


@dataclass(slots=True)
class _Token:
    start: int
    end: int
    word: str
    """Folded; empty for a piece that a pattern took."""
    written: str
    reason: Reason | None = None
    is_phrase: bool = False

    @property
    def is_name(self) -> bool:
        """Tell whether it went and may be a name."""
        if self.reason in {Reason.UNKNOWN, Reason.OWN}:
            return len(self.word) > 1 and self.word.isalpha()
        return self.reason is Reason.NAME


def removals(
    text: str, own: OwnWords | frozenset[str], *, technical: bool = False, site: SiteWords = NO_WORDS
) -> list[Removal]:
    """Return the pieces of a text that go, in order; nothing of a DICOM instance is needed.

    Parameters
    ----------
    text
        Decoded value, without padding.
    own
        This patient's own identifiers; they go whatever the vocabulary says.
    technical
        Whether short codes with digits, such as kernel or coil names, may stay.
    site
        Words and phrases of the site that may stay beside those of the vocabulary.
    """
    own = own if isinstance(own, OwnWords) else OwnWords(own)
    plain = _plain(text)
    taken = _merged(list(spans(plain, technical=technical)))
    tokens = _tokens(plain, taken)
    _judge_words(tokens, plain, own, site, technical=technical)
    _judge_neighbours(plain, tokens, own, technical=technical)
    found = [(token.start, token.end, token.reason) for token in tokens if token.reason is not None]
    if _STRANGE.search(plain):
        found += [
            (*match.span(), Reason.CHARACTER) for match in _STRANGE.finditer(plain) if not _is_in(match.start(), found)
        ]
        found.sort()
    if not found:
        return []
    starts = [match.start() for match in _WORD.finditer(plain)]
    return [Removal(start=start, end=end, word=bisect_left(starts, start), reason=why) for start, end, why in found]


def clean_text(
    text: str,
    own: OwnWords | frozenset[str] = NOBODY,
    *,
    technical: bool = False,
    site: SiteWords = NO_WORDS,
) -> tuple[str, int]:
    """Return the text with only its safe words, and how many pieces went; parameters as for ``removals``."""
    found = removals(text, own, technical=technical, site=site)
    return without(text, found), len(found)


def clean_values(
    text: str, own: OwnWords, *, technical: bool = False, site: SiteWords = NO_WORDS
) -> tuple[str, tuple[WentWord, ...]]:
    """Return a text of one or more values, cleaned, and which of its words went."""
    written, went, words = [], [], 0
    for piece in text.split("\\"):
        found = removals(piece, own, technical=technical, site=site)
        went += [(words + one.word, str(one.reason)) for one in found]
        written.append(without(piece, found))
        words += sum(1 for _ in _WORD.finditer(piece))
    return "\\".join(written), tuple(went)


def without(text: str, removed: list[Removal]) -> str:
    """Return a text without its removals, and without the punctuation that stood around them."""
    if not removed:
        return text
    pieces: list[str] = []
    last = 0
    for one in removed:
        pieces.append(text[last : one.start])
        if one.reason is not Reason.UNKNOWN and one.reason is not Reason.OWN:
            pieces.append(" ")
        last = max(last, one.end)
    return _tidied("".join((*pieces, text[last:])))


@cache
def _spaces() -> dict[int, str]:
    """Return what digits, dashes and spaces of other kinds stand for, character by character."""
    found = {ord(one): "-" for one in "\u2010\u2011\u2012\u2212\ufe63\uff0d"}
    found |= {ord(one): " " for one in "\u00a0\u2007\u2009\u202f\u3000"}
    return found | {0xFF0E: ".", 0xFF0F: "/", 0xFF20: "@", 0xFF1A: ":", 0x2044: "/", 0xFF3E: "^"}


def _plain(text: str) -> str:
    """Return a text of the same length with plain digits, dashes and spaces."""
    if text.isascii():
        return text
    digits = (str(unicodedata.digit(one, one)) if one.isdigit() and not one.isascii() else one for one in text)
    return "".join(digits).translate(_spaces())


def _is_in(position: int, pieces: list[tuple[int, int, Reason]]) -> bool:
    return any(start <= position < end for start, end, _ in pieces)


def _merged(pieces: list[tuple[int, int, Reason]]) -> list[tuple[int, int, Reason]]:
    """Return pieces in order, those that lie in each other as one."""
    merged: list[tuple[int, int, Reason]] = []
    for start, end, reason in sorted(pieces, key=lambda piece: (piece[0], -piece[1])):
        if merged and start < merged[-1][1]:
            first, last, why = merged[-1]
            merged[-1] = (first, max(last, end), why)
        else:
            merged.append((start, end, reason))
    return merged


def _tokens(plain: str, taken: list[tuple[int, int, Reason]]) -> list[_Token]:
    """Return the words of a text and the pieces that patterns took, in order; a word that one begins in goes whole."""
    tokens: list[_Token] = []
    waiting = iter(taken)
    piece = next(waiting, None)
    for match in _WORD.finditer(plain):
        start, end = match.span()
        while piece is not None and piece[1] <= start:
            tokens.append(_Token(piece[0], piece[1], "", "", piece[2]))
            piece = next(waiting, None)
        if piece is None or end <= piece[0]:
            written = match.group()
            tokens.append(_Token(start, end, folded(written), written))
        else:
            piece = (min(start, piece[0]), max(end, piece[1]), piece[2])
    if piece is not None:
        tokens.append(_Token(piece[0], piece[1], "", "", piece[2]))
    return tokens


def _judge_words(tokens: list[_Token], plain: str, own: OwnWords, site: SiteWords, *, technical: bool) -> None:
    """Decide each word by itself, and the words of phrases together."""
    ways, of_site, inside = phrases(), site.phrases, 0
    for at, token in enumerate(tokens):
        word = token.word
        if not word:
            continue
        if word in ways:
            inside = max(inside, at + _phrase_at(tokens, at, plain, ways[word]))
        if word in of_site:
            inside = max(inside, at + _phrase_at(tokens, at, plain, of_site[word]))
        token.is_phrase = at < inside
        bare = word.rstrip("*+")
        if own.names(bare) or (not bare.isalpha() and any(own.names(run) for run in _RUN.findall(word))):
            token.reason = Reason.OWN
        elif token.is_phrase or (word in site.words and _is_letter(token)) or _is_plain_letter(token, plain):
            continue
        elif not _is_letter(token) or not is_known_word(word, technical=technical):
            token.reason = Reason.OWN if own.names(bare, misspelled=True) else Reason.UNKNOWN
        elif word in names_too() and own.names(word, misspelled=True):
            token.reason = Reason.OWN


def _is_plain_letter(token: _Token, plain: str) -> bool:
    """Tell a letter by itself from an initial, which has a full stop or, as is looked at later, a name beside it."""
    return (
        len(token.written) == 1
        and token.written.isascii()
        and token.word.isalpha()
        and plain[token.end : token.end + 1] != "."
    )


def _is_letter(token: _Token) -> bool:
    """Tell a word from one letter with an accent, which is what bytes of another character set look like."""
    return len(token.written) > 1 or token.written.isascii() or token.written in _ACCENTED


def _phrase_at(tokens: list[_Token], at: int, plain: str, ways: frozenset[tuple[str, ...]]) -> int:
    """Return how many words of the longest phrase stand here."""
    longest = 0
    for way in ways:
        end = at + len(way)
        if (
            longest < len(way)
            and end <= len(tokens)
            and all(token.word == word for token, word in zip(tokens[at:end], way, strict=True))
            and all(_IN_PHRASE.fullmatch(plain, tokens[one].end, tokens[one + 1].start) for one in range(at, end - 1))
        ):
            longest = len(way)
    return longest


def _judge_neighbours(plain: str, tokens: list[_Token], own: OwnWords, *, technical: bool) -> None:
    """Take what stands where a name stands: behind titles, beside names and initials, or taken apart."""
    words = [token.word for token in tokens]
    if any(own.begins(word) for word in words):
        _join(tokens, own)
    if technical:
        return
    if not titles().isdisjoint(words):
        for at, token in enumerate(tokens):
            if token.word in titles():
                _judge_titled(plain, tokens, at)
    ambiguous = names_too()
    is_open = any(len(word) == 1 or word in ambiguous or word.isdigit() for word in words)
    while is_open:
        went = [_judge_neighbour(plain, tokens, at) for at in range(len(tokens))]
        is_open = any(went)


def _join(tokens: list[_Token], own: OwnWords) -> None:
    """Take words that are one of the patient's words in pieces."""
    for at, token in enumerate(tokens):
        joined = token.word
        if not joined or not own.begins(joined):
            continue
        for end in range(at + 1, min(at + _MOST_JOINED, len(tokens))):
            if not tokens[end].word:
                break
            joined += tokens[end].word
            if own.names(joined):
                for one in tokens[at : end + 1]:
                    one.reason = Reason.OWN


def _judge_titled(plain: str, tokens: list[_Token], at: int) -> None:
    """Take who is named behind a title."""
    title = tokens[at]
    has_dot = plain[title.end : title.end + 1] == "."
    if len(title.word) == 1 and not has_dot:
        return
    last = at
    for next_at in range(at + 1, min(at + _MOST_TITLES, len(tokens))):
        one = tokens[next_at]
        gap = plain[tokens[next_at - 1].end : one.start]
        if not _IN_NAME.fullmatch(gap) or (one.word and not one.word.isalpha()):
            break
        if one.word in titles() or one.word in titles("degree") or one.word in titles("particle") or len(one.word) == 1:
            has_dot = has_dot or (one.word in titles() and plain[one.end : one.end + 1] == ".")
            continue
        if _is_titled(title, one, has_dot=has_dot):
            last = next_at
        break
    if last > at:
        for one in tokens[at + (title.word in titles("label")) : last + 1]:
            one.reason = one.reason or Reason.NAME


def _is_titled(title: _Token, one: _Token, *, has_dot: bool) -> bool:
    """Tell whether a word behind a title looks like a name."""
    if one.word in titles("glue"):
        return False
    if title.word in titles("strong"):
        return not one.is_phrase
    if one.reason is not None:
        return one.is_name
    if title.word in titles("label"):
        return one.word in names_too(always=True)
    if has_dot and not one.is_phrase:
        return True
    return one.word in names_too(always=True) or (
        title.written.istitle() and one.written.istitle() and len(title.word) > 1
    )


def _judge_neighbour(plain: str, tokens: list[_Token], at: int) -> bool:
    """Tell whether a word goes for what stands beside it, and take it."""
    one = tokens[at]
    if one.reason is not None or not one.word or (one.is_phrase and len(one.word) > 1):
        return False
    if len(one.word) == 1 and one.word.isalpha():
        goes = _is_initial(plain, tokens, at)
    elif one.word.isdigit():
        goes = len(one.word) == _DIGITS_OF_A_TOWN and at + 1 < len(tokens) and tokens[at + 1].is_name
    elif one.word in names_too():
        goes = _is_beside_a_name(plain, tokens, at, is_plain=one.word in names_too(always=True))
    else:
        return False
    if goes:
        one.reason = Reason.NAME
    return goes


def _is_initial(plain: str, tokens: list[_Token], at: int) -> bool:
    """Tell whether one letter, but for the sides, stands beside a name."""
    one = tokens[at]
    if one.word in _SIDES and plain[one.end : one.end + 1] != ".":
        return False
    return any(other.is_name and _NEAR.fullmatch(plain, *gap) for other, gap in _beside(tokens, at))


def _is_beside_a_name(plain: str, tokens: list[_Token], at: int, *, is_plain: bool) -> bool:
    """Tell whether a word that is also a name stands beside one; a part of the body needs more than a space."""
    before = tokens[at - 1] if at else tokens[at]
    is_initial = len(before.word) == 1 and before.word.isalpha() and (is_plain or before.word not in _SIDES)
    if is_initial and _AFTER_INITIAL.fullmatch(plain, before.end, tokens[at].start):
        return True
    pattern = _NEAR if is_plain else _OF_ONE_NAME
    return any(other.is_name and pattern.fullmatch(plain, *gap) for other, gap in _beside(tokens, at))


def _beside(tokens: list[_Token], at: int) -> list[tuple[_Token, tuple[int, int]]]:
    """Return the neighbours of a word, each with the gap between."""
    found = []
    if at > 0:
        found.append((tokens[at - 1], (tokens[at - 1].end, tokens[at].start)))
    if at + 1 < len(tokens):
        found.append((tokens[at + 1], (tokens[at].end, tokens[at + 1].start)))
    return found


def _tidied(text: str) -> str:
    """Return the text without the punctuation that stood around removed words."""
    lines = []
    for line in text.splitlines():
        pieces = [piece for piece in line.split() if any(character.isalnum() for character in piece)]
        lines.append(" ".join(piece.strip("^_=;:,'\"\\~|") for piece in pieces))
    return "\r\n".join(line for line in lines if line)
