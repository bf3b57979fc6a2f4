"""Make ``deidentify/tables/english_words.txt.xz``: common English words that are nobody's name.

    python tools/derive_english_words.py SCOWL_FOLDER NAMES_FOLDER > summary

SCOWL_FOLDER is that of the word lists of SCOWL 2020.12.07; NAMES_FOLDER that of the package ``names`` 0.3.0, whose
files are the family and given names of the census of the United States of 1990. The package ``faker`` 40.63 has to be
there: it knows names of some 80 languages and countries. Left out is what is a name in any of these, what SCOWL itself
lists as a proper name or writes with a capital, and what has fewer than five letters without being one of the most
common words: names of many languages are that short when they are written in Latin letters.

Behind an empty line follow common words that are rare names in the census, of two in a hundred thousand people at most,
and of the most common words those that are no given names, and family names of two in ten thousand people at most: the
engine treats them as words that are names too.
"""

import hashlib
import importlib
import lzma
import pkgutil
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from faker.providers import address, person

KINDS = ("english", "american", "british", "british_z", "canadian", "australian")
VARIANTS = ("variant_1", "british_variant_1", "canadian_variant_1", "australian_variant_1")
LARGEST, LARGEST_NAMES, COMMON, LARGEST_AMBIGUOUS, MOST_COMMON = 60, 80, 35, 50, 20
RARE_PERCENT, RARE_PERCENT_OF_COMMON = 0.002, 0.02
TARGET = Path(__file__).parents[1] / "deidentify" / "tables" / "english_words.txt.xz"
_WORD, _LONG_WORD = re.compile(r"[a-z]{3,}"), re.compile(r"[a-z]{5,}")
_NAMES = re.compile(
    r"(first|last|middle|given|family|sur).*names?|.*romanized.*|prefix|cit(y|ies).*|town.*|states?$|countries"
)


def folded(text: str) -> str:
    """Return a text without case and accents."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if not unicodedata.combining(character))


def scowl(folder: Path, what: str, largest: int) -> Iterator[str]:
    """Yield the entries of all lists of a kind up to a size."""
    for kind in (*KINDS, *VARIANTS):
        for path in folder.glob(f"{kind}-{what}.*"):
            if int(path.suffix[1:]) <= largest:
                yield from path.read_text(encoding="latin-1").split()


def census(folder: Path, *files: str) -> dict[str, float]:
    """Return the names of the census, folded, and how many percent of the people have them."""
    found: dict[str, float] = {}
    for name in files:
        for line in (folder / name).read_text(encoding="ascii").splitlines():
            word, percent = line.split()[:2]
            found[folded(word)] = max(found.get(folded(word), 0.0), float(percent))
    return found


def of_faker() -> Iterator[str]:
    """Yield the words of the names of persons and towns that faker knows."""
    for package in (person, address):
        for module in pkgutil.iter_modules(package.__path__):
            provider = importlib.import_module(f"{package.__name__}.{module.name}").Provider
            for attribute in dir(provider):
                if _NAMES.match(attribute):
                    yield from _words_in(getattr(provider, attribute))


def _words_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from re.findall(r"[^\W\d_]+", value)
    elif isinstance(value, dict):
        for key in value:
            yield from _words_in(key)
    elif isinstance(value, tuple | list | set):
        for one in value:
            yield from _words_in(one)


def main() -> None:
    """Write the table and say what it was made of."""
    lists, names_folder = Path(sys.argv[1]), Path(sys.argv[2])
    common = {folded(word) for word in scowl(lists, "words", COMMON)}
    words = {word for word in map(folded, scowl(lists, "words", LARGEST)) if _LONG_WORD.fullmatch(word)}
    words |= {word for word in common if _WORD.fullmatch(word)}
    capitals = {folded(word).removesuffix("'s") for word in scowl(lists, "proper-names", LARGEST_NAMES)}
    capitals |= {folded(word).removesuffix("'s") for word in scowl(lists, "upper", LARGEST_NAMES)}
    family, elsewhere = census(names_folder, "dist.all.last"), {folded(name) for name in of_faker()}
    given = census(names_folder, "dist.female.first", "dist.male.first")
    people = family.keys() | given.keys() | elsewhere
    kept = sorted(words - capitals - people)
    frequent = {folded(word) for word in scowl(lists, "words", LARGEST_AMBIGUOUS)} & words
    rare = {name for name in family | given if max(family.get(name, 0), given.get(name, 0)) <= RARE_PERCENT}
    usual = {folded(word) for word in scowl(lists, "words", MOST_COMMON)} & words
    usual = {word for word in usual - given.keys() if family.get(word, 0) <= RARE_PERCENT_OF_COMMON}
    ambiguous = sorted(((frequent & rare) - capitals - elsewhere) | (usual & (people | capitals)))
    content = "\n".join((*kept, "", *ambiguous)).encode("ascii")
    TARGET.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    print(
        f"{len(words)} words, of these {len(words & capitals)} proper names and {len(words & people)} names of people"
    )
    print(f"{len(kept)} words kept, {len(ambiguous)} that are rare names; sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
