"""The profile language: a YAML text that names a base, options, rules and policies, checked line by line."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import NoReturn

import yaml

from deidentify.actions import ALL_CODES
from deidentify.errors import ProfileError
from deidentify.results import DropReason
from deidentify.tables import attribute_rows

_KEYS = ("name", "description", "base", "options", "rules", "private", "dates", "text", "age", "pixels", "sop_classes")
_OPTIONS = (
    "retain-uids",
    "retain-device-identity",
    "retain-institution-identity",
    "retain-patient-characteristics",
    "clean-structured-content",
)
_DATE_OPTIONS = {
    "shift": "retain_longitudinal_modified_dates",
    "keep": "retain_longitudinal_full_dates",
    "remove": None,
}
_TEXT_OPTIONS = {"vocabulary": "clean_descriptors", "remove": None}
_DROPPABLE = tuple(reason.value for reason in DropReason if reason is not DropReason.PROFILE)
_TAG = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One attribute that the profile treats in its own way, and why."""

    tag: int
    action: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How instances are de-identified. ``revision`` is the hash of its text, 16 hexadecimal digits."""

    name: str
    revision: str
    description: str = ""
    options: frozenset[str] = frozenset()
    """Options of PS3.15 Annex E by their names in the tables."""
    rules: tuple[Rule, ...] = ()
    dates: str = "shift"
    text: str = "vocabulary"
    age: str = "remove"
    drop: frozenset[DropReason] = frozenset()
    _codes: dict[int, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_yaml(cls, text: str) -> "Profile":
        """Read a profile.

        Raises
        ------
        ProfileError
            Naming the line, what is wrong there and what could stand there.
        """
        return _Reader(text).profile()

    def code(self, tag: int) -> str | None:
        """Return the action code of an attribute, options and rules applied; None outside Table E.1-1."""
        return self._codes.get(tag)

    def keeps(self, tag: int, vr: str) -> bool:
        """Tell whether values of this attribute stay as they are, on purpose."""
        code = self._codes.get(tag)
        return code == "K" or (code is None and vr in {"DA", "DT"} and self.dates == "keep")

    def concept_code(self, basic: str, options: dict[str, str]) -> str:
        """Return the code of a table row under this profile's options; keeping wins over cleaning."""
        chosen = {code for name, code in options.items() if name in self.options}
        return "K" if "K" in chosen else "C" if "C" in chosen else basic

    def __post_init__(self) -> None:
        """Resolve the options and rules once."""
        for tag, row in attribute_rows().items():
            self._codes[tag] = self.concept_code(row.basic, row.options)
        for rule in self.rules:
            self._codes[rule.tag] = rule.action


class _Reader:
    """Walks the YAML nodes, which know their lines."""

    def __init__(self, text: str) -> None:
        self._revision = hashlib.sha256(text.encode()).hexdigest()[:16]
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

    def profile(self) -> Profile:
        for key in ("name", "base"):
            if key not in self._fields:
                raise ProfileError(f"line 1: the profile has no {key}")
        self._one_of("base", ("basic",), "basic")
        self._one_of("private", ("remove",), "remove")
        self._one_of("pixels", ("screen",), "screen")
        dates = self._one_of("dates", tuple(_DATE_OPTIONS), "shift")
        text = self._one_of("text", tuple(_TEXT_OPTIONS), "vocabulary")
        if self._scalar("age", "remove") == "band" and "retain_patient_characteristics" not in self._options():
            self._fail(self._fields["age"], "age: band needs the option retain-patient-characteristics")
        options = {_DATE_OPTIONS[dates], _TEXT_OPTIONS[text]} - {None}
        return Profile(
            name=self._name(),
            revision=self._revision,
            description=self._scalar("description", ""),
            options=frozenset(option for option in options if option) | self._options(),
            rules=self._rules(),
            dates=dates,
            text=text,
            age=self._one_of("age", ("band", "remove"), "remove"),
            drop=self._drop(),
        )

    def _name(self) -> str:
        name = self._scalar("name", "")
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
            self._fail(self._fields["name"], "name must be lower case letters, digits and dashes, at most 40")
        return name

    def _options(self) -> frozenset[str]:
        chosen = set()
        for node in self._list("options"):
            value = self._text(node)
            if value.replace("-", "_") in {*_DATE_OPTIONS.values(), *_TEXT_OPTIONS.values()}:
                self._fail(node, f"{value} is chosen by the keys 'dates' and 'text', not here")
            if value not in _OPTIONS:
                self._fail(node, f"unknown option {value!r}; there are: {', '.join(_OPTIONS)}")
            chosen.add(value.replace("-", "_"))
        return frozenset(chosen)

    def _rules(self) -> tuple[Rule, ...]:
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
            if tag >> 16 & 1 or tag >> 16 < 8:  # noqa: PLR2004 - private, command, meta and directory groups
                self._fail(fields["tag"], "this group cannot be kept or changed by a rule")
            if tag in rules:
                self._fail(fields["tag"], "this tag has a rule already")
            rules[tag] = Rule(tag=tag, action=action, reason=self._text(fields["reason"]))
        return tuple(rules.values())

    def _drop(self) -> frozenset[DropReason]:
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
