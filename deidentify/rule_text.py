"""The rules of a profile as they are written: selectors, conditions, and what no rule can mean."""

import re

import yaml

from deidentify.actions import ALL_CODES, Action
from deidentify.condition_text import ConditionText, tag_of, tag_of_keyword
from deidentify.dataset import tag_text
from deidentify.decisions import MARKERS, is_always_gone
from deidentify.dictionary import TEXT_VRS, registered_uids, uid_names, vr_table
from deidentify.errors import ProfileError
from deidentify.rules import (
    NEEDED_TO_READ,
    Path,
    PrivateElements,
    Rule,
    Tags,
)
from deidentify.yaml_nodes import fail, line_of, list_of, mapping_of, text_of, texts_of

MOST_RULES = 2000
"""Of one profile with those that it is built on."""
SELECTORS = ("tag", "keyword", "vr", "private")
RULE_KEYS = (*SELECTORS, "action", "reason", "inside", "only", "when")
_CLEANABLE_VRS = TEXT_VRS | {"DA", "DT", "TM", "CS", "SQ", "AE"}
_PATIENT_NUMBERS = frozenset((0x00100020, 0x00100021, 0x00101000, 0x00101002, 0x00104000, 0x00380010))
_REMOVING = frozenset((Action.REMOVE, Action.EMPTY, Action.DUMMY, "Z/D", "X/Z", "X/D", "X/Z/D"))
_RECOGNIZABLE = 0x00280302
_ICONS = 0x00880200
_TAG_FORM = 'a tag is written "(gggg,eeee)" with hexadecimal digits, x for any digit'
_PRIVATE_ELEMENT = re.compile(r"\(([0-9A-Fa-f]{4}),(?:xx|XX|[0-9A-Fa-f]{2})([0-9A-Fa-f]{2})\)")
PRIVATE_VRS = ("US", "SS", "UL", "SL", "FL", "FD", "DS", "IS", "CS", "LO", "SH", "ST", "LT", "UT", "UC", "UI", "SQ")


