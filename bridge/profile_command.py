"""``casebridge profile``: read, check, explain and translate profiles; nothing here touches a study."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.app import has_database, open_database
from bridge.profile_desk import BridgeProfiles
from cases.errors import CaseError, InvalidChangeError
from cases.profiles import NamedProfile, Origin, ProfileSource, ShownProfile
from config import ConfigError
from config.profile_files import profile_names, read_text, with_recipe
from config.settings import Settings
from deidentify.errors import ProfileError
from deidentify.profile import Profile
from deidentify.profile_facts import AttributeFacts, OtherFate, ProfileFacts, Question, tag_named
from deidentify.recipe_beside import RecipeUse
from deidentify.translation import Outcome, TranslatedLine, Translation

EXIT_OK, EXIT_WRONG = 0, 2
_LEFT = frozenset((Outcome.NOT_TRANSLATED,))


def list_profiles(settings: Settings, *, as_json: bool) -> int:
    """Print what each name means, where that is from and what it is built on; return the exit status."""
    with open_desk(settings) as desk, ending():
        rows = [_listed(one, settings) for one in desk.listed()]
    keys = ("name", "revision", "from", "base", "description")
    if as_json:
        _print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        show_table(keys, rows)
    return EXIT_WRONG if any(row[1] == "refused" for row in rows) else EXIT_OK


def _listed(one: NamedProfile, settings: Settings) -> tuple[str, ...]:
    path = profile_names(settings).get(one.name)
    if one.shown is None:
        return one.name, "refused", Origin.FILE, "", f"{path}: cannot be read; make it a readable UTF-8 text"
    source, found = one.shown.source, one.shown.checked
    if found is None:
        where = path if source.origin is Origin.FILE else source.revision
        return one.name, "refused", source.origin, "", f"{where}: {one.shown.faults[0]}"
    facts = found.facts
    return one.name, facts.revision, source.origin, " ← ".join(reversed(facts.base)), facts.description


def check(settings: Settings, source: str, *, as_json: bool) -> int:
    """Print what a profile says, or every fault of it; return the exit status."""
    shown = shown_profile(settings, source)
    found = shown.checked
    if found is None:
        _end_with_faults(source, shown.faults)
    if as_json:
        rest = {"rules": [asdict(one) for one in found.rules], "loosened": [asdict(one) for one in found.loosened]}
        _print_json(asdict(found.facts) | rest | {"recipes": [asdict(one) for one in found.recipes]})
        return EXIT_OK
    console = Console(highlight=False)
    _show_facts(found.facts, console)
    if found.rules:
        console.print("\nRules, from top to bottom; the last that fits wins", style="bold")
        rows = [(one.where, one.about, one.action, one.only_for, one.reason) for one in found.rules]
        show_table(("where", "about", "action", "only for", "reason"), rows, console)
    if found.loosened:
        console.print("\nKept, though options and Table E.1-1 would not", style="bold")
        kept = [
            (one.place, one.subject, f"{one.action} instead of {one.instead_of}", one.reason) for one in found.loosened
        ]
        show_table(("where", "what", "how", "reason"), kept, console)
    else:
        console.print("\nNothing is kept that options and Table E.1-1 would not keep.")
    for recipe in found.recipes:
        _show_recipe(recipe, console)
    return EXIT_OK


def explain(
    settings: Settings, source: str, attribute: str | None, *, inside: Iterable[str], sop_class: str, as_json: bool
) -> int:
    """Print what becomes of one attribute, or of all that the table, options and rules name; return the exit status."""
    question = Question(attribute=attribute, inside=tuple(inside), sop_class=sop_class)
    with ending(source), open_desk(settings) as desk:
        try:
            found = desk.explained(source_of(source), question)
        except InvalidChangeError as error:
            raise click.UsageError(str(error)) from None
    if as_json:
        _print_json([asdict(one) for one in found])
    elif attribute is None:
        rows = [(one.tag, one.attribute, one.code, one.becomes, f"{one.by}: {one.source}") for one in found]
        show_table(("tag", "attribute", "code", "what becomes of it", "which line won"), rows)
    else:
        _show_explanation(found[0])
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
        found = BridgeProfiles.translated(text, name=name, allow_loosening=allow_loosening)
    except InvalidChangeError:
        sentence = "--allow-loosening is for deid recipes; the rules of a script that keep say so"
        raise click.UsageError(sentence) from None
    except ProfileError as error:
        _end_with_faults(str(path), str(error).splitlines())
    print(found.profile_yaml, end="")  # noqa: T201 - this is the answer
    if report is None:
        _show_translation(found)
    else:
        report.write_text(json.dumps([asdict(line) for line in found.lines], indent=2) + "\n", encoding="utf-8")
    return EXIT_OK


def print_schema() -> int:
    """Print the JSON Schema of the language; return the exit status."""
    _print_json(BridgeProfiles.schema())
    return EXIT_OK


def show(settings: Settings, source: str) -> int:
    """Print a profile's text with those that it is built on; return the exit status."""
    print(shown_profile(settings, source).source.text, end="")  # noqa: T201 - this is the answer
    return EXIT_OK


