"""``casebridge demo``: example images to the running bridge, and where their drafts are."""

import time
from pathlib import Path

from pydicom.data import get_testdata_file
from rich.console import Console

from bridge.sending import send_with_progress
from cases.model import CaseStatus, CaseSummary
from cases.store import Cases, Database, Intake
from cases.users import Role, User
from config.settings import Settings

CALLING_AE = "CASEBRIDGE-DEMO"
EXAMPLES = ("CT_small.dcm", "MR_small.dcm", "examples_rgb_color.dcm", "rtdose_1frame.dcm", "JPEG2000.dcm")
"""Files that come with pydicom itself; those that a version does not bring are left out."""


def run_demo(settings: Settings, *, wait_s: float) -> bool:
    """Send the examples and wait for their drafts; return whether they are there."""
    console = Console(stderr=True)
    if not settings.dicom_plain:
        console.print(
            "The plain port is closed (dicom_plain): send files of yours with casebridge send --tls", markup=False
        )
        return False
    host = settings.dicom_host if settings.host else "127.0.0.1"
    if not send_with_progress(
        _examples(), host, settings.dicom_port, called_ae=settings.ae_title, calling_ae=CALLING_AE, console=console
    ):
        console.print("Is Casebridge running with the same settings? Start it with ./run", markup=False)
        return False
    database = Database.open(settings.database_url)
    try:
        with console.status(f"Waiting for the quiet period of {settings.quiet_period_s:g} s and the text detection"):
            is_done = _wait(database, wait_s)
        _show(_drafts(database), settings, console)
    finally:
        database.close()
    if not is_done:
        console.print("Not everything is filed yet; look again with: casebridge status", markup=False)
    return is_done


def _examples() -> list[Path]:
    found = (get_testdata_file(name, download=False) for name in EXAMPLES)
    return [Path(str(path)) for path in found if path]


def _wait(database: Database, wait_s: float) -> bool:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        with database.read() as session:
            by_sender = {sender.calling_ae: sender.tally for sender in Intake(session).summary().by_sender}
        tally = by_sender.get(CALLING_AE)
        if tally is not None and tally.stored and not tally.in_progress:
            return True
        time.sleep(0.3)
    return False


def _drafts(database: Database) -> list[CaseSummary]:
    # The command line on the bridge's own machine sees what an administrator sees.
    operator = User(id="", name="command line", role=Role.ADMIN, draft_limit=0)
    with database.read() as session:
        page = Cases(session).list(operator, limit=100)
    return [case for case in page.items if case.sender == CALLING_AE and case.status is not CaseStatus.REMOVED]


def _show(drafts: list[CaseSummary], settings: Settings, console: Console) -> None:
    for case in drafts:
        who = " ".join(filter(None, (", ".join(case.modalities), case.age_band, case.sex))) or "nothing filed"
        images = f"{case.counts.images} image(s)" + (f", {case.counts.held} held" if case.counts.held else "")
        console.print(f"{who}: {images}", markup=False, highlight=False)
        # Whole, whatever the width of the terminal: it is there to be copied.
        url = f"http://{settings.http_host}:{settings.http_port}/api/v1/cases/{case.id}"
        console.print(f"  {url}", markup=False, highlight=False, soft_wrap=True)
    console.print("Read one with: curl -H 'Authorization: Bearer TOKEN' URL", markup=False, highlight=False)
