"""A de-identification profile: the Basic Profile of PS3.15 Annex E with options, rules and policies."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from deidentify.actions import Action
from deidentify.dataset import ReceivedInstance
from deidentify.dictionary import vr_table
from deidentify.pixel_policy import DEFAULT_POLICY, PixelPolicy
from deidentify.recipe_beside import Layer, RecipeUse
from deidentify.results import DropReason
from deidentify.rules import Condition, Path, Rule, RuleSet
from deidentify.site_words import NO_WORDS, SiteWords
from deidentify.tables import ActionRow, attribute_rows

FULL_DATES, MODIFIED_DATES = "retain_longitudinal_full_dates", "retain_longitudinal_modified_dates"

KEEPABLE: dict[str, str] = {
    DropReason.SCREEN_CAPTURE: "",
    DropReason.SLIDE_LABEL: "",
    DropReason.PRESENTATION_STATE: "clean_graphics",
    DropReason.DOSE_REPORT: "clean_structured_content",
}
"""Kinds of objects that may go on, and the option that cleans them; of others nobody can say that they are clean."""


def revision_of_text(text: str) -> str:
    """Return the revision that a text is, whether or not it is a profile: 16 hexadecimal digits of its hash."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class SopClasses:
    """What becomes of kinds of objects and of single SOP Classes, by UID."""

    drop: frozenset[DropReason] = frozenset()
    keep: frozenset[DropReason] = frozenset()
    """Kinds that go on though they are left out otherwise."""
    hold: frozenset[DropReason] = frozenset()
    """Kinds that wait for a person, whatever option could clean them. So do those that are named nowhere and that no
    option cleans."""
    drop_uids: frozenset[str] = frozenset()
    hold_uids: frozenset[str] = frozenset()
    keep_uids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Instances that a person has to look at, whatever else is found."""

    name: str
    reason: str
    conditions: tuple[Condition, ...]
    place: str = field(default="", compare=False)

    def fits(self, received: ReceivedInstance) -> bool:
        """Tell whether an instance is one of them."""
        return all(condition.fits(received) for condition in self.conditions)


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How instances are de-identified. ``revision`` is the hash of its text, 16 hexadecimal digits."""

    name: str
    revision: str
    description: str = ""
    bases: tuple[str, ...] = ()
    """Names of the profiles that it is built on, the nearest last."""
    options: frozenset[str] = frozenset()
    """Options of PS3.15 Annex E by their names in the tables."""
    rules: tuple[Rule, ...] = ()
    """From top to bottom, those of the base first, then those of the recipe; the last that fits wins."""
    dates: str = "shift"
    text: str = "vocabulary"
    vocabulary: SiteWords = NO_WORDS
    age: str = "remove"
    pixel_policy: PixelPolicy = DEFAULT_POLICY
    sop_classes: SopClasses = SopClasses()
    doubts: tuple[Doubt, ...] = ()
    layers: tuple[Layer, ...] = field(default=(), repr=False, compare=False)
    """What each profile that it is built on, and it itself, says by rules and recipe: a recipe tightens what is there,
    and so is read anew where that changes."""
    recipes: tuple[RecipeUse, ...] = field(default=(), repr=False, compare=False)
    """What became of the lines of the recipes beside it and beside those that it is built on."""

    @classmethod
    def from_yaml(cls, text: str) -> "Profile":
        """Read a profile: a YAML document, behind it that of its recipe and those of the profiles it is built on.

        Raises
        ------
        ProfileError
            Naming each line, what is wrong there and what could stand there.
        """
        from deidentify.profile_text import profile_of  # noqa: PLC0415 - it reads what is defined here

        return profile_of(text, revision_of_text(text))

    @property
    def drop(self) -> frozenset[DropReason]:
        """Kinds of objects that are left out."""
        return self.sop_classes.drop

    @cached_property
    def always(self) -> RuleSet:
        """The rules that are about every instance."""
        return RuleSet(rule for rule in self.rules if not rule.is_conditional)

    @cached_property
    def _conditional(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.rules if rule.is_conditional)

    def fitting(self, received: ReceivedInstance) -> tuple[bool, ...]:
        """Return which of the rules that are about some instances are about this one."""
        return tuple(rule.fits_instance(received) for rule in self._conditional)

    def rules_of(self, fitting: tuple[bool, ...]) -> RuleSet:
        """Return the rules that are about an instance, by what ``fitting`` said of it."""
        if not any(fitting):
            return self.always
        fits = iter(fitting)
        return RuleSet(rule for rule in self.rules if not rule.is_conditional or next(fits))

    def base_code(self, tag: int) -> str | None:
        """Return the action code of an attribute by table and options; None outside Table E.1-1."""
        return self._codes.get(tag)

    def code(self, tag: int) -> str | None:
        """Return the action code of an attribute on the top level of any instance; None where nothing names it."""
        rule = self.always.of(tag, vr_table().get(tag), ())
        return self.base_code(tag) if rule is None else rule.action

    def keeps(self, tag: int, vr: str, path: Path = (), rules: RuleSet | None = None) -> bool:
        """Tell whether values of this attribute stay as they are, on purpose."""
        # A rule for a VR is about the attributes of the dictionary, whatever VR the file gives them.
        rule = (self.always if rules is None else rules).of(tag, vr_table().get(tag, vr), path)
        code = self._codes.get(tag) if rule is None else rule.action
        return code == Action.KEEP or (code is None and self.keeps_vr(vr))

    def keeps_vr(self, vr: str) -> bool:
        """Tell whether values of this VR stay as they are where Table E.1-1 does not name the attribute."""
        return (vr in {"DA", "DT"} and self.dates == "keep") or (vr == "UI" and "retain_uids" in self.options)

    def row_code(self, row: ActionRow) -> str:
        """Return the code of a table row under this profile's options.

        Where several options name one attribute: dates that are moved are moved, whatever else would keep them, for one
        date that stands beside moved ones gives the number of days away; else keeping wins over cleaning. An option
        always wins over the Basic Profile.
        """
        return self.row_ruling(row)[0]

    def row_ruling(self, row: ActionRow) -> tuple[str, str]:
        """Return the code of a table row and the option that it comes from; no option is the Basic Profile."""
        return _ruling(row, self.options)

    @cached_property
    def _codes(self) -> Mapping[int, str]:
        return _codes_under(self.options)


def _ruling(row: ActionRow, options: frozenset[str]) -> tuple[str, str]:
    chosen = {name: code for name, code in row.options.items() if name in options}
    if MODIFIED_DATES in chosen:
        return chosen[MODIFIED_DATES], MODIFIED_DATES
    for code in (Action.KEEP, Action.CLEAN):
        option = next((name for name in sorted(chosen) if chosen[name] == code), "")
        if option:
            return code, option
    return row.basic, ""


@lru_cache(maxsize=64)
def _codes_under(options: frozenset[str]) -> Mapping[int, str]:
    """Return the code of each attribute of the table: resolved once, however many profiles have these options."""
    return {tag: _ruling(row, options)[0] for tag, row in attribute_rows().items()}
