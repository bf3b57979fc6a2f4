"""Objects a second and CPU for each object, received beside Orthanc and DCMTK on the same bytes."""

# ruff: noqa: RUF001 - the tables are for people: signs of multiplication, ranges with a dash

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inputs import ct_series
from benchmarks.measure import cpu_seconds, peak_rss_mb, ratio, spread
from benchmarks.receivers import CHECKOUT, RECEIVERS, Receiver, is_installed, running
from benchmarks.report import NOTHING, Section, Table

__all__ = ["DISK", "OURS", "Sample", "disk_sample", "measure", "sample"]

OURS = "casebridge scp"
DISK = "the disk alone, synced"
_WARM_UP = 12
_REST_S = 0.5
"""After the last answer, so that what a receiver does behind the sender's back is counted."""

_CONDITIONS = (
    "What a row's Success means stands behind its name: synced to disk, or in the page cache at best (not synced). "
    "All on one disk, each run on a fresh folder; what a run wrote is synced before the next begins. DCMTK and Orthanc "
    "run with `TCP_NODELAY=1` and PDUs of 128 kB, storescp with `--fork` where there are four associations. CPU is "
    "user and system time of the receiver's processes; the kernel's own write-back is in none of the figures."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of one receiver."""

    objects_per_s: float
    cpu_ms: float
    peak_rss_mb: float


def sample(
    receiver: Receiver,
    folder: Path,
    inputs: Path,
    objects: int,
    associations: int,
    *,
    window: int = 1,
    warm_up: int = _WARM_UP,
    keep: bool = False,
) -> Sample:
    """Start a receiver on an empty folder, warm it up with the first objects, and time the next.

    What it received stays there where it is to `keep`: the caller removes it.

    Raises
    ------
    RuntimeError
        If anything is not answered with Success.
    """
    with running(receiver, folder, associations, keep=keep) as target:
        _send(target.port, inputs, warm_up, associations)
        sender = _sender(target.port, inputs, objects, associations, skip=warm_up, window=window)
        assert sender.stdin is not None
        assert sender.stdout is not None
        if sender.stdout.readline() != "ready\n":
            raise RuntimeError(f"{receiver.name} lets nobody in")
        before = cpu_seconds(target.pid)
        answer, _ = sender.communicate("go\n", timeout=600)
        time.sleep(_REST_S)
        cpu_s = cpu_seconds(target.pid) - before
        rss = peak_rss_mb(target.pid)
    done = json.loads(answer)
    if done["stored"] != objects:
        raise RuntimeError(f"{receiver.name} stored {done['stored']} of {objects}")
    if done["window"] != window:
        raise RuntimeError(f"{receiver.name} grants a window of {done['window']}, not {window}")
    return Sample(objects_per_s=objects / done["wall_s"], cpu_ms=cpu_s / objects * 1000, peak_rss_mb=rss)


def _sender(
    port: int, inputs: Path, count: int, associations: int, *, skip: int = 0, window: int = 1
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.blast"),
            *(str(port), str(inputs), str(count), str(associations)),
            *("--skip", str(skip), "--window", str(window)),
        ],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _send(port: int, inputs: Path, count: int, associations: int) -> None:
    sender = _sender(port, inputs, count, associations)
    sender.communicate("go\n", timeout=120)
    if sender.returncode:
        raise RuntimeError("the sender failed")


def disk_sample(work: Path, files: list[Path]) -> Sample:
    """Write, sync, rename and sync the folder, nothing else: what one thread can get from this disk."""
    contents = [file.read_bytes() for file in files]
    folder = work / "disk"
    (folder / "study").mkdir(parents=True, exist_ok=True)
    begin, cpu = time.perf_counter(), time.process_time()
    for number, content in enumerate(contents):
        part = folder / f"{number}.part"
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(descriptor, content)
        os.fsync(descriptor)
        os.close(descriptor)
        part.rename(folder / "study" / f"{number}.dcm")
        descriptor = os.open(folder / "study", os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    wall_s, cpu_s = time.perf_counter() - begin, time.process_time() - cpu
    for number in range(len(contents)):
        (folder / "study" / f"{number}.dcm").unlink()
    os.sync()
    return Sample(objects_per_s=len(files) / wall_s, cpu_ms=cpu_s / len(files) * 1000, peak_rss_mb=0)


def measure(work: Path, *, repeats: int, objects: int, step: Callable[[str], None]) -> Section:
    """Measure every installed receiver with one and with four associations, in turns."""
    files = ct_series(work / f"ct-{objects + _WARM_UP}", objects + _WARM_UP)
    receivers = [receiver for receiver in RECEIVERS if is_installed(receiver)]
    samples: dict[tuple[int, str], list[Sample]] = defaultdict(list)
    for repeat in range(repeats):
        for associations in (1, 4):
            for receiver in receivers:
                step(f"receive {repeat + 1}/{repeats}: {receiver.name}, {associations} association(s)")
                samples[associations, receiver.name].append(
                    sample(receiver, work / "receive", files[0].parent, objects, associations)
                )
        step(f"receive {repeat + 1}/{repeats}: {DISK}")
        samples[1, DISK].append(disk_sample(work, files[_WARM_UP:]))
    titles = {receiver.name: f"{receiver.name}, {receiver.promise}" for receiver in receivers} | {DISK: DISK}
    what = f"CT of {files[0].stat().st_size / 1e6:.2f} MB × {objects}, n = {repeats}"
    tables = [_table(samples, titles, associations, what) for associations in (1, 4)]
    notes = [_CONDITIONS]
    absent = [receiver.name for receiver in RECEIVERS if receiver not in receivers]
    if absent:
        notes.append(f"Not installed, so not measured: {', '.join(absent)}.")
    return Section(
        name="receive",
        title="Receiving",
        tables=tables,
        notes=notes,
        data={
            f"{associations} {name}": [
                {"objects_per_s": one.objects_per_s, "cpu_ms": one.cpu_ms, "peak_rss_mb": one.peak_rss_mb}
                for one in runs
            ]
            for (associations, name), runs in samples.items()
        },
    )


def _table(
    samples: dict[tuple[int, str], list[Sample]],
    titles: dict[str, str],
    associations: int,
    input_text: str,
) -> Table:
    ours = samples[associations, OURS]
    rows = []
    for name, title in titles.items():
        runs = samples.get((associations, name))
        if not runs:
            continue
        rate = ratio([one.objects_per_s for one in ours], [one.objects_per_s for one in runs])
        cpu = ratio([one.cpu_ms for one in ours], [one.cpu_ms for one in runs])
        rows.append(
            [
                title,
                NOTHING if name == OURS else rate.text(2),
                NOTHING if name == OURS else cpu.text(2),
                spread([one.objects_per_s for one in runs]).text(),
                spread([one.cpu_ms for one in runs]).text(2),
                NOTHING if name == DISK else f"{max(one.peak_rss_mb for one in runs):.0f}",
            ]
        )
    plural = "association" if associations == 1 else "associations"
    return Table(
        title=f"{associations} {plural}; {input_text}",
        columns=(
            "receiver",
            "our rate ÷ its",
            "our CPU ÷ its",
            "objects/s",
            "CPU ms/object",
            "RSS MB a process",
        ),
        rows=rows,
    )
