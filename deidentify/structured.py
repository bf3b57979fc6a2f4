"""Structured reports: the action of Table E.3.4-1 for a content item (PS3.15 §E.3.4)."""

from deidentify.dataset import Element, find, text_of
from deidentify.profile import Profile
from deidentify.tables import concept_rows

_CONCEPT_NAME = 0x0040A043


def content_action(item: list[Element], profile: Profile) -> str:
    """Return "X", "D", "K" or "C" for one content item; values of concepts outside the table are cleaned."""
    concept = find(item, _CONCEPT_NAME)
    if concept is None or not concept.items:
        return "C"
    name = concept.items[0]
    row = concept_rows().get((text_of(name, 0x00080102), text_of(name, 0x00080100)))
    if row is None:
        return "C"
    code = profile.row_code(row)
    return "D" if code == "X/D" else code
