"""``casebridge crosswalk``: make its keys, read an entry with the reason in the audit log, delete all of them."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bridge.actor import command_line_actor
from bridge.app import open_database
from bridge.crosswalk import (
    MOST_FILE_BYTES,
    CrosswalkKey,
    IdentifiedEntry,
    NotOpenedError,
    load_crosswalk_key,
    open_entry,
    private_key_id,
)
from bridge.keys import SecretError
from cases.errors import CaseError
from cases.store import Audit, Crosswalk, Database
from config.settings import Settings

EXIT_OK = 0
EXIT_FAULT = 1
LEAST_PASSPHRASE = 12
MOST_REASON = 200


class CrosswalkError(Exception):
    """Nothing was done; the message says what to do."""


def keygen(private: Path, public: Path) -> int:
    """Make a pair of keys, the private one under a passphrase; return the exit status."""
    for path in (private, public):
        if path.exists():
            return _fail(CrosswalkError(f"{path} is there already; name a new file"))
    passphrase = click.prompt("Passphrase of the private key", hide_input=True, confirmation_prompt=True, err=True)
    if len(passphrase) < LEAST_PASSPHRASE:
        return _fail(CrosswalkError(f"the passphrase is too short; give {LEAST_PASSPHRASE} characters or more"))
    key = X25519PrivateKey.generate()
    try:
        _write(
            private,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(passphrase.encode()),
            ),
            0o600,
        )
        pem = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        _write(public, pem, 0o644)
    except OSError as error:
        return _fail(error)
    click.echo(
        f"Crosswalk key {private_key_id(key)[:8]}. Keep {private} away from every machine of this installation, twice, "
        f"and its passphrase elsewhere. Set crosswalk_key_file to {public} and restart.",
        err=True,
    )
    return EXIT_OK


def read(settings: Settings, *, case_id: str, key_file: Path, reason: str) -> int:
    """Print whose a case is, after the audit log knows who asked and why; return the exit status."""
    try:
        private_key = _private_key(key_file)
        with open_database(settings) as database:
            entry = read_entry(database, case_id, private_key, reason=reason, actor=command_line_actor())
    except (CaseError, SecretError, CrosswalkError, OSError) as error:
        return _fail(error)
    shown = {name.removeprefix("identified_"): value for name, value in asdict(entry).items()}
    print(json.dumps(shown, indent=2, ensure_ascii=False))  # noqa: T201 - what was asked for
    return EXIT_OK


def read_entry(
    database: Database, case_id: str, private_key: X25519PrivateKey, *, reason: str, actor: str
) -> IdentifiedEntry:
    """Open the entry of a case; an attempt that fails stands in the audit log as well.

    Parameters
    ----------
    database
        Where the entry is.
    case_id
        Whose entry.
    private_key
        What opens it.
    reason, actor
        Why, and who, for the audit log.

    Raises
    ------
    CrosswalkError
        If there is no reason, no entry, or it does not open.
    """
    reason = " ".join(reason.split())
    if not 0 < len(reason) <= MOST_REASON:
        raise CrosswalkError(f"say why, in 1 to {MOST_REASON} characters, without a patient's name or number")
    with database.read() as session:
        found, bound_to = Crosswalk(session).find(case_id), Crosswalk(session).bound_to(case_id)
    if found is None:
        raise CrosswalkError("there is no entry for such a case: it was removed, or made while no crosswalk was kept")
    key_id, sealed = found
    detail: dict[str, str | int | bool | None] = {"reason": reason, "key": key_id}
    try:
        entry = open_entry(sealed, private_key, bound_to)
    except NotOpenedError as error:
        with database.write() as session:
            Audit(session).append(actor, "crosswalk.read-failed", case_id, detail)
        other = private_key_id(private_key) != key_id
        why = f"the entry is sealed to the key {key_id[:8]}, not to this one" if other else str(error)
        raise CrosswalkError(why) from None
    with database.write() as session:
        Audit(session).append(actor, "crosswalk.read", case_id, detail)
    return entry


def show(settings: Settings, *, as_json: bool) -> int:
    """Print whether a crosswalk is kept, and how many entries there are under which key; return the exit status."""
    try:
        key = load_crosswalk_key(settings.crosswalk_key_file)
        with open_database(settings) as database, database.read() as session:
            counts = Crosswalk(session).counts()
    except (CaseError, SecretError) as error:
        return _fail(error)
    if as_json:
        print(json.dumps(_values(key, counts), indent=2))  # noqa: T201 - a program reads this
        return EXIT_OK
    click.echo(f"New cases are sealed to the key {key.key_id[:8]}." if key else "No crosswalk is kept for new cases.")
    for key_id, count in counts.items():
        click.echo(f"{count} case(s) are sealed to the key {key_id[:8]}.")
    return EXIT_OK


def clear(settings: Settings, *, is_confirmed: bool) -> int:
    """Delete every entry; return the exit status."""
    if not is_confirmed:
        return _fail(CrosswalkError("this deletes every entry, and none comes back; repeat it with --yes"))
    try:
        with open_database(settings) as database, database.write() as session:
            count = Crosswalk(session).forget_all()
            Audit(session).append(command_line_actor(), "crosswalk.clear", "crosswalk", {"entries": count})
    except CaseError as error:
        return _fail(error)
    click.echo(f"{count} entries were deleted. Backups of the database hold them until they go.")
    return EXIT_OK


def _values(key: CrosswalkKey | None, counts: dict[str, int]) -> dict[str, Any]:
    return {"key": key.key_id if key else None, "entries": counts}


def _private_key(path: Path) -> X25519PrivateKey:
    if path.stat().st_mode & 0o077:
        raise CrosswalkError(f"{path} can be read by others; run: chmod 600 {path}")
    with path.open("rb") as file:
        content = file.read(MOST_FILE_BYTES)
    passphrase = None
    if b"ENCRYPTED" in content:
        passphrase = click.prompt("Passphrase of the private key", hide_input=True, err=True).encode()
    try:
        key = serialization.load_pem_private_key(content, passphrase)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, X25519PrivateKey):
        raise CrosswalkError(f"{path} is no private key of a crosswalk, or the passphrase is wrong")
    return key


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _fail(error: Exception) -> int:
    text = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
    click.echo(f"Not done: {text}", err=True)
    sys.stderr.flush()
    return EXIT_FAULT
