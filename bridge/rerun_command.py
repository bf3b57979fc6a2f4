"""``casebridge profile rerun``, ``reruns`` and ``decide``: cases made anew under another revision."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from bridge.actor import command_line_actor
from bridge.app import open_database
from bridge.engine import EngineClient
from bridge.profile_command import show_table
from bridge.rerun_desk import RerunDesk
from cases.errands import AT_WORK, Errand, ErrandState
from cases.errors import CaseError
from cases.reruns import RerunCandidate
from config import ConfigError
from config.settings import Settings
from deidentify.errors import ProfileError

EXIT_OK, EXIT_FAULT = 0, 1
POLL_S = 0.5
_MOST_ELEMENTS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What was asked for on the command line."""

    case_id: str | None
    made_under: str | None
    profile: str
    is_dry: bool
    waits: bool
    as_json: bool


def rerun(settings: Settings, choices: Choices) -> int:
    """Make a case anew, or all that have a revision; return the exit status: 1 where one failed or was refused."""
    if (choices.case_id is None) == (choices.made_under is None):
        raise click.UsageError("name either a case, or a revision with --made-under")
    with _desk(settings) as desk:
        if choices.is_dry:
            found = _candidates(desk, choices)
        elif choices.case_id is not None:
            asked = desk.request(command_line_actor(), choices.case_id, choices.profile)
            found = [RerunCandidate(plan=desk.plan(choices.case_id).plan, errand=asked)]
        else:
            assert choices.made_under is not None
            found = list(desk.request_all(command_line_actor(), choices.made_under, choices.profile))
        errands = [one.errand for one in found if one.errand is not None]
        if choices.waits:
            errands = _waited_for(desk, errands)
    _show(found, errands, choices)
    refused = any(one.errand is None for one in found) and not choices.is_dry
    return EXIT_FAULT if refused or any(one.state is ErrandState.FAILED for one in errands) else EXIT_OK


def list_reruns(settings: Settings, *, case_id: str | None, in_review: bool, as_json: bool) -> int:
    """Print re-runs, the latest first; return the exit status."""
    with _desk(settings) as desk:
        found = desk.list(case_id=case_id, state=ErrandState.IN_REVIEW if in_review else None)
    if as_json:
        _print_json([asdict(one) for one in found])
    elif not found:
        click.echo("No case was made anew.")
    else:
        rows = [
            (one.id, f"{(one.case_id or '')[:8]}…", f"{one.profile} {one.revision}", one.state.value, _told(one))
            for one in found
        ]
        _show_rows(("re-run", "case", "under", "state", "what came of it"), rows)
    return EXIT_OK


def decide(settings: Settings, errand_id: str, *, applies: bool) -> int:
    """Bring a re-run that is in review into its case, or leave the case as it is; return the exit status."""
    with _desk(settings) as desk:
        ended = desk.decide(command_line_actor(), errand_id, applies=applies)
    told = "has the new images" if ended.state is ErrandState.DONE else "stays as it is"
    click.echo(f"Case {ended.case_id} {told}.")
    return EXIT_OK


def _candidates(desk: RerunDesk, choices: Choices) -> list[RerunCandidate]:
    if choices.case_id is not None:
        return [desk.plan(choices.case_id)]
    assert choices.made_under is not None
    return list(desk.candidates(choices.made_under))


def _waited_for(desk: RerunDesk, errands: Sequence[Errand]) -> list[Errand]:
    """Wait until none is at work any more; a worker has to run."""
    latest = {one.id: one for one in errands}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("making anew", total=None)
        while True:
            latest = {key: desk.get(key) for key in latest}
            total = sum(one.total for one in latest.values())
            progress.update(bar, total=total or None, completed=sum(one.done for one in latest.values()))
            if not any(one.state in AT_WORK for one in latest.values()):
                return list(latest.values())
            time.sleep(POLL_S)


# -- showing ----------------------------------------------------------------------------------------------------------


