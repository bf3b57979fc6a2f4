"""Technical text taken apart: markers, settings, units and numbers, with or without spaces, misread letters among them.

A word that is in no list makes the whole text unknown. A letter may stand for the digit that it looks like, and a digit
for a letter, where that makes a known word or a number out of the rest; never where the digits alone could be letters
of a name ("MA1", "L1M").
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import combinations

from rapidfuzz import fuzz

from deidentify.pixels.vocabulary import (
    BODY,
    MARKERS,
    NAME_LIKE,
    POSITIONS,
    PROJECTIONS,
    SEQUENCES,
    SETTINGS,
    UNITS,
    VOCABULARY,
)

_CHUNK = re.compile(r"[^\W_]+(?:[.,][^\W_]*\d[^\W_]*)*")
_RUN = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)?")
_LONGEST_NUMBER = 4
_LETTERS_OF = {"0": "o", "1": "il", "2": "z", "5": "s", "6": "g", "8": "b"}
_DIGITS_OF = {"o": "0", "q": "0", "d": "0", "i": "1", "l": "1", "s": "5", "b": "8", "z": "2", "g": "6"}
_MOST_MISREAD = 2
_SHORT_CHUNK, _LONGEST_CHUNK = 6, 24
_FEWEST_SURE_DIGITS = 3
_LOOK_LIKE_LETTERS = frozenset("012568")
_SINGLE = frozenset("wlrcsifphatm")
"""Letters that stand alone or beside a number: keys, directions and units."""
_NEVER_GLUED = frozenset(("lm", "ml"))
_BEHIND = frozenset("smtwlc")
_BETWEEN = frozenset("wlc")
"""Those of them that stand between two numbers ("w400l40")."""
_ALIKE = frozenset(
    frozenset(pair) for pair in ("nh", "mn", "it", "tl", "il", "ec", "ef", "co", "od", "uv", "hb", "pr", "oq", "vw")
)
_SHORTEST_ALIKE, _SHORTEST_ALIKE_TWICE = 5, 7
_NO_NAME = "mlo"
"""Whatever the letter of the side before it is taken for, nobody is called so."""
_MAY_LOSE_A_LETTER = frozenset(("upright", "decubitus", "oblique"))
"""Markers that are nobody's name without one of their letters."""
_MAY_HAVE_A_WRONG_LETTER = frozenset(
    ("upright", "decubitus", "oblique", "portable", "supine", "sagittal", "transverse")
)
"""Markers that are nobody's name with any letter in the place of one of theirs, but the last; of short ones the last
but one may be wrong: "Supino", "Suzine" and "Lupine" are names."""
_LONG_FOR_A_MARKER = 7
_SHORTEST_GLUED, _SHORTEST_GLUED_RUN = 4, 6
_SHORTEST_REPAIRED = 3
_SHORT_KEY = (2, 3)
_VOWELS = frozenset("aeiouy")
_NEARLY_PERCENT = 75
_REPAIRS = (
    # The first letter lies on anatomy, or letters of dots run together.
    (re.compile(r"(?<![^\W_])(?:rea|acea|arca|areo|aroa)(?=\s?\d{1,3}[.,]?\d?\s?[cm]m\b)"), "area"),
    (re.compile(r"(?<![^\W_])(?:ov|f0v)(?=\s?\d{1,3}\s?[cm]m\b)"), "fov"),
    (re.compile(r"(?<![^\W_])(?:wr|pvwr|pvr|fwr)(?=\s?\d{1,3}\s?%)"), "pwr"),
    (re.compile(r"(?<![^\W_])[z2]?[o0]{2}m(?=\s*\d[.,]\d)"), "zoom"),
    (re.compile(r"^[gc6]?[nhm](?=\s?\d{2}\s?dr\s?\d{2}\s?db$)"), "gn"),
    (re.compile(r"^(max\s?\d{1,3}\s?)[mhn]i[nhv](?=\s?\d{1,3}$)"), r"\1min"),
    (re.compile(r"^(c\s?\d{1,4}\s?)[v\u2260](?=\s?\d{2,4}$)"), r"\1w"),
    (re.compile(r"^tis(?=\D*\d)\s?[0o]?[.,]?[0-9o]?\s?t[il1]?b\s?[0o]?[.,]?[0-9o]?$"), "tis tib"),
    (re.compile(r"^(?:t?i?[5s])?\s?[0o][.,]\d\s?t[il1]?b\s?[0o][.,]\d$"), "tis tib"),
    (re.compile(r"^[ep]r(?=\s?\d{2}\s?hz$)"), "fr"),
    (re.compile(r"^v(?=\s?\d{3,4}\s?[l1i]\s?-?\d{1,3}$)"), "w"),
    (re.compile(r"^hr\s?[y\d]{2}(?=\s?bpm$)"), "hr 72"),
    (re.compile(r"^m[tl1](?=\s?[0-2][.,]\d$)"), "mi"),
    (re.compile(r"^[it1]r\s?(\d{3,4})\s?t[ebf8]\s?(\d{2,3})$"), r"tr \1 te \2"),
    # The end of a label before its value.
    (re.compile(r"^[a-z](?=\s?\d[.,]\d$)"), "zoom"),
    (re.compile(r"(?<=\d[.,]\d)\s?(?:mz|m[il1]h)\b"), "mhz"),
    (re.compile(r"(?<=\b(?:ap|pa))\s?supin$"), " supine"),
    (re.compile(r"^a[rf]\s?(?=(?:erect|supine|upright|portable)$)"), "ap "),
    (re.compile(r"^([rl])\s?c[0og]$"), r"\1 cc"),
    (re.compile(r"^([rl])\s?[mh][le][.,]?\s?[0o]$"), r"\1mlo"),
    (re.compile(r"^[a-z]\s?ml[.,]\s?[0o]$"), "mlo"),
    (re.compile(r"^xt([12])$"), r"ax t\1"),
    (re.compile(r"^(lef|righ)\W?t?$"), r"\1t"),
    (re.compile(r"^(ap|pa)\s?erec$"), r"\1 erect"),
    (re.compile(r"^m[il1]?:?\s?\d[.,]?\d\s?t[il1]?[s5]:?\s?0[.,]?\d$"), "mi tis"),
    (re.compile(r"^(gn\s?\d{2}\s?dr)\s?db$"), r"\1 70 db"),
    (re.compile(r"(?<![^\W_])(?:ie|fe)(?=\s?\d{1,3}[.]\d$)"), "te"),
    (re.compile(r"(?<![^\W_])(fr\s?\d{1,2})\s?h[27]?$"), r"\1 hz"),
    # An index below ten has lost its point.
    (re.compile(r"(?<![^\W_])(mi|tis|tib|tic)\s?0(\d)(?=\s?[a-z]|$)"), r"\1 0.\2"),
)
"""What technical text is misread as, where nobody's name or number can be what was read."""

