"""``casebridge audit``: its commands and their options. Each imports what it needs when it runs."""

import sys
from datetime import datetime
from pathlib import Path

import click

from bridge.command_options import config_option, json_option, read_settings


@click.group()
def audit() -> None:
    """Look after the audit log: note down its newest entry, export it, and verify that nothing in it was changed."""


@audit.command("head")
@config_option
@json_option
def audit_head(config_file: Path | None, *, as_json: bool) -> None:
    """Print place and digest of the newest entry, to be noted down where nobody changes it."""
    from bridge.audit_command import show_head  # noqa: PLC0415

    sys.exit(show_head(read_settings(config_file), as_json=as_json))


@audit.command("export")
@config_option
@click.argument("to", metavar="[FILE|-]", default="-")
@click.option("--since", type=click.DateTime(), help="Moment in UTC from which on.")
@click.option("--until", type=click.DateTime(), help="Moment in UTC before which.")
@click.option("--actor", help="Only what this one did.")
@click.option("--action", help="Only actions that begin so, such as case.")
@click.option("--subject", help="Only what was done to this.")
def audit_export(config_file: Path | None, to: str, **choice: str | datetime | None) -> None:
    """Write the log as JSON lines with their digests to a new FILE or standard output. The log keeps who did."""
    from bridge.audit_command import chosen, export  # noqa: PLC0415

    sys.exit(export(read_settings(config_file), to, chosen(**choice)))  # type: ignore[arg-type]


@audit.command("verify")
@config_option
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--noted",
    type=(click.IntRange(1), str),
    multiple=True,
    metavar="PLACE DIGEST",
    help="What was noted down of the log, and has to be in it; as many as there are.",
)
def audit_verify(config_file: Path | None, file: str | None, noted: tuple[tuple[int, str], ...]) -> None:
    """Follow the chain of the database, or of the export FILE, and name the first place that is wrong.

    Exit status: 0 when the chain is whole, 1 when it is not.
    """
    from bridge.audit_command import verify  # noqa: PLC0415

    sys.exit(verify(read_settings(config_file) if file is None else None, file, noted))
