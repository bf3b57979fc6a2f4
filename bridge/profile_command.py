"""``casebridge profile``: read, check, explain and translate profiles; nothing here touches a study."""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config import ConfigError
from config.profile_files import profile_names, profile_text, read_text, with_bases
from config.settings import Settings
from deidentify.ctp import translate_script
from deidentify.dataset import tag_text
from deidentify.dictionary import keyword_tags
from deidentify.errors import ProfileError
from deidentify.explain import Explanation, explained, loosened
from deidentify.profile import KEEPABLE, Profile
from deidentify.profile_schema import schema
from deidentify.profile_text import DROPPABLE
from deidentify.recipe import translate_recipe
from deidentify.recipe_beside import RecipeUse
from deidentify.results import DropReason
from deidentify.rule_text import sop_class_uid
from deidentify.rules import Rule, RuleSet, Tags
from deidentify.tables import attribute_rows, iod_types
from deidentify.translation import Outcome, TranslatedLine, Translation

EXIT_OK, EXIT_WRONG = 0, 2
_LEFT = frozenset((Outcome.NOT_TRANSLATED,))


def list_profiles(settings: Settings, *, as_json: bool) -> int:
    """Print each profile with its revision and where it lies; return the exit status."""
    status, rows = EXIT_OK, []
    for name, path in sorted(profile_names(settings).items()):
        try:
            profile = Profile.from_yaml(profile_text(name, settings))
            rows.append((name, profile.revision, " ← ".join(reversed(profile.bases)) or "basic", profile.description))
        except (ProfileError, ConfigError) as error:
            status = EXIT_WRONG
            rows.append((name, "refused", "", f"{path}: {str(error).splitlines()[0]}"))
    keys = ("name", "revision", "base", "description")
    if as_json:
        _print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        show_table(keys, rows)
    return status


def check(settings: Settings, source: str, *, as_json: bool) -> int:
    """Print what a profile says, or every fault of it; return the exit status."""
    profile = read_profile(settings, source)
    kept = loosened(profile)
    if as_json:
        _print_json(
            {**_facts(profile), "rules": [_rule_values(one) for one in profile.rules]}
            | {"loosened": [asdict(one) for one in kept], "recipes": [asdict(one) for one in profile.recipes]}
        )
        return EXIT_OK
    console = Console(highlight=False)
    _show_facts(profile, console)
    if profile.rules:
        console.print("\nRules, from top to bottom; the last that fits wins", style="bold")
        show_table(
            ("where", "about", "action", "only for", "reason"), [_rule_row(rule) for rule in profile.rules], console
        )
    if kept:
        console.print("\nKept, though options and Table E.1-1 would not", style="bold")
        rows = [(one.place, one.subject, f"{one.action} instead of {one.instead_of}", one.reason) for one in kept]
        show_table(("where", "what", "how", "reason"), rows, console)
    else:
        console.print("\nNothing is kept that options and Table E.1-1 would not keep.")
    for recipe in profile.recipes:
        _show_recipe(recipe, console)
    return EXIT_OK


def explain(
    settings: Settings, source: str, attribute: str | None, *, inside: Iterable[str], sop_class: str, as_json: bool
) -> int:
    """Print what becomes of one attribute, or of all that the table, options and rules name; return the exit status."""
    profile = read_profile(settings, source)
    types = iod_types(_sop_class(sop_class))
    path = tuple(_tag(one) for one in inside)
    if attribute is None:
        exact = {rule.tags.value for rule in profile.rules if rule.tags is not None and rule.tags.is_exact}
        tags = sorted(set(attribute_rows()) | exact)
    else:
        tags = [_tag(attribute)]
    found = [explained(profile, tag, path, types=types) for tag in tags]
    if as_json:
        _print_json([_explanation_values(one) for one in found])
    elif attribute is None:
        rows = [(tag_text(one.tag), one.name, one.code, one.becomes, f"{one.by}: {one.source}") for one in found]
        show_table(("tag", "attribute", "code", "what becomes of it", "which line won"), rows)
    else:
        _show_explanation(profile, found[0], types)
    return EXIT_OK


