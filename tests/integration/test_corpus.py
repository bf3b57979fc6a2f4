"""The whole corpus of real files in one go: each file is accounted for, and the sum adds up."""

import re
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.corpus import ROOT, require_corpus
from tests.docs.real_files_page import PAGE, verdicts, with_text
from tests.integration.running import RunningBridge, eventually, running_bridge
from tests.integration.senders import dcmsend, number, tally_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2500)]
WITHIN_S = 2400
FEWEST_OF_THE_PAGE = 4
"""Real files with text that go through the pixels, of each fate."""


@dataclass(frozen=True)
class Run:
    """What became of the corpus."""

    bridge: RunningBridge
    fates: dict[str, str]
    """Name of a file in the corpus → what became of it, in words."""
    said: str
    """What dcmsend printed."""
    sent: str
    """What ``casebridge send`` printed of the rest."""
    took_s: float


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Send everything with dcmsend, and what it leaves out with ``casebridge send``; wait for the end."""
    names = [file.path.relative_to(ROOT).as_posix() for file in require_corpus()]
    folder = tmp_path_factory.mktemp("corpus")
    with running_bridge(folder / "data") as bridge:
        began = time.monotonic()
        said = dcmsend(bridge, ROOT, "--create-report-file", folder / "report.txt").stdout
        reported = report_of(folder / "report.txt")
        rest = [
            name for name in names if "Success" not in reported.get(name, "") and "Error" not in reported.get(name, "")
        ]
        (folder / "rest").mkdir()
        for position, name in enumerate(rest):
            shutil.copyfile(ROOT / name, folder / "rest" / f"{position:04d}.dcm")
        sent = bridge.cli("send", str(folder / "rest"), "127.0.0.1", str(bridge.dicom_port), "--aet", "REST").stderr
        left = re.search(r"(\d+) stored", sent)
        wait_for_the_end(bridge, number("with status SUCCESS", said) + int(left[1] if left else 0))
        took_s = time.monotonic() - began
        fates = fates_of(bridge, reported) | {
            name: f"left to casebridge send: {reported.get(name, 'ignored')}" for name in rest
        }
        show(fates, sent, bridge, took_s)
        yield Run(bridge=bridge, fates=fates, said=said, sent=" ".join(sent.split()), took_s=took_s)


def report_of(path: Path) -> dict[str, str]:
    """Return what dcmsend's report says of each file, in the order of sending."""
    found = {}
    for block in path.read_text(errors="replace").split("\nNumber        : ")[1:]:
        name, status = (
            re.search(rf"^{label}\s*: (.*)$", block, re.MULTILINE) for label in ("Filename", "DIMSE Status")
        )
        assert name is not None
        found[Path(name[1]).relative_to(ROOT).as_posix()] = status[1] if status else "not sent"
    return found


def wait_for_the_end(bridge: RunningBridge, stored: int) -> None:
    def is_done() -> bool:
        status = bridge.get("/api/v1/status")
        # Before the first scan of the spool nothing is under way either.
        known = status["total"]["stored"] >= stored
        return known and not (status["arriving"] or status["total"]["in_progress"] or status["unrecorded"])

    eventually(is_done, within_s=WITHIN_S, what="the whole corpus is worked through")
    eventually(lambda: tally_of(bridge, "DCMSEND").get("refused"), within_s=20, what="the books are closed")


def fates_of(bridge: RunningBridge, reported: dict[str, str]) -> dict[str, str]:
    """Return what became of each file that dcmsend sent: the receiver stored them in the order of sending."""
    stored = [name for name, status in reported.items() if "Success" in status]
    with sqlite3.connect(f"file:{bridge.data_dir / 'casebridge.db'}?mode=ro", uri=True) as database:
        rows = database.execute(
            "SELECT outcome, reason FROM received_instance WHERE calling_ae = 'DCMSEND' ORDER BY arrival_id"
        ).fetchall()
    database.close()
    assert len(rows) == len(stored)
    fates = {name: f"{outcome} {reason}".strip() for name, (outcome, reason) in zip(stored, rows, strict=True)}
    return fates | {name: f"refused {status}" for name, status in reported.items() if "Error" in status}


def show(fates: dict[str, str], sent: str, bridge: RunningBridge, took_s: float) -> None:
    """Print the table of outcomes, for the log of a CI run."""
    print(f"\n{len(fates)} files of the corpus in {took_s:.0f} s")
    for fate, count in sorted(Counter(fates.values()).items(), key=lambda item: -item[1]):
        print(f"{count:5d}  {fate}")
    print(f"\ncasebridge send:\n{sent}\n{bridge.cli('status').stdout}")


def total(run: Run) -> dict[str, Any]:
    return dict(run.bridge.get("/api/v1/status")["total"])


def each_file_is_accounted_for(run: Run) -> None:
    assert set(run.fates) == {file.path.relative_to(ROOT).as_posix() for file in require_corpus()}
    places = {fate.split()[0] for fate in run.fates.values()}
    assert places <= {"filed", "dropped", "held", "duplicate", "superseded", "refused", "left"}


