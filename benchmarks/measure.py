"""What is read off the machine: CPU and memory of process trees, facts about it, medians."""

# ruff: noqa: RUF001, RUF002 - the tables are for people: signs of multiplication, ranges with a dash

import contextlib
import os
import platform
import shutil
import socket
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["Spread", "cpu_seconds", "free_port", "load", "machine_facts", "peak_rss_mb", "ratio", "spread", "tree"]

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of some repeats, and how far they lie apart."""

    median: float
    low: float
    high: float
    n: int

    def text(self, digits: int = 0) -> str:
        """Return ``median (low–high)``."""
        if self.n == 1:
            return f"{self.median:.{digits}f}"
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """Return median and range."""
    return Spread(median=statistics.median(values), low=min(values), high=max(values), n=len(values))


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return the spread of the quotients of repeats that ran side by side."""
    return spread([one / other for one, other in zip(ours, theirs, strict=True)])


def _stat(pid: int) -> list[str]:
    # The name in parentheses may hold blanks.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """Return a process and all below it, ended ones that nobody has waited for among them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """Return user and system time of a process tree so far, that of its children that were waited for included."""
    ticks = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            ticks += sum(int(value) for value in _stat(pid)[11:15])
    return ticks / _TICKS


def peak_rss_mb(root: int) -> float:
    """Return the largest peak resident size of one process in a tree."""
    largest = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    largest = max(largest, int(line.split()[1]))
    return largest / 1024


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return "absent"
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[0] if lines else "present"


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def machine_facts(work: Path) -> dict[str, str]:
    """Return what a reader must know of the machine to read the figures."""
    dcmtk = _first_line("storescp", "--version")
    return {
        "processor": f"{_processor()}, {os.cpu_count()} CPUs",
        "memory": f"{_memory_gb():.0f} GB",
        "file system": _first_line("stat", "-f", "-c", "%T", str(work)),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "Python": platform.python_version(),
        "Casebridge": _package("casebridge"),
        "pynetdicom": _package("pynetdicom"),
        "onnxruntime": _package("onnxruntime"),
        "DCMTK": dcmtk.removeprefix("$dcmtk: storescp ").removesuffix("$").strip(),
        "Orthanc": _first_line("Orthanc", "--version").removeprefix("Orthanc ").strip(),
        "Tesseract": _first_line("tesseract", "--version").removeprefix("tesseract "),
        "load before": f"{load():.2f}",
    }