Terms = tuple[str, ...]
"""Words and numbers of a text in order, as they were meant."""


def terms_of(text: str, site_words: frozenset[str] = frozenset()) -> Terms | None:
    """Return the words and numbers of a normalised text, or None where any of it is not known."""
    chunks = _CHUNK.findall(_repaired(text))
    if len(chunks) > 1 and all(chunk.isalpha() for chunk in chunks):
        # A gap within a word ("UPRI GHT").
        joined = "".join(chunks)
        if len(joined) >= _SHORTEST_ALIKE and joined in VOCABULARY | site_words:
            return (joined,)
    found: list[str] = []
    for place, chunk in enumerate(chunks):
        terms = _terms_of_chunk(chunk, site_words) or _key_like(chunks, place)
        if terms is None:
            return None
        found += terms
    return tuple(found)


def _repaired(text: str) -> str:
    for misread, meant in _REPAIRS:
        text = misread.sub(meant, text)
    return text


def _key_like(chunks: Sequence[str], place: int) -> Terms | None:
    """Return the short key that an unknown one resembles, before its number and beside a key that is sure."""
    chunk, rest = chunks[place], chunks[place + 1 :]
    others = [run for one in (*chunks[:place], *rest) for run in _RUN.findall(one) if len(run) in _SHORT_KEY]
    has_number = bool(rest) and rest[0][0].isdecimal()
    if not (has_number and SETTINGS.intersection(others) and len(chunk) <= max(_SHORT_KEY) and chunk.isalpha()):
        return None
    if place == 0 and len(chunk) == 1:
        # The first letter of two lies on anatomy ("n 60 DR 70 dB").
        return next(((key,) for key in sorted(SETTINGS) if key[1:] == chunk), None)
    if len(chunk) == max(_SHORT_KEY) and _VOWELS.intersection(chunk):
        return None
    for key in sorted(SETTINGS):
        differing = [frozenset(pair) for pair in zip(chunk, key, strict=False) if pair[0] != pair[1]]
        if len(key) == len(chunk) and len(differing) == 1 and differing[0] in _ALIKE:
            return (key,)
    return None


