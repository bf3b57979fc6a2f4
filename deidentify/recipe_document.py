"""How a profile names a recipe, and how the recipe's text travels with it: as a YAML document right behind the profile.

Nothing here opens a file: whoever reads the profile's file reads the recipe beside it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from deidentify.errors import ProfileError
from deidentify.recipe_beside import RecipeBeside
from deidentify.recipe_filters import Filters
from deidentify.recipe_text import read_recipe
from deidentify.translation import one_line
from deidentify.yaml_nodes import fail, mapping_of, text_of

RECIPE_KEYS = ("file", "allow_loosening")
DOCUMENT_KEYS = ("recipe_file", "recipe_text")
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MOST_OF_A_REASON = 200
"""Characters of the reason for loosening."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileDocument:
    """The root of a profile, and of the recipe's document behind it where there is one."""

    root: yaml.Node
    before: int
    """How many lines stand before it in the text."""
    recipe: yaml.Node | None


def profile_documents(nodes: Sequence[tuple[yaml.Node, int]]) -> list[ProfileDocument]:
    """Return the profiles among the documents of a text, each with its recipe.

    Raises
    ------
    ProfileError
        When a recipe stands where no profile has one.
    """
    found: list[ProfileDocument] = []
    for root, before in nodes:
        if not _is_recipe(root):
            found.append(ProfileDocument(root=root, before=before, recipe=None))
        elif not found:
            fail(root, "here stands the text of a recipe; the profile that names it stands before it")
        elif found[-1].recipe is not None:
            fail(root, "a profile has one recipe; put both into one file")
        else:
            found[-1] = ProfileDocument(root=found[-1].root, before=found[-1].before, recipe=root)
    return found


def _is_recipe(root: yaml.Node) -> bool:
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return any(key.value in DOCUMENT_KEYS for key, _ in pairs)


def recipe_beside(named: yaml.Node | None, document: yaml.Node | None, profile: str) -> RecipeBeside | None:
    """Return the recipe that a profile names; None where it names none.

    Parameters
    ----------
    named
        The value of the profile's key ``recipe``.
    document
        The root of the recipe's document.
    profile
        The profile's name, where another one is built on it; else empty.

    Raises
    ------
    ProfileError
        With the line of the profile, or the recipe's name and its line.
    """
    if named is None:
        if document is not None:
            fail(document, "the profile before this recipe does not name it; add the key 'recipe' to the profile")
        return None
    file, why = _named(named)
    if document is None:
        fail(
            named,
            f"the recipe {file!r} is not there; lay it beside the profile's file, or send its text along, as"
            " 'casebridge profile show' prints it",
        )
    fields = mapping_of(document, DOCUMENT_KEYS, "recipe's document")
    missing = [key for key in DOCUMENT_KEYS if key not in fields]
    if missing:
        fail(document, f"the recipe's document has no {' and no '.join(missing)}")
    if text_of(fields["recipe_file"]) != file:
        fail(fields["recipe_file"], f"the profile before this recipe names another one, {file!r}")
    called = f"{profile}, {file}" if profile else file
    try:
        recipe = read_recipe(text_of(fields["recipe_text"]))
        filters = Filters(recipe)
    except ProfileError as error:
        raise ProfileError(f"{called}, {error}") from None
    return RecipeBeside(file=file, profile=profile, recipe=recipe, filters=filters, allow_loosening=why)


def _named(node: yaml.Node) -> tuple[str, str]:
    """Return the file that a profile names, and why it may loosen."""
    if isinstance(node, yaml.ScalarNode):
        return _file_name(node), ""
    fields = mapping_of(node, RECIPE_KEYS, "key 'recipe'")
    if "file" not in fields:
        fail(node, "the recipe has no file")
    if "allow_loosening" not in fields:
        return _file_name(fields["file"]), ""
    reason = one_line(text_of(fields["allow_loosening"]), most=MOST_OF_A_REASON + 1)
    if not reason:
        fail(
            fields["allow_loosening"], "allow_loosening is empty; it says why the recipe may keep more, or is not there"
        )
    if len(reason) > MOST_OF_A_REASON:
        fail(
            fields["allow_loosening"], f"allow_loosening has more than {MOST_OF_A_REASON} characters; one sentence does"
        )
    return _file_name(fields["file"]), reason


def _file_name(node: yaml.Node) -> str:
    name = text_of(node)
    if not FILE_NAME.fullmatch(name):
        fail(
            node,
            "the recipe lies beside the profile: a file name of letters, digits, dots, dashes and underscores, at most"
            " 64, without a folder",
        )
    return name
