"""When originals went, and why: written to the audit log with every purge, and read from it again."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from bridge.app import open_database
from cases.audit import AuditEntry
from cases.intake import InstanceOutcome, ReceivedInstance
from cases.store import Audit
from config.settings import Settings

ACTOR = "retention"
PURGE = "originals.purge"
QUARANTINE = "quarantine.purge"
LEFTOVERS = "leftovers.clear"
NAMED_IN_ONE = 200
"""Arrivals, or files, that one entry names."""
PAGE = 200


def record_purges(audit: Audit, purged: Sequence[tuple[ReceivedInstance, bool]], settings: Settings) -> None:
    """Add an entry for each study whose originals were deleted, one for each reason; it names their arrivals.

    Parameters
    ----------
    audit
        The log.
    purged
        Each instance, and whether its file was still there.
    settings
        Say how many days an original stays.
    """
    by_study: dict[tuple[str, bool], list[tuple[ReceivedInstance, bool]]] = {}
    for instance, was_there in purged:
        is_hold = instance.outcome is InstanceOutcome.HELD
        by_study.setdefault((instance.received_study, is_hold), []).append((instance, was_there))
    for (study, is_hold), found in by_study.items():
        for start in range(0, len(found), NAMED_IN_ONE):
            part = found[start : start + NAMED_IN_ONE]
            audit.append(
                ACTOR,
                PURGE,
                study,
                {
                    "originals": len(part),
                    "already_gone": sum(not was_there for _, was_there in part),
                    "oldest_arrival": min(instance.received_at for instance, _ in part).isoformat(),
                    "why": "hold expired" if is_hold else "retention",
                    "days": settings.hold_retention_days if is_hold else settings.retention_days,
                    "arrivals": " ".join(instance.arrival_id for instance, _ in part),
                },
            )


def record_quarantine(audit: Audit, names: Sequence[str], days: int) -> None:
    """Add entries for files of the quarantine that were deleted."""
    for start in range(0, len(names), NAMED_IN_ONE):
        part = names[start : start + NAMED_IN_ONE]
        audit.append(ACTOR, QUARANTINE, "quarantine", {"files": len(part), "days": days, "names": " ".join(part)})


def purges(settings: Settings, *, since: datetime | None, arrival_id: str | None = None) -> list[AuditEntry]:
    """Return what was purged since a moment, oldest first; with an arrival, only the entries that name it."""
    found: list[AuditEntry] = []
    after = 0
    with open_database(settings) as database:
        while True:
            with database.read() as session:
                page = Audit(session).entries(actions=(PURGE, QUARANTINE), since=since, after=after, limit=PAGE)
            if not page:
                return found
            found += [entry for entry in page if arrival_id is None or arrival_id in named(entry)]
            after = page[-1].place


def named(entry: AuditEntry) -> list[str]:
    """Return the arrivals, or files, that an entry names."""
    return str(entry.detail.get("arrivals", entry.detail.get("names", ""))).split()


def show_purges(settings: Settings, *, since: datetime | None, arrival_id: str | None, as_json: bool) -> int:
    """Print when originals went; return the exit status, 1 where nothing is found."""
    moment = since if since is None or since.tzinfo is not None else since.replace(tzinfo=UTC)
    found = purges(settings, since=moment, arrival_id=arrival_id)
    for entry in found:
        if as_json:
            click.echo(json.dumps({"at": entry.at.isoformat(), "study": entry.subject, **entry.detail}))
            continue
        detail = entry.detail
        if entry.action == PURGE:
            gone = f", {detail['already_gone']} gone before" if detail["already_gone"] else ""
            what = f"{detail['originals']} original(s){gone}; {detail['why']} after {detail['days']} day(s)"
            what += f"; oldest arrival {detail['oldest_arrival']}"
        else:
            what = f"{detail['files']} file(s) after {detail['days']} day(s)"
        click.echo(f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.subject}  {what}")
    if not found:
        click.echo("Nothing was purged.", err=True)
    return 0 if found else 1
