"""The real files of docs/pixels.md: what the screen makes of each, and pictures of some before and after.

Written anew by: python -m tests.docs.real_files_page, with CASEBRIDGE_CORPUS naming the folder of the corpus.
"""

import io
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.pixels.processing import apply_color_lut

from benchmarks.report import NOTHING
from deidentify.deidentifier import Deidentifier
from deidentify.errors import TextRemainsError
from deidentify.pixels.screen import PixelScreener
from deidentify.release import released
from deidentify.results import PixelVerdict, RegionFate, ScreenReport
from tests.corpus import CorpusFile, corpus_files
from tests.deidentify.support import profile, scope
from tests.tools import CHECKOUT

PAGE = CHECKOUT / "docs/pixels.md"
IMAGES = CHECKOUT / "docs/images"
BEGIN, END = "<!-- real files, written by python -m tests.docs.real_files_page -->", "<!-- /real files -->"
SHOWN = {
    "GREYSCALE_IMAGE.dcm": "greyscale-image",
    "RGB_IMAGE.dcm": "rgb-image",
    "examples_rgb_color.dcm": "examples-rgb-color",
    "OBXXXX1A.dcm": "obxxxx1a",
    "gdcm-US-ALOKA-16.dcm": "aloka",
    "no-pixel-spacing.dcm": "no-pixel-spacing",
}
"""Files with pictures on the page: theirs lie under the MIT licence, which permits copies."""
LARGEST_PICTURE = 60_000
_WIDTH = 440
_COLOURS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one file; ``after`` is what was written, None where nothing was."""

    report: ScreenReport
    verdict: str
    after: bytes | None


def with_text() -> list[CorpusFile]:
    """Return the files in which somebody saw burned-in text: that of patients and sites, and that of devices."""
    wanted = [
        file
        for file in corpus_files()
        if file.facts["burned_in_seen"].startswith(("identifying", "technical")) and file.facts["modality"] == "US"
    ]
    return sorted(wanted, key=lambda file: (not is_identifying(file), file.facts["file"]))


def is_identifying(file: CorpusFile) -> bool:
    return file.facts["burned_in_seen"].startswith("identifying")


@cache
def _engines() -> tuple[Deidentifier, PixelScreener]:
    return Deidentifier(profile()), PixelScreener()


@cache
def result_of(path: Path) -> Result:
    """Screen a file as the pipeline does, and write it where it may be written."""
    deidentifier, screener = _engines()
    after = io.BytesIO()
    with path.open("rb") as identified_file:
        plan = deidentifier.plan(deidentifier.read(identified_file), scope())
        identified_file.seek(0)
        report = screener.screen(identified_file, plan.identified_tokens, policy=deidentifier.pixel_policy)
        if report.verdict not in {PixelVerdict.CLEAR, PixelVerdict.REDACT}:
            return Result(report=report, verdict=f"held: {report.hold}", after=None)
        identified_file.seek(0)
        try:
            released(deidentifier, screener, plan, report, identified_file=identified_file, target=after)
        except TextRemainsError as error:
            return Result(report=report, verdict=f"held: {error.reason}", after=None)
    return Result(
        report=report, verdict="redacted" if report.verdict is PixelVerdict.REDACT else "clear", after=after.getvalue()
    )


def row_of(file: CorpusFile) -> str:
    """Return the line of the table: what was seen, and what became of it."""
    result = result_of(file.path)
    frames = result.report.frames
    held = sum(one.fate is RegionFate.HELD for one in result.report.findings)
    boxes = (
        f"{len(result.report.boxes)} boxes" if result.verdict == "redacted" else f"{held} regions" if held else NOTHING
    )
    seen = file.facts["burned_in_seen"]
    return f"| {file.path.name} | {frames} | {seen} | {result.verdict} | {boxes} |"


def section(rows: Iterable[str]) -> str:
    """Return what stands between the marks."""
    lines = ["| File | Frames | Seen in it | Verdict | |", "|---|---|---|---|---|", *rows, ""]
    for file in with_text():
        if file.path.name in SHOWN:
            name = SHOWN[file.path.name]
            lines += [f"![{file.path.name} before and after](images/{name}.png)", ""]
            lines += [f"*{file.path.name}* of {file.facts['source_repo']} ({file.facts['license']}).", ""]
    return "\n".join(lines).strip()


def verdicts(text: str) -> dict[str, str]:
    """Return the verdict of each file in the table of the page."""
    table = text.partition(BEGIN)[2].partition(END)[0]
    rows = [[cell.strip() for cell in line.split("|")] for line in table.splitlines() if line.startswith("| ")]
    return {row[1]: row[4] for row in rows[1:]}


def _shown(part10: bytes) -> NDArray[np.uint8]:
    """Return the first frame as people see it."""
    data = dcmread(io.BytesIO(part10), force=True)
    pixels: NDArray[Any] = data.pixel_array
    if int(data.get("NumberOfFrames", 1) or 1) > 1:
        pixels = pixels[0]
    if data.PhotometricInterpretation == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, data)
    low, high = float(pixels.min()), float(pixels.max())
    grey = ((pixels.astype(np.float32) - low) * (255 / max(1.0, high - low))).astype(np.uint8)
    return grey if grey.ndim == 3 else cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)


def _small(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    rows, columns = picture.shape[:2]
    size = (_WIDTH, round(rows * _WIDTH / columns))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def draw(file: CorpusFile, target: Path) -> None:
    """Write the file before and after side by side; what is held has its findings in frames instead."""
    result = result_of(file.path)
    before = _shown(file.path.read_bytes())
    if result.after is not None:
        after = _shown(result.after)
    else:
        after = before.copy()
        for one in result.report.findings:
            if one.frame == 0 and one.fate is not RegionFate.KEPT:
                corner = (one.x + one.width, one.y + one.height)
                cv2.rectangle(after, (one.x, one.y), corner, (255, 0, 0), thickness=2)
    both = Image.fromarray(np.hstack([_small(before), np.full_like(_small(before)[:, :8], 255), _small(after)]))
    both.quantize(_COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)


def made(file: CorpusFile) -> str:
    """Return the row of a file; draw it where the page shows it."""
    if file.path.name in SHOWN:
        draw(file, IMAGES / f"{SHOWN[file.path.name]}.png")
    return row_of(file)


def put(rows: Iterable[str]) -> None:
    """Write the section into the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{section(rows)}\n\n{END}{after}")


def write() -> None:
    """Write the table into the page, and the pictures beside it; minutes of work, so in several processes."""
    IMAGES.mkdir(exist_ok=True)
    with ProcessPoolExecutor() as pool:
        put(pool.map(made, with_text()))


if __name__ == "__main__":
    write()
