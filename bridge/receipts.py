"""``casebridge receipts``: what became of each study, and whether all of it is there, in tables of 80 columns."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from pydicom.config import IGNORE
from pydicom.uid import UID
from rich.console import Console
from rich.table import Table

from bridge.app import open_spool
from bridge.keys import SecretError
from bridge.receipt_marks import SpoolMarks
from cases.errors import CaseError
from cases.evidence import ReceiptState
from cases.receipts import Place, Receipt, ReceiptSeries, ReceiptSummary
from cases.store import Database, Receipts
from cases.store.receipts import ReceiptFilter
from cases.users import Role, User
from config.settings import Settings

EXIT_OK = 0
EXIT_FAULT = 1
WIDTH = 80
OPERATOR = User(id="", name="command-line", role=Role.ADMIN, draft_limit=0)

PLACES = {
    Place.FILED: "filed",
    Place.REMOVED: "in removed cases",
    Place.WAITING: "waiting to be worked on",
    Place.DROPPED: "left out",
    Place.HELD: "held for a person",
    Place.DUPLICATE: "identical resends",
    Place.SUPERSEDED: "replaced by a newer header",
    Place.EXPIRED: "held too long, deleted",
}
_LONGEST_CLASS = 28


def show_receipts(settings: Settings, *, filters: ReceiptFilter, limit: int, as_json: bool) -> int:
    """Print the list of receipts; return 0, or 1 where it cannot be had."""
    try:
        marks = SpoolMarks(spool=open_spool(settings))
        database = Database.open(settings.database_url)
        try:
            items = _listed(database, filters, limit)
        finally:
            database.close()
    except (CaseError, SecretError, OSError) as error:
        return _failed(error)
    ends = [marks.identified_accession_end(item.study_key) for item in items]
    if as_json:
        _print_json([_summary_values(item, end) for item, end in zip(items, ends, strict=True)])
    else:
        show_list(items, ends, Console(width=WIDTH))
    return EXIT_OK


def show_receipt(settings: Settings, code: str, *, as_json: bool) -> int:
    """Print one receipt; return 0, or 1 where there is none or its sum does not add up."""
    try:
        marks = SpoolMarks(spool=open_spool(settings))
        database = Database.open(settings.database_url)
        try:
            with database.read() as session:
                receipt = Receipts(session).get(OPERATOR, code)
        finally:
            database.close()
    except (CaseError, SecretError, OSError) as error:
        return _failed(error)
    end = marks.identified_accession_end(receipt.summary.study_key)
    if as_json:
        _print_json(_receipt_values(receipt, end))
    else:
        show(receipt, end, Console(width=WIDTH))
    return EXIT_OK if receipt.summary.sums.adds_up else EXIT_FAULT


def _listed(database: Database, filters: ReceiptFilter, limit: int) -> list[ReceiptSummary]:
    items: list[ReceiptSummary] = []
    cursor = None
    while len(items) < limit:
        with database.read() as session:
            page = Receipts(session).list(OPERATOR, cursor=cursor, limit=limit - len(items), filters=filters)
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    return items


def _failed(error: Exception) -> int:
    Console(stderr=True).print(f"No receipt: {error}", style="red", markup=False)
    return EXIT_FAULT


# -- tables ----------------------------------------------------------------------------------------------------------


def show_list(items: list[ReceiptSummary], identified_ends: list[str | None], console: Console) -> None:
    """Print receipts as a table, a line each."""
    if not items:
        console.print("There are no such receipts.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("code", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("sent", "filed", "held"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("from", "last (UTC)", "acc."):
        table.add_column(name, no_wrap=True)
    for item, end in zip(items, identified_ends, strict=True):
        sums, senders = item.sums, item.senders
        sender = senders[0] if len(senders) == 1 else f"{senders[0][:12]} +{len(senders) - 1}"
        table.add_row(
            item.code,
            state_in_words(item),
            *(str(count) for count in (sums.sent, sums.filed, sums.held)),
            sender,
            f"{item.last_arrival_at:%m-%d %H:%M}",
            end or "",
        )
    console.print(table, markup=False, highlight=False)


def state_in_words(item: ReceiptSummary) -> str:
    """Return the state as people say it."""
    judgement = item.judgement
    if judgement.state is ReceiptState.SHORT:
        return f"short by {judgement.missing}"
    return judgement.state.value.replace("-", " ")


def show(receipt: Receipt, identified_end: str | None, console: Console) -> None:
    """Print one receipt."""
    item, say = receipt.summary, _printer(console)
    say(f"Receipt {item.code}: {state_in_words(item)}")
    for finding in item.judgement.evidence:
        say(f"  {finding.rule.value}: {finding.detail}")
    if identified_end:
        say(f"Accession number ends in {identified_end} (known while the originals are there)")
    say(f"From {', '.join(item.senders)} to {', '.join(item.called)}")
    for case in item.cases:
        say(f"Case {case.case_id} ({case.status.value.replace('_', ' ')}, {case.owner or 'in the inbox'})")
    _show_times(item, say)
    _show_objects(receipt, say, console)
    _show_refusals(receipt, console)
    _show_associations(receipt, console)
    _show_series(receipt, console)


def _printer(console: Console) -> Any:
    def say(line: str) -> None:
        console.print(line, markup=False, highlight=False)

    return say


def _show_times(item: ReceiptSummary, say: Any) -> None:
    by = f", by {item.settled_by.value.replace('-', ' ')}" if item.settled_by else ""
    times = (
        ("first arrival", item.first_arrival_at, ""),
        ("last arrival", item.last_arrival_at, ""),
        ("settled", item.settled_at, f"{by}, {item.generation} time(s)"),
        ("first image", item.first_filed_at, ""),
        ("done", item.done_at, ""),
    )
    for name, moment, more in times:
        if moment is not None:
            say(f"  {name:<14}{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC{more}")


def _show_objects(receipt: Receipt, say: Any, console: Console) -> None:
    sums = receipt.summary.sums
    say(f"\n{sums.sent} sent = {sums.stored} stored + {sums.refused} refused; stored are:")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right")
    for _ in range(3):
        table.add_column(overflow="fold")
    for line in receipt.lines:
        table.add_row(str(line.count), PLACES[line.place], class_name(line.sop_class_uid), line.reason)
    console.print(table, markup=False, highlight=False)
    if not sums.adds_up:
        say("The sum does not add up: tell those who look after this installation.")


def _show_refusals(receipt: Receipt, console: Console) -> None:
    if receipt.refusals:
        table = _table("Refused on its associations", right=1, columns=4)
        for one in receipt.refusals:
            counted = "" if one.counted_in == receipt.summary.code else f"in {one.counted_in}"
            table.add_row(str(one.count), f"0x{one.status:04X} {one.reason}", class_name(one.sop_class_uid), counted)
        console.print(table, markup=False, highlight=False)
    if receipt.declined:
        table = _table("Proposed and declined on its associations", right=1, columns=2)
        for uid, count in receipt.declined:
            table.add_row(str(count), f"{class_name(uid, longest=60)}")
        console.print(table, markup=False, highlight=False)


def _show_associations(receipt: Receipt, console: Console) -> None:
    table = _table("Associations", right=1, columns=4)
    for one in receipt.associations:
        outcome = one.outcome.value if one.outcome else "open"
        table.add_row(str(one.count), outcome, one.rule, f"{one.calling_ae} {one.peer_address}".strip())
    console.print(table, markup=False, highlight=False)


def _show_series(receipt: Receipt, console: Console) -> None:
    if not receipt.series:
        return
    table = _table("Series: images, instance numbers", right=1, columns=4)
    for series in receipt.series:
        facts = series.facts
        stated = f" of {facts.stated} stated" if facts.stated is not None else ""
        numbers = "no numbers" if facts.first is None else f"{facts.first} to {facts.last}"
        table.add_row(str(series.number), f"{facts.objects}{stated}", numbers, _gaps_in_words(series))
    console.print(table, markup=False, highlight=False)


def _gaps_in_words(series: ReceiptSeries) -> str:
    if not series.facts.missing_numbers:
        return ""
    parts = [str(first) if first == last else f"{first}-{last}" for first, last in series.gaps]
    shown = sum(last - first + 1 for first, last in series.gaps)
    return f"missing: {', '.join(parts)}{', …' if shown < series.facts.missing_numbers else ''}"


def _table(title: str, *, right: int, columns: int) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", box=None, show_header=False, pad_edge=False)
    for number in range(columns):
        table.add_column(justify="right" if number < right else "left", overflow="fold")
    return table


def class_name(uid: str, *, longest: int = _LONGEST_CLASS) -> str:
    """Return what a SOP class is called; one that has no name in the Standard keeps its UID."""
    name = UID(uid, validation_mode=IGNORE).name.removesuffix(" Storage")
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


# -- for programs ----------------------------------------------------------------------------------------------------


def _print_json(values: object) -> None:
    print(json.dumps(values, indent=2))  # noqa: T201 - a program reads this


def _summary_values(item: ReceiptSummary, identified_end: str | None) -> dict[str, Any]:
    values = _plain(asdict(item))
    del values["study_key"]
    judgement = values.pop("judgement")
    sums = {"sent": item.sums.sent, **values["sums"], "adds_up": item.sums.adds_up}
    return {**values, **judgement, "sums": sums, "identified_accession_end": identified_end}


def _receipt_values(receipt: Receipt, identified_end: str | None) -> dict[str, Any]:
    values = _plain(asdict(receipt))
    del values["summary"]
    declined = [{"abstract_syntax": uid, "count": count} for uid, count in receipt.declined]
    return {**_summary_values(receipt.summary, identified_end), **values, "declined": declined}


def _plain(value: Any) -> Any:
    """Turn enumerations and moments into what JSON has."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    return value.isoformat() if isinstance(value, datetime) else value
