"""What identifies patient, staff and place in one original: to be removed, and to be searched for afterwards."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from deidentify.charsets import DEFAULT, Charset, charset_of
from deidentify.dataset import Element, ReceivedInstance
from deidentify.dictionary import registered_uids
from deidentify.spellings import spellings
from deidentify.tables import attribute_rows
from deidentify.vocabulary import folded, vocabulary

if TYPE_CHECKING:
    from deidentify.memory import CaseMemory

CHARSET_TAG = 0x00080005
_IDENTIFYING_VRS = frozenset(("UI", "DA", "DT", "PN"))
_SHORTEST_NUMBER = 4
_SEPARATORS = re.compile(r"[\W_]+")
_STRUCTURAL = frozenset(
    (0x00080016, 0x00081150, 0x0008115A, 0x00080062, 0x00041510, 0x00041512, 0x0008001A, 0x0008001B)
)
"""UIDs that name classes, not instances (private classes too)."""

# Rows of Table E.1-1 whose text names a person or a person's record; the other text rows name places and devices.
_PERSONAL_GROUPS = frozenset((0x0010, 0x0012, 0x0032, 0x0038))
_PERSONAL = frozenset((0x00080050, 0x00200010, 0x00402016, 0x00402017, 0x00401001, 0x00400009, 0x00400253))
_PERSONAL |= {0x00080094, 0x00080092, 0x00401102, 0x00401103, 0x00401104, 0x0040A123, 0x00402010}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedTokens:
    """Identifiers of one original. Everything in here is identified: it stays in the process that read the spool."""

    values: tuple[str, ...] = field(default=(), repr=False)
    """Whole values as they stood in the original, without padding."""
    tokens: frozenset[str] = field(default=frozenset(), repr=False)
    """Single words of them: no case, no accents."""
    dates: frozenset[str] = field(default=frozenset(), repr=False)
    """YYYYMMDD of every date of the original."""
    uids: frozenset[str] = field(default=frozenset(), repr=False)
    """Every UID of an instance, a series, a study, a frame of reference …; none that the Standard registers."""
    own_words: frozenset[str] = field(default=frozenset(), repr=False)
    """Words that no kept text may have: of persons and record numbers, and of places unless they are plain words."""
    spellings: frozenset[bytes] = field(default=frozenset(), repr=False)
    """The values as bytes, as they stood."""


def elements_of(elements: list[Element], charset: Charset = DEFAULT) -> Iterator[tuple[Element, Charset]]:
    """Yield every element at every depth with the character set in force."""
    for element in elements:
        if element.tag == CHARSET_TAG:
            charset = charset_of(element.value)
        if element.items is None:
            yield element, charset
        else:
            for item in element.items:
                yield from elements_of(item, charset)


NamedValue = tuple[bytes, Charset, bool]
"""A value as it stood, its character set, and whether it is a person's."""


Path = tuple[int, ...]
"""Tags of the sequences around an element, the outermost first."""


def _keeps_nothing(_tag: int, _vr: str, _path: Path) -> bool:
    return False


def identified_tokens(
    received: ReceivedInstance,
    keeps: Callable[[int, str, Path], bool] = _keeps_nothing,
    memory: "CaseMemory | None" = None,
) -> IdentifiedTokens:
    """Return the identifiers of an original.

    ``keeps`` tells of a tag, VR and path whether the profile keeps such values on purpose: these are not looked for.
    ``memory`` is that of the case.
    """
    found: list[tuple[Element, Charset, Path]] = []
    _gather(received.identified_elements, DEFAULT, found, ())
    tags = _identifying_tags()
    named: list[NamedValue] = []
    dates: set[str] = set()
    uids: set[str] = set()
    for element, charset, path in found:
        tag, vr = element.tag, element.vr
        if keeps(tag, vr, path):
            continue
        if vr == "UI":
            if tag not in _STRUCTURAL:
                uids.update(element.value.decode("latin-1").strip(" \0").split("\\"))
        elif vr in {"DA", "DT"}:
            dates.update(_days(element.value, vr))
        else:
            named.append((element.value, charset, vr == "PN" or tags[tag]))
    registered = registered_uids()
    known = frozenset(uid for uid in (value.strip(" \0") for value in uids) if uid and uid not in registered)
    return replace(_named(tuple(dict.fromkeys(named)), memory), dates=frozenset(dates), uids=known)


