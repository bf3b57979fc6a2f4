"""The profile language: a YAML text that names a base, options, rules and policies, checked line by line.

What contradicts itself is refused with a sentence: which of two wishes was meant, nobody can know.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

import yaml

from deidentify.condition_text import ConditionText
from deidentify.disposition import kind_of_class
from deidentify.errors import ProfileError
from deidentify.layers import held_beside, with_layers
from deidentify.pixel_policy import DEFAULT_POLICY, PixelPolicy
from deidentify.pixel_text import SCREEN, pixel_policy_of
from deidentify.profile import FULL_DATES, KEEPABLE, MODIFIED_DATES, Doubt, Profile, SopClasses
from deidentify.recipe_beside import Layer, RecipeBeside
from deidentify.recipe_document import ProfileDocument, profile_documents, recipe_beside
from deidentify.results import DropReason
from deidentify.rule_text import RuleText, place_of, sop_class_uid
from deidentify.rules import Rule
from deidentify.site_words import NO_WORDS, SiteWords
from deidentify.vocabulary import words_of
from deidentify.yaml_nodes import documents, fail, line_of, list_of, mapping_of, text_of

T = TypeVar("T")

KEYS = (
    *(
        "name",
        "description",
        "base",
        "recipe",
        "options",
        "rules",
        "private",
        "dates",
        "text",
        "vocabulary",
        "age",
        "pixels",
    ),
    *("sop_classes", "hold"),
)
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
POLICIES: dict[str, dict[str, str | None]] = {
    "dates": {"shift": MODIFIED_DATES, "keep": FULL_DATES, "remove": None},
    "text": {"vocabulary": "clean_descriptors", "remove": None},
    "private": {"remove": None, "safe": "retain_safe_private"},
    "pixels": {SCREEN: "clean_pixel_data"},
}
"""Key → its values, and the option that each of them is. The first is the default."""
AGES = ("band", "remove")
BASIC = "basic"
DROPPABLE = tuple(reason.value for reason in DropReason if reason not in {DropReason.PROFILE, DropReason.REVIEW})
_LINE = re.compile(r"line (\d+)")
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
MOST_WORDS = 2000
_LONGEST_ENTRY = 64
_MOST_PROFILES = 8


def profile_of(text: str, revision: str) -> Profile:
    """Read a profile and, behind it, those that it is built on.

    Raises
    ------
    ProfileError
        With a sentence for each fault, one a line.
    """
    nodes = documents(text)
    if not nodes:
        raise ProfileError("line 1: the profile is empty; it needs at least name and base")
    found = profile_documents(nodes)
    if len(found) > _MOST_PROFILES:
        raise ProfileError(f"line {line_of(found[-1].root)}: more than {_MOST_PROFILES} profiles stand in one text")
    known: dict[str, Profile] = {}
    conditions, names = ConditionText(), [_called(one.root) for one in found]
    for number, one in reversed(list(enumerate(found))[1:]):
        above = frozenset(names[: number + 1])
        try:
            base = ProfileText(one, known, conditions, above=above).profile(revision)
        except ProfileError as error:
            raise ProfileError(_in_its_own_lines(str(error), names[number] or "the base", one.before)) from None
        known[base.name] = base
    _check_names(found, names)
    return ProfileText(found[0], known, conditions, above=frozenset(names[:1])).profile(revision)


def _check_names(found: list[ProfileDocument], names: list[str]) -> None:
    """Refuse a text in which a name stands twice: an older profile of that name below a newer one is a circle too."""
    for number in range(1, len(found)):
        if names[number] and names[number] in names[:number]:
            above, lines_above = found[number - 1].root, found[number - 1].before
            fault = f"line {_line_of_base(above)}: the bases go round in a circle by way of {names[number]!r}"
            fault += f"; the last one needs {BASIC}"
            raise ProfileError(_in_its_own_lines(fault, names[number - 1], lines_above) if number > 1 else fault)


def _line_of_base(root: yaml.Node) -> int:
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return next((line_of(value) for key, value in pairs if key.value == "base"), line_of(root))


def _called(root: yaml.Node) -> str:
    """Return the name of a profile that has not been read yet; empty where it has none."""
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return next(
        (str(value.value) for key, value in pairs if key.value == "name" and NAME.fullmatch(str(value.value))), ""
    )


def _in_its_own_lines(faults: str, name: str, before: int) -> str:
    """Return faults of a base by the lines of its own text."""
    return "\n".join(
        f"{name}, line {int(match[1]) - before}{fault[match.end() :]}" if (match := _LINE.match(fault)) else fault
        for fault in faults.splitlines()
    )


def _line_of_fault(fault: str) -> int:
    match = _LINE.match(fault)
    return int(match[1]) if match else 0


class ProfileText:
    """Walks the nodes of one profile, which know their lines."""

    def __init__(
        self,
        document: ProfileDocument,
        known: dict[str, Profile],
        conditions: ConditionText,
        *,
        above: frozenset[str],
    ) -> None:
        root, self._document = document.root, document
        self._faults: list[str] = []
        self._fields = mapping_of(root, KEYS, "profile", self._faults)
        self._faults += [
            f"line {line_of(root)}: the profile has no {key}" for key in ("name", "base") if key not in self._fields
        ]
        if not {"name", "base"} <= set(self._fields):
            raise ProfileError("\n".join(self._faults))
        self._before, self._conditions, self._above = document.before, conditions, above
        self._base = self._try(lambda: self._named_base(known), None)
        nothing_named: dict[str, yaml.Node] = {}
        self._named = self._try(self._named_options, nothing_named)
        self._policies = {
            key: self._try(partial(self._policy, key), next(iter(values))) for key, values in POLICIES.items()
        }

    def profile(self, revision: str) -> Profile:
        """Return the profile.

        Raises
        ------
        ProfileError
            With all faults.
        """
        base, options = self._base, self._options()
        no_doubts: tuple[Doubt, ...] = ()
        name = self._try(self._name, "")
        recipe = self._try(partial(self._recipe, name), None)
        bare = Profile(
            name=name,
            revision=revision,
            description=self._try(lambda: self._scalar("description", ""), ""),
            bases=(*base.bases, base.name) if base else (),
            options=options,
            dates=self._policies["dates"],
            text=self._policies["text"],
            vocabulary=(base.vocabulary if base else NO_WORDS) | self._try(self._site_words, NO_WORDS),
            age=self._try(lambda: self._age(options), "remove"),
            pixel_policy=self._pixel_policy(),
            sop_classes=self._try(lambda: self._sop_classes(options), SopClasses()),
            doubts=(
                *(base.doubts if base else ()),
                *(self._try(partial(held_beside, recipe, self._conditions), no_doubts) if recipe else ()),
                *self._try(partial(self._doubts, name), no_doubts),
            ),
        )
        found = self._with_rules(bare, recipe)
        if not self._faults and base is not None:
            self._check_inherited(found, tuple(rule for layer in base.layers for rule in layer.rules))
        if self._faults:
            raise ProfileError("\n".join(sorted(dict.fromkeys(self._faults), key=_line_of_fault)))
        return found

    def _try(self, read: Callable[[], T], default: T) -> T:
        """Read one part; a fault of it is remembered, so that all are told at once."""
        try:
            return read()
        except ProfileError as error:
            self._faults.append(str(error))
            return default

    def _name(self) -> str:
        name = self._scalar("name", "")
        if not NAME.fullmatch(name):
            fail(self._fields["name"], "name must be lower case letters, digits and dashes, at most 40")
        if name == BASIC:
            fail(self._fields["name"], "'basic' is the Basic Profile of the Standard; choose another name")
        return name

    def _named_base(self, known: dict[str, Profile]) -> Profile | None:
        name = self._scalar("base", "")
        if name == BASIC:
            return None
        if name not in known and name in self._above:
            fail(self._fields["base"], f"the bases go round in a circle by way of {name!r}; the last one needs {BASIC}")
        if name not in known:
            others = f", {', '.join(sorted(known))}" if known else ""
            fail(self._fields["base"], f"there is no profile {name!r} to build on; it can be: {BASIC}{others}")
        return known[name]

    def _options(self) -> frozenset[str]:
        """Return the options by their names in the tables, those of the keys and of the base included."""
        of_keys = {POLICIES[key][value] for key, value in self._policies.items()}
        chosen_by_keys = {option for values in POLICIES.values() for option in values.values()}
        inherited = {option for option in (self._base.options if self._base else ()) if option not in chosen_by_keys}
        return frozenset(self._named) | inherited | {option for option in of_keys if option}

    def _age(self, options: frozenset[str]) -> str:
        age = self._one_of("age", AGES, self._base.age if self._base else "remove")
        if age == "band" and "retain_patient_characteristics" not in options:
            node = self._fields.get("age", self._fields["base"])
            fail(node, "age: band needs the option retain-patient-characteristics")
        return age

    def _named_options(self) -> dict[str, yaml.Node]:
        """Return the options of the list by their names in the tables, with their places."""
        named: dict[str, yaml.Node] = {}
        for node in self._list("options"):
            value = text_of(node)
            option = value.replace("-", "_")
            if value not in OPTIONS:
                fail(node, f"unknown option {value!r}; there are: {', '.join(OPTIONS)}")
            if option in named:
                fail(node, f"{value} stands twice")
            if option in {FULL_DATES, MODIFIED_DATES} and {FULL_DATES, MODIFIED_DATES} & set(named):
                fail(node, "dates are kept in full or modified, not both: choose one of the two options")
            named[option] = node
        return named

    def _policy(self, key: str) -> str:
        """Return the value of a key that chooses an option, written as the key or as the option itself."""
        values = POLICIES[key]
        if key == "pixels":
            return SCREEN  # read by itself: every profile screens, and may say more
        value = self._one_of(key, tuple(values), self._inherited(key))
        for name, option in values.items():
            if option in self._named and option is not None and name != value:
                if key in self._fields:
                    fail(
                        self._named[option],
                        f"{option.replace('_', '-')} contradicts '{key}: {value}'; it is '{key}: {name}'",
                    )
                return name
        return value

    def _inherited(self, key: str) -> str:
        values = POLICIES[key]
        if self._base is None:
            return next(iter(values))
        own = {"dates": self._base.dates, "text": self._base.text}
        return own.get(key) or next(
            (name for name, option in values.items() if option in self._base.options), next(iter(values))
        )

    def _pixel_policy(self) -> PixelPolicy:
        base = self._base.pixel_policy if self._base else DEFAULT_POLICY
        return pixel_policy_of(self._fields["pixels"], base, self._faults) if "pixels" in self._fields else base

    def _recipe(self, name: str) -> RecipeBeside | None:
        return recipe_beside(self._fields.get("recipe"), self._document.recipe, name if self._before else "")

    def _with_rules(self, bare: Profile, recipe: RecipeBeside | None) -> Profile:
        """Return the profile with the rules of its base, of its recipe, and its own."""
        below, mine = (self._base.layers if self._base else ()), Layer(recipe=recipe, rules=())
        found = self._try(partial(with_layers, bare, (*below, mine)), bare)
        own = self._rules(found)
        return replace(found, rules=(*found.rules, *own), layers=(*below, replace(mine, rules=own)))

    def _rules(self, found: Profile) -> tuple[Rule, ...]:
        """Return the profile's own rules; ``found`` has those that stand before them."""
        reader = RuleText(
            dates=self._policies["dates"],
            keeps_uids="retain_uids" in found.options,
            keeps_private="retain_safe_private" in found.options,
            profile=found.name if self._before else "",
            before=self._before,
            conditions=self._conditions,
        )
        return reader.rules(self._try(lambda: self._list("rules"), []), self._faults, len(found.rules))

    def _check_inherited(self, found: Profile, rules: tuple[Rule, ...]) -> None:
        """Refuse a rule of the base that cannot be meant under the policies that were changed."""
        reader = RuleText(
            dates=found.dates,
            keeps_uids="retain_uids" in found.options,
            keeps_private="retain_safe_private" in found.options,
        )
        for rule in rules:
            sentence = reader.contradiction(rule)
            if sentence:
                line = line_of(self._fields["base"])
                self._faults.append(f"line {line}: the rule of {rule.place} does not go with this profile: {sentence}")

    def _site_words(self) -> SiteWords:
        nodes = self._list("vocabulary")
        if len(nodes) > MOST_WORDS:
            fail(nodes[0], f"there are {len(nodes):,} words and phrases; at most {MOST_WORDS:,} are read")
        if nodes and self._policies["text"] == "remove":
            fail(self._fields["vocabulary"], "under 'text: remove' all text goes; choose 'text: vocabulary'")
        for node in nodes:
            entry = text_of(node)
            words = words_of(entry)
            if not words or len(entry) > _LONGEST_ENTRY or any(not word.isalnum() for word in words):
                fail(node, f"an entry is a word or a phrase of at most {_LONGEST_ENTRY} characters")
            if all(len(word) == 1 or word.isdigit() for word in words):
                fail(node, "an entry of digits or single letters would let record numbers and initials pass")
        return SiteWords.of(text_of(node) for node in nodes)

    def _doubts(self, name: str) -> tuple[Doubt, ...]:
        found = []
        for node in self._list("hold"):
            fields = mapping_of(node, ("name", "reason", "when"), "entry of hold")
            missing = [key for key in ("reason", "when") if key not in fields]
            if missing:
                fail(node, f"the entry has no {' and no '.join(missing)}")
            found.append(
                Doubt(
                    name=text_of(fields["name"]) if "name" in fields else "",
                    reason=text_of(fields["reason"]),
                    conditions=self._conditions.conditions(fields["when"]),
                    place=place_of(node, name if self._before else "", self._before),
                )
            )
        return tuple(found)

    def _sop_classes(self, options: frozenset[str]) -> SopClasses:
        """Return what is left out, held and kept; all that there is is left out where nothing is said."""
        start = self._base.sop_classes if self._base else SopClasses()
        if "sop_classes" not in self._fields:
            return start if self._base else SopClasses(drop=frozenset(DropReason(value) for value in DROPPABLE))
        fields = mapping_of(self._fields["sop_classes"], ("drop", "hold", "keep"), "sop_classes")
        kinds: dict[str, set[DropReason]] = {"drop": set(), "hold": set(), "keep": set()}
        uids: dict[str, set[str]] = {"drop": set(), "hold": set(), "keep": set()}
        seen: dict[str, str] = {}
        for key, listed in fields.items():
            for node in list_of(listed, key):
                value = text_of(node)
                what = value if value in DROPPABLE else self._class_uid(value, node)
                if what in seen:
                    fail(node, f"{value} stands under {seen[what]} as well; it is one of them")
                seen[what] = key
                if value not in DROPPABLE:
                    uids[key].add(what)
                else:
                    kinds[key].add(DropReason(value))
                if key == "keep":
                    self._check_kept(value, what, node, options)
        named_kinds, named_uids = set().union(*kinds.values()), set().union(*uids.values())
        return replace(
            start,
            drop=start.drop - named_kinds | kinds["drop"],
            keep=start.keep - named_kinds | kinds["keep"],
            hold=start.hold - named_kinds | kinds["hold"],
            drop_uids=start.drop_uids - named_uids | uids["drop"],
            hold_uids=start.hold_uids - named_uids | uids["hold"],
            keep_uids=start.keep_uids - named_uids | uids["keep"],
        )

    def _class_uid(self, value: str, node: yaml.Node) -> str:
        try:
            return sop_class_uid(value, node)
        except ProfileError:
            fail(node, f"unknown class {value!r}; it can be a SOP Class, or one of: {', '.join(DROPPABLE)}")

    @staticmethod
    def _check_kept(value: str, what: str, node: yaml.Node, options: frozenset[str]) -> None:
        kind = value if value in DROPPABLE else kind_of_class(what)
        if kind is None:
            # What is in the object may make it one of a kind that is left out: a captured page, a slide's label.
            return
        if kind not in KEEPABLE:
            fail(node, f"{value} cannot be kept: nobody can look into it; it can be: drop, hold")
        needed = KEEPABLE[kind]
        if needed and needed not in options:
            fail(node, f"{value} can be kept with the option {needed.replace('_', '-')} only")

    def _list(self, key: str) -> list[yaml.Node]:
        return list_of(self._fields[key], key) if key in self._fields else []

    def _scalar(self, key: str, default: str) -> str:
        return text_of(self._fields[key]) if key in self._fields else default

    def _one_of(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        value = self._scalar(key, default)
        if value not in allowed:
            fail(self._fields[key], f"{key} is {value!r}; it can be: {', '.join(allowed)}")
        return value
