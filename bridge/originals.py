"""``casebridge originals``: which originals are there, and a way to hand them back; each export is in the audit log."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from bridge.actor import command_line_actor
from bridge.app import open_database, open_spool
from bridge.keys import SecretError
from cases.errors import CaseError
from cases.intake import ReceivedInstance
from cases.originals import StudyOriginals
from cases.store import Audit, Commitments, Originals
from config.settings import Settings
from scp.arrival import is_key
from scp.contexts import is_uid
from scp.errors import ScpError

if TYPE_CHECKING:
    from cases.store import Database
    from scp.spool import Spool

EXIT_OK = 0
EXIT_FAULT = 1
MAX_REASON = 200


class ExportError(Exception):
    """Nothing was exported; the message says what to do."""


def list_originals(settings: Settings, *, as_json: bool) -> int:
    """Print which originals are there; return the exit status."""
    try:
        with open_database(settings) as database, database.read() as session:
            found = Originals(session).studies(
                retention_days=settings.retention_days, hold_retention_days=settings.hold_retention_days
            )
    except CaseError as error:
        return _fail(error)
    if as_json:
        print(json.dumps([_values(study) for study in found], indent=2))  # noqa: T201 - a program reads this
    else:
        _show(found, Console())
    return EXIT_OK


def export(settings: Settings, *, study: str | None, transaction: str | None, to: Path, reason: str) -> int:
    """Copy originals into a folder as they were received; return the exit status."""
    try:
        spool = open_spool(settings)
        with open_database(settings) as database:
            subject, originals = _chosen(database, spool, study=study, transaction=transaction)
            exported = export_originals(
                database, spool, originals, to=to, subject=subject, reason=reason, actor=command_line_actor()
            )
    except (CaseError, SecretError, ScpError, ExportError, OSError) as error:
        return _fail(error)
    click.echo(f"{exported} of {len(originals)} original(s) exported to {to}. They identify the patient.")
    if exported < len(originals):
        click.echo(f"{len(originals) - exported} could not be read; see the audit log.", err=True)
        return EXIT_FAULT
    return EXIT_OK


def export_originals(
    database: "Database",
    spool: "Spool",
    originals: Sequence[ReceivedInstance],
    *,
    to: Path,
    subject: str,
    reason: str,
    actor: str,
) -> int:
    """Copy originals into a folder, decrypted, and return how many were; the audit log knows before the first byte.

    Parameters
    ----------
    database, spool
        Where the audit log and the originals are.
    originals
        What is copied.
    to
        A folder that does not exist, or is empty; only its owner may enter it.
    subject, reason, actor
        What the audit log says: keys of the study or transaction, why, and who.

    Raises
    ------
    ExportError
        If there is nothing to export, no reason, or the folder holds something.
    """
    reason = " ".join(reason.split())
    if not 0 < len(reason) <= MAX_REASON:
        raise ExportError(f"say why, in 1 to {MAX_REASON} characters")
    if not originals:
        raise ExportError("there is no such original; casebridge originals lists what is there")
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(to.iterdir()):
        raise ExportError(f"{to} is not empty; name a new folder")
    to.chmod(0o700)
    with database.write() as session:
        Audit(session).append(actor, "originals.export", subject, {"reason": reason, "count": len(originals)})
    exported = sum(_copy(spool, original, to) for original in originals)
    _sync(to)
    if exported < len(originals):
        with database.write() as session:
            unread = len(originals) - exported
            Audit(session).append(actor, "originals.export-incomplete", subject, {"count": unread})
    return exported


def _copy(spool: "Spool", original: ReceivedInstance, folder: Path) -> bool:
    path = folder / f"{original.arrival_id}.dcm"
    try:
        with spool.open_original(original.study_key, original.sop_key, original.arrival_id) as source:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
    except (OSError, ScpError):
        path.unlink(missing_ok=True)
        return False
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _chosen(
    database: "Database", spool: "Spool", *, study: str | None, transaction: str | None
) -> tuple[str, list[ReceivedInstance]]:
    """Return what the audit log calls a choice, and its originals. A transaction is named by its UID or its key."""
    if (study is None) == (transaction is None):
        raise ExportError("name either --study or --transaction")
    with database.read() as session:
        if study is not None:
            return f"study {study}"[:MAX_REASON], Originals(session).of_study(study)
        assert transaction is not None
        if not is_key(transaction):
            if not is_uid(transaction):
                raise ExportError("a transaction is named by its UID, or by its key of 32 hexadecimal digits")
            transaction = spool.transaction_key(transaction)
        return f"transaction {transaction}", Commitments(session).originals_of(transaction)


def _values(study: StudyOriginals) -> dict[str, Any]:
    values = asdict(study)
    for name in ("first_arrival_at", "last_arrival_at", "kept_until", "committed_until"):
        values[name] = values[name] and values[name].isoformat()
    return values


def _show(studies: Sequence[StudyOriginals], console: Console) -> None:
    if not studies:
        console.print("No original is there.")
        return
    table = Table("study", "from", "arrived (UTC)", "originals", "became", "kept until (UTC)", box=None)
    for one in studies:
        until = f"{one.kept_until:%Y-%m-%d %H:%M}" if one.kept_until else "worked on"
        table.add_row(
            one.study_key,
            one.calling_ae,
            f"{one.last_arrival_at:%Y-%m-%d %H:%M}",
            str(one.originals),
            ", ".join(f"{count} {name}" for name, count in sorted(one.by_outcome.items())),
            until + (" (committed)" if one.committed_until else ""),
        )
    console.print(table)


def _fail(error: Exception) -> int:
    text = error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
    click.echo(f"Not done: {text}", err=True)
    sys.stderr.flush()
    return EXIT_FAULT
