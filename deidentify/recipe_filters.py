"""Filters of a `deid` recipe as what is held: an image that fits one waits for a person.

The documentation of the package says that a line without ``+`` is a case of its own; its program asks for all lines.
Here the documentation is followed, which holds more.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom._dicom_dict import DicomDictionary

from deidentify.dataset import PIXEL_TAGS, tag_text
from deidentify.dictionary import keyword_tags, vr_table
from deidentify.errors import ProfileError
from deidentify.recipe_text import CriteriaLine, Criterion, Label, Recipe
from deidentify.rules import MOST_OF_A_PATTERN, compiled
from deidentify.translation import Outcome, one_line, yaml_value
from deidentify.vocabulary import folded

MOST_HOLDS = 2_000
MOST_CASES = 64
"""Cases of one label: each is an entry of its own, and "or" within "and" multiplies them."""
_PLAIN = re.compile(r"[^\\.^$*+?{}\[\]()|]+")
# What Python and RE2 understand in the same way: no looking around, no repeated reference, no classes by Unicode.
_COMMON = re.compile(r"(?:[^\\(){}\[\]]|\\[^0-9A-Za-z]|\[[^\\\[\]]+\]|\((?!\?)|\))+")
# The package looks at several values as one text: a list in brackets, with quotes and commas.
_BETWEEN_VALUES = frozenset("'\",[]\\")
_WITHIN_A_VALUE = re.compile(r"[\w +*?|()-]+", re.ASCII)


Keys = tuple[tuple[str, str | bool | tuple[str, ...]], ...]
"""Keys and values of a condition, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A criterion as the profile says it."""

    keys: Keys
    is_wide: bool = False
    """Whether it fits many images that the criterion does not, so that it cannot stand alone."""


Case = frozenset[Condition]
"""Conditions that hold together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One entry of ``hold``."""

    number: int
    """The line of its label."""
    name: str
    reason: str
    when: tuple[Condition, ...]

    def to_yaml(self) -> str:
        """Return the entry, indented."""
        conditions = [f"      - {yaml_value(dict(condition.keys))}" for condition in self.when]
        head = [f"  - name: {yaml_value(self.name)}", f"    reason: {yaml_value(one_line(self.reason))}", "    when:"]
        return "\n".join(head + conditions)


class Filters:
    """Translates the filters; ``told`` says of each line what became of it.

    Raises
    ------
    ProfileError
        If a label has more cases than anybody writes.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.holds: list[Hold] = []
        self.told: dict[int, tuple[Outcome, str]] = {}
        self._names: dict[str, int] = {}
        self._known: set[frozenset[Keys]] = set()
        self._dropped: dict[int, str] = {}
        for group, labels in recipe.filters.items():
            for label in labels:
                self._label(group, label)

    def _label(self, group: str, label: Label) -> None:
        title = one_line(re.sub(r"\Alabel\b", "", label.name, flags=re.IGNORECASE).strip() or "without a name", most=80)
        if is_pass_list(group):
            self._all(label, "a list of images that may pass is not believed: every frame is screened all the same")
            return
        cases: list[Case] = []
        for number, line in enumerate(label.criteria):
            found = self._line(line)
            if line.operator == "and" and number:
                cases = self._both(cases, found, line.number)
            else:
                cases = list(dict.fromkeys(cases + found))
            if len(cases) > MOST_HOLDS:
                raise ProfileError(f"line {line.number}: a label has more than {MOST_HOLDS:,} cases")
        usable = [case for case in cases if any(not condition.is_wide for condition in case)]
        if not usable:
            self._nothing(label, cases)
            return
        self._note_wide(label, cases, usable)
        entries = self._hold(group, title, label, usable)
        again = "" if entries else "; the same is held by another label already"
        self.told[label.number] = (Outcome.RULE, f"images that fit are held for a person{again}")
        self._coordinates(label, "not blanked: the image is held for a person")

    def _hold(self, group: str, title: str, label: Label, cases: Iterable[Case]) -> int:
        before = len(self.holds)
        for case in cases:
            keys = frozenset(condition.keys for condition in case)
            if keys in self._known:
                continue
            self._known.add(keys)
            reason = f'deid recipe, line {label.number}, filter {one_line(group, most=40)}: "{title}"'
            when = tuple(sorted(case, key=lambda condition: str(condition.keys)))
            self.holds.append(Hold(number=label.number, name=self._name(title), reason=reason, when=when))
        return len(self.holds) - before

    def _name(self, title: str) -> str:
        plain = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:34].strip("-") or "label"
        self._names[plain] = self._names.get(plain, 0) + 1
        return plain if self._names[plain] == 1 else f"{plain}-{self._names[plain]}"

    def _all(self, label: Label, sentence: str) -> None:
        numbers = [line.number for line in label.criteria] + [line.number for line in label.coordinates]
        for number in (label.number, *numbers):
            self.told[number] = (Outcome.NOT_TRANSLATED, sentence)

    def _coordinates(self, label: Label, sentence: str) -> None:
        for line in label.coordinates:
            self.told[line.number] = (Outcome.NOT_TRANSLATED, sentence)

    def _nothing(self, label: Label, cases: list[Case]) -> None:
        why = "without a condition that can be said, it would hold every image"
        if cases and any(cases):
            why = "what has no value and what is missing are the same here, so that it would hold too much"
        self.told[label.number] = (Outcome.NOT_TRANSLATED, f"{why}; the pixel screen looks at all of them")
        self._coordinates(label, "not blanked, and nothing is held for it: the pixel screen looks for text everywhere")
        for line in label.criteria:
            outcome, sentence = self.told[line.number]
            if outcome is Outcome.RULE:
                self.told[line.number] = (Outcome.NOT_TRANSLATED, f"its label could not be translated; {sentence}")

    def _note_wide(self, label: Label, cases: list[Case], usable: list[Case]) -> None:
        said = {condition.keys for case in usable for condition in case}
        lost = {condition for case in cases if case not in usable for condition in case}
        lost = {condition for condition in lost if condition.keys not in said}
        for line in label.criteria:
            if line.number in self._dropped and frozenset() in cases:
                sentence = f"nothing is held for this alone: {self._dropped[line.number]}"
                self.told[line.number] = (Outcome.NOT_TRANSLATED, sentence)
            own = {condition for criterion in line.criteria if (condition := condition_of(criterion)[0])}
            if own and own <= lost:
                sentence = "not held for this alone: it would hold every image that lacks the attribute"
                self.told[line.number] = (Outcome.NOT_TRANSLATED, sentence)

    def _line(self, line: CriteriaLine) -> list[Case]:
        """Return the cases of one line; a criterion that cannot be said is taken as fulfilled."""
        cases: list[Case] = []
        notes: list[str] = []
        dropped = 0
        for number, criterion in enumerate(line.criteria):
            condition, note = condition_of(criterion)
            notes += [note] if note else []
            dropped += condition is None
            found: list[Case] = [frozenset((condition,) if condition else ())]
            if number and line.between[number - 1] == "and":
                cases = self._both(cases, found, line.number)
            else:
                cases = cases + found if number else found
        said = "; ".join(dict.fromkeys(notes))
        if dropped == len(line.criteria):
            self._dropped[line.number] = said
            self.told[line.number] = (Outcome.NOT_TRANSLATED, f"taken as fulfilled, so that more is held: {said}")
        else:
            start = "a condition of its label"
            self.told[line.number] = (Outcome.RULE, f"{start}; {said}" if said else start)
        return cases

    def _both(self, first: list[Case], second: list[Case], number: int) -> list[Case]:
        if len(first) * len(second) > MOST_CASES:
            sentence = f"left out, so that more is held: with it there would be more than {MOST_CASES} cases"
            self.told[number] = (Outcome.NOT_TRANSLATED, sentence)
            return first
        return list(dict.fromkeys(one | other for one in first for other in second))