def _gather(elements: list[Element], charset: Charset, found: list[tuple[Element, Charset, Path]], path: Path) -> None:
    """Find what may identify, at every depth, with the character set in force."""
    tags, vrs = _identifying_tags(), _IDENTIFYING_VRS
    for element in elements:
        tag = element.tag
        if tag == CHARSET_TAG:
            charset = charset_of(element.value)
        if element.items is not None:
            inner = (*path, tag)
            for item in element.items:
                _gather(item, charset, found, inner)
        elif (element.vr in vrs or tag in tags) and element.value and (not tag >> 16 & 1 or element.vr == "PN"):
            found.append((element, charset, path))


def _days(value: bytes, vr: str) -> list[str]:
    """Return YYYYMMDD of each complete date; both ends of a range."""
    found = []
    for part in value.decode("latin-1").split("\\"):
        for end in part.strip(" \0").split("-") if vr == "DA" else [part.strip(" \0")]:
            digits = end.strip().replace(".", "", 2)[:8]
            if len(digits) == 8 and digits.isdigit():  # noqa: PLR2004 - YYYYMMDD
                found.append(digits)
    return found


def _named(named: "tuple[NamedValue, ...]", memory: "CaseMemory | None") -> IdentifiedTokens:
    """Return the identifiers among names, numbers and places; the slices of a series have the same ones."""
    known = memory.names.get(named) if memory is not None else None
    if known is not None:
        return known
    collected = _Collected()
    for value, charset, is_personal in named:
        collected.add(charset.decode(value).strip(" \0"), value.strip(b" \0"), is_personal=is_personal)
    return collected.result() if memory is None else memory.names.keep(named, collected.result())


@cache
def _identifying_tags() -> dict[int, bool]:
    """Return tag → whether it is personal, for the text rows of Table E.1-1 that hold identifiers, not descriptions."""
    result: dict[int, bool] = {}
    for tag, row in attribute_rows().items():
        if {"clean_descriptors", "retain_longitudinal_modified_dates"} & set(row.options) or row.vr not in {
            "LO",
            "SH",
            "ST",
            "LT",
            "UT",
            "UC",
            "AE",
        }:
            continue
        result[tag] = tag >> 16 in _PERSONAL_GROUPS or tag in _PERSONAL
    return result


class _Collected:
    def __init__(self) -> None:
        self._values: dict[str, None] = {}
        self._spellings: set[bytes] = set()
        self._personal: set[str] = set()
        self._places: set[str] = set()

    def add(self, text: str, spelling: bytes, *, is_personal: bool) -> None:
        if not text:
            return
        self._values[text] = None
        self._spellings.add(spelling)
        words = {word for word in _SEPARATORS.split(folded(text)) if word}
        if not text.isascii():
            words.update(form for word in _SEPARATORS.split(text) for form in spellings(word))
        (self._personal if is_personal else self._places).update(words)

    def result(self) -> IdentifiedTokens:
        known = vocabulary()
        personal = {word for word in self._personal if _is_telling(word)}
        places = {word for word in self._places if _is_telling(word) and word not in known}
        return IdentifiedTokens(
            values=tuple(self._values),
            tokens=frozenset(self._personal | self._places),
            own_words=frozenset(personal | places),
            spellings=frozenset(self._spellings),
        )


def _is_telling(word: str) -> bool:
    """Tell whether a word is long enough to mean somebody: not an initial, not a small number."""
    if word.isdigit():
        return len(word) >= _SHORTEST_NUMBER
    return len(word) > 1


def joined(one: IdentifiedTokens, other: IdentifiedTokens) -> IdentifiedTokens:
    """Return the identifiers of both."""
    return IdentifiedTokens(
        values=tuple(dict.fromkeys((*one.values, *other.values))),
        tokens=one.tokens | other.tokens,
        dates=one.dates | other.dates,
        uids=one.uids | other.uids,
        own_words=one.own_words | other.own_words,
        spellings=one.spellings | other.spellings,
    )


def is_structural(tag: int) -> bool:
    """Tell whether a UI attribute names classes of things, not things."""
    return tag in _STRUCTURAL
