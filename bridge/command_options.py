"""What commands share: the option that names the settings file, and how settings are read for them."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from config.settings import Settings

EXIT_CONFIG = 2

config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Settings file (TOML). Environment variables CASEBRIDGE_<NAME> win over it.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")


def read_settings(config_file: Path | None, *, open_: bool = False) -> "Settings":
    """Load the settings or end with exit status 2 and every fault in a sentence of its own."""
    from config import ConfigError, load_settings  # noqa: PLC0415 - see the module's docstring

    environ = dict(os.environ)
    if open_:
        environ["CASEBRIDGE_OPEN"] = "true"
    try:
        return load_settings(environ, config_file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EXIT_CONFIG)
