"""The data dictionary as plain dictionaries: tag number to VR and keyword, from pydicom's tables."""

from functools import cache

from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary

# Which of several VRs an element gets when nothing else tells. The first of the dictionary's alternatives is
# right for what we do (all are copied as they are) except where a word VR carries bytes as well.
_AMBIGUOUS = {"US or SS": "US", "OB or OW": "OW", "US or OW": "OW", "US or SS or OW": "OW", "NONE": "UN"}

_WORD_ALTERNATIVES = frozenset(("OB", "OW", "OF", "OD", "OL", "OV", "OB or OW", "US or OW", "US or SS or OW"))

# Attributes of Table E.1-1 2026d that are newer than the dictionary.
_SUPPLEMENT = {
    **dict.fromkeys((0x0040B034, 0x0040A034, 0x0040A035, 0x0040B036), "DT"),
    **dict.fromkeys((0x00081301, 0x00081302, 0x00081303, 0x00081304), "SQ"),
    **dict.fromkeys((0x00100011, 0x00100014, 0x00100015, 0x00100041, 0x00100043, 0x00100044, 0x00100046), "SQ"),
    **dict.fromkeys((0x00100012, 0x00100013, 0x00100016), "LT"),
    **dict.fromkeys((0x00100042, 0x00100045), "UT"),
    **dict.fromkeys((0x00100047, 0x0040E012), "UR"),
    **dict.fromkeys((0x0040B03B, 0x0040B03F, 0x3004007F), "LO"),
    0x00102162: "UC",
}

TEXT_VRS = frozenset(("LO", "SH", "ST", "LT", "UT", "UC"))
"""Free text: what a person or a device may have typed."""
CHARSET_VRS = frozenset(("LO", "SH", "ST", "LT", "UT", "UC", "PN"))
"""VRs whose values are in the Specific Character Set."""
SWAP_SIZES = {"US": 2, "SS": 2, "OW": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4}
SWAP_SIZES |= {"FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8}
"""Bytes per word of the VRs that depend on the byte order."""


@cache
def vr_table() -> dict[int, str]:
    """Return tag number → VR of every public attribute known."""
    table = {tag: _AMBIGUOUS.get(entry[0], entry[0]) for tag, entry in DicomDictionary.items()}
    return {**_SUPPLEMENT, **table}


@cache
def most_values() -> dict[int, int]:
    """Return tag number → how many values an attribute may have, where the Standard sets a limit."""
    limits = {tag: entry[1].rpartition("-")[2] for tag, entry in DicomDictionary.items()}
    return {tag: int(most) for tag, most in limits.items() if most.isdigit()}


@cache
def word_vrs() -> frozenset[int]:
    """Return the attributes whose numbers may be written as a string of words (OW), by the dictionary."""
    return frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] in _WORD_ALTERNATIVES)


@cache
def keyword_tags() -> dict[str, int]:
    """Return keyword → tag number."""
    return {entry[4]: tag for tag, entry in DicomDictionary.items() if entry[4]}


@cache
def registered_uids() -> dict[str, str]:
    """Return UID → type (SOP Class, Transfer Syntax …) of what the Standard itself has registered."""
    return {uid: entry[1] for uid, entry in UID_dictionary.items()}


@cache
def uid_names() -> dict[str, str]:
    """Return the name of a SOP Class in PS3.6, in lower case → its UID; with and without "Storage" behind it."""
    found: dict[str, str] = {}
    for uid, entry in UID_dictionary.items():
        if entry[1] == "SOP Class" and entry[3] != "Retired":
            name = entry[0].casefold()
            found[name] = uid
            found.setdefault(name.removesuffix(" storage"), uid)
    return found
