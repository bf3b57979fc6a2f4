"""The words that name no person: what text may keep, from tables and from the parts that medical words are built of."""

import lzma
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from pydicom.datadict import keyword_dict

_WORD = re.compile(r"[^\W_]+(?:[*+]|/o(?!\w))?", re.UNICODE)
_UNITS = (
    "mm|cm|m|ml|s|sec|ms|min|hz|khz|mhz|kv|kvp|ma|mas|kev|gy|mgy|mbq|hu|mg|g|kg|d|x|ch|t|w|y|deg|fps|nm|um|b|e|p"
    "|th|st|nd|rd"
)
_NUMBER = re.compile(rf"\d{{1,3}}|\d{{1,4}}(?:{_UNITS})|[txbfhivlcspngmk]\d{{1,3}}[fshrt]?|b\d{{4}}", re.ASCII)
_SIZES = re.compile(r"\d{1,4}(?:x\d{1,4}){1,3}", re.ASCII)
_NUMBERED = re.compile(r"(\d{0,2})([a-z]{2,})(\d{0,3})", re.ASCII)
"""A word with a small number before or behind it ("1head", "views4")."""
_ROUND = re.compile(r"[1-9]\d(?:00|50)|1024|2048|4096", re.ASCII)
"""Four digits that measure; others may be a record's."""
_TECHNICAL = re.compile(r"(?=\D*\d)(?!.*\d{5})[a-z0-9*]{1,12}", re.ASCII)
_YEAR = re.compile(r"(?:1[89]|20|21)\d\d", re.ASCII)
_RUN = re.compile(r"[^\W\d_]+|\d+")
_LONGEST_CODE_LETTERS = 4
"""Letters in a row of a technical code such as Br40f or tfl3d1; a name with a number behind it has more."""
_LONG_CODE_LETTERS = frozenset(("epfid", "isoft", "bedge"))
_TECHNICAL_SECTION = "technical"
_SHORTEST_NAME = 2
"""Letters of a word that says nothing of anybody where devices write."""
_LONGEST_PLAIN = 4
"""Letters of a word whose last "s" may belong to it."""
_INFLECTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {"~": ("", "s"), "+": ("", "es")},
    "de": {"~": ("", "e", "en", "er", "es", "em", "n", "s"), "+": ("", "en", "innen")},
    "fr": {"~": ("", "e", "s", "es"), "+": ("", "x")},
    "es": {"~": ("o", "a", "os", "as"), "+": ("", "es")},
    "it": {"~": ("o", "a", "i", "e"), "+": ("e", "i")},
    "pt": {"~": ("o", "a", "os", "as"), "+": ("", "es")},
    "nl": {"~": ("", "e", "en", "s"), "+": ("", "en")},
}
"""What a mark behind a word of a table stands for, by the language of its section."""


def folded(text: str) -> str:
    """Return the text as it is compared: no case, no accents, compatibility forms resolved."""
    if text.isascii():
        return text.casefold()
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if not unicodedata.combining(character))


def words_of(text: str) -> list[str]:
    """Return the folded words of a text."""
    return [match.group() for match in _WORD.finditer(folded(text))]


def _lines(table: str) -> Iterator[tuple[str, str]]:
    """Yield the section and the text of each line of a table; ``[name]`` begins a section."""
    section = ""
    for line in files("deidentify.tables").joinpath(table).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        elif line and not line.startswith("#"):
            yield section, line


def words_in(table: str) -> frozenset[str]:
    """Return the words of a table, folded."""
    return frozenset(_words_in(table, technical=False))


def _words_in(table: str, *, technical: bool) -> Iterator[str]:
    for section, line in _lines(table):
        if technical is not (section == _TECHNICAL_SECTION):
            continue
        endings = _INFLECTIONS.get(section)
        for entry in line.split():
            for word in _inflected(entry, endings or {}):
                yield from _spellings(word)
                if endings is None:
                    yield from (folded(part) for part in re.split(r"[-/_]", word) if len(part) > 1)