def _show(found: Sequence[RerunCandidate], errands: Sequence[Errand], choices: Choices) -> None:
    by_id = {one.id: one for one in errands}
    if choices.as_json:
        _print_json([_values(one, by_id) for one in found])
        return
    if not found:
        click.echo("No case has this revision.")
        return
    rows = [
        (one.plan.case_id, one.plan.status.value, str(one.plan.images), str(one.plan.gone), _fate(one, by_id))
        for one in found
    ]
    _show_rows(("case", "status", "images", "gone", "what happens"), rows)
    for errand in errands:
        _show_result(errand)


def _fate(one: RerunCandidate, errands: dict[str, Errand]) -> str:
    if one.refusal:
        return one.refusal
    if one.errand is None:
        return "would be made anew" if one.plan.instances else "nothing: its originals are gone"
    errand = errands[one.errand.id]
    match errand.state:
        case ErrandState.DONE:
            return _counts(errand)
        case ErrandState.IN_REVIEW:
            return f"an editor decides: casebridge profile decide {errand.id} apply"
        case ErrandState.FAILED | ErrandState.DISCARDED:
            return f"{errand.state.value}: {errand.reason}"
        case _:
            return f"{errand.state.value}: casebridge profile reruns --case {one.plan.case_id}"


def _counts(errand: Errand) -> str:
    result = errand.result
    if not result:
        return f"{errand.done} of {errand.total}" if errand.total else ""
    parts = [f"{result['remade']} made anew, {result['changed']} of them otherwise"]
    parts += [f"{result['pixels']} with other pixels"] if result["pixels"] else []
    parts += [f"{result['cleared']} cleared"] if result["cleared"] else []
    parts += [f"{count} held ({reason})" for reason, count in result["held"].items()]
    parts += [f"{count} left out ({reason})" for reason, count in result["dropped"].items()]
    parts += [f"{result['expired']} of these lost: originals gone"] if result["expired"] else []
    parts += [f"{result['gone']} as they were: originals gone"] if result["gone"] else []
    parts += [f"{result['failed']} as they were: they could not be made"] if result["failed"] else []
    parts += [f"{result['references']} name others anew"] if result.get("references") else []
    parts += [f"{result['texts']} texts of the sender emptied"] if result["texts"] else []
    parts += [f"{result['decided']} left to a person"] if result["decided"] else []
    return ", ".join(parts)


def _told(errand: Errand) -> str:
    by = f", by {errand.decided_by}" if errand.decided_by else ""
    return (errand.reason or _counts(errand)) + by


def _show_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows whose first cell is an id to be copied: it stays in one piece."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(head):
        table.add_column(name, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)


def _show_result(errand: Errand) -> None:
    elements = errand.result.get("elements", [])
    if not elements:
        return
    console = Console(highlight=False)
    console.print(f"\nCase {errand.case_id}, from {errand.base_revision} to {errand.revision}", style="bold")
    rows = [(f"{place} {name}".strip(), fate, str(count)) for place, name, fate, count in elements[:_MOST_ELEMENTS]]
    show_table(("element", "is now", "images"), rows, console)
    more = len(elements) - len(rows) + errand.result["more_elements"]
    if more:
        console.print(f"and {more} more: casebridge profile reruns --json")


def _values(one: RerunCandidate, errands: dict[str, Errand]) -> dict[str, Any]:
    plan = one.plan
    return {
        "case": plan.case_id,
        "status": plan.status,
        "profile": plan.profile,
        "revision": plan.revision,
        "images": plan.images,
        "instances": len(plan.instances),
        "gone": plan.gone,
        "decided": plan.decided,
        "refusal": one.refusal,
        "rerun": asdict(errands[one.errand.id]) if one.errand is not None else None,
    }


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))  # noqa: T201 - a program reads this


@contextmanager
def _desk(settings: Settings) -> Iterator[RerunDesk]:
    """Open what is needed; what goes wrong becomes one line and exit status 1."""
    try:
        with open_database(settings) as database:
            yield RerunDesk(database=database, client=EngineClient(engine=database.engine), settings=settings)
    except (CaseError, ConfigError, ProfileError) as error:
        click.echo(f"Not done: {error}", err=True)
        sys.exit(EXIT_FAULT)
