"""Coded values: codes of public schemes stay, local ones are replaced, for a local meaning may hold anything."""

import re

from deidentify.charsets import Charset
from deidentify.concepts import standard_meaning
from deidentify.dataset import Element, find
from deidentify.own_words import OwnWords
from deidentify.text import clean_text
from deidentify.vocabulary import folded, is_code_like, vocabulary, words_of

CODE_VALUE, SCHEME, SCHEME_VERSION, MEANING = 0x00080100, 0x00080102, 0x00080103, 0x00080104
LONG_CODE, URN_CODE = 0x00080119, 0x00080120
TRIPLET = frozenset((CODE_VALUE, SCHEME, MEANING, LONG_CODE, URN_CODE))

KNOWN_SCHEMES = frozenset(
    (
        *(
            "DCM",
            "SCT",
            "SRT",
            "SNM3",
            "99SDM",
            "SNM",
            "UCUM",
            "LN",
            "RADLEX",
            "FMA",
            "UMLS",
            "NCIt",
            "MDC",
            "ISO639_1",
        ),
        *("ISO639_2", "ISO3166_1", "I10", "I10P", "I9", "I9C", "ICDO", "ICDO3", "RXNORM", "NEU", "MSH", "BI", "ACR"),
        *("BARI", "IHE", "IHERADTF", "RO", "UNS", "UBERON", "PUBCHEM_CID", "C4", "CPT4", "LOINC", "SNOMED", "NCDR"),
        *("DCMUID", "PATHLEX", "BIRNLEX", "CD2", "CDT", "DICOM", "RFC3066", "RFC5646", "HL7V3", "NYUMCCG", "QIBA"),
    )
)
"""Coding Scheme Designators of public schemes (PS3.16 §8), with the retired ones in use."""
_VALUE = re.compile(rb"[A-Za-z0-9.:+/_{}\[\]%*^()'-]{1,64}")
LOCAL_SCHEME, LOCAL_CODE = b"99CASEBRIDGE", b"REMOVED"


_CODE_TAGS = frozenset((MEANING, CODE_VALUE, LONG_CODE, URN_CODE))


def is_code_item(item: list[Element]) -> bool:
    """Tell whether an item is a code sequence macro (PS3.3 §8.8)."""
    return not _CODE_TAGS.isdisjoint([element.tag for element in item])


def cleaned_code_item(item: list[Element], charset: Charset, own: OwnWords, *, force: bool = False) -> list[Element]:
    """Return the item itself when its code is public and its meaning says no more than that, else a cleaned one.

    The code of a local scheme goes; of its meaning the known words stay. A public code stays, its meaning becomes that
    of PS3.16 where it has words of its own ("Head of Mrs …"). ``force`` replaces public codes and all words too.
    """
    meaning = find(item, MEANING)
    text = charset.decode(meaning.value).strip(" \0") if meaning is not None and meaning.items is None else ""
    value = None if force else _public_code(item, own.words)
    if value is not None and own.words.isdisjoint(words_of(text)):
        kept, removed = clean_text(text, own)
        if not removed:
            return item
        standard = standard_meaning(_text(item, SCHEME), value)
        if standard is not None and set(words_of(text)) <= vocabulary() | set(words_of(standard)) and text.isascii():
            return item
        return _with_meaning(item, standard or kept, charset)
    kept = "" if force else clean_text(text, own)[0]
    written = charset.encode(kept[:64]) if words_of(kept) else b"Removed"
    triplet = [
        Element(CODE_VALUE, "SH", LOCAL_CODE),
        Element(SCHEME, "SH", LOCAL_SCHEME),
        Element(MEANING, "LO", written),
    ]
    rest = [element for element in item if element.tag not in TRIPLET | {SCHEME_VERSION}]
    return sorted(triplet + rest, key=lambda element: element.tag)


def _public_code(item: list[Element], own: frozenset[str]) -> str | None:
    """Return the code value of an item when it looks like a code of a public scheme, and like nothing else."""
    values = [element for element in item if element.tag in {CODE_VALUE, LONG_CODE, URN_CODE}]
    scheme = _text(item, SCHEME)
    if scheme not in KNOWN_SCHEMES or len(values) != 1 or values[0].tag == URN_CODE or values[0].items is not None:
        return None
    raw = values[0].value.strip(b" \0")
    value = raw.decode("latin-1")
    if not _VALUE.fullmatch(raw) or not own.isdisjoint(words_of(value)) or folded(value) in own:
        return None
    return value if is_code_like(value) or standard_meaning(scheme, value) is not None else None


def _with_meaning(item: list[Element], text: str, charset: Charset) -> list[Element]:
    written = charset.encode(text[:64]) if words_of(text) else b"Removed"
    return [Element(MEANING, "LO", written) if element.tag == MEANING else element for element in item]


def _text(item: list[Element], tag: int) -> str:
    element = find(item, tag)
    return element.value.decode("latin-1").strip(" \0") if element is not None else ""
