"""What an instruction of a CTP script asks for one attribute, held against what the Basic Profile does with it.

A rule is written only where the two differ and our language can say it. What the script would keep and the Standard
would not is kept by a rule that can be seen, or not at all; what nobody can translate is left to the Basic Profile.
"""

from dataclasses import dataclass
from enum import Enum, auto
from functools import cache

from deidentify.actions import Action
from deidentify.decisions import MARKERS, is_always_gone, text_rules
from deidentify.dictionary import TEXT_VRS, keyword_tags, vr_table
from deidentify.identity import CHARSET_TAG
from deidentify.profile import MODIFIED_DATES
from deidentify.tables import attribute_rows
from deidentify.translation import Outcome

PATIENT_NAME, PATIENT_ID, PATIENT_AGE = 0x00100010, 0x00100020, 0x00101010
_PATIENT_NUMBERS = frozenset((PATIENT_ID, 0x00100021, 0x00101000, 0x00101002, 0x00104000, 0x00380010))
_RECOGNIZABLE = 0x00280302
_META_GROUP, _PIXEL_GROUP = 0x0002, 0x7FE0
_SOP_CLASS = 0x00080016
_UNIQUE = frozenset((0x00080016, 0x00080018, 0x0020000D, 0x0020000E))
_PICTURE = frozenset((0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011, 0x00280100, 0x00280101))
_PALETTE = frozenset((0x00281101, 0x00281102, 0x00281103))
_NEEDED = _UNIQUE | _PICTURE | _PALETTE | {0x00280102, 0x00280103, 0x00080060}
"""Without these nobody could tell what an object is, or read its picture."""
_GONE = frozenset(("X", "Z", "D", "X/Z", "X/D", "Z/D", "X/Z/D"))
_REMOVED = frozenset(("X", "X/Z", "X/D", "X/Z/D"))
_BYTES = frozenset(("OB", "UN"))
_CLASSES = (
    "ClassUID",
    "TransferSyntaxUID",
    "CodingSchemeUID",
    "ContextUID",
    "MappingResourceUID",
    "SOPClassesSupported",
)
_CLEANING = {"clean_structured_content": "clean-structured-content", "clean_graphics": "clean-graphics"}
"""Options that keep a sequence without what identifies: better than a rule that keeps it."""
_CODE_WORDS = {
    "X": "removes it",
    "Z": "empties it",
    "D": "puts a dummy in its place",
    "U": "replaces it by a new UID",
    "X/Z/U*": "removes it or replaces it by a new UID, as the object needs",
    "C": "reduces it to known words",
}


class Wish(Enum):
    """What an instruction wants done with a value."""

    KEEP = auto()
    PROCESS = auto()
    """Keep a sequence and treat what is in it."""
    REMOVE = auto()
    EMPTY = auto()
    REPLACE = auto()
    """Something else shall stand there: a text, a hash, a number, another attribute's value."""
    UID = auto()
    SHIFT = auto()
    NOTHING = auto()
    """What cannot be translated; why is said elsewhere."""


