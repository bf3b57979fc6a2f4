"""Why an attribute meets its fate under a profile: which line won, and what is kept that the base would not keep."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from deidentify.actions import Action
from deidentify.dataset import tag_text
from deidentify.decisions import MARKERS, Decision, Decisions, is_always_gone, text_rules
from deidentify.dictionary import TEXT_VRS, keyword_tags, vr_table
from deidentify.pixel_policy import OutsideRegions, PixelPolicy
from deidentify.profile import Profile
from deidentify.rules import Path, PrivateElements, Rule, RuleSet
from deidentify.tables import IodTypes, attribute_rows, safe_private_rows

WORDS: dict[Decision, str] = {
    Decision.GONE: "removed",
    Decision.REMOVE: "removed",
    Decision.EMPTY: "no value",
    Decision.DUMMY: "dummy value",
    Decision.KEEP: "kept",
    Decision.CLEAN: "cleaned by its VR",
    Decision.UID: "new UID, unless the Standard registered it",
    Decision.SAME: "as it is; the pixel screen reads it",
    Decision.RECOGNIZABLE: "YES: nobody looked at the faces",
    Decision.CHARSET: "kept where the character set is known",
    Decision.CODE_PART: "stays in an item whose code is of a public scheme",
    Decision.SCHEME: "stays where the scheme is public",
    Decision.WORDS: "known words stay",
    Decision.TECHNICAL: "known words and short technical codes stay",
    Decision.LABEL: "stays where its words are known, else one label for one value",
    Decision.DENY: "removed, or a dummy where the IOD requires a value",
    Decision.BINARY: "numbers stay",
    Decision.RECURSE: "each item is walked",
    Decision.DATES: "moved by the days of the case",
    Decision.CODE_STRING: "stays where it looks like a term and is not this patient's",
    Decision.CODE_TERM: "words of defined terms and known words stay",
    Decision.NUMBER: "stays where it is a number",
    Decision.PRIVATE: "cleaned by its VR where it is known to be safe, else removed",
}
_KEPT_BY_RANK = {Action.REMOVE: 0, Action.EMPTY: 0, Action.DUMMY: 1, Action.UID: 1, Action.CLEAN: 2, Action.KEEP: 3}
"""How much of a value stays: nothing, something in its place, a part, all."""
_CLEANED, _KEPT = 2, 3
_PSEUDONYMS = frozenset((0x00100010, 0x00100020))


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What becomes of one attribute, and by what."""

    tag: int
    path: Path
    name: str
    vr: str
    code: str
    """The action code of rule or table; empty outside both."""
    becomes: str
    by: str
    """``always``, ``private``, ``rule``, ``option``, ``Basic Profile`` or ``outside the table``."""
    source: str
    """Which line, which option, which kind of value."""
    reason: str = ""
    others: tuple[Rule, ...] = ()
    """Rules that are about it in some instances, the one that goes first last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loosening:
    """What a profile keeps that options and table would not."""

    place: str
    subject: str
    action: str
    instead_of: str
    reason: str


def explained(
    profile: Profile,
    tag: int,
    path: Path = (),
    *,
    types: IodTypes | None = None,
    rules: RuleSet | None = None,
) -> Explanation:
    """Return what becomes of a public attribute on a path, in instances of an IOD that ``rules`` are about.

    Without ``rules`` those count that are about every instance; the others are listed in ``others``.
    """
    found = explanation(Decisions(profile, types, rules), tag, path)
    if rules is not None:
        return found
    vr = found.vr or None
    others = _later(profile, profile.always.of(tag, vr, path))
    return replace(found, others=tuple(one for one in others if one.fits(tag, vr, path)))


def explanation(decisions: Decisions, tag: int, path: Path = ()) -> Explanation:
    """Return what becomes of an attribute under decisions that are made already."""
    vr = vr_table().get(tag, "")
    rule = decisions.rules.of(tag, vr or None, path)
    row = attribute_rows().get(tag)
    code, by, source, reason = "", "outside the table", f"by its VR, {vr}" if vr else "not in the dictionary", ""
    if tag in MARKERS:
        by, source = "always", "written anew: it says what was done"
    elif tag >> 16 & 1:
        kept = decisions.is_private(tag)
        by, source = "private", "private: safe, by creator, element and VR" if kept else "private: remove"
    elif is_always_gone(tag):
        by, source = "always", "goes whatever a profile says"
    elif rule is not None:
        code, by, source, reason = rule.action, "rule", rule.place, rule.reason
    elif row is not None:
        code, option = decisions.profile.row_ruling(row)
        by, source = ("option", option.replace("_", "-")) if option else ("Basic Profile", "Table E.1-1")
    elif tag in text_rules():
        source = "by the list of text attributes that may stay"
    return Explanation(
        tag=tag,
        path=path,
        name=name_of(tag),
        vr=vr,
        code=code,
        becomes=_becomes(decisions, tag, path, vr),
        by=by,
        source=source,
        reason=reason,
    )


def _becomes(decisions: Decisions, tag: int, path: Path, vr: str) -> str:
    decision = decisions.at(path).get(tag) or decisions.decide(tag, path)
    if tag in _PSEUDONYMS and decision in {Decision.EMPTY, Decision.DUMMY}:
        return "the pseudonym of the case"
    if vr == "AS" and decision is Decision.KEEP:
        return "written in bands" if decisions.profile.age == "band" else "removed: age: remove"
    return WORDS[decision]


def _later(profile: Profile, winner: Rule | None) -> tuple[Rule, ...]:
    """Return the rules about some instances that stand behind the one that is about all: those before it never win."""
    places = (number for number, one in enumerate(profile.rules) if one is winner)
    return tuple(one for one in profile.rules[next(places, -1) + 1 :] if one.is_conditional and one.private is None)


def name_of(tag: int) -> str:
    """Return the keyword of an attribute; empty where the dictionary has none."""
    return _keywords().get(tag, "")


@cache
def _keywords() -> dict[int, str]:
    return {tag: keyword for keyword, tag in keyword_tags().items()}


def loosened(profile: Profile) -> tuple[Loosening, ...]:
    """Return everything that the profile keeps and its options and the table would not, each with its line."""
    bare = replace(profile, rules=())
    found = [one for rule in profile.rules if (one := _loosening(rule, bare) or _by_recipe(rule)) is not None]
    words = len(profile.vocabulary.words) + sum(map(len, profile.vocabulary.phrases.values()))
    if words:
        what = f"{words} word{'s' * (words > 1)} and phrases of the site"
        found.append(Loosening(place="vocabulary", subject=what, action="stay in text", instead_of="go", reason=""))
    policy = profile.sop_classes
    found += [
        Loosening(place="sop_classes: keep", subject=kept, action="go on", instead_of="are left out", reason="")
        for kept in (*sorted(policy.keep), *sorted(policy.keep_uids))
    ]
    return (*found, *_loosened_pixels(profile.pixel_policy))


def _loosened_pixels(policy: PixelPolicy) -> Iterator[Loosening]:
    """Tell what stays in pixels that the defaults make black."""
    if policy.outside_regions is OutsideRegions.READ:
        yield Loosening(
            place="pixels: outside_ultrasound_regions",
            subject="what lies outside the regions of an ultrasound",
            action="read like the rest",
            instead_of="blank",
            reason="",
        )
    if not policy.device_masks:
        what = "rectangles where a device is known to write"
        yield Loosening(
            place="pixels: device_masks", subject=what, action="read like the rest", instead_of="blank", reason=""
        )
    if policy.words:
        what = f"{len(policy.words)} word{'s' * (len(policy.words) > 1)} of the site"
        yield Loosening(
            place="pixels: words", subject=what, action="stay in pixels", instead_of="are redacted or held", reason=""
        )


def _by_recipe(rule: Rule) -> Loosening | None:
    """Tell of a line of a recipe that it keeps more than the rules before it, whatever options and table would keep."""
    if not rule.instead_of or rule.tags is None:
        return None
    return _listed(rule, rule.tags.value, rule.instead_of)


def _loosening(rule: Rule, bare: Profile) -> Loosening | None:
    if rule.private is not None:
        if rule.action != Action.KEEP or _is_listed(rule.private):
            return None
        return Loosening(place=rule.place, subject=rule.subject, action="K", instead_of="X", reason=rule.reason)
    if rule.tags is None or not rule.tags.is_exact:
        return _loosened_sequences(rule, bare)
    tag = rule.tags.value
    if vr_table().get(tag) == "AS" and bare.age == "remove":
        return None
    code = bare.base_code(tag)
    is_sequence = vr_table().get(tag) == "SQ"
    before = _rank(code, is_sequence=is_sequence) if code is not None else _rank_by_vr(tag, bare)
    if _rank(rule.action, is_sequence=is_sequence) <= before:
        return None
    return _listed(rule, tag, code or WORDS[Decisions(bare, None).decide(tag, ())])


def _listed(rule: Rule, tag: int, instead_of: str) -> Loosening:
    subject = f"{tag_text(tag)} {name_of(tag)}".strip()
    return Loosening(place=rule.place, subject=subject, action=rule.action, instead_of=instead_of, reason=rule.reason)


def _loosened_sequences(rule: Rule, bare: Profile) -> Loosening | None:
    """Tell of a rule for many attributes that it keeps the form of sequences, with their items, that would go."""
    if _rank(rule.action) == 0:
        return None
    for tag, vr in vr_table().items():
        if vr == "SQ" and not is_always_gone(tag) and rule.fits(tag, vr, rule.inside or ()):
            code = bare.base_code(tag)
            if code is not None and _rank(code, is_sequence=True) == 0:
                return Loosening(
                    place=rule.place,
                    subject=f"{rule.subject}: sequences",
                    action=rule.action,
                    instead_of=code,
                    reason=rule.reason,
                )
    return None


def _is_listed(private: PrivateElements) -> bool:
    if private.group is None or private.element is None:
        return False
    vr = safe_private_rows().get((private.creator, private.group, private.element))
    return bool(vr) and private.vr in {"", vr}


def _rank(code: str, *, is_sequence: bool = False) -> int:
    """Return how much a code keeps; of a compound code the most that it can."""
    if is_sequence and code == Action.UID:
        # The items stay, and each of their values meets its own decision.
        return _CLEANED
    return max(_KEPT_BY_RANK[Action(part.rstrip("*"))] for part in code.split("/"))


def _rank_by_vr(tag: int, bare: Profile) -> int:
    """Return how much stays of an attribute that Table E.1-1 does not name."""
    vr = vr_table().get(tag)
    if vr is None or is_always_gone(tag):
        return 0
    if bare.keeps_vr(vr):
        return _KEPT
    if vr in TEXT_VRS:
        return _CLEANED if tag in text_rules() else 1
    if vr in {"DA", "DT", "TM", "CS"}:
        return _CLEANED
    return 1 if vr in {"UI", "PN", "OB", "UN", "UR", "AE", "AS"} else _KEPT
