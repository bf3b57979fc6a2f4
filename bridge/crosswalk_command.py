"""``casebridge crosswalk``: make its keys, read an entry with the reason in the audit log, delete all of them."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bridge.actor import command_line_actor
from bridge.app import open_database
from bridge.crosswalk import CrosswalkKey, IdentifiedEntry, load_crosswalk_key, open_entry
from bridge.hpke import CROSSWALK, NotOpenedError, private_key_id
from bridge.key_pairs import KeyPairError, make_pair, read_private_key, told
from bridge.keys import SecretError
from cases.errors import CaseError
from cases.store import Audit, Crosswalk, Database
from config.settings import Settings

EXIT_OK = 0
EXIT_FAULT = 1
MOST_REASON = 200


class CrosswalkError(Exception):
    """Nothing was done; the message says what to do."""


def keygen(private: Path, public: Path) -> int:
    """Make a pair of keys, the private one under a passphrase; return the exit status."""
    try:
        click.echo(make_pair(CROSSWALK, private, public), err=True)
    except (KeyPairError, OSError) as error:
        return _fail(error)
    return EXIT_OK


def read(settings: Settings, *, case_id: str, key_file: Path, reason: str) -> int:
    """Print whose a case is, after the audit log knows who asked and why; return the exit status."""
    try:
        private_key = read_private_key(CROSSWALK, key_file)
        with open_database(settings) as database:
            entry = read_entry(database, case_id, private_key, reason=reason, actor=command_line_actor())
    except (CaseError, SecretError, CrosswalkError, KeyPairError, OSError) as error:
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
        other = private_key_id(CROSSWALK, private_key) != key_id
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


def _fail(error: Exception) -> int:
    click.echo(f"Not done: {told(error)}", err=True)
    sys.stderr.flush()
    return EXIT_FAULT
