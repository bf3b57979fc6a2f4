"""Frames a second that the pixel screen reads, in one process and in the pool that the worker uses."""

# ruff: noqa: RUF001 - the tables are for people: signs of multiplication, ranges with a dash

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import dcmread

from benchmarks.inputs import ct_series
from benchmarks.measure import load, ratio, spread
from benchmarks.report import NOTHING, Section, Table
from bridge.pool import Pool
from deidentify.deidentifier import Deidentifier
from deidentify.pixels.screen import PixelScreener
from deidentify.profile import Profile
from deidentify.pseudonyms import PseudonymScope

__all__ = ["deidentifier", "measure", "read_frame", "start"]

POOL = 2
_SCOPE = PseudonymScope(key=bytes(range(32)), case_key="0" * 32)


@cache
def deidentifier() -> Deidentifier:
    text = (Path(__file__).parents[1] / "config" / "profiles" / "teaching.yaml").read_text()
    return Deidentifier(Profile.from_yaml(text))


@cache
def _screener() -> PixelScreener:
    return PixelScreener()


def start(warm_up: Path) -> None:
    """Load the models in a child of the pool."""
    read_frame(warm_up)


def read_frame(file: Path) -> tuple[str, float]:
    """Screen one file as the pipeline does; return verdict and CPU seconds."""
    begin = time.process_time()
    with file.open("rb") as identified_file:
        plan = deidentifier().plan(deidentifier().read(identified_file), _SCOPE)
        identified_file.seek(0)
        report = _screener().screen(identified_file, plan.identified_tokens)
    return report.verdict.value, time.process_time() - begin


def _pass(files: list[Path], pool: Pool, threads: int) -> tuple[float, float, int]:
    """Return frames a second, CPU seconds a frame, and how many frames were not clear."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(threads) as executor:
        results = list(executor.map(lambda file: pool.run(read_frame, file), files))
    wall_s = time.perf_counter() - begin
    doubtful = sum(verdict != "clear" for verdict, _ in results)
    return len(files) / wall_s, sum(cpu for _, cpu in results) / len(files), doubtful


def _tesseract(pictures: list[Path]) -> float:
    """Return frames a second of Tesseract on one thread, sparse text, one picture after the other."""
    begin = time.perf_counter()
    for picture in pictures:
        subprocess.run(
            ["tesseract", str(picture), "stdout", "--psm", "11"],
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    return len(pictures) / (time.perf_counter() - begin)


def _pictures(files: list[Path], folder: Path) -> list[Path]:
    """Write the full stored range of each file as PNG, the first view that our screen reads."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for file in files:
        frame = dcmread(file).pixel_array.astype(np.float64)
        grey = (frame - frame.min()) / (frame.max() - frame.min()) * 255
        pictures.append(folder / f"{file.stem}.png")
        Image.fromarray(grey.astype(np.uint8)).save(pictures[-1])
    return pictures


def measure(work: Path, *, repeats: int, frames: int, step: Callable[[str], None]) -> Section:
    """Screen the same frames with one process and with two, in turns, and with Tesseract where it is installed."""
    files = ct_series(work / f"ct-{frames}", frames)
    rates: dict[str, list[float]] = {"one process": [], f"pool of {POOL}": []}
    cpu: list[float] = []
    doubtful = 0
    pictures = _pictures(files, work / "pictures") if shutil.which("tesseract") else []
    before = load()
    step("screen: loading models")
    with Pool(POOL, initializer=start, initargs=(files[0],)) as pool:
        _pass(files[: 2 * POOL], pool, POOL)
        for repeat in range(repeats):
            for threads, name in ((1, "one process"), (POOL, f"pool of {POOL}")):
                step(f"screen {repeat + 1}/{repeats}: {name}")
                rate, cpu_s, doubtful = _pass(files, pool, threads)
                rates[name].append(rate)
                if threads == 1:
                    cpu.append(cpu_s)
            if pictures:
                step(f"screen {repeat + 1}/{repeats}: Tesseract")
                rates.setdefault("Tesseract, one process", []).append(_tesseract(pictures))
    first = rates["one process"]
    rows = [
        [
            name,
            NOTHING if name == "one process" else ratio(values, first).text(2),
            spread(values).text(2),
            spread([value * 1000 for value in cpu]).text(0) if name == "one process" else NOTHING,
        ]
        for name, values in rates.items()
    ]
    notes = [f"{doubtful} of {frames} frames were not found clear. Load when it began: {before:.1f}."]
    if not pictures:
        notes.append("Tesseract is not installed on this machine, so the screen stands alone.")
    return Section(
        name="screen",
        title="Screening pixels",
        tables=[
            Table(
                title=f"CT frames of 512 × 512 pixels × {frames}, clean, n = {repeats}",
                columns=("how", "÷ one process", "frames/s", "CPU ms/frame"),
                rows=rows,
            )
        ],
        notes=notes,
        data={**rates, "cpu_s_per_frame": cpu, "not_clear": doubtful},
    )
