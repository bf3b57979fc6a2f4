"""Campaigns of fuzzing: some targets, each for a time, in processes of their own."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.targets import REGRESSIONS, chosen, name_of
from tests.tools import CHECKOUT

SPARE_S = 60


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a campaign found on one target."""

    targets: tuple[str, ...]
    inputs: int
    peak_mb: int
    failure: str
    """The end of what a failing child said; empty where nothing failed."""
    kept: tuple[Path, ...]
    """The inputs that made it fail, kept among the regressions."""


def fuzz(names: Sequence[str], *, seconds: int, seed: int = 1) -> Finding:
    """Fuzz some targets in one process for a time."""
    # In memory where there is such a place; the child, which atheris ends, leaves its files in here.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory))
    try:
        done = subprocess.run(
            [
                # Over exec a process inherits the memory's peak of the one that starts it; a shell has hardly any.
                *("sh", "-c", '"$@"; exit $?', "sh"),
                *(sys.executable, "-m", "tests.fuzz.one", ",".join(names), str(folder), str(seconds), str(seed)),
            ],
            cwd=CHECKOUT,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(folder)},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + SPARE_S,
            check=False,
        )
        kept = []
        for path in folder.glob("*-*"):
            if path.name.startswith(("crash-", "timeout-", "oom-", "leak-")):
                name, data = chosen(names, path.read_bytes())
                target = REGRESSIONS / name / name_of(data)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
                kept.append(target)
        return Finding(
            targets=tuple(names),
            inputs=_stat("number_of_executed_units", done.stderr),
            peak_mb=_stat("peak_rss_mb", done.stderr),
            failure=(done.stdout + done.stderr)[-4000:] if done.returncode else "",
            kept=tuple(kept),
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def campaign(groups: Iterable[Sequence[str]], *, seconds: int, seed: int = 1, at_once: int = 2) -> Iterator[Finding]:
    """Fuzz groups of targets, a few at once; yield the findings in the order of the groups."""
    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(lambda names: fuzz(names, seconds=seconds, seed=seed), groups)


def _stat(name: str, text: str) -> int:
    found = re.search(rf"stat::{name}:\s+(\d+)", text)
    return int(found[1]) if found else 0