def translate(path: Path, *, name: str, allow_loosening: str, report: Path | None) -> int:
    """Print the profile that a script of another program becomes; return the exit status.

    What became of each line goes to standard error, or as JSON into a file.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="strict")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path}: cannot be read ({type(error).__name__})") from None
    try:
        is_recipe = text.lstrip("\ufeff \t\r\n").upper().startswith(("FORMAT", "%", "#"))
        if is_recipe:
            found = translate_recipe(text, name=name or "deid-recipe", allow_loosening=allow_loosening)
        elif allow_loosening:
            raise click.UsageError("--allow-loosening is for deid recipes; the rules of a script that keep say so")
        else:
            found = translate_script(text)
        Profile.from_yaml(found.profile_yaml)
    except ProfileError as error:
        _end_with_faults(str(path), error)
    print(found.profile_yaml, end="")  # noqa: T201 - this is the answer
    if report is None:
        _show_translation(found)
    else:
        report.write_text(json.dumps([asdict(line) for line in found.lines], indent=2) + "\n", encoding="utf-8")
    return EXIT_OK


def print_schema() -> int:
    """Print the JSON Schema of the language; return the exit status."""
    _print_json(schema())
    return EXIT_OK


def show(settings: Settings, source: str) -> int:
    """Print a profile's text with those that it is built on; return the exit status."""
    try:
        text = profile_source(settings, source)[1]
    except ConfigError as error:
        _end_with(error)
    print(text, end="")  # noqa: T201 - this is the answer
    return EXIT_OK


# -- reading ----------------------------------------------------------------------------------------------------------


def profile_source(settings: Settings, source: str) -> tuple[str, str]:
    """Return what a source is called, and its text: a file, or the name of a profile."""
    path = Path(source)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return str(path), with_bases(read_text(path), settings, path.parent)
    return source, profile_text(source, settings)


def read_profile(settings: Settings, source: str) -> Profile:
    """Read a profile; end with every fault and exit status 2 where it is wrong."""
    try:
        called, text = profile_source(settings, source)
        return Profile.from_yaml(text)
    except ProfileError as error:
        _end_with_faults(called, error)
    except ConfigError as error:
        _end_with(error)


def _end_with(error: ConfigError) -> NoReturn:
    click.echo(str(error), err=True)
    sys.exit(EXIT_WRONG)


def _end_with_faults(called: str, error: ProfileError) -> NoReturn:
    for fault in str(error).splitlines():
        click.echo(f"{called}: {fault}", err=True)
    sys.exit(EXIT_WRONG)


def _tag(text: str) -> int:
    tags = Tags.of(text) if text.startswith("(") else None
    tag = keyword_tags().get(text) if tags is None else tags.value
    if tag is None or (tags is not None and not tags.is_exact):
        raise click.UsageError(f"{text!r} is neither a tag as (0018,1000) nor a keyword as DeviceSerialNumber")
    return tag


def _sop_class(text: str) -> str:
    try:
        return sop_class_uid(text, yaml.ScalarNode("tag:yaml.org,2002:str", text))
    except ProfileError:
        raise click.UsageError(f"{text!r} is no SOP Class, by UID or by name (CT Image Storage)") from None


# -- showing ----------------------------------------------------------------------------------------------------------


def _facts(profile: Profile) -> dict[str, Any]:
    policy = profile.sop_classes
    kept = policy.keep | (_cleaned(profile) - policy.drop - policy.hold)
    return {
        "name": profile.name,
        "revision": profile.revision,
        "description": profile.description,
        "base": [*profile.bases] or ["basic"],
        "options": sorted(option.replace("_", "-") for option in profile.options),
        "dates": profile.dates,
        "text": profile.text,
        "age": profile.age,
        "vocabulary": len(profile.vocabulary.words) + sum(map(len, profile.vocabulary.phrases.values())),
        "dropped": sorted((*policy.drop, *policy.drop_uids)),
        "held": sorted((*(set(DROPPABLE) - policy.drop - kept), *policy.hold_uids)),
        "kept": sorted((*kept, *policy.keep_uids)),
        "hold": [{"name": one.name, "reason": one.reason, "where": one.place} for one in profile.doubts],
    }


def _cleaned(profile: Profile) -> frozenset[DropReason]:
    """Return the kinds that an option cleans."""
    return frozenset(DropReason(kind) for kind, option in KEEPABLE.items() if option in profile.options)


