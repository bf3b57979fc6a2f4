"""The profile language: a YAML text that names a base, options, rules and policies, checked line by line.

What contradicts itself is refused with a sentence: which of two wishes was meant, nobody can know.
"""

import re
from typing import NoReturn

import yaml

from deidentify.actions import ALL_CODES, Action
from deidentify.dictionary import TEXT_VRS, vr_table
from deidentify.errors import ProfileError
from deidentify.profile import FULL_DATES, MODIFIED_DATES, Rule
from deidentify.results import DropReason

_KEYS = ("name", "description", "base", "options", "rules", "private", "dates", "text", "age", "pixels", "sop_classes")
OPTIONS = (
    "retain-safe-private",
    "retain-uids",
    "retain-device-identity",
    "retain-institution-identity",
    "retain-patient-characteristics",
    "retain-longitudinal-full-dates",
    "retain-longitudinal-modified-dates",
    "clean-descriptors",
    "clean-structured-content",
    "clean-graphics",
    "clean-pixel-data",
    "clean-recognizable-visual-features",
)
"""The options of PS3.15 Annex E as a profile names them."""
_POLICIES: dict[str, dict[str, str | None]] = {
    "dates": {"shift": MODIFIED_DATES, "keep": FULL_DATES, "remove": None},
    "text": {"vocabulary": "clean_descriptors", "remove": None},
    "private": {"remove": None, "safe": "retain_safe_private"},
    "pixels": {"screen": "clean_pixel_data"},
}
"""Key → its values, and the option that each of them is. The first is the default."""
_DROPPABLE = tuple(reason.value for reason in DropReason if reason is not DropReason.PROFILE)
_TAG = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)")
_CLEANABLE_VRS = TEXT_VRS | {"DA", "DT", "TM", "CS", "SQ", "AE"}
_PATIENT_NUMBERS = frozenset((0x00100020, 0x00100021, 0x00101000, 0x00101002, 0x00104000, 0x00380010))


