"""Seconds from the last C-STORE of a study to its draft, through a whole bridge."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.inputs import ct_series
from benchmarks.measure import free_port, spread
from benchmarks.receivers import ADMIN_TOKEN, CHECKOUT, bridge_environment, end
from benchmarks.report import Section, Table

__all__ = ["measure"]

QUIET_PERIOD_S = 2.0
_LOOK_S = 0.05
_LOOK_LATER_S = 0.5
_START_S = 90.0
_LONGEST_S = 900.0
_STAGES = ("draft shell", "first image", "all images")


class Bridge:
    """A bridge of its own on free ports, asked over HTTP."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.dicom_port, self.http_port = free_port(), free_port()
        environment = bridge_environment(
            folder,
            DICOM_PORT=str(self.dicom_port),
            HTTP_PORT=str(self.http_port),
            QUIET_PERIOD_S=f"{QUIET_PERIOD_S:g}",
        )
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "serve"],
                env=environment,
                cwd=CHECKOUT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def get(self, path: str) -> Any:
        """Return the JSON of an answer."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.http_port}{path}", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def wait_until_ready(self) -> None:
        """Wait until everything answers."""
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.get("/readyz")
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError("the bridge did not start")

    def drafts(self) -> list[dict[str, Any]]:
        """Return the cases that there are."""
        found: list[dict[str, Any]] = self.get("/api/v1/cases")["items"]
        return found


@contextlib.contextmanager
def _running(folder: Path) -> Iterator[Bridge]:
    bridge = Bridge(folder)
    try:
        bridge.wait_until_ready()
        yield bridge
    finally:
        end(bridge.process)
        shutil.rmtree(folder / "data", ignore_errors=True)


def _send(port: int, folder: Path, count: int) -> float:
    """Send a series over one association; return the time of the last answer."""
    command = [sys.executable, "-m", "benchmarks.blast", str(port), str(folder), str(count), "1"]
    done = subprocess.run(command, cwd=CHECKOUT, input="go\n", capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout.splitlines()[-1])
    if answer["stored"] != count:
        raise RuntimeError(f"the bridge stored {answer['stored']} of {count}")
    return float(answer["last_at"])


def _once(work: Path, files: list[Path], step: Callable[[str], None], *, to_the_end: bool) -> dict[str, float]:
    """Return the seconds from the last C-STORE to each stage, and how many images were held."""
    with _running(work / "draft") as bridge:
        last_at = _send(bridge.dicom_port, files[0].parent, len(files))
        seen: dict[str, float] = {}
        while time.time() - last_at < _LONGEST_S:
            drafts = bridge.drafts()
            after_s = time.time() - last_at
            if drafts:
                progress = drafts[0]["progress"]
                seen.setdefault("draft shell", after_s)
                if progress["filed"]:
                    seen.setdefault("first image", after_s)
                step(f"draft: {progress['screened']}/{len(files)} images after {after_s:.0f} s")
                if progress["screened"] == len(files):
                    return {**seen, "all images": after_s, "held": progress["held"]}
                if "first image" in seen and not to_the_end:
                    return seen
            time.sleep(_LOOK_LATER_S if "first image" in seen else _LOOK_S)
    raise RuntimeError("the draft did not get whole")


def measure(work: Path, *, repeats: int, slices: int, whole: int, step: Callable[[str], None]) -> Section:
    """Send the series to a fresh bridge each time; only the first `whole` repeats wait for the last image."""
    files = ct_series(work / f"ct-{slices}", slices)
    runs = []
    for repeat in range(repeats):
        step(f"draft {repeat + 1}/{repeats}: starting a bridge")
        runs.append(_once(work, files, step, to_the_end=repeat < whole))
    rows = []
    for stage in _STAGES:
        values = [run[stage] for run in runs if stage in run]
        if values:
            after_quiet = [value - QUIET_PERIOD_S for value in values]
            rows.append([stage, spread(after_quiet).text(2), spread(values).text(2), str(len(values))])
    held = [run["held"] for run in runs if "held" in run]
    notes = [f"The quiet period was {QUIET_PERIOD_S:g} s; a draft is looked for every {_LOOK_S:g} s."]
    if held:
        notes.append(f"Images held in a whole run: {max(held):.0f} of {slices}.")
    return Section(
        name="draft",
        title="From the last C-STORE to the draft",
        tables=[
            Table(
                title=f"CT of {slices} slices, `casebridge serve` on the embedded default",
                columns=("until", "s after the quiet period", "s after the last C-STORE", "n"),
                rows=rows,
            )
        ],
        notes=notes,
        data={"quiet_period_s": QUIET_PERIOD_S, "runs": runs},
    )
