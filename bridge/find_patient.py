"""``casebridge find-patient``: one patient's cases, found without keeping whom was asked for."""

import json
import sys
from dataclasses import asdict
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bridge.actor import command_line_actor
from bridge.app import check_secret, keys_of, open_database, open_spool
from bridge.keys import SecretError
from bridge.patients import Erased, Found, PatientRights, PatientSearch, Wanted
from cases.blobs import open_blobs
from cases.errors import CaseError
from config.settings import Settings
from scp.contexts import is_uid
from scp.errors import ScpError

EXIT_FOUND = 0
EXIT_FAULT = 1
EXIT_NOTHING = 3
MOST_BYTES = 4096


class _RefusedError(Exception):
    """Nothing was done; the message says what to do, and holds nothing of what was read."""


def find_patient(
    settings: Settings,
    *,
    by_study: bool,
    withdraw: bool,
    erase: bool,
    is_confirmed: bool,
    all_issuers: bool,
    as_json: bool,
) -> int:
    """Look for the patient whom standard input names; return the exit status, 3 where nothing is found."""
    try:
        wanted = _wanted(by_study=by_study)
        with open_database(settings) as database:
            check_secret(settings, database)
            spool = open_spool(settings)
            search = PatientSearch(
                database=database,
                keys=keys_of(settings),
                spool=spool,
                hospitals=frozenset({"", *(route.hospital for route in settings.routes)}),
            )
            actor = command_line_actor()
            found = search.find(wanted, actor=actor)
            del wanted
            _show(found, as_json=as_json)
            if not (found.findings.cases or found.findings.studies):
                return EXIT_NOTHING
            if not (withdraw or erase):
                return EXIT_FOUND
            _check_confirmed(found, is_confirmed=is_confirmed, all_issuers=all_issuers)
            rights = PatientRights(database=database, spool=spool, blobs=open_blobs(settings.blob_url), actor=actor)
            if withdraw:
                withdrawn = rights.withdraw(found.findings)
                click.echo(f"{withdrawn} case(s) that others could see became drafts again.", err=True)
            return _report(rights.erase(found.findings)) if erase else EXIT_FOUND
    except (CaseError, SecretError, ScpError, _RefusedError, OSError) as error:
        text = error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
        click.echo(f"Not done: {text}", err=True)
        return EXIT_FAULT


def _wanted(*, by_study: bool) -> Wanted:
    """Read whom to look for: a line with the patient ID, and one with its issuer where that is known."""
    if sys.stdin.isatty():
        what = "Study Instance UID" if by_study else "patient ID, and on a second line its issuer if you know it"
        click.echo(f"Type the {what}; end with Ctrl-D.", err=True)
    try:
        identified_lines = sys.stdin.buffer.read(MOST_BYTES + 1)[:MOST_BYTES].decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise _RefusedError("standard input is no UTF-8 text") from None
    identified_lines = [line.strip() for line in identified_lines]
    identified_first = identified_lines[0] if identified_lines else ""
    most_lines = 1 if by_study else 2
    if not identified_first:
        raise _RefusedError("nothing was given; write the patient ID to standard input, never as an argument")
    if any(identified_lines[most_lines:]):
        raise _RefusedError(f"more than {most_lines} line(s) were given; give one patient at a time")
    if by_study:
        if not is_uid(identified_first):
            raise _RefusedError("what was given is no UID")
        return Wanted(identified_study_uid=identified_first)
    return Wanted(
        identified_patient_id=identified_first,
        identified_issuer=identified_lines[1] if len(identified_lines) > 1 else "",
    )


def _check_confirmed(found: Found, *, is_confirmed: bool, all_issuers: bool) -> None:
    if found.patients > 1 and not all_issuers:
        raise _RefusedError(
            f"{found.patients} issuers use this number, and it may be a different person of each; give the issuer on a "
            "second line, or say --all-issuers"
        )
    if not is_confirmed:
        raise _RefusedError("look at what was found; then repeat with --yes. What is erased does not come back")


def _values(found: Found) -> dict[str, Any]:
    cases = [_without_key(case) | {"issuer": found.issuer_of(case)} for case in found.findings.cases]
    for case in cases:
        case["created_at"] = case["created_at"].isoformat()
    studies = [_without_key(study) | {"issuer": found.issuer_of(study)} for study in found.findings.studies]
    return {"cases": cases, "studies": studies, "elsewhere": found.elsewhere}


def _without_key(one: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(one).items() if name != "patient_key"}


def _show(found: Found, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_values(found), indent=2))  # noqa: T201 - a program reads this
        return
    console = Console()
    if found.findings.cases:
        table = Table(box=None)
        table.add_column("case", no_wrap=True, min_width=32)
        for column in ("state", "gen.", "created", "images", "owner", "issuer", "receipt"):
            table.add_column(column, overflow="fold")
        for case in found.findings.cases:
            table.add_row(
                case.case_id,
                case.status.value,
                str(case.secret_generation),
                f"{case.created_at:%Y-%m-%d}",
                str(case.images),
                case.owner or "inbox",
                found.issuer_of(case),
                case.receipt_code,
            )
        console.print(table)
    for study in found.findings.studies:
        console.print(
            f"Receipt {study.receipt_code}: {study.originals} original(s), {study.committed} of them promised by "
            f"storage commitment; {study.cases} case(s); {found.issuer_of(study)}",
            soft_wrap=True,
        )
    if not (found.findings.cases or found.findings.studies):
        console.print("Nothing was found.")
    if found.elsewhere:
        console.print(
            f"{found.elsewhere} more case(s) and studies have this number from another issuer; leave the issuer out to "
            "see them.",
            soft_wrap=True,
        )


def _report(erased: Erased) -> int:
    click.echo(
        f"Erased: {erased.cases} case(s) with {erased.images} image(s), and {erased.originals} original(s), "
        f"{erased.committed} of them promised by storage commitment.",
        err=True,
    )
    if erased.links:
        click.echo(f"{erased.links} link(s) that showed them without an account have ended.", err=True)
    if erased.left or erased.blobs_left:
        click.echo(
            f"Still there: {erased.left} original(s) that could not be deleted, and files of {erased.blobs_left} "
            "image(s), which workers go on trying to delete. Repeat this until nothing is.",
            err=True,
        )
        return EXIT_FAULT
    return EXIT_FOUND