def _inflected(entry: str, endings: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    marked = endings.get(entry[-1])
    return (entry,) if marked is None else tuple(entry[:-1] + ending for ending in marked)


def _spellings(word: str) -> Iterator[str]:
    """Yield a word without accents, and as it is written where there are no umlauts."""
    yield folded(word)
    lower = word.casefold()
    if not lower.isascii():
        yield folded(lower.replace("ä", "ae").replace("ö", "oe").replace("ü", "ue"))


@cache
def _plain_words() -> frozenset[str]:
    tables = ("vocabulary.txt", "prose.txt", "vocabulary_languages.txt", "standard_words.txt", "radiology_words.txt")
    # The Standard's terms stand in descriptions as well; one that is also a name stays in code strings alone.
    terms = words_in("code_terms.txt") - words_in("everyday_names.txt")
    known = terms.union(*(_words_in(table, technical=False) for table in tables))
    return frozenset(word for word in known if not word.isdigit())


@cache
def vocabulary() -> frozenset[str]:
    """Return the words that name no person, folded; some of them only where text is technical."""
    return _plain_words().union(_words_in("vocabulary.txt", technical=True))


@cache
def _english() -> tuple[frozenset[str], frozenset[str]]:
    """Return common English words that are in no list of names, and those that are rare names."""
    content = files("deidentify.tables").joinpath("english_words.txt.xz").read_bytes()
    words, names = lzma.decompress(content).decode("ascii").split("\n\n")
    return frozenset(words.split()), frozenset(names.split())


@cache
def general_words() -> frozenset[str]:
    """Return common English words; ``tables/README.md`` says which.

    They may stay, but they do not speak for what stands beside them as words of medicine do.
    """
    words, names = _english()
    return words | names


@cache
def names_too(*, always: bool = False) -> frozenset[str]:
    """Return words of the vocabulary that are names as well, ``always`` those that are no part of the body."""
    sections = {"plain"} if always else {"plain", "body"}
    lines = (line for section, line in _lines("names.txt") if section in sections)
    listed = frozenset(spelling for line in lines for word in line.split() for spelling in _spellings(word))
    # A word of medicine is taken for one first: only what no table has but that of English is doubtful.
    return listed | (_english()[1] - _plain_words())


@cache
def titles(kind: str = "") -> frozenset[str]:
    """Return titles and labels before names, or what may stand between them, by the section of the table."""
    kinds = {kind} if kind else {"strong", "weak", "label"}
    return frozenset(
        folded(word) for section, line in _lines("titles.txt") if section in kinds for word in line.split()
    )


@cache
def prose() -> frozenset[str]:
    """Return the words of running text, folded."""
    return words_in("prose.txt")


@cache
def phrases() -> dict[str, frozenset[tuple[str, ...]]]:
    """Return phrases that name nobody whatever their words are alone, by their first word."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for _, line in _lines("phrases.txt"):
        for phrase in _alternatives(line.split()):
            for spelling in _spellings(" ".join(phrase)):
                words = tuple(spelling.split())
                found.setdefault(words[0], set()).add(words)
    return {first: frozenset(ways) for first, ways in found.items()}


def _alternatives(words: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the phrases of a line in which ``a|b`` is either word and ``a|`` may be left out."""
    if not words:
        yield ()
        return
    for rest in _alternatives(words[1:]):
        for choice in words[0].split("|"):
            yield (choice, *rest) if choice else rest


@cache
def phrase_words() -> frozenset[str]:
    """Return the words that stay in some phrase."""
    return frozenset(word for ways in phrases().values() for way in ways for word in way)


@cache
def _parts() -> dict[str, re.Pattern[str]]:
    """Return how words are built of the parts of a language of medicine."""
    parts: dict[str, list[str]] = {}
    for section, line in _lines("word_parts.txt"):
        parts.setdefault(section, []).extend(folded(word) for word in line.split())
    choices = {
        section: "|".join(sorted(map(re.escape, words), key=len, reverse=True)) for section, words in parts.items()
    }
    before = rf"(?:{choices['before']})"
    root, ending = rf"(?:{choices['root']})", rf"(?:{choices['ending']})"
    german = rf"(?:{choices['german']})(?:es|en|er|s|n)?"
    dutch = rf"(?:{choices['dutch']})(?:en|s)?"
    return {
        "medical": re.compile(rf"{before}*(?:{root}[oia]?)+{ending}"),
        # The first half of a word with a hyphen ("thoraco-abdominal"), and adjectives of the Romance languages.
        "half": re.compile(rf"(?:{root}o)+"),
        "adjective": re.compile(rf"{before}*(?:{root}[oia]?)+(?:ic|al|ar|ari|os|ad|id|iv)(?:[oaie]|os|as|es)?"),
        "german": re.compile(
            rf"(?:{german}){{1,4}}(?:{choices['german']}|{choices['german_end']})(?:e|en|n|s|es|er|em)?"
        ),
        "dutch": re.compile(rf"(?:{dutch}){{1,4}}(?:{choices['dutch']}|{choices['dutch_end']})(?:en|s|e|jes?)?"),
    }


_SHORTEST_BUILT = 8
"""Letters of a word that is taken for one built of parts."""
_LONGEST_BUILT = 40


def _is_built(word: str) -> bool:
    return len(word) <= _LONGEST_BUILT and any(pattern.fullmatch(word) is not None for pattern in _parts().values())


@cache
def _keywords() -> frozenset[str]:
    """Return the keywords of PS3.6, which stand in labels as one word."""
    return frozenset(map(str.casefold, keyword_dict))


def is_known_word(word: str, *, technical: bool = False, general: bool = True) -> bool:
    """Tell whether a folded word names no person: of the vocabulary or built so, a short number, a technical code.

    ``general`` says whether common words that have nothing to do with medicine are known too.
    """
    known = vocabulary() if technical else _plain_words()
    bare = word.rstrip("*+")
    if word in known or bare in known:
        return True
    if technical and (len(bare) <= _SHORTEST_NAME or bare in _keywords()):
        return True
    if not bare.isalpha():
        return _is_number(bare, known) or (technical and _TECHNICAL.fullmatch(word) is not None and is_code_like(word))
    if len(bare) > _LONGEST_PLAIN and bare.endswith("s") and bare[:-1] in known:
        return True
    if general and bare in general_words():
        return True
    return len(bare) >= _SHORTEST_BUILT and (_is_built(bare) or _is_built(bare.replace("k", "c")))


def _is_number(word: str, known: frozenset[str]) -> bool:
    if _YEAR.fullmatch(word):
        return False
    if _NUMBER.fullmatch(word) or _ROUND.fullmatch(word) or _SIZES.fullmatch(word):
        return True
    numbered = _NUMBERED.fullmatch(word)
    return numbered is not None and numbered[2] in known


def is_code_like(text: str) -> bool:
    """Tell whether a text has no letters in a row that could be a name."""
    return all(
        run.isdigit() or len(run) <= _LONGEST_CODE_LETTERS or run in vocabulary() or run in _LONG_CODE_LETTERS
        for run in _RUN.findall(folded(text))
    )