def is_nearly_technical(text: str) -> bool:
    """Say whether half of an unknown text is known, or all of it resembles a long marker: one to read once more."""
    chunks = _CHUNK.findall(_repaired(text))
    known = sum(len(chunk) for chunk in chunks if _terms_of_chunk(chunk, frozenset()) is not None)
    if 0 < known >= sum(map(len, chunks)) / 2:
        return True
    joined = "".join(chunks)
    return any(fuzz.ratio(joined, word) >= _NEARLY_PERCENT for word in _long_markers())


def is_number(term: str) -> bool:
    """Say whether a term is a number."""
    return term[0].isdigit() and term not in VOCABULARY


def _terms_of_chunk(chunk: str, site_words: frozenset[str]) -> Terms | None:
    if chunk in VOCABULARY or chunk in site_words:
        return (chunk,)
    if chunk.isalpha():
        word = _word_of(chunk)
        return None if word is None else (word,)
    if len(chunk) > _LONGEST_CHUNK:
        return None
    for variant in _variants(chunk):
        terms = _plain_terms(variant)
        if terms is not None:
            return terms
    return None


def _word_of(run: str) -> str | None:
    """Return the known word that a run of letters is or resembles, or the run if it is markers without spaces."""
    if run in VOCABULARY or _is_glued(run):
        return run
    return next((word for word in _long_markers() if _is_alike(run, word)), None)


@lru_cache(maxsize=1)
def _long_markers() -> tuple[str, ...]:
    return tuple(sorted(word for word in MARKERS if len(word) >= _SHORTEST_ALIKE))


def _is_alike(run: str, word: str) -> bool:
    if len(run) == len(word) - 1:
        return word in _MAY_LOSE_A_LETTER and any(run == word[:at] + word[at + 1 :] for at in range(len(word)))
    if len(run) != len(word):
        return False
    places = [place for place, pair in enumerate(zip(run, word, strict=True)) if pair[0] != pair[1]]
    first = 0 if len(word) >= _LONG_FOR_A_MARKER else len(word) - 2
    if word in _MAY_HAVE_A_WRONG_LETTER and len(places) == 1 and first <= places[0] < len(word) - 1:
        return True
    differing = [frozenset((run[place], word[place])) for place in places]
    most = 2 if len(word) >= _SHORTEST_ALIKE_TWICE else 1
    return len(differing) <= most and all(pair in _ALIKE for pair in differing)


def _is_glued(run: str) -> bool:
    """Say whether a run is markers without spaces: a side and one marker ("rmlo"), or several with a long one."""
    if len(run) == len("rmlo") and run.endswith(_NO_NAME):
        return True
    for rest in (run, *_without_side(run)):
        if rest != run and rest in (PROJECTIONS | POSITIONS | BODY) - _NEVER_GLUED:
            return True
        if any(len(part) >= _SHORTEST_GLUED for part in _parts(rest)):
            return True
    return False


def _without_side(run: str) -> Iterator[str]:
    for side in ("left", "right", "lt", "rt", "l", "r"):
        if run.startswith(side):
            yield run.removeprefix(side)
        if run.endswith(side):
            yield run.removesuffix(side)


def _parts(rest: str) -> Terms:
    """Return the markers of two letters and more that a run is made of, in one way of several; nothing if it is not."""
    for length in range(len(rest), 1, -1):
        word = rest[:length]
        if word in MARKERS:
            if length == len(rest):
                return (word,)
            others = _parts(rest[length:])
            if others:
                return (word, *others)
    return ()


def _variants(chunk: str) -> Iterator[str]:
    """Yield a chunk as it was read, then with one and two of its characters as what they look like."""
    yield chunk
    places = [place for place, character in enumerate(chunk) if character in _LETTERS_OF or character in _DIGITS_OF]
    most = _MOST_MISREAD if len(chunk) > _SHORT_CHUNK else 1
    for count in range(1, most + 1):
        for chosen in combinations(places, count):
            yield from _replaced(chunk, chosen)


