"""The keys that seal the spool: read from a file or from a command, checked, and missed before anything starts."""

import secrets
import shlex
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from bridge.keys import SecretError
from config.settings import Settings
from scp.key_marks import KeyMarks
from scp.sealing import KEY_BYTES, SpoolKeys

COMMAND_TIMEOUT_S = 30.0
MOST_BYTES = 65_536


def load_spool_keys(settings: Settings) -> SpoolKeys | None:
    """Read the spool keys of these settings; None where originals are kept plain.

    Raises
    ------
    SecretError
        When file or command cannot be used; the text says what to do and holds nothing of what they said.
    """
    if settings.spool_key_file is not None:
        return _parsed(_read_file(settings.spool_key_file), f"the spool key file {settings.spool_key_file}")
    if settings.spool_key_command is not None:
        command = settings.spool_key_command.get_secret_value()
        return _parsed(_run(command), "the output of spool_key_command")
    return None


def check_spool_keys(spool_dir: Path, keys: SpoolKeys | None) -> None:
    """Refuse a spool that needs a key which is not configured, and mark it with the key that seals from now on.

    Raises
    ------
    SecretError
        When a key is missing: without it originals could be neither worked on nor told from damaged ones.
    """
    marks = KeyMarks(spool_dir)
    configured = keys.ids if keys is not None else ()
    missing = [key_id for key_id in marks.ids() if key_id not in configured]
    if missing:
        raise SecretError(
            f"the spool {spool_dir} holds originals sealed under the spool key {missing[0][:8]}, which is not "
            "configured; give it with spool_key_file or spool_key_command, behind the key that seals new ones"
        )
    if keys is not None:
        marks.add(keys.ids[0])


def new_spool_key() -> str:
    """Return a new key as the lines of a key file."""
    key = secrets.token_bytes(KEY_BYTES)
    key_id = SpoolKeys(keys=(key,)).ids[0]
    return (
        f"# Casebridge spool key {key_id[:8]}, made on {datetime.now(UTC):%Y-%m-%d}. Keep a copy apart from the\n"
        f"# spool: without it the originals sealed under it are lost.\n{key.hex()}\n"
    )


def _read_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        raise SecretError(f"the spool key file {path} cannot be read; restore it from its copy") from None
    if mode & 0o077:
        raise SecretError(f"the spool key file {path} can be read by others; run: chmod 600 {path}")
    return text


@cache
def _run(command: str) -> str:
    """Run the command once for the life of this process."""
    try:
        done = subprocess.run(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SecretError(
            f"spool_key_command gave no key within {COMMAND_TIMEOUT_S:g} s; run it by hand and see what it waits for"
        ) from None
    except (OSError, ValueError) as error:
        raise SecretError(f"spool_key_command cannot be run ({type(error).__name__}); correct it") from None
    if done.returncode != 0:
        raise SecretError(f"spool_key_command ended with status {done.returncode}; run it by hand and see what it says")
    return done.stdout[:MOST_BYTES].decode("utf-8", "replace")


def _parsed(text: str, source: str) -> SpoolKeys:
    try:
        return SpoolKeys.parse(text)
    except ValueError as error:
        raise SecretError(f"{source} is of no use: {error}; make a key with: casebridge spool-key new") from None