# -- reading ----------------------------------------------------------------------------------------------------------


@contextmanager
def open_desk(settings: Settings) -> Iterator[BridgeProfiles]:
    """Give the desk for looking: with what was published, where there is a database; none is made for it."""
    with ExitStack() as stack:
        database = None
        try:
            if has_database(settings):
                database = stack.enter_context(open_database(settings))
        except CaseError as error:
            click.echo(f"What was published is not known here, and the files are looked at alone: {error}", err=True)
        yield BridgeProfiles(settings, database)


def source_of(source: str) -> ProfileSource:
    """Return which profile is meant: that of a file, NAME, or NAME@REVISION.

    Raises
    ------
    ConfigError
        When the file cannot be read.
    """
    path = Path(source)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        return ProfileSource(text=with_recipe(read_text(path), path.parent))
    name, _, revision = source.partition("@")
    return ProfileSource(name=name, revision=revision or None)


def shown_profile(settings: Settings, source: str) -> ShownProfile:
    """Return a profile's text and what it says; end with exit status 2 where there is none."""
    with ending(source), open_desk(settings) as desk:
        return desk.shown(source_of(source))


def read_profile(settings: Settings, source: str) -> Profile:
    """Read a profile; end with every fault and exit status 2 where it is wrong."""
    with ending(source), open_desk(settings) as desk:
        return desk.profile(source_of(source))


@contextmanager
def ending(source: str = "") -> Iterator[None]:
    """Turn what is wrong with a profile into sentences and exit status 2."""
    try:
        yield
    except ProfileError as error:
        _end_with_faults(source, str(error).splitlines())
    except (ConfigError, CaseError) as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_WRONG)


def _end_with_faults(source: str, faults: Iterable[str]) -> NoReturn:
    for fault in faults:
        click.echo(f"{source}: {fault}", err=True)
    sys.exit(EXIT_WRONG)


def tag_of(text: str) -> int:
    """Return the tag that a text names, by keyword or as (gggg,eeee)."""
    try:
        return tag_named(text, repr(text))
    except ValueError as error:
        raise click.UsageError(str(error)) from None


# -- showing ----------------------------------------------------------------------------------------------------------


def _show_facts(facts: ProfileFacts, console: Console) -> None:
    console.print(f"{facts.name}  revision {facts.revision}", style="bold")
    if facts.description:
        console.print(Text(facts.description))
    table = Table(box=None, show_header=False, pad_edge=False)
    for key in ("base", "options", "dates", "text", "vocabulary", "age", "pixels", "dropped", "held", "kept"):
        value = getattr(facts, key)
        table.add_row(key, Text(", ".join(value) if isinstance(value, tuple) else str(value)))
    console.print(table)
    for one in facts.hold:
        console.print(Text(f"hold ({one.where}): {one.reason}"))


def _show_explanation(one: AttributeFacts) -> None:
    console = Console(highlight=False)
    console.print(Text(f"{one.tag} {one.attribute} {one.vr}".strip()), style="bold")
    _show_fate(one, console)
    for other in one.in_some_instances:
        console.print(Text(f"\nIn instances of: {other.only_for}"), style="bold")
        _show_fate(other, console)


def _show_fate(one: AttributeFacts | OtherFate, console: Console) -> None:
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
