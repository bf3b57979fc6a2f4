"""Slices read by several processes, each made where it is read; what was read is kept, and a further run goes on."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from pydicom import dcmread

from benchmarks.clean_studies.tables import SliceOutcome
from benchmarks.clean_studies.volumes import slice_file, study_of
from benchmarks.receivers import CHECKOUT
from benchmarks.screen import deidentifier
from bridge.pool import Pool
from deidentify.pixels.engine import load_engine
from deidentify.pixels.screen import PixelScreener
from deidentify.pseudonyms import PseudonymScope
from deidentify.results import PixelVerdict, ScreenReport

__all__ = ["SLICES", "Plan", "read_chunk", "read_studies", "screen_version", "start"]

SLICES = 300
_CHUNK = 10
_SCOPE = PseudonymScope(key=bytes(range(32)), case_key="0" * 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which slices of which studies are read, and in which order."""

    seed: int
    studies: int
    slices: int = SLICES
    is_spread: bool = False
    """The first slices of every study before the next ones of any; else study after study."""
    most_chunks: int | None = None
    """Chunks of ten slices of each study, evenly spread over it; None reads it whole."""

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Yield study and chunk; a chunk is every thirtieth slice of 300."""
        of_study = range(min(self.all_chunks, self.most_chunks or self.all_chunks))
        if self.is_spread:
            yield from ((study, chunk) for chunk in of_study for study in range(self.studies))
        else:
            yield from ((study, chunk) for study in range(self.studies) for chunk in of_study)

    @property
    def all_chunks(self) -> int:
        """How many chunks a whole study has."""
        return max(1, self.slices // _CHUNK)


@cache
def screen_version() -> str:
    """Return a short digest of what finds and judges text: files that lie beside the screen, models included."""
    digest = hashlib.sha256()
    folder = CHECKOUT / "deidentify" / "pixels"
    for file in sorted(folder.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(f"{file.relative_to(folder)}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


@cache
def _screener() -> PixelScreener:
    return PixelScreener()


def start() -> None:
    """Load the models in a child of the pool; one thread each, as in the worker."""
    cv2.setNumThreads(1)
    load_engine()


def read_chunk(plan: Plan, number: int, chunk: int, pictures: Path | None) -> list[SliceOutcome]:
    """Make and screen the slices of one chunk as the pipeline does."""
    study = study_of(plan.seed, number)
    outcomes = []
    for place in range(chunk, plan.slices, plan.all_chunks):
        identified_file = slice_file(study, place, plan.slices)
        begin = time.process_time()
        header = deidentifier().plan(deidentifier().read(identified_file), _SCOPE)
        identified_file.seek(0)
        report = _screener().screen(identified_file, header.identified_tokens, policy=deidentifier().pixel_policy)
        cpu_s = time.process_time() - begin
        outcomes.append(
            SliceOutcome(
                study=number,
                place=place,
                volume=study.volume.name,
                origin=f"{study.volume.modality}, {study.volume.origin}",
                verdict=report.verdict.value,
                boxes=len(report.boxes),
                cpu_s=round(cpu_s, 4),
            )
        )
        if pictures is not None and report.verdict is not PixelVerdict.CLEAR:
            identified_file.seek(0)
            _draw(dcmread(identified_file).pixel_array, report, pictures / f"{number:04d}-{place:04d}.png")
    return outcomes


def _draw(pixels: np.ndarray, report: ScreenReport, target: Path) -> None:
    grey = np.clip(pixels * (255 / max(1.0, float(np.percentile(pixels, 99.8)))), 0, 255).astype(np.uint8)
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    for one in report.findings:
        cv2.rectangle(picture, (one.x, one.y), (one.x + one.width, one.y + one.height), (0, 255, 255))
    cv2.imwrite(str(target), picture)


def _kept(kept: Path, plan: Plan) -> dict[tuple[int, int], list[SliceOutcome]]:
    """Return the chunks of this plan that this very screen has read before."""
    found: dict[tuple[int, int], list[SliceOutcome]] = {}
    for line in kept.read_text().splitlines() if kept.exists() else ():
        row = json.loads(line)
        if (row["screen"], row["seed"], row["slices"]) == (screen_version(), plan.seed, plan.slices):
            found[row["study"], row["chunk"]] = [SliceOutcome(**one) for one in row["outcomes"]]
    return found


def read_studies(
    plan: Plan,
    *,
    kept: Path,
    pictures: Path | None = None,
    processes: int = 1,
    minutes: float | None = None,
    on_done: Callable[[int], None] = lambda _done: None,
) -> list[SliceOutcome]:
    """Return what became of the slices of a plan, of those read in earlier runs too; ``kept`` is what remembers them.

    When the minutes are over nothing more is begun: which slices are left out depends on the plan alone.
    """
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    found = _kept(kept, plan)
    wanted = [one for one in plan.chunks() if one not in found]
    done = sum(map(len, found.values()))
    on_done(done)
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
    kept.parent.mkdir(parents=True, exist_ok=True)

    with (
        kept.open("a") as remembered,
        Pool(processes, initializer=start) as pool,
        ThreadPoolExecutor(processes) as threads,
    ):

        def one(study: int, chunk: int) -> tuple[int, int, list[SliceOutcome]]:
            is_over = time.monotonic() > end
            return study, chunk, [] if is_over else pool.run(read_chunk, plan, study, chunk, pictures)

        for future in as_completed([threads.submit(one, *each) for each in wanted]):
            study, chunk, outcomes = future.result()
            if outcomes:
                found[study, chunk] = outcomes
                row = {"screen": screen_version(), "seed": plan.seed, "slices": plan.slices}
                row |= {"study": study, "chunk": chunk, "outcomes": [asdict(each) for each in outcomes]}
                remembered.write(json.dumps(row) + "\n")
                remembered.flush()
                done += len(outcomes)
                on_done(done)
    return sorted((each for outcomes in found.values() for each in outcomes), key=lambda each: (each.study, each.place))