def _replaced(chunk: str, places: tuple[int, ...]) -> Iterator[str]:
    if not places:
        yield chunk
        return
    first = places[0]
    for other in _LETTERS_OF.get(chunk[first], _DIGITS_OF.get(chunk[first], "")):
        variant = chunk[:first] + other + chunk[first + 1 :]
        if _is_made_sense(chunk, variant, first):
            yield from _replaced(variant, places[1:])


def _is_made_sense(chunk: str, variant: str, place: int) -> bool:
    """Say whether a replaced character joins a word, or a number that is surely one without it."""
    (run,) = [run for run in _RUN.finditer(variant) if run.start() <= place < run.end()]
    if chunk[place].isdigit():
        return len(run.group()) >= _SHORTEST_REPAIRED
    rest = variant[run.start() : place] + variant[place + 1 : run.end()]
    return bool(set(rest) - _LOOK_LIKE_LETTERS)


def _plain_terms(chunk: str) -> Terms | None:
    """Return the terms of letters and digits in turn ("w400l40", "24cmsl3"), or None."""
    if chunk.isalpha():
        word = _word_of(chunk)
        return None if word is None else (word,)
    for spelled in _with_numbered_words(chunk):
        runs = [run for part in spelled for run in ([part] if part in VOCABULARY else _RUN.findall(part))]
        if _is_sure_of_digits(runs):
            terms = _terms_of_runs(runs)
            if terms is not None:
                return terms
    return None


def _with_numbered_words(chunk: str) -> Iterator[Terms]:
    """Yield the chunk whole, and cut around a known word with a digit ("axt2", "2dfr38", "axt2pa")."""
    yield (chunk,)
    for first in range(len(chunk)):
        for last in range(first + 1, len(chunk) + 1):
            word = chunk[first:last]
            if word in SEQUENCES and not word.isalpha() and word != chunk:
                yield tuple(filter(None, (chunk[:first], word, chunk[last:])))


def _is_sure_of_digits(runs: list[str]) -> bool:
    """Say whether digits are no letters: one looks like none, a decimal, or a longer key or unit beside."""
    numbers = [run for run in runs if is_number(run)]
    if len(runs) == 1 or not numbers or any(map(_is_surely_number, numbers)):
        return True
    if sum(map(len, runs)) == len("l5"):
        return True
    for place, run in enumerate(runs):
        if is_number(run):
            before = runs[place - 1] if place else ""
            after = runs[place + 1] if place + 1 < len(runs) else ""
            has_key = len(before) > 1 and before in SETTINGS - NAME_LIKE
            has_unit = len(after) > 1 and after in (UNITS if len(after) == len("mm") else SETTINGS) - NAME_LIKE
            if (has_key and (has_unit or len(run) > 1)) or (not before and has_unit):
                return True
    return False


def _is_surely_number(number: str) -> bool:
    is_large = len(number) >= _FEWEST_SURE_DIGITS and number[0] != "0"
    return is_large or bool(set(number) - _LOOK_LIKE_LETTERS)


def _terms_of_runs(runs: list[str]) -> Terms | None:
    found: list[str] = []
    for place, run in enumerate(runs):
        if is_number(run):
            whole = re.split(r"[.,]", run)[0]
            has_zero = len(whole) > 1 and whole[0] == "0" and len(runs) > 1
            if len(whole) > _LONGEST_NUMBER or has_zero:
                return None
            found.append(run)
            continue
        words = _words_of_run(run, is_behind_number=place > 0 and is_number(runs[place - 1]))
        if words is None or (len(run) == 1 and not _has_place(run, place, len(runs))):
            return None
        found += words
    return tuple(found)


def _has_place(letter: str, place: int, count: int) -> bool:
    """Say whether a single letter may stand where it does among runs."""
    return place == 0 or letter in (_BETWEEN if place < count - 1 else _BEHIND)


def _words_of_run(run: str, *, is_behind_number: bool) -> Terms | None:
    if run in (_SINGLE if len(run) == 1 else VOCABULARY) or (len(run) >= _SHORTEST_GLUED_RUN and _is_glued(run)):
        return (run,)
    if is_behind_number:
        for cut in range(2, len(run) - 1):
            unit, key = run[:cut], run[cut:]
            if unit in UNITS and key in VOCABULARY:
                return (unit, key)
    return None
