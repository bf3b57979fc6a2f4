"""``casebridge profile publish``, ``use``, ``rollback``, ``history``: which revision counts, with who decided it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from bridge.actor import command_line_actor
from bridge.app import open_database
from bridge.profile_command import ending, show_table, source_of
from bridge.profile_desk import BridgeProfiles
from bridge.profile_routes import route_text
from cases.errors import CaseError
from cases.profiles import CountedPublication, Origin, ProfileSource, ShownRoute
from config.profile_files import profile_names, read_text, with_recipe
from config.settings import Settings

EXIT_OK, EXIT_FAULT = 0, 1


def publish(settings: Settings, source: str, *, note: str, replaces: str | None) -> int:
    """Let a profile's name mean the text of a file from the next case on; return the exit status."""
    with ending(source):
        text = _to_publish(settings, source)
        with _deciding(settings) as desk:
            done = desk.publish(command_line_actor(), text, note=note, replaces=replaces)
    if not done.is_changed:
        click.echo(f"{done.name} means {done.revision} already; nothing was changed.")
        return EXIT_OK
    click.echo(f"{done.name} means {done.revision} from the next case on. Cases that are there keep their revision.")
    if done.before not in {"", done.revision}:
        click.echo(f"To take it back: casebridge profile rollback {done.name}")
    return EXIT_OK


def _to_publish(settings: Settings, source: str) -> ProfileSource:
    """Return what is to be published; of a name that has a file, what lies there now."""
    path = profile_names(settings).get(source)
    if path is not None and not Path(source).is_file():
        return ProfileSource(text=with_recipe(read_text(path), path.parent))
    return source_of(source)


def use(settings: Settings, name: str, *, called_ae: str, calling_ae: str) -> int:
    """Give a route a profile, by name, or pinned as NAME@REVISION; return the exit status."""
    name, _, revision = name.partition("@")
    with ending(name), _deciding(settings) as desk:
        done = desk.set_route(command_line_actor(), called_ae, calling_ae, name=name, revision=revision)
    how = f"pinned to {done.means}" if "@" in done.profile else f"now {done.means}"
    click.echo(f"{route_text(done.called_ae, done.calling_ae)}: {name}, {how}.")
    click.echo("Drafts that are there keep their revision; new cases get this one.")
    return EXIT_OK


def rollback(settings: Settings, name: str | None, *, called_ae: str | None, calling_ae: str, to_settings: bool) -> int:
    """Go back to what a name, or a route, had before; return the exit status."""
    if (name is None) == (called_ae is None):
        raise click.UsageError("name either a profile, or a route with --called")
    if to_settings and called_ae is None:
        raise click.UsageError("--to-settings is for a route; name it with --called")
    actor = command_line_actor()
    with ending(name or ""), _deciding(settings) as desk:
        if name is not None:
            done = desk.roll_back(actor, name)
            click.echo(f"{name} means {done.revision} again, from the next case on; it was {done.before}.")
        elif called_ae is not None:
            route = desk.roll_back_route(actor, called_ae, calling_ae, to_settings=to_settings)
            told = route.profile.replace("@", " ") or "the profile of the settings"
            click.echo(f"{route_text(route.called_ae, route.calling_ae)}: {told} again.")
    return EXIT_OK


def history(settings: Settings, name: str | None, *, as_json: bool) -> int:
    """Print what names and routes mean, and since when; return the exit status."""
    with _deciding(settings) as desk:
        told = desk.publications(name)
        routes = [
            one
            for one in desk.routes()
            if one.origin is Origin.PUBLISHED and name in {None, one.profile.partition("@")[0]}
        ]
    if as_json:
        values = {
            "publications": [{**asdict(one.publication), "cases": one.cases} for one in told],
            "routes": [_route_values(one) for one in routes],
        }
        print(json.dumps(values, indent=2, default=str))  # noqa: T201 - a program reads this
        return EXIT_OK
    console = Console(highlight=False)
    if not told:
        console.print("Nothing was published: the profiles are those of the files.")
    else:
        head = ("profile", "revision", "published (UTC)", "by", "cases", "note")
        show_table(head, [_publication_row(one) for one in told], console)
    if routes:
        console.print()
        show_table(("route", "profile", "set (UTC)", "by"), [_route_row(one) for one in routes], console)
    return EXIT_OK


def _publication_row(one: CountedPublication) -> tuple[str, ...]:
    said = one.publication
    at = f"{said.published_at:%Y-%m-%d %H:%M}"
    return said.name, said.revision, at, said.published_by, str(one.cases), said.note


def _route_values(one: ShownRoute) -> dict[str, object]:
    name, _, revision = one.profile.partition("@")
    return {
        "called_ae": one.called_ae,
        "calling_ae": one.calling_ae,
        "name": name,
        "revision": revision,
        "set_at": one.set_at,
        "set_by": one.set_by,
    }


def _route_row(one: ShownRoute) -> tuple[str, ...]:
    at = f"{one.set_at:%Y-%m-%d %H:%M}" if one.set_at is not None else ""
    return route_text(one.called_ae, one.calling_ae), one.profile, at, one.set_by or ""


@contextmanager
def _deciding(settings: Settings) -> Iterator[BridgeProfiles]:
    """Open the database for decisions; what goes wrong becomes one line and exit status 1."""
    try:
        with open_database(settings) as database:
            yield BridgeProfiles(settings, database)
    except CaseError as error:
        click.echo(f"Not done: {error}", err=True)
        sys.exit(EXIT_FAULT)
