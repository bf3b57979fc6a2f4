"""What the header of a `deid` recipe asks for as rules of a profile: in their order, as objects or as text."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from deidentify.dataset import tag_text
from deidentify.dictionary import keyword_tags, vr_table
from deidentify.recipe_base import PATIENT_ID, PATIENT_NAME, REMOVED, Floor
from deidentify.recipe_fields import PrivateField
from deidentify.rules import NEEDED_TO_READ, Path, PrivateElements, Rule, Tags
from deidentify.translation import yaml_rule

STRICTNESS = ("K", "Z/D", "Z", "X/Z/U*", "X")
_PSEUDONYM = "Whoever takes all values of a kind still gets the pseudonym of the case here."


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What one attribute gets, and by which line."""

    action: str
    number: int
    reason: str
    instead_of: str = ""
    """What it would get without a line that keeps it; empty for lines that take out."""


Rulings = Mapping[tuple[Path, int], Ruling]
"""The sequences around an attribute (none of them: anywhere) and its tag → what it gets."""


def rules_asked_for(
    rulings: Rulings, private: Mapping[PrivateField, Ruling], floor: Floor, reason: str
) -> Iterator[tuple[int, Rule]]:
    """Yield the line that asks and its rule, kinds of values first, then by line.

    ``reason``: that of a rule for a kind of values, with ``{}`` for the line.
    """
    folded, rest = _folded(_strictest(rulings), floor)
    for number, vrs in sorted(folded.items()):
        yield number, rule_of(Ruling(action="X", number=number, reason=reason.format(number)), vrs=vrs)
    if folded:
        pseudonym = Ruling(action="Z", number=max(folded), reason=_PSEUDONYM)
        for tag in (PATIENT_NAME, PATIENT_ID):
            yield pseudonym.number, rule_of(pseudonym, tag=tag)
    # An attribute inside some sequences is the exception, which stands behind what is true everywhere.
    for (inside, tag), ruling in sorted(rest.items(), key=lambda one: (bool(one[0][0]), one[1].number, one[0])):
        yield ruling.number, rule_of(ruling, tag=tag, inside=inside)
    for one, ruling in private.items():
        yield ruling.number, rule_of(ruling, private=one)


def _strictest(rulings: Rulings) -> dict[tuple[Path, int], Ruling]:
    """Return the rulings without those inside sequences that are looser than what is asked for everywhere."""
    everywhere = {tag: ruling for (inside, tag), ruling in rulings.items() if not inside}
    return {
        (inside, tag): ruling
        for (inside, tag), ruling in rulings.items()
        if not inside or ruling.action == "K" or tag not in everywhere or _is_stricter(ruling, everywhere[tag])
    }


def _is_stricter(one: Ruling, other: Ruling) -> bool:
    return STRICTNESS.index(one.action) > STRICTNESS.index(other.action)


def _folded(
    rulings: dict[tuple[Path, int], Ruling], floor: Floor
) -> tuple[dict[int, set[str]], dict[tuple[Path, int], Ruling]]:
    """Return line → VRs of which it removes all there are, and the rules that are left."""
    vrs, by_vr = vr_table(), dict[str, set[int]]()
    for (inside, tag), ruling in rulings.items():
        if not inside and ruling.action == "X":
            by_vr.setdefault(vrs.get(tag, "UI"), set()).add(tag)
    # No UID is removed wherever it stands.
    by_vr.pop("UI", None)
    for tag, vr in vrs.items():
        # No rule for a kind is about what is needed to read; Modality is, and so keeps its kind from being one rule.
        is_special = tag in NEEDED_TO_READ or tag in {PATIENT_NAME, PATIENT_ID}
        if vr in by_vr and not is_special and tag not in by_vr[vr] and floor.codes(tag) - REMOVED:
            del by_vr[vr]
    folded: dict[int, set[str]] = {}
    for vr, tags in by_vr.items():
        if len(tags) > 1:
            folded.setdefault(max(rulings[(), tag].number for tag in tags), set()).add(vr)
            for tag in tags:
                del rulings[(), tag]
    return folded, rulings


def rule_of(
    ruling: Ruling,
    *,
    tag: int | None = None,
    vrs: Iterable[str] = (),
    private: PrivateField | None = None,
    inside: Path = (),
) -> Rule:
    """Return a ruling as a rule of a profile about one attribute, kinds of values, or one private element."""
    element = None
    if private is not None:
        element = PrivateElements(creator=private.creator, group=private.group, element=private.element)
    return Rule(
        action=ruling.action,
        reason=ruling.reason,
        tags=None if tag is None else Tags(value=tag),
        vrs=frozenset(vrs),
        private=element,
        inside=inside or None,
        instead_of=ruling.instead_of,
    )


def placed(rule: Rule, place: str, why: str) -> Rule:
    """Return a rule with the place of its line; one that keeps has the reason that was given for loosening."""
    return replace(rule, place=place, reason=why if rule.instead_of else rule.reason)


def rule_yaml(rule: Rule) -> str:
    """Return a rule as an entry of the list ``rules``."""
    keywords, where = keywords_by_tag(), dict[str, object]()
    if rule.private is not None:
        group, element = rule.private.group or 0, rule.private.element or 0
        where["private"] = {"creator": rule.private.creator, "element": f"({group:04X},xx{element:02X})"}
    elif rule.tags is None:
        where["vr"] = sorted(rule.vrs)
    elif rule.tags.value in keywords:
        where["keyword"] = keywords[rule.tags.value]
    else:
        where["tag"] = tag_text(rule.tags.value)
    inside = [keywords.get(step) or tag_text(step) for step in rule.inside or ()]
    return yaml_rule(where, rule.action, rule.reason, inside=inside)


@cache
def keywords_by_tag() -> dict[int, str]:
    """Return tag → keyword."""
    return {tag: keyword for keyword, tag in keyword_tags().items()}
