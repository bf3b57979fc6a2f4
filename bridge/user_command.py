"""``casebridge user``: who has an account; to make one, to give it a password, to shut it out."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.command_options import config_option, json_option, read_settings

if TYPE_CHECKING:
    from cases.store import Accounts, Database
    from cases.users import Usage, User
    from config.settings import Settings

EXIT_FAULT = 1
MOST_BYTES = 4096
ROLES = ("reader", "contributor", "editor", "reviewer", "privacy_officer", "admin")


@click.group()
def user() -> None:
    """Look after accounts: list and make them, give one a password, shut one out."""


@user.command("list")
@config_option
@json_option
def user_list(config_file: Path | None, *, as_json: bool) -> None:
    """List the accounts with their roles, and what they hold of their limits."""
    from cases.store import Accounts  # noqa: PLC0415
    from cases.users import Usage  # noqa: PLC0415

    with _accounts_of(read_settings(config_file)) as database, database.read() as session:
        usages = Accounts(session).usages()
        rows = [(one, usages.get(one.id, Usage())) for one in Accounts(session).users()]
    if as_json:
        print(json.dumps([_values(*row) for row in rows], indent=2))  # noqa: T201 - a program reads this
    else:
        _show(rows)


@user.command("add")
@config_option
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="contributor", show_default=True, help="What it may do.")
def user_add(config_file: Path | None, name: str, role: str) -> None:
    """Make the account NAME. It has no password and no token yet."""
    from bridge.actor import command_line_actor  # noqa: PLC0415
    from cases.store import Accounts, Audit  # noqa: PLC0415
    from cases.users import Role, is_user_name  # noqa: PLC0415

    if not is_user_name(name):
        raise click.ClickException("a name is one word of letters, digits and . _ @ -, of at most 64 characters")
    settings = read_settings(config_file)
    with _accounts_of(settings) as database, database.write() as session:
        made = Accounts(session).create_user(name, Role(role), settings.draft_limit)
        Audit(session).append(command_line_actor(), "user.create", made.id, {"role": role})
    click.echo(f"The account {name} is there. A password for it: casebridge user set-password {name}")


@user.command("set-password")
@config_option
@click.argument("name")
def user_set_password(config_file: Path | None, name: str) -> None:
    """Give the account NAME a password, which is asked for twice, or is the first line of standard input.

    Its sessions end; tokens that were issued by hand stay.
    """
    from bridge.actor import command_line_actor  # noqa: PLC0415
    from cases.passwords import checked, hashed  # noqa: PLC0415
    from cases.store import Accounts, Audit, Passwords  # noqa: PLC0415

    with _accounts_of(read_settings(config_file)) as database:
        with database.read() as session:
            found = _named(Accounts(session), name)
        kept = hashed(checked(_asked_for(), found.name))
        with database.write() as session:
            Passwords(session).replace(found.id, kept)
            Audit(session).append(command_line_actor(), "password.set", found.id)
    click.echo(f"{name} has the new password from now on, and has to sign in again.")


@user.command("disable")
@config_option
@click.argument("name")
def user_disable(config_file: Path | None, name: str) -> None:
    """Shut the account NAME out: its tokens end at once, its cases stay."""
    from bridge.actor import command_line_actor  # noqa: PLC0415
    from cases.store import Accounts, Audit  # noqa: PLC0415
    from cases.users import UserChange  # noqa: PLC0415

    with _accounts_of(read_settings(config_file)) as database, database.write() as session:
        accounts = Accounts(session)
        found = accounts.edit(_named(accounts, name).id, UserChange(is_disabled=True))
        Audit(session).append(command_line_actor(), "user.edit", found.id, {"fields": "is_disabled"})
    click.echo(f"{name} is shut out. An administrator may let the account in again, which then needs a new token.")


@contextmanager
def _accounts_of(settings: "Settings") -> Iterator["Database"]:
    """Open the database; what goes wrong becomes one line and exit status 1."""
    from bridge.app import open_database  # noqa: PLC0415
    from cases.errors import CaseError  # noqa: PLC0415

    try:
        with open_database(settings) as database:
            yield database
    except CaseError as error:
        click.echo(f"Not done: {error}", err=True)
        sys.exit(EXIT_FAULT)


def _named(accounts: "Accounts", name: str) -> "User":
    found = accounts.user_named(name)
    if found is None:
        raise click.ClickException("there is no account of this name; see casebridge user list")
    return found


def _asked_for() -> str:
    """Return what is typed twice, unseen, or what a program writes: an argument would stand in the process list."""
    if sys.stdin.isatty():
        typed: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return typed
    try:
        lines = sys.stdin.buffer.read(MOST_BYTES).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise click.ClickException("standard input is no UTF-8 text") from None
    if len(lines) != 1:
        raise click.ClickException("give the password as the only line of standard input, never as an argument")
    return lines[0]


def _values(one: "User", usage: "Usage") -> dict[str, object]:
    return {
        "id": one.id,
        "name": one.name,
        "role": one.role.value,
        "is_disabled": one.is_disabled,
        "is_trusted": one.is_trusted,
        "has_password": one.has_password,
        "institution_policy": one.institution_policy.value,
        "drafts": usage.drafts,
        "draft_limit": one.draft_limit,
        "unlisted": usage.unlisted,
        "unlisted_limit": one.unlisted_limit,
        "pending": usage.pending,
        "pending_limit": one.pending_limit,
    }


def _show(rows: "list[tuple[User, Usage]]") -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for column in ("account", "role", "drafts", "unlisted", "in review", ""):
        table.add_column(column, overflow="fold")
    for one, usage in rows:
        remarks = {"disabled": one.is_disabled, "trusted": one.is_trusted, "password": one.has_password}
        cells = (
            one.name,
            one.role.value,
            f"{usage.drafts}/{one.draft_limit}",
            f"{usage.unlisted}/{one.unlisted_limit}",
            f"{usage.pending}" if one.is_trusted else f"{usage.pending}/{one.pending_limit}",
            ", ".join(name for name, is_so in remarks.items() if is_so),
        )
        table.add_row(*map(Text, cells))
    Console().print(table)
