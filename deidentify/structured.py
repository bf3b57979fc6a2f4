"""Structured reports: the action of Table E.3.4-1 for a content item (PS3.15 §E.3.4)."""

from functools import cache

from deidentify.actions import Action
from deidentify.dataset import Element, find, text_of
from deidentify.profile import Profile
from deidentify.tables import ActionRow, concept_rows, concepts_by_meaning

VALUE_TYPE, TEXT_VALUE = 0x0040A040, 0x0040A160
_CONCEPT_NAME = 0x0040A043
_CODES = (0x00080100, 0x00080119, 0x00080120)

_SNOMED_TWINS = {
    "PA-30029": "440252007",
    "DF-0070B": "398164008",
    "DF-0068E": "398325003",
    "R-42B89": "371524004",
    "DD-60002": "116224001",
    "F-00033": "271921002",
    "G-C0E3": "363698007",
    "F-02455": "160476009",
    "G-D321": "398201009",
    "G-D320": "397898000",
}
"""SNOMED RT → SNOMED CT codes of the concepts of the table (PS3.16 Annex O)."""
_SCHEMES = {
    **dict.fromkeys(
        ("SRT", "SNM3", "SNM", "99SDM", "SNOMED-RT", "2.16.840.1.113883.6.96", "SNOMED-CT", "SNOMED"), "SCT"
    ),
    **dict.fromkeys(("LOINC", "2.16.840.1.113883.6.1"), "LN"),
    **dict.fromkeys(("NCDR", "NCDR [2.0]", "NCDR [2.0B]"), "NCDR [2.0b]"),
    **dict.fromkeys(("NCIT", "NCI", "2.16.840.1.113883.3.26.1.1"), "NCIt"),
    **dict.fromkeys(("1.2.840.10008.2.16.4", "DICOM", "99DCM"), "DCM"),
}
"""Other names that the coding schemes of the table have or had."""
_STRICTEST = (Action.REMOVE, "X/D", Action.DUMMY)


def content_action(item: list[Element], profile: Profile) -> str:
    """Return "X", "D", "K" or "C" for one content item; values of concepts outside the table are cleaned.

    A concept is known by its code, by the code that it had in another edition of its scheme, and by its name, whatever
    code that stands under: retired and local codes for "Accession Number" hold one as well.
    """
    concept = find(item, _CONCEPT_NAME)
    if concept is None or not concept.items:
        return "C"
    rows = _rows_of(concept.items[0])
    if rows is None:
        return "C"
    code = _code(rows, text_of(item, VALUE_TYPE), profile)
    return "D" if code == "X/D" else code


def _code(rows: dict[str, ActionRow], value_type: str, profile: Profile) -> str:
    row = rows.get(value_type)
    if row is not None:
        return profile.row_code(row)
    # The table lists a concept as it stands in templates. Where all that it lists is free text, a code or a number is
    # none; a concept that identifies does so in any form, and then no option speaks of that form.
    if value_type != "TEXT" and all("clean_descriptors" in row.options for row in rows.values()):
        return Action.CLEAN
    basic = {row.basic for row in rows.values()}
    return next((code for code in _STRICTEST if code in basic), Action.DUMMY)


def _rows_of(name: list[Element]) -> dict[str, ActionRow] | None:
    code = next((text for text in (text_of(name, tag) for tag in _CODES) if text), "")
    return _known(text_of(name, 0x00080102), code, text_of(name, 0x00080104))


@cache
def _known_codes() -> dict[tuple[str, str], dict[str, ActionRow]]:
    """Return the rows under every code that they are known by."""
    rows = concept_rows()
    return {**{("SCT", old): rows["SCT", new] for old, new in _SNOMED_TWINS.items()}, **rows}


def _known(scheme: str, code: str, meaning: str) -> dict[str, ActionRow] | None:
    rows = _known_codes().get((_SCHEMES.get(scheme.upper(), scheme), code))
    if rows is not None:
        return rows
    key = concepts_by_meaning().get(" ".join(meaning.casefold().split()))
    return concept_rows()[key] if key is not None else None
