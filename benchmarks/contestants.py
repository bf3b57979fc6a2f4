"""De-identify a folder of CT files with one tool, in a process of its own, in whichever environment the tool lives.

``python -m benchmarks.contestants TOOL IN OUT`` warms up, prints ``{"ready": …}``, and for each line on its standard
input goes once through the folder and prints the CPU time of that as one line of JSON. Imports stay inside the
functions: the peers' environment has none of ours.
"""

import contextlib
import io
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from itertools import count, repeat
from pathlib import Path
from typing import Any

__all__ = ["TOOLS", "Contestant"]

Contestant = Callable[[Path, Path], None]
_WARM_UP = 5
FRAMES = 240
"""Of the enhanced multi-frame input."""
_PHASES: dict[str, float] = {}
"""CPU seconds of the phases of our own, over one pass."""


def copy() -> Contestant:
    """Copy the file: the floor."""
    return lambda source, target: _ignore(shutil.copyfile(source, target))


def pydicom() -> Contestant:
    """Read and write with pydicom and change nothing."""
    from pydicom import dcmread

    return lambda source, target: _ignore(dcmread(source).save_as(target))


def casebridge(*, is_new_case: bool = False) -> Contestant:
    """Read, plan, write and verify as the pipeline does, the pixel screen left out.

    With `is_new_case` every file is a case of its own, so that nothing is remembered from the file before.
    """
    from bridge.pool_child import relax_collector
    from deidentify.deidentifier import Deidentifier
    from deidentify.profile import Profile
    from deidentify.pseudonyms import PseudonymScope
    from deidentify.results import PixelVerdict, ScreenReport

    text = (Path(__file__).parents[1] / "config" / "profiles" / "teaching.yaml").read_text()
    deidentifier = Deidentifier(Profile.from_yaml(text))
    cases = count() if is_new_case else repeat(0)
    verdicts = {0: PixelVerdict.NO_PIXELS, 1: PixelVerdict.CLEAR, FRAMES: PixelVerdict.CLEAR}
    clear = {n: ScreenReport(verdict=verdict, frames=n, frames_read=n) for n, verdict in verdicts.items()}
    relax_collector()

    def run(source: Path, target: Path) -> None:
        clock = time.process_time
        scope = PseudonymScope(key=bytes(range(32)), case_key=f"{next(cases):032x}")
        with source.open("rb") as identified_file, target.open("w+b") as output:
            begin = clock()
            header = deidentifier.read(identified_file)
            if deidentifier.disposition(header) is not None:
                raise RuntimeError("the profile does not take the input")
            read = clock()
            plan = deidentifier.plan(header, scope)
            planned = clock()
            deidentifier.write(plan, clear[plan.description.frames], identified_file, output)
            written = clock()
            output.seek(0)
            deidentifier.verify(plan, output)
            verified = clock()
        spent = {"read": read - begin, "plan": planned - read, "write": written - planned, "verify": verified - written}
        for name, seconds in spent.items():
            _PHASES[name] = _PHASES.get(name, 0.0) + seconds

    return run


def dicognito() -> Contestant:
    """Anonymize in memory and save, as its own command does."""
    from dicognito.anonymizer import Anonymizer
    from pydicom import dcmread

    anonymizer = Anonymizer(seed="benchmark")

    def run(source: Path, target: Path) -> None:
        with dcmread(source) as data:
            anonymizer.anonymize(data)
            data.save_as(target)

    return run


def deid() -> Contestant:
    """Replace identifiers by the default recipe, private elements removed, and save."""
    with contextlib.redirect_stdout(io.StringIO()):
        from deid.config import DeidRecipe
        from deid.dicom import replace_identifiers
        from deid.logger import bot

        bot.level = 0
        recipe = DeidRecipe()

    def run(source: Path, target: Path) -> None:
        replace_identifiers(
            dicom_files=[str(source)],
            deid=recipe,
            save=True,
            overwrite=True,
            output_folder=str(target.parent),
            remove_private=True,
        )

    return run


TOOLS: dict[str, Callable[[], Contestant]] = {
    "casebridge": casebridge,
    "casebridge, new case": partial(casebridge, is_new_case=True),
    "dicognito": dicognito,
    "deid": deid,
    "pydicom": pydicom,
    "copy": copy,
}


def _ignore(_result: Any) -> None:
    pass


def _version(tool: str) -> str:
    return "" if tool == "copy" else version(tool.partition(",")[0])


def main() -> None:
    """Serve; see the module's docstring."""
    tool, source, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "w")
    # What a tool prints for each file is not the benchmark's.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    files = sorted(source.glob("*.dcm"))
    run = TOOLS[tool]()
    for file in files[:_WARM_UP]:
        run(file, target / file.name)
    print(json.dumps({"ready": tool, "version": _version(tool)}), file=answers, flush=True)
    for _ in sys.stdin:
        _PHASES.clear()
        begin = time.process_time()
        for file in files:
            run(file, target / file.name)
        cpu_s = time.process_time() - begin
        sizes = {(target / file.name).stat().st_size for file in files}
        answer = {"cpu_s": cpu_s, "files": len(files), "smallest": min(sizes), "phases": dict(_PHASES)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
