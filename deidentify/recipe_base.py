"""What the Basic Profile does with an attribute anyway, and what of it no recipe can loosen."""

from deidentify.decisions import is_always_gone, text_rules
from deidentify.dictionary import TEXT_VRS, vr_table
from deidentify.rules import NEEDED_TO_READ
from deidentify.tables import attribute_rows

PATIENT_NAME, PATIENT_ID = 0x00100010, 0x00100020
NEEDED = NEEDED_TO_READ | {0x00080060}
"""Without these nobody can read or file an object; the package protects most of them as well."""
_PATIENT_NUMBERS = frozenset((0x00100020, 0x00100021, 0x00101000, 0x00101002, 0x00104000, 0x00380010))
GONE, STAYS = "gone", "stays"
REMOVED = frozenset((GONE, "X", "X/Z", "X/D", "X/Z/D"))
"""Codes that leave nothing to remove."""
SHIFTED_VRS = frozenset(("DA", "DT"))
_OPTIONS = ("retain_longitudinal_modified_dates", "clean_descriptors")
"""What ``dates: shift`` and ``text: vocabulary`` choose, the former first."""
_PERSON = "it names a person or a patient, and no rule keeps that in a file that says that identity was removed"


def base_code(tag: int) -> str:
    """Return what the Basic Profile with shifted dates and cleaned text does with an attribute.

    An action code; "gone" where it is removed whatever the profile says, or for want of anything that allows it;
    "stays" for numbers and sequences.
    """
    vr, row = vr_table().get(tag), attribute_rows().get(tag)
    if is_always_gone(tag) or (vr is None and row is None):
        return GONE
    if row is not None:
        return next((row.options[name] for name in _OPTIONS if name in row.options), row.basic)
    if vr in TEXT_VRS:
        return "C" if tag in text_rules() else GONE
    if vr in {"PN", "AE", "AS", "UR", "UN"}:
        return GONE
    if vr in {"DA", "DT", "TM", "CS"}:
        return "C"
    return "U" if vr == "UI" else STAYS


def why_not_kept(tag: int) -> str:
    """Return why an attribute is not kept; "loosening" where a reason is enough, and nothing where it stays anyway."""
    vr, base = vr_table().get(tag), base_code(tag)
    stays = tag in NEEDED or base in {STAYS, "K"} or (vr == "TM" and base == "C")
    reasons = (
        (stays and (tag in NEEDED or vr != "OB"), ""),
        (vr in {"OB", "UN"}, "bytes that nobody here reads are the base's to decide"),
        (vr == "PN" or tag in _PATIENT_NUMBERS, _PERSON),
        (
            vr is None or is_always_gone(tag),
            "private elements, drawings, lengths and signatures go whatever a profile says",
        ),
        (vr == "UI", "a UID that is kept while its references are replaced breaks them"),
        (vr in SHIFTED_VRS, "one date that is kept beside moved ones gives the others away; 'dates: shift' moves it"),
        (vr == "AS", "an age needs the option retain-patient-characteristics and 'age: band'"),
    )
    return next((reason for applies, reason in reasons if applies), "loosening")
