"""Senders as they stand beside a bridge: DCMTK's programs, and ours for data sets made in the test."""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from scp.send import SendSummary, Sent, send
from tests.builders import write_part10
from tests.integration.running import RunningBridge, eventually
from tests.tools import require_tool


def run_tool(*arguments: object, timeout_s: float = 240) -> subprocess.CompletedProcess[str]:
    """Run a program, both its outputs in ``stdout``; DCMTK of Debian keeps Nagle's algorithm on unless told."""
    return subprocess.run(
        [str(argument) for argument in arguments],
        env=os.environ | {"TCP_NODELAY": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


def dcmsend(
    bridge: RunningBridge, folder: Path, *options: object, calling: str = "DCMSEND", called: str = "CASEBRIDGE"
) -> subprocess.CompletedProcess[str]:
    """Send a folder as a PACS sends everything."""
    return run_tool(
        require_tool("dcmsend"), "-v", "-aet", calling, "-aec", called, "--scan-directories", "--recurse",
        "--no-halt", "--no-uid-checks", "--decompress-never", *options, "127.0.0.1", bridge.dicom_port, folder,
    )  # fmt: skip


def number(label: str, text: str) -> int:
    """Return a figure of dcmsend's summary; 0 where it says nothing of it."""
    found = re.search(rf"{label}\s*: (\d+)", text)
    return int(found[1]) if found else 0


def write_files(folder: Path, objects: Iterable[Dataset | bytes]) -> Path:
    """Write objects as Part 10 files named by their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for position, one in enumerate(objects):
        (folder / f"{position:04d}.dcm").write_bytes(one if isinstance(one, bytes) else write_part10(one))
    return folder


def deliver(
    bridge: RunningBridge,
    folder: Path,
    objects: Iterable[Dataset | bytes],
    *,
    calling: str,
    called: str = "CASEBRIDGE",
    stored: int | None = None,
) -> SendSummary:
    """Send objects; all of them, or as many as ``stored`` says, have to be answered with Success."""
    files = write_files(folder, objects)
    summary = send([files], host="127.0.0.1", port=bridge.dicom_port, called_ae=called, calling_ae=calling)
    wanted = len(list(files.iterdir())) if stored is None else stored
    assert summary.count(Sent.STORED) == wanted, summary.reasons
    return summary


def tally_of(bridge: RunningBridge, calling: str) -> dict[str, Any]:
    """Return the sum of one sender, empty before its first object is known."""
    senders = bridge.get("/api/v1/status")["by_sender"]
    return next((sender["tally"] for sender in senders if sender["calling_ae"] == calling), {})


def settled(bridge: RunningBridge, calling: str, stored: int, *, within_s: float = 90) -> dict[str, Any]:
    """Wait until this many objects of a sender have found their place; return its sum."""

    def look() -> dict[str, Any] | None:
        tally = tally_of(bridge, calling)
        return tally if tally.get("stored", 0) >= stored and not tally["in_progress"] else None

    tally = eventually(look, within_s=within_s, what=f"{stored} objects of {calling} have their place")
    assert tally["stored"] == stored
    assert tally["adds_up"]
    return tally


def cases_of(bridge: RunningBridge, calling: str) -> list[dict[str, Any]]:
    """Return the cases whose first study came from a sender, the newest first."""
    return [case for case in bridge.all_items("/api/v1/cases") if case["sender"] == calling]


def case_of(bridge: RunningBridge, calling: str) -> dict[str, Any]:
    """Return the one case of a sender, whole."""
    [case] = cases_of(bridge, calling)
    return bridge.get(f"/api/v1/cases/{case['id']}")  # type: ignore[no-any-return]


def images_of(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all images of a case in their order."""
    return [image for study in case["studies"] for series in study["series"] for image in series["images"]]


def holds_of(bridge: RunningBridge, calling: str) -> list[dict[str, Any]]:
    """Return the open holds of a sender."""
    return [hold for hold in bridge.all_items("/api/v1/holds") if hold["sender"] == calling]
