"""``casebridge status``: what was received, what waits, what is held and why; the sums add up."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bridge.app import open_spool
from bridge.keys import SecretError
from bridge.peers import BridgePeers, warnings_of
from bridge.worker_leases import LEASE_PREFIX
from cases.errors import CaseError
from cases.intake import IntakeSummary, Tally
from cases.store import Commitments, Database, Intake, Leases
from config.settings import Settings

EXIT_OK = 0
EXIT_FAULT = 1

PLACES = (
    ("in_draft", "in drafts"),
    ("waiting", "waiting for a free draft"),
    ("inbox", "in the inbox, to be claimed"),
    ("submitted", "submitted or published"),
    ("removed", "in removed cases"),
    ("held", "held for a person"),
    ("dropped", "left out by the profile"),
    ("duplicate", "identical resends"),
    ("superseded", "replaced by a newer header"),
    ("expired", "held too long, deleted"),
    ("in_progress", "being worked on"),
)


def show_status(settings: Settings, *, as_json: bool) -> int:
    """Print the status; return 0, or 1 where something is wrong."""
    try:
        report = collect(settings)
    except (CaseError, SecretError, OSError) as error:
        Console(stderr=True).print(f"No status: {error}", style="red", markup=False)
        return EXIT_FAULT
    if as_json:
        print(json.dumps(report, indent=2))  # noqa: T201 - a program reads this
    else:
        show(report, Console())
    return EXIT_OK if report["adds_up"] else EXIT_FAULT


def collect(settings: Settings) -> dict[str, Any]:
    """Gather the status as plain values.

    Raises
    ------
    CaseError
        When the database does not answer.
    """
    spool = open_spool(settings)
    database = Database.open(settings.database_url)
    try:
        with database.read() as session:
            summary = Intake(session).summary()
            workers = Leases(session).live(LEASE_PREFIX, datetime.now(UTC))
            commitments = Commitments(session).summary(datetime.now(UTC))
        return {
            **summary_as_values(summary),
            "warnings": list(warnings_of(BridgePeers(database=database, spool=spool, own_ae=settings.ae_title))),
            "commitments": {**asdict(commitments), "waiting": len(spool.commitments.requests())},
            "workers": sorted(name.removeprefix(LEASE_PREFIX) for name, _ in workers),
            "spool": {
                "free_bytes": spool.free_bytes(),
                "has_room": spool.has_room(),
                "unreadable_files": spool.quarantined(),
            },
        }
    finally:
        database.close()


def summary_as_values(summary: IntakeSummary) -> dict[str, Any]:
    """Turn a summary into what JSON can hold."""
    values = asdict(summary)
    values["total"] = _tally(summary.total)
    values["by_sender"] = [
        {
            "calling_ae": sender.calling_ae,
            "last_arrival_at": sender.last_arrival_at.isoformat() if sender.last_arrival_at else None,
            "last_receipt": sender.last_receipt,
            **_tally(sender.tally),
        }
        for sender in summary.by_sender
    ]
    for peer in values["rejected_peers"]:
        peer.update({name: peer[name].isoformat() for name in ("first_at", "last_at")})
    values["adds_up"] = summary.total.adds_up
    return values


def _tally(tally: Tally) -> dict[str, int]:
    return {**asdict(tally), "sent": tally.sent, "accounted": tally.accounted}


def show(report: dict[str, Any], console: Console) -> None:
    """Print the status as tables that fit a terminal."""
    for warning in report["warnings"]:
        console.print(f"Warning: {warning}.", style="yellow", markup=False, highlight=False)
    total = report["total"]
    table = Table(title="Objects", title_justify="left", box=None, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(str(total["sent"]), "sent to us", style="bold")
    if total["refused"]:
        table.add_row(str(total["refused"]), "refused with a status", style="yellow")
    table.add_row(str(total["stored"]), "stored, of these:", style="bold")
    for key, words in PLACES:
        if total[key]:
            table.add_row(str(total[key]), f"  {words}")
    console.print(table)
    if not report["adds_up"]:
        console.print(f"The sum does not add up: {total['accounted']} of {total['stored']} have a place.", style="red")
    _show_counts("Held, by reason", report["held_by_reason"], console)
    _show_counts("Left out, by reason", report["dropped_by_reason"], console)
    _show_counts(
        "Refused, by status",
        {f"0x{refusal['status']:04X} {refusal['reason']}": refusal["count"] for refusal in report["refusals"]},
        console,
    )
    _show_counts("Declined contexts", report["declined"], console)
    if report["rejected_peers"]:
        _show_rejected(report["rejected_peers"], console)
    _show_receipts(report["by_sender"], console)
    show_commitments(report["commitments"], console)
    workers = ", ".join(report["workers"]) or "none: studies are received and wait"
    free_gb = report["spool"]["free_bytes"] / 1e9
    console.print(f"\nWorkers: {workers}\nSpool: {free_gb:.1f} GB free", markup=False, highlight=False)
    if report["arriving"]:
        console.print(f"{report['arriving']} study(ies) still arriving", markup=False)
    if report["spool"]["unreadable_files"]:
        console.print(
            f"{report['spool']['unreadable_files']} unreadable file(s) in the spool's quarantine", style="red"
        )


def show_commitments(commitments: dict[str, Any], console: Console) -> None:
    """Print what storage commitment promised; nothing where nobody ever asked."""
    counts = {f"requests {state}": count for state, count in commitments["requests"].items()}
    if commitments["waiting"]:
        counts["requests that wait to be decided"] = commitments["waiting"]
    if commitments["committed_originals"]:
        counts["originals kept because they were promised"] = commitments["committed_originals"]
    _show_counts("Storage commitment", counts, console)
    _show_counts("Reports not taken, by the last reason", commitments["last_failures"], console)


def _show_counts(title: str, counts: dict[str, int], console: Console) -> None:
    if not counts:
        return
    table = Table(title=f"\n{title}", title_justify="left", box=None, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        table.add_row(str(count), name)
    console.print(table)


def _show_receipts(senders: list[dict[str, Any]], console: Console) -> None:
    named = [sender for sender in senders if sender["last_receipt"]]
    if not named:
        return
    table = Table(title="\nLatest receipt by sender", title_justify="left", box=None)
    for name in ("sender", "receipt"):
        table.add_column(name)
    for sender in named:
        table.add_row(Text(sender["calling_ae"]), sender["last_receipt"])
    console.print(table)


def _show_rejected(peers: list[dict[str, Any]], console: Console) -> None:
    table = Table(title="\nRejected senders", title_justify="left", box=None, pad_edge=False)
    for column in ("sender", "to", "from", "why", "times"):
        table.add_column(column, overflow="fold")
    for peer in peers:
        # As plain text: whoever reaches the port chooses the AE titles, and brackets would be taken for colours.
        cells = (peer["calling_ae"], peer["called_ae"], peer["peer_address"], peer["rule"], str(peer["count"]))
        table.add_row(*map(Text, cells))
    console.print(table)
    console.print("What to do about them: casebridge peers", markup=False, highlight=False)
