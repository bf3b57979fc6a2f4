"""Action codes of PS3.15 Table E.1-1a: how compound codes resolve, and what a dummy value is."""

from enum import StrEnum


class Action(StrEnum):
    """A simple action code."""

    DUMMY = "D"
    EMPTY = "Z"
    REMOVE = "X"
    KEEP = "K"
    CLEAN = "C"
    UID = "U"


COMPOUND_CODES = frozenset(("Z/D", "X/Z", "X/D", "X/Z/D", "X/Z/U*"))
ALL_CODES = frozenset(Action) | COMPOUND_CODES


def resolved(code: str, attribute_type: str | None) -> Action:
    """Return the simple action for a code, given the Type of the attribute in this IOD and path.

    ``None`` means that the IOD does not have the attribute there, so it can go. A conditional attribute that is there
    is taken as required. A removal that would break a Type 1 or Type 2 attribute becomes a dummy or an empty value: the
    table's own Z allows it ("zero length, or dummy"), and an invalid object helps nobody.
    """
    required = attribute_type in {"1", "1C"}
    if code in {Action.KEEP, Action.CLEAN, Action.UID, Action.DUMMY}:
        return Action(code)
    if code in {Action.EMPTY, "Z/D"}:
        return Action.DUMMY if required else Action.EMPTY
    if code == Action.REMOVE:
        return {"1": Action.DUMMY, "2": Action.EMPTY, "2C": Action.EMPTY}.get(attribute_type or "", Action.REMOVE)
    if code == "X/Z/U*" and required:
        return Action.UID
    if required:
        return Action.DUMMY
    return Action.EMPTY if attribute_type in {"2", "2C"} else Action.REMOVE


_DUMMIES = {
    "AE": b"ANONYMOUS",
    "AS": b"000Y",
    "CS": b"UNKNOWN",
    "DA": b"19000101",
    "DS": b"0",
    "DT": b"19000101000000",
    "IS": b"0",
    "PN": b"Anonymous",
    "TM": b"000000",
    "UR": b"about:blank",
    "AT": bytes(4),
    "FL": bytes(4),
    "SL": bytes(4),
    "UL": bytes(4),
    "OF": bytes(4),
    "OL": bytes(4),
    "FD": bytes(8),
    "SV": bytes(8),
    "UV": bytes(8),
    "OD": bytes(8),
    "OV": bytes(8),
    "LO": b"Removed",
    "SH": b"Removed",
    "ST": b"Removed",
    "LT": b"Removed",
    "UT": b"Removed",
    "UC": b"Removed",
}


# Where defined terms include one for "unspecified" (PS3.3 C.11.1.1.2).
_DUMMIES_BY_TAG = {0x00281054: b"US", 0x00283004: b"US"}


def dummy_value(vr: str, tag: int = 0) -> bytes:
    """Return a value of non-zero length that is valid for the VR (and attribute) and says nothing."""
    return _DUMMIES_BY_TAG.get(tag) or _DUMMIES.get(vr, bytes(2))
