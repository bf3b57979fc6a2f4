"""CPU for each de-identified CT, header work alone, beside dicognito and deid."""

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

from benchmarks.inputs import ct_series, element_count
from benchmarks.measure import ratio, spread
from benchmarks.receivers import CHECKOUT
from benchmarks.report import NOTHING, Section, Table

__all__ = ["measure"]

PEERS_PYTHON = CHECKOUT / ".venv-peers" / "bin" / "python"
OURS = "casebridge"
_ROWS = {
    "casebridge": ("own", "read, plan, write, verify; Table E.1-1 at every depth, private removed"),
    "dicognito": ("peers", "its own table; private elements kept"),
    "deid": ("peers", "default recipe; private elements removed"),
    "pydicom": ("own", "read and write, nothing changed"),
    "copy": ("own", "copy of the file"),
}


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
    """Let every tool go through the same files in turns."""
    with ExitStack() as stack:
        folder = _fast_folder(stack)
        originals = ct_series(work / f"ct-{objects}", objects)
        source = folder / "in"
        shutil.copytree(originals[0].parent, source)
        elements = element_count(dcmread(originals[0]))
        has_peers = PEERS_PYTHON.exists()
        tools: list[Tool] = []
        for name, (environment, _) in _ROWS.items():
            if environment == "peers" and not has_peers:
                continue
            step(f"deidentify: warming up {name}")
            python = str(PEERS_PYTHON) if environment == "peers" else sys.executable
            tools.append(Tool(name, python, source, folder / name, folder / f"{name}.log"))
            stack.callback(tools[-1].close)
        answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for repeat in range(repeats):
            for tool in tools:
                step(f"deidentify {repeat + 1}/{repeats}: {tool.name}")
                answers[tool.name].append(tool.run())
    return _section(tools, answers, objects, elements, originals[0].stat().st_size, has_peers=has_peers)


def _section(
    tools: list[Tool],
    answers: dict[str, list[dict[str, Any]]],
    objects: int,
    elements: int,
    size: int,
    *,
    has_peers: bool,
) -> Section:
    cpu = {name: [run["cpu_s"] / run["files"] * 1000 for run in runs] for name, runs in answers.items()}
    rows = []
    for tool in tools:
        theirs = cpu[tool.name]
        rows.append(
            [
                f"{tool.name} {tool.version}".strip(),
                NOTHING if tool.name == OURS else ratio(theirs, cpu[OURS]).text(1 if tool.name != "copy" else 2),
                spread(theirs).text(2),
                _ROWS[tool.name][1],
            ]
        )
    phases = {
        phase: spread([run["phases"][phase] / run["files"] * 1000 for run in answers[OURS]])
        for phase in answers[OURS][0]["phases"]
    }
    title = f"CT of {size / 1e6:.2f} MB and {elements} elements × {objects}, one process, n = {len(cpu[OURS])}"
    phase_rows = [[phase, value.text(2)] for phase, value in phases.items()]
    cost = (
        "The tools cover different rule sets and only ours verifies what it wrote: this is cost, not quality. "
        "Interpreter start and imports are not counted; input and output lie in memory."
    )
    notes = [cost]
    if not has_peers:
        notes.append("Without `.venv-peers` (see `tools/peers.lock`) dicognito and deid are not measured.")
    return Section(
        name="deidentify",
        title="De-identifying a header",
        tables=[
            Table(title=title, columns=("tool", "its CPU ÷ ours", "CPU ms/object", "what it does"), rows=rows),
            Table(title="Where our time goes", columns=("step", "CPU ms/object"), rows=phase_rows),
        ],
        notes=notes,
        data=dict(answers),
    )
