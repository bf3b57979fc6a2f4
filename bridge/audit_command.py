"""``casebridge audit``: the log's newest entry, the log as a file, and whether the chain of either is whole."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast

import click
from rich.console import Console
from rich.progress import Progress

from bridge.actor import command_line_actor
from bridge.app import open_database
from bridge.audit_export import Verified, verify_database, verify_file, write_export
from cases.audit import AuditFilter, AuditHead
from cases.errors import CaseError
from cases.store import Audit, Database
from cases.store.audit_reading import SUBJECT
from config.settings import Settings

EXPORT = "audit.export"
STANDARD = "-"
EXIT_OK = 0
EXIT_FAULT = 1


def show_head(settings: Settings, *, as_json: bool) -> int:
    """Print the newest entry by place and digest; return the exit status."""
    with _database(settings) as database, database.read() as session:
        head = Audit(session).head()
    values = {"place": head.place, "digest": head.digest}
    click.echo(json.dumps(values) if as_json else f"{head.place} {head.digest}")
    return EXIT_OK


def export(settings: Settings, to: str, filters: AuditFilter) -> int:
    """Write the log, or what the filters leave of it, to a new file or standard output; return the exit status.

    The log says who took it before the first byte is written; that entry is the last one of a whole export.
    """
    with _database(settings) as database, _target(to) as file:
        with database.write() as session:
            audit = Audit(session)
            audit.append(command_line_actor(), EXPORT, SUBJECT, {"filters": " ".join(filters.names)})
            head = audit.chain()
            assert head is not None
        with _progress("Exporting") as progress:
            count = write_export(database, file, filters, head, progress)
    click.echo(f"{count} entries exported; head {head.place} {head.digest}", err=True)
    return EXIT_OK


def verify(settings: Settings | None, file: str | None, noted: Sequence[tuple[int, str]]) -> int:
    """Say whether the chain of the database, or of an export, is whole; return the exit status.

    Parameters
    ----------
    settings
        Name the database; not needed for a file.
    file
        An export, ``-`` for standard input; the database, if None.
    noted
        Places and digests that have to be there.
    """
    heads = [AuditHead(place=place, digest=digest.lower()) for place, digest in noted]
    with _progress("Verifying") as progress:
        if file is None:
            assert settings is not None
            with _database(settings) as database:
                found = verify_database(database, heads, progress)
        else:
            with cast("BinaryIO", click.open_file(file, "rb")) as source:
                found = verify_file(source, heads, progress)
    if found.wrong:
        click.echo(f"Wrong: {found.wrong}.", err=True)
        return EXIT_FAULT
    click.echo(_summary(found))
    return EXIT_OK


def _summary(found: Verified) -> str:
    check = found.check
    head = f"head {check.head.place} {check.head.digest}"
    if not check.is_part:
        return f"{check.count} entries, chain whole, {head}"
    first = check.first.place if check.first else 0
    places = f"places {first} to {check.head.place}, {check.left_out} between them left out"
    return f"{check.count} entries, each whole, {head}; a part by {', '.join(found.filters)}: {places}"


@contextmanager
def _database(settings: Settings) -> Iterator[Database]:
    try:
        with open_database(settings) as database:
            yield database
    except CaseError as error:
        click.echo(f"Not done: {error}", err=True)
        sys.exit(EXIT_FAULT)


@contextmanager
def _target(to: str) -> Iterator[BinaryIO]:
    """Give a new file that its owner alone may read, or standard output; what was begun and failed goes again."""
    if to == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(to)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        why = "it exists; name a new file" if isinstance(error, FileExistsError) else error.strerror
        click.echo(f"Not done: {path}: {why}", err=True)
        sys.exit(EXIT_FAULT)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as shown:
        bar = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(bar, completed=done, total=total)


def chosen(
    *, actor: str | None, action: str | None, subject: str | None, since: datetime | None, until: datetime | None
) -> AuditFilter:
    """Return the filter of what was typed; moments without a zone are in UTC."""
    return AuditFilter(actor=actor, action=action, subject=subject, since=_in_utc(since), until=_in_utc(until))


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)