class ProfileText:
    """Walks the YAML nodes, which know their lines."""

    def __init__(self, text: str) -> None:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            raise ProfileError(f"line {line}: this is not YAML: {error.problem}") from None
        except yaml.YAMLError:
            raise ProfileError("line 1: this is not YAML") from None
        if root is None:
            raise ProfileError("line 1: the profile is empty; it needs at least name and base")
        self._fields = self._mapping(root, _KEYS, "profile")
        for key in ("name", "base"):
            if key not in self._fields:
                raise ProfileError(f"line 1: the profile has no {key}")
        self._one_of("base", ("basic",), "basic")
        self._named = self._named_options()
        self._policies = {key: self._policy(key) for key in _POLICIES}

    def name(self) -> str:
        """Return the name."""
        name = self._scalar("name", "")
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
            self._fail(self._fields["name"], "name must be lower case letters, digits and dashes, at most 40")
        return name

    def description(self) -> str:
        """Return the description, or nothing."""
        return self._scalar("description", "")

    def dates(self) -> str:
        """Return what becomes of dates."""
        return self._policies["dates"]

    def text(self) -> str:
        """Return what becomes of text."""
        return self._policies["text"]

    def options(self) -> frozenset[str]:
        """Return the options by their names in the tables, those of the keys included."""
        of_keys = {_POLICIES[key][value] for key, value in self._policies.items()}
        return frozenset(self._named) | {option for option in of_keys if option}

    def age(self) -> str:
        """Return what becomes of Patient's Age (0010,1010)."""
        age = self._one_of("age", ("band", "remove"), "remove")
        if age == "band" and "retain_patient_characteristics" not in self._named:
            self._fail(self._fields["age"], "age: band needs the option retain-patient-characteristics")
        return age

    def _named_options(self) -> dict[str, yaml.Node]:
        """Return the options of the list by their names in the tables, with their places."""
        named: dict[str, yaml.Node] = {}
        for node in self._list("options"):
            value = self._text(node)
            option = value.replace("-", "_")
            if value not in OPTIONS:
                self._fail(node, f"unknown option {value!r}; there are: {', '.join(OPTIONS)}")
            if option in named:
                self._fail(node, f"{value} stands twice")
            if option in {FULL_DATES, MODIFIED_DATES} and {FULL_DATES, MODIFIED_DATES} & set(named):
                self._fail(node, "dates are kept in full or modified, not both: choose one of the two options")
            named[option] = node
        return named

    def _policy(self, key: str) -> str:
        """Return the value of a key that chooses an option, written as the key or as the option itself."""
        values = _POLICIES[key]
        value = self._one_of(key, tuple(values), next(iter(values)))
        for name, option in values.items():
            if option in self._named and option is not None and name != value:
                if key in self._fields:
                    self._fail(
                        self._named[option],
                        f"{option.replace('_', '-')} contradicts '{key}: {value}'; it is '{key}: {name}'",
                    )
                return name
        return value

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules."""
        rules: dict[int, Rule] = {}
        for node in self._list("rules"):
            fields = self._mapping(node, ("tag", "action", "reason"), "rule")
            missing = [key for key in ("tag", "action", "reason") if key not in fields]
            if missing:
                self._fail(node, f"the rule has no {' and no '.join(missing)}")
            match = _TAG.fullmatch(self._text(fields["tag"]))
            if match is None:
                self._fail(fields["tag"], 'a tag is written "(gggg,eeee)" with hexadecimal digits')
            tag = int(match[1] + match[2], 16)
            action = self._text(fields["action"])
            if action not in ALL_CODES:
                self._fail(fields["action"], f"unknown action {action!r}; there are: {', '.join(sorted(ALL_CODES))}")
            if _is_never_kept(tag):
                self._fail(fields["tag"], "this group cannot be kept or changed by a rule")
            if tag in rules:
                self._fail(fields["tag"], "this tag has a rule already")
            sentence = self._contradiction(tag, action)
            if sentence:
                self._fail(fields["action"], sentence)
            rules[tag] = Rule(tag=tag, action=action, reason=self._text(fields["reason"]))
        return tuple(rules.values())

    def _contradiction(self, tag: int, action: str) -> str:
        """Return why a rule cannot be meant so; empty when it can."""
        vr, dates, keeps_uids = vr_table().get(tag), self.dates(), "retain_uids" in self._named
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

    def drop(self) -> frozenset[DropReason]:
        """Return what is left out; all that there is where the profile does not say."""
        if "sop_classes" not in self._fields:
            return frozenset(DropReason(value) for value in _DROPPABLE)
        fields = self._mapping(self._fields["sop_classes"], ("drop",), "sop_classes")
        chosen = set()
        for node in self._list_of(fields["drop"], "drop") if "drop" in fields else ():
            value = self._text(node)
            if value not in _DROPPABLE:
                self._fail(node, f"unknown class {value!r}; there are: {', '.join(_DROPPABLE)}")
            chosen.add(DropReason(value))
        return frozenset(chosen)

    def _mapping(self, node: yaml.Node, allowed: tuple[str, ...], what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"the {what} must be keys and values")
        fields: dict[str, yaml.Node] = {}
        for key_node, value_node in node.value:
            key = self._text(key_node)
            if key not in allowed:
                self._fail(key_node, f"unknown key {key!r} in the {what}; there are: {', '.join(allowed)}")
            if key in fields:
                self._fail(key_node, f"key {key!r} stands twice")
            fields[key] = value_node
        return fields

    def _list(self, key: str) -> list[yaml.Node]:
        return self._list_of(self._fields[key], key) if key in self._fields else []

    def _list_of(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, f"{what} must be a list")
        return list(node.value)

    def _scalar(self, key: str, default: str) -> str:
        return self._text(self._fields[key]) if key in self._fields else default

    def _one_of(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self._scalar(key, default)
        if value not in allowed:
            self._fail(self._fields[key], f"{key} is {value!r}; it can be: {', '.join(allowed)}")
        return value

    def _text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._fail(node, "here must stand a single value")
        return str(node.value)

    @staticmethod
    def _fail(node: yaml.Node, sentence: str) -> NoReturn:
        raise ProfileError(f"line {node.start_mark.line + 1}: {sentence}")


def _is_never_kept(tag: int) -> bool:
    """Tell whether no rule speaks of an attribute: private, commands, directories, signatures, drawings, pixels.

    Pixel data stay at the top, where the pixel screen reads them, and go everywhere else.
    """
    group = tag >> 16
    return bool(group & 1) or group < 8 or group in {0x0400, 0x7FE0} or group & 0xFF00 in {0x5000, 0x6000}  # noqa: PLR2004
