"""The commands of docs/pixels.md, run one after the other on images made for it.

Outputs are written anew by: python -m tests.docs.pixels_page. Times and scores are those of the machine.
"""

import json
import re
import shlex
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from pydicom.uid import RTPlanStorage

from bridge.__main__ import main
from tests.builders import sr_instance, write_part10
from tests.deidentify.pixels.files import image, part10
from tests.deidentify.pixels.layered import with_overlay
from tests.deidentify.pixels.planting import phantom, plant
from tests.docs.profiles_page import PROGRAM, blocks, environment
from tests.tools import CHECKOUT

PAGE = CHECKOUT / "docs/pixels.md"
ENVIRONMENT = {"COLUMNS": "80", "TERM": "dumb", "FORCE_COLOR": None, "NO_COLOR": None}
_SPEED = re.compile(r"in [\d.]+ s \([\d.]+ frames/s\)")


def make_images(folder: Path) -> None:
    """Write a clean slice, one with the patient's name and a word in an overlay, a cine, a report, and a plan."""
    folder.mkdir()
    random = np.random.default_rng(6)
    clean, named = phantom(random, 192, 256), phantom(random, 192, 256)
    plant(named, "KOWALCZYK MARTA", np.random.default_rng(3), height=16, at=(10, 8))
    (folder / "clean.dcm").write_bytes(part10(image(clean, bits_stored=12)).getvalue())
    plane = np.zeros((96, 160), np.uint8)
    plane[-1, -1] = 1
    plant(plane, "SUPINE", np.random.default_rng(3), contrast=1, height=16, at=(30, 20))
    content = with_overlay(image(named, bits_stored=12, PatientName="Kowalczyk^Marta"), plane)
    (folder / "named.dcm").write_bytes(part10(content).getvalue())
    cine = np.full((96, 160), 90, dtype=np.uint8)
    cine[40:] = 140
    (folder / "cine.dcm").write_bytes(part10(image([cine, cine], modality="US")).getvalue())
    (folder / "report.dcm").write_bytes(write_part10(sr_instance()))
    plan = sr_instance(SOPClassUID=RTPlanStorage, ContentSequence=None)
    (folder / "plan.dcm").write_bytes(write_part10(plan))


def without_times(text: str) -> str:
    """Return a table with the same speed on every machine."""
    return _SPEED.sub("in 1.6 s (2.5 frames/s)", text)


def run_page(folder: Path) -> tuple[str, dict[str, int], dict[str, Any]]:
    """Return the page as it should be, the status of each command and the JSON of the last one."""
    page = PAGE.read_text()
    make_images(folder / "images")
    pieces, last, printed, statuses = [], 0, "", {}
    told: dict[str, Any] = {}
    with chdir(folder), environment({**ENVIRONMENT, "CASEBRIDGE_DATA_DIR": str(folder / "data")}):
        for block in blocks(page):
            if block.kind == "sh":
                [line] = block.text.splitlines()
                words = shlex.split(line)
                assert words[0] == PROGRAM
                result = CliRunner().invoke(main, [*words[1:], "--jobs", "1"])
                statuses[line] = result.exit_code
                printed = "".join(f"{row.rstrip()}\n" for row in without_times(result.output).splitlines())
                told = json.loads(Path(words[words.index("--json") + 1]).read_text())
            else:
                shown = printed if block.kind == "" else json.dumps(told["files"][0], indent=1) + "\n"
                pieces += [page[last : block.start], shown]
                last = block.end
    return "".join([*pieces, page[last:]]), statuses, told


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        PAGE.write_text(run_page(Path(scratch))[0])
