"""What values of a VR look like (PS3.5 §6.2): a name in a number's place is none."""

import re

from deidentify.dataset import Element

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
