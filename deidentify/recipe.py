"""A `deid` recipe as a profile: what it would tighten becomes rules, what it would loosen needs somebody's reason.

The package's own answer whether an image is "flagged" is no evidence that one which is not is clean: its filters become
reasons to hold an image, never a reason to let it pass.
"""

from collections.abc import Iterator

from deidentify.errors import ProfileError
from deidentify.recipe_actions import LAST_SEARCH, HeaderRules
from deidentify.recipe_filters import MOST_HOLDS, Filters
from deidentify.recipe_rules import rule_yaml
from deidentify.recipe_text import Recipe, read_recipe
from deidentify.translation import Outcome, TranslatedLine, Translation, one_line, yaml_profile

MOST_RULES = 2_000
HOLD_KEY = "hold"
"""The key of a profile under which instances are held for what their header says."""


def translate_recipe(text: str, *, name: str = "deid-recipe", allow_loosening: str = "") -> Translation:
    """Translate a recipe of the package `deid` into a profile.

    Parameters
    ----------
    text
        The recipe.
    name
        The profile's name: lower case letters, digits and dashes.
    allow_loosening
        One sentence that says why a KEEP of the recipe may keep what the Basic Profile would not; it stands with every
        such rule. Without it no such rule is written.

    Returns
    -------
    Translation
        The profile, and every line of the recipe that is not empty.

    Raises
    ------
    ProfileError
        If the text is no recipe for DICOM, or becomes more rules than a profile may have.
    """
    recipe = read_recipe(text)
    header = HeaderRules(recipe=recipe, allow_loosening=one_line(allow_loosening, most=120))
    header.collect()
    filters = Filters(recipe)
    rules = [rule_yaml(rule) for _, rule in header.rules()]
    check_counts(len(rules), filters)
    settings = {
        "private": "safe" if header.keeps_private else "remove",
        "dates": "shift",
        "text": "vocabulary",
        "age": "remove",
        "pixels": "screen",
    }
    remarks = ["Translated from a deid recipe; read it, and edit it as you like."]
    if header.loosened:
        numbers = ", ".join(str(number) for number in header.loosened)
        remarks.append(f"LOOSENED by the lines {numbers} of the recipe: {header.allow_loosening}")
    profile = yaml_profile(name, "Translated from a deid recipe.", settings, rules, remarks)
    if filters.holds:
        profile += "\n".join([f"{HOLD_KEY}:", *(hold.to_yaml() for hold in filters.holds)]) + "\n"
    return Translation(profile_yaml=profile, lines=tuple(lines_of(recipe, header, filters)))


def check_counts(rules: int, filters: Filters) -> None:
    """Refuse a recipe that becomes more than a profile may have.

    Raises
    ------
    ProfileError
        With the line 1.
    """
    for count, most, what in ((rules, MOST_RULES, "rules"), (len(filters.holds), MOST_HOLDS, "reasons to hold")):
        if count > most:
            raise ProfileError(
                f"line 1: the recipe becomes {count:,} {what}; a profile has at most {most:,}: name fewer"
            )


def lines_of(recipe: Recipe, header: HeaderRules, filters: Filters) -> Iterator[TranslatedLine]:
    """Yield every line of a recipe that is not empty, with what became of it."""
    told = {**header.told, **filters.told, **_of_lists(recipe, header), **_of_labels(recipe)}
    told |= {number: (Outcome.NOT_TRANSLATED, sentence) for number, sentence in recipe.faults.items()}
    told |= dict.fromkeys(recipe.headings, (Outcome.DISABLED, "says what the following lines are"))
    for number, line in enumerate(recipe.lines, 1):
        if line:
            outcome, became = told.get(number, (Outcome.DISABLED, "a comment"))
            is_whole = number not in header.partial
            yield TranslatedLine(
                number=number, source=one_line(line), outcome=outcome, became=became, is_whole=is_whole
            )


def _of_lists(recipe: Recipe, header: HeaderRules) -> dict[int, tuple[Outcome, str]]:
    told: dict[int, tuple[Outcome, str]] = {}
    for name, entries in recipe.fields.items():
        users = [line.number for line in header.recipe.header if line.field == f"fields:{name}"]
        for entry in entries:
            place = ", ".join(str(number) for number in users)
            outcome = max((header.told[number][0] for number in users), key=_WEIGHT.index, default=Outcome.DISABLED)
            sentence = f"what becomes of the list stands at line {place}" if users else "no action names this list"
            told[entry.number] = (outcome, sentence)
    values = f"values of the file are no part of a profile; {LAST_SEARCH}"
    for entries in recipe.values.values():
        told |= {entry.number: (Outcome.NOT_TRANSLATED, values) for entry in entries}
    return told


_WEIGHT = (Outcome.DISABLED, Outcome.NOT_TRANSLATED, Outcome.SAME, Outcome.POLICY, Outcome.RULE)


def _of_labels(recipe: Recipe) -> dict[int, tuple[Outcome, str]]:
    return {line.number: (Outcome.DISABLED, "says something about the recipe, nothing to do") for line in recipe.labels}