def _show_facts(profile: Profile, console: Console) -> None:
    facts = _facts(profile)
    console.print(f"{profile.name}  revision {profile.revision}", style="bold")
    if profile.description:
        console.print(profile.description)
    table = Table(box=None, show_header=False, pad_edge=False)
    for key in ("base", "options", "dates", "text", "vocabulary", "age", "dropped", "held", "kept"):
        value = facts[key]
        table.add_row(key, Text(", ".join(value) if isinstance(value, list) else str(value)))
    console.print(table)
    for one in facts["hold"]:
        console.print(Text(f"hold ({one['where']}): {one['reason']}"))


def _only(rule: Rule) -> str:
    parts = [*sorted(rule.modalities), *sorted(rule.sop_classes), *map(str, rule.conditions)]
    if rule.inside is not None:
        parts.append("inside " + " ".join(map(tag_text, rule.inside)) if rule.inside else "top level")
    return ", ".join(parts)


def _rule_row(rule: Rule) -> tuple[str, ...]:
    name = ""
    if rule.tags is not None and rule.tags.is_exact:
        name = next((keyword for keyword, tag in keyword_tags().items() if tag == rule.tags.value), "")
    return rule.place, f"{rule.subject} {name}".strip(), rule.action, _only(rule), rule.reason


def _rule_values(rule: Rule) -> dict[str, str]:
    return dict(zip(("where", "about", "action", "only_for", "reason"), _rule_row(rule), strict=True))


def _explanation_values(one: Explanation) -> dict[str, Any]:
    return {
        "tag": tag_text(one.tag),
        "inside": [tag_text(tag) for tag in one.path],
        "attribute": one.name,
        "vr": one.vr,
        "code": one.code,
        "becomes": one.becomes,
        "by": one.by,
        "source": one.source,
        "reason": one.reason,
        "in_some_instances": [_rule_values(rule) for rule in one.others],
    }


def _show_explanation(profile: Profile, one: Explanation, types: Any) -> None:
    console = Console(highlight=False)
    console.print(Text(f"{tag_text(one.tag)} {one.name} {one.vr}".strip()), style="bold")
    _show_fate(one, console)
    for rule in one.others:
        in_order = [each for each in profile.rules if each is rule or not each.is_conditional]
        with_it = explained(profile, one.tag, one.path, types=types, rules=RuleSet(in_order))
        console.print(Text(f"\nIn instances of: {_only(rule)}"), style="bold")
        _show_fate(with_it, console)


def _show_fate(one: Explanation, console: Console) -> None:
    code = f" ({one.code})" if one.code else ""
    console.print(Text(f"  becomes: {one.becomes}{code}"))
    console.print(Text(f"  by:      {one.by}: {one.source}"))
    if one.reason:
        console.print(Text(f"  reason:  {one.reason}"))


def _show_translation(found: Translation) -> None:
    console = Console(stderr=True, highlight=False)
    rows = [(str(line.number), line.outcome.value, line.source, line.became) for line in found.lines]
    show_table(("line", "outcome", "what stood there", "what became of it"), rows, console)
    left = sum(line.outcome in _LEFT for line in found.lines)
    console.print(f"{len(found.lines)} lines, {left} not translated. Read the profile before it is used.")


def _show_recipe(recipe: RecipeUse, console: Console) -> None:
    """Print each line of a recipe that does nothing in the profile, or less than it asks for."""
    tables = (
        ("lines that were not taken", recipe.not_taken),
        ("lines that change nothing, since the profile does as much", recipe.without_effect),
    )
    for what, lines in tables:
        if lines:
            console.print(Text(f"\nRecipe {recipe.called}: {what}"), style="bold")
            rows = [(str(line.number), line.source, _why(line)) for line in lines]
            show_table(("line", "what stood there", "why"), rows, console)
    if not any(lines for _, lines in tables):
        console.print(Text(f"\nRecipe {recipe.called}: every line was taken."))


def _why(line: TranslatedLine) -> str:
    return line.became if line.is_whole else f"taken in part: {line.became}"


def show_table(head: Iterable[str], rows: Iterable[Iterable[str]], console: Console | None = None) -> None:
    """Print rows below a head, as wide as the terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    (console or Console(highlight=False)).print(table)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))  # noqa: T201 - a program reads this
