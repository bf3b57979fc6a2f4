"""Coded values: codes of public schemes stay, local ones are replaced, for a local meaning may hold anything."""

import re

from deidentify.charsets import Charset
from deidentify.dataset import Element, find
from deidentify.text import clean_text, words_of

CODE_VALUE, SCHEME, SCHEME_VERSION, MEANING = 0x00080100, 0x00080102, 0x00080103, 0x00080104
LONG_CODE, URN_CODE = 0x00080119, 0x00080120
_TRIPLET = frozenset((CODE_VALUE, SCHEME, MEANING, LONG_CODE, URN_CODE))

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
_VALUE = re.compile(rb"[A-Za-z0-9.:+/_{}\[\]%*^()'-]{1,64} *")
LOCAL_SCHEME, LOCAL_CODE = b"99CASEBRIDGE", b"REMOVED"


def is_code_item(item: list[Element]) -> bool:
    """Tell whether an item is a code sequence macro (PS3.3 §8.8)."""
    tags = {element.tag for element in item}
    return MEANING in tags or CODE_VALUE in tags or LONG_CODE in tags or URN_CODE in tags


def cleaned_code_item(
    item: list[Element], charset: Charset, own: frozenset[str], *, force: bool = False
) -> list[Element]:
    """Return the item itself when its code is public, else one whose code says nothing.

    The known words of a local meaning stay. ``force`` replaces public codes and all words too.
    """
    scheme = _text(item, SCHEME)
    value = find(item, CODE_VALUE) or find(item, LONG_CODE)
    meaning = find(item, MEANING)
    public = scheme.split(" ")[0] in KNOWN_SCHEMES and value is not None and value.items is None
    valid = public and value is not None and _VALUE.fullmatch(value.value.rstrip(b"\0")) and not find(item, URN_CODE)
    text = charset.decode(meaning.value).strip(" \0") if meaning is not None and meaning.items is None else ""
    if valid and not force and own.isdisjoint(words_of(text)):
        return item
    kept = "" if force else clean_text(text, own)[0]
    written = charset.encode(kept) if words_of(kept) else b"Removed"
    triplet = [
        Element(CODE_VALUE, "SH", LOCAL_CODE),
        Element(SCHEME, "SH", LOCAL_SCHEME),
        Element(MEANING, "LO", written[:64]),
    ]
    rest = [element for element in item if element.tag not in _TRIPLET | {SCHEME_VERSION}]
    return sorted(triplet + rest, key=lambda element: element.tag)


def _text(item: list[Element], tag: int) -> str:
    element = find(item, tag)
    return element.value.decode("latin-1").strip(" \0") if element is not None else ""
