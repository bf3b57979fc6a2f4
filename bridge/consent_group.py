"""``casebridge consent``: its commands and their options; what they do is in ``consent_command``."""

import sys
from pathlib import Path
from typing import Any

import click

from bridge.command_options import config_option, json_option, read_settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(invoke_without_command=True)
@config_option
@json_option
@click.pass_context
def consent(context: click.Context, config_file: Path | None, *, as_json: bool) -> None:
    """Show whether documents of consents are kept, sealed; to make their keys, and to open one elsewhere."""
    context.obj = config_file
    if context.invoked_subcommand is None:
        from bridge.consent_command import show  # noqa: PLC0415

        sys.exit(show(read_settings(config_file), as_json=as_json))


@consent.command("keygen")
@click.option("--private", required=True, type=click.Path(path_type=Path), help="New file, to be kept elsewhere.")
@click.option("--public", required=True, type=click.Path(path_type=Path), help="New file, for consent_key_file.")
def consent_keygen(private: Path, public: Path) -> None:
    """Make a pair of keys, best on a machine without a network; the private one is kept under a passphrase."""
    from bridge.consent_command import keygen  # noqa: PLC0415

    sys.exit(keygen(private, public))


@consent.command("open")
@click.argument("sealed", type=_FILE)
@click.option("--key", "key_file", required=True, type=_FILE, help="The private key.")
@click.option("--case", "case_id", required=True, metavar="ID", help="The case that it was sealed for.")
@click.option("--to", required=True, type=click.Path(dir_okay=False, path_type=Path), help="New file; it identifies.")
def consent_open(sealed: Path, **choice: Any) -> None:
    """Open the document SEALED, as GET …/consent-document gives it, on any machine; no server is needed."""
    from bridge.consent_command import open_file  # noqa: PLC0415

    sys.exit(open_file(sealed, **choice))