def what_was_sent_and_what_is_in_the_books_are_the_same(run: Run) -> None:
    report = run.bridge.status()
    [by_dcmsend] = [sender for sender in report["by_sender"] if sender["calling_ae"] == "DCMSEND"]

    assert by_dcmsend["stored"] == number("with status SUCCESS", run.said)
    assert by_dcmsend["refused"] == number("with status ERROR", run.said)
    assert report["adds_up"]
    assert report["unrecorded"] == 0
    assert report["total"]["in_progress"] == 0
    assert report["spool"]["unreadable_files"] == 0


def the_receipts_add_up_to_what_was_sent(run: Run) -> None:
    receipts = run.bridge.all_items("/api/v1/receipts?limit=20")
    found = total(run)

    assert all(receipt["sums"]["adds_up"] for receipt in receipts)
    assert len({receipt["code"] for receipt in receipts}) == run.bridge.get("/api/v1/status")["studies"]
    assert sum(receipt["sums"]["stored"] for receipt in receipts) == found["stored"]
    assert sum(receipt["sums"]["refused"] for receipt in receipts) == found["refused"]
    for place in ("held", "dropped", "duplicate", "superseded", "expired"):
        assert sum(receipt["sums"][place] for receipt in receipts) == found[place]
    whole = [run.bridge.get(f"/api/v1/receipts/{receipt['code']}") for receipt in receipts]
    assert all(sum(line["count"] for line in one["lines"]) == one["sums"]["stored"] for one in whole)
    assert {receipt["state"] for receipt in receipts} <= {"complete", "probably-complete", "short", "unknown"}


def no_association_is_lost(run: Run) -> None:
    assert number("Number of associations", run.said) == 1
    assert set(run.bridge.get("/api/v1/status")["associations"]) == {"released"}


def what_dcmsend_left_out_is_sent_or_skipped_with_a_reason(run: Run) -> None:
    left = sum(fate.startswith("left") for fate in run.fates.values())
    counts = [int(count) for count in re.findall(r"(\d+) (?:stored|skipped|refused|failed)", run.sent)]

    assert sum(counts) == left
    assert "failed" not in run.sent
    [rest] = [
        sender["tally"] for sender in run.bridge.get("/api/v1/status")["by_sender"] if sender["calling_ae"] == "REST"
    ]
    assert f"{rest['stored']} stored" in run.sent


def most_of_the_corpus_is_in_drafts_and_nothing_fails_on_our_side(run: Run) -> None:
    found = total(run)

    # Many of the corpus are one image in several encodings, and count as resends of it.
    assert found["inbox"] + found["duplicate"] + found["superseded"] > found["stored"] * 0.75
    assert "internal-error" not in run.bridge.get("/api/v1/status")["held_by_reason"]
    assert "process-died" not in run.bridge.get("/api/v1/status")["held_by_reason"]


def every_hold_has_a_sentence(run: Run) -> None:
    holds = run.bridge.all_items("/api/v1/holds")

    assert len(holds) == total(run)["held"]
    assert all(len(hold["detail"].split()) >= 4 for hold in holds)


def the_original_is_there_for_everything_that_was_stored(run: Run) -> None:
    assert sum(1 for _ in (run.bridge.data_dir / "spool" / "studies").rglob("*.dcm")) == total(run)["stored"]


def the_real_files_with_text_become_what_the_page_says(run: Run) -> None:
    told = verdicts(PAGE.read_text())
    fates = {file.path.name: run.fates[file.path.relative_to(ROOT).as_posix()] for file in with_text()}
    # Others wait for another reason, such as a second patient in the study, or are resends of a file that is here.
    filed = {name for name, fate in fates.items() if fate == "filed"}
    held = {name: fate for name, fate in fates.items() if fate in {"held burned-in-text", "held unreadable-text"}}
    assert {told[name] for name in filed} <= {"redacted", "clear"}
    assert held == {name: told[name].replace(":", "") for name in held}
    assert len(filed) >= FEWEST_OF_THE_PAGE
    assert len(held) >= FEWEST_OF_THE_PAGE


def test_the_whole_corpus(run: Run, subtests: pytest.Subtests) -> None:
    # One test: several would each start the long run anew where they are spread over processes.
    for holds in (
        each_file_is_accounted_for,
        what_was_sent_and_what_is_in_the_books_are_the_same,
        the_receipts_add_up_to_what_was_sent,
        no_association_is_lost,
        what_dcmsend_left_out_is_sent_or_skipped_with_a_reason,
        most_of_the_corpus_is_in_drafts_and_nothing_fails_on_our_side,
        every_hold_has_a_sentence,
        the_real_files_with_text_become_what_the_page_says,
        the_original_is_there_for_everything_that_was_stored,
    ):
        with subtests.test(holds.__name__):
            holds(run)
