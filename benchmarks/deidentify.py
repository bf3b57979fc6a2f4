"""CPU for each de-identified CT, enhanced MR and report, header work alone, beside dicognito and deid."""

# ruff: noqa: RUF001 - the tables are for people: signs of multiplication, ranges with a dash

import json
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pydicom import dcmread

from benchmarks.headers import enhanced_series, report_series
from benchmarks.inputs import ct_series, element_count
from benchmarks.measure import ratio, spread
from benchmarks.receivers import CHECKOUT
from benchmarks.report import NOTHING, Section, Table

__all__ = ["measure"]

PEERS_PYTHON = CHECKOUT / ".venv-peers" / "bin" / "python"
OURS = "casebridge"
NEW_CASE = "casebridge, new case"
_ROWS = {
    OURS: ("own", "read, plan, write, verify; Table E.1-1 at every depth, private removed"),
    NEW_CASE: ("own", "the same, each file a case of its own"),
    "dicognito": ("peers", "its own table; private elements kept"),
    "deid": ("peers", "default recipe; private elements removed"),
    "pydicom": ("own", "read and write, nothing changed"),
    "copy": ("own", "copy of the file"),
}
_INPUTS: dict[str, tuple[Callable[[Path, int], list[Path]], float]] = {
    "CT": (ct_series, 1),
    "enhanced MR": (enhanced_series, 0.05),
    "structured report": (report_series, 1),
}
"""Name → what writes such files, and how many of them for each CT."""


class Tool:
    """One tool in its process, ready for another pass."""

    def __init__(self, name: str, python: str, source: Path, target: Path, log: Path) -> None:
        self.name = name
        target.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [python, "-m", "benchmarks.contestants", name, str(source), str(target)],
                cwd=CHECKOUT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.version = str(self._answer(log)["version"])
        self._log = log

    def _answer(self, log: Path) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended: {log.read_text(errors='replace')[-500:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def run(self) -> dict[str, Any]:
        """Go once through the folder."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._answer(self._log)

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)


def _fast_folder(stack: ExitStack) -> Path:
    """Return a folder in memory where there is one, so that the disk is no part of the figures."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() else None
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="casebridge-bench-", dir=place)))


def measure(work: Path, *, repeats: int, objects: int, step: Callable[[str], None]) -> Section:
    """Let every tool go through the same files in turns, one kind of file after the other."""
    tables: list[Table] = []
    data: dict[str, Any] = {}
    for name, (make, share) in _INPUTS.items():
        files = make(work / f"{name.replace(' ', '-')}-{objects}", max(2, round(objects * share)))
        answers = _answers(files, repeats, step, name)
        cpu = {tool: [run["cpu_s"] / run["files"] * 1000 for run in runs] for tool, runs in answers.items()}
        tables += _tables(name, files, answers, cpu)
        data[name] = answers
    cost = (
        "The tools cover different rule sets and only ours verifies what it wrote: this is cost, not quality. "
        "Interpreter start and imports are not counted; input and output lie in memory."
    )
    notes = [cost]
    if not PEERS_PYTHON.exists():
        notes.append("Without `.venv-peers` (see `tools/peers.lock`) dicognito and deid are not measured.")
    return Section(name="deidentify", title="De-identifying a header", tables=tables, notes=notes, data=data)


def _answers(
    originals: list[Path], repeats: int, step: Callable[[str], None], name: str
) -> dict[str, list[dict[str, Any]]]:
    with ExitStack() as stack:
        folder = _fast_folder(stack)
        source = folder / "in"
        shutil.copytree(originals[0].parent, source)
        tools: list[Tool] = []
        for tool, (environment, _) in _ROWS.items():
            if environment == "peers" and not PEERS_PYTHON.exists():
                continue
            step(f"deidentify, {name}: warming up {tool}")
            python = str(PEERS_PYTHON) if environment == "peers" else sys.executable
            tools.append(Tool(tool, python, source, folder / tool.replace(", ", "-"), folder / f"{tool}.log"))
            stack.callback(tools[-1].close)
        answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for repeat in range(repeats):
            for one in tools:
                step(f"deidentify, {name}, {repeat + 1}/{repeats}: {one.name}")
                answers[one.name].append({**one.run(), "version": one.version})
    return answers


def _tables(
    name: str, files: list[Path], answers: dict[str, list[dict[str, Any]]], cpu: dict[str, list[float]]
) -> list[Table]:
    rows = [
        [
            f"{tool} {answers[tool][0]['version']}".strip(),
            NOTHING if tool == OURS else ratio(theirs, cpu[OURS]).text(1 if tool != "copy" else 2),
            spread(theirs).text(2),
            _ROWS[tool][1],
        ]
        for tool, theirs in cpu.items()
    ]
    phases = {
        tool: {
            phase: spread([run["phases"][phase] / run["files"] * 1000 for run in answers[tool]]).text(2)
            for phase in answers[tool][0]["phases"]
        }
        for tool in (OURS, NEW_CASE)
    }
    elements, size = element_count(dcmread(files[0])), files[0].stat().st_size
    title = f"{name} of {size / 1e6:.2f} MB and {elements} elements × {len(files)}, one process, n = {len(cpu[OURS])}"
    return [
        Table(title=title, columns=("tool", "its CPU ÷ ours", "CPU ms/object", "what it does"), rows=rows),
        Table(
            title=f"Where our time goes, {name}",
            columns=("step", "CPU ms/object", "each file a case of its own"),
            rows=[[phase, value, phases[NEW_CASE][phase]] for phase, value in phases[OURS].items()],
        ),
    ]