_KEEPING = frozenset((Wish.KEEP, Wish.PROCESS))
_LOSING = frozenset((Wish.REMOVE, Wish.EMPTY, Wish.REPLACE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """The keys of the profile that decide for attributes without a rule."""

    dates: str
    text: str
    private: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What becomes of one wish. ``action`` is empty where no rule is needed or possible."""

    outcome: Outcome
    became: str
    action: str = ""


def _same(sentence: str) -> Treatment:
    return Treatment(outcome=Outcome.SAME, became=sentence)


def not_translated(sentence: str) -> Treatment:
    """Return the treatment of what stays as the Basic Profile has it."""
    return Treatment(outcome=Outcome.NOT_TRANSLATED, became=sentence)


def code_in_force(tag: int, policies: Policies) -> str | None:
    """Return the action code of an attribute where only the policies decide; None outside Table E.1-1."""
    row = attribute_rows().get(tag)
    if row is None:
        return None
    if policies.dates == "shift" and MODIFIED_DATES in row.options:
        return row.options[MODIFIED_DATES]
    if policies.text == "vocabulary" and "clean_descriptors" in row.options:
        return row.options["clean_descriptors"]
    return row.basic


def basic_words(tag: int, policies: Policies) -> str:
    """Return what happens to an attribute without a rule, as the end of "the Basic Profile …"."""
    code, vr = code_in_force(tag, policies), vr_table().get(tag, "")
    if code == Action.CLEAN and vr in {"DA", "DT", "TM"}:
        return "moves it by the days of the case"
    if code is not None:
        return _CODE_WORDS.get(code, "removes it, or empties it where the object needs it")
    if vr in TEXT_VRS:
        return "reduces it to known words" if tag in text_rules() else "removes it"
    if vr in {"DA", "DT", "TM"}:
        return "moves it by the days of the case" if policies.dates == "shift" else "removes it"
    words = {
        "UI": "leaves UIDs that the Standard has registered and replaces all others",
        "SQ": "leaves it and treats what is in it",
        "CS": "leaves its defined terms",
        "OB": "removes it, unless it is one of the few whose bytes can be read",
    }
    words |= dict.fromkeys(("PN", "AE", "UR", "AS", "UN"), "removes it")
    return words.get(vr, "leaves it as it is")


def treated(tag: int, wish: Wish, policies: Policies) -> Treatment:
    """Return what becomes of a wish for a public attribute."""
    special = _without_rule(tag, wish)
    if special is not None:
        return special
    if wish is Wish.NOTHING:
        return not_translated(f"The Basic Profile {basic_words(tag, policies)}.")
    by_wish = {Wish.KEEP: _kept, Wish.PROCESS: _kept, Wish.SHIFT: _shifted}
    by_vr = _uid if vr_table()[tag] == "UI" else _lost
    return by_wish.get(wish, by_vr)(tag, wish, policies)


def _without_rule(tag: int, wish: Wish) -> Treatment | None:
    """Return the treatment of attributes of which no rule speaks."""
    group, is_gone = tag >> 16, is_always_gone(tag)
    gone = "It goes whatever a profile says." if is_gone else "The dictionary does not know it, so it goes."
    charset = "The character set is written as the text needs it."
    marker = "This program writes it itself, to say what it did."
    pixels = "Pixel data belong to the pixel screen; no rule speaks of them."
    pseudonym = "The pseudonym of the case stands there"
    needed = "It gets a new UID" if tag in _UNIQUE and tag != _SOP_CLASS else "It stays"
    needed += ", for without it nobody could tell what the object is or read its picture."
    # Applies, what becomes of a wish to keep, what becomes of the others.
    rows = (
        (tag == CHARSET_TAG, _same(charset), not_translated(f"{charset} Without it nobody could read the text.")),
        (tag in MARKERS or tag == _RECOGNIZABLE, _same(marker), _same(marker)),
        (group == _META_GROUP, _same("The head of the file is written anew."), _same("The head is written anew.")),
        (group == _PIXEL_GROUP, _same(pixels), not_translated(pixels)),
        (is_gone or tag not in vr_table(), not_translated(gone), _same(gone)),
        (
            tag in {PATIENT_NAME, PATIENT_ID},
            not_translated(f"It names the patient: no profile keeps it. {pseudonym}."),
            _same(f"{pseudonym}; nothing is derived from the original."),
        ),
        (tag in _NEEDED and wish in _LOSING, None, not_translated(needed)),
    )
    return next((kept if wish in _KEEPING else other for applies, kept, other in rows if applies), None)


def _kept(tag: int, wish: Wish, policies: Policies) -> Treatment:
    vr, code = vr_table()[tag], code_in_force(tag, policies)
    if wish is Wish.PROCESS and vr != "SQ":
        return not_translated(f"This is no sequence. The Basic Profile {basic_words(tag, policies)}.")
    refused = _keeping_refused(tag, vr, policies)
    if refused is not None:
        return refused
    if code == Action.CLEAN and vr == "TM":
        return Treatment(
            outcome=Outcome.POLICY, became="'dates: shift' moves whole days: times of day stay as they are."
        )
    inside = (
        " What is in it is treated by the same rules, where CTP's @keep() leaves it as it is." if vr == "SQ" else ""
    )
    if code is None and vr not in TEXT_VRS | {"TM", "AE", "UR", "AS"}:
        return _same(f"The Basic Profile {basic_words(tag, policies)}.{inside}")
    options = (
        [name.replace("_", "-") for name, kept in attribute_rows()[tag].options.items() if kept == "K"] if code else []
    )
    hint = f" The option {options[0]} would keep it with others of its kind." if options else ""
    if vr in TEXT_VRS:
        hint += " The action C would keep its known words only."
    became = f"K: kept, where the Basic Profile {basic_words(tag, policies)}.{inside}{hint}"
    return Treatment(outcome=Outcome.RULE, became=became, action=Action.KEEP)


def _keeping_refused(tag: int, vr: str, policies: Policies) -> Treatment | None:
    """Return why an attribute cannot be kept; None where it can."""
    row = attribute_rows().get(tag)
    option = next((words for name, words in _CLEANING.items() if row is not None and name in row.options), "")
    reasons = (
        (
            vr == "PN" or tag in _PATIENT_NUMBERS,
            "It names a person or is a number of the patient: no profile keeps it.",
        ),
        (vr == "UI", "One UID that is kept loses its references; the option retain-uids keeps all."),
        (vr in {"DA", "DT"}, "One date that is kept gives the others away; 'dates: keep' keeps all."),
        (vr in _BYTES, "Bytes that nobody can read are not kept."),
        (bool(option), f"The option {option} keeps it without what identifies."),
    )
    sentence = next((sentence for applies, sentence in reasons if applies), None)
    if vr == "UI" and is_class_uid(tag):
        return _same("UIDs that the Standard has registered stay.")
    return None if sentence is None else not_translated(f"{sentence} The Basic Profile {basic_words(tag, policies)}.")


def is_class_uid(tag: int) -> bool:
    """Tell whether the UIDs of an attribute are the Standard's own, which say what a thing is and not which."""
    keyword = keywords().get(tag, "")
    return code_in_force(tag, Policies(dates="remove", text="remove", private="remove")) is None and keyword.endswith(
        _CLASSES
    )


@cache
def keywords() -> dict[int, str]:
    """Return tag → keyword."""
    return {tag: keyword for keyword, tag in keyword_tags().items()}


def _shifted(tag: int, _: Wish, policies: Policies) -> Treatment:
    vr = vr_table()[tag]
    if vr not in {"DA", "DT"}:
        return not_translated(f"This is no date. The Basic Profile {basic_words(tag, policies)}.")
    if code_in_force(tag, policies) in {None, Action.CLEAN}:
        return Treatment(
            outcome=Outcome.POLICY,
            became="'dates: shift': moved by the days of the case, a number of its own; the script's is not used.",
        )
    return _same(f"The Basic Profile {basic_words(tag, policies)}, which is more than moving it.")


def _uid(tag: int, wish: Wish, policies: Policies) -> Treatment:
    code = code_in_force(tag, policies)
    if is_class_uid(tag):
        return not_translated("It is one of the Standard's own UIDs, names nobody, and stays.")
    if wish is Wish.REMOVE and code in _GONE:
        return _same(f"The Basic Profile {basic_words(tag, policies)}.")
    if wish in {Wish.UID, Wish.REPLACE}:
        return _same("A new UID stands there, the same one wherever the original stood; the script's root is not used.")
    return Treatment(
        outcome=Outcome.RULE,
        became="X/Z/U*: removed, or a new UID where the object needs one.",
        action="X/Z/U*",
    )


def _lost(tag: int, wish: Wish, policies: Policies) -> Treatment:
    """Return what becomes of a wish after which the value is not there."""
    code, words = code_in_force(tag, policies), basic_words(tag, policies)
    note = " No text and no number is written in its place." if wish in {Wish.REPLACE, Wish.UID} else ""
    enough = _REMOVED if wish is Wish.REMOVE else _GONE
    if code in enough or (code is None and words == "removes it"):
        return _same(f"The Basic Profile {words}.{note}")
    if wish is Wish.REMOVE:
        action, how = str(Action.REMOVE), "removed, or emptied where the object needs it"
    elif wish is Wish.EMPTY or vr_table()[tag] == "SQ":
        action, how = str(Action.EMPTY), "emptied"
    else:
        action, how = "Z/D", "emptied, or a dummy where the object needs a value"
    became = f"{action}: {how}, where the Basic Profile {words}.{note}"
    return Treatment(outcome=Outcome.RULE, became=became, action=action)
