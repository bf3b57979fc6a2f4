"""What values of a VR look like (PS3.5 §6.2): a name in a number's place is none."""

import re
from typing import Literal

from deidentify.dataset import Element
from deidentify.dictionary import TEXT_VRS, most_values, vr_table, word_vrs

BINARY_VRS = frozenset(("AT", "FL", "FD", "SL", "SS", "UL", "US", "SV", "UV", "OW", "OF", "OD", "OL", "OV"))
BINARY_OR_BYTES = BINARY_VRS | {"OB"}

_NUMBER = rb"[ ]*(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)?[ \0]*"
_UID = rb"[0-9.]{0,64}[ \0]*"
_AGE = rb"(?:\d{3}[DWMY])?[ \0]*"
_DATE, _TIME = rb"(?:\d{8})?[ \0]*", rb"(?:\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?[ \0]*"
_DATETIME = rb"(?:\d{4,14}(?:\.\d{1,6})?(?:[+-]\d{4})?)?[ \0]*"
_KINDS = {"UI": _UID, "DA": _DATE, "TM": _TIME, "DT": _DATETIME, "AS": _AGE, "DS": _NUMBER, "IS": _NUMBER}
_FORMS = {vr: re.compile(form + rb"(?:\\" + form + rb")*") for vr, form in _KINDS.items()}

NUMBERS = _FORMS["DS"]
CODE_STRING = re.compile(rb"[A-Z0-9_ \\\0]*")


def is_of_vr(element: Element, vr: str) -> bool:
    """Tell whether a value is what its VR says, as far as its bytes can tell."""
    if element.vr not in {vr, "UN"} and not (element.vr in BINARY_OR_BYTES and vr in BINARY_OR_BYTES):
        return False
    form = _FORMS.get(vr)
    if form is None:
        return True
    return element.span is None and form.fullmatch(element.value) is not None


_NUMBER_SIZES = {"US": 2, "SS": 2, "AT": 4, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "SV": 8, "UV": 8}
_PRINTABLE = re.compile(rb"[\x20-\x7e\t\r\n]*[A-Za-z]{5}[\x20-\x7e\t\r\n]*")
_TAG_SIZE, _SHORTEST_TEXT = 4, 5


def is_numbers(element: Element, *, little: bool) -> bool:
    """Tell whether binary values can be what the attribute holds: no more than it may have, and no text.

    Where there is no limit, bytes that spell something are text, though a number could have them by chance.
    """
    tag, vr, value = element.tag, element.vr, element.value
    size = _NUMBER_SIZES.get(vr)
    if len(value) == size and size < _SHORTEST_TEXT and vr != "AT":
        # The most frequent of all: one number.
        return True
    if element.span is not None:
        # Fragments belong to pixel data alone (PS3.5 §A.4): elsewhere nobody looks into them.
        return size is None and tag in word_vrs() and not element.encapsulated
    if size is None:
        if tag not in word_vrs() and not tag >> 16 & 1:
            return False
    else:
        most = most_values().get(tag)
        if len(value) % size or (most is not None and len(value) > most * size and tag not in word_vrs()):
            return False
        if vr == "AT" and not _are_tags(value, little=little):
            return False
    return len(value) < _SHORTEST_TEXT or _PRINTABLE.fullmatch(value.strip(b"\0 ")) is None


def _are_tags(value: bytes, *, little: bool) -> bool:
    """Tell whether words are tags: public ones that there are, or private ones that spell nothing."""
    order: Literal["little", "big"] = "little" if little else "big"
    for start in range(0, len(value), _TAG_SIZE):
        group = int.from_bytes(value[start : start + 2], order)
        tag = group << 16 | int.from_bytes(value[start + 2 : start + 4], order)
        if tag not in vr_table() and (not group & 1 or value[start : start + _TAG_SIZE].isalpha()):
            return False
    return True


def vr_to_write(element: Element, vr: str) -> str:
    """Return the VR of a changed value: its own where it is of the dictionary's kind, else the dictionary's."""
    own = element.vr
    if own in TEXT_VRS and vr in TEXT_VRS:
        return own
    return own if vr == "UN" or (own in _NUMBER_SIZES and vr in _NUMBER_SIZES) else vr