def is_pass_list(group: str) -> bool:
    """Tell whether a filter is of images that are let through, by its name."""
    plain = re.sub(r"[^a-z]", "", group.lower())
    return "whitelist" in plain or "allowlist" in plain or "passlist" in plain


def condition_of(criterion: Criterion) -> tuple[Condition | None, str]:
    """Return a criterion as a condition, and what has to be said about it; None is taken as "fulfilled".

    What cannot be said holds more in this way. One thing holds less: an attribute that is there and says nothing is
    "present" to the package.
    """
    tag = _tag_of(criterion.field)
    if tag is None:
        return None, f"no attribute is called {one_line(criterion.field, most=64)}"
    subject = ("tag", tag_text(tag)) if criterion.field.startswith("0x") else ("keyword", criterion.field)
    if criterion.kind in {"missing", "empty", "present"}:
        is_there = criterion.kind == "present"
        note = "" if criterion.kind == "missing" else "an attribute without a value is taken as missing"
        wide = criterion.kind == "empty"
        return Condition(keys=(subject, ("present", is_there)), is_wide=wide), note
    if vr_table().get(tag) == "SQ" or tag in PIXEL_TAGS:
        return None, f"{one_line(criterion.field, most=64)} has no value that could be compared"
    if not any(folded(part).strip() for part in criterion.value.split("|")):
        return None, "nothing is left to compare with, accents taken away"
    is_several = DicomDictionary.get(tag, ("", "1"))[1] != "1"
    if criterion.kind in {"equals", "notequals"}:
        return _equal(criterion, subject, is_several=is_several)
    return _containing(criterion, subject, is_several=is_several)


