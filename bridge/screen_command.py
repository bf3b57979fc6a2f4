"""``casebridge screen``: what is written in the pixels of files and folders, without a server; nothing is changed."""

import json
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.offline_child import NotDicom, OutputError
from bridge.offline_files import counted, in_children
from bridge.offline_progress import Step, processors, progress
from bridge.offline_sources import Skip
from bridge.pictures import write_identified
from bridge.pool import Pool, PoolStartError
from bridge.screen_child import Announced, Screened, ScreenTask, announced_frames, screen, start_child
from bridge.screen_report import (
    ScreenedFile,
    counts_of,
    entry_of,
    find_files,
    frames_read,
    region_counts,
)
from config.settings import Settings
from deidentify.results import PixelVerdict

__all__ = ["Choices", "screen_files"]

EXIT_CLEAR, EXIT_FOUND, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
FORMAT = 3
"""Version of the JSON; another one when something in it changes its meaning or goes."""
_READING = "Reading pixels"
_COLOURS = {"clear": "green", "redact": "cyan", "suspect": "yellow", "not-evaluated": "red", "not-done": "red"}


class UsageError(Exception):
    """Nothing was begun; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the command line says."""

    identified_paths: Sequence[Path] = field(repr=False)
    json_file: Path | None = field(default=None, repr=False)
    with_text: bool = False
    image_folder: Path | None = field(default=None, repr=False)
    redacted_folder: Path | None = field(default=None, repr=False)
    """Where copies go in which boxes are black."""
    jobs: int | None = None


@dataclass(slots=True, kw_only=True)
class _Run:
    """How a run went."""

    began: datetime
    reading_s: float = 0.0
    fault: str = ""
    is_interrupted: bool = False

    @property
    def is_complete(self) -> bool:
        return not (self.fault or self.is_interrupted)


def screen_files(choices: Choices, settings: Settings) -> int:
    """Read the pixels of files and say what is in them; return the exit status."""
    console = Console(stderr=True)
    run = _Run(began=datetime.now(UTC))
    try:
        _check(choices)
        files = find_files(choices.identified_paths)
        for folder in (choices.image_folder, choices.redacted_folder):
            if folder is not None:
                folder.mkdir(mode=0o700, parents=True)
    except (UsageError, OSError) as error:
        # The text of a system's error has the path, which is the user's own.
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return EXIT_USAGE
    try:
        _screen(choices, settings, files, run, console)
    except (OutputError, PoolStartError) as error:
        run.fault = str(error)
    except KeyboardInterrupt:
        run.is_interrupted = True
    _show(console, files, run)
    if choices.json_file is not None:
        _write(choices.json_file, _report(choices, files, run), console, run)
    _say(console, choices, files, run)
    if run.is_interrupted:
        return EXIT_INTERRUPTED
    return EXIT_CLEAR if run.is_complete and _are_clear(files) else EXIT_FOUND


def _check(choices: Choices) -> None:
    if choices.with_text and choices.json_file is None:
        raise UsageError("--with-text is for the JSON file; add --json FILE")
    for target in (choices.json_file, choices.image_folder, choices.redacted_folder):
        if target is not None and os.path.lexists(target):
            raise UsageError(f"{target} is there already; name a new one")
    if choices.json_file is not None and not os.access(choices.json_file.absolute().parent, os.W_OK | os.X_OK):
        raise UsageError(f"the folder of {choices.json_file} is not there or cannot be written to")


def _are_clear(files: list[ScreenedFile]) -> bool:
    """Tell whether there was an image and nothing was found; what is no image says nothing."""
    verdicts = {file.verdict for file in files}
    return PixelVerdict.CLEAR in verdicts and verdicts <= {PixelVerdict.CLEAR, PixelVerdict.NO_PIXELS, "skipped"}


# -- working -----------------------------------------------------------------------------------------------------------


def _screen(choices: Choices, settings: Settings, files: list[ScreenedFile], run: _Run, console: Console) -> None:
    waiting = [file for file in files if file.outcome is None]
    workers = min(choices.jobs or processors(), max(1, len(waiting)))
    numbers = {id(file): number for number, file in enumerate(files, 1)}

    def task(file: ScreenedFile) -> ScreenTask:
        number, pictures, copies = f"{numbers[id(file)]:04}", choices.image_folder, choices.redacted_folder
        return ScreenTask(
            identified_source=str(file.identified_path),
            with_text=choices.with_text,
            pictures=str(pictures / number) if pictures is not None else "",
            redacted=str(copies / f"{number}.dcm") if copies is not None else "",
        )

    with (
        Pool(workers, initializer=start_child, initargs=(settings.log_level,)) as pool,
        progress(console, by_frame=_READING) as step,
    ):
        pool.wait_until_ready()
        looked = in_children(pool, workers, waiting, announced_frames, lambda file: str(file.identified_path))
        for file, seen in counted("Looking at", looked, len(waiting), step):
            if isinstance(seen, Announced):
                file.frames = seen.frames
            else:
                file.outcome = Skip.NOT_DICOM if isinstance(seen, NotDicom) else seen
        waiting = [file for file in waiting if file.outcome is None]
        bar = _FrameBar(waiting, step)
        began = time.monotonic()
        try:
            for file, found in in_children(pool, workers, waiting, screen, task, on_progress=bar.moved):
                file.outcome = found
                bar.done(file)
        finally:
            run.reading_s = time.monotonic() - began


