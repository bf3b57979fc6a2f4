"""``casebridge profile publish``, ``use``, ``rollback``, ``history``: which revision counts, with who decided it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click
from rich.console import Console

from bridge.actor import command_line_actor
from bridge.app import open_database
from bridge.profile_book import revision_of
from bridge.profile_command import profile_source, read_profile, show_table
from cases.errors import CaseError
from cases.profiles import ANY, ProfileRevision, RouteProfile
from cases.store import Audit, Profiles
from config.profile_files import has_profile, profile_text
from config.settings import Settings
from deidentify.explain import loosened

EXIT_OK, EXIT_FAULT = 0, 1
_MOST_NOTE = 200


def publish(settings: Settings, source: str, *, note: str) -> int:
    """Let a profile's name mean the text of a file from the next case on; return the exit status."""
    profile = read_profile(settings, source)
    one = revision_of(profile_source(settings, source)[1])
    with _profiles(settings) as (profiles, audit):
        before = profiles.newest(one.name)
        if before is not None and before.revision == one.revision:
            click.echo(f"{one.name} means {one.revision} already; nothing was changed.")
            return EXIT_OK
        profiles.publish(one, actor=command_line_actor(), note=note[:_MOST_NOTE])
        audit.append(
            command_line_actor(),
            "profile.publish",
            f"profile {one.name}",
            {"revision": one.revision, "before": before.revision if before else "", "loosened": len(loosened(profile))},
        )
    click.echo(f"{one.name} means {one.revision} from the next case on. Cases that are there keep their revision.")
    if before is not None:
        click.echo(f"To take it back: casebridge profile rollback {one.name}")
    return EXIT_OK


def use(settings: Settings, name: str, *, called_ae: str, calling_ae: str) -> int:
    """Give a route a profile, by name, or pinned as NAME@REVISION; return the exit status."""
    name, _, revision = name.partition("@")
    with _profiles(settings) as (profiles, audit):
        pinned = _pinned(profiles, name, revision) if revision else ""
        newest = profiles.newest(name)
        if not pinned and newest is None:
            if not has_profile(name, settings):
                raise click.ClickException(f"there is no profile {name}; publish it, or see casebridge profile list")
            # Other hosts may have another file of that name, or none: from now on all have this one.
            newest = revision_of(profile_text(name, settings))
            profiles.publish(newest, actor=command_line_actor(), note="with the route that uses it")
        profiles.set_route(called_ae, calling_ae, name, pinned, actor=command_line_actor())
        _audit_route(audit, called_ae, calling_ae, name, pinned)
    means = pinned or (newest.revision if newest else "")
    click.echo(f"{_route_text(called_ae, calling_ae)}: {name}, {'pinned to' if pinned else 'now'} {means}.")
    click.echo("Drafts that are there keep their revision; new cases get this one.")
    return EXIT_OK


def rollback(settings: Settings, name: str | None, *, called_ae: str | None, calling_ae: str) -> int:
    """Go back to what a name, or a route, had before; return the exit status."""
    if (name is None) == (called_ae is None):
        raise click.UsageError("name either a profile, or a route with --called")
    with _profiles(settings) as (profiles, audit):
        if name is not None:
            _rollback_name(profiles, audit, name)
        elif called_ae is not None:
            _rollback_route(profiles, audit, called_ae, calling_ae)
    return EXIT_OK


def _rollback_name(profiles: Profiles, audit: Audit, name: str) -> None:
    history = profiles.publications(name)
    now = history[0].revision if history else ""
    before = next((one.revision for one in history if one.revision != now), None)
    if before is None:
        raise click.ClickException(f"{name} has no earlier publication to go back to")
    profiles.publish(profiles.revision(before), actor=command_line_actor(), note=f"back from {now}")
    audit.append(command_line_actor(), "profile.rollback", f"profile {name}", {"revision": before, "before": now})
    click.echo(f"{name} means {before} again, from the next case on; it was {now}.")


def _rollback_route(profiles: Profiles, audit: Audit, called_ae: str, calling_ae: str) -> None:
    history = profiles.route_history(called_ae, calling_ae)
    if not history or not history[0].name:
        raise click.ClickException(f"nothing was set for {_route_text(called_ae, calling_ae)}")
    now = history[0]
    before = next((one for one in history[1:] if (one.name, one.revision) != (now.name, now.revision)), None)
    name, revision = (before.name, before.revision) if before else ("", "")
    profiles.set_route(called_ae, calling_ae, name, revision, actor=command_line_actor())
    _audit_route(audit, called_ae, calling_ae, name, revision)
    told = f"{name} {revision}".strip() or "the profile of the settings"
    click.echo(f"{_route_text(called_ae, calling_ae)}: {told} again.")


def history(settings: Settings, name: str | None, *, as_json: bool) -> int:
    """Print what names and routes mean, and since when; return the exit status."""
    with _profiles(settings) as (profiles, _audit):
        names = [name] if name else profiles.published_names()
        told = [one for known in names for one in profiles.publications(known)]
        routes = [one for one in profiles.routes() if name in {None, one.name}]
        cases = {one.revision: profiles.cases_under(one.revision) for one in told}
    if as_json:
        values = {
            "publications": [{**asdict(one), "cases": cases[one.revision]} for one in told],
            "routes": [asdict(one) for one in routes],
        }
        print(json.dumps(values, indent=2, default=str))  # noqa: T201 - a program reads this
        return EXIT_OK
    console = Console(highlight=False)
    if not told:
        console.print("Nothing was published: the profiles are those of the files.")
    else:
        rows = [
            (
                one.name,
                one.revision,
                f"{one.published_at:%Y-%m-%d %H:%M}",
                one.published_by,
                str(cases[one.revision]),
                one.note,
            )
            for one in told
        ]
        show_table(("profile", "revision", "published (UTC)", "by", "cases", "note"), rows, console)
    if routes:
        console.print()
        show_table(("route", "profile", "set (UTC)", "by"), [_route_row(one) for one in routes], console)
    return EXIT_OK


def _route_row(one: RouteProfile) -> tuple[str, ...]:
    profile = f"{one.name}@{one.revision}" if one.revision else one.name
    return _route_text(one.called_ae, one.calling_ae), profile, f"{one.set_at:%Y-%m-%d %H:%M}", one.set_by


def _route_text(called_ae: str, calling_ae: str) -> str:
    return f"to {called_ae}" + (f" from {calling_ae}" if calling_ae != ANY else "")


def _pinned(profiles: Profiles, name: str, revision: str) -> str:
    found: ProfileRevision = profiles.revision(revision)
    if found.name != name:
        raise click.ClickException(f"revision {found.revision} is of the profile {found.name}, not of {name}")
    return found.revision


def _audit_route(audit: Audit, called_ae: str, calling_ae: str, name: str, revision: str) -> None:
    subject = f"route {called_ae} {calling_ae}"
    audit.append(command_line_actor(), "profile.route", subject, {"profile": name, "revision": revision})


@contextmanager
def _profiles(settings: Settings) -> Iterator[tuple[Profiles, Audit]]:
    """Open what is needed, in one transaction; what goes wrong becomes one line and exit status 1."""
    try:
        with open_database(settings) as database, database.write() as session:
            yield Profiles(session), Audit(session)
    except CaseError as error:
        click.echo(f"Not done: {error}", err=True)
        sys.exit(EXIT_FAULT)