class RuleText:
    """Reads rules under the policies of their profile."""

    def __init__(
        self,
        *,
        dates: str,
        keeps_uids: bool,
        keeps_private: bool,
        profile: str = "",
        before: int = 0,
        conditions: ConditionText | None = None,
    ) -> None:
        self._dates, self._keeps_uids, self._keeps_private = dates, keeps_uids, keeps_private
        self._profile, self._before = profile, before
        self._conditions = conditions or ConditionText()

    def rules(self, nodes: list[yaml.Node], faults: list[str], inherited: int = 0) -> tuple[Rule, ...]:
        """Return the rules that can be meant; what is wrong with the others is added to ``faults``.

        ``inherited`` is how many there are already.
        """
        found: list[Rule] = []
        if nodes and (count := len(nodes) + inherited) > MOST_RULES:
            with_base = ", those of the base included" if inherited else ""
            sentence = f"there are {count:,} rules{with_base}; at most {MOST_RULES:,} are read"
            faults.append(f"line {line_of(nodes[0])}: {sentence}")
            return ()
        stood: dict[Rule, str] = {}
        for number, node in enumerate(nodes, 1):
            try:
                rule = self._rule(node)
            except ProfileError as error:
                line, _, sentence = str(error).partition(": ")
                faults.append(f"{line}: rule {number}: {sentence}")
                continue
            same = Rule(**{name: getattr(rule, name) for name in _SAME}, action="", reason="")
            if same in stood:
                faults.append(f"line {line_of(node)}: rule {number}: {stood[same]} is about the same; keep one of them")
            stood[same] = rule.place
            found.append(rule)
        return tuple(found)

    def _rule(self, node: yaml.Node) -> Rule:
        fields = mapping_of(node, RULE_KEYS, "rule")
        missing = [key for key in ("action", "reason") if key not in fields]
        chosen = [key for key in SELECTORS if key in fields]
        if not chosen:
            missing.insert(0, "tag, keyword, vr or private")
        if missing:
            fail(node, f"the rule has no {' and no '.join(missing)}")
        if len(chosen) > 1:
            fail(fields[chosen[1]], f"the rule has {' and '.join(chosen)}; it is about one of them")
        action, reason = text_of(fields["action"]), text_of(fields["reason"]).strip()
        if action not in ALL_CODES:
            fail(fields["action"], f"unknown action {action!r}; there are: {', '.join(sorted(ALL_CODES))}")
        if not reason:
            fail(fields["reason"], "the reason is empty; whoever reads the profile wants to know why")
        only = mapping_of(fields["only"], ("modality", "sop_class"), "key 'only'") if "only" in fields else {}
        if "only" in fields and not only:
            fail(fields["only"], "only says of nothing; leave the key out, or name a modality or sop_class")
        rule = Rule(
            action=action,
            reason=reason,
            tags=self._tags(fields),
            vrs=_vrs(fields["vr"]) if "vr" in fields else frozenset(),
            private=_private(fields["private"]) if "private" in fields else None,
            inside=_inside(fields["inside"]) if "inside" in fields else None,
            modalities=_modalities(only["modality"]) if "modality" in only else frozenset(),
            sop_classes=sop_classes_of(only["sop_class"]) if "sop_class" in only else frozenset(),
            conditions=self._conditions.conditions(fields["when"]) if "when" in fields else (),
            place=place_of(node, self._profile, self._before),
        )
        sentence = self.contradiction(rule)
        if sentence:
            fail(fields["action"], sentence)
        return rule

    def _tags(self, fields: dict[str, yaml.Node]) -> Tags | None:
        if "keyword" in fields:
            tags: Tags | None = Tags(value=tag_of_keyword(fields["keyword"]))
            node = fields["keyword"]
        elif "tag" in fields:
            node = fields["tag"]
            tags = Tags.of(text_of(node))
            if tags is None:
                fail(node, _TAG_FORM)
        else:
            return None
        assert tags is not None
        sentence = _untouchable(tags)
        if sentence:
            fail(node, sentence)
        return tags

    def refusal(self, rule: Rule) -> str:
        """Return why there can be no such rule, wherever it was made; empty when there can."""
        untouchable = _untouchable(rule.tags) if rule.tags is not None else ""
        return untouchable or _no_sequence(rule.inside or ()) or self.contradiction(rule)

    def contradiction(self, rule: Rule) -> str:
        """Return why a rule cannot be meant so; empty when it can."""
        if rule.private is not None:
            return self._private_contradiction(rule)
        if rule.tags is None or not rule.tags.is_exact:
            if rule.action in _REMOVING:
                return ""
            what = "a kind of value" if rule.tags is None else "a group"
            return f"a rule for {what} only takes out (X, Z, D, compounds); keep or clean one attribute at a time"
        return self._tag_contradiction(rule.tags.value, rule.action)

    def _private_contradiction(self, rule: Rule) -> str:
        if rule.action not in {Action.KEEP, Action.REMOVE}:
            return "private elements are kept (K, cleaned by their VR as those that the Standard lists) or removed (X)"
        if rule.action == Action.KEEP and not self._keeps_private:
            return "under 'private: remove' all private elements go; choose 'private: safe'"
        return ""

    def _tag_contradiction(self, tag: int, action: str) -> str:
        if tag == _ICONS and action not in _REMOVING:
            return "an icon is a picture that nobody screens; its pixels are never written, so that it cannot be kept"
        vr, dates, keeps_uids = vr_table().get(tag), self._dates, self._keeps_uids
        reasons: dict[str, tuple[tuple[bool, str], ...]] = {
            Action.KEEP: (
                (vr is None, "no attribute of that tag is known, so it cannot be kept"),
                (
                    vr == "PN" or tag in _PATIENT_NUMBERS,
                    "this names a person: no rule keeps it in a file that says that identity was removed",
                ),
                (
                    vr == "UI" and not keeps_uids,
                    "a UID that is kept while its references are replaced breaks them; choose the option retain-uids",
                ),
                (
                    vr in {"DA", "DT"} and dates != "keep",
                    f"'dates: {dates}' and one date that is kept: it would give the others away",
                ),
            ),
            Action.UID: (
                (vr not in {"UI", "SQ"}, "only UIDs can be replaced by UIDs"),
                (keeps_uids, "the option retain-uids keeps UIDs; one that is replaced loses its references"),
            ),
            Action.CLEAN: (
                (vr not in _CLEANABLE_VRS, "values of this kind cannot be cleaned; it can be: D, K, X, Z"),
                (
                    vr in {"DA", "DT"} and dates != "shift",
                    f"with 'dates: {dates}' there is no number of days by which this date could be moved",
                ),
            ),
        }
        simple = Action.UID if action == "X/Z/U*" else action
        return next((sentence for applies, sentence in reasons.get(simple, ()) if applies), "")


def place_of(node: yaml.Node, profile: str, before: int) -> str:
    """Return where a node stands: its line, in a profile that another one is built on with that one's name."""
    return f"{profile}, line {line_of(node) - before}" if profile else f"line {line_of(node)}"


_SAME = ("tags", "vrs", "private", "inside", "modalities", "sop_classes", "conditions")