def _tag_of(field: str) -> int | None:
    if re.fullmatch(r"0x[0-9A-Fa-f]{8}", field):
        return int(field, 16)
    return keyword_tags().get(field)


def _equal(criterion: Criterion, subject: tuple[str, str], *, is_several: bool) -> tuple[Condition | None, str]:
    if criterion.kind == "notequals":
        if is_several:
            return None, "of several values the package compares all as one, which a profile cannot"
        return Condition(keys=(subject, ("is", criterion.value), ("not", True))), ""
    # The package compares with the bar as it is; its documentation says that there are two values.
    values = tuple(dict.fromkeys((criterion.value, *_spellings(criterion.value), *_alternatives(criterion.value))))
    return Condition(keys=(subject, ("is", _one_or_all(values)))), ""


def _containing(criterion: Criterion, subject: tuple[str, str], *, is_several: bool) -> tuple[Condition | None, str]:
    is_negated = criterion.kind == "notcontains"
    ending: Keys = (("not", True),) if is_negated else ()
    parts = criterion.value.split("|")
    if all(part.strip() and _PLAIN.fullmatch(part) for part in parts):
        if is_several and _BETWEEN_VALUES & set(criterion.value):
            return None, "it may lie across several values"
        spelled = () if is_negated else _spellings(parts[-1])
        values = tuple(dict.fromkeys((*(part.strip() for part in parts), *spelled)))
        is_exact = all(part == part.strip() for part in parts)
        if is_exact or not is_negated:
            return Condition(keys=(subject, ("contains", _one_or_all(values)), *ending)), ""
    # The package writes the expression in small letters before it compares.
    pattern = criterion.value.lower()
    is_outside = is_several and not _WITHIN_A_VALUE.fullmatch(pattern)
    if is_outside or len(pattern) > MOST_OF_A_PATTERN or not _is_common(pattern):
        return None, "the expression means something else here"
    return Condition(keys=(subject, ("matches", pattern), *ending)), ""


def _is_common(pattern: str) -> bool:
    """Tell whether an expression is one, and means the same to Python and to RE2."""
    if not _COMMON.fullmatch(pattern) or not pattern.isascii():
        return False
    try:
        re.compile(pattern)
        compiled(pattern)
    except (re.error, RecursionError, OverflowError, ValueError):
        return False
    return not re.search(r"[*+?][*+?]", pattern)


def _spellings(value: str) -> tuple[str, ...]:
    """Return a value without the comment that the package takes for a part of it."""
    plain = value.split(" #", 1)[0].strip()
    return (plain,) if plain and plain != value else ()


def _alternatives(value: str) -> list[str]:
    parts = [part.strip() for part in value.split("|")]
    return parts if len(parts) > 1 and all(parts) else []


def _one_or_all(values: tuple[str, ...]) -> str | tuple[str, ...]:
    said = tuple(value for value in values if folded(value).strip())
    return said[0] if len(said) == 1 else said
