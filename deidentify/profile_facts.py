"""What is told of a profile to whoever decides on it: what it says and loosens, and what becomes of each attribute."""

from collections.abc import Iterable
from dataclasses import dataclass

import yaml

from deidentify.dataset import tag_text
from deidentify.dictionary import keyword_tags
from deidentify.errors import ProfileError
from deidentify.explain import Explanation, Loosening, explained, loosened, name_of
from deidentify.pixel_text import told
from deidentify.profile import KEEPABLE, Profile
from deidentify.profile_text import BASIC, DROPPABLE
from deidentify.recipe_beside import RecipeUse
from deidentify.results import DropReason
from deidentify.rule_text import sop_class_uid
from deidentify.rules import Path, Rule, RuleSet, Tags
from deidentify.tables import IodTypes, attribute_rows, iod_types

ANY_SOP_CLASS = "CT Image Storage"
"""Whose attribute Types count where nobody says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFacts:
    """Instances that a person looks at before they go on."""

    name: str
    reason: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFacts:
    """What a profile says but for its rules, that of its bases included."""

    name: str
    revision: str
    description: str
    base: tuple[str, ...]
    """The farthest first; ``basic`` alone where there is none."""
    options: tuple[str, ...]
    dates: str
    text: str
    age: str
    vocabulary: int
    """Words and phrases of the site."""
    pixels: tuple[str, ...]
    """Each key of the pixel policy with its value."""
    dropped: tuple[str, ...]
    held: tuple[str, ...]
    kept: tuple[str, ...]
    hold: tuple[HoldFacts, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """One rule, in words. Of conditions it is not told what they compare with: a site may have put a name there."""

    where: str
    about: str
    action: str
    only_for: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedProfile:
    """All that a profile says, and all that it keeps though options and table would not."""

    facts: ProfileFacts
    rules: tuple[RuleFacts, ...]
    """From top to bottom; the last that fits wins."""
    loosened: tuple[Loosening, ...]
    recipes: tuple[RecipeUse, ...] = ()
    """What became of the lines of recipes beside it and its bases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherFate:
    """What becomes of an attribute in the instances that a rule is about, and by what."""

    where: str
    about: str
    action: str
    only_for: str
    reason: str
    code: str
    becomes: str
    by: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeFacts:
    """What becomes of one attribute, and by what."""

    tag: str
    inside: tuple[str, ...]
    attribute: str
    vr: str
    code: str
    becomes: str
    by: str
    source: str
    reason: str
    in_some_instances: tuple[OtherFate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Of which attribute it is asked what becomes of it, as people write it."""

    attribute: str | None = None
    """A tag or a keyword; None for all that table, options and rules name."""
    inside: tuple[str, ...] = ()
    """The sequences around it, the outermost first."""
    sop_class: str = ANY_SOP_CLASS


def checked(profile: Profile) -> CheckedProfile:
    """Return all that a profile says and loosens."""
    return CheckedProfile(
        facts=facts_of(profile),
        rules=tuple(map(_rule_facts, profile.rules)),
        loosened=loosened(profile),
        recipes=profile.recipes,
    )


def facts_of(profile: Profile) -> ProfileFacts:
    """Return what a profile says but for its rules."""
    policy = profile.sop_classes
    cleaned = frozenset(DropReason(kind) for kind, option in KEEPABLE.items() if option in profile.options)
    kept = policy.keep | (cleaned - policy.drop - policy.hold)
    return ProfileFacts(
        name=profile.name,
        revision=profile.revision,
        description=profile.description,
        base=profile.bases or (BASIC,),
        options=tuple(sorted(option.replace("_", "-") for option in profile.options)),
        dates=profile.dates,
        text=profile.text,
        age=profile.age,
        vocabulary=len(profile.vocabulary.words) + sum(map(len, profile.vocabulary.phrases.values())),
        pixels=told(profile.pixel_policy),
        dropped=tuple(sorted((*policy.drop, *policy.drop_uids))),
        held=tuple(sorted((*(set(DROPPABLE) - policy.drop - kept), *policy.hold_uids))),
        kept=tuple(sorted((*kept, *policy.keep_uids))),
        hold=tuple(HoldFacts(name=one.name, reason=one.reason, where=one.place) for one in profile.doubts),
    )


def answered(profile: Profile, question: Question) -> tuple[AttributeFacts, ...]:
    """Return what becomes of the attribute that is asked for, or of all that table, options and rules name.

    Raises
    ------
    ValueError
        When an attribute, a sequence or the SOP Class is none; what was written is not repeated.
    """
    types = iod_types(_asked_class(question.sop_class))
    path = tuple(tag_named(text, "a sequence of inside") for text in question.inside)
    if question.attribute is not None:
        tags = [tag_named(question.attribute, "the attribute")]
    else:
        exact = {rule.tags.value for rule in profile.rules if rule.tags is not None and rule.tags.is_exact}
        tags = sorted(set(attribute_rows()) | exact)
    return tuple(_attribute_facts(profile, explained(profile, tag, path, types=types), types) for tag in tags)


def tag_named(text: str, what: str) -> int:
    """Return the tag that a text names, by keyword or as (gggg,eeee).

    Raises
    ------
    ValueError
        When it names none; ``what`` begins the sentence, and the text is not repeated.
    """
    tags = Tags.of(text) if text.startswith("(") else None
    tag = keyword_tags().get(text) if tags is None else tags.value
    if tag is None or (tags is not None and not tags.is_exact):
        raise ValueError(f"{what} is neither a tag as (0018,1000) nor a keyword as DeviceSerialNumber")
    return tag


def _asked_class(text: str) -> str:
    try:
        return sop_class_uid(text, yaml.ScalarNode("tag:yaml.org,2002:str", text))
    except ProfileError:
        raise ValueError("the SOP Class is none, by UID or by name (CT Image Storage)") from None


def _attribute_facts(profile: Profile, one: Explanation, types: IodTypes | None) -> AttributeFacts:
    return AttributeFacts(
        tag=tag_text(one.tag),
        inside=_tag_texts(one.path),
        attribute=one.name,
        vr=one.vr,
        code=one.code,
        becomes=one.becomes,
        by=one.by,
        source=one.source,
        reason=one.reason,
        in_some_instances=tuple(_other_fate(profile, one, rule, types) for rule in one.others),
    )


def _other_fate(profile: Profile, one: Explanation, rule: Rule, types: IodTypes | None) -> OtherFate:
    in_order = [each for each in profile.rules if each is rule or not each.is_conditional]
    with_it = explained(profile, one.tag, one.path, types=types, rules=RuleSet(in_order))
    told = _rule_facts(rule)
    return OtherFate(
        where=told.where,
        about=told.about,
        action=told.action,
        only_for=told.only_for,
        reason=told.reason,
        code=with_it.code,
        becomes=with_it.becomes,
        by=with_it.by,
        source=with_it.source,
    )


def _rule_facts(rule: Rule) -> RuleFacts:
    name = name_of(rule.tags.value) if rule.tags is not None and rule.tags.is_exact else ""
    return RuleFacts(
        where=rule.place,
        about=f"{rule.subject} {name}".strip(),
        action=rule.action,
        only_for=", ".join(_limits(rule)),
        reason=rule.reason,
    )


def _limits(rule: Rule) -> Iterable[str]:
    yield from (*sorted(rule.modalities), *sorted(rule.sop_classes), *map(str, rule.conditions))
    if rule.inside is not None:
        yield "inside " + " ".join(_tag_texts(rule.inside)) if rule.inside else "top level"


def _tag_texts(path: Path) -> tuple[str, ...]:
    return tuple(map(tag_text, path))
