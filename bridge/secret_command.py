"""``casebridge secret``: the generations of the secret, without the secret."""

import json
import sys
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bridge.actor import command_line_actor
from bridge.app import check_secret, keys_of, open_database
from bridge.generations import KnownGeneration, known_generations, retire, rotate
from bridge.keys import SecretError
from cases.errors import CaseError
from config.settings import Settings

EXIT_OK = 0
EXIT_FAULT = 1


def list_generations(settings: Settings, *, as_json: bool) -> int:
    """Print which generations there are and what needs them; return the exit status."""
    try:
        with open_database(settings) as database:
            check_secret(settings, database)
            found = known_generations(keys_of(settings), database)
    except (CaseError, SecretError) as error:
        return _fail(error)
    if as_json:
        print(json.dumps([_values(one) for one in found], indent=2))  # noqa: T201 - a program reads this
    else:
        _show(found, Console())
    return EXIT_OK


def rotate_secret(settings: Settings) -> int:
    """Begin a new generation; return the exit status."""
    try:
        with open_database(settings) as database:
            number = rotate(settings.secret_file, database, actor=command_line_actor())
    except (CaseError, SecretError) as error:
        return _fail(error)
    click.echo(
        f"New cases are made under generation {number} from now on; what is there keeps its own.\n"
        f"Back up {settings.secret_file} again, and copy it to every other host: workers there wait until it is there."
    )
    return EXIT_OK


def retire_generation(settings: Settings, number: int) -> int:
    """Delete a generation that nothing needs; return the exit status."""
    try:
        with open_database(settings) as database:
            retire(settings.secret_file, database, number, actor=command_line_actor())
    except (CaseError, SecretError) as error:
        return _fail(error)
    click.echo(
        f"Generation {number} is gone from {settings.secret_file}. Copy the file over those of backups and of other "
        "hosts, so that it is gone there as well."
    )
    return EXIT_OK


def _state(one: KnownGeneration) -> str:
    if one.made is None:
        return "not in use: casebridge secret rotate begins it"
    if one.retired is not None:
        return "retired, still in the file: retire it again" if one.is_here else "retired"
    if one.is_newest:
        return "new cases are made under it"
    return "needed no more: can be retired" if one.use.is_none else "kept for what was made under it"


def _values(one: KnownGeneration) -> dict[str, Any]:
    values = asdict(one) | {"state": _state(one)}
    for name in ("made", "retired"):
        values[name] = values[name] and values[name].isoformat()
    return values


def _show(found: list[KnownGeneration], console: Console) -> None:
    table = Table("generation", "since (UTC)", "cases", "studies", "", box=None)
    for one in found:
        since = f"{one.made:%Y-%m-%d %H:%M}" if one.made else ""
        table.add_row(str(one.number), since, str(one.use.cases), str(one.use.studies), _state(one))
    console.print(table)


def _fail(error: Exception) -> int:
    click.echo(f"Not done: {error}", err=True)
    sys.stderr.flush()
    return EXIT_FAULT
