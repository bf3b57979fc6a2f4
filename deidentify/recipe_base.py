"""What a profile does with an attribute anyway, and what of it no recipe can loosen."""

from dataclasses import dataclass, field
from functools import cache

from deidentify.actions import Action
from deidentify.codes import CODE_VALUE, LONG_CODE, MEANING, SCHEME
from deidentify.decisions import is_always_gone, text_rules
from deidentify.dictionary import TEXT_VRS, vr_table
from deidentify.profile import Profile
from deidentify.rule_text import RuleText
from deidentify.rules import NEEDED_TO_READ, Path, Rule, is_inside
from deidentify.tables import safe_private_rows

PATIENT_NAME, PATIENT_ID = 0x00100010, 0x00100020
NEEDED = NEEDED_TO_READ | {0x00080060}
"""Without these nobody can read or file an object; the package protects most of them as well."""
_PATIENT_NUMBERS = frozenset((0x00100020, 0x00100021, 0x00101000, 0x00101002, 0x00104000, 0x00380010))
_CODE_PARTS = frozenset((CODE_VALUE, LONG_CODE, MEANING, SCHEME))
GONE, STAYS = "gone", "stays"
REMOVED = frozenset((GONE, "X", "X/Z", "X/D", "X/Z/D"))
"""Codes that leave nothing to remove."""
KEPT = frozenset((STAYS, str(Action.KEEP)))
"""Codes that leave all of a value."""
SHIFTED_VRS = frozenset(("DA", "DT"))
_OPTIONS = frozenset(("retain_longitudinal_modified_dates", "clean_descriptors", "clean_pixel_data"))
"""What ``dates: shift``, ``text: vocabulary`` and ``pixels: screen`` choose."""
_BY_VR = {"UI": str(Action.UID)} | dict.fromkeys(("PN", "AE", "AS", "UR", "UN"), GONE)
_BY_VR |= dict.fromkeys(("DA", "DT", "TM", "CS"), str(Action.CLEAN))
_PERSON = "it names a person or a patient, and no rule keeps that in a file that says that identity was removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A profile before a recipe tightens it: the Basic Profile with options, and the rules of what it is built on."""

    profile: Profile
    _exact: dict[int, list[tuple[int, Rule]]] = field(default_factory=dict, repr=False)
    _others: list[tuple[int, Rule]] = field(default_factory=list, repr=False)
    _known: dict[tuple[int, Path], frozenset[str]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Sort the rules by what they are about."""
        for number, rule in enumerate(self.profile.rules):
            if rule.tags is not None and rule.tags.is_exact:
                self._exact.setdefault(rule.tags.value, []).append((number, rule))
            elif rule.private is None:
                self._others.append((number, rule))

    @property
    def keeps_private(self) -> bool:
        """Whether the profile keeps the private elements that the Standard lists."""
        return "retain_safe_private" in self.profile.options

    def codes(self, tag: int, inside: Path = ()) -> frozenset[str]:
        """Return all that may become of an attribute: in some instances, or inside some sequences, it differs.

        Action codes; "gone" where it is removed whatever the profile says, or for want of anything that allows it;
        "stays" for numbers and sequences. ``inside``: the sequences around it; none of them means everywhere.
        """
        found = self._known.get((tag, inside))
        if found is None:
            found = self._known[tag, inside] = self._codes(tag, inside)
        return found

    def _codes(self, tag: int, inside: Path) -> frozenset[str]:
        base = self.base_code(tag)
        if is_always_gone(tag):
            return frozenset((base,))
        found, vr = {base}, vr_table().get(tag)
        for _, rule in sorted([*self._exact.get(tag, ()), *self._others], key=lambda one: one[0]):
            if not rule.fits(tag, vr, rule.inside or ()) or not _may_meet(rule.inside, inside):
                continue
            if not rule.is_conditional and _covers(rule.inside, inside):
                found.clear()
            found.add(rule.action)
        return frozenset(found)

    def base_code(self, tag: int) -> str:
        """Return what options and Table E.1-1, or the kind of value, make of an attribute."""
        vr, code = vr_table().get(tag), self.profile.base_code(tag)
        if is_always_gone(tag) or (vr is None and code is None):
            return GONE
        if code is not None:
            return GONE if vr == "AS" and code == Action.KEEP and self.profile.age == "remove" else code
        if self.profile.keeps_vr(vr or ""):
            return Action.KEEP
        if vr in TEXT_VRS:
            return Action.CLEAN if tag in text_rules() or tag in _CODE_PARTS else GONE
        if vr in {"DA", "DT", "TM"} and self.profile.dates == "remove":
            return GONE
        return _BY_VR.get(vr or "", STAYS)

    def refusal(self, rule: Rule) -> str:
        """Return why no rule of the profile can be this one; empty when one can."""
        return RuleText(
            dates=self.profile.dates,
            keeps_uids="retain_uids" in self.profile.options,
            keeps_private=self.keeps_private,
        ).refusal(rule)

    def keeps_element(self, creator: str, group: int, element: int) -> bool:
        """Tell whether a private element stays, as far as its kind can be cleaned, since the Standard lists it."""
        return self.keeps_private and (creator, group, element) in safe_private_rows()

    def why_not_kept(self, tag: int, inside: Path = ()) -> str:
        """Return why an attribute is not kept; "loosening" where a reason is enough, nothing where it stays anyway."""
        vr, codes = vr_table().get(tag), self.codes(tag, inside)
        stays = tag in NEEDED or codes <= KEPT or (vr == "TM" and codes == {"C"})
        reasons = (
            (stays and (tag in NEEDED or vr != "OB"), ""),
            (vr in {"OB", "UN"}, "bytes that nobody here reads are the base's to decide"),
            (vr == "PN" or tag in _PATIENT_NUMBERS, _PERSON),
            (
                vr is None or is_always_gone(tag),
                "private elements, drawings, lengths and signatures go whatever a profile says",
            ),
            (
                vr == "UI" and "retain_uids" not in self.profile.options,
                "a UID that is kept while its references are replaced breaks them",
            ),
            (
                vr in SHIFTED_VRS and self.profile.dates != "keep",
                "one date that is kept beside moved ones gives the others away; 'dates: shift' moves it"
                if self.profile.dates == "shift"
                else "one date that is kept gives away those that are removed; 'dates: remove' removes it",
            ),
            (
                vr == "AS" and self.profile.age == "remove",
                "an age needs the option retain-patient-characteristics and 'age: band'",
            ),
        )
        return next((reason for applies, reason in reasons if applies), "loosening")


def _may_meet(inside: Path | None, path: Path) -> bool:
    """Tell whether a rule inside some sequences can be about an attribute that is inside these; none is anywhere."""
    if inside is None or not path:
        return True
    return bool(inside) and (is_inside(path, inside) or is_inside(inside, path))


def _covers(inside: Path | None, path: Path) -> bool:
    """Tell whether it is about every such attribute."""
    return inside is None or bool(path and inside and is_inside(path, inside))


@cache
def basic_floor() -> Floor:
    """Return the Basic Profile with shifted dates and cleaned text."""
    return Floor(profile=Profile(name="basic", revision="", options=_OPTIONS))