def _untouchable(tags: Tags) -> str:
    """Return why no rule can be about a tag; empty when one can."""
    if tags.is_exact and tags.value in NEEDED_TO_READ:
        return "without this attribute nobody can read the object, so that no rule changes it"
    if tags.is_exact and (tags.value in MARKERS or tags.value == _RECOGNIZABLE):
        return "this says what was done to the object; it is written anew, and no rule changes it"
    if tags.is_exact and is_always_gone(tags.value) and not tags.value >> 16 & 1:
        return "this attribute goes whatever a rule says; it cannot be kept or changed by one"
    group = Tags(value=tags.value >> 16, mask=tags.mask >> 16)
    if group.mask & 0xFF00 != 0xFF00:  # noqa: PLR2004 - both digits
        return "the first two digits of the group have to be told"
    return "this group cannot be kept or changed by a rule" if _is_never_kept(group) else ""


def _is_never_kept(group: Tags) -> bool:
    """Tell whether a group goes whatever a rule says: private, commands, directories, signatures, drawings."""
    high = group.value & 0xFF00
    if high in {0x5000, 0x6000} or (group.value == 0x0400 and group.mask == 0xFFFF):  # noqa: PLR2004
        return True
    is_low = high == 0 and group.mask == 0xFFFF and group.value < 8  # noqa: PLR2004 - commands and file meta
    return is_low or bool(group.mask & 1 and group.value & 1)


def _vrs(node: yaml.Node) -> frozenset[str]:
    known = set(vr_table().values())
    found = set()
    for vr, place in texts_of(node, "vr"):
        if vr not in known:
            fail(place, f"there is no VR {vr!r}; there are: {', '.join(sorted(known))}")
        found.add(vr)
    return frozenset(found)


def _private(node: yaml.Node) -> PrivateElements:
    fields = mapping_of(node, ("creator", "element", "vr"), "key 'private'")
    if "creator" not in fields:
        fail(node, "private elements are known by their creator; add 'creator'")
    creator = text_of(fields["creator"]).strip()
    if not creator or not creator.isascii() or len(creator) > 64:  # noqa: PLR2004 - VR LO
        fail(fields["creator"], "a creator has 1 to 64 characters of ASCII")
    vr = text_of(fields["vr"]) if "vr" in fields else ""
    if vr and vr not in PRIVATE_VRS:
        fail(
            fields["vr"],
            f"private elements of VR {vr!r} cannot be looked through; there are: {', '.join(PRIVATE_VRS)}",
        )
    if "element" not in fields:
        return PrivateElements(creator=creator, vr=vr)
    match = _PRIVATE_ELEMENT.fullmatch(text_of(fields["element"]))
    if match is None or not int(match[1], 16) & 1:
        fail(
            fields["element"],
            'a private element is written "(gggg,xxee)" with an odd group; xx is whatever block it is in',
        )
    return PrivateElements(creator=creator, group=int(match[1], 16), element=int(match[2], 16), vr=vr)


def _inside(node: yaml.Node) -> tuple[int, ...]:
    found = []
    for one in list_of(node, "inside"):
        tag = tag_of(one)
        if sentence := _no_sequence((tag,)):
            fail(one, sentence)
        found.append(tag)
    return tuple(found)


def _no_sequence(path: Path) -> str:
    """Return which of the attributes around another one is no sequence; empty when all are."""
    return next((f"{tag_text(tag)} is no sequence" for tag in path if vr_table().get(tag) != "SQ"), "")


def _modalities(node: yaml.Node) -> frozenset[str]:
    found = set()
    for text, place in texts_of(node, "modality"):
        if not re.fullmatch(r"[A-Z0-9_]{1,16}", text):
            fail(place, f"a modality is written as in Modality (0008,0060), for instance CT or MR, not {text!r}")
        found.add(text)
    return frozenset(found)


def sop_classes_of(node: yaml.Node) -> frozenset[str]:
    """Return the UIDs of SOP Classes that are given by UID or name."""
    return frozenset(sop_class_uid(text, place) for text, place in texts_of(node, "sop_class"))


def sop_class_uid(text: str, node: yaml.Node) -> str:
    """Return the UID of a SOP Class that is given by UID or by its name in PS3.6."""
    if re.fullmatch(r"[0-2](\.(0|[1-9]\d*))+", text, re.ASCII) and len(text) <= 64:  # noqa: PLR2004 - VR UI
        if text.startswith("1.2.840.10008.") and registered_uids().get(text) != "SOP Class":
            fail(node, f"{text} is no SOP Class of the Standard")
        return text
    uid = uid_names().get(" ".join(text.casefold().split()))
    if uid is None:
        fail(node, f"there is no SOP Class {text!r}; write its UID, or its name as in PS3.6: CT Image Storage")
    return uid