class _FrameBar:
    """Counts frames over all files, which are read side by side."""

    def __init__(self, files: list[ScreenedFile], step: Step) -> None:
        self._lock = threading.Lock()
        self._read: dict[int, int] = {}
        self._total, self._step = sum(file.frames for file in files), step
        step(_READING, 0, self._total)

    def moved(self, file: ScreenedFile, frames: tuple[int, int]) -> None:
        """Take (frames read, frames); a header may have announced fewer."""
        with self._lock:
            self._read[id(file)] = min(frames[0], file.frames)
            self._step(_READING, sum(self._read.values()), self._total)

    def done(self, file: ScreenedFile) -> None:
        self.moved(file, (file.frames, file.frames))


# -- what a person sees ------------------------------------------------------------------------------------------------


def _show(console: Console, files: list[ScreenedFile], run: _Run) -> None:
    table = Table(box=None, show_header=False)
    table.add_column(justify="right")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(str(len(files)), "files", "", style="bold")
    for count in counts_of(files):
        why = f"{count.sentence} ({count.reason})" if count.reason else count.sentence
        table.add_row(str(count.files), count.verdict, why, style=_COLOURS.get(count.verdict))
    for text_class, counts in region_counts(files).items():
        if counts["regions"]:
            where = f"regions, in {counts['frames']} frame(s) of {counts['files']} file(s)"
            table.add_row(str(counts["regions"]), f"{text_class} text", where)
    read, frames = frames_read(files)
    table.add_row(str(read), "frames read", f"of {frames}, in {run.reading_s:.1f} s ({_speed(read, run):.1f} frames/s)")
    console.print(table)


def _speed(read: int, run: _Run) -> float:
    return read / run.reading_s if run.reading_s else 0.0


def _say(console: Console, choices: Choices, files: list[ScreenedFile], run: _Run) -> None:
    not_drawn = sum(len(file.outcome.not_drawn) for file in files if isinstance(file.outcome, Screened))
    if not_drawn:
        console.print(
            f"{not_drawn} frame(s) with text could not be drawn (picture: null in the JSON file).", style="yellow"
        )
    if not any(file.is_read_image for file in files):
        console.print("No image was read to its end: nothing was shown to be clear.", style="yellow")
    if choices.json_file is None:
        console.print("What was found in each file, and where: add --json FILE.")
    targets = (choices.json_file, choices.image_folder, choices.redacted_folder)
    places = [str(place) for place in targets if place is not None and place.exists()]
    if places:
        console.print(
            f"{' and '.join(places)}: keep it as you keep the originals, it may identify patients.",
            style="yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    if choices.redacted_folder is not None:
        copies = sum(bool(file.outcome.redacted) for file in files if isinstance(file.outcome, Screened))
        console.print(f"{copies} copies with boxes made black; their headers still say whose they are.", style="yellow")
    if run.fault:
        console.print(f"Stopped: {run.fault}", style="red", markup=False)
    if run.is_interrupted:
        console.print("Stopped by hand: what is told of the other files is whole.", style="red")


# -- what programs read ------------------------------------------------------------------------------------------------


def _report(choices: Choices, files: list[ScreenedFile], run: _Run) -> dict[str, Any]:
    read, frames = frames_read(files)
    detectors = {file.outcome.report.detector for file in files if isinstance(file.outcome, Screened)} - {""}
    return {
        "format": FORMAT,
        "casebridge": version("casebridge"),
        "detector": ", ".join(sorted(detectors)),
        "began": run.began.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": run.is_complete,
        "with_text": choices.with_text,
        "frame_count": frames,
        "frames_read": read,
        "reading_s": round(run.reading_s, 3),
        "frames_per_s": round(_speed(read, run), 2),
        "counts": [
            {"verdict": count.verdict, "reason": count.reason, "files": count.files} for count in counts_of(files)
        ],
        "text": region_counts(files),
        "files": [entry_of(file) for file in files],
    }


def _write(path: Path, report: dict[str, Any], console: Console, run: _Run) -> None:
    try:
        # Names of files need not be text; as escapes they all can be written.
        write_identified(path, json.dumps(report, indent=1).encode("ascii") + b"\n")
    except OSError as error:
        with suppress(OSError):
            if not isinstance(error, FileExistsError):
                path.unlink()
        run.fault = run.fault or f"the JSON file cannot be written ({error.strerror})"
        console.print("What was found is on the screen alone.", style="red")
