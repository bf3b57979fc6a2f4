"""Profiles built on one another, with the recipes beside them: which rules stand where.

First those of the base, then those of the recipe, then the profile's own. A recipe tightens what stands before it, and
what that is a profile further up may have changed by an option; so each recipe is read against every profile anew.
"""

from collections.abc import Sequence
from dataclasses import replace

import yaml

from deidentify.condition_text import ConditionText
from deidentify.errors import ProfileError
from deidentify.profile import Doubt, Profile
from deidentify.recipe import MOST_RULES, check_counts, lines_of
from deidentify.recipe_actions import HeaderRules
from deidentify.recipe_base import Floor
from deidentify.recipe_beside import Layer, RecipeBeside, RecipeUse
from deidentify.recipe_rules import placed
from deidentify.rules import Rule


def with_layers(bare: Profile, layers: Sequence[Layer]) -> Profile:
    """Return a profile with the rules of all that it is built on, from top to bottom.

    Parameters
    ----------
    bare
        The profile with its options and policies, without rules.
    layers
        The farthest base first.

    Returns
    -------
    Profile
        With its rules, and what became of each recipe.

    Raises
    ------
    ProfileError
        If a recipe becomes more than a profile may have.
    """
    found = bare
    for layer in layers:
        if layer.recipe is not None:
            added, use = used_beside(layer.recipe, found)
            found = replace(found, rules=(*found.rules, *added), recipes=(*found.recipes, use))
        found = replace(found, rules=(*found.rules, *layer.rules))
    return found


def used_beside(one: RecipeBeside, profile: Profile) -> tuple[tuple[Rule, ...], RecipeUse]:
    """Return the rules that a recipe adds to a profile, and what became of its lines.

    Parameters
    ----------
    one
        The recipe.
    profile
        What is there without it: options, policies, and the rules that stand before those of the recipe.

    Returns
    -------
    tuple
        Rules that keep no more than the profile, but for those with a reason; and all lines.

    Raises
    ------
    ProfileError
        If it becomes more than a profile may have; with the recipe's name.
    """
    try:
        header = HeaderRules(
            recipe=one.recipe,
            allow_loosening=one.allow_loosening,
            floor=Floor(profile=profile),
            chooses_private=False,
        )
        header.collect()
        asked = header.rules()
        check_counts(len(asked), one.filters)
        _check_all(len(asked), len(profile.rules))
    except ProfileError as error:
        raise ProfileError(one.fault(str(error))) from None
    rules = tuple(placed(rule, one.place(number), one.allow_loosening) for number, rule in asked)
    return rules, RecipeUse(
        called=one.called,
        allow_loosening=one.allow_loosening,
        lines=tuple(lines_of(one.recipe, header, one.filters)),
        loosened=tuple(header.loosened),
    )


def held_beside(one: RecipeBeside, conditions: ConditionText) -> tuple[Doubt, ...]:
    """Return what a recipe's filters hold, as entries of a profile.

    Raises
    ------
    ProfileError
        If they have more regular expressions than a profile may have; with the recipe's name and the line.
    """
    found = []
    for hold in one.filters.holds:
        node = _node([dict(condition.keys) for condition in hold.when])
        try:
            checked = conditions.conditions(node)
        except ProfileError as error:
            sentence = str(error).partition(": ")[2]
            raise ProfileError(f"{one.place(hold.number)}: {sentence}") from None
        found.append(Doubt(name=hold.name, reason=hold.reason, conditions=checked, place=one.place(hold.number)))
    return tuple(found)


def _node(value: object) -> yaml.Node:
    """Return mappings, lists and single values as if they had been read."""
    if isinstance(value, dict):
        pairs = [(_node(key), _node(inner)) for key, inner in value.items()]
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs)
    if isinstance(value, list | tuple):
        return yaml.SequenceNode("tag:yaml.org,2002:seq", [_node(inner) for inner in value])
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return yaml.ScalarNode("tag:yaml.org,2002:str", text)


def _check_all(rules: int, before: int) -> None:
    if rules and rules + before > MOST_RULES:
        raise ProfileError(
            f"line 1: the recipe becomes {rules:,} rules behind {before:,} of the base; at most {MOST_RULES:,} are read"
        )
